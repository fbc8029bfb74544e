"""Index shards written by google-research/electra or another program."""

import dataclasses
import itertools
import pathlib
import re
from collections.abc import Callable, Iterable
from typing import NoReturn

import numpy as np

from official_nlp import output
from official_nlp.data.storage import features, framing, index
from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.errors import InputError
from official_nlp.progress import ByteProgress

_PARSED_AT_ONCE = 1024


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
    progress: bool = True,
    corrupt_records: CorruptRecords | None = None,
) -> None:
    """Read every record of a folder's shards once and write an index beside them.

    Files named `held_out*` become the held-out split. If there are none, the last records do.

    Args:
      folder: the data folder.
      held_out: fraction of the records that is held out if no file is named `held_out*`.
      progress: whether to show progress and print the number of examples found.
      corrupt_records: policy for corrupt records; by default the first one is an error. A skipped
        record remains an example without content, so the index is the same under both policies.

    Raises:
      InputError: there are no shards or no records, a record is corrupt or of another format, or
        the index cannot be written.
    """
    files = find_shards(folder)
    policy = corrupt_records or CorruptRecords()
    on_corrupt = policy.add if policy.skip else None
    tally = _Tally()
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
        largest_id=len(tally.counts) - 1,
        length=tally.length,
        settings={"made_by": "another program"},
    )
    unigram = tally.counts - _counts(splits[features.HELD_OUT], len(tally.counts), on_corrupt)
    for name, split in splits.items():
        of_parts = [part.offsets[part.first : part.last] for part in split]
        index.write_offsets(folder, name, np.concatenate([np.empty(0, np.int64), *of_parts]))
    index.write(folder, content, unigram)
    if progress:
        found = ", ".join(f"{content.records(name):,} {name}" for name in splits)
        line = f"{folder}: {len(files)} shards without an index, examples found: {found}"
        print(output.escaped(line))


def find_shards(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the TFRecord files of a folder, with numbers in their names in numeric order.

    Raises:
      InputError: there are none.
    """
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
      counts: int64 `[largest id + 1]`, how often each id is a real token.
    """

    def __init__(self) -> None:
        self.records = self.longest_row = self.length = 0
        self.counts = np.zeros(1, np.int64)

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
        ids, mask, lengths = _parse(file, block)
        self.records += len(block)
        self.length = max(self.length, int(lengths.max()))
        # Position of every token in its record: the records lie one after another in `ids`.
        position = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        self.longest_row = max(self.longest_row, int((position[mask] + 1).max(initial=0)))
        size = max(len(self.counts), int(ids.max()) + 1)
        self.counts = np.pad(self.counts, (0, size - len(self.counts)))
        self.counts += np.bincount(ids[mask], minlength=size)


def _parse(
    file: pathlib.Path, block: list[tuple[int, bytes]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids and masks of all records, one after another, and the lengths of the records."""
    # Only shards of other programs need TensorFlow, which takes seconds to import.
    import tensorflow as tf

    names = (*features.RECORD_FEATURES, features.STATIC_MASKS)
    try:
        parsed = tf.io.parse_example(
            [data for _, data in block], {name: tf.io.RaggedFeature(tf.int64) for name in names}
        )
    # TensorFlow quotes the record in its message, which then may not be UTF-8.
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
        _refuse(file, block, error)
    sizes = {name: parsed[name].row_lengths().numpy() for name in names}
    lengths = sizes[features.INPUT_IDS]
    if (
        sizes[features.STATIC_MASKS].any()
        or not lengths.all()
        or any((sizes[name] != lengths).any() for name in features.RECORD_FEATURES)
        or parsed[features.INPUT_IDS].values.numpy().min() < 0
    ):
        _refuse(file, block)
    mask = parsed[features.RECORD_MASK].values.numpy() > 0
    return parsed[features.INPUT_IDS].values.numpy(), mask, lengths


def _refuse(
    file: pathlib.Path, block: list[tuple[int, bytes]], cause: Exception | None = None
) -> NoReturn:
    """Raise the error for the first record of a block that has another format."""
    for offset, data in block:
        fault = _fault(data)
        if fault:
            raise InputError(f"{file}: the record at byte {offset} {fault}") from cause
    raise InputError(f"{file}: the records cannot be read: {cause}") from cause


def _fault(data: bytes) -> str | None:
    """Return what is wrong with a record, None if nothing is."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    needed = ", ".join(features.RECORD_FEATURES)
    try:
        stored = tf.train.Example.FromString(data).features.feature
    except DecodeError:
        return f"is not a tf.train.Example: it must be one, with {needed}"
    if features.STATIC_MASKS in stored:
        return (
            f"holds {features.STATIC_MASKS}, masks chosen when it was written, which would repeat "
            "in every epoch; this program draws masks during training: build the examples from text"
        )
    rows = [
        list(stored[name].int64_list.value) for name in features.RECORD_FEATURES if name in stored
    ]
    if len(rows) < len(features.RECORD_FEATURES) or not rows[0]:
        found = ", ".join(sorted(stored)) or "nothing"
        return f"holds {found}, but must hold {needed} as lists of integers: build the data again"
    if len({len(row) for row in rows}) > 1:
        return f"holds lists of different lengths: {needed} must be equally long"
    if min(rows[0]) < 0:
        return f"holds the token id {min(rows[0])}: ids must not be negative"
    return None


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
    tally = _Tally()
    for part in parts:
        records = framing.records(part.file, on_corrupt)
        tally.add(part.file, itertools.islice(records, part.first, part.last))
    return np.pad(tally.counts, (0, size - len(tally.counts)))


def _number(part: str) -> tuple[int, str]:
    # Pairs, because numbers and strings cannot be compared with each other.
    return (int(part), "") if part.isdecimal() else (-1, part)
