import json
import re
import resource
import shutil

import pytest
import tensorflow as tf

from official_nlp.errors import InputError, StorageError
from official_nlp.training import checkpoints
from tests.files.plain_paths_test import ODD


def _items(value=0.0):
    return {"model": tf.Variable([value, value]), "step": tf.Variable(0, dtype=tf.int64)}


def _manager(folder, items, interval=10, **keywords):
    keywords.setdefault("keep", 2)
    return checkpoints.Checkpoints(items, folder, items["step"], interval, **keywords)


def _save(manager, items, *steps):
    """Save at the steps where a checkpoint is due, and at the last one."""
    for step in steps:
        items["step"].assign(step)
        items["model"].assign([step, step])
        if manager.is_due(step) or step == steps[-1]:
            manager.save()


def _names(folder):
    return sorted(path.stem for path in folder.glob("*.index"))


def test_checkpoints_are_due_at_multiples_of_the_interval_and_the_newest_are_retained(tmp_path):
    items = _items()
    _save(_manager(tmp_path, items), items, *range(5, 45, 5))
    assert _names(tmp_path) == ["ckpt-30", "ckpt-40"]


def test_without_an_interval_none_is_due_and_a_step_is_saved_once(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, interval=None)
    assert not manager.is_due(10)
    items["step"].assign(20)
    assert manager.last_seconds is None
    assert manager.save().endswith("ckpt-20")
    assert manager.save() is None
    assert manager.seconds == manager.last_seconds > 0


def test_the_newest_is_restored_into_a_new_process(tmp_path):
    items = _items()
    _save(_manager(tmp_path, items), items, 10, 20)
    again = _items()
    assert _manager(tmp_path, again).restore_latest().endswith("ckpt-20")
    assert again["model"].numpy().tolist() == [20.0, 20.0]
    assert _manager(tmp_path / "other", again).restore_latest() is None


def test_files_that_a_killed_process_left_are_removed(tmp_path):
    items = _items()
    _save(_manager(tmp_path, items), items, 10)
    complete = {path.name for path in tmp_path.iterdir()}
    (tmp_path / "ckpt-20_temp").mkdir()
    (tmp_path / "ckpt-20_temp" / "part-00000-of-00001.data").write_text("half")
    (tmp_path / "ckpt-5.index").write_text("to be deleted")
    (tmp_path / ".checkpoint.new").write_text("half")
    manager = _manager(tmp_path, _items())
    assert manager.restore_latest().endswith("ckpt-10")
    manager.tidy()
    assert {path.name for path in tmp_path.iterdir()} == complete


@pytest.mark.parametrize("name", ODD)
def test_a_folder_whose_name_is_a_pattern_holds_checkpoints_like_any_other(tmp_path, name):
    # TensorFlow would read the folder beside it, whose name the pattern matches.
    for folder, value in ((tmp_path / "run 1", 7), (tmp_path / name, 0)):
        folder.mkdir()
        items = _items()
        _save(_manager(folder, items), items, 10, 20 + value)
    again = _items()
    assert checkpoints.damage(str(tmp_path / name / "ckpt-20")) is None
    manager = _manager(tmp_path / name, again)
    assert manager.restore_latest() == str(tmp_path / name / "ckpt-20")
    assert again["model"].numpy().tolist() == [20.0, 20.0]
    _save(manager, again, 30)
    assert _names(tmp_path / name) == ["ckpt-20", "ckpt-30"]


# === Damage ===


def _flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


def _cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


