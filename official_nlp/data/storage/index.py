"""The index of a data folder: `index.json` and the offset of every record.

It gives access to any record without reading the others.
"""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from official_nlp.data.storage import features, framing
from official_nlp.errors import InputError
from official_nlp.files import atomic, disk_errors, guarded

INDEX_FILE = "index.json"
UNIGRAM_FILE = "unigram.npy"
VERSION = 2
# Ids are int32 in a batch.
LARGEST_ID = (1 << 31) - 1
_CHECKSUM = "checksum"


@dataclasses.dataclass(frozen=True)
class Shard:
    """The part of a TFRecord file that belongs to a split.

    Attributes:
      file: name of the file in the data folder.
      bytes: size of the whole file in bytes.
      records: number of records of the split in the file.
      end: offset of the byte after the last of these records.
    """

    file: str
    bytes: int
    records: int
    end: int


@dataclasses.dataclass(frozen=True)
class Index:
    """The content of `index.json`; the offsets of the records are in `offsets-SPLIT.npy`.

    Attributes:
      splits: the shards of "train" and "held_out", in order.
      longest_row: largest number of real tokens in a record.
      largest_id: largest token id in any record.
      length: length of a record in tokens, padding included.
      content_hash: SHA-256 over all records, see `content_hash`.
      vocab_size: size of the vocabulary that the records were made with, None if unknown.
      vocab_hash: SHA-256 of that vocabulary, None if unknown.
      settings: how the records were made: seed, arguments of the builder, counts.
    """

    splits: dict[str, list[Shard]]
    longest_row: int
    largest_id: int
    length: int
    content_hash: str
    vocab_size: int | None = None
    vocab_hash: str | None = None
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)

    def records(self, split: str) -> int:
        """Return the number of records of a split, 0 for a split that does not exist."""
        return sum(shard.records for shard in self.splits.get(split, []))


def write(folder: pathlib.Path, index: Index, unigram: np.ndarray) -> None:
    """Write the unigram counts and `index.json`.

    `index.json` is written last, so a folder that has it is complete.

    Args:
      folder: the data folder.
      index: the content of `index.json`.
      unigram: int64 `[vocabulary]`, how often each id is a real token of the train split.

    Raises:
      InputError: a file cannot be written.
    """
    with _replacing(folder / UNIGRAM_FILE) as stream:
        np.save(stream, unigram)
    content = {"version": VERSION, **dataclasses.asdict(index), "unigram": UNIGRAM_FILE}
    content[_CHECKSUM] = _checksum(content)
    with _replacing(folder / INDEX_FILE) as stream:
        stream.write((json.dumps(content, indent=1) + "\n").encode())


def write_offsets(folder: pathlib.Path, split: str, offsets: np.ndarray) -> None:
    """Write the offsets file of a split.

    Args:
      folder: the data folder.
      split: "train" or "held_out".
      offsets: int64 `[records]`, the byte at which each record starts in its shard.

    Raises:
      InputError: the file cannot be written.
    """
    with _replacing(folder / offsets_file(split)) as stream:
        np.save(stream, offsets)


class OffsetsWriter:
    """Writes the offsets file of a split piece by piece, so that memory stays bounded.

    The file is valid only after `finish`.
    """

    def __init__(self, folder: pathlib.Path, split: str) -> None:
        self._file = open(folder / offsets_file(split), "wb")  # noqa: SIM115 - closed by close
        self._count = 0
        self._write_header()

    def append(self, offsets: np.ndarray) -> None:
        """Append the offsets of more records, int64 `[records]`."""
        self._file.write(np.ascontiguousarray(offsets, "<i8").tobytes())
        self._count += len(offsets)

    def finish(self) -> None:
        """Write the number of records into the header and close the file."""
        # numpy pads the header, so that a longer first dimension needs no more bytes.
        self._file.seek(0)
        self._write_header()
        self.close()

    def close(self) -> None:
        """Close the file without completing it."""
        self._file.close()

    def _write_header(self) -> None:
        header = {"descr": "<i8", "fortran_order": False, "shape": (self._count,)}
        np.lib.format.write_array_header_1_0(self._file, header)


