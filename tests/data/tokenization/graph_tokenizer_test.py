import gzip
import json
import shutil
import subprocess
import sys
import unicodedata

import hypothesis
import pytest
import tensorflow as tf
from hypothesis import strategies
from tokenizers import normalizers, pre_tokenizers

from official_nlp import data
from official_nlp.data.tokenization.graph.character_table import character_table
from official_nlp.data.tokenization.graph.graph_tokenizer import GraphTokenizer
from official_nlp.data.tokenization.graph.word_splitter import WordSplitter
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.vocabulary import train_vocabulary
from official_nlp.errors import InputError
from tools import compare_tokenizers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*"abcdefgijknx", "é", "e\u0301", "ß", "σ", "ς", "α", "ᄒ", "ᅡ", "中", "文"]
MARKS = ["\u08d4", "\u1bf2", "\U0001d165", "\U0001d16d", "\u302e"]
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
    "nothing done": {
        "do_lower_case": False,
        "clean_text": False,
        "tokenize_chinese_chars": False,
    },
    "white space alone": {"do_basic_tokenize": False},
    "other prefix": {"wordpieces_prefix": "@@"},
    "letter for prefix": {"wordpieces_prefix": "a", "do_basic_tokenize": False},
    "all tokens treated": {
        f"{role}_token": {"content": f"[{role.upper()}]", "normalized": True}
        for role in ("unk", "sep", "pad", "cls", "mask")
    },
    "words kept": {"never_split": ["C++", "a.b", "σας", "C"]},
    "words kept as they are": {"never_split": ["C++", "a.b"], "do_lower_case": False},
    "special tokens added": {"additional_special_tokens": ["<t>", "<t>>", "a[", "x y"]},
    "tokens stripped": {
        "mask_token": {"content": "[MASK]", "lstrip": True, "rstrip": True},
        "added_tokens_decoder": {len(VOCABULARY): {"content": " abc", "normalized": True}},
    },
    "single words": {
        "mask_token": {"content": "[MASK]", "single_word": True},
        "additional_special_tokens": [{"content": "ab", "single_word": True}, "<t>"],
    },
    "treated tokens": {
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
    "treated tokens, white space alone": {
        "do_basic_tokenize": False,
        "added_tokens_decoder": {len(VOCABULARY): {"content": "b.c", "normalized": True}},
    },
}
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
ALPHABET = strategies.one_of(
    strategies.characters(exclude_categories=["Cs"]),
    strategies.sampled_from("abcABC .,#+\u0301\u0323\u0345" + "".join([*LETTERS, *MARKS])),
)
ANY_TEXT = strategies.lists(
    strategies.one_of(
        strategies.text(ALPHABET, max_size=20),
        strategies.sampled_from([*SPECIAL, "C++", "a.b", " ", "Ünter", "Sea Cow", "ab", "abc"]),
    ),
    max_size=8,
).map("".join)

_made = {}


def both(name: str):
    """The tokenizer of these settings, and its graph."""
    if name not in _made:
        tokenizer = ElectraTokenizer(VOCABULARY, **SETTINGS[name])
        _made[name] = tokenizer, GraphTokenizer(tokenizer)
    return _made[name]


def lists(encoding: dict) -> dict:
    return {
        name: values.to_list() if isinstance(values, tf.RaggedTensor) else values.numpy().tolist()
        for name, values in encoding.items()
    }


def in_python(encoding: dict) -> dict:
    return {
        name: [row.tolist() for row in values] if isinstance(values, list) else values.tolist()
        for name, values in encoding.items()
    }


def assert_same(tokenizer, graph, texts: list[str]):
    found, expected = lists(graph(texts)), in_python(tokenizer(texts))
    for number, text in enumerate(texts):
        assert found["input_ids"][number] == expected["input_ids"][number], text
    assert found == expected


@pytest.fixture(scope="module")
def tiny():
    return both("uncased")


# === The ids ===


@pytest.mark.parametrize("name", SETTINGS)
def test_the_ids_are_those_of_python(name):
    assert_same(*both(name), TEXTS)


# Every setting has its own graph to trace, and its texts above; three have random texts by default.
RANDOM_BY_DEFAULT = ("uncased", "cased, accents stripped", "special tokens added")


def _random_settings():
    for name in SETTINGS:
        yield pytest.param(name, marks=[] if name in RANDOM_BY_DEFAULT else [pytest.mark.slow])


@pytest.mark.parametrize("name", _random_settings())
@hypothesis.settings(max_examples=30)
@hypothesis.given(texts=strategies.lists(ANY_TEXT, min_size=1, max_size=20))
def test_the_ids_of_any_text_are_those_of_python(name, texts):
    assert_same(*both(name), texts)


