import dataclasses
import html.parser

import pytest

from official_nlp.inference import html_page
from official_nlp.inference.html_page import Filling
from official_nlp.inference.replaced_words import WordScore, find_words
from official_nlp.inference.word_swap import WordSwap, WordSwapTest

TEXT = "The <b>cat</b> & dog sat."
SCORES = [0.1, 0.05, 0.8, 0.06, 0.3, 0.4]  # The b cat b dog sat
SHARES = [field.name for field in dataclasses.fields(WordSwapTest) if field.name != "sentences"]


def words(text=TEXT, scores=SCORES):
    return [WordScore(a, b, p) for (a, b), p in zip(find_words(text), scores, strict=True)]


def swap(text, scores, place, rank, original="dog"):
    return WordSwap(text, original, place, words(text, scores), rank, rank + 1)


def word_swap_test(*sentences):
    values = dict.fromkeys(SHARES, 0.5)
    return WordSwapTest(list(sentences), **{**values, "median_rank": 3.0, "chance_median": 9.0})


class Parser(html.parser.HTMLParser):
    """Reads a page: its text, and each span's colour and words."""

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


# === Terminal ===


def test_every_word_is_coloured_and_the_three_most_suspicious_are_bold():
    line = html_page.styled(TEXT, words())
    assert line.plain == TEXT
    found = {line.plain[span.start : span.end]: span.style for span in line.spans}
    assert set(found) == {"The", "b", "cat", "dog", "sat"}
    assert {word for word, style in found.items() if "bold" in style} == {"cat", "sat", "dog"}
    assert found["cat"] == "bold black on rgb(222,73,52)"


def test_the_higher_the_probability_the_stronger_the_colour():
    colours = html_page.colours(words("a b c d", [0.02, 0.01, 0.0, 0.015]))
    assert colours[2] == (255, 250, 230)
    assert [green for _, green, _ in colours] == sorted(
        (green for _, green, _ in colours), key=lambda green: [73, 206, 250, 150].index(green)
    )
    assert html_page.colours(words("a", [0.0])) == [(255, 250, 230)]
    assert html_page.colours([]) == []


def test_the_marked_word_is_underlined():
    line = html_page.styled(TEXT, words(), marked=0)
    assert [(s.start, s.end) for s in line.spans if "underline" in s.style] == [(0, 3)]


def test_words_are_ranked_by_suspicion_and_equals_by_place():
    ranked = html_page.ranked(words("a b c d", [0.2, 0.9, 0.2, 0.5]))
    assert [word.start for word in ranked] == [2, 6, 0, 4]


def test_suspects_are_named_with_their_probability():
    assert html_page.suspects(TEXT, words()) == "cat 80%, sat 40%, dog 30%"
    assert html_page.suspects(TEXT, words(), count=1) == "cat 80%"
    assert html_page.suspects("", []) == ""


def test_the_verdict_stands_beside_chance_and_original():
    test = dataclasses.replace(
        word_swap_test(swap("a b", [0.1, 0.2], 1, 1)),
        first=0.25,
        chance_first=0.06,
        original_first=0.08,
        top_three=0.51,
        chance_top_three=0.18,
        original_top_three=0.24,
        median_rank=3,
        chance_median=9,
        original_median=7.5,
    )
    text = " ".join(html_page.verdict(test))
    assert text.startswith("1 held-out sentences, one word of each swapped")
    for part in (
        "in 25% of them (blind guessing: 6%; the original word at that place: 8%)",
        "in 51% (blind: 18%; original: 24%)",
        "median rank 3 (blind: 9; original: 7.5)",
    ):
        assert part in text


# === Page ===


def test_text_of_the_user_is_text_on_the_page():
    page = html_page.page("<i>title</i>", scored=[(TEXT, words())])
    assert "<b>cat</b> &" not in page
    assert "<i>" not in page
    parsed = Parser(page)
    assert TEXT in parsed.text
    assert "<i>title</i>" in parsed.text


def test_every_word_on_the_page_has_its_colour():
    spans = Parser(html_page.page("title", scored=[(TEXT, words())])).spans
    assert [word for _, word in spans] == ["The", "b", "cat", "b", "dog", "sat"]
    assert spans[2] == ["#de4934", "cat"]
    assert len({colour for colour, _ in spans}) == 5  # two are equal to a rounding


def test_a_word_tells_its_probability():
    assert 'title="80.0%"><b>cat</b></span>' in html_page.page("title", scored=[(TEXT, words())])


def test_exchanges_come_in_the_order_of_their_ranks():
    test = word_swap_test(
        swap("One two three", [0.1, 0.2, 0.3], 0, 3, original="<was>"),
        swap("Four five six", [0.1, 0.2, 0.3], 2, 1),
        swap("Seven eight nine", [0.1, 0.2, 0.3], 1, 2),
    )
    parsed = Parser(html_page.page("title", test=test))
    places = [parsed.text.index(text) for text in ("Four five six", "Seven eight", "One two")]
    assert places == sorted(places)
    assert parsed.underlined[-3:] == ["six", "eight", "One"]
    assert "<was>" in parsed.text
    for row in ("1 of 3", "2 of 3", "3 of 3"):
        assert row in parsed.text


def test_the_page_says_what_its_metrics_are_worth():
    test = word_swap_test(swap("One two three", [0.1, 0.2, 0.3], 0, 3))
    text = Parser(html_page.page("title", test=test)).text
    assert html_page.CAUTION in text
    assert " ".join(html_page.verdict(test)) in text


def test_fillings_are_shown_with_their_chances():
    filling = Filling("the <x> [MASK]", [("<unk>", 0.5), ("cat", 0.25)])
    parsed = Parser(html_page.page("title", fillings=[filling]))
    assert "the <x> [MASK]" in parsed.text
    assert "<unk> 50%, cat 25%" in parsed.text


@pytest.mark.parametrize("braces", ["{", "{title}", "%s"])
def test_braces_are_text(braces):
    assert braces in Parser(html_page.page(braces, scored=[(f"a {braces} b", [])])).text
