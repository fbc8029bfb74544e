"""One self-contained HTML page for a fine-tuning run: metrics, curves and errors."""

import base64
import html
import operator
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from official_nlp.data.tables.choices import ChoiceExample
from official_nlp.tasks.metrics import classification, entities

# Errors that a page shows, and characters of a text.
_ERRORS, _CHARACTERS = 30, 500
# Bins of the calibration table.
_BINS = 10


class Section(NamedTuple):
    """A part of the page.

    Attributes:
      title: its heading.
      body: HTML, in which outside text is escaped.
    """

    title: str
    body: str


def page(
    title: str,
    metrics: Mapping[str, Mapping[str, float]],
    curves: pathlib.Path,
    sections: Mapping[str, Sequence[Section]],
) -> str:
    """Return the page.

    Args:
      title: heading of the page.
      metrics: metrics by set and name.
      curves: PNG file of the curves of a run; left out where it does not exist.
      sections: further parts by set.
    """
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    rows = [
        [set_name, *(f"{values[name]:.4f}" if name in values else "" for name in names)]
        for set_name, values in metrics.items()
    ]
    parts = [table(["set", *names], rows)]
    if curves.is_file():
        parts.append(f"<h2>Curves</h2>{image(curves)}")
    for set_name, each in sections.items():
        for section in each:
            parts.append(f"<h2>{html.escape(f'{section.title} ({set_name})')}</h2>{section.body}")
    return document(title, parts)


def document(title: str, parts: Iterable[str]) -> str:
    """Return a self-contained page of parts in HTML, below its title."""
    heading = f"<h1>{html.escape(title)}</h1>"
    return _PAGE.format(title=html.escape(title), body="\n".join([heading, *parts]))


def image(file: pathlib.Path) -> str:
    """Return the content of a PNG file as an image of HTML."""
    content = base64.b64encode(file.read_bytes()).decode()
    return f'<img alt="curves" src="data:image/png;base64,{content}">'


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table; every cell is escaped."""
    return marked_table(head, ([html.escape(str(cell)) for cell in row] for row in rows))


def marked_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose cells are HTML; the heads are escaped."""
    lines = ["<tr>" + "".join(f"<th>{html.escape(str(cell))}" for cell in head)]
    lines += ["<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows]
    return "<table>" + "\n".join(lines) + "</table>"


def shortened(text: str) -> str:
    """Return a text, cut where it is long."""
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]} ..."


# === Classification ===


def confusion_matrix(
    labels: Sequence[str], targets: np.ndarray, probabilities: np.ndarray
) -> Section:
    """Return how often each label was predicted for each true label.

    Args:
      labels: names of the labels.
      targets: integers `[examples]`.
      probabilities: `[examples, labels]`.
    """
    counts = np.zeros([len(labels)] * 2, int)
    np.add.at(counts, (targets, probabilities.argmax(axis=1)), 1)
    rows = [[label, *row] for label, row in zip(labels, counts.tolist())]
    return Section("Confusion matrix", table(["true \\ predicted", *labels], rows))


