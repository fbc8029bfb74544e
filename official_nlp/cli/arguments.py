"""The words of the command: what follows each verb, and the help that names the order of things."""

import argparse
import inspect

from official_nlp.configuration import recipes
from official_nlp.errors import InputError

RECIPE_VERBS = ("train", "evaluate")

_RECIPE_USAGE = "electra {0} RECIPE [NAME=value ...] [--dry-run]\n       electra {0} --list"
_HELP = """\
usage: electra VERB ...        electra VERB --help

ELECTRA for TensorFlow: from a folder of text to a trained generator and discriminator.

Your own text, in four commands and in this order:

  electra vocab    texts/ --to tokenizer
  electra examples texts/ --tokenizer tokenizer --to data
  electra train    small DATA=data MODEL_DIR=runs/first
  electra predict  runs/first "The cat sat on the [MASK]."

verbs
  vocab      learn a vocabulary from text: a tokenizer folder
  examples   cut text into training examples: a data folder
  train      pre-train by a recipe: a run folder. The same command continues a run that stopped
  evaluate   measure a run on the text that was held out
  info       say what a tokenizer, data or run folder holds
  predict    score the words of a text by a run, and fill its blanks
  convert    bring a checkpoint into Hugging Face's form, or google-research's

recipes (for train and evaluate; one of your own is a path to a .gin file)
{recipes}

exit codes
  0 done   1 fault   2 wrong usage or input   42 asked to stop, and saved   43 a loss is not finite
  130 interrupted from the keyboard
"""


class _ListRecipes(argparse.Action):
    """Prints the recipes and exits, as `--help` does."""

    def __call__(self, parser, *_):
        print(recipes.table())
        parser.exit()


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(f"{message} (`{self.prog} --help` says more)")


def overview() -> str:
    """The help of the whole command."""
    return _HELP.format(recipes=recipes.table())


