"""Choose one of several continuations of a text."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.data import ElectraTokenizer
from official_nlp.inference import inputs, sequences
from official_nlp.inference.batches import BatchRunner
from official_nlp.inference.head import Head, Prediction
from official_nlp.inference.inputs import Choices, TextPair
from official_nlp.modeling.models import ElectraForMultipleChoice
from official_nlp.tasks.probabilities import softmax


@dataclasses.dataclass(frozen=True)
class Choice(Prediction):
    """The best of several choices.

    Attributes:
      choice: index of the most probable choice, from 0.
      scores: probability of each choice; they add up to 1.
    """

    choice: int
    scores: list[float]


class ChoiceRanker(Head):
    """Choose one of several texts as the second segment to a first.

    Args:
      model: the model.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence; longer ones are truncated, with a warning.
      batch_size: largest number of sequences in a batch.

    Attributes:
      depends_on_padding: whether padding changes the results of the model.
    """

    expects = inputs.CHOICES

    def __init__(
        self,
        model: ElectraForMultipleChoice,
        tokenizer: ElectraTokenizer,
        length: int,
        batch_size: int = 64,
    ):
        self.tokenizer = tokenizer
        self.length = length
        # The other summaries look at the last token or at all tokens, padding included.
        self.depends_on_padding = model.config.summary_type != "first"

        def logits(batch):
            # [B, L] becomes [B, 1, L]: the network sees each choice as a question with one choice,
            # so that questions with any number of choices share batches.
            batch = {name: x[:, tf.newaxis] for name, x in batch.items()}
            return {"logits": model(batch, training=False)["logits"][:, 0]}

        self._runner = BatchRunner(
            logits,
            tokenizer.pad_token_id,
            length,
            batch_size,
            exact_lengths=self.depends_on_padding,
        )

    def parse(self, value: Any) -> Choices | None:
        return inputs.parse_choices(value)

    def predict(self, questions: Sequence[Choices]) -> list[Choice]:
        """Return the best choice for each text."""
        pairs = [TextPair(text, choice) for text, choices in questions for choice in choices]
        rows = sequences.truncated(self.tokenizer, pairs, self.length)
        logits = iter([float(output["logits"]) for output in self._runner.run(rows)])
        predictions = []
        for question in questions:
            # The probabilities of a question need all its logits, which may be of several batches.
            scores = softmax(np.array([next(logits) for _ in question.choices]))
            predictions.append(Choice(int(scores.argmax()), scores.tolist()))
        return predictions
