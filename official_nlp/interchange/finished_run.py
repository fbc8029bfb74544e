"""What a fine-tuning run leaves besides its checkpoints: the model as a folder, and a summary."""

import json
import os
import pathlib
import shutil
import statistics
from collections.abc import Mapping
from typing import Any

from official_nlp.files import atomic
from official_nlp.interchange import convert, sources
from official_nlp.training import best

MODEL, SUMMARY = "model", "summary.json"

# Metrics by evaluation set and name.
Metrics = Mapping[str, Mapping[str, float]]


def write_model(run: str | os.PathLike, to: str | os.PathLike, which: int | str) -> None:
    """Write a checkpoint of a run as a Hugging Face folder, in place of an earlier one.

    Args:
      run: the run folder.
      to: the folder, with tokenizer and model card.
      which: `newest`, `best` or the number of a step.
    """
    source = sources.open(run, checkpoint=which)
    # The folder belongs to the run, and is derived from its checkpoints: nothing is lost.
    shutil.rmtree(to, ignore_errors=True)
    convert.write(source, to, "huggingface")


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


def has_failed(main: str | None, metrics: Metrics, baselines: Mapping[str, float]) -> str | None:
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
