"""Formed and punched sheets, and plates with bevelled edges: outlines in the plane, rings that follow them, Delaunay.

Used for what is thermoformed or stamped: domes and pockets of blisters, cards with hang holes, cutlery, toy parts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.path import Path as Outline
from scipy.spatial import Delaunay, KDTree

from .shapes import Mesh

Contour = Float[np.ndarray, "_ 2"]
Height = Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class Pocket:
    """A cavity or dome pressed out of a flat sheet."""

    foot: Contour
    """Where the wall leaves the sheet [m], counter-clockwise."""
    steps: Float[np.ndarray, "k 2"]
    """(inset, height) [m] of the rings up the wall, inset strictly rising from 0."""
    top: Height | None = None
    """Height [m] added to the last step's over points of the top, 0 at its rim; flat if None."""
    panel: int = 1


def fillet(points: Sequence[tuple[float, float]], radii: Sequence[float] | float, spacing: float) -> Contour:
    """A closed polygon [m] with rounded corners, as points no further apart than ``spacing``; counter-clockwise."""
    corner = np.asarray(points, float)
    if _area(corner) < 0:
        corner = corner[::-1]
        radii = radii if isinstance(radii, int | float) else list(radii)[::-1]
    n = len(corner)
    radius = np.full(n, float(radii)) if isinstance(radii, int | float) else np.asarray(radii, float)
    into = corner - np.roll(corner, 1, 0)
    length = np.linalg.norm(into, axis=1)
    into /= length[:, None]
    out = np.roll(into, -1, 0)
    turn = np.arctan2(into[:, 0] * out[:, 1] - into[:, 1] * out[:, 0], (into * out).sum(1))
    tangent = np.abs(np.tan(turn / 2))
    room = 0.499 * np.minimum(length, np.roll(length, -1))
    radius = np.minimum(radius, room / np.maximum(tangent, 1e-9))
    knots: list[np.ndarray] = []
    for p, a, r, t, angle in zip(corner, into, radius, tangent, turn, strict=True):
        if r < 1e-7 or abs(angle) < 1e-6:
            knots.append(p[None])
            continue
        start = p - a * r * t
        count = max(2, int(np.ceil(abs(angle) * r / spacing)), int(np.ceil(abs(angle) / 0.5)))
        phi = np.linspace(0, angle, count + 1)
        left = np.sign(angle) * np.array([-a[1], a[0]])
        knots.append(start + r * (np.sin(np.abs(phi))[:, None] * a + (1 - np.cos(phi))[:, None] * left))
    return _dense(np.concatenate(knots), spacing)


def _area(ring: Contour) -> float:
    x, y = ring.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def _dense(ring: Contour, spacing: float) -> Contour:
    """Add points to sides longer than ``spacing``; drop points that coincide."""
    gap = np.linalg.norm(np.roll(ring, -1, 0) - ring, axis=1)
    ring = ring[gap > 1e-3 * spacing]
    step = np.roll(ring, -1, 0) - ring
    count = np.maximum(1, np.ceil(np.linalg.norm(step, axis=1) / spacing - 1e-6).astype(int))
    return np.concatenate([p + d * (np.arange(k) / k)[:, None] for p, d, k in zip(ring, step, count, strict=True)])


def rounded_box(width: float, height: float, radius: float, spacing: float, *, at: Sequence[float] = (0, 0)) -> Contour:
    """A rectangle with rounded corners about ``at`` [m]."""
    a, b, x, y = width / 2, height / 2, float(at[0]), float(at[1])
    return fillet([(x - a, y - b), (x + a, y - b), (x + a, y + b), (x - a, y + b)], radius, spacing)


def circle(radius: float, spacing: float, *, at: Sequence[float] = (0, 0), least: int = 12) -> Contour:
    """A circle about ``at`` [m]."""
    count = max(least, int(np.ceil(2 * np.pi * radius / spacing)))
    angle = np.arange(count) / count * 2 * np.pi
    return np.stack([at[0] + radius * np.cos(angle), at[1] + radius * np.sin(angle)], 1)


def inset(ring: Contour, distance: float) -> Contour:
    """Move each point inwards along the contour's normal [m]; corners must be rounder than that."""
    before, after = np.roll(ring, 1, 0), np.roll(ring, -1, 0)
    a, b = ring - before, after - ring
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    along = a + b
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    # A mitre keeps straight sides at the full distance beside a corner.
    mitre = np.maximum((along * b).sum(1), 0.5)
    return ring + distance * np.stack([-along[:, 1], along[:, 0]], 1) / mitre[:, None]


def wall_steps(
    height: float, *, draft_deg: float, foot_m: float, top_m: float, rows: int = 2
) -> Float[np.ndarray, "k 2"]:
    """Section of a drawn wall: fillet at the foot, straight with draft, fillet into the top; (inset, height) [m]."""
    steep = np.radians(90 - draft_deg)
    foot_m, top_m = (min(r, 0.48 * height / (1 - np.cos(steep))) for r in (foot_m, top_m))
    rise = np.linspace(0, steep, 4)
    foot = np.stack([foot_m * np.sin(rise), foot_m * (1 - np.cos(rise))], 1)
    top = np.stack([top_m * (np.sin(steep) - np.sin(rise[::-1])), top_m * (np.cos(rise[::-1]) - np.cos(steep))], 1)
    straight = height - foot[-1, 1] - top[-1, 1]
    share = np.linspace(0, 1, rows + 2)[1:, None]
    wall = foot[-1] + share * np.array([straight / np.tan(steep), straight])
    return np.concatenate([foot, wall, wall[-1] + top[1:]])


