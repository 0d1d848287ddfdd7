"""The page of ``damageland feedback``: one HTML file that needs nothing else."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..evaluate.conclusions import count
from ..evaluate.figures import svg_of
from ..evaluate.metrics import Estimate
from .feedback import Feedback, wilson
from .feedback_sites import ROUND_FACES, Heat

TEMPLATES = Path(__file__).parent / "templates"
SHARED = Path(__file__).resolve().parents[1] / "evaluate" / "templates"
FEW = 3
"""Cells that fewer captures have shown are left grey."""
NET_INCH = 5.0
LEAST = 0.25
"""Faces are drawn at least so long against the longest side, so that thin packages can be read."""


def render_page(found: Feedback) -> str:
    """The page as HTML."""
    loader = ChoiceLoader([FileSystemLoader(TEMPLATES), FileSystemLoader(SHARED)])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"share": share, "money": money}
    return environment.get_template("feedback.html.j2").render(
        found=found,
        headline=headline(found),
        caveats=caveats(found),
        nets={family: Markup(svg_of(draw_net(heat))) for family, heat in found.heat.items()},
        sites={family: site_rows(heat) for family, heat in found.heat.items()},
        command=shlex.join(sys.argv),
    )


def share(estimate: Estimate) -> str:
    """A share in per cent with its interval; a dash without one."""
    if estimate.value is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f} %"
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def money(estimate: Estimate) -> str:
    """An amount with its interval."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "–"
    return f"{estimate.value:,.0f} [{estimate.low:,.0f}, {estimate.high:,.0f}]"


def site_rows(heat: Heat) -> list[tuple[str, int, int, Estimate]]:
    """Face, captures that show it, those with damage there, and the share; the worst first."""
    rows = [(name, heat.face_seen.get(name, 0), heat.face_damaged.get(name, 0)) for name in heat.faces]
    told = [(name, seen, hits, wilson(hits, seen)) for name, seen, hits in rows]
    return sorted(told, key=lambda row: (-(row[3].value or 0.0), heat.faces.index(row[0])))


def headline(found: Feedback) -> list[str]:
    """What the page says, in sentences that only state what was counted."""
    total = found.total
    told = [
        f"{count(total.items, 'item')} of {count(total.products, 'product')}: {total.damaged:,} damaged, "
        f"{share(total.rate)} (by {found.labels})."
    ]
    families = [line for line in found.parts["Packaging family"] if line.damaged]
    if len(found.parts["Packaging family"]) > 1 and families:
        worst, rest = families[0], found.parts["Packaging family"][-1]
        apart = (worst.rate.low or 0) > (rest.rate.high or 1)
        told.append(
            f"Most often damaged: {worst.name} ({share(worst.rate)}); least: {rest.name} ({share(rest.rate)})"
            f"{'.' if apart else '; their intervals overlap.'}"
        )
    for family, heat in found.heat.items():
        name, seen, hits, rate = site_rows(heat)[0]
        if hits:
            told.append(f"{family}: most often on the {name}, {share(rate)} of the {seen:,} captures that show it.")
    return told


def caveats(found: Feedback) -> list[str]:
    """What the numbers do not say."""
    told = [
        "Intervals are 95 %: Wilson's for shares; for cost exact ones (Clopper and Pearson), each severity at half the "
        "risk. They take items as independent; where there are fewer products than items, they are too narrow."
    ]
    if any(item.synthetic for item in found.items):
        told.append(
            "Rendered items break as often as their recipe asks (damaged_share, weights). Rates here compare families "
            "and sites under that recipe; they are no forecast of what arrives broken."
        )
    if found.total.unknown:
        told.append(
            f"Of {count(found.total.unknown, 'damaged item')} nobody says how severe the damage is: they are left out "
            "of severity and cost."
        )
    if found.labels != "the data's labels":
        told.append(
            "A model's verdicts are not the truth: its misses and false alarms are in these rates. Severity is that of "
            "the data where it agrees that the item is damaged, and unknown elsewhere."
        )
    return told


# Figures


def draw_net(heat: Heat) -> Figure:
    """The unfolded package: per cell, the share of captures showing it that are damaged there."""
    size = heat.size_mm / max(heat.captures, 1)
    places = round_net(size) if heat.faces == ROUND_FACES else box_net(size)
    width = max(x + w for x, _, w, _ in places.values())
    height = max(y + h for _, y, _, h in places.values())
    scale = NET_INCH / max(width, height)
    figure = Figure(figsize=(scale * width + 0.6, scale * height + 0.2))
    axes = figure.add_axes((0, 0, 1 - 0.6 / (scale * width + 0.6), 1))
    top = max([0.05, *(float(rate.max()) for rate in rates(heat).values() if np.isfinite(rate).any())])
    image = None
    for name, (x, y, w, h) in places.items():
        image = _draw_face(axes, heat, name, (x, y, w, h), top)
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_aspect("equal")
    axes.axis("off")
    if image is not None:
        bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02)
        bar.ax.set_yticks([0, top], ["0", f"{100 * top:.0f} %"])
    return figure


def _draw_face(axes: Axes, heat: Heat, name: str, place: tuple[float, float, float, float], top: float):
    x, y, w, h = place
    colours = colormaps["inferno"].with_extremes(bad="#8885")
    image = axes.imshow(
        rates(heat)[name], extent=(x, x + w, y, y + h), vmin=0, vmax=top, cmap=colours, interpolation="nearest"
    )
    axes.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor="#8888", lw=0.8))
    axes.text(x + w / 2, y + h / 2, name, color="#ddd", ha="center", va="center", fontsize=7)
    return image


def rates(heat: Heat) -> dict[str, np.ma.MaskedArray]:
    """Share of damaged captures per cell; masked where too few show it."""
    found = {}
    for name in heat.faces:
        seen = np.asarray(heat.seen[name])
        found[name] = np.ma.masked_where(seen < FEW, np.asarray(heat.damaged[name]) / np.maximum(seen, 1))
    return found


Places = Mapping[str, tuple[float, float, float, float]]


def box_net(size_mm: Sequence[float] | np.ndarray) -> Places:
    """Left, bottom, width and height of each face of a box's net, front in the second column."""
    w, d, h = (max(float(v), LEAST * float(max(size_mm))) for v in size_mm)
    return {
        "left": (0, d, d, h),
        "front": (d, d, w, h),
        "right": (d + w, d, d, h),
        "back": (2 * d + w, d, w, h),
        "top": (d, d + h, w, d),
        "bottom": (d, 0, w, d),
    }


def round_net(size_mm: Sequence[float] | np.ndarray) -> Places:
    """The unrolled side with the two ends above and below it."""
    across, height = float(size_mm[0]), max(float(size_mm[2]), LEAST * float(max(size_mm)))
    round_mm = np.pi * across
    middle = round_mm / 2 - across / 2
    return {
        "side": (0, across, round_mm, height),
        "top": (middle, across + height, across, across),
        "bottom": (middle, 0, across, across),
    }
