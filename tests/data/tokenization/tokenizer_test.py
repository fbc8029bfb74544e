import concurrent.futures
import json

import hypothesis
import numpy as np
import pytest
import tokenizers
from hypothesis import strategies

from official_nlp.data.pretraining import encoding
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
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


def test_sequences_keep_their_lengths_without_padding(tiny):
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
def test_long_pairs_are_truncated(tiny, truncation, expected):
    encoding = tiny("a a a", "b b b", max_length=7, truncation=truncation)
    assert encoding["input_ids"].tolist() == expected
    assert len(tiny("a a a", "b b b")["input_ids"]) == 9


def test_offsets_point_into_the_text(tiny):
    offsets = tiny(["Ac b"], return_offsets_mapping=True, padding=True)["offset_mapping"]
    assert offsets.dtype == np.int32
    assert offsets.tolist() == [[[0, 0], [0, 1], [1, 2], [3, 4], [0, 0]]]
    assert tiny("", return_offsets_mapping=True)["offset_mapping"].shape == (2, 2)


def test_special_tokens_are_matched_by_name_except_in_data(tiny):
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


def test_tokens_are_converted_to_ids_and_back(tiny):
    assert tiny.convert_ids_to_tokens([5, 7]) == ["a", "##c"]
    assert tiny.convert_tokens_to_ids(["##c", "what"]) == [7, 1]
    assert len(tiny) == tiny.vocab_size == len(VOCABULARY)
    assert tiny.special_ids == [2, 3, 4, 0]


def test_a_saved_folder_is_loaded_again(tmp_path):
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


def test_special_tokens_in_hugging_faces_form_are_read(tmp_path):
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


def test_an_added_token_that_normalization_removes_is_refused():
    added = {len(VOCABULARY): {"content": "\u200b", "normalized": True}}
    with pytest.raises(
        InputError, match=r"'\\u200b' must not be `normalized`, as normalization leav"
    ):
        ElectraTokenizer(VOCABULARY, added_tokens_decoder=added)
    found = ElectraTokenizer(VOCABULARY, added_tokens_decoder=added, clean_text=False)
    assert found.tokenize("a\u200bb") == ["a", "\u200b", "b"]


def test_added_tokens_that_normalization_makes_equal_are_refused():
    tokens = [{"content": name, "normalized": True} for name in ("Foo", "foo")]
    added = dict(enumerate(tokens, start=len(VOCABULARY)))
    with pytest.raises(InputError, match=r"'Foo' and 'foo' must not both be .* both 'foo'"):
        ElectraTokenizer(VOCABULARY, added_tokens_decoder=added)
    found = ElectraTokenizer(VOCABULARY, added_tokens_decoder=added, do_lower_case=False)
    assert found.tokenize("foo Foo") == ["foo", "Foo"]


def test_folders_without_a_usable_tokenizer_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no tokenizer at .*nothing"):
        ElectraTokenizer.from_pretrained(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"holds no vocab.txt"):
        ElectraTokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"a\n\xff\n")
    with pytest.raises(InputError, match=r"vocab.txt must be UTF-8 text, but byte 2"):
        ElectraTokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY))
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer_config.json must be JSON"):
        ElectraTokenizer.from_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"cannot read .*Is a directory"):
        ElectraTokenizer(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write the tokenizer to .*file"):
        tiny.save_pretrained(tmp_path / "file" / "folder")
    with pytest.raises(InputError, match=r"folder must be a local path .*, was 's3://b/x'"):
        tiny.save_pretrained("s3://b/x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"truncation": True}, "truncation=True needs max_length"),
        ({"truncation": "some", "max_length": 3}, "truncation must be .* was 'some'"),
        ({"padding": "some"}, "padding must be .* was 'some'"),
        ({"padding": "max_length"}, "needs max_length"),
        ({"text_pair": "b"}, "text_pair must be a list like text, with 2 texts, was one text"),
        ({"text_pair": ["b"]}, "text_pair must hold as many texts as text, 2, was 1 texts"),
        ({"truncation": "only_second", "max_length": 3}, "truncation='only_second', max_length=3"),
    ],
)
def test_contradictory_arguments_are_refused(tiny, arguments, message):
    with pytest.raises(InputError, match=message):
        tiny(["a a a", "b"], **arguments)


