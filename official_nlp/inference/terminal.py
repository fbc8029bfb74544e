"""Print predictions in the terminal: colored words, fillings, and a table of all other results."""

from collections.abc import Sequence
from typing import Any

import rich.console
import rich.table
import rich.text

from official_nlp.inference.embedding import Embedding
from official_nlp.inference.fillings import Candidate, Fillings
from official_nlp.inference.head import Prediction
from official_nlp.inference.multiple_choice import Choice
from official_nlp.inference.question_answering import Answer
from official_nlp.inference.replaced_words import ReplacedWords, ScoredWord
from official_nlp.inference.sequence_classification import (
    Classification,
    MultiLabelClassification,
    Regression,
)
from official_nlp.inference.text_generation import GeneratedText
from official_nlp.inference.token_classification import TokenClassification
from official_nlp.inference.word_colors import (
    CAUTION,
    bold_words,
    caption,
    colors,
    ranked,
    summary_lines,
)
from official_nlp.inference.word_swap import WordSwapTest
from official_nlp.output import escaped

_LONGEST_INPUT = 60  # characters of an input in the table
_SHOWN_NUMBERS = 4  # of an embedding


def colored(
    text: str, words: Sequence[ScoredWord], underlined: int | None = None
) -> rich.text.Text:
    """Return the text with every word colored and the three highest probabilities bold.

    Args:
      text: the text.
      words: its words with their probabilities.
      underlined: index of a word to underline, or None.
    """
    line, last, bold = rich.text.Text(), 0, bold_words(words)
    # Spans refer to the text before escaping, so that each part is escaped by itself.
    for number, (word, color) in enumerate(zip(words, colors(words))):
        style = f"black on rgb({','.join(map(str, color))})"
        style = f"bold {style}" if word in bold else style
        style = f"underline {style}" if number == underlined else style
        line.append(escaped(text[last : word.start]))
        line.append(escaped(text[word.start : word.end]), style)
        last = word.end
    return line.append(escaped(text[last:]))


def print_words(text: str, result: ReplacedWords, console: rich.console.Console) -> None:
    """Print a text with colored words, and the highest probabilities below."""
    console.print(colored(text, result.words))
    console.print(f"  {caption(result.words)}", style="dim")


def print_fillings(text: str, result: Fillings, console: rich.console.Console) -> None:
    """Print a text with blanks, and below the generator's tokens for each blank."""
    for blank in result.fillings:
        console.print(rich.text.Text(escaped(text)))
        console.print(f"  the generator's best: {escaped(_filling(blank))}", style="dim")


def print_word_swaps(test: WordSwapTest, console: rich.console.Console, count: int = 10) -> None:
    """Print the first sentences of a word-swap test, and its summary."""
    console.print(CAUTION, style="dim")
    for swap in test.sentences[:count]:
        console.print()
        console.print(colored(swap.text, swap.words, swap.position))
        console.print(
            f"  predicted as replaced: {caption(swap.words)}; the swapped word, underlined, ranks "
            f"{swap.rank} of {len(swap.words)}; the original was {swap.original!r}",
            style="dim",
        )
    console.print()
    for line in summary_lines(test):
        console.print(line)


def print_table(pairs: Sequence[tuple[Any, Prediction]], console: rich.console.Console) -> None:
    """Print a line for each input and its result; tab-separated if the output is no terminal.

    Args:
      pairs: inputs as `Predictor` takes them, and their results.
      console: where to print.
    """
    rows = [(escaped(_one_line(value)), escaped(_described(result))) for value, result in pairs]
    if not console.is_terminal:
        # Written directly, because rich would expand the tabs.
        console.file.writelines(f"{text}\t{result}\n" for text, result in rows)
        return
    table = rich.table.Table("input", "result", box=None, pad_edge=False)
    for row in rows:
        # Text objects, because rich interprets markup and emoji codes in plain strings.
        table.add_row(*map(rich.text.Text, row))
    console.print(table)


def _one_line(value: Any) -> str:
    """Return the texts of an input, shortened."""
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, list):  # The words of a sentence.
        parts = [" ".join(value)]
    parts = [value] if isinstance(value, str) else parts
    texts = [part if isinstance(part, str) else ", ".join(part) for part in parts if part]
    line = " | ".join(" ".join(text.split()) for text in texts)
    return line if len(line) <= _LONGEST_INPUT else f"{line[: _LONGEST_INPUT - 3]}..."


def _described(result: Prediction) -> str:
    """Return a result in one line."""
    match result:
        case Classification():
            return f"{result.label} {result.score:.1%}"
        case MultiLabelClassification():
            pairs = [f"{label} {result.scores[label]:.1%}" for label in result.labels]
            return ", ".join(pairs) or "no label"
        case Regression():
            values = result.value if isinstance(result.value, list) else [result.value]
            return ", ".join(f"{value:.4g}" for value in values)
        case TokenClassification():
            found = [f"{each.text} ({each.label} {each.score:.0%})" for each in result.entities]
            return ", ".join(found) or "no entity"
        case Answer():
            return f"{result.answer or 'no answer'} ({result.score:.1%})"
        case Choice():
            return f"choice {result.choice} {result.scores[result.choice]:.1%}"
        case GeneratedText():
            return result.text
        case Embedding():
            numbers = ", ".join(f"{each:.4f}" for each in result.embedding[:_SHOWN_NUMBERS])
            more = ", ..." if len(result.embedding) > _SHOWN_NUMBERS else ""
            return f"[{numbers}{more}], {len(result.embedding)} numbers"
        case Fillings():
            return "; ".join(map(_filling, result.fillings))
        case ReplacedWords():
            return ", ".join(f"{word.text} {word.replaced:.0%}" for word in ranked(result.words))
    return result.to_json()


def _filling(blank: Sequence[Candidate]) -> str:
    return ", ".join(f"{each.token} {each.score:.0%}" for each in blank)
