"""An objective that the package does not know is used through the command, by a recipe."""

import errno
import json
import os
import pathlib
import random
import shutil
import signal

import pytest

from official_nlp.cli import main
from official_nlp.errors import InputError
from official_nlp.training import checkpoints, time_budget
from tests.training.toy import assert_same_state, state

MODULE = pathlib.Path(__file__).with_name("linear_task.py")
RECIPE = """
from __gin__ import dynamic_registration

import linear_task
from official_nlp import training

include "runs/common.gin"

STEPS = 60

training.RunConfig.task = @linear_task.LinearConfig()
training.RunConfig.phases = (@training.PhaseConfig(),)
training.PhaseConfig.steps = %STEPS
training.PhaseConfig.batch_size = 8
training.TrainingConfig.learning_rate = 0.1
training.TrainingConfig.warmup_steps = 0
training.TrainingConfig.steps_per_loop = 10
training.TrainingConfig.checkpoint_interval = 20
training.TrainingConfig.evaluation_interval = 20
"""
ENTRY_POINTS = "[official_nlp.tasks]\nlinear = linear_task:LinearConfig\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the module as an installed package, a recipe, and tables."""
    folder = tmp_path_factory.mktemp("linear")
    (folder / "installed").mkdir()
    (folder / "installed/linear_task.py").write_text(MODULE.read_text())
    described = folder / "installed/linear_task-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: linear-task\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "linear.gin").write_text(RECIPE)
    draw = random.Random(0)
    for name, count in (("train.csv", 50), ("other.csv", 7)):
        points = [(draw.uniform(-1, 1), draw.uniform(-1, 1)) for _ in range(count)]
        rows = [f"{a},{b},{int(a + b > 0)}" for a, b in points]
        (folder / name).write_text("\n".join(["x1,x2,label", *rows]) + "\n")
    return folder


