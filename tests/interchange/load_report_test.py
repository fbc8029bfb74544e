"""What became of every tensor is told, and can be demanded."""

import doctest

import pytest

from official_nlp.errors import InputError
from official_nlp.interchange import load_report
from official_nlp.interchange.load_report import LoadReport

MODEL = {"kernel": [4, 3], "bias": [4], "head": [2]}


def test_the_example_runs():
    assert doctest.testmod(load_report).failed == 0
    assert doctest.testmod(load_report).attempted > 0


def test_every_tensor_has_one_fate():
    found = LoadReport.compare(
        "folder", MODEL, {"kernel": (2, 3), "bias": (4,), "other": (1,), "again": (4,)}, ["again"]
    )
    assert found.loaded == ("bias",)
    assert found.missing == ("head",)
    assert found.ignored == ("other",)
    assert found.mismatched == ("kernel: [2, 3] in the file, [4, 3] in the model",)
    assert found.tied == ("again",)
    assert found.fresh == ("head", "kernel")


def test_the_report_says_all_in_a_few_lines():
    found = LoadReport.compare(
        "folder", MODEL, {"kernel": (2, 3), "bias": (4,), "other": (1,), "again": (4,)}, ["again"]
    )
    assert str(found).splitlines() == [
        "folder: 1 tensor loaded",
        "  fresh, for they are not in the file: head",
        "  fresh, for they have another shape: kernel: [2, 3] in the file, [4, 3] in the model",
        "  ignored, for the model has no place for them: other",
        "  stored again, though tied: again",
    ]


def test_a_long_list_is_cut_and_its_rest_counted():
    found = LoadReport("folder", ignored=tuple("abcdefghij"))
    assert "a, b, c, d, e, f and 4 more" in str(found)
    assert "0 tensors loaded" in str(found)


def test_names_cannot_write_over_a_terminal():
    found = LoadReport("folder", ignored=("\x1b[2Jgone", "", "long" * 1000))
    assert f"'\\x1b[2Jgone', '', {'long' * 50}..." in str(found)


def test_notes_are_told():
    assert str(LoadReport("folder", ("a",), notes=("a note",))).endswith("\n  a note")


def test_nothing_matched_is_an_error():
    found = LoadReport.compare("folder", MODEL, {"bert.kernel": [4, 3]})
    with pytest.raises(
        InputError, match=r"nothing in folder matched .* bert.kernel.* kernel, bias"
    ):
        found.require_some()
    with pytest.raises(InputError, match="no tensors"):
        LoadReport.compare("folder", MODEL, {}).require_some()
    LoadReport("folder", loaded=("bias",)).require_some()


def test_another_shape_is_an_error_where_shapes_are_demanded():
    found = LoadReport.compare("folder", MODEL, {"kernel": [2, 3]})
    with pytest.raises(InputError, match=r"kernel: \[2, 3\] .*ignore_mismatched_sizes=True"):
        found.require_shapes()
    LoadReport.compare("folder", MODEL, {"kernel": [4, 3]}).require_shapes()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"kernel": [4, 3], "bias": [4]}, "missing: head; without a place: none"),
        ({**MODEL, "other": [1]}, "missing: none; without a place: other"),
        ({**MODEL, "head": [3]}, r"of another shape: head: \[3\]"),
    ],
)
def test_strict_demands_all(file, message):
    with pytest.raises(InputError, match=message):
        LoadReport.compare("folder", MODEL, file).require_all()


def test_strict_has_nothing_against_what_is_tied():
    LoadReport.compare("folder", MODEL, {**MODEL, "again": [1]}, ["again"]).require_all()
