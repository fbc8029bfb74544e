"""Settings of the loop: which are refused, and what a resumed run may change."""

import dataclasses
import json

import pytest

from official_nlp.errors import InputError
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.training import PhaseConfig, TrainingConfig, best, config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"steps_per_loop": 0},
            "steps_per_loop must be an integer from 1 to 1,000,000,000,000, was 0",
        ),
        ({"keep": 0}, "keep must be an integer from 1 to 1,000,000, was 0"),
        (
            {"log_interval": 15},
            r"log_interval must be a multiple of steps_per_loop \(10\)",
        ),
        ({"log_interval": 0}, "log_interval must be an integer from 1 to .*, or None, was 0"),
        ({"summary_interval": 25}, "summary_interval must be a multiple"),
        ({"checkpoint_interval": 25}, r"multiple of steps_per_loop \(10\), was 25"),
        (
            {"log_interval": 20, "checkpoint_interval": 50},
            r"checkpoint_interval must be a multiple of log_interval \(20\), was 50",
        ),
        ({"evaluation_interval": 15}, "evaluation_interval must be a multiple"),
        ({"keep_every": 150}, r"keep_every must be a multiple of checkpoint_interval"),
        (
            {"keep_every": 100, "checkpoint_interval": None},
            "keep_every must be None where checkpoint_interval is, was 100",
        ),
        (
            {"keep_best": "held_out/rtd"},
            "keep_best must be an evaluation metric .* was 'held_out/rtd'",
        ),
        ({"keep_best": "least:rtd_loss"}, "keep_best must be an evaluation metric"),
        (
            {"keep_best": "rtd_auc", "evaluation_interval": 0},
            "keep_best needs evaluation metrics: evaluation_interval must not be 0",
        ),
        (
            {"warmup_steps": 10, "warmup_fraction": 0.1},
            "give warmup_steps or warmup_fraction, not both: they were 10 and 0.1",
        ),
        (
            {"warmup_fraction": 1.5},
            "warmup_fraction must be a number of at least 0 and at most 1, or None, was 1.5",
        ),
        (
            {"evaluations": 3, "log_interval": 10},
            "log_interval must be None where evaluations=3 determines the intervals, was 10",
        ),
        ({"patience": 0}, "patience must be an integer from 1 to 1,000,000, or None, was 0"),
        ({"patience": 2}, "patience=2 needs keep_best, the metric that shall improve"),
        (
            {"patience": 2, "keep_best": "rtd_auc", "evaluation_interval": 50},
            r"evaluation_interval must be a multiple of checkpoint_interval \(100\), was 50",
        ),
        ({"corrupt_records": "ignore"}, "corrupt_records must be one of stop, skip, was 'ignore'"),
        ({"strategy": "many"}, "strategy must be one of one_device, mirrored, .*, was 'many'"),
    ],
)
def test_settings_that_do_not_fit_the_loop_are_refused(fields, message):
    defaults = {"steps_per_loop": 10, "checkpoint_interval": 100, "evaluation_interval": 100}
    with pytest.raises(InputError, match=message):
        TrainingConfig(**{**defaults, **fields})


def test_intervals_may_be_absent_and_evaluation_off():
    made = TrainingConfig(checkpoint_interval=None, evaluation_interval=0)
    assert made.window == made.steps_per_loop


@pytest.mark.parametrize(
    ("fields", "total", "steps"),
    [
        ({}, 10, 10_000),
        ({"warmup_steps": 7}, 10, 7),
        ({"warmup_fraction": 0.1}, 60, 6),
        ({"warmup_fraction": 0.1}, 69, 6),
        ({"warmup_fraction": 0.1}, 9, 0),
        ({"warmup_fraction": 0.0}, 60, 0),
        ({"warmup_fraction": 1}, 60, 60),
    ],
)
def test_a_warm_up_may_be_a_fraction_of_all_steps(fields, total, steps):
    resolved = TrainingConfig(**fields).for_steps(total)
    assert (resolved.warmup_steps, resolved.warmup_fraction) == (steps, None)
    assert resolved.for_steps(total + 100) == resolved


@pytest.mark.parametrize(
    ("evaluations", "total", "loop", "interval"),
    [
        (1, 60, 60, 60),
        (3, 60, 20, 20),
        (3, 61, 21, 21),
        (4, 1000, 84, 252),
        (10, 10_000, 100, 1000),
        (10, 5, 1, 1),
        (7, 10, 2, 2),
        (1, 1_000_000, 100, 1_000_000),
    ],
)
def test_evaluations_are_spread_evenly_with_the_last_at_the_end(evaluations, total, loop, interval):
    resolved = TrainingConfig(evaluations=evaluations).for_steps(total)
    assert (resolved.steps_per_loop, resolved.evaluation_interval) == (loop, interval)
    assert resolved.checkpoint_interval == interval
    assert (resolved.evaluations, resolved.log_interval) == (None, None)
    steps = {*range(interval, total + 1, interval), total}
    assert len(steps) == min(evaluations, -(-total // interval))


def test_every_field_has_a_kind():
    names = {field.name for field in dataclasses.fields(TrainingConfig)}
    assert set(config.TRAINING_FIELDS) == names
    assert set(config.PHASE_FIELDS) == {field.name for field in dataclasses.fields(PhaseConfig)}
    kinds = {config.FIXED, config.ROUNDING, config.FREE, config.IGNORED}
    assert {*config.TRAINING_FIELDS.values(), *config.PHASE_FIELDS.values()} == kinds


def test_a_resumed_run_may_change_how_often_it_reports():
    one = TrainingConfig(log_interval=100, keep=1)
    other = TrainingConfig(log_interval=200, keep=2, evaluation_interval=0, corrupt_records="skip")
    assert one.of_kind(config.FIXED) == other.of_kind(config.FIXED)
    assert one.of_kind(config.FIXED) != TrainingConfig(seed=1).of_kind(config.FIXED)


def test_the_path_of_the_data_is_not_part_of_the_identity():
    one, other = (PhaseConfig(steps=5, batch_size=8, length=4, data=name) for name in "ab")
    assert config.fixed_of_phase(one) == config.fixed_of_phase(other)


def test_settings_survive_run_json():
    quirks = ReferenceQuirks(loss_per_replica=True)
    made = TrainingConfig(seed=3, accumulation=2, keep=7, reference_quirks=quirks)
    recorded = made.of_kind(config.FIXED, config.ROUNDING)
    again = TrainingConfig.from_dict(json.loads(json.dumps(recorded)))
    # Free fields are not recorded: they have their defaults.
    assert again == dataclasses.replace(made, keep=TrainingConfig.keep)
    assert TrainingConfig.from_dict({}) == TrainingConfig()


@pytest.mark.parametrize(
    ("name", "metric", "higher"),
    [
        ("rtd_auc", "rtd_auc", True),
        ("held_out/accuracy", "held_out/accuracy", True),
        ("mlm_loss", "mlm_loss", False),
        ("dev/loss", "dev/loss", False),
        ("higher:dev/loss", "dev/loss", True),
        ("lower:spearman", "spearman", False),
        ("spearman", "spearman", True),
        ("dev/pearson", "dev/pearson", True),
        ("matthews_correlation", "matthews_correlation", True),
        ("exact_match", "exact_match", True),
        ("dev/macro_f1", "dev/macro_f1", True),
        ("mean_squared_error", "mean_squared_error", False),
    ],
)
def test_the_direction_of_a_metric_follows_from_its_name_or_is_given(name, metric, higher):
    assert best.parse(name) == (metric, higher)
