"""Compare the labels of a pretrained head with those of a run: keep, reorder or replace the head.

A head with the right number of labels need not be one of the same labels: its rows may stand for
others, which neither shapes nor the loss of the first steps would show.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from official_nlp.data.tables.content import listed
from official_nlp.interchange.weights import Weights
from official_nlp.modeling.networks import ElectraConfig

# Classes whose head has one output for each label.
_WITH_LABELS = ("ElectraForSequenceClassification", "ElectraForTokenClassification")
# Classes whose heads have tensors named `classifier`, which mean different things.
_CLASSIFIERS = (*_WITH_LABELS, "ElectraForMultipleChoice")


class LabelFit(NamedTuple):
    """How a pretrained head fits the labels of a run.

    Attributes:
      keeps_head: whether it is a head for these labels.
      order: of each label of the run its number in the pretrained head; None where they are equal.
      note: sentence on labels that differ; empty where they are equal.
    """

    keeps_head: bool = True
    order: list[int] | None = None
    note: str = ""


def compare(architecture: str, ours: ElectraConfig, weights: Weights) -> LabelFit:
    """Compare labels by name.

    1. Weights without a head, and heads without labels, are not compared.
    2. The head of another class is none for these labels, even if its tensors have the same names.
    3. A regression of one output has no labels.
    4. Equal labels in the same order: the head fits.
    5. The same labels in another order: it fits once its outputs are reordered.
    6. Other labels, also of the same number: the run needs a new head.

    Args:
      architecture: class of the model of the run.
      ours: configuration of the run.
      weights: the pretrained network.
    """
    has_head = any(name.startswith("classifier.") for name in weights.arrays)
    if architecture not in _CLASSIFIERS or not has_head:
        return LabelFit()
    (theirs_class, *_) = weights.config.get("architectures") or [architecture]
    if theirs_class != architecture:
        return LabelFit(keeps_head=False, note=f"its head is that of {theirs_class}")
    theirs = ElectraConfig.from_dict(weights.config)
    if architecture not in _WITH_LABELS or ours.num_labels == theirs.num_labels == 1:
        return LabelFit()
    names, found = _names(ours), _names(theirs)
    # Default names are numbers without a meaning, as labels that are numbers have them.
    if names == found or (names == list(map(str, range(len(found)))) and _is_unnamed(found)):
        return LabelFit()
    if sorted(names) == sorted(found) and len(set(names)) == len(names):
        return LabelFit(
            order=[found.index(name) for name in names],
            note=f"the same labels in another order: its head is reordered to {listed(names)}",
        )
    advice = ""
    if len(names) == len(found):
        advice = "; to keep its head, give its labels these names in its config.json"
    return LabelFit(
        keeps_head=False,
        note=f"its labels are {listed(found)}, those of the run {listed(names)}{advice}",
    )


def reorder(model: Any, order: list[int]) -> None:
    """Reorder the outputs of the head of a classifier.

    Args:
      model: a model of a class with labels.
      order: see `LabelFit`.
    """
    for variable in model.classifier.out_proj.trainable_variables:  # Kernel [H, C], bias [C].
        variable.assign(tf.gather(variable, order, axis=-1))


def _names(config: ElectraConfig) -> list[str]:
    return [str(name) for _, name in sorted((config.id2label or {}).items())]


def _is_unnamed(names: list[str]) -> bool:
    return names == [f"LABEL_{number}" for number in range(len(names))]
