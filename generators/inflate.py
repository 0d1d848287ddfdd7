"""Fill a flat bag: a quasi-static solver for film that bends easily and cannot stretch.

Film is sewn flat, then air or granules push it towards a volume, or solid contents hold it up; what does not fit turns
into wrinkles, as on a balloon of foil. Position-based as ``shell``, without velocities: sweeps go on until what is
asked of the film hardly conflicts. Only + - * / and square roots, in a fixed order, so that results repeat to the bit.
"""

from dataclasses import dataclass, field
from typing import no_type_check

import numba as nb
import numpy as np
from jaxtyping import Float, Int

from .mesh import mesh_edges
from .pressing.shell import FIXED_ORDER_SEED, fold_pairs, relax_edges

MOST_STEP = 0.35
"""A sweep of pressure moves no vertex further than this share of the mean edge."""


@dataclass(frozen=True)
class Blob:
    """Solid contents: a box with round edges (a ball, if only its radius is left)."""

    middle: Float[np.ndarray, "3"]
    half: Float[np.ndarray, "3"]
    """Half its sides [m], roundness included."""
    radius_m: float
    """Of its edges; at most the smallest half side."""
    turn_rad: float = 0.0
    """About the vertical through its middle."""


@dataclass(frozen=True)
class Film:
    """What is filled: a mesh (layers that are sealed to each other share vertices) and how it lies when flat."""

    faces: Int[np.ndarray, "f 3"]
    lengths_of: Float[np.ndarray, "v 3"]
    """The flat bag [m]: edges keep the lengths that they have here."""
    folds: Int[np.ndarray, "h 4"]
    """Pairs of faces that resist bending, as in ``shell.fold_pairs``; straight is their rest."""
    bending: Float[np.ndarray, " h"]
    """Relaxation weight per fold, 0-1."""
    pairs: Int[np.ndarray, "p 2"] = field(default_factory=lambda: np.zeros((0, 2), int))
    """Vertices of which the first stays on the ``upward`` side of the second: two layers do not cross."""
    upward: int = 2
    """Axis along which pairs are kept apart."""
    sign: float = 1.0


@dataclass(frozen=True)
class Filling:
    """What acts on the film."""

    volume_m3: float | None = None
    """The film is pushed out to enclose this much; nothing pushes if None."""
    pressure: Float[np.ndarray, " v"] | None = None
    """Relative pressure per vertex; the same everywhere if None."""
    weight_m: float = 0.0
    """How far the film sinks in a sweep if nothing holds it."""
    floor_m: float | None = None
    """Nothing goes below this height."""
    grip: float = 0.5
    """Share of sliding that the floor holds back."""
    blobs: tuple[Blob, ...] = ()
    gap_m: float = 0.0004
    """Least distance of a pair, and of film and contents."""


@nb.njit(cache=True)
@no_type_check
def _push_volume(x, faces, pressure, target, cap, g):
    """One step towards a volume, along its gradient times pressure; returns the volume before."""
    g[:] = 0.0
    six = 0.0
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = x[a, 0], x[a, 1], x[a, 2]
        bx, by, bz = x[b, 0], x[b, 1], x[b, 2]
        cx, cy, cz = x[c, 0], x[c, 1], x[c, 2]
        ux, uy, uz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        six += ax * ux + ay * uy + az * uz
        # The area vector, shared evenly: the corners' own gradients differ only by terms that cancel when closed.
        nx = (by - ay) * (cz - az) - (bz - az) * (cy - ay)
        ny = (bz - az) * (cx - ax) - (bx - ax) * (cz - az)
        nz = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        for v in (a, b, c):
            g[v, 0] += nx
            g[v, 1] += ny
            g[v, 2] += nz
    miss = 6 * target - six
    total, most = 0.0, 0.0
    for v in range(len(x)):
        gg = g[v, 0] * g[v, 0] + g[v, 1] * g[v, 1] + g[v, 2] * g[v, 2]
        total += pressure[v] * gg
        most = max(most, pressure[v] * pressure[v] * gg)
    if total < 1e-30:
        return six / 6
    step = miss / total
    largest = abs(step) * np.sqrt(most)
    if largest > cap:
        step *= cap / largest
    for v in range(len(x)):
        for m in range(3):
            x[v, m] += step * pressure[v] * g[v, m]
    return six / 6


