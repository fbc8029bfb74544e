"""Text to ids and back: WordPiece, on the `tokenizers` package."""

import hashlib
import json
import os
import pathlib
import threading
from collections.abc import Sequence

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from official_nlp.errors import InputError

VOCABULARY_FILE = "vocab.txt"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"

_LONGEST_WORD = 100
_ROLES = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_CASING = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")
_STRATEGIES = ("longest_first", "only_first", "only_second")


class ElectraTokenizer:
    """Cuts text into the pieces of a vocabulary.

        tokenizer = ElectraTokenizer.from_pretrained("tokenizer/")
        tokenizer("Colourless green ideas", "sleep furiously")["input_ids"]

    A special token's name in a text, like "[MASK]", stands for that token, except in `encode_ids`.

    Attributes:
      vocab: the tokens, a list: its places are the ids.
      vocab_size: number of tokens.
      vocab_hash: sha256 of the tokens, hexadecimal.
      unk_token, sep_token, pad_token, cls_token, mask_token: the special tokens, and with `_id`
        behind, their ids.
    """

    def __init__(
        self,
        vocab: "str | os.PathLike | Sequence[str]",
        do_lower_case: bool = True,
        strip_accents: "bool | None" = None,
        tokenize_chinese_chars: bool = True,
        unk_token: str = "[UNK]",
        sep_token: str = "[SEP]",
        pad_token: str = "[PAD]",
        cls_token: str = "[CLS]",
        mask_token: str = "[MASK]",
        model_max_length: int = 512,
    ):
        """Makes a tokenizer.

        Args:
          vocab: the tokens in order of their ids, or a file with one a line.
          do_lower_case: text is lower-cased.
          strip_accents: accents are taken off; None: when lower-casing.
          tokenize_chinese_chars: each Chinese character is a word.
          unk_token, sep_token, pad_token, cls_token, mask_token: names of the special tokens.
          model_max_length: stored with the tokenizer for those who load it; nothing is cut by it.

        Raises:
          InputError: the file cannot be read, or a special token is not in the vocabulary.
        """
        source = "vocab"
        if isinstance(vocab, str | os.PathLike):
            source, vocab = os.fspath(vocab), read_vocabulary(vocab)
        self.vocab = list(vocab)
        self.vocab_size = len(self.vocab)
        self.do_lower_case = do_lower_case
        self.strip_accents = strip_accents
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.model_max_length = model_max_length
        self.unk_token, self.sep_token, self.pad_token = unk_token, sep_token, pad_token
        self.cls_token, self.mask_token = cls_token, mask_token
        self._ids = {token: place for place, token in enumerate(self.vocab)}
        for role in _ROLES:
            token = getattr(self, role)
            if token not in self._ids:
                raise InputError(
                    f"{source}: the vocabulary must hold {role} {token!r}, but none of its "
                    f"{self.vocab_size} tokens is that; add it on its own line, or give {role}="
                )
            setattr(self, f"{role}_id", self._ids[token])
        # Truncation is a state of the engine, so calls take turns.
        self._lock = threading.Lock()
        self._engine = self._make_engine()
        # The same, but special tokens' names in the text are text.
        self._plain = self._make_engine()
        self._plain.encode_special_tokens = True

    @property
    def vocab_hash(self) -> str:
        return hashlib.sha256("\n".join(self.vocab).encode()).hexdigest()

    @property
    def special_ids(self) -> list[int]:
        """Ids of [CLS], [SEP], [MASK], [PAD], which carry no text; [UNK] stands for a word."""
        return [self.cls_token_id, self.sep_token_id, self.mask_token_id, self.pad_token_id]

    @classmethod
    def from_pretrained(cls, folder: "str | os.PathLike", **overrides) -> "ElectraTokenizer":
        """Loads a tokenizer folder, ours or Hugging Face's, or a bare vocabulary file.

        Args:
          folder: a folder with `vocab.txt` and, where it is not all default,
            `tokenizer_config.json`; or a vocabulary file.
          **overrides: arguments of the constructor that go before what the folder says.

        Raises:
          InputError: there is no such folder, or it holds no usable tokenizer.
        """
        path = pathlib.Path(folder)
        if not path.exists():
            raise InputError(
                f"no tokenizer at {path}: give a folder with {VOCABULARY_FILE}, or such a file"
            )
        if path.is_file():
            return cls(path, **overrides)
        if not (path / VOCABULARY_FILE).is_file():
            raise InputError(
                f"{path} holds no {VOCABULARY_FILE}: give the tokenizer's folder or vocabulary file"
            )
        settings = _read_settings(path / SPECIAL_TOKENS_FILE) | _read_settings(path / CONFIG_FILE)
        return cls(path / VOCABULARY_FILE, **(settings | overrides))

    def save_pretrained(self, folder: "str | os.PathLike"):
        """Writes `vocab.txt`, `tokenizer_config.json`, `special_tokens_map.json`."""
        path = pathlib.Path(folder)
        specials = {role: getattr(self, role) for role in _ROLES}
        config = {name: getattr(self, name) for name in _CASING}
        config |= {"model_max_length": self.model_max_length, **specials}
        config |= {"tokenizer_class": "ElectraTokenizer"}
        try:
            path.mkdir(parents=True, exist_ok=True)
            vocabulary = "".join(f"{token}\n" for token in self.vocab)
            (path / VOCABULARY_FILE).write_text(vocabulary, encoding="utf-8")
            (path / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
            (path / SPECIAL_TOKENS_FILE).write_text(json.dumps(specials, indent=2) + "\n")
        except OSError as error:
            raise InputError(
                f"cannot write the tokenizer to {path}: {error.strerror}; give another folder"
            ) from error

    def __call__(
        self,
        text: "str | Sequence[str]",
        text_pair: "str | Sequence[str] | None" = None,
        max_length: "int | None" = None,
        truncation: "bool | str" = False,
        padding: "bool | str" = False,
        return_offsets_mapping: bool = False,
    ) -> dict:
        """Encodes text with its special tokens.

        Args:
          text: a text or several.
          text_pair: what goes into the second segment, likewise.
          max_length: the most tokens, special ones counted.
          truncation: what is longer is cut: True or "longest_first" cuts the longer of two
            segments, "only_first" and "only_second" the one.
          padding: True or "longest" pads to the longest of the texts, "max_length" to that.
          return_offsets_mapping: adds `offset_mapping`, int32 `[..., 2]`: from and to which
            character of its text a token reaches.

        Returns:
          A dict of int32 `input_ids`, `token_type_ids`, `attention_mask`: arrays `[length]` for a
          text; for several, arrays `[texts, length]` when padded and else lists of arrays.

        Raises:
          InputError: arguments that do not go together.
        """
        strategy = _strategy(truncation, max_length)
        if padding not in (False, True, "longest", "max_length"):
            raise InputError(
                f'padding must be False, True, "longest" or "max_length", was {padding!r}'
            )
        if padding == "max_length" and max_length is None:
            raise InputError('padding="max_length" needs max_length=')
        single = isinstance(text, str)
        encodings = self._encode(_pair_up(text, text_pair), strategy, max_length)
        rows = {
            "input_ids": [row.ids for row in encodings],
            "token_type_ids": [row.type_ids for row in encodings],
            "attention_mask": [row.attention_mask for row in encodings],
        }
        if return_offsets_mapping:
            rows["offset_mapping"] = [row.offsets for row in encodings]
        if padding:
            longest = max((len(ids) for ids in rows["input_ids"]), default=0)
            width = max(longest, max_length) if padding == "max_length" else longest
            result = {name: self._pad(name, values, width) for name, values in rows.items()}
        else:
            result = {name: _arrays(name, values) for name, values in rows.items()}
        return {name: values[0] for name, values in result.items()} if single else result

    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text as strings, without special tokens around."""
        with self._lock:
            self._engine.no_truncation()
            return self._engine.encode(text, add_special_tokens=False).tokens

    def encode_ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of many texts, int32 `[length]` each, without special tokens around.

        A special token's name in a text is text here, so that no document can put a [MASK] or
        [SEP] into an example.
        """
        encodings = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.int32) for encoding in encodings]

    def decode(self, ids, skip_special_tokens: bool = False) -> str:
        """The text of ids, as far as it can be had back: case and white space may be lost."""
        ids = [int(id) for id in np.asarray(ids).ravel()]
        return self._engine.decode(ids, skip_special_tokens=skip_special_tokens)

    def convert_ids_to_tokens(self, ids) -> list[str]:
        """The names of ids."""
        return [self.vocab[int(id)] for id in np.asarray(ids).ravel()]

    def convert_tokens_to_ids(self, tokens: Sequence[str]) -> list[int]:
        """The ids of names, [UNK]'s for those that the vocabulary has not."""
        return [self._ids.get(token, self.unk_token_id) for token in tokens]

    def __len__(self) -> int:
        return self.vocab_size

    def _make_engine(self) -> tokenizers.Tokenizer:
        engine = tokenizers.Tokenizer(
            models.WordPiece(
                self._ids, unk_token=self.unk_token, max_input_chars_per_word=_LONGEST_WORD
            )
        )
        engine.normalizer = self.normalizer()
        engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        engine.post_processor = processors.BertProcessing(
            (self.sep_token, self.sep_token_id), (self.cls_token, self.cls_token_id)
        )
        engine.decoder = decoders.WordPiece()
        engine.add_special_tokens([getattr(self, role) for role in _ROLES])
        return engine

    def normalizer(self) -> normalizers.BertNormalizer:
        """What is done to characters before words are cut."""
        return normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=self.tokenize_chinese_chars,
            strip_accents=self.strip_accents,
            lowercase=self.do_lower_case,
        )

    def _encode(self, inputs: list, strategy: "str | None", max_length: "int | None"):
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

    def _pad(self, name: str, rows: list, width: int) -> np.ndarray:
        fill = self.pad_token_id if name == "input_ids" else 0
        shape = (len(rows), width, 2) if name == "offset_mapping" else (len(rows), width)
        result = np.full(shape, fill, np.int32)
        for place, row in enumerate(rows):
            if row:
                result[place, : len(row)] = row
        return result


