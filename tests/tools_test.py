"""The scripts, with stand-ins for the programs that take minutes."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tools import gather_python_text as gather

LOG = 'echo "$(basename "$0") $*" >> "$LOG"\n'


@pytest.fixture
def checkout(repository, tmp_path):
    """A checkout that contains only the scripts."""
    to = tmp_path / "a checkout"
    shutil.copytree(repository / "tools", to / "tools", ignore=shutil.ignore_patterns("__pyc*"))
    shutil.copy(repository / "setup.py", to)
    return to


@pytest.fixture
def stand_ins(tmp_path):
    """A function that writes programs, which log their arguments by default."""
    bin_ = tmp_path / "an environment" / "bin"
    bin_.mkdir(parents=True)

    def write(name, body=LOG):
        (bin_ / name).write_text(f"#!/usr/bin/env bash\n{body}")
        (bin_ / name).chmod(0o755)

    for name in ("ruff", "lint-imports", "mypy", "electra"):
        write(name)
    # `python -m` and the tools are logged, everything else runs in a real interpreter.
    log = f'case "$1" in -m|tools/*) {LOG.strip()};; *) exec {sys.executable} "$@";; esac\n'
    write("python", log)
    write("python3", log)
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


def test_check_installs_once_and_passes_words_to_pytest(checkout, stand_ins):
    first = bash("check.sh", checkout, stand_ins)
    assert first.returncode == 0, first.stderr
    assert "Installing" in first.stdout
    second = bash("check.sh", checkout, stand_ins, "--all", "-x")
    assert (second.stdout, second.stderr) == ("", "")
    pytest_call = calls(stand_ins)[-1]
    assert "pytest" in pytest_call
    assert pytest_call.endswith("-m slow or not slow -x")


def test_check_stops_at_the_first_failure(checkout, stand_ins):
    stand_ins("lint-imports", LOG + "exit 3\n")
    assert bash("check.sh", checkout, stand_ins).returncode == 3
    assert calls(stand_ins)[-1].startswith("lint-imports")


def test_a_failed_installation_is_repeated(checkout, stand_ins):
    stand_ins("python", f'[ "$2" != pip ] || exit 1\nexec {sys.executable} "$@"\n')
    done = bash("check.sh", checkout, stand_ins)
    assert done.returncode == 1
    assert "error: the installation failed" in done.stderr
    assert not (stand_ins.bin.parent / "setup.sha256").exists()


def test_a_missing_interpreter_is_reported(checkout, stand_ins):
    done = bash("check.sh", checkout, stand_ins, PYTHON="no-such-python")
    assert done.returncode == 1
    assert "no program 'no-such-python'" in done.stderr


def test_an_interpreter_that_is_too_old_is_reported(checkout, stand_ins):
    stand_ins("old", '[ "$1" = -V ] && echo Python 3.9.0 && exit\nexit 1\n')
    done = bash("check.sh", checkout, stand_ins, PYTHON=str(stand_ins.bin / "old"))
    assert done.returncode == 1
    assert "Python 3.10 or later is needed" in done.stderr


def make_demo_stand_ins(stand_ins):
    """Write programs that leave the files by which a second call recognizes finished steps."""
    stand_ins(
        "electra",
        LOG
        + 'to=$(grep -o -- "--to [^ ]*" <<<"$*" | cut -d" " -f2) || exit 0\n'
        + 'mkdir -p "$to"; touch "$to/vocab.txt" "$to/index.json"\n',
    )
    gathered = f'{LOG.strip()}; if [ "$1" != -m ]; then mkdir -p demo; touch "$2"; fi'
    other = f'exec {sys.executable} "$@"'
    stand_ins("python", f'case "$1" in -m|tools/*) {gathered};; *) {other};; esac\n')


def test_the_demo_reuses_finished_steps(checkout, stand_ins):
    make_demo_stand_ins(stand_ins)

    def verbs():
        done = bash("demo.sh", checkout, stand_ins)
        assert done.returncode == 0, done.stderr
        return [call.split()[1] for call in calls(stand_ins) if call.startswith("electra")]

    assert verbs() == ["vocab", "examples", "train", "predict"]
    assert verbs() == ["train", "predict"]


def test_the_demo_stops_at_the_first_failure(checkout, stand_ins):
    make_demo_stand_ins(stand_ins)
    stand_ins("electra", LOG + "exit 43\n")
    assert bash("demo.sh", checkout, stand_ins).returncode == 43
    assert calls(stand_ins)[-1].startswith("electra vocab")


@pytest.mark.parametrize("script", ["venv.sh", "check.sh", "demo.sh"])
def test_a_script_is_valid_bash(repository, script):
    subprocess.run(["bash", "-n", repository / "tools" / script], check=True)


# === Text of the demo ===
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
def test_a_paragraph_is_converted_to_a_line_without_markup(docstring, found):
    assert gather.lines(docstring) == found


def test_docstrings_come_in_the_order_of_the_file():
    source = b'"""One."""\nclass A:\n    """Two."""\n    def f(self):\n        """Three."""\n'
    assert gather.docstrings_of_source(source) == ["One.", "Two.", "Three."]


@pytest.mark.parametrize("source", [b"def broken(:", b"\x00", b"x = 1"])
def test_a_file_without_readable_docstrings_gives_none(source):
    assert gather.docstrings_of_source(source) == []


def test_folders_of_tests_and_installed_packages_are_left_out(tmp_path):
    for folder in (".", "test", "site-packages/x", "included"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "a.py").write_text(f'"""In {folder}."""')
    assert gather.docstrings_of_files(tmp_path) == [["In .."], ["In included."]]


def test_docstrings_are_unique_and_blank_lines_separate_documents(tmp_path):
    documents = [["One line.\n\nAnother."], ["One line.\n\nAnother."], ["A third.", "A third."]]
    written = gather.write(tmp_path / "text.txt", {"some": documents})
    text = "One line.\nAnother.\n\nA third.\n\n"
    assert (tmp_path / "text.txt").read_text() == text
    assert written == {"some": (2, 3, len(text))}


def test_long_lines_are_unique_and_short_ones_may_repeat(tmp_path):
    long = "This sentence has as many words as are too many to repeat."
    documents = [[f"First.\n\n{long}"], [f"First.\n\nSecond. {long}"]]
    gather.write(tmp_path / "text.txt", {"some": documents})
    assert (tmp_path / "text.txt").read_text() == f"First.\n{long}\n\nFirst.\n\n"


@pytest.mark.slow
def test_the_text_of_this_python_is_large_and_reproducible(tmp_path, repository):
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
