"""The line of a tear on the flat sheet: slits, L, V and U with ragged edges whose length is exact.

All lengths are metres in the plane of an unfolding: x along the edge or grain that the tear keeps to, y into the sheet.
"""

from dataclasses import dataclass
from typing import Literal, no_type_check

import numba as nb
import numpy as np
from jaxtyping import Bool, Float

STEP_M = 0.0004
"""Distance of points along a torn line."""
OCTAVES, KNOTS = 5, 640
Shape = Literal["slit", "v", "l", "u", "arc", "edge_v", "edge_u", "edge_slit", "dog_ear", "rim_slit"]


@dataclass(frozen=True)
class Design:
    """What a tear looks like at every length: all of its draws."""

    shape: Shape
    corners: Float[np.ndarray, "n 2"]
    """The torn line before it is made ragged, in units of its length."""
    back: Float[np.ndarray, "m 2"]
    """How the outline goes on from the line's end to its start, in the same units; the first side is the hinge."""
    noise: Float[np.ndarray, "o k"]
    rough_m: float
    scale_m: float
    round_m: float
    shift_m: tuple[float, float] = (0.0, 0.0)
    """Of the whole line at every length: a tear beside a fold keeps off it."""


@dataclass(frozen=True)
class Outline:
    """A torn line and what closes it: the flap lies inside."""

    torn: Float[np.ndarray, "n 2"]
    back: Float[np.ndarray, "m 2"]
    """From the line's end to its start; the first side is the hinge, further ones are not torn."""
    length_m: float

    @property
    def ring(self) -> Float[np.ndarray, "k 2"]:
        """The closed outline."""
        return np.concatenate([self.torn, self.back[1:-1]])

    @property
    def hinge(self) -> Float[np.ndarray, "2 2"]:
        """Where the flap stays on: the outline's first side after the torn line."""
        return self.back[:2]


def polyline_length(line: Float[np.ndarray, "n 2"]) -> float:
    """Length [m]."""
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def _turned(headings: list[float], lengths: list[float]) -> Float[np.ndarray, "n 2"]:
    angle, step = np.radians(np.array(headings)), np.array(lengths)
    way = np.stack([np.cos(angle), np.sin(angle)], axis=1) * step[:, None]
    return np.concatenate([np.zeros((1, 2)), np.cumsum(way, axis=0)])


def draw_corners(shape: Shape, rng: np.random.Generator) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "m 2"]]:
    """The torn line's corners and the way back, both in units of the line's length; the same draws for all shapes."""
    one, two, three, four = rng.uniform(0, 1, 4)
    side = 1 if rng.random() < 0.5 else -1
    if shape == "v":
        line = _turned([32 + 30 * one, -32 - 30 * two], [0.4 + 0.2 * three, 0.6 - 0.2 * three])
    elif shape == "l":
        line = _turned([75 + 20 * one, -5 + 15 * two], [0.3 + 0.15 * three, 0.7 - 0.15 * three])
    elif shape == "u":
        line = _turned(
            [78 + 18 * one, -6 + 12 * four, -78 - 18 * two], [0.26 + 0.16 * three, 0.26, 0.48 - 0.16 * three]
        )
    elif shape == "arc":
        line = _turned([80 - 14.5 * k + 8 * one for k in range(12)], [1.0] * 12)
    elif shape == "edge_v":  # along an edge, then in
        line = _turned([0, 95 + 45 * one], [0.3 + 0.25 * two, 0.7 - 0.25 * two])
    elif shape == "edge_u":
        line = _turned([-75 - 25 * one, 0, 75 + 25 * two], [0.2 + 0.22 * three, 0.38, 0.42 - 0.22 * three])
    elif shape in ("dog_ear", "rim_slit"):
        line = _turned([58 + 64 * one, 50 + 80 * two], [0.6, 0.4])
    else:
        line = _turned([0, -14 + 28 * one, -10 + 20 * two], [0.35, 0.3, 0.35])
    line = line / polyline_length(line)
    back = line[[-1, 0]]
    if shape in ("slit", "edge_slit", "rim_slit"):
        along = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
        off = 0.35 * np.array([-along[1], along[0]])
        back = np.stack([line[-1], line[-1] + off, line[0] + off, line[0]])
        if shape == "rim_slit":  # open towards the rim
            back = np.stack([line[-1], line[-1] + off, [off[0], -1.0], [0, -1.0], line[0]])
    elif shape == "dog_ear":
        reach = line[-1, 1] * (0.5 + 0.7 * three)
        foot = min(line[-1, 0], 0.0) - reach
        back = np.array([line[-1], [foot, 0.0], [foot, -1.0], [0.0, -1.0], line[0]])
    mirrored = np.array([side, 1.0])
    line, back = line * mirrored, back * mirrored
    if shape in ("v", "l", "u", "arc", "slit"):
        middle = np.concatenate([line, back]).mean(axis=0)
    else:
        middle = np.array([0.5 * (line[0, 0] + line[1, 0]), line[:, 1].min()]) if shape[:4] == "edge" else line[0]
    return line - middle, back - middle


def _smoothed(corners: Float[np.ndarray, "n 2"], radius: float, count: int) -> Float[np.ndarray, "m 2"]:
    """Even points along a line whose corners are rounded; its ends stay."""
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    at = np.linspace(0, arc[-1], count + 1)
    out = np.zeros((count + 1, 2))
    reach = np.minimum(radius, np.minimum(at, arc[-1] - at))
    for shift in (-1.0, -0.5, 0.0, 0.5, 1.0):
        for k in range(2):
            out[:, k] += np.interp(at + shift * reach, arc, corners[:, k]) / 5
    return out