def read_vocabulary(file: "str | os.PathLike") -> list[str]:
    """The tokens of a file that has one a line.

    Raises:
      InputError: no such file, or it is not UTF-8.
    """
    try:
        text = pathlib.Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}: a vocabulary must be UTF-8 text, but byte {error.start} is not; convert it"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read the vocabulary {file}: {error.strerror}") from error
    # Not splitlines: other separators than the newline are characters of tokens.
    return text.removesuffix("\n").split("\n")


def _read_settings(file: pathlib.Path) -> dict:
    if not file.is_file():
        return {}
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} must be JSON: {error}; write it again") from error
    known = {name: stored[name] for name in _CASING if name in stored}
    if isinstance(stored.get("model_max_length"), int):
        known["model_max_length"] = stored["model_max_length"]
    for role in _ROLES:
        token = stored.get(role)
        # Hugging Face stores a token bare, or with its stripping rules round it.
        token = token.get("content") if isinstance(token, dict) else token
        if token is not None:
            known[role] = token
    return known


def _strategy(truncation: "bool | str", max_length: "int | None") -> "str | None":
    if truncation is False:
        return None
    strategy = "longest_first" if truncation is True else truncation
    if strategy not in _STRATEGIES:
        raise InputError(
            f"truncation must be True, False or one of {', '.join(_STRATEGIES)}, was {truncation!r}"
        )
    if max_length is None:
        raise InputError(f"truncation={truncation!r} needs max_length=")
    return strategy


def _pair_up(text, text_pair) -> list:
    if isinstance(text, str):
        # As in Hugging Face's fast tokenizers, an empty second text is none.
        return [(text, text_pair)] if text_pair else [text]
    if text_pair is None:
        return list(text)
    if isinstance(text_pair, str) or len(text) != len(text_pair):
        count = "one text" if isinstance(text_pair, str) else f"{len(text_pair)} texts"
        raise InputError(f"text_pair must hold a text for each of the {len(text)}, was {count}")
    return list(zip(text, text_pair, strict=True))


def _arrays(name: str, rows: list) -> list[np.ndarray]:
    shape = (-1, 2) if name == "offset_mapping" else (-1,)
    return [np.array(row, np.int32).reshape(shape) for row in rows]
