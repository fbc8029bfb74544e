"""Text to ids and back, with a WordPiece vocabulary or a SentencePiece model."""

import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from official_nlp.data import wordpiece
from official_nlp.data.words import WordJoins
from official_nlp.errors import InputError

VOCABULARY_FILE = wordpiece.FILE
MODEL_FILE = "spm.model"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"

_MODEL_SUFFIX = ".model"
_ROLES = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_CASING = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")
_STRATEGIES = ("longest_first", "only_first", "only_second")


class ElectraTokenizer:
    """Cuts text into the pieces of a vocabulary: WordPiece's, or a SentencePiece model's.

        tokenizer = ElectraTokenizer.from_pretrained("tokenizer/")
        tokenizer("Colourless green ideas", "sleep furiously")["input_ids"]

    A special token's name in a text, like "[MASK]", stands for that token, except in `encode_ids`.

    Attributes:
      vocab: the tokens, a list: its places are the ids.
      vocab_size: number of tokens.
      vocab_hash: sha256 of the tokens, or of the SentencePiece model, hexadecimal.
      kind: "wordpiece" or "sentencepiece".
      word_joins: which pieces make words together, a `WordJoins`.
      unk_token, sep_token, pad_token, cls_token, mask_token: the special tokens, and with `_id`
        behind, their ids.
    """

    def __init__(
        self,
        vocab: "str | os.PathLike | Sequence[str]",
        do_lower_case: "bool | None" = None,
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
          vocab: the tokens in order of their ids, or a file with one a line, or a SentencePiece
            model, of which the name ends in ".model".
          do_lower_case: text is lower-cased; None: it is, or as the SentencePiece model does.
          strip_accents: accents are taken off; None: when lower-casing. A SentencePiece model
            decides itself.
          tokenize_chinese_chars: each Chinese character is a word. Likewise.
          unk_token, sep_token, pad_token, cls_token, mask_token: names of the special tokens.
          model_max_length: stored with the tokenizer for those who load it; nothing is cut by it.

        Raises:
          InputError: the file cannot be read, a special token is not in the vocabulary, or a
            SentencePiece model treats case or accents otherwise.
        """
        source = "vocab"
        self.kind = "wordpiece"
        if isinstance(vocab, str | os.PathLike):
            source, file = os.fspath(vocab), pathlib.Path(vocab)
            if file.name.endswith(_MODEL_SUFFIX):
                self.kind = "sentencepiece"
                self._engine = _sentencepiece_engine(file)
                vocab = self._engine.vocab
            else:
                vocab = wordpiece.read_vocabulary(file)
        self.vocab = list(vocab)
        self.vocab_size = len(self.vocab)
        self.do_lower_case = True if do_lower_case is None else do_lower_case
        self.strip_accents = strip_accents
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.model_max_length = model_max_length
        roles = (unk_token, sep_token, pad_token, cls_token, mask_token)
        self._roles = dict(zip(_ROLES, roles, strict=True))
        self._ids = {token: place for place, token in enumerate(self.vocab)}
        for role, token in self._roles.items():
            if token not in self._ids:
                raise InputError(_special_token_missing(self, source, role, token))
            setattr(self, role, token)
            setattr(self, f"{role}_id", self._ids[token])
        if self.kind == "sentencepiece":
            _check_casing(source, self._engine.folds_case, do_lower_case, strip_accents)
            self.do_lower_case = self._engine.folds_case
            self._engine.set_roles(self._roles, self._ids)
        else:
            normalizer = wordpiece.make_normalizer(
                self.do_lower_case, strip_accents, tokenize_chinese_chars
            )
            self._engine = wordpiece.WordPiece(self.vocab, self._roles, normalizer)

    @functools.cached_property
    def word_joins(self) -> WordJoins:
        return self._engine.joins(self.special_ids)

    @property
    def vocab_hash(self) -> str:
        return hashlib.sha256(self._engine.identity()).hexdigest()

    @property
    def words_are_apart(self) -> bool:
        """Whether the ids of a text are those of its words, cut at spaces, one after another."""
        return self._engine.words_are_apart

    @property
    def special_ids(self) -> list[int]:
        """Ids of [CLS], [SEP], [MASK], [PAD], which carry no text; [UNK] stands for a word."""
        return [self.cls_token_id, self.sep_token_id, self.mask_token_id, self.pad_token_id]

    @classmethod
    def from_pretrained(cls, folder: "str | os.PathLike", **overrides) -> "ElectraTokenizer":
        """Loads a tokenizer folder, ours or Hugging Face's, or a bare vocabulary file.

        Args:
          folder: a folder with `vocab.txt` or `spm.model` and, where it is not all default,
            `tokenizer_config.json`; or such a vocabulary file.
          **overrides: arguments of the constructor that go before what the folder says.

        Raises:
          InputError: there is no such folder, or it holds no usable tokenizer.
        """
        path = pathlib.Path(folder)
        if not path.exists():
            raise InputError(
                f"no tokenizer at {path}: give a folder with {VOCABULARY_FILE} or {MODEL_FILE}, "
                "or such a file"
            )
        if path.is_file():
            return cls(path, **overrides)
        files = [path / name for name in (VOCABULARY_FILE, MODEL_FILE) if (path / name).is_file()]
        if not files:
            raise InputError(
                f"{path} holds no {VOCABULARY_FILE} or {MODEL_FILE}: give the tokenizer's folder "
                "or vocabulary file"
            )
        if len(files) > 1:
            raise InputError(
                f"{path} holds {VOCABULARY_FILE} and {MODEL_FILE}: give the one that is meant"
            )
        settings = _read_settings(path / SPECIAL_TOKENS_FILE) | _read_settings(path / CONFIG_FILE)
        return cls(files[0], **(settings | overrides))

    def save_pretrained(self, folder: "str | os.PathLike"):
        """Writes vocabulary or model, `tokenizer_config.json`, `special_tokens_map.json`."""
        path = pathlib.Path(folder)
        specials = self._roles
        is_model = self.kind == "sentencepiece"
        config = {name: getattr(self, name) for name in (_CASING[:1] if is_model else _CASING)}
        config |= {"model_max_length": self.model_max_length, **specials}
        config |= {"tokenizer_class": "ElectraTokenizer"}
        try:
            path.mkdir(parents=True, exist_ok=True)
            file = path / (MODEL_FILE if is_model else VOCABULARY_FILE)
            file.write_bytes(self._engine.content())
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
        encodings = self._engine.encode(_pair_up(text, text_pair), strategy, max_length)
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
        return self._engine.tokenize(text)

    def encode_ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of many texts, int32 `[length]` each, without special tokens around.

        A special token's name in a text is text here, so that no document can put a [MASK] or
        [SEP] into an example.
        """
        return self._engine.encode_plain(texts)

    def decode(self, ids, skip_special_tokens: bool = False) -> str:
        """The text of ids, as far as it can be had back: case and white space may be lost."""
        ids = [int(id) for id in np.asarray(ids).ravel()]
        return self._engine.decode(ids, skip_special_tokens)

    def convert_ids_to_tokens(self, ids) -> list[str]:
        """The names of ids."""
        return [self.vocab[int(id)] for id in np.asarray(ids).ravel()]

    def convert_tokens_to_ids(self, tokens: Sequence[str]) -> list[int]:
        """The ids of names, [UNK]'s for those that the vocabulary has not."""
        return [self._ids.get(token, self.unk_token_id) for token in tokens]

    def __len__(self) -> int:
        return self.vocab_size

    def _pad(self, name: str, rows: list, width: int) -> np.ndarray:
        fill = self.pad_token_id if name == "input_ids" else 0
        shape = (len(rows), width, 2) if name == "offset_mapping" else (len(rows), width)
        result = np.full(shape, fill, np.int32)
        for place, row in enumerate(rows):
            if row:
                result[place, : len(row)] = row
        return result


def _sentencepiece_engine(file: pathlib.Path):
    # Most tokenizers need it not.
    from official_nlp.data.sentencepiece import SentencePiece

    try:
        return SentencePiece(file.read_bytes(), os.fspath(file))
    except OSError as error:
        raise InputError(f"cannot read the vocabulary {file}: {error.strerror}") from error


def _special_token_missing(tokenizer, source: str, role: str, token: str) -> str:
    how = "add it on its own line"
    if tokenizer.kind == "sentencepiece":
        how = (
            f"train the model with it as a control symbol (`electra vocab --kind {tokenizer.kind}`)"
        )
    return (
        f"{source}: the vocabulary must hold {role} {token!r}, but none of its "
        f"{tokenizer.vocab_size} tokens is that; {how}, or give {role}="
    )


def _check_casing(source: str, folds_case: bool, do_lower_case, strip_accents):
    if do_lower_case not in (None, folds_case):
        raise InputError(
            f"do_lower_case must be {folds_case} or left out for {source}, whose normaliser "
            f"{'folds' if folds_case else 'keeps'} case, was {do_lower_case}; train the model anew "
            "for the other"
        )
    if strip_accents:
        raise InputError(
            f"strip_accents must be left out for {source}, was {strip_accents}: a SentencePiece "
            "model treats accents as its normaliser says"
        )


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
