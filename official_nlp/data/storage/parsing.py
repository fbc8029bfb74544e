"""Parse serialized `tf.train.Example`s, many at once, and check every value.

TensorFlow's parser accepts what a network cannot use: it converts large ids, cuts long examples,
and fails for a whole batch where one record has another type. Here each record either results in
values within their ranges or in a fault that names what is wrong.

The usual layout is read directly, see `serialization`. Messages that are encoded otherwise, which
the format permits, are decoded by the library of protocol buffers.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from official_nlp.data.storage import features, serialization

_NEEDED = ", ".join(features.RECORD_FEATURES)
_NAMES = tuple(name.encode() for name in features.RECORD_FEATURES)
_STATIC_MASKS = features.STATIC_MASKS.encode()
_NOTHING = (b"",) * len(_NAMES)
_FIRST, _SECOND, _THIRD = 0x0A, 0x12, 0x1A
_LONGEST_VARINT = 10
# Bounds the memory of the layouts; records of 512 tokens have less than 3000 bytes.
_LONGEST_REMEMBERED = 4096


@dataclasses.dataclass(frozen=True)
class Examples:
    """Parsed examples, one after another.

    Attributes:
      ids: int64 `[tokens]`, token ids of all examples, with padding.
      mask: int64 `[tokens]`, 1 at real tokens, 0 at padding.
      segments: int64 `[tokens]`, 0 or 1.
      lengths: int64 `[examples]`, number of tokens of each example, padding included.
      faults: what is wrong with examples, by number; these are empty.
    """

    ids: np.ndarray
    mask: np.ndarray
    segments: np.ndarray
    lengths: np.ndarray
    faults: dict[int, str]

    @property
    def rows(self) -> np.ndarray:
        """Return the number of the example of each token, int64 `[tokens]`."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def positions(self) -> np.ndarray:
        """Return the position of each token in its example, int64 `[tokens]`."""
        starts = np.cumsum(self.lengths) - self.lengths
        return np.arange(len(self.ids)) - np.repeat(starts, self.lengths)

    def tables(self, length: int) -> list[np.ndarray]:
        """Return ids, mask and segments, int32 `[examples, length]`, padded with zeros.

        Only padding may lie beyond `length`.
        """
        columns = self.ids, self.mask, self.segments
        shape = len(self.lengths), length
        if (self.lengths == length).all():
            return [values.reshape(shape).astype(np.int32) for values in columns]
        positions = self.positions
        here = positions < length
        rows, positions = self.rows[here], positions[here]
        tables = []
        for values in columns:
            table = np.zeros(shape, np.int32)
            table[rows, positions] = values[here]
            tables.append(table)
        return tables


def parse(serialized: Sequence[bytes], vocab_size: int, longest: int | None = None) -> Examples:
    """Parse examples.

    Args:
      serialized: N serialized examples; an empty string gives an empty example.
      vocab_size: ids must be below this.
      longest: maximum number of tokens of an example, trailing padding excluded; None: any.

    Returns:
      The examples; those with a fault are empty.
    """
    faults: dict[int, str] = {}
    lists: list[tuple[bytes, ...]] = []
    for number, data in enumerate(serialized):
        found = (_layouts.lists(data) or _any_lists(data)) if data else _NOTHING
        if isinstance(found, str):
            faults[number], found = found, _NOTHING
        lists.append(found)
    # A fault of the encoding can hide one of the values, so examples are checked until none is new.
    while True:
        examples, new = _decode(lists, vocab_size, longest, faults)
        if not new:
            return examples
        faults |= new
        for number in new:
            lists[number] = _NOTHING


