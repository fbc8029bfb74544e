"""Initial values, beyond those of Keras."""

import numpy as np
import tensorflow as tf
import tf_keras


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class Sinusoids(tf_keras.initializers.Initializer):
    """Starts a table of positions at sines and cosines of geometric wavelengths.

    Makes neighbouring positions alike from the start, which a small network that trains for
    minutes does not learn in time. Value `[positions, width]`: sines in the first half of the
    columns, cosines in the second.

    Args:
      scale: factor on the values, which lie between -1 and 1.

    Reference: Vaswani et al. 2017 section 3.5.
    """

    def __init__(self, scale: float = 1.0):
        self.scale = scale

    def __call__(self, shape, dtype=None, **kwargs):
        positions, width = shape
        half = -(-width // 2)
        rates = 10000.0 ** (-np.arange(half) / half)
        angles = np.arange(positions)[:, np.newaxis] * rates
        values = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :width]
        return tf.constant(self.scale * values, dtype or tf.float32)

    def get_config(self):
        return {"scale": self.scale}


def kernel_initializer(config) -> tf_keras.initializers.Initializer:
    """Returns the initializer of an `ElectraConfig`'s matrices."""
    if config.initializer == "fan_in":
        return tf_keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")
    return tf_keras.initializers.TruncatedNormal(stddev=config.initializer_range)


def table_initializer(config) -> tf_keras.initializers.Initializer:
    """Returns the initializer of an `ElectraConfig`'s word and type tables."""
    if config.initializer == "fan_in":
        return tf_keras.initializers.RandomNormal(stddev=0.05)
    return tf_keras.initializers.TruncatedNormal(stddev=config.initializer_range)


def position_initializer(config) -> tf_keras.initializers.Initializer:
    """Returns the initializer of an `ElectraConfig`'s position table."""
    if config.initializer == "fan_in":
        return Sinusoids(scale=0.05)
    return table_initializer(config)
