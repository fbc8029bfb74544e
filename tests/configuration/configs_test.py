"""The packaged recipes: each says how to use it, resolves, and has the sizes it claims."""

import dataclasses
import re

import pytest

from official_nlp.configuration import gin_resolver, recipes
from official_nlp.errors import InputError

GIVEN = {"DATA": "data", "MODEL_DIR": "runs/a"}
RECIPES = recipes.names()
IN_TWO_LENGTHS = [name for name in RECIPES if name.endswith("_128_512")]
PAPER = ["small", "small_plus_plus", "base", "large"]


def given(name):
    return GIVEN | ({"SHORT_DATA": "short"} if name in IN_TWO_LENGTHS else {})


@pytest.fixture
def resolved():
    """The keyword arguments that a recipe gives to a function of `runs`."""
    from official_nlp.cli.commands import train

    def resolve(name, **settings):
        text = given(name) | {key: str(value) for key, value in settings.items()}
        return gin_resolver.resolve(recipes.find(name), text, train.train)[0]

    return resolve


def test_there_are_recipes():
    assert set(RECIPES) >= {"demo", "laptop", "base_one_gpu", *PAPER}
    assert set(RECIPES) >= {f"{name}_tpu" for name in PAPER}


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
    binds = re.search(r"^[\w/]+\.[\w.]+ = ", text, re.MULTILINE)
    assert bool(binds) == ("from __gin__ import dynamic_registration" in text)
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_resolves(resolved, name):
    assert resolved(name)["model_dir"] == "runs/a"


@pytest.mark.parametrize("name", RECIPES)
def test_the_seed_reaches_the_training(resolved, name):
    assert resolved(name, SEED=7)["training"].seed == 7


@pytest.mark.parametrize("name", ["demo", "small"])
def test_what_it_begins_with_and_shares_are_settings(resolved, name):
    values = resolved(name)
    assert values["init_generator"] is values["init_discriminator"] is values["init_shared"] is None
    assert values["task"].vocab_size is None
    settings = {"INIT_GENERATOR": "a/b", "INIT_DISCRIMINATOR": "c", "INIT_SHARED": "generator"}
    values = resolved(name, **settings, SHARING="untied", VOCAB_SIZE=30528)
    given = (values["init_generator"], values["init_discriminator"], values["init_shared"])
    assert given == ("a/b", "c", "generator")
    assert (values["task"].sharing, values["task"].vocab_size) == ("untied", 30528)


@pytest.mark.parametrize("name", ["demo", "small"])
def test_words_and_ngrams_of_them_are_settings(resolved, name):
    assert resolved(name)["task"].masking.by_tokens
    masking = resolved(name, WHOLE_WORD="true", MAX_NGRAM=3)["task"].masking
    assert (masking.whole_word, masking.max_ngram) == (True, 3)


@pytest.mark.parametrize(
    ("name", "steps", "batch", "length", "share", "rate"),
    [
        ("small", 1_000_000, 128, 128, 0.15, 5e-4),
        ("small_plus_plus", 4_000_000, 128, 512, 0.15, 5e-4),
        ("base", 766_000, 256, 512, 0.15, 2e-4),
        ("large", 400_000, 2048, 512, 0.25, 2e-4),
    ],
)
def test_a_recipe_of_the_papers_has_its_values(resolved, name, steps, batch, length, share, rate):
    from official_nlp.modeling.networks import ElectraConfig

    values = resolved(name)
    preset = ElectraConfig.preset(name)
    assert values["task"].discriminator == preset
    assert values["task"].generator == preset.generator()
    assert values["task"].sharing == "shared"
    assert (values["task"].masking.probability, values["task"].masking.replaced) == (share, 0.85)
    (phase,) = values["phases"]
    assert (phase.steps, phase.batch_size, phase.length) == (steps, batch, length)
    assert (phase.generator_weight, phase.discriminator_weight) == (1.0, 50.0)
    training = values["training"]
    assert (training.learning_rate, training.warmup_steps) == (rate, 10_000)
    assert (training.beta_1, training.beta_2, training.epsilon) == (0.9, 0.999, 1e-6)
    assert (training.weight_decay, training.clip, training.decay_power) == (0.01, 1.0, 1.0)


