"""The whole path through the command: text, vocabulary, examples, a run, its predictions."""

import contextlib
import gzip
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import data
from official_nlp.cli import main
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.tasks import ElectraPretraining
from official_nlp.training import metrics_log
from tests.training.toy import assert_same_state, state

# A formulaic text that a tiny network learns in seconds: who does what.
TRADES = {
    "baker": ("bakes", "bread"),
    "fisher": ("catches", "trout"),
    "farmer": ("sows", "wheat"),
    "tailor": ("sews", "coats"),
    "miner": ("digs", "coal"),
    "painter": ("paints", "walls"),
    "singer": ("sings", "songs"),
    "driver": ("drives", "trucks"),
}
RECIPE = """
from __gin__ import dynamic_registration

from official_nlp import data
from official_nlp import tasks
from official_nlp import training
from official_nlp.modeling import networks

include "runs/pretrain.gin"

LEARNING_RATE = 5e-3
WARMUP_STEPS = 20
LENGTH = 32
DROPOUT = 0.1
BATCH_SIZE = 8
MLM_STEPS = 43
ELECTRA_STEPS = 40
LOOP = 5
INTERVAL = 20

networks.ElectraConfig.embedding_size = 32
networks.ElectraConfig.hidden_size = 32
networks.ElectraConfig.num_hidden_layers = 2
networks.ElectraConfig.num_attention_heads = 4
networks.ElectraConfig.intermediate_size = 64
networks.ElectraConfig.hidden_dropout_prob = %DROPOUT
networks.ElectraConfig.attention_probs_dropout_prob = %DROPOUT
networks.ElectraConfig.max_position_embeddings = 32
networks.ElectraConfig.initializer = "fan_in"

tasks.PretrainingConfig.generator = @networks.ElectraConfig()
tasks.PretrainingConfig.discriminator = @networks.ElectraConfig()
tasks.PretrainingConfig.sharing = "whole"
data.MaskingConfig.probability = 0.2

training.RunConfig.phases = (@mlm/training.PhaseConfig(), @electra/training.PhaseConfig())
mlm/training.PhaseConfig.steps = %MLM_STEPS
mlm/training.PhaseConfig.loss_weights = {"mlm": 1.0, "rtd": 0.0}
electra/training.PhaseConfig.steps = %ELECTRA_STEPS
electra/training.PhaseConfig.loss_weights = {"mlm": 1.0, "rtd": 20.0}

training.TrainingConfig.beta_2 = 0.98
training.TrainingConfig.steps_per_loop = %LOOP
training.TrainingConfig.checkpoint_interval = %INTERVAL
training.TrainingConfig.evaluation_interval = %INTERVAL
"""
STEPS = 83
# All metrics, of training and of the held-out set.
GENERATOR = {"mlm_loss", "mlm_mask_loss", "mlm_accuracy", "mlm_mask_accuracy"}
DISCRIMINATOR = {
    "mlm_sampled_accuracy",
    "rtd_replaced_fraction",
    "rtd_loss",
    "rtd_below_entropy",
    "rtd_auc",
    "rtd_precision",
    "rtd_recall",
    "rtd_accuracy",
    "rtd_all_original_accuracy",
}


def sentence(draw):
    (one, other), times = draw.sample(sorted(TRADES), 2), ["morning", "evening"]
    first, second = TRADES[one], TRADES[other]
    return (
        f"The {one} {first[0]} {first[1]} in the {draw.choice(times)}, and "
        f"the {other} {second[0]} {second[1]} in the {draw.choice(times)}."
    )


