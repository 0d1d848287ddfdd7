"""What a package looks like when part of its contents has run out: a lower level, a sunken heap, a slack bag."""

from dataclasses import replace
from typing import no_type_check

import numba as nb
import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from ...sim.rays import build_caster, cast
from ...sim.scene import SURFACES, Part
from ..inflate import Filling, Film, inflate
from ..mesh import Sheet, corner_normals, enclosed_volume, mesh_edges, vertex_normals
from .drips import bare_part

LEVEL_STEPS = 40
SEALED_M = 0.0009
"""Sealed layers are parted by less than this."""
THIN_M = 0.004
"""Where a bag is no thicker than this, it does not fall in."""


@nb.njit(cache=True)
@no_type_check
def _volume_below(corners, height, level, up):
    """Volume [m³] of a closed body below a level: the flux of depth through what of its surface lies below."""
    total = 0.0
    for f in range(len(corners)):
        h0, h1, h2 = height[f, 0] - level, height[f, 1] - level, height[f, 2] - level
        if h0 >= 0 and h1 >= 0 and h2 >= 0:
            continue
        u, v = corners[f, 1] - corners[f, 0], corners[f, 2] - corners[f, 0]
        ux, uy, uz, vx, vy, vz = u[0], u[1], u[2], v[0], v[1], v[2]
        flat = 0.5 * ((uy * vz - uz * vy) * up[0] + (uz * vx - ux * vz) * up[1] + (ux * vy - uy * vx) * up[2])
        low, middle, high = min(h0, h1, h2), h0 + h1 + h2 - min(h0, h1, h2) - max(h0, h1, h2), max(h0, h1, h2)
        part = h0 + h1 + h2
        if middle >= 0 and high > 0:  # only the lowest corner is below
            part = low * low * low / ((low - middle) * (low - high))
        elif high > 0:  # only the highest is above: what is above is cut off
            part -= high * high * high / ((high - low) * (high - middle))
        total += flat * part / 3
    return total


def _cut_below(rows: Float[np.ndarray, "f 3 k"], height: Float[np.ndarray, "f 3"], level: float):
    """Triangles that cross a level, as far as they are below it, and the faces they come from."""
    below = height < level
    count = below.sum(axis=1)
    source = np.arange(len(rows))

    def turned(which, first):
        order = (first[which].argmax(axis=1)[:, None] + np.arange(3)) % 3
        pick = np.arange(int(which.sum()))[:, None]
        return rows[which][pick, order], height[which][pick, order]

    def crossing(p, q, hp, hq):
        return p + ((level - hp) / (hq - hp))[:, None] * (q - p)

    one, h1 = turned(count == 1, below)
    two, h2 = turned(count == 2, ~below)
    pq, pr = (crossing(one[:, 0], one[:, k], h1[:, 0], h1[:, k]) for k in (1, 2))
    oq, orr = (crossing(two[:, k], two[:, 0], h2[:, k], h2[:, 0]) for k in (1, 2))
    made = [np.stack([one[:, 0], pq, pr], 1), np.stack([two[:, 1], two[:, 2], oq], 1)]
    made.append(np.stack([two[:, 2], orr, oq], 1))
    origin = np.concatenate([source[count == 1], source[count == 2], source[count == 2]])
    segments = np.concatenate([np.stack([pq, pr], 1), np.stack([orr, oq], 1)])[..., :3]
    return np.concatenate(made), origin, segments, count == 3


def _lid(segments: Float[np.ndarray, "s 2 3"], up: Float[np.ndarray, "3"]) -> Float[np.ndarray, "f 3 3"]:
    """A flat fan that closes a cut."""
    middle = segments.reshape(-1, 3).mean(axis=0)
    lid = np.concatenate([np.broadcast_to(middle, (len(segments), 1, 3)), segments[:, ::-1]], axis=1)
    normal = np.cross(lid[:, 1] - lid[:, 0], lid[:, 2] - lid[:, 0])
    turned = normal @ up < 0
    lid[turned] = lid[turned][:, ::-1]
    return lid[np.linalg.norm(normal, axis=1) > 1e-14]


