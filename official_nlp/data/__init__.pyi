# What `__init__.py` provides lazily, for editors and type checkers.
from official_nlp.data.corpus import documents as documents
from official_nlp.data.corpus import find_files as find_files
from official_nlp.data.example_order import position_to_example as position_to_example
from official_nlp.data.pretraining.examples import ExamplesSummary as ExamplesSummary
from official_nlp.data.pretraining.examples import build_examples as build_examples
from official_nlp.data.pretraining.masking import MaskingConfig as MaskingConfig
from official_nlp.data.pretraining.masking import mask_tokens as mask_tokens
from official_nlp.data.pretraining.masking import max_predictions as max_predictions
from official_nlp.data.pretraining.ngram_baselines import NgramBaselines as NgramBaselines
from official_nlp.data.pretraining.ngram_baselines import (
    measure_ngram_baselines as measure_ngram_baselines,
)
from official_nlp.data.pretraining.ngram_baselines import (
    unigram_probabilities as unigram_probabilities,
)
from official_nlp.data.pretraining.pipeline import evaluation_dataset as evaluation_dataset
from official_nlp.data.pretraining.pipeline import pretraining_dataset as pretraining_dataset
from official_nlp.data.storage.corrupt_records import CorruptRecords as CorruptRecords
from official_nlp.data.storage.data_folder import DataFolder as DataFolder
from official_nlp.data.storage.data_folder import open_folder as open_folder
from official_nlp.data.tokenization.graph.graph_tokenizer import GraphTokenizer as GraphTokenizer
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer as ElectraTokenizer
from official_nlp.data.tokenization.vocabulary import train_vocabulary as train_vocabulary

__all__: list[str]

def __dir__() -> list[str]: ...
