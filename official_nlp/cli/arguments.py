"""Arguments that several verbs share."""

import argparse
import os
import re
from collections.abc import Callable

from official_nlp import ranges
from official_nlp.configuration import recipes


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a function that converts text to an integer of a range, for `type=`."""
    allowed = ranges.Integer(low, high)

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not allowed.accepts(value):
            raise argparse.ArgumentTypeError(f"must be {allowed}; got {ranges.shown(text)}")
        return value

    return convert


def path(text: str) -> str:
    """Return a local path. An empty one, as of an unset variable of the shell, is refused."""
    allowed = ranges.Path()
    if not allowed.accepts(text):
        raise argparse.ArgumentTypeError(f"must be {allowed}; got {ranges.shown(text)}")
    return text


def model(text: str) -> str:
    """Return the path of a run or a model. A recipe is refused with what to give instead."""
    if text.endswith(".gin") or (text in recipes.names() and not os.path.lexists(text)):
        raise argparse.ArgumentTypeError(
            f"must be a run folder or a model, such as runs/a; got the recipe {text}"
        )
    return path(text)


def data(text: str) -> str:
    """Return the path of data. A setting of a recipe is refused with what to give instead."""
    setting = re.match(r"[A-Z_]+=", text)
    if setting and not os.path.lexists(text):
        raise argparse.ArgumentTypeError(
            f"must be a path alone, as settings are for train; got {ranges.shown(text)}"
        )
    return path(text)


def fraction(text: str) -> float:
    """Return a fraction of at least 0 and below 1, from text such as `1%` or `0.01`."""
    number, percent, rest = text.partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = -1.0  # out of range, so that one error covers both cases
    if rest or not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be a fraction such as 1% or 0.01; got {text!r}")
    return value


def add_texts(parser: argparse.ArgumentParser) -> None:
    """Add the text files that a verb reads."""
    parser.add_argument(
        "texts",
        nargs="+",
        type=path,
        metavar="TEXT",
        help="files of UTF-8 text or JSON lines, also gzip-compressed, folders of such files "
        "(.txt, .jsonl, .json, each also .gz), or patterns",
    )


def checkpoint(text: str) -> int | str:
    """Return the step of a checkpoint as a number, or `newest` or `best` as they are."""
    if text in ("newest", "best"):
        return text
    try:
        return integer(0, ranges.MOST_STEPS)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"must be newest, best or the number of a step; got {ranges.shown(text)}"
        ) from error


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
    parser.usage = "%(prog)s RECIPE [NAME=value ...] [--dry-run] [--trust]\n       %(prog)s --list"
    add_recipe_words(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print all settings, estimated cost, warnings and errors; build the model, but train "
        "and write nothing",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="let RECIPE import any module, call any function and include any file, which can run "
        "any program with your rights: only for a recipe that you have read (default: it can set "
        "fields of configuration classes, and include files of its folder and packaged ones)",
    )
    parser.add_argument(
        "--list",
        action=_ListRecipes,  # As with `--help`, nothing else is required or checked.
        nargs=0,
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        help="list the packaged recipes and exit",
    )


def add_recipe_words(parser: argparse.ArgumentParser) -> None:
    """Add a recipe and its settings."""
    # The recipe is optional here, so that `recipes.find` reports a missing one together with the
    # known ones.
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
        help="settings of the recipe, text without quotes: DATA=data LEARNING_RATE=1e-3",
    )


class _ListRecipes(argparse.Action):
    """Print the recipes and exit, as `--help` prints the help."""

    def __call__(self, parser, namespace, values, option_string=None):
        print(recipes.table())
        parser.exit()
