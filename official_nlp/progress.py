"""Show the progress of long tasks: a live line in a terminal, plain lines elsewhere."""

import datetime
import time
import types

import rich.console
import rich.live
import rich.progress_bar
import rich.table
import rich.text

from official_nlp import output

_SECONDS_BETWEEN_LINES = 10
_SECONDS_BETWEEN_UPDATES = 0.1
_BAR_WIDTH = 20


class Progress:
    """Shows how much of a task is done, with a text beside it; a context manager.

    In a terminal a bar and the latest text are redrawn in place, and messages stay above them.
    Elsewhere, such as in a log file, each milestone is printed as a line.

    Example:
      with Progress(total=100) as progress:
          progress.update(10, "step 10/100  loss 2.5", milestone=True)
    """

    def __init__(
        self, total: int, *, console: rich.console.Console | None = None, show: bool = True
    ) -> None:
        """Make a progress line, which starts with the `with` block.

        Args:
          total: the amount of work, in any unit.
          console: where to print; None is standard output.
          show: False prints neither progress nor messages.
        """
        self._total = max(1, total)
        self._console = console or output.Console()
        self._show = show
        self._next_update = 0.0
        self._live: rich.live.Live | None = None
        if show and self._console.is_terminal:
            self._live = rich.live.Live(console=self._console, auto_refresh=False)

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        if self._live:
            self._live.refresh()
            self._live.stop()

    def update(self, done: int, text: str, milestone: bool = False) -> None:
        """Show the state of the task.

        Args:
          done: how much of `total` is done.
          text: one line; a narrow terminal cuts off its end.
          milestone: True prints `text` where there is no terminal; False prints nothing there.
        """
        if self._live:
            # Redrawing costs a millisecond; some tasks call this thousands of times a second.
            now = time.monotonic()
            due = milestone or now >= self._next_update
            if due:
                self._next_update = now + _SECONDS_BETWEEN_UPDATES
            self._live.update(_line(done / self._total, text), refresh=due)
        elif milestone:
            self.message(text)

    def message(self, text: str) -> None:
        """Print a line that stays, above the live line if there is one."""
        if self._show:
            text = output.escaped(text)
            self._console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)


class ByteProgress:
    """Shows how many bytes of a known number are processed; a context manager.

    It writes to standard error, because the results of the commands go to standard output. Where
    there is no terminal, it prints a line every ten seconds.

    Example:
      with ByteProgress("Reading", total=1000) as progress:
          progress.advance(10)
    """

    def __init__(self, description: str, total: int, show: bool = True) -> None:
        """Make a progress line, which starts with the `with` block.

        Args:
          description: what is done, in a few words.
          total: number of bytes.
          show: False prints nothing.
        """
        self._description = description
        self._total = max(1, total)
        self._done = 0
        self._start = time.monotonic()
        self._next_line = self._start + _SECONDS_BETWEEN_LINES
        console = output.Console(stderr=True)
        self._progress = Progress(self._total, console=console, show=show)

    def __enter__(self) -> "ByteProgress":
        self._progress.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self._progress.__exit__(kind, error, traceback)

    def advance(self, size: int) -> None:
        """Count `size` more bytes as processed."""
        self._done += size
        now = time.monotonic()
        milestone = now >= self._next_line
        if milestone:
            self._next_line = now + _SECONDS_BETWEEN_LINES
        self._progress.update(self._done, self._text(now - self._start), milestone)

    def _text(self, seconds: float) -> str:
        # The lower limits avoid divisions by zero in the first moment and before the first byte.
        rate = self._done / max(seconds, 1e-3)
        left = max(0, self._total - self._done) / max(rate, 1e-3)
        return (
            f"{self._description}  {self._done / self._total:.0%}  "
            f"{self._done / 1e6:.1f}/{self._total / 1e6:.1f} MB  {rate / 1e6:.1f} MB/s  "
            f"{duration(left)} left"
        )


def duration(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds, such as 1:02:03."""
    return str(datetime.timedelta(seconds=round(seconds)))


def _line(fraction: float, text: str) -> rich.table.Table:
    bar = rich.progress_bar.ProgressBar(total=1, completed=fraction, width=_BAR_WIDTH)
    line = rich.table.Table.grid(padding=(0, 1))
    line.add_column()
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_row(bar, rich.text.Text(output.escaped(text), no_wrap=True, overflow="ellipsis"))
    return line
