"""Networks of others inside the pre-trainer: tfnlp's encoders, a user's own, a scaffold."""

import itertools
import warnings

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import loss_terms, randomness
from official_nlp.errors import InputError
from official_nlp.modeling import losses, models, networks
from tests.modeling import tiny

V, L, P = tiny.VOCABULARY, tiny.LENGTH, tiny.PREDICTIONS


class Own(tf_keras.Model):
    """A user's network: its variables come with the first call, it knows no dropout."""

    def __init__(self, table=None, **kwargs):
        super().__init__(**kwargs)
        self.table = table or tf_keras.layers.Embedding(V, 8)
        self.mix = tf_keras.layers.Dense(8, activation="tanh")

    def call(self, inputs):
        vectors = self.table(inputs["input_word_ids"])
        mask = tf.cast(inputs["input_mask"], vectors.dtype)[..., tf.newaxis]
        mean = tf.reduce_mean(vectors * mask, axis=1, keepdims=True)
        types = tf.cast(inputs["input_type_ids"], vectors.dtype)[..., tf.newaxis]
        return {"sequence_output": self.mix(tf.concat([vectors, mean + 0 * vectors, types], -1))}

    def get_embedding_layer(self):
        return self.table


def bert(cls, **options):
    """Model Garden's networks; they take ten seconds to import."""
    from official.nlp.modeling import networks as theirs  # noqa: TID251

    sizes = {"hidden_size": 8, "num_layers": 1, "num_attention_heads": 2, "inner_dim": 16}
    return getattr(theirs, cls)(V, **sizes, max_sequence_length=L, **options)


def scaffold(**options):
    sizes = {"vocab_size": V, "type_vocab_size": 2, "hidden_size": 8, "max_seq_length": L}
    return networks.EncoderScaffold(
        pooled_output_dim=4,
        embedding_cfg={**sizes, "initializer": "glorot_uniform", "dropout_rate": 0.1},
        hidden_cfg={"num_attention_heads": 2, "inner_dim": 16, "inner_activation": "gelu"},
        dict_outputs=True,
        **options,
    )


MAKE = {
    "ours": lambda: networks.ElectraEncoder(tiny.config(num_hidden_layers=1)),
    "BertEncoder": lambda: bert("BertEncoder", dict_outputs=True),
    "BertEncoder all layers": lambda: bert(
        "BertEncoder", dict_outputs=True, return_all_encoder_outputs=True
    ),
    "BertEncoderV2": lambda: bert("BertEncoderV2"),
    "Own": Own,
    "EncoderScaffold": scaffold,
}
PAIRS = [
    (first, second)
    for kind in ("BertEncoder", "BertEncoderV2", "Own", "EncoderScaffold")
    for first, second in itertools.product(["ours", kind], repeat=2)
    if (first, second) != ("ours", "ours")
]
PAIRS.append(("BertEncoder all layers", "BertEncoder all layers"))
# Each kind once: the default suite has no time for all pairs.
FEW = [("ours", "BertEncoder"), ("EncoderScaffold", "EncoderScaffold"), ("Own", "ours")]
FEW += [("BertEncoderV2", "ours"), ("BertEncoder all layers", "BertEncoder all layers")]


def pretrainer(generator, discriminator, **options):
    return models.ElectraPretrainer(
        generator, discriminator, V, 0, P, mlm_activation="gelu", **options
    )


def loss(model, batch):
    with randomness.stream(randomness.Key(1)):
        terms = losses.electra_loss(batch, model(batch))
    return float(loss_terms.weighted_total(terms, {"rtd": 5.0}))


