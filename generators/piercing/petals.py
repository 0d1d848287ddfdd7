"""How petals and lips bend: each petal about the chord between the ends of its slits.

So it stays over its own triangle, petals never meet, and the form does not depend on the mesh.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from ..mesh import Sheet, face_areas, face_normals, mesh_edges
from .pattern import face_sectors
from .pierce import FAR, Cutting, Gape, Petal, Place, chart_of

BEND_STEPS = 48
"""A petal's curve is added up from so many pieces."""
MOST_OF_IT = 0.8
"""A piece of which more lies on one petal's ground hangs on that petal."""


def _profile(length: float, turn: float, rounded: float, curl: float) -> Float[np.ndarray, "2 n"]:
    """Where points at equal steps along a petal come to lie: along its old direction, and down."""
    d = (np.arange(BEND_STEPS) + 0.5) / BEND_STEPS * length
    bend = turn * np.clip(d / (rounded * length), 0, 1) + curl * np.clip(d / length - rounded, 0, 1)
    bend = np.clip(bend, -2.6, 2.6)
    step = length / BEND_STEPS
    zero = np.zeros(1)
    return np.stack([np.concatenate([zero, np.cumsum(np.cos(bend)) * step]),
                     np.concatenate([zero, np.cumsum(np.sin(bend)) * step])])  # fmt: skip


def _thick(petal: Petal, length: float, thickness: float) -> Petal:
    """A petal of a thick wall bends no tighter than the wall is thick: its inner side would fold through itself."""
    most = length / (1.05 * thickness)
    turn = float(np.clip(petal.turn_rad, -most, most))
    rounded = max(petal.rounded, min(1.0, abs(turn) / most))
    return replace(petal, turn_rad=turn, rounded=rounded, curl_rad=petal.curl_rad if most > 4 else 0.0)


def _fitting(length: float, petal: Petal, room: float) -> float:
    """Share of its turn that keeps a petal off what lies behind the wall."""
    low, high = 0.0, 1.0
    for _ in range(14):
        middle = 1.0 if high == 1.0 and low == 0.0 else 0.5 * (low + high)
        more = middle * (1 + abs(petal.twist))
        deep = _profile(length, petal.turn_rad * more, petal.rounded, petal.curl_rad * middle)[1].max()
        if deep <= room:
            if middle == 1.0:
                return 1.0
            low = middle
        else:
            high = middle if middle < 1.0 else 0.999
    return low


def _bend_petal(
    points: Float[np.ndarray, "p 2"], petal: Petal, a: Float[np.ndarray, "2"], b: Float[np.ndarray, "2"], *,
    room: float, thickness: float,
) -> Float[np.ndarray, "p 3"]:  # fmt: skip
    """Turn what lies on the origin's side of the chord a → b about it."""
    chord = b - a
    width = float(np.linalg.norm(chord))
    inward = np.array([-chord[1], chord[0]]) / width
    depth = (points - a) @ inward
    length = float(max(depth.max(initial=0.0), 1e-6))
    petal = _thick(petal, length, thickness)
    share = _fitting(length, petal, room)
    d = np.clip(depth, 0, length)
    t = np.clip((points - a) @ chord / width**2, 0, 1)
    at = np.linspace(0, length, BEND_STEPS + 1)
    moved = np.zeros((len(points), 3))
    for weight, sign in ((1 - t, -1), (t, 1)):
        turn = share * petal.turn_rad * (1 + sign * petal.twist)
        along, down = _profile(length, turn, petal.rounded, share * petal.curl_rad)
        moved[:, :2] += (weight * (np.interp(d, at, along) - d))[:, None] * inward
        moved[:, 2] -= weight * np.interp(d, at, down)
    return moved


def _part_lips(
    points: Float[np.ndarray, "p 2"], sector: Int[np.ndarray, " p"], cutting: Cutting, gape: Gape, room: float
) -> Float[np.ndarray, "p 3"]:
    """Open a straight slit: the lips part in a lens and lift or sink."""
    end = cutting.ends[0]
    half = float(np.linalg.norm(end))
    along = end / half
    across = np.array([-along[1], along[0]])
    t = np.clip(np.abs(points @ along) / half, 0, 1)
    y = points @ across
    left = np.where(sector > 0, sector == 1, y > 0)
    fade = np.exp(-np.abs(y) / (gape.decay * half)) * np.clip(2.2 - np.abs(y) / half, 0, 1)
    lens = (1 - t**2) ** 1.5 * fade
    lift = np.where(left, gape.lift[0], gape.lift[1]) * half
    moved = (np.where(left, 0.5, -0.5) * gape.width * half * lens)[:, None] * np.array([*across, 0.0])
    moved[:, 2] = np.maximum(lift, -room) * lens
    return moved


def _around(
    points: Float[np.ndarray, "p 2"], cutting: Cutting, place: Place, thickness: float
) -> Float[np.ndarray, " p"]:
    """Height [m] of the dent, the wrinkles and the pushed-in rims around the cuts."""
    pattern, reach = cutting.pattern, cutting.reach
    far, angle = np.linalg.norm(points, axis=1), np.arctan2(points[:, 1], points[:, 0])
    edge = reach * min(pattern.dent_reach, 2.6)
    edge = max(min(edge, place.free), 1.1 * reach * pattern.extent)
    fall = np.clip(1 - (far / edge) ** 2, 0, 1)
    count, phase, height = pattern.star
    ridge = 1 + height * np.cos(count * (angle - phase)) * np.clip(2 * far / edge, 0, 1)
    up = -min(pattern.dent * reach, 0.4 * place.room) * fall**2 * ridge
    count, phase, height = pattern.ruffle
    wrinkle = np.cos(count * (angle - phase) + 1.5 * np.sin(2 * angle + phase))
    up += height * reach * wrinkle * fall * np.clip(far / edge - 0.12, 0, 1)
    if pattern.lip:
        size = 0.5 * min(float(np.ptp(contour, axis=0).min()) for contour in cutting.contours)
        near = np.clip(1 - np.maximum(cutting.missing(points), 0) / (1.6 * size), 0, 1)
        up -= min(pattern.lip * size, 0.7 * place.room) * near**2 / (1 + (thickness / size) ** 2)
    return up


