"""Speaks to tern-tokenizer-stream: encodes many texts in one call."""

import os
import struct
import subprocess

import numpy

TEXT, PAIR, WINDOWS = range(3)


def program():
    return os.path.join(os.environ["TERN_BUILD"], "tests", "tokenizer",
                        "tern-tokenizer-stream")


def encode(folder, kind, inputs, max_tokens, stride=0):
    """The encodings of each input, as (ids, type_ids, offsets, truncated).

    An input is a string, or a pair of them for PAIR and WINDOWS.
    """
    requests = []
    for item in inputs:
        text, pair = (item, "") if kind == TEXT else item
        text, pair = text.encode(), pair.encode()
        requests += [struct.pack("=5i", kind, max_tokens, stride, len(text), len(pair)),
                     text, pair]
    answer = subprocess.run([program(), folder], input=b"".join(requests),
                            stdout=subprocess.PIPE, check=True).stdout
    numbers = numpy.frombuffer(answer, numpy.int32)
    at = 0
    for _ in inputs:
        encodings = []
        count, at = numbers[at], at + 1
        for _ in range(count):
            size, _, truncated = numbers[at:at + 3]
            at += 3
            ids, type_ids = numbers[at:at + size], numbers[at + size:at + 2 * size]
            offsets = numbers[at + 2 * size:at + 4 * size].reshape(size, 2)
            at += 4 * size
            encodings.append((ids, type_ids, offsets, bool(truncated)))
        yield encodings
    assert at == len(numbers)
