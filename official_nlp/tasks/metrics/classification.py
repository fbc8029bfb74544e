"""Metrics of classifiers: one class for each example, or any number of labels.

Letters of shapes: N examples, C classes or labels.
"""

import numpy as np
from numpy.typing import ArrayLike

from official_nlp.errors import InputError
from official_nlp.tasks.metrics import rows

# A label that no example of a set has: nothing can be learned about its threshold.
DEFAULT_THRESHOLD = 0.5
# A set whose classes are separable has no best temperature: the lower, the smaller the loss.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.1, 10.0


def classification_metrics(
    labels: ArrayLike, predicted: ArrayLike, num_labels: int
) -> dict[str, float]:
    """Compute the metrics of a classifier with one class for each example.

    Args:
      labels: integers `[N]`, the true classes.
      predicted: integers `[N]`, the predicted classes.
      num_labels: number of classes.

    Returns:
      `accuracy`; `f1`: that of class 1 if there are two classes, else the mean over the classes
      that occur among labels or predictions (macro F1); `matthews_correlation`: 0 if the labels or
      the predictions are all equal.

    Raises:
      InputError: the numbers of rows differ or are 0, or a class is out of range.
    """
    from sklearn import metrics

    labels, predicted = rows.paired(labels=labels, predicted=predicted)
    _check_classes("labels", labels, num_labels)
    _check_classes("predicted", predicted, num_labels)
    counted = [1] if num_labels == 2 else np.union1d(labels, predicted)
    f1 = metrics.f1_score(labels, predicted, labels=counted, average="macro", zero_division=0.0)
    # scikit-learn warns of a constant, although it returns 0 for it.
    constant = np.ptp(labels) == 0 or np.ptp(predicted) == 0
    matthews = 0.0 if constant else metrics.matthews_corrcoef(labels, predicted)
    return {
        "accuracy": float(np.mean(labels == predicted)),
        "f1": float(f1),
        "matthews_correlation": float(matthews),
    }


def _check_classes(name: str, classes: np.ndarray, count: int) -> None:
    """Raise InputError unless all numbers are those of one of `count` classes."""
    wrong = classes[(classes < 0) | (classes >= count)]
    if len(wrong):
        raise InputError(
            f"{name} must be numbers of classes from 0 to {count - 1}, but contain {wrong[0]}; "
            "leave out ignored examples, and compare the number of classes"
        )


# === Several labels for each example ===


def multi_label_metrics(
    targets: ArrayLike, probabilities: ArrayLike, thresholds: ArrayLike
) -> dict[str, float]:
    """Compute the metrics of a classifier with any number of labels for each example.

    A label is predicted if its probability is at least its threshold.

    Args:
      targets: 0 or 1, `[N, C]`.
      probabilities: 0 to 1, `[N, C]`.
      thresholds: 0 to 1, `[C]`.

    Returns:
      `micro_f1`, `micro_precision`, `micro_recall`: of all labels of all examples together;
      `macro_f1`: the mean over the labels that occur among targets or predictions;
      `exact_match`: fraction of examples whose labels are all right.

    Raises:
      InputError: the shapes differ, or there are no rows.
    """
    from sklearn import metrics

    targets, probabilities = _label_table(targets, probabilities)
    thresholds = np.asarray(thresholds)
    if thresholds.shape != targets.shape[1:]:
        raise InputError(
            f"thresholds must have one number for each of the {targets.shape[1]} labels, had the "
            f"shape {list(thresholds.shape)}; use best_thresholds, or {DEFAULT_THRESHOLD} for each"
        )
    predicted = probabilities >= thresholds
    # In one long column micro averages are those of the class "has the label".
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        targets.ravel().astype(int),
        predicted.ravel().astype(int),
        average="binary",
        zero_division=0.0,
    )
    occurring = (targets | predicted).any(axis=0)
    each_f1 = [
        metrics.f1_score(targets[:, label], predicted[:, label], zero_division=0.0)
        for label in np.flatnonzero(occurring)
    ]
    return {
        "micro_f1": float(f1),
        "micro_precision": float(precision),
        "micro_recall": float(recall),
        "macro_f1": float(np.mean(each_f1)) if each_f1 else 0.0,
        "exact_match": float(np.mean((targets == predicted).all(axis=1))),
    }


