"""Evaluate a run on the held-out set of a data folder."""

import argparse
import pathlib

from official_nlp.cli import printing
from official_nlp.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument("data", metavar="DATA", help="data folder with a held-out set")


def run(args: argparse.Namespace) -> None:
    """Print the metrics of the newest checkpoint, those of the last evaluation while it trained."""
    from official_nlp import data
    from official_nlp.interchange.saved_run import SavedRun
    from official_nlp.tasks import ElectraPretraining
    from official_nlp.training import TrainingConfig, loop

    console = printing.console()
    run = SavedRun(args.run)
    # Shards of others have no tokenizer beside them: the run's is the one they were trained with.
    has_own = (pathlib.Path(args.data) / "tokenizer").is_dir()
    folder = data.open_folder(args.data, None if has_own else pathlib.Path(args.run) / "tokenizer")
    if folder.tokenizer.vocab_hash != run.tokenizer.vocab_hash:
        raise InputError(
            f"{args.data} has another vocabulary than the run {args.run}: give the data it was "
            "trained on, or examples built with the run's tokenizer folder"
        )
    if not folder.count("held_out"):
        raise InputError(f"{args.data} has no held-out examples: build it with --held-out 1%")
    settings = run.fixed["training"]
    objective = ElectraPretraining(run.config, folder, seed=settings["seed"])
    strategy = _strategy_here(run.described["rounding"]["strategy"], console)
    training = TrainingConfig(seed=settings["seed"], strategy=strategy, policy=settings["policy"])
    metrics = loop.evaluate(objective, training, args.run)
    metrics = {f"held_out/{name}": value for name, value in metrics.items()}
    printing.print_metrics(metrics, console)


def _strategy_here(name, console) -> str:
    """Returns the strategy that a run has, or `one_device` where its devices are not; says so."""
    from official_nlp.training import distribution

    try:
        distribution.create_strategy(name)
    except InputError as error:
        console.print(f"measured on one device, not as the run was trained: {error}")
        return "one_device"
    return name
