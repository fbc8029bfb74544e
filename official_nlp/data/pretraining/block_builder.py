"""Turn documents into framed records: the work of each process of `build_examples`."""

import dataclasses
import hashlib
import random

import numpy as np

from official_nlp.data.pretraining import packing
from official_nlp.data.pretraining.encoding import LineEncoder
from official_nlp.data.storage import features, framing
from official_nlp.data.storage.serialization import serialize
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer

HASH_RANGE = 1 << 64


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `build_examples` that the worker processes need.

    Attributes:
      tokenizer: path of the tokenizer folder.
      length: length of an example in tokens, special tokens and padding included.
      seed: seed of the random choices; each document combines it with its number.
      segments: 1 or 2.
      original: whether to pack exactly as google-research/electra does.
      held_out_below: documents whose 64-bit hash is below this are held out.
    """

    tokenizer: str
    length: int
    seed: int
    segments: int
    original: bool
    held_out_below: int


@dataclasses.dataclass(frozen=True)
class Block:
    """Consecutive documents.

    Attributes:
      documents: the lines of each document.
      first_number: number of the first document in the corpus.
    """

    documents: list[list[str]]
    first_number: int


@dataclasses.dataclass
class Counts:
    """Counts over documents, and extremes.

    Attributes:
      documents: number of documents, held-out ones included.
      held_out_documents: number of held-out documents.
      text_bytes: size of the text in bytes.
      tokens: number of tokens of the text, without [CLS] and [SEP].
      unknown_tokens: number of these that are [UNK].
      dropped_tokens: number of these that are in no example.
      stored_tokens: number of tokens in examples, with [CLS] and [SEP], without padding.
      longest_row: largest number of tokens in an example, padding excluded.
      largest_id: largest token id.
      smallest_hash: smallest hash of a document.
    """

    documents: int = 0
    held_out_documents: int = 0
    text_bytes: int = 0
    tokens: int = 0
    unknown_tokens: int = 0
    dropped_tokens: int = 0
    stored_tokens: int = 0
    longest_row: int = 0
    largest_id: int = 0
    smallest_hash: int = HASH_RANGE

    def add(self, other: "Counts") -> None:
        """Add the counts of other documents."""
        self.documents += other.documents
        self.held_out_documents += other.held_out_documents
        self.text_bytes += other.text_bytes
        self.tokens += other.tokens
        self.unknown_tokens += other.unknown_tokens
        self.dropped_tokens += other.dropped_tokens
        self.stored_tokens += other.stored_tokens
        self.longest_row = max(self.longest_row, other.longest_row)
        self.largest_id = max(self.largest_id, other.largest_id)
        self.smallest_hash = min(self.smallest_hash, other.smallest_hash)


@dataclasses.dataclass(frozen=True)
class BuiltBlock:
    """Examples built from a block.

    Attributes:
      records: TFRecords of each split, one after another.
      sizes: int64 `[records]` for each split, size of each record in bytes, checksums included.
      unigram: int64 `[vocabulary]`, how often each id is a real token of the train split.
      held_out_text: text of the held-out documents, each followed by a blank line.
      counts: counts over the documents of the block.
    """

    records: dict[str, bytes]
    sizes: dict[str, np.ndarray]
    unigram: np.ndarray
    held_out_text: str
    counts: Counts


class BlockBuilder:
    """Builds examples from blocks of documents.

    The examples of a document depend only on its text, its number and the settings, not on the
    block: so the output is independent of the number of processes.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tokenizer = ElectraTokenizer.from_pretrained(settings.tokenizer)
        self._encoder = LineEncoder(self._tokenizer)
        self._joins = self._tokenizer.word_joins

    def __call__(self, block: Block) -> BuiltBlock:
        counts = Counts()
        examples = {features.TRAIN: _Examples(), features.HELD_OUT: _Examples()}
        held_out_text = []
        lines = [line for document in block.documents for line in document]
        # All lines of the block at once, which is several times as fast as line by line.
        ids, line_lengths = self._encoder.encode(lines)
        first_line = first_token = 0
        for number, document in enumerate(block.documents, block.first_number):
            lengths = line_lengths[first_line : first_line + len(document)]
            tokens = ids[first_token : first_token + lengths.sum()]
            first_line += len(document)
            first_token += len(tokens)
            text = "\n".join(document)
            split = self._split(text, counts)
            if split == features.HELD_OUT:
                held_out_text.append(f"{text}\n\n")
                counts.held_out_documents += 1
            self._pack(number, tokens, lengths.tolist(), examples[split], counts)
        counts.documents = len(block.documents)
        counts.tokens = len(ids)
        counts.unknown_tokens = int((ids == self._tokenizer.unk_token_id).sum())
        return self._finish(examples, "".join(held_out_text), counts)

    def _finish(
        self, examples: "dict[str, _Examples]", held_out_text: str, counts: Counts
    ) -> BuiltBlock:
        records, sizes = {}, {}
        for split, of_split in examples.items():
            records[split], sizes[split] = of_split.records(self._settings.length)
        every = [ids for of_split in examples.values() for ids in of_split.ids]
        counts.stored_tokens = sum(map(len, every))
        counts.longest_row = max(map(len, every), default=0)
        counts.largest_id = max((int(ids.max()) for ids in every), default=0)
        unigram = examples[features.TRAIN].unigram(self._tokenizer.vocab_size)
        return BuiltBlock(records, sizes, unigram, held_out_text, counts)

    def _split(self, text: str, counts: Counts) -> str:
        """Return the split of a document, which depends only on its text."""
        # A hash of the text and not a draw: copies of a document get the same split, so that no
        # held-out document is also trained on, whatever the corpus around it.
        data = text.encode()
        digest = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
        # Plus the newline at the end, which splitting into lines has removed.
        counts.text_bytes += len(data) + 1
        counts.smallest_hash = min(counts.smallest_hash, digest)
        held_out = digest < self._settings.held_out_below
        return features.HELD_OUT if held_out else features.TRAIN

    def _pack(
        self,
        number: int,
        tokens: np.ndarray,
        lengths: list[int],
        examples: "_Examples",
        counts: Counts,
    ) -> None:
        settings = self._settings
        cls = np.array([self._tokenizer.cls_token_id], np.int32)
        sep = np.array([self._tokenizer.sep_token_id], np.int32)
        # `random` hashes a string by SHA-512, which unlike `hash` is the same in every process.
        draw = random.Random(f"{settings.seed} {number}")
        packed = 0
        continues = self._joins.continues(tokens).tolist()
        options = settings.length, draw, settings.segments, settings.original
        for first, second in packing.pack(lengths, continues, *options):
            parts = [cls, *(tokens[start:end] for start, end in first), sep]
            first_length = sum(map(len, parts))
            if second:
                parts += [*(tokens[start:end] for start, end in second), sep]
            ids = np.concatenate(parts, dtype=np.int32)
            examples.ids.append(ids)
            examples.first_lengths.append(first_length)
            packed += len(ids) - 2 - bool(second)
        counts.dropped_tokens += len(tokens) - packed


class _Examples:
    """Examples of one split.

    Attributes:
      ids: int32 token ids of each example, without padding.
      first_lengths: number of tokens of each first segment.
    """

    def __init__(self) -> None:
        self.ids: list[np.ndarray] = []
        self.first_lengths: list[int] = []

    def unigram(self, vocab_size: int) -> np.ndarray:
        """Return int64 `[vocab_size]`, how often each id occurs."""
        every = np.concatenate(self.ids) if self.ids else np.empty(0, np.int32)
        return np.bincount(every, minlength=vocab_size)

    def records(self, length: int) -> tuple[bytes, np.ndarray]:
        """Return framed records of `length` tokens, one after another, and int64 sizes in bytes."""
        lengths = np.array([len(ids) for ids in self.ids], np.int64)
        table = np.zeros((len(self.ids), length), np.int32)
        for number, ids in enumerate(self.ids):
            table[number, : len(ids)] = ids
        serialized = serialize(table, lengths, np.array(self.first_lengths, np.int64))
        framed = [framing.frame(example) for example in serialized]
        return b"".join(framed), np.array([len(record) for record in framed], np.int64)
