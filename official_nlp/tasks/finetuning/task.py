"""What all fine-tuning tasks do alike: an encoder with a head, trained on examples in memory."""

import abc
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from official_nlp.modeling.layer_depths import depths
from official_nlp.modeling.models.electra_for import ElectraFor
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.tasks.finetuning.batches import (
    DOCUMENT,
    ExampleStream,
    evaluation_batches,
    training_batches,
)
from official_nlp.tasks.finetuning.config import FinetuningConfig
from official_nlp.tasks.finetuning.data import ExampleSet, TaskData
from official_nlp.tasks.finetuning.features import Features
from official_nlp.tasks.finetuning.layer_rates import rate_scale
from official_nlp.tasks.finetuning.run_page import Section
from official_nlp.tasks.single_network import SingleNetwork
from official_nlp.training import Task
from official_nlp.training.phase import PhaseConfig
from official_nlp.training.task import ORDER, VALID, Batch, DataByPath, Rows, Sums

_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
LOSS = "loss"


class FinetuningTask(SingleNetwork, Task):
    """Trains an encoder with a new head; see `training.Task`.

    A subclass says what its model is, how examples become features, and how predictions become
    metrics: `model_class`, `features`, `evaluate_rows` and `metrics_of`.

    Args:
      config: configuration with a network, complete: labels are those of the run.
      data: opened `TaskData` under None; None to build a trained model only.
      seed: seed of initial values and of the order of examples.
      reference_quirks: deviations of the reference implementation to reproduce.
      recompute: compute the activations of layers again in the backward pass.

    Attributes:
      model_class: class of the model.
      label_names: names of the labels in a batch.
    """

    label_names: Sequence[str] = ("labels",)

    def __init__(
        self,
        config: FinetuningConfig,
        data: DataByPath | None = None,
        seed: int = 0,
        reference_quirks: ReferenceQuirks | None = None,
        recompute: bool = False,
    ):
        self.config: FinetuningConfig = config
        self.network, self.tokenizer = config.require_network()
        self.seed = seed
        self.reference_quirks = reference_quirks or ReferenceQuirks()
        self.recompute = recompute
        own = (data or {}).get(None)
        self._data: TaskData | None = own if isinstance(own, TaskData) else None
        self._rates: Mapping[Any, float] = {}
        self._features: dict[int, Features] = {}

    # === What a subclass defines ===

    @abc.abstractmethod
    def features(self, examples: ExampleSet) -> Features:
        """Return the token sequences of examples, with their labels."""

    @abc.abstractmethod
    def evaluate_rows(self, outputs: Mapping[str, tf.Tensor], batch: Batch) -> Rows:
        """Return what the metrics need of each feature, with shapes that do not vary."""

    @abc.abstractmethod
    def metrics_of(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Return the metrics of a set from the rows of all features, the main metric first."""

    @abc.abstractmethod
    def metrics(self) -> Sequence[str]:
        """Return the names of the metrics that `metrics_of` computes."""

    def inputs_of(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Return the part of a batch that the model gets, without the labels."""
        return {name: batch[name] for name in _INPUTS}

    def make_model(self) -> ElectraFor:
        """Return the model with its initial values."""
        return self.model_class(self.network, recompute=self.recompute)

    def loss_weight(self, batch: Batch) -> tf.Tensor:
        """Return the weight of the loss of a batch, a scalar."""
        return tf.reduce_sum(batch["sample_weight"])

    # === The model ===

    def build(self) -> ElectraFor:
        tf_keras.utils.set_random_seed(self.seed)
        model = self.make_model()
        off_by_one = self.reference_quirks.layer_decay_off_by_one
        layers, decay = self.network.num_hidden_layers, self.config.layer_decay
        self._rates = {
            variable: rate_scale(depth, layers, decay, off_by_one)
            for variable, depth in depths(model).items()
        }
        return model

    def learning_rate_scale(self, variable: tf.Variable) -> float:
        return self._rates[variable.ref()]

    # === Training ===

    def train_dataset(
        self, stage: int, phase: PhaseConfig, first_step: int, host: int, hosts: int
    ) -> tf.data.Dataset:
        assert self._data is not None
        assert self._data.train is not None
        features = self._features_of(self._data.train)
        by_length = self.config.by_length
        stream = ExampleStream(features.lengths, phase.batch_size, self.seed, stage, by_length)
        return training_batches(
            features,
            stream,
            phase.batch_size,
            self.config.length,
            by_length,
            self.tokenizer.pad_token_id,
            first_step,
            host,
            hosts,
        )

    def weights(self, batch: Batch, phase: PhaseConfig) -> dict[str, tf.Tensor]:
        return {LOSS: self.loss_weight(batch)}

    def losses(
        self, model: ElectraFor, batch: Batch, phase: PhaseConfig
    ) -> tuple[dict[str, tf.Tensor], Sums]:
        _, loss_sum = self._run(model, batch, training=True)
        return {LOSS: loss_sum}, {}

    def _run(self, model, batch, training):
        """Return the outputs, and the sum of the losses of the batch."""
        inputs = self.inputs_of(batch)
        labels = {name: batch[name] for name in self.label_names}
        outputs = model(inputs, training=training)
        terms = model.loss_terms(outputs, labels, inputs, batch["sample_weight"])
        # There is a term for each output, such as the start and the end of an answer. All have the
        # weight that `loss_weight` states.
        factors = model.term_weights(terms)
        return outputs, tf.add_n([factors[name] * total for name, (total, _) in terms.items()])

    # === Evaluation ===

    def evaluation_sets(self) -> dict[str, tf.data.Dataset]:
        return self._datasets(self._data.dev if self._data else {})

    def test_sets(self) -> dict[str, tf.data.Dataset]:
        """Return the sets that are evaluated once, with the best checkpoint."""
        return self._datasets(self._data.test if self._data else {})

    def _datasets(self, sets: Mapping[str, ExampleSet]) -> dict[str, tf.data.Dataset]:
        return {
            name: evaluation_batches(
                self._features_of(each),
                self.config.evaluation_batch_size,
                self.config.length,
                self.config.by_length,
                self.tokenizer.pad_token_id,
            )
            for name, each in sets.items()
        }

    def _features_of(self, examples: ExampleSet) -> Features:
        # Tokenized once: a run opens its evaluation sets again and again.
        key = id(examples)
        if key not in self._features:
            self._features[key] = self.features(examples)
        return self._features[key]

    def evaluate(self, model: ElectraFor, batch: Batch) -> tuple[Sums, Rows]:
        outputs, loss_sum = self._run(model, batch, training=False)
        rows = {name: batch[name] for name in (VALID, ORDER, DOCUMENT)}
        rows |= self.evaluate_rows(outputs, batch)
        return {"loss_sum": loss_sum, "loss_weight": self.loss_weight(batch)}, rows

    def metric_names(self) -> list[str]:
        sets = self._data.dev if self._data else {}
        return [f"{name}/{metric}" for name in sets for metric in (*self.metrics(), LOSS)]

    def report(
        self, sums: Mapping[str, np.ndarray], rows: Mapping[str, np.ndarray]
    ) -> dict[str, float]:
        if not rows:  # Training reports its loss itself.
            return {}
        weight = float(sums["loss_weight"])
        loss = float(sums["loss_sum"]) / weight if weight else float("nan")
        return {**self.metrics_of(rows), LOSS: loss}

    # === After training ===

    def unlabeled_files(self) -> dict[str, pathlib.Path]:
        """Return the files of the test sets without labels, by name."""
        return self._data.unlabeled if self._data else {}

    def fit_on_dev(self, rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Return what predictions need besides the weights, such as a temperature.

        Args:
          rows: rows of the development set, from the chosen checkpoint.

        Returns:
          Values of JSON by name, which become keys of the model's `config.json`.
        """
        return {}

    def page_sections(self, set_name: str, rows: Mapping[str, np.ndarray]) -> list[Section]:
        """Return what the page of a run shows of an evaluation set, such as its worst errors."""
        return []

    def examples_of(self, set_name: str) -> ExampleSet:
        """Return the examples of an evaluation or test set."""
        assert self._data is not None
        return {**self._data.dev, **self._data.test}[set_name]

    # === Files ===

    def write_files(self, folder: str | os.PathLike) -> None:
        self.tokenizer.save_pretrained(pathlib.Path(folder, "tokenizer"))
