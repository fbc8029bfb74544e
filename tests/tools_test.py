"""The scripts: what they run and in which order, with stand-ins for what takes minutes."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tools import gather_python_text as gather

LOG = 'echo "$(basename "$0") $*" >> "$LOG"\n'


PYTEST = "python -m pytest -n 3 --dist loadfile --no-loadscope-reorder"


@pytest.fixture
def checkout(repository, tmp_path):
    """A checkout of the scripts alone."""
    to = tmp_path / "a checkout"
    shutil.copytree(repository / "tools", to / "tools", ignore=shutil.ignore_patterns("__pyc*"))
    shutil.copy(repository / "setup.py", to)
    return to


@pytest.fixture
def stand_ins(tmp_path):
    """Writes programs that note how they were called; the environment variables to use them."""
    bin_ = tmp_path / "an environment" / "bin"
    bin_.mkdir(parents=True)

    def write(name, body="", folder=bin_):
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}")
        (folder / name).chmod(0o755)

    for name in ("ruff", "lint-imports", "electra"):
        write(name, LOG)
    # `python -m` and the tools are noted, everything else is a real interpreter's work.
    note = f'case "$1" in -m|tools/*) {LOG.strip()};; *) exec {sys.executable} "$@";; esac\n'
    write("python", note)
    write("python3", note)
    write.log = tmp_path / "log"
    write.bin = bin_
    return write


def bash(script, checkout, stand_ins, *words, **environment):
    variables = {**os.environ, "LOG": str(stand_ins.log), "VENV": str(stand_ins.bin.parent)}
    variables["PYTHON"] = str(stand_ins.bin / "python3")
    return subprocess.run(
        ["bash", str(checkout / "tools" / script), *words],
        env=variables | environment,
        cwd=checkout.parent,
        capture_output=True,
        text=True,
    )


def calls(stand_ins):
    lines = stand_ins.log.read_text().splitlines() if stand_ins.log.exists() else []
    stand_ins.log.unlink(missing_ok=True)
    return [line.strip() for line in lines]


def test_check_installs_once_and_then_formats_lints_and_tests(checkout, stand_ins):
    pip = "python -m pip install --quiet --disable-pip-version-check"
    install = [f"{pip} pip>=25", f"{pip} --editable {checkout}[test]"]
    steps = ["ruff format --check", "ruff check", "lint-imports --no-logo", PYTEST]
    first = bash("check.sh", checkout, stand_ins)
    assert first.returncode == 0, first.stderr
    assert "about 3 minutes" in first.stdout
    assert calls(stand_ins) == install + steps
    second = bash("check.sh", checkout, stand_ins)
    assert (second.stdout, second.stderr) == ("", "")
    assert calls(stand_ins) == steps
    with open(checkout / "setup.py", "a") as file:
        file.write("# changed\n")
    bash("check.sh", checkout, stand_ins)
    assert calls(stand_ins) == install + steps


def test_check_hands_words_to_pytest_and_all_means_the_slow_tests_too(checkout, stand_ins):
    bash("check.sh", checkout, stand_ins, "tests/data", "-x")
    assert calls(stand_ins)[-1] == f"{PYTEST} tests/data -x"
    bash("check.sh", checkout, stand_ins, "--all", "-x")
    assert calls(stand_ins)[-1] == f"{PYTEST} -m slow or not slow -x"


def test_check_stops_at_the_first_failure(checkout, stand_ins):
    stand_ins("lint-imports", LOG + "exit 3\n")
    assert bash("check.sh", checkout, stand_ins).returncode == 3
    assert calls(stand_ins)[-1] == "lint-imports --no-logo"


def test_an_installation_that_failed_is_tried_again(checkout, stand_ins):
    stand_ins("python", f'[ "$2" != pip ] || exit 1\nexec {sys.executable} "$@"\n')
    done = bash("check.sh", checkout, stand_ins)
    assert done.returncode == 1
    assert "error: the installation failed" in done.stderr
    assert not (stand_ins.bin.parent / "setup.sha256").exists()


def test_a_missing_interpreter_is_named(checkout, stand_ins):
    done = bash("check.sh", checkout, stand_ins, PYTHON="no-such-python")
    assert done.returncode == 1
    assert done.stderr == "error: no program 'no-such-python'; give PYTHON=/path/to/python3\n"


def test_an_interpreter_that_is_too_old_is_refused(checkout, stand_ins):
    stand_ins("old", '[ "$1" = -V ] && echo Python 3.9.0 && exit\nexit 1\n')
    done = bash("check.sh", checkout, stand_ins, PYTHON=str(stand_ins.bin / "old"))
    assert done.returncode == 1
    assert "Python 3.10 or later is needed" in done.stderr
    assert "is Python 3.9.0" in done.stderr


def test_the_environment_is_made_with_the_interpreter_that_was_named(checkout, stand_ins, tmp_path):
    fresh = tmp_path / "fresh"
    body = (
        f'if [ "$1" = -m ]; then {LOG.strip()}; mkdir -p "$3/bin"; cp "$(dirname "$0")"/* "$3/bin"'
    )
    stand_ins("mine", f'{body}; else exec {sys.executable} "$@"; fi\n')
    done = bash(
        "check.sh", checkout, stand_ins, VENV=str(fresh), PYTHON=str(stand_ins.bin / "mine")
    )
    assert done.returncode == 0, done.stderr
    assert calls(stand_ins)[0] == f"mine -m venv {fresh}"


def test_a_relative_environment_lies_where_the_caller_is(checkout, stand_ins, tmp_path):
    done = bash("check.sh", checkout, stand_ins, VENV="an environment")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "an environment" / "setup.sha256").exists()
    assert calls(stand_ins)[-1] == PYTEST


def make_demo_stand_ins(stand_ins):
    """`electra` and the gathering of text leave the files by which a second call knows them."""
    stand_ins(
        "electra",
        LOG
        + 'to=$(grep -o -- "--to [^ ]*" <<<"$*" | cut -d" " -f2) || exit 0\n'
        + 'mkdir -p "$to"; touch "$to/vocab.txt" "$to/index.json"\n',
    )
    gathered = f'{LOG.strip()}; if [ "$1" != -m ]; then mkdir -p demo; touch "$2"; fi'
    other = f'exec {sys.executable} "$@"'
    stand_ins("python", f'case "$1" in -m|tools/*) {gathered};; *) {other};; esac\n')


def test_the_demo_goes_from_text_to_words_and_reuses_what_is_there(checkout, stand_ins):
    make_demo_stand_ins(stand_ins)
    first = bash("demo.sh", checkout, stand_ins)
    assert first.returncode == 0, first.stderr
    once = [
        "python tools/gather_python_text.py demo/text.txt",
        "electra vocab demo/text.txt --to demo/tokenizer --size 2048",
        "electra examples demo/text.txt --tokenizer demo/tokenizer --to demo/data"
        " --length 32 --held-out 10%",
    ]
    always = [
        "electra train demo DATA=demo/data MODEL_DIR=demo/run-0 SEED=0",
        "electra predict demo/run-0 --file demo/data/held_out.txt --word-swaps 250"
        " --html demo/run-0/words.html",
    ]
    assert calls(stand_ins)[2:] == once + always
    assert bash("demo.sh", checkout, stand_ins).returncode == 0
    assert calls(stand_ins) == always
    other = [call.replace("run-0", "run-5").replace("SEED=0", "SEED=5") for call in always]
    bash("demo.sh", checkout, stand_ins, SEED="5")
    assert calls(stand_ins) == other


def test_the_demo_stops_where_a_step_fails(checkout, stand_ins):
    make_demo_stand_ins(stand_ins)
    stand_ins("electra", LOG + "exit 43\n")
    assert bash("demo.sh", checkout, stand_ins).returncode == 43
    assert calls(stand_ins)[-1].startswith("electra vocab")


def test_continuous_integration_runs_the_check(repository):
    run = repository / ".ci" / "run"
    assert os.access(run, os.X_OK)
    assert "tools/check.sh" in run.read_text()


@pytest.mark.parametrize("script", ["venv.sh", "check.sh", "demo.sh"])
def test_a_script_is_valid_bash(repository, script):
    subprocess.run(["bash", "-n", repository / "tools" / script], check=True)


@pytest.mark.parametrize(
    ("docstring", "found"),
    [
        ("Return the name.", ["Return the name."]),
        ("Open the file,\nwhich must exist.", ["Open the file, which must exist."]),
        ("One paragraph.\n\nAnother.", ["One paragraph.", "Another."]),
        ("Use :func:`open`, ``close`` or *neither*.", ["Use open, close or neither."]),
        ("Do one:\n\n- Read it.\n- Write it.", ["Do one:", "Read it.", "Write it."]),
        ("Sorted::\n\n    x = f(y)\n    print(x)", ["Sorted:", "x = f(y) print(x)"]),
        ("A Heading\n=========\nText.", ["A Heading", "Text."]),
        ("f(x) -> y\n\n\n", ["f(x) -> y"]),
        ("", []),
    ],
)
def test_a_paragraph_becomes_a_line_without_markup(docstring, found):
    assert gather.lines(docstring) == found


def test_docstrings_come_in_the_order_of_the_file():
    source = b'"""One."""\nclass A:\n    """Two."""\n    def f(self):\n        """Three."""\n'
    assert gather.docstrings_of_source(source) == ["One.", "Two.", "Three."]


@pytest.mark.parametrize("source", [b"def broken(:", b"\x00", b"x = 1"])
def test_a_file_without_readable_docstrings_gives_none(source):
    assert gather.docstrings_of_source(source) == []


def test_folders_of_tests_and_of_others_packages_are_left_out(tmp_path):
    for folder in (".", "test", "site-packages/x", "kept"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "a.py").write_text(f'"""In {folder}."""')
    assert gather.docstrings_of_files(tmp_path) == [["In .."], ["In kept."]]


def test_no_docstring_comes_twice_and_blank_lines_lie_between_documents(tmp_path):
    documents = [["One line.\n\nAnother."], ["One line.\n\nAnother."], ["A third.", "A third."]]
    written = gather.write(tmp_path / "text.txt", {"some": documents})
    text = "One line.\nAnother.\n\nA third.\n\n"
    assert (tmp_path / "text.txt").read_text() == text
    assert written == {"some": (2, 3, len(text))}


def test_no_longer_line_comes_twice_and_short_ones_do(tmp_path):
    long = "This sentence has as many words as are too many to repeat."
    documents = [[f"First.\n\n{long}"], [f"First.\n\nSecond. {long}"]]
    gather.write(tmp_path / "text.txt", {"some": documents})
    assert (tmp_path / "text.txt").read_text() == f"First.\n{long}\n\nFirst.\n\n"


def test_the_text_of_this_python_is_large_and_the_same_each_time(tmp_path, repository):
    script = repository / "tools" / "gather_python_text.py"
    files = [tmp_path / "deeper" / name for name in ("a.txt", "b.txt")]
    for file, seed in zip(files, "01"):
        subprocess.run(
            [sys.executable, script, file],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        )
    text = files[0].read_text(encoding="utf-8")
    assert text == files[1].read_text(encoding="utf-8")
    assert len(text) > 1_000_000
    assert "\n\n\n" not in text
    assert sorted(path.name for path in pathlib.Path(tmp_path / "deeper").iterdir()) == [
        "a.txt",
        "b.txt",
    ]
