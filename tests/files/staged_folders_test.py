"""Tests of folders that appear complete or not at all."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from official_nlp.errors import InputError
from official_nlp.files.staged_folders import staged

_KILLED = """
import os, signal, sys
from official_nlp.files.staged_folders import staged
with staged(sys.argv[1]) as folder:
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_appears_when_the_block_ends(tmp_path):
    to = tmp_path / "new" / "folder"
    with staged(to) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("text")
        assert not to.exists()
        assert folder.parent == to.parent
    assert names(tmp_path / "new") == ["folder"]
    assert (to / "sub" / "file").read_text() == "text"
    assert names(to) == ["sub"]


def test_an_empty_folder_is_replaced(tmp_path):
    (tmp_path / "to").mkdir()
    with staged(tmp_path / "to") as folder:
        (folder / "file").touch()
    assert names(tmp_path / "to") == ["file"]


def test_the_permissions_are_those_of_the_umask(tmp_path):
    with staged(tmp_path / "to"):
        pass
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "to").stat().st_mode & 0o777 == 0o777 & ~mask


def test_an_error_leaves_no_folder(tmp_path):
    with contextlib.suppress(RuntimeError), staged(tmp_path / "to") as folder:
        (folder / "file").touch()
        raise RuntimeError
    assert names(tmp_path) == []


def test_the_leftover_of_a_killed_process_is_removed_by_the_next_call(tmp_path, repository):
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "to")]
    assert subprocess.run(command, cwd=repository).returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 1
    assert not (tmp_path / "to").exists()
    with staged(tmp_path / "to"):
        assert len(names(tmp_path)) == 1
    assert names(tmp_path) == ["to"]


def test_the_folder_of_a_running_writer_is_not_removed(tmp_path):
    with staged(tmp_path / "to") as first:
        (first / "file").touch()
        with staged(tmp_path / "to") as second:
            (second / "other").touch()
        assert names(tmp_path / "to") == ["other"]
        (tmp_path / "to" / "other").unlink()
    assert names(tmp_path / "to") == ["file"]


def test_a_folder_with_content_is_not_overwritten(tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine").touch()
    with pytest.raises(InputError, match=r"to is not empty, and is not overwritten"):
        staged(tmp_path / "to").__enter__()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file is a file, but must be a folder"):
        staged(tmp_path / "file").__enter__()


@pytest.mark.parametrize("path", ["file/folder/to", "/proc/nowhere/to", "x" * 300])
def test_a_path_that_cannot_be_written_is_named(tmp_path, path):
    (tmp_path / "file").touch()
    message = r"the folder could not be written to .*(file|nowhere|xxx).* free there. Name a folder"
    with pytest.raises(InputError, match=message):
        staged(tmp_path / path).__enter__()


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(InputError, match=r"could not be written to .*to: No space left"),
        staged(tmp_path / "to"),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert names(tmp_path) == []
