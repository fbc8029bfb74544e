"""Tokenizers are compared with word tables by one count of their tokens."""

import json

import pytest

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.interchange import vocabulary_fit

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
ADDED = {"7": {"content": "<c>"}, "8": {"content": "<d>"}}


def write(folder, **files):
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("__", ".")).write_text(text)
    return folder


LINES = "\n".join(TOKENS) + "\n"
FOLDERS = {
    "vocabulary": (7, {"vocab__txt": LINES}),
    "blank line at the end": (7, {"vocab__txt": LINES + "\n"}),
    "byte order mark": (7, {"vocab__txt": "\ufeff" + LINES}),
    "added_tokens.json": (9, {"vocab__txt": LINES, "added_tokens__json": {"<d>": 8, "<c>": 7}}),
    "added_tokens_decoder": (
        9,
        {"vocab__txt": LINES, "tokenizer_config__json": {"added_tokens_decoder": ADDED}},
    ),
    "additional_special_tokens": (
        9,
        {
            "vocab__txt": LINES,
            "special_tokens_map__json": {"additional_special_tokens": ["a", "<c>", "<d>"]},
        },
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_count_is_that_of_the_tokenizer(tmp_path, name):
    count, files = FOLDERS[name]
    folder = write(tmp_path, **files)
    assert len(ElectraTokenizer.from_pretrained(folder)) == count
    assert vocabulary_fit.compare_folder(folder, count) == ()
    (note,) = vocabulary_fit.compare_folder(folder, count + 1000)
    assert "the last 1000 rows are unused" in note
    with pytest.raises(InputError, match=f"must not have more tokens than the {count - 1} rows"):
        vocabulary_fit.compare_folder(folder, count - 1)


def test_tokens_that_only_tokenizer_json_adds_are_counted(tmp_path):
    ElectraTokenizer(TOKENS, added_tokens_decoder=ADDED).save_pretrained(tmp_path)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / name).unlink()
    assert len(ElectraTokenizer.from_pretrained(tmp_path)) == 9
    assert vocabulary_fit.compare_folder(tmp_path, 9) == ()


def test_a_folder_without_a_tokenizer_is_not_mentioned(tmp_path):
    assert vocabulary_fit.compare_folder(tmp_path, 9) == ()
