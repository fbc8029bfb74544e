"""Measure how the time of a run is divided."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Measures metric windows of a run, in seconds of the clock.

    Args:
      step: finished steps at the start.
    """

    def __init__(self, step: int):
        self.start(step)

    def start(self, step: int) -> None:
        """Start again, at a number of finished steps."""
        self._run_start = self._window_start = time.perf_counter()
        self._window_step = step
        self._first_loop: tuple[float, int] | None = None
        self._loop_start = self._run_start
        self._loop_seconds: float | None = None
        self._seconds = {"training": 0.0, "evaluation": 0.0, "checkpoint": 0.0, "input": 0.0}
        self._tokens = 0

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the block as training, evaluation or checkpoint."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start

    def loop(self) -> None:
        """Record that a loop of steps begins."""
        self._loop_start = time.perf_counter()

    def seconds_of_loop_left(self) -> float | None:
        """Return an estimate from the previous loop, or None without one; never block."""
        if self._loop_seconds is None:
            return None
        return max(self._loop_start + self._loop_seconds - time.perf_counter(), 0.0)

    def trained(self, step: int, tokens: int, checkpoint_seconds: float) -> None:
        """Record the end of a loop and of the checkpoint that followed it.

        Args:
          step: finished steps.
          tokens: tokens of the loop, padding included.
          checkpoint_seconds: time since the loop began that was spent on a checkpoint.
        """
        now = time.perf_counter()
        self._loop_seconds = now - self._loop_start - checkpoint_seconds
        self._seconds["training"] += self._loop_seconds
        self._seconds["checkpoint"] += checkpoint_seconds
        self._tokens += tokens
        if self._first_loop is None:
            # The first loop is traced: its time says nothing about the next.
            self._first_loop = now, step

    def waited(self, seconds: float) -> None:
        """Record how much of a loop's training time was spent waiting for batches."""
        self._seconds["input"] += seconds

    def window(self, step: int) -> dict[str, float]:
        """Return the line of `timing.jsonl` for the window that ends, and begin the next."""
        now = time.perf_counter()
        wall = max(now - self._window_start, 1e-9)
        training = max(self._seconds["training"], 1e-9)
        line = {
            "step": step,
            "wall_seconds": now - self._run_start,
            "steps_per_second": (step - self._window_step) / training,
            "tokens_per_second": self._tokens / training,
            "input_fraction": min(self._seconds["input"] / training, 1.0),
            "evaluation_fraction": self._seconds["evaluation"] / wall,
            "checkpoint_fraction": self._seconds["checkpoint"] / wall,
        }
        self._window_start, self._window_step, self._tokens = now, step, 0
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        return line

    def seconds_left(self, step: int, total: int) -> float | None:
        """Return an estimate from all loops except the first, or None after only one."""
        if self._first_loop is None or step == self._first_loop[1]:
            return None
        seconds, first = time.perf_counter() - self._first_loop[0], self._first_loop[1]
        return seconds / (step - first) * (total - step)
