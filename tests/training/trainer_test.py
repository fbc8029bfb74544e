"""The steps of one phase: metrics, updates, divisions of the batch, and failures."""

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
from tests.training.toy import PairTask, TwoLengths

PHASE = PhaseConfig(steps=20, batch_size=8, length=4, loss_weights=PairTask.loss_weights)
LENGTHS = PhaseConfig(steps=4, batch_size=8, length=3)
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


@pytest.fixture(scope="module")
def ten():
    """A trainer after ten steps of one device and whole batches, with the metrics of the window."""
    trainer = _trainer()
    return trainer, _train(trainer, 10)["train"]


def test_metrics_are_means_over_the_window_and_the_loss_is_the_weighted_sum(ten):
    trainer, metrics = ten
    stepwise = _trainer(config=dataclasses.replace(CONFIG, steps_per_loop=1))
    each = [_train(stepwise, 1)["train"] for _ in range(10)]
    assert _bits(trainer) == _bits(stepwise)
    for step in each:
        total = step["first_error"] + 20 * step["second_error"]
        assert step["loss"] == pytest.approx(total, rel=1e-6)
    assert metrics["loss"] == pytest.approx(np.mean([one["loss"] for one in each]))
    assert metrics["grad_norm"] == pytest.approx(np.mean([one["grad_norm"] for one in each]))
    assert metrics["learning_rate"] == each[-1]["learning_rate"] == pytest.approx(0.55e-2)


def test_a_step_is_traced_once(monkeypatch):
    task, traces = PairTask(), []
    losses = task.losses
    monkeypatch.setattr(task, "losses", lambda *args: traces.append(1) or losses(*args))
    trainer = _trainer(task)
    _train(trainer, 2)
    _train(trainer, 2)
    assert len(traces) == 1


def test_within_a_window_nothing_is_reported(ten):
    trainer = _trainer(config=dataclasses.replace(CONFIG, steps_per_loop=5, log_interval=10))
    assert _train(trainer, 5) == {}
    assert _train(trainer, 5)["train"] == ten[1]


def test_a_term_of_weight_0_is_neither_computed_nor_trained():
    trainer = _trainer(phase=dataclasses.replace(PHASE, loss_weights={"first": 1.0, "second": 0.0}))
    head = trainer._model.heads["second"].kernel
    before = head.numpy()
    metrics = _train(trainer, 10)["train"]
    assert "second_error" not in metrics
    np.testing.assert_array_equal(head.numpy(), before)


@pytest.fixture(scope="module")
def six():
    """A trainer after six steps."""
    trainer = _trainer()
    _train(trainer, 6)
    return trainer


@pytest.mark.parametrize("term", ["first", "second"])
def test_a_step_that_is_not_finite_and_those_after_it_change_no_bit(six, term):
    # Example 51 is in the seventh batch of 8, in the middle of the loop.
    bad, good = _trainer(PairTask(nan_at=51, nan_in=term)), six
    with pytest.raises(NotFiniteError, match=f"{term} loss is not finite at step 7") as error:
        _train(bad, 10)
    assert (error.value.term, error.value.step) == (f"{term} loss", 7)
    assert _bits(bad) == _bits(good)


def test_a_gradient_that_is_not_finite_is_named():
    class Steep(PairTask):
        def losses(self, model, batch, phase):
            terms, sums = super().losses(model, batch, phase)
            # The root of 0 is finite, and its slope is not.
            root = tf.sqrt(tf.reduce_sum(model.heads["first"].kernel * 0.0))
            return {**terms, "first": terms["first"] + root}, sums

    trainer = _trainer(Steep())
    before = _bits(trainer)
    with pytest.raises(NotFiniteError, match="gradient norm is not finite at step 1"):
        _train(trainer, 10)
    assert _bits(trainer) == before


# === Divisions of the batch ===


@pytest.mark.parametrize(
    "changes",
    [
        {"strategy": "mirrored"},
        {"jit_compile": True},
        {"accumulation": 2},
        pytest.param({"accumulation": 4, "strategy": "mirrored"}, marks=pytest.mark.slow),
        pytest.param({"accumulation": 8}, marks=pytest.mark.slow),
        pytest.param({"accumulation": 2, "jit_compile": True}, marks=pytest.mark.slow),
        pytest.param(
            {"accumulation": 2, "strategy": "mirrored", "jit_compile": True},
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_replicas_micro_batches_and_xla_compute_the_same_updates(ten, changes, two_devices):
    trainer = _trainer(config=dataclasses.replace(CONFIG, **changes))
    metrics = _train(trainer, 10)["train"]
    for one, other in zip(ten[0]._model.get_weights(), trainer._model.get_weights()):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * np.abs(one).max())
    for name, value in ten[1].items():
        assert metrics[name] == pytest.approx(value, rel=1e-5), name


@pytest.fixture(scope="module")
def four_of_two_lengths():
    """Metrics of four steps of two lengths in turn, on one device in whole batches."""
    return _train(_trainer(TwoLengths(), LENGTHS), 4)["train"]


@pytest.mark.parametrize(
    "changes",
    [
        {"strategy": "mirrored"},
        {"jit_compile": True},
        pytest.param({"accumulation": 2}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_batches_of_several_lengths_are_divided_and_compiled(
    four_of_two_lengths, changes, two_devices
):
    config = dataclasses.replace(CONFIG, **changes)
    metrics = _train(_trainer(TwoLengths(), LENGTHS, config), 4)["train"]
    assert metrics == pytest.approx(four_of_two_lengths, rel=1e-5)


def test_in_the_bug_compatible_mode_replicas_divide_by_their_own_weights(ten, two_devices):
    quirks = ReferenceQuirks(loss_per_replica=True)
    config = dataclasses.replace(CONFIG, strategy="mirrored", reference_quirks=quirks)
    trainer = _trainer(config=config)
    _train(trainer, 10)
    # Otherwise two replicas agree with one to 1e-5, as shown above.
    assert np.abs(trainer._model.get_weights()[0] - ten[0]._model.get_weights()[0]).max() > 1e-4


def test_a_batch_that_cannot_be_divided_into_micro_batches_is_refused():
    trainer = _trainer(config=dataclasses.replace(CONFIG, accumulation=3))
    with pytest.raises(InputError, match=r"a multiple of accumulation=3, \w+ had 8; change batch"):
        _train(trainer, 1)


# === Tasks that train nothing, or the wrong variables ===


def test_a_batch_of_weight_0_has_the_loss_0():
    class Empty(PairTask):
        def train_dataset(self, *arguments):
            dataset = super().train_dataset(*arguments)
            return dataset.map(lambda b: {**b, "weights": tf.zeros_like(b["weights"])})

        def report(self, sums, rows):
            return {}  # The errors would be divided by 0.

    assert _train(_trainer(Empty()), 10)["train"]["loss"] == 0.0


def test_variables_that_no_loss_reaches_are_refused():
    phase = dataclasses.replace(PHASE, loss_weights={"first": 1.0, "second": 0.0})
    with pytest.raises(InputError, match=r"its losses do not reach: .*kernel:0, .*bias:0; leave"):
        _train(_trainer(PairTask(unreached=True), phase), 10)


def test_a_phase_without_variables_is_refused():
    class Nothing(PairTask):
        def trainable_variables(self, model, phase):
            return []

    with pytest.raises(InputError, match="Nothing trains no variable in phase 1"):
        _train(_trainer(Nothing()), 10)