def _petal_of_vertices(sheet: Sheet, of_face: Int[np.ndarray, " f"], petals: int) -> Int[np.ndarray, " v"]:
    """The petal that each vertex hangs on, 0 for none.

    Slivers along a slit may lie beyond its line and yet hang on the petal before it: what is one piece goes as most of
    it does, or slivers would be drawn across the slit.
    """
    areas = face_areas(sheet.rest, sheet.faces) * ~sheet.removed
    some = np.flatnonzero((of_face > 0) & ~sheet.removed)
    by_piece = np.zeros((len(some), petals + 1))
    piece = _pieces(sheet.faces[some])
    np.add.at(by_piece, (piece, of_face[some]), areas[some])
    sure = by_piece.max(axis=1) > MOST_OF_IT * by_piece.sum(axis=1)
    own = of_face.copy()
    own[some] = np.where(sure[piece], np.argmax(by_piece, axis=1)[piece], of_face[some])
    by_vertex = np.zeros((len(sheet.vertices), petals + 1))
    for corner in range(3):
        np.add.at(by_vertex, (sheet.faces[:, corner], own), areas)
    by_vertex[:, 0] = 0
    return np.argmax(by_vertex, axis=1)


def _pieces(faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, " f"]:
    """Number of the piece that each face is in; pieces hang together along edges."""
    if len(faces) == 0:
        return np.zeros(0, np.int64)
    _, face_edge = mesh_edges(faces)
    rows = np.repeat(np.arange(len(faces)), 3)
    n, m = len(faces), int(face_edge.max()) + 1
    links = coo_matrix((np.ones(len(rows)), (rows, n + face_edge.ravel())), shape=(n + m, n + m))
    return connected_components(links, directed=False)[1][:n].astype(np.int64)


def bend_pattern(sheet: Sheet, cutting: Cutting, place: Place) -> Float[np.ndarray, "v 3"]:
    """How far each vertex of a cut sheet goes [m], in the item frame."""
    pattern = cutting.pattern
    radius = 2.9 * cutting.reach * max(1.0, pattern.extent)
    flat = chart_of(sheet, place, radius)
    near = np.flatnonzero(flat[:, 0] != FAR)
    points = flat[near]
    sector = np.zeros(len(sheet.vertices), np.int64)
    if len(cutting.ends):
        sector = _petal_of_vertices(sheet, face_sectors(sheet, cutting, place, radius), len(cutting.ends))
    moved = np.zeros((len(near), 3))
    for k, petal in enumerate(pattern.petals):
        mine = sector[near] == k + 1
        if petal is not None and mine.any():
            b = cutting.ends[(k + 1) % len(cutting.ends)]
            moved[mine] += _bend_petal(
                points[mine], petal, cutting.ends[k], b, room=place.room, thickness=sheet.thickness_mm / 1000
            )
    if pattern.gape is not None:
        moved += _part_lips(points, sector[near], cutting, pattern.gape, place.room)
    moved[:, 2] += _around(points, cutting, place, sheet.thickness_mm / 1000)
    out = np.zeros_like(sheet.vertices)
    out[near] = moved @ place.axes_now
    gone = np.ones(len(out), bool)
    gone[sheet.faces[~sheet.removed].ravel()] = False
    out[gone] = 0.0
    return out


def tangled_faces(
    vertices: Float[np.ndarray, "v 3"], rest: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Bool[np.ndarray, " f"]:
    """Faces that an edge of another face goes through; faces that met on the pristine sheet are not compared."""
    triangles = vertices[faces]
    middle = triangles.mean(axis=1)
    size = np.linalg.norm(triangles - middle[:, None], axis=2).max(axis=1)
    pairs = KDTree(middle).query_pairs(2 * float(np.quantile(size, 0.98)), output_type="ndarray")
    pairs = pairs[np.linalg.norm(middle[pairs[:, 0]] - middle[pairs[:, 1]], axis=1) < size[pairs].sum(axis=1)]
    _, place = np.unique(np.round(rest / 1e-9).astype(np.int64), axis=0, return_inverse=True)
    corner = place.reshape(-1)[faces]
    meet = (corner[pairs[:, 0]][:, :, None] == corner[pairs[:, 1]][:, None]).any(axis=(1, 2))
    pairs = np.concatenate([pairs[~meet], pairs[~meet][:, ::-1]])
    normal = face_normals(vertices, faces)
    crossed = np.zeros(len(faces), bool)
    a = triangles[pairs[:, 1], 0]
    n = normal[pairs[:, 1]]
    for k in range(3):
        p, q = triangles[pairs[:, 0], k], triangles[pairs[:, 0], (k + 1) % 3]
        hp, hq = ((end - a) * n for end in (p, q))
        hp, hq = hp.sum(axis=1), hq.sum(axis=1)
        t = hp / np.where(hp == hq, 1.0, hp - hq)
        x = p + t[:, None] * (q - p)
        inside = (hp * hq < 0) & (t > 0.02) & (t < 0.98)
        for m in range(3):
            c, d = triangles[pairs[:, 1], m], triangles[pairs[:, 1], (m + 1) % 3]
            inside &= (np.cross(d - c, x - c) * n).sum(axis=1) > 0.02 * (n * n).sum(axis=1)
        crossed[pairs[inside, 1]] = True
    return crossed
