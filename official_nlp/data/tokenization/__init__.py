"""Tokenizers: text to ids and back, in Python (this folder) and in TensorFlow graphs (`graph`)."""
