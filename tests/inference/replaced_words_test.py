import time

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data.tokenization.vocabulary import train_vocabulary
from official_nlp.inference import replaced_words
from official_nlp.inference.replaced_words import WordScorer, find_words
from tests.inference.conftest import build


class Table:
    """Stands in for a discriminator: the probability of a token depends on its id alone.

    Args:
      size: number of tokens.
      probabilities: id to probability of replacement; 0.1 for all others.
    """

    def __init__(self, size, probabilities):
        self.logits = np.full([size], np.log(0.1 / 0.9), np.float32)
        for id, probability in probabilities.items():
            self.logits[id] = np.log(probability / (1 - probability))

    def __call__(self, ids, mask):
        # Results at padding must not be used; if they are, they stand out.
        return tf.where(mask > 0, tf.gather(tf.constant(self.logits), ids), 20.0)


def scorer(tokenizer, probabilities=None, length=16):
    ids = {tokenizer.vocab.index(token): p for token, p in (probabilities or {}).items()}
    return WordScorer(Table(tokenizer.vocab_size, ids), tokenizer, length)


def scored(result):
    """Return [(word, probability rounded)]."""
    return [(word.text, round(word.replaced, 3)) for word in result.words]


# === Words ===


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat sat.", ["The", "cat", "sat"]),
        ("don't, x-ray; O’Neill's", ["don't", "x-ray", "O’Neill's"]),
        ("a_b __init__(self)", ["a_b", "__init__", "self"]),
        ("“Größe” - 3.5 % …", ["Größe", "3", "5"]),
        ("你好 мир 3年x", ["你", "好", "мир", "3", "年", "x"]),
        ("", []),
        (" .,;\n", []),
    ],
)
def test_words_are_letters_and_digits_joined_by_marks(text, words):
    assert [text[a:b] for a, b in find_words(text)] == words


# === Scores ===


def test_words_are_scored_in_order_and_punctuation_is_not(tokenizer):
    text = "The old boat, walks."
    (found,) = scorer(tokenizer, {"boat": 0.7, ",": 0.9, ".": 0.9}).predict([text])
    assert scored(found) == [("The", 0.1), ("old", 0.1), ("boat", 0.7), ("walks", 0.1)]


def test_a_word_of_many_tokens_has_the_highest_of_their_probabilities(tokenizer):
    text = "the redaction sings"
    assert tokenizer.tokenize("redaction")[:2] == ["red", "##a"]
    (found,) = scorer(tokenizer, {"##t": 0.8, "##n": 0.6}).predict([text])
    assert scored(found) == [("the", 0.1), ("redaction", 0.8), ("sings", 0.1)]


def test_tokens_of_sentencepiece_make_words_too(text_file, tmp_path):
    pieces = train_vocabulary(
        text_file, tmp_path / "to", size=80, kind="sentencepiece", progress=False
    )
    text = "The old  boat, 中 walked."
    assert pieces.tokenize("old") == ["▁old"]
    last = pieces.tokenize("walked")[-1]
    (found,) = scorer(pieces, {"▁old": 0.7, ".": 0.9, last: 0.8}).predict([text])
    expected = {"The": 0.1, "old": 0.7, "boat": 0.1, "中": 0.1, "walked": 0.8}
    assert dict(scored(found)) == expected


def test_every_text_has_its_own_words(tokenizer):
    found = scorer(tokenizer, {"green": 0.5}).predict(["red boat", "", "!", "green"])
    assert [scored(result) for result in found] == [
        [("red", 0.1), ("boat", 0.1)],
        [],
        [],
        [("green", 0.5)],
    ]
    assert scorer(tokenizer).predict([]) == []


@pytest.mark.parametrize("word", ["x" * 150, "你", "Größe", "e\u0301", "६", "ǅ", "\U0001d54f"])
def test_every_word_has_a_score_and_its_span(tokenizer, word):
    text = f"the {word} boat"
    (found,) = scorer(tokenizer, {"boat": 0.7}).predict([text])
    assert [(w.start, w.end) for w in found.words] == find_words(text)
    assert found.words[-1].replaced == pytest.approx(0.7)


def test_many_texts_go_in_batches(tokenizer):
    found = scorer(tokenizer, {"bird": 0.7}).predict(["the bird", "the boat"] * 70)
    assert [result.words[1].replaced > 0.5 for result in found] == [True, False] * 70


def test_a_long_text_is_cut_into_sequences_that_agree_with_short_ones(tokenizer):
    model = build("pretrainer")
    ours = WordScorer(model.discriminate, tokenizer, length=10)
    first = "the red boat walks a green river bird"  # eight tokens: a whole sequence
    second = "old stone sings the bird"
    assert ours.count_tokens(first) == 8
    together, *parts = ours.predict([f"{first} {second}", first, second])
    alone = [word for part in parts for word in part.words]
    assert [w.replaced for w in together.words] == pytest.approx([w.replaced for w in alone])
    shift = len(first) + 1
    assert [w.start for w in together.words][8:] == [shift + w.start for w in alone[8:]]


def test_a_word_that_two_sequences_share_is_one_word(tokenizer):
    text = "the red boat redaction"
    (found,) = scorer(tokenizer, {"##n": 0.9}, length=8).predict([text])
    assert scored(found)[-1] == ("redaction", 0.9)


def test_the_time_grows_with_the_length_of_a_text_and_not_faster():
    def seconds(count):
        spans = {(5 * number, 5 * number + 4): 0.1 for number in range(count)}
        start = time.process_time()
        assert len(replaced_words._words("word " * count, spans)) == count
        return time.process_time() - start

    # Eight times the words; their square would take 64 times as long.
    assert min(seconds(80_000) for _ in range(2)) < 24 * min(seconds(10_000) for _ in range(3))
