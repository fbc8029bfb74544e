import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.training import checkpoints


def _items(value=0.0):
    return {"generator": tf.Variable([value, value]), "step": tf.Variable(0, dtype=tf.int64)}


def _manager(folder, items, interval=10, **keywords):
    keywords.setdefault("keep", 2)
    return checkpoints.Checkpoints(items, folder, items["step"], interval, **keywords)


def _train(manager, items, *steps):
    for step in steps:
        items["step"].assign(step)
        items["generator"].assign([step, step])
        manager.save(checkpoint_number=step)


def _names(folder):
    return sorted(path.stem for path in folder.glob("*.index"))


def test_it_saves_at_multiples_of_the_interval_and_keeps_the_newest(tmp_path):
    items = _items()
    _train(_manager(tmp_path, items), items, *range(5, 45, 5))
    assert _names(tmp_path) == ["ckpt-30", "ckpt-40"]


def test_without_an_interval_it_saves_when_asked_and_once_a_step(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, interval=None)
    _train(manager, items, 10, 20)
    assert _names(tmp_path) == []
    assert manager.save(20, check_interval=False).endswith("ckpt-20")
    assert manager.save(20, check_interval=False) is None
    assert manager.seconds > 0


def test_the_newest_is_restored_into_a_new_process(tmp_path):
    items = _items()
    _train(_manager(tmp_path, items), items, 10, 20)
    again = _items()
    assert _manager(tmp_path, again).restore_or_initialize().endswith("ckpt-20")
    assert again["generator"].numpy().tolist() == [20.0, 20.0]
    assert _manager(tmp_path / "other", again).restore_or_initialize() is None


def test_what_was_measured_is_written_before_the_checkpoint(tmp_path):
    items, names = _items(), []
    manager = _manager(tmp_path, items, before=lambda: names.append(_names(tmp_path)))
    _train(manager, items, 10, 20)
    assert names == [[], ["ckpt-10"]]


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / "ckpt-10_temp").mkdir()
    (tmp_path / "ckpt-10_temp" / "part-00000-of-00001.data").write_text("half")
    (tmp_path / "checkpoint.tmp0123").write_text("half")
    _manager(tmp_path, _items())
    assert list(tmp_path.iterdir()) == []


def test_if_the_newest_is_missing_the_one_before_is_used_and_told(tmp_path):
    items, told = _items(), []
    _train(_manager(tmp_path, items), items, 10, 20)
    for path in tmp_path.glob("ckpt-20.*"):
        path.unlink()
    again = _items()
    path = _manager(tmp_path, again, notify=told.append).restore_or_initialize()
    assert path.endswith("ckpt-10")
    assert "ckpt-20 is missing, continuing from" in told[0]
    assert checkpoints.newest(tmp_path) == path


def test_if_all_are_missing_the_run_does_not_start_again(tmp_path):
    items = _items()
    _train(_manager(tmp_path, items), items, 10)
    for path in tmp_path.glob("ckpt-10.*"):
        path.unlink()
    with pytest.raises(InputError, match=r"the checkpoints of .* are gone"):
        _manager(tmp_path, _items()).restore_or_initialize()


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_is_named(tmp_path, suffix):
    items = _items()
    _train(_manager(tmp_path, items), items, 10)
    path = tmp_path / f"ckpt-10.{suffix}"
    path.write_bytes(path.read_bytes()[:5])
    with pytest.raises(InputError, match=r"ckpt-10 cannot be read .*; delete its files"):
        _manager(tmp_path, _items()).restore_or_initialize()


@pytest.mark.parametrize("content", ["", "no such field"])
def test_if_the_newest_is_not_known_the_run_does_not_start_again(tmp_path, content):
    (tmp_path / "checkpoint").write_text(content)
    with pytest.raises(InputError, match="checkpoint cannot be read; write the line"):
        _manager(tmp_path, _items())


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    items = _items()
    _train(_manager(tmp_path, items), items, 10)
    with pytest.raises(InputError, match="ckpt-10 is of another model"):
        _manager(tmp_path, {**_items(), "head": tf.Variable(1.0)}).restore_or_initialize()


def test_parts_can_be_restored_alone(tmp_path):
    items = _items()
    _train(_manager(tmp_path, items), items, 10)
    part = {"generator": tf.Variable([0.0, 0.0])}
    assert checkpoints.restore_items(part, tmp_path).endswith("ckpt-10")
    assert part["generator"].numpy().tolist() == [10.0, 10.0]
    with pytest.raises(InputError, match="is of another model"):
        checkpoints.restore_items({"discriminator": tf.Variable(1.0)}, tmp_path)


def test_a_folder_without_checkpoints_is_said_so(tmp_path):
    with pytest.raises(InputError, match="no checkpoint in"):
        checkpoints.restore_items(_items(), tmp_path)
