"""Resolve a recipe to plain Python values. No other module imports gin.

A recipe binds the parameters of one class or function, and of the dataclasses among its values.
`resolve` returns them as keyword arguments, so that nothing below the command can tell where its
values came from.

Gin alone would let a recipe import any module and call any function, so that a recipe from
elsewhere, or the config.gin of a run, could run any program. Here a recipe is data unless it is
trusted: it sets fields of frozen dataclasses of known packages, and calls nothing else.
"""

import contextlib
import dataclasses
import importlib.metadata
import inspect
import io
import os
import pathlib
import re
import sys
import tokenize
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gin
import gin.config
import gin.config_parser

from official_nlp.configuration import recipes
from official_nlp.errors import InputError, nearest
from official_nlp.files import guarded

_MACRO = "gin.macro"
# What gin itself has for recipes: the values of settings.
_OF_GIN = ("gin.macro", "gin.constant")
# Packages that declare a task by an entry point of this group may be imported by recipes.
_ENTRY_POINTS = "official_nlp.tasks"
# Far above any recipe; files that include one another could be read without end.
_LARGEST_FILE, _MOST_FILES = 1 << 20, 100
_HEADER = """\
# Resolved configuration of this run, defaults included. This file is a recipe: it continues the
# run, or repeats it in another folder:
#   electra train THIS_FILE MODEL_DIR=another_folder"""
# What gin and the constructors that it calls raise for a mistake in a recipe.
_MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)


def resolve(
    recipe: str | os.PathLike,
    settings: Mapping[str, str],
    configurable: Callable,
    trusted: bool = False,
) -> tuple[dict[str, Any], str]:
    """Return the values that a recipe with some settings binds to a class or function.

    Args:
      recipe: a gin file. Each of its settings is a macro, `NAME = value`.
      settings: text of a value by name of a setting; these replace the values of the recipe.
      configurable: class or function whose parameters the recipe binds.
      trusted: let the recipe import any module, call any function and include any file. By default
        it can name frozen dataclasses only, of this package, that of `configurable` and packages
        that declare a task, and include files of its own folder and packaged ones.

    Returns:
      Keyword arguments for `configurable`; and the text of a recipe without includes that resolves
      to the same arguments. It holds the defaults of everything that the recipe constructs, so
      that a later change of a default does not change the run.

    Raises:
      InputError: the recipe cannot be read, has a mistake, lacks a setting or needs trust, or a
        setting is unknown or has a value of the wrong type. The message names file and line.
    """
    gin.clear_config()
    files = _Files(pathlib.Path(os.path.abspath(recipe)), trusted)
    with files.read_by_gin(), _limited_to(configurable, trusted):
        with _mistakes_in(recipe):
            # Gin would join a relative path to every prefix, its folder itself included.
            gin.parse_config_file(str(files.recipe))
            reachable = _macros_used(_bindings(configurable))
        _set(recipe, settings, reachable)
        _check_macros(recipe, configurable)
        with _mistakes_in(recipe):
            values = _bindings(configurable, resolve_references=True)
        _remove_unused(recipe, files, configurable)
        with _mistakes_in(recipe):
            # While it called the constructors, gin noted their defaults in the operative
            # configuration. Parsed again, they are bindings like all others.
            gin.parse_config(gin.operative_config_str())
        _check_arguments(recipe, configurable, values)
        return values, f"{_HEADER}\n\n{gin.config_str(max_line_length=100)}"


def _bindings(configurable: Callable, resolve_references: bool = False) -> dict[str, Any]:
    if gin.config._inverse_lookup(configurable) is None:
        return {}  # The recipe does not name it.
    return gin.get_bindings(configurable, resolve_references)


# === Files ===


