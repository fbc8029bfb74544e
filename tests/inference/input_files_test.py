import pytest

from official_nlp.inference import input_files, inputs
from official_nlp.inference.input_files import ReadOptions

TWO = "id,premise,hypothesis,other\n5,the boat,a boat,the old bird\n6,a bird,the bird,a red stone\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (ReadOptions(), [("the boat", "a boat"), ("a bird", "the bird")]),
        # Columns of the training are read where the table has them.
        (ReadOptions(trained={"text": "other"}), ["the old bird", "a red stone"]),
        (ReadOptions(trained={"text": "review"}), [("the boat", "a boat"), ("a bird", "the bird")]),
        # Columns that are given count more.
        (ReadOptions(text="premise", trained={"text": "other"}), ["the boat", "a bird"]),
        (
            ReadOptions(text="other", text_pair="premise"),
            [("the old bird", "the boat"), ("a red stone", "a bird")],
        ),
    ],
)
def test_columns_are_given_remembered_or_found(tmp_path, options, expected):
    (tmp_path / "a.csv").write_text(TWO)
    found = input_files.read(tmp_path / "a.csv", inputs.TEXT_OR_PAIR, options)
    assert (found.inputs, found.ids) == (expected, ["5", "6"])


def test_a_second_text_may_be_missing_in_json(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "text_pair": "b"}\n{"text": "c"}\n')
    found = input_files.read(tmp_path / "a.jsonl", inputs.TEXT_OR_PAIR, ReadOptions())
    assert (found.inputs, found.ids) == ([("a", "b"), "c"], None)


def test_identifiers_that_repeat_are_none(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,the boat\n1,a bird\n")
    assert input_files.read(tmp_path / "a.csv", inputs.TEXT, ReadOptions()).ids is None


def test_the_column_of_words_is_that_of_the_training(tmp_path):
    (tmp_path / "a.conll").write_text("1 the O\n2 boat O\n")
    options = ReadOptions(token_column=1)
    assert input_files.read(tmp_path / "a.conll", inputs.WORDS, options).inputs == [["the", "boat"]]
