"""The head to serve for each head of a `Predictor`."""

from collections.abc import Mapping
from typing import Any

from official_nlp.errors import InputError
from official_nlp.inference.head import Head
from official_nlp.inference.sequence_classification import SequenceClassifier
from official_nlp.serving.served_head import ServedHead
from official_nlp.serving.served_network import ServedNetwork
from official_nlp.serving.text_classification import ServedTextClassifier


def served_head(head: Head, models: Mapping[str, Any]) -> ServedHead:
    """Return the signatures of a model.

    Args:
      head: the head of its `Predictor`.
      models: Keras models by the name of their part, "" for the only one.

    Raises:
      InputError: models of this kind cannot be exported.
    """
    if isinstance(head, SequenceClassifier):
        return ServedTextClassifier(head, _network(models[""], "logits"))
    raise InputError(
        f"a model with the head {type(head).__name__} cannot be exported: a SavedModel holds no "
        "loop that generates text; call its Predictor instead"
    )


def _network(model: Any, *outputs: str) -> ServedNetwork:
    """Return a network with some of the outputs of a Keras model."""

    def call(inputs):
        found = model(inputs, training=False)
        return {name: found[name] for name in outputs}

    return ServedNetwork(call, model.weights)