class _Files:
    """The files of a recipe.

    An include is looked for beside the file that has it, then among the packaged files. By itself
    gin looks into the working directory first, and into the same folders for every file.

    Args:
      recipe: absolute path of the recipe.
      trusted: whether it may include files outside its folder.
    """

    def __init__(self, recipe: pathlib.Path, trusted: bool):
        self.recipe = recipe
        self._trusted = trusted
        self._opened = 0

    @contextlib.contextmanager
    def read_by_gin(self) -> Iterator[None]:
        """Let gin open files here."""
        readers = list(gin.config._FILE_READERS)
        gin.config._FILE_READERS[:] = [(self._open, os.path.isfile)]
        try:
            yield
        finally:
            gin.config._FILE_READERS[:] = readers

    def statements(self) -> Iterator[gin.config_parser.BindingStatement]:
        """Yield the bindings of the recipe itself, without those of the files it includes."""
        parser = gin.config_parser.ConfigParser(self._read(str(self.recipe)), _NoReferences())
        for statement in parser:
            if isinstance(statement, gin.config_parser.BindingStatement):
                yield statement

    @contextlib.contextmanager
    def _open(self, path: str) -> Iterator[io.StringIO]:
        """Open a file for gin, which parses it before the context ends, its includes too."""
        self._require_allowed(path)
        prefixes = list(gin.config._LOCATION_PREFIXES)
        gin.config._LOCATION_PREFIXES[:] = [os.path.dirname(path), str(recipes.folder())]
        try:
            yield self._read(path)
        finally:
            gin.config._LOCATION_PREFIXES[:] = prefixes

    def _read(self, path: str) -> io.StringIO:
        text = io.StringIO(guarded.read_text(path, "give a gin file", _LARGEST_FILE))
        text.name = path  # For the locations in gin's messages.
        return text

    def _require_allowed(self, path: str) -> None:
        self._opened += 1
        if self._trusted:
            return
        if self._opened > _MOST_FILES:
            raise InputError(f"a recipe must include at most {_MOST_FILES} files, was more")
        real = pathlib.Path(path).resolve()
        folders = [self.recipe.parent.resolve(), recipes.folder().resolve()]
        if pathlib.Path(path) != self.recipe and not any(map(real.is_relative_to, folders)):
            raise InputError(
                f"an include must be in the folder of the recipe or packaged, was {real}; copy the "
                "file there, or give --trust (trusted=True) if you have read the recipe"
            )


class _NoReferences(gin.config_parser.ParserDelegate):
    """Parses references and macros to nothing."""

    def configurable_reference(self, scoped_configurable_name, evaluate):
        return None

    def macro(self, macro_name):
        return None


# === What a recipe may name ===


@contextlib.contextmanager
def _limited_to(configurable: Callable, trusted: bool) -> Iterator[None]:
    """Limit what gin imports and calls, unless the recipe is trusted."""
    original = gin.config.ParseContext
    packages = {"official_nlp", configurable.__module__.partition(".")[0]}

    class Limited(_LimitedContext):
        pass

    Limited.configurable, Limited.packages = staticmethod(configurable), packages
    if not trusted:
        gin.config.ParseContext = Limited
    try:
        yield
    finally:
        gin.config.ParseContext = original


