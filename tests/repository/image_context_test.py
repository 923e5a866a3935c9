#!/usr/bin/env python3
# Checks that .dockerignore lets in every folder that the image's build reads.
"""Usage: image_context_test.py TREE     one line per folder left out; exits 1 if there is any
       image_context_test.py --self-test  leaves a folder out and finds it
"""

import pathlib
import re
import sys
import tempfile

import tree_check

# What stands in an if() is optional, and the image builds none of it.
SUBDIRECTORY = re.compile(r"^add_subdirectory\((\w+)\)", re.MULTILINE)


def check(tree):
    folders = SUBDIRECTORY.findall((tree / "CMakeLists.txt").read_text())
    let_in = (tree / ".dockerignore").read_text().splitlines()
    found = [f".dockerignore: expected !/{folder}, which CMakeLists.txt adds"
             for folder in folders if f"!/{folder}" not in let_in]
    if not folders:
        found.append("CMakeLists.txt: expected add_subdirectory(...), found none")
    return found, f"{len(folders)} folders, {len(found)} left out"


def self_test():
    with tempfile.TemporaryDirectory() as name:
        tree = pathlib.Path(name)
        (tree / "CMakeLists.txt").write_text(
            "add_subdirectory(proto)\nadd_subdirectory(flags)\nif(A)\n  add_subdirectory(train)\nendif()\n")
        (tree / ".dockerignore").write_text("*\n!/proto\n")
        found, _ = check(tree)
        expected = [".dockerignore: expected !/flags, which CMakeLists.txt adds"]
        return [] if found == expected else [f"expected {expected}, found {found}"]


if __name__ == "__main__":
    sys.exit(tree_check.run(__doc__, self_test, check))
