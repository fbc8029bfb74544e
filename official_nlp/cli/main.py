"""The command `electra`: arguments in, exit code out."""

import argparse
import contextlib
import errno
import os
import signal
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterator

from official_nlp import output
from official_nlp.cli import commands
from official_nlp.configuration import recipes
from official_nlp.errors import InputError, NotFiniteError, Preempted, StorageError

# 2 is argparse's code for wrong usage; 130 and 143 are 128 + SIGINT and 128 + SIGTERM, as shells
# report them.
DONE, FAILED, USAGE, PREEMPTED, NOT_FINITE, INTERRUPTED, TERMINATED = 0, 1, 2, 42, 43, 130, 143
# Errors of the system that another path cures.
_PATH_ERRORS = (
    errno.ENOENT,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.ELOOP,
    errno.EINVAL,
    errno.ENAMETOOLONG,
    errno.EROFS,
    errno.ENXIO,
    errno.ENODEV,
)
_LONGEST_PATH = 120
# Verbs that run for days, and continue where they were stopped.
_TRAINING = ("train", "sweep")

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
  42 stopped on request, state saved   43 loss not finite
  130 interrupted (Ctrl-C)   143 terminated (SIGTERM) before there was a state to save
"""


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return the exit code.

    Args:
      argv: the words after `electra`; by default those of this process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    verb = words[0] if words else "--help"  # `electra` alone prints the overview.
    # A run trains and a server answers for days, and whoever reads their output may go away.
    is_lasting = verb in (*_TRAINING, "serve")
    with output.prepared(lasting=is_lasting), _terminable(argv is None) as ignore_signals:
        return _run(verb, words, ignore_signals)


def _run(verb: str, words: list[str], ignore_signals: Callable[[], None]) -> int:
    """Run one verb and return the exit code, whatever happens."""
    try:
        if verb in ("-h", "--help", "help"):
            print(_overview(), end="")
        elif verb == "--version":
            print(f"electra {_version()}")
        else:
            command = commands.load(verb)
            # Intermixed, because options may stand between the words of a list such as TEXT.
            args = _parser(verb, command).parse_intermixed_args(words[1:])
            # TensorFlow reads the variable when it is imported, and otherwise logs a dozen lines.
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            command.run(args)
        # A closed pipe is detected here at the latest, and not by the interpreter after `main`.
        sys.stdout.flush()
        return DONE
    except SystemExit as stop:  # argparse exits after `--help`.
        return stop.code if isinstance(stop.code, int) else DONE
    except output.ReaderGone:  # Such as `head`, which has read enough.
        return DONE
    except _Terminated:
        ignore_signals()
        return _fail(_interruption(verb, "terminated"), TERMINATED)
    except KeyboardInterrupt:
        ignore_signals()
        return _fail(_interruption(verb, "interrupted"), INTERRUPTED)
    except Exception as error:
        return _report(error)


class _Terminated(KeyboardInterrupt):
    """SIGTERM was received. What cleans up after Ctrl-C cleans up after it, too."""


@contextlib.contextmanager
def _terminable(ends: bool) -> Iterator[Callable[[], None]]:
    """Raise `_Terminated` on SIGTERM during the block, unless the signal is ignored.

    A run that trains answers the signals itself, see `training.interruption`.

    Args:
      ends: whether the process ends after the block, and ignores signals while it does: otherwise
        the exit code would be that of a late signal.

    Yields:
      A function that lets SIGTERM and Ctrl-C be ignored from now on, for the answer to the first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def terminate(number, frame):
        raise _Terminated

    def ignore():
        for number in before:
            signal.signal(number, signal.SIG_IGN)

    if before[signal.SIGTERM] == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield ignore
    finally:
        if ends:
            ignore()
        else:
            for number, handler in before.items():
                signal.signal(number, handler)


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


def _interruption(verb: str, what: str) -> str:
    if verb in _TRAINING:
        return f"{what}; the same command continues from the last checkpoint"
    return f"{what}; nothing incomplete was written, so the same command starts again"


def _report(error: Exception) -> int:
    """Print an error and return the exit code. Only an unexpected one has a traceback."""
    match error:
        case InputError():
            return _fail(f"error: {error}", USAGE)
        case NotFiniteError():
            return _fail(f"error: {error}", NOT_FINITE)
        case Preempted():
            return _fail(f"{error}; the same command continues", PREEMPTED)
        case StorageError():
            return _fail(f"storage error: {error}", FAILED)
        case OSError() if error.filename is not None and error.errno in _PATH_ERRORS:
            return _fail(f"error: {_path_error(error)}", USAGE)
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return _fail(f"storage error: {_path_error(error)}", FAILED)
        case ValueError() if "embedded null" in str(error):
            return _fail("error: a path with a null byte names no file; name another", USAGE)
    for line in "".join(traceback.format_exception(error)).splitlines():
        print(output.escaped(line), file=sys.stderr)
    return _fail("internal error: this is a bug in electra; please report the traceback", FAILED)


def _path_error(error: OSError) -> str:
    """Return path and reason of an error of the system."""
    if error.filename is None:
        return str(error.strerror or error)
    path = error.filename if isinstance(error.filename, int) else os.fsdecode(error.filename)
    shown = str(path)
    if len(shown) > _LONGEST_PATH:
        shown = f"{shown[: _LONGEST_PATH - 3]}..."
    if error.errno == errno.ENAMETOOLONG:
        return f"{shown}: {error.strerror}; a path was expected here, is this a text?"
    return f"{shown}: {error.strerror}"


def _fail(message: str, code: int) -> int:
    print(output.escaped(f"electra: {message.strip()}"), file=sys.stderr)
    return code
