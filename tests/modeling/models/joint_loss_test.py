"""Fixed networks, positions and samples give the original's losses and gradients."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import loss_terms
from official_nlp.interchange import huggingface
from official_nlp.modeling import losses, models, networks
from official_nlp.modeling.models import pretrainer_tensors
from tests.modeling import hugging_face_weights

COMMITTED = ("basic", "weights")
ALL = ("basic", "padded", "weights", "no_masked")


def filled(generator_config, discriminator_config, generator, discriminator):
    """Returns the pre-trainer with these weights, in the original's reference_quirks."""
    model = models.ElectraPretrainer.from_config_pair(
        networks.ElectraConfig.from_json(generator_config),
        networks.ElectraConfig.from_json(discriminator_config),
        average_duplicates=True,
    )
    hugging_face_weights.fill(pretrainer_tensors.generator(model), generator)
    hugging_face_weights.fill(pretrainer_tensors.discriminator(model), discriminator)
    return model


@pytest.fixture(scope="module")
def committed(repository):
    """The model, and the arrays of the cases in this checkout."""
    folder = repository / "tests/golden/joint_loss"
    with np.load(folder / "weights.npz") as arrays:
        generator, discriminator = (
            {k.removeprefix(f"{part}__"): v for k, v in arrays.items() if k.startswith(part)}
            for part in ("generator", "discriminator")
        )
    shared = {name: value for name, value in generator.items() if name.startswith("embeddings.")}
    generator, discriminator = _named(generator), _named({**discriminator, **shared})
    configs = [(folder / f"{x}.json").read_text() for x in ("generator", "discriminator")]
    with np.load(folder / "expected.npz") as arrays:
        return filled(*configs, generator, discriminator), dict(arrays)


def _named(weights) -> dict:
    """Returns the weights with the prefix of an encoder's."""
    heads = ("generator_", "discriminator_")
    return {n if n.startswith(heads) else f"electra.{n}": value for n, value in weights.items()}


@pytest.fixture(scope="module")
def outside(outside_data):
    """The model, and the arrays of all cases, as they were made."""
    folders = [outside_data / f"golden/hf_tiny_pair_{x}" for x in ("generator", "discriminator")]
    configs = [(folder / "config.json").read_text() for folder in folders]
    weights = [huggingface.read_folder(folder).arrays for folder in folders]
    with np.load(outside_data / "golden/joint_loss/expected.npz") as arrays:
        return filled(*configs, *weights), dict(arrays)


def computed(model, batch, coefficients):
    """Returns the outputs, the terms, the total and its gradients."""
    batch = dict(batch)
    sampled_ids = batch.pop("sampled_ids")
    with tf.GradientTape() as tape:
        outputs = model.generate(batch)
        corrupted = model.corrupt(batch, outputs["lm_outputs"], sampled_ids)
        outputs["disc_label"] = corrupted["disc_label"]
        outputs["disc_logits"] = model.discriminate(
            corrupted["input_word_ids"], batch["input_mask"], batch["input_type_ids"]
        )
        terms = losses.electra_loss(batch, outputs)
        total = loss_terms.weighted_total(terms, coefficients)
    embeddings = model.generator_network.embeddings
    variables = {
        "word_embeddings_tied": embeddings.word_embeddings.embeddings,
        "embeddings_layernorm_gamma_tied": embeddings.layer_norm.gamma,
        "gen_layer0_query_kernel": _query(model.generator_network),
        "gen_lm_bias": model.masked_lm.bias,
        "disc_layer0_query_kernel": _query(model.discriminator_network),
        "disc_dense_prediction_kernel": model.discriminator_head.kernel,
    }
    gradients = tape.gradient(total, variables)
    gradients = {name: tf.convert_to_tensor(gradient) for name, gradient in gradients.items()}
    return {**outputs, "updated": corrupted["input_word_ids"]}, terms, total, gradients


def _query(network):
    return network.transformer_layers[0].attention.query_kernel


NAMES = {
    "masked_input_ids": "input_word_ids",
    "input_mask": "input_mask",
    "segment_ids": "input_type_ids",
    "masked_lm_positions": "masked_lm_positions",
    "masked_lm_ids": "masked_lm_ids",
    "masked_lm_weights": "masked_lm_weights",
    "sampled_tokids": "sampled_ids",
}


def check(compute, arrays, case):
    given, expected = (hugging_face_weights.case(arrays, case, part) for part in ("in", "out"))
    batch = {ours: tf.constant(given[theirs]) for theirs, ours in NAMES.items()}
    coefficients = {"mlm": given["gen_weight"], "rtd": given["disc_weight"]}
    coefficients = tf.nest.map_structure(tf.constant, coefficients)
    outputs, terms, total, gradients = compute(batch, coefficients)
    np.testing.assert_array_equal(outputs["updated"], expected["updated_input_ids"])
    np.testing.assert_array_equal(outputs["disc_label"], expected["is_fake_tokens"])
    np.testing.assert_allclose(outputs["lm_outputs"], expected["mlm_logits"], atol=2e-5)
    np.testing.assert_allclose(outputs["disc_logits"], expected["disc_logits"], atol=1e-5)
    google = hugging_face_weights.case(arrays, case, "google_f32")
    for name, theirs in (("mlm", "mlm_loss"), ("rtd", "disc_loss")):
        mean = loss_terms.weighted_total({name: terms[name]}, {})
        np.testing.assert_allclose(mean, expected[theirs], rtol=1e-5)
        np.testing.assert_allclose(mean, google[theirs], rtol=1e-5)
    np.testing.assert_allclose(total, expected["total_loss"], rtol=1e-5)
    np.testing.assert_allclose(total, google["total_loss"], rtol=1e-5)
    for name, value in hugging_face_weights.case(arrays, case, "grad").items():
        ours = gradients[name].numpy().reshape(value.shape)
        # The largest gradients are near 10: this is rounding of float32.
        np.testing.assert_allclose(ours, value, rtol=1e-4, atol=1e-5 * max(1, np.abs(value).max()))


@pytest.fixture(scope="module", params=[False, True], ids=["graph", "xla"])
def compute_committed(request, committed):
    """The computation on the weights of this checkout, traced once."""
    return tf.function(functools.partial(computed, committed[0]), jit_compile=request.param)


@pytest.mark.parametrize("case", COMMITTED)
def test_losses_and_gradients_are_the_originals(compute_committed, committed, case):
    check(compute_committed, committed[1], case)


@pytest.fixture(scope="module")
def compute_outside(outside):
    """The computation on the weights as they were made, traced once."""
    return tf.function(functools.partial(computed, outside[0]))


@pytest.mark.parametrize("case", ALL)
def test_losses_and_gradients_are_the_originals_in_every_case(compute_outside, outside, case):
    check(compute_outside, outside[1], case)


def test_what_is_in_this_checkout_is_what_was_made(committed, outside):
    for name, value in committed[1].items():
        np.testing.assert_array_equal(value, outside[1][name])
    for ours, theirs in zip(committed[0].variables, outside[0].variables):
        np.testing.assert_array_equal(ours, theirs)
