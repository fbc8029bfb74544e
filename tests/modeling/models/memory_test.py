"""Memory of a step, measured by `tools/memory.py` in processes of their own."""

import json
import subprocess
import sys

import pytest


@pytest.fixture
def measured(repository):
    """Runs a verb of the tool; returns its metrics."""

    def run(*words):
        command = [sys.executable, repository / "tools" / "memory.py", *map(str, words)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout)

    return run


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_step_takes_less_than_tfnlps(measured):
    ratios = measured("compare", "--repeats", 2)["ratios"]
    assert ratios["step"] < 0.97
    assert ratios["peak"] < 0.97


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_scores_over_the_vocabulary_are_held_at_most_four_times(measured):
    found = measured("slope", "--repeats", 3, "--vocabulary", 20_000, 50_000, 80_000)
    assert 1 < found["tensors"] <= 4