@hypothesis.given(strategies.text())
def test_any_text_is_encoded_with_valid_offsets(tiny, text):
    encoding = tiny(text, return_offsets_mapping=True)
    assert encoding["input_ids"][0] == CLS
    assert encoding["input_ids"][-1] == SEP
    assert (encoding["offset_mapping"] <= len(text)).all()
    assert tiny(text, truncation=True, max_length=4)["input_ids"].shape[0] <= 4


def test_texts_may_be_lists_of_words(tiny):
    row = tiny(
        ["Acd", "", "b.", "[MASK]"],
        is_split_into_words=True,
        return_word_ids=True,
        return_offsets_mapping=True,
    )
    assert row["input_ids"].tolist() == [CLS, A, C, D, B, DOT, 4, SEP]
    assert row["word_ids"].tolist() == [-1, 0, 0, 0, 2, 2, 3, -1]
    # Offsets are relative to the word.
    assert row["offset_mapping"][4:6].tolist() == [[0, 1], [1, 2]]
    batch = tiny([["a", "b"], ["b"]], [["b"], []], is_split_into_words=True, return_word_ids=True)
    assert [ids.tolist() for ids in batch["input_ids"]] == [[CLS, A, B, SEP, B, SEP], [CLS, B, SEP]]
    assert batch["word_ids"][0].tolist() == [-1, 0, 1, -1, 0, -1]
    assert tiny([], is_split_into_words=True)["input_ids"].tolist() == [CLS, SEP]
    ours = ElectraTokenizer(VOCABULARY, never_split=["A."])
    assert ours.encode(["A.", "a"], is_split_into_words=True) == [CLS, 1, A, SEP]


def test_word_ids_number_the_words_of_a_text(tiny):
    found = tiny(["Acd b.", "a"], padding=True, return_word_ids=True)["word_ids"]
    assert found.tolist() == [[-1, 0, 0, 0, 1, 2, -1], [-1, 0, -1, -1, -1, -1, -1]]
    ours = ElectraTokenizer(VOCABULARY, never_split=["A."])
    row = ours("b. A. a", return_word_ids=True, return_offsets_mapping=True)
    assert row["word_ids"].tolist() == [-1, 0, 1, 2, 3, -1]
    assert row["offset_mapping"].tolist()[1:-1] == [[0, 1], [1, 2], [3, 5], [6, 7]]
    assert [ids.tolist() for ids in ours.encode_ids(["b. A. a", "[SEP]"])] == [
        [B, DOT, 1, A],
        [1, 1, 1],
    ]


def test_a_long_text_is_split_into_windows(tiny):
    options = {"truncation": "only_second", "max_length": 7, "return_overflowing_tokens": True}
    rows = tiny(["b", "a"], ["a b . a b", "."], stride=1, padding=True, **options)
    assert rows["input_ids"].tolist() == [
        [CLS, B, SEP, A, B, DOT, SEP],
        [CLS, B, SEP, DOT, A, B, SEP],
        [CLS, A, SEP, DOT, SEP, 0, 0],
    ]
    assert rows["overflow_to_sample_mapping"].tolist() == [0, 0, 1]
    (row,) = tiny("a", **options)["input_ids"]
    assert row.tolist() == [CLS, A, SEP]


def test_padding_and_truncation_sides_are_respected():
    left = ElectraTokenizer(VOCABULARY, padding_side="left", truncation_side="left")
    rows = left(["a b .", "a"], truncation=True, max_length=4, padding=True)
    assert rows["input_ids"].tolist() == [[CLS, B, DOT, SEP], [0, CLS, A, SEP]]
    assert rows["attention_mask"].tolist() == [[1] * 4, [0, 1, 1, 1]]
    rows = left(["a b .", "a"], padding=True, padding_side="right")
    assert rows["input_ids"].tolist()[1] == [CLS, A, SEP, 0, 0]


def test_model_max_length_is_the_default_length():
    short = ElectraTokenizer(VOCABULARY, model_max_length=4)
    assert short.encode("a a a a", truncation=True) == [CLS, A, A, SEP]
    assert short("a", padding="max_length")["input_ids"].tolist() == [CLS, A, SEP, 0]
    assert len(short.encode("a a a a")) == 6
    assert ElectraTokenizer(VOCABULARY, model_max_length=1e30).model_max_length is None


