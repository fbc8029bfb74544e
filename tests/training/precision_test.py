"""Number formats, and the loss scale of float16."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError, NotFiniteError
from official_nlp.training import TrainingConfig, precision
from tests.training import trainer_test
from tests.training.toy import ToyTask

HALF = dataclasses.replace(trainer_test.CONFIG, policy="mixed_float16")
PHASE = dataclasses.replace(trainer_test.PHASE, loss_weights={})


def test_layers_created_in_the_block_have_the_policy_and_those_after_it_do_not():
    with precision.policy("mixed_bfloat16"):
        inside = tf_keras.layers.Dense(2)
    assert inside.compute_dtype == "bfloat16"
    assert tf_keras.layers.Dense(2).compute_dtype == "float32"


def test_an_unknown_policy_is_refused():
    with pytest.raises(InputError, match=r"policy must be one of float32, .* was 'float16'"):
        TrainingConfig(policy="float16")


def test_the_scale_is_halved_at_an_overflow_and_doubled_after_two_thousand_steps_without():
    scale = precision.LossScale()
    start = float(scale.value)
    update = tf.function(scale.update)
    update(tf.constant(True))
    assert float(scale.value) == start / 2
    for _ in range(1999):
        update(tf.constant(False))
    assert float(scale.value) == start / 2
    update(tf.constant(False))
    assert float(scale.value) == start
    assert int(scale.skipped) == 1


class Steep(ToyTask):
    """At the stream positions `first` to `last` the gradient overflows in float16 (65504)."""

    first, last = 24, 32
    steepness = 60.0

    def losses(self, model, batch, phase):
        terms, sums = super().losses(model, batch, phase)
        position = batch["stream_position"][0]
        is_steep = (position >= self.first) & (position < self.last)
        slope = tf.cast(tf.where(is_steep, self.steepness, 0.0), tf.float16)
        kernel = tf.cast(model.heads["loss"].kernel[0, 0], tf.float16)
        zero = slope * (slope * (kernel - tf.stop_gradient(kernel)))
        return {"loss": terms["loss"] + tf.cast(zero, tf.float32)}, sums


@pytest.fixture(scope="module")
def overflowed():
    """A trainer after ten steps, the fourth of which overflows: values around it, and metrics."""
    trainer = trainer_test._trainer(Steep(), PHASE, HALF)
    trainer_test._train(trainer, 3)
    before = trainer_test._values(trainer)
    trainer_test._train(trainer, 1)
    after = trainer_test._values(trainer)
    metrics = trainer_test._train(trainer, 6)["train"]
    return trainer, before, after, metrics


def test_a_step_whose_gradient_overflows_is_skipped_and_counted(overflowed):
    trainer, before, after, metrics = overflowed
    model = len(trainer._model.variables)
    for one, other in zip(before[:model], after[:model]):
        np.testing.assert_array_equal(one, other)
    # Data and learning rate advance: the rate is a function of the step.
    assert int(after[-1]) == 4
    assert int(trainer._optimizer.iterations) == 10
    assert metrics["skipped_steps"] == 1
    assert metrics["loss_scale"] == 2.0**14
    assert np.isfinite(metrics["grad_norm"])


def test_an_overflow_does_not_count_as_an_update_of_the_moments(overflowed):
    trainer, *_ = overflowed
    assert set(trainer._optimizer._updates.numpy()) == {9}


def test_twenty_overflows_in_a_row_stop_the_run():
    class Cliff(Steep):
        first, last = 8, 10**9
        steepness = 60000.0

    trainer = trainer_test._trainer(Cliff(), dataclasses.replace(PHASE, steps=40), HALF)
    message = "scaled for float16, twenty times in a row, is not finite at step 21"
    with pytest.raises(NotFiniteError, match=message):
        trainer_test._train(trainer, 40)
