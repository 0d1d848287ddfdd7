"""Where a sheet tears: at edges, seals and flaps above all, sometimes in the middle of a face."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from ...sim.errors import DamagelandError
from ..coarse import coarse_sheet, face_at
from ..damage.outcome import UnsolvedError
from ..damage.subject import Subject, site_weight
from ..mesh import Sheet, face_areas, mesh_edges, vertex_normals
from .line import KNOTS, OCTAVES, Design, Outline, Shape, draw_corners, draw_line, spaced
from .stock import Tearing, layered
from .unfold import Unfolding, faces_beside, locate, spread, unfold, unit_normals

ATTEMPTS = 24
FOLD_DEG = 30.0
"""Two faces that meet at more than this are a folded edge."""
SEAL_M = 0.0016
"""Layers of one bag that lie closer than this are sealed (or lie so flat that it makes no difference)."""
BOW_M, BOW = 0.0008, 0.045
"""How far a hinge may leave its chord, besides so much of its length."""
HEM_M = 0.018
"""Seals are no wider."""
FACE_SHAPES: dict[Shape, float] = {"v": 0.3, "l": 0.22, "u": 0.16, "arc": 0.12, "slit": 0.2}
FOLD_SHAPES: dict[Shape, float] = {"edge_v": 0.5, "edge_u": 0.22, "edge_slit": 0.28}
RIM_SHAPES: dict[Shape, float] = {"dog_ear": 0.7, "rim_slit": 0.3}


@dataclass(frozen=True)
class Site:
    """A place that holds the longest tear, and everything that is drawn about its line."""

    sheet_index: int
    at: Float[np.ndarray, "3"]
    kind: str
    """``edge``, ``rim`` (an open edge) or ``face``."""
    design: Design
    unfolding: Unfolding
    longest_m: float
    grain_rad: float
    """Direction of grain or flutes in the plane."""
    face: int
    along: Float[np.ndarray, "3"]
    """Where the plane was laid on the sheet: x runs along this."""

    def outline(self, length_m: float) -> Outline:
        """The tear at a length."""
        return draw_line(self.design, length_m)


@dataclass(frozen=True)
class _Ground:
    """What is needed to draw sites on one sheet."""

    index: int
    sheet: Sheet
    tearing: Tearing
    beside: Int[np.ndarray, "f 3"]
    blocked: Bool[np.ndarray, " f"]
    """Removed, or sealed to another layer."""
    lines: Int[np.ndarray, "n 2"]
    """(face, side) of half edges at which tears start."""
    rims: Bool[np.ndarray, " n"]
    """Whether such a line is an open edge."""
    line_weight: Float[np.ndarray, " n"]
    area_weight: Float[np.ndarray, " f"]


def _hem(sheet: Sheet) -> Bool[np.ndarray, " f"]:
    """Faces of a bag's seals, in which two layers are one."""
    edges, face_edge = mesh_edges(sheet.faces)
    side = np.full((len(edges), 2), -1)
    order = np.argsort(face_edge.ravel(), kind="stable")
    owner, panel = face_edge.ravel()[order], np.repeat(sheet.panel, 3)[order]
    side[owner, 0] = panel
    side[owner[::-1], 1] = panel[::-1]
    border = np.unique(edges[side[:, 0] != side[:, 1]])
    if len(border) == 0:
        return np.zeros(len(sheet.faces), bool)
    close = KDTree(sheet.rest[border]).query(sheet.rest)[0] < HEM_M
    sealed = layered(sheet, vertex_normals(sheet.rest, sheet.faces), SEAL_M) & close
    sealed[border] = True
    return sealed[sheet.faces].all(axis=1) | (sealed[sheet.faces].sum(axis=1) >= 2)


def _ground(subject: Subject, index: int, tearing: Tearing) -> _Ground:
    sheet = subject.product.sheets[index]
    beside = faces_beside(sheet.faces)
    blocked = sheet.removed.copy()
    if subject.product.shape == "soft":
        blocked |= _hem(sheet)
    normals = unit_normals(sheet.rest, sheet.faces)
    other = np.maximum(beside, 0)
    bend = np.einsum("fc,fkc->fk", normals, normals[other])
    rim = beside < 0
    fold = (bend < np.cos(np.radians(FOLD_DEG))) | (sheet.panel[:, None] != sheet.panel[other]) & (bend < 0.999)
    seal = blocked[other] & ~rim
    if subject.product.shape == "soft":
        fold &= False
    lines = np.argwhere((rim | fold | seal) & ~blocked[:, None])
    f, k = lines.T
    a, b = sheet.rest[sheet.faces[f, k]], sheet.rest[sheet.faces[f, (k + 1) % 3]]
    length = np.linalg.norm(b - a, axis=1)
    middle = sheet.rest[sheet.faces].mean(axis=1)
    areas = face_areas(sheet.rest, sheet.faces) * ~blocked
    return _Ground(
        index, sheet, tearing, beside, blocked, lines, rim[f, k], length * site_weight(subject, (a + b) / 2),
        areas * site_weight(subject, middle),
    )  # fmt: skip


