"""The command: words become options of a verb, errors become one line and an exit code."""

import errno
import inspect
import os
import signal
import subprocess
import sys

import pytest

from official_nlp import data
from official_nlp.cli import commands, main
from official_nlp.configuration import recipes
from official_nlp.errors import InputError, NotFiniteError, Preempted, StorageError

VOCAB = {
    "texts": ["a.txt"],
    "to": "t",
    "size": 30522,
    "kind": "wordpiece",
    "lower_case": True,
    "strip_accents": None,
}
EXAMPLES = {
    "texts": ["a.txt"],
    "tokenizer": "t",
    "to": "d",
    "length": 128,
    "held_out": 0.01,
    "seed": 0,
    "processes": None,
    "segments": 2,
    "original": False,
}
CONVERT = {
    "source": "old",
    "to": "new",
    "kind": None,
    "form": "huggingface",
    "config": None,
    "checkpoint": None,
}
EXPORT = {
    "model": "runs/a",
    "to": "served",
    "format": "saved_model",
    "dev": None,
    "triton": False,
    "long_texts": None,
    "length": None,
    "checkpoint": None,
}
EVALUATE = {
    "model": "runs/a",
    "data": None,
    "checkpoint": None,
    "to": None,
    "overwrite": False,
}
PREDICT = {
    "embeddings": None,
    "labels": None,
    "template": None,
    "model": "runs/a",
    "texts": [],
    "pair": None,
    "file": None,
    "text": None,
    "text_pair": None,
    "to": None,
    "word_swaps": None,
    "html": None,
    "overwrite": False,
}
TRAIN = {"recipe": "small", "settings": [], "dry_run": False, "trust": False}
SWEEP = {
    "run": "runs/a",
    "recipe": "sst2",
    "settings": [],
    "to": "s",
    "scratch": False,
    "dry_run": False,
}


def electra(*words):
    return main.main([str(word) for word in words])


@pytest.fixture
def received(monkeypatch):
    """The options that each verb was run with; no verb does anything."""
    calls = []
    for verb in commands.VERBS:
        monkeypatch.setattr(commands.load(verb), "run", lambda args: calls.append(vars(args)))
    return calls


def assert_refused(capsys, code, *parts):
    """Assert one line on stderr that has every part, and exit code 2."""
    error = capsys.readouterr().err
    assert code == main.USAGE
    assert error.startswith("electra: error: ")
    assert error.count("\n") == 1
    for part in parts:
        assert part in error


# === Options ===


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("vocab a.txt --to t", VOCAB),
        ("vocab a.txt b/ --to t", {**VOCAB, "texts": ["a.txt", "b/"]}),
        ("vocab a.txt --to t --size 100 --cased", {**VOCAB, "size": 100, "lower_case": False}),
        ("vocab --strip-accents --to t a.txt", {**VOCAB, "strip_accents": True}),
        ("vocab a.txt --to t --keep-accents", {**VOCAB, "strip_accents": False}),
        ("vocab a.txt --to t --kind sentencepiece", {**VOCAB, "kind": "sentencepiece"}),
        ("examples a.txt --tokenizer t --to d", EXAMPLES),
        (
            "examples a.txt --tokenizer t --to d --length 32 --held-out 4% --seed 3 --processes 2"
            " --segments 1 --original",
            {
                **EXAMPLES,
                "length": 32,
                "held_out": 0.04,
                "seed": 3,
                "processes": 2,
                "segments": 1,
                "original": True,
            },
        ),
        ("train small", TRAIN),
        ("train small A=1 B=2", {**TRAIN, "settings": ["A=1", "B=2"]}),
        ("train --dry-run small A=1", {**TRAIN, "settings": ["A=1"], "dry_run": True}),
        ("train --trust small", {**TRAIN, "trust": True}),
        ("train small A=1 --dry-run B=", {**TRAIN, "settings": ["A=1", "B="], "dry_run": True}),
        ("sweep runs/a sst2 --to s", SWEEP),
        (
            "sweep runs/a sst2 DATA=SST-2 SEEDS=3 --to s --scratch --dry-run",
            {**SWEEP, "settings": ["DATA=SST-2", "SEEDS=3"], "scratch": True, "dry_run": True},
        ),
        ("evaluate runs/a", EVALUATE),
        (
            "evaluate runs/a data --checkpoint 300",
            {**EVALUATE, "data": "data", "checkpoint": 300},
        ),
        ("predict runs/a", PREDICT),
        (
            "predict runs/a one two --file f.txt --word-swaps 5 --html page.html",
            {
                **PREDICT,
                "texts": ["one", "two"],
                "file": "f.txt",
                "word_swaps": 5,
                "html": "page.html",
            },
        ),
        ("info runs/a", {"path": "runs/a"}),
        ("convert old --to new", CONVERT),
        (
            "convert old --from google --config c.json --as google --to new",
            {**CONVERT, "kind": "google", "form": "google", "config": "c.json"},
        ),
        ("convert old --to new --checkpoint 300", {**CONVERT, "checkpoint": 300}),
        ("convert old --to new --checkpoint best", {**CONVERT, "checkpoint": "best"}),
        ("export runs/a --to served", EXPORT),
        (
            "export runs/a --to served --length 128 --checkpoint best --format saved_model",
            {**EXPORT, "length": 128, "checkpoint": "best"},
        ),
        (
            "export runs/a --to served --format onnx-int8 --dev dev.tsv --triton",
            {**EXPORT, "format": "onnx-int8", "dev": "dev.tsv", "triton": True},
        ),
    ],
)
def test_a_verb_is_run_with_its_options(received, words, options):
    assert electra(*words.split()) == main.DONE
    assert received == [options]


