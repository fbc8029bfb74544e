"""Two real processes train one model over the loopback, started by the script that users start."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from tests.training import worker_run
from tests.training.toy import assert_same_state, state


class Workers:
    """`tools/workers.py` with two workers, and what they say."""

    def __init__(self, repository, folder, *options):
        self.lines = []
        self.seen = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "tools/workers.py", *options, "--"]
            + [sys.executable, "tests/training/worker_run.py", str(folder), "multi_worker"],
            cwd=repository,
            env={**os.environ, "PYTHONPATH": str(repository), "CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.seen:
                self.lines.append(line.rstrip())
                self.seen.notify_all()

    def wait_for(self, pattern):
        """Returns the match of the first line that holds a pattern."""

        def found():
            return next(filter(None, (re.search(pattern, line) for line in self.lines)), None)

        with self.seen:
            assert self.seen.wait_for(found, timeout=200), "\n".join(self.lines)
            return found()

    def end(self):
        code = self.process.wait(timeout=240)
        self.reader.join()
        return code, "\n".join(self.lines)


@pytest.fixture(scope="module")
def unharmed(repository, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("unharmed") / "run"
    code, said = Workers(repository, folder).end()
    assert code == 0, said
    return folder


def test_a_worker_is_killed_and_both_are_started_again(repository, tmp_path, unharmed):
    workers = Workers(repository, tmp_path / "run", "--restarts", "1")
    pid = int(workers.wait_for(r"worker 1 is process (\d+)")[1])
    workers.wait_for(r"step 45/150")
    os.kill(pid, signal.SIGKILL)
    code, said = workers.end()
    assert code == 0, said
    assert "starting all again" in said
    assert "continuing after step" in said
    assert_same_state(state(tmp_path / "run" / "checkpoints"), state(unharmed / "checkpoints"))
    metrics = [(folder / "metrics.jsonl").read_bytes() for folder in (tmp_path / "run", unharmed)]
    assert metrics[0] == metrics[1]


def test_two_processes_give_what_one_gives(tmp_path, unharmed):
    assert worker_run.main(str(tmp_path / "run"), "one_device") == 0
    one = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    two = [json.loads(x) for x in (unharmed / "metrics.jsonl").read_text().splitlines()]
    assert [line.keys() for line in one] == [line.keys() for line in two]
    for line, other in zip(one, two):
        if line["step"] <= 10:
            np.testing.assert_allclose(list(other.values()), list(line.values()), rtol=1e-5)
    np.testing.assert_allclose(list(two[-1].values()), list(one[-1].values()), rtol=1e-2)


@pytest.mark.slow
def test_asked_to_stop_the_processes_agree_on_a_step_and_end_with_42(
    repository, tmp_path, unharmed
):
    workers = Workers(repository, tmp_path / "run")
    workers.wait_for(r"step 45/150")
    workers.process.send_signal(signal.SIGTERM)
    code, said = workers.end()
    assert code == 42, said
    code, said = Workers(repository, tmp_path / "run").end()
    assert code == 0, said
    assert_same_state(state(tmp_path / "run" / "checkpoints"), state(unharmed / "checkpoints"))


def test_the_script_refuses_half_an_address(repository):
    command = [sys.executable, "tools/workers.py", "--hosts", "a:1,b:1", "--", "true"]
    result = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert result.returncode == 2
    assert "--hosts and --index belong together" in result.stderr
