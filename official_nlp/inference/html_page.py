"""Write scored words, a word-swap test and fillings as a page that any browser opens."""

import html
from collections.abc import Sequence

from official_nlp.inference.fillings import Candidate, Fillings
from official_nlp.inference.replaced_words import ReplacedWords, ScoredWord
from official_nlp.inference.word_colors import CAUTION, bold_words, colors, summary_lines
from official_nlp.inference.word_swap import WordSwap, WordSwapTest


def page(
    title: str,
    test: WordSwapTest | None = None,
    scored: Sequence[tuple[str, ReplacedWords]] = (),
    filled: Sequence[tuple[str, Fillings]] = (),
) -> str:
    """Return a self-contained HTML page. All texts are escaped.

    Args:
      title: heading of the page.
      test: a word-swap test, shown with all its sentences; None if there is none.
      scored: texts with their scored words.
      filled: texts with the fillings of their blanks.
    """
    parts = [f"<h1>{html.escape(title)}</h1>", f"<p class=note>{html.escape(CAUTION)}</p>"]
    if test is not None:
        parts += [f"<p>{html.escape(' '.join(summary_lines(test)))}</p>", _swaps(test)]
    parts += [f"<p>{_colored(text, result.words)}</p>" for text, result in scored]
    blanks = [(text, blank) for text, result in filled for blank in result.fillings]
    if blanks:
        parts += ["<h2>Blanks and the tokens that the generator predicts</h2>"]
        parts += [_filling(text, blank) for text, blank in blanks]
    return _PAGE.format(title=html.escape(title), body="\n".join(parts))


def _swaps(test: WordSwapTest) -> str:
    rows = sorted(test.sentences, key=lambda swap: swap.rank)
    cells = "\n".join(map(_row, rows))
    head = "<tr><th>rank<th>sentence; the swapped word is underlined<th>original</tr>"
    return f"<table>{head}\n{cells}</table>"


def _row(swap: WordSwap) -> str:
    words = _colored(swap.text, swap.words, swap.position)
    original = html.escape(swap.original)
    return f"<tr><td>{swap.rank} of {len(swap.words)}<td>{words}<td>{original}</tr>"


def _colored(text: str, words: Sequence[ScoredWord], underlined: int | None = None) -> str:
    bold = bold_words(words)
    pieces, last = [], 0
    for number, (word, color) in enumerate(zip(words, colors(words))):
        inner = html.escape(text[word.start : word.end])
        inner = f"<b>{inner}</b>" if word in bold else inner
        inner = f"<u>{inner}</u>" if number == underlined else inner
        style = "background:#" + "".join(f"{part:02x}" for part in color)
        pieces.append(html.escape(text[last : word.start]))
        pieces.append(f'<span style="{style}" title="{word.replaced:.1%}">{inner}</span>')
        last = word.end
    return "".join([*pieces, html.escape(text[last:])])


def _filling(text: str, blank: Sequence[Candidate]) -> str:
    best = ", ".join(f"<b>{html.escape(each.token)}</b> {each.score:.0%}" for each in blank)
    return f"<p>{html.escape(text)}<br>&rarr; {best}</p>"


# Doubled braces are single ones after `str.format`.
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
