"""The command `electra`: words to a function of `runs`, errors to one line and an exit code.

A recipe is resolved to plain keyword arguments, and the function called with them.
"""

import errno
import os
import sys
import traceback
import types

from official_nlp.cli import arguments
from official_nlp.configuration import gin_resolver, recipes
from official_nlp.errors import InputError, NotFiniteError, Preempted, StorageError

DONE, FAULT, USAGE, PREEMPTED, NOT_FINITE, INTERRUPTED = 0, 1, 2, 42, 43, 130

_CONTINUE = {"train": "the same command continues from the last checkpoint"}
_START_OVER = "nothing half-done was left; the same command starts over"


def main(argv: list[str] | None = None, runs: types.ModuleType | None = None) -> int:
    """Runs one verb and returns its exit code.

    Args:
      argv: the words after `electra`; those of the process by default.
      runs: the module with a function for each verb; `official_nlp.cli.main.runs` by default.
    """
    words = sys.argv[1:] if argv is None else argv
    try:
        _dispatch(words, runs)
        sys.stdout.flush()
        return DONE
    except SystemExit as stop:  # argparse's, after --help
        return stop.code or DONE
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return _say(f"interrupted; {_CONTINUE.get(words[0], _START_OVER)}", INTERRUPTED)
    except Exception as error:
        return _explain(error)


def _explain(error: Exception) -> int:
    match error:
        case InputError():
            return _say(f"error: {_first_line(error)}", USAGE)
        case NotFiniteError():
            return _say(f"error: {_first_line(error)}", NOT_FINITE)
        case Preempted():
            return _say(f"{_first_line(error)}; the same command continues", PREEMPTED)
        case StorageError():
            return _say(f"fault: {_first_line(error)}", FAULT)
        case FileNotFoundError() | PermissionError() | IsADirectoryError() | NotADirectoryError():
            return _say(f"error: {error.filename}: {error.strerror}", USAGE)
        case OSError() if error.errno == errno.ENOSPC:
            return _say(f"fault: {error.strerror}: {error.filename}", FAULT)
    traceback.print_exception(error)
    return _say("fault: this is a mistake of the program, not yours", FAULT)


def _dispatch(words: list[str], runs: types.ModuleType | None) -> None:
    if not words or words[0] in ("-h", "--help", "help"):
        print(arguments.overview(), end="")
        return
    verb, *rest = words
    if verb == "--version":
        from official_nlp import __version__

        print(f"electra {__version__}")
        return
    options = vars(arguments.parse(verb, rest))
    # TensorFlow reads it once, when it is imported: without it a dozen lines precede ours.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if verb not in arguments.RECIPE_VERBS:
        getattr(runs or _runs(), verb)(**options)
        return
    recipe = recipes.find(options["recipe"])
    settings = recipes.split_settings(options["settings"])
    function = getattr(runs or _runs(), verb)
    values, text = gin_resolver.resolve(recipe, settings, function)
    if options["dry_run"]:
        print(text)
    function(**values, dry_run=options["dry_run"], configuration_text=text)


def _runs() -> types.ModuleType:
    from official_nlp.cli import runs

    return runs


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _say(message: str, code: int) -> int:
    print(f"electra: {message}", file=sys.stderr)
    return code
