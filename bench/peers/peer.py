#!/usr/bin/env python3
"""One engine that users run today, for compare.py to time.

Usage: peer.py onnxruntime|openvino|torch MODEL THREADS

MODEL is an .onnx file, an .xml file, or a Hugging Face folder (torch: dynamic
int8). Reads a JSON object a line: {"batches": [[[id, ...], ...], ...],
"seconds": S}; runs passes over the batches, each padded to its longest
sequence, for S seconds after a first one; answers {"pass_seconds": [...]}.
"""

import json
import os
import sys
import time

for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(variable, None)

import numpy as np


def load_onnxruntime(model, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def load_openvino(model, threads):
    import openvino
    compiled = openvino.Core().compile_model(model, "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads), "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    names = [value.get_any_name() for value in compiled.inputs]
    return lambda inputs: request.infer({name: inputs[name] for name in names},
                                        share_inputs=True)[0]


def load_torch(model, threads):
    import torch
    from transformers import BertForSequenceClassification
    torch.set_num_threads(threads)
    module = torch.ao.quantization.quantize_dynamic(
        BertForSequenceClassification.from_pretrained(model).eval(), {torch.nn.Linear},
        dtype=torch.qint8)

    def run(inputs):
        with torch.inference_mode():
            return module(**{name: torch.from_numpy(x) for name, x in inputs.items()}).logits
    return run


def padded(batch):
    shape = (len(batch), max(map(len, batch)))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, sequence in enumerate(batch):
        ids[row, :len(sequence)] = sequence
        mask[row, :len(sequence)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def main():
    engine, model, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    run = {"onnxruntime": load_onnxruntime, "openvino": load_openvino,
           "torch": load_torch}[engine](model, threads)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        batches = [padded(batch) for batch in order["batches"]]

        def one_pass():
            start = time.perf_counter()
            for batch in batches:
                assert np.isfinite(np.asarray(run(batch))).all()
            return time.perf_counter() - start

        one_pass()
        seconds, end = [], time.perf_counter() + order["seconds"]
        while not seconds or time.perf_counter() < end:
            seconds.append(one_pass())
        print(json.dumps({"pass_seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
