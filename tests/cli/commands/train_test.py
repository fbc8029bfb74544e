"""`electra train`: what a run folder holds, what is printed, and what is refused."""

import json
import shutil

import pytest

from official_nlp import data
from official_nlp.configuration import gin_resolver
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.tasks.pretraining import metrics
from official_nlp.training import Devices, distribution, metrics_log, preflight
from official_nlp.training.run_folder import RunFolder
from tests.cli.commands.conftest import contents
from tests.data.conftest import VOCABULARY

# One phase in place of the two of tiny.gin, for the generator alone, which is built faster.
ONE_PHASE = """
from __gin__ import dynamic_registration

from official_nlp import training

include "tiny.gin"

STEPS = 4

training.RunConfig.phases = (@one/training.PhaseConfig(),)
one/training.PhaseConfig.steps = %STEPS
one/training.PhaseConfig.loss_weights = {"mlm": 1.0, "rtd": 0.0}
"""


@pytest.fixture(scope="module")
def one_phase(recipe):
    file = recipe.parent / "one_phase.gin"
    file.write_text(ONE_PHASE)
    return file


@pytest.fixture
def words(recipe, built, tmp_path):
    """The words after `electra` for a new run."""
    return ["train", recipe, f"DATA={built}", f"MODEL_DIR={tmp_path / 'run'}", "SEED=5"]


# === Runs ===


def test_a_run_folder_holds_what_other_verbs_need(run):
    files = {
        "config.gin",
        "run.json",
        "generator",
        "discriminator",
        "tokenizer",
        "checkpoints",
        "metrics.jsonl",
        "timing.jsonl",
        "summaries",
        "curves.png",
    }
    assert files <= {path.name for path in run.iterdir()}
    assert json.loads((run / "generator/config.json").read_text())["hidden_size"] == 8
    assert json.loads((run / "discriminator/config.json").read_text())["hidden_size"] == 16
    assert ElectraTokenizer.from_pretrained(run / "tokenizer").vocab == VOCABULARY


def test_the_configuration_in_a_run_folder_continues_the_run(run, tmp_path, command):
    shutil.copytree(run, tmp_path / "run")
    before = contents(tmp_path / "run")
    printed = command("train", tmp_path / "run/config.gin", f"MODEL_DIR={tmp_path / 'run'}")
    after = contents(tmp_path / "run")
    changed = {name for name in after if after[name] != before.get(name)}
    assert not {name for name in changed if not name.startswith(("summaries/", "curves.png"))}
    # Facts and estimates come first, then baselines, then the metrics of the last evaluation.
    parts = ["devices: one_device, replicas 1, hosts 1", "FLOPs per step", "memory: about"]
    parts += [
        "unigram loss",
        "two-sided bigram loss",
        "continuing after step 14 of 14",
        "mlm_mask_loss",
    ]
    positions = [printed.index(part) for part in parts]
    assert positions == sorted(positions)
    last = metrics_log.read(run / "metrics.jsonl")[-1]
    assert f"rtd_unigram_auc {last['held_out/rtd_unigram_auc']:.4f}" in printed


def test_keep_best_may_name_every_metric_of_an_evaluation(run):
    line = metrics_log.read(run / "metrics.jsonl")[-1]
    assert {f"held_out/{name}" for name in metrics.evaluated()} == set(line) - {"step", "phase"}


@pytest.mark.parametrize(
    ("settings", "differences"),
    [
        (["SEED=6"], ["training.seed was 5, is now 6"]),
        (["SEED=6", "--dry-run"], ["training.seed was 5, is now 6"]),
        (["ELECTRA_STEPS=9"], ["phases[1].steps was 8, is now 9"]),
        (["RTD_WEIGHT=30"], ["was 20.0, is now 30.0"]),
        (
            ["SHARING=untied", "TEMPERATURE=0.5"],
            ['sharing was "shared", is now "untied"', "temperature was 1.0, is now 0.5"],
        ),
        (["FEED_FORWARD=64"], ["discriminator.intermediate_size was 32, is now 64"]),
        (["ORIGINAL=true"], ["bias_correction was true, is now false", "loss_per_replica was"]),
    ],
)
def test_a_run_of_another_configuration_is_refused(run, command, settings, differences):
    before = contents(run)
    refused = command.refused("train", run / "config.gin", *settings)
    assert "another configuration" in refused
    assert all(difference in refused for difference in differences)
    after = contents(run)
    assert {name for name in after if after[name] != before[name]} <= {"curves.png"}


