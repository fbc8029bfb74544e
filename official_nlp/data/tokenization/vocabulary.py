"""Train a vocabulary on text."""

import collections
import dataclasses
import itertools
import os
import pathlib
import unicodedata
from collections.abc import Iterable, Iterator

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from official_nlp.data import corpus
from official_nlp.data.tokenization import wordpiece, words
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.tokenizer_files import MODEL_FILE
from official_nlp.errors import InputError
from official_nlp.files.staged_folders import staged
from official_nlp.progress import ByteProgress

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
KINDS = ("wordpiece", "sentencepiece", "sentencepiece-bpe")

# The SentencePiece trainer needs memory of many times the size of its text.
_LEARN_BYTES = {kind: 2_000_000_000 if kind == "wordpiece" else 100_000_000 for kind in KINDS}
_PREFIX = words.WORDPIECE_MARK
# Maximum fraction of the vocabulary for single characters: rare ones would displace words.
_CHARACTERS_FRACTION = 0.75
_SMALLEST_SIZE = 64
_SAMPLED_DOCUMENTS = 256
_SAMPLED_CHARACTERS = 10_000
# More than English has. In Hindi or Japanese marks tell words apart, and every fifth character has
# one.
_MANY_MARKS = 0.01


def train_vocabulary(
    files: str | os.PathLike | Iterable[str | os.PathLike],
    to: str | os.PathLike,
    size: int = 30522,
    lower_case: bool = True,
    strip_accents: bool | None = None,
    min_frequency: int = 2,
    learn_bytes: int | None = None,
    progress: bool = True,
    kind: str = "wordpiece",
) -> ElectraTokenizer:
    """Train a vocabulary, and write it as a tokenizer folder.

    The result depends on the text and the arguments only. A WordPiece vocabulary holds, in this
    order, special tokens, characters, characters inside a word, and pieces as they were merged.

    Args:
      files: files, globs or folders of text, see `corpus.find`.
      to: the folder to make.
      size: maximum number of tokens; a small text results in fewer.
      lower_case: lower-case the text.
      strip_accents: remove accents; None: if text is lower-cased. SentencePiece keeps them.
      min_frequency: number of times that a piece of WordPiece must occur.
      learn_bytes: train on about this many bytes (as stored on disk) of evenly spaced documents if
        the files are larger; None: 2 GB for WordPiece, 100 MB for SentencePiece, which takes more
        time and memory.
      progress: show a progress bar, and print size and fraction of unknown tokens.
      kind: "wordpiece", which splits words into pieces; "sentencepiece" (a unigram model) or
        "sentencepiece-bpe", which also suit languages without spaces, like Japanese or Thai.

    Returns:
      The tokenizer that was saved.

    Raises:
      InputError: if there is no text, text cannot be read, `to` is not empty or cannot be written,
        or an argument is out of range.
    """
    if size < _SMALLEST_SIZE:
        raise InputError(
            f"size must be at least {_SMALLEST_SIZE} tokens, was {size}; 30522 is usual"
        )
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}, was {kind!r}")
    if kind != "wordpiece" and strip_accents:
        raise InputError(
            f"strip_accents must be left out for kind={kind!r}, which keeps accents, was True; "
            'kind="wordpiece" can remove them'
        )
    learn_bytes = _LEARN_BYTES[kind] if learn_bytes is None else learn_bytes
    if min_frequency < 1 or learn_bytes < 1:
        raise InputError(
            "min_frequency and learn_bytes must be at least 1, "
            f"were min_frequency={min_frequency}, learn_bytes={learn_bytes}"
        )
    found = corpus.find(files)
    if progress and found.skipped:
        print(found.describe())
    with staged(to) as folder:
        text = _Text(found.files, learn_bytes, progress)
        if kind == "wordpiece":
            casing = {"do_lower_case": lower_case, "strip_accents": strip_accents}
            tokenizer, sample, removed = _learn_wordpiece(text, casing, min_frequency, size)
            tokenizer.save_pretrained(folder)
        else:
            tokenizer, sample = _learn_sentencepiece(text, folder, kind, lower_case, size)
            removed = _Removed()
    if progress:
        print(_summary(tokenizer, size, text.stride, sample))
        for line in removed.describe(advise=strip_accents is None):
            print(line)
    return tokenizer


