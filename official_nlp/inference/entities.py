"""Decode the tags of words to entities."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

OUTSIDE = "O"
# Begin, inside, end, last, single and unit: IOB1, IOB2, BIOES and BILOU.
_TAG = re.compile(r"([BIELSU])-(.+)", re.DOTALL)


class EntitySpan(NamedTuple):
    """Consecutive words of one entity, `tags[start:stop]`."""

    label: str
    start: int
    stop: int


def decode(tags: Sequence[str], labels: Iterable[str]) -> list[EntitySpan]:
    """Return the entities of a sentence in order.

    If all labels but O are of the form B-X, I-X, E-X, L-X, S-X or U-X, an entity starts at B, S
    and U, after E, L, S and U, and wherever the type changes. This is the rule of the CoNLL
    evaluation script. It reads IOB1, IOB2, BIOES and BILOU, and makes entities of invalid
    sequences too. Otherwise neighbouring words with the same label form an entity.

    Args:
      tags: predicted label of each word.
      labels: all labels of the model.
    """
    # The labels of the model decide, not the tags of one sentence, which may all be O.
    plain = not all(label == OUTSIDE or _TAG.fullmatch(label) for label in labels)
    spans: list[EntitySpan] = []
    ended = True
    for number, tag in enumerate(tags):
        if tag == OUTSIDE:
            ended = True
            continue
        # A plain label behaves like an inside tag: it only starts an entity after another label.
        prefix, label = ("I", tag) if plain else _parts(tag)
        if ended or prefix in "BSU" or label != spans[-1].label:
            spans.append(EntitySpan(label, number, number + 1))
        else:
            spans[-1] = spans[-1]._replace(stop=number + 1)
        ended = prefix in "ELSU"
    return spans


def _parts(tag: str) -> tuple[str, str]:
    prefix, _, label = tag.partition("-")  # A type may contain further hyphens.
    return prefix, label
