"""Show the progress of a run: one live line in a terminal, plain lines elsewhere."""

import contextlib
import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import rich.console

from official_nlp.progress import Progress

# Number of metrics that fit into a line; `Task.report` returns the main ones first.
_SHOWN = 4


class TrainingProgress(Progress):
    """Shows how far a run is; a context manager.

    In a terminal one line is updated, and evaluation metrics remain above it. Elsewhere a line is
    printed at every metric window.

    Args:
      total: steps of the run.
      phases: number of phases.
      console: where to print; None for standard output.
    """

    def __init__(self, total: int, phases: int, console: rich.console.Console | None = None):
        super().__init__(total, console=console)
        self._steps = total
        self._phases = phases
        self._metrics: Mapping[str, float] = {}

    def __enter__(self) -> "TrainingProgress":
        with self._whoever_reads():
            super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        with self._whoever_reads():
            super().__exit__(*error)

    def update(self, done: int, text: str, milestone: bool = False) -> None:
        with self._whoever_reads():
            super().update(done, text, milestone)

    def message(self, text: str) -> None:
        with self._whoever_reads():
            super().message(text)

    def show(
        self,
        step: int,
        phase: int,
        metrics: Mapping[str, float] | None,
        tokens_per_second: float | None,
        seconds_left: float | None,
        input_fraction: float | None = None,
    ) -> None:
        """Show the state after a loop.

        Args:
          step: finished steps.
          phase: index of the phase.
          metrics: metrics of the window that just ended; None within a window.
          tokens_per_second: rate of the last window, padding included; None if unknown.
          seconds_left: estimated seconds until the end of the run; None if unknown.
          input_fraction: fraction of the last window's training time spent waiting for batches.
        """
        if metrics is not None:
            self._metrics = metrics
        line = self._line(step, phase, tokens_per_second, seconds_left, input_fraction)
        self.update(step, line, milestone=metrics is not None)

    def evaluated(self, step: int, name: str, metrics: Mapping[str, float]) -> None:
        """Print the metrics of an evaluation set."""
        self.message(f"step {step} {name}  {_shown(metrics, 2 * _SHOWN)}")

    @contextlib.contextmanager
    def _whoever_reads(self) -> Iterator[None]:
        """Show nothing more where the output is lost: training does not depend on its reader."""
        try:
            yield
        except (OSError, SystemExit):  # A console of rich ends the process without a reader.
            self._show, self._live = False, None

    def _line(self, step, phase, tokens_per_second, seconds_left, input_fraction) -> str:
        parts = [f"step {step}/{self._steps}"]
        if self._phases > 1:
            parts.append(f"phase {phase + 1}/{self._phases}")
        if seconds_left is not None:
            parts.append(f"{datetime.timedelta(seconds=round(seconds_left))} left")
        if tokens_per_second:
            parts.append(f"{tokens_per_second:,.0f} tokens/s")
        if input_fraction is not None:
            parts.append(f"input {input_fraction:.0%}")
        # Metrics come last: a narrow terminal cuts off the end.
        parts.append(_shown(self._metrics, _SHOWN))
        return "  ".join(part for part in parts if part)


def _shown(metrics: Mapping[str, float], count: int) -> str:
    names = [name for name in metrics if name not in ("learning_rate", "grad_norm")]
    return "  ".join(f"{name} {metrics[name]:.4g}" for name in names[:count])
