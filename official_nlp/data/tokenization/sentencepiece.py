"""SentencePiece, on the package of its authors."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import sentencepiece
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2

from official_nlp.data.tokenization.added_tokens import AddedToken
from official_nlp.data.tokenization.rows import Segment
from official_nlp.data.tokenization.words import SENTENCEPIECE_MARK, WordJoins, sentencepiece_joins
from official_nlp.errors import InputError

FILE = "spm.model"
SUFFIX = ".model"

_Piece = sentencepiece_model_pb2.ModelProto.SentencePiece
# Normalisers of the authors whose names end so fold case.
_FOLDS_CASE = "_cf"


class SentencePiece:
    """Cuts text into the pieces of a model: what `ElectraTokenizer` does with `spm.model`.

    Attributes:
      vocab: the pieces in order of their ids; later, what was added behind them too.
      words_are_apart: the ids of a text are those of its words, one after another.
      folds_case: the model's normaliser makes small letters of capitals.
    """

    def __init__(self, model: bytes, source: str):
        """Makes an engine, without special tokens at first.

        Args:
          model: the content of the model's file.
          source: what messages call it.

        Raises:
          InputError: it is none, or not whole.
        """
        self._model, self._source = model, source
        self._proto = _parse(model, source)
        self.vocab = [piece.piece for piece in self._proto.pieces]
        self.folds_case = self._proto.normalizer_spec.name.endswith(_FOLDS_CASE)
        self.words_are_apart = self._has_words_apart()

    def set_tokens(
        self, vocab: Sequence[str], roles: Mapping[str, str], added: Sequence[AddedToken]
    ):
        """Says which pieces are special, and what was added behind the model's.

        Args:
          vocab: the pieces and what was added.
          roles: the special tokens by what they are for; all in the vocabulary.
          added: what is looked for in a text before it is cut.

        Raises:
          InputError: the token for the unknown is not the model's, or a rule that it has no way
            to follow.
        """
        unknown = [p.piece for p in self._proto.pieces if p.type == _Piece.UNKNOWN]
        if unknown != [roles["unk_token"]]:
            raise InputError(
                f"unk_token must be the piece that {self._source} gives to what is unknown, "
                f"{unknown[0]!r}, was {roles['unk_token']!r}; give unk_token={unknown[0]!r}"
            )
        for token in added:
            if token.normalized:
                raise InputError(
                    f"{token.content!r} must not be `normalized`: with {self._source}, tokens are "
                    "looked for in the text as it is given"
                )
        self.words_are_apart &= not any(re.search(r"\s", token.content) for token in added)
        self.vocab = list(vocab)
        self._ids = {piece: id for id, piece in enumerate(vocab)}
        self._added = {token.id for token in added}
        self._names = _pattern(added)
        self._plain_names = _pattern([token for token in added if not token.special])
        for token in added:
            # A user-defined piece is met in any text, and no document shall put a [MASK] into an
            # example.
            if token.id < len(self._proto.pieces):
                piece = self._proto.pieces[token.id]
                piece.type = piece.type if piece.type == _Piece.UNKNOWN else _Piece.CONTROL
        self._processor = _processor(self._proto)
        # For text that goes on behind a special token without a space.
        inside = type(self._proto)()
        inside.CopyFrom(self._proto)
        inside.normalizer_spec.add_dummy_prefix = False
        self._inside = _processor(inside)

    def models(self) -> tuple[bytes, bytes]:
        """The models at work: for a text, and for one that goes on behind a special token."""
        return self._processor.serialized_model_proto(), self._inside.serialized_model_proto()

    def segments(self, texts: Sequence[str], detail: bool) -> list[Segment]:
        """The pieces of texts; see `WordPiece.segments`."""
        return [self._segment(text, self._names) for text in texts]

    def encode_plain(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of texts, in which nothing is special, int32 each."""
        if self._plain_names is not None:
            segments = (self._segment(text, self._plain_names) for text in texts)
            return [np.array(segment.ids, np.int32) for segment in segments]
        return self._processor.encode(list(texts), return_type="numpy", num_threads=1)

    def join(self, tokens: Sequence[str]) -> str:
        """The text of pieces."""
        parts = []
        ids = (self._ids.get(token) for token in tokens)
        for is_added, run in itertools.groupby(zip(tokens, ids), self._is_bare):
            if is_added:
                parts += [token for token, _ in run]
            else:
                parts.append(self._processor.decode([id for _, id in run]))
        return " ".join(part for part in parts if part)

    def joins(self, special: Sequence[int]) -> WordJoins:
        """Which pieces make words together; `special` are the ids that carry no text."""
        kinds = enumerate(piece.type for piece in self._proto.pieces)
        joining = [id for id, kind in kinds if kind in (_Piece.UNKNOWN, _Piece.BYTE)]
        return sentencepiece_joins(self.vocab, special, joining)

    def content(self) -> bytes:
        """What the model's file holds."""
        return self._model

    def identity(self) -> bytes:
        """What its hash is made of: the normaliser and the scores decide about the ids too."""
        added = self.vocab[len(self._proto.pieces) :]
        return b"\n".join([self._model, *(token.encode() for token in added)])

    def tokenizer_json(self) -> None:
        """Nothing: the `tokenizers` package does not read the model."""

    def _has_words_apart(self) -> bool:
        spec, trainer = self._proto.normalizer_spec, self._proto.trainer_spec
        return (
            spec.add_dummy_prefix
            and spec.remove_extra_whitespaces
            and spec.escape_whitespaces
            and not trainer.treat_whitespace_as_suffix
            and not any(SENTENCEPIECE_MARK in piece[1:] for piece in self.vocab)
        )

    def _is_bare(self, token: tuple) -> bool:
        return token[1] is None or token[1] in self._added

    def _segment(self, text: str, names: re.Pattern[str] | None) -> Segment:
        segment = Segment([], [], [])
        for start, part, name in _parts(text, names):
            if name is not None:
                segment.ids.append(self._ids[name])
                segment.offsets.append((start, start + len(part)))
                segment.words.append(_next_word(segment))
                continue
            goes_on = start and not part[0].isspace()
            processor = self._inside if goes_on else self._processor
            found = processor.encode(part, return_type="offset_mapping")
            spans = (_without_space(text, start + a, start + b) for a, b in found["offsets"])
            segment.words.extend(self._words(found["ids"], _next_word(segment)))
            segment.ids.extend(found["ids"])
            segment.offsets.extend(spans)
        return segment

    def _words(self, ids: Sequence[int], first: int) -> list[int]:
        begins = (self.vocab[id].startswith(SENTENCEPIECE_MARK) for id in ids[1:])
        return list(itertools.accumulate(begins, initial=first)) if ids else []