class _Layouts:
    """Finds the lists in messages of the usual encoding.

    Messages of one size usually have their lists at the same places. These are remembered with the
    bytes between the lists, which must be equal.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[list[bytes], list[int]]] = {}

    def lists(self, data: bytes) -> tuple[bytes, ...] | None:
        """Return the varints of ids, mask and segments; None for any but the usual encoding."""
        known = self._known.get(len(data))
        if known:
            (one, two, three, four), (a, b, c, d, e, f) = known
            if (
                data[:a] == one
                and data[b:c] == two
                and data[d:e] == three
                and data[f:] == four
                and not (data[b - 1] | data[d - 1] | data[f - 1]) & 0x80
            ):
                return data[a:b], data[c:d], data[e:f]
        places = _usual_places(data)
        if places is None:
            return None
        borders = [border for place in places for border in place]
        if borders == sorted(borders) and len(data) <= _LONGEST_REMEMBERED:
            between = zip([0, *borders[1::2]], [*borders[::2], len(data)], strict=True)
            self._known[len(data)] = [data[first:last] for first, last in between], borders
        return tuple(data[first:last] for first, last in places)


_layouts = _Layouts()


def _usual_places(data: bytes) -> list[tuple[int, int]] | None:
    """Return where ids, mask and segments begin and end; None for any but the usual encoding."""
    found: dict[bytes, tuple[int, int]] = {}
    size = len(data)
    try:
        if data[0] != _FIRST:
            return None
        length, at = _read_varint(data, 1)
        if at + length != size:
            return None
        while at < size:
            if data[at] != _FIRST:
                return None
            length, at = _read_varint(data, at + 1)
            end = at + length
            if data[at] != _FIRST or end > size:
                return None
            length, at = _read_varint(data, at + 1)
            name, at = data[at : at + length], at + length
            if name in _NAMES:
                for tag in (_SECOND, _THIRD, _FIRST):
                    if data[at] != tag:
                        return None
                    length, at = _read_varint(data, at + 1)
                    if at + length != end:
                        return None
                # The last varint must end with the list.
                if at == end or data[end - 1] > 0x7F:
                    return None
                found[name] = at, end
            elif name == _STATIC_MASKS:
                return None
            at = end
        return [found[name] for name in _NAMES]
    except (IndexError, KeyError):
        return None


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a varint and the position after it."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7


def _any_lists(data: bytes) -> tuple[bytes, ...] | str:
    """Return the varints of ids, mask and segments, or what is wrong with the message."""
    # Only records of other programs need TensorFlow, which takes seconds to import.
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        stored = tf.train.Example.FromString(data).features.feature
    # The name of a feature may not be UTF-8.
    except (DecodeError, UnicodeDecodeError):
        return f"is not a tf.train.Example: it must be one, with {_NEEDED}"
    if features.STATIC_MASKS in stored:
        return (
            f"holds {features.STATIC_MASKS}, masks chosen when it was written, which would repeat "
            "in every epoch; this program draws masks during training: build the examples from text"
        )
    rows = [
        list(stored[name].int64_list.value) for name in features.RECORD_FEATURES if name in stored
    ]
    if len(rows) < len(features.RECORD_FEATURES) or not any(rows):
        found = ", ".join(sorted(stored)) or "nothing"
        return f"holds {found}, but must hold {_NEEDED} as lists of integers: build the data again"
    # A negative number is stored as its two's complement of 64 bits.
    return tuple(b"".join(serialization.varint(x & (1 << 64) - 1) for x in row) for row in rows)


def _decode(
    lists: Sequence[tuple[bytes, ...]], vocab_size: int, longest: int | None, faults: dict[int, str]
) -> tuple[Examples, dict[int, str]]:
    """Return the examples, and the faults of those that were assumed to have none."""
    new: dict[int, str] = {}
    # All lists at once, because each call of numpy costs as much as the values of an example.
    values, counts = _varints([each[column] for column in range(3) for each in lists], new)
    lengths, mask_lengths, segment_lengths = counts.reshape(3, len(lists))
    ids, mask, segments = np.split(values, np.cumsum(counts)[len(lists) - 1 : -1 : len(lists)])
    different = (lengths != mask_lengths) | (lengths != segment_lengths)
    for number in np.flatnonzero(different).tolist():
        new[number] = f"holds lists of different lengths: {_NEEDED} must be equally long"
    examples = Examples(ids, mask, segments, lengths, faults)
    if new:
        return examples, new
    for number, value in _outside(examples, ids, vocab_size):
        new[number] = (
            f"holds the id {value}, but the vocabulary has only {vocab_size} tokens (were the "
            "examples made with another one?)"
        )
    for name, values in ((features.RECORD_MASK, mask), (features.SEGMENT_IDS, segments)):
        for number, value in _outside(examples, values, 2):
            new.setdefault(number, f"holds {value} in {name}, which must be 0 or 1")
    if longest is not None and lengths.max() > longest:
        positions = examples.positions
        beyond = (mask != 0) & (positions >= longest)
        for number, value in _first_of_each(examples, beyond, positions):
            new.setdefault(
                number,
                f"has a token at position {value}, but the longest example has {longest} tokens "
                "according to the index",
            )
    return examples, new


def _outside(examples: Examples, values: np.ndarray, size: int) -> list[tuple[int, int]]:
    """Return the number of each example with a value that is not below `size`, and the value."""
    # As unsigned integers, negative values are large.
    outside = values.view(np.uint64) >= size
    return _first_of_each(examples, outside, values) if outside.any() else []


def _first_of_each(
    examples: Examples, where: np.ndarray, values: np.ndarray
) -> list[tuple[int, int]]:
    """Return the number of each example that has such a token, and the value at the first one."""
    found = np.flatnonzero(where)
    rows, first = np.unique(examples.rows[found], return_index=True)
    return list(zip(rows.tolist(), values[found[first]].tolist(), strict=True))


def _varints(payloads: Sequence[bytes], faults: dict[int, str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of all lists, int64 `[values]`, and their numbers, int64 `[lists]`.

    Args:
      payloads: the varints of all ids, then those of all masks, then those of all segments.
      faults: receives the examples whose varints are too long.
    """
    code = np.frombuffer(b"".join(payloads), np.uint8)
    ends = np.flatnonzero(code < 0x80)
    bounds = np.cumsum([len(payload) for payload in payloads])
    counts = np.searchsorted(ends, bounds)
    counts[1:] -= counts[:-1].copy()
    if len(ends) == len(code):
        return code.astype(np.int64), counts
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1
    for end in ends[sizes > _LONGEST_VARINT].tolist():
        number = int(np.searchsorted(bounds, end, side="right")) % (len(payloads) // 3)
        faults[number] = f"is not a tf.train.Example: it must be one, with {_NEEDED}"
    values = code[starts].astype(np.uint64) & np.uint64(0x7F)
    for byte in range(1, min(int(sizes.max()), _LONGEST_VARINT)):
        longer = np.flatnonzero(sizes > byte)
        more = code[starts[longer] + byte].astype(np.uint64) & np.uint64(0x7F)
        values[longer] |= more << np.uint64(7 * byte)
    return values.view(np.int64), counts
