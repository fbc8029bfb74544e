"""Tests of atomic writes."""

import json
import os
import threading

import numpy as np
import pytest

from official_nlp.files import atomic


def test_a_write_replaces_the_content_and_leaves_one_file(tmp_path):
    atomic.write(tmp_path / "a", "old")
    atomic.write(tmp_path / "a", "new ü")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "new ü"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_half_a_surrogate_pair_is_written_as_an_escape_of_json(tmp_path):
    atomic.write(tmp_path / "a", json.dumps("ü \udcff", ensure_ascii=False))
    assert (tmp_path / "a").read_bytes() == b'"\xc3\xbc \\udcff"'
    assert json.loads((tmp_path / "a").read_bytes()) == "ü \udcff"


def test_a_death_before_the_rename_leaves_the_old_content(tmp_path, monkeypatch):
    atomic.write(tmp_path / "a", "old")

    def die(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        atomic.write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("concurrent", [False, True])
def test_an_error_in_the_block_leaves_the_old_content(tmp_path, concurrent):
    atomic.write(tmp_path / "a", "old")
    with (
        pytest.raises(OSError, match="No space left"),
        atomic.replacing(tmp_path / "a", concurrent=concurrent) as temporary,
        open(temporary, "wb") as _,
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"new")
    assert (tmp_path / "a").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_stream_into_the_temporary_file_replaces_the_file(tmp_path):
    with atomic.replacing(tmp_path / "a.npy") as temporary, open(temporary, "wb") as stream:
        np.save(stream, np.arange(3))
        assert not (tmp_path / "a.npy").exists()
    assert np.load(tmp_path / "a.npy").tolist() == [0, 1, 2]


def test_a_symbolic_link_remains_one(tmp_path):
    (tmp_path / "link").symlink_to("target")
    atomic.write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_a_pipe_is_written_and_remains_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=atomic.write, args=(tmp_path / "pipe", "text"))
    writer.start()
    assert (tmp_path / "pipe").read_text() == "text"
    writer.join()
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("path", ["missing/a", "folder"])
def test_a_path_that_cannot_be_written_is_an_error(tmp_path, path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"No such file|Is a directory"):
        atomic.write(tmp_path / path, "text")
    with (
        pytest.raises(OSError, match=r"No such file|Is a directory"),
        atomic.replacing(tmp_path / path) as temporary,
    ):
        temporary.write_text("text")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
