"""Unsupported arguments are removed if they have their default, and raise otherwise."""

import pytest

from official_nlp.errors import InputError
from official_nlp.modeling.refused import drop_refused

REFUSED = {"num_kv_heads": (None, "every head has a key and a value of its own")}


def test_the_default_of_tfnlp_is_removed_and_other_arguments_remain():
    arguments = {"num_kv_heads": None, "name": "block"}
    drop_refused("Block", arguments, REFUSED)
    assert arguments == {"name": "block"}


def test_any_other_value_raises_with_the_reason():
    message = "Block: num_kv_heads must be left out or None, was 2: every head has a key"
    with pytest.raises(InputError, match=message):
        drop_refused("Block", {"num_kv_heads": 2}, REFUSED)
