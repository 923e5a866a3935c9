#!/usr/bin/env python3
# Speaks to a running tern-server with Triton's own gRPC client and compares
# what it gets with tern.v1's answers.
"""Usage: oip_tritonclient.py TARGET DEV_TSV DEV_JSON CONTEXT ANSWERS_JSON

TARGET serves "sst2" and "qa". DEV_JSON is what `tern classify --json --logits`
says of the sentences in DEV_TSV, ANSWERS_JSON what `tern answer --json` says of
QUESTIONS about CONTEXT. Exits 1 with the difference where there is one.
"""

import asyncio
import json
import queue
import sys
from importlib import metadata

import numpy
import tritonclient.grpc
import tritonclient.grpc.aio
from tritonclient.grpc import InferInput, InferRequestedOutput, service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

BATCH = 32
QUESTIONS = ["What is Tern?", "How fast?"]
STREAMED = 512  # requests on one stream before the first answer is read


def text_input(name, texts, shape=None):
    tensor = InferInput(name, shape or [len(texts), 1], "BYTES")
    tensor.set_data_from_numpy(
        numpy.array([text.encode() for text in texts], dtype=object).reshape(tensor.shape()))
    return tensor


def batches(texts):
    return [texts[i:i + BATCH] for i in range(0, len(texts), BATCH)]


def by_sync(target, texts):
    with tritonclient.grpc.InferenceServerClient(target) as client:
        for batch in batches(texts):
            yield client.infer("sst2", [text_input("TEXT", batch)]).as_numpy("LOGITS")


def by_callbacks(target, texts):
    results = queue.Queue()
    with tritonclient.grpc.InferenceServerClient(target) as client:
        for i, batch in enumerate(batches(texts)):
            client.async_infer(
                "sst2", [text_input("TEXT", batch, [len(batch)])], request_id=str(i),
                callback=lambda result, error: results.put((result, error)))
        answers = {}
        for _ in batches(texts):
            result, error = results.get(timeout=120)
            assert error is None, error
            answers[int(result.get_response().id)] = result.as_numpy("LOGITS")
    return [answers[i] for i in sorted(answers)]


def by_asyncio(target, texts):
    async def infer():
        async with tritonclient.grpc.aio.InferenceServerClient(target) as client:
            results = await asyncio.gather(*[
                client.infer("sst2", [text_input("TEXT", batch)],
                             outputs=[InferRequestedOutput("LOGITS")])
                for batch in batches(texts)])
            return [result.as_numpy("LOGITS") for result in results]
    return asyncio.run(infer())


def by_stream(target, texts):
    """One text a request; every seventh is for a model that is not served."""
    results = queue.Queue()
    with tritonclient.grpc.InferenceServerClient(target) as client:
        client.start_stream(lambda result, error: results.put((result, error)))
        for first in range(0, len(texts), STREAMED):
            part = texts[first:first + STREAMED]
            for i, text in enumerate(part):
                if i % 7 == 3:
                    client.async_stream_infer("absent", [text_input("TEXT", [text])])
                client.async_stream_infer("sst2", [text_input("TEXT", [text])])
            for i in range(len(part)):
                if i % 7 == 3:
                    _, error = results.get(timeout=120)
                    assert "unknown model: 'absent'" in error.message(), error
                result, error = results.get(timeout=120)
                assert error is None, error
                yield result.as_numpy("LOGITS")
        client.stop_stream()


def by_typed_contents(target, texts):
    """As clients write requests that do not know raw contents (KServe's)."""
    import grpc
    with grpc.insecure_channel(target) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for batch in batches(texts):
            request = service_pb2.ModelInferRequest(model_name="sst2")
            tensor = request.inputs.add(name="TEXT", datatype="BYTES", shape=[len(batch)])
            tensor.contents.bytes_contents.extend(text.encode() for text in batch)
            response = stub.ModelInfer(request)
            index = [output.name for output in response.outputs].index("LOGITS")
            yield numpy.frombuffer(response.raw_output_contents[index],
                                   numpy.float32).reshape(len(batch), -1)