def test_other_data_is_another_configuration(run, command, shards):
    other = shards(length=32, held_out=0.2, seed=1)
    refused = command.refused("train", run / "config.gin", f"DATA={other}")
    assert "another configuration: data was" in refused


# === Dry runs ===


def test_a_dry_run_prints_all_that_is_known_and_writes_nothing(words, built, command, tmp_path):
    before = contents(built)
    printed = command(*words, "--dry-run")
    assert not (tmp_path / "run").exists()
    assert contents(built) == before
    assert "electra/training.PhaseConfig.length = %LENGTH" in printed
    assert "phase 1: 6 steps of 4 x 32 tokens" in printed
    assert "loss weights: mlm 1, rtd 20" in printed
    assert "warm-up" not in printed
    (count,) = {part.split()[-1] for part in printed.split(" trainable parameters")[:-1]}
    assert f"built {count} parameters; no errors found; nothing was trained or written" in printed


def test_a_suspicious_setting_is_a_warning(words, command):
    printed = command(*words, "WARMUP_STEPS=14", "--dry-run")
    assert "warning: the warm-up of 14 steps does not end before the last of 14 steps" in printed
    assert "warning: a step of phase 1 predicts only" in printed


def test_a_dry_run_does_not_need_the_devices(words, command, monkeypatch):
    def absent():
        raise InputError("there is no such device here")

    monkeypatch.setitem(distribution.STRATEGIES, "tpu", absent)
    printed = command(*words, "STRATEGY=tpu", "--dry-run")
    assert "warning: there is no such device here; estimates are for one replica" in printed
    assert "no such device" in command.refused(*words, "STRATEGY=tpu")


def test_without_a_held_out_set_nothing_is_evaluated(words, command, shards):
    data_folder = shards(length=32, held_out=0)
    printed = command(*words, f"DATA={data_folder}", "--dry-run")
    assert "no held-out examples: nothing is evaluated during training; build the" in printed
    assert "bigram" not in printed
    refused = command.refused(*words, f"DATA={data_folder}", "KEEP_BEST=rtd_auc", "--dry-run")
    assert "keep_best=rtd_auc needs an evaluation set, but the data has none" in refused


def test_a_phase_with_data_of_its_own_may_be_shorter(words, command, shards):
    short = shards(length=16, held_out=0)
    printed = command(*words, f"SHORT_DATA={short}", "SHORT_LENGTH=16", "--dry-run")
    examples = data.open_folder(short).count("train")
    assert f"6 steps of 4 x 16 tokens, {24 / examples:.3g} passes over {examples} ex" in printed


def test_shards_without_a_tokenizer_need_a_vocabulary(
    words, command, built, tmp_path, tokenizer_folder
):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for number, shard in enumerate(sorted(built.glob("train-*.tfrecord"))):
        shutil.copy(shard, foreign / f"pretrain_data.tfrecord-{number}-of-1000")
    before = contents(foreign)
    words += [f"DATA={foreign}", "--dry-run"]
    assert "passes over" in command(*words, f"VOCABULARY={tokenizer_folder / 'vocab.txt'}")
    assert "foreign has no tokenizer/" in command.refused(*words)
    assert contents(foreign) == before