def best_thresholds(targets: ArrayLike, probabilities: ArrayLike) -> np.ndarray:
    """Find the threshold of each label with the highest F1 on a development set.

    Thresholds lie in the middle between two neighbouring probabilities. Of several with the same
    F1, the one nearest to 0.5 is chosen, which is the least surprising for other examples.

    Args:
      targets: 0 or 1, `[N, C]`.
      probabilities: 0 to 1, `[N, C]`.

    Returns:
      Float64 `[C]`: a label is predicted if its probability is at least this. A label that no
      example has gets 0.5.

    Raises:
      InputError: the shapes differ, or there are no rows.
    """
    targets, probabilities = _label_table(targets, probabilities)
    return np.array([_best_threshold(*columns) for columns in zip(targets.T, probabilities.T)])


def _best_threshold(target: np.ndarray, probability: np.ndarray) -> float:
    """Return the threshold of one label, from `[N]` targets and probabilities."""
    if not target.any():
        return DEFAULT_THRESHOLD
    # Descending values, and for each the number of examples that have at least this value.
    values, where = np.unique(-probability.astype(np.float64), return_inverse=True)
    values = -values
    positives = np.cumsum(np.bincount(where, target))
    predicted = np.cumsum(np.bincount(where))
    f1 = 2 * positives / (predicted + target.sum())
    next_lower = np.append(values[1:], 0.0)
    middles = (values + next_lower) / 2
    # Between two neighbours among floating-point numbers lies no third.
    middles = np.where(middles > next_lower, middles, values)
    best = middles[f1 == f1.max()]
    return float(best[np.argmin(np.abs(best - DEFAULT_THRESHOLD))])


def _label_table(targets: ArrayLike, probabilities: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return bool targets and probabilities, after comparing their shapes."""
    targets, probabilities = rows.paired(targets=targets, probabilities=probabilities)
    if targets.ndim != 2 or targets.shape != probabilities.shape:
        raise InputError(
            "targets and probabilities must both be [examples, labels], were "
            f"{list(targets.shape)} and {list(probabilities.shape)}"
        )
    return targets.astype(bool), probabilities


# === Calibration ===


def temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Find the temperature with which the probabilities of a classifier are calibrated best.

    The temperature T minimizes the mean cross-entropy of `softmax(logits / T)`. It changes no
    prediction. If all predictions are right, or if the logits say nothing about the labels, there
    is no minimum, and the result is near the lower or the upper end of the interval.

    Args:
      logits: `[N, C]` of a development set, which the classifier was not trained on.
      labels: integers `[N]`.

    Returns:
      Number between 0.1 and 10; 1 if logits are equal within each example.

    Raises:
      InputError: the numbers of rows differ or are 0, or a label is out of range.

    Reference: Guo et al. 2017 (arXiv 1706.04599), section 4.2.
    """
    from scipy import optimize, special

    logits, labels = rows.paired(logits=logits, labels=labels)
    _check_classes("labels", labels, logits.shape[1])
    logits = logits.astype(np.float64)
    if (np.ptp(logits, axis=1) == 0).all():
        return 1.0  # every temperature gives the same probabilities

    def cross_entropy(log_temperature):
        scores = special.log_softmax(logits / np.exp(log_temperature), axis=1)
        return -np.take_along_axis(scores, labels[:, np.newaxis], axis=1).mean()

    # The cross-entropy is convex in 1 / T, so a local minimum is the global one.
    bounds = (np.log(LOWEST_TEMPERATURE), np.log(HIGHEST_TEMPERATURE))
    found = optimize.minimize_scalar(
        cross_entropy, bounds=bounds, method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def expected_calibration_error(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> float:
    """Compute how far the confidence of a classifier is from its accuracy.

    Examples are divided into bins by the probability of their predicted class. The result is the
    mean over examples of the difference between accuracy and mean probability of their bin.

    Args:
      probabilities: `[N, C]`, each row with the sum 1.
      labels: integers `[N]`.
      bins: number of bins of equal width between 0 and 1.

    Returns:
      Number from 0 (calibrated) to 1.

    Raises:
      InputError: the numbers of rows differ or are 0, a label is out of range, or `bins` is not
        positive.

    Reference: Guo et al. 2017 (arXiv 1706.04599), section 2.
    """
    if bins < 1:
        raise InputError(f"bins must be at least 1, was {bins}")
    probabilities, labels = rows.paired(probabilities=probabilities, labels=labels)
    _check_classes("labels", labels, probabilities.shape[1])
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    # A bin excludes its lower edge and includes its upper one, so probability 1 is in the last.
    where = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    # The weight of a bin times its difference is the difference of the sums, divided by N.
    difference = np.bincount(where, right, bins) - np.bincount(where, confidence, bins)
    return float(np.abs(difference).sum() / len(labels))
