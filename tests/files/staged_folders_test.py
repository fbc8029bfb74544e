"""Tests of folders that appear complete or not at all."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

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
    assert names(tmp_path) == [".to.lock", ".to.partial"]
    with staged(tmp_path / "to") as folder:
        assert names(folder) == []
    assert names(tmp_path) == ["to"]


def test_a_second_writer_of_a_folder_is_refused_before_its_work(tmp_path):
    with staged(tmp_path / "to") as first:
        (first / "file").touch()
        with pytest.raises(InputError, match=r"another process is writing .*to: wait until"):
            staged(tmp_path / "to").__enter__()
        with staged(tmp_path / "other"):
            pass
    assert names(tmp_path / "to") == ["file"]
    assert names(tmp_path) == ["other", "to"]


def test_of_many_writers_at_once_one_succeeds(tmp_path):
    begun, outcomes = threading.Barrier(8), []

    def write(number):
        begun.wait()
        try:
            with staged(tmp_path / "to") as folder:
                (folder / str(number)).touch()
            outcomes.append(number)
        except InputError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert names(tmp_path / "to") == [str(winner)]
    assert names(tmp_path) == ["to"]


def test_a_link_to_an_empty_folder_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("disk/missing")
    for link, real in (("link", "real"), ("dangling", "disk/missing")):
        with staged(tmp_path / link) as folder:
            (folder / "file").touch()
        assert (tmp_path / link).is_symlink()
        assert names(tmp_path / real) == ["file"]
    assert names(tmp_path) == ["dangling", "disk", "link", "real"]


def test_a_target_that_cannot_be_replaced_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"loop is a file, but must be a folder"):
        staged(tmp_path / "loop").__enter__()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for path in (".", tmp_path / "here"):
        with pytest.raises(InputError, match=r"is the working directory or a mounted"):
            staged(path).__enter__()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    with pytest.raises(InputError, match=r"here must .* name a new folder inside it"):
        staged(tmp_path / "here").__enter__()
    assert names(tmp_path) == ["here", "loop"]


def test_a_target_that_was_filled_in_the_meantime_is_not_overwritten(tmp_path):
    writer = staged(tmp_path / "to")
    writer.__enter__()
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine").touch()
    with pytest.raises(InputError, match=r"to is not empty"):
        writer.__exit__(None, None, None)
    assert names(tmp_path / "to") == ["mine"]
    assert names(tmp_path) == ["to"]


def test_a_remote_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"the folder must be a local path .*, was 'gs://b/to'"):
        staged("gs://b/to").__enter__()
    assert names(tmp_path) == []


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
