"""Thin sheets as welded triangle meshes: the level at which damage is simulated, and how a sheet becomes a part.

A sheet is coarse (one vertex every few millimetres, a spacing that belongs to its material: wrinkles would otherwise
follow the mesh). It may be divided more finely, and is still pressed on that mesh, its base. ``finish_sheet`` turns it
into what is drawn: subdivided, embossed, thickened, labelled. Pristine and damaged sheets take the same way, so that no
mesh statistic gives the answer away.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from ..sim.scene import KINDS, SURFACES, Material, Part

Relief = Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, " n"]]
"""Height [m] along the outward normal at pristine mid-surface points [m]: ribs, beads, bow, true roundness."""


@dataclass(frozen=True)
class Mechanics:
    """How a sheet bends and yields. Values and their sources: configs of the product families."""

    spacing_mm: float
    """Distance of simulated vertices; a property of the material, not of the picture."""
    yield_curvature_per_m: float
    """Curvature beyond which a fold stays."""
    softening: float
    """How much a yielded fold weakens per radian."""
    bending: float
    """Relaxation weight of folds against stretch, 0-1 (not a force)."""


@dataclass(frozen=True)
class Sheet:
    """A thin wall before it is thickened. Arrays per vertex follow every cut and subdivision."""

    name: str
    vertices: Float[np.ndarray, "v 3"]
    """Metres, item frame, middle of the wall."""
    rest: Float[np.ndarray, "v 3"]
    """Where each vertex is on the pristine item [m]."""
    faces: Int[np.ndarray, "f 3"]
    uv: Float[np.ndarray, "f 3 2"]
    material: UInt8[np.ndarray, " f"]
    """Index into ``materials``; the inner side and the cut edge use the last two."""
    panel: UInt8[np.ndarray, " f"]
    """Index into ``panels``."""
    marks: Float[np.ndarray, "v 7"]
    """Per kind of damage: 1 or more where the vertex is damaged. Interpolated, so labels are finer than the mesh."""
    removed: Bool[np.ndarray, " f"]
    """Faces that are gone: they keep their pristine place to be labelled amodally."""
    materials: tuple[Material, ...]
    mechanics: Mechanics
    thickness_mm: float
    levels: int
    """Midpoint subdivisions when finished."""
    crease_deg: float
    """Folds sharper than this are shaded as edges."""
    relief: Relief | None = None
    panels: tuple[str, ...] = ("wall",)
    """Names of the sheet's panels: ``front``, ``top``, ``lid``, …"""
    item: int = 1
    """0 for tray and background, 1 for the package (or its only unit), 2, 3, … for the units in a set."""
    base: "Base | None" = None
    """What the sheet was divided from; None if it is as it was made, or has been cut since."""


@dataclass(frozen=True)
class Division:
    """New vertices that a sheet got on its edges; they come after those that it had."""

    ends: Int[np.ndarray, "n 2"]
    at: Float[np.ndarray, " n"]
    """How far along each lies, as a share of the way from the first end to the second."""


@dataclass(frozen=True)
class Base:
    """A sheet at its material's spacing, on which it is pressed, and how it came to have more vertices since."""

    sheet: Sheet
    divisions: tuple[Division, ...]


def divided(sheet: Sheet, ends: Int[np.ndarray, "n 2"], at: Float[np.ndarray, " n"]) -> Base:
    """The base of a sheet that gets new vertices on its edges."""
    base = base_of(sheet) or Base(sheet, ())
    return replace(base, divisions=(*base.divisions, Division(ends, at)))


def base_of(sheet: Sheet) -> Base | None:
    """What a sheet was divided from; None too if it is a piece of what was divided."""
    base = sheet.base
    if base is None or len(sheet.vertices) != len(base.sheet.vertices) + sum(len(new.at) for new in base.divisions):
        return None
    return base


