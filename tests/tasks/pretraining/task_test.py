import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import data
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.modeling import losses, models
from official_nlp.modeling.models.sharing import MODES
from official_nlp.randomness import Key, stream
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.tasks import ElectraPretraining, PretrainingConfig
from official_nlp.training import WarmupDecay
from official_nlp.training.adamw import AdamW
from official_nlp.training.evaluator import Evaluator
from tests.data.conftest import VOCABULARY
from tests.tasks.conftest import (
    BOTH,
    LENGTH,
    MLM_ONLY,
    RTD_ONLY,
    config,
    network,
    phase,
    pretraining,
)

KEY = Key(11).fold(2)


def first_batch(task, of=BOTH, step=0):
    return next(iter(task.train_dataset(0, of, step, 0, 1)))


def losses_of(task, model, of, batch=None):
    """Return the terms as (sum, weight), and the sums to report."""
    batch = first_batch(task, of) if batch is None else batch
    with stream(KEY, batch["stream_position"][0]):
        loss_sums, sums = task.losses(model, batch, of)
    weights = task.weights(batch, of)
    assert list(loss_sums) == list(weights)
    return {name: (loss_sums[name], weights[name]) for name in weights}, sums


def total(terms, of):
    return sum(of.loss_weights[name] * terms[name][0] / terms[name][1] for name in terms)


def poison(monkeypatch, network):
    def call(*arguments, **keywords):
        raise AssertionError("a network ran that has no weight")

    monkeypatch.setattr(network, "call", call)


def recorded_samples(monkeypatch, model):
    """Returns a list that every later call of `corrupt` adds its samples to."""
    samples, original = [], model.corrupt

    def corrupt(*arguments, **keywords):
        result = original(*arguments, **keywords)
        samples.append(result["sampled_ids"])
        return result

    monkeypatch.setattr(model, "corrupt", corrupt)
    return samples


def names(variables):
    return {variable.ref() for variable in variables}


# === Phases ===


@pytest.mark.parametrize(
    ("of", "unused", "terms"),
    [
        pytest.param(MLM_ONLY, "discriminator_network", {"mlm"}, id="generator alone"),
        pytest.param(RTD_ONLY, "generator_network", {"rtd"}, id="discriminator alone"),
    ],
)
def test_a_network_without_weight_does_not_run(task, monkeypatch, of, unused, terms):
    model = task.build()
    poison(monkeypatch, getattr(model, unused))
    found, sums = losses_of(task, model, of)
    assert set(found) == terms
    prefix = terms.pop()
    assert all(name.startswith(prefix) for name in task.report(as_numpy(sums), {}))
    with pytest.raises(AssertionError, match="has no weight"):
        losses_of(task, model, BOTH)


@pytest.mark.parametrize(
    ("of", "unread"),
    [
        (MLM_ONLY, ("discriminator_network", "discriminator_projection", "discriminator_head")),
        (RTD_ONLY, ("generator_network", "masked_lm")),
    ],
)
def test_variables_of_a_network_without_weight_are_not_read(folder, of, unread):
    task = pretraining(config("untied"), folder)
    model, batch = task.build(), first_batch(task)
    traced = tf.function(lambda: losses_of(task, model, of, batch)).get_concrete_function()
    read = {id(tensor) for tensor in traced.captured_inputs}
    own = [v for part in unread for v in getattr(model, part).variables]
    others = {id(v.handle) for v in model.variables} - {id(v.handle) for v in own}
    assert own
    assert not any(id(v.handle) in read for v in own)
    assert read & others


@pytest.mark.parametrize("sharing", MODES)
@pytest.mark.parametrize("of", [MLM_ONLY, RTD_ONLY, BOTH], ids=["mlm", "rtd", "both"])
def test_the_loss_reaches_the_trained_variables_and_no_others(folder, sharing, of):
    task = pretraining(config(sharing), folder)
    model = task.build()
    with tf.GradientTape() as tape:
        terms, _ = losses_of(task, model, of)
        loss = total(terms, of)
    trained = task.trainable_variables(model, of)
    assert len(names(trained)) == len(trained)
    gradients = tape.gradient(loss, model.trainable_variables)
    reached = [v for v, g in zip(model.trainable_variables, gradients) if g is not None]
    assert names(reached) == names(trained)


def test_each_term_moves_its_own_network(folder):
    task = pretraining(config("untied"), folder)
    model = task.build()
    mine = names(task.trainable_variables(model, MLM_ONLY))
    others = names(task.trainable_variables(model, RTD_ONLY))
    assert not mine & others
    for term, own in (("mlm", mine), ("rtd", others)):
        with tf.GradientTape() as tape:
            terms, _ = losses_of(task, model, BOTH)
        gradients = tape.gradient(terms[term][0], model.trainable_variables)
        moved = [v for v, g in zip(model.trainable_variables, gradients) if g is not None]
        assert names(moved) == own


