"""The run folder: run.json, what it refuses and reports, and the lock."""

import errno
import fcntl
import hashlib
import json
import os

import pytest
import tensorflow as tf

from official_nlp.errors import InputError, StorageError
from official_nlp.training.run_folder import RunFolder

IDENTITY = {
    "task": {"class": "a.Config", "config": {"layers": 2, "width": 64}},
    "training": {"seed": 1},
    "phases": [{"steps": 5}],
    "data": "abc",
    "phase_data": [None],
}


def _changed(**parts):
    return {**IDENTITY, **parts}


def _trained(path, *arguments):
    """The folder of a run that has a checkpoint."""
    folder = RunFolder(path)
    folder.claim(IDENTITY, *arguments)
    tf.train.Checkpoint(x=tf.Variable(1.0)).write(str(folder.checkpoints / "ckpt-3"))
    return folder


def test_a_new_run_is_described_with_its_surroundings(tmp_path):
    folder = RunFolder(tmp_path / "new" / "run")
    assert folder.claim(IDENTITY) == []
    description = folder.describe()
    assert {name: description[name] for name in IDENTITY} == IDENTITY
    assert description["versions"]["tensorflow"].startswith("2.")
    others = {"rounding", "origin", "versions", "flags", "devices"}
    assert set(description) == {*IDENTITY, *others}


def test_the_origin_may_change_until_there_is_a_checkpoint(tmp_path):
    folder = RunFolder(tmp_path)
    folder.claim(IDENTITY, origin={"data": "a"})
    assert not folder.has_checkpoint
    folder.claim(IDENTITY, origin={"data": "b"})
    assert folder.describe()["origin"] == {"data": "b"}
    folder.add_to_origin({"warm_start": {"loaded": 3}})
    tf.train.Checkpoint(x=tf.Variable(1.0)).write(str(folder.checkpoints / "ckpt-3"))
    assert folder.has_checkpoint
    assert folder.claim(IDENTITY, origin={"data": "c"}) == []
    assert folder.describe()["origin"] == {"data": "b", "warm_start": {"loaded": 3}}


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    message = r"cannot be locked: No locks available; give a folder"
    with pytest.raises(InputError, match=message), RunFolder(tmp_path).locked():
        pass


def test_an_extended_run_is_replayed_by_its_recipe(tmp_path):
    folder = RunFolder(tmp_path)
    folder.claim(IDENTITY)
    folder.prepare(lambda path: write_tokenizer(path, "a"), "STEPS = 1\n")
    tf.train.Checkpoint(x=tf.Variable(1.0)).write(str(folder.checkpoints / "ckpt-3"))
    folder.prepare(lambda path: write_tokenizer(path, "b"), "STEPS = 2\n", extended=True)
    assert (tmp_path / "config.gin").read_text() == "STEPS = 2\n"
    assert (tmp_path / "tokenizer/vocab.txt").read_text() == "a"


@pytest.mark.parametrize(
    ("parts", "steps"),
    [
        ({}, 5),
        ({"extended_from": [4]}, 4),
        ({"extended_from": [3, 4]}, 3),
        ({"phases": [{"steps": 2}, {"steps": 5}], "extended_from": [3]}, 5),
        ({"phases": [{"steps": "?"}]}, 9),
        ({"phases": [None]}, 9),
        ({"phases": []}, 9),
        ({"extended_from": [{}]}, 5),
    ],
)
def test_the_steps_with_which_a_run_began_are_known(tmp_path, parts, steps):
    assert RunFolder(tmp_path).begun_with(9) == 9
    folder = _trained(tmp_path)
    folder.description.write_text(json.dumps({**folder.describe(), **parts}))
    assert folder.begun_with(9) == steps


