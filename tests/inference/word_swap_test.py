import numpy as np
import pytest

from official_nlp.errors import InputError
from official_nlp.inference.replaced_words import ReplacedWords, ScoredWord, find_words
from official_nlp.inference.word_swap import word_swap_test

# Sixteen sentences of 13 words, which differ in two of them.
SENTENCES = [
    f"Then the {a} {b} sailed over a calm sea and back home again."
    for a in ("red", "green", "old", "new")
    for b in ("boat", "ship", "raft", "bark")
]
TEXT = "\n".join(SENTENCES)


class Predictor:
    """Stands in for a `Predictor`: the probability is a function of a word and its position."""

    def __init__(self, probability, length=40):
        self.probability = probability
        self.length = length

    @property
    def word_scorer(self):
        return self

    def count_tokens(self, text):
        return len(text.split())

    def predict(self, texts):
        return [
            ReplacedWords(
                [
                    ScoredWord(text[a:b], a, b, self.probability(position, text[a:b]))
                    for position, (a, b) in enumerate(find_words(text))
                ]
            )
            for text in texts
        ]


def by_length(position, word):
    return len(word) / 100


def perfect(position, word):
    """Return a high probability for a word that no sentence has at this position."""
    known = {sentence.rstrip(".").split()[position] for sentence in SENTENCES}
    return 0.1 if word in known else 0.9


# === Swaps ===


def test_one_word_of_each_sentence_is_another_frequent_one():
    result = word_swap_test(Predictor(by_length), TEXT, count=16, seed=1)
    assert len(result.sentences) == 16
    vocabulary = {word for sentence in SENTENCES for word in sentence.lower().strip(".").split()}
    restored = set()
    for swap in result.sentences:
        word = swap.words[swap.position]
        new = swap.text[word.start : word.end]
        assert new.lower() != swap.original.lower()
        assert new.lower() in vocabulary
        assert new[0].isupper() == swap.original[0].isupper()
        restored.add(swap.text[: word.start] + swap.original + swap.text[word.end :])
    assert restored == set(SENTENCES)


def test_the_choices_are_a_function_of_the_seed():
    same = [word_swap_test(Predictor(by_length), TEXT, 5, seed=s).sentences for s in (1, 1, 2)]
    assert same[0] == same[1]
    assert same[0] != same[2]


def test_only_the_most_frequent_words_are_swapped_in():
    result = word_swap_test(Predictor(by_length), TEXT, count=16, frequent=3)
    new = {e.text[e.words[e.position].start : e.words[e.position].end] for e in result.sentences}
    # Among equally frequent words the first ones of the text count.
    assert {word.lower() for word in new} <= {"then", "the", "sailed"}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("One two three four five six seven eight nine ten eleven twelve.", 1),
        ("One two three four five six seven eight nine ten eleven.", 0),
        ("One two three four five six seven eight nine ten eleven twelve", 0),
        ("one two three four five six seven eight nine ten eleven twelve.", 0),
        ("“One two three four five six seven eight nine ten eleven twelve!”", 1),
        ("One two three four five six\nseven eight nine ten eleven twelve.", 0),
        ("One two three four five six (x+1) eight b=2 [c] d_e eleven twelve.", 0),
        ("One two three four five. " * 3, 0),
        (" ".join(["One", *["word"] * 22, "last."]), 1),
        (" ".join(["One", *["word"] * 23, "last."]), 0),
        ("One two three four five six seven eight nine ten eleven twelve.\n" * 3, 1),
    ],
)
def test_sentences_are_recognized(text, number):
    other = "Uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece."
    result = word_swap_test(Predictor(by_length), f"{text}\n{other}")
    assert len(result.sentences) == number + 1


def test_sentences_that_do_not_fit_into_a_sequence_are_left_out():
    longer = "Now " + SENTENCES[0]
    result = word_swap_test(Predictor(by_length, length=15), f"{TEXT}\n{longer}")
    assert len(result.sentences) == 16
    result = word_swap_test(Predictor(by_length, length=16), f"{TEXT}\n{longer}")
    assert len(result.sentences) == 17


