"""The tokenizer compared with tables: one worked out by hand, and Hugging Face's tokenizers."""

import json

import hypothesis
import numpy as np
import pytest
import tokenizers
from hypothesis import strategies
from tokenizers import models, pre_tokenizers, processors

from official_nlp.data.tokenization.framing import STRATEGIES
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.vocabulary import SPECIAL_TOKENS
from official_nlp.errors import InputError

PAD, UNK, CLS, SEP, MASK = range(5)
WORDS = ["sea", "##son", "##s", "see", "Sea", "日", "本", ".", "'", "t", "ñ", "n", "C++"]
SEA, SON, S, SEE, CAPITAL, DAY, ORIGIN, DOT, MARK, T, ENYE, N, CPP = range(5, 18)
CASED = {"do_lower_case": False}


def lists(encoding) -> dict:
    return {
        name: [row.tolist() for row in values] if isinstance(values, list) else values.tolist()
        for name, values in encoding.items()
    }


@pytest.mark.parametrize(
    ("settings", "text", "expected", "pieces"),
    [
        ({}, "sea", [SEA], ["sea"]),
        ({}, "Seasons see", [SEA, SON, S, SEE], ["Sea", "son", "s", "see"]),
        ({}, "  sea \t see\n", [SEA, SEE], ["sea", "see"]),
        ({}, "", [], []),
        ({}, " \u00a0 ", [], []),
        ({}, "sea.see", [SEA, DOT, SEE], ["sea", ".", "see"]),
        ({}, "n't", [N, MARK, T], ["n", "'", "t"]),
        ({}, "seat", [UNK], ["seat"]),
        ({}, "sea" + "s" * 97, [SEA] + [S] * 97, ["sea"] + ["s"] * 97),
        # With one more character, the word is longer than WordPiece splits.
        ({}, "sea" + "s" * 98, [UNK], ["sea" + "s" * 98]),
        ({}, "日本sea", [DAY, ORIGIN, SEA], ["日", "本", "sea"]),
        ({}, "Ñ", [N], ["Ñ"]),
        ({}, "n\u0303", [N], ["n"]),
        ({}, "s\u200bea", [SEA], ["s\u200bea"]),
        ({}, "se\u0000a", [SEA], ["se\u0000a"]),
        ({}, "sea[MASK]see", [SEA, MASK, SEE], ["sea", "[MASK]", "see"]),
        ({}, "[mask]", [UNK, UNK, UNK], ["[", "mask", "]"]),
        ({}, "see [SEP] [PAD]", [SEE, SEP, PAD], ["see", "[SEP]", "[PAD]"]),
        (CASED, "Sea SEA", [CAPITAL, UNK], ["Sea", "SEA"]),
        (CASED, "ñ Ñ", [ENYE, UNK], ["ñ", "Ñ"]),
        ({"strip_accents": False}, "Ñ", [ENYE], ["Ñ"]),
        ({**CASED, "strip_accents": True}, "ñ", [N], ["ñ"]),
        ({"tokenize_chinese_chars": False}, "日本", [UNK], ["日本"]),
        ({"tokenize_chinese_chars": False}, "日 本", [DAY, ORIGIN], ["日", "本"]),
        ({"clean_text": False}, "se\u0000a", [UNK], ["se\u0000a"]),
        ({}, "C++", [UNK, UNK, UNK], ["C", "+", "+"]),
        ({"never_split": ["C++"]}, "sea C++ see", [SEA, CPP, SEE], ["sea", "C++", "see"]),
        ({"never_split": ["C++"]}, "C++\tC++", [CPP, CPP], ["C++", "C++"]),
        ({"never_split": ["C++"]}, "c++", [UNK, UNK, UNK], ["c", "+", "+"]),
        ({"never_split": ["C++"]}, "C++.", [UNK, UNK, UNK, DOT], ["C", "+", "+", "."]),
        ({"never_split": ["Sea", "Seas"]}, "Seas Sea", [UNK, CAPITAL], ["Seas", "Sea"]),
        ({"never_split": ["seas"]}, "SEAS seas", [UNK, UNK], ["SEAS", "seas"]),
        ({"never_split": ["seas"], **CASED}, "SEAS seas", [UNK, UNK], ["SEAS", "seas"]),
        ({"never_split": ["sea"], **CASED}, "Sea sea", [CAPITAL, SEA], ["Sea", "sea"]),
        ({"do_basic_tokenize": False}, "Sea sea.", [CAPITAL, UNK], ["Sea", "sea."]),
        ({"do_basic_tokenize": False}, "seas\x1csee", [SEA, S, SEE], ["sea", "s", "see"]),
        ({"do_basic_tokenize": False}, "[SEP]C++", [SEP, CPP], ["[SEP]", "C++"]),
        ({"wordpieces_prefix": "C"}, "sea", [SEA], ["sea"]),
        ({"mask_token": "sea"}, "season", [SEA, UNK], ["sea", "son"]),
        ({"additional_special_tokens": ["<t>"]}, "sea<t>", [SEA, 18], ["sea", "<t>"]),
        ({"additional_special_tokens": ["."]}, "sea.", [SEA, DOT], ["sea", "."]),
        (
            {"mask_token": {"content": "[MASK]", "lstrip": True}},
            "sea  [MASK] see",
            [SEA, MASK, SEE],
            ["sea", "  [MASK]", "see"],
        ),
        (
            {"mask_token": {"content": "[MASK]", "single_word": True}},
            "sea[MASK] [MASK]",
            [SEA, UNK, UNK, UNK, MASK],
            ["sea", "[", "MASK", "]", "[MASK]"],
        ),
        (
            {"added_tokens_decoder": {"18": {"content": "sea cow"}}},
            "see Sea Cow",
            [SEE, 18],
            ["see", "Sea Cow"],
        ),
    ],
)
def test_ids_equal_those_worked_out_by_hand(settings, text, expected, pieces):
    found = ElectraTokenizer([*SPECIAL_TOKENS, *WORDS], **settings)
    row = lists(found(text, return_offsets_mapping=True, return_special_tokens_mask=True))
    assert row["input_ids"] == [CLS, *expected, SEP]
    assert row["special_tokens_mask"] == [1, *[0] * len(expected), 1]
    assert [text[start:end] for start, end in row["offset_mapping"][1:-1]] == pieces
    assert found.tokenize(text) == [found.vocab[id] for id in expected]


