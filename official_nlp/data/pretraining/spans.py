"""Whole words and n-grams of them to predict together, chosen in the graph.

Everything is elementwise, a prefix sum, a sort or a gather over static shapes, so that it compiles
and gives the same under every executor.

B batch, L length, V vocabulary, N the most words of an n-gram.
"""

import numpy as np
import tensorflow as tf

from official_nlp import randomness
from official_nlp.data.tokenization.words import WordJoins

# What the bits of a masking key are for; 1 and 2 are those of single tokens.
LENGTH_BITS = 3
ORDER_BITS = 4
REPLACEMENT_BITS = 5


def continues(ids: tf.Tensor, joins: WordJoins) -> tf.Tensor:
    """Returns bool `[B, L]`: which tokens go on with the word of the token before."""
    left, right = tf.gather(joins.left, ids), tf.gather(joins.right, ids)
    return left & tf.pad(right[:, :-1], [[0, 0], [1, 0]])


def choose(
    candidates: tf.Tensor,
    continues: tf.Tensor | None,
    budget: tf.Tensor,
    max_ngram: int,
    replaced: float,
    key: randomness.Key,
    first_row,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Chooses words, or n-grams of words, in random order until the budget is met.

    Each row is cut into consecutive n-grams of random lengths, which are taken in random order;
    those that do not fit into what is left of the budget are passed over. What then is missing is
    filled up with single words in the same way.

    Args:
      candidates: bool `[B, L]`, tokens that may be chosen. A word is a run of them, as is an
        n-gram.
      continues: bool `[B, L]`, which tokens go on with a word; None: every token is a word.
      budget: int32 `[B]`, how many tokens to choose.
      max_ngram: N.
      replaced: with this probability what is chosen is hidden, a whole n-gram alike.
      key: a `randomness.Key`.
      first_row: number of the first row.

    Returns:
      bool `[B, L]`: what is chosen; what of this is hidden.
    """
    before = tf.pad(candidates[:, :-1], [[0, 0], [1, 0]])
    begins = candidates
    if continues is not None:
        begins &= ~(continues & before)
    passes = [begins]
    if max_ngram > 1:
        bits = _bits(key.fold(LENGTH_BITS), candidates, first_row)
        passes.insert(0, _begin_ngrams(candidates, begins, _lengths(bits, max_ngram), max_ngram))
    chosen = hidden = tf.zeros_like(candidates)
    for number, begins_span in enumerate(passes):
        # Of an n-gram that was chosen nothing is chosen again.
        free = candidates & ~chosen
        order = _bits(key.fold(ORDER_BITS, number), candidates, first_row)
        taken, span = _take(free, free & begins_span, budget, order)
        budget -= tf.reduce_sum(tf.cast(taken, tf.int32), 1)
        hide = randomness.to_uniform(
            _bits(key.fold(REPLACEMENT_BITS, number), candidates, first_row)
        )
        hide = tf.gather(hide < replaced, span, batch_dims=1)
        chosen |= taken
        hidden |= taken & hide
    return chosen, hidden


def ngram_shares(max_ngram: int) -> np.ndarray:
    """float64 `[N]`: shares of n-grams of 1 to N words, proportional to 1/n."""
    weights = 1 / np.arange(1, max_ngram + 1)
    return weights / weights.sum()


def _lengths(bits: tf.Tensor, max_ngram: int) -> tf.Tensor:
    # Compared as integers, for floats are rounded differently by different executors.
    borders = np.floor(np.cumsum(ngram_shares(max_ngram))[:-1] * 2**31).astype(np.int32)
    return 1 + tf.reduce_sum(tf.cast(to_int31(bits)[..., None] >= borders, tf.int32), -1)


def _begin_ngrams(candidates, begins, lengths, max_ngram: int) -> tf.Tensor:
    """bool `[B, L]`: where the row, cut into n-grams from its start, has an n-gram begin.

    Read from left to right, what is left of the current n-gram is a number below N, and each token
    maps it to the next. Maps are joined two by two, so that the whole row takes log L turns.
    """
    left = tf.range(max_ngram)
    # At a word's beginning an n-gram goes on with one word less, or another begins.
    at_word = tf.where(left == 0, lengths[..., None] - 1, left - 1)
    maps = tf.where(begins[..., None], at_word, left)  # [B, L, N]
    # Special tokens end it.
    maps = tf.where(candidates[..., None], maps, 0)
    length, reach = candidates.shape[1], 1
    identity = tf.broadcast_to(left, tf.shape(maps))
    while reach < length:
        earlier = tf.concat([identity[:, :reach], maps[:, :-reach]], 1)
        maps = tf.gather(maps, earlier, batch_dims=2)
        reach *= 2
    before = tf.pad(maps[:, :-1, 0], [[0, 0], [1, 0]])
    return begins & (before == 0)


def _take(free, begins, budget, order) -> tuple[tf.Tensor, tf.Tensor]:
    """Takes spans in random order, each that fits into what is left of the budget.

    Args:
      free: bool `[B, L]`, the tokens of all spans.
      begins: bool `[B, L]`, the first token of each.
      budget: int32 `[B]`.
      order: uint32 `[B, L]`, random bits for each number of a span.

    Returns:
      bool `[B, L]`: the tokens taken; int32 `[B, L]`: the number of each token's span.
    """
    rows, length = rows_of(free), free.shape[1]
    # Unchosen words in front of the first beginning are none; those tokens are not free.
    span = tf.maximum(tf.cumsum(tf.cast(begins, tf.int32), 1) - 1, 0)  # [B, L]
    flat = span + length * tf.range(rows)[:, None]
    sizes = tf.math.unsorted_segment_sum(tf.cast(free, tf.int32), flat, rows * length)
    sizes = tf.reshape(sizes, [rows, length])
    # No span has a size of 0, so numbers above the last are told from it.
    shuffled = tf.math.top_k(tf.where(sizes > 0, to_int31(order), -1), length).indices
    sizes = tf.gather(sizes, shuffled, batch_dims=1)

    def more(waiting, taken, left):
        del taken, left
        return tf.reduce_any(waiting)

    def turn(waiting, taken, left):
        """Takes those up to the first that does not fit, and drops all that never will."""
        used = tf.cumsum(tf.where(waiting, sizes, 0), 1)
        now = waiting & (used <= left[:, None])
        left -= tf.reduce_sum(tf.where(now, sizes, 0), 1)
        return waiting & ~now & (sizes <= left[:, None]), taken | now, left

    waiting = (sizes > 0) & (sizes <= budget[:, None])
    state = waiting, tf.zeros_like(waiting), budget
    _, taken, _ = tf.while_loop(more, turn, state)
    taken = tf.gather(taken, tf.argsort(shuffled, axis=1), batch_dims=1)
    return free & tf.gather(taken, span, batch_dims=1), span


def _bits(key, like, first_row) -> tf.Tensor:
    return randomness.random_bits(key, [rows_of(like), like.shape[1]], first_row)


def to_int31(bits: tf.Tensor) -> tf.Tensor:
    """The upper 31 bits, which int32 has room for, in their order."""
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(1, tf.uint32)), tf.int32)


def rows_of(tensor) -> int | tf.Tensor:
    """The number of rows, static where it is known."""
    return tensor.shape[0] if tensor.shape[0] is not None else tf.shape(tensor)[0]
