"""Tests of reading minimal pairs."""

import gzip
import json
import re

import pytest

from official_nlp.data.tables.minimal_pairs import holds_minimal_pairs, read_minimal_pairs
from official_nlp.errors import InputError

PAIR = {"sentence_good": "The boat sinks.", "sentence_bad": "The boat sink."}
BLIMP = {
    **PAIR,
    "field": "morphology",
    "linguistics_term": "agreement",
    "UID": "a_1",
    "pairID": "0",
}


def write(file, *rows):
    content = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    data = content.encode()
    file.write_bytes(gzip.compress(data) if file.name.endswith(".gz") else data)
    return file


def test_rows_have_two_sentences_and_their_phenomenon(tmp_path):
    file = write(tmp_path / "agreement.jsonl", BLIMP, "", PAIR)
    first, second = read_minimal_pairs(file)
    assert (first.good, first.bad) == ("The boat sinks.", "The boat sink.")
    assert first.categories == {
        "file": "agreement",
        "UID": "a_1",
        "linguistics_term": "agreement",
        "field": "morphology",
    }
    assert second.categories == {"file": "agreement"}
    assert second.where == f"{file}, line 3"


def test_the_files_of_a_folder_are_read_in_order(tmp_path):
    write(tmp_path / "b.jsonl.gz", {**PAIR, "UID": 2})
    write(tmp_path / "a.jsonl", {**PAIR, "UID": "x"})
    (tmp_path / "README.md").write_text("# pairs")
    pairs = read_minimal_pairs(tmp_path)
    assert [(p.categories["file"], p.categories["UID"]) for p in pairs] == [("a", "x"), ("b", "2")]
    assert holds_minimal_pairs(tmp_path)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (PAIR, True),
        ({"sentence_good": "a"}, True),
        ({"text": "a", "label": "b"}, False),
        ("plain text", False),
        ("", False),
    ],
)
def test_minimal_pairs_are_recognized_by_their_keys(tmp_path, row, expected):
    file = write(tmp_path / "rows", row)
    assert holds_minimal_pairs(file) == expected


def test_other_paths_hold_no_minimal_pairs(tmp_path):
    assert not holds_minimal_pairs(tmp_path)
    assert not holds_minimal_pairs(tmp_path / "nothing.jsonl")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [PAIR, {"sentence_good": "a", "x": 1}],
            "line 2 has the keys 'sentence_good', 'x', but not",
        ),
        ([PAIR, {"sentence_bad": "a"}], "but not sentence_good: a minimal pair has"),
        ([{**PAIR, "sentence_bad": " "}], "line 1: sentence_bad must be a sentence, was ' '"),
        ([{**PAIR, "sentence_good": None}], "sentence_good must be a sentence, was None"),
        ([PAIR, "{"], "line 2: this is no JSON"),
        ([PAIR, "[1]"], "line 2: each row must be a JSON object"),
        ([""], "is empty: it has no line of text"),
    ],
)
def test_other_rows_are_refused(tmp_path, rows, message):
    file = write(tmp_path / "rows.jsonl", *rows)
    with pytest.raises(InputError, match=re.escape(message)):
        read_minimal_pairs(file)


def test_an_empty_file_or_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no \.jsonl file"):
        read_minimal_pairs(tmp_path)
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(InputError, match=r"a\.jsonl is empty: copy it again"):
        read_minimal_pairs(tmp_path)
    with pytest.raises(InputError, match=r"a\.jsonl is empty: copy it again"):
        holds_minimal_pairs(tmp_path / "a.jsonl")


def test_the_phenomena_of_blimp_are_read(outside_data):
    pairs = read_minimal_pairs(outside_data / "data/blimp/passive_1.jsonl")
    assert len(pairs) == 200
    assert {pair.categories["UID"] for pair in pairs} == {"passive_1"}
