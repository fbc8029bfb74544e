"""A generator that leaves the discriminator nothing to find is told, once."""

import pytest

from official_nlp.tasks import GeneratorMonitor
from official_nlp.tasks.pretraining.generator_monitor import WINDOWS


def _window(accuracy, auc):
    return {"mlm_sampled_accuracy": accuracy, "rtd_auc": auc, "loss": 1.0}


def _warnings(windows):
    watch = GeneratorMonitor()
    return [text for text in map(watch, windows) if text]


def test_a_strong_generator_beside_a_discriminator_that_learns_nothing_is_told_once():
    (warning,) = _warnings([_window(0.55, 0.52)] * 3 * WINDOWS)
    assert "55% of its samples are the original token" in warning
    assert "stays at 0.52" in warning
    assert "section 3.2" in warning


@pytest.mark.parametrize(
    "windows",
    [
        [_window(0.55, 0.52)] * (WINDOWS - 1),
        [_window(0.3, 0.52)] * WINDOWS,
        [_window(0.55, 0.8)] * WINDOWS,
        [_window(0.55, 0.5 + 0.005 * i) for i in range(WINDOWS)],
        [{"mlm_accuracy": 0.9}] * WINDOWS,
        [_window(0.55, float("nan"))] * WINDOWS,
        ([_window(0.55, 0.52)] * (WINDOWS - 1) + [{"mlm_accuracy": 0.5}]) * 3,
    ],
    ids=["too early", "weak", "found", "rising", "alone", "nothing replaced", "phases between"],
)
def test_nothing_is_said_of_others(windows):
    assert _warnings(windows) == []
