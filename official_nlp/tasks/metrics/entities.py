"""Metrics of tagged tokens whose tags mark entities, such as B-PER and I-PER."""

import collections
import re
from collections.abc import Sequence
from typing import NamedTuple

from official_nlp import ranges
from official_nlp.errors import InputError

OUTSIDE = "O"
# Begin, inside, end, single: the prefixes of IOB1, IOB2 and IOBES.
_ENTITY_TAG = re.compile(r"[BIES]-.+", re.DOTALL)

Tags = Sequence[Sequence[str]]

TOKEN_ACCURACY = "token_accuracy"
# Names of the results of `entity_metrics`.
METRICS = ("entity_f1", "entity_precision", "entity_recall", TOKEN_ACCURACY)


def marks_entities(tag: str) -> bool:
    """Return whether a tag is `O`, or one of the prefixes B-, I-, E- and S- with a type."""
    return tag == OUTSIDE or bool(_ENTITY_TAG.fullmatch(tag))


def entity_metrics(tags: Tags, predicted: Tags) -> dict[str, float]:
    """Compute the metrics of entities, as the CoNLL-2000 and CoNLL-2003 shared tasks define them.

    A predicted entity is right if type, first and last token are right. A tag that does not
    continue the entity before it begins a new one, whatever its prefix is (conlleval).

    Args:
      tags: the true tags of the tokens of each sentence.
      predicted: the predicted tags, of the same lengths.

    Returns:
      `entity_f1`, `entity_precision` and `entity_recall` of all entities together, 0 if there are
      none; `token_accuracy`, the fraction of tokens whose tag is right.

    Raises:
      InputError: the lengths differ, there are no tokens, or a tag does not mark entities.

    Reference: Tjong Kim Sang and De Meulder 2003 (arXiv cs/0306050).
    """
    sides = _checked(tags, predicted)
    # Importing it takes as long as importing scikit-learn.
    from seqeval import metrics

    return {
        "entity_f1": float(metrics.f1_score(*sides, zero_division=0)),
        "entity_precision": float(metrics.precision_score(*sides, zero_division=0)),
        "entity_recall": float(metrics.recall_score(*sides, zero_division=0)),
        TOKEN_ACCURACY: float(metrics.accuracy_score(*sides)),
    }


class TypeCounts(NamedTuple):
    """Numbers of the entities of a type: true ones, predicted ones, and those that are both."""

    true: int
    predicted: int
    right: int

    @property
    def precision(self) -> float:
        """Fraction of the predicted entities that is right, 0 without any."""
        return self.right / max(self.predicted, 1)

    @property
    def recall(self) -> float:
        """Fraction of the true entities that is predicted, 0 without any."""
        return self.right / max(self.true, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.right / (self.true + self.predicted)


def count_by_type(tags: Tags, predicted: Tags) -> dict[str, TypeCounts]:
    """Count the entities of each type, in alphabetical order.

    Args:
      tags, predicted: see `entity_metrics`.

    Raises:
      InputError: see `entity_metrics`.
    """
    sides = _checked(tags, predicted)
    from seqeval.metrics import sequence_labeling

    true, guessed = (set(sequence_labeling.get_entities(side)) for side in sides)
    counts = [
        collections.Counter(name for name, *_ in found) for found in (true, guessed, true & guessed)
    ]
    return {name: TypeCounts(*(c[name] for c in counts)) for name in sorted(counts[0] | counts[1])}


def token_accuracy(tags: Tags, predicted: Tags) -> float:
    """Return the fraction of tokens whose tag is right, for tags of any kind.

    Args:
      tags, predicted: see `entity_metrics`.

    Raises:
      InputError: the lengths differ, or there are no tokens.
    """
    _check_lengths(tags, predicted)
    pairs = [pair for rows in zip(tags, predicted) for pair in zip(*rows)]
    return sum(true == guess for true, guess in pairs) / len(pairs)


def _checked(tags: Tags, predicted: Tags) -> tuple[list[list[str]], list[list[str]]]:
    """Return the tags of both as lists, by which seqeval recognizes sentences.

    Raises:
      InputError: they do not describe the same tokens, or a tag does not mark entities.
    """
    _check_lengths(tags, predicted)
    for tag in {tag for side in (tags, predicted) for row in side for tag in row}:
        if not marks_entities(tag):
            raise InputError(
                f"a tag must be {OUTSIDE}, or B-, I-, E- or S- with a type such as B-PER, was "
                f"{ranges.shown(tag)}; tags of other kinds have an accuracy only"
            )
    true, guessed = ([list(map(str, row)) for row in side] for side in (tags, predicted))
    return true, guessed


def _check_lengths(tags: Tags, predicted: Tags) -> None:
    """Raise InputError unless two lists of tags describe the same tokens."""
    if len(tags) != len(predicted):
        raise InputError(
            f"tags and predicted must have the same sentences, had {len(tags)} and "
            f"{len(predicted)}; give both for the whole evaluation set"
        )
    for number, (true, guess) in enumerate(zip(tags, predicted)):
        if len(true) != len(guess):
            raise InputError(
                f"sentence {number} must have as many predicted tags as tokens, {len(true)}, had "
                f"{len(guess)}; predict a tag for each token"
            )
    if not any(len(row) for row in tags):
        raise InputError("tags must have at least one token, had none; give another evaluation set")
