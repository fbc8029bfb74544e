"""Does the discriminator find a word that was swapped? Measured on sentences it never saw."""

import collections
import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from official_nlp.errors import InputError
from official_nlp.inference.replaced_words import WordScore, WordScorer, find_words

_BORDER = re.compile(r"(?<=[.!?])\s+|\n+")
_SENTENCE = re.compile(r"[\"'“(]?[A-Z].*[.!?][\"'”)]?$")
_SHORTEST, _LONGEST = 12, 24
# Of a sentence's pieces between blanks so many are words and no code.
_WORD_SHARE = 0.8
_FREQUENT = 500


@dataclasses.dataclass(frozen=True)
class WordSwap:
    """One sentence with one word swapped.

    Attributes:
      text: the changed sentence.
      original: the word that stood there.
      place: number of the word, from 0.
      words: all its words with scores.
      rank: of the swapped word among them, 1 is the most suspicious; of equals the last.
      original_rank: of the original word at that place, in the unchanged sentence.
    """

    text: str
    original: str
    place: int
    words: list[WordScore]
    rank: int
    original_rank: int


@dataclasses.dataclass(frozen=True)
class WordSwapTest:
    """All sentences, and what they come to.

    Attributes:
      sentences: each an `WordSwap`.
      first, top_three: shares in which the swapped word ranks first, among the first three.
      median_rank: its median rank.
      chance_first, chance_top_three, chance_median: the same for ranks drawn blindly.
      original_first, original_top_three, original_median: the same for the original word at the
        same place, unchanged: some places look suspicious whatever stands there.
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
    scorer: WordScorer, text: str, count: int = 200, seed: int = 0, frequent: int = _FREQUENT
) -> WordSwapTest:
    """Exchanges one word in each of `count` sentences for another frequent one and ranks all words.

    Sentences lie within a line, start with a capital, end with a stop, have 12 to 24 words, are no
    code, and fit into a row. Which are taken, which word is swapped and for which of the text's
    `frequent` most frequent words, is drawn by `seed`.

    Args:
      scorer: a `WordScorer`.
      text: running text that the model was not trained on.
      count: number of sentences, at least 1; all where there are fewer.
      seed: of the draws.
      frequent: number of words to draw from.

    Raises:
      InputError: `count` is below 1, or the text has no such sentence or no word to swap for.
    """
    if count < 1:
        raise InputError(
            f"the number of sentences to swap a word in must be at least 1, was {count}"
        )
    sentences = _sentences(scorer, text)
    random = np.random.default_rng(seed)
    chosen = [sentences[i] for i in random.permutation(len(sentences))[:count]]
    frequent_words = _frequent_words(text, frequent)
    changed = [_swapped(sentence, frequent_words, random) for sentence in chosen]
    scores = scorer.score([new for new, _, _ in changed])
    originals = scorer.score(chosen)
    swaps = []
    for (new, word, place), words, before in zip(changed, scores, originals):
        rank, original_rank = _rank(words, place), _rank(before, place)
        swaps.append(WordSwap(new, word, place, words, rank, original_rank))
    return _summary(swaps)


def _sentences(scorer, text) -> list[str]:
    found = [s for s in dict.fromkeys(s.strip() for s in _BORDER.split(text)) if _is_sentence(s)]
    found = [s for s in found if scorer.pieces(s) <= scorer.length - 2]
    if not found:
        raise InputError(
            f"the text has no sentence of {_SHORTEST} to {_LONGEST} words that fits into "
            f"{scorer.length - 2} tokens; give more text"
        )
    return found


def _is_sentence(piece: str) -> bool:
    parts = piece.split()
    words = sum(part.strip(".,;:!?()\"'“”").replace("-", "").isalpha() for part in parts)
    number = len(find_words(piece))
    return (
        _SHORTEST <= number <= _LONGEST
        and bool(_SENTENCE.match(piece))
        and words >= _WORD_SHARE * len(parts)
    )


def _frequent_words(text, number) -> list[str]:
    counts = collections.Counter(text[a:b].lower() for a, b in find_words(text))
    return [word for word, _ in counts.most_common(number) if word.isalpha() and len(word) > 1]


def _swapped(sentence, frequent_words, random):
    """Returns the new sentence, the word that was there, and its place."""
    spans = find_words(sentence)
    place = int(random.integers(len(spans)))
    start, end = spans[place]
    word = sentence[start:end]
    others = [other for other in frequent_words if other != word.lower()]
    if not others:
        raise InputError(
            "the text has too few different words to swap one for another; give more text"
        )
    new = str(random.choice(others))
    new = new.capitalize() if word[:1].isupper() else new
    return sentence[:start] + new + sentence[end:], word, place


def _rank(words, place) -> int:
    # Ties count against it: who says the same of all words has found nothing.
    return sum(word.probability >= words[place].probability for word in words)


def _summary(swaps: Sequence[WordSwap]) -> WordSwapTest:
    sizes = np.array([len(e.words) for e in swaps])
    ranks = np.array([e.rank for e in swaps])
    originals = np.array([e.original_rank for e in swaps])
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