AGAIN = (
    "build the data again; if another program wrote the shards, delete the index, and it is made "
    "again"
)


def read(folder: pathlib.Path) -> Index:
    """Read `index.json` of a data folder.

    Raises:
      InputError: the file is missing, is not an index, or has another version.
    """
    file = folder / INDEX_FILE
    try:
        content = guarded.read_object(file, AGAIN)
        if content["version"] != VERSION:
            raise InputError(
                f"{file} was written by another version of this program: build the data again"
            )
        recorded, found = content.pop(_CHECKSUM), _checksum(content)
        del content["version"], content["unigram"]
        content["splits"] = {
            split: [Shard(**shard) for shard in shards]
            for split, shards in content["splits"].items()
        }
        index = Index(**content)
        _check(index)
        # Last, because the other checks tell more. It finds the name of a shard that became that of
        # another one.
        if recorded != found:
            raise ValueError("its content has changed since it was written")
        return index
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{file} is not an index of training data ({error}): {AGAIN}") from error


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _check(index: Index) -> None:
    """Raise ValueError for a value of another type or out of range.

    The sizes of the shards, which are compared with the files, limit all other numbers.
    """
    shards = [shard for split in index.splits.values() for shard in split]
    unknown = set(index.splits) - {features.TRAIN, features.HELD_OUT}
    if unknown:
        raise ValueError(f"splits must be train and held_out, were {sorted(index.splits)}")
    for shard in shards:
        if not _is_file_name(shard.file):
            raise ValueError(f"file must be a name in the folder, was {shard.file!r:.100}")
        _check_number("bytes", shard.bytes, sys.maxsize)
        _check_number("end", shard.end, shard.bytes)
        # The last one may be truncated.
        _check_number("records", shard.records, 1 + shard.end // framing.FEWEST_BYTES)
    # Each token of a record has at least a byte.
    _check_number("length", index.length, max((shard.bytes for shard in shards), default=0))
    _check_number("longest_row", index.longest_row, index.length)
    _check_number("largest_id", index.largest_id, LARGEST_ID)
    if index.vocab_size is not None:
        _check_number("vocab_size", index.vocab_size, LARGEST_ID + 1)
    if not isinstance(index.content_hash, str):
        raise ValueError(f"content_hash must be a string, was {index.content_hash!r:.100}")
    if not isinstance(index.vocab_hash, str | None):
        raise ValueError(f"vocab_hash must be a string or null, was {index.vocab_hash!r:.100}")
    if not isinstance(index.settings, dict):
        raise ValueError(f"settings must be an object, was {index.settings!r:.100}")


def _check_number(name: str, value: Any, largest: int) -> None:
    if type(value) is not int or not 0 <= value <= largest:
        raise ValueError(f"{name} must be an integer from 0 to {largest}, was {value!r:.100}")


def _is_file_name(name: Any) -> bool:
    return (
        isinstance(name, str)
        and pathlib.PurePath(name).name == name
        and name.isprintable()
        and len(name.encode()) < 256
    )


def content_hash(digests: Mapping[str, bytes]) -> str:
    """Return the hash that identifies the examples of a data folder.

    Args:
      digests: SHA-256 of the framed records of each split, one after another.
    """
    digest = hashlib.sha256()
    for split in sorted(digests):
        digest.update(split.encode() + digests[split])
    return digest.hexdigest()


def offsets_file(split: str) -> str:
    """Return the name of the offsets file of a split."""
    return f"offsets-{split}.npy"


@contextlib.contextmanager
def _replacing(file: pathlib.Path) -> Iterator[BinaryIO]:
    """Yield a stream whose content replaces a file atomically."""
    advice = "The index belongs beside the shards: make the folder writable, or copy it"
    # Workers that open the same folder at the same time write equal files.
    with (
        disk_errors.writing("the index", file, advice, InputError),
        atomic.replacing(file, concurrent=True) as temporary,
        open(temporary, "wb") as stream,
    ):
        yield stream
