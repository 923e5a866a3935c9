#!/usr/bin/env python3
"""Makes OUT/openvino_int8.xml of OUT/plain.onnx, which export.py made.

Usage: export_openvino.py OUT SST2_DEV_TSV

W8A8 by NNCF's post-training quantization for transformers, calibrated on 128
sentences. Runs in a Python with openvino, nncf and tokenizers.
"""

import csv
import pathlib
import sys

import nncf
import numpy as np
import openvino
from tokenizers import BertWordPieceTokenizer


def main():
    out = pathlib.Path(sys.argv[1])
    tokenizer = BertWordPieceTokenizer(str(out / "hf/vocab.txt"), lowercase=True)
    with open(sys.argv[2]) as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        sentences = [row["sentence"] for row in rows][:128]

    def inputs(sentence):
        ids = np.array([tokenizer.encode(sentence).ids], np.int64)
        return {"input_ids": ids, "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids)}

    model = nncf.quantize(
        openvino.convert_model(out / "plain.onnx"), nncf.Dataset(sentences, inputs),
        model_type=nncf.ModelType.TRANSFORMER, subset_size=len(sentences),
        preset=nncf.QuantizationPreset.MIXED, fast_bias_correction=True)
    openvino.save_model(model, out / "openvino_int8.xml")


if __name__ == "__main__":
    main()
