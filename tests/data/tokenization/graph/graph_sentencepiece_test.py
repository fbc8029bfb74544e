import gzip
import time

import hypothesis
import pytest
import tensorflow as tf
from sentencepiece import sentencepiece_model_pb2

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
    "雪雪雪 雪 the雪雪 [MASK]雪雪[MASK] 雪雪雪雪 river雪",
    "雪" * 1000,
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


def test_time_grows_linearly_in_a_run_of_unknown_characters(model):
    graph = GraphTokenizer(ElectraTokenizer.from_pretrained(model))

    def seconds(characters):
        text = tf.constant(["雪" * characters])
        measured = []
        for _ in range(4):  # The first call also traces the graph.
            start = time.perf_counter()
            assert graph.pieces(text).row_lengths().numpy() <= 2
            measured.append(time.perf_counter() - start)
        return min(measured)

    # 8 times the text: about 8 times the time, and 64 times if each character costs a copy.
    assert seconds(240_000) < 24 * seconds(30_000)


@pytest.mark.parametrize("fallback", [True, False])
def test_models_with_pieces_for_bytes_give_the_same_ids(model, tmp_path, fallback):
    tokenizer = ElectraTokenizer.from_pretrained(model)
    tokenizer.save_pretrained(tmp_path)
    proto = sentencepiece_model_pb2.ModelProto.FromString(tokenizer.engine.file_content())
    # Without fallback to bytes, a piece may have such a name by chance.
    proto.trainer_spec.byte_fallback = fallback
    kind = proto.SentencePiece.BYTE if fallback else proto.SentencePiece.NORMAL
    for byte in range(256 if fallback else 1):
        proto.pieces.add(piece=f"<0x{byte:02X}>", type=kind, score=-50.0)
    (tmp_path / "spm.model").write_bytes(proto.SerializeToString())
    changed = ElectraTokenizer.from_pretrained(tmp_path)
    assert (changed.unk_token_id in changed.encode("雪")) != fallback
    assert_same(changed, GraphTokenizer(changed), SENTENCES)


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
