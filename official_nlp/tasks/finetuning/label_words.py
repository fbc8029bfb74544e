"""Classification of texts through the replaced-token head: which label's word is original?"""

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from official_nlp import randomness
from official_nlp.data.label_prompts import Prompt
from official_nlp.modeling.models import ElectraForPreTraining
from official_nlp.modeling.models.electra_for_multiple_choice import merge_choices
from official_nlp.tasks.finetuning.data import ExampleSet
from official_nlp.tasks.finetuning.features import Features
from official_nlp.tasks.finetuning.text_classification import TextClassification

# Positions of the tokens of the label's word in each sequence, and what fills them up.
_POSITIONS, _NONE = "label_positions", -1


class LabelWordClassification(TextClassification):
    """Trains the discriminator to find the word of the right label original; see `FinetuningTask`.

    Every label is a sequence of its own: the template with the text and the word of the label. Its
    logit is the mean of log P(original) over the tokens of the word, and the loss is the
    cross-entropy over labels. There is no new head, so that a few examples suffice: before the
    first step the predictions are those of zero-shot classification, see
    `inference.ZeroShotClassifier`.

    Reference: Xia et al. 2022 (arXiv 2205.15223) fine-tune with prompts of this kind.
    """

    model_class = ElectraForPreTraining
    # Without these the words of labels mean nothing to the model.
    required_tensors = (
        "discriminator_predictions.dense.weight",
        "discriminator_predictions.dense_prediction.weight",
    )

    def make_model(self) -> ElectraForPreTraining:
        return ElectraForPreTraining(self.network, recompute=self.recompute)

    @functools.cached_property
    def _prompts(self):
        return self.config.prompts()

    def features(self, examples: ExampleSet) -> Features:
        made = [self._prompts.of_text(each.text, each.pair) for each in examples.examples]
        prompts = [prompt for each, _ in made for prompt in each]
        targets = self._targets(examples)
        count, labels = len(made), len(self._prompts.words)
        return Features.of_sequences(
            [prompt.ids for prompt in prompts],
            [np.zeros(len(prompt.ids), np.int32) for prompt in prompts],
            np.arange(count),
            {"labels": targets, _POSITIONS: _positions(prompts).reshape(count, labels, -1)},
            weights=self._class_weights(targets),
            group=labels,
            truncated=sum(size > self.config.length for _, size in made),
        )

    def _run(self, model, batch, training):
        logits = self._logits(model, batch, training)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["labels"], logits)
        return {"logits": logits}, tf.reduce_sum(losses * batch["sample_weight"])

    def _logits(self, model, batch, training):
        """Return the logits of the labels, float32 `[batch, labels]`."""
        _, labels, count = batch[_POSITIONS].shape
        inputs = {name: merge_choices(each) for name, each in self.inputs_of(batch).items()}
        # The sequence of label c of example i draws dropout as row i * labels + c of the stream, as
        # in `ElectraForMultipleChoice`.
        with randomness.scope(training=training, rows=labels):
            replaced = model(inputs, training=training)["logits"]  # [B * C, L]
        positions = tf.reshape(batch[_POSITIONS], [-1, count])
        # log P(original) is log(1 - P(replaced)), which would lose the digits of a P near 1.
        original = tf.math.log_sigmoid(-replaced)
        found = tf.gather(original, tf.maximum(positions, 0), batch_dims=1)
        is_token = tf.cast(positions != _NONE, tf.float32)
        means = tf.reduce_sum(found * is_token, axis=1) / tf.reduce_sum(is_token, axis=1)
        return tf.reshape(means, [-1, labels])


def _positions(prompts: Sequence[Prompt]) -> np.ndarray:
    """Return the positions of the labels' tokens, int32 `[prompts, most]`."""
    most = max(len(prompt.label) for prompt in prompts)
    result = np.full([len(prompts), most], _NONE, np.int32)
    for row, prompt in zip(result, prompts):
        row[: len(prompt.label)] = prompt.label
    return result
