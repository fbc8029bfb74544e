"""Mask tokens of pre-training examples, as a function of (key, position in the stream).

Shapes: B batch size, L length, P predictions.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from official_nlp import randomness, ranges
from official_nlp.data.pretraining import spans
from official_nlp.data.tokenization.words import WordJoins
from official_nlp.errors import InputError
from official_nlp.ranges import Flag, Integer, Number

# Folded into the key, so that the draws for different purposes are independent.
POSITION_BITS = 1
REPLACEMENT_BITS = 2
_RANGES = {
    "probability": Number(0, 1, above=True, below=True),
    "replaced": Number(0, 1),
    "whole_word": Flag(),
    # Memory grows with it: a table of [batch, length, max_ngram] integers is composed.
    "max_ngram": Integer(1, 100),
}


@dataclasses.dataclass(frozen=True)
class MaskingConfig:
    """Configuration of masking: how many tokens are predicted, and how many of those are hidden.

    Attributes:
      probability: fraction of the tokens of an example, [CLS] and [SEP] included, that are
        predicted.
      replaced: fraction of the predicted tokens that are replaced by [MASK]; the others stay
        visible. Tokens are never replaced by random ones, which is the task of the generator.
      whole_word: whether all pieces of a word are predicted and hidden together (whole word
        masking, Cui et al. 2019). A Chinese character is a word.
      max_ngram: largest number of consecutive words (of tokens, unless `whole_word`) that are
        predicted together, at most 100; 3 is usual. A length of n has probability proportional to
        1/n (ALBERT, Lan et al. 2020, section 4.1).
    """

    probability: float = 0.15
    replaced: float = 0.85
    whole_word: bool = False
    max_ngram: int = 1

    def __post_init__(self) -> None:
        ranges.check(self, _RANGES)

    @property
    def by_tokens(self) -> bool:
        """Whether tokens are selected one by one, not as words or n-grams."""
        return not self.whole_word and self.max_ngram == 1

    def require_no_replacement(self) -> None:
        """Raise an error if these settings cannot be combined with drawing with replacement.

        Raises:
          InputError: whole words or n-grams are selected.
        """
        if not self.by_tokens:
            raise InputError(
                f"whole_word={self.whole_word}, max_ngram={self.max_ngram} cannot be drawn with "
                "replacement, because the original draws single tokens: omit "
                "mask_with_replacement (ORIGINAL), or give whole_word=False, max_ngram=1"
            )


class MaskedRows(NamedTuple):
    """A masked batch and the tokens to predict.

    Attributes:
      input_ids: int32 `[B, L]`, the ids after masking.
      positions: int32 `[B, P]`, positions to predict, 0 in unused slots. Single tokens are in the
        order of the draws, whole words and n-grams in the order of the text.
      ids: int32 `[B, P]`, the original ids at `positions`, 0 in unused slots.
      weights: float32 `[B, P]`, 1 in used slots, which come first, and 0 in unused ones.
    """

    input_ids: tf.Tensor
    positions: tf.Tensor
    ids: tf.Tensor
    weights: tf.Tensor


def max_predictions(probability: float, length: int) -> int:
    """Return the number of prediction slots of an example, as in google-research/electra.

    It is a little above the expected number of predictions, and at least 1.

    Args:
      probability: fraction of the tokens that are predicted.
      length: length of the example in tokens.
    """
    return max(1, int((probability + 0.005) * length))


def mask_tokens(
    input_ids: tf.Tensor,
    input_mask: tf.Tensor,
    special_ids: Sequence[int],
    mask_id: int,
    max_predictions: int,
    config: MaskingConfig,
    key: randomness.Key,
    first_row: int | tf.Tensor = 0,
    with_replacement: bool = False,
    joins: WordJoins | None = None,
) -> MaskedRows:
    """Select tokens to predict in each example, and hide most of them.

    In an example of n tokens, `min(P, round(n * probability))` positions are predicted: at least 1,
    and at most the number of candidates, which are the real tokens other than special ones. Each
    becomes [MASK] with probability `config.replaced`. Example i is a function of the key and of
    `first_row + i`, the same under every executor.

    Whole words and n-grams are taken in random order. One that exceeds the remaining budget is
    skipped for the next that fits, and never cut; so fewer tokens are predicted only where every
    remaining word is longer than the remaining budget.

    Args:
      input_ids: int32 `[B, L]`.
      input_mask: int32 `[B, L]`, 1 at real tokens.
      special_ids: ids that are never predicted.
      mask_id: id of [MASK].
      max_predictions: P, at most L.
      config: masking settings.
      key: key of the random draws.
      first_row: position of the first example in the stream, at least 0; integer or scalar int64.
      with_replacement: whether positions are drawn independently, so that some occur twice, as in
        google-research/electra. Each draw then decides about [MASK] separately.
      joins: the tokenizer's `word_joins`, which define words; required for `config.whole_word`.

    Returns:
      The masked batch.

    Raises:
      InputError: `with_replacement` with whole words or n-grams, or `config.whole_word` without
        `joins`.

    Reference: google-research/electra, pretrain/pretrain_helpers.py.
    """
    if with_replacement:
        config.require_no_replacement()
    if config.whole_word and joins is None:
        raise InputError(
            "whole_word=True needs joins=, which defines the words: give tokenizer.word_joins"
        )
    length = input_ids.shape[1]
    candidates = tf.cast(input_mask, tf.bool)  # [B, L]
    for special in special_ids:
        candidates &= input_ids != special
    available = tf.reduce_sum(tf.cast(candidates, tf.int32), 1)
    tokens = tf.reduce_sum(tf.cast(input_mask, tf.int32), 1)
    counts = tf.gather(predictions_by_length(config.probability, max_predictions, length), tokens)

    if not config.by_tokens:
        word_pieces = None
        if config.whole_word and joins is not None:
            word_pieces = spans.continues(input_ids, joins)
        chosen, hidden = spans.choose(
            candidates,
            word_pieces,
            tf.minimum(counts, available),
            config.max_ngram,
            config.replaced,
            key,
            first_row,
        )
        return _masked_rows(input_ids, mask_id, chosen, hidden, max_predictions)

    draw = _draw_with_replacement if with_replacement else _draw_without_replacement
    positions = draw(candidates, available, max_predictions, key, first_row)  # [B, P]
    # With replacement more slots can be used than there are candidates, unless there are none.
    limit = tf.where(available > 0, max_predictions, 0) if with_replacement else available
    used = tf.range(max_predictions) < tf.minimum(counts, limit)[:, None]
    # As in google-research/electra, unused slots point to [CLS]; their weight is 0.
    positions = tf.where(used, positions, 0)

    uniform = randomness.uniform(
        key.fold(REPLACEMENT_BITS), [spans.rows_of(input_ids), max_predictions], first_row
    )
    hidden = _mark(positions, used & (uniform < config.replaced), input_ids)
    return MaskedRows(
        input_ids=tf.where(hidden, mask_id, input_ids),
        positions=positions,
        ids=tf.where(used, tf.gather(input_ids, positions, batch_dims=1), 0),
        weights=tf.cast(used, tf.float32),
    )


def _masked_rows(
    input_ids: tf.Tensor, mask_id: int, chosen: tf.Tensor, hidden: tf.Tensor, slots: int
) -> MaskedRows:
    """Build `MaskedRows` from masks of the selected and the hidden positions, bool `[B, L]`."""
    length = input_ids.shape[1]
    # top_k of descending numbers returns the first selected positions in the order of the text.
    earlier_first = tf.where(chosen, tf.range(length, 0, -1), 0)
    found, positions = tf.math.top_k(earlier_first, slots)  # [B, P]
    used = found > 0
    positions = tf.where(used, positions, 0)
    return MaskedRows(
        input_ids=tf.where(hidden, mask_id, input_ids),
        positions=positions,
        ids=tf.where(used, tf.gather(input_ids, positions, batch_dims=1), 0),
        weights=tf.cast(used, tf.float32),
    )


def predictions_by_length(probability: float, max_predictions: int, length: int) -> np.ndarray:
    """Return int32 `[length + 1]`, how many of n tokens are predicted if all are candidates.

    This is a table computed in numpy, because executors round products of floats differently.
    """
    # float32, and half to even, as `tf.round` of the product in google-research/electra.
    expected = np.arange(length + 1, dtype=np.float32) * np.float32(probability)
    return np.clip(np.rint(expected), 1, max_predictions).astype(np.int32)


def _draw_without_replacement(
    candidates: tf.Tensor,
    available: tf.Tensor,
    slots: int,
    key: randomness.Key,
    first_row: int | tf.Tensor,
) -> tf.Tensor:
    """Return int32 `[B, slots]`: the candidates with the largest random numbers come first."""
    del available
    shape = [spans.rows_of(candidates), candidates.shape[1]]
    bits = randomness.random_bits(key.fold(POSITION_BITS), shape, first_row)
    return tf.math.top_k(tf.where(candidates, spans.to_int31(bits), -1), slots).indices


def _draw_with_replacement(
    candidates: tf.Tensor,
    available: tf.Tensor,
    slots: int,
    key: randomness.Key,
    first_row: int | tf.Tensor,
) -> tf.Tensor:
    """Return int32 `[B, slots]`, positions of independently drawn candidates."""
    bits = randomness.random_bits(
        key.fold(POSITION_BITS), [spans.rows_of(candidates), slots], first_row
    )
    # The upper half of (random 32 bits) * (number of candidates) is a uniform rank among them.
    # Integers, because executors round products of floats differently.
    product = tf.cast(bits, tf.int64) * tf.cast(available, tf.int64)[:, None]
    rank = tf.cast(tf.bitwise.right_shift(product, tf.constant(32, tf.int64)), tf.int32)
    # The candidate of a rank is the first position with more candidates up to it than the rank.
    seen = tf.cumsum(tf.cast(candidates, tf.int32), axis=1)  # [B, L]
    position = tf.searchsorted(seen, rank, side="right")
    return tf.minimum(position, candidates.shape[1] - 1)


def _mark(positions: tf.Tensor, marked: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Return bool `[B, L]`, true at the positions of the slots where `marked` is true."""
    rows = tf.broadcast_to(tf.range(spans.rows_of(like))[:, None], tf.shape(positions))
    indices = tf.stack([rows, positions], -1)  # [B, P, 2]
    # scatter_nd adds where positions repeat, so a count above 0 means marked.
    return tf.scatter_nd(indices, tf.cast(marked, tf.int32), tf.shape(like)) > 0
