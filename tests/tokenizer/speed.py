"""Measures the tokenizer on English, one core, beside Hugging Face's.

Run by script/figures/tokenizer-speed. Usage: speed.py DATA_FOLDER WORK_FOLDER
"""

import json
import os
import shutil
import subprocess
import sys
import time

import tokenizers

import parity_texts

BAR_MB_PER_SECOND = 20


def english(data):
    """SQuAD's contexts and SST-2's sentences."""
    contexts = {context.replace("\n", " ") for _, context in parity_texts.squad_questions(data)}
    with open(os.path.join(data, "SST-2", "train.tsv"), encoding="utf-8") as file:
        sentences = [line.split("\t")[0] for line in file][1:]
    return sorted(contexts) + sentences


def tern_bytes_per_second(folder, text_path):
    """Median of five repetitions, of lines and of the same as one text."""
    program = os.path.join(os.environ["TERN_BUILD"], "bin", "tern-bench-tokenizer")
    report = subprocess.run(
        [program, f"--folder={folder}", f"--text={text_path}", "--benchmark_repetitions=5",
         "--benchmark_min_time=0.5", "--benchmark_format=json"],
        stdout=subprocess.PIPE, check=True).stdout
    return {run["run_name"]: run["bytes_per_second"]
            for run in json.loads(report)["benchmarks"] if run.get("aggregate_name") == "median"}


def reference_bytes_per_second(vocabulary_path, texts):
    """Hugging Face's on the same lines, on one thread."""
    reference = tokenizers.BertWordPieceTokenizer(vocabulary_path, lowercase=True)
    started = time.process_time()
    for begin in range(0, len(texts), 1000):
        reference.encode_batch(texts[begin:begin + 1000])
    return sum(len(text.encode()) for text in texts) / (time.process_time() - started)


def main(data, work):
    vocabulary_path = os.path.join(work, "vocab.txt")
    shutil.copyfile(os.path.join(data, "vocab", "bert-base-uncased.txt"), vocabulary_path)
    texts = english(data)
    text_path = os.path.join(work, "english.txt")
    with open(text_path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(text + "\n" for text in texts)
    ours = tern_bytes_per_second(work, text_path)
    theirs = reference_bytes_per_second(vocabulary_path, texts)
    print(f"{len(texts):,} lines, {os.path.getsize(text_path) / 1e6:.1f} MB; MB/s on one core:")
    for name, speed in ours.items():
        print(f"  Tern, {name:10} {speed / 1e6:8.1f}")
    print(f"  tokenizers {tokenizers.__version__:7} {theirs / 1e6:6.1f}")
    slowest = min(ours.values())
    print(f"tokenizer-speed: {slowest / 1e6:.0f} MB/s of English on one core with offsets, "
          f"{slowest / theirs:.0f} times tokenizers {tokenizers.__version__}")
    return 0 if slowest >= BAR_MB_PER_SECOND * 1e6 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
