"""Signatures of every head in this process, and one model that was really exported."""

import functools

import numpy as np
import pytest

from official_nlp.serving import heads
from tests.inference.conftest import predictor, text_file, tokenizer  # noqa: F401


def arrays(outputs: dict) -> dict:
    """Return the outputs of a signature as arrays, with strings as `str`."""
    found = {name: tensor.numpy() for name, tensor in outputs.items()}
    return {
        name: np.vectorize(bytes.decode, otypes=[object])(array) if array.dtype == object else array
        for name, array in found.items()
    }


@pytest.fixture(scope="session")
def served(predictor):  # noqa: F811
    """Return the served head of a model by its name, and its signatures; each is made once."""

    @functools.cache
    def make(name):
        of = predictor(name)
        head = heads.served_head(of.head, of.parts)
        return head, head.signatures()

    return make