def test_files_of_the_task_are_written_until_there_is_a_checkpoint(tmp_path):
    folder = RunFolder(tmp_path)
    folder.claim(IDENTITY)
    folder.prepare(lambda path: write_tokenizer(path, "a"), "SEED = 1\n")
    folder.prepare(lambda path: write_tokenizer(path, "b"))
    assert (tmp_path / "tokenizer/vocab.txt").read_text() == "b"
    assert (tmp_path / "config.gin").read_text() == "SEED = 1\n"
    tf.train.Checkpoint(x=tf.Variable(1.0)).write(str(folder.checkpoints / "ckpt-3"))
    folder.prepare(lambda path: write_tokenizer(path, "c"), "SEED = 2\n")
    assert (tmp_path / "tokenizer/vocab.txt").read_text() == "b"
    assert (tmp_path / "config.gin").read_text() == "SEED = 1\n"


def write_tokenizer(path, text="a"):
    (path / "tokenizer").mkdir()
    (path / "tokenizer/vocab.txt").write_text(text)


@pytest.fixture
def begun(tmp_path):
    """A run with a file of its task, and without a checkpoint."""
    folder = RunFolder(tmp_path / "run")
    folder.claim(IDENTITY)
    folder.prepare(write_tokenizer)
    return folder


def test_files_of_the_task_are_recorded_and_a_change_is_found(begun):
    begun.require_unchanged()
    hashes = begun.describe()["files"]
    assert hashes == {"tokenizer/vocab.txt": hashlib.sha256(b"a").hexdigest()}
    vocabulary = begun.path / "tokenizer/vocab.txt"
    vocabulary.write_text("b")
    with pytest.raises(InputError, match=r"vocab\.txt is not the file that the run was trained"):
        begun.require_unchanged()
    vocabulary.unlink()
    with pytest.raises(InputError, match=r"vocab\.txt must be a file, but is not there"):
        begun.require_unchanged()


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("phases", {}, "phases must be a list, was '{}': the file is damaged"),
        ("training", None, "training must be an object, was 'None'"),
        ("rounding", "x" * 500, "rounding must be an object, was 'x{80}': the"),
        ("origin", [], "origin must be an object"),
        ("files", [], "files must be an object"),
        ("extended_from", 3, "extended_from must be a list"),
        ("stopped_early", 3, "stopped_early must be text"),
    ],
)
def test_a_part_of_another_type_is_an_input_error(begun, part, value, message):
    begun.description.write_text(json.dumps({**begun.describe(), part: value}))
    with pytest.raises(InputError, match=rf"run\.json: {message}"):
        begun.describe()


@pytest.mark.parametrize("files", [{"../outside": "x"}, {"/etc/passwd": "x"}, {"\0": ""}])
def test_a_damaged_record_of_files_is_an_input_error(begun, files):
    (begun.path.parent / "outside").write_text("secret")
    content = {**begun.describe(), "files": files}
    begun.description.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"nothing outside is read|cannot be one"):
        begun.require_unchanged()


def test_a_killed_process_leaves_no_half_written_file_of_the_task(begun):
    unfinished = begun.path / ".files.new"
    unfinished.mkdir()
    write_tokenizer(unfinished, "half")
    begun.prepare(lambda path: write_tokenizer(path, "b"))
    assert (begun.path / "tokenizer/vocab.txt").read_text() == "b"
    assert not unfinished.exists()


def test_files_of_an_earlier_attempt_do_not_remain(begun):
    def write_other(path):
        (path / "tokenizer").mkdir()
        (path / "tokenizer/spm.model").write_text("b")
        (path / "file").write_text("c")

    begun.prepare(write_other)
    assert [path.name for path in (begun.path / "tokenizer").iterdir()] == ["spm.model"]
    assert list(begun.describe()["files"]) == ["file", "tokenizer/spm.model"]
    begun.require_unchanged()


# === What is in the folder already ===


@pytest.mark.parametrize("name", ["config.gin", "generator/config.json", "notes", "checkpoints/x"])
def test_a_folder_of_something_else_is_refused_and_stays_as_it_is(tmp_path, name):
    file = tmp_path / "own" / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    with (
        pytest.raises(
            InputError, match=rf"has no run\.json, and holds {name.split('/')[0]}, which"
        ),
        RunFolder(tmp_path / "own").locked(),
    ):
        raise AssertionError("the folder is not a run's")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]
    assert file.read_text() == "mine"


