"""What packages of board share: boxes with folded edges, openings in panels, and the forms that their relief adds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import Delaunay

from ..materials import STOCKS, Stock, back_and_edge
from ..mesh import Relief, Sheet, make_sheet
from ..shapes import Mesh, box_panels, grid, join

FOLD_M = 0.0028
"""First row of vertices beside a folded edge; halved when finished, it bounds the fold's roundness. Much less than the
board's spacing makes slender triangles, whose folds yield at a touch."""


def ticks(
    length: float, spacing: float, *, edge: float = FOLD_M, marks: Sequence[float] = ()
) -> Float[np.ndarray, " n"]:
    """Places [m] of rows along a side: ends, a row close to each fold, ``marks``, and even steps between them."""
    edge = edge if 0 < edge < length / 4 else 0.0
    stops = {0.0, length, edge, length - edge, *(m for m in marks if 1.5 * edge < m < length - 1.5 * edge)}
    ordered = np.array(sorted(stops))
    out = [np.zeros(1)]
    for low, high in pairwise(ordered):
        out.append(np.linspace(low, high, max(1, round((high - low) / spacing)) + 1)[1:])
    return np.concatenate(out)


def _inside(outline: Float[np.ndarray, "k 2"], points: Float[np.ndarray, "n 2"]):
    """Which points lie in a polygon (even-odd rule)."""
    inside = np.zeros(len(points), bool)
    for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        crosses = (a[1] > points[:, 1]) != (b[1] > points[:, 1])
        rise = b[1] - a[1] if b[1] != a[1] else 1.0
        inside ^= crosses & (points[:, 0] < a[0] + (points[:, 1] - a[1]) / rise * (b[0] - a[0]))
    return inside


