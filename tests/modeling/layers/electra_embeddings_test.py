"""The sum of word, position and type vectors."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.modeling import layers

IDS = np.int32([[3, 0, 5], [6, 3, 1]])


@pytest.fixture
def embeddings():
    """Tables of 7 tokens, 4 positions, 2 types."""
    made = layers.ElectraEmbeddings(7, 4, 4, initializer="random_normal")
    made.build()
    return made


def normalized(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)


def tables(embeddings):
    words, positions, types = (
        embeddings.word_embeddings.embeddings,
        embeddings.position_embeddings.position_embeddings,
        embeddings.type_embeddings.embeddings,
    )
    return words.numpy(), positions.numpy(), types.numpy()


def test_the_three_vectors_are_added_and_normalized(embeddings):
    words, positions, types = tables(embeddings)
    kinds = np.int32([[0, 1, 1], [1, 0, 0]])
    expected = normalized(words[IDS] + positions[:3] + types[kinds])
    np.testing.assert_allclose(embeddings(IDS, type_ids=kinds), expected, atol=1e-5)


def test_types_are_0_and_positions_are_in_order_unless_given(embeddings):
    plain = embeddings(IDS)
    full = embeddings(IDS, type_ids=np.zeros_like(IDS), position_ids=[[0, 1, 2]] * 2)
    np.testing.assert_array_equal(plain, full)
    assert not np.allclose(plain, embeddings(IDS, position_ids=[[2, 1, 0]] * 2))


def test_relative_positions_are_not_added_but_have_a_table(embeddings):
    options = {"initializer": "random_normal", "position_embedding_type": "relative_key"}
    other = layers.ElectraEmbeddings(7, 4, 4, **options)
    other.build()
    words, _, types = tables(other)
    assert len(other.variables) == len(embeddings.variables)
    np.testing.assert_allclose(other(IDS), normalized(words[IDS] + types[0]), atol=1e-5)


def test_vectors_may_replace_word_ids(embeddings):
    vectors = tables(embeddings)[0][IDS]
    np.testing.assert_array_equal(embeddings(None, inputs_embeds=vectors), embeddings(IDS))


@pytest.mark.parametrize("given", [[None], [IDS, None, None, np.zeros([2, 3, 4])]])
def test_words_are_given_exactly_once(embeddings, given):
    with pytest.raises(InputError, match="exactly one of word_ids and inputs_embeds"):
        embeddings(*given)


def test_a_word_table_may_be_shared(embeddings):
    other = layers.ElectraEmbeddings(7, 4, 9, word_embeddings=embeddings.word_embeddings)
    other.build()
    assert other.word_embeddings is embeddings.word_embeddings
    assert other.word_embeddings.embeddings is embeddings.word_embeddings.embeddings


@pytest.mark.parametrize(
    ("sizes", "wanted"), [((8, 4), "vocab_size=8"), ((7, 5), "embedding_width=5")]
)
def test_a_shared_table_of_other_sizes_is_refused(embeddings, sizes, wanted):
    with pytest.raises(InputError, match=f"{wanted}.*had 7 and 4; networks that share"):
        layers.ElectraEmbeddings(*sizes, 9, word_embeddings=embeddings.word_embeddings)


def test_layer_norm_computes_in_float32():
    made = layers.ElectraEmbeddings(7, 4, 4, dtype="mixed_bfloat16")
    assert made(IDS).dtype == tf.bfloat16
    assert made.layer_norm.compute_dtype == "float32"
