"""A recipe resolves to plain arguments from any folder, and its mistakes are named in one line."""

import pytest

from official_nlp.configuration import gin_resolver, recipes
from official_nlp.errors import InputError
from tests.configuration.stand_in import Phase, Run, Sizes

BASE = """
from __gin__ import dynamic_registration
from tests.configuration import stand_in as toy

MODEL_DIR = %gin.REQUIRED
SEED = 0

toy.Run.model_dir = %MODEL_DIR
toy.Run.seed = %SEED
"""
RECIPE = """
from __gin__ import dynamic_registration
from tests.configuration import stand_in as toy

include "base.gin"

DATA = %gin.REQUIRED
RATE = 1e-3
EXTEND = False
INIT = None
STEPS = 5

toy.Run.data = %DATA
toy.Run.rate = %RATE
toy.Run.extend = %EXTEND
toy.Run.init = {"encoder": %INIT}
toy.Run.sizes = @toy.Sizes()
toy.Run.phases = (@first/toy.Phase(), @second/toy.Phase())
toy.Phase.steps = %STEPS
first/toy.Phase.steps = 10
second/toy.Phase.steps = 20
second/toy.Phase.weights = {"a": 50.0}
"""
REQUIRED = {"MODEL_DIR": "runs/a", "DATA": "data"}
PACKAGED = """
from __gin__ import dynamic_registration
from tests.configuration import stand_in as toy

include "models/tiny.gin"

toy.Run.data = "data"
toy.Run.model_dir = "run"
"""
WIDTH = """
from __gin__ import dynamic_registration
from tests.configuration import stand_in as toy

toy.Run.sizes = @toy.Sizes()
toy.Sizes.width = {}
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "base.gin").write_text(BASE)
    file = tmp_path / "mine.gin"
    file.write_text(RECIPE)
    return file


def resolve(recipe, **settings):
    return gin_resolver.resolve(recipe, {**REQUIRED, **settings}, Run)


def refused(recipe, settings):
    with pytest.raises(InputError) as raised:
        gin_resolver.resolve(recipe, settings, Run)
    message = str(raised.value)
    assert "\n" not in message
    return message


# === Values ===


def test_a_recipe_resolves_to_plain_arguments(recipe):
    values, text = resolve(recipe)
    assert values == {
        "model_dir": "runs/a",
        "data": "data",
        "phases": (Phase(10), Phase(20, {"a": 50.0})),
        "sizes": Sizes(64),
        "rate": 1e-3,
        "extend": False,
        "seed": 0,
        "init": {"encoder": None},
    }
    assert type(values["sizes"]) is Sizes
    assert 'include "' not in text


def test_a_function_can_be_bound_as_well_as_a_class(tmp_path):
    file = tmp_path / "function.gin"
    file.write_text(
        "from __gin__ import dynamic_registration\n"
        "from tests.configuration import gin_resolver_test as here\n"
        "here.measure.path = 'x'\n"
    )
    assert gin_resolver.resolve(file, {}, measure)[0] == {"path": "x"}


def measure(path, limit=3):
    """Stand in for a run function."""


def test_settings_replace_values_of_the_recipe_without_quotes(recipe):
    settings = {"DATA": "/my data/v=1", "SEED": "3", "RATE": "1", "EXTEND": "true"}
    values, _ = resolve(recipe, **settings, MODEL_DIR="2024", INIT="a/b")
    assert (values["data"], values["seed"], values["rate"]) == ("/my data/v=1", 3, 1.0)
    assert (values["extend"], values["model_dir"]) == (True, "2024")
    assert values["init"] == {"encoder": "a/b"}


def test_the_text_holds_settings_and_defaults(recipe):
    _, text = resolve(recipe, SEED="7")
    lines = text.replace("stand_in.", "toy.").splitlines()
    assert "SEED = 7" in lines
    assert "first/toy.Phase.steps = 10" in lines
    assert "toy.Sizes.width = 64" in lines


def test_the_text_is_a_recipe_that_repeats_the_run(recipe, tmp_path):
    first = resolve(recipe, SEED="7", RATE="0.5")
    again = tmp_path / "elsewhere" / "config.gin"
    again.parent.mkdir()
    again.write_text(first[1])
    assert gin_resolver.resolve(again, {}, Run) == first
    moved, _ = gin_resolver.resolve(again, {"MODEL_DIR": "runs/b"}, Run)
    assert moved == {**first[0], "model_dir": "runs/b"}


def test_one_call_leaves_nothing_for_the_next(recipe):
    resolve(recipe, SEED="3")
    assert resolve(recipe)[0]["seed"] == 0


def test_gin_prints_and_logs_nothing(recipe, capfd):
    resolve(recipe)
    assert capfd.readouterr() == ("", "")


# === Where files are looked for ===


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A folder in place of the packaged recipes."""
    folder = tmp_path / "packaged"
    for name in ("experiments", "models"):
        (folder / name).mkdir(parents=True)
    (folder / "experiments/tiny.gin").write_text(PACKAGED)
    (folder / "models/tiny.gin").write_text(WIDTH.format(7))
    monkeypatch.setattr(recipes, "folder", lambda: folder)
    return folder


@pytest.mark.parametrize(
    "path", ["mine.gin", "./mine.gin", "../{name}/mine.gin", "{name}/mine.gin"]
)
def test_a_recipe_is_found_by_a_relative_path(recipe, monkeypatch, path):
    folder = recipe.parent
    monkeypatch.chdir(folder.parent if path.startswith("{") else folder)
    assert resolve(path.format(name=folder.name))[0]["seed"] == 0


def test_an_include_is_not_looked_for_in_the_working_directory(recipe, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "base.gin").write_text("nonsense = [")
    monkeypatch.chdir(elsewhere)
    assert resolve(recipe)[0]["seed"] == 0


