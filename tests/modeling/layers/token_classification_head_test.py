"""A head that classifies every token."""

import numpy as np
import tensorflow as tf

from official_nlp import randomness
from official_nlp.modeling import layers

X = np.random.default_rng(0).normal(size=[3, 5, 4]).astype(np.float32)


def test_every_token_goes_through_one_dense_layer():
    head = layers.TokenClassificationHead(2)
    result = head(X)
    kernel, bias = (v.numpy() for v in head.trainable_variables)
    np.testing.assert_allclose(result, X @ kernel + bias, atol=1e-5)


def test_dropout_applies_in_training_only():
    head = layers.TokenClassificationHead(2, dropout_rate=0.5)
    with randomness.stream(randomness.Key(1)):
        training = head(X, training=True)
    assert not np.allclose(training, head(X))
    np.testing.assert_array_equal(head(X, training=False), head(X))


def test_logits_of_half_precision_are_computed_in_float32():
    head = layers.TokenClassificationHead(2, dtype="mixed_bfloat16")
    half = tf.cast(X, tf.bfloat16)
    logits = head(half)
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, tf.cast(half, tf.float32) @ head.out_proj.kernel, atol=1e-6)
