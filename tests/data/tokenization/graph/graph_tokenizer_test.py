import functools
import itertools
import json
import subprocess
import sys

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies
from tokenizers import normalizers, pre_tokenizers

from official_nlp.data.tokenization.graph.character_table import character_table
from official_nlp.data.tokenization.graph.graph_tokenizer import GraphTokenizer
from official_nlp.data.tokenization.graph.word_splitter import WordSplitter
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from tests.data.tokenization.graph.agreement import (
    ANY_BATCH,
    LETTERS,
    MARKS,
    SPECIAL,
    TEXTS,
    assert_same,
    assert_served,
    in_python,
    lists,
    save_and_move,
)

VOCABULARY = [
    *SPECIAL,
    *LETTERS,
    *MARKS,
    *["##" + x for x in [*LETTERS, *MARKS]],
    *["abc", "##bc", "A", "E", "É", "##E", ".", ",", "[", "]", "mask", "MASK", "#", "##", "C++"],
    *["a.b", "##.", "##+", "C", "@@b", "@@c", "##\u0307", "ab", "\U00010450", "\ufffd", "x y"],
]
SETTINGS = {
    "uncased": {},
    "cased": {"do_lower_case": False},
    "accents kept": {"strip_accents": False},
    "cased, accents stripped": {"do_lower_case": False, "strip_accents": True},
    "Chinese in words": {"tokenize_chinese_chars": False},
    "not cleaned": {"clean_text": False},
    "not normalized": {
        "do_lower_case": False,
        "clean_text": False,
        "tokenize_chinese_chars": False,
    },
    "white space only": {"do_basic_tokenize": False},
    "other prefix": {"wordpieces_prefix": "@@"},
    "letter as prefix": {"wordpieces_prefix": "a", "do_basic_tokenize": False},
    "all tokens normalized": {
        f"{role}_token": {"content": f"[{role.upper()}]", "normalized": True}
        for role in ("unk", "sep", "pad", "cls", "mask")
    },
    "words never split": {"never_split": ["C++", "a.b", "σας", "C"]},
    "words never split, cased": {"never_split": ["C++", "a.b"], "do_lower_case": False},
    "special tokens added": {"additional_special_tokens": ["<t>", "<t>>", "a[", "x y"]},
    "tokens stripped": {
        "mask_token": {"content": "[MASK]", "lstrip": True, "rstrip": True},
        "added_tokens_decoder": {len(VOCABULARY): {"content": " abc", "normalized": True}},
    },
    "single words": {
        "mask_token": {"content": "[MASK]", "single_word": True},
        "additional_special_tokens": [{"content": "ab", "single_word": True}, "<t>"],
    },
    "normalized tokens": {
        "added_tokens_decoder": {
            len(VOCABULARY): {"content": "Ünter"},
            len(VOCABULARY) + 1: {"content": "中文", "single_word": True},
            len(VOCABULARY) + 2: {"content": "sea cow", "special": False},
        }
    },
    "everything added": {
        "never_split": ["C++", "a.b"],
        "mask_token": {"content": "[MASK]", "lstrip": True, "single_word": True},
        "added_tokens_decoder": {len(VOCABULARY): {"content": "Ünter"}},
    },
    "normalized tokens, white space only": {
        "do_basic_tokenize": False,
        "added_tokens_decoder": {len(VOCABULARY): {"content": "b.c", "normalized": True}},
    },
}
# In the default suite, the table of the fast tokenizer of Hugging Face covers these.
COVERED = ["cased", "accents kept", "cased, accents stripped", "Chinese in words", "not cleaned"]
COVERED += ["words never split, cased", "normalized tokens, white space only"]
# Settings that together use every part of the graph.
VARIED = ["uncased", "not normalized", "single words", "everything added"]


