"""Tests of converting tags between schemes."""

import hypothesis
import pytest
from hypothesis import strategies

from official_nlp.data.tables.tagging_schemes import (
    broken_tags,
    scheme_of,
    spans,
    to_bioes,
    to_iob2,
)

# One sentence in the three schemes: an entity of two words, one of one, and two of one type.
SAME = {
    "IOB1": "I-A I-A O I-B I-A B-A I-A O",
    "IOB2": "B-A I-A O B-B B-A B-A I-A O",
    "BIOES": "B-A E-A O S-B S-A B-A E-A O",
}


@pytest.mark.parametrize("scheme", SAME)
def test_a_sentence_is_the_same_in_every_scheme(scheme):
    tags = SAME[scheme].split()
    assert scheme_of([tags]) == scheme
    assert spans(tags) == [("A", 0, 2), ("B", 3, 4), ("A", 4, 5), ("A", 5, 7)]
    assert to_iob2(tags, scheme) == SAME["IOB2"].split()
    assert to_bioes(tags, scheme) == SAME["BIOES"].split()
    assert broken_tags(tags, scheme) == 0


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (["O O", "O"], "IOB2"),
        (["B-A I-A", "I-A O B-B"], "IOB2"),  # one mistake
        (["I-A I-B", "B-A"], "IOB1"),
        (["B-A I-B", "O I-A"], "IOB1"),
        (["B-A L-A", "U-B"], "BIOES"),
        (["B-A M-A E-A", "O"], "BIOES"),
        (["NOUN VERB", "O"], "none"),
        (["B-A I-A", "O X-A"], "none"),
        (["B- O"], "none"),
    ],
)
def test_the_scheme_is_recognized(sentences, expected):
    assert scheme_of(sentence.split() for sentence in sentences) == expected


@pytest.mark.parametrize("tags", ["B-A I-A M-A L-A U-B O", "B-A M-A M-A E-A S-B O"])
def test_other_letters_are_read_as_bioes(tags):
    assert broken_tags(tags.split(), "BIOES") == 0
    assert to_bioes(tags.split(), "BIOES") == ["B-A", "I-A", "I-A", "E-A", "S-B", "O"]


@pytest.mark.parametrize(
    ("scheme", "tags", "repaired", "broken"),
    [
        ("IOB2", "O I-A I-A B-A I-B", "O B-A I-A B-A B-B", 2),
        ("IOB1", "B-A I-A O B-B", "B-A I-A O B-B", 2),  # B belongs only between two entities
        ("BIOES", "O I-A I-A O B-B", "O B-A I-A O B-B", 3),
        ("BIOES", "E-A S-A I-A", "B-A B-A B-A", 2),
        ("none", "NOUN I-A", "NOUN I-A", 0),
    ],
)
def test_broken_tags_are_counted_and_repaired(scheme, tags, repaired, broken):
    assert to_iob2(tags.split(), scheme) == repaired.split()
    assert broken_tags(tags.split(), scheme) == broken


def test_tags_without_a_scheme_stay_as_they_are():
    assert to_bioes(["NOUN", "O"], "none") == ["NOUN", "O"]


tag = strategies.sampled_from(["O", *(f"{p}-{t}" for p in "BIES" for t in ("A", "B-C"))])
iob1_tag = strategies.sampled_from(["O", "O", "I-A", "I-A", "B-A", "I-B", "B-B"])


@hypothesis.given(strategies.lists(tag, max_size=8))
def test_invalid_sequences_are_read_as_seqeval_reads_them(tags):
    from seqeval.metrics.sequence_labeling import get_entities

    assert spans(tags) == [(label, start, stop + 1) for label, start, stop in get_entities(tags)]


@hypothesis.given(strategies.lists(iob1_tag, max_size=8), strategies.sampled_from(["IOB1", "IOB2"]))
def test_conversions_keep_the_entities(tags, scheme):
    iob2, bioes = to_iob2(tags, scheme), to_bioes(tags, scheme)
    assert spans(iob2) == spans(bioes) == spans(tags)
    assert to_iob2(bioes, "BIOES") == iob2
    assert to_bioes(iob2, "IOB2") == bioes
    assert broken_tags(iob2, "IOB2") == broken_tags(bioes, "BIOES") == 0
