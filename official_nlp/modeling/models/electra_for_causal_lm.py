"""A decoder that generates text."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import ops
from official_nlp.modeling.models.electra_for import check_labels, compare_classes
from official_nlp.modeling.models.electra_for_masked_lm import ElectraForMaskedLM
from official_nlp.modeling.networks.electra_config import ElectraConfig

# Seed of a step = seed + step * stride. The stride is odd and far from any small number, so that
# neighbouring steps and seeds share no stream.
_STRIDE = 0x9E3779B97F4A7C15


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraForCausalLM(ElectraForMaskedLM):
    """A decoder: scores every token of the vocabulary as the next one, at every position.

    The head is the generator's, so that a generator's weights can be loaded.

    Call: see `ElectraFor`. `labels` are integer `[batch, length]`, usually the ids themselves, -100
    where a token is ignored. Loss and metrics shift them by one position: the scores at a position
    predict the token after it, and the loss is the mean cross-entropy. `logits` are `[batch,
    length, vocab_size]`. Inputs of a decoder, with their shapes in `ElectraEncoder`:
    `past_key_values`, `encoder_hidden_states`, `encoder_attention_mask`. Unless `use_cache` or the
    configuration forbids it, the outputs contain `past_key_values` for the next call.

    Args:
      config: configuration with `is_decoder`; with `add_cross_attention` the model also attends
        to the states of an encoder.
      recompute: recompute activations to save memory, see `ElectraEncoder`.

    Raises:
      InputError: the configuration is not a decoder's (Hugging Face's class only warns), so that
        every token would see those that it should predict; or an argument of `generate` is out of
        range.

    Example:
      >>> model = ElectraForCausalLM(ElectraConfig(num_hidden_layers=2, is_decoder=True))
      >>> ids = tf.constant([[2, 5, 6]])
      >>> model(input_ids=ids, labels=ids)["loss"].shape
      TensorShape([])
      >>> model.generate(ids, max_new_tokens=4).shape
      TensorShape([1, 7])

    Reference: Hugging Face's `ElectraForCausalLM`.
    """

    hugging_face_class = "ElectraForCausalLM"
    _head_inputs: tuple[str, ...] = ()

    def __init__(self, config: ElectraConfig, recompute: bool = False, **kwargs: Any):
        if not config.is_decoder:
            raise InputError(
                "config.is_decoder must be true, was false: every token would see those that it "
                "should predict; pass is_decoder=True, also to from_pretrained"
            )
        super().__init__(config, recompute, **kwargs)

    def _comparisons(self, outputs, labels, inputs):
        labels, logits = tf.convert_to_tensor(labels["labels"]), outputs["logits"]
        check_labels(labels, logits.shape[:-1])
        # The scores at position i predict the token at i + 1; the last ones have no target.
        return {"logits": compare_classes(labels[:, 1:], logits[:, :-1])}

    # === Generation ===

    def generate(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        max_new_tokens: int = 20,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | None = None,
        eos_token_id: int | Sequence[int] | None = None,
        encoder_hidden_states: Any = None,
        encoder_attention_mask: Any = None,
    ) -> tf.Tensor:
        """Return prompts with generated tokens, int32 `[batch, length + max_new_tokens]`.

        Every step chooses the likeliest token, or samples one. Runs eagerly, inside a `tf.function`
        and under XLA; keys and values are computed once for every token. Prompts of several lengths
        may be padded on either side, and each is continued as it would be alone; the new tokens
        follow after the padding.

        Args:
          input_ids: prompts, integer `[batch, length]`, at least one token each; None for
            `bos_token_id`, once or for each example of the encoder.
          attention_mask: `[batch, length]`, 1 at tokens, 0 at padding; None for all tokens.
          max_new_tokens: number of tokens to add.
          do_sample: sample from the probabilities instead of choosing the likeliest token.
          temperature: divisor of the scores; below 1 likely tokens become likelier.
          top_k: number of likeliest tokens to sample from; None for all.
          seed: seed of the samples, which are then the same for an example in any batch; None for
            the current random stream.
          eos_token_id: token or tokens that end a text, after which comes `pad_token_id`; None for
            those of the configuration.
          encoder_hidden_states: states of an encoder, `[batch, from, hidden_size]`.
          encoder_attention_mask: mask of these states, `[batch, from]`.

        Raises:
          InputError: there would be more than `max_position_embeddings` tokens, there is no prompt
            and no `bos_token_id`, or an argument is out of range.
        """
        prompt = tf.cast(self._prompt(input_ids, encoder_hidden_states), tf.int32)  # [B, L]
        batch, length = ops.shape_list(prompt)
        self._check_generation(length, max_new_tokens, temperature, top_k)
        mask = tf.ones_like(prompt) if attention_mask is None else tf.cast(attention_mask, tf.int32)
        # With the padding first, every text ends at the same index, where the next token goes.
        tokens, mask = _pad_left(prompt, mask)
        # The slots of new tokens count as real from the start, so that one mask serves all steps:
        # the causal mask excludes the slots that are not written yet.
        mask = tf.pad(mask, [[0, 0], [0, max_new_tokens]], constant_values=1)  # [B, L + new]
        cache = self.encoder.init_cache(batch, length + max_new_tokens, encoder_hidden_states)
        endings = self.config.eos_token_id if eos_token_id is None else eos_token_id
        choose: Callable = _Sampler(temperature, top_k, seed) if do_sample else _likeliest
        padding = self.config.pad_token_id or 0

        def next_token(step, tokens, first, cache, ended):
            # `tokens` [B, T] take the slots from `first` on: the prompt, then one token at a time.
            scores, cache = self._next_scores(tokens, first, mask, cache, encoder_attention_mask)
            token = tf.where(ended, padding, choose(scores, step))  # [B]
            return token, cache, ended | _is_any(token, endings)

        def add_token(step, new, token, cache, ended):
            # `token` was chosen in the step before, so its slot is `length + step - 1`.
            token, cache, ended = next_token(
                step, token[:, tf.newaxis], length + step - 1, cache, ended
            )
            # A masked write: XLA needs an array of static shape.
            new = tf.where(tf.range(max_new_tokens) == step, token[:, tf.newaxis], new)
            return step + 1, new, token, cache, ended

        # Step 0 is outside the loop: the prompt is longer than the single tokens after it, and the
        # shapes in a loop must not change.
        ended = tf.zeros([batch], tf.bool)
        token, cache, ended = next_token(tf.constant(0), tokens, 0, cache, ended)
        new = tf.where(tf.range(max_new_tokens) == 0, token[:, tf.newaxis], padding)
        _, new, *_ = tf.while_loop(
            lambda step, new, token, cache, ended: ~tf.reduce_all(ended),
            add_token,
            (tf.constant(1), new, token, cache, ended),
            maximum_iterations=max_new_tokens - 1,
        )
        return tf.concat([prompt, new], axis=1)

    def _prompt(self, input_ids: Any, encoder_hidden_states: Any) -> tf.Tensor:
        if input_ids is not None:
            return tf.convert_to_tensor(input_ids)
        if self.config.bos_token_id is None:
            raise InputError(
                "input_ids must be [batch, length] if the configuration has no bos_token_id to "
                "begin with, were None"
            )
        rows = 1 if encoder_hidden_states is None else tf.shape(encoder_hidden_states)[0]
        return tf.fill([rows, 1], self.config.bos_token_id)

    def _next_scores(self, tokens, first, mask, cache, encoder_attention_mask):
        """Return scores `[B, V]` of the token after `tokens` `[B, T]`, and the extended cache."""
        # Positions count tokens only, so that padding does not shift them. At padding in front of a
        # text they would be -1, which no table holds; nothing attends to it.
        positions = tf.maximum(tf.cumsum(mask, axis=1) - 1, 0)  # [B, L + new]
        count = ops.shape_list(tokens)[1]
        inputs = {
            "input_word_ids": tokens,
            "input_mask": mask,
            "position_ids": tf.slice(positions, [0, first], [-1, count]),
            "past_key_values": cache,
            "encoder_attention_mask": encoder_attention_mask,
        }
        encoded = self.encoder(
            {name: x for name, x in inputs.items() if x is not None},
            training=False,
            use_cache=True,
            cache_index=first,
        )
        # The vocabulary is scored at the last position only.
        last = encoded["sequence_output"][:, -1:]  # [B, 1, H]
        return self.masked_lm(last)[:, 0], encoded["past_key_values"]

    def _check_generation(self, length, max_new_tokens, temperature, top_k):
        longest, vocabulary = self.config.max_position_embeddings, self.config.vocab_size
        if max_new_tokens < 1:
            raise InputError(f"max_new_tokens must be at least 1, was {max_new_tokens!r}")
        if isinstance(length, int) and length + max_new_tokens > longest:
            raise InputError(
                f"max_new_tokens must be at most {longest - length} after {length} tokens, as "
                f"max_position_embeddings={longest}, was {max_new_tokens}"
            )
        if temperature <= 0:
            raise InputError(f"temperature must be above 0, was {temperature!r}")
        if top_k is not None and not 1 <= top_k <= vocabulary:
            raise InputError(f"top_k must be 1 to vocab_size={vocabulary}, was {top_k!r}")


class _Sampler:
    """Samples tokens; the bits are a function of seed, step and index of the example."""

    def __init__(self, temperature: float, top_k: int | None, seed: int | None):
        self.temperature, self.top_k = temperature, top_k
        if seed is None:
            self.key, self.first_row = randomness.next_key()
        else:
            self.key, self.first_row = randomness.Key(seed), 0

    def __call__(self, scores: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Return int32 `[B]` for scores `[B, V]`."""
        if self.top_k is not None:
            least = tf.math.top_k(scores, self.top_k).values[:, -1:]  # [B, 1]; ties with it remain
            scores = tf.where(scores >= least, scores, scores.dtype.min)
        # The step may be a tensor of a loop, which `Key.fold` does not take; the seed may be one.
        seed = self.key.seed
        seed = tf.constant(seed % 2**64, tf.uint64) if isinstance(seed, int) else seed
        seed += tf.cast(step, tf.uint64) * tf.constant(_STRIDE, tf.uint64)
        key = dataclasses.replace(self.key, seed=seed)
        scores = scores[:, tf.newaxis]  # [B, 1, V]
        return ops.sample_tokens(scores, key, self.first_row, self.temperature)[:, 0]


def _likeliest(scores: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    return tf.argmax(scores, axis=-1, output_type=tf.int32)


def _is_any(tokens: tf.Tensor, endings: int | Sequence[int] | None) -> tf.Tensor:
    """Return bool `[B]`: whether tokens `[B]` are among `endings`."""
    if endings is None:
        return tf.zeros_like(tokens, tf.bool)
    return tf.reduce_any(tokens[:, tf.newaxis] == tf.reshape(endings, [1, -1]), axis=1)


def _pad_left(ids: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return ids and mask with the padding before the tokens, which retain their order."""
    order = tf.argsort(mask, axis=1, stable=True)  # 0, padding, sorts before 1
    return tf.gather(ids, order, batch_dims=1), tf.gather(mask, order, batch_dims=1)
