"""Lines of a document to examples of one or two segments of consecutive text."""

import random
from collections.abc import Iterator, Sequence

# A run of tokens of a document: from, to (exclusive).
Run = tuple[int, int]

_SINGLE_SEGMENT = 0.1
_SHORT_EXAMPLE = 0.05
_SHORTEST_TARGET = 5
_CROSSES_MIDDLE = 0.5
# A remainder of less than this part of a row is not worth a row of its own.
_SMALLEST_REMAINDER = 1 / 8


def pack(
    line_lengths: Sequence[int],
    continues: Sequence[bool],
    length: int,
    draw: random.Random,
    segments: int = 2,
    original: bool = False,
) -> Iterator[tuple[list[Run], list[Run]]]:
    """Deals the lines of a document out to examples.

    Lines are gathered until they fill an example: `length` tokens, or in one of twenty a random
    number from 5. In one of ten the example is a single segment; else lines go to the first
    segment up to the middle, the one across the middle by the toss of a coin, the others to the
    second. So far this is the original's way. It throws away what then stands over `length`, and
    may put a short line back into the first segment after the second has begun. Here what stands
    over begins the next example, lines longer than a segment are cut, between words, and segments
    are consecutive; only a last remainder of less than an eighth of `length` is dropped.

    Args:
      line_lengths: number of tokens of each line.
      continues: for each token of the document, whether it goes on with a word.
      length: the most tokens of an example, three special ones counted.
      draw: the source of the random draws.
      segments: 2, or 1: every example is a single segment.
      original: exactly as google-research/electra, build_pretraining_dataset.py.

    Yields:
      The runs of tokens of the first and of the second segment, which may be empty.
    """
    if original:
        lines = _runs(line_lengths, continues, None)
        continues = [False] * len(continues)
    else:
        lines = _runs(line_lengths, continues, (length - 3) // 2)
    waiting: list[Run] = []
    size, carried = 0, False
    target = _draw_target(length, draw)
    for line in lines:
        waiting.append(line)
        size += line[1] - line[0]
        carried = False
        while size >= target:
            divided = _divide(waiting, target, draw, segments, original)
            first, second, rest = _cut(*divided, continues, length)
            yield first, second
            waiting = [] if original else rest
            size, carried = _size(waiting), True
            target = _draw_target(length, draw)
    while size and not (carried and size < length * _SMALLEST_REMAINDER):
        divided = _divide(waiting, target, draw, segments, original)
        first, second, rest = _cut(*divided, continues, length)
        yield first, second
        waiting = [] if original else rest
        size, carried = _size(waiting), True


def _runs(
    line_lengths: Sequence[int], continues: Sequence[bool], longest: int | None
) -> Iterator[Run]:
    start = end = 0
    for size in line_lengths:
        end += size
        while longest and end - start > longest:
            middle = _between_words(start, start + longest, continues)
            # A word that fills a segment is cut all the same.
            middle = middle if middle > start else start + longest
            yield start, middle
            start = middle
        if size:
            yield start, end
        start = end


def _draw_target(length: int, draw: random.Random) -> int:
    if draw.random() < _SHORT_EXAMPLE:
        return _SHORTEST_TARGET + int(draw.random() * (length - _SHORTEST_TARGET + 1))
    return length


def _divide(
    lines: list[Run], target: int, draw: random.Random, segments: int, original: bool
) -> tuple[list[Run], list[Run]]:
    single = draw.random() < _SINGLE_SEGMENT
    if single or segments == 1:
        return lines, []
    middle = (target - 3) // 2
    first: list[Run] = []
    second: list[Run] = []
    size = 0
    for line in lines:
        length = line[1] - line[0]
        crosses = not second and size < middle
        if not first or (size + length < middle and (original or not second)):
            here = first
        else:
            here = first if crosses and draw.random() < _CROSSES_MIDDLE else second
        here.append(line)
        size += length if here is first else 0
    return first, second


def _cut(
    first: list[Run], second: list[Run], continues: Sequence[bool], length: int
) -> tuple[list[Run], list[Run], list[Run]]:
    """Cuts the segments to what a row has room for, and returns what is over as well."""
    room = length - 2
    taken, first_rest = _take(first, room, continues)
    if not taken:  # one word, longer than the row
        start, end = first[0]
        taken, first_rest = [(start, start + room)], [(start + room, end), *first[1:]]
    second, second_rest = _take(second, max(0, room - 1 - _size(taken)), continues)
    return taken, second, first_rest + second_rest


def _take(runs: list[Run], size: int, continues: Sequence[bool]) -> tuple[list[Run], list[Run]]:
    """Splits runs into the first `size` tokens, or less to end between words, and the rest."""
    taken, rest = [], []
    for start, end in runs:
        middle = end
        if end - start > size:
            middle = _between_words(start, start + size, continues)
        size = size - (middle - start) if middle == end else 0
        if start < middle:
            taken.append((start, middle))
        if middle < end:
            rest.append((middle, end))
    return taken, rest


def _between_words(start: int, end: int, continues: Sequence[bool]) -> int:
    """The last place from `start` to `end` where a word begins; `start` where none does."""
    while end > start and end < len(continues) and continues[end]:
        end -= 1
    return end


def _size(runs: list[Run]) -> int:
    return sum(end - start for start, end in runs)
