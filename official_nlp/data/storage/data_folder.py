"""Data folders: shards of examples with random access by number."""

import collections
import os
import pathlib
import tempfile
import threading
import tokenize
import weakref
from collections.abc import Sequence

import numpy as np

from official_nlp.data.storage import foreign_shards, framing, index, parsing
from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError

TOKENIZER_FOLDER = "tokenizer"
# Many systems allow a process 1024 open files, and a large corpus has thousands of shards.
_OPEN_FILES = 128
# What numpy raises for files that are no arrays, of which it parses the header as Python.
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    OverflowError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    tokenize.TokenError,
)


def open_folder(
    folder: str | os.PathLike,
    vocab_file: str | os.PathLike | None = None,
    held_out: float = 0.01,
    progress: bool = True,
    corrupt_records: CorruptRecords | None = None,
    writes: bool = True,
) -> "DataFolder":
    """Open a data folder, or a folder of shards written by google-research/electra.

    A folder without an index gets one, which takes one pass over all records.

    Args:
      folder: the folder.
      vocab_file: vocabulary file or tokenizer folder; required if `folder` has no `tokenizer/`.
      held_out: for shards without an index and without a held-out file, the fraction of the
        records, counted from the end, that becomes the held-out split.
      progress: whether to show progress while the index is made.
      corrupt_records: policy for corrupt records; by default the first one is an error.
      writes: whether a new index is written beside the shards, and not to a temporary folder that
        exists as long as the result.

    Raises:
      InputError: the folder is missing, has no shards or shards of another format, a shard is
        corrupt or has changed, or the vocabulary does not match.
    """
    path = pathlib.Path(folder)
    # Not pathlib's, which raises for a name that is too long.
    if not os.path.isdir(path):
        raise InputError(f"no data folder {path}: make one from text with `electra examples`")
    tokenizer = _tokenizer(path, vocab_file)
    index_folder, temporary = path, None
    if not (path / index.INDEX_FILE).is_file():
        if not writes:
            temporary = tempfile.TemporaryDirectory()
            index_folder = pathlib.Path(temporary.name)
        foreign_shards.build_index(
            path, held_out, tokenizer.vocab_size, progress, corrupt_records, index_folder
        )
    content = index.read(index_folder)
    _check_vocabulary(path, content, tokenizer)
    opened = DataFolder(path, content, tokenizer, corrupt_records, index_folder)
    if temporary is not None:
        weakref.finalize(opened, temporary.cleanup)
    return opened


class DataFolder:
    """Shards of examples with their index and the tokenizer that made them.

    Attributes:
      path: the folder.
      index: the index of the shards.
      tokenizer: the tokenizer.
      index_folder: folder of the files of the index, usually `path`.
    """

    def __init__(
        self,
        path: pathlib.Path,
        content: index.Index,
        tokenizer: ElectraTokenizer,
        corrupt_records: CorruptRecords | None = None,
        index_folder: pathlib.Path | None = None,
    ) -> None:
        self.path = path
        self.index_folder = index_folder or path
        self.index = content
        self.tokenizer = tokenizer
        policy = corrupt_records or CorruptRecords()
        self._splits = {
            name: Split(path, name, content, tokenizer.vocab_size, policy, self.index_folder)
            for name in content.splits
        }

    def split(self, name: str) -> "Split":
        """Return the examples of "train" or "held_out".

        Raises:
          InputError: there are none.
        """
        if not self.count(name):
            raise InputError(
                f"{self.path} holds no {name!r} examples: build it again with held_out above 0 "
                "and below 1"
            )
        return self._splits[name]

    def count(self, name: str) -> int:
        """Return the number of examples of a split, 0 for a split that does not exist."""
        return self.index.records(name)

    def unigram_counts(self) -> np.ndarray:
        """Return int64 `[vocabulary]`, how often each id is a real token of the train split."""
        counts = _load(self.index_folder / index.UNIGRAM_FILE)
        size = self.tokenizer.vocab_size
        if len(counts) > size or (counts < 0).any():
            raise InputError(
                f"{self.index_folder / index.UNIGRAM_FILE} must hold at most {size} counts, the "
                f"size of the vocabulary, none of them negative: {index.AGAIN}"
            )
        # An index of shards of other programs ends at the largest id that occurs.
        return np.pad(counts, (0, size - len(counts)))