def make_sheet(
    name: str,
    vertices: Float[np.ndarray, "n 3"],
    faces: Int[np.ndarray, "f 3"],
    uv: Float[np.ndarray, "f 3 2"],
    material: UInt8[np.ndarray, " f"],
    materials: tuple[Material, ...],
    mechanics: Mechanics,
    *,
    thickness_mm: float,
    levels: int,
    crease_deg: float,
    relief: Relief | None = None,
    panel: UInt8[np.ndarray, " f"] | None = None,
    panels: tuple[str, ...] = ("wall",),
    item: int = 1,
) -> Sheet:
    """Weld equal vertices and start with a pristine sheet."""
    key = np.round(vertices / 1e-7).astype(np.int64)
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    faces = inverse.reshape(-1)[faces]
    keep = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    welded = vertices[first]
    return Sheet(
        name=name,
        vertices=welded,
        rest=welded.copy(),
        faces=faces[keep],
        uv=uv[keep],
        material=material[keep],
        panel=(np.zeros(len(faces), np.uint8) if panel is None else panel)[keep],
        marks=np.zeros((len(welded), len(KINDS))),
        removed=np.zeros(int(keep.sum()), bool),
        materials=materials,
        mechanics=mechanics,
        thickness_mm=thickness_mm,
        levels=levels,
        crease_deg=crease_deg,
        relief=relief,
        panels=panels,
        item=item,
    )


def face_normals(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "f 3"]:
    """Normals times twice the face's area."""
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    return np.cross(b - a, c - a)


def face_areas(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, " f"]:
    """Areas [m²]."""
    return np.linalg.norm(face_normals(vertices, faces), axis=1) / 2


def enclosed_volume(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> float:
    """Signed volume [m³] inside a closed mesh, by the divergence theorem."""
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def vertex_normals(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "v 3"]:
    """Area-weighted unit normals."""
    per_face = face_normals(vertices, faces)
    total = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(total, faces[:, corner], per_face)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)


def corner_normals(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], *, crease_deg: float
) -> Float[np.ndarray, "f 3 3"]:
    """Unit shading normals per corner: the mean over the faces at a vertex that bend less than ``crease_deg``.

    Two rounds of averaging with a dot-product cut, which is what modelling programs call smoothing by angle.
    """
    flat = face_normals(vertices, faces)
    unit = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-30)
    corner_vertex = faces.reshape(-1)
    corner_face = np.repeat(np.arange(len(faces)), 3)
    order = np.argsort(corner_vertex, kind="stable")
    start = np.searchsorted(corner_vertex[order], np.arange(len(vertices) + 1))
    valence = np.diff(start)
    total = np.zeros((len(corner_face), 3))
    cosine = np.cos(np.radians(crease_deg))
    for step in range(int(valence.max(initial=0))):
        has = step < valence[corner_vertex]
        mine = np.flatnonzero(has)
        other = corner_face[order[start[corner_vertex[mine]] + step]]
        near = np.einsum("ij,ij->i", unit[corner_face[mine]], unit[other]) >= cosine
        total[mine[near]] += flat[other[near]]
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)
    return total.reshape(-1, 3, 3)


def mesh_edges(faces: Int[np.ndarray, "f 3"]) -> tuple[Int[np.ndarray, "e 2"], Int[np.ndarray, "f 3"]]:
    """Undirected edges, and for each face the edge opposite to corner 2, 0, 1 (that is 01, 12, 20)."""
    half = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    size = int(faces.max()) + 1
    key, inverse = np.unique(half[:, 0].astype(np.int64) * size + half[:, 1], return_inverse=True)
    return np.stack([key // size, key % size], axis=1), inverse.reshape(3, -1).T


def subdivide_sheet(sheet: Sheet) -> Sheet:
    """Split each face in four at its edges' midpoints; every attribute is interpolated linearly."""
    edges, face_edge = mesh_edges(sheet.faces)
    n = len(sheet.vertices)
    a, b, c = sheet.faces.T
    ab, bc, ca = (face_edge + n).T
    faces = np.stack([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))], 1)
    ua, ub, uc = sheet.uv[:, 0], sheet.uv[:, 1], sheet.uv[:, 2]
    uab, ubc, uca = (ua + ub) / 2, (ub + uc) / 2, (uc + ua) / 2
    corners = ((ua, uab, uca), (uab, ub, ubc), (uca, ubc, uc), (uab, ubc, uca))
    uv = np.stack([np.stack(t, 1) for t in corners], 1)

    def extend(attribute: Float[np.ndarray, "v k"]) -> Float[np.ndarray, "w k"]:
        return np.concatenate([attribute, attribute[edges].mean(axis=1)])

    return replace(
        sheet,
        vertices=extend(sheet.vertices),
        rest=extend(sheet.rest),
        marks=extend(sheet.marks),
        faces=faces.reshape(-1, 3),
        uv=uv.reshape(-1, 3, 2),
        material=np.repeat(sheet.material, 4),
        panel=np.repeat(sheet.panel, 4),
        removed=np.repeat(sheet.removed, 4),
        base=divided(sheet, edges, np.full(len(edges), 0.5)),
    )


