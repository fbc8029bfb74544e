import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data.tokenization.vocabulary import train_vocabulary
from official_nlp.errors import InputError
from official_nlp.inference.replaced_words import WordScorer, find_words
from official_nlp.tasks import ElectraPretraining
from tests.tasks.conftest import config


class Table:
    """Stands in for a pre-trainer: a token looks replaced, and fits, by its id alone.

    Attributes:
      suspicion: id to probability, 0.1 for others.
      taste: id to chance in every blank.
      shapes: of the batches it was asked about.
    """

    def __init__(self, size, suspicion=None, taste=None):
        self.vocab_size = size
        self.logits = np.full([size], np.log(0.1 / 0.9), np.float32)
        for id, probability in (suspicion or {}).items():
            self.logits[id] = np.log(probability / (1 - probability))
        self.scores = np.full([size], -30.0, np.float32)
        for id, chance in (taste or {}).items():
            self.scores[id] = np.log(chance)
        self.shapes = []

    def discriminate(self, ids, mask):
        self.shapes.append(tuple(ids.shape))
        # Padding must not be asked about, but if it is it screams.
        return tf.where(mask > 0, tf.gather(tf.constant(self.logits), ids), 20.0)

    def generate(self, inputs):
        shape = inputs["masked_lm_positions"].shape.as_list()
        masked = tf.gather(inputs["input_word_ids"], inputs["masked_lm_positions"], batch_dims=1)
        tf.debugging.assert_equal(masked, 4)
        return {"lm_outputs": tf.tile(self.scores[None, None, :], [*shape, 1])}


def scorer(tokenizer, suspicion=None, taste=None, length=16):
    ids = {tokenizer.vocab.index(token): p for token, p in (suspicion or {}).items()}
    liked = {tokenizer.vocab.index(token): p for token, p in (taste or {}).items()}
    return WordScorer(Table(tokenizer.vocab_size, ids, liked), tokenizer, length)


def scored(found, text):
    """Returns [(word, probability rounded)]."""
    return [(text[word.start : word.end], round(word.probability, 3)) for word in found]


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
    found = scorer(tokenizer, {"boat": 0.7, ",": 0.9, ".": 0.9}).score([text])
    assert scored(found[0], text) == [("The", 0.1), ("old", 0.1), ("boat", 0.7), ("walks", 0.1)]


def test_a_word_of_many_pieces_has_the_highest_of_them(tokenizer):
    text = "the redaction sings"
    assert tokenizer.tokenize("redaction")[:2] == ["red", "##a"]
    found = scorer(tokenizer, {"##t": 0.8, "##n": 0.6}).score([text])
    assert scored(found[0], text) == [("the", 0.1), ("redaction", 0.8), ("sings", 0.1)]


def test_pieces_of_sentencepiece_make_words_too(text_file, tmp_path):
    pieces = train_vocabulary(
        text_file, tmp_path / "to", size=80, kind="sentencepiece", progress=False
    )
    text = "The old  boat, 中 walked."
    assert pieces.tokenize("old") == ["▁old"]
    last = pieces.tokenize("walked")[-1]
    found = scorer(pieces, {"▁old": 0.7, ".": 0.9, last: 0.8}, {"▁boat": 0.6, "▁the": 0.3})
    words = dict(scored(found.score([text])[0], text))
    assert words == {"The": 0.1, "old": 0.7, "boat": 0.1, "中": 0.1, "walked": 0.8}
    (best,) = found.fill("The old ___ walked.", top=2)
    assert [token for token, _ in best] == ["▁boat", "▁the"]


def test_every_text_has_its_own_words(tokenizer):
    texts = ["red boat", "", "!", "green"]
    found = scorer(tokenizer, {"green": 0.5}).score(texts)
    assert [scored(words, text) for words, text in zip(found, texts)] == [
        [("red", 0.1), ("boat", 0.1)],
        [],
        [],
        [("green", 0.5)],
    ]
    assert scorer(tokenizer).score([]) == []


@pytest.mark.parametrize("word", ["x" * 150, "你", "Größe", "e\u0301", "६", "ǅ", "\U0001d54f"])
def test_every_word_has_a_score_and_its_place(tokenizer, word):
    text = f"the {word} boat"
    found = scorer(tokenizer, {"boat": 0.7}).score([text])[0]
    assert [(w.start, w.end) for w in found] == find_words(text)
    assert found[-1].probability == pytest.approx(0.7)


