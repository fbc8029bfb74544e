"""SentencePiece, on the package of its authors.

The `tokenizers` package has a Unigram model and a normalizer for SentencePiece's character maps,
but the ids would differ: its normalizer works on whole graphemes, and loses the accent of
"Y\\u0301", for instance.
"""

import contextlib
import itertools
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sentencepiece
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2

from official_nlp.data.tokenization.added_tokens import AddedToken
from official_nlp.data.tokenization.engine import Segment, join_words
from official_nlp.data.tokenization.words import (
    SENTENCEPIECE_MARK,
    WORDPIECE_MARK,
    WordJoins,
    sentencepiece_joins,
)
from official_nlp.errors import InputError
from official_nlp.files import guarded

# protobuf makes these classes when it is imported, so type checkers do not see them.
_ModelProto: Any = getattr(sentencepiece_model_pb2, "ModelProto")  # noqa: B009
_Piece: Any = _ModelProto.SentencePiece
# Names of SentencePiece's normalizers that fold case end with this.
_FOLDS_CASE = "_cf"
# The arguments of `ElectraTokenizer` about characters and words, and their accepted values.
_ACCEPTED = {
    "strip_accents": (None, False),
    "do_basic_tokenize": (True,),
    "never_split": ((),),
    "tokenize_chinese_chars": (True,),
    "clean_text": (True,),
    "wordpieces_prefix": (WORDPIECE_MARK,),
}


class SentencePieceModel:
    """The content of a model file.

    Attributes:
      content: the bytes of the file.
      source: its name in messages.
      proto: the parsed content.
      pieces: the pieces in order of their ids.
      folds_case: whether the model's normalizer folds case.
    """

    def __init__(self, content: bytes, source: str):
        """Parse a model.

        Args:
          content: the bytes of a model file.
          source: name of the file in messages.

        Raises:
          InputError: if it is not a complete SentencePiece model.
        """
        self.content, self.source = content, source
        self.proto = _parse(content, source)
        self.pieces: list[str] = [piece.piece for piece in self.proto.pieces]
        self.folds_case: bool = self.proto.normalizer_spec.name.endswith(_FOLDS_CASE)

    @classmethod
    def read(cls, file: pathlib.Path) -> "SentencePieceModel":
        """Read a model file.

        Raises:
          InputError: if it cannot be read, or is not a complete SentencePiece model.
        """
        return cls(guarded.read_bytes(file), os.fspath(file))

    def check_settings(self, do_lower_case: bool | None, settings: Mapping[str, Any]) -> None:
        """Refuse settings that contradict the model's own treatment of characters and words.

        Args:
          do_lower_case: argument of `ElectraTokenizer`.
          settings: its other arguments about characters and words, by name.

        Raises:
          InputError: if one of them contradicts it.
        """
        if do_lower_case not in (None, self.folds_case):
            raise InputError(
                f"do_lower_case must be {self.folds_case} or left out for {self.source}, whose "
                f"normalizer {'folds' if self.folds_case else 'keeps'} case, was {do_lower_case}; "
                "train another model to change it"
            )
        for name, accepted in _ACCEPTED.items():
            if settings[name] not in accepted:
                raise InputError(
                    f"{name} must be left out for {self.source}, was {settings[name]}: the "
                    "normalizer and the pieces of a SentencePiece model determine how it treats "
                    "text"
                )


