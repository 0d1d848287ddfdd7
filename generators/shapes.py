"""Meshes to build products from: flat panels, boxes, lofted bodies and their ends; metres, z up.

Each face knows its panel and its place in that panel's unit square, so that artwork can be drawn per panel and packed
by ``atlas`` without any shape knowing of textures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.spatial import Delaunay

from ..sim.scene import SURFACES, Material, Part
from .atlas import Atlas, map_uv
from .mesh import corner_normals

BOX_PANELS = ("front", "right", "back", "left", "top", "bottom")
"""Order of a box's panels; the front faces -y."""


Vector = Sequence[float | int] | Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Mesh:
    """Triangles before they become a sheet or a part; vertices need not be welded."""

    vertices: Float[np.ndarray, "v 3"]
    """Metres."""
    faces: Int[np.ndarray, "f 3"]
    """Counter-clockwise seen from outside."""
    st: Float[np.ndarray, "f 3 2"]
    """Per corner, in the unit square of the face's panel (s to the right, t up, seen from outside)."""
    panel: UInt8[np.ndarray, " f"]
    """Which panel of the product."""


def join(meshes: Sequence[Mesh]) -> Mesh:
    """Put meshes together; nothing is welded."""
    start = np.cumsum([0] + [len(m.vertices) for m in meshes])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + s for m, s in zip(meshes, start, strict=False)]),
        np.concatenate([m.st for m in meshes]),
        np.concatenate([m.panel for m in meshes]),
    )


