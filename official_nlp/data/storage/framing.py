"""TFRecord framing: length, data, and a checksum of each.

uint64 length, uint32 masked crc32c of the length, data, uint32 masked crc32c of the data
"""

import os
import struct
from collections.abc import Callable, Iterator

import google_crc32c

from official_nlp.errors import InputError

HEADER_BYTES = 12
FOOTER_BYTES = 4


class CorruptRecord(InputError):
    """A record that is damaged or cut off.

    Attributes:
      file: where it is.
      offset: byte at which it starts.
      what: what is wrong with it.
    """

    def __init__(self, file, offset: int, what: str):
        super().__init__(
            f"{file}: the record at byte {offset} is damaged: {what}; copy or build the file "
            "again, or give CORRUPT_RECORDS=skip to train without it"
        )
        self.file = file
        self.offset = offset
        self.what = what


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
      CorruptRecord: the bytes are not one whole record.
    """
    header, data, footer = (
        framed[:HEADER_BYTES],
        framed[HEADER_BYTES:-FOOTER_BYTES],
        framed[-FOOTER_BYTES:],
    )
    if len(framed) < HEADER_BYTES + FOOTER_BYTES or _stated_length(header) != len(data):
        raise CorruptRecord(file, offset, "its length is not the one written before it")
    if _checksum(data) != footer:
        raise CorruptRecord(file, offset, "its checksum does not fit its bytes")
    return data


def records(
    file: str | os.PathLike, torn: "Callable[[CorruptRecord], None] | None" = None
) -> Iterator[tuple[int, bytes | None]]:
    """Yields `(offset, data)` for every record of a TFRecord file, in order.

    Args:
      file: the file.
      torn: called with a record that is damaged, whose data is None. Where the length is damaged,
        or the file ends, nothing is known of what follows: all of it is one record.

    Raises:
      CorruptRecord: a record is damaged or cut off, and there is no `torn`.
    """
    offset = 0
    with open(file, "rb", buffering=_BUFFER_BYTES) as stream:
        while header := stream.read(HEADER_BYTES):
            try:
                length = _whole_length(header, file, offset)
                rest = stream.read(length + FOOTER_BYTES)
                if len(rest) < length + FOOTER_BYTES:
                    raise _CutOff(file, offset, "the file ends in the middle of it")
                data = unframe(header + rest, file, offset)
            except CorruptRecord as found:
                if torn is None:
                    raise
                torn(found)
                data = None
                if isinstance(found, _CutOff):
                    yield offset, data
                    return
            yield offset, data
            offset += HEADER_BYTES + length + FOOTER_BYTES


class _CutOff(CorruptRecord):
    """A record of which it is not known where it ends."""


def _whole_length(header: bytes, file, offset: int) -> int:
    length = _stated_length(header)
    if length is None:
        raise _CutOff(file, offset, "its length and checksum do not agree")
    return length


def _stated_length(header: bytes) -> int | None:
    if len(header) < HEADER_BYTES or _checksum(header[:8]) != header[8:]:
        return None
    return _LENGTH.unpack(header[:8])[0]


def _checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    # Masked as the format asks, for a file may hold other files' checksums as data.
    rotated = (crc >> 15) | (crc << 17)
    return _CHECKSUM.pack((rotated + 0xA282EAD8) & 0xFFFFFFFF)
