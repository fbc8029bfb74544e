"""TFRecord framing: length, data, and a checksum of each.

uint64 length, uint32 masked crc32c of the length, data, uint32 masked crc32c of the data
"""

import os
import struct
from collections.abc import Iterator

import google_crc32c

from official_nlp.errors import InputError

HEADER_BYTES = 12
FOOTER_BYTES = 4

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_BUFFER_BYTES = 1 << 22


def frame(data: bytes) -> bytes:
    """Returns the bytes of a TFRecord file that stand for one record."""
    length = _LENGTH.pack(len(data))
    return b"".join((length, _checksum(length), data, _checksum(data)))


def unframe(framed: bytes, file, offset: int) -> bytes:
    """Returns the data of one record.

    Args:
      framed: all bytes of the record, checksums included.
      file: where they are from, for the error.
      offset: likewise, bytes from the start of the file.

    Raises:
      InputError: the bytes are not one whole record.
    """
    header, data, footer = (
        framed[:HEADER_BYTES],
        framed[HEADER_BYTES:-FOOTER_BYTES],
        framed[-FOOTER_BYTES:],
    )
    if len(framed) < HEADER_BYTES + FOOTER_BYTES or _stated_length(header) != len(data):
        raise InputError(_damage(file, offset, "its length is not the one written before it"))
    if _checksum(data) != footer:
        raise InputError(_damage(file, offset, "its checksum does not fit its bytes"))
    return data


def records(file: "str | os.PathLike") -> Iterator[tuple[int, bytes]]:
    """Yields `(offset, data)` for every record of a TFRecord file, in order.

    Raises:
      InputError: a record is damaged or cut off.
    """
    offset = 0
    with open(file, "rb", buffering=_BUFFER_BYTES) as stream:
        while header := stream.read(HEADER_BYTES):
            length = _stated_length(header)
            if length is None:
                raise InputError(_damage(file, offset, "its length and checksum do not agree"))
            rest = stream.read(length + FOOTER_BYTES)
            if len(rest) < length + FOOTER_BYTES:
                raise InputError(_damage(file, offset, "the file ends in the middle of it"))
            yield offset, unframe(header + rest, file, offset)
            offset += HEADER_BYTES + length + FOOTER_BYTES


def _stated_length(header: bytes) -> "int | None":
    if len(header) < HEADER_BYTES or _checksum(header[:8]) != header[8:]:
        return None
    return _LENGTH.unpack(header[:8])[0]


def _checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    # Masked as the format asks, for a file may hold other files' checksums as data.
    rotated = (crc >> 15) | (crc << 17)
    return _CHECKSUM.pack((rotated + 0xA282EAD8) & 0xFFFFFFFF)


def _damage(file, offset: int, what: str) -> str:
    return (
        f"{file}: the record at byte {offset} is damaged: {what}; "
        "the file must be whole TFRecords: copy or build it again"
    )
