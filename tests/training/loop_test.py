import dataclasses
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
from official_nlp.training import PhaseConfig, TrainingConfig, evaluate, train
from tests.training.toy import ToyTask, assert_same_state, state

PHASES = (
    PhaseConfig(steps=13, batch_size=8, length=4),
    PhaseConfig(steps=20, batch_size=8, length=4),
)
CONFIG = TrainingConfig(
    learning_rate=1e-2,
    warmup_steps=5,
    steps_per_loop=5,
    checkpoint_interval=10,
    evaluation_interval=20,
)


def _train(folder, task=None, phases=PHASES, config=CONFIG, **keywords):
    text = io.StringIO()
    keywords.setdefault("console", rich.console.Console(file=text, width=200))
    metrics = train(task or ToyTask(), phases, config, folder, **keywords)
    return metrics, text.getvalue()


def _lines(folder, name="metrics.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, *_train(folder, references={"word frequencies": 0.7})


def test_windows_end_with_the_loop_and_with_a_phase(finished):
    folder, _, _ = finished
    lines = _lines(folder)
    train_lines = [(x["step"], x["phase"]) for x in lines if "train/loss" in x]
    steps = [(5, 0), (10, 0), (13, 0), (15, 1), (20, 1), (25, 1), (30, 1), (33, 1)]
    assert train_lines == steps
    held_out = [(x["step"], x["phase"]) for x in lines if "held_out/loss_error" in x]
    assert held_out == [(20, 1), (33, 1)]
    assert [line["step"] for line in _lines(folder, "timing.jsonl")] == [x for x, _ in steps]


def test_a_line_holds_rate_norm_and_metrics(finished):
    line = _lines(finished[0])[0]
    assert list(line) == [
        "step", "phase", "learning_rate", "grad_norm", "train/loss", "train/loss_error",
    ]  # fmt: skip
    assert line["learning_rate"] == pytest.approx(1e-2 * (1 - 4 / 33))


def test_the_folder_holds_what_it_should(finished):
    folder, _, _ = finished
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "run.json", "metrics.jsonl", "timing.jsonl", "summaries", "curves.png", "checkpoints",
        ".lock",
    }  # fmt: skip
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in (folder / "summaries").iterdir()} >= {"train", "held_out"}
    roots = {name.split("/")[0] for name in state(folder / "checkpoints")}
    assert roots == {"generator", "discriminator", "optimizer", "step", "save_counter"}


def test_progress_is_a_line_a_window_where_no_terminal_is(finished):
    _, _, text = finished
    assert re.search(
        r"step 33/33  phase 2/2  0:00:00 left  [\d,]+ tokens/s  input \d+%  loss ", text
    )
    assert "step 20 held_out  loss_error " in text
    assert "train | step" not in text


def test_a_finished_run_is_left_as_it_is(finished, capfd):
    folder, metrics, _ = finished
    before = state(folder / "checkpoints"), (folder / "metrics.jsonl").read_bytes()
    again, text = _train(folder)
    assert again == metrics
    assert again["step"] == 33
    assert "continuing after step 33 of 33" in text
    assert_same_state(state(folder / "checkpoints"), before[0])
    assert (folder / "metrics.jsonl").read_bytes() == before[1]
    assert capfd.readouterr().out == ""