def check_answers(target, context, expected):
    with tritonclient.grpc.InferenceServerClient(target) as client:
        result = client.infer("qa", [text_input("QUESTION", QUESTIONS),
                                     text_input("CONTEXT", [context] * len(QUESTIONS))])
    for i, answer in enumerate(expected):
        best = answer["answers"][0]
        assert result.as_numpy("ANSWER")[i, 0].decode() == best["text"], (i, best)
        assert result.as_numpy("SCORE")[i, 0] == numpy.float32(best["score"]), (i, best)
        start, end = (int(result.as_numpy(name)[i, 0]) for name in ("START", "END"))
        assert context[start:end] == best["text"], (i, start, end)


def check_descriptions(target, texts):
    with tritonclient.grpc.InferenceServerClient(target) as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("sst2") and not client.is_model_ready("absent")
        server = client.get_server_metadata()
        assert server.name == "tern", server
        model = client.get_model_metadata("sst2")
        assert [tensor.name for tensor in model.inputs][:1] == ["TEXT"], model
        assert client.get_model_config("sst2").config.backend == "tern"
        index = client.get_model_repository_index().models
        assert [(m.name, m.state) for m in index] == [("qa", "READY"), ("sst2", "READY")], index
        statistics = client.get_inference_statistics("sst2").model_stats[0]
        assert statistics.inference_count >= len(texts), statistics
        classes = client.infer(
            "sst2", [text_input("TEXT", texts[:2])],
            outputs=[InferRequestedOutput("LOGITS", class_count=1)]).as_numpy("LOGITS")
        assert all(c[0].decode().count(":") == 2 for c in classes), classes
        for message, call in [
                ("Request for unknown model: 'absent' is not found",
                 lambda: client.infer("absent", [text_input("TEXT", ["x"])])),
                # The client's words or, where it wakes up late, the server's.
                ("deadline", lambda: client.infer("sst2", [text_input("TEXT", texts[:BATCH])],
                                                  client_timeout=1e-6)),
                ("deadline", lambda: client.infer("sst2", [text_input("TEXT", texts[:BATCH])],
                                                  timeout=1)),
                ("unexpected shape for input 'TEXT'",
                 lambda: client.infer("sst2", [text_input("TEXT", ["a", "b"], [1, 2])])),
                ("", lambda: client.get_trace_settings())]:
            try:
                call()
            except InferenceServerException as error:
                assert message.lower() in error.message().lower(), (message, error)
            else:
                raise AssertionError(f"expected an error with {message!r}")


def main():
    target, dev_tsv, dev_json, context_file, answers_json = sys.argv[1:]
    texts = [line.split("\t")[0] for line in open(dev_tsv).read().splitlines()[1:]]
    expected = numpy.array([json.loads(line)["logits"] for line in open(dev_json)],
                           dtype=numpy.float32)
    ways = [by_sync, by_callbacks, by_asyncio, by_stream, by_typed_contents]
    for way in ways:
        logits = numpy.concatenate(list(way(target, texts)))
        assert logits.shape == expected.shape, (way.__name__, logits.shape)
        different = numpy.flatnonzero((logits != expected).any(axis=1))
        if len(different):
            i = different[0]
            sys.exit(f"{way.__name__}: {len(different)} texts differ; first {texts[i]!r}: "
                     f"expected {expected[i]}, found {logits[i]}")
        print(f"{way.__name__}: {len(texts)} texts, equal bits")
    answers = [json.loads(line) for line in open(answers_json)]
    assert len(answers) == len(QUESTIONS), answers
    check_answers(target, open(context_file).read(), answers)
    check_descriptions(target, texts)
    print(f"tritonclient {metadata.version('tritonclient')}: "
          f"{len(ways)} ways x {len(texts)} texts, 0 logits differ; "
          f"{len(answers)} answers, descriptions and 5 errors as expected")


if __name__ == "__main__":
    main()
