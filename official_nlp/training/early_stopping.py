"""End training when a metric does not improve any more."""

from collections.abc import Mapping
from typing import Any

from official_nlp.output import counted
from official_nlp.training.best import Best


class EarlyStopping:
    """Counts the evaluations since the best one.

    The count follows from the evaluations alone, so a run that is resumed stops at the same step:
    it repeats `update` with the lines of the metrics log.

    Args:
      metric: name of an evaluation metric, see `best.parse`.
      patience: number of evaluations without improvement that ends the training; None for never.
    """

    def __init__(self, metric: str | None, patience: int | None):
        self._patience = patience
        self._best = Best(metric if patience is not None else None)
        self._step = 0
        self._without = 0

    def update(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Count the evaluation of a step.

        Raises:
          InputError: the metric is not among its metrics.
        """
        before = self._best.step
        self._best.update(step, metrics)
        self._step = step
        self._without = 0 if self._best.step != before else self._without + 1

    @property
    def reason(self) -> str | None:
        """A line that says why training ends after the last evaluation; None where it does not."""
        if self._patience is None or self._without < self._patience:
            return None
        found = f"best {self._best.value:.4g} at step {self._best.step}"
        if self._best.step is None:
            found = "it was never a finite number"
        return (
            f"stopped early at step {self._step}: {self._best.name} did not improve in "
            f"{counted(self._without, 'evaluation')}; {found}"
        )
