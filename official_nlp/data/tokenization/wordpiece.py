"""WordPiece, on the `tokenizers` package."""

import itertools
import pathlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from official_nlp.data.tokenization.added_tokens import AddedToken
from official_nlp.data.tokenization.engine import Pieces, Segment, join_words
from official_nlp.data.tokenization.words import WORDPIECE_MARK, WordJoins, wordpiece_joins
from official_nlp.errors import InputError
from official_nlp.files import guarded

FILE = "vocab.txt"
# BERT's limit: longer words are unknown as a whole.
MAX_WORD_CHARACTERS = 100

# The white space of `str.split`. The engine's own splitter lacks the four separators.
_WHITE_SPACE = r"[\s\x1c-\x1f]+"
_WORD = re.compile(r"\S+")


class _Span(NamedTuple):
    """A part of a text: either text to split, or a word of `never_split`.

    Attributes:
      start: index of its first character in the text.
      text: the characters.
      token: the word of `never_split` that it is; None: it is text to split.
    """

    start: int
    text: str
    token: str | None = None


class WordPiece:
    """Splits text into the pieces of a WordPiece vocabulary; see `Engine`.

    Attributes:
      vocab: the tokens in order of their ids; added tokens come last.
      words_are_apart: whether the ids of a text are the ids of its words, split at spaces,
        concatenated.
    """

    def __init__(
        self,
        vocab: Sequence[str],
        file_size: int,
        roles: Mapping[str, str],
        added: Sequence[AddedToken],
        normalizer: normalizers.Normalizer | None,
        prefix: str = WORDPIECE_MARK,
        never_split: Collection[str] = (),
        lowers: bool = False,
    ):
        """Make an engine.

        Args:
          vocab: the tokens.
          file_size: number of tokens in the vocabulary file; the others are added tokens.
          roles: the special tokens by their roles, like "mask_token"; all in the vocabulary.
          added: tokens that are matched before words are split, in order of ids.
          normalizer: normalizes characters before words are split; None: nothing is normalized,
            and words are split at white space only.
          prefix: marks a piece that continues a word.
          never_split: words between white space that are not split.
          lowers: words that match one of these when lower-cased are not split either.

        Raises:
          InputError: if normalization leaves nothing of an added token, or makes two equal.
        """
        self.vocab = list(vocab)
        self._ids = {token: id for id, token in enumerate(self.vocab)}
        self._file_size, self._roles, self._added = file_size, roles, added
        self._prefix, self._decoder = prefix, decoders.WordPiece(prefix, cleanup=False)
        self._never_split, self._lowers = frozenset(never_split), lowers
        self._engine = self._make_engine(normalizer)
        # The same, except that special tokens' names are ordinary text.
        self._plain = self._make_engine(normalizer)
        self._plain.encode_special_tokens = True
        self.words_are_apart = not any(
            character.isspace() for token in added for character in token.content
        )

    @property
    def backend(self) -> tokenizers.Tokenizer:
        """The tokenizer of the `tokenizers` package, which ignores `never_split`."""
        return self._engine

    def split(self, texts: Sequence[str], detail: bool) -> Sequence[Pieces]:
        """See `Engine.split`."""
        if self._never_split:
            return self._segments(texts, self._engine, detail)
        return _encodings(self._engine, list(texts), detail)

    def split_words(self, texts: Sequence[Sequence[str]], detail: bool) -> Sequence[Pieces]:
        """See `Engine.split_words`."""
        if self._never_split:
            words = [word for text in texts for word in text]
            segments = iter(self._segments(words, self._engine, detail))
            return [join_words(next(segments) for _ in text) for text in texts]
        return _encodings(self._engine, list(map(list, texts)), detail, is_pretokenized=True)

    def encode_plain(self, texts: Sequence[str]) -> list[np.ndarray]:
        """See `Engine.encode_plain`."""
        pieces: Sequence[Pieces]
        if self._never_split:
            pieces = self._segments(texts, self._plain, False)
        else:
            pieces = _encodings(self._plain, list(texts), False)
        return [np.array(each.ids, np.int32) for each in pieces]

    def join(self, tokens: Sequence[str]) -> str:
        """See `Engine.join`."""
        return self._decoder.decode(list(tokens))

    def word_joins(self, special: Sequence[int]) -> WordJoins:
        """See `Engine.word_joins`."""
        return wordpiece_joins(self.vocab, special, self._prefix)

    def file_content(self) -> bytes:
        """See `Engine.file_content`."""
        return file_text(self.vocab[: self._file_size], "vocab").encode()

    def identity(self) -> bytes:
        """See `Engine.identity`."""
        return "\n".join(self.vocab).encode()

    def tokenizer_json(self) -> str | None:
        """See `Engine.tokenizer_json`.

        The format has no place for `never_split`, and its readers expect a normalizer.
        """
        if self._engine.normalizer is None or self._never_split:
            return None
        return self._engine.to_str(pretty=True)

    def _make_engine(self, normalizer: normalizers.Normalizer | None) -> tokenizers.Tokenizer:
        engine = tokenizers.Tokenizer(
            models.WordPiece(
                {token: self._ids[token] for token in self.vocab[: self._file_size]},
                unk_token=self._roles["unk_token"],
                max_input_chars_per_word=MAX_WORD_CHARACTERS,
                continuing_subword_prefix=self._prefix,
            )
        )
        if normalizer is None:
            engine.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(_WHITE_SPACE), "removed")
        else:
            engine.normalizer = normalizer
            engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        # `Framing` adds special tokens; this is for programs that read tokenizer.json.
        sep, cls = self._roles["sep_token"], self._roles["cls_token"]
        engine.post_processor = processors.BertProcessing(
            (sep, self._ids[sep]), (cls, self._ids[cls])
        )
        engine.decoder = decoders.WordPiece(self._prefix)
        _check_normalized(self._added, normalizer)
        for token in self._added:
            (engine.add_special_tokens if token.special else engine.add_tokens)([_entry(token)])
        return engine

    # === Words that are never split ===
    #
    # The `tokenizers` package has added tokens, but these are also found inside of words. So texts
    # are split here around the words of `never_split`, and the engine gets the rest.

    def _segments(
        self, texts: Sequence[str], engine: tokenizers.Tokenizer, detail: bool
    ) -> list[Segment]:
        spans = [list(self._spans(text)) for text in texts]
        rest = [span.text for span in itertools.chain(*spans) if span.token is None]
        found = iter(_encodings(engine, rest, detail))
        return [self._concatenated(each, found, detail) for each in spans]

    def _concatenated(
        self, spans: Sequence[_Span], found: Iterator[tokenizers.Encoding], detail: bool
    ) -> Segment:
        """Return the pieces of a text; `found` yields those of the spans to split."""
        joined, words = Segment([], [], []), 0
        for span in spans:
            segment = (
                _segment(next(found), detail)
                if span.token is None
                else self._whole_word(span.token, len(span.text), detail)
            )
            joined.ids.extend(segment.ids)
            joined.offsets.extend((span.start + a, span.start + b) for a, b in segment.offsets)
            joined.words.extend(words + word for word in segment.words)
            words = joined.words[-1] + 1 if joined.words else 0
        return joined

    def _whole_word(self, token: str, length: int, detail: bool) -> Segment:
        id = self._ids.get(token, self._ids[self._roles["unk_token"]])
        return Segment([id], [(0, length)] * detail, [0] * detail)

    def _spans(self, text: str) -> Iterator[_Span]:
        done = 0
        for match in _WORD.finditer(text):
            word = match[0]
            if word not in self._never_split and self._lowers:
                word = word.lower()
            if word in self._never_split:
                yield _Span(done, text[done : match.start()])
                yield _Span(match.start(), match[0], word)
                done = match.end()
        yield _Span(done, text[done:])


