"""Whole runs of the toy task: what they write, how they stop, and in which state they end."""

import collections
import dataclasses
import fcntl
import io
import json
import os
import re
import shutil
import signal

import numpy as np
import pytest
import rich.console
import tensorflow as tf
from tensorflow.core.util import event_pb2

from official_nlp.errors import InputError, NotFiniteError, Preempted
from official_nlp.training import PhaseConfig, TrainingConfig, evaluate, predict, train
from tests.training.toy import ToyData, ToyTask, TwoLengths, assert_same_state, state

PHASES = (
    PhaseConfig(steps=13, batch_size=8, length=4),
    PhaseConfig(steps=20, batch_size=8, length=4),
)
CONFIG = TrainingConfig(
    learning_rate=1e-2,
    warmup_steps=5,
    steps_per_loop=5,
    log_interval=10,
    checkpoint_interval=10,
    evaluation_interval=10,
    keep=1,
    keep_every=20,
    # The loss falls, so its highest value is at the first checkpoint, which would else be deleted.
    keep_best="higher:held_out/loss_error",
)
DATA = {None: ToyData("data")}


class TwoSets(ToyTask):
    """A task with two evaluation sets, baselines, and a warning where the error is above 0.5."""

    def __init__(self):
        super().__init__(sets={"held_out": 20, "other": 12})

    def baselines(self):
        return {"loss_error": 0.09, "variance of the targets": 0.1}

    def monitor(self):
        return lambda metrics: "the error is high" if metrics["loss_error"] > 0.5 else None


class Stopped(TwoSets):
    """Receives a signal, either when the data is opened or in an evaluation.

    Args:
      number: the signal.
      evaluation: number of the evaluation, counted over sets, from 1; None for the data.
    """

    def __init__(self, number, evaluation=None):
        super().__init__()
        self.number, self.evaluation, self.evaluations = number, evaluation, 0

    def train_dataset(self, *arguments):
        if self.evaluation is None:
            os.kill(os.getpid(), self.number)
        return super().train_dataset(*arguments)

    def report(self, sums, rows):
        self.evaluations += bool(rows)
        if rows and self.evaluations == self.evaluation:
            os.kill(os.getpid(), self.number)
        return super().report(sums, rows)


def _train(folder, task=None, phases=PHASES, config=CONFIG, data=DATA, text=None, **keywords):
    text = text or io.StringIO()
    console = rich.console.Console(file=text, width=200)
    task = task or TwoSets()
    metrics = train(task, phases, config, folder, data=data, console=console, **keywords)
    return metrics, text.getvalue()


def _lines(folder, name="metrics.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def _training(folder):
    return {line["step"]: line for line in _lines(folder) if "train/loss" in line}


def _checkpoint_files(folder):
    return {path.name for path in (folder / "checkpoints").iterdir()}


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Leave out the curves, which take as long as the training; module fixtures draw them."""
    monkeypatch.setattr("official_nlp.training.curves.draw", lambda *arguments: None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run without interruption, its last metrics and its output."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, *_train(folder)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run that was stopped after step 5, within the first metric window."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(Preempted, match="saved at step 5 of 33"):
        _train(folder, Stopped(signal.SIGTERM))
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run."""
    return shutil.copytree(finished[0], tmp_path / "copy")


# === What a run writes ===


def test_windows_end_at_their_length_and_with_a_phase(finished):
    folder, _, _ = finished
    training = [(line["step"], line["phase"]) for line in _training(folder).values()]
    assert training == [(10, 0), (13, 0), (20, 1), (30, 1), (33, 1)]
    assert [line["step"] for line in _lines(folder, "timing.jsonl")] == [10, 13, 20, 30, 33]


def test_every_set_is_evaluated_at_the_interval_and_at_the_end(finished):
    folder, _, _ = finished
    lines = [line for line in _lines(folder) if "train/loss" not in line]
    assert [(line["step"], line["phase"]) for line in lines] == [(10, 0), (20, 1), (30, 1), (33, 1)]
    for line in lines:
        assert list(line)[2:] == [
            "held_out/loss_error", "held_out/noise", "held_out/examples",
            "other/loss_error", "other/noise", "other/examples",
        ]  # fmt: skip
        assert (line["held_out/examples"], line["other/examples"]) == (20, 12)


def test_a_training_line_holds_rate_norm_and_metrics(finished):
    line = _lines(finished[0])[0]
    names = ["step", "phase", "learning_rate", "grad_norm", "train/loss", "train/loss_error"]
    assert list(line) == names
    assert line["learning_rate"] == pytest.approx(1e-2 * (1 - 9 / 33))


def test_the_folder_holds_the_documented_files(finished):
    folder, _, _ = finished
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "run.json", "metrics.jsonl", "timing.jsonl", "summaries", "curves.png", "checkpoints",
        ".lock",
    }  # fmt: skip
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in (folder / "summaries").iterdir()} == {
        "train",
        "held_out",
        "other",
    }
    roots = {name.split("/")[0] for name in state(folder / "checkpoints")}
    assert roots == {"model", "optimizer", "step", "save_counter"}


