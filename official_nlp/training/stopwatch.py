"""Where the time of a run goes."""

import contextlib
import time


class Stopwatch:
    """Measures windows of a run, in seconds of the clock.

    Args:
      step: finished steps at the start.
    """

    def __init__(self, step: int):
        self.start(step)

    def start(self, step: int) -> None:
        """Starts again, at a number of finished steps."""
        self._begun = self._window_begun = time.perf_counter()
        self._window_step = step
        self._first_loop: tuple[float, int] | None = None
        self._loop_begun = self._begun
        self._loop_seconds: float | None = None
        self._seconds = {"training": 0.0, "evaluation": 0.0, "checkpoint": 0.0, "input": 0.0}
        self._tokens = 0

    @contextlib.contextmanager
    def part(self, name: str):
        """Counts what happens inside as training, evaluation or checkpoint."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start

    def loop(self) -> None:
        """Notes that a loop of steps begins."""
        self._loop_begun = time.perf_counter()

    def seconds_of_loop_left(self) -> float | None:
        """Returns an estimate from the loop before, or None without one; never blocks."""
        if self._loop_seconds is None:
            return None
        return max(self._loop_begun + self._loop_seconds - time.perf_counter(), 0.0)

    def trained(self, step: int, tokens: int, checkpoint_seconds: float) -> None:
        """Notes a loop that ended: its tokens, and what of its time went into a checkpoint."""
        self._seconds["training"] -= checkpoint_seconds
        self._seconds["checkpoint"] += checkpoint_seconds
        self._tokens += tokens
        self._loop_seconds = time.perf_counter() - self._loop_begun - checkpoint_seconds
        if self._first_loop is None:
            # The first loop is traced: it says nothing about the next.
            self._first_loop = time.perf_counter(), step

    def waited(self, seconds: float) -> None:
        """Notes how much of a loop's training was waiting for batches."""
        self._seconds["input"] += seconds

    def window(self, step: int) -> dict:
        """Returns the line of `timing.jsonl` for the window that ends, and begins the next."""
        now = time.perf_counter()
        wall = max(now - self._window_begun, 1e-9)
        training = max(self._seconds["training"], 1e-9)
        line = {
            "step": step,
            "wall_seconds": now - self._begun,
            "steps_per_second": (step - self._window_step) / training,
            "tokens_per_second": self._tokens / training,
            "input_share": min(self._seconds["input"] / training, 1.0),
            "evaluation_share": self._seconds["evaluation"] / wall,
            "checkpoint_share": self._seconds["checkpoint"] / wall,
        }
        self._window_begun, self._window_step, self._tokens = now, step, 0
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        return line

    def seconds_left(self, step: int, total: int) -> float | None:
        """Returns an estimate from all loops but the first, or None after only one."""
        if self._first_loop is None or step == self._first_loop[1]:
            return None
        seconds, first = time.perf_counter() - self._first_loop[0], self._first_loop[1]
        return seconds / (step - first) * (total - step)
