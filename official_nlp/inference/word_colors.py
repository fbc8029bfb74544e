"""Colors and captions of scored words, for the terminal and for the HTML page."""

from collections.abc import Sequence

from official_nlp.inference.replaced_words import ScoredWord
from official_nlp.inference.word_swap import WordSwapTest

# Red, green and blue of the lowest and of the highest probability.
_LOWEST, _HIGHEST = (255, 250, 230), (222, 73, 52)
_BOLD = 3
# Characters of a word in a caption.
_LONGEST = 40

CAUTION = (
    "The color of a word shows the probability that it was replaced, as predicted by the "
    "discriminator, relative to the highest in its sentence; the three words with the highest "
    "probabilities are bold. Compare their order, not the percentages. A model trained for "
    "minutes, on text as formulaic as documentation, demonstrates the method, not the "
    "performance of ELECTRA."
)


def colors(words: Sequence[ScoredWord]) -> list[tuple[int, int, int]]:
    """Return red, green and blue of each word, 0 to 255.

    Probabilities count relative to the highest in the sentence: those of a model that was trained
    for minutes are all small, and only their order is meaningful.
    """
    # 1 stands in for a highest probability of 0, and for a text without words.
    highest = max((word.replaced for word in words), default=0.0) or 1.0
    weights = [(word.replaced / highest) ** 2 for word in words]
    pairs = list(zip(_LOWEST, _HIGHEST))
    return [
        (red, green, blue)
        for red, green, blue in ([round(a + w * (b - a)) for a, b in pairs] for w in weights)
    ]


def ranked(words: Sequence[ScoredWord]) -> list[ScoredWord]:
    """Return the words by descending probability, equal ones in the order of the text."""
    return sorted(words, key=lambda word: -word.replaced)


def bold_words(words: Sequence[ScoredWord]) -> list[ScoredWord]:
    """Return the three words with the highest probabilities."""
    return ranked(words)[:_BOLD]


def caption(words: Sequence[ScoredWord], count: int = 3) -> str:
    """Return the words with the highest probabilities and these, in one line."""
    return ", ".join(f"{_short(word.text)} {word.replaced:.0%}" for word in ranked(words)[:count])


def _short(word: str) -> str:
    return word if len(word) <= _LONGEST else f"{word[: _LONGEST - 3]}..."


def summary_lines(test: WordSwapTest) -> list[str]:
    """Return the result of a word-swap test in sentences, with chance and original words beside."""
    return [
        f"Word-swap test: {len(test.sentences)} held-out sentences, one word of each swapped for "
        "another frequent one.",
        f"The swapped word has the highest probability in {test.first:.0%} of them (random "
        f"ranking: {test.chance_first:.0%}; the original word at that position: "
        f"{test.original_first:.0%}),",
        f"one of the three highest in {test.top_three:.0%} (random: {test.chance_top_three:.0%}; "
        f"original: {test.original_top_three:.0%}), median rank {test.median_rank:.3g} (random: "
        f"{test.chance_median:.2g}; original: {test.original_median:.3g}).",
    ]