def move(mesh: Mesh, R: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"]) -> Mesh:
    """Move rigidly: ``p' = R p + t``."""
    return replace(mesh, vertices=mesh.vertices @ np.asarray(R, float).T + np.asarray(t, float))


def flip(mesh: Mesh) -> Mesh:
    """Turn the mesh inside out."""
    return replace(mesh, faces=mesh.faces[:, ::-1].copy(), st=mesh.st[:, ::-1].copy())


def grid(nu: int, nv: int) -> tuple[Float[np.ndarray, "n 2"], Int[np.ndarray, "f 3"]]:
    """Unit square coordinates and triangles with alternating diagonals, so that no direction is weaker."""
    u, v = np.meshgrid(np.linspace(0, 1, nu + 1), np.linspace(0, 1, nv + 1), indexing="ij")
    index = np.arange((nu + 1) * (nv + 1)).reshape(nu + 1, nv + 1)
    a, b, c, d = (q.ravel() for q in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    i, j = np.meshgrid(np.arange(nu), np.arange(nv), indexing="ij")
    even = ((i + j) % 2 == 0).ravel()[:, None]
    first = np.where(even, np.stack([a, b, c], 1), np.stack([a, b, d], 1))
    second = np.where(even, np.stack([a, c, d], 1), np.stack([b, c, d], 1))
    return np.stack([u.ravel(), v.ravel()], 1), np.concatenate([first, second])


def panel_mesh(origin: Vector, side_u: Vector, side_v: Vector, spacing: float, *, panel: int) -> Mesh:
    """A flat parallelogram from ``origin`` along two sides [m]; side_u × side_v points out."""
    o, u, v = (np.asarray(q, float) for q in (origin, side_u, side_v))
    nu, nv = (max(2, round(float(np.linalg.norm(side)) / spacing)) for side in (u, v))
    st, faces = grid(nu, nv)
    return Mesh(o + st[:, :1] * u + st[:, 1:] * v, faces, st[faces], np.full(len(faces), panel, np.uint8))


def box_panels(size: Float[np.ndarray, "3"]) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Origin, u side and v side [m] of a box's panels, in the order of BOX_PANELS; it stands centred on z = 0."""
    x, y, z = (float(v) for v in size)
    a, b = x / 2, y / 2
    return (
        ((-a, -b, 0.0), (x, 0.0, 0.0), (0.0, 0.0, z)),
        ((a, -b, 0.0), (0.0, y, 0.0), (0.0, 0.0, z)),
        ((a, b, 0.0), (-x, 0.0, 0.0), (0.0, 0.0, z)),
        ((-a, b, 0.0), (0.0, -y, 0.0), (0.0, 0.0, z)),
        ((-a, -b, z), (x, 0.0, 0.0), (0.0, y, 0.0)),
        ((-a, b, 0.0), (x, 0.0, 0.0), (0.0, -y, 0.0)),
    )


def box_mesh(size: Float[np.ndarray, "3"], spacing: float, *, first_panel: int = 0) -> Mesh:
    """A closed box; its panels are numbered from ``first_panel`` in the order of BOX_PANELS."""
    return join([panel_mesh(o, u, v, spacing, panel=first_panel + k) for k, (o, u, v) in enumerate(box_panels(size))])


def loft(
    section: Callable[[int, Float[np.ndarray, " m"]], Float[np.ndarray, "m 3"]],
    heights: Float[np.ndarray, " n"],
    sectors: int,
    *,
    panel: int,
) -> Mesh:
    """A body of closed sections, bottom first; ``section(row, angles)`` gives points, counter-clockwise from above.

    Rows are staggered by half a sector, so that the wall buckles alike in all directions; ``heights`` (rising) is each
    row's t. The panel must be a wrapping patch of the atlas: s runs from 0 to 1 + half a sector.
    """
    assert sectors >= 12  # half a sector is then at most atlas.WRAP
    rows = len(heights)
    turns = (np.arange(sectors + 1)[None] + 0.5 * (np.arange(rows) % 2)[:, None]) / sectors
    points = np.stack([section(i, 2 * np.pi * turns[i]) for i in range(rows)])
    points[:, -1] = points[:, 0]  # exactly closed
    t = (heights - heights[0]) / (heights[-1] - heights[0])
    st = np.stack([turns, np.repeat(t[:, None], sectors + 1, 1)], -1).reshape(-1, 2)
    index = np.arange(rows * (sectors + 1)).reshape(rows, sectors + 1)
    faces = []
    for i in range(rows - 1):
        a, b, c, d = index[i, :-1], index[i, 1:], index[i + 1, 1:], index[i + 1, :-1]
        faces += [(a, b, d), (b, c, d)] if i % 2 == 0 else [(a, b, c), (a, c, d)]
    triangles = np.concatenate([np.stack(f, 1) for f in faces])
    return Mesh(points.reshape(-1, 3), triangles, st[triangles], np.full(len(triangles), panel, np.uint8))


def lathe(profile: Float[np.ndarray, "n 2"], spacing: float, *, panel: int, sectors: int | None = None) -> Mesh:
    """A body of revolution about z from a profile of (radius, z) [m], bottom first."""
    count = sectors or max(24, round(2 * np.pi * float(profile[:, 0].max()) / spacing))

    def ring(row: int, angle: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
        r, z = profile[row]
        return np.stack([r * np.cos(angle), r * np.sin(angle), np.full(len(angle), z)], 1)

    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    return loft(ring, arc, count, panel=panel)


def end_ring(body: Mesh, *, top: bool) -> Float[np.ndarray, "m 3"]:
    """The first or last ring of a lofted or lathed body: what ``cap`` closes."""
    t = body.st[..., 1]
    at = np.unique(body.faces[np.isclose(t, 1.0 if top else 0.0)])
    return body.vertices[at[:-1]]  # the last repeats the first


def cap(
    ring: Float[np.ndarray, "m 3"],
    spacing: float,
    *,
    panel: int,
    up: bool,
    height: Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]] | None = None,
) -> Mesh:
    """Close a level ring (star-shaped about its middle) with evenly spaced points.

    ``height`` gives z [m] above the ring over the share of the way from the middle (0) to the ring (1). Seen from
    outside, the panel's unit square is the ring's bounding square.
    """
    middle = ring.mean(axis=0)
    flat = ring[:, :2] - middle[:2]
    reach = float(np.linalg.norm(flat, axis=1).mean())
    count = max(1, round(reach / spacing))
    points, share = [flat], [np.ones(len(flat))]
    for k in range(count - 1, 0, -1):
        around = max(6, round(len(flat) * k / count))
        at = (np.arange(around) + 0.5 * (k % 2)) / around * len(flat)
        low = np.floor(at).astype(int) % len(flat)
        mix = (at % 1.0)[:, None]
        points.append((k / count) * ((1 - mix) * flat[low] + mix * flat[(low + 1) % len(flat)]))
        share.append(np.full(around, k / count))
    flat = np.concatenate([*points, np.zeros((1, 2))])
    away = np.concatenate([*share, np.zeros(1)])
    faces = Delaunay(flat).simplices.astype(np.int64)
    a, b, c = (flat[faces[:, k]] for k in range(3))
    turn = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    faces = np.where((turn < 0)[:, None], faces[:, ::-1], faces)[np.abs(turn) > 1e-12]
    z = middle[2] + (height(away) if height else np.zeros(len(flat)))
    z[: len(ring)] = ring[:, 2]
    half = np.abs(flat).max()
    st = 0.5 + 0.5 * flat / half
    if not up:
        faces, st = faces[:, ::-1].copy(), st * np.array([-1.0, 1.0]) + np.array([1.0, 0.0])
    vertices = np.concatenate([flat + middle[:2], z[:, None]], axis=1)
    return Mesh(vertices, faces, st[faces], np.full(len(faces), panel, np.uint8))


def mesh_uv(mesh: Mesh, atlas: Atlas) -> Float[np.ndarray, "f 3 2"]:
    """UV per corner: each panel's unit square mapped to its patch."""
    uv = np.zeros_like(mesh.st)
    for panel in np.unique(mesh.panel):
        at = mesh.panel == panel
        uv[at] = map_uv(atlas, int(panel), mesh.st[at])
    return uv


def solid(
    mesh: Mesh,
    name: str,
    material: Material,
    *,
    atlas: Atlas | None = None,
    surface: str = "contents",
    item: int = 1,
    crease_deg: float = 35.0,
) -> Part:
    """A finished part of one material straight from a mesh: contents, caps, units of a set."""
    key = np.round(mesh.vertices / 1e-7).astype(np.int64)
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    faces = inverse.reshape(-1)[mesh.faces]
    keep = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    faces, vertices = faces[keep], mesh.vertices[first]
    n = len(faces)
    return Part(
        name=name,
        vertices=vertices,
        faces=faces,
        uv=np.clip(mesh.st[keep], 0, 1) if atlas is None else mesh_uv(mesh, atlas)[keep],
        normals=corner_normals(vertices, faces, crease_deg=crease_deg),
        materials=(material,),
        material=np.zeros(n, np.uint8),
        surface=np.full(n, SURFACES.index(surface), np.uint8),
        damage=np.zeros(n, np.uint8),
        item=item,
    )
