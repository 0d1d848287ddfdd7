"""How a wall is pierced: a pattern of cuts in a flat chart, drawn in units of its reach; strength only scales it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from ...sim.scene import KINDS
from ..mesh import Sheet, vertex_normals

PENETRATION = KINDS.index("penetration")
FAR = 1e3
"""Chart coordinate [m] of all that is not near."""
INSIDE, ON_RIM = 2.0, 0.999
"""Marks inside a labelled region and exactly on its border: labels end where the border does."""


@dataclass(frozen=True)
class Place:
    """Where a wall is pierced: a tangent frame on the pristine surface, and the same frame where it is now."""

    at: Float[np.ndarray, "3"]
    axes: Float[np.ndarray, "3 3"]
    """Rows u, v and the outward normal."""
    at_now: Float[np.ndarray, "3"]
    axes_now: Float[np.ndarray, "3 3"]
    free: float
    """As far as this the wall is smooth and whole [m]."""
    room: float
    """How far a petal can go in before it meets something [m]."""

    @property
    def normal(self) -> Float[np.ndarray, "3"]:
        """Outward, pristine."""
        return self.axes[2]


@dataclass(frozen=True)
class Petal:
    """What bends between two slits."""

    turn_rad: float
    """Of its tip; negative bends outwards."""
    rounded: float
    """Share of its length over which it bends; a crease if small."""
    curl_rad: float
    twist: float
    """How much more one end of its root bends than the other."""


@dataclass(frozen=True)
class Gape:
    """How a slit opens: both lips part and lift."""

    width: float
    lift: tuple[float, float]
    decay: float


@dataclass(frozen=True)
class Pattern:
    """Cuts and their consequences around the origin of a chart, in units of the reach."""

    form: str
    contours: tuple[Float[np.ndarray, "n 2"], ...] = ()
    """Closed outlines of what is missing."""
    ends: Float[np.ndarray, "k 2"] | None = None
    """Ends of the slits that start at the origin, counter-clockwise."""
    waves: Float[np.ndarray, "k 3"] | None = None
    """Of each slit: how far it strays sideways over its length, its waves and its phase."""
    petals: tuple[Petal | None, ...] = ()
    """One after each slit."""
    gape: Gape | None = None
    dent: float = 0.0
    """Depth of the dent around."""
    dent_reach: float = 1.6
    star: tuple[int, float, float] = (0, 0.0, 0.0)
    """Ridges of the dent: count, phase, height as a share of its depth."""
    ruffle: tuple[int, float, float] = (0, 0.0, 0.0)
    """Radial wrinkles of a film around: count, phase, height."""
    lip: float = 0.0
    """How far the rim of a missing piece is pushed in."""
    fibre: tuple[float, float] | None = None
    """Width [reach] and phase of the ragged band beside a tear where the print has gone with the fibres."""

    @property
    def count(self) -> int:
        """Openings."""
        return max(1, len(self.contours))

    @cached_property
    def extent(self) -> float:
        """Radius of all cuts."""
        points = [*self.contours, *([] if self.ends is None else [self.ends])]
        return float(max(np.linalg.norm(p, axis=1).max() for p in points))


def chart_of(sheet: Sheet, place: Place, radius: float) -> Float[np.ndarray, "v 2"]:
    """Tangent-plane coordinates [m] of vertices near a place and on its side of the sheet; FAR for all others."""
    offset = sheet.rest - place.at
    close = np.flatnonzero(np.square(offset).sum(axis=1) < radius**2)
    flat = np.full((len(offset), 2), FAR)
    if len(close):
        touching = np.zeros(len(offset), bool)
        touching[close] = True
        faces = sheet.faces[touching[sheet.faces].any(axis=1)]
        same_side = (vertex_normals(sheet.rest, faces) @ place.normal)[close] > 0.2
        flat[close[same_side]] = offset[close[same_side]] @ place.axes[:2].T
    return flat


def polygon_distance(points: Float[np.ndarray, "p 2"], corners: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " p"]:
    """Signed distance to a closed polygon, negative inside."""
    a, b = corners, np.roll(corners, -1, axis=0)
    away = _segment_distance(points, a, b).min(axis=1)
    x, y = points[:, :1], points[:, 1:]
    spans = (a[:, 1] > y) != (b[:, 1] > y)
    crossing = a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
    inside = (spans & (x < crossing)).sum(axis=1) % 2 == 1
    return np.where(inside, -away, away)


def _segment_distance(
    points: Float[np.ndarray, "p 2"], a: Float[np.ndarray, "n 2"], b: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "p n"]:
    along = b - a
    length2 = np.maximum(np.square(along).sum(axis=1), 1e-18)
    away = points[:, None] - a
    t = np.clip(np.einsum("pnk,nk->pn", away, along) / length2, 0, 1)
    away -= t[..., None] * along
    return np.sqrt(np.square(away).sum(axis=2))


@dataclass(frozen=True)
class Cutting:
    """A pattern scaled to its reach [m], to be cut into sheets."""

    pattern: Pattern
    reach: float

    @cached_property
    def contours(self) -> tuple[Float[np.ndarray, "n 2"], ...]:
        """Outlines of what is missing [m]."""
        return tuple(self.reach * contour for contour in self.pattern.contours)

    @cached_property
    def ends(self) -> Float[np.ndarray, "k 2"]:
        """Ends of slits [m]."""
        return np.zeros((0, 2)) if self.pattern.ends is None else self.reach * self.pattern.ends

    def missing(self, points: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, " p"]:
        """Signed distance [m] to what is missing, negative inside it; a lower bound further away."""
        value = np.full(len(points), FAR)
        for contour in self.contours:
            middle = contour.mean(axis=0)
            size = float(np.linalg.norm(contour - middle, axis=1).max())
            far = np.linalg.norm(points - middle, axis=1)
            value = np.minimum(value, np.maximum(far - size, 0.5 * size))
            close = np.flatnonzero(far < 3 * size)
            value[close] = np.minimum(value[close], polygon_distance(points[close], contour))
        return value

    def sideways(self, points: Float[np.ndarray, "p 2"], k: int) -> Float[np.ndarray, "2 p"]:
        """Along slit k and to its left [m]."""
        end = self.ends[k]
        length = float(np.linalg.norm(end))
        along = end / length
        x, y = points @ along, points @ np.array([-along[1], along[0]])
        if self.pattern.waves is None:
            return np.stack([x, y])
        size, waves, phase = self.pattern.waves[k]
        t = np.clip(x / length, 0, 1)
        stray = size * length * (np.sin(waves * t + phase) + 0.45 * np.sin(2.7 * waves * t + 2 * phase))
        return np.stack([x, y - 4 * t * (1 - t) * stray])

    def torn(self, points: Float[np.ndarray, "p 2"], *, blunt: float = 0.0) -> Float[np.ndarray, " p"]:
        """Distance [m] to the nearest cut; ``blunt`` adds to it towards the ends of slits."""
        value = np.abs(self.missing(points))
        for k in range(len(self.ends)):
            x, y = self.sideways(points, k)
            length = float(np.linalg.norm(self.ends[k]))
            beside = np.hypot(y, np.maximum(np.maximum(-x, x - length), 0))
            value = np.minimum(value, beside + blunt * np.clip((x / length - 0.55) / 0.45, 0, 1))
        return value

    def sector(self, points: Float[np.ndarray, "p 2"]) -> Int[np.ndarray, " p"]:
        """Number of the petal (from 1) that points belong to; 0 beyond the slits' ends."""
        n = len(self.ends)
        if n == 0:
            return np.zeros(len(points), np.int64)
        left = np.stack([self.sideways(points, k)[1] for k in range(n)]) > 0
        found = np.full(len(points), n)
        for k in reversed(range(n - 1)):
            found[left[k] & ~left[k + 1]] = k + 1
        angle = np.arctan2(self.ends[:, 1], self.ends[:, 0])
        length = np.linalg.norm(self.ends, axis=1)
        gap = np.mod(np.roll(angle, -1) - angle, 2 * np.pi)
        k = found - 1
        share = np.mod(np.arctan2(points[:, 1], points[:, 0]) - angle[k] + 0.3, 2 * np.pi) - 0.3
        share = np.clip(share / gap[k], 0, 1)
        limit = length[k] + share * (np.roll(length, -1)[k] - length[k])
        return np.where(np.linalg.norm(points, axis=1) < limit, found, 0)
