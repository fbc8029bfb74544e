"""A data folder: shards of examples, any of which can be read at once."""

import collections
import os
import pathlib
import threading
import weakref

import numpy as np

from official_nlp.data.storage import foreign_shards, framing, index
from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError

TOKENIZER_FOLDER = "tokenizer"
_OPEN_FILES = 128


def open_folder(
    folder: str | os.PathLike,
    vocab_file: str | os.PathLike | None = None,
    held_out: float = 0.01,
    progress: bool = True,
    torn: CorruptRecords | None = None,
) -> "DataFolder":
    """Opens a data folder, ours or one of google-research's shards.

    A folder without an index gets one, once: every record is read and checked.

    Args:
      folder: the folder.
      vocab_file: vocabulary file or tokenizer folder, needed where `folder` has no `tokenizer/`.
      held_out: of shards that are not split, this share of the records, the last, is held out.
      progress: show the making of an index.
      torn: what becomes of damaged records; by default the first that is met is an error.

    Raises:
      InputError: no such folder, no shards, shards of another kind, damaged or changed, or a
        vocabulary that does not fit.
    """
    path = pathlib.Path(folder)
    if not path.is_dir():
        raise InputError(f"no data folder {path}: `electra examples` makes one from text")
    tokenizer = _tokenizer(path, vocab_file)
    if not (path / index.INDEX_FILE).is_file():
        foreign_shards.build_index(path, held_out, progress, torn)
    content = index.read(path)
    _check_vocabulary(path, content, tokenizer)
    return DataFolder(path, content, tokenizer, torn)


class DataFolder:
    """Shards of examples, with the tokenizer they were made with.

    Attributes:
      path: the folder.
      index: an `Index`.
      tokenizer: an `ElectraTokenizer`.
    """

    def __init__(
        self,
        path: pathlib.Path,
        content: index.Index,
        tokenizer: ElectraTokenizer,
        torn: CorruptRecords | None = None,
    ):
        self.path = path
        self.index = content
        self.tokenizer = tokenizer
        torn = torn or CorruptRecords()
        self._splits = {
            name: Split(path, name, shards, torn) for name, shards in content.splits.items()
        }

    def split(self, name: str) -> "Split":
        """The examples of "train" or "held_out".

        Raises:
          InputError: there are none.
        """
        if not self.count(name):
            raise InputError(
                f"{self.path} holds no {name!r} examples: build it again, held_out between 0 and 1"
            )
        return self._splits[name]

    def count(self, name: str) -> int:
        """Number of examples of a split, 0 where there is no such split."""
        return self.index.records(name)

    def unigram_counts(self) -> np.ndarray:
        """int64 `[vocabulary]`: how often each id is a real token of the train split."""
        counts = _load(self.path / index.UNIGRAM_FILE)
        return np.pad(counts, (0, max(0, self.tokenizer.vocab_size - len(counts))))


class Split:
    """The examples of one split, by number. May be read from several threads.

    Attributes:
      name: "train" or "held_out".
      count: number of examples.
    """

    def __init__(
        self, path: pathlib.Path, name: str, shards: list[index.Shard], torn: CorruptRecords
    ):
        self.name = name
        self._corrupt = torn
        self._shards = shards
        self._files = [path / shard.file for shard in shards]
        for file, shard in zip(self._files, shards, strict=True):
            _check_size(file, shard, torn)
        self._ends = np.cumsum([shard.records for shard in shards])
        self.count = int(self._ends[-1]) if shards else 0
        # Mapped, for at a hundred million examples this is most of a gigabyte.
        self._offsets = _load(path / index.offsets_file(name), mmap_mode="r")
        if len(self._offsets) != self.count:
            raise InputError(
                f"{path / index.offsets_file(name)} knows {len(self._offsets)} records, "
                f"{index.INDEX_FILE} {self.count}: build the data again"
            )
        self._open = _OpenFiles()

    def read(self, examples) -> list[bytes]:
        """The serialized `tf.train.Example`s of these numbers, in their order.

        One that is damaged is empty, where the folder was opened to skip such.

        Raises:
          InputError: a record is damaged; names file and byte.
        """
        examples = np.asarray(examples, np.int64)
        if examples.size and not (examples.min() >= 0 and examples.max() < self.count):
            raise IndexError(f"examples must be in [0, {self.count}), were {examples}")
        shards = np.searchsorted(self._ends, examples, side="right")
        return [
            self._read(*place) for place in zip(shards.tolist(), examples.tolist(), strict=True)
        ]

    def _read(self, shard: int, example: int) -> bytes:
        start = int(self._offsets[example])
        last = example + 1 == self._ends[shard]
        end = self._shards[shard].end if last else int(self._offsets[example + 1])
        file = self._files[shard]
        try:
            return framing.unframe(self._open.read(file, start, end - start), file, start)
        except framing.CorruptRecord as torn:
            return self._corrupt.met(torn)


class _OpenFiles:
    """Reads pieces of many files, of which it keeps the last used open."""

    def __init__(self):
        self._descriptors: collections.OrderedDict[pathlib.Path, int] = collections.OrderedDict()
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._descriptors)

    def read(self, file: pathlib.Path, start: int, size: int) -> bytes:
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


def _close_all(descriptors):
    for descriptor in descriptors.values():
        os.close(descriptor)
    descriptors.clear()


def _check_size(file: pathlib.Path, shard: index.Shard, torn: CorruptRecords):
    size = file.stat().st_size if file.is_file() else None
    if size is None:
        raise InputError(f"{file} is missing, {index.INDEX_FILE} names it: copy the whole folder")
    known = f"{index.INDEX_FILE} knows {shard.bytes}"
    if size < shard.bytes:
        torn.short(file, f"ends at byte {size}, {known}")
    if size > shard.bytes:
        raise InputError(
            f"{file} has {size} bytes, {known}: copy or build it again; if another program has "
            f"written it anew, delete {index.INDEX_FILE}"
        )


def _load(file: pathlib.Path, **options) -> np.ndarray:
    try:
        return np.load(file, **options)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {file}: {error}; build the data again") from error


def _tokenizer(path: pathlib.Path, vocab_file) -> ElectraTokenizer:
    own = path / TOKENIZER_FOLDER
    if vocab_file is not None:
        return ElectraTokenizer.from_pretrained(vocab_file)
    if not own.is_dir():
        raise InputError(
            f"{path} has no {TOKENIZER_FOLDER}/: give the vocabulary its examples were made with "
            "(VOCABULARY=vocab.txt; vocab_file= in Python)"
        )
    return ElectraTokenizer.from_pretrained(own)


def _check_vocabulary(path: pathlib.Path, content: index.Index, tokenizer: ElectraTokenizer):
    if content.vocab_hash not in (None, tokenizer.vocab_hash):
        raise InputError(
            f"{path} was made with another vocabulary (of {content.vocab_size} tokens) than the "
            f"one given ({tokenizer.vocab_size}): use its own, or build the examples again"
        )
    if content.largest_id >= tokenizer.vocab_size:
        raise InputError(
            f"{path} holds the id {content.largest_id}, but the vocabulary has only "
            f"{tokenizer.vocab_size} tokens: give the vocabulary the examples were made with"
        )
