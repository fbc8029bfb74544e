"""Word-swap test: does the discriminator find a swapped word in sentences it was not trained on?"""

import collections
import dataclasses
import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from official_nlp.errors import InputError
from official_nlp.inference.replaced_words import ReplacedWords, ScoredWord, find_words

# White space after a full stop, exclamation or question mark, or the end of a line.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
# A capital letter, perhaps after a quote or bracket, to a final mark, perhaps before one.
_SENTENCE = re.compile(r"[\"'“(]?[A-Z].*[.!?][\"'”)]?$")
_SHORTEST, _LONGEST = 12, 24  # words
# Smallest proportion of words among the parts between blanks: code has fewer.
_WORD_PROPORTION = 0.8
_FREQUENT = 500  # words of the text that may be swapped in


class _Scorer(Protocol):
    """The methods of `WordScorer` that the test uses."""

    length: int

    def predict(self, texts: Sequence[str]) -> list[ReplacedWords]: ...

    def count_tokens(self, text: str) -> int: ...


class _HasScorer(Protocol):
    """The attribute of `Predictor` that the test uses."""

    @property
    def word_scorer(self) -> _Scorer | None: ...


@dataclasses.dataclass(frozen=True)
class WordSwap:
    """One sentence with one swapped word.

    Attributes:
      text: the changed sentence.
      original: the original word.
      position: index of the swapped word, from 0.
      words: all words with their probabilities of replacement.
      rank: rank of the swapped word by its probability, 1 is the highest; among equal words it
        ranks last.
      original_rank: rank of the original word at that position in the unchanged sentence.
    """

    text: str
    original: str
    position: int
    words: list[ScoredWord]
    rank: int
    original_rank: int


@dataclasses.dataclass(frozen=True)
class WordSwapTest:
    """All sentences of a test, and their summary.

    Attributes:
      sentences: the sentences.
      first, top_three: proportions of sentences in which the swapped word ranks first, and among
        the first three.
      median_rank: median rank of the swapped word.
      chance_first, chance_top_three, chance_median: the same for random ranks.
      original_first, original_top_three, original_median: the same for the original word at the
        same position: at some positions any word has a high probability.
    """

    sentences: list[WordSwap]
    first: float
    top_three: float
    median_rank: float
    chance_first: float
    chance_top_three: float
    chance_median: float
    original_first: float
    original_top_three: float
    original_median: float


def word_swap_test(
    predictor: _HasScorer, text: str, count: int = 200, seed: int = 0, frequent: int = _FREQUENT
) -> WordSwapTest:
    """Swap one word in each of `count` sentences for another frequent one, and rank all words.

    Sentences lie within a line, start with a capital letter, end with a full stop, exclamation or
    question mark, have 12 to 24 words, are not code, and fit into a sequence of the model. The
    seed determines the choice of sentences, of the word to swap and of its replacement among the
    `frequent` most frequent words of the text.

    Args:
      predictor: a `Predictor` of a pre-trained pair or a discriminator.
      text: running text that the model was not trained on.
      count: number of sentences, at least 1; all if the text has fewer.
      seed: seed of the random choices.
      frequent: number of most frequent words that serve as replacements.

    Raises:
      InputError: the model has no discriminator; `count` is below 1; or the text has no such
        sentence, or no word to swap in.
    """
    if count < 1:
        raise InputError(
            f"the number of sentences to swap a word in must be at least 1, got {count}"
        )
    scorer = predictor.word_scorer
    if scorer is None:
        raise InputError(
            "the word-swap test needs a discriminator, and this model has none; give a "
            "pre-trained pair or a discriminator"
        )
    sentences = _sentences(scorer, text)
    random = np.random.default_rng(seed)
    chosen = [sentences[i] for i in random.permutation(len(sentences))[:count]]
    frequent_words = _frequent_words(text, frequent)
    changed = [_swapped(sentence, frequent_words, random) for sentence in chosen]
    scores = scorer.predict([new for new, _, _ in changed])
    originals = scorer.predict(chosen)
    swaps = []
    for (new, word, position), after, before in zip(changed, scores, originals):
        rank, original_rank = _rank(after.words, position), _rank(before.words, position)
        swaps.append(WordSwap(new, word, position, after.words, rank, original_rank))
    return _summary(swaps)


def _sentences(scorer: _Scorer, text: str) -> list[str]:
    # A dict removes repeated sentences and, unlike a set, keeps the order that the seed refers to.
    parts = dict.fromkeys(part.strip() for part in _SENTENCE_END.split(text))
    found = [part for part in parts if _is_sentence(part)]
    # A sentence that is cut in two would be scored without a part of its context.
    found = [part for part in found if scorer.count_tokens(part) <= scorer.length - 2]
    if not found:
        raise InputError(
            f"the text has no sentence of {_SHORTEST} to {_LONGEST} words that fits into "
            f"{scorer.length - 2} tokens; give more text"
        )
    return found


def _is_sentence(text: str) -> bool:
    parts = text.split()
    words = sum(part.strip(".,;:!?()\"'“”").replace("-", "").isalpha() for part in parts)
    return (
        _SHORTEST <= len(find_words(text)) <= _LONGEST
        and bool(_SENTENCE.match(text))
        and words >= _WORD_PROPORTION * len(parts)
    )


def _frequent_words(text: str, number: int) -> list[str]:
    counts = collections.Counter(text[a:b].lower() for a, b in find_words(text))
    return [word for word, _ in counts.most_common(number) if word.isalpha() and len(word) > 1]


def _swapped(
    sentence: str, frequent_words: list[str], random: np.random.Generator
) -> tuple[str, str, int]:
    """Return the new sentence, the original word, and the index of the swapped word."""
    spans = find_words(sentence)
    position = int(random.integers(len(spans)))
    start, end = spans[position]
    word = sentence[start:end]
    others = [other for other in frequent_words if other != word.lower()]
    if not others:
        raise InputError(
            "the text has too few different words to swap one for another; give more text"
        )
    new = str(random.choice(others))
    # The case must not reveal the swapped word.
    new = new.capitalize() if word[:1].isupper() else new
    return sentence[:start] + new + sentence[end:], word, position


def _rank(words: Sequence[ScoredWord], position: int) -> int:
    # Ties count against the word: a model that assigns one probability to all words finds nothing.
    return sum(word.replaced >= words[position].replaced for word in words)


def _summary(swaps: Sequence[WordSwap]) -> WordSwapTest:
    sizes = np.array([len(swap.words) for swap in swaps])
    ranks = np.array([swap.rank for swap in swaps])
    originals = np.array([swap.original_rank for swap in swaps])
    return WordSwapTest(
        sentences=list(swaps),
        first=float(np.mean(ranks == 1)),
        top_three=float(np.mean(ranks <= 3)),
        median_rank=float(np.median(ranks)),
        chance_first=float(np.mean(1 / sizes)),
        chance_top_three=float(np.mean(3 / sizes)),
        chance_median=float(np.mean((sizes + 1) / 2)),
        original_first=float(np.mean(originals == 1)),
        original_top_three=float(np.mean(originals <= 3)),
        original_median=float(np.median(originals)),
    )
