"""The encoder of ELECTRA."""

import dataclasses

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import initializers, ops, tensor_names
from official_nlp.modeling.layers.disentangled_embeddings import DisentangledEmbeddings
from official_nlp.modeling.layers.electra_embeddings import ElectraEmbeddings
from official_nlp.modeling.layers.embedding_projection import EmbeddingProjection
from official_nlp.modeling.layers.transformer_encoder_block import TransformerEncoderBlock
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.pretrained import Pretrained

_ALIASES = {
    "input_ids": "input_word_ids",
    "attention_mask": "input_mask",
    "token_type_ids": "input_type_ids",
}
_INPUTS = (
    "input_word_ids",
    "input_mask",
    "input_type_ids",
    "position_ids",
    "inputs_embeds",
    "head_mask",
    "document_ids",
    "encoder_hidden_states",
    "encoder_attention_mask",
    "past_key_values",
)


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraEncoder(Pretrained, tf_keras.Model):
    """Embeddings, a projection where the widths differ, and Transformer layers. No pooler.

    Call: a dict with `input_word_ids`, `input_mask` (1 real, 0 padding), `input_type_ids`, all
    integer `[batch, length]`, under these names or Hugging Face's (`input_ids`, `attention_mask`,
    `token_type_ids`), or a list in that order. Mask and types may be missing: all real, all of
    type 0. A mask may be `[batch, length, length]`, too. Optional:
      `position_ids`: integer `[batch, length]`.
      `inputs_embeds`: `[batch, length, embedding_size]`, in place of the ids.
      `head_mask`: `[heads]`, `[layers, heads]` or `[layers, batch, heads, 1 or length, 1 or
        length]`, multiplied with the probabilities of the attentions.
      `document_ids`: integer `[batch, length]`, for rows of several documents: a positive number
        for each, 0 for padding. A document attends to itself alone, its positions begin at 0.
      `encoder_hidden_states` `[batch, from, hidden_size]`, `encoder_attention_mask` `[batch,
        from]`: what a decoder with `add_cross_attention` attends to.
      `past_key_values`: what a decoder returned for the tokens before these, or `init_cache` made.
        Positions continue, and a mask is for the tokens of both, `[batch, past + length]`.
    By keyword: `output_hidden_states`, `output_attentions`, `use_cache` ask for outputs, by default
    as the configuration does (for a cache: in a decoder, not in training). `cache_index`, an
    integer or a scalar, is the number of tokens before these in `past_key_values` of fixed length.

    Returns a dict:
      `sequence_output`: `[batch, length, hidden_size]`.
      `encoder_outputs`: list of the outputs of all layers.
      `hidden_states`, when asked: `encoder_outputs` with the input of the first layer before them.
      `attentions`, when asked: list of `[batch, heads, length, past + length]`.
      `cross_attentions`, with these, if there was an encoder: list of `[batch, heads, length,
        from]`.
      `past_key_values`, when asked: list of dicts of `key`, `value` `[batch, past + length, heads,
        width of a head]`, and of an encoder's `cross_key`, `cross_value`.

    Args:
      config: an `ElectraConfig`.
      embeddings: None; or the `embeddings` of another encoder, whose tables (word, position and
        type) and LayerNorm are shared then; or its word table alone (`get_embedding_layer()`);
        or `DisentangledEmbeddings` on those of another.
      recompute: in training keep the inputs of the layers alone, and compute their insides again
        in the backward pass: less memory, more time, the same numbers.

    Raises:
      InputError: shared embeddings have other sizes than the configuration; an input is unknown,
        given under both names, or missing; or inputs exclude each other, or ask for something that
        the configuration does not have.

    Example:
      >>> config = ElectraConfig(vocab_size=100, num_hidden_layers=2)
      >>> encoder = ElectraEncoder(config)
      >>> outputs = encoder({"input_word_ids": tf.constant([[2, 5, 6, 3]])})
      >>> outputs["sequence_output"].shape
      TensorShape([1, 4, 256])

    Reference: paper section 2 and table 6; Hugging Face's ElectraModel.
    """

    hugging_face_class = "ElectraModel"
    config_class = ElectraConfig

    def __init__(self, config: ElectraConfig, embeddings=None, recompute=False, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(config, ElectraConfig):
            raise InputError(
                f"config must be an ElectraConfig, was {config!r}; ElectraConfig.from_dict makes "
                "one of a dict, and from_pretrained takes a folder"
            )
        self.config = config
        self.recompute = recompute
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
            position_embedding_type=config.position_embedding_type,
            max_length=config.max_position_embeddings,
            add_cross_attention=config.add_cross_attention,
            recompute=self.recompute,
            dtype=self._dtype_policy,
            name=f"layer_{index}",
        )
        block.build([None, None, config.hidden_size])
        return block

    # === Wiring ===
    def call(
        self,
        inputs,
        training=None,
        output_hidden_states=None,
        output_attentions=None,
        use_cache=None,
        cache_index=None,
    ):
        inputs = _named(inputs)
        output_attentions = _asked(output_attentions, self.config.output_attentions)
        use_cache = self._use_cache(use_cache, inputs, cache_index, training)
        with randomness.scope(training=bool(training)):
            x = self._embed(inputs, cache_index, training)  # [B, L, H]
            options = {
                "encoder_hidden_states": inputs.get("encoder_hidden_states"),
                "encoder_attention_mask": inputs.get("encoder_attention_mask"),
                "use_causal_mask": self.config.is_decoder,
                "cache_index": cache_index,
                "return_attention_scores": output_attentions,
                "training": training,
            }
            mask, head_masks = _attention_mask(inputs), self._head_masks(inputs.get("head_mask"))
            caches = self._caches(inputs, x, use_cache)
            hidden_states, others = [x], []
            for block, head_mask, cache in zip(self.transformer_layers, head_masks, caches):
                x = block(
                    x if mask is None else [x, mask], head_mask=head_mask, cache=cache, **options
                )
                x, *other = x if isinstance(x, tuple) else (x,)
                hidden_states.append(x)
                others.append(other)
        outputs = {"sequence_output": x, "encoder_outputs": hidden_states[1:]}
        if _asked(output_hidden_states, self.config.output_hidden_states):
            outputs["hidden_states"] = hidden_states
        of_all_layers = [list(parts) for parts in zip(*others)]
        if cache is not None:
            kept = of_all_layers.pop()
        if use_cache:
            outputs["past_key_values"] = kept
        return {**outputs, **dict(zip(("attentions", "cross_attentions"), of_all_layers))}

    def _embed(self, inputs, cache_index, training):
        x = self.embeddings(
            word_ids=inputs.get("input_word_ids"),
            type_ids=inputs.get("input_type_ids"),
            position_ids=self._position_ids(inputs, cache_index),
            inputs_embeds=inputs.get("inputs_embeds"),
        )  # [B, L, E]
        x = ops.apply_dropout(x, self.config.hidden_dropout_prob, training)
        return x if self.embeddings_project is None else self.embeddings_project(x)

    def _position_ids(self, inputs, cache_index):
        """Returns integer `[B, L]` or `[1, L]`, or None where positions begin at 0 in each row."""
        if "document_ids" in inputs:
            return ops.packed_positions(inputs["document_ids"])
        if "position_ids" in inputs or "past_key_values" not in inputs:
            return inputs.get("position_ids")
        tokens = inputs.get("input_word_ids", inputs.get("inputs_embeds"))
        past = inputs["past_key_values"][0]["key"]
        first = tf.shape(past)[1] if cache_index is None else cache_index
        known = past.shape[1] if cache_index is None else tf.get_static_value(cache_index)
        length, longest = tokens.shape[1], self.config.max_position_embeddings
        if None not in (length, known) and known + length > longest:
            raise InputError(
                f"past_key_values hold {known} tokens: with {length} more there are more than "
                f"max_position_embeddings={longest}; begin anew with fewer"
            )
        return (tf.range(tf.shape(tokens)[1]) + tf.cast(first, tf.int32))[tf.newaxis]

    def _head_masks(self, head_mask):
        """Returns a list of what each layer's attention takes."""
        count = self.config.num_hidden_layers
        rank = 1 if head_mask is None else len(head_mask.shape)
        if rank not in (1, 2, 5) or (rank > 1 and head_mask.shape[0] != count):
            raise InputError(
                f"head_mask must be [heads], [{count} layers, heads] or [{count} layers, batch, "
                f"heads, to, from], was {head_mask.shape.as_list()}"
            )
        return [head_mask] * count if rank == 1 else tf.unstack(head_mask)

    def _use_cache(self, use_cache, inputs, cache_index, training) -> bool:
        """Returns whether a cache is returned; refuses where there can be none."""
        config, past = self.config, inputs.get("past_key_values")
        if (use_cache or past is not None) and not config.is_decoder:
            raise InputError(
                "use_cache and past_key_values must be left out where config.is_decoder is false: "
                "earlier tokens attend to later ones, and change with them"
            )
        if past is not None and len(past) != config.num_hidden_layers:
            raise InputError(
                f"past_key_values must have a dict for each of {config.num_hidden_layers} layers, "
                f"had {len(past)}; give what the last call returned, or init_cache"
            )
        if past is None and cache_index is not None:
            raise InputError(
                "cache_index must be left out without past_key_values; make some with init_cache"
            )
        return _asked(use_cache, config.use_cache and config.is_decoder and not training)

    def _caches(self, inputs, x, use_cache):
        if "past_key_values" in inputs:
            return inputs["past_key_values"]
        if use_cache:
            return self.init_cache(tf.shape(x)[0])
        return [None] * self.config.num_hidden_layers

    def init_cache(self, batch_size, length=0, encoder_hidden_states=None) -> list:
        """Returns `past_key_values` for the first call of a decoder.

        Args:
          batch_size: number of rows.
          length: number of places, to be written with `cache_index`, so that shapes are static;
            0 for a cache that grows.
          encoder_hidden_states: None; or the states of an encoder, which are projected here once.
        """
        return [
            block.init_cache(batch_size, length, encoder_hidden_states)
            for block in self.transformer_layers
        ]

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

    def named_tensors(self):
        return tensor_names.encoder(self)

    # === Config ===
    def get_config(self):
        fields = dataclasses.replace(self.config, extra={}).to_dict()
        # Apart, for a file of Hugging Face's may have a `dtype` of its own.
        config = {**fields, "extra": self.config.extra, "recompute": self.recompute}
        if isinstance(self.embeddings, DisentangledEmbeddings):
            config["disentangled"] = True
        return {**config, "name": self.name, "dtype": self._dtype_policy.name}

    @classmethod
    def from_config(cls, config, embeddings=None):
        """Builds the encoder of a configuration; sharing is said by whoever owns both."""
        sizes, options, disentangled = cls.read_config(config)
        if disentangled and embeddings is None:
            policy = options.get("dtype")
            base = _plain_embeddings(sizes, None, policy)
            embeddings = DisentangledEmbeddings(base, dtype=policy, name="embeddings")
            embeddings.build(None)
        return cls(sizes, embeddings=embeddings, **options)

    @staticmethod
    def read_config(config: dict) -> tuple[ElectraConfig, dict, bool]:
        """Returns the sizes, the other options of the constructor, and whether the embeddings are
        disentangled, of what `get_config` returned."""
        config = dict(config)
        options = {k: config.pop(k) for k in ("name", "dtype", "recompute") if k in config}
        disentangled, extra = config.pop("disentangled", False), config.pop("extra", {})
        sizes = ElectraConfig.from_dict(config)
        return dataclasses.replace(sizes, extra={**sizes.extra, **extra}), options, disentangled


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
        position_embedding_type=config.position_embedding_type,
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
        "position_embedding_type": config.position_embedding_type,
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
            nested = target == "past_key_values"
            named[target] = value if nested else tf.convert_to_tensor(value)
    _check_together(named)
    _check_rows(named)
    return named


