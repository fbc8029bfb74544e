import json

import pytest

from official_nlp.errors import InputError
from official_nlp.inference import prediction_files
from official_nlp.inference.multiple_choice import Choice
from official_nlp.inference.question_answering import Answer
from official_nlp.inference.sequence_classification import (
    Classification,
    MultiLabelClassification,
    Regression,
)
from official_nlp.inference.token_classification import TokenClassification


def cells(name, results, **options):
    header, *lines = prediction_files.content(name, results, **options).splitlines()
    return header, lines


@pytest.mark.parametrize(
    ("result", "options", "expected"),
    [
        (Classification("not_entailment", 0.9, {}), {}, "not_entailment"),
        # A tab would start another column.
        (Classification("a\tb", 0.9, {}), {}, "a\\tb"),
        (MultiLabelClassification(["joy", "trust"], {}), {}, '["joy", "trust"]'),
        (MultiLabelClassification([], {}), {}, "[]"),
        (Regression(0.01234567), {}, "0.0123457"),
        (Regression(3.8), {"has_range": True}, "3.800"),
        (Regression(0.0), {"has_range": True}, "0.000"),
        (Regression([1.5, 2.0]), {}, "[1.5, 2.0]"),
        (Choice(2, [0.1, 0.1, 0.8]), {}, "2"),
    ],
)
def test_a_row_has_index_and_prediction(result, options, expected):
    found = cells("a.tsv", [result, result], **options)
    assert found == ("index\tprediction", [f"0\t{expected}", f"1\t{expected}"])
    found = cells("a.tsv", [result], ids=["q7"], **options)
    assert found == ("index\tprediction", [f"q7\t{expected}"])


def test_csv_quotes_separators():
    found = cells("a.CSV", [MultiLabelClassification(["a", "b"], {})])
    assert found == ("index,prediction", ['0,"[""a"", ""b""]"'])


def test_answers_are_a_submission_to_squad():
    answers = [Answer("Bü", 0, 2, 0.9), Answer("", 0, 0, 0.8)]
    found = prediction_files.content("a.json", answers, ["x", "y"])
    assert json.loads(found) == {"x": "Bü", "y": ""}
    lines = prediction_files.content("a.jsonl", answers, ["x", "y"]).splitlines()
    assert [json.loads(line)["answer"] for line in lines] == ["Bü", ""]


def test_a_table_cannot_hold_tags():
    with pytest.raises(InputError, match=r"holds labels, numbers and choices, .* name a \.jsonl"):
        prediction_files.content("a.tsv", [TokenClassification([], [])])