@hypothesis.given(
    text=strategies.lists(strategies.sampled_from([*MARKS, *"a \u0301\u0323\u0345\x01"]))
)
def test_marks_are_put_in_order(tiny, text):
    assert_same(*tiny, ["".join(text)])


NOTHING_DONE = {"lowercase": False, "clean_text": False, "handle_chinese_chars": False}


@pytest.mark.parametrize(
    ("options", "around"),
    [
        ({}, "a{}b "),
        pytest.param({}, "\U0001d16d{}\u08d4 ", marks=pytest.mark.slow),
        pytest.param(NOTHING_DONE, "a{}b ", marks=pytest.mark.slow),
        pytest.param(NOTHING_DONE, "\U0001d16d{}\u08d4 ", marks=pytest.mark.slow),
    ],
)
def test_every_character_is_treated_as_by_the_engine(options, around):
    normalizer = normalizers.BertNormalizer(**options)
    cutter = pre_tokenizers.BertPreTokenizer()
    words = WordSplitter(character_table(normalizer, cutter))
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    texts = [
        "".join(map(around.format, characters[start : start + 1024]))
        for start in range(0, len(characters), 1024)
    ]
    found = tf.strings.unicode_encode(words(tf.constant(texts)), "UTF-8").to_list()
    for text, ours in zip(texts, found, strict=True):
        theirs = [word for word, _ in cutter.pre_tokenize_str(normalizer.normalize_str(text))]
        assert [word.decode() for word in ours] == theirs, text


@hypothesis.given(texts=strategies.lists(strategies.binary(max_size=40), min_size=1))
@hypothesis.example(texts=[b"a\xffb \xed\xa0\x80 \xc0\x80 \xf4\x90\x80\x80 [MA\xffSK] \xe4\xb8"])
@pytest.mark.parametrize("name", ["uncased", "nothing done", "words kept"])
def test_bytes_that_are_no_utf_8_count_as_the_replacement_character(name, texts):
    tokenizer, graph = both(name)
    readable = [text.decode(errors="replace") for text in texts]
    assert lists(graph(texts)) == in_python(tokenizer(readable))


def test_a_vocabulary_without_pieces_that_go_on_is_enough():
    tokenizer = ElectraTokenizer([*SPECIAL, "a", "b"], clean_text=False)
    assert_same(tokenizer, GraphTokenizer(tokenizer), ["a b ab", "a\x11", "a\x11 \x11", "##\x11"])


# === Rows ===


def test_without_a_length_rows_are_ragged(tiny):
    tokenizer, graph = tiny
    rows = graph(["a", "a b"], ["b", ""])
    assert lists(rows) == in_python(tokenizer(["a", "a b"], ["b", ""]))
    for values in rows.values():
        assert isinstance(values, tf.RaggedTensor)
        assert values.dtype == tf.int32


@pytest.mark.parametrize("padding", [True, "longest"])
def test_rows_are_padded_to_the_longest(tiny, padding):
    tokenizer, graph = tiny
    assert lists(graph(TEXTS, padding=padding)) == in_python(tokenizer(TEXTS, padding=padding))
    cut = lists(graph(TEXTS, max_length=9, padding=padding))
    assert cut == in_python(tokenizer(TEXTS, padding=padding, max_length=9, truncation=True))


@pytest.mark.parametrize("sides", [("right", "right"), ("left", "left"), ("left", "right")])
@pytest.mark.parametrize("max_length", [2, 3, 4, 7, 8, 40])
def test_texts_are_cut_and_padded_as_in_python(sides, max_length):
    settings = dict(zip(("truncation_side", "padding_side"), sides))
    tokenizer = ElectraTokenizer(VOCABULARY, **settings)
    graph = GraphTokenizer(tokenizer)
    options = {"max_length": max_length, "truncation": True}
    expected = in_python(tokenizer(TEXTS, padding="max_length", **options))
    assert lists(graph(TEXTS, max_length=max_length)) == expected
    expected = in_python(tokenizer(TEXTS, **options))
    assert lists(graph(TEXTS, max_length=max_length, padding=False)) == expected
    if max_length > 2:
        firsts = ["a " * length for length in range(7) for _ in range(7)]
        seconds = ["b " * length for _ in range(7) for length in range(7)]
        expected = in_python(tokenizer(firsts, seconds, padding="max_length", **options))
        assert lists(graph(firsts, seconds, max_length=max_length)) == expected


@pytest.mark.parametrize("pair", [None, "", "b . c"])
@pytest.mark.parametrize("options", [{}, {"max_length": 6}, {"max_length": 20}])
def test_one_text_has_one_row(tiny, pair, options):
    tokenizer, graph = tiny
    also = {"truncation": True, "padding": "max_length"} if options else {}
    expected = in_python(tokenizer("a b c a b c", pair, **options, **also))
    assert lists(graph("a b c a b c", pair, **options)) == expected


