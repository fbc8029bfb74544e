"""What the models with one head have in common."""

import types
from collections.abc import Mapping

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import losses
from official_nlp.modeling.layers.on_device_embedding import OnDeviceEmbedding
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.networks.electra_encoder import ElectraEncoder
from official_nlp.modeling.pretrained import Pretrained

# Keywords of the call that are no tensors of the batch.
_OPTIONS = ("training", "output_hidden_states", "output_attentions", "use_cache", "cache_index")
_LISTED = ("input_ids", "attention_mask", "token_type_ids")
# As in PyTorch's losses and Hugging Face's datasets.
IGNORED_LABEL = -100


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraFor(Pretrained, tf_keras.Model):
    """An `ElectraEncoder` with a head and a loss: the base of the models named `ElectraFor...`.

    Call: a dict of what `ElectraEncoder` takes, under either spelling; or a list of ids, mask and
    types; or keywords, `model(input_ids=..., attention_mask=...)`. Labels are among them, or not.
    By keyword also `training` and what else the encoder is asked for (`output_hidden_states`,
    `output_attentions`, `use_cache`, `cache_index`). Returns a dict:
      `loss`, with labels: float32 scalar, the mean over the labels of this batch that count.
      `logits`, or what the class says: float32.
      `hidden_states`, `attentions`, `cross_attentions`, `past_key_values`: as the encoder's.

    `compile()` without a loss: `fit` and `evaluate` take datasets of such dicts, or of pairs of
    inputs and labels, and minimize the class's own loss; of several replicas it is the mean over
    all of their labels. With a loss Keras computes that, and metrics in both cases, of labels and
    `logits`; labels that do not count are masked. A batch may have sample weights. `predict`
    returns the dict without the loss.

    A class of one's own derives from this one and says `_head`, and where they differ `_targets`
    (dict of an output to its labels), `_own_inputs` (names of inputs of the head alone), `_scored`
    and `_element_losses`; and for `save_pretrained`, `hugging_face_class` and `named_tensors`.

    Args:
      config: an `ElectraConfig`.
      recompute: compute activations twice to hold fewer, see `ElectraEncoder`.

    Attributes:
      config: the same.
      encoder: the `ElectraEncoder`.

    Raises:
      InputError: what the encoder raises; inputs are given as a list and by keyword; labels are
        missing in `fit` or have another shape than the outputs.
      NotImplementedError: the class does not say what its head is.

    Example:
      >>> class ElectraForLengths(ElectraFor):
      ...   def __init__(self, config, **kwargs):
      ...     super().__init__(config, **kwargs)
      ...     self.scores = layers.ClassificationHead(config.hidden_size, config.hidden_size)
      ...   def _head(self, sequence, inputs, training):
      ...     return {"logits": self.scores(sequence, training=training)}
      >>> model = ElectraForLengths(ElectraConfig(num_hidden_layers=1))
      >>> outputs = model(input_ids=tf.constant([[2, 5, 3]]), labels=tf.constant([3]))
      >>> outputs["logits"].shape, outputs["loss"].shape
      (TensorShape([1, 256]), TensorShape([]))
    """

    config_class = ElectraConfig
    _targets: dict = {"logits": "labels"}
    _own_inputs: tuple = ()

    def __init__(self, config: ElectraConfig, recompute=False, **kwargs):
        # Labels of a regression are floats and keep their digits.
        super().__init__(autocast=False, **kwargs)
        self.config = config
        self.encoder = ElectraEncoder(
            config, recompute=recompute, dtype=self._dtype_policy, name="electra"
        )
        # In a namespace, or Keras would count its variables among the model's.
        self._progress = types.SimpleNamespace(loss=tf_keras.metrics.Mean(name="loss"))
        self.built = True

    # === Wiring ===
    def __call__(self, inputs=None, *args, **keywords):
        options = {name: keywords.pop(name) for name in _OPTIONS if name in keywords}
        inputs, labels = self._without_labels(_gathered(inputs, keywords))
        outputs = super().__call__(inputs, *args, **options)
        if not labels:
            return outputs
        terms = self._loss_terms(outputs, labels, inputs)
        return {"loss": _mean(terms), **outputs}

    def call(
        self,
        inputs,
        training=None,
        output_hidden_states=None,
        output_attentions=None,
        use_cache=None,
        cache_index=None,
    ):
        of_encoder = {k: x for k, x in inputs.items() if k not in self._own_inputs}
        with randomness.scope(training=bool(training)):
            encoded = self.encoder(
                of_encoder,
                training=training,
                output_hidden_states=output_hidden_states,
                output_attentions=output_attentions,
                use_cache=use_cache,
                cache_index=cache_index,
            )
            sequence = encoded.pop("sequence_output")  # [B, L, H]
            del encoded["encoder_outputs"]
            return {**self._head(sequence, inputs, training), **encoded}

    def _head(self, sequence, inputs, training) -> dict:
        """Returns the outputs of the class by name.

        Args:
          sequence: `[batch, length, hidden_size]`, of the encoder.
          inputs: dict of the call's inputs.
          training: of the call.
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method _head")

    # === Loss ===
    def _scored(self, outputs, labels, inputs) -> dict:
        """Returns a dict of the output's name to what its loss and metrics compare: a tuple of
        target, prediction and weights, which are 0 where a target does not count.

        By default a target is an integer for each row of scores, and -100 does not count.
        """
        return {
            output: ignoring(labels[name], outputs[output])
            for output, name in self._targets.items()
        }

    def _element_losses(self, target, prediction) -> tf.Tensor:
        """Returns a float32 loss for each weight."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(target, prediction)

    def _loss_terms(self, outputs, labels, inputs, sample_weight=None) -> list:
        """Returns pairs (sum, weight); the loss is the mean of their ratios."""
        terms = []
        for target, prediction, weights in self._scored(outputs, labels, inputs).values():
            if sample_weight is not None:
                weights *= _broadcastable(sample_weight, weights)
            each = self._element_losses(target, prediction)
            each = tf.where(weights > 0, each * weights, 0.0)
            terms.append((tf.reduce_sum(each), tf.reduce_sum(weights)))
        return terms

    def _without_labels(self, inputs) -> tuple[dict, dict]:
        labels = {k: inputs[k] for k in self._targets.values() if inputs.get(k) is not None}
        return {k: x for k, x in inputs.items() if k not in self._targets.values()}, labels

    # === Training with fit ===
    @property
    def metrics(self):
        own = [] if getattr(self, "loss", None) else [self._progress.loss]
        return own + super().metrics

    def train_step(self, data):
        return super().train_step(self._inputs_and_labels(data))

    def test_step(self, data):
        return super().test_step(self._inputs_and_labels(data))

    def predict_step(self, data):
        inputs, *_ = tf_keras.utils.unpack_x_y_sample_weight(data)
        inputs, _ = self._without_labels(_gathered(inputs, {}))
        outputs = self(inputs, training=False)
        return {name: x for name, x in outputs.items() if name != "past_key_values"}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        if self.loss:
            targets, predictions = self._compared(x, y, y_pred)
            return super().compute_loss(x, targets, predictions, sample_weight)
        terms = self._loss_terms(y_pred, y, x, sample_weight)
        self._progress.loss.update_state(_mean(terms), sample_weight=terms[0][1])
        return tf.add_n([_mean(_of_all_replicas(terms)), *(z / _replicas() for z in self.losses)])

    def compute_metrics(self, x, y, y_pred, sample_weight):
        targets, predictions = self._compared(x, y, y_pred)
        return super().compute_metrics(x, targets, predictions, sample_weight)

    def _inputs_and_labels(self, data):
        inputs, given, sample_weight = tf_keras.utils.unpack_x_y_sample_weight(data)
        inputs, labels = self._without_labels(_gathered(inputs, {}))
        if given is not None:
            names = list(self._targets.values())
            labels |= given if isinstance(given, Mapping) else dict(zip(names, _list(given)))
        missing = [name for name in self._targets.values() if name not in labels]
        if missing:
            raise InputError(
                f"fit and evaluate need {', '.join(missing)}: in the dict of the inputs, or as "
                f"second of a pair; the batch holds {', '.join([*inputs, *labels])}"
            )
        return inputs, labels, sample_weight

    def _compared(self, inputs, labels, outputs):
        """Returns targets and predictions as Keras takes them; what does not count is masked."""
        scored = self._scored(outputs, labels, inputs)
        for _, prediction, weights in scored.values():
            prediction._keras_mask = weights > 0
        targets = {name: target for name, (target, _, _) in scored.items()}
        predictions = {name: prediction for name, (_, prediction, _) in scored.items()}
        if len(scored) > 1:
            return targets, predictions
        return *targets.values(), *predictions.values()

    # === Weights ===
    def get_input_embeddings(self) -> OnDeviceEmbedding:
        """Returns the layer of the word table, whose `embeddings` is the variable."""
        return self.encoder.get_embedding_layer()

    def set_input_embeddings(self, value):
        """Assigns a word table `[vocab_size, embedding_size]`, or that of an `OnDeviceEmbedding`.

        Raises:
          InputError: it has another shape.
        """
        assign_table(self.get_input_embeddings(), value)

    def get_output_embeddings(self) -> OnDeviceEmbedding | None:
        """Returns the layer of the table that scores tokens, if there is one."""

    def resize_token_embeddings(self, size: int) -> "ElectraFor":
        """Returns a new model of the class with `size` tokens; this one stays as it is.

        Tokens keep their vectors and biases; new ones get what the configuration says a fresh
        model has; of a smaller vocabulary those past the end are gone. Variables of Keras cannot
        change their shape, so the model is another: compile it again, and its optimizer is new.

        Raises:
          InputError: `size` is not a positive integer, or a token the configuration names is gone.
        """
        resized = self.from_config({**self.get_config(), "vocab_size": size})
        for old, new in zip(self.variables, resized.variables):
            kept = min(old.shape[0], new.shape[0])
            new.assign(tf.concat([old[:kept], new[kept:]], axis=0))
        return resized

    # === Config ===
    def get_config(self):
        return {**self.encoder.get_config(), "name": self.name}

    @classmethod
    def from_config(cls, config):
        """Builds the model that `get_config` described, with new weights."""
        sizes, options, _ = ElectraEncoder.read_config(config)
        return cls(sizes, **options)


