"""Sums of many steps, kept on the device in one variable."""

import math

import numpy as np
import tensorflow as tf


class Sums:
    """Adds dicts of tensors over steps, at the cost of one concatenation and one addition a step.

    `pack` fixes names and shapes when it is traced; `add` makes the variable at the same time.
    The sums are float64: counts stay exact beyond 2 ** 24.
    """

    def __init__(self):
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._total: tf.Variable | None = None
        self._before: np.ndarray | None = None

    def pack(self, sums: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the sums as one float64 vector. Shapes must be static."""
        self._shapes = {name: tuple(x.shape.as_list()) for name, x in sums.items()}
        return tf.concat([tf.reshape(tf.cast(x, tf.float64), [-1]) for x in sums.values()], axis=0)

    def add(self, packed: tf.Tensor) -> None:
        """Adds a vector of `pack`, summed over replicas, in cross-replica context."""
        if self._total is None:
            with tf.init_scope():
                before = np.zeros([self._size()]) if self._before is None else self._before
                self._total = tf.Variable(
                    tf.constant(before, tf.float64, [self._size()]),
                    trainable=False,
                    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
                )
        self._total.assign_add(packed)

    def values(self) -> list[float]:
        """Returns the sums as `start_from` takes them; empty before the first step."""
        return [] if self._total is None else self._total.numpy().tolist()

    def start_from(self, values: list[float]) -> None:
        """Starts from the values of sums of the same names; to be called before the first step."""
        self._before = np.asarray(values, np.float64)

    def take(self) -> dict[str, np.ndarray]:
        """Returns the sums by name and starts again from zero."""
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
        """Starts again from zero."""
        if self._total is not None:
            self._total.assign(tf.zeros([self._size()], tf.float64))

    def _size(self) -> int:
        return sum(math.prod(shape) for shape in self._shapes.values())
