"""One batch and key give one result: eager, graph, XLA, symbolic inputs, `fit` and Orbit's loop.

In training, with dropout: the four outputs, the losses, the gradients or the update.
"""

import dataclasses

import numpy as np
import orbit
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import loss_terms, randomness
from official_nlp.data.storage import data_folder
from official_nlp.modeling import losses
from official_nlp.tasks import ElectraPretraining
from official_nlp.training import AdamW, TrainingConfig, WarmupDecay, distribution
from official_nlp.training.phase import stages
from official_nlp.training.trainer import PhaseTrainer
from tests.tasks.conftest import config, phase, pretraining

SEED = 3
PHASE = phase(steps=1)
INPUTS = (
    "input_word_ids",
    "input_mask",
    "input_type_ids",
    "masked_lm_positions",
    "masked_lm_ids",
    "masked_lm_weights",
)


@dataclasses.dataclass(frozen=True)
class Result:
    """Of one step: the four outputs, the terms of the loss, gradients by variable."""

    outputs: dict
    terms: dict
    gradients: list


@dataclasses.dataclass(frozen=True)
class Case:
    """A task, its model and first batch, and what eager execution makes of it."""

    task: ElectraPretraining
    model: tf_keras.Model
    batch: dict
    expected: Result


def stream(batch):
    """The stream that Orbit's loop opens for this batch."""
    return randomness.stream(randomness.Key(SEED).fold(0, 0), batch["stream_position"][0])


def step(model, batch) -> Result:
    with tf.GradientTape() as tape:
        with stream(batch):
            outputs = model({name: batch[name] for name in INPUTS}, training=True)
        terms = losses.electra_loss(batch, outputs)
        total = loss_terms.weighted_total(terms, {"rtd": 50.0})
    gradients = tape.gradient(total, model.trainable_variables)
    return Result(outputs, terms, [tf.convert_to_tensor(gradient) for gradient in gradients])


@pytest.fixture(scope="module", params=["shared", pytest.param("gdes", marks=pytest.mark.slow)])
def case(request, built):
    task = pretraining(config(request.param), data_folder.open_folder(built), seed=SEED)
    model = task.build()
    batch = next(iter(task.train_dataset(0, PHASE, 0, 0, 1)))
    return Case(task, model, batch, step(model, batch))


def assert_same(got: Result, want: Result):
    np.testing.assert_array_equal(got.outputs["disc_label"], want.outputs["disc_label"])
    assert np.any(want.outputs["disc_label"])
    got, want = ((x.outputs, x.terms, x.gradients) for x in (got, want))
    for one, other in zip(tf.nest.flatten(got), tf.nest.flatten(want)):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


def assert_same_update(variables, model):
    for one, other in zip(variables, model.trainable_variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6, err_msg=other.name)


def in_graph(case, **options) -> Result:
    @tf.function(**options)
    def run(batch):
        result = step(case.model, batch)
        return result.outputs, result.terms, result.gradients

    return Result(*run(case.batch))


def test_a_graph_gives_the_eager_result(case):
    assert_same(in_graph(case), case.expected)


def test_a_compiled_graph_gives_the_eager_result(case):
    assert_same(in_graph(case, jit_compile=True), case.expected)


def test_a_functional_model_of_symbolic_inputs_gives_the_eager_result(case):
    symbolic = {
        name: tf_keras.Input(case.batch[name].shape[1:], name=name, dtype=case.batch[name].dtype)
        for name in INPUTS
    }
    functional = tf_keras.Model(symbolic, case.model(symbolic))
    assert functional.output_shape == {
        "lm_outputs": (None, *case.expected.outputs["lm_outputs"].shape[1:]),
        "sentence_outputs": (None, 0),
        "disc_logits": (None, *case.expected.outputs["disc_logits"].shape[1:]),
        "disc_label": (None, *case.expected.outputs["disc_label"].shape[1:]),
    }
    assert len(functional.trainable_variables) == len(case.model.trainable_variables)
    got = step(functional, case.batch)
    places = {v.ref(): i for i, v in enumerate(functional.trainable_variables)}
    gradients = [got.gradients[places[v.ref()]] for v in case.model.trainable_variables]
    assert_same(dataclasses.replace(got, gradients=gradients), case.expected)


COMPILED = pytest.param({"jit_compile": True}, marks=pytest.mark.slow)


@pytest.mark.parametrize("options", [{}, COMPILED, {"run_eagerly": True}], ids=str)
def test_fit_takes_the_eager_step(case, options):
    model, rate = case.task.build(), 0.1
    before = [v.numpy() for v in model.trainable_variables]
    model.compile(tf_keras.optimizers.SGD(rate), **options)
    data = tf.data.Dataset.from_tensors({name: case.batch[name] for name in INPUTS})
    with stream(case.batch):
        history = model.fit(data, verbose=0).history
    for name in ("mlm", "rtd"):
        total, weight = case.expected.terms[name]
        assert history[f"{name}_loss"][0] == pytest.approx(float(total / weight), rel=1e-5)
    assert_same_update(
        [value - rate * gradient for value, gradient in zip(before, case.expected.gradients)], model
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, COMPILED], ids=str)
def test_orbits_loop_takes_the_eager_step(case, options):
    schedule, (place,) = WarmupDecay(1e-2, 1), stages([PHASE])
    settings = TrainingConfig(
        seed=SEED,
        steps_per_loop=1,
        warmup_steps=0,
        checkpoint_interval=None,
        **options,
    )
    trained, expected = case.task.build(), case.task.build()
    optimizer = AdamW(schedule)
    optimizer.build(case.task.trainable_variables(trained, PHASE))
    trainer = PhaseTrainer(
        case.task,
        trained,
        optimizer,
        schedule,
        orbit.utils.create_global_step(),
        place,
        settings,
        distribution.create_strategy(settings.strategy),
    )
    metrics = trainer.train(tf.constant(1))["train"]
    total = loss_terms.weighted_total(case.expected.terms, {"rtd": 50.0})
    assert metrics["loss"] == pytest.approx(float(total), rel=1e-5)
    AdamW(schedule).apply_gradients(zip(case.expected.gradients, expected.trainable_variables))
    # Adam divides by the gradient's size: where that is rounding alone, so is the update.
    for one, other, gradient in zip(
        trained.trainable_variables, expected.trainable_variables, case.expected.gradients
    ):
        clear = np.abs(gradient) > 1e-4
        np.testing.assert_allclose(
            np.where(clear, one, 0), np.where(clear, other, 0), rtol=1e-4, atol=1e-6
        )
    norm = tf.linalg.global_norm(case.expected.gradients)
    assert metrics["grad_norm"] == pytest.approx(float(norm), rel=1e-4)
