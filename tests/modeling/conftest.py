"""A tiny pre-trainer and a batch for it, shared by the tests of a file."""

import pytest

from tests.modeling import tiny


@pytest.fixture(scope="module")
def model():
    """A pre-trainer with shared embeddings; a test must restore what it changes."""
    return tiny.pretrainer()


@pytest.fixture(scope="module")
def batch():
    """Two examples, which use five of six slots."""
    return tiny.batch()
