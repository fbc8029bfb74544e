"""What several verbs print. What one verb alone prints is in the module of that verb."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import rich.console
import rich.table

if TYPE_CHECKING:  # Importing it takes seconds.
    from official_nlp.interchange.sources import Source


def console(highlight: bool = True) -> rich.console.Console:
    """Return a console for standard output, which takes no text for markup.

    It wraps lines in a terminal, and leaves them whole in a file or a pipe.
    """
    console = rich.console.Console(highlight=highlight, markup=False)
    console.soft_wrap = not console.is_terminal
    return console


def print_metrics(metrics: Mapping[str, float | None], console: rich.console.Console) -> None:
    """Print the held-out metrics as a table; nothing if there are none."""
    if not metrics:
        return
    table = rich.table.Table("held out", "", box=None, pad_edge=False)
    for name, value in metrics.items():
        if name.startswith("held_out/"):
            # The area under a curve is not defined where no token was replaced.
            shown = "-" if value is None or math.isnan(value) else f"{value:.4f}"
            table.add_row(name.removeprefix("held_out/"), shown)
    console.print(table)


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


def _sizes(config: Mapping) -> str:
    return (
        f"{config['num_hidden_layers']} layers, width {config['hidden_size']}, "
        f"feed-forward {config['intermediate_size']}, {config['num_attention_heads']} heads, "
        f"{config['hidden_act']}; embeddings: {config['vocab_size']:,} tokens, "
        f"{config['max_position_embeddings']} positions, {config['type_vocab_size']} types, "
        f"width {config['embedding_size']}"
    )
