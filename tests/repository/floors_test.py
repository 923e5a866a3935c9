#!/usr/bin/env python3
# Keeps the floors: an include goes downwards only, and the libraries that one
# file wraps are included by that file alone.
"""Checks the includes of every .h, .cc and .inc under a source tree.

Usage: floors_test.py TREE          one line per offence; exits 1 if there is any
       floors_test.py --self-test   plants one offence of each kind and finds it
"""

import pathlib
import re
import sys
import tempfile

import tree_check

# Which folders of ours a folder may include, besides itself.
FLOORS = {
    "files": set(),
    "flags": set(),
    "proto": set(),
    "tokenizer": {"files"},
    "kernels": set(),
    "model": {"files", "flags", "kernels"},
    "server": {"flags", "proto", "tokenizer", "model"},
    "client": {"proto"},
    "train": {"files", "flags", "tokenizer", "model", "kernels"},
    # What measures and what tests may look at everything.
    "bench": {"proto", "tokenizer", "kernels", "model", "server", "client"},
    "tests": {"flags", "proto", "tokenizer", "kernels", "model", "server", "client", "train"},
}

# Generated from proto/, included by the path that protoc gives them.
GENERATED = re.compile(r".*\.pb\.h$")

# A library that only the named files wrap; nothing else may know it.
WRAPPED = [
    (re.compile(r"prometheus/"), {"server/metrics.cc"}, "prometheus-cpp"),
    (re.compile(r"microhttpd"), {"server/http_server.cc"}, "libmicrohttpd"),
    (re.compile(r"(oneapi/)?dnnl"), {"kernels/dense_gemm.cc", "train/matrix_product.cc"}, "oneDNN"),
    (re.compile(r"unicode/"), {"tokenizer/", "train/squad_metric.cc"}, "ICU"),
    (re.compile(r"grpc(pp)?/|grpc\+\+/"), {"server/", "client/", "tests/", "bench/"}, "gRPC"),
]

# Compiled with an instruction set's flags: an inline function that such a file
# shares with others could be linked into the baseline path. So all that it
# reaches is intrinsics, its folder's headers, and headers of plain C.
ISA_FILE = re.compile(r"kernels/.*_(avx2|avx512\w*|amx\w*)\.cc$")
ISA_OUTSIDE_HEADERS = re.compile(
    r"immintrin\.h|simde/.*|bit|cassert|cmath|cstddef|cstdint|cstring")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def sources(tree):
    for folder in FLOORS:
        for path in sorted((tree / folder).rglob("*")):
            if path.suffix in (".h", ".cc", ".inc"):
                yield path.relative_to(tree).as_posix()


