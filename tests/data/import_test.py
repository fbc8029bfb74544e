"""`official_nlp.data` as a whole: what it offers and what it loads."""

import subprocess
import sys

import pytest

from official_nlp import data

_PROGRAM = """
import sys
from official_nlp import data
data.{name}
heavy = [module for module in ("tensorflow", "tf_keras", "orbit") if module in sys.modules]
sys.exit(f"loaded {{heavy}}" if heavy else 0)
"""


@pytest.mark.parametrize("name", data.__all__)
def test_every_public_name_is_there(name):
    assert getattr(data, name).__name__ == name
    assert name in dir(data)


def test_another_name_is_refused():
    with pytest.raises(AttributeError, match=r"no attribute 'ElectraTokeniser'"):
        data.ElectraTokeniser  # noqa: B018


@pytest.mark.parametrize("name", ["ElectraTokenizer", "train_vocabulary", "build_examples"])
def test_tools_for_text_load_no_tensorflow(name, repository):
    program = _PROGRAM.format(name=name)
    subprocess.run([sys.executable, "-c", program], check=True, cwd=repository)


def test_tensorflow_text_is_loaded_with_the_first_graph(repository):
    program = "import sys; from official_nlp import data; data.GraphTokenizer, data.mask_tokens\n"
    program += "import official_nlp.modeling; sys.exit('tensorflow_text' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=repository)
