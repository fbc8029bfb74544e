"""Probabilities of logits, computed on the host in float64."""

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of logits along the last axis."""
    # The largest exponent is 0, so nothing overflows.
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the probability of each logit."""
    # sigmoid(x) = (1 + tanh(x / 2)) / 2, and tanh overflows for no argument.
    return 0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))
