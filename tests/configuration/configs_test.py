"""The packaged recipes: each documents itself, resolves, and has the values that it claims."""

import dataclasses
import re
from contextlib import nullcontext as nothing

import pytest

from official_nlp import ReferenceQuirks
from official_nlp.configuration import gin_resolver, recipes
from official_nlp.errors import InputError
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.training import RunConfig

RECIPES = recipes.names()
TWO_LENGTHS = [name for name in RECIPES if name.endswith("_128_512")]
# Recipes that need pretrained weights.
FINETUNING = [n for n in RECIPES if " INIT=published " in recipes.find(n).read_text()]
PAPER = ["small", "small_plus_plus", "base", "large"]
PAGE = (recipes.folder() / "README.md").read_text()


def required(name):
    """The required settings of a recipe."""
    short = {"SHORT_DATA": "short"} if name in TWO_LENGTHS else {}
    init = {"INIT": "published"} if name in FINETUNING else {}
    return {"DATA": "data", "MODEL_DIR": "runs/a", **short, **init}


def resolve(name, **settings) -> RunConfig:
    """The configuration that a recipe with some settings resolves to."""
    text = {key: str(value) for key, value in settings.items()}
    values, _ = gin_resolver.resolve(recipes.find(name), {**required(name), **text}, RunConfig)
    return RunConfig(**values)


# === Text ===


def test_the_expected_recipes_are_packaged():
    assert {*PAPER, "demo", "laptop", "base_one_gpu"} <= set(RECIPES)
    assert {f"{name}_tpu" for name in PAPER} <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_opens_with_command_hardware_time_and_expected_results(name):
    lines = recipes.find(name).read_text().splitlines()
    header = "\n".join(line for line in lines[: lines.index("")] if line.startswith("#"))
    labels = re.findall(r"^# (\w+): +\S", header, re.MULTILINE)
    assert labels == ["Command", "Hardware", "Time", "Expected"]
    init = "INIT=published " if name in FINETUNING else ""
    assert f"electra train {name} {init}DATA=" in header
    assert f"[`{name}`](experiments/{name}.gin)" in PAGE


@pytest.mark.parametrize("file", sorted(recipes.folder().rglob("*.gin")), ids=lambda f: f.stem)
def test_a_file_imports_what_it_binds_and_has_no_long_line(file):
    text = file.read_text()
    binds = re.search(r"^[\w/]+\.[\w.]+ = ", text, re.MULTILINE)
    assert bool(binds) == ("from __gin__ import dynamic_registration" in text)
    for module in re.findall(r"^from [\w.]+ import (\w+)$", text, re.MULTILINE):
        assert module == "dynamic_registration" or re.search(rf"\b{module}\.\w", text)
    assert max(map(len, text.splitlines())) <= 100


