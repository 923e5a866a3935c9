#!/usr/bin/env python3
"""Makes what ONNX Runtime and OpenVINO read of a Hugging Face folder.

Usage: export.py OUT

OUT/hf is a BERT classifier; OUT gets plain.onnx, fused.onnx (by ONNX Runtime's
own optimizer) and of that int8.onnx and int8_rr.onnx (reduced range, for CPUs
without VNNI). Runs in script/reference-python's torch group with onnx and
onnxruntime.
"""

import pathlib
import sys

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from transformers import BertForSequenceClassification


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask,
                          token_type_ids=token_type_ids, return_dict=False)[0]


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
    out = pathlib.Path(sys.argv[1])
    model = BertForSequenceClassification.from_pretrained(
        out / "hf", attn_implementation="eager").eval()
    export_fused(model, out)
    quantize(out, "int8.onnx", reduce_range=False)
    quantize(out, "int8_rr.onnx", reduce_range=True)


if __name__ == "__main__":
    main()
