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
from official_nlp.data.tokenization.rows import Segment
from official_nlp.data.tokenization.words import WORDPIECE_MARK, WordJoins, wordpiece_joins
from official_nlp.errors import InputError

FILE = "vocab.txt"
# What has more characters is unknown as a whole.
LONGEST_WORD = 100

# What Python cuts at in str.split; the engine alone would leave out the four separators.
_WHITE_SPACE = r"[\s\x1c-\x1f]+"
_WORD = re.compile(r"\S+")


class _Part(NamedTuple):
    """A piece of a text, and the token that it is kept as."""

    start: int
    text: str
    token: str | None = None


class WordPiece:
    """Cuts text into the pieces of a vocabulary: what `ElectraTokenizer` does with `vocab.txt`.

    Attributes:
      vocab: the tokens in order of their ids, those that were added behind.
      words_are_apart: the ids of a text are those of its words, cut at spaces, one after another.
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
        """Makes an engine.

        Args:
          vocab: the tokens.
          file_size: how many of them the vocabulary's file has; the others are added ones.
          roles: the special tokens by what they are for; all in the vocabulary.
          added: what is looked for in a text before words are cut, in order of ids.
          normalizer: what is done to characters before words are cut; None: nothing, and words
            are cut at white space alone.
          prefix: marks a piece that goes on with a word.
          never_split: words between white space that stay whole.
          lowers: so do those that are one of them when lower-cased.

        Raises:
          InputError: an added token of which nothing is left in a text, or two that are the same.
        """
        self.vocab = list(vocab)
        self._ids = {token: place for place, token in enumerate(self.vocab)}
        self._file_size, self._roles, self._added = file_size, roles, added
        self._prefix, self._decoder = prefix, decoders.WordPiece(prefix, cleanup=False)
        self._kept, self._lowers = frozenset(never_split), lowers
        self._engine = self._make_engine(normalizer)
        # The same, but special tokens' names in the text are text.
        self._plain = self._make_engine(normalizer)
        self._plain.encode_special_tokens = True
        self.words_are_apart = not any(
            character.isspace() for token in added for character in token.content
        )

    @property
    def backend(self) -> tokenizers.Tokenizer:
        """The engine of the `tokenizers` package; words that are never split it knows not."""
        return self._engine

    def segments(self, texts: Sequence[str], detail: bool) -> list[Segment]:
        """The pieces of texts; with `detail` their offsets and words too."""
        if self._kept:
            return self._segments_around(texts, self._engine, detail)
        return _segments(self._engine, texts, detail)

    def encode_plain(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of texts, in which nothing is special, int32 each."""
        if self._kept:
            segments = self._segments_around(texts, self._plain, False)
            return [np.array(segment.ids, np.int32) for segment in segments]
        encodings = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.int32) for encoding in encodings]

    def join(self, tokens: Sequence[str]) -> str:
        """The text of pieces."""
        return self._decoder.decode(list(tokens))

    def joins(self, special: Sequence[int]) -> WordJoins:
        """Which pieces make words together; `special` are the ids that carry no text."""
        return wordpiece_joins(self.vocab, special, self._prefix)

    def content(self) -> bytes:
        """What the vocabulary's file holds."""
        return "".join(f"{token}\n" for token in self.vocab[: self._file_size]).encode()

    def identity(self) -> bytes:
        """What its hash is made of."""
        return "\n".join(self.vocab).encode()

    def tokenizer_json(self) -> str | None:
        """The engine as the `tokenizers` package stores it.

        None where it would not say all: `never_split` has no place in it, and readers of it expect
        a normaliser.
        """
        whole = self._engine.normalizer is not None and not self._kept
        return self._engine.to_str(pretty=True) if whole else None

    def _make_engine(self, normalizer) -> tokenizers.Tokenizer:
        engine = tokenizers.Tokenizer(
            models.WordPiece(
                {token: self._ids[token] for token in self.vocab[: self._file_size]},
                unk_token=self._roles["unk_token"],
                max_input_chars_per_word=LONGEST_WORD,
                continuing_subword_prefix=self._prefix,
            )
        )
        if normalizer is None:
            engine.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(_WHITE_SPACE), "removed")
        else:
            engine.normalizer = normalizer
            engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        # Rows are framed elsewhere: this is for those who read tokenizer.json.
        sep, cls = self._roles["sep_token"], self._roles["cls_token"]
        engine.post_processor = processors.BertProcessing(
            (sep, self._ids[sep]), (cls, self._ids[cls])
        )
        engine.decoder = decoders.WordPiece(self._prefix)
        _check_normalized(self._added, normalizer)
        for token in self._added:
            (engine.add_special_tokens if token.special else engine.add_tokens)([_entry(token)])
        return engine

    def _segments_around(self, texts, engine, detail: bool) -> list[Segment]:
        """The pieces of texts, of which the words that are never split stay whole."""
        parts = [list(self._parts(text)) for text in texts]
        cut = [part.text for part in itertools.chain(*parts) if part.token is None]
        found = iter(_segments(engine, cut, detail))
        return [self._put_together(each, found, detail) for each in parts]

    def _put_together(self, parts: list[_Part], found: Iterator[Segment], detail: bool):
        joined, words = Segment([], [], []), 0
        for part in parts:
            segment = next(found) if part.token is None else self._kept_word(part, detail)
            joined.ids.extend(segment.ids)
            joined.offsets.extend((part.start + a, part.start + b) for a, b in segment.offsets)
            joined.words.extend(words + number for number in segment.words)
            words = joined.words[-1] + 1 if joined.words else 0
        return joined

    def _kept_word(self, part: _Part, detail: bool) -> Segment:
        id = self._ids.get(part.token, self._ids[self._roles["unk_token"]])
        return Segment([id], [(0, len(part.text))] * detail, [0] * detail)

    def _parts(self, text: str) -> Iterator[_Part]:
        done = 0
        for match in _WORD.finditer(text):
            word = match[0]
            if word not in self._kept and self._lowers:
                word = word.lower()
            if word in self._kept:
                yield _Part(done, text[done : match.start()])
                yield _Part(match.start(), match[0], word)
                done = match.end()
        yield _Part(done, text[done:])


