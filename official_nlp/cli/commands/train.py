"""Train a model by a recipe, or continue a run that was stopped.

The same command continues the run. Every run writes its configuration as RUN/config.gin, which is a
recipe too. A fine-tuning run also writes RUN/model, its best checkpoint as a Hugging Face folder;
RUN/summary.json, the metrics of that checkpoint; and RUN/page.html, its errors and curves.
"""

import argparse
import logging
import pathlib
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING

from official_nlp.cli import arguments, printing
from official_nlp.configuration import recipes
from official_nlp.errors import InputError, NotFiniteError

if TYPE_CHECKING:  # Importing these takes seconds.
    import rich.console

    from official_nlp.runs.finished_run import Metrics
    from official_nlp.runs.prepared_run import PreparedRun
    from official_nlp.training import RunConfig, Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_recipe(parser)


def run(args: argparse.Namespace) -> None:
    """Resolve the recipe, check the run, and train: once, or with several seeds."""
    # Mistakes in these words are reported before TensorFlow is imported.
    recipe = recipes.find(args.recipe)
    settings = recipes.split_settings(args.settings)

    from official_nlp.configuration import gin_resolver
    from official_nlp.training import RunConfig

    # `text` is the resolved configuration, which the run stores as config.gin and which replays it.
    values, text = gin_resolver.resolve(recipe, settings, RunConfig, args.trust)
    # Each run of several seeds traces its own functions, which TensorFlow would take for one
    # function that is traced again and again, and warn of it.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    config, console = RunConfig(**values), printing.console()
    if args.dry_run:
        print(text)
    if config.seeds is None or args.dry_run:
        _train(config, text, args.dry_run, console)
        return
    _require_folder_of_seeds(config)
    by_seed: dict[int, Metrics | None] = {}
    first = config.training.seed
    for seed in range(first, first + config.seeds):
        # Each seed is a run of its own, which its own config.gin continues and repeats.
        folder = str(_folder_of_seed(config, seed))
        own = {**settings, "SEED": str(seed), "SEEDS": "None", "MODEL_DIR": folder}
        values, text = gin_resolver.resolve(recipe, own, RunConfig, args.trust)
        console.print(f"seed {seed}: {folder}")
        try:
            by_seed[seed] = _train(RunConfig(**values), text, False, console)
        except NotFiniteError as error:
            # Some seeds of a large model diverge. That is a result, and no reason to stop.
            console.print(f"seed {seed} failed: {error}")
            by_seed[seed] = None
    _summarize_seeds(config, by_seed, console)


def _train(
    config: "RunConfig", recipe: str, dry_run: bool, console: "rich.console.Console"
) -> "Metrics | None":
    """Train one run; return the metrics of its chosen checkpoint, None for a failed one."""
    from official_nlp.runs.prepared_run import prepare
    from official_nlp.training import loop

    prepared = prepare(config, dry_run, console)
    if dry_run:
        return None
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


def _folder_of_seed(config: "RunConfig", seed: int) -> pathlib.Path:
    return pathlib.Path(config.model_dir, f"seed-{seed}")


def _require_folder_of_seeds(config: "RunConfig") -> None:
    """Refuse a folder that holds a single run, whose files the runs of seeds would stand beside."""
    if pathlib.Path(config.model_dir, "run.json").exists():
        raise InputError(
            f"MODEL_DIR={config.model_dir} holds a run of one seed; SEEDS={config.seeds} needs a "
            "folder for the runs of all seeds: give another MODEL_DIR"
        )


def _summarize_seeds(
    config: "RunConfig",
    by_seed: "Mapping[int, Metrics | None]",
    console: "rich.console.Console",
) -> None:
    """Print and write what the runs have in common, and copy the best model."""
    from official_nlp.runs import finished_run

    found = {seed: metrics for seed, metrics in by_seed.items() if metrics is not None}
    folder = pathlib.Path(config.model_dir)
    if not found:
        finished_run.write_summary(folder, finished_run.summarize(None, by_seed))
        raise InputError(
            f"all {len(by_seed)} seeds failed: use a lower LEARNING_RATE, a longer warm-up or more "
            "epochs"
        )
    main = finished_run.main_metric(config.training.keep_best, next(iter(found.values())))
    summary = finished_run.summarize(main, by_seed)
    finished_run.write_summary(folder, summary)
    printing.print_summary(summary, console)
    best = finished_run.best_seed(main, found)
    for name in (finished_run.MODEL, finished_run.PREDICTIONS):
        own = _folder_of_seed(config, best) / name
        if own.is_dir():
            shutil.rmtree(folder / name, ignore_errors=True)
            shutil.copytree(own, folder / name)
            console.print(f"wrote {folder / name}: that of seed {best}")