# === Settings ===


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_resolves_and_its_resolved_text_repeats_it(name, tmp_path):
    values, text = gin_resolver.resolve(
        recipes.find(name), {**required(name), "SEED": "7"}, RunConfig
    )
    assert (values["model_dir"], values["data"]) == ("runs/a", "data")
    assert values["training"].seed == 7
    file = tmp_path / "config.gin"
    file.write_text(text)
    assert gin_resolver.resolve(file, {}, RunConfig) == (values, text)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"STRATEGY": "mirrored"}, {"strategy": "mirrored"}),
        ({"POLICY": "mixed_float16"}, {"policy": "mixed_float16"}),
        ({"ACCUMULATION": 4}, {"accumulation": 4}),
        ({"RECOMPUTE": "true"}, {"recompute": True}),
        ({"JIT_COMPILE": "true"}, {"jit_compile": True}),
        ({"KEEP": 7}, {"keep": 7}),
        ({"KEEP_EVERY": 20_000}, {"keep_every": 20_000}),
        ({"KEEP_BEST": "rtd_auc"}, {"keep_best": "rtd_auc"}),
        ({"CORRUPT_RECORDS": "skip"}, {"corrupt_records": "skip"}),
        ({"LEARNING_RATE": "1e-3"}, {"learning_rate": 1e-3}),
        ({"WARMUP_STEPS": 5}, {"warmup_steps": 5}),
    ],
)
def test_settings_of_the_training_are_those_of_its_configuration(settings, field):
    changed = dataclasses.replace(resolve("small").training, **field)
    assert resolve("small", **settings).training == changed


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"EXTEND": "true"}, {"extend": True}),
        ({"ORIGINAL": "true"}, {"original": True}),
        ({"EPOCHS": 3}, {"epochs": 3}),
        ({"EPOCHS": 0.5}, {"epochs": 0.5}),
        ({"HOURS": 2}, {"hours": 2}),
        ({"INIT_GENERATOR": "a/b"}, {"init": {"generator": "a/b", "discriminator": None}}),
        ({"INIT_DISCRIMINATOR": "c"}, {"init": {"generator": None, "discriminator": "c"}}),
        ({"INIT_SHARED": "generator"}, {"init_shared": "generator"}),
    ],
)
def test_settings_of_the_run_are_those_of_its_configuration(settings, field):
    plain = resolve("demo")
    assert (plain.extend, plain.original, plain.epochs, plain.init_shared) == (
        False,
        False,
        None,
        None,
    )
    assert plain.init == {"generator": None, "discriminator": None}
    assert resolve("demo", **settings) == dataclasses.replace(plain, **field)


@pytest.mark.parametrize("name", ["demo", "small"])
def test_settings_of_the_task_are_those_of_its_configuration(name):
    task = resolve(name).task
    assert (task.vocab_size, task.vocabulary, task.masking.by_tokens) == (None, None, True)
    settings = {"SHARING": "untied", "VOCAB_SIZE": 30528, "VOCABULARY": "vocab.txt"}
    masking = dataclasses.replace(task.masking, whole_word=True, max_ngram=3)
    assert resolve(name, **settings, WHOLE_WORD="true", MAX_NGRAM=3).task == dataclasses.replace(
        task, sharing="untied", vocab_size=30528, vocabulary="vocab.txt", masking=masking
    )


@pytest.mark.parametrize("name", ["KEEP_BEST", "VOCABULARY", "INIT_GENERATOR", "INIT_SHARED"])
def test_a_setting_of_text_may_be_a_word_of_digits(name):
    with pytest.raises(InputError, match="was '2024'") if name == "KEEP_BEST" else nothing():
        assert "2024" in repr(resolve("small", **{name: 2024}))


def test_a_setting_without_effect_is_refused():
    with pytest.raises(InputError, match="unknown setting STEPS"):
        resolve("demo", STEPS=3)


# === Values ===


@pytest.mark.parametrize(
    ("name", "steps", "batch", "length", "fraction", "rate"),
    [
        ("small", 1_000_000, 128, 128, 0.15, 5e-4),
        ("small_plus_plus", 4_000_000, 128, 512, 0.15, 5e-4),
        ("base", 766_000, 256, 512, 0.15, 2e-4),
        ("large", 400_000, 2048, 512, 0.25, 2e-4),
    ],
)
def test_a_size_of_the_paper_has_the_values_of_the_paper(
    name, steps, batch, length, fraction, rate
):
    run = resolve(name)
    preset = ElectraConfig.preset(name)
    assert (run.task.discriminator, run.task.generator) == (preset, preset.generator())
    assert run.task.sharing == "shared"
    assert (run.task.masking.probability, run.task.masking.replaced) == (fraction, 0.85)
    (phase,) = run.phases
    assert (phase.steps, phase.batch_size, phase.length) == (steps, batch, length)
    assert phase.loss_weights == {"mlm": 1.0, "rtd": 50.0}
    training = run.training
    assert (training.learning_rate, training.warmup_steps) == (rate, 10_000)
    assert (training.beta_1, training.beta_2, training.epsilon) == (0.9, 0.999, 1e-6)
    assert (training.weight_decay, training.clip, training.decay_power) == (0.01, 1.0, 1.0)


