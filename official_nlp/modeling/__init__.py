"""Keras layers, networks and models: tensors in, tensors out."""