@pytest.fixture
def electra(folder, monkeypatch, capsys):
    """Run the command in the folder; return its exit code, standard output and error."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder / "installed"))

    def call(*words):
        code = main.main([str(word) for word in words])
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


@pytest.fixture
def run(electra, folder):
    """A finished run."""
    if not (folder / "run").exists():
        code, out, err = electra("train", "linear.gin", "DATA=train.csv", "MODEL_DIR=run")
        assert (code, err) == (0, "")
        assert "step 60/60" in out
    return folder / "run"


def test_the_objective_is_short():
    lines = [line for line in MODULE.read_text().splitlines() if line.strip()]
    assert len(lines) <= 60


def test_it_trains_and_is_evaluated(run):
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 60
    assert last["table/accuracy"] > 0.8
    described = json.loads((run / "run.json").read_text())["task"]
    assert described == {"class": "linear_task.LinearConfig", "config": {"bias": True}}


def test_it_resumes_with_the_same_bits(electra, run, folder):
    code, _, _ = electra("train", "linear.gin", "DATA=train.csv", "MODEL_DIR=half", "STEPS=60")
    assert code == 0
    # As a process that was killed after the second checkpoint would have left it.
    checkpoints = folder / "half/checkpoints"
    for file in checkpoints.glob("ckpt-60.*"):
        file.unlink()
    (checkpoints / "checkpoint").unlink()
    code, out, _ = electra("train", "linear.gin", "DATA=train.csv", "MODEL_DIR=half")
    assert code == 0
    assert "continuing after step 40 of 60" in out
    assert_same_state(state(checkpoints), state(run / "checkpoints"))
    for name in ("metrics.jsonl", "run.json"):
        assert (folder / "half" / name).read_bytes() == (run / name).read_bytes()


def test_evaluate_takes_the_run_alone_or_other_data(electra, run):
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    code, out, _ = electra("evaluate", "run")
    assert code == 0
    assert out.split() == ["table", "accuracy", f"{last['table/accuracy']:.4f}"]
    code, out, _ = electra("evaluate", "run", "other.csv")
    assert (code, out.split()[:2]) == (0, ["table", "accuracy"])


def test_predict_writes_the_rows_of_the_task(electra, run, folder):
    code, out, _ = electra("predict", "run", "--file", "other.csv", "--to", "out.jsonl")
    assert code == 0
    assert "wrote out.jsonl: 7 rows" in out
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    table = [line.split(",") for line in (folder / "other.csv").read_text().splitlines()[1:]]
    assert [row["label"] for row in rows] == [float(line[2]) for line in table]
    assert all(set(row) == {"label", "predicted"} for row in rows)


def test_predict_explains_what_it_needs(electra, run):
    code, _, err = electra("predict", "run", "a text")
    assert code == 2
    assert "linear_task.LinearConfig, has no text predictor; give --file DATA and --to FILE" in err


def test_info_describes_the_run(electra, run):
    code, out, _ = electra("info", "run")
    assert code == 0
    assert "run of LinearConfig: saved at step 60 of 60, seed 0" in out
    assert "bias: True" in out
    assert "accuracy" in out


def test_info_says_that_a_run_stopped_early(electra, run, folder):
    shutil.copytree(run, folder / "early")
    described = json.loads((run / "run.json").read_text())
    described["stopped_early"] = "stopped early at step 60: table/accuracy did not improve"
    (folder / "early/run.json").write_text(json.dumps(described))
    code, out, _ = electra("info", "early")
    assert code == 0
    assert "seed 0\nstopped early at step 60: table/accuracy did not improve\n" in out


def test_convert_says_that_there_is_no_network(electra, run):
    code, _, err = electra("convert", "run", "--to", "converted")
    assert code == 2
    assert "whose model has no ELECTRA networks" in err


def test_a_class_that_no_package_declares_is_not_imported(electra, run, folder):
    path = folder / "unknown"
    path.mkdir(exist_ok=True)
    described = json.loads((run / "run.json").read_text())
    described["task"]["class"] = "os.system"
    (path / "run.json").write_text(json.dumps(described))
    for words in (["info", path], ["evaluate", path], ["convert", path, "--to", "new"]):
        code, _, err = electra(*words)
        assert code == 2
        assert "the task 'os.system', which is not installed here; known tasks: " in err


# === Interruptions and changes, which the command reports alike for every objective ===


def _train(electra, run, *settings):
    return electra("train", "linear.gin", "DATA=train.csv", f"MODEL_DIR={run}", *settings)


def _assert_same_run(one, other):
    assert_same_state(state(one / "checkpoints"), state(other / "checkpoints"))
    for name in ("metrics.jsonl", "run.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_a_request_to_stop_has_exit_code_42_and_the_same_command_continues(
    electra, run, folder, monkeypatch
):
    import linear_task

    def stopping(task, *arguments, original=linear_task.LinearTask.train_dataset):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(task, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(linear_task.LinearTask, "train_dataset", stopping)
        code, out, err = _train(electra, "stopped")
    assert code == 42
    assert "stopping after this loop and a checkpoint" in out
    assert "asked to stop: the run is saved at step 10 of 60" in err
    code, out, err = _train(electra, "stopped")
    assert (code, err) == (0, "")
    assert "continuing after step 10 of 60" in out
    # A window is one loop here, so no line is split.
    _assert_same_run(folder / "stopped", run)


def test_a_run_that_failed_before_its_first_checkpoint_bars_no_corrected_command(
    electra, run, folder, monkeypatch
):
    import linear_task

    def failing(*arguments):
        raise InputError("the data of this task is odd")

    with monkeypatch.context() as patch:
        patch.setattr(linear_task.LinearTask, "train_dataset", failing)
        code, _, err = _train(electra, "failed", "SEED=1", "STEPS=50")
    assert (code, err) == (2, "electra: error: the data of this task is odd\n")
    assert (folder / "failed/run.json").exists()
    code, out, err = _train(electra, "failed", "--dry-run")
    assert (code, err) == (0, "")
    assert json.loads((folder / "failed/run.json").read_text())["training"]["seed"] == 1
    code, out, err = _train(electra, "failed")
    assert (code, err) == (0, "")
    assert "extended" not in out
    _assert_same_run(folder / "failed", run)


def test_on_a_full_disk_the_run_ends_and_the_same_command_continues(
    electra, run, folder, monkeypatch
):
    # tests/training/checkpoints_test.py shows the same with a limit of the system.
    def full(prefix, original=checkpoints._to_disk):
        if prefix.endswith("-40"):
            raise OSError(errno.ENOSPC, "No space left on device")
        original(prefix)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_to_disk", full)
        code, _, err = _train(electra, "full")
    assert code == 1
    assert err.startswith("electra: storage error: the checkpoint of step 40 could not be written")
    assert "No space left on device" in err
    assert err.count("\n") == 1
    assert not list((folder / "full/checkpoints").glob("ckpt-40.*"))
    code, out, err = _train(electra, "full")
    assert (code, err) == (0, "")
    assert "continuing after step 20 of 60" in out
    _assert_same_run(folder / "full", run)


def test_more_steps_need_the_setting_extend(electra, run, folder):
    shutil.copytree(run, folder / "longer")
    code, _, err = _train(electra, "longer", "STEPS=80")
    assert code == 2
    assert "phases[0].steps was 60, is now 80" in err
    assert "EXTEND=true" in err
    code, out, err = _train(electra, "longer", "STEPS=80", "EXTEND=true")
    assert (code, err) == (0, "")
    assert "extended from 60 to 80 steps" in out
    assert json.loads((folder / "longer/run.json").read_text())["extended_from"] == [60]


def test_data_may_move_but_not_change(electra, run, folder):
    (folder / "moved.csv").write_text((folder / "train.csv").read_text())
    words = ["train", "linear.gin", "DATA=moved.csv", "MODEL_DIR=run", "--dry-run"]
    assert electra(*words)[0] == 0
    (folder / "moved.csv").write_text((folder / "train.csv").read_text() + "0.5,0.5,1\n")
    code, _, err = electra(*words)
    assert code == 2
    assert "data was " in err


def test_a_dry_run_checks_and_writes_nothing(electra, folder):
    code, out, err = _train(electra, "dry", "--dry-run")
    assert (code, err) == (0, "")
    assert "phase 1: 60 steps of 8 examples, 9.6 passes over 50 examples" in out
    assert "built 3 parameters" in out
    assert not (folder / "dry").exists()


# === A run of a number of hours ===


def _steps(run):
    return json.loads((run / "run.json").read_text())["phases"][0]["steps"]


@pytest.mark.slow
def test_a_run_of_some_seconds_is_that_of_its_steps(electra, folder):
    code, out, err = _train(electra, "seconds", "HOURS=0.001")
    assert (code, err) == (0, "")
    steps = _steps(folder / "seconds")
    if steps > 1:  # The machine may be too slow for more.
        assert f"steps a second; the run gets {steps:,} steps\n" in out
    assert f"phase 1: {steps:,} steps of 8 examples" in out
    assert f"step {steps}/{steps}" in out
    # The measurement has left no trace in the weights.
    assert _train(electra, "steps", f"STEPS={steps}")[0] == 0
    _assert_same_run(folder / "seconds", folder / "steps")


@pytest.fixture
def measured(monkeypatch):
    """Let the measurement find a speed at which 40 of the 60 steps fit into an hour."""
    calls = []

    def measure(*arguments):
        calls.append(arguments)
        return time_budget.Speed((85.0,), 0.0, 0.0, 0.0)

    monkeypatch.setattr(time_budget, "measure", measure)
    return calls


def test_a_run_of_an_hour_is_continued_with_its_steps(electra, run, folder, measured):
    code, out, err = _train(electra, "hour", "HOURS=1")
    assert (code, err) == (0, "")
    assert _steps(folder / "hour") == 40
    expected = shutil.copytree(folder / "hour", folder / "hour-expected")
    # As a process that was killed after the first checkpoint would have left it.
    kept = folder / "hour/checkpoints"
    for file in kept.glob("ckpt-40.*"):
        file.unlink()
    (kept / "checkpoint").unlink()
    code, out, err = _train(electra, "hour", "HOURS=1")
    assert (code, err) == (0, "")
    assert "HOURS=1: the run retains its 40 steps\n" in out
    assert "continuing after step 20 of 40" in out
    assert len(measured) == 1
    _assert_same_run(folder / "hour", expected)


def test_a_dry_run_measures_nothing(electra, folder, measured):
    code, out, err = _train(electra, "dry-hour", "HOURS=1", "--dry-run")
    assert (code, err) == (0, "")
    assert "HOURS=1: a dry run does not measure the speed" in out
    assert "phase 1: 60 steps of 8 examples" in out
    assert not measured


def test_nothing_is_measured_for_a_run_that_is_refused(electra, folder, measured):
    code, _, err = _train(electra, "refused", "HOURS=1", "KEEP_BEST=speed")
    assert code == 2
    assert "keep_best must be an evaluation metric whose direction is known" in err
    code, _, err = _train(electra, "refused", "HOURS=1", "ACCUMULATION=3")
    assert code == 2
    assert "batch_size of phase 1 must be a multiple of 3" in err
    assert not measured


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["EPOCHS=2"], "give epochs or hours, not both: they were 2 and 1"),
        (["STEPS=2"], "give STEPS or HOURS, not both: the hours would replace the steps"),
        (["EXTEND=true"], "extend needs a number of steps, but hours was 1: give HOURS=None and"),
    ],
)
def test_hours_exclude_other_settings_of_the_steps(electra, settings, message):
    code, _, err = _train(electra, "excluded", "HOURS=1", *settings)
    assert code == 2
    assert message in err


def test_a_sigterm_while_the_speed_is_measured_ends_the_command(electra, folder, monkeypatch):
    import linear_task

    def terminated(task, *arguments, original=linear_task.LinearTask.train_dataset):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(task, *arguments)

    monkeypatch.setattr(linear_task.LinearTask, "train_dataset", terminated)
    code, out, err = _train(electra, "terminated", "HOURS=1")
    assert code == 143
    assert "measuring the speed" in out
    assert err.startswith("electra: terminated; the same command")
    assert not (folder / "terminated").exists()