def test_sequences_are_padded_to_a_multiple(tiny):
    rows = tiny("a", padding=True, pad_to_multiple_of=8, return_special_tokens_mask=True)
    assert rows["input_ids"].shape == (8,)
    assert rows["special_tokens_mask"].tolist() == [1, 0, 1, 1, 1, 1, 1, 1]
    assert tiny("a", padding="do_not_pad", truncation="do_not_truncate")["input_ids"].shape == (3,)


@pytest.mark.parametrize("kind", ["np", "tf"])
def test_arrays_and_tensors_hold_all_sequences(tiny, kind):
    one = tiny("a", return_tensors=kind)
    assert one["input_ids"].shape == (1, 3)
    assert np.asarray(one["input_ids"]).dtype == np.int32
    assert tiny(["a", "a b"], padding=True, return_tensors=kind)["attention_mask"].shape == (2, 4)
    with pytest.raises(
        InputError, match=rf"return_tensors='{kind}' needs sequences of one length, was 3"
    ):
        tiny(["a", "a b"], return_tensors=kind)


def test_spaces_are_cleaned_up_on_request(tiny):
    tokens = ["do", "n", "'", "t", "?", "it", "'", "s", "a", "!"]
    assert tiny.convert_tokens_to_string(tokens) == "don't? it's a!"
    assert tiny.convert_tokens_to_string(tokens, False) == "do n ' t ? it ' s a !"
    untidy = ElectraTokenizer(VOCABULARY, clean_up_tokenization_spaces=False)
    assert untidy.decode([A, DOT]) == "a ."
    assert untidy.decode([A, DOT], clean_up_tokenization_spaces=True) == "a."
    assert tiny.batch_decode([[CLS, A], [B]], skip_special_tokens=True) == ["a", "b"]


def test_sequences_are_built_from_ids(tiny):
    assert tiny.build_inputs_with_special_tokens([A]) == [CLS, A, SEP]
    assert tiny.build_inputs_with_special_tokens([A], [B]) == [CLS, A, SEP, B, SEP]
    assert tiny.create_token_type_ids_from_sequences([A], [B]) == [0, 0, 0, 1, 1]
    assert tiny.get_special_tokens_mask([A], [B]) == [1, 0, 1, 0, 1]
    assert tiny.get_special_tokens_mask([CLS, A, 4], already_has_special_tokens=True) == [1, 0, 1]
    assert (tiny.num_special_tokens_to_add(), tiny.num_special_tokens_to_add(pair=True)) == (2, 3)
    assert tiny.tokenize("a", "b", add_special_tokens=True) == ["[CLS]", "a", "[SEP]", "b", "[SEP]"]
    assert tiny.encode("a", add_special_tokens=False) == [A]


def test_single_tokens_are_converted_to_ids_and_back(tiny):
    assert tiny.convert_ids_to_tokens(A) == "a"
    assert tiny.convert_tokens_to_ids("a") == A
    assert tiny.convert_ids_to_tokens([CLS, A], skip_special_tokens=True) == ["a"]
    assert tiny.get_vocab()["##c"] == C
    assert (tiny.all_special_tokens, tiny.all_special_ids) == (SPECIAL, list(range(5)))
    for id in (-1, len(VOCABULARY)):
        with pytest.raises(InputError, match=rf"ids must be from 0 to 11.*was {id}"):
            tiny.decode([A, id])


def test_special_tokens_can_be_added():
    found = ElectraTokenizer(VOCABULARY, additional_special_tokens=["<t>", "b"])
    assert (len(found), found.vocab[-1], found.convert_tokens_to_ids("<t>")) == (13, "<t>", 12)
    assert found.additional_special_tokens == ["<t>", "b"]
    assert found.decode(found.encode("a <t> b"), skip_special_tokens=True) == "a"
    # In data, their names are ordinary text.
    assert 12 not in found.encode_ids(["<t>"])[0]
    assert not found.word_joins.right[12]


