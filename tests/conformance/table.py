"""Every public layer, network and model: one line each, and all promises go through the table.

A line names the object, how to make it, and what to call it with. An input is a numpy array, a
list or dict of them; the objects are tiny: batch 2, length 8.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.modeling import layers, models, networks

BATCH, LENGTH, VOCABULARY, WIDTH, PREDICTIONS = 2, 8, 32, 16, 3


@dataclasses.dataclass(frozen=True)
class Line:
    """One object and its call.

    Attributes:
      make: builds the object; keyword arguments go to its constructor.
      inputs: positional arguments of the call.
      options: keyword arguments of the call.
      silent: parts of the names of variables that no output can show, by their mathematics.
    """

    make: Callable
    inputs: tuple
    options: dict = dataclasses.field(default_factory=dict)
    silent: tuple = ()


_random = np.random.default_rng(0)


def _floats(*shape):
    return _random.normal(size=shape).astype(np.float32)


def _ids(*shape, below=VOCABULARY):
    return _random.integers(0, below, shape).astype(np.int32)


def _mask():
    mask = np.ones([BATCH, LENGTH], np.int32)
    mask[1, 5:] = 0
    return mask


def config(**changes):
    """A tiny network's configuration."""
    sizes = {
        "vocab_size": VOCABULARY,
        "embedding_size": 8,
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": LENGTH,
        "initializer_range": 0.3,
    }
    return networks.ElectraConfig(**{**sizes, **changes})


def _pretrainer(sharing="shared", num_classes=0, **options):
    discriminator = config()
    generator = discriminator if sharing == "whole" else config(hidden_size=8)
    return models.ElectraPretrainer.from_config_pair(
        generator, discriminator, sharing=sharing, num_classes=num_classes, **options
    )


def _table():
    return layers.OnDeviceEmbedding(VOCABULARY, 8, name="table")


# Adding one vector to all keys adds one number to all scores of a query: softmax does not see it.
KEY_BIAS = ("key/bias",)
_text = {
    "input_word_ids": _ids(BATCH, LENGTH),
    "input_mask": _mask(),
    "input_type_ids": _ids(BATCH, LENGTH, below=2),
}
_batch = {
    **_text,
    "masked_lm_positions": np.array([[1, 3, 6], [2, 4, 0]], np.int32),
    "masked_lm_ids": _ids(BATCH, PREDICTIONS),
    "masked_lm_weights": np.array([[1, 1, 1], [1, 1, 0]], np.float32),
}
_sequence = _floats(BATCH, LENGTH, WIDTH)

TABLE = {
    "ClassificationHead": Line(
        lambda **k: layers.ClassificationHead(WIDTH, 3, dropout_rate=0.3, **k), (_sequence,)
    ),
    "ElectraEmbeddings": Line(
        lambda **k: layers.ElectraEmbeddings(VOCABULARY, WIDTH, LENGTH, **k),
        (_text["input_word_ids"],),
        {"type_ids": _text["input_type_ids"]},
    ),
    "EmbeddingProjection": Line(lambda **k: layers.EmbeddingProjection(12, **k), (_sequence,)),
    "MaskedLM": Line(
        lambda **k: layers.MaskedLM(_table(), activation="gelu", **k),
        (_sequence,),
        {"masked_positions": _batch["masked_lm_positions"]},
    ),
    "MultiHeadAttention": Line(
        lambda **k: layers.MultiHeadAttention(num_heads=2, key_dim=8, dropout=0.3, **k),
        (_sequence, _sequence),
        {"attention_mask": _mask()[:, np.newaxis, :]},
        silent=KEY_BIAS,
    ),
    "OnDeviceEmbedding": Line(
        lambda **k: layers.OnDeviceEmbedding(VOCABULARY, WIDTH, **k), (_text["input_word_ids"],)
    ),
    "PositionEmbedding": Line(lambda **k: layers.PositionEmbedding(LENGTH, **k), (_sequence,)),
    "SelfAttentionMask": Line(layers.SelfAttentionMask, (_sequence,), {"to_mask": _mask()}),
    "TransformerEncoderBlock": Line(
        lambda **k: layers.TransformerEncoderBlock(
            2, 32, "gelu", output_dropout=0.3, attention_dropout=0.3, inner_dropout=0.3, **k
        ),
        ([_sequence, _mask()[:, np.newaxis, :]],),
        silent=KEY_BIAS,
    ),
    "TransformerEncoderBlock norm first": Line(
        lambda **k: layers.TransformerEncoderBlock(
            2, 32, "gelu_new", norm_first=True, output_dropout=0.3, **k
        ),
        (_sequence,),
        silent=KEY_BIAS,
    ),
    "ElectraEncoder": Line(
        lambda **k: networks.ElectraEncoder(config(), **k), (_text,), silent=KEY_BIAS
    ),
    "ElectraEncoder no projection": Line(
        lambda **k: networks.ElectraEncoder(config(embedding_size=WIDTH), **k),
        (_text,),
        silent=KEY_BIAS,
    ),
    "ElectraPretrainer": Line(_pretrainer, (_batch,), silent=KEY_BIAS),
    "ElectraPretrainer word_only": Line(
        lambda **k: _pretrainer("word_only", num_classes=2, **k), (_batch,), silent=KEY_BIAS
    ),
    "ElectraPretrainer untied": Line(
        lambda **k: _pretrainer("untied", **k), (_batch,), silent=KEY_BIAS
    ),
    "ElectraPretrainer whole": Line(
        lambda **k: _pretrainer("whole", **k), (_batch,), silent=KEY_BIAS
    ),
}

SEED = 11


def call(made, line: Line, training=False, inputs=None):
    """Calls the object inside a random stream, so that two calls agree; returns a flat dict."""
    options = dict(line.options)
    if "training" in made._call_spec.full_argspec.args:
        options["training"] = training
    with randomness.stream(randomness.Key(SEED), first_row=3):
        outputs = made(*(line.inputs if inputs is None else inputs), **options)
    return flat(outputs)


def flat(outputs) -> dict:
    """Returns the tensors of nested outputs by their path."""
    if isinstance(outputs, dict):
        pairs = outputs.items()
    elif isinstance(outputs, (list, tuple)):
        pairs = enumerate(outputs)
    else:
        return {"": outputs}
    return {f"/{k}{path}": value for k, part in pairs for path, value in flat(part).items()}


def made(name: str):
    """Returns the object, built, with every variable drawn anew so that dropped ones show."""
    tf_keras.utils.set_random_seed(1)
    line = TABLE[name]
    new = line.make()
    call(new, line)
    random = np.random.default_rng(2)
    for variable in new.variables:
        noise = 0.5 * random.normal(size=variable.shape)
        variable.assign_add(noise.astype(np.float32))
    return new


def savable(name: str) -> tf_keras.Model:
    """Returns a model that Keras can save: the object itself, or a functional model of it."""
    new = made(name)
    if isinstance(new, tf_keras.Model):
        return new
    line = TABLE[name]
    inputs = tf.nest.map_structure(_symbolic, (line.inputs, line.options))
    return tf_keras.Model(inputs, new(*inputs[0], **inputs[1]))


def _symbolic(array):
    return tf_keras.Input(shape=array.shape[1:], dtype=array.dtype.name)


def call_saved(model, name: str) -> dict:
    """Calls what `savable` returned."""
    line = TABLE[name]
    if "Pretrainer" in name or "Encoder" in name.split()[0][-7:]:
        return call(model, line)
    return flat(model((line.inputs, line.options)))