class _Text:
    """The documents to train on.

    Attributes:
      stride: one in this many documents is used.
    """

    def __init__(self, files: list[pathlib.Path], learn_bytes: int, progress: bool):
        self._files = files
        self._total = sum(file.stat().st_size for file in files)
        self._progress = progress
        self.stride = max(1, -(-self._total // learn_bytes))

    def documents(self, what: str) -> Iterator[list[str]]:
        """Yield the lines of each document, showing progress under the name `what`."""
        with ByteProgress(what, self._total, self._progress) as bar:
            yield from itertools.islice(
                corpus.documents(self._files, bar.advance), 0, None, self.stride
            )


class _Sample:
    """The first characters of evenly spaced documents.

    The number of documents is not known in advance: whenever the sample is full, every second one
    is dropped, and further ones are added half as often.

    Attributes:
      documents: the lines of each document of the sample.
    """

    def __init__(self) -> None:
        self.documents: list[list[str]] = []
        self._every, self._number = 1, 0

    def add(self, joined: str) -> None:
        """Consider the next document for the sample."""
        if self._number % self._every == 0:
            self.documents.append(joined[:_SAMPLED_CHARACTERS].split("\n"))
        if len(self.documents) > _SAMPLED_DOCUMENTS:
            self.documents, self._every = self.documents[::2], self._every * 2
        self._number += 1


@dataclasses.dataclass
class _Removed:
    """What does not contribute to a WordPiece vocabulary.

    Attributes:
      characters: number of characters of the text, spaces excluded.
      marks: number of accents and other combining marks that normalization removes, those of
        composed characters included.
      control: number of control and format characters that normalization removes.
      long_words: number of words that are too long.
    """

    characters: int = 0
    marks: int = 0
    control: int = 0
    long_words: int = 0

    def describe(self, advise: bool) -> Iterator[str]:
        """Yield a line for each kind that occurs; `advise` adds how to keep accents."""
        if self.marks:
            fraction = self.marks / self.characters
            percent = f"{fraction:.2%}" if fraction >= 0.00005 else "below 0.01%"
            advice = ": --keep-accents keeps them (strip_accents=False in Python)"
            yield (
                f"removed accents, vowel signs and other marks: {self.marks:,} ({percent} of "
                f"the characters){advice if advise and fraction > _MANY_MARKS else ''}"
            )
        if self.control:
            yield f"removed control and format characters: {self.control:,}"
        if self.long_words:
            yield (
                f"not learned from, words of more than {wordpiece.MAX_WORD_CHARACTERS} characters, "
                f"which are always unknown: {self.long_words:,}"
            )


def _learn_sentencepiece(
    text: _Text, folder: pathlib.Path, kind: str, lower_case: bool, size: int
) -> tuple[ElectraTokenizer, list[list[str]]]:
    # WordPiece does not need the package.
    from official_nlp.data.tokenization import sentencepiece_training

    sample = _Sample()

    def lines() -> Iterator[str]:
        for document in text.documents("Reading text"):
            sample.add("\n".join(document))
            yield from document

    algorithm = "bpe" if kind == "sentencepiece-bpe" else "unigram"
    model = sentencepiece_training.train(lines(), size, algorithm, lower_case, SPECIAL_TOKENS)
    (folder / MODEL_FILE).write_bytes(model)
    tokenizer = ElectraTokenizer(folder / MODEL_FILE)
    tokenizer.save_pretrained(folder)
    return tokenizer, sample.documents


def _learn_wordpiece(
    text: _Text, casing: dict, min_frequency: int, size: int
) -> tuple[ElectraTokenizer, list[list[str]], _Removed]:
    blank = ElectraTokenizer(SPECIAL_TOKENS, **casing)
    characters, sample, removed = _count_characters(text, blank)
    alphabet, inside = _choose_characters(characters, blank, min_frequency, size)
    words = _ShortWords(blank)
    pieces = _learn_pieces(text, blank, alphabet, inside, min_frequency, size, words)
    removed.long_words = words.dropped
    tokenizer = ElectraTokenizer([*SPECIAL_TOKENS, *alphabet, *inside, *pieces], **casing)
    return tokenizer, sample, removed


def _count_characters(
    text: _Text, blank: ElectraTokenizer
) -> tuple[collections.Counter, list[list[str]], _Removed]:
    """Count the characters of the normalized text and what is removed; also return a sample."""
    normalizer = _normalizer(blank)
    characters: collections.Counter = collections.Counter()
    raw: collections.Counter = collections.Counter()
    sample = _Sample()
    for document in text.documents("Counting characters"):
        joined = "\n".join(document)
        raw.update(joined)
        characters.update(normalizer.normalize_str(joined))
        sample.add(joined)
    # No piece contains white space, at which words are split.
    for space in [character for character in characters if character.isspace()]:
        del characters[space]
    if not characters:
        raise InputError(corpus.NO_TEXT)
    return characters, sample.documents, _count_removed(raw, normalizer)


def _count_removed(characters: collections.Counter, normalizer: normalizers.Normalizer) -> _Removed:
    """Count what normalization removes from a text with these characters."""
    removed = _Removed()
    for character, count in characters.items():
        if character.isspace():
            continue
        removed.characters += count
        # Not NFKD: normalization keeps compatibility characters as they are.
        marks = sum(map(_is_mark, unicodedata.normalize("NFD", character)))
        # Behind a letter, because a mark alone has nothing that it could belong to.
        left = normalizer.normalize_str(f"a{character}")
        if marks and not any(map(_is_mark, unicodedata.normalize("NFD", left))):
            removed.marks += count * marks
        elif left == "a":
            removed.control += count
    return removed


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) == "Mn"


def _choose_characters(
    counts: collections.Counter, blank: ElectraTokenizer, min_frequency: int, size: int
) -> tuple[list[str], list[str]]:
    """Return the characters that begin a word, and, with prefix, that continue one, sorted."""
    normalizer, pre_tokenizer = _normalizer(blank), pre_tokenizers.BertPreTokenizer()
    room = int(_CHARACTERS_FRACTION * size) - len(SPECIAL_TOKENS)
    alphabet: list[str] = []
    inside: list[str] = []
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        # Punctuation marks and Chinese characters are words of their own, never inside one.
        words = pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(f"a{character}"))
        continues = len(words) == 1
        if count < min_frequency or len(alphabet) + len(inside) + 1 + continues > room:
            break
        alphabet.append(character)
        if continues:
            inside.append(_PREFIX + character)
    return sorted(alphabet), sorted(inside)


