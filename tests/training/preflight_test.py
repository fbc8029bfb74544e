"""Checks before the first step that hold for every objective."""

import dataclasses
import re
import types

import pytest

from official_nlp.errors import InputError
from official_nlp.training import Devices, Findings, PhaseConfig, TrainingConfig, preflight
from official_nlp.training.run_folder import RunFolder
from tests.training.toy import ToyData

PHASES = (
    PhaseConfig(steps=50, batch_size=8),
    PhaseConfig(steps=50, batch_size=16, length=128, loss_weights={"mlm": 1.0, "rtd": 50.0}),
)
TRAINING = TrainingConfig(warmup_steps=10)


def _check(phases=PHASES, examples=1000, devices=None, metric_names=None, **changes):
    training = dataclasses.replace(TRAINING, **changes)
    data = {None: ToyData("data", examples=examples)}
    return preflight.check(phases, training, data, devices or Devices(), metric_names)


def test_a_sound_run_has_no_errors_and_no_warnings():
    findings = _check()
    assert (findings.errors, findings.warnings) == ((), ())
    assert findings.lines == (
        "devices: one_device, replicas 1, hosts 1",
        "phase 1: 50 steps of 8 examples, 0.4 passes over 1,000 examples",
        "  global batch 8: 8 examples per replica",
        "phase 2: 50 steps of 16 x 128 tokens, 0.8 passes over 1,000 examples; "
        "loss weights: mlm 1, rtd 50",
        "  global batch 16: 16 examples per replica",
    )


def test_bfloat16_is_refused_where_it_is_slower_and_offered_where_it_is_faster():
    slow = Devices(slow_bfloat16="oneDNN is off")
    (error,) = _check(devices=slow, policy="mixed_bfloat16").errors
    assert error == (
        "policy must be float32 on this machine, was mixed_bfloat16, which is slower here: "
        "oneDNN is off; use POLICY=float32"
    )
    assert _check(devices=slow).errors == ()
    offer = "this processor computes bfloat16: POLICY=mixed_bfloat16 is faster"
    assert offer in _check(devices=Devices(fast_bfloat16=True)).lines
    found = _check(devices=Devices(fast_bfloat16=True), policy="mixed_bfloat16")
    assert (found.errors, offer in found.lines) == ((), False)


def test_replicas_and_micro_batches_are_reported():
    findings = _check(devices=Devices("mirrored", replicas=2), accumulation=4)
    assert findings.errors == ()
    assert findings.lines[0] == "devices: mirrored, replicas 2, hosts 1"
    assert findings.lines[2] == "  global batch 8: 4 examples per replica in 4 micro-batches"


@pytest.mark.parametrize(
    ("devices", "changes", "error"),
    [
        (Devices("mirrored", 3, 1), {}, r"a multiple of 3 \(3 replicas\), was 8"),
        (
            Devices("mirrored", 2, 1),
            {"accumulation": 8},
            r"a multiple of 16 \(2 replicas x 8 micro-batches\), was 8",
        ),
    ],
)
def test_a_batch_that_cannot_be_divided_is_an_error(devices, changes, error):
    (found,) = _check(PHASES[:1], devices=devices, **changes).errors
    assert re.fullmatch(f"batch_size of phase 1 must be {error}", found)


def test_data_without_training_examples_is_an_error():
    errors = _check(PHASES[:1], examples=0).errors
    assert errors == ("the data of phase 1 has no training examples",)


@pytest.mark.parametrize(
    ("keep_best", "metric_names", "errors"),
    [
        (None, [], ()),
        ("accuracy", ["dev/loss", "dev/accuracy"], ()),
        ("dev/accuracy", ["dev/loss", "dev/accuracy"], ()),
        ("higher:dev/odd", ["dev/odd"], ()),
        ("accuracy", None, ()),  # Unknown before the first evaluation.
        (
            "accurate_auc",
            ["dev/loss", "dev/accuracy", "test/accuracy"],
            ("keep_best must be one of loss, accuracy, was 'accurate_auc'",),
        ),
        (
            "dev/accuracy",
            ["test/accuracy"],
            ("keep_best must be one of accuracy, was 'dev/accuracy'",),
        ),
        (
            "accuracy",
            [],
            ("keep_best=accuracy needs an evaluation set, but the data has none",),
        ),
    ],
)
def test_the_metric_of_the_best_checkpoint_is_one_of_the_evaluation(
    keep_best, metric_names, errors
):
    assert _check(keep_best=keep_best, metric_names=metric_names).errors == errors


def test_a_batch_larger_than_the_data_is_a_warning():
    findings = _check(examples=10)
    assert findings.errors == ()
    assert findings.warnings == (
        "a batch of phase 2 has 16 examples, but the data has only 10: each batch repeats some",
    )


