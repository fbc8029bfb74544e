"""Assemble model inputs from the pieces of texts: special tokens, truncation, windows, padding.

All of it is done by the `tokenizers` package, for every kind of tokenizer. Its tokenizer objects
hold the truncation settings of the last call, which breaks when two threads encode with different
settings. So texts are split by a tokenizer that is never changed, and a second, tiny one without
vocabulary, made anew for each call, only post-processes the pieces.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tokenizers
from tokenizers import models, processors

from official_nlp.data.tokenization.engine import Pieces, Segment
from official_nlp.errors import InputError

STRATEGIES = ("longest_first", "only_first", "only_second")
SIDES = ("right", "left")

# The word index of special tokens and padding, which belong to no word.
NO_WORD = -1
_PLACEHOLDER = "x"


@dataclasses.dataclass(frozen=True)
class Truncation:
    """Settings that determine how sequences are shortened.

    Attributes:
      max_length: maximum number of tokens, including special tokens.
      strategy: which of two segments is shortened, one of `STRATEGIES`.
      side: side at which a segment loses tokens, one of `SIDES`.
      windows: whether the tokens that are cut off form further sequences.
      stride: number of pieces that consecutive windows have in common.
    """

    max_length: int
    strategy: str = "longest_first"
    side: str = "right"
    windows: bool = False
    stride: int = 0


@dataclasses.dataclass(frozen=True)
class Padding:
    """Settings that determine how sequences are brought to one length.

    Attributes:
      pad_id: id of the padding token.
      width: minimum length; None: the longest sequence decides.
      multiple: the length is rounded up to a multiple of it.
      side: side at which padding is added, one of `SIDES`.
    """

    pad_id: int
    width: int | None = None
    multiple: int = 1
    side: str = "right"


class Framed(NamedTuple):
    """One or two segments with their special tokens.

    Attributes:
      encoding: the sequence as the `tokenizers` package returns it.
      segments: the pieces that it was made of.
    """

    encoding: tokenizers.Encoding
    segments: tuple[Pieces, ...]

    def column(self, name: str) -> list:
        """Return the values of one output, one a token.

        Args:
          name: name of the output as the tokenizer returns it, like "input_ids".
        """
        encoding = self.encoding
        if name == "input_ids":
            return self._values(encoding.ids, "ids")
        if name == "token_type_ids":
            # `type_ids` is right for special tokens, but 0 for pieces of the second segment where
            # that was encoded on its own.
            pairs = zip(encoding.type_ids, encoding.sequence_ids)
            return [own if segment is None else segment for own, segment in pairs]
        if name == "attention_mask":
            return encoding.attention_mask
        if name == "special_tokens_mask":
            return encoding.special_tokens_mask
        if name == "offset_mapping":
            return self._values(encoding.offsets, "offsets")
        words = [NO_WORD if word is None else word for word in encoding.word_ids]
        return self._values(words, "words")

    def _values(self, own: list, field: str) -> list:
        """Return the encoding's own values, with those of placeholders replaced."""
        if not isinstance(self.segments[0], Segment):
            return own
        columns = [getattr(segment, field) for segment in self.segments]
        encoding = self.encoding
        return [
            value if segment is None else columns[segment][position]
            for value, segment, (position, _) in zip(own, encoding.sequence_ids, encoding.offsets)
        ]


