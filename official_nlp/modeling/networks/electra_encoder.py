"""The encoder of ELECTRA."""

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import initializers, ops
from official_nlp.modeling.layers.disentangled_embeddings import DisentangledEmbeddings
from official_nlp.modeling.layers.electra_embeddings import ElectraEmbeddings
from official_nlp.modeling.layers.embedding_projection import EmbeddingProjection
from official_nlp.modeling.layers.transformer_encoder_block import TransformerEncoderBlock
from official_nlp.modeling.networks.electra_config import ElectraConfig

_ALIASES = {
    "input_ids": "input_word_ids",
    "attention_mask": "input_mask",
    "token_type_ids": "input_type_ids",
}
_INPUTS = ("input_word_ids", "input_mask", "input_type_ids", "position_ids", "inputs_embeds")


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraEncoder(tf_keras.Model):
    """Embeddings, a projection where the widths differ, and Transformer layers. No pooler.

    Call: a dict with `input_word_ids`, `input_mask` (1 real, 0 padding), `input_type_ids`, all
    integer `[batch, length]`, under these names or Hugging Face's (`input_ids`, `attention_mask`,
    `token_type_ids`), or a list in that order. Mask and types may be missing: all real, all of
    type 0. Optional: `position_ids` integer `[batch, length]`; `inputs_embeds` `[batch, length,
    embedding_size]` in place of the ids. A mask may be `[batch, length, length]`, too.

    Returns a dict:
      `sequence_output`: `[batch, length, hidden_size]`.
      `encoder_outputs`: list of the outputs of all layers.
      `hidden_states`, when asked: `encoder_outputs` with the input of the first layer before them.
      `attentions`, when asked: list of `[batch, heads, length, length]`.

    Args:
      config: an `ElectraConfig`.
      embeddings: None; or the `embeddings` of another encoder, whose tables (word, position and
        type) and LayerNorm are shared then; or its word table alone (`get_embedding_layer()`);
        or `DisentangledEmbeddings` on those of another.

    Raises:
      InputError: shared embeddings have other sizes than the configuration, an input is unknown,
        given under both names, or missing, or an option is not supported.

    Example:
      >>> config = ElectraConfig(vocab_size=100, num_hidden_layers=2)
      >>> encoder = ElectraEncoder(config)
      >>> outputs = encoder({"input_word_ids": tf.constant([[2, 5, 6, 3]])})
      >>> outputs["sequence_output"].shape
      TensorShape([1, 4, 256])

    Reference: paper section 2 and table 6.
    """

    def __init__(self, config: ElectraConfig, embeddings=None, **kwargs):
        super().__init__(**kwargs)
        if config.position_embedding_type != "absolute":
            raise InputError(
                "position_embedding_type must be 'absolute', was "
                f"{config.position_embedding_type!r}, which is not supported"
            )
        if config.is_decoder or config.add_cross_attention:
            raise InputError(
                "is_decoder and add_cross_attention must be false: this encoder attends in both "
                "directions and has no cross-attention"
            )
        self.config = config
        # === Layers ===
        self.embeddings = self._embeddings(embeddings)
        self.embeddings_project = None
        if config.embedding_size != config.hidden_size:
            self.embeddings_project = EmbeddingProjection(
                config.hidden_size,
                kernel_initializer=initializers.kernel_initializer(config),
                dtype=self._dtype_policy,
                name="embeddings_project",
            )
            self.embeddings_project.build([None, None, config.embedding_size])
        self.transformer_layers = [self._block(i) for i in range(config.num_hidden_layers)]
        self.built = True

    def _embeddings(self, given):
        if isinstance(given, (ElectraEmbeddings, DisentangledEmbeddings)):
            _check_shared(given, self.config)
            return given
        return _plain_embeddings(self.config, given, self._dtype_policy)

    def _block(self, index):
        config = self.config
        block = TransformerEncoderBlock(
            num_attention_heads=config.num_attention_heads,
            inner_dim=config.intermediate_size,
            inner_activation=config.hidden_act,
            kernel_initializer=initializers.kernel_initializer(config),
            norm_epsilon=config.layer_norm_eps,
            output_dropout=config.hidden_dropout_prob,
            attention_dropout=config.attention_probs_dropout_prob,
            return_attention_scores=True,
            dtype=self._dtype_policy,
            name=f"layer_{index}",
        )
        block.build([None, None, config.hidden_size])
        return block

    # === Wiring ===
    def call(self, inputs, training=None, output_hidden_states=None, output_attentions=None):
        inputs = _named(inputs)
        with randomness.scope(training=bool(training)):
            x = self.embeddings(
                word_ids=inputs.get("input_word_ids"),
                type_ids=inputs.get("input_type_ids"),
                position_ids=inputs.get("position_ids"),
                inputs_embeds=inputs.get("inputs_embeds"),
            )  # [B, L, E]
            x = ops.apply_dropout(x, self.config.hidden_dropout_prob, training)
            if self.embeddings_project is not None:
                x = self.embeddings_project(x)  # [B, L, H]
            mask = inputs.get("input_mask")
            if mask is not None and len(mask.shape) == 2:
                mask = mask[:, tf.newaxis, :]  # [B, 1, L]
            hidden_states, attentions = [x], []
            for block in self.transformer_layers:
                x, scores = block([x, mask] if mask is not None else x, training=training)
                hidden_states.append(x)
                attentions.append(scores)
        outputs = {"sequence_output": x, "encoder_outputs": hidden_states[1:]}
        if _asked(output_hidden_states, self.config.output_hidden_states):
            outputs["hidden_states"] = hidden_states
        if _asked(output_attentions, self.config.output_attentions):
            outputs["attentions"] = attentions
        return outputs

    def get_embedding_table(self):
        """Returns the word table `[vocab_size, embedding_size]`: a variable.

        Of an encoder with `DisentangledEmbeddings` it is a tensor, the sum of two tables.
        """
        return self.embeddings.get_embedding_table()

    def get_embedding_layer(self):
        """Returns the word table's layer, an `OnDeviceEmbedding`.

        Raises:
          InputError: the encoder has `DisentangledEmbeddings`, and so no table of its own.
        """
        if isinstance(self.embeddings, DisentangledEmbeddings):
            raise InputError(
                "get_embedding_layer() is for an encoder with a word table of its own, this one's "
                "is a sum of two: take get_embedding_table(), or embeddings.merged()"
            )
        return self.embeddings.word_embeddings

    # === Config ===
    def get_config(self):
        config = {**self.config.to_dict(), "name": self.name, "dtype": _policy_config(self)}
        if isinstance(self.embeddings, DisentangledEmbeddings):
            config["disentangled"] = True
        return config

    @classmethod
    def from_config(cls, config, embeddings=None):
        """Builds the encoder of a configuration; sharing is said by whoever owns both."""
        config = dict(config)
        options = {key: config.pop(key) for key in ("name", "dtype") if key in config}
        disentangled, sizes = config.pop("disentangled", False), ElectraConfig.from_dict(config)
        if disentangled and embeddings is None:
            policy = options.get("dtype")
            base = _plain_embeddings(sizes, None, policy)
            embeddings = DisentangledEmbeddings(base, dtype=policy, name="embeddings")
            embeddings.build(None)
        return cls(sizes, embeddings=embeddings, **options)


