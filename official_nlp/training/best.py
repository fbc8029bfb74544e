"""Select the best checkpoint by a metric of an evaluation set."""

import json
import math
import os
import pathlib
from collections.abc import Iterable, Mapping
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

    The last word decides: losses, perplexity and errors are minimized; accuracy, AUC, precision,
    recall, F1, exact match, correlations and entropy gain are maximized. Any other metric needs its
    direction: `lower:NAME` or `higher:NAME`.

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


def find(metric: str, evaluated: Iterable[str]) -> str:
    """Return the full name of a metric, `SET/NAME`.

    Args:
      metric: name with or without a set. Without one, the first set that has it counts.
      evaluated: full names of the metrics of an evaluation.

    Raises:
      InputError: the metric is not among them.
    """
    names = list(evaluated)
    for name in names:
        if metric in (name, name.partition("/")[2]):
            return name
    known = ", ".join(dict.fromkeys(name.partition("/")[2] for name in names))
    raise InputError(f"keep_best must be one of {known}, was {metric!r}")


class Best:
    """The step with the best value of a metric so far; the first of equal ones.

    Args:
      name: see `parse`; None for no best step.

    Attributes:
      name: name of the metric, `SET/NAME` once the set is known; empty where there is no metric.
      step: the best step; None before the first.
      value: value of the metric at the best step; not a number before the first.
    """

    def __init__(self, name: str | None):
        self._metric: str | None = None
        self._higher = False
        if name:
            self._metric, self._higher = parse(name)
        self.name = self._metric or ""
        self.value = math.nan
        self.step: int | None = None

    def update(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Compare the evaluation metrics of a saved step, `SET/NAME`, with the best so far.

        Raises:
          InputError: the metric is not among them.
        """
        if self._metric is None:
            return
        self.name = find(self._metric, (name for name in metrics if "/" in name))
        value = metrics[self.name]
        if value is None or not math.isfinite(value):
            return
        better = value > self.value if self._higher else value < self.value
        if self.step is None or better:
            self.step, self.value = step, value

    def write(self, folder: str | os.PathLike) -> None:
        """Write `best.json`, which names the best checkpoint for other programs.

        The file is removed where there is no best step.

        Args:
          folder: folder of the checkpoints.
        """
        file = pathlib.Path(folder, FILE)
        if self.step is None:
            file.unlink(missing_ok=True)
            return
        better = "higher" if self._higher else "lower"
        content = {
            "step": self.step,
            "metric": self.name,
            "value": self.value,
            "better": better,
        }
        text = f"{json.dumps(content)}\n".encode()
        if not file.exists() or file.read_bytes() != text:
            atomic.write(file, text)
