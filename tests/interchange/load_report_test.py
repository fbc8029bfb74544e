"""Loading reports the outcome of every tensor, and can require all of them."""

import doctest

import pytest

from official_nlp.errors import InputError
from official_nlp.interchange import load_report
from official_nlp.interchange.load_report import LoadReport

MODEL = {"kernel": [4, 3], "bias": [4], "head": [2]}
FILE = {"kernel": (2, 3), "bias": (4,), "other": (1,), "again": (4,)}


def test_the_example_runs():
    result = doctest.testmod(load_report)
    assert (result.failed, result.attempted > 0) == (0, True)


def test_every_tensor_has_one_outcome():
    found = LoadReport.compare("folder", MODEL, FILE, ["again"])
    assert found.loaded == ("bias",)
    assert found.missing == ("head",)
    assert found.ignored == ("other",)
    assert found.mismatched == ("kernel: [2, 3] in the file, [4, 3] in the model",)
    assert found.tied == ("again",)
    assert found.newly_initialized == ("head", "kernel")


def test_the_report_has_a_line_for_each_outcome():
    assert str(LoadReport.compare("folder", MODEL, FILE, ["again"])).splitlines() == [
        "folder: 1 tensor loaded",
        "  newly initialized, missing in the file: head",
        "  newly initialized, different shape in the file: kernel: [2, 3] in the file, [4, 3] in "
        "the model",
        "  ignored, unknown to the model: other",
        "  stored although tied: again",
    ]


def test_a_long_list_is_cut_and_its_rest_counted():
    found = LoadReport("folder", ignored=tuple("abcdefghij"))
    assert "a, b, c, d, e, f and 4 more" in str(found)
    assert "0 tensors loaded" in str(found)


def test_names_with_control_characters_are_escaped():
    found = LoadReport("folder", ignored=("\x1b[2Jgone", "", "long" * 1000))
    assert f"\\x1b[2Jgone, '', {'long' * 50}..." in str(found)


def test_notes_are_printed_last():
    assert str(LoadReport("folder", ("a",), notes=("a note",))).endswith("\n  a note")


def test_a_file_without_a_matching_tensor_is_an_error():
    found = LoadReport.compare("folder", MODEL, {"bert.kernel": [4, 3]})
    with pytest.raises(
        InputError, match=r"no tensor in folder matches .* bert.kernel.* kernel, bias"
    ):
        found.require_some()
    with pytest.raises(InputError, match="no tensors"):
        LoadReport.compare("folder", MODEL, {}).require_some()
    LoadReport("folder", loaded=("bias",)).require_some()


def test_a_different_shape_is_an_error_where_shapes_are_required():
    found = LoadReport.compare("folder", MODEL, {"kernel": [2, 3]})
    with pytest.raises(InputError, match=r"kernel: \[2, 3\] .*ignore_mismatched_sizes=True"):
        found.require_shapes()
    LoadReport.compare("folder", MODEL, {"kernel": [4, 3]}).require_shapes()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            {"kernel": [4, 3], "bias": [4]},
            "missing in the file: head; unknown to the model: none",
        ),
        ({**MODEL, "other": [1]}, "missing in the file: none; unknown to the model: other"),
        ({**MODEL, "head": [3]}, r"of a different shape: head: \[3\]"),
    ],
)
def test_strict_loading_requires_all_tensors(file, message):
    with pytest.raises(InputError, match=message):
        LoadReport.compare("folder", MODEL, file).require_all()


def test_strict_loading_accepts_stored_tied_tensors():
    LoadReport.compare("folder", MODEL, {**MODEL, "again": [1]}, ["again"]).require_all()
