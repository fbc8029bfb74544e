"""Rows of ids out of texts' pieces: special tokens round them, cut, in windows, padded."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from official_nlp.errors import InputError

STRATEGIES = ("longest_first", "only_first", "only_second")
SIDES = ("right", "left")

# Where a special token stands in its text, and which word it belongs to: nowhere, none.
NOWHERE, NO_WORD = (0, 0), -1
# What padding has, where it is not 0.
_FILLS = {"special_tokens_mask": 1, "word_ids": NO_WORD}

Range = tuple[int, int]


class Segment(NamedTuple):
    """The pieces of a text.

    Attributes:
      ids: their ids.
      offsets: from and to which character each reaches; empty where nobody asked.
      words: the number of the word that each belongs to; likewise.
    """

    ids: list[int]
    offsets: list[Range]
    words: list[int]

    def cut(self, start: int, stop: int) -> "Segment":
        """Some of the pieces."""
        return Segment(*(column[start:stop] for column in self))


class Row(NamedTuple):
    """One or two segments with the special tokens, a value for each token."""

    ids: list[int]
    type_ids: list[int]
    special: list[int]
    offsets: list[Range]
    words: list[int]


def join_words(segments: Iterable[Segment]) -> Segment:
    """One segment of those of words; each offset counts from the beginning of its word."""
    joined = Segment([], [], [])
    for number, segment in enumerate(segments):
        joined.ids.extend(segment.ids)
        joined.offsets.extend(segment.offsets)
        joined.words.extend([number] * len(segment.words))
    return joined


@dataclasses.dataclass(frozen=True)
class Framing:
    """How segments become rows; the cuts are those of the `tokenizers` package.

    Attributes:
      cls, sep: ids of the tokens that go before, and behind each segment.
      strategy: which of two segments is cut, one of `STRATEGIES`; None: neither.
      max_length: the most tokens of a row; None: any number.
      side: on which side a segment loses what is too much.
      stride: how many pieces a window has in common with the one before.
      windows: what is cut off makes rows of its own.
      add_special_tokens: without, segments follow one another bare.
    """

    cls: int
    sep: int
    strategy: str | None = None
    max_length: int | None = None
    side: str = "right"
    stride: int = 0
    windows: bool = False
    add_special_tokens: bool = True

    def num_special(self, segments: int) -> int:
        """How many special tokens a row of one or two segments has."""
        return 1 + segments if self.add_special_tokens else 0

    def rows(self, segments: Sequence[Segment]) -> list[Row]:
        """The row of one or two segments, and where wished those of the further windows.

        Raises:
          InputError: there is not enough to cut, or no room for a window.
        """
        if self.strategy is None:
            return [self._row(segments)]
        sizes = [len(segment.ids) for segment in segments]
        room = self.max_length - self.num_special(len(segments))
        if sum(sizes) <= room:
            return [self._row(segments)]
        left = self._sizes_left(sizes, room)
        if not self.windows:
            return [self._row(list(map(self._cut, segments, left)))]
        first, *second = list(map(self._windows, segments, left))
        return [self._row(parts) for parts in _combined(first, *second)]

    def _row(self, segments: Sequence[Segment]) -> Row:
        row = Row([], [], [], [], [])
        for number, segment in enumerate(segments):
            if self.add_special_tokens and number == 0:
                self._add_special(row, self.cls, 0)
            row.ids.extend(segment.ids)
            row.type_ids.extend([number] * len(segment.ids))
            row.special.extend([0] * len(segment.ids))
            row.offsets.extend(segment.offsets)
            row.words.extend(segment.words)
            if self.add_special_tokens:
                self._add_special(row, self.sep, number)
        return row

    def _add_special(self, row: Row, id: int, type_id: int):
        for column, value in zip(row, (id, type_id, 1, NOWHERE, NO_WORD)):
            column.append(value)

    def _sizes_left(self, sizes: list[int], room: int) -> list[int]:
        if room < 0:
            raise InputError(
                f"max_length must be at least {self.num_special(len(sizes))}, the number of "
                f"special tokens of a row, was {self.max_length}"
            )
        if self.strategy == "longest_first":
            return _cut_longest(sizes, room)
        place, over = STRATEGIES.index(self.strategy) - 1, sum(sizes) - room
        if place >= len(sizes) or sizes[place] <= over:
            what = "there is none" if place >= len(sizes) else "it is too short for it"
            raise InputError(
                f"truncation={self.strategy!r}, max_length={self.max_length}: {over} tokens must "
                f"be cut from the {'second' if place else 'first'} text, but {what}"
            )
        return [size - over * (number == place) for number, size in enumerate(sizes)]

    def _cut(self, segment: Segment, size: int) -> Segment:
        length = len(segment.ids)
        return segment.cut(0, size) if self.side == "right" else segment.cut(length - size, length)

    def _windows(self, segment: Segment, size: int) -> list[Segment]:
        length = len(segment.ids)
        if size >= length:
            return [segment]
        if size <= self.stride:
            raise InputError(
                f"max_length={self.max_length} gives a window {size} pieces of a text that is cut, "
                f"which must be more than stride={self.stride}, those it shares with the one "
                "before; make max_length larger or stride smaller"
            )
        steps = range(0, max(1, length - self.stride), size - self.stride)
        ranges = [(start, min(start + size, length)) for start in steps]
        if self.side == "left":
            ranges = [(length - stop, length - start) for start, stop in ranges]
        return [segment.cut(*each) for each in ranges]


@dataclasses.dataclass(frozen=True)
class Padding:
    """How rows become arrays.

    Attributes:
      pad: id of the token that they are filled with.
      wanted: whether they are.
      width: length of the rows, if none is longer; None: that of the longest.
      multiple: the length is a multiple of it.
      side: on which side they are filled.
    """

    pad: int
    wanted: bool
    width: int | None = None
    multiple: int = 1
    side: str = "right"

    def arrays(self, columns: dict[str, list]) -> dict:
        """An int32 array of each column's rows, or without padding a list of arrays."""
        if not self.wanted:
            return {name: _apart(name, column) for name, column in columns.items()}
        longest = max((len(row) for row in columns["input_ids"]), default=0)
        width = max(longest, self.width or 0)
        width += -width % self.multiple
        return {name: self._together(name, column, width) for name, column in columns.items()}

    def _together(self, name: str, column: list, width: int) -> np.ndarray:
        fill = self.pad if name == "input_ids" else _FILLS.get(name, 0)
        shape = (len(column), width, 2) if name == "offset_mapping" else (len(column), width)
        result = np.full(shape, fill, np.int32)
        for place, row in enumerate(column):
            start = width - len(row) if self.side == "left" else 0
            if row:
                result[place, start : start + len(row)] = row
        return result


def _apart(name: str, column: list) -> list[np.ndarray]:
    shape = (-1, 2) if name == "offset_mapping" else (-1,)
    return [np.array(row, np.int32).reshape(shape) for row in column]


def _combined(first: list[Segment], second: "list[Segment] | None" = None) -> list[list[Segment]]:
    if second is None:
        return [[segment] for segment in first]
    head, *tail = second
    # Each further window of the first text with all of the second, and those of its first one last.
    rest = [[segment, other] for segment in first[1:] for other in second]
    return [[first[0], head], *rest, *([first[0], other] for other in tail)]


def _cut_longest(sizes: list[int], room: int) -> list[int]:
    if len(sizes) == 1:
        return [room]
    short, long = sorted(sizes)
    long = max(short, room - short)
    if short + long > room:
        short, long = room // 2, room - room // 2
    return [short, long] if sizes[0] <= sizes[1] else [long, short]
