"""What imported meshes need before they can be damaged: welded, oriented, closed, split where three walls meet.

Every function returns the surface with a word in its notes for each thing it mended.
"""

from dataclasses import replace

import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from ..mesh import boundary_half_edges, face_areas, mesh_edges
from .meshfile import Surface

WELD = 1e-5
"""Vertices this close, over the longest side, are one."""
APART = 3e-5
"""How far, over the longest side, split vertices are moved, so that they are not welded again."""
SMALL_HOLE = 0.35
"""Holes with a rim up to this many times the longest side are closed."""


def _noted(surface: Surface, word: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*surface.notes, word)))


def _keep(surface: Surface, kept: Bool[np.ndarray, " f"]) -> Surface:
    return replace(
        surface, faces=surface.faces[kept], uv=surface.uv[kept], material=surface.material[kept],
        colours=None if surface.colours is None else surface.colours[kept],
    )  # fmt: skip


def longest_side(surface: Surface) -> float:
    """Of the bounding box of what the faces use."""
    return float(np.ptp(surface.vertices[surface.faces.reshape(-1)], axis=0).max())


def weld(surface: Surface) -> Surface:
    """Merge equal vertices, drop what no face uses, faces without area, and faces that are there twice."""
    used, packed = np.unique(surface.faces, return_inverse=True)
    vertices, size = surface.vertices[used], longest_side(surface)
    _, first, inverse = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    pairs = KDTree(vertices[first]).query_pairs(WELD * size, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(first),) * 2)
    near = connected_components(graph, directed=False)[1]
    _, second = np.unique(near, return_index=True)
    first, inverse = first[second], near[inverse.reshape(-1)]
    faces = inverse[packed.reshape(-1, 3)].astype(np.int64)
    out = replace(surface, vertices=vertices[first], faces=faces)
    if len(first) < len(used):
        out = replace(out, notes=_noted(out, "vertices_merged"))
    area = face_areas(out.vertices, out.faces)
    _, once = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    again = np.ones(len(faces), bool)
    again[once] = False
    thin = area <= 1e-12 * size * size
    if thin.any():
        out = replace(out, notes=_noted(out, "degenerate_faces_dropped"))
    if (again & ~thin).any():
        out = replace(out, notes=_noted(out, "double_faces_dropped"))
    return _keep(out, ~thin & ~again)


def _turned(surface: Surface, flip: Bool[np.ndarray, " f"]) -> Surface:
    """Turn chosen faces over."""
    faces, uv = surface.faces.copy(), surface.uv.copy()
    faces[flip], uv[flip] = faces[flip][:, ::-1], uv[flip][:, ::-1]
    colours = surface.colours
    if colours is not None:
        colours = colours.copy()
        colours[flip] = colours[flip][:, ::-1]
    return replace(surface, faces=faces, uv=uv, colours=colours)


def _shells(faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, " f"]:
    """Number of the shell (faces joined by edges) of each face."""
    edges, face_edge = mesh_edges(faces)
    face = np.repeat(np.arange(len(faces)), 3)
    graph = coo_array(
        (np.ones(len(face)), (face, len(faces) + face_edge.reshape(-1))), shape=(len(faces) + len(edges),) * 2
    )
    return connected_components(graph, directed=False)[1][: len(faces)].astype(np.int64)


def _is_wound_alike(faces: Int[np.ndarray, "f 3"]) -> bool:
    half = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    key = half[:, 0] * (int(faces.max()) + 1) + half[:, 1]
    return len(np.unique(key)) == len(key)


