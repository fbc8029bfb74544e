import dataclasses

import pytest

from official_nlp.errors import InputError
from official_nlp.training import PhaseConfig, TrainingConfig, config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps_per_loop": 0}, "steps_per_loop must be at least 1, was 0"),
        ({"keep": 0}, "keep must be at least 1, was 0"),
        (
            {"log_interval": 15},
            r"log_interval must be a positive multiple of steps_per_loop \(10\)",
        ),
        ({"log_interval": 0}, "log_interval must be a positive multiple"),
        ({"summary_interval": 25}, "summary_interval must be a positive multiple"),
        ({"checkpoint_interval": 25}, r"multiple of steps_per_loop \(10\), was 25"),
        (
            {"log_interval": 20, "checkpoint_interval": 50},
            r"checkpoint_interval must be a positive multiple of log_interval \(20\), was 50",
        ),
        ({"evaluation_interval": 15}, "evaluation_interval must be a positive multiple"),
        ({"keep_every": 150}, r"keep_every must be a positive multiple of checkpoint_interval"),
        (
            {"keep_every": 100, "checkpoint_interval": None},
            "keep_every must be None where checkpoint_interval is, was 100",
        ),
        (
            {"keep_best": "held_out/rtd"},
            "keep_best must be a held-out figure .* was 'held_out/rtd'",
        ),
        ({"keep_best": "least:rtd_loss"}, "keep_best must be a held-out figure"),
        (
            {"keep_best": "rtd_auc", "evaluation_interval": 0},
            "keep_best needs held-out metrics: evaluation_interval must not be 0",
        ),
        ({"corrupt_records": "ignore"}, "corrupt_records must be one of stop, skip, was 'ignore'"),
        ({"strategy": "many"}, "strategy must be one of one_device, mirrored, .*, was 'many'"),
    ],
)
def test_what_does_not_fit_the_loop_is_refused(fields, message):
    defaults = {"steps_per_loop": 10, "checkpoint_interval": 100, "evaluation_interval": 100}
    with pytest.raises(InputError, match=message):
        TrainingConfig(**{**defaults, **fields})


def test_intervals_may_be_absent_and_evaluation_off():
    made = TrainingConfig(checkpoint_interval=None, evaluation_interval=0)
    assert made.window == made.steps_per_loop


def test_every_field_is_fixed_or_free_or_ignored():
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


def test_where_the_data_lie_is_not_what_they_are():
    one, other = (PhaseConfig(steps=5, batch_size=8, length=4, data=name) for name in "ab")
    assert config.fixed_of_phase(one) == config.fixed_of_phase(other)
