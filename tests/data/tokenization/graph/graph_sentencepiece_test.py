import gzip

import hypothesis
import pytest
import tensorflow as tf

from official_nlp.data.tokenization.graph.graph_tokenizer import GraphTokenizer
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.vocabulary import train_vocabulary
from tests.data.tokenization.graph.agreement import (
    ANY_BATCH,
    TEXTS,
    assert_same,
    assert_served,
    save_and_move,
)

SETTINGS = {
    "plain": {},
    "with rules": {
        "mask_token": {"content": "[MASK]", "lstrip": True},
        "cls_token": {"content": "[CLS]", "rstrip": True},
        "additional_special_tokens": ["<t>", "<t>>", {"content": "red", "single_word": True}],
    },
}
SENTENCES = [
    *TEXTS,
    "The red boat [MASK] on the river.",
    "the [MASK]red boat[SEP]boat [SEP] boat  [CLS]   boat  [MASK]  ",
    "red redred [MASK]red red<t> <t>>red. red",
    "  the   river  ",
]


@pytest.fixture(scope="module", params=["sentencepiece", "sentencepiece-bpe"])
def model(request, text_file, tmp_path_factory):
    to = tmp_path_factory.mktemp("graph model")
    train_vocabulary(text_file, to, size=90, kind=request.param, progress=False)
    return to


@pytest.fixture(scope="module", params=SETTINGS)
def both(request, model):
    """Return a tokenizer, and its graph."""
    tokenizer = ElectraTokenizer.from_pretrained(model, **SETTINGS[request.param])
    return tokenizer, GraphTokenizer(tokenizer)


def test_ids_equal_those_of_python(both):
    assert_same(*both, SENTENCES)


@hypothesis.settings(max_examples=15)
@hypothesis.given(texts=ANY_BATCH)
def test_ids_of_any_text_equal_those_of_python(both, texts):
    assert_same(*both, texts)


@pytest.mark.slow
@hypothesis.settings(max_examples=200)
@hypothesis.given(texts=ANY_BATCH)
def test_ids_of_many_texts_equal_those_of_python(both, texts):
    assert_same(*both, texts)


@pytest.mark.slow
def test_a_moved_saved_model_gives_the_same_ids(model, tmp_path):
    tokenizer = ElectraTokenizer.from_pretrained(model, **SETTINGS["with rules"])
    served = tf.saved_model.load(str(save_and_move(GraphTokenizer(tokenizer), tmp_path)))
    assert_served(served, tokenizer, SENTENCES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "maximum"),
    # A unigram model may score two orders of the same pieces equally.
    [("sentencepiece", 1e-3), ("sentencepiece-bpe", 0)],
)
def test_almost_no_line_of_much_text_differs(outside_data, tmp_path, kind, maximum):
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
    assert differ <= maximum * len(lines)
