"""Damaged tokenizers result in InputError or in a tokenizer, never in another error or a crash."""

import shutil

import pytest

from official_nlp.data import ElectraTokenizer
from official_nlp.data.tokenization.vocabulary import train_vocabulary
from tests import damage, damaged_files

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CONFIGS = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]
# Damaged file, kind of damage, and the files beside it, which decide what is read from it.
WORDPIECE = [
    ("vocab.txt", "bytes", CONFIGS),
    ("vocab.txt", "bytes", []),
    ("tokenizer.json", "json", ["vocab.txt", *CONFIGS]),
    ("tokenizer.json", "json", []),
    ("tokenizer_config.json", "json", ["vocab.txt"]),
    ("special_tokens_map.json", "json", ["vocab.txt"]),
    ("added_tokens.json", "json", ["vocab.txt"]),
]


@pytest.fixture(scope="module")
def cases(tmp_path_factory, text_file):
    base = tmp_path_factory.mktemp("tokenizers")
    words = [*SPECIAL, "a", "b", "##c", "##d", ".", "é", "e", "the", "red"]
    ElectraTokenizer(words, additional_special_tokens=["<e>"]).save_pretrained(base / "whole")
    (base / "whole" / "added_tokens.json").write_text(f'{{"<e>": {len(words)}}}')
    found = []
    for number, (file, kind, others) in enumerate(WORDPIECE):
        folder = base / str(number)
        folder.mkdir()
        for name in [file, *others]:
            shutil.copy(base / "whole" / name, folder)
        found.append(("tokenizer", folder, file, kind))
    model = base / "model"
    train_vocabulary(text_file, model, size=70, kind="sentencepiece", progress=False)
    found.append(("tokenizer", model, "spm.model", "sentencepiece"))
    return [*found, ("tokenizer", model, "tokenizer_config.json", "json")]


def test_damaged_tokenizers_are_refused_or_read(cases, record_property):
    # The last seed damages a character map so that it results in bytes that are not UTF-8.
    opened, found = damaged_files.open_all(cases, [*range(40), 4230], seconds=60)
    record_property(damage.TRIED, opened)
    assert found == []


@pytest.mark.slow
def test_many_damaged_tokenizers_are_refused_or_read(cases, record_property):
    opened, found = damaged_files.open_all(cases, range(1000, 50_000), seconds=200)
    record_property(damage.TRIED, opened)
    assert found == []
