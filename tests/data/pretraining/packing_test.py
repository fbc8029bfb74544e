"""Tests of packing lines into examples."""

import random

import hypothesis
import pytest
from hypothesis import strategies

from official_nlp.data.pretraining import packing


class Fixed(random.Random):
    """Draws given numbers, then always 0.99: two segments, full length, second segment."""

    def __init__(self, *numbers: float) -> None:
        super().__init__()
        self._numbers = list(numbers)

    def random(self):
        return self._numbers.pop(0) if self._numbers else 0.99


def pack(lengths, length=16, draw=None, continues=None, **options):
    continues = continues or [False] * sum(lengths)
    return list(packing.pack(lengths, continues, length, draw or Fixed(), **options))


def size(runs) -> int:
    return sum(end - start for start, end in runs)


def tokens(example) -> list[int]:
    return [token for runs in example for start, end in runs for token in range(start, end)]


def test_lines_fill_the_first_segment_to_the_middle_and_then_the_second():
    # 16 tokens of which 3 are special: 13 // 2 = 6 to the middle, which the third line crosses.
    assert pack([3, 2, 3, 8]) == [([(0, 3), (3, 5)], [(5, 8), (8, 13)]), ([(13, 14), (14, 16)], [])]


def test_the_line_across_the_middle_may_go_to_the_first_segment():
    # The draws: whether the target is short, whether single, the coin.
    first = pack([3, 2, 3, 8], draw=Fixed(0.99, 0.99, 0.4))[0]
    assert first == ([(0, 3), (3, 5), (5, 8)], [(8, 13)])


def test_an_example_may_be_a_single_segment():
    first = pack([3, 2, 3, 8], draw=Fixed(0.99, 0.05))[0]
    assert first == ([(0, 3), (3, 5), (5, 8), (8, 14)], [])
    assert all(not second for _, second in pack([5] * 20, draw=random.Random(0), segments=1))


def test_an_example_may_be_short():
    # 0.04: short; 0.5: of 5 + int(0.5 * 12) = 11 tokens.
    first = pack([4, 4, 4, 4, 4, 4, 4], draw=Fixed(0.04, 0.5))[0]
    assert size(first[0]) + size(first[1]) == 12


def test_long_lines_are_cut_between_words():
    # A row holds 14 tokens, the middle is at 6, but 4, 5 and 6 go on with the word of 3.
    continues = [False] * 4 + [True] * 3 + [False] * 7
    examples = pack([14], continues=continues)
    assert examples[0] == ([(0, 3)], [(3, 9), (9, 13)])


def test_a_word_longer_than_a_row_is_cut():
    examples = pack([40], continues=[False] + [True] * 39)
    assert [token for example in examples for token in tokens(example)] == list(range(40))


def test_an_empty_document_gives_no_examples():
    assert pack([]) == pack([0, 0]) == []
    assert pack([0, 3, 0]) == [([(0, 3)], [])]


DOCUMENTS = strategies.lists(strategies.integers(0, 60), max_size=30)


def test_text_is_packed_in_order(property_settings):
    @property_settings
    @hypothesis.given(
        lengths=DOCUMENTS,
        length=strategies.integers(8, 40),
        seed=strategies.integers(0, 99),
        segments=strategies.sampled_from([1, 2]),
        word=strategies.integers(1, 50),
    )
    def check(lengths, length, seed, segments, word):
        continues = [position % word > 0 for position in range(sum(lengths))]
        examples = pack(lengths, length, random.Random(seed), continues, segments=segments)
        packed = [token for example in examples for token in tokens(example)]
        # Everything but a last remainder of less than an eighth of an example.
        assert packed == list(range(len(packed)))
        assert sum(lengths) - len(packed) < length / 8
        for first, second in examples:
            assert first
            assert segments == 2 or not second
            assert size(first) + size(second) + (3 if second else 2) <= length

    check()


def reference(lengths, length: int, draw: random.Random) -> list[tuple[list[int], list[int]]]:
    """The packing of google-research/electra on lists of tokens: whole lines, and loss of text."""
    expected: list[tuple[list[int], list[int]]] = []
    lines: list[list[int]] = []
    start = 0

    def target() -> int:
        return 5 + int(draw.random() * (length - 4)) if draw.random() < 0.05 else length

    def finish() -> None:
        middle = 10**9 if draw.random() < 0.1 else (wanted - 3) // 2
        first: list[int] = []
        second: list[int] = []
        for line in lines:
            fits = len(first) + len(line) < middle
            across = not second and len(first) < middle
            into_first = not first or fits or (across and draw.random() < 0.5)
            (first if into_first else second).extend(line)
        first = first[: length - 2]
        expected.append((first, second[: max(0, length - len(first) - 3)]))

    wanted = target()
    for size_of_line in lengths:
        if size_of_line:
            lines.append(list(range(start, start + size_of_line)))
        start += size_of_line
        if sum(map(len, lines)) >= wanted:
            finish()
            lines, wanted = [], target()
    if lines:
        finish()
    return expected


def test_packing_as_the_original_equals_a_second_implementation(property_settings):
    @property_settings
    @hypothesis.given(
        lengths=DOCUMENTS, length=strategies.integers(8, 40), seed=strategies.integers(0, 99)
    )
    def check(lengths, length, seed):
        examples = pack(lengths, length, random.Random(seed), original=True)
        found = [(tokens((a,)), tokens((b,))) for a, b in examples]
        assert found == reference(lengths, length, random.Random(seed))

    check()


@pytest.mark.parametrize("original", [False, True])
def test_lengths_and_segments_are_as_frequent_as_in_the_original(original):
    draw = random.Random(1)
    lengths = [draw.randint(5, 30) for _ in range(30_000)]
    examples = pack(lengths, 128, random.Random(2), original=original)
    single = sum(not second for _, second in examples) / len(examples)
    # One in ten, and those of a target so short that one line fills it.
    assert 0.10 < single < 0.13
    full = sum(size(a) + size(b) >= 110 for a, b in examples) / len(examples)
    assert 0.94 < full < 0.98
