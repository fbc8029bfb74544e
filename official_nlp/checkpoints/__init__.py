"""Checkpoints of other programs: names to arrays and back. Knows no Keras and no models."""