@pytest.mark.parametrize(
    ("options", "function"), [(VOCAB, data.train_vocabulary), (EXAMPLES, data.build_examples)]
)
def test_the_defaults_of_options_are_those_of_the_library(options, function):
    parameters = inspect.signature(function).parameters
    for name in set(options) - {"texts", "tokenizer", "to"}:
        assert parameters[name].default == options[name], name


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["trian"], ["unknown verb 'trian' (did you mean train?)", "vocab, examples, train"]),
        (["vocab"], ["--to"]),
        (["vocab", "--to", "t"], ["TEXT"]),
        (
            ["vocab", "a", "--to", "t", "--size", "many"],
            ["--size: must be an integer from 1 to 10,000,000; got 'many'"],
        ),
        (["vocab", "a", "--to", "t", "--size", "1" * 200], ["got '11", "1..."]),
        (["vocab", "a", "--to", ""], ["argument --to: must be a local path", "got ''"]),
        (["vocab", "", "--to", "t"], ["argument TEXT: must be a local path", "got ''"]),
        (
            ["vocab", "a", "--to", "gs://b/t"],
            ["argument --to: must be a local path (mount or copy"],
        ),
        (["vocab", "http://a/b.txt", "--to", "t"], ["argument TEXT: must be a local path"]),
        (["info", "s3://b/run"], ["argument PATH: must be a local path", "got 's3://b/run'"]),
        (["evaluate", "a", "hdfs://b/data"], ["argument DATA: must be a local path"]),
        (["predict", "gs://b/run", "text"], ["argument MODEL: must be a local path"]),
        (["convert", "a", "--to", "gs://b/x"], ["argument --to: must be a local path"]),
        (
            ["examples", "a", "--to", "t", "--tokenizer", "v", "--seed", "-1"],
            ["--seed: must be an integer from 0 to 4,294,967,295; got '-1'"],
        ),
        (
            ["examples", "a", "--to", "t", "--tokenizer", "v", "--length", "1e9"],
            ["--length: must be an integer from 1 to 1,000,000; got '1e9'"],
        ),
        (
            ["evaluate", "a", "--checkpoint", "last"],
            ["must be newest, best or the number of a step"],
        ),
        (["evaluate", "a", "--checkpoint", "\u00b2"], ["must be newest, best or the number"]),
        (["evaluate", "a", "--checkpoint", "9" * 30], ["must be newest, best or the number"]),
        (
            ["evaluate", "runs/a.gin", "DATA=d", "MODEL_DIR=m"],
            ["MODEL: must be a run folder or a model, such as runs/a; got the recipe runs/a.gin"],
        ),
        (["evaluate", "demo"], ["got the recipe demo"]),
        (["predict", "demo", "text"], ["got the recipe demo"]),
        (["evaluate", "runs/a", "DATA=d"], ["DATA: must be a path alone", "got 'DATA=d'"]),
        (
            ["predict", "a", "--word-swaps", "0"],
            ["--word-swaps: must be an integer from 1 to 1,000,000; got '0'"],
        ),
        (["info", " "], ["argument PATH: must be a local path", "got ' '"]),
        (["examples", "a", "--to", "t"], ["--tokenizer", "see `electra examples --help`"]),
        (
            ["examples", "a", "--to", "t", "--tokenizer", "v", "--held-out", "120%"],
            ["must be a fraction such as 1% or 0.01; got '120%'"],
        ),
        (["train", "small", "--dry"], ["unrecognized arguments: --dry"]),
        (["evaluate"], ["MODEL"]),
        (["info"], ["PATH"]),
        (["convert", "a", "--to", "b", "--from", "bert"], ["invalid choice: 'bert'"]),
        (["convert", "a", "--to", "b", "--as", "bert"], ["invalid choice: 'bert'"]),
        (["export", "a", "--to", "b", "--format", "torch"], ["invalid choice: 'torch'"]),
        (["export", "a"], ["the following arguments are required: --to"]),
    ],
)
def test_wrong_usage_is_refused(capsys, received, words, parts, tmp_path, monkeypatch):
    # The checkout has a folder `demo` where the demo has run, which is a path like any other.
    monkeypatch.chdir(tmp_path)
    assert_refused(capsys, electra(*words), *parts)
    assert not received


