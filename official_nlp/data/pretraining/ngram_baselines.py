"""What can be predicted of held-out tokens without a network, from counts of the training text.

A generator whose loss is above the unigram's has learnt nothing but word frequencies; one below
the left bigram's uses context. Tokens are those that masking may choose: special ones only serve
as neighbours.
"""

import dataclasses

import numpy as np

from official_nlp.data.pretraining import example_order, pipeline
from official_nlp.data.storage import features
from official_nlp.data.storage.data_folder import DataFolder

_PARSED_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class NgramBaselines:
    """Cross-entropies in nats a token, on the held-out split.

    Attributes:
      unigram: from the token's frequency.
      left_bigram: from the token before.
      two_sided_bigram: from the tokens before and after.
      most_frequent_accuracy: share of right answers of always saying the most frequent token.
      tokens: number of held-out tokens this was measured on.
    """

    unigram: float
    left_bigram: float
    two_sided_bigram: float
    most_frequent_accuracy: float
    tokens: int


def unigram_probabilities(folder: DataFolder) -> np.ndarray:
    """float64 `[V]`: shares of the train split's tokens, 0 for special ones."""
    counts = folder.unigram_counts().astype(np.float64)
    counts[folder.tokenizer.special_ids] = 0
    return counts / max(1.0, counts.sum())


def measure_ngram_baselines(
    folder: DataFolder,
    seed: int = 0,
    train_tokens: int = 3_000_000,
    held_out_tokens: int = 30_000,
) -> NgramBaselines:
    """Measures what frequencies and neighbours tell; takes seconds.

    Bigram shares are interpolated with unigram shares as Witten and Bell (1991) do; the two-sided
    one is their product, `p(w|l) p(w|r) / p(w)`, normalised over the vocabulary.

    Args:
      folder: a `DataFolder` with a held-out split.
      seed: chooses the examples.
      train_tokens: about so many tokens are counted.
      held_out_tokens: about so many are predicted.

    Raises:
      InputError: there is no held-out split.
    """
    special = np.zeros(folder.tokenizer.vocab_size, bool)
    special[folder.tokenizer.special_ids] = True
    # One is added to every count, for a token never seen must not have probability 0.
    smoothed = np.where(special, 0, folder.unigram_counts() + 1.0)
    unigram = smoothed / smoothed.sum()

    train = _triples(folder, features.TRAIN, train_tokens, seed, special)
    left, token, right = _triples(folder, features.HELD_OUT, held_out_tokens, seed, special)
    before = _Neighbours(train[0], train[1], unigram)
    after = _Neighbours(train[2], train[1], unigram)
    probability = unigram[token]
    gain_before, gain_after = before.gain(left, token), after.gain(right, token)
    normaliser = before.normaliser(after, left, right)
    return NgramBaselines(
        unigram=_mean_nats(probability),
        left_bigram=_mean_nats(probability * gain_before),
        two_sided_bigram=_mean_nats(probability * gain_before * gain_after / normaliser),
        most_frequent_accuracy=float((token == unigram.argmax()).mean()),
        tokens=len(token),
    )


class _Neighbours:
    """How much a neighbour changes each token's probability: `p(w|n) / p(w)`.

    Witten and Bell: `p(w|n) = (c(n, w) + d(n) p(w)) / (c(n) + d(n))`, d(n) the number of different
    tokens seen beside n. So the gain is `rest(n) * (1 + excess(n, w))`, the excess being 0 for all
    pairs that were not seen.
    """

    def __init__(self, neighbours: np.ndarray, tokens: np.ndarray, unigram: np.ndarray):
        size = len(unigram)
        self._unigram = unigram
        pairs, counts = np.unique(neighbours * size + tokens, return_counts=True)
        self._tokens = pairs % size
        beside = pairs // size
        seen = np.bincount(beside, counts, minlength=size)
        different = np.bincount(beside, minlength=size)
        self._bounds = np.concatenate([[0], np.cumsum(different)])
        self._pairs = pairs
        self._excess = counts / (different[beside] * unigram[self._tokens])
        # Beside what was never seen, every token is as probable as ever.
        self._rest = np.where(seen > 0, different / np.maximum(1, seen + different), 1.0)
        self._total_excess = np.where(seen > 0, seen / np.maximum(1, different), 0.0)

    def gain(self, neighbour: np.ndarray, token: np.ndarray) -> np.ndarray:
        """float64 like `token`."""
        pair = neighbour * len(self._unigram) + token
        place = np.minimum(np.searchsorted(self._pairs, pair), len(self._pairs) - 1)
        excess = np.where(self._pairs[place] == pair, self._excess[place], 0.0)
        return self._rest[neighbour] * (1 + excess)

    def normaliser(self, other: "_Neighbours", mine: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Sum over all tokens w of `p(w)` times both gains, for each pair of neighbours."""
        common = np.array([self._common(other, a, b) for a, b in zip(mine, others, strict=True)])
        total = 1 + self._total_excess[mine] + other._total_excess[others] + common
        return self._rest[mine] * other._rest[others] * total

    def _common(self, other: "_Neighbours", a: int, b: int) -> float:
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
    """int64 each: tokens that are not special, with the one before and the one after."""
    split = folder.split(name)
    length = max(3, folder.index.longest_row)
    rows = min(split.count, -(-tokens // length))
    chosen = np.sort(example_order.position_to_example(seed, 0, np.arange(rows), split.count))
    found = []
    for first in range(0, rows, _PARSED_AT_ONCE):
        serialized = split.read(chosen[first : first + _PARSED_AT_ONCE])
        ids, mask, _ = (x.numpy() for x in pipeline.parse(serialized, len(serialized), length))
        # A token at an end of a row has a neighbour all the same, as rows begin and end specially.
        left, token, right = ids[:, :-2], ids[:, 1:-1], ids[:, 2:]
        here = (mask[:, 1:-1] > 0) & ~special[token]
        found.append(np.stack([left[here], token[here], right[here]]))
    return tuple(np.concatenate(found, axis=1).astype(np.int64))


def _mean_nats(probability: np.ndarray) -> float:
    return float(-np.log(probability).mean())
