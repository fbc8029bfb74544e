import pytest

from official_nlp.inference import entities

TAGS = ["O", "B-A", "I-A", "E-A", "L-A", "S-A", "U-A", "B-B", "I-B", "E-B", "S-B"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        # IOB2
        ("O B-A I-A O B-B", [("A", 1, 3), ("B", 4, 5)]),
        ("B-A B-A I-A", [("A", 0, 1), ("A", 1, 3)]),
        # IOB1: B only between neighbours of one type
        ("I-A I-A O I-B I-A", [("A", 0, 2), ("B", 3, 4), ("A", 4, 5)]),
        ("I-A B-A I-A", [("A", 0, 1), ("A", 1, 3)]),
        # BIOES and BILOU
        ("B-A I-A E-A S-A S-A", [("A", 0, 3), ("A", 3, 4), ("A", 4, 5)]),
        ("B-A L-A U-A O", [("A", 0, 2), ("A", 2, 3)]),
        # Invalid sequences
        ("I-A I-B E-B I-B", [("A", 0, 1), ("B", 1, 3), ("B", 3, 4)]),
        ("E-A E-A", [("A", 0, 1), ("A", 1, 2)]),
        ("O O", []),
        ("", []),
    ],
)
def test_prefixed_tags_make_entities(tags, expected):
    assert entities.decode(tags.split(), TAGS) == expected


def test_equal_neighbors_of_plain_labels_make_an_entity():
    labels = ["O", "NOUN", "VERB", "B-roll"]
    tags = ["NOUN", "NOUN", "VERB", "O", "NOUN", "B-roll", "B-roll"]
    assert entities.decode(tags, labels) == [
        ("NOUN", 0, 2),
        ("VERB", 2, 3),
        ("NOUN", 4, 5),
        ("B-roll", 5, 7),
    ]


def test_a_type_may_contain_a_hyphen():
    assert entities.decode(["B-a-b", "I-a-b"], ["O", "B-a-b", "I-a-b"]) == [("a-b", 0, 2)]
