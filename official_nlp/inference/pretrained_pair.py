"""Apply a pre-trained generator and discriminator: fill blanks, and score the words of others."""

from collections.abc import Sequence
from typing import Any

from official_nlp.inference import inputs
from official_nlp.inference.fillings import TOP, BlankFiller, Fillings
from official_nlp.inference.head import Head
from official_nlp.inference.replaced_words import ReplacedWords, WordScorer


class PretrainedPair(Head):
    """Fill the blanks of texts that have some, and score the words of all others.

    Args:
      scorer: the discriminator's part.
      filler: the generator's part.
    """

    expects = inputs.TEXT

    def __init__(self, scorer: WordScorer, filler: BlankFiller):
        self.tokenizer = scorer.tokenizer
        self.length = scorer.length
        self.scorer = scorer
        self.filler = filler

    def parse(self, value: Any) -> str | None:
        return inputs.parse_text(value)

    def predict(self, texts: Sequence[str], *, top: int = TOP) -> list[ReplacedWords | Fillings]:
        """Return fillings of texts with a blank, [MASK] or ___, and scored words of others.

        Args:
          texts: texts with or without blanks.
          top: number of tokens for a blank.

        Raises:
          InputError: a text with a blank is longer than a sequence; `top` is out of range.
        """
        blank = [self.filler.has_blank(text) for text in texts]
        filled = iter(self.filler.predict([t for t, has in zip(texts, blank) if has], top=top))
        scored = iter(self.scorer.predict([t for t, has in zip(texts, blank) if not has]))
        return [next(filled) if has else next(scored) for has in blank]
