"""Every field of the configuration acts: with another value something is made or said differently.

That values out of range raise is tested beside the configuration itself.
"""

import dataclasses
import functools
import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.modeling import models, networks
from tests.modeling import tiny

TEXT = {"input_ids": np.array([[2, 7, 8, 9, 3], [2, 9, 10, 11, 3]], np.int32)}
DECODER = {"is_decoder": True}
EVERY_TOKEN = list(range(tiny.VOCABULARY))
THREE = {0: "a", 1: "b", 2: "c"}


# === What can be seen of a configuration ===
def variables(cls):
    return lambda config: [tuple(v.shape) for v in cls(config).variables]


def results(cls, training=False, inputs=TEXT):
    def call(config):
        with randomness.stream(randomness.Key(3)):
            outputs = cls(config)(inputs, training=training)
        arrays = [np.asarray(x).tolist() for x in tf.nest.flatten(outputs)]
        return [list(outputs), arrays]

    return call


def loss(config):
    labels = np.int32([[1, 0], [0, 1]])
    model = models.ElectraForSequenceClassification(config)
    return float(model({**TEXT, "labels": labels})["loss"])


def continued(config):
    model = models.ElectraForCausalLM(config)
    return model.generate(TEXT["input_ids"], max_new_tokens=2).numpy().tolist()


def written(config):
    return models.ElectraForCausalLM(config).generate(max_new_tokens=2).numpy().tolist()


def text(config):
    return json.loads(config.to_json())


encoder, encoded = variables(networks.ElectraEncoder), results(networks.ElectraEncoder)
trained = results(networks.ElectraEncoder, training=True)
classifier = models.ElectraForSequenceClassification
choices = {"input_ids": np.stack([TEXT["input_ids"], TEXT["input_ids"] + 2], axis=1)}
chosen = results(models.ElectraForMultipleChoice, inputs=choices)
chosen_in_training = results(models.ElectraForMultipleChoice, training=True, inputs=choices)

# Where it is seen, another value, and what else must be said for it to matter.
FIELDS = {
    "vocab_size": (encoder, 40, {}),
    "embedding_size": (encoder, 4, {}),
    "hidden_size": (encoder, 32, {}),
    "num_hidden_layers": (encoder, 1, {}),
    "num_attention_heads": (encoder, 4, {}),
    "intermediate_size": (encoder, 64, {}),
    "max_position_embeddings": (encoder, 16, {}),
    "type_vocab_size": (encoder, 3, {}),
    "hidden_act": (encoded, "relu", {}),
    "initializer_range": (encoded, 0.1, {}),
    "initializer": (encoded, "fan_in", {}),
    "layer_norm_eps": (encoded, 0.1, {}),
    "position_embedding_type": (encoded, "relative_key", {}),
    "is_decoder": (encoded, True, {"use_cache": False}),
    "use_cache": (encoded, False, DECODER),
    "output_hidden_states": (encoded, True, {}),
    "output_attentions": (encoded, True, {}),
    "add_cross_attention": (encoder, True, DECODER),
    "hidden_dropout_prob": (trained, 0.5, {}),
    "attention_probs_dropout_prob": (trained, 0.5, {}),
    "tie_word_embeddings": (variables(models.ElectraForMaskedLM), False, {}),
    "num_labels": (variables(classifier), 3, {}),
    "id2label": (variables(classifier), THREE, {}),
    "label2id": (variables(classifier), {name: number for number, name in THREE.items()}, {}),
    "problem_type": (loss, "regression", {"problem_type": "multi_label_classification"}),
    "classifier_dropout": (results(classifier, training=True), 0.5, {}),
    "summary_type": (chosen, "mean", {}),
    "summary_use_proj": (chosen, False, {}),
    "summary_activation": (chosen, None, {}),
    "summary_first_dropout": (chosen_in_training, 0.5, {}),
    "summary_last_dropout": (chosen_in_training, 0.5, {}),
    "pad_token_id": (continued, 5, {**DECODER, "eos_token_id": EVERY_TOKEN}),
    "eos_token_id": (continued, EVERY_TOKEN, DECODER),
    "bos_token_id": (written, 8, {**DECODER, "bos_token_id": 7}),
    "generator_size": (lambda config: config.generator(), 1.0, {"generator_size": 0.5}),
    "extra": (text, {"note": 1}, {}),
}


@functools.cache
def _seen(field, changed):
    look, value, others = FIELDS[field]
    config = tiny.without_dropout(**{"summary_last_dropout": 0.0, **others})
    tf_keras.utils.set_random_seed(1)
    return look(config.replace(**{field: value}) if changed else config)


def test_every_field_is_looked_at():
    assert FIELDS.keys() == {field.name for field in dataclasses.fields(networks.ElectraConfig)}


@pytest.mark.parametrize("field", FIELDS)
def test_another_value_is_seen(field):
    assert _seen(field, changed=False) != _seen(field, changed=True)


@pytest.mark.parametrize("field", ["hidden_act", "hidden_dropout_prob", "eos_token_id"])
def test_the_same_value_is_not(field):
    before = _seen(field, changed=False)
    _seen.cache_clear()
    assert before == _seen(field, changed=False)
