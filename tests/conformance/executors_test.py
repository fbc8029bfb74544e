"""Eager execution, graphs and XLA agree, also in training: dropout has the same mask bit by bit."""

import pytest
import tensorflow as tf

from tests.conformance import objects, outputs
from tests.conformance.table import TABLE


# Training computes all that inference does, so inference is compiled among the slow tests.
@objects.keep("xla", run="representatives")
@pytest.mark.parametrize("training", [pytest.param(False, marks=pytest.mark.slow), True])
def test_eager_graph_and_xla_agree(name, training):
    made, line = objects.made(name), TABLE[name]
    eager = objects.call(made, line, training)
    if training:
        graph = tf.function(lambda: objects.call(made, line, training))()
        outputs.assert_close(graph, eager)
    compiled = tf.function(lambda: objects.call(made, line, training), jit_compile=True)()
    outputs.assert_close(compiled, eager)


@objects.keep("repeatable")
def test_two_calls_in_equal_streams_agree_bit_by_bit(name):
    made, line = objects.made(name), TABLE[name]
    assert outputs.same(objects.call(made, line, True), objects.call(made, line, True))


@pytest.mark.parametrize(
    "name", ["MultiHeadAttention", "TransformerEncoderBlock", "ElectraEncoder"]
)
def test_dropout_in_training_changes_the_outputs(name):
    made, line = objects.made(name), TABLE[name]
    assert not outputs.same(objects.call(made, line, True), objects.call(made, line, False))
