"""Build a data folder of pre-training examples from text files."""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Iterable, Iterator

import numpy as np

from official_nlp.data import corpus
from official_nlp.data.pretraining.block_builder import (
    HASH_RANGE,
    Block,
    BlockBuilder,
    BuiltBlock,
    Counts,
    Settings,
)
from official_nlp.data.pretraining.worker_pool import WorkerPool
from official_nlp.data.storage import features, index
from official_nlp.data.storage.data_folder import TOKENIZER_FOLDER
from official_nlp.data.storage.shards import ShardWriter
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.files.staged_folders import staged
from official_nlp.progress import ByteProgress

HELD_OUT_TEXT = "held_out.txt"

# A block is the work of one process at a time: large enough that sending it costs little, and small
# enough that all processes are busy to the end.
_BLOCK_CHARACTERS = 1 << 18
_SHORTEST_LENGTH = 8
# Vocabularies that fit their text leave less than one in a thousand unknown.
_MANY_UNKNOWN = 0.03
_MANY_CAPITALIZED = 0.05


@dataclasses.dataclass(frozen=True)
class ExamplesSummary:
    """Statistics of the examples built.

    Attributes:
      documents: number of documents, held-out ones included.
      held_out_documents: number of held-out documents.
      text_bytes: size of the uncompressed text in bytes.
      tokens: number of tokens of the text.
      unknown_fraction: fraction of the tokens that are [UNK].
      dropped_tokens: number of tokens of the text that are in no example.
      examples: number of examples of each split.
      padding_fraction: fraction of all stored tokens that are padding.
      seconds: time taken, in seconds.
    """

    documents: int
    held_out_documents: int
    text_bytes: int
    tokens: int
    unknown_fraction: float
    dropped_tokens: int
    examples: dict[str, int]
    padding_fraction: float
    seconds: float

    def __str__(self) -> str:
        megabytes = self.text_bytes / 1e6
        examples = ", ".join(f"{count:,} {split}" for split, count in self.examples.items())
        lines = [
            f"documents  {self.documents:,}, held out {self.held_out_documents:,}",
            f"text       {megabytes:.1f} MB in {self.seconds:.1f} s: "
            f"{megabytes / max(self.seconds, 1e-9):.1f} MB/s",
            f"tokens     {self.tokens:,}, unknown {self.unknown_fraction:.3%}, "
            f"in no example {self.dropped_tokens:,} ({self.dropped_tokens / self.tokens:.1%})",
            f"examples   {examples}; padding {self.padding_fraction:.1%}",
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
    """Build pre-training examples from text.

    The folder appears only when it is complete. Its bytes depend on the text, the tokenizer and the
    arguments other than `processes` and `progress`.

    Args:
      files: files, glob patterns or folders of text, see `corpus.find`.
      tokenizer_folder: a tokenizer folder or a vocabulary file.
      to: the data folder to make.
      length: length of an example in tokens, special tokens and padding included.
      held_out: fraction of the documents that is held out, selected by a hash of their text. A
        corpus of two or more documents gets at least one held-out document.
      seed: seed of the random choices of packing.
      processes: number of worker processes; None means one per core, 1 means this process.
      segments: 2, or 1 for examples without a second segment.
      original: whether to pack exactly as google-research/electra does, which drops text; see
        `packing.pack`.
      shard_examples: number of examples per shard.
      progress: whether to show progress and print the summary.

    Returns:
      Statistics of the examples.

    Raises:
      InputError: there is no text or it cannot be read, the tokenizer is missing or unusable, `to`
        is not empty or cannot be written, or an argument is out of range.
    """
    _check(length, held_out, processes, segments, shard_examples)
    start = time.monotonic()
    found = corpus.find(files)
    if progress and found.skipped:
        print(found.describe())
    paths = found.files
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
        shards, unigram, counts, identity = _write(folder, paths, settings, *options)
        if held_out and counts.documents > 1 and not counts.held_out_documents:
            # No hash of a small corpus happens to be below the threshold: build again, and hold out
            # the document with the smallest one.
            settings = dataclasses.replace(settings, held_out_below=counts.smallest_hash + 1)
            shards, unigram, counts, identity = _write(folder, paths, settings, *options)
        _check_found(shards, counts, held_out)
        summary = _summary(shards, counts, length, time.monotonic() - start)
        stored = dataclasses.asdict(settings) | dataclasses.asdict(summary)
        # The bytes must not depend on where and when the folder was built.
        for name in ("tokenizer", "seconds"):
            del stored[name]
        content = index.Index(
            splits=shards,
            longest_row=counts.longest_row,
            largest_id=counts.largest_id,
            length=length,
            vocab_size=tokenizer.vocab_size,
            vocab_hash=tokenizer.vocab_hash,
            content_hash=identity,
            settings=stored,
        )
        index.write(folder, content, unigram)
    if progress:
        print(summary)
        warning = unknown_tokens_warning(summary.unknown_fraction, tokenizer)
        if warning:
            print(f"warning: {warning}")
    return summary


def unknown_tokens_warning(fraction: float, tokenizer: ElectraTokenizer) -> str:
    """Return a warning with its probable cause if too many tokens are unknown, else "".

    Args:
      fraction: fraction of the tokens of the text that are unknown.
      tokenizer: the tokenizer that encoded the text.
    """
    # An index from elsewhere may hold anything, also what is not a number.
    if not fraction > _MANY_UNKNOWN:
        return ""
    # The names of special tokens, such as [CLS] and [unused1], are no part of the language.
    words = [token for token in tokenizer.vocab if not token.startswith("[")]
    capital = sum(token != token.lower() for token in words)
    if tokenizer.do_lower_case and capital > _MANY_CAPITALIZED * len(words):
        cause = (
            f"{capital:,} tokens of the vocabulary have capital letters, but the tokenizer "
            'lower-cases all text: set "do_lower_case": false in its tokenizer_config.json'
        )
    else:
        cause = "train a vocabulary on such text with `electra vocab`"
    return f"{fraction:.1%} of the tokens are unknown, and nothing is learned from them: {cause}"


def _write(
    folder: pathlib.Path,
    paths: list[pathlib.Path],
    settings: Settings,
    processes: int,
    shard_examples: int,
    vocab_size: int,
    progress: bool,
) -> tuple[dict[str, list[index.Shard]], np.ndarray, Counts, str]:
    """Write all shards; return them by split, the unigram counts of train, the counts, a hash."""
    # Shards of a first pass. Their names contain the number of shards, so the second pass might
    # not overwrite them.
    for file in folder.glob("*.tfrecord"):
        file.unlink()
    unigram, counts = np.zeros(vocab_size, np.int64), Counts()
    total = sum(path.stat().st_size for path in paths)
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(ByteProgress("Building examples", total, progress))
        text = stack.enter_context(open(folder / HELD_OUT_TEXT, "w", encoding="utf-8"))
        writers = {
            split: stack.enter_context(ShardWriter(folder, split, shard_examples))
            for split in (features.TRAIN, features.HELD_OUT)
        }
        blocks = _blocks(corpus.documents(paths, bar.advance))
        if processes == 1:
            # In this process, which saves starting another and can be debugged.
            results: Iterator[BuiltBlock] = map(BlockBuilder(settings), blocks)
        else:
            pool = stack.enter_context(WorkerPool(BlockBuilder, settings, processes))
            results = pool.map(blocks)
        for built in results:
            for split, writer in writers.items():
                writer.write(built.records[split], built.sizes[split])
            text.write(built.held_out_text)
            unigram += built.unigram
            counts.add(built.counts)
        shards = {split: writer.finish() for split, writer in writers.items()}
        digests = {split: writer.digest() for split, writer in writers.items()}
    return shards, unigram, counts, index.content_hash(digests)


def _blocks(documents: Iterable[list[str]]) -> Iterator[Block]:
    """Group consecutive documents into blocks of similar size."""
    block: list[list[str]] = []
    # Documents are numbered through the corpus, so that the seed of each is independent of blocks.
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
    # A container may be restricted to some cores; macOS cannot report which.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _summary(
    shards: dict[str, list[index.Shard]], counts: Counts, length: int, seconds: float
) -> ExamplesSummary:
    examples = {split: sum(shard.records for shard in shards[split]) for split in shards}
    return ExamplesSummary(
        documents=counts.documents,
        held_out_documents=counts.held_out_documents,
        text_bytes=counts.text_bytes,
        tokens=counts.tokens,
        unknown_fraction=counts.unknown_tokens / counts.tokens,
        dropped_tokens=counts.dropped_tokens,
        examples=examples,
        padding_fraction=1 - counts.stored_tokens / (length * sum(examples.values())),
        seconds=seconds,
    )


def _check(
    length: int, held_out: float, processes: int | None, segments: int, shard_examples: int
) -> None:
    if length < _SHORTEST_LENGTH:
        raise InputError(
            f"length must be at least {_SHORTEST_LENGTH} tokens, was {length}: 128 is usual"
        )
    if not 0 <= held_out < 1:
        raise InputError(
            f"held_out must be a fraction from 0 to below 1, was {held_out}: 0.01 is usual"
        )
    if segments not in (1, 2):
        raise InputError(
            f"segments must be 1 or 2, was {segments}: 2 is what ELECTRA is trained on"
        )
    if processes is not None and processes < 1:
        raise InputError(f"processes must be at least 1, was {processes}: omit it to use all cores")
    if shard_examples < 1:
        raise InputError(
            f"shard_examples must be at least 1, was {shard_examples}: 100000 is usual"
        )


def _check_found(shards: dict[str, list[index.Shard]], counts: Counts, held_out: float) -> None:
    if not counts.tokens:
        raise InputError(corpus.NO_TEXT)
    if not shards[features.TRAIN]:
        raise InputError(
            f"held_out={held_out} leaves none of the {counts.documents} documents for training: "
            "give more text, or held_out=0"
        )
