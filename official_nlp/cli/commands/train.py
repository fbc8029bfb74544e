"""Train a model by a recipe, or continue a run that was stopped.

The same command continues the run. Every run writes its configuration as RUN/config.gin, which is a
recipe too. A fine-tuning run also writes RUN/model, its best checkpoint as a Hugging Face folder;
RUN/summary.json, the metrics of that checkpoint; and RUN/page.html, its errors and curves.
"""

import argparse

from official_nlp.cli import arguments, printing, recipe_runs
from official_nlp.configuration import recipes
from official_nlp.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_recipe(parser)


def run(args: argparse.Namespace) -> None:
    """Resolve the recipe, check the run, and train: once, or with several seeds."""
    # Mistakes in these words are reported before TensorFlow is imported.
    recipe = recipes.find(args.recipe)
    settings = recipes.split_settings(args.settings)
    runs, console = recipe_runs.resolve(recipe, settings, args.trust), printing.console()
    if args.dry_run:
        print(runs.text)
        recipe_runs.check(runs, True, console)
        return
    by_seed = recipe_runs.train(runs, console)
    if runs.has_seeds and all(metrics is None for metrics in by_seed.values()):
        raise InputError(
            f"all {len(by_seed)} seeds failed: use a lower LEARNING_RATE, a longer warm-up or more "
            "epochs"
        )
