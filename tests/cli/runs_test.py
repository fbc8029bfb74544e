"""Each verb as a function: what it leaves behind, what it says, what it refuses."""

import dataclasses
import json
import shutil

import pytest

from official_nlp import data
from official_nlp.cli import printing, runs
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.tasks import PretrainingConfig
from official_nlp.training import TrainingConfig, distribution, metrics_log
from official_nlp.training.run_folder import RunFolder
from tests.data.conftest import (  # noqa: F401
    VOCABULARY,
    built,
    text_file,
    tokenizer,
    tokenizer_folder,
)
from tests.tasks.conftest import config, network, phase

PHASES = (phase(steps=6, discriminator_weight=0.0), phase(steps=8, discriminator_weight=20.0))
TRAINING = TrainingConfig(
    learning_rate=1e-3,
    warmup_steps=4,
    steps_per_loop=2,
    checkpoint_interval=4,
    evaluation_interval=4,
    seed=5,
)


def train(folder, to, **changes):
    arguments = {"task": config(), "phases": PHASES, "training": TRAINING, **changes}
    return runs.train(model_dir=str(to), data=str(folder), **arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory, built):  # noqa: F811
    """A finished run; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    train(built, folder, configuration_text="# the recipe\n")
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory, text_file, tokenizer_folder):  # noqa: F811
    """Makes data folders: `shards(length=16, held_out=0)`."""

    def make(vocabulary=tokenizer_folder, **options):
        to = tmp_path_factory.mktemp("shards") / "data"
        data.build_examples(text_file, vocabulary, to, processes=1, progress=False, **options)
        return to

    return make


@pytest.fixture(scope="module")
def other_vocabulary(tmp_path_factory, shards):
    folder = tmp_path_factory.mktemp("other")
    ElectraTokenizer([*VOCABULARY, "walked"]).save_pretrained(folder)
    return shards(folder, length=32, held_out=0.2)


@pytest.fixture
def begun(tmp_path, run):
    """A run that was stopped before its first checkpoint."""
    shutil.copytree(run, tmp_path / "begun")
    shutil.rmtree(tmp_path / "begun" / "checkpoints")
    (tmp_path / "begun" / "metrics.jsonl").unlink()
    return tmp_path / "begun"


def said(capsys):
    return " ".join(capsys.readouterr().out.split())


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# === Text ===


def test_vocab_writes_a_tokenizer_folder(tmp_path, text_file, capsys):  # noqa: F811
    runs.vocab(texts=[text_file], to=tmp_path / "tokenizer", size=90, lower_case=False)
    made = ElectraTokenizer.from_pretrained(tmp_path / "tokenizer")
    assert made.vocab_size <= 90
    assert not made.do_lower_case
    assert "vocabulary of" in said(capsys)


def test_vocab_writes_a_sentencepiece_model(tmp_path, text_file, capsys):  # noqa: F811
    runs.vocab(texts=[text_file], to=tmp_path / "to", size=90, kind="sentencepiece")
    runs.info(path=tmp_path / "to")
    runs.info(path=tmp_path / "to" / "spm.model")
    text = said(capsys)
    assert text.count("tokenizer: sentencepiece, ") == 2
    assert "lower-cased" in text


def test_vocab_and_examples_refuse_text_that_is_not_there(tmp_path, tokenizer_folder):  # noqa: F811
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        runs.vocab(texts=[tmp_path / "nowhere.txt"], to=tmp_path / "a")
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        runs.examples(
            texts=[tmp_path / "nowhere.txt"], tokenizer=tokenizer_folder, to=tmp_path / "b"
        )
    assert not list(tmp_path.iterdir())


def test_examples_write_a_data_folder(tmp_path, text_file, tokenizer_folder, capsys):  # noqa: F811
    runs.examples(
        texts=[str(text_file)],
        tokenizer=tokenizer_folder,
        to=tmp_path / "data",
        length=16,
        held_out=0.3,
        seed=4,
        processes=1,
        segments=1,
    )
    made = data.open_folder(tmp_path / "data")
    assert made.index.length == 16
    assert made.count("train") > made.count("held_out") > 0
    assert (made.index.settings["seed"], made.index.settings["segments"]) == (4, 1)
    assert "documents" in said(capsys)


# === Train ===


def test_a_run_folder_holds_all_that_other_verbs_need(run):
    found = {path.name for path in run.iterdir()}
    assert found >= {
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
    assert (run / "config.gin").read_text() == "# the recipe\n"
    assert json.loads((run / "generator/config.json").read_text())["hidden_size"] == 8
    assert json.loads((run / "discriminator/config.json").read_text())["hidden_size"] == 16
    assert ElectraTokenizer.from_pretrained(run / "tokenizer").vocab == VOCABULARY
    fixed = json.loads((run / "run.json").read_text())["fixed"]
    assert PretrainingConfig.from_dict(fixed["task"]).for_vocabulary(
        len(VOCABULARY)
    ) == config().for_vocabulary(len(VOCABULARY))


def test_a_finished_run_is_left_as_it_is(run, tmp_path, built, capsys):  # noqa: F811
    shutil.copytree(run, tmp_path / "run")
    before = contents(tmp_path / "run")
    metrics = train(built, tmp_path / "run", configuration_text="# another text\n")
    assert metrics == metrics_log.read(run / "metrics.jsonl")[-1]
    after = contents(tmp_path / "run")
    changed = {name for name in after if after[name] != before.get(name)}
    assert not {name for name in changed if not name.startswith(("summaries/", "curves.png"))}
    assert "continuing after step 14 of 14" in said(capsys)


def test_baselines_and_metrics_are_printed(run, tmp_path, built, capsys):  # noqa: F811
    shutil.copytree(run, tmp_path / "run")
    train(built, tmp_path / "run")
    text = said(capsys)
    for part in ("unigram", "two-sided bigram", "most frequent token is right in", "mlm_mask_loss"):
        assert part in text


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"training": dataclasses.replace(TRAINING, seed=6)}, ["training.seed was 5, is now 6"]),
        (
            {"phases": (PHASES[0], phase(steps=9, discriminator_weight=30.0))},
            ["phases[1].steps was 8, is now 9", "phases[1].discriminator_weight was 20.0, is now"],
        ),
        (
            {"task": config("untied", temperature=0.5)},
            ['task.sharing was "shared", is now "untied"', "task.temperature was 1.0"],
        ),
        (
            {"task": dataclasses.replace(config(), discriminator=network(intermediate_size=64))},
            ["task.discriminator.intermediate_size was 32, is now 64"],
        ),
    ],
)
def test_a_run_of_another_configuration_is_refused(run, built, changes, fields):  # noqa: F811
    before = contents(run)
    with pytest.raises(InputError, match="holds a run of another configuration") as error:
        train(built, run, **changes)
    for field in fields:
        assert field in str(error.value)
    after = contents(run)
    assert {n for n in after if after[n] != before[n]} <= {"curves.png"}


def test_other_data_is_another_configuration(run, shards):
    with pytest.raises(InputError, match="another configuration: data was"):
        train(shards(length=32, held_out=0.2, seed=1), run)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, built):  # noqa: F811
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match=r"cannot write .*file.*; give another MODEL_DIR"):
            train(built, place)


def test_data_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="no data folder"):
        train(tmp_path / "nothing", tmp_path / "run")


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (31, "length of phase 2 must be at least 32, the longest row of its data, was 31; build"),
        (33, "length of phase 2 must be at most max_position_embeddings=32, was 33"),
    ],
)
def test_a_length_that_does_not_fit_is_refused(tmp_path, built, length, message):  # noqa: F811
    with pytest.raises(InputError, match=message):
        train(built, tmp_path / "run", phases=(PHASES[0], phase(length=length)))
    assert not (tmp_path / "run").exists()


def test_a_phase_with_data_of_its_own_may_be_shorter(tmp_path, built, shards, capsys):  # noqa: F811
    short = str(shards(length=16, held_out=0))
    phases = (phase(length=16, data=short), PHASES[1])
    train(built, tmp_path / "run", phases=phases, dry_run=True)
    rows = data.open_folder(short).count("train")
    assert f"4 steps of 4 x 16 tokens, {16 / rows:.3g} times through {rows} ex" in said(capsys)


@pytest.fixture
def foreign(tmp_path, built):  # noqa: F811
    """Shards as another program leaves them: without index and vocabulary."""
    (tmp_path / "foreign").mkdir()
    for number, shard in enumerate(sorted(built.glob("train-*.tfrecord"))):
        shutil.copy(shard, tmp_path / f"foreign/pretrain_data.tfrecord-{number}-of-1000")
    return tmp_path / "foreign"


def test_shards_of_others_are_trained_on_with_a_vocabulary(
    tmp_path,
    foreign,
    tokenizer_folder,  # noqa: F811
    capsys,
):
    train(foreign, tmp_path / "run", vocabulary=tokenizer_folder / "vocab.txt", dry_run=True)
    assert "times through" in said(capsys)
    with pytest.raises(InputError, match="foreign has no tokenizer/"):
        train(foreign, tmp_path / "run", dry_run=True)


def test_shards_of_others_are_evaluated_with_the_runs_vocabulary(run, foreign):
    metrics = runs.evaluate(model_dir=run, data=foreign)
    assert 0 < metrics["held_out/rtd_unigram_auc"] < 1


def test_a_dry_run_says_what_would_be_and_writes_nothing(tmp_path, built, capsys):  # noqa: F811
    before = contents(built)
    assert train(built, tmp_path / "run", dry_run=True, configuration_text="# text\n") == {}
    assert not (tmp_path / "run").exists()
    assert contents(built) == before
    text = said(capsys)
    model = config().for_vocabulary(len(VOCABULARY)).build()
    count = sum(variable.shape.num_elements() for variable in model.trainable_variables)
    assert f"{count:,} trainable parameters, sharing shared" in text
    assert "phase 1: 6 steps of 4 x 32 tokens" in text
    assert "weights: generator 1, discriminator 20" in text
    assert "nothing was trained or written" in text


def test_a_dry_run_refuses_the_folder_of_another_run(run, built):  # noqa: F811
    before = contents(run)
    train(built, run, dry_run=True)
    with pytest.raises(InputError, match=r"another configuration: training\.seed was 5, is now 6"):
        train(built, run, training=dataclasses.replace(TRAINING, seed=6), dry_run=True)
    assert contents(run) == before


def test_the_oddities_of_the_original_are_one_setting(tmp_path, built):  # noqa: F811
    train(built, tmp_path / "run", original=True)
    told = RunFolder(tmp_path / "run").describe()["fixed"]["training"]["reference_quirks"]
    assert told == dataclasses.asdict(ReferenceQuirks.original())


def test_a_data_folder_is_not_taken_for_the_runs(built):  # noqa: F811
    before = contents(built)
    with pytest.raises(InputError, match=r"MODEL_DIR=.* is a data folder"):
        train(built, built)
    assert contents(built) == before


def test_a_warm_up_longer_than_the_run_is_said(tmp_path, built, capsys):  # noqa: F811
    train(built, tmp_path / "run", dry_run=True)
    assert "warm-up" not in said(capsys)
    long = dataclasses.replace(TRAINING, warmup_steps=14)
    train(built, tmp_path / "run", training=long, dry_run=True)
    assert "the warm-up of 14 steps is not over at the last of 14" in said(capsys)


def epochs(count, **changes):
    return (dataclasses.replace(phase(), steps=None, epochs=count, **changes),)


def test_epochs_are_steps_of_the_phases_examples(tmp_path, built, capsys):  # noqa: F811
    rows = data.open_folder(built).count("train")
    steps = -(-3 * rows // 4)
    train(built, tmp_path / "run", phases=epochs(3), dry_run=True)
    text = said(capsys)
    assert f"phase 1: 3 epochs of {rows:,} examples in batches of 4 are {steps:,} steps" in text
    times = f"{4 * steps / rows:.3g} times through {rows:,} ex"
    assert f"phase 1: {steps:,} steps of 4 x 32 tokens, {times}" in text
    train(built, tmp_path / "run", phases=(phase(),), epochs=3, dry_run=True)
    assert f"3 epochs of {rows:,} examples in batches of 4 are {steps:,} steps" in said(capsys)


def test_a_run_in_epochs_is_continued_by_the_steps_they_were(tmp_path, built):  # noqa: F811
    rows = data.open_folder(built).count("train")
    batch = rows // 2
    train(built, tmp_path / "run", phases=epochs(1, batch_size=batch))
    steps = -(-rows // batch)
    same = (phase(steps=steps, batch_size=batch),)
    assert train(built, tmp_path / "run", phases=same)["step"] == steps
    with pytest.raises(InputError, match=rf"phases\[0\]\.steps was {steps}, is now {steps + 1}"):
        train(built, tmp_path / "run", phases=(phase(steps=steps + 1, batch_size=batch),))


def test_one_number_of_epochs_is_none_for_two_phases(tmp_path, built):  # noqa: F811
    with pytest.raises(InputError, match="EPOCHS=3 says nothing of 2 phases"):
        train(built, tmp_path / "run", epochs=3)


def test_before_the_first_step_a_run_says_what_it_is_and_costs(run, built, tmp_path, capsys):  # noqa: F811
    shutil.copytree(run, tmp_path / "run")
    train(built, tmp_path / "run")
    text = said(capsys)
    parts = ["devices: one_device, replicas 1, hosts 1", "global batch 4: 4 rows a replica"]
    parts += ["FLOPs a step", "memory: about", "largest id in the data", "predictions a row"]
    parts += ["warning: a step of phase 1 predicts only"]
    for part in parts:
        assert text.index(part) < text.index("continuing after step 14 of 14")


def test_whatever_cannot_be_is_said_at_once(tmp_path, built, capsys):  # noqa: F811
    mirrored = dataclasses.replace(TRAINING, strategy="mirrored")
    phases = (phase(batch_size=5), phase(length=31))
    with pytest.raises(InputError) as error:
        train(built, tmp_path / "run", phases=phases, training=mirrored)
    assert "batch_size of phase 1 must be a multiple of 2 (2 replicas), was 5; " in str(error.value)
    assert "length of phase 2 must be at least 32" in str(error.value)
    assert "devices: mirrored, replicas 2, hosts 1" in said(capsys)
    assert not (tmp_path / "run").exists()


def test_a_vocabulary_that_the_model_has_no_rows_for_is_refused(tmp_path, built):  # noqa: F811
    with pytest.raises(
        InputError, match=r"vocab_size must be at least the vocabulary's \d+, was 9"
    ):
        train(built, tmp_path / "run", task=config(vocab_size=9))


def test_a_dry_run_may_be_where_the_devices_are_not(tmp_path, built, capsys, monkeypatch):  # noqa: F811
    def absent():
        raise InputError("there is no such device here")

    monkeypatch.setitem(distribution.STRATEGIES, "tpu", absent)
    training = dataclasses.replace(TRAINING, strategy="tpu")
    train(built, tmp_path / "run", training=training, dry_run=True)
    assert "warning: there is no such device here; all is counted as for one" in said(capsys)
    with pytest.raises(InputError, match="no such device"):
        train(built, tmp_path / "run", training=training)


def test_without_held_out_examples_there_are_no_baselines(tmp_path, shards, capsys):
    train(shards(length=32, held_out=0), tmp_path / "run", dry_run=True)
    assert "no held-out examples: nothing is evaluated while training" in said(capsys)


# === Evaluate ===


def test_evaluate_gives_the_metrics_of_the_last_evaluation(run, built, capsys):  # noqa: F811
    metrics = runs.evaluate(model_dir=str(run), data=str(built))
    last = metrics_log.read(run / "metrics.jsonl")[-1]
    assert metrics == {name: last[name] for name in last if name.startswith("held_out/")}
    text = said(capsys)
    for name, value in metrics.items():
        assert f"{name.removeprefix('held_out/')} {value:.4f}" in text


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("multi_worker", "strategy='multi_worker' needs TF_CONFIG in the environment"),
        ("tpu", "strategy='tpu' finds no TPU named 'local'"),
    ],
)
def test_evaluate_measures_on_one_device_where_the_runs_devices_are_not(
    run,
    tmp_path,
    built,  # noqa: F811
    monkeypatch,
    capsys,
    strategy,
    message,
):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.delenv("TPU_NAME", raising=False)
    shutil.copytree(run, tmp_path / "run")
    described = json.loads((run / "run.json").read_text())
    described["rounding"]["strategy"] = strategy
    (tmp_path / "run/run.json").write_text(json.dumps(described))
    metrics = runs.evaluate(model_dir=tmp_path / "run", data=built)
    assert metrics == runs.evaluate(model_dir=run, data=built)
    text = said(capsys)
    assert text.count("measured on one device") == 1
    assert message in text


def test_a_figure_that_is_no_number_is_shown_as_a_stroke(capsys):
    metrics = {"held_out/a": None, "held_out/b": float("nan"), "held_out/c": 1.0, "step": 3}
    printing.print_metrics(metrics, printing.console())
    assert said(capsys) == "held out a - b - c 1.0000"


def test_evaluate_measures_other_text_as_well(run, shards):
    metrics = runs.evaluate(
        model_dir=run, data=shards(length=16, held_out=0.5), configuration_text="ignored"
    )
    assert metrics["held_out/rtd_unigram_auc"] > 0


def test_evaluate_refuses_another_vocabulary(run, other_vocabulary):
    with pytest.raises(InputError, match="has another vocabulary than the run"):
        runs.evaluate(model_dir=run, data=other_vocabulary)


def test_evaluate_refuses_data_without_held_out_examples(run, shards):
    with pytest.raises(InputError, match="has no held-out examples: build it with --held-out"):
        runs.evaluate(model_dir=run, data=shards(length=32, held_out=0))


def test_evaluate_refuses_rows_that_the_model_has_no_positions_for(run, shards):
    with pytest.raises(InputError, match="rows of 64 tokens, and max_position_embeddings is only"):
        runs.evaluate(model_dir=run, data=shards(length=64, held_out=0.2))


def test_evaluate_refuses_a_folder_that_is_no_run(tmp_path, built):  # noqa: F811
    with pytest.raises(InputError, match="is not the folder of a run"):
        runs.evaluate(model_dir=tmp_path, data=built)


def test_evaluate_refuses_a_run_without_checkpoint(begun, built):  # noqa: F811
    for dry_run in (True, False):
        with pytest.raises(InputError, match="no checkpoint in"):
            runs.evaluate(model_dir=begun, data=built, dry_run=dry_run)


def test_a_dry_evaluation_measures_nothing(run, built, capsys):  # noqa: F811
    before = contents(run)
    assert runs.evaluate(model_dir=run, data=built, dry_run=True) == {}
    assert "ckpt-14" in said(capsys)
    assert contents(run) == before


# === Info ===


def test_info_of_a_tokenizer(tokenizer_folder, capsys):  # noqa: F811
    for place in (tokenizer_folder, tokenizer_folder / "vocab.txt"):
        runs.info(path=place)
        text = said(capsys)
        assert f"tokenizer: wordpiece, {len(VOCABULARY)} tokens, lower-cased" in text
        assert ElectraTokenizer.from_pretrained(place).vocab_hash in text


def test_info_of_data(built, capsys):  # noqa: F811
    runs.info(path=str(built))
    text, made = said(capsys), data.open_folder(built)
    assert f"{made.count('train')} examples for training, {made.count('held_out')} held out" in text
    assert "longest row 32 tokens" in text
    assert "seed: 0" in text


def test_info_of_a_run(run, capsys):
    runs.info(path=str(run))
    text = said(capsys)
    assert "saved at step 14 of 14, seed 5" in text
    assert "generator: 2 layers, width 8, 1 heads" in text
    assert "sharing: shared" in text
    assert "rtd_unigram_auc" in text


def test_info_of_a_run_before_its_first_checkpoint(begun, capsys):
    runs.info(path=begun)
    assert "saved at step 0 of 14" in said(capsys)


def test_info_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(InputError, match=r"must be a run folder .*; it holds none of their files"):
        runs.info(path=tmp_path)
    with pytest.raises(InputError, match=r"must be a run folder .*; it is not there"):
        runs.info(path=tmp_path / "nothing")


# === Predict ===


def test_predict_scores_words_and_fills_blanks(run, capsys):
    runs.predict(run=str(run), texts=["The red boat [sings].", "the ___ boat", "def __init__(a):"])
    text = said(capsys)
    assert "The red boat [sings]." in text
    assert "the ___ boat the generator's best: " in text
    # A name with strokes is a word, not a blank.
    assert "def __init__(a):" in text
    assert text.count("the generator's best") == 1
    assert text.count("%") >= 3 + 3 + 3


def test_predict_refuses_a_run_without_checkpoint(begun):
    with pytest.raises(InputError, match="no checkpoint in"):
        runs.predict(run=begun, texts=["a"])
