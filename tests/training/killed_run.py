"""Train the toy task in processes that are killed; `resume_test.py` runs it.

    python tests/training/killed_run.py FOLDER [POINT=COUNT ...]

A run in FOLDER/expected is not interrupted. Another in FOLDER/killed consists of one process for
each POINT, which SIGKILL ends when it reaches that point for the COUNTth time, and of a last one
that ends the run. All are forks of this process, so that TensorFlow is imported once.
"""

import functools
import os
import pathlib
import random
import signal
import sys
import time
import traceback
from unittest import mock

import rich.console

from official_nlp import training
from official_nlp.files import atomic
from official_nlp.training import checkpoints, curves, metrics_log
from official_nlp.training.evaluator import Evaluator
from tests.training.toy import PairTask

PHASES = (
    training.PhaseConfig(steps=43, batch_size=8, length=4, loss_weights={"second": 0.0}),
    training.PhaseConfig(steps=50, batch_size=16, length=4),
)
CONFIG = training.TrainingConfig(
    learning_rate=1e-2,
    warmup_steps=20,
    steps_per_loop=5,
    log_interval=10,
    checkpoint_interval=10,
    evaluation_interval=25,
    seed=3,
)


def kill_self(*arguments, **keywords):
    os.kill(os.getpid(), signal.SIGKILL)


def kill_within_line(path, line):
    # The process dies after it wrote a part of a line.
    with open(path, "a") as file:
        file.write('{"step": 12')
    kill_self()


# The function that is replaced by a fatal one, by name of the point.
POINTS = {
    "checkpoint-written": (checkpoints, "_to_disk", kill_self),
    "before-rename-of-state": (checkpoints, "_write_state", kill_self),
    "before-rename-of-file": (atomic.os, "rename", kill_self),
    "evaluation": (Evaluator, "evaluate", kill_self),
    "metrics_log": (metrics_log, "_append", kill_within_line),
    "before-deletion": (checkpoints, "_remove", kill_self),
}


def train(folder):
    with open(os.devnull, "w") as nowhere:
        console = rich.console.Console(file=nowhere)
        # The curves take longer than the training, and are no part of the state.
        with mock.patch.object(curves, "draw"):
            training.train(PairTask(), PHASES, CONFIG, folder, console=console)


def train_until(folder, point: str, count: int):
    owner, name, fatal = POINTS[point]
    original, calls = getattr(owner, name), 0

    # TensorFlow looks at the signature of a callback.
    @functools.wraps(original)
    def counting(*arguments, **keywords):
        nonlocal calls
        calls += 1
        return (fatal if calls == count else original)(*arguments, **keywords)

    with mock.patch.object(owner, name, counting):
        train(folder)


def forked(function, *arguments) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            function(*arguments)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return child


def require_killed(child: int, point: str):
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        raise SystemExit(f"{point}: the run was not killed, status {status}")


def kill_after_lines(folder, child: int, lines: int, seed: int):
    """Kill a process at a random moment after it wrote some lines."""
    metrics = pathlib.Path(folder, "metrics.jsonl")
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < lines:
        time.sleep(0.001)
    time.sleep(random.Random(seed).uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)


def require_finished(child: int):
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"a run that was not to be killed ended with status {status}")


def main(folder: str, *plan: str):
    require_finished(forked(train, os.path.join(folder, "expected")))
    killed = os.path.join(folder, "killed")
    for number, step in enumerate(plan):
        point, count = step.split("=")
        if point == "lines":
            child = forked(train, killed)
            kill_after_lines(killed, child, int(count), number)
        else:
            child = forked(train_until, killed, point, int(count))
        require_killed(child, step)
    require_finished(forked(train, killed))


if __name__ == "__main__":
    main(*sys.argv[1:])
