"""Text to ids and back, with a WordPiece vocabulary or a SentencePiece model."""

import difflib
import functools
import hashlib
import inspect
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from official_nlp.data.tokenization import (
    added_tokens,
    calls,
    rows,
    tokenizer_files,
    values,
    wordpiece,
)
from official_nlp.data.tokenization.calls import Texts
from official_nlp.data.tokenization.rows import SIDES, Framing, Padding, Row, Segment
from official_nlp.data.tokenization.tokenizer_files import MODEL_FILE, ROLES, VOCABULARY_FILE
from official_nlp.data.tokenization.words import WORDPIECE_MARK, WordJoins
from official_nlp.errors import InputError

_MODEL_SUFFIX = ".model"
# What tidying takes away before and within what stands there.
_TIDIED = (
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


class ElectraTokenizer:
    """Cuts text into the pieces of a vocabulary: WordPiece's, or a SentencePiece model's.

        tokenizer = ElectraTokenizer.from_pretrained("tokenizer/")
        tokenizer("Colourless green ideas", "sleep furiously")["input_ids"]

    A special token's name in a text, like "[MASK]", stands for that token, except in `encode_ids`.

    Attributes:
      vocab: the tokens, a list: its places are the ids. Added ones come last.
      vocab_size: number of tokens.
      vocab_hash: sha256 of the tokens, or of the SentencePiece model, hexadecimal.
      kind: "wordpiece" or "sentencepiece".
      word_joins: which pieces make words together, a `WordJoins`.
      unk_token, sep_token, pad_token, cls_token, mask_token: the special tokens, and with `_id`
        behind, their ids.
      added_tokens: all `AddedToken`s, the special ones among them: what is looked for in a text
        before it is cut into words, in order of ids.
      extra: what a folder's `tokenizer_config.json` held besides; `save_pretrained` writes it back.

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
        """Makes a tokenizer.

        A SentencePiece model says itself what is done to characters: of the arguments that do so
        it takes no value but the default.

        Args:
          vocab: the tokens in order of their ids, or a file with one a line, or a SentencePiece
            model, of which the name ends in ".model".
          do_lower_case: text is lower-cased; None: it is, or as the SentencePiece model does.
          do_basic_tokenize: characters are treated and words cut at punctuation, as the arguments
            about them say; else words are what stands between white space, as it stands, and those
            arguments have no effect.
          never_split: words between white space that are kept as they are, or if text is
            lower-cased as they are then: one token of the vocabulary, or the unknown one.
          unk_token, sep_token, pad_token, cls_token, mask_token: the special tokens: a name, or a
            dict of the name as `content` and the rules of `AddedToken`.
          tokenize_chinese_chars: each Chinese character is a word.
          strip_accents: accents are taken off; None: when lower-casing.
          clean_text: control characters are taken out, and all white space is a space.
          wordpieces_prefix: marks a piece that goes on with a word.
          clean_up_tokenization_spaces: `decode` takes out spaces before punctuation; None: with
            WordPiece, which has lost where there were any.
          model_max_length: the length that truncation and padding take where none is given; None:
            there is none.
          padding_side, truncation_side: "right" or "left".
          additional_special_tokens: more of them, as above; what the vocabulary has not comes
            behind it.
          added_tokens_decoder: names or dicts, as above, by ids: rules for tokens of the
            vocabulary, and tokens that come behind it. Those not `special` are words.

        Raises:
          InputError: the file cannot be read, a special token is not in the vocabulary, a value
            that the argument does not take, or that the SentencePiece model has its own way with.
        """
        self.do_lower_case, self.do_basic_tokenize = do_lower_case, do_basic_tokenize
        self.never_split = values.words(never_split)
        self.tokenize_chinese_chars, self.strip_accents = tokenize_chinese_chars, strip_accents
        self.clean_text, self.wordpieces_prefix = clean_text, wordpieces_prefix
        self.clean_up_tokenization_spaces = clean_up_tokenization_spaces
        self.model_max_length = values.length("model_max_length", model_max_length)
        self.padding_side, self.truncation_side = padding_side, truncation_side
        self.extra: dict = {}
        self._check_arguments()
        self._read_vocabulary(vocab)
        roles = (unk_token, sep_token, pad_token, cls_token, mask_token)
        additional = values.listed("additional_special_tokens", additional_special_tokens)
        self._add_tokens(dict(zip(ROLES, roles, strict=True)), additional, added_tokens_decoder)
        if self.kind == "sentencepiece":
            self._check_model()
            self._engine.set_tokens(self.vocab, self._roles, self.added_tokens)
        else:
            self._engine = self._make_wordpiece()

    @functools.cached_property
    def word_joins(self) -> WordJoins:
        return self._engine.joins([id for id in self.all_special_ids if id != self.unk_token_id])

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

    @property
    def all_special_tokens(self) -> list[str]:
        """Names of all special tokens, additional ones too, in order of their ids."""
        return [token.content for token in self.added_tokens if token.special]

    @property
    def all_special_ids(self) -> list[int]:
        """Ids of all special tokens, additional ones too, ascending."""
        return [token.id for token in self.added_tokens if token.special]

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike, **overrides) -> "ElectraTokenizer":
        """Loads a tokenizer folder, ours or Hugging Face's, or a bare vocabulary file.

        Nothing in the folder is executed, and nothing outside it read.

        Args:
          folder: a folder with `vocab.txt` or `spm.model` and, where it is not all default,
            `tokenizer_config.json`; or with a WordPiece `tokenizer.json` alone; or such a file.
          **overrides: arguments of the constructor that go before what the folder says.

        Raises:
          InputError: there is no such folder, or it holds no usable tokenizer.
        """
        if "max_len" in overrides:
            overrides.setdefault("model_max_length", overrides.pop("max_len"))
        known = list(inspect.signature(cls).parameters)[1:]
        for name in overrides:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                raise InputError(
                    f"{name} must be one of {', '.join(known)}"
                    + (f"; did you mean {near[0]}?" if near else "")
                )
        stored = tokenizer_files.read(pathlib.Path(folder))
        try:
            tokenizer = cls(stored.vocabulary, **(stored.settings | overrides))
        except InputError as error:
            if str(stored.source) in str(error):
                raise
            raise InputError(f"{stored.source.parent}: {error}") from error
        tokenizer.extra = stored.extra
        return tokenizer

    @property
    def engine(self):
        """What cuts texts into pieces: a `WordPiece`, or a `SentencePiece`."""
        return self._engine

    def save_pretrained(self, folder: str | os.PathLike):
        """Writes a tokenizer folder, which Hugging Face's classes read too.

        It has vocabulary or model, `tokenizer_config.json`, `special_tokens_map.json`, and
        `tokenizer.json` where that can say all: it has no place for a SentencePiece model, for
        `never_split`, or for `do_basic_tokenize=False`.
        """
        is_model = self.kind == "sentencepiece"
        specials = dict(self._roles)
        if self.additional_special_tokens:
            specials["additional_special_tokens"] = self.additional_special_tokens
        contents = {
            MODEL_FILE if is_model else VOCABULARY_FILE: self._engine.content(),
            tokenizer_files.CONFIG_FILE: self.extra | self._config() | specials,
            tokenizer_files.SPECIAL_TOKENS_FILE: specials,
            tokenizer_files.ENGINE_FILE: self._engine.tokenizer_json(),
        }
        tokenizer_files.write(pathlib.Path(folder), contents)

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
    ) -> dict:
        """Encodes text with its special tokens.

        Args:
          text: a text or several.
          text_pair: what goes into the second segment, likewise.
          max_length: the most tokens, special ones counted; None: `model_max_length`.
          truncation: what is longer is cut: True or "longest_first" cuts the longer of two
            segments, "only_first" and "only_second" the one.
          padding: True or "longest" pads to the longest of the rows, "max_length" to that, or to
            the longest row if one is longer still.
          return_offsets_mapping: adds `offset_mapping`, int32 `[..., 2]`: from and to which
            character of its text, or of its word, a token reaches.
          add_special_tokens: [CLS] goes before and [SEP] behind.
          is_split_into_words: a text is given as a list of words.
          stride: how many pieces of a text a window has in common with the one before.
          return_overflowing_tokens: what truncation cuts off makes further rows, windows over the
            text; adds `overflow_to_sample_mapping`, int32 `[rows]`: which text each is of.
          pad_to_multiple_of: the padded length is the next multiple of it.
          padding_side: "right" or "left"; None: as the tokenizer has it.
          return_special_tokens_mask: adds `special_tokens_mask`: 1 where a special token was put,
            or padding.
          return_word_ids: adds `word_ids`: to which word of its text a token belongs, counted from
            0, and -1 for what was put or padded.
          return_tensors: "np" or "tf": arrays or tensors with all rows, for one text too; None: as
            below.

        Returns:
          A dict of int32 `input_ids`, `token_type_ids`, `attention_mask`: arrays `[length]` for a
          text; for several, arrays `[rows, length]` when padded and else lists of arrays.

        Raises:
          InputError: arguments that do not go together.
        """
        framing = self._framing(
            truncation,
            max_length,
            stride=values.at_least("stride", stride, 0),
            windows=return_overflowing_tokens,
            add_special_tokens=add_special_tokens,
        )
        plan = self._plan(padding, max_length, pad_to_multiple_of, padding_side)
        calls.check_multiple(plan, framing.max_length)
        single = calls.is_single(text, is_split_into_words)
        pairs = calls.pair_up(text, text_pair, single, is_split_into_words)
        detail = return_offsets_mapping or return_word_ids
        framed = self._frame(pairs, framing, is_split_into_words, detail)
        wanted = {
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
            "word_ids": return_word_ids,
        }
        found = calls.columns([row for each in framed for row in each])
        result = plan.arrays({name: found[name] for name in found if wanted.get(name, True)})
        if return_overflowing_tokens:
            places = [place for place, each in enumerate(framed) for _ in each]
            result["overflow_to_sample_mapping"] = np.array(places, np.int32)
        if return_tensors is not None:
            return calls.tensors(result, return_tensors)
        bare = single and not return_overflowing_tokens
        return {name: column[0] for name, column in result.items()} if bare else result

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False
    ) -> list[str]:
        """The pieces of a text, or of two, as strings."""
        encoded = self(text, pair, add_special_tokens=add_special_tokens)
        return [self.vocab[id] for id in encoded["input_ids"]]

    def encode(self, text: str, text_pair: str | None = None, **options) -> list[int]:
        """The ids of a text or pair, a list; the options are those of a call."""
        return self(text, text_pair, **options)["input_ids"].tolist()

    def encode_ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of many texts, int32 `[length]` each, without special tokens around.

        A special token's name in a text is text here, so that no document can put a [MASK] or
        [SEP] into an example.
        """
        return calls.run(self._engine.encode_plain, texts)

    # === Ids to text ===

    def decode(
        self,
        ids,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """The text of ids, as far as it can be had back: case and white space may be lost.

        Args:
          ids: of a text.
          skip_special_tokens: these are left out.
          clean_up_tokenization_spaces: None: as the tokenizer has it.
        """
        tokens = self.convert_ids_to_tokens(np.asarray(ids).ravel(), skip_special_tokens)
        return self.convert_tokens_to_string(tokens, clean_up_tokenization_spaces)

    def batch_decode(self, rows, **options) -> list[str]:
        """The texts of several rows of ids; the options are those of `decode`."""
        return [self.decode(row, **options) for row in rows]

    def convert_tokens_to_string(
        self, tokens: Sequence[str], clean_up_tokenization_spaces: bool | None = None
    ) -> str:
        """The text of pieces."""
        text = self._engine.join(tokens)
        tidy = clean_up_tokenization_spaces
        if self.clean_up_tokenization_spaces if tidy is None else tidy:
            for spaced, tidied in _TIDIED:
                text = text.replace(spaced, tidied)
        return text

    # === Names, ids and special tokens ===

    def convert_ids_to_tokens(self, ids, skip_special_tokens: bool = False) -> str | list[str]:
        """The names of ids; the name, of one.

        Raises:
          InputError: an id that the vocabulary has not.
        """
        if np.ndim(ids) == 0:
            return self._token(int(ids))
        skipped = set(self.all_special_ids) if skip_special_tokens else ()
        ids = [int(id) for id in np.asarray(ids).ravel()]
        return [self._token(id) for id in ids if id not in skipped]

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> int | list[int]:
        """The ids of names, [UNK]'s for those that the vocabulary has not; the id, of one."""
        if isinstance(tokens, str):
            return self._ids.get(tokens, self.unk_token_id)
        return [self._ids.get(token, self.unk_token_id) for token in tokens]

    def get_vocab(self) -> dict[str, int]:
        """Ids by their tokens."""
        return dict(self._ids)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens a row has."""
        return Framing(self.cls_token_id, self.sep_token_id).num_special(2 if pair else 1)

    def build_inputs_with_special_tokens(self, ids: list[int], pair_ids=None) -> list[int]:
        """Ids of one or two segments with the special tokens."""
        return self._row_of(ids, pair_ids).ids

    def create_token_type_ids_from_sequences(self, ids: list[int], pair_ids=None) -> list[int]:
        """The segments' numbers, 0 or 1, of the row of one or two segments."""
        return self._row_of(ids, pair_ids).type_ids

    def get_special_tokens_mask(
        self, ids: list[int], pair_ids=None, already_has_special_tokens: bool = False
    ) -> list[int]:
        """1 where the row of one or two segments has a special token put in, else 0.

        Args:
          ids, pair_ids: of segments.
          already_has_special_tokens: `ids` are a row's; special tokens of its text count too.
        """
        if not already_has_special_tokens:
            return self._row_of(ids, pair_ids).special
        special = set(self.all_special_ids)
        return [int(id in special) for id in ids]

    def __len__(self) -> int:
        return self.vocab_size

    def _token(self, id: int) -> str:
        if not 0 <= id < self.vocab_size:
            raise InputError(
                f"ids must be from 0 to {self.vocab_size - 1}, the last of the vocabulary, was {id}"
            )
        return self.vocab[id]

    # === How it is made ===

    def _check_arguments(self):
        flags = ("do_basic_tokenize", "tokenize_chinese_chars", "clean_text")
        for name in flags:
            values.choice(name, getattr(self, name), (True, False))
        for name in ("do_lower_case", "strip_accents", "clean_up_tokenization_spaces"):
            values.choice(name, getattr(self, name), (True, False, None))
        for name in ("padding_side", "truncation_side"):
            values.choice(name, getattr(self, name), SIDES)
        if not isinstance(self.wordpieces_prefix, str) or not self.wordpieces_prefix:
            raise InputError(
                "wordpieces_prefix must be the mark of pieces that go on with a word, like "
                f"{WORDPIECE_MARK!r}, was {self.wordpieces_prefix!r}"
            )

    def _read_vocabulary(self, vocab):
        self._source, self.kind = "vocab", "wordpiece"
        if isinstance(vocab, str | os.PathLike):
            self._source, file = os.fspath(vocab), pathlib.Path(vocab)
            if file.name.endswith(_MODEL_SUFFIX):
                self.kind = "sentencepiece"
                self._engine = _sentencepiece_engine(file)
                vocab = self._engine.vocab
            else:
                vocab = wordpiece.read_vocabulary(file)
        self.vocab = list(vocab)
        self._file_size = len(self.vocab)
        _check_different(self._source, self.vocab)

    def _add_tokens(self, roles: dict, additional: Sequence, decoder: Mapping | None):
        added_tokens.extend(self.vocab, decoder, additional, self._source)
        self.vocab_size = len(self.vocab)
        self._ids = {token: place for place, token in enumerate(self.vocab)}
        self._roles = {role: added_tokens.name_of(role, token) for role, token in roles.items()}
        for role, token in self._roles.items():
            if token not in self._ids:
                raise InputError(_special_token_missing(self, self._source, role, token))
            setattr(self, role, token)
            setattr(self, f"{role}_id", self._ids[token])
        if self.unk_token_id >= self._file_size:
            raise InputError(
                f"unk_token must be one of the {self._file_size} tokens of {self._source}, was "
                f"{self.unk_token!r}, which comes behind them; put it into the vocabulary"
            )
        self.additional_special_tokens = [
            added_tokens.name_of("additional_special_tokens", token) for token in additional
        ]
        self.added_tokens = added_tokens.collect(
            self._ids, roles, decoder, additional, normalizes=self.kind == "wordpiece"
        )

    def _make_wordpiece(self) -> wordpiece.WordPiece:
        self.do_lower_case = self.do_lower_case is not False
        self.clean_up_tokenization_spaces = self.clean_up_tokenization_spaces is not False
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

    def _check_model(self):
        folds = self._engine.folds_case
        if self.do_lower_case not in (None, folds):
            raise InputError(
                f"do_lower_case must be {folds} or left out for {self._source}, whose normaliser "
                f"{'folds' if folds else 'keeps'} case, was {self.do_lower_case}; train the model "
                "anew for the other"
            )
        usual = {
            "strip_accents": (None, False),
            "do_basic_tokenize": (True,),
            "never_split": ((),),
            "tokenize_chinese_chars": (True,),
            "clean_text": (True,),
            "wordpieces_prefix": (WORDPIECE_MARK,),
        }
        for name, those in usual.items():
            if getattr(self, name) not in those:
                raise InputError(
                    f"{name} must be left out for {self._source}, was {getattr(self, name)}: a "
                    "SentencePiece model treats text as its normaliser and its pieces say"
                )
        self.do_lower_case = folds
        self.clean_up_tokenization_spaces = bool(self.clean_up_tokenization_spaces)

    def _config(self) -> dict:
        names = ["do_lower_case", "clean_up_tokenization_spaces", "padding_side", "truncation_side"]
        if self.kind == "wordpiece":
            names += ["do_basic_tokenize", "tokenize_chinese_chars", "strip_accents"]
            names += ["clean_text", "wordpieces_prefix"]
        config = {name: getattr(self, name) for name in names}
        if self.kind == "wordpiece":
            config["never_split"] = list(self.never_split) or None
        return config | {
            "model_max_length": self.model_max_length or values.UNLIMITED,
            "added_tokens_decoder": added_tokens.as_decoder(self.added_tokens),
            # Whatever class wrote it.
            "tokenizer_class": "ElectraTokenizer",
        }

    # === How a call goes ===

    def _framing(self, truncation, max_length: int | None, **rest) -> Framing:
        cut = calls.strategy(truncation)
        if cut is not None:
            limit = calls.limit(f"{truncation=}", max_length, self.model_max_length)
            rest |= {"strategy": cut, "max_length": limit, "side": self.truncation_side}
        return Framing(self.cls_token_id, self.sep_token_id, **rest)

    def _plan(self, padding, max_length: int | None, multiple, side) -> Padding:
        width = None
        if padding == "max_length":
            width = calls.limit(f"{padding=}", max_length, self.model_max_length)
        side = self.padding_side if side is None else side
        multiple = 1 if multiple is None else multiple
        return Padding(
            self.pad_token_id,
            calls.is_padded(padding),
            width,
            values.at_least("pad_to_multiple_of", multiple, 1),
            values.choice("padding_side", side, SIDES),
        )

    def _frame(
        self, pairs: list[tuple], framing: Framing, split: bool, detail: bool
    ) -> list[list[Row]]:
        """The rows of each text or pair."""
        texts = [text for pair in pairs for text in pair]
        segments = iter(self._segments(texts, split, detail))
        return [framing.rows([next(segments) for _ in pair]) for pair in pairs]

    def _segments(self, texts: list, split: bool, detail: bool) -> list[Segment]:
        if not split:
            return calls.run(self._engine.segments, texts, detail)
        words = [word for text in texts for word in text]
        found = iter(calls.run(self._engine.segments, words, detail))
        return [rows.join_words(next(found) for _ in text) for text in texts]

    def _row_of(self, ids: Sequence[int], pair_ids: Sequence[int] | None) -> Row:
        framing = Framing(self.cls_token_id, self.sep_token_id)
        segments = [ids] if pair_ids is None else [ids, pair_ids]
        return framing.rows([Segment(list(each), [], []) for each in segments])[0]


def _sentencepiece_engine(file: pathlib.Path):
    # Most tokenizers need it not.
    from official_nlp.data.tokenization.sentencepiece import SentencePiece

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


def _check_different(source: str, vocab: list[str]):
    seen: dict[str, int] = {}
    for place, token in enumerate(vocab):
        if not isinstance(token, str):
            raise InputError(f"{source}: tokens must be str, but number {place} was {token!r}")
        if token in seen:
            raise InputError(
                f"{source}: tokens must differ, but {seen[token]} and {place}, counted from 0, are "
                f"both {token!r}; give the first, which no text would ever get, a name of its own"
            )
        seen[token] = place
