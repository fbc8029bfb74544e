"""Faults of tfnlp's layers and networks that ours do not have. Each test shows both.

The faults of its pre-trainer are in `tests/modeling/model_garden_faults_test.py`.
"""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.nlp.modeling import layers as tfnlp  # noqa: TID251
from official.nlp.modeling import networks as tfnlp_networks  # noqa: TID251

from official_nlp.errors import InputError
from official_nlp.modeling import layers, networks

B, L, H, V = 2, 5, 8, 9
X = np.random.default_rng(0).normal(size=[B, L, H]).astype(np.float32)


def block(library, **options):
    made = library.TransformerEncoderBlock(2, 12, "relu", **options)
    made(X)
    return made


def dropped_after_attention(made) -> bool:
    """Return whether dropout applies to the output of the attention of a block."""
    kernel = next(v for v in made.variables if v.shape == [12, H])  # of the feed-forward's output
    kernel.assign(tf.zeros_like(kernel))
    return not np.array_equal(made(X, training=True), made(X, training=False))


def test_output_dropout_applies_to_the_output_of_the_attention():
    # Vaswani et al. 2017 section 5.4; tfnlp uses the rate of the probabilities.
    assert dropped_after_attention(block(layers, output_dropout=0.5))
    assert not dropped_after_attention(block(tfnlp, output_dropout=0.5))


def test_a_kernel_regularizer_applies_to_all_six_kernels_of_a_block():
    regularizer = tf_keras.regularizers.L2(0.1)
    assert len(block(layers, kernel_regularizer=regularizer).losses) == 6
    assert len(block(tfnlp, kernel_regularizer=regularizer).losses) == 0


def test_a_deserialized_block_returns_scores_like_the_original():
    def again(library):
        made = block(library, return_attention_scores=True)
        return type(made).from_config(made.get_config())(X)

    output, scores = again(layers)
    assert output.shape == X.shape
    assert scores.shape == [B, 2, L, L]
    assert isinstance(again(tfnlp), tf.Tensor)


def test_building_a_block_does_not_change_its_configuration():
    assert block(layers).get_config()["key_dim"] is None
    assert block(tfnlp).get_config()["key_dim"] == H // 2


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_policy_of_a_layer_applies_to_its_parts(policy):
    compute = tf_keras.mixed_precision.Policy(policy).compute_dtype
    assert block(layers, dtype=policy)(X).dtype == compute
    with pytest.raises(tf.errors.InvalidArgumentError, match="cannot compute AddV2"):
        block(tfnlp, dtype=policy)
    table, positions = tf.Variable(tf.ones([V, 4])), np.int32([[0, 1], [1, 2]])
    assert layers.MaskedLM(table, dtype=policy)(X, positions).dtype == tf.float32
    with pytest.raises(ValueError, match="Incompatible type conversion"):
        tfnlp.MaskedLM(table, dtype=policy)(X, positions)


def test_a_position_that_may_attend_nowhere_attends_equally_everywhere_in_half_precision():
    def probabilities(cls):
        made = cls(2, 4, dtype="mixed_float16")
        made(X, X)
        for variable in made.variables:
            variable.assign(np.random.default_rng(1).normal(scale=3.0, size=variable.shape))
        mask = np.zeros([B, L, L])
        return made(X, X, attention_mask=mask, return_attention_scores=True)[1].numpy()

    np.testing.assert_allclose(probabilities(layers.MultiHeadAttention), 1 / L, atol=1e-3)
    theirs = probabilities(tf_keras.layers.MultiHeadAttention)
    assert np.abs(theirs - 1 / L).max() > 0.5


def test_a_position_that_may_attend_nowhere_gives_queries_and_keys_no_gradient():
    # Its output is the mean of all values for any scores.
    def gradient(cls):
        made = cls(2, 4, bias_initializer="random_normal")
        with tf.GradientTape() as tape:
            output = made(X, X, attention_mask=np.zeros([B, L, L]))
        return np.abs(tape.gradient(output, made.trainable_variables[0])).max()

    assert gradient(layers.MultiHeadAttention) == 0
    assert gradient(tf_keras.layers.MultiHeadAttention) > 1e-3


def test_a_head_without_pooler_has_no_checkpoint_items():
    assert layers.ClassificationHead(0, 3).checkpoint_items == {}
    with pytest.raises(AttributeError):
        _ = tfnlp.ClassificationHead(0, 3).checkpoint_items


