"""Compiled chains of operations against the plain ones, values and gradients."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.modeling import fused, ops

RATE = 0.1


@pytest.fixture(autouse=True)
def small_tensors_are_compiled(monkeypatch):
    monkeypatch.setattr(fused, "LEAST_ELEMENTS", 1)


@pytest.fixture
def compilations(monkeypatch):
    """Count the chains that run compiled."""
    made = []
    for name in ("_norm", "_softmax", "_gelu"):
        original = getattr(fused, name)
        monkeypatch.setattr(
            fused, name, lambda *args, f=original, n=name: made.append(n) or f(*args)
        )
    return made


def normal(*shape, seed=0, dtype=tf.float32):
    return tf.cast(np.random.default_rng(seed).standard_normal(shape), dtype)


def in_graph(function, *inputs, training=True):
    """Return the outputs of a function of tensors, and the gradients of a weighted sum of them."""

    @tf.function
    def run(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            with randomness.stream(randomness.Key(5)):
                outputs = tf.nest.flatten(function(*inputs, training))
            loss = tf.add_n(
                [tf.reduce_sum(x * normal(*x.shape, seed=9, dtype=x.dtype)) for x in outputs]
            )
        return outputs, tape.gradient(loss, inputs)

    return run(*inputs)


def plain(monkeypatch, function, *inputs):
    """Return the same without a compiled chain."""
    with monkeypatch.context() as patch:
        patch.setattr(fused, "LEAST_ELEMENTS", 1 << 60)
        return in_graph(function, *inputs)


def assert_close(found, expected, tolerance):
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        assert one.dtype == other.dtype
        one, other = tf.cast(one, tf.float32).numpy(), tf.cast(other, tf.float32).numpy()
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.fixture
def norm():
    layer = tf_keras.layers.LayerNormalization(epsilon=1e-12, dtype=tf.float32)
    layer.build([None, None, 8])
    layer.gamma.assign(1 + normal(8, seed=3))
    layer.beta.assign(normal(8, seed=4))
    return layer


@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float32, 2e-6), (tf.bfloat16, 0.05)])
@pytest.mark.parametrize("rate", [RATE, 0.0])
def test_add_and_norm(monkeypatch, compilations, norm, rate, dtype, tolerance):
    def function(x, residual, gamma, beta, training):
        with monkeypatch.context() as patch:
            patch.setattr(norm, "gamma", gamma)
            patch.setattr(norm, "beta", beta)
            return fused.add_and_norm(x, residual, norm, rate, training)

    inputs = (normal(2, 3, 8, dtype=dtype), normal(2, 3, 8, seed=1, dtype=dtype))
    inputs += (norm.gamma + 0, norm.beta + 0)
    expected = plain(monkeypatch, function, *inputs)
    assert compilations == []
    assert_close(in_graph(function, *inputs), expected, tolerance)
    assert compilations == ["_norm"]


@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float32, 1e-6), (tf.bfloat16, 0.02)])
@pytest.mark.parametrize("mask", [None, [[1, 1, 0, 1], [0, 0, 0, 0]]])
def test_masked_softmax(monkeypatch, compilations, mask, dtype, tolerance):
    # The second sequence may attend nowhere: equally everywhere, and without a gradient.
    allowed = None if mask is None else tf.constant(np.bool_(mask))[:, None, None]

    def function(scores, training):
        return fused.masked_softmax(scores, allowed, RATE, dtype, training)

    scores = normal(2, 2, 4, 4, dtype=tf.float32)
    expected = plain(monkeypatch, function, scores)
    found = in_graph(function, scores)
    assert compilations == ["_softmax"]
    assert_close(found, expected, tolerance)
    if mask is not None:
        np.testing.assert_allclose(tf.cast(found[0][0][1], tf.float32), 0.25)
        assert not found[1][0][1].numpy().any()


@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float32, 1e-6), (tf.bfloat16, 0.02)])
def test_gelu(monkeypatch, compilations, dtype, tolerance):
    def function(x, training):
        return fused.activated(ops.gelu, x, training)

    x = tf.cast(tf.linspace(-6.0, 6.0, 64), dtype)
    expected = plain(monkeypatch, function, x)
    assert_close(in_graph(function, x), expected, tolerance)
    assert compilations == ["_gelu"]


def test_what_does_not_pay_is_not_compiled(monkeypatch, compilations):
    x = normal(4, 8)
    fused.activated(ops.gelu, x, training=True)  # eager
    in_graph(lambda x, training: fused.activated(ops.gelu, x, training), x, training=False)
    in_graph(lambda x, training: fused.activated(ops.gelu_new, x, training), x)
    unknown = tf.function(
        lambda x: fused.activated(ops.gelu, x, training=True),
        input_signature=[tf.TensorSpec([None, 8])],
    )
    unknown(x)
    monkeypatch.setattr(fused, "LEAST_ELEMENTS", 33)
    in_graph(lambda x, training: fused.activated(ops.gelu, x, training), x)
    assert compilations == []
