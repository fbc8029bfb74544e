"""Evaluate a run, or pretrained networks, on evaluation data.

MODEL is a run folder, or networks for pre-training in any format that `electra convert` reads. For
a run, DATA defaults to the data on which it was trained.
"""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from official_nlp.cli import arguments, printing
from official_nlp.errors import InputError

if TYPE_CHECKING:  # Importing these takes seconds.
    import rich.console

    from official_nlp.training import TrainingConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "model",
        type=arguments.model,
        metavar="MODEL",
        help="run folder, or pretrained networks",
    )
    parser.add_argument(
        "data",
        nargs="?",
        type=arguments.data,
        metavar="DATA",
        help="data folder or file with an evaluation set (default: that of the run)",
    )
    arguments.add_checkpoint(parser)


def run(args: argparse.Namespace) -> None:
    """Print the metrics of each evaluation set."""
    from official_nlp.interchange import sources

    console = printing.console()
    if sources.recognize(args.model) == "run":
        metrics = _evaluate_run(args, console)
    else:
        metrics = _evaluate_networks(args)
    # `print_metrics` expects SET/NAME, the form of the metrics log.
    named = {
        f"{s}/{name}": value for s, values in metrics.items() for name, value in values.items()
    }
    printing.print_metrics(named, console)


def _evaluate_run(args, console: "rich.console.Console") -> dict[str, dict[str, float]]:
    from official_nlp.interchange.saved_run import load_run
    from official_nlp.training import loop

    saved = load_run(args.model)
    recorded = saved.described.get("origin", {}).get("data", {})
    data = args.data or recorded.get("path")
    if data is None:
        raise InputError(
            f"give DATA: {args.model} does not record the path of the data on which it was trained"
        )
    training = _on_available_devices(saved.training, console)
    # None is the key of the data of the run, as opposed to that of single phases.
    config = saved.task_config
    opened = config.open_evaluation_data(data) if args.data else config.open_recorded(recorded)
    task = config.make({None: opened}, training)
    if not task.evaluation_sets():
        raise InputError(
            f"{data} has no evaluation set; for pre-training, build it with --held-out 1%"
        )
    return loop.evaluate(task, training, args.model, args.checkpoint or "newest")


def _on_available_devices(
    training: "TrainingConfig", console: "rich.console.Console"
) -> "TrainingConfig":
    """Return settings with the strategy of the run, or with one device where it is not available.

    Other devices compute the same metrics in another order, so they may differ in the last digits.
    """
    from official_nlp.training import distribution

    try:
        distribution.create_strategy(training.strategy)
    except InputError as error:
        console.print(f"evaluating on one device instead of {training.strategy}: {error}")
        return dataclasses.replace(training, strategy="one_device")
    return training


def _evaluate_networks(args) -> dict[str, dict[str, float]]:
    from official_nlp.interchange import sources
    from official_nlp.tasks.pretraining import evaluation

    if args.data is None:
        raise InputError(f"give DATA: {args.model} is no run, which would record its data")
    source = sources.open(args.model, checkpoint=args.checkpoint)
    networks = {name: (weights.config, weights.arrays) for name, weights in source.networks.items()}
    return evaluation.evaluate(networks, source.load_tokenizer(), args.data, str(args.model))
