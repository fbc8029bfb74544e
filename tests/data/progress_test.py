import io

import pytest
import rich.console

from official_nlp.data import progress


@pytest.fixture
def shown(monkeypatch):
    """What is shown, on a terminal if told so."""
    stream = io.StringIO()
    real = rich.console.Console

    def start(terminal: bool):
        console = lambda stderr: real(file=stream, force_terminal=terminal, width=100)  # noqa: E731
        monkeypatch.setattr(rich.console, "Console", console)
        return stream

    return start


def test_a_terminal_has_a_bar(shown):
    stream = shown(True)
    with progress.Progress("Reading", 1000) as bar:
        bar.advance(400)
    assert "Reading" in stream.getvalue()
    assert "0.4/1.0 kB" in stream.getvalue()


def test_elsewhere_there_is_a_line_now_and_then(shown, monkeypatch):
    stream = shown(False)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0)
    with progress.Progress("Reading", 1000) as bar:
        bar.advance(400)
        bar.advance(100)
    assert stream.getvalue() == "Reading: 40 %\nReading: 50 %\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_it_can_be_silent(shown, monkeypatch, terminal):
    stream = shown(terminal)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0)
    with progress.Progress("Reading", 0, show=False) as bar:
        bar.advance(400)
    assert stream.getvalue() == ""
