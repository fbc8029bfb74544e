"""Activations that are computed again in the backward pass, instead of being kept for it."""

import tensorflow as tf

from official_nlp import randomness


def recompute(function, *arguments):
    """Returns `function(*arguments)`, of which the backward pass keeps the arguments alone.

    Numbers and gradients are those of a plain call inside `randomness.scope`, dropout included:
    the random key is taken once, and both passes draw from it.

    Args:
      function: maps nested tensors to nested tensors. It may use variables, and draw from the
        current random stream; its order of calls must not change anything.
      *arguments: nested structures of tensors and other values; at least one tensor is of floats.
    """
    leaves = tf.nest.flatten(arguments)
    places = [i for i, x in enumerate(leaves) if tf.is_tensor(x) and x.dtype.is_floating]
    key, first_row = randomness.next_key()
    structure = []

    @tf.recompute_grad
    def run(*tensors):
        values = dict(enumerate(leaves)) | dict(zip(places, tensors))
        again = tf.nest.pack_sequence_as(arguments, list(values.values()))
        # A compiler that saw equal bits drawn in both passes would draw once and keep them.
        row = tf.cast(first_row, tf.int64) + _zero_of(tensors[0])
        with randomness.stream(key, row):
            outputs = function(*again)
        structure[:] = [outputs]
        return tf.nest.flatten(outputs)

    flat = run(*(leaves[i] for i in places))
    return tf.nest.pack_sequence_as(structure[0], flat)


def _zero_of(x):
    """Returns a scalar 0 that depends on a float tensor, in a way that no compiler sees through."""
    first = tf.reshape(x, [-1])[:1]
    whole = {2: tf.uint16, 4: tf.uint32, 8: tf.uint64}[x.dtype.size]
    bit = tf.bitwise.bitwise_and(tf.bitcast(first, whole), tf.ones([], whole))
    return tf.reduce_sum(tf.cast(tf.bitwise.right_shift(bit, tf.ones([], whole)), tf.int64))
