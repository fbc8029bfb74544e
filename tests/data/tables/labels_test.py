"""Tests of inferring the kind of a problem, and of encoding labels."""

import pytest

from official_nlp.data.tables.labels import Problem, encode, infer_problem
from official_nlp.errors import InputError

SINGLE, MULTI = "single_label_classification", "multi_label_classification"


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "9", "10", "-1"], ("-1", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        ([1, 0, 1], ("0", "1")),
        ([1.0, 0.0], ("0", "1")),
        ([True, False], ("False", "True")),
        ([" a", "a ", "b\t"], ("a", "b")),
        ([str(n % 77) for n in range(200)], tuple(str(n) for n in range(77))),
        ([n % 30 + 1 for n in range(60)], tuple(str(n) for n in range(1, 31))),
    ],
)
def test_few_values_are_classes(values, labels):
    problem = infer_problem(values)
    assert (problem.kind, problem.labels) == (SINGLE, labels)


@pytest.mark.parametrize(
    "values",
    [
        ["5.000", "3.8", "0"],
        [0.5, 1, 1, 1],
        [f"{n}" for n in range(0, 100, 2)],
        [n % 30 + 2 for n in range(60)],  # classes are numbered from 0 or 1
        range(30),  # classes recur
        ["1e-3", "+2", "-.5"],
    ],
)
def test_numbers_with_a_fraction_and_many_numbers_are_regression(values):
    problem = infer_problem(values)
    assert (problem.kind, problem.labels) == ("regression", ())
    assert encode(problem, values).values == [float(value) for value in values]


@pytest.mark.parametrize(
    ("values", "separator"),
    [
        ([["b", "a"], [], ["b", "b"]], None),
        (['["b", "a"]', "[]", '["b"]'], None),
        (["b; a", "", "b;"], ";"),
        (["b and a", "  ", "b"], " and "),
    ],
)
def test_lists_are_several_labels(values, separator):
    problem = infer_problem(values, label_separator=separator)
    assert (problem.kind, problem.labels) == (MULTI, ("a", "b"))
    assert problem.notes == (
        "multi-label classification with 2 labels: 'a' 1, 'b' 2",
        "labels of a single row: 'a'",
        "1 row without a label",
    )
    targets = encode(problem, values)
    assert targets.values == [[1, 1], [0, 0], [0, 1]]
    assert targets.notes == ()


def test_the_kind_can_be_given():
    assert infer_problem([1, 2, 3], kind="regression").kind == "regression"
    assert infer_problem(["0.5", "1.5"], kind=SINGLE).labels == ("0.5", "1.5")
    assert infer_problem([str(n) for n in range(100)], kind=SINGLE).labels[:3] == ("0", "1", "2")
    assert infer_problem([["a"], ["b"]], kind=MULTI).labels == ("a", "b")


def test_classes_are_noted_with_their_rows():
    assert infer_problem(["Yes", "no", "yes", "no"]).notes == (
        "classification with 3 labels: 'Yes' 1, 'no' 2, 'yes' 1",
        "the labels 'Yes' and 'yes' differ only in case",
        "labels of a single row: 'Yes', 'yes'",
    )
    many = infer_problem([f"{n:02}x" for n in range(12)] * 2).notes[0]
    assert many.endswith("'09x' 2 and 2 more")
    assert infer_problem([0.5, 3]).notes == ("regression: numbers from 0.5 to 3",)


def test_classes_are_encoded_by_their_position():
    targets = encode(Problem(SINGLE, ("a", "b", "c")), ["c", " a", "c"])
    assert targets.values == [2, 0, 2]
    assert targets.notes == ("no row has the label 'b'",)


def test_a_set_with_a_single_class_is_noted():
    targets = encode(Problem(SINGLE, ("a", "b")), ["b", "b"])
    assert targets.values == [1, 1]
    assert targets.notes == ("all 2 rows have the label 'b'",)


def test_labels_without_rows_are_noted():
    targets = encode(Problem(MULTI, ("a", "b")), [["b"], []])
    assert targets.values == [[0, 1], [0, 0]]
    assert targets.notes == ("no row has the label 'a'",)


@pytest.mark.parametrize(
    ("problem", "value", "expected"),
    [
        (Problem(SINGLE, ("a", "b")), "c",
         "x.tsv, line 3: the label 'c' does not occur in the training rows; the labels are 'a', "
         "'b': correct or remove the row"),
        (Problem(SINGLE, ("a", "b")), " ", "x.tsv, line 3: the label is empty, but must be"),
        (Problem(SINGLE, ("a", "b")), None, "the label is empty"),
        (Problem(SINGLE, ("a", "b")), ["a"], "the label is ['a'], but must be the name or number"),
        (Problem(MULTI, ("a", "b")), ["a", "c"], "line 3: the label 'c' does not occur"),
        (Problem(MULTI, ("a", "b")), ["a", ""], "line 3: the label is empty"),
        (Problem(MULTI, ("a", "b")), "a", "line 3: the labels must be a list, or a string with a "
         "label separator, was 'a'"),
        (Problem(MULTI, ("a", "b")), '["a"', "the labels must be a list"),
        (Problem("regression", ()), "3,5", "x.tsv, line 3: the label must be a number, was '3,5'"),
        (Problem("regression", ()), "", "the label must be a number, was ''"),
        (Problem("regression", ()), "nan", "the label must be a number, was 'nan'"),
        (Problem("regression", ()), float("nan"), "the label must be a number, was nan"),
        (Problem("regression", ()), "1e999", "the label must be a number"),
        (Problem("regression", ()), 10**400, "the label must be a number"),
        (Problem("regression", ()), True, "the label must be a number, was True"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(problem, value, expected):
    with pytest.raises(InputError) as error:
        encode(problem, [value], lambda row: f"x.tsv, line {row + 3}")
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        (
            ["a"],
            {"kind": "ranking"},
            "kind must be one of single_label_classification, multi_label",
        ),
        (["a"], {"label_separator": ""}, "label separator must have at least one character"),
        ([], {}, "there are no labels"),
        (["a", "a"], {}, "all 2 rows have the label 'a': there is nothing to learn"),
        (["0.5", "0.5"], {}, "all 2 labels are 0.5: there is nothing to learn"),
        ([[], []], {}, "no row has a label"),
        (["a", ""], {}, "row 2: the label is empty"),
        (["1.5", "x"], {"kind": "regression"}, "row 2: the label must be a number, was 'x'"),
        (["a", "b"], {"kind": MULTI}, "row 1: the labels must be a list"),
    ],
)
def test_problems_that_cannot_be_learned_are_refused(values, options, expected):
    with pytest.raises(InputError) as error:
        infer_problem(values, **options)
    assert expected in str(error.value)