def test_a_second_run_in_a_new_folder_writes_nothing(tmp_path):
    tmp_path.joinpath("run").mkdir()
    # Each opened file has a lock of its own, so another one stands for another process.
    with open(tmp_path / "run/.lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is training in"):
            _train(tmp_path / "run", recipe="SEED = 2")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_run_is_not_begun_in_a_folder_of_something_else(tmp_path):
    (tmp_path / "config.gin").write_text("my notes of three weeks")
    with pytest.raises(InputError, match=r"has no run\.json, and holds config\.gin, which might"):
        _train(tmp_path, recipe="SEED = 2")
    assert [path.name for path in tmp_path.iterdir()] == ["config.gin"]
    assert (tmp_path / "config.gin").read_text() == "my notes of three weeks"


def test_run_json_holds_task_phases_settings_and_data(finished):
    described = json.loads((finished[0] / "run.json").read_text())
    assert described["task"] == {
        "class": "tests.training.toy.ToyConfig", "config": {"width": 8},
    }  # fmt: skip
    assert [phase["steps"] for phase in described["phases"]] == [13, 20]
    assert described["training"]["seed"] == 0
    assert described["data"] == "hash of data"
    assert described["origin"] == {"data": {"examples": 1000}, "warm_start": {}}


def test_without_a_terminal_progress_is_one_line_per_window(finished):
    _, _, text = finished
    assert re.search(
        r"step 33/33  phase 2/2  0:00:00 left  [\d,]+ tokens/s  input \d+%  loss ", text
    )
    assert "step 20 held_out  loss_error " in text
    assert "step 20 other  loss_error " in text
    assert "train | step" not in text


def test_warnings_of_the_monitor_are_printed(finished):
    folder, _, text = finished
    high = [line for line in _training(folder).values() if line["train/loss_error"] > 0.5]
    assert text.count("warning: the error is high\n") == len(high) >= 1


def test_the_best_the_last_and_every_20th_checkpoint_are_retained(finished):
    steps = {name for name in _checkpoint_files(finished[0]) if name.endswith(".index")}
    assert steps == {"ckpt-10.index", "ckpt-20.index", "ckpt-33.index"}
    best = json.loads((finished[0] / "checkpoints/best.json").read_text())
    assert (best["step"], best["metric"]) == (10, "held_out/loss_error")


def test_baselines_of_the_task_reach_the_curves(finished, copy, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "official_nlp.training.curves.draw", lambda *arguments: drawn.append(arguments)
    )
    _train(copy)
    expected = {"loss_error": 0.09, "variance of the targets": 0.1}
    assert drawn == [(copy / "metrics.jsonl", copy / "curves.png", expected)]


