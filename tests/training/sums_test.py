"""Sums that are accumulated over steps on the device."""

import numpy as np
import tensorflow as tf

from official_nlp.training.sums import Sums


def test_sums_of_any_shape_add_up_over_steps_and_start_again():
    sums = Sums()

    @tf.function
    def step(x):
        sums.add(sums.pack({"scalar": x[0, 0], "table": x, "empty": tf.zeros([0])}))

    for value in (1.0, 2.0):
        step(tf.fill([2, 3], value))
    taken = sums.take()
    assert list(taken) == ["scalar", "table", "empty"]
    assert taken["scalar"] == 3.0
    np.testing.assert_array_equal(taken["table"], np.full([2, 3], 3.0))
    assert sums.take()["scalar"] == 0.0


def test_counts_are_exact_where_float32_is_not():
    sums = Sums()
    for value in (2.0**24, 1.0, 1.0):
        sums.add(sums.pack({"count": tf.constant(value)}))
    assert sums.take()["count"] == 2**24 + 2


def test_without_a_step_there_are_no_sums():
    sums = Sums()
    sums.reset()
    assert sums.take() == {}
