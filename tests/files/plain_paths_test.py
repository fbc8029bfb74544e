"""Paths that TensorFlow would take for patterns, or cannot express."""

import os
import pathlib

import pytest

from official_nlp.errors import InputError
from official_nlp.files import plain_paths

# A byte that is not UTF-8, as Python represents it in a path.
ODD = ["run [1]", "run*", "run?", "back\\slash", "byte\udcff"]


@pytest.mark.parametrize("name", ["run", "run (1)", "50% #1", "two\nlines", "Größe 你好"])
def test_other_paths_stay_as_they_are(tmp_path, name):
    assert plain_paths.plain(tmp_path / name / "ckpt-1") == str(tmp_path / name / "ckpt-1")


@pytest.mark.parametrize("name", ODD)
def test_a_folder_is_reached_through_a_link_with_a_plain_name(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    plain = plain_paths.plain(os.path.join(name, "ckpt-1"))
    pathlib.Path(plain).write_text("here")
    assert (tmp_path / name / "ckpt-1").read_text() == "here"
    assert not set("*?[\\\udcff") & set(plain)
    # One link a folder.
    assert plain_paths.plain(tmp_path / name / "ckpt-2") == plain.replace("ckpt-1", "ckpt-2")


def test_folders_with_equal_names_have_links_of_their_own(tmp_path):
    for parent in "ab":
        (tmp_path / parent / "[1]").mkdir(parents=True)
        path = pathlib.Path(plain_paths.plain(tmp_path / parent / "[1]" / "file"))
        path.write_text(parent)
    assert [(tmp_path / parent / "[1]" / "file").read_text() for parent in "ab"] == ["a", "b"]


def test_a_checkpoint_whose_own_name_is_a_pattern_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"was 'model\[1\]': rename its files"):
        plain_paths.plain(tmp_path / "model[1]")


def test_a_temporary_folder_that_is_a_pattern_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_paths.tempfile, "gettempdir", lambda: "/tmp/a[1]")
    plain_paths._links.cache_clear()
    try:
        with pytest.raises(InputError, match=r"was '/tmp/a\[1\]': set TMPDIR to another"):
            plain_paths.plain(tmp_path / "b[1]" / "ckpt-1")
    finally:
        plain_paths._links.cache_clear()
