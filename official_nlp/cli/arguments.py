"""Arguments that several verbs share."""

import argparse

from official_nlp.configuration import recipes


def fraction(text: str) -> float:
    """Return a fraction of at least 0 and below 1, from text such as `1%` or `0.01`."""
    number, percent, rest = text.partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if rest or not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be a fraction such as 1% or 0.01; got {text!r}")
    return value


def add_texts(parser: argparse.ArgumentParser) -> None:
    """Add the text files that a verb reads."""
    parser.add_argument(
        "texts",
        nargs="+",
        metavar="TEXT",
        help="files of UTF-8 text or JSON lines, also gzip-compressed, folders of such files "
        "(.txt, .jsonl, .json, each also .gz), or patterns",
    )


def checkpoint(text: str) -> int | str:
    """Return the step of a checkpoint as a number, or `newest` or `best` as they are."""
    return int(text) if text.isdigit() else text


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a checkpoint."""
    parser.add_argument(
        "--checkpoint",
        type=checkpoint,
        metavar="WHICH",
        help="checkpoint of a run: newest, best (by KEEP_BEST of the run) or the number of a step "
        "(default: newest)",
    )


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add a recipe, its settings, and the options that only read them."""
    parser.usage = "%(prog)s RECIPE [NAME=value ...] [--dry-run]\n       %(prog)s --list"
    # Optional here, so that `recipes.find` reports a missing recipe together with the known ones.
    parser.add_argument(
        "recipe",
        nargs="?",
        metavar="RECIPE",
        help=f"{recipes.listed()}, such as RUN/config.gin",
    )
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="NAME=value",
        help="settings of the recipe, text without quotes: MODEL_DIR=runs/a LEARNING_RATE=1e-3",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print all settings, estimated cost, warnings and errors; build the model, but train "
        "and write nothing",
    )
    parser.add_argument(
        "--list",
        action=_ListRecipes,
        nargs=0,
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        help="list the packaged recipes and exit",
    )


class _ListRecipes(argparse.Action):
    """Print the recipes and exit, as `--help` prints the help."""

    def __call__(self, parser, namespace, values, option_string=None):
        print(recipes.table())
        parser.exit()
