"""A small generated text, a vocabulary for it, and examples built from both."""

import pathlib
import random

import hypothesis
import pytest

from official_nlp.data.pretraining import examples
from official_nlp.data.storage import data_folder
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "a", "red", "green", "old", "boat", "river", "bird", "stone", "walks", "sings"]
LETTERS = list("abcdefghijklmnopqrstuvwxyz")
VOCABULARY = [
    *SPECIAL,
    ".",
    ",",
    *WORDS[:2],
    *LETTERS[1:],
    *["##" + x for x in LETTERS],
    *WORDS[2:],
]


def sentence(draw: random.Random) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(3, 30))) + "."


@pytest.fixture(scope="session")
def text_file(tmp_path_factory) -> pathlib.Path:
    """Sixty documents of up to twelve lines."""
    draw = random.Random(7)
    documents = ["\n".join(sentence(draw) for _ in range(draw.randint(1, 12))) for _ in range(60)]
    file = tmp_path_factory.mktemp("text") / "corpus.txt"
    file.write_text("\n\n".join(documents) + "\n")
    return file


@pytest.fixture(scope="session")
def tokenizer() -> ElectraTokenizer:
    return ElectraTokenizer(VOCABULARY)


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory, tokenizer) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory, text_file, tokenizer_folder) -> pathlib.Path:
    """A data folder with several shards, which tests must not change."""
    folder = tmp_path_factory.mktemp("data") / "examples"
    examples.build_examples(
        text_file,
        tokenizer_folder,
        folder,
        length=32,
        held_out=0.2,
        shard_examples=40,
        processes=1,
        progress=False,
    )
    return folder


@pytest.fixture
def folder(built) -> data_folder.DataFolder:
    return data_folder.open_folder(built)


@pytest.fixture(params=[15, pytest.param(300, marks=pytest.mark.slow)], ids=["few", "many"])
def property_settings(request) -> hypothesis.settings:
    """Settings of a property test: few examples by default, and many among the slow tests."""
    return hypothesis.settings(max_examples=request.param)
