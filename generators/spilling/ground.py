"""The tray around an item as a grid: what stands on it, and how far anything has to flow.

World frame [m]; row i of a field is y, column j is x, and values are at the nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import no_type_check

import cv2
import numba as nb
import numpy as np
from jaxtyping import Bool, Float, Int

from ...sim.rays import Caster, build_caster, keep_faces
from ...sim.scene import Part

LOW_M = 0.012
"""What is higher than this above the tray is in no puddle's way."""
FLOOR_M = 1e-5
"""What lies on the tray is drawn so far above it: two surfaces in one place would flicker."""
TRAY_EDGE_M = 0.002
BLOCK = 4
"""Inside, surfaces are drawn with one fan of triangles to so many cells squared."""
FAR = 1e6
SWEEPS = 3


@dataclass(frozen=True)
class Ground:
    """A window of the tray."""

    x: Float[np.ndarray, " w"]
    y: Float[np.ndarray, " h"]
    blocked: Bool[np.ndarray, "h w"]
    """Nodes where something stands, or where the tray ends."""
    ceiling: Float[np.ndarray, "h w"]
    """How high the undersides of things are [m]; FAR where there is sky."""
    things: Caster | None
    """The lowest parts of what stands there, for exact contacts."""

    @property
    def step(self) -> float:
        """Distance of nodes [m]."""
        return float(self.x[1] - self.x[0])

    def sample(self, field: Float[np.ndarray, "h w"], points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
        """Field at the nearest nodes; what is outside takes the border's value."""
        i = np.clip(np.rint((points[:, 1] - self.y[0]) / self.step).astype(int), 0, len(self.y) - 1)
        j = np.clip(np.rint((points[:, 0] - self.x[0]) / self.step).astype(int), 0, len(self.x) - 1)
        return field[i, j]


def low_parts(parts: Sequence[Part], low_m: float) -> list[Part]:
    """The faces of parts (in the world frame) that come so near to the tray."""
    out = []
    for part in parts:
        low = part.vertices[part.faces, 2].min(axis=1) < low_m
        if low.any():
            out.append(keep_faces(part, low))
    return out


@nb.njit(cache=True)
@no_type_check
def _undersides(corners, x0, y0, step, out):
    """Lower each node of ``out`` to the lowest triangle above it."""
    height, width = out.shape
    for f in range(len(corners)):
        ax, ay, az = corners[f, 0, 0], corners[f, 0, 1], corners[f, 0, 2]
        bx, by, bz = corners[f, 1, 0], corners[f, 1, 1], corners[f, 1, 2]
        cx, cy, cz = corners[f, 2, 0], corners[f, 2, 1], corners[f, 2, 2]
        twice = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(twice) < 1e-14:
            continue
        i0 = max(0, int(np.ceil((min(ay, by, cy) - y0) / step)))
        i1 = min(height - 1, int(np.floor((max(ay, by, cy) - y0) / step)))
        j0 = max(0, int(np.ceil((min(ax, bx, cx) - x0) / step)))
        j1 = min(width - 1, int(np.floor((max(ax, bx, cx) - x0) / step)))
        for i in range(i0, i1 + 1):
            y = y0 + i * step
            for j in range(j0, j1 + 1):
                x = x0 + j * step
                b = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / twice
                c = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / twice
                if b < -1e-9 or c < -1e-9 or b + c > 1 + 1e-9:
                    continue
                z = (1 - b - c) * az + b * bz + c * cz
                if z < out[i, j]:
                    out[i, j] = z


def _section(corners: Float[np.ndarray, "f 3 3"], level: float) -> Float[np.ndarray, "s 2 2"]:
    """Level line of a mesh: where upright walls stand, which have no underside."""
    above = corners[..., 2] > level
    odd = np.where(above.sum(axis=1) == 1, above.argmax(axis=1), (~above).argmax(axis=1))
    cut = (above.any(axis=1)) & ~(above.all(axis=1))
    corners, odd = corners[cut], odd[cut]
    n = np.arange(len(corners))
    tip = corners[n, odd]
    ends = []
    for k in (1, 2):
        other = corners[n, (odd + k) % 3]
        share = (level - tip[:, 2]) / (other[:, 2] - tip[:, 2])
        ends.append(tip[:, :2] + share[:, None] * (other - tip)[:, :2])
    return np.stack(ends, axis=1)


def lay_ground(
    parts: Sequence[Part],
    middle: Float[np.ndarray, "2"],
    half_m: float,
    *,
    cells: int,
    finest_m: float,
    tray_m: tuple[float, float],
    deep_m: float,
    low_m: float = LOW_M,
) -> Ground:
    """A square window of the tray; ``parts`` stand there, and block what is ``deep_m`` deep.

    Higher than ``low_m`` they are in nobody's way.
    It has ``cells`` cells a side, or fewer if they would be smaller than ``finest_m``.
    """
    count = BLOCK * int(np.clip(np.ceil(2 * half_m / finest_m / BLOCK), 6, cells // BLOCK))
    step = 2 * half_m / count
    x, y = (m - half_m + step * np.arange(count + 1) for m in middle)
    ceiling = np.full((len(y), len(x)), FAR)
    lines = np.zeros(ceiling.shape, np.uint8)
    near = _within(low_parts(parts, low_m), middle, half_m)
    for part in near:
        corners = part.triangles
        _undersides(np.ascontiguousarray(corners), float(x[0]), float(y[0]), step, ceiling)
        segments = (_section(corners, 0.5 * deep_m) - np.array([x[0], y[0]])) / step
        if len(segments):
            cv2.polylines(lines, list(np.round(segments * 16).astype(np.int32)), False, 1, 1, cv2.LINE_8, 4)
    half_x, half_y = (v / 2 - TRAY_EDGE_M for v in tray_m)
    off = (np.abs(x)[None] > half_x) | (np.abs(y)[:, None] > half_y)
    blocked = (ceiling < deep_m) | (lines > 0) | off
    return Ground(x, y, blocked, ceiling, build_caster(tuple(near)) if near else None)


def _within(parts: list[Part], middle: Float[np.ndarray, "2"], half_m: float) -> list[Part]:
    """Faces that reach into a window."""
    out = []
    for part in parts:
        corners = part.triangles[..., :2]
        inside = ((corners.max(axis=1) > middle - half_m) & (corners.min(axis=1) < middle + half_m)).all(axis=1)
        if inside.any():
            out.append(keep_faces(part, inside))
    return out


def open_ground(ground: Ground) -> Bool[np.ndarray, "h w"]:
    """Free nodes that are joined to most of the others: not the hollow under a bottle, nor beyond a wall."""
    count, label, stats, _ = cv2.connectedComponentsWithStats((~ground.blocked).astype(np.uint8), connectivity=4)
    if count < 2:
        return np.zeros_like(ground.blocked)
    return label == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def nearest_free(
    ground: Ground, free: Bool[np.ndarray, "h w"], points: Float[np.ndarray, "n 2"]
) -> Int[np.ndarray, "n 2"]:
    """The free node (i, j) nearest to each point."""
    out = []
    for x, y in points:
        away = np.square(ground.y - y)[:, None] + np.square(ground.x - x)[None]
        out.append(np.unravel_index(int(np.where(free, away, np.inf).argmin()), away.shape))
    return np.array(out)


@nb.njit(cache=True)
@no_type_check
def _sweep(time, slow, free, step, rounds):
    height, width = time.shape
    for _ in range(rounds):
        changed = False
        for way in range(4):
            for p in range(height):
                i = p if way < 2 else height - 1 - p
                for q in range(width):
                    j = q if way % 2 == 0 else width - 1 - q
                    if not free[i, j]:
                        continue
                    a, b = 1e9, 1e9
                    if i > 0:
                        a = min(a, time[i - 1, j])
                    if i < height - 1:
                        a = min(a, time[i + 1, j])
                    if j > 0:
                        b = min(b, time[i, j - 1])
                    if j < width - 1:
                        b = min(b, time[i, j + 1])
                    if min(a, b) >= 1e9:
                        continue
                    f = slow[i, j] * step
                    t = min(a, b) + f
                    if abs(a - b) < f:
                        t = 0.5 * (a + b + np.sqrt(2 * f * f - (a - b) * (a - b)))
                    if t < time[i, j]:
                        time[i, j] = t
                        changed = True
        if not changed:
            break


def arrival(
    ground: Ground,
    free: Bool[np.ndarray, "h w"],
    sources: Int[np.ndarray, "n 2"],
    slowness: Float[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w"]:
    """When a front that starts at the sources comes by [m of smooth way]; 1e9 where it never does.

    Zhao, "A fast sweeping method for eikonal equations" (2005). Around the sources the way is straight: a first-order
    scheme would make everything that starts at a point four-cornered.
    """
    time = np.full(ground.blocked.shape, 1e9)
    for i, j in sources:
        near = np.s_[max(0, i - 5) : i + 6, max(0, j - 5) : j + 6]
        di, dj = ground.y[near[0]] - ground.y[i], ground.x[near[1]] - ground.x[j]
        away = np.hypot(di[:, None], dj[None])
        if free[near].all():
            time[near] = np.minimum(time[near], np.where(away <= 5.1 * ground.step, away * slowness[i, j], 1e9))
        time[i, j] = 0.0
    _sweep(time, np.ascontiguousarray(slowness), free, ground.step, SWEEPS)
    return time
