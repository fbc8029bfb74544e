"""The table holds every public class, and its exceptions name promises."""

import importlib
import pathlib

import pytest

from official_nlp.modeling import layers, models, networks
from tests.conformance import objects, table

PUBLIC = {*layers.__all__, *networks.__all__, *models.__all__} - {"ElectraConfig"}


def missing(names):
    return PUBLIC - {name.split()[0] for name in names}


def test_every_public_class_is_in_the_table():
    assert not missing(table.TABLE)


def test_a_class_that_is_not_in_the_table_is_noticed():
    assert missing(set(table.TABLE) - {"MaskedLM"}) == {"MaskedLM"}


def test_the_table_holds_nothing_else():
    assert {name.split()[0] for name in table.TABLE} <= PUBLIC


def test_the_representatives_are_in_the_table():
    assert set(table.REPRESENTATIVES) <= set(table.TABLE)
    assert len(set(table.REPRESENTATIVES)) >= 5


@pytest.mark.parametrize("name", [n for n, line in table.TABLE.items() if line.exceptions])
def test_exceptions_name_a_promise_and_a_reason(name):
    for file in pathlib.Path(__file__).parent.glob("*_test.py"):
        importlib.import_module(f"tests.conformance.{file.stem}")
    for promise, reason in table.TABLE[name].exceptions.items():
        assert promise in objects.PROMISES
        assert len(reason) > 20