@functools.cache
def both(name: str, truncation_side: str = "right", padding_side: str = "right"):
    """Return the tokenizer with these settings, and its graph."""
    sides = {"truncation_side": truncation_side, "padding_side": padding_side}
    tokenizer = ElectraTokenizer(VOCABULARY, **SETTINGS[name], **sides)
    return tokenizer, GraphTokenizer(tokenizer)


@pytest.fixture(scope="module")
def tiny():
    return both("uncased")


# === Ids ===


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in COVERED else ()) for name in SETTINGS],
)
def test_ids_equal_those_of_python(name):
    assert_same(*both(name), TEXTS)


@pytest.mark.parametrize("name", VARIED)
@hypothesis.settings(max_examples=15)
@hypothesis.given(texts=ANY_BATCH)
def test_ids_of_any_text_equal_those_of_python(name, texts):
    assert_same(*both(name), texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
@hypothesis.settings(max_examples=100)
@hypothesis.given(texts=ANY_BATCH)
def test_ids_of_any_text_equal_those_of_python_with_any_setting(name, texts):
    assert_same(*both(name), texts)


@hypothesis.settings(max_examples=25)
@hypothesis.given(
    texts=strategies.lists(
        strategies.text(strategies.sampled_from([*MARKS, *"a \u0301\u0323\u0345\x01"])),
        min_size=1,
    )
)
def test_marks_are_sorted_as_in_python(tiny, texts):
    assert_same(*tiny, texts)


UNCASED = {}
MINIMAL = {"lowercase": False, "clean_text": False, "handle_chinese_chars": False}
PLAIN, BETWEEN_MARKS = "a{}b ", "\U0001d16d{}\u08d4 "


def assert_every_character_is_treated_as_by_the_engine(options, around, points):
    """Compare the words of all characters, each within some others, with those of the engine."""
    normalizer = normalizers.BertNormalizer(**options)
    splitter = pre_tokenizers.BertPreTokenizer()
    words = WordSplitter(character_table(normalizer, splitter))
    characters = [chr(c) for c in points if not 0xD800 <= c < 0xE000]
    texts = [
        "".join(map(around.format, characters[start : start + 1024]))
        for start in range(0, len(characters), 1024)
    ]
    found = words(tf.constant(texts))
    expected = [
        [word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))]
        for text in texts
    ]
    assert found.row_lengths().numpy().tolist() == list(map(len, expected))
    flat = list(itertools.chain(*expected))
    lengths = found.values.row_lengths().numpy()
    theirs = np.frombuffer("".join(flat).encode("utf-32-le"), np.int32)
    np.testing.assert_array_equal(lengths, list(map(len, flat)))
    np.testing.assert_array_equal(found.flat_values.numpy(), theirs)


@pytest.mark.parametrize("options", [UNCASED, MINIMAL])
def test_characters_are_treated_as_by_the_engine(options):
    # The planes with letters, and the ends of others.
    points = [*range(0x20000), *range(0x2F800, 0x2FA20), *range(0xEFFF0, 0xF0010)]
    assert_every_character_is_treated_as_by_the_engine(options, PLAIN, points)


def test_characters_between_marks_are_treated_as_by_the_engine():
    assert_every_character_is_treated_as_by_the_engine(UNCASED, BETWEEN_MARKS, range(0x20000))


@pytest.mark.slow
@pytest.mark.parametrize("options", [UNCASED, MINIMAL])
@pytest.mark.parametrize("around", [PLAIN, BETWEEN_MARKS])
def test_all_characters_are_treated_as_by_the_engine(options, around):
    assert_every_character_is_treated_as_by_the_engine(options, around, range(0x110000))


@hypothesis.settings(max_examples=20)
@hypothesis.given(texts=strategies.lists(strategies.binary(max_size=40), min_size=1))
@hypothesis.example(texts=[b"a\xffb \xed\xa0\x80 \xc0\x80 \xf4\x90\x80\x80 [MA\xffSK] \xe4\xb8"])
@pytest.mark.parametrize("name", ["uncased", "not normalized", "everything added"])
def test_invalid_bytes_count_as_the_replacement_character(name, texts):
    tokenizer, graph = both(name)
    readable = [text.decode(errors="replace") for text in texts]
    assert lists(graph(texts)) == in_python(tokenizer(readable))


