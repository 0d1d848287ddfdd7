"""A sheet that meets itself: which vertices come near which faces, and which faces go through each other.

Faces are found through a hashed grid of their middles. Everything runs in a fixed order, so results repeat to the bit.
"""

from typing import no_type_check

import numba as nb
import numpy as np
from jaxtyping import Bool, Float, Int

TABLE = 1 << 15
"""Buckets of the grid's hash table; a collision only costs time, as cells are compared too."""


@nb.njit(cache=True)
@no_type_check  # numba compiles these as they are: no checks may be wrapped around them in tests
def _bucket(a, b, c):
    return ((a * 73856093) ^ (b * 19349663) ^ (c * 83492791)) & (TABLE - 1)


@nb.njit(cache=True)
@no_type_check
def _grid(x, faces, size, head, follow, cell):
    """Chain the faces of each cell; the middle of a face decides."""
    head[:] = -1
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        for m in range(3):
            cell[f, m] = np.int64(np.floor((x[a, m] + x[b, m] + x[c, m]) / (3 * size)))
        h = _bucket(cell[f, 0], cell[f, 1], cell[f, 2])
        follow[f] = head[h]
        head[h] = f


@nb.njit(cache=True)
@no_type_check
def _in_reach(x, v, face, reach):
    a, b, c = face[0], face[1], face[2]
    if a == v or b == v or c == v:
        return False
    for m in range(3):
        low, high = min(x[a, m], min(x[b, m], x[c, m])), max(x[a, m], max(x[b, m], x[c, m]))
        if x[v, m] < low - reach or x[v, m] > high + reach:
            return False
    return True


@nb.njit(cache=True)
@no_type_check
def find_near(x, faces, awake, size, reach, head, follow, cell, pairs):
    """List (vertex, face) of waking vertices within ``reach`` of the box around a face that they are no corner of.

    ``size`` is the longest edge. Returns how many there are.
    """
    found = 0
    _grid(x, faces, size, head, follow, cell)
    for v in range(len(x)):
        if not awake[v]:
            continue
        i, j, k = (np.int64(np.floor(x[v, 0] / size)), np.int64(np.floor(x[v, 1] / size)),
                   np.int64(np.floor(x[v, 2] / size)))  # fmt: skip
        for a in range(i - 1, i + 2):
            for b in range(j - 1, j + 2):
                for c in range(k - 1, k + 2):
                    f = head[_bucket(a, b, c)]
                    while f >= 0:
                        here = cell[f, 0] == a and cell[f, 1] == b and cell[f, 2] == c and found < len(pairs)
                        if here and _in_reach(x, v, faces[f], reach):
                            pairs[found, 0], pairs[found, 1] = v, f
                            found += 1
                        f = follow[f]
    return found


