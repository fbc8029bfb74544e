"""The verbs of the command, one module each.

The module of a verb has

- a docstring: the text of `electra VERB --help`. Its first line is also the line of the verb in
  `electra --help`;
- `add_arguments(parser)`: the only declaration of the options, their defaults and their help;
- `run(args)`: calls the library with the values of the options, and prints the result.

Importing it must be fast, for help and for usage errors: whatever imports TensorFlow, which takes
seconds, is imported inside `run`.
"""

import importlib
import types

from official_nlp.errors import InputError, nearest

# In the order of use.
VERBS = (
    *("vocab", "examples", "train", "sweep", "evaluate", "predict", "info", "convert"),
    *("export", "serve"),
)


def load(verb: str) -> types.ModuleType:
    """Return the module of a verb.

    Raises:
      InputError: there is no such verb.
    """
    if verb not in VERBS:
        raise InputError(
            f"unknown verb {verb!r}{nearest(verb, VERBS)}; the verbs are {', '.join(VERBS)}"
        )
    return importlib.import_module(f"{__name__}.{verb}")


def summary(verb: str) -> str:
    """Return what a verb does, in one line."""
    return (load(verb).__doc__ or "").partition("\n")[0].rstrip(".")
