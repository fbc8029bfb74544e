"""`electra predict` reads a run; tests/inference tests the other models and options."""

import shutil


def test_a_run_scores_words_and_fills_blanks(run, command):
    printed = command("predict", run, "The red boat [sings].", "the ___ boat")
    assert "The red boat [sings]." in printed
    assert printed.count("the generator's best") == 1
    assert printed.count("%") >= 3 + 3


def test_a_run_without_a_checkpoint_is_refused(run, command, tmp_path):
    shutil.copytree(run, tmp_path / "begun")
    shutil.rmtree(tmp_path / "begun/checkpoints")
    assert "no checkpoint in" in command.refused("predict", tmp_path / "begun", "a")


def test_a_folder_without_a_model_is_refused(command, tmp_path):
    assert str(tmp_path) in command.refused("predict", tmp_path, "a")
