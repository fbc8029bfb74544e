"""Serialize `tf.train.Example` messages without TensorFlow, many examples at once.

The bytes equal those of `Example.SerializeToString(deterministic=True)`. In the notation of
protocol buffers, where each line is the content of the line above it, after a tag and a length:

    Example.features -> Features.feature (one for each name, in order of names)
        -> map entry: key, value -> Feature.int64_list -> Int64List.value -> varints
"""

import functools
import itertools

import numpy as np

from official_nlp.data.storage import features

# A tag is `number of the field << 3 | 2`, where 2 stands for content that a length precedes. The
# key of a map entry is field 1, its value field 2; `Feature.int64_list` is field 3.
_KEY, _VALUE = b"\x0a", b"\x12"
_FIRST_FIELD, _INT64_LIST = b"\x0a", b"\x1a"


def serialize(input_ids: np.ndarray, lengths: np.ndarray, first_lengths: np.ndarray) -> list[bytes]:
    """Return one serialized `tf.train.Example` per example.

    Args:
      input_ids: integers `[N, L]` from 0 to 2^28 - 1, padded with zeros.
      lengths: integers `[N]`, number of real tokens of each example.
      first_lengths: integers `[N]`, number of tokens of each first segment.

    Returns:
      N strings.
    """
    length = input_ids.shape[1]
    positions = np.arange(length)
    # Masks and segments hold only 0 and 1, whose varints are single bytes of the same value.
    real = (positions < lengths[:, None]).astype(np.uint8)
    second = real * (positions >= first_lengths[:, None]).astype(np.uint8)
    mask_start = _prefix(features.RECORD_MASK, length)
    segment_start = _prefix(features.SEGMENT_IDS, length)
    return [
        _message(
            b"".join(
                (_prefix(features.INPUT_IDS, len(ids)), ids)
                + (mask_start, mask.tobytes(), segment_start, segment.tobytes())
            )
        )
        for ids, mask, segment in zip(varint_rows(input_ids), real, second, strict=True)
    ]


def varint_rows(values: np.ndarray) -> list[bytes]:
    """Encode integers as varints, seven bits a byte, the lowest first.

    All integers are encoded at once: byte k of every integer that has one is written to the
    position that the sizes of the integers before it determine.

    Args:
      values: integers `[N, L]` from 0 to 2^28 - 1, which take one to four bytes.

    Returns:
      N strings, each the varints of one row.
    """
    values = np.ascontiguousarray(values, np.uint32)
    # A varint has one byte for every seven bits begun.
    sizes = np.ones(values.shape, np.int64)
    for bits in (7, 14, 21):
        sizes += values >= 1 << bits
    ends = np.cumsum(sizes.ravel())
    starts = (ends - sizes.ravel()).reshape(values.shape)
    code = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
    for byte in range(4):
        here = sizes > byte
        # The high bit of a byte means that more bytes follow.
        more = (sizes > byte + 1)[here].astype(np.uint32) << 7
        code[starts[here] + byte] = ((values[here] >> (7 * byte)) & 0x7F) | more
    bounds = np.concatenate([[0], np.cumsum(sizes.sum(1))])
    data = code.tobytes()
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


@functools.lru_cache(maxsize=65536)
def _prefix(name: str, value_bytes: int) -> bytes:
    """Return the bytes in front of the varints of one feature."""
    key = _field(_KEY, name.encode())
    integers = _FIRST_FIELD + varint(value_bytes)
    int64_list = _INT64_LIST + varint(len(integers) + value_bytes) + integers
    feature = _VALUE + varint(len(int64_list) + value_bytes) + int64_list
    return _FIRST_FIELD + varint(len(key) + len(feature) + value_bytes) + key + feature


def _message(features_message: bytes) -> bytes:
    return _FIRST_FIELD + varint(len(features_message)) + features_message


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Return an integer from 0 to 2^64 - 1 as a varint."""
    code = bytearray()
    while value > 0x7F:
        code.append(value & 0x7F | 0x80)
        value >>= 7
    code.append(value)
    return bytes(code)
