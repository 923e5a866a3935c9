#!/usr/bin/env python3
"""Tern beside the engines that users run today, in turns, on one machine.

Usage: compare.py latency|throughput [--model NAME]... [--peers NAME...]
                  [--precision ternary|int8|fp32] [--rounds N] [--seconds S] [--bar RATIO]

latency: one text of 16, 32, 128 and 384 tokens. throughput: 8 of 128, 32 of 32,
and real text: SST-2's dev sentences, SQuAD's questions with their contexts.

Every engine runs on all cores. Each round times every engine once at a point,
one after the other, so that a slow minute hits all; an engine's time is the
median of its passes in its best round. Tern's time includes tokenization; peers
are given token ids, and ragged text sorted by length so that they pad little,
alone or in batches of 8 or 32, whichever is quickest. Reads TERN_BUILD,
TERN_DATA and PEERS, the folder that script/figure_peers.sh fills.

Prints a table and last the worst ratio; exits 0 if no ratio is below the bar.
"""

import argparse
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
PEERS = pathlib.Path(os.environ["PEERS"])
DATA = pathlib.Path(os.environ["TERN_DATA"]) / "data"
BIN = pathlib.Path(os.environ["TERN_BUILD"]) / "bin"
THREADS = len(os.sched_getaffinity(0))

# The most that engines read of real text: seconds, not minutes, a pass.
SST2_SENTENCES = 256
SQUAD_PAIRS = 24
MAX_TOKENS = 384
PEER_BATCHES = (1, 8, 32)


# By mean tokens of a text: peers with AMX, too, multiply int8 as fast as we do.
SHORT_TOKENS = 32
BARS = {"ternary": 2.0, "int8": 1.0, "fp32": 0.9}  # int8 against ONNX Runtime's
AMX_TERNARY_BAR_OF_LONG_TEXTS = 1.3


def cpu_has(flag):
    return f" {flag}" in pathlib.Path("/proc/cpuinfo").read_text()


def bar_of(point, precision):
    if precision == "ternary" and cpu_has("amx_int8") and point.mean_tokens() > SHORT_TOKENS:
        return AMX_TERNARY_BAR_OF_LONG_TEXTS
    return BARS[precision]


class Point:
    """What one measurement runs."""

    def __init__(self, name, tern_arguments, sequences=None):
        self.name = name
        self.tern_arguments = tern_arguments
        self.sequences = sequences  # token ids of ragged text, else None

    @classmethod
    def regular(cls, batch, tokens):
        point = cls(f"{batch}x{tokens}", [f"--tokens={tokens}", f"--sequences={batch}",
                                          f"--threads={THREADS}"])
        point.shape = (batch, tokens)
        return point

    def mean_tokens(self):
        if self.sequences is None:
            return self.shape[1]
        return statistics.mean(map(len, self.sequences))

    def peer_passes(self):
        """The ways in which a peer may run this point; its quickest counts."""
        if self.sequences is None:
            batch, tokens = self.shape
            ids = [[101] + [1000 + (31 * row + i) % 20000 for i in range(tokens - 2)] + [102]
                   for row in range(batch)]
            return [[ids]]
        in_order = sorted(self.sequences, key=len)
        return [[in_order[i:i + size] for i in range(0, len(in_order), size)]
                for size in PEER_BATCHES]


