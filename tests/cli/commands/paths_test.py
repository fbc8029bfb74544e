"""Every verb takes paths with characters that libraries or terminals treat specially."""

import shutil

import pytest

from official_nlp import output
from tests.cli.commands.conftest import contents

# Patterns, an escape, white space, signs of URLs and of gin, a line break, other scripts, a control
# character, and a byte that is not UTF-8.
ODD = "a [1]*?{b} \\n 50%#@$'\"\n\u00fc\u4f60\x1b\udcff"


@pytest.fixture
def odd(tmp_path):
    """A folder with an odd name, beside one that the name matches as a pattern."""
    (tmp_path / "a 1").mkdir()
    (tmp_path / ODD).mkdir()
    return tmp_path / ODD


def test_vocab_examples_and_info(text_file, odd, command):
    text = odd / "texts[1]" / "text[1].txt"
    text.parent.mkdir()
    shutil.copy(text_file, text)
    command("vocab", text, "--to", odd / "tokenizer", "--size", 70)
    tokenizer = odd / "tokenizer"
    command("examples", text.parent, "--tokenizer", tokenizer, "--to", odd.parent / "data[1]")
    command("examples", text, "--tokenizer", tokenizer, "--to", odd / "data")
    assert contents(odd / "data") == contents(odd.parent / "data[1]")
    assert "training examples" in command("info", odd / "data")
    assert "tokenizer: wordpiece" in command("info", odd / "tokenizer")


def test_info_predict_and_convert(run, odd, command):
    shutil.copytree(run, odd / "run")
    assert "saved at step 14 of 14" in command("info", odd / "run")
    command("convert", odd / "run", "--to", odd / "converted")
    command("convert", run, "--to", odd.parent / "expected")
    for part in ("generator", "discriminator"):
        file = f"{part}/model.safetensors"
        expected = (odd.parent / "expected" / file).read_bytes()
        assert (odd / "converted" / file).read_bytes() == expected
    (odd / "in.txt").write_text("the red boat\n")
    for model in ("run", "converted"):
        options = ["--file", odd / "in.txt", "--to", odd / f"{model}.jsonl"]
        command("predict", odd / model, *options)
    assert (odd / "run.jsonl").read_text() == (odd / "converted.jsonl").read_text() != ""
    command("convert", odd / "converted", "--as", "google", "--to", odd / "google")
    assert "google-research checkpoint" in command("info", odd / "google")


@pytest.mark.parametrize(
    "name",
    [
        "google_tf1_fully_tied",
        "hf_tf_h5_sequence_classification",
        "hf_tiny_fp16_stored_pretraining",
    ],
)
def test_info_of_models_of_other_programs(golden, odd, command, name):
    plain, moved = golden(name), odd / name
    shutil.copytree(plain, moved)
    shown = " ".join(output.escaped(str(moved)).split())
    assert command("info", moved).replace(shown, str(plain)) == command("info", plain)


@pytest.mark.slow
def test_train_and_evaluate(recipe, built, run, odd, command):
    shutil.copy(recipe, odd / "recipe.gin")
    shutil.copytree(built, odd / "data")
    settings = [f"DATA={odd / 'data'}", f"MODEL_DIR={odd / 'run'}", "SEED=5"]
    command("train", odd / "recipe.gin", *settings)
    assert "continuing after step 14 of 14" in command("train", odd / "run/config.gin")
    printed = [command("evaluate", each) for each in (run, odd / "run")]
    assert printed[0] == printed[1]
