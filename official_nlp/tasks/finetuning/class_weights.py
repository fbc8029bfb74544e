"""Weights of labels in the loss of a classifier, where some labels are rare."""

from collections.abc import Mapping, Sequence

import numpy as np

from official_nlp.data.tables.content import listed
from official_nlp.errors import InputError
from official_nlp.ranges import ByName, Choice, Either, Number, OrNone

# Name of the weighting by which every label has the same weight in total.
AUTO = "auto"
# The setting: this name, a weight by label, or None for 1 each.
ClassWeights = str | Mapping[str, float] | None
RANGE = OrNone(Either(Choice((AUTO,)), ByName(Number(0, 1e12, above=True))))


def resolve(
    given: ClassWeights, names: Sequence[str], counts: np.ndarray
) -> dict[str, float] | None:
    """Return the weight of each label, None for 1 each.

    The weights of `auto` are inversely proportional to the frequencies in the training set, and 1
    on average over its examples. A label without examples has the weight 1.

    Args:
      given: the setting; a mapping may leave labels out, which have the weight 1.
      names: the labels in order of their numbers.
      counts: number of training examples of each label.

    Raises:
      InputError: the mapping names a label that is not one of `names`.
    """
    if given is None:
        return None
    if isinstance(given, str):
        present = int(np.count_nonzero(counts))
        return {
            name: float(counts.sum() / (present * count)) if count else 1.0
            for name, count in zip(names, counts.tolist())
        }
    unknown = [name for name in given if name not in names]
    if unknown:
        raise InputError(
            f"class_weights must name labels among {listed(list(names))}, named {listed(unknown)}"
        )
    return {name: float(given.get(name, 1.0)) for name in names}


def array(weights: ClassWeights, names: Sequence[str]) -> np.ndarray | None:
    """Return resolved weights as float32 `[labels]`, None for 1 each."""
    if weights is None:
        return None
    assert isinstance(weights, Mapping)
    return np.array([weights[name] for name in names], np.float32)


def note(given: ClassWeights, weights: Mapping[str, float] | None) -> list[str]:
    """Return a sentence on weights that were computed, for the user; none for other settings."""
    if given != AUTO or weights is None:
        return []
    each = ", ".join(f"{listed([name])} {weight:.3g}" for name, weight in weights.items())
    return [f"class weights: {each}"]
