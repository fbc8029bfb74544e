import json

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from official_nlp.data.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, "a", "b", "##c", "##d", ".", "é", "e"]
A, B, C, D, DOT = range(5, 10)
CLS, SEP = 2, 3


@pytest.fixture(scope="module")
def tiny() -> ElectraTokenizer:
    return ElectraTokenizer(VOCABULARY)


def lists(encoding) -> dict:
    return {name: np.asarray(values).tolist() for name, values in encoding.items()}


def test_a_text_is_encoded(tiny):
    assert lists(tiny("Ac b.")) == {
        "input_ids": [CLS, A, C, B, DOT, SEP],
        "token_type_ids": [0] * 6,
        "attention_mask": [1] * 6,
    }
    assert tiny("a")["input_ids"].dtype == np.int32


def test_a_pair_is_encoded(tiny):
    assert lists(tiny("a b", "bd")) == {
        "input_ids": [CLS, A, B, SEP, B, D, SEP],
        "token_type_ids": [0, 0, 0, 0, 1, 1, 1],
        "attention_mask": [1] * 7,
    }


def test_several_texts_are_padded(tiny):
    assert lists(tiny(["a", "a b ."], padding=True)) == {
        "input_ids": [[CLS, A, SEP, 0, 0], [CLS, A, B, DOT, SEP]],
        "token_type_ids": [[0] * 5] * 2,
        "attention_mask": [[1, 1, 1, 0, 0], [1] * 5],
    }
    assert tiny(["a"], padding="max_length", max_length=6)["input_ids"].shape == (1, 6)
    assert tiny([], padding=True)["input_ids"].shape == (0, 0)


def test_without_padding_rows_keep_their_lengths(tiny):
    rows = tiny(["a", "a b"], ["b", "."])["input_ids"]
    assert [row.tolist() for row in rows] == [[CLS, A, SEP, B, SEP], [CLS, A, B, SEP, DOT, SEP]]
    assert tiny([])["input_ids"] == []


@pytest.mark.parametrize(
    ("truncation", "expected"),
    [
        (True, [CLS, A, A, SEP, B, B, SEP]),
        ("longest_first", [CLS, A, A, SEP, B, B, SEP]),
        ("only_first", [CLS, A, SEP, B, B, B, SEP]),
        ("only_second", [CLS, A, A, A, SEP, B, SEP]),
    ],
)
def test_what_is_too_long_is_cut(tiny, truncation, expected):
    encoding = tiny("a a a", "b b b", max_length=7, truncation=truncation)
    assert encoding["input_ids"].tolist() == expected
    assert len(tiny("a a a", "b b b")["input_ids"]) == 9


def test_offsets_point_into_the_text(tiny):
    offsets = tiny(["Ac b"], return_offsets_mapping=True, padding=True)["offset_mapping"]
    assert offsets.dtype == np.int32
    assert offsets.tolist() == [[[0, 0], [0, 1], [1, 2], [3, 4], [0, 0]]]
    assert tiny("", return_offsets_mapping=True)["offset_mapping"].shape == (2, 2)


def test_names_of_special_tokens_stand_for_them_but_not_in_data(tiny):
    assert tiny.tokenize("a[MASK]b") == ["a", "[MASK]", "b"]
    (ids,) = tiny.encode_ids(["a [SEP] b"])
    assert ids.tolist() == [A, 1, 1, 1, B]


@pytest.mark.parametrize(
    ("options", "pieces"),
    [
        ({}, ["e"]),
        ({"do_lower_case": False}, ["[UNK]"]),
        ({"strip_accents": False}, ["é"]),
        ({"do_lower_case": False, "strip_accents": True}, ["[UNK]"]),
    ],
)
def test_case_and_accents(options, pieces):
    assert ElectraTokenizer(VOCABULARY, **options).tokenize("É") == pieces


def test_decoding_joins_pieces(tiny):
    ids = tiny("acd b.")["input_ids"]
    assert tiny.decode(ids) == "[CLS] acd b. [SEP]"
    assert tiny.decode(ids, skip_special_tokens=True) == "acd b."
    assert tiny.decode([]) == ""


