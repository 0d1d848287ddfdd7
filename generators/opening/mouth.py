"""Bags that are open at the top: a seal that has come apart, and walls that gape.

A bag's pattern is known from its texture coordinates, which are those of the flat film. The mouth's edges keep their
lengths: what gapes draws its ends together. A few sweeps of edge lengths let the wall below follow.
"""

from dataclasses import dataclass, replace
from typing import no_type_check

import numba as nb
import numpy as np
from jaxtyping import Bool, Float, Int

from ...sim.scene import KINDS, Kind, Part
from ..cut import unzip_edges
from ..mesh import Sheet, face_areas, mesh_edges, vertex_normals
from ..pressing.shell import relax_edges
from .hinge import closed_surface

SWEEPS = 40


@dataclass(frozen=True)
class Pattern:
    """Where a bag's vertices are in its flat film [m]: x to the right seen from the front, t up from its bottom."""

    x: Float[np.ndarray, " v"]
    t: Float[np.ndarray, " v"]
    side: Int[np.ndarray, " v"]
    """1 front, -1 back, 0 where they are joined, 2 elsewhere (a gusset)."""
    width: float
    height: float


@dataclass(frozen=True)
class Mouth:
    """How a bag gapes."""

    middle_m: float
    half_m: float
    """Half the length of the seal that has come apart."""
    gape_m: float
    depth_m: float
    """How far down the walls give way."""
    front_share: float = 0.5
    """Part of the gape by which the front moves; the back moves by the rest."""


def flat_pattern(sheet: Sheet) -> Pattern:
    """Read the pattern from the texture coordinates of the panels ``front`` and ``back``."""
    n = len(sheet.vertices)
    x, t, seen = np.zeros(n), np.full(n, -1.0), np.zeros((n, 2), bool)
    walls = [sheet.panel == sheet.panels.index(name) for name in ("front", "back")]
    both = walls[0] | walls[1]
    places, uv = sheet.rest[sheet.faces[both]], sheet.uv[both]
    step = np.linalg.norm(uv[:, 1] - uv[:, 0], axis=1)
    scale = float(np.median(np.linalg.norm(places[:, 1] - places[:, 0], axis=1) / np.maximum(step, 1e-12)))
    width = height = 0.0
    for k, mine in enumerate(walls):
        corner, flat = sheet.faces[mine].ravel(), sheet.uv[mine].reshape(-1, 2)
        low, high = flat.min(axis=0), flat.max(axis=0)
        width, height = scale * (high - low)
        x[corner] = (flat[:, 0] - (low[0] + high[0]) / 2) * scale * (1 if k == 0 else -1)
        t[corner] = (flat[:, 1] - low[1]) * scale
        seen[corner, k] = True
    side = np.where(seen.all(axis=1), 0, np.where(seen[:, 0], 1, np.where(seen[:, 1], -1, 2)))
    return Pattern(x, t, side.astype(np.int64), float(width), float(height))


