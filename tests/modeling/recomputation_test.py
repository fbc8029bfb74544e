"""Recomputed activations equal stored ones."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import randomness
from official_nlp.modeling import ops
from official_nlp.modeling.recomputation import recompute

X = np.arange(12, dtype=np.float32).reshape([3, 4]) / 5


@pytest.fixture
def calls():
    """A list that grows with each call of the function: twice with recomputation."""
    return []


@pytest.fixture
def function(calls):
    """A function with a variable, dropout, and arguments that are not floats."""
    variable = tf.Variable([[0.5], [1.0], [-1.0], [2.0]])

    def run(tensors, flag):
        calls.append(flag)
        x, rows = tensors["x"], tensors["rows"]
        hidden = ops.apply_dropout(tf.exp(x), 0.5, True)
        return {"y": tf.gather(hidden, rows) @ variable, "hidden": (hidden,)}

    run.variable = variable
    return run


def gradients(call, function):
    x = tf.constant(X)
    tensors = {"x": x, "rows": tf.constant([2, 0]), "nothing": None}
    with tf.GradientTape() as tape, randomness.stream(randomness.Key(1), 7):
        tape.watch(x)
        outputs = call(function, tensors, "flag")
        loss = tf.reduce_sum(outputs["y"] ** 2) + tf.reduce_sum(outputs["hidden"][0])
        after = randomness.draw([2], 3)
    return outputs, tape.gradient(loss, [x, function.variable]), after


def plainly(function, *arguments):
    with randomness.scope():
        return function(*arguments)


def test_outputs_gradients_and_stream_equal_those_of_a_plain_call(function, calls):
    expected, got = (gradients(call, function) for call in (plainly, recompute))
    tf.nest.map_structure(np.testing.assert_array_equal, got, expected)
    assert calls == ["flag"] * 3


@pytest.mark.parametrize("compiled", [False, True])
def test_a_graph_recomputes_and_agrees(function, calls, compiled):
    expected = gradients(plainly, function)
    calls.clear()
    got = tf.function(lambda: gradients(recompute, function), jit_compile=compiled)()
    tf.nest.map_structure(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5), got, expected
    )
    assert len(calls) == 2


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32, tf.float64])
@pytest.mark.parametrize("value", [0.1, -3.0, np.nan, -np.inf])
def test_the_first_tensor_may_have_any_float_type(dtype, value):
    x = tf.fill([2, 3], tf.cast(value, dtype))
    with randomness.stream(randomness.Key(1), tf.constant(3, tf.int64)):
        dropped = recompute(lambda x: ops.apply_dropout(x, 0.5, True), x)
    with randomness.stream(randomness.Key(1), 3), randomness.scope():
        expected = ops.apply_dropout(x, 0.5, True)
    np.testing.assert_array_equal(tf.cast(dropped, tf.float64), tf.cast(expected, tf.float64))