@pytest.fixture(scope="module")
def golden(outside_data):
    return outside_data / "golden" / "tokenizer"


def golden_rows(golden, name: str) -> list[dict]:
    return [json.loads(line) for line in (golden / name).read_text().splitlines()]


def golden_tokenizers(golden, rows: list[dict]) -> dict[str, ElectraTokenizer]:
    options = {row["config"]: row.get("config_kwargs") for row in rows}
    return {
        name: ElectraTokenizer(
            golden / "vocab.txt", **(given or {"do_lower_case": name == "uncased"})
        )
        for name, given in options.items()
    }


def test_sequences_equal_those_of_hugging_faces_fast_tokenizer(golden):
    rows = golden_rows(golden, "golden.jsonl")
    found = golden_tokenizers(golden, rows)
    refused = 0
    for row in rows:
        tokenizer, options, expected = found[row["config"]], row["call_kwargs"], row["fast"]
        asked = {"return_offsets_mapping": True, "return_special_tokens_mask": True, **options}
        if "error" in expected:
            refused += 1
            with pytest.raises(InputError, match=r"tokens must be cut from the"):
                tokenizer(row["text"], row["text_pair"], **asked)
            continue
        result = lists(tokenizer(row["text"], row["text_pair"], **asked))
        result["offsets"] = result.pop("offset_mapping")
        assert expected.items() <= result.items(), row["i"]
        if "fast_tokens" in row:
            tokens = tokenizer.tokenize(row["text"])
            assert tokens == row["fast_tokens"], row["i"]
    assert (len(rows), refused) == (627, 20)


def test_decoded_text_equals_that_of_hugging_faces_tokenizers(golden):
    rows = golden_rows(golden, "decode.jsonl")
    found = golden_tokenizers(golden, rows)
    for row in rows:
        decode = found[row["config"]].decode
        assert decode(row["ids"]) == row["fast_decode"]
        assert decode(row["ids"], skip_special_tokens=True) == row["fast_decode_skip"]
        bare = decode(row["ids"], clean_up_tokenization_spaces=False)
        assert bare == row["slow_decode_noclean"]
    assert len(rows) == 80


def test_a_padded_batch_equals_that_of_hugging_faces_fast_tokenizer(golden):
    batch = json.loads((golden / "batch.json").read_text())
    found = ElectraTokenizer(golden / "vocab.txt")(batch["texts"], **batch["call_kwargs"])
    assert lists(found) == batch["fast"]


