"""The commands of the page on language models run, in their order, outside the checkout."""

import random
import re
import shlex
import shutil

import pytest

from official_nlp.cli import main
from tests.tasks.language_modeling import language_modeling_test

folder = language_modeling_test.folder

# Two steps each, in place of the steps and lengths of the recipes; the networks have 32 positions.
MORE = {
    "masked_lm": "LENGTH=24 BATCH_SIZE=8 EPOCHS=1 EVALUATIONS=1",
    "text_classification": "LENGTH=24 EPOCHS=1 EVALUATIONS=1",
    "laptop_mlm": "LENGTH=24 STEPS=2 WARMUP_STEPS=1 BATCH_SIZE=8",
}


@pytest.mark.slow
def test_the_commands_run(folder, repository, tmp_path, monkeypatch):
    page = (repository / "official_nlp/tasks/language_modeling/README.md").read_text()
    commands = [shlex.split(line)[1:] for line in re.findall(r"^    (electra .*)$", page, re.M)]
    assert [words[0] for words in commands] == ["examples", "train", "train", "train"]
    shutil.copytree(folder / "published", tmp_path / "published")
    (tmp_path / "texts").mkdir()
    shutil.copy(folder / "corpus.txt", tmp_path / "texts")
    draw = random.Random(1)
    rows = [f"{language_modeling_test.sentence(draw)},{n % 2}" for n in range(30)]
    (tmp_path / "reviews.csv").write_text("\n".join(["review,label", *rows]))
    monkeypatch.chdir(tmp_path)
    for words in commands:
        more = MORE[words[1]].split() if words[0] == "train" else ["--length", "24"]
        if words[0] == "examples":
            more += ["--held-out", "20%"]
        assert main.main([*words, *more]) == main.DONE, words
    assert (tmp_path / "runs/reviews/model/model.safetensors").is_file()
