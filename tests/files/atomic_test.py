import pytest

from official_nlp.files import atomic


def test_a_file_is_replaced_whole(tmp_path):
    atomic.write(tmp_path / "a", "old")
    atomic.write(tmp_path / "a", "new ü")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "new ü"
    assert len(list(tmp_path.iterdir())) == 1


def test_whoever_dies_before_the_rename_leaves_the_old(tmp_path, monkeypatch):
    atomic.write(tmp_path / "a", "old")

    def die(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        atomic.write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
