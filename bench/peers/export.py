#!/usr/bin/env python3
"""Makes the models that peers run, of one BERT shape.

Usage: export.py bert-base|minilm VOCAB OUT

OUT gets hf/ (a Hugging Face folder), fused.onnx and int8.onnx, int8_rr.onnx for
ONNX Runtime. Weights are random, from a fixed seed, unless OUT/hf is there
already: no engine's speed depends on them. Runs in script/reference-python's
torch group with onnx and onnxruntime.
"""

import pathlib
import shutil
import sys

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from transformers import BertConfig, BertForSequenceClassification

SHAPES = {
    "bert-base": dict(),
    "minilm": dict(hidden_size=384, num_hidden_layers=6, intermediate_size=1536),
}


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask,
                          token_type_ids=token_type_ids, return_dict=False)[0]


def hugging_face_folder(shape, vocabulary, folder):
    if not (folder / "model.safetensors").exists():
        torch.manual_seed(0)
        BertForSequenceClassification(BertConfig(**SHAPES[shape])).save_pretrained(folder)
        shutil.copy(vocabulary, folder / "vocab.txt")
    return BertForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager").eval()


def export_fused(model, out):
    ids = torch.randint(1000, 30000, (2, 16))
    mask = torch.ones_like(ids)
    types = torch.zeros_like(ids)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "tokens"} for name in names}
    plain = str(out / "plain.onnx")
    torch.onnx.export(Logits(model), (ids, mask, types), plain, input_names=names,
                      output_names=["logits"], dynamic_axes={**axes, "logits": {0: "batch"}},
                      opset_version=17, dynamo=False)
    optimizer.optimize_model(
        plain, "bert", num_heads=model.config.num_attention_heads,
        hidden_size=model.config.hidden_size, optimization_options=FusionOptions("bert"),
        opt_level=0).save_model_to_file(str(out / "fused.onnx"))


def quantize(out, name, reduce_range):
    quantize_dynamic(str(out / "fused.onnx"), str(out / name), weight_type=QuantType.QInt8,
                     per_channel=True, reduce_range=reduce_range,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})


def main():
    shape, vocabulary, out = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    model = hugging_face_folder(shape, vocabulary, out / "hf")
    export_fused(model, out)
    quantize(out, "int8.onnx", reduce_range=False)
    quantize(out, "int8_rr.onnx", reduce_range=True)


if __name__ == "__main__":
    main()
