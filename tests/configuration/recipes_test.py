"""Recipes as files and words."""

import pathlib

import pytest

from official_nlp.configuration import recipes
from official_nlp.errors import InputError


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("runs/a", "x", "runs/a"),
        ('"runs/a"', "x", "runs/a"),
        ("7", "x", "7"),
        ("true", "x", "true"),
        ("7", recipes.REQUIRED, "7"),
        ("[1, 2]", recipes.REQUIRED, "[1, 2]"),
        ("", "x", ""),
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
def test_a_value_is_read_by_the_kind_that_the_recipe_has(text, default, value):
    read = recipes.setting_value("NAME", text, default)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "default", "must_be"),
    [
        ("1.5", 0, "a whole number"),
        ("true", 0, "a whole number"),
        ("x", 0.5, "a number"),
        ("true", 0.5, "a number"),
        ("1", True, "true or false"),
        ("1", (3,), "a tuple"),
    ],
)
def test_a_value_of_another_kind_is_refused(text, default, must_be):
    with pytest.raises(InputError) as raised:
        recipes.setting_value("NAME", text, default)
    assert str(raised.value) == f"NAME must be {must_be}, such as {default!r}; got {text!r}"


@pytest.mark.parametrize("word", ["A=b=c", "SEED=3", "_x="])
def test_a_setting_is_split_at_the_first_equals_sign(word):
    assert recipes.split_setting(word) == tuple(word.split("=", 1))


@pytest.mark.parametrize("word", ["word", "=3", "a/b.c=3", "--seed=3", ""])
def test_a_word_that_is_no_setting_is_refused(word):
    with pytest.raises(InputError, match="must be NAME=value"):
        recipes.split_setting(word)


def test_a_short_name_is_a_packaged_recipe():
    assert recipes.find("demo") == recipes.folder() / "experiments" / "demo.gin"


def test_a_path_is_a_recipe_of_ones_own_even_where_a_packaged_one_has_its_name(
    tmp_path, monkeypatch
):
    (tmp_path / "demo.gin").touch()
    monkeypatch.chdir(tmp_path)
    assert recipes.find("demo.gin") == pathlib.Path("demo.gin")
    assert recipes.find("./demo.gin").resolve() == tmp_path / "demo.gin"
    assert recipes.find("demo").parent == recipes.folder() / "experiments"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smal", r"unknown recipe 'smal' \(did you mean small\?\); a recipe is base, "),
        ("zzz", f"unknown recipe 'zzz'; a recipe is {recipes.listed()}"),
        ("no/such", "no such recipe: no/such; a recipe is base"),
        ("nothing.gin", "no such recipe: nothing.gin"),
    ],
)
def test_a_recipe_that_is_not_there_is_refused_with_those_that_are(name, message):
    with pytest.raises(InputError, match=message):
        recipes.find(name)


def test_a_run_folder_as_a_recipe_is_pointed_to_its_file(tmp_path):
    with pytest.raises(InputError, match=f"the recipe of a run folder is {tmp_path}/config.gin"):
        recipes.find(str(tmp_path))


def test_a_recipe_says_in_a_line_what_it_is():
    assert recipes.summary("demo").startswith("a tiny ELECTRA")
    assert all(0 < len(recipes.summary(name)) <= 80 for name in recipes.names())