def test_a_full_disk_while_drawing_does_not_hide_the_result(copy, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("official_nlp.training.curves.draw", full)
    metrics, text = _train(copy)
    assert metrics["step"] == 33
    assert "curves.png could not be drawn: No space left on device" in text


# === Evaluating and predicting with a run ===


def test_evaluating_afterwards_returns_the_metrics_of_the_run(finished):
    folder, metrics, _ = finished
    by_set = evaluate(TwoSets(), CONFIG, folder)
    again = {f"{name}/{metric}": x for name, found in by_set.items() for metric, x in found.items()}
    assert again == {name: x for name, x in metrics.items() if name not in ("step", "phase")}


def test_the_best_checkpoint_can_be_evaluated(finished):
    line = next(x for x in _lines(finished[0]) if x["step"] == 10 and "held_out/noise" in x)
    found = evaluate(TwoSets(), CONFIG, finished[0], "best")
    assert found["held_out"]["loss_error"] == line["held_out/loss_error"]


def test_predicting_returns_the_rows_of_every_example_in_order(finished):
    rows = predict(TwoSets(), CONFIG, finished[0])
    assert list(rows) == ["held_out", "other"]
    for name, examples in (("held_out", 20), ("other", 12)):
        np.testing.assert_array_equal(rows[name]["position"], np.arange(examples))
        assert rows[name]["output"].shape == (examples,)
        assert rows[name]["output"].dtype == np.float32
    assert set(rows["held_out"]) == {"position", "output"}


# === Stopping and resuming ===


def test_a_finished_run_is_left_unchanged(finished, capfd):
    folder, metrics, _ = finished
    before = state(folder / "checkpoints"), (folder / "metrics.jsonl").read_bytes()
    again, text = _train(folder)
    assert again == metrics
    assert again["step"] == 33
    assert "continuing after step 33 of 33" in text
    assert_same_state(state(folder / "checkpoints"), before[0])
    assert (folder / "metrics.jsonl").read_bytes() == before[1]
    assert capfd.readouterr().out == ""


def _weight(first, last):
    """Return the weight of the examples of the steps after `first` up to `last`, from 0."""
    return sum(1 + position % 3 for position in range(8 * first, 8 * last))


def test_a_run_that_was_stopped_twice_ends_the_same_but_for_split_lines(
    finished, stopped, tmp_path
):
    folder = shutil.copytree(stopped, tmp_path / "run")
    assert (folder / "curves.png").exists()
    # Each evaluation is of two sets, so the 3rd is at step 20; the loop to step 25 follows it.
    text = io.StringIO()
    with pytest.raises(Preempted, match="saved at step 25 of 33"):
        _train(folder, Stopped(signal.SIGINT, evaluation=3), text=text)
    # The answer came at once, with an estimate from the loop before.
    assert re.search(r"stopping after this loop, about \d+ s \+ \d+ s of saving\n", text.getvalue())
    assert "ckpt-25.index" in _checkpoint_files(folder)
    _, text = _train(folder)
    assert "continuing after step 25 of 33" in text

    assert_same_state(state(folder / "checkpoints"), state(finished[0] / "checkpoints"))
    assert _checkpoint_files(folder) == _checkpoint_files(finished[0])
    for name in ("run.json", "checkpoints/best.json", "checkpoints/checkpoint"):
        assert (folder / name).read_bytes() == (finished[0] / name).read_bytes(), name

    # Two windows are split: 1 to 10 after 5, and 21 to 30 after 25.
    lines, expected = (
        (each / "metrics.jsonl").read_text().splitlines() for each in (folder, finished[0])
    )
    split = [line for line in lines if line not in expected]
    assert [json.loads(line)["step"] for line in split] == [5, 10, 25, 30]
    rest = [line for line in expected if line in lines]
    assert [line for line in lines if line in expected] == rest
    assert len(expected) == len(rest) + 2
    parts, whole = _training(folder), _training(finished[0])
    # The second phase starts after 13 steps, and the stream of its examples at 0.
    for start, middle, end, phase_start in ((0, 5, 10, 0), (20, 25, 30, 13)):
        first, second = parts[middle], parts[end]
        assert second["learning_rate"] == whole[end]["learning_rate"]
        for name in ("train/loss", "grad_norm"):
            mean = (first[name] + second[name]) / 2
            assert mean == pytest.approx(whole[end][name], rel=1e-12), name
        weights = [
            _weight(one - phase_start, other - phase_start)
            for one, other in ((start, middle), (middle, end))
        ]
        errors = [line["train/loss_error"] for line in (first, second)]
        mean = np.average(errors, weights=weights)
        assert mean == pytest.approx(whole[end]["train/loss_error"], rel=1e-12)


class StoppedInLengths(TwoLengths):
    """Receives a signal when the data is opened."""

    def train_dataset(self, *arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return super().train_dataset(*arguments)


@pytest.mark.parametrize(
    "strategy", ["one_device", pytest.param("mirrored", marks=pytest.mark.slow)]
)
def test_batches_of_several_lengths_resume_in_the_same_bits(tmp_path, strategy, two_devices):
    # A loop of an odd number of steps, so that the run continues with the other length.
    config = dataclasses.replace(
        CONFIG, strategy=strategy, log_interval=None, checkpoint_interval=10, steps_per_loop=5
    )
    phases = PHASES[:1]
    _train(tmp_path / "whole", TwoLengths(), phases, config)
    with pytest.raises(Preempted, match="saved at step 5 of 13"):
        _train(tmp_path / "stopped", StoppedInLengths(), phases, config)
    _train(tmp_path / "stopped", TwoLengths(), phases, config)
    one, other = (tmp_path / name for name in ("stopped", "whole"))
    assert_same_state(state(one / "checkpoints"), state(other / "checkpoints"))
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()


def _scalars(folder):
    """Return the values of all events by tag and step."""
    values = collections.defaultdict(list)
    for file in folder.glob("events*"):
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = event_pb2.Event.FromString(record)
            for value in event.summary.value:
                values[value.tag, event.step].append(float(tf.make_ndarray(value.tensor)))
    return values


def test_a_damaged_checkpoint_costs_steps_and_changes_no_bit(finished, copy):
    data = copy / "checkpoints/ckpt-33.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-9])
    _, text = _train(copy)
    assert re.search(r"ckpt-33 is damaged \(.*\): continuing from ckpt-20; its files are", text)
    assert "continuing after step 20 of 33" in text
    assert_same_state(state(copy / "checkpoints"), state(finished[0] / "checkpoints"))
    assert (copy / "metrics.jsonl").read_bytes() == (finished[0] / "metrics.jsonl").read_bytes()
    assert len(list((copy / "checkpoints").glob("damaged-*"))) == 2
    # Events are not removed: the repeated steps have the same values a second time.
    for name, repeated in (("train", [30, 33]), ("held_out", [30, 33]), ("other", [30, 33])):
        scalars = _scalars(copy / "summaries" / name)
        assert scalars.keys() == _scalars(finished[0] / "summaries" / name).keys()
        for (_, step), values in scalars.items():
            assert len(values) == (2 if step in repeated else 1)
            assert len(set(values)) == 1


def test_a_loss_that_is_not_finite_stops_the_run_without_a_checkpoint(tmp_path):
    class Poisoned(TwoSets):
        nan_at = property(lambda self: 8 * 15 + 3, lambda self, value: None)

    # The 16th step of the second phase, in the middle of a loop; the first has only 13.
    with pytest.raises(NotFiniteError, match=r"^loss is not finite at step 29"):
        _train(tmp_path, Poisoned())
    assert _lines(tmp_path)[-1]["step"] == 20
    assert tf.train.latest_checkpoint(str(tmp_path / "checkpoints")).endswith("ckpt-20")


# === Early stopping ===

# The noise is the same at every evaluation, so that the second does not improve it.
IMPATIENT = dataclasses.replace(CONFIG, keep_best="higher:noise", patience=2)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """The folder of a run that stopped early, with its metrics and output."""
    folder = tmp_path_factory.mktemp("impatient") / "run"
    return folder, *_train(folder, config=IMPATIENT)


def test_a_run_ends_when_its_metric_does_not_improve(impatient, finished):
    folder, metrics, text = impatient
    (reason,) = re.findall(r"^(stopped early .*)\n", text, re.MULTILINE)
    assert re.fullmatch(
        r"stopped early at step 30: held_out/noise did not improve in 2 evaluations; best [\d.]+ "
        "at step 10",
        reason,
    )
    assert metrics["step"] == 30
    steps = {name for name in _checkpoint_files(folder) if name.endswith(".index")}
    assert steps == {"ckpt-10.index", "ckpt-20.index", "ckpt-30.index"}
    described = json.loads((folder / "run.json").read_text())
    assert described.pop("stopped_early") == reason
    assert described == json.loads((finished[0] / "run.json").read_text())
    # Until then it is the run that was to have all its steps.
    lines = (finished[0] / "metrics.jsonl").read_text()
    assert lines.startswith((folder / "metrics.jsonl").read_text())


def test_the_same_command_leaves_a_run_that_stopped_early_unchanged(impatient, tmp_path):
    folder = shutil.copytree(impatient[0], tmp_path / "run")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".png"}
    metrics, text = _train(folder, config=IMPATIENT)
    assert metrics == impatient[1]
    assert text.count("stopped early at step 30: held_out/noise did not improve in 2 eval") == 1
    for path, content in before.items():
        assert path.read_bytes() == content, path


@pytest.mark.slow
def test_a_run_that_was_stopped_on_request_stops_early_at_the_same_step(impatient, tmp_path):
    folder = tmp_path / "run"
    # Each evaluation is of two sets: the request arrives during that of step 20.
    with pytest.raises(Preempted, match="saved at step 25 of 33"):
        _train(folder, Stopped(signal.SIGTERM, evaluation=3), config=IMPATIENT)
    assert "stopped_early" not in json.loads((folder / "run.json").read_text())
    _train(folder, config=IMPATIENT)
    assert (folder / "run.json").read_bytes() == (impatient[0] / "run.json").read_bytes()
    assert _checkpoint_files(folder) == _checkpoint_files(impatient[0])
    assert_same_state(state(folder / "checkpoints"), state(impatient[0] / "checkpoints"))


def test_a_process_that_was_killed_before_it_evaluated_stops_early_all_the_same(
    impatient, tmp_path
):
    folder = shutil.copytree(impatient[0], tmp_path / "run")
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:-1]))
    described = json.loads((folder / "run.json").read_text())
    del described["stopped_early"]
    (folder / "run.json").write_text(json.dumps(described, indent=2) + "\n")
    _, text = _train(folder, config=IMPATIENT)
    assert text.count("stopped early at step 30") == 1
    for name in ("metrics.jsonl", "run.json"):
        assert (folder / name).read_bytes() == (impatient[0] / name).read_bytes()


