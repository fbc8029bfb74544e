"""Describe a tokenizer, data, run, model or exported folder.

A model is anything that `electra convert` reads.
"""

import argparse
import pathlib
from typing import TYPE_CHECKING

from official_nlp.cli import arguments, printing
from official_nlp.errors import InputError
from official_nlp.inference import exported_files

if TYPE_CHECKING:  # Importing it takes time.
    import rich.console

_VOCABULARY_FILES = ("vocab.txt", "spm.model")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "path",
        type=arguments.path,
        metavar="PATH",
        help="folder, vocabulary file or path of a checkpoint",
    )


def run(args: argparse.Namespace) -> None:
    """Print what the path holds."""
    path = pathlib.Path(args.path)
    console = printing.console()
    # Folders of runs, data and models may contain a vocabulary too, so tokenizer folders come last.
    has_vocabulary = any((path / name).is_file() for name in _VOCABULARY_FILES)
    if (path / "run.json").is_file():
        _print_run(path, console)
    elif (path / "index.json").is_file():
        _print_data(path, console)
    elif path.name in _VOCABULARY_FILES and path.is_file():
        _print_tokenizer(path, console)
    elif (version := exported_files.newest_version(path)) is not None:
        printing.print_exported(version, console)
        _print_tokenizer(version / exported_files.TOKENIZER, console)
    elif _is_model(path):
        _print_model(path, console)
        if has_vocabulary:
            _print_tokenizer(path, console)
    elif has_vocabulary:
        _print_tokenizer(path, console)
    else:
        problem = "has none of these files" if path.is_dir() else "does not exist"
        raise InputError(
            f"{path} must be a run folder (run.json), a data folder (index.json), a tokenizer "
            f"folder ({' or '.join(_VOCABULARY_FILES)}) or a model (model.safetensors, "
            f"tf_model.h5, a TensorFlow checkpoint, ...) or an exported folder; it {problem}"
        )


def _is_model(path: pathlib.Path) -> bool:
    from official_nlp.interchange import sources

    try:
        sources.recognize(path)
    except InputError:
        return False
    return True


def _print_tokenizer(path: pathlib.Path, console: "rich.console.Console") -> None:
    from official_nlp import data

    tokenizer = data.ElectraTokenizer.from_pretrained(path)
    case = "lower-cased" if tokenizer.do_lower_case else "cased"
    console.print(f"tokenizer: {tokenizer.kind}, {tokenizer.vocab_size:,} tokens, {case}")
    console.print(f"sha256 {tokenizer.vocab_hash}")


def _print_data(path: pathlib.Path, console: "rich.console.Console") -> None:
    from official_nlp import data

    folder = data.open_folder(path)
    console.print(
        f"data: {folder.count('train'):,} training examples, {folder.count('held_out'):,} held-out "
        f"examples of at most {folder.index.longest_row} tokens; vocabulary of "
        f"{folder.tokenizer.vocab_size:,} tokens"
    )
    for name, value in folder.index.settings.items():
        console.print(f"  {name}: {value}")


def _print_model(path: pathlib.Path, console: "rich.console.Console") -> None:
    from official_nlp.interchange import sources

    printing.print_source(sources.open(path), console)


def _print_run(path: pathlib.Path, console: "rich.console.Console") -> None:
    from official_nlp.interchange.saved_run import load_run
    from official_nlp.interchange.task_networks import HasNetworks

    run = load_run(path)
    step = run.step if run.is_saved else 0  # A run may have stopped before its first checkpoint.
    name = type(run.task_config).__name__
    console.print(
        f"run of {name}: saved at step {step:,} of {run.last_step:,}, seed {run.training.seed}"
    )
    if "stopped_early" in run.described:
        console.print(run.described["stopped_early"])
    if isinstance(run.task, HasNetworks):
        for network, sizes in run.task.networks().items():
            console.print(
                f"{network or 'network'}: {sizes.num_hidden_layers} layers, width "
                f"{sizes.hidden_size}, {sizes.num_attention_heads} heads, vocabulary of "
                f"{sizes.vocab_size:,} tokens"
            )
        if run.task.sharing is not None:
            console.print(f"sharing: {run.task.sharing}")
    else:
        for field, value in run.task_config.to_dict().items():
            console.print(f"  {field}: {value}")
    origin = run.described.get("origin", {})
    for network, source in origin.get("warm_start", {}).items():
        console.print(
            f"{network or 'network'} was initialized from {source.get('kind')} {source.get('path')}"
        )
    printing.print_metrics(run.evaluation(), console)
