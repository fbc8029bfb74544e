"""Turn text into pre-training examples, and examples into masked batches."""
