"""Tests of the check that files of a folder lie inside it."""

import pytest

from official_nlp.errors import InputError
from official_nlp.files import safe_paths


@pytest.fixture
def folder(tmp_path):
    """A folder with a file in it and a file beside it."""
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "file").write_text("here")
    (tmp_path / "outside").write_text("there")
    return folder


def test_a_file_is_found(folder):
    assert safe_paths.inside(str(folder), "file").read_text() == "here"
    assert safe_paths.inside(folder, "file", index="list.json") == folder / "file"


def test_a_link_within_the_folder_is_followed(folder):
    (folder / "link").symlink_to("file")
    assert safe_paths.inside(folder, "link").read_text() == "here"


@pytest.mark.parametrize("target", ["../outside", "below/../../outside", "/etc/passwd"])
def test_a_link_out_of_the_folder_is_refused(folder, target):
    (folder / "link").symlink_to(target)
    with pytest.raises(InputError, match=r"must lie in its folder, but is a link to .* a copy"):
        safe_paths.inside(folder, "link")


def test_the_folder_itself_may_be_a_link(folder, tmp_path):
    (tmp_path / "other").symlink_to(folder)
    assert safe_paths.inside(tmp_path / "other", "file").read_text() == "here"


def test_the_links_of_a_hub_snapshot_to_its_blobs_are_followed(tmp_path):
    snapshot, blob = tmp_path / "models--x/snapshots/12", tmp_path / "models--x/blobs/34"
    snapshot.mkdir(parents=True)
    blob.parent.mkdir()
    blob.write_text("blob")
    (snapshot / "file").symlink_to("../../blobs/34")
    assert safe_paths.inside(snapshot, "file").read_text() == "blob"
    (snapshot / "other").symlink_to("../../../elsewhere")
    with pytest.raises(InputError, match="must lie in its folder"):
        safe_paths.inside(snapshot, "other")


@pytest.mark.parametrize("name", ["missing", "below"])
def test_a_missing_file_and_a_folder_are_refused(folder, name):
    with pytest.raises(InputError, match=f"{name} must be a file, but is not there"):
        safe_paths.inside(folder, name)
    with pytest.raises(InputError, match=f"{name}, which list.json names, must be a file"):
        safe_paths.inside(folder, name, index="list.json")


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "below/x", "..", "", "a\\b", "a\0", "\n", "x" * 300]
)
def test_an_index_may_name_only_files_of_its_own_folder(folder, name):
    with pytest.raises(InputError, match=r"list.json must name files in its own folder, but"):
        safe_paths.inside(folder, name, index="list.json")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 300, "File name too long"),
        ("a\0b", "embedded null byte"),
        # Since Python 3.13 a circle of links resolves to itself, and then it is no file.
        ("circle", "Symlink loop|Too many levels"),
    ],
)
def test_a_name_that_no_file_can_have_is_an_input_error(folder, name, reason):
    (folder / "circle").symlink_to("circle")
    message = (
        rf"must hold a file .* cannot be one: ({reason})|circle must be a file, but is not there"
    )
    with pytest.raises(InputError, match=message):
        safe_paths.inside(folder, name)
