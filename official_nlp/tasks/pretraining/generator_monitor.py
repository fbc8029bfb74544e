"""Tells, while both networks train, when the generator leaves the discriminator nothing to find."""

import collections

import numpy as np

# Metric windows that are looked at together.
WINDOWS = 20
# Of the sampled tokens so many are the original, so the discriminator has as many fewer to find.
STRONG_GENERATOR = 0.4
# A discriminator that learns is above the one, or rises by the other from one half to the next.
LOW_AUC, RISING = 0.65, 0.01


class GeneratorMonitor:
    """Looks at the metrics of one metric window after the other, and warns once.

    A generator is too strong when over the last 20 windows four in ten of its samples are the
    original token, while the area under the discriminator's curve is below 0.65 and does not rise.
    Paper, section 3.2: a generator that is too strong poses a task that is too hard to learn from.
    """

    def __init__(self):
        self._windows: collections.deque[tuple[float, float]] = collections.deque(maxlen=WINDOWS)
        self._warned = False

    def __call__(self, metrics: dict) -> str | None:
        """Returns a warning, or None.

        Args:
          metrics: of a window; those without both networks start the watch anew.
        """
        pair = metrics.get("mlm_sampled_accuracy"), metrics.get("rtd_auc")
        if None in pair or not np.isfinite(pair).all():
            self._windows.clear()
            return None
        self._windows.append(pair)
        if self._warned or len(self._windows) < WINDOWS:
            return None
        accuracy, auc = np.transpose(self._windows)
        rise = auc[WINDOWS // 2 :].mean() - auc[: WINDOWS // 2].mean()
        if accuracy.mean() < STRONG_GENERATOR or auc.mean() > LOW_AUC or rise > RISING:
            return None
        self._warned = True
        return (
            f"the generator is too strong for the discriminator: {accuracy.mean():.0%} of its "
            "samples are the original token, and the discriminator's area under the curve stays "
            f"at {auc.mean():.2f}. Make the generator narrower (a quarter to half of the "
            "discriminator's width: paper, section 3.2)"
        )
