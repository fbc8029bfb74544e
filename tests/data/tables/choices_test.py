"""Tests of reading examples of multiple choice."""

import gzip
import json

import pytest

from official_nlp.data.tables.choices import read_choices
from official_nlp.errors import InputError

SWAG = """,video-id,fold-ind,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label
0,anet_1,3416,"He sits, smiling.",He,gold,stands.,sits.,runs.,flies.,2
1,anet_2,3417,She waits.,,gen,Then a.,Then b.,Then c.,Then d.,0
"""
QUESTION = {
    "id": "q1",
    "question": {
        "stem": "Where?",
        "choices": [{"label": "A", "text": "here"}, {"label": "B", "text": "there"}],
    },
    "answerKey": "B",
}
PLAIN = {"text": "Where?", "choices": ["here", "there", "nowhere"], "label": 1}


def write(file, *rows):
    content = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()
    file.write_bytes(gzip.compress(content) if file.name.endswith(".gz") else content)
    return file


@pytest.mark.parametrize("name", ["train.csv", "train.csv.gz", "data"])
def test_the_csv_of_swag_is_read(tmp_path, name):
    read = read_choices(write(tmp_path / name, SWAG))
    first, second = read.examples
    assert (first.id, first.text) == ("anet_1/3416", "He sits, smiling.")
    assert first.choices == ("He stands.", "He sits.", "He runs.", "He flies.")
    assert (first.label, first.line) == (2, 2)
    assert second.choices == ("Then a.", "Then b.", "Then c.", "Then d.")
    assert read.notes == (f"{name}: SWAG; 2 examples of 4 choices",)


def test_a_test_set_has_no_labels(tmp_path):
    lines = [line.rpartition(",")[0] for line in SWAG.splitlines()]
    read = read_choices(write(tmp_path / "test.csv", *lines))
    assert [example.label for example in read.examples] == [None, None]
    assert read.notes[1] == "test.csv: 2 examples without a label"
    question = {key: value for key, value in QUESTION.items() if key != "answerKey"}
    read = read_choices(write(tmp_path / "test.jsonl", question, question | {"answerKey": ""}))
    assert [example.label for example in read.examples] == [None, None]


def test_json_lines_of_commonsense_qa_are_read(tmp_path):
    (example,) = read_choices(write(tmp_path / "a.jsonl", QUESTION)).examples
    assert (example.id, example.text) == ("q1", "Where?")
    assert example.choices == ("here", "there")
    assert (example.label, example.line) == (1, 1)


@pytest.mark.parametrize(
    ("label", "expected"),
    [(1, 1), ("1", 1), ("there", 1), ("nowhere", 2), (None, None), ("", None)],
)
def test_a_label_is_an_index_or_a_text(tmp_path, label, expected):
    (example,) = read_choices(write(tmp_path / "a.jsonl", PLAIN | {"label": label})).examples
    assert (example.id, example.label) == ("1", expected)


def test_a_choice_that_is_a_number_goes_before_an_index(tmp_path):
    row = {"id": 7, "text": "1 + 1?", "choices": ["2", "3", "0"], "label": "2"}
    (example,) = read_choices(write(tmp_path / "a.json", json.dumps([row]))).examples
    assert (example.id, example.label) == ("7", 0)


def test_the_number_of_choices_may_differ(tmp_path):
    read = read_choices(write(tmp_path / "a.jsonl", PLAIN, "", QUESTION))
    assert [len(example.choices) for example in read.examples] == [3, 2]
    assert [example.line for example in read.examples] == [1, 3]
    assert read.notes == ("a.jsonl: JSON lines; 2 examples of 2 to 3 choices",)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([PLAIN, PLAIN | {"label": 3}],
         "line 2: the label must be the text of one choice, or an index from 0 to 2, was 3"),
        ([PLAIN | {"label": -1}], "an index from 0 to 2, was -1"),
        ([PLAIN | {"label": True}], "an index from 0 to 2, was True"),
        ([PLAIN | {"label": "x"}], "was 'x'; the choices are ['here', 'there', 'nowhere']"),
        ([PLAIN | {"choices": ["a", "a"], "label": "a"}], "was 'a'; the choices are ['a', 'a']"),
        ([PLAIN | {"choices": ["a"], "label": 0}], "there must be 2 or more choices"),
        ([PLAIN | {"choices": ["a", ""]}], "each a string that is not empty, were ['a', '']"),
        ([PLAIN | {"choices": ["a", 1]}], "each a string that is not empty, were ['a', 1]"),
        ([PLAIN | {"text": None}], "line 1: the text must be a string, was None"),
        ([QUESTION | {"answerKey": "C"}],
         "line 1: answerKey must be the label of one choice, was 'C'; the labels are ['A', 'B']"),
        ([QUESTION | {"question": {"stem": "?", "choices": ["a", "b"]}}],
         'line 1: "choices" must be a list of objects with "label" and "text", was ['),
        ([PLAIN, {"text": "a", "label": 1}],
         "line 2 has the keys 'text', 'label', which are none of multiple choice: give CSV with"),
        (["text,label", "a,1"], "has the columns 'text', 'label', which are none of multiple"),
        ([SWAG.replace(",2\n", ",4\n")], "line 2: the label must be the text of one choice, or an"),
        ([""], "is empty"),
    ],
)  # fmt: skip
def test_examples_that_do_not_fit_are_refused(tmp_path, rows, expected):
    with pytest.raises(InputError) as error:
        read_choices(write(tmp_path / "data", *rows))
    assert expected in str(error.value)


def test_data_of_commonsense_qa_is_read(outside_data):
    read = read_choices(outside_data / "data" / "commonsense_qa_v1.0" / "dev.jsonl")
    assert read.notes == ("dev.jsonl: JSON lines; 950 examples of 3 choices",)
    assert all(example.label is not None for example in read.examples)