def test_a_vocabulary_without_continuing_pieces_works():
    tokenizer = ElectraTokenizer([*SPECIAL, "a", "b"], clean_text=False)
    assert_same(tokenizer, GraphTokenizer(tokenizer), ["a b ab", "a\x11", "a\x11 \x11", "##\x11"])


def test_ids_equal_those_of_hugging_faces_fast_tokenizer(outside_data):
    folder = outside_data / "golden" / "tokenizer"
    rows = [json.loads(line) for line in (folder / "golden.jsonl").read_text().splitlines()]
    rows = [row for row in rows if not row["call_kwargs"]]
    assert len(rows) == 486
    by_settings = {}
    for row in rows:
        by_settings.setdefault(json.dumps(row["config_kwargs"]), []).append(row)
    for settings, group in by_settings.items():
        graph = GraphTokenizer(ElectraTokenizer(folder / "vocab.txt", **json.loads(settings)))
        # An empty second text is none.
        found = lists(
            graph([row["text"] for row in group], [row["text_pair"] or "" for row in group])
        )
        for name, values in found.items():
            for row, ours in zip(group, values, strict=True):
                assert ours == row["fast"][name], row["i"]


# === Sequences ===


def test_sequences_are_ragged_without_a_length(tiny):
    tokenizer, graph = tiny
    sequences = graph(["a", "a b"], ["b", ""])
    assert lists(sequences) == in_python(tokenizer(["a", "a b"], ["b", ""]))
    for values in sequences.values():
        assert isinstance(values, tf.RaggedTensor)
        assert values.dtype == tf.int32


@pytest.mark.parametrize("padding", [True, "longest"])
def test_sequences_are_padded_to_the_longest(tiny, padding):
    tokenizer, graph = tiny
    assert lists(graph(TEXTS, padding=padding)) == in_python(tokenizer(TEXTS, padding=padding))
    short = lists(graph(TEXTS, max_length=9, padding=padding))
    assert short == in_python(tokenizer(TEXTS, padding=padding, max_length=9, truncation=True))


@pytest.mark.parametrize("sides", [("right", "right"), ("left", "left"), ("left", "right")])
def test_sequences_are_truncated_and_padded_as_in_python(sides):
    tokenizer, graph = both("uncased", *sides)
    firsts = ["a " * length for length in range(7) for _ in range(7)]
    seconds = ["b " * length for _ in range(7) for length in range(7)]
    for max_length in (2, 3, 4, 7, 8, 40):
        options = {"max_length": max_length, "truncation": True}
        expected = in_python(tokenizer(TEXTS, padding="max_length", **options))
        assert lists(graph(TEXTS, max_length=max_length)) == expected
        expected = in_python(tokenizer(TEXTS, **options))
        assert lists(graph(TEXTS, max_length=max_length, padding=False)) == expected
        if max_length > 2:
            expected = in_python(tokenizer(firsts, seconds, padding="max_length", **options))
            assert lists(graph(firsts, seconds, max_length=max_length)) == expected


@pytest.mark.parametrize("pair", [None, "", "b . c"])
@pytest.mark.parametrize("options", [{}, {"max_length": 6}, {"max_length": 20}])
def test_one_text_gives_one_sequence(tiny, pair, options):
    tokenizer, graph = tiny
    also = {"truncation": True, "padding": "max_length"} if options else {}
    expected = in_python(tokenizer("a b c a b c", pair, **options, **also))
    assert lists(graph("a b c a b c", pair, **options)) == expected


def test_no_texts_give_no_sequences(tiny):
    _, graph = tiny
    nothing = tf.zeros([0], tf.string)
    assert graph(nothing)["input_ids"].to_list() == []
    assert graph(nothing, nothing, max_length=8)["input_ids"].shape == (0, 8)


