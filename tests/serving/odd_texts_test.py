"""Thousands of odd texts: each has its own result, which is that of the predictor.

The seed of the texts is printed; `FUZZ_SEED=N` repeats those of a failure.
"""

import functools
import os
import random
import time

import hypothesis
import pytest
import tensorflow as tf
from hypothesis import strategies

from official_nlp.serving.comparison import is_close
from official_nlp.serving.served_head import DEFAULT
from official_nlp.serving.text_encoding import TextEncoding
from tests import damage
from tests.data.conftest import LETTERS, WORDS
from tests.data.tokenization.graph import agreement
from tests.inference.conftest import LENGTH
from tests.resident_memory import resident_bytes
from tests.serving.conftest import arrays, served_head
from tests.serving.heads_test import REQUESTS, as_inputs, columns

BATCH = 20
# Bytes of any kind, and texts that are hard to tokenize, among words of the vocabulary.
ODD = strategies.one_of(
    strategies.binary(max_size=40),
    agreement.ANY_TEXT.map(str.encode),
    strategies.lists(strategies.sampled_from(WORDS), max_size=80).map(" ".join).map(str.encode),
)
BATCHES = strategies.lists(ODD, min_size=BATCH, max_size=BATCH)
SLOW = [name for name in REQUESTS if name != "classification"]
HEADS = ["classification", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
FEW, MANY = 10, 500


@pytest.fixture(params=[FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
def with_batches(request, record_property):
    """Calls a function with batches of odd texts."""
    seed = int(os.environ.get("FUZZ_SEED", 0 if request.param == FEW else time.time_ns()))
    print(f"FUZZ_SEED={seed}")
    record_property(damage.TRIED, BATCH * request.param)
    settings = hypothesis.settings(
        max_examples=request.param,
        derandomize=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def run(check):
        hypothesis.seed(seed)(settings(hypothesis.given(BATCHES)(lambda texts: check(texts))))()

    return run


@functools.cache
def marker(number: int) -> str:
    """Return a word that only the text of this number begins with."""
    return LETTERS[1 + number // 20] + LETTERS[2 + number % 20]


def requests(name: str, signature: str, texts: list[bytes]) -> list:
    """Return inputs of a signature, each with the marker of its number."""
    marked = [f"{marker(n)} ".encode() + text for n, text in enumerate(texts)]
    if name == "questions":
        return [(text[::-1], context) for text, context in zip(texts, marked)]
    if name == "choices":
        return [(text, [each, b"red " + each]) for text, each in zip(texts, marked)]
    if name == "generator" or signature == "fill_blanks":
        # `Predictor` refuses a text with a blank that is longer than a sequence.
        return [text[:3] + b"___ " + text[3:20] for text in marked]
    return list(zip(marked, texts)) if signature == "pairs" else marked


def readable(value):
    """Return an input of `Predictor`, in which invalid bytes count as U+FFFD."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return type(value)(map(readable, value))


def results(predictor, name: str, signature: str, values: list) -> list:
    """Return what `Predictor` does for the inputs of a signature."""
    if name != "pair":
        return predictor(as_inputs(name, values))
    # A pair chooses by the text what it does, and a signature does one thing.
    return (predictor.word_scorer if signature == DEFAULT else predictor.blank_filler).predict(
        values
    )


@pytest.mark.parametrize(("name", "signature"), [(n, s) for n, r in REQUESTS.items() for s in r])
def test_every_signature_has_requests_of_its_form(name, signature):
    values = requests(name, signature, [b"\xff", b""])
    assert len(set(map(str, values))) == 2
    assert (
        columns(name, signature, values).keys()
        == columns(name, signature, REQUESTS[name][signature]).keys()
    )


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", HEADS)
@pytest.mark.filterwarnings("ignore:truncated")
def test_every_odd_text_has_the_result_of_the_predictor(signatures, predictor, name, with_batches):
    functions, of = signatures(name), predictor(name)
    head = served_head(of)

    def check(texts):
        for signature in REQUESTS[name]:
            values = requests(name, signature, texts)
            outputs = arrays(functions[signature](**columns(name, signature, values)))
            expected = results(of, name, signature, list(map(readable, values)))
            found = head.results(outputs)
            assert len(found) == len(values)
            for value, one, other, cut in zip(values, found, expected, outputs["truncated"]):
                assert cut or is_close(one, other.to_dict()), value

    with_batches(check)


def test_ids_of_odd_texts_are_those_of_python(tokenizer, with_batches):
    encoding = TextEncoding(tokenizer, LENGTH)
    strings = tf.TensorSpec([None], tf.string)
    encode = tf.function(encoding.encode, input_signature=[strings, strings])

    def check(texts):
        pairs = texts[::-1]
        inputs, truncated = encode(tf.constant(texts), tf.constant(pairs))
        both = (list(map(readable, texts)), list(map(readable, pairs)))
        expected = tokenizer(*both, padding=True, truncation=True, max_length=LENGTH)
        for ours, theirs in (
            ("input_word_ids", "input_ids"),
            ("input_mask", "attention_mask"),
            ("input_type_ids", "token_type_ids"),
        ):
            assert inputs[ours].numpy().tolist() == expected[theirs].tolist()
        sizes = [len(ids) for ids in tokenizer(*both)["input_ids"]]
        assert truncated.numpy().tolist() == [size > LENGTH for size in sizes]

    with_batches(check)


@pytest.mark.slow
@pytest.mark.parametrize("name", REQUESTS)
def test_memory_does_not_grow(signatures, name):
    draw = random.Random(0)

    def odd() -> bytes:
        text = "".join(draw.choice(agreement.TEXTS) for _ in range(draw.randrange(8)))
        return draw.choice([text.encode(), draw.randbytes(200), b"red " * draw.randrange(2_000)])

    functions = signatures(name)
    batches = [[odd() for _ in range(draw.randint(1, 50))] for _ in range(40)]
    sizes = []
    # The largest batches need memory of their own, which stays: only later rounds can show a leak.
    for _ in range(6):
        for texts in batches:
            for signature in REQUESTS[name]:
                values = requests(name, signature, texts)
                functions[signature](**columns(name, signature, values))
        sizes.append(resident_bytes())
    assert sizes[-1] - sizes[2] < 16e6, sizes