def _ragged(design: Design, scale: float, count: int) -> Float[np.ndarray, "n 2"]:
    line = _smoothed(design.corners * scale, min(design.round_m, 0.08 * scale), count)
    side = np.diff(line, axis=0)
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(side, axis=1))])
    off = np.zeros(len(line))
    for k, row in enumerate(design.noise):
        cell = design.scale_m / 2**k
        off += design.rough_m / 1.7**k * np.interp(arc / cell, np.arange(len(row)), row)
    off *= np.clip(np.minimum(arc, arc[-1] - arc) / max(3 * design.rough_m, 0.15 * min(arc[-1], 0.02)), 0, 1)
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    return line + off[:, None] * np.stack([-along[:, 1], along[:, 0]], axis=1)


def draw_line(design: Design, length_m: float) -> Outline:
    """The outline of a tear whose ragged line is exactly so long."""
    count = max(8, int(np.ceil(length_m / STEP_M)))  # not the scale's: the length must change with it continuously
    low, high, scale = 0.3 * length_m, 1.5 * length_m, 0.95 * length_m
    for _ in range(80):
        miss = polyline_length(_ragged(design, scale, count)) - length_m
        if abs(miss) < 1e-9 * length_m:
            break
        low, high = (scale, high) if miss < 0 else (low, scale)
        step = scale - miss * scale / (miss + length_m)  # lengths are nearly proportional to scale
        scale = step if low < step < high else (low + high) / 2
    line = _ragged(design, scale, count) + np.array(design.shift_m)
    back = scale * design.back[1:-1] + np.array(design.shift_m)
    return Outline(line, np.concatenate([line[-1:], back, line[:1]]), length_m)


@nb.njit(cache=True)
@no_type_check
def _nearest(points, line):
    n = len(points)
    distance, where = np.full(n, np.inf), np.zeros(n)
    start = 0.0
    for k in range(len(line) - 1):
        ax, ay = line[k, 0], line[k, 1]
        ex, ey = line[k + 1, 0] - ax, line[k + 1, 1] - ay
        ee = ex * ex + ey * ey
        length = np.sqrt(ee)
        for i in range(n):
            px, py = points[i, 0] - ax, points[i, 1] - ay
            t = 0.0
            if ee > 0:
                t = min(max((px * ex + py * ey) / ee, 0.0), 1.0)
            dx, dy = px - t * ex, py - t * ey
            d = np.sqrt(dx * dx + dy * dy)
            if d < distance[i]:
                distance[i] = d
                where[i] = start + t * length
        start += length
    return distance, where


@nb.njit(cache=True)
@no_type_check
def _inside(points, ring):
    out = np.zeros(len(points), np.bool_)
    for k in range(len(ring)):
        ax, ay = ring[k, 0], ring[k, 1]
        bx, by = ring[(k + 1) % len(ring), 0], ring[(k + 1) % len(ring), 1]
        for i in range(len(points)):
            y = points[i, 1]
            if (ay > y) != (by > y) and points[i, 0] < ax + (bx - ax) * (y - ay) / (by - ay):
                out[i] = not out[i]
    return out


@nb.njit(cache=True)
@no_type_check
def _crossings(a, b, line):
    out = np.full(len(a), np.nan)
    for i in range(len(a)):
        ux, uy = b[i, 0] - a[i, 0], b[i, 1] - a[i, 1]
        for k in range(len(line) - 1):
            ex, ey = line[k + 1, 0] - line[k, 0], line[k + 1, 1] - line[k, 1]
            cx, cy = line[k, 0] - a[i, 0], line[k, 1] - a[i, 1]
            det = ux * ey - uy * ex
            if det == 0:
                continue
            t, s = (cx * ey - cy * ex) / det, (cx * uy - cy * ux) / det
            if 0 <= t <= 1 and 0 <= s <= 1:
                out[i] = t
                break
    return out


def nearest_on_line(
    points: Float[np.ndarray, "n 2"], line: Float[np.ndarray, "m 2"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Distance of each point to a polyline, and how far along it that is [m]."""
    return _nearest(np.ascontiguousarray(points), np.ascontiguousarray(line))


def inside_ring(points: Float[np.ndarray, "n 2"], ring: Float[np.ndarray, "m 2"]) -> Bool[np.ndarray, " n"]:
    """Which points a closed outline holds (even-odd rule)."""
    return _inside(np.ascontiguousarray(points), np.ascontiguousarray(ring))


def first_crossing(
    a: Float[np.ndarray, "n 2"], b: Float[np.ndarray, "n 2"], line: Float[np.ndarray, "m 2"]
) -> Float[np.ndarray, " n"]:
    """Share of the way from a to b at which it crosses a polyline, NaN if it does not."""
    return _crossings(np.ascontiguousarray(a), np.ascontiguousarray(b), np.ascontiguousarray(line))


def ring_area(ring: Float[np.ndarray, "n 2"]) -> float:
    """Area [m²] of a closed outline."""
    x, y = ring.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def spaced(line: Float[np.ndarray, "n 2"], step: float) -> Float[np.ndarray, "m 2"]:
    """Points of a polyline about every ``step`` metres, ends included."""
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, arc[-1], max(2, int(np.ceil(arc[-1] / step)) + 1))
    return np.stack([np.interp(at, arc, line[:, k]) for k in range(2)], axis=1)