def test_evaluating_afterwards_gives_the_metrics_of_the_run(finished):
    folder, metrics, _ = finished
    tf.constant(0)
    again = evaluate(ToyTask(), CONFIG, folder)
    assert {f"held_out/{name}": value for name, value in again.items()} == {
        name: value for name, value in metrics.items() if name not in ("step", "phase")
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_saves_and_later_ends_in_the_same_bits(tmp_path, finished, number):
    class Stopped(ToyTask):
        def report(self, sums, rows):
            os.kill(os.getpid(), number)
            return super().report(sums, rows)

    with pytest.raises(Preempted, match="saved at step 5 of 33"):
        _train(tmp_path, Stopped())
    assert (tmp_path / "curves.png").exists()
    _, text = _train(tmp_path)
    assert "continuing after step 5 of 33" in text
    assert (tmp_path / "metrics.jsonl").read_bytes() == (finished[0] / "metrics.jsonl").read_bytes()
    assert_same_state(state(tmp_path / "checkpoints"), state(finished[0] / "checkpoints"))


HALF = dataclasses.replace(CONFIG, log_interval=15, checkpoint_interval=15, evaluation_interval=5)


@pytest.fixture(scope="module")
def long_windows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long windows") / "run"
    _train(folder, config=HALF)
    return folder


@pytest.mark.parametrize(("report", "step"), [(1, 10), (5, 20)])
def test_asked_to_stop_within_a_window_it_stops_after_the_loop(
    tmp_path, long_windows, report, step
):
    class Stopped(ToyTask):
        reports = 0

        def report(self, sums, rows):
            # The 1st is of the evaluation at step 5, the 5th of that at 15; a loop follows each.
            self.reports += 1
            if self.reports == report:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().report(sums, rows)

    with pytest.raises(Preempted, match=f"saved at step {step} of 33"):
        _train(tmp_path, Stopped(), config=HALF)
    assert (tmp_path / f"checkpoints/ckpt-{step}.window").exists()
    _train(tmp_path, config=HALF)
    files = [{p.name for p in (f / "checkpoints").iterdir()} for f in (tmp_path, long_windows)]
    assert (
        files[0] - {f"ckpt-{step}.{x}" for x in ("index", "data-00000-of-00001", "window")}
        == (files[1])
    )
    assert (tmp_path / "metrics.jsonl").read_bytes() == (
        long_windows / "metrics.jsonl"
    ).read_bytes()
    assert_same_state(state(tmp_path / "checkpoints"), state(long_windows / "checkpoints"))


def _scalars(folder):
    """Returns the steps of all events with metrics."""
    steps = []
    for file in folder.glob("events*"):
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = event_pb2.Event.FromString(record)
            steps += [event.step] if event.summary.value else []
    return sorted(steps)


@pytest.mark.parametrize("newest", [1, 2])
def test_a_damaged_checkpoint_costs_steps_and_no_bits(tmp_path, finished, newest):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    for path in sorted((folder / "checkpoints").glob("*.data*"))[-newest:]:
        path.write_bytes(path.read_bytes()[:-9])
    _, text = _train(folder)
    step = {1: 30, 2: 20}[newest]
    assert re.search(
        rf"ckpt-33 is damaged \(.*\): continuing from ckpt-{step}; its files are", text
    )
    assert f"continuing after step {step} of 33" in text
    assert_same_state(state(folder / "checkpoints"), state(finished[0] / "checkpoints"))
    assert (folder / "metrics.jsonl").read_bytes() == (finished[0] / "metrics.jsonl").read_bytes()
    assert len(list((folder / "checkpoints").glob("damaged-*"))) == 2 * newest
    for name in ("train", "held_out"):
        found, expected = (_scalars(f / "summaries" / name) for f in (folder, finished[0]))
        assert found == expected


def test_the_best_survives_a_stop(tmp_path):
    config = dataclasses.replace(
        CONFIG, keep=1, keep_every=20, keep_best="higher:loss_error", evaluation_interval=10
    )
    _train(tmp_path / "whole", config=config)

    class Stopped(ToyTask):
        def report(self, sums, rows):
            if "noise" in sums:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().report(sums, rows)

    for step in (13, 25):
        with pytest.raises(Preempted, match=f"saved at step {step} of 33"):
            _train(tmp_path / "stopped", Stopped(), config=config)
    _train(tmp_path / "stopped", config=config)
    whole, stopped = (
        {file.name: file.read_bytes() for file in (tmp_path / name / "checkpoints").iterdir()}
        for name in ("whole", "stopped")
    )
    assert whole["best.json"] == stopped["best.json"]
    assert json.loads(whole["best.json"])["step"] == 10
    assert whole.keys() == stopped.keys()
    steps = {name for name in whole if name.endswith(".index")}
    assert steps == {"ckpt-10.index", "ckpt-20.index", "ckpt-33.index"}


LONGER = (PHASES[0], dataclasses.replace(PHASES[1], steps=40))


def test_a_run_is_extended_when_asked_for(tmp_path, finished):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    before = (folder / "metrics.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"steps was 20, is now 40; .* EXTEND=true"):
        _train(folder, phases=LONGER)
    metrics, text = _train(folder, phases=LONGER, extend=True)
    assert "extended from 33 to 53 steps: from step 33 on the learning rate" in text
    assert "of a run of 53 steps, 0.00377 in place of 0, and ends at 53" in text
    assert metrics["step"] == 53
    assert (folder / "metrics.jsonl").read_bytes().startswith(before)
    rates = {x["step"]: x["learning_rate"] for x in _lines(folder) if "learning_rate" in x}
    assert rates[33] == pytest.approx(1e-2 * (1 - 32 / 33))
    assert rates[35] == pytest.approx(1e-2 * (1 - 34 / 53))
    # Continued, it need not be asked for again.
    _, text = _train(folder, phases=LONGER)
    assert "extended" not in text


def test_devices_may_change_and_that_is_told(tmp_path, two_devices):
    # The first phase alone, then the rest with two replicas.
    class Stopped(ToyTask):
        def report(self, sums, rows):
            os.kill(os.getpid(), signal.SIGTERM)
            return super().report(sums, rows)

    with pytest.raises(Preempted):
        _train(tmp_path, Stopped())
    _, text = _train(tmp_path, config=dataclasses.replace(CONFIG, strategy="mirrored"))
    message = (
        'not bit-identical to an uninterrupted run: rounding.strategy was "one_device", is now'
    )
    assert message in text
    assert "continuing after step 5 of 33" in text
    assert _lines(tmp_path)[-1]["step"] == 33


def test_rows_left_empty_are_counted_in_the_timing(tmp_path):
    _train(tmp_path, corrupt_rows=lambda: 7)
    assert {line["corrupt_rows"] for line in _lines(tmp_path, "timing.jsonl")} == {7}


def test_a_full_disk_while_drawing_hides_nothing(tmp_path, finished, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("official_nlp.training.curves.draw", full)
    folder = shutil.copytree(finished[0], tmp_path / "run")
    metrics, text = _train(folder)
    assert metrics["step"] == 33
    assert "curves.png could not be drawn: No space left on device" in text


def test_first_values_are_given_to_a_run_that_has_no_checkpoint_alone(tmp_path):
    calls = []

    def initialize(model):
        calls.append(model)
        model.trunk.kernel.assign(model.trunk.kernel + 1.0)
        return {"tensors": 1}

    run, phases = tmp_path / "run", (dataclasses.replace(PHASES[0], steps=5),)
    _train(run, phases=phases, initialize=initialize, beginning={"weights": "one more"})
    told = {"weights": "one more", "tensors": 1}
    assert json.loads((run / "run.json").read_text())["beginning"] == told
    _train(tmp_path / "other", phases=phases)
    shifted, plain = (state(f / "checkpoints") for f in (run, tmp_path / "other"))
    assert shifted.keys() == plain.keys()
    kernel = next(name for name in shifted if "trunk/kernel/.ATTR" in name)
    np.testing.assert_allclose(shifted[kernel], plain[kernel] + 1.0, atol=0.1)
    _train(run, phases=phases, initialize=initialize)
    assert len(calls) == 1


def test_what_is_not_finite_stops_the_run_without_a_checkpoint(tmp_path):
    # The 19th step of all is the 6th of the second phase, in the middle of a loop.
    with pytest.raises(NotFiniteError, match="rtd loss is not finite at step 19"):
        _train(tmp_path, ToyTask(nan_at=8 * 5 + 3))
    assert _lines(tmp_path)[-1]["step"] == 15
    assert tf.train.latest_checkpoint(str(tmp_path / "checkpoints")).endswith("ckpt-10")
    assert (tmp_path / "curves.png").exists()


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"config": dataclasses.replace(CONFIG, seed=1)}, "training.seed was 0, is now 1"),
        (
            {"phases": (PHASES[0], dataclasses.replace(PHASES[1], batch_size=16))},
            r"phases\[1\].batch_size was 8, is now 16",
        ),
        ({"fixed": {"data": "abc"}}, 'data was null, is now "abc"'),
    ],
)
def test_another_configuration_is_not_trained_in_the_same_folder(finished, change, difference):
    with pytest.raises(InputError, match=f"another configuration: {difference}"):
        _train(finished[0], **change)


