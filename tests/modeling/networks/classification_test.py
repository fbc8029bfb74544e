"""The classifier of pooled sequences."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import networks

X = np.random.default_rng(0).normal(size=[3, 4]).astype(np.float32)


def test_logits_are_one_dense_layer():
    network = networks.Classification(4, 2)
    kernel, bias = (v.numpy() for v in network.trainable_variables)
    np.testing.assert_allclose(network(X), X @ kernel + bias, atol=1e-6)
    np.testing.assert_array_equal(network({"cls_output": X}), network(X))


def test_predictions_are_log_probabilities():
    network = networks.Classification(4, 2, output="predictions")
    logits = tf_keras.Model(network.inputs, network.logits)
    np.testing.assert_allclose(network(X), tf.nn.log_softmax(logits(X)), atol=1e-6)


def test_logits_of_half_precision_are_computed_in_float32():
    network = networks.Classification(4, 2, dtype="mixed_bfloat16")
    half = tf.cast(X, tf.bfloat16)
    logits = network(half)
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, tf.cast(half, tf.float32) @ network.dense.kernel, atol=1e-6)


def test_an_unknown_output_raises():
    with pytest.raises(InputError, match='"probs": output must be "logits" or "predictions"'):
        networks.Classification(4, 2, output="probs")
