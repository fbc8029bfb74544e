"""`electra info` describes folders of every kind."""

import shutil

import pytest

from official_nlp import data
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from tests.data.conftest import VOCABULARY


def test_a_tokenizer(command, tokenizer_folder):
    for path in (tokenizer_folder, tokenizer_folder / "vocab.txt"):
        printed = command("info", path)
        assert f"tokenizer: wordpiece, {len(VOCABULARY)} tokens, lower-cased" in printed
        assert ElectraTokenizer.from_pretrained(path).vocab_hash in printed


def test_a_data_folder(command, built):
    printed, folder = command("info", built), data.open_folder(built)
    train, held_out = folder.count("train"), folder.count("held_out")
    assert f"data: {train} training examples, {held_out} held-out examples of at most 32" in printed
    assert "seed: 0" in printed


def test_a_run(command, run):
    printed = command("info", run)
    assert "run: saved at step 14 of 14, seed 5" in printed
    assert "generator: 2 layers, width 8, 1 heads" in printed
    assert "sharing: shared" in printed
    assert "rtd_unigram_auc" in printed


def test_a_run_before_its_first_checkpoint(command, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints")
    assert "run: saved at step 0 of 14" in command("info", tmp_path / "run")


def test_a_hugging_face_folder(command, golden):
    folder = golden("hf_tiny_fp16_stored_pretraining")
    printed = command("info", folder)
    tokens = ElectraTokenizer.from_pretrained(folder).vocab_size
    assert "ElectraForPreTraining" in printed
    assert f"tokenizer: wordpiece, {tokens:,} tokens" in printed


@pytest.mark.parametrize("name", ["", "/model.ckpt-1234567"])
def test_a_google_research_checkpoint(command, golden, name):
    printed = command("info", f"{golden('google_tf1_fully_tied')}{name}")
    assert "generator: ElectraForMaskedLM" in printed
    assert "step 1,234,567" in printed


def test_a_path_of_another_kind_is_refused(tmp_path, command):
    refused = command.refused("info", tmp_path)
    assert "must be a run folder (run.json), a data folder" in refused
    assert "has none of these files" in refused
    assert "does not exist" in command.refused("info", tmp_path / "nothing")