class SentencePiece:
    """Splits text into the pieces of a SentencePiece model; see `Engine`.

    Attributes:
      vocab: the pieces in order of their ids; added tokens come last.
      words_are_apart: whether the ids of a text are the ids of its words, split at spaces,
        concatenated.
      num_pieces: number of pieces of the model, without added tokens.
    """

    def __init__(
        self,
        model: SentencePieceModel,
        vocab: Sequence[str],
        roles: Mapping[str, str],
        added: Sequence[AddedToken],
    ):
        """Make an engine.

        Args:
          model: the model.
          vocab: its pieces, followed by added tokens.
          roles: the special tokens by their roles, like "mask_token"; all in the vocabulary.
          added: tokens that are matched before text is split.

        Raises:
          InputError: if `unk_token` is not the model's, or an added token has a rule that the
            model cannot follow.
        """
        _check_tokens(model, roles, added)
        self.vocab = list(vocab)
        self._content, self.num_pieces = model.content, len(model.pieces)
        self._ids = {piece: id for id, piece in enumerate(vocab)}
        self._added = {token.id for token in added}
        self._names = _pattern(added)
        self._plain_names = _pattern([token for token in added if not token.special])
        self._proto = proto = _ModelProto()
        proto.CopyFrom(model.proto)
        for token in added:
            # SentencePiece finds user-defined pieces in any text, but no document may put a [MASK]
            # into an example. Control pieces are never found.
            if token.id < self.num_pieces:
                piece = proto.pieces[token.id]
                piece.type = piece.type if piece.type == _Piece.UNKNOWN else _Piece.CONTROL
        self._source = model.source
        self._processor = _processor(proto, model.source)
        # For text that follows an added token without a space.
        self._inside = _processor(_without_dummy_prefix(proto), model.source)
        self.words_are_apart = _has_words_apart(proto, model.pieces) and not any(
            re.search(r"\s", token.content) for token in added
        )

    def graph_models(self) -> tuple[bytes, bytes]:
        """Return two serialized models: for a text, and for text right after an added token.

        In these models an unknown character is split into bytes, whose ids are `num_pieces` and
        above. Without bytes a run of unknown characters becomes one piece, which tensorflow_text
        copies for each further character: the time is quadratic, half a minute for 1 MB.
        """
        proto = _with_bytes(self._proto)
        return proto.SerializeToString(), _without_dummy_prefix(proto).SerializeToString()

    def split(self, texts: Sequence[str], detail: bool) -> Sequence[Segment]:
        """See `Engine.split`."""
        return [self._segment(text, self._names) for text in texts]

    def split_words(self, texts: Sequence[Sequence[str]], detail: bool) -> Sequence[Segment]:
        """See `Engine.split_words`."""
        return [join_words(self._segment(word, self._names) for word in text) for text in texts]

    def encode_plain(self, texts: Sequence[str]) -> list[np.ndarray]:
        """See `Engine.encode_plain`."""
        if self._plain_names is not None:
            segments = (self._segment(text, self._plain_names) for text in texts)
            return [np.array(segment.ids, np.int32) for segment in segments]
        with self._readable():
            return self._processor.encode(list(texts), return_type="numpy", num_threads=1)

    def join(self, tokens: Sequence[str]) -> str:
        """See `Engine.join`."""
        parts: list[str] = []
        for is_added, run in itertools.groupby(tokens, self._is_added):
            if is_added:
                parts += run
            else:
                parts.append(self._processor.decode([self._ids[token] for token in run]))
        return " ".join(part for part in parts if part)

    def word_joins(self, special: Sequence[int]) -> WordJoins:
        """See `Engine.word_joins`."""
        types = enumerate(piece.type for piece in self._proto.pieces)
        joining = [id for id, type in types if type in (_Piece.UNKNOWN, _Piece.BYTE)]
        return sentencepiece_joins(self.vocab, special, joining)

    def file_content(self) -> bytes:
        """See `Engine.file_content`."""
        return self._content

    def identity(self) -> bytes:
        """See `Engine.identity`: besides pieces, normalizer and scores determine the ids."""
        added = self.vocab[self.num_pieces :]
        return b"\n".join([self._content, *(token.encode() for token in added)])

    def tokenizer_json(self) -> None:
        """Return None: the `tokenizers` package cannot represent the model."""

    def _is_added(self, token: str) -> bool:
        """Return whether the model does not decode this token."""
        return token not in self._ids or self._ids[token] in self._added

    def _segment(self, text: str, names: re.Pattern[str] | None) -> Segment:
        segment = Segment([], [], [])
        for start, part, name in _parts(text, names):
            if name is not None:
                segment.ids.append(self._ids[name])
                segment.offsets.append((start, start + len(part)))
                segment.words.append(_next_word(segment))
                continue
            continues = start and not part[0].isspace()
            processor = self._inside if continues else self._processor
            with self._readable():
                found = processor.encode(part, return_type="offset_mapping")
            spans = (_without_space(text, start + a, start + b) for a, b in found["offsets"])
            segment.words.extend(self._words(found["ids"], _next_word(segment)))
            segment.ids.extend(found["ids"])
            segment.offsets.extend(spans)
        return segment

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Explain bytes that are not UTF-8, which the normalizer of a damaged model results in."""
        try:
            yield
        except UnicodeDecodeError as error:
            raise InputError(
                f"the model {self._source} must normalize text to UTF-8, but results in other "
                "bytes: it is damaged; copy it again"
            ) from error

    def _words(self, ids: Sequence[int], first: int) -> list[int]:
        begins = (self.vocab[id].startswith(SENTENCEPIECE_MARK) for id in ids[1:])
        return list(itertools.accumulate(begins, initial=first)) if ids else []


def _parse(content: bytes, source: str) -> Any:
    try:
        proto = _ModelProto.FromString(content)
    except DecodeError as error:
        raise InputError(
            f"{source} is not a SentencePiece model, or incomplete: {error}; copy it again"
        ) from error
    # A truncated file can end between two parts, and parses then. These follow the pieces.
    parts = ("trainer_spec", "normalizer_spec")
    if not (len(proto.pieces) and all(map(proto.HasField, parts))):
        raise InputError(f"{source} is not a complete SentencePiece model; copy it again")
    return proto


def _check_tokens(
    model: SentencePieceModel, roles: Mapping[str, str], added: Sequence[AddedToken]
) -> None:
    """Raise InputError for special tokens that do not go with the model."""
    unknown = [piece.piece for piece in model.proto.pieces if piece.type == _Piece.UNKNOWN]
    if len(unknown) != 1:
        raise InputError(
            f"{model.source} must have one unknown piece, but has {len(unknown)}; copy it again"
        )
    if unknown != [roles["unk_token"]]:
        raise InputError(
            f"unk_token must be the unknown piece of {model.source}, {unknown[0]!r}, was "
            f"{roles['unk_token']!r}; give unk_token={unknown[0]!r}"
        )
    for token in added:
        if token.normalized:
            raise InputError(
                f"{token.content!r} must not be `normalized`: with {model.source}, added tokens "
                "are found in text before normalization; give it normalized=False"
            )


def _processor(proto: Any, source: str) -> sentencepiece.SentencePieceProcessor:
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
    except (RuntimeError, OSError, ValueError) as error:
        # The package checks pieces, scores and the normalizer's table itself.
        raise InputError(
            f"{source} is a damaged SentencePiece model: {str(error).strip()}; copy it again"
        ) from error


def _with_bytes(proto: Any) -> Any:
    """Return a copy of the model that splits unknown characters into bytes."""
    copy = _ModelProto()
    copy.CopyFrom(proto)
    names = [f"<0x{byte:02X}>" for byte in range(256)]  # the names that SentencePiece expects
    # A model that has such pieces usually has all of them. No name may be there twice.
    if {piece.piece for piece in proto.pieces}.isdisjoint(names):
        copy.trainer_spec.byte_fallback = True
        copy.pieces.extend(_Piece(piece=name, type=_Piece.BYTE) for name in names)
    return copy


def _without_dummy_prefix(proto: Any) -> Any:
    """Return a copy of the model that puts no space before a text."""
    copy = _ModelProto()
    copy.CopyFrom(proto)
    copy.normalizer_spec.add_dummy_prefix = False
    return copy


def _has_words_apart(proto: Any, pieces: Sequence[str]) -> bool:
    spec, trainer = proto.normalizer_spec, proto.trainer_spec
    return (
        spec.add_dummy_prefix
        and spec.remove_extra_whitespaces
        and spec.escape_whitespaces
        and not trainer.treat_whitespace_as_suffix
        and not any(SENTENCEPIECE_MARK in piece[1:] for piece in pieces)
    )


def _without_space(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without the leading space that the mark of its piece stands for."""
    while start < end and text[start].isspace():
        start += 1
    return start, end


def _next_word(segment: Segment) -> int:
    return segment.words[-1] + 1 if segment.words else 0


def _pattern(added: Iterable[AddedToken]) -> re.Pattern[str] | None:
    """Return a pattern for added tokens, with one group for each; None if there are none."""
    longest_first = sorted(added, key=lambda token: len(token.content), reverse=True)
    return re.compile("|".join(map(_rule, longest_first))) if longest_first else None


def _rule(token: AddedToken) -> str:
    before, after = r"\s*" * token.lstrip, r"\s*" * token.rstrip
    name = f"({re.escape(token.content)})"
    name = rf"(?<!\w){name}(?!\w)" if token.single_word else name
    return f"{before}{name}{after}"


def _parts(text: str, names: re.Pattern[str] | None) -> Iterator[tuple[int, str, str | None]]:
    """Yield (start, text, name of the added token or None) for each part of a text."""
    done = 0
    for match in names.finditer(text) if names else ():
        if match.start() > done:
            yield done, text[done : match.start()], None
        yield match.start(), match[0], match[match.lastindex or 0]
        done = match.end()
    if done < len(text):
        yield done, text[done:], None
