"""From logits to predictions of text classifiers, the same in evaluation and in `Predictor`.

What was fitted on a development set or recorded of the data are keys of the model's `config.json`,
which the transformers library retains and ignores.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from official_nlp.errors import InputError
from official_nlp.ranges import ByName, Choice, Integer, ListOf, Number, Text
from official_nlp.tasks.probabilities import softmax

# Keys of config.json: divisor of the logits; smallest probability of a predicted label, by label;
# treatment of texts that are longer than a sequence; smallest and largest value of a regression;
# columns of the training table, and column of the words of tagged files.
TEMPERATURE = "calibration_temperature"
THRESHOLDS = "label_thresholds"
LONG_TEXTS = "long_texts"
VALUE_RANGE = "value_range"
COLUMNS = "table_columns"
TOKEN_COLUMN = "token_column"
# Those of a classifier through the replaced-token head: its template; the word of each label.
LABEL_TEMPLATE = "label_template"
LABEL_WORDS = "label_words"
TRUNCATE, WINDOWS = "truncate", "windows"
# Smaller probabilities have no logarithm in float32.
LEAST = 1e-30
_RANGES = {
    TEMPERATURE: Number(1e-3, 1e3),
    THRESHOLDS: ByName(Number(0, 1)),
    LONG_TEXTS: Choice((TRUNCATE, WINDOWS)),
    VALUE_RANGE: ListOf(Number(-1e12, 1e12), least=2),
    COLUMNS: ByName(Text()),
    TOKEN_COLUMN: Integer(-1000, 1000),
    LABEL_TEMPLATE: Text(),
    LABEL_WORDS: ByName(Text()),
}


def fitted_value(extra: Mapping[str, Any], key: str, default: Any) -> Any:
    """Return a fitted value of a configuration.

    Args:
      extra: the keys of `config.json` that are no fields of `ElectraConfig`.
      key: one of the keys of this module.
      default: the value if the key is absent.

    Raises:
      InputError: the value has another type or is out of range.
    """
    if key not in extra:
        return default
    _RANGES[key].require(f"{key} in config.json", extra[key])
    return extra[key]


def calibrated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities `[..., labels]` of the logits divided by a temperature.

    Reference: Guo et al. 2017 (arXiv 1706.04599), section 4.2.
    """
    if temperature == 1.0:
        return probabilities
    return softmax(logits_of(probabilities) / temperature)


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    """Return logits of probabilities, which may be the means over the windows of a text."""
    return np.log(np.maximum(probabilities, LEAST))


def limited(values: np.ndarray, value_range: Sequence[float] | None) -> np.ndarray:
    """Return predicted numbers within the range of a regression; None for any numbers."""
    return values if value_range is None else np.clip(values, value_range[0], value_range[1])


def thresholds_of(extra: Mapping[str, Any], labels: Sequence[str]) -> dict[str, float] | None:
    """Return the smallest probability of each label, None where none were fitted.

    Raises:
      InputError: they are not those of the labels.
    """
    found = fitted_value(extra, THRESHOLDS, None)
    if found is not None and set(found) != set(labels):
        raise InputError(
            f"{THRESHOLDS} in config.json must name the labels {', '.join(labels)}, named "
            f"{', '.join(found)}: copy the model again"
        )
    return found
