"""Figures of the report as inline SVG: no picture files, no script, and colours that follow the page, light or dark."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from .cues import CUES, orient
from .results import SetResult

INK = "#010203"
"""Stands for the page's text colour in figures; no other use of this very shade is made."""
COLOURS = ("#3b82c4", "#e0693e", "#4c9f70", "#a368b8", "#b98a2f")
INTACT, DAMAGED = COLOURS[0], COLOURS[1]

_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "svg.fonttype": "none",  # text stays text: sharp, selectable, in the page's font
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "damageland",  # the same figure gives the same bytes
}


def svg_of(figure: Figure) -> str:
    """A figure as an ``<svg>`` element that scales with the page, without addresses, metadata or fixed ink."""
    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)  # HTML knows svg elements without them
    svg = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", svg)
    svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg)
    return re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg).replace(INK, "currentColor")


def _axes() -> tuple[Figure, Axes]:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(3.3, 2.5), layout="constrained")
        return figure, figure.add_subplot()


def draw_set(result: SetResult, thresholds: Mapping[str, float]) -> list[str]:
    """Histogram of scores by class, and where both classes are there the ROC curve beside those of the cues."""
    known = result.labelled
    scores = np.array([row.score for row in known])
    defect = np.array([bool(row.defect) for row in known], dtype=bool)
    figures = [_draw_histogram(result, scores, defect, thresholds)] if known else []
    if known and defect.any() and not defect.all():
        figures.append(_draw_roc(result, scores, defect))
    return figures


def _draw_histogram(result: SetResult, scores: np.ndarray, defect: np.ndarray, thresholds: Mapping[str, float]) -> str:
    figure, axes = _axes()
    bins = np.linspace(0, 1, 26).tolist()
    with matplotlib.rc_context(_STYLE):
        for side, colour, name in ((~defect, INTACT, "intact"), (defect, DAMAGED, "damaged")):
            if side.any():
                axes.hist(scores[side], bins, color=colour, alpha=0.6, label=f"{name} ({side.sum()})")
        for modality in sorted({row.modality for row in result.labelled} & set(thresholds)):
            label = f"threshold {modality} {thresholds[modality]:.3g}"
            axes.axvline(thresholds[modality], color=INK, lw=1, ls=":", label=label)
        axes.set(xlabel="damage score", ylabel="captures", xlim=(0, 1))
        axes.legend(loc="best")
    return svg_of(figure)


def _draw_roc(result: SetResult, scores: np.ndarray, defect: np.ndarray) -> str:
    figure, axes = _axes()
    with matplotlib.rc_context(_STYLE):
        axes.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":")
        for colour, cue in zip(COLOURS[2:], CUES, strict=True):
            values = orient(np.array([row.cues[cue] for row in result.labelled]), defect)
            fpr, tpr, _ = roc_curve(defect, values)
            axes.plot(fpr, tpr, color=colour, lw=1, label=cue.removeprefix("cue_"))
        fpr, tpr, _ = roc_curve(defect, scores)
        axes.plot(fpr, tpr, color=COLOURS[0], lw=2.2, label="detector")
        axes.set(xlabel="false-positive rate", ylabel="true-positive rate", xlim=(0, 1), ylim=(0, 1.02))
        axes.legend(loc="lower right")
    return svg_of(figure)


def draw_curves(log: Mapping[str, Sequence[str]]) -> list[str]:
    """Training curves from the columns of log.csv: a figure per ``stage``, a line per numeric column over ``step``.

    Thin lines are the logged values, thick ones their moving average. Empty fields are gaps.
    """
    numbers = {name: _numbers(values) for name, values in log.items() if name not in ("stage", "lr")}
    steps = numbers.pop("step", np.zeros(0))
    stages = np.array(log.get("stage") or [""] * len(steps))
    figures = []
    for stage in dict.fromkeys(stages.tolist()):
        lines = {name: np.where(stages == stage, values, np.nan) for name, values in numbers.items()}
        lines = {name: values for name, values in lines.items() if (np.isfinite(values) & np.isfinite(steps)).sum() > 1}
        if lines:
            figures.append(_draw_stage(stage, steps, lines))
    return figures


def _draw_stage(stage: str, steps: np.ndarray, lines: Mapping[str, np.ndarray]) -> str:
    figure, axes = _axes()
    with matplotlib.rc_context(_STYLE):
        for colour, (name, values) in zip(COLOURS, lines.items(), strict=False):
            here = np.isfinite(values) & np.isfinite(steps)
            axes.plot(steps[here], values[here], lw=0.7, alpha=0.35, color=colour)
            axes.plot(steps[here], _moving_average(values[here]), lw=1.8, color=colour, label=name.replace("_", " "))
        axes.set(xlabel="step", title=stage, ylim=(0, None))
        axes.legend(loc="best")
    return svg_of(figure)


def _numbers(values: Sequence[str]) -> np.ndarray:
    """Fields as floats, NaN where a field is empty or no number."""
    numbers = []
    for value in values:
        try:
            numbers.append(float(value))
        except ValueError:
            numbers.append(np.nan)
    return np.array(numbers)


def _moving_average(values: np.ndarray) -> np.ndarray:
    width = max(1, len(values) // 12)
    kernel = np.ones(width)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
