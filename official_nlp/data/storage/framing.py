"""The TFRecord format: the length of a record, its data, and a checksum of each.

    uint64 length, uint32 masked CRC-32C of the length, data, uint32 masked CRC-32C of the data

Integers are little-endian. Reading it here instead of in TensorFlow gives the offset of every
record, names corrupt ones, and saves the seconds that importing TensorFlow takes.
"""

import os
import struct
from collections.abc import Callable, Iterator

import google_crc32c

from official_nlp.errors import InputError

HEADER_BYTES = 12
FOOTER_BYTES = 4
FEWEST_BYTES = HEADER_BYTES + FOOTER_BYTES

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_BUFFER_BYTES = 1 << 22


class CorruptRecord(InputError):
    """A record is corrupt or truncated.

    Attributes:
      file: the file that holds the record.
      offset: offset of the record's first byte in the file.
      what: what is wrong with the record.
    """

    def __init__(self, file: str | os.PathLike, offset: int, what: str) -> None:
        super().__init__(
            f"{file}: the record at byte {offset} is corrupt: {what}; copy or build the file "
            "again, or give CORRUPT_RECORDS=skip to train without it"
        )
        self.file = file
        self.offset = offset
        self.what = what


def frame(data: bytes) -> bytes:
    """Return the bytes of one record of a TFRecord file, with length and checksums."""
    length = _LENGTH.pack(len(data))
    return b"".join((length, _checksum(length), data, _checksum(data)))


def unframe(framed: bytes, file: str | os.PathLike, offset: int) -> bytes:
    """Return the data of one record.

    Args:
      framed: all bytes of the record, length and checksums included.
      file: the file that they were read from, for the error message.
      offset: offset of the record in the file, for the error message.

    Raises:
      CorruptRecord: the bytes are not one whole record.
    """
    header, data, footer = (
        framed[:HEADER_BYTES],
        framed[HEADER_BYTES:-FOOTER_BYTES],
        framed[-FOOTER_BYTES:],
    )
    if len(framed) < HEADER_BYTES + FOOTER_BYTES or _parse_length(header) != len(data):
        raise CorruptRecord(file, offset, "its length differs from the length in its header")
    if _checksum(data) != footer:
        raise CorruptRecord(file, offset, "its checksum does not match its data")
    return data


def records(
    file: str | os.PathLike, on_corrupt: Callable[[CorruptRecord], None] | None = None
) -> Iterator[tuple[int, bytes | None]]:
    """Yield `(offset, data)` of every record of a TFRecord file, in order.

    Args:
      file: the file.
      on_corrupt: called with each corrupt record, whose data is then None. Where a length is
        corrupt or the file is truncated, the position of the next record is unknown, and the rest
        of the file counts as one record. None raises instead.

    Raises:
      CorruptRecord: a record is corrupt and `on_corrupt` is None.
    """
    offset = 0
    with open(file, "rb", buffering=_BUFFER_BYTES) as stream:
        size = os.fstat(stream.fileno()).st_size
        while header := stream.read(HEADER_BYTES):
            data: bytes | None
            try:
                # The length has a checksum of its own, so a corrupt length never determines how
                # much is read.
                length = _length(header, file, offset)
                # Compared before reading: a length can have a right checksum and be absurd.
                fits = offset + FEWEST_BYTES + length <= size
                rest = stream.read(length + FOOTER_BYTES) if fits else b""
                if len(rest) < length + FOOTER_BYTES:
                    raise _UnknownEnd(file, offset, "the file ends in the middle of it")
                data = unframe(header + rest, file, offset)
            except CorruptRecord as error:
                if on_corrupt is None:
                    raise
                on_corrupt(error)
                data = None
                if isinstance(error, _UnknownEnd):
                    yield offset, data
                    return
            yield offset, data
            offset += HEADER_BYTES + length + FOOTER_BYTES


class _UnknownEnd(CorruptRecord):
    """A corrupt record whose end is unknown, so that no record after it can be found."""


def _length(header: bytes, file: str | os.PathLike, offset: int) -> int:
    length = _parse_length(header)
    if length is None:
        raise _UnknownEnd(file, offset, "its length does not match the checksum of the length")
    return length


def _parse_length(header: bytes) -> int | None:
    """Return the length in a header, or None if the header is truncated or corrupt."""
    if len(header) < HEADER_BYTES or _checksum(header[:8]) != header[8:]:
        return None
    return _LENGTH.unpack(header[:8])[0]


def _checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    # The format masks the CRC, because the CRC of data that contains CRCs is otherwise weak.
    # Rotation and constant are those of `crc32c::Mask` in TensorFlow, lib/hash/crc32c.h. The bits
    # above the lowest 32 are cut off last; they do not reach the lower ones.
    rotated = (crc >> 15) | (crc << 17)
    return _CHECKSUM.pack((rotated + 0xA282EAD8) & 0xFFFFFFFF)
