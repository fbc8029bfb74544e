"""The metrics of a run, line by line.

`metrics.jsonl` holds functions of the step alone: that of a resumed run is, byte for byte, that of
an uninterrupted run, except that a line is split where a checkpoint was saved out of turn.
Everything that depends on the clock goes to `timing.jsonl`.

A line of a training window has metrics named `train/...`; a line of an evaluation has metrics
named `SET/...` after each evaluation set.
"""

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from official_nlp.errors import InputError
from official_nlp.files import atomic, disk_errors, guarded

TRAIN = "train"
# A log may be larger than the other small files; it has a line for every window of training.
_LARGEST = 1 << 30
_ADVICE = "restore the file from a copy, or delete the damaged lines"


class MetricsLog:
    """Writes and truncates `metrics.jsonl`; appends to `timing.jsonl`.

    Args:
      metrics: path of `metrics.jsonl`.
      timing: path of `timing.jsonl`.
      writes: whether this process writes; the other processes of a run on several hosts only read.
    """

    def __init__(self, metrics: pathlib.Path, timing: pathlib.Path, writes: bool = True):
        self._metrics = metrics
        self._timing = timing
        self._writes = writes

    def truncate(self, step: int) -> None:
        """Remove lines after a step, and an unfinished last line."""
        if not self._writes or not self._metrics.exists():
            return
        lines = [text for text, line in _parsed(self._metrics) if line["step"] <= step]
        text = "".join(lines)
        if text.encode() != self._metrics.read_bytes():
            with disk_errors.writing("the truncated metrics", self._metrics):
                atomic.write(self._metrics, text)

    def write(self, step: int, phase: int, metrics: Mapping[str, Any]) -> None:
        """Append a line of metrics; numbers that are not finite become null."""
        clean = {name: _jsonable(value) for name, value in metrics.items()}
        if self._writes:
            _append(self._metrics, {"step": step, "phase": phase, **clean})

    def write_timing(self, line: Mapping[str, Any]) -> None:
        """Append a line to `timing.jsonl`."""
        if self._writes:
            _append(self._timing, {name: _jsonable(value) for name, value in line.items()})

    def to_disk(self) -> None:
        """Return when the lines will survive a power failure."""
        if self._writes and self._metrics.exists():
            atomic.sync(self._metrics)

    def evaluations(self) -> list[dict[str, Any]]:
        """Return the lines of evaluations."""
        return [line for line in read(self._metrics) if is_evaluation(line)]

    def evaluation_at(self, step: int) -> dict[str, Any] | None:
        """Return the line of the evaluation at a step, or None."""
        return next((line for line in self.evaluations() if line["step"] == step), None)


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """Return the lines of a metrics log without an unfinished last one; [] without a file.

    Raises:
      InputError: the file cannot be read, or a line is damaged.
    """
    return [line for _, line in _parsed(path)] if path.exists() else []


def is_evaluation(line: Mapping[str, Any]) -> bool:
    """Return whether a line holds metrics of an evaluation set."""
    sets = {name.partition("/")[0] for name in line if "/" in name}
    return bool(sets - {TRAIN})


def _parsed(path: pathlib.Path) -> list[tuple[str, dict[str, Any]]]:
    """Return each whole line as text and as its content."""
    texts = guarded.read_text(path, _ADVICE, _LARGEST).split("\n")[:-1]
    return [(f"{text}\n", _content(path, number, text)) for number, text in enumerate(texts, 1)]


def _content(path: pathlib.Path, number: int, text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} line {number} must be JSON: {error}; {_ADVICE}") from error
    if not isinstance(line, dict) or type(line.get("step")) is not int:
        raise InputError(
            f'{path} line {number} must be an object with an integer "step", but is damaged; '
            f"{_ADVICE}"
        )
    for name, value in line.items():
        # Larger integers are no result of ours, and cannot be shown as a float.
        is_number = isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 63)
        if value is not None and not is_number:
            raise InputError(
                f"{path} line {number}: {name[:80]!r} must be a number or null, was "
                f"{str(value)[:80]!r}; {_ADVICE}"
            )
    return line


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
    # Floats retain every bit: Python writes the shortest text that reads back as the same number.
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    value = float(value)
    return value if math.isfinite(value) else None
