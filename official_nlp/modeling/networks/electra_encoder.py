"""Encoder of ELECTRA."""

import dataclasses
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import initializers, input_checks, ops, tensor_names
from official_nlp.modeling.keras_types import Size
from official_nlp.modeling.layers.disentangled_embeddings import DisentangledEmbeddings
from official_nlp.modeling.layers.electra_embeddings import ElectraEmbeddings
from official_nlp.modeling.layers.embedding_projection import EmbeddingProjection
from official_nlp.modeling.layers.multi_head_attention import Cache
from official_nlp.modeling.layers.on_device_embedding import OnDeviceEmbedding
from official_nlp.modeling.layers.transformer_encoder_block import TransformerEncoderBlock
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.pretrained import Pretrained

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
    """Encode tokens with embeddings, a projection if widths differ, and Transformer layers.

    There is no pooler.

    Call: a dict of `input_word_ids`, `input_mask` (1 real, 0 padding) and `input_type_ids`, all
    integer `[batch, length]`, under these names or Hugging Face's (`input_ids`, `attention_mask`,
    `token_type_ids`); or a list in that order. Without mask and types all tokens are real and of
    type 0. The mask may also be `[batch, length, length]`. Optional inputs:
      `position_ids`: integer `[batch, length]`.
      `inputs_embeds`: `[batch, length, embedding_size]`, in place of the ids.
      `head_mask`: `[heads]`, `[layers, heads]` or `[layers, batch, heads, 1 or length, 1 or
        length]`, multiplied by the attention probabilities.
      `document_ids`: integer `[batch, length]`, for sequences packed from several documents: a
        positive number per document, 0 for padding. The tokens of a document attend only to each
        other, and their positions start at 0.
      `encoder_hidden_states` `[batch, from, hidden_size]`, `encoder_attention_mask` `[batch,
        from]`: states that a decoder with `add_cross_attention` attends to.
      `past_key_values`: keys and values of the tokens before these, as returned by the previous
        call of a decoder or by `init_cache`. Positions continue, and a mask covers the tokens of
        both, `[batch, past + length]`.
    Keyword arguments, or entries of the dict: `output_hidden_states`, `output_attentions` and
    `use_cache` request outputs;
    None for the default of the configuration (a cache: in decoders, outside training).
    `cache_index`, an integer or a scalar tensor, is the number of earlier tokens in
    `past_key_values` of fixed length.

    Returns a dict:
      `sequence_output`: `[batch, length, hidden_size]`.
      `encoder_outputs`: list of the outputs of all layers.
      `hidden_states`, on request: the input of the first layer, followed by `encoder_outputs`.
      `attentions`, on request: list of `[batch, heads, length, past + length]`, one per layer.
      `cross_attentions`, with these, if there was an encoder: list of `[batch, heads, length,
        from]`.
      `past_key_values`, on request: list of dicts, one per layer, of `key` and `value` `[batch,
        past + length, heads, head width]`; with an encoder also `cross_key` and `cross_value`.

    Args:
      config: an `ElectraConfig`.
      embeddings: embeddings to share: the `embeddings` of another encoder, with all three tables
        and the LayerNorm; its word table alone (`get_embedding_layer()`); `DisentangledEmbeddings`
        on the embeddings of another encoder; or None for new embeddings.
      recompute: in training store only the inputs of the layers, and compute the rest again in the
        backward pass: less memory, more time, equal results.

    Raises:
      InputError: shared embeddings have other sizes than the configuration; an input is unknown,
        missing or given under both names; inputs exclude each other, or need an option that the
        configuration does not set.

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

    def __init__(
        self,
        config: ElectraConfig,
        embeddings: ElectraEmbeddings | DisentangledEmbeddings | OnDeviceEmbedding | None = None,
        recompute: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(config, ElectraConfig):
            raise InputError(
                f"config must be an ElectraConfig, was {config!r}; use ElectraConfig.from_dict to "
                "convert a dict, or from_pretrained to load a folder"
            )
        self.config = config
        self.recompute = recompute
        # === Layers ===
        self.embeddings = self._embeddings_to_use(embeddings)
        self.embeddings_project = None
        if config.embedding_size != config.hidden_size:
            self.embeddings_project = EmbeddingProjection(
                config.hidden_size,
                kernel_initializer=initializers.kernel_initializer(config),
                dtype=self.dtype_policy,
                name="embeddings_project",
            )
            self.embeddings_project.build([None, None, config.embedding_size])
        self.transformer_layers = [self._block(i) for i in range(config.num_hidden_layers)]
        self.built = True

    def _embeddings_to_use(
        self, embeddings: ElectraEmbeddings | DisentangledEmbeddings | OnDeviceEmbedding | None
    ) -> ElectraEmbeddings | DisentangledEmbeddings:
        """Return shared embeddings as they are, or new ones, perhaps with a shared word table."""
        if isinstance(embeddings, (ElectraEmbeddings, DisentangledEmbeddings)):
            _check_shared(embeddings, self.config)
            return embeddings
        return _new_embeddings(self.config, embeddings, self.dtype_policy)

    def _block(self, index: int) -> TransformerEncoderBlock:
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
            dtype=self.dtype_policy,
            name=f"layer_{index}",
        )
        block.build([None, None, config.hidden_size])
        return block

    # === Wiring ===
    def __call__(self, inputs: Any, *args: Any, **options: Any) -> dict[str, Any]:
        # Before Keras converts all that the dict holds to tensors.
        inputs, options = input_checks.split_flags(inputs, options)
        return super().__call__(inputs, *args, **options)

    def call(
        self,
        inputs: dict[str, Any] | list[tf.Tensor] | tf.Tensor,
        training: bool | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        use_cache: bool | None = None,
        cache_index: Size | None = None,
    ) -> dict[str, Any]:
        inputs = _named_inputs(inputs)
        self._check_values(inputs)
        output_attentions = _or_default(output_attentions, self.config.output_attentions)
        use_cache = self._use_cache(use_cache, inputs, cache_index, training)
        # Dropout draws in one scope per encoder, so that what a caller draws later does not depend
        # on the number of layers.
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
            hidden_states: list[tf.Tensor] = [x]
            extras: list[list] = []  # per layer: attentions, cross attentions and cache, if any
            for block, head_mask, cache in zip(self.transformer_layers, head_masks, caches):
                x = block(
                    x if mask is None else [x, mask], head_mask=head_mask, cache=cache, **options
                )
                x, *extra = x if isinstance(x, tuple) else (x,)
                hidden_states.append(x)
                extras.append(extra)
        outputs = {"sequence_output": x, "encoder_outputs": hidden_states[1:]}
        if _or_default(output_hidden_states, self.config.output_hidden_states):
            outputs["hidden_states"] = hidden_states
        by_kind = [list(parts) for parts in zip(*extras)]  # from per layer to per kind
        # All layers have a cache or none has. A cache that was given is extended, and comes last in
        # the outputs of a block, even if the caller does not want it back.
        if cache is not None:
            new_caches = by_kind.pop()
        if use_cache:
            outputs["past_key_values"] = new_caches
        return {**outputs, **dict(zip(("attentions", "cross_attentions"), by_kind))}

    def _check_values(self, inputs: dict[str, Any]) -> None:
        """Raise InputError if values are known, and one of them is out of range."""
        for name, end, of in (
            ("input_word_ids", self.config.vocab_size, "token of the vocabulary"),
            ("input_type_ids", self.config.type_vocab_size, "type"),
            ("position_ids", self.config.max_position_embeddings, "position"),
        ):
            if name in inputs:
                values = input_checks.known_values(inputs[name])
                input_checks.check_range(name, values, end, of)
        if "input_mask" in inputs:
            mask = input_checks.known_values(inputs["input_mask"])
            input_checks.check_mask("input_mask", mask)

    def _embed(
        self, inputs: dict[str, Any], cache_index: Size | None, training: bool | None
    ) -> tf.Tensor:
        """Return the input of the first layer, `[B, L, H]`."""
        x = self.embeddings(
            word_ids=inputs.get("input_word_ids"),
            type_ids=inputs.get("input_type_ids"),
            position_ids=self._position_ids(inputs, cache_index),
            inputs_embeds=inputs.get("inputs_embeds"),
        )  # [B, L, E]
        # The order of google-research: LayerNorm, dropout, then the projection from E to H.
        x = ops.apply_dropout(x, self.config.hidden_dropout_prob, training)
        return x if self.embeddings_project is None else self.embeddings_project(x)

    def _position_ids(self, inputs: dict[str, Any], cache_index: Size | None) -> tf.Tensor | None:
        """Return integer `[B, L]` or `[1, L]`; None if positions start at 0 in each sequence."""
        if "document_ids" in inputs:
            return ops.packed_positions(inputs["document_ids"])
        if "position_ids" in inputs or "past_key_values" not in inputs:
            return inputs.get("position_ids")
        tokens = inputs["input_word_ids" if "input_word_ids" in inputs else "inputs_embeds"]
        past = inputs["past_key_values"][0]["key"]  # [B, past, N, D]
        first = tf.shape(past)[1] if cache_index is None else cache_index
        known = past.shape[1] if cache_index is None else tf.get_static_value(cache_index)
        # The number of earlier tokens can be checked only if it is known while tracing.
        length, longest = tokens.shape[1], self.config.max_position_embeddings
        if None not in (length, known) and known + length > longest:
            raise InputError(
                f"past_key_values hold {known} tokens: {length} more would exceed "
                f"max_position_embeddings={longest}; start again with fewer tokens"
            )
        return (tf.range(tf.shape(tokens)[1]) + tf.cast(first, tf.int32))[tf.newaxis]

    def _head_masks(self, head_mask: tf.Tensor | None) -> list[tf.Tensor | None]:
        """Return the head mask of each layer."""
        count = self.config.num_hidden_layers
        if head_mask is None:
            return [None] * count
        rank = len(head_mask.shape)
        if rank not in (1, 2, 5) or (rank > 1 and head_mask.shape[0] != count):
            raise InputError(
                f"head_mask must be [heads], [{count} layers, heads] or [{count} layers, batch, "
                f"heads, to, from], was {head_mask.shape.as_list()}"
            )
        # One mask [N] is for all layers; otherwise the first axis counts them.
        return [head_mask] * count if rank == 1 else tf.unstack(head_mask)

    def _use_cache(
        self,
        use_cache: bool | None,
        inputs: dict[str, Any],
        cache_index: Size | None,
        training: bool | None,
    ) -> bool:
        """Return whether to return a cache; raise if the network cannot use or return one."""
        config, past = self.config, inputs.get("past_key_values")
        if (use_cache or past is not None) and not config.is_decoder:
            raise InputError(
                "use_cache and past_key_values must be left out if config.is_decoder is false: the "
                "states of earlier tokens depend on later tokens and cannot be cached"
            )
        if past is not None and len(past) != config.num_hidden_layers:
            raise InputError(
                f"past_key_values must have a dict for each of {config.num_hidden_layers} layers, "
                f"had {len(past)}; pass the result of the previous call or of init_cache"
            )
        if past is None and cache_index is not None:
            raise InputError(
                "cache_index needs past_key_values, which init_cache creates; was given without"
            )
        return _or_default(use_cache, config.use_cache and config.is_decoder and not training)

    def _caches(
        self, inputs: dict[str, Any], x: tf.Tensor, use_cache: bool
    ) -> list[Cache] | list[None]:
        if "past_key_values" in inputs:
            return inputs["past_key_values"]
        if use_cache:  # The first call of a decoder: an empty cache, which grows.
            return self.init_cache(tf.shape(x)[0])
        return [None] * self.config.num_hidden_layers

    def init_cache(
        self,
        batch_size: Size,
        length: int = 0,
        encoder_hidden_states: tf.Tensor | None = None,
    ) -> list[Cache]:
        """Return `past_key_values` for the first call of a decoder.

        Args:
          batch_size: number of sequences.
          length: number of slots, to be written with `cache_index`, which keeps shapes static; 0
            for a cache that grows.
          encoder_hidden_states: states `[batch, from, hidden_size]` of an encoder, which are then
            projected once, here; None if there is no encoder.

        Returns:
          List of dicts, one per layer; see `TransformerEncoderBlock.init_cache`.

        Raises:
          InputError: the decoder has no cross-attention, or the states have another width.
        """
        return [
            block.init_cache(batch_size, length, encoder_hidden_states)
            for block in self.transformer_layers
        ]

    def get_embedding_table(self) -> tf.Variable | tf.Tensor:
        """Return the word table, a variable `[vocab_size, embedding_size]`.

        With `DisentangledEmbeddings` the table is the sum of two variables, a tensor.
        """
        return self.embeddings.get_embedding_table()

    def get_embedding_layer(self) -> OnDeviceEmbedding:
        """Return the layer of the word table.

        Raises:
          InputError: the encoder has `DisentangledEmbeddings`, whose table is a sum of two.
        """
        if isinstance(self.embeddings, DisentangledEmbeddings):
            raise InputError(
                "get_embedding_layer() needs an encoder with one word table, and the table of this "
                "encoder is a sum of two; use get_embedding_table() or embeddings.merged()"
            )
        return self.embeddings.word_embeddings

    def named_tensors(self) -> list[tensor_names.NamedTensor]:
        """Return the variables under their names in Hugging Face files."""
        return tensor_names.encoder(self)

    # === Config ===
    def get_config(self) -> dict[str, Any]:
        fields = dataclasses.replace(self.config, extra={}).to_dict()
        # `extra` stays nested, because a Hugging Face file may have a key `dtype` of its own.
        config = {**fields, "extra": self.config.extra, "recompute": self.recompute}
        if isinstance(self.embeddings, DisentangledEmbeddings):
            config["disentangled"] = True
        return {**config, "name": self.name, "dtype": self.dtype_policy.name}

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        embeddings: ElectraEmbeddings | DisentangledEmbeddings | OnDeviceEmbedding | None = None,
    ) -> "ElectraEncoder":
        """Build the encoder from its configuration.

        Args:
          config: result of `get_config`.
          embeddings: embeddings to share, passed by the model that owns both encoders.
        """
        sizes, options, disentangled = cls.read_config(config)
        if disentangled and embeddings is None:
            # The encoder is loaded without its partner, so it gets a base of its own.
            policy = options.get("dtype")
            base = _new_embeddings(sizes, None, policy)
            embeddings = DisentangledEmbeddings(base, dtype=policy, name="embeddings")
            embeddings.build(None)
        return cls(sizes, embeddings=embeddings, **options)

    @staticmethod
    def read_config(config: dict[str, Any]) -> tuple[ElectraConfig, dict[str, Any], bool]:
        """Split the result of `get_config`.

        Returns:
          The sizes, the other arguments of the constructor, and whether the embeddings are
          disentangled.
        """
        config = dict(config)
        names = ("name", "dtype", "recompute")
        options: dict[str, Any] = {name: config.pop(name) for name in names if name in config}
        disentangled, extra = config.pop("disentangled", False), config.pop("extra", {})
        sizes = ElectraConfig.from_dict(config)
        return dataclasses.replace(sizes, extra={**sizes.extra, **extra}), options, disentangled


def _new_embeddings(
    config: ElectraConfig, word_embeddings: OnDeviceEmbedding | None, policy: Any
) -> ElectraEmbeddings:
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


def _check_shared(
    embeddings: ElectraEmbeddings | DisentangledEmbeddings, config: ElectraConfig
) -> None:
    """Raise InputError unless shared embeddings have the sizes of the configuration."""
    expected = {
        "vocab_size": config.vocab_size,
        "embedding_width": config.embedding_size,
        "max_length": config.max_position_embeddings,
        "type_vocab_size": config.type_vocab_size,
        "norm_epsilon": config.layer_norm_eps,
        "position_embedding_type": config.position_embedding_type,
    }
    for name, value in expected.items():
        actual = getattr(embeddings, name)
        if actual != value:
            raise InputError(
                f"shared embeddings must have {name}={value} as in the configuration, had "
                f"{actual}; networks that share embeddings need tables of equal sizes"
            )


def _named_inputs(inputs: dict[str, Any] | list[tf.Tensor] | tf.Tensor) -> dict[str, Any]:
    """Return the inputs under tfnlp's names, without those that are None.

    Raises:
      InputError: an input is unknown or given twice, or the inputs do not fit together.
    """
    if isinstance(inputs, (list, tuple)):
        if len(inputs) > 3:
            raise InputError(
                f"a list of inputs must hold ids, mask and types, held {len(inputs)} tensors; pass "
                "other inputs by name in a dict"
            )
        inputs = dict(zip(_INPUTS, inputs, strict=False))  # The first three are ids, mask, types.
    elif not isinstance(inputs, dict):
        inputs = {"input_word_ids": inputs}
    named = {
        name: value if name == "past_key_values" else tf.convert_to_tensor(value)
        for name, value in input_checks.renamed(inputs, _INPUTS, "encoder").items()
    }
    _check_combination(named)
    _check_lengths(named)
    return named


def _check_lengths(named: dict[str, Any]) -> None:
    """Raise InputError unless ids, mask and types have equal lengths, as far as known."""
    ids = named.get("input_word_ids")
    if ids is not None and not (ids.dtype.is_integer and ids.shape.rank in (2, None)):
        raise InputError(
            f"input_word_ids must be integer [batch, length], was {ids.dtype.name} "
            f"{ids.shape}; convert text with a tokenizer, and note that a list means ids, mask and "
            "types"
        )
    tokens = named["inputs_embeds"] if ids is None else ids
    # With a cache the mask also covers the earlier tokens, whose number may be unknown here.
    for name in ("input_type_ids", "input_mask"):
        if name in named and "past_key_values" not in named:
            shape, length = named[name].shape, tokens.shape[1:2]
            if shape.rank is not None and not shape[-1:].is_compatible_with(length):
                raise InputError(
                    f"{name} must have the length of the sequences, {length[0]}, was {shape}; pass "
                    "one number for each token"
                )


def _check_combination(named: dict[str, Any]) -> None:
    """Raise InputError if inputs exclude each other or one needs another."""
    if ("input_word_ids" in named) == ("inputs_embeds" in named):
        raise InputError("give exactly one of input_word_ids and inputs_embeds")
    if "document_ids" in named:
        for other in ("position_ids", "past_key_values"):
            if other in named:
                raise InputError(
                    f"{other} must be left out with document_ids, which determine the positions"
                )
    if "encoder_attention_mask" in named and not (
        {"encoder_hidden_states", "past_key_values"} & named.keys()
    ):
        raise InputError("encoder_attention_mask needs encoder_hidden_states, was given without")


def _attention_mask(inputs: dict[str, Any]) -> tf.Tensor | None:
    """Return the mask `[B, S]` or `[B, L, S]`; None if all tokens are real."""
    mask = inputs.get("input_mask")
    if "document_ids" not in inputs:
        return mask
    packed = ops.packed_attention_mask(inputs["document_ids"])  # [B, L, L]
    if mask is None:
        return packed
    mask = tf.cast(mask, tf.bool)
    return packed & (mask[:, tf.newaxis, :] if len(mask.shape) == 2 else mask)


def _or_default(argument: bool | None, default: bool) -> bool:
    return default if argument is None else argument