def _learn_pieces(
    text: _Text,
    blank: ElectraTokenizer,
    alphabet: list[str],
    inside: list[str],
    min_frequency: int,
    size: int,
    words: "_ShortWords",
) -> list[str]:
    """Return the pieces that the trainer merges from characters, in that order."""
    engine = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    engine.normalizer = _normalizer(blank)
    engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # The trainer numbers characters in the order of a hash table, which differs between processes,
    # and breaks ties by number. With all characters passed in order, nothing is left to chance.
    known = [*SPECIAL_TOKENS, *inside]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=known,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        continuing_subword_prefix=_PREFIX,
        show_progress=False,
    )
    documents = (list(map(words.of, document)) for document in text.documents("Learning pieces"))
    engine.train_from_iterator(documents, trainer)
    ids = engine.get_vocab()
    characters = {*known, *alphabet}
    return [token for token in sorted(ids, key=ids.__getitem__) if token not in characters]


class _ShortWords:
    """Leaves out words that are always unknown because they are too long.

    The trainer takes time that grows with the square of the length of a word.

    Attributes:
      dropped: number of words left out.
    """

    def __init__(self, blank: ElectraTokenizer) -> None:
        self._normalizer = _normalizer(blank)
        self._split = pre_tokenizers.BertPreTokenizer()
        self.dropped = 0

    def of(self, line: str) -> str:
        """Return a line without its words that are too long."""
        longest = wordpiece.MAX_WORD_CHARACTERS
        # Most lines have spaces, and are not worth splitting here.
        if len(line) <= longest or max(map(len, line.split())) <= longest:
            return line
        words = self._split.pre_tokenize_str(self._normalizer.normalize_str(line))
        short = [word for word, _ in words if len(word) <= longest]
        self.dropped += len(words) - len(short)
        return " ".join(short)


def _normalizer(blank: ElectraTokenizer) -> normalizers.Normalizer:
    return wordpiece.make_normalizer(blank.do_lower_case, blank.strip_accents)


def _summary(tokenizer: ElectraTokenizer, size: int, stride: int, sample: list[list[str]]) -> str:
    ids = [id for document in sample for line in tokenizer.encode_ids(document) for id in line]
    unknown = ids.count(tokenizer.unk_token_id) / max(1, len(ids))
    note = f"vocabulary of {tokenizer.vocab_size:,} tokens"
    if tokenizer.vocab_size < size:
        note += f" ({size:,} requested, but the text has no more pieces that are frequent enough)"
    if stride > 1:
        note += f", trained on one in {stride} documents"
    return f"{note}; {unknown:.3%} of {len(ids):,} tokens in a sample are unknown"
