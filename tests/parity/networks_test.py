"""Networks compute the same as tfnlp's of the same name, and the encoder as `BertEncoder`."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.nlp.modeling import layers as tfnlp_layers  # noqa: TID251
from official.nlp.modeling import networks as tfnlp  # noqa: TID251

from official_nlp.modeling import layers, networks, ops
from tests.modeling import tiny
from tests.parity import sizes, weights

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


@pytest.fixture(scope="module")
def batch():
    """The three inputs, by name."""
    values = tiny.batch()
    return {name: values[name] for name in INPUTS}


@pytest.mark.parametrize("embedding_size", [8, 16])
@pytest.mark.parametrize("version", ["BertEncoder", "BertEncoderV2"])
def test_the_encoder_computes_the_same_as_bert_without_its_pooler(batch, embedding_size, version):
    options = {"dict_outputs": True} if version == "BertEncoder" else {}
    theirs = sizes.bert_encoder(getattr(tfnlp, version), embedding_size=embedding_size, **options)
    ours = networks.ElectraEncoder(sizes.config(embedding_size=embedding_size))
    theirs(batch)
    weights.perturb(theirs)
    ours.set_weights(sizes.without_pooler(theirs))

    def outputs(network):
        made = network(batch)
        return [made["sequence_output"], *made["encoder_outputs"]]

    theirs_variables = theirs.variables[:-2]
    mine = weights.run(lambda _: outputs(ours), [], ours.variables)
    others = weights.run(lambda _: outputs(theirs), [], theirs_variables)
    weights.compare(mine, others)
    np.testing.assert_array_equal(ours.get_embedding_table(), theirs.get_embedding_table())
    assert isinstance(theirs.get_embedding_table(), tf.Variable)


# === Heads ===
VECTORS = np.random.default_rng(0).normal(size=[2, 6, 8]).astype(np.float32)
HEADS = {
    "Classification": ("Classification", (8, 3), {}, VECTORS[:, 0]),
    "Classification, predictions": (
        "Classification",
        (8, 3),
        {"output": "predictions"},
        VECTORS[:, 0],
    ),
    "SpanLabeling": ("SpanLabeling", (8,), {}, VECTORS),
    "SpanLabeling, predictions": (
        "SpanLabeling",
        (8,),
        {"activation": "tanh", "output": "predictions"},
        VECTORS,
    ),
}


@pytest.mark.parametrize("case", HEADS)
def test_a_head_computes_the_same_as_in_tfnlp(case):
    name, arguments, options, inputs = HEADS[case]
    theirs, ours = (getattr(lib, name)(*arguments, **options) for lib in (tfnlp, networks))
    weights.perturb(theirs)
    ours.set_weights(theirs.get_weights())
    results = [
        weights.run(lambda x, made=made: made(x[0]), [inputs], made.variables)
        for made in (ours, theirs)
    ]
    weights.compare(*results)


# === Scaffold ===
EMBEDDINGS = {
    "vocab_size": tiny.VOCABULARY,
    "type_vocab_size": 2,
    "hidden_size": 16,
    "max_seq_length": tiny.LENGTH,
    "initializer": tf_keras.initializers.TruncatedNormal(stddev=0.02),
    "dropout_rate": 0.1,
}
BLOCK = {"num_attention_heads": 2, "inner_dim": 12, "inner_activation": ops.gelu_new}
OLDER_NAMES = {
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "intermediate_activation": ops.gelu_new,
}


class EmbeddingNetwork(tf_keras.Model):
    """Word vectors and a mask."""

    def __init__(self, library):
        super().__init__()
        self.inputs = [tf_keras.Input([None], dtype=tf.int32, name=name) for name in INPUTS[:2]]
        self.words = library.OnDeviceEmbedding(tiny.VOCABULARY, 16)
        self.mask = library.SelfAttentionMask()

    def call(self, inputs):
        vectors = self.words(inputs[0])
        return vectors, self.mask(vectors, inputs[1])


SCAFFOLDS = {
    "default block": {"embedding_cfg": EMBEDDINGS, "hidden_cfg": OLDER_NAMES},
    "a class": {
        "embedding_cfg": EMBEDDINGS,
        "hidden_cls": "TransformerEncoderBlock",
        "hidden_cfg": {**BLOCK, "norm_first": True},
        "layer_norm_before_pooling": True,
    },
    "an embedding network": {"embedding_cls": EmbeddingNetwork, "hidden_cfg": OLDER_NAMES},
}


def scaffold(library_of_layers, library, options):
    """Build a network of the layers of one library."""
    options = dict(options)
    if "hidden_cls" in options:
        options["hidden_cls"] = getattr(library_of_layers, options["hidden_cls"])
    if "embedding_cls" in options:
        options["embedding_cls"] = options["embedding_cls"](library_of_layers)
    return library.EncoderScaffold(
        16, num_hidden_instances=2, return_all_layer_outputs=True, **options
    )


@pytest.mark.parametrize("case", SCAFFOLDS)
def test_a_scaffold_computes_the_same_as_in_tfnlp(case, batch):
    theirs = scaffold(tfnlp_layers, tfnlp, SCAFFOLDS[case])
    ours = scaffold(layers, networks, SCAFFOLDS[case])
    weights.perturb(theirs)
    ours.set_weights(theirs.get_weights())
    inputs = list(batch.values())[: len(theirs.inputs)]
    results = [
        weights.run(functools.partial(_call, made, inputs), [], made.variables)
        for made in (ours, theirs)
    ]
    weights.compare(*results)


def _call(made, inputs, _):
    return made(inputs)


def test_a_scaffold_accepts_blocks_of_tfnlp(batch):
    options = {**SCAFFOLDS["a class"], "hidden_cls": tfnlp_layers.TransformerEncoderBlock}
    theirs = tfnlp.EncoderScaffold(16, num_hidden_instances=2, **options)
    ours = networks.EncoderScaffold(16, num_hidden_instances=2, **options)
    weights.perturb(theirs)
    ours.set_weights(theirs.get_weights())
    for mine, other in zip(ours(list(batch.values())), theirs(list(batch.values()))):
        np.testing.assert_allclose(mine, other, rtol=0, atol=weights.TOLERANCE)
