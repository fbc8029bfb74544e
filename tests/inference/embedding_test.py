import errno
import json
import os
import threading

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.cli.commands import predict
from official_nlp.errors import InputError
from official_nlp.inference import embedding
from official_nlp.inference.embedding import POOLINGS, TextEmbedder
from official_nlp.inference.predictor import Predictor
from tests.inference.conftest import LENGTH, MODELS

TEXTS = ["the red boat", ("a bird", "the old stone"), "", "the green river sings. " * 3]


@pytest.fixture(scope="module")
def encoder(predictor):
    return predictor("encoder")


def states(predictor, tokenizer, text, pair=None):
    """Return the output of the last layer for one text alone, without padding."""
    rows = {name: tf.constant([ids]) for name, ids in tokenizer(text, pair).items()}
    return predictor.model(rows, training=False)["sequence_output"][0].numpy()


def test_the_poolings_are_those_of_the_last_layer(encoder, tokenizer):
    cls, mean = encoder.embed(TEXTS, "cls"), encoder.embed(TEXTS)
    tokens = encoder.embed(TEXTS, "tokens")
    assert (cls.dtype, cls.shape, mean.dtype, mean.shape) == (np.float32, (4, 16)) * 2
    for number, text in enumerate(TEXTS):
        expected = states(encoder, tokenizer, *([text] if isinstance(text, str) else text))
        np.testing.assert_allclose(cls[number], expected[0], atol=1e-5)
        np.testing.assert_allclose(mean[number], expected.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(tokens[number].vectors, expected, atol=1e-5)
    assert tokens[0].tokens == ["[CLS]", "the", "red", "boat", "[SEP]"]


def test_a_vector_depends_neither_on_the_batch_nor_on_padding(encoder, tokenizer):
    other = Predictor(encoder.model, tokenizer, length=LENGTH, batch_size=2)
    for pooling in ("cls", "mean"):
        alone = np.concatenate([other.embed([text], pooling) for text in TEXTS])
        np.testing.assert_allclose(encoder.embed(TEXTS, pooling), alone, atol=1e-5)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_embeds_with_its_encoder(predictor, tokenizer, name):
    model = predictor(name).model
    rows = {key: tf.constant([ids]) for key, ids in tokenizer("the red boat").items()}
    states = getattr(model, "encoder", model)(rows, training=False)["sequence_output"]
    expected = states.numpy().mean(axis=1)
    np.testing.assert_allclose(predictor(name).embed("the red boat"), expected, atol=1e-5)


def test_a_pair_embeds_with_its_discriminator(predictor):
    expected = predictor("discriminator").embed(TEXTS)
    np.testing.assert_allclose(predictor("pair").embed(TEXTS), expected, atol=1e-6)
    pretrainer = predictor("pretrainer")
    assert pretrainer.embed(TEXTS).shape == (4, 16)  # The generator is 8 wide.


def test_no_texts_have_no_vectors(encoder):
    assert encoder.embed([]).shape == (0, 16)
    assert encoder.embed([], "tokens") == []


def test_chunks_are_put_together_in_order(encoder, monkeypatch):
    whole, tokens = encoder.embed(TEXTS), encoder.embed(TEXTS, "tokens")
    monkeypatch.setattr(embedding, "_CHUNK", 3)
    monkeypatch.setattr(embedding, "_TOKENS_CHUNK", 3)
    np.testing.assert_allclose(encoder.embed(TEXTS), whole, atol=1e-6)
    again = encoder.embed(TEXTS, "tokens")
    assert [each.tokens for each in again] == [each.tokens for each in tokens]


def test_padding_and_its_outputs_are_left_out_of_the_mean(tokenizer):
    def loud_padding(batch):
        ids = tf.cast(batch["input_word_ids"], tf.float32)
        return tf.where(batch["input_mask"] > 0, ids, 1e9)[..., tf.newaxis]

    embedder = TextEmbedder(loud_padding, 1, tokenizer, LENGTH)
    ids = tokenizer("the red boat")["input_ids"]
    # Zero times a large output is zero.
    assert embedder.embed([("the red boat", None)], "mean") == pytest.approx(ids.mean())


@pytest.mark.parametrize(
    ("name", "texts", "pooling", "message"),
    [
        ("encoder", ["a"], "max", "pooling must be one of cls, mean, tokens, was 'max'"),
        ("encoder", [3], "mean", "input 1 must be a text, a pair"),
        ("encoder", 3, "mean", "inputs must be a list of inputs, got 3"),
        ("decoder", ["a"], "cls", "this is a decoder: use mean"),
    ],
)
def test_an_embedding_that_cannot_be_is_refused(predictor, name, texts, pooling, message):
    with pytest.raises(InputError, match=message):
        predictor(name).embed(texts, pooling)


def test_a_truncated_text_is_warned_of(encoder):
    with pytest.warns(UserWarning, match="truncated 1 of 1 text or pair to 32 tokens"):
        vectors = encoder.embed(["red " * 50], "tokens")
    assert len(vectors[0].tokens) == LENGTH


# === Files ===


def test_files_hold_what_is_returned(encoder, tmp_path):
    for pooling in ("cls", "mean"):
        encoder.write_embeddings(TEXTS, tmp_path / "a.npy", pooling)
        encoder.write_embeddings(TEXTS, tmp_path / "a.jsonl", pooling)
        array = np.load(tmp_path / "a.npy", allow_pickle=False)
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, encoder.embed(TEXTS, pooling))
        lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
        np.testing.assert_array_equal([line["embedding"] for line in lines], array)
    encoder.write_embeddings(TEXTS, tmp_path / "a.jsonl", "tokens")
    first = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    (expected,) = encoder.embed(TEXTS[:1], "tokens")
    assert first["tokens"] == expected.tokens
    np.testing.assert_allclose(first["vectors"], expected.vectors, atol=1e-6)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.jsonl", "a.npy"]


def test_tokens_do_not_fit_into_an_array(encoder, tmp_path):
    with pytest.raises(InputError, match="the pooling tokens has several vectors for each text"):
        encoder.write_embeddings(TEXTS, tmp_path / "a.npy", "tokens")


def test_a_pipe_is_written(encoder, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_text()))
    reader.start()
    encoder.write_embeddings(["a"], tmp_path / "pipe")
    reader.join()
    assert list(json.loads(received[0])) == ["embedding"]


def test_a_failure_leaves_the_old_file(encoder, tmp_path, monkeypatch):
    (tmp_path / "a.npy").write_bytes(b"old")

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("official_nlp.files.atomic.sync", full)
    with pytest.raises(OSError, match="No space left"):
        encoder.write_embeddings(TEXTS, tmp_path / "a.npy")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_the_command_offers_all_poolings():
    assert predict._POOLINGS == POOLINGS
