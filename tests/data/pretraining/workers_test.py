import os
import signal
import subprocess
import sys
import time

import pytest

from official_nlp.data.pretraining.workers import Workers
from official_nlp.errors import InputError

# The processes import this by its name, so the checkout must be on their path.
SOURCE = """
import os, signal, time

from official_nlp.errors import InputError


class Squares:
    def __init__(self, settings):
        self.add = settings

    def __call__(self, job):
        print("not an answer")
        if job == "error":
            raise InputError("this job is wrong")
        if job == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if job == "pid":
            return os.getpid()
        time.sleep(0.02 * (job % 3))
        return job * job + self.add
"""

_CALLER = """
import sys
from official_nlp.data.workers import Workers
with Workers("squares:Squares", 0, 2) as workers:
    for pid in workers.map(["pid", "pid"]):
        print(pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def squares(tmp_path, monkeypatch) -> str:
    (tmp_path / "squares.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "squares:Squares"


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_the_order_of_the_jobs(squares, count):
    with Workers(squares, 7, count) as workers:
        assert list(workers.map(range(20))) == [n * n + 7 for n in range(20)]
        assert list(workers.map(range(3))) == [7, 8, 11]
        assert list(workers.map([])) == []


def test_few_jobs_are_in_hand_at_a_time(squares):
    taken = []

    def jobs():
        for number in range(50):
            taken.append(number)
            yield number

    with Workers(squares, 0, 2) as workers:
        results = workers.map(jobs())
        next(results)
        assert len(taken) <= 6


def test_an_error_is_raised_where_the_result_is_wanted(squares):
    with Workers(squares, 0, 2) as workers:
        results = workers.map([1, "error", 3])
        assert next(results) == 1
        with pytest.raises(InputError, match=r"this job is wrong"):
            next(results)


@pytest.mark.timeout(60)
def test_a_process_that_is_killed_is_told(squares):
    with (
        pytest.raises(RuntimeError, match=r"a worker process ended with code -9"),
        Workers(squares, 0, 2) as workers,
    ):
        list(workers.map(["die", 1, 2, "die", 3, 4, 5, 6, 7, 8]))


@pytest.mark.timeout(60)
def test_leaving_early_ends_the_processes(squares):
    with Workers(squares, 0, 2) as workers:
        (pid,) = workers.map(["pid"])
        next(workers.map(range(100)))
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.timeout(60)
def test_the_processes_end_with_a_caller_that_is_killed(squares, repository):
    caller = subprocess.Popen(
        [sys.executable, "-c", _CALLER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=repository,
    )
    pids = [int(caller.stdout.readline()) for _ in range(2)]
    caller.send_signal(signal.SIGKILL)
    caller.communicate()
    for _ in range(200):
        if not any(_alive(pid) for pid in pids):
            return
        time.sleep(0.05)
    pytest.fail("the workers outlive their caller")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
