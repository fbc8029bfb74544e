"""Objects can be rebuilt from their configuration, and misspelt arguments raise."""

import json

import pytest

from tests.conformance import objects
from tests.conformance.table import TABLE


@objects.keep("json")
def test_an_object_is_rebuilt_from_json_with_the_same_configuration(name):
    made = objects.made(name)
    config = json.loads(json.dumps(made.get_config()))
    again = type(made).from_config(config)
    assert json.dumps(again.get_config()) == json.dumps(made.get_config())
    objects.call(again, TABLE[name])
    assert [v.shape for v in again.variables] == [v.shape for v in made.variables]


@objects.keep("unknown keyword")
def test_an_unknown_keyword_raises(name):
    with pytest.raises((TypeError, ValueError), match="no_such_option"):
        TABLE[name].make(no_such_option=1)
