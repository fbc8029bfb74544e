"""Every head computes in a graph what it computes in Python."""

import random

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.inference.entities import decode
from official_nlp.inference.predictor import Predictor
from official_nlp.inference.replaced_words import find_words
from official_nlp.modeling import models
from official_nlp.serving.comparison import is_close
from official_nlp.serving.replaced_words import WordFinder
from official_nlp.serving.served_head import DEFAULT
from official_nlp.serving.served_network import ServedNetwork
from official_nlp.serving.text_classification import ServedTextClassifier
from official_nlp.serving.token_classification import Tags
from official_nlp.serving.windows import MOST_WINDOWS
from official_nlp.tasks.probabilities import sigmoid, softmax
from tests.data.conftest import WORDS
from tests.inference.conftest import LABELS, LENGTH, MODELS, config
from tests.serving.conftest import arrays, served_head

# More tokens than a sequence has; it does not repeat itself, so that no two answers are equal.
LONG = " ".join(random.Random(3).choice(WORDS) for _ in range(100))
TEXTS = [
    "The red boat.",
    "A green-old bird's boat, the 'river' walks_sings - a 中文 stone!",
    "",
    "   ",
    "old [MASK] stone [SEP] a",
    "E\u0301 ﬁ \u200b b\u00e9 \U0001f600 boat",
    "The U.S. paid 3.5 for Anna's boat.",
    "...",
    LONG,
]
PAIRS = list(zip(TEXTS, reversed(TEXTS)))
QUESTIONS = [
    ("old boat?", "The red boat walks a green river. The old bird sings."),
    ("", " the  stone "),
    ("the old red boat walks a river " * 3, "A 中文 b\u00e9 bird."),
    ("old boat?", f"\u00c9 {LONG}"),
]
THRESHOLDS = {"negative": 0.9, "neutral": 0.2, "positive": 0.4}
CHOICES = [
    ("The red boat", ["walks", "a green bird sings", ""]),
    ("", ["stone", "old", "a"]),
]
BLANKS = ["the [MASK] boat", "___ bird [MASK] a ______ stone", "[MASK]", "a __ b"]

REQUESTS = {
    "classification": {DEFAULT: TEXTS, "pairs": PAIRS},
    "multi_label": {DEFAULT: TEXTS, "pairs": PAIRS},
    "regression": {DEFAULT: TEXTS, "pairs": PAIRS},
    "tokens": {DEFAULT: TEXTS},
    "questions": {DEFAULT: QUESTIONS},
    "choices": {DEFAULT: CHOICES},
    "discriminator": {DEFAULT: TEXTS},
    "generator": {DEFAULT: BLANKS[:3]},
    "encoder": {DEFAULT: TEXTS, "pairs": PAIRS},
    "pair": {DEFAULT: [*TEXTS[:4], LONG], "fill_blanks": BLANKS[:3]},
}
NAMES = {
    "pairs": ("text", "text_pair"),
    "questions": ("question", "context"),
    "choices": ("text", "choices"),
}
# Tagging has what others have: characters, and lists of a text. A classifier is run in
# `export_model_test.py`. Tracing the others takes a minute.
CASES = [
    pytest.param(*case, marks=[] if case[0] == "tokens" else pytest.mark.slow)
    for case in ((name, signature) for name, requests in REQUESTS.items() for signature in requests)
]


def columns(name, signature, values) -> dict:
    """Return inputs of `Predictor` as the arguments of a signature."""
    names = NAMES.get(signature) or NAMES.get(name)
    if names is None:
        return {"text": tf.constant(values)}
    return {key: tf.constant(list(column)) for key, column in zip(names, zip(*values))}


def as_inputs(name, values) -> list:
    if name == "choices":
        return [{"text": text, "choices": choices} for text, choices in values]
    return values


def assert_same_results(head, function, predictor, name, signature, values):
    outputs = arrays(function(**columns(name, signature, values)))
    found = head.results(outputs)
    expected = [result.to_dict() for result in predictor(as_inputs(name, values))]
    assert len(found) == len(expected) == len(outputs["truncated"])
    for value, one, other in zip(values, found, expected):
        assert is_close(one, other), (value, one, other)


def test_every_head_but_the_decoder_is_served():
    assert set(REQUESTS) == {*MODELS, "pair"} - {"decoder"}


@pytest.mark.parametrize(("name", "signature"), CASES)
@pytest.mark.filterwarnings("ignore:truncated")
def test_a_signature_returns_what_the_predictor_does(served, predictor, name, signature):
    head, functions = served(name)
    values = REQUESTS[name][signature]
    function = functions[signature]
    assert_same_results(head, function, predictor(name), name, signature, values)
    # The others of a batch and their padding change nothing.
    assert_same_results(head, function, predictor(name), name, signature, values[:1])


@pytest.mark.parametrize(("name", "signature"), CASES)
def test_samples_are_requests_of_the_signature(served, name, signature):
    head, functions = served(name)
    assert head.samples().keys() == functions.keys() == REQUESTS[name].keys()
    sample = head.samples()[signature]
    outputs = functions[signature](**{k: tf.constant(v) for k, v in sample.request.items()})
    assert len(head.results(arrays(outputs))) == len(sample.inputs)


@pytest.mark.parametrize(("name", "signature"), CASES)
def test_a_batch_may_be_empty(served, name, signature):
    _, functions = served(name)
    inputs = columns(name, signature, REQUESTS[name][signature])
    outputs = functions[signature](**{key: values[:0] for key, values in inputs.items()})
    assert {len(each) for each in outputs.values()} == {0}


# === Long texts ===


