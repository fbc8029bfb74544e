"""What several verbs print. What one verb alone prints is in the module of that verb."""

import math
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import rich.console
import rich.table

from official_nlp import output
from official_nlp.inference import exported_files

if TYPE_CHECKING:  # The import takes seconds.
    from official_nlp.interchange.sources import Source


_QUARTILES = ("lower", "upper")


def console(highlight: bool = True, stderr: bool = False) -> rich.console.Console:
    """Return a console for standard output or standard error, see `output.Console`.

    It wraps lines in a terminal, and not in a file or a pipe.
    """
    console = output.Console(highlight, stderr)
    console.soft_wrap = not console.is_terminal
    return console


def print_metrics(metrics: Mapping[str, float | None], console: rich.console.Console) -> None:
    """Print evaluation metrics, named `SET/NAME`, as a table for each set.

    Other values, such as `step`, are left out. Nothing is printed where there are no metrics.
    """
    sets: dict[str, dict[str, float | None]] = {}
    for name, value in metrics.items():
        set_name, slash, metric = name.partition("/")
        if slash:
            sets.setdefault(set_name, {})[metric] = value
    for set_name, values in sets.items():
        table = rich.table.Table(set_name, "", box=None, pad_edge=False)
        for metric, value in values.items():
            # A metric may be undefined, such as the area under the ROC curve if no token was
            # replaced.
            shown = "-" if value is None or math.isnan(value) else f"{value:.4f}"
            table.add_row(metric, shown)
        console.print(table)


def print_by_set(metrics: Mapping[str, Mapping[str, float]], console: rich.console.Console) -> None:
    """Print metrics by set and name, as `print_metrics` does."""
    named = {f"{s}/{name}": x for s, values in metrics.items() for name, x in values.items()}
    print_metrics(named, console)


def print_summary(summary: Mapping[str, Any], console: rich.console.Console) -> None:
    """Print the content of `summary.json` of several seeds, as a table for each set."""
    for set_name, medians in summary["median"].items():
        table = rich.table.Table(set_name, "median", "quartiles", box=None, pad_edge=False)
        for metric, median in medians.items():
            low, high = (summary[f"{side}_quartile"][set_name][metric] for side in _QUARTILES)
            table.add_row(metric, f"{median:.4f}", f"{low:.4f} to {high:.4f}")
        console.print(table)
    count = len(summary["seeds"])
    console.print(
        f"{output.counted(count + summary['failed'], 'seed')}, {summary['failed']} failed"
    )


def print_source(source: "Source", console: rich.console.Console) -> None:
    """Print what a model of any format holds, what was assumed about it, and what is left out."""
    from official_nlp.interchange.google_config import completed

    console.print(f"{source.path}: {source.title}")
    for note in source.notes:
        console.print(f"  {note}")
    for reason, names in source.dropped.items():
        shown = ", ".join(names[:2]) + (", ..." if len(names) > 2 else "")
        console.print(f"  left out, {reason}: {len(names)} ({shown})")
    for name, network in source.networks.items():
        config = completed(network.config)
        kind = (config.get("architectures") or ["a network"])[0]
        console.print(
            f"{name or 'model'}: {kind}, {len(network.arrays)} tensors, {network.parameters:,} "
            f"parameters; {_sizes(config)}"
        )


def print_exported(version: pathlib.Path, console: rich.console.Console) -> None:
    """Print an exported model: its head and the inputs and outputs of its signatures.

    Args:
      version: folder of the version.
      console: where to print.
    """
    described = exported_files.Description.read(version)
    written_by = ", ".join(f"{name} {number}" for name, number in described.versions.items())
    console.print(
        f"exported model, version {version.name}, as {described.format}: {described.head}, "
        f"sequences of at most {described.length} tokens, written by {written_by}"
    )
    for name, sides in described.signatures.items():
        console.print(f"signature {name}")
        for side, tensors in sides.items():
            for tensor, shape in tensors.items():
                # A shape in brackets is no markup.
                console.print(f"  {side[:-1]} {tensor}: {shape}", markup=False)
    _print_measured(described.measured, console)


def _print_measured(measured: Mapping[str, Any], console: rich.console.Console) -> None:
    """Print what an export measured of its difference from the model."""
    for name, outputs in measured.get("differences", {}).items():
        listed = ", ".join(f"{each} {value:.2g}" for each, value in outputs.items())
        console.print(f"largest differences from the model in {name}: {listed}")
    if dev := measured.get("dev"):
        console.print(
            f"{dev['metric']} on {output.counted(dev['examples'], 'example')} of {dev['file']}: "
            f"{dev['exported']:.4f}, of the model {dev['model']:.4f}",
            markup=False,
        )


def _sizes(config: Mapping) -> str:
    return (
        f"{config['num_hidden_layers']} layers, width {config['hidden_size']}, "
        f"feed-forward {config['intermediate_size']}, {config['num_attention_heads']} heads, "
        f"{config['hidden_act']}; embeddings: {config['vocab_size']:,} tokens, "
        f"{config['max_position_embeddings']} positions, {config['type_vocab_size']} types, "
        f"width {config['embedding_size']}"
    )
