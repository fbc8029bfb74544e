"""One trained run for all tests of this folder, and the folders of its networks."""

import pathlib
import shutil

import pytest

from official_nlp.interchange import convert, sources
from tests import made_once
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
    return made_once.folder(
        tmp_path_factory, "run to convert", lambda folder: trained_run.train(folder, built)
    )


@pytest.fixture(scope="session")
def published(tmp_path_factory, run) -> pathlib.Path:
    """A folder with the Hugging Face folders of its two networks; tests must not change it."""
    return made_once.folder(
        tmp_path_factory,
        "converted pair",
        lambda folder: convert.write(sources.open(run), folder, "huggingface"),
    )


@pytest.fixture
def pair(tmp_path, published) -> pathlib.Path:
    """A copy of the two folders, which a test may change."""
    shutil.copytree(published, tmp_path / "pair")
    return tmp_path / "pair"
