#!/usr/bin/env python3
"""Makes a BERT classifier with random weights as a Hugging Face folder.

Usage: random_bert.py bert-base|minilm VOCAB FOLDER

For timings and memory, which do not depend on the weights. Needs numpy.
"""

import json
import pathlib
import shutil
import struct
import sys

import numpy as np

CONFIG = dict(
    architectures=["BertForSequenceClassification"], model_type="bert", hidden_act="gelu",
    hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
    vocab_size=30522, max_position_embeddings=512, type_vocab_size=2, layer_norm_eps=1e-12,
    pad_token_id=0)
SHAPES = {
    "bert-base": CONFIG,
    "minilm": {**CONFIG, "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6},
}


def linear(name, rows, columns):
    return [(f"{name}.weight", (rows, columns)), (f"{name}.bias", (rows,))]


def norm(name, size):
    return [(f"{name}.LayerNorm.weight", (size,)), (f"{name}.LayerNorm.bias", (size,))]


def tensors(config):
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    yield "bert.embeddings.word_embeddings.weight", (config["vocab_size"], hidden)
    yield "bert.embeddings.position_embeddings.weight", (config["max_position_embeddings"], hidden)
    yield "bert.embeddings.token_type_embeddings.weight", (config["type_vocab_size"], hidden)
    yield from norm("bert.embeddings", hidden)
    for layer in range(config["num_hidden_layers"]):
        name = f"bert.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            yield from linear(f"{name}.attention.self.{part}", hidden, hidden)
        yield from linear(f"{name}.attention.output.dense", hidden, hidden)
        yield from norm(f"{name}.attention.output", hidden)
        yield from linear(f"{name}.intermediate.dense", wide, hidden)
        yield from linear(f"{name}.output.dense", hidden, wide)
        yield from norm(f"{name}.output", hidden)
    yield from linear("bert.pooler.dense", hidden, hidden)
    yield from linear("classifier", 2, hidden)


def values(name, shape, random):
    if name.endswith("LayerNorm.weight"):
        return np.ones(shape, np.float32)
    if name.endswith(".bias"):
        return np.zeros(shape, np.float32)
    return random.standard_normal(shape, np.float32) * np.float32(0.02)


def main():
    config, vocabulary, folder = SHAPES[sys.argv[1]], sys.argv[2], pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors(config):
        begin, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    random = np.random.default_rng(0)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors(config):
            file.write(values(name, shape, random).tobytes())
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.copy(vocabulary, folder / "vocab.txt")


if __name__ == "__main__":
    main()
