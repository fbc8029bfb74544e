import gzip
import json

import hypothesis
import numpy as np
import pytest
import sentencepiece
from hypothesis import strategies
from sentencepiece import sentencepiece_model_pb2

from official_nlp.data import corpus
from official_nlp.data.pretraining import examples, pipeline
from official_nlp.data.pretraining.encoding import LineEncoder
from official_nlp.data.pretraining.masking import MaskingConfig
from official_nlp.data.storage import data_folder
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.vocabulary import SPECIAL_TOKENS, train_vocabulary
from official_nlp.errors import InputError

PAD, UNK, CLS, SEP, MASK = range(5)
FOLDER_FILES = ["spm.model", "special_tokens_map.json", "tokenizer_config.json"]


@pytest.fixture(scope="module", params=["sentencepiece", "sentencepiece-bpe"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(text_file, tmp_path_factory):
    to = tmp_path_factory.mktemp("unigram") / "to"
    train_vocabulary(text_file, to, size=80, kind="sentencepiece", progress=False)
    return to


@pytest.fixture(scope="module")
def tokenizer(folder) -> ElectraTokenizer:
    return ElectraTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder) -> sentencepiece_model_pb2.ModelProto:
    return sentencepiece_model_pb2.ModelProto.FromString((folder / "spm.model").read_bytes())


def ids(tokenizer, tokens: str) -> list[int]:
    found = tokenizer.convert_tokens_to_ids(tokens.split())
    assert UNK not in found
    return found


def test_special_tokens_come_first_and_the_folder_is_saved(text_file, tmp_path, kind):
    made = train_vocabulary(text_file, tmp_path / "to", size=100, kind=kind, progress=False)
    assert made.vocab[:5] == SPECIAL_TOKENS
    assert made.kind == "sentencepiece"
    assert len(set(made.vocab)) == made.vocab_size <= 100
    assert sorted(file.name for file in (tmp_path / "to").iterdir()) == sorted(FOLDER_FILES)
    found = ElectraTokenizer.from_pretrained(tmp_path / "to")
    assert (found.vocab, found.vocab_hash) == (made.vocab, made.vocab_hash)
    assert found.special_ids == [CLS, SEP, MASK, PAD]
    assert {"▁the", "▁red", "▁boat"} <= set(found.vocab)


def test_the_same_text_gives_the_same_model(text_file, tmp_path, kind):
    files = []
    for number in range(2):
        to = tmp_path / str(number)
        train_vocabulary(text_file, to, size=100, kind=kind, progress=False)
        files.append((to / "spm.model").read_bytes())
    assert files[0] == files[1]


def test_a_text_is_encoded(tokenizer):
    row = tokenizer("The red Boat")
    assert row["input_ids"].tolist() == [CLS, *ids(tokenizer, "▁the ▁red ▁boat"), SEP]
    assert row["input_ids"].dtype == np.int32
    assert row["token_type_ids"].tolist() == [0] * 5
    assert row["attention_mask"].tolist() == [1] * 5
    pair = tokenizer("the", "red boat")
    the, red, boat = ids(tokenizer, "▁the ▁red ▁boat")
    assert pair["input_ids"].tolist() == [CLS, the, SEP, red, boat, SEP]
    assert pair["token_type_ids"].tolist() == [0, 0, 0, 1, 1, 1]
    padded = tokenizer(["the", "red boat"], padding=True)
    assert padded["input_ids"].tolist() == [[CLS, the, SEP, PAD], [CLS, red, boat, SEP]]


def test_offsets_point_into_the_text(tokenizer):
    text = "The  red [MASK] boat."
    row = tokenizer(text, return_offsets_mapping=True)
    pieces = [text[start:end] for start, end in row["offset_mapping"]]
    assert pieces == ["", "The", "red", "[MASK]", "boat", ".", ""]
    assert row["input_ids"].tolist()[3] == MASK


def test_special_tokens_are_matched_by_name_except_in_data(tokenizer):
    assert tokenizer.tokenize("the[MASK]boat")[:2] == ["▁the", "[MASK]"]
    # Text that follows without a space does not begin a word.
    assert tokenizer.tokenize("the[MASK]boat")[2] != "▁boat"
    assert tokenizer.tokenize("the [MASK] boat") == ["▁the", "[MASK]", "▁boat"]
    (found,) = tokenizer.encode_ids(["the [MASK] [SEP] boat"])
    assert not set(found.tolist()) & {CLS, SEP, MASK, PAD}


def test_a_user_defined_mask_is_not_matched_in_data(model, tmp_path):
    model = type(model).FromString(model.SerializeToString())
    model.pieces[MASK].type = model.SentencePiece.USER_DEFINED
    (tmp_path / "a.model").write_bytes(model.SerializeToString())
    found = ElectraTokenizer.from_pretrained(tmp_path / "a.model")
    assert MASK not in found.encode_ids(["the [MASK] boat"])[0]
    assert found("[MASK]")["input_ids"].tolist() == [CLS, MASK, SEP]


def test_decoding_joins_pieces(tokenizer):
    row = tokenizer("the red [MASK] boat.")["input_ids"]
    assert tokenizer.decode(row) == "[CLS] the red [MASK] boat. [SEP]"
    assert tokenizer.decode(row, skip_special_tokens=True) == "the red boat."
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize(("first", "second"), [(5, 3), (3, 5), (4, 4), (9, 1), (1, 9)])
@pytest.mark.parametrize("max_length", [6, 7, 8, 11, 20])
def test_pairs_are_truncated_as_by_wordpiece(tokenizer, first, second, strategy, max_length):
    other = ElectraTokenizer([*SPECIAL_TOKENS, "the", "red"])
    options = {"truncation": strategy, "max_length": max_length}
    texts = " ".join(["the"] * first), " ".join(["red"] * second)
    try:
        expected = other(*texts, **options)["token_type_ids"].tolist()
    except InputError:
        with pytest.raises(InputError, match=rf"truncation='{strategy}', max_length={max_length}"):
            tokenizer(*texts, **options)
        return
    assert tokenizer(*texts, **options)["token_type_ids"].tolist() == expected


def test_a_single_text_is_truncated(tokenizer):
    assert len(tokenizer("the " * 9, truncation=True, max_length=6)["input_ids"]) == 6
    with pytest.raises(InputError, match=r"from the second text, but there is none"):
        tokenizer("the " * 9, truncation="only_second", max_length=6)


@hypothesis.given(strategies.text(strategies.characters(exclude_categories=["Cs"])))
def test_words_have_the_same_ids_alone_and_in_their_line(tokenizer, text):
    assert tokenizer.words_are_apart
    found, _ = LineEncoder(tokenizer).encode([text])
    np.testing.assert_array_equal(found, tokenizer.encode_ids([text])[0])
    row = tokenizer(text, return_offsets_mapping=True)
    assert (row["offset_mapping"] <= len(text)).all()
    assert (row["offset_mapping"][:, 0] <= row["offset_mapping"][:, 1]).all()


def test_lines_are_encoded_whole_if_pieces_contain_spaces(text_file, tmp_path):
    sentencepiece.SentencePieceTrainer.train(
        input=str(text_file),
        model_prefix=str(tmp_path / "a"),
        vocab_size=200,
        split_by_whitespace=False,
        unk_piece="[UNK]",
        control_symbols="[PAD],[CLS],[SEP],[MASK]",
        minloglevel=2,
    )
    found = ElectraTokenizer(tmp_path / "a.model")
    assert not found.words_are_apart
    lines = text_file.read_text().split("\n")[:50]
    encoded, sizes = LineEncoder(found).encode(lines)
    expected = found.encode_ids(lines)
    np.testing.assert_array_equal(encoded, np.concatenate(expected))
    assert sizes.tolist() == list(map(len, expected))
    assert any("▁" in piece[1:] for line in lines for piece in found.tokenize(line))


def test_a_saved_folder_is_loaded_again(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "new" / "folder")
    found = ElectraTokenizer.from_pretrained(tmp_path / "new" / "folder")
    for name in ("vocab", "vocab_hash", "mask_token_id", "do_lower_case", "kind"):
        assert getattr(found, name) == getattr(tokenizer, name), name
    stored = json.loads((tmp_path / "new" / "folder" / "tokenizer_config.json").read_text())
    assert stored["do_lower_case"] is True
    assert stored["mask_token"] == "[MASK]"


def test_the_hash_depends_on_scores_too(model, tokenizer, tmp_path):
    model = type(model).FromString(model.SerializeToString())
    model.pieces[9].score -= 1
    (tmp_path / "a.model").write_bytes(model.SerializeToString())
    found = ElectraTokenizer(tmp_path / "a.model")
    assert found.vocab == tokenizer.vocab
    assert found.vocab_hash != tokenizer.vocab_hash


def test_the_model_determines_case_and_accents(text_file, folder, tmp_path):
    (tmp_path / "text.txt").write_text("Der große Bär\n" * 50)
    options = {"size": 64, "kind": "sentencepiece", "progress": False}
    cased = train_vocabulary(tmp_path / "text.txt", tmp_path / "to", lower_case=False, **options)
    assert not cased.do_lower_case
    assert cased.decode(cased("Der große Bär")["input_ids"], True) == "Der große Bär"
    with pytest.raises(InputError, match=r"do_lower_case must be False or left out .*keeps case"):
        ElectraTokenizer.from_pretrained(tmp_path / "to", do_lower_case=True)
    with pytest.raises(InputError, match=r"do_lower_case must be True or left out .*folds case"):
        ElectraTokenizer.from_pretrained(folder, do_lower_case=False)
    with pytest.raises(InputError, match=r"strip_accents must be left out for .*spm.model"):
        ElectraTokenizer.from_pretrained(folder, strip_accents=True)
    with pytest.raises(InputError, match=r"strip_accents must be left out for kind="):
        train_vocabulary(text_file, tmp_path / "no", strip_accents=True, **options)


@pytest.mark.parametrize("missing", ["[CLS]", "[SEP]", "[MASK]", "[PAD]"])
def test_a_model_without_a_special_token_is_refused(model, tmp_path, missing):
    model = type(model).FromString(model.SerializeToString())
    model.pieces[SPECIAL_TOKENS.index(missing)].piece = "<other>"
    (tmp_path / "spm.model").write_bytes(model.SerializeToString())
    role = missing.strip("[]").lower() + "_token"
    with pytest.raises(InputError) as error:
        ElectraTokenizer.from_pretrained(tmp_path)
    assert f"spm.model: the vocabulary must hold {role} {missing!r}" in str(error.value)
    assert "train the model with it as a control symbol" in str(error.value)
    found = ElectraTokenizer.from_pretrained(tmp_path, **{role: "<other>"})
    assert getattr(found, f"{role}_id") == SPECIAL_TOKENS.index(missing)


def test_another_unknown_token_is_refused(folder):
    with pytest.raises(InputError, match=r"unk_token must be .*'\[UNK\]', was '▁the'"):
        ElectraTokenizer.from_pretrained(folder, unk_token="▁the")


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_model_is_refused(folder, tmp_path, fraction):
    content = (folder / "spm.model").read_bytes()
    (tmp_path / "spm.model").write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(
        InputError, match=r"spm.model is not a .*SentencePiece model.*copy it again"
    ):
        ElectraTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("lost", ["trainer_spec", "normalizer_spec", "pieces"])
def test_a_model_truncated_between_its_parts_is_refused(model, tmp_path, lost):
    model = type(model).FromString(model.SerializeToString())
    model.ClearField(lost)
    (tmp_path / "spm.model").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"spm.model is not a complete SentencePiece model"):
        ElectraTokenizer.from_pretrained(tmp_path)


