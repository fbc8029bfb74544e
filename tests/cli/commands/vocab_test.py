"""`electra vocab` writes a tokenizer folder."""

import pytest

from official_nlp.data.tokenization.tokenizer import ElectraTokenizer


def test_a_wordpiece_vocabulary_is_learned(tmp_path, command, text_file):
    to = tmp_path / "tokenizer"
    printed = command("vocab", text_file, "--to", to, "--size", 90, "--cased", "--strip-accents")
    tokenizer = ElectraTokenizer.from_pretrained(to)
    assert tokenizer.vocab_size <= 90
    assert (tokenizer.do_lower_case, tokenizer.strip_accents) == (False, True)
    assert "vocabulary of" in printed


def test_a_sentencepiece_model_is_learned(tmp_path, command, text_file):
    to = tmp_path / "tokenizer"
    command("vocab", text_file, "--to", to, "--size", 90, "--kind", "sentencepiece")
    for path in (to, to / "spm.model"):
        assert "tokenizer: sentencepiece, 34 tokens, lower-cased" in command("info", path)


@pytest.mark.parametrize("verb", ["vocab", "examples"])
def test_missing_text_is_refused(tmp_path, command, tokenizer_folder, verb):
    words = ["--tokenizer", tokenizer_folder] if verb == "examples" else []
    missing, to = tmp_path / "nowhere.txt", tmp_path / "to"
    assert "nowhere.txt" in command.refused(verb, missing, "--to", to, *words)
    assert not list(tmp_path.iterdir())
