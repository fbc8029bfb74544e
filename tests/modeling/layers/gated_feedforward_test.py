"""A feed-forward network with gates."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import layers

X = np.random.default_rng(0).normal(size=[2, 3, 4]).astype(np.float32)


def _normalized(x):
    return (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)


def _block(x, inner, output, gate=None):
    hidden = np.maximum(x @ inner, 0)
    return (hidden if gate is None else hidden * (x @ gate)) @ output


def test_the_inner_activation_is_multiplied_by_a_linear_gate():
    layer = layers.GatedFeedforward(6, "relu")
    inner, gate, output = (kernel.numpy() for kernel in _kernels(layer))
    expected = _normalized(X + _block(X, inner, output, gate))
    np.testing.assert_allclose(layer(X), expected, atol=1e-5)


def test_without_a_gate_it_is_the_feed_forward_network_of_the_transformer():
    layer = layers.GatedFeedforward(6, "relu", use_gate=False)
    inner, output = (kernel.numpy() for kernel in _kernels(layer))
    np.testing.assert_allclose(layer(X), _normalized(X + _block(X, inner, output)), atol=1e-5)


def test_without_layer_norm_there_is_no_residual_either():
    layer = layers.GatedFeedforward(6, "relu", use_gate=False, apply_output_layer_norm=False)
    inner, output = (kernel.numpy() for kernel in _kernels(layer))
    np.testing.assert_allclose(layer(X), _block(X, inner, output), atol=1e-5)


def test_blocks_are_chained():
    stack = layers.GatedFeedforward(6, "relu", num_blocks=2)
    stack(X)
    first, second = layers.GatedFeedforward(6, "relu"), layers.GatedFeedforward(6, "relu")
    first(X), second(X)
    # A stack lists the variables of all blocks map by map.
    pairs = np.reshape(np.arange(len(stack.variables)), [-1, 2, 2])
    for block, layer in enumerate((first, second)):
        places = pairs[:, block].flatten()
        layer.set_weights([stack.variables[i].numpy() for i in places])
    np.testing.assert_allclose(stack(X), second(first(X)), atol=1e-6)


def test_dropout_after_the_residual_zeroes_the_output():
    layer = layers.GatedFeedforward(6, dropout=0.5, dropout_position="after_residual")
    with randomness.stream(randomness.Key(1)):
        dropped = layer(X, training=True).numpy()
    kept = dropped != 0
    assert 0 < kept.mean() < 1
    np.testing.assert_allclose(dropped[kept], 2 * layer(X).numpy()[kept], rtol=1e-5)


def test_dropout_before_the_residual_leaves_the_input():
    layer = layers.GatedFeedforward(6, dropout=0.99)
    with randomness.stream(randomness.Key(1)):
        dropped = layer(X, training=True).numpy()
    untouched = np.isclose(dropped, _normalized(X), atol=1e-5).all(axis=-1)
    assert untouched.any()
    np.testing.assert_array_equal(layer(X, training=False), layer(X))


def test_regularizers_apply_to_every_dense_layer():
    layer = layers.GatedFeedforward(6, kernel_regularizer="l2", activity_regularizer="l1")
    layer(X)
    assert len(layer.losses) == 6


def test_the_older_argument_names_of_tfnlp_work():
    layer = layers.GatedFeedforward(intermediate_size=6, intermediate_activation="relu")
    assert layer.inner_dim == 6
    assert layer.inner_activation is tf_keras.activations.relu


def test_variables_are_float32_in_half_precision():
    layer = layers.GatedFeedforward(6, dtype="mixed_bfloat16")
    assert layer(X).dtype == tf.bfloat16
    assert {variable.dtype for variable in layer.variables} == {tf.float32}


def test_an_unknown_dropout_position_raises():
    with pytest.raises(InputError, match="dropout_position must be one of before_residual"):
        layers.GatedFeedforward(dropout_position="between")


def _kernels(layer):
    layer(X)
    return [variable for variable in layer.variables if "kernel" in variable.name]
