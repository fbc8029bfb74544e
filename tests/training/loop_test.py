import dataclasses
import io
import json
import os
import re
import signal

import pytest
import rich.console
import tensorflow as tf

from official_nlp.errors import InputError, NotFiniteError, Preempted
from official_nlp.training import PhaseConfig, TrainingConfig, evaluate, train
from tests.training.toy import ToyTask, assert_same_state, state

PHASES = (
    PhaseConfig(steps=13, batch_size=8, length=4, discriminator_weight=0.0),
    PhaseConfig(steps=20, batch_size=8, length=4, discriminator_weight=20.0),
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
    figures = train(task or ToyTask(), phases, config, folder, **keywords)
    return figures, text.getvalue()


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
    held_out = [(x["step"], x["phase"]) for x in lines if "held_out/mlm_loss" in x]
    assert held_out == [(20, 1), (33, 1)]
    assert [line["step"] for line in _lines(folder, "timing.jsonl")] == [x for x, _ in steps]


def test_a_line_holds_rate_norm_and_figures(finished):
    line = _lines(finished[0])[0]
    assert list(line) == [
        "step", "phase", "learning_rate", "grad_norm", "train/loss", "train/mlm_loss",
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
    assert re.search(r"step 33/33  phase 2/2  0:00:00 left  [\d,]+ tokens/s  loss ", text)
    assert "step 20 held out  mlm_loss " in text
    assert "train | step" not in text


def test_a_finished_run_is_left_as_it_is(finished, capfd):
    folder, figures, _ = finished
    before = state(folder / "checkpoints"), (folder / "metrics.jsonl").read_bytes()
    again, text = _train(folder)
    assert again == figures
    assert again["step"] == 33
    assert "continuing after step 33 of 33" in text
    assert_same_state(state(folder / "checkpoints"), before[0])
    assert (folder / "metrics.jsonl").read_bytes() == before[1]
    assert capfd.readouterr().out == ""


def test_evaluating_afterwards_gives_the_figures_of_the_run(finished):
    folder, figures, _ = finished
    tf.constant(0)
    again = evaluate(ToyTask(), CONFIG, folder)
    assert {f"held_out/{name}": value for name, value in again.items()} == {
        name: value for name, value in figures.items() if name not in ("step", "phase")
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_saves_and_later_ends_in_the_same_bits(tmp_path, finished, number):
    class Stopped(ToyTask):
        def report(self, sums):
            os.kill(os.getpid(), number)
            return super().report(sums)

    with pytest.raises(Preempted, match="saved at step 5 of 33"):
        _train(tmp_path, Stopped())
    assert (tmp_path / "curves.png").exists()
    _, text = _train(tmp_path)
    assert "continuing after step 5 of 33" in text
    assert (tmp_path / "metrics.jsonl").read_bytes() == (finished[0] / "metrics.jsonl").read_bytes()
    assert_same_state(state(tmp_path / "checkpoints"), state(finished[0] / "checkpoints"))


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
    figures, _ = _train(tmp_path, ToyTask(evaluation_batches=0))
    assert figures == {}


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
