"""Fine-tuning: a pretrained encoder with a new head, trained on the examples of a task."""
