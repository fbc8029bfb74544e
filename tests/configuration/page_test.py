"""Every command of the page of the recipes works in a folder that is not the checkout."""

import dataclasses
import re
import shlex

import pytest

from official_nlp import models, networks
from official_nlp.cli import main
from official_nlp.configuration import gin_resolver, recipes
from official_nlp.data import ElectraTokenizer
from official_nlp.training import RunConfig
from tests import random_words

PAGE = (recipes.folder() / "README.md").read_text()
BLOCKS = [
    [line.strip() for line in block.splitlines()]
    for block in re.findall(r"(?:^    (?:electra|hf) .+\n)+", PAGE, re.MULTILINE)
]
SETTINGS, WARM_START, OWN = BLOCKS
INLINE = re.findall(r"`(electra train [^`]*\.gin[^`]*)`", PAGE)
# Smaller batches than those of the paper, and fewer steps.
FEW_STEPS = ["STEPS=2", "WARMUP_STEPS=1", "BATCH_SIZE=2"]
TOKENS = 1000


def run(command, *more):
    """Run a command of the page in this process."""
    program, *words = shlex.split(command)
    assert program == "electra"
    assert main.main([*words, *more]) == main.DONE


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the recipe of the page."""
    (recipe,) = re.findall(r"^```\n(from __gin__.+?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "my").mkdir()
    (tmp_path / "my/recipe.gin").write_text(recipe)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_has_the_commands_that_are_tested_here():
    assert [len(block) for block in BLOCKS] == [1, 5, 1]
    assert len(INLINE) == 3


def test_every_training_command_resolves(folder):
    values, text = gin_resolver.resolve(
        recipes.find("small"), {"DATA": "data", "MODEL_DIR": "runs/small"}, RunConfig
    )
    (folder / "runs/small").mkdir(parents=True)
    (folder / "runs/small/config.gin").write_text(text)
    for command in [*SETTINGS, *OWN, *WARM_START, *INLINE]:
        if command.startswith("electra train") and command != "electra train my/recipe.gin":
            _, _, name, *settings = shlex.split(command)
            resolved, _ = gin_resolver.resolve(
                recipes.find(name), recipes.split_settings(settings), RunConfig
            )
            assert resolved["data"] == values["data"]


@pytest.mark.slow
def test_a_run_is_continued_and_repeated_by_its_configuration(folder):
    random_words.data_folder(folder, TOKENS, 32, rows=100)
    run(*SETTINGS, *FEW_STEPS)
    for command in INLINE:
        if "runs/small" in command:
            run(command)
    assert (folder / "runs/again/metrics.jsonl").is_file()
    run(*OWN, *FEW_STEPS)
    assert (folder / "runs/mine/curves.png").is_file()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_is_initialized_from_pretrained_weights(folder):
    random_words.data_folder(folder / "words", TOKENS, 32, rows=100)
    (folder / "texts").mkdir()
    (folder / "words/text.txt").rename(folder / "texts/words.txt")
    tokenizer = ElectraTokenizer.from_pretrained(folder / "words/tokenizer")
    # These stand in for the two downloads, with the sizes of the released model.
    preset = networks.ElectraConfig.preset("small_plus_plus")
    sizes = dataclasses.replace(preset, vocab_size=TOKENS)
    for name, model in (
        ("discriminator", models.ElectraForPreTraining(sizes)),
        ("generator", models.ElectraForMaskedLM(sizes.generator())),
    ):
        assert f"hf download google/electra-small-{name} --local-dir {name}" in WARM_START
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    examples, train, convert = (line for line in WARM_START if line.startswith("electra"))
    run(examples, "--processes", "1")
    # Networks that were trained together have equal embeddings; these have not.
    run(train, *FEW_STEPS, "INIT_SHARED=discriminator")
    run(convert)
    assert (folder / "published/generator/model.safetensors").is_file()
