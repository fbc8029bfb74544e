"""Every command and snippet of the README runs, in its order, in one folder."""

import json
import os
import pathlib
import random
import re
import shlex
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROSE = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
COMMANDS = re.findall(r"^    (\S.*)$", PROSE, re.MULTILINE)
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

# What the README promises of a million steps is tried with two.
FEW_STEPS = "STEPS=2 WARMUP_STEPS=1 BATCH_SIZE=2"
# Each of these makes an environment of its own; tools_test runs them with stand-ins.
SCRIPTS = ["bash tools/demo.sh", "bash tools/check.sh"]

SUBJECTS = ["the boat", "an old man", "the red bird", "a child", "the river"]
VERBS = ["moves slowly past", "sees", "waits for", "follows", "does not know"]


def _sentence(draw):
    return f"{draw.choice(SUBJECTS)} {draw.choice(VERBS)} {draw.choice(SUBJECTS)} ."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with texts, in which all commands have run."""
    folder = tmp_path_factory.mktemp("readme")
    draw = random.Random(0)
    documents = ["\n".join(_sentence(draw) for _ in range(20)) for _ in range(40)]
    (folder / "texts").mkdir()
    (folder / "texts" / "some.txt").write_text("\n\n".join(documents))
    for command in COMMANDS:
        if command.startswith("electra "):
            _run(command, folder)
    return folder


def _run(command, folder):
    words = shlex.split(command)[1:]
    words += FEW_STEPS.split() if words[0] == "train" else []
    # One document in ten, so that forty documents give some to evaluate.
    words += ["--held-out", "10%"] if words[0] == "examples" else []
    program = [sys.executable, "-m", "official_nlp", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(program, cwd=folder, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"


@pytest.mark.timeout(900)
def test_the_four_commands_lead_from_text_to_a_run(folder):
    assert [c.split()[1] for c in COMMANDS if c.startswith("electra ")] == [
        "vocab",
        "examples",
        "train",
        "predict",
        *["convert"] * 3,
        "train",
    ]
    assert (folder / "runs/small/config.gin").is_file()


def test_a_run_goes_to_other_programs_and_comes_back(folder):
    for name in ("generator", "discriminator"):
        first, last = (
            (folder / place / name / "model.safetensors").read_bytes()
            for place in ("published", "again")
        )
        assert first == last
        assert (folder / "published" / name / "README.md").is_file()


def test_a_run_goes_on_from_what_was_given_back(folder):
    described = json.loads((folder / "runs/more/run.json").read_text())
    first = described["beginning"]["initial"]
    assert {name: x["missing"] for name, x in first.items()} == {
        "generator": [],
        "discriminator": [],
    }


def test_the_other_commands_are_the_scripts():
    others = [c.partition("#")[0].strip() for c in COMMANDS if not c.startswith("electra ")]
    assert others == SCRIPTS


def test_the_snippets_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    for snippet in SNIPPETS:
        exec(snippet, names)
    assert names["features"].shape == (1, 6, 256)
    assert list(names["outputs"]) == ["lm_outputs", "sentence_outputs", "disc_logits", "disc_label"]
    assert names["ids"].shape[0] == 2
    assert names["scores"].shape[0] == 1


def test_the_keras_api_takes_fifteen_lines():
    assert len([line for line in SNIPPETS[0].splitlines() if line.strip()]) <= 15


def test_the_readme_is_short_and_its_links_lead_somewhere(repository):
    assert len(README.splitlines()) <= 250
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (repository / link).exists(), link
