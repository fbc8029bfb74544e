"""Find recipes by name or path, and read the settings `NAME=value` that are typed after them."""

import ast
import os
import pathlib
import warnings
from collections.abc import Iterable
from typing import Any

from official_nlp.errors import InputError, nearest
from official_nlp.ranges import shown

# Value of a setting that has to be given. Such a setting is a path, so its text is not parsed.
REQUIRED = object()


def folder() -> pathlib.Path:
    """Return the folder of the packaged recipes.

    It is inside the installed package, or beside it in a checkout.
    """
    package = pathlib.Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def names() -> list[str]:
    """Return the short names of the packaged recipes."""
    return sorted(file.stem for file in (folder() / "experiments").glob("*.gin"))


def summary(name: str) -> str:
    """Return the first line of a packaged recipe, without the comment sign."""
    with open(folder() / "experiments" / f"{name}.gin", encoding="utf-8") as lines:
        return next(lines).lstrip("# ").rstrip()


def table() -> str:
    """Return a line for each packaged recipe: its name and its summary."""
    width = max(map(len, names())) + 2
    return "\n".join(f"  {name:<{width}}{summary(name)}" for name in names())


def listed() -> str:
    """Return what can be given as a recipe, for messages."""
    return f"{', '.join(names())}, or the path of a .gin file"


def find(name: str | None) -> pathlib.Path:
    """Return the file of a recipe.

    Args:
      name: a path if it contains `/` or ends in `.gin`, else the short name of a packaged recipe;
        None if the command line has none.

    Raises:
      InputError: there is no such recipe.
    """
    if name is None:
        raise InputError(f"give a recipe: {listed()}")
    if "/" in name or os.sep in name or name.endswith(".gin"):
        file = pathlib.Path(name)
        if file.is_dir():
            raise InputError(
                f"a recipe must be a file, {name} is a folder; "
                f"the recipe of a run folder is {file / 'config.gin'}"
            )
        if not file.is_file():
            raise InputError(f"recipe {name} does not exist; give one of {listed()}")
        return file
    if name not in names():
        raise InputError(
            f"unknown recipe {shown(name)}{nearest(name, names())}; give one of {listed()}"
        )
    return folder() / "experiments" / f"{name}.gin"


def split_settings(words: Iterable[str]) -> dict[str, str]:
    """Return the texts of settings by name, from words `NAME=value`; the last of a name counts.

    Raises:
      InputError: a word has another form, or two settings exclude each other.
    """
    settings = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"a setting must be NAME=value, such as SEED=3; got {shown(word)}")
        settings[name] = text
    for name in ("EPOCHS", "HOURS"):
        if {"STEPS", name} <= set(settings):
            raise InputError(
                f"give STEPS or {name}, not both: the {name.lower()} would replace the steps"
            )
    return settings


def setting_value(name: str, text: str, default: Any, is_text: bool = False) -> Any:
    """Return the value of `NAME=text`, of the type of the value that it replaces.

    Text needs no quotes, `true` and `false` have any case, and integers are numbers too. The text
    is a literal of Python or itself: it is never evaluated, and refers to nothing.

    Args:
      name: name of the setting.
      text: what was typed after the equals sign.
      default: value in the recipe; `REQUIRED` if it has none.
      is_text: whether the setting holds text where its default, such as None, does not tell.

    Raises:
      InputError: the text is empty, or a value of another type.
    """
    literal = _literal(text)
    if text == "" or (isinstance(literal, str) and not literal.strip()):
        advice = f"leave out {name}= to use the value of the recipe"
        if default is REQUIRED:
            advice = "give a path, and check the variables of the shell in it"
        raise InputError(f"{name} must have a value, was empty; {advice}")
    if default is REQUIRED or isinstance(default, str):
        return literal if isinstance(literal, str) else text
    if default is None:
        is_value = not is_text or literal is None or isinstance(literal, str)
        return literal if is_value else text
    if isinstance(default, float) and _is_number(literal):
        return float(literal)
    if isinstance(default, (list, tuple)) and isinstance(literal, (list, tuple)):
        return type(default)(literal)
    if type(literal) is not type(default):
        raise InputError(
            f"{name} must be {_type_name(default)}, such as {default!r}; got {shown(text)}"
        )
    return literal


def _literal(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() == "none":
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of unknown escapes, as in quoted paths of Windows.
            return ast.literal_eval(text)
    # Python refuses deep nesting by the last two.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _is_number(value: Any) -> bool:
    """Return whether a value is a number that a float can hold."""
    try:
        float(value)
    except (OverflowError, TypeError, ValueError):
        return False
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _type_name(value: Any) -> str:
    type_names = {bool: "true or false", int: "an integer", float: "a number"}
    return type_names.get(type(value), f"a {type(value).__name__}")