# === Errors ===


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("no file is a\nb\x1b[2J"), 2, "error: no file is a\\nb\\x1b[2J\n"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), 2, "error: x: No such file"),
        (PermissionError(errno.EACCES, "Not allowed", "x"), 2, "error: x: Not allowed"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "x"), 2, "error: x: Is a directory"),
        (NotADirectoryError(errno.ENOTDIR, "Not one", "x"), 2, "error: x: Not one"),
        (OSError(errno.ELOOP, "Too many links", b"x\xff"), 2, "error: x\\udcff: Too many links"),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "x " * 300),
            2,
            f"error: {'x ' * 58}x...: File name too long; a path was expected here, is this a text",
        ),
        (ValueError("embedded null byte"), 2, "error: a path with a null byte names no file"),
        (NotFiniteError("mlm", 12), 43, "error: mlm is not finite at step 12"),
        (Preempted("stopped at step 7"), 42, "stopped at step 7; the same command continues"),
        (StorageError("cannot write x"), 1, "storage error: cannot write x"),
        (OSError(errno.ENOSPC, "No space left", "x"), 1, "storage error: x: No space left"),
        (KeyboardInterrupt(), 130, "interrupted; nothing incomplete was written"),
    ],
)
def test_an_expected_error_is_one_line_and_an_exit_code(capsys, monkeypatch, error, code, line):
    monkeypatch.setattr(commands.load("info"), "run", raising(error))
    assert electra("info", "x") == code
    printed = capsys.readouterr().err
    assert printed.startswith(f"electra: {line}")
    assert printed.count("\n") == 1


@pytest.mark.parametrize("words", ["train small", "sweep runs/a sst2 --to s"])
def test_an_interrupted_training_can_be_continued(capsys, monkeypatch, words):
    verb, *rest = words.split()
    monkeypatch.setattr(commands.load(verb), "run", raising(KeyboardInterrupt()))
    assert electra(verb, *rest) == main.INTERRUPTED
    assert "the same command continues from the last checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ZeroDivisionError("a mistake"), OSError(errno.EIO, "broken")])
def test_an_unexpected_error_is_reported_as_a_bug_with_its_traceback(capsys, monkeypatch, error):
    monkeypatch.setattr(commands.load("info"), "run", raising(error))
    assert electra("info", "x") == main.FAILED
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert f"{type(error).__name__}: {error}" in printed
    assert printed.endswith(
        "electra: internal error: this is a bug in electra; please report the traceback\n"
    )


def test_control_characters_of_a_traceback_are_escaped(capsys, monkeypatch):
    monkeypatch.setattr(commands.load("info"), "run", raising(KeyError("\x1b[2J", "x")))
    assert electra("info", "x") == main.FAILED
    assert "\x1b" not in capsys.readouterr().err


def test_sigterm_ends_a_verb_with_a_line_and_an_exit_code(capsys, monkeypatch):
    def run(args):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal was not handled")

    monkeypatch.setattr(commands.load("info"), "run", run)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert electra("info", "x") == main.TERMINATED == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == (
        "electra: terminated; nothing incomplete was written, so the same command starts again\n"
    )


