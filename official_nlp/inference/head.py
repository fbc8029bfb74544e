"""The contract between `Predictor` and the heads: inputs are parsed, then predicted together."""

import abc
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from official_nlp.data import ElectraTokenizer
from official_nlp.modeling.networks import ElectraConfig


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The result for one input; each head has a subclass with its own fields."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as dicts, lists, strings and numbers."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Return the fields as a JSON object in one line."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)


class Head(abc.ABC):
    """Parse the inputs of one kind of model, and predict a list of them.

    Keyword arguments of a subclass's `predict` are the options of `Predictor.__call__`.

    Attributes:
      expects: description of a valid input that completes the sentence "the input must be ...".
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence, special tokens included.
    """

    expects: str
    tokenizer: ElectraTokenizer
    length: int

    @abc.abstractmethod
    def parse(self, value: Any) -> Any:
        """Return the input in the form that `predict` takes, or None if it is not valid."""

    @abc.abstractmethod
    def predict(self, inputs: Sequence[Any]) -> Sequence[Prediction]:
        """Return a prediction for each parsed input, in order."""


def label_names(config: ElectraConfig) -> list[str]:
    """Return the names of the labels in order of their ids."""
    names = config.id2label or {}
    return [str(names.get(number, f"LABEL_{number}")) for number in range(config.num_labels or 0)]