def _plain_embeddings(config, word_embeddings, policy) -> ElectraEmbeddings:
    embeddings = ElectraEmbeddings(
        config.vocab_size,
        config.embedding_size,
        config.max_position_embeddings,
        config.type_vocab_size,
        initializer=initializers.table_initializer(config),
        position_initializer=initializers.position_initializer(config),
        norm_epsilon=config.layer_norm_eps,
        word_embeddings=word_embeddings,
        dtype=policy,
        name="embeddings",
    )
    embeddings.build(None)
    return embeddings


def _check_shared(embeddings, config):
    wanted = {
        "vocab_size": config.vocab_size,
        "embedding_width": config.embedding_size,
        "max_length": config.max_position_embeddings,
        "type_vocab_size": config.type_vocab_size,
        "norm_epsilon": config.layer_norm_eps,
    }
    for name, value in wanted.items():
        have = getattr(embeddings, name)
        if have != value:
            raise InputError(
                f"shared embeddings must have {name}={value} as the configuration says, had "
                f"{have}; networks that share embeddings need equal sizes of their tables"
            )


def _named(inputs) -> dict:
    """Returns the inputs under tfnlp's names."""
    if isinstance(inputs, (list, tuple)):
        if len(inputs) > 3:
            raise InputError(
                f"a list of inputs must hold ids, mask and types, held {len(inputs)} tensors; give "
                "others by name in a dict"
            )
        inputs = dict(zip(_INPUTS, inputs, strict=False))
    elif not isinstance(inputs, dict):
        inputs = {"input_word_ids": inputs}
    named = {}
    for name, value in inputs.items():
        target = _ALIASES.get(name, name)
        if target not in _INPUTS:
            raise InputError(f"unknown input {name!r}; the encoder takes {', '.join(_INPUTS)}")
        if target in named:
            other = next(alias for alias, known in _ALIASES.items() if known == target)
            raise InputError(f"give {target!r} or {other!r}, not both: they are one input")
        if value is not None:
            named[target] = tf.convert_to_tensor(value)
    if ("input_word_ids" in named) == ("inputs_embeds" in named):
        raise InputError("give either input_word_ids or inputs_embeds, not both and not none")
    return named


def _asked(argument, default) -> bool:
    return default if argument is None else argument


def _policy_config(layer):
    return tf_keras.mixed_precision.Policy.get_config(layer._dtype_policy)["name"]
