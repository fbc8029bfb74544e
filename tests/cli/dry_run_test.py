"""Packaged recipes pass a dry run with the numbers of parameters of the paper."""

import pytest

from official_nlp.cli import main
from official_nlp.configuration import recipes
from official_nlp.training import preflight
from tests import random_words

# By the start of the name, longer names first.
PARAMETERS = {
    "small_plus_plus": "23,122,875",
    "small": "14,196,219",
    "base": "119,386,427",
    "large": "354,655,291",
    "demo": "2,100,859",
    "laptop": "4,384,187",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_words.data_folder(tmp_path_factory.mktemp("data"), 30522, 32)


@pytest.mark.parametrize(
    "name",
    # Building takes seconds for the small sizes and half a minute for the large.
    [
        pytest.param(n, marks=[] if n == "demo" else [pytest.mark.slow])
        for n in recipes.names()
        if n.startswith(tuple(PARAMETERS)) and n != "laptop_mlm"
    ],
)
def test_a_recipe_builds_the_model_of_the_paper(tmp_path, folder, capsys, monkeypatch, name):
    # As on a machine with a GPU, whose memory is not known: batches of the paper need more than
    # most machines without one have.
    monkeypatch.setattr(preflight, "_host_memory", lambda: None)
    words = ["train", name, f"DATA={folder}", f"MODEL_DIR={tmp_path / 'run'}", "--dry-run"]
    words += [f"SHORT_DATA={folder}"] if name.endswith("_128_512") else []
    code = main.main(words)
    printed = capsys.readouterr()
    assert code == main.DONE, printed.err
    count = next(count for start, count in PARAMETERS.items() if name.startswith(start))
    assert f"model: {count} trainable parameters" in printed.out
    assert f"built {count} parameters; no errors found" in printed.out
    assert not (tmp_path / "run").exists()
