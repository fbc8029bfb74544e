"""Fine-tune every checkpoint of a pre-training run, and draw the metric over the step.

For each checkpoint that RUN has retained (KEEP, KEEP_EVERY), DIR/step-N is a run of RECIPE as
`electra train` makes it, with INIT=RUN at that step; SEEDS=3 makes three of them. The results are
DIR/summary.json, DIR/curve.png and DIR/page.html. The same command continues a sweep that was
stopped, and evaluates the checkpoints that have come since.

  electra sweep runs/laptop sst2 DATA=SST-2 SEEDS=3 --to sweeps/sst2
"""

import argparse
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import rich.console
import rich.table

from official_nlp.cli import arguments, printing, recipe_runs
from official_nlp.cli.recipe_runs import RecipeRuns
from official_nlp.configuration import recipes
from official_nlp.errors import InputError, NotFiniteError

if TYPE_CHECKING:  # Importing these takes seconds.
    from official_nlp.runs.prepared_run import PreparedRun
    from official_nlp.runs.sweep import SweepFolder

# Settings that a sweep does not take, with the reason.
_REFUSED = {
    "INIT": "it is each checkpoint of RUN in turn",
    "NETWORK": "sizes and tokenizer are those of RUN",
    "MODEL_DIR": "--to names the folder of all runs",
    "EXTEND": "all runs of a sweep are equally long",
    "HOURS": "all runs of a sweep are equally long; give EPOCHS",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "run", type=arguments.model, metavar="RUN", help="run folder of a pre-training run"
    )
    arguments.add_recipe_words(parser)
    parser.add_argument(
        "--to",
        required=True,
        type=arguments.path,
        metavar="DIR",
        help="folder of the sweep: new, empty, or that of the same sweep",
    )
    parser.add_argument(
        "--scratch",
        action="store_true",
        help="also train from random initial values, as step 0",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check the runs of all checkpoints, but train and write nothing",
    )


def run(args: argparse.Namespace) -> None:
    """Check the runs of all checkpoints, train those that are not done, and show the results."""
    # Mistakes in these words are reported before TensorFlow is imported.
    recipe = recipes.find(args.recipe)
    settings = recipes.split_settings(args.settings)
    for name, reason in _REFUSED.items():
        if name in settings:
            raise InputError(f"{name} is no setting of a sweep: {reason}; leave it out")

    from official_nlp.runs.sweep import SCRATCH, SweepFolder

    folder, console = SweepFolder(args.to, args.run), printing.console()
    folder.require_own()
    retained = [*([SCRATCH] if args.scratch else []), *folder.retained()]
    runs = {
        step: _resolve(recipe, {**settings, **folder.settings(step)})
        for step in sorted({*retained, *folder.begun()})
    }
    done = [step for step, each in runs.items() if _is_complete(folder, step, each)]
    runs = {step: each for step, each in runs.items() if step in retained or step in done}
    metric, baseline = _metric(_check(runs, retained, args.dry_run, console))
    if args.dry_run:
        return
    folder.claim()
    title = f"{recipe.stem} over the checkpoints of {folder.run.path.name}"
    for step, each in runs.items():
        console.print(f"step {step:,}: {'done' if step in done else each.config.model_dir}")
        if step not in done:
            _train(folder, step, each, console)
            done.append(step)
            # After each step, so that a sweep can be watched.
            folder.write_results(title, sorted(done), metric, baseline)
    _print(folder.write_results(title, sorted(done), metric, baseline), console)
    console.print(f"wrote the results to {folder.path}")


def _resolve(recipe: pathlib.Path, settings: Mapping[str, str]) -> RecipeRuns:
    from official_nlp.configuration.gin_resolver import UnknownSettingError

    try:
        return recipe_runs.resolve(recipe, settings, False)
    except UnknownSettingError as error:
        if error.name != "INIT":
            raise
        raise InputError(
            f"a sweep needs a fine-tuning recipe, such as text_classification or sst2, and "
            f"{recipe.name} has no setting INIT"
        ) from error


def _is_complete(folder: "SweepFolder", step: int, runs: RecipeRuns) -> bool:
    return folder.is_complete(step, [config.model_dir for config, _ in runs.runs.values()])


def _check(
    runs: Mapping[int, RecipeRuns],
    retained: list[int],
    dry_run: bool,
    console: rich.console.Console,
) -> "PreparedRun":
    """Check all runs before the first is trained; return one of them.

    Runs that are done are checked, too: they must have the same settings. One whose checkpoint is
    gone needs a checkpoint of its own for that.
    """
    from official_nlp.training.run_folder import RunFolder

    quiet = rich.console.Console(quiet=True)
    prepared = None
    for step, each in runs.items():
        first, _ = next(iter(each.runs.values()))
        if step not in retained and not RunFolder(first.model_dir).has_checkpoint:
            continue
        is_shown = dry_run and prepared is None
        if is_shown:
            print(each.text)
        data = prepared.data if prepared else None
        prepared = recipe_runs.check(each, dry_run, console if is_shown else quiet, data)
        if dry_run:
            console.print(f"step {step:,}: no errors found")
    assert prepared is not None  # There is a checkpoint.
    return prepared


def _metric(prepared: "PreparedRun") -> tuple[str, float | None]:
    """Return the metric of a run, `SET/NAME`, and its value for a constant prediction."""
    from official_nlp.runs import finished_run

    names: dict[str, dict[str, float]] = {}
    for set_name, _, name in (each.partition("/") for each in prepared.task.metric_names() or ()):
        names.setdefault(set_name, {})[name] = 0.0
    metric = finished_run.main_metric(prepared.config.training.keep_best, names)
    if metric is None:
        raise InputError("a sweep needs an evaluation set, and the data has none: give DEV=")
    return metric, prepared.task.baselines().get(metric)


def _train(
    folder: "SweepFolder", step: int, runs: RecipeRuns, console: rich.console.Console
) -> None:
    """Train the runs of a checkpoint; one whose loss is not finite has failed."""
    from official_nlp.runs import finished_run

    try:
        recipe_runs.train(runs, console)
    except NotFiniteError as error:
        # That is a result of this checkpoint, and no reason to leave out the others.
        console.print(f"step {step:,} failed: {error}")
        failed = finished_run.summarize(None, dict.fromkeys(runs.runs))
        finished_run.write_summary(folder.of_step(step), failed)


def _print(summary: Mapping, console: rich.console.Console) -> None:
    from official_nlp.runs import sweep

    table = rich.table.Table(*sweep.head(summary), box=None, pad_edge=False)
    for row in sweep.rows(summary):
        table.add_row(*row)
    console.print(table)