class Peer:
    """An engine in a process of its own, loaded once."""

    def __init__(self, name, python, engine, model):
        self.name = name
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [python, HERE / "peer.py", engine, model, str(THREADS)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.fastest = {}  # the fastest of peer_passes, by point

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            sys.exit(f"{self.name} ended:\n{self.log.read()}")
        return line

    def time(self, point, seconds):
        passes = point.peer_passes()
        if point.name in self.fastest:
            passes = [passes[self.fastest[point.name]]]
        medians = []
        for batches in passes:
            self.process.stdin.write(json.dumps({"batches": batches, "seconds": seconds}) + "\n")
            self.process.stdin.flush()
            medians.append(statistics.median(json.loads(self.answer())["pass_seconds"]))
        self.fastest.setdefault(point.name, medians.index(min(medians)))
        return min(medians)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Tern:
    def __init__(self, name, folder, precision):
        self.name = name
        self.folder = folder
        self.precision = precision

    def time(self, point, seconds):
        result = json.loads(subprocess.run(
            [BIN / "tern-bench", "time", self.folder, f"--precision={self.precision}",
             f"--seconds={seconds}", *point.tern_arguments],
            check=True, capture_output=True, text=True).stdout)
        return statistics.median(result["pass_seconds"])

    def close(self):
        pass


def peers_of(model, precision, names):
    folder = PEERS / model
    python = PEERS / "venv/bin/python"
    if precision == "fp32":
        return [Peer("ONNX Runtime fp32", python, "onnxruntime", folder / "fused.onnx")]
    # Without VNNI the full range saturates; with it both are accurate.
    onnx = folder / ("int8.onnx" if cpu_has("avx512_vnni") else "int8_rr.onnx")
    if precision == "int8":
        names = ["onnxruntime"]
    peers = {
        "onnxruntime": ("ONNX Runtime int8", python, onnx),
        "openvino": ("OpenVINO int8", python, folder / "openvino_int8.xml"),
        "torch": ("PyTorch int8", os.environ["TORCH_PYTHON"], folder / "hf"),
    }
    return [Peer(peers[name][0], peers[name][1], name, peers[name][2]) for name in names]


def encode(lines):
    from tokenizers import BertWordPieceTokenizer
    tokenizer = BertWordPieceTokenizer(str(DATA / "vocab/bert-base-uncased.txt"), lowercase=True)
    tokenizer.enable_truncation(MAX_TOKENS)
    return [tokenizer.encode(*line.split("\t")).ids for line in lines]


def ragged(name, lines, scratch):
    path = scratch / name
    path.write_text("".join(line + "\n" for line in lines))
    return Point(name, [f"--texts={path}", f"--workers={THREADS}",
                        f"--max_tokens={MAX_TOKENS}"], encode(lines))


def sst2_lines():
    with open(DATA / "SST-2/dev.tsv") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row["sentence"].strip() for row in rows][:SST2_SENTENCES]


def squad_lines():
    lines = []
    articles = json.loads((DATA / "squad/dev-v1.1.json").read_text())["data"]
    for article in articles:
        for paragraph in article["paragraphs"][:1]:
            context = " ".join(paragraph["context"].split())
            lines.append(paragraph["qas"][0]["question"].strip() + "\t" + context)
    return lines[:SQUAD_PAIRS]


def points_of(kind, scratch):
    if kind == "latency":
        return [Point.regular(1, tokens) for tokens in (16, 32, 128, 384)]
    return [Point.regular(8, 128), Point.regular(32, 32), ragged("SST-2", sst2_lines(), scratch),
            ragged("SQuAD", squad_lines(), scratch)]


def compare(model, points, arguments):
    """Prints the model's table; returns {point: (best peer / Tern, its bar)}."""
    precision = arguments.precision
    folder = PEERS / model / ("ternary" if precision == "ternary" else "hf")
    engines = [Tern(f"Tern {precision}", folder, precision), *peers_of(model, precision, arguments.peers)]
    for peer in engines[1:]:
        assert peer.answer() == "ready\n"
    times = {engine.name: {} for engine in engines}
    for _ in range(arguments.rounds):
        for point in points:
            for engine in engines:
                best = times[engine.name].get(point.name, float("inf"))
                times[engine.name][point.name] = min(best, engine.time(point, arguments.seconds))
    for engine in engines:
        engine.close()

    print(f"{model}, {THREADS} cores, ms" + "".join(f"{point.name:>12}" for point in points))
    for engine in engines:
        row = times[engine.name]
        print(f"  {engine.name:<20}" +
              "".join(f"{1e3 * row[point.name]:12.2f}" for point in points))
    ours = times[engines[0].name]
    ratios = {point.name: min(times[peer.name][point.name] for peer in engines[1:]) /
              ours[point.name] for point in points}
    print("  best peer / Tern    " + "".join(f"{ratios[point.name]:12.2f}" for point in points),
          flush=True)
    return {point: (ratios[point.name], arguments.bar or bar_of(point, precision))
            for point in points}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["latency", "throughput"])
    parser.add_argument("--model", action="append", help="bert-base, minilm")
    parser.add_argument("--peers", nargs="+", default=["onnxruntime", "openvino", "torch"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--precision", default="ternary")
    parser.add_argument("--bar", type=float)
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        points = points_of(arguments.kind, pathlib.Path(scratch))
        for model in arguments.model or ["bert-base", "minilm"]:
            for point, ratio_and_bar in compare(model, points, arguments).items():
                results[f"{model} {point.name}"] = ratio_and_bar
    ratios = [ratio for ratio, _ in results.values()]
    held = [name for name, (ratio, bar) in results.items() if ratio >= bar]
    worst = min(results, key=lambda name: results[name][0] / results[name][1])
    ratio, bar = results[worst]
    print(f"{arguments.kind}, {arguments.precision}: the best peer takes {min(ratios):.2f} to "
          f"{max(ratios):.2f} times as long; worst for its bar {ratio:.2f} at {worst} (bar {bar}); "
          f"{len(held)} of {len(results)} points hold")
    return 0 if len(held) == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