def _parse(model: bytes, source: str) -> sentencepiece_model_pb2.ModelProto:
    try:
        proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    except DecodeError as error:
        raise InputError(
            f"{source} is no SentencePiece model, or not whole: {error}; copy it again"
        ) from error
    # These come behind the pieces.
    if not (len(proto.pieces) and proto.HasField("trainer_spec")):
        raise InputError(f"{source} is no whole SentencePiece model; copy it again")
    if not proto.HasField("normalizer_spec"):
        raise InputError(f"{source} is no whole SentencePiece model; copy it again")
    return proto


def _processor(proto) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())


def _without_space(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without the space that the mark of its piece stands for."""
    while start < end and text[start].isspace():
        start += 1
    return start, end


def _next_word(segment: Segment) -> int:
    return segment.words[-1] + 1 if segment.words else 0


def _pattern(added: Iterable[AddedToken]) -> re.Pattern[str] | None:
    longest_first = sorted(added, key=lambda token: len(token.content), reverse=True)
    return re.compile("|".join(map(_rule, longest_first))) if longest_first else None


def _rule(token: AddedToken) -> str:
    before, behind = r"\s*" * token.lstrip, r"\s*" * token.rstrip
    name = f"({re.escape(token.content)})"
    name = rf"(?<!\w){name}(?!\w)" if token.single_word else name
    return f"{before}{name}{behind}"


def _parts(text: str, names: re.Pattern[str] | None) -> Iterator[tuple[int, str, str | None]]:
    """Yields (start, text, name of the added token that it is)."""
    done = 0
    for match in names.finditer(text) if names else ():
        if match.start() > done:
            yield done, text[done : match.start()], None
        yield match.start(), match[0], match[match.lastindex]
        done = match.end()
    if done < len(text):
        yield done, text[done:], None