class _LimitedContext(gin.config.ParseContext):
    """A parse context that imports known packages, and names their configuration classes only.

    Attributes:
      configurable: what the recipe binds, which it may name, too.
      packages: packages that may be imported; those that declare a task are added when needed.
    """

    configurable: Any
    packages: set[str]

    def process_import(self, statement: Any) -> None:
        """Import a module if it belongs to a known package."""
        is_gins = statement.is_from and statement.module == "__gin__.dynamic_registration"
        if not is_gins and not self._knows(statement.module):
            raise InputError(
                f"a recipe must import modules of {', '.join(sorted(self.packages))} only, or of a "
                f"package that declares a task ({_ENTRY_POINTS}), was `{statement.format()}`: an "
                "import can run any code; give --trust (trusted=True) if you have read the recipe"
            )
        super().process_import(statement)

    def get_configurable(self, selector: str) -> Any:
        """Return what a name refers to if it is a configuration class."""
        if self._dynamic_registration:
            if selector not in _OF_GIN:
                self._require_configuration(selector)
            return super().get_configurable(selector)
        found = super().get_configurable(selector)
        if (
            found is not None
            and found.selector not in _OF_GIN
            and not self._may_name(found.wrapped)
        ):
            self._refuse(selector)
        return found

    def _require_configuration(self, selector: str) -> None:
        """Refuse a name that leads out of the known packages, or to anything but a class."""
        first, *rest = selector.split(".")
        value = self._symbol_table.get(first)
        if value is None:
            return  # Gin reports that nothing of this name is imported.
        for name in rest:
            is_module = isinstance(value, types.ModuleType) and self._knows(value.__name__)
            if name.startswith("_") or not (is_module or self._is_configuration(value)):
                self._refuse(selector)
            value = getattr(value, name, None)
            if value is None:
                return  # Gin reports that there is no such name.
        if not self._may_name(value):
            self._refuse(selector)

    def _refuse(self, selector: str) -> typing.NoReturn:
        raise InputError(
            f"a recipe must name configuration classes only (frozen dataclasses of "
            f"{', '.join(sorted(self.packages))}), was {selector}, whose call could run any code; "
            "give --trust (trusted=True) if you have read the recipe"
        )

    def _may_name(self, value: Any) -> bool:
        # A class method, such as ElectraConfig.preset, makes an instance of its class.
        owner = value.__self__ if inspect.ismethod(value) else value
        return value is type(self).configurable or self._is_configuration(owner)

    def _is_configuration(self, value: Any) -> bool:
        is_frozen = (
            inspect.isclass(value)
            and dataclasses.is_dataclass(value)
            and value.__dataclass_params__.frozen  # type: ignore[attr-defined]
        )
        return is_frozen and self._knows(value.__module__)

    def _knows(self, module: str) -> bool:
        parts = module.split(".")
        if any(part.startswith("_") for part in parts):
            return False  # official_nlp.__main__ is a program.
        if parts[0] not in self.packages:
            points = importlib.metadata.entry_points(group=_ENTRY_POINTS)
            self.packages.update(point.module.partition(".")[0] for point in points)
        return parts[0] in self.packages


# === What a recipe sets in vain ===


def _remove_unused(recipe: str | os.PathLike, files: _Files, configurable: Callable) -> None:
    """Remove bindings of classes in scopes that nothing has called; refuse those of the recipe.

    Files that it includes may set more than it uses: a recipe can replace the phases of another.
    """
    config = gin.config._CONFIG
    called = {(tuple(s.split("/")), name) for s, name in gin.config._OPERATIVE_CONFIG}

    def is_used(scope: str, selector: str) -> bool:
        if selector == _MACRO:
            return True
        of_configurable = gin.config._inverse_lookup(configurable)
        if not scope and of_configurable is not None and of_configurable.selector == selector:
            return True
        parts = tuple(scope.split("/")) if scope else ()
        return any(name == selector and s[: len(parts)] == parts for s, name in called)

    unused = [key for key in config if not is_used(*key)]
    names = {(scope, selector.rpartition(".")[2]) for scope, selector in unused}
    for statement in files.statements():
        if (statement.scope, statement.selector.rpartition(".")[2]) in names and statement.arg_name:
            name = "/".join(filter(None, (statement.scope, statement.selector)))
            scopes = {scope for scope, _ in gin.config._OPERATIVE_CONFIG}
            raise InputError(
                f"{recipe}:{statement.location.line_num}: {name}.{statement.arg_name} is set, but "
                f"nothing uses @{name}(){nearest(statement.scope, scopes)}"
            )
    for key in unused:
        del config[key]
    used = _macros_used([values for (_, name), values in config.items() if name != _MACRO])
    for scope, name in [key for key in config if key[1] == _MACRO and key[0] not in used]:
        del config[scope, name]


# === Settings, which are gin's macros ===


