"""Exact cuts in a sheet: along the zero line of a function, and opening a sheet along edges."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .mesh import Sheet, mesh_edges

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
    )


def refine_faces(sheet: Sheet, chosen: Bool[np.ndarray, " f"]) -> Sheet:
    """Split the chosen faces in four; their neighbours are divided so that no vertex hangs."""
    edges, face_edge = mesh_edges(sheet.faces)
    at = np.full(len(edges), np.nan)
    at[np.unique(face_edge[chosen])] = 0.5
    return split_edges(sheet, edges, face_edge, at)


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
    return replace(
        sheet,
        vertices=sheet.vertices[source],
        rest=sheet.rest[source],
        marks=sheet.marks[source],
        faces=label.reshape(n, 3).astype(np.int64),
    )