def test_added_words_are_matched_in_data_too():
    words = {12: {"content": "New York"}, "13": "a.b", 5: {"content": "a", "single_word": True}}
    found = ElectraTokenizer(VOCABULARY, added_tokens_decoder=words)
    assert [token.content for token in found.added_tokens if not token.special] == [
        "a",
        "New York",
        "a.b",
    ]
    assert found.encode_ids(["b new york A.B"])[0].tolist() == [B, 12, 13]
    assert not found.words_are_apart
    lines = ["b new york a", "a.b new", ""]
    flat, sizes = encoding.LineEncoder(found).encode(lines)
    assert np.split(flat, np.cumsum(sizes)[:-1])[0].tolist() == [B, 12, A]


def test_every_setting_is_saved_and_loaded(tmp_path):
    settings = {
        "do_lower_case": False,
        "never_split": ("A.", "b"),
        "tokenize_chinese_chars": False,
        "strip_accents": True,
        "clean_text": False,
        "wordpieces_prefix": "@@",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 77,
        "padding_side": "left",
        "truncation_side": "left",
        "additional_special_tokens": ["<t>", "<u>"],
    }
    mask = {"content": "<mask>", "lstrip": True, "single_word": True}
    decoder = {13: {"content": "<u>", "rstrip": True}, 14: "word"}
    first = ElectraTokenizer(
        [*VOCABULARY, "<mask>"], mask_token=mask, added_tokens_decoder=decoder, **settings
    )
    first.extra = {"mine": [1]}
    first.save_pretrained(tmp_path / "once")
    second = ElectraTokenizer.from_pretrained(tmp_path / "once")
    second.save_pretrained(tmp_path / "twice")
    for name, value in settings.items():
        assert getattr(second, name) == value, name
    assert second.added_tokens == first.added_tokens
    assert (second.vocab, second.vocab_hash) == (first.vocab, first.vocab_hash)
    assert second.vocab[-3:] == ["<u>", "word", "<t>"]
    assert second.extra["mine"] == [1]
    for file in (tmp_path / "once").iterdir():
        assert (tmp_path / "twice" / file.name).read_bytes() == file.read_bytes()
    bare = ElectraTokenizer(VOCABULARY, do_basic_tokenize=False)
    bare.save_pretrained(tmp_path / "bare")
    again = ElectraTokenizer.from_pretrained(tmp_path / "bare")
    assert (again.do_basic_tokenize, again.model_max_length) == (False, None)


