"""The command `electra`: words to a function of `runs`, errors to one line and an exit code.

This is the only module that knows gin. It resolves a recipe to plain keyword arguments and calls
the function itself, so that nothing below the command can tell where its values came from.
"""

import errno
import functools
import inspect
import os
import re
import sys
import tokenize
import traceback
import types

import gin
import gin.config

from official_nlp.cli import arguments
from official_nlp.configuration import recipes
from official_nlp.errors import InputError, NotFiniteError, Preempted, StorageError

DONE, FAULT, USAGE, PREEMPTED, NOT_FINITE, INTERRUPTED = 0, 1, 2, 42, 43, 130

_MACRO = "gin.macro"
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
    settings = dict(recipes.split_setting(word) for word in options["settings"])
    function = getattr(runs or _runs(), verb)
    values, text = resolve(recipe, settings, function)
    if options["dry_run"]:
        print(text)
    function(**values, dry_run=options["dry_run"], configuration_text=text)


def _runs() -> types.ModuleType:
    from official_nlp.cli import runs

    return runs


def resolve(recipe: os.PathLike, settings: dict[str, str], function) -> tuple[dict, str]:
    """What a recipe with some settings gives a function.

    Args:
      recipe: a gin file, with `NAME = value` (a macro) for each of its settings.
      settings: name to text, as typed; these replace the recipe's.
      function: the function of a verb, which the recipe binds.

    Returns:
      The function's keyword arguments, and the text of a recipe without includes that gives the
      same again: all that the files say, the settings, and the defaults of what they construct.

    Raises:
      InputError: the recipe cannot be read, names something unknown, or lacks a setting.
    """
    gin.clear_config()
    _parse(recipe)
    _set(recipe, settings)
    _check_macros(recipe, function)
    with _in_one_line(recipe):
        values = gin.get_bindings(function)
        # Constructors wrote their defaults into the operative configuration: now they are settled.
        gin.parse_config(gin.operative_config_str())
    _check_arguments(recipe, function, values)
    return values, f"{_HEADER}\n\n{gin.config_str(max_line_length=100)}"


_HEADER = """\
# All that this run was told. It is a recipe, which continues the run, or repeats it elsewhere:
#   electra train THIS_FILE MODEL_DIR=another_folder"""


def _parse(recipe: os.PathLike) -> None:
    # An include is looked for beside the recipe, then among the packaged ones; gin would look into
    # the working directory first, and log an error for every place where it finds nothing.
    gin.config._LOCATION_PREFIXES[:] = [os.path.dirname(recipe), str(recipes.folder())]
    gin.config._FILE_READERS[:] = [(functools.partial(open, encoding="utf-8"), os.path.isfile)]
    with _in_one_line(recipe):
        gin.parse_config_file(os.fspath(recipe))


def _set(recipe: os.PathLike, settings: dict[str, str]) -> None:
    defaults = _macros()
    for name, text in settings.items():
        if name not in defaults:
            raise InputError(
                f"unknown setting {name}{recipes.nearest(name, defaults)}; "
                f"{os.path.basename(recipe)} has {', '.join(sorted(defaults))}"
            )
        default = _followed(defaults, name)
        gin.bind_parameter(f"{name}/{_MACRO}.value", recipes.setting_value(name, text, default))


def _check_macros(recipe: os.PathLike, function) -> None:
    """Refuses a macro that nothing uses, that is nowhere set, or that is asked for and not given.

    Gin accepts the first in silence, and complains of the others late and at length.
    """
    macros = _macros()
    with _in_one_line(recipe):
        used = _macros_used(list(gin.config._CONFIG.values()))
        needed = _macros_used(gin.get_bindings(function, resolve_references=False))
    for name in sorted(used - set(macros)):
        raise InputError(
            f"{recipe} uses %{name}, which nothing sets{recipes.nearest(name, macros)}"
        )
    for name in sorted(set(macros) - used):
        raise InputError(f"{recipe} sets {name}, which nothing uses{recipes.nearest(name, used)}")
    missing = [name for name in sorted(needed) if _followed(macros, name) is recipes.REQUIRED]
    if missing:
        raise InputError(f"give {' '.join(f'{name}=...' for name in missing)}")