def _check_rows(named):
    """Raises InputError unless ids, mask and types are rows of equal length, as far as is known."""
    ids = named.get("input_word_ids")
    if ids is not None and not (ids.dtype.is_integer and ids.shape.rank in (2, None)):
        raise InputError(
            f"input_word_ids must be integer [batch, length], was {ids.dtype.name} "
            f"{ids.shape}: a tokenizer makes ids of text; a list is taken for ids, mask and types"
        )
    rows = named.get("inputs_embeds") if ids is None else ids
    for name in ("input_type_ids", "input_mask"):
        if name in named and "past_key_values" not in named:
            given, length = named[name].shape, rows.shape[1:2]
            if given.rank is not None and not given[-1:].is_compatible_with(length):
                raise InputError(
                    f"{name} must have the length of the rows, {length[0]}, was {given}; give one "
                    "number for each token"
                )


def _check_together(named):
    if ("input_word_ids" in named) == ("inputs_embeds" in named):
        raise InputError("give either input_word_ids or inputs_embeds, not both and not none")
    if "document_ids" in named:
        for other in ("position_ids", "past_key_values"):
            if other in named:
                raise InputError(
                    f"{other} must be left out with document_ids, which say where positions begin"
                )
    if "encoder_attention_mask" in named and not (
        {"encoder_hidden_states", "past_key_values"} & named.keys()
    ):
        raise InputError("encoder_attention_mask needs encoder_hidden_states, and got none")


def _attention_mask(inputs):
    """Returns `[B, S]` or `[B, L, S]`, or None."""
    mask = inputs.get("input_mask")
    if "document_ids" not in inputs:
        return mask
    packed = ops.packed_attention_mask(inputs["document_ids"])  # [B, L, L]
    if mask is None:
        return packed
    mask = tf.cast(mask, tf.bool)
    return packed & (mask[:, tf.newaxis, :] if len(mask.shape) == 2 else mask)


def _asked(argument, default) -> bool:
    return default if argument is None else argument
