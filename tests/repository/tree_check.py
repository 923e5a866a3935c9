# The command line that the checks of a source tree share.
import pathlib
import sys


def run(usage, self_test, check):
    """Runs `check` on the tree that sys.argv names, or `self_test`.

    `check(tree)` returns what it found, a line each, and a summary; `self_test()`
    returns what it missed. Prints both. Returns the exit code: 1 where anything
    was found or missed, 2 for a wrong command line.
    """
    if sys.argv[1:] == ["--self-test"]:
        found = self_test()
    elif len(sys.argv) == 2:
        found, summary = check(pathlib.Path(sys.argv[1]))
        print(summary)
    else:
        print(usage, file=sys.stderr)
        return 2
    for line in found:
        print(line)
    return 1 if found else 0
