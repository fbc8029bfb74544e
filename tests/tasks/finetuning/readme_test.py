"""The commands of the page on fine-tuning run, in their order, in a folder outside the checkout."""

import json
import re
import shlex
import shutil

import pytest

from official_nlp.cli import main
from tests.tasks.finetuning import text_classification_test
from tests.tasks.finetuning.text_classification_test import FAST

folder = text_classification_test.folder
CONTEXT = "the film was great and the story was quite short"


@pytest.mark.slow
def test_the_commands_run(folder, repository, tmp_path, monkeypatch):
    page = (repository / "official_nlp/tasks/finetuning/README.md").read_text()
    commands = [shlex.split(line)[1:] for line in re.findall(r"^    (electra .*)$", page, re.M)]
    verbs = ["train", "evaluate", "predict", *["train", "predict"] * 2, "sweep"]
    assert [words[0] for words in commands] == verbs
    # Its test is that of the verb, as it needs a pre-training run.
    commands.pop()
    shutil.copytree(folder / "published", tmp_path / "published")
    for name in ("reviews", "more", "few"):
        rows = (folder / "train.tsv").read_text().splitlines()[:40]
        (tmp_path / f"{name}.csv").write_text("\n".join(row.replace("\t", ",") for row in rows))
    for name in ("train", "dev", "test"):
        answer = {"text": "great", "answer_start": CONTEXT.index("great")}
        question = {"id": name, "question": "was it good", "answers": [answer]}
        article = {"title": "film", "paragraphs": [{"context": CONTEXT, "qas": [question]}]}
        (tmp_path / f"{name}.json").write_text(json.dumps({"version": "1.1", "data": [article]}))
    monkeypatch.chdir(tmp_path)
    for words in commands:
        more = FAST if words[0] == "train" else []
        assert main.main([*words, *more]) == main.DONE, words
    assert len((tmp_path / "predictions.jsonl").read_text().splitlines()) == 1
    assert list(json.loads((tmp_path / "answers.json").read_text())) == ["test"]