class Framing:
    """Adds special tokens to the pieces of texts, and truncates them."""

    def __init__(
        self,
        cls_id: int,
        sep_id: int,
        truncation: Truncation | None = None,
        add_special_tokens: bool = True,
    ):
        """Make a framing.

        Args:
          cls_id: id of the token before the first segment.
          sep_id: id of the token after each segment.
          truncation: how sequences are shortened; None: not at all.
          add_special_tokens: whether these tokens are added.
        """
        self._cls_id, self._sep_id = cls_id, sep_id
        self._truncation = truncation
        self._add_special_tokens = add_special_tokens

    def sequences(self, segments: Sequence[Pieces]) -> list[Framed]:
        """Return the sequence of one or two segments, followed by its further windows.

        Raises:
          InputError: if the segments cannot be truncated to the maximum length.
        """
        if self._truncation is not None:
            self._check(self._truncation, [len(segment.ids) for segment in segments])
        whole = self._frame(*map(self._encoding, segments))
        windows = whole.overflowing if self._truncation and self._truncation.windows else []
        return [Framed(encoding, tuple(segments)) for encoding in (whole, *windows)]

    def num_special(self, segments: int) -> int:
        """Return the number of special tokens of a sequence of one or two segments."""
        return 1 + segments if self._add_special_tokens else 0

    def _frame(
        self, first: tokenizers.Encoding, second: tokenizers.Encoding | None = None
    ) -> tokenizers.Encoding:
        return self._engine.post_process(first, second)

    def _encoding(self, pieces: Pieces) -> tokenizers.Encoding:
        """Return the pieces as the `tokenizers` package represents them.

        It cannot be given pieces that were split elsewhere. It splits a text of as many letters
        instead, where offsets are positions in `Segment`'s lists: see `Framed._values`.
        """
        if isinstance(pieces, tokenizers.Encoding):
            return pieces
        return _placeholders().encode(_PLACEHOLDER * len(pieces.ids), add_special_tokens=False)

    @functools.cached_property
    def _engine(self) -> tokenizers.Tokenizer:
        engine = _empty_tokenizer()
        engine.post_processor = (
            processors.TemplateProcessing(
                single="cls:0 $A:0 sep:0",
                pair="cls:0 $A:0 sep:0 $B:1 sep:1",
                special_tokens=[("cls", self._cls_id), ("sep", self._sep_id)],
            )
            if self._add_special_tokens
            else processors.TemplateProcessing(single="$A:0", pair="$A:0 $B:1")
        )
        if self._truncation is not None:
            length = self._truncation.max_length
            # A stride that is too large is refused where it matters (see `_check`), and the
            # package would refuse it for texts that fit, too.
            stride = min(self._truncation.stride, length - self.num_special(1))
            engine.enable_truncation(
                length,
                stride=stride if self._truncation.windows else 0,
                strategy=self._truncation.strategy,
                direction=self._truncation.side,
            )
        return engine

    def _check(self, truncation: Truncation, sizes: list[int]):
        """Raise InputError where the `tokenizers` package would fail without a useful message."""
        room = truncation.max_length - self.num_special(len(sizes))
        over = sum(sizes) - room
        if over <= 0:
            return
        if room < 0:
            raise InputError(
                f"max_length must be at least {self.num_special(len(sizes))}, the number of "
                f"special tokens of a sequence, was {truncation.max_length}"
            )
        if truncation.strategy == "longest_first":
            # The shorter text is only truncated if it is longer than half of the room.
            window = max(room - min(sizes), room // 2) if len(sizes) > 1 else room
        else:
            window = self._size_of_one(truncation, sizes, over)
        if truncation.windows and window <= truncation.stride:
            raise InputError(
                f"max_length={truncation.max_length} leaves {window} pieces of the truncated text "
                f"in a window, which must be more than stride={truncation.stride}, the number "
                "shared with the previous window; increase max_length or decrease stride"
            )

    def _size_of_one(self, truncation: Truncation, sizes: list[int], over: int) -> int:
        """Return the size of the only segment that is truncated."""
        index = STRATEGIES.index(truncation.strategy) - 1
        if index >= len(sizes) or sizes[index] <= over:
            what = "there is none" if index >= len(sizes) else "it is too short for that"
            raise InputError(
                f"truncation={truncation.strategy!r}, max_length={truncation.max_length}: {over} "
                f"tokens must be cut from the {'second' if index else 'first'} text, but {what}; "
                'increase max_length, or give truncation="longest_first"'
            )
        return sizes[index] - over


def columns(
    sequences: Sequence[Framed], names: Sequence[str], padding: Padding | None
) -> dict[str, Any]:
    """Return the outputs of sequences by their names, int32.

    With padding, each is an array `[sequences, length]` (offsets `[sequences, length, 2]`), and
    else a list of arrays `[length]`.
    """
    if padding is None:
        return {name: [_array(name, each.column(name)) for each in sequences] for name in names}
    width = max([padding.width or 0, *(len(each.encoding) for each in sequences)])
    width += -width % padding.multiple
    for each in sequences:
        each.encoding.pad(width, direction=padding.side, pad_id=padding.pad_id)
    return {
        name: _array(name, [each.column(name) for each in sequences], len(sequences), width)
        for name in names
    }


def _array(name: str, values: list, *shape: int) -> np.ndarray:
    pair = (2,) if name == "offset_mapping" else ()
    return np.array(values, np.int32).reshape(*(shape or (len(values),)), *pair)


@functools.cache
def _placeholders() -> tokenizers.Tokenizer:
    """Return a tokenizer that makes each placeholder letter a piece."""
    return _empty_tokenizer()


def _empty_tokenizer() -> tokenizers.Tokenizer:
    # Without merges, BPE splits a text into its characters.
    return tokenizers.Tokenizer(models.BPE({_PLACEHOLDER: 0}, []))
