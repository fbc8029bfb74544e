"""`electra predict` reads a run; tests/inference tests the other models and options."""

import shutil

import pytest


def test_a_run_scores_words_and_fills_blanks(run, command):
    printed = command("predict", run, "The red boat [sings].", "the ___ boat")
    assert "The red boat [sings]." in printed
    assert printed.count("the generator's best") == 1
    assert printed.count("%") >= 3 + 3


def test_a_run_without_a_checkpoint_is_refused(run, command, tmp_path):
    shutil.copytree(run, tmp_path / "begun")
    shutil.rmtree(tmp_path / "begun/checkpoints")
    assert "no checkpoint in" in command.refused("predict", tmp_path / "begun", "a")


@pytest.mark.parametrize("change", [lambda tokens: tokens[:-1], lambda tokens: tokens[::-1]])
@pytest.mark.parametrize("verb", [("predict", "a"), ("convert", "--to", "new"), ("info",)])
def test_a_run_whose_vocabulary_was_cut_or_reordered_is_refused(
    run, command, tmp_path, monkeypatch, verb, change
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, "run")
    file = tmp_path / "run/tokenizer/vocab.txt"
    file.write_text("".join(change(file.read_text().splitlines(keepends=True))))
    name, *words = verb
    refused = command.refused(name, "run", *words)
    assert "run/tokenizer/vocab.txt is not the file that the run was trained with" in refused
    assert not (tmp_path / "new").exists()


def test_a_folder_without_a_model_is_refused(command, tmp_path):
    assert str(tmp_path) in command.refused("predict", tmp_path, "a")
