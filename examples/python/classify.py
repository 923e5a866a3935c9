#!/usr/bin/env python3
"""Labels texts with a served classifier: classify.py [--server ADDRESS] TEXT..."""

import argparse
import json
import pathlib
import sys

import grpc

# Compiles the proto at import; `python -m grpc_tools.protoc` does it beforehand.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "proto"))
protos, services = grpc.protos_and_services("tern/v1/inference_service.proto")

# gRPC itself retries what the server refuses because it is full or going away,
# and obeys the time that the server says to wait.
SERVICE_CONFIG = json.dumps({"methodConfig": [{
    "name": [{"service": "tern.v1.InferenceService"}],
    "retryPolicy": {
        "maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    },
}]})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="127.0.0.1:8500", help="host:port")
    parser.add_argument("text", nargs="+")
    arguments = parser.parse_args()

    request = protos.ClassifyRequest(
        inputs=[protos.TextInput(text=text) for text in arguments.text], top_k=1)
    with grpc.insecure_channel(
            arguments.server, options=[("grpc.service_config", SERVICE_CONFIG)]) as channel:
        try:
            response = services.InferenceServiceStub(channel).Classify(request, timeout=30)
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
    for text, result in zip(arguments.text, response.results):
        best = result.labels[0]
        print(f"{best.label}\t{best.score:.4f}\t{text}")


if __name__ == "__main__":
    main()
