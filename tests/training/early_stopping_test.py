"""Early stopping: when training ends, and how the line that says so reads."""

import math

import pytest

from official_nlp.errors import InputError
from official_nlp.training.early_stopping import EarlyStopping


@pytest.mark.parametrize(
    ("values", "patience", "stops"),
    [
        ([0.1, 0.2, 0.3], 1, None),
        ([0.1, 0.1], 1, 20),
        ([0.3, 0.1, 0.2], 2, 30),
        ([0.3, 0.1, 0.4, 0.2, 0.4], 2, 50),
        ([0.1, 0.2], 2, None),
        ([0.3, math.nan, None], 2, 30),
        ([math.nan, 0.1, 0.05], 2, None),
        ([0.1] * 9, None, None),
    ],
)
def test_training_ends_after_evaluations_without_improvement(values, patience, stops):
    stopping = EarlyStopping("accuracy", patience)
    found = None
    for number, value in enumerate(values, start=1):
        stopping.update(10 * number, {"dev/accuracy": value})
        if stopping.reason:
            found = 10 * number
            break
    assert found == stops


def test_the_reason_names_metric_evaluations_and_the_best():
    stopping = EarlyStopping("lower:error", 2)
    for step, value in ((10, 0.75), (20, 0.5), (30, 0.625), (40, 0.5)):
        assert stopping.reason is None
        stopping.update(step, {"dev/error": value, "test/error": 0.0})
    assert stopping.reason == (
        "stopped early at step 40: dev/error did not improve in 2 evaluations; best 0.5 at step 20"
    )


def test_a_metric_that_is_never_a_number_ends_training_too():
    stopping = EarlyStopping("dev/f1", 1)
    stopping.update(10, {"dev/f1": math.nan})
    assert stopping.reason == (
        "stopped early at step 10: dev/f1 did not improve in 1 evaluation; it was never a finite "
        "number"
    )


def test_an_unknown_metric_is_refused():
    with pytest.raises(InputError, match="keep_best must be one of f1, was 'accuracy'"):
        EarlyStopping("accuracy", 1).update(10, {"dev/f1": 0.5})