def test_the_tokenizers_package_reads_what_is_saved(tmp_path):
    ours = ElectraTokenizer(
        [*VOCABULARY, "@@d"], wordpieces_prefix="@@", additional_special_tokens=["<t>"]
    )
    ours.save_pretrained(tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert (
        theirs.encode("Ad <t>", "É").ids == ours.encode("Ad <t>", "É") == [2, 5, 12, 13, 3, 11, 3]
    )
    assert theirs.decode([5, 12, 9]) == ours.decode([5, 12, 9]) == "ad."


@pytest.mark.parametrize("settings", [{"never_split": ["a"]}, {"do_basic_tokenize": False}])
def test_tokenizer_json_is_removed_if_it_cannot_represent_the_tokenizer(tiny, tmp_path, settings):
    tiny.save_pretrained(tmp_path)
    ElectraTokenizer(VOCABULARY, **settings).save_pretrained(tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()


def test_a_folder_with_tokenizer_json_alone_is_read(tmp_path):
    settings = {"do_lower_case": False, "strip_accents": True, "clean_text": False}
    first = ElectraTokenizer(
        VOCABULARY, sep_token="e", additional_special_tokens=["<t>"], **settings
    )
    first.save_pretrained(tmp_path)
    for name in ("vocab.txt", "tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / name).unlink()
    second = ElectraTokenizer.from_pretrained(tmp_path)
    assert second.vocab == first.vocab
    assert second.sep_token == "e"
    assert second.encode("<t> É") == first.encode("<t> É")
    for name in settings:
        assert getattr(second, name) == getattr(first, name)
    # Newer versions of transformers write this file beside it.
    config = {"extra_special_tokens": ["<t>"], "max_len": 9, "auto_map": "code", "mine": 1}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    third = ElectraTokenizer.from_pretrained(tmp_path, clean_text=True)
    assert third.additional_special_tokens == ["<t>"]
    assert (third.model_max_length, third.extra, third.clean_text) == (9, {"mine": 1}, True)


def change(content: dict, path: str, value):
    *above, last = path.split("/")
    for name in above:
        content = content[name]
    content[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model/type", "BPE", "model must be WordPiece, .* was BPE"),
        ("model/max_input_chars_per_word", 200, "max_input_chars_per_word must be 100"),
        ("model/vocab", {"a": 0, "b": 2}, "numbered without gaps, but no token has 1"),
        ("model/unk_token", "<u>", "must hold unk_token '<u>'"),
        ("normalizer", None, "normalizer must be BertNormalizer, .* was None"),
        ("normalizer/type", "NFC", "normalizer must be BertNormalizer, .* was NFC"),
        ("pre_tokenizer/type", "ByteLevel", "pre_tokenizer must be BertPreTokenizer"),
        ("post_processor/type", "RobertaProcessing", "post_processor must be TemplateProcessing"),
        ("added_tokens", [{"id": 99, "content": "x"}], "gives 99 to 'x', and 99 leaves a gap"),
        ("added_tokens", [{"id": 5, "content": "x"}], "gives 5 to 'x', and 5 is 'a'"),
        ("model", [], "the format of the tokenizers package, but reading it raised AttributeError"),
        ("model/unk_token", None, "unk_token must be the name of a token, or a dict"),
    ],
)
def test_a_tokenizer_json_of_another_kind_is_refused(tiny, tmp_path, path, value, message):
    tiny.save_pretrained(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    change(content, path, value)
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as error:
        ElectraTokenizer.from_pretrained(tmp_path / "only")
    assert str(tmp_path / "only") in str(error.value)


def test_a_tokenizer_json_may_lack_a_post_processor_but_not_have_another(tiny, tmp_path):
    tiny.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    content = json.loads(file.read_text())
    content["post_processor"] = None
    file.write_text(json.dumps(content))
    assert ElectraTokenizer.from_pretrained(file).encode("a") == [CLS, A, SEP]
    text, end = (
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "e", "type_id": 0}},
    )
    content["post_processor"] = {"type": "TemplateProcessing", "single": [text, end], "pair": []}
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"post_processor must be \[\('A', 0\)"):
        ElectraTokenizer.from_pretrained(file)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[]", "tokenizer_config.json must hold a JSON object, but holds a list"),
        ('{"do_lower_case": "no"}', "do_lower_case must be one of .* was 'no'"),
        ('{"mask_token": 4}', "mask_token must be the name of a token, or a dict .* was 4"),
        ('{"mask_token": {"content": "[MASK]", "lstrip": 1}}', "mask_token must have .*lstrip=1"),
        ('{"mask_token": ""}', "mask_token must be the name of a token, was empty"),
        ('{"model_max_length": "9"}', "model_max_length must be an integer of at least 1, was '9'"),
        ('{"model_max_length": 0}', "model_max_length must be an integer of at least 1, was 0"),
        (
            '{"never_split": ["a b"]}',
            "never_split must be a list of words without white space.* was 'a b'",
        ),
        ('{"never_split": "a"}', "never_split must be a list, was 'a'"),
        ('{"padding_side": "top"}', "padding_side must be one of .* was 'top'"),
        ('{"added_tokens_decoder": {"x": "y"}}', "must have ids as keys, but one was 'x'"),
        ('{"added_tokens_decoder": ["y"]}', "must be a dict of tokens by their ids"),
        ('{"added_tokens_decoder": {"13": "y"}}', "gives 13 to 'y', and 13 leaves a gap"),
        ('{"added_tokens_decoder": {"12": "a"}}', "gives 12 to 'a', and 'a' already has the id 5"),
        ('{"extra_special_tokens": {"x": "y"}}', "extra_special_tokens must be a list"),
        ('{"wordpieces_prefix": ""}', "wordpieces_prefix must be the mark .* was ''"),
        ('{"tokenizer_class": "BertJapaneseTokenizer"}', "tokenizer_class must be one that splits"),
        ('{"word_tokenizer_type": "mecab"}', "word_tokenizer_type must be one that splits"),
    ],
)
def test_a_folder_with_an_invalid_config_is_refused(tmp_path, config, message):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY))
    (tmp_path / "tokenizer_config.json").write_text(config)
    with pytest.raises(InputError, match=message) as error:
        ElectraTokenizer.from_pretrained(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_older_folders_are_read(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join([*VOCABULARY, "<mask>"]))
    (tmp_path / "tokenizer_config.json").write_text('{"mask_token": "[MASK]", "max_len": 128}')
    (tmp_path / "special_tokens_map.json").write_text('{"mask_token": "<mask>"}')
    (tmp_path / "added_tokens.json").write_text('{"word": 14, "other": 13}')
    found = ElectraTokenizer.from_pretrained(tmp_path)
    assert (found.mask_token_id, found.vocab[-2:]) == (12, ["other", "word"])
    assert found.model_max_length == 128
    assert ElectraTokenizer.from_pretrained(tmp_path, max_len=5).model_max_length == 5


def test_unknown_arguments_are_refused(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY))
    with pytest.raises(
        InputError, match=r"do_lowercase must be one of .*did you mean do_lower_cas"
    ):
        ElectraTokenizer.from_pretrained(tmp_path, do_lowercase=True)
    with pytest.raises(TypeError, match="do_lowercase"):
        ElectraTokenizer(VOCABULARY, do_lowercase=True)


