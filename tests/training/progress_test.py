"""What a run prints, with a terminal and without one."""

import io
import os
import sys

import pytest
import rich.console

from official_nlp import output
from official_nlp.training.progress import TrainingProgress


def _console(terminal):
    return rich.console.Console(file=io.StringIO(), width=120, force_terminal=terminal)


def test_without_a_terminal_each_window_is_a_line():
    console = _console(False)
    with TrainingProgress(40, 2, console) as progress:
        progress.show(5, 0, None, None, None)
        progress.show(10, 0, {"loss": 2.5, "auc": 0.61234}, None, None)
        progress.show(20, 1, {"loss": 1.5}, 12345.6, 61.4, 0.034)
        progress.evaluated(20, "held_out", {"loss": 2.0})
    assert console.file.getvalue().splitlines() == [
        "step 10/40  phase 1/2  loss 2.5  auc 0.6123",
        "step 20/40  phase 2/2  0:01:01 left  12,346 tokens/s  input 3%  loss 1.5",
        "step 20 held_out  loss 2",
    ]


def test_in_a_terminal_one_line_is_updated():
    console = _console(True)
    with TrainingProgress(40, 1, console) as progress:
        progress.show(10, 0, {"loss": 2.5}, 100.0, 9.0)
        progress.show(15, 0, None, 100.0, 8.0)
        progress.evaluated(15, "held_out", {"loss": 2.0})
    text = console.file.getvalue()
    assert "step 15/40  0:00:08 left  100 tokens/s  loss 2.5" in text
    assert "step 15 held_out  loss 2\n" in text
    # The live line is erased before it is drawn again.
    assert "\x1b[2K" in text


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("kind", [rich.console.Console, output.Console])
def test_training_goes_on_when_nobody_reads(monkeypatch, kind, terminal):
    class Gone(io.StringIO):
        isatty = lambda self: terminal  # noqa: E731
        fileno = lambda self: nowhere.fileno()  # noqa: E731

        def write(self, text):
            raise BrokenPipeError

    with open(os.devnull, "w") as nowhere:
        monkeypatch.setattr(sys, "stdout", Gone())
        with TrainingProgress(40, 1, kind()) as progress:
            progress.show(10, 0, {"loss": 2.5}, 100.0, 9.0)
            progress.message("a message")
            progress.evaluated(15, "held_out", {"loss": 2.0})