def contains(ring: Contour, points: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
    """Which points lie inside a closed contour."""
    return Outline(ring).contains_points(points)


def _hex_points(low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"], spacing: float) -> Contour:
    rows = np.arange(low[1], high[1], spacing * np.sqrt(3) / 2)
    columns = np.arange(low[0], high[0], spacing)
    x = columns[None] + 0.5 * spacing * (np.arange(len(rows)) % 2)[:, None]
    return np.stack([x, np.repeat(rows[:, None], len(columns), 1)], -1).reshape(-1, 2)


def _triangles(points: Contour, rim: Contour, holes: Sequence[Contour]) -> Int[np.ndarray, "f 3"]:
    """Delaunay triangles of the points, inside the rim and outside the holes, counter-clockwise."""
    faces = Delaunay(points).simplices.astype(np.int64)
    a, b, c = (points[faces[:, k]] for k in range(3))
    turn = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    faces = np.where((turn < 0)[:, None], faces[:, ::-1], faces)
    middle = (a + b + c) / 3
    keep = (np.abs(turn) > 2e-10) & contains(rim, middle)
    for hole in holes:
        keep &= ~contains(hole, middle)
    return faces[keep]


def form_sheet(
    rim: Contour, spacing: float, *, pockets: Sequence[Pocket] = (), holes: Sequence[Contour] = (), panel: int = 0
) -> Mesh:
    """A flat sheet at z = 0 with pockets pressed upwards and holes punched through.

    The panels' unit square is the rim's bounding box, seen from above.
    """
    rings, heights = [rim, *holes], [np.zeros(len(rim)), *(np.zeros(len(h)) for h in holes)]
    low, high = rim.min(axis=0), rim.max(axis=0)
    fill = _hex_points(low, high, spacing)
    fill = fill[contains(rim, fill)]
    z = np.zeros(len(fill))
    keep = np.ones(len(fill), bool)
    for hole in holes:
        keep &= ~contains(hole, fill)
    for pocket in pockets:
        walls = [inset(pocket.foot, float(d)) for d in pocket.steps[:, 0]]
        rings += walls
        heights += [np.full(len(w), h) for w, h in zip(walls, pocket.steps[:, 1], strict=True)]
        inside, on_top = contains(pocket.foot, fill), contains(walls[-1], fill)
        keep &= ~inside | on_top
        z[on_top] = pocket.steps[-1, 1]
        if pocket.top is not None:
            z[on_top] += pocket.top(fill[on_top])
    fixed = np.concatenate(rings)
    keep &= KDTree(fixed).query(fill)[0] > 0.62 * spacing
    points = np.concatenate([fixed, fill[keep]])
    faces = _triangles(points, rim, holes)
    middle = points[faces].mean(axis=1)
    which = np.full(len(faces), panel, np.uint8)
    for pocket in pockets:
        which[contains(pocket.foot, middle)] = pocket.panel
    st = np.clip((points - low) / (high - low), 0, 1)
    return Mesh(np.concatenate([points, np.concatenate([*heights, z[keep]])[:, None]], 1), faces, st[faces], which)


def plate(rim: Contour, steps: Float[np.ndarray, "k 2"], *, panel: int = 0, end_panel: int | None = None) -> Mesh:
    """A closed solid from rings (inset, z) [m], bottom first, closed flat at both ends.

    On top and bottom the unit square is the rim's bounding box; round the side, s runs along the rim and t upwards.
    """
    rings = [np.concatenate([inset(rim, float(d)), np.full((len(rim), 1), h)], 1) for d, h in steps]
    m, low, high = len(rim), rim.min(axis=0), rim.max(axis=0)
    top = _triangles(rings[-1][:, :2], rings[-1][:, :2], ())
    bottom = _triangles(rings[0][:, :2], rings[0][:, :2], ())[:, ::-1]
    flat = np.clip((rim - low) / (high - low), 0, 1)
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.roll(rim, -1, 0) - rim, axis=1))])
    climb = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(steps, axis=0), axis=1))])
    k = np.arange(m)
    faces, st = [top + (len(rings) - 1) * m, bottom], [flat[top], (flat * [-1, 1] + [1, 0])[bottom]]
    for row in range(len(rings) - 1):
        a, b = k + row * m, (k + 1) % m + row * m
        s0, s1 = arc[:-1] / arc[-1], arc[1:] / arc[-1]
        t0, t1 = (np.full(m, climb[row + j] / climb[-1]) for j in (0, 1))
        p, q, r, u = (np.stack(v, 1) for v in ((s0, t0), (s1, t0), (s1, t1), (s0, t1)))
        faces += [np.stack([a, b, b + m], 1), np.stack([a, b + m, a + m], 1)]
        st += [np.stack([p, q, r], 1), np.stack([p, r, u], 1)]
    which = [np.full(len(f), panel, np.uint8) for f in faces]
    for end in which[:2]:
        end[:] = panel if end_panel is None else end_panel
    return Mesh(np.concatenate(rings), np.concatenate(faces), np.concatenate(st), np.concatenate(which))


def bevelled(height: float, bevel: float, *, rows: int = 1) -> Float[np.ndarray, "k 2"]:
    """Steps of a plate with rounded edges."""
    turn = np.linspace(0, np.pi / 2, 4)
    edge = np.stack([bevel * (1 - np.sin(turn)), bevel * (1 - np.cos(turn))], 1)
    share = np.linspace(bevel, height - bevel, rows + 1)[1:-1]
    side = np.stack([np.zeros(len(share)), share], 1)
    return np.concatenate([edge, side, edge[::-1] * [1, -1] + [0, height]])
