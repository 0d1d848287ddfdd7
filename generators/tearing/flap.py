"""Bend a flap about its hinge: exactly without stretch if it is flat, then let a plastic shell settle.

The flap rolls up along straight rulings, as a sheet that cannot stretch does; what the surface deviates from its plane
(a bag's bulge, a dent) is carried along and turned with it.
"""

from dataclasses import dataclass
from typing import no_type_check

import numba as nb
import numpy as np
from jaxtyping import Bool, Float, Int

from ..mesh import mesh_edges
from ..pressing.kernels import _relax_folds, all_folds
from ..pressing.shell import FIXED_ORDER_SEED, fold_pairs, relax_edges

SWEEPS = 90


@dataclass(frozen=True)
class Bend:
    """How a flap is lifted: a fold at the hinge, then a curl."""

    lift_rad: float
    """Of the fold at the hinge; outwards if positive."""
    fold_m: float
    """Length over which the flap turns by it."""
    curl_per_m: float
    """Curvature beyond the fold; positive curls further outwards."""
    skew_rad: float
    """Between the hinge and the lines about which the flap rolls."""
    dents: Float[np.ndarray, "k 4"]
    """Irregularities: wave vector [rad/m], phase, height [m]."""


@dataclass(frozen=True)
class Flap:
    """What is bent: the flap's vertices in plane coordinates of its hinge."""

    vertices: Int[np.ndarray, " k"]
    """Indices into the sheet's."""
    along: Float[np.ndarray, " k"]
    """Place along the rulings [m]."""
    away: Float[np.ndarray, " k"]
    """Distance from the ruling through the hinge's first end [m]; at most 0 is not bent."""
    free: Bool[np.ndarray, " k"]
    """Whether a vertex is off the hinge itself."""
    off_m: float
    """How far the surface leaves the plane of the hinge."""
    frame: Float[np.ndarray, "3 3"]
    """Rows: along the rulings, away from the hinge, outwards."""
    origin: Float[np.ndarray, "3"]


def lay_flap(
    points: Float[np.ndarray, "v 3"],
    normals: Float[np.ndarray, "v 3"],
    plane: Float[np.ndarray, "v 2"],
    vertices: Int[np.ndarray, " k"],
    hinge: Float[np.ndarray, "2 2"],
    skew_rad: float,
) -> Flap:
    """Find where a flap is hinged and how it lies there; ``hinge`` is in the plane of the unfolding."""
    b, c = hinge
    length = float(np.linalg.norm(c - b))
    e = (c - b) / max(length, 1e-9)
    n = np.array([-e[1], e[0]])
    p = plane[vertices] - b
    n = n if (p @ n).mean() > 0 else -n
    free = p @ n > 1e-4
    cos, sin = np.cos(skew_rad), np.sin(skew_rad)
    turned_e, turned_n = cos * e + sin * n, cos * n - sin * e
    if turned_n @ e > 0:  # the ruling goes through the end from which the flap lies all beyond it
        p = p - (c - b)
    along, away = p @ turned_e, p @ turned_n
    height = p @ n
    near = height < max(0.006, 0.35 * float(height.max()))
    basis = np.stack([along[near], away[near], np.ones(int(near.sum()))], axis=1)
    fit = np.linalg.lstsq(basis, points[vertices[near]], rcond=None)[0]
    t = fit[0] / np.linalg.norm(fit[0])
    w = fit[1] - (fit[1] @ t) * t
    w /= np.linalg.norm(w)
    outward = np.cross(t, w)
    if outward @ normals[vertices[near]].mean(axis=0) < 0:
        outward = -outward
    flat = fit[2] + along[:, None] * t + away[:, None] * w
    off = float(np.linalg.norm(points[vertices] - flat, axis=1).max())
    return Flap(vertices, along, away, free, off, np.stack([t, w, outward]), fit[2])


