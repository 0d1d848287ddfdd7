"""What a liquid or a powder leaves on a wall: soaked board with a tide ring, and dust under a leak.

How far the wall is soaked comes from the way along it from the wet contact line and from the trail of what ran down,
with noise in space, so that neither mesh nor texture shows in its outline.
"""

from dataclasses import dataclass, replace
from typing import no_type_check

import cv2
import numba as nb
import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import KDTree

from ...sim.scene import KINDS, Material
from ..artwork import fractal_noise
from ..mesh import Sheet, face_areas, mesh_edges
from .runny import Rgb
from .waves import Waves

SPILLAGE = KINDS.index("spillage")
BEYOND = 1.35
"""Walls are painted up to where the soaking front would be with so much more liquid."""


@nb.njit(cache=True)
@no_type_check
def _straighten(way, vertices, faces, sweeps):
    """Let plane fronts pass through faces: lowers ways that had to follow edges (Kimmel and Sethian, 1998)."""
    for sweep in range(sweeps):
        changed = False
        for n in range(len(faces)):
            f = n if sweep % 2 == 0 else len(faces) - 1 - n
            for k in range(3):
                c, a, b = faces[f, k], faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
                if way[a] > way[b]:
                    a, b = b, a
                if not np.isfinite(way[b]):
                    continue
                u, v = vertices[b] - vertices[a], vertices[c] - vertices[a]
                base = np.sqrt(u[0] * u[0] + u[1] * u[1] + u[2] * u[2])
                rise = way[b] - way[a]
                if base < 1e-12 or rise >= base:
                    continue
                x = (u[0] * v[0] + u[1] * v[1] + u[2] * v[2]) / base
                y = np.sqrt(max(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] - x * x, 0.0))
                p = rise / base
                q = np.sqrt(1 - p * p)
                if x * q < p * y or (x - base) * q > p * y:  # the front comes from beside this face
                    continue
                t = way[a] + p * x + q * y
                if t < way[c] - 1e-9:
                    way[c] = t
                    changed = True
        if not changed:
            break


def way_along(
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    sources: Int[np.ndarray, " s"],
    offset_m: Float[np.ndarray, " s"],
    most_m: float,
) -> Float[np.ndarray, " v"]:
    """Way along a mesh [m] from the sources, which are ``offset_m`` off already; infinite beyond ``most_m``.

    Dijkstra's over the edges, and then straight through the faces, within some 4 %.
    """
    n = len(vertices)
    edges, _ = mesh_edges(faces)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    ends = np.concatenate([edges, np.stack([np.full(len(sources), n), sources], 1)])
    weights = np.concatenate([length, offset_m + 1e-9])
    graph = coo_matrix((weights, (ends[:, 0], ends[:, 1])), shape=(n + 1, n + 1)).tocsr()
    way = np.ascontiguousarray(dijkstra(graph, directed=False, indices=n, limit=most_m)[:n])
    _straighten(way, np.ascontiguousarray(vertices), np.ascontiguousarray(faces), 12)
    return way


@nb.njit(cache=True)
@no_type_check
def _fill(uv, faces, face_out, weights):
    """Which face each texel shows, and its barycentric weights there; texels at seams get a border of one."""
    height, width = face_out.shape
    for f in range(len(uv)):
        ax, ay = uv[f, 0, 0] * width - 0.5, (1 - uv[f, 0, 1]) * height - 0.5
        bx, by = uv[f, 1, 0] * width - 0.5, (1 - uv[f, 1, 1]) * height - 0.5
        cx, cy = uv[f, 2, 0] * width - 0.5, (1 - uv[f, 2, 1]) * height - 0.5
        twice = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(twice) < 1e-9:
            continue
        longest = np.sqrt(max((bx - ax) ** 2 + (by - ay) ** 2, (cx - bx) ** 2 + (cy - by) ** 2,
                              (ax - cx) ** 2 + (ay - cy) ** 2))  # fmt: skip
        slack = 1.2 * longest / abs(twice)
        for i in range(max(0, int(np.floor(min(ay, by, cy))) - 1), min(height, int(np.ceil(max(ay, by, cy))) + 2)):
            for j in range(max(0, int(np.floor(min(ax, bx, cx))) - 1), min(width, int(np.ceil(max(ax, bx, cx))) + 2)):
                b = ((j - ax) * (cy - ay) - (cx - ax) * (i - ay)) / twice
                c = ((bx - ax) * (i - ay) - (j - ax) * (by - ay)) / twice
                a = 1 - b - c
                least = min(a, b, c)
                if least < -slack or (face_out[i, j] >= 0 and least < 0):
                    continue
                face_out[i, j] = faces[f]
                weights[i, j, 0], weights[i, j, 1], weights[i, j, 2] = a, b, c