def includes_of(tree, name):
    """Yields (line number, header, whether in quotes)."""
    for number, line in enumerate((tree / name).read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[2], match[1] == '"'


def offence_of_floor(tree, name, header, quoted):
    folder, target = name.split("/")[0], header.split("/")[0]
    if GENERATED.match(header):
        target = "proto"
    if target in FLOORS and target != folder and target not in FLOORS[folder]:
        allowed = ", ".join(sorted(FLOORS[folder])) or "no other folder"
        return f"{folder} may include {allowed}, not {target}"
    if quoted and ((tree / name).parent / header).exists():
        return f"includes name the path from the root: {pathlib.PurePosixPath(name).parent / header}"
    return None


def offence_of_wrapping(name, header):
    for pattern, wrappers, library in WRAPPED:
        if pattern.match(header) and not any(
                name == w or (w.endswith("/") and name.startswith(w)) for w in wrappers):
            return f"only {', '.join(sorted(wrappers))} may include {library}"
    return None


def offences_of_isa(tree, name):
    """Follows the includes of a file built with ISA flags within kernels/."""
    seen, waiting = {name}, [name]
    while waiting:
        reader = waiting.pop()
        for line, header, _ in includes_of(tree, reader):
            if header.startswith("kernels/"):
                if header not in seen and (tree / header).exists():
                    seen.add(header)
                    waiting.append(header)
            elif not ISA_OUTSIDE_HEADERS.fullmatch(header):
                yield (f"{reader}:{line}: includes {header}: {name} is built with ISA flags"
                       " and may reach only intrinsics, kernels/ and plain C headers")


def cycles(graph):
    """Yields each include cycle once, as a list of files."""
    done, path = set(), []

    def visit(name):
        if name in path:
            yield path[path.index(name):] + [name]
            return
        if name in done:
            return
        path.append(name)
        for header in graph.get(name, ()):
            yield from visit(header)
        path.pop()
        done.add(name)

    for name in sorted(graph):
        yield from visit(name)


def offences(tree):
    graph = {}
    for name in sources(tree):
        graph[name] = []
        for line, header, quoted in includes_of(tree, name):
            graph[name].append(header)
            for reason in (offence_of_floor(tree, name, header, quoted),
                           offence_of_wrapping(name, header)):
                if reason:
                    yield f"{name}:{line}: includes {header}: {reason}"
        if ISA_FILE.match(name):
            yield from offences_of_isa(tree, name)
    for cycle in cycles(graph):
        yield f"{cycle[0]}:1: include cycle: {' -> '.join(cycle)}"


# One offence of each kind, and files that keep the rules.
SELF_TEST_TREE = {
    "kernels/gemm.h": "",
    "kernels/row_ops_avx2.cc": '#include "kernels/reached.h"\n',
    "kernels/gemm_avx2.cc": '#include <immintrin.h>\n#include "kernels/gemm.h"\n',
    "kernels/dense_gemm.cc": "#include <dnnl.hpp>\n",
    "model/engine.h": '#include "kernels/gemm.h"\n',
    "server/metrics.cc": "#include <prometheus/registry.h>\n",
    "server/worker.cc": '#include "tern/v1/inference_service.pb.h"\n#include "model/engine.h"\n',
}
SELF_TEST_OFFENCES = {
    "kernels/up.cc": '#include "model/engine.h"\n',
    "server/skips.cc": '#include "kernels/gemm.h"\n',
    "tokenizer/proto.cc": '#include "tern/v1/inference_service.pb.h"\n',
    "client/server.cc": '#include "server/worker.h"\n',
    "model/dense.cc": "#include <dnnl.hpp>\n",
    "server/http_gateway.cc": "#include <microhttpd.h>\n",
    "server/worker_metrics.cc": '#include "prometheus/counter.h"\n',
    "model/unicode.cc": "#include <unicode/uchar.h>\n",
    "kernels/gemm_avx512_vnni.cc": "#include <vector>\n",
    "kernels/reached.h": '#include "absl/types/span.h"\n',
    "kernels/sibling.cc": '#include "gemm.h"\n',
    "model/a.h": '#include "model/b.h"\n',
}
SELF_TEST_CYCLE = {"model/b.h": '#include "model/a.h"\n'}


def write_tree(tree, files):
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        write_tree(tree, SELF_TEST_TREE)
        clean = list(offences(tree))
        if clean:
            return [f"reported in a clean tree: {offence}" for offence in clean]
        write_tree(tree, {**SELF_TEST_OFFENCES, **SELF_TEST_CYCLE})
        found = {}
        for offence in offences(tree):
            found.setdefault(offence.split(":")[0], []).append(offence)
        return ([f"not caught: {name}" for name in SELF_TEST_OFFENCES if name not in found] +
                [f"reported twice: {name}" for name in found if len(found[name]) > 1] +
                [f"reported, but clean: {name}" for name in found
                 if name not in SELF_TEST_OFFENCES])


def check(tree):
    found = list(offences(tree))
    count = len(list(sources(tree)))
    if count == 0:
        found = [f"{tree}: expected sources, found none"]
    return found, f"{count} files read, {len(found)} offences"


if __name__ == "__main__":
    sys.exit(tree_check.run(__doc__, self_test, check))