def bend_flap(points: Float[np.ndarray, "v 3"], flap: Flap, bend: Bend) -> Float[np.ndarray, "v 3"]:
    """Roll the flap up about its rulings."""
    t, w, n = flap.frame
    reach = max(float(flap.away.max()), 1e-4)
    q = np.linspace(0, reach, 400)
    rise = np.clip(q / bend.fold_m, 0, 1)
    angle = bend.lift_rad * rise * rise * (3 - 2 * rise) + bend.curl_per_m * np.clip(q - 0.5 * bend.fold_m, 0, None)
    step = np.concatenate([[0], np.diff(q)])
    x, z = np.cumsum(np.cos(angle) * step), np.cumsum(np.sin(angle) * step)
    at = np.clip(flap.away, 0, None)
    turn, out = np.interp(at, q, angle), np.interp(at, q, z)
    forth = np.where(flap.away > 0, np.interp(at, q, x), flap.away)
    before = points[flap.vertices]
    flat = flap.origin + flap.along[:, None] * t + flap.away[:, None] * w
    off = before - flat
    fade = np.clip(flap.away / max(0.3 * reach, 0.004), 0, 1) ** 2
    for kx, ky, phase, height in bend.dents:
        off = off + (height * fade * np.sin(kx * flap.along + ky * flap.away + phase))[:, None] * n
    c, s = np.cos(turn)[:, None], np.sin(turn)[:, None]
    a, b, d = (off @ axis for axis in (t, w, n))
    turned = a[:, None] * t + b[:, None] * (c * w + s * n) + d[:, None] * (c * n - s * w)
    done = points.copy()
    done[flap.vertices] = flap.origin + flap.along[:, None] * t + forth[:, None] * w + out[:, None] * n + turned
    return done


@nb.njit(cache=True)
@no_type_check
def _settle(x, w, edges, length, folds, rest, weight, cap, up, floor, sweeps):
    g, every = np.zeros((4, 3)), np.arange(len(folds))
    for sweep in range(sweeps):
        if sweep < sweeps - 10:
            _relax_folds(x, w, folds, every, len(folds), rest, weight, 1.0, cap, g)
        relax_edges(x, w, edges, length)
        relax_edges(x, w, edges, length)
        for v in range(len(x)):
            if w[v] > 0:
                low = floor - (x[v, 0] * up[0] + x[v, 1] * up[1] + x[v, 2] * up[2])
                if low > 0:
                    for m in range(3):
                        x[v, m] += low * up[m]
    return x


def settle(
    points: Float[np.ndarray, "v 3"],
    rest: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    moves: Bool[np.ndarray, " v"],
    *,
    bending: float,
    up: Float[np.ndarray, "3"],
    floor: float,
) -> Float[np.ndarray, "v 3"]:
    """Restore the lengths of ``rest`` with folds as they are now (they have yielded); nothing goes below the floor."""
    some = faces[moves[faces].any(axis=1)]
    used, local = np.unique(some, return_inverse=True)
    local = local.reshape(-1, 3)
    shuffle = np.random.default_rng(FIXED_ORDER_SEED)
    edges, _ = mesh_edges(local)
    edges = np.ascontiguousarray(edges[shuffle.permutation(len(edges))])
    folds = fold_pairs(local)
    folds = np.ascontiguousarray(folds[shuffle.permutation(len(folds))])
    length = np.linalg.norm(rest[used][edges[:, 0]] - rest[used][edges[:, 1]], axis=1)
    x = np.ascontiguousarray(points[used])
    done = points.copy()
    done[used] = _settle(
        x.copy(), moves[used].astype(np.float64), edges, length, folds, all_folds(x, folds),
        np.full(len(folds), 0.5 * bending), 0.1 * float(np.median(length)), np.ascontiguousarray(up), floor, SWEEPS,
    )  # fmt: skip
    return done


def strain_of(
    points: Float[np.ndarray, "v 3"], rest: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, " e"]:
    """Relative change of the sides of faces."""
    edges, _ = mesh_edges(faces)
    now, then = (np.linalg.norm(p[edges[:, 0]] - p[edges[:, 1]], axis=1) for p in (points, rest))
    return now / np.maximum(then, 1e-12) - 1
