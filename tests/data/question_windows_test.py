"""Windows of questions, and the tokens of answers in them."""

import pytest

from official_nlp.data import question_windows
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "a", "b", "c", "d", "##d", "e", "."]
PAD, UNK, CLS, SEP, MASK, WHO, A, B, C, D, DD, E, DOT = range(13)


@pytest.fixture(scope="module")
def words():
    return ElectraTokenizer(WORDS)


# === Windows ===


def test_a_short_context_is_one_window(words):
    found = question_windows.make_windows(words, [("who", "a b"), ("a", "c")], 16)
    assert [ids.tolist() for ids in found.ids] == [
        [CLS, WHO, SEP, A, B, SEP],
        [CLS, A, SEP, C, SEP],
    ]
    assert [ids.tolist() for ids in found.type_ids] == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1]]
    assert found.questions.tolist() == [0, 1]
    assert found.positions.tolist() == [3, 3]
    assert found.offsets[0].tolist() == [[0, 1], [2, 3]]


def test_a_long_context_has_windows_that_share_tokens(words):
    (context,) = ["a b c d e a b c d e"]
    found = question_windows.make_windows(words, [("who", "a"), ("who", context)], 12, stride=2)
    # 12 tokens without [CLS] who [SEP] and [SEP] are 8 of the context.
    assert found.questions.tolist() == [0, 1, 1]
    assert found.starts.tolist() == [0, 0, 6]
    assert found.counts.tolist() == [1, 8, 4]
    assert found.ids[2].tolist() == [CLS, WHO, SEP, B, C, D, E, SEP]
    # At most half of a window is shared.
    more = question_windows.make_windows(words, [("who", context)], 12, stride=100)
    assert more.starts.tolist() == [0, 4]


def test_a_long_question_is_truncated_and_counted(words):
    questions = [("who who who", "a"), ("who", "a")]
    found = question_windows.make_windows(words, questions, 20, max_question_length=2)
    assert found.ids[0].tolist() == [CLS, WHO, WHO, SEP, A, SEP]
    assert (found.limit, found.truncated) == (2, 1)


@pytest.mark.parametrize(
    ("question", "length", "message"),
    [
        (("who", " "), 16, "context of the question 'who' has no tokens: ' '"),
        (("who", "a"), 11, "length must be at least 12 tokens"),
    ],
)
def test_a_question_needs_a_context_and_room_for_it(words, question, length, message):
    with pytest.raises(InputError, match=message):
        question_windows.make_windows(words, [question], length)


# === Answers ===


def located(tokenizer, questions, longest=30, **options):
    """Return windows and answers of (context, answer), where the answer occurs once or is None."""
    contexts = [context for context, _ in questions]
    asked = [("who", context) for context in contexts]
    windows = question_windows.make_windows(tokenizer, asked, **{"length": 12, **options})
    spans = [
        None if text is None else (context.index(text), context.index(text) + len(text))
        for context, text in questions
    ]
    return windows, question_windows.locate_answers(windows, contexts, spans, longest)


def test_a_window_without_the_whole_answer_is_labeled_with_cls(words):
    long = "a b c d e . b c d e"
    windows, answers = located(words, [("a b c", "b c"), ("a", None), (long, ".")], stride=2)
    assert windows.questions.tolist() == [0, 1, 2, 2]
    assert answers.start.tolist() == [4, 0, 8, 0]
    assert answers.end.tolist() == [5, 0, 8, 0]
    _, answers = located(words, [(long, "c d e . b c d e")], stride=2)
    # Tokens 2 to 9 of the context; the windows hold 0 to 7 and 6 to 9.
    assert answers.start.tolist() == answers.end.tolist() == [0, 0]
    assert answers.divided == 1


def test_every_window_with_the_answer_has_its_own_positions(words):
    windows, answers = located(words, [("a b c d e . who a b c d e", ".")], stride=4)
    assert windows.starts.tolist() == [0, 4]
    assert answers.start.tolist() == [8, 4]
    assert answers.divided == 0


def test_what_training_cannot_use_exactly_is_counted(words):
    # The tokenizer removes U+200B, and [UNK] stands for a whole word. "dd" has two tokens.
    questions = [("a \u200b b", "\u200b"), ("a xyz b", "y"), ("a dd b", "dd"), ("a b", "a b")]
    _, answers = located(words, questions, longest=1)
    assert answers.aligned.tolist() == [False, True, True, True]
    assert answers.inexact == 1
    assert answers.long == 2
    assert answers.start.tolist() == [0, 4, 4, 3]
    assert answers.end.tolist() == [0, 4, 5, 4]
