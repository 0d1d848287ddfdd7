"""Wear-through: a corner or an edge that has been rubbed until the layer is gone, with a frayed border."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ...sim.errors import DamagelandError
from ..cut import cut_along, refine_edges, trace_unzip
from ..damage.subject import Subject, site_weight
from ..mesh import Sheet, boundary_half_edges, face_areas, face_normals, mesh_edges, vertex_normals
from .frayed import fibre_of, paint_band
from .pattern import grain_of, remove_inside, trim_rim
from .pierce import FAR

SHARP_DEFECT, SHARP_FOLD = 0.5, 0.5
"""Radians from which a vertex is a corner and a fold is an edge."""


@dataclass(frozen=True)
class Worn:
    """A worn place: where, how it stretches along its edge, how ragged its border is."""

    at: Float[np.ndarray, "3"]
    inward: Float[np.ndarray, "3"]
    along: Float[np.ndarray, "3"]
    """Direction of the edge that it follows."""
    stretch: float
    waves: Float[np.ndarray, "n 5"]
    """Of the border's noise: wave vector [1/reach], phase, size."""
    band: float
    """Width of the frayed border, over the reach."""
    push: float
    """How far the border has given way, over the reach."""

    def distance(self, points: Float[np.ndarray, "p 3"]) -> Float[np.ndarray, " p"]:
        """Distance [m] from the worn place, shortened along its edge."""
        offset = points - self.at
        lengthwise = offset @ self.along
        squeezed = offset - (lengthwise * (1 - 1 / self.stretch))[:, None] * self.along
        return np.linalg.norm(squeezed, axis=1)

    def outline(self, points: Float[np.ndarray, "p 3"], reach: float) -> Float[np.ndarray, " p"]:
        """Signed distance [m], about, to what is worn away: negative inside."""
        return self.distance(points) - reach * np.clip(1 + self.noise(points, reach), 0.45, 1.5)

    def noise(self, points: Float[np.ndarray, "p 3"], reach: float) -> Float[np.ndarray, " p"]:
        """Raggedness at points, about 0 ± 1."""
        phase = (points - self.at) @ self.waves[:, :3].T / reach + self.waves[:, 3]
        return np.sin(phase) @ self.waves[:, 4]


def convexity(sheet: Sheet) -> tuple[Float[np.ndarray, " v"], Float[np.ndarray, " v"]]:
    """How much of a corner, and of an outer edge, each vertex is [rad]; at an open rim, how far the rim turns."""
    corners = sheet.rest[sheet.faces]
    angle = np.zeros(len(sheet.rest))
    for k in range(3):
        a, b = corners[:, (k + 1) % 3] - corners[:, k], corners[:, (k + 2) % 3] - corners[:, k]
        size = np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-18)
        np.add.at(angle, sheet.faces[:, k], np.arccos(np.clip((a * b).sum(axis=1) / size, -1, 1)))
    rim = np.unique(boundary_half_edges(sheet.faces)[0])
    whole = np.full(len(sheet.rest), 2 * np.pi)
    whole[rim] = np.pi
    edges, face_edge = mesh_edges(sheet.faces)
    unit = face_normals(sheet.rest, sheet.faces)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-18)
    total = np.zeros((len(edges), 3))
    for k in range(3):
        np.add.at(total, face_edge[:, k], unit)
    count = np.bincount(face_edge.ravel(), minlength=len(edges))
    fold = np.where(count == 2, 2 * np.arccos(np.clip(np.linalg.norm(total, axis=1) / 2, 0, 1)), 0.0)
    # Convex if the neighbours' middles lie below the mean normal's plane.
    middle, inner = sheet.rest[edges].mean(axis=1), np.zeros((len(edges), 3))
    for k in range(3):
        np.add.at(inner, face_edge[:, k], corners.mean(axis=1))
    hollow = ((inner / np.maximum(count, 1)[:, None] - middle) * total).sum(axis=1) > 0
    bent = np.zeros(len(sheet.rest))
    np.maximum.at(bent, edges.ravel(), np.repeat(np.where(hollow, 0.0, fold), 2))
    return whole - angle, bent


def can_wear(sheet: Sheet) -> bool:
    """Whether there is a corner or an edge to rub."""
    defect, fold = convexity(sheet)
    return bool((defect > SHARP_DEFECT).any() or (fold > SHARP_FOLD).any())


