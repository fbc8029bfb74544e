"""Tests of the order of the examples."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from official_nlp.data.example_order import position_to_example


def test_an_epoch_holds_every_example_once(property_settings):
    @property_settings
    @hypothesis.given(
        seed=strategies.integers(-(2**70), 2**70),
        epoch=strategies.integers(0, 1000),
        count=strategies.integers(1, 3000),
    )
    def check(seed, epoch, count):
        order = position_to_example(seed, epoch, np.arange(count), count)
        assert order.dtype == np.int64
        assert sorted(order) == list(range(count))

    check()


def test_a_position_does_not_depend_on_the_others_of_the_call():
    order = position_to_example(3, 5, np.arange(1000), 1000)
    alone = [int(position_to_example(3, 5, [position], 1000)[0]) for position in (0, 17, 999)]
    assert alone == order[[0, 17, 999]].tolist()


def test_epochs_may_differ_within_a_call():
    both = position_to_example(3, [5, 6], [4, 4], 100)
    assert both[0] == position_to_example(3, 5, [4], 100)[0]
    assert both[1] == position_to_example(3, 6, [4], 100)[0]


def test_seed_and_epoch_change_the_order():
    orders = [
        position_to_example(seed, epoch, np.arange(50), 50).tolist()
        for seed in range(4)
        for epoch in range(4)
    ]
    assert len({tuple(order) for order in orders}) == 16


@pytest.mark.parametrize("count", [3, 10, 100])
def test_every_example_is_equally_frequent_at_every_position(count):
    epochs = 5000
    order = position_to_example(
        1, np.repeat(np.arange(epochs), count), np.tile(np.arange(count), epochs), count
    ).reshape(epochs, count)
    for position in (0, count // 2, count - 1):
        frequency = np.bincount(order[:, position], minlength=count) / epochs
        spread = np.sqrt((1 / count) * (1 - 1 / count) / epochs)
        assert np.abs(frequency - 1 / count).max() < 5 * spread


def test_consecutive_examples_are_far_apart_in_the_data():
    order = position_to_example(0, 0, np.arange(10000), 10000)
    assert np.median(np.abs(np.diff(order))) == pytest.approx(10000 * (1 - 0.5**0.5), rel=0.05)


def test_positions_among_a_hundred_million_examples_are_found():
    count = 100_000_000
    some = position_to_example(9, 3, np.arange(count - 1000, count), count)
    assert len(set(some.tolist())) == 1000
    assert 0 <= some.min() < count // 10
    assert count * 9 // 10 < some.max() < count
