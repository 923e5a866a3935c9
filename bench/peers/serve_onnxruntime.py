#!/usr/bin/env python3
"""Serves an int8 BERT by ONNX Runtime over tern.v1's Classify: what a team
would write in an afternoon, as a peer for tern-server.

Usage: serve_onnxruntime.py MODEL.onnx VOCAB PROTO_FOLDER [MAX_BATCH]

Requests that wait are padded into one batch, at most MAX_BATCH (default 8, as
text-embeddings-inference has it with this backend) at a time; the session uses
all cores. Prints "listening on ADDRESS" when it serves.
"""

import os
import queue
import sys
import tempfile
import threading
from concurrent import futures

import grpc
import numpy as np
import onnxruntime
from grpc_tools import protoc
from tokenizers import BertWordPieceTokenizer

MAX_TOKENS = 512


def generated(proto_folder):
    """The modules of inference_service.proto: messages, services."""
    out = tempfile.mkdtemp()
    name = "tern/v1/inference_service"
    status = protoc.main(["protoc", f"-I{proto_folder}", f"--python_out={out}",
                          f"--grpc_python_out={out}", f"{name}.proto"])
    assert status == 0, proto_folder
    sys.path.insert(0, out)
    from tern.v1 import inference_service_pb2, inference_service_pb2_grpc
    return inference_service_pb2, inference_service_pb2_grpc


class Batcher(threading.Thread):
    """Runs what waits, a padded batch at a time."""

    def __init__(self, session, max_batch):
        super().__init__(daemon=True)
        self.session = session
        self.max_batch = max_batch
        self.waiting = queue.SimpleQueue()

    def logits(self, ids):
        result = futures.Future()
        self.waiting.put((ids, result))
        return result.result()

    def run(self):
        while True:
            batch = [self.waiting.get()]
            while len(batch) < self.max_batch and not self.waiting.empty():
                batch.append(self.waiting.get())
            shape = (len(batch), max(len(ids) for ids, _ in batch))
            ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
            for row, (sequence, _) in enumerate(batch):
                ids[row, :len(sequence)] = sequence
                mask[row, :len(sequence)] = 1
            logits = self.session.run(None, {"input_ids": ids, "attention_mask": mask,
                                             "token_type_ids": np.zeros_like(ids)})[0]
            for row, (_, result) in enumerate(batch):
                result.set_result(logits[row])


def main():
    model, vocabulary, proto_folder = sys.argv[1:4]
    max_batch = int(sys.argv[4]) if len(sys.argv) > 4 else 8
    messages, services = generated(proto_folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    # Spinning threads would take the cores from the handlers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    tokenizer = BertWordPieceTokenizer(vocabulary, lowercase=True)
    tokenizer.enable_truncation(MAX_TOKENS)
    batcher = Batcher(session, max_batch)
    batcher.start()

    class Service(services.InferenceServiceServicer):
        def Classify(self, request, context):
            response = messages.ClassifyResponse(model="peer")
            for text in request.inputs:
                logits = batcher.logits(tokenizer.encode(text.text).ids)
                scores = np.exp(logits - logits.max())
                scores /= scores.sum()
                result = response.results.add()
                for index in np.argsort(-scores):
                    result.labels.add(label=f"LABEL_{index}", index=int(index),
                                      score=float(scores[index]))
            return response

    server = grpc.server(futures.ThreadPoolExecutor(64))
    services.add_InferenceServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
