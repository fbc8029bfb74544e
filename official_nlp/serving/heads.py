"""The networks and the signatures to export for each head of a `Predictor`."""

from collections.abc import Mapping, Sequence
from typing import Any

from official_nlp import ranges
from official_nlp.errors import InputError
from official_nlp.inference.embedding import TextEncoder
from official_nlp.inference.exported import ExportedNetwork
from official_nlp.inference.fillings import BlankFiller
from official_nlp.inference.head import Head
from official_nlp.inference.multiple_choice import ChoiceRanker
from official_nlp.inference.pretrained_pair import PretrainedPair
from official_nlp.inference.question_answering import QuestionAnswerer
from official_nlp.inference.replaced_words import WordScorer
from official_nlp.inference.sequence_classification import SequenceClassifier
from official_nlp.inference.text_generation import TextGenerator
from official_nlp.inference.token_classification import TokenClassifier
from official_nlp.modeling.models import ElectraPretrainer
from official_nlp.serving.embedding import ServedTextEncoder
from official_nlp.serving.fillings import ServedBlankFiller
from official_nlp.serving.multiple_choice import ServedChoiceRanker
from official_nlp.serving.pretrained_pair import ServedPretrainedPair
from official_nlp.serving.question_answering import ServedQuestionAnswerer
from official_nlp.serving.replaced_words import ServedWordScorer
from official_nlp.serving.served_head import ServedHead
from official_nlp.serving.served_network import INPUTS, ServedNetwork
from official_nlp.serving.text_classification import ServedTextClassifier
from official_nlp.serving.token_classification import ServedTokenClassifier
from official_nlp.serving.windows import MOST_WINDOWS
from official_nlp.tasks.finetuning.predicted_texts import TRUNCATE, WINDOWS

# Treatments of texts that are longer than a sequence.
LONG_TEXTS = (WINDOWS, TRUNCATE)
_LOGITS = ("logits",)
_GENERATOR_INPUTS = ("input_word_ids", "input_mask", "masked_lm_positions")
_SPAN_OUTPUTS = ("start_logits", "end_logits")
_JOINT_SPAN_OUTPUTS = (
    "start_top_log_probs",
    "start_top_index",
    "end_logits",
    "answerable_logits",
)


def served_networks(head: Head, models: Mapping[str, Any]) -> dict[str, ServedNetwork]:
    """Return the networks of a model by part, with the inputs and outputs that its head needs.

    Args:
      head: the head of its `Predictor`.
      models: Keras models by the name of their part, "" for the only one.

    Raises:
      InputError: models of this kind cannot be exported.
    """
    _check(head, models)
    if isinstance(head, PretrainedPair):
        return {
            "discriminator": _network(models["discriminator"], _LOGITS),
            "generator": _network(models["generator"], _LOGITS, _GENERATOR_INPUTS),
        }
    ((part, model),) = models.items()
    if isinstance(head, QuestionAnswerer):
        return {part: _network(model, _JOINT_SPAN_OUTPUTS if head.is_joint else _SPAN_OUTPUTS)}
    if isinstance(head, ChoiceRanker):
        return {part: _network(model, _LOGITS, rank=3)}
    if isinstance(head, BlankFiller):
        return {part: _network(model, _LOGITS, _GENERATOR_INPUTS)}
    if isinstance(head, TextEncoder):
        return {part: _network(model, ("sequence_output",))}
    return {part: _network(model, _LOGITS)}


def served_head(
    head: Head, networks: Mapping[str, ServedNetwork], long_texts: str = WINDOWS
) -> ServedHead:
    """Return the signatures of a model that take strings.

    Args:
      head: the head of its `Predictor`.
      networks: what `served_networks` returned for it.
      long_texts: `windows`: divide texts that are longer than a sequence, where the head does; or
        `truncate`: read the beginning.

    Raises:
      InputError: no signatures can be made for models of this kind, or `long_texts` is another
        value.
    """
    ranges.Choice(LONG_TEXTS).require("long_texts", long_texts)
    windows = MOST_WINDOWS if long_texts == WINDOWS else 1
    if isinstance(head, PretrainedPair):
        return ServedPretrainedPair(head, networks["discriminator"], networks["generator"], windows)
    ((part, network),) = networks.items()
    if isinstance(head, SequenceClassifier):
        return ServedTextClassifier(head, network, windows)
    if isinstance(head, TokenClassifier):
        return ServedTokenClassifier(head, network, windows)
    if isinstance(head, QuestionAnswerer):
        return ServedQuestionAnswerer(head, network, windows)
    if isinstance(head, ChoiceRanker):
        return ServedChoiceRanker(head, network)
    if isinstance(head, WordScorer):
        return ServedWordScorer(head, network, part, windows)
    if isinstance(head, BlankFiller):
        return ServedBlankFiller(head, network, part)
    if isinstance(head, TextEncoder):
        return ServedTextEncoder(head, network)
    raise InputError(
        "a classifier through the replaced-token head cannot be exported as a SavedModel, which "
        "has no templates with the words of labels: export it as onnx or litert"
    )


def _check(head: Head, models: Mapping[str, Any]) -> None:
    """Refuse models whose networks cannot be saved by themselves, or need exact lengths."""
    for model in models.values():
        if isinstance(model, ExportedNetwork):
            raise InputError(
                "an exported model cannot be exported again: copy its folder, or export the model "
                "that it came from"
            )
        if isinstance(model, ElectraPretrainer):
            raise InputError(
                "an ElectraPretrainer cannot be exported as it is: give its run folder, or a dict "
                "of an ElectraForMaskedLM as generator and an ElectraForPreTraining as "
                "discriminator"
            )
    if isinstance(head, TextGenerator):
        raise InputError(
            "a decoder cannot be exported: no format has a loop that generates text; use its "
            "Predictor"
        )
    if isinstance(head, ChoiceRanker) and head.depends_on_padding:
        raise InputError(
            "a multiple-choice model must have summary_type='first' to be exported, because "
            "padding changes the results of any other: fine-tune one with it"
        )


def _network(
    model: Any, outputs: Sequence[str], inputs: Sequence[str] = INPUTS, rank: int = 2
) -> ServedNetwork:
    """Return a network with some of the inputs and outputs of a Keras model."""

    def call(values):
        found = model(values, training=False)
        return {name: found[name] for name in outputs}

    return ServedNetwork(call, model.weights, inputs, rank)
