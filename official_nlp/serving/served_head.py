"""The contract between `export` and the heads: signatures, sample requests, and their results."""

import abc
import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.serving.served_network import ServedNetwork, traced

# The signature that a server calls if the request names none.
DEFAULT = "serving_default"
# The signature of pairs, of heads that also take single texts.
PAIRS = "pairs"
STRINGS = tf.TensorSpec([None], tf.string)
# Plain sentences of several scripts; an unknown word is a token too.
SAMPLES = (
    "The old bridge was closed for two years.",
    "Die Straße am Fluß ist gesperrt, sagt Frau Müller.",
    "这座桥很旧。",
    "",
)


def long_sample(length: int) -> str:
    """Return a text that is longer than a sequence of so many tokens."""
    # Every word has at least one token. The text does not repeat itself: of two equal answers in it
    # either may have the higher score, by differences of rounding.
    draw = random.Random(0)
    words = " ".join(SAMPLES[:2]).split()
    return " ".join(draw.choice(words) for _ in range(length * 3 // 2))


@dataclasses.dataclass(frozen=True)
class Samples:
    """Requests to try a signature with.

    Attributes:
      request: list of strings, or of lists of them, by the name of the signature's input.
      inputs: the same inputs, as `Predictor` takes them.
    """

    request: Mapping[str, Sequence[Any]]
    inputs: Sequence[Any]


class ServedHead(tf.Module, abc.ABC):
    """A model with its tokenizer as signatures: functions from strings to named tensors.

    A subclass belongs to a head of `official_nlp.inference` and computes in the graph what that
    head computes in Python. `export` compares both.

    Attributes:
      networks: networks by the name of their part, as in `LoadedModel`; "" for the only one.
      windows: largest number of sequences of one text; 1 for a head that truncates long texts.
    """

    networks: dict[str, ServedNetwork]
    windows = 1

    @abc.abstractmethod
    def signatures(self) -> dict[str, Any]:
        """Return the concrete functions that take strings, by name."""

    @abc.abstractmethod
    def samples(self) -> dict[str, Samples]:
        """Return sample requests for each of these."""

    @abc.abstractmethod
    def results(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        """Return what `to_dict()` of `Predictor`'s results would, from outputs of a signature.

        Args:
          outputs: arrays by name; strings are `str` objects.
        """


def pair_signatures(
    compute: Callable[[tf.Tensor, tf.Tensor | None], dict[str, tf.Tensor]],
) -> dict[str, Any]:
    """Return the signatures of a head that takes a text, or two.

    Args:
      compute: function of texts and second texts `[batch]`; None for no second texts.
    """
    return {
        DEFAULT: traced(lambda text: compute(text, None), {"text": STRINGS}),
        PAIRS: traced(compute, {"text": STRINGS, "text_pair": STRINGS}),
    }


def pair_samples() -> dict[str, Samples]:
    """Return samples of a head that takes a text, or two."""
    pairs = list(zip(SAMPLES, reversed(SAMPLES)))
    firsts, seconds = zip(*pairs)
    return {
        DEFAULT: Samples({"text": list(SAMPLES)}, list(SAMPLES)),
        PAIRS: Samples({"text": list(firsts), "text_pair": list(seconds)}, pairs),
    }
