"""What the program says: every line that a verb prints, but for the progress of training."""

import math

import rich.console
import rich.table

from official_nlp import data as text_data
from official_nlp.interchange.google_config import completed


def console(highlight=True):
    """Returns where to print: nothing that is said is markup, and no line into a pipe is cut."""
    console = rich.console.Console(highlight=highlight, markup=False)
    console.soft_wrap = not console.is_terminal
    return console


def print_findings(found, console):
    """Prints the `Findings` of preflight; its errors are the caller's to raise."""
    for line in found.lines:
        console.print(line)
    for line in found.warnings:
        console.print(f"warning: {line}", style="yellow")


def print_built(model, console):
    """Prints what a dry run built."""
    count = sum(v.shape.num_elements() for v in model.trainable_variables)
    console.print(f"built {count:,} parameters; everything fits; nothing was trained or written")


def print_metrics(metrics, console):
    """Prints the held-out ones among metrics as a table; nothing where there are none."""
    if not metrics:
        return
    table = rich.table.Table("held out", "", box=None, pad_edge=False)
    for name, value in metrics.items():
        if name.startswith("held_out/"):
            # The area under a curve is no number where nothing was replaced.
            shown = "-" if value is None or math.isnan(value) else f"{value:.4f}"
            table.add_row(name.removeprefix("held_out/"), shown)
    console.print(table)


def print_source(source, console):
    """Prints what a `Source` of a conversion holds, what was assumed, and what has no place."""
    console.print(f"{source.place}: {source.title}")
    for note in source.notes:
        console.print(f"  {note}")
    for reason, names in source.dropped.items():
        shown = ", ".join(names[:2]) + (", ..." if len(names) > 2 else "")
        console.print(f"  left out, {reason}: {len(names)} ({shown})")
    for name, network in source.networks.items():
        config = completed(network.config)
        kind = (config.get("architectures") or ["a network"])[0]
        console.print(
            f"{name or 'model'}: {kind}, {len(network.state)} tensors, {network.parameters:,} "
            f"parameters; {_sizes(config)}"
        )


def _sizes(config) -> str:
    """Returns a line of the sizes of a network, of the content of its config.json."""
    return (
        f"layers: {config['num_hidden_layers']}, {config['hidden_size']} wide, "
        f"{config['intermediate_size']} inside; heads: {config['num_attention_heads']}; "
        f"{config['hidden_act']}; tables: {config['vocab_size']:,} tokens, "
        f"{config['max_position_embeddings']} positions, {config['type_vocab_size']} types, "
        f"{config['embedding_size']} wide"
    )


def print_tokenizer_folder(place, console):
    """Prints what a tokenizer folder holds."""
    tokenizer = text_data.ElectraTokenizer.from_pretrained(place)
    case = "lower-cased" if tokenizer.do_lower_case else "cased"
    console.print(f"tokenizer: {tokenizer.kind}, {tokenizer.vocab_size:,} tokens, {case}")
    console.print(f"sha256 {tokenizer.vocab_hash}")


def print_data_folder(place, console):
    """Prints what a data folder holds and how it was made."""
    folder = text_data.open_folder(place)
    console.print(
        f"data: {folder.count('train'):,} examples for training, {folder.count('held_out'):,} held "
        f"out; longest row {folder.index.longest_row} tokens; vocabulary of "
        f"{folder.tokenizer.vocab_size:,}"
    )
    for name, value in folder.index.settings.items():
        console.print(f"  {name}: {value}")


def print_run_folder(place, config, described, console):
    """Prints how far a run is, what it trains, and its last held-out metrics."""
    from official_nlp.training import checkpoints
    from official_nlp.training.metrics_log import MetricsLog
    from official_nlp.training.run_folder import RunFolder

    folder = RunFolder(place)
    steps = sum(phase["steps"] for phase in described["phases"])
    begun = (folder.checkpoints / "checkpoint").exists()
    newest = int(checkpoints.newest(folder.checkpoints).rpartition("-")[2]) if begun else 0
    console.print(
        f"run: saved at step {newest:,} of {steps:,}, seed {described['training']['seed']}"
    )
    for name in ("generator", "discriminator"):
        sizes = getattr(config, name)
        console.print(
            f"{name}: {sizes.num_hidden_layers} layers, width {sizes.hidden_size}, "
            f"{sizes.num_attention_heads} heads, vocabulary {sizes.vocab_size:,}"
        )
    console.print(f"sharing: {config.sharing}")
    for name, first in folder.describe().get("beginning", {}).get("initial", {}).items():
        console.print(f"{name} began with {first['kind']} {first['path']}")
    print_metrics(MetricsLog(folder.metrics, folder.timing).last("held_out/") or {}, console)
