"""A pattern cut exactly into a mesh: refined nearby, missing pieces taken out along their outlines, slits opened."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..cut import cut_along, refine_edges, trace_unzip
from ..mesh import Sheet, boundary_half_edges, face_areas, mesh_edges
from .pierce import FAR, INSIDE, PENETRATION, Cutting, Place, chart_of


def grain_of(sheet: Sheet, size: float) -> float:
    """Edge length [m] that follows a cut of a size closely; a thick wall's inner side would tangle below its own."""
    thickness = sheet.thickness_mm / 1000
    return float(max(np.clip(0.1 * size, 0.00018, 0.0010), min(0.22 * thickness, 0.3 * size)))


def cutting_grain(sheet: Sheet, cutting: Cutting) -> float:
    """Edge length [m] at a pattern's cuts."""
    sizes = [np.ptp(contour, axis=0).min() for contour in cutting.contours]
    sizes += [0.9 * cutting.reach] if len(cutting.ends) else []
    return grain_of(sheet, float(min(sizes)))


def _refine_near(sheet: Sheet, cutting: Cutting, place: Place) -> Sheet:
    """Halve edges until they are short enough for what is near: finest at the cuts, coarser in petals and dent."""
    fine, reach = cutting_grain(sheet, cutting), cutting.reach * cutting.pattern.extent
    for _ in range(9):
        edges, _ = mesh_edges(sheet.faces)
        length = np.linalg.norm(sheet.rest[edges[:, 0]] - sheet.rest[edges[:, 1]], axis=1)
        flat = chart_of(sheet, place, 1.3 * reach + 3 * float(length.max(initial=0)))
        close = (flat[edges] != FAR).all(axis=(1, 2))
        middle = flat[edges[close]].mean(axis=1)
        wanted = np.full(len(edges), FAR)
        gap = np.maximum(cutting.torn(middle) - 0.5 * length[close], 0)
        inside = np.linalg.norm(middle, axis=1) < 1.1 * reach + 0.5 * length[close]
        smooth = max(0.11 * cutting.reach, fine) if cutting.pattern.petals else FAR  # petals must look curved
        wanted[close] = np.where(inside, np.minimum(fine + 0.55 * gap, smooth), FAR)
        if not (length > 1.5 * wanted).any():
            break
        sheet = refine_edges(sheet, length > 1.5 * wanted, rounded=True)
    return sheet


def cut_pattern(sheet: Sheet, cutting: Cutting, place: Place) -> tuple[Sheet, Int[np.ndarray, " v"]]:
    """Cut a pattern into a sheet: missing pieces are removed along their contours, slits are opened.

    Returns also which vertex each was before (new ones have numbers beyond).
    """
    radius = 1.5 * cutting.reach * cutting.pattern.extent + 0.002
    fine = cutting_grain(sheet, cutting)
    sheet = _refine_near(sheet, cutting, place)
    if cutting.contours:
        flat = chart_of(sheet, place, radius)
        sheet, side = cut_along(sheet, cutting.missing(flat), snap=0.2 * fine)
        flat = chart_of(sheet, place, radius)
        sheet = remove_inside(sheet, side, lambda corners: cutting.missing(flat[corners].mean(axis=1)))
    for k, end in enumerate(cutting.ends):
        flat, length = chart_of(sheet, place, radius), float(np.linalg.norm(end))
        x, y = cutting.sideways(flat, k)
        band = (x > -3 * fine) & (x < 1.1 * length) & (np.abs(y) < 0.35 * length)
        sheet, _ = cut_along(sheet, np.where(band, y, 0.0), snap=0.2 * fine)
    parted, source = _open(sheet, cutting, place, radius)
    return trim_rim(parted, place.at, radius, least=0.004 * fine**2), source


def _join_slivers(
    sheet: Sheet, sector: Int[np.ndarray, " f"], level: Bool[np.ndarray, " f"], edges: Int[np.ndarray, "e 2"],
    face_edge: Int[np.ndarray, "f 3"],
) -> Int[np.ndarray, " f"]:  # fmt: skip
    """Give slivers that lie along a slit to the petal beyond their shorter edges: their tips must not hang on them."""
    length = np.linalg.norm(sheet.rest[edges[:, 0]] - sheet.rest[edges[:, 1]], axis=1)[face_edge]
    thin = np.flatnonzero(level & (sector > 0))
    sums = np.zeros(len(edges), np.int64)
    np.add.at(sums, face_edge.ravel(), np.repeat(np.arange(len(sheet.faces)), 3))
    count = np.bincount(face_edge.ravel(), minlength=len(edges))
    middle = face_edge[thin, np.argsort(length[thin], axis=1)[:, 1]]
    beyond = np.where(count[middle] == 2, sums[middle] - thin, thin)
    found = np.where(sector[beyond] > 0, sector[beyond], sector[thin])
    joined = sector.copy()
    joined[thin] = found
    return joined


