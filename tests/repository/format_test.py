#!/usr/bin/env python3
# Checks that clang-format would change nothing in our C++.
"""Usage: format_test.py TREE    prints one line per place that differs"""

import pathlib
import subprocess
import sys

FOLDERS = ["flags", "tokenizer", "kernels", "model", "server", "client",
           "train", "bench", "tests"]


def main():
    tree = pathlib.Path(sys.argv[1])
    files = [path.relative_to(tree).as_posix() for folder in FOLDERS
             for path in sorted((tree / folder).rglob("*"))
             if path.suffix in (".h", ".cc")]
    if not files:
        print(f"{tree}: expected sources, found none")
        return 1
    check = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], cwd=tree,
                           stderr=subprocess.PIPE, text=True, check=False)
    for line in check.stderr.splitlines():
        if "[-Wclang-format-violations]" in line:
            print(line.split(" error:")[0], "differs")
    print(f"{len(files)} files read; clang-format -i FILE mends")
    return check.returncode


if __name__ == "__main__":
    sys.exit(main())
