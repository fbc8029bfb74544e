"""Small networks and batches that still exercise every part: batch 2, length 8."""

import numpy as np
import tensorflow as tf
import tf_keras

from official_nlp.modeling import models, networks

VOCABULARY, LENGTH, PREDICTIONS = 32, 8, 3
MASK = 4


def config(**changes) -> networks.ElectraConfig:
    """Return the configuration of a discriminator with two layers."""
    sizes = {
        "vocab_size": VOCABULARY,
        "embedding_size": 8,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": LENGTH,
        "initializer_range": 0.2,
    }
    return networks.ElectraConfig(**{**sizes, **changes})


def without_dropout(**changes) -> networks.ElectraConfig:
    """Return the same configuration without dropout."""
    return config(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **changes)


def pretrainer(
    sharing="shared", dropout=True, layers=2, seed=1, **options
) -> models.ElectraPretrainer:
    """Return a pre-trainer with a generator of half the width, initialized reproducibly."""
    tf_keras.utils.set_random_seed(seed)
    make = config if dropout else without_dropout
    sizes = {"num_hidden_layers": layers}
    narrow = {} if sharing == "whole" else {"hidden_size": 8, "num_attention_heads": 1}
    generator, discriminator = make(**sizes, **narrow), make(**sizes)
    return models.ElectraPretrainer.from_config_pair(
        generator, discriminator, sharing=sharing, **options
    )


def batch(rows=2, **changes) -> dict:
    """Return examples [CLS] words [SEP] with three masked slots; every second one is shorter."""
    random = np.random.default_rng(5)
    ids = random.integers(5, VOCABULARY, [rows, LENGTH]).astype(np.int32)
    ids[:, 0], ids[:, -1] = 2, 3
    mask = np.ones_like(ids)
    positions = np.tile(np.int32([1, 3, 6]), [rows, 1])
    weights = np.ones([rows, PREDICTIONS], np.float32)
    mask[1::2, 6:], ids[1::2, 5], ids[1::2, 6:] = 0, 3, 0
    positions[1::2, 2], weights[1::2, 2] = 0, 0
    original = np.take_along_axis(ids, positions, axis=1) * (weights > 0)
    for row, slots, used in zip(ids, positions, weights):
        row[slots[used > 0]] = MASK
    values = {
        "input_word_ids": ids,
        "input_mask": mask,
        "input_type_ids": (np.arange(LENGTH) > 4).astype(np.int32) * mask,
        "masked_lm_positions": positions,
        "masked_lm_ids": original.astype(np.int32),
        "masked_lm_weights": weights,
    }
    return {name: tf.constant(value) for name, value in {**values, **changes}.items()}


def learnt(model, batch, steps=60) -> float:
    """Train with `fit` on one batch, and return its loss afterwards."""
    model.compile(tf_keras.optimizers.Adam(5e-3))
    dataset = tf.data.Dataset.from_tensors(batch)
    before = model.evaluate(dataset, verbose=0)
    assert before > 0.3
    model.fit(dataset.repeat(steps), verbose=0)
    return model.evaluate(dataset, verbose=0)
