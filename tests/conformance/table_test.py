"""The table contains every public class, and its exceptions name promises."""

import dataclasses
import importlib
import pathlib

from official_nlp.modeling import layers, models, networks
from tests.conformance import objects, table

PUBLIC = {*layers.__all__, *networks.__all__, *models.__all__} - {"ElectraConfig"}


def missing(names):
    return PUBLIC - {name.split()[0] for name in names}


def test_every_public_class_is_in_the_table():
    assert not missing(table.TABLE)


def test_a_class_missing_from_the_table_is_noticed():
    assert "MaskedLM" in missing(set(table.TABLE) - {"MaskedLM"})


def test_the_table_contains_nothing_else():
    assert {name.split()[0] for name in table.TABLE} <= PUBLIC


def test_the_representatives_are_in_the_table():
    assert set(table.REPRESENTATIVES) <= set(table.TABLE)
    folders = (layers, networks, models)
    for folder in folders:
        assert set(table.REPRESENTATIVES) & set(folder.__all__)


def test_exceptions_name_a_promise_and_a_reason():
    for file in pathlib.Path(__file__).parent.glob("*_test.py"):
        importlib.import_module(f"tests.conformance.{file.stem}")
    for name, line in table.TABLE.items():
        for promise, reason in line.exceptions.items():
            assert promise in objects.PROMISES, name
            assert len(reason) > 20, name


def test_the_test_of_an_exception_must_fail(monkeypatch):
    line = dataclasses.replace(table.TABLE["MaskedLM"], exceptions={"json": "it is a test"})
    monkeypatch.setitem(table.TABLE, "MaskedLM", line)
    marks = {case.id or case.values[0]: case.marks for case in objects.keep("json").args[1]}
    (mark,) = marks["MaskedLM"]
    assert mark.name == "xfail"
    assert mark.kwargs == {"reason": "it is a test", "strict": True}
    assert not marks["OnDeviceEmbedding"]