def test_no_texts_give_no_rows(tiny):
    _, graph = tiny
    nothing = tf.zeros([0], tf.string)
    assert graph(nothing)["input_ids"].to_list() == []
    assert graph(nothing, nothing, max_length=8)["input_ids"].shape == (0, 8)


# === In data sets and SavedModels ===


def test_a_data_set_is_mapped_text_by_text_and_batch_by_batch(tiny):
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


class Served(tf.Module):
    def __init__(self, graph):
        super().__init__()
        self.graph = graph

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)] * 2)
    def pairs(self, texts, pairs):
        return self.graph(texts, pairs, max_length=16)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        return {name: rows.to_tensor() for name, rows in self.graph(texts).items()}


LOAD = """
import json, sys
import tensorflow as tf
import tensorflow_text

served = tf.saved_model.load(sys.argv[1])
texts = json.loads(sys.argv[2])
rows = [served(tf.constant(texts)), served.pairs(tf.constant(texts), tf.constant(texts[::-1]))]
assert not [name for name in sys.modules if name.startswith(("official_nlp", "tokenizers"))]
print(json.dumps([{name: value.numpy().tolist() for name, value in row.items()} for row in rows]))
"""


def served_elsewhere(graph, folder, texts: list[str]) -> list[dict]:
    """Two calls of a SavedModel that was moved, in a process that knows TensorFlow alone."""
    tf.saved_model.save(Served(graph), str(folder / "here"))
    shutil.move(folder / "here", folder / "there")
    words = [sys.executable, "-c", LOAD, str(folder / "there"), json.dumps(texts)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_saved_model_that_was_moved_gives_the_same_ids(tmp_path):
    tokenizer, graph = both("everything added")
    # An argument of a program has no zero byte in it.
    texts = [text.replace("\x00", "\x01") for text in TEXTS if text]
    one, two = served_elsewhere(graph, tmp_path, texts)
    assert one == in_python(tokenizer(texts, padding=True))
    options = {"padding": "max_length", "truncation": True, "max_length": 16}
    assert two == in_python(tokenizer(texts, texts[::-1], **options))


def test_what_a_saved_model_holds_of_the_tables_is_small(tiny):
    words = tiny[1]._engine._words
    size = sum(value.numpy().nbytes for value in (words._pages, words._entries, words._expansions))
    assert size < 400_000


# === What is refused ===


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
def test_arguments_that_do_not_go_together_are_refused(tiny, arguments, message):
    with pytest.raises(InputError, match=message):
        tiny[1](*arguments)


def test_a_token_with_more_bytes_than_the_kernel_takes_is_refused():
    tokenizer = ElectraTokenizer([*SPECIAL, "\u4e2d" * 90])
    with pytest.raises(InputError, match=r"at most 256 bytes to be found in a graph, .* has 270"):
        GraphTokenizer(tokenizer)
    # No word has so many characters.
    assert (
        GraphTokenizer(ElectraTokenizer([*SPECIAL, "a" * 300]))("a")["input_ids"].numpy().size == 3
    )


# === SentencePiece ===

MODEL_SETTINGS = {
    "plain": {},
    "with rules": {
        "mask_token": {"content": "[MASK]", "lstrip": True},
        "cls_token": {"content": "[CLS]", "rstrip": True},
        "additional_special_tokens": ["<t>", "<t>>", {"content": "red", "single_word": True}],
    },
}


@pytest.fixture(scope="module", params=["sentencepiece", "sentencepiece-bpe"])
def model(request, text_file, tmp_path_factory):
    to = tmp_path_factory.mktemp("graph model")
    train_vocabulary(text_file, to, size=90, kind=request.param, progress=False)
    return to


@pytest.fixture(scope="module", params=MODEL_SETTINGS)
def modelled(request, model):
    tokenizer = ElectraTokenizer.from_pretrained(model, **MODEL_SETTINGS[request.param])
    return tokenizer, GraphTokenizer(tokenizer)


SENTENCES = [
    *TEXTS,
    "The red boat [MASK] on the river.",
    "the [MASK]red boat[SEP]boat [SEP] boat  [CLS]   boat  [MASK]  ",
    "red redred [MASK]red red<t> <t>>red. red",
    "  the   river  ",
]


def test_the_ids_of_a_model_are_those_of_python(modelled):
    assert_same(*modelled, SENTENCES)


@hypothesis.given(texts=strategies.lists(ANY_TEXT, min_size=1, max_size=20))
def test_the_ids_of_a_model_and_any_text_are_those_of_python(modelled, texts):
    assert_same(*modelled, texts)


@pytest.mark.slow
def test_a_saved_model_with_pieces_of_a_model_gives_the_same_ids(model, tmp_path):
    tokenizer = ElectraTokenizer.from_pretrained(model, **MODEL_SETTINGS["with rules"])
    graph = GraphTokenizer(tokenizer)
    texts = [text.replace("\x00", "\x01") for text in SENTENCES]
    one, two = served_elsewhere(graph, tmp_path, texts)
    assert one == in_python(tokenizer(texts, padding=True))
    options = {"padding": "max_length", "truncation": True, "max_length": 16}
    assert two == in_python(tokenizer(texts, texts[::-1], **options))


# === Against Hugging Face's tokenizer, and on much text ===

# Rows of the table in which the graph differs, and why: none.
EXCEPTIONS: dict[int, str] = {}


@pytest.fixture(scope="module")
def golden(outside_data):
    return outside_data / "golden" / "tokenizer"


def test_the_table_of_hugging_faces_fast_tokenizer_agrees(golden):
    rows = [json.loads(line) for line in (golden / "golden.jsonl").read_text().splitlines()]
    rows = [row for row in rows if not row["call_kwargs"]]
    assert len(rows) == 486
    graphs, differ = {}, set()
    for row in rows:
        key = json.dumps(row["config_kwargs"])
        if key not in graphs:
            tokenizer = ElectraTokenizer(golden / "vocab.txt", **row["config_kwargs"])
            graphs[key] = GraphTokenizer(tokenizer)
        found = lists(graphs[key](row["text"], row["text_pair"]))
        if any(found[name] != row["fast"][name] for name in found):
            differ.add(row["i"])
    assert differ == set(EXCEPTIONS)


def test_no_line_of_some_text_differs(tmp_path, golden, capsys):
    lines = [unicodedata.normalize(form, text) for text in TEXTS for form in ("NFC", "NFKD")]
    (tmp_path / "text.txt").write_text("\n".join(lines[:7]), encoding="utf-8")
    (tmp_path / "text.gz").write_bytes(gzip.compress("\n".join(lines[7:]).encode()))
    files = [str(tmp_path / name) for name in ("text.txt", "text.gz")]
    assert compare_tokenizers.main([*files, "--tokenizer", str(golden / "vocab.txt")]) == 0
    assert "together: 0 of " in capsys.readouterr().out


def test_lines_that_differ_are_counted_and_shown(tmp_path, capsys, monkeypatch):
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL, "a", "b"]))
    (tmp_path / "text.txt").write_text("a\nb\na b")
    monkeypatch.setattr(data, "GraphTokenizer", lambda tokenizer: Wrong())
    words = [str(tmp_path / "text.txt"), "--tokenizer", str(tmp_path / "vocab.txt")]
    assert compare_tokenizers.main([*words, "--options", '{"do_lower_case": false}']) == 1
    printed = capsys.readouterr().out
    assert "text.txt: 2 of 3 lines differ (6.67e-01)" in printed
    assert "line 2: 'b'\n    graph  [5]\n    Python [6]" in printed