def assign_table(layer, value):
    """Assigns the table of an `OnDeviceEmbedding`: of another one, or an array."""
    value = tf.convert_to_tensor(getattr(value, "embeddings", value), tf.float32)
    if value.shape != layer.embeddings.shape:
        raise InputError(
            f"the embeddings must be {layer.embeddings.shape.as_list()}, were "
            f"{value.shape.as_list()}; for another vocabulary call resize_token_embeddings first"
        )
    layer.embeddings.assign(value)


def ignoring(labels, prediction, ignored=IGNORED_LABEL) -> tuple:
    """Returns target, prediction and weights: labels that are `ignored` are 0, of weight 0.

    Args:
      labels: integer, of the shape of the predictions without their last axis.
      prediction: scores of the classes, along the last axis.
      ignored: the label that does not count.
    """
    labels = tf.convert_to_tensor(labels)
    if not labels.dtype.is_integer:
        raise InputError(f"labels must be integers, numbers of classes, were {labels.dtype.name}")
    check_labels(labels, prediction.shape[:-1])
    counts = labels != tf.cast(ignored, labels.dtype)
    target = tf.where(counts, labels, tf.zeros_like(labels))
    return target, prediction, tf.cast(counts, tf.float32)


def check_labels(labels, shape):
    """Raises InputError unless the labels have the shape."""
    if not labels.shape.is_compatible_with(shape):
        raise InputError(f"labels must be {list(shape)} as the outputs, were {list(labels.shape)}")


