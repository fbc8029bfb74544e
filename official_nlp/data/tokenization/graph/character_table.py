"""The effect of a normalizer and a word splitter of the `tokenizers` package, as arrays.

Both are applied to every Unicode character, so that looking up the arrays gives the same result,
whatever version of Unicode they implement.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from tokenizers import normalizers, pre_tokenizers

# An entry is an int32. Zero: the character is unchanged, and inside a word. Negative: it becomes
# several characters, and the absolute value is `index * MAX_EXPANSION + number` in `expansions`.
# Else it has these fields:
POINT = (1 << 21) - 1  # added to the code point modulo 2**21; in `expansions`, the code point
RANK_SHIFT = 21
RANK = 63 << RANK_SHIFT  # a mark's position in the canonical order; 0: marks do not move across
DROPPED = 1 << 27  # the character is removed
BREAK_BEFORE = 1 << 28  # a word ends before the character
BREAK_AFTER = 1 << 29  # a word ends after the character
MAX_EXPANSION = 16  # more than the number of characters that one can become

PAGE_BITS = 8
PAGE = 1 << PAGE_BITS

# The rank of characters that are removed before marks are sorted, and of marks that are removed.
VANISHING = RANK

_CODE_POINTS = 0x110000
_SURROGATES = range(0xD800, 0xE000)
_PLANE = 0x10000
# The other planes are unassigned or for private use, except for two noncharacters at the end.
_PLANES_ASKED = (0, 1, 2, 3, 14)
_ENDS = (_PLANE - 2, _PLANE - 1)
# Separates characters when many are normalized in one call: a character that is part of words,
# that stays as it is, and that no other character becomes.
FENCE = "\u2588"


def _asked() -> np.ndarray:
    points = np.arange(_CODE_POINTS, dtype=np.int32)
    plane, offset = points // _PLANE, points % _PLANE
    asked = np.isin(plane, _PLANES_ASKED) | np.isin(offset, (0, *_ENDS))
    asked[_SURROGATES.start : _SURROGATES.stop] = False
    asked[ord(FENCE)] = False
    return points[asked]


# The code points that normalizers are applied to: all, except that the first character of an
# unassigned plane represents the others.
ASKED = _asked()

# Combining marks with the lowest and the highest combining class that occurs.
_FIRST_MARK, _LAST_MARK = "\u0334", "\u0345"

_made: "dict[tuple, CharacterTable]" = {}


class CharacterTable(NamedTuple):
    """The entries of all characters, int32.

    Attributes:
      pages: `[code points / PAGE]`: index of the page of `entries` for a code point.
      entries: `[pages * PAGE]`.
      expansions: entries of the characters that others become, concatenated.
      sorts_marks: whether marks are sorted into the canonical order, so that ranks matter.
    """

    pages: np.ndarray
    entries: np.ndarray
    expansions: np.ndarray
    sorts_marks: bool


def character_table(
    normalizer: normalizers.Normalizer | None,
    pre_tokenizer: pre_tokenizers.PreTokenizer | None,
) -> CharacterTable:
    """Return the table of a normalizer and a word splitter.

    Args:
      normalizer: treats each character on its own, except that it may sort marks; None: text is
        not normalized.
      pre_tokenizer: splits at characters, independently of those around; None: text is not split.
    """
    # Making a table takes two seconds. The pickled state determines it.
    key = tuple(each and each.__getstate__() for each in (normalizer, pre_tokenizer))
    if key not in _made:
        normalize = normalizer.normalize_str if normalizer else str
        _made[key] = _make(normalize, pre_tokenizer)
    return _made[key]


def _make(
    normalize: Callable[[str], str], pre_tokenizer: pre_tokenizers.PreTokenizer | None
) -> CharacterTable:
    # One call normalizes all characters, and one splits the result. The fences show which
    # characters of the result belong to which of the original.
    points = ASKED
    text = normalize(_fenced(_characters(points)))
    characters = _code_points(text)
    fence = characters == ord(FENCE)
    starts, ends = _word_bounds(pre_tokenizer, text)
    remains = (np.cumsum(starts - ends)[:-1] > 0) & ~fence

    # Each original character becomes `number` remaining ones, from `first` on.
    number = np.bincount(np.cumsum(fence)[remains] - 1, minlength=len(points))
    first = np.cumsum(number) - number
    one, none, more = number == 1, number == 0, number > 1
    ranks, vanishing = _ranks(normalize, points[none])
    positions = np.flatnonzero(remains)
    found = characters[positions] | ranks[characters[positions]] << RANK_SHIFT
    found |= starts[positions] * BREAK_BEFORE | ends[positions + 1] * BREAK_AFTER

    entries = np.zeros(_CODE_POINTS, np.int32)
    single = found[first[one]]
    # Differences instead of code points: unchanged characters have equal entries, so that most
    # pages are equal and stored once.
    shift = (single & POINT) - points[one] & POINT
    entries[points[one]] = single & ~POINT | shift
    breaks = ends[np.flatnonzero(fence)[:-1] + 1]
    entries[points[none]] = DROPPED | breaks[none] * BREAK_BEFORE
    entries[vanishing] |= VANISHING
    inside = np.repeat(more, number)
    start = np.cumsum(number * more) - number * more
    entries[points[more]] = -(start[more] * MAX_EXPANSION + number[more])
    for plane in set(range(_CODE_POINTS // _PLANE)) - set(_PLANES_ASKED):
        entries[plane * _PLANE : plane * _PLANE + _ENDS[0]] = entries[plane * _PLANE]
    pages, kinds = np.unique(entries.reshape(-1, PAGE), axis=0, return_inverse=True)
    return CharacterTable(
        kinds.astype(np.int32).ravel(),
        pages.ravel(),
        found[inside].astype(np.int32),
        bool(ranks.any()),
    )


def _ranks(normalize: Callable[[str], str], removed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of all code points, and which of the removed vanish between marks."""
    ranks = np.zeros(_CODE_POINTS, np.int32)
    marks = "".join(c for c in _marks() if normalize(c) == c)
    forth, back = normalize(marks), normalize(marks[::-1])
    if (forth, back) == (marks, marks[::-1]):
        return ranks, np.zeros(0, np.int32)
    # Marks of one rank keep their relative order: reversed input reverses each rank. So a rank
    # ends where both results have gone through the same set of marks.
    rank = 1
    seen: set[str] = set()
    for mark, other in zip(forth, back):
        ranks[ord(mark)] = rank
        seen ^= {mark} ^ {other}
        rank += not seen
    low, high = forth[0], forth[-1]
    between = normalize(_fenced([high + c + low for c in _characters(removed)])).split(FENCE)[1:-1]
    return ranks, removed[np.array(between) == low + high]


