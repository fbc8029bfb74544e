"""The learning rate as a function of the step."""

import numpy as np
import pytest
import tf_keras

from official_nlp.errors import InputError
from official_nlp.training import WarmupDecay


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"warmup_steps": 2}, [0.5, 0.75, 0.5, 0.25, 0.0, 0.0]),
        ({"warmup_steps": 2, "from_zero": True}, [0.0, 0.375, 0.5, 0.25, 0.0, 0.0]),
        ({"warmup_steps": 0}, [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
        ({"power": 2.0}, [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]),
    ],
)
def test_decay_and_warm_up_multiply(arguments, expected):
    schedule = WarmupDecay(1.0, 4, **arguments)
    np.testing.assert_allclose([schedule(step) for step in range(6)], expected)


def test_a_schedule_survives_serialization():
    schedule = WarmupDecay(1e-3, 100, 10, power=0.5, from_zero=True)
    schedules = tf_keras.optimizers.schedules
    again = schedules.deserialize(schedules.serialize(schedule))
    assert again.get_config() == schedule.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"total_steps": 0}, "total_steps must be at least 1, was 0"),
        ({"total_steps": 5, "warmup_steps": -1}, "warmup_steps must not be negative, was -1"),
    ],
)
def test_impossible_numbers_of_steps_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        WarmupDecay(1.0, **arguments)