@pytest.mark.parametrize("of", [MLM_ONLY, RTD_ONLY], ids=["mlm", "rtd"])
def test_an_update_leaves_a_network_without_weight_as_it_was(folder, of):
    task = pretraining(config("untied"), folder)
    model = task.build()
    optimizer = AdamW(WarmupDecay(0.1, total_steps=10, warmup_steps=0))
    optimizer.build(model.trainable_variables)
    before = {v.ref(): v.numpy() for v in model.trainable_variables}
    trained = task.trainable_variables(model, of)
    with tf.GradientTape() as tape:
        loss = total(losses_of(task, model, of)[0], of)
    optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained))
    changed = [v for v in model.trainable_variables if not np.array_equal(v, before[v.ref()])]
    assert names(changed) == names(trained)


def test_without_a_generator_tokens_are_drawn_by_their_frequency(task, folder, monkeypatch):
    model = task.build()
    samples = recorded_samples(monkeypatch, model)
    wide = phase(loss_weights=RTD_ONLY.loss_weights, batch_size=3000)
    losses_of(task, model, wide)
    drawn = samples[0].numpy()
    expected = data.unigram_probabilities(folder) * drawn.size
    counts = np.bincount(drawn.ravel(), minlength=len(expected))
    assert drawn.shape == (3000, 4)
    assert not counts[expected == 0].any()
    common = expected > 5
    chi_square = np.sum((counts - expected)[common] ** 2 / expected[common])
    freedom = np.sum(common)
    assert freedom > 5
    assert chi_square < freedom + 4 * np.sqrt(2 * freedom)
    # Rows and slots are drawn apart.
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.1
    assert abs(np.corrcoef(drawn[1:, 0], drawn[:-1, 0])[0, 1]) < 0.1


def test_a_phase_may_have_its_own_mask_probability(folder):
    task = pretraining(config(phase_mask_probabilities=(None, 0.25)), folder)
    shapes = [
        next(iter(task.train_dataset(stage, BOTH, 0, 0, 1)))["masked_lm_positions"].shape
        for stage in range(3)
    ]
    assert shapes == [(4, 4), (4, 8), (4, 4)]


def test_a_mask_probability_outside_0_and_1_is_refused():
    with pytest.raises(
        InputError, match=r"phase_mask_probabilities\[1\] must be a number above 0 .*, was 1\.5"
    ):
        config(phase_mask_probabilities=(0.15, 1.5))


def test_numerics_draw_positions_as_the_original(folder):
    sizes = config(phase_mask_probabilities=(0.25,))
    quirky = pretraining(sizes, folder, reference_quirks=ReferenceQuirks.original())
    wide = phase(batch_size=64)
    assert quirky.build().average_duplicates
    assert twice_masked(first_batch(quirky, wide))
    assert not twice_masked(first_batch(pretraining(sizes, folder), wide))


def twice_masked(batch):
    places = zip(batch["masked_lm_positions"].numpy(), batch["masked_lm_weights"].numpy())
    return any(len(set(row[used > 0])) < np.sum(used) for row, used in places)


def test_a_phase_reads_its_own_folder(folder, tmp_path, text_file, tokenizer_folder):
    data.build_examples(
        text_file, tokenizer_folder, tmp_path / "short", length=16, processes=1, progress=False
    )
    short = data.open_folder(tmp_path / "short")
    task = pretraining(config(), folder, phase_folders={"short": short})
    batch = first_batch(task, phase(data="short", length=16))
    assert batch["input_word_ids"].shape == (4, 16)


# === Loss ===


def test_the_loss_is_the_one_formula_of_the_models_own_outputs(task):
    model, batch = task.build(), first_batch(task)
    terms, _ = losses_of(task, model, BOTH, batch)
    with stream(KEY, batch["stream_position"][0]):
        expected = losses.electra_loss(batch, model(batch, training=True))
    assert set(terms) == set(expected) == {"mlm", "rtd"}
    for name in terms:
        assert float(terms[name][0]) == float(expected[name][0])
        assert float(terms[name][1]) == float(expected[name][1])


def test_the_loss_is_the_one_of_fit(task):
    model, batch = task.build(), first_batch(task)
    terms, _ = losses_of(task, model, BOTH, batch)
    model.compile("sgd", generator_weight=1.0, discriminator_weight=50.0)
    with stream(KEY, batch["stream_position"][0]):
        logs = model.train_step(batch)
    assert float(logs["loss"]) == pytest.approx(float(total(terms, BOTH)), rel=1e-6)


