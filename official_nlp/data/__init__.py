"""Text in, batches out. This list is the public API; each name is imported on first use."""

import importlib
from typing import Any

_WHERE = {
    "DataFolder": "storage.data_folder",
    "ElectraTokenizer": "tokenization.tokenizer",
    "ExamplesSummary": "pretraining.examples",
    "GraphTokenizer": "tokenization.graph.graph_tokenizer",
    "MaskingConfig": "pretraining.masking",
    "CorruptRecords": "storage.corrupt_records",
    "NgramBaselines": "pretraining.ngram_baselines",
    "build_examples": "pretraining.examples",
    "documents": "corpus",
    "evaluation_dataset": "pretraining.pipeline",
    "find_files": "corpus",
    "mask_tokens": "pretraining.masking",
    "max_predictions": "pretraining.masking",
    "measure_ngram_baselines": "pretraining.ngram_baselines",
    "open_folder": "storage.data_folder",
    "position_to_example": "pretraining.example_order",
    "pretraining_dataset": "pretraining.pipeline",
    "train_vocabulary": "tokenization.vocabulary",
    "unigram_probabilities": "pretraining.ngram_baselines",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    # Text tools must start fast: only masking, pipeline and graph tokenizer import TensorFlow.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