@pytest.mark.parametrize("first", [True, False])
def test_a_folder_in_use_is_refused_on_the_first_host_only(
    words, command, tmp_path, monkeypatch, first
):
    monkeypatch.setattr(preflight, "find_devices", lambda *_: Devices(replicas=2, hosts=2))
    monkeypatch.setattr(distribution, "is_chief", lambda strategy: first)
    with RunFolder(tmp_path / "run").locked():
        answer = (command.refused if first else command)(*words, "--dry-run")
    assert ("another process is training in" in answer) == first


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("LEARNING_RATE=-1e-3", ["tiny.gin: LEARNING_RATE: learning_rate must be a number of at"]),
        ("LEARNING_RATE=0", ["LEARNING_RATE: learning_rate must be", ", was 0.0"]),
        ("WARMUP_STEPS=-1", ["WARMUP_STEPS: warmup_steps must be an integer from 0 to", "was -1"]),
        ("WARMUP_STEPS=15", ["warmup_steps must be at most 14, the steps of the run, was 15"]),
        ("SEED=-1", ["SEED: seed must be an integer from 0 to 4,294,967,295, was -1"]),
        ("VOCAB_SIZE=abc", ["VOCAB_SIZE: vocab_size must be an integer", "or None, was 'abc'"]),
        ("EPOCHS=1e300", ["epochs must be a number", "or None, was 1e+300"]),
        ("ELECTRA_STEPS=100000000000000000000", ["ELECTRA_STEPS: steps must be an integer from"]),
        ("BATCH_SIZE=1000000000", ["BATCH_SIZE: batch_size must be an integer from 1 to 1,000"]),
        ("BATCH_SIZE=1000000", ["the run needs about", "of memory, this machine has"]),
        ("MAX_NGRAM=100000000", ["MAX_NGRAM: max_ngram must be an integer from 1 to 100, was 10"]),
        ("MODEL_DIR=", ["MODEL_DIR must have a value, was empty; give a path"]),
        ("KEEP_BEST=3", ["KEEP_BEST: keep_best must be", "was '3'"]),
        ("VOCABULARY=2024", ["2024"]),
        ("KEEP_BEST=rtd_aux_auc", ["keep_best must be one of", "was 'rtd_aux_auc'"]),
    ],
)
def test_a_dry_run_refuses_what_the_run_refuses(words, command, tmp_path, setting, parts):
    refused = command.refused(*words, setting, "--dry-run")
    assert all(part in refused for part in parts)
    assert command.refused(*words, setting) == refused
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_stopped_before_a_checkpoint_needs_the_same_sources(
    words, command, recipe, tmp_path, run
):
    # As a process that was killed while it made its first steps would have left the folder.
    folder = tmp_path / "run"
    folder.mkdir()
    described = json.loads((run / "run.json").read_text())
    source = {"generator": {"path": "old/run", "kind": "run", "sha256": "abc"}}
    described["origin"]["warm_start"] = source
    (folder / "run.json").write_text(json.dumps(described))
    refused = command.refused(*words, "--dry-run")
    assert (
        f"{folder} has no checkpoint yet, and was started with INIT_GENERATOR=old/run: give the "
        "same sources, or another MODEL_DIR" in refused
    )
    del described["origin"]["warm_start"]
    (folder / "run.json").write_text(json.dumps(described))
    refused = command.refused(*words, f"INIT_GENERATOR={run}", "--dry-run")
    assert "has no checkpoint yet, and was started with no INIT_ setting" in refused


# === Epochs ===


