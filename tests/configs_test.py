"""The packaged recipes: each says how to use it, resolves, and has the sizes it claims."""

import re

import pytest

from official_nlp import cli, recipes

GIVEN = {"DATA": "data", "MODEL_DIR": "runs/a"}
RECIPES = recipes.names()


@pytest.fixture
def resolved():
    """The keyword arguments that a recipe gives to a function of `runs`."""
    from official_nlp import runs

    def resolve(name, verb="train", **settings):
        text = GIVEN | {key: str(value) for key, value in settings.items()}
        values, _ = cli.resolve(recipes.find(name), text, getattr(runs, verb))
        return values

    return resolve


def test_there_are_recipes():
    assert set(RECIPES) >= {"demo", "small"}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_opens_with_command_hardware_time_and_expected_values(name):
    lines = recipes.find(name).read_text().splitlines()
    header = "\n".join(line for line in lines[: lines.index("")] if line.startswith("#"))
    labels = re.findall(r"^# (\w+): +\S", header, re.MULTILINE)
    assert labels[:4] == ["Command", "Hardware", "Time", "Expected"]
    assert f"electra train {name} DATA=" in header


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_listed_on_the_page_of_the_folder(name):
    page = (recipes.folder() / "README.md").read_text()
    assert f"[`{name}`](experiments/{name}.gin)" in page


@pytest.mark.parametrize("file", sorted(recipes.folder().rglob("*.gin")), ids=lambda f: f.stem)
def test_a_file_imports_what_it_binds_and_has_no_long_line(file):
    text = file.read_text()
    assert "from __gin__ import dynamic_registration" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_a_recipe_resolves_for_both_verbs(resolved, name, verb):
    assert resolved(name, verb)["model_dir"] == "runs/a"


@pytest.mark.parametrize("name", RECIPES)
def test_the_seed_reaches_the_training(resolved, name):
    assert resolved(name, SEED=7)["training"].seed == 7


def test_small_is_the_papers_small(resolved):
    from official_nlp.modeling.networks import ElectraConfig

    values = resolved("small")
    small = ElectraConfig.preset("small")
    assert values["task"].discriminator == small
    assert values["task"].generator == small.generator()
    assert values["task"].sharing == "shared"
    assert (values["task"].masking.probability, values["task"].masking.replaced) == (0.15, 0.85)
    (phase,) = values["phases"]
    assert (phase.steps, phase.batch_size, phase.length) == (1_000_000, 128, 128)
    assert (phase.generator_weight, phase.discriminator_weight) == (1.0, 50.0)
    training = values["training"]
    assert (training.learning_rate, training.warmup_steps) == (5e-4, 10_000)
    assert (training.beta_1, training.beta_2, training.epsilon) == (0.9, 0.999, 1e-6)
    assert (training.weight_decay, training.clip) == (0.01, 1.0)


def test_demo_trains_one_encoder_first_as_generator_and_then_as_both(resolved):
    values = resolved("demo")
    first, second = values["phases"]
    assert values["task"].sharing == "whole"
    assert values["task"].generator == values["task"].discriminator
    assert (first.discriminator_weight, second.discriminator_weight) == (0.0, 20.0)


def test_a_recipe_can_ask_for_the_originals_numerics(resolved, tmp_path):
    from official_nlp import Numerics

    file = tmp_path / "original.gin"
    file.write_text(
        "from __gin__ import dynamic_registration\n"
        "from official_nlp import numerics\n"
        "from official_nlp import training\n"
        "include 'experiments/small.gin'\n"
        "training.TrainingConfig.numerics = @numerics.Numerics.original()\n"
    )
    assert resolved(str(file))["training"].numerics == Numerics.original()


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_recipe_resolves_to_repeats_it(name, tmp_path):
    from official_nlp import runs

    values, text = cli.resolve(recipes.find(name), GIVEN, runs.train)
    file = tmp_path / "config.gin"
    file.write_text(text)
    assert cli.resolve(file, {}, runs.train) == (values, text)


def test_a_recipe_of_ones_own_can_build_on_a_packaged_one(resolved, tmp_path):
    (example,) = re.findall(
        r"^```\n(from __gin__.+?)^```", (recipes.folder() / "README.md").read_text(), re.M | re.S
    )
    file = tmp_path / "mine.gin"
    file.write_text(example)
    values = resolved(str(file))
    assert values["phases"][0].steps == 200_000
    assert values["training"].keep == 10
