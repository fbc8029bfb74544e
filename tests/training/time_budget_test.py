"""Runs of a number of hours: their speed is measured, and their steps are scaled."""

import pytest

from official_nlp.training import PhaseConfig, TrainingConfig, time_budget
from official_nlp.training.time_budget import Speed
from tests.training.toy import PairTask

ONE = [PhaseConfig(steps=100, batch_size=8)]
TWO = [PhaseConfig(steps=100, batch_size=8), PhaseConfig(steps=300, batch_size=8, length=4)]
NEVER = {"evaluation_interval": 0}
AT_THE_END = {"evaluation_interval": None}


@pytest.mark.parametrize(
    ("phases", "fields", "speed", "steps"),
    [
        # Of one hour, 95 % are for steps: 3420 seconds.
        (ONE, NEVER, Speed((1.0,), 0, 0, 0), [3420]),
        (ONE, NEVER, Speed((100.0,), 0, 0, 0), [34]),
        # Measuring, building and tracing take 600 seconds.
        (ONE, NEVER, Speed((1.0,), 0, 200, 400), [2850]),
        # 100 steps of 1 second and 300 of 2: the whole is done 3420 / 700 times.
        (TWO, NEVER, Speed((1.0, 2.0), 0, 0, 0), [488, 1465]),
        (ONE, AT_THE_END, Speed((1.0,), 420, 0, 0), [3000]),
        (ONE, {"evaluations": 3}, Speed((1.0,), 140, 0, 0), [3000]),
        # One in 100 steps makes each take twice as long.
        (ONE, {"evaluation_interval": 100}, Speed((1.0,), 100, 0, 0), [1660]),
        # There is no time at all.
        (TWO, NEVER, Speed((1.0, 2.0), 0, 2000, 2000), [1, 1]),
    ],
)
def test_steps_are_as_many_as_fit_into_an_hour(phases, fields, speed, steps):
    fitted = time_budget.fit(phases, TrainingConfig(**fields), 1.0, speed)
    assert [phase.steps for phase in fitted] == steps
    assert [phase.length for phase in fitted] == [phase.length for phase in phases]


@pytest.mark.parametrize(
    ("fields", "before", "after", "warmup"),
    [
        ({"warmup_steps": 10}, 100, 50, 5),
        ({"warmup_steps": 10}, 100, 1, 0),
        ({"warmup_steps": 10}, 100, 1000, 10),
        ({}, 1_000_000, 5_000, 50),
        ({"warmup_fraction": 0.1}, 100, 50, None),
    ],
)
def test_a_warm_up_in_steps_becomes_shorter_with_the_run(fields, before, after, warmup):
    config = time_budget.with_warmup(TrainingConfig(**fields), before, after)
    assert config.warmup_steps == warmup


def test_the_result_is_one_line():
    speed = Speed((0.25,), 0, 0, 0)
    line = time_budget.describe(2, ONE, speed)
    assert line == "HOURS=2: 4 steps a second; the run gets 100 steps"
    speed = Speed((0.25, 1 / 3.125), 0, 0, 0)
    phases = [PhaseConfig(steps=8000, batch_size=8), PhaseConfig(steps=12_000, batch_size=8)]
    assert time_budget.describe(0.5, phases, speed) == (
        "HOURS=0.5: 4 and 3.12 steps a second; phase 1 gets 8,000 steps, phase 2 12,000"
    )


def test_a_time_that_is_too_short_is_explained():
    phases = [PhaseConfig(steps=1, batch_size=8)]
    assert time_budget.describe(0.001, phases, Speed((0.25,), 1, 20, 30)) == (
        "HOURS=0.001: 4 steps a second; this is too short to train: measuring took 30 s, preparing "
        "takes 20 s and an evaluation 1 s, so each phase gets one step"
    )


@pytest.mark.parametrize(
    "strategy", ["one_device", pytest.param("mirrored", marks=pytest.mark.slow)]
)
def test_each_phase_and_the_evaluation_are_measured(strategy, two_devices):
    class Partial(PairTask):
        def report(self, sums, rows):
            assert not rows, "metrics are computed from whole sets only"
            return {}

    config = TrainingConfig(warmup_steps=5, strategy=strategy)
    phases = [phase.with_loss_weights(PairTask.loss_weights) for phase in TWO]
    speed = time_budget.measure(Partial(), phases, config, hours=1e-4)
    assert len(speed.steps) == 2
    assert all(0 < seconds < speed.elapsed for seconds in speed.steps)
    assert 0 < speed.evaluation < speed.elapsed
    assert 0 < speed.preparation < speed.elapsed


def test_without_evaluations_none_is_measured():
    class Unevaluated(PairTask):
        def evaluation_sets(self):
            raise AssertionError("nothing is evaluated")

    config = TrainingConfig(warmup_steps=5, evaluation_interval=0)
    phases = [phase.with_loss_weights(PairTask.loss_weights) for phase in ONE]
    assert time_budget.measure(Unevaluated(), phases, config, hours=1e-4).evaluation == 0