def test_with_more_patience_the_run_goes_on(impatient, finished, tmp_path):
    folder = shutil.copytree(impatient[0], tmp_path / "run")
    _, text = _train(folder, config=dataclasses.replace(IMPATIENT, patience=9))
    assert "stopped early" not in text
    assert_same_state(state(folder / "checkpoints"), state(finished[0] / "checkpoints"))
    assert (folder / "run.json").read_bytes() == (finished[0] / "run.json").read_bytes()


# === What may change ===


def test_free_settings_may_change_and_no_variable_does(finished, stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    config = dataclasses.replace(
        CONFIG,
        steps_per_loop=4,
        log_interval=None,
        checkpoint_interval=4,
        evaluation_interval=0,
        keep=2,
        keep_every=None,
        keep_best=None,
        corrupt_records="skip",
    )
    metrics, text = _train(folder, config=config, data={None: ToyData("data", corrupt_rows=7)})
    assert metrics == {}
    assert "not bit-identical" not in text
    assert_same_state(state(folder / "checkpoints"), state(finished[0] / "checkpoints"))
    assert list(_training(folder)) == [5, 8, 12, 13, 16, 20, 24, 28, 32, 33]
    steps = {name for name in _checkpoint_files(folder) if name.endswith(".index")}
    assert steps == {"ckpt-32.index", "ckpt-33.index"}
    # Examples that corrupt records left empty are counted where they are skipped.
    timing = _lines(folder, "timing.jsonl")
    assert [line.get("corrupt_rows") for line in timing] == [7] * 9


@pytest.mark.slow
def test_devices_may_change_which_is_reported(finished, stopped, tmp_path, two_devices):
    folder = shutil.copytree(stopped, tmp_path / "run")
    _, text = _train(folder, config=dataclasses.replace(CONFIG, strategy="mirrored"))
    assert (
        'not bit-identical to an uninterrupted run: rounding.strategy was "one_device", is now'
    ) in text
    assert "continuing after step 5 of 33" in text
    parts, whole = _training(folder), _training(finished[0])
    for step in (13, 20, 30, 33):
        assert parts[step] == pytest.approx(whole[step], rel=1e-3)
    for mine, expected in zip(_lines(folder)[-1:], _lines(finished[0])[-1:]):
        assert mine == pytest.approx(expected, rel=1e-3)


LONGER = (PHASES[0], dataclasses.replace(PHASES[1], steps=30))


def test_a_run_is_extended_only_on_request(finished, copy):
    before = (copy / "metrics.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"steps was 20, is now 30; .* EXTEND=true"):
        _train(copy, phases=LONGER)
    metrics, text = _train(copy, phases=LONGER, extend=True)
    assert "extended from 33 to 43 steps: from step 33 on, the learning rate is that" in text
    assert "of a run of 43 steps, 0.00233 instead of 0, and reaches 0 at step 43" in text
    assert metrics["step"] == 43
    assert (copy / "metrics.jsonl").read_bytes().startswith(before)
    rates = {step: line["learning_rate"] for step, line in _training(copy).items()}
    assert rates[33] == pytest.approx(1e-2 * (1 - 32 / 33))
    assert rates[40] == pytest.approx(1e-2 * (1 - 39 / 43))
    # From then on it is a run of 43 steps, which continues without the request.
    _, text = _train(copy, phases=LONGER)
    assert "extended" not in text


def test_an_extended_run_retains_warm_up_and_intervals_that_depend_on_its_steps(tmp_path):
    config = TrainingConfig(warmup_fraction=0.25, evaluations=3, keep=9)
    phases = [(PhaseConfig(steps=steps, batch_size=8),) for steps in (12, 18)]
    _train(tmp_path, phases=phases[0], config=config)
    described = json.loads((tmp_path / "run.json").read_text())["training"]
    assert described["warmup_steps"] == 3
    assert "warmup_fraction" not in described
    with pytest.raises(
        InputError, match=r"configuration: phases\[0\].steps was 12, is now 18; give"
    ):
        _train(tmp_path, phases=phases[1], config=config)
    _train(tmp_path, phases=phases[1], config=config, extend=True)
    assert json.loads((tmp_path / "run.json").read_text())["training"] == described
    evaluated = [line["step"] for line in _lines(tmp_path) if "held_out/noise" in line]
    assert evaluated == [4, 8, 12, 16, 18]
    # Without `extend`, the longer run is the same run now.
    _, text = _train(tmp_path, phases=phases[1], config=config)
    assert "continuing after step 18 of 18" in text
    changed = dataclasses.replace(config, warmup_fraction=0.5)
    with pytest.raises(InputError, match=r"training\.warmup_steps was 3, is now 6"):
        _train(tmp_path, phases=phases[1], config=changed)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"config": dataclasses.replace(CONFIG, seed=1)}, "training.seed was 0, is now 1"),
        (
            {"phases": (PHASES[0], dataclasses.replace(PHASES[1], batch_size=16))},
            r"phases\[1\].batch_size was 8, is now 16",
        ),
        (
            {"phases": (PHASES[0], dataclasses.replace(PHASES[1], loss_weights={"loss": 2.0}))},
            r"phases\[1\].loss_weights.loss was null, is now 2.0",
        ),
        ({"data": {None: ToyData("b")}}, 'data was "hash of data", is now "hash of b"'),
    ],
)
def test_another_configuration_is_refused_in_the_same_folder(finished, change, difference):
    with pytest.raises(InputError, match=f"another configuration: {difference}"):
        _train(finished[0], **change)


