"""Finish a fine-tuning run: evaluate it, and write its model, a summary and a page."""

import dataclasses
import json
import os
import pathlib
import shutil
import statistics
from collections.abc import Mapping
from typing import Any

from official_nlp.files import atomic
from official_nlp.inference import prediction_files
from official_nlp.inference.predictor import Predictor
from official_nlp.interchange import convert, sources
from official_nlp.runs import finetuned_card
from official_nlp.tasks.finetuning import run_page
from official_nlp.tasks.finetuning.task import FinetuningTask
from official_nlp.training import Task, TrainingConfig, best, loop
from official_nlp.training.run_folder import RunFolder

MODEL, SUMMARY, PAGE, PREDICTIONS = "model", "summary.json", "page.html", "predictions"

# Metrics by evaluation set and name.
Metrics = Mapping[str, Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """The results of a run of one network.

    Attributes:
      metrics: metrics of the chosen checkpoint by set and name.
      main_metric: the metric by which it was chosen, `SET/NAME`; None without an evaluation set.
      failure: why the run has failed; None where its model is better than a constant prediction.
      which: the chosen checkpoint, `best` or `newest`.
      written: paths of the files and folders that were written.
      notes: sentences on what was inferred from test files without labels.
    """

    metrics: Metrics
    main_metric: str | None
    failure: str | None
    which: str
    written: tuple[pathlib.Path, ...]
    notes: tuple[str, ...] = ()


def finish(task: Task, training: TrainingConfig, model_dir: str | os.PathLike) -> FinishedRun:
    """Evaluate the best checkpoint of a run, and write its model, its summary and its page.

    For test sets without labels it writes the predictions of the model.

    Args:
      task: the task of the run, with its data.
      training: settings of the run.
      model_dir: the run folder, whose training has ended.
    """
    folder = pathlib.Path(model_dir)
    which = "best" if training.keep_best else "newest"
    results = loop.evaluate_with_rows(task, training, folder, which)
    metrics = {name: result["metrics"] for name, result in results.items()}
    main = main_metric(training.keep_best, metrics)
    failure = _failure(main, metrics, task.baselines())
    fitted: dict[str, Any] = {}
    written = [folder / MODEL, folder / SUMMARY]
    if isinstance(task, FinetuningTask) and main is not None:
        rows = {name: result["rows"] for name, result in results.items()}
        fitted = task.fit_on_dev(rows[main.partition("/")[0]])
        sections = {name: task.page_sections(name, each) for name, each in rows.items()}
        page = run_page.page(f"Run {folder.name}", metrics, folder / "curves.png", sections)
        atomic.write(folder / PAGE, page)
        written.append(folder / PAGE)
    _write_model(folder, which, metrics, fitted)
    notes: list[str] = []
    if isinstance(task, FinetuningTask):
        files, notes = _write_predictions(task, folder)
        written += files
    # Written last: the run is complete where it exists.
    write_summary(folder, summarize(main, {training.seed: None if failure else metrics}))
    return FinishedRun(metrics, main, failure, which, tuple(written), tuple(notes))


def _write_predictions(
    task: FinetuningTask, folder: pathlib.Path
) -> tuple[list[pathlib.Path], list[str]]:
    """Write predictions for the test sets without labels.

    Args:
      task: the task of the run.
      folder: the run folder, which has the model.

    Returns:
      The paths of the files, and sentences on what was inferred.
    """
    files = task.unlabeled_files()
    if not files:
        return [], []
    # What it predicts is what the model predicts for anybody, read from the folder.
    predictor = Predictor.from_pretrained(folder / MODEL, length=task.config.length)
    (folder / PREDICTIONS).mkdir(exist_ok=True)
    written: list[pathlib.Path] = []
    notes: list[str] = []
    for name, file in files.items():
        found = predictor.read_file(file, **task.config.reading_options)
        notes += found.notes
        results = predictor(found.inputs, **task.config.prediction_options)
        target = folder / PREDICTIONS / task.config.predictions_file(name)
        has_range = predictor.has_value_range
        atomic.write(target, prediction_files.content(target, results, found.ids, has_range))
        written.append(target)
    return written, notes


def _write_model(
    run: str | os.PathLike, which: int | str, metrics: Metrics, fitted: Mapping[str, Any]
) -> None:
    """Write a checkpoint of a run as the Hugging Face folder `model` in it.

    The folder has a tokenizer and a model card. An earlier one is replaced.

    Args:
      run: the run folder.
      which: `newest`, `best` or the number of a step.
      metrics: metrics of that checkpoint, for the card.
      fitted: values that were fitted on the development set, for `config.json`.
    """
    source = sources.open(run, checkpoint=which)
    (name, weights), *_ = source.networks.items()
    (architecture,) = weights.config["architectures"]
    described = RunFolder(run).describe()
    card = finetuned_card.write_card(
        architecture, described, source.step, metrics, weights.parameters
    )
    weights = dataclasses.replace(weights, config={**weights.config, **fitted})
    source = dataclasses.replace(source, networks={name: weights}, cards={name: card})
    folder = pathlib.Path(run, MODEL)
    # It belongs to the run, and is derived from its checkpoints: nothing is lost.
    shutil.rmtree(folder, ignore_errors=True)
    convert.write(source, folder, "huggingface")


def summarize(metric: str | None, by_seed: Mapping[int, Metrics | None]) -> dict[str, Any]:
    """Return the content of `summary.json`.

    Args:
      metric: the metric by which checkpoints were chosen, `SET/NAME`.
      by_seed: metrics of the chosen checkpoint of each run; None for a failed run.

    Returns:
      `metric`; `seeds`, the metrics of each run that did not fail; `median`, `lower_quartile` and
      `upper_quartile` over these runs; `failed`, the number of the others.
    """
    found = {seed: metrics for seed, metrics in by_seed.items() if metrics is not None}
    summary: dict[str, Any] = {
        "metric": metric,
        "seeds": {str(seed): metrics for seed, metrics in found.items()},
    }
    for name, function in _STATISTICS.items():
        summary[name] = _over_runs(list(found.values()), function)
    summary["failed"] = len(by_seed) - len(found)
    return summary


def main_metric(keep_best: str | None, metrics: Metrics) -> str | None:
    """Return the metric by which a checkpoint was chosen, `SET/NAME`; None without a set.

    Args:
      keep_best: setting of the run; None for the first metric of the first set.
      metrics: metrics of a checkpoint.
    """
    first_set = next(iter(metrics), None)
    if first_set is None:
        return None
    if keep_best is None:
        return f"{first_set}/{next(iter(metrics[first_set]))}"
    name, _ = best.parse(keep_best)
    return name if "/" in name else f"{first_set}/{name}"


def _failure(main: str | None, metrics: Metrics, baselines: Mapping[str, float]) -> str | None:
    """Return why a run has failed, None where its model is better than a constant prediction.

    Args:
      main: the main metric, `SET/NAME`; None without a set.
      metrics: metrics of the chosen checkpoint.
      baselines: metrics of a constant prediction, `SET/NAME`, as far as they are known.
    """
    if main is None or main not in baselines:
        return None
    set_name, _, name = main.partition("/")
    value = metrics[set_name][name]
    higher = best.parse(name)[1]
    if value > baselines[main] if higher else value < baselines[main]:
        return None
    return f"{main} is {value:.4g}, which a constant prediction reaches too ({baselines[main]:.4g})"


def best_seed(main: str | None, by_seed: Mapping[int, Metrics]) -> int:
    """Return the seed of the best run by the main metric, the first of equal ones.

    Without a main metric it is the first of all.
    """
    if main is None:
        return min(by_seed)
    set_name, _, name = main.partition("/")
    sign = 1 if best.parse(name)[1] else -1
    return max(by_seed, key=lambda seed: sign * by_seed[seed][set_name][name])


def write_summary(folder: str | os.PathLike, summary: Mapping[str, Any]) -> None:
    """Write `summary.json` into a run folder."""
    atomic.write(pathlib.Path(folder, SUMMARY), json.dumps(summary, indent=2) + "\n")


def _quartile(number: int):
    def quartile(values: list[float]) -> float:
        if len(values) == 1:
            return values[0]
        return statistics.quantiles(values, n=4, method="inclusive")[number - 1]

    return quartile


_STATISTICS = {
    "median": statistics.median,
    "lower_quartile": _quartile(1),
    "upper_quartile": _quartile(3),
}


def _over_runs(runs: list[Metrics], function) -> dict[str, dict[str, float]]:
    """Return a statistic of each metric over runs, which all have the same metrics."""
    if not runs:
        return {}
    return {
        name: {metric: function([run[name][metric] for run in runs]) for metric in metrics}
        for name, metrics in runs[0].items()
    }
