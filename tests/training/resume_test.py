"""Runs that SIGKILL ends at chosen points, in processes of their own."""

import os
import subprocess
import sys

import pytest

from tests.training.toy import assert_same_state, state

# One process for each point, in one run; `killed_run.py` lists them.
PLANS = {
    "between write and rename, and at a random moment": ["before-rename-of-state=3", "lines=8"],
    "around the first checkpoint": ["before-rename-of-file=1", "before-rename-of-state=1"],
    "around other checkpoints": [
        "checkpoint-written=2",
        "evaluation=2",
        "evaluation=1",
        "before-deletion=2",
    ],
    "within lines": [
        "metrics_log=1",
        "before-rename-of-file=1",
        "metrics_log=6",
        "before-rename-of-file=1",
    ],
}


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(plan, id=name, marks=[] if number == 0 else pytest.mark.slow)
        for number, (name, plan) in enumerate(PLANS.items())
    ],
)
def test_a_run_that_was_killed_ends_in_the_same_bits(repository, tmp_path, plan):
    result = subprocess.run(
        [sys.executable, "tests/training/killed_run.py", str(tmp_path), *plan],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    killed, expected = tmp_path / "killed", tmp_path / "expected"
    assert_same_state(state(killed / "checkpoints"), state(expected / "checkpoints"))
    # A killed process saves nothing out of turn, so no line is split.
    for name in ("metrics.jsonl", "run.json"):
        assert (killed / name).read_bytes() == (expected / name).read_bytes()
    files = [{path.name for path in (run / "checkpoints").iterdir()} for run in (killed, expected)]
    assert files[0] == files[1]