@pytest.mark.parametrize("name", TWO_LENGTHS)
def test_two_lengths_divide_the_steps_of_the_size(name):
    run, whole = resolve(name), resolve(name.removesuffix("_128_512"))
    (short, long), (only,) = run.phases, whole.phases
    assert dataclasses.replace(run, phases=whole.phases) == whole
    assert (short.length, short.data, long.length, long.data) == (128, "short", 512, None)
    assert short.steps + long.steps == only.steps
    assert long.steps == pytest.approx(only.steps / 10, rel=0.01)
    assert dataclasses.replace(long, steps=only.steps) == only
    assert dataclasses.replace(short, steps=only.steps, length=512, data=None) == only


@pytest.mark.parametrize(
    ("name", "size", "fields"),
    [
        *[(f"{n}_tpu", n, {"strategy": "tpu", "policy": "mixed_bfloat16"}) for n in PAPER],
        (
            "base_one_gpu",
            "base",
            {"policy": "mixed_bfloat16", "accumulation": 8, "recompute": True},
        ),
    ],
)
def test_other_hardware_changes_nothing_else(name, size, fields):
    run, plain = resolve(name), resolve(size)
    training = dataclasses.replace(plain.training, **fields)
    assert run == dataclasses.replace(plain, training=training)
    assert run.phases[0].batch_size % training.accumulation == 0


@pytest.mark.parametrize("name", ["demo", "laptop"])
def test_a_tiny_recipe_trains_one_encoder_first_as_generator_and_then_as_both(name):
    run = resolve(name)
    assert run.task.sharing == "whole"
    assert run.task.generator == run.task.discriminator
    weights = [phase.loss_weights for phase in run.phases]
    assert weights == [{"mlm": 1.0, "rtd": 0.0}, {"mlm": 1.0, "rtd": 20.0}]


# === Recipes of users ===


def test_the_recipe_of_the_page_works_outside_the_checkout(tmp_path, monkeypatch):
    (recipe,) = re.findall(r"^```\n(from __gin__.+?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (path,) = re.findall(r"^    electra train (\S+\.gin) ", PAGE, re.MULTILINE)
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text(recipe)
    monkeypatch.chdir(tmp_path)
    run, small = resolve(path), resolve("small")
    assert run.phases == (dataclasses.replace(small.phases[0], steps=200_000),)
    changed = {"keep": 10, "checkpoint_interval": 5000}
    assert run.training == dataclasses.replace(small.training, **changed)
    assert run.task == small.task


def test_a_recipe_can_select_quirks_of_the_reference(tmp_path):
    file = tmp_path / "original.gin"
    file.write_text(
        "from __gin__ import dynamic_registration\n"
        "from official_nlp import reference_quirks\n"
        "from official_nlp import training\n"
        "include 'experiments/small.gin'\n"
        "training.TrainingConfig.reference_quirks = @reference_quirks.ReferenceQuirks()\n"
        "reference_quirks.ReferenceQuirks.average_duplicates = True\n"
    )
    expected = ReferenceQuirks(average_duplicates=True)
    assert resolve(str(file)).training.reference_quirks == expected
    original = file.read_text().replace("Quirks()\n", "Quirks.original()\n")
    file.write_text("\n".join(original.splitlines()[:-1]))
    assert resolve(str(file)).training.reference_quirks == ReferenceQuirks.original()


def test_a_list_or_dict_of_texts_replaces_none():
    assert resolve("sst2", LABELS='["bad", "good"]').task.labels == ("bad", "good")
    # Text that looks like a value stays text where only text fits.
    assert resolve("sst2", TEXT="3").task.text == "3"
