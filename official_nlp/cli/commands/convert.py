"""Convert a checkpoint to the Hugging Face or the google-research format.

SOURCE is a google-research checkpoint, a Hugging Face folder (or a folder with generator/ and
discriminator/), a checkpoint of Model Garden's ElectraPretrainer, or a run folder. A generator and
a discriminator are written as FOLDER/generator and FOLDER/discriminator. Every tensor that is
converted, left out or assumed is reported.
"""

import argparse

from official_nlp.cli import arguments, printing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "source",
        type=arguments.path,
        metavar="SOURCE",
        help="folder, or path of a TensorFlow checkpoint without the ending .index",
    )
    parser.add_argument(
        "--to",
        required=True,
        type=arguments.path,
        metavar="FOLDER",
        help="folder to write, new or empty",
    )
    parser.add_argument(
        "--from",
        dest="kind",
        choices=("google", "huggingface", "tfnlp", "run"),
        help="format of SOURCE (default: detected)",
    )
    parser.add_argument(
        "--as",
        dest="form",
        choices=("huggingface", "google"),
        default="huggingface",
        help="format to write; huggingface also turns tf_model.h5 into model.safetensors "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--config",
        type=arguments.path,
        metavar="FILE",
        help="JSON file of a google-research checkpoint with the number of heads and the "
        "activation (default: config.json beside the checkpoint if it has them, else one head for "
        "every 64 units of the width, and gelu)",
    )
    arguments.add_checkpoint(parser)


def run(args: argparse.Namespace) -> None:
    """Convert, and print what was read and written."""
    from official_nlp.interchange import convert, sources

    console = printing.console(highlight=False)
    source = sources.open(args.source, args.kind, args.config, args.checkpoint)
    printing.print_source(source, console)
    for line in convert.write(source, args.to, args.form):
        console.print(line)
    console.print(f"wrote {args.to}")
