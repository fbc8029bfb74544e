"""Learn a vocabulary from text and write a tokenizer folder."""

import argparse

from official_nlp.cli import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_texts(parser)
    parser.add_argument(
        "--to",
        required=True,
        type=arguments.path,
        metavar="FOLDER",
        help="tokenizer folder to write, new or empty",
    )
    parser.add_argument(
        "--size",
        type=arguments.integer(1, 10_000_000),
        default=30522,
        help="number of tokens (default: %(default)s)",
    )
    parser.add_argument(
        "--kind",
        choices=("wordpiece", "sentencepiece", "sentencepiece-bpe"),
        default="wordpiece",
        help="kind of tokenizer; sentencepiece, a unigram model, also fits languages without "
        "spaces, and keeps accents (default: %(default)s)",
    )
    parser.add_argument(
        "--cased",
        dest="lower_case",
        action="store_false",
        help="keep capital letters (default: lower-case all text)",
    )
    accents = parser.add_mutually_exclusive_group()
    accents.add_argument(
        "--keep-accents",
        dest="strip_accents",
        action="store_false",
        default=None,
        help="keep accents in lower-cased text, for a language such as German",
    )
    accents.add_argument(
        "--strip-accents",
        dest="strip_accents",
        action="store_true",
        default=None,
        help="remove accents (default: removed from lower-cased text, kept with --cased)",
    )


def run(args: argparse.Namespace) -> None:
    """Learn the vocabulary."""
    from official_nlp import data

    data.train_vocabulary(
        args.texts,
        args.to,
        size=args.size,
        lower_case=args.lower_case,
        strip_accents=args.strip_accents,
        kind=args.kind,
    )
