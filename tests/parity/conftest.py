"""What all comparisons share."""

import pytest
import tf_keras


@pytest.fixture(autouse=True)
def _repeatable():
    """Initial values that are the same in every run: differences of rounding depend on them."""
    tf_keras.utils.set_random_seed(1)