def environment(repository):
    hidden = {"TF_CPP_MIN_LOG_LEVEL"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, "PYTHONPATH": str(repository), "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "200"}


class Place:
    """A folder with text, and the command run in it."""

    def __init__(self, repository, folder):
        self.repository, self.folder = repository, folder

    def start(self, *words, program=("-m", "official_nlp")):
        """Start the command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, *program, *map(str, words)],
            cwd=self.folder,
            env=environment(self.repository),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def electra(self, *words):
        """Run the command in this process; return what it wrote to standard output."""
        out, err = io.StringIO(), io.StringIO()
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main.main([str(word) for word in words])
        finally:
            os.chdir(before)
        assert code == 0, err.getvalue()
        return out.getvalue()

    def train(self, name, *settings):
        return self.electra("train", "toy.gin", "DATA=data", f"MODEL_DIR={name}", *settings)


@pytest.fixture(scope="module")
def place(repository, tmp_path_factory):
    """Text, a vocabulary and examples, built by the command."""
    folder = tmp_path_factory.mktemp("end to end")
    draw = random.Random(1)
    documents = ["\n".join(sentence(draw) for _ in range(8)) for _ in range(150)]
    half = len(documents) // 2
    (folder / "texts").mkdir()
    (folder / "texts/first.txt").write_text("\n\n".join(documents[:half]) + "\n")
    with gzip.open(folder / "texts/second.txt.gz", "wt", encoding="utf-8") as file:
        file.write("\n\n".join(documents[half:]) + "\n")
    (folder / "toy.gin").write_text(RECIPE)
    made = Place(repository, folder)
    made.vocab = made.electra("vocab", "texts", "--to", "tokenizer", "--size", 120)
    words = ["--tokenizer", "tokenizer", "--to", "data", "--length", 32, "--held-out", "10%"]
    made.examples = made.electra("examples", "texts", *words)
    return made


@pytest.fixture(scope="module")
def run(place):
    """An uninterrupted run; tests must not change it."""
    place.output = place.train("run")
    return place.folder / "run"


@pytest.fixture
def electra(place, monkeypatch, capsys):
    """Run the command in this process; return exit code, standard output and error."""
    monkeypatch.chdir(place.folder)

    def call(*words):
        capsys.readouterr()
        code = main.main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


# === The path ===


def test_text_becomes_a_vocabulary_and_examples(place):
    assert "vocabulary of" in place.vocab
    for part in ("documents  150", "tokens", "unknown", "examples", "MB/s"):
        assert part in place.examples
    made = data.open_folder(place.folder / "data")
    assert made.count("train") > 300
    assert made.count("held_out") > 20
    assert made.tokenizer.vocab_size <= 120
    assert (place.folder / "data/held_out.txt").read_text().count(" in the ") > 50


def test_examples_become_a_run(place, run):
    for part in ("unigram", "two-sided bigram", "step 83/83", "phase 2/2", "tokens/s", "left"):
        assert part in place.output
    for name in ("run.json", "config.gin", "tokenizer/vocab.txt", "curves.png", "summaries"):
        assert (run / name).exists()
    described = json.loads((run / "run.json").read_text())
    assert described["training"]["seed"] == 0
    assert described["task"]["class"].endswith(".PretrainingConfig")
    assert described["versions"]["tensorflow"] == tf.__version__


def test_the_metrics_log_holds_all_metrics(run):
    lines = metrics_log.read(run / "metrics.jsonl")
    trained = [line for line in lines if "train/loss" in line]
    assert [line["step"] for line in trained] == [*range(5, 41, 5), 43, *range(45, 81, 5), 83]
    own = {"step", "phase", "learning_rate", "grad_norm", "train/loss"}
    for line in trained:
        names = GENERATOR | (DISCRIMINATOR if line["phase"] else set())
        assert set(line) == own | {f"train/{name}" for name in names}
    held_out = [line for line in lines if "held_out/mlm_loss" in line]
    assert [line["step"] for line in held_out] == [20, 40, 60, 80, 83]
    names = {f"held_out/{name}" for name in GENERATOR | DISCRIMINATOR | {"rtd_unigram_auc"}}
    assert all(set(line) == names | {"step", "phase"} for line in held_out)
    timing = metrics_log.read(run / "timing.jsonl")
    assert all(line["tokens_per_second"] > 0 for line in timing)


def test_evaluation_repeats_the_metrics_of_the_run(place, run):
    output = place.electra("evaluate", "run").split()
    last = metrics_log.read(run / "metrics.jsonl")[-1]
    for name in GENERATOR | DISCRIMINATOR | {"rtd_unigram_auc"}:
        assert output[output.index(name) + 1] == f"{last[f'held_out/{name}']:.4f}"


def test_info_describes_each_kind_of_folder(place, run):
    assert "step 83 of 83" in place.electra("info", "run")
    assert "held-out examples of at most 32 tokens" in place.electra("info", "data")
    assert "tokens, lower-cased" in place.electra("info", "tokenizer")


def test_a_run_scores_words_and_fills_blanks(place, run):
    text = "The baker bakes coal in the morning."
    output = place.electra("predict", "run", text, "The miner [MASK] coal.", "--html", "words.html")
    assert text in output
    assert "the generator's best: " in output
    page = (place.folder / "words.html").read_text()
    assert text in re.sub("<[^>]*>", "", page)
    assert len(re.findall(r'title="[\d.]+%"', page)) == 7


def test_the_resolved_recipe_continues_the_run(electra, place, run):
    shutil.copytree(run, place.folder / "copy")
    (place.folder / "copy/config.gin").replace(place.folder / "resolved.gin")
    code, out, err = electra("train", "resolved.gin", "MODEL_DIR=copy")
    assert (code, err) == (0, "")
    assert "continuing after step 83 of 83" in out
    for name in ("metrics.jsonl", "run.json"):
        assert (place.folder / "copy" / name).read_bytes() == (run / name).read_bytes()


def test_a_dry_run_leaves_nothing(electra, place):
    code, out, err = electra("train", "toy.gin", "DATA=data", "MODEL_DIR=dry", "--dry-run")
    assert (code, err) == (0, "")
    assert "trainable parameters" in out
    assert "MODEL_DIR = 'dry'" in out
    assert not (place.folder / "dry").exists()


# === Killed ===


def kill_when(place, name, reached):
    """Start a run and kill it as soon as `reached` is true of its metrics."""
    process = place.start("train", "toy.gin", "DATA=data", f"MODEL_DIR={name}")
    while process.poll() is None and not reached(
        metrics_log.read(place.folder / name / "metrics.jsonl")
    ):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def kill_at(place, name, point):
    program = (str(place.repository / "tests/killed_command.py"), point)
    process = place.start("train", "toy.gin", "DATA=data", f"MODEL_DIR={name}", program=program)
    _, err = process.communicate(timeout=280)
    assert process.returncode == -signal.SIGKILL, err[-3000:]


def in_second_phase(lines):
    return any(line["phase"] == 1 for line in lines)


def before_first_checkpoint(lines):
    return len(lines) >= 2


def saved_steps(folder):
    manifest = tf.train.get_checkpoint_state(str(folder / "checkpoints"))
    return [int(path.rpartition("-")[2]) for path in manifest.all_model_checkpoint_paths]


def assert_same_run(one, other):
    assert_same_state(state(one / "checkpoints"), state(other / "checkpoints"))
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
    # The process of the tests has divided its processor into two devices.
    first, second = (json.loads((run / "run.json").read_text()) for run in (one, other))
    assert {**first, "devices": None} == {**second, "devices": None}
    assert saved_steps(one) == saved_steps(other)
    files = [{path.name for path in (each / "checkpoints").iterdir()} for each in (one, other)]
    assert files[0] == files[1]


@pytest.mark.slow
def test_a_run_killed_in_its_second_phase_ends_in_the_same_bits(place, run):
    kill_when(place, "killed", in_second_phase)
    assert max(saved_steps(place.folder / "killed")) in (40, 60)
    output = place.train("killed")
    assert "continuing after step " in output
    assert_same_run(place.folder / "killed", run)


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_ends_in_the_same_bits(place, run):
    kill_when(place, "early", before_first_checkpoint)
    assert not (place.folder / "early/checkpoints/checkpoint").exists()
    output = place.train("early")
    assert "continuing" not in output
    assert_same_run(place.folder / "early", run)


@pytest.mark.slow
@pytest.mark.parametrize(
    "point", ["before-rename-of-state=1", "before-rename-of-state=5", "checkpoint-written=2"]
)
def test_a_run_killed_between_write_and_rename_ends_in_the_same_bits(place, run, point):
    kill_at(place, point, point)
    place.train(point)
    assert_same_run(place.folder / point, run)


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_in_the_same_bits(place, run):
    draw = random.Random(5)
    for lines in (3, 9, 14):
        kill_when(place, "often", lambda found, lines=lines: len(found) >= lines)
        time.sleep(draw.random() / 10)
    place.train("often")
    assert_same_run(place.folder / "often", run)


# === Learning ===


@pytest.mark.slow
def test_a_formulaic_text_is_learned(electra, place):
    settings = ["DROPOUT=0.0", "BATCH_SIZE=32", "MLM_STEPS=300", "ELECTRA_STEPS=300"]
    settings += ["LOOP=50", "INTERVAL=300", "DATA=data", "MODEL_DIR=learnt"]
    code, _, err = electra("train", "toy.gin", *settings)
    assert (code, err) == (0, "")
    last = metrics_log.read(place.folder / "learnt/metrics.jsonl")[-1]
    baselines = data.measure_ngram_baselines(data.open_folder(place.folder / "data"))
    assert last["held_out/mlm_mask_loss"] < baselines.unigram - 0.8
    assert last["held_out/mlm_mask_accuracy"] > baselines.most_frequent_accuracy + 0.1
    assert last["held_out/rtd_auc"] > 0.65
    assert last["held_out/rtd_unigram_auc"] > 0.65
    assert last["held_out/rtd_below_entropy"] > 0.02

    words = ["--file", "data/held_out.txt", "--word-swaps", 50, "--html", "learnt.html"]
    code, out, _ = electra("predict", "learnt", *words)
    assert code == 0
    found, blind = (int(part.partition("%")[0]) for part in top_three(out))
    assert found > 2 * blind
    assert (place.folder / "learnt.html").read_text().count("<tr><td>") == 50


def top_three(out):
    """Return the printed text from `found%` on, and from `random%` on."""
    _, _, found = out.partition("one of the three highest in ")
    return found, found.partition("random: ")[2]


def test_a_loss_that_is_not_finite_stops_the_run(electra, place):
    # Scores of the size of the word vectors, whose squares in the gradient's norm overflow.
    (place.folder / "infinite.gin").write_text(
        "from __gin__ import dynamic_registration\n"
        "from official_nlp.modeling import networks\n"
        'include "toy.gin"\n'
        'networks.ElectraConfig.initializer = "truncated_normal"\n'
        "networks.ElectraConfig.initializer_range = 1e30\n"
    )
    words = ["infinite.gin", "DATA=data", "MODEL_DIR=infinite", "INTERVAL=5"]
    code, _, err = electra("train", *words)
    assert code == 43
    assert_one_line(err)
    assert "gradient norm is not finite at step 1" in err or "mlm loss is not finite" in err
    assert not list((place.folder / "infinite/checkpoints").iterdir())
    assert not metrics_log.read(place.folder / "infinite/metrics.jsonl")


# === Bad input ===


def assert_one_line(err):
    assert err.startswith("electra: error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")


def assert_refused(result, *parts):
    code, _, err = result
    assert_one_line(err)
    assert code == 2
    for part in parts:
        assert part in err


@pytest.fixture
def damaged(place, tmp_path):
    """A copy of the data folder, for a test to damage."""
    return shutil.copytree(place.folder / "data", tmp_path / "damaged")


def shard_of(folder):
    return next(folder.glob("train-*.tfrecord"))


def without_index(folder):
    """Reduce a folder to what another program writes: shards and a vocabulary."""
    for file in [*folder.glob("*.npy"), folder / "index.json"]:
        file.unlink()
    return folder


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("vocab nowhere.txt --to new", "nowhere.txt"),
        ("vocab 'texts/*.jsonl' --to new", "texts/*.jsonl"),
        ("examples nowhere.txt --tokenizer tokenizer --to new", "nowhere.txt"),
        ("examples texts --tokenizer nowhere --to new", "nowhere"),
        ("train nowhere.gin", "nowhere.gin"),
        ("train toy.gin DATA=nowhere MODEL_DIR=new", "nowhere"),
        ("evaluate nowhere data", "nowhere"),
        ("evaluate run nowhere", "nowhere"),
        ("info nowhere", "nowhere"),
        ("predict nowhere text", "nowhere"),
        ("predict nowhere --file nothing.txt", "nothing.txt"),
    ],
)
def test_no_such_file(electra, place, words, name):
    assert_refused(electra(*words.replace("'", "").split()), name)
    assert not (place.folder / "new").exists()


@pytest.mark.parametrize("content", [b"", b"\n\n \n"])
@pytest.mark.parametrize("verb", ["vocab", "examples --tokenizer tokenizer"])
def test_an_empty_corpus(electra, place, tmp_path, verb, content):
    (tmp_path / "empty.txt").write_bytes(content)
    result = electra(*verb.split(), tmp_path / "empty.txt", "--to", tmp_path / "new")
    assert_refused(result, "the files contain no text")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("verb", ["vocab", "examples --tokenizer tokenizer"])
def test_text_that_is_not_utf_8(electra, tmp_path, verb):
    (tmp_path / "latin.txt").write_bytes("Grüße\n".encode("latin-1") * 20)
    result = electra(*verb.split(), tmp_path / "latin.txt", "--to", tmp_path / "new")
    assert_refused(result, "latin.txt", "UTF-8")
    assert not (tmp_path / "new").exists()


def test_a_vocabulary_without_mask(electra, place, damaged, tmp_path):
    tokens = ElectraTokenizer.from_pretrained(place.folder / "tokenizer").vocab
    tokens.remove("[MASK]")
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens))
    words = ["--tokenizer", tmp_path / "vocab.txt", "--to", tmp_path / "new"]
    assert_refused(electra("examples", "texts", *words), "vocab.txt", "[MASK]")
    shutil.copy(tmp_path / "vocab.txt", damaged / "tokenizer/vocab.txt")
    result = electra("train", "toy.gin", f"DATA={damaged}", f"MODEL_DIR={tmp_path / 'run'}")
    assert_refused(result, "[MASK]")


def test_an_id_beyond_the_vocabulary(electra, damaged, tmp_path):
    vocabulary = damaged / "tokenizer/vocab.txt"
    vocabulary.write_text("".join(vocabulary.read_text().splitlines(keepends=True)[:-30]))
    words = ["train", "toy.gin", f"DATA={damaged}", f"MODEL_DIR={tmp_path / 'run'}"]
    assert_refused(electra(*words), "tokenizer.json", "belongs to another tokenizer")
    (damaged / "tokenizer/tokenizer.json").unlink()
    assert_refused(electra(*words), "another vocabulary")
    without_index(damaged)
    assert_refused(electra(*words), "holds the id ", "but the vocabulary has only")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("indexed", [True, False])
def test_a_truncated_tfrecord(electra, damaged, tmp_path, indexed):
    if not indexed:
        without_index(damaged)
    shard = shard_of(damaged)
    os.truncate(shard, shard.stat().st_size - 100)
    words = ["train", "toy.gin", f"DATA={damaged}", f"MODEL_DIR={tmp_path / 'run'}"]
    assert_refused(electra(*words), str(shard))
    assert not (tmp_path / "run").exists()


def damage_half(shard):
    """Corrupts every record of the second half; the size stays."""
    content = bytearray(shard.read_bytes())
    half = slice(len(content) // 2, None, 50)
    content[half] = bytes(byte ^ 0xFF for byte in content[half])
    shard.write_bytes(content)


def test_a_record_that_is_damaged(electra, damaged, tmp_path):
    damage_half(shard_of(damaged))
    words = ["train", "toy.gin", f"DATA={damaged}", f"MODEL_DIR={tmp_path / 'run'}"]
    assert_refused(electra(*words), str(shard_of(damaged)), "byte ")


def test_a_damaged_record_that_training_meets(electra, damaged, tmp_path, monkeypatch):
    damage_half(shard_of(damaged))
    # Measuring the baselines would read the record first, as it reads all of so small a folder.
    monkeypatch.setattr(ElectraPretraining, "baselines", lambda task: {})
    words = ["train", "toy.gin", f"DATA={damaged}", f"MODEL_DIR={tmp_path / 'run'}"]
    assert_refused(electra(*words), str(shard_of(damaged)), "byte ")


def test_tfrecords_with_static_masks(electra, place, tmp_path):
    shutil.copytree(place.folder / "data/tokenizer", tmp_path / "static/tokenizer")

    def integers(*values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    feature = {name: integers(2, 4, 3) for name in ("input_ids", "input_mask", "segment_ids")}
    feature["masked_lm_positions"] = integers(1)
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    with tf.io.TFRecordWriter(str(tmp_path / "static/pretrain_data.tfrecord-0-of-1")) as file:
        file.write(example.SerializeToString())
    result = electra("train", "toy.gin", f"DATA={tmp_path / 'static'}", "MODEL_DIR=new")
    assert_refused(result, "pretrain_data.tfrecord-0-of-1", "masked_lm_positions")
    assert not (place.folder / "new").exists()


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("networks.ElectraConfig.hiden_size = 8", ["hiden_size", "did you mean hidden_size"]),
        ("networks.ElektraConfig.hidden_size = 8", ["ElektraConfig", "did you mean ElectraConfig"]),
        ("training.RunConfg.data = 'x'", ["RunConfg", "did you mean RunConfig"]),
        ("DROPUOT = 0.2", ["DROPUOT", "did you mean DROPOUT"]),
        ("training.TrainingConfig.seed = %SEDE", ["%SEDE", "did you mean SEED"]),
    ],
)
def test_an_unknown_name_in_a_recipe(electra, place, tmp_path, line, parts):
    (tmp_path / "mine.gin").write_text(f"{RECIPE}\n{line}\n")
    result = electra("train", tmp_path / "mine.gin", "DATA=data", "MODEL_DIR=new")
    assert_refused(result, "mine.gin", *parts)


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("LEARNIGN_RATE=1", "did you mean LEARNING_RATE"),
        ("BATCH_SIZE=many", "BATCH_SIZE must be an integer"),
        ("BATCH_SIZE=0", "batch_size must be an integer from 1 to 1,000,000, was 0"),
        ("DROPOUT=1.5", "hidden_dropout_prob must be a dropout rate in [0, 1), was 1.5"),
        ("INTERVAL=7", "checkpoint_interval must be a multiple of steps_per_loop (5)"),
        ("STRATEGY=many", "strategy must be"),
    ],
)
def test_a_setting_that_is_wrong(electra, setting, part):
    assert_refused(electra("train", "toy.gin", "DATA=data", "MODEL_DIR=new", setting), part)


def test_a_run_folder_of_another_configuration(electra, run):
    files = [run / "run.json", run / "config.gin", run / "metrics.jsonl"]
    before = [file.read_bytes() for file in files]
    result = electra("train", "toy.gin", "DATA=data", "MODEL_DIR=run", "DROPOUT=0.2", "SEED=3")
    assert_refused(
        result,
        "task.config.generator.hidden_dropout_prob was 0.1, is now 0.2",
        "training.seed was 0, is now 3",
    )
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize(
    "words",
    [
        "vocab texts --size 100 --to toy.gin/new",
        "vocab texts --size 100 --to toy.gin",
        "examples texts --tokenizer tokenizer --to toy.gin/new",
        "train toy.gin DATA=data MODEL_DIR=toy.gin/new",
        "predict run text --html toy.gin/new.html",
    ],
)
def test_a_folder_that_cannot_be_written(electra, run, words):
    assert_refused(electra(*words.split()), "toy.gin")


def test_a_folder_that_is_full_is_not_overwritten(electra, place):
    before = (place.folder / "tokenizer/vocab.txt").read_bytes()
    assert_refused(electra("vocab", "texts", "--to", "tokenizer"), "is not overwritten")
    result = electra("examples", "texts", "--tokenizer", "tokenizer", "--to", "data")
    assert_refused(result, "is not overwritten")
    assert (place.folder / "tokenizer/vocab.txt").read_bytes() == before


def test_a_mistake_is_one_line_of_the_process_too(place, damaged):
    shard = shard_of(damaged)
    os.truncate(shard, shard.stat().st_size - 100)
    process = place.start("train", "toy.gin", f"DATA={damaged}", "MODEL_DIR=new")
    _, err = process.communicate(timeout=280)
    assert_refused((process.returncode, "", err), str(shard))


def test_every_value_of_the_last_checkpoint_is_finite(run):
    for name, value in state(run / "checkpoints").items():
        if np.issubdtype(value.dtype, np.floating):
            assert np.isfinite(value).all(), name
