"""Shows scored words: in the terminal and as a page that any browser opens."""

import dataclasses
import html
from collections.abc import Sequence

import rich.text

from official_nlp.inference.replaced_words import WordScore
from official_nlp.inference.word_swap import WordSwap, WordSwapTest

# From hardly to most suspicious, in red, green and blue.
_LEAST, _MOST = (255, 250, 230), (222, 73, 52)
_BOLD = 3


@dataclasses.dataclass(frozen=True)
class Filling:
    """A sentence with a blank, and the generator's best tokens for it with their chances."""

    text: str
    best: list[tuple[str, float]]


def styled(text: str, words: Sequence[WordScore], marked: int | None = None) -> rich.text.Text:
    """Returns the text with every word coloured and the three most suspicious ones bold.

    Args:
      text: what was scored.
      words: its words.
      marked: number of a word to underline, or None.
    """
    line = rich.text.Text(text)
    first = _most_suspicious(words)
    for place, (word, colour) in enumerate(zip(words, colours(words))):
        style = f"black on rgb({','.join(map(str, colour))})"
        style = f"bold {style}" if word in first else style
        style = f"underline {style}" if place == marked else style
        line.stylize(style, word.start, word.end)
    return line


def colours(words: Sequence[WordScore]) -> list[tuple[int, int, int]]:
    """Returns red, green and blue for each word, by its probability beside the sentence's highest.

    Probabilities of a model that trained for minutes are all small: only their order tells.
    """
    highest = max((word.probability for word in words), default=0.0) or 1.0
    shares = [(word.probability / highest) ** 2 for word in words]
    pairs = list(zip(_LEAST, _MOST))
    return [tuple(round(a + share * (b - a)) for a, b in pairs) for share in shares]


def _most_suspicious(words) -> list[WordScore]:
    return ranked(words)[:_BOLD]


def ranked(words: Sequence[WordScore]) -> list[WordScore]:
    """Returns the words, the most suspicious first."""
    return sorted(words, key=lambda word: -word.probability)


def suspects(text: str, words: Sequence[WordScore], count: int = 3) -> str:
    """Returns the most suspicious words with their probabilities, in one line."""
    return ", ".join(
        f"{text[word.start : word.end]} {word.probability:.0%}" for word in ranked(words)[:count]
    )


def verdict(test: WordSwapTest) -> list[str]:
    """Returns what an swap test came to, with what chance would give, in lines."""
    count = len(test.sentences)
    return [
        f"{count} held-out sentences, one word of each swapped for another frequent one.",
        f"The swapped word is the most suspicious in {test.first:.0%} of them (blind guessing: "
        f"{test.chance_first:.0%}; the original word at that place: {test.original_first:.0%}),",
        f"among the three most suspicious in {test.top_three:.0%} (blind: "
        f"{test.chance_top_three:.0%}; original: {test.original_top_three:.0%}), median rank "
        f"{test.median_rank:.3g} (blind: {test.chance_median:.2g}; original: "
        f"{test.original_median:.3g}).",
    ]


CAUTION = (
    "Every word is coloured by the probability that it was replaced, as the discriminator thinks, "
    "beside the highest of its sentence; the three most suspicious are bold. What counts is their "
    "order, not the percentage. A model that trained for minutes, on text as formulaic as "
    "documentation, shows the method and not what ELECTRA can do."
)


def page(
    title: str,
    test: WordSwapTest | None = None,
    scored: Sequence[tuple[str, Sequence[WordScore]]] = (),
    fillings: Sequence[Filling] = (),
) -> str:
    """Returns an HTML page, complete in itself.

    Args:
      title: its heading.
      test: an swap test to show with all its sentences, or None.
      scored: texts with their words.
      fillings: sentences with a blank.
    """
    parts = [f"<h1>{html.escape(title)}</h1>", f"<p class=note>{html.escape(CAUTION)}</p>"]
    if test is not None:
        parts += [f"<p>{html.escape(' '.join(verdict(test)))}</p>", _swaps(test)]
    parts += [f"<p>{_words(text, words)}</p>" for text, words in scored]
    if fillings:
        parts += ["<h2>Blanks, and what the generator would write</h2>", *map(_filling, fillings)]
    return _PAGE.format(title=html.escape(title), body="\n".join(parts))


def _swaps(test: WordSwapTest) -> str:
    rows = sorted(test.sentences, key=lambda swap: swap.rank)
    cells = "\n".join(map(_row, rows))
    head = "<tr><th>rank<th>sentence; the swapped word is underlined<th>was</tr>"
    return f"<table>{head}\n{cells}</table>"


def _row(swap: WordSwap) -> str:
    words = _words(swap.text, swap.words, swap.place)
    size = len(swap.words)
    original = html.escape(swap.original)
    return f"<tr><td>{swap.rank} of {size}<td>{words}<td>{original}</tr>"


def _words(text, words, marked=None) -> str:
    first = _most_suspicious(words)
    pieces, last = [], 0
    for place, (word, colour) in enumerate(zip(words, colours(words))):
        inner = html.escape(text[word.start : word.end])
        inner = f"<b>{inner}</b>" if word in first else inner
        inner = f"<u>{inner}</u>" if place == marked else inner
        style = "background:#" + "".join(f"{part:02x}" for part in colour)
        pieces.append(html.escape(text[last : word.start]))
        pieces.append(f'<span style="{style}" title="{word.probability:.1%}">{inner}</span>')
        last = word.end
    return "".join([*pieces, html.escape(text[last:])])


def _filling(filling: Filling) -> str:
    best = ", ".join(f"<b>{html.escape(token)}</b> {chance:.0%}" for token, chance in filling.best)
    return f"<p>{html.escape(filling.text)}<br>&rarr; {best}</p>"


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto }}
td, th {{ text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0 }}
td:first-child {{ white-space: nowrap; color: #666 }}
span[style] {{ border-radius: .2rem; padding: 0 .15rem }}
u {{ text-decoration-thickness: .15rem }}
.note {{ color: #666 }}
</style>
{body}
</html>
"""