@nb.njit(cache=True)
@no_type_check
def _keep_out(x, side, blobs, gap):
    """Push vertices out of the contents; a blob is middle, inner half sides, radius, cos, sin.

    The film above (``side`` 1) never comes out below, nor the film below (-1) above: thin contents are not lost.
    """
    for v in range(len(x)):
        for k in range(len(blobs)):
            c, s, reach = blobs[k, 7], blobs[k, 8], blobs[k, 6] + gap
            dx, dy, qz = x[v, 0] - blobs[k, 0], x[v, 1] - blobs[k, 1], x[v, 2] - blobs[k, 2]
            qx, qy = c * dx + s * dy, c * dy - s * dx
            hx, hy, hz = blobs[k, 3], blobs[k, 4], blobs[k, 5]
            px, py = hx - abs(qx), hy - abs(qy)
            over = px > 0 and py > 0
            ox, oy, oz = qx - min(max(qx, -hx), hx), qy - min(max(qy, -hy), hy), qz - min(max(qz, -hz), hz)
            d = np.sqrt(ox * ox + oy * oy + oz * oz)
            lost = over and side[v] * oz < 0
            if d >= reach and not lost:
                continue
            if d > 1e-9 and not lost:
                f = reach / d
                qx, qy, qz = qx + (f - 1) * ox, qy + (f - 1) * oy, qz + (f - 1) * oz
            else:
                up = side[v] if side[v] != 0 else (1.0 if qz > 0 else -1.0)
                if hz - up * qz <= min(px, py) + reach:
                    qz = up * (hz + reach)
                elif px <= py:
                    qx = hx + reach if qx > 0 else -hx - reach
                else:
                    qy = hy + reach if qy > 0 else -hy - reach
            x[v, 0] = blobs[k, 0] + c * qx - s * qy
            x[v, 1] = blobs[k, 1] + s * qx + c * qy
            x[v, 2] = blobs[k, 2] + qz


@nb.njit(cache=True)
@no_type_check
def _hold(x, before, pairs, axis, sign, gap, floor, grip, side, blobs):
    for k in range(len(pairs)):
        i, j = pairs[k, 0], pairs[k, 1]
        miss = gap - sign * (x[i, axis] - x[j, axis])
        if miss > 0:
            x[i, axis] += 0.5 * sign * miss
            x[j, axis] -= 0.5 * sign * miss
    _keep_out(x, side, blobs, gap)
    for v in range(len(x)):
        if x[v, 2] < floor:
            x[v, 2] = floor
            x[v, 0] -= grip * (x[v, 0] - before[v, 0])
            x[v, 1] -= grip * (x[v, 1] - before[v, 1])


@nb.njit(cache=True)
@no_type_check
def _flatten(x, folds, weight):
    """As ``shell._relax_folds`` where all is free and straight at rest: half of its roots and divisions."""
    for h in range(len(folds)):
        i, j, k, n = folds[h, 0], folds[h, 1], folds[h, 2], folds[h, 3]
        ex, ey, ez = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
        ax, ay, az = x[k, 0] - x[i, 0], x[k, 1] - x[i, 1], x[k, 2] - x[i, 2]
        bx, by, bz = x[n, 0] - x[i, 0], x[n, 1] - x[i, 1], x[n, 2] - x[i, 2]
        px, py, pz = ey * az - ez * ay, ez * ax - ex * az, ex * ay - ey * ax
        qx, qy, qz = by * ez - bz * ey, bz * ex - bx * ez, bx * ey - by * ex
        pp, qq, ee = px * px + py * py + pz * pz, qx * qx + qy * qy + qz * qz, ex * ex + ey * ey + ez * ez
        if pp < 1e-24 or qq < 1e-24 or ee < 1e-16:
            continue
        length, both = np.sqrt(ee), 1.0 / np.sqrt(pp * qq)
        cosine = (px * qx + py * qy + pz * qz) * both
        sine = -(px * bx + py * by + pz * bz) * length * both
        # Nearly closed, half the cosine of half the angle counts as 1/4.
        folded = np.sqrt(2 - 2 * cosine) * (4.0 if sine >= 0 else -4.0)
        miss = 2 * sine / (1 + cosine) if cosine > -0.875 else folded
        invert = 1.0 / ee
        tk, tl = (ax * ex + ay * ey + az * ez) * invert, (bx * ex + by * ey + bz * ez) * invert
        fp, fq = -length * both * both * qq, -length * both * both * pp
        px, py, pz, qx, qy, qz = fp * px, fp * py, fp * pz, fq * qx, fq * qy, fq * qz
        gx, gy, gz = -tk * px - tl * qx, -tk * py - tl * qy, -tk * pz - tl * qz
        hx, hy, hz = -px - qx - gx, -py - qy - gy, -pz - qz - gz
        total = px * px + py * py + pz * pz + qx * qx + qy * qy + qz * qz
        total += gx * gx + gy * gy + gz * gz + hx * hx + hy * hy + hz * hz
        step = -miss / total * weight[h]
        x[i, 0] += step * hx
        x[i, 1] += step * hy
        x[i, 2] += step * hz
        x[j, 0] += step * gx
        x[j, 1] += step * gy
        x[j, 2] += step * gz
        x[k, 0] += step * px
        x[k, 1] += step * py
        x[k, 2] += step * pz
        x[n, 0] += step * qx
        x[n, 1] += step * qy
        x[n, 2] += step * qz


