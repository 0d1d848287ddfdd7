"""A quasi-static plastic shell: sheets that cannot stretch, fold stiffly, and keep a fold once it yields.

Position-based (Müller et al., "Position Based Dynamics", 2007) with the dihedral fold of Bridson et al., "Simulation of
Clothing with Folds and Wrinkles" (2003). Only + - * / and square roots, in a fixed order, so that results repeat to
the bit. Edges are rigid and folds are relaxed, hence dents are controlled by geometry, not calibrated in newtons.
"""

from dataclasses import dataclass
from typing import no_type_check

import numba as nb
import numpy as np
from jaxtyping import Float, Int

from .mesh import Mechanics, mesh_edges

FIXED_ORDER_SEED = 20260901
"""Constraints are relaxed in one shuffled order, the same for all, so that sweeps favour no direction of the mesh."""


@dataclass(frozen=True)
class Plane:
    """A flat tool that pushes: points are kept where ``normal · p <= offset``, which shrinks from start to end."""

    normal: Float[np.ndarray, "3"]
    start_m: float
    end_m: float


@dataclass(frozen=True)
class Capsule:
    """A rounded bar (or ball) that is pushed along a straight way."""

    a: Float[np.ndarray, "3"]
    b: Float[np.ndarray, "3"]
    travel: Float[np.ndarray, "3"]
    """From first to last position [m]."""
    radius_m: float


@dataclass(frozen=True)
class Pressing:
    """How a press is stepped."""

    push_steps: int = 150
    rest_steps: int = 80
    """Steps after the tool has left, in which elastic folds spring back."""
    sweeps: int = 3
    damping: float = 0.9
    friction: float = 0.3


def fold_pairs(faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, "h 4"]:
    """Inner edges as (start, end, opposite of the first face, opposite of the second)."""
    half = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    opposite = np.concatenate([faces[:, 2], faces[:, 0], faces[:, 1]])
    edge = np.sort(half, axis=1)
    key = edge[:, 0].astype(np.int64) * (int(faces.max()) + 1) + edge[:, 1]
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(key[order][1:] == key[order][:-1])
    first, second = order[twin], order[twin + 1]
    return np.stack([half[first, 0], half[first, 1], opposite[first], opposite[second]], axis=1)


@nb.njit(cache=True)
@no_type_check  # numba compiles these as they are: no checks may be wrapped around them in tests
def _fold(x, fold, g):
    """Signed 2 sin(θ/2) of a fold, cos(θ/2), and dθ/dx in ``g`` (4, 3); ok is False for a degenerate triangle."""
    i, j, k, n = fold[0], fold[1], fold[2], fold[3]
    ex, ey, ez = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
    ax, ay, az = x[k, 0] - x[i, 0], x[k, 1] - x[i, 1], x[k, 2] - x[i, 2]
    bx, by, bz = x[n, 0] - x[i, 0], x[n, 1] - x[i, 1], x[n, 2] - x[i, 2]
    px, py, pz = ey * az - ez * ay, ez * ax - ex * az, ex * ay - ey * ax
    qx, qy, qz = by * ez - bz * ey, bz * ex - bx * ez, bx * ey - by * ex
    pp, qq, ee = px * px + py * py + pz * pz, qx * qx + qy * qy + qz * qz, ex * ex + ey * ey + ez * ez
    if pp < 1e-24 or qq < 1e-24 or ee < 1e-16:
        return 0.0, 1.0, False
    length, rp, rq = np.sqrt(ee), 1.0 / np.sqrt(pp), 1.0 / np.sqrt(qq)
    ux, uy, uz, vx, vy, vz = px * rp, py * rp, pz * rp, qx * rq, qy * rq, qz * rq
    dx, dy, dz = vx - ux, vy - uy, vz - uz
    s = np.sqrt(dx * dx + dy * dy + dz * dz)
    if (uy * vz - uz * vy) * ex + (uz * vx - ux * vz) * ey + (ux * vy - uy * vx) * ez < 0:
        s = -s
    mx, my, mz = ux + vx, uy + vy, uz + vz
    c = 0.5 * np.sqrt(mx * mx + my * my + mz * mz)
    fp, fq = -length / pp, -length / qq
    tk, tl = (ax * ex + ay * ey + az * ez) / ee, (bx * ex + by * ey + bz * ez) / ee
    g[2, 0], g[2, 1], g[2, 2] = fp * px, fp * py, fp * pz
    g[3, 0], g[3, 1], g[3, 2] = fq * qx, fq * qy, fq * qz
    for m in range(3):
        g[1, m] = -tk * g[2, m] - tl * g[3, m]
        g[0, m] = -(1 - tk) * g[2, m] - (1 - tl) * g[3, m]
    return s, c, True