class Split:
    """The examples of one split, accessed by number; safe for use by several threads.

    Attributes:
      name: "train" or "held_out".
      count: number of examples.
    """

    def __init__(
        self,
        path: pathlib.Path,
        name: str,
        content: index.Index,
        vocab_size: int,
        policy: CorruptRecords,
        index_folder: pathlib.Path,
    ) -> None:
        shards = content.splits[name]
        self.name = name
        self._policy = policy
        self._vocab_size = vocab_size
        self._longest_row = content.longest_row
        self._shards = shards
        self._files = [path / shard.file for shard in shards]
        for file, shard in zip(self._files, shards, strict=True):
            _check_size(file, shard, policy)
        self._ends = np.cumsum([shard.records for shard in shards])
        self.count = int(self._ends[-1]) if shards else 0
        # Memory-mapped, because the offsets of a hundred million examples take 800 MB.
        self._offsets_file = index_folder / index.offsets_file(name)
        self._offsets = _load(self._offsets_file)
        if len(self._offsets) != self.count:
            raise InputError(
                f"{self._offsets_file} has the offsets of {len(self._offsets)} "
                f"records, but {index.INDEX_FILE} lists {self.count}: build the data again"
            )
        self._open_files = _OpenFiles()

    def read(self, examples: Sequence[int] | np.ndarray) -> list[bytes]:
        """Return serialized `tf.train.Example`s by number.

        Args:
          examples: integers from 0 to `count - 1`, in any order.

        Returns:
          One string per number, in the same order; empty for a corrupt record that is skipped.

        Raises:
          IndexError: a number is out of range.
          InputError: a record is corrupt and the policy is to stop; names file and byte.
        """
        examples = np.asarray(examples, np.int64)
        if examples.size and not (examples.min() >= 0 and examples.max() < self.count):
            raise IndexError(f"examples must be in [0, {self.count}), were {examples}")
        shards = np.searchsorted(self._ends, examples, side="right")
        return [
            self._read(shard, example)
            for shard, example in zip(shards.tolist(), examples.tolist(), strict=True)
        ]

    def tables(self, examples: Sequence[int] | np.ndarray, length: int) -> list[np.ndarray]:
        """Return ids, mask and segments of examples by number, int32 `[examples, length]`.

        Every value is checked: ids against the vocabulary, lengths against the index.

        Args:
          examples: integers from 0 to `count - 1`, in any order.
          length: length to pad to, at least that of the longest example.

        Raises:
          IndexError: a number is out of range.
          InputError: a record is corrupt and the policy is to stop; names file and byte.
        """
        parsed = parsing.parse(self.read(examples), self._vocab_size, self._longest_row)
        for number, fault in parsed.faults.items():
            self._policy.substitute(self._corrupt(int(examples[number]), f"it {fault}"))
        return parsed.tables(length)

    def _read(self, shard: int, example: int) -> bytes:
        file = self._files[shard]
        start = int(self._offsets[example])
        last = example + 1 == self._ends[shard]
        # The offset after the last record of a shard belongs to another file.
        end = self._shards[shard].end if last else int(self._offsets[example + 1])
        try:
            # Offsets are not checked when the folder is opened, because that would read them all.
            if not 0 <= start < end <= self._shards[shard].end:
                raise self._corrupt(example, f"its offset in {self._offsets_file.name} is wrong")
            data = framing.unframe(self._open_files.read(file, start, end - start), file, start)
            if not data:
                raise self._corrupt(example, "it is empty")
            return data
        except framing.CorruptRecord as record:
            return self._policy.substitute(record)

    def _corrupt(self, example: int, what: str) -> framing.CorruptRecord:
        shard = int(np.searchsorted(self._ends, example, side="right"))
        return framing.CorruptRecord(self._files[shard], int(self._offsets[example]), what)


