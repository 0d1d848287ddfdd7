"""Stuck-on labels that come off: a corner or an edge lifts and curls, or the label blisters and creases."""

from dataclasses import replace
from typing import no_type_check

import numba as nb
import numpy as np
from jaxtyping import Float

from ...sim.scene import KINDS
from ..cut import refine_faces
from ..damage.outcome import UnsolvedError
from ..mesh import Sheet, face_areas, mesh_edges, vertex_normals
from .flatten import Spot, lay_flat, make_wall

SUPERFICIAL = KINDS.index("superficial")
MOVED_MM = 0.3
"""A label that has moved less still looks stuck."""
NAMES = ("label", "sticker", "strip")
THICKEST_MM = 0.3
SETTLE_M = 0.008
"""Over this distance a lifted flap straightens out of the curve of the wall."""
SWEEPS = 150
WORST_STRAIN = 0.03
TURN_RAD = 3.4
"""How far a label curls over."""


def is_label(sheet: Sheet) -> bool:
    """Whether a sheet is stuck onto another wall."""
    return any(name in sheet.name for name in NAMES) and sheet.thickness_mm < THICKEST_MM


def _plane(sheet: Sheet) -> Float[np.ndarray, "v 2"]:
    """Where each vertex lies [m] when the label is laid flat, upright, its middle at the origin."""
    wall = make_wall(sheet, np.ones(len(sheet.faces), bool))
    middle = sheet.rest[sheet.faces].mean(axis=1)
    corner = sheet.rest[sheet.faces]
    size = float(np.linalg.norm(np.ptp(sheet.rest, axis=0)) * 2000)
    plane = np.zeros((len(sheet.rest), 2))
    # Starting from any face will do: a label is flat or rolled.
    face = len(sheet.faces) // 2
    faces, corners = lay_flat(wall, Spot(face, middle[face], wall.normals[face], 0.0), (size, size))
    assert len(corner) == len(sheet.faces)
    plane[sheet.faces[faces]] = corners / 1000
    return plane - (plane.min(axis=0) + plane.max(axis=0)) / 2


@nb.njit(cache=True)
@no_type_check
def _keep_lengths(p, free, edges, length, sweeps):
    """Gauss-Seidel on edge lengths: bends as it likes, does not stretch."""
    for _ in range(sweeps):
        for e in range(len(edges)):
            i, j = edges[e, 0], edges[e, 1]
            total = free[i] + free[j]
            if total == 0:
                continue
            d = p[j] - p[i]
            now = np.sqrt((d * d).sum())
            if now < 1e-12:
                continue
            f = 0.9 * (now - length[e]) / (now * total)
            p[i] += free[i] * f * d
            p[j] -= free[j] * f * d