DATA, INDEX = "data-00000-of-00001", "index"
# Damages of the newest checkpoint, which holds a large tensor of 1.2 MB and two small ones.
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
}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A folder with checkpoints of the steps 10, 20 and 30."""
    folder = tmp_path_factory.mktemp("three")
    items = {**_items(), "large": tf.Variable(tf.zeros([300_000]))}
    _save(_manager(folder, items, keep=3), items, 10, 20, 30)
    return folder


@pytest.fixture
def folder(three, tmp_path):
    """A copy of three checkpoints, to be damaged."""
    return shutil.copytree(three, tmp_path / "copy")


def _restored(folder, **keywords):
    items = {**_items(), "large": tf.Variable(tf.ones([300_000]))}
    manager = _manager(folder, items, keep=3, **keywords)
    return manager, manager.restore_latest(), items


@pytest.mark.parametrize("name", DAMAGES)
def test_the_run_falls_back_from_a_damaged_checkpoint_and_reports_it(folder, name):
    suffix, damage = DAMAGES[name]
    damage(folder / f"ckpt-30.{suffix}")
    files = {path.name: path.read_bytes() for path in folder.glob("ckpt-30.*")}
    messages = []
    manager, path, items = _restored(folder, notify=messages.append)
    assert path.endswith("ckpt-20")
    assert items["model"].numpy().tolist() == [20.0, 20.0]
    assert not items["large"].numpy().any()
    (message,) = messages
    reason = "is missing" if name == "no index" else r"is damaged \(.+\)"
    assert re.search(
        rf"ckpt-30 {reason}: continuing from ckpt-20; .* retained as damaged-", message
    )
    # No file is lost, and a second start does not see the damage.
    manager.tidy()
    retained = {file.name: file.read_bytes() for file in folder.glob("damaged-*")}
    assert retained == {f"damaged-{name}": content for name, content in files.items()}
    assert _names(folder) == ["ckpt-10", "ckpt-20", *(f for f in _names(folder) if "-30" in f)]
    again = []
    assert _restored(folder, notify=again.append)[1].endswith("ckpt-20")
    assert again == []


def test_every_flipped_bit_of_the_data_is_noticed(tmp_path):
    items = _items()
    _save(_manager(tmp_path, items), items, 10)
    data = tmp_path / f"ckpt-10.{DATA}"
    assert checkpoints.damage(str(tmp_path / "ckpt-10")) is None
    for offset in range(0, data.stat().st_size, 7):
        _flip(data, offset)
        assert checkpoints.damage(str(tmp_path / "ckpt-10")).startswith("is damaged")
        _flip(data, offset)


def test_files_set_aside_earlier_are_not_overwritten(folder):
    for step in (20, 30):
        _cut(folder / f"ckpt-{step}.{DATA}", 7)
    (folder / f"damaged-ckpt-30.{DATA}").write_text("from an earlier fault")
    messages = []
    assert _restored(folder, notify=messages.append)[1].endswith("ckpt-10")
    assert len(messages) == 2
    assert (folder / f"damaged-ckpt-30.{DATA}").read_text() == "from an earlier fault"
    assert (folder / f"damaged-2-ckpt-30.{DATA}").stat().st_size == 7


def test_a_run_without_readable_checkpoints_does_not_start_again(folder):
    for file in folder.glob(f"*.{DATA}"):
        _cut(file, 7)
    for file in folder.glob("ckpt-10.*"):
        file.unlink()
    before = {file.name for file in folder.iterdir()}
    message = (
        r"none of the checkpoints of .* can be read: ckpt-30 is damaged .*, "
        "ckpt-20 is damaged .*, ckpt-10 is missing; restore them from copies"
    )
    for _ in range(2):
        with pytest.raises(InputError, match=message):
            _restored(folder)
        assert {file.name for file in folder.iterdir()} == before


@pytest.mark.parametrize("content", ["", "no such field", None])
def test_without_the_list_the_checkpoints_on_disk_are_used(folder, content):
    (folder / "checkpoint").unlink()
    if content is not None:
        (folder / "checkpoint").write_text(content)
    _cut(folder / "ckpt-30.index", 0)
    messages = []
    assert _restored(folder, notify=messages.append)[1].endswith("ckpt-20")
    assert "the list of checkpoints, " in messages[0]
    assert tf.train.latest_checkpoint(str(folder)).endswith("ckpt-20")


@pytest.mark.parametrize(
    "content",
    [
        b'all_model_checkpoint_paths: "abc"\n',
        b'all_model_checkpoint_paths: "ckpt-30"\nall_model_checkpoint_paths: "ckpt-\n',
        b'all_model_checkpoint_paths: "ckpt-%s"\n' % (b"9" * 30),
        b"\xff\x00",
    ],
)
def test_a_damaged_list_is_not_used(folder, content):
    (folder / "checkpoint").write_bytes(content)
    messages = []
    assert _restored(folder, notify=messages.append)[1].endswith("ckpt-30")
    assert "checkpoint, the list of checkpoints, cannot be read; found on disk: " in messages[0]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"step": "../../x"}', '{"step": true}'])
def test_a_damaged_record_of_the_best_checkpoint_is_an_input_error(folder, content):
    (folder / "best.json").write_text(content)
    with pytest.raises(InputError, match=r"best\.json must .*; name the step of a checkpoint"):
        checkpoints.best(folder)


def test_a_damaged_list_without_checkpoints_does_not_start_the_run_again(tmp_path):
    (tmp_path / "checkpoint").write_text("no such field")
    with pytest.raises(InputError, match="checkpoint cannot be read, and there is no checkpoint"):
        _manager(tmp_path, _items())


def test_an_unfinished_first_checkpoint_does_not_count(tmp_path):
    (tmp_path / f"ckpt-10.{DATA}").write_text("half")
    manager = _manager(tmp_path, _items())
    assert manager.restore_latest() is None
    manager.tidy()
    assert list(tmp_path.iterdir()) == []


def test_readers_are_told_that_a_checkpoint_is_damaged(folder):
    _cut(folder / f"ckpt-30.{DATA}", 7)
    with pytest.raises(InputError, match=r"ckpt-30 cannot be read .*; continuing the run falls"):
        checkpoints.restore_items(_items(), folder)


def test_other_processes_of_the_run_restore_the_same_and_write_nothing(folder):
    _cut(folder / f"ckpt-30.{DATA}", 7)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    manager, path, items = _restored(folder, writes=False)
    assert path.endswith("ckpt-20")
    _save(manager, items, 30)
    manager.tidy([{"step": 30}])
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


# === Which checkpoints are retained ===


def _evaluated(manager, items, metrics):
    """Save and evaluate at each step; `metrics` holds the loss of the set by step."""
    for step, value in metrics.items():
        _save(manager, items, step)
        line = {"held_out/rtd_loss": value, "held_out/rtd_auc": 1 - value, "other/rtd_loss": -value}
        manager.tidy([{"step": step, "phase": 0, **line}])


def test_multiples_are_retained_forever(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep=2, keep_every=30)
    _save(manager, items, *range(10, 110, 10))
    assert _names(tmp_path) == ["ckpt-100", "ckpt-30", "ckpt-60", "ckpt-90"]
    content = tf.train.get_checkpoint_state(str(tmp_path))
    steps = [int(path.rpartition("-")[2]) for path in content.all_model_checkpoint_paths]
    assert steps == [30, 60, 90, 100]
    assert manager.latest.endswith("ckpt-100")


@pytest.mark.parametrize(
    ("name", "metric", "step", "better"),
    [
        ("rtd_loss", "held_out/rtd_loss", 20, "lower"),
        ("held_out/rtd_auc", "held_out/rtd_auc", 20, "higher"),
        ("lower:rtd_loss", "held_out/rtd_loss", 20, "lower"),
        ("other/rtd_loss", "other/rtd_loss", 10, "lower"),
        ("higher:other/rtd_loss", "other/rtd_loss", 20, "higher"),
    ],
)
def test_the_best_is_retained(tmp_path, name, metric, step, better):
    items = _items()
    manager = _manager(tmp_path, items, keep=1, keep_best=name)
    _evaluated(manager, items, {10: 0.5, 20: 0.3, 30: 0.4, 40: 0.3, 50: float("nan")})
    assert _names(tmp_path) == [f"ckpt-{step}", "ckpt-50"]
    best = json.loads((tmp_path / "best.json").read_text())
    assert (best["step"], best["metric"], best["better"]) == (step, metric, better)


def test_the_last_is_not_deleted_before_it_is_evaluated(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep=1, keep_best="rtd_loss")
    _evaluated(manager, items, {10: 0.5})
    _save(manager, items, 20)
    assert _names(tmp_path) == ["ckpt-10", "ckpt-20"]
    manager.tidy([{"step": 20, "held_out/rtd_loss": 0.4}])
    assert _names(tmp_path) == ["ckpt-20"]


def test_a_new_process_finds_the_same_best(tmp_path):
    items, metrics = _items(), {10: 0.5, 20: 0.3, 30: 0.4}
    _evaluated(_manager(tmp_path, items, keep=1, keep_best="rtd_loss"), items, metrics)
    (tmp_path / "best.json").unlink()
    again = _items()
    manager = _manager(tmp_path, again, keep=1, keep_best="rtd_loss")
    manager.restore_latest()
    manager.tidy({"step": step, "held_out/rtd_loss": value} for step, value in metrics.items())
    assert json.loads((tmp_path / "best.json").read_text())["step"] == 20
    _evaluated(manager, again, {40: 0.35})
    assert _names(tmp_path) == ["ckpt-20", "ckpt-40"]
    # A process without keep_best deletes it.
    manager = _manager(tmp_path, _items(), keep=1)
    manager.restore_latest()
    manager.tidy()
    assert _names(tmp_path) == ["ckpt-40"]
    assert not (tmp_path / "best.json").exists()


def test_a_checkpoint_out_of_turn_is_the_first_to_be_deleted(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep=2)
    _save(manager, items, 10, 20, 25)
    assert _names(tmp_path) == ["ckpt-10", "ckpt-20", "ckpt-25"]
    _save(manager, items, 30)
    assert _names(tmp_path) == ["ckpt-20", "ckpt-30"]
    # Where there are too few others it is retained: there must be one to fall back to.
    _save(_manager(tmp_path, items, interval=70, keep=2), items, 31)
    assert _names(tmp_path) == ["ckpt-30", "ckpt-31"]


def test_a_checkpoint_out_of_turn_is_not_the_best_but_the_last_step_may_be(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep=1, keep_best="rtd_loss", last_step=25)
    _evaluated(manager, items, {15: 0.1})
    assert not (tmp_path / "best.json").exists()
    _evaluated(manager, items, {25: 0.2})
    assert json.loads((tmp_path / "best.json").read_text())["step"] == 25


def test_an_unknown_metric_is_refused_with_the_known_ones(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep_best="span_accuracy")
    with pytest.raises(InputError, match="keep_best must be one of rtd_loss, rtd_auc, was 'span"):
        _evaluated(manager, items, {10: 0.5})


# === Full disks ===


def _limited(size):
    """Limit the size of every file that this process writes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.parametrize("size", [0, 50, 100_000])
