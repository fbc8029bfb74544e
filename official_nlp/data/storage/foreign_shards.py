"""The index of shards that another program has written: google-research's, for one."""

import dataclasses
import itertools
import pathlib
import re
from collections.abc import Callable, Iterable

import numpy as np

from official_nlp.data.progress import Progress
from official_nlp.data.storage import features, framing, index
from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.errors import InputError

_PARSED_AT_ONCE = 1024


@dataclasses.dataclass(frozen=True)
class _Part:
    """Records `first` to `last` (exclusive) of a file; their offsets are `offsets[first:last]`."""

    file: pathlib.Path
    offsets: np.ndarray
    first: int
    last: int

    def shard(self) -> index.Shard:
        size = self.file.stat().st_size
        end = int(self.offsets[self.last]) if self.last < len(self.offsets) else size
        return index.Shard(self.file.name, size, self.last - self.first, end)


def build_index(
    folder: pathlib.Path,
    held_out: float,
    progress: bool = True,
    torn: CorruptRecords | None = None,
):
    """Reads every record of a folder's shards once, and writes the index beside them.

    Files named `held_out*` are the held-out split; where there are none, the last records are.

    Args:
      folder: the data folder.
      held_out: share of the records that is held out, where no file is.
      progress: show a bar, and say what was found.
      torn: what becomes of damaged records. One that is skipped stays an example, though empty, so
        that the index does not depend on the policy under which it is read.

    Raises:
      InputError: no shards, none of them holds a record, or one is damaged or of another kind.
    """
    files = find_shards(folder)
    torn = torn or CorruptRecords()
    skipped = torn.note if torn.skip else None
    tally = _Tally()
    parts = []
    with Progress(f"Indexing {folder}", sum(f.stat().st_size for f in files), progress) as bar:
        for file in files:
            offsets = tally.add(file, framing.records(file, skipped), bar.advance)
            parts.append(_Part(file, offsets, 0, len(offsets)))
    if not tally.rows:
        raise InputError(f"the shards of {folder} hold no record: build the data again")
    splits = _divide(parts, held_out)
    content = index.Index(
        splits={name: [part.shard() for part in split] for name, split in splits.items()},
        longest_row=tally.longest_row,
        largest_id=len(tally.counts) - 1,
        length=tally.length,
        settings={"made_by": "another program"},
    )
    unigram = tally.counts - _counts(splits[features.HELD_OUT], len(tally.counts), skipped)
    for name, split in splits.items():
        offsets = [part.offsets[part.first : part.last] for part in split]
        index.write_offsets(folder, name, np.concatenate([np.empty(0, np.int64), *offsets]))
    index.write(folder, content, unigram)
    if progress:
        found = ", ".join(f"{content.records(name):,} {name}" for name in splits)
        print(f"{folder}: {len(files)} shards without an index, examples found: {found}")


def find_shards(folder: pathlib.Path) -> list[pathlib.Path]:
    """The folder's TFRecord files, numbers in their names in numeric order.

    Raises:
      InputError: there are none.
    """
    files = [file for file in folder.iterdir() if ".tfrecord" in file.name and file.is_file()]
    if not files:
        raise InputError(
            f"{folder} holds neither {index.INDEX_FILE} nor a file named *.tfrecord*: "
            "`electra examples` makes a data folder from text"
        )
    return sorted(files, key=lambda file: [_number(part) for part in re.split(r"(\d+)", file.name)])


class _Tally:
    """What the index says of all records together.

    Attributes:
      rows: number of records.
      longest_row: largest number of real tokens, up to the last.
      length: largest number of numbers.
      counts: int64 `[largest id + 1]`, how often each id is a real token.
    """

    def __init__(self):
        self.rows = self.longest_row = self.length = 0
        self.counts = np.zeros(1, np.int64)

    def add(
        self,
        file: pathlib.Path,
        records: Iterable[tuple[int, bytes | None]],
        advance: Callable[[int], None] = lambda size: None,
    ) -> np.ndarray:
        """Counts records, and returns their offsets, int64."""
        offsets = []
        records = iter(records)
        while block := list(itertools.islice(records, _PARSED_AT_ONCE)):
            offsets += [offset for offset, _ in block]
            self._count(file, block)
            advance(sum(len(data or b"") for _, data in block))
        return np.array(offsets, np.int64)

    def _count(self, file: pathlib.Path, block: list[tuple[int, bytes]]):
        block = [(offset, data) for offset, data in block if data is not None]
        if not block:
            return
        ids, mask, lengths = _parse(file, block)
        self.rows += len(block)
        self.length = max(self.length, int(lengths.max()))
        place = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        self.longest_row = max(self.longest_row, int((place[mask] + 1).max(initial=0)))
        size = max(len(self.counts), int(ids.max()) + 1)
        self.counts = np.pad(self.counts, (0, size - len(self.counts)))
        self.counts += np.bincount(ids[mask], minlength=size)


def _parse(file: pathlib.Path, block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Token ids and whether they are real, of all rows one after another, and the rows' lengths."""
    import tensorflow as tf  # seconds, and needed for the shards of others alone

    names = (*features.RECORD_FEATURES, features.STATIC_MASKS)
    try:
        parsed = tf.io.parse_example(
            [data for _, data in block], {name: tf.io.RaggedFeature(tf.int64) for name in names}
        )
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:  # of the message, too
        _refuse(file, block, error)
    rows = {name: parsed[name].row_lengths().numpy() for name in names}
    lengths = rows[features.INPUT_IDS]
    if (
        rows[features.STATIC_MASKS].any()
        or not lengths.all()
        or any((rows[name] != lengths).any() for name in features.RECORD_FEATURES)
        or parsed[features.INPUT_IDS].values.numpy().min() < 0
    ):
        _refuse(file, block)
    mask = parsed[features.RECORD_MASK].values.numpy() > 0
    return parsed[features.INPUT_IDS].values.numpy(), mask, lengths


def _refuse(file: pathlib.Path, block, cause: Exception | None = None):
    """Raises the error for the first record of a block that is not one of ours."""
    for offset, data in block:
        fault = _fault(data)
        if fault:
            raise InputError(f"{file}: the record at byte {offset} {fault}") from cause
    raise InputError(f"{file}: the records cannot be read: {cause}") from cause


def _fault(data: bytes) -> str | None:
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
            "in every epoch; masks are drawn while training here: build the examples from the text"
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
    """Deals the records out: by the names of the files, else the last `held_out` of all."""
    parts = [part for part in parts if part.last]
    named = [part for part in parts if part.file.name.startswith(features.HELD_OUT)]
    if named:
        train = [part for part in parts if part not in named]
        if not train:
            raise InputError(f"{named[0].file.parent} holds held-out shards only, none to train on")
        return {features.TRAIN: train, features.HELD_OUT: named}
    records = sum(part.last for part in parts)
    left = records - min(records - 1, int(np.ceil(held_out * records)))
    splits = {features.TRAIN: [], features.HELD_OUT: []}
    for part in parts:
        here = min(left, part.last)
        left -= here
        if here:
            splits[features.TRAIN].append(dataclasses.replace(part, last=here))
        if here < part.last:
            splits[features.HELD_OUT].append(dataclasses.replace(part, first=here))
    return splits


def _counts(parts: list[_Part], size: int, torn=None) -> np.ndarray:
    tally = _Tally()
    for part in parts:
        records = framing.records(part.file, torn)
        tally.add(part.file, itertools.islice(records, part.first, part.last))
    return np.pad(tally.counts, (0, size - len(tally.counts)))


def _number(part: str) -> tuple[int, str]:
    return (int(part), "") if part.isdecimal() else (-1, part)
