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
from official_nlp.data.staging import staged
with staged(sys.argv[1]) as folder:
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_appears_at_the_end(tmp_path):
    to = tmp_path / "new" / "folder"
    with staged(to) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("text")
        assert not to.exists()
        assert folder.parent == to.parent
    assert names(tmp_path / "new") == ["folder"]
    assert (to / "sub" / "file").read_text() == "text"
    assert names(to) == ["sub"]


def test_an_empty_folder_may_be_there(tmp_path):
    (tmp_path / "to").mkdir()
    with staged(tmp_path / "to") as folder:
        (folder / "file").touch()
    assert names(tmp_path / "to") == ["file"]


def test_others_may_read_what_the_umask_allows(tmp_path):
    with staged(tmp_path / "to"):
        pass
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "to").stat().st_mode & 0o777 == 0o777 & ~mask


def test_an_error_leaves_nothing(tmp_path):
    with contextlib.suppress(RuntimeError), staged(tmp_path / "to") as folder:
        (folder / "file").touch()
        raise RuntimeError
    assert names(tmp_path) == []


def test_what_a_kill_leaves_goes_at_the_next_call(tmp_path, repository):
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "to")]
    assert subprocess.run(command, cwd=repository).returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 1
    assert not (tmp_path / "to").exists()
    with staged(tmp_path / "to"):
        assert len(names(tmp_path)) == 1
    assert names(tmp_path) == ["to"]


def test_a_writer_at_work_is_left_alone(tmp_path):
    with staged(tmp_path / "to") as first:
        (first / "file").touch()
        with staged(tmp_path / "to") as second:
            (second / "other").touch()
        assert names(tmp_path / "to") == ["other"]
        (tmp_path / "to" / "other").unlink()
    assert names(tmp_path / "to") == ["file"]


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine").touch()
    with pytest.raises(InputError, match=r"to is not empty, and is not overwritten"):
        staged(tmp_path / "to").__enter__()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file is a file, but must be a folder"):
        staged(tmp_path / "file").__enter__()


@pytest.mark.parametrize("place", ["file/folder/to", "/proc/nowhere/to", "x" * 300])
def test_a_place_that_cannot_be_written_is_named(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write .*(file|nowhere|xxx).*; name a folder"):
        staged(tmp_path / place).__enter__()


def test_a_fault_of_the_disk_is_named_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(InputError, match=r"cannot write .*: No space left"),
        staged(tmp_path / "to"),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert names(tmp_path) == []
