"""Every head computes in a graph what it computes in Python."""

import pytest
import tensorflow as tf

from official_nlp.serving.saved_model import is_close
from official_nlp.serving.served_head import DEFAULT
from tests.inference.conftest import MODELS
from tests.serving.conftest import arrays

TEXTS = [
    "The red boat.",
    "A green-old bird's boat, the 'river' walks_sings - a 中文 stone!",
    "",
    "   ",
    "old [MASK] stone [SEP] a",
    "E\u0301 ﬁ \u200b b\u00e9 \U0001f600 boat",
    "...",
]
PAIRS = list(zip(TEXTS, reversed(TEXTS)))
QUESTIONS = [
    ("old boat?", "The red boat walks a green river. The old bird sings."),
    ("", " the  stone "),
    ("the old red boat walks a river " * 3, "A 中文 b\u00e9 bird."),
]
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
    "pair": {DEFAULT: TEXTS[:4], "fill_blanks": BLANKS[:3]},
}
NAMES = {
    "pairs": ("text", "text_pair"),
    "questions": ("question", "context"),
    "choices": ("text", "choices"),
}
CASES = [(name, signature) for name, requests in REQUESTS.items() for signature in requests]


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
@pytest.mark.filterwarnings("ignore:.* truncated")
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
