"""Draws what a run measured."""

import itertools
import pathlib
from collections.abc import Mapping

from official_nlp.training import metrics_log

# Words in the name of a figure that is a difference, and may be negative.
_DIFFERENCE = ("below", "above", "minus", "excess")


def draw(metrics: pathlib.Path, to: pathlib.Path, references: Mapping[str, float] | None = None):
    """Draws `metrics.jsonl` as curves over the step; nothing if nothing was measured yet.

    Figures go to panels by their names, see `panel`. Training is thin, held-out data thick and of
    the same colour; the borders of phases are dotted.

    Args:
      metrics: path of `metrics.jsonl`.
      to: path of the image.
      references: horizontal lines by name, such as what a model of word frequencies reaches. They
        go where a figure of that name would, or else to the first panel.
    """
    lines = metrics_log.read(metrics)
    panels = _by_panel(dict.fromkeys(name for line in lines for name in line))
    if not panels:
        return
    # Imported here, as no other part of training needs it. Agg needs no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    image = Figure(figsize=(9, 3 * len(panels)), layout="constrained")
    FigureCanvasAgg(image)
    axes = image.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    by_title = dict(zip(panels, axes))
    for title, names in panels.items():
        _panel(by_title[title], title, names, lines)
    for name, value in (references or {}).items():
        _reference(by_title.get(panel(name), axes[0]), name, value)
    for each in axes:
        each.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    axes[-1].set_xlabel("step")
    temporary = to.with_name(f".{to.name}.new")
    image.savefig(temporary, dpi=110, format="png")
    temporary.replace(to)


def panel(name: str) -> str | None:
    """Returns the title of the panel of a figure, or None for one that is not drawn.

    Losses of one network, by the first word of their names (`mlm_loss`, `mlm_mask_loss`), share a
    panel; so do all areas (`auc`), accuracies, and differences to a baseline (`below`, ...).
    """
    stem = name.split("/")[-1]
    if any(word in stem for word in _DIFFERENCE):
        return "distance from a baseline"
    if "auc" in stem:
        return "area under the ROC curve"
    if "accuracy" in stem:
        return "accuracy"
    if stem == "loss":
        return "total loss"
    if "loss" in stem:
        return f"{stem.split('_')[0]} loss"
    return "learning rate" if stem == "learning_rate" else None


def _by_panel(names) -> dict[str, list[str]]:
    """Returns names by panel: losses first in their order, total and learning rate last."""
    panels = {}
    for name in names:
        title = panel(name)
        if title:
            panels.setdefault(title, []).append(name)
    last = ("total loss", "learning rate")
    order = sorted(panels, key=lambda t: (t in last, not t.endswith("loss"), t == last[1]))
    return {title: panels[title] for title in order}


def _panel(axes, title, names, lines):
    axes.set_title(title, fontsize=10)
    colours = {}
    for name in names:
        points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
        if not points:
            continue
        held_out = name.startswith("held_out/")
        colour = colours.setdefault(name.split("/")[-1], f"C{len(colours) % 10}")
        style = {"linewidth": 1.8, "marker": "."} if held_out else {"linewidth": 0.8}
        axes.plot(*zip(*points), label=name, color=colour, **style)
    for before, after in itertools.pairwise(lines):
        if after["phase"] != before["phase"]:
            axes.axvline(before["step"], color="black", linestyle=":", linewidth=1)


def _reference(axes, name, value):
    axes.axhline(value, color="gray", linestyle="--", linewidth=1)
    axes.annotate(name, (0.005, value), xycoords=("axes fraction", "data"), size=7, va="bottom")
