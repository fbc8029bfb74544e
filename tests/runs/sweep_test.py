import json

import pytest

from official_nlp.errors import InputError
from official_nlp.runs import sweep
from official_nlp.runs.finished_run import summarize

RUNS = {seed: {"dev": {"accuracy": value}} for seed, value in enumerate([0.5, 0.9, 0.6, 0.8])}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a sweep over a run that is not needed."""
    monkeypatch.setattr(sweep, "load_run", lambda path: None)
    return sweep.SweepFolder(tmp_path, tmp_path / "run")


def write(folder, step, by_seed, metric="dev/accuracy"):
    folder.of_step(step).mkdir()
    summary = json.dumps(summarize(metric, by_seed))
    (folder.of_step(step) / "summary.json").write_text(summary)


def test_results_have_a_row_for_each_step_and_failed_runs_have_no_median(folder):
    write(folder, 0, {0: None, 1: None}, metric=None)
    write(folder, 1000, {**RUNS, 4: None})
    summary = folder.write_results("Title", [0, 1000], "dev/accuracy", 0.5)
    assert summary == json.loads((folder.path / "summary.json").read_text())
    assert (summary["metric"], summary["baseline"]) == ("dev/accuracy", 0.5)
    assert summary["steps"]["1000"]["seeds"]["1"] == RUNS[1]
    assert sweep.head(summary) == ["step", "dev/accuracy", "quartiles", "runs", "failed"]
    assert sweep.rows(summary) == [
        ["0", "-", "-", "2", "2"],
        ["1,000", "0.7000", "0.5750 to 0.8250", "5", "1"],
    ]


def test_a_curve_needs_neither_a_baseline_nor_a_run_that_did_not_fail(folder):
    write(folder, 5, {0: None}, metric=None)
    folder.write_results("Title", [5], "dev/accuracy", None)
    assert (folder.path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_step_is_complete_if_all_seeds_are(folder):
    runs = [folder.of_step(3) / f"seed-{seed}" for seed in range(2)]
    assert not folder.is_complete(3, runs)
    write(folder, 3, {0: RUNS[0], 1: None})
    assert not folder.is_complete(3, runs)
    for each in runs:
        each.mkdir()
        (each / "run.json").write_text("{}")
    assert folder.is_complete(3, runs)
    assert not folder.is_complete(3, runs[:1])
    assert folder.begun() == [3]


def test_a_damaged_summary_is_refused(folder):
    folder.of_step(3).mkdir()
    (folder.of_step(3) / "summary.json").write_text('{"seeds": 3}')
    with pytest.raises(InputError, match=r"must hold seeds, median, failed.*delete"):
        folder.is_complete(3, [])