def test_an_include_is_found_beside_the_file_that_has_it(tmp_path, packaged):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/a.gin").write_text('include "b.gin"\n')
    (tmp_path / "parts/b.gin").write_text('include "experiments/tiny.gin"\n')
    (tmp_path / "mine.gin").write_text('include "parts/a.gin"\n')
    values, _ = gin_resolver.resolve(tmp_path / "mine.gin", {}, Run)
    assert values["sizes"] == Sizes(7)


def test_a_packaged_recipe_includes_packaged_files_whatever_is_beside_the_users(tmp_path, packaged):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/tiny.gin").write_text(WIDTH.format(8))
    (tmp_path / "mine.gin").write_text('include "experiments/tiny.gin"\n')
    assert gin_resolver.resolve(tmp_path / "mine.gin", {}, Run)[0]["sizes"] == Sizes(7)
    (tmp_path / "mine.gin").write_text(PACKAGED)
    assert gin_resolver.resolve(tmp_path / "mine.gin", {}, Run)[0]["sizes"] == Sizes(8)


# === Mistakes ===


def test_required_settings_are_asked_for_by_name(recipe):
    assert refused(recipe, {}) == "give DATA=... MODEL_DIR=..."


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("SEDE", "3", "unknown setting SEDE (did you mean SEED?); mine.gin has DATA, EXTEND, INIT"),
        ("QUUX", "3", "unknown setting QUUX; "),
        # Both phases have steps of their own, so this setting would change nothing.
        ("STEPS", "3", "unknown setting STEPS; "),
        ("SEED", "x", "SEED must be an integer, such as 0; got 'x'"),
        ("SEED", "1.5", "SEED must be an integer, such as 0; got '1.5'"),
        ("RATE", "fast", "RATE must be a number, such as 0.001; got 'fast'"),
        ("EXTEND", "1", "EXTEND must be true or false, such as False; got '1'"),
    ],
)
def test_a_wrong_setting_is_refused(recipe, name, text, message):
    assert refused(recipe, {**REQUIRED, name: text}).startswith(message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("toy.Sizes.wdth = 3", "Sizes has no wdth (did you mean width?)"),
        ("toy.Run.quux = 3", "mine.gin:LAST: toy.Run has no quux"),
        ("toy.Rnu.rate = 3", "mine.gin:LAST: unknown name toy.Rnu (did you mean Run?)"),
        ("toys.Run.rate = 3", "mine.gin:LAST: 'toys' was not provided by an import statement"),
        ("toy.Run.sizes = @toy.Szes()", "unknown name toy.Szes (did you mean Sizes?)"),
        ("toy.Run.rate = [1,", "mine.gin: a bracket or a quote is not closed"),
        ("toy.Run.rate == 3", "mine.gin:LAST: Couldn't parse statement, expected ':' or '='."),
        ("toy.Run.rate = fast", "mine.gin:LAST: fast is not a value: text needs quotes here"),
        ("import official_nlp.nothing", "mine.gin:LAST: No module named 'official_nlp.nothing'"),
        ("include 'nothing.gin'", "mine.gin:LAST: no file nothing.gin beside this file or in "),
        ("toy.Sizes.width = 0", "mine.gin: Sizes: width must be positive, was 0"),
        ("toy.Run.phases = (@x/Phases(),)", "mine.gin:"),
        ("SEDE = 3", "mine.gin sets SEDE, which nothing uses (did you mean SEED?)"),
        ("toy.Run.rate = %RAET", "mine.gin uses %RAET, which nothing sets (did you mean RATE?)"),
        ("A = %B\nB = %A\ntoy.Run.rate = %A", "mine.gin: something in it refers to itself"),
    ],
)
def test_a_mistake_is_one_line_with_its_location(recipe, line, message):
    with open(recipe, "a") as file:
        file.write(line + "\n")
    last = str(len(RECIPE.splitlines()) + 1)
    assert message.replace("LAST", last) in refused(recipe, REQUIRED)


def test_a_missing_argument_of_a_constructor_is_a_mistake_of_the_recipe(recipe):
    text = RECIPE.replace("\ntoy.Phase.steps = %STEPS", "").replace("STEPS = 5\n", "")
    recipe.write_text(text + "toy.Run.phases = (@x/toy.Phase(),)\n")
    assert "mine.gin: x/Phase: Phase.__init__() missing 1" in refused(recipe, REQUIRED)


def test_a_mistake_is_located_by_the_path_that_was_typed(recipe, monkeypatch):
    with open(recipe, "a") as file:
        file.write("toy.Sizes.wdth = 3\n")
    monkeypatch.chdir(recipe.parent)
    assert refused("./mine.gin", REQUIRED).startswith("./mine.gin:")


def test_a_mistake_in_an_included_file_names_that_file(recipe, tmp_path):
    with open(tmp_path / "base.gin", "a") as file:
        file.write("toy.Sizes.wdth = 3\n")
    location = f"{tmp_path / 'base.gin'}:{len(BASE.splitlines()) + 1}: "
    assert refused(recipe, REQUIRED).startswith(location)


def test_a_recipe_that_leaves_out_required_arguments_is_refused(recipe, tmp_path):
    recipe.write_text(
        RECIPE.replace("toy.Run.data = %DATA", "").replace("DATA = %gin.REQUIRED", "")
    )
    assert "mine.gin does not set Run.data; include" in refused(recipe, {"MODEL_DIR": "a"})
    file = tmp_path / "other.gin"
    file.write_text("from __gin__ import dynamic_registration\n")
    assert "other.gin does not set Run.model_dir, Run.data; " in refused(file, {})