# === Every kind, in every place ===
@pytest.mark.parametrize(
    ("generator", "discriminator"),
    [pytest.param(*pair, marks=() if pair in FEW else pytest.mark.slow) for pair in PAIRS],
)
def test_a_pair_of_any_kinds_trains_in_silence(batch, caplog, generator, discriminator):
    tf_keras.utils.set_random_seed(1)
    model = pretrainer(MAKE[generator](), MAKE[discriminator]())
    assert model.sharing == "untied"
    assert model.masked_lm.table is model.generator_network.get_embedding_layer().embeddings
    model.compile(tf_keras.optimizers.Adam(0.02), discriminator_weight=5.0, run_eagerly=True)
    before = loss(model, batch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as those of variables without a gradient
        model.fit(tf.data.Dataset.from_tensors(batch).repeat(6), verbose=0)
    assert not [record for record in caplog.records if "radient" in record.getMessage()]
    assert loss(model, batch) < before


def test_the_four_outputs_are_as_ever(batch):
    outputs = pretrainer(scaffold(), Own())(batch)
    assert {name: (x.shape, x.dtype) for name, x in outputs.items()} == {
        "lm_outputs": ([2, P, V], tf.float32),
        "sentence_outputs": ([2, 0], tf.float32),
        "disc_logits": ([2, L], tf.float32),
        "disc_label": ([2, L], tf.int32),
    }


def test_half_precision_reads_the_table_of_others_in_float32(batch):
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = pretrainer(bert("BertEncoderV2"), bert("BertEncoderV2"))
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
    sequence = tf.constant(np.random.default_rng(0).normal(size=[2, P, 8]), tf.bfloat16)
    head = model.masked_lm
    hidden = np.float64(head.layer_norm(head.activation(head.dense(sequence))))
    expected = hidden @ np.float64(model.generator_network.get_embedding_table()).T
    np.testing.assert_allclose(head(sequence), expected, atol=1e-6)


# === What two of them share ===
def shared_pair(kind):
    """Returns two networks of one word table, as tfnlp ties them."""
    if kind == "Own":
        first = Own()
        return first, Own(first.table)
    options = {"dict_outputs": True} if kind == "BertEncoder" else {}
    first = bert(kind, **options)
    return first, bert(kind, embedding_layer=first.get_embedding_layer(), **options)


@pytest.mark.parametrize("kind", ["BertEncoder", "BertEncoderV2", "Own"])
def test_a_table_that_others_share_is_one_and_is_found(batch, kind):
    first, second = shared_pair(kind)
    model = pretrainer(first, second, sharing="word_only")
    table = first.get_embedding_layer().embeddings
    assert model.masked_lm.table is second.get_embedding_layer().embeddings is table
    assert sum(v is table for v in model.variables) == 1
    with pytest.raises(InputError, match="only ElectraEncoders can share again after a file"):
        model.get_config()


def test_a_scaffold_that_does_not_say_where_its_table_is_shares_none():
    class Pair(tf_keras.layers.Layer):
        def __init__(self, table):
            super().__init__()
            self.table = table

        def call(self, inputs):
            word_ids, mask, _ = inputs
            return self.table(word_ids), mask

    def silent():
        table = tf_keras.layers.Embedding(V, 8)
        plain = tf_keras.layers.Lambda(lambda inputs: inputs[0] * 2)
        return networks.EncoderScaffold(
            embedding_cls=Pair(table), hidden_cls=plain, dict_outputs=True
        )

    model = pretrainer(Own(), silent())
    assert model.sharing == "untied"
    with pytest.raises(RuntimeError, match="does not have a reference to its word table"):
        pretrainer(silent(), Own())


# === What cannot be rebuilt ===
@pytest.mark.parametrize("kind", ["BertEncoder", "BertEncoderV2"])
@pytest.mark.parametrize("place", ["generator_network", "discriminator_network"])
def test_a_network_that_cannot_be_rebuilt_is_named(kind, place):
    given = {"generator_network": MAKE["ours"](), "discriminator_network": MAKE["ours"]()}
    given[place] = MAKE[kind]()
    model = models.ElectraPretrainer(**given, vocab_size=V, num_classes=0, num_token_predictions=P)
    with pytest.raises(InputError, match=f"{place} cannot be rebuilt .*: {kind}"):
        model.get_config()


@pytest.mark.parametrize("kind", ["EncoderScaffold", "Own"])
def test_a_network_that_can_be_rebuilt_is(tmp_path, batch, kind):
    model = pretrainer(MAKE[kind](), MAKE[kind]())
    model.save(tmp_path / "model.keras")
    again = tf_keras.models.load_model(tmp_path / "model.keras")
    assert loss(again, batch) == pytest.approx(loss(model, batch), rel=1e-6)


# === Packed rows ===
@pytest.mark.parametrize("place", ["generator", "discriminator"])
def test_documents_in_one_row_are_for_our_encoder_alone(batch, place):
    given = {"generator": MAKE["ours"](), "discriminator": MAKE["ours"](), place: Own()}
    packed = {**batch, "document_ids": tf.ones([2, L], tf.int32)}
    with pytest.raises(InputError, match=r"document_ids must be left out: .* Own would attend"):
        pretrainer(**given)(packed)
