"""Index shards written by google-research/electra or another program."""

import dataclasses
import hashlib
import itertools
import pathlib
import re
from collections.abc import Callable, Iterable

import numpy as np

from official_nlp import output
from official_nlp.data.storage import features, framing, index, parsing
from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.errors import InputError
from official_nlp.progress import ByteProgress

_PARSED_AT_ONCE = 1024
_HASHED_AT_ONCE = 1 << 20


@dataclasses.dataclass(frozen=True)
class _Part:
    """Records `first` to `last` (exclusive) of a file.

    Attributes:
      file: the file.
      offsets: int64, offsets of all records of the file.
      first: number of the first record of the part.
      last: number of the record after the last.
    """

    file: pathlib.Path
    offsets: np.ndarray
    first: int
    last: int

    def shard(self) -> index.Shard:
        """Return the entry of the index for this part."""
        size = self.file.stat().st_size
        end = int(self.offsets[self.last]) if self.last < len(self.offsets) else size
        return index.Shard(self.file.name, size, self.last - self.first, end)


def build_index(
    folder: pathlib.Path,
    held_out: float,
    vocab_size: int,
    progress: bool = True,
    corrupt_records: CorruptRecords | None = None,
    to: pathlib.Path | None = None,
) -> None:
    """Read every record of a folder's shards once and write an index beside them.

    Files named `held_out*` become the held-out split. If there are none, the last records do.

    Args:
      folder: the data folder.
      held_out: fraction of the records that is held out if no file is named `held_out*`.
      vocab_size: size of the vocabulary that the records were made with.
      progress: whether to show progress and print the number of examples found.
      corrupt_records: policy for corrupt records; by default the first one is an error. A skipped
        record remains an example without content, so the index is the same under both policies.
      to: folder of the index; None for that of the shards.

    Raises:
      InputError: there are no shards or no records, a record is corrupt, of another format or
        holds an id beyond the vocabulary, or
        the index cannot be written.
    """
    files = find_shards(folder)
    policy = corrupt_records or CorruptRecords()
    on_corrupt = policy.add if policy.skip else None
    tally = _Tally(vocab_size)
    parts = []
    total = sum(file.stat().st_size for file in files)
    with ByteProgress(f"Indexing {folder}", total, progress) as bar:
        for file in files:
            offsets = tally.add(file, framing.records(file, on_corrupt), bar.advance)
            parts.append(_Part(file, offsets, 0, len(offsets)))
    if not tally.records:
        raise InputError(f"the shards of {folder} hold no record: build the data again")
    splits = _divide(parts, held_out)
    content = index.Index(
        splits={name: [part.shard() for part in split] for name, split in splits.items()},
        longest_row=tally.longest_row,
        largest_id=tally.largest_id,
        length=tally.length,
        content_hash=_content_hash(folder, splits),
        settings={"made_by": "another program"},
    )
    # Only the held-out part is read twice, because which records it has is known after the first
    # pass.
    unigram = tally.counts - _counts(splits[features.HELD_OUT], len(tally.counts), on_corrupt)
    for name, split in splits.items():
        of_parts = [part.offsets[part.first : part.last] for part in split]
        index.write_offsets(to or folder, name, np.concatenate([np.empty(0, np.int64), *of_parts]))
    index.write(to or folder, content, unigram)
    if progress:
        found = ", ".join(f"{content.records(name):,} {name}" for name in splits)
        line = f"{folder}: {len(files)} shards without an index, examples found: {found}"
        print(output.escaped(line))


