"""A decoder: what it has seen, what it is asked for, and how it goes on."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import models
from tests.modeling import tiny

PLACES, NEW = 12, 6
IDS = np.int32([[2, 9, 17, 5, 30], [2, 11, 8, 21, 6], [2, 9, 9, 9, 13]])


def made(**changes):
    """A decoder with weights so large that its texts are no single token again and again."""
    tf_keras.utils.set_random_seed(1)
    options = {"is_decoder": True, "max_position_embeddings": PLACES, **changes}
    model = models.ElectraForCausalLM(tiny.without_dropout(**options))
    random = np.random.default_rng(3)
    for variable in model.variables:
        value = random.normal(size=variable.shape)
        variable.assign(value if value.ndim > 1 else ("gamma" in variable.name) + 0.1 * value)
    return model


@pytest.fixture(scope="module")
def model():
    """Not to be changed for good."""
    return made()


@pytest.fixture(scope="module")
def attentive():
    """With cross-attention; not to be changed for good."""
    return made(add_cross_attention=True)


@pytest.fixture(scope="module")
def states():
    return tf.constant(np.random.default_rng(5).normal(size=[3, 4, 16]), tf.float32)


def step_by_step(model, ids, steps, **inputs):
    """The likeliest tokens, each by a call with all that is before it."""
    for _ in range(steps):
        logits = model(input_ids=ids, use_cache=False, **inputs)["logits"]
        ids = np.concatenate([ids, np.argmax(logits[:, -1:], axis=-1)], axis=1)
    return ids


def test_a_decoder_alone_is_taken():
    with pytest.raises(InputError, match=r"config.is_decoder must be true, was false"):
        models.ElectraForCausalLM(tiny.config())


# === Loss ===
def test_the_loss_is_of_the_next_token(model):
    labels = IDS.copy()
    labels[0, 3], labels[1, :2] = -100, -100
    outputs = model(input_ids=tf.constant(IDS), labels=tf.constant(labels))
    logs = tf.nn.log_softmax(outputs["logits"]).numpy()
    losses = [
        -logs[row, place - 1, labels[row, place]]
        for row in range(3)
        for place in range(1, 5)
        if labels[row, place] != -100
    ]
    np.testing.assert_allclose(outputs["loss"], np.mean(losses), rtol=1e-5)
    with pytest.raises(InputError, match=r"labels must be \[3, 5\].* were \[3, 4\]"):
        model(input_ids=IDS, labels=labels[:, 1:])


def test_metrics_are_of_the_next_token(model):
    model.compile(metrics=["accuracy"], run_eagerly=True)
    texts = step_by_step(model, IDS[:, :1], 4)  # of which all but the first are what it says
    data = tf.data.Dataset.from_tensors({"input_ids": texts, "labels": texts})
    assert model.evaluate(data, verbose=0, return_dict=True)["accuracy"] == 1
    assert set(model.predict({"input_ids": texts}, verbose=0)) == {"logits"}


# === The cache ===
def test_a_cache_is_returned_unless_somebody_forbids_it(model):
    ids = tf.constant(IDS)
    assert "past_key_values" in model(input_ids=ids)
    assert "past_key_values" not in model(input_ids=ids, use_cache=False)
    assert "past_key_values" not in model(input_ids=ids, training=True)
    forbidding = made(use_cache=False)
    assert "past_key_values" not in forbidding(input_ids=ids)
    assert "past_key_values" in forbidding(input_ids=ids, use_cache=True)


@pytest.mark.parametrize("kind", ["growing", "of fixed length"])
@pytest.mark.parametrize("positions", ["absolute", "relative_key_query"])
def test_pieces_with_a_cache_give_what_the_whole_gives(kind, positions):
    model = made(position_embedding_type=positions)
    expected = model(input_ids=IDS)["logits"]
    past, pieces = None, []
    if kind == "of fixed length":
        past = model.encoder.init_cache(3, PLACES)
    for first, last in ((0, 2), (2, 3), (3, 5)):
        options = {} if kind == "growing" else {"cache_index": first}
        outputs = model(input_ids=IDS[:, first:last], past_key_values=past, **options)
        past = outputs["past_key_values"]
        pieces.append(outputs["logits"])
    assert past[0]["key"].shape == [3, 5 if kind == "growing" else PLACES, 2, 8]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), expected, atol=1e-4)


def test_an_encoders_states_are_attended_to(attentive, states):
    mask = tf.constant([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    inputs = {"input_ids": IDS, "encoder_hidden_states": states, "encoder_attention_mask": mask}
    outputs = attentive(inputs, output_attentions=True)
    attentions = outputs["cross_attentions"]
    assert [x.shape for x in attentions] == [[3, 2, 5, 4]] * 2
    np.testing.assert_array_equal(attentions[0][1, :, :, 2:], np.zeros([2, 5, 2]))
    changed = attentive({**inputs, "encoder_hidden_states": -states})
    assert not np.allclose(changed["logits"], outputs["logits"])


# === Generation ===
def test_likeliest_tokens_are_those_of_whole_calls(model):
    got = model.generate(IDS, max_new_tokens=NEW)
    assert (got.dtype, got.shape) == (tf.int32, [3, 5 + NEW])
    np.testing.assert_array_equal(got, step_by_step(model, IDS, NEW))
    assert all(len(set(row)) > 1 for row in got[:, 5:].numpy()), "one token shows little"


@pytest.mark.parametrize("compiled", [False, True])
def test_it_runs_in_a_graph(model, compiled):
    rows = 3 if compiled else None
    run = tf.function(
        lambda ids: model.generate(ids, max_new_tokens=NEW, do_sample=True, seed=3),
        input_signature=[tf.TensorSpec([rows, 5], tf.int32)],
        jit_compile=compiled,
    )
    expected = model.generate(IDS, max_new_tokens=NEW, do_sample=True, seed=3)
    np.testing.assert_array_equal(run(IDS), expected)


def test_relative_positions_and_cross_attention_go_on_as_whole_calls(attentive, states):
    relative = made(position_embedding_type="relative_key")
    got = relative.generate(IDS, max_new_tokens=NEW)
    np.testing.assert_array_equal(got, step_by_step(relative, IDS, NEW))
    mask = tf.constant([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    of_encoder = {"encoder_hidden_states": states, "encoder_attention_mask": mask}
    got = attentive.generate(IDS, max_new_tokens=NEW, **of_encoder)
    np.testing.assert_array_equal(got, step_by_step(attentive, IDS, NEW, **of_encoder))
    assert not np.array_equal(got, attentive.generate(IDS, max_new_tokens=NEW))


@pytest.mark.parametrize("side", ["left", "right", "both"])
@pytest.mark.parametrize("positions", ["absolute", "relative_key"])
def test_padded_texts_go_on_as_they_would_alone(side, positions):
    model = made(position_embedding_type=positions)
    ids, mask = np.zeros([2, 6], np.int32), np.zeros([2, 6], np.int32)
    first = {"left": 3, "right": 0, "both": 2}[side]
    ids[0, first : first + 3], mask[0, first : first + 3] = IDS[0, :3], 1
    ids[1], mask[1] = [*IDS[1], 7], 1
    got = model.generate(ids, mask, max_new_tokens=4)
    np.testing.assert_array_equal(got[:, :6], ids)
    for row, text in ((0, IDS[:1, :3]), (1, ids[1:])):
        alone = step_by_step(model, text, 4)
        np.testing.assert_array_equal(got[row, 6:], alone[0, text.shape[1] :])


def test_an_ending_ends_a_row(model):
    free = model.generate(IDS, max_new_tokens=NEW).numpy()[:, 5:]
    ending = int(free[0, 2])
    got = model.generate(IDS, max_new_tokens=NEW, eos_token_id=ending).numpy()[:, 5:]
    for row in range(3):
        found = np.flatnonzero(free[row] == ending)
        count = found[0] + 1 if len(found) else NEW
        np.testing.assert_array_equal(got[row, :count], free[row, :count])
        assert not got[row, count:].any()
    several = model.generate(IDS, max_new_tokens=NEW, eos_token_id=[ending, int(free[0, 0])])
    np.testing.assert_array_equal(several[0, 5:], [free[0, 0], *[0] * (NEW - 1)])


def test_the_configuration_names_first_last_and_padding_tokens(model):
    ending = int(model.generate(IDS, max_new_tokens=NEW)[0, 5])
    named = made(bos_token_id=2, eos_token_id=ending, pad_token_id=1)
    got = named.generate(IDS, max_new_tokens=NEW)
    np.testing.assert_array_equal(got[0, 5:], [ending] + [1] * (NEW - 1))
    assert named.generate(max_new_tokens=3).shape == [1, 4]
    np.testing.assert_array_equal(
        named.generate(max_new_tokens=3), named.generate([[2]], max_new_tokens=3)
    )


def test_drawn_tokens_are_a_function_of_seed_and_row(model):
    options = {"max_new_tokens": NEW, "do_sample": True}
    one = model.generate(IDS, seed=1, **options)
    np.testing.assert_array_equal(model.generate(IDS, seed=1, **options), one)
    np.testing.assert_array_equal(model.generate(IDS[:2], seed=1, **options), one[:2])
    assert not np.array_equal(model.generate(IDS, seed=2, **options), one)
    drawn = []
    for _ in range(2):
        with randomness.stream(randomness.Key(5)):
            drawn.append(model.generate(IDS, **options))
    np.testing.assert_array_equal(*drawn)


def test_tokens_are_drawn_with_their_probabilities(model):
    count, temperature, top_k = 4000, 0.8, 5
    got = model.generate(
        np.tile(IDS[:1], [count, 1]),
        max_new_tokens=2,
        do_sample=True,
        temperature=temperature,
        top_k=top_k,
        seed=1,
    ).numpy()
    logits = model(input_ids=IDS[:1])["logits"][0, -1].numpy() / temperature
    wanted = np.exp(logits) * (logits >= np.sort(logits)[-top_k])
    wanted /= wanted.sum()
    found = np.bincount(got[:, 5], minlength=tiny.VOCABULARY) / count
    assert (found > 0).sum() == top_k
    np.testing.assert_allclose(found, wanted, atol=4 * np.sqrt(0.25 / count))
    # The second draw is another: after one first token there are several second ones.
    assert len(np.unique(got[got[:, 5] == wanted.argmax(), 6])) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_new_tokens": 8}, "max_new_tokens must be at most 7 after 5 tokens"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1, was 0"),
        ({"do_sample": True, "temperature": 0.0, "max_new_tokens": 2}, "temperature must be above"),
        ({"do_sample": True, "top_k": 0, "max_new_tokens": 2}, "top_k must be 1 to vocab_size=32"),
        ({"top_k": 33, "max_new_tokens": 2}, "top_k must be 1 to vocab_size=32, was 33"),
        ({"input_ids": None, "max_new_tokens": 2}, "no bos_token_id to begin with, were None"),
    ],
)
def test_arguments_out_of_range_are_refused(model, options, message):
    with pytest.raises(InputError, match=message):
        model.generate(**{"input_ids": IDS, **options})