class _OpenFiles:
    """Reads pieces of many files and leaves the most recently used ones open."""

    def __init__(self) -> None:
        self._descriptors: collections.OrderedDict[pathlib.Path, int] = collections.OrderedDict()
        self._lock = threading.Lock()
        # The finalizer refers to the dictionary only: a reference to `self` would keep it alive.
        weakref.finalize(self, _close_all, self._descriptors)

    def read(self, file: pathlib.Path, start: int, size: int) -> bytes:
        # One lock for finding and reading: another thread could close the descriptor in between.
        with self._lock:
            try:
                return os.pread(self._descriptor(file), size, start)
            except OSError as error:
                raise InputError(f"cannot read {file}: {error.strerror}") from error

    def _descriptor(self, file: pathlib.Path) -> int:
        if file in self._descriptors:
            self._descriptors.move_to_end(file)
            return self._descriptors[file]
        if len(self._descriptors) == _OPEN_FILES:
            os.close(self._descriptors.popitem(last=False)[1])
        descriptor = self._descriptors[file] = os.open(file, os.O_RDONLY)
        return descriptor


def _close_all(descriptors: collections.OrderedDict[pathlib.Path, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)
    descriptors.clear()


def _check_size(file: pathlib.Path, shard: index.Shard, policy: CorruptRecords) -> None:
    try:
        size = file.stat().st_size if file.is_file() else None
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}; copy the whole folder") from error
    if size is None:
        raise InputError(
            f"{file} is missing, but listed in {index.INDEX_FILE}: copy the whole folder"
        )
    expected = f"but {index.INDEX_FILE} lists {shard.bytes}"
    # A truncated shard can be used if corrupt records are skipped: those beyond its end read as
    # corrupt ones.
    if size < shard.bytes:
        policy.add_truncated(file, f"ends at byte {size}, {expected}")
    if size > shard.bytes:
        raise InputError(
            f"{file} has {size} bytes, {expected}: copy or build it again; if another program "
            f"has replaced it, delete {index.INDEX_FILE}"
        )


def _load(file: pathlib.Path) -> np.ndarray:
    """Return int64 `[count]`, memory-mapped, so that a header cannot make it larger than its file.

    Raises:
      InputError: the file cannot be read, or holds something else.
    """
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except _UNREADABLE as error:
        raise InputError(f"cannot read {file}: {error}; {index.AGAIN}") from error
    if array.ndim != 1 or array.dtype != np.int64:
        raise InputError(
            f"{file} must hold a list of int64, but holds {array.dtype} of shape {array.shape}: "
            f"{index.AGAIN}"
        )
    return array


def _tokenizer(path: pathlib.Path, vocab_file: str | os.PathLike | None) -> ElectraTokenizer:
    own = path / TOKENIZER_FOLDER
    if vocab_file is not None:
        return ElectraTokenizer.from_pretrained(vocab_file)
    if not own.is_dir():
        raise InputError(
            f"{path} has no {TOKENIZER_FOLDER}/: give the vocabulary that its examples were made "
            "with (VOCABULARY=vocab.txt; vocab_file= in Python)"
        )
    return ElectraTokenizer.from_pretrained(own)


def _check_vocabulary(
    path: pathlib.Path, content: index.Index, tokenizer: ElectraTokenizer
) -> None:
    if content.vocab_hash not in (None, tokenizer.vocab_hash):
        raise InputError(
            f"{path} was made with another vocabulary, of {content.vocab_size} tokens, than the "
            f"one given, of {tokenizer.vocab_size}: use its own, or build the examples again"
        )
    if content.largest_id >= tokenizer.vocab_size:
        raise InputError(
            f"{path} holds the id {content.largest_id}, but the vocabulary has only "
            f"{tokenizer.vocab_size} tokens: give the vocabulary that the examples were made with"
        )
