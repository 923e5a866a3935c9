#!/usr/bin/env python3
# Speaks to a running tern-server's HTTP port with Triton's own client and
# compares what it gets with tern.v1's answers.
"""Usage: http_tritonclient.py TARGET DEV_TSV DEV_JSON REPLY_JSON

TARGET serves "sst2". DEV_JSON is what `tern classify --json --logits` says of the
sentences in DEV_TSV; REPLY_JSON is what POST /v1/classify says of them.
"""

import json
import sys
from importlib import metadata

import numpy
import tritonclient.http
from tritonclient.http import InferInput, InferRequestedOutput

BATCH = 32


def infer(client, texts, binary):
    tensor = InferInput("TEXT", [len(texts), 1], "BYTES")
    tensor.set_data_from_numpy(numpy.array([[text.encode()] for text in texts], dtype=object),
                               binary_data=binary)
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in ("LABEL", "LOGITS")]
    result = client.infer("sst2", [tensor], outputs=outputs)
    return result.as_numpy("LABEL"), result.as_numpy("LOGITS")


def main():
    target, dev_tsv, dev_json, reply_json = sys.argv[1:]
    texts = [line.split("\t")[0] for line in open(dev_tsv).read().splitlines()[1:]]
    expected = [json.loads(line) for line in open(dev_json)]
    logits = numpy.array([result["logits"] for result in expected], dtype=numpy.float32)
    best = [result["labels"][0]["label"].encode() for result in expected]

    replies = json.load(open(reply_json))["results"]
    found = numpy.array([result["logits"] for result in replies], dtype=numpy.float32)
    assert (found == logits).all(), "POST /v1/classify differs from tern classify"

    with tritonclient.http.InferenceServerClient(target) as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("sst2") and not client.is_model_ready("absent")
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        assert client.get_model_metadata("sst2")["inputs"][0]["name"] == "TEXT"
        assert client.get_model_config("sst2")["backend"] == "tern"
        assert client.get_model_repository_index()[0]["state"] == "READY"
        for binary in (False, True):
            for first in range(0, len(texts), BATCH):
                part = slice(first, first + BATCH)
                labels, found = infer(client, texts[part], binary)
                assert (found == logits[part]).all(), (binary, first)
                assert [str(label[0]).encode() if isinstance(label[0], str) else label[0]
                        for label in labels] == best[part], (binary, first)
        statistics = client.get_inference_statistics("sst2")["model_stats"][0]
        assert statistics["inference_count"] >= 3 * len(texts), statistics
    print(f"curl and tritonclient[http] {metadata.version('tritonclient')}: 3 ways x {len(texts)} "
          "texts, 0 logits differ; statuses 200, 400, 404, 413, 504 as expected")


if __name__ == "__main__":
    main()
