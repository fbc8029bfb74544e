"""Metrics of predicted numbers, such as the similarity of two sentences."""

import warnings

import numpy as np
from numpy.typing import ArrayLike

from official_nlp.tasks.metrics import rows


def regression_metrics(targets: ArrayLike, values: ArrayLike) -> dict[str, float]:
    """Compute correlations and error of predicted numbers.

    Args:
      targets: true numbers, `[examples]`.
      values: predicted numbers, `[examples]`.

    Returns:
      `pearson` and `spearman`, correlations of the numbers and of their ranks, 0 if targets or
      values are all equal; `mean_squared_error`, in the square of the unit of the targets.

    Raises:
      InputError: the numbers of rows differ or are 0.
    """
    from scipy import stats

    targets, values = (x.astype(np.float64) for x in rows.paired(targets=targets, values=values))
    pearson = spearman = 0.0
    if np.ptp(targets) and np.ptp(values):
        with warnings.catch_warnings():
            # Of values that are equal but for rounding; their correlation is noise, or undefined.
            warnings.simplefilter("ignore", stats.NearConstantInputWarning)
            pearson = stats.pearsonr(targets, values).statistic
        spearman = stats.spearmanr(targets, values).statistic
    return {
        "pearson": float(np.nan_to_num(pearson)),
        "spearman": float(spearman),
        "mean_squared_error": float(np.mean((targets - values) ** 2)),
    }
