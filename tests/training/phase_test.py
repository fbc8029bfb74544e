"""Phases: their settings, the steps at which they begin, and the weights of their loss terms."""

import pytest

from official_nlp.errors import InputError
from official_nlp.training import PhaseConfig
from official_nlp.training.phase import stage_at, stages, total_steps

PHASES = (
    PhaseConfig(steps=3, batch_size=2, length=4),
    PhaseConfig(steps=2, batch_size=2, length=8),
)


@pytest.mark.parametrize(("step", "index"), [(0, 0), (2, 0), (3, 1), (4, 1), (5, 1)])
def test_a_step_belongs_to_the_phase_of_its_update(step, index):
    assert stage_at(PHASES, step).index == index


def test_phases_follow_one_another():
    assert [(stage.start, stage.end) for stage in stages(PHASES)] == [(0, 3), (3, 5)]
    assert total_steps(PHASES) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be an integer from 1 to .*, or None, was 0"),
        ({"batch_size": -1}, "batch_size must be an integer from 1 to 1,000,000, was -1"),
        ({"length": 0}, "length must be an integer from 1 to 1,000,000, was 0"),
        ({"steps": None}, "either steps or epochs: steps was None, epochs was None"),
        ({"epochs": 2}, "either steps or epochs: steps was 1, epochs was 2"),
        ({"steps": None, "epochs": 0}, "epochs must be a number of at least 1e-09 .*, was 0"),
        ({"steps": None, "epochs": "x"}, "epochs must be a number .*, was 'x'"),
        ({"steps": None, "epochs": True}, "epochs must be a number .*, was True"),
        (
            {"loss_weights": {"mlm": -1.0}},
            r"loss_weights\['mlm'\] must be .* at least 0 .*, was -1",
        ),
        ({"loss_weights": {"mlm": "x"}}, r"loss_weights\['mlm'\] must be a number .*, was 'x'"),
        ({"loss_weights": {"mlm": float("nan")}}, r"loss_weights\['mlm'\] must be .*, was nan"),
        ({"loss_weights": [1.0]}, r"loss_weights must be a dict of values by name, was \[1.0\]"),
        ({"data": ""}, "data must be a local path .*, or None, was ''"),
    ],
)
def test_impossible_phases_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        PhaseConfig(**{"steps": 1, "batch_size": 1, "length": 1, **change})


def test_a_run_needs_a_phase():
    with pytest.raises(InputError, match="at least one phase"):
        stages(())


# === Loss weights ===


def test_the_weights_of_a_phase_replace_those_of_the_task_one_by_one():
    phase = PhaseConfig(1, 1, loss_weights={"rtd": 0.0}).with_loss_weights({"mlm": 2, "rtd": 50})
    assert phase.loss_weights == {"mlm": 2, "rtd": 0.0}
    assert [phase.trains(term) for term in ("mlm", "rtd")] == [True, False]


def test_a_task_without_weights_leaves_every_term_at_1():
    phase = PhaseConfig(1, 1).with_loss_weights({})
    assert phase.loss_weights == {}
    assert phase.trains("loss")
    assert PhaseConfig(1, 1, loss_weights={"loss": 3}).with_loss_weights({}).loss_weights == {
        "loss": 3
    }


def test_a_term_that_the_task_does_not_have_is_refused():
    phase = PhaseConfig(1, 1, loss_weights={"nsp": 1.0})
    with pytest.raises(InputError, match="must name terms among mlm, rtd, had nsp"):
        phase.with_loss_weights({"mlm": 1.0, "rtd": 50.0})


def test_a_phase_that_trains_nothing_is_refused():
    phase = PhaseConfig(1, 1, loss_weights={"mlm": 0.0})
    with pytest.raises(InputError, match="the loss weights of mlm, rtd are all 0"):
        phase.with_loss_weights({"mlm": 1.0, "rtd": 0.0})


# === Epochs ===


@pytest.mark.parametrize(
    ("epochs", "examples", "steps"), [(3, 8, 6), (2.5, 8, 5), (1, 9, 3), (0.01, 8, 1)]
)
def test_epochs_are_converted_to_steps_that_see_every_example(epochs, examples, steps):
    phase = PhaseConfig(None, 4, epochs=epochs, loss_weights={"mlm": 2.0}).in_steps(examples)
    assert phase == PhaseConfig(steps, 4, loss_weights={"mlm": 2.0})


def test_a_phase_in_steps_is_unchanged():
    assert PHASES[0].in_steps(1000) is PHASES[0]


def test_a_run_needs_its_phases_in_steps():
    with pytest.raises(InputError, match=r"phase 2 is given in epochs \(3\): convert them with"):
        stages((PHASES[0], PhaseConfig(None, 2, epochs=3)))
