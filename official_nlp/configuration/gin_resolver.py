"""Resolve a recipe to plain Python values. No other module imports gin.

A recipe binds the parameters of one class or function, and of the dataclasses among its values.
`resolve` returns them as keyword arguments, so that nothing below the command can tell where its
values came from.
"""

import contextlib
import inspect
import os
import re
import sys
import tokenize
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gin
import gin.config

from official_nlp.configuration import recipes
from official_nlp.errors import InputError

_MACRO = "gin.macro"
_HEADER = """\
# Resolved configuration of this run, defaults included. This file is a recipe: it continues the
# run, or repeats it in another folder:
#   electra train THIS_FILE MODEL_DIR=another_folder"""
# What gin and the constructors that it calls raise for a mistake in a recipe.
_MISTAKES = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)


def resolve(
    recipe: str | os.PathLike, settings: Mapping[str, str], configurable: Callable
) -> tuple[dict[str, Any], str]:
    """Return the values that a recipe with some settings binds to a class or function.

    Args:
      recipe: a gin file. Each of its settings is a macro, `NAME = value`.
      settings: text of a value by name of a setting; these replace the values of the recipe.
      configurable: class or function whose parameters the recipe binds.

    Returns:
      Keyword arguments for `configurable`; and the text of a recipe without includes that resolves
      to the same arguments. It holds the defaults of everything that the recipe constructs, so
      that a later change of a default does not change the run.

    Raises:
      InputError: the recipe cannot be read, has a mistake or lacks a setting, or a setting is
        unknown or has a value of the wrong type. The message names file and line.
    """
    gin.clear_config()
    with _mistakes_in(recipe):
        _parse(recipe)
        reachable = _macros_used(gin.get_bindings(configurable, resolve_references=False))
    _set(recipe, settings, reachable)
    _check_macros(recipe, configurable)
    with _mistakes_in(recipe):
        values = gin.get_bindings(configurable)
        # While it called the constructors, gin noted their defaults in the operative configuration.
        # Parsed again, they are bindings like all others.
        gin.parse_config(gin.operative_config_str())
    _check_arguments(recipe, configurable, values)
    return values, f"{_HEADER}\n\n{gin.config_str(max_line_length=100)}"


# === Files ===


def _parse(recipe: str | os.PathLike) -> None:
    # Gin would join a relative path to every prefix, the folder of the recipe itself included.
    path = os.path.abspath(recipe)
    gin.config._FILE_READERS[:] = [(_opened, os.path.isfile)]
    gin.parse_config_file(path)


@contextlib.contextmanager
def _opened(path: str) -> Iterator:
    """Open a file for gin, which parses it before the context ends, its includes too.

    Includes are looked for beside the file that has them, then among the packaged files. By itself
    gin looks into the working directory first, and into the same folders for every file.
    """
    prefixes = list(gin.config._LOCATION_PREFIXES)
    gin.config._LOCATION_PREFIXES[:] = [os.path.dirname(path), str(recipes.folder())]
    try:
        with open(path, encoding="utf-8") as file:
            yield file
    finally:
        gin.config._LOCATION_PREFIXES[:] = prefixes


# === Settings, which are gin's macros ===


def _set(recipe: str | os.PathLike, settings: Mapping[str, str], reachable: set[str]) -> None:
    """Replace values of macros. One that no value depends on is refused like an unknown one."""
    macros = _macros()
    known = sorted(set(macros) & reachable)
    for name, text in settings.items():
        if name not in known:
            raise InputError(
                f"unknown setting {name}{recipes.nearest(name, known)}; "
                f"{os.path.basename(recipe)} has {', '.join(known)}"
            )
        default = _followed(macros, name)
        gin.bind_parameter(f"{name}/{_MACRO}.value", recipes.setting_value(name, text, default))


