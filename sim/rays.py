"""Ray casts with Embree through embreex, which needs no system library (Open3D's caster does)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Bool, Float, Int

from .scene import Part

STEP_M = 5e-6
"""A ray that goes on behind a face starts this far from it: thinner than any film, thicker than rounding."""


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
    row: Int[np.ndarray, " n"]
    """Number of the face in the caster's joined mesh, -1 where nothing is hit."""

    def take(self, rays: Int[np.ndarray, " m"] | Bool[np.ndarray, " n"]) -> "Hits":
        """Keep some of the rays."""
        return Hits(self.distance[rays], self.part[rays], self.face[rays], self.weights[rays], self.row[rays])


@dataclass(frozen=True)
class Caster:
    """Parts made ready for ray casts."""

    parts: tuple[Part, ...]
    first_face: Int[np.ndarray, " p"]
    """Number of each part's first face in the joined mesh."""
    embree: EmbreeScene

    @cached_property
    def normals(self) -> Float[np.ndarray, "f 3"]:
        """Unit geometric normals of the joined mesh's faces."""
        a, b, c = np.concatenate([part.triangles for part in self.parts]).transpose(1, 0, 2)
        normal = np.cross(b - a, c - a)
        return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)

    def joined(self, hits: Hits) -> Int[np.ndarray, " n"]:
        """Number of each face hit in the joined mesh; 0 where nothing is hit."""
        return np.maximum(hits.row, 0)

    @cached_property
    def part_of(self) -> Int[np.ndarray, " _"]:
        """Part of each face of the joined mesh, and after them -1, for rows of -1."""
        return np.append(np.repeat(np.arange(len(self.parts)), [len(part.faces) for part in self.parts]), -1)

    @cached_property
    def face_of(self) -> Int[np.ndarray, " _"]:
        """Number of each face in its part, and -1 likewise."""
        return np.concatenate([*(np.arange(len(part.faces)) for part in self.parts), [-1]])


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


def keep_faces(part: Part, kept: Bool[np.ndarray, " f"]) -> Part:
    """A part without some of its faces; vertices stay."""
    return replace(
        part, faces=part.faces[kept], uv=part.uv[kept], normals=part.normals[kept], material=part.material[kept],
        surface=part.surface[kept], damage=part.damage[kept],
    )  # fmt: skip


def clear_faces(part: Part, above: float = 0.0) -> Bool[np.ndarray, " f"]:
    """Faces whose material lets more than this share of light through."""
    return np.array([material.transmission > above for material in part.materials], bool)[part.material]


def split_clear(parts: tuple[Part, ...], above: float = 0.0) -> tuple[Caster, Caster] | None:
    """Casters of opaque and of clear faces, which number the parts alike; None where nothing is clear."""
    clear = [clear_faces(part, above) for part in parts]
    if not any(c.any() for c in clear):
        return None
    opaque, see_through = (
        build_caster(tuple(keep_faces(part, c == wanted) for part, c in zip(parts, clear, strict=True)))
        for wanted in (False, True)
    )
    return opaque, see_through


def cast(caster: Caster, origins: Float[np.ndarray, "n 3"], directions: Float[np.ndarray, "n 3"]) -> Hits:
    """First hit of each ray; directions need not be unit vectors."""
    raw = caster.embree.run(_f32(origins), _f32(directions), query="INTERSECT", output=1)
    row = raw["primID"].astype(np.int64)
    u, v = raw["u"], raw["v"]
    distance = np.where(row >= 0, raw["tfar"], np.float32(np.inf))
    weights = np.empty((len(row), 3), np.float32)
    weights[:, 0], weights[:, 1], weights[:, 2] = 1 - u - v, u, v
    return Hits(distance, caster.part_of[row], caster.face_of[row], weights, row)


def walk(
    caster: Caster,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    reach: Float[np.ndarray, " n"],
    *,
    layers: int,
) -> Iterator[tuple[Int[np.ndarray, " m"], Hits]]:
    """Go straight through face after face within ``reach`` times the direction's length.

    Yields, layer by layer, the numbers of the rays that meet one more face and their hits, nearest first.
    """
    rays, passed = np.arange(len(origins)), np.zeros(len(origins))
    for _ in range(layers):
        hits = cast(caster, origins, directions)
        on = np.flatnonzero(passed + hits.distance < reach)
        if len(on) == 0:
            return
        hits = hits.take(on)
        rays, origins, directions, reach = rays[on], origins[on], directions[on], reach[on]
        origins = beyond(caster, hits, origins, directions)
        passed = passed[on] + hits.distance
        yield rays, replace(hits, distance=passed)


def beyond(
    caster: Caster, hits: Hits, origins: Float[np.ndarray, "n 3"], directions: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    """Where rays that have hit go on: just behind the face. All of them must have hit."""
    normal = caster.normals[caster.joined(hits)]
    side = np.where(np.einsum("ij,ij->i", normal, directions) > 0, STEP_M, -STEP_M)
    return (origins + hits.distance[:, None] * directions + side[:, None] * normal).astype(origins.dtype)


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
