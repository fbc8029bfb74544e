"""Tests of finding the columns of texts and labels."""

import pathlib

import pytest

from official_nlp.data.tables.columns import infer_columns, texts
from official_nlp.data.tables.table import Table
from official_nlp.errors import InputError

SENTENCES = ("the first of the sentences", "a second one", "and one more to read", "the last one")


def make(**columns) -> Table:
    """Make a table of columns; the name of a column may be given as `c0` for "0"."""
    columns = {name.removeprefix("c"): values for name, values in columns.items()}
    rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
    lines = list(range(2, len(rows) + 2))
    return Table(pathlib.Path("a.tsv"), tuple(columns), rows, lines, ())


def header(names: str) -> Table:
    """Make a table with columns of these names, whose content says nothing."""
    columns = tuple(names.split(","))
    return Table(pathlib.Path("a.tsv"), columns, [dict.fromkeys(columns, "x")] * 4, [2] * 4, ())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("sentence,label", ("sentence", None, "label")),  # SST-2
        ("index,sentence1,sentence2,label", ("sentence1", "sentence2", "label")),  # RTE, WNLI
        ("index,genre,source1,sentence1,sentence2,score", ("sentence1", "sentence2", "score")),
        ("Quality,#1 ID,#2 ID,#1 String,#2 String", ("#1 String", "#2 String", "Quality")),
        ("id,qid1,qid2,question1,question2,is_duplicate",
         ("question1", "question2", "is_duplicate")),
        ("index,question,sentence,label", ("question", "sentence", "label")),  # QNLI
        ("index,sentence1,sentence2,label1,gold_label", ("sentence1", "sentence2", "gold_label")),
        ("premise,hypothesis,label,idx", ("premise", "hypothesis", "label")),
        ("Review,Stars", ("Review", None, "Stars")),
        ("text,label,label_text", ("text", None, "label")),
        ("title,abstract,category", ("abstract", None, "category")),
        ("title,class", ("title", None, "class")),
        ("Sentence A,Sentence-B,label,score", ("Sentence A", "Sentence-B", "label")),
    ],
)  # fmt: skip
def test_well_known_names_are_found(names, expected):
    found = infer_columns(header(names))
    assert (found.text, found.text_pair, found.label) == expected


def test_what_was_inferred_is_noted():
    assert infer_columns(header("id,premise,hypothesis,label")).notes == (
        "a.tsv: columns of texts 'premise', second texts 'hypothesis', labels 'label'; "
        "not used: 'id'",
    )
    assert infer_columns(header("text,label"), text="text", label="label").notes == ()


def test_columns_that_are_given_are_used():
    table = header("sentence1,sentence2,label,other")
    found = infer_columns(table, text="other", label="label")
    assert (found.text, found.text_pair, found.label) == ("other", None, "label")
    found = infer_columns(table, text_pair="sentence2")
    assert (found.text, found.text_pair, found.label) == ("sentence1", "sentence2", "label")
    found = infer_columns(table, text="sentence1", label="other")
    assert (found.text, found.text_pair, found.label) == ("sentence1", None, "other")


# === By content ===
@pytest.mark.parametrize(
    "labels",
    [
        ("1", "0", "1", "0"),
        ("good", "bad", "bad", "good"),
        (1, 0, 1, 1),
        (True, False, True, True),
        ("0.5", "1.0", "2.25", "3"),
        (["x"], [], ["x", "y"], ["y"]),
        ("very good", "very bad", "very good", "very bad"),
    ],
)
def test_labels_are_found_by_content(labels):
    found = infer_columns(make(c0=("a1", "a2", "a3", "a4"), c1=labels, c2=SENTENCES))
    assert (found.text, found.text_pair, found.label) == ("2", None, "1")


def test_text_of_a_script_without_spaces_is_found():
    sentences = ("这部电影很好看", "服务太差了", "我很喜欢这本书", "不推荐这家餐厅")
    found = infer_columns(make(c0=sentences, c1=("1", "0", "1", "0"), id=("a", "b", "c", "d")))
    assert (found.text, found.label) == ("0", "1")


