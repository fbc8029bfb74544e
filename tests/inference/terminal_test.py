import io

import pytest
import rich.console

from official_nlp.inference import terminal
from official_nlp.inference.embedding import Embedding
from official_nlp.inference.fillings import Candidate, Fillings
from official_nlp.inference.head import Prediction
from official_nlp.inference.multiple_choice import Choice
from official_nlp.inference.question_answering import Answer
from official_nlp.inference.replaced_words import ReplacedWords
from official_nlp.inference.sequence_classification import (
    Classification,
    MultiLabelClassification,
    Regression,
)
from official_nlp.inference.text_generation import GeneratedText
from official_nlp.inference.token_classification import Entity, TokenClassification
from tests.inference.word_results import TEXT, swap, word_swap_test, words
from tests.output_test import ESCAPED, HOSTILE

# White space, line breaks included, is one space where an input is shown in one line.
ESCAPED_LINE = "red\\x1b[2J \\u202eboat [bold]:smile:"


def printed(function, *arguments, is_terminal=False):
    """Return what a function prints to a console."""
    file = io.StringIO()
    console = rich.console.Console(
        file=file, width=100, force_terminal=is_terminal, color_system=None, markup=False
    )
    console.soft_wrap = not is_terminal
    function(*arguments, console)
    return file.getvalue()


# === Text ===


def test_every_word_is_colored_and_the_three_highest_are_bold():
    line = terminal.colored(TEXT, words())
    assert line.plain == TEXT
    found = {line.plain[span.start : span.end]: span.style for span in line.spans}
    assert set(found) == {"The", "b", "cat", "dog", "sat"}
    assert {word for word, style in found.items() if "bold" in style} == {"cat", "sat", "dog"}
    assert found["cat"] == "bold black on rgb(222,73,52)"


def test_a_word_is_underlined_by_its_index():
    line = terminal.colored(TEXT, words(), underlined=0)
    assert [(s.start, s.end) for s in line.spans if "underline" in s.style] == [(0, 3)]


def test_colors_stay_at_their_words_behind_escaped_characters():
    text = "\x1b\x1b a \x00 b"
    line = terminal.colored(text, words(text, [0.1, 0.9]))
    assert line.plain == "\\x1b\\x1b a \\x00 b"
    assert [line.plain[span.start : span.end] for span in line.spans] == ["a", "b"]


# === Results ===


def test_words_are_printed_with_the_highest_probabilities():
    text = printed(terminal.print_words, TEXT, ReplacedWords(words()))
    assert text == f"{TEXT}\n  cat 80%, sat 40%, dog 30%\n"


def test_fillings_are_printed_with_their_text():
    result = Fillings([[Candidate("cat", 0.5), Candidate("\x1b", 0.25)]])
    text = printed(terminal.print_fillings, "the ___\x1b", result)
    assert text == "the ___\\x1b\n  the generator's best: cat 50%, \\x1b 25%\n"


def test_a_word_swap_test_is_printed_with_its_summary():
    test = word_swap_test(*[swap(TEXT, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 2, 4)] * 3)
    text = printed(terminal.print_word_swaps, test, is_terminal=False)
    assert text.count("predicted as replaced: sat 60%, dog 50%, b 40%; ") == 3
    assert "the swapped word, underlined, ranks 4 of 6; the original was 'dog'" in text
    assert "Word-swap test: 3 held-out sentences" in text


class Unknown(Prediction):
    """A result of a head that the terminal does not know."""

    def to_dict(self):
        return {"a": 1}


@pytest.mark.parametrize(
    ("value", "result", "expected"),
    [
        ("a", Classification("x", 0.75, {"x": 0.75, "y": 0.25}), "a\tx 75.0%"),
        (("a", "b"), Classification("x", 1.0, {"x": 1.0}), "a | b\tx 100.0%"),
        ("a", MultiLabelClassification(["x"], {"x": 0.5, "y": 0.1}), "a\tx 50.0%"),
        ("a", MultiLabelClassification([], {"x": 0.1}), "a\tno label"),
        ("a", Regression(1.23456), "a\t1.235"),
        ("a", Regression([1.0, 2.0]), "a\t1, 2"),
        ("a", TokenClassification([Entity("P", 0, 1, "a", 0.9)], ["B-P"]), "a\ta (P 90%)"),
        ("a", TokenClassification([], ["O"]), "a\tno entity"),
        (("q", "c"), Answer("c", 0, 1, 0.5), "q | c\tc (50.0%)"),
        ({"question": "q", "context": "c"}, Answer("", 0, 0, 0.5), "q | c\tno answer (50.0%)"),
        ({"text": "a", "choices": ["b", "c"]}, Choice(1, [0.2, 0.8]), "a | b, c\tchoice 1 80.0%"),
        (HOSTILE, GeneratedText(HOSTILE), f"{ESCAPED_LINE}\t{ESCAPED}"),
        ("a", Embedding([0.5] * 5), "a\t[0.5000, 0.5000, 0.5000, 0.5000, ...], 5 numbers"),
        ({"text": "a", "text_pair": None}, Embedding([0.5]), "a\t[0.5000], 1 numbers"),
        ("x" * 100, GeneratedText("a"), f"{'x' * 57}...\ta"),
        ("a", Fillings([[Candidate("x", 0.5)], [Candidate("y", 0.25)]]), "a\tx 50%; y 25%"),
        (TEXT, ReplacedWords(words(TEXT)[2:4]), f"{TEXT}\tcat 80%, b 6%"),
        ("a", Unknown(), 'a\t{"a": 1}'),
    ],
)
def test_a_result_is_a_line_with_tabs_in_a_pipe(value, result, expected):
    line = printed(terminal.print_table, [(value, result)])
    assert line == f"{expected}\n"


def test_results_are_a_table_in_a_terminal():
    pairs = [("first", Regression(1.0)), ("second [red]", Regression(2.0))]
    text = printed(terminal.print_table, pairs, is_terminal=True)
    assert [line.split() for line in text.splitlines()] == [
        ["input", "result"],
        ["first", "1"],
        ["second", "[red]", "2"],
    ]
