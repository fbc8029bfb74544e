"""Generator and discriminator, trained together."""

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import initializers, losses, ops
from official_nlp.modeling.layers.classification_head import ClassificationHead
from official_nlp.modeling.layers.masked_lm import MaskedLM
from official_nlp.modeling.models import network_contract
from official_nlp.modeling.models import sharing as sharing_modes
from official_nlp.modeling.networks.electra_config import ElectraConfig

# Places in the random stream: structure, so that a part's bits do not depend on the others' calls.
_GENERATE, _SAMPLE, _DISCRIMINATE = range(3)


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraPretrainer(tf_keras.Model):
    """The joint model of ELECTRA: a generator fills blanks, a discriminator finds what it filled.

    Call: a dict with `input_word_ids` (with [MASK]s), `input_mask`, `input_type_ids` integer
    `[batch, length]`, `masked_lm_positions` and `masked_lm_ids` integer `[batch, predictions]`,
    and optional `masked_lm_weights` (0 at unused slots; without it, slots at position 0 are
    unused). Mask and types may be missing: all real, all of type 0. Rows that hold several
    documents have `document_ids` integer `[batch, length]` in place of the mask: 1, 2, ... the
    documents of a row, 0 padding; a document sees itself alone, in both networks, which must be
    `ElectraEncoder`s. Returns a dict:

      `lm_outputs`: `[batch, predictions, vocab_size]`, the generator's scores.
      `sentence_outputs`: `[batch, num_classes]`, the sentence head's scores, on the generator.
      `disc_logits`: `[batch, length]`, above 0 where the discriminator thinks a token replaced.
      `disc_label`: int32 `[batch, length]`, 1 where the sampled token differs from the original.

    Tokens are sampled in training and in inference, from the current random stream
    (`official_nlp.randomness.stream`): a call is a function of the stream's key, and the same as
    `generate`, `corrupt` and `discriminate` one by one, however often and under which executor it
    is run or traced. So a second call in one stream draws what the first drew: open a stream, or a
    numbered `randomness.scope()`, for each step. Outside a stream every call draws anew. No
    gradient flows from the discriminator through the samples.

    The loss is `losses.electra_loss`; `compile(optimizer, generator_weight,
    discriminator_weight)` and `fit` minimize it.

    Args:
      generator_network: a network that, called with a dict of exactly the three inputs above
        named `input_*`, returns a dict with `sequence_output` `[batch, length, width]` or a list
        of these, of which the last counts; and that has `get_embedding_table()` or
        `get_embedding_layer()`.
      discriminator_network: another, or the same.
      vocab_size: number of tokens.
      num_classes: outputs of the sentence head; 0 for no head.
      num_token_predictions: largest number of predicted positions a row, P; more are refused.
      mlm_activation: in the heads; None is linear.
      mlm_initializer: of the kernels of the heads.
      output_type: `logits` or `predictions` (log-probabilities) for `lm_outputs`.
      disallow_correct: never sample the original token.
      temperature: of the sampling.
      sharing: None to take the networks as they are; or the mode they must be in: `shared`,
        `word_only`, `untied`, `whole`, `gdes` (see `from_config_pair`).
      average_duplicates: see `ReferenceQuirks.average_duplicates`.
      discriminator_activation: in the discriminator's head; None for `mlm_activation`.

    Raises:
      TypeError: a network does not keep the contract; says what is missing.
      InputError: the networks are not in the mode `sharing` says, or an argument is out of range.

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
        generator_network,
        discriminator_network,
        vocab_size,
        num_classes,
        num_token_predictions,
        mlm_activation=None,
        mlm_initializer="glorot_uniform",
        output_type="logits",
        disallow_correct=False,
        temperature=1.0,
        sharing=None,
        average_duplicates=False,
        discriminator_activation=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if temperature <= 0:
            raise InputError(f"temperature must be above 0, was {temperature!r}")
        # Variables come in this order in tfnlp, whose weights can be set here as one list.
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
        self.generator_weight, self.discriminator_weight = 1.0, 50.0
        self.built = True

    def _build_heads(self, generator_width, discriminator_width):
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
            dtype=self._dtype_policy,
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
                dtype=self._dtype_policy,
                name="generator_classification_head",
            )
            self.classification.build([None, None, generator_width])
        self.discriminator_projection = ops.dense(
            discriminator_width,
            self.mlm_initializer,
            self._dtype_policy,
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
        sharing="shared",
        num_classes=0,
        num_token_predictions=None,
        recompute=False,
        **kwargs,
    ) -> "ElectraPretrainer":
        """Builds both networks and the heads with ELECTRA's reference_quirks.

        As in Hugging Face's models the generator's head has the exact GELU whatever the networks
        have, the discriminator's has its network's `hidden_act`.

        Args:
          generator: its sizes.
          discriminator: its sizes.
          sharing: `shared`: word, position and type tables and their LayerNorm, as the original;
            `word_only`: the word table, as tfnlp; `untied`: nothing; `whole`: one encoder is both;
            `gdes`: no variable, but the discriminator's embeddings are the generator's plus
            differences, which start at zero, and its gradient stops there
            (`DisentangledEmbeddings`).
          num_classes: outputs of the sentence head; 0 for none.
          num_token_predictions: largest number of predictions a row; None for as many as tokens.
          recompute: compute activations twice to hold fewer, see `ElectraEncoder`.
          **kwargs: of the constructor; `dtype` is the networks' policy too.

        Raises:
          InputError: the two configurations do not allow `sharing`.
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

    def call(self, inputs, training=None):
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

    def generate(self, inputs, training=None) -> dict:
        """Runs the generator on the masked text.

        Returns a dict of `lm_outputs` `[batch, predictions, vocab_size]` and `sentence_outputs`
        `[batch, num_classes]`, both float32.
        """
        _require(inputs, ["input_word_ids", "masked_lm_positions"])
        self._check_predictions(inputs["masked_lm_positions"])
        with randomness.scope(_GENERATE, training=bool(training)):
            sequence = network_contract.run(self.generator_network, inputs, training)
            lm_outputs = self.masked_lm(sequence, inputs["masked_lm_positions"])
            if self.classification is None:
                sentence_outputs = tf.zeros([tf.shape(sequence)[0], 0], tf.float32)
            else:
                sentence_outputs = self.classification(sequence, training=training)
        return {"lm_outputs": lm_outputs, "sentence_outputs": sentence_outputs}

    def _check_predictions(self, positions):
        slots = tf.convert_to_tensor(positions).shape[1]
        if slots is not None and slots > self.num_token_predictions:
            raise InputError(
                f"masked_lm_positions must be at most [batch, {self.num_token_predictions}] as "
                f"num_token_predictions says, had {slots} columns"
            )

    def corrupt(self, inputs, lm_outputs, sampled_ids=None) -> dict:
        """Puts sampled tokens in place of the masked ones.

        Args:
          inputs: the batch.
          lm_outputs: `[batch, predictions, vocab_size]`; not needed with `sampled_ids`.
          sampled_ids: None to sample; or integer `[batch, predictions]` to use these.

        Returns a dict of `input_word_ids` `[batch, length]`, the corrupted text; `disc_label`
        int32 `[batch, length]`, 1 where it differs from the original; `sampled_ids` int32
        `[batch, predictions]`.
        """
        _require(inputs, ["input_word_ids", "masked_lm_positions", "masked_lm_ids"])
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
        average = self.average_duplicates
        original = ops.scatter_tokens(
            masked_ids, positions, inputs["masked_lm_ids"], active, average
        )
        corrupted = ops.scatter_tokens(original, positions, sampled_ids, active, average)
        label = tf.cast(corrupted != original, tf.int32)
        return {
            "input_word_ids": tf.stop_gradient(corrupted),
            "disc_label": label,
            "sampled_ids": sampled_ids,
        }

    def discriminate(
        self, ids, input_mask=None, input_type_ids=None, training=None, document_ids=None
    ) -> tf.Tensor:
        """Returns float32 `[batch, length]`: above 0 where a token of `ids` looks replaced.

        Args:
          ids: integer `[batch, length]`, as all the following.
          input_mask: 1 real, 0 padding; None for all real.
          input_type_ids: None for all of type 0.
          training: whether there is dropout.
          document_ids: of packed rows, see the call; they replace the mask.
        """
        inputs = {
            "input_word_ids": ids,
            "input_mask": input_mask,
            "input_type_ids": input_type_ids,
            "document_ids": document_ids,
        }
        with randomness.scope(_DISCRIMINATE, training=bool(training)):
            sequence = network_contract.run(self.discriminator_network, inputs, training)
            hidden = self.discriminator_activation(self.discriminator_projection(sequence))
            return self.discriminator_head(hidden)[..., 0]

    # === Training with fit ===
    def compile(self, optimizer="adam", generator_weight=1.0, discriminator_weight=50.0, **kwargs):
        """Prepares `fit`.

        Args:
          optimizer: of tf_keras.
          generator_weight: factor on the generator's loss.
          discriminator_weight: factor on the discriminator's loss.
          **kwargs: of `tf_keras.Model.compile`, but for losses and metrics.

        Raises:
          InputError: a loss or a metric is given.
        """
        for name in ("loss", "metrics", "loss_weights", "weighted_metrics"):
            if kwargs.get(name) is not None:
                raise InputError(
                    f"{name} must be left out, was {kwargs[name]!r}; the model has its own loss "
                    "and metrics, see generator_weight and discriminator_weight"
                )
        super().compile(optimizer=optimizer, **kwargs)
        self._compile_options = kwargs
        self.generator_weight = generator_weight
        self.discriminator_weight = discriminator_weight
        self._loss_metrics = {
            name: tf_keras.metrics.Mean(name=name) for name in ("loss", "mlm_loss", "rtd_loss")
        }

    @property
    def coefficients(self) -> dict:
        """Factors on the terms of the loss."""
        return {"mlm": self.generator_weight, "rtd": self.discriminator_weight}

    @property
    def metrics(self):
        return list(getattr(self, "_loss_metrics", {}).values())

    def train_step(self, data):
        inputs = data[0] if isinstance(data, (list, tuple)) else data
        with tf.GradientTape() as tape:
            terms = losses.electra_loss(inputs, self(inputs, training=True))
            total = losses.weighted_total(_over_replicas(terms), self.coefficients)
            scaled = total
            if hasattr(self.optimizer, "get_scaled_loss"):
                scaled = self.optimizer.get_scaled_loss(total)
        gradients = tape.gradient(scaled, self.trainable_variables)
        if hasattr(self.optimizer, "get_unscaled_gradients"):
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        pairs = [(g, v) for g, v in zip(gradients, self.trainable_variables) if g is not None]
        self.optimizer.apply_gradients(pairs)
        return self._update_metrics(terms, total)

    def test_step(self, data):
        inputs = data[0] if isinstance(data, (list, tuple)) else data
        terms = losses.electra_loss(inputs, self(inputs, training=False))
        total = losses.weighted_total(_over_replicas(terms), self.coefficients)
        return self._update_metrics(terms, total)

    def _update_metrics(self, terms, total):
        # The metric is the mean over replicas, the loss is the sum of their totals.
        self._loss_metrics["loss"].update_state(total * _replicas())
        for name in ("mlm", "rtd"):
            loss_sum, weight = terms[name]
            mean = tf.math.divide_no_nan(loss_sum, weight)
            self._loss_metrics[f"{name}_loss"].update_state(mean, sample_weight=weight)
        return {metric.name: metric.result() for metric in self.metrics}

    @property
    def checkpoint_items(self) -> dict:
        """What a fine-tuning job reads: the discriminator, under tfnlp's name `encoder`."""
        return {"encoder": self.discriminator_network}

    # === Config ===
    def get_config(self):
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
            "dtype": self._dtype_policy.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Builds the model again, and what the networks share is shared again."""
        return cls(**{**config, **sharing_modes.deserialize(config, custom_objects)})

    def get_compile_config(self):
        if not hasattr(self, "_loss_metrics"):
            return None
        return {
            "optimizer": tf_keras.saving.serialize_keras_object(self.optimizer),
            "generator_weight": self.generator_weight,
            "discriminator_weight": self.discriminator_weight,
            **self._compile_options,
        }

    def compile_from_config(self, config):
        config = dict(config)
        optimizer = tf_keras.saving.deserialize_keras_object(config.pop("optimizer"))
        self.compile(optimizer=optimizer, **config)
        optimizer.build(self.trainable_variables)


def _replicas() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync


def _over_replicas(terms) -> dict:
    """Returns the terms with the weights of all replicas, as their gradients are added up."""
    if _replicas() == 1:
        return terms
    context = tf.distribute.get_replica_context()
    own = {name: weight for name, (_, weight) in terms.items()}
    weights = context.all_reduce(tf.distribute.ReduceOp.SUM, own)
    return {name: (loss_sum, weights[name]) for name, (loss_sum, _) in terms.items()}


def _require(inputs, names):
    missing = [name for name in names if name not in inputs]
    if missing:
        raise InputError(
            f"the inputs lack {', '.join(missing)}; they hold "
            f"{', '.join(sorted(inputs)) or 'nothing'}"
        )
