"""A decoder that continues texts."""

import dataclasses

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import ops
from official_nlp.modeling.models.electra_for import check_labels, ignoring
from official_nlp.modeling.models.electra_for_masked_lm import ElectraForMaskedLM
from official_nlp.modeling.networks.electra_config import ElectraConfig

# Odd and far from any small number: steps and seeds beside one another share no stream.
_STRIDE = 0x9E3779B97F4A7C15


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraForCausalLM(ElectraForMaskedLM):
    """A decoder: scores every token of the vocabulary as the next one, at every position.

    The head is the generator's, so that a generator's weights can be loaded.

    Call: see `ElectraFor`. `labels` are integer `[batch, length]`, usually the ids themselves, -100
    where a token does not count; they are shifted by one place in the loss, the mean cross-entropy
    of each token by the scores before it, and so are the targets of metrics. `logits` `[batch,
    length, vocab_size]`. Inputs of a decoder, with their shapes in `ElectraEncoder`:
    `past_key_values`, `encoder_hidden_states`, `encoder_attention_mask`. Unless `use_cache` or the
    configuration forbids it, the outputs hold `past_key_values` to go on with.

    Args:
      config: an `ElectraConfig` with `is_decoder`; with `add_cross_attention` it attends to the
        states of an encoder, too.
      recompute: compute activations twice to hold fewer, see `ElectraEncoder`.

    Raises:
      InputError: the configuration is not a decoder's, where Hugging Face's class warns: every
        token would see the ones it should tell. Or an argument of `generate` is out of range.

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
    _own_inputs = ()

    def __init__(self, config: ElectraConfig, recompute=False, **kwargs):
        if not config.is_decoder:
            raise InputError(
                "config.is_decoder must be true, was false: every token would see the ones it "
                "should tell; give is_decoder=True, to from_pretrained too"
            )
        super().__init__(config, recompute, **kwargs)

    def _scored(self, outputs, labels, inputs):
        labels, logits = tf.convert_to_tensor(labels["labels"]), outputs["logits"]
        check_labels(labels, logits.shape[:-1])
        return {"logits": ignoring(labels[:, 1:], logits[:, :-1])}

    # === Generation ===
    def generate(
        self,
        input_ids=None,
        attention_mask=None,
        max_new_tokens=20,
        do_sample=False,
        temperature=1.0,
        top_k=None,
        seed=None,
        eos_token_id=None,
        encoder_hidden_states=None,
        encoder_attention_mask=None,
    ) -> tf.Tensor:
        """Returns int32 `[batch, length + max_new_tokens]`: the texts, each continued.

        Takes the likeliest token at every step, or draws one. Runs eagerly, inside a
        `tf.function` and under XLA; keys and values are computed once for every token. Texts of
        several lengths may be padded on either side, and are continued as each would be alone; the
        new tokens stand after the padding.

        Args:
          input_ids: integer `[batch, length]`, at least one token a row; None for
            `bos_token_id`, in one row or as many as the encoder has.
          attention_mask: `[batch, length]`, 1 real, 0 padding; None for all real.
          max_new_tokens: how many to add.
          do_sample: draw from the probabilities in place of taking the likeliest.
          temperature: of the draws; below 1 likely tokens become likelier.
          top_k: None; or draw from this many likeliest tokens only.
          seed: integer, with which the draws are the same every time, for a row in any batch; None
            for the current random stream.
          eos_token_id: ends a row, what follows is `pad_token_id`; an integer or a list of these.
            None for the configuration's.
          encoder_hidden_states: `[batch, from, hidden_size]`, of an encoder.
          encoder_attention_mask: `[batch, from]`.

        Raises:
          InputError: there would be more than `max_position_embeddings` tokens, there is nothing
            to begin with, or an argument is out of range.
        """
        prompt = tf.cast(self._prompt(input_ids, encoder_hidden_states), tf.int32)  # [B, L]
        batch, length = ops.shape_list(prompt)
        self._check_generation(length, max_new_tokens, temperature, top_k)
        mask = tf.ones_like(prompt) if attention_mask is None else tf.cast(attention_mask, tf.int32)
        tokens, mask = _padded_on_the_left(prompt, mask)
        mask = tf.pad(mask, [[0, 0], [0, max_new_tokens]], constant_values=1)  # [B, L + new]
        cache = self.encoder.init_cache(batch, length + max_new_tokens, encoder_hidden_states)
        endings = self.config.eos_token_id if eos_token_id is None else eos_token_id
        choose = _Drawn(temperature, top_k, seed) if do_sample else _likeliest
        padding = self.config.pad_token_id or 0

        def next_token(step, tokens, first, cache, ended):
            scores, cache = self._scores_of_the_next(
                tokens, first, mask, cache, encoder_attention_mask
            )
            token = tf.where(ended, padding, choose(scores, step))  # [B]
            return token, cache, ended | _is_any(token, endings)

        def continued(step, written, token, cache, ended):
            token, cache, ended = next_token(
                step, token[:, tf.newaxis], length + step - 1, cache, ended
            )
            here = tf.range(max_new_tokens) == step
            return step + 1, tf.where(here, token[:, tf.newaxis], written), token, cache, ended

        ended = tf.zeros([batch], tf.bool)
        token, cache, ended = next_token(tf.constant(0), tokens, 0, cache, ended)
        written = tf.where(tf.range(max_new_tokens) == 0, token[:, tf.newaxis], padding)
        _, written, *_ = tf.while_loop(
            lambda step, written, token, cache, ended: ~tf.reduce_all(ended),
            continued,
            (tf.constant(1), written, token, cache, ended),
            maximum_iterations=max_new_tokens - 1,
        )
        return tf.concat([prompt, written], axis=1)

    def _prompt(self, input_ids, encoder_hidden_states) -> tf.Tensor:
        if input_ids is not None:
            return tf.convert_to_tensor(input_ids)
        if self.config.bos_token_id is None:
            raise InputError(
                "input_ids must be [batch, length] where the configuration has no bos_token_id to "
                "begin with, were None"
            )
        rows = 1 if encoder_hidden_states is None else tf.shape(encoder_hidden_states)[0]
        return tf.fill([rows, 1], self.config.bos_token_id)

    def _scores_of_the_next(self, tokens, first, mask, cache, encoder_attention_mask):
        """Returns float32 `[B, V]` of what follows `tokens` `[B, T]`, and the cache with these."""
        positions = tf.maximum(tf.cumsum(mask, axis=1) - 1, 0)
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


class _Drawn:
    """Draws tokens: the bits of a row are a function of seed, step and row."""

    def __init__(self, temperature, top_k, seed):
        self.temperature, self.top_k = temperature, top_k
        if seed is None:
            self.key, self.first_row = randomness.next_key()
        else:
            self.key, self.first_row = randomness.Key(seed), 0

    def __call__(self, scores, step):
        """Returns int32 `[B]` for scores `[B, V]`."""
        if self.top_k is not None:
            least = tf.math.top_k(scores, self.top_k).values[:, -1:]
            scores = tf.where(scores >= least, scores, scores.dtype.min)
        seed = self.key.seed
        seed = tf.constant(seed % 2**64, tf.uint64) if isinstance(seed, int) else seed
        seed += tf.cast(step, tf.uint64) * tf.constant(_STRIDE, tf.uint64)
        key = dataclasses.replace(self.key, seed=seed)
        scores = scores[:, tf.newaxis]
        return ops.sample_tokens(scores, key, self.first_row, self.temperature)[:, 0]


def _likeliest(scores, step):
    return tf.argmax(scores, axis=-1, output_type=tf.int32)


def _is_any(tokens, endings):
    """Returns bool `[B]`: whether tokens `[B]` are among `endings`."""
    if endings is None:
        return tf.zeros_like(tokens, tf.bool)
    return tf.reduce_any(tokens[:, tf.newaxis] == tf.reshape(endings, [1, -1]), axis=1)


def _padded_on_the_left(ids, mask):
    """Returns both with each row's padding before its tokens, whose order stays."""
    order = tf.argsort(mask, axis=1, stable=True)
    return tf.gather(ids, order, batch_dims=1), tf.gather(mask, order, batch_dims=1)