@nb.njit(cache=True)
@no_type_check
def _all_folds(x, folds):
    out, g = np.zeros(len(folds)), np.zeros((4, 3))
    for h in range(len(folds)):
        out[h] = _fold(x, folds[h], g)[0]
    return out


@nb.njit(cache=True)
@no_type_check
def _relax_folds(p, w, folds, rest, weight, g):
    for h in range(len(folds)):
        s, c, ok = _fold(p, folds[h], g)
        if not ok:
            continue
        miss = (s - rest[h]) / max(c, 0.25)
        total = 0.0
        for n in range(4):
            total += w[folds[h, n]] * (g[n, 0] * g[n, 0] + g[n, 1] * g[n, 1] + g[n, 2] * g[n, 2])
        if total < 1e-20:
            continue
        step = -miss / total * weight[h]
        for n in range(4):
            v = folds[h, n]
            for m in range(3):
                p[v, m] += w[v] * step * g[n, m]


@nb.njit(cache=True)
@no_type_check
def _relax_edges(p, w, edges, length):
    for e in range(len(edges)):
        i, j = edges[e, 0], edges[e, 1]
        total = w[i] + w[j]
        if total == 0:
            continue
        dx, dy, dz = p[j, 0] - p[i, 0], p[j, 1] - p[i, 1], p[j, 2] - p[i, 2]
        now = np.sqrt(dx * dx + dy * dy + dz * dz)
        if now < 1e-12:
            continue
        f = (now - length[e]) / (now * total)
        fi, fj = w[i] * f, w[j] * f
        p[i, 0] += fi * dx
        p[i, 1] += fi * dy
        p[i, 2] += fi * dz
        p[j, 0] -= fj * dx
        p[j, 1] -= fj * dy
        p[j, 2] -= fj * dz


@nb.njit(cache=True)
@no_type_check
def _push_out(p, x, v, nx, ny, nz, depth, friction):
    """Move vertex v out along a unit normal and damp how it slides."""
    p[v, 0] += depth * nx
    p[v, 1] += depth * ny
    p[v, 2] += depth * nz
    sx, sy, sz = p[v, 0] - x[v, 0], p[v, 1] - x[v, 1], p[v, 2] - x[v, 2]
    along = sx * nx + sy * ny + sz * nz
    p[v, 0] -= friction * (sx - along * nx)
    p[v, 1] -= friction * (sy - along * ny)
    p[v, 2] -= friction * (sz - along * nz)


@nb.njit(cache=True)
@no_type_check
def _contacts(p, x, w, tool, is_plane, radius, core, friction):
    """Tool from outside, and the contents (a box ``core`` = low, high corner; empty if low > high) from inside."""
    for v in range(len(p)):
        if w[v] == 0:
            continue
        nearest, axis, side = 1e9, -1, 0.0
        for m in range(3):
            low, high = p[v, m] - core[0, m], core[1, m] - p[v, m]
            if low <= 0 or high <= 0:
                axis = -1
                nearest = -1.0
                break
            if low < nearest:
                nearest, axis, side = low, m, -1.0
            if high < nearest:
                nearest, axis, side = high, m, 1.0
        if axis >= 0 and nearest > 0:
            p[v, axis] += side * nearest
        if is_plane:
            d = p[v, 0] * tool[0] + p[v, 1] * tool[1] + p[v, 2] * tool[2] - tool[3]
            if d > 0:
                _push_out(p, x, v, -tool[0], -tool[1], -tool[2], d, friction)
        else:
            bx, by, bz = tool[3] - tool[0], tool[4] - tool[1], tool[5] - tool[2]
            bb = bx * bx + by * by + bz * bz
            t = 0.0
            if bb > 1e-16:
                t = ((p[v, 0] - tool[0]) * bx + (p[v, 1] - tool[1]) * by + (p[v, 2] - tool[2]) * bz) / bb
                t = min(max(t, 0.0), 1.0)
            dx, dy, dz = p[v, 0] - tool[0] - t * bx, p[v, 1] - tool[1] - t * by, p[v, 2] - tool[2] - t * bz
            d = np.sqrt(dx * dx + dy * dy + dz * dz)
            if 1e-9 < d < radius:
                _push_out(p, x, v, dx / d, dy / d, dz / d, radius - d, friction)


