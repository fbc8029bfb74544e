"""`electra evaluate` measures a run on a held-out set."""

import json
import shutil

import pytest

from official_nlp.cli import printing
from official_nlp.cli.commands import evaluate
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


# === Metrics as a file ===


def test_the_metrics_are_written_as_json(run, command, tmp_path, last):
    printed = command("evaluate", run, "--to", tmp_path / "metrics.json")
    assert printed.endswith(f"{last} wrote {tmp_path / 'metrics.json'}")
    written = json.loads((tmp_path / "metrics.json").read_text())["held_out"]
    assert f"rtd_auc {written['rtd_auc']:.4f}" in printed


def test_an_undefined_metric_is_written_as_null():
    assert evaluate._without_nan({"a": {"b": float("nan"), "c": 1}}) == {"a": {"b": None, "c": 1}}


def test_a_file_is_replaced_on_request_only(run, command, tmp_path):
    (tmp_path / "pairs.jsonl").write_text(f"{json.dumps(PAIR)}\n")
    (tmp_path / "metrics.json").write_text("old")
    words = ["evaluate", run, tmp_path / "pairs.jsonl", "--to"]
    refused = command.refused(*words, tmp_path / "metrics.json")
    assert "metrics.json exists and is not overwritten" in refused
    refused = command.refused(*words, tmp_path / "pairs.jsonl", "--overwrite")
    assert "is the file that is read" in refused
    command(*words, tmp_path / "metrics.json", "--overwrite")
    assert json.loads((tmp_path / "metrics.json").read_text())["overall"]["pairs"] == 1


# === Minimal pairs ===

PAIR = {"sentence_good": "The red boat sings.", "sentence_bad": "The red the sings."}


def test_both_networks_of_a_run_judge_minimal_pairs(run, command, tmp_path):
    rows = [{**PAIR, "UID": name} for name in ("b_1", "a_1", "b_1")]
    rows.append({**PAIR, "sentence_bad": "red " * 40, "UID": "a_1"})
    (tmp_path / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    printed = command("evaluate", run, tmp_path, "--checkpoint", 12, "--to", tmp_path / "a.json")
    assert printed.startswith("UID pairs discriminator per token generator per token a_1 1 ")
    assert "b_1 2 " in printed
    assert "fractions of pairs whose good sentence is preferred; a tie counts 0.5" in printed
    assert "left out: 1 pair with a sentence of more than 30 tokens" in printed
    written = json.loads((tmp_path / "a.json").read_text())
    overall = written["overall"]["networks"]
    assert list(overall) == ["discriminator", "generator"]
    numbers = [f"{x:.4f}" for preference in overall.values() for x in preference.values()]
    assert f"all pairs 3 {' '.join(numbers)} fractions" in printed


def test_a_terminal_shows_a_table(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    name = "a_long_name_of_a_phenomenon"
    evaluate._print_table(["UID", "pairs"], [[name, "2"]], printing.console())
    lines = capsys.readouterr().out.split("\n")
    assert any(name in line and line.rstrip().endswith("2") for line in lines)


def test_minimal_pairs_that_cannot_be_judged_are_refused(run, command, tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text(f'{json.dumps(PAIR)}\n{{"sentence_good": "a"}}\n')
    assert "pairs.jsonl, line 2 has the keys" in command.refused("evaluate", run, file)
    file.write_text("")
    assert "pairs.jsonl is empty" in command.refused("evaluate", run, file)


def test_a_metric_that_is_not_a_number_is_shown_as_a_dash(capsys):
    metrics = {"held_out/a": None, "held_out/b": float("nan"), "held_out/c": 1.0, "step": 3}
    printing.print_metrics(metrics, printing.console())
    assert capsys.readouterr().out.split() == ["held_out", "a", "-", "b", "-", "c", "1.0000"]
