"""Sums over many steps, accumulated on the device in one variable."""

import math

import numpy as np
import tensorflow as tf


class Sums:
    """Adds dicts of tensors over steps, at the cost of one concatenation and one addition a step.

    `pack` determines names and shapes when it is traced; `add` creates the variable then. The sums
    are float64, so counts stay exact beyond 2 ** 24.
    """

    def __init__(self):
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._total: tf.Variable | None = None

    def pack(self, sums: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return the sums as one float64 vector. Shapes must be static."""
        self._shapes = {name: tuple(x.shape.as_list()) for name, x in sums.items()}
        if not sums:
            return tf.zeros([0], tf.float64)
        return tf.concat([tf.reshape(tf.cast(x, tf.float64), [-1]) for x in sums.values()], axis=0)

    def add(self, packed: tf.Tensor) -> None:
        """Add a vector of `pack` that was summed over replicas, in cross-replica context."""
        if self._total is None:
            # Only the trace of `pack` determines the size, so that the variable is created while
            # the step is traced. `init_scope` creates it outside of the graph. Lifting, by which
            # tf.function would do so, repeats the whole trace.
            with tf.init_scope():
                self._total = tf.Variable(
                    tf.zeros([self._size()], tf.float64),
                    trainable=False,
                    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
                    experimental_enable_variable_lifting=False,
                )
        self._total.assign_add(packed)

    def take(self) -> dict[str, np.ndarray]:
        """Return the sums by name and start again from zero."""
        if self._total is None:
            return {}
        values = self._total.numpy()
        self.reset()
        result, start = {}, 0
        for name, shape in self._shapes.items():
            size = math.prod(shape)
            result[name] = values[start : start + size].reshape(shape)
            start += size
        return result

    def reset(self) -> None:
        """Start again from zero."""
        if self._total is not None:
            self._total.assign(tf.zeros([self._size()], tf.float64))

    def _size(self) -> int:
        return sum(math.prod(shape) for shape in self._shapes.values())
