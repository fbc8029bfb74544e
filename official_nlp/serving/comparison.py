"""Compare what an exported model computes with what the model does."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

# Largest difference of a number in another process. Sums are rounded differently there.
TOLERANCE = 1e-5
# Numbers at least as far from 0 are no scores: they stand at places that are excluded.
_EXCLUDED = 500.0
# Outputs of a joint span head whose second axis is a list of starts, the best first.
_STARTS, _OF_STARTS = "start_top_index", ("end_logits",)


def is_close(one: Any, other: Any, tolerance: float = TOLERANCE) -> bool:
    """Return whether two results are equal, except for small differences of numbers.

    Args:
      one, other: dicts, lists, strings and numbers.
      tolerance: largest absolute difference of two floats, and of larger ones the relative one.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        same = one.keys() == other.keys()
        return same and all(is_close(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        same = len(one) == len(other)
        return same and all(is_close(*each, tolerance) for each in zip(one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance * max(1.0, abs(other))
    return type(one) is type(other) and one == other


class Difference(NamedTuple):
    """The difference of an output of a network from the model's.

    Attributes:
      largest: the largest absolute difference of two numbers; infinite if shapes differ or one of
        them is no number.
      relative: the largest difference in units of the scale of the output, which is the root of
        its mean square but at least 1, and in units of the number itself if that is larger.
    """

    largest: float
    relative: float


def differences(
    found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> dict[str, Difference]:
    """Return the difference of each output.

    Starts that are nearly equal may be in another order in the list of a joint span head. They are
    compared by their scores, and what depends on them by their positions.

    Args:
      found, expected: outputs by name.
    """
    if found.keys() != expected.keys():
        return {name: Difference(np.inf, np.inf) for name in {*found, *expected}}
    result = {}
    for name, other in expected.items():
        one = found[name]
        if name == _STARTS:
            continue
        if _STARTS in expected and name in _OF_STARTS and one.shape == other.shape:
            one, other = _at_common_starts(one, other, found[_STARTS], expected[_STARTS])
        result[name] = _difference(one, other)
    return result


def _difference(one: np.ndarray, other: np.ndarray) -> Difference:
    if one.shape != other.shape or one.dtype != other.dtype:
        return Difference(np.inf, np.inf)
    one, other = one.astype(np.float64), other.astype(np.float64)
    apart = np.abs(one - other)
    apart[~np.isfinite(apart)] = np.inf
    scores = other[np.abs(other) < _EXCLUDED]
    scale = max(1.0, float(np.sqrt(np.mean(scores**2)))) if scores.size else 1.0
    relative = np.where(apart < np.inf, apart / np.maximum(scale, np.abs(other)), np.inf)
    return Difference(float(apart.max(initial=0.0)), float(relative.max(initial=0.0)))


def _at_common_starts(
    one: np.ndarray, other: np.ndarray, starts: np.ndarray, other_starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of two arrays `[batch, starts, ...]` whose starts are in both lists."""
    same = starts[:, :, np.newaxis] == other_starts[:, np.newaxis]  # [B, K, K]
    batch, place, other_place = np.nonzero(same)
    return one[batch, place], other[batch, other_place]
