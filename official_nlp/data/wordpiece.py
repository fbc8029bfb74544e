"""WordPiece, on the `tokenizers` package."""

import pathlib
import threading
from collections.abc import Mapping, Sequence

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from official_nlp.data.words import WordJoins, wordpiece_joins
from official_nlp.errors import InputError

FILE = "vocab.txt"

_LONGEST_WORD = 100


class WordPiece:
    """Cuts text into the pieces of a vocabulary: what `ElectraTokenizer` does with `vocab.txt`.

    Attributes:
      vocab: the tokens in order of their ids.
      words_are_apart: the ids of a text are those of its words, one after another.
    """

    words_are_apart = True

    def __init__(
        self,
        vocab: Sequence[str],
        roles: Mapping[str, str],
        normalizer: normalizers.Normalizer,
    ):
        """Makes an engine.

        Args:
          vocab: the tokens.
          roles: the special tokens by what they are for; all in the vocabulary.
          normalizer: what is done to characters before words are cut.
        """
        self.vocab = list(vocab)
        self._ids = {token: place for place, token in enumerate(self.vocab)}
        self._roles = roles
        # Truncation is a state of the engine, so calls take turns.
        self._lock = threading.Lock()
        self._engine = self._make_engine(normalizer)
        # The same, but special tokens' names in the text are text.
        self._plain = self._make_engine(normalizer)
        self._plain.encode_special_tokens = True

    def encode(
        self, inputs: list, strategy: "str | None", max_length: "int | None"
    ) -> list[tokenizers.Encoding]:
        """Encodes texts and pairs of texts with their special tokens.

        Args:
          inputs: texts, or pairs of texts.
          strategy: which segment is cut; None: none.
          max_length: the most tokens.

        Raises:
          InputError: the segment that is to be cut is not there or too short.
        """
        with self._lock:
            if strategy is None:
                self._engine.no_truncation()
            else:
                self._engine.enable_truncation(max_length, strategy=strategy)
            try:
                return self._engine.encode_batch(inputs)
            except Exception as error:  # the engine raises nothing narrower
                raise InputError(
                    f"truncation={strategy!r}, max_length={max_length}: {error}"
                ) from error

    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text."""
        with self._lock:
            self._engine.no_truncation()
            return self._engine.encode(text, add_special_tokens=False).tokens

    def encode_plain(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of texts, in which nothing is special, int32 each."""
        encodings = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.int32) for encoding in encodings]

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        """The text of ids."""
        return self._engine.decode(ids, skip_special_tokens=skip_special_tokens)

    def joins(self, special: Sequence[int]) -> WordJoins:
        """Which pieces make words together; `special` are the ids that carry no text."""
        return wordpiece_joins(self.vocab, special)

    def content(self) -> bytes:
        """What the vocabulary's file holds."""
        return "".join(f"{token}\n" for token in self.vocab).encode()

    def identity(self) -> bytes:
        """What its hash is made of."""
        return "\n".join(self.vocab).encode()

    def _make_engine(self, normalizer) -> tokenizers.Tokenizer:
        engine = tokenizers.Tokenizer(
            models.WordPiece(
                self._ids,
                unk_token=self._roles["unk_token"],
                max_input_chars_per_word=_LONGEST_WORD,
            )
        )
        engine.normalizer = normalizer
        engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        sep, cls = self._roles["sep_token"], self._roles["cls_token"]
        engine.post_processor = processors.BertProcessing(
            (sep, self._ids[sep]), (cls, self._ids[cls])
        )
        engine.decoder = decoders.WordPiece()
        engine.add_special_tokens(list(self._roles.values()))
        return engine


def make_normalizer(
    do_lower_case: bool, strip_accents: "bool | None", tokenize_chinese_chars: bool = True
) -> normalizers.BertNormalizer:
    """What is done to characters, as the arguments of `ElectraTokenizer` say."""
    return normalizers.BertNormalizer(
        clean_text=True,
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