def make_normalizer(
    do_lower_case: bool,
    strip_accents: bool | None,
    tokenize_chinese_chars: bool = True,
    clean_text: bool = True,
) -> normalizers.BertNormalizer:
    """Return the normalizer for these arguments of `ElectraTokenizer`."""
    return normalizers.BertNormalizer(
        clean_text=clean_text,
        handle_chinese_chars=tokenize_chinese_chars,
        strip_accents=strip_accents,
        lowercase=do_lower_case,
    )


def read_vocabulary(file: pathlib.Path) -> list[str]:
    """Return the tokens of a file with one token a line.

    A byte order mark and blank lines at the end are no tokens. A blank line between tokens is one,
    because the tokens after it would get other ids without it.

    Raises:
      InputError: if the file cannot be read, is not UTF-8, or holds no tokens.
    """
    text = guarded.read_text(file, "give a vocabulary, UTF-8 text with one token a line")
    # Not splitlines: it also splits at characters that can be tokens.
    tokens = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    if tokens == [""]:
        raise InputError(
            f"{file} must be a vocabulary with one token a line, but is empty; copy it again"
        )
    return tokens


def file_text(tokens: Sequence[str], source: str) -> str:
    """Return the content of a vocabulary file.

    Args:
      tokens: the tokens in order of their ids.
      source: name of the vocabulary in messages.

    Raises:
      InputError: if the file could not hold a token: `read_vocabulary` would return others.
    """
    for id, token in enumerate(tokens):
        reason = _unstorable(token, is_first=id == 0, is_last=id == len(tokens) - 1)
        if reason:
            raise InputError(
                f"{source}: token {id} is {token!r}, which {FILE} cannot hold, because {reason}; "
                "replace it by a name that does not occur in text, like [unused0]"
            )
    return "".join(f"{token}\n" for token in tokens)