def _pick(weights: dict[Shape, float], rng: np.random.Generator, *, whole: bool) -> Shape:
    """Draw a shape; ``whole``: only such as take a piece of the outer ply off."""
    share = np.array([0.0 if whole and "slit" in shape else weight for shape, weight in weights.items()])
    return list(weights)[int(rng.choice(len(share), p=share / share.sum()))]


def _grain(normal: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """Grain and flutes run upright on the sides and from left to right on top."""
    return np.array([1.0, 0.0, 0.0]) if abs(normal[2]) > 0.7 else np.array([0.0, 0.0, 1.0])


def _draw_place(ground: _Ground, *, at_edge: bool, rng: np.random.Generator):
    """Face, point, direction along an edge (None in the middle of a face), and whether the edge is open."""
    sheet, where = ground.sheet, rng.random()
    if at_edge and len(ground.lines):
        weight = ground.line_weight / ground.line_weight.sum()
        row = int(rng.choice(len(weight), p=weight))
        face, k = ground.lines[row]
        a, b = sheet.rest[sheet.faces[face, k]], sheet.rest[sheet.faces[face, (k + 1) % 3]]
        return int(face), a + where * (b - a), b - a, bool(ground.rims[row])
    weight = ground.area_weight / ground.area_weight.sum()
    face = int(rng.choice(len(weight), p=weight))
    return face, sheet.rest[sheet.faces[face]].mean(axis=0), None, False


def _draw_design(shape: Shape, tearing: Tearing, rng: np.random.Generator, *, off_m: float) -> Design:
    corners, back = draw_corners(shape, rng)
    noise = rng.normal(size=(OCTAVES, KNOTS))
    rough = rng.uniform(*tearing.rough_mm) / 1000 * 0.45
    shift = (0.0, off_m + 0.0006 * rng.random()) if shape.startswith("edge") else (0.0, 0.0)
    return Design(shape, corners, back, noise, rough, 0.010, 0.0012, shift)


def _fits(outline: Outline, unfolding: Unfolding, sheet: Sheet, *, one_panel: bool) -> bool:
    """Whether the whole flap lies on the unfolded sheet, and its hinge is nearly straight: not round a folded edge.

    A flap of board keeps to ``one_panel``: folded panels are too stiff to roll up.
    """
    torn, hinge = spaced(outline.torn, 0.003), spaced(outline.hinge, 0.005)
    middle = np.concatenate([torn, hinge]).mean(axis=0)
    inner = 0.5 * (torn[::3] + middle)
    points = np.concatenate([torn[1:], hinge[:1] + 0.97 * (hinge[1:] - hinge[:1]), middle[None], inner])
    face, weights = locate(unfolding.plane, sheet.faces, unfolding.exact, points)
    if (face < 0).any():
        return False
    normals = unit_normals(sheet.rest, sheet.faces[face])
    if one_panel and (normals @ normals[-1] < np.cos(np.radians(FOLD_DEG))).mean() > 0.03:
        return False
    some = slice(len(torn) - 2, len(torn) - 2 + len(hinge))  # the line's end, then the hinge
    line = spread(sheet.rest, sheet.faces, face[some], weights[some])
    way = line[-1] - line[0]
    off = line - line[0]
    off = off - np.outer(off @ way, way) / max(float(way @ way), 1e-12)
    return float(np.linalg.norm(off, axis=1).max()) < BOW_M + BOW * float(np.linalg.norm(way))


def _longest(ground: _Ground, unfolding: Unfolding, design: Design, low: float, high: float) -> float:
    """The largest length that fits, with smaller ones; 0 if none does."""

    def fits(length: float) -> bool:
        one_panel = ground.tearing.grain and "slit" not in design.shape
        return _fits(draw_line(design, length), unfolding, ground.sheet, one_panel=one_panel)

    best = 0.0
    for length in np.geomspace(low, high, 9).tolist():
        if not fits(length):
            for _ in range(3 if best else 0):
                middle = float(np.sqrt(best * length))
                best, length = (middle, length) if fits(middle) else (best, middle)
            break
        best = length
    return float(best)


def draw_site(
    subject: Subject,
    sheets: dict[int, Tearing],
    length_m: tuple[float, float],
    edge_share: float,
    rng: np.random.Generator,
) -> Site:
    """Draw a place where a tear of the largest length fits, or as large a one as possible.

    Nothing here depends on strength: a stronger tear is the same one, grown.
    """
    grounds = [_ground(subject, k, tearing) for k, tearing in sheets.items()]
    areas = np.array([ground.area_weight.sum() for ground in grounds])
    if areas.sum() <= 0:
        raise DamagelandError(
            f"{subject.product.item_identifier}: nothing of its walls is left to tear; expected faces that are not "
            "removed. Tear before you cut holes, or leave the tear out."
        )
    best: Site | None = None
    wanted = bool(rng.random() < edge_share)
    for attempt in range(ATTEMPTS):
        ground = grounds[int(rng.choice(len(grounds), p=areas / areas.sum()))]
        at_edge = wanted == (attempt < 2 * ATTEMPTS // 3)  # where no edge will do, a face does, and the reverse
        face, at, edge, rim = _draw_place(ground, at_edge=at_edge, rng=rng)
        site = _try(ground, face, at, edge, length_m, rng, rim=rim, soft=subject.product.shape == "soft")
        if site.longest_m > (best.longest_m if best else 0.0):
            best = site
        if best and best.longest_m > (0.3 if attempt < 8 else 0.12) * length_m[1]:
            break
    if best is None:
        raise UnsolvedError(f"{subject.product.item_identifier}: no place found where a tear of 5 mm lies flat.")
    return best


def _try(
    ground: _Ground,
    face: int,
    at: Float[np.ndarray, "3"],
    edge: Float[np.ndarray, "3"] | None,
    length_m: tuple[float, float],
    rng: np.random.Generator,
    *,
    rim: bool,
    soft: bool,
) -> Site:
    sheet, tearing = ground.sheet, ground.tearing
    table = FACE_SHAPES if edge is None else RIM_SHAPES if rim else FOLD_SHAPES
    shape, design_rng = _pick(table, rng, whole=tearing.ply[0] >= 1), np.random.default_rng(int(rng.integers(2**62)))
    design = _draw_design(shape, tearing, design_rng, off_m=0.0022 if soft else 0.0004 + 0.0011 * tearing.rough_mm[1])
    normal = unit_normals(sheet.rest, sheet.faces[face : face + 1])[0]
    grain = _grain(normal)
    grain = grain - (grain @ normal) * normal
    grain = grain / max(float(np.linalg.norm(grain)), 1e-9)
    turn = rng.uniform(-15, 15) if tearing.grain else rng.uniform(0, 360)
    turn = np.radians(turn + 90 * float(rng.integers(4)))
    across = np.cross(normal, grain)
    along = np.cos(turn) * grain + np.sin(turn) * across if edge is None else edge
    unfolding = _laid(ground, face, at, along, length_m[1])
    x = along / np.linalg.norm(along)
    angle = float(np.arctan2(grain @ np.cross(normal, x), grain @ x))
    longest = _longest(ground, unfolding, design, *length_m)
    kind = "face" if edge is None else "rim" if rim else "edge"
    return Site(ground.index, at, kind, design, unfolding, longest, angle, face, along)


def _laid(
    ground: _Ground, face: int, at: Float[np.ndarray, "3"], along: Float[np.ndarray, "3"], longest_m: float
) -> Unfolding:
    return unfold(
        ground.sheet.rest, ground.sheet.faces, face, at, along, reach=0.75 * longest_m + 0.02, beside=ground.beside,
        blocked=ground.blocked, tolerance=ground.tearing.tolerance,
    )  # fmt: skip


def site_on(subject: Subject, site: Site, tearing: Tearing, longest_m: float) -> Site:
    """The same place on the sheet as it is drawn; sites are drawn on its base."""
    sheet = subject.product.sheets[site.sheet_index]
    coarse = coarse_sheet(sheet)
    if coarse is sheet:
        return site
    face = face_at(sheet, coarse, site.face, site.at)
    ground = _ground(subject, site.sheet_index, tearing)
    return replace(site, face=face, unfolding=_laid(ground, face, site.at, site.along, longest_m))
