"""Draws what a run measured."""

import itertools
import pathlib
from collections.abc import Mapping

from official_nlp.training import journal

# Panels in order: title, what a figure's name must contain, whether the axis is logarithmic.
_PANELS = (
    ("area under the ROC curve", "auc", False),
    ("accuracy", "accuracy", False),
    ("loss", "loss", True),
    ("learning rate", "learning_rate", False),
)


def draw(metrics: pathlib.Path, to: pathlib.Path, references: "Mapping[str, float] | None" = None):
    """Draws `metrics.jsonl` as curves over the step; nothing if nothing was measured yet.

    Losses, areas, accuracies and the learning rate have a panel each. Training is thin, held-out
    data thick, the borders of phases are dotted.

    Args:
      metrics: path of `metrics.jsonl`.
      to: path of the image.
      references: horizontal lines by name, such as what a model of word frequencies reaches. They
        go where a figure of that name would: names with "auc" or "accuracy" to those panels, all
        others to the losses.
    """
    lines = journal.read(metrics)
    if not lines:
        return
    figures = _by_panel(dict.fromkeys(name for line in lines for name in line))
    lines_of = _by_panel(references or {}, other="loss")
    panels = [panel for panel in _PANELS if figures[panel[1]]]
    # Imported here, as no other part of training needs it. Agg needs no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    for index, (title, kind, logarithmic) in enumerate(panels):
        axes = figure.add_subplot(len(panels), 1, index + 1, title=title, xlabel="step")
        for name in figures[kind]:
            _curve(axes, lines, name)
        for name in lines_of[kind]:
            axes.axhline(references[name], color="gray", linestyle="--", linewidth=1)
            axes.annotate(name, (0, references[name]), xycoords=("axes fraction", "data"), size=7)
        _borders(axes, lines)
        if logarithmic and _all_positive(lines, figures[kind]):
            axes.set_yscale("log")
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    temporary = to.with_name(f".{to.name}.new")
    figure.savefig(temporary, dpi=110, format="png")
    temporary.replace(to)


def _by_panel(names, other: "str | None" = None) -> dict[str, list[str]]:
    result = {kind: [] for _, kind, _ in _PANELS}
    for name in names:
        kind = next((kind for kind in result if kind in name), other)
        if kind:
            result[kind].append(name)
    return result


def _curve(axes, lines, name):
    points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
    if not points:
        return
    held_out = name.startswith("held_out/")
    axes.plot(
        *zip(*points),
        label=name,
        linewidth=1.8 if held_out else 0.8,
        marker="." if held_out else "",
    )


def _borders(axes, lines):
    for before, after in itertools.pairwise(lines):
        if after["phase"] != before["phase"]:
            axes.axvline(before["step"], color="black", linestyle=":", linewidth=1)


def _all_positive(lines, names) -> bool:
    return all(line[name] > 0 for line in lines for name in names if line.get(name) is not None)
