"""The head that classifies a sequence."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import layers, ops

X = np.random.default_rng(0).normal(size=[3, 5, 4]).astype(np.float32)


def test_the_first_token_goes_through_two_dense_layers():
    head = layers.ClassificationHead(6, 2)
    result = head(X)
    kernel, bias, out_kernel, out_bias = (v.numpy() for v in head.trainable_variables)
    pooled = np.tanh(X[:, 0] @ kernel + bias)
    np.testing.assert_allclose(result, pooled @ out_kernel + out_bias, atol=1e-5)
    np.testing.assert_allclose(head(X, only_project=True), pooled, atol=1e-5)


def test_another_token_may_be_classified():
    head = layers.ClassificationHead(6, 2, cls_token_idx=-1)
    before = head(X).numpy()
    np.testing.assert_array_equal(head(X[:, 4:]), before)


@pytest.mark.parametrize("inner_dim", [0, None])
def test_without_an_inner_layer_the_caller_has_pooled(inner_dim):
    head = layers.ClassificationHead(inner_dim, 2)
    assert head(X[:, 0]).shape == [3, 2]
    assert len(head.trainable_variables) == 2
    assert head.checkpoint_items == {}
    np.testing.assert_array_equal(head(X[:, 0], only_project=True), X[:, 0])


def test_dropout_applies_in_training_only():
    head = layers.ClassificationHead(64, 2, dropout_rate=0.5)
    with randomness.stream(randomness.Key(1)):
        training = head(X, training=True)
    assert not np.allclose(training, head(X))
    np.testing.assert_array_equal(head(X, training=False), head(X))


def test_dropout_may_come_before_the_inner_layer():
    head = layers.ClassificationHead(6, 2, first_dropout_rate=0.5)
    with randomness.stream(randomness.Key(1)):
        training = head(X, training=True)
    with randomness.stream(randomness.Key(1)):
        token = ops.apply_dropout(tf.constant(X[:, 0]), 0.5, training=True)
    assert not np.allclose(training, head(X))
    np.testing.assert_allclose(training, head(token[:, tf.newaxis]), atol=1e-6)


def test_first_dropout_needs_an_inner_layer():
    with pytest.raises(InputError, match="first_dropout_rate must be 0 if inner_dim is 0"):
        layers.ClassificationHead(0, 2, first_dropout_rate=0.5)


def test_its_inner_layer_is_a_checkpoint_item():
    head = layers.ClassificationHead(6, 2)
    assert head.checkpoint_items == {"pooler_dense": head.dense}


def test_the_two_kernels_start_at_different_values():
    head = layers.ClassificationHead(4, 4)
    head(X)
    assert not np.allclose(head.dense.kernel, head.out_proj.kernel)
    assert head(tf.zeros([1, 5, 4])).shape == [1, 4]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_logits_are_computed_in_float32_under_every_policy(policy):
    head = layers.ClassificationHead(6, 2, dtype=policy)
    logits = head(X)
    pooled = head(X, only_project=True)
    assert (logits.dtype, pooled.dtype) == (tf.float32, tf.as_dtype(head.compute_dtype))
    head.out_proj.bias.assign([1 / 3, 2 / 3])  # no numbers of half precision
    pooled = np.float64(tf.cast(pooled, tf.float64))
    expected = pooled @ np.float64(head.out_proj.kernel) + np.float64(head.out_proj.bias)
    np.testing.assert_allclose(head(X), expected, atol=1e-6)