def lower_level(part: Part, up: Float[np.ndarray, "3"], share: float, bit: int) -> Part:
    """A liquid of which ``share`` is left, level in the world; its surface is labelled with ``bit``."""
    corners = np.ascontiguousarray(part.triangles)
    height = np.ascontiguousarray(corners @ up)
    low, high = float(height.min()), float(height.max())
    whole = _volume_below(corners, height, high + 1e-6, up)
    for _ in range(LEVEL_STEPS):
        level = (low + high) / 2
        more = _volume_below(corners, height, level, up) > share * whole
        low, high = (low, level) if more else (level, high)
    rows = np.concatenate([corners, part.normals, part.uv], axis=2)
    cut, source, segments, kept = _cut_below(rows, height, (low + high) / 2)
    if len(segments) == 0:
        return part
    lid = _lid(segments, up)
    used, whole = np.unique(part.faces[kept], return_inverse=True)
    old, new, n = int(kept.sum()), len(cut) + len(lid), len(used)
    normals = np.concatenate([part.normals[kept], cut[..., 3:6], np.broadcast_to(up, lid.shape)])
    fresh = np.arange(old + new) >= old + len(cut)
    origin = np.concatenate([np.flatnonzero(kept), source, np.zeros(len(lid), int)])
    return replace(
        part,
        vertices=np.concatenate([part.vertices[used], cut[..., :3].reshape(-1, 3), lid.reshape(-1, 3)]),
        faces=np.concatenate([whole.reshape(-1, 3), n + np.arange(3 * new).reshape(-1, 3)]),
        uv=np.concatenate([part.uv[kept], np.clip(cut[..., 6:], 0, 1), np.full((len(lid), 3, 2), 0.5)]),
        normals=normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9),
        material=part.material[origin],
        surface=np.where(fresh, SURFACES.index("contents"), part.surface[origin]).astype(np.uint8),
        damage=np.where(fresh, bit, part.damage[origin]).astype(np.uint8),
    )


def sink_heap(part: Part, up: Float[np.ndarray, "3"], share: float, bit: int) -> Part:
    """Granules of which ``share`` is left: they keep their base and stand lower."""
    height = part.vertices @ up
    sunk = part.vertices - ((1 - share) * (height - height.min()))[:, None] * up
    far = np.linalg.norm(sunk - part.vertices, axis=1)[part.faces].max(axis=1) > 0.0005
    damage = part.damage | np.where(far, bit, 0).astype(np.uint8)
    return replace(part, vertices=sunk, normals=corner_normals(sunk, part.faces, crease_deg=35.0), damage=damage)


def _sealed(points: Float[np.ndarray, "n 3"]) -> Int[np.ndarray, " n"]:
    """What each point is merged into: layers that are sealed to each other lie closer than any mesh is fine."""
    pairs = KDTree(points).query_pairs(SEALED_M, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _give(points: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, " n"]:
    """How readily each point of a bag falls in: not at all at the seals, most where the bag is thick."""
    inward = -vertex_normals(points, faces)
    caster = build_caster((bare_part("bag", points, faces),))
    thick = cast(caster, points + 2e-4 * inward, inward).distance
    thick = np.where(np.isfinite(thick), thick, 0.0).astype(np.float64)
    edges, _ = mesh_edges(faces)
    for _ in range(6):
        least = thick.copy()
        for a, b in (edges.T, edges.T[::-1]):
            np.minimum.at(least, a, thick[b] + 0.4 * np.linalg.norm(points[a] - points[b], axis=1))
        thick = least
    return np.clip((thick - THIN_M) / 0.03, 1e-4, 1.0)


def follow_film(part: Part, before: Float[np.ndarray, "v 3"], after: Float[np.ndarray, "v 3"]) -> Part:
    """Contents of a bag give way where its film falls in on them."""
    away, near = KDTree(before).query(part.vertices, k=6)
    share = 1 / (away + 1e-4) ** 2
    way = (share[..., None] * (after - before)[near]).sum(axis=1) / share.sum(axis=1, keepdims=True)
    return replace(part, vertices=part.vertices + 1.1 * way)


def slacken(
    standing: Float[np.ndarray, "v 3"], sheet: Sheet, lost_m3: float, *, sweeps: int = 40
) -> Float[np.ndarray, "v 3"]:
    """A bag (world frame) that holds this much less: its film keeps its lengths and falls in, and lies on the tray."""
    used, inverse = np.unique(sheet.faces[~sheet.removed], return_inverse=True)
    points = standing[used]
    node = _sealed(points)
    count = np.bincount(node)
    start = np.stack([np.bincount(node, points[:, k]) / count for k in range(3)], axis=1)
    faces = node[inverse.reshape(-1, 3)]
    film = Film(faces, start, np.zeros((0, 4), int), np.zeros(0))
    holds = max(enclosed_volume(start, faces) - lost_m3, 0.0)
    ask = Filling(volume_m3=holds, pressure=_give(start, faces), floor_m=float(points[:, 2].min()), grip=0.9)
    rest = inflate(start, film, ask, sweeps=sweeps, calm=18)
    out = standing.copy()
    out[used] += (rest - start)[node]
    return out
