"""Runs tern-bench-kernels for the figures gemm-peak and gemm-onednn."""

import json
import os
import re
import subprocess

BINARY = os.environ["TERN_BUILD"] + "/bin/tern-bench-kernels"
SHAPES = "n:(768/k:768|3072/k:768|768/k:3072|384/k:384|1536/k:384|384/k:1536)"
ROUNDS = 2


def best_runs(which, counters):
    """{case: {"MAC/s": ..., counter: ...}} of the cases whose name begins with `which`: of several
    rounds over all of them the best of each number, since neighbours on the machine only slow a
    round down."""
    best = {}
    for _ in range(ROUNDS):
        output = subprocess.run(
            [BINARY, f"--benchmark_filter=^{which}.*/{SHAPES}/m:", "--benchmark_format=json",
             "--benchmark_min_time=0.02"],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        for run in json.loads(output)["benchmarks"]:
            assert not run.get("error_occurred"), run
            numbers = best.setdefault(run["name"], {})
            for counter in {"MAC/s", *counters} & set(run):
                numbers[counter] = max(numbers.get(counter, 0), run[counter])
    assert best, f"no case is named {which}"
    return best


def case_of(name, prefix):
    """ternary_avx2/n:768/k:3072/m:1 -> ("avx2", 768, 3072, 1)."""
    variant, n, k, m = re.fullmatch(prefix + r"(\w+)/n:(\d+)/k:(\d+)/m:(\d+)", name).groups()
    return variant, int(n), int(k), int(m)


def best_variant():
    """Of those compiled in and supported here, the one that an engine takes."""
    output = subprocess.run([BINARY, "--benchmark_list_tests", "--benchmark_filter=^ternary_"],
                            check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.match(r"ternary_(\w+)/", output)[1]