def parse(verb: str, words: list[str]) -> argparse.Namespace:
    """What the words after a verb say; `--help` prints and exits."""
    if verb not in _PARSERS:
        known = ", ".join(_PARSERS)
        raise InputError(
            f"unknown verb {verb!r}{recipes.nearest(verb, _PARSERS)}; the verbs are {known}"
        )
    parser = _Parser(
        prog=f"electra {verb}",
        description=inspect.getdoc(_PARSERS[verb]),
        usage=_RECIPE_USAGE.format(verb) if verb in RECIPE_VERBS else None,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _PARSERS[verb](parser)
    options = parser.parse_intermixed_args(words)
    return options


def _vocab(parser):
    """Learns a vocabulary from text and writes a tokenizer folder."""
    _add_texts(parser)
    parser.add_argument("--to", required=True, metavar="FOLDER", help="the tokenizer folder")
    parser.add_argument("--size", type=int, default=30522, help="entries (default: %(default)s)")
    parser.add_argument(
        "--kind",
        choices=("wordpiece", "sentencepiece", "sentencepiece-bpe"),
        default="wordpiece",
        help="sentencepiece is a unigram model, for languages without spaces too; it keeps accents "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--cased",
        dest="lower_case",
        action="store_false",
        help="keep capitals (default: all text in lower case)",
    )
    accents = parser.add_mutually_exclusive_group()
    accents.add_argument(
        "--keep-accents",
        dest="strip_accents",
        action="store_false",
        default=None,
        help="keep accents although in lower case, as for German",
    )
    accents.add_argument(
        "--strip-accents",
        dest="strip_accents",
        action="store_true",
        default=None,
        help="drop accents (default: as the case: dropped in lower case, kept with --cased)",
    )


def _examples(parser):
    """Cuts documents into examples of two segments and writes a data folder.

    A blank line ends a document in .txt and .txt.gz; in .jsonl a row's "text" is one.
    """
    _add_texts(parser)
    parser.add_argument(
        "--tokenizer",
        required=True,
        metavar="FOLDER",
        help="a tokenizer folder, vocab.txt or spm.model",
    )
    parser.add_argument("--to", required=True, metavar="FOLDER", help="the data folder, a new one")
    parser.add_argument(
        "--length", type=int, default=128, help="tokens in an example (default: %(default)s)"
    )
    parser.add_argument(
        "--held-out",
        type=_share,
        default=0.01,
        metavar="SHARE",
        help="share of documents kept apart for evaluation, by their hash (default: 1%%)",
    )
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument(
        "--processes", type=int, help="(default: one a core; the bytes do not depend on it)"
    )
    parser.add_argument(
        "--segments",
        type=int,
        choices=(1, 2),
        default=2,
        help="in an example: two, as the original, or one (default: %(default)s)",
    )
    parser.add_argument(
        "--original",
        action="store_true",
        help="pack as google-research does, which drops what overflows a row",
    )


def _train(parser):
    """Pre-trains by a recipe. The same command continues a run that was stopped."""
    _add_recipe(parser)


def _evaluate(parser):
    """Measures a run on held-out text, by the recipe it was trained with."""
    _add_recipe(parser)


def _info(parser):
    """Says what a tokenizer, data or run folder holds."""
    parser.add_argument("path", metavar="FOLDER")


def _predict(parser):
    """Scores each word of a text: how probably was it replaced? Fills each [MASK]."""
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a sentence; [MASK] is a blank")
    parser.add_argument("--file", metavar="FILE", help="a text file, one text a line")
    parser.add_argument(
        "--word-swaps",
        type=int,
        metavar="COUNT",
        help="take COUNT sentences of --file, swap one word of each and rank the words; "
        "the file is text that the run was not trained on, such as held_out.txt in a data folder",
    )
    parser.add_argument("--html", metavar="FILE", help="write a page with the words coloured")


def _convert(parser):
    """Brings a checkpoint into another form, and says what became of every tensor.

    SOURCE is a checkpoint of google-research's code, a folder of Hugging Face's (or one with
    generator/ and discriminator/), a checkpoint of Model Garden's ElectraPretrainer, or a run.
    Pairs become FOLDER/generator and FOLDER/discriminator.
    """
    parser.add_argument(
        "source", metavar="SOURCE", help="a folder, or a checkpoint without the files' endings"
    )
    parser.add_argument("--to", required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument(
        "--from",
        dest="kind",
        choices=("google", "huggingface", "tfnlp", "run"),
        help="what SOURCE is (default: what it looks like)",
    )
    parser.add_argument(
        "--as",
        dest="form",
        choices=("huggingface", "google"),
        default="huggingface",
        help="what to write (default: %(default)s, which also makes model.safetensors of "
        "tf_model.h5)",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="google's JSON, which says heads and activation (default: config.json beside the "
        "checkpoint if it is one; else a head for every 64 of the width, and gelu)",
    )
    parser.add_argument(
        "--checkpoint",
        type=_checkpoint,
        metavar="WHICH",
        help="of a run: newest, best (by its KEEP_BEST) or the number of a step (default: newest)",
    )


_PARSERS = {
    "vocab": _vocab,
    "examples": _examples,
    "train": _train,
    "evaluate": _evaluate,
    "info": _info,
    "predict": _predict,
    "convert": _convert,
}


def _add_texts(parser):
    parser.add_argument(
        "texts",
        nargs="+",
        metavar="TEXT",
        help="files (.txt, .txt.gz, .jsonl, .jsonl.gz), folders or patterns of them, in UTF-8",
    )


def _add_recipe(parser):
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
        help="a setting of the recipe, without quotes: MODEL_DIR=runs/a SEED=3 LEARNING_RATE=1e-3",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print all settings, what the run needs and what is wrong with it; build the model, "
        "train and write nothing",
    )
    parser.add_argument(
        "--list", action=_ListRecipes, nargs=0, help="print the recipes and what each trains"
    )


def _checkpoint(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _share(text: str) -> float:
    number, percent, rest = text.partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if rest or not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"must be a share such as 1% or 0.01; got {text!r}")
    return share
