#!/usr/bin/env python3
# Every relative link and anchor of the documents leads somewhere. No network.
"""Checks the links in the Markdown files of a source tree.

Usage: links_test.py TREE          one line per dead link; exits 1 if there is any
       links_test.py --self-test   plants one of each kind and finds it
"""

import pathlib
import re
import sys
import tempfile

import tree_check

DOCUMENTS = ["*.md", "docs/**/*.md", "examples/**/*.md", "models/*/*.md", "deploy/**/*.md"]
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def anchors(text):
    """The anchors that GitHub gives a document's headings."""
    found = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        heading = LINK.sub(lambda link: link[0].split("]")[0].lstrip("!["), heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        anchor, count = slug, 0
        while anchor in found:
            count += 1
            anchor = f"{slug}-{count}"
        found.add(anchor)
    return found


def documents(tree):
    return sorted({path for pattern in DOCUMENTS for path in tree.glob(pattern)
                   if "node_modules" not in path.parts})


def links(path):
    text = FENCE.sub(lambda block: "\n" * block[0].count("\n"), path.read_text())
    for number, line in enumerate(INLINE_CODE.sub("code", text).splitlines(), 1):
        for target in LINK.findall(line):
            yield number, target


def dead_links(tree):
    for path in documents(tree):
        name = path.relative_to(tree)
        for number, target in links(path):
            if ELSEWHERE.match(target):
                continue
            file, _, anchor = target.partition("#")
            leads_to = (path.parent / file).resolve() if file else path.resolve()
            if not leads_to.is_relative_to(tree.resolve()):
                yield f"{name}:{number}: {target}: leads out of the repository"
            elif not leads_to.exists():
                yield f"{name}:{number}: {target}: no such file"
            elif anchor and leads_to.suffix == ".md" and anchor not in anchors(leads_to.read_text()):
                yield f"{name}:{number}: {target}: no such heading"


SELF_TEST_TREE = {
    "README.md": "# Tern\n[a](docs/a.md#two-words) [b](https://example.com/x) [c](#tern)\n"
                 "```\n[not](a-link.md)\n```\nand `[not](one-either.md)`\n",
    "docs/a.md": "# A\n## `Two` words!\n## Two words\n[up](../README.md) [d](#two-words-1)\n"
                 "![picture](a.svg)\n",
    "docs/a.svg": "",
}
SELF_TEST_DEAD = {
    "docs/file.md": "[x](absent.md)\n",
    "docs/anchor.md": "[x](a.md#three-words)\n",
    "docs/own.md": "# Own\n[x](#other)\n",
    "docs/picture.md": "![x](absent.png)\n",
    "docs/outside.md": "[x](../../etc/passwd)\n",
}


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder) / "tree"
        (tree / "docs").mkdir(parents=True)
        for name, text in SELF_TEST_TREE.items():
            (tree / name).write_text(text)
        wrong = [f"reported, but leads somewhere: {dead}" for dead in dead_links(tree)]
        for name, text in SELF_TEST_DEAD.items():
            (tree / name).write_text(text)
        found = [dead.split(":")[0] for dead in dead_links(tree)]
        return wrong + [f"not found: {name}" for name in SELF_TEST_DEAD if found.count(name) != 1]


def check(tree):
    found = list(dead_links(tree))
    count = sum(len(list(links(path))) for path in documents(tree))
    if count == 0:
        found = [f"{tree}: expected links, found none"]
    return found, f"{len(documents(tree))} documents, {count} links, {len(found)} dead"


if __name__ == "__main__":
    sys.exit(tree_check.run(__doc__, self_test, check))
