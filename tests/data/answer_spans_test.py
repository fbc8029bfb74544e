"""The spans of contexts that logits mean."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from official_nlp.data import answer_spans, question_windows, text_windows
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.vocabulary import train_vocabulary


@pytest.fixture(scope="module")
def words():
    return ElectraTokenizer(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "a", "b", "c", "d", "e"]
    )


# === Predictions ===


def brute_force(windows, starts, ends, longest):
    """Return window, first and last position of the best span of each question."""
    found = {}
    for window, question in enumerate(windows.questions):
        first = windows.positions[window]
        positions = range(first, first + windows.counts[window])
        for i, j in itertools.product(positions, positions):
            score = starts[window, i] + ends[window, j]
            if i <= j < i + longest and score > found.get(question, (-np.inf,))[0]:
                found[question] = score, window, i, j
    return found


@pytest.mark.parametrize("longest", [1, 3, 30])
def test_the_best_span_is_that_of_a_search_over_all(words, longest):
    # More windows than are scored at once.
    contexts = ["a b c d e a b c d e", "a", "b c d"] * 25
    windows = question_windows.make_windows(words, [("who", each) for each in contexts], 12)
    assert len(windows) > 64
    generator = np.random.default_rng(longest)
    starts, ends = generator.normal(size=(2, len(windows), 16)).astype(np.float32)
    spans = answer_spans.find_spans(windows, starts, ends, longest)
    expected = brute_force(windows, starts, ends, longest)
    for question, (score, *place) in expected.items():
        assert [x[question] for x in (spans.windows, spans.first, spans.last)] == place
        assert spans.scores[question] == score
        own = np.flatnonzero(windows.questions == question)
        nulls = starts[own, 0] + ends[own, 0]
        assert spans.null_windows[question] == own[nulls.argmin()]
        assert spans.null_scores[question] == nulls.min() - score


def test_of_equal_spans_the_first_is_chosen(words):
    windows = question_windows.make_windows(words, [("who", "a b c d e a b c d e")], 12)
    zeros = np.zeros([len(windows), 12], np.float32)
    spans = answer_spans.find_spans(windows, zeros, zeros, 30)
    assert (spans.windows, spans.first, spans.last) == (0, 3, 3)


# === There and back ===

TEXTS = [
    "Die Größe der Häuser in Zürich überraschte Ägypten: 1 000 Straßen.",
    "北京是中华人民共和国的首都,人口约2189万。上海是最大的城市。",
    "Café, naïve, re\u0301sume\u0301 — the e\u0301clair\u00a0costs 3,50 €.",
    "Tabs\tand  several   spaces ,and no.space;between",
    "emoji 😀 in 🇩🇪 a text, ﬁne ligatures, ½ and ＡＢＣ",
]


@pytest.fixture(scope="module", params=["uncased", "cased", "sentencepiece"])
def tokenizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "text.txt").write_text("\n\n".join(TEXTS * 5), encoding="utf-8")
    options = {
        "uncased": {},
        "cased": {"lower_case": False},
        "sentencepiece": {"kind": "sentencepiece"},
    }[request.param]
    return train_vocabulary(folder / "text.txt", folder / "to", size=150, progress=False, **options)


@hypothesis.given(
    text=strategies.one_of(
        strategies.sampled_from(TEXTS),
        strategies.text(strategies.sampled_from("".join(TEXTS)), min_size=1, max_size=60),
    ),
    place=strategies.tuples(strategies.floats(0, 1), strategies.floats(0, 1)),
)
def test_the_span_of_an_answer_comes_back_in_its_characters(tokenizer, text, place):
    tokens = text_windows.tokenize(tokenizer, text)
    hypothesis.assume(len(tokens.ids))
    # An answer of up to six whole tokens, which some window holds.
    first = int(place[0] * (len(tokens.ids) - 1))
    last = min(first + int(place[1] * 5), len(tokens.ids) - 1)
    span = text_windows.stripped_span(text, tokens.offsets[first, 0], tokens.offsets[last, 1])
    hypothesis.assume(span[0] < span[1])
    windows = question_windows.make_windows(tokenizer, [("who", text)], 24, max_question_length=3)
    answers = question_windows.locate_answers(windows, [text], [span], 30)
    hypothesis.assume(not answers.divided)
    assert answers.inexact == 0
    starts, ends = np.zeros([2, len(windows), 24], np.float32)
    rows = np.arange(len(windows))
    starts[rows, answers.start], ends[rows, answers.end] = 1, 1
    spans = answer_spans.find_spans(windows, starts, ends, 30)
    assert answer_spans.characters(windows, [text], spans) == [span]
