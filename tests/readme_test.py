"""Every command and snippet of the README runs, in its order, in a folder outside the checkout."""

import json
import pathlib
import random
import re
import shlex

import pytest

from official_nlp.cli import main
from official_nlp.configuration import recipes

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
COMMANDS = re.findall(r"^    (\S.*)$", PROSE, re.MULTILINE)
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

# A million steps of twelve layers are tried as two steps of one layer, and three epochs as one.
FEW_STEPS = {
    "small": "STEPS=2 WARMUP_STEPS=1 BATCH_SIZE=2",
    "text_classification": "EPOCHS=1 EVALUATIONS=1 LENGTH=16 BATCH_SIZE=8",
}
SMALLER = """
from __gin__ import dynamic_registration

from official_nlp.modeling import networks

include "experiments/small.gin"

networks.ElectraConfig.num_hidden_layers = 1
"""
# Each of these creates an environment of its own; tools_test runs them with stand-ins.
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
    (folder / "smaller.gin").write_text(SMALLER)
    rows = [f"{_sentence(draw)},{draw.choice(['good', 'bad'])}" for _ in range(40)]
    (folder / "reviews.csv").write_text("\n".join(["review,verdict", *rows]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        find = recipes.find
        smaller = {"small": folder / "smaller.gin"}
        patch.setattr(recipes, "find", lambda name: smaller.get(name) or find(name))
        for command in COMMANDS:
            if command.startswith("electra "):
                _run(command)
    return folder


def _run(command):
    words = shlex.split(command)[1:]
    words += FEW_STEPS[words[1]].split() if words[0] == "train" else []
    # One document in ten, so that forty documents suffice for a held-out set.
    words += ["--held-out", "10%"] if words[0] == "examples" else []
    assert main.main(words) == main.DONE, command


def test_the_four_commands_lead_from_text_to_a_run(folder):
    assert [c.split()[1] for c in COMMANDS if c.startswith("electra ")] == [
        "vocab",
        "examples",
        "train",
        "predict",
        *["convert"] * 3,
        "train",
        "train",
        "predict",
    ]
    assert (folder / "runs/small/config.gin").is_file()


def test_the_recipe_of_the_commands_exists():
    assert recipes.find("small").is_file()


def test_a_run_is_converted_to_google_research_and_back(folder):
    for name in ("generator", "discriminator"):
        first, last = (
            (folder / place / name / "model.safetensors").read_bytes()
            for place in ("published", "again")
        )
        assert first == last
        assert (folder / "published" / name / "README.md").is_file()


def test_a_run_starts_from_converted_networks(folder):
    described = json.loads((folder / "runs/more/run.json").read_text())
    sources = described["origin"]["warm_start"]
    assert {name: source["missing"] for name, source in sources.items()} == {
        "generator": [],
        "discriminator": [],
    }


def test_a_published_model_is_fine_tuned(folder):
    assert {"model", "summary.json", "page.html"} <= {
        path.name for path in (folder / "runs/reviews").iterdir()
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
    assert list(names["result"].to_dict()) == ["fillings"]


def test_the_keras_example_takes_fifteen_lines():
    assert len([line for line in SNIPPETS[0].splitlines() if line.strip()]) <= 15


def test_the_readme_is_short_and_its_links_exist(repository):
    assert len(README.splitlines()) <= 250
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (repository / link).exists(), link
