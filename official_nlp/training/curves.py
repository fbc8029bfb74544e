"""Draws the metrics of a run as curves over the step."""

import contextlib
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from official_nlp.files import atomic
from official_nlp.training import metrics_log

# Words in the names of metrics that are differences from a baseline, and may be negative.
_DIFFERENCE = ("below", "above", "minus", "excess")
# Panels with a fixed position: the total loss and the learning rate come last.
_TOTAL, _RATE, _OTHER = "total loss", "learning rate", "other metrics"


def draw(
    metrics: pathlib.Path, to: pathlib.Path, baselines: Mapping[str, float] | None = None
) -> None:
    """Draw `metrics.jsonl` as a PNG image; draw nothing if it holds no metrics yet.

    Metrics go to panels by their names, see `panel`. Training is a thin line, an evaluation set a
    thick one of the same color; phases are separated by dotted lines.

    Args:
      metrics: path of `metrics.jsonl`.
      to: path of the image.
      baselines: horizontal lines by name, such as the loss of word frequencies alone. A line goes
        to the panel of a metric of that name, or else to the first panel.
    """
    lines = metrics_log.read(metrics)
    panels = _by_panel(dict.fromkeys(name for line in lines for name in line))
    if not panels:
        return
    with drawn(to, len(panels)) as axes:
        by_title = dict(zip(panels, axes))
        for title, names in panels.items():
            _draw_panel(by_title[title], title, names, lines)
        for name, value in (baselines or {}).items():
            draw_baseline(by_title.get(panel(name) or "", axes[0]), name, value)
        for each in axes:
            each.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
        axes[-1].set_xlabel("step")


@contextlib.contextmanager
def drawn(to: pathlib.Path, panels: int = 1) -> Iterator[Sequence[Any]]:
    """Yield the axes of panels, one below the other, and write them as a PNG image afterwards.

    Args:
      to: path of the image.
      panels: number of panels.
    """
    # Imported late: nothing else in training needs it. The Agg canvas needs no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    image = Figure(figsize=(9, 3 * panels), layout="constrained")
    canvas = FigureCanvasAgg(image)
    yield list(image.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])
    image.set_dpi(110)
    with atomic.replacing(to) as temporary:
        canvas.print_png(str(temporary))


def panel(name: str) -> str | None:
    """Return the title of the panel of a metric, or None for one that is not drawn.

    Losses share a panel by the first word of their names (`mlm_loss`, `mlm_mask_loss`). All areas
    under the curve share one, all accuracies, and all differences from a baseline. Other metrics of
    evaluation sets share the last.
    """
    set_name, _, stem = name.rpartition("/")
    if any(word in stem for word in _DIFFERENCE):
        return "distance from a baseline"
    if "auc" in stem:
        return "area under the ROC curve"
    if "accuracy" in stem:
        return "accuracy"
    if stem == "loss":
        return _TOTAL
    if "loss" in stem and not stem.endswith("scale"):
        return f"{stem.split('_')[0]} loss"
    if stem == "learning_rate":
        return _RATE
    return _OTHER if set_name and set_name != metrics_log.TRAIN else None


def _by_panel(names: Iterable[str]) -> dict[str, list[str]]:
    """Return names by panel: losses first in their order, total and learning rate last."""
    panels: dict[str, list[str]] = {}
    for name in names:
        title = panel(name)
        if title:
            panels.setdefault(title, []).append(name)
    last = (_OTHER, _TOTAL, _RATE)

    def rank(title):
        if title in last:
            return 2 + last.index(title)
        return 0 if title.endswith("loss") else 1

    return {title: panels[title] for title in sorted(panels, key=rank)}


def _draw_panel(axes, title, names, lines):
    axes.set_title(title, fontsize=10)
    colors: dict[str, str] = {}
    for name in names:
        points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
        if not points:
            continue
        set_name, _, stem = name.rpartition("/")
        color = colors.setdefault(stem, f"C{len(colors) % 10}")
        is_evaluation = set_name not in ("", metrics_log.TRAIN)
        style = {"linewidth": 1.8, "marker": "."} if is_evaluation else {"linewidth": 0.8}
        axes.plot(*zip(*points), label=name, color=color, **style)
    for before, after in itertools.pairwise(lines):
        if after["phase"] != before["phase"]:
            axes.axvline(before["step"], color="black", linestyle=":", linewidth=1)


def draw_baseline(axes: Any, name: str, value: float) -> None:
    """Draw a horizontal line with its name."""
    axes.axhline(value, color="gray", linestyle="--", linewidth=1)
    axes.annotate(name, (0.005, value), xycoords=("axes fraction", "data"), size=7, va="bottom")
