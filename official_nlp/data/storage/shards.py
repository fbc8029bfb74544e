"""Write the shards of one split."""

import hashlib
import pathlib
import types
from typing import BinaryIO

import numpy as np

from official_nlp.data.storage import index


class ShardWriter:
    """Appends records to numbered shards and their offsets to a file; a context manager.

    Memory does not grow with the amount written.
    """

    def __init__(self, folder: pathlib.Path, split: str, records_per_shard: int) -> None:
        """Open the offsets file; shards are opened as they are needed.

        Args:
          folder: the data folder.
          split: "train" or "held_out".
          records_per_shard: number of records in every shard but the last.
        """
        self._folder = folder
        self._split = split
        self._records_per_shard = records_per_shard
        self._shards: list[index.Shard] = []
        self._file: BinaryIO | None = None
        self._offsets = index.OffsetsWriter(folder, split)
        self._hash = hashlib.sha256()
        self._name = ""
        self._bytes = self._count = 0

    def write(self, records: bytes, sizes: np.ndarray) -> None:
        """Append framed records.

        Args:
          records: the bytes of all records, one after another.
          sizes: int64 `[records]`, number of bytes of each record.
        """
        ends = np.cumsum(sizes)
        done = first_byte = 0
        while done < len(sizes):
            file = self._file or self._open()
            here = min(len(sizes) - done, self._records_per_shard - self._count)
            end_byte = int(ends[done + here - 1])
            # `starts` and `first_byte` count within `records`; offsets count within the open shard.
            starts = ends[done : done + here] - sizes[done : done + here] - first_byte
            self._offsets.append(starts + self._bytes)
            file.write(records[first_byte:end_byte])
            self._hash.update(records[first_byte:end_byte])
            self._bytes += end_byte - first_byte
            self._count += here
            done, first_byte = done + here, end_byte
            if self._count == self._records_per_shard:
                self._close_shard()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
        self._offsets.close()

    def digest(self) -> bytes:
        """Return the SHA-256 of all records written, one after another."""
        return self._hash.digest()

    def finish(self) -> list[index.Shard]:
        """Close all files, give the shards their final names, and return their descriptions."""
        self._close_shard()
        self._offsets.finish()
        shards = []
        # The names contain the number of shards, which is known only now.
        for number, shard in enumerate(self._shards):
            name = f"{self._split}-{number:05}-of-{len(self._shards):05}.tfrecord"
            (self._folder / shard.file).rename(self._folder / name)
            shards.append(index.Shard(name, shard.bytes, shard.records, shard.end))
        return shards

    def _open(self) -> BinaryIO:
        self._name = f"{self._split}-{len(self._shards):05}.unfinished"
        self._bytes = self._count = 0
        self._file = open(self._folder / self._name, "wb")  # noqa: SIM115 - closed by _close_shard
        return self._file

    def _close_shard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._shards.append(index.Shard(self._name, self._bytes, self._count, self._bytes))