@pytest.mark.parametrize(
    ("vocab", "settings", "message"),
    [
        (
            [*VOCABULARY, "a"],
            {},
            "vocab: tokens must differ, but numbers 5 and 12, .* are both 'a'",
        ),
        ([*VOCABULARY, 3], {}, "tokens must be str, but number 12 was 3"),
        (VOCABULARY, {"clean_text": None}, "clean_text must be one of .* was None"),
        (VOCABULARY, {"clean_text": 1}, "clean_text must be one of .* was 1"),
        (VOCABULARY, {"truncation_side": None}, "truncation_side must be one of .* was None"),
        (VOCABULARY, {"additional_special_tokens": "<t>"}, "additional_special_tokens must be a l"),
        (
            VOCABULARY,
            {"additional_special_tokens": [3]},
            "must be the name of a token, or .* was 3",
        ),
        (VOCABULARY, {"model_max_length": float("nan")}, "model_max_length must be .* was nan"),
        (
            VOCABULARY,
            {"unk_token": "<u>", "added_tokens_decoder": {12: "<u>"}},
            "unk_token must be one of the 12 tokens of vocab, was .<u>., which is only",
        ),
    ],
)
def test_invalid_vocabularies_and_settings_are_refused(vocab, settings, message):
    with pytest.raises(InputError, match=message):
        ElectraTokenizer(vocab, **settings)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (None, {}, "text must be a str, or a list of them, was None"),
        (b"a", {}, "text must be a str, or a list of them, was b'a'"),
        (["a", b"a"], {}, r"text must be str, but one was bytes: b'a'; decode bytes"),
        (["a", None], {}, "text must be str, but one was NoneType"),
        (["a"], {"text_pair": 3}, "text_pair must have the form of text, was 3"),
        (["a"], {"text_pair": [3]}, "text must be str, but one was int"),
        ("a\ud800", {}, "one contains half of a surrogate pair"),
        ("a", {"is_split_into_words": True}, "text must be a list of words with is_split_into_wor"),
        (["a", ["b"]], {"is_split_into_words": True}, "text must be str, but one was list"),
        ([["a"], "b"], {"is_split_into_words": True}, "a text must be a list of words, was 'b'"),
        (3, {"is_split_into_words": True}, "text must be a list of words, or several, was 3"),
        (
            "a",
            {"max_length": 0, "truncation": True},
            "max_length must be an integer of at least 1, was 0",
        ),
        ("a a", {"max_length": 1, "truncation": True}, "max_length must be at least 2, the number"),
        ("a", {"max_length": 5.0, "truncation": True}, "max_length must be an integer .* was 5.0"),
        ("a", {"stride": -1}, "stride must be an integer of at least 0, was -1"),
        (
            "a",
            {"pad_to_multiple_of": 0},
            "pad_to_multiple_of must be an integer of at least 1, was 0",
        ),
        ("a", {"padding_side": "top"}, "padding_side must be one of .* was 'top'"),
        ("a", {"return_tensors": "pt"}, "return_tensors must be .* was 'pt'"),
        (
            "a",
            {"max_length": 6, "truncation": True, "padding": True, "pad_to_multiple_of": 4},
            "max_length must be a multiple of pad_to_multiple_of=4, was 6",
        ),
        (
            "a a a",
            {
                "max_length": 4,
                "truncation": True,
                "stride": 2,
                "return_overflowing_tokens": True,
            },
            "max_length=4 leaves 2 pieces .* must be more than stride=2",
        ),
    ],
)
def test_invalid_calls_are_refused(tiny, text, options, message):
    with pytest.raises(InputError, match=message):
        tiny(text, **options)