@pytest.mark.parametrize(
    "changes",
    [
        {"id2label": LABELS},
        pytest.param(MODELS["multi_label"][1], marks=pytest.mark.slow),
        pytest.param({"num_labels": 1}, marks=pytest.mark.slow),
    ],
    ids=["one label", "several labels", "regression"],
)
def test_a_classifier_of_windows_returns_the_mean_over_them(tokenizer, changes):
    model = models.ElectraForSequenceClassification(
        config(**changes, extra={"long_texts": "windows"})
    )
    of = Predictor(model, tokenizer)
    head = served_head(of)
    values = ["The red boat.", LONG, ""]
    assert head.samples()[DEFAULT].inputs[-1].count(" ") > LENGTH
    outputs = arrays(head._classify(tf.constant(values), None))
    assert not outputs["truncated"].any()
    for one, other in zip(head.results(outputs), of(values), strict=True):
        assert is_close(one, other.to_dict())


def test_only_so_many_windows_of_a_text_are_computed(predictor):
    of = predictor("tokens")
    room, overlap = LENGTH - 2, (LENGTH - 2) // 4
    for long_texts, most in (("windows", MOST_WINDOWS), ("truncate", 1)):
        head = served_head(of, long_texts)
        reach = room + (most - 1) * (room - overlap)
        texts = ["red " * reach, "red " * (reach + 1), "red " * 40_000, ""]
        outputs = arrays(head._tag(tf.constant(texts)))
        assert head.windows == most
        assert outputs["truncated"].tolist() == [False, True, True, False]
        assert outputs["num_words"].tolist() == [reach, reach, reach, 0]
        (whole,) = of(texts[:1])
        assert outputs["tags"][0].tolist() == whole.tags


def test_another_treatment_of_long_texts_is_refused(predictor):
    of = predictor("tokens")
    with pytest.raises(InputError, match="long_texts must be one of windows, truncate, was 'cut'"):
        served_head(of, "cut")


# === Cases that a random model does not meet by itself ===


def test_entities_are_those_of_the_decoder_in_any_scheme():
    for labels in (
        ["O", "B-A", "I-A", "B-B", "I-B"],
        ["O", "B-A", "I-A", "E-A", "S-A", "I-B"],
        ["O", "A", "B"],
    ):
        tags = Tags(labels)
        random = np.random.default_rng(0)
        rows = np.sort(random.integers(0, 20, 200))
        found = random.integers(0, len(labels), 200)
        entities = tags.entities(tf.constant(found), tf.constant(rows))
        expected = []
        for row in range(20):
            (words,) = np.nonzero(rows == row)
            spans = decode([labels[number] for number in found[words]], labels)
            expected += [(each.label, words[each.start], words[each.stop - 1]) for each in spans]
        types = tf.gather(tags.types, tf.gather(found, entities.first)).numpy()
        ours = zip([each.decode() for each in types], entities.first.numpy(), entities.last.numpy())
        assert list(ours) == expected


def test_words_are_those_of_the_pattern():
    texts = [
        "it's a rock-'n'-roll -day- o’clock''s x-1_2",
        "",
        "中文abc-中 a-b",
        "-a",
        "b-",
        "\u00e9\u0301 \U00020000 ٣٤ ⅷ ² \U0001f600",
    ]
    rows, starts, ends = (each.numpy().tolist() for each in WordFinder()(tf.constant(texts)))
    expected = [(row, *span) for row, text in enumerate(texts) for span in find_words(text)]
    assert list(zip(rows, starts, ends)) == expected


def test_probabilities_are_calibrated_and_labels_chosen_by_thresholds(tokenizer):
    extra = {"calibration_temperature": 0.01, "label_thresholds": THRESHOLDS}
    logits = np.random.default_rng(0).normal(0, 2, [30, 3]).astype(np.float32)
    for name in ("classification", "multi_label"):
        kind, changes = MODELS[name]
        of = Predictor(kind(config(**changes, extra=extra)), tokenizer).head
        # The outputs are computed from logits given here.
        head = ServedTextClassifier(of, ServedNetwork(lambda inputs: inputs, []), 1)
        found = head.results(arrays(head.outputs(tf.constant(logits))))
        expected = (
            [of._single_label(each) for each in softmax(logits)]
            if name == "classification"
            else [of._multi_label(each, THRESHOLDS) for each in sigmoid(logits)]
        )
        for one, other in zip(found, expected, strict=True):
            assert is_close(one, other.to_dict())


def test_numbers_are_within_the_range_of_the_model(tokenizer):
    kind, changes = MODELS["regression"]
    of = Predictor(kind(config(**changes, extra={"value_range": [0, 5]})), tokenizer).head
    head = ServedTextClassifier(of, ServedNetwork(lambda inputs: inputs, []), 1)
    values = head.outputs(tf.constant([[-1.0], [2.5], [7.0]]))["value"]
    np.testing.assert_array_equal(values, [0.0, 2.5, 5.0])


@pytest.mark.slow
def test_a_threshold_leaves_a_question_without_answer(tokenizer):
    for threshold in (-1000.0, 1000.0):
        kind, _ = MODELS["questions"]
        of = Predictor(kind(config(extra={"null_threshold": threshold})), tokenizer)
        head = served_head(of)
        function = head.signatures()[DEFAULT]
        assert_same_results(head, function, of, "questions", DEFAULT, QUESTIONS[:1])
        assert (
            arrays(function(**columns("questions", DEFAULT, QUESTIONS)))["answer"][0] == ""
        ) == (threshold < 0)


@pytest.mark.slow
def test_a_joint_question_answerer_is_served(tokenizer):
    of = Predictor(models.ElectraForJointQuestionAnswering(config()), tokenizer)
    head = served_head(of)
    function = head.signatures()[DEFAULT]
    assert_same_results(head, function, of, "questions", DEFAULT, QUESTIONS[:2])
