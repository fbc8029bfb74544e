"""Tests of `official_nlp.data` as a whole: its public names and the modules that they load."""

import subprocess
import sys

import pytest

from official_nlp import data

_PROGRAM = """
import sys
from official_nlp import data

data.ElectraTokenizer, data.train_vocabulary, data.build_examples, data.documents
heavy = {"tensorflow", "tf_keras", "orbit"} & set(sys.modules)
assert not heavy, f"text tools load {heavy}"

data.GraphTokenizer, data.mask_tokens
import official_nlp.modeling
assert "tensorflow_text" not in sys.modules, "tensorflow_text is loaded before the first graph"
"""


@pytest.mark.parametrize("name", data.__all__)
def test_every_public_name_exists(name):
    assert getattr(data, name).__name__ == name
    assert name in dir(data)


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match=r"no attribute 'ElectraTokeniser'"):
        data.ElectraTokeniser  # noqa: B018


def test_tensorflow_and_tensorflow_text_are_loaded_only_where_they_are_needed(repository):
    subprocess.run([sys.executable, "-c", _PROGRAM], check=True, cwd=repository)