def _terms(q: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n k"]:
    x, y = q.T / 0.03
    return np.stack([x**i * y**j for i in range(5) for j in range(5 - i)], axis=1)


def _way_of_peeling(plane: Float[np.ndarray, "v 2"], rng: np.random.Generator) -> tuple[Float[np.ndarray, "2"], float]:
    """Towards a corner, or square to an upright edge; and how far the label reaches that way."""
    corner, right, top = rng.random() < 0.65, rng.choice([-1.0, 1.0]), rng.choice([-1.0, 1.0])
    angle, tilt = rng.uniform(0.45, 1.1), rng.normal(0, 0.12)
    turn = angle if corner else tilt
    way = np.array([right * np.cos(turn), top * np.sin(turn)])
    return way, float((plane @ way).max())


def lift_label(
    sheet: Sheet,
    peel_mm: tuple[float, float],
    curl_mm: tuple[float, float],
    strength: float,
    rng: np.random.Generator,
) -> tuple[Sheet, dict[str, float]]:
    """Lift a corner or an edge of a label and curl it outwards, without stretching it.

    Raises:
        UnsolvedError: the flap could not be bent without stretch.
    """
    plane = _plane(sheet)
    way, far = _way_of_peeling(plane, rng)
    curl = np.exp(rng.uniform(*np.log(curl_mm))) / 1000
    room = 0.7 * (far - float((plane @ way).min()))
    peel = min(peel_mm[0] * (peel_mm[1] / peel_mm[0]) ** strength / 1000, room)
    curl = min(curl, 1.3 * peel)
    for _ in range(2):
        beyond = (plane @ way - (far - peel))[sheet.faces].max(axis=1) > -0.004
        corners = sheet.rest[sheet.faces]
        longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
        sheet = refine_faces(sheet, beyond & (longest > 0.0032))
        plane = _plane(sheet)
        far = float((plane @ way).max())
    vertices = _bent(sheet, plane, way, far - peel, curl)
    return _moved(sheet, vertices, {"peel_mm": 1000 * peel})


def _bent(
    sheet: Sheet, plane: Float[np.ndarray, "v 2"], way: Float[np.ndarray, "2"], fold: float, curl: float
) -> Float[np.ndarray, "v 3"]:
    """Roll what lies beyond the fold line onto a cylinder, and let the edges find their lengths."""
    along = np.array([-way[1], way[0]])
    u, s = plane @ way - fold, plane @ along
    flap = u > 0
    # The wall around the fold as a polynomial, so that it can be asked a little beyond the label's border.
    middle = np.array([0.0, float(s[flap].mean())])
    local = np.stack([u, s], axis=1) - middle
    near = np.square(local).sum(axis=1) < (0.02 + np.abs(local[flap]).max()) ** 2
    fit = np.linalg.lstsq(_terms(local[near]), sheet.vertices[near], rcond=None)[0]

    def wall(q: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        return _terms(q) @ fit

    step = 1e-4
    origin, ahead, aside = wall(np.array([[0, 0], [step, 0], [0, step]]))
    t, side = (ahead - origin) / step, (aside - origin) / step
    t /= np.linalg.norm(t)
    normal = np.cross(t, side)
    normal /= np.linalg.norm(normal)
    if normal @ vertex_normals(sheet.vertices, sheet.faces)[near].mean(axis=0) < 0:
        normal = -normal
    side -= (side @ t) * t
    side /= np.linalg.norm(side)
    turn = np.minimum(u / curl, TURN_RAD)
    straight = np.maximum(u - TURN_RAD * curl, 0)
    ahead_m = curl * np.sin(turn) + straight * np.cos(TURN_RAD)
    out_m = curl * (1 - np.cos(turn)) + straight * np.sin(TURN_RAD)
    s0 = local[:, 1]
    rolled = origin + s0[:, None] * side + ahead_m[:, None] * t + out_m[:, None] * normal
    foot = wall(np.stack([np.zeros_like(s0), s0], axis=1))
    rolled += (foot - origin - s0[:, None] * side) * np.exp(-np.maximum(u, 0) / SETTLE_M)[:, None]
    vertices = np.where(flap[:, None], rolled, sheet.vertices)
    edges, _ = mesh_edges(sheet.faces)
    length = np.linalg.norm(sheet.rest[edges[:, 0]] - sheet.rest[edges[:, 1]], axis=1)
    mobile = edges[flap[edges].any(axis=1)]
    _keep_lengths(vertices, flap.astype(float), mobile, length[flap[edges].any(axis=1)], SWEEPS)
    strain = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1) / length - 1
    if np.quantile(np.abs(strain), 0.99) > WORST_STRAIN:
        raise UnsolvedError(f"a label's flap is stretched by {100 * np.abs(strain).max():.0f} %: try another seed.")
    return vertices


def wrinkle_label(
    sheet: Sheet, height_mm: tuple[float, float], strength: float, rng: np.random.Generator
) -> tuple[Sheet, dict[str, float]]:
    """Raise blisters and creases in a label."""
    top = height_mm[0] * (height_mm[1] / height_mm[0]) ** strength / 1000
    count = 14
    places, angle = rng.random((count, 2)), rng.uniform(0, np.pi, count)
    share, crease = rng.uniform(0.25, 1.0, count), rng.random(count) < 0.6
    length, width = np.exp(rng.uniform(np.log(0.005), np.log(0.014), count)), rng.uniform(0.0012, 0.0028, count)
    bend = rng.normal(0, 6.0, count)
    share[0] = 1.0

    def height(plane: Float[np.ndarray, "v 2"]) -> Float[np.ndarray, " v"]:
        low, high = plane.min(axis=0), plane.max(axis=0)
        total = np.zeros(len(plane))
        for k in range(count):
            c, s = np.cos(angle[k]), np.sin(angle[k])
            x, y = (plane - low - places[k] * (high - low)).T
            x, y = c * x + s * y, c * y - s * x
            if crease[k]:
                x, y = x / (2.2 * length[k]), (y - bend[k] * x**2) / width[k]
                one = np.clip(1 - x**2, 0, 1) ** 0.7 * np.exp(-(np.abs(y) ** 1.3))
            else:
                one = np.clip(1 - (x / length[k]) ** 2 - (y / (0.7 * length[k])) ** 2, 0, 1) ** 1.5
            total = np.maximum(total, share[k] * one)
        return top * total

    for _ in range(2):
        lifted = height(_plane(sheet))[sheet.faces].max(axis=1) > 0.00012
        corners = sheet.rest[sheet.faces]
        longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
        sheet = refine_faces(sheet, lifted & (longest > 0.0022))
    out = vertex_normals(sheet.vertices, sheet.faces)
    return _moved(sheet, sheet.vertices + height(_plane(sheet))[:, None] * out, {})


def _moved(sheet: Sheet, vertices: Float[np.ndarray, "v 3"], found: dict[str, float]) -> tuple[Sheet, dict[str, float]]:
    moved = 1000 * np.linalg.norm(vertices - sheet.vertices, axis=1)
    marks = sheet.marks.copy()
    marks[:, SUPERFICIAL] = np.maximum(marks[:, SUPERFICIAL], moved / MOVED_MM)
    spoilt = moved[sheet.faces].mean(axis=1) > MOVED_MM
    area = 1e6 * float(face_areas(sheet.rest, sheet.faces)[spoilt].sum())
    return replace(sheet, vertices=vertices, marks=marks), {"area_mm2": area, "lift_mm": float(moved.max()), **found}