def _lens(share: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return np.where(np.abs(share) < 1, np.cos(np.pi / 2 * share) ** 2, 0.0)


def _drawn_in(mouth: Mouth, x: Float[np.ndarray, " n"], rise_m: float) -> Float[np.ndarray, " n"]:
    """How far points of the mouth's edge move towards its middle, so that the edge keeps its length."""
    way = np.linspace(0, mouth.half_m, 200)
    slope = rise_m * np.pi / (2 * mouth.half_m) * np.sin(np.pi * way / mouth.half_m)
    lost = np.cumsum(1 - np.sqrt(np.maximum(1 - slope**2, 0.05))) * (way[1] - way[0])
    off = x - mouth.middle_m
    return -np.sign(off) * np.interp(np.abs(off), way, lost)


@nb.njit(cache=True)
@no_type_check
def _relax(p, w, edges, length, pairs, gap, way, up, floor, sweeps):
    for _ in range(sweeps):
        relax_edges(p, w, edges, length)
        for k in range(len(pairs)):
            i, j = pairs[k, 0], pairs[k, 1]
            miss = gap[k] - way[0] * (p[i, 0] - p[j, 0]) - way[1] * (p[i, 1] - p[j, 1]) - way[2] * (p[i, 2] - p[j, 2])
            total = w[i] + w[j]
            if miss > 0 and total > 0:
                for m in range(3):
                    p[i, m] += w[i] / total * miss * way[m]
                    p[j, m] -= w[j] / total * miss * way[m]
        for v in range(len(p)):
            if w[v] > 0:
                low = floor[v] - up[0] * p[v, 0] - up[1] * p[v, 1] - up[2] * p[v, 2]
                if low > 0:
                    for m in range(3):
                        p[v, m] += low * up[m]
    return p


def facing_pairs(pattern: Pattern) -> Int[np.ndarray, "p 2"]:
    """Vertices of the front and of the back that lie upon each other in the flat bag."""
    key = np.round(np.stack([pattern.x, pattern.t], 1) / 2e-5).astype(np.int64)
    front, back = np.flatnonzero(pattern.side == 1), np.flatnonzero(pattern.side == -1)
    code = key[:, 0] * 10_000_000 + key[:, 1]
    order = back[np.argsort(code[back], kind="stable")]
    at = np.clip(np.searchsorted(code[order], code[front]), 0, len(order) - 1)
    same = code[order[at]] == code[front]
    return np.stack([front[same], order[at][same]], 1)


def facing_way(sheet: Sheet, pattern: Pattern, depth_m: float) -> Float[np.ndarray, "3"]:
    """Unit vector from the back to the front near the top."""
    normal = vertex_normals(sheet.rest, sheet.faces)
    near = (pattern.side == 1) & (pattern.t > pattern.height - depth_m)
    way = normal[near].sum(axis=0)
    return way / np.linalg.norm(way)


def open_top(sheet: Sheet, pattern: Pattern, mouth: Mouth) -> Sheet:
    """Part front and back along the upper end, over the mouth's length."""
    edges, face_edge = mesh_edges(sheet.faces)
    front, back = (np.bincount(face_edge[sheet.panel == k].ravel(), minlength=len(edges)) for k in (0, 1))
    at_top = (pattern.t[edges] > pattern.height - 0.003).all(axis=1)
    within = (np.abs(pattern.x[edges] - mouth.middle_m) < mouth.half_m).all(axis=1)
    return unzip_edges(sheet, (front > 0) & (back > 0) & at_top & within)


def gape(
    sheet: Sheet, mouth: Mouth, *, top_m: float, up: Float[np.ndarray, "3"], floor_m: float, limit_m: float, kind: Kind
) -> tuple[Sheet, dict[str, float]]:
    """Let the walls of an open bag part below ``top_m`` (flat film); ``up`` and ``floor_m`` are the tray's.

    Points that move further than ``limit_m`` are labelled. Returns the sheet, and the gape and the area of its mouth.
    """
    pattern = flat_pattern(sheet)
    way = facing_way(sheet, pattern, mouth.depth_m)
    down = np.clip((top_m - pattern.t) / mouth.depth_m, 0, 1)
    fade = (1 - down) ** 2 * (1 + 2 * down)
    reach = (fade > 0) & (pattern.side != 2) & (pattern.side != 0) & (pattern.t <= top_m + 1e-6)
    lens = _lens((pattern.x - mouth.middle_m) / (mouth.half_m * (1 + 0.35 * down)))
    share = np.where(pattern.side == 1, mouth.front_share, mouth.front_share - 1.0)
    across = _across(sheet, way)
    rise = max(mouth.front_share, 1 - mouth.front_share) * mouth.gape_m
    shift = _drawn_in(mouth, pattern.x, rise) * fade
    moved = sheet.vertices.copy()
    held = (pattern.side == 0) & (fade > 0)
    ends = reach | held
    if mouth.front_share > 0:  # a slit in one wall keeps its ends, and takes what it needs from the wall's slack
        moved[ends] += shift[ends, None] * across
    moved[reach] += (mouth.gape_m * lens * share * fade)[reach, None] * way
    moved = _settled(sheet, moved, ends, facing_pairs(pattern), way, up, floor_m)
    after = replace(sheet, vertices=moved)
    far = np.linalg.norm(moved - sheet.vertices, axis=1)
    marks = sheet.marks.copy()
    bit = KINDS.index(kind)
    marks[:, bit] = np.maximum(marks[:, bit], far / limit_m)
    return replace(after, marks=marks), _measure_mouth(after, pattern, mouth, top_m)


def _across(sheet: Sheet, way: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """Unit vector of the flat film's x in space: bags are upright or lie with their top to +y."""
    x = np.array([1.0, 0.0, 0.0])
    x = x - (x @ way) * way
    return x / np.linalg.norm(x)


def _settled(sheet: Sheet, moved, free, pairs, way, up, floor_m: float) -> Float[np.ndarray, "v 3"]:
    """Restore edge lengths where the wall is free, without layers or floor being crossed."""
    near = np.zeros(len(moved), bool)
    near[sheet.faces[free[sheet.faces].any(axis=1)]] = True
    local = np.full(len(moved), -1)
    local[near] = np.arange(int(near.sum()))
    edges, _ = mesh_edges(sheet.faces[near[sheet.faces].all(axis=1)])
    length = np.linalg.norm(sheet.vertices[edges[:, 0]] - sheet.vertices[edges[:, 1]], axis=1)
    pairs = pairs[near[pairs].all(axis=1)]
    apart = (sheet.vertices[pairs[:, 0]] - sheet.vertices[pairs[:, 1]]) @ way
    out = moved.copy()
    floor = np.minimum(floor_m, sheet.vertices[near] @ up)  # what lies on the tray stays there
    out[near] = _relax(
        np.ascontiguousarray(moved[near]), free[near].astype(np.float64), np.ascontiguousarray(local[edges]), length,
        np.ascontiguousarray(local[pairs]), np.clip(apart, 0, 4e-4), np.ascontiguousarray(way),
        np.ascontiguousarray(up), np.ascontiguousarray(floor), SWEEPS,
    )  # fmt: skip
    return out


def _measure_mouth(sheet: Sheet, pattern: Pattern, mouth: Mouth, top_m: float) -> dict[str, float]:
    """Widest distance between the two edges, and the area between them."""
    within = (np.abs(pattern.x - mouth.middle_m) <= mouth.half_m) & (np.abs(pattern.t - top_m) < 0.0035)
    edge = {side: np.flatnonzero((pattern.side == side) & within) for side in (1, -1)}
    x = np.linspace(-1, 1, 81) * mouth.half_m + mouth.middle_m
    lines = []
    for side in (1, -1):
        points = edge[side]
        top = pattern.t[points] > pattern.t[points].max(initial=0.0) - 0.0016
        points = points[top][np.argsort(pattern.x[points[top]], kind="stable")]
        if len(points) < 3:
            return {"gape_mm": 0.0, "area_mm2": 0.0}
        lines.append(np.stack([np.interp(x, pattern.x[points], sheet.vertices[points, k]) for k in range(3)], 1))
    one, two = lines
    apart = np.linalg.norm(one - two, axis=1)
    quads = np.concatenate([np.stack([one[:-1], one[1:], two[1:]], 1), np.stack([one[:-1], two[1:], two[:-1]], 1)])
    area = float(face_areas(quads.reshape(-1, 3), np.arange(len(quads) * 3).reshape(-1, 3)).sum())
    return {"gape_mm": 1000 * float(apart.max()), "area_mm2": 1e6 * area}


def closed_mouth(after: Sheet, kind: Kind) -> Part | None:
    """The labelled part of the front where it was before the bag was opened."""
    marked: Bool[np.ndarray, " f"] = (after.marks[after.faces, KINDS.index(kind)].max(axis=1) >= 1) & (after.panel == 0)
    return closed_surface(after, marked, kind) if marked.any() else None