def orient(surface: Surface) -> Surface:
    """Wind each shell alike and its outside out; a shell inside another may face inwards, as a cavity's wall does."""
    if not _is_wound_alike(surface.faces):
        body = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
        trimesh.repair.fix_winding(body)
        flip = ~(np.asarray(body.faces)[:, :2] == surface.faces[:, :2]).all(axis=1)
        # fix_winding reverses the order of corners: what it turned, turn with its uv.
        if flip.any():
            surface = _turned(surface, flip)
            surface = replace(surface, notes=_noted(surface, "flipped_faces_turned"))
    shell = _shells(surface.faces)
    count = int(shell.max()) + 1
    corners = surface.vertices[surface.faces]
    middle = np.stack([np.bincount(shell, corners.mean(axis=1)[:, k], count) for k in range(3)], 1)
    middle /= np.bincount(shell, minlength=count)[:, None]
    a, b, c = (corners[:, k] - middle[shell] for k in range(3))
    volume = np.bincount(shell, np.einsum("ij,ij->i", a, np.cross(b, c)), count)
    low = np.stack([np.full(count, np.inf)] * 3, 1)
    high = -low
    np.minimum.at(low, shell, corners.min(axis=1))
    np.maximum.at(high, shell, corners.max(axis=1))
    inside = np.array([((low < low[k]) & (high > high[k])).all(axis=1).any() for k in range(count)])
    wrong = (volume < 0) & ~inside
    if wrong.any():
        surface = _turned(surface, wrong[shell])
        surface = replace(surface, notes=_noted(surface, "flipped_faces_turned"))
    if count > 1:
        surface = replace(surface, notes=_noted(surface, "several_shells_kept"))
    return surface


def split_non_manifold(surface: Surface) -> Surface:
    """Give each fan of faces around a vertex a vertex of its own, so that no edge has more than two faces."""
    faces = surface.faces
    edges, face_edge = mesh_edges(faces)
    faces_at = np.bincount(face_edge.reshape(-1), minlength=len(edges))
    half = np.stack([faces, np.roll(faces, -1, axis=1)], -1).reshape(-1, 2)
    forward = half[:, 0] < half[:, 1]
    flow = np.bincount(face_edge.reshape(-1), np.where(forward, 1, -1), len(edges))
    sound = (faces_at == 2) & (flow == 0)
    # Corners 3f + k; across a sound edge the corners at each of its ends belong together.
    at = np.flatnonzero(sound[face_edge.reshape(-1)])
    order = at[np.argsort(face_edge.reshape(-1)[at], kind="stable")].reshape(-1, 2)
    start, end = order, order - order % 3 + (order + 1) % 3
    rows = np.concatenate([start[:, 0], end[:, 0]])
    columns = np.concatenate([end[:, 1], start[:, 1]])
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(faces.size, faces.size))
    fan = connected_components(graph, directed=False)[1]
    _, first, packed = np.unique(fan, return_index=True, return_inverse=True)
    owner = faces.reshape(-1)[first]
    if len(owner) == len(np.unique(faces)):
        return surface
    split = packed.reshape(-1, 3)
    vertices = surface.vertices[owner].copy()
    shared = np.bincount(owner, minlength=len(surface.vertices))[owner] > 1
    centre = np.stack([np.bincount(packed, np.repeat(vertices[split].mean(axis=1)[:, k], 3)) for k in range(3)], 1)
    inward = centre / np.bincount(packed)[:, None] - vertices
    inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-30)
    vertices[shared] += APART * longest_side(surface) * inward[shared]
    return replace(surface, vertices=vertices, faces=split, notes=_noted(surface, "non_manifold_split"))


def _loops(faces: Int[np.ndarray, "f 3"]) -> list[tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]]:
    """Rims of holes: vertices in order, and the corner (3 f + k) that each comes from. Needs a manifold surface."""
    rim, index = boundary_half_edges(faces)
    corner = 3 * (index % len(faces)) + index // len(faces)
    follow = {int(a): (int(b), int(c)) for (a, b), c in zip(rim, corner, strict=True)}
    out = []
    while follow:
        start = vertex = min(follow)
        vertices, corners = [], []
        while vertex in follow:
            after, at = follow.pop(vertex)
            vertices.append(vertex)
            corners.append(at)
            vertex = after
        if vertex == start and len(vertices) >= 3:
            out.append((np.array(vertices), np.array(corners)))
    return out