@dataclass(frozen=True)
class Texels:
    """Texels of a texture and where they are on a sheet."""

    row: Int[np.ndarray, " n"]
    column: Int[np.ndarray, " n"]
    face: Int[np.ndarray, " n"]
    weights: Float[np.ndarray, "n 3"]

    def blend(self, sheet: Sheet, values: Float[np.ndarray, "v k"]) -> Float[np.ndarray, "n k"]:
        """Values of vertices at the texels."""
        return np.einsum("nc,nck->nk", self.weights, values[sheet.faces[self.face]])


def texels_of(sheet: Sheet, chosen: Int[np.ndarray, " f"], shape: tuple[int, int]) -> Texels:
    """The texels that the chosen faces show."""
    face, weights = np.full(shape, -1), np.zeros((*shape, 3))
    _fill(np.ascontiguousarray(sheet.uv[chosen]), chosen.astype(np.int64), face, weights)
    row, column = np.nonzero(face >= 0)
    return Texels(row, column, face[row, column], weights[row, column])


@dataclass(frozen=True)
class Soaking:
    """How a wall is soaked, in the frame of the sheet's vertices as they stand (world) [m]."""

    front_m: float
    """How far liquid wicks from where the wall stands in it."""
    trail: Float[np.ndarray, "n 3"]
    trail_half_m: float
    """Half width of what ran down, before it spreads."""
    trail_front_m: float
    rough: Waves
    fine: Waves
    colour: Rgb
    seed: int


def soaked(
    sheet: Sheet,
    standing: Float[np.ndarray, "v 3"],
    sources: Int[np.ndarray, " s"],
    offset_m: Float[np.ndarray, " s"],
    how: Soaking,
) -> Float[np.ndarray, " v"]:
    """How far the front has come past each vertex: below 1 is wet, 1 is the tide ring."""
    rough = np.exp(0.3 * how.rough.at(standing) + 0.1 * how.fine.at(standing))
    wick = np.full(len(standing), np.inf)
    if len(sources):
        way = way_along(standing, sheet.faces, sources, offset_m, BEYOND * 3 * how.front_m)
        wick = (way + 0.35 * np.clip(standing[:, 2], 0, None)) / (how.front_m * rough)
    return np.minimum(wick, _along_trail(standing, how, rough))


def _along_trail(points: Float[np.ndarray, "n 3"], how: Soaking, rough: Float[np.ndarray, " n"]):
    if len(how.trail) < 2:
        return np.full(len(points), np.inf)
    away, _ = KDTree(how.trail).query(points, distance_upper_bound=how.trail_half_m + 6 * how.trail_front_m)
    return np.clip(away - how.trail_half_m, 0, None) / (how.trail_front_m * rough)


def mark_soaked(sheet: Sheet, wet: Float[np.ndarray, " v"]) -> Sheet:
    """Label what is wet; interpolated marks end at the tide ring."""
    marks = sheet.marks.copy()
    marks[:, SPILLAGE] = np.maximum(marks[:, SPILLAGE], np.clip(2 - wet, 0, 2))
    return replace(sheet, marks=marks)


def wet_area_m2(sheet: Sheet, wet: Float[np.ndarray, " v"]) -> float:
    """Area within the tide ring, cut exactly where interpolated values are 1."""
    value = np.sort(np.clip(1 - wet, -1.0, 1.0)[sheet.faces], axis=1)
    a, b, c = value.T
    one = np.where(c > 0, c**2 / np.maximum((c - a) * (c - b), 1e-18), 0.0)  # only the largest is wet
    two = 1 - np.where(a < 0, a**2 / np.maximum((b - a) * (c - a), 1e-18), 0.0)  # only the smallest is dry
    share = np.where(b <= 0, one, two) * (c > 0)
    return float((face_areas(sheet.rest, sheet.faces) * share * ~sheet.removed).sum())


def paint_soaked(sheet: Sheet, standing: Float[np.ndarray, "v 3"], wet: Float[np.ndarray, " v"], how: Soaking) -> Sheet:
    """Darken what is wet in the wall's prints, with a darker ring where the front came to rest."""
    near = np.minimum(wet, 1e3)
    reached = (near[sheet.faces].min(axis=1) < BEYOND) | _near_trail(sheet, standing, how)
    materials = list(sheet.materials)
    for k, material in enumerate(sheet.materials[:-2]):
        chosen = np.flatnonzero(reached & (sheet.material == k))
        if material.base_color_texture is not None and len(chosen):
            texels = texels_of(sheet, chosen, material.base_color_texture.shape[:2])
            value = texels.blend(sheet, np.concatenate([standing, near[:, None]], 1))
            rough = np.exp(0.3 * how.rough.at(value[:, :3]) + 0.1 * how.fine.at(value[:, :3]))
            front = np.minimum(value[:, 3], _along_trail(value[:, :3], how, rough))
            materials[k] = _wetted(material, texels, front, how)
    return replace(sheet, materials=tuple(materials))


