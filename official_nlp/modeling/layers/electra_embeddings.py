"""Embeddings that the generator and the discriminator share."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import Initializer, Shape
from official_nlp.modeling.layers.on_device_embedding import OnDeviceEmbedding
from official_nlp.modeling.layers.position_embedding import PositionEmbedding


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraEmbeddings(tf_keras.layers.Layer):
    """Add word, position and type vectors, then normalize.

    Two `ElectraEncoder`s that use the same instance share all three tables and the LayerNorm, as
    the generator and the discriminator of the original do.

    Call: `word_ids` integer `[batch, length]`, or in their place `inputs_embeds` `[batch, length,
    embedding_width]`; `type_ids` and `position_ids` integer, broadcastable to `[batch, length]`,
    None for zeros and for 0, 1, 2, ... Returns `[batch, length, embedding_width]` in the compute
    dtype.

    Args:
      vocab_size: number of tokens.
      embedding_width: width of all tables.
      max_length: number of positions.
      type_vocab_size: number of segment types.
      initializer: initializer of the tables.
      position_initializer: initializer of the position table; None for `initializer`.
      norm_epsilon: number added to the variance in LayerNorm.
      word_embeddings: an `OnDeviceEmbedding` to use, and so share, instead of a new one.
      position_embedding_type: `absolute`; or `relative_key` or `relative_key_query`, in which case
        the attention layers handle positions. The position table then exists, because Hugging
        Face files contain it, but it is neither added nor trained.

    Raises:
      InputError: `word_embeddings` has other sizes, the sequences are longer than `max_length`, or
        both or neither of `word_ids` and `inputs_embeds` are given.

    Example:
      >>> embeddings = ElectraEmbeddings(vocab_size=100, embedding_width=16, max_length=32)
      >>> embeddings(tf.constant([[2, 5, 6, 3]]), type_ids=tf.constant([[0, 0, 1, 1]])).shape
      TensorShape([1, 4, 16])

    Reference: Devlin et al. 2018 figure 2; paper section 3.2 (weight sharing).
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_width: int,
        max_length: int,
        type_vocab_size: int = 2,
        initializer: Initializer = "glorot_uniform",
        position_initializer: Initializer | None = None,
        norm_epsilon: float = 1e-12,
        word_embeddings: OnDeviceEmbedding | None = None,
        position_embedding_type: str = "absolute",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.embedding_width = embedding_width
        self.max_length = max_length
        self.type_vocab_size = type_vocab_size
        self.initializer = tf_keras.initializers.get(initializer)
        self.position_initializer = tf_keras.initializers.get(position_initializer or initializer)
        self.norm_epsilon = norm_epsilon
        # A shared word table is the same layer object in both networks, not a copy of its values.
        self.word_embeddings = word_embeddings or self._table(vocab_size, "word_embeddings")
        self._check_word_embeddings()
        self.position_embedding_type = position_embedding_type
        self.position_embeddings = PositionEmbedding(
            max_length,
            initializer=ops.copy_initializer(self.position_initializer),
            trainable=position_embedding_type == "absolute",
            dtype=self.dtype_policy,
            name="position_embeddings",
        )
        self.type_embeddings = self._table(type_vocab_size, "type_embeddings")
        self.layer_norm = tf_keras.layers.LayerNormalization(
            axis=-1, epsilon=norm_epsilon, dtype=tf.float32, name="layer_norm"
        )

    def _table(self, size: int, name: str) -> OnDeviceEmbedding:
        return OnDeviceEmbedding(
            size,
            self.embedding_width,
            initializer=ops.copy_initializer(self.initializer),
            dtype=self.dtype_policy,
            name=name,
        )

    def _check_word_embeddings(self) -> None:
        words = self.word_embeddings
        sizes = (words.vocab_size, words.embedding_width)
        if sizes != (self.vocab_size, self.embedding_width):
            raise InputError(
                f"word_embeddings must have vocab_size={self.vocab_size} and embedding_width="
                f"{self.embedding_width}, had {sizes[0]} and {sizes[1]}; networks that share a "
                "table need the same two sizes in their configurations"
            )

    def build(self, input_shape: Shape | None = None) -> None:
        shape = [None, None, self.embedding_width]
        for table in (self.word_embeddings, self.position_embeddings, self.type_embeddings):
            if not table.built:  # A shared table exists already.
                table.build(shape)
        self.layer_norm.build(shape)
        super().build(input_shape)

    def call(
        self,
        word_ids: tf.Tensor | None = None,
        type_ids: tf.Tensor | None = None,
        position_ids: tf.Tensor | None = None,
        inputs_embeds: tf.Tensor | None = None,
    ) -> tf.Tensor:
        return self.normalize(self.sum_vectors(word_ids, type_ids, position_ids, inputs_embeds))

    def sum_vectors(
        self,
        word_ids: tf.Tensor | None = None,
        type_ids: tf.Tensor | None = None,
        position_ids: tf.Tensor | None = None,
        inputs_embeds: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Return the sum before the LayerNorm; the arguments are those of the call.

        Returns:
          Tensor `[batch, length, embedding_width]` in the compute dtype.

        Raises:
          InputError: both or neither of `word_ids` and `inputs_embeds` are given.
        """
        if (word_ids is None) == (inputs_embeds is None):
            raise InputError("give exactly one of word_ids and inputs_embeds")
        words = self.word_embeddings(word_ids) if inputs_embeds is None else inputs_embeds
        words = tf.cast(words, self.compute_dtype)  # [B, L, E]
        if type_ids is None:
            type_ids = tf.zeros([1, 1], tf.int32)  # broadcast to [B, L]
        summed = words + self.type_embeddings(type_ids)
        if self.position_embedding_type == "absolute":
            summed += self.position_embeddings(words, position_ids=position_ids)
        return summed

    def normalize(self, summed: tf.Tensor) -> tf.Tensor:
        """Apply the LayerNorm, in float32, and return the result in the compute dtype."""
        return tf.cast(self.layer_norm(summed), self.compute_dtype)

    @property
    def tables(self) -> list[tf.Variable]:
        """The word, position and type tables, an order on which other modules rely."""
        return [
            self.word_embeddings.embeddings,
            self.position_embeddings.position_embeddings,
            self.type_embeddings.embeddings,
        ]

    def get_embedding_table(self) -> tf.Variable:
        """Return the word table, a variable `[vocab_size, embedding_width]`."""
        return self.word_embeddings.embeddings

    def get_config(self) -> dict[str, Any]:
        # A shared word table is not part of the configuration: the model that owns both networks
        # passes it again.
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "embedding_width": self.embedding_width,
            "max_length": self.max_length,
            "type_vocab_size": self.type_vocab_size,
            "initializer": tf_keras.initializers.serialize(self.initializer),
            "position_initializer": tf_keras.initializers.serialize(self.position_initializer),
            "norm_epsilon": self.norm_epsilon,
            "position_embedding_type": self.position_embedding_type,
        }
