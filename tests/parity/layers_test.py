"""Every layer with a tfnlp name computes the same as tfnlp's layer with equal weights.

Each case builds both layers and calls them with the same arguments. Weights are copied by
`ours.set_weights(theirs.get_weights())`: equal variables, shapes and order.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.nlp.modeling import layers as tfnlp  # noqa: TID251

from official_nlp.modeling import layers, ops
from tests.parity import weights

B, T, S, H, V, P = 2, 5, 7, 8, 12, 3
_random = np.random.default_rng(0)


def _floats(*shape):
    return _random.normal(size=shape).astype(np.float32)


def _bits(*shape):
    """Return a mask with at least one 1 in each row."""
    bits = _random.integers(0, 2, shape)
    bits[..., 0] = 1
    return bits.astype(np.int32)


X, MEMORY, WIDE = _floats(B, T, H), _floats(B, S, H), _floats(B, S, 6)
KEYS = _floats(B, S, 10)
IDS = _random.integers(0, V, [B, T]).astype(np.int32)
SELF_MASK, CROSS_MASK = _bits(B, T, T), _bits(B, T, S)
POSITIONS = np.int32([[1, 4, 2], [3, 0, 3]])


@dataclasses.dataclass(frozen=True)
class Pair:
    """One case.

    Attributes:
      theirs: function that builds tfnlp's layer.
      ours: function that builds our layer with the same arguments.
      inputs: arrays or None.
      call: function that calls a layer with the list of inputs.
    """

    theirs: Callable
    ours: Callable
    inputs: list
    call: Callable = lambda made, inputs: made(*inputs)


def _pair(theirs, ours, *arguments, inputs, call=None, **options):
    call = {} if call is None else {"call": call}
    return Pair(
        functools.partial(theirs, *arguments, **options),
        functools.partial(ours, *arguments, **options),
        inputs,
        **call,
    )


def _as_list(made, inputs):
    return made(inputs)


def _attention(*inputs, call=None, **options):
    options = {"num_heads": 2, "key_dim": 4, **options}
    theirs, ours = tf_keras.layers.MultiHeadAttention, layers.MultiHeadAttention
    return _pair(theirs, ours, inputs=list(inputs), call=call, **options)


def _masked(made, inputs, **options):
    return made(*inputs[:-1], attention_mask=inputs[-1], **options)


def _block(*inputs, call=_as_list, **options):
    theirs, ours = tfnlp.TransformerEncoderBlock, layers.TransformerEncoderBlock
    inputs = list(inputs)
    if len(inputs) == 1 and call is _as_list:
        call = None
    return _pair(theirs, ours, 2, 12, ops.gelu_new, inputs=inputs, call=call, **options)


def _masked_lm(**options):
    def make(cls):
        table = tf.Variable(np.random.default_rng(3).normal(size=[V, 6]).astype(np.float32))
        return cls(table, **options)

    inputs = [X, POSITIONS]
    return Pair(lambda: make(tfnlp.MaskedLM), lambda: make(layers.MaskedLM), inputs)


def _head(inner_dim, inputs=X, call=None, **options):
    theirs, ours = tfnlp.ClassificationHead, layers.ClassificationHead
    return _pair(theirs, ours, inner_dim, 3, inputs=[inputs], call=call, **options)


def _heads(inner_dim, inputs=X, call=None, **options):
    theirs, ours = tfnlp.MultiClsHeads, layers.MultiClsHeads
    classes = [("sentiment", 3), ("topic", 4)]
    return _pair(theirs, ours, inner_dim, classes, inputs=[inputs], call=call, **options)


def _gated(**options):
    theirs, ours = tfnlp.GatedFeedforward, layers.GatedFeedforward
    options = {"inner_dim": 12, "inner_activation": ops.gelu_new, **options}
    return _pair(theirs, ours, inputs=[X], **options)


PAIRS = {
    # === Tables ===
    "OnDeviceEmbedding": _pair(
        tfnlp.OnDeviceEmbedding, layers.OnDeviceEmbedding, V, H, inputs=[IDS]
    ),
    "OnDeviceEmbedding, one-hot": _pair(
        tfnlp.OnDeviceEmbedding, layers.OnDeviceEmbedding, V, H, use_one_hot=True, inputs=[IDS]
    ),
    "OnDeviceEmbedding, scaled": _pair(
        tfnlp.OnDeviceEmbedding, layers.OnDeviceEmbedding, V, H, scale_factor=3.0, inputs=[IDS]
    ),
    "PositionEmbedding": _pair(tfnlp.PositionEmbedding, layers.PositionEmbedding, T, inputs=[X]),
    "PositionEmbedding, shorter": _pair(
        tfnlp.PositionEmbedding, layers.PositionEmbedding, 9, inputs=[X]
    ),
    "PositionEmbedding, axis 2": _pair(
        tfnlp.PositionEmbedding,
        layers.PositionEmbedding,
        9,
        seq_axis=2,
        inputs=[_floats(B, 3, T, H)],
    ),
    # === Attention ===
    "SelfAttentionMask": _pair(
        tfnlp.SelfAttentionMask, layers.SelfAttentionMask, inputs=[X, _bits(B, S)]
    ),
    "SelfAttentionMask, list": _pair(
        tfnlp.SelfAttentionMask,
        layers.SelfAttentionMask,
        inputs=[X, _bits(B, S)],
        call=_as_list,
    ),
    "MultiHeadAttention": _attention(X, X),
    "MultiHeadAttention, to itself": _attention(X, call=lambda made, x: made(x[0], x[0])),
    "MultiHeadAttention, masked": _attention(X, X, SELF_MASK, call=_masked),
    "MultiHeadAttention, causal": _attention(
        X, X, SELF_MASK, call=functools.partial(_masked, use_causal_mask=True)
    ),
    "MultiHeadAttention, scores": _attention(
        X, MEMORY, CROSS_MASK, call=functools.partial(_masked, return_attention_scores=True)
    ),
    "MultiHeadAttention, mask a head": _attention(X, MEMORY, _bits(B, 2, T, S), call=_masked),
    "MultiHeadAttention, other widths": _attention(X, WIDE, KEYS, CROSS_MASK, call=_masked),
    "MultiHeadAttention, all sizes": _attention(
        X, WIDE, KEYS, value_dim=3, output_shape=5, use_bias=False
    ),
    # === Blocks ===
    "TransformerEncoderBlock": _block(X),
    "TransformerEncoderBlock, masked": _block(X, SELF_MASK),
    "TransformerEncoderBlock, norm first": _block(X, SELF_MASK, norm_first=True),
    "TransformerEncoderBlock, key and value": _block(X, MEMORY, CROSS_MASK),
    "TransformerEncoderBlock, wider key and value": _block(X, WIDE, CROSS_MASK),
    "TransformerEncoderBlock, key and value, norm first": _block(
        X, MEMORY, CROSS_MASK, norm_first=True
    ),
    "TransformerEncoderBlock, key and value with a norm of their own": _block(
        X, WIDE, CROSS_MASK, norm_first=True, diff_q_kv_att_layer_norm=True
    ),
    "TransformerEncoderBlock, first positions": _block(X, SELF_MASK, output_range=2),
    "TransformerEncoderBlock, first positions, norm first": _block(
        X, SELF_MASK, output_range=2, norm_first=True
    ),
    "TransformerEncoderBlock, first positions, key and value": _block(
        X, MEMORY, CROSS_MASK, output_range=2, norm_first=True
    ),
    "TransformerEncoderBlock, first positions asked for": _block(
        X, SELF_MASK, call=lambda made, inputs: made(inputs, output_range=1)
    ),
    "TransformerEncoderBlock, no bias": _block(X, SELF_MASK, use_bias=False),
    "TransformerEncoderBlock, key_dim": _block(X, SELF_MASK, key_dim=3),
    "TransformerEncoderBlock, value_dim": _block(X, SELF_MASK, value_dim=5),
    "TransformerEncoderBlock, output_last_dim": _block(
        X, SELF_MASK, use_query_residual=False, output_last_dim=6
    ),
    "TransformerEncoderBlock, no residual": _block(X, SELF_MASK, use_query_residual=False),
    "TransformerEncoderBlock, no residual, norm first": _block(
        X, SELF_MASK, use_query_residual=False, norm_first=True
    ),
    "TransformerEncoderBlock, epsilon": _block(X, SELF_MASK, norm_epsilon=0.1),
    "TransformerEncoderBlock, scores": _block(X, SELF_MASK, return_attention_scores=True),
    # === Heads ===
    "MaskedLM": _masked_lm(),
    "MaskedLM, activation": _masked_lm(activation=ops.gelu_new),
    "MaskedLM, predictions": _masked_lm(activation="relu", output="predictions"),
    "ClassificationHead": _head(6),
    "ClassificationHead, third token": _head(6, cls_token_idx=2, activation=ops.gelu_new),
    "ClassificationHead, no pooler": _head(0, inputs=X[:, 0]),
    "ClassificationHead, and what it projects": _head(
        6, call=lambda made, inputs: (made(*inputs), made(*inputs, only_project=True))
    ),
    "MultiClsHeads": _heads(6),
    "MultiClsHeads, third token": _heads(6, cls_token_idx=2, activation=ops.gelu_new),
    "MultiClsHeads, no pooler": _heads(0, inputs=X[:, 0]),
    "MultiClsHeads, and what they project": _heads(
        6, call=lambda made, inputs: (made(*inputs), made(*inputs, only_project=True))
    ),
    "GatedFeedforward": _gated(),
    "GatedFeedforward, two blocks": _gated(num_blocks=2, dropout_position="after_residual"),
    "GatedFeedforward, no gate": _gated(use_gate=False, num_blocks=2),
    "GatedFeedforward, no norm": _gated(apply_output_layer_norm=False),
    "GatedFeedforward, older names": _pair(
        tfnlp.GatedFeedforward,
        layers.GatedFeedforward,
        intermediate_size=12,
        intermediate_activation=ops.gelu_new,
        inputs=[X],
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_equal_weights_give_equal_outputs_and_gradients(name, record_property):
    pair = PAIRS[name]
    theirs, ours = pair.theirs(), pair.ours()
    for made in (theirs, ours):
        pair.call(made, [None if x is None else tf.constant(x) for x in pair.inputs])
    weights.perturb(theirs)
    ours.set_weights(theirs.get_weights())
    results = [
        weights.run(functools.partial(pair.call, made), pair.inputs, made.variables)
        for made in (ours, theirs)
    ]
    difference = weights.compare(*results)
    record_property("difference", difference)
