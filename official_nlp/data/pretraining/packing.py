"""Pack the lines of a document into examples of one or two segments of consecutive text."""

import random
from collections.abc import Iterator, Sequence

# A run of tokens of a document: first position, and the position after the last.
Run = tuple[int, int]

# The probabilities and the shortest target are those of google-research/electra.
_SINGLE_SEGMENT = 0.1
_SHORT_EXAMPLE = 0.05
_SHORTEST_TARGET = 5
_CROSSES_MIDDLE = 0.5
# A remainder shorter than this fraction of an example is dropped: it would be mostly padding.
_SMALLEST_REMAINDER = 1 / 8


def pack(
    line_lengths: Sequence[int],
    continues: Sequence[bool],
    length: int,
    draw: random.Random,
    segments: int = 2,
    original: bool = False,
) -> Iterator[tuple[list[Run], list[Run]]]:
    """Pack the lines of a document into examples.

    Lines are collected until they fill an example: `length` tokens, or with probability 0.05 a
    random smaller number. With probability 0.1 the example is a single segment. Otherwise lines go
    to the first segment up to its middle, the line across the middle to either with equal
    probability, and the remaining lines to the second. So far this is google-research/electra,
    which drops all tokens beyond `length`, and may put a short line back into the first segment
    after the second has begun.

    Here tokens beyond `length` begin the next example, lines longer than a segment are split
    between words, and segments are consecutive. Only a last remainder of less than an eighth of
    `length` is dropped.

    Args:
      line_lengths: number of tokens of each line.
      continues: for each token of the document, whether it continues a word.
      length: maximum number of tokens of an example, with [CLS] and two [SEP].
      draw: source of the random draws.
      segments: 2, or 1 for examples of a single segment.
      original: whether to pack exactly as google-research/electra, build_pretraining_dataset.py.

    Yields:
      The runs of tokens of the first and of the second segment; the second may be empty.
    """
    if original:
        # google-research/electra cuts anywhere, as if no token continued a word.
        lines = _runs(line_lengths, continues, None)
        continues = [False] * len(continues)
    else:
        lines = _runs(line_lengths, continues, (length - 3) // 2)
    waiting: list[Run] = []
    # `carried`: all waiting tokens remain from the example before.
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
    """Yield the run of each line that is not empty; lines above `longest` tokens are split."""
    start = end = 0
    for size in line_lengths:
        end += size
        while longest and end - start > longest:
            middle = _between_words(start, start + longest, continues)
            # A word longer than a segment has to be split.
            middle = middle if middle > start else start + longest
            yield start, middle
            start = middle
        if size:
            yield start, end
        start = end


def _draw_target(length: int, draw: random.Random) -> int:
    """Return the number of tokens at which the next example is full."""
    # Only `random()`: of the methods of `random.Random`, its sequence alone is guaranteed to be the
    # same in every version of Python.
    if draw.random() < _SHORT_EXAMPLE:
        return _SHORTEST_TARGET + int(draw.random() * (length - _SHORTEST_TARGET + 1))
    return length


def _divide(
    lines: list[Run], target: int, draw: random.Random, segments: int, original: bool
) -> tuple[list[Run], list[Run]]:
    """Divide lines between the first and the second segment."""
    # Drawn even if there is only one segment, so that `segments` does not change later draws.
    single = draw.random() < _SINGLE_SEGMENT
    if single or segments == 1:
        return lines, []
    # 3: [CLS] and two [SEP].
    middle = (target - 3) // 2
    first: list[Run] = []
    second: list[Run] = []
    size = 0
    for line in lines:
        length = line[1] - line[0]
        crosses = not second and size < middle
        # In the original, a short line may still join the first segment after the second has begun.
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
    """Truncate the segments to `length`; return them and the runs that do not fit."""
    room = length - 2
    taken, first_rest = _take(first, room, continues)
    if not taken:  # a single word that is longer than an example
        start, end = first[0]
        taken, first_rest = [(start, start + room)], [(start + room, end), *first[1:]]
    second, second_rest = _take(second, max(0, room - 1 - _size(taken)), continues)
    return taken, second, first_rest + second_rest


def _take(runs: list[Run], size: int, continues: Sequence[bool]) -> tuple[list[Run], list[Run]]:
    """Split runs into the first `size` tokens, or fewer to end between words, and the rest."""
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
    """Return the last position from `start` to `end` where a word begins, else `start`."""
    while end > start and end < len(continues) and continues[end]:
        end -= 1
    return end


def _size(runs: list[Run]) -> int:
    return sum(end - start for start, end in runs)
