"""What an export costs is measured by the metrics of fine-tuning on labeled examples."""

import contextlib
import csv
import json

import pytest

from official_nlp.cli import main
from official_nlp.errors import InputError
from official_nlp.inference.predictor import Predictor
from official_nlp.inference.question_answering import Answer
from official_nlp.inference.sequence_classification import Classification, Regression
from official_nlp.inference.token_classification import TokenClassification
from official_nlp.modeling import models
from official_nlp.serving.dev_set import DevSet
from official_nlp.serving.export_model import export
from tests.inference.conftest import LABELS, config
from tests.serving.export_model_test import written
from tests.serving.formats.network_file_test import networks, quick  # noqa: F401

TEXTS = ["the red boat", "a green bird", "an old stone", "the river sings", "old old boat"]


def table(file, labels, texts=TEXTS):
    with open(file, "w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerows([("sentence", "label"), *zip(texts, labels)])
    return file


def label(name):
    return Classification(name, 1.0, {})


def classified(predictor, tmp_path, wrong):
    """Return the examples of a classifier that is right but for the first `wrong` texts."""
    of = predictor("classification")
    labels = [result.label for result in of(TEXTS)]
    other = {"negative": "neutral", "neutral": "positive", "positive": "negative"}
    labels[:wrong] = [other[name] for name in labels[:wrong]]
    return DevSet(of, table(tmp_path / "dev.tsv", labels)), labels


def test_the_metric_of_a_model_and_of_its_export_is_returned(predictor, tmp_path):
    dev, labels = classified(predictor, tmp_path, wrong=1)
    found = dev.compare(lambda inputs: [label(name) for name in labels])
    assert found == {
        "file": "dev.tsv",
        "examples": 5,
        "metric": "accuracy",
        "model": 0.8,
        "exported": 1.0,
    }


def test_a_loss_of_more_than_half_a_point_is_refused(predictor, tmp_path):
    dev, labels = classified(predictor, tmp_path, wrong=0)
    worse = [label("negative") for _ in labels]
    with pytest.raises(InputError, match=r"at most 0.005 of accuracy on .*, and the model 1.0000"):
        dev.compare(lambda inputs: worse)


@pytest.mark.parametrize(
    ("value", "refused"), [(0.995, False), (0.9949, True), (2.0, False), (float("nan"), True)]
)
def test_a_loss_of_half_a_point_is_the_largest(predictor, tmp_path, value, refused):
    dev, _ = classified(predictor, tmp_path, wrong=0)
    dev._metrics = lambda result: {"accuracy": result}
    dev._predictor = lambda inputs: 1.0
    with pytest.raises(InputError) if refused else contextlib.nullcontext():
        dev.compare(lambda inputs: value)


def test_several_labels_have_their_f1(predictor, tmp_path):
    of = predictor("multi_label")
    rows = [{"text": text, "labels": r.labels} for text, r in zip(TEXTS, of(TEXTS))]
    assert any(row["labels"] for row in rows)
    file = tmp_path / "dev.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    found = DevSet(of, file).compare(of)
    assert (found["metric"], found["model"], found["exported"]) == ("micro_f1", 1.0, 1.0)


def test_a_regression_has_its_correlation(predictor, tmp_path):
    of = predictor("regression")
    numbers = [2 * result.value for result in of(TEXTS)]
    found = DevSet(of, table(tmp_path / "dev.tsv", numbers)).compare(of)
    assert found["metric"] == "pearson"
    assert found["model"] == found["exported"] == pytest.approx(1.0)


def test_columns_of_the_training_are_read_where_the_table_has_them(tokenizer, tmp_path):
    extra = {"table_columns": {"text": "body"}}
    of = Predictor(
        models.ElectraForSequenceClassification(config(id2label=LABELS, extra=extra)), tokenizer
    )
    labels = [result.label for result in of(TEXTS)]
    rows = [{"title": "x", "body": text, "label": name} for text, name in zip(TEXTS, labels)]
    (tmp_path / "dev.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert DevSet(of, tmp_path / "dev.jsonl").compare(of)["model"] == 1.0


@pytest.mark.parametrize(
    ("names", "metric"),
    [
        (["O", "B-PER", "I-PER"], "entity_f1"),
        (["O", "B-PER", "I-PER", "E-PER", "S-PER"], "entity_f1"),
        (["NN", "VB"], "token_accuracy"),
    ],
)
def test_words_are_compared_in_the_scheme_of_the_labels(tokenizer, tmp_path, names, metric):
    labels = dict(enumerate(names))
    of = Predictor(models.ElectraForTokenClassification(config(id2label=labels)), tokenizer)
    # In IOB1 an entity begins with I unless it follows another of its type.
    first, other = ("NN", "VB") if metric == "token_accuracy" else ("I-PER", "O")
    (tmp_path / "dev.conll").write_text(f"boat {first}\nsings {other}\n\nred {first}\n")
    dev = DevSet(of, tmp_path / "dev.conll")
    right = {"I-PER": "S-PER" if "S-PER" in names else "B-PER"}.get(first, first)
    results = [TokenClassification([], [right, other]), TokenClassification([], [right])]
    dev._predictor = lambda inputs: results
    found = dev.compare(lambda inputs: results)
    assert (found["metric"], found["exported"]) == (metric, 1.0)


def test_answers_have_their_exact_match(predictor, tmp_path):
    context = "The red boat walks. The old bird sings."
    answer = {"text": "red boat", "answer_start": 4}
    questions = [{"id": "1", "question": "which?", "answers": [answer]}]
    article = {"title": "t", "paragraphs": [{"context": context, "qas": questions}]}
    file = tmp_path / "dev.json"
    file.write_text(json.dumps({"version": "1.1", "data": [article]}))
    dev = DevSet(predictor("questions"), file)
    dev._predictor = lambda inputs: [Answer("the red boat.", 0, 12, 1.0)]
    assert dev.compare(dev._predictor)["metric"] == "exact_match"
    with pytest.raises(InputError, match=r"but has 0.0000, and the model 1.0000"):
        dev.compare(lambda inputs: [Answer("bird", 0, 4, 1.0)])


def test_choices_have_their_accuracy(predictor, tmp_path):
    of = predictor("choices")
    rows = [
        {"text": "the boat", "choices": ["sings", "walks"]},
        {"text": "a bird", "choices": ["stone", "old", "red"]},
    ]
    right = [result.choice for result in of(rows)]
    file = tmp_path / "dev.jsonl"
    labeled = [{**row, "label": choice} for row, choice in zip(rows, right)]
    file.write_text("\n".join(map(json.dumps, labeled)))
    found = DevSet(of, file).compare(of)
    assert (found["metric"], found["examples"], found["model"]) == ("accuracy", 2, 1.0)


def test_a_classifier_by_words_of_labels_has_its_accuracy(tokenizer, tmp_path):
    extra = {"label_words": {"good": "old", "bad": "red"}}
    usual = config(id2label={0: "good", 1: "bad"}, extra=extra)
    of = Predictor(models.ElectraForPreTraining(usual), tokenizer)
    labels = [result.label for result in of(TEXTS[:2])]
    found = DevSet(of, table(tmp_path / "dev.tsv", labels, TEXTS[:2])).compare(of)
    assert (found["metric"], found["model"]) == ("accuracy", 1.0)


# === What cannot be measured ===


def test_models_without_labels_are_refused(predictor, tmp_path):
    with pytest.raises(InputError, match="this model has the head WordScorer: leave --dev out"):
        DevSet(predictor("discriminator"), tmp_path / "dev.tsv")


def test_a_regression_of_several_numbers_is_refused(tokenizer, tmp_path):
    usual = config(num_labels=2, problem_type="regression")
    of = Predictor(models.ElectraForSequenceClassification(usual), tokenizer)
    with pytest.raises(InputError, match="one number, and this regression 2"):
        DevSet(of, table(tmp_path / "dev.tsv", range(5)))


def test_an_unknown_label_names_its_line(predictor, tmp_path):
    with pytest.raises(InputError, match=r"dev.tsv, line 2"):
        DevSet(predictor("classification"), table(tmp_path / "dev.tsv", "vwxyz"))


def test_a_file_without_examples_is_refused(predictor, tmp_path, monkeypatch):
    (tmp_path / "dev.jsonl").write_text("")
    with pytest.raises(InputError):
        DevSet(predictor("choices"), tmp_path / "dev.jsonl")


# === In an export ===


def test_an_export_that_loses_too_much_leaves_no_version(
    predictor,
    tmp_path,
    quick,  # noqa: F811
    monkeypatch,
    capsys,
):
    of, to = predictor("regression"), tmp_path / "to"
    file = table(tmp_path / "dev.tsv", [result.value for result in of(TEXTS)])
    opened = [lambda inputs: [Regression(-result.value) for result in of(inputs)], of]
    monkeypatch.setattr(Predictor, "from_pretrained", lambda path, length: opened.pop(0))
    with pytest.raises(InputError, match=r"of pearson on .* but has -1.0000, and the model 1.0000"):
        export(of, to, "onnx", dev=file)
    assert written(to) == []
    export(of, to, "onnx", dev=file)
    assert main.main(["info", str(to)]) == main.DONE
    line = "pearson on 5 examples of dev.tsv: 1.0000, of the model 1.0000"
    assert line in capsys.readouterr().out
