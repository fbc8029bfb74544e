"""Chooses the positions to predict, as a function of (key, row).

B batch, L length, P predictions, V vocabulary.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from official_nlp import randomness
from official_nlp.data.pretraining import spans
from official_nlp.data.tokenization.words import WordJoins
from official_nlp.errors import InputError

# What the bits of a masking key are for.
POSITION_BITS = 1
REPLACEMENT_BITS = 2


@dataclasses.dataclass(frozen=True)
class MaskingConfig:
    """How much is predicted, and how much of that is hidden.

    Attributes:
      probability: share of the tokens of a row, [CLS] and [SEP] counted, that is predicted.
      replaced: share of the predicted tokens that is replaced by [MASK]; the rest stays as it is.
        Never is a token replaced by a random one: that is the generator's work.
      whole_word: the pieces of a word are predicted together or not at all, and together become
        [MASK] or stay (Cui et al. 2019). A Chinese character is a word.
      max_ngram: so many consecutive words (tokens, unless `whole_word`) at most are predicted
        together; runs of n are drawn with probability proportional to 1/n, as for ALBERT (Lan et
        al. 2020, section 4.1).
    """

    probability: float = 0.15
    replaced: float = 0.85
    whole_word: bool = False
    max_ngram: int = 1

    def __post_init__(self):
        if not 0 < self.probability < 1:
            raise InputError(
                f"masking probability must be between 0 and 1, was {self.probability}: "
                "0.15 is usual, 0.25 for large models"
            )
        if not 0 <= self.replaced <= 1:
            raise InputError(
                f"replaced, the share of predicted tokens that become [MASK], must be from 0 to 1, "
                f"was {self.replaced}: 0.85 is usual"
            )
        if self.max_ngram < 1:
            raise InputError(
                f"max_ngram, the most words predicted together, must be at least 1, "
                f"was {self.max_ngram}: 1 is usual, 3 for n-gram masking"
            )

    @property
    def by_tokens(self) -> bool:
        """Whether each token is chosen for itself."""
        return not self.whole_word and self.max_ngram == 1

    def require_no_replacement(self):
        """Refuses to be combined with the original's drawing with replacement.

        Raises:
          InputError: whole words or n-grams are asked for.
        """
        if not self.by_tokens:
            raise InputError(
                f"whole_word={self.whole_word}, max_ngram={self.max_ngram} cannot be drawn with "
                "replacement, as the original draws single tokens: leave out "
                "mask_with_replacement (ORIGINAL), or give whole_word=False, max_ngram=1"
            )


class MaskedRows(NamedTuple):
    """Rows with [MASK] in, and what was there.

    Attributes:
      input_ids: int32 `[B, L]`.
      positions: int32 `[B, P]`, in the order they were drawn, or in that of the row where whole
        words or n-grams are; 0 in unused slots.
      ids: int32 `[B, P]`, the original ids at `positions`, 0 in unused slots.
      weights: float32 `[B, P]`, 1 in used slots, which come first, else 0.
    """

    input_ids: tf.Tensor
    positions: tf.Tensor
    ids: tf.Tensor
    weights: tf.Tensor


def max_predictions(probability: float, length: int) -> int:
    """Slots for predictions in a row: a little above the expected number, at least 1."""
    return max(1, int((probability + 0.005) * length))


def mask_tokens(
    input_ids: tf.Tensor,
    input_mask: tf.Tensor,
    special_ids: Sequence[int],
    mask_id: int,
    max_predictions: int,
    config: MaskingConfig,
    key: randomness.Key,
    first_row=0,
    with_replacement: bool = False,
    joins: WordJoins | None = None,
) -> MaskedRows:
    """Hides some tokens of each row.

    `min(P, round(tokens * probability))` positions of a row, at least 1 and at most as many as
    there are candidates, are drawn from the real tokens that are not special; each becomes
    [MASK] with probability `config.replaced`. Row i is a function of the key and of
    `first_row + i`, alike under every executor.

    Whole words are drawn in random order; one that does not fit into what is left of that number
    is passed over for the next that does, and never cut. So fewer are predicted only where every
    word that was left out is longer than what is missing.

    Args:
      input_ids: int32 `[B, L]`.
      input_mask: int32 `[B, L]`, 1 at real tokens.
      special_ids: ids that are never predicted.
      mask_id: id of [MASK].
      max_predictions: P, at most L.
      config: a `MaskingConfig`.
      key: a `randomness.Key`.
      first_row: integer or scalar int64 tensor, at least 0.
      with_replacement: positions are drawn independently, so that some are drawn twice, as the
        original does; each draw decides about [MASK] for itself.
      joins: which pieces belong together, the tokenizer's `word_joins`; for `config.whole_word`.

    Raises:
      InputError: `with_replacement` for whole words or n-grams, or these without `joins`.

    Reference: google-research/electra, pretrain/pretrain_helpers.py.
    """
    if with_replacement:
        config.require_no_replacement()
    if config.whole_word and joins is None:
        raise InputError("whole_word=True needs joins=, the word_joins of the tokenizer")
    length = input_ids.shape[1]
    candidates = tf.cast(input_mask, tf.bool)  # [B, L]
    for special in special_ids:
        candidates &= input_ids != special
    available = tf.reduce_sum(tf.cast(candidates, tf.int32), 1)
    tokens = tf.reduce_sum(tf.cast(input_mask, tf.int32), 1)
    counts = tf.gather(predictions_by_length(config.probability, max_predictions, length), tokens)

    if not config.by_tokens:
        chosen, hidden = spans.choose(
            candidates,
            spans.continues(input_ids, joins) if config.whole_word else None,
            tf.minimum(counts, available),
            config.max_ngram,
            config.replaced,
            key,
            first_row,
        )
        return _masked_rows(input_ids, mask_id, chosen, hidden, max_predictions)

    draw = _draw_with_replacement if with_replacement else _draw_without_replacement
    positions = draw(candidates, available, max_predictions, key, first_row)  # [B, P]
    # Drawing twice can use more slots than there are candidates, but for none there is no slot.
    limit = tf.where(available > 0, max_predictions, 0) if with_replacement else available
    used = tf.range(max_predictions) < tf.minimum(counts, limit)[:, None]
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


def _masked_rows(input_ids, mask_id: int, chosen, hidden, slots: int) -> MaskedRows:
    """What becomes of rows of which bool `[B, L]` say what is chosen, and what of this hidden."""
    length = input_ids.shape[1]
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
    """int32 `[length + 1]`: how many of n tokens are predicted, before candidates are counted.

    A table made on the host, for executors round products of floats differently.
    """
    expected = np.arange(length + 1, dtype=np.float32) * np.float32(probability)
    return np.clip(np.rint(expected), 1, max_predictions).astype(np.int32)


def _draw_without_replacement(candidates, available, slots: int, key, first_row) -> tf.Tensor:
    del available
    shape = [spans.rows_of(candidates), candidates.shape[1]]
    bits = randomness.random_bits(key.fold(POSITION_BITS), shape, first_row)
    return tf.math.top_k(tf.where(candidates, spans.to_int31(bits), -1), slots).indices


def _draw_with_replacement(candidates, available, slots: int, key, first_row) -> tf.Tensor:
    bits = randomness.random_bits(
        key.fold(POSITION_BITS), [spans.rows_of(candidates), slots], first_row
    )
    # The upper half of (random 32 bits) * (number of candidates) is uniform over them.
    product = tf.cast(bits, tf.int64) * tf.cast(available, tf.int64)[:, None]
    rank = tf.cast(tf.bitwise.right_shift(product, tf.constant(32, tf.int64)), tf.int32)
    seen = tf.cumsum(tf.cast(candidates, tf.int32), axis=1)  # [B, L]
    position = tf.searchsorted(seen, rank, side="right")
    return tf.minimum(position, candidates.shape[1] - 1)


def _mark(positions, marked, like) -> tf.Tensor:
    """bool `[B, L]`: true where some slot with `marked` points to."""
    rows = tf.broadcast_to(tf.range(spans.rows_of(like))[:, None], tf.shape(positions))
    places = tf.stack([rows, positions], -1)  # [B, P, 2]
    return tf.scatter_nd(places, tf.cast(marked, tf.int32), tf.shape(like)) > 0
