"""Classify texts by the discriminator, which judges the word of which label fits a template."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from official_nlp.data.label_prompts import TEMPLATE, LabelPrompts
from official_nlp.errors import InputError
from official_nlp.inference import inputs
from official_nlp.inference.batches import TokenSequence
from official_nlp.inference.head import Head, label_names
from official_nlp.inference.inputs import TextPair
from official_nlp.inference.replaced_words import WordScorer
from official_nlp.inference.sequence_classification import Classification
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.output import counted
from official_nlp.tasks.finetuning import predicted_texts
from official_nlp.tasks.probabilities import softmax

# Texts whose filled templates are in memory at once.
_CHUNK = 256


class ZeroShotClassifier(Head):
    """Choose the label whose word the discriminator finds most original in a template.

    The score of a label is the mean of log P(original) over the tokens of its word in the filled
    template. The mean, and not the sum, because every further token of a word can only lower the
    sum. The probabilities of the labels are the softmax of their scores.

    A sequence that is too long loses tokens of the text, or of the longer of two texts, and none of
    the template.

    Args:
      scorer: the discriminator.
      labels: names of the labels, which are also their words; or the word of each label by name.
      template: see `label_prompts.Template`.
      temperature: divisor of the scores, which calibrates the probabilities.

    Raises:
      InputError: see `LabelPrompts`.

    Reference: Xia et al. 2022 (arXiv 2205.15223); Ni and Kao 2022 (arXiv 2207.08141).
    """

    expects = inputs.TEXT_OR_PAIR

    def __init__(
        self,
        scorer: WordScorer,
        labels: Sequence[str] | Mapping[str, str],
        template: str = TEMPLATE,
        temperature: float = 1.0,
    ):
        self.scorer = scorer
        self.tokenizer = scorer.tokenizer
        self.length = scorer.length
        self._prompts = LabelPrompts(scorer.tokenizer, labels, template, scorer.length)
        self._temperature = temperature

    @classmethod
    def of_model(cls, scorer: WordScorer, config: ElectraConfig) -> "ZeroShotClassifier":
        """Return the classifier of a discriminator that was fine-tuned on the words of labels.

        Args:
          scorer: the discriminator.
          config: its configuration, which has the template and the words.

        Raises:
          InputError: the words are not those of the labels.
        """
        names, extra = label_names(config), config.extra
        words = predicted_texts.fitted_value(extra, predicted_texts.LABEL_WORDS, {})
        if set(words) != set(names):
            raise InputError(
                f"{predicted_texts.LABEL_WORDS} in config.json must name the labels "
                f"{', '.join(names)}, named {', '.join(words)}: copy the model again"
            )
        return cls(
            scorer,
            {name: words[name] for name in names},
            predicted_texts.fitted_value(extra, predicted_texts.LABEL_TEMPLATE, TEMPLATE),
            predicted_texts.fitted_value(extra, predicted_texts.TEMPERATURE, 1.0),
        )

    def parse(self, value: Any) -> TextPair | None:
        return inputs.parse_text_or_pair(value)

    def predict(self, texts: Sequence[TextPair]) -> list[Classification]:
        """Return the label of each text or pair, and the probabilities of all.

        A warning gives the number of truncated texts.

        Raises:
          InputError: a pair is given for a template without `{text_pair}`, or one text alone for
            one with it; or the template leaves no room for a text.
        """
        for number, each in enumerate(texts, start=1):
            self._prompts.require_places(f"input {number}", each.pair)
        results, longest = [], []
        for start in range(0, len(texts), _CHUNK):
            filled = [self._prompts.of_text(*each) for each in texts[start : start + _CHUNK]]
            longest += [size for _, size in filled if size > self.length]
            prompts = [prompt for each, _ in filled for prompt in each]
            outputs = self.scorer.log_original([TokenSequence(prompt.ids) for prompt in prompts])
            means = [output[prompt.label].mean() for prompt, output in zip(prompts, outputs)]
            for scores in np.reshape(means, [-1, len(self._prompts.words)]):
                results.append(self._classification(softmax(scores / self._temperature)))
        if longest:
            warnings.warn(
                f"truncated {len(longest):,} of {counted(len(texts), 'text')} with the template to "
                f"{self.length} tokens (the longest has {max(longest):,})",
                stacklevel=3,  # The caller of the predictor.
            )
        return results

    def _classification(self, probabilities: np.ndarray) -> Classification:
        names = list(self._prompts.words)
        best = int(probabilities.argmax())
        scores = dict(zip(names, probabilities.tolist()))
        return Classification(names[best], float(probabilities[best]), scores)
