"""Decode the tags of words to entities."""

from collections.abc import Iterable, Sequence

from official_nlp.data.tables.tagging_schemes import OUTSIDE, EntitySpan, is_tag, spans


def decode(tags: Sequence[str], labels: Iterable[str]) -> list[EntitySpan]:
    """Return the entities of a sentence in order.

    If all labels but O have prefixes, such as B-X and I-X, they are read as in
    `tagging_schemes.spans`. Otherwise neighboring words with the same label form an entity.

    Args:
      tags: predicted label of each word.
      labels: all labels of the model.
    """
    # The labels of the model decide, not the tags of one sentence, which may all be O.
    if all(map(is_tag, labels)):
        return spans(tags)
    # A plain label behaves like an inside tag: it only starts an entity after another label.
    return spans(tag if tag == OUTSIDE else f"I-{tag}" for tag in tags)
