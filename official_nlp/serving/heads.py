"""The head to serve for each head of a `Predictor`."""

from collections.abc import Mapping, Sequence
from typing import Any

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


def served_head(head: Head, models: Mapping[str, Any], long_texts: str = WINDOWS) -> ServedHead:
    """Return the signatures of a model.

    Args:
      head: the head of its `Predictor`.
      models: Keras models by the name of their part, "" for the only one.
      long_texts: `windows`: divide texts that are longer than a sequence, where the head does; or
        `truncate`: read the beginning.

    Raises:
      InputError: models of this kind cannot be exported, or `long_texts` is another value.
    """
    _check(head, models)
    if long_texts not in LONG_TEXTS:
        raise InputError(f"long_texts must be {' or '.join(LONG_TEXTS)}, got {long_texts!r}")
    windows = MOST_WINDOWS if long_texts == WINDOWS else 1
    if isinstance(head, PretrainedPair):
        return ServedPretrainedPair(
            head,
            _network(models["discriminator"], _LOGITS),
            _network(models["generator"], _LOGITS, _GENERATOR_INPUTS),
            windows,
        )
    ((part, model),) = models.items()
    if isinstance(head, SequenceClassifier):
        return ServedTextClassifier(head, _network(model, _LOGITS), windows)
    if isinstance(head, TokenClassifier):
        return ServedTokenClassifier(head, _network(model, _LOGITS), windows)
    if isinstance(head, QuestionAnswerer):
        outputs = _JOINT_SPAN_OUTPUTS if head.is_joint else _SPAN_OUTPUTS
        return ServedQuestionAnswerer(head, _network(model, outputs), windows)
    if isinstance(head, ChoiceRanker):
        return ServedChoiceRanker(head, _network(model, _LOGITS, rank=3))
    if isinstance(head, WordScorer):
        return ServedWordScorer(head, _network(model, _LOGITS), part, windows)
    if isinstance(head, BlankFiller):
        return ServedBlankFiller(head, _network(model, _LOGITS, _GENERATOR_INPUTS), part)
    if isinstance(head, TextEncoder):
        return ServedTextEncoder(head, _network(model, ("sequence_output",)))
    raise InputError(
        f"a model with the head {type(head).__name__} cannot be exported: a SavedModel has no loop "
        "that generates text, and no templates with the words of labels; use its Predictor"
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
