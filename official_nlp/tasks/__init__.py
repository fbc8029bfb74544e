"""What joins model and data: one file an objective, and what a trained model says of text."""

from official_nlp.tasks.exchange import ExchangeTest, exchange_test
from official_nlp.tasks.generator_watch import GeneratorWatch
from official_nlp.tasks.pretraining import ElectraPretraining, PretrainingConfig
from official_nlp.tasks.word_scores import WordScorer

__all__ = [
    "ElectraPretraining",
    "ExchangeTest",
    "GeneratorWatch",
    "PretrainingConfig",
    "WordScorer",
    "exchange_test",
]
