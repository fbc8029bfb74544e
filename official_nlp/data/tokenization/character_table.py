"""What a normaliser and a cutter of words make of each character, as arrays.

Both are asked about every character there is, so that whoever looks up the arrays does what they
do, of whatever version of Unicode they are.
"""

from typing import NamedTuple

import numpy as np
from tokenizers import normalizers, pre_tokenizers

# An entry is an int32. Zero: the character stays as it is, inside its word. Negative: it becomes
# several, and the rest is `place * MOST + number` in `several`. Else these fields:
POINT = (1 << 21) - 1  # what is added to the code point, modulo 2**21; in `several` the code point
RANK_SHIFT = 21
RANK = 63 << RANK_SHIFT  # place of a mark in the canonical order; 0: marks are not moved across
DROPPED = 1 << 27  # nothing comes out
BREAK_BEFORE = 1 << 28  # a word ends before the character
BREAK_AFTER = 1 << 29  # and after it
MOST = 16  # more than the characters that one may become

PAGE_BITS = 8
PAGE = 1 << PAGE_BITS

# The rank of what is gone before marks are put in order, and of marks that are dropped.
VANISHING = RANK

_CODE_POINTS = 0x110000
_SURROGATES = range(0xD800, 0xE000)
_PLANE = 0x10000
# In the other planes is nothing, or what is for private use, and at the end two that are neither.
_PLANES_ASKED = (0, 1, 2, 3, 14)
_ENDS = (_PLANE - 2, _PLANE - 1)
# Part of words, and nothing else becomes it.
FENCE = "\u2588"


def _asked() -> np.ndarray:
    points = np.arange(_CODE_POINTS, dtype=np.int32)
    plane, place = points // _PLANE, points % _PLANE
    asked = np.isin(plane, _PLANES_ASKED) | np.isin(place, (0, *_ENDS))
    asked[_SURROGATES.start : _SURROGATES.stop] = False
    asked[ord(FENCE)] = False
    return points[asked]


# The code points that engines are asked about: all, but of planes of one kind the first.
ASKED = _asked()

# Of the marks that are put in order, one that stands first and one that stands last.
_FIRST_MARK, _LAST_MARK = "\u0334", "\u0345"

_made: "dict[tuple, CharacterTable]" = {}


class CharacterTable(NamedTuple):
    """The entries of all characters, int32.

    Attributes:
      pages: `[code points / PAGE]`: which page of `entries` is theirs.
      entries: `[pages * PAGE]`.
      several: the entries of what becomes several characters, one after another.
      in_order: whether marks are put in a canonical order, so that ranks matter.
    """

    pages: np.ndarray
    entries: np.ndarray
    several: np.ndarray
    in_order: bool


def character_table(
    normalizer: normalizers.Normalizer | None,
    pre_tokenizer: pre_tokenizers.PreTokenizer | None,
) -> CharacterTable:
    """Makes the table.

    Args:
      normalizer: works character by character, but for the order of marks; None: nothing is done.
      pre_tokenizer: cuts at characters, whatever is around them; None: a text is one word.
    """
    # Making one takes two seconds, and their state says all about them.
    key = tuple(each and each.__getstate__() for each in (normalizer, pre_tokenizer))
    if key not in _made:
        normalize = normalizer.normalize_str if normalizer else str
        _made[key] = _make(normalize, pre_tokenizer)
    return _made[key]


def _make(normalize, pre_tokenizer) -> CharacterTable:
    points = ASKED
    text = normalize(_fenced(_characters(points)))
    characters = _code_points(text)
    fence = characters == ord(FENCE)
    starts, ends = _cuts(pre_tokenizer, text)
    kept = (np.cumsum(starts - ends)[:-1] > 0) & ~fence
    ranks, vanishing = _ranks(normalize, points)

    # What is kept of each, `number` characters from `first` on.
    number = np.bincount(np.cumsum(fence)[kept] - 1, minlength=len(points))
    first = np.cumsum(number) - number
    places = np.flatnonzero(kept)
    found = characters[places] | ranks[characters[places]] << RANK_SHIFT
    found |= starts[places] * BREAK_BEFORE | ends[places + 1] * BREAK_AFTER

    entries = np.zeros(_CODE_POINTS, np.int32)
    one, none, more = number == 1, number == 0, number > 1
    single = found[first[one]]
    shift = (single & POINT) - points[one] & POINT
    entries[points[one]] = single & ~POINT | shift
    broken = ends[np.flatnonzero(fence)[:-1] + 1]
    entries[points[none]] = DROPPED | broken[none] * BREAK_BEFORE
    entries[vanishing] |= VANISHING
    inside = np.repeat(more, number)
    start = np.cumsum(number * more) - number * more
    entries[points[more]] = -(start[more] * MOST + number[more])
    for plane in set(range(_CODE_POINTS // _PLANE)) - set(_PLANES_ASKED):
        entries[plane * _PLANE : plane * _PLANE + _ENDS[0]] = entries[plane * _PLANE]
    pages, kinds = np.unique(entries.reshape(-1, PAGE), axis=0, return_inverse=True)
    return CharacterTable(
        kinds.astype(np.int32).ravel(),
        pages.ravel(),
        found[inside].astype(np.int32),
        bool(ranks.any()),
    )


def _ranks(normalize, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ranks of all code points, and the code points that vanish from among marks."""
    ranks = np.zeros(_CODE_POINTS, np.int32)
    marks = "".join(c for c in _marks(points) if normalize(c) == c)
    forth, back = normalize(marks), normalize(marks[::-1])
    if (forth, back) == (marks, marks[::-1]):
        return ranks, np.zeros(0, np.int32)
    # Marks of one rank keep their order, so a rank ends where both ways have met the same marks.
    rank, seen = 1, set()
    for mark, other in zip(forth, back):
        ranks[ord(mark)] = rank
        seen ^= {mark} ^ {other}
        rank += not seen
    low, high = forth[0], forth[-1]
    between = normalize(_fenced([high + c + low for c in _characters(points)])).split(FENCE)[1:-1]
    return ranks, points[np.array(between) == low + high]


def _marks(points: np.ndarray) -> list[str]:
    """What changes places with marks of other ranks."""
    nfd = normalizers.NFD().normalize_str
    characters = _characters(points)
    before = nfd(_fenced([c + _FIRST_MARK for c in characters])).split(FENCE)[1:-1]
    behind = nfd(_fenced([_LAST_MARK + c for c in characters])).split(FENCE)[1:-1]
    found = zip(characters, before, behind)
    return [c for c, x, y in found if x == _FIRST_MARK + c or y == c + _LAST_MARK]


def _fenced(texts: list[str]) -> str:
    return FENCE + FENCE.join(texts) + FENCE


def _characters(points: np.ndarray) -> list[str]:
    return list(points.tobytes().decode("utf-32-le"))


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.int32)


def _cuts(pre_tokenizer, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Where words start and where they end, ones among zeros."""
    words = pre_tokenizer.pre_tokenize_str(text) if pre_tokenizer else [(text, (0, len(text)))]
    spans = np.array([span for _, span in words], np.int32)
    starts, ends = np.zeros((2, len(text) + 1), np.int32)
    starts[spans[:, 0]] = 1
    ends[spans[:, 1]] = 1
    return starts, ends
