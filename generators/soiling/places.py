"""Where on a wall: points drawn by area, the nearest worn edge or corner, and which way a tool comes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ..mesh import face_areas
from .flatten import Spot, Wall


@dataclass(frozen=True)
class Place:
    """A spot drawn on one of the walls."""

    wall: int
    """Index into the product's sheets."""
    face: int
    at: Float[np.ndarray, "3"]


def point_of_face(corners: Float[np.ndarray, "3 3"], share: float) -> Float[np.ndarray, "3"]:
    """A point of a triangle for a number in [0, 1): the same one if the triangle has been subdivided meanwhile."""
    for _ in range(12):
        a, b, c = corners
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        child = min(int(4 * share), 3)
        corners = np.stack([(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)][child])
        share = 4 * share - child
    return corners.mean(axis=0)


def nearest_edge(wall: Wall, place: Place) -> tuple[int, Float[np.ndarray, "3"]] | None:
    """The nearest point of a fold or an end of the wall that gets worn, and a face at it."""
    face, side = np.nonzero(wall.worn)
    if len(face) == 0:
        return None
    ids = wall.sheet.faces
    a, b = wall.sheet.rest[ids[face, side]], wall.sheet.rest[ids[face, (side + 1) % 3]]
    way = b - a
    t = np.clip(np.einsum("ij,ij->i", place.at - a, way) / np.maximum(np.square(way).sum(axis=1), 1e-20), 0, 1)
    foot = a + t[:, None] * way
    best = int(np.square(foot - place.at).sum(axis=1).argmin())
    return int(face[best]), foot[best]


def nearest_corner(wall: Wall, place: Place) -> tuple[int, Float[np.ndarray, "3"]] | None:
    """The nearest vertex where worn edges of different directions meet, and a face at it."""
    face, side = np.nonzero(wall.worn)
    ids = wall.sheet.faces
    ends = np.concatenate([ids[face, side], ids[face, (side + 1) % 3]])
    way = wall.sheet.rest[ids[face, (side + 1) % 3]] - wall.sheet.rest[ids[face, side]]
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-20)
    outer = np.einsum("ij,ik->ijk", way, way).reshape(-1, 9)
    spread = np.zeros((len(wall.sheet.rest), 9))
    np.add.at(spread, ends, np.concatenate([outer, outer]))
    trace = spread[:, [0, 4, 8]].sum(axis=1)
    corner: Int[np.ndarray, " c"] = np.flatnonzero(trace > 0)
    lowest = np.linalg.eigvalsh(spread[corner].reshape(-1, 3, 3))
    corner = corner[lowest[:, 1] > 0.2 * lowest[:, 2]]
    if len(corner) == 0:
        return None
    best = int(corner[np.square(wall.sheet.rest[corner] - place.at).sum(axis=1).argmin()])
    near = np.flatnonzero((ids == best).any(axis=1) & wall.usable)
    return (int(near[0]), wall.sheet.rest[best]) if len(near) else None


def make_spot(wall: Wall, face: int, at: Float[np.ndarray, "3"], turn_rad: float) -> Spot:
    """What touches the wall comes against the mean of the sides that meet there."""
    middle = wall.sheet.rest[wall.sheet.faces].mean(axis=1)
    near = np.exp(-np.square(middle - at).sum(axis=1) / 0.006**2) * wall.usable
    weight = near * face_areas(wall.sheet.rest, wall.sheet.faces)  # by area: the same on a finer mesh
    normal = weight @ wall.normals / weight.sum()
    length = float(np.linalg.norm(normal))
    return Spot(face, at, normal / length if length > 0.1 else wall.normals[face], turn_rad)