@nb.njit(cache=True)
@no_type_check
def _foot(x, v, face, out):
    """Barycentric coordinates of a vertex's foot in a face (0-2), the face's unit normal (3-5), signed distance (6)."""
    a, b, c = face[0], face[1], face[2]
    ux, uy, uz = x[b, 0] - x[a, 0], x[b, 1] - x[a, 1], x[b, 2] - x[a, 2]
    vx, vy, vz = x[c, 0] - x[a, 0], x[c, 1] - x[a, 1], x[c, 2] - x[a, 2]
    wx, wy, wz = x[v, 0] - x[a, 0], x[v, 1] - x[a, 1], x[v, 2] - x[a, 2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    nn = nx * nx + ny * ny + nz * nz
    if nn < 1e-24:
        return False
    out[1] = ((wy * vz - wz * vy) * nx + (wz * vx - wx * vz) * ny + (wx * vy - wy * vx) * nz) / nn
    out[2] = ((uy * wz - uz * wy) * nx + (uz * wx - ux * wz) * ny + (ux * wy - uy * wx) * nz) / nn
    out[0] = 1 - out[1] - out[2]
    scale = 1 / np.sqrt(nn)
    out[3], out[4], out[5] = nx * scale, ny * scale, nz * scale
    out[6] = wx * out[3] + wy * out[4] + wz * out[5]
    return True


@nb.njit(cache=True)
@no_type_check
def _nearest_corner(x, v, face):
    least = 1e9
    for corner in range(3):
        away = 0.0
        for m in range(3):
            away += (x[v, m] - x[face[corner], m]) ** 2
        least = min(least, away)
    return np.sqrt(least)


@nb.njit(cache=True)
@no_type_check
def choose_sides(x, rest, faces, pairs, count, reach, gap, sides, gaps):
    """Keep the pairs (vertex, face) that may touch soon, in order: the side of the face, and how far they stay apart.

    That is ``gap``, or less where they are closer on the pristine sheet. Returns how many pairs are kept.
    """
    kept, out = 0, np.zeros(7)
    for n in range(count):
        v, f = pairs[n, 0], pairs[n, 1]
        if not _foot(x, v, faces[f], out) or min(out[0], min(out[1], out[2])) < -0.3 or abs(out[6]) > reach:
            continue
        pairs[kept, 0], pairs[kept, 1] = v, f
        sides[kept] = 1.0 if out[6] > 0 else -1.0
        gaps[kept] = min(gap, 0.4 * _nearest_corner(rest, v, faces[f]))
        if _foot(rest, v, faces[f], out) and min(out[0], min(out[1], out[2])) > -0.3:
            gaps[kept] = min(gaps[kept], 0.5 * abs(out[6]))
        kept += 1
    return kept


@nb.njit(cache=True)
@no_type_check
def part_contacts(p, w, faces, pairs, sides, gaps, found, out):
    """Move each listed vertex and its face apart until they keep their gap."""
    for n in range(found):
        v, f, side, gap = pairs[n, 0], pairs[n, 1], sides[n], gaps[n]
        if not _foot(p, v, faces[f], out) or min(out[0], min(out[1], out[2])) < -0.05:
            continue
        short = gap - side * out[6]
        if short <= 0 or short > 4 * gap:
            continue
        total = w[v]
        for m in range(3):
            total += w[faces[f, m]] * out[m] * out[m]
        if total < 1e-9:
            continue
        push = side * short / total
        for m in range(3):
            p[v, m] += w[v] * push * out[3 + m]
            for corner in range(3):
                i = faces[f, corner]
                p[i, m] -= w[i] * out[corner] * push * out[3 + m]


@nb.njit(cache=True)
@no_type_check
def _pierces(x, i, j, face):
    """Whether the segment i-j goes through a face (its rim excluded)."""
    a, b, c = face[0], face[1], face[2]
    dx, dy, dz = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
    ux, uy, uz = x[b, 0] - x[a, 0], x[b, 1] - x[a, 1], x[b, 2] - x[a, 2]
    vx, vy, vz = x[c, 0] - x[a, 0], x[c, 1] - x[a, 1], x[c, 2] - x[a, 2]
    px, py, pz = dy * vz - dz * vy, dz * vx - dx * vz, dx * vy - dy * vx
    det = ux * px + uy * py + uz * pz
    if abs(det) < 1e-18:
        return False
    tx, ty, tz = x[i, 0] - x[a, 0], x[i, 1] - x[a, 1], x[i, 2] - x[a, 2]
    s = (tx * px + ty * py + tz * pz) / det
    if s <= 1e-6 or s >= 1 - 1e-6:
        return False
    qx, qy, qz = ty * uz - tz * uy, tz * ux - tx * uz, tx * uy - ty * ux
    t = (dx * qx + dy * qy + dz * qz) / det
    if t <= 1e-6 or s + t >= 1 - 1e-6:
        return False
    along = (vx * qx + vy * qy + vz * qz) / det
    return 1e-6 < along < 1 - 1e-6


@nb.njit(cache=True)
@no_type_check
def _cross(x, one, two):
    for k in range(3):
        if _pierces(x, one[k], one[(k + 1) % 3], two) or _pierces(x, two[k], two[(k + 1) % 3], one):
            return True
    return False


@nb.njit(cache=True)
@no_type_check
def _near_boxes(x, one, two):
    for m in range(3):
        a, b, c = x[one[0], m], x[one[1], m], x[one[2], m]
        d, e, g = x[two[0], m], x[two[1], m], x[two[2], m]
        if max(a, max(b, c)) < min(d, min(e, g)) or max(d, max(e, g)) < min(a, min(b, c)):
            return False
    return True


@nb.njit(cache=True)
@no_type_check
def _apart(x, one, two):
    """Distance of the middles of two faces."""
    away = 0.0
    for m in range(3):
        away += (x[one[0], m] + x[one[1], m] + x[one[2], m] - x[two[0], m] - x[two[1], m] - x[two[2], m]) ** 2
    return np.sqrt(away) / 3


@nb.njit(cache=True)
@no_type_check
def mark_crossing(x, rest, faces, asked, size, head, follow, cell, hit):
    """Set ``hit`` for faces that another face, with which they share no vertex, goes through.

    Layers that lie on each other on the pristine sheet (seals, gussets) may slide: they are left out.
    """
    _grid(x, faces, size, head, follow, cell)
    for f in range(len(faces)):
        if not asked[f]:
            continue
        for a in range(cell[f, 0] - 1, cell[f, 0] + 2):
            for b in range(cell[f, 1] - 1, cell[f, 1] + 2):
                for c in range(cell[f, 2] - 1, cell[f, 2] + 2):
                    g = head[_bucket(a, b, c)]
                    while g >= 0:
                        if cell[g, 0] == a and cell[g, 1] == b and cell[g, 2] == c and (g > f or not asked[g]):
                            shared = False
                            for m in range(3):
                                for n in range(3):
                                    shared = shared or faces[f, m] == faces[g, n]
                            near = not shared and _near_boxes(x, faces[f], faces[g])
                            near = near and _apart(rest, faces[f], faces[g]) > 0.5 * size
                            if near and _cross(x, faces[f], faces[g]):
                                hit[f] = True
                                hit[g] = True
                        g = follow[g]


def longest_edge(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> float:
    """Length [m] of the longest edge: a grid of this size misses no neighbour."""
    corners = vertices[faces]
    return float(np.sqrt(np.square(corners - np.roll(corners, 1, axis=1)).sum(axis=2).max()))


class Neighbours:
    """What of one sheet comes close to itself, looked up anew every few steps of a solve."""

    def __init__(self, pristine: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], spacing: float) -> None:
        self.pristine, self.faces = pristine, faces
        self.size = max(1.05 * longest_edge(pristine, faces), spacing)
        self.head, self.follow = np.zeros(TABLE, np.int64), np.zeros(len(faces), np.int64)
        self.cell, self.foot = np.zeros((len(faces), 3), np.int64), np.zeros(7)
        room = 30 * len(pristine)
        self.pairs, self.sides, self.gaps = np.zeros((room, 2), np.int64), np.zeros(room), np.zeros(room)
        self.count = 0

    def find(self, x: Float[np.ndarray, "v 3"], awake: Bool[np.ndarray, " v"], gap: float) -> None:
        """List the pairs that may touch before the next look; they shall stay ``gap`` [m] apart."""
        near = find_near(x, self.faces, awake, self.size, 2.5 * gap, self.head, self.follow, self.cell, self.pairs)
        self.count = choose_sides(
            x, self.pristine, self.faces, self.pairs, near, 2.5 * gap, gap, self.sides, self.gaps
        )  # fmt: skip

    def part(self, p: Float[np.ndarray, "v 3"], w: Float[np.ndarray, " v"]) -> None:
        """Move apart what is too close."""
        part_contacts(p, w, self.faces, self.pairs, self.sides, self.gaps, self.count, self.foot)

    def crossing(self, x: Float[np.ndarray, "v 3"], asked: Bool[np.ndarray, " f"]) -> Bool[np.ndarray, " f"]:
        """Faces that go through another and do not on the pristine sheet: ``asked`` ones, and those that they meet."""
        now, before = np.zeros(len(self.faces), bool), np.zeros(len(self.faces), bool)
        self._mark(x, asked, now)
        if now.any():
            self._mark(self.pristine, now, before)
        return now & ~before

    def _mark(self, x: Float[np.ndarray, "v 3"], asked: Bool[np.ndarray, " f"], hit: Bool[np.ndarray, " f"]) -> None:
        mark_crossing(x, self.pristine, self.faces, asked, self.size, self.head, self.follow, self.cell, hit)