@nb.njit(cache=True)
@no_type_check
def _press(x, w, edges, length, folds, rest, weight, limit, softening, path, is_plane, radius, core, push, sweeps,
           damping, friction):  # fmt: skip
    before, p, g, flow = x.copy(), x.copy(), np.zeros((4, 3)), np.zeros(len(x))
    nowhere = np.zeros(6)
    nowhere[3] = 1e9  # a plane far away: the tool has left
    for step in range(len(path)):
        for v in range(len(x)):
            for m in range(3):
                p[v, m] = x[v, m] + (damping * (x[v, m] - before[v, m]) if w[v] > 0 else 0.0)
        before[:] = x
        for _ in range(sweeps):
            _relax_folds(p, w, folds, rest, weight, g)
            _relax_edges(p, w, edges, length)
            if step < push:
                _contacts(p, x, w, path[step], is_plane, radius, core, friction)
            else:
                _contacts(p, x, w, nowhere, True, radius, core, friction)
        for h in range(len(folds)):
            miss = _fold(p, folds[h], g)[0] - rest[h]
            excess = abs(miss) - limit[h]
            if excess > 0:
                rest[h] += excess if miss > 0 else -excess
                weight[h] /= 1 + softening * excess
                flow[folds[h, 0]] += excess
                flow[folds[h, 1]] += excess
        x[:] = p
    return x, flow


def _tool_path(tool: Plane | Capsule, pressing: Pressing) -> Float[np.ndarray, "t 6"]:
    way = np.concatenate([np.linspace(0, 1, pressing.push_steps), np.ones(pressing.rest_steps)])[:, None]
    if isinstance(tool, Plane):
        offset = tool.start_m + way * (tool.end_m - tool.start_m)
        return np.concatenate([np.repeat(tool.normal[None], len(way), 0), offset, np.zeros((len(way), 2))], axis=1)
    return np.concatenate([tool.a + way * tool.travel, tool.b + way * tool.travel], axis=1)


def press_shell(
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    mechanics: Mechanics,
    tool: Plane | Capsule,
    *,
    mobility: Float[np.ndarray, " v"],
    core: Float[np.ndarray, "2 3"] | None = None,
    pressing: Pressing = Pressing(),
) -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, " v"]]:
    """Push a tool into a shell, take it away, let it spring back.

    ``mobility`` is 0 where the shell is held and 1 where it is free; ``core`` is the box [m] that the contents fill.
    Returns the vertices [m] and the plastic flow per vertex [rad].
    """
    shuffle = np.random.default_rng(FIXED_ORDER_SEED)
    edges, _ = mesh_edges(faces)
    edges = np.ascontiguousarray(edges[shuffle.permutation(len(edges))])
    folds = fold_pairs(faces)
    folds = np.ascontiguousarray(folds[shuffle.permutation(len(folds))])
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    along = vertices[folds[:, 1]] - vertices[folds[:, 0]]
    two_areas = sum(
        np.linalg.norm(np.cross(along, vertices[folds[:, k]] - vertices[folds[:, 0]]), axis=1) for k in (2, 3)
    )
    height = two_areas / np.maximum(np.linalg.norm(along, axis=1), 1e-12) / 3
    empty = np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
    return _press(
        vertices.copy(),
        np.ascontiguousarray(mobility, dtype=np.float64),
        edges,
        length,
        folds,
        _all_folds(vertices, folds),
        np.full(len(folds), mechanics.bending),
        mechanics.yield_curvature_per_m * height,
        mechanics.softening,
        np.ascontiguousarray(_tool_path(tool, pressing)),
        isinstance(tool, Plane),
        tool.radius_m if isinstance(tool, Capsule) else 0.0,
        empty if core is None else np.ascontiguousarray(core),
        pressing.push_steps,
        pressing.sweeps,
        pressing.damping,
        pressing.friction,
    )
