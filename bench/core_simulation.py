"""What the server does on more cores than there are: see script/figures/core-simulation.

SST-2 sentences, MiniLM and BERT-base, 32 clients a core; with a file's name it draws a picture, too.
"""
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile

from bar_chart import bar_charts

BUILD = os.environ["TERN_BUILD"]
PEERS = os.environ["PEERS"]
MODELS = {"MiniLM": os.environ["TERN_REPO"] + "/models/sst2-minilm",
          "BERT-base": PEERS + "/bert-base/ternary"}
CLIENTS = 32  # a core
TICK = os.sysconf("SC_CLK_TCK")
own_cores = sorted(os.sched_getaffinity(0))
sentences = [line.split("\t")[0] for line in
             (pathlib.Path(os.environ["TERN_DATA"]) / "data/SST-2/dev.tsv").read_text().splitlines()[1:257]]


def tool(name, *arguments, stdin=None, cores=None):
    command = [*(["taskset", "-c", ",".join(map(str, cores))] if cores else []), f"{BUILD}/{name}", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, input=stdin, text=True).stdout


def batch_times(model):
    """(seconds of a batch, seconds of each of its tokens): a line through measured batches."""
    points = []
    for sequences in (1, 4, 12, 40):
        run = json.loads(tool("bin/tern-bench", "time", model, "--tokens=25", f"--sequences={sequences}", "--seconds=1"))
        points.append((run["tokens"], statistics.median(run["pass_seconds"])))
    # Least squares of relative errors: minimize sum (1 - (a + b t) / s)^2.
    u = [(1 / s, t / s) for t, s in points]
    aa, ab, bb = (sum(x[i] * x[j] for x in u) for i, j in ((0, 0), (0, 1), (1, 1)))
    a, b = (sum(x[i] for x in u) for i in (0, 1))
    determinant = aa * bb - ab * ab
    seconds = (a * bb - b * ab) / determinant, (aa * b - ab * a) / determinant
    return seconds if seconds[0] > 0 else (0, b / bb)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def serve(model, cores):
    """Requests a second, and the CPU seconds of server and client for each."""
    command = ["taskset", "-c", ",".join(map(str, cores)), f"{BUILD}/bin/tern-server", "--listen=127.0.0.1:0",
               "--metrics-listen=127.0.0.1:0", "--lame-duck=0s", f"--model=m={model}"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    target = next(match[1] for line in server.stdout if (match := re.match(r"listening on (\S+)", line)))
    tool("bin/tern", "health", "--server", target, "--wait", "60s")
    before = cpu_seconds(server.pid), resource.getrusage(resource.RUSAGE_CHILDREN)
    run = json.loads(tool("bin/tern", "bench", "--server", target, "--clients", CLIENTS * len(cores), "--seconds", "5s",
                          "--warm-up", "0s", "--json", stdin="\n".join(sentences) + "\n", cores=cores))
    after = cpu_seconds(server.pid), resource.getrusage(resource.RUSAGE_CHILDREN)
    server.terminate()
    server.stdout.read()
    server.wait()
    requests = run["answered"]
    client = sum(getattr(after[1], x) - getattr(before[1], x) for x in ("ru_utime", "ru_stime"))
    return run["requestsPerSecond"], (after[0] - before[0]) / requests, client / requests


def simulate(batch, token, call, model_bytes, bandwidth, cores, lengths):
    return json.loads(tool("tests/server/core_simulation", batch, token, max(call, 0), model_bytes, bandwidth, cores,
                           CLIENTS * cores, stdin=" ".join(map(str, lengths))))


worst, charts = 0, []
for name, model in MODELS.items():
    batch, token = batch_times(model)
    profile = tool("bin/tern-bench", "profile", model, f"--threads={len(own_cores)}", "--seconds=1")
    bandwidth = 1e9 * float(re.search(r"read ([\d.]+) GB/s", profile)[1])
    model_bytes = (pathlib.Path(model) / "model.safetensors").stat().st_size
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as texts:
        texts.write("\n".join(sentences) + "\n")
        texts.flush()
        run = json.loads(tool("bin/tern-bench", "time", model, f"--texts={texts.name}", "--seconds=1"))
    mean_length = round(run["tokens"] / run["sequences"])
    lengths = [mean_length - 8, mean_length, mean_length + 8]
    engine = token * mean_length + batch * mean_length / 1024
    print(f"{name}: a batch {1e3 * batch:.2f} ms and {1e6 * token:.1f} us a token; {mean_length} tokens a sentence; "
          f"weights {model_bytes / 1e6:.1f} MB; memory {bandwidth / 1e9:.1f} GB/s")
    served, server_cpu, client_cpu = serve(model, own_cores[:1])
    call = server_cpu - engine
    print(f"  1 core with the clients on it: {served:.0f} requests a second; a call costs {1e6 * call:.0f} us, "
          f"its client {1e6 * client_cpu:.0f}")
    served, _, _ = serve(model, own_cores)
    foretold = simulate(batch, token, call + client_cpu, model_bytes, bandwidth, len(own_cores), lengths)
    ratio = foretold["requestsPerSecond"] / served
    worst = max(worst, abs(ratio - 1))
    print(f"  {len(own_cores)} cores with the clients on them: {served:.0f} requests a second, foretold from one core "
          f"{foretold['requestsPerSecond']:.0f} ({ratio:.2f})")
    rates = {}
    for cores in (1, 2, 4, 8, 16, 32, 64):
        share = bandwidth * cores / len(own_cores)
        alone = simulate(batch, token, call, model_bytes, bandwidth, cores, lengths)
        grown = simulate(batch, token, call, model_bytes, share, cores, lengths)
        rates[cores] = grown["requestsPerSecond"]
        print(f"  {cores:2} cores, clients elsewhere: {grown['requestsPerSecond']:8.0f} requests a second, "
              f"{grown['requestsPerSecond'] / rates[1]:5.2f} times one, p50 {1e3 * grown['p50']:6.1f} ms, "
              f"p99 {1e3 * grown['p99']:6.1f}; with this machine's memory {alone['requestsPerSecond']:8.0f}; "
              f"the scheduler's lock would carry {1 / grown['schedulerSecondsPerRequest']:9.0f}")
    charts.append((f"{name}: thousand requests a second", "cores, simulated",
                   {cores: rate / 1e3 for cores, rate in rates.items()}))

if len(sys.argv) > 1:
    pathlib.Path(sys.argv[1]).write_text(bar_charts(charts))
print(f"foretold from one core what {len(own_cores)} serve within {100 * worst:.0f}% (bar 15)")
sys.exit(worst > 0.15)
