"""Text files to a data folder."""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Iterable, Iterator

import numpy as np

from official_nlp.data import corpus
from official_nlp.data.pretraining.example_worker import HASH_RANGE, Block, Counts, Settings
from official_nlp.data.pretraining.workers import Workers
from official_nlp.data.progress import Progress
from official_nlp.data.storage import features, index
from official_nlp.data.storage.data_folder import TOKENIZER_FOLDER
from official_nlp.data.storage.shards import ShardWriter
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.files.staged_folders import staged

HELD_OUT_TEXT = "held_out.txt"

_WORKER = "official_nlp.data.pretraining.example_worker:BlockBuilder"
_BLOCK_CHARACTERS = 1 << 18
_SHORTEST_LENGTH = 8


@dataclasses.dataclass(frozen=True)
class ExamplesSummary:
    """What was built.

    Attributes:
      documents: number of documents, held-out ones counted.
      held_out_documents: those held out.
      text_bytes: size of the text, unpacked.
      tokens: number of tokens of the text.
      unknown_share: share of these that are [UNK].
      dropped_tokens: tokens of the text that are in no example.
      examples: number of examples of each split.
      padding_share: share of all rows that is padding.
      seconds: time it took.
    """

    documents: int
    held_out_documents: int
    text_bytes: int
    tokens: int
    unknown_share: float
    dropped_tokens: int
    examples: dict[str, int]
    padding_share: float
    seconds: float

    def __str__(self) -> str:
        megabytes = self.text_bytes / 1e6
        examples = ", ".join(f"{count:,} {split}" for split, count in self.examples.items())
        lines = [
            f"documents  {self.documents:,}, of these held out {self.held_out_documents:,}",
            f"text       {megabytes:.1f} MB in {self.seconds:.1f} s: "
            f"{megabytes / max(self.seconds, 1e-9):.1f} MB/s",
            f"tokens     {self.tokens:,}, unknown {self.unknown_share:.3%}, "
            f"in no example {self.dropped_tokens:,} ({self.dropped_tokens / self.tokens:.1%})",
            f"examples   {examples}; padding {self.padding_share:.1%}",
        ]
        return "\n".join(lines)


def build_examples(
    files: str | os.PathLike | Iterable[str | os.PathLike],
    tokenizer_folder: str | os.PathLike,
    to: str | os.PathLike,
    length: int = 128,
    held_out: float = 0.01,
    seed: int = 0,
    processes: int | None = None,
    segments: int = 2,
    original: bool = False,
    shard_examples: int = 100_000,
    progress: bool = True,
) -> ExamplesSummary:
    """Makes training examples of text.

    The folder appears when all is written. Its bytes depend on the text, the tokenizer and the
    arguments but for `processes` and `progress`.

    Args:
      files: files, globs or folders of text, see `corpus.find_files`.
      tokenizer_folder: a tokenizer's folder, or a vocabulary file.
      to: the folder to make.
      length: tokens of an example, padding and special tokens counted.
      held_out: share of the documents, chosen by hash of their text, that is kept from training.
        A corpus of few documents gets one held out at least.
      seed: of the random draws.
      processes: number of worker processes, None: one for each core.
      segments: 2, or 1: no example has a second segment.
      original: pack exactly as google-research/electra, which loses text, see `packing.pack`.
      shard_examples: examples in a shard.
      progress: show a bar, and print the summary.

    Returns:
      An `ExamplesSummary`.

    Raises:
      InputError: no text, text that cannot be read, no usable tokenizer, `to` is not empty or
        cannot be written, or an argument is out of range.
    """
    _check(length, held_out, processes, segments, shard_examples)
    start = time.monotonic()
    paths = corpus.find_files(files)
    tokenizer = ElectraTokenizer.from_pretrained(tokenizer_folder)
    processes = processes or _usable_cores()
    with staged(to) as folder:
        tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
        settings = Settings(
            tokenizer=str((folder / TOKENIZER_FOLDER).resolve()),
            length=length,
            seed=seed,
            segments=segments,
            original=original,
            held_out_below=int(held_out * HASH_RANGE),
        )
        options = processes, shard_examples, tokenizer.vocab_size, progress
        shards, unigram, counts = _write(folder, paths, settings, *options)
        if held_out and counts.documents > 1 and not counts.held_out_documents:
            # By chance none: then the one with the smallest hash. Happens to small corpora alone.
            settings = dataclasses.replace(settings, held_out_below=counts.smallest_hash + 1)
            shards, unigram, counts = _write(folder, paths, settings, *options)
        _check_found(shards, counts, paths, held_out)
        summary = _summary(shards, counts, length, time.monotonic() - start)
        stored = dataclasses.asdict(settings) | dataclasses.asdict(summary)
        # These would make the bytes depend on where and when they were made.
        for name in ("tokenizer", "seconds"):
            del stored[name]
        content = index.Index(
            splits=shards,
            longest_row=counts.longest_row,
            largest_id=counts.largest_id,
            length=length,
            vocab_size=tokenizer.vocab_size,
            vocab_hash=tokenizer.vocab_hash,
            settings=stored,
        )
        index.write(folder, content, unigram)
    if progress:
        print(summary)
    return summary


