"""Convert the tags of words between schemes: IOB1, IOB2 and BIOES.

A tag is O, or a prefix and the type of an entity: B-PER. The schemes differ in the prefixes:

- IOB2: B for the first word of an entity, I for the others.
- IOB1: I for all words, and B for the first one only where an entity of the same type ends just
  before it. The English data of CoNLL-2003 is in this scheme.
- BIOES: B, I, E for the last word, S for the only word. BILOU and BMES are the same with other
  letters, and are read as BIOES.

Invalid sequences are read as the CoNLL evaluation script does, and seqeval in its default mode.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

OUTSIDE = "O"
IOB1, IOB2, BIOES, NONE = "IOB1", "IOB2", "BIOES", "none"
SCHEMES = (IOB1, IOB2, BIOES, NONE)

# Begin, inside, end, last, middle, single and unit.
_TAG = re.compile(r"([BIELMSU])-(.+)", re.DOTALL)
_BIOES_LETTERS = {"L": "E", "M": "I", "U": "S"}


class EntitySpan(NamedTuple):
    """Consecutive words of one entity, `tags[start:stop]`."""

    label: str
    start: int
    stop: int


def is_tag(label: str) -> bool:
    """Return whether a label is O, or has one of the prefixes."""
    return label == OUTSIDE or bool(_TAG.fullmatch(label))


def spans(tags: Iterable[str]) -> list[EntitySpan]:
    """Return the entities of a sentence in order, in any of the schemes.

    An entity starts at B, S and U, after E, L, S and U, after O, and wherever the type changes.
    This is the rule of the CoNLL evaluation script, and makes entities of invalid sequences too.

    Args:
      tags: tag of each word, for each of which `is_tag` holds.
    """
    found: list[EntitySpan] = []
    ended = True
    for number, tag in enumerate(tags):
        if tag == OUTSIDE:
            ended = True
            continue
        prefix, _, label = tag.partition("-")  # A type may contain further hyphens.
        if ended or prefix in "BSU" or label != found[-1].label:
            found.append(EntitySpan(label, number, number + 1))
        else:
            found[-1] = found[-1]._replace(stop=number + 1)
        ended = prefix in "ELSU"
    return found


def scheme_of(tags: Iterable[Sequence[str]]) -> str:
    """Return the scheme of the tags of a file.

    Args:
      tags: tags of the words of each sentence.

    Returns:
      "IOB1", "IOB2", "BIOES", or "none" if the tags have no prefixes, such as parts of speech. IOB1
      and IOB2 differ in how entities start that follow no other of their type: most have I in IOB1,
      and B in IOB2.
    """
    inside = begin = 0
    last_letters = False
    for sentence in tags:
        previous = OUTSIDE
        for tag in sentence:
            match = _TAG.fullmatch(tag)
            if not match and tag != OUTSIDE:
                return NONE
            if match and previous[2:] != match[2]:
                inside += match[1] == "I"
                begin += match[1] == "B"
            last_letters |= bool(match) and tag[0] in "ELMSU"
            previous = tag
    if last_letters:
        return BIOES
    return IOB1 if inside > begin else IOB2


def to_iob2(tags: Sequence[str], scheme: str) -> list[str]:
    """Return the tags of a sentence in IOB2, which are valid.

    Args:
      tags: tag of each word.
      scheme: scheme of the tags, see `scheme_of`. Tags without one are returned as they are.
    """
    return list(tags) if scheme == NONE else _written(tags, IOB2)


def to_bioes(tags: Sequence[str], scheme: str) -> list[str]:
    """Return the tags of a sentence in BIOES, which are valid.

    Args:
      tags: tag of each word.
      scheme: scheme of the tags, see `scheme_of`. Tags without one are returned as they are.
    """
    return list(tags) if scheme == NONE else _written(tags, BIOES)


def broken_tags(tags: Sequence[str], scheme: str) -> int:
    """Return how many tags of a sentence the scheme does not allow where they are.

    Args:
      tags: tag of each word.
      scheme: scheme of the tags, see `scheme_of`.
    """
    if scheme == NONE:
        return 0
    letters = _BIOES_LETTERS if scheme == BIOES else {}
    own = [letters.get(tag[0], tag[0]) + tag[1:] for tag in tags]
    return sum(one != other for one, other in zip(own, _written(tags, scheme)))


def _written(tags: Sequence[str], scheme: str) -> list[str]:
    """Return the tags of a sentence in a scheme."""
    written = [OUTSIDE] * len(tags)
    previous = EntitySpan("", -1, -1)
    for span in spans(tags):
        adjacent = span.label == previous.label and span.start == previous.stop
        for number, prefix in enumerate(_prefixes(span.stop - span.start, scheme, adjacent)):
            written[span.start + number] = f"{prefix}-{span.label}"
        previous = span
    return written


def _prefixes(length: int, scheme: str, adjacent: bool) -> str:
    if scheme == BIOES:
        return "S" if length == 1 else f"B{'I' * (length - 2)}E"
    first = "B" if scheme == IOB2 or adjacent else "I"
    return first + "I" * (length - 1)
