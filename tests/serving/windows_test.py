"""Windows in a graph are those of `data.text_windows`."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data import text_windows
from official_nlp.serving import windows

SIZES = [0, 1, 5, 6, 7, 8, 9, 12, 13, 14, 15, 40]


@pytest.mark.parametrize(("room", "overlap"), [(6, 0), (6, 1), (7, 3), (8, 4), (1, 0)])
def test_windows_are_those_of_python(room, overlap):
    found = windows.cut(tf.constant(SIZES, tf.int64), room, overlap, most=100)
    rows, starts, stops = found.rows.numpy(), found.starts.numpy(), found.stops.numpy()
    for row, size in enumerate(SIZES):
        # A text without tokens has an empty window.
        expected = text_windows.cut(size, room, overlap) or [text_windows.Window(0, 0, 0, 0)]
        own = rows == row
        assert starts[own].tolist() == [each.start for each in expected]
        assert stops[own].tolist() == [each.stop for each in expected]
        tokens = np.arange(size)
        places = found.position(tf.fill([size], tf.constant(row, tf.int64)), tf.constant(tokens))
        for token, (window, position) in zip(tokens, places.numpy()):
            each = expected[window - np.flatnonzero(own)[0]]
            assert each.own_start <= token < each.own_stop
            assert position == token - each.start
    assert found.reach.numpy().tolist() == SIZES
    assert not found.truncated.numpy().any()


def test_room_and_overlap_may_differ_between_texts():
    sizes, rooms = [9, 9], [4, 6]
    found = windows.cut(*(tf.constant(each, tf.int64) for each in (sizes, rooms, [2, 1])), most=100)
    assert found.counts.numpy().tolist() == [4, 2]
    assert found.starts.numpy().tolist() == [0, 2, 4, 6, 0, 5]
    assert found.stops.numpy().tolist() == [4, 6, 8, 9, 6, 9]


@pytest.mark.parametrize(
    ("most", "counts", "reach"), [(1, [1, 1], [3, 4]), (2, [1, 2], [3, 7]), (9, [1, 3], [3, 9])]
)
def test_only_so_many_windows_are_cut(most, counts, reach):
    found = windows.cut(tf.constant([3, 9], tf.int64), 4, 1, most)
    assert found.counts.numpy().tolist() == counts
    assert found.reach.numpy().tolist() == reach
    assert found.truncated.numpy().tolist() == [False, reach[1] < 9]
    tokens = tf.ragged.constant([[1, 2, 3], [*range(10, 19)]])
    assert found.reached(tokens).to_list() == [[1, 2, 3], [*range(10, 10 + reach[1])]]
    parts = [[1, 2, 3], [10, 11, 12, 13], [13, 14, 15, 16], [16, 17, 18]]
    assert found.tokens(tokens).to_list() == parts[: 1 + counts[1]]


def test_the_last_window_counts_to_its_end_if_others_are_missing():
    found = windows.cut(tf.constant([9], tf.int64), 4, 2, most=2)
    tokens = tf.range(6, dtype=tf.int64)
    places = found.position(tf.zeros_like(tokens), tokens)
    assert places.numpy().tolist() == [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [1, 3]]


def test_the_first_of_equal_windows_is_the_lowest():
    found = windows.cut(tf.constant([9, 3, 9], tf.int64), 4, 1)
    assert found.lowest(tf.constant([2.0, 1, 1, 5, 3, 0, 0])).numpy().tolist() == [1, 3, 5]


def test_no_texts_have_no_windows():
    found = windows.cut(tf.zeros([0], tf.int64), 4, 1)
    assert found.rows.shape == (0,)
    assert found.lowest(tf.zeros([0])).shape == (0,)