def find_shards(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the TFRecord files of a folder, with numbers in their names in numeric order.

    Raises:
      InputError: there are none.
    """
    # google-research names them pretrain_data.tfrecord-0-of-1000, with numbers of any width.
    files = [file for file in folder.iterdir() if ".tfrecord" in file.name and file.is_file()]
    if not files:
        raise InputError(
            f"{folder} holds neither {index.INDEX_FILE} nor a file named *.tfrecord*: make a data "
            "folder from text with `electra examples`"
        )
    return sorted(files, key=lambda file: [_number(part) for part in re.split(r"(\d+)", file.name)])


class _Tally:
    """Statistics of all records together.

    Attributes:
      records: number of records.
      longest_row: largest number of tokens in a record, up to its last real token.
      length: largest length of a record, padding included.
      largest_id: largest token id in any record.
      counts: int64 `[vocab_size]`, how often each id is a real token.
    """

    def __init__(self, vocab_size: int) -> None:
        self.records = self.longest_row = self.length = self.largest_id = 0
        self.counts = np.zeros(vocab_size, np.int64)

    def add(
        self,
        file: pathlib.Path,
        records: Iterable[tuple[int, bytes | None]],
        advance: Callable[[int], None] = lambda size: None,
    ) -> np.ndarray:
        """Count the records of a file and return their offsets, int64 `[records]`."""
        offsets: list[int] = []
        records = iter(records)
        while block := list(itertools.islice(records, _PARSED_AT_ONCE)):
            offsets += [offset for offset, _ in block]
            self._count(file, [(offset, data) for offset, data in block if data is not None])
            advance(sum(len(data or b"") for _, data in block))
        return np.array(offsets, np.int64)

    def _count(self, file: pathlib.Path, block: list[tuple[int, bytes]]) -> None:
        if not block:
            return
        examples = parsing.parse([data for _, data in block], len(self.counts))
        faults = {n: "is empty" for n, (_, data) in enumerate(block) if not data} | examples.faults
        if faults:
            first = min(faults)
            raise InputError(f"{file}: the record at byte {block[first][0]} {faults[first]}")
        mask = examples.mask > 0
        self.records += len(block)
        self.length = max(self.length, int(examples.lengths.max()))
        self.longest_row = max(self.longest_row, int((examples.positions[mask] + 1).max(initial=0)))
        self.largest_id = max(self.largest_id, int(examples.ids.max()))
        self.counts += np.bincount(examples.ids[mask], minlength=len(self.counts))


def _content_hash(folder: pathlib.Path, splits: dict[str, list[_Part]]) -> str:
    """Return the hash of all records, which takes a second pass, but no parsing."""
    digests = {}
    for name, parts in splits.items():
        digest = hashlib.sha256()
        for part in parts:
            with open(part.file, "rb") as stream:
                stream.seek(int(part.offsets[part.first]))
                left = part.shard().end - stream.tell()
                while left > 0 and (block := stream.read(min(left, _HASHED_AT_ONCE))):
                    digest.update(block)
                    left -= len(block)
        digests[name] = digest.digest()
    return index.content_hash(digests)


def _divide(parts: list[_Part], held_out: float) -> dict[str, list[_Part]]:
    """Divide the records into splits: by file name, or else the last ones are held out."""
    parts = [part for part in parts if part.last]
    named = [part for part in parts if part.file.name.startswith(features.HELD_OUT)]
    if named:
        train = [part for part in parts if part not in named]
        if not train:
            raise InputError(f"{named[0].file.parent} holds held-out shards only, none to train on")
        return {features.TRAIN: train, features.HELD_OUT: named}
    records = sum(part.last for part in parts)
    # At least one record is left to train on, however large `held_out` is.
    left = records - min(records - 1, int(np.ceil(held_out * records)))
    splits: dict[str, list[_Part]] = {features.TRAIN: [], features.HELD_OUT: []}
    for part in parts:
        here = min(left, part.last)
        left -= here
        if here:
            splits[features.TRAIN].append(dataclasses.replace(part, last=here))
        if here < part.last:
            splits[features.HELD_OUT].append(dataclasses.replace(part, first=here))
    return splits


def _counts(
    parts: list[_Part], size: int, on_corrupt: Callable[[framing.CorruptRecord], None] | None
) -> np.ndarray:
    """Return int64 `[size]`, how often each id is a real token of some parts."""
    tally = _Tally(size)
    for part in parts:
        records = framing.records(part.file, on_corrupt)
        tally.add(part.file, itertools.islice(records, part.first, part.last))
    return tally.counts


def _number(part: str) -> tuple[int, str]:
    # Pairs, because numbers and strings cannot be compared with each other.
    return (int(part), "") if part.isdecimal() else (-1, part)
