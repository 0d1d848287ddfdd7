"""A sheet that meets itself: which vertices come near which faces, and which faces go through each other.

Faces are found through a hashed grid of their middles. Everything runs in a fixed order, so results repeat to the bit.
"""

from typing import no_type_check

import numba as nb
import numpy as np
from jaxtyping import Bool, Float, Int

TABLE = 1 << 14
"""Buckets of the grid's hash table; a collision only costs time, as boxes are compared too."""
MOST_CELLS = 64
"""A face that is drawn out over more cells than this is put into the first ones only: no sheet looks like that."""


@nb.njit(cache=True)
@no_type_check  # numba compiles these as they are: no checks may be wrapped around them in tests
def _bucket(a, b, c):
    return ((a * 73856093) ^ (b * 19349663) ^ (c * 83492791)) & (TABLE - 1)


@nb.njit(cache=True)
@no_type_check
def _grid(x, faces, size, reach, box, start, entry):
    """Sort the faces into the cells that their boxes, grown by ``reach``, touch.

    The faces of a bucket are ``entry[start[h]:start[h + 1]]``, one of them perhaps twice in a row.
    """
    low, high, place = np.zeros(3, np.int64), np.zeros(3, np.int64), np.zeros(TABLE, np.int64)
    start[:] = 0
    for fill in range(2):
        if fill:
            for h in range(TABLE):
                start[h + 1] += start[h]
                place[h] = start[h]
        for f in range(len(faces)):
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            for m in range(3):
                box[f, m] = min(x[a, m], min(x[b, m], x[c, m])) - reach
                box[f, 3 + m] = max(x[a, m], max(x[b, m], x[c, m])) + reach
                low[m], high[m] = np.int64(np.floor(box[f, m] / size)), np.int64(np.floor(box[f, 3 + m] / size))
            put = 0
            for i in range(low[0], high[0] + 1):
                for j in range(low[1], high[1] + 1):
                    for k in range(low[2], high[2] + 1):
                        if put < MOST_CELLS:
                            put += 1
                            h = _bucket(i, j, k)
                            if fill:
                                entry[place[h]] = f
                                place[h] += 1
                            else:
                                start[h + 1] += 1


@nb.njit(cache=True)
@no_type_check
def find_near(x, faces, awake, size, reach, box, start, entry, pairs):
    """List (vertex, face) of waking vertices within ``reach`` of the box around a face that they are no corner of.

    Returns how many there are.
    """
    found = 0
    _grid(x, faces, size, reach, box, start, entry)
    for v in range(len(x)):
        if not awake[v]:
            continue
        h = _bucket(np.int64(np.floor(x[v, 0] / size)), np.int64(np.floor(x[v, 1] / size)),
                    np.int64(np.floor(x[v, 2] / size)))  # fmt: skip
        last = -1
        for n in range(start[h], start[h + 1]):
            f = entry[n]
            if f == last or faces[f, 0] == v or faces[f, 1] == v or faces[f, 2] == v:
                continue
            last = f
            inside = found < len(pairs)
            for m in range(3):
                inside = inside and box[f, m] <= x[v, m] and x[v, m] <= box[f, 3 + m]
            if inside:
                pairs[found, 0], pairs[found, 1] = v, f
                found += 1
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
def _apart(x, one, two):
    """Distance of the middles of two faces."""
    away = 0.0
    for m in range(3):
        away += (x[one[0], m] + x[one[1], m] + x[one[2], m] - x[two[0], m] - x[two[1], m] - x[two[2], m]) ** 2
    return np.sqrt(away) / 3


@nb.njit(cache=True)
@no_type_check
def _may_cross(rest, faces, box, f, g, size):
    """Whether two faces' boxes meet, they share no vertex, and did not lie on each other on the pristine sheet."""
    for m in range(3):
        if box[f, m] > box[g, 3 + m] or box[g, m] > box[f, 3 + m]:
            return False
    for m in range(3):
        for n in range(3):
            if faces[f, m] == faces[g, n]:
                return False
    return _apart(rest, faces[f], faces[g]) > 0.5 * size


@nb.njit(cache=True)
@no_type_check
def mark_crossing(x, rest, faces, asked, longest, size, box, start, entry, hit):
    """Set ``hit`` for faces that another face, with which they share no vertex, goes through.

    Layers that lie on each other on the pristine sheet (seals, gussets) may slide: they are left out.
    """
    _grid(x, faces, size, 0.0, box, start, entry)
    low, high = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for f in range(len(faces)):
        if not asked[f]:
            continue
        for m in range(3):
            low[m], high[m] = np.int64(np.floor(box[f, m] / size)), np.int64(np.floor(box[f, 3 + m] / size))
        for i in range(low[0], high[0] + 1):
            for j in range(low[1], high[1] + 1):
                for k in range(low[2], high[2] + 1):
                    h = _bucket(i, j, k)
                    for n in range(start[h], start[h + 1]):
                        g = entry[n]
                        new = (g > f or not asked[g]) and not (hit[f] and hit[g])
                        if new and _may_cross(rest, faces, box, f, g, longest) and _cross(x, faces[f], faces[g]):
                            hit[f] = True
                            hit[g] = True


def longest_edge(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> float:
    """Length [m] of the longest edge."""
    corners = vertices[faces]
    return float(np.sqrt(np.square(corners - np.roll(corners, 1, axis=1)).sum(axis=2).max()))


class Neighbours:
    """What of one sheet comes close to itself, looked up anew every few steps of a solve."""

    def __init__(self, pristine: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], spacing: float) -> None:
        self.pristine, self.faces = pristine, faces
        self.size, self.longest = 2.2 * spacing, max(1.05 * longest_edge(pristine, faces), spacing)
        self.start, self.entry = np.zeros(TABLE + 1, np.int64), np.zeros(MOST_CELLS * len(faces), np.int64)
        self.box, self.foot = np.zeros((len(faces), 6)), np.zeros(7)
        room = 30 * len(pristine)
        self.pairs, self.sides, self.gaps = np.zeros((room, 2), np.int64), np.zeros(room), np.zeros(room)
        self.count = 0

    def find(self, x: Float[np.ndarray, "v 3"], awake: Bool[np.ndarray, " v"], gap: float) -> None:
        """List the pairs that may touch before the next look; they shall stay ``gap`` [m] apart."""
        near = find_near(x, self.faces, awake, self.size, 2.5 * gap, self.box, self.start, self.entry, self.pairs)
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
        mark_crossing(
            x, self.pristine, self.faces, asked, self.longest, self.size, self.box, self.start, self.entry, hit
        )  # fmt: skip
