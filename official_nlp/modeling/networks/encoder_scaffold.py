"""Encoder built of the user's own parts."""

import contextlib
import inspect
import types
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import Initializer
from official_nlp.modeling.layers.electra_embeddings import ElectraEmbeddings
from official_nlp.modeling.layers.self_attention_mask import SelfAttentionMask
from official_nlp.modeling.layers.transformer_encoder_block import TransformerEncoderBlock
from official_nlp.modeling.networks import config_values

_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
_EMBEDDING_CFG = (
    "vocab_size",
    "type_vocab_size",
    "hidden_size",
    "max_seq_length",
    "initializer",
    "dropout_rate",
)
# The default block of tfnlp is an older class whose arguments have other names.
_BLOCK_NAMES = {
    "intermediate_size": "inner_dim",
    "intermediate_activation": "inner_activation",
    "dropout_rate": "output_dropout",
    "attention_dropout_rate": "attention_dropout",
    "intermediate_dropout": "inner_dropout",
}


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class EncoderScaffold(tf_keras.Model):
    """Chain embeddings, hidden layers and a pooler; each may be the user's own.

    Call: a dict or a list of the network's inputs, integer `[batch, length]`. They are
    `input_word_ids`, `input_mask` (1 real, 0 padding) and `input_type_ids`, unless the embedding
    network has an attribute `inputs` that names others. `ElectraPretrainer` passes a dict of the
    three and needs `dict_outputs=True`.

    Returns the list [sequence, pooled], or the sequence alone if there is no pooler. With
    `return_all_layer_outputs` the sequence is the list of the outputs of all hidden layers. With
    `dict_outputs` returns a dict:
      `sequence_output`: float32 `[batch, length, width]`.
      `encoder_outputs`: list of the outputs of all hidden layers, of the same shape and dtype.
      `pooled_output`: `[batch, pooled_output_dim]`, if there is a pooler.

    Args:
      pooled_output_dim: width of the pooler, a tanh layer on the first token; None for no pooler,
        as in ELECTRA.
      pooler_layer_initializer: initializer of the pooler's kernel; None for a truncated normal of
        standard deviation 0.02.
      embedding_cls: class or instance that maps the list of inputs to the pair (embeddings `[batch,
        length, width]`, attention mask for the hidden layers); None for the normalized sum of word,
        position and type vectors.
      embedding_cfg: arguments of the class. Without `embedding_cls`: `vocab_size`,
        `type_vocab_size`, `hidden_size`, `max_seq_length`, `initializer`, `dropout_rate`, and
        optionally `seq_length`, a fixed length of the symbolic inputs.
      embedding_data: word table of the user's embedding network, a variable, if the network has no
        method `get_embedding_layer()`. A configuration cannot hold it.
      num_hidden_instances: number of hidden layers.
      hidden_cls: class, instance (called repeatedly) or list of these, one per layer. A layer maps
        [x, attention mask] to x.
      hidden_cfg: arguments of the classes. For `TransformerEncoderBlock`, the names of tfnlp's
        older class work too, such as `intermediate_size`.
      mask_cls: class or instance that maps embeddings and `input_mask` to the attention mask; not
        used with `embedding_cls`, which returns the mask itself.
      mask_cfg: arguments of the class.
      layer_norm_before_pooling: whether to normalize the last output, as blocks with `norm_first`
        need.
      return_all_layer_outputs: whether to return the outputs of all hidden layers, see above.
      dict_outputs: whether to return a dict.
      layer_idx_as_attention_seed: whether to set `seed` in `hidden_cfg['attention_cfg']` to the
        index of the layer.
      feed_layer_idx: whether to pass an argument `layer_idx` to the classes.
      recursive: whether a layer maps [x, attention mask, state] to (x, state); the first state is
        None.

    Raises:
      InputError: an argument is missing or has no effect, an input is missing or unknown, a part
        returns something else, or a part cannot be serialized by `get_config`.
      RuntimeError: there is no word table, or no embedding network, to return.

    Example:
      >>> class Plain(tf_keras.layers.Layer):
      ...     def call(self, inputs):
      ...         x, attention_mask = inputs
      ...         return tf.nn.relu(x)
      >>> sizes = {"vocab_size": 100, "type_vocab_size": 2, "hidden_size": 16,
      ...          "max_seq_length": 8, "initializer": "glorot_uniform", "dropout_rate": 0.1}
      >>> network = EncoderScaffold(embedding_cfg=sizes, num_hidden_instances=2, hidden_cls=Plain)
      >>> network([tf.ones([1, 4], tf.int32)] * 3).shape
      TensorShape([1, 4, 16])
    """

    def __init__(
        self,
        pooled_output_dim: int | None = None,
        pooler_layer_initializer: Initializer | None = None,
        embedding_cls: Any = None,
        embedding_cfg: dict[str, Any] | None = None,
        embedding_data: tf.Variable | None = None,
        num_hidden_instances: int = 1,
        hidden_cls: Any = TransformerEncoderBlock,
        hidden_cfg: dict[str, Any] | None = None,
        mask_cls: Any = SelfAttentionMask,
        mask_cfg: dict[str, Any] | None = None,
        layer_norm_before_pooling: bool = False,
        return_all_layer_outputs: bool = False,
        dict_outputs: bool = False,
        layer_idx_as_attention_seed: bool = False,
        feed_layer_idx: bool = False,
        recursive: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.pooled_output_dim = pooled_output_dim
        self.pooler_layer_initializer = tf_keras.initializers.get(
            pooler_layer_initializer or tf_keras.initializers.TruncatedNormal(stddev=0.02)
        )
        # A namespace hides the arguments from Keras, which would track the parts in them a second
        # time.
        self._arguments = types.SimpleNamespace(
            embedding_cls=embedding_cls,
            embedding_cfg=embedding_cfg,
            embedding_data=embedding_data,
            hidden_cls=hidden_cls,
            hidden_cfg=hidden_cfg,
            mask_cls=mask_cls,
            mask_cfg=mask_cfg,
        )
        self.num_hidden_instances = num_hidden_instances
        self.layer_norm_before_pooling = layer_norm_before_pooling
        self.return_all_layer_outputs = return_all_layer_outputs
        self.dict_outputs = dict_outputs
        self.layer_idx_as_attention_seed = layer_idx_as_attention_seed
        self.feed_layer_idx = feed_layer_idx
        self.recursive = recursive
        # === Layers ===
        # Layers built without `dtype` take the global policy, which must be that of this network.
        with _global_policy(self.dtype_policy):
            self._embedding_network: Any = None
            self._embeddings: Any = None
            self._mask_layer: Any = None
            if embedding_cls is None:
                self._embeddings, self.inputs = self._default_embeddings()
                self._mask_layer = _instance(mask_cls, mask_cfg, "mask")
            else:
                self._embedding_network = _instance(embedding_cls, embedding_cfg, "embedding")
                self.inputs = getattr(self._embedding_network, "inputs", None) or _symbolic()
            self._hidden_layers = self._make_hidden_layers()
            self._output_layer_norm = self._pooler_layer = None
            if layer_norm_before_pooling:
                self._output_layer_norm = tf_keras.layers.LayerNormalization(
                    axis=-1, epsilon=1e-12, dtype=tf.float32, name="final_layer_norm"
                )
            if pooled_output_dim is not None:
                self._pooler_layer = tf_keras.layers.Dense(
                    pooled_output_dim,
                    activation="tanh",
                    kernel_initializer=ops.copy_initializer(self.pooler_layer_initializer),
                    name="pooler",
                )
            # Only a call builds the user's layers, whose input shapes are unknown here.
            self({tensor.name: tensor for tensor in self.inputs})

    def _default_embeddings(self) -> tuple[ElectraEmbeddings, list[tf.Tensor]]:
        """Return the layer and the symbolic inputs of the network."""
        cfg = self._arguments.embedding_cfg or {}
        missing = [name for name in _EMBEDDING_CFG if name not in cfg]
        unknown = sorted(set(cfg) - {*_EMBEDDING_CFG, "seq_length"})
        if missing or unknown:
            raise InputError(
                "without embedding_cls, embedding_cfg must be a dict of "
                f"{', '.join(_EMBEDDING_CFG)} and may have seq_length; missing: "
                f"{', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}"
            )
        if self._arguments.embedding_data is not None:
            raise InputError(
                "embedding_data must be None without embedding_cls: the network has its own table, "
                "which get_embedding_table() returns"
            )
        embeddings = ElectraEmbeddings(
            cfg["vocab_size"],
            cfg["hidden_size"],
            cfg["max_seq_length"],
            cfg["type_vocab_size"],
            initializer=cfg["initializer"],
            name="embeddings",
        )
        return embeddings, _symbolic(cfg.get("seq_length"))

    def _make_hidden_layers(self) -> list[tf_keras.layers.Layer]:
        count, arguments = self.num_hidden_instances, self._arguments
        parts = arguments.hidden_cls
        parts = list(parts) if isinstance(parts, (list, tuple)) else [parts] * count
        if len(parts) != count or not parts:
            raise InputError(
                f"num_hidden_instances must be above 0, and the length of hidden_cls if that is a "
                f"list, was {count} for {len(parts)}"
            )
        options = (arguments.hidden_cfg, self.layer_idx_as_attention_seed, self.feed_layer_idx)
        if any(options) and not any(inspect.isclass(part) for part in parts):
            raise InputError(
                "hidden_cfg, layer_idx_as_attention_seed and feed_layer_idx must be left out if "
                "hidden_cls contains only instances: there is no class to pass them to"
            )
        return [
            part(**self._hidden_cfg(part, i)) if inspect.isclass(part) else part
            for i, part in enumerate(parts)
        ]

    def _hidden_cfg(self, cls: type, index: int) -> dict[str, Any]:
        """Return the arguments of the layer at `index`."""
        cfg = dict(self._arguments.hidden_cfg or {})
        if cls is TransformerEncoderBlock:  # Other classes receive the arguments as they are named.
            cfg = {_BLOCK_NAMES.get(name, name): value for name, value in cfg.items()}
        if self.layer_idx_as_attention_seed:
            if "attention_cfg" not in cfg:
                raise InputError(
                    "layer_idx_as_attention_seed=True needs a dict 'attention_cfg' in hidden_cfg, "
                    f"which receives the seed; hidden_cfg has {', '.join(cfg) or 'nothing'}"
                )
            cfg["attention_cfg"] = {**cfg["attention_cfg"], "seed": index}
        if self.feed_layer_idx:
            cfg["layer_idx"] = index
        return cfg

    # === Wiring ===
    def call(
        self, inputs: dict[str, tf.Tensor] | list[tf.Tensor], training: bool | None = None
    ) -> dict[str, Any] | list | tf.Tensor:
        # Layers called without `training` inherit it from this call, as in every Keras model.
        with randomness.scope(training=bool(training)):
            x, mask = self._embed(self._in_order(inputs), training)
            outputs = self._encode(x, mask)
        if self._output_layer_norm is not None:
            outputs[-1] = self._output_layer_norm(outputs[-1])
        # Layers may return half precision; the contract of the networks is float32.
        outputs = [tf.cast(output, tf.float32) for output in outputs]
        pooled = None
        if self._pooler_layer is not None:
            pooled = self._pooler_layer(outputs[-1][:, 0])
        return self._named_outputs(outputs, pooled)

    def _in_order(self, inputs: dict[str, tf.Tensor] | list[tf.Tensor]) -> list[tf.Tensor]:
        """Return the inputs as a list, in the order of the embeddings."""
        names = [tensor.name for tensor in self.inputs]
        if not isinstance(inputs, dict):
            values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
            if len(values) != len(names):
                raise InputError(f"the inputs must be {', '.join(names)}, were {len(values)}")
            return values
        # The three usual names are always allowed: a caller such as `ElectraPretrainer` need not
        # know which of them the embeddings use.
        unknown = sorted(set(inputs) - {*names, *_INPUTS})
        missing = [name for name in names if name not in inputs]
        if missing or unknown:
            raise InputError(
                f"the inputs must be {', '.join(names)}; missing: {', '.join(missing) or 'none'}, "
                f"unknown: {', '.join(unknown) or 'none'}"
            )
        return [inputs[name] for name in names]

    def _embed(self, inputs: list[tf.Tensor], training: bool | None) -> tuple[tf.Tensor, tf.Tensor]:
        """Return embeddings `[B, L, H]` and the attention mask."""
        if self._embeddings is not None:
            word_ids, input_mask, type_ids = inputs
            x = self._embeddings(word_ids, type_ids=type_ids)
            x = ops.apply_dropout(x, self._arguments.embedding_cfg["dropout_rate"], training)
            return x, self._mask_layer(x, input_mask)
        outputs = self._embedding_network(inputs)
        if not isinstance(outputs, (list, tuple)) or len(outputs) != 2:
            raise InputError(
                "embedding_cls must return the pair (embeddings, attention mask); "
                f"{type(self._embedding_network).__name__} returned {type(outputs).__name__}"
            )
        embeddings, mask = outputs
        return embeddings, mask

    def _encode(self, x: tf.Tensor, mask: tf.Tensor) -> list[tf.Tensor]:
        """Return the outputs of all hidden layers."""
        outputs: list[tf.Tensor] = []
        state = None
        for layer in self._hidden_layers:
            x = layer([x, mask, state] if self.recursive else [x, mask])
            if self.recursive:
                x, state = x
            if isinstance(x, (list, tuple, dict)):
                raise InputError(
                    "hidden_cls must return one tensor, or with recursive=True a tensor and a "
                    f"state; {type(layer).__name__} returned {type(x).__name__}"
                )
            outputs.append(x)
        return outputs

    def _named_outputs(
        self, outputs: list[tf.Tensor], pooled: tf.Tensor | None
    ) -> dict[str, Any] | list | tf.Tensor:
        """Arrange the outputs as `dict_outputs` and `return_all_layer_outputs` request."""
        if self.dict_outputs:
            named = {"sequence_output": outputs[-1], "encoder_outputs": outputs}
            return named if pooled is None else {**named, "pooled_output": pooled}
        sequence = outputs if self.return_all_layer_outputs else outputs[-1]
        return sequence if pooled is None else [sequence, pooled]

    def get_embedding_table(self) -> tf.Variable:
        """Return the word table, a variable `[vocab_size, width]`.

        Raises:
          RuntimeError: the embedding network does not provide its table.
        """
        if self._arguments.embedding_data is not None:
            return self._arguments.embedding_data
        return self.get_embedding_layer().embeddings

    def get_embedding_layer(self) -> tf_keras.layers.Layer:
        """Return the layer of the word table, such as an `OnDeviceEmbedding`.

        Raises:
          RuntimeError: the embedding network does not provide its table.
        """
        network, table = self._embedding_network, self._arguments.embedding_data
        if network is None:
            return self._embeddings.word_embeddings
        if hasattr(network, "get_embedding_layer"):
            return network.get_embedding_layer()
        # The table was given as a variable: find the layer that owns this very object.
        for layer in network.submodules:
            if table is not None and getattr(layer, "embeddings", None) is table:
                return layer
        raise RuntimeError(
            f"the network {self.name} does not have a reference to its word table: define a method "
            "get_embedding_layer() of its embedding network, which also works once the network is "
            "saved and loaded, or pass embedding_data"
        )

    @property
    def embedding_network(self) -> tf_keras.layers.Layer:
        """The instance of `embedding_cls`.

        Raises:
          RuntimeError: the network was built without `embedding_cls`.
        """
        if self._embedding_network is None:
            raise RuntimeError(
                f"the network {self.name} has no embedding network: it was built without "
                "embedding_cls"
            )
        return self._embedding_network

    @property
    def hidden_layers(self) -> list[tf_keras.layers.Layer]:
        """The hidden layers, for a network that shares them."""
        return list(self._hidden_layers)

    @property
    def pooler_layer(self) -> tf_keras.layers.Dense | None:
        """The dense layer of the pooler; None if there is no pooler."""
        return self._pooler_layer

    # === Config ===
    def get_config(self) -> dict[str, Any]:
        # A variable is no configuration. A loaded network returns the table through its layer.
        parts = {k: v for k, v in vars(self._arguments).items() if k != "embedding_data"}
        return {
            "pooled_output_dim": self.pooled_output_dim,
            "pooler_layer_initializer": tf_keras.initializers.serialize(
                self.pooler_layer_initializer
            ),
            **{name: config_values.encode(value, name) for name, value in parts.items()},
            "num_hidden_instances": self.num_hidden_instances,
            "layer_norm_before_pooling": self.layer_norm_before_pooling,
            "return_all_layer_outputs": self.return_all_layer_outputs,
            "dict_outputs": self.dict_outputs,
            "layer_idx_as_attention_seed": self.layer_idx_as_attention_seed,
            "feed_layer_idx": self.feed_layer_idx,
            "recursive": self.recursive,
            "name": self.name,
            "dtype": self.dtype_policy.name,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "EncoderScaffold":
        """Build the network from its configuration, with new instances of its parts.

        Raises:
          InputError: the class of a part is not registered.
        """
        return cls(**config_values.decode(config, custom_objects))


def _symbolic(length: int | None = None) -> list[tf.Tensor]:
    """Return symbolic inputs with the usual names, integer `[batch, length]`."""
    return [tf_keras.Input([length], dtype=tf.int32, name=name) for name in _INPUTS]


def _instance(part: Any, cfg: dict[str, Any] | None, name: str) -> Any:
    """Return an instance of a class, or the given instance itself.

    Raises:
      InputError: `cfg` is given for an instance.
    """
    if inspect.isclass(part):
        return part(**(cfg or {}))
    if cfg:
        raise InputError(
            f"{name}_cfg must be left out if {name}_cls is an instance: there is no class to pass "
            "it to"
        )
    return part


@contextlib.contextmanager
def _global_policy(policy: tf_keras.mixed_precision.Policy) -> Iterator[None]:
    """Set the policy of layers built without `dtype`, as the user's layers may be."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
