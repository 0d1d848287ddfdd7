"""Exact cuts in a sheet: along the zero line of a function, and opening a sheet along edges."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .mesh import Sheet, boundary_half_edges, divided, face_normals, mesh_edges, vertex_normals

# How a triangle (0, 1, 2) with new points on some of its edges (3 on 01, 4 on 12, 5 on 20) is divided.
_PATTERNS: dict[int, tuple[tuple[int, int, int], ...]] = {
    0b001: ((0, 3, 2), (3, 1, 2)),
    0b010: ((0, 1, 4), (0, 4, 2)),
    0b100: ((0, 1, 5), (5, 1, 2)),
    0b011: ((3, 1, 4), (0, 3, 4), (0, 4, 2)),
    0b110: ((5, 4, 2), (0, 1, 4), (0, 4, 5)),
    0b101: ((0, 3, 5), (3, 1, 2), (3, 2, 5)),
    0b111: ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
}


def split_edges(
    sheet: Sheet, edges: Int[np.ndarray, "e 2"], face_edge: Int[np.ndarray, "f 3"], at: Float[np.ndarray, " e"]
) -> Sheet:
    """Put a new vertex on every edge whose ``at`` is not NaN, at that share of the way from its first to second end.

    ``edges`` and ``face_edge`` are those of ``mesh_edges(sheet.faces)``. Attributes are interpolated linearly.
    """
    cut = np.flatnonzero(~np.isnan(at))
    if len(cut) == 0:
        return sheet
    new_id = np.full(len(edges), -1)
    new_id[cut] = len(sheet.vertices) + np.arange(len(cut))
    ends, t = edges[cut], at[cut][:, None]

    def extend(attribute: Float[np.ndarray, "v k"]) -> Float[np.ndarray, "w k"]:
        return np.concatenate([attribute, (1 - t) * attribute[ends[:, 0]] + t * attribute[ends[:, 1]]])

    pattern = ((new_id[face_edge] >= 0) * np.array([1, 2, 4])).sum(axis=1)
    faces, uv, parent = [sheet.faces[pattern == 0]], [sheet.uv[pattern == 0]], [np.flatnonzero(pattern == 0)]
    for code, triangles in _PATTERNS.items():
        which = np.flatnonzero(pattern == code)
        if len(which) == 0:
            continue
        six = np.concatenate([sheet.faces[which], new_id[face_edge[which]]], axis=1)
        corner_uv = [sheet.uv[which, k] for k in range(3)]
        for a, b, e in ((0, 1, 0), (1, 2, 1), (2, 0, 2)):
            edge = face_edge[which, e]
            share = np.nan_to_num(at[edge])
            share = np.where(edges[edge, 0] == sheet.faces[which, a], share, 1 - share)[:, None]
            corner_uv.append((1 - share) * sheet.uv[which, a] + share * sheet.uv[which, b])
        for triangle in triangles:
            faces.append(six[:, triangle])
            uv.append(np.stack([corner_uv[k] for k in triangle], axis=1))
            parent.append(which)
    source = np.concatenate(parent)
    return replace(
        sheet,
        vertices=extend(sheet.vertices),
        rest=extend(sheet.rest),
        marks=extend(sheet.marks),
        faces=np.concatenate(faces),
        uv=np.concatenate(uv),
        material=sheet.material[source],
        panel=sheet.panel[source],
        removed=sheet.removed[source],
        base=divided(sheet, ends, at[cut]),
    )


def refine_faces(sheet: Sheet, chosen: Bool[np.ndarray, " f"]) -> Sheet:
    """Split the chosen faces in four; their neighbours are divided so that no vertex hangs."""
    edges, face_edge = mesh_edges(sheet.faces)
    at = np.full(len(edges), np.nan)
    at[np.unique(face_edge[chosen])] = 0.5
    return split_edges(sheet, edges, face_edge, at)


LONG = 1.5
"""An edge of an evenly meshed wall is no longer than so many times its spacing: the diagonal of a square, and slack."""
ROUNDS = 8


def divide_sheet(sheet: Sheet, share: float) -> Sheet:
    """Divide a sheet until its vertices are ``share`` of its material's spacing apart; it is pressed as before.

    Triangles are halved at their longest edges (Rivara, "Algorithms for refining triangular grids", 1984).
    """
    limit = LONG * share * sheet.mechanics.spacing_mm / 1000
    for _ in range(ROUNDS if share < 1 else 0):
        edges, face_edge = mesh_edges(sheet.faces)
        length = np.linalg.norm(sheet.rest[edges[:, 0]] - sheet.rest[edges[:, 1]], axis=1)
        chosen = length > limit
        if not chosen.any():
            break
        longest = face_edge[np.arange(len(face_edge)), np.argmax(length[face_edge], axis=1)]
        wanting = np.ones(1, bool)
        while wanting.any():  # no triangle is divided but at its longest edge, or it would become a sliver
            wanting = chosen[face_edge].any(axis=1) & ~chosen[longest]
            chosen[longest[wanting]] = True
        sheet = split_edges(sheet, edges, face_edge, np.where(chosen, 0.5, np.nan))
    return sheet


def refine_edges(sheet: Sheet, chosen: Bool[np.ndarray, " e"], *, rounded: bool = False) -> Sheet:
    """Halve the chosen edges of ``mesh_edges(sheet.faces)``; the faces at them are divided so that no vertex hangs.

    ``rounded`` lifts new vertices onto the curve that shading suggests (Boubekeur and Alexa, "Phong Tessellation",
    2008), or a finer patch would show the facets of the coarse mesh; folds sharper than ``crease_deg`` stay straight.
    """
    edges, face_edge = mesh_edges(sheet.faces)
    done = split_edges(sheet, edges, face_edge, np.where(chosen, 0.5, np.nan))
    if not rounded:
        return done
    new = edges[chosen]
    lift = [_rounding(points, sheet.faces, new, sheet.crease_deg) for points in (sheet.vertices, sheet.rest)]
    vertices, rest = done.vertices.copy(), done.rest.copy()
    vertices[len(sheet.vertices) :] += lift[0]
    rest[len(sheet.rest) :] += lift[1]
    return replace(done, vertices=vertices, rest=rest)


def _rounding(
    points: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], edges: Int[np.ndarray, "e 2"], crease_deg: float
) -> Float[np.ndarray, "e 3"]:
    normal = vertex_normals(points, faces)
    a, b = points[edges[:, 0]], points[edges[:, 1]]
    na, nb = normal[edges[:, 0]], normal[edges[:, 1]]
    half = (b - a) / 2
    lift = (-(half * na).sum(axis=1)[:, None] * na + (half * nb).sum(axis=1)[:, None] * nb) / 2
    smooth = _smooth_vertices(points, faces, normal, crease_deg)
    both = smooth[edges[:, 0]] & smooth[edges[:, 1]]
    return np.where(both[:, None], 0.5 * lift, 0.0)  # half of theirs: exact on a cylinder


def _smooth_vertices(
    points: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], normal: Float[np.ndarray, "v 3"], crease_deg: float
) -> Bool[np.ndarray, " v"]:
    """Vertices whose faces all lie within half a crease of their normal, and that are on no rim."""
    flat = face_normals(points, faces)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-30)
    least = np.ones(len(points))
    for corner in range(3):
        np.minimum.at(least, faces[:, corner], (flat * normal[faces[:, corner]]).sum(axis=1))
    least[boundary_half_edges(faces)[0].ravel()] = -1.0
    return least > np.cos(np.radians(crease_deg / 2))


def cut_along(sheet: Sheet, value: Float[np.ndarray, " v"], *, snap: float) -> tuple[Sheet, Float[np.ndarray, " w"]]:
    """Insert vertices where ``value`` changes sign along edges; values nearer to 0 than ``snap`` count as on the line.

    Snapping avoids slivers. Returns the sheet and the value at its vertices (exactly 0 on the line).
    """
    value = np.where(np.abs(value) < snap, 0.0, value)
    edges, face_edge = mesh_edges(sheet.faces)
    a, b = value[edges[:, 0]], value[edges[:, 1]]
    crossing = a * b < 0
    at = np.where(crossing, a / np.where(crossing, a - b, 1.0), np.nan)
    done = split_edges(sheet, edges, face_edge, at)
    return done, np.concatenate([value, np.zeros(int(crossing.sum()))])


def unzip_edges(sheet: Sheet, opened: Bool[np.ndarray, " e"]) -> Sheet:
    """Open the sheet along edges of ``mesh_edges(sheet.faces)``: both sides get vertices of their own."""
    return trace_unzip(sheet, opened)[0]


def trace_unzip(sheet: Sheet, opened: Bool[np.ndarray, " e"]) -> tuple[Sheet, Int[np.ndarray, " w"]]:
    """``unzip_edges``, and which old vertex each new one was."""
    _, face_edge = mesh_edges(sheet.faces)
    n = len(sheet.faces)
    corner = np.arange(3 * n).reshape(n, 3)
    edge_of, face_of, slot = face_edge.ravel(), np.repeat(np.arange(n), 3), np.tile(np.arange(3), n)
    order = np.argsort(edge_of, kind="stable")
    same = np.flatnonzero(edge_of[order][1:] == edge_of[order][:-1])
    first, second = order[same], order[same + 1]
    closed = ~opened[edge_of[first]]
    first, second = first[closed], second[closed]
    f1, s1, f2, s2 = face_of[first], slot[first], face_of[second], slot[second]
    a1, b1 = corner[f1, s1], corner[f1, (s1 + 1) % 3]
    a2, b2 = corner[f2, s2], corner[f2, (s2 + 1) % 3]
    same_way = sheet.faces.ravel()[a1] == sheet.faces.ravel()[a2]
    left = np.concatenate([a1, b1])
    right = np.concatenate([np.where(same_way, a2, b2), np.where(same_way, b2, a2)])
    links = coo_matrix((np.ones(len(left)), (left, right)), shape=(3 * n, 3 * n))
    count, label = connected_components(links, directed=False)
    source = np.zeros(count, dtype=np.int64)
    source[label[::-1]] = sheet.faces.ravel()[::-1]
    parted = replace(
        sheet,
        vertices=sheet.vertices[source],
        rest=sheet.rest[source],
        marks=sheet.marks[source],
        faces=label.reshape(n, 3).astype(np.int64),
        base=None,
    )
    return parted, source


@dataclass(frozen=True)
class Patch:
    """A piece of a sheet that is worked on alone: cutting costs what the piece costs, not the sheet."""

    sheet: Sheet
    whole: Sheet
    chosen: Bool[np.ndarray, " f"]
    """Faces of the whole that are in the piece."""
    used: Int[np.ndarray, " v"]
    """Vertex of the whole for each vertex of the untouched piece."""


def take_patch(sheet: Sheet, chosen: Bool[np.ndarray, " f"]) -> Patch:
    """Take faces out of a sheet."""
    used, faces = np.unique(sheet.faces[chosen], return_inverse=True)
    piece = replace(
        sheet,
        vertices=sheet.vertices[used],
        rest=sheet.rest[used],
        marks=sheet.marks[used],
        faces=faces.reshape(-1, 3),
        uv=sheet.uv[chosen],
        material=sheet.material[chosen],
        panel=sheet.panel[chosen],
        removed=sheet.removed[chosen],
        base=None,
    )
    return Patch(piece, sheet, chosen, used)


def put_back(patch: Patch, done: Sheet, source: Int[np.ndarray, " w"]) -> Sheet:
    """Put a worked piece back: its border, which must be as it was, is joined to the rest of the sheet.

    ``source`` says for each vertex of ``done`` which vertex of the untouched piece it was; negative for new ones.
    """
    whole, others = patch.whole, ~patch.chosen
    outside = np.zeros(len(whole.vertices), bool)
    outside[whole.faces[others].ravel()] = True
    old = np.where(source >= 0, patch.used[np.maximum(source, 0)], 0)
    seam = (source >= 0) & outside[old]
    number = np.full(len(whole.vertices), -1)
    number[outside] = np.arange(int(outside.sum()))
    place = np.zeros(len(done.vertices), np.int64)
    place[seam] = number[old[seam]]
    place[~seam] = int(outside.sum()) + np.arange(int((~seam).sum()))

    def join(before: Float[np.ndarray, "v k"], after: Float[np.ndarray, "w k"]) -> Float[np.ndarray, "x k"]:
        return np.concatenate([before[outside], after[~seam]])

    return replace(
        done,
        vertices=join(whole.vertices, done.vertices),
        rest=join(whole.rest, done.rest),
        marks=join(whole.marks, done.marks),
        faces=np.concatenate([number[whole.faces[others]], place[done.faces]]),
        uv=np.concatenate([whole.uv[others], done.uv]),
        material=np.concatenate([whole.material[others], done.material]),
        panel=np.concatenate([whole.panel[others], done.panel]),
        removed=np.concatenate([whole.removed[others], done.removed]),
        base=None,
    )
