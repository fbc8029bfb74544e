import pytest

from official_nlp.errors import InputError
from official_nlp.training import PhaseConfig
from official_nlp.training.phase import phase_at, places, total_steps

PHASES = (
    PhaseConfig(steps=3, batch_size=2, length=4),
    PhaseConfig(steps=2, batch_size=2, length=8),
)


@pytest.mark.parametrize(("step", "index"), [(0, 0), (2, 0), (3, 1), (4, 1), (5, 1)])
def test_a_step_belongs_to_the_phase_of_its_update(step, index):
    assert phase_at(PHASES, step).index == index


def test_phases_follow_one_another():
    assert [(place.start, place.end) for place in places(PHASES)] == [(0, 3), (3, 5)]
    assert total_steps(PHASES) == 5


def test_coefficients_are_those_of_the_networks_and_else_one():
    phase = PhaseConfig(1, 1, 1, generator_weight=2.0, discriminator_weight=30.0)
    assert [phase.coefficient(term) for term in ("mlm", "rtd", "nsp")] == [2.0, 30.0, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps of a phase must be at least 1, was 0"),
        ({"batch_size": -1}, "batch_size of a phase must be at least 1, was -1"),
        ({"generator_weight": -1.0}, "generator_weight of a phase must not be negative"),
        ({"generator_weight": 0.0, "discriminator_weight": 0.0}, "must train something"),
        ({"mask_probability": 1.5}, "must lie between 0 and 1, was 1.5"),
    ],
)
def test_impossible_phases_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        PhaseConfig(**{"steps": 1, "batch_size": 1, "length": 1, **change})


def test_a_run_has_a_phase():
    with pytest.raises(InputError, match="at least one phase"):
        places(())
