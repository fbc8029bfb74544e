"""The command: words to calls, recipes to arguments, errors to one line and an exit code."""

import errno
import subprocess
import sys

import pytest

from official_nlp.cli import arguments, main
from official_nlp.configuration import recipes
from official_nlp.errors import InputError, NotFiniteError, Preempted
from tests.cli import stand_in as runs

BASE = """
from __gin__ import dynamic_registration
from tests import cli_stand_in as runs

MODEL_DIR = %gin.REQUIRED
SEED = 0

runs.train.model_dir = %MODEL_DIR
runs.train.seed = %SEED
runs.evaluate.model_dir = %MODEL_DIR
runs.evaluate.limit = 10
"""
RECIPE = """
from __gin__ import dynamic_registration
from tests import cli_stand_in as runs

include "base.gin"

DATA = %gin.REQUIRED
RATE = 1e-3
EXTEND = False

runs.train.data = %DATA
runs.train.rate = %RATE
runs.train.extend = %EXTEND
runs.train.sizes = @runs.Sizes()
runs.train.phases = (@first/runs.Phase(), @second/runs.Phase())
first/runs.Phase.steps = 10
second/runs.Phase.steps = 20
second/runs.Phase.weight = 50.0
"""
GIVEN = ["MODEL_DIR=runs/a", "DATA=data"]


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch):
    runs.calls.clear()
    monkeypatch.setattr(runs, "failure", None)


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "base.gin").write_text(BASE)
    file = tmp_path / "mine.gin"
    file.write_text(RECIPE)
    return str(file)


def electra(*words):
    return main.main([str(word) for word in words], runs)


def only_call():
    (call,) = runs.calls
    return call


def assert_refused(capsys, code, *parts):
    """One line on stderr that holds every part, exit code 2, and nothing was called."""
    error = capsys.readouterr().err
    assert code == main.USAGE
    assert error.startswith("electra: error: ")
    assert error.count("\n") == 1
    for part in parts:
        assert part in error
    assert not runs.calls


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (
            "vocab a.txt b/ --to t",
            {
                "texts": ["a.txt", "b/"],
                "to": "t",
                "size": 30522,
                "lower_case": True,
                "strip_accents": None,
                "kind": "wordpiece",
            },
        ),
        (
            "vocab --size 100 --cased --strip-accents --to t a.txt",
            {
                "texts": ["a.txt"],
                "to": "t",
                "size": 100,
                "lower_case": False,
                "strip_accents": True,
                "kind": "wordpiece",
            },
        ),
        (
            "vocab a.txt --to t --keep-accents",
            {
                "texts": ["a.txt"],
                "to": "t",
                "size": 30522,
                "lower_case": True,
                "strip_accents": False,
                "kind": "wordpiece",
            },
        ),
        (
            "vocab a.txt --to t --kind sentencepiece",
            {
                "texts": ["a.txt"],
                "to": "t",
                "size": 30522,
                "lower_case": True,
                "strip_accents": None,
                "kind": "sentencepiece",
            },
        ),
        (
            "examples a.txt --tokenizer t --to d",
            {
                "texts": ["a.txt"],
                "tokenizer": "t",
                "to": "d",
                "length": 128,
                "held_out": 0.01,
                "seed": 0,
                "processes": None,
                "segments": 2,
                "original": False,
            },
        ),
        (
            "examples a.txt b.txt --tokenizer t --to d --length 32 --held-out 4% --seed 3"
            " --processes 2 --segments 1 --original",
            {
                "texts": ["a.txt", "b.txt"],
                "tokenizer": "t",
                "to": "d",
                "length": 32,
                "held_out": 0.04,
                "seed": 3,
                "processes": 2,
                "segments": 1,
                "original": True,
            },
        ),
        ("info runs/a", {"path": "runs/a"}),
        (
            "predict runs/a one two",
            {
                "run": "runs/a",
                "texts": ["one", "two"],
                "file": None,
                "swap": None,
                "html": None,
            },
        ),
        (
            "predict runs/a --file held_out.txt --word-swaps 200 --html page.html",
            {
                "run": "runs/a",
                "texts": [],
                "file": "held_out.txt",
                "swap": 200,
                "html": "page.html",
            },
        ),
        (
            "convert old --to new",
            {
                "source": "old",
                "to": "new",
                "kind": None,
                "form": "huggingface",
                "config": None,
                "checkpoint": None,
            },
        ),
        (
            "convert a/model.ckpt-3 --from google --config c.json --as google --to new",
            {
                "source": "a/model.ckpt-3",
                "to": "new",
                "kind": "google",
                "form": "google",
                "config": "c.json",
                "checkpoint": None,
            },
        ),
        (
            "convert runs/a --to new --checkpoint 300",
            {
                "source": "runs/a",
                "to": "new",
                "kind": None,
                "form": "huggingface",
                "config": None,
                "checkpoint": 300,
            },
        ),
    ],
)
def test_a_tool_verb_calls_its_function_with_its_options(words, given):
    assert electra(*words.split()) == main.DONE
    assert only_call() == (words.split()[0], given)


