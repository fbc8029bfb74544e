"""Objectives: each joins a model, its data, its losses and its metrics."""

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
from official_nlp.tasks.pretraining import ElectraPretraining, GeneratorMonitor, PretrainingConfig

__all__ = [
    "ElectraPretraining",
    "GeneratorMonitor",
    "PretrainingConfig",
    "QuestionAnswering",
    "QuestionAnsweringConfig",
    "TextClassification",
    "TextClassificationConfig",
    "TokenClassification",
    "TokenClassificationConfig",
]
