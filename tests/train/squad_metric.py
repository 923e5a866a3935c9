"""EM and F1 of `tern-train score` beside the algorithm of the official SQuAD
evaluators (Rajpurkar et al. 2016 and 2018), written from its definition.

usage: squad_metric.py TERN_TRAIN SQUAD_FOLDER WORK_FOLDER
"""

import collections
import json
import pathlib
import random
import re
import string
import subprocess
import sys


def normalize(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(predicted, gold, version2):
    p, g = normalize(predicted).split(), normalize(gold).split()
    if version2 and not (p and g):
        return float(p == g)
    same = sum((collections.Counter(p) & collections.Counter(g)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(p), same / len(g)
    return 2 * precision * recall / (precision + recall)


def evaluate(questions, predictions, version2):
    exact = overlap = 0.0
    for question in questions:
        gold = [answer["text"] for answer in question["answers"]]
        if version2:
            gold = [text for text in gold if normalize(text)] or [""]
        predicted = predictions[question["id"]]
        exact += max(float(normalize(predicted) == normalize(g)) for g in gold)
        overlap += max(f1(predicted, g, version2) for g in gold)
    return exact / len(questions), overlap / len(questions)


def questions_of(data):
    return [(paragraph["context"], question)
            for article in data["data"]
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]]


def disturbed(context, question, dice):
    """A gold answer, more or less spoiled, or something else altogether."""
    gold = [answer["text"] for answer in question["answers"]] or [""]
    text = dice.choice(gold)
    words = text.split() or [""]
    return dice.choice([
        lambda: text,
        lambda: "",
        lambda: text.upper(),
        lambda: "The " + text + ".",
        lambda: " ".join(words[1:]),
        lambda: " ".join(words[:-1] + ["an", "a"] + words[-1:]),
        lambda: "\u00a0".join(words + words[:1]),
        lambda: "-".join(words),
        lambda: " ".join(dice.sample(context.split(), 3))
        if len(context.split()) > 3 else context,
        lambda: context[:dice.randrange(80)],
    ])()


# Texts at which normalizations differ: other scripts' capitals, digits, spaces
# and punctuation, articles within and beside words, marks, empty answers.
HARD = [
    "", " ", "the", "The", "a an the", "theatre", "a.m.", "an_apple", "a-b",
    "the-the", "\u00c9cole", "\u00e9cole", "e\u0301cole", "\u0130stanbul",
    "\u03a3\u03a3", "\u03c3\u03c2", "stra\u00dfe", "STRASSE", "\u2163", "\u2173",
    "a\u0301", "a\u0301 b", "the\u0301 b", "\u00bda", "a\u00b2", "a\u0661 b",
    "a\u2014b", "a \u2014 b", "\u2014a\u2014", "\u201cthe\u201d", "x\u00a0y",
    "x\u2003y", "x\u200by", "x\u2028y", "x\x1cy", "x\x85y", "x\ty\nz", "$5",
    "5", "U.S.", "US", "\u4e2d\u6587", "\u4e2d a \u6587", "\u4e2da\u6587",
    "one two two", "two one two", "two two two", "\U0001d400", "\U0001f600 a",
    "\U00010400", "\U00010428", "an\u00adother", "a\u0300n", "\u01c5", "\u01c6",
    "\u1e9e", "a\u203fb", "the\u203f", "_the_", "`a`", "<the>", "a\ufe0f",
]


def hard_questions(version2):
    """Every text beside some others as gold answers, each its own question."""
    questions, predictions = [], {}
    for i, predicted in enumerate(HARD):
        for j, gold in enumerate(HARD):
            texts = [gold, HARD[(i * 7 + j) % len(HARD)]]
            if version2 and (i + j) % 5 == 0:
                texts = []
            question = {"id": f"{i}-{j}", "question": "?", "texts": texts}
            questions.append(question)
            predictions[question["id"]] = predicted
    paragraphs = []
    for question in questions:
        texts = question.pop("texts")
        context = "|".join(texts)
        question["answers"] = [
            {"text": text, "answer_start": context.index(text)} for text in texts]
        if version2:
            question["is_impossible"] = not texts
        paragraphs.append({"context": context, "qas": [question]})
    return {"version": "hard", "data": [{"title": "", "paragraphs": paragraphs}]}, predictions


def main():
    tern_train, squad, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    worst = 0.0
    sets = answers = 0

    def compare(path, data, predictions, version2):
        nonlocal worst, sets, answers
        file = work / "predictions.json"
        file.write_text(json.dumps(predictions), encoding="utf-8")
        line = subprocess.run(
            [tern_train, "score", "--task=squad", f"--dev-file={path}",
             f"--predictions={file}"], check=True, capture_output=True, text=True).stdout
        found = json.loads(line)["metrics"]
        exact, overlap = evaluate(
            [question for _, question in questions_of(data)], predictions, version2)
        difference = max(abs(found["exact_match"] - exact), abs(found["f1"] - overlap))
        print(f"{path.name}: EM {found['exact_match']:.6f} F1 {found['f1']:.6f}, "
              f"difference {difference:.1e}")
        worst = max(worst, difference)
        sets += 1
        answers += len(predictions)

    for name, version2 in [("dev-v1.1.json", False), ("dev-v2.0.json", True)]:
        data = json.loads((squad / name).read_text(encoding="utf-8"))
        for seed in range(5):
            dice = random.Random(seed)
            compare(squad / name, data,
                    {question["id"]: disturbed(context, question, dice)
                     for context, question in questions_of(data)}, version2)
        hard, predictions = hard_questions(version2)
        path = work / f"hard-{name}"
        path.write_text(json.dumps(hard), encoding="utf-8")
        compare(path, hard, predictions, version2)
        # A mean could hide two errors that cancel: each hard text by itself.
        for question in [q for _, q in questions_of(hard)][::97]:
            one = {"data": [{"paragraphs": [
                {"context": c, "qas": [q]} for c, q in questions_of(hard) if q is question]}]}
            path.write_text(json.dumps(one), encoding="utf-8")
            compare(path, one, {question["id"]: predictions[question["id"]]}, version2)

    print(f"largest difference of EM and F1: {worst:.1e} over {answers} answers in {sets} sets; "
          "bar 1e-12")
    return worst > 1e-12


if __name__ == "__main__":
    sys.exit(main())
