"""Embeddings that lean on another network's and never pull at them."""

import tensorflow as tf
import tf_keras

from official_nlp.modeling.layers.electra_embeddings import ElectraEmbeddings


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class DisentangledEmbeddings(tf_keras.layers.Layer):
    """The sum of another layer's vectors, as they stand, and of differences of its own; normalized.

    The tables of differences start at zero, the LayerNorm is its own. No gradient reaches the other
    layer: what trains that one moves these vectors along, what trains these moves the differences
    alone. The vectors are looked up twice and added; no sum of two tables is made in a step.

    The other layer's variables are none of this one's (`variables` has the differences), but they
    are in its checkpoints and files, which hold all that the call needs.

    Call: as `ElectraEmbeddings`: `word_ids` integer `[batch, length]`, or `inputs_embeds` `[batch,
    length, embedding_width]` in place of the whole word vectors; `type_ids` and `position_ids`.
    Returns `[batch, length, embedding_width]` in the compute dtype.

    Args:
      base: the `ElectraEmbeddings` of the other network.
      norm_epsilon: added to the variance; None for that of `base`.

    Raises:
      InputError: as `ElectraEmbeddings`.

    Example:
      >>> base = ElectraEmbeddings(vocab_size=100, embedding_width=16, max_length=32)
      >>> DisentangledEmbeddings(base)(tf.constant([[2, 5, 6, 3]])).shape
      TensorShape([1, 4, 16])

    Reference: He et al. 2021 (DeBERTaV3, arXiv 2111.09543), section 3.2.
    """

    # Declared here, Keras does not count it among the parts of this layer.
    base = None

    def __init__(self, base, norm_epsilon=None, **kwargs):
        super().__init__(**kwargs)
        self.base = base
        self._track_trackable(base, "base")
        self.norm_epsilon = base.norm_epsilon if norm_epsilon is None else norm_epsilon
        self.own = self._plain("zeros", name="own")

    def _plain(self, initializer, name):
        return ElectraEmbeddings(
            self.base.vocab_size,
            self.base.embedding_width,
            self.base.max_length,
            self.base.type_vocab_size,
            initializer=initializer,
            norm_epsilon=self.norm_epsilon,
            position_embedding_type=self.base.position_embedding_type,
            dtype=self._dtype_policy,
            name=name,
        )

    def build(self, input_shape=None):
        for part in (self.base, self.own):
            if not part.built:
                part.build(None)
        super().build(input_shape)

    def call(self, word_ids=None, type_ids=None, position_ids=None, inputs_embeds=None):
        own = self.own.sum_vectors(word_ids, type_ids, position_ids, inputs_embeds)
        if inputs_embeds is not None:
            inputs_embeds = tf.zeros_like(inputs_embeds)
        base = self.base.sum_vectors(word_ids, type_ids, position_ids, inputs_embeds)
        return self.own.normalize(own + tf.cast(tf.stop_gradient(base), own.dtype))  # [B, L, E]

    @property
    def vocab_size(self):
        return self.base.vocab_size

    @property
    def embedding_width(self):
        return self.base.embedding_width

    @property
    def max_length(self):
        return self.base.max_length

    @property
    def type_vocab_size(self):
        return self.base.type_vocab_size

    @property
    def position_embedding_type(self):
        return self.base.position_embedding_type

    def get_embedding_table(self):
        """Returns the sums, float32 `[vocab_size, embedding_width]`: a tensor, made anew a call."""
        return self.own.get_embedding_table() + tf.stop_gradient(self.base.get_embedding_table())

    def merged(self, name="embeddings") -> ElectraEmbeddings:
        """Returns plain embeddings that give the same vectors and depend on no other network."""
        plain = self._plain("zeros", name)
        plain.build(None)
        for mine, own, base in zip(plain.tables, self.own.tables, self.base.tables):
            mine.assign(own + base)
        for mine, own in zip(plain.layer_norm.variables, self.own.layer_norm.variables):
            mine.assign(own)
        return plain

    def get_config(self):
        return {
            **super().get_config(),
            "base": tf_keras.saving.serialize_keras_object(self.base),
            "norm_epsilon": self.norm_epsilon,
        }

    @classmethod
    def from_config(cls, config):
        """Builds the layer on a copy of its base: who owns both joins them again."""
        base = config["base"]
        if isinstance(base, dict):
            base = tf_keras.saving.deserialize_keras_object(base)
        return cls(**{**config, "base": base})