def remove_inside(
    sheet: Sheet,
    side: Float[np.ndarray, " v"],
    value: Callable[[Int[np.ndarray, "f 3"]], Float[np.ndarray, " f"]],
) -> Sheet:
    """Remove the faces on the negative side of a line that the sheet has been cut along.

    ``value`` decides about faces whose corners are all on the line, given those corners.
    """
    corner = side[sheet.faces]
    gone = (corner.min(axis=1) < 0) & (corner.max(axis=1) <= 0)
    level = np.flatnonzero((corner == 0).all(axis=1))
    gone[level] = value(sheet.faces[level]) < 0
    marks = sheet.marks.copy()
    marks[side <= 0, PENETRATION] = INSIDE
    return replace(sheet, removed=sheet.removed | gone, marks=marks)


def trim_rim(sheet: Sheet, at: Float[np.ndarray, "3"], radius: float, *, least: float) -> Sheet:
    """Remove slivers and crumbs from a fresh rim: their normals are noise, and a thick wall would show it as spikes."""
    near = np.linalg.norm(sheet.rest - at, axis=1) < radius
    removed = sheet.removed.copy()
    for _ in range(4):
        kept = np.flatnonzero(~removed & near[sheet.faces].all(axis=1))
        if not len(kept):  # all that was there is cut out
            break
        faces = sheet.faces[kept]
        rim = np.unique(boundary_half_edges(faces)[0])
        area, own = np.zeros(len(sheet.rest)), face_areas(sheet.rest, faces)
        np.add.at(area, faces.ravel(), np.repeat(own, 3))
        thin = np.zeros(len(sheet.rest), bool)
        thin[rim] = area[rim] < least
        crumbs = thin[faces].any(axis=1) | _small_pieces(faces, own, 700 * least)
        if not crumbs.any():
            break
        removed[kept[crumbs]] = True
    return replace(sheet, removed=removed)


def _small_pieces(
    faces: Int[np.ndarray, "f 3"], areas: Float[np.ndarray, " f"], least: float
) -> Bool[np.ndarray, " f"]:
    """Faces of pieces that hang on nothing and are smaller than an area [m²]."""
    size = int(faces.max()) + 1
    links = coo_matrix(
        (np.ones(3 * len(faces)), (faces.ravel(), np.roll(faces, 1, axis=1).ravel())), shape=(size, size)
    )
    piece = connected_components(links, directed=False)[1][faces[:, 0]]
    return np.bincount(piece, weights=areas)[piece] < least


def face_sectors(sheet: Sheet, cutting: Cutting, place: Place, radius: float) -> Int[np.ndarray, " f"]:
    """Petal of each face, 0 for none."""
    flat = chart_of(sheet, place, radius)
    close = np.flatnonzero((flat[sheet.faces] != FAR).all(axis=(1, 2)))
    found = np.zeros(len(sheet.faces), np.int64)
    found[close] = cutting.sector(flat[sheet.faces[close]].mean(axis=1))
    return found


def _open(sheet: Sheet, cutting: Cutting, place: Place, radius: float) -> tuple[Sheet, Int[np.ndarray, " v"]]:
    """Part the faces of different petals (so slits end where petals do), and what is missing from what is left."""
    sector = np.where(sheet.removed, 0, face_sectors(sheet, cutting, place, radius))
    edges, face_edge = mesh_edges(sheet.faces)
    flat, level = chart_of(sheet, place, radius), np.zeros(len(sheet.faces), bool)
    for k, end in enumerate(cutting.ends):
        x, y = cutting.sideways(flat, k)
        on = (np.abs(y) < 0.21 * cutting_grain(sheet, cutting)) & (x > 0) & (x < 1.1 * float(np.linalg.norm(end)))
        level |= on[sheet.faces].all(axis=1)
    sector = _join_slivers(sheet, sector, level, edges, face_edge)

    def spread(of_face: Int[np.ndarray, " f"]):
        low, high = np.full(len(edges), 10**6), np.full(len(edges), -1)
        np.minimum.at(low, face_edge.ravel(), np.repeat(of_face, 3))
        np.maximum.at(high, face_edge.ravel(), np.repeat(of_face, 3))
        return low, high

    low, high = spread(sector)
    slit = (low > 0) & (high > low)
    marks = sheet.marks.copy()
    marks[edges[slit].ravel(), PENETRATION] = INSIDE
    low, high = spread(sheet.removed.astype(np.int64))
    return trace_unzip(replace(sheet, marks=marks), slit | (high > low))