# === Ranks ===


def test_a_perfect_model_finds_every_word():
    result = word_swap_test(Predictor(perfect), TEXT, count=16, frequent=3)
    assert result.first == result.top_three == result.median_rank == 1
    # The original word at the same position is not predicted as replaced.
    assert result.original_first == result.original_top_three == 0
    assert result.original_median == 13


def test_a_rank_counts_the_words_with_higher_and_equal_probability():
    result = word_swap_test(Predictor(by_length), TEXT, count=16)
    for swap in result.sentences:
        lengths = [word.end - word.start for word in swap.words]
        own = lengths[swap.position]
        assert swap.rank == sum(length >= own for length in lengths)
        # In the unchanged sentence all other words are the same.
        before = [*lengths]
        before[swap.position] = len(swap.original)
        assert swap.original_rank == sum(n >= len(swap.original) for n in before)


def test_equal_probabilities_for_all_words_find_nothing():
    result = word_swap_test(Predictor(lambda position, word: 0.5), TEXT, count=16)
    assert result.first == result.top_three == 0
    assert result.median_rank == 13


def test_the_summary_is_computed_from_the_ranks():
    result = word_swap_test(Predictor(by_length), TEXT, count=16)
    ranks = np.array([swap.rank for swap in result.sentences])
    originals = np.array([swap.original_rank for swap in result.sentences])
    assert result.first == np.mean(ranks == 1)
    assert result.top_three == np.mean(ranks <= 3)
    assert result.median_rank == np.median(ranks)
    assert result.original_first == np.mean(originals == 1)
    assert result.original_top_three == np.mean(originals <= 3)
    assert result.original_median == np.median(originals)


def test_chance_is_computed_from_the_lengths_of_the_sentences():
    longer = "Then the old boat sailed over a calm and very very blue sea and back home again."
    result = word_swap_test(Predictor(by_length), f"{SENTENCES[0]}\n{longer}")
    assert result.chance_first == pytest.approx((1 / 13 + 1 / 17) / 2)
    assert result.chance_top_three == pytest.approx((3 / 13 + 3 / 17) / 2)
    assert result.chance_median == pytest.approx((7 + 9) / 2)


def test_random_ranks_give_the_results_of_chance():
    random = np.random.default_rng(3)
    many = [
        word_swap_test(Predictor(lambda position, word: random.random()), TEXT, seed=seed)
        for seed in range(40)
    ]
    assert np.mean([m.first for m in many]) == pytest.approx(1 / 13, abs=0.04)
    assert np.mean([m.top_three for m in many]) == pytest.approx(3 / 13, abs=0.06)
    assert np.mean([m.median_rank for m in many]) == pytest.approx(7, abs=0.8)


# === Errors ===


@pytest.mark.parametrize("text", ["", "no sentence here", "x = 1\ny = 2\n"])
def test_a_text_without_sentences_is_refused(text):
    with pytest.raises(InputError, match="no sentence of 12 to 24 words that fits into 38 tokens"):
        word_swap_test(Predictor(by_length), text)


@pytest.mark.parametrize("word", ["a", "Ho"])
def test_a_text_of_one_word_is_refused(word):
    text = " ".join([word.capitalize(), *[word] * 12]) + "."
    with pytest.raises(InputError, match="too few different words to swap"):
        word_swap_test(Predictor(by_length), text)


@pytest.mark.parametrize("count", [0, -5])
def test_a_number_of_sentences_below_one_is_refused(count):
    with pytest.raises(InputError, match=f"must be at least 1, got {count}"):
        word_swap_test(Predictor(by_length), TEXT, count=count)


def test_a_model_without_a_discriminator_is_refused():
    class Classifier:
        word_scorer = None

    with pytest.raises(InputError, match="the word-swap test needs a discriminator"):
        word_swap_test(Classifier(), TEXT)
