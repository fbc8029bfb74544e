"""Documents to framed records: what each process of `build_examples` does."""

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
    """How examples are made.

    Attributes:
      tokenizer: the tokenizer's folder.
      length: numbers in a row.
      seed: of the random draws, together with the document's number.
      segments: 1 or 2.
      original: pack exactly as the original does.
      held_out_below: documents with a hash below this, of 2^64, are held out.
    """

    tokenizer: str
    length: int
    seed: int
    segments: int
    original: bool
    held_out_below: int


@dataclasses.dataclass(frozen=True)
class Block:
    """Consecutive documents: lines each, and the number of the first."""

    documents: list[list[str]]
    first_number: int


@dataclasses.dataclass
class Counts:
    """Sums over documents, and extremes. Tokens are those of the text, without [CLS] and [SEP]."""

    documents: int = 0
    held_out_documents: int = 0
    text_bytes: int = 0
    tokens: int = 0
    unknown_tokens: int = 0
    dropped_tokens: int = 0
    stored_tokens: int = 0  # [CLS] and [SEP] counted
    longest_row: int = 0
    largest_id: int = 0
    smallest_hash: int = HASH_RANGE

    def add(self, other: "Counts"):
        extremes = {"longest_row": max, "largest_id": max, "smallest_hash": min}
        for field in dataclasses.fields(self):
            join = extremes.get(field.name, sum)
            setattr(self, field.name, join((getattr(self, field.name), getattr(other, field.name))))


@dataclasses.dataclass(frozen=True)
class Built:
    """What became of a block.

    Attributes:
      records: for each split, the bytes of its TFRecords.
      sizes: for each split, the size of each record, checksums included.
      unigram: int64 `[vocabulary]`, how often each id is a real token of the train split.
      held_out_text: the documents that were held out, a blank line behind each.
      counts: the rest.
    """

    records: dict[str, bytes]
    sizes: dict[str, np.ndarray]
    unigram: np.ndarray
    held_out_text: str
    counts: Counts


class BlockBuilder:
    """Makes examples of blocks of documents; each document's depend on it and its number alone."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._tokenizer = ElectraTokenizer.from_pretrained(settings.tokenizer)
        self._encoder = LineEncoder(self._tokenizer)
        self._joins = self._tokenizer.word_joins

    def __call__(self, block: Block) -> Built:
        counts = Counts()
        rows = {features.TRAIN: _Rows(), features.HELD_OUT: _Rows()}
        held_out_text = []
        lines = [line for document in block.documents for line in document]
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
            self._pack(number, tokens, lengths.tolist(), rows[split], counts)
        counts.documents = len(block.documents)
        counts.tokens = len(ids)
        counts.unknown_tokens = int((ids == self._tokenizer.unk_token_id).sum())
        return self._finish(rows, "".join(held_out_text), counts)

    def _finish(self, rows: "dict[str, _Rows]", held_out_text: str, counts: Counts) -> Built:
        records, sizes = {}, {}
        for split, split_rows in rows.items():
            records[split], sizes[split] = split_rows.records(self._settings.length)
        every = [row for split_rows in rows.values() for row in split_rows.ids]
        counts.stored_tokens = sum(map(len, every))
        counts.longest_row = max(map(len, every), default=0)
        counts.largest_id = max((int(row.max()) for row in every), default=0)
        unigram = rows[features.TRAIN].unigram(self._tokenizer.vocab_size)
        return Built(records, sizes, unigram, held_out_text, counts)

    def _split(self, text: str, counts: Counts) -> str:
        data = text.encode()
        digest = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
        counts.text_bytes += len(data) + 1
        counts.smallest_hash = min(counts.smallest_hash, digest)
        held_out = digest < self._settings.held_out_below
        return features.HELD_OUT if held_out else features.TRAIN

    def _pack(self, number: int, tokens: np.ndarray, lengths: list[int], rows: "_Rows", counts):
        settings = self._settings
        cls, sep = [self._tokenizer.cls_token_id], [self._tokenizer.sep_token_id]
        draw = random.Random(f"{settings.seed} {number}")
        kept = 0
        continues = self._joins.continues(tokens).tolist()
        options = settings.length, draw, settings.segments, settings.original
        for first, second in packing.pack(lengths, continues, *options):
            parts = [cls, *(tokens[start:end] for start, end in first), sep]
            first_length = sum(map(len, parts))
            if second:
                parts += [*(tokens[start:end] for start, end in second), sep]
            row = np.concatenate(parts, dtype=np.int32)
            rows.ids.append(row)
            rows.first_lengths.append(first_length)
            kept += len(row) - 2 - bool(second)
        counts.dropped_tokens += len(tokens) - kept


class _Rows:
    def __init__(self):
        self.ids: list[np.ndarray] = []
        self.first_lengths: list[int] = []

    def unigram(self, vocab_size: int) -> np.ndarray:
        every = np.concatenate(self.ids) if self.ids else np.empty(0, np.int32)
        return np.bincount(every, minlength=vocab_size)

    def records(self, length: int) -> tuple[bytes, np.ndarray]:
        lengths = np.array([len(row) for row in self.ids], np.int64)
        table = np.zeros((len(self.ids), length), np.int32)
        for place, row in enumerate(self.ids):
            table[place, : len(row)] = row
        examples = serialize(table, lengths, np.array(self.first_lengths, np.int64))
        framed = [framing.frame(example) for example in examples]
        return b"".join(framed), np.array([len(record) for record in framed], np.int64)
