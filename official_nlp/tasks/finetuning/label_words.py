"""Classification of texts through the replaced-token head: which label's word is original?"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from official_nlp import randomness, ranges
from official_nlp.data.label_prompts import LabelPrompts, Prompt
from official_nlp.errors import InputError
from official_nlp.modeling.models import ElectraForPreTraining
from official_nlp.modeling.models.electra_for_multiple_choice import merge_choices
from official_nlp.tasks.finetuning import class_weights, predicted_texts
from official_nlp.tasks.finetuning.data import ExampleSet, TaskData
from official_nlp.tasks.finetuning.features import Features
from official_nlp.tasks.finetuning.text_classification import (
    REPLACED_TOKEN,
    SINGLE,
    TextClassification,
    TextClassificationConfig,
)

# Positions of the tokens of the label's word in each sequence, and what fills them up.
_POSITIONS, _NONE = "label_positions", -1


# === Settings ===


def completed(config: TextClassificationConfig, data: TaskData) -> TextClassificationConfig:
    """Return a configuration with the word of each label, which the network records, too.

    Args:
      config: a configuration with labels.
      data: the data of a run, or sets for evaluation only.

    Raises:
      InputError: the labels do not exclude one another, the words are not theirs or unknown to the
        vocabulary, or the template does not fit the texts.
    """
    if config.problem_type != SINGLE:
        raise InputError(
            f"HEAD={REPLACED_TOKEN} is for {SINGLE}, but the problem is {config.problem_type}: "
            "leave HEAD out"
        )
    names = list(config.labels or ())
    words = dict(zip(names, names)) if config.label_words is None else config.label_words
    if set(words) != set(names):
        raise InputError(
            f"label_words must have a word for each of the labels {', '.join(names)}, had words"
            f" for {ranges.shown(', '.join(words))}"
        )
    words = {name: words[name] for name in names}
    network, _ = config.require_network()
    recorded = {
        predicted_texts.LABEL_TEMPLATE: config.label_template,
        predicted_texts.LABEL_WORDS: words,
    }
    made = dataclasses.replace(
        config,
        network=network.replace(extra={**network.extra, **recorded}),
        template=config.label_template,
        label_words=words,
    )
    prompts = _prompts(made)
    for examples in filter(None, (data.train, *data.dev.values(), *data.test.values())):
        for example in examples.examples:
            prompts.require_places(f"{examples.path}, line {example.line},", example.pair)
    return made


def _prompts(config: TextClassificationConfig) -> LabelPrompts:
    _, tokenizer = config.require_network()
    words = config.label_words or {}
    return LabelPrompts(tokenizer, words, config.label_template, config.length)


# === Task ===


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
    def _prompts(self) -> LabelPrompts:
        return _prompts(self.config)

    def features(self, examples: ExampleSet) -> Features:
        made = [self._prompts.of_text(each.text, each.pair) for each in examples.examples]
        prompts = [prompt for each, _ in made for prompt in each]
        targets = self._targets(examples)
        weights = class_weights.array(self.config.class_weights, self.config.labels or ())
        count, labels = len(made), len(self._prompts.words)
        return Features.of_sequences(
            [prompt.ids for prompt in prompts],
            [np.zeros(len(prompt.ids), np.int32) for prompt in prompts],
            np.arange(count),
            {"labels": targets, _POSITIONS: _positions(prompts).reshape(count, labels, -1)},
            weights=None if weights is None else weights[targets],
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
