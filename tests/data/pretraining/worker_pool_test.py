"""Tests of the processes that build examples: order, faults, and an end with the caller."""

import os
import signal
import subprocess
import sys
import time

import pytest

from official_nlp.data.pretraining.worker_pool import WorkerPool
from official_nlp.errors import InputError

# The function of the workers. They import it by name, so it needs a module of its own.
SOURCE = """
import os, signal, sys, time

from official_nlp.errors import InputError


class Squares:
    def __init__(self, settings):
        self.add = settings

    def __call__(self, job):
        if job == "error":
            raise InputError("this job is wrong")
        if job == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if job == "pid":
            time.sleep(0.5)
            return os.getpid()
        if job == "modules":
            return sorted(sys.modules)
        time.sleep(0.02 * (job % 3))
        return job * job + self.add
"""

# Without `if __name__ == "__main__":`, so a worker that imports it prints the first line again.
# `wave` stands for TensorFlow: a module that the script imports and the workers do not need.
# In a background job of a script Ctrl-C is ignored, and a process inherits that.
_SCRIPT = """
import signal
import sys
import wave
signal.signal(signal.SIGINT, signal.default_int_handler)
from official_nlp.data.pretraining.worker_pool import WorkerPool
from squares import Squares
print("script runs", flush=True)
with WorkerPool(Squares, 0, 2) as workers:
    for pid in workers.map(["pid", "pid"]):
        print(pid, flush=True)
    print("wave" in next(workers.map(["modules"])), flush=True)
    {then}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the module `squares`, on the path of this process and those it starts."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "squares.py").write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture(scope="module")
def squares(folder):
    import squares

    return squares.Squares


@pytest.fixture(scope="module")
def pool(squares):
    with WorkerPool(squares, 7, 2) as workers:
        yield workers


def test_results_come_in_the_order_of_the_jobs(pool):
    assert list(pool.map(range(12))) == [n * n + 7 for n in range(12)]
    assert list(pool.map([])) == []


def test_few_jobs_are_taken_ahead_of_their_results(pool):
    taken = []

    def jobs():
        for number in range(50):
            taken.append(number)
            yield number

    assert next(pool.map(jobs())) == 7
    assert len(taken) <= 6


def test_an_error_of_the_function_is_raised_with_the_result(pool):
    results = pool.map([1, "error", 3])
    assert next(results) == 8
    with pytest.raises(InputError, match=r"this job is wrong"):
        next(results)


def test_a_killed_process_is_an_error(squares):
    with (
        pytest.raises(RuntimeError, match=r"a worker process has ended .* fewer processes"),
        WorkerPool(squares, 0, 2) as workers,
    ):
        list(workers.map([1, "die", 2, 3, 4, 5, 6, 7, 8]))


def test_leaving_early_ends_the_processes(squares):
    with WorkerPool(squares, 0, 1) as workers:
        (pid,) = workers.map(["pid"])
        next(workers.map(range(100)))
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_processes_import_no_script_and_end_with_their_caller(folder, how, repository):
    file = folder / f"{how}.py"
    file.write_text(_SCRIPT.format(then="sys.stdin.read()"))
    path = os.pathsep.join([str(folder), str(repository)])
    caller = subprocess.Popen(
        [sys.executable, file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,
    )
    assert caller.stdout.readline() == "script runs\n"
    pids = [int(caller.stdout.readline()) for _ in range(2)]
    assert len(set(pids)) == 2
    assert caller.stdout.readline() == "False\n"
    if how == "kill":
        os.kill(caller.pid, signal.SIGKILL)
    else:
        # As from the keyboard: to the caller and to the processes at once.
        os.killpg(caller.pid, signal.SIGINT)
    said, errors = caller.communicate()
    assert said == ""
    assert errors.count("Traceback") == (how == "interrupt")
    for _ in range(200):
        if not any(_alive(pid) for pid in pids):
            return
        time.sleep(0.05)
    pytest.fail("the processes outlive their caller")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
