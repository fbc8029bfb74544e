"""Choices: rows of their own for the encoder and for dropout, one question for the loss."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import models
from tests.modeling import tiny

B, C, L = 2, 3, tiny.LENGTH
_random = np.random.default_rng(3)
IDS = _random.integers(5, tiny.VOCABULARY, [B, C, L]).astype(np.int32)
MASK = (np.arange(L) < _random.integers(4, L + 1, [B, C, 1])).astype(np.int32)
BATCH = {
    "input_ids": IDS,
    "attention_mask": MASK,
    "token_type_ids": (np.arange(L) > 2).astype(np.int32) * MASK,
}


def make(**changes):
    tf_keras.utils.set_random_seed(1)
    return models.ElectraForMultipleChoice(tiny.config(**changes))


@pytest.fixture(scope="module")
def model():
    return make()


def test_a_choice_is_scored_without_the_others(model):
    logits = model(BATCH)["logits"]
    assert logits.shape == [B, C]
    for i in range(C):
        alone = model({name: x[:, i : i + 1] for name, x in BATCH.items()})["logits"]
        np.testing.assert_allclose(alone[:, 0], logits[:, i], atol=1e-5)


def test_states_are_those_of_the_encoder_on_all_rows(model):
    outputs = model(BATCH, output_hidden_states=True, output_attentions=True)
    rows = {name: x.reshape(B * C, L) for name, x in BATCH.items()}
    expected = model.encoder(rows, output_hidden_states=True, output_attentions=True)
    for name in ("hidden_states", "attentions"):
        for found, want in zip(outputs[name], expected[name], strict=True):
            np.testing.assert_array_equal(found, want)


def test_the_loss_is_over_the_choices_of_each_question_that_counts(model):
    logits = model(BATCH)["logits"]
    scores = tf.nn.log_softmax(logits).numpy()
    for labels, expected in (
        ([2, 0], -(scores[0, 2] + scores[1, 0]) / 2),
        ([-100, 1], -scores[1, 1]),
        ([-100, -100], 0),
    ):
        batch = {**BATCH, "labels": np.int64(labels)}
        compiled = tf.function(model, jit_compile=True)(batch)
        for found in (model(batch), compiled):
            np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)


def test_a_choice_without_tokens_pads_its_question(model):
    mask = MASK.copy()
    mask[0, 1] = 0
    batch = {**BATCH, "attention_mask": mask}
    inputs = {**batch, "labels": [2, 0]}
    with tf.GradientTape() as tape:
        padded = model(inputs)
    gradients = tape.gradient(padded["loss"], model.trainable_variables)
    assert all(np.isfinite(tf.convert_to_tensor(x)).all() for x in gradients if x is not None)
    # The question is the one that has the two other choices alone.
    two = {name: x[:1, ::2] for name, x in BATCH.items()}
    np.testing.assert_allclose(
        tf.nn.softmax(padded["logits"])[0].numpy()[[0, 2, 1]],
        [*tf.nn.softmax(model(two)["logits"])[0].numpy(), 0],
        atol=1e-6,
    )
    np.testing.assert_allclose(padded["logits"][1], model(BATCH)["logits"][1], atol=1e-5)
    # What the padding holds has no effect.
    ids = IDS.copy()
    ids[0, 1] = 7
    np.testing.assert_allclose(model({**batch, "input_ids": ids})["logits"], padded["logits"])


def test_positions_and_vectors_have_choices_too(model):
    vectors = model.encoder.get_embedding_table().numpy()[IDS]
    positions = np.tile(np.arange(L, dtype=np.int32), [B, C, 1])
    inputs = {**BATCH, "position_ids": positions, "inputs_embeds": vectors}
    del inputs["input_ids"]
    expected = model(BATCH)["logits"]
    np.testing.assert_allclose(model(inputs)["logits"], expected, atol=1e-5)
    shifted = model({**inputs, "position_ids": positions[..., ::-1]})["logits"]
    assert not np.allclose(shifted, expected, atol=1e-3)


def test_a_graph_takes_any_number_of_questions_and_choices(model):
    spec = tf.TensorSpec([None, None, None], tf.int32)
    graph = tf.function(lambda ids: model(input_ids=ids)["logits"], input_signature=[spec])
    for choices in (1, 3):
        ids = tf.constant(IDS[:, :choices])
        np.testing.assert_allclose(graph(ids), model(input_ids=ids)["logits"], atol=1e-5)


def test_head_masks_have_no_choices(model):
    off = model({**BATCH, "head_mask": np.zeros([2, 2], np.float32)})["logits"]
    assert off.shape == [B, C]
    assert not np.allclose(off, model(BATCH)["logits"], atol=1e-3)


# A number of each dropout on its own: none may be numbered by questions.
@pytest.mark.parametrize(
    "rate",
    [
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "summary_first_dropout",
        "summary_last_dropout",
    ],
)
def test_questions_drop_the_same_whatever_batch_they_are_in(rate):
    others = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = make(**{**others, "summary_last_dropout": 0.0, rate: 0.4})

    def logits(questions, training=True):
        with randomness.stream(randomness.Key(7), first_row=tf.constant(10 + questions.start)):
            inputs = {name: x[questions] for name, x in BATCH.items()}
            return model(inputs, training=training)["logits"].numpy()

    whole = logits(slice(0, 2))
    parts = [logits(slice(0, 1)), logits(slice(1, 2))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)
    assert not np.allclose(whole, logits(slice(0, 2), training=False), atol=1e-3)


def test_equal_choices_drop_elsewhere():
    model = make(
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, summary_last_dropout=0.5
    )
    ids = np.tile(IDS[:1, :1], [B, C, 1])
    with randomness.stream(randomness.Key(7)):
        logits = model(input_ids=ids, training=True)["logits"].numpy()
    assert len(np.unique(logits)) == B * C


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"input_ids": IDS[0]}, r"input_ids must be \[batch, choices, length\], was \[3, 8\]"),
        (
            {"input_ids": IDS, "attention_mask": MASK[0]},
            "attention_mask must be .* needs the axis as well",
        ),
        (
            {"inputs_embeds": np.zeros([B, L, 8], np.float32)},
            r"inputs_embeds must be \[batch, choices, length, width\], was \[2, 8, 8\]",
        ),
    ],
)
def test_inputs_without_choices_are_refused(model, inputs, message):
    with pytest.raises(InputError, match=message):
        model(inputs)


def test_a_summary_as_wide_as_the_labels_is_refused():
    with pytest.raises(InputError, match=r"summary_proj_to_labels must be false .* was True"):
        make(extra={"summary_proj_to_labels": True})


def test_without_a_projection_there_is_no_tensor_of_one(model):
    name = "sequence_summary.summary.weight"
    assert name in model.state()
    assert name not in make(summary_use_proj=False).state()


@pytest.mark.slow
def test_it_learns_a_batch_by_heart():
    model = make(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    assert tiny.learnt(model, {**BATCH, "labels": np.int32([2, 0])}) < 0.05