@nb.njit(cache=True)
@no_type_check
def _inflate(x, faces, edges, length, folds, weight, pairs, axis, sign, gap, target, pressure, cap, sink, floor, grip,
             side, blobs, sweeps, calm):  # fmt: skip
    mobile, g = np.ones(len(x)), np.zeros((len(x), 3))
    before = x.copy()
    for sweep in range(sweeps):
        before[:] = x
        if sweep < sweeps - calm:
            if sink > 0:
                for v in range(len(x)):
                    x[v, 2] -= sink
            if target >= 0:
                _push_volume(x, faces, pressure, target, cap, g)
            _flatten(x, folds, weight)
        for _ in range(2 if sweep < sweeps - calm else 4):
            relax_edges(x, mobile, edges, length)
        _hold(x, before, pairs, axis, sign, gap, floor, grip, side, blobs)
    return x


def _blob_rows(blobs: tuple[Blob, ...]) -> Float[np.ndarray, "k 9"]:
    rows = np.zeros((len(blobs), 9))
    for row, blob in zip(rows, blobs, strict=True):
        radius = min(blob.radius_m, float(blob.half.min()))
        row[:] = (*blob.middle, *(blob.half - radius), radius, np.cos(blob.turn_rad), np.sin(blob.turn_rad))
    return rows


def free_folds(faces: Int[np.ndarray, "f 3"], node: Int[np.ndarray, " v"]) -> Int[np.ndarray, "h 4"]:
    """Folds of a mesh whose vertices are then merged into nodes, without those that merging closes."""
    folds = node[fold_pairs(faces)]
    return folds[folds[:, 2] != folds[:, 3]]


def inflate(
    start: Float[np.ndarray, "v 3"], film: Film, filling: Filling, *, sweeps: int, calm: int = 12
) -> Float[np.ndarray, "v 3"]:
    """Let the film come to rest from ``start``; the last ``calm`` sweeps only restore lengths and contacts."""
    shuffle = np.random.default_rng(FIXED_ORDER_SEED)
    edges, _ = mesh_edges(film.faces)
    edges = np.ascontiguousarray(edges[shuffle.permutation(len(edges))])
    length = np.linalg.norm(np.diff(film.lengths_of[edges], axis=1)[:, 0], axis=1)
    order = shuffle.permutation(len(film.folds))
    side = np.zeros(len(start))
    side[film.pairs[:, 0]], side[film.pairs[:, 1]] = film.sign, -film.sign
    pressure = np.ones(len(start)) if filling.pressure is None else filling.pressure
    return _inflate(
        np.array(start, dtype=np.float64),
        np.ascontiguousarray(film.faces, dtype=np.int64),
        edges.astype(np.int64),
        length,
        np.ascontiguousarray(film.folds[order], dtype=np.int64),
        np.ascontiguousarray(film.bending[order], dtype=np.float64),
        np.ascontiguousarray(film.pairs, dtype=np.int64),
        film.upward,
        film.sign,
        filling.gap_m,
        -1.0 if filling.volume_m3 is None else float(filling.volume_m3),
        np.ascontiguousarray(pressure, dtype=np.float64),
        MOST_STEP * float(length.mean()),
        float(filling.weight_m),
        -1e9 if filling.floor_m is None else float(filling.floor_m),
        float(filling.grip),
        side,
        _blob_rows(filling.blobs),
        sweeps,
        calm,
    )


def edge_strain(
    vertices: Float[np.ndarray, "v 3"], flat: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, " e"]:
    """Relative change of every edge's length."""
    edges, _ = mesh_edges(faces)
    now, then = (np.linalg.norm(np.diff(p[edges], axis=1)[:, 0], axis=1) for p in (vertices, flat))
    return now / then - 1
