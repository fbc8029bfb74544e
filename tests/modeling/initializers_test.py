"""Initial values of the variables of a network."""

import numpy as np
import pytest
import tf_keras

from official_nlp.modeling import initializers
from tests.modeling import tiny


def test_sinusoids_are_sines_then_cosines_of_growing_wavelengths():
    values = initializers.Sinusoids()([50, 6]).numpy()
    np.testing.assert_allclose(values[0], [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(values[:, 0], np.sin(np.arange(50)), atol=1e-5)
    np.testing.assert_allclose(values[:, 5], np.cos(np.arange(50) * 10000 ** (-2 / 3)), atol=1e-5)


def test_neighbouring_sinusoids_are_similar():
    values = initializers.Sinusoids()([64, 32]).numpy()
    alike = values @ values[20]
    assert alike.argmax() == 20
    assert np.all(np.diff(alike[20:25]) < 0)


def test_sinusoids_fit_an_odd_width_and_scale():
    values = initializers.Sinusoids(scale=0.5)([4, 5])
    assert values.shape == [4, 5]
    assert np.abs(values).max() <= 0.5


def test_sinusoids_can_be_serialized():
    config = tf_keras.initializers.serialize(initializers.Sinusoids(0.05))
    assert tf_keras.initializers.get(config).scale == 0.05


@pytest.mark.parametrize(
    ("function", "initializer", "deviation", "largest"),
    [
        (initializers.kernel_initializer, "truncated_normal", 0.2 * 0.8796, 0.4),
        (initializers.table_initializer, "truncated_normal", 0.2 * 0.8796, 0.4),
        (initializers.position_initializer, "truncated_normal", 0.2 * 0.8796, 0.4),
        (initializers.kernel_initializer, "fan_in", 100**-0.5, 1.0),
        (initializers.table_initializer, "fan_in", 0.05, 0.5),
        (initializers.position_initializer, "fan_in", 0.05 * 2**-0.5, 0.05),
    ],
)
def test_values_have_the_configured_spread(function, initializer, deviation, largest):
    # Truncation at two standard deviations reduces the standard deviation to 0.8796 of it.
    values = function(tiny.config(initializer=initializer))([100, 400]).numpy()
    assert abs(np.mean(values**2) ** 0.5 / deviation - 1) < 0.05
    assert np.abs(values).max() <= largest