@pytest.mark.parametrize("name", IN_TWO_LENGTHS)
def test_a_recipe_in_two_lengths_is_the_papers_in_two_phases(resolved, name):
    values, whole = resolved(name), resolved(name.removesuffix("_128_512"))
    short, long = values.pop("phases")
    (only,) = whole.pop("phases")
    assert del_epochs(whole) == values
    assert (short.length, short.data, long.length, long.data) == (128, "short", 512, None)
    assert short.steps + long.steps == only.steps
    assert long.steps == pytest.approx(only.steps / 10, rel=0.01)
    assert dataclasses.replace(long, steps=only.steps) == only
    assert dataclasses.replace(short, steps=only.steps, length=512, data=None) == only


def del_epochs(values):
    return {name: value for name, value in values.items() if name != "epochs"}


@pytest.mark.parametrize("name", PAPER)
def test_a_tpu_is_three_lines_more(resolved, name):
    values, plain = resolved(f"{name}_tpu"), resolved(name)
    lines = recipes.find(f"{name}_tpu").read_text().splitlines()
    assert len([line for line in lines if line and not line.startswith("#")]) == 3
    training = values.pop("training")
    assert (training.strategy, training.policy) == ("tpu", "mixed_bfloat16")
    assert plain.pop("training") == dataclasses.replace(
        training, strategy="one_device", policy="float32"
    )
    assert values == plain


def test_one_gpu_takes_the_batch_of_base_in_parts(resolved):
    values, plain = resolved("base_one_gpu"), resolved("base")
    assert values["phases"] == plain["phases"]
    assert values["phases"][0].batch_size % values["training"].accumulation == 0
    assert values["training"].policy == "mixed_bfloat16"
    assert values["training"].recompute


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ({"STRATEGY": "mirrored"}, {"strategy": "mirrored"}),
        ({"POLICY": "mixed_float16"}, {"policy": "mixed_float16"}),
        ({"ACCUMULATION": 4}, {"accumulation": 4}),
        ({"JIT_COMPILE": "true"}, {"jit_compile": True}),
        ({"KEEP": 7}, {"keep": 7}),
        ({"KEEP_EVERY": 20_000}, {"keep_every": 20_000}),
        ({"KEEP_BEST": "rtd_auc"}, {"keep_best": "rtd_auc"}),
        ({"CORRUPT_RECORDS": "skip"}, {"corrupt_records": "skip"}),
    ],
)
def test_what_is_common_to_all_recipes_is_a_setting(resolved, setting, field):
    plain = resolved("small")["training"]
    assert resolved("small", **setting)["training"] == dataclasses.replace(plain, **field)


def test_a_run_may_be_extended_by_a_setting(resolved):
    assert resolved("small")["extend"] is False
    assert resolved("small", EXTEND="true")["extend"] is True


def test_epochs_are_a_setting_where_there_is_one_phase(resolved):
    assert resolved("small", EPOCHS=3)["epochs"] == 3
    assert resolved("small", EPOCHS=0.5)["epochs"] == 0.5
    with pytest.raises(InputError, match="unknown setting EPOCHS"):
        resolved("demo", EPOCHS=3)


def test_demo_trains_one_encoder_first_as_generator_and_then_as_both(resolved):
    values = resolved("demo")
    first, second = values["phases"]
    assert values["task"].sharing == "whole"
    assert values["task"].generator == values["task"].discriminator
    assert (first.discriminator_weight, second.discriminator_weight) == (0.0, 20.0)


def test_a_recipe_can_ask_for_the_originals_numerics(resolved, tmp_path):
    from official_nlp import ReferenceQuirks

    file = tmp_path / "original.gin"
    file.write_text(
        "from __gin__ import dynamic_registration\n"
        "from official_nlp import reference_quirks\n"
        "from official_nlp import training\n"
        "include 'experiments/small.gin'\n"
        "training.TrainingConfig.reference_quirks = @reference_quirks.ReferenceQuirks.original()\n"
    )
    assert resolved(str(file))["training"].reference_quirks == ReferenceQuirks.original()


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_recipe_resolves_to_repeats_it(name, tmp_path):
    from official_nlp.cli.commands import train

    values, text = gin_resolver.resolve(recipes.find(name), given(name), train.train)
    file = tmp_path / "config.gin"
    file.write_text(text)
    assert gin_resolver.resolve(file, {}, train.train) == (values, text)


def test_a_recipe_of_ones_own_can_build_on_a_packaged_one(resolved, tmp_path):
    (example,) = re.findall(
        r"^```\n(from __gin__.+?)^```", (recipes.folder() / "README.md").read_text(), re.M | re.S
    )
    file = tmp_path / "mine.gin"
    file.write_text(example)
    values = resolved(str(file))
    assert values["phases"][0].steps == 200_000
    assert values["training"].keep == 10
    assert values["training"].checkpoint_interval == 5000
