"""What a data folder says of its shards, so that any record is found without reading the others."""

import dataclasses
import json
import os
import pathlib

import numpy as np

from official_nlp.errors import InputError

INDEX_FILE = "index.json"
UNIGRAM_FILE = "unigram.npy"
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Shard:
    """The part of a TFRecord file that belongs to a split.

    Attributes:
      file: name in the data folder.
      bytes: size of the whole file.
      records: number of records of the split in it.
      end: byte after the last of these.
    """

    file: str
    bytes: int
    records: int
    end: int


@dataclasses.dataclass(frozen=True)
class Index:
    """The content of `index.json`; where each record starts is in `offsets-SPLIT.npy` beside it.

    Attributes:
      splits: the shards of "train" and "held_out", in order.
      longest_row: largest number of real tokens of a record.
      largest_id: largest token id of any record.
      length: numbers in a row, padding counted.
      vocab_size: size of the vocabulary the records were made with, None where unknown.
      vocab_hash: its sha256, likewise.
      settings: how the records were made: seed, builder's arguments, counts.
    """

    splits: dict[str, list[Shard]]
    longest_row: int
    largest_id: int
    length: int
    vocab_size: int | None = None
    vocab_hash: str | None = None
    settings: dict = dataclasses.field(default_factory=dict)

    def records(self, split: str) -> int:
        """Number of records of a split."""
        return sum(shard.records for shard in self.splits.get(split, []))


def write(folder: pathlib.Path, index: Index, unigram: np.ndarray):
    """Writes unigram counts and `index.json`, which goes last: where it is, all is.

    Args:
      folder: the data folder.
      index: what goes into `index.json`.
      unigram: int64 `[vocabulary]`: how often each id is a real token of the train split.
    """
    _replace(folder / UNIGRAM_FILE, lambda stream: np.save(stream, unigram))
    content = {"version": VERSION, **dataclasses.asdict(index), "unigram": UNIGRAM_FILE}
    text = json.dumps(content, indent=1) + "\n"
    _replace(folder / INDEX_FILE, lambda stream: stream.write(text.encode()))


def write_offsets(folder: pathlib.Path, split: str, offsets: np.ndarray):
    """Writes int64 `[records]`: the byte at which each record of a split starts in its file."""
    _replace(folder / offsets_file(split), lambda stream: np.save(stream, offsets))


class OffsetsWriter:
    """Writes the same piece by piece, so that they need not all be in memory."""

    def __init__(self, folder: pathlib.Path, split: str):
        self._file = open(folder / offsets_file(split), "wb")  # noqa: SIM115 - closed by close
        self._count = 0
        self._write_header()

    def append(self, offsets: np.ndarray):
        """Adds int64 `[records]`."""
        self._file.write(np.ascontiguousarray(offsets, "<i8").tobytes())
        self._count += len(offsets)

    def finish(self):
        """Makes the file valid."""
        # numpy leaves room in the header for the first axis to grow.
        self._file.seek(0)
        self._write_header()
        self.close()

    def close(self):
        """Closes the file as it is."""
        self._file.close()

    def _write_header(self):
        header = {"descr": "<i8", "fortran_order": False, "shape": (self._count,)}
        np.lib.format.write_array_header_1_0(self._file, header)


def read(folder: pathlib.Path) -> Index:
    """Reads `index.json`.

    Raises:
      InputError: it is not one, or of another version.
    """
    file = folder / INDEX_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.pop("version") != VERSION:
            raise InputError(f"{file} is of another version of this program: build the data again")
        del content["unigram"]
        content["splits"] = {
            split: [Shard(**shard) for shard in shards]
            for split, shards in content["splits"].items()
        }
        return Index(**content)
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{file} is not an index of training data: build the data again, or for shards of "
            "another program delete it, and it is made anew"
        ) from error


def offsets_file(split: str) -> str:
    return f"offsets-{split}.npy"


def _replace(file: pathlib.Path, write_to):
    """Puts a file in place whole: who reads sees the old one, or none, or all of the new."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as stream:
            write_to(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {file}: {error.strerror}; the data's index is kept beside the data: "
            "make the folder writable, or copy it"
        ) from error
