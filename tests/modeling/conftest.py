"""A tiny pre-trainer and a batch for it, made once a file."""

import pytest

from tests.modeling import tiny


@pytest.fixture(scope="module")
def model():
    """A pre-trainer that shares embeddings; not to be changed for good."""
    return tiny.pretrainer()


@pytest.fixture(scope="module")
def batch():
    """Two rows, five slots in use of six."""
    return tiny.batch()
