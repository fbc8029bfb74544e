"""Writes the shards of one split."""

import pathlib

import numpy as np

from official_nlp.data.storage import index


class ShardWriter:
    """Appends records to numbered shards, and their offsets to a file; a context manager.

    Memory does not grow with what is written.
    """

    def __init__(self, folder: pathlib.Path, split: str, records_per_shard: int):
        self._folder = folder
        self._split = split
        self._records_per_shard = records_per_shard
        self._shards: list[index.Shard] = []
        self._file = None
        self._offsets = index.OffsetsWriter(folder, split)

    def write(self, records: bytes, sizes: np.ndarray):
        """Appends framed records.

        Args:
          records: their bytes.
          sizes: int64, the number of bytes of each.
        """
        ends = np.cumsum(sizes)
        done = first_byte = 0
        while done < len(sizes):
            if self._file is None:
                self._open()
            here = min(len(sizes) - done, self._records_per_shard - self._count)
            end_byte = int(ends[done + here - 1])
            starts = ends[done : done + here] - sizes[done : done + here] - first_byte
            self._offsets.append(starts + self._bytes)
            self._file.write(records[first_byte:end_byte])
            self._bytes += end_byte - first_byte
            self._count += here
            done, first_byte = done + here, end_byte
            if self._count == self._records_per_shard:
                self._close_shard()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *exception):
        if self._file is not None:
            self._file.close()
        self._offsets.close()

    def finish(self) -> list[index.Shard]:
        """Ends the writing, gives the files their names, and returns what they hold."""
        if self._file is not None:
            self._close_shard()
        self._offsets.finish()
        shards = []
        for number, shard in enumerate(self._shards):
            name = f"{self._split}-{number:05}-of-{len(self._shards):05}.tfrecord"
            (self._folder / shard.file).rename(self._folder / name)
            shards.append(index.Shard(name, shard.bytes, shard.records, shard.end))
        return shards

    def _open(self):
        self._name = f"{self._split}-{len(self._shards):05}.unfinished"
        self._file = open(self._folder / self._name, "wb")  # noqa: SIM115 - closed by _close_shard
        self._bytes = self._count = 0

    def _close_shard(self):
        self._file.close()
        self._file = None
        self._shards.append(index.Shard(self._name, self._bytes, self._count, self._bytes))
