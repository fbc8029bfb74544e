"""Tests of the serialization of examples."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies

from official_nlp.data.storage.serialization import serialize, varint_rows


def example(ids, mask, segments) -> tf.train.Example:
    message = tf.train.Example()
    for name, values in (("input_ids", ids), ("input_mask", mask), ("segment_ids", segments)):
        message.features.feature[name].int64_list.value.extend(values)
    return message


def test_an_example_equals_the_message_of_google_research():
    (data,) = serialize(np.array([[101, 7, 300, 102, 9, 102, 0, 0]]), np.array([6]), np.array([4]))
    assert tf.train.Example.FromString(data) == example(
        [101, 7, 300, 102, 9, 102, 0, 0], [1, 1, 1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1, 0, 0]
    )


@hypothesis.given(
    rows=strategies.integers(0, 4), length=strategies.integers(1, 300), data=strategies.data()
)
def test_bytes_equal_those_of_tensorflow(rows, length, data):
    seed = data.draw(strategies.integers(0, 2**32 - 1))
    draw = np.random.default_rng(seed)
    ids = draw.integers(0, 1 << draw.integers(1, 29), (rows, length))
    lengths = draw.integers(0, length + 1, rows)
    firsts = draw.integers(0, lengths + 1)
    for row, (message, real, first) in enumerate(
        zip(serialize(ids, lengths, firsts), lengths, firsts)
    ):
        mask = [1] * real + [0] * (length - real)
        segments = [0] * first + [1] * (real - first) + [0] * (length - real)
        expected = example(ids[row], mask, segments)
        assert message == expected.SerializeToString(deterministic=True)


def test_the_parser_of_the_pipeline_reads_them():
    data = serialize(np.array([[5, 6, 0]]), np.array([2]), np.array([2]))
    parsed = tf.io.parse_single_example(
        data[0], {"input_ids": tf.io.FixedLenFeature([3], tf.int64)}
    )
    assert parsed["input_ids"].numpy().tolist() == [5, 6, 0]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (16383, "ff7f"),
        (16384, "808001"),
        (2097152, "80808001"),
        (268435455, "ffffff7f"),
    ],
)
def test_integers_take_seven_bits_a_byte(value, code):
    assert varint_rows(np.array([[value]])) == [bytes.fromhex(code)]