def test_values_that_are_not_text_are_refused_in_data(tiny):
    with pytest.raises(InputError, match="text must be str, but one was float: nan"):
        tiny.encode_ids(["a", float("nan")])
    with pytest.raises(InputError, match="one contains half of a surrogate pair"):
        tiny.encode_ids(["\udfff"])


def test_threads_may_encode_with_different_options():
    tokenizer = ElectraTokenizer(VOCABULARY)
    text = "a b . " * 100

    def encode(length: int) -> list[int]:
        return tokenizer.encode(text, truncation=True, max_length=length)

    lengths = [*range(2, 202)] * 5
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        found = list(threads.map(encode, lengths))
    assert list(map(len, found)) == lengths


def test_texts_may_be_an_array(tiny):
    rows = tiny(np.array(["a", "b"]), np.array(["b", ""]))["input_ids"]
    assert [row.tolist() for row in rows] == [[CLS, A, SEP, B, SEP], [CLS, B, SEP]]


def test_a_file_that_is_not_a_tokenizer_is_refused(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"x.json must be UTF-8 text"):
        ElectraTokenizer.from_pretrained(tmp_path / "x.json")


def test_added_tokens_are_accepted_as_arguments(tiny):
    mask = tiny.added_tokens[4]
    assert ElectraTokenizer(VOCABULARY, mask_token=mask).added_tokens == tiny.added_tokens


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer_config.json", "special_tokens_map.json"])
def test_links_out_of_a_folder_are_refused(tmp_path, name):
    folder = tmp_path / "folder"
    tokenizer = ElectraTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.save_pretrained(folder)
    (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match=f"{name} must lie in its folder, but is a link to"):
        ElectraTokenizer.from_pretrained(folder)


# === tokenizer.json beside vocab.txt ===

CASED = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "The", "the", "möchte", "mochte"]
FAST = "PreTrainedTokenizerFast"


def folder_with_both(folder, engine=lambda content: None, **config):
    """Write a cased tokenizer.json beside vocab.txt, with a configuration of other settings."""
    ElectraTokenizer(CASED, do_lower_case=False).save_pretrained(folder)
    content = json.loads((folder / "tokenizer.json").read_text())
    engine(content)
    (folder / "tokenizer.json").write_text(json.dumps(content))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "special_tokens_map.json").unlink()
    return folder


@pytest.mark.parametrize(
    ("config", "pieces"),
    [
        # As AutoTokenizer of transformers 4.57 returns them.
        ({"tokenizer_class": FAST}, ["The", "möchte"]),
        ({"tokenizer_class": FAST, "do_lower_case": True}, ["The", "möchte"]),
        ({"tokenizer_class": "ElectraTokenizer"}, ["the", "mochte"]),
        ({"tokenizer_class": "ElectraTokenizerFast", "do_lower_case": False}, ["The", "möchte"]),
        ({}, ["the", "mochte"]),
    ],
)
def test_tokenizer_json_decides_where_the_class_has_no_rules_of_its_own(tmp_path, config, pieces):
    folder = folder_with_both(tmp_path, **config)
    assert ElectraTokenizer.from_pretrained(folder).tokenize("The möchte") == pieces


