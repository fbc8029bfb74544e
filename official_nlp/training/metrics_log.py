"""What a run measured, line by line.

`metrics.jsonl` holds functions of the step alone: a resumed run's is, byte for byte, that of a run
that was never interrupted. Whatever depends on the clock goes to `timing.jsonl`.
"""

import json
import math
import os
import pathlib

from official_nlp.files import atomic, disk_errors


class MetricsLog:
    """Writes and cuts `metrics.jsonl`; appends to `timing.jsonl`.

    Args:
      metrics: path of `metrics.jsonl`.
      timing: path of `timing.jsonl`.
      writes: whether this process does; the others of a run on several hosts only read.
    """

    def __init__(self, metrics: pathlib.Path, timing: pathlib.Path, writes: bool = True):
        self._metrics = metrics
        self._timing = timing
        self._writes = writes

    def cut(self, step: int) -> None:
        """Removes what was measured after a step, and a line that was not finished."""
        if not self._writes or not self._metrics.exists():
            return
        kept = [line for line in _whole_lines(self._metrics) if json.loads(line)["step"] <= step]
        text = "".join(kept)
        if text.encode() != self._metrics.read_bytes():
            with disk_errors.writing("what is left of the metrics", self._metrics):
                atomic.write(self._metrics, text)

    def write(self, step: int, phase: int, metrics: dict) -> None:
        """Appends a line of metrics; what is infinite or not a number becomes null."""
        clean = {name: _jsonable(value) for name, value in metrics.items()}
        if self._writes:
            _append(self._metrics, {"step": step, "phase": phase, **clean})

    def write_timing(self, line: dict) -> None:
        """Appends a line to `timing.jsonl`."""
        if self._writes:
            _append(self._timing, {name: _jsonable(value) for name, value in line.items()})

    def to_disk(self) -> None:
        """Returns when what was written will survive a power failure."""
        if self._writes and self._metrics.exists():
            with open(self._metrics, "rb") as file:
                os.fsync(file.fileno())

    def having(self, prefix: str) -> list[dict]:
        """Returns the lines with metrics under a prefix."""
        lines = read(self._metrics)
        return [line for line in lines if any(name.startswith(prefix) for name in line)]

    def last(self, prefix: str, step: int | None = None) -> dict | None:
        """Returns the last line with metrics under a prefix, at a step if one is given."""
        lines = self.having(prefix)
        return next((line for line in reversed(lines) if step in (None, line["step"])), None)


def read(path: pathlib.Path) -> list[dict]:
    """Returns the lines of a metrics_log, without one that is not finished."""
    if not path.exists():
        return []
    return [json.loads(line) for line in _whole_lines(path)]


def _whole_lines(path: pathlib.Path) -> list[str]:
    lines = path.read_text().splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]


def _append(path: pathlib.Path, line: dict) -> None:
    # A line that a killed process left unfinished must not swallow this one.
    with disk_errors.writing("a line", path), open(path, "a+b") as file:
        if file.tell() and not _ends_line(file):
            file.write(b"\n")
        file.write(json.dumps(line).encode() + b"\n")


def _ends_line(file) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _jsonable(value):
    """Floats keep every bit: Python writes the shortest text that reads back as the same number."""
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    value = float(value)
    return value if math.isfinite(value) else None
