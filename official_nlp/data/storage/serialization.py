"""Writes `tf.train.Example` messages without TensorFlow, many rows at once.

The bytes are those of `Example.SerializeToString(deterministic=True)`. In the notation of protocol
buffers, each line the content of the line above it, with a tag and a length before every one:

    Example.features -> Features.feature (one for each name, in order of names)
        -> map entry: key, value -> Feature.int64_list -> Int64List.value -> varints
"""

import functools
import itertools

import numpy as np

from official_nlp.data.storage import features

_KEY, _VALUE = b"\x0a", b"\x12"
_FIRST_FIELD, _INT64_LIST = b"\x0a", b"\x1a"


def serialize(input_ids: np.ndarray, lengths: np.ndarray, first_lengths: np.ndarray) -> list[bytes]:
    """Returns one serialized `tf.train.Example` for each row.

    Args:
      input_ids: integers `[rows, length]` from 0 to 2^28 - 1, padded with zeros.
      lengths: integers `[rows]`, number of real tokens.
      first_lengths: integers `[rows]`, number of tokens of the first segment.
    """
    length = input_ids.shape[1]
    places = np.arange(length)
    real = (places < lengths[:, None]).astype(np.uint8)
    second = real * (places >= first_lengths[:, None]).astype(np.uint8)
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
    """Returns each row's integers, from 0 to 2^28 - 1, in the code of 7 bits a byte."""
    values = np.ascontiguousarray(values, np.uint32)
    sizes = 1 + sum((values >= 1 << bits).astype(np.int64) for bits in (7, 14, 21))  # [N, L]
    ends = np.cumsum(sizes.ravel())
    starts = (ends - sizes.ravel()).reshape(values.shape)
    code = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
    for byte in range(4):
        here = sizes > byte
        more = (sizes > byte + 1)[here].astype(np.uint32) << 7
        code[starts[here] + byte] = ((values[here] >> (7 * byte)) & 0x7F) | more
    bounds = np.concatenate([[0], np.cumsum(sizes.sum(1))])
    code = code.tobytes()
    return [code[start:end] for start, end in itertools.pairwise(bounds)]


@functools.lru_cache(maxsize=65536)
def _prefix(name: str, value_bytes: int) -> bytes:
    """What comes before the varints of one feature."""
    key = _field(_KEY, name.encode())
    integers = _FIRST_FIELD + _varint(value_bytes)
    int64_list = _INT64_LIST + _varint(len(integers) + value_bytes) + integers
    feature = _VALUE + _varint(len(int64_list) + value_bytes) + int64_list
    return _FIRST_FIELD + _varint(len(key) + len(feature) + value_bytes) + key + feature


def _message(features_message: bytes) -> bytes:
    return _FIRST_FIELD + _varint(len(features_message)) + features_message


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    code = bytearray()
    while value > 0x7F:
        code.append(value & 0x7F | 0x80)
        value >>= 7
    code.append(value)
    return bytes(code)
