"""Number formats of a model, and the loss scale that keeps float16 gradients above 0."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")

# Number of consecutive overflows that no loss scale can explain.
OVERFLOWS_IN_A_ROW = 20
_INITIAL_SCALE = 2.0**15
_STEPS_TO_GROW = 2000


def require_known(name: str) -> None:
    """Raise `InputError` for an unknown policy."""
    if name not in POLICIES:
        raise InputError(f"policy must be one of {', '.join(POLICIES)}, was {name!r}")


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """Create layers that compute in this format; variables are float32 under every policy."""
    require_known(name)
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


class LossScale(tf.Module):
    """Factor on the loss before differentiation, by which the gradients are then divided.

    float16 has no numbers between 0 and 6e-8, where most gradients are. The scale lifts them; it
    is halved when a gradient overflows, and doubled after 2000 steps without overflow
    (Micikevicius et al. 2018, section 3.2). It is a power of two, so that scaling rounds nothing.

    Create it in the strategy's scope and update it in cross-replica context. It is part of the
    checkpoint.

    Attributes:
      value: float32 scalar variable.
      skipped: int64 scalar variable, number of steps that overflowed.
      in_a_row: int64 scalar variable, number of overflows since the last step without one.
    """

    def __init__(self):
        super().__init__(name="loss_scale")
        self.value = _variable(_INITIAL_SCALE, tf.float32)
        self.skipped = _variable(0, tf.int64)
        self.in_a_row = _variable(0, tf.int64)
        self._clean = _variable(0, tf.int64)

    def update(self, overflow: tf.Tensor) -> None:
        """Record one step; `overflow` is a bool scalar."""
        one = tf.cast(overflow, tf.int64)
        clean = (self._clean + 1) * (1 - one)
        grows = clean >= _STEPS_TO_GROW
        factor = tf.where(overflow, 0.5, tf.where(grows, 2.0, 1.0))
        self.value.assign(tf.clip_by_value(self.value * factor, 1.0, 2.0**24))
        self._clean.assign(tf.where(grows, tf.zeros_like(clean), clean))
        self.skipped.assign_add(one)
        self.in_a_row.assign((self.in_a_row + 1) * one)


def _variable(value, dtype):
    return tf.Variable(
        value,
        dtype=dtype,
        trainable=False,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
