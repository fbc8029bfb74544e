"""Texts that are hard to tokenize, and comparisons of a graph tokenizer with the Python one."""

import pathlib
import shutil

import tensorflow as tf
from hypothesis import strategies

from official_nlp.data.tokenization.graph.graph_tokenizer import GraphTokenizer
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*"abcdefgijknx", "é", "e\u0301", "ß", "σ", "ς", "α", "ᄒ", "ᅡ", "中", "文"]
MARKS = ["\u08d4", "\u1bf2", "\U0001d165", "\U0001d16d", "\u302e"]
TEXTS = [
    "",
    " ",
    "abc abcabcx Abc ABC. a,b [a]",
    "[MASK]a[MASK] [SEP][CLS] [mask] [MASK",
    "a\x00b\x01c\u200bd\ufeffe\u00ade",
    "[MA\x00SK] \x00[MASK]\x00",
    "\t\n\r a\u00a0b\u2003c\u3000d\u2028e\x85f\x1cg\x0bk",
    "É é e\u0301 e\u0327\u0301 ﬁ ﬀ Ａ ｅ ß ẞ İ i̇ Ǆ",
    "ΑΣ ας σας ΣΑΣ Σ",
    "中文a中 文 \uf900 \U0002f800 가한",
    "a" * 100 + " " + "a" * 101 + " " + "é" * 100 + " " + "e\u0301" * 101 + " " + "中" * 101,
    "\ufffd \uffff \U0010ffff \u0378 \ue000 \U000f0000 \U0001fbff",
    "\U00010428\U00010400 \U0001f469\u200d\U0001f680 🇩🇪",
    "a\u08d4\u1bf2 a\u1bf2\u08d4 a\U0001d16d\U0001d165 a\u08d4\u0301\u1bf2 \u08d4\u0378\u1bf2",
    "a\u302e\u0301\u302f \u302e",
    "C++ c++ C++. C++ C++ \u3000C++\u3000 xC++ a.b A.B a.b",
    "ab <t> <t>> <t>>> a[b [MASK]ab ab[MASK] ab ab. _ab éab ab\u0301 ab5 <t>ab x yx y",
    "ünter Ünter UNTER sunter 中文 中文a a中文。 Sea  Cow Sea Cow x [MASK] abc",
    "b.c ab.cd [SEP]b.c # ## ### ##b a##b ac @@b",
    "ş\u0323\u0301 \u1e69 ḍ̇ \u0344 \u0f73a",
]
_ALPHABET = strategies.one_of(
    strategies.characters(exclude_categories=["Cs"]),
    strategies.sampled_from("abcABC .,#+\u0301\u0323\u0345" + "".join([*LETTERS, *MARKS])),
)
ANY_TEXT = strategies.lists(
    strategies.one_of(
        strategies.text(_ALPHABET, max_size=20),
        strategies.sampled_from([*SPECIAL, "C++", "a.b", " ", "Ünter", "Sea Cow", "ab", "abc"]),
    ),
    max_size=8,
).map("".join)
ANY_BATCH = strategies.lists(ANY_TEXT, min_size=1, max_size=20)


def lists(encoding: dict) -> dict:
    """Return the output of a graph tokenizer as lists."""
    return {
        name: values.to_list() if isinstance(values, tf.RaggedTensor) else values.numpy().tolist()
        for name, values in encoding.items()
    }


def in_python(encoding: dict) -> dict:
    """Return the output of a Python tokenizer as lists."""
    return {
        name: [row.tolist() for row in values] if isinstance(values, list) else values.tolist()
        for name, values in encoding.items()
    }


def assert_same(tokenizer: ElectraTokenizer, graph: GraphTokenizer, texts: list[str]):
    found, expected = lists(graph(texts)), in_python(tokenizer(texts))
    for text, ours, theirs in zip(texts, found["input_ids"], expected["input_ids"], strict=True):
        assert ours == theirs, text
    assert found == expected


class Served(tf.Module):
    """A graph tokenizer with the signatures of a SavedModel."""

    def __init__(self, graph: GraphTokenizer):
        super().__init__()
        self.graph = graph

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)] * 2)
    def pairs(self, texts, pairs):
        return self.graph(texts, pairs, max_length=16)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        return {name: rows.to_tensor() for name, rows in self.graph(texts).items()}


def save_and_move(graph: GraphTokenizer, folder: pathlib.Path) -> pathlib.Path:
    """Return the path of a SavedModel that is no longer where it was saved."""
    tf.saved_model.save(Served(graph), str(folder / "here"))
    shutil.move(folder / "here", folder / "there")
    return folder / "there"


def assert_served(served, tokenizer: ElectraTokenizer, texts: list[str]):
    """Check a loaded SavedModel, or a function with its outputs, against the Python tokenizer."""
    assert lists(served(tf.constant(texts))) == in_python(tokenizer(texts, padding=True))
    options = {"padding": "max_length", "truncation": True, "max_length": 16}
    pairs = served.pairs(tf.constant(texts), tf.constant(texts[::-1]))
    assert lists(pairs) == in_python(tokenizer(texts, texts[::-1], **options))
