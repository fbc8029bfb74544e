import pytest

from official_nlp.errors import InputError
from official_nlp.training import TrainingConfig


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
        ({"strategy": "many"}, "strategy must be one of one_device, mirrored, was 'many'"),
    ],
)
def test_what_does_not_fit_the_loop_is_refused(fields, message):
    defaults = {"steps_per_loop": 10, "checkpoint_interval": 100, "evaluation_interval": 100}
    with pytest.raises(InputError, match=message):
        TrainingConfig(**{**defaults, **fields})


def test_intervals_may_be_absent_and_evaluation_off():
    config = TrainingConfig(checkpoint_interval=None, evaluation_interval=0)
    assert config.window == config.steps_per_loop


def test_a_resumed_run_may_change_how_often_it_reports():
    one = TrainingConfig(log_interval=100, keep=1)
    other = TrainingConfig(log_interval=200, keep=2, evaluation_interval=0)
    assert one.fixed() == other.fixed()
    assert one.fixed() != TrainingConfig(seed=1).fixed()
