"""Build training examples from text and write a data folder.

An example is one or two segments of a document. A blank line in a text separates
documents; in JSON lines (.jsonl, .json) each line is a document, the value of "text". The content
of a file decides which of the two it is.
"""

import argparse

from official_nlp import ranges
from official_nlp.cli import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_texts(parser)
    parser.add_argument(
        "--tokenizer",
        required=True,
        type=arguments.path,
        metavar="PATH",
        help="tokenizer folder, vocab.txt or spm.model",
    )
    parser.add_argument(
        "--to",
        required=True,
        type=arguments.path,
        metavar="FOLDER",
        help="data folder to write, new or empty",
    )
    parser.add_argument(
        "--length",
        type=arguments.integer(1, 1_000_000),
        default=128,
        help="maximum number of tokens in an example (default: %(default)s)",
    )
    parser.add_argument(
        "--held-out",
        type=arguments.fraction,
        default=0.01,
        metavar="FRACTION",
        help="fraction of the documents in the held-out set, which is for evaluation; a hash of "
        "the text selects them (default: 1%%)",
    )
    parser.add_argument(
        "--seed",
        type=arguments.integer(0, ranges.LARGEST_SEED),
        default=0,
        help="seed of segment lengths (default: %(default)s)",
    )
    parser.add_argument(
        "--processes",
        type=arguments.integer(1, 1024),
        help="number of processes; the result does not depend on it (default: one for each core)",
    )
    parser.add_argument(
        "--segments",
        type=arguments.integer(1, 2),
        choices=(1, 2),
        default=2,
        help="segments in an example; google-research has 2 (default: %(default)s)",
    )
    parser.add_argument(
        "--original",
        action="store_true",
        help="pack as google-research does, which drops tokens that do not fit into an example",
    )


def run(args: argparse.Namespace) -> None:
    """Build the examples."""
    from official_nlp import data

    data.build_examples(
        args.texts,
        args.tokenizer,
        args.to,
        length=args.length,
        held_out=args.held_out,
        seed=args.seed,
        processes=args.processes,
        segments=args.segments,
        original=args.original,
    )
