"""Train by a recipe, once or with several seeds, as `electra train` and `electra sweep` do."""

import dataclasses
import logging
import pathlib
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING

from official_nlp.cli import printing
from official_nlp.errors import InputError, NotFiniteError

if TYPE_CHECKING:  # Importing these takes seconds.
    import rich.console

    from official_nlp.runs.finished_run import Metrics
    from official_nlp.runs.prepared_run import PreparedRun
    from official_nlp.training import Data, RunConfig, Task


@dataclasses.dataclass(frozen=True)
class RecipeRuns:
    """What a recipe with some settings trains: a run, or runs with consecutive seeds.

    Attributes:
      config: the settings.
      text: the resolved configuration as a recipe.
      runs: settings and resolved configuration of each run by seed. The run stores the latter as
        config.gin, which continues and repeats it.
    """

    config: "RunConfig"
    text: str
    runs: "Mapping[int, tuple[RunConfig, str]]"

    @property
    def has_seeds(self) -> bool:
        """Whether the runs are in subfolders, one for each seed."""
        return self.config.seeds is not None


def resolve(recipe: pathlib.Path, settings: Mapping[str, str], trusted: bool) -> RecipeRuns:
    """Resolve a recipe.

    Args:
      recipe: a gin file.
      settings: text of a value by name of a setting.
      trusted: see `gin_resolver.resolve`.

    Raises:
      InputError: see `gin_resolver.resolve`.
    """
    from official_nlp.configuration import gin_resolver
    from official_nlp.training import RunConfig

    values, text = gin_resolver.resolve(recipe, settings, RunConfig, trusted)
    config = RunConfig(**values)
    first = config.training.seed
    if config.seeds is None:
        return RecipeRuns(config, text, {first: (config, text)})
    runs = {}
    for seed in range(first, first + config.seeds):
        folder = str(pathlib.Path(config.model_dir, f"seed-{seed}"))
        own = {**settings, "SEED": str(seed), "SEEDS": "None", "MODEL_DIR": folder}
        values, own_text = gin_resolver.resolve(recipe, own, RunConfig, trusted)
        runs[seed] = RunConfig(**values), own_text
    return RecipeRuns(config, text, runs)


def check(
    runs: RecipeRuns,
    dry_run: bool,
    console: "rich.console.Console",
    data: "Mapping[str | None, Data] | None" = None,
) -> "PreparedRun":
    """Check what would be trained; return the first run as it would be trained.

    Args:
      runs: what would be trained.
      dry_run: build the model, too.
      console: where to print.
      data: opened data by the path of a phase; None to open what the settings name.

    Raises:
      InputError: the runs cannot start.
    """
    from official_nlp.runs import prepared_run

    _require_folder_of_seeds(runs)
    first, _ = next(iter(runs.runs.values()))
    return prepared_run.prepare(first, dry_run, console, data)


def train(runs: RecipeRuns, console: "rich.console.Console") -> "dict[int, Metrics | None]":
    """Train, or continue what was stopped; write the results of fine-tuning.

    Returns:
      The metrics of the chosen checkpoint by seed; None for a run that has failed, or whose model
      is not a single network.

    Raises:
      InputError: a run cannot start.
      NotFiniteError: the loss of a single run is not finite. With several seeds it has failed.
    """
    # Each run traces its own functions, which TensorFlow would take for one function that is traced
    # again and again, and warn of it.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if not runs.has_seeds:
        return {seed: _train(config, text, console) for seed, (config, text) in runs.runs.items()}
    _require_folder_of_seeds(runs)
    by_seed: dict[int, Metrics | None] = {}
    for seed, (config, text) in runs.runs.items():
        console.print(f"seed {seed}: {config.model_dir}")
        try:
            by_seed[seed] = _train(config, text, console)
        except NotFiniteError as error:
            # Some seeds of a large model diverge. That is a result, and no reason to stop.
            console.print(f"seed {seed} failed: {error}")
            by_seed[seed] = None
    _summarize(runs, by_seed, console)
    return by_seed


def _train(config: "RunConfig", recipe: str, console: "rich.console.Console") -> "Metrics | None":
    """Train one run; return the metrics of its chosen checkpoint, None for a failed one."""
    from official_nlp.runs.prepared_run import prepare
    from official_nlp.training import loop

    prepared = prepare(config, False, console)
    config, task = prepared.config, prepared.task
    try:
        metrics = loop.train(
            task,
            prepared.phases,
            config.training,
            config.model_dir,
            data=prepared.data,
            warm_start=prepared.warm_start,
            recipe=recipe,
            extend=config.extend,
            console=console,
        )
    finally:
        # Corrupt records are reported even if the run fails, as they may be the cause.
        for each in prepared.data.values():
            if each.corruption():
                console.print(each.corruption())
    if not _is_single_network(task):
        printing.print_metrics(metrics, console)
        return None
    return _finish(prepared, console)


# === Fine-tuning runs ===


def _is_single_network(task: "Task") -> bool:
    """Return whether the model of a task is one network, which a folder can hold."""
    from official_nlp.interchange.task_networks import HasNetworks

    return isinstance(task, HasNetworks) and list(task.networks()) == [""]


def _finish(prepared: "PreparedRun", console: "rich.console.Console") -> "Metrics | None":
    """Write and print the results of a run; return its metrics, None for a failed one."""
    from official_nlp.runs import finished_run

    config = prepared.config
    found = finished_run.finish(prepared.task, config.training, config.model_dir)
    printing.print_by_set(found.metrics, console)
    for note in found.notes:
        console.print(note)
    console.print(f"wrote {', '.join(map(str, found.written))}, of the {found.which} checkpoint")
    if found.failure:
        console.print(
            f"warning: {found.failure}: the run has failed; use another seed, a lower "
            "LEARNING_RATE or more epochs",
            style="yellow",
        )
    return None if found.failure else found.metrics


# === Several seeds ===


def _require_folder_of_seeds(runs: RecipeRuns) -> None:
    """Refuse a folder that holds a single run, whose files the runs of seeds would stand beside."""
    config = runs.config
    if runs.has_seeds and pathlib.Path(config.model_dir, "run.json").exists():
        raise InputError(
            f"MODEL_DIR={config.model_dir} holds a run of one seed; SEEDS={config.seeds} needs a "
            "folder for the runs of all seeds: give another MODEL_DIR"
        )


def _summarize(
    runs: RecipeRuns,
    by_seed: "Mapping[int, Metrics | None]",
    console: "rich.console.Console",
) -> None:
    """Print and write what the runs have in common, and copy the best model."""
    from official_nlp.runs import finished_run

    found = {seed: metrics for seed, metrics in by_seed.items() if metrics is not None}
    folder = pathlib.Path(runs.config.model_dir)
    if not found:
        finished_run.write_summary(folder, finished_run.summarize(None, by_seed))
        return
    main = finished_run.main_metric(runs.config.training.keep_best, next(iter(found.values())))
    summary = finished_run.summarize(main, by_seed)
    best = finished_run.best_seed(main, found)
    lines = []
    for name in (finished_run.MODEL, finished_run.PREDICTIONS):
        own = pathlib.Path(runs.runs[best][0].model_dir, name)
        if own.is_dir():
            shutil.rmtree(folder / name, ignore_errors=True)
            shutil.copytree(own, folder / name)
            lines.append(f"wrote {folder / name}: that of seed {best}")
    # Written last: the runs are complete where it exists.
    finished_run.write_summary(folder, summary)
    printing.print_summary(summary, console)
    for line in lines:
        console.print(line)
