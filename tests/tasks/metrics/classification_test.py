"""Metrics of classifiers, by tables that can be checked by hand."""

import math
import warnings

import numpy as np
import pytest

from official_nlp.errors import InputError
from official_nlp.tasks.metrics import classification


@pytest.fixture(autouse=True)
def _no_warnings():
    """Degenerate sets are no reason to warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# Labels, predictions, number of classes, and accuracy, F1 and Matthews correlation.
TABLE = {
    # TP 1, FP 1, FN 1, TN 1.
    "at chance": ([1, 1, 0, 0], [1, 0, 1, 0], 2, (0.5, 0.5, 0.0)),
    "perfect": ([1, 0, 1], [1, 0, 1], 2, (1.0, 1.0, 1.0)),
    "opposite": ([1, 0, 1, 0], [0, 1, 0, 1], 2, (0.0, 0.0, -1.0)),
    # TP 2, FP 1, FN 0, TN 1: F1 is 2 * 2 / (3 + 2), Matthews 2 / sqrt(3 * 2 * 2 * 1).
    "one false positive": ([1, 1, 0, 0], [1, 1, 1, 0], 2, (0.75, 0.8, 2 / math.sqrt(12))),
    "always 0": ([1, 0, 0], [0, 0, 0], 2, (2 / 3, 0.0, 0.0)),
    "always 1": ([1, 0, 0], [1, 1, 1], 2, (1 / 3, 0.5, 0.0)),
    "only 0 in the labels": ([0, 0], [0, 1], 2, (0.5, 0.0, 0.0)),
    "only 0 in both": ([0, 0], [0, 0], 2, (1.0, 0.0, 0.0)),
    # F1 of the classes: 1, 2/3, 0.
    "macro": ([0, 1, 1, 2], [0, 1, 2, 1], 3, (0.5, (1 + 0.5 + 0) / 3, None)),
    "an absent class does not count": ([0, 1, 1], [0, 1, 1], 4, (1.0, 1.0, 1.0)),
    "one example": ([2], [2], 3, (1.0, 1.0, 0.0)),
}


@pytest.mark.parametrize("name", TABLE)
def test_metrics_of_classes(name):
    labels, predicted, num_labels, (accuracy, f1, matthews) = TABLE[name]
    found = classification.classification_metrics(labels, predicted, num_labels)
    assert list(found) == ["accuracy", "f1", "matthews_correlation"]
    assert all(type(value) is float for value in found.values())
    assert found["accuracy"] == pytest.approx(accuracy)
    assert found["f1"] == pytest.approx(f1)
    if matthews is not None:
        assert found["matthews_correlation"] == pytest.approx(matthews)


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        ([0, 1], [0], "labels has 2, predicted has 1"),
        ([], [], "at least one: labels has 0"),
        ([0, -100], [0, 1], "labels must be numbers of classes from 0 to 1, but contain -100"),
        ([0, 1], [0, 2], "predicted must be numbers of classes from 0 to 1, but contain 2"),
    ],
)
def test_rows_that_do_not_fit_are_refused(labels, predicted, message):
    with pytest.raises(InputError, match=message):
        classification.classification_metrics(labels, predicted, 2)


# === Several labels ===
TARGETS = [[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]]
# At 0.5, row 0 misses label 2 and row 3 has label 1 in addition.
PROBABILITIES = [[0.9, 0.2, 0.4], [0.1, 0.5, 0.3], [0.8, 0.6, 0.2], [0.3, 0.7, 0.1]]


def test_metrics_of_labels():
    found = classification.multi_label_metrics(TARGETS, PROBABILITIES, [0.5] * 3)
    # TP 4, FP 1, FN 1; F1 of the labels 1, 2 * 2 / (3 + 2), 0.
    assert found == pytest.approx(
        {
            "micro_f1": 0.8,
            "micro_precision": 0.8,
            "micro_recall": 0.8,
            "macro_f1": (1 + 0.8 + 0) / 3,
            "exact_match": 0.5,
        }
    )
    assert all(type(value) is float for value in found.values())


def test_thresholds_are_those_of_each_label():
    lower = classification.multi_label_metrics(TARGETS, PROBABILITIES, [0.5, 0.5, 0.4])
    assert lower["micro_recall"] == 1


def test_a_label_that_never_occurs_does_not_count_in_the_macro_average():
    found = classification.multi_label_metrics([[1, 0], [0, 0]], [[0.9, 0], [0.1, 0]], [0.5, 0.5])
    assert found["macro_f1"] == 1


def test_a_set_without_any_label_has_f1_0():
    found = classification.multi_label_metrics([[0, 0]], [[0.1, 0.2]], [0.5, 0.5])
    assert found["micro_f1"] == found["macro_f1"] == 0
    assert found["exact_match"] == 1


@pytest.mark.parametrize(
    ("targets", "probabilities", "thresholds", "message"),
    [
        (
            [[1, 0]],
            [[0.5, 0.5]],
            [0.5],
            r"one number for each of the 2 labels, had the shape \[1\]",
        ),
        ([[1, 0]], [[0.5]], [0.5], r"were \[1, 2\] and \[1, 1\]"),
        ([1, 0], [0.5, 0.5], [0.5], r"were \[2\] and \[2\]"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(targets, probabilities, thresholds, message):
    with pytest.raises(InputError, match=message):
        classification.multi_label_metrics(targets, probabilities, thresholds)


@pytest.mark.parametrize(
    ("target", "probability", "expected"),
    [
        ([0, 1, 1], [0.1, 0.3, 0.2], 0.15),  # separable: between 0.1 and 0.2
        ([1, 1, 0, 1], [0.9, 0.2, 0.4, 0.8], 0.1),  # all: 6/7, without the two lowest: 4/5
        ([1, 0, 0, 1], [0.9, 0.2, 0.4, 0.1], 0.65),  # 2/3, as with all; 0.65 is nearer to 0.5
        ([0, 1, 1, 0], [0.5, 0.5, 0.5, 0.1], 0.3),  # equal values stay together
        ([0, 0, 0], [0.9, 0.2, 0.4], 0.5),  # nothing to learn from
        ([1, 1], [0.7, 0.7], 0.35),
        ([0, 1], [1.0 - 2**-53, 1.0], 1.0),  # neighbours: no number lies between them
        ([1, 0], [0.0, 0.0], 0.0),
    ],
)
def test_the_best_threshold_has_the_highest_f1(target, probability, expected):
    column = np.array(probability)[:, np.newaxis]
    found = classification.best_thresholds(np.array(target)[:, np.newaxis], column)
    np.testing.assert_allclose(found, [expected], rtol=1e-15)


def test_the_best_thresholds_are_no_worse_than_any_others():
    random = np.random.default_rng(3)
    targets = random.integers(0, 2, [40, 3])
    probabilities = np.round(random.random([40, 3]), 1)  # many equal values
    best = classification.best_thresholds(targets, probabilities)
    others = np.linspace(0, 1, 41)
    for label in range(3):
        columns = targets[:, [label]], probabilities[:, [label]]
        f1 = classification.multi_label_metrics(*columns, best[[label]])["micro_f1"]
        assert f1 == max(
            classification.multi_label_metrics(*columns, [other])["micro_f1"] for other in others
        )


# === Calibration ===
def test_the_temperature_of_a_classifier_that_is_right_half_as_surely_is_found():
    # Three of four right at probability 0.75, but the logits state four times the log-odds.
    logits = np.array([[0, 4 * math.log(3)]] * 4)
    assert classification.temperature(logits, [1, 1, 1, 0]) == pytest.approx(4.0, rel=1e-4)
    assert classification.temperature(logits / 4, [1, 1, 1, 0]) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize(
    ("logits", "labels", "expected"),
    [
        ([[1.0, -1.0], [-2.0, 2.0]], [0, 1], 0.1),  # separable: the lowest
        ([[1.0, -1.0], [-2.0, 2.0]], [1, 0], 10.0),  # always wrong: the highest
        ([[3.0, 3.0], [-1.0, -1.0]], [0, 1], 1.0),
        ([[1e4, -1e4], [-1e4, 1e4]], [0, 1], 0.1),
    ],
)
def test_the_temperature_is_bounded(logits, labels, expected):
    found = classification.temperature(logits, labels)
    # All temperatures give the last example a loss of 0.
    limits = (0.1, 10.0) if abs(logits[0][0]) > 100 else (expected * 0.99, expected * 1.01)
    assert limits[0] <= found <= limits[1]


def test_the_calibration_error_is_the_mean_gap_of_the_bins():
    # Bins of width 1/4: confidence 0.6 and 0.7 together, half right; 0.9 alone, right.
    probabilities = [[0.6, 0.4], [0.3, 0.7], [0.9, 0.1]]
    found = classification.expected_calibration_error(probabilities, [0, 0, 0], bins=4)
    assert found == pytest.approx((2 * abs(0.5 - 0.65) + abs(1 - 0.9)) / 3)


@pytest.mark.parametrize(
    ("probabilities", "labels", "expected"),
    [([[1.0, 0.0]], [0], 0.0), ([[1.0, 0.0]], [1], 1.0), ([[0.5, 0.5]] * 2, [0, 1], 0.0)],
)
def test_certain_classifiers_have_a_calibration_error(probabilities, labels, expected):
    assert classification.expected_calibration_error(probabilities, labels) == expected


def test_a_calibration_needs_bins_and_labels_in_range():
    with pytest.raises(InputError, match="bins must be at least 1, was 0"):
        classification.expected_calibration_error([[1.0, 0.0]], [0], bins=0)
    with pytest.raises(InputError, match="from 0 to 1, but contain 2"):
        classification.expected_calibration_error([[1.0, 0.0]], [2])
    with pytest.raises(InputError, match="from 0 to 1, but contain -1"):
        classification.temperature([[1.0, 0.0]], [-1])
