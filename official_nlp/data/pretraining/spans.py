"""Select whole words and n-grams of words to predict together, inside the graph.

The operations are elementwise or a prefix sum, a sort or a gather over static shapes, so that they
compile under XLA and give the same result under every executor.

Shapes: B batch size, L length, N largest number of words in an n-gram.
"""

import numpy as np
import tensorflow as tf

from official_nlp import randomness
from official_nlp.data.tokenization.words import WordJoins

# Folded into the key, as in masking.py, which has 1 and 2.
LENGTH_BITS = 3
ORDER_BITS = 4
REPLACEMENT_BITS = 5


def continues(ids: tf.Tensor, joins: WordJoins) -> tf.Tensor:
    """Return bool `[B, L]`, whether each token continues the word of the token before it."""
    left, right = tf.gather(joins.left, ids), tf.gather(joins.right, ids)
    return left & tf.pad(right[:, :-1], [[0, 0], [1, 0]])


def choose(
    candidates: tf.Tensor,
    continues: tf.Tensor | None,
    budget: tf.Tensor,
    max_ngram: int,
    replaced: float,
    key: randomness.Key,
    first_row: int | tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Select words, or n-grams of words, in random order until a budget of tokens is spent.

    Each example is divided into consecutive n-grams of random lengths, which are visited in random
    order; an n-gram that exceeds the remaining budget is skipped. A second pass spends what remains
    on single words in the same way.

    Args:
      candidates: bool `[B, L]`, tokens that may be selected. Words and n-grams lie within a run of
        candidates.
      continues: bool `[B, L]`, whether each token continues a word; None if every token is a word.
      budget: int32 `[B]`, number of tokens to select.
      max_ngram: N.
      replaced: probability that a selected word or n-gram is hidden, as a whole.
      key: key of the random draws.
      first_row: position of the first example in the stream.

    Returns:
      Bool `[B, L]` masks of the selected and of the hidden tokens.
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
        # The second pass leaves out the tokens of selected n-grams.
        free = candidates & ~chosen
        order = _bits(key.fold(ORDER_BITS, number), candidates, first_row)
        taken, span = _take(free, free & begins_span, budget, order)
        budget -= tf.reduce_sum(tf.cast(taken, tf.int32), 1)
        hide = randomness.to_uniform(
            _bits(key.fold(REPLACEMENT_BITS, number), candidates, first_row)
        )
        # One draw for each span, so that a word or n-gram is hidden as a whole or not at all.
        hide = tf.gather(hide < replaced, span, batch_dims=1)
        chosen |= taken
        hidden |= taken & hide
    return chosen, hidden


def ngram_probabilities(max_ngram: int) -> np.ndarray:
    """Return float64 `[N]`, probabilities of n-grams of 1 to N words, proportional to 1/n."""
    weights = 1 / np.arange(1, max_ngram + 1)
    return weights / weights.sum()


def _lengths(bits: tf.Tensor, max_ngram: int) -> tf.Tensor:
    """Return int32 `[B, L]` lengths of n-grams, from 1 to N, drawn with uint32 random bits."""
    # Compared as integers, because executors round floats differently.
    borders = np.floor(np.cumsum(ngram_probabilities(max_ngram))[:-1] * 2**31).astype(np.int32)
    return 1 + tf.reduce_sum(tf.cast(to_int31(bits)[..., None] >= borders, tf.int32), -1)


def _begin_ngrams(
    candidates: tf.Tensor, begins: tf.Tensor, lengths: tf.Tensor, max_ngram: int
) -> tf.Tensor:
    """Divide examples into consecutive n-grams and return where they begin, bool `[B, L]`.

    Read from left to right, the state is the number of words that the current n-gram still needs,
    a number below N; each token maps the state before it to the state after it. Composing all of
    these maps one by one would take L steps. Composition is associative, so pairs of neighbours are
    composed, then pairs of pairs, and all prefixes are known after log2 L steps.
    """
    states = tf.range(max_ngram)
    # The first token of a word counts it, or begins an n-gram of `lengths` words if none is open.
    at_word = tf.where(states == 0, lengths[..., None] - 1, states - 1)
    transitions = tf.where(begins[..., None], at_word, states)  # [B, L, N]
    # Special tokens end an n-gram.
    transitions = tf.where(candidates[..., None], transitions, 0)
    length, reach = candidates.shape[1], 1
    # The map of the empty prefix, for tokens with fewer than `reach` tokens before them.
    identity = tf.broadcast_to(states, tf.shape(transitions))
    while reach < length:
        # Each entry covers `reach` tokens up to its own; compose it with the `reach` before them.
        earlier = tf.concat([identity[:, :reach], transitions[:, :-reach]], 1)
        transitions = tf.gather(transitions, earlier, batch_dims=2)
        reach *= 2
    state_before = tf.pad(transitions[:, :-1, 0], [[0, 0], [1, 0]])
    return begins & (state_before == 0)


def _take(
    free: tf.Tensor, begins: tf.Tensor, budget: tf.Tensor, order: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Take spans in random order, each if it fits the remaining budget.

    The rule is sequential, but the loop runs far fewer times than there are spans: it takes all
    spans up to the first that does not fit, then drops every span larger than the remaining budget,
    which can never fit later.

    Args:
      free: bool `[B, L]`, tokens of all spans.
      begins: bool `[B, L]`, first tokens of the spans.
      budget: int32 `[B]`, number of tokens.
      order: uint32 `[B, L]`, random bits; those at position n order the span of number n.

    Returns:
      Bool `[B, L]`, the tokens taken; int32 `[B, L]`, number of the span of each token.
    """
    rows, length = rows_of(free), free.shape[1]
    # Tokens before the first span get number 0, too, but are not free.
    span = tf.maximum(tf.cumsum(tf.cast(begins, tf.int32), 1) - 1, 0)  # [B, L]
    # Numbered through the batch, because `unsorted_segment_sum` has no batch dimension.
    flat = span + length * tf.range(rows)[:, None]
    sizes = tf.math.unsorted_segment_sum(tf.cast(free, tf.int32), flat, rows * length)
    sizes = tf.reshape(sizes, [rows, length])
    # Numbers above that of the last span have size 0, and sort behind all spans.
    shuffled = tf.math.top_k(tf.where(sizes > 0, to_int31(order), -1), length).indices
    sizes = tf.gather(sizes, shuffled, batch_dims=1)

    def more(waiting: tf.Tensor, taken: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        del taken, left
        return tf.reduce_any(waiting)

    def turn(waiting: tf.Tensor, taken: tf.Tensor, left: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Take the spans up to the first that does not fit; drop those that never will."""
        used = tf.cumsum(tf.where(waiting, sizes, 0), 1)
        now = waiting & (used <= left[:, None])
        left -= tf.reduce_sum(tf.where(now, sizes, 0), 1)
        return waiting & ~now & (sizes <= left[:, None]), taken | now, left

    waiting = (sizes > 0) & (sizes <= budget[:, None])
    state = waiting, tf.zeros_like(waiting), budget
    _, taken, _ = tf.while_loop(more, turn, state)
    # `argsort` of a permutation is its inverse: back from random order to numbers of spans.
    taken = tf.gather(taken, tf.argsort(shuffled, axis=1), batch_dims=1)
    return free & tf.gather(taken, span, batch_dims=1), span


def _bits(key: randomness.Key, like: tf.Tensor, first_row: int | tf.Tensor) -> tf.Tensor:
    """Return uint32 random bits of the shape of `like`."""
    return randomness.random_bits(key, [rows_of(like), like.shape[1]], first_row)


def to_int31(bits: tf.Tensor) -> tf.Tensor:
    """Return the upper 31 bits as int32, which keeps their order and which top_k accepts."""
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(1, tf.uint32)), tf.int32)


def rows_of(tensor: tf.Tensor) -> int | tf.Tensor:
    """Return the batch size, an integer if it is static and otherwise a tensor."""
    return tensor.shape[0] if tensor.shape[0] is not None else tf.shape(tensor)[0]
