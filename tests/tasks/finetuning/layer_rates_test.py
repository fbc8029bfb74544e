"""Learning rates by layer: a table, and the updates of google-research/electra."""

import json

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import ReferenceQuirks
from official_nlp.modeling import layer_depths, models
from official_nlp.tasks.finetuning.layer_rates import rate_scale
from official_nlp.training import AdamW, WarmupDecay
from tests.modeling import tiny

RUN = "finetune_layerwise"


@pytest.mark.parametrize(
    ("depth", "right", "original"),
    [(0, 0.5**4, 0.5**5), (1, 0.5**3, 0.5**4), (2, 0.25, 0.125), (3, 0.5, 0.25), (4, 1.0, 1.0)],
)
def test_rates_of_three_layers_with_their_embeddings_and_head(depth, right, original):
    assert rate_scale(depth, 3, 0.5) == right
    assert rate_scale(depth, 3, 0.5, reference_off_by_one=True) == original
    assert rate_scale(depth, 3, 1.0) == 1


def test_the_original_skips_a_power():
    assert not ReferenceQuirks().layer_decay_off_by_one
    assert ReferenceQuirks.original().layer_decay_off_by_one


def depth_by_name(name: str, layers: int) -> int:
    """Return the depth of a variable of google-research/electra."""
    if "/embeddings" in name:
        return 0
    number = name.partition("encoder/layer_")[2].partition("/")[0]
    return int(number) + 1 if number else layers + 1


def test_updates_equal_those_of_the_original_step_by_step(golden):
    folder = golden("google_optimizer")
    run = json.loads((folder / "meta.json").read_text())[RUN]
    options, shapes = run["create_optimizer"], run["variables"]
    with np.load(folder / "expected.npz") as arrays:
        expected = {name.partition("__")[2]: x for name, x in arrays.items() if RUN in name}
    layers, decay = options["n_transformer_layers"], options["layerwise_lr_decay_power"]

    def scale(name):
        return rate_scale(depth_by_name(name, layers), layers, decay, reference_off_by_one=True)

    for name in shapes:
        (listed,) = (x for part, x in run["rate_scales"].items() if part in name)
        assert scale(name) == pytest.approx(listed, rel=1e-12)

    def split(flat):
        ends = np.cumsum([np.prod(shape) for shape in shapes.values()])[:-1]
        return [x.reshape(shape) for x, shape in zip(np.split(flat, ends), shapes.values())]

    variables = [
        tf.Variable(value, name=name)
        for name, value in zip(shapes, split(expected["parameters"][0]))
    ]
    steps = options["num_train_steps"]
    warmup = round(steps * options["warmup_proportion"])
    optimizer = AdamW(
        WarmupDecay(options["learning_rate"], steps, warmup, from_zero=True),
        weight_decay=options["weight_decay_rate"],
        bias_correction=False,
        learning_rate_scale=lambda variable: scale(variable.name),
    )
    for step, gradient in enumerate(expected["gradients"]):
        rate = optimizer._learning_rate(step)
        np.testing.assert_allclose(rate, expected["learning_rate"][step], atol=1e-9)
        optimizer.apply_gradients(zip(split(gradient), variables))
        now = np.concatenate([variable.numpy().ravel() for variable in variables])
        np.testing.assert_allclose(now, expected["parameters"][step + 1], rtol=0, atol=5e-7)


def test_an_optimizer_takes_the_rates_of_a_model():
    model = models.ElectraForSequenceClassification(tiny.config())
    depths = layer_depths.depths(model)
    optimizer = AdamW(
        0.1,
        weight_decay=0.0,
        learning_rate_scale=lambda variable: rate_scale(depths[variable.ref()], 2, 0.5),
    )
    before = [variable.numpy() for variable in model.trainable_variables]
    optimizer.apply_gradients([(tf.ones_like(v), v) for v in model.trainable_variables])
    for old, variable in zip(before, model.trainable_variables):
        # The first update of Adam has the length of the learning rate.
        expected = 0.1 * 0.5 ** (3 - depths[variable.ref()])
        np.testing.assert_allclose(old - variable, np.full(old.shape, expected), rtol=1e-3)