def _emboss(sheet: Sheet) -> Sheet:
    """Raise vertices along their normal by the product's relief at their pristine place."""
    if sheet.relief is None:
        return sheet
    height = sheet.relief(sheet.rest)
    kept = sheet.faces[~sheet.removed]
    normal = vertex_normals(sheet.vertices, kept if len(kept) else sheet.faces)
    rest_normal = vertex_normals(sheet.rest, sheet.faces)
    return replace(
        sheet,
        vertices=sheet.vertices + height[:, None] * normal,
        rest=sheet.rest + height[:, None] * rest_normal,
    )


def _compact(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]):
    used, inverse = np.unique(faces, return_inverse=True)
    return vertices[used], inverse.reshape(-1, 3), used


def boundary_half_edges(faces: Int[np.ndarray, "f 3"]) -> tuple[Int[np.ndarray, "b 2"], Int[np.ndarray, " b"]]:
    """Directed edges that only one face has, and their index into the concatenated (01, 12, 20) half edges."""
    half = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edge = np.sort(half, axis=1)
    key = edge[:, 0].astype(np.int64) * (int(faces.max()) + 1) + edge[:, 1]  # one number sorts faster than two
    _, inverse, count = np.unique(key, return_inverse=True, return_counts=True)
    alone = np.flatnonzero(count[inverse] == 1)
    return half[alone], alone


def _rim_uv(
    vertices: Float[np.ndarray, "v 3"], rim: Int[np.ndarray, "r 2"], thickness: float, material: Material
) -> Float[np.ndarray, "r2 3 2"]:
    """Texture of a rim's two rows of triangles: along the rim and across the wall.

    The edge's picture keeps its proportions, so that flutes are as wide as they are whatever the mesh is.
    """
    end, start = np.zeros(len(rim)), np.ones(len(rim))
    if material.base_color_texture is not None and len(rim):
        height, width = material.base_color_texture.shape[:2]
        tile = thickness * width / height
        length = np.linalg.norm(vertices[rim[:, 1]] - vertices[rim[:, 0]], axis=1)
        end = np.mod(_left_of_rim(rim, length), tile)
        end = np.where(end + length > tile, np.maximum(tile - length, 0), end) / tile  # none goes over the border
        start = np.minimum(end + length / tile, 1)
    one, nil = np.ones(len(rim)), np.zeros(len(rim))
    outer_end, outer_start = np.stack([end, one], 1), np.stack([start, one], 1)
    inner_end, inner_start = np.stack([end, nil], 1), np.stack([start, nil], 1)
    return np.concatenate(
        [np.stack([outer_end, outer_start, inner_start], 1), np.stack([outer_end, inner_start, inner_end], 1)]
    )


def _left_of_rim(rim: Int[np.ndarray, "r 2"], length: Float[np.ndarray, " r"]) -> Float[np.ndarray, " r"]:
    """Length [m] from the end of each rim edge on to where its loop starts, by pointer jumping (Wyllie 1979)."""
    number = np.arange(len(rim))
    at = np.full(int(rim.max()) + 1, -1)
    at[rim[:, 0]] = number
    following = np.where(at[rim[:, 1]] < 0, number, at[rim[:, 1]])
    rounds = int(np.ceil(np.log2(len(rim) + 1)))
    least, jump = number, following
    for _ in range(rounds):
        least, jump = np.minimum(least, least[jump]), jump[jump]
    first = least == number
    left, jump = np.where(first, 0.0, length), np.where(first, number, following)
    for _ in range(rounds):
        left, jump = left + left[jump], jump[jump]
    return left[following]


