"""Write predictions in the format that the name of a file asks for."""

import csv
import io
import json
import os
import pathlib
from collections.abc import Sequence

from official_nlp.errors import InputError
from official_nlp.inference.head import Prediction
from official_nlp.inference.multiple_choice import Choice
from official_nlp.inference.question_answering import Answer
from official_nlp.inference.sequence_classification import (
    Classification,
    MultiLabelClassification,
    Regression,
)
from official_nlp.output import escaped

_HEADER = ("index", "prediction")
_SEPARATORS = {".tsv": "\t", ".csv": ","}
# Numbers of a limited range, such as the similarities of STS-B, have three decimals in GLUE.
_DECIMALS = ".3f"
_DIGITS = ".6g"


def is_table(path: str | os.PathLike) -> bool:
    """Return whether predictions are written to this file as a table of indices and labels."""
    return pathlib.Path(path).suffix.lower() in _SEPARATORS


def content(
    path: str | os.PathLike,
    results: Sequence[Prediction],
    ids: Sequence[str] | None = None,
    has_range: bool = False,
) -> str:
    """Return the content of a file of predictions.

    `.tsv`, the layout of GLUE's submissions, and `.csv` have a header and a row for each input:
    `index` and `prediction`, which is the label, the number, the number of the choice, or several
    labels or numbers as a JSON list. `.json` has the answers to questions in the format of SQuAD's
    submissions, `{id: answer}`. Any other file has a JSON object for each input.

    Args:
      path: the file.
      results: the predictions.
      ids: identifiers of the inputs; None to number them from 0.
      has_range: whether numbers are of a limited range: they have three decimals.

    Raises:
      InputError: a table cannot hold the results.
    """
    names = list(map(str, range(len(results)))) if ids is None else list(ids)
    if is_table(path):
        rows = [(name, _cell(result, has_range)) for name, result in zip(names, results)]
        if pathlib.Path(path).suffix.lower() == ".tsv":  # It has no quoting.
            lines = ["\t".join(map(escaped, row)) for row in (_HEADER, *rows)]
            return "".join(f"{line}\n" for line in lines)
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([_HEADER, *rows])
        return stream.getvalue()
    if pathlib.Path(path).suffix.lower() == ".json" and _are_answers(results):
        answers = {name: result.to_dict()["answer"] for name, result in zip(names, results)}
        return json.dumps(answers, ensure_ascii=False, indent=1) + "\n"
    return "".join(f"{result.to_json()}\n" for result in results)


def _are_answers(results: Sequence[Prediction]) -> bool:
    return bool(results) and all(isinstance(result, Answer) for result in results)


def _cell(result: Prediction, has_range: bool) -> str:
    match result:
        case Classification():
            return result.label
        case MultiLabelClassification():
            return json.dumps(result.labels, ensure_ascii=False)
        case Regression(value=list(values)):
            return json.dumps([float(_number(value, has_range)) for value in values])
        case Regression(value=float(value)):
            return _number(value, has_range)
        case Choice():
            return str(result.choice)
    raise InputError(
        "a .tsv or .csv file holds labels, numbers and choices, and this model predicts others: "
        "name a .jsonl file"
    )


def _number(value: float, has_range: bool) -> str:
    return format(value, _DECIMALS if has_range else _DIGITS)
