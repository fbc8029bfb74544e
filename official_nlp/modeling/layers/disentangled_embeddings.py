"""Embeddings that add differences to the embeddings of another network."""

import types
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.modeling.keras_types import Initializer, Shape
from official_nlp.modeling.layers.electra_embeddings import ElectraEmbeddings


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class DisentangledEmbeddings(tf_keras.layers.Layer):
    """Add the vectors of another layer, without gradient, to the layer's own; then normalize.

    This is gradient-disentangled embedding sharing (GDES). The layer's own tables start at zero,
    so that the sum starts at the vectors of the other layer. No gradient reaches the other layer:
    training the other network changes the sums as well, while training this network changes only
    the differences. The layer has a LayerNorm of its own. Each call looks vectors up in both tables
    and adds them: no sum of two whole tables is computed in a training step.

    `variables` holds the differences, not the variables of the other layer. Checkpoints and files
    hold both, so that a restored layer needs nothing else.

    Call: as `ElectraEmbeddings`: `word_ids` integer `[batch, length]`, or `inputs_embeds` `[batch,
    length, embedding_width]`, which replaces the sum of both word vectors; `type_ids` and
    `position_ids`. Returns `[batch, length, embedding_width]` in the compute dtype.

    Args:
      base: the `ElectraEmbeddings` of the other network.
      norm_epsilon: number added to the variance in LayerNorm; None for the value of `base`.

    Raises:
      InputError: as `ElectraEmbeddings`.

    Example:
      >>> base = ElectraEmbeddings(vocab_size=100, embedding_width=16, max_length=32)
      >>> DisentangledEmbeddings(base)(tf.constant([[2, 5, 6, 3]])).shape
      TensorShape([1, 4, 16])

    Reference: He et al. 2021 (DeBERTaV3, arXiv 2111.09543), section 3.2.
    """

    def __init__(self, base: ElectraEmbeddings, norm_epsilon: float | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        # A namespace hides `base` from Keras, which would count its variables among those of this
        # layer and let the optimizer of this network train them.
        self._hidden = types.SimpleNamespace(base=base)
        # Checkpoints and SavedModels need the base nevertheless, because its values are part of the
        # vectors. TensorFlow has no public call for that.
        self._track_trackable(base, "base")
        self.norm_epsilon = base.norm_epsilon if norm_epsilon is None else norm_epsilon
        self.own = self._like_base("zeros", name="own")

    def _like_base(self, initializer: Initializer, name: str) -> ElectraEmbeddings:
        return ElectraEmbeddings(
            self.base.vocab_size,
            self.base.embedding_width,
            self.base.max_length,
            self.base.type_vocab_size,
            initializer=initializer,
            norm_epsilon=self.norm_epsilon,
            position_embedding_type=self.base.position_embedding_type,
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, input_shape: Shape | None = None) -> None:
        for part in (self.base, self.own):
            if not part.built:  # The base usually exists, as part of the other network.
                part.build(None)
        super().build(input_shape)

    def call(
        self,
        word_ids: tf.Tensor | None = None,
        type_ids: tf.Tensor | None = None,
        position_ids: tf.Tensor | None = None,
        inputs_embeds: tf.Tensor | None = None,
    ) -> tf.Tensor:
        own = self.own.sum_vectors(word_ids, type_ids, position_ids, inputs_embeds)
        # `inputs_embeds` stands for the sum of both word vectors, so it is added once.
        if inputs_embeds is not None:
            inputs_embeds = tf.zeros_like(inputs_embeds)
        base = self.base.sum_vectors(word_ids, type_ids, position_ids, inputs_embeds)
        # sg(E_base) + E_delta, where sg stops the gradient (DeBERTaV3 section 3.2). The two
        # networks may have different dtype policies.
        return self.own.normalize(own + tf.cast(tf.stop_gradient(base), own.dtype))  # [B, L, E]

    @property
    def base(self) -> ElectraEmbeddings:
        """The embeddings of the other network."""
        return self._hidden.base

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return self.base.vocab_size

    @property
    def embedding_width(self) -> int:
        """Width of the vectors."""
        return self.base.embedding_width

    @property
    def max_length(self) -> int:
        """Number of positions."""
        return self.base.max_length

    @property
    def type_vocab_size(self) -> int:
        """Number of segment types."""
        return self.base.type_vocab_size

    @property
    def position_embedding_type(self) -> str:
        """Type of the positions, as in `ElectraEmbeddings`."""
        return self.base.position_embedding_type

    def get_embedding_table(self) -> tf.Tensor:
        """Return the sum of both word tables, computed anew in each call.

        Returns:
          Float32 tensor `[vocab_size, embedding_width]`.
        """
        return self.own.get_embedding_table() + tf.stop_gradient(self.base.get_embedding_table())

    def merged(self, name: str = "embeddings") -> ElectraEmbeddings:
        """Return plain embeddings with the same vectors, independent of the other network.

        Args:
          name: name of the new layer.
        """
        plain = self._like_base("zeros", name)
        plain.build(None)
        for table, own, base in zip(plain.tables, self.own.tables, self.base.tables):
            table.assign(own + base)
        for variable, own in zip(plain.layer_norm.variables, self.own.layer_norm.variables):
            variable.assign(own)
        return plain

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "base": tf_keras.saving.serialize_keras_object(self.base),
            "norm_epsilon": self.norm_epsilon,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DisentangledEmbeddings":
        """Build the layer on a copy of its base.

        The model that owns both networks passes the base itself, which shares it again.

        Args:
          config: what `get_config` returned, or the same with the layer `base` itself.
        """
        base = config["base"]
        if isinstance(base, dict):
            base = tf_keras.saving.deserialize_keras_object(base)
        return cls(**{**config, "base": base})
