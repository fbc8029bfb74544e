"""The page of this folder: its examples run in their order, and its claims hold."""

import json
import pathlib
import re
import shlex

import numpy as np
import pytest

from official_nlp.cli import main
from official_nlp.inference.embedding import POOLINGS
from tests.inference.conftest import build

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "official_nlp/inference/README.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"```python\n(.*?)```|^    (electra [^\n]*)$", re.MULTILINE | re.DOTALL)
PAIR = {"sentence_good": "The boat sings.", "sentence_bad": "The boat sing.", "UID": "agreement"}


@pytest.fixture(scope="module")
def page(tokenizer, tmp_path_factory):
    """Return the folder in which all examples have run, and the names of the snippets."""
    folder = tmp_path_factory.mktemp("page")
    for part, model in build("pair").items():
        model.save_pretrained(folder / "published" / part)
        tokenizer.save_pretrained(folder / "published" / part)
    (folder / "texts.txt").write_text("The red boat.\nAn old stone.\n")
    build("classification").save_pretrained(folder / "reviewer")
    tokenizer.save_pretrained(folder / "reviewer")
    (folder / "reviews.csv").write_text("id,opinion,stars\n7,a red boat,1\n8,an old bird,2\n")
    (folder / "pairs.jsonl").write_text(f"{json.dumps(PAIR)}\n")
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for code, command in EXAMPLE.findall(PAGE):
            if code:
                exec(code, names)
            else:
                assert main.main(shlex.split(command)[1:]) == main.DONE, command
    return folder, names


def test_the_examples_write_what_the_page_says(page):
    folder, names = page
    assert np.load(folder / "vectors.npy").shape == (2, 16)
    assert names["vectors"].shape == (2, 16)
    assert json.loads((folder / "tokens.jsonl").read_text()).keys() == {"tokens", "vectors"}
    assert len((folder / "words.jsonl").read_text().splitlines()) == 2
    lines = [f"{index}\t{label}" for index, label in zip((7, 8), names["found"])]
    assert (folder / "labels.tsv").read_text().splitlines() == ["index\tprediction", *lines]
    assert list(names["result"].scores) == ["positive", "negative"]
    written = json.loads((folder / "accuracy.json").read_text())
    assert written == names["results"].to_dict()


def test_every_pooling_has_a_row():
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(POOLINGS)