def test_further_signals_do_not_change_the_answer_to_the_first(repository):
    code = (
        "import os, signal, sys\n"
        "from official_nlp.cli import commands, main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def burst(*_): [os.kill(os.getpid(), n) for n in (signal.SIGTERM, signal.SIGINT) * 3]\n"
        "def run(args):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    finally:\n"
        "        main._fail = lambda message, code: burst() or code\n"
        "commands.load('info').run = run\n"
        "code = main.main()\n"
        "burst()\n"
        "sys.exit(code)\n"
    )
    words = [sys.executable, "-c", code, "info", "x"]
    done = subprocess.run(words, cwd=repository, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (main.TERMINATED, "")


@pytest.mark.parametrize("module", ["official_nlp.cli", "rich.console", "official_nlp.output"])
def test_ctrl_c_during_the_imports_ends_quietly(repository, module):
    code = (
        "import os, runpy, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "runpy.run_module('official_nlp', run_name='__main__', alter_sys=True)\n"
    )
    words = [sys.executable, "-c", code, "info", "x"]
    done = subprocess.run(words, cwd=repository, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (main.INTERRUPTED, "", "")


def test_an_ignored_sigterm_stays_ignored(monkeypatch):
    monkeypatch.setattr(
        commands.load("info"), "run", lambda args: os.kill(os.getpid(), signal.SIGTERM)
    )
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert electra("info", "x") == main.DONE
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("words", "goes_on"),
    [("train small", True), ("sweep runs/a sst2 --to s", True), ("info small", False)],
)
def test_training_goes_on_when_nobody_reads_and_other_verbs_end(
    monkeypatch, capsys, words, goes_on
):
    verb, *rest = words.split()
    reading, writing = os.pipe()
    os.close(reading)
    reached = []

    def run(args):
        for line in ("one", "two"):
            reached.append(line)
            print(line, flush=True)

    monkeypatch.setattr(commands.load(verb), "run", run)
    with open(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert electra(verb, *rest) == main.DONE
    assert reached == (["one", "two"] if goes_on else ["one"])
    lost = "electra: standard output is lost (Broken pipe); going on\n"
    assert capsys.readouterr().err == (lost if goes_on else "")


def raising(error):
    def run(args):
        raise error

    return run


# === Help ===


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_overview_has_the_verbs_in_their_order_and_the_recipes(capsys, words):
    assert electra(*words) == main.DONE
    text = capsys.readouterr().out
    four = [text.index(f"electra {verb}") for verb in ("vocab", "examples", "train", "predict")]
    lines = [text.index(f"\n  {verb:<10}{commands.summary(verb)}") for verb in commands.VERBS]
    assert [*four, *lines] == sorted([*four, *lines])
    assert all(recipes.summary(name) in text for name in recipes.names())
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("verb", commands.VERBS)
def test_every_verb_has_help(capsys, verb):
    assert electra(verb, "--help") == main.DONE
    text = capsys.readouterr().out
    assert f"usage: electra {verb}" in text
    assert commands.summary(verb) in text
    assert all(action.help for action in main._parser(verb, commands.load(verb))._actions)


def test_the_recipes_are_listed_with_their_summaries(capsys, received):
    assert electra("train", "--list") == main.DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == recipes.names()
    assert all(line.endswith(recipes.summary(line.split()[0])) for line in lines)
    assert not received


def test_the_version_is_that_of_the_package(capsys):
    assert electra("--version") == main.DONE
    assert capsys.readouterr().out == "electra 0.1.0\n"


# === Processes ===


def test_help_and_usage_errors_do_not_import_tensorflow(repository):
    code = (
        "import sys; from official_nlp.cli import commands, main\n"
        "for verb in commands.VERBS: main.main([verb, '--help'])\n"
        "for words in ['--help'], ['vocab'], ['train'], ['train', 'no'], ['train', 'small', 'A']:\n"
        "    main.main(words)\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_package_is_the_command_and_a_closed_pipe_is_no_error(repository):
    python = f"{sys.executable} -m official_nlp"
    command = f"{python} trian; echo $?; set -o pipefail; {python} --help | head -1; echo $?"
    done = subprocess.run(
        ["bash", "-c", command], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout == "2\nusage: electra VERB ...\n0\n"
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("electra: error: unknown verb 'trian'")


def test_a_verb_ends_quietly_without_a_reader_and_with_closed_streams(repository):
    python = f"{sys.executable} -m official_nlp"
    command = f"set -o pipefail; {python} --help | true; echo $?; {python} --version >&-; echo $?"
    done = subprocess.run(
        ["bash", "-c", command], cwd=repository, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("0\n0\n", "")


def test_an_ascii_terminal_shows_any_error(repository):
    done = subprocess.run(
        [sys.executable, "-m", "official_nlp", "train", b"Gr\xc3\xb6\xc3\x9fe\xff/\x1b.gin"],
        cwd=repository,
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"},
        capture_output=True,
    )
    assert done.returncode == main.USAGE
    assert done.stderr.startswith(b"electra: error: recipe Gr\\xf6\\xdfe\\udcff/\\x1b.gin does not")