def test_a_model_with_a_head_is_saved_and_loaded(tmp_path):
    def loaded(library):
        inputs = tf_keras.Input([L, H])
        model = tf_keras.Model(inputs, library.ClassificationHead(4, 3)(inputs))
        model.save(tmp_path / "model.keras")
        return model, tf_keras.models.load_model(tmp_path / "model.keras")

    model, again = loaded(layers)
    np.testing.assert_array_equal(again(X), model(X))
    with pytest.raises(TypeError):
        loaded(tfnlp)


def test_all_variables_of_a_head_exist_after_its_first_call():
    def variables(library):
        made = library.ClassificationHead(4, 3)
        made(X, only_project=True)
        return len(made.variables)

    assert (variables(layers), variables(tfnlp)) == (4, 2)


def test_an_input_longer_than_the_positions_raises_with_both_lengths():
    with pytest.raises(InputError, match=r"5 positions .* max_length=3"):
        layers.PositionEmbedding(3)(X)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Input to reshape"):
        tfnlp.PositionEmbedding(3)(X)


def test_a_mask_of_tokens_applies_to_every_position():
    mask = np.float32([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    pairs = np.repeat(mask[:, np.newaxis], L, axis=1)
    made = block(layers)
    np.testing.assert_array_equal(made([X, mask]), made([X, pairs]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Incompatible shapes"):
        block(tfnlp)([X, mask])


def test_inputs_and_mask_may_be_a_tuple():
    mask = np.ones([B, L], np.int32)
    ours = layers.SelfAttentionMask()((X, mask))
    np.testing.assert_array_equal(ours, np.ones([B, L, L]))
    with pytest.raises(tf.errors.InvalidArgumentError):
        tfnlp.SelfAttentionMask()((X, mask))


def test_a_deserialized_feed_forward_network_has_norms_only_if_configured():
    def variables(library):
        made = library.GatedFeedforward(12, "relu", apply_output_layer_norm=False)
        again = type(made).from_config(made.get_config())
        again(X)
        return len(again.variables)

    assert (variables(layers), variables(tfnlp)) == (6, 8)


# === Networks ===
EMBEDDINGS = {
    "vocab_size": V,
    "type_vocab_size": 2,
    "hidden_size": H,
    "max_seq_length": L,
    "initializer": tf_keras.initializers.TruncatedNormal(stddev=0.02),
    "dropout_rate": 0.0,
}


class Indexed(tf_keras.layers.Layer):
    """A layer that scales by its index and passes a state on."""

    def __init__(self, layer_idx=10, **kwargs):
        super().__init__(**kwargs)
        self.layer_idx = layer_idx

    def call(self, inputs):
        x, _, state = inputs
        return x * (self.layer_idx + 1), state


tf_keras.utils.register_keras_serializable("parity")(Indexed)


def scaffold(library, **options):
    options = {"embedding_cfg": EMBEDDINGS, "hidden_cls": Indexed, "hidden_cfg": {}, **options}
    return library.EncoderScaffold(H, num_hidden_instances=2, **options)


def test_a_deserialized_scaffold_passes_indices_and_states():
    def again(library):
        made = scaffold(library, feed_layer_idx=True, recursive=True)
        return type(made).from_config(made.get_config())

    assert [layer.layer_idx for layer in again(networks).hidden_layers] == [0, 1]
    with pytest.raises(ValueError, match="not enough values to unpack"):
        again(tfnlp_networks)


def test_a_scaffold_does_not_change_its_arguments():
    def given(library):
        options = {"trainable": True}
        scaffold(library, feed_layer_idx=True, recursive=True, hidden_cfg=options)
        return options

    assert given(networks) == {"trainable": True}
    assert given(tfnlp_networks) == {"trainable": True, "layer_idx": 1}


def test_a_list_of_another_length_raises_with_both_lengths():
    with pytest.raises(InputError, match=r"num_hidden_instances must be .* was 2 for 1"):
        scaffold(networks, hidden_cls=[Indexed])
    with pytest.raises(AttributeError, match="no attribute '_name'"):
        scaffold(tfnlp_networks, hidden_cls=[Indexed])


@pytest.mark.parametrize(("name", "sizes"), [("Classification", [H, 3]), ("SpanLabeling", [H])])
def test_log_probabilities_are_float32_under_half_precision(name, sizes):
    def dtype(library):
        made = getattr(library, name)(*sizes, output="predictions")
        return tf.nest.flatten(made(X if name == "SpanLabeling" else X[:, 0]))[0].dtype

    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        assert (dtype(networks), dtype(tfnlp_networks)) == (tf.float32, tf.float16)
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
