"""The objectives of language models: batches, losses, metrics and estimates."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.configuration import gin_resolver, recipes
from official_nlp.data import MaskingConfig
from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.errors import InputError
from official_nlp.interchange import warm_start
from official_nlp.interchange.task_networks import HasNetworks, TakesNetwork
from official_nlp.interchange.weights import Weights
from official_nlp.tasks import LanguageModelConfig, MaskedLanguageModel
from official_nlp.tasks.language_modeling import metrics
from official_nlp.tasks.pretraining import PretrainingData, cost
from official_nlp.training import Devices, RunConfig, TrainingConfig
from official_nlp.training.phase import stages
from tests.tasks.conftest import LENGTH, config, network, phase, pretraining

PHASE = phase(loss_weights={})
OBJECTIVES = ["masked", "causal"]


def make(objective, folder=None, seed=3, **changes):
    sizes = network(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    settings = LanguageModelConfig(objective, sizes, **changes)
    data = {None: PretrainingData(folder, CorruptRecords())} if folder else None
    return settings.make(data, TrainingConfig(seed=seed))


def first_batch(task):
    return next(iter(task.train_dataset(0, PHASE, 0, 0, 1)))


# === Objectives ===


def test_masked_batches_are_those_of_pre_training(folder):
    ours = first_batch(make("masked", folder))
    theirs = first_batch(pretraining(config(), folder, seed=3))
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value)


def test_causal_batches_have_the_tokens_before_masking(folder):
    ours, theirs = first_batch(make("causal", folder)), first_batch(make("masked", folder))
    assert set(ours) == {"stream_position", "input_word_ids", "input_mask", "input_type_ids"}
    ids = theirs["input_word_ids"].numpy()
    row, slot = np.nonzero(theirs["masked_lm_weights"].numpy())
    ids[row, theirs["masked_lm_positions"].numpy()[row, slot]] = theirs["masked_lm_ids"].numpy()[
        row, slot
    ]
    np.testing.assert_array_equal(ours["input_word_ids"], ids)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_loss_is_that_of_the_model(folder, objective):
    task = make(objective, folder)
    model, batch = task.build(), first_batch(task)
    (loss_sum,) = task.losses(model, batch, PHASE)[0].values()
    (weight,) = task.weights(batch, PHASE).values()
    assert set(task.losses(model, batch, PHASE)[0]) == set(task.weights(batch, PHASE))
    ids, mask = batch["input_word_ids"], batch["input_mask"]
    inputs = {"input_ids": ids, "attention_mask": mask}
    if objective == "causal":
        expected = model(inputs, labels=tf.where(mask > 0, ids, -100))["loss"]
    else:
        labels = np.full(ids.shape, -100)
        for i, (positions, tokens, counts) in enumerate(
            zip(batch["masked_lm_positions"], batch["masked_lm_ids"], batch["masked_lm_weights"])
        ):
            for position, token, count in zip(positions, tokens, counts):
                if count:
                    labels[i, position] = token
        inputs["token_type_ids"] = batch["input_type_ids"]
        expected = model(inputs, labels=labels)["loss"]
    assert float(loss_sum / weight) == pytest.approx(float(expected), rel=1e-5)


def test_next_tokens_are_counted_without_special_ones():
    # Tokens 0 to 2 are special; the logits of the right token are 2 above all others, or below.
    ids = np.array([[1, 3, 4, 3, 2, 0]], np.int32)
    mask = np.array([[1, 1, 1, 1, 1, 0]], np.int32)
    logits = np.zeros([1, 6, 5], np.float32)
    for position, difference in enumerate([2, 2, -2, 9, 9]):
        logits[0, position, ids[0, position + 1]] = difference
    batch = {"input_word_ids": tf.constant(ids), "input_mask": tf.constant(mask)}
    sums = metrics.next_token_sums(batch, tf.constant(logits), [0, 1, 2])
    found = metrics.compute({name: value.numpy() for name, value in sums.items()})
    losses = [np.log(4 + np.exp(x)) - x for x in (2, 2, -2)]
    assert found["causal_loss"] == pytest.approx(np.mean(losses))
    assert found["perplexity"] == pytest.approx(np.exp(np.mean(losses)))
    assert found["next_token_accuracy"] == pytest.approx(2 / 3)


def test_metrics_of_a_window_without_targets_are_zero():
    found = metrics.compute({"causal_sums": np.zeros(3)})
    assert found == {"causal_loss": 0.0, "perplexity": 1.0, "next_token_accuracy": 0.0}


# === Configuration ===


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_configuration_is_stored_and_read_again(folder, objective, tmp_path):
    task = make(objective, folder, masking=MaskingConfig(probability=0.3, max_ngram=2))
    assert isinstance(task, HasNetworks)
    assert isinstance(task.config, TakesNetwork)
    assert task.network.vocab_size == folder.tokenizer.vocab_size
    assert task.network.is_decoder == (objective == "causal")
    task.write_files(tmp_path)
    read = LanguageModelConfig.from_run(task.config.to_dict(), tmp_path)
    assert read.to_dict() == task.config.to_dict()
    again = read.make(None, TrainingConfig())
    assert (again.network, again.tokenizer.vocab_hash) == (
        task.network,
        folder.tokenizer.vocab_hash,
    )
    assert again.evaluation_sets() == {}
    assert again.baselines() == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "left"}, "objective must be one of masked, causal"),
        ({"network": None, "objective": "masked"}, "needs a network: give INIT"),
        ({"objective": "masked"}, "needs the tokenizer in its configuration"),
    ],
)
def test_what_is_missing_is_said(tokenizer, changes, message):
    def build():
        settings = LanguageModelConfig(**{"network": network(), **changes})
        if settings.network is None:
            settings = dataclasses.replace(settings, tokenizer=tokenizer)
        settings.make(None, TrainingConfig())

    with pytest.raises(InputError, match=message):
        build()


@pytest.mark.parametrize("architecture", ["ElectraForMaskedLM", "ElectraForCausalLM"])
def test_a_language_model_starts_from_the_generator_of_a_pair(architecture):
    pair = {
        "discriminator": Weights({"architectures": ["ElectraForPreTraining"]}, {}),
        "generator": Weights({"architectures": ["ElectraForMaskedLM"]}, {}),
    }
    source = type("Pair", (), {"networks": pair})()
    assert warm_start.choose(source, "", architecture) is pair["generator"]
    assert warm_start.choose(source, "") is pair["discriminator"]


# === Estimates ===


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("tied", [True, False])
def test_the_estimates_are_those_of_the_model(folder, objective, tied):
    task = make(objective, folder)
    sizes = task.network.replace(tie_word_embeddings=tied)
    settings = dataclasses.replace(task.config, network=sizes)
    model = settings.make(task._data, TrainingConfig()).build()
    count = sum(v.shape.num_elements() for v in model.trainable_variables)
    found = settings.preflight(task._data, [PHASE], TrainingConfig(), Devices())
    assert found.errors == ()
    assert f"model: {count:,} trainable parameters" in found.lines[0]
    assert found.checkpoint_bytes == 12 * count
    scored = LENGTH if objective == "causal" else 4
    flops = 3 * 4 * cost.language_model_flops(sizes, LENGTH, scored)
    assert f"{scored} predictions per example; {flops:.3g} FLOPs per step" in found.lines[1]


def test_laptop_mlm_costs_what_laptop_costs():
    def resolved(name):
        settings = {"DATA": "data", "MODEL_DIR": "run"}
        values, _ = gin_resolver.resolve(recipes.find(name), settings, RunConfig)
        return RunConfig(**values)

    laptop, baseline = resolved("laptop"), resolved("laptop_mlm")
    pair = laptop.task.for_vocabulary(4096)
    sizes = baseline.task.network.replace(vocab_size=4096)
    assert sizes == pair.generator
    assert baseline.task.masking == pair.masking
    assert baseline.training == laptop.training
    wanted = sum(
        cost.step_flops(pair, stage) * (stage.end - stage.start) for stage in stages(laptop.phases)
    )
    (only,) = baseline.phases
    assert (only.batch_size, only.length) == (128, 32)
    slots = MaskedLanguageModel.scored_positions(only.length, baseline.task.masking)
    step = cost.training_flops(cost.language_model_flops(sizes, 32, slots), only.batch_size)
    assert abs(only.steps * step - wanted) <= step
