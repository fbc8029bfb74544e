"""The page of this folder: its examples run in their order, and its claims hold."""

import pathlib
import re
import shlex
import shutil

import pytest

from official_nlp.cli import main
from official_nlp.inference import exported_files
from official_nlp.inference.question_answering import STRIDE
from official_nlp.serving.formats.network_file import TOLERANCE
from official_nlp.serving.text_encoding import MOST_BYTES
from official_nlp.serving.windows import MOST_WINDOWS

PAGE = pathlib.Path(__file__).parents[2] / "official_nlp/serving/README.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLE = re.compile(r"```python\n(.*?)```|^    (electra [^\n]*)$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_examples_run(exported, tmp_path, monkeypatch):
    shutil.copytree(exported / "model", tmp_path / "reviews")
    monkeypatch.chdir(tmp_path)
    rows = [("red boat", "positive"), ("old stone", "negative"), ("a", "neutral")] * 2
    lines = ["text\tlabel", *("\t".join(row) for row in rows)]
    (tmp_path / "dev.tsv").write_text("\n".join(lines))
    names = {}
    for code, command in EXAMPLE.findall(TEXT):
        if code:
            exec(code, names)
        else:
            assert main.main(shlex.split(command)[1:]) == main.DONE, command
    assert str(names["version"]) == "served/2"
    assert names["outputs"]["label"].shape == (2,)
    assert names["logits"].shape == (1, 3)


def test_the_page_names_every_format():
    for name in exported_files.FORMATS:
        assert f"`{name}`" in TEXT


def test_numbers_of_the_page_are_those_of_the_code():
    assert f"first {MOST_BYTES:,} bytes" in TEXT
    assert f"first {MOST_WINDOWS} windows" in TEXT
    assert f"share {STRIDE} tokens" in TEXT
    assert TOLERANCE == 0.0001
    assert "to 1e-4 of\n    the scale" in TEXT
