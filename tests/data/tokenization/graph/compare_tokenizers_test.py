"""The tool `tools/compare_tokenizers.py`."""

import gzip
import unicodedata

import pytest
import tensorflow as tf

from official_nlp import data
from tests.data.tokenization.graph.agreement import SPECIAL, TEXTS
from tools import compare_tokenizers


def test_no_line_differs(tmp_path, capsys):
    letters = sorted({*"".join(TEXTS)} - {*"\x00 \n\r"})
    vocabulary = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    lines = [unicodedata.normalize(form, text) for text in TEXTS for form in ("NFC", "NFKD")]
    (tmp_path / "text.txt").write_text("\n".join(lines[:7]), encoding="utf-8")
    (tmp_path / "text.gz").write_bytes(gzip.compress("\n".join(lines[7:]).encode()))
    files = [str(tmp_path / name) for name in ("text.txt", "text.gz")]
    assert compare_tokenizers.main([*files, "--tokenizer", str(tmp_path / "vocab.txt")]) == 0
    assert "total: 0 of " in capsys.readouterr().out


def test_lines_that_differ_are_counted_and_printed(tmp_path, capsys, monkeypatch):
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL, "a", "b"]))
    (tmp_path / "text.txt").write_text("a\nb\na b")
    monkeypatch.setattr(data, "GraphTokenizer", lambda tokenizer: Wrong())
    arguments = [str(tmp_path / "text.txt"), "--tokenizer", str(tmp_path / "vocab.txt")]
    assert compare_tokenizers.main([*arguments, "--options", '{"do_lower_case": false}']) == 1
    printed = capsys.readouterr().out
    assert "text.txt: 2 of 3 lines differ (6.67e-01)" in printed
    assert "line 2: 'b'\n    graph  [5]\n    Python [6]" in printed


class Wrong:
    def pieces(self, texts):
        return tf.ragged.constant([[5]] * len(texts))


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_no_line_of_much_text_differs(outside_data, language):
    files = sorted(map(str, (outside_data / "data" / "corpus").glob(f"{language}_*.txt.gz")))
    assert files
    vocabulary = str(outside_data / "golden" / "tokenizer" / "vocab.txt")
    for options in ("{}", '{"do_lower_case": false}'):
        arguments = ["--tokenizer", vocabulary, "--options", options]
        assert compare_tokenizers.main([*files, *arguments]) == 0