def _check_macros(recipe: str | os.PathLike, configurable: Callable) -> None:
    """Refuse a macro that nothing uses, one that is not set, and a required one without a value.

    Gin accepts the first in silence, and its complaints about the others are late and long.
    """
    macros = _macros()
    with _mistakes_in(recipe):
        used = _macros_used(list(gin.config._CONFIG.values()))
        needed = _macros_used(gin.get_bindings(configurable, resolve_references=False))
    for name in sorted(used - set(macros)):
        raise InputError(
            f"{recipe} uses %{name}, which nothing sets{recipes.nearest(name, macros)}"
        )
    for name in sorted(set(macros) - used):
        raise InputError(f"{recipe} sets {name}, which nothing uses{recipes.nearest(name, used)}")
    missing = [name for name in sorted(needed) if _followed(macros, name) is recipes.REQUIRED]
    if missing:
        raise InputError(f"give {' '.join(f'{name}=...' for name in missing)}")


def _check_arguments(
    recipe: str | os.PathLike, configurable: Callable, values: Mapping[str, Any]
) -> None:
    parameters = inspect.signature(configurable).parameters
    missing = [
        f"{configurable.__name__}.{name}"
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name not in values
    ]
    if missing:
        raise InputError(
            f"{recipe} does not set {', '.join(missing)}; include a file of configs/runs "
            "that does, or set it"
        )


def _macros() -> dict[str, Any]:
    # Gin has no public list of them.
    return {
        scope: values["value"]
        for (scope, selector), values in gin.config._CONFIG.items()
        if selector == _MACRO
    }


def _followed(macros: Mapping[str, Any], name: str) -> Any:
    """Return the value of a macro, through macros that it refers to.

    It is `recipes.REQUIRED` for a required setting, and None for a reference to anything else.
    """
    value = macros[name]
    if not isinstance(value, gin.config.ConfigurableReference):
        return value
    if repr(value) == "%gin.REQUIRED":
        return recipes.REQUIRED
    referred = "/".join(value.scopes)
    return _followed(macros, referred) if value.selector == _MACRO and referred in macros else None


def _macros_used(values: Any) -> set[str]:
    """Return the names of macros that values refer to, directly or through what they construct."""
    used: set[str] = set()
    for reference in gin.config.iterate_references(values):
        if reference.configurable.selector == _MACRO:
            name = "/".join(reference.scopes)
            used |= {name} | _macros_used(_macros().get(name))
        elif reference.configurable.selector != "gin.constant":
            selector = "/".join([*reference.scopes, reference.configurable.selector])
            used |= _macros_used(gin.get_bindings(selector, resolve_references=False))
    return used


# === Mistakes ===


@contextlib.contextmanager
def _mistakes_in(recipe: str | os.PathLike) -> Iterator[None]:
    """Turn gin's errors of many lines into an `InputError` of one, with file and line."""
    try:
        yield
    except _MISTAKES as error:
        # Gin knows the absolute path alone; the message has the path that was typed.
        location = _location(error).replace(os.path.abspath(recipe), os.fspath(recipe))
        raise InputError(f"{location or recipe}: {_cause(error)}") from None


def _location(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    # Gin appends a location for every file on the way up; the first is that of the mistake.
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
        return f"unknown name {unknown[1]}{recipes.nearest(unknown[3], known)}"
    parameter = re.match(r"Configurable '(\S+)' doesn't have a parameter named '(\w+)'", text)
    if parameter:
        owners = gin.config._REGISTRY.get_all_matches(parameter[1])
        known = [name for owner in owners for name in inspect.signature(owner.wrapped).parameters]
        return f"{parameter[1]} has no {parameter[2]}{recipes.nearest(parameter[2], known)}"
    token = re.search(r"Failed to parse token '(.+)'", text)
    if token:
        return f"{token[1]} is not a value: text needs quotes here, a name needs @ or %"
    opened = re.match(r"Unable to open file: (\S+)\.", text)
    if opened:
        return f"no file {opened[1]} beside this file or in {recipes.folder()}"
    where = re.search(r"In call to configurable '(\w+)'[^\n]*?(?: in scope '(.+)')?$", text, re.M)
    name = "/".join(filter(None, (where[2], where[1]))) if where else ""
    first_line = str(error).strip().partition("\n")[0]
    return f"{name}: {first_line}" if name else text.splitlines()[0]