def _unstorable(token: str, is_first: bool, is_last: bool) -> str | None:
    """Return why a file with one token a line cannot hold a token, None if it can."""
    if "\n" in token or "\r" in token:
        return "it contains a line break"
    if is_first and token.startswith("\ufeff"):
        return "a byte order mark at the beginning of a file is no text"
    if is_last and not token:
        return "blank lines at the end are no tokens"
    try:
        token.encode()
    except UnicodeEncodeError:
        return "it has a character that UTF-8 does not have"
    return None


def _check_normalized(
    tokens: Sequence[AddedToken], normalizer: normalizers.Normalizer | None
) -> None:
    """Raise InputError for added tokens that cannot be recognized in normalized text."""
    found: dict[str, AddedToken] = {}
    for token in tokens:
        if not (token.normalized and normalizer):
            continue
        text = normalizer.normalize_str(token.content)
        if not text:
            # The engine would find it everywhere, and never end.
            raise InputError(
                f"the added token {token.content!r} must not be `normalized`, as normalization "
                "leaves nothing of it; give it normalized=False"
            )
        other = found.setdefault(text, token)
        if other is not token:
            raise InputError(
                f"the added tokens {other.content!r} and {token.content!r} must not both be "
                f"`normalized`, as normalization makes both {text!r}; give one of them "
                "normalized=False, or leave it out"
            )


def _encodings(
    engine: tokenizers.Tokenizer, texts: list, detail: bool, is_pretokenized: bool = False
) -> list[tokenizers.Encoding]:
    # The fast variant leaves out offsets.
    encode = engine.encode_batch if detail else engine.encode_batch_fast
    return encode(texts, is_pretokenized=is_pretokenized, add_special_tokens=False)


def _segment(encoding: tokenizers.Encoding, detail: bool) -> Segment:
    if not detail:
        return Segment(encoding.ids, [], [])
    words = [word for word in encoding.word_ids if word is not None]
    return Segment(encoding.ids, encoding.offsets, words)


def _entry(token: AddedToken) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(
        token.content,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=token.normalized,
        special=token.special,
    )