def _write(
    folder: pathlib.Path,
    paths: list[pathlib.Path],
    settings: Settings,
    processes: int,
    shard_examples: int,
    vocab_size: int,
    progress: bool,
) -> tuple[dict[str, list[index.Shard]], np.ndarray, Counts]:
    """Writes all shards, and returns them with the unigram counts of the train split."""
    for file in folder.glob("*.tfrecord"):
        file.unlink()
    unigram, counts = np.zeros(vocab_size, np.int64), Counts()
    total = sum(path.stat().st_size for path in paths)
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(Progress("Building examples", total, progress))
        text = stack.enter_context(open(folder / HELD_OUT_TEXT, "w", encoding="utf-8"))
        writers = {
            split: stack.enter_context(ShardWriter(folder, split, shard_examples))
            for split in (features.TRAIN, features.HELD_OUT)
        }
        workers = stack.enter_context(Workers(_WORKER, settings, processes))
        for built in workers.map(_blocks(corpus.documents(paths, bar.advance))):
            for split, writer in writers.items():
                writer.write(built.records[split], built.sizes[split])
            text.write(built.held_out_text)
            unigram += built.unigram
            counts.add(built.counts)
        return {split: writer.finish() for split, writer in writers.items()}, unigram, counts


def _blocks(documents: Iterable[list[str]]) -> Iterator[Block]:
    """Gathers documents until they are worth a trip to a worker."""
    block: list[list[str]] = []
    number = size = 0
    for document in documents:
        block.append(document)
        size += sum(map(len, document))
        if size >= _BLOCK_CHARACTERS:
            yield Block(block, number)
            number += len(block)
            block, size = [], 0
    if block:
        yield Block(block, number)


def _usable_cores() -> int:
    # Not every system can tell which cores this process may use.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _summary(shards, counts: Counts, length: int, seconds: float) -> ExamplesSummary:
    examples = {split: sum(shard.records for shard in shards[split]) for split in shards}
    return ExamplesSummary(
        documents=counts.documents,
        held_out_documents=counts.held_out_documents,
        text_bytes=counts.text_bytes,
        tokens=counts.tokens,
        unknown_share=counts.unknown_tokens / counts.tokens,
        dropped_tokens=counts.dropped_tokens,
        examples=examples,
        padding_share=1 - counts.stored_tokens / (length * sum(examples.values())),
        seconds=seconds,
    )


def _check(length: int, held_out: float, processes, segments: int, shard_examples: int):
    if length < _SHORTEST_LENGTH:
        raise InputError(
            f"length must be at least {_SHORTEST_LENGTH} tokens, was {length}: 128 is usual"
        )
    if not 0 <= held_out < 1:
        raise InputError(
            f"held_out must be a share from 0 to below 1, was {held_out}: 0.01 is usual"
        )
    if segments not in (1, 2):
        raise InputError(
            f"segments must be 1 or 2, was {segments}: 2 is what ELECTRA is trained on"
        )
    if processes is not None and processes < 1:
        raise InputError(
            f"processes must be at least 1, was {processes}: leave it out for all cores"
        )
    if shard_examples < 1:
        raise InputError(f"shard_examples must be at least 1, was {shard_examples}")


def _check_found(shards, counts: Counts, paths: list[pathlib.Path], held_out: float):
    if not counts.tokens:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        raise InputError(f"no text in {paths[0]}{more}: give files that hold some")
    if not shards[features.TRAIN]:
        raise InputError(
            f"held_out={held_out} leaves none of the {counts.documents} documents to train on: "
            "give more text, or held_out=0"
        )