def test_dropout_and_samples_are_a_function_of_the_place(task):
    model, batch = task.build(), first_batch(task)
    one, two = losses_of(task, model, BOTH, batch)[0], losses_of(task, model, BOTH, batch)[0]
    assert float(one["mlm"][0]) == float(two["mlm"][0])
    assert float(one["rtd"][0]) == float(two["rtd"][0])
    moved = {**batch, "stream_position": batch["stream_position"] + 4}
    assert float(losses_of(task, model, BOTH, moved)[0]["mlm"][0]) != float(one["mlm"][0])


# === Evaluation ===


def as_numpy(sums):
    return {name: value.numpy().astype(np.float64) for name, value in sums.items()}


def evaluated(task, model, seed=3):
    evaluator = Evaluator(task, model, tf.distribute.get_strategy(), seed)
    return evaluator, evaluator.evaluate(tf.constant(-1))["held_out"]


def test_every_evaluation_sees_the_same_masks_and_corruption(task):
    model = task.build()
    evaluator, first = evaluated(task, model)
    assert evaluator.evaluate(tf.constant(-1))["held_out"] == first
    assert 0 < first["rtd_unigram_auc"] < 1
    assert first["rtd_replaced_fraction"] > 0.05


def test_evaluation_drops_nothing_out_and_samples_by_the_seed(task):
    model = task.build()
    first, other = evaluated(task, model)[1], evaluated(task, model, seed=4)[1]
    assert other["mlm_loss"] == first["mlm_loss"]
    assert other["rtd_loss"] != first["rtd_loss"]


def test_masks_and_corruption_do_not_depend_on_the_batch(folder, monkeypatch):
    found = []
    for size in (3, 8):
        task = pretraining(config(evaluation_batch_size=size), folder, seed=3)
        model = task.build()
        samples = recorded_samples(monkeypatch, model)
        rows = {"positions": [], "ids": [], "unigram": []}
        for batch in task.evaluation_sets()["held_out"]:
            with stream(KEY, batch["stream_position"][0]):
                task.evaluate(model, batch)
            rows["positions"].append(batch["masked_lm_positions"])
            rows["ids"].append(batch["input_word_ids"])
            rows["unigram"].append(samples[-1])
        count = folder.count("held_out")
        found.append({name: np.concatenate(parts)[:count] for name, parts in rows.items()})
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name], found[1][name])


def test_metrics_do_not_depend_on_the_batch(folder):
    sizes = (3, 8)
    tasks = [pretraining(config(evaluation_batch_size=n), folder, seed=3) for n in sizes]
    one, other = (evaluated(task, task.build())[1] for task in tasks)
    assert one == pytest.approx(other, rel=1e-4)


def test_evaluation_stops_at_its_limit(folder):
    task = pretraining(config(evaluation_examples=5, evaluation_batch_size=2), folder)
    assert len(list(task.evaluation_sets()["held_out"])) == 3


def test_there_is_no_evaluation_without_held_out_examples(tmp_path, text_file, tokenizer_folder):
    to = tmp_path / "data"
    data.build_examples(
        text_file, tokenizer_folder, to, length=32, held_out=0, processes=1, progress=False
    )
    task = pretraining(config(), data.open_folder(to))
    assert task.evaluation_sets() == {}
    assert task.baselines() == {}


# === Configuration ===


def test_the_word_table_has_the_size_of_the_vocabulary(task):
    model = task.build()
    assert model.vocab_size == len(VOCABULARY)
    sizes = task.config.generator.vocab_size, task.config.discriminator.vocab_size
    assert sizes == (len(VOCABULARY), len(VOCABULARY))


def test_the_word_table_may_be_larger(folder):
    task = pretraining(config(vocab_size=80), folder)
    terms, _ = losses_of(task, task.build(), BOTH)
    assert task.config.discriminator.vocab_size == 80
    assert np.isfinite(total(terms, BOTH))
    assert np.isfinite(total(losses_of(task, task.build(), RTD_ONLY)[0], RTD_ONLY))


def test_a_table_smaller_than_the_vocabulary_is_refused(folder):
    with pytest.raises(
        InputError, match=r"vocab_size must be at least the vocabulary's \d+, was 9"
    ):
        pretraining(config(vocab_size=9), folder)