def test_a_recipe_becomes_plain_arguments(recipe):
    assert electra("train", recipe, *GIVEN) == main.DONE
    verb, given = only_call()
    text = given.pop("configuration_text")
    assert verb == "train"
    assert given == {
        "model_dir": "runs/a",
        "data": "data",
        "phases": (runs.Phase(10, 1.0), runs.Phase(20, 50.0)),
        "sizes": runs.Sizes(64),
        "rate": 1e-3,
        "extend": False,
        "seed": 0,
        "dry_run": False,
    }
    assert type(given["sizes"]) is runs.Sizes
    assert "include" not in text


def test_settings_replace_the_recipes_values_without_quotes(recipe):
    words = ["DATA=/my data/v=1", "SEED=3", "RATE=1", "EXTEND=true", "MODEL_DIR=2024"]
    assert electra("train", recipe, *words) == main.DONE
    _, given = only_call()
    assert given["data"] == "/my data/v=1"
    assert given["seed"] == 3
    assert given["rate"] == 1.0
    assert given["extend"] is True
    assert given["model_dir"] == "2024"


def test_settings_and_options_come_in_any_order(recipe):
    assert electra("train", "--dry-run", recipe, *GIVEN) == main.DONE
    assert electra("train", recipe, GIVEN[0], "--dry-run", GIVEN[1]) == main.DONE
    assert [given["dry_run"] for _, given in runs.calls] == [True, True]


def test_a_dry_run_prints_every_value_and_tells_the_function(recipe, capsys):
    assert electra("train", recipe, *GIVEN, "SEED=7", "--dry-run") == main.DONE
    text = capsys.readouterr().out
    for line in ("SEED = 7", "second/runs.Phase.weight = 50.0", "first/runs.Phase.weight = 1.0"):
        assert line in text.replace("cli_stand_in.", "runs.").splitlines()


def test_the_resolved_configuration_repeats_the_run(recipe, tmp_path):
    electra("train", recipe, *GIVEN, "SEED=7", "RATE=0.5")
    _, first = runs.calls[0]
    again = tmp_path / "elsewhere" / "config.gin"
    again.parent.mkdir()
    again.write_text(first["configuration_text"])
    assert electra("train", again) == main.DONE
    assert runs.calls[1] == runs.calls[0]
    assert electra("train", again, "MODEL_DIR=runs/b") == main.DONE
    assert runs.calls[2][1]["model_dir"] == "runs/b"


def test_the_resolved_configuration_holds_defaults_so_that_later_ones_change_nothing(recipe):
    electra("train", recipe, *GIVEN)
    assert "runs.Sizes.width = 64" in only_call()[1]["configuration_text"].replace(
        "cli_stand_in.", "runs."
    )


def test_evaluate_reads_the_same_recipe_and_needs_only_its_own_settings(recipe):
    assert electra("evaluate", recipe, "MODEL_DIR=runs/a") == main.DONE
    verb, given = only_call()
    del given["configuration_text"]
    assert (verb, given) == ("evaluate", {"model_dir": "runs/a", "limit": 10, "dry_run": False})


def test_one_call_leaves_nothing_for_the_next(recipe):
    electra("train", recipe, *GIVEN, "SEED=3")
    electra("train", recipe, *GIVEN)
    assert runs.calls[1][1]["seed"] == 0


def test_an_include_is_found_beside_the_recipe_not_in_the_working_directory(
    recipe, tmp_path, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "base.gin").write_text("nonsense = [")
    monkeypatch.chdir(elsewhere)
    assert electra("train", recipe, *GIVEN) == main.DONE


def test_an_include_is_found_among_the_packaged_files(recipe, tmp_path, monkeypatch):
    packaged = tmp_path / "packaged"
    (packaged / "experiments").mkdir(parents=True)
    (tmp_path / "base.gin").rename(packaged / "base.gin")
    monkeypatch.setattr(recipes, "folder", lambda: packaged)
    assert electra("train", recipe, *GIVEN) == main.DONE


