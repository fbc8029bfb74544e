"""Programs that take turns, each in a process of its own."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence


class Worker:
    """A program that prints `ready`, and then answers each line of input with a line of JSON.

    Args:
      program: Python file.
      words: its arguments.
      environment: variables to change.
    """

    def __init__(
        self,
        program: pathlib.Path,
        words: Sequence[object],
        environment: Mapping[str, str] | None = None,
    ):
        self._process = subprocess.Popen(
            [sys.executable, str(program), *map(str, words)],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        while self._line() != "ready":  # A library may print something.
            pass

    def _line(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args} ended with code {self._process.wait()}")
        return line.strip()

    def ask(self, *words: object) -> dict[str, float]:
        """Return the answer to a line."""
        print(*words, file=self._process.stdin, flush=True)
        return json.loads(self._line())

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


def quartiles(values: Sequence[float]) -> list[float]:
    """Return the lower quartile, the median and the upper quartile."""
    if len(values) == 1:
        return [values[0]] * 3
    return statistics.quantiles(values, n=4, method="inclusive")