def test_another_vocabulary_in_a_phase_is_refused(folder, tmp_path, text_file):
    ElectraTokenizer(["[unused]", *VOCABULARY]).save_pretrained(tmp_path / "other")
    data.build_examples(
        text_file, tmp_path / "other", tmp_path / "data", length=32, processes=1, progress=False
    )
    other = data.open_folder(tmp_path / "data")
    with pytest.raises(InputError, match="data mine of a phase has another vocabulary"):
        pretraining(config(), folder, phase_folders={"mine": other})


def test_another_treatment_of_text_in_a_phase_is_refused(folder, tmp_path, text_file):
    ElectraTokenizer(VOCABULARY, strip_accents=False).save_pretrained(tmp_path / "other")
    data.build_examples(
        text_file, tmp_path / "other", tmp_path / "data", length=32, processes=1, progress=False
    )
    other = data.open_folder(tmp_path / "data")
    with pytest.raises(InputError, match=r"that of the run \(strip_accents False, not True\)"):
        pretraining(config(), folder, phase_folders={"mine": other})


@pytest.mark.parametrize("masking", [{"whole_word": True}, {"max_ngram": 2}])
def test_words_cannot_be_drawn_as_the_original_draws_tokens(folder, masking):
    words = config(masking=data.MaskingConfig(**masking))
    with pytest.raises(InputError, match="cannot be drawn with replacement"):
        pretraining(words, folder, reference_quirks=ReferenceQuirks.original())
    batch = first_batch(pretraining(words, folder))
    assert batch["masked_lm_weights"].numpy().any(1).all()


def test_rows_that_the_model_has_no_positions_for_are_refused(folder):
    short = dataclasses.replace(config(), generator=network(max_position_embeddings=16))
    with pytest.raises(InputError, match="examples of 32 tokens, but max_position_embeddings"):
        pretraining(short, folder)


@pytest.mark.parametrize(
    "original",
    [
        config(),
        config(
            "untied",
            masking=data.MaskingConfig(probability=0.3, replaced=1.0),
            vocab_size=99,
            temperature=0.5,
            disallow_correct=True,
            evaluation_examples=7,
            evaluation_batch_size=3,
            phase_mask_probabilities=[None, 0.2],
        ),
        PretrainingConfig(
            network(initializer="fan_in"), network(extra={"note": [1, 2]}, generator_size=0.5)
        ),
    ],
)
def test_a_configuration_survives_json(original):
    text = json.dumps(original.to_dict())
    assert PretrainingConfig.from_dict(json.loads(text)) == original


def test_options_reach_the_model(folder):
    task = pretraining(config("untied", temperature=0.5, disallow_correct=True), folder)
    model = task.build()
    assert (model.sharing, model.temperature, model.disallow_correct) == ("untied", 0.5, True)


def test_starting_values_are_a_function_of_the_seed(folder):
    one, same, other = (pretraining(config(), folder, seed=n).build() for n in (3, 3, 4))
    pairs = list(zip(one.get_weights(), same.get_weights(), other.get_weights()))
    assert all(np.array_equal(a, b) for a, b, _ in pairs)
    assert any(not np.array_equal(a, c) for a, _, c in pairs)


def test_heads_start_by_fan_in_where_networks_do(folder):
    wide = network(initializer="fan_in", hidden_size=64, embedding_size=64)
    task = pretraining(PretrainingConfig(wide, wide, sharing="whole"), folder)
    model = task.build()
    deviation = float(tf.math.reduce_std(model.discriminator_projection.kernel))
    assert deviation == pytest.approx(1 / 8, rel=0.1)


# === Checkpoints ===


@pytest.mark.parametrize("sharing", ["shared", "whole"])
def test_a_checkpoint_has_the_parts_by_name(folder, sharing, tmp_path):
    task = pretraining(config(sharing), folder)
    model = task.build()
    items = task.checkpoint_items(model)
    assert set(items) == {"generator", "discriminator", "generator_head", "discriminator_head"}
    path = tf.train.Checkpoint(**items).write(str(tmp_path / "ckpt"))
    for variable in model.variables:
        variable.assign_add(tf.ones_like(variable))
    changed = [variable.numpy() for variable in model.variables]
    tf.train.Checkpoint(**task.checkpoint_items(model)).read(path).assert_consumed()
    assert all(np.allclose(v + 1, old) for v, old in zip(model.variables, changed))


def test_a_sentence_head_has_its_root():
    sizes = network(vocab_size=40, max_position_embeddings=LENGTH)
    model = models.ElectraPretrainer.from_config_pair(sizes, sizes, num_classes=2)
    task = ElectraPretraining(config())
    assert task.checkpoint_items(model)["sentence_head"] is model.classification
