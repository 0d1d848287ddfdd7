"""A wall laid flat around a spot, so that a picture in millimetres can be put on it.

Each face keeps its size. Where the wall cannot be laid flat (round a box's corner) there is a cut in the plane, as far
from the spot as may be.
"""

import heapq
from dataclasses import dataclass
from typing import no_type_check

import cv2
import numba as nb
import numpy as np
from jaxtyping import Bool, Float, Int

from ..mesh import Sheet, face_normals
from ..tearing.unfold import faces_beside

SHARP = 0.9
"""Cosine of the angle between faces below which their common edge is one that gets worn."""
STRETCH = 0.12
"""A vertex that neighbours place further apart than this share of the face's size is placed for each of them."""
FAR_MM = 99.0


@dataclass(frozen=True)
class Wall:
    """A sheet with what is asked of it again and again."""

    sheet: Sheet
    usable: Bool[np.ndarray, " f"]
    """Faces that can be spoilt."""
    normals: Float[np.ndarray, "f 3"]
    beside: Int[np.ndarray, "f 3"]
    """Face on the other side of 01, 12, 20; -1 at an open edge."""
    worn: Bool[np.ndarray, "f 3"]
    """Which of these sides are convex folds or ends of the wall."""


@dataclass(frozen=True)
class Spot:
    """Where a picture goes: its middle, and how it is turned (anticlockwise from upright)."""

    face: int
    at: Float[np.ndarray, "3"]
    normal: Float[np.ndarray, "3"]
    """Against what touches the wall there."""
    turn_rad: float


@dataclass(frozen=True)
class Canvas:
    """The grid of a picture: x to the right, y up, the spot in its middle."""

    half_mm: tuple[float, float]
    px_per_mm: float
    contact: Float[np.ndarray, "h w"]
    """How firmly a tool touches the wall, 0-1; 0 where there is no wall."""
    crease_mm: Float[np.ndarray, "h w"]
    """Distance to the nearest convex edge."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.contact.shape
        return height, width

    @property
    def x_mm(self) -> Float[np.ndarray, "1 w"]:
        """Of each column."""
        return ((np.arange(self.shape[1], dtype=np.float32) + 0.5) / self.px_per_mm - self.half_mm[0])[None]

    @property
    def y_mm(self) -> Float[np.ndarray, "h 1"]:
        """Of each row."""
        return (self.half_mm[1] - (np.arange(self.shape[0], dtype=np.float32) + 0.5) / self.px_per_mm)[:, None]


@dataclass(frozen=True)
class Patch:
    """A piece of wall under a canvas."""

    faces: Int[np.ndarray, " k"]
    corners_mm: Float[np.ndarray, "k 3 2"]
    canvas: Canvas


def make_wall(sheet: Sheet, usable: Bool[np.ndarray, " f"]) -> Wall:
    """Look at a sheet's faces once."""
    normals = face_normals(sheet.rest, sheet.faces)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    beside = faces_beside(sheet.faces)
    middle = sheet.rest[sheet.faces].mean(axis=1)
    worn = beside < 0
    for k in range(3):
        other = beside[:, k]
        bent = np.einsum("ij,ij->i", normals, normals[other]) < SHARP
        convex = np.einsum("ij,ij->i", normals, middle[other] - middle) < 0
        worn[:, k] |= (other >= 0) & bent & convex
    return Wall(sheet, usable & ~sheet.removed, normals, beside, worn & usable[:, None])


@nb.njit(cache=True)
@no_type_check
def _lay_flat(rest, faces, beside, first, reach, blocked, stretch):
    plane = np.full((len(rest), 2), np.nan)
    corners = np.empty((len(faces), 3, 2))
    done, order, count = blocked.copy(), np.zeros(len(faces), np.int64), 1
    order[0] = first
    a, b, c = faces[first, 0], faces[first, 1], faces[first, 2]
    e, d = rest[b] - rest[a], rest[c] - rest[a]
    length = np.sqrt((e * e).sum())
    along = (d * e).sum() / length
    plane[a, :] = 0.0
    plane[b, 0], plane[b, 1] = length, 0.0
    plane[c, 0], plane[c, 1] = along, np.sqrt(max((d * d).sum() - along * along, 0.0))
    for k in range(3):
        corners[first, k] = plane[faces[first, k]]
    middle = (plane[a] + plane[b] + plane[c]) / 3
    queue = [(0.0, first)]
    done[first] = True
    while len(queue) > 0:
        _, f = heapq.heappop(queue)
        for k in range(3):
            g = beside[f, k]
            if g < 0 or done[g]:
                continue
            done[g] = True
            order[count] = g
            count += 1
            i, j = faces[f, k], faces[f, (k + 1) % 3]
            pi, pj = corners[f, k], corners[f, (k + 1) % 3]
            n = faces[g, 0] + faces[g, 1] + faces[g, 2] - i - j
            e, d = rest[j] - rest[i], rest[n] - rest[i]
            length = max(np.sqrt((e * e).sum()), 1e-12)
            along = (d * e).sum() / length
            off = np.sqrt(max((d * d).sum() - along * along, 0.0))
            # Directions from the plane, lengths from the wall: misfits do not add up from face to face.
            flat = max(np.sqrt((pj[0] - pi[0]) ** 2 + (pj[1] - pi[1]) ** 2), 1e-12)
            ux, uy = (pj[0] - pi[0]) / flat, (pj[1] - pi[1]) / flat
            nx, ny = pi[0] + along * ux + off * uy, pi[1] + along * uy - off * ux  # it lies to the right of i -> j
            if np.isnan(plane[n, 0]):
                plane[n, 0], plane[n, 1] = nx, ny
            else:
                miss = np.sqrt((plane[n, 0] - nx) ** 2 + (plane[n, 1] - ny) ** 2)
                if miss < stretch * max(length, off):
                    nx, ny = plane[n, 0], plane[n, 1]
            for m in range(3):
                v = faces[g, m]
                if v == i:
                    corners[g, m] = pi
                elif v == j:
                    corners[g, m] = pj
                else:
                    corners[g, m, 0], corners[g, m, 1] = nx, ny
            fx = (corners[g, 0, 0] + corners[g, 1, 0] + corners[g, 2, 0]) / 3 - middle[0]
            fy = (corners[g, 0, 1] + corners[g, 1, 1] + corners[g, 2, 1]) / 3 - middle[1]
            distance = np.sqrt(fx * fx + fy * fy)
            if distance < reach:
                heapq.heappush(queue, (distance, g))
    return order[:count].copy(), corners[order[:count]].copy()