@pytest.mark.parametrize(("steps", "warns"), [(99, False), (100, True)])
def test_a_warm_up_of_the_whole_run_is_a_warning(steps, warns):
    warnings = _check(warmup_steps=steps).warnings
    assert len(warnings) == warns
    assert all("does not end before the last of 100 steps" in warning for warning in warnings)


def test_a_warm_up_beyond_the_run_is_an_error():
    findings = _check(warmup_steps=101)
    (error,) = findings.errors
    assert error == (
        "warmup_steps must be at most 100, the steps of the run, was 101: the learning rate would "
        "not reach its peak; use a tenth of the steps (WARMUP_STEPS=10) or fewer"
    )
    assert findings.warnings == ()


def test_phases_have_their_own_data():
    phases = (PHASES[0], dataclasses.replace(PHASES[0], data="more"))
    data = {None: ToyData("data", examples=1000), "more": ToyData("more", examples=100)}
    lines = preflight.check(phases, TRAINING, data, Devices()).lines
    assert "0.4 passes over 1,000 examples" in lines[1]
    assert "4 passes over 100 examples" in lines[3]


# === The run folder ===


def test_a_folder_that_can_be_written_is_no_finding_and_is_not_made(tmp_path):
    for folder in (tmp_path, tmp_path / "a/b/c"):
        assert preflight.check_folder(folder, 10**6, TRAINING) == Findings()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file", "Not a directory"),
        ("file/run", "Not a directory"),
        ("closed/run", "Permission denied"),
        ("a" * 300, "File name too long"),
    ],
)
def test_a_folder_that_cannot_be_written_is_an_error(tmp_path, name, reason, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir()
    # Root may write everywhere.
    access = preflight.os.access
    monkeypatch.setattr(
        preflight.os, "access", lambda path, mode: path.name != "closed" and access(path, mode)
    )
    (error,) = preflight.check_folder(tmp_path / name, 1, TRAINING).errors
    assert error.startswith(f"the run folder must be writable, {tmp_path / name} is not: ")
    assert reason in error


def test_a_folder_in_which_another_process_trains_is_an_error(tmp_path):
    with RunFolder(tmp_path).locked():
        found = preflight.check_folder(tmp_path, 1, TRAINING)
    assert found.errors == (f"another process is training in {tmp_path}",)


@pytest.mark.parametrize(
    ("size", "errors", "warnings"),
    [
        (10 * 10**9, (), ()),
        (
            30 * 10**9,
            (),
            ("4 checkpoints take 120 GB, but {} has room for 100 GB: make room, ",),
        ),
        (101 * 10**9, ("a checkpoint takes 101 GB, but {} has room for 100 GB",), ()),
    ],
)
def test_checkpoints_that_do_not_fit_the_disk_are_found(
    tmp_path, monkeypatch, size, errors, warnings
):
    usage = types.SimpleNamespace(free=100 * 10**9)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: usage)
    found = preflight.check_folder(tmp_path / "new", size, TRAINING)
    for texts, expected in ((found.errors, errors), (found.warnings, warnings)):
        assert len(texts) == len(expected)
        assert all(text.startswith(e.format(tmp_path)) for text, e in zip(texts, expected))


# === Devices ===


def test_the_devices_of_a_strategy_are_found(two_devices):
    one, two = (preflight.find_devices(name) for name in ("one_device", "mirrored"))
    assert (one.replicas, two.replicas, one.hosts) == (1, 2, 1)
    assert one.memory is None or one.memory > 1e9


def test_absent_devices_are_an_error_but_a_warning_in_a_dry_run(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(InputError, match="needs TF_CONFIG"):
        preflight.find_devices("multi_worker")
    devices = preflight.find_devices("multi_worker", dry_run=True)
    assert "needs TF_CONFIG" in devices.absent
    (warning,) = _check(devices=devices).warnings
    assert warning == f"{devices.absent}; estimates are for one replica"


def test_an_unknown_strategy_is_an_error_even_in_a_dry_run():
    with pytest.raises(InputError, match="strategy must be one of"):
        preflight.find_devices("many", dry_run=True)


# === Findings ===


def test_findings_add_up_in_their_order():
    one = Findings(errors=("a",), lines=("b",))
    other = Findings(errors=("c",), warnings=("d",))
    assert one + other == Findings(("a", "c"), ("d",), ("b",))
    assert one + Findings() == one


def test_numbers_are_readable():
    values = [preflight.readable(value) for value in (0.01234, 3.456, 99.94, 1234567.8)]
    assert values == ["0.0123", "3.46", "99.9", "1,234,568"]
