"""Every public layer, network and model: one line each, which all conformance tests use.

To add a class, add a line to `TABLE`:

    "MyLayer": Line(lambda **k: layers.MyLayer(WIDTH, **k), (_sequence,)),

`make` builds the object and passes keyword arguments to its constructor. Then follow the positional
and the keyword arguments of the call. Arrays are batches of 2: axis 0 counts examples, and an axis
of size 7 (`LENGTH`) counts tokens; no other axis may have that size. Other values are passed
unchanged. A second line for another mode of a class is named "MyLayer what differs".

A line may need three declarations: `float32`, the outputs that are float32 under every policy
(logits, losses, probabilities); `silent`, the variables that cannot affect any output; `sampled`,
the outputs that depend on tokens which the object draws.

Each promise is tested by a file `*_test.py` in this folder. If a class cannot keep a promise,
`exceptions` names the promise and the reason. Its test must then fail, so that an exception that is
no longer needed is noticed. By default cheap tests run for all lines and all tests for
`REPRESENTATIVES`; `tools/check.sh --all` runs all tests for all lines.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import tf_keras

from official_nlp.modeling import layers, models, networks

BATCH, LENGTH, VOCABULARY, WIDTH, PREDICTIONS = 2, 7, 32, 16, 3


@dataclasses.dataclass(frozen=True)
class Line:
    """An object and its call.

    Attributes:
      make: function that builds the object and passes keyword arguments to its constructor.
      inputs: positional arguments of the call.
      options: keyword arguments of the call.
      silent: parts of the names of variables that mathematically cannot affect any output.
      float32: prefixes of the names of outputs that are float32 under every policy; the others
        have the compute dtype. A single output is named `output`.
      sampled: prefixes of the names of outputs that depend on drawn tokens.
      exceptions: dict of promise to the reason why it is not kept.
    """

    make: Callable
    inputs: tuple
    options: dict = dataclasses.field(default_factory=dict)
    silent: tuple = ()
    float32: tuple = ()
    sampled: tuple = ()
    exceptions: dict = dataclasses.field(default_factory=dict)


_random = np.random.default_rng(0)


def _floats(*shape):
    return _random.normal(size=shape).astype(np.float32)


def _ids(*shape, below=VOCABULARY):
    return _random.integers(0, below, shape).astype(np.int32)


def _mask():
    mask = np.ones([BATCH, LENGTH], np.int32)
    mask[1, 5:] = 0
    return mask


def _documents():
    return np.array([[1, 1, 1, 2, 2, 2, 2], [3, 3, 3, 3, 3, 0, 0]], np.int32)


def config(**changes):
    """Return the configuration of a tiny network."""
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
    # One layer each: the lines of the encoder test stacking.
    discriminator = config(num_hidden_layers=1)
    narrow = config(num_hidden_layers=1, hidden_size=8)
    generator = discriminator if sharing == "whole" else narrow
    return models.ElectraPretrainer.from_config_pair(
        generator, discriminator, sharing=sharing, num_classes=num_classes, **options
    )


@tf_keras.utils.register_keras_serializable(package="tests")
class ElectraForWords(models.ElectraFor):
    """A custom head in the base class for such heads."""

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.scores = layers.TokenClassificationHead(3, dropout_rate=0.3, dtype=self._dtype_policy)
        self.scores.build([None, None, config.hidden_size])

    def _head(self, sequence, inputs, training):
        return {"logits": self.scores(sequence, training=training)}


def _scaffold(**options):
    sizes = {"vocab_size": VOCABULARY, "type_vocab_size": 2, "hidden_size": WIDTH}
    others = {"max_seq_length": LENGTH, "initializer": "glorot_uniform", "dropout_rate": 0.3}
    return networks.EncoderScaffold(
        pooled_output_dim=4,
        embedding_cfg={**sizes, **others},
        num_hidden_instances=2,
        hidden_cfg={"num_attention_heads": 2, "inner_dim": 32, "inner_activation": "gelu"},
        dict_outputs=True,
        **options,
    )


def _table():
    return layers.OnDeviceEmbedding(VOCABULARY, 8, name="table")


LOGITS = {"float32": ("output",)}
SCORES = {"float32": ("logits",)}
PRETRAINER = {
    "float32": ("lm_outputs", "sentence_outputs", "disc_logits"),
    "sampled": ("disc_logits", "disc_label"),
}
# Adding one vector to all keys adds one number to all scores of a query, which softmax ignores.
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
_heads = _floats(BATCH, LENGTH, 2, 8)
_choices = _floats(BATCH, 4, LENGTH, WIDTH)

TABLE = {
    "ClassificationHead": Line(
        lambda **k: layers.ClassificationHead(
            WIDTH, 3, dropout_rate=0.3, first_dropout_rate=0.3, **k
        ),
        (_sequence,),
        **LOGITS,
    ),
    "DisentangledEmbeddings": Line(
        lambda **k: layers.DisentangledEmbeddings(
            layers.ElectraEmbeddings(VOCABULARY, WIDTH, LENGTH), **k
        ),
        (_text["input_word_ids"],),
        {"type_ids": _text["input_type_ids"]},
    ),
    "ElectraEmbeddings": Line(
        lambda **k: layers.ElectraEmbeddings(VOCABULARY, WIDTH, LENGTH, **k),
        (_text["input_word_ids"],),
        {"type_ids": _text["input_type_ids"]},
    ),
    "EmbeddingProjection": Line(lambda **k: layers.EmbeddingProjection(12, **k), (_sequence,)),
    "GatedFeedforward": Line(
        lambda **k: layers.GatedFeedforward(12, dropout=0.3, num_blocks=2, **k), (_sequence,)
    ),
    "JointSpanHead": Line(
        lambda **k: layers.JointSpanHead(8, beam_size=3, **k),
        (_sequence, _mask()),
        float32=("start_", "end_", "answerable_"),
    ),
    "JointSpanHead given starts": Line(
        lambda **k: layers.JointSpanHead(8, **k),
        (_sequence, _mask()),
        {"start_index": np.array([2, 4], np.int32)},
        float32=("start_", "end_", "answerable_"),
    ),
    "MaskedLM": Line(
        lambda **k: layers.MaskedLM(_table(), activation="gelu", **k),
        (_sequence,),
        {"masked_positions": _batch["masked_lm_positions"]},
        **LOGITS,
    ),
    "MultiClsHeads": Line(
        lambda **k: layers.MultiClsHeads(8, [["a", 3], ["b", 2]], dropout_rate=0.3, **k),
        (_sequence,),
        float32=("a", "b"),
    ),
    "MultipleChoiceHead": Line(
        lambda **k: layers.MultipleChoiceHead(summary_first_dropout=0.3, **k),
        (_choices,),
        **LOGITS,
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
    "RelativeKeyEmbedding": Line(
        lambda **k: layers.RelativeKeyEmbedding(LENGTH, **k), (_heads, _heads)
    ),
    "RelativeKeyEmbedding keys and queries": Line(
        lambda **k: layers.RelativeKeyEmbedding(LENGTH, "relative_key_query", **k),
        (_heads, _heads),
    ),
    "SelfAttentionMask": Line(layers.SelfAttentionMask, (_sequence,), {"to_mask": _mask()}),
    "SpanHead": Line(layers.SpanHead, (_sequence,), {"span_mask": _mask()}, float32=("0", "1")),
    "TokenClassificationHead": Line(
        lambda **k: layers.TokenClassificationHead(3, dropout_rate=0.3, **k),
        (_sequence,),
        **LOGITS,
    ),
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
    "Classification": Line(
        lambda **k: networks.Classification(WIDTH, 3, **k), (_floats(BATCH, WIDTH),), **LOGITS
    ),
    "TransformerEncoderBlock recompute": Line(
        lambda **k: layers.TransformerEncoderBlock(
            2, 32, "gelu", output_dropout=0.3, attention_dropout=0.3, recompute=True, **k
        ),
        ([_sequence, _mask()[:, np.newaxis, :]],),
        silent=KEY_BIAS,
    ),
    "TransformerEncoderBlock relative": Line(
        lambda **k: layers.TransformerEncoderBlock(
            2,
            32,
            "gelu",
            position_embedding_type="relative_key_query",
            max_length=LENGTH,
            attention_dropout=0.3,
            **k,
        ),
        ([_sequence, _mask()[:, np.newaxis, :]],),
    ),
    "TransformerEncoderBlock decoder": Line(
        lambda **k: layers.TransformerEncoderBlock(
            2, 32, "gelu", add_cross_attention=True, output_dropout=0.3, **k
        ),
        (_sequence,),
        {
            "encoder_hidden_states": _floats(BATCH, 4, WIDTH),
            "encoder_attention_mask": np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.int32),
            "use_causal_mask": True,
            "return_attention_scores": True,
        },
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
    "EncoderScaffold": Line(_scaffold, (_text,), silent=KEY_BIAS, float32=("sequence", "encoder")),
    "SpanLabeling": Line(
        lambda **k: networks.SpanLabeling(WIDTH, **k), (_sequence,), float32=("0", "1")
    ),
    "ElectraEncoder relative": Line(
        lambda **k: networks.ElectraEncoder(
            config(position_embedding_type="relative_key_query"), recompute=True, **k
        ),
        (_text,),
    ),
    "ElectraEncoder packed": Line(
        lambda **k: networks.ElectraEncoder(config(), **k),
        ({"input_word_ids": _text["input_word_ids"], "document_ids": _documents()},),
        silent=KEY_BIAS,
    ),
    "ElectraEncoder decoder": Line(
        lambda **k: networks.ElectraEncoder(
            config(is_decoder=True, add_cross_attention=True, output_attentions=True), **k
        ),
        (
            {
                **_text,
                "encoder_hidden_states": _floats(BATCH, 4, WIDTH),
                "encoder_attention_mask": np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.int32),
            },
        ),
        silent=KEY_BIAS,
    ),
    "ElectraFor": Line(
        lambda **k: ElectraForWords(config(), **k), (_text,), silent=KEY_BIAS, **SCORES
    ),
    "ElectraForPreTraining": Line(
        lambda **k: models.ElectraForPreTraining(config(), **k), (_text,), silent=KEY_BIAS, **SCORES
    ),
    "ElectraForMaskedLM": Line(
        lambda **k: models.ElectraForMaskedLM(config(), **k), (_text,), silent=KEY_BIAS, **SCORES
    ),
    "ElectraForMaskedLM untied at positions": Line(
        lambda **k: models.ElectraForMaskedLM(config(tie_word_embeddings=False), **k),
        ({**_text, "masked_lm_positions": _batch["masked_lm_positions"]},),
        silent=KEY_BIAS,
        **SCORES,
    ),
    "ElectraForCausalLM": Line(
        lambda **k: models.ElectraForCausalLM(
            config(is_decoder=True, add_cross_attention=True, output_hidden_states=True), **k
        ),
        (
            {
                **_text,
                "encoder_hidden_states": _floats(BATCH, 4, WIDTH),
                "encoder_attention_mask": np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.int32),
            },
        ),
        silent=KEY_BIAS,
        **SCORES,
    ),
    "ElectraForSequenceClassification": Line(
        lambda **k: models.ElectraForSequenceClassification(config(num_labels=3), **k),
        (_text,),
        silent=KEY_BIAS,
        **SCORES,
    ),
    "ElectraForSequenceClassification linear": Line(
        lambda **k: models.ElectraForSequenceClassification(
            config(num_labels=3, num_hidden_layers=1), head="linear", **k
        ),
        (_text,),
        silent=KEY_BIAS,
        **SCORES,
    ),
    "ElectraForTokenClassification": Line(
        lambda **k: models.ElectraForTokenClassification(config(num_labels=3), **k),
        (_text,),
        silent=KEY_BIAS,
        **SCORES,
    ),
    "ElectraForQuestionAnswering": Line(
        lambda **k: models.ElectraForQuestionAnswering(config(), **k),
        (_text,),
        silent=KEY_BIAS,
        float32=("start_logits", "end_logits"),
    ),
    "ElectraForJointQuestionAnswering": Line(
        lambda **k: models.ElectraForJointQuestionAnswering(
            config(num_hidden_layers=1), beam_size=3, **k
        ),
        ({**_text, "input_type_ids": np.int32([[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0, 0]])},),
        silent=KEY_BIAS,
        float32=("start_", "end_", "answerable_"),
    ),
    "ElectraForMultipleChoice": Line(
        lambda **k: models.ElectraForMultipleChoice(config(summary_first_dropout=0.3), **k),
        ({name: np.stack([x, x[::-1], (x + 1) % 2], axis=1) for name, x in _text.items()},),
        silent=KEY_BIAS,
        **SCORES,
    ),
    "ElectraPretrainer": Line(_pretrainer, (_batch,), silent=KEY_BIAS, **PRETRAINER),
    "ElectraPretrainer word_only": Line(
        lambda **k: _pretrainer("word_only", num_classes=2, **k),
        (_batch,),
        silent=KEY_BIAS,
        **PRETRAINER,
    ),
    "ElectraPretrainer untied": Line(
        lambda **k: _pretrainer("untied", **k), (_batch,), silent=KEY_BIAS, **PRETRAINER
    ),
    "ElectraPretrainer whole": Line(
        lambda **k: _pretrainer("whole", num_classes=2, **k),
        (_batch,),
        silent=KEY_BIAS,
        **PRETRAINER,
    ),
    "ElectraPretrainer gdes": Line(
        lambda **k: _pretrainer("gdes", **k), (_batch,), silent=KEY_BIAS, **PRETRAINER
    ),
}

# A head tied to a table, a block, an encoder and a model: together they contain most other layers,
# and every run tests them for all promises.
REPRESENTATIVES = ("MaskedLM", "TransformerEncoderBlock", "ElectraEncoder", "ElectraPretrainer")
# The object that contains the others, for promises that are expensive to test.
LARGEST = "ElectraPretrainer"