def test_names_and_ids_are_exchanged(tiny):
    assert tiny.convert_ids_to_tokens([5, 7]) == ["a", "##c"]
    assert tiny.convert_tokens_to_ids(["##c", "what"]) == [7, 1]
    assert len(tiny) == tiny.vocab_size == len(VOCABULARY)
    assert tiny.special_ids == [2, 3, 4, 0]


def test_a_folder_comes_back(tmp_path):
    settings = {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False}
    names = {"mask_token": "<mask>", "unk_token": "a", "model_max_length": 77}
    first = ElectraTokenizer([*VOCABULARY, "<mask>", "\x85", "#"], **settings, **names)
    first.save_pretrained(tmp_path / "new" / "folder")
    second = ElectraTokenizer.from_pretrained(tmp_path / "new" / "folder")
    for name in ("vocab", "vocab_hash", "mask_token_id", "unk_token_id", *settings, *names):
        assert getattr(first, name) == getattr(second, name), name
    assert ElectraTokenizer.from_pretrained(
        tmp_path / "new/folder", do_lower_case=True
    ).do_lower_case


def test_hugging_faces_forms_of_special_tokens_are_read(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join([*VOCABULARY, "<mask>", "<pad>"]))
    config = {"mask_token": {"content": "<mask>", "lstrip": True}, "sep_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "special_tokens_map.json").write_text('{"pad_token": "<pad>"}')
    found = ElectraTokenizer.from_pretrained(tmp_path)
    assert (found.mask_token_id, found.pad_token_id, found.sep_token_id) == (12, 13, 3)


def test_a_bare_vocabulary_file_is_enough(tmp_path):
    (tmp_path / "any name").write_bytes("\r\n".join(VOCABULARY).encode())
    assert ElectraTokenizer.from_pretrained(tmp_path / "any name").vocab == VOCABULARY


@pytest.mark.parametrize("missing", VOCABULARY[:5])
def test_a_vocabulary_without_a_special_token_is_refused(tmp_path, missing):
    (tmp_path / "vocab.txt").write_text("\n".join(set(VOCABULARY) - {missing}))
    role = missing.strip("[]").lower() + "_token"
    with pytest.raises(InputError) as error:
        ElectraTokenizer.from_pretrained(tmp_path)
    assert f"{tmp_path / 'vocab.txt'}: the vocabulary must hold {role} {missing!r}" in str(
        error.value
    )


def test_folders_without_a_usable_tokenizer_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no tokenizer at .*nothing"):
        ElectraTokenizer.from_pretrained(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"holds no vocab.txt"):
        ElectraTokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"a\n\xff\n")
    with pytest.raises(InputError, match=r"vocab.txt: a vocabulary must be UTF-8 text, but byte 2"):
        ElectraTokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY))
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer_config.json must be JSON"):
        ElectraTokenizer.from_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"cannot read the vocabulary .*Is a directory"):
        ElectraTokenizer(tmp_path)


def test_a_place_that_cannot_be_written_is_refused(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write the tokenizer to .*file"):
        tiny.save_pretrained(tmp_path / "file" / "folder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"truncation": True}, "truncation=True needs max_length"),
        ({"truncation": "some", "max_length": 3}, "truncation must be .* was 'some'"),
        ({"padding": "some"}, "padding must be .* was 'some'"),
        ({"padding": "max_length"}, "needs max_length"),
        ({"text_pair": "b"}, "text_pair must hold a text for each of the 2, was one text"),
        ({"text_pair": ["b"]}, "text_pair must hold a text for each of the 2, was 1 texts"),
        ({"truncation": "only_second", "max_length": 3}, "truncation='only_second', max_length=3"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tiny, arguments, message):
    with pytest.raises(InputError, match=message):
        tiny(["a a a", "b"], **arguments)


@hypothesis.given(strategies.text())
def test_any_text_is_encoded_and_offsets_stay_in_it(text):
    tokenizer = ElectraTokenizer(VOCABULARY)
    encoding = tokenizer(text, return_offsets_mapping=True)
    assert encoding["input_ids"][0] == CLS
    assert encoding["input_ids"][-1] == SEP
    assert (encoding["offset_mapping"] <= len(text)).all()
    assert tokenizer(text, truncation=True, max_length=4)["input_ids"].shape[0] <= 4
