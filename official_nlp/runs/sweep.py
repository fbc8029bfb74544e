"""The folder of a sweep: results of fine-tuning every checkpoint of a pre-training run."""

import functools
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from official_nlp.errors import InputError
from official_nlp.files import atomic, guarded
from official_nlp.interchange.saved_run import load_run
from official_nlp.ranges import shown
from official_nlp.runs.finished_run import SUMMARY
from official_nlp.tasks.finetuning import run_page
from official_nlp.training import checkpoints, curves
from official_nlp.training.run_folder import RunFolder

RECORD, CURVE, PAGE = "sweep.json", "curve.png", "page.html"
# The step of random initial values.
SCRATCH = 0
_STEP = re.compile(r"step-(\d{1,18})")
# What identifies a run, besides its steps and its own pretrained weights. See `RunFolder.claim`.
_IDENTITY = ("task", "training", "data", "phase_data")


class SweepFolder:
    """The folder of a sweep.

    It holds `sweep.json`, which names the pre-training run; the run folder `step-N` of each
    checkpoint, or the folder of the runs of its seeds; and the results `summary.json`, `curve.png`
    and `page.html`.

    Args:
      path: the folder.
      run: the pre-training run.

    Raises:
      InputError: `run` is not a run folder.
    """

    def __init__(self, path: str | os.PathLike, run: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.run = load_run(run)
        self._folder = RunFolder(run)

    # === Whose folder it is ===

    def require_own(self) -> None:
        """Check that nothing but a sweep over this run is in the folder; write nothing.

        Raises:
          InputError: the folder holds anything else.
        """
        record = self.path / RECORD
        if record.is_file():
            described = guarded.read_object(record, "give another --to")
            if described.get("sha256") != self._sha256:
                raise InputError(
                    f"{self.path} holds a sweep over another run, {shown(described.get('run'))}: "
                    "give another --to"
                )
        elif self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise InputError(
                f"--to must be a new or empty folder, or that of a sweep, but {self.path} has no "
                f"{RECORD}: give another --to"
            )

    def claim(self) -> None:
        """Create the folder, and record whose it is."""
        self.path.mkdir(parents=True, exist_ok=True)
        record = {"run": str(self.run.path), "sha256": self._sha256}
        atomic.write(self.path / RECORD, json.dumps(record, indent=2) + "\n")

    @functools.cached_property
    def _sha256(self) -> str:
        """Hash of what identifies the run, wherever it is and however much it was extended."""
        described = self.run.described
        sources = described.get("origin", {}).get("warm_start", {})
        identity = {
            **{part: described.get(part) for part in _IDENTITY},
            "steps": self._folder.begun_with(self.run.last_step),
            "warm_start": {name: source.get("sha256") for name, source in sources.items()},
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    # === Steps ===

    def of_step(self, step: int) -> pathlib.Path:
        """Return the folder of a checkpoint."""
        return self.path / f"step-{step}"

    def retained(self) -> list[int]:
        """Return the steps of the checkpoints of the run in order.

        Raises:
          InputError: there is none.
        """
        return checkpoints.retained(self._folder.checkpoints)

    def begun(self) -> list[int]:
        """Return the steps that have a folder, in order.

        A checkpoint may be gone since: pre-training deletes older ones while it goes on.
        """
        if not self.path.is_dir():
            return []
        names = (_STEP.fullmatch(path.name) for path in self.path.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def settings(self, step: int) -> dict[str, str]:
        """Return the settings of a fine-tuning recipe that begin with a checkpoint."""
        folder = {"MODEL_DIR": str(self.of_step(step))}
        if step == SCRATCH:
            return {**folder, "INIT": "none", "NETWORK": str(self.run.path)}
        return {**folder, "INIT": checkpoints.path_of(self._folder.checkpoints, step)}

    def is_complete(self, step: int, folders: Sequence[str | os.PathLike]) -> bool:
        """Return whether a checkpoint was evaluated.

        Args:
          step: its step.
          folders: run folders of all seeds.
        """
        if not (self.of_step(step) / SUMMARY).is_file():
            return False
        found = self._summary_of(step)
        # Another number of seeds, or another first seed, leaves something to do.
        is_counted = len(found["seeds"]) + found["failed"] == len(folders)
        return is_counted and all(RunFolder(each).description.is_file() for each in folders)

    def _summary_of(self, step: int) -> dict[str, Any]:
        file = self.of_step(step) / SUMMARY
        found = guarded.read_object(file, f"delete {file.parent} to evaluate the step again")
        parts = {"seeds": dict, "median": dict, "failed": int}
        if not all(isinstance(found.get(part), kind) for part, kind in parts.items()):
            raise InputError(
                f"{file} must hold {', '.join(parts)}, but does not: it is damaged; delete "
                f"{file.parent} to evaluate the step again"
            )
        return found

    # === Results ===

    def write_results(
        self, title: str, steps: Iterable[int], metric: str, baseline: float | None
    ) -> dict[str, Any]:
        """Write summary, curve and page of the steps that are complete.

        Args:
          title: heading of the page.
          steps: complete steps in order.
          metric: metric of the curve, `SET/NAME`.
          baseline: its value for a constant prediction; None where it is unknown.

        Returns:
          The content of `summary.json`: `metric`, `baseline`, and the summaries of the runs by
          step.
        """
        summary: dict[str, Any] = {"metric": metric, "baseline": baseline, "steps": {}}
        for step in steps:
            found = self._summary_of(step)
            found.pop("metric", None)
            summary["steps"][str(step)] = found
        atomic.write(self.path / SUMMARY, json.dumps(summary, indent=2) + "\n")
        _draw(summary, self.path / CURVE)
        parts = [run_page.table(head(summary), rows(summary)), run_page.image(self.path / CURVE)]
        atomic.write(self.path / PAGE, run_page.document(title, parts))
        return summary


# === What terminal, curve and page show ===


class _Point(NamedTuple):
    """The median of the metric over the runs of a step, and its quartiles."""

    step: int
    median: float
    low: float
    high: float


def head(summary: Mapping[str, Any]) -> list[str]:
    """Return the heads of the columns of `rows`."""
    return ["step", summary["metric"], "quartiles", "runs", "failed"]


def rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of a table of all steps.

    Args:
      summary: the content of `summary.json`, see `SweepFolder.write_results`.
    """
    points = {point.step: point for point in _points(summary)}
    result = []
    for name, found in summary["steps"].items():
        point = points.get(int(name))
        median = f"{point.median:.4f}" if point else "-"
        quartiles = "-"
        if point and len(found["seeds"]) > 1:
            quartiles = f"{point.low:.4f} to {point.high:.4f}"
        runs = len(found["seeds"]) + found["failed"]
        result.append([f"{int(name):,}", median, quartiles, str(runs), str(found["failed"])])
    return result


def _points(summary: Mapping[str, Any]) -> list[_Point]:
    """Return a point for each step of which not all runs failed."""
    set_name, _, name = summary["metric"].partition("/")
    return [
        _Point(
            int(step),
            *(
                found[part][set_name][name]
                for part in ("median", "lower_quartile", "upper_quartile")
            ),
        )
        for step, found in summary["steps"].items()
        if found["seeds"]
    ]


def _draw(summary: Mapping[str, Any], to: pathlib.Path) -> None:
    """Draw the metric over the step of pre-training as a PNG image.

    A step whose runs all failed is a cross on the line of the constant prediction, which its runs
    did not surpass.
    """
    points, baseline = _points(summary), summary["baseline"]
    failed = [int(step) for step, found in summary["steps"].items() if not found["seeds"]]
    with curves.drawn(to) as (axes,):
        axes.set_title(f"{summary['metric']}, median and quartiles", fontsize=10)
        axes.set_xlabel("step of pre-training")
        if points:
            steps, medians, low, high = zip(*points)
            axes.plot(steps, medians, marker=".", linewidth=1.8)
            axes.fill_between(steps, low, high, alpha=0.2)
        if baseline is not None:
            curves.draw_baseline(axes, "constant prediction", baseline)
            axes.plot(failed, [baseline] * len(failed), "x", color="gray")
