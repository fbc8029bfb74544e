"""`electra evaluate` measures a run on a held-out set."""

import json
import shutil

import pytest

from official_nlp.cli import printing
from official_nlp.data import ElectraTokenizer
from official_nlp.training import metrics_log
from tests.data.conftest import VOCABULARY


@pytest.fixture(scope="module")
def last(run):
    """The metrics of the last evaluation while the run trained, as `evaluate` prints them."""
    line = metrics_log.read(run / "metrics.jsonl")[-1]
    held_out = {name: value for name, value in line.items() if name.startswith("held_out/")}
    assert held_out
    return " ".join(f"{name.removeprefix('held_out/')} {v:.4f}" for name, v in held_out.items())


def test_the_metrics_are_those_of_the_last_evaluation(run, command, last):
    # By default on the data that the run was trained on.
    assert command("evaluate", run).endswith(last)


def test_an_earlier_checkpoint_can_be_evaluated(run, built, command):
    lines = metrics_log.read(run / "metrics.jsonl")
    (line,) = (each for each in lines if each["step"] == 12 and metrics_log.is_evaluation(each))
    printed = command("evaluate", run, built, "--checkpoint", 12)
    assert f"rtd_auc {line['held_out/rtd_auc']:.4f}" in printed


def test_a_run_is_evaluated_on_one_device_where_its_own_are_absent(
    run, tmp_path, built, command, monkeypatch, last
):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    shutil.copytree(run, tmp_path / "run")
    described = json.loads((run / "run.json").read_text())
    described["rounding"]["strategy"] = "multi_worker"
    (tmp_path / "run/run.json").write_text(json.dumps(described))
    printed = command("evaluate", tmp_path / "run", built)
    assert "strategy='multi_worker' needs TF_CONFIG in the environment" in printed
    assert printed.endswith(last)


def test_other_data_of_the_same_vocabulary_is_measured(run, command, shards):
    assert "rtd_unigram_auc 0." in command("evaluate", run, shards(length=16, held_out=0.5))


def test_shards_without_a_tokenizer_are_read_by_that_of_the_run(run, built, tmp_path, command):
    for number, shard in enumerate(sorted(built.glob("train-*.tfrecord"))):
        shutil.copy(shard, tmp_path / f"pretrain_data.tfrecord-{number}-of-1000")
    assert "rtd_unigram_auc 0." in command("evaluate", run, tmp_path)


def test_data_of_another_treatment_of_text_is_refused(run, command, shards, tmp_path):
    ElectraTokenizer(VOCABULARY, do_lower_case=False).save_pretrained(tmp_path)
    refused = command.refused("evaluate", run, shards(tmp_path, length=32, held_out=0.2))
    assert "(do_lower_case False, not True; strip_accents False, not True)" in refused


def test_data_that_does_not_fit_the_run_is_refused(run, command, shards, other_vocabulary):
    refused = command.refused("evaluate", run, other_vocabulary)
    assert f"has another vocabulary than {run}" in refused
    refused = command.refused("evaluate", run, shards(length=32, held_out=0))
    assert "has no evaluation set; for pre-training, build it with --held-out 1%" in refused
    refused = command.refused("evaluate", run, shards(length=64, held_out=0.2))
    assert "has examples of 64 tokens, but max_position_embeddings is only 32" in refused


def test_a_folder_without_a_run_or_without_a_checkpoint_is_refused(run, built, command, tmp_path):
    assert "must be a run folder (run.json)" in command.refused("evaluate", tmp_path, built)
    shutil.copytree(run, tmp_path / "begun")
    shutil.rmtree(tmp_path / "begun/checkpoints")
    assert "no checkpoint in" in command.refused("evaluate", tmp_path / "begun", built)


def test_a_metric_that_is_not_a_number_is_shown_as_a_dash(capsys):
    metrics = {"held_out/a": None, "held_out/b": float("nan"), "held_out/c": 1.0, "step": 3}
    printing.print_metrics(metrics, printing.console())
    assert capsys.readouterr().out.split() == ["held_out", "a", "-", "b", "-", "c", "1.0000"]
