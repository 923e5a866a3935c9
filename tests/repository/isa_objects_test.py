#!/usr/bin/env python3
# Proves on the objects what floors_test.py asks of the sources: nothing that
# was compiled with ISA flags can be linked into the baseline path.
"""Usage: isa_objects_test.py OBJECT...

Of the objects, those of ISA files must define no weak symbol (what an inline
function or a template leaves): the linker may pick any object's copy of one,
and would make a plain CPU run it.
"""

import re
import subprocess
import sys

ISA_OBJECT = re.compile(r".*_(avx2|avx512\w*|amx\w*)\.cc\.o$")
# nm's letters for symbols that several objects may define.
SHARED_DEFINITION = re.compile(r"^[0-9a-f]+ [WVu] (.*)$")


def main():
    objects = [name for name in sys.argv[1:] if ISA_OBJECT.match(name)]
    if not objects:
        print("expected objects of ISA files, found none")
        return 1
    found = 0
    for name in objects:
        symbols = subprocess.run(["nm", "-C", "--defined-only", name], text=True,
                                 stdout=subprocess.PIPE, check=True).stdout
        for line in symbols.splitlines():
            match = SHARED_DEFINITION.match(line)
            if match:
                found += 1
                print(f"{name}: shares {match[1]} with files built without ISA flags")
    print(f"{len(objects)} objects read, {found} shared definitions")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
