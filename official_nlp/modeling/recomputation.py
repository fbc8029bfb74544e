"""Recomputation of activations in the backward pass, to save memory (gradient checkpointing)."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official_nlp import randomness


def recompute(function: Callable, *arguments: Any) -> Any:
    """Call a function so that only its arguments are stored for the backward pass.

    Results and gradients equal those of a plain call inside `randomness.scope`, including dropout:
    the random key is drawn once, and both passes use it.

    Args:
      function: maps nested tensors to nested tensors. It may use variables and draw from the
        current random stream, but must have no other side effects, because it is called twice.
      *arguments: nested structures of tensors and other values, with at least one float tensor.

    Returns:
      What the function returns.
    """
    # `tf.recompute_grad` differentiates by positional tensors only, so the float tensors are
    # separated from everything else and put back inside.
    leaves = tf.nest.flatten(arguments)
    float_indices = [i for i, x in enumerate(leaves) if tf.is_tensor(x) and x.dtype.is_floating]
    key, first_row = randomness.next_key()
    # `run` may return a flat sequence only, so it leaves the nested outputs here.
    structure: list[Any] = []

    @tf.recompute_grad
    def run(*tensors):
        # The union keeps the order of the first dict, which is that of the leaves.
        values = dict(enumerate(leaves)) | dict(zip(float_indices, tensors))
        packed = tf.nest.pack_sequence_as(arguments, list(values.values()))
        # If both passes drew bits from equal arguments, a compiler would merge the two draws and
        # store the result, which defeats the purpose.
        row = tf.cast(first_row, tf.int64) + _opaque_zero(tensors[0])
        with randomness.stream(key, row):
            outputs = function(*packed)
        structure[:] = [outputs]
        return tf.nest.flatten(outputs)

    flat = run(*(leaves[i] for i in float_indices))
    return tf.nest.pack_sequence_as(structure[0], flat)


def _opaque_zero(x: tf.Tensor) -> tf.Tensor:
    """Return an int64 scalar 0 that depends on a float tensor, so that no compiler folds it.

    The lowest bit of the first element, shifted right by one, is 0 for any bit pattern; a product
    with 0.0 would be NaN for NaN and infinity.
    """
    first = tf.reshape(x, [-1])[:1]
    word = {2: tf.uint16, 4: tf.uint32, 8: tf.uint64}[x.dtype.size]
    bit = tf.bitwise.bitwise_and(tf.bitcast(first, word), tf.ones([], word))
    return tf.reduce_sum(tf.cast(tf.bitwise.right_shift(bit, tf.ones([], word)), tf.int64))
