import collections
import itertools

import numpy as np
import pytest

from official_nlp.tasks.finetuning.batches import (
    DOCUMENT,
    ExampleStream,
    evaluation_batches,
    training_batches,
)
from official_nlp.tasks.finetuning.features import Features, padded_length
from official_nlp.training.task import ORDER, VALID

PAD = 9
LENGTHS = [3, 17, 4, 9, 30, 5, 12]


def features(lengths=LENGTHS, **changes):
    """Features whose ids are their number, and whose label is ten times that."""
    ids = [[number] * length for number, length in enumerate(lengths)]
    type_ids = [[0] * (length - 1) + [1] for length in lengths]
    labels = {"labels": np.arange(len(lengths), dtype=np.int32) * 10}
    return Features.of_sequences(ids, type_ids, np.arange(len(lengths)), labels, **changes)


def batches(by_length=True, batch_size=2, first_step=0, host=0, hosts=1, seed=1, count=None):
    found = features()
    stream = ExampleStream(found.lengths, batch_size, seed, 0, by_length)
    dataset = training_batches(
        found, stream, batch_size, 32, by_length, PAD, first_step, host, hosts
    )
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


# === Features ===


def test_a_batch_holds_padded_sequences_with_their_labels():
    batch = features([2, 3]).batch(np.array([1, 0]), 4, PAD)
    expected = {
        "input_word_ids": [[1, 1, 1, PAD], [0, 0, PAD, PAD]],
        "input_mask": [[1, 1, 1, 0], [1, 1, 0, 0]],
        "input_type_ids": [[0, 0, 1, 0], [0, 1, 0, 0]],
        "labels": [10, 0],
        "sample_weight": [1, 1],
    }
    assert {name: array.tolist() for name, array in batch.items()} == expected
    assert {str(array.dtype) for array in batch.values()} == {"int32", "float32"}


def test_labels_of_tokens_are_padded_by_the_ignored_label():
    found = Features.of_sequences(
        [[1, 2], [3, 4, 5]], [[0] * 2, [0] * 3], [0, 1], {}, token_labels=[[5, 6], [7, -100, 8]]
    )
    batch = found.batch(np.array([0, 1]), 4, PAD)
    assert batch["labels"].tolist() == [[5, 6, -100, -100], [7, -100, 8, -100]]


def test_several_sequences_of_a_feature_are_an_axis_of_the_batch():
    found = Features.of_sequences(
        [[1], [2, 2], [3], [4]], [[0], [0, 0], [0], [0]], [0, 1], {"labels": np.zeros(2)}, group=2
    )
    assert len(found) == 2
    assert found.lengths.tolist() == [2, 1]
    batch = found.batch(np.array([1, 0]), 2, PAD)
    assert batch["input_word_ids"].tolist() == [[[3, PAD], [4, PAD]], [[1, PAD], [2, 2]]]


@pytest.mark.parametrize(
    ("longest", "limit", "expected"), [(1, 128, 8), (8, 128, 8), (9, 128, 16), (30, 30, 30)]
)
def test_a_padded_length_is_a_multiple_of_8_up_to_the_limit(longest, limit, expected):
    assert padded_length(longest, limit) == expected


# === Training ===


@pytest.mark.parametrize("by_length", [True, False])
def test_every_example_occurs_once_in_each_epoch(by_length):
    # 64 batches of 7 are 64 epochs, after which all examples of the window were seen.
    found = batches(by_length, batch_size=7, count=64)
    counts = collections.Counter(int(n) for batch in found for n in batch["labels"])
    assert counts == {10 * number: 64 for number in range(len(LENGTHS))}
    if not by_length:
        assert all(sorted(batch["labels"].tolist()) == list(range(0, 70, 10)) for batch in found)


def test_batches_by_length_hold_similar_lengths_and_little_padding():
    plain, sorted_ = batches(False, 4, count=64), batches(True, 4, count=64)
    assert {batch["input_word_ids"].shape for batch in plain} == {(4, 32)}
    assert len({batch["input_word_ids"].shape for batch in sorted_}) > 2
    padding = [1 - np.mean([b["input_mask"].mean() for b in each]) for each in (plain, sorted_)]
    assert padding[0] > 0.6
    assert padding[1] < 0.4
    # The batches are not themselves in order of length.
    widths = [batch["input_word_ids"].shape[1] for batch in sorted_]
    assert widths != sorted(widths)


def test_seeds_have_orders_of_their_own_and_a_seed_one():
    first, again, other = (
        [batch["labels"].tolist() for batch in batches(seed=seed, count=10)] for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("by_length", [True, False])
@pytest.mark.parametrize("first_step", [1, 63, 65])
def test_a_stream_continues_where_it_was_left(by_length, first_step):
    whole = batches(by_length, count=first_step + 3)[first_step:]
    for one, other in zip(whole, batches(by_length, first_step=first_step, count=3), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_hosts_divide_each_batch():
    whole = batches(batch_size=4, count=5)
    parts = [batches(batch_size=4, host=host, hosts=2, count=5) for host in (0, 1)]
    for batch, *halves in zip(whole, *parts):
        for name in batch:
            joined = np.concatenate([half[name] for half in halves])
            np.testing.assert_array_equal(joined, batch[name], err_msg=name)
    positions = np.concatenate([batch["stream_position"] for batch in whole])
    assert positions.tolist() == list(range(20))


# === Evaluation ===


@pytest.mark.parametrize("by_length", [True, False])
def test_an_evaluation_sees_every_feature_once_and_knows_its_number(by_length):
    dataset = evaluation_batches(features(), 3, 32, by_length, PAD)
    assert int(dataset.cardinality()) == 3
    found = list(dataset.as_numpy_iterator())
    valid = np.concatenate([batch[VALID] for batch in found])
    order = np.concatenate([batch[ORDER] for batch in found])[valid]
    assert sorted(order.tolist()) == list(range(7))
    labels = np.concatenate([batch["labels"] for batch in found])[valid]
    assert labels.tolist() == (order * 10).tolist()
    # Features that only fill the last batch have no weight in the loss.
    assert sum(batch["sample_weight"].sum() for batch in found) == 7
    documents = np.concatenate([batch[DOCUMENT] for batch in found])[valid]
    assert documents.tolist() == order.tolist()
    tokens = sum(batch["input_word_ids"].size for batch in found)
    assert tokens < 9 * 32 if by_length else tokens == 9 * 32
