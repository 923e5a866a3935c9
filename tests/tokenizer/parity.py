"""Compares Tern's tokenizer with Hugging Face `tokenizers`: every id, type id
and offset, every cut. Run by script/figures/tokenizer-parity.

Usage: parity.py DATA_FOLDER WORK_FOLDER
"""

import json
import os
import sys

import numpy
import tokenizers

import parity_texts
import tern_tokenizer
from tern_tokenizer import PAIR, TEXT, WINDOWS

UNLIMITED = 1 << 24
CHUNK = 4000
STRATEGY = {TEXT: "longest_first", PAIR: "longest_first", WINDOWS: "only_second"}


class Setting:
    """One vocabulary and its rules, in both implementations."""

    def __init__(self, name, folder, vocabulary, lowercase, strip_accents=None):
        self.name = name
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, "vocab.txt"), "w", encoding="utf-8",
                  newline="\n") as file:
            file.writelines(token + "\n" for token in vocabulary)
        with open(os.path.join(self.folder, "tokenizer_config.json"), "w") as file:
            json.dump({"do_lower_case": lowercase, "strip_accents": strip_accents}, file)
        self.reference = tokenizers.BertWordPieceTokenizer(
            vocab={token: i for i, token in enumerate(vocabulary)},
            lowercase=lowercase, strip_accents=strip_accents)


class Comparison:
    """Counts strings and differences; shows the first few."""

    def __init__(self):
        self.strings = 0
        self.differences = 0

    def run(self, what, setting, kind, inputs, max_tokens=UNLIMITED, stride=0):
        before = self.differences
        setting.reference.enable_truncation(max_tokens, stride=stride, strategy=STRATEGY[kind])
        found = tern_tokenizer.encode(setting.folder, kind, inputs, max_tokens, stride)
        for begin in range(0, len(inputs), CHUNK):
            chunk = inputs[begin:begin + CHUNK]
            for item, first in zip(chunk, setting.reference.encode_batch(chunk)):
                theirs = [first] + (first.overflowing if kind == WINDOWS else [])
                problem = self._compare(kind, item, next(found), theirs)
                if problem:
                    self._report(f"{setting.name}: {problem}: {item!r}")
        self.strings += len(inputs)
        print(f"{setting.name}: {what}: {self.differences - before} differences in "
              f"{len(inputs):,}", flush=True)

    def _report(self, problem):
        self.differences += 1
        if self.differences <= 20:
            print(problem, flush=True)

    @staticmethod
    def _compare(kind, item, ours, theirs):
        """What differs first between two lists of encodings, or None."""
        if len(ours) != len(theirs):
            return f"{len(ours)} windows, expected {len(theirs)}"
        text, pair = (item, "") if kind == TEXT else item
        bytes_of = [_byte_positions(text), _byte_positions(pair)]
        for (ids, type_ids, offsets, truncated), reference in zip(ours, theirs):
            if ids.tolist() != reference.ids:
                return f"ids {ids.tolist()}, expected {reference.ids}"
            if type_ids.tolist() != reference.type_ids:
                return f"type ids {type_ids.tolist()}, expected {reference.type_ids}"
            expected = numpy.array(reference.offsets)
            for type_id in (0, 1):
                if bytes_of[type_id] is not None:
                    own = numpy.array(reference.type_ids) == type_id
                    expected[own] = bytes_of[type_id][expected[own]]
            if not numpy.array_equal(offsets, expected):
                return f"offsets {offsets.tolist()}, expected {expected.tolist()}"
            if kind != WINDOWS and truncated != bool(reference.overflowing):
                return f"truncated is {truncated}"
        return None


def _byte_positions(text):
    """Byte position of each code point and of the end; None if all ASCII."""
    if text.isascii():
        return None
    data = numpy.frombuffer(text.encode(), numpy.uint8)
    return numpy.append(numpy.flatnonzero((data & 0xC0) != 0x80), len(data))


def cased_vocabulary(uncased, texts):
    """The uncased tokens, their capitalized forms, and every character seen."""
    tokens = dict.fromkeys(uncased)
    for token in uncased:
        if token.isascii() and token.isalpha():
            tokens.setdefault(token.title())
            tokens.setdefault(token.upper())
    for c in sorted(set().union(*map(set, texts))):
        if not c.isspace():
            tokens.setdefault(c)
            tokens.setdefault("##" + c)
    return list(tokens)


def character_vocabulary(uncased):
    """All code points as words and as continuations: nothing is unknown, so
    offsets show the alignment of every single character."""
    tokens = dict.fromkeys(uncased)
    for c in parity_texts.all_code_points():
        if c not in "\n\r\0":  # cannot stand in a vocab.txt, never reach it
            tokens.setdefault(c)
            tokens.setdefault("##" + c)
    return list(tokens)


def compare_data(comparison, data, settings):
    texts = parity_texts.glue_texts(data)
    pairs = parity_texts.glue_pairs(data)
    questions = parity_texts.squad_questions(data)
    texts += sorted({text for question in questions for text in question})
    for setting in settings:
        comparison.run("texts", setting, TEXT, texts)
        for i, max_tokens in enumerate([2, 3, 16, 128]):
            comparison.run(f"texts cut to {max_tokens}", setting, TEXT, texts[i::16], max_tokens)
        for i, max_tokens in enumerate([3, 4, 5, 16, 31, 48, 128]):
            comparison.run(f"pairs cut to {max_tokens}", setting, PAIR, pairs[i::3], max_tokens)
        # The cut is the same for any vocabulary: all questions once, then some.
        chosen = questions[::1 if setting is settings[0] else 8]
        comparison.run("windows of 384, stride 128", setting, WINDOWS, chosen, 384, 128)
        fitting = [pair for pair in questions if len(pair[0]) < 90]
        comparison.run("windows of 128, stride 32", setting, WINDOWS, fitting[::16], 128, 32)


def compare_nasty(comparison, settings, vocabulary, count):
    texts = parity_texts.nasty_texts(count, vocabulary, seed=1)
    pairs = list(zip(texts[::7], texts[3::7]))
    for setting in settings:
        comparison.run("nasty texts", setting, TEXT, texts)
        comparison.run("nasty texts cut to 9", setting, TEXT, texts[::7], 9)
        comparison.run("nasty pairs cut to 15", setting, PAIR, pairs, 15)


def main(data, work):
    with open(os.path.join(data, "vocab", "bert-base-uncased.txt"), encoding="utf-8",
              newline="\n") as file:
        uncased = file.read().rstrip("\n").split("\n")
    nasty = parity_texts.nasty_texts(20_000, uncased, seed=2)
    plain = [Setting("uncased", work, uncased, lowercase=True),
             Setting("cased", work, cased_vocabulary(uncased, nasty), lowercase=False)]
    comparison = Comparison()
    compare_nasty(comparison, plain, uncased, 60_000)
    compare_data(comparison, data, plain)

    characters = character_vocabulary(uncased)
    for name, rules in {"uncased": (True, None), "cased": (False, None),
                        "lowercase-with-accents": (True, False),
                        "cased-without-accents": (False, True)}.items():
        setting = Setting(f"{name}-characters", work, characters, *rules)
        comparison.run("all code points", setting, TEXT, parity_texts.code_point_texts())
        compare_nasty(comparison, [setting], uncased, 20_000)
    print(f"tokenizer-parity: {comparison.differences} differences in "
          f"{comparison.strings:,} strings")
    return 0 if comparison.differences == 0 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
