"""Select the best checkpoint by a metric of an evaluation set."""

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from official_nlp.errors import InputError
from official_nlp.files import atomic

FILE = "best.json"
# Directions by the last word of a metric's name.
_LOWER = ("loss", "perplexity", "error")
_HIGHER = (
    *("accuracy", "auc", "precision", "recall", "f1", "match", "entropy"),
    *("correlation", "pearson", "spearman"),
)


def parse(name: str) -> tuple[str, bool]:
    """Return the name of a metric without a direction, and whether higher is better.

    Losses and errors are minimized; accuracy, AUC, precision, recall, F1, exact match, entropy gain
    and correlations are maximized. Any other metric needs its direction: `lower:NAME` or
    `higher:NAME`.

    Args:
      name: name of an evaluation metric, as `rtd_auc`, or with its set, as `held_out/rtd_auc`.

    Raises:
      InputError: the direction is unknown.
    """
    direction, _, metric = name.rpartition(":")
    last = metric.rpartition("_")[2].rpartition("/")[2]
    if not direction:
        direction = "lower" if last in _LOWER else "higher" if last in _HIGHER else ""
    if direction not in ("lower", "higher") or not metric:
        raise InputError(
            f"keep_best must be an evaluation metric whose direction is known, such as mlm_loss or "
            f"rtd_auc, or lower:NAME or higher:NAME, was {name!r}"
        )
    return metric, direction == "higher"


class Best:
    """The step with the best value of a metric so far; the first of equal ones.

    Args:
      name: see `parse`; None for no best step.
      folder: folder of `best.json`, which names the checkpoint for other programs.

    Attributes:
      step: the best step; None before the first.
    """

    def __init__(self, name: str | None, folder: str | os.PathLike):
        self._metric: str | None = None
        self._higher = False
        if name:
            self._metric, self._higher = parse(name)
        self._file = pathlib.Path(folder, FILE)
        self._name = ""
        self._value = math.nan
        self.step: int | None = None

    def update(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Compare the evaluation metrics of a saved step, `SET/NAME`, with the best so far.

        A name without a set means the first set that has it.

        Raises:
          InputError: the metric is not among them.
        """
        if self._metric is None:
            return
        evaluated = [name for name in metrics if "/" in name]
        matching = (n for n in evaluated if self._metric in (n, n.partition("/")[2]))
        name = next(matching, None)
        if name is None:
            known = ", ".join(dict.fromkeys(name.partition("/")[2] for name in evaluated))
            raise InputError(f"keep_best must be one of {known}, was {self._metric!r}")
        value = metrics[name]
        if value is None or not math.isfinite(value):
            return
        better = value > self._value if self._higher else value < self._value
        if self.step is None or better:
            self.step, self._name, self._value = step, name, value

    def write(self) -> None:
        """Write `best.json`, or remove it where there is no best step."""
        if self.step is None:
            self._file.unlink(missing_ok=True)
            return
        better = "higher" if self._higher else "lower"
        content = {
            "step": self.step,
            "metric": self._name,
            "value": self._value,
            "better": better,
        }
        text = f"{json.dumps(content)}\n".encode()
        if not self._file.exists() or self._file.read_bytes() != text:
            atomic.write(self._file, text)
