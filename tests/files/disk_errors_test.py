"""Tests of the errors for disks that are full or cannot be written."""

import sys

import pytest

from official_nlp.errors import InputError, StorageError
from official_nlp.files import disk_errors


def test_a_full_disk_is_reported_with_path_reason_and_free_space(tmp_path):
    message = r"the file could not be written to .*new/a: No space left on device; [\d.,]+ MB free"
    with (
        pytest.raises(StorageError, match=message + r" there\. The last checkpoint is whole"),
        disk_errors.writing("the file", tmp_path / "new" / "a"),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")


def test_advice_and_class_can_be_chosen(tmp_path):
    with (
        pytest.raises(InputError, match=r"No such file .* free there\. Name another folder$"),
        disk_errors.writing("the file", tmp_path, "Name another folder", InputError),
    ):
        (tmp_path / "missing" / "a").touch()


def test_errors_of_tensorflow_operations_are_reported_with_their_reason(tmp_path):
    tf = pytest.importorskip("tensorflow")
    (tmp_path / "file").touch()
    with (
        pytest.raises(
            StorageError, match=r"the data could not be written to .*: Not a directory; "
        ),
        disk_errors.writing("the data", tmp_path),
    ):
        tf.io.write_file(str(tmp_path / "file" / "a"), b"data")


def test_other_errors_pass_through(tmp_path, monkeypatch):
    with pytest.raises(KeyError), disk_errors.writing("the file", tmp_path):
        raise KeyError
    # TensorFlow need not be imported.
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    with pytest.raises(StorageError), disk_errors.writing("the file", tmp_path):
        raise OSError("no reason given")
