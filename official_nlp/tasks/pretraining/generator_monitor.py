"""Warns, during training, when the generator is too strong for the discriminator."""

import collections
from collections.abc import Mapping

import numpy as np

# Number of metric windows that are considered together.
WINDOWS = 20
# Fraction of sampled tokens that equal the original; the discriminator has fewer to find.
STRONG_GENERATOR = 0.4
# A discriminator that learns is above this AUC, or its AUC rises by this much between the first and
# the second half of the windows.
LOW_AUC, RISING = 0.65, 0.01


class GeneratorMonitor:
    """Observes the metrics of successive windows, and warns once.

    A generator is too strong if over the last 20 windows at least 40 % of its samples are the
    original token while the AUC of the discriminator is below 0.65 and does not rise. Paper,
    section 3.2: a generator that is too strong poses a task that is too hard to learn from.
    """

    def __init__(self):
        self._windows: collections.deque[tuple[float, float]] = collections.deque(maxlen=WINDOWS)
        self._warned = False

    def __call__(self, metrics: Mapping[str, float]) -> str | None:
        """Return a warning, or None.

        Args:
          metrics: metrics of a window. A window without both networks starts over.
        """
        accuracy, auc = metrics.get("mlm_sampled_accuracy"), metrics.get("rtd_auc")
        if accuracy is None or auc is None or not np.isfinite([accuracy, auc]).all():
            self._windows.clear()
            return None
        self._windows.append((accuracy, auc))
        if self._warned or len(self._windows) < WINDOWS:
            return None
        accuracies, aucs = np.transpose(self._windows)
        rise = aucs[WINDOWS // 2 :].mean() - aucs[: WINDOWS // 2].mean()
        if accuracies.mean() < STRONG_GENERATOR or aucs.mean() > LOW_AUC or rise > RISING:
            return None
        self._warned = True
        return (
            f"the generator is too strong for the discriminator: {accuracies.mean():.0%} of its "
            "samples are the original token, and the AUC of the discriminator stays at "
            f"{aucs.mean():.2f}. Make the generator narrower (a quarter to half of the "
            "discriminator's width: paper, section 3.2)"
        )