class Wrong:
    def pieces(self, texts):
        return tf.ragged.constant([[5]] * len(texts))


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_no_line_of_much_text_differs(outside_data, golden, language):
    files = sorted(map(str, (outside_data / "data" / "corpus").glob(f"{language}_*.txt.gz")))
    assert files
    for options in ("{}", '{"do_lower_case": false}'):
        words = ["--tokenizer", str(golden / "vocab.txt"), "--options", options]
        assert compare_tokenizers.main([*files, *words]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "most"),
    # Of a unigram model, pieces that have the same score in two orders may come in the other one.
    [("sentencepiece", 1e-3), ("sentencepiece-bpe", 0)],
)
def test_next_to_no_line_of_much_text_differs_with_a_model(outside_data, tmp_path, kind, most):
    lines = []
    for name in ("en_wikitext103_valid", "de_books", "zh_wikipedia_cmrc2018"):
        file = outside_data / "data" / "corpus" / f"{name}.txt.gz"
        lines += gzip.decompress(file.read_bytes()).decode().split("\n")
    (tmp_path / "text.txt").write_text("\n".join(lines))
    train_vocabulary(tmp_path / "text.txt", tmp_path / "to", 8000, kind=kind, progress=False)
    tokenizer = ElectraTokenizer.from_pretrained(tmp_path / "to")
    graph = GraphTokenizer(tokenizer)
    differ = 0
    for start in range(0, len(lines), 1024):
        texts = lines[start : start + 1024]
        found = graph.pieces(texts).to_list()
        expected = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
        for ours, theirs in zip(found, expected, strict=True):
            assert sorted(ours) == sorted(theirs)
            differ += ours != theirs
    assert differ <= most * len(lines)