# === Warm start ===


class WarmStart:
    """Assigns 7 to the kernel of the trunk, and counts how often."""

    def __init__(self):
        self.calls = 0

    def describe(self):
        return {"source": "seven"}

    def assign(self, model, report):
        self.calls += 1
        model.trunk.kernel.assign(tf.fill(model.trunk.kernel.shape, 7.0))
        report("1 tensor was assigned")
        return {"source": "seven", "tensors": 1}


def test_a_warm_start_initializes_a_run_without_checkpoint_and_is_recorded(tmp_path):
    start, phases = WarmStart(), (PhaseConfig(steps=5, batch_size=8),)
    _, text = _train(tmp_path, phases=phases, warm_start=start)
    assert "1 tensor was assigned" in text
    described = json.loads((tmp_path / "run.json").read_text())
    assert described["origin"]["warm_start"] == {"source": "seven", "tensors": 1}
    kernel = state(tmp_path / "checkpoints")["model/trunk/kernel/.ATTRIBUTES/VARIABLE_VALUE"]
    np.testing.assert_allclose(kernel, 7.0, atol=0.1)
    # A run with a checkpoint continues from it, and its record remains.
    _train(tmp_path, phases=phases, warm_start=start)
    assert start.calls == 1
    assert json.loads((tmp_path / "run.json").read_text()) == described