def _set(recipe: str | os.PathLike, settings: Mapping[str, str], reachable: set[str]) -> None:
    """Replace values of macros. One that no value depends on is refused like an unknown one."""
    macros = _macros()
    known = sorted(set(macros) & reachable)
    for name, text in settings.items():
        if name not in known:
            raise InputError(
                f"unknown setting {name}{nearest(name, known)}; "
                f"{os.path.basename(recipe)} has {', '.join(known)}"
            )
        default = _followed(macros, name)
        value = recipes.setting_value(name, text, default, _is_text(name))
        gin.bind_parameter(f"{name}/{_MACRO}.value", value)


def _is_text(name: str) -> bool:
    """Return whether every field that a macro is the value of holds text, or None."""
    kinds: set[Any] = set()
    for (_, selector), values in gin.config._CONFIG.items():
        for field, value in values.items():
            if selector != _MACRO and name in _macros_named(value):
                hints = inspect.signature(gin.config._REGISTRY[selector].wrapped).parameters
                kinds |= _leaves(hints[field].annotation) if field in hints else {Any}
    return bool(kinds) and kinds <= {str, type(None)}


def _leaves(annotation: Any) -> set[Any]:
    """Return the types at the ends of an annotation: str and None of `Mapping[str, str | None]`."""
    arguments = typing.get_args(annotation)
    return set().union(*map(_leaves, arguments)) if arguments else {annotation}


def _check_macros(recipe: str | os.PathLike, configurable: Callable) -> None:
    """Refuse a macro that nothing uses, one that is not set, and a required one without a value.

    Gin accepts the first in silence, and its complaints about the others are late and long.
    """
    macros = _macros()
    with _mistakes_in(recipe):
        used = _macros_used(list(gin.config._CONFIG.values()))
        needed = _macros_used(_bindings(configurable))
    for name in sorted(used - set(macros)):
        raise InputError(f"{recipe} uses %{name}, which nothing sets{nearest(name, macros)}")
    for name in sorted(set(macros) - used):
        raise InputError(f"{recipe} sets {name}, which nothing uses{nearest(name, used)}")
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


def _macros_named(values: Any) -> set[str]:
    """Return the names of macros that values refer to directly."""
    references = gin.config.iterate_references(values)
    return {"/".join(each.scopes) for each in references if each.configurable.selector == _MACRO}


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
        return f"unknown name {unknown[1]}{nearest(unknown[3], known)}"
    parameter = re.match(r"Configurable '(\S+)' doesn't have a parameter named '(\w+)'", text)
    if parameter:
        owners = gin.config._REGISTRY.get_all_matches(parameter[1])
        known = [name for owner in owners for name in inspect.signature(owner.wrapped).parameters]
        return f"{parameter[1]} has no {parameter[2]}{nearest(parameter[2], known)}"
    token = re.search(r"Failed to parse token '(.+)'", text)
    if token:
        return f"{token[1]} is not a value: text needs quotes here, a name needs @ or %"
    opened = re.match(r"Unable to open file: (\S+)\.", text)
    if opened:
        return f"no file {opened[1]} beside this file or in {recipes.folder()}"
    if isinstance(error, MemoryError):
        return "brackets are nested too deeply"
    where = re.search(r"In call to configurable '(\w+)'[^\n]*?(?: in scope '(.+)')?$", text, re.M)
    name = "/".join(filter(None, (where[2], where[1]))) if where else ""
    first_line = str(error).strip().partition("\n")[0]
    name = _setting_of(name, first_line.partition(" ")[0]) or name
    return f"{name}: {first_line}" if name else text.splitlines()[0]


def _setting_of(name: str, field: str) -> str | None:
    """Return the setting that is the value of a field, by the name of the field's class."""
    scope, _, short = name.rpartition("/")
    for selector in gin.config._REGISTRY.matching_selectors(short):
        scoped = "/".join(filter(None, (scope, selector)))
        value = gin.get_bindings(scoped, resolve_references=False).get(field)
        if isinstance(value, gin.config.ConfigurableReference) and value.selector == _MACRO:
            return "/".join(value.scopes)
    return None
