"""Pre-training under faults: corrupt records, signals and full disks of real processes; all slow.

In the default suite, `tests/training/new_objective_test.py` shows on a small model what the command
does for every objective (stop, continue, extend, fail on a full disk), and
`tests/data/storage/corrupt_records_test.py` what is left empty and counted.
"""

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from official_nlp.training import metrics_log
from tests import end_to_end_test
from tests.data.storage.changed_index import change_index
from tests.end_to_end_test import assert_one_line, assert_refused, assert_same_run, saved_steps

place, run, electra = end_to_end_test.place, end_to_end_test.run, end_to_end_test.electra


def wait(process, reached):
    """Wait until something is true while a process runs."""
    while not reached():
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.01)


# === Signals ===


@pytest.mark.slow
def test_from_sigterm_to_the_exit_it_takes_a_loop_and_a_checkpoint(place):
    settings = ["MODEL_DIR=stopped", "LOOP=10", "INTERVAL=20", "MLM_STEPS=100000"]
    process = place.start("train", "toy.gin", "DATA=data", *settings)
    timing = place.folder / "stopped/timing.jsonl"
    wait(process, lambda: len(metrics_log.read(timing)) > 3)
    begun, sent = time.monotonic(), time.time()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=280)
    seconds = time.monotonic() - begun
    assert process.returncode == 42, err[-3000:]
    promised, saving = re.search(
        r"stopping after this loop, about ([\d,]+) s \+ ([\d,]+) s of saving", out
    ).groups()
    state = place.folder / "stopped/checkpoints/checkpoint"
    promise = int(promised) + int(saving)
    assert state.stat().st_mtime - sent < promise + 10
    # The rest of the time goes into the curves and the end of the process.
    assert seconds < promise + 30
    assert_one_line(err.replace("electra: ", "electra: error: "))
    step = int(re.search(r"the run is saved at step (\d+) of", err)[1])
    assert step == max(saved_steps(place.folder / "stopped"))
    lines = metrics_log.read(place.folder / "stopped/metrics.jsonl")
    assert lines[-1]["step"] == step


@pytest.mark.slow
def test_a_run_killed_at_three_random_moments_ends_in_the_same_bits(repository):
    words = ["tools/kill_test.py", "--kills", "3", "--only", "one device"]
    result = subprocess.run(
        [sys.executable, *words], cwd=repository, capture_output=True, text=True, timeout=580
    )
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
    assert "3 interruptions: " in result.stdout
    assert "every run ended in the same bits" in result.stdout


# === Full disks ===


@contextlib.contextmanager
def small_disk(folder):
    """Mount a file system of four megabytes; skip the test where that is impossible."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder):
    """Write until the disk is full."""
    with open(folder / "filling", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.slow
def test_a_full_disk_ends_the_run_and_what_was_saved_continues(place, run):
    with small_disk(place.folder / "disk") as disk:
        process = place.start("train", "toy.gin", "DATA=data", "MODEL_DIR=disk/run")
        wait(process, lambda: (disk / "run/checkpoints/checkpoint").exists())
        fill(disk)
        _, err = process.communicate(timeout=280)
        assert process.returncode == 1
        assert err.startswith("electra: storage error: ")
        assert err.count("\n") == 1
        assert re.search(
            r" could not be written to disk/run.*: No space left on device; [\d.,]+ MB free", err
        )
        saved = saved_steps(disk / "run")
        assert 20 <= max(saved) < 83
        (disk / "filling").unlink()
        output = place.electra("train", "toy.gin", "DATA=data", "MODEL_DIR=disk/run")
        assert f"continuing after step {max(saved)} of 83" in output
        assert_same_run(disk / "run", run)


LIMITED = """
import resource, sys
from official_nlp.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main.main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_a_file_that_may_not_grow_ends_the_run(place, run):
    """The same without a mounted disk: no file may be larger than half a checkpoint."""
    size = max(path.stat().st_size for path in (run / "checkpoints").iterdir()) // 2
    words = ["train", "toy.gin", "DATA=data", "MODEL_DIR=limited"]
    process = place.start(size, *words, program=("-c", LIMITED))
    _, err = process.communicate(timeout=280)
    assert process.returncode == 1
    assert "the checkpoint of step 20 could not be written to" in err
    assert "File too large" in err
    assert not list((place.folder / "limited/checkpoints").iterdir())
    place.electra(*words)
    assert_same_run(place.folder / "limited", run)


