"""Rows of several requests become one batch, and each request gets its own rows back."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from official_nlp.serving.server import rows
from tests.serving.server import toy

TEXTS = strategies.lists(
    strategies.sampled_from([b"", b"one", b"one two", b"one two three"]), min_size=1, max_size=4
)


def same(one, other):
    return one.keys() == other.keys() and all(
        one[name].tolist() == other[name].tolist() for name in one
    )


def texts(each):
    return {"text": np.array(each, object)}


@hypothesis.given(strategies.lists(TEXTS, min_size=1, max_size=5))
def test_each_request_has_the_outputs_that_it_would_have_alone(requests):
    merged = rows.merged([texts(each) for each in requests])
    outputs = toy.measured(list(merged["text"]))
    parts = rows.divided(outputs, [len(each) for each in requests], toy.SIGNATURE)
    assert len(parts) == len(requests)
    for part, each in zip(parts, requests):
        assert same(part, toy.measured(each))


@hypothesis.given(strategies.lists(TEXTS, min_size=1, max_size=5))
def test_parts_of_a_request_are_joined_as_one_batch(parts):
    every = [text for each in parts for text in each]
    joined = rows.joined([toy.measured(each) for each in parts])
    assert same(joined, toy.measured(every))
    assert {name: array.dtype for name, array in joined.items()} == {
        name: array.dtype for name, array in toy.measured(every).items()
    }


def test_outputs_that_are_no_rows_are_not_divided():
    assert rows.divided({"count": np.array(3)}, [1, 2], toy.WHOLE) is None
    assert rows.divided({"size": np.ones(4)}, [1, 2], toy.SIGNATURE) is None


def test_an_output_without_a_counter_is_not_trimmed():
    outputs = {"word": np.array([[b"a", b""], [b"b", b""]], object)}
    (first, _) = rows.divided(outputs, [1, 1], toy.SIGNATURE)
    assert first["word"].tolist() == [[b"a", b""]]


@pytest.mark.parametrize(
    ("inputs", "length", "expected"),
    [
        (texts([b"x" * 30, b""]), None, 12),
        (texts([b"x" * 3000]), 128, 128 + 11),
        (texts([b"x" * 300]), None, 102 + 1),
        ({**texts([b"x" * 30]), "text_pair": np.array([b"x" * 30], object)}, None, 22),
        ({"choices": np.array([[b"x" * 3000] * 4], object)}, 128, 512 + 46),
        ({"choices": np.empty((1, 0), object)}, 128, 2),
        ({"ids": np.ones((2, 7), np.int32)}, 128, 7),
        ({"ids": np.ones((2, 0), np.int32)}, 128, 1),
    ],
)
def test_tokens_are_estimated_from_bytes_or_counted(inputs, length, expected):
    assert rows.estimated_tokens(inputs, length) == expected