@functools.cache
def _marks() -> list[str]:
    """Return the characters that change places with marks of other ranks."""
    nfd = normalizers.NFD().normalize_str
    characters = _characters(ASKED)
    before = nfd(_fenced([c + _FIRST_MARK for c in characters])).split(FENCE)[1:-1]
    after = nfd(_fenced([_LAST_MARK + c for c in characters])).split(FENCE)[1:-1]
    found = zip(characters, before, after)
    return [c for c, x, y in found if x == _FIRST_MARK + c or y == c + _LAST_MARK]


def _fenced(texts: list[str]) -> str:
    return FENCE + FENCE.join(texts) + FENCE


def _characters(points: np.ndarray) -> list[str]:
    return list(points.tobytes().decode("utf-32-le"))


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.int32)


def _word_bounds(
    pre_tokenizer: pre_tokenizers.PreTokenizer | None, text: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return 1 where words start, and where they end, else 0: int32 `[length + 1]` each."""
    words = pre_tokenizer.pre_tokenize_str(text) if pre_tokenizer else [(text, (0, len(text)))]
    spans = np.array([span for _, span in words], np.int32)
    starts, ends = np.zeros((2, len(text) + 1), np.int32)
    starts[spans[:, 0]] = 1
    ends[spans[:, 1]] = 1
    return starts, ends
