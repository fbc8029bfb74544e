"""SentencePiece, on the package of its authors."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import sentencepiece
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2

from official_nlp.data.words import SENTENCEPIECE_MARK, WordJoins, sentencepiece_joins
from official_nlp.errors import InputError

FILE = "spm.model"
SUFFIX = ".model"

_Piece = sentencepiece_model_pb2.ModelProto.SentencePiece
# Normalisers of the authors whose names end so fold case.
_FOLDS_CASE = "_cf"

# Ids of a segment, and from and to which character each reaches.
Segment = tuple[list[int], list[tuple[int, int]]]


class Encoding(NamedTuple):
    """A text or pair of texts with its special tokens."""

    ids: list[int]
    type_ids: list[int]
    attention_mask: list[int]
    offsets: list[tuple[int, int]]


class SentencePiece:
    """Cuts text into the pieces of a model: what `ElectraTokenizer` does with `spm.model`.

    Attributes:
      vocab: the pieces in order of their ids.
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

    def set_roles(self, roles: Mapping[str, str], ids: Mapping[str, int]):
        """Says which pieces are special.

        Args:
          roles: the special tokens by what they are for; all in the vocabulary.
          ids: the ids of the tokens.

        Raises:
          InputError: the token for the unknown is not the model's.
        """
        self._roles = {role: ids[token] for role, token in roles.items()}
        unknown = [p.piece for p in self._proto.pieces if p.type == _Piece.UNKNOWN]
        if unknown != [roles["unk_token"]]:
            raise InputError(
                f"unk_token must be the piece that {self._source} gives to what is unknown, "
                f"{unknown[0]!r}, was {roles['unk_token']!r}; give unk_token={unknown[0]!r}"
            )
        self._names = re.compile("|".join(sorted(map(re.escape, roles.values()), reverse=True)))
        self._ids = ids
        for id in self._roles.values():
            # A user-defined piece is met in any text, and no document shall put a [MASK] into an
            # example.
            if self._proto.pieces[id].type != _Piece.UNKNOWN:
                self._proto.pieces[id].type = _Piece.CONTROL
        self._processor = _processor(self._proto)
        # For text that goes on behind a special token without a space.
        inside = type(self._proto)()
        inside.CopyFrom(self._proto)
        inside.normalizer_spec.add_dummy_prefix = False
        self._inside = _processor(inside)

    def encode(
        self, inputs: list, strategy: "str | None", max_length: "int | None"
    ) -> list[Encoding]:
        """Encodes texts and pairs of texts with their special tokens; see `WordPiece.encode`."""
        return [self._encode(each, strategy, max_length) for each in inputs]

    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text."""
        return [self.vocab[id] for id in self._segment(text)[0]]

    def encode_plain(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of texts, in which nothing is special, int32 each."""
        return self._processor.encode(list(texts), return_type="numpy", num_threads=1)

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        """The text of ids."""
        special = set(self._roles.values())
        parts = []
        for is_special, run in itertools.groupby(ids, special.__contains__):
            if not is_special:
                parts.append(self._processor.decode(list(run)))
            elif not skip_special_tokens:
                parts += [self.vocab[id] for id in run]
        return " ".join(part for part in parts if part)

    def joins(self, special: Sequence[int]) -> WordJoins:
        """Which pieces make words together; `special` are the ids that carry no text."""
        kinds = enumerate(piece.type for piece in self._proto.pieces)
        joining = [id for id, kind in kinds if kind in (_Piece.UNKNOWN, _Piece.BYTE)]
        return sentencepiece_joins(self.vocab, special, joining)

    def content(self) -> bytes:
        """What the model's file holds."""
        return self._model

    # The normaliser and the scores decide about the ids too.
    identity = content

    def _has_words_apart(self) -> bool:
        spec, trainer = self._proto.normalizer_spec, self._proto.trainer_spec
        return (
            spec.add_dummy_prefix
            and spec.remove_extra_whitespaces
            and spec.escape_whitespaces
            and not trainer.treat_whitespace_as_suffix
            and not any(SENTENCEPIECE_MARK in piece[1:] for piece in self.vocab)
        )

    def _encode(self, texts, strategy, max_length) -> Encoding:
        texts = (texts,) if isinstance(texts, str) else texts
        segments = [self._segment(text) for text in texts]
        if strategy is not None:
            segments = _truncate(segments, strategy, max_length)
        sep = [self._roles["sep_token"]]
        ids, offsets, types = [self._roles["cls_token"]], [(0, 0)], [0]
        for number, (pieces, spans) in enumerate(segments):
            ids += pieces + sep
            offsets += [*spans, (0, 0)]
            types += [number] * (len(pieces) + 1)
        return Encoding(ids, types, [1] * len(ids), offsets)

    def _segment(self, text: str) -> Segment:
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        for start, part, special in self._parts(text):
            if special:
                ids.append(self._ids[part])
                spans.append((start, start + len(part)))
                continue
            goes_on = start and not part[0].isspace()
            processor = self._inside if goes_on else self._processor
            found = processor.encode(part, return_type="offset_mapping")
            ids += found["ids"]
            spans += [_without_space(text, start + a, start + b) for a, b in found["offsets"]]
        return ids, spans

    def _parts(self, text: str) -> Iterator[tuple[int, str, bool]]:
        """Yields (start, text, whether it is a special token's name)."""
        done = 0
        for match in self._names.finditer(text):
            if match.start() > done:
                yield done, text[done : match.start()], False
            yield match.start(), match[0], True
            done = match.end()
        if done < len(text):
            yield done, text[done:], False


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


def _truncate(segments: list[Segment], strategy: str, max_length: int) -> list[Segment]:
    """Cuts as the `tokenizers` package does, so that both kinds of vocabulary behave alike."""
    room = max_length - 1 - len(segments)
    sizes = [len(ids) for ids, _ in segments]
    over = sum(sizes) - room
    if over <= 0:
        return segments
    if strategy == "longest_first":
        sizes = _cut_longest(sizes, room)
    else:
        place = 0 if strategy == "only_first" else 1
        if place >= len(sizes) or sizes[place] <= over:
            what = "there is none" if place >= len(sizes) else "it is too short for it"
            raise InputError(
                f"truncation={strategy!r}, max_length={max_length}: {over} tokens must be cut "
                f"from the {'second' if place else 'first'} text, but {what}"
            )
        sizes[place] -= over
    return [(ids[:size], spans[:size]) for (ids, spans), size in zip(segments, sizes)]


def _cut_longest(sizes: list[int], room: int) -> list[int]:
    if len(sizes) == 1:
        return [max(0, room)]
    short, long = sorted(sizes)
    long = max(short, room - short)
    if short + long > room:
        short, long = max(0, room // 2), max(0, room - room // 2)
    return [short, long] if sizes[0] <= sizes[1] else [long, short]
