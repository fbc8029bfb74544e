import html.parser

import pytest

from official_nlp.inference import html_page
from official_nlp.inference.fillings import Candidate, Fillings
from official_nlp.inference.replaced_words import ReplacedWords
from official_nlp.inference.word_colors import CAUTION, summary_lines
from tests.inference.word_results import TEXT, swap, word_swap_test, words

SCORED = (TEXT, ReplacedWords(words()))


class Parser(html.parser.HTMLParser):
    """Reads a page: its text, and each span's color and words."""

    def __init__(self, page):
        super().__init__()
        self.text, self.spans, self.underlined, self.rows = "", [], [], []
        self._inside = []
        self.feed(page.partition("</style>")[2].removesuffix("</html>\n"))

    def handle_starttag(self, tag, attributes):
        self._inside.append(tag)
        if tag == "span":
            style = dict(attributes).get("style")
            self.spans.append([style and style.partition("background:")[2], ""])

    def handle_endtag(self, tag):
        self._inside = self._inside[: len(self._inside) - 1 - self._inside[::-1].index(tag)]

    def handle_data(self, data):
        self.text += data
        if "span" in self._inside:
            self.spans[-1][1] += data
        if "u" in self._inside:
            self.underlined.append(data)


def test_texts_are_escaped():
    page = html_page.page("<i>title</i>", scored=[SCORED])
    assert "<b>cat</b> &" not in page
    assert "<i>" not in page
    parsed = Parser(page)
    assert TEXT in parsed.text
    assert "<i>title</i>" in parsed.text


def test_markup_is_escaped_wherever_a_text_can_stand():
    markup = "<b>\"'&</title><script>x</script>"
    test = word_swap_test(swap(f"One {markup} two", [0.1 * n for n in range(7)], 0, 1, markup))
    filling = Fillings([[Candidate(markup, 0.5)]])
    page = html_page.page(
        markup, test, [(f"a {markup} b", ReplacedWords([]))], [(f"{markup} [MASK]", filling)]
    )
    assert "<script" not in page
    assert page.count("</title>") == 1
    # The title twice, a sentence and its original word, a scored text, a blank and its candidate.
    assert page.count("&lt;script&gt;") >= 6
    assert Parser(page).text.count("</title>") == 6


def test_every_word_on_the_page_has_its_color():
    spans = Parser(html_page.page("title", scored=[SCORED])).spans
    assert [word for _, word in spans] == ["The", "b", "cat", "b", "dog", "sat"]
    assert spans[2] == ["#de4934", "cat"]
    assert len({color for color, _ in spans}) == 5  # two round to the same


def test_a_word_shows_its_probability():
    assert 'title="80.0%"><b>cat</b></span>' in html_page.page("title", scored=[SCORED])


def test_swaps_are_sorted_by_rank():
    test = word_swap_test(
        swap("One two three", [0.1, 0.2, 0.3], 0, 3, original="<was>"),
        swap("Four five six", [0.1, 0.2, 0.3], 2, 1),
        swap("Seven eight nine", [0.1, 0.2, 0.3], 1, 2),
    )
    parsed = Parser(html_page.page("title", test=test))
    positions = [parsed.text.index(text) for text in ("Four five six", "Seven eight", "One two")]
    assert positions == sorted(positions)
    assert parsed.underlined[-3:] == ["six", "eight", "One"]
    assert "<was>" in parsed.text
    for row in ("1 of 3", "2 of 3", "3 of 3"):
        assert row in parsed.text


def test_the_page_explains_and_summarizes_the_test():
    test = word_swap_test(swap("One two three", [0.1, 0.2, 0.3], 0, 3))
    text = Parser(html_page.page("title", test=test)).text
    assert CAUTION in text
    assert " ".join(summary_lines(test)) in text


def test_fillings_are_shown_with_their_probabilities():
    filling = Fillings([[Candidate("<unk>", 0.5), Candidate("cat", 0.25)]])
    parsed = Parser(html_page.page("title", filled=[("the <x> [MASK]", filling)]))
    assert "the <x> [MASK]" in parsed.text
    assert "<unk> 50%, cat 25%" in parsed.text


@pytest.mark.parametrize("braces", ["{", "{title}", "%s"])
def test_braces_are_printed_as_they_are(braces):
    assert (
        braces in Parser(html_page.page(braces, scored=[(f"a {braces} b", ReplacedWords([]))])).text
    )
