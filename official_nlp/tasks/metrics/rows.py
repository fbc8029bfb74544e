"""Checks that the metrics share."""

from typing import Any

import numpy as np

from official_nlp.errors import InputError


def paired(**sides: Any) -> tuple[np.ndarray, ...]:
    """Return arrays that have one row for each example.

    Args:
      **sides: sequences or arrays by the name of the argument, for the message.

    Raises:
      InputError: there are no rows, or not equally many on all sides.
    """
    arrays = {name: np.asarray(side) for name, side in sides.items()}
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        found = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise InputError(
            f"{' and '.join(sides)} must have one row for each example, at least one: {found}; "
            "give both for the whole evaluation set"
        )
    return tuple(arrays.values())