def test_empty_and_ambiguous_folders_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"holds no vocab.txt or spm.model"):
        ElectraTokenizer.from_pretrained(tmp_path)
    (tmp_path / "spm.model").write_bytes((folder / "spm.model").read_bytes())
    (tmp_path / "vocab.txt").write_text("\n".join(SPECIAL_TOKENS))
    with pytest.raises(InputError, match=r"holds vocab.txt and spm.model: give the path of one"):
        ElectraTokenizer.from_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"cannot read .*none.model: No such file"):
        ElectraTokenizer(tmp_path / "none.model")


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_corpus_is_refused(tmp_path, text, kind):
    (tmp_path / "text.txt").write_text(text)
    with pytest.raises(InputError, match=r"the files contain no text"):
        train_vocabulary(tmp_path / "text.txt", tmp_path / "to", kind=kind, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_unusable_training_text_is_refused(tmp_path, text_file, kind):
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    (tmp_path / "a.txt").write_text(characters)
    with pytest.raises(InputError, match=r"size must be more than 30\d, the number of different"):
        train_vocabulary(tmp_path / "a.txt", tmp_path / "to", size=64, kind=kind, progress=False)
    (tmp_path / "b.txt").write_bytes(b"fine\n\xff")
    with pytest.raises(InputError, match=r"b.txt, line 2: text must be UTF-8"):
        train_vocabulary(tmp_path / "b.txt", tmp_path / "to", size=64, kind=kind, progress=False)
    with pytest.raises(InputError, match=r"kind must be one of wordpiece.*was 'words'"):
        train_vocabulary(text_file, tmp_path / "to", kind="words")


def test_long_lines_are_used_for_training(tmp_path, kind):
    (tmp_path / "a.txt").write_text("word " * 20000 + "x" * 100000)
    made = train_vocabulary(tmp_path / "a.txt", tmp_path / "to", size=64, kind=kind, progress=False)
    assert made.tokenize("word") == ["▁word"]


def test_examples_are_made_and_masked_by_words(folder, text_file, tmp_path):
    options = {"length": 32, "held_out": 0.2, "processes": 1, "progress": False}
    summary = examples.build_examples(text_file, folder, tmp_path / "data", **options)
    assert summary.unknown_fraction == 0
    data = data_folder.open_folder(tmp_path / "data")
    assert data.index.vocab_hash == data.tokenizer.vocab_hash
    assert (tmp_path / "data" / "tokenizer" / "spm.model").is_file()
    config = MaskingConfig(0.2, replaced=1.0, whole_word=True)
    batch = next(
        iter(pipeline.pretraining_dataset(data, batch_size=16, length=32, masking=config, seed=0))
    )
    word_ids = batch["input_word_ids"].numpy()
    assert (word_ids == MASK).sum() == batch["masked_lm_weights"].numpy().sum() > 0
    # A visible token after a [MASK] begins a word.
    after = word_ids[:, 1:][word_ids[:, :-1] == MASK]
    visible = after[~np.isin(after, data.tokenizer.special_ids)]
    assert not data.tokenizer.word_joins.left[visible].any()


@pytest.mark.parametrize(
    ("name", "size", "sample"),
    [
        pytest.param(
            *("zh_wikipedia_cmrc2018", 8000, "湖南省株洲市石峰区北站路236号。"),
            marks=pytest.mark.slow,
        ),
        ("de_books", 4000, "Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte"),
        ("en_newwiki_paragraphs", 4000, "The boat was colourless, and it sank (in 1902)."),
    ],
)
def test_real_text_has_no_unknown_tokens(outside_data, tmp_path, name, size, sample):
    file = outside_data / "data" / "corpus" / f"{name}.txt.gz"
    text = gzip.decompress(file.read_bytes()).decode()
    (tmp_path / "text.txt").write_text(text[:600_000])
    options = {"lower_case": not name.startswith("de"), "progress": False}
    made = train_vocabulary(
        tmp_path / "text.txt", tmp_path / "to", size, kind="sentencepiece", **options
    )
    assert made.vocab_size == size
    assert "[UNK]" not in made.tokenize(sample)
    row = made(sample)["input_ids"]
    expected = sample if name.startswith("de") else sample.lower()
    assert made.decode(row, skip_special_tokens=True) == expected
    (lines, *_) = corpus.documents([tmp_path / "text.txt"])
    found, _ = LineEncoder(made).encode(lines)
    np.testing.assert_array_equal(found, np.concatenate(made.encode_ids(lines)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strip_accents", True),
        ("do_basic_tokenize", False),
        ("never_split", ["the"]),
        ("tokenize_chinese_chars", False),
        ("clean_text", False),
        ("wordpieces_prefix", "@@"),
    ],
)
def test_settings_that_the_model_determines_are_refused(folder, name, value):
    with pytest.raises(InputError, match=rf"{name} must be left out for .*spm.model, was "):
        ElectraTokenizer.from_pretrained(folder, **{name: value})


def test_a_normalized_added_token_is_refused(folder):
    token = {"content": "<t>", "normalized": True}
    with pytest.raises(InputError, match=r"'<t>' must not be `normalized`: with .*spm.model"):
        ElectraTokenizer.from_pretrained(folder, additional_special_tokens=[token])


def test_split_texts_are_padded_truncated_and_numbered_by_words(tokenizer):
    the, red, boat = ids(tokenizer, "▁the ▁red ▁boat")
    row = tokenizer(
        ["the", "red boat", ""],
        is_split_into_words=True,
        return_word_ids=True,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        padding="max_length",
        max_length=8,
        padding_side="left",
    )
    assert row["input_ids"].tolist() == [PAD, PAD, PAD, CLS, the, red, boat, SEP]
    assert row["word_ids"].tolist() == [-1, -1, -1, -1, 0, 1, 1, -1]
    assert row["offset_mapping"].tolist()[4:7] == [[0, 3], [0, 3], [4, 8]]
    assert row["special_tokens_mask"].tolist() == [1, 1, 1, 1, 0, 0, 0, 1]
    rows = tokenizer(
        "the red boat", truncation=True, max_length=4, stride=1, return_overflowing_tokens=True
    )
    assert [row.tolist() for row in rows["input_ids"]] == [
        [CLS, the, red, SEP],
        [CLS, red, boat, SEP],
    ]
    assert rows["overflow_to_sample_mapping"].tolist() == [0, 0]
    found = tokenizer("the [MASK]boats sailing", return_word_ids=True)
    words = found["word_ids"].tolist()[1:-1]
    assert words[:2] == [0, 1]
    pieces = tokenizer.convert_ids_to_tokens(found["input_ids"][3:-1])
    # A word begins after an added token, and after each space.
    assert words[2:] == [
        2 + sum(p.startswith("▁") for p in pieces[: i + 1]) for i in range(len(pieces))
    ]


def test_added_tokens_follow_those_of_the_model(folder, tmp_path):
    words = {"content": "de luxe", "lstrip": True, "rstrip": True}
    plain = ElectraTokenizer.from_pretrained(folder)
    size = plain.vocab_size
    found = ElectraTokenizer.from_pretrained(
        folder,
        additional_special_tokens=[{"content": "<t>", "single_word": True}],
        added_tokens_decoder={size: words},
    )
    the, red = ids(found, "▁the ▁red")
    text = "the  de luxe <t> red"
    row = found(text, return_offsets_mapping=True)
    assert row["input_ids"].tolist() == [CLS, the, size, size + 1, red, SEP]
    assert [text[start:end] for start, end in row["offset_mapping"][2:4]] == ["  de luxe ", "<t>"]
    assert size + 1 not in found.encode("the<t>")
    assert found.decode(row["input_ids"]) == "[CLS] the de luxe <t> red [SEP]"
    assert found.decode(row["input_ids"], skip_special_tokens=True) == "the de luxe red"
    (data,) = found.encode_ids([text])
    assert size in data
    assert size + 1 not in data
    assert not found.words_are_apart
    assert found.vocab_hash != plain.vocab_hash
    assert len(found.word_joins.left) == size + 2
    found.save_pretrained(tmp_path)
    again = ElectraTokenizer.from_pretrained(tmp_path)
    assert again.added_tokens == found.added_tokens
    assert again.encode(text) == found.encode(text)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(FOLDER_FILES)


def test_decoding_keeps_spaces_unless_asked_to_clean_up(tokenizer):
    row = tokenizer.encode("the .", add_special_tokens=False)
    assert tokenizer.decode(row) == "the ."
    assert tokenizer.decode(row, clean_up_tokenization_spaces=True) == "the."


@pytest.mark.parametrize("text", [["the", 3], ["\ud800"]])
def test_values_that_are_not_text_are_refused(tokenizer, text):
    with pytest.raises(
        InputError, match=r"text must (be str, but one was int|consist of valid characters, but)"
    ):
        tokenizer(text)
    with pytest.raises(
        InputError, match=r"text must (be str, but one was int|consist of valid characters, but)"
    ):
        tokenizer.encode_ids(text)
