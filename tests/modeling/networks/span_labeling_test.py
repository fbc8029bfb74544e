"""The network that scores the start and end of a span."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import networks

X = np.random.default_rng(0).normal(size=[3, 5, 4]).astype(np.float32)


def test_starts_and_ends_are_the_two_outputs_of_a_dense_layer():
    network = networks.SpanLabeling(4, activation="tanh")
    kernel, bias = (v.numpy() for v in network.trainable_variables)
    starts, ends = network(X)
    np.testing.assert_allclose(tf.stack([starts, ends], -1), np.tanh(X @ kernel + bias), atol=1e-6)
    np.testing.assert_array_equal(network({"sequence_data": X})[0], starts)


def test_predictions_are_log_probabilities_over_the_tokens():
    network = networks.SpanLabeling(4, output="predictions")
    logits = tf_keras.Model(network.inputs, [network.start_logits, network.end_logits])
    for predictions, scores in zip(network(X), logits(X)):
        np.testing.assert_allclose(predictions, tf.nn.log_softmax(scores, axis=1), atol=1e-6)


def test_logits_of_half_precision_are_computed_in_float32():
    network = networks.SpanLabeling(4, dtype="mixed_bfloat16")
    half = tf.cast(X, tf.bfloat16)
    starts, ends = network(half)
    assert starts.dtype == ends.dtype == tf.float32
    expected = tf.cast(half, tf.float32) @ network.dense.kernel
    np.testing.assert_allclose(tf.stack([starts, ends], -1), expected, atol=1e-6)


def test_an_unknown_output_raises():
    with pytest.raises(InputError, match='"probs": output must be "logits" or "predictions"'):
        networks.SpanLabeling(4, output="probs")