# === Corrupt records ===

SHORT = ["MLM_STEPS=10", "ELECTRA_STEPS=10", "INTERVAL=10"]


@pytest.fixture
def damaged(place, tmp_path):
    """A copy of the data folder with a corrupt record in the middle of a shard."""
    folder = shutil.copytree(place.folder / "data", tmp_path / "damaged")
    shard = end_to_end_test.shard_of(folder)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0x10
    shard.write_bytes(content)
    return folder


@pytest.mark.slow
def test_corrupt_records_can_be_skipped_and_are_counted(electra, place, damaged, tmp_path):
    words = ["train", "toy.gin", f"DATA={damaged}", f"MODEL_DIR={tmp_path / 'run'}"]
    # More than an epoch, so that the record is read.
    settings = ["MLM_STEPS=50", "ELECTRA_STEPS=10", "INTERVAL=10"]
    code, out, err = electra(*words, *settings, "CORRUPT_RECORDS=skip")
    assert (code, err) == (0, "")
    shard = end_to_end_test.shard_of(damaged)
    found = re.search(
        r"corrupt records: 1 found, (\d+) examples left empty: (\S+) at byte \d+: ", out
    )
    assert found[2] == str(shard)
    timing = metrics_log.read(tmp_path / "run/timing.jsonl")
    assert timing[0]["corrupt_rows"] <= timing[-1]["corrupt_rows"] <= int(found[1])
    assert int(found[1]) >= 1
    # The policy may change when a run continues.
    assert_refused(electra(*words, *settings), str(shard), "CORRUPT_RECORDS=skip")


@pytest.mark.slow
def test_a_truncated_shard_can_be_trained_on(electra, place, tmp_path):
    folder = shutil.copytree(place.folder / "data", tmp_path / "short")
    shard = end_to_end_test.shard_of(folder)
    with open(shard, "r+b") as file:
        file.truncate(shard.stat().st_size * 2 // 3)
    words = ["train", "toy.gin", f"DATA={folder}", f"MODEL_DIR={tmp_path / 'run'}", *SHORT]
    assert_refused(electra(*words), str(shard), "ends at byte", "CORRUPT_RECORDS=skip")
    code, out, err = electra(*words, "CORRUPT_RECORDS=skip")
    assert (code, err) == (0, "")
    assert "index.json lists" in out
    lines = metrics_log.read(tmp_path / "run/metrics.jsonl")
    assert all(np.isfinite(line["train/loss"]) for line in lines if "train/loss" in line)


# === What may change ===


@pytest.mark.slow
def test_data_may_move_but_not_change(electra, place, tmp_path):
    recipe = (
        end_to_end_test.RECIPE + '\nDATA_2 = "?"\nelectra/training.PhaseConfig.data = %DATA_2\n'
    )
    (place.folder / "moving.gin").write_text(recipe)
    shutil.copytree(place.folder / "data", tmp_path / "here")
    words = ["train", "moving.gin", f"MODEL_DIR={tmp_path / 'run'}", *SHORT]
    code, _, err = electra(*words, "DATA=data", f"DATA_2={tmp_path / 'here'}")
    assert (code, err) == (0, "")
    (tmp_path / "here").rename(tmp_path / "there")
    moved = [f"DATA={tmp_path / 'there'}", f"DATA_2={tmp_path / 'there'}"]
    code, _, err = electra(*words, *moved, "--dry-run")
    assert (code, err) == (0, "")
    change_index(tmp_path / "there", settings={"other": 1})
    result = electra(*words, "DATA=data", f"DATA_2={tmp_path / 'there'}", "--dry-run")
    assert_refused(result, "phase_data[1] was ")