def test_epochs_replace_the_steps_of_the_only_phase(words, command, built, one_phase):
    words[1] = one_phase
    examples = data.open_folder(built).count("train")
    steps = -(-3 * examples // 4)
    printed = command(*words, "EPOCHS=3", "--dry-run")
    assert f"3 epochs of {examples:,} examples in batches of 4: {steps:,} steps" in printed
    passes = f"{4 * steps / examples:.3g} passes over {examples:,} ex"
    assert f"phase 1: {steps:,} steps of 4 x 32 tokens, {passes}" in printed


def test_a_run_in_epochs_is_continued_by_the_steps_of_the_epochs(words, command, shards, one_phase):
    words[1] = one_phase
    # Without a held-out set there is no evaluation, which would take most of the time.
    folder = shards(length=32, held_out=0)
    examples = data.open_folder(folder).count("train")
    batch = examples // 2
    steps = -(-examples // batch)
    words += [f"DATA={folder}", f"BATCH_SIZE={batch}", "WARMUP_STEPS=1"]
    command(*words, "EPOCHS=1")
    assert f"continuing after step {steps} of {steps}" in command(*words, f"STEPS={steps}")
    refused = command.refused(*words, f"STEPS={steps + 1}")
    assert f"phases[0].steps was {steps}, is now {steps + 1}" in refused


def test_one_number_of_epochs_is_refused_for_two_phases(words, command):
    assert "EPOCHS=3 " in command.refused(*words, "EPOCHS=3")


# === Refusals before the first step ===


@pytest.mark.parametrize("path", ["file", "file/run"])
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_folder_that_cannot_be_written_is_refused(words, command, tmp_path, path, more):
    (tmp_path / "file").write_text("")
    refused = command.refused(*words, f"MODEL_DIR={tmp_path / path}", *more)
    assert f"the run folder must be writable, {tmp_path / path} is not" in refused


def test_a_data_folder_is_refused_as_run_folder(words, command, built):
    before = contents(built)
    refused = command.refused(*words, f"MODEL_DIR={built}")
    assert f"MODEL_DIR={built} is a data folder" in refused
    assert contents(built) == before


@pytest.mark.parametrize("setting", ["MODEL_DIR", "DATA", "VOCABULARY", "INIT_GENERATOR"])
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_remote_paths_are_refused(words, command, tmp_path, monkeypatch, setting, more):
    monkeypatch.chdir(tmp_path)
    refused = command.refused(*words, f"{setting}=gs://bucket/x", *more)
    assert "must be a local path (mount or copy what is elsewhere" in refused
    assert "was 'gs://bucket/x'" in refused
    assert not list(tmp_path.iterdir())


def test_missing_data_is_refused(words, command, tmp_path):
    assert "no data folder" in command.refused(*words, f"DATA={tmp_path / 'nothing'}")


def test_all_errors_are_reported_together(words, command, tmp_path):
    refused = command.refused(*words, "STRATEGY=mirrored", "BATCH_SIZE=5", "LENGTH=31")
    assert "batch_size of phase 1 must be a multiple of 2 (2 replicas), was 5; " in refused
    assert (
        "length of phase 2 must be at least 32, the longest example of its data, was 31" in refused
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("LENGTH=33", "length of phase 2 must be at most max_position_embeddings=32, was 33"),
        ("VOCAB_SIZE=9", f"vocab_size must be at least the vocabulary's {len(VOCABULARY)}, was 9"),
    ],
)
def test_data_that_does_not_fit_the_model_is_refused(words, command, tmp_path, setting, message):
    assert message in command.refused(*words, setting)
    assert not (tmp_path / "run").exists()


# === Recipes ===


def test_a_recipe_is_found_from_any_folder(words, command, recipe, monkeypatch):
    monkeypatch.chdir(recipe.parent.parent)
    words[1] = f"{recipe.parent.name}/{recipe.name}"
    assert "nothing was trained or written" in command(*words, "--dry-run")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ([], ["give a recipe: base, ", ", or the path of a .gin file"]),
        (["dmeo"], ["unknown recipe 'dmeo' (did you mean demo?)"]),
        (["nothing.gin"], ["recipe nothing.gin does not exist"]),
        (["./"], ["a recipe must be a file, ./ is a folder", "config.gin"]),
        (["demo"], ["give DATA=... MODEL_DIR=..."]),
        (["demo", "SEDE=3"], ["unknown setting SEDE (did you mean SEED?)"]),
        (["demo", "runs/a"], ["a setting must be NAME=value, such as SEED=3; got 'runs/a'"]),
        (["demo", "STEPS=3", "EPOCHS=1"], ["give STEPS or EPOCHS, not both"]),
    ],
)
def test_a_wrong_recipe_or_setting_is_refused(command, words, parts):
    refused = command.refused("train", *words)
    assert all(part in refused for part in parts)


def test_a_recipe_is_resolved_once(words, command, monkeypatch):
    calls, resolve = [], gin_resolver.resolve
    monkeypatch.setattr(gin_resolver, "resolve", lambda *args: calls.append(args) or resolve(*args))
    command(*words, "--dry-run")
    assert len(calls) == 1


def test_a_source_for_a_network_that_does_not_exist_is_refused(words, command, recipe):
    words[1] = recipe.parent / "misspelt.gin"
    words[1].write_text(
        'include "tiny.gin"\nfrom __gin__ import dynamic_registration\n'
        "from official_nlp import training\ntraining.RunConfig.init = "
        '{"generatr": %INIT_GENERATOR, "discriminator": %INIT_DISCRIMINATOR}\n'
    )
    refused = command.refused(*words, "--dry-run")
    assert (
        "RunConfig.init must name networks among generator, discriminator, named 'generatr' "
        "(did you mean generator?)" in refused
    )


def test_a_recipe_calls_nothing_unless_it_is_trusted(words, command, recipe, tmp_path):
    words[1] = recipe.parent / "calling.gin"
    words[1].write_text(
        'include "tiny.gin"\nfrom __gin__ import dynamic_registration\nimport os\n'
        f'VOCABULARY = @os.mkdir()\nos.mkdir.path = "{tmp_path / "called"}"\n'
    )
    refused = command.refused(*words, "--dry-run")
    assert "calling.gin:3: a recipe must import modules of official_nlp only" in refused
    assert "give --trust" in refused
    assert not (tmp_path / "called").exists()
    command(*words, "--dry-run", "--trust")
    assert (tmp_path / "called").exists()
