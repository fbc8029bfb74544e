"""Requests to stop a real process, in any order and at any moment."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from official_nlp.cli import main
from tests.training.toy import assert_same_state, state

# In a background job of a script Ctrl-C is ignored, and a process inherits that.
_COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from official_nlp.cli import main
print("started", flush=True)
sys.exit(main.main())
"""
_CODES = (main.DONE, main.PREEMPTED, main.INTERRUPTED, main.TERMINATED)
_LONGEST_SECONDS = 30


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_signals_at_any_moment_leave_a_run_that_continues_in_the_same_bits(
    recipe, built, run, tmp_path, repository
):
    words = ["train", str(recipe), f"DATA={built}", f"MODEL_DIR={tmp_path / 'run'}", "SEED=5"]
    codes = []
    for seed in range(6):
        choice = random.Random(seed)
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *words],
            cwd=repository,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "started\n"
        time.sleep(choice.uniform(0, _LONGEST_SECONDS))
        for _ in range(choice.choice([1, 2, 5])):
            if process.poll() is None:
                os.kill(process.pid, choice.choice([signal.SIGINT, signal.SIGTERM]))
            time.sleep(choice.choice([0, 0.01, 0.5]))
        _, errors = process.communicate()
        codes.append(process.returncode)
        told = f"seed {seed}, codes {codes}: {errors[-2000:]}"
        assert process.returncode in _CODES, told
        assert errors.count("\n") == (process.returncode != main.DONE), told
        assert not errors or errors.startswith("electra: "), told
    assert main.main(words) == main.DONE
    assert_same_state(state(tmp_path / "run/checkpoints"), state(run / "checkpoints"))
