"""Language models on text: masked tokens, or the next one."""

from official_nlp.tasks.language_modeling.config import LanguageModelConfig
from official_nlp.tasks.language_modeling.task import (
    CausalLanguageModel,
    LanguageModel,
    MaskedLanguageModel,
)

__all__ = ["CausalLanguageModel", "LanguageModel", "LanguageModelConfig", "MaskedLanguageModel"]