def test_gin_adds_no_noise_of_its_own(recipe, capfd):
    electra("train", recipe, *GIVEN)
    assert capfd.readouterr() == ("", "")


def test_what_is_missing_is_asked_for_by_name(recipe, capsys):
    assert_refused(capsys, electra("train", recipe), "give DATA=... MODEL_DIR=...")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["SEDE=3"], ["unknown setting SEDE (did you mean SEED?)", "DATA, EXTEND, MODEL_DIR"]),
        (["QUUX=3"], ["unknown setting QUUX;"]),
        (["SEED=x"], ["SEED must be a whole number, such as 0; got 'x'"]),
        (["SEED=1.5"], ["SEED must be a whole number", "'1.5'"]),
        (["RATE=fast"], ["RATE must be a number, such as 0.001; got 'fast'"]),
        (["EXTEND=1"], ["EXTEND must be true or false", "'1'"]),
        (["runs/a"], ["'runs/a' must be NAME=value"]),
        (["1A=2"], ["'1A=2' must be NAME=value"]),
        (["--dry"], ["unrecognized arguments: --dry"]),
        (["STEPS=3", "EPOCHS=1"], ["give STEPS or EPOCHS, not both"]),
    ],
)
def test_a_wrong_setting_is_refused(recipe, capsys, words, parts):
    assert_refused(capsys, electra("train", recipe, *GIVEN, *words), *parts)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("runs.Sizes.wdth = 3", "Sizes has no wdth (did you mean width?)"),
        ("runs.train.quux = 3", "mine.gin:LAST: runs.train has no quux"),
        (
            "runs.trian.rate = 3",
            "mine.gin:LAST: nothing is called runs.trian (did you mean train?)",
        ),
        ("run.train.rate = 3", "mine.gin:LAST: 'run' was not provided by an import statement"),
        ("runs.train.sizes = @runs.Szes()", "nothing is called runs.Szes (did you mean Sizes?)"),
        ("runs.train.rate = [1,", "mine.gin: a bracket or a quote is not closed"),
        ("runs.train.rate == 3", "mine.gin:LAST: Couldn't parse statement, expected ':' or '='."),
        ("runs.train.rate = fast", "mine.gin:LAST: fast is no value: text needs quotes here"),
        ("import official_nlp.nothing", "mine.gin:LAST: No module named 'official_nlp.nothing'"),
        ("include 'nothing.gin'", "mine.gin:LAST: no file nothing.gin beside the recipe or in "),
        ("runs.Sizes.width = 0", "mine.gin: Sizes: width must be positive, was 0"),
        ("runs.train.phases = (@x/runs.Phase(),)", "mine.gin: x/Phase: Phase.__init__() missing 1"),
        ("SEDE = 3", "mine.gin sets SEDE, which nothing uses (did you mean SEED?)"),
        ("runs.train.rate = %RAET", "mine.gin uses %RAET, which nothing sets (did you mean RATE?)"),
        ("A = %B\nB = %A\nruns.train.rate = %A", "mine.gin: something in it refers to itself"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_line_that_says_where(recipe, capsys, line, part):
    with open(recipe, "a") as file:
        file.write(line + "\n")
    last = str(len(RECIPE.splitlines()) + 1)
    assert_refused(capsys, electra("train", recipe, *GIVEN), part.replace("LAST", last))


def test_a_mistake_in_an_included_file_names_that_file(recipe, tmp_path, capsys):
    with open(tmp_path / "base.gin", "a") as file:
        file.write("runs.Sizes.wdth = 3\n")
    place = f"{tmp_path / 'base.gin'}:{len(BASE.splitlines()) + 1}: "
    assert_refused(capsys, electra("train", recipe, *GIVEN), place)


def test_a_recipe_that_lacks_an_argument_of_the_verb_is_refused(recipe, tmp_path, capsys):
    base = (tmp_path / "base.gin").read_text()
    (tmp_path / "base.gin").write_text(base.replace("runs.evaluate.limit = 10", ""))
    code = electra("evaluate", recipe, *GIVEN)
    assert_refused(capsys, code, "mine.gin: evaluate: missing a required argument: 'limit'")


def test_a_recipe_that_says_nothing_of_the_verb_is_refused(tmp_path, capsys):
    file = tmp_path / "other.gin"
    file.write_text("from __gin__ import dynamic_registration\n")
    assert_refused(capsys, electra("train", file), "other.gin: train: missing a required")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["trian"], ["unknown verb 'trian' (did you mean train?)", "vocab, examples, train"]),
        (["train"], [f"train needs a recipe: {recipes.listed()}"]),
        (["train", "dmeo"], ["unknown recipe 'dmeo' (did you mean demo?)"]),
        (["train", "nothing.gin"], ["no such recipe: nothing.gin"]),
        (["train", "./"], ["a recipe is a file, ./ is a folder", "config.gin"]),
        (["vocab"], ["--to"]),
        (["vocab", "--to", "t"], ["TEXT"]),
        (["vocab", "a", "--to", "t", "--size", "many"], ["invalid int value: 'many'"]),
        (["examples", "a", "--to", "t"], ["--tokenizer", "`electra examples --help` says more"]),
        (
            ["examples", "a", "--to", "t", "--tokenizer", "v", "--held-out", "120%"],
            ["must be a share such as 1% or 0.01; got '120%'"],
        ),
        (["info"], ["FOLDER"]),
    ],
)
def test_wrong_usage_is_refused(capsys, words, parts):
    assert_refused(capsys, electra(*words), *parts)


