#!/usr/bin/env python3
"""Writes a manual page from what a program says of itself with --help.

usage: manual_page.py PAGE.SECTION.gz VERSION PROGRAM [SUBCOMMAND...]

What of a help text means what:

  Usage: NAME ...        the synopsis
  NAME: what it does.    the line of NAME, where there is no usage
  Heading:               a section, where it stands alone before indented lines
  two spaces, --flag     an entry, its text behind two spaces or indented below
  other indented lines   an example, as they are
  anything else          paragraphs
"""
import gzip
import pathlib
import re
import subprocess
import sys

# "  --top-k N   labels of each text" or "  --top-k  (1)", its text below it.
ENTRY = re.compile(r"  (\S+(?: \S+)*)(?:   *(\S.*))?$")
HEADING = re.compile(r"([A-Z][\w ]*):$")
SEE_ALSO = {
    "tern": ["tern-answer(1)", "tern-bench(1)", "tern-classify(1)", "tern-embed(1)",
             "tern-health(1)", "tern-models(1)", "tern-server(8)"],
    "tern-server": ["tern(1)", "tern-model(1)"],
    "tern-model": ["tern-server(8)"],
}


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text)


def summary(paragraph):
    """The first sentence, as NAME has it: without its full stop."""
    sentence = re.split(r"(?<=\w)[.:](?= |$)", " ".join(paragraph))[0]
    return sentence[:1].lower() + sentence[1:]


def blocks(lines):
    """Runs of lines without an empty one."""
    block = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def is_list(block, heading):
    return heading != "EXAMPLES" and (
        any(line.startswith("   ") for line in block) or
        all(ENTRY.match(line) and ENTRY.match(line)[2] for line in block))


def indented(block, heading):
    """An indented block: entries of a list, or an example."""
    if not is_list(block, heading):
        yield from [".PP", ".EX", *(escape(line[2:]) for line in block), ".EE"]
        return
    for line in block:
        entry = None if line.startswith("   ") else ENTRY.match(line)
        if entry:
            yield from [".TP", ".B " + escape(entry[1])]
        text = entry[2] if entry else line.strip()
        if text:
            yield escape(text)


def body(lines):
    """What follows synopsis and name. A page has one list of flags, under
    OPTIONS whether the help has that heading or not."""
    heading, has_options = "DESCRIPTION", False
    yield ".SH DESCRIPTION"
    for block in blocks(lines):
        while block:
            count = next((i for i, line in enumerate(block)
                          if line.startswith("  ") != block[0].startswith("  ")), len(block))
            part, block = block[:count], block[count:]
            found = HEADING.match(part[-1])
            if part[0].startswith("  "):
                if part[0].startswith("  --") and not has_options:
                    if heading != "OPTIONS":
                        heading = "OPTIONS"
                        yield ".SH OPTIONS"
                    has_options = True
                yield from indented(part, heading)
            else:
                if found:
                    part = part[:-1]
                if part:
                    yield from [".PP", *map(escape, part)]
                if found:
                    heading = found[1].upper()
                    yield f".SH {heading}"


def page(name, section, version, text):
    lines = text.splitlines()
    synopsis, about = [f"{name} [OPTION...]"], None
    first = lines.pop(0)
    if first.startswith("Usage: "):
        synopsis = [first.removeprefix("Usage: ").strip()]
        about = summary(next(blocks(lines)))
    else:
        about = summary([first.split(": ", 1)[1]])
    yield f'.TH {name.upper()} {section} "" "Tern {version}" "Tern"'
    yield from [".SH NAME", f"{escape(name)} \\- {escape(about)}"]
    yield from [".SH SYNOPSIS", *map(escape, synopsis)]
    yield from body(lines)
    yield from [".SH SEE ALSO", escape(", ".join(SEE_ALSO.get(name, ["tern(1)"])))]


def main():
    output, version, *command = sys.argv[1:]
    name, section = pathlib.Path(output).name.removesuffix(".gz").rsplit(".", 1)
    text = subprocess.run([*command, "--help"], check=True, capture_output=True, text=True).stdout
    roff = "\n".join(page(name, section, version, text)) + "\n"
    pathlib.Path(output).write_bytes(gzip.compress(roff.encode(), mtime=0))


if __name__ == "__main__":
    main()
