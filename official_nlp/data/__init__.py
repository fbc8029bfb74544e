"""Text in, batches out. This list is the public API; each name is imported on first use."""

from official_nlp.lazy_imports import lazy_attributes

_WHERE = {
    "DataFolder": ".storage.data_folder:DataFolder",
    "ElectraTokenizer": ".tokenization.tokenizer:ElectraTokenizer",
    "ExamplesSummary": ".pretraining.examples:ExamplesSummary",
    "GraphTokenizer": ".tokenization.graph.graph_tokenizer:GraphTokenizer",
    "MaskingConfig": ".pretraining.masking:MaskingConfig",
    "CorruptRecords": ".storage.corrupt_records:CorruptRecords",
    "NgramBaselines": ".pretraining.ngram_baselines:NgramBaselines",
    "build_examples": ".pretraining.examples:build_examples",
    "documents": ".corpus:documents",
    "evaluation_dataset": ".pretraining.pipeline:evaluation_dataset",
    "find_files": ".corpus:find_files",
    "mask_tokens": ".pretraining.masking:mask_tokens",
    "max_predictions": ".pretraining.masking:max_predictions",
    "measure_ngram_baselines": ".pretraining.ngram_baselines:measure_ngram_baselines",
    "open_folder": ".storage.data_folder:open_folder",
    "position_to_example": ".example_order:position_to_example",
    "pretraining_dataset": ".pretraining.pipeline:pretraining_dataset",
    "train_vocabulary": ".tokenization.vocabulary:train_vocabulary",
    "unigram_probabilities": ".pretraining.ngram_baselines:unigram_probabilities",
}

__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_attributes(__name__, _WHERE)
