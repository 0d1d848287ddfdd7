"""Ray casts with Embree through embreex, which needs no system library (Open3D's caster does)."""

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Bool, Float, Int

from .scene import Part


@dataclass(frozen=True)
class Hits:
    """First hits of n rays."""

    distance: Float[np.ndarray, " n"]
    """Along the ray direction as given (not normalised); infinity where nothing is hit."""
    part: Int[np.ndarray, " n"]
    """Index into the caster's parts, -1 where nothing is hit."""
    face: Int[np.ndarray, " n"]
    """Face of that part, -1 where nothing is hit."""
    weights: Float[np.ndarray, "n 3"]
    """Barycentric weights of the face's corners."""


@dataclass(frozen=True)
class Caster:
    """Parts made ready for ray casts."""

    parts: tuple[Part, ...]
    first_face: Int[np.ndarray, " p"]
    """Number of each part's first face in the joined mesh."""
    embree: EmbreeScene


def _build(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> EmbreeScene:
    embree = EmbreeScene(robust=True)
    TriangleMesh(embree, vertices.astype(np.float32), faces.astype(np.int32))
    return embree


def build_caster(parts: tuple[Part, ...]) -> Caster:
    """Join parts into one mesh and build Embree's tree over it."""
    vertex_start = np.cumsum([0] + [len(p.vertices) for p in parts])
    face_start = np.cumsum([0] + [len(p.faces) for p in parts])
    vertices = np.concatenate([p.vertices for p in parts])
    faces = np.concatenate([p.faces + start for p, start in zip(parts, vertex_start[:-1], strict=True)])
    return Caster(parts, face_start[:-1], _build(vertices, faces))


def cast(caster: Caster, origins: Float[np.ndarray, "n 3"], directions: Float[np.ndarray, "n 3"]) -> Hits:
    """First hit of each ray; directions need not be unit vectors."""
    raw = caster.embree.run(_f32(origins), _f32(directions), query="INTERSECT", output=1)
    joined = raw["primID"].astype(np.int64)
    hit = joined >= 0
    part = np.where(hit, np.searchsorted(caster.first_face, joined, side="right") - 1, -1)
    face = np.where(hit, joined - caster.first_face[part], -1)
    u, v = raw["u"], raw["v"]
    distance = np.where(hit, raw["tfar"], np.float32(np.inf))
    return Hits(distance, part, face, np.stack([1 - u - v, u, v], axis=1))


def occluded(
    caster: Caster,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    reach: Float[np.ndarray, " n"],
) -> Bool[np.ndarray, " n"]:
    """Whether anything lies within ``reach`` times the direction's length of each origin."""
    hit = caster.embree.run(_f32(origins), _f32(directions), dists=reach.astype(np.float32), query="OCCLUDED")
    return np.asarray(hit) >= 0


def cast_mesh(
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
) -> Bool[np.ndarray, " n"]:
    """Whether each ray hits a bare mesh."""
    return np.asarray(_build(vertices, faces).run(_f32(origins), _f32(directions))) >= 0


def _f32(rays: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    return np.ascontiguousarray(rays, dtype=np.float32)
