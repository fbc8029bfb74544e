"""From text to pre-training examples, and from examples to masked batches."""
