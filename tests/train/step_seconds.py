#!/usr/bin/env python3
# The clock of script/figures/train-speed: steps of tern-train beside PyTorch's.
"""step_seconds.py TERN_TRAIN MODEL DATA WORK [STEPS]: exits 0 where tern-train is no slower."""

import json
import os
import random
import statistics
import subprocess
import sys
import time

import torch
from transformers import BertForSequenceClassification, BertTokenizer

WARM_UP = 10
BATCH = 32
POOL = 32  # batches sorted by length together, as train/batches.cc does


def tern_seconds(program, model, data, work, command, compute, steps):
    """Seconds of each step, from the log."""
    out = f"{work}/{command}-{compute}"
    subprocess.run(["rm", "-rf", out], check=True)
    done = subprocess.run(
        [program, command, f"--from={model}", "--task=sst-2", f"--data={data}",
         f"--out={out}", f"--stop-after={steps}", f"--compute={compute}",
         f"--threads={torch.get_num_threads()}", "--checkpoint-interval=1h"],
        stderr=subprocess.DEVNULL)
    assert done.returncode == 3, "tern-train stops after the asked steps with 3"
    lines = [json.loads(line) for line in open(f"{out}/log.jsonl")]
    return [line["seconds"] for line in lines if line["event"] == "step"][WARM_UP:]


def batches(data, tokenizer, steps):
    with open(f"{data}/train.tsv") as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1:]
    random.Random(1).shuffle(rows)
    pools = -(-steps // POOL)
    made = []
    for p in range(pools):
        pool = rows[p * POOL * BATCH:(p + 1) * POOL * BATCH]
        texts = tokenizer([text for text, _ in pool], truncation=True, max_length=128)
        order = sorted(range(len(pool)), key=lambda i: len(texts["input_ids"][i]))
        for start in range(0, len(order), BATCH):
            chosen = order[start:start + BATCH]
            features = tokenizer.pad(
                [{key: texts[key][i] for key in texts} for i in chosen], return_tensors="pt")
            features["labels"] = torch.tensor([int(pool[i][1]) for i in chosen])
            made.append(features)
    random.Random(2).shuffle(made)
    return made[:steps]


def torch_seconds(model, data, steps):
    tokenizer = BertTokenizer(f"{model}/vocab.txt", do_lower_case=True)
    bert = BertForSequenceClassification.from_pretrained(model, dtype=torch.float32)
    bert.train()
    optimizer = torch.optim.AdamW(bert.parameters(), lr=1e-5)
    seconds = []
    for features in batches(data, tokenizer, steps):
        start = time.perf_counter()
        loss = bert(**features).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(bert.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        seconds.append(time.perf_counter() - start)
    return seconds[WARM_UP:]


def main():
    program, model, data, work = sys.argv[1:5]
    steps = int(sys.argv[5]) if len(sys.argv) > 5 else 74
    torch.set_num_threads(int(os.environ.get("TERN_TRAIN_THREADS", os.cpu_count())))
    # In turns, so that what else runs on the machine hits all alike.
    runs = {"PyTorch f32": [], "tern-train f32": [], "tern-train auto": [],
            "tern-train ternarize auto": []}
    for _ in range(2):
        runs["PyTorch f32"].append(torch_seconds(model, data, steps))
        for name, command, compute in (("tern-train f32", "finetune", "f32"),
                                       ("tern-train auto", "finetune", "auto"),
                                       ("tern-train ternarize auto", "ternarize", "auto")):
            runs[name].append(
                tern_seconds(program, model, data, work, command, compute, steps))
    best = {name: min(statistics.fmean(run) for run in turns) for name, turns in runs.items()}
    for name, seconds in best.items():
        print(f"{name}: {seconds * 1000:.0f} ms a step")
    ratio = best["PyTorch f32"] / best["tern-train f32"]
    auto = best["PyTorch f32"] / best["tern-train auto"]
    print(f"tern-train's step is {ratio:.2f} times as fast as PyTorch's in f32, {auto:.2f} times "
          f"in its own choice ({torch.get_num_threads()} threads; bar 1.00)")
    sys.exit(auto < 1 or ratio < 1)


if __name__ == "__main__":
    main()
