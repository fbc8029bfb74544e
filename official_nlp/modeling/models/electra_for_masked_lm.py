"""The generator as a model of its own."""

from typing import Any

import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import initializers, tensor_names
from official_nlp.modeling.layers.masked_lm import MaskedLM
from official_nlp.modeling.layers.on_device_embedding import OnDeviceEmbedding
from official_nlp.modeling.models.electra_for import ElectraFor, assign_table
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraForMaskedLM(ElectraFor):
    """The generator: scores every token of the vocabulary at every position, or at some.

    Call: see `ElectraFor`. `labels` are the original tokens, integer `[batch, length]`, -100 at
    positions that are ignored; `logits` are `[batch, length, vocab_size]`. The loss is the mean
    cross-entropy over the labels that are not -100.

    With `masked_lm_positions`, integer `[batch, predictions]`, among the inputs, the vocabulary is
    scored at these positions only, which saves most of the time and memory. `logits` are then
    `[batch, predictions, vocab_size]` and `labels` `[batch, predictions]`.

    Args:
      config: configuration. With `tie_word_embeddings` the output layer uses the word table,
        otherwise a table of its own.
      recompute: recompute activations to save memory, see `ElectraEncoder`.

    Raises:
      InputError: `set_output_embeddings` is called on a model with tied tables.

    Example:
      >>> model = ElectraForMaskedLM(ElectraConfig(vocab_size=100, num_hidden_layers=2))
      >>> ids = tf.constant([[2, 4, 6, 3]])
      >>> model(input_ids=ids, labels=tf.constant([[-100, 5, -100, -100]]))["logits"].shape
      TensorShape([1, 4, 100])
      >>> model(input_ids=ids, masked_lm_positions=tf.constant([[1]]))["logits"].shape
      TensorShape([1, 1, 100])

    Reference: paper section 2; Hugging Face's `ElectraForMaskedLM`.
    """

    hugging_face_class = "ElectraForMaskedLM"
    _head_inputs: tuple[str, ...] = ("masked_lm_positions",)

    def __init__(self, config: ElectraConfig, recompute: bool = False, **kwargs: Any):
        super().__init__(config, recompute, **kwargs)
        self.masked_lm = MaskedLM(
            self._output_table(),
            activation="gelu",  # Hugging Face's head has it whatever `hidden_act` is.
            initializer=initializers.kernel_initializer(config),
            dtype=self.dtype_policy,
            name="generator_masked_lm",
            norm_epsilon=config.layer_norm_eps,
        )
        self.masked_lm.build([None, None, config.hidden_size])

    def _output_table(self) -> OnDeviceEmbedding:
        if self.config.tie_word_embeddings:
            return self.encoder.get_embedding_layer()
        return OnDeviceEmbedding(
            self.config.vocab_size,
            self.config.embedding_size,
            initializer=initializers.table_initializer(self.config),
            name="generator_lm_head",
        )

    def named_tensors(self) -> list[NamedTensor]:
        head = self.masked_lm
        # A tied table is in the list already, as the word table of the encoder.
        table = [] if self.config.tie_word_embeddings else [("weight", head.table)]
        return [
            *tensor_names.encoder(self.encoder),
            *tensor_names.dense("generator_predictions.dense", head.dense),
            *tensor_names.layer_norm("generator_predictions.LayerNorm", head.layer_norm),
            *(
                tensor_names.same_layout(f"generator_lm_head.{part}", variable)
                for part, variable in [*table, ("bias", head.bias)]
            ),
        ]

    def _head(self, sequence, inputs, training):
        return {"logits": self.masked_lm(sequence, inputs.get("masked_lm_positions"))}

    def get_output_embeddings(self) -> OnDeviceEmbedding:
        """Return the layer of the output table; with tied tables, that of the word table."""
        return self.masked_lm.embedding_table

    def set_output_embeddings(self, value: Any) -> None:
        """Assign an output table.

        Args:
          value: `[vocab_size, embedding_size]`, or an `OnDeviceEmbedding` with such a table.

        Raises:
          InputError: the shape differs, or the tables are tied.
        """
        if self.config.tie_word_embeddings:
            raise InputError(
                "the output is tied to the word table: call set_input_embeddings, or build with "
                "tie_word_embeddings=False"
            )
        assign_table(self.masked_lm.embedding_table, value)
