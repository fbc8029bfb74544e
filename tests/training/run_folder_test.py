import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.training.run_folder import RunFolder

FIXED = {"seed": 1, "model": {"layers": 2, "width": 64}, "phases": [{"steps": 5}], "rate": 1e-3}


def test_it_writes_what_the_run_is_and_runs_on(tmp_path):
    folder = RunFolder(tmp_path / "new" / "run")
    assert folder.claim(FIXED) == []
    description = folder.describe()
    assert description["fixed"] == FIXED
    assert description["versions"]["tensorflow"].startswith("2.")
    parts = {"fixed", "rounding", "beginning", "versions", "flags", "devices"}
    assert set(description) == parts


def test_what_it_began_with_is_kept_once_there_is_a_checkpoint(tmp_path):
    folder = RunFolder(tmp_path)
    folder.claim(FIXED, beginning={"data": "a"})
    assert not folder.has_checkpoint
    folder.claim(FIXED, beginning={"data": "b"})
    assert folder.describe()["beginning"] == {"data": "b"}
    tf.train.Checkpoint(x=tf.Variable(1.0)).write(str(folder.checkpoints / "ckpt-3"))
    assert folder.has_checkpoint
    assert folder.claim(FIXED, beginning={"data": "c"}) == []
    assert folder.describe()["beginning"] == {"data": "b"}


def test_the_same_configuration_may_continue(tmp_path):
    RunFolder(tmp_path).claim(FIXED)
    before = (tmp_path / "run.json").read_bytes()
    assert RunFolder(tmp_path).claim(json.loads(json.dumps(FIXED))) == []
    assert (tmp_path / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"seed": 2}, "seed was 1, is now 2"),
        ({"model": {"layers": 2, "width": 32}}, "model.width was 64, is now 32"),
        ({"phases": [{"steps": 6}]}, r"phases\[0\].steps was 5, is now 6"),
        ({"phases": []}, r"phases was .*, is now \[\]"),
        ({"more": "x"}, 'more was null, is now "x"'),
    ],
)
def test_another_configuration_is_refused_with_what_differs(tmp_path, change, difference):
    RunFolder(tmp_path).claim(FIXED)
    with pytest.raises(InputError, match=f"holds a run of another configuration: {difference};"):
        RunFolder(tmp_path).claim({**FIXED, **change})


def test_another_version_or_flag_is_told(tmp_path, monkeypatch):
    RunFolder(tmp_path).claim(FIXED)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "7")
    (line,) = RunFolder(tmp_path).claim(FIXED)
    assert line == 'flags.TF_ENABLE_ONEDNN_OPTS was null, is now "7"'


def test_a_setting_that_changes_the_last_bits_is_told(tmp_path):
    RunFolder(tmp_path).claim(FIXED, {"strategy": "one_device", "accumulation": 1})
    (line,) = RunFolder(tmp_path).claim(FIXED, {"strategy": "mirrored", "accumulation": 1})
    assert line == 'rounding.strategy was "one_device", is now "mirrored"'


LONGER = {**FIXED, "phases": [{"steps": 9}]}


def test_more_steps_need_to_be_asked_for(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.extended_from(LONGER) is None
    folder.claim(FIXED)
    assert folder.extended_from(LONGER) == 5
    with pytest.raises(InputError, match=r"steps was 5, is now 9; give .*, or EXTEND=true"):
        folder.claim(LONGER)
    assert folder.claim(LONGER, extend=True) == []
    assert (folder.describe()["fixed"], folder.describe()["extended_from"]) == (LONGER, [5])
    # From then on it is a run of so many steps.
    assert folder.extended_from(LONGER) is None
    folder.claim(LONGER)
    with pytest.raises(InputError, match=r"steps was 9, is now 5; give another folder, or these"):
        folder.claim(FIXED, extend=True)


@pytest.mark.parametrize("change", [{"seed": 2}, {"phases": [{"steps": 9, "batch": 3}]}])
def test_an_extension_changes_nothing_else(tmp_path, change):
    RunFolder(tmp_path).claim(FIXED)
    with pytest.raises(InputError, match="of another configuration"):
        RunFolder(tmp_path).claim({**LONGER, **change}, extend=True)


def test_checkpoints_of_unknown_origin_are_not_overwritten(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "checkpoint").write_text("")
    with pytest.raises(InputError, match=r"has checkpoints but no run\.json"):
        RunFolder(tmp_path).claim(FIXED)


def test_a_file_in_the_way_is_an_error_of_the_user(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the run's folder must be writable"):
        RunFolder(tmp_path / "file" / "run").claim(FIXED)


def test_what_is_no_run_is_said_so(tmp_path):
    with pytest.raises(InputError, match=r"is not the folder of a run: it has no run\.json"):
        RunFolder(tmp_path).describe()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json cannot be read"):
        RunFolder(tmp_path).describe()
    for content in ("{}", "[]", '{"fixed": 3}'):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(
            InputError, match=r"run\.json must say what the run is made of, but has"
        ):
            RunFolder(tmp_path).describe()


def test_only_one_process_trains_in_a_folder(tmp_path):
    code = f"""
import fcntl, sys
file = open({str(tmp_path / ".lock")!r}, "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        lock = RunFolder(tmp_path).locked()
        with pytest.raises(InputError, match="another process is training in"):
            lock.__enter__()
        other.kill()
    with RunFolder(tmp_path).locked():
        assert os.path.exists(tmp_path / ".lock")
