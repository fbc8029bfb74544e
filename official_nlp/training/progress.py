"""What the user sees while a run trains: one live line, or plain lines where no terminal is."""

import datetime

import rich.console
import rich.live
import rich.text

# The metrics that fit into a line; `Task.report` gives the main ones first.
_SHOWN = 4


class Progress:
    """Shows where a run is.

    In a terminal, one line is kept up to date and held-out metrics are left standing above it.
    Elsewhere a line is printed at every window.

    Args:
      total: steps of the run.
      phases: number of phases.
      console: of rich; None is standard output.
    """

    def __init__(self, total: int, phases: int, console: rich.console.Console | None = None):
        self._total = total
        self._phases = phases
        self._console = console or rich.console.Console()
        self._live = None
        self._metrics: dict = {}
        if self._console.is_terminal:
            self._live = rich.live.Live(console=self._console, auto_refresh=False)

    def __enter__(self):
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error):
        if self._live:
            self._live.stop()

    def message(self, text: str) -> None:
        """Prints a line that stays."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def update(
        self,
        step: int,
        phase: int,
        metrics: dict | None,
        tokens_per_second: float | None,
        seconds_left: float | None,
        input_share: float | None = None,
    ) -> None:
        """Shows the state after a loop.

        Args:
          step: finished steps.
          phase: index of the phase.
          metrics: of the window that just ended, or None within one.
          tokens_per_second: of the last window, padding included, or None if not known yet.
          seconds_left: until the end of the run, or None if not known yet.
          input_share: of the last window's training, spent waiting for batches.
        """
        if metrics is not None:
            self._metrics = metrics
        line = self._line(step, phase, tokens_per_second, seconds_left, input_share)
        if self._live:
            text = rich.text.Text(line, no_wrap=True, overflow="ellipsis")
            self._live.update(text, refresh=True)
        elif metrics is not None:
            self.message(line)

    def evaluated(self, step: int, metrics: dict) -> None:
        """Prints held-out metrics."""
        self.message(f"step {step} held out  {_shown(metrics, 2 * _SHOWN)}")

    def _line(self, step, phase, tokens_per_second, seconds_left, input_share) -> str:
        parts = [f"step {step}/{self._total}"]
        if self._phases > 1:
            parts.append(f"phase {phase + 1}/{self._phases}")
        if seconds_left is not None:
            parts.append(f"{datetime.timedelta(seconds=round(seconds_left))} left")
        if tokens_per_second:
            parts.append(f"{tokens_per_second:,.0f} tokens/s")
        if input_share is not None:
            parts.append(f"input {input_share:.0%}")
        # Last, as a narrow terminal cuts the end off.
        parts.append(_shown(self._metrics, _SHOWN))
        return "  ".join(part for part in parts if part)


def _shown(metrics: dict, count: int) -> str:
    names = [name for name in metrics if name not in ("learning_rate", "grad_norm")]
    return "  ".join(f"{name} {metrics[name]:.4g}" for name in names[:count])
