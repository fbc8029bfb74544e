"""A pre-trained generator and discriminator as the signatures of one model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from official_nlp.inference.pretrained_pair import PretrainedPair
from official_nlp.serving.fillings import ServedBlankFiller
from official_nlp.serving.replaced_words import ServedWordScorer
from official_nlp.serving.served_head import DEFAULT, Samples, ServedHead
from official_nlp.serving.served_network import ServedNetwork

_FILL = "fill_blanks"


class ServedPretrainedPair(ServedHead):
    """Score the words of texts (`serving_default`), or fill their blanks (`fill_blanks`).

    The signatures are those of `ServedWordScorer` and `ServedBlankFiller`.

    Args:
      head: the head in Python.
      discriminator: a network with the output `logits`.
      generator: a network with the input `masked_lm_positions` and the output `logits`.
      windows: largest number of sequences of a text whose words are scored.
    """

    def __init__(
        self,
        head: PretrainedPair,
        discriminator: ServedNetwork,
        generator: ServedNetwork,
        windows: int,
    ):
        super().__init__()
        self.windows = windows
        self.networks = {"discriminator": discriminator, "generator": generator}
        self._scorer = ServedWordScorer(head.scorer, discriminator, "", windows)
        self._filler = ServedBlankFiller(head.filler, generator)

    def signatures(self) -> dict[str, Any]:
        return {
            DEFAULT: self._scorer.signatures()[DEFAULT],
            _FILL: self._filler.signatures()[DEFAULT],
        }

    def samples(self) -> dict[str, Samples]:
        return {DEFAULT: self._scorer.samples()[DEFAULT], _FILL: self._filler.samples()[DEFAULT]}

    def results(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        part = self._filler if "num_blanks" in outputs else self._scorer
        return part.results(outputs)