@pytest.mark.parametrize("name", [FAST, "TokenizersBackend", "ElectraTokenizerFast"])
def test_a_normalizer_that_we_lack_is_refused_beside_a_vocabulary_too(tmp_path, name):
    def turkish(content):
        content["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}

    folder = folder_with_both(tmp_path, turkish, tokenizer_class=name)
    with pytest.raises(InputError, match=r"tokenizer.json: normalizer must be BertNormalizer"):
        ElectraTokenizer.from_pretrained(folder)


def test_a_vocabulary_that_contradicts_tokenizer_json_is_refused(tmp_path):
    folder = folder_with_both(tmp_path)
    (folder / "vocab.txt").write_text("\n".join([*CASED[:-2], "x", "y"]))
    with pytest.raises(InputError, match=r"but token 7 is 'möchte' there and 'x' in vocab.txt"):
        ElectraTokenizer.from_pretrained(folder)


def test_added_tokens_may_stand_in_one_of_both_files(tmp_path):
    ElectraTokenizer(CASED, additional_special_tokens=["<e>"]).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    assert len(ElectraTokenizer.from_pretrained(tmp_path)) == 10
    (tmp_path / "vocab.txt").write_text("\n".join([*CASED, "<e>"]))
    assert ElectraTokenizer.from_pretrained(tmp_path).tokenize("the<e>") == ["the", "<e>"]


# === What vocab.txt cannot hold ===


@pytest.mark.parametrize(
    ("vocab", "reason"),
    [
        ([*CASED, "a\nb"], "it contains a line break"),
        ([*CASED, "a\rb"], "it contains a line break"),
        ([*CASED, ""], "blank lines at the end are no tokens"),
        ([*CASED, "\ud800"], "a character that UTF-8 does not have"),
        (["\ufeff", *CASED], "a byte order mark"),
    ],
)
def test_a_token_that_no_line_can_hold_is_refused(tmp_path, vocab, reason):
    with pytest.raises(InputError, match=rf"which vocab.txt cannot hold, because .*{reason}"):
        ElectraTokenizer(vocab)


def test_a_token_with_a_newline_in_tokenizer_json_is_refused(tmp_path):
    ElectraTokenizer([*CASED, "qz"]).save_pretrained(tmp_path)
    text = (tmp_path / "tokenizer.json").read_text().replace('"qz"', '"q\\nz"')
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(InputError, match=r"tokenizer.json.*: token 9 is 'q\\nz', which vocab.txt"):
        ElectraTokenizer.from_pretrained(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("content", ["\ufeff{}", "{}\n", "{}\n\n\n", "\ufeff{}\r\n\r\n"])
def test_byte_order_marks_and_blank_last_lines_are_no_tokens(tmp_path, content):
    file = tmp_path / "vocab.txt"
    file.write_bytes(content.format("\n".join(CASED)).encode())
    assert ElectraTokenizer(file).vocab == CASED


def test_a_blank_line_between_tokens_keeps_the_ids_after_it(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join([*CASED[:5], "", *CASED[5:]]))
    assert ElectraTokenizer(tmp_path / "vocab.txt").convert_tokens_to_ids("The") == 6


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ({"<a>": 10}, "the next one being 9, but it gives 10 to '<a>', and 10 leaves a gap"),
        ({"[MASK]": 9}, r"gives 9 to '\[MASK\]', and '\[MASK\]' already has the id 4"),
        ({"<a>": 4}, r"gives 4 to '<a>', and 4 is '\[MASK\]'"),
        ({"<a>": "x"}, "ids as keys, but one was 'x'"),
    ],
)
def test_a_wrong_id_is_reported_with_the_file_that_holds_it(tmp_path, added, message):
    (tmp_path / "vocab.txt").write_text("\n".join(CASED))
    (tmp_path / "added_tokens.json").write_text(json.dumps(added))
    with pytest.raises(InputError, match=rf"added_tokens.json: added_tokens_decoder .*{message}"):
        ElectraTokenizer.from_pretrained(tmp_path)


# === Do two tokenizers give a text the same ids? ===


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ({}, {}, ""),
        ({}, {"strip_accents": True}, ""),
        ({"model_max_length": 9, "padding_side": "left"}, {}, ""),
        ({}, {"strip_accents": False}, "strip_accents True, not False"),
        ({"tokenize_chinese_chars": False}, {}, "tokenize_chinese_chars False, not True"),
        ({"never_split": ["a"]}, {"never_split": ["b"]}, "never_split ['a'], not ['b']"),
        ({"unk_token": "a"}, {}, "unk_token a, not [UNK]"),
        ({"wordpieces_prefix": "@"}, {}, "wordpieces_prefix @, not ##"),
    ],
)
def test_settings_that_change_ids_are_compared(one, other, difference):
    one, other = (ElectraTokenizer(VOCABULARY, **settings) for settings in (one, other))
    assert one.differences(other) == difference


def test_added_words_with_other_rules_are_a_difference(tiny):
    added = ElectraTokenizer(VOCABULARY, added_tokens_decoder={"5": {"content": "a"}})
    assert tiny.differences(added).startswith("added_tokens [], not [{'5':")