def test_what_a_process_left_that_was_killed_at_once_is_no_obstacle(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in (".lock", ".run.json.new"):
        (tmp_path / name).write_text("")
    with RunFolder(tmp_path).locked():
        RunFolder(tmp_path).claim(IDENTITY)


@pytest.mark.parametrize(
    "name",
    [".lock", "metrics.jsonl", "config.gin", "checkpoints", "tokenizer/vocab.txt", "run.json"],
)
def test_a_run_with_a_link_is_read_but_not_continued(begun, name):
    outside = begun.path.parent / "outside"
    link = begun.path / name
    if link.exists():
        link.rename(outside)
    else:
        outside.write_text("precious")
    before = outside.read_bytes() if outside.is_file() else sorted(outside.iterdir())
    link.symlink_to(outside)
    begun.describe()
    with (
        pytest.raises(
            InputError, match=f"{name} is a link to .*outside, and a run writes into its"
        ),
        begun.locked(),
    ):
        raise AssertionError("the folder has a link")
    assert before == (outside.read_bytes() if outside.is_file() else sorted(outside.iterdir()))


def test_a_pipe_in_a_run_is_refused(begun):
    os.mkfifo(begun.path / "metrics.jsonl")
    with pytest.raises(InputError, match=r"metrics\.jsonl is a pipe or a device"), begun.locked():
        raise AssertionError("the folder has a pipe")


def test_a_run_folder_may_be_a_link(begun, tmp_path):
    (tmp_path / "link").symlink_to(begun.path)
    with RunFolder(tmp_path / "link").locked():
        assert RunFolder(tmp_path / "link").claim(IDENTITY) == []


def test_a_file_of_the_task_that_cannot_be_written_is_a_storage_error(tmp_path):
    def write(path):
        raise PermissionError(13, "Permission denied", str(path))

    with pytest.raises(StorageError, match=r"the run's files could not be written to .*denied"):
        RunFolder(tmp_path).prepare(write)


def test_the_same_configuration_may_continue(tmp_path):
    _trained(tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    assert RunFolder(tmp_path).claim(json.loads(json.dumps(IDENTITY))) == []
    assert (tmp_path / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"training": {"seed": 2}}, "training.seed was 1, is now 2"),
        (
            {"task": {"class": "a.Config", "config": {"layers": 2, "width": 32}}},
            "task.config.width was 64, is now 32",
        ),
        ({"task": {**IDENTITY["task"], "class": "b"}}, 'task.class was "a.Config", is now "b"'),
        ({"phases": [{"steps": 6}]}, r"phases\[0\].steps was 5, is now 6"),
        ({"phases": []}, r"phases was .*, is now \[\]"),
        ({"data": "xyz"}, 'data was "abc", is now "xyz"'),
    ],
)
def test_another_configuration_is_refused_with_the_differences(tmp_path, change, difference):
    _trained(tmp_path)
    with pytest.raises(InputError, match=f"holds a run of another configuration: {difference};"):
        RunFolder(tmp_path).claim(_changed(**change))


@pytest.mark.parametrize("writes", [True, False])
def test_a_folder_in_which_nothing_was_trained_bars_no_other_configuration(tmp_path, writes):
    RunFolder(tmp_path).claim(IDENTITY, origin={"data": "a"})
    other = _changed(training={"seed": 2}, phases=[{"steps": 9}])
    folder = RunFolder(tmp_path, writes)
    folder.require_same(other)
    assert folder.extended_from(other) is None
    assert folder.claim(other, origin={"data": "b"}) == []
    described = folder.describe()
    if writes:
        assert {name: described[name] for name in other} == other
        assert described["origin"] == {"data": "b"}
        assert "extended_from" not in described


def test_another_version_or_flag_is_reported(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    _trained(tmp_path)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "7")
    (line,) = RunFolder(tmp_path).claim(IDENTITY)
    assert line == 'flags.TF_ENABLE_ONEDNN_OPTS was null, is now "7"'


