"""The pre-trainer computes the same as tfnlp's with equal weights and equal samples.

Samples are fixed: ours accepts them as `corrupt(sampled_ids=...)`, tfnlp's sampling is replaced.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from official.nlp.modeling import networks as tfnlp  # noqa: TID251
from official.nlp.modeling.models import electra_pretrainer as tfnlp_pretrainer  # noqa: TID251

from official_nlp.modeling import models, networks, ops
from tests.modeling import tiny
from tests.parity import sizes, weights

V, P = tiny.VOCABULARY, tiny.PREDICTIONS
CLASSES = 3
# One sample equals the original token, and must be labelled as original.
SAMPLED = np.int32([[7, 11, 30], [9, 5, 31]])
POSITIONS = np.int32([[1, 3, 6], [4, 2, 1]])


@dataclasses.dataclass(frozen=True)
class Pair:
    """Both pre-trainers, with equal weights.

    Attributes:
      theirs, ours: the models.
      variables: the corresponding variables of each, in the same order.
    """

    theirs: tfnlp_pretrainer.ElectraPretrainer
    ours: models.ElectraPretrainer
    variables: tuple


def batch():
    values = {name: x.numpy() for name, x in tiny.batch().items() if name != "masked_lm_weights"}
    values["masked_lm_positions"] = POSITIONS
    values["masked_lm_ids"] = np.int32([[7, 8, 9], [10, 11, 12]])
    return {name: tf.constant(value) for name, value in values.items()}


def bert_pair(tied):
    generator = sizes.bert_encoder(tfnlp.BertEncoder, dict_outputs=True)
    layer = generator.get_embedding_layer() if tied else None
    discriminator = sizes.bert_encoder(tfnlp.BertEncoder, dict_outputs=True, embedding_layer=layer)
    return generator, discriminator


def electra_pair(tied):
    generator = networks.ElectraEncoder(sizes.config(), name="generator")
    layer = generator.get_embedding_layer() if tied else None
    discriminator = networks.ElectraEncoder(sizes.config(), embeddings=layer, name="discriminator")
    return generator, discriminator


def pretrainer(cls, generator, discriminator, activation):
    return cls(
        generator_network=generator,
        discriminator_network=discriminator,
        vocab_size=V,
        num_classes=CLASSES,
        num_token_predictions=P,
        mlm_activation=activation,
    )


def is_pooler(variable):
    return "pooler_transform" in variable.name


def make_pair(kind, tied, activation) -> Pair:
    theirs = pretrainer(tfnlp_pretrainer.ElectraPretrainer, *bert_pair(tied), activation)
    theirs(batch())
    weights.perturb(theirs)
    networks_of_ours = bert_pair(tied) if kind == "tfnlp's networks" else electra_pair(tied)
    ours = pretrainer(models.ElectraPretrainer, *networks_of_ours, activation)
    assert ours.sharing == ("word_only" if tied else "untied")
    if kind == "tfnlp's networks":
        ours.set_weights(theirs.get_weights())
        return Pair(theirs, ours, (ours.variables, theirs.variables))
    # ELECTRA's encoder has no pooler.
    kept = [v for v in theirs.variables if not is_pooler(v)]
    assert len(theirs.variables) == len(kept) + 4
    ours.set_weights([v.numpy() for v in kept])
    return Pair(theirs, ours, (ours.variables, kept))


def run_ours(model, inputs):
    generated = model.generate(inputs)
    corrupted = model.corrupt(inputs, generated["lm_outputs"], sampled_ids=tf.constant(SAMPLED))
    disc_logits = model.discriminate(
        corrupted["input_word_ids"], inputs["input_mask"], inputs["input_type_ids"]
    )
    return {**generated, "disc_logits": disc_logits, "disc_label": corrupted["disc_label"]}


@pytest.mark.parametrize("activation", [None, ops.gelu_new], ids=["linear", "gelu"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("kind", ["tfnlp's networks", "our networks"])
def test_equal_weights_give_four_equal_outputs_and_all_gradients(
    kind, tied, activation, monkeypatch, record_property
):
    pair, inputs = make_pair(kind, tied, activation), batch()
    monkeypatch.setattr(
        tfnlp_pretrainer,
        "sample_from_softmax",
        lambda logits, disallow=None: tf.one_hot(SAMPLED, V),
    )
    order = ("lm_outputs", "sentence_outputs", "disc_logits", "disc_label")

    def outputs(made):
        assert set(made) == set(order)
        return [made[name] for name in order]

    ours = weights.run(lambda _: outputs(run_ours(pair.ours, inputs)), [], pair.variables[0])
    theirs = weights.run(lambda _: outputs(pair.theirs(inputs)), [], pair.variables[1])
    difference = weights.compare(ours, theirs)
    record_property("difference", difference)
    # All samples of the batch but one differ from the original.
    np.testing.assert_array_equal(ours.outputs[3].sum(axis=1), [2, 3])
