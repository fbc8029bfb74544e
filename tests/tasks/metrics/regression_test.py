"""Correlations and errors of predicted numbers."""

import warnings

import numpy as np
import pytest

from official_nlp.errors import InputError
from official_nlp.tasks.metrics.regression import regression_metrics

# Targets, values, and Pearson, Spearman and the mean squared error.
TABLE = {
    "equal": ([1, 2, 3], [1, 2, 3], (1.0, 1.0, 0.0)),
    "reversed": ([1, 2, 3], [3, 2, 1], (-1.0, -1.0, 8 / 3)),
    "shifted and scaled": ([0, 1, 2], [1, 3, 5], (1.0, 1.0, (1 + 4 + 9) / 3)),
    # Deviations (-1, 0, 1) and (-4, -1, 5): 9 / sqrt(2 * 42).
    "monotonous": ([1, 2, 3], [1, 4, 10], (9 / np.sqrt(84), 1.0, (0 + 4 + 49) / 3)),
    # Ranks (1, 2.5, 2.5) and (1, 2, 3): 1.5 / sqrt(1.5 * 2).
    "ties": ([0, 1, 1], [0, 1, 2], (np.sqrt(0.75), np.sqrt(0.75), 1 / 3)),
    "constant values": ([1, 2, 3], [2, 2, 2], (0.0, 0.0, 2 / 3)),
    "constant targets": ([2, 2], [1, 3], (0.0, 0.0, 1.0)),
    "one example": ([2], [1], (0.0, 0.0, 1.0)),
}


@pytest.mark.parametrize("name", TABLE)
def test_metrics_of_numbers(name):
    targets, values, expected = TABLE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = regression_metrics(np.float32(targets), np.float32(values))
    names = ("pearson", "spearman", "mean_squared_error")
    assert found == pytest.approx(dict(zip(names, expected)))
    assert all(type(value) is float for value in found.values())


def test_values_that_differ_by_rounding_only_give_numbers_without_a_warning():
    values = 1e8 + np.array([0, 1.5e-8, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = regression_metrics([1, 2, 3], values)
    assert np.isfinite(list(found.values())).all()


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="targets has 2, values has 3"):
        regression_metrics([1, 2], [1, 2, 3])
