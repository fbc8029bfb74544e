"""Head that scores the end of a span for each start, and whether there is a span."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import Initializer, Shape

# Logit where no span starts or ends. It is finite, so that a label there has a finite loss.
_EXCLUDED = -1000.0


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class JointSpanHead(tf_keras.layers.Layer):
    """Score starts of a span, then ends given a start, and whether there is a span at all.

    The start is scored by one layer, `start_i = s(h_i)`; the end by two, which see the start as
    well, `end_ki = e2(gelu(e1([h_start_k, h_i])))`; the answerability by two, which see [CLS] and
    the expected start, `a2(gelu(a1([h_0, sum_i softmax(start)_i h_i])))`.

    Call: `features` `[batch, length, width]`, `span_mask` `[batch, length]`, 1 where a span may
    start and end, and `start_index`, integer `[batch]`, the start for which ends are scored (the
    true one, in training), or None. Returns a dict; all floats are float32:
      `start_logits`: `[batch, length]`, -1000 outside the mask.
      `end_logits`: `[batch, length]` for the given start, or without one `[batch, beam, length]`
        for each of the `beam` best starts; -1000 outside the mask.
      `answerable_logits`: `[batch]`, positive if there is a span.
      `start_top_log_probs`, `start_top_index`: `[batch, beam]`, without `start_index` only: the
        log-probabilities and the positions (int32) of the best starts, the best one first. The
        beam has `beam_size` starts, or as many as there are tokens.

    Args:
      hidden_dim: width of the layers before the scores of ends and of the answerability.
      beam_size: number of starts for which ends are scored without `start_index`.
      initializer: initializer of all kernels.

    Example:
      >>> head = JointSpanHead(beam_size=3)
      >>> mask = tf.constant([[1, 0, 0, 1, 1, 1]])
      >>> outputs = head(tf.ones([1, 6, 32]), mask)
      >>> outputs["start_top_index"].shape, outputs["end_logits"].shape
      (TensorShape([1, 3]), TensorShape([1, 3, 6]))
      >>> head(tf.ones([1, 6, 32]), mask, start_index=tf.constant([3]))["end_logits"].shape
      TensorShape([1, 6])

    Reference: google-research/electra, `finetune/qa`; Yang et al. 2019 (arXiv 1906.08237), whose
    answerability sees no start.
    """

    def __init__(
        self,
        hidden_dim: int = 512,
        beam_size: int = 20,
        initializer: Initializer = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.beam_size = beam_size
        self.initializer = tf_keras.initializers.get(initializer)
        hidden = (hidden_dim, self.initializer, self.dtype_policy)
        logits = (1, self.initializer, tf.float32)
        self.start = ops.dense(*logits, "start")
        self.end_hidden = ops.dense(*hidden, "end_hidden")
        self.end = ops.dense(*logits, "end")
        self.answerable_hidden = ops.dense(*hidden, "answerable_hidden")
        self.answerable = ops.dense(*logits, "answerable")

    def build(self, input_shape: Shape) -> None:
        width = input_shape[-1]
        self.start.build([None, None, width])
        for layer in (self.end_hidden, self.answerable_hidden):
            layer.build([None, 2 * width])
        for layer in (self.end, self.answerable):
            layer.build([None, self.hidden_dim])
        super().build(input_shape)

    def call(
        self,
        features: tf.Tensor,
        span_mask: tf.Tensor,
        start_index: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        allowed = tf.cast(span_mask, tf.bool)  # [B, L]
        start_logits = tf.where(allowed, self.start(features)[..., 0], _EXCLUDED)  # [B, L]
        outputs = {
            "start_logits": start_logits,
            "answerable_logits": self._answerable_logits(features, start_logits),
        }
        if start_index is not None:
            end_logits = self._end_logits(features, start_index[:, tf.newaxis])[:, 0]  # [B, L]
            return {**outputs, "end_logits": tf.where(allowed, end_logits, _EXCLUDED)}
        length = ops.shape_list(features)[1]
        # XLA needs the size of the beam as a constant, which a static length provides.
        static = isinstance(length, int)
        beam = min(self.beam_size, length) if static else tf.minimum(self.beam_size, length)
        log_probs, index = tf.math.top_k(tf.nn.log_softmax(start_logits), beam)  # [B, K]
        end_logits = self._end_logits(features, index)  # [B, K, L]
        return {
            **outputs,
            "start_top_log_probs": log_probs,
            "start_top_index": index,
            "end_logits": tf.where(tf.expand_dims(allowed, 1), end_logits, _EXCLUDED),
        }

    def _end_logits(self, features: tf.Tensor, starts: tf.Tensor) -> tf.Tensor:
        """Return logits `[batch, starts, length]` for starts `[batch, starts]`."""
        # A layer on the concatenation [start, token] is the sum of two layers, which need not be
        # computed for each pair: that saves most of the work and a tensor [B, K, L, 2 H].
        width = features.shape[-1]
        kernel, bias = self.end_hidden.kernel, self.end_hidden.bias
        of_starts = ops.gather_positions(features, starts) @ kernel[:width]  # [B, K, D]
        of_tokens = features @ kernel[width:] + bias  # [B, L, D]
        pairs = tf.expand_dims(of_starts, 2) + tf.expand_dims(of_tokens, 1)  # [B, K, L, D]
        hidden = ops.gelu(pairs)
        return self.end(hidden)[..., 0]

    def _answerable_logits(self, features: tf.Tensor, start_logits: tf.Tensor) -> tf.Tensor:
        """Return logits `[batch]`."""
        probabilities = tf.expand_dims(tf.nn.softmax(start_logits), 1)  # [B, 1, L]
        expected = probabilities @ tf.cast(features, tf.float32)  # [B, 1, H], summed in float32
        both = tf.concat([features[:, 0], tf.cast(expected[:, 0], features.dtype)], axis=-1)
        return self.answerable(ops.gelu(self.answerable_hidden(both)))[:, 0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "beam_size": self.beam_size,
            "initializer": tf_keras.initializers.serialize(self.initializer),
        }
