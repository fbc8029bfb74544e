"""Tests of parsing examples and of the faults found in them."""

import random
import re

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data.storage import features, parsing
from official_nlp.data.storage.serialization import serialize

SIZE = 50_000


def example(**lists) -> tf.train.Example:
    message = tf.train.Example()
    for name, values in lists.items():
        message.features.feature[name].int64_list.value.extend(values)
    return message


def row(ids, mask=None, segments=None, **more) -> bytes:
    mask = [1] * len(ids) if mask is None else mask
    segments = [0] * len(ids) if segments is None else segments
    lists = {"input_ids": ids, "input_mask": mask, "segment_ids": segments}
    return example(**lists, **more).SerializeToString()


def expected(serialized: list[bytes], length: int) -> list[np.ndarray]:
    """Return the tables that TensorFlow's parser makes."""
    names = features.RECORD_FEATURES
    parsed = tf.io.parse_example(serialized, {n: tf.io.RaggedFeature(tf.int64) for n in names})
    return [parsed[name].to_tensor(shape=[len(serialized), length]).numpy() for name in names]


def assert_equal(found: list[np.ndarray], tables: list[np.ndarray]):
    for one, other in zip(found, tables, strict=True):
        assert one.dtype == np.int32
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", range(5))
def test_values_equal_those_of_tensorflow(seed):
    draw = random.Random(seed)
    rows = []
    for _ in range(40):
        size = draw.choice([1, 3, 30, 128, 200])
        ids = [draw.randrange(draw.choice([128, 20_000, SIZE])) for _ in range(size)]
        mask, segments = ([draw.randrange(2) for _ in ids] for _ in range(2))
        more = {"other": ids} if draw.random() < 0.3 else {}
        rows.append(row(ids, mask, segments, **more) if draw.random() < 0.9 else b"")
    parsed = parsing.parse(rows, SIZE)
    assert not parsed.faults
    assert_equal(parsed.tables(200), expected(rows, 200))


def test_the_records_of_this_program_are_parsed_without_tensorflow(monkeypatch):
    monkeypatch.delattr(parsing, "_any_lists")
    ids = np.random.default_rng(1).integers(1, 1 << 20, (7, 300))
    lengths = np.full(7, 300)
    parsed = parsing.parse(serialize(ids, lengths, lengths // 2), 1 << 20)
    np.testing.assert_array_equal(parsed.tables(300)[0], ids)


@pytest.mark.parametrize("kind", ["unpacked", "merged", "in two parts", "another order"])
def test_other_encodings_of_the_same_message_are_parsed(kind):
    ids = [5, 300, 7]
    whole = row(ids)
    if kind == "unpacked":
        # Feature 1A, list with a tag before every value.
        name = b"\x0a\x09input_ids"
        values = b"\x08\x05\x08\xac\x02\x08\x07"
        entry = name + b"\x12" + bytes([len(values) + 2]) + b"\x1a" + bytes([len(values)]) + values
        other = b"\x0a" + bytes([len(entry)]) + entry
        rest = example(input_mask=[1] * 3, segment_ids=[0] * 3).SerializeToString()
        whole = b"\x0a" + bytes([len(other) + len(rest) - 2]) + other + rest[2:]
    if kind == "merged":  # The last value of a key counts.
        whole = row([1, 1, 1]) + whole
    if kind == "in two parts":
        whole = example(input_ids=ids).SerializeToString()
        whole += example(input_mask=[1] * 3, segment_ids=[0] * 3).SerializeToString()
    if kind == "another order":
        lists = {"segment_ids": [0] * 3, "input_ids": ids, "input_mask": [1] * 3}
        parts = [example(**{name: x}).SerializeToString()[2:] for name, x in lists.items()]
        whole = b"\x0a" + bytes([len(b"".join(parts))]) + b"".join(parts)
    parsed = parsing.parse([b"", whole, row([1])], SIZE)
    assert not parsed.faults
    assert parsed.tables(3)[0].tolist() == [[0, 0, 0], ids, [1, 0, 0]]


def test_padding_may_lie_beyond_the_length():
    parsed = parsing.parse([row([1, 2, 0, 0], mask=[1, 1, 0, 0])], SIZE, longest=2)
    assert not parsed.faults
    assert [table.tolist() for table in parsed.tables(2)] == [[[1, 2]], [[1, 1]], [[0, 0]]]


GOOD = row([1, 300, 2])
FAULTS = {
    "a large id": (row([1, SIZE, 2]), f"holds the id {SIZE}, but the vocabulary has only {SIZE}"),
    "an id beyond 32 bits": (row([1, 2**40 + 5]), "holds the id 1099511627781, but"),
    "a negative id": (row([1, -7]), "holds the id -7, but the vocabulary"),
    "another mask": (row([1, 2], mask=[1, 9]), "holds 9 in input_mask, which must be 0 or 1"),
    "another segment": (row([1, 2], segments=[0, -1]), "holds -1 in segment_ids, which"),
    "a long example": (row([1] * 9), "has a token at position 8, but the longest .* has 8 tokens"),
    "lists of different lengths": (row([1, 2], mask=[1]), "holds lists of different lengths"),
    "a missing list": (
        example(input_ids=[1], input_mask=[1]).SerializeToString(),
        "holds input_ids, input_mask, but must hold input_ids, input_mask, segment_ids",
    ),
    "no list": (row([], [], []), "but must hold .* as lists of integers"),
    "static masks": (row([1], masked_lm_positions=[0]), "holds masked_lm_positions, masks chosen"),
    "no message": (b"\xff\xff garbage", "is not a tf.train.Example"),
    "an incomplete message": (GOOD[:-1], "is not a tf.train.Example"),
    "a long varint": (
        row([1] * 12).replace(b"\x01" * 12, b"\x81" * 11 + b"\x01", 1),
        "is not a tf.train.Example|lists of different lengths",
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_described_and_leaves_the_other_examples_as_they_are(kind):
    bad, what = FAULTS[kind]
    parsed = parsing.parse([GOOD, bad, GOOD, FAULTS["no message"][0]], SIZE, longest=8)
    assert sorted(parsed.faults) == [1, 3]
    assert re.search(what, parsed.faults[1])
    assert parsed.tables(8)[0][:, :3].tolist() == [[1, 300, 2], [0] * 3, [1, 300, 2], [0] * 3]


@pytest.mark.parametrize("seed", range(20))
def test_damaged_messages_equal_those_of_tensorflow_or_have_a_fault(seed):
    draw = random.Random(seed)
    for _ in range(200):
        data = bytearray(row([draw.randrange(SIZE) for _ in range(draw.randrange(1, 9))]))
        for _ in range(draw.randint(1, 3)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        parsed = parsing.parse([bytes(data)], SIZE)
        if not parsed.faults:
            assert_equal(parsed.tables(8), expected([bytes(data)], 8))
