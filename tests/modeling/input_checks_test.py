"""Flags inside the dict of inputs, and values that are checked in eager calls."""

import numpy as np
import pytest

from official_nlp.errors import InputError
from official_nlp.modeling import input_checks, models, networks
from tests.modeling import tiny

IDS = np.array([[2, 5, 6, 3]])


@pytest.fixture(scope="module")
def encoder():
    return networks.ElectraEncoder(tiny.without_dropout(num_hidden_layers=1))


@pytest.fixture(scope="module")
def tagger():
    return models.ElectraForTokenClassification(tiny.without_dropout(num_hidden_layers=1))


@pytest.mark.parametrize("name", ["encoder", "tagger"])
def test_flags_may_be_in_the_dict_of_inputs(request, name):
    model = request.getfixturevalue(name)
    flags = {"output_attentions": True, "output_hidden_states": True, "return_dict": True}
    found = model({"input_ids": IDS, **flags, "use_cache": None})
    expected = model({"input_ids": IDS}, output_attentions=True, output_hidden_states=True)
    assert found.keys() == expected.keys() >= {"attentions", "hidden_states"}


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ({"output_attentions": True}, {"output_attentions": False}, "give output_attentions once"),
        ({"use_cache": 1}, {}, "use_cache must be True or False, was 1"),
        ({"return_dict": False}, {}, "return_dict must be True or left out"),
    ],
)
def test_flags_that_contradict_are_refused(inputs, options, message):
    with pytest.raises(InputError, match=message):
        input_checks.split_flags(inputs, options)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"input_ids": [[2, 32]]}, "input_word_ids must be from 0 to 31, .* was 32"),
        ({"token_type_ids": [[0, 0, 2, 0]]}, "input_type_ids must be from 0 to 1, .* was 2"),
        ({"position_ids": [[0, 1, 2, 8]]}, "position_ids must be from 0 to 7, .* was 8"),
        (
            {"attention_mask": [[1.0, np.nan, 1.0, 1.0]]},
            "input_mask must be 1 at tokens .* was nan",
        ),
        ({"attention_mask": [[1, 2, 1, 1]]}, "was 2; number the documents .* in document_ids"),
    ],
)
def test_values_out_of_range_are_refused(encoder, inputs, message):
    with pytest.raises(InputError, match=message):
        encoder({"input_ids": IDS, **inputs})