def draw_worn(subject: Subject, sheet: Sheet, ragged: float, rng: np.random.Generator) -> Worn:
    """Draw a corner (two times in three) or a place on an edge."""
    defect, fold = convexity(sheet)
    kept = np.zeros(len(sheet.rest), bool)
    kept[sheet.faces[~sheet.removed].ravel()] = True
    chance = np.zeros(len(sheet.rest))
    near = site_weight(subject, sheet.rest) * kept
    for weight, sharp in ((0.67, defect > SHARP_DEFECT), (0.33, (fold > SHARP_FOLD) & (defect <= SHARP_DEFECT))):
        if (near * sharp).sum() > 0:
            chance += weight * near * sharp / sharp.sum()
    vertex = int(rng.choice(len(chance), p=chance / chance.sum()))
    normal = vertex_normals(sheet.rest, sheet.faces)[vertex]
    around = sheet.rest - sheet.rest[vertex]
    ridge = (np.linalg.norm(around, axis=1) < 0.012) & (fold > SHARP_FOLD)
    spread = np.linalg.svd(around[ridge], full_matrices=False)[2] if ridge.sum() > 1 else np.eye(3)
    n = 26
    size = np.exp(rng.uniform(np.log(1.5), np.log(24.0), n))
    way = rng.normal(size=(n, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    height = ragged * 1.6 / np.sqrt(n) * (3.0 / size) ** 0.3
    waves = np.concatenate([way * size[:, None], rng.uniform(0, 6.3, (n, 1)), height[:, None]], axis=1)
    stretch = rng.uniform(1.2, 2.4)
    return Worn(
        at=sheet.rest[vertex].copy(),
        inward=-normal,
        along=spread[0],
        stretch=float(stretch if defect[vertex] <= SHARP_DEFECT else 1 + 0.25 * (stretch - 1.2)),
        waves=waves,
        band=float(rng.uniform(0.2, 0.5)),
        push=float(rng.uniform(0.05, 0.16)),
    )


def _refined(sheet: Sheet, worn: Worn, reach: float) -> Sheet:
    fine = grain_of(sheet, 0.8 * reach)
    for _ in range(9):
        edges, _ = mesh_edges(sheet.faces)
        length = np.linalg.norm(sheet.rest[edges[:, 0]] - sheet.rest[edges[:, 1]], axis=1)
        far = worn.distance(sheet.rest[edges].mean(axis=1))
        gap = np.maximum(np.abs(far - 1.2 * reach) - 0.6 * reach - 0.5 * length, 0)
        wanted = np.where(far < 2.0 * reach + 0.5 * length, fine + 0.55 * gap, FAR)
        if not (length > 1.5 * wanted).any():
            break
        sheet = refine_edges(sheet, length > 1.5 * wanted, rounded=True)
    return sheet


def wear_through(
    sheet: Sheet, worn: Worn, reach: float, *, fibrous: bool
) -> tuple[Sheet, Int[np.ndarray, " v"], Float[np.ndarray, "v 3"], float]:
    """Remove what is worn away.

    Returns the sheet, which vertex each was before (new ones have numbers beyond), how the border gives way [m], and
    the missing area [m²].
    """
    sheet = _refined(sheet, worn, reach)
    fine = grain_of(sheet, 0.8 * reach)
    radius = worn.distance(sheet.rest)
    near = radius < 2.5 * reach
    value = np.full(len(radius), FAR)
    value[near] = worn.outline(sheet.rest[near], reach)
    sheet, side = cut_along(sheet, value, snap=0.2 * fine)
    before = sheet.removed
    sheet = remove_inside(sheet, side, lambda corners: worn.outline(sheet.rest[corners].mean(axis=1), reach))
    gone = sheet.removed & ~before
    if not gone.any():
        raise DamagelandError("hole: the mesh is too coarse for a worn corner; refine it, or raise radius_mm.")
    area = float(face_areas(sheet.rest, sheet.faces)[gone].sum())
    if fibrous:
        sheet = _fray(sheet, worn, reach, snap=0.2 * fine)
    edges, face_edge = mesh_edges(sheet.faces)
    lost = np.zeros(len(edges), np.int64)
    np.add.at(lost, face_edge.ravel(), np.repeat(np.where(sheet.removed, 1, -1), 3))
    count = np.bincount(face_edge.ravel(), minlength=len(edges))
    sheet, source = trace_unzip(sheet, (count == 2) & (lost == 0))
    sheet = trim_rim(sheet, worn.at, 3 * worn.stretch * reach, least=0.004 * fine**2)
    return sheet, source, _give_way(sheet, worn, reach), area


def _fray(sheet: Sheet, worn: Worn, reach: float, *, snap: float) -> Sheet:
    """Bare the fibres around what is gone."""
    radius = worn.distance(sheet.rest)
    value, near = np.full(len(radius), FAR), radius < 3 * reach
    mirrored = 2 * worn.at - sheet.rest[near]  # another part of the noise, or both outlines would run in parallel
    border = reach * (1 + worn.band) * np.clip(1 + 0.8 * worn.noise(mirrored, reach), 0.5, 1.7)
    value[near] = radius[near] - border
    return paint_band(sheet, value, fibre_of(sheet), snap=snap)


def _give_way(sheet: Sheet, worn: Worn, reach: float) -> Float[np.ndarray, "v 3"]:
    """How far the border has been pushed in [m]."""
    far = worn.distance(sheet.rest) / reach
    fall = np.clip(1 - (far / 2.4) ** 2, 0, 1) ** 2
    slow = np.linalg.norm(worn.waves[:, :3], axis=1) < 5  # fast ones would tangle the inner side of a thick wall
    rough = 1 + 0.8 * np.sin((sheet.rest - worn.at) @ worn.waves[slow, :3].T / reach) @ worn.waves[slow, 4]
    moved = (worn.push * reach * fall * rough)[:, None] * worn.inward
    outside = np.ones(len(moved), bool)
    outside[sheet.faces[~sheet.removed].ravel()] = False
    moved[outside] = 0
    return moved
