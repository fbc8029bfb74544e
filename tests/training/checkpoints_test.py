import json
import re
import resource
import shutil

import pytest
import tensorflow as tf

from official_nlp.errors import InputError, StorageError
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
    items = _items()
    _train(_manager(tmp_path, items), items, 10)
    whole = {path.name for path in tmp_path.iterdir()}
    (tmp_path / "ckpt-20_temp").mkdir()
    (tmp_path / "ckpt-20_temp" / "part-00000-of-00001.data").write_text("half")
    (tmp_path / "ckpt-5.index").write_text("to be deleted")
    (tmp_path / ".checkpoint.new").write_text("half")
    manager = _manager(tmp_path, _items())
    assert manager.restore_or_initialize().endswith("ckpt-10")
    manager.tidy()
    assert {path.name for path in tmp_path.iterdir()} == whole


# === Damage ===


def _flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def _cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


DATA, INDEX = "data-00000-of-00001", "index"
# What a disk can do to the newest checkpoint: of 1.2 MB in a large tensor, and a small one.
DAMAGES = {
    "an empty data file": (DATA, lambda path: _cut(path, 0)),
    "half a data file": (DATA, lambda path: _cut(path, path.stat().st_size // 2)),
    "a data file without its last byte": (DATA, lambda path: _cut(path, -1)),
    "a bit in a large tensor": (DATA, lambda path: _flip(path, 600_000)),
    "a bit in the last tensor": (DATA, lambda path: _flip(path, -1)),
    "a bit in the first tensor": (DATA, lambda path: _flip(path, 0)),
    "no data file": (DATA, lambda path: path.unlink()),
    "an empty index": (INDEX, lambda path: _cut(path, 0)),
    "half an index": (INDEX, lambda path: _cut(path, path.stat().st_size // 2)),
    "a bit in the index": (INDEX, lambda path: _flip(path, 60)),
    "no index": (INDEX, lambda path: path.unlink()),
    "a bit in a half window": ("window", lambda path: _flip(path, 12)),
}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A folder with checkpoints of the steps 10, 20 and 30."""
    folder = tmp_path_factory.mktemp("three")
    items = {**_items(), "large": tf.Variable(tf.zeros([300_000]))}
    manager = _manager(folder, items, keep=3, half_window=lambda: [0.1, 2.5])
    _train(manager, items, 10, 20, 30)
    return folder


@pytest.fixture
def spoiled(three, tmp_path):
    return shutil.copytree(three, tmp_path / "spoiled")


def _restored(folder, **keywords):
    items = {**_items(), "large": tf.Variable(tf.ones([300_000]))}
    manager = _manager(folder, items, keep=3, **keywords)
    return manager, manager.restore_or_initialize(), items


@pytest.mark.parametrize("name", DAMAGES)
def test_from_a_damaged_checkpoint_the_run_falls_back_and_tells(spoiled, name):
    suffix, spoil = DAMAGES[name]
    spoil(spoiled / f"ckpt-30.{suffix}")
    files = {path.name: path.read_bytes() for path in spoiled.glob("ckpt-30.*")}
    told = []
    manager, path, items = _restored(spoiled, notify=told.append)
    assert path.endswith("ckpt-20")
    assert items["generator"].numpy().tolist() == [20.0, 20.0]
    assert not items["large"].numpy().any()
    (line,) = told
    reason = "is missing" if name == "no index" else r"is damaged \(.+\)"
    assert re.search(rf"ckpt-30 {reason}: continuing from ckpt-20; .* kept as damaged-", line)
    # Nothing is lost, and a second start knows nothing of it.
    manager.tidy()
    kept = {file.name: file.read_bytes() for file in spoiled.glob("damaged-*")}
    assert kept == {f"damaged-{name}": content for name, content in files.items()}
    assert _names(spoiled) == ["ckpt-10", "ckpt-20", *(f for f in _names(spoiled) if "-30" in f)]
    again = []
    assert _restored(spoiled, notify=again.append)[1].endswith("ckpt-20")
    assert again == []


def test_every_flipped_bit_of_the_data_is_noticed(tmp_path):
    items = _items()
    _train(_manager(tmp_path, items), items, 10)
    data = tmp_path / f"ckpt-10.{DATA}"
    assert checkpoints.damage(str(tmp_path / "ckpt-10")) is None
    for place in range(0, data.stat().st_size, 3):
        _flip(data, place)
        assert checkpoints.damage(str(tmp_path / "ckpt-10")).startswith("is damaged")
        _flip(data, place)


def test_it_falls_back_over_several_and_keeps_what_was_kept_before(spoiled):
    for step in (20, 30):
        _cut(spoiled / f"ckpt-{step}.{DATA}", 7)
    (spoiled / f"damaged-ckpt-30.{DATA}").write_text("of an earlier time")
    told = []
    assert _restored(spoiled, notify=told.append)[1].endswith("ckpt-10")
    assert len(told) == 2
    assert (spoiled / f"damaged-ckpt-30.{DATA}").read_text() == "of an earlier time"
    assert (spoiled / f"damaged-2-ckpt-30.{DATA}").stat().st_size == 7


def test_if_none_can_be_read_the_run_does_not_start_again(spoiled):
    for file in spoiled.glob(f"*.{DATA}"):
        _cut(file, 7)
    for file in spoiled.glob("ckpt-10.*"):
        file.unlink()
    before = {file.name for file in spoiled.iterdir()}
    message = (
        r"none of the checkpoints of .* can be read: ckpt-30 is damaged .*, "
        "ckpt-20 is damaged .*, ckpt-10 is missing; put copies back"
    )
    for _ in range(2):
        with pytest.raises(InputError, match=message):
            _restored(spoiled)
        assert {file.name for file in spoiled.iterdir()} == before


def test_a_half_window_comes_back_in_every_bit(three):
    manager, _, _ = _restored(three)
    assert manager.half_window == [0.1, 2.5]


@pytest.mark.parametrize("content", ["", "no such field", None])
def test_if_the_list_is_lost_the_checkpoints_found_count(spoiled, content):
    (spoiled / "checkpoint").unlink()
    if content is not None:
        (spoiled / "checkpoint").write_text(content)
    _cut(spoiled / "ckpt-30.index", 0)
    told = []
    assert _restored(spoiled, notify=told.append)[1].endswith("ckpt-20")
    assert "the list of checkpoints, " in told[0]
    assert tf.train.latest_checkpoint(str(spoiled)).endswith("ckpt-20")


def test_a_damaged_list_alone_does_not_start_the_run_again(tmp_path):
    (tmp_path / "checkpoint").write_text("no such field")
    with pytest.raises(InputError, match="checkpoint cannot be read, and there is no checkpoint"):
        _manager(tmp_path, _items())


def test_a_first_checkpoint_that_was_not_finished_does_not_count(tmp_path):
    (tmp_path / f"ckpt-10.{DATA}").write_text("half")
    manager = _manager(tmp_path, _items())
    assert manager.restore_or_initialize() is None
    manager.tidy()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_named_to_who_only_reads(spoiled):
    _cut(spoiled / f"ckpt-30.{DATA}", 7)
    with pytest.raises(InputError, match=r"ckpt-30 cannot be read .*; continuing the run falls"):
        checkpoints.restore_items(_items(), spoiled)


def test_another_process_of_the_run_restores_the_same_and_writes_nothing(spoiled):
    _cut(spoiled / f"ckpt-30.{DATA}", 7)
    before = {file.name: file.read_bytes() for file in spoiled.iterdir()}
    manager, path, items = _restored(spoiled, writes=False)
    assert path.endswith("ckpt-20")
    _train(manager, items, 30)
    manager.tidy([{"step": 30}])
    assert {file.name: file.read_bytes() for file in spoiled.iterdir()} == before


# === What is kept ===


def _measured(manager, items, metrics):
    """Trains, evaluates after each step, and returns what was there before and after evaluating."""
    for step, value in metrics.items():
        _train(manager, items, step)
        manager.tidy([{"step": step, "held_out/rtd_loss": value, "held_out/rtd_auc": 1 - value}])


def test_multiples_are_kept_for_ever(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep=2, keep_every=30)
    _train(manager, items, *range(10, 110, 10))
    assert _names(tmp_path) == ["ckpt-100", "ckpt-30", "ckpt-60", "ckpt-90"]
    assert [int(path.rpartition("-")[2]) for path in manager.checkpoints] == [30, 60, 90, 100]


@pytest.mark.parametrize("figure", ["rtd_loss", "held_out/rtd_auc", "lower:rtd_loss"])
def test_the_best_is_kept(tmp_path, figure):
    items = _items()
    manager = _manager(tmp_path, items, keep=1, keep_best=figure)
    _measured(manager, items, {10: 0.5, 20: 0.3, 30: 0.4, 40: 0.3, 50: float("nan")})
    assert _names(tmp_path) == ["ckpt-20", "ckpt-50"]
    best = json.loads((tmp_path / "best.json").read_text())
    assert (best["step"], best["figure"].rpartition("/")[2]) == (20, figure[-len("rtd_auc") :]) or (
        best["figure"] == "held_out/rtd_loss"
    )
    assert best["better"] == ("higher" if "auc" in figure else "lower")


def test_the_last_is_not_deleted_before_it_was_measured(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep=1, keep_best="rtd_loss")
    _measured(manager, items, {10: 0.5})
    _train(manager, items, 20)
    assert _names(tmp_path) == ["ckpt-10", "ckpt-20"]
    manager.tidy([{"step": 20, "held_out/rtd_loss": 0.4}])
    assert _names(tmp_path) == ["ckpt-20"]


def test_the_best_is_found_again_by_a_new_process(tmp_path):
    one, items = tmp_path / "one", _items()
    metrics = {10: 0.5, 20: 0.3, 30: 0.4}
    _measured(_manager(one, items, keep=1, keep_best="rtd_loss"), items, metrics)
    (one / "best.json").unlink()
    again = _items()
    manager = _manager(one, again, keep=1, keep_best="rtd_loss")
    manager.restore_or_initialize()
    manager.tidy({"step": step, "held_out/rtd_loss": value} for step, value in metrics.items())
    assert json.loads((one / "best.json").read_text())["step"] == 20
    _measured(manager, again, {40: 0.35})
    assert _names(one) == ["ckpt-20", "ckpt-40"]
    # Who no longer wants it, loses it.
    manager = _manager(one, _items(), keep=1)
    manager.restore_or_initialize()
    manager.tidy()
    assert _names(one) == ["ckpt-40"]
    assert not (one / "best.json").exists()


def test_a_checkpoint_out_of_turn_is_the_first_to_go(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep=2)
    _train(manager, items, 10, 20)
    items["step"].assign(25)
    manager.save(check_interval=False)
    assert _names(tmp_path) == ["ckpt-10", "ckpt-20", "ckpt-25"]
    _train(manager, items, 30)
    assert _names(tmp_path) == ["ckpt-20", "ckpt-30"]
    # Where there are too few others, it is one to go back to.
    items["step"].assign(31)
    other = _manager(tmp_path, items, interval=70, keep=2)
    other.save(check_interval=False)
    assert _names(tmp_path) == ["ckpt-30", "ckpt-31"]


def test_a_checkpoint_out_of_turn_is_not_the_best(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep=1, keep_best="rtd_loss", last_step=25)
    items["step"].assign(15)
    manager.save(check_interval=False)
    manager.tidy([{"step": 15, "held_out/rtd_loss": 0.1}])
    assert not (tmp_path / "best.json").exists()
    items["step"].assign(25)
    manager.save(check_interval=False)
    manager.tidy([{"step": 25, "held_out/rtd_loss": 0.2}])
    assert json.loads((tmp_path / "best.json").read_text())["step"] == 25


def test_a_figure_that_is_none_is_refused(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep_best="span_accuracy")
    with pytest.raises(InputError, match="keep_best must be one of rtd_loss, rtd_auc, was 'span"):
        _measured(manager, items, {10: 0.5})


# === Full disks ===


def _limited(size):
    """From now on no file of this process grows larger."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.parametrize("size", [0, 50, 100_000])
def test_where_the_disk_is_full_the_last_checkpoint_stays(spoiled, size):
    items = {**_items(), "large": tf.Variable(tf.zeros([300_000]))}
    manager = _manager(spoiled, items, keep=3)
    manager.restore_or_initialize()
    before = {file.name: file.read_bytes() for file in spoiled.iterdir()}
    items["step"].assign(40)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    message = (
        r"the checkpoint of step 40 could not be written to .*: File too large; [\d,.]+ MB free"
    )
    try:
        _limited(size)
        with pytest.raises(StorageError, match=message):
            manager.save()
    finally:
        _limited(old)
    assert {file.name: file.read_bytes() for file in spoiled.iterdir()} == before
    assert manager.save().endswith("ckpt-40")
    assert _restored(spoiled)[1].endswith("ckpt-40")


# === Parts ===


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


def test_a_checkpoint_is_the_newest_the_best_or_that_of_a_step(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep=3, keep_best="rtd_loss")
    _measured(manager, items, {10: 0.5, 20: 0.3, 30: 0.4})
    for which, value in (("newest", 30.0), ("best", 20.0), (10, 10.0)):
        part = {"generator": tf.Variable([0.0, 0.0])}
        path = checkpoints.restore_items(part, tmp_path, which)
        assert path.endswith(f"ckpt-{value:.0f}")
        assert part["generator"].numpy().tolist() == [value, value]
    with pytest.raises(InputError, match=r"no checkpoint of step 15 in .*: 10, 20, 30"):
        checkpoints.find(tmp_path, 15)
    with pytest.raises(InputError, match="must be newest, best or the number of a step, was 'old'"):
        checkpoints.find(tmp_path, "old")
    (tmp_path / "best.json").unlink()
    with pytest.raises(InputError, match="has no best checkpoint: the run was not told KEEP_BEST"):
        checkpoints.find(tmp_path, "best")


def test_a_folder_without_checkpoints_is_said_so(tmp_path):
    with pytest.raises(InputError, match="no checkpoint in"):
        checkpoints.restore_items(_items(), tmp_path)