def _distance(outline: Float[np.ndarray, "k 2"], points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """Distance to a polygon's line."""
    out = np.full(len(points), np.inf)
    for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        side = b - a
        t = np.clip((points - a) @ side / max(side @ side, 1e-18), 0, 1)
        out = np.minimum(out, np.linalg.norm(points - a - t[:, None] * side, axis=1))
    return out


def resample(outline: Float[np.ndarray, "k 2"], step: float) -> Float[np.ndarray, "m 2"]:
    """Evenly spaced points along a closed line."""
    ring = np.concatenate([outline, outline[:1]])
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
    at = np.linspace(0, arc[-1], max(12, round(arc[-1] / step)), endpoint=False)
    return np.stack([np.interp(at, arc, ring[:, k]) for k in range(2)], axis=1)


def superellipse(
    middle: tuple[float, float], half: tuple[float, float], *, power: float, step: float
) -> Float[np.ndarray, "m 2"]:
    """A round (2) to nearly rectangular (8) outline, counter-clockwise, with points every ``step`` [m]."""
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    round_ = np.stack([np.sign(c) * np.abs(c) ** (2 / power), np.sign(s) * np.abs(s) ** (2 / power)], axis=1)
    return resample(np.array(middle) + round_ * np.array(half), step)


def notch_outline(middle: tuple[float, float], radius: float, *, step: float) -> Float[np.ndarray, "m 2"]:
    """A disc with points exactly left, right, above and below its middle: it may be centred on a panel's rim."""
    count = 4 * max(3, round(np.pi * radius / 2 / step))
    angle = 2 * np.pi * np.arange(count) / count
    return np.array(middle) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def flat_mesh(
    points: Float[np.ndarray, "n 2"],
    holes: Sequence[Float[np.ndarray, "_ 2"]] = (),
    border: Float[np.ndarray, "k 2"] | None = None,
) -> Int[np.ndarray, "f 3"]:
    """Triangles over points of a plane, without those in a hole or outside the border."""
    faces = Delaunay(points).simplices.astype(np.int64)
    a, b, c = (points[faces[:, k]] for k in range(3))
    turn = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    faces = np.where((turn < 0)[:, None], faces[:, ::-1], faces)
    keep, middle = np.abs(turn) > 1e-10, points[faces].mean(axis=1)
    for hole in holes:
        keep &= ~_inside(hole, middle)
    if border is not None:
        keep &= _inside(border, middle)
    return faces[keep]


def sheet_points(
    s: Float[np.ndarray, " a"], t: Float[np.ndarray, " b"], lines: Sequence[Float[np.ndarray, "_ 2"]]
) -> Float[np.ndarray, "n 2"]:
    """A grid's points and those of closed lines in it; grid points too near to a line give way, the rim's do not.

    Of a line that goes over the rim, a notch, only what lies inside is taken: where it meets the rim there must be a
    row of the grid, or the neighbouring panel would not fit.
    """
    points = np.stack(np.meshgrid(s, t, indexing="ij"), axis=-1).reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    rim = (points == low).any(axis=1) | (points == high).any(axis=1)
    for line in lines:
        step = float(np.linalg.norm(line[1] - line[0]))
        keep = rim | (_distance(line, points) > 0.62 * step)
        points, rim = points[keep], rim[keep]
    inner = [line[((line > low + 1e-6) & (line < high - 1e-6)).all(axis=1)] for line in lines]
    return np.concatenate([points, *inner])


def _panel(o, u, v, s, t, holes: Sequence[Float[np.ndarray, "_ 2"]], panel: int) -> Mesh:
    """One flat panel over rows at ``s`` and ``t`` [m], with holes and notches in it if there are any."""
    wide, high = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    if len(holes) == 0:
        even, faces = grid(len(s) - 1, len(t) - 1)
        at = np.round(even * np.array([len(s) - 1, len(t) - 1])).astype(int)
        flat = np.stack([s[at[:, 0]], t[at[:, 1]]], axis=1)
    else:
        flat = sheet_points(s, t, holes)
        faces = flat_mesh(flat, holes)
        used, faces = np.unique(faces, return_inverse=True)
        flat, faces = flat[used], faces.reshape(-1, 3)
    st = flat / np.array([wide, high])
    return Mesh(o + st[:, :1] * u + st[:, 1:] * v, faces, st[faces], np.full(len(faces), panel, np.uint8))


def board_box(
    size: Float[np.ndarray, "3"],
    spacing: float,
    *,
    edge: float = FOLD_M,
    marks: tuple[Sequence[float], Sequence[float], Sequence[float]] = ((), (), ()),
    holes: Mapping[int, Sequence[Float[np.ndarray, "_ 2"]]] | None = None,
    without: Sequence[int] = (),
) -> Mesh:
    """A box with a row of vertices close to every fold, panels as in BOX_PANELS.

    ``marks`` are further rows [m] per axis, from the side of lower coordinates; ``holes`` gives closed lines [m] in a
    panel's own coordinates (right and up, seen from outside); ``without`` leaves panels out, as of a sleeve.
    """
    rows = [ticks(float(length), spacing, edge=edge, marks=m) for length, m in zip(size, marks, strict=True)]
    made = []
    for k, sides in enumerate(box_panels(size)):
        if k in without:
            continue
        o, u, v = (np.array(side, float) for side in sides)
        s, t = (_along(rows, side) for side in (u, v))
        made.append(_panel(o, u, v, s, t, (holes or {}).get(k, ()), k))
    return join(made)


def _along(rows: list[Float[np.ndarray, "_"]], side: Float[np.ndarray, "3"]) -> Float[np.ndarray, " n"]:
    axis = int(np.argmax(np.abs(side)))
    own = rows[axis]
    return own if side[axis] > 0 else own[-1] - own[::-1]


def panel_place(size: Float[np.ndarray, "3"], panel: int, points: Float[np.ndarray, "n 3"]):
    """Which points lie on a panel of a box, and where there [m], right and up as seen from outside."""
    o, u, v = (np.array(side, float) for side in box_panels(size)[panel])
    wide, high = np.linalg.norm(u), np.linalg.norm(v)
    on = np.abs((points - o) @ np.cross(u, v) / (wide * high)) < 1e-6
    return on, (points - o) @ u / wide, (points - o) @ v / high


def draw_bow(rng: np.random.Generator, range_mm: tuple[float, float]) -> tuple[Float[np.ndarray, "6"], bool]:
    """Draw each panel's bow [m], and whether it is one to be noticed; most pieces are nearly flat."""
    low, high = range_mm
    level = rng.random() ** 1.5
    bow = (low + (high - low) * level * rng.uniform(0.3, 1, 6)) / 1000
    bow[5] *= -1  # the bottom bows in, or the box would rock
    return bow, bool(bow.max() > 0.0006)


def bow_relief(size: Float[np.ndarray, "3"], bow: Float[np.ndarray, "6"]) -> Relief:
    """Panels bulge a little, most in their middle; ``bow`` [m] in the order of BOX_PANELS."""

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        out = np.zeros(len(points))
        for panel, (rise, (_, u, v)) in enumerate(zip(bow, box_panels(size), strict=True)):
            on, s, t = panel_place(size, panel, points)
            share = np.clip(s / np.linalg.norm(u), 0, 1), np.clip(t / np.linalg.norm(v), 0, 1)
            out += np.where(on, rise * np.sin(np.pi * share[0]) * np.sin(np.pi * share[1]), 0.0)
        return out

    return height


def fold_relief(size: Float[np.ndarray, "3"], radius: float, *, without: Sequence[int] = ()) -> Relief:
    """Folded edges are round: their vertices, shared by two or three panels, draw back."""
    planes = [k for k in range(6) if k not in without]

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        count = sum(panel_place(size, k, points)[0].astype(int) for k in planes)
        return np.where(count == 2, -0.414 * radius, np.where(count == 3, -0.732 * radius, 0.0))

    return height


def slit_relief(size: Float[np.ndarray, "3"], panel: int, *, axis: int, at: float, half: float, depth: float) -> Relief:
    """A groove across a panel at ``at`` [m] along its u (0) or v (1) side: where two flaps meet, or one ends."""

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        on, s, t = panel_place(size, panel, points)
        away = np.abs((s, t)[axis] - at)
        return np.where(on, -depth * np.clip(1 - away / half, 0, 1), 0.0)

    return height


def add_relief(*parts: Relief) -> Relief:
    """The sum of several forms."""

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        return np.sum([part(points) for part in parts], axis=0)

    return height


def rounded_block(size: Float[np.ndarray, "3"], radius: float, *, steps: int = 4, inner: int = 6) -> Mesh:
    """A box with round edges and corners, standing on z = 0: soaps, bags, bars, trays; panels as in BOX_PANELS."""
    radius = float(min(radius, 0.49 * size.min()))
    near = radius * np.linspace(0, 1, steps + 1)
    rows = []
    for length in size.astype(float):
        middle = np.linspace(radius, length - radius, inner + 1)[1:-1]
        rows.append(np.concatenate([near, middle, length - near[::-1]]))
    made = []
    for k, sides in enumerate(box_panels(size)):
        o, u, v = (np.array(side, float) for side in sides)
        made.append(_panel(o, u, v, _along(rows, u), _along(rows, v), (), k))
    mesh = join(made)
    low, high = np.array([*(-size[:2] / 2), 0.0]) + radius, np.array([*(size[:2] / 2), size[2]]) - radius
    core = np.clip(mesh.vertices, low, high)
    way = mesh.vertices - core
    out = core + radius * way / np.linalg.norm(way, axis=1, keepdims=True)
    return Mesh(out, mesh.faces, mesh.st, mesh.panel)


def tuck_flap(size: Float[np.ndarray, "3"], stock: Stock, *, wide: float, high: float) -> Sheet:
    """The flap that goes on from the top's front edge, behind the front panel: what a thumb notch lets one grip."""
    depth = 1.5 * stock.thickness_mm / 1000 + 0.0002
    even, faces = grid(max(4, round(wide / 0.006)), max(4, round(high / 0.004)))
    points = (even - np.array([0.5, 1.0])) * np.array([wide, high])
    points[:, 0] *= 1 - 0.5 * high / wide * np.clip(1 - 2.5 * even[:, 1], 0, 1) ** 2  # its corners are rounded off
    place = np.stack([points[:, 0], np.full(len(points), depth - size[1] / 2), size[2] - 0.0004 + points[:, 1]], axis=1)
    inside, edge = back_and_edge(stock)
    return make_sheet(
        "tuck flap", place, faces, np.zeros((len(faces), 3, 2)), np.zeros(len(faces), np.uint8),
        (replace(inside, name="tuck flap"), inside, edge), stock.mechanics, thickness_mm=stock.thickness_mm, levels=0,
        crease_deg=48.0, panels=("flap",),
    )  # fmt: skip


def film_sheet(size: Float[np.ndarray, "3"], outline: Float[np.ndarray, "k 2"], *, depth: float) -> Sheet:
    """Clear film behind an opening of a box's front panel, glued on with a margin; ``depth`` [m] behind its face."""
    stock, margin = STOCKS["clear_film"], 0.003
    middle = (outline.max(axis=0) + outline.min(axis=0)) / 2
    reach = np.abs(outline - middle).max(axis=0)
    rim = middle + (outline - middle) * (1 + margin / reach)
    low, high = rim.min(axis=0), rim.max(axis=0)
    s, t = (np.linspace(a, b, max(3, round((b - a) / 0.005)))[1:-1] for a, b in zip(low, high, strict=True))
    inner = np.stack(np.meshgrid(s, t, indexing="ij"), axis=-1).reshape(-1, 2)
    step = float(np.linalg.norm(rim[1] - rim[0]))
    inner = inner[_inside(rim, inner) & (_distance(rim, inner) > 0.62 * step)]
    points = np.concatenate([inner, rim])
    faces = flat_mesh(points, (), rim)
    place = np.stack([points[:, 0] - size[0] / 2, np.full(len(points), depth - size[1] / 2), points[:, 1]], axis=1)
    uv = np.clip((points - low) / (high - low), 0, 1)[faces]
    inside, edge = back_and_edge(stock)
    return make_sheet(
        "window film", place, faces, uv, np.zeros(len(faces), np.uint8),
        (replace(inside, name=stock.name), inside, edge), stock.mechanics,
        thickness_mm=stock.thickness_mm, levels=0, crease_deg=stock.crease_deg, panels=("window",),
    )  # fmt: skip
