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
        ({"steps": None}, "steps or epochs, one of the two: steps was None, epochs None"),
        ({"epochs": 2}, "steps or epochs, one of the two: steps was 1, epochs 2"),
        ({"steps": None, "epochs": 0}, "epochs of a phase must be a number above 0, was 0"),
        ({"steps": None, "epochs": "x"}, "epochs of a phase must be a number above 0, was 'x'"),
        ({"steps": None, "epochs": True}, "epochs of a phase must be a number above 0, was True"),
    ],
)
def test_impossible_phases_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        PhaseConfig(**{"steps": 1, "batch_size": 1, "length": 1, **change})


def test_a_run_has_a_phase():
    with pytest.raises(InputError, match="at least one phase"):
        places(())


@pytest.mark.parametrize(
    ("epochs", "examples", "steps"), [(3, 8, 6), (2.5, 8, 5), (1, 9, 3), (0.01, 8, 1)]
)
def test_epochs_become_the_steps_that_see_every_example(epochs, examples, steps):
    phase = PhaseConfig(None, 4, 1, epochs=epochs, generator_weight=2.0).in_steps(examples)
    assert phase == PhaseConfig(steps, 4, 1, generator_weight=2.0)


def test_steps_stay_what_they_are():
    assert PHASES[0].in_steps(1000) is PHASES[0]


def test_a_run_needs_its_epochs_in_steps():
    with pytest.raises(InputError, match=r"phase 2 is given in epochs \(3\): make steps"):
        places((PHASES[0], PhaseConfig(None, 2, 4, epochs=3)))
