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


def test_another_goes_on_from_the_same_values():
    one, other = Sums(), Sums()
    assert one.values() == []
    one.add(one.pack({"a": tf.constant([0.1, 0.2]), "b": tf.constant(3.0)}))
    other.start_from(one.values())
    for sums in (one, other):
        sums.add(sums.pack({"a": tf.constant([1.0, 2.0]), "b": tf.constant(4.0)}))
    assert one.values() == other.values()
    assert other.take()["b"] == 7.0
    assert other.take()["b"] == 0.0