def test_many_texts_go_in_batches(tokenizer):
    ours = scorer(tokenizer, {"bird": 0.7})
    texts = ["the bird", "the boat"] * 70
    found = ours.score(texts)
    assert [words[1].probability > 0.5 for words in found] == [True, False] * 70


def test_a_long_text_is_cut_into_rows_that_agree_with_short_ones(tokenizer, folder):
    model = ElectraPretraining(config(), folder).build()
    ours = WordScorer(model, tokenizer, length=10)
    first = "the red boat walks a green river bird"  # a row of eight
    second = "old stone sings the bird"
    assert ours.pieces(first) == 8
    together = ours.score([f"{first} {second}"])[0]
    alone = [*ours.score([first])[0], *ours.score([second])[0]]
    assert [w.probability for w in together] == pytest.approx([w.probability for w in alone])
    assert [w.start for w in together][8:] == [len(first) + 1 + w.start for w in alone[8:]]
    wider = WordScorer(model, tokenizer, length=32).score([second])[0]
    # Padding changes nothing.
    assert [w.probability for w in wider] == pytest.approx(
        [w.probability for w in alone[8:]], rel=1e-5
    )


def test_a_word_that_two_rows_share_is_one_word(tokenizer):
    text = "the red boat redaction"
    found = scorer(tokenizer, {"##n": 0.9}, length=8).score([text])[0]
    assert scored(found, text)[-1] == ("redaction", 0.9)


# === Blanks ===


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the [MASK] boat", True),
        ("the ___ boat", True),
        ("the _____ boat", True),
        ("def __init__(self):", False),
        ("the boat", False),
    ],
)
def test_a_blank_is_a_mask_or_three_strokes(tokenizer, text, expected):
    assert scorer(tokenizer).has_blank(text) == expected


@pytest.mark.parametrize("blank", ["[MASK]", "___", "______"])
def test_a_blank_is_filled_with_the_best_tokens(tokenizer, blank):
    ours = scorer(tokenizer, taste={"boat": 0.5, "bird": 0.3, "river": 0.15, "stone": 0.05})
    (best,) = ours.fill(f"the red {blank} walks")
    assert [token for token, _ in best] == ["boat", "bird", "river"]
    assert [chance for _, chance in best] == pytest.approx([0.5, 0.3, 0.15])


def test_every_blank_is_filled(tokenizer):
    found = scorer(tokenizer, taste={"boat": 0.9, "bird": 0.1}).fill("___ red [MASK]", top=1)
    assert [[token for token, _ in best] for best in found] == [["boat"], ["boat"]]


def test_a_blank_is_not_filled_with_special_tokens(tokenizer):
    ours = scorer(tokenizer, taste={"[UNK]": 0.5, "[MASK]": 0.2, "boat": 0.2, "bird": 0.1})
    (best,) = ours.fill("[MASK]", top=2)
    assert [token for token, _ in best] == ["boat", "bird"]
    assert [chance for _, chance in best] == pytest.approx([0.2, 0.1])


def test_a_blank_may_stand_anywhere_in_a_real_model(tokenizer, folder):
    ours = WordScorer(ElectraPretraining(config(), folder).build(), tokenizer, length=12)
    for text in ("[MASK]", "[MASK] boat", "the boat sings a [MASK]", "[MASK] [MASK] [MASK] red"):
        for best in ours.fill(text):
            chances = [chance for _, chance in best]
            assert len(best) == 3
            assert chances == sorted(chances, reverse=True)
            assert 0 < sum(chances) <= 1


def test_a_text_without_a_blank_is_refused(tokenizer):
    with pytest.raises(InputError, match=r"no blank to fill, \[MASK\] or ___: 'the boat'"):
        scorer(tokenizer).fill("the boat")


def test_a_text_with_a_blank_must_fit_into_a_row(tokenizer):
    ours = scorer(tokenizer, taste={"boat": 1.0}, length=8)
    ours.fill("the red boat walks a [MASK]")
    with pytest.raises(InputError, match="must fit into 6 tokens, had 7"):
        ours.fill("the red boat walks a [MASK] river")
