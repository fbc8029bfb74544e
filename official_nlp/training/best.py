"""Which checkpoint is the best, by a figure of the held-out data."""

import json
import math
import os
import pathlib

from official_nlp.errors import InputError
from official_nlp.files import atomic

FILE = "best.json"
_PREFIX = "held_out/"
# By the last word of a figure's name.
_LOWER = ("loss", "perplexity", "error")
_HIGHER = ("accuracy", "auc", "precision", "recall", "f1", "entropy")


def parse(name: str) -> tuple[str, bool]:
    """Returns a figure's name without its prefixes, and whether higher is better.

    Args:
      name: of a held-out figure, `held_out/` or not; `lower:` or `higher:` before it says what is
        better where the name's last word does not: losses shall fall, accuracies and areas rise.

    Raises:
      InputError: nothing says what is better.
    """
    direction, _, figure = name.rpartition(":")
    figure = figure.removeprefix(_PREFIX)
    last = figure.rpartition("_")[2]
    if not direction:
        direction = "lower" if last in _LOWER else "higher" if last in _HIGHER else ""
    if direction not in ("lower", "higher") or not figure:
        raise InputError(
            f"keep_best must be a held-out figure as mlm_loss or rtd_auc, or say what is better, "
            f"as lower:NAME or higher:NAME; was {name!r}"
        )
    return figure, direction == "higher"


class Best:
    """The step whose figure is the best so far; the first of equal ones.

    Args:
      name: see `parse`; None for no best at all.
      folder: where `best.json` is kept, for whoever looks for the checkpoint.

    Attributes:
      step: of the best, or None.
    """

    def __init__(self, name: str | None, folder: str | os.PathLike):
        self._figure, self._higher = parse(name) if name else (None, False)
        self._file = pathlib.Path(folder, FILE)
        self._value = math.nan
        self.step: int | None = None

    def measured(self, step: int, metrics: dict) -> None:
        """Compares the held-out metrics of a saved step with the best so far.

        Raises:
          InputError: the figure is not among them.
        """
        if self._figure is None:
            return
        metrics = {name.removeprefix(_PREFIX): value for name, value in metrics.items()}
        if self._figure not in metrics:
            known = ", ".join(name for name in metrics if name not in ("step", "phase"))
            raise InputError(f"keep_best must be one of {known}, was {self._figure!r}")
        value = metrics[self._figure]
        if value is None or not math.isfinite(value):
            return
        better = value > self._value if self._higher else value < self._value
        if self.step is None or better:
            self.step, self._value = step, value

    def write(self) -> None:
        """Writes `best.json`, or removes it where there is no best."""
        if self.step is None:
            self._file.unlink(missing_ok=True)
            return
        better = "higher" if self._higher else "lower"
        name = f"{_PREFIX}{self._figure}"
        content = {"step": self.step, "figure": name, "value": self._value, "better": better}
        text = json.dumps(content) + "\n"
        if not self._file.exists() or self._file.read_text() != text:
            atomic.write(self._file, text)
