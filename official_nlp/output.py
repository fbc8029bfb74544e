"""Print text of unknown origin to terminals, files and pipes of any kind.

Texts, file names and the content of files reach the terminal through this module alone. It shows
their control characters as escapes, replaces what an encoding lacks, and decides what happens when
nobody reads the output any more.
"""

import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast

import rich.console
import rich.text

from official_nlp.errors import StorageError

# Control characters, separators of lines, surrogates, which stand for bytes that are not UTF-8, and
# the overrides and isolates of bidirectional text. Joiners belong to words of many scripts.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


# The patterns by which rich finds numbers and paths take quadratic time in a long word.
_LONGEST_HIGHLIGHTED = 10_000


def escaped(text: str) -> str:
    r"""Return the text with control characters as escapes, such as `\x1b`, in one line.

    Text of a file could otherwise move the cursor, or reverse the direction of what follows.
    """
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def counted(number: float, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: "1 row", "2,000 rows".

    Args:
      number: the number; one with a fraction is written in short.
      noun: the noun in the singular, perhaps with words before it.
      plural: its plural; None for the noun with an s.
    """
    written = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{written} {noun if number == 1 else plural or noun + 's'}"


class Console(rich.console.Console):
    """A console that takes no text for markup, and shows control characters as escapes.

    Args:
      highlight: whether numbers and paths are colored.
      stderr: print to standard error.
    """

    def __init__(self, highlight: bool = True, stderr: bool = False):
        super().__init__(highlight=highlight, stderr=stderr, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> rich.text.Text:
        """Return a string as styled text; every string that is printed comes through here."""
        if len(text) > _LONGEST_HIGHLIGHTED:
            options["highlight"] = False
        return super().render_str(escaped(text), **options)

    def on_broken_pipe(self) -> None:
        """Raise the error that is being handled; by itself rich ends the process."""
        raise


class ReaderGone(Exception):
    """Nobody reads standard output any more, as after `| head`."""


@contextlib.contextmanager
def prepared(lasting: bool = False) -> Iterator[None]:
    """Make standard output and standard error print anything during the block.

    Warnings are printed as one line each, without the line of the program that raised them.

    Args:
      lasting: whether the work goes on when standard output cannot be written. One line on standard
        error says so.

    Raises:
      ReaderGone: the reader of standard output has gone away.
      StorageError: standard output is a file that cannot be written.
    """
    _open_descriptors()
    old = sys.stdout, sys.stderr
    errors = _Stream(old[1], lasting=True)
    sys.stderr = cast(TextIO, errors)
    sys.stdout = cast(TextIO, _Stream(old[0], lasting, errors))
    format_before = warnings.formatwarning
    warnings.formatwarning = _warning_line
    try:
        yield
    finally:
        # Whatever ended the block is reported, and not this.
        with contextlib.suppress(ReaderGone, StorageError):
            sys.stdout.flush()
        warnings.formatwarning = format_before
        sys.stdout, sys.stderr = old


def _warning_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"electra: warning: {escaped(str(message))}\n"


class _Stream:
    """A stream that replaces what its encoding lacks, and survives the end of its reader."""

    def __init__(self, stream: TextIO | None, lasting: bool, errors: "_Stream | None" = None):
        self._stream: Any = stream or open(os.devnull, "w")  # noqa: SIM115 - as long as the process
        self._lasting = lasting
        self._errors = errors
        if isinstance(self._stream, io.TextIOWrapper):
            self._stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write text."""
        with self._survived():
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Write what is buffered."""
        with self._survived():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _survived(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._discard()
            reason = error.strerror or str(error)
            if self._lasting:
                if self._errors:
                    self._errors.write(f"electra: standard output is lost ({reason}); going on\n")
            elif isinstance(error, BrokenPipeError):
                raise ReaderGone from None
            else:
                raise StorageError(f"standard output could not be written: {reason}") from error

    def _discard(self) -> None:
        """Send everything from here on to nowhere, also what is buffered."""
        nowhere = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere.fileno(), self._stream.fileno())
        self._stream = nowhere


def _open_descriptors() -> None:
    """Open standard descriptors that are closed: another file would get the number of one."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
