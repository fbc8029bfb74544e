import dataclasses

from official_nlp.inference import word_colors
from tests.inference.word_results import swap, word_swap_test, words


def test_the_higher_the_probability_the_stronger_the_color():
    colors = word_colors.colors(words("a b c d", [0.02, 0.01, 0.0, 0.015]))
    assert colors[2] == (255, 250, 230)
    assert [green for _, green, _ in colors] == [73, 206, 250, 150]
    assert word_colors.colors(words("a", [0.0])) == [(255, 250, 230)]
    assert word_colors.colors([]) == []


def test_words_are_ranked_by_probability_and_equal_ones_by_position():
    ranked = word_colors.ranked(words("a b c d", [0.2, 0.9, 0.2, 0.5]))
    assert [word.start for word in ranked] == [2, 6, 0, 4]


def test_a_caption_names_the_highest_probabilities():
    assert word_colors.caption(words()) == "cat 80%, sat 40%, dog 30%"
    assert word_colors.caption(words(), count=1) == "cat 80%"
    assert word_colors.caption([]) == ""


def test_the_summary_compares_with_chance_and_original_words():
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
    text = " ".join(word_colors.summary_lines(test))
    assert text.startswith("Word-swap test: 1 held-out sentences, one word of each swapped")
    for part in (
        "in 25% of them (random ranking: 6%; the original word at that position: 8%)",
        "in 51% (random: 18%; original: 24%)",
        "median rank 3 (random: 9; original: 7.5)",
    ):
        assert part in text


def test_a_long_word_is_shortened_in_a_caption():
    (word,) = words("x" * 1000, [0.5])
    assert word_colors.caption([word]) == f"{'x' * 37}... 50%"
