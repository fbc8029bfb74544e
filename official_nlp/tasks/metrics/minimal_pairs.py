"""Metrics of minimal pairs: how often a model prefers the good one of two sentences."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from official_nlp.tasks.metrics import rows


def preference_table(
    scores_good: ArrayLike, scores_bad: ArrayLike, categories: Sequence[str]
) -> dict[str, float]:
    """Compute how often the good sentence of a pair has the higher score.

    A pair with equal scores counts half, as a guess would.

    Args:
      scores_good: score of the good sentence of each pair, `[pairs]`; higher is better.
      scores_bad: score of the bad sentence, `[pairs]`.
      categories: phenomenon of each pair, such as `anaphor_agreement`.

    Returns:
      `accuracy`, over all pairs; and `CATEGORY_accuracy`, over those of one category, in
      alphabetical order.

    Raises:
      InputError: the numbers of rows differ or are 0.

    Reference: Warstadt et al. 2020 (arXiv 1912.00582).
    """
    good, bad, names = rows.paired(
        scores_good=scores_good, scores_bad=scores_bad, categories=categories
    )
    preferred = (good > bad) + 0.5 * (good == bad)
    by_category = {str(name): preferred[names == name] for name in np.unique(names)}
    return {
        "accuracy": float(preferred.mean()),
        **{f"{name}_accuracy": float(each.mean()) for name, each in by_category.items()},
    }
