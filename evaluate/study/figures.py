"""The two pictures of the first page: transfer over k, and the differences that the verdict rests on."""

from collections.abc import Sequence

import matplotlib

from ..figures import _STYLE, COLOURS, INK, _axes, svg_of
from .spec import StudySpec
from .table import HEADINGS, RGB_ONLY
from .verdict import Cells, Difference


def draw_curves(cells: Cells, spec: StudySpec, called: str) -> str:
    """The headline figure over k, a line for each row that learns from real captures, a level for renders alone."""
    figure, axes = _axes()
    figure.set_size_inches(5.2, 3.4)
    rows = list(dict.fromkeys(row for row, k in cells if k and RGB_ONLY not in row))
    alone = cells.get(("renders only", 0))
    with matplotlib.rc_context(_STYLE):
        for number, row in enumerate(rows):
            colour, name = COLOURS[number % len(COLOURS)], row.replace("real", called)
            found = sorted((k, cells[row, k].rank(spec.headline).estimate) for r, k in cells if r == row)
            told = [(k, e) for k, e in found if e.value is not None]
            if not told:
                continue
            ks, values = [k for k, _ in told], [e.value or 0.0 for _, e in told]
            axes.plot(
                ks, values, "o-", color=colour, lw=2.2 if row in (spec.claim, "real only") else 1.2, ms=3.5, label=name
            )
            if row in (spec.claim, "real only") and all(e.low is not None for _, e in told):
                low, high = [e.low or 0.0 for _, e in told], [e.high or 0.0 for _, e in told]
                axes.fill_between(ks, low, high, color=colour, alpha=0.15, lw=0)
        if alone is not None and alone.rank(spec.headline).value is not None:
            axes.axhline(alone.rank(spec.headline).value or 0.0, color=INK, lw=1, ls=":", label="renders only")
        axes.set_xscale("log")
        ticks = sorted({k for _, k in cells if k})
        axes.set_xticks(ticks or [1], [str(k) for k in ticks or [1]])
        axes.minorticks_off()
        axes.set(xlabel=f"k: damaged {called} captures learned from", ylabel=HEADINGS[spec.headline])
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best")
    return svg_of(figure)


def draw_differences(found: Sequence[Difference], spec: StudySpec, called: str) -> str:
    """Each difference with its interval, beside no difference."""
    told = [one for one in found if one.estimate.value is not None]
    figure, axes = _axes()
    figure.set_size_inches(5.2, 0.8 + 0.42 * max(2, len(told)))
    with matplotlib.rc_context(_STYLE):
        axes.axvline(0, color=INK, lw=0.8, ls=":")
        for y, one in enumerate(reversed(told)):
            value, low, high = one.estimate.value or 0.0, one.estimate.low, one.estimate.high
            colour = COLOURS[0] if one.better else COLOURS[1]
            if low is not None and high is not None:
                axes.plot([low, high], [y, y], color=colour, lw=2)
            axes.plot([value], [y], "o", color=colour, ms=5)
        axes.set_yticks(
            range(len(told)), [f"k = {one.k}, less {one.theirs.replace('real', called)}" for one in reversed(told)]
        )
        axes.set(
            xlabel=f"{HEADINGS[spec.headline]} of '{spec.claim}' less the rival's", ylim=(-0.6, max(1, len(told)) - 0.4)
        )
    return svg_of(figure)
