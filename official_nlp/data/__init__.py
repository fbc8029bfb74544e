"""Text in, batches out. This list is the public API; a part is imported when it is first used."""

import importlib

_WHERE = {
    "DataFolder": "records",
    "ElectraTokenizer": "tokenization.tokenizer",
    "ExamplesSummary": "examples",
    "GraphTokenizer": "tokenization.graph_tokenizer",
    "MaskingConfig": "masking",
    "TornRecords": "torn",
    "Yardsticks": "yardsticks",
    "build_examples": "examples",
    "documents": "corpus",
    "evaluation_dataset": "pipeline",
    "find_files": "corpus",
    "mask_tokens": "masking",
    "max_predictions": "masking",
    "measure_yardsticks": "yardsticks",
    "open_folder": "records",
    "position_to_example": "order",
    "pretraining_dataset": "pipeline",
    "train_vocabulary": "vocabulary",
    "unigram_probabilities": "yardsticks",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str):
    # Text tools shall start fast: TensorFlow is imported by masking and pipeline alone.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
