"""Requests that no tokenizer expects get results or a clear refusal, in bounded time."""

import time

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.serving.served_head import DEFAULT
from official_nlp.serving.text_encoding import MOST_BYTES
from tests.serving.conftest import arrays
from tests.serving.heads_test import REQUESTS, columns

# Text, and whether it is truncated.
TEXTS = {
    "empty": (b"", False),
    "white space only": (b" \t\r\n\xc2\xa0", False),
    "ten megabytes of one word": (b"a" * 10_000_000, True),
    "ten megabytes of unknown characters": ("雪".encode() * 3_300_000, True),
    "a hundred thousand tokens": (b"red " * 100_000, True),
    "white space beyond the limit": (b" " * (MOST_BYTES + 1) + b"red", True),
    "invalid UTF-8": (b"\xff\xfe red \x80\xc3 boat \xed\xa0\x80", False),
    "a character cut in two": ("中".encode()[:2], False),
    "zero bytes": (b"\x00red\x00 \x00", False),
    "control characters": (bytes(range(1, 32)) + b"red\x7f", False),
    "combining marks only": ("\u0301\u0323\u0345\u0301".encode(), False),
    "a thousand marks on a letter": (("e" + "\u0301\u0323" * 500).encode(), False),
    "right to left": ("\u202eשלום עולם \u200fمرحبا".encode(), False),
    "emoji": ("👩\u200d🚀🇩🇪".encode(), False),
    "noncharacters": ("\ufffe\uffff\U0010ffff".encode(), False),
    "names of special tokens": (b"[CLS][SEP][PAD][MASK][UNK]", False),
}
SLOW = [name for name in REQUESTS if name != "classification"]
HEADS = ["classification", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def feed(name: str, texts: list[bytes]) -> dict:
    """Return the arguments of a signature: texts, contexts of a question, or choices."""
    if name == "questions":
        return columns(name, DEFAULT, [(b"red", text) for text in texts])
    if name == "choices":
        return columns(name, DEFAULT, [(b"red", [b"a", text]) for text in texts])
    return {"text": tf.constant(texts)}


@pytest.mark.parametrize("name", HEADS)
def test_odd_texts_have_results(signatures, name):
    functions = signatures(name)
    started = time.process_time()
    outputs = arrays(functions[DEFAULT](**feed(name, [text for text, _ in TEXTS.values()])))
    assert time.process_time() - started < 60
    for key, array in outputs.items():
        assert len(array) == len(TEXTS), key
        assert array.dtype.kind != "f" or np.isfinite(array).all(), key
    found = dict(zip(TEXTS, outputs["truncated"].tolist()))
    assert found == {key: truncated for key, (_, truncated) in TEXTS.items()}


@pytest.mark.parametrize("name", HEADS)
def test_an_odd_text_does_not_change_the_others(signatures, name):
    functions = signatures(name)
    text = b"the red boat"
    alone = arrays(functions[DEFAULT](**feed(name, [text])))
    odd = [text, TEXTS["invalid UTF-8"][0], TEXTS["zero bytes"][0]]
    together = arrays(functions[DEFAULT](**feed(name, odd)))
    for key, array in alone.items():
        # A list of a text is as long as the longest of the batch.
        own = together[key][0] if array.ndim == 1 else together[key][0][: array.shape[1]]
        if array.dtype.kind == "f":
            np.testing.assert_allclose(own, array[0], atol=1e-5)
        else:
            assert np.array_equal(own, array[0]), key


@pytest.mark.parametrize(
    "inputs",
    [
        {"text": [1, 2]},
        {"text": "one text, no batch"},
        {"text": [["a"]]},
        {"words": ["a"]},
        {},
    ],
    ids=["numbers", "no batch", "two axes", "another name", "nothing"],
)
def test_other_inputs_are_refused(loaded, inputs):
    signature = loaded[DEFAULT]
    with pytest.raises((TypeError, ValueError, tf.errors.InvalidArgumentError)):
        signature(**{name: tf.constant(value) for name, value in inputs.items()})
