"""Baselines for a generator: held-out cross-entropy of n-gram models of the training text.

A generator whose loss is above the unigram baseline has learned nothing but word frequencies; one
below the left bigram baseline uses context. Only tokens that masking may select are predicted;
special tokens serve as neighbors.
"""

import dataclasses

import numpy as np

from official_nlp.data import example_order
from official_nlp.data.storage import features
from official_nlp.data.storage.data_folder import DataFolder

_PARSED_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class NgramBaselines:
    """Cross-entropies on the held-out split, in nats per token.

    Attributes:
      unigram: cross-entropy given nothing but the frequencies of tokens.
      left_bigram: cross-entropy given the token before.
      two_sided_bigram: cross-entropy given the tokens before and after.
      most_frequent_accuracy: accuracy of always predicting the most frequent token.
      tokens: number of held-out tokens evaluated.
    """

    unigram: float
    left_bigram: float
    two_sided_bigram: float
    most_frequent_accuracy: float
    tokens: int


def unigram_probabilities(folder: DataFolder) -> np.ndarray:
    """Return float64 `[vocabulary]`, frequencies of the train tokens, 0 for special ones."""
    counts = folder.unigram_counts().astype(np.float64)
    counts[folder.tokenizer.special_ids] = 0
    return counts / max(1.0, counts.sum())


def measure_ngram_baselines(
    folder: DataFolder,
    seed: int = 0,
    train_tokens: int = 3_000_000,
    held_out_tokens: int = 30_000,
) -> NgramBaselines:
    """Measure the n-gram baselines of a data folder, which takes seconds.

    Bigram probabilities are interpolated with unigram probabilities by the method of Witten and
    Bell (1991). The two-sided bigram multiplies both: `p(w|l) p(w|r) / p(w)`, normalized over the
    vocabulary.

    Args:
      folder: a data folder with a held-out split.
      seed: seed of the selection of examples.
      train_tokens: approximate number of training tokens to count.
      held_out_tokens: approximate number of held-out tokens to predict.

    Returns:
      The baselines.

    Raises:
      InputError: there is no held-out split.
    """
    special = np.zeros(folder.tokenizer.vocab_size, bool)
    special[folder.tokenizer.special_ids] = True
    # Add-one smoothing: a token that never occurs in the train split must not have probability 0.
    smoothed = np.where(special, 0, folder.unigram_counts() + 1.0)
    unigram = smoothed / smoothed.sum()

    train = _triples(folder, features.TRAIN, train_tokens, seed, special)
    left, token, right = _triples(folder, features.HELD_OUT, held_out_tokens, seed, special)
    before = _Neighbors(train[0], train[1], unigram)
    after = _Neighbors(train[2], train[1], unigram)
    probability = unigram[token]
    gain_before, gain_after = before.gain(left, token), after.gain(right, token)
    normalizer = before.normalizer(after, left, right)
    return NgramBaselines(
        unigram=_mean_nats(probability),
        left_bigram=_mean_nats(probability * gain_before),
        two_sided_bigram=_mean_nats(probability * gain_before * gain_after / normalizer),
        most_frequent_accuracy=float((token == unigram.argmax()).mean()),
        tokens=len(token),
    )


class _Neighbors:
    """The effect of a neighbor on the probability of each token: the gain `p(w|n) / p(w)`.

    Witten and Bell estimate `p(w|n) = (c(n, w) + d(n) p(w)) / (c(n) + d(n))`, where `d(n)` is the
    number of different tokens seen beside n. The gain is then `rest(n) * (1 + excess(n, w))` with
    `rest(n) = d(n) / (c(n) + d(n))` and `excess(n, w) = c(n, w) / (d(n) p(w))`. The excess is 0 for
    all pairs that were never seen, so sums over the vocabulary need only the pairs that were.
    """

    def __init__(self, neighbors: np.ndarray, tokens: np.ndarray, unigram: np.ndarray) -> None:
        """Count pairs of a neighbor and a token.

        Args:
          neighbors: int64 `[pairs]`.
          tokens: int64 `[pairs]`.
          unigram: float64 `[vocabulary]`, unigram probabilities.
        """
        size = len(unigram)
        self._unigram = unigram
        pairs, counts = np.unique(neighbors * size + tokens, return_counts=True)
        self._tokens = pairs % size
        beside = pairs // size
        seen = np.bincount(beside, counts, minlength=size)
        different = np.bincount(beside, minlength=size)
        self._bounds = np.concatenate([[0], np.cumsum(different)])
        self._pairs = pairs
        self._excess = counts / (different[beside] * unigram[self._tokens])
        # A neighbor that was never seen changes no probability.
        self._rest = np.where(seen > 0, different / np.maximum(1, seen + different), 1.0)
        self._total_excess = np.where(seen > 0, seen / np.maximum(1, different), 0.0)

    def gain(self, neighbor: np.ndarray, token: np.ndarray) -> np.ndarray:
        """Return float64 gains of pairs, in the shape of `token`."""
        pair = neighbor * len(self._unigram) + token
        # Pairs are sorted, as `np.unique` returns them. A pair above all others would be out of
        # range.
        index = np.minimum(np.searchsorted(self._pairs, pair), len(self._pairs) - 1)
        excess = np.where(self._pairs[index] == pair, self._excess[index], 0.0)
        return self._rest[neighbor] * (1 + excess)

    def normalizer(self, other: "_Neighbors", own: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the sum over all tokens w of `p(w)` times both gains, for pairs of neighbors.

        Args:
          other: gains of the neighbors on the other side.
          own: int64 `[pairs]`, neighbors on this side.
          others: int64 `[pairs]`, neighbors on the other side.
        """
        common = np.array([self._common(other, a, b) for a, b in zip(own, others, strict=True)])
        total = 1 + self._total_excess[own] + other._total_excess[others] + common
        return self._rest[own] * other._rest[others] * total

    def _common(self, other: "_Neighbors", a: int, b: int) -> float:
        """Return the sum of `p(w)` times both excesses, over tokens seen beside both neighbors."""
        here = slice(self._bounds[a], self._bounds[a + 1])
        there = slice(other._bounds[b], other._bounds[b + 1])
        tokens, first, second = np.intersect1d(
            self._tokens[here], other._tokens[there], assume_unique=True, return_indices=True
        )
        products = self._excess[here][first] * other._excess[there][second]
        return float(self._unigram[tokens] @ products)


def _triples(
    folder: DataFolder, name: str, tokens: int, seed: int, special: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return int64 arrays: tokens that are not special, between those before and those after."""
    split = folder.split(name)
    length = max(3, folder.index.longest_row)
    rows = min(split.count, -(-tokens // length))
    # Sorted, so that shards are read in order.
    chosen = np.sort(example_order.position_to_example(seed, 0, np.arange(rows), split.count))
    found = []
    # Blocks bound the memory of parsing.
    for first in range(0, rows, _PARSED_AT_ONCE):
        ids, mask, _ = split.tables(chosen[first : first + _PARSED_AT_ONCE], length)
        # Examples begin with [CLS] and end with [SEP], so every other token has both neighbors.
        left, token, right = ids[:, :-2], ids[:, 1:-1], ids[:, 2:]
        here = (mask[:, 1:-1] > 0) & ~special[token]
        found.append(np.stack([left[here], token[here], right[here]]))
    left, token, right = np.concatenate(found, axis=1).astype(np.int64)
    return left, token, right


def _mean_nats(probability: np.ndarray) -> float:
    return float(-np.log(probability).mean())
