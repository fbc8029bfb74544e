"""`electra predict` opens a run; tests/inference covers options, files and other models."""

import json
import shutil

from official_nlp.inference.predictor import Predictor

SENTENCES = [
    f"The {a} boat walks a green river and the {b} bird sings, the old stone sings a boat."
    for a in ("red", "green", "old")
    for b in ("red", "green", "old")
]


def test_words_are_scored_and_blanks_filled(run, command):
    printed = command("predict", run, "The red boat [sings].", "the ___ boat", "def __init__(a):")
    assert "The red boat [sings]." in printed
    assert "the ___ boat the generator's best: " in printed
    # A name with underscores is a word, not a blank.
    assert "def __init__(a):" in printed
    assert printed.count("the generator's best") == 1
    assert printed.count("%") >= 3 + 3 + 3


def test_swapped_words_are_ranked_and_written_as_a_page(run, tmp_path, command):
    (tmp_path / "held_out.txt").write_text("\n".join(SENTENCES), encoding="utf-8")
    page = tmp_path / "words.html"
    words = ["--file", tmp_path / "held_out.txt", "--word-swaps", 7, "--html", page]
    printed = command("predict", run, *words)
    assert "7 held-out sentences, one word of each swapped" in printed
    assert page.read_text(encoding="utf-8").count("<tr><td>") == 7


def test_results_are_written_as_json_lines(run, tmp_path, command):
    results = tmp_path / "results.jsonl"
    printed = command("predict", run, "the red boat", "a ___", "--to", results)
    assert printed == f"wrote {results}: 2 results"
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    assert [list(line) for line in lines] == [["words"], ["fillings"]]


def test_sequences_are_as_long_as_in_training(run):
    assert Predictor.from_pretrained(run).length == 32


def test_wrong_input_is_refused_in_one_line(run, tmp_path, command):
    assert "must be a run folder" in command.refused("predict", tmp_path, "a")
    assert "must fit into 30 tokens, got 41" in command.refused("predict", run, "a " * 40 + "___")
    shutil.copytree(run, tmp_path / "begun")
    shutil.rmtree(tmp_path / "begun/checkpoints")
    assert "no checkpoint in" in command.refused("predict", tmp_path / "begun", "a")
