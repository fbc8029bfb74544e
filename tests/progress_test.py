import io

import pytest
import rich.console

from official_nlp import progress


def console(terminal: bool, width: int = 100) -> rich.console.Console:
    return rich.console.Console(file=io.StringIO(), force_terminal=terminal, width=width)


def test_a_terminal_shows_one_line_that_is_redrawn_below_the_messages():
    screen = console(terminal=True)
    with progress.Progress(40, console=screen) as line:
        line.update(10, "step 10/40")
        line.message("a [message] stays")
        line.update(20, "step 20/40", milestone=True)
    text = screen.file.getvalue()
    assert "━" in text
    assert "step 20/40" in text
    assert "a [message] stays\n" in text
    # The erase sequence: the live line is removed before it is drawn again.
    assert "\x1b[2K" in text


def test_the_last_state_is_shown_however_fast_updates_come():
    screen = console(terminal=True)
    with progress.Progress(1000, console=screen) as line:
        for step in range(1001):
            line.update(step, f"step {step}")
    assert "step 1000" in screen.file.getvalue()
    assert "step 500 " not in screen.file.getvalue()


def test_a_narrow_terminal_cuts_off_the_end_of_the_line():
    screen = console(terminal=True, width=40)
    with progress.Progress(40, console=screen) as line:
        line.update(10, "step 10/40 " + "x" * 100, milestone=True)
    assert "step 10/40 xxx" in screen.file.getvalue()
    assert "x" * 30 not in screen.file.getvalue()


def test_without_a_terminal_only_milestones_and_messages_are_printed():
    log = console(terminal=False)
    with progress.Progress(40, console=log) as line:
        line.update(10, "step 10/40")
        line.message("a message")
        line.update(20, "step 20/40", milestone=True)
    assert log.file.getvalue() == "a message\nstep 20/40\n"


@pytest.fixture
def standard_error(monkeypatch):
    """Returns a function that redirects `ByteProgress` to a new console."""
    real = rich.console.Console

    def redirect(terminal: bool) -> io.StringIO:
        stream = io.StringIO()

        def make(stderr):
            assert stderr
            return real(file=stream, force_terminal=terminal, width=100)

        monkeypatch.setattr(progress.output, "Console", make)
        return stream

    return redirect


def test_bytes_are_shown_with_fraction_and_rate(standard_error):
    stream = standard_error(True)
    with progress.ByteProgress("Reading", 10_000_000) as bar:
        bar.advance(4_000_000)
    for part in ("Reading  40%  4.0/10.0 MB  ", " MB/s  ", " left", "━"):
        assert part in stream.getvalue()


def test_without_a_terminal_bytes_are_printed_every_ten_seconds(standard_error, monkeypatch):
    stream = standard_error(False)
    clock = iter([0.0, 4.0, 10.0, 11.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.ByteProgress("Reading", 10_000_000) as bar:
        for _ in range(4):
            bar.advance(1_000_000)
    assert stream.getvalue().splitlines() == [
        "Reading  20%  2.0/10.0 MB  0.2 MB/s  0:00:40 left",
        "Reading  40%  4.0/10.0 MB  0.2 MB/s  0:00:30 left",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_can_be_silent(standard_error, monkeypatch, terminal):
    screen = console(terminal)
    stream = standard_error(terminal)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0)
    with progress.ByteProgress("Reading", 0, show=False) as bar:
        bar.advance(400)
    with progress.Progress(1, console=screen, show=False) as line:
        line.update(1, "text", milestone=True)
        line.message("message")
    assert stream.getvalue() == screen.file.getvalue() == ""
