import dataclasses

import numpy as np
import orbit
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError, NotFiniteError
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.training import (
    AdamW,
    PhaseConfig,
    TrainingConfig,
    WarmupDecay,
    distribution,
    precision,
)
from official_nlp.training.phase import stages
from official_nlp.training.trainer import PhaseTrainer
from tests.training.toy import PairTask

PHASE = PhaseConfig(steps=20, batch_size=8, length=4, loss_weights=PairTask.loss_weights)
CONFIG = TrainingConfig(
    steps_per_loop=10, warmup_steps=0, checkpoint_interval=None, evaluation_interval=None
)


def _trainer(task=None, phase=PHASE, config=CONFIG):
    task = task or PairTask()
    tf_keras.utils.set_random_seed(0)
    strategy = distribution.create_strategy(config.strategy)
    schedule = WarmupDecay(1e-2, phase.steps)
    with strategy.scope():
        model = task.build()
        optimizer = AdamW(schedule)
        optimizer.build(model.trainable_variables)
        step = orbit.utils.create_global_step()
        scale = precision.LossScale() if config.policy == "mixed_float16" else None
    (stage,) = stages([phase])
    return PhaseTrainer(task, model, optimizer, schedule, step, stage, config, strategy, scale)


def _train(trainer, steps):
    return trainer.train(tf.constant(steps))


def _values(trainer):
    variables = [*trainer._model.variables, *trainer._optimizer.variables, trainer._global_step]
    return [variable.numpy() for variable in variables]


def _bits(trainer):
    return [value.tobytes() for value in _values(trainer)]


def test_metrics_are_those_of_the_whole_window():
    trainer, stepwise = _trainer(), _trainer(config=dataclasses.replace(CONFIG, steps_per_loop=1))
    metrics = _train(trainer, 10)["train"]
    each = [_train(stepwise, 1)["train"] for _ in range(10)]
    assert _bits(trainer) == _bits(stepwise)
    assert metrics["loss"] == pytest.approx(np.mean([one["loss"] for one in each]))
    assert metrics["grad_norm"] == pytest.approx(np.mean([one["grad_norm"] for one in each]))
    assert metrics["learning_rate"] == each[-1]["learning_rate"] == pytest.approx(0.55e-2)


def test_within_a_window_nothing_is_reported():
    trainer = _trainer(config=dataclasses.replace(CONFIG, steps_per_loop=5, log_interval=10))
    assert _train(trainer, 5) == {}
    assert "loss" in _train(trainer, 5)["train"]


def test_a_network_without_weight_is_neither_run_nor_changed():
    trainer = _trainer(phase=dataclasses.replace(PHASE, loss_weights={"first": 1.0, "second": 0.0}))
    head = trainer._model.heads["second"].kernel
    before = head.numpy()
    metrics = _train(trainer, 10)["train"]
    assert "second_error" not in metrics
    np.testing.assert_array_equal(head.numpy(), before)


@pytest.mark.parametrize("term", ["first", "second"])
def test_the_step_that_is_not_finite_and_those_after_change_no_bit(term):
    # Row 51 is in the seventh batch of 8, in the middle of the loop.
    bad, good = _trainer(PairTask(nan_at=51, nan_in=term)), _trainer()
    _train(good, 6)
    with pytest.raises(NotFiniteError, match=f"{term} loss is not finite at step 7") as error:
        _train(bad, 10)
    assert (error.value.term, error.value.step) == (f"{term} loss", 7)
    assert _bits(bad) == _bits(good)


def test_a_gradient_that_is_not_finite_is_named():
    class Steep(PairTask):
        def losses(self, model, batch, phase):
            terms, sums = super().losses(model, batch, phase)
            # The root of nothing is 0; its slope is infinite.
            root = tf.sqrt(tf.reduce_sum(model.heads["first"].kernel * 0.0))
            return {**terms, "first": terms["first"] + root}, sums

    trainer = _trainer(Steep())
    before = _bits(trainer)
    with pytest.raises(NotFiniteError, match="gradient norm is not finite at step 1"):
        _train(trainer, 10)
    assert _bits(trainer) == before


def test_two_replicas_equal_one(two_devices):
    results = {}
    for strategy in ("one_device", "mirrored"):
        trainer = _trainer(config=dataclasses.replace(CONFIG, strategy=strategy))
        metrics = _train(trainer, 10)["train"]
        results[strategy] = trainer._model.get_weights(), metrics
    for one, two in zip(results["one_device"][0], results["mirrored"][0]):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5 * np.abs(one).max())
    for name, value in results["one_device"][1].items():
        assert results["mirrored"][1][name] == pytest.approx(value, rel=1e-5), name


def test_replicas_can_divide_by_their_own_weights_as_the_original(two_devices):
    losses = []
    for per_replica in (True, False):
        reference_quirks = ReferenceQuirks(loss_per_replica=per_replica)
        config = dataclasses.replace(CONFIG, strategy="mirrored", reference_quirks=reference_quirks)
        trainer = _trainer(config=config)
        _train(trainer, 10)
        losses.append(trainer._model.get_weights()[0])
    assert np.abs(losses[0] - losses[1]).max() > 1e-5


def test_xla_computes_the_same(two_devices):
    results = []
    for jit_compile in (True, False):
        trainer = _trainer(config=dataclasses.replace(CONFIG, jit_compile=jit_compile))
        _train(trainer, 10)
        results.append(trainer._model.get_weights())
    for one, two in zip(*results):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5 * np.abs(one).max())


def test_a_batch_without_weight_changes_only_by_decay():
    class Empty(PairTask):
        def train_dataset(self, *arguments):
            dataset = super().train_dataset(*arguments)
            return dataset.map(lambda b: {**b, "weights": tf.zeros_like(b["weights"])})

        def report(self, sums, rows):
            return {}

    assert _train(_trainer(Empty()), 10)["train"]["loss"] == 0.0


def test_variables_that_no_loss_reaches_are_named():
    phase = dataclasses.replace(PHASE, loss_weights={"first": 1.0, "second": 0.0})
    with pytest.raises(InputError, match=r"its losses do not reach: .*kernel:0, .*bias:0; leave"):
        _train(_trainer(PairTask(unreached=True), phase), 10)


def test_a_phase_without_variables_is_refused():
    class Nothing(PairTask):
        def trainable_variables(self, model, phase):
            return []

    with pytest.raises(InputError, match="Nothing trains no variable in phase 1"):
        _train(_trainer(Nothing()), 10)