@pytest.mark.parametrize(
    ("failure", "code", "line"),
    [
        (InputError("no file matches x\nsecond line"), 2, "electra: error: no file matches x"),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "x"),
            2,
            "electra: error: x: No such file",
        ),
        (PermissionError(errno.EACCES, "Not allowed", "x"), 2, "electra: error: x: Not allowed"),
        (NotFiniteError("mlm", 12), 43, "electra: error: mlm is not finite at step 12"),
        (Preempted("stopped at step 7"), 42, "electra: stopped at step 7; the same command"),
        (OSError(errno.ENOSPC, "No space left", "x"), 1, "electra: fault: No space left: x"),
        (
            KeyboardInterrupt(),
            130,
            "electra: interrupted; the same command continues from the last",
        ),
    ],
)
def test_what_ends_a_run_is_one_line_and_an_exit_code(
    recipe, capsys, monkeypatch, failure, code, line
):
    monkeypatch.setattr(runs, "failure", failure)
    assert electra("train", recipe, *GIVEN) == code
    error = capsys.readouterr().err
    assert error.startswith(line)
    assert error.count("\n") == 1


def test_an_interrupt_of_a_tool_says_that_it_starts_over(capsys, monkeypatch):
    monkeypatch.setattr(runs, "failure", KeyboardInterrupt())
    assert electra("info", "x") == main.INTERRUPTED
    assert "starts over" in capsys.readouterr().err


def test_a_fault_of_the_program_shows_its_traceback(capsys, monkeypatch):
    monkeypatch.setattr(runs, "failure", ZeroDivisionError("a mistake"))
    assert electra("info", "x") == main.FAULT
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "ZeroDivisionError: a mistake" in error


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_help_tells_the_four_commands_in_their_order(capsys, words):
    assert electra(*words) == main.DONE
    text = capsys.readouterr().out
    places = [text.index(f"electra {verb}") for verb in ("vocab", "examples", "train", "predict")]
    assert places == sorted(places)
    assert "demo" in text
    assert "small" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_recipes_are_listed_with_what_each_trains(capsys):
    assert electra("train", "--list") == main.DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == recipes.names()
    assert all(line.endswith(recipes.summary(line.split()[0])) for line in lines)
    assert not runs.calls


@pytest.mark.parametrize("verb", arguments._PARSERS)
def test_every_verb_has_a_help(capsys, verb):
    assert electra(verb, "--help") == main.DONE
    assert f"electra {verb}" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys):
    assert electra("--version") == main.DONE
    assert capsys.readouterr().out == "electra 0.1.0\n"


def test_help_and_wrong_usage_do_not_wait_for_tensorflow(repository):
    code = (
        "import sys; from official_nlp import cli; main.main(['--help']); main.main(['vocab']);"
        "cli.main(['train', 'nothing']); sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_module_is_the_command_and_returns_its_exit_code(repository):
    command = [sys.executable, "-m", "official_nlp"]
    done = subprocess.run([*command, "trian"], cwd=repository, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_reader_that_stops_reading_is_no_fault(repository):
    command = f"set -o pipefail; {sys.executable} -m official_nlp --help | head -1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
