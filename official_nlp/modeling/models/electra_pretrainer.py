"""Generator and discriminator, trained together."""

import types
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import loss_terms, randomness
from official_nlp.errors import InputError
from official_nlp.modeling import fused, initializers, losses, ops
from official_nlp.modeling.layers.classification_head import ClassificationHead
from official_nlp.modeling.layers.masked_lm import MaskedLM
from official_nlp.modeling.models import network_contract, pretrainer_inputs
from official_nlp.modeling.models import sharing as sharing_modes
from official_nlp.modeling.networks.electra_config import ElectraConfig

# Numbered scopes of the random stream. A part's bits depend on its number and not on which other
# parts ran before it, so the three parts can be called one by one.
_GENERATE, _SAMPLE, _DISCRIMINATE = range(3)
_REQUIRED = ("input_word_ids", "masked_lm_positions", "masked_lm_ids")


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraPretrainer(tf_keras.Model):
    """ELECTRA's joint model: a generator proposes tokens, a discriminator detects them.

    Call: a dict with `input_word_ids` (with [MASK] tokens), `input_mask`, `input_type_ids` integer
    `[batch, length]` (or `input_ids`, `attention_mask`, `token_type_ids`, Hugging Face's names),
    `masked_lm_positions` and `masked_lm_ids` integer `[batch, predictions]`,
    and optional `masked_lm_weights` (0 at unused slots; without it, slots at position 0 are
    unused). Without mask and types, all tokens are real and of type 0. Packed examples, which hold
    several documents, have `document_ids` integer `[batch, length]` instead of the mask: 1, 2, ...
    number the documents of an example, 0 is padding. A document attends only to itself, in both
    networks, which must then be `ElectraEncoder`s. Returns a dict:

      `lm_outputs`: `[batch, predictions, vocab_size]`, scores of the generator.
      `sentence_outputs`: `[batch, num_classes]`, scores of the sentence head on the generator.
      `disc_logits`: `[batch, length]`, above 0 at tokens that the discriminator predicts as
        replaced.
      `disc_label`: int32 `[batch, length]`, 1 where the sampled token differs from the original.

    Tokens are sampled in training and in inference, from the current random stream
    (`official_nlp.randomness.stream`). A call is a function of the stream's key, and equals
    `generate`, `corrupt` and `discriminate` one by one, however often and under whichever executor
    it is run or traced. A second call in one stream therefore draws the same samples: open a
    stream, or a numbered `randomness.scope()`, for each step. Outside a stream every call draws new
    samples. No gradient flows from the discriminator through the samples.

    The loss is `losses.electra_loss`; `compile(optimizer, generator_weight,
    discriminator_weight)` and `fit` minimize it.

    Args:
      generator_network: network that, called with a dict of exactly the three inputs above named
        `input_*`, returns a dict with `sequence_output` `[batch, length, width]`, or a list of
        them whose last element is used; and that has `get_embedding_table()` or
        `get_embedding_layer()`.
      discriminator_network: another such network, whose word table is not needed; or the same one.
      vocab_size: number of tokens.
      num_classes: number of outputs of the sentence head; 0 for no head.
      num_token_predictions: largest number of predicted positions per example, P; more are refused.
      mlm_activation: activation of the heads; None is linear.
      mlm_initializer: initializer of the kernels of the heads.
      output_type: `logits` or `predictions` (log-probabilities) for `lm_outputs`.
      disallow_correct: never sample the original token.
      temperature: temperature of the sampling.
      sharing: expected sharing mode of the networks, see `sharing.MODES` and `from_config_pair`;
        None for any.
      average_duplicates: see `ReferenceQuirks.average_duplicates`.
      discriminator_activation: activation of the discriminator's head; None for `mlm_activation`.

    Raises:
      TypeError: a network does not satisfy the contract.
      InputError: the networks share variables in another mode than `sharing`, or an argument is out
        of range.

    Example:
      >>> discriminator = ElectraConfig(vocab_size=100, num_hidden_layers=2)
      >>> model = ElectraPretrainer.from_config_pair(discriminator.generator(0.25), discriminator)
      >>> ids = tf.constant([[2, 4, 6, 3]])
      >>> outputs = model({"input_word_ids": ids, "masked_lm_positions": [[1]],
      ...                  "masked_lm_ids": [[5]]})
      >>> outputs["lm_outputs"].shape
      TensorShape([1, 1, 100])

    Reference: Clark et al. 2020 (arXiv 2003.10555), section 2.
    """

    def __init__(
        self,
        generator_network: Any,
        discriminator_network: Any,
        vocab_size: int,
        num_classes: int,
        num_token_predictions: int,
        mlm_activation: Any = None,
        mlm_initializer: Any = "glorot_uniform",
        output_type: str = "logits",
        disallow_correct: bool = False,
        temperature: float = 1.0,
        sharing: str | None = None,
        average_duplicates: bool = False,
        discriminator_activation: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if temperature <= 0:
            raise InputError(f"temperature must be above 0, was {temperature!r}")
        # The discriminator comes first, as in tfnlp: `set_weights` accepts the list of its weights.
        self.discriminator_network = discriminator_network
        self.generator_network = generator_network
        self.vocab_size = vocab_size
        self.num_classes = num_classes
        self.num_token_predictions = num_token_predictions
        self.mlm_activation = ops.activation(mlm_activation)
        self.discriminator_activation = self.mlm_activation
        if discriminator_activation is not None:
            self.discriminator_activation = ops.activation(discriminator_activation)
        self.mlm_initializer = tf_keras.initializers.get(mlm_initializer)
        self.output_type = output_type
        self.disallow_correct = disallow_correct
        self.temperature = temperature
        self.average_duplicates = average_duplicates
        generator_width = network_contract.checked_width(generator_network, "generator_network")
        discriminator_width = network_contract.checked_width(
            discriminator_network, "discriminator_network"
        )
        self.sharing = sharing_modes.checked(sharing, generator_network, discriminator_network)
        self._build_heads(generator_width, discriminator_width)
        # Weights of the joint loss L_MLM + lambda * L_Disc (paper section 2); the paper's lambda.
        self.generator_weight, self.discriminator_weight = 1.0, 50.0
        # The namespace hides the metrics from Keras, which would count their variables among the
        # model's.
        self._fit_state = types.SimpleNamespace(compile_options=None, metrics={})
        self.built = True

    def _build_heads(self, generator_width: int, discriminator_width: int) -> None:
        # The head is tied to the generator's table. Unless the mode is `untied` or `gdes`, the
        # discriminator has the same table.
        table = network_contract.embedding_table(self.generator_network)
        if table.shape[0] != self.vocab_size:
            raise InputError(
                f"vocab_size must be the generator's, {table.shape[0]}, was {self.vocab_size}"
            )
        self.masked_lm = MaskedLM(
            table,
            activation=self.mlm_activation,
            initializer=ops.copy_initializer(self.mlm_initializer),
            output=self.output_type,
            dtype=self.dtype_policy,
            name="generator_masked_lm",
            norm_epsilon=network_contract.norm_epsilon(self.generator_network),
        )
        self.masked_lm.build([None, None, generator_width])
        self.classification = None
        if self.num_classes:
            self.classification = ClassificationHead(
                generator_width,
                self.num_classes,
                initializer=ops.copy_initializer(self.mlm_initializer),
                dtype=self.dtype_policy,
                name="generator_classification_head",
            )
            self.classification.build([None, None, generator_width])
        self.discriminator_projection = ops.dense(
            discriminator_width,
            self.mlm_initializer,
            self.dtype_policy,
            "discriminator_projection_head",
        )
        self.discriminator_head = ops.dense(
            1, self.mlm_initializer, tf.float32, "discriminator_head"
        )
        for dense in (self.discriminator_projection, self.discriminator_head):
            dense.build([None, None, discriminator_width])

    @classmethod
    def from_config_pair(
        cls,
        generator: ElectraConfig,
        discriminator: ElectraConfig,
        sharing: str = "shared",
        num_classes: int = 0,
        num_token_predictions: int | None = None,
        recompute: bool = False,
        **kwargs: Any,
    ) -> "ElectraPretrainer":
        """Return a model with both networks, and heads as in google-research/electra.

        As in Hugging Face's models, the generator's head has the exact GELU whatever activation the
        networks have, and the discriminator's head has the `hidden_act` of its network.

        Args:
          generator: configuration of the generator.
          discriminator: configuration of the discriminator.
          sharing: variables that both networks share. `shared`: word, position and type tables and
            their LayerNorm, as in google-research/electra; `word_only`: the word table, as in
            tfnlp; `untied`: none; `whole`: all, one encoder is both; `gdes`: none, but the
            discriminator's embeddings are the generator's plus differences, which start at zero,
            and its gradient stops there (`DisentangledEmbeddings`).
          num_classes: number of outputs of the sentence head; 0 for no head.
          num_token_predictions: largest number of predicted positions per example; None for the
            length.
          recompute: recompute activations to save memory, see `ElectraEncoder`.
          **kwargs: arguments of the constructor; `dtype` is also the policy of the networks.

        Raises:
          InputError: the two configurations do not allow the mode.
        """
        if num_token_predictions is None:
            num_token_predictions = discriminator.max_position_embeddings
        policy = {"dtype": kwargs["dtype"]} if "dtype" in kwargs else {}
        first, second = sharing_modes.build_pair(
            generator, discriminator, sharing, recompute=recompute, **policy
        )
        kwargs.setdefault("mlm_activation", "gelu")
        kwargs.setdefault("discriminator_activation", discriminator.hidden_act)
        kwargs.setdefault("mlm_initializer", initializers.kernel_initializer(discriminator))
        return cls(
            first,
            second,
            vocab_size=generator.vocab_size,
            num_classes=num_classes,
            num_token_predictions=num_token_predictions,
            sharing=sharing,
            **kwargs,
        )

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, tf.Tensor]:
        inputs = self._read(inputs, _REQUIRED)
        generated = self.generate(inputs, training=training)
        corrupted = self.corrupt(inputs, generated["lm_outputs"])
        disc_logits = self.discriminate(
            corrupted["input_word_ids"],
            inputs.get("input_mask"),
            inputs.get("input_type_ids"),
            training=training,
            document_ids=inputs.get("document_ids"),
        )
        return {**generated, "disc_logits": disc_logits, "disc_label": corrupted["disc_label"]}

    def generate(
        self, inputs: Mapping[str, Any], training: bool | None = None
    ) -> dict[str, tf.Tensor]:
        """Run the generator on the masked text.

        Args:
          inputs: the batch; `masked_lm_ids` and `masked_lm_weights` are not needed.
          training: whether dropout is applied.

        Returns:
          `lm_outputs` `[batch, predictions, vocab_size]` and `sentence_outputs`
          `[batch, num_classes]`, both float32.

        Raises:
          InputError: an input is missing, or there are more than `num_token_predictions`.
        """
        inputs = self._read(inputs, ("input_word_ids", "masked_lm_positions"))
        with randomness.scope(_GENERATE, training=bool(training)):
            sequence = network_contract.run(self.generator_network, inputs, training)
            lm_outputs = self.masked_lm(sequence, inputs["masked_lm_positions"])
            if self.classification is None:
                # tfnlp's contract has four outputs: without the head this one is empty, [B, 0].
                sentence_outputs = tf.zeros([tf.shape(sequence)[0], 0], tf.float32)
            else:
                sentence_outputs = self.classification(sequence, training=training)
        return {"lm_outputs": lm_outputs, "sentence_outputs": sentence_outputs}

    def corrupt(
        self, inputs: Mapping[str, Any], lm_outputs: tf.Tensor | None, sampled_ids: Any = None
    ) -> dict[str, tf.Tensor]:
        """Replace the masked tokens by sampled ones.

        Args:
          inputs: the batch.
          lm_outputs: `[batch, predictions, vocab_size]`; None with `sampled_ids`.
          sampled_ids: tokens to use, integer `[batch, predictions]`; None to sample them.

        Returns:
          `input_word_ids` `[batch, length]`, the corrupted text; `disc_label` int32
          `[batch, length]`, 1 where it differs from the original; `sampled_ids` integer
          `[batch, predictions]`.

        Raises:
          InputError: an input is missing.
        """
        inputs = self._read(inputs, _REQUIRED)
        if sampled_ids is None:
            with randomness.scope(_SAMPLE):
                key, first_row = randomness.next_key()
            disallowed = inputs["masked_lm_ids"] if self.disallow_correct else None
            sampled_ids = ops.sample_tokens(
                lm_outputs, key, first_row, self.temperature, disallowed
            )
        positions = tf.convert_to_tensor(inputs["masked_lm_positions"])
        masked_ids = tf.convert_to_tensor(inputs["input_word_ids"])
        active = losses.prediction_weights(inputs) > 0
        average = self.average_duplicates  # a reference quirk, see `ReferenceQuirks`
        # The original text is restored first. A sample that equals the original token is therefore
        # no replacement, and tokens that masking left unchanged are compared like the others.
        original = ops.scatter_tokens(
            masked_ids, positions, inputs["masked_lm_ids"], active, average
        )
        corrupted = ops.scatter_tokens(original, positions, sampled_ids, active, average)
        label = tf.cast(corrupted != original, tf.int32)
        return {
            # The discriminator's loss is not propagated through the sampling (paper section 2).
            "input_word_ids": tf.stop_gradient(corrupted),
            "disc_label": label,
            "sampled_ids": sampled_ids,
        }

    def discriminate(
        self,
        ids: Any,
        input_mask: Any = None,
        input_type_ids: Any = None,
        training: bool | None = None,
        document_ids: Any = None,
    ) -> tf.Tensor:
        """Run the discriminator on a text.

        Args:
          ids: tokens, integer `[batch, length]`, the shape of all other tensors.
          input_mask: 1 at tokens, 0 at padding; None for no padding.
          input_type_ids: types of the tokens; None for type 0.
          training: whether dropout is applied.
          document_ids: documents of packed examples, see the call; they replace the mask.

        Returns:
          Float32 `[batch, length]`, above 0 at tokens that are predicted as replaced.
        """
        inputs = {
            "input_word_ids": ids,
            "input_mask": input_mask,
            "input_type_ids": input_type_ids,
            "document_ids": document_ids,
        }
        with randomness.scope(_DISCRIMINATE, training=bool(training)):
            sequence = network_contract.run(self.discriminator_network, inputs, training)
            # D(x, t) = sigmoid(w^T h_D(x)_t), with a dense layer before w as in google-research.
            hidden = fused.activated(
                self.discriminator_activation, self.discriminator_projection(sequence), training
            )
            return self.discriminator_head(hidden)[..., 0]

    # === Training with fit ===

    def compile(
        self,
        optimizer: Any = "adam",
        generator_weight: float = 1.0,
        discriminator_weight: float = 50.0,
        **kwargs: Any,
    ) -> None:
        """Prepare `fit`.

        Args:
          optimizer: optimizer of tf_keras, or its name.
          generator_weight: factor of the generator's loss.
          discriminator_weight: factor of the discriminator's loss.
          **kwargs: arguments of `tf_keras.Model.compile` other than losses and metrics.

        Raises:
          InputError: the arguments contain a loss or a metric.
        """
        for name in ("loss", "metrics", "loss_weights", "weighted_metrics"):
            if kwargs.get(name) is not None:
                raise InputError(
                    f"{name} must be left out, was {kwargs[name]!r}; the model has its own loss "
                    "and metrics, see generator_weight and discriminator_weight"
                )
        super().compile(optimizer=optimizer, **kwargs)
        self.generator_weight = generator_weight
        self.discriminator_weight = discriminator_weight
        self._fit_state.compile_options = kwargs
        self._fit_state.metrics = {
            name: tf_keras.metrics.Mean(name=name) for name in ("loss", "mlm_loss", "rtd_loss")
        }

    @property
    def loss_weights(self) -> dict[str, float]:
        """Factors of the loss terms by name; a term without one has the factor 1."""
        return {"mlm": self.generator_weight, "rtd": self.discriminator_weight}

    @property
    def metrics(self) -> list[tf_keras.metrics.Metric]:
        return list(self._fit_state.metrics.values())

    def fit(self, x: Any = None, *args: Any, **options: Any) -> tf_keras.callbacks.History:
        """Train, as `tf_keras.Model.fit`, on dicts of inputs without labels and sample weights."""
        if isinstance(x, Mapping):  # Whose values are known before a graph is built.
            self._read(x, _REQUIRED)
        return super().fit(x, *args, **options)

    def _batch_of(self, data: Any) -> dict[str, tf.Tensor]:
        inputs, labels, sample_weight = tf_keras.utils.unpack_x_y_sample_weight(data)
        if sample_weight is not None:
            raise InputError(
                "sample_weight and class_weight must be left out: the loss counts predicted "
                "positions and tokens, not examples; give masked_lm_weights in the inputs"
            )
        if labels is not None:
            raise InputError(
                "labels must be left out: the original tokens are the input masked_lm_ids, and "
                "next_sentence_labels is an input too"
            )
        return self._read(inputs, _REQUIRED)

    def _read(self, inputs: Any, required: Sequence[str]) -> dict[str, tf.Tensor]:
        return pretrainer_inputs.read(inputs, required, self.vocab_size, self.num_token_predictions)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        inputs = self._batch_of(data)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(inputs, y_pred=self(inputs, training=True))
        # Under mixed_float16 the optimizer scales the loss, as it does for all models of Keras.
        if isinstance(self.optimizer, tf_keras.optimizers.legacy.Optimizer):
            self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        else:
            # `minimize` would warn about variables that no loss reaches. Here that is no mistake:
            # a foreign network may have a pooler, for example.
            pairs = self.optimizer.compute_gradients(loss, self.trainable_variables, tape)
            self.optimizer.apply_gradients([(g, v) for g, v in pairs if g is not None])
        return self.get_metrics_result()

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        inputs = self._batch_of(data)
        self.compute_loss(inputs, y_pred=self(inputs, training=False))
        return self.get_metrics_result()

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> tf.Tensor:
        terms = losses.electra_loss(x, y_pred)
        total = loss_terms.replica_loss(terms, self.loss_weights, self.losses)
        # Compiled by XLA, tables return some row for an id outside them: no loss is better than a
        # wrong one.
        total = tf.where(pretrainer_inputs.are_valid(x, self.vocab_size), total, float("nan"))
        metrics = self._fit_state.metrics
        # The metric is the mean over replicas, the loss is the sum of their totals.
        metrics["loss"].update_state(total * loss_terms.replica_count())
        for name in ("mlm", "rtd"):
            _, weight = terms[name]
            mean = loss_terms.weighted_total({name: terms[name]}, {})
            metrics[f"{name}_loss"].update_state(mean, sample_weight=weight)
        return total

    @property
    def checkpoint_items(self) -> dict[str, Any]:
        """What a fine-tuning job restores: the discriminator, under tfnlp's name `encoder`."""
        return {"encoder": self.discriminator_network}

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        networks = sharing_modes.serialize(
            self.generator_network, self.discriminator_network, self.sharing
        )
        return {
            **networks,
            "vocab_size": self.vocab_size,
            "num_classes": self.num_classes,
            "num_token_predictions": self.num_token_predictions,
            "mlm_activation": tf_keras.activations.serialize(self.mlm_activation),
            "discriminator_activation": tf_keras.activations.serialize(
                self.discriminator_activation
            ),
            "mlm_initializer": tf_keras.initializers.serialize(self.mlm_initializer),
            "output_type": self.output_type,
            "disallow_correct": self.disallow_correct,
            "temperature": self.temperature,
            "sharing": self.sharing,
            "average_duplicates": self.average_duplicates,
            "name": self.name,
            "dtype": self.dtype_policy.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "ElectraPretrainer":
        """Return a model of a configuration from `get_config`, with the same sharing."""
        return cls(**{**config, **sharing_modes.deserialize(config, custom_objects)})

    def get_compile_config(self) -> dict[str, Any] | None:
        if self._fit_state.compile_options is None:
            return None
        return {
            "optimizer": tf_keras.saving.serialize_keras_object(self.optimizer),
            "generator_weight": self.generator_weight,
            "discriminator_weight": self.discriminator_weight,
            **self._fit_state.compile_options,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        config = dict(config)
        optimizer = tf_keras.saving.deserialize_keras_object(config.pop("optimizer"))
        self.compile(optimizer=optimizer, **config)
        # Creates the slots, into which the file's values are then loaded.
        optimizer.build(self.trainable_variables)