# === A run without evaluation sets ===


class Unscaled(ToyTask):
    """A task without evaluation sets that does not train its normalization."""

    def __init__(self):
        super().__init__(sets={})

    def learning_rate_scale(self, variable):
        return 0.0 if variable.name in ("gamma:0", "beta:0") else 1.0


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The folder and metrics of a run of one phase with another seed and no intervals."""
    folder = tmp_path_factory.mktemp("plain")
    config = dataclasses.replace(
        CONFIG, seed=5, checkpoint_interval=None, keep_every=None, keep_best=None
    )
    metrics, _ = _train(folder, Unscaled(), (PhaseConfig(33, 8),), config)
    return folder, metrics


def test_without_evaluation_sets_nothing_is_evaluated(plain):
    assert plain[1] == {}
    assert all("train/loss" in line for line in _lines(plain[0]))


def test_without_an_interval_only_the_end_is_saved(plain):
    assert [p.name for p in (plain[0] / "checkpoints").glob("*.index")] == ["ckpt-33.index"]


def test_another_seed_is_another_run(plain, finished):
    one, other = (state(folder / "checkpoints") for folder in (plain[0], finished[0]))
    kernel = "model/trunk/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    assert (one[kernel] != other[kernel]).all()


def test_variables_of_rate_scale_0_are_not_trained(plain):
    values = state(plain[0] / "checkpoints")
    normalization = "model/normalization/{}/.ATTRIBUTES/VARIABLE_VALUE"
    np.testing.assert_array_equal(values[normalization.format("gamma")], np.ones(16))
    np.testing.assert_array_equal(values[normalization.format("beta")], np.zeros(16))
