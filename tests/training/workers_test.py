"""Two processes train one model over the loopback, started by `tools/workers.py`."""

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
    """`tools/workers.py` with two workers, and the lines that they print."""

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
        """Return the match of the first line that matches a pattern, once there is one."""

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
def finished(repository, tmp_path_factory):
    """The folder of a run of two processes without interruption."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    code, output = Workers(repository, folder).end()
    assert code == 0, output
    return folder


def _lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _rows(folder, index):
    return np.load(f"{folder}.rows-{index}.npz")


@pytest.mark.slow
def test_two_processes_compute_what_one_computes(tmp_path, finished):
    assert worker_run.main(str(tmp_path / "run"), "one_device") == 0
    one, two = _lines(tmp_path / "run"), _lines(finished)
    assert [line.keys() for line in one] == [line.keys() for line in two]
    for line, other in zip(one, two):
        tolerance = 1e-5 if line["step"] <= 10 else 1e-2
        np.testing.assert_allclose(list(other.values()), list(line.values()), rtol=tolerance)
    # Every process has the rows of both, in the order of the set and without padding.
    expected = _rows(tmp_path / "run", 0)
    np.testing.assert_array_equal(expected["position"], np.arange(20))
    for index in (0, 1):
        rows = _rows(finished, index)
        np.testing.assert_array_equal(rows["position"], expected["position"])
        np.testing.assert_allclose(rows["output"], expected["output"], rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_after_a_worker_was_killed_all_are_started_again(repository, tmp_path, finished):
    workers = Workers(repository, tmp_path / "run", "--restarts", "1")
    pid = int(workers.wait_for(r"worker 1 is process (\d+)")[1])
    workers.wait_for(r"step 25/60")
    os.kill(pid, signal.SIGKILL)
    code, output = workers.end()
    assert code == 0, output
    assert "starting all again" in output
    assert "continuing after step" in output
    assert_same_state(state(tmp_path / "run" / "checkpoints"), state(finished / "checkpoints"))
    metrics = [(folder / "metrics.jsonl").read_bytes() for folder in (tmp_path / "run", finished)]
    assert metrics[0] == metrics[1]


@pytest.mark.slow
def test_on_request_the_processes_stop_at_the_same_step_with_code_42(
    repository, tmp_path, finished
):
    workers = Workers(repository, tmp_path / "run")
    workers.wait_for(r"step 25/60")
    workers.process.send_signal(signal.SIGTERM)
    code, output = workers.end()
    assert code == 42, output
    code, output = Workers(repository, tmp_path / "run").end()
    assert code == 0, output
    assert_same_state(state(tmp_path / "run" / "checkpoints"), state(finished / "checkpoints"))


def test_the_options_hosts_and_index_belong_together(repository):
    command = [sys.executable, "tools/workers.py", "--hosts", "a:1,b:1", "--", "true"]
    result = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert result.returncode == 2
    assert "--hosts and --index belong together" in result.stderr