def _right(normal: Float[np.ndarray, "3"], turn_rad: float) -> Float[np.ndarray, "3"]:
    """The picture's way right: its top is up, or to +y where the wall is level."""
    up = np.array([0.0, 1.0, 0.0]) if abs(normal[2]) > 0.9 else np.array([0.0, 0.0, 1.0])
    right = np.cross(up, normal)
    right /= np.linalg.norm(right)
    return np.cos(turn_rad) * right + np.sin(turn_rad) * np.cross(normal, right)


def lay_flat(
    wall: Wall, spot: Spot, half_mm: tuple[float, float]
) -> tuple[Int[np.ndarray, " k"], Float[np.ndarray, "k 3 2"]]:
    """Faces around a spot, and their corners [mm] in the plane."""
    sheet, reach = wall.sheet, (float(np.hypot(*half_mm)) + 4.0) / 1000
    faces, corners = _lay_flat(sheet.rest, sheet.faces, wall.beside, spot.face, reach, ~wall.usable, STRETCH)
    solid, flat = sheet.rest[sheet.faces[spot.face]], corners[0]
    sides = np.stack([solid[1] - solid[0], solid[2] - solid[0]], axis=1)
    turn = np.stack([flat[1] - flat[0], flat[2] - flat[0]], axis=1)
    to_plane = turn @ np.linalg.pinv(sides)
    start = flat[0] + to_plane @ (spot.at - solid[0])
    x = to_plane @ _right(wall.normals[spot.face], spot.turn_rad)
    x /= np.linalg.norm(x)
    corners = 1000 * (corners - start) @ np.array([[x[0], -x[1]], [x[1], x[0]]])
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    touched = (
        (low[:, 0] < half_mm[0]) & (low[:, 1] < half_mm[1]) & (high[:, 0] > -half_mm[0]) & (high[:, 1] > -half_mm[1])
    )
    return faces[touched], corners[touched]


def cut_patch(wall: Wall, spot: Spot, half_mm: tuple[float, float], px_per_mm: float, *, clings: bool) -> Patch:
    """The piece of wall around a spot, and the canvas over it."""
    faces, corners = lay_flat(wall, spot, half_mm)
    ends = np.abs(corners).max(axis=(0, 1), initial=1.0) + 1.0  # no picture beyond the wall
    half_mm = (min(half_mm[0], float(ends[0])), min(half_mm[1], float(ends[1])))
    width, height = (max(int(np.ceil(2 * half * px_per_mm)), 4) for half in half_mm)
    half_mm = (width / (2 * px_per_mm), height / (2 * px_per_mm))
    firm = np.where(clings, 1.0, np.clip((wall.normals[faces] @ spot.normal - 0.25) / 0.3, 0, 1))
    # What a tool does not reach is no part of the patch; where film lies double, what it presses most counts.
    order = np.argsort(firm, kind="stable")
    order = order[firm[order] > 0]
    faces, corners, firm = faces[order], corners[order], firm[order]
    contact = np.zeros((height, width), np.uint8)
    pixel = np.stack([corners[..., 0] + half_mm[0], half_mm[1] - corners[..., 1]], axis=-1) * px_per_mm - 0.5
    fixed = np.round(np.clip(pixel, -3000, 6000) * 16).astype(np.int32)
    for triangle, value in zip(fixed, np.round(255 * firm), strict=True):
        cv2.fillConvexPoly(contact, triangle, float(value), shift=4)
    crease = _crease_distance(fixed, wall.worn[faces], (height, width)) / px_per_mm
    canvas = Canvas(half_mm, px_per_mm, contact.astype(np.float32) / 255, crease)
    return Patch(faces, corners, canvas)


def _crease_distance(
    fixed: Int[np.ndarray, "k 3 2"], worn: Bool[np.ndarray, "k 3"], shape: tuple[int, int]
) -> Float[np.ndarray, "h w"]:
    """Distance [px] to the worn sides of triangles given in 1/16 px."""
    face, side = np.nonzero(worn)
    if len(face) == 0:
        return np.full(shape, FAR_MM, np.float32)
    away = np.ones(shape, np.uint8)
    lines = np.stack([fixed[face, side], fixed[face, (side + 1) % 3]], axis=1)
    cv2.polylines(away, list(lines), False, 0, 1, cv2.LINE_8, 4)
    return cv2.distanceTransform(away, cv2.DIST_L2, 5) if not away.all() else np.full(shape, FAR_MM, np.float32)
