"""Chooses the positions to predict, as a function of (key, row).

B batch, L length, P predictions.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from official_nlp import randomness
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
    """

    probability: float = 0.15
    replaced: float = 0.85

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


class MaskedRows(NamedTuple):
    """Rows with [MASK] in, and what was there.

    Attributes:
      input_ids: int32 `[B, L]`.
      positions: int32 `[B, P]`, in the order they were drawn, 0 in unused slots.
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
) -> MaskedRows:
    """Hides some tokens of each row.

    `min(P, round(tokens * probability))` positions of a row, at least 1 and at most as many as
    there are candidates, are drawn from the real tokens that are not special; each becomes
    [MASK] with probability `config.replaced`. Row i is a function of the key and of
    `first_row + i`, alike under every executor.

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

    Reference: google-research/electra, pretrain/pretrain_helpers.py.
    """
    length = input_ids.shape[1]
    candidates = tf.cast(input_mask, tf.bool)  # [B, L]
    for special in special_ids:
        candidates &= input_ids != special
    available = tf.reduce_sum(tf.cast(candidates, tf.int32), 1)
    tokens = tf.reduce_sum(tf.cast(input_mask, tf.int32), 1)
    counts = tf.gather(predictions_by_length(config.probability, max_predictions, length), tokens)

    draw = _draw_with_replacement if with_replacement else _draw_without_replacement
    positions = draw(candidates, available, max_predictions, key, first_row)  # [B, P]
    # Drawing twice can use more slots than there are candidates, but for none there is no slot.
    limit = tf.where(available > 0, max_predictions, 0) if with_replacement else available
    used = tf.range(max_predictions) < tf.minimum(counts, limit)[:, None]
    positions = tf.where(used, positions, 0)

    uniform = randomness.uniform(
        key.fold(REPLACEMENT_BITS), [_rows(input_ids), max_predictions], first_row
    )
    hidden = _mark(positions, used & (uniform < config.replaced), input_ids)
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
    shape = [_rows(candidates), candidates.shape[1]]
    bits = randomness.random_bits(key.fold(POSITION_BITS), shape, first_row)
    return tf.math.top_k(tf.where(candidates, _to_int31(bits), -1), slots).indices


def _draw_with_replacement(candidates, available, slots: int, key, first_row) -> tf.Tensor:
    bits = randomness.random_bits(key.fold(POSITION_BITS), [_rows(candidates), slots], first_row)
    # The upper half of (random 32 bits) * (number of candidates) is uniform over them.
    product = tf.cast(bits, tf.int64) * tf.cast(available, tf.int64)[:, None]
    rank = tf.cast(tf.bitwise.right_shift(product, tf.constant(32, tf.int64)), tf.int32)
    seen = tf.cumsum(tf.cast(candidates, tf.int32), axis=1)  # [B, L]
    position = tf.searchsorted(seen, rank, side="right")
    return tf.minimum(position, candidates.shape[1] - 1)


def _to_int31(bits: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(1, tf.uint32)), tf.int32)


def _mark(positions, marked, like) -> tf.Tensor:
    """bool `[B, L]`: true where some slot with `marked` points to."""
    rows = tf.broadcast_to(tf.range(_rows(like))[:, None], tf.shape(positions))
    places = tf.stack([rows, positions], -1)  # [B, P, 2]
    return tf.scatter_nd(places, tf.cast(marked, tf.int32), tf.shape(like)) > 0


def _rows(tensor) -> "int | tf.Tensor":
    return tensor.shape[0] if tensor.shape[0] is not None else tf.shape(tensor)[0]