def token_weights(labels, inputs) -> tf.Tensor:
    """Returns float32 `[batch, length]`: 1 at tokens, 0 at padding.

    Args:
      labels: `[batch, length]`.
      inputs: of the model's call, under either spelling.
    """
    mask = inputs.get("attention_mask", inputs.get("input_mask"))
    mask = None if mask is None else tf.convert_to_tensor(mask)
    if mask is not None and len(mask.shape) != 2:
        raise InputError(
            "with labels attention_mask must be [batch, length]: a mask of pairs does not say "
            f"which tokens count, had shape {mask.shape.as_list()}"
        )
    return losses.token_weights({**inputs, "input_word_ids": labels, "input_mask": mask})


def _gathered(inputs, keywords) -> dict:
    """Returns all tensors of a call by name."""
    if inputs is None:
        return {name: x for name, x in keywords.items() if x is not None}
    if isinstance(inputs, Mapping):
        named = dict(inputs)
    else:
        listed = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if len(listed) > len(_LISTED):
            raise InputError(
                f"a list of inputs must hold ids, mask and types, held {len(listed)} tensors; "
                "give others by name"
            )
        named = dict(zip(_LISTED, listed))
    twice = named.keys() & keywords.keys()
    if twice:
        raise InputError(f"give {', '.join(sorted(twice))} once, in the inputs or by keyword")
    return {name: x for name, x in {**named, **keywords}.items() if x is not None}


def _list(labels) -> list:
    return list(labels) if isinstance(labels, (list, tuple)) else [labels]


def _broadcastable(sample_weight, weights) -> tf.Tensor:
    """Returns weights of rows with as many axes as those of the targets."""
    sample_weight = tf.cast(sample_weight, tf.float32)
    missing = len(weights.shape) - len(sample_weight.shape)
    return tf.reshape(sample_weight, tf.concat([tf.shape(sample_weight), [1] * missing], axis=0))


def _mean(terms) -> tf.Tensor:
    ratios = [tf.math.divide_no_nan(total, weight) for total, weight in terms]
    return tf.add_n(ratios) / len(ratios)


def _replicas() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync


def _of_all_replicas(terms) -> list:
    """Returns the terms with the weights of all replicas, as their gradients are added up."""
    if _replicas() == 1:
        return terms
    context = tf.distribute.get_replica_context()
    weights = context.all_reduce(tf.distribute.ReduceOp.SUM, [weight for _, weight in terms])
    return [(total, weight) for (total, _), weight in zip(terms, weights)]