def test_a_setting_that_changes_the_last_bits_is_reported(tmp_path):
    _trained(tmp_path, {"strategy": "one_device", "accumulation": 1})
    (line,) = RunFolder(tmp_path).claim(IDENTITY, {"strategy": "mirrored", "accumulation": 1})
    assert line == 'rounding.strategy was "one_device", is now "mirrored"'


LONGER = _changed(phases=[{"steps": 9}])


def test_more_steps_must_be_requested(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.extended_from(LONGER) is None
    folder.claim(IDENTITY)
    assert folder.extended_from(LONGER) is None
    _trained(tmp_path)
    assert folder.extended_from(LONGER) == 5
    with pytest.raises(InputError, match=r"steps was 5, is now 9; give .*, or EXTEND=true"):
        folder.claim(LONGER)
    assert folder.claim(LONGER, extend=True) == []
    described = folder.describe()
    assert (described["phases"], described["extended_from"]) == (LONGER["phases"], [5])
    # From then on it is a run of so many steps.
    assert folder.extended_from(LONGER) is None
    folder.claim(LONGER)
    with pytest.raises(InputError, match=r"steps was 9, is now 5; give another folder, or these"):
        folder.claim(IDENTITY, extend=True)


@pytest.mark.parametrize(
    "change", [{"training": {"seed": 2}}, {"phases": [{"steps": 9, "batch": 3}]}]
)
def test_an_extension_changes_nothing_else(tmp_path, change):
    _trained(tmp_path)
    with pytest.raises(InputError, match="of another configuration"):
        RunFolder(tmp_path).claim({**LONGER, **change}, extend=True)


def test_checkpoints_of_unknown_origin_are_not_overwritten(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "checkpoint").write_text("")
    for check in (RunFolder.claim, RunFolder.require_same):
        with pytest.raises(InputError, match=r"has checkpoints but no run\.json"):
            check(RunFolder(tmp_path), IDENTITY)


def test_a_folder_that_cannot_be_created_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the run folder must be writable"):
        RunFolder(tmp_path / "file" / "run").claim(IDENTITY)


def test_a_remote_folder_is_refused():
    with pytest.raises(InputError, match=r"run folder must be a local path .*, was 'gs://b/x'"):
        RunFolder("gs://b/x")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is not a run folder: it has no run\.json"):
        RunFolder(tmp_path).describe()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json must be JSON"):
        RunFolder(tmp_path).describe()
    for content in ("{}", '{"fixed": 3}', '{"phases": []}'):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(InputError, match=r"run\.json must describe a run \(phases, training\)"):
            RunFolder(tmp_path).describe()


def test_a_process_that_does_not_write_only_compares(tmp_path):
    reader, calls = RunFolder(tmp_path, writes=False), []
    with reader.locked():
        assert reader.claim(IDENTITY) == []
    reader.prepare(calls.append, "SEED = 1\n")
    reader.add_to_origin({"warm_start": {"loaded": 3}})
    assert (list(tmp_path.iterdir()), calls) == ([], [])
    _trained(tmp_path)
    with pytest.raises(InputError, match='data was "abc", is now "xyz"'):
        reader.claim(_changed(data="xyz"))


def test_only_one_process_trains_in_a_folder(tmp_path):
    # Each opened file has a lock of its own, so another one stands for another process.
    with open(tmp_path / ".lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with (
            pytest.raises(InputError, match="another process is training in"),
            RunFolder(tmp_path).locked(),
        ):
            raise AssertionError("the folder is locked")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    with RunFolder(tmp_path).locked():
        assert (tmp_path / ".lock").exists()


def test_a_dry_run_finds_another_process_without_writing(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert not folder.in_use()
    assert not (tmp_path / "run").exists()
    folder.claim(IDENTITY)
    with folder.locked():
        assert RunFolder(tmp_path / "run").in_use()
    assert not folder.in_use()
    with folder.locked():
        pass
