"""Every recipe passes a dry run, with the number of parameters that the paper has."""

import os
import subprocess
import sys

import pytest

from official_nlp.configuration import recipes
from tests import random_words

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


def _recipes():
    for name in recipes.names():
        # Building takes seconds for the small and half a minute for the large.
        yield pytest.param(name, marks=[] if name == "small" else [pytest.mark.slow])


@pytest.mark.parametrize("name", _recipes())
def test_a_recipe_passes_a_dry_run_with_the_papers_parameters(repository, tmp_path, folder, name):
    words = ["train", name, f"DATA={folder}", f"MODEL_DIR={tmp_path / 'run'}", "--dry-run"]
    words += [f"SHORT_DATA={folder}"] if name.endswith("_128_512") else []
    done = subprocess.run(
        [sys.executable, "-m", "official_nlp", *words],
        cwd=repository,
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    count = next(count for start, count in PARAMETERS.items() if name.startswith(start))
    assert f"model: {count} trainable parameters" in done.stdout
    assert f"built {count} parameters; everything fits" in done.stdout
    assert not (tmp_path / "run").exists()