def calibration(targets: np.ndarray, probabilities: np.ndarray) -> Section:
    """Return accuracy by confidence, and the expected calibration error.

    Args:
      targets: integers `[examples]`.
      probabilities: `[examples, labels]`.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    rows = [
        [
            f"{number / _BINS:.1f} to {(number + 1) / _BINS:.1f}",
            int(inside.sum()),
            f"{confidence[inside].mean():.3f}",
            f"{right[inside].mean():.3f}",
        ]
        for number in range(_BINS)
        if (inside := bins == number).any()
    ]
    error = classification.expected_calibration_error(probabilities, targets)
    found = table(["confidence", "examples", "mean confidence", "accuracy"], rows)
    return Section("Calibration", f"<p>Expected calibration error {error:.4f}.</p>{found}")


def worst_errors(
    labels: Sequence[str], texts: Sequence[str], targets: np.ndarray, probabilities: np.ndarray
) -> Section:
    """Return the wrong predictions of highest confidence.

    Args:
      labels: names of the labels.
      texts: text of each example.
      targets: integers `[examples]`.
      probabilities: `[examples, labels]`.
    """
    predicted = probabilities.argmax(axis=1)
    names = np.array(labels, object)
    rows = [
        [
            names[targets[n]],
            names[predicted[n]],
            f"{probabilities[n, predicted[n]]:.3f}",
            shortened(texts[int(n)]),
        ]
        for n in _surest_errors(targets, probabilities)
    ]
    return Section("Worst errors", table(["true", "predicted", "probability", "text"], rows))


def wrong_choices(
    examples: Sequence[ChoiceExample], targets: np.ndarray, probabilities: np.ndarray
) -> Section:
    """Return the wrong choices of highest confidence.

    Args:
      examples: the examples of multiple choice.
      targets: integers `[examples]`, the right choices.
      probabilities: `[examples, choices]`.
    """
    predicted = probabilities.argmax(axis=1)
    rows = []
    for n in _surest_errors(targets, probabilities):
        example = examples[int(n)]
        right, wrong = example.choices[targets[n]], example.choices[predicted[n]]
        texts = [shortened(text) for text in (right, wrong, example.text)]
        rows.append([*texts[:2], f"{probabilities[n, predicted[n]]:.3f}", texts[2]])
    return Section("Worst errors", table(["true", "predicted", "probability", "text"], rows))


def _surest_errors(targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the numbers of the wrong predictions of highest confidence, the surest first."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != targets)
    return wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:_ERRORS]


def label_table(labels: Sequence[str], targets: np.ndarray, predicted: np.ndarray) -> Section:
    """Return precision, recall and F1 of each label of a multi-label problem.

    Args:
      labels: names of the labels.
      targets: 0 or 1, `[examples, labels]`.
      predicted: bool `[examples, labels]`.
    """
    rows = []
    for number, label in enumerate(labels):
        true, found = targets[:, number] > 0, predicted[:, number]
        both = int((true & found).sum())
        precision, recall = both / max(int(found.sum()), 1), both / max(int(true.sum()), 1)
        f1 = 2 * both / max(int(true.sum() + found.sum()), 1)
        rows.append([label, int(true.sum()), f"{precision:.3f}", f"{recall:.3f}", f"{f1:.3f}"])
    return Section("Labels", table(["label", "examples", "precision", "recall", "F1"], rows))


def largest_differences(texts: Sequence[str], targets: np.ndarray, values: np.ndarray) -> Section:
    """Return the predictions of a regression that are farthest from their target.

    Args:
      texts: text of each example.
      targets, values: `[examples]`.
    """
    order = np.argsort(-np.abs(targets - values), kind="stable")[:_ERRORS]
    rows = [[f"{targets[n]:.4g}", f"{values[n]:.4g}", shortened(texts[int(n)])] for n in order]
    return Section("Largest differences", table(["true", "predicted", "text"], rows))


# === Tags ===


def type_table(counts: Mapping[str, entities.TypeCounts]) -> Section:
    """Return precision, recall and F1 of each type of entity.

    Args:
      counts: numbers of entities by type.
    """
    rows = [
        [name, n.true, n.predicted, f"{n.precision:.3f}", f"{n.recall:.3f}", f"{n.f1:.3f}"]
        for name, n in counts.items()
    ]
    head = ["type", "true", "predicted", "precision", "recall", "F1"]
    return Section("Entities by type", table(head, rows))


def wrong_tags(
    sentences: Sequence[str], tags: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> Section:
    """Return the sentences with the most wrong tags.

    Args:
      sentences: text of each sentence.
      tags, predicted: true and predicted tags of its words.
    """
    wrong = np.array([sum(map(operator.ne, *pair)) for pair in zip(tags, predicted)])
    order = np.argsort(-wrong, kind="stable")[:_ERRORS]
    rows = [
        [int(wrong[n]), *map(shortened, (sentences[n], " ".join(tags[n]), " ".join(predicted[n])))]
        for n in order
        if wrong[n]
    ]
    return Section("Most wrong tags", table(["wrong", "words", "true", "predicted"], rows))


# Doubled braces are single ones after `str.format`.
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto }}
td, th {{ text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0 }}
img {{ max-width: 100% }}
mark {{ border-radius: .2rem; padding: 0 .15rem }}
</style>
{body}
"""