def test_the_only_column_of_words_is_the_text():
    found = infer_columns(make(c0=("17", "3", "12", "5"), c1=("cat", "dog", "pie", "tea")),
                          needs_label=False)  # fmt: skip
    assert (found.text, found.label) == ("1", None)


def test_the_longest_texts_are_the_text():
    titles = ("New York", "San Juan", "Los Angeles", "Las Vegas")
    texts = [f"{sentence}, {sentence}" for sentence in SENTENCES]
    found = infer_columns(make(c0=titles, c1=texts, label=("1", "0", "1", "0")))
    assert found.text == "1"


def test_columns_without_labels_are_enough_for_prediction():
    found = infer_columns(make(c0=SENTENCES, c1=("1", "0", "1", "0")), needs_label=False)
    assert (found.text, found.label) == ("0", None)
    found = infer_columns(header("text,label"), needs_label=False)
    assert (found.text, found.label) == ("text", "label")
    found = infer_columns(header("text,other"), label="label", needs_label=False)
    assert (found.text, found.label) == ("text", None)
    assert found.notes[0] == "a.tsv: no labels, because there is no column 'label'"


# === Errors ===
@pytest.mark.parametrize(
    ("table", "options", "expected"),
    [
        (header("text,label"), {"text": "texte"},
         "a.tsv has no column 'texte', which TEXT= names; its columns are 'text', 'label' (did "
         "you mean 'text'?)"),
        (header("Text,label"), {"text": "text", "text_pair": "zzz"}, "did you mean 'Text'?"),
        (header("text,label"), {"label": "zzz"},
         "which LABEL= names; its columns are 'text', 'label'"),
        (header("text,label"), {"text": "text", "text_pair": "text"},
         "TEXT= and TEXT_PAIR= both name the column 'text'"),
        (header("text,sentence,label"), {},
         "a.tsv: each of 'text', 'sentence' could hold the texts; its columns are 'text', "
         "'sentence', 'label': give TEXT=, and TEXT_PAIR= if an example has two texts"),
        (header("text,label,target"), {},
         "each of 'label', 'target' could hold the labels; its columns are 'text', 'label', "
         "'target': give LABEL="),
        (make(c0=SENTENCES, c1=SENTENCES[::-1], label=("1", "0", "1", "0")), {},
         "each of '0', '1' could hold the texts"),
        (make(c0=("a b", "c d", "e f", "g h"), c1=("i j", "k l", "m n", "o p"), c2=(1, 2, 1, 2)),
         {}, "each of '0', '1' could hold the texts"),
        (make(c0=("1", "2", "3", "4"), label=("1", "0", "1", "0")), {},
         "no column looks like texts"),
        (make(c0=SENTENCES, c1=("1", "0", "1", "0"), c2=("x", "y", "x", "y")), {},
         "each of '1', '2' could hold the labels"),
        (make(c0=SENTENCES, c1=("1", "", "1", "0"), c2=("1", "2", "3", "4")), {},
         "no column looks like labels"),
        (make(c0=SENTENCES, c1=("1", "1", "1", "1")), {"text_pair": "0"},
         "no column looks like labels"),
        (make(c0=SENTENCES, c1=("1", "2", "3", "4"), label=("1", "0", "1", "0")),
         {"text_pair": "0"}, "no column looks like texts; its columns are '0', '1', 'label': give "
         "TEXT="),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_found_are_refused(table, options, expected):
    with pytest.raises(InputError) as error:
        infer_columns(table, **options)
    assert expected in str(error.value)


# === Texts ===
def test_texts_are_strings():
    assert texts(make(text=("a", 1, 2.5, "")), "text") == ["a", "1", "2.5", ""]


@pytest.mark.parametrize("value", [None, True, ["a"]])
def test_values_that_are_no_texts_are_refused(value):
    with pytest.raises(InputError) as error:
        texts(make(text=("a", value)), "text")
    assert str(error.value).startswith("a.tsv, line 3: the text in column 'text' must be a string")
