"""Printing text of unknown origin, to readers of every kind."""

import errno
import io
import os
import sys
import warnings

import pytest
import rich.table

from official_nlp import output
from official_nlp.errors import StorageError

HOSTILE = "red\x1b[2J \u202eboat\n\u2028[bold]:smile:"
ESCAPED = "red\\x1b[2J \\u202eboat\\n\\u2028[bold]:smile:"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HOSTILE, ESCAPED),
        ("\x00\x7f\x9b\t\r", "\\x00\\x7f\\x9b\\t\\r"),
        ("\u2066a\u2069 \udc80", "\\u2066a\\u2069 \\udc80"),
        # A joiner is part of words in Persian and of emoji.
        ("Größe 你好 می\u200cخواهم 👩\u200d🚀 é", "Größe 你好 می\u200cخواهم 👩\u200d🚀 é"),
    ],
)
def test_control_characters_are_shown_escaped(text, expected):
    assert output.escaped(text) == expected
    assert output.escaped(expected) == expected


@pytest.mark.parametrize(
    ("number", "words", "expected"),
    [
        (1, ("row",), "1 row"),
        (0, ("row",), "0 rows"),
        (2000, ("text or pair", "texts or pairs"), "2,000 texts or pairs"),
        (1.0, ("epoch",), "1 epoch"),
        (0.5, ("epoch",), "0.5 epochs"),
    ],
)
def test_a_number_has_its_noun_in_singular_or_plural(number, words, expected):
    assert output.counted(number, *words) == expected


def test_a_console_escapes_strings_wherever_they_are_printed(capsys):
    console = output.Console()
    console.soft_wrap = True
    console.print(HOSTILE, style="dim")
    console.print(rich.table.Table(HOSTILE, box=None))
    assert capsys.readouterr().out.count(ESCAPED) == 2


# === Readers ===


class Reader(io.TextIOWrapper):
    """A stream in some encoding, whose writes fail with an error if there is one."""

    def __init__(self, encoding="utf-8", error=None):
        super().__init__(io.BytesIO(), encoding)
        self.error = error

    def write(self, text):
        if self.error:
            raise self.error
        return super().write(text)

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture
def streams(monkeypatch):
    """Replace standard output and standard error; return both."""

    def replace(**options):
        streams = Reader(**options), Reader()
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        return streams

    return replace


def test_what_an_encoding_lacks_is_replaced(streams):
    out, _ = streams(encoding="ascii")
    with output.prepared():
        print("Größe \udcff")
        output.Console().print("Größe")
    assert out.text() == "Gr\\xf6\\xdfe \\udcff\nGr\\xf6\\xdfe\n"
    assert sys.stdout is out


def test_a_reader_that_went_away_ends_the_work(streams):
    streams(error=BrokenPipeError(errno.EPIPE, "Broken pipe"))
    for show in (print, output.Console().print):
        with pytest.raises(output.ReaderGone), output.prepared():
            show("a line")


def test_a_full_disk_under_the_output_is_a_storage_error(streams):
    streams(error=OSError(errno.ENOSPC, "No space left on device"))
    message = "standard output could not be written: No space left"
    with pytest.raises(StorageError, match=message), output.prepared():
        print("a line")


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC, errno.EIO])
def test_lasting_work_goes_on_and_says_once_that_its_output_is_lost(streams, number):
    _, err = streams(error=OSError(number, os.strerror(number)))
    with output.prepared(lasting=True):
        print("a line")
        output.Console().print("another")
        sys.stdout.writelines(["more"])
    line = f"electra: standard output is lost ({os.strerror(number)}); going on\n"
    assert err.text() == line


def test_closed_streams_are_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with output.prepared():
        print("a line")
        print("a line", file=sys.stderr)
    assert sys.stdout is None


def test_a_warning_is_one_line_with_escapes(streams):
    _, err = streams()
    with output.prepared():
        assert warnings.formatwarning(HOSTILE, UserWarning, "file.py", 3) == (
            f"electra: warning: {ESCAPED}\n"
        )
    assert "file.py" in warnings.formatwarning("x", UserWarning, "file.py", 3)
    assert err.text() == ""
