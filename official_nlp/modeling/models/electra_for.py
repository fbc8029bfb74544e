"""Base class of the models that are an encoder with one head."""

import types
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import loss_terms, randomness
from official_nlp.errors import InputError
from official_nlp.loss_terms import Term
from official_nlp.modeling import input_checks, losses
from official_nlp.modeling.layers.on_device_embedding import OnDeviceEmbedding
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.networks.electra_encoder import ElectraEncoder
from official_nlp.modeling.pretrained import Pretrained

# Keywords of a call that are options of the encoder, not tensors of the batch.
_CALL_OPTIONS = (
    "training",
    "output_hidden_states",
    "output_attentions",
    "use_cache",
    "cache_index",
)
# Names of the inputs of a call with a list, in this order.
_LISTED_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# As in PyTorch's losses and Hugging Face's datasets.
IGNORED_LABEL = -100

# Target, prediction and weights of one output; a target of weight 0 is ignored.
Comparison = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraFor(Pretrained, tf_keras.Model):
    """An `ElectraEncoder` with a head and a loss: the base of the models named `ElectraFor...`.

    Call: a dict of the inputs of `ElectraEncoder`, under either spelling; or a list of ids, mask
    and types; or keywords, `model(input_ids=..., attention_mask=...)`. Labels may be among them.
    Options of the encoder are keywords: `training`, `output_hidden_states`, `output_attentions`,
    `use_cache`, `cache_index`; all but `training` and `cache_index` may be in the dict.
    Returns a dict:
      `loss`, if there are labels: float32 scalar, the mean over the labels of this batch that are
        not ignored.
      `logits`, or the outputs named in the subclass: float32.
      `hidden_states`, `attentions`, `cross_attentions`, `past_key_values`: as the encoder's.

    With `compile()` without a loss, `fit` and `evaluate` take datasets of such dicts, or of pairs
    of inputs and labels, and minimize the loss of the class; with several replicas it is the mean
    over the labels of all of them. With a loss, Keras computes that one instead. Metrics are
    computed in both cases, from labels and `logits`; ignored labels are masked. A batch may have
    sample weights. `predict` returns the dict without the loss. Ids out of range are an error; with
    `jit_compile=True` the loss and the outputs are NaN instead, as XLA cannot raise errors.

    A subclass defines `_head`. Where the defaults do not fit, it also defines `_targets` (name of
    the labels by name of the output), `_head_inputs` (names of inputs for the head alone),
    `_comparisons`, `_element_losses`, `_loss_weights` (of the outputs; equal ones by default) and
    `_label_inputs`; `_head_options` (names of further arguments of its constructor); and, for
    `save_pretrained`, `hugging_face_class` and `named_tensors`.

    Args:
      config: configuration of the encoder and the head.
      recompute: recompute activations to save memory, see `ElectraEncoder`.

    Attributes:
      config: the configuration.
      encoder: the `ElectraEncoder`.

    Raises:
      InputError: the encoder refuses the inputs; an input is given twice, in the inputs and by
        keyword; in `fit`, labels are missing; or labels do not have the shape of the outputs.
      NotImplementedError: the subclass does not define `_head`.

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
    _targets: Mapping[str, str] = {"logits": "labels"}
    _head_inputs: tuple[str, ...] = ()
    _loss_weights: Mapping[str, float] | None = None

    def __init__(self, config: ElectraConfig, recompute: bool = False, **kwargs: Any):
        # Without autocast, because float labels of a regression must keep their digits.
        super().__init__(autocast=False, **kwargs)
        self.config = config
        self.encoder = ElectraEncoder(
            config, recompute=recompute, dtype=self.dtype_policy, name="electra"
        )
        # The namespace hides the metric from Keras, which would count its variables among the
        # model's.
        self._fit_state = types.SimpleNamespace(
            loss=tf_keras.metrics.Mean(name="loss"), add_mask=_AddMask(autocast=False)
        )
        # Keras would consider the model built only after a call. Subclasses build their heads in
        # the constructor, so weights can be loaded before that.
        self.built = True

    # === Call ===

    def __call__(self, inputs: Any = None, *args: Any, **keywords: Any) -> dict[str, Any]:
        # Keras takes one argument of inputs. The labels are removed before it sees them, so that a
        # saved model does not require any.
        options = {name: keywords.pop(name) for name in _CALL_OPTIONS if name in keywords}
        inputs, options = input_checks.split_flags(inputs, options)
        inputs, labels = self._split_labels(_named_inputs(inputs, keywords))
        inputs |= self._label_inputs(labels)
        outputs = super().__call__(inputs, *args, **options)
        if not labels:
            return outputs
        terms = self.loss_terms(outputs, labels, inputs)
        return {"loss": self._total(terms), **outputs}

    def call(
        self,
        inputs: Mapping[str, Any],
        training: bool | None = None,
        *,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        use_cache: bool | None = None,
        cache_index: Any = None,
    ) -> dict[str, Any]:
        encoder_inputs = {k: x for k, x in inputs.items() if k not in self._head_inputs}
        with randomness.scope(training=bool(training)):
            encoded = self.encoder(
                encoder_inputs,
                training=training,
                output_hidden_states=output_hidden_states,
                output_attentions=output_attentions,
                use_cache=use_cache,
                cache_index=cache_index,
            )
            sequence = encoded.pop("sequence_output")  # [B, L, H]
            del encoded["encoder_outputs"]
            return {**self._head(sequence, inputs, training), **encoded}

    def _head(
        self, sequence: tf.Tensor, inputs: Mapping[str, Any], training: bool | None
    ) -> dict[str, tf.Tensor]:
        """Return the outputs of the class by name.

        Args:
          sequence: output of the encoder, `[batch, length, hidden_size]`.
          inputs: inputs of the call.
          training: argument of the call.
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method _head")

    # === Loss ===

    def _comparisons(
        self,
        outputs: Mapping[str, tf.Tensor],
        labels: Mapping[str, Any],
        inputs: Mapping[str, Any],
    ) -> dict[str, Comparison]:
        """Return what loss and metrics compare, by name of the output.

        By default a target is the integer of a class for each vector of scores, and -100 is
        ignored.
        """
        return {
            output: compare_classes(labels[name], outputs[output])
            for output, name in self._targets.items()
        }

    def _element_losses(self, target: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
        """Return float32 losses of the shape of the weights."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(target, prediction)

    def loss_terms(
        self,
        outputs: Mapping[str, tf.Tensor],
        labels: Mapping[str, Any],
        inputs: Mapping[str, Any],
        sample_weight: Any = None,
    ) -> dict[str, Term]:
        """Return the sum of the losses and their weight, by name of the output.

        The loss of the class is the mean over outputs of sum divided by weight. A training loop
        that divides a batch adds sums and weights first.

        Args:
          outputs: result of a call without labels.
          labels: labels by name, see the class.
          inputs: inputs of that call.
          sample_weight: `[batch]`; None for 1 each.
        """
        terms = {}
        comparisons = self._comparisons(outputs, labels, inputs)
        for name, (target, prediction, weights) in comparisons.items():
            if sample_weight is not None:
                weights *= _broadcastable(sample_weight, weights)
            each = self._element_losses(target, prediction)
            # A product with the weight 0 is not enough: the loss of an ignored target may be
            # infinite.
            each = tf.where(weights > 0, each * weights, 0.0)
            terms[name] = (tf.reduce_sum(each), tf.reduce_sum(weights))
        return terms

    def _total(self, terms: Mapping[str, Term]) -> tf.Tensor:
        """Return the loss of this replica's batch: the terms, each over its own weight."""
        return loss_terms.weighted_total(terms, self.term_weights(terms))

    def term_weights(self, terms: Mapping[str, Term]) -> Mapping[str, float]:
        """Return the factor of each term, sum divided by weight, in the loss."""
        return self._loss_weights or dict.fromkeys(terms, 1 / len(terms))

    def _label_inputs(self, labels: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the head sees of the labels, by the names of its inputs."""
        return {}

    def _split_labels(self, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        names = self._targets.values()
        labels = {name: inputs[name] for name in names if inputs.get(name) is not None}
        return {name: x for name, x in inputs.items() if name not in names}, labels

    # === Training with fit ===

    @property
    def metrics(self) -> list[tf_keras.metrics.Metric]:
        # With a loss of Keras, `super().metrics` contains its mean. `loss` exists after `compile`.
        own = [] if getattr(self, "loss", None) else [self._fit_state.loss]
        return own + super().metrics

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        return super().train_step(self._inputs_and_labels(data))

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        return super().test_step(self._inputs_and_labels(data))

    def predict_step(self, data: Any) -> dict[str, Any]:
        inputs, *_ = tf_keras.utils.unpack_x_y_sample_weight(data)
        inputs, _ = self._split_labels(_named_inputs(inputs, {}))
        outputs = self(inputs, training=False)
        return {name: x for name, x in outputs.items() if name != "past_key_values"}

    # `train_step` of Keras calls this, and scales the result under mixed_float16.
    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> tf.Tensor:
        if self.loss:
            targets, predictions = self._masked_pairs(x, y, y_pred)
            return super().compute_loss(x, targets, predictions, sample_weight)
        # The metric is the mean of this replica's batch, weighted by its number of targets. The
        # gradient is that of the sums over replicas.
        terms = self.loss_terms(y_pred, y, x, sample_weight)
        (_, weight), *_ = terms.values()
        self._fit_state.loss.update_state(self._total(terms), sample_weight=weight)
        return loss_terms.replica_loss(terms, self.term_weights(terms), self.losses)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any
    ) -> dict[str, tf.Tensor]:
        targets, predictions = self._masked_pairs(x, y, y_pred)
        return super().compute_metrics(x, targets, predictions, sample_weight)

    def _inputs_and_labels(self, data: Any) -> tuple[dict[str, Any], dict[str, Any], Any]:
        """Return inputs, labels and sample weights of a batch of `fit` or `evaluate`."""
        inputs, beside, sample_weight = tf_keras.utils.unpack_x_y_sample_weight(data)
        inputs, labels = self._split_labels(_named_inputs(inputs, {}))
        if beside is not None:
            names = list(self._targets.values())
            labels |= beside if isinstance(beside, Mapping) else dict(zip(names, _list(beside)))
        missing = [name for name in self._targets.values() if name not in labels]
        if missing:
            raise InputError(
                f"fit and evaluate need {', '.join(missing)}: in the dict of the inputs, or as "
                f"second of a pair; the batch holds {', '.join([*inputs, *labels])}"
            )
        return inputs | self._label_inputs(labels), labels, sample_weight

    def _masked_pairs(self, inputs, labels, outputs) -> tuple[Any, Any]:
        """Return targets and predictions for the losses and metrics of Keras.

        Keras leaves out what the mask of a prediction excludes. Sample weights would not do: they
        reach only the metrics of `weighted_metrics`.
        """
        targets, predictions = {}, {}
        comparisons = self._comparisons(outputs, labels, inputs)
        for name, (target, prediction, weights) in comparisons.items():
            targets[name] = target
            predictions[name] = self._fit_state.add_mask((prediction, weights > 0))
        # Keras gives each metric one pair, or with several outputs the pair of its name.
        if len(comparisons) > 1:
            return targets, predictions
        return *targets.values(), *predictions.values()

    # === Weights ===

    def get_input_embeddings(self) -> OnDeviceEmbedding:
        """Return the layer of the word table, whose variable is `embeddings`."""
        return self.encoder.get_embedding_layer()

    def set_input_embeddings(self, value: Any) -> None:
        """Assign a word table.

        Args:
          value: `[vocab_size, embedding_size]`, or an `OnDeviceEmbedding` with such a table.

        Raises:
          InputError: the shape differs.
        """
        assign_table(self.get_input_embeddings(), value)

    def get_output_embeddings(self) -> OnDeviceEmbedding | None:
        """Return the layer of the table that scores tokens; None if the head has none."""
        return None

    def resize_token_embeddings(self, size: int) -> "ElectraFor":
        """Return a new model of the class with `size` tokens; this one remains unchanged.

        Tokens retain their vectors and biases. Added tokens are newly initialized as the
        configuration says; those beyond a smaller vocabulary are dropped. Keras variables cannot
        change their shape, so the result is another model, which needs `compile` and has a new
        optimizer.

        Raises:
          InputError: `size` is not a positive integer, or the configuration names a token that
            would be dropped.
        """
        # Both models create their variables in the same order.
        resized = self.from_config({**self.get_config(), "vocab_size": size})
        # Only tables and biases of the vocabulary differ in shape, and only in their first axis.
        for old, new in zip(self.variables, resized.variables):
            common = min(old.shape[0], new.shape[0])
            new.assign(tf.concat([old[:common], new[common:]], axis=0))
        return resized

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        options = {name: getattr(self, name) for name in self._head_options}
        return {**self.encoder.get_config(), "name": self.name, **options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ElectraFor":
        """Return a newly initialized model of a configuration from `get_config`."""
        config = dict(config)
        head = {name: config.pop(name) for name in cls._head_options if name in config}
        sizes, options, _ = ElectraEncoder.read_config(config)
        return cls(sizes, **options, **head)


def assign_table(layer: OnDeviceEmbedding, value: Any) -> None:
    """Assign an array, or the table of another `OnDeviceEmbedding`, to the table of a layer."""
    value = tf.convert_to_tensor(getattr(value, "embeddings", value), tf.float32)
    if value.shape != layer.embeddings.shape:
        raise InputError(
            f"the embeddings must be {layer.embeddings.shape.as_list()}, were "
            f"{value.shape.as_list()}; for another vocabulary call resize_token_embeddings first"
        )
    layer.embeddings.assign(value)


def compare_classes(labels: Any, prediction: tf.Tensor, ignored: Any = IGNORED_LABEL) -> Comparison:
    """Return target, prediction and weights of a classification.

    Args:
      labels: integers of the shape of the predictions without their last axis.
      prediction: scores of the classes along the last axis.
      ignored: label whose target is ignored; it becomes class 0 with weight 0.

    Raises:
      InputError: the labels are not integers, or have another shape.
    """
    labels = tf.convert_to_tensor(labels)
    if not labels.dtype.is_integer:
        raise InputError(f"labels must be integers, numbers of classes, were {labels.dtype.name}")
    check_labels(labels, prediction.shape[:-1])
    counts = labels != tf.cast(ignored, labels.dtype)
    target = tf.where(counts, labels, tf.zeros_like(labels))
    return target, prediction, tf.cast(counts, tf.float32)


def require_together(names: Iterable[str], labels: Mapping[str, Any]) -> None:
    """Raise InputError unless the labels have all names."""
    names = list(names)
    missing = [name for name in names if name not in labels]
    if missing:
        raise InputError(
            f"{' and '.join(names)} must be given together, {missing[0]} is missing; to call the "
            "model without labels leave out all of them"
        )


def check_labels(labels: tf.Tensor, shape: tf.TensorShape) -> None:
    """Raise InputError unless the labels have the shape."""
    if not labels.shape.is_compatible_with(shape):
        raise InputError(f"labels must be {list(shape)} as the outputs, were {list(labels.shape)}")


def token_label_weights(labels: tf.Tensor, inputs: Mapping[str, Any]) -> tf.Tensor:
    """Return float32 `[batch, length]`: 1 at tokens, 0 at padding.

    Args:
      labels: `[batch, length]`.
      inputs: inputs of the model's call, under either spelling.

    Raises:
      InputError: the mask is one of pairs of tokens.
    """
    mask = inputs.get("attention_mask", inputs.get("input_mask"))
    mask = None if mask is None else tf.convert_to_tensor(mask)
    if mask is not None and len(mask.shape) != 2:
        raise InputError(
            "with labels attention_mask must be [batch, length]: a mask of pairs does not say "
            f"which tokens count, had shape {mask.shape.as_list()}"
        )
    return losses.token_weights({**inputs, "input_word_ids": labels, "input_mask": mask})


class _AddMask(tf_keras.layers.Layer):
    """Returns the first of two tensors, with the second as its Keras mask.

    Only the output of a layer that computes a mask carries one; Keras has no function for it.
    """

    def call(self, inputs):
        return inputs[0]

    def compute_mask(self, inputs, mask=None):
        return inputs[1]


def _named_inputs(inputs: Any, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors of a call by name, without those that are None."""
    if inputs is None:
        return {name: x for name, x in keywords.items() if x is not None}
    if isinstance(inputs, Mapping):
        named = dict(inputs)
    else:
        listed = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if len(listed) > len(_LISTED_INPUTS):
            raise InputError(
                f"a list of inputs must hold ids, mask and types, held {len(listed)} tensors; "
                "give others by name"
            )
        named = dict(zip(_LISTED_INPUTS, listed))
    twice = named.keys() & keywords.keys()
    if twice:
        raise InputError(f"give {', '.join(sorted(twice))} once, in the inputs or by keyword")
    return {name: x for name, x in {**named, **keywords}.items() if x is not None}


def _list(labels: Any) -> list[Any]:
    return list(labels) if isinstance(labels, (list, tuple)) else [labels]


def _broadcastable(sample_weight: Any, weights: tf.Tensor) -> tf.Tensor:
    """Return sample weights `[batch]` with as many axes as the weights of the targets."""
    sample_weight = tf.cast(sample_weight, tf.float32)
    missing = len(weights.shape) - len(sample_weight.shape)  # [B] becomes [B, 1, ...]
    return tf.reshape(sample_weight, tf.concat([tf.shape(sample_weight), [1] * missing], axis=0))
