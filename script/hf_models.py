"""What figure hf-models does with transformers.

  save WORK VOCAB.TXT  makes WORK/served/NAME, WORK/refused/MODEL_TYPE, and the texts
  compare WORK DOC     compares WORK/NAME.json, as served, with transformers; the
                       ternary folder is read by the Python reader in DOC
"""
import json
import math
import pathlib
import re
import shutil
import sys

import torch
import transformers

PAIRS = [("A gripping film, from the first scene to the last.", "Nobody left early."),
         ("Two hours I will not get back.", "The film is long."),
         ("Café crème, naïve and 東京 😀", "What is that?"),
         ("It costs $12.50 (or 11.20€)!", "x"),
         (" ".join(["The river runs through the old city."] * 30), "Where does it run?")]
CONTEXT = ("Paris is the capital of France. The Seine runs through the city, and the tower "
           "that Gustave Eiffel's company built for the fair of 1889 stands by the river.")
QUESTIONS = ["What is the capital of France?", "Who built the tower?", "When was the fair?"]
MAX_ANSWER_TOKENS = 30

BERT = dict(base=dict(),
            l6=dict(num_hidden_layers=6, hidden_size=384, intermediate_size=1536),
            l12=dict(hidden_size=384, intermediate_size=1536),
            tiny=dict(num_hidden_layers=4, hidden_size=312, intermediate_size=1200))


def models():
    """Yields (name, class, config)."""
    def bert(size, **changes):
        return transformers.BertConfig(**BERT[size], **changes)
    single = dict(problem_type="single_label_classification", num_labels=3)
    classify = transformers.BertForSequenceClassification
    yield "bert-base", classify, bert("base", **single)
    yield "minilm-l6", classify, bert("l6", **single)
    yield "minilm-l12", classify, bert("l12", problem_type="multi_label_classification",
                                       num_labels=5)
    yield "minilm-l6-embed", transformers.BertModel, bert("l6")
    yield "tinybert", classify, bert("tiny", problem_type="regression", num_labels=1)
    yield "tinybert-qa", transformers.BertForQuestionAnswering, bert("tiny")
    distilbert = transformers.DistilBertConfig
    yield ("distilbert", transformers.DistilBertForSequenceClassification,
           distilbert(**single))
    yield ("distilbert-qa", transformers.DistilBertForQuestionAnswering, distilbert())
    yield ("distilbert-embed", transformers.DistilBertModel, distilbert(n_layers=3))
    mobilebert = transformers.MobileBertConfig  # its defaults are the published model's
    yield ("mobilebert", transformers.MobileBertForSequenceClassification,
           mobilebert(classifier_activation=False, **single))
    yield ("mobilebert-qa", transformers.MobileBertForQuestionAnswering,
           mobilebert(num_hidden_layers=6))
    yield ("mobilebert-embed", transformers.MobileBertModel,
           mobilebert(num_hidden_layers=3, normalization_type="layer_norm"))


def refused():
    small = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                 intermediate_size=32, vocab_size=1000)
    for name in ["Roberta", "Albert", "Electra", "DebertaV2", "ModernBert"]:
        yield getattr(transformers, name + "Config")(
            architectures=[name + "ForSequenceClassification"], **small)


def make(cls, settings, seed):
    """Seeded random weights, large enough that logits differ between texts; fp16."""
    torch.manual_seed(seed)
    model = cls(settings).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 1:
                weight.copy_(0.1 * torch.randn_like(weight)
                             + (1 if "norm.weight" in name.lower() else 0))
            elif name.endswith("embeddings.weight"):
                weight.copy_(0.5 * torch.randn_like(weight))
            else:
                weight.copy_(torch.randn_like(weight) / math.sqrt(weight.shape[1]))
            if "output.bottleneck.dense" in name:
                weight.mul_(0.05)  # without LayerNorm, MobileBERT's sums would grow
    return model.half()


