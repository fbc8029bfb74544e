"""Convert text to ids and back, with a WordPiece vocabulary or a SentencePiece model."""

import functools
import hashlib
import inspect
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from official_nlp import ranges
from official_nlp.data.tokenization import (
    added_tokens,
    argument_checks,
    calls,
    framing,
    tokenizer_files,
    wordpiece,
)
from official_nlp.data.tokenization.calls import Texts
from official_nlp.data.tokenization.engine import Engine
from official_nlp.data.tokenization.framing import SIDES, Framing
from official_nlp.data.tokenization.token_table import ROLES, TokenTable
from official_nlp.data.tokenization.words import WORDPIECE_MARK, WordJoins
from official_nlp.errors import InputError, nearest

if TYPE_CHECKING:
    from official_nlp.data.tokenization.sentencepiece import SentencePieceModel

# What `clean_up_tokenization_spaces` replaces, as in Hugging Face's tokenizers.
_CLEAN_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


class ElectraTokenizer(TokenTable):
    """Splits text into the pieces of a WordPiece vocabulary or of a SentencePiece model.

        tokenizer = ElectraTokenizer.from_pretrained("tokenizer/")
        tokenizer("Colourless green ideas", "sleep furiously")["input_ids"]

    The name of a special token in a text, like "[MASK]", becomes that token, except in
    `encode_ids`.

    Attributes:
      vocab: all tokens; the index of a token is its id. Added tokens come last.
      vocab_size: number of tokens.
      kind: "wordpiece" or "sentencepiece".
      unk_token, sep_token, pad_token, cls_token, mask_token: names of the special tokens.
      unk_token_id, sep_token_id, pad_token_id, cls_token_id, mask_token_id: their ids.
      additional_special_tokens: names of further special tokens.
      added_tokens: all `AddedToken`s, including special tokens, in order of their ids. They are
        matched before a text is split into words.
      engine: splits texts into pieces, a `WordPiece` or a `SentencePiece`.
      extra: further entries of a folder's `tokenizer_config.json`, which `save_pretrained` writes
        back.

    The other arguments of the constructor are attributes too.

    Reference: `ElectraTokenizer` and `ElectraTokenizerFast` of Hugging Face.
    """

    def __init__(
        self,
        vocab: str | os.PathLike | Sequence[str],
        do_lower_case: bool | None = None,
        do_basic_tokenize: bool = True,
        never_split: Sequence[str] | None = None,
        unk_token: str | Mapping = "[UNK]",
        sep_token: str | Mapping = "[SEP]",
        pad_token: str | Mapping = "[PAD]",
        cls_token: str | Mapping = "[CLS]",
        mask_token: str | Mapping = "[MASK]",
        tokenize_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        clean_text: bool = True,
        wordpieces_prefix: str = WORDPIECE_MARK,
        clean_up_tokenization_spaces: bool | None = None,
        model_max_length: int | float | None = None,
        padding_side: str = "right",
        truncation_side: str = "right",
        additional_special_tokens: Sequence[str | Mapping] | None = (),
        added_tokens_decoder: Mapping | None = None,
    ):
        """Make a tokenizer.

        A SentencePiece model has its own normalization: for the arguments about characters and
        words it accepts the defaults only.

        Args:
          vocab: the tokens in order of their ids, a file with one token a line, or a SentencePiece
            model, whose file name ends with ".model".
          do_lower_case: lower-case text; None: WordPiece does, SentencePiece follows its model.
          do_basic_tokenize: normalize characters and split words at punctuation, as controlled by
            the arguments below; False: split at white space only, and ignore those arguments.
          never_split: words between white space that are not split: each becomes its token of the
            vocabulary, or the unknown token. If text is lower-cased, words also match after that.
          unk_token, sep_token, pad_token, cls_token, mask_token: the special tokens: a name, or a
            dict with the name as `content` and the rules of `AddedToken`.
          tokenize_chinese_chars: make each Chinese character a word.
          strip_accents: remove accents; None: if text is lower-cased.
          clean_text: remove control characters, and replace all white space with spaces.
          wordpieces_prefix: marks a piece that continues a word.
          clean_up_tokenization_spaces: `decode` removes spaces before punctuation; None: for
            WordPiece, which does not record where spaces were.
          model_max_length: maximum length for truncation and padding if a call gives none; None: no
            maximum.
          padding_side, truncation_side: "right" or "left".
          additional_special_tokens: further special tokens, in the form of `mask_token`; those not
            in the vocabulary are appended to it.
          added_tokens_decoder: names or dicts, as above, by ids: rules for tokens of the
            vocabulary, and tokens to append to it. Those that are not `special` carry text.

        Raises:
          InputError: if the file cannot be read, a special token is not in the vocabulary, an
            argument has a value that it does not accept, or contradicts the SentencePiece model.
        """
        choice = argument_checks.choice
        self.do_basic_tokenize = choice("do_basic_tokenize", do_basic_tokenize, (True, False))
        self.tokenize_chinese_chars = choice(
            "tokenize_chinese_chars", tokenize_chinese_chars, (True, False)
        )
        self.clean_text = choice("clean_text", clean_text, (True, False))
        choice("do_lower_case", do_lower_case, (True, False, None))
        self.strip_accents = choice("strip_accents", strip_accents, (True, False, None))
        choice("clean_up_tokenization_spaces", clean_up_tokenization_spaces, (True, False, None))
        self.padding_side = choice("padding_side", padding_side, SIDES)
        self.truncation_side = choice("truncation_side", truncation_side, SIDES)
        self.never_split = argument_checks.never_split(never_split)
        self.model_max_length = argument_checks.length("model_max_length", model_max_length)
        self.wordpieces_prefix = argument_checks.prefix(wordpieces_prefix)
        self.extra: dict[str, Any] = {}

        tokens, source, model = tokenizer_files.read_vocabulary(vocab)
        roles = (unk_token, sep_token, pad_token, cls_token, mask_token)
        super().__init__(
            tokens,
            source,
            dict(zip(ROLES, roles, strict=True)),
            argument_checks.as_list("additional_special_tokens", additional_special_tokens),
            added_tokens_decoder,
            is_model=model is not None,
        )
        self.kind = "wordpiece" if model is None else "sentencepiece"
        if model is None:
            self.do_lower_case = do_lower_case is not False
            self.clean_up_tokenization_spaces = clean_up_tokenization_spaces is not False
        else:
            model.check_settings(do_lower_case, vars(self))
            self.do_lower_case = model.folds_case
            self.clean_up_tokenization_spaces = bool(clean_up_tokenization_spaces)
        self.engine: Engine = self._make_engine(model)

    @functools.cached_property
    def word_joins(self) -> WordJoins:
        """The pieces that form words together."""
        return self.engine.word_joins(
            [id for id in self.all_special_ids if id != self.unk_token_id]
        )

    @property
    def vocab_hash(self) -> str:
        """The sha256 of the tokens, or of the SentencePiece model, hexadecimal."""
        return hashlib.sha256(self.engine.identity()).hexdigest()

    @property
    def words_are_apart(self) -> bool:
        """Whether the ids of a text are the ids of its words, split at spaces, concatenated."""
        return self.engine.words_are_apart

    def differences(self, other: "ElectraTokenizer") -> str:
        """Return the settings, besides the vocabulary, by which a text gets other ids.

        Returns:
          A phrase such as "do_lower_case False, not True", or "" if all ids are the same.
        """
        own, others = self._text_settings(), other._text_settings()
        return "; ".join(
            f"{name} {own.get(name)}, not {others.get(name)}"
            for name in dict.fromkeys([*own, *others])
            if own.get(name) != others.get(name)
        )

    def _text_settings(self) -> dict[str, Any]:
        """Return what determines the ids of a text besides the vocabulary."""
        settings: dict[str, Any] = {"kind": self.kind, **self._roles}
        settings["added_tokens"] = [
            added_tokens.as_decoder([token]) for token in self.added_tokens if not token.special
        ]
        if self.kind == "sentencepiece":
            return settings  # `vocab_hash` covers the rest, which the model determines
        settings |= {
            "do_basic_tokenize": self.do_basic_tokenize,
            "wordpieces_prefix": self.wordpieces_prefix,
        }
        if not self.do_basic_tokenize:
            return settings
        strips = self.do_lower_case if self.strip_accents is None else self.strip_accents
        return settings | {
            "do_lower_case": self.do_lower_case,
            "strip_accents": strips,
            "tokenize_chinese_chars": self.tokenize_chinese_chars,
            "clean_text": self.clean_text,
            "never_split": sorted(self.never_split),
        }

    # === Folders ===

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike, **overrides: Any) -> "ElectraTokenizer":
        """Load a tokenizer folder, ours or a Hugging Face folder, or a vocabulary file.

        Nothing in the folder is executed, and nothing outside it is read.

        Args:
          folder: a folder with `vocab.txt` or `spm.model`, and `tokenizer_config.json` if settings
            differ from the defaults; or with a WordPiece `tokenizer.json`, which decides if the
            folder names no other class than PreTrainedTokenizerFast; or such a file.
          **overrides: arguments of the constructor that replace the folder's settings.

        Raises:
          InputError: if there is no such folder, or it holds no usable tokenizer.
        """
        if "max_len" in overrides:
            overrides.setdefault("model_max_length", overrides.pop("max_len"))
        known = list(inspect.signature(cls).parameters)[1:]
        for name in overrides:
            if name not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}{nearest(name, known)}")
        stored = tokenizer_files.read(pathlib.Path(folder))
        try:
            tokenizer = cls(stored.vocabulary, **(stored.settings | overrides))
        except InputError as error:
            raise stored.located(error) from error
        tokenizer.extra = stored.extra
        return tokenizer

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write a tokenizer folder, which Hugging Face's classes can also read.

        It holds the vocabulary or model, `tokenizer_config.json` and `special_tokens_map.json`.
        `tokenizer.json` is added if it can represent the tokenizer: not for SentencePiece models,
        `never_split` or `do_basic_tokenize=False`.

        Raises:
          InputError: if the folder is no local path, or cannot be written.
        """
        ranges.Path().require("the folder", folder)
        is_model = self.kind == "sentencepiece"
        specials: dict[str, Any] = dict(self._roles)
        if self.additional_special_tokens:
            specials["additional_special_tokens"] = self.additional_special_tokens
        file = tokenizer_files.MODEL_FILE if is_model else tokenizer_files.VOCABULARY_FILE
        contents = {
            file: self.engine.file_content(),
            tokenizer_files.CONFIG_FILE: self.extra | self._config() | specials,
            tokenizer_files.SPECIAL_TOKENS_FILE: specials,
            tokenizer_files.ENGINE_FILE: self.engine.tokenizer_json(),
        }
        tokenizer_files.write(pathlib.Path(folder), contents)

    def _config(self) -> dict[str, Any]:
        names = ["do_lower_case", "clean_up_tokenization_spaces", "padding_side", "truncation_side"]
        if self.kind == "wordpiece":
            names += ["do_basic_tokenize", "tokenize_chinese_chars", "strip_accents"]
            names += ["clean_text", "wordpieces_prefix"]
        config = {name: getattr(self, name) for name in names}
        if self.kind == "wordpiece":
            config["never_split"] = list(self.never_split) or None
        return config | {
            "model_max_length": self.model_max_length or argument_checks.UNLIMITED,
            "added_tokens_decoder": added_tokens.as_decoder(self.added_tokens),
            "tokenizer_class": "ElectraTokenizer",
        }

    # === Text to ids ===

    def __call__(
        self,
        text: Texts,
        text_pair: Texts | None = None,
        max_length: int | None = None,
        truncation: bool | str | None = False,
        padding: bool | str = False,
        return_offsets_mapping: bool = False,
        *,
        add_special_tokens: bool = True,
        is_split_into_words: bool = False,
        stride: int = 0,
        return_overflowing_tokens: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_special_tokens_mask: bool = False,
        return_word_ids: bool = False,
        return_tensors: str | None = None,
    ) -> dict[str, Any]:
        """Encode one text or several, with special tokens.

        Args:
          text: a text, or a list of texts.
          text_pair: texts of the second segment, in the same form.
          max_length: maximum number of tokens, including special tokens; None: `model_max_length`.
          truncation: True or "longest_first" shortens the longer of two segments, "only_first" or
            "only_second" that one; False: no truncation.
          padding: True or "longest" pads to the longest sequence, "max_length" to that length, or
            to the longest sequence if that is longer; False: no padding.
          return_offsets_mapping: add `offset_mapping`, int32 `[..., 2]`: for each token, its first
            character and the one after its last, in its text or, of split texts, its word.
          add_special_tokens: add [CLS] before the first segment, and [SEP] after each.
          is_split_into_words: each text is a list of words.
          stride: number of pieces that consecutive windows of a text have in common.
          return_overflowing_tokens: return the tokens that truncation cuts off as further
            sequences, windows of the text; adds `overflow_to_sample_mapping`, int32 `[sequences]`:
            index of the text that each sequence comes from.
          pad_to_multiple_of: round the padded length up to a multiple of this.
          padding_side: "right" or "left"; None: the tokenizer's.
          return_special_tokens_mask: add `special_tokens_mask`: 1 for special tokens that were
            added and for padding, 0 for the tokens of the text.
          return_word_ids: add `word_ids`: index of the word in its text that a token belongs to, -1
            for special tokens that were added and for padding.
          return_tensors: "np" or "tf": one array or tensor for each output, also for a single text;
            None: see below.

        Returns:
          A dict of int32 `input_ids`, `token_type_ids` and `attention_mask`: for one text arrays
          `[length]`; for several, arrays `[sequences, length]` with padding, and lists of arrays
          `[length]` without.

        Raises:
          InputError: if an argument has a value that it does not accept, or arguments contradict
            one another.
        """
        truncation_plan = calls.truncation(
            truncation,
            max_length,
            self.model_max_length,
            self.truncation_side,
            stride,
            return_overflowing_tokens,
        )
        padding_plan = calls.padding(
            padding,
            max_length,
            self.model_max_length,
            pad_to_multiple_of,
            self.padding_side if padding_side is None else padding_side,
            self.pad_token_id,
        )
        calls.check_multiple(padding_plan, truncation_plan)
        single = calls.is_single(text, is_split_into_words)
        pairs = calls.pair_up(text, text_pair, single, is_split_into_words)

        texts = [text for pair in pairs for text in pair]
        split = self.engine.split_words if is_split_into_words else self.engine.split
        pieces = iter(calls.run(split, texts, return_offsets_mapping or return_word_ids))
        frame = Framing(self.cls_token_id, self.sep_token_id, truncation_plan, add_special_tokens)
        sequences = [frame.sequences([next(pieces) for _ in pair]) for pair in pairs]

        names = ["input_ids", "token_type_ids", "attention_mask"]
        names += ["special_tokens_mask"] * return_special_tokens_mask
        names += ["offset_mapping"] * return_offsets_mapping + ["word_ids"] * return_word_ids
        flat = [each for windows in sequences for each in windows]
        result = framing.columns(flat, names, padding_plan)
        if return_overflowing_tokens:
            samples = [index for index, windows in enumerate(sequences) for _ in windows]
            result["overflow_to_sample_mapping"] = np.array(samples, np.int32)
        if return_tensors is not None:
            return calls.tensors(result, return_tensors)
        if single and not return_overflowing_tokens:
            return {name: column[0] for name, column in result.items()}
        return result

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False
    ) -> list[str]:
        """Return the tokens of a text, or of two, as strings."""
        encoded = self(text, pair, add_special_tokens=add_special_tokens)
        return [self.vocab[id] for id in encoded["input_ids"]]

    def encode(self, text: Texts, text_pair: Texts | None = None, **options: Any) -> list[int]:
        """Return the ids of a text, or of two; the options are those of a call."""
        return self(text, text_pair, **options)["input_ids"].tolist()

    def encode_ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the ids of many texts, int32 `[length]` each, without adding special tokens.

        The name of a special token in a text is ordinary text here, so that no document can put a
        [MASK] or [SEP] into a training example.

        Raises:
          InputError: if one of the texts is not a str of valid characters.
        """
        return calls.run(self.engine.encode_plain, texts)

    # === Ids to text ===

    def decode(
        self,
        ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """Return the text of ids; the original case and white space may be lost.

        Args:
          ids: ids of a sequence: a list, an array or a tensor.
          skip_special_tokens: leave out special tokens.
          clean_up_tokenization_spaces: remove spaces before punctuation; None: the tokenizer's
            setting.

        Raises:
          InputError: if an id is not in the vocabulary.
        """
        tokens = self._tokens(np.asarray(ids).ravel(), skip_special_tokens)
        return self.convert_tokens_to_string(tokens, clean_up_tokenization_spaces)

    def batch_decode(self, sequences: Iterable, **options: Any) -> list[str]:
        """Return the texts of several sequences of ids; the options are those of `decode`."""
        return [self.decode(ids, **options) for ids in sequences]

    def convert_tokens_to_string(
        self, tokens: Sequence[str], clean_up_tokenization_spaces: bool | None = None
    ) -> str:
        """Return the text of tokens; see `decode`."""
        text = self.engine.join(tokens)
        clean_up = clean_up_tokenization_spaces
        if self.clean_up_tokenization_spaces if clean_up is None else clean_up:
            for spaced, clean in _CLEAN_UP:
                text = text.replace(spaced, clean)
        return text

    # === Construction ===

    def _make_engine(self, model: "SentencePieceModel | None") -> Engine:
        if model is not None:
            from official_nlp.data.tokenization.sentencepiece import SentencePiece

            return SentencePiece(model, self.vocab, self._roles, self.added_tokens)
        normalizer = wordpiece.make_normalizer(
            self.do_lower_case, self.strip_accents, self.tokenize_chinese_chars, self.clean_text
        )
        return wordpiece.WordPiece(
            self.vocab,
            self._file_size,
            self._roles,
            self.added_tokens,
            normalizer if self.do_basic_tokenize else None,
            self.wordpieces_prefix,
            self.never_split if self.do_basic_tokenize else (),
            self.do_lower_case,
        )