def test_hugging_face_folders_are_read(outside_data):
    folders = sorted((outside_data / "golden").glob("hf_*"))
    assert len(folders) > 30
    for folder in folders:
        by_lines = ElectraTokenizer.from_pretrained(folder)
        by_engine = ElectraTokenizer.from_pretrained(folder / "tokenizer.json")
        assert by_lines.vocab == by_engine.vocab
        assert by_lines.added_tokens == by_engine.added_tokens
        text = "The Café's [MASK] was shut, son."
        assert by_lines.encode(text) == by_engine.encode(text)


@pytest.fixture(scope="module")
def engine() -> tokenizers.Tokenizer:
    """Return a tokenizer that encodes, truncates and adds special tokens in one call."""
    vocab = {token: id for id, token in enumerate([*SPECIAL_TOKENS, *"abcdefghi"])}
    engine = tokenizers.Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    engine.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    engine.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)],
    )
    return engine


def _truncated_sizes(sizes: list[int], room: int, index: int) -> list[int]:
    """Return lower bounds for the sizes of the segments that are truncated."""
    if index >= 0:
        return [room - sum(sizes) + sizes[index]]
    return [min(size, room // len(sizes)) for size in sizes]


@hypothesis.settings(max_examples=100)
@hypothesis.given(data=strategies.data())
def test_windows_equal_those_of_a_single_call_of_the_tokenizers_package(engine, data):
    draw = data.draw
    letters = strategies.text("abcdefghi", min_size=1, max_size=12)
    first, second = draw(letters), draw(letters | strategies.none())
    special = draw(strategies.booleans())
    side = draw(strategies.sampled_from(["right", "left"]))
    texts = [" ".join(text) for text in (first, second) if text is not None]
    strategy = draw(strategies.sampled_from(STRATEGIES))
    room, stride = draw(strategies.integers(len(texts), 20)), draw(strategies.integers(0, 4))
    length = room + (1 + len(texts)) * special
    ours = ElectraTokenizer([*SPECIAL_TOKENS, *"abcdefghi"], truncation_side=side)
    options = {"truncation": strategy, "max_length": length, "stride": stride}
    extras = ("return_offsets_mapping", "return_special_tokens_mask", "return_overflowing_tokens")
    options |= {"add_special_tokens": special, **dict.fromkeys(extras, True)}
    sizes = [len(text.split()) for text in texts]
    place, over = STRATEGIES.index(strategy) - 1, sum(sizes) - room
    if over > 0 and place >= 0 and (place >= len(sizes) or sizes[place] <= over):
        with pytest.raises(InputError, match="tokens must be cut from"):
            ours(*texts, **options)
        return
    # There, the package raises errors, panics, or returns windows that are too long.
    hypothesis.assume(stride < length - 2)
    hypothesis.assume(over <= 0 or stride < min(_truncated_sizes(sizes, room, place)))
    found = ours(*texts, **options)
    engine.enable_truncation(length, stride=stride, strategy=strategy, direction=side)
    whole = engine.encode(*texts, add_special_tokens=special)
    windows = [whole, *whole.overflowing]
    assert lists(found) == {
        "input_ids": [window.ids for window in windows],
        "token_type_ids": [window.type_ids for window in windows],
        "attention_mask": [window.attention_mask for window in windows],
        "special_tokens_mask": [window.special_tokens_mask for window in windows],
        "offset_mapping": [list(map(list, window.offsets)) for window in windows],
        "overflow_to_sample_mapping": [0] * len(windows),
    }


TEXTS = strategies.text(strategies.sampled_from("sea Nn.'ñ日\u0303\u0000\t[MASK]"), max_size=40)


@pytest.fixture(scope="module")
def tiny() -> ElectraTokenizer:
    return ElectraTokenizer([*SPECIAL_TOKENS, *WORDS], never_split=["sea."])


@hypothesis.given(TEXTS)
def test_offsets_delimit_the_text_of_a_token(tiny, text):
    row = tiny(text, return_offsets_mapping=True, return_word_ids=True)
    spans = row["offset_mapping"][1:-1]
    for id, (start, end) in zip(row["input_ids"][1:-1], spans, strict=True):
        assert 0 <= start < end <= len(text)
        if id not in (UNK, *tiny.special_ids):
            # The characters of the token, and marks that normalization removed.
            own = [c for c in text[start:end].lower().replace("ñ", "n") if c not in "\u0303\u0000"]
            assert "".join(own) == tiny.vocab[id].removeprefix("##").replace("ñ", "n").lower()
    assert (spans[1:, 0] >= spans[:-1, 1]).all()
    words = row["word_ids"][1:-1]
    assert set(np.diff(words, prepend=-1).tolist()) <= {0, 1}


@hypothesis.given(strategies.lists(strategies.sampled_from(["sea", "see", "日", ".", "n"])))
def test_decoded_text_is_encoded_to_the_same_ids(tiny, words):
    ids = tiny.encode(" ".join(words))
    again = tiny.encode(tiny.decode(ids, skip_special_tokens=True))
    # A decoded "sea ." becomes "sea.", which is in never_split.
    hypothesis.assume("sea." not in tiny.decode(ids).split())
    assert again == ids


@hypothesis.given(
    texts=strategies.lists(strategies.tuples(TEXTS, TEXTS), min_size=1, max_size=4),
    limit=strategies.integers(3, 12) | strategies.none(),
    side=strategies.sampled_from(["right", "left"]),
    multiple=strategies.sampled_from([1, 4]),
)
def test_a_batch_equals_its_texts_and_padding_changes_nothing_else(
    tiny, texts, limit, side, multiple
):
    cut = {"truncation": limit is not None, "max_length": limit}
    extras = ("return_special_tokens_mask", "return_offsets_mapping", "return_word_ids")
    asked = dict.fromkeys(extras, True)
    hypothesis.assume(limit is None or limit % multiple == 0)
    options = {**cut, **asked}
    single = [tiny(*pair, **options) for pair in texts]
    first, second = map(list, zip(*texts, strict=True))
    bare = tiny(first, second, **options)
    padded = tiny(
        first, second, **options, padding=True, padding_side=side, pad_to_multiple_of=multiple
    )
    width = padded["input_ids"].shape[1]
    longest = max(len(row["input_ids"]) for row in single)
    assert longest <= width < longest + multiple
    assert width % multiple == 0
    assert limit is None or width <= limit
    for place, row in enumerate(single):
        length = len(row["input_ids"])
        kept = slice(0, length) if side == "right" else slice(width - length, width)
        for name, values in row.items():
            np.testing.assert_array_equal(bare[name][place], values)
            np.testing.assert_array_equal(padded[name][place][kept], values)
        rest = np.delete(np.arange(width), np.arange(width)[kept])
        assert (padded["input_ids"][place][rest] == PAD).all()
        assert not padded["attention_mask"][place][rest].any()
        assert padded["special_tokens_mask"][place][rest].all()
        assert not padded["token_type_ids"][place][rest].any()


@hypothesis.given(text=TEXTS, limit=strategies.integers(4, 12), stride=strategies.integers(0, 1))
def test_windows_cover_the_text(tiny, text, limit, stride):
    whole = tiny(text, add_special_tokens=False)["input_ids"].tolist()
    found = tiny(
        text, truncation=True, max_length=limit, stride=stride, return_overflowing_tokens=True
    )
    assert all(len(row) <= limit for row in found["input_ids"])
    first, *others = [row[1:-1].tolist() for row in found["input_ids"]]
    for window in others:
        assert first[len(first) - stride :] == window[:stride]
        first += window[stride:]
    assert first == whole
    assert found["overflow_to_sample_mapping"].tolist() == [0] * (1 + len(others))


@hypothesis.given(data=strategies.data())
def test_pieces_that_were_split_elsewhere_are_framed_like_those_of_the_engine(data):
    # With `never_split`, texts are split outside of the `tokenizers` package.
    draw = data.draw
    vocabulary = [*SPECIAL_TOKENS, *WORDS]
    sides = strategies.sampled_from(["right", "left"])
    options = {"truncation_side": draw(sides), "padding_side": draw(sides)}
    engine, own = (
        ElectraTokenizer(vocabulary, never_split=words, **options) for words in ((), ("unused",))
    )
    texts = draw(strategies.lists(strategies.tuples(TEXTS, TEXTS), min_size=1, max_size=3))
    firsts, seconds = map(list, zip(*texts, strict=True))
    if draw(strategies.booleans()):
        firsts, seconds = list(map(str.split, firsts)), list(map(str.split, seconds))
    extras = ("special_tokens_mask", "offsets_mapping", "word_ids", "overflowing_tokens")
    call = {
        "truncation": True,
        "max_length": draw(strategies.integers(8, 16)),
        "stride": draw(strategies.integers(0, 1)),
        "padding": draw(strategies.booleans()),
        "add_special_tokens": draw(strategies.booleans()),
        "is_split_into_words": isinstance(firsts[0], list),
        **{f"return_{name}": draw(strategies.booleans()) for name in extras},
    }
    assert lists(own(firsts, seconds, **call)) == lists(engine(firsts, seconds, **call))
