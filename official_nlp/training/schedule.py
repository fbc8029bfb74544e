"""The learning rate as a function of the step."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError


@tf_keras.utils.register_keras_serializable("official_nlp")
class WarmupDecay(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Polynomial decay to 0, multiplied with a linear warm-up (both run from the first step on).

    After `t` finished updates, of `total_steps` T, the next one has the rate

        learning_rate * (1 - min(t, T) / T) ** power * min(1, (t + 1) / warmup_steps)

    Args:
      learning_rate: peak rate without decay.
      total_steps: number of updates until the rate is 0.
      warmup_steps: number of updates of the warm-up; 0 for none.
      power: exponent of the decay; 1 is linear.
      from_zero: warm-up by `t` instead of `t + 1`, as in google-research/electra: the first
        update has the rate 0.
    """

    def __init__(
        self,
        learning_rate: float,
        total_steps: int,
        warmup_steps: int = 0,
        power: float = 1.0,
        from_zero: bool = False,
    ):
        super().__init__()
        if total_steps < 1:
            raise InputError(f"total_steps must be at least 1, was {total_steps}")
        if warmup_steps < 0:
            raise InputError(f"warmup_steps must not be negative, was {warmup_steps}; 0 is none")
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.power = power
        self.from_zero = from_zero

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """Return the float32 rate of the update that follows `step` finished updates."""
        done = tf.cast(step, tf.float32)
        left = 1.0 - tf.minimum(done, float(self.total_steps)) / float(self.total_steps)
        rate = self.learning_rate * (left if self.power == 1.0 else left**self.power)
        if not self.warmup_steps:
            return rate
        warm = done if self.from_zero else done + 1.0
        return rate * tf.minimum(1.0, warm / float(self.warmup_steps))

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "power": self.power,
            "from_zero": self.from_zero,
        }