def fill_holes(surface: Surface) -> Surface:
    """Close small holes with a fan from their middle, in the colours of their rim."""
    size = longest_side(surface)
    for vertices, corners in _loops(surface.faces):
        ring = surface.vertices[vertices]
        if np.linalg.norm(np.roll(ring, -1, axis=0) - ring, axis=1).sum() > SMALL_HOLE * size:
            continue
        n = len(vertices)
        faces = np.stack([np.roll(vertices, -1), vertices, np.full(n, len(surface.vertices))], 1)
        uv = surface.uv.reshape(-1, 2)[corners]
        new_uv = np.repeat(uv[:, None], 3, axis=1)  # one tone each: no streaks across a seam of the art
        colours = surface.colours
        if colours is not None:
            mine = colours.reshape(-1, 3)[corners]
            colours = np.concatenate([colours, np.repeat(mine[:, None], 3, axis=1)])
        surface = Surface(
            np.concatenate([surface.vertices, ring.mean(axis=0, keepdims=True)]),
            np.concatenate([surface.faces, faces]), np.concatenate([surface.uv, new_uv]), colours,
            np.concatenate([surface.material, surface.material[corners // 3]]), surface.materials,
            _noted(surface, "holes_filled"),
        )  # fmt: skip
    return surface


def refine(surface: Surface, longest: float) -> Surface:
    """Split edges longer than ``longest`` in the middle, on both sides alike, until there is none.

    Only a face's longest edge is split at a time: long thin faces become short ones, not long thinner ones.
    """
    for _ in range(64):
        edges, face_edge = mesh_edges(surface.faces)
        length = np.linalg.norm(np.subtract(*surface.vertices[edges].transpose(1, 0, 2)), axis=1)
        split = np.zeros(len(edges), bool)
        split[face_edge[np.arange(len(face_edge)), length[face_edge].argmax(axis=1)]] = True
        split &= length > longest
        if not split.any():
            break
        surface = _split_edges(surface, edges, face_edge, split)
    return surface


_TEMPLATES = {
    1: ((0, 3, 2), (3, 1, 2)),
    2: ((0, 3, 2), (3, 4, 2), (3, 1, 4)),
    3: ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
}
"""Faces after splitting edges 01, 01 and 12, or all three: corners 0-2, then the middles of 01, 12, 20."""


def _split_edges(
    surface: Surface, edges: Int[np.ndarray, "e 2"], face_edge: Int[np.ndarray, "f 3"],
    long: Bool[np.ndarray, " e"],
) -> Surface:  # fmt: skip
    marked = long[face_edge]
    # Turn each face so that its split edges come first; if one is split it is 01, if two they are 01 and 12.
    count = marked.sum(axis=1)
    turn = np.where(count == 1, marked.argmax(axis=1), 0)
    turn = np.where(count == 2, (np.argmin(marked, axis=1) + 1) % 3, turn)
    pick = (turn[:, None] + np.arange(3)) % 3
    row = np.arange(len(pick))[:, None]
    number = np.cumsum(long) - 1 + len(surface.vertices)
    points = np.concatenate([surface.faces[row, pick], number[face_edge[row, pick]]], axis=1)

    def with_middles(corner: Float[np.ndarray, "f 3 k"]) -> Float[np.ndarray, "f 6 k"]:
        turned = corner[row, pick]
        return np.concatenate([turned, (turned + np.roll(turned, -1, axis=1)) / 2], axis=1)

    uv = with_middles(surface.uv)
    colours = None if surface.colours is None else with_middles(surface.colours)
    faces, uvs, tones, material = [points[count == 0, :3]], [uv[count == 0, :3]], [], [surface.material[count == 0]]
    tones = [] if colours is None else [colours[count == 0, :3]]
    for split, template in _TEMPLATES.items():
        at = count == split
        for triangle in template:
            k = list(triangle)
            faces.append(points[at][:, k])
            uvs.append(uv[at][:, k])
            material.append(surface.material[at])
            if colours is not None:
                tones.append(colours[at][:, k])
    middles = surface.vertices[edges[long]].mean(axis=1)
    return replace(
        surface, vertices=np.concatenate([surface.vertices, middles]), faces=np.concatenate(faces),
        uv=np.concatenate(uvs), colours=np.concatenate(tones) if tones else None, material=np.concatenate(material),
    )  # fmt: skip