# === Data sets and SavedModels ===


def test_a_data_set_can_be_mapped_by_text_and_by_batch(tiny):
    tokenizer, graph = tiny
    expected = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=12)
    texts = tf.data.Dataset.from_tensor_slices(TEXTS)
    singly = texts.map(lambda text: graph(text, max_length=12)).batch(len(TEXTS))
    together = texts.batch(len(TEXTS)).map(lambda text: graph(text, max_length=12))
    ragged = texts.batch(len(TEXTS)).map(graph)
    assert singly.element_spec["input_ids"].shape.as_list() == [None, 12]
    assert together.element_spec["input_ids"].shape.as_list() == [None, 12]
    assert lists(next(iter(singly))) == lists(next(iter(together))) == in_python(expected)
    assert lists(next(iter(ragged))) == in_python(tokenizer(TEXTS))


def test_a_moved_saved_model_gives_the_same_ids(tmp_path):
    tokenizer, graph = both("everything added")
    served = tf.saved_model.load(str(save_and_move(graph, tmp_path)))
    assert_served(served, tokenizer, [text for text in TEXTS if text])


LOAD = """
import json, sys
import tensorflow as tf
import tensorflow_text

served = tf.saved_model.load(sys.argv[1])
texts = json.loads(sys.argv[2])
ids = served(tf.constant(texts))["input_ids"].numpy().tolist()
assert not [name for name in sys.modules if name.startswith(("official_nlp", "tokenizers"))]
print(json.dumps(ids))
"""


@pytest.mark.slow
def test_a_saved_model_needs_only_tensorflow(tmp_path):
    tokenizer, graph = both("everything added")
    folder = save_and_move(graph, tmp_path)
    # An argument of a program cannot contain a zero byte.
    texts = [text.replace("\x00", "\x01") for text in TEXTS if text]
    command = [sys.executable, "-c", LOAD, str(folder), json.dumps(texts)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = tokenizer(texts, padding=True)["input_ids"].tolist()
    assert json.loads(done.stdout) == expected


def test_tables_in_a_saved_model_are_small(tiny):
    words = tiny[1]._engine._words
    tables = (words._pages, words._entries, words._expansions)
    assert sum(table.numpy().nbytes for table in tables) < 400_000


# === Errors ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2],), r"text must be a string or strings \[B\], was int32 \(2,\)"),
        (([["a"]],), r"text must be a string or strings \[B\], was string \(1, 1\)"),
        ((["a"], [["a"]]), r"text_pair must be a string or strings \[B\]"),
        ((["a"], ["a", "b"]), r"text_pair must have the shape of text, \(1,\), was \(2,\)"),
        ((["a"], None, 1), "max_length must be at least 2, the number of special tokens"),
        ((["a"], ["b"], 2), "max_length must be at least 3, .* was 2"),
        ((["a"], None, None, "max_length"), 'padding="max_length" needs max_length='),
        ((["a"], None, 5, "most"), "padding must be False, True, .* was 'most'"),
    ],
)
def test_invalid_arguments_are_refused(tiny, arguments, message):
    with pytest.raises(InputError, match=message):
        tiny[1](*arguments)


def test_a_token_that_the_kernel_cannot_hold_is_refused():
    tokenizer = ElectraTokenizer([*SPECIAL, "\u4e2d" * 90])
    with pytest.raises(InputError, match=r"at most 256 bytes to be found in a graph, .* has 270"):
        GraphTokenizer(tokenizer)
    with pytest.raises(InputError, match=r"must not contain a zero character .* 'a\\x00' does"):
        GraphTokenizer(ElectraTokenizer([*SPECIAL, "a\x00"]))
    # No word has as many characters as this token, so it is never looked up.
    long = GraphTokenizer(ElectraTokenizer([*SPECIAL, "a" * 300]))
    assert long("a")["input_ids"].numpy().size == 3
