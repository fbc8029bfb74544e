"""Recipes as files and words: where they lie, what they are called, what NAME=value means."""

import ast
import difflib
import os
import pathlib

from official_nlp.errors import InputError

# A required setting is a name of a file or folder: its value stays the text that was typed.
REQUIRED = object()


def folder() -> pathlib.Path:
    """The packaged recipes: inside the installed package, or beside it in a checkout."""
    package = pathlib.Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def names() -> list[str]:
    """Short names of the recipes that come with the program."""
    return sorted(file.stem for file in (folder() / "experiments").glob("*.gin"))


def summary(name: str) -> str:
    """What a packaged recipe says of itself: its first line, without the comment sign."""
    with open(folder() / "experiments" / f"{name}.gin", encoding="utf-8") as lines:
        return next(lines).lstrip("# ").rstrip()


def table() -> str:
    """The recipes that come with the program, a line each with what it says of itself."""
    width = max(map(len, names())) + 2
    return "\n".join(f"  {name:<{width}}{summary(name)}" for name in names())


def listed() -> str:
    return f"{', '.join(names())}, or the path of a .gin file"


def check_together(settings) -> None:
    """Refuses settings of which each would undo the other."""
    if {"STEPS", "EPOCHS"} <= set(settings):
        raise InputError("give STEPS or EPOCHS, not both: epochs take the place of steps")


def find(name: str) -> pathlib.Path:
    """The file of a recipe: a path if it contains `/` or ends in `.gin`, else a short name."""
    if "/" in name or os.sep in name or name.endswith(".gin"):
        file = pathlib.Path(name)
        if file.is_dir():
            raise InputError(
                f"a recipe is a file, {name} is a folder; "
                f"the recipe of a run folder is {file / 'config.gin'}"
            )
        if not file.is_file():
            raise InputError(f"no such recipe: {name}; a recipe is {listed()}")
        return file
    if name not in names():
        raise InputError(f"unknown recipe {name!r}{nearest(name, names())}; a recipe is {listed()}")
    return folder() / "experiments" / f"{name}.gin"


def split_setting(word: str) -> tuple[str, str]:
    """`NAME=value` as name and text."""
    name, equals, text = word.partition("=")
    if not equals or not name.isidentifier():
        raise InputError(f"{word!r} must be NAME=value, such as SEED=3")
    return name, text


def setting_value(name: str, text: str, default):
    """What the text of `NAME=text` means, by the kind of value that the recipe has there.

    Text needs no quotes, `true` and `false` have any case, whole numbers fit where a real one is.
    """
    literal = _literal(text)
    if default is REQUIRED or isinstance(default, str):
        return literal if isinstance(literal, str) else text
    if default is None:
        return literal
    if isinstance(default, float) and _is_number(literal):
        return float(literal)
    if isinstance(default, (list, tuple)) and isinstance(literal, (list, tuple)):
        return type(default)(literal)
    if type(literal) is not type(default):
        raise InputError(f"{name} must be {_kind(default)}, such as {default!r}; got {text!r}")
    return literal


def nearest(name: str, known) -> str:
    """` (did you mean X?)` when something similar is known, else nothing."""
    upper = {candidate.upper(): candidate for candidate in known}
    found = difflib.get_close_matches(name.upper(), upper, n=1, cutoff=0.6)
    return f" (did you mean {upper[found[0]]}?)" if found else ""


def _literal(text: str):
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() == "none":
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _kind(value) -> str:
    kinds = {bool: "true or false", int: "a whole number", float: "a number"}
    return kinds.get(type(value), f"a {type(value).__name__}")