def _check_arguments(recipe: os.PathLike, function, values: dict) -> None:
    try:
        inspect.signature(function).bind(**values, dry_run=False, configuration_text="")
    except TypeError as error:
        raise InputError(f"{recipe}: {function.__name__}: {error}") from None


def _macros() -> dict:
    # gin has no public list of them.
    return {
        scope: values["value"]
        for (scope, selector), values in gin.config._CONFIG.items()
        if selector == _MACRO
    }


def _followed(macros: dict, name: str):
    """The value of a macro, through macros that it names; REQUIRED where a value is asked for."""
    value = macros[name]
    if not isinstance(value, gin.config.ConfigurableReference):
        return value
    if repr(value) == "%gin.REQUIRED":
        return recipes.REQUIRED
    referred = "/".join(value.scopes)
    return _followed(macros, referred) if value.selector == _MACRO and referred in macros else None


def _macros_used(values) -> set[str]:
    """Names of the macros that values refer to, directly or through what they construct."""
    used = set()
    for reference in gin.config.iterate_references(values):
        if reference.configurable.selector == _MACRO:
            name = "/".join(reference.scopes)
            used |= {name} | _macros_used(_macros().get(name))
        elif reference.configurable.selector != "gin.constant":
            selector = "/".join([*reference.scopes, reference.configurable.selector])
            used |= _macros_used(gin.get_bindings(selector, resolve_references=False))
    return used


class _in_one_line:
    """Turns gin's many-line errors into an InputError with file and line."""

    def __init__(self, recipe: os.PathLike):
        self.recipe = os.fspath(recipe)

    def __enter__(self):
        return self

    def __exit__(self, _, error, __):
        kinds = (ArithmeticError, AttributeError, ImportError, LookupError, NameError, OSError)
        kinds += (RecursionError, SyntaxError, TypeError, ValueError, tokenize.TokenError)
        if isinstance(error, kinds):
            raise InputError(f"{_place(error) or self.recipe}: {_cause(error)}") from None


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    # gin appends a place for every file on the way up; the first is where it happened.
    found = re.search(r'In file "(.+)", line (\d+)', str(error))
    return f"{found[1]}:{found[2]}" if found else ""


def _cause(error: BaseException) -> str:
    if isinstance(error, tokenize.TokenError):
        return "a bracket or a quote is not closed"
    if isinstance(error, RecursionError):
        return "something in it refers to itself"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    unknown = re.match(
        r"Couldn't resolve selector (\S+); <\w+ '([\w.]+)'.*no attribute (\w+)", text
    )
    if unknown:
        known = [name for name in dir(sys.modules.get(unknown[2])) if not name.startswith("_")]
        return f"nothing is called {unknown[1]}{recipes.nearest(unknown[3], known)}"
    parameter = re.match(r"Configurable '(\S+)' doesn't have a parameter named '(\w+)'", text)
    if parameter:
        owners = gin.config._REGISTRY.get_all_matches(parameter[1])
        known = [name for owner in owners for name in inspect.signature(owner.wrapped).parameters]
        return f"{parameter[1]} has no {parameter[2]}{recipes.nearest(parameter[2], known)}"
    token = re.search(r"Failed to parse token '(.+)'", text)
    if token:
        return f"{token[1]} is no value: text needs quotes here, a name @ or %"
    opened = re.match(r"Unable to open file: (\S+)\.", text)
    if opened:
        return f"no file {opened[1]} beside the recipe or in {recipes.folder()}"
    where = re.search(r"In call to configurable '(\w+)'[^\n]*?(?: in scope '(.+)')?$", text, re.M)
    name = "/".join(filter(None, (where[2], where[1]))) if where else ""
    return f"{name}: {_first_line(error)}" if name else text.splitlines()[0]


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _say(message: str, code: int) -> int:
    print(f"electra: {message}", file=sys.stderr)
    return code
