"""Even meshes for the simulation: short edges collapse where that neither tears, folds nor blunts the surface."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array

from ..mesh import face_normals, mesh_edges

SHARP = 0.02
"""A vertex whose faces' mean normal is this much shorter than 1 lies on a crease: it stays where it is."""


def _sharpness(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, " v"]:
    """0 on flat ground, towards 1 at corners."""
    unit = face_normals(vertices, faces)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-30)
    count = np.maximum(np.bincount(faces.reshape(-1), minlength=len(vertices)), 1)
    corner = np.repeat(unit, 3, axis=0)
    mean = np.stack([np.bincount(faces.reshape(-1), corner[:, k], len(vertices)) for k in range(3)], 1)
    return 1 - np.linalg.norm(mean / count[:, None], axis=1)


def _apart(edges: Int[np.ndarray, "e 2"], rank: Float[np.ndarray, " e"], count: int) -> Bool[np.ndarray, " e"]:
    """Edges that are first among all candidates around them; candidates have finite ranks, no two alike."""
    nearest = np.full(count, np.inf)
    for k in range(2):
        np.minimum.at(nearest, edges[:, k], rank)
    around = nearest.copy()
    for k in range(2):
        np.minimum.at(around, edges[:, k], nearest[edges[:, 1 - k]])
    return np.isfinite(rank) & (around[edges[:, 0]] == rank) & (around[edges[:, 1]] == rank)


def _common_neighbours(edges: Int[np.ndarray, "e 2"], chosen: Int[np.ndarray, " c"], count: int):
    both = np.concatenate([edges, edges[:, ::-1]])
    near = coo_array((np.ones(len(both), np.int32), (both[:, 0], both[:, 1])), shape=(count, count)).tocsr()
    return np.asarray((near[edges[chosen, 0]] * near[edges[chosen, 1]]).sum(axis=1)).reshape(-1)


def _one_round(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], shortest: float, tired: set[int]
) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "g 3"], int]:
    """Collapse a set of edges far from each other; ``tired`` collects keys of edges that must stay."""
    edges, face_edge = mesh_edges(faces)
    count = len(vertices)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    faces_at = np.bincount(face_edge.reshape(-1), minlength=len(edges))
    rim = np.zeros(count, bool)
    rim[edges[faces_at != 2].reshape(-1)] = True
    key = edges[:, 0] * count + edges[:, 1]
    may = (length < shortest) & ~rim[edges].any(axis=1) & ~np.isin(key, np.fromiter(tired, np.int64, len(tired)))
    rank = np.full(len(edges), np.inf)
    rank[may] = np.argsort(np.argsort(length[may], kind="stable"), kind="stable")
    chosen = np.flatnonzero(_apart(edges, rank, count))
    bad = _common_neighbours(edges, chosen, count) != 2 if len(chosen) else np.zeros(0, bool)
    sharp = _sharpness(vertices, faces)[edges[chosen]]
    a, b = vertices[edges[chosen, 0]], vertices[edges[chosen, 1]]
    share = np.where(np.abs(sharp[:, 0] - sharp[:, 1]) < SHARP, 0.5, (sharp[:, 1] > sharp[:, 0]).astype(float))
    # From one crease or corner to another it would be cut short.
    moved, into = vertices.copy(), np.arange(count)
    for k in range(2):
        moved[edges[chosen, k]] = a + share[:, None] * (b - a)
    owner = np.full(count, -1)
    owner[edges[chosen]] = np.arange(len(chosen))[:, None]
    touched = np.flatnonzero((owner[faces] >= 0).sum(axis=1) == 1)
    before, after = face_normals(vertices, faces[touched]), face_normals(moved, faces[touched])
    size = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    folds = np.einsum("ij,ij->i", before, after) < 0.7 * size + 1e-30
    bad[owner[faces[touched]].max(axis=1)[folds]] = True
    tired.update(key[chosen[bad]].tolist())
    keep = edges[chosen[bad]].reshape(-1)
    moved[keep] = vertices[keep]
    good = chosen[~bad]
    into[edges[good, 1]] = edges[good, 0]
    out = into[faces]
    sound = (out[:, 0] != out[:, 1]) & (out[:, 1] != out[:, 2]) & (out[:, 2] != out[:, 0])
    return moved, out[sound], len(chosen)


def collapse_short(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], shortest: float, *, most_rounds: int = 200
) -> tuple[Float[np.ndarray, "w 3"], Int[np.ndarray, "g 3"]]:
    """Collapse edges shorter than ``shortest``, the shortest first; a closed surface stays closed."""
    tired: set[int] = set()
    for _ in range(most_rounds):
        vertices, faces, tried = _one_round(vertices, faces, shortest, tired)
        if tried == 0:
            break
    used, packed = np.unique(faces, return_inverse=True)
    return vertices[used], packed.reshape(-1, 3)