def _thicken(sheet: Sheet) -> Part:
    """Outer side, inner side and the rim along open edges, as one part."""
    keep = ~sheet.removed
    vertices, faces, used = _compact(sheet.vertices, sheet.faces[keep])
    uv, material, marks = sheet.uv[keep], sheet.material[keep], sheet.marks[used]
    thickness = sheet.thickness_mm / 1000
    inner = vertices - thickness * vertex_normals(vertices, faces)
    n = len(vertices)
    rim, index = boundary_half_edges(faces)
    rim_uv = _rim_uv(vertices, rim, thickness, sheet.materials[-1])
    rim_faces = np.concatenate(
        [np.stack([rim[:, 1], rim[:, 0], rim[:, 0] + n], 1), np.stack([rim[:, 1], rim[:, 0] + n, rim[:, 1] + n], 1)]
    )
    outer_n = corner_normals(vertices, faces, crease_deg=sheet.crease_deg)
    rim_vertices = np.concatenate([vertices, inner])
    rim_n = face_normals(rim_vertices, rim_faces)
    rim_n /= np.maximum(np.linalg.norm(rim_n, axis=1, keepdims=True), 1e-30)
    bits = (1 << np.arange(len(KINDS))).astype(np.uint8)
    face_bits = ((marks[faces].max(axis=1) >= 1.0) * bits).sum(axis=1).astype(np.uint8)
    rim_bits = face_bits[index % len(faces)]
    last = len(sheet.materials) - 1
    return Part(
        name=sheet.name,
        vertices=rim_vertices,
        faces=np.concatenate([faces, faces[:, ::-1] + n, rim_faces]),
        uv=np.concatenate([uv, uv[:, ::-1], rim_uv]),
        normals=np.concatenate([outer_n, -outer_n[:, ::-1], np.tile(rim_n[:, None], (1, 3, 1))]),
        materials=sheet.materials,
        material=np.concatenate([material, np.full(len(faces), last - 1), np.full(len(rim_faces), last)]).astype(
            np.uint8
        ),
        surface=np.concatenate(
            [
                np.full(len(faces), SURFACES.index("outer")),
                np.full(len(faces), SURFACES.index("inner")),
                np.full(len(rim_faces), SURFACES.index("edge")),
            ]
        ).astype(np.uint8),
        damage=np.concatenate([face_bits, face_bits, np.tile(rim_bits, 2)]).astype(np.uint8),
        item=sheet.item,
    )


def _gone(sheet: Sheet) -> Part | None:
    """The removed faces at their pristine place, labelled."""
    if not sheet.removed.any():
        return None
    vertices, faces, used = _compact(sheet.rest, sheet.faces[sheet.removed])
    marks = sheet.marks[used][faces].max(axis=1) >= 1.0
    bits = (marks * (1 << np.arange(len(KINDS)))).sum(axis=1).astype(np.uint8)
    return Part(
        name=f"{sheet.name} (gone)",
        vertices=vertices,
        faces=faces,
        uv=sheet.uv[sheet.removed],
        normals=corner_normals(vertices, faces, crease_deg=sheet.crease_deg),
        materials=sheet.materials,
        material=sheet.material[sheet.removed],
        surface=np.zeros(len(faces), np.uint8),
        damage=bits,
        item=sheet.item,
    )


def settle_sheet(sheet: Sheet) -> Sheet:
    """Subdivide and emboss a sheet for good: what is cut finely later keeps the form of its surroundings."""
    for _ in range(sheet.levels):
        sheet = subdivide_sheet(sheet)
    return replace(_emboss(sheet), levels=0, relief=None)


def finish_sheet(sheet: Sheet) -> tuple[Part, Part | None]:
    """Return what is drawn (subdivided, embossed, thickened, labelled) and what is gone, or None."""
    sheet = settle_sheet(sheet)
    return _thicken(sheet), _gone(sheet)
