"""The encoder built of the user's own parts."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import layers, models, networks, ops
from tests.modeling import tiny

V, H = tiny.VOCABULARY, 16
TABLES = {
    "vocab_size": V,
    "type_vocab_size": 2,
    "hidden_size": H,
    "max_seq_length": tiny.LENGTH,
    "initializer": tf_keras.initializers.RandomNormal(stddev=0.5),
    "dropout_rate": 0.1,
}
BLOCK = {"num_attention_heads": 2, "inner_dim": 12, "inner_activation": "gelu"}
PARTS = {"embedding_cfg": TABLES, "hidden_cfg": BLOCK}
TEXT = {
    "input_word_ids": np.int32([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0]]),
    "input_mask": np.int32([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
    "input_type_ids": np.int32([[0, 0, 1, 1, 1], [0, 0, 1, 0, 0]]),
}


@tf_keras.utils.register_keras_serializable(package="tests")
class Mixer(tf_keras.layers.Layer):
    """A custom block that records its arguments."""

    def __init__(self, width=H, layer_idx=None, attention_cfg=None, **kwargs):
        super().__init__(**kwargs)
        self.width, self.layer_idx, self.attention_cfg = width, layer_idx, attention_cfg
        self.dense = tf_keras.layers.Dense(width)

    def call(self, inputs, training=None):
        x, mask, *state = inputs
        x = x + self.dense(x * tf.cast(mask[:, :1], x.dtype)[:, 0, :, tf.newaxis])
        x = ops.apply_dropout(x, 0.5, training)
        return (x, len(state)) if state else x

    def get_config(self):
        return {**super().get_config(), "width": self.width}


@tf_keras.utils.register_keras_serializable(package="tests")
class Words(tf_keras.layers.Layer):
    """Custom embeddings of words without types."""

    def __init__(self, vocab_size=V, has_getter=True, **kwargs):
        super().__init__(**kwargs)
        self.vocab_size, self.has_getter = vocab_size, has_getter
        self.inputs = [tf_keras.Input([None], dtype=tf.int32, name=n) for n in list(TEXT)[:2]]
        self.table = layers.OnDeviceEmbedding(vocab_size, H)
        if has_getter:
            self.get_embedding_layer = lambda: self.table

    def call(self, inputs):
        word_ids, input_mask = inputs
        x = self.table(word_ids)
        return x, layers.SelfAttentionMask()(x, input_mask)

    def get_config(self):
        own = {"vocab_size": self.vocab_size, "has_getter": self.has_getter}
        return {**super().get_config(), **own}


def _scaffold(**options):
    return networks.EncoderScaffold(**{**PARTS, **options})


def _own(**options):
    return networks.EncoderScaffold(
        **{"embedding_cls": Words, "hidden_cls": Mixer, "num_hidden_instances": 2, **options}
    )


def _again(network):
    return type(network).from_config(json.loads(json.dumps(network.get_config())))


# === Outputs ===
def test_the_default_is_embeddings_a_mask_and_blocks():
    network = _scaffold(num_hidden_instances=2, layer_norm_before_pooling=True)
    embeddings, norm = network._embeddings, network._output_layer_norm
    x = embeddings(TEXT["input_word_ids"], type_ids=TEXT["input_type_ids"])
    mask = layers.SelfAttentionMask()(x, TEXT["input_mask"])
    for block in network.hidden_layers:
        x = block([x, mask])
    np.testing.assert_allclose(network(TEXT), norm(x), atol=1e-6)


def test_every_variable_exists_after_construction_and_there_is_no_pooler():
    network = _scaffold(num_hidden_instances=2)
    one = layers.TransformerEncoderBlock(**BLOCK)
    one.build([None, None, H])
    assert len(network.variables) == 3 + 2 + 2 * len(one.variables)
    assert network.pooler_layer is None


def test_inputs_may_be_a_list_or_symbolic_tensors():
    network = _scaffold()
    expected = network(TEXT)
    np.testing.assert_array_equal(network(list(TEXT.values())), expected)
    model = tf_keras.Model(network.inputs, network(network.inputs))
    np.testing.assert_allclose(model(TEXT), expected, atol=1e-6)


@pytest.mark.parametrize("all_layers", [False, True])
def test_a_pooler_maps_the_first_token(all_layers):
    network = _scaffold(
        pooled_output_dim=6, num_hidden_instances=2, return_all_layer_outputs=all_layers
    )
    sequence, pooled = network(TEXT)
    if all_layers:
        assert len(sequence) == 2
        sequence = sequence[-1]
    kernel, bias = network.pooler_layer.get_weights()
    np.testing.assert_allclose(pooled, np.tanh(sequence[:, 0] @ kernel + bias), atol=1e-5)


@pytest.mark.parametrize("pooled", [None, 6])
def test_outputs_may_be_a_dict(pooled):
    network = _scaffold(pooled_output_dim=pooled, num_hidden_instances=2, dict_outputs=True)
    outputs = network(TEXT)
    names = {"sequence_output", "encoder_outputs"} | ({"pooled_output"} if pooled else set())
    assert set(outputs) == names
    np.testing.assert_array_equal(outputs["sequence_output"], outputs["encoder_outputs"][-1])


def test_dropout_applies_in_training_and_repeats_in_a_stream():
    network = _own()

    def run():
        with randomness.stream(randomness.Key(1)):
            return network(TEXT, training=True)

    np.testing.assert_array_equal(run(), run())
    assert not np.allclose(run(), network(TEXT))


def test_outputs_are_float32_and_custom_layers_follow_the_policy():
    network = _own(pooled_output_dim=6, dtype="mixed_bfloat16")
    sequence, pooled = network(TEXT)
    assert (sequence.dtype, pooled.dtype) == (tf.float32, tf.bfloat16)
    assert network.hidden_layers[0].compute_dtype == "bfloat16"
    assert {variable.dtype for variable in network.variables} == {tf.float32}
    assert tf_keras.mixed_precision.global_policy().name == "float32"


# === The user's parts ===
def test_the_argument_names_of_tfnlps_older_block_work():
    older = {
        "num_attention_heads": 2,
        "intermediate_size": 12,
        "intermediate_activation": "gelu",
        "dropout_rate": 0.1,
        "attention_dropout_rate": 0.2,
        "intermediate_dropout": 0.3,
    }
    (block,) = _scaffold(hidden_cfg=older).hidden_layers
    assert (block.inner_dim, block.output_dropout) == (12, 0.1)
    assert (block.attention_dropout, block.inner_dropout) == (0.2, 0.3)


def test_an_instance_is_called_repeatedly():
    mixer = Mixer()
    network = _own(hidden_cls=mixer, num_hidden_instances=3)
    assert network.hidden_layers == [mixer] * 3
    assert len(network.variables) == 1 + 2
    x, mask = network.embedding_network(list(TEXT.values())[:2])
    for _ in range(3):
        x = mixer([x, mask])
    np.testing.assert_allclose(network(TEXT), x, atol=1e-6)


def test_a_list_defines_each_layer_and_layers_can_be_shared():
    first = _own(hidden_cls=[Mixer, Mixer()])
    second = _own(embedding_cls=first.embedding_network, hidden_cls=first.hidden_layers)
    np.testing.assert_array_equal(first(TEXT), second(TEXT))


def test_an_embedding_network_without_inputs_has_the_three_usual_ones():
    class Sum(tf_keras.layers.Layer):
        def call(self, inputs):
            word_ids, input_mask, type_ids = inputs
            x = tf.cast(word_ids + type_ids, tf.float32)[..., tf.newaxis] * tf.ones([H])
            return x, input_mask[:, tf.newaxis]

    assert [x.name for x in _own(embedding_cls=Sum).inputs] == list(TEXT)


def test_a_custom_layer_may_make_the_mask():
    class Nothing(layers.SelfAttentionMask):
        def call(self, inputs, to_mask=None):
            return super().call(inputs, to_mask=tf.ones_like(to_mask))

    network = _scaffold(mask_cls=Nothing)
    everything = {**TEXT, "input_mask": tf.ones_like(TEXT["input_mask"])}
    np.testing.assert_array_equal(network(TEXT), network(everything))
    network = _scaffold(mask_cls=Nothing(), hidden_cls=Mixer, hidden_cfg=None)
    np.testing.assert_array_equal(network(TEXT), network(everything))


def test_layers_may_receive_their_index():
    cfg = {"attention_cfg": {"heads": 2}}
    network = _own(hidden_cfg=cfg, feed_layer_idx=True, layer_idx_as_attention_seed=True)
    assert [mixer.layer_idx for mixer in network.hidden_layers] == [0, 1]
    seeds = [mixer.attention_cfg for mixer in network.hidden_layers]
    assert seeds == [{"heads": 2, "seed": 0}, {"heads": 2, "seed": 1}]
    assert cfg == {"attention_cfg": {"heads": 2}}


def test_a_state_is_passed_from_layer_to_layer():
    seen = []

    class Counting(tf_keras.layers.Layer):
        def call(self, inputs):
            x, _, state = inputs
            seen.append(state)
            return x, 1 if state is None else state + 1

    network = _own(hidden_cls=Counting, recursive=True, num_hidden_instances=3)
    seen.clear()
    network(TEXT)
    assert seen == [None, 1, 2]


# === The word table ===
def test_the_word_table_is_accessible():
    network = _scaffold()
    assert network.get_embedding_layer().vocab_size == V
    assert network.get_embedding_table() is network.variables[0]
    assert _own().get_embedding_table().shape == [V, H]


def test_the_word_table_may_be_an_argument():
    words = Words(has_getter=False)
    words.table.build(None)
    network = _own(embedding_cls=words, embedding_data=words.table.embeddings)
    assert network.get_embedding_table() is words.table.embeddings
    assert network.get_embedding_layer() is words.table
    assert len(network.variables) == len(_own().variables)


def test_a_missing_word_table_raises():
    network = _own(embedding_cfg={"has_getter": False})
    for get in (network.get_embedding_table, network.get_embedding_layer):
        with pytest.raises(RuntimeError, match="does not have a reference to its word table"):
            get()


def test_the_default_has_no_embedding_network():
    with pytest.raises(RuntimeError, match="has no embedding network: it was built without"):
        _ = _scaffold().embedding_network


# === Configuration ===
@pytest.mark.parametrize(
    "make",
    [
        lambda: _scaffold(pooled_output_dim=6, num_hidden_instances=2, name="mine"),
        lambda: _own(dict_outputs=True),
        lambda: _own(embedding_cls=Words(), hidden_cls=Mixer(name="again")),
        lambda: _own(hidden_cls=[Mixer, Mixer()], hidden_cfg={"width": H}),
    ],
)
def test_a_network_is_rebuilt_from_json(make):
    network = make()
    again = _again(network)
    assert again.get_config() == network.get_config()
    again.set_weights(network.get_weights())
    assert not {id(v) for v in again.variables} & {id(v) for v in network.variables}
    ours, theirs = (tf.nest.flatten(x(TEXT)) for x in (network, again))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_an_error_names_the_part_that_cannot_be_rebuilt():
    class Homemade(Mixer):
        pass

    with pytest.raises(InputError, match="hidden_cls contains Homemade, which is not registered"):
        _own(hidden_cls=Homemade).get_config()


# === In a pre-trainer ===
def _pretrainer(make):
    generator, discriminator = make(name="generator"), make(name="discriminator")
    return models.ElectraPretrainer(generator, discriminator, V, 0, tiny.PREDICTIONS)


def test_a_pretrainer_of_custom_networks_is_loaded_from_a_file(tmp_path):
    model = _pretrainer(lambda name: _own(dict_outputs=True, name=name))
    batch = tiny.batch()

    def run(made):
        with randomness.stream(randomness.Key(1)):
            return made(batch, training=True)

    expected = run(model)
    model.save(tmp_path / "model.keras")
    again = tf_keras.models.load_model(tmp_path / "model.keras")
    for name, value in run(again).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6, err_msg=name)
    assert again.masked_lm.table is again.generator_network.get_embedding_table()


def test_a_pretrainer_without_accessible_word_table_cannot_be_saved():
    words = Words(has_getter=False)
    words.table.build(None)
    generator = _own(embedding_cls=words, embedding_data=words.table.embeddings, dict_outputs=True)
    discriminator = _scaffold(dict_outputs=True)
    model = models.ElectraPretrainer(generator, discriminator, V, 0, tiny.PREDICTIONS)
    with pytest.raises(InputError, match="does not have a reference to its word table"):
        model.get_config()


def test_a_discriminator_needs_no_word_table():
    discriminator = _own(dict_outputs=True, embedding_cfg={"has_getter": False})
    generator = _scaffold(dict_outputs=True)
    model = models.ElectraPretrainer(generator, discriminator, V, 0, tiny.PREDICTIONS)
    assert model.sharing == "untied"


def test_a_pretrainer_needs_outputs_in_a_dict():
    with pytest.raises(TypeError, match="must return a dict with 'sequence_output'"):
        _pretrainer(lambda name: _own(name=name))


# === Errors ===
AN_INSTANCE = object()


class Alone(tf_keras.layers.Layer):
    """An embedding network that does not return a mask."""

    def call(self, inputs):
        return tf.cast(inputs[0], tf.float32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embedding_cfg": None}, "missing: vocab_size, type_vocab_size, hidden_size"),
        ({"embedding_cfg": {**TABLES, "width": 3}}, "missing: none, unknown: width"),
        ({"embedding_data": np.zeros([V, H])}, "embedding_data must be None without embedding_cls"),
        (
            {"embedding_cls": AN_INSTANCE, "embedding_cfg": {"a": 1}},
            "embedding_cfg must be left out",
        ),
        ({"mask_cls": AN_INSTANCE, "mask_cfg": {"a": 1}}, "mask_cfg must be left"),
        ({"hidden_cls": AN_INSTANCE}, "hidden_cfg, layer_idx_as_attention_seed and feed_layer_idx"),
        ({"num_hidden_instances": 0}, "num_hidden_instances must be above 0"),
        ({"hidden_cls": [Mixer], "num_hidden_instances": 2}, "was 2 for 1"),
        ({"layer_idx_as_attention_seed": True}, "needs a dict 'attention_cfg' in hidden_cfg"),
        ({"hidden_cfg": {**BLOCK, "return_attention_scores": True}}, "hidden_cls must return one"),
        ({"embedding_cls": Alone, "embedding_cfg": None}, "embedding_cls must return the pair"),
    ],
)
def test_invalid_arguments_raise(options, message):
    with pytest.raises(InputError, match=message):
        _scaffold(**options)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"input_word_ids": TEXT["input_word_ids"]}, "missing: input_mask, input_type_ids"),
        ({**TEXT, "position_ids": TEXT["input_mask"]}, "unknown: position_ids"),
        (list(TEXT.values())[:2], "input_word_ids, input_mask, input_type_ids, were 2"),
    ],
)
def test_invalid_inputs_raise(inputs, message):
    with pytest.raises(InputError, match=message):
        _scaffold()(inputs)
