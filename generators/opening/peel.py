"""Lids that are peeled: a foil, the scored lid of a tin, the mouth of a can; and necks that a cap has sealed."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from ...sim.scene import KINDS, Kind, Part, kind_bit
from ..cut import cut_along, refine_faces, unzip_edges
from ..mesh import Sheet, face_areas, mesh_edges
from .hinge import LABEL, Frame, Give, closed_surface, turned


@dataclass(frozen=True)
class Score:
    """An ellipse in a lid's plane along which it parts."""

    middle: Float[np.ndarray, "3"]
    u: Float[np.ndarray, "3"]
    v: Float[np.ndarray, "3"]
    """Unit vectors of its half axes, in the plane."""
    half: tuple[float, float]

    def beyond(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        """Roughly the distance [m] outside the ellipse, negative inside."""
        off = points - self.middle
        share = np.hypot(off @ self.u / self.half[0], off @ self.v / self.half[1])
        return (share - 1) * min(self.half)


def _near_plane(sheet: Sheet, score: Score, depth: float) -> Bool[np.ndarray, " v"]:
    normal = np.cross(score.u, score.v)
    return np.abs((sheet.rest - score.middle) @ normal) < depth


def cut_score(
    sheet: Sheet, score: Score, *, fine_m: float, depth_m: float = 0.0015
) -> tuple[Sheet, Bool[np.ndarray, " f"]]:
    """Insert the ellipse exactly into the faces of its plane; returns the sheet and which faces lie within."""
    for _ in range(4):
        corners = sheet.rest[sheet.faces]
        longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
        flat = _near_plane(sheet, score, depth_m)[sheet.faces].all(axis=1)
        close = np.abs(score.beyond(corners.mean(axis=1))) < 1.2 * longest + fine_m
        coarse = flat & close & (longest > 1.6 * fine_m)
        if not coarse.any():
            break
        sheet = refine_faces(sheet, coarse)
    value = np.where(_near_plane(sheet, score, depth_m), score.beyond(sheet.rest), score.half[0])
    sheet, side = cut_along(sheet, value, snap=0.12 * fine_m)
    corner = side[sheet.faces]
    return sheet, (corner.max(axis=1) <= 0) & (corner.min(axis=1) < 0)


def _cut_front(sheet: Sheet, inside: Bool[np.ndarray, " f"], frame: Frame) -> tuple[Sheet, Bool[np.ndarray, " g"]]:
    """Insert the line at which peeling has stopped, so that it does not depend on the mesh."""
    lid = np.zeros(len(sheet.vertices), bool)
    lid[sheet.faces[inside]] = True
    s = (sheet.rest - frame.at) @ frame.away
    flagged = replace(sheet, panel=sheet.panel | (inside.astype(np.uint8) << 7))  # rides along through the cut
    done, _ = cut_along(flagged, np.where(lid, s, 0.0), snap=2e-4)
    return replace(done, panel=done.panel & np.uint8(127)), done.panel >= 128


def lift_off(
    sheet: Sheet, inside: Bool[np.ndarray, " f"], frame: Frame, angle_deg: float, give: Give, kind: Kind
) -> tuple[Sheet, Part, float]:
    """Part some faces from their surroundings beyond an axis, and roll up what lies beyond it.

    Returns the sheet, the closed surface of what has moved, and its area [m²].
    """
    bit = KINDS.index(kind)
    sheet, inside = _cut_front(sheet, inside, frame)
    s = (sheet.rest - frame.at) @ frame.away
    moving = inside & (s[sheet.faces].mean(axis=1) > 0)
    edges, face_edge = mesh_edges(sheet.faces)
    count = np.bincount(face_edge.ravel(), minlength=len(edges))
    mine = np.bincount(face_edge[moving].ravel(), minlength=len(edges))
    inner = np.bincount(face_edge[inside].ravel(), minlength=len(edges)) == count
    sheet = unzip_edges(sheet, (mine > 0) & (mine < count) & ~inner)
    gone = closed_surface(sheet, moving, kind)
    own, held = np.zeros(len(sheet.vertices), bool), np.zeros(len(sheet.vertices), bool)
    own[sheet.faces[moving]], held[sheet.faces[~moving]] = True, True
    free = own & ~held
    vertices, marks = sheet.vertices.copy(), sheet.marks.copy()
    vertices[free] = turned(vertices[free], frame, angle_deg, give)
    marks[free, bit] = np.maximum(marks[free, bit], LABEL)
    area = float(face_areas(sheet.rest, sheet.faces)[moving].sum())
    return replace(sheet, vertices=vertices, marks=marks), gone, area


def ride(part: Part, frame: Frame, angle_deg: float, give: Give, at: Float[np.ndarray, "3"], kind: Kind) -> Part:
    """Move a rigid part with the place of a peeled lid that it is fixed to."""
    step = 1e-4
    probe = np.stack([at, at + step * frame.along, at + step * frame.away, at + step * frame.opening])
    moved = turned(probe, frame, angle_deg, give)
    u, w, o = (moved[1:] - moved[0]) / step
    R = np.stack([u, w, o], 1) @ np.stack([frame.along, frame.away, frame.opening], 1).T
    left, _, right = np.linalg.svd(R)
    R = left @ right
    return replace(
        part,
        vertices=(part.vertices - at) @ R.T + moved[0],
        normals=part.normals @ R.T,
        damage=part.damage | np.uint8(kind_bit(kind)),
    )


def open_neck(
    sheet: Sheet, at: Float[np.ndarray, "3"], along: Float[np.ndarray, "3"], kind: Kind
) -> tuple[Sheet, float]:
    """Take the closed end of a neck away, whose axis starts at a point; returns the sheet and the mouth's radius [m].

    Families close their bottles, as nobody sees the mouth under its cap. A neck that is open stays as it is.
    """
    off = sheet.rest - at
    height = off @ along
    radius = np.linalg.norm(off - height[:, None] * along, axis=1)
    reach = 1.5 * float(radius[height > height.max() - 5e-4].max(initial=0.0)) + 1e-3
    near = radius < reach
    top = near & (height > float(height[near].max()) - 5e-4)
    middle = at + float(height[top].max()) * along
    if float(radius[top].min()) > 0.3 * float(radius[top].max()):  # open already
        return sheet, float(radius[top].min())
    wide = float(radius[top].max())
    mouth = max(wide - max(0.0014, 2.2 * sheet.thickness_mm / 1000), 0.45 * wide)
    u = np.cross(along, np.eye(3)[int(np.argmin(np.abs(along)))])
    u /= np.linalg.norm(u)
    sheet, inside = cut_score(sheet, Score(middle, u, np.cross(along, u), (mouth, mouth)), fine_m=0.0012, depth_m=4e-4)
    marks = sheet.marks.copy()
    bit = KINDS.index(kind)
    rim = np.unique(sheet.faces[inside])
    marks[rim, bit] = np.maximum(marks[rim, bit], 1.0)
    return replace(sheet, removed=sheet.removed | inside, marks=marks), mouth
