"""Judge minimal pairs: which of two sentences does each pre-trained network prefer?"""

import collections
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from official_nlp.data.tables.minimal_pairs import CATEGORIES, MinimalPair
from official_nlp.errors import InputError
from official_nlp.inference import sequences
from official_nlp.inference.batches import TokenSequence
from official_nlp.inference.predictor import Predictor
from official_nlp.tasks.metrics.minimal_pairs import preference_table

# Pairs whose sequences are in memory at once. The generator has one for each token.
_CHUNK = 512
# Log-probabilities of the tokens of each sequence.
_TokenScores = Callable[[Sequence[TokenSequence]], list[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Preference:
    """How often a network prefers the good sentence; a tie counts half.

    Attributes:
      accuracy: by the sum of the scores of the tokens.
      accuracy_per_token: by their mean, which does not favor the sentence of fewer tokens.
    """

    accuracy: float
    accuracy_per_token: float


@dataclasses.dataclass(frozen=True)
class CategoryResult:
    """The preferences of all networks among the pairs of one category.

    Attributes:
      pairs: number of pairs.
      networks: preference by network, `discriminator` and `generator` or one of them.
    """

    pairs: int
    networks: dict[str, Preference]


@dataclasses.dataclass(frozen=True)
class MinimalPairResults:
    """The results of all pairs.

    Attributes:
      overall: result over all pairs.
      left_out: number of pairs with a sentence that does not fit into a sequence of the model.
      length: the largest number of tokens of a sequence.
      categories: results by key and category, `{"UID": {"anaphor_gender_agreement": ...}}`. The
        keys are those that all pairs have, the finest first; `file` if they share no other.
    """

    overall: CategoryResult
    left_out: int
    length: int
    categories: dict[str, dict[str, CategoryResult]]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as dicts and numbers."""
        return dataclasses.asdict(self)


def judge_minimal_pairs(
    predictor: Predictor,
    pairs: Sequence[MinimalPair],
    advance: Callable[[int], None] = lambda count: None,
) -> MinimalPairResults:
    """Compare the scores of the two sentences of each pair.

    The discriminator scores a sentence by log P(original) of its tokens, the generator by the
    log-probability of each token when it alone is masked. [CLS] and [SEP] are not scored.

    Args:
      predictor: a `Predictor` of a pre-trained pair, a discriminator or a generator.
      pairs: the pairs, from `data.tables.minimal_pairs.read_minimal_pairs`.
      advance: called with the number of pairs judged so far.

    Raises:
      InputError: the model has neither network, there are no pairs, a sentence has no token, or
        no pair fits into a sequence.

    Reference: Warstadt et al. 2020 (arXiv 1912.00582); Salazar et al. 2020 (arXiv 1910.14659).
    """
    scorers = _scorers(predictor)
    if not pairs:
        raise InputError("there are no minimal pairs to judge: give at least one")
    kept: list[MinimalPair] = []
    scores: dict[str, list] = {name: [] for name in scorers}
    for start in range(0, len(pairs), _CHUNK):
        part = pairs[start : start + _CHUNK]
        rows = [_rows(predictor, pair) for pair in part]
        fitting = [max(len(row.ids) for row in two) <= predictor.length for two in rows]
        kept += [pair for pair, fits in zip(part, fitting) if fits]
        flat = [row for two, fits in zip(rows, fitting) if fits for row in two]
        for name, token_scores in scorers.items():
            scores[name] += [(x.sum(), x.mean()) for x in token_scores(flat)]
        advance(start + len(part))
    if not kept:
        raise InputError(
            f"every pair has a sentence of more than {predictor.length - 2} tokens, which does not "
            "fit into a sequence of the model: give shorter sentences"
        )
    # [pairs, good and bad, sum and mean]
    arrays = {name: np.reshape(each, [-1, 2, 2]) for name, each in scores.items()}
    return _results(kept, arrays, len(pairs) - len(kept), predictor.length)


def _scorers(predictor: Predictor) -> dict[str, _TokenScores]:
    scorers: dict[str, _TokenScores] = {}
    if scorer := predictor.word_scorer:
        scorers["discriminator"] = lambda rows: [x[1:-1] for x in scorer.log_original(rows)]
    if filler := predictor.blank_filler:
        scorers["generator"] = filler.log_probabilities
    if not scorers:
        raise InputError(
            "minimal pairs are judged by a discriminator or a generator with its head, and this "
            "model has neither; give a pre-trained pair or one of the two"
        )
    return scorers


def _rows(predictor: Predictor, pair: MinimalPair) -> tuple[TokenSequence, TokenSequence]:
    good, bad = predictor.tokenizer.encode_ids([pair.good, pair.bad])
    for name, ids in (("sentence_good", good), ("sentence_bad", bad)):
        if not len(ids):
            raise InputError(f"{pair.where}: {name} has no token of the model: correct it")
    return sequences.framed(predictor.tokenizer, good), sequences.framed(predictor.tokenizer, bad)


# === Results ===


def _results(
    pairs: Sequence[MinimalPair], scores: dict[str, np.ndarray], left_out: int, length: int
) -> MinimalPairResults:
    keys = [key for key in CATEGORIES if all(key in pair.categories for pair in pairs)]
    tables = {}
    for key in keys or ["file"]:
        names = [pair.categories[key] for pair in pairs]
        overall, tables[key] = _by_category(names, scores)
    return MinimalPairResults(overall, left_out, length, tables)


def _by_category(
    names: Sequence[str], scores: dict[str, np.ndarray]
) -> tuple[CategoryResult, dict[str, CategoryResult]]:
    """Return the result over all pairs, and those by category in alphabetical order."""
    accuracies = {
        network: [preference_table(x[:, 0, i], x[:, 1, i], names) for i in range(2)]
        for network, x in scores.items()
    }

    def result(metric: str, count: int) -> CategoryResult:
        return CategoryResult(
            count,
            {
                network: Preference(sums[metric], means[metric])
                for network, (sums, means) in accuracies.items()
            },
        )

    counts = collections.Counter(names)
    by_name = {name: result(f"{name}_accuracy", counts[name]) for name in sorted(counts)}
    return result("accuracy", len(names)), by_name
