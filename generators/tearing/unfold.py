"""Exact unfolding: a piece of a sheet laid flat around a point, without stretch, triangle by triangle.

Triangles are laid out in the order of their distance from the start. Where that goes round a corner of a box, or over
doubly curved film, triangles that do not fit their neighbours are not ``exact``, and nothing is drawn across them.
"""

import heapq
from dataclasses import dataclass
from typing import no_type_check

import numba as nb
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from ..mesh import face_normals

NEAREST = 24
"""Faces that are tried to find the one that holds a point."""


@dataclass(frozen=True)
class Unfolding:
    """A sheet's surface near a point, laid flat."""

    plane: Float[np.ndarray, "v 2"]
    """Where each vertex comes to lie [m], the start at the origin; NaN beyond reach."""
    exact: Bool[np.ndarray, " f"]
    """Faces whose sides keep their lengths."""


@nb.njit(cache=True)
@no_type_check
def _lay_out(rest, faces, beside, first, reach, blocked):
    plane = np.full((len(rest), 2), np.nan)
    done = blocked.copy()
    a, b, c = faces[first, 0], faces[first, 1], faces[first, 2]
    e, d = rest[b] - rest[a], rest[c] - rest[a]
    length = np.sqrt((e * e).sum())
    along = (d * e).sum() / length
    plane[a, :] = 0.0
    plane[b, 0], plane[b, 1] = length, 0.0
    plane[c, 0], plane[c, 1] = along, np.sqrt(max((d * d).sum() - along * along, 0.0))
    # Each face is laid beside its own neighbour, all three corners: vertices of different ways would mix, and their
    # rounding errors would grow from face to face.
    own = np.zeros((len(faces), 3, 2))
    for k in range(3):
        own[first, k] = plane[faces[first, k]]
    middle = (plane[a] + plane[b] + plane[c]) / 3
    queue = [(0.0, first)]
    done[first] = True
    while len(queue) > 0:
        _, f = heapq.heappop(queue)
        for k in range(3):
            g = beside[f, k]
            if g < 0 or done[g]:
                continue
            done[g] = True
            i, j = faces[f, k], faces[f, (k + 1) % 3]
            n = faces[g, 0] + faces[g, 1] + faces[g, 2] - i - j
            p, q = own[f, k], own[f, (k + 1) % 3]
            e, d = rest[j] - rest[i], rest[n] - rest[i]
            length = np.sqrt((e * e).sum())
            along = (d * e).sum() / length
            off = np.sqrt(max((d * d).sum() - along * along, 0.0))
            flat = np.sqrt((q[0] - p[0]) ** 2 + (q[1] - p[1]) ** 2)
            ux, uy = (q[0] - p[0]) / flat, (q[1] - p[1]) / flat
            x = p[0] + along * ux + off * uy  # the new face lies to the right of i -> j
            y = p[1] + along * uy - off * ux
            for m in range(3):
                v = faces[g, m]
                if v == i:
                    own[g, m, 0], own[g, m, 1] = p[0], p[1]
                elif v == j:
                    own[g, m, 0], own[g, m, 1] = q[0], q[1]
                else:
                    own[g, m, 0], own[g, m, 1] = x, y
            if np.isnan(plane[n, 0]):
                plane[n, 0], plane[n, 1] = x, y
            fx, fy = (p[0] + q[0] + x) / 3 - middle[0], (p[1] + q[1] + y) / 3 - middle[1]
            distance = np.sqrt(fx * fx + fy * fy)
            if distance < reach:
                heapq.heappush(queue, (distance, g))
    return plane


def faces_beside(faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, "f 3"]:
    """For each side 01, 12, 20 of each face the face on its other side, -1 at an open edge."""
    half = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    key = half[:, 0].astype(np.int64) * (int(faces.max()) + 1) + half[:, 1]
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order][1:] == key[order][:-1])
    beside = np.full(len(key), -1)
    beside[order[same]], beside[order[same + 1]] = order[same + 1] // 3, order[same] // 3
    return beside.reshape(-1, 3)


def stretch(
    rest: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], plane: Float[np.ndarray, "v 2"]
) -> Float[np.ndarray, " f"]:
    """Largest relative change of a face's sides when laid flat; infinite beyond reach or if it came to lie upside down.

    Sides are compared with the face's longest, so that a short one does not weigh more.
    """
    solid, flat = rest[faces], plane[faces]
    then = np.linalg.norm(solid - np.roll(solid, 1, axis=1), axis=2)
    now = np.linalg.norm(flat - np.roll(flat, 1, axis=1), axis=2)
    a, b = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    upright = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] > 0
    change = np.abs(now - then).max(axis=1) / np.maximum(then.max(axis=1), 1e-12)
    return np.where(upright & ~np.isnan(change), change, np.inf)


def unfold(
    rest: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    face: int,
    at: Float[np.ndarray, "3"],
    along: Float[np.ndarray, "3"],
    *,
    reach: float,
    beside: Int[np.ndarray, "f 3"],
    blocked: Bool[np.ndarray, " f"],
    tolerance: float = 1e-6,
) -> Unfolding:
    """Lay a sheet flat around the point ``at`` of ``face``; ``along`` (as far as it lies in the face) becomes x.

    ``beside`` is that of ``faces_beside``; nothing is laid out across ``blocked`` faces.
    """
    plane = _lay_out(rest, faces, beside, face, reach, blocked)
    a, b, c = faces[face]
    sides = np.stack([rest[b] - rest[a], rest[c] - rest[a]], axis=1)
    flat = np.stack([plane[b] - plane[a], plane[c] - plane[a]], axis=1)
    start, way = (flat @ np.linalg.lstsq(sides, v, rcond=None)[0] for v in (at - rest[a], along))
    x = way / np.linalg.norm(way)
    plane = (plane - plane[a] - start) @ np.array([[x[0], -x[1]], [x[1], x[0]]])
    return Unfolding(plane, ~blocked & (stretch(rest, faces, plane) < tolerance))


def locate(
    plane: Float[np.ndarray, "v 2"],
    faces: Int[np.ndarray, "f 3"],
    usable: Bool[np.ndarray, " f"],
    points: Float[np.ndarray, "n 2"],
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """Which usable face holds each point of the plane (-1: none), and the weights of its corners."""
    some = np.flatnonzero(usable)
    if len(some) == 0:
        return np.full(len(points), -1), np.zeros((len(points), 3))
    corner = plane[faces[some]]
    _, near = KDTree(corner.mean(axis=1)).query(points, k=min(NEAREST, len(some)))
    near = near.reshape(len(points), -1)
    a, b, c = (corner[near][:, :, k] for k in range(3))
    p = points[:, None]
    area = _cross(b - a, c - a)
    weights = np.stack([_cross(c - b, p - b), _cross(a - c, p - c), _cross(b - a, p - a)], axis=2) / area[..., None]
    least = weights.min(axis=2)
    best = least.argmax(axis=1)
    rows = np.arange(len(points))
    inside = least[rows, best] > -1e-6
    return np.where(inside, some[near[rows, best]], -1), weights[rows, best]


def _cross(a: Float[np.ndarray, "n k 2"], b: Float[np.ndarray, "n k 2"]) -> Float[np.ndarray, "n k"]:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def spread(
    values: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    face: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, "n 3"],
) -> Float[np.ndarray, "n 3"]:
    """Values of the vertices at located points."""
    return np.einsum("nk,nkc->nc", weights, values[faces[face]])


def unit_normals(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "f 3"]:
    """Unit normals of faces."""
    normals = face_normals(vertices, faces)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
