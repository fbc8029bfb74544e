import os
import subprocess
import sys

import pytest

from tests.training.toy import assert_same_state, state


def _run(repository, folder, *plan):
    result = subprocess.run(
        [sys.executable, "tests/training/killed_run.py", str(folder), *plan],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def uninterrupted(repository, tmp_path_factory):
    return _run(repository, tmp_path_factory.mktemp("uninterrupted") / "run")


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(
            ["before-rename-of-file=1", "before-rename-of-state=1", "before-rename-of-state=3"],
            id="between write and rename",
        ),
        pytest.param(["lines=2", "lines=9", "lines=24"], id="at random moments"),
        pytest.param(
            ["checkpoint-written=2", "evaluation=3", "evaluation=1", "before-deletion=4"],
            id="around checkpoints",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            [
                "metrics_log=1",
                "before-rename-of-file=1",
                "metrics_log=6",
                "before-rename-of-file=1",
            ],
            id="within lines",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_run_that_was_killed_ends_in_the_same_bits(repository, tmp_path, uninterrupted, plan):
    killed = _run(repository, tmp_path / "run", *plan)
    assert_same_state(state(killed / "checkpoints"), state(uninterrupted / "checkpoints"))
    for name in ("metrics.jsonl", "run.json"):
        assert (killed / name).read_bytes() == (uninterrupted / name).read_bytes()
    leftovers = {path.name for path in (killed / "checkpoints").iterdir()}
    assert leftovers == {path.name for path in (uninterrupted / "checkpoints").iterdir()}