def test_how_often_it_reports_may_change(finished, tmp_path):
    config = dataclasses.replace(CONFIG, checkpoint_interval=5, evaluation_interval=0)
    _train(tmp_path, config=config)
    assert all("train/loss" in line for line in _lines(tmp_path))
    _train(tmp_path, config=dataclasses.replace(CONFIG, steps_per_loop=3, checkpoint_interval=3,
                                                evaluation_interval=3))  # fmt: skip


def test_without_held_out_data_nothing_is_evaluated(tmp_path):
    metrics, _ = _train(tmp_path, ToyTask(evaluation_batches=0))
    assert metrics == {}


def test_without_an_interval_only_the_end_is_saved(tmp_path):
    config = dataclasses.replace(CONFIG, checkpoint_interval=None)
    _train(tmp_path, config=config)
    assert [p.name for p in (tmp_path / "checkpoints").glob("*.index")] == ["ckpt-33.index"]


def test_a_run_is_a_function_of_its_seed(finished, tmp_path):
    _train(tmp_path / "same")
    assert_same_state(state(tmp_path / "same/checkpoints"), state(finished[0] / "checkpoints"))
    _train(tmp_path / "other", config=dataclasses.replace(CONFIG, seed=5))
    one, other = state(tmp_path / "other/checkpoints"), state(finished[0] / "checkpoints")
    kernel = "discriminator/trunk/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    assert (one[kernel] != other[kernel]).all()


def test_two_replicas_train_a_whole_run(finished, tmp_path, two_devices):
    _train(tmp_path, config=dataclasses.replace(CONFIG, strategy="mirrored"))
    for mine, theirs in zip(_lines(tmp_path), _lines(finished[0])):
        assert mine == pytest.approx(theirs, rel=1e-4)
