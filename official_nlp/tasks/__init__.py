"""Objectives: each joins a model, its data, its losses and its metrics."""

from official_nlp.tasks.finetuning.multiple_choice import MultipleChoice, MultipleChoiceConfig
from official_nlp.tasks.finetuning.question_answering import (
    QuestionAnswering,
    QuestionAnsweringConfig,
)
from official_nlp.tasks.finetuning.text_classification import (
    TextClassification,
    TextClassificationConfig,
)
from official_nlp.tasks.finetuning.token_classification import (
    TokenClassification,
    TokenClassificationConfig,
)
from official_nlp.tasks.language_modeling import (
    CausalLanguageModel,
    LanguageModelConfig,
    MaskedLanguageModel,
)
from official_nlp.tasks.pretraining import ElectraPretraining, GeneratorMonitor, PretrainingConfig

__all__ = [
    "CausalLanguageModel",
    "ElectraPretraining",
    "GeneratorMonitor",
    "LanguageModelConfig",
    "MaskedLanguageModel",
    "MultipleChoice",
    "MultipleChoiceConfig",
    "PretrainingConfig",
    "QuestionAnswering",
    "QuestionAnsweringConfig",
    "TextClassification",
    "TextClassificationConfig",
    "TokenClassification",
    "TokenClassificationConfig",
]
