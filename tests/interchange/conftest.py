"""One trained run for all tests of this folder, and the folders of its networks."""

import pathlib
import shutil

import pytest

from official_nlp.interchange import convert, sources
from tests.data.conftest import (  # noqa: F401
    built,
    text_file,
    tokenizer,
    tokenizer_folder,
)
from tests.interchange import trained_run


@pytest.fixture(scope="session")
def run(tmp_path_factory, built) -> pathlib.Path:  # noqa: F811
    """A run of a few steps with two checkpoints; tests must not change it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    trained_run.train(folder, built)
    return folder


@pytest.fixture(scope="session")
def published(run) -> pathlib.Path:
    """A folder with the Hugging Face folders of its two networks; tests must not change it."""
    convert.write(sources.open(run), run.parent / "pair", "huggingface")
    return run.parent / "pair"


@pytest.fixture
def pair(tmp_path, published) -> pathlib.Path:
    """A copy of the two folders, which a test may change."""
    shutil.copytree(published, tmp_path / "pair")
    return tmp_path / "pair"