def _check_normalized(tokens: Sequence[AddedToken], normalizer):
    """Raises InputError for tokens that the engine could not tell in the treated text."""
    found: dict[str, AddedToken] = {}
    for token in tokens:
        if not (token.normalized and normalizer):
            continue
        text = normalizer.normalize_str(token.content)
        if not text:
            # It would be found everywhere, without an end.
            raise InputError(
                f"the added token {token.content!r} must not be `normalized`, as that leaves "
                "nothing of it; give it normalized=False"
            )
        other = found.setdefault(text, token)
        if other is not token:
            raise InputError(
                f"the added tokens {other.content!r} and {token.content!r} must not both be "
                f"`normalized`, as that makes both {text!r}; give one of them normalized=False, or "
                "leave it out"
            )


def make_normalizer(
    do_lower_case: bool,
    strip_accents: bool | None,
    tokenize_chinese_chars: bool = True,
    clean_text: bool = True,
) -> normalizers.BertNormalizer:
    """What is done to characters, as the arguments of `ElectraTokenizer` say."""
    return normalizers.BertNormalizer(
        clean_text=clean_text,
        handle_chinese_chars=tokenize_chinese_chars,
        strip_accents=strip_accents,
        lowercase=do_lower_case,
    )


def read_vocabulary(file: pathlib.Path) -> list[str]:
    """The tokens of a file that has one a line.

    Raises:
      InputError: no such file, or it is not UTF-8.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}: a vocabulary must be UTF-8 text, but byte {error.start} is not; convert it"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read the vocabulary {file}: {error.strerror}") from error
    # Not splitlines: other separators than the newline are characters of tokens.
    return text.removesuffix("\n").split("\n")


def _segments(engine: tokenizers.Tokenizer, texts: Sequence[str], detail: bool) -> list[Segment]:
    # Without offsets the engine is faster.
    encode = engine.encode_batch if detail else engine.encode_batch_fast
    encodings = encode(list(texts), add_special_tokens=False)
    if not detail:
        return [Segment(encoding.ids, [], []) for encoding in encodings]
    return [Segment(each.ids, each.offsets, each.word_ids) for each in encodings]


def _entry(token: AddedToken) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(
        token.content,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=token.normalized,
        special=token.special,
    )