def test_on_a_full_disk_the_last_checkpoint_remains(folder, size):
    items = {**_items(), "large": tf.Variable(tf.zeros([300_000]))}
    manager = _manager(folder, items, keep=3)
    manager.restore_latest()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
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
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert manager.save().endswith("ckpt-40")
    assert _restored(folder)[1].endswith("ckpt-40")


# === Parts ===


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    items = _items()
    _save(_manager(tmp_path, items), items, 10)
    with pytest.raises(InputError, match="ckpt-10 belongs to another model"):
        _manager(tmp_path, {**_items(), "head": tf.Variable(1.0)}).restore_latest()


def test_parts_can_be_restored_alone(tmp_path):
    items = _items()
    _save(_manager(tmp_path, items), items, 10)
    part = {"model": tf.Variable([0.0, 0.0])}
    assert checkpoints.restore_items(part, tmp_path).endswith("ckpt-10")
    assert part["model"].numpy().tolist() == [10.0, 10.0]
    with pytest.raises(InputError, match="belongs to another model"):
        checkpoints.restore_items({"other": tf.Variable(1.0)}, tmp_path)


def test_a_checkpoint_is_the_newest_the_best_or_that_of_a_step(tmp_path):
    items = _items()
    manager = _manager(tmp_path, items, keep=3, keep_best="rtd_loss")
    _evaluated(manager, items, {10: 0.5, 20: 0.3, 30: 0.4})
    for which, value in (("newest", 30.0), ("best", 20.0), (10, 10.0)):
        part = {"model": tf.Variable([0.0, 0.0])}
        path = checkpoints.restore_items(part, tmp_path, which)
        assert path.endswith(f"ckpt-{value:.0f}")
        assert part["model"].numpy().tolist() == [value, value]
    with pytest.raises(
        InputError, match=r"no checkpoint of step 15 in .*; available steps: 10, 20, 30"
    ):
        checkpoints.find(tmp_path, 15)
    with pytest.raises(InputError, match="must be newest, best or the number of a step, was 'old'"):
        checkpoints.find(tmp_path, "old")
    (tmp_path / "best.json").unlink()
    with pytest.raises(InputError, match="has no best checkpoint: the run had no KEEP_BEST"):
        checkpoints.find(tmp_path, "best")


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(InputError, match="no checkpoint in"):
        checkpoints.restore_items(_items(), tmp_path)
