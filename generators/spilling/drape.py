"""Closed bodies that lie on the tray under a height field: fine at their border, coarse within.

World frame [m].
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from ...sim.rays import cast
from ..mesh import boundary_half_edges
from .ground import BLOCK, FAR, FLOOR_M, Ground

UNDER_M, BESIDE_M = 2e-4, 5e-5
"""Gaps between what lies on the tray and what overhangs it, or stands in it."""


@dataclass(frozen=True)
class Drape:
    """A closed body that lies on the tray: its upper side first, then its sides, then its underside."""

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    normals: Float[np.ndarray, "f 3 3"]
    upper: int
    """Number of faces of the upper side."""

    @property
    def area_m2(self) -> float:
        """Of tray that is covered."""
        return float(_flat_areas(self.vertices, self.faces[: self.upper]).sum())


def _flat_areas(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, " f"]:
    a, b, c = (vertices[faces[:, k], :2] for k in range(3))
    u, v = b - a, c - a
    return (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / 2


def _fans(inside: Bool[np.ndarray, "h w"]) -> tuple[Int[np.ndarray, "f 3"], Bool[np.ndarray, "a b"]]:
    """Fans over the blocks that lie wholly inside, and which these are."""
    height, width = inside.shape
    index = np.arange(height * width).reshape(height, width)
    cell = inside[:-1, :-1] & inside[1:, :-1] & inside[:-1, 1:] & inside[1:, 1:]
    a, b = cell.shape[0] // BLOCK, cell.shape[1] // BLOCK
    whole = cell.reshape(a, BLOCK, b, BLOCK).all(axis=(1, 3))
    padded = np.pad(whole, 1)
    i, j = (BLOCK * q for q in np.nonzero(whole))
    made = []
    # Start and direction of each side, counter-clockwise, and the block on its other side.
    for (si, sj), (di, dj), (ni, nj) in (
        ((0, 0), (0, 1), (-1, 0)),
        ((0, BLOCK), (1, 0), (0, 1)),
        ((BLOCK, BLOCK), (0, -1), (1, 0)),
        ((BLOCK, 0), (-1, 0), (0, -1)),
    ):
        plain = padded[i // BLOCK + 1 + ni, j // BLOCK + 1 + nj]
        middle = index[i + BLOCK // 2, j + BLOCK // 2]
        for k in range(BLOCK):
            first = index[i + si + k * di, j + sj + k * dj]
            second = index[i + si + (k + 1) * di, j + sj + (k + 1) * dj]
            made.append(np.stack([first, second, middle], 1)[~plain])
        corner = index[i + si, j + sj], index[i + si + BLOCK * di, j + sj + BLOCK * dj]
        made.append(np.stack([*corner, middle], 1)[plain])
    return np.concatenate(made), np.asarray(whole)


def _fine(inside: Bool[np.ndarray, "h w"], whole: Bool[np.ndarray, "a b"]) -> Int[np.ndarray, "f 3"]:
    """Two triangles for each cell that has a corner inside and no fan."""
    index = np.arange(inside.size).reshape(inside.shape)
    some = inside[:-1, :-1] | inside[1:, :-1] | inside[:-1, 1:] | inside[1:, 1:]
    some &= ~np.repeat(np.repeat(whole, BLOCK, 0), BLOCK, 1)
    i, j = np.nonzero(some)
    a, b, c, d = index[i, j], index[i, j + 1], index[i + 1, j + 1], index[i + 1, j]
    even = ((i + j) % 2 == 0)[:, None]
    one = np.where(even, np.stack([a, b, c], 1), np.stack([a, b, d], 1))
    two = np.where(even, np.stack([a, c, d], 1), np.stack([b, c, d], 1))
    return np.concatenate([one, two])


def _clip(faces: Int[np.ndarray, "f 3"], inside: Bool[np.ndarray, " n"]):
    """Cut triangles at the border: faces over old nodes and new points, and the new points' edges (in, out)."""
    kept = inside[faces]
    count = kept.sum(axis=1)
    n = len(inside)

    def turned(which, first):
        rows = faces[which]
        start = first[which].argmax(axis=1)
        return np.stack([rows[np.arange(len(rows)), (start + k) % 3] for k in range(3)], 1)

    p, q, r = turned(count == 1, kept).T
    o, s, t = turned(count == 2, ~kept).T
    edges = np.concatenate([np.stack(e, 1) for e in ((p, q), (p, r), (s, o), (t, o))])
    keys, point = np.unique(edges[:, 0].astype(np.int64) * n + edges[:, 1], return_inverse=True)
    pq, pr, so, to = np.split(n + point.reshape(-1), np.cumsum([len(p), len(p), len(s)]))
    made = [np.stack(f, 1) for f in ((p, pq, pr), (s, t, so), (so, t, to))]
    return np.concatenate([faces[count == 3], *made]), np.stack([keys // n, keys % n], 1)


def _contacts(
    ground: Ground, inner: Float[np.ndarray, "n 3"], outer: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, " n"]:
    """Share of the level way from inner to outer points at which something stands; half of it where nothing is met."""
    if ground.things is None or len(inner) == 0:
        return np.full(len(inner), 0.5)
    way, share = outer - inner, np.full(len(inner), np.inf)
    way[:, 2] = 0.0
    for lower in (1.0, 0.6, 0.25):  # a seal's edge is met only below its upper side
        start = inner * np.array([1.0, 1.0, lower])
        share = np.minimum(share, cast(ground.things, start, way).distance)
        if lower == 1.0 and np.isfinite(share).all():
            break
    return np.where(np.isfinite(share), np.clip(share - BESIDE_M / ground.step, 0.02, 0.98), 0.5)


def drape(ground: Ground, height: Float[np.ndarray, "h w"], level: Float[np.ndarray, "h w"], volume_m3: float) -> Drape:
    """A body under ``height`` where ``level`` > 0 and nothing stands, of exactly this volume.

    Its height is 0 where ``level`` is; it touches what stands there, and what overhangs it keeps it down.
    """
    inside = (level > 0) & ~ground.blocked
    coarse, whole = _fans(inside)
    faces, edges = _clip(_fine(inside, whole), inside.ravel())
    faces = np.concatenate([coarse, faces])
    x, y = (q.ravel() for q in np.meshgrid(ground.x, ground.y))
    room = np.maximum(ground.ceiling.ravel() - UNDER_M, UNDER_M)
    nodes = np.stack([x, y, np.minimum(height.ravel(), room)], 1)
    inner, outer = nodes[edges[:, 0]], nodes[edges[:, 1]]
    stands = ground.blocked.ravel()[edges[:, 1]]
    a, b = level.ravel()[edges[:, 0]], level.ravel()[edges[:, 1]]
    share = np.where(stands, 0.5, a / np.maximum(a - b, 1e-30))
    share[stands] = _contacts(ground, inner[stands], outer[stands])
    points = inner + np.clip(share, 0.02, 0.98)[:, None] * (outer - inner)
    points[:, 2] = np.where(stands, inner[:, 2], 0.0)
    used, faces = np.unique(faces, return_inverse=True)
    faces = faces.reshape(-1, 3)
    vertices = np.concatenate([nodes, points])[used]
    room = np.concatenate([room, np.where(stands, room[edges[:, 0]], FAR)])[used]
    vertices[:, 2] = _filled(vertices, faces, room, volume_m3)
    return _close(vertices, faces)


def _filled(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], room: Float[np.ndarray, " v"], volume_m3: float
) -> Float[np.ndarray, " v"]:
    """Heights scaled to a volume, except for those that have reached what is above them."""
    height, third = vertices[:, 2].copy(), _flat_areas(vertices, faces) / 3
    weight = sum(np.bincount(faces[:, k], third, len(vertices)) for k in range(3))
    for _ in range(6):
        held = height >= room * (1 - 1e-9)
        free = float((weight * height)[~held].sum())
        height[~held] *= max(volume_m3 - float((weight * height)[held].sum()), 0.0) / max(free, 1e-30)
        if not (height > room * (1 + 1e-6)).any():
            break
        height = np.minimum(height, room)
    return height * (volume_m3 / float((weight * height).sum()))


def _close(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Drape:
    """Add sides where the border stands above the tray, and an underside."""
    n = len(vertices)
    ground = vertices[:, 2] <= 0
    below = np.where(ground, np.arange(n), n + np.cumsum(~ground) - 1)
    lower = vertices[~ground] * np.array([1.0, 1.0, 0.0])
    rim, _ = boundary_half_edges(faces)
    a, b = rim.T
    sides = np.concatenate([np.stack([b, a, below[a]], 1), np.stack([b, below[a], below[b]], 1)])
    sides = sides[(sides[:, 0] != sides[:, 1]) & (sides[:, 1] != sides[:, 2]) & (sides[:, 2] != sides[:, 0])]
    every = np.concatenate([vertices, lower]) + np.array([0.0, 0.0, FLOOR_M])
    smooth = smooth_normals(vertices, faces)[faces]
    side_normal = _unit(np.cross(every[sides[:, 1]] - every[sides[:, 0]], every[sides[:, 2]] - every[sides[:, 0]]))
    down = np.tile([0.0, 0.0, -1.0], (len(faces), 3, 1))
    return Drape(
        every,
        np.concatenate([faces, sides, below[faces][:, ::-1]]),
        np.concatenate([smooth, np.repeat(side_normal[:, None], 3, 1), down]),
        len(faces),
    )


def _unit(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > 1e-20, vectors / np.maximum(length, 1e-20), np.array([0.0, 0.0, 1.0]))


def smooth_normals(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "v 3"]:
    """Area-weighted unit normals of a surface that is seen from above."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    every = np.concatenate([faces[:, k] for k in range(3)])
    total = [np.bincount(every, np.tile(normal[:, k], 3), len(vertices)) for k in range(3)]
    return _unit(np.stack(total, 1))
