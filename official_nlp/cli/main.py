"""The command `electra`: arguments in, exit code out."""

import argparse
import errno
import os
import sys
import traceback
import types

from official_nlp.cli import commands
from official_nlp.configuration import recipes
from official_nlp.errors import InputError, NotFiniteError, Preempted, StorageError

DONE, FAILED, USAGE, PREEMPTED, NOT_FINITE, INTERRUPTED = 0, 1, 2, 42, 43, 130

_HELP = """\
usage: electra VERB ...
       electra VERB --help

ELECTRA for TensorFlow: pre-train a generator and a discriminator on your own text, then use them.

From text to predictions in four commands:

  electra vocab    texts/ --to tokenizer
  electra examples texts/ --tokenizer tokenizer --to data
  electra train    small DATA=data MODEL_DIR=runs/first
  electra predict  runs/first "The cat sat on the [MASK]."

verbs
{verbs}

recipes (for train; your own recipe is the path of a .gin file)
{recipes}

exit codes
  0 done   1 internal error or storage error   2 wrong usage or input
  42 stopped on request, state saved   43 loss not finite   130 interrupted
"""


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return the exit code.

    Args:
      argv: the words after `electra`; by default those of this process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    verb = words[0] if words else "--help"
    try:
        if verb in ("-h", "--help", "help"):
            print(_overview(), end="")
        elif verb == "--version":
            print(f"electra {_version()}")
        else:
            command = commands.load(verb)
            args = _parser(verb, command).parse_intermixed_args(words[1:])
            # TensorFlow reads it when it is imported, and otherwise logs a dozen lines.
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            command.run(args)
        sys.stdout.flush()
        return DONE
    except SystemExit as stop:  # Of argparse, after `--help`.
        return stop.code if isinstance(stop.code, int) else DONE
    except BrokenPipeError:  # The reader of our output, such as `head`, has closed the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return _fail(_interruption(verb), INTERRUPTED)
    except Exception as error:
        return _report(error)


class _Parser(argparse.ArgumentParser):
    """A parser that raises usage errors, which `main` prints like all others."""

    def error(self, message):
        raise InputError(f"{message}; see `{self.prog} --help`")


def _parser(verb: str, command: types.ModuleType) -> _Parser:
    parser = _Parser(
        prog=f"electra {verb}",
        description=(command.__doc__ or "").rstrip(),
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    return parser


def _overview() -> str:
    verbs = "\n".join(f"  {verb:<10}{commands.summary(verb)}" for verb in commands.VERBS)
    return _HELP.format(verbs=verbs, recipes=recipes.table())


def _version() -> str:
    from official_nlp import __version__

    return __version__


def _interruption(verb: str) -> str:
    if verb == "train":
        return "interrupted; the same command continues from the last checkpoint"
    return "interrupted; nothing incomplete was written, so the same command starts again"


def _report(error: Exception) -> int:
    """Print an error and return the exit code. Only an unexpected one has a traceback."""
    match error:
        case InputError():
            return _fail(f"error: {_first_line(error)}", USAGE)
        case NotFiniteError():
            return _fail(f"error: {_first_line(error)}", NOT_FINITE)
        case Preempted():
            return _fail(f"{_first_line(error)}; the same command continues", PREEMPTED)
        case StorageError():
            return _fail(f"storage error: {_first_line(error)}", FAILED)
        case FileNotFoundError() | PermissionError() | IsADirectoryError() | NotADirectoryError():
            return _fail(f"error: {error.filename}: {error.strerror}", USAGE)
        case OSError() if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            return _fail(f"error: {str(error.filename)[:80]}: {error.strerror}", USAGE)
        case OSError() if error.errno == errno.ENOSPC:
            return _fail(f"storage error: {error.filename}: {error.strerror}", FAILED)
    traceback.print_exception(error)
    return _fail("internal error: this is a bug in electra; please report the traceback", FAILED)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _fail(message: str, code: int) -> int:
    print(f"electra: {message}", file=sys.stderr)
    return code
