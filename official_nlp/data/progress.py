"""A bar for reading files: live in a terminal, a line now and then elsewhere."""

import time

import rich.console
import rich.progress

_SECONDS_BETWEEN_LINES = 10


class Progress:
    """Shows how much of a known number of bytes is done; a context manager.

    with Progress("Reading", total=1000) as bar:
        bar.advance(10)
    """

    def __init__(self, what: str, total: int, show: bool = True):
        """Makes a bar.

        Args:
          what: what is done, a few words.
          total: bytes.
          show: False shows nothing.
        """
        self._what, self._total, self._done = what, max(1, total), 0
        # On standard error: results go to standard output.
        console = rich.console.Console(stderr=True)
        self._bar = None
        self._lines = show and not console.is_terminal
        self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
        self._console = console
        if show and console.is_terminal:
            self._bar = rich.progress.Progress(
                rich.progress.TextColumn("{task.description}"),
                rich.progress.BarColumn(),
                rich.progress.DownloadColumn(),
                rich.progress.TransferSpeedColumn(),
                rich.progress.TimeRemainingColumn(),
                console=console,
            )
            self._task = self._bar.add_task(what, total=self._total)

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *exception):
        if self._bar:
            self._bar.stop()

    def advance(self, size: int):
        """Counts `size` more bytes as done."""
        self._done += size
        if self._bar:
            self._bar.advance(self._task, size)
        elif self._lines and time.monotonic() > self._next_line:
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            self._console.print(f"{self._what}: {100 * self._done // self._total} %")
