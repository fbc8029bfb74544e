"""Evaluate a run, or pretrained networks, on evaluation data.

MODEL is a run folder, or networks for pre-training in any format that `electra convert` reads. For
a run, DATA defaults to the data on which it was trained.

DATA may also be minimal pairs, such as BLiMP's: a file of JSON lines {"sentence_good",
"sentence_bad"}, perhaps with the name of the phenomenon as UID, linguistics_term or field, or a
folder of such files. Printed is how often the discriminator (sum of log P(original) over the
tokens) and the generator (sum of the log-probability of each token when it is masked) prefer the
good sentence; `per token` compares means, which matters for sentences of unequal length.
"""

import argparse
import dataclasses
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import rich.table

from official_nlp.cli import arguments, new_files, printing
from official_nlp.errors import InputError
from official_nlp.output import counted, escaped

if TYPE_CHECKING:  # Importing these takes seconds.
    import rich.console

    from official_nlp.inference.minimal_pairs import CategoryResult, MinimalPairResults
    from official_nlp.training import TrainingConfig

# Sequences of a batch for minimal pairs, which are short.
_PAIR_BATCH = 256


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
        help="data folder or file with an evaluation set (default: that of the run), or minimal "
        "pairs",
    )
    arguments.add_checkpoint(parser)
    parser.add_argument(
        "--to", type=arguments.path, metavar="FILE", help="also write the metrics to a .json file"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the file of --to if it exists"
    )


def run(args: argparse.Namespace) -> None:
    """Print the metrics of each evaluation set, and write them if asked."""
    from official_nlp.data.tables.minimal_pairs import holds_minimal_pairs

    if args.to:
        new_files.check("--to", args.to, args.overwrite, read=args.data)
    console = printing.console()
    if args.data and holds_minimal_pairs(args.data):
        found = _judge_minimal_pairs(args, console)
    else:
        found = _evaluate(args, console)
    if args.to:
        new_files.write(args.to, f"{json.dumps(_without_nan(found), indent=2)}\n")
        console.print(f"wrote {args.to}")


def _without_nan(value: Any) -> Any:
    """Return metrics in which null stands for those that are undefined: JSON has no NaN."""
    if isinstance(value, Mapping):
        return {name: _without_nan(each) for name, each in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _evaluate(args, console: "rich.console.Console") -> dict[str, dict[str, float]]:
    from official_nlp.interchange import sources

    if sources.recognize(args.model) == "run":
        metrics = _evaluate_run(args, console)
    else:
        metrics = _evaluate_networks(args)
    printing.print_by_set(metrics, console)
    return metrics


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
    for note in opened.notes:
        console.print(note)
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


# === Minimal pairs ===


def _judge_minimal_pairs(args, console: "rich.console.Console") -> dict[str, Any]:
    from official_nlp.data.tables.minimal_pairs import read_minimal_pairs
    from official_nlp.inference.minimal_pairs import judge_minimal_pairs
    from official_nlp.inference.predictor import Predictor
    from official_nlp.progress import Progress

    pairs = read_minimal_pairs(args.data)
    predictor = Predictor.from_pretrained(
        args.model, batch_size=_PAIR_BATCH, checkpoint=args.checkpoint
    )
    with Progress(len(pairs)) as progress:
        results = judge_minimal_pairs(
            predictor,
            pairs,
            lambda count: progress.update(count, f"{count:,} of {counted(len(pairs), 'pair')}"),
        )
    _print_minimal_pairs(results, console)
    return results.to_dict()


def _print_minimal_pairs(results: "MinimalPairResults", console: "rich.console.Console") -> None:
    per_network = [c for name in results.overall.networks for c in (name, "per token")]
    for key, categories in results.categories.items():
        rows = [[name, *_cells(result)] for name, result in categories.items()]
        _print_table([key, "pairs", *per_network], rows, console)
    rows = [["all pairs", *_cells(results.overall)]]
    _print_table(["", "pairs", *per_network], rows, console)
    console.print("fractions of pairs whose good sentence is preferred; a tie counts 0.5")
    if results.left_out:
        console.print(
            f"left out: {counted(results.left_out, 'pair')} with a sentence of more than "
            f"{results.length - 2} tokens"
        )


def _print_table(
    columns: list[str], rows: list[list[str]], console: "rich.console.Console"
) -> None:
    """Print a table; tab-separated if the output is no terminal, as names may be long."""
    if not console.is_terminal:
        lines = ["\t".join(map(escaped, row)) for row in [columns, *rows]]
        console.file.writelines(f"{line}\n" for line in [*lines, ""])
        return
    table = rich.table.Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def _cells(result: "CategoryResult") -> list[str]:
    cells = [f"{result.pairs:,}"]
    for preference in result.networks.values():
        cells += [f"{preference.accuracy:.4f}", f"{preference.accuracy_per_token:.4f}"]
    return cells