def save(work, vocabulary):
    for seed, (name, cls, settings) in enumerate(models()):
        folder = work / "served" / name
        make(cls, settings, seed).save_pretrained(folder)
        shutil.copyfile(vocabulary, folder / "vocab.txt")
    for settings in refused():
        folder = work / "refused" / settings.model_type
        settings.save_pretrained(folder)
        shutil.copyfile(vocabulary, folder / "vocab.txt")
    (work / "pairs").write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS))
    (work / "questions").write_text("".join(q + "\n" for q in QUESTIONS))
    (work / "context").write_text(CONTEXT)


def run(model, encoded):
    if model.config.model_type == "distilbert":
        encoded.pop("token_type_ids", None)
    with torch.no_grad():
        return model(**encoded)


def best_span(out, sequence_ids):
    """Greatest start plus end logit of a span in the context, and [CLS]'s."""
    start, end = out.start_logits[0], out.end_logits[0]
    context = [i for i, sequence in enumerate(sequence_ids) if sequence == 1]
    best = max(float(start[i] + end[j]) for i in context for j in context
               if i <= j < i + MAX_ANSWER_TOKENS)
    return [best, float(start[0] + end[0])]


def expected_rows(model, tokenizer):
    """What the server should say, a list of floats for each input."""
    if hasattr(model, "qa_outputs"):
        for question in QUESTIONS:
            encoded = tokenizer(question, CONTEXT, return_tensors="pt")
            sequence_ids = encoded.sequence_ids(0)
            yield best_span(run(model, encoded), sequence_ids)
    elif hasattr(model, "classifier"):
        for a, b in PAIRS:
            encoded = tokenizer(a, b, truncation="longest_first", max_length=512,
                                return_tensors="pt")
            yield run(model, encoded).logits[0].tolist()
    else:
        for a, _ in PAIRS:
            encoded = tokenizer(a, truncation=True, max_length=512, return_tensors="pt")
            mean = run(model, encoded).last_hidden_state[0].mean(dim=0)
            yield torch.nn.functional.normalize(mean, dim=0).tolist()


def served_rows(path):
    for line in path.read_text().splitlines():
        result = json.loads(line)
        if "answers" in result:
            yield [result["answers"][0]["logit"], result["noAnswerLogit"]]
        else:
            yield result.get("logits") or result["vector"]


def difference(model, tokenizer, path):
    expected, served = list(expected_rows(model, tokenizer)), list(served_rows(path))
    assert len(expected) == len(served) > 0, path
    return max(abs(a - b) for e, s in zip(expected, served)
               for a, b in zip(e, s, strict=True))


def documented_reader(doc):
    """read_ternary() as the page has it."""
    code = next(block for block in re.findall(r"```python\n(.*?)```", doc.read_text(), re.S)
                if "def read_ternary" in block)
    scope = {}
    exec(code, scope)
    return scope["read_ternary"]


def compare(work, doc):
    differences = {}
    for name, cls, _ in models():
        folder = work / "served" / name
        model = cls.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = transformers.BertTokenizerFast.from_pretrained(work / "served" / name)
        differences[name] = difference(model, tokenizer, work / f"{name}.json")

    tensors = documented_reader(doc)(work / "ternary" / "model.safetensors")
    model = transformers.BertForSequenceClassification(
        transformers.BertConfig.from_pretrained(work / "served" / "minilm-l6")).eval()
    model.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
    differences["ternary-as-fp32"] = difference(model, tokenizer,
                                                work / "ternary-as-fp32.json")
    by_8_bits = difference(model, tokenizer, work / "ternary.json")

    for name, value in differences.items():
        print(f"{name:18} max abs difference {value:.1e}")
    print(f"{'ternary':18} max abs difference {by_8_bits:.1e}, by its 8-bit activations")
    largest = max(differences.values())
    (work / "largest").write_text(
        f"{len(differences)} models: largest difference of a logit {largest:.1e} (bar 1e-4)\n")
    if not largest <= 1e-4:
        sys.exit(f"largest difference {largest}")


if __name__ == "__main__":
    dict(save=save, compare=compare)[sys.argv[1]](
        pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
