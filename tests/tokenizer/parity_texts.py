"""The texts on which Tern's tokenizer is compared with Hugging Face's."""

import glob
import json
import os
import random

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

# (task, columns of its two texts in dev.tsv)
PAIR_COLUMNS = [("MRPC", 3, 4), ("RTE", 1, 2), ("QNLI", 1, 2), ("STS-B", 7, 8)]


def _rows(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def glue_texts(data):
    """Every distinct field of every TSV."""
    texts = set()
    for path in sorted(glob.glob(os.path.join(data, "*", "*.tsv"))):
        texts.update(field for row in _rows(path) for field in row)
    return sorted(texts)


def glue_pairs(data):
    pairs = set()
    for task, first, second in PAIR_COLUMNS:
        for path in sorted(glob.glob(os.path.join(data, task, "*.tsv"))):
            pairs.update((row[first], row[second])
                         for row in _rows(path)[1:] if len(row) > max(first, second))
    return sorted(pairs)


def squad_questions(data):
    """Every distinct (question, context)."""
    pairs = set()
    for path in sorted(glob.glob(os.path.join(data, "squad", "*.json"))):
        with open(path, encoding="utf-8") as file:
            for article in json.load(file)["data"]:
                for paragraph in article["paragraphs"]:
                    pairs.update((question["question"], paragraph["context"])
                                 for question in paragraph["qas"])
    return sorted(pairs)


def all_code_points():
    return (chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)


def code_point_texts(per_text=16):
    """All code points, each alone, inside a word and among marks of every
    kind of canonical order that survives accent stripping. In planes 4 to 13,
    where nothing is assigned, only alone and inside a word."""
    def around(c):
        if 0x40000 <= ord(c) < 0xE0000:
            return f"{c} a{c}b"
        return (f"{c} a{c}b \u1b44{c}\U0001d165{c}\u302e{c}\u0323Z{c}"
                f"\u1b44\u0301\u302e{c}\u1b44")
    texts, batch = [], []
    for c in all_code_points():
        batch.append(around(c))
        if len(batch) == per_text:
            texts.append(" ".join(batch))
            batch = []
    return texts + [" ".join(batch)] * bool(batch)


# Ranges from which nasty strings are drawn.
_RANGES = {
    "ascii": [(0x20, 0x7E)],
    "controls": [(0x00, 0x1F), (0x7F, 0x9F), (0x200B, 0x200F), (0x2028, 0x202E),
                 (0x2060, 0x206F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFD), (0xAD, 0xAD)],
    "spaces": [(0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680),
               (0x2000, 0x200A), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)],
    "latin": [(0xC0, 0x24F), (0x1E00, 0x1EFF)],
    "marks": [(0x300, 0x36F), (0x483, 0x489), (0x591, 0x5BD), (0x610, 0x61A), (0x64B, 0x65F),
              (0x900, 0x903), (0x93C, 0x94D), (0xF71, 0xF84), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF),
              (0x20D0, 0x20F0), (0x302A, 0x302F), (0x1D165, 0x1D172), (0x1E8D0, 0x1E8D6)],
    "kept_marks": [(0x1B44, 0x1B44), (0x1D165, 0x1D166), (0x302E, 0x302F), (0x1BF2, 0x1BF3),
                   (0x16FF0, 0x16FF1), (0x111C0, 0x111C0), (0x344, 0x344), (0xF73, 0xF73)],
    "greek": [(0x370, 0x3FF), (0x1F00, 0x1FFF)],
    "sigma": [(0x3A3, 0x3A3), (0x3C2, 0x3C3), (0x41, 0x42)],
    "turkish": [(0x130, 0x131), (0x49, 0x49), (0x69, 0x69), (0x307, 0x307)],
    "cyrillic": [(0x400, 0x52F), (0x2DE0, 0x2DFF)],
    "indic": [(0x900, 0xDFF)],
    "thai": [(0xE00, 0xEFF)],
    "arabic": [(0x590, 0x6FF)],
    "hangul": [(0xAC00, 0xD7A3), (0x1100, 0x11FF), (0xA960, 0xA97F), (0xD7B0, 0xD7FF)],
    "kana": [(0x3040, 0x30FF), (0xFF00, 0xFFEF)],
    "cjk": [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xF900, 0xFAFF), (0x20000, 0x2FA1F),
            (0x3000, 0x303F), (0x30000, 0x3134F)],
    "ligatures": [(0xFB00, 0xFB4F), (0x132, 0x133), (0x1F1, 0x1F3), (0xFDFA, 0xFDFB)],
    "emoji": [(0x1F300, 0x1FAFF), (0x200D, 0x200D), (0xFE0E, 0xFE0F), (0x1F3FB, 0x1F3FF),
              (0x1F1E6, 0x1F1FF), (0xE0020, 0xE007F)],
    "symbols": [(0x2010, 0x2BFF), (0x1D400, 0x1D7FF)],
    "private": [(0xE000, 0xF8FF), (0xF0000, 0xFFFFF), (0x100000, 0x10FFFF)],
    "any_bmp": [(0x00, 0xD7FF), (0xE000, 0xFFFF)],
    "any": [(0x10000, 0x10FFFF)],
    "new_case": [(0x1C80, 0x1C8A), (0xA7C0, 0xA7DC), (0x10D50, 0x10D85), (0x16EA0, 0x16ED3)],
}


def _draw(rng, kind):
    first, last = rng.choice(_RANGES[kind])
    return chr(rng.randint(first, last))


def nasty_texts(count, vocabulary, seed):
    """`count` strings, each a mixture of a few kinds of trouble."""
    rng = random.Random(seed)
    kinds = sorted(_RANGES)
    pieces = [token[2:] if token.startswith("##") else token for token in vocabulary]
    texts = []
    for _ in range(count):
        own_kinds = rng.sample(kinds, rng.randint(1, 4))
        parts = []
        for _ in range(rng.choice([1, 2, 3, 5, 8, 13, 40])):
            choice = rng.random()
            if choice < 0.60:
                parts.append("".join(_draw(rng, rng.choice(own_kinds))
                                     for _ in range(rng.randint(1, 6))))
            elif choice < 0.75:
                piece = rng.choice(pieces)
                parts.append(rng.choice([piece, piece.upper(), piece.title()]))
            elif choice < 0.82:
                token = rng.choice(SPECIAL_TOKENS)
                parts.append(rng.choice([token, token, token.lower(), token[:-1], "[" + token]))
            elif choice < 0.90:
                parts.append(rng.choice([" ", "  ", "\n", "\t", ".", "##", "'", "-"]))
            elif choice < 0.98:
                parts.append(_draw(rng, "any_bmp") + _draw(rng, "marks") * rng.randint(1, 4))
            else:  # about the limit of 100 characters a word
                parts.append(_draw(rng, rng.choice(own_kinds)) * rng.choice([99, 100, 101, 180]))
        texts.append("".join(parts))
    return texts
