"""Recipes are found by name or path; settings have the type of what they replace."""

import pathlib

import pytest

from official_nlp.configuration import recipes
from official_nlp.errors import InputError
from official_nlp.ranges import shown


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("runs/a", "x", "runs/a"),
        ('"runs/a"', "x", "runs/a"),
        ("7", "x", "7"),
        ("true", "x", "true"),
        ("7", recipes.REQUIRED, "7"),
        ("[1, 2]", recipes.REQUIRED, "[1, 2]"),
        ("7", 0, 7),
        ("-7", 0, -7),
        ("1_000", 0, 1000),
        ("7", 0.5, 7.0),
        ("1e-3", 0.5, 0.001),
        ("true", False, True),
        ("FALSE", True, False),
        ("7", None, 7),
        ("None", None, None),
        ("word", None, "word"),
        ("[1, 2]", (3,), (1, 2)),
        ("(1, 2)", [3], [1, 2]),
    ],
)
def test_a_value_gets_the_type_of_the_value_that_it_replaces(text, default, value):
    read = recipes.setting_value("NAME", text, default)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", ["2024", "1e3", "[1]", "{}", "7", "true"])
def test_a_setting_of_text_without_a_value_takes_any_word_as_text(text):
    assert recipes.setting_value("NAME", text, None, is_text=True) == text


@pytest.mark.parametrize("default", ["x", recipes.REQUIRED, None, 3, 0.5, True, (1,)])
@pytest.mark.parametrize("text", ["", "''", '""', '" "'])
def test_an_empty_setting_is_refused(text, default):
    with pytest.raises(
        InputError, match=r"^NAME must have a value, was empty; (leave out NAME= |give a p)"
    ):
        recipes.setting_value("NAME", text, default)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "-" * 100_000 + "1",
        "9" * 5000,
        "{[]: 1}",
        "__import__('os').getcwd()",
        "@os.system()",
        "%SEED",
        "a\nSEED = 3",
        '"\\d"',
        "lambda: 1",
        "\0",
    ],
    ids=lambda text: text[:12],
)
def test_a_value_that_is_no_literal_is_text(text, recwarn):
    value = recipes.setting_value("NAME", text, "x")
    assert value == (text if text[0] != '"' else "\\d")
    assert not recwarn
    with pytest.raises(InputError, match=r"^NAME must be an integer, such as 3; got "):
        recipes.setting_value("NAME", text, 3)


@pytest.mark.parametrize(
    ("text", "default", "must_be"),
    [
        ("1.5", 0, "an integer"),
        ("true", 0, "an integer"),
        ("x", 0.5, "a number"),
        ("true", 0.5, "a number"),
        ("1" + "0" * 400, 0.5, "a number"),
        ("1", True, "true or false"),
        ("1", (3,), "a tuple"),
    ],
)
def test_a_value_of_another_type_is_refused(text, default, must_be):
    with pytest.raises(InputError) as raised:
        recipes.setting_value("NAME", text, default)
    assert str(raised.value) == f"NAME must be {must_be}, such as {default!r}; got {shown(text)}"


def test_settings_are_split_at_the_first_equals_sign():
    words = ["A=b=c", "SEED=3", "_x="]
    assert recipes.split_settings(words) == {"A": "b=c", "SEED": "3", "_x": ""}


@pytest.mark.parametrize("word", ["word", "=3", "a/b.c=3", "1A=2", "--seed=3", ""])
def test_a_word_that_is_not_a_setting_is_refused(word):
    with pytest.raises(InputError, match="a setting must be NAME=value, such as SEED=3; got"):
        recipes.split_settings(["SEED=3", word])


def test_steps_and_epochs_exclude_each_other():
    with pytest.raises(InputError, match="give STEPS or EPOCHS, not both"):
        recipes.split_settings(["STEPS=3", "EPOCHS=1"])
    with pytest.raises(InputError, match="give STEPS or HOURS, not both"):
        recipes.split_settings(["STEPS=3", "HOURS=1"])


def test_a_short_name_is_a_packaged_recipe():
    assert recipes.find("demo") == recipes.folder() / "experiments" / "demo.gin"


def test_a_path_is_never_taken_for_the_name_of_a_packaged_recipe(tmp_path, monkeypatch):
    (tmp_path / "demo.gin").touch()
    monkeypatch.chdir(tmp_path)
    assert recipes.find("demo.gin") == pathlib.Path("demo.gin")
    assert recipes.find("./demo.gin").resolve() == tmp_path / "demo.gin"
    assert recipes.find("demo").parent == recipes.folder() / "experiments"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smal", r"unknown recipe 'smal' \(did you mean small\?\); give one of base, "),
        ("zzz", f"unknown recipe 'zzz'; give one of {recipes.listed()}"),
        ("no/such", "recipe no/such does not exist; give one of base"),
        ("nothing.gin", "recipe nothing.gin does not exist"),
        (None, "give a recipe: base, "),
    ],
)
def test_a_missing_recipe_is_refused_with_the_names_of_the_packaged_ones(name, message):
    with pytest.raises(InputError, match=message):
        recipes.find(name)


def test_a_run_folder_as_recipe_is_refused_with_the_path_of_its_recipe(tmp_path):
    with pytest.raises(InputError, match=f"the recipe of a run folder is {tmp_path}/config.gin"):
        recipes.find(str(tmp_path))


def test_a_recipe_has_a_summary_of_one_line():
    assert recipes.summary("demo").startswith("a tiny ELECTRA")
    assert all(0 < len(recipes.summary(name)) <= 80 for name in recipes.names())
