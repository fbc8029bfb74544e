"""Initializers beyond those of Keras."""

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
import tf_keras

if TYPE_CHECKING:  # The networks import this module: a plain import would be circular.
    from official_nlp.modeling.networks.electra_config import ElectraConfig


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class Sinusoids(tf_keras.initializers.Initializer):
    """Initialize a position table with sines and cosines of geometric wavelengths.

    Neighbouring positions then have similar vectors from the start, which a small network that
    trains for minutes would not learn in time. Value `[positions, width]`: sines in the first half
    of the columns, cosines in the second.

    Args:
      scale: factor of the values, which lie between -1 and 1 without it.

    Reference: Vaswani et al. 2017 section 3.5.
    """

    def __init__(self, scale: float = 1.0):
        self.scale = scale

    def __call__(self, shape: tuple[int, int], dtype: Any = None, **kwargs: Any) -> tf.Tensor:
        positions, width = shape
        # Wavelengths grow geometrically from 2 pi. An odd width has one more sine than cosines.
        half = -(-width // 2)
        rates = 10000.0 ** (-np.arange(half) / half)
        angles = np.arange(positions)[:, np.newaxis] * rates
        values = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :width]
        return tf.constant(self.scale * values, dtype or tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale}


def kernel_initializer(config: "ElectraConfig") -> tf_keras.initializers.Initializer:
    """Return the initializer of the weight matrices of a network."""
    if config.initializer == "fan_in":
        return tf_keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")
    return tf_keras.initializers.TruncatedNormal(stddev=config.initializer_range)


def table_initializer(config: "ElectraConfig") -> tf_keras.initializers.Initializer:
    """Return the initializer of the word and type tables of a network."""
    if config.initializer == "fan_in":
        return tf_keras.initializers.RandomNormal(stddev=0.05)
    return tf_keras.initializers.TruncatedNormal(stddev=config.initializer_range)


def position_initializer(config: "ElectraConfig") -> tf_keras.initializers.Initializer:
    """Return the initializer of the position table of a network."""
    if config.initializer == "fan_in":
        # The amplitude is the standard deviation of the other two tables.
        return Sinusoids(scale=0.05)
    return table_initializer(config)