def _near_trail(sheet: Sheet, standing: Float[np.ndarray, "v 3"], how: Soaking):
    if len(how.trail) < 2:
        return np.zeros(len(sheet.faces), bool)
    reach = how.trail_half_m + 3 * how.trail_front_m + 0.006
    away, _ = KDTree(how.trail).query(standing, distance_upper_bound=reach)
    return np.isfinite(away)[sheet.faces].any(axis=1)


def _wetted(material: Material, texels: Texels, front: Float[np.ndarray, " n"], how: Soaking) -> Material:
    picture = material.base_color_texture
    assert picture is not None
    height, width = picture.shape[:2]
    grain = fractal_noise(np.random.default_rng(how.seed), height, width, cell_px=14.0, octaves=4)
    at = texels.row, texels.column
    front = front + 0.035 * grain[at]
    soak = np.clip((1.0 - front) / 0.05, 0, 1)
    # Dry side sharp, wet side soft; older fronts leave fainter rings.
    ring = np.where(front > 0.985, np.exp(-(((front - 0.985) / 0.02) ** 2)), np.exp(-(((front - 0.985) / 0.075) ** 2)))
    older = 0.35 * np.exp(-(((front - 0.72) / 0.04) ** 2))
    tint = np.array(how.colour) / max(how.colour)
    wet_gain = (0.66 + 0.05 * grain[at][:, None]) * (0.6 + 0.4 * tint)
    ring_gain = 1 - 0.42 * (ring + older)[:, None] * (1 - 0.45 * tint)
    gain = (1 - soak[:, None] * (1 - wet_gain)) * np.where(soak[:, None] + ring[:, None] > 1e-3, ring_gain, 1.0)
    painted = picture.copy()
    painted[at] = np.clip(picture[at] * np.clip(gain, 0.05, 1) ** (1 / 1.6), 0, 255).astype(np.uint8)
    return replace(material, base_color_texture=painted, metallic_roughness_texture=_glossier(material, texels, soak))


def _glossier(material: Material, texels: Texels, soak: Float[np.ndarray, " n"]) -> UInt8[np.ndarray, "h w 3"]:
    """Wet board shines a little."""
    assert material.base_color_texture is not None
    old = material.metallic_roughness_texture
    out = np.full(material.base_color_texture.shape, 255, np.uint8) if old is None else old.copy()
    if out.shape[:2] != material.base_color_texture.shape[:2]:
        out = cv2.resize(out, material.base_color_texture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    at = texels.row, texels.column
    out[(*at, 1)] = (out[(*at, 1)] * (1 - 0.3 * soak)).astype(np.uint8)
    return np.asarray(out, np.uint8)


def paint_dust(
    sheet: Sheet, standing: Float[np.ndarray, "v 3"], how: Soaking, *, cover: float
) -> tuple[Sheet, Float[np.ndarray, " v"]]:
    """Dust of a powder where it ran down a wall; also how far it covers each vertex, below 1 is dusty."""
    rough = np.exp(0.3 * how.rough.at(standing))
    dusty = _along_trail(standing, how, rough)
    reached = _near_trail(sheet, standing, how)
    materials, tone = list(sheet.materials), 255 * np.array(how.colour) ** (1 / 2.2)
    for k, material in enumerate(sheet.materials[:-2]):
        picture, chosen = material.base_color_texture, np.flatnonzero(reached & (sheet.material == k))
        if picture is None or len(chosen) == 0:
            continue
        texels = texels_of(sheet, chosen, picture.shape[:2])
        places = texels.blend(sheet, standing)
        front = _along_trail(places, how, np.exp(0.3 * how.rough.at(places)))
        at = texels.row, texels.column
        grain = np.random.default_rng(how.seed).standard_normal(picture.shape[:2], np.float32)[at]
        share = np.clip(cover * (np.exp(-((front / 0.6) ** 2)) * (0.75 + 1.2 * grain) - 0.25), 0, 0.85)[:, None]
        painted = picture.copy()
        painted[at] = (picture[at] * (1 - share) + tone * share).astype(np.uint8)
        materials[k] = replace(material, base_color_texture=painted)
    return replace(sheet, materials=tuple(materials)), dusty
