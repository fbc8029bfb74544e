"""Chains of cheap operations that XLA compiles into single loops, for the training step.

Between two matrix products a layer adds, drops, normalizes and activates. TensorFlow runs a kernel
for each operation, forward and backward, and every kernel reads and writes all activations.
Compiled together they are read and written once. The products stay outside: those of oneDNN are
faster than XLA's, above all in bfloat16.

Each function computes the same with plain operations where compiling would not pay: outside
training, in eager execution, for unknown sizes, which would be compiled again and again, and for
small tensors. Gradients of the compiled forms are written by hand, so that few tensors are retained
for the backward pass.
"""

import math
from collections.abc import Callable

import tensorflow as tf
import tf_keras

from official_nlp.modeling import ops

# Elements from which on a chain is compiled. Compiling takes a second, and smaller tensors stay in
# the cache of the processor anyway.
LEAST_ELEMENTS = 1 << 18

_compiled = tf.function(jit_compile=True, autograph=False)


def _pays(x: tf.Tensor, training: bool | None) -> bool:
    if not training or tf.executing_eagerly():
        return False
    size = x.shape.num_elements()
    return size is not None and size >= LEAST_ELEMENTS


# === LayerNorm(residual + dropout(x)) ===


def add_and_norm(
    x: tf.Tensor,
    residual: tf.Tensor,
    norm: tf_keras.layers.LayerNormalization,
    rate: float,
    training: bool | None,
) -> tf.Tensor:
    """Return `norm(residual + dropout(x))`.

    Args:
      x: float `[B, ..., H]`.
      residual: float of this shape.
      norm: normalization of the last axis, in float32.
      rate: dropout rate.
      training: whether dropout is applied.

    Returns:
      Float32 of this shape.
    """
    bits = ops.dropout_bits(x, rate, training)
    if not _pays(x, training):
        return norm(tf.cast(residual, x.dtype) + ops.drop(x, bits, rate))
    gamma, beta = tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta)

    @tf.custom_gradient
    def run(x, residual, gamma, beta):
        y, normalized, inverse = _norm(x, residual, bits, gamma, beta, rate, norm.epsilon)

        def gradient(dy):
            dx, dresidual, dgamma, dbeta = _norm_gradient(
                dy, normalized, inverse, bits, gamma, rate, x.dtype, residual.dtype
            )
            return dx, dresidual, dgamma, dbeta

        return y, gradient

    return run(x, residual, gamma, beta)


@_compiled
def _norm(x, residual, bits, gamma, beta, rate, epsilon):
    total = tf.cast(tf.cast(residual, x.dtype) + ops.drop(x, bits, rate), tf.float32)
    mean = tf.reduce_mean(total, axis=-1, keepdims=True)
    centered = total - mean
    variance = tf.reduce_mean(tf.square(centered), axis=-1, keepdims=True)
    inverse = tf.math.rsqrt(variance + epsilon)
    normalized = centered * inverse
    return normalized * gamma + beta, normalized, inverse


@_compiled
def _norm_gradient(dy, normalized, inverse, bits, gamma, rate, dtype, residual_dtype):
    scaled = dy * gamma
    mean = tf.reduce_mean(scaled, axis=-1, keepdims=True)
    projection = tf.reduce_mean(scaled * normalized, axis=-1, keepdims=True)
    dtotal = inverse * (scaled - mean - normalized * projection)
    axes = list(range(len(dy.shape) - 1))
    dgamma = tf.reduce_sum(dy * normalized, axis=axes)
    dbeta = tf.reduce_sum(dy, axis=axes)
    dx = ops.drop(tf.cast(dtotal, dtype), bits, rate)
    return dx, tf.cast(dtotal, residual_dtype), dgamma, dbeta


# === dropout(softmax(scores)) ===


def masked_softmax(
    scores: tf.Tensor,
    allowed: tf.Tensor | None,
    rate: float,
    dtype: tf.DType,
    training: bool | None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the attention probabilities, and the same after dropout.

    Args:
      scores: float `[B, N, T, S]`.
      allowed: bool, broadcastable to this shape; None if all pairs are allowed.
      rate: dropout rate.
      dtype: dtype of the results.
      training: whether dropout is applied.
    """
    bits = ops.dropout_bits(scores, rate, training)
    if not _pays(scores, training):
        probabilities = tf.cast(tf.nn.softmax(_masked(scores, allowed)), dtype)
        return probabilities, ops.drop(probabilities, bits, rate)

    @tf.custom_gradient
    def run(scores):
        probabilities, dropped = _softmax(scores, allowed, bits, rate, dtype)

        def gradient(dprobabilities, ddropped):
            return _softmax_gradient(
                dprobabilities, ddropped, probabilities, allowed, bits, rate, scores.dtype
            )

        return (probabilities, dropped), gradient

    return run(scores)


def _masked(scores: tf.Tensor, allowed: tf.Tensor | None) -> tf.Tensor:
    scores = tf.cast(scores, tf.float32)
    # The scores are replaced, not lowered by a large number as in google-research. A position that
    # may attend nowhere then attends equally everywhere in half precision too, and its scores get
    # no gradient.
    return scores if allowed is None else tf.where(allowed, scores, tf.float32.min)


@_compiled
def _softmax(scores, allowed, bits, rate, dtype):
    probabilities = tf.cast(tf.nn.softmax(_masked(scores, allowed)), dtype)
    return probabilities, ops.drop(probabilities, bits, rate)


@_compiled
def _softmax_gradient(dprobabilities, ddropped, probabilities, allowed, bits, rate, dtype):
    total = tf.cast(dprobabilities + ops.drop(ddropped, bits, rate), tf.float32)
    probabilities = tf.cast(probabilities, tf.float32)
    mean = tf.reduce_sum(total * probabilities, axis=-1, keepdims=True)
    dscores = probabilities * (total - mean)
    if allowed is not None:
        dscores = tf.where(allowed, dscores, 0.0)
    return tf.cast(dscores, dtype)


# === GELU ===


def activated(
    function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, training: bool | None
) -> tf.Tensor:
    """Return `function(x)`; the exact GELU is compiled."""
    if function is not ops.gelu or not _pays(x, training):
        return function(x)

    @tf.custom_gradient
    def run(x):
        return _gelu(x), lambda dy: _gelu_gradient(dy, x)

    return run(x)


@_compiled
def _gelu(x):
    return ops.gelu(x)


@_compiled
def _gelu_gradient(dy, x):
    wide = tf.cast(x, tf.float32)
    # The derivative of x P(x), where P is the normal distribution function, is P(x) + x P'(x).
    distribution = 0.5 * (1 + tf.math.erf(wide * math.sqrt(0.5)))
    density = tf.exp(-0.5 * wide * wide) * (1 / math.sqrt(2 * math.pi))
    return tf.cast(tf.cast(dy, tf.float32) * (distribution + wide * density), x.dtype)
