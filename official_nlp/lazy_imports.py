"""Import the public names of a package on first use."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_attributes(
    package: str, where: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package whose names are imported on first use.

    TensorFlow takes seconds to import. The help of the command and the tools for text do without.

    Args:
      package: name of the package, its `__name__`.
      where: `module:attribute` by public name, or `module` for a name that is a module. A module
        that opens with a dot is one of the package.

    Returns:
      The two functions of a module that PEP 562 describes.
    """

    def module_getattr(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = where[name].partition(":")
        value = importlib.import_module(module, package)
        if attribute:
            value = getattr(value, attribute)
        # The next access finds the name in the package and does not come here.
        setattr(sys.modules[package], name, value)
        return value

    def module_dir() -> list[str]:
        return sorted({*vars(sys.modules[package]), *where})

    return module_getattr, module_dir
