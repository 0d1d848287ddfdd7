"""Where an item is struck and with what: floors that a corner falls on, bars and balls, a stack's weight from above."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from ..damage.subject import Subject, site_weight
from ..mesh import Sheet, face_areas, face_normals
from ..products.product import Product
from .follow import gives_way
from .shell import Capsule, Plane

Site = Literal["corner", "edge", "face", "rim", "side", "top", "dome"]
Tool = Plane | Capsule
DOMES = ("dome", "pockets")
"""Panels of a blister pack that stand out from its card."""
UNDER_CAP_M, ROOM_M, THUMB_M = 0.003, 0.0018, 0.006
BAR_GAP_M = 0.001
"""A bar or ball starts so far from the wall."""
FLAT = 0.22
"""A side shorter than this share of the next one makes an item flat: it falls on its edge, not across it."""


@dataclass(frozen=True)
class Strike:
    """A tool at the beginning of its way, and the place it meets."""

    tool: Tool
    at: Float[np.ndarray, "3"]
    """Middle of the first contact on the pristine item [m]."""


@dataclass(frozen=True)
class Target:
    """The sheet that is struck, and which of its faces may be."""

    subject: Subject
    sheet: Sheet
    faces: Bool[np.ndarray, " f"]
    cores: Float[np.ndarray, "k 2 3"]
    """Boxes [m] of rigid contents."""


def unit(vector: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The same direction, length 1."""
    return vector / np.linalg.norm(vector)


def domed(product: Product) -> int | None:
    """Which sheet has domes, if one has."""
    return next((k for k, sheet in enumerate(product.sheets) if set(DOMES) & set(sheet.panels)), None)


def struck_sheet(product: Product, site: Site) -> int:
    """Index of the sheet that is pressed: a dome, or the largest sheet of a pack with domes, or the wall."""
    dome = domed(product)
    if dome is None:
        return 0
    if site == "dome":
        return dome
    same = [k for k, sheet in enumerate(product.sheets) if sheet.item == product.sheets[dome].item]
    return max(same, key=lambda k: (round(1e4 * float(np.ptp(product.sheets[k].rest, axis=0).max())), -k))


def aim_at(subject: Subject, sheet: Sheet, site: Site) -> Target:
    """All that is left of a sheet, or what stands out from it."""
    kept = ~sheet.removed
    if site == "dome":
        panels = [k for k, name in enumerate(sheet.panels) if name in DOMES]
        kept = kept & np.isin(sheet.panel, panels)
    return Target(subject, sheet, kept, rigid_cores(subject.product, sheet, site))


def _choose(weight: Float[np.ndarray, " n"], rng: np.random.Generator) -> int:
    return int(rng.choice(len(weight), p=weight / weight.sum()))


def _falling_on(sheet: Sheet, normal: Float[np.ndarray, "3"]) -> Strike:
    """A floor that meets what sticks out furthest along ``normal``."""
    height = sheet.rest @ normal
    start = float(height.max())
    return Strike(Plane(normal, start), sheet.rest[height > start - 0.0005].mean(axis=0))


def _face_units(sheet: Sheet) -> Float[np.ndarray, "f 3"]:
    normals = face_normals(sheet.rest, sheet.faces)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)


def _thin_axis(sheet: Sheet) -> int | None:
    sides = np.ptp(sheet.rest, axis=0)
    order = np.argsort(sides, kind="stable")
    return int(order[0]) if sides[order[0]] < FLAT * sides[order[1]] else None


def _corner(target: Target, rng: np.random.Generator) -> Strike:
    """A drop on a corner: the floor leans towards three sides, or two of what is flat."""
    sheet = target.sheet
    low, high = sheet.rest.min(axis=0), sheet.rest.max(axis=0)
    signs = np.array([[a, b, c] for a in (-1.0, 1.0) for b in (-1.0, 1.0) for c in (-1.0, 1.0)])
    corners = np.where(signs > 0, high, low)
    sign = signs[_choose(site_weight(target.subject, corners), rng)]
    lean, thin = rng.uniform(0.35, 1.0, 3), _thin_axis(sheet)
    if thin is not None:
        lean[thin] *= 0.3
    return _falling_on(sheet, unit(lean * sign))


def _edge(target: Target, bar: tuple[float, float], rng: np.random.Generator) -> Strike:
    """A drop on an edge: on the floor, along all of it, or across something narrow that notches it."""
    sheet = target.sheet
    low, high = sheet.rest.min(axis=0), sheet.rest.max(axis=0)
    rows = [(axis, a, b) for axis in range(3) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    share, middle, sides = rng.uniform(0.15, 0.85), (low + high) / 2, high - low
    normals, points = np.zeros((12, 3)), np.zeros((12, 3))
    for k, (axis, a, b) in enumerate(rows):
        others = [m for m in range(3) if m != axis]
        normals[k, others] = a, b
        points[k] = middle + normals[k] * sides / 2
        points[k, axis] = low[axis] + share * sides[axis]
    weight = np.array([sides[axis] for axis, _, _ in rows]) * site_weight(target.subject, points)
    thin = _thin_axis(sheet)
    if thin is not None:  # an edge of what is flat is a side of its outline
        weight = weight * np.array([axis != thin for axis, _, _ in rows])
    chosen = _choose(weight, rng)
    axis, lean = rows[chosen][0], rng.uniform(0.45, 1.0, 3)
    lean[axis] = rng.uniform(-0.06, 0.06)
    normal = normals[chosen].copy()
    normal[axis] = 1.0
    if thin is not None:
        lean[thin] *= 0.2
    on_floor, radius, half, turn = rng.random() < 0.5, *bar, 0.35 * rng.normal()
    normal = unit(lean * normal)
    if on_floor:
        return _falling_on(sheet, normal)
    along = np.zeros(3)
    along[axis] = 1.0
    across = unit(np.cross(normal, along) + turn * along)
    at = points[chosen]
    start = float((sheet.rest[np.abs(sheet.rest[:, axis] - at[axis]) < radius + 0.01] @ normal).max(initial=-1.0))
    at = at + (start - float(at @ normal)) * normal
    centre = at + (radius + BAR_GAP_M) * normal
    reach = max(half, 0.6 * float(np.linalg.norm(sides * (across != 0))))
    return Strike(Capsule(centre - reach * across, centre + reach * across, -normal, radius), at)


def _rim(target: Target, rng: np.random.Generator) -> Strike:
    """A floor that a falling tin or bottle meets with the rim of one of its ends."""
    sheet, turns = target.sheet, 2 * np.pi * np.arange(48) / 48
    low, high = sheet.rest.min(axis=0), sheet.rest.max(axis=0)
    middle, reach = (low + high) / 2, (high - low) / 2
    ends = [np.stack([np.cos(turns), np.sin(turns), np.full(48, end)], axis=1) for end in (1.0, -1.0)]
    points = middle + reach * np.concatenate(ends)
    capped = len(under_caps(target.subject.product, sheet.rest)) > 0  # a cap takes the blow
    weight = site_weight(target.subject, points) * np.repeat([0.0 if capped else 2.0, 1.0], 48)
    chosen = _choose(weight, rng)
    around, tilt = turns[chosen % 48] + rng.uniform(0, 2 * np.pi / 48), np.radians(rng.uniform(20, 65))
    up = 1.0 if chosen < 48 else -1.0
    level = np.cos(tilt)
    return _falling_on(sheet, np.array([np.cos(around) * level, np.sin(around) * level, up * np.sin(tilt)]))


def _pressed(target: Target, site: Site, bar: tuple[float, float], rng: np.random.Generator) -> Strike:
    """A bar or ball that goes in at a place drawn by area, roughly inwards."""
    sheet, radius, half = target.sheet, *bar
    if site == "dome":  # a fingertip or the corner of another pack
        radius, half = min(radius, THUMB_M), 0.0
    units, middles = _face_units(sheet), sheet.rest[sheet.faces].mean(axis=1)
    weight = face_areas(sheet.rest, sheet.faces) * target.faces * (0.01 + has_room(middles, target.cores))
    if site == "side":  # the ends are spared
        weight = weight * (np.abs(units[:, 2]) < 0.6)
    face = _choose(weight * site_weight(target.subject, middles), rng)
    at, inward = middles[face], unit(-units[face] + 0.15 * rng.normal(size=3))
    along, lies, tilt = unit(np.cross(inward, rng.normal(size=3))), rng.random() < 0.7, 0.25 * rng.normal(size=3)
    if site == "side" and lies:  # a shelf's edge or another tin's seam: across, or nearly so
        along = unit(np.cross(inward, np.array([0, 0, 1.0])) + tilt)
    centre = at - inward * (radius + BAR_GAP_M)
    return Strike(Capsule(centre - half * along, centre + half * along, inward, radius), at)


def _stack(target: Target, rng: np.random.Generator) -> Strike:
    """What stands on top, not quite level: the more so on what is round, which stands alone."""
    lean = np.radians(rng.uniform(0.3, 3.5) * (3.0 if target.subject.product.shape == "round" else 1.0))
    around = rng.uniform(0, 2 * np.pi)
    normal = np.array([np.cos(around) * np.sin(lean), np.sin(around) * np.sin(lean), np.cos(lean)])
    return _falling_on(target.sheet, normal)


def draw_strike(target: Target, site: Site, bar_m: tuple[float, float], rng: np.random.Generator) -> Strike:
    """Draw where and how a site is struck; ``bar_m`` is the bar's radius and half its length."""
    if site == "corner":
        return _corner(target, rng)
    if site == "edge":
        return _edge(target, bar_m, rng)
    if site == "rim":
        return _rim(target, rng)
    if site == "top":
        return _stack(target, rng)
    return _pressed(target, site, bar_m, rng)


def _segment_to_box(
    a: Float[np.ndarray, "3"], b: Float[np.ndarray, "3"], box: Float[np.ndarray, "2 3"]
) -> Float[np.ndarray, " n"]:
    """Distance [m] of points along a bar's axis from a box, 0 inside."""
    points = a + np.linspace(0, 1, 25)[:, None] * (b - a)
    return np.linalg.norm(points - np.clip(points, box[0], box[1]), axis=1)


def has_room(points: Float[np.ndarray, "n 3"], cores: Float[np.ndarray, "k 2 3"]) -> Bool[np.ndarray, " n"]:
    """Where a wall is not backed by rigid contents."""
    free = np.ones(len(points), bool)
    for box in cores:
        free &= np.linalg.norm(points - np.clip(points, box[0], box[1]), axis=1) > ROOM_M
    return free


def way_to_cores(tool: Tool, cores: Float[np.ndarray, "k 2 3"], gap: float) -> float:
    """How far [m] a tool can push a wall until it comes within ``gap`` of rigid contents."""
    free = np.inf
    for box in cores:
        if isinstance(tool, Plane):
            furthest = float(tool.normal @ np.where(tool.normal > 0, box[1], box[0]))
            free = min(free, tool.start_m - furthest - gap)
            continue
        for travel in np.arange(0, 0.2, 0.0005):
            shift = travel * tool.way
            if _segment_to_box(tool.a + shift, tool.b + shift, box).min() < tool.radius_m + gap:
                free = min(free, float(travel) - BAR_GAP_M)
                break
    return max(free, 0.0)


def widest_reach(tool: Tool, spacing: float) -> Tool:
    """A tool that is not so thin that it slips between the sheet's vertices."""
    if isinstance(tool, Plane):
        return tool
    radius = max(tool.radius_m, 0.8 * spacing)
    back = tool.way * (radius - tool.radius_m)
    return Capsule(tool.a - back, tool.b - back, tool.way, radius)


def rigid_cores(product: Product, sheet: Sheet, site: Site) -> Float[np.ndarray, "k 2 3"]:
    """Boxes [m] that a wall cannot be pushed into: rigid contents, or the units that are inside.

    The pages of a book are hard when they are pressed flat, and give way where a corner is bumped.
    """
    if site in ("corner", "edge") and any(gives_way(part) for part in product.contents):
        boxes = []
    elif product.core is not None:
        boxes = [product.core]
    else:
        units = sorted({part.item for part in product.contents if part.item > max(1, sheet.item)})
        boxes = []
        for item in units:
            points = np.concatenate([part.vertices for part in product.contents if part.item == item])
            boxes.append(np.stack([points.min(axis=0), points.max(axis=0)]))
    skin = sheet.thickness_mm / 1000 + 0.0005
    grown = [box + np.array([[-skin], [skin]]) for box in boxes]
    fitting = [_spared(box, sheet.vertices) for box in grown]
    return np.array([box for box in fitting if box is not None]).reshape(-1, 2, 3)


def _spared(box: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "2 3"] | None:
    """A box made smaller until no point of the pristine wall is in it; None if that takes more than 4 mm."""
    low, high = points - box[0], box[1] - points
    depth = np.minimum(low, high).min(axis=1).max()
    if depth <= 0:
        return box
    depth += 1e-5
    return None if depth > 0.004 else np.stack([box[0] + depth, box[1] - depth])


def sharp_vertices(folds: Int[np.ndarray, "h 4"], bend: Float[np.ndarray, " h"]) -> Int[np.ndarray, " n"]:
    """Vertices on folds sharper than some 30 degrees: seams, rims, chimes and necks."""
    return np.unique(folds[np.abs(bend) > 0.52][:, :2])


def under_caps(product: Product, vertices: Float[np.ndarray, "v 3"]) -> Int[np.ndarray, " n"]:
    """Vertices of a wall that a cap covers: one that sticks out beyond the wall, unlike a tab."""
    moving = {name for hinge in product.hinges for name in hinge.moves}
    low, high = vertices.min(axis=0) - 0.001, vertices.max(axis=0) + 0.001
    near = np.zeros(len(vertices), bool)
    for part in product.contents:
        if part.name in moving and ((part.vertices < low) | (part.vertices > high)).any():
            near |= KDTree(part.vertices).query(vertices, distance_upper_bound=UNDER_CAP_M)[0] < UNDER_CAP_M
    return np.flatnonzero(near)


def tool_parameters(tool: Tool) -> dict[str, float]:
    """What a manifest says of a tool."""
    if isinstance(tool, Plane):
        return {f"normal_{axis}": float(v) for axis, v in zip("xyz", tool.normal, strict=True)}
    along = tool.b - tool.a
    length = float(np.linalg.norm(along))
    axis = along / length if length > 0 else np.array([0.0, 0.0, 1.0])
    return {
        "radius_mm": 1000 * tool.radius_m,
        "length_mm": 1000 * length,
        **{f"axis_{name}": float(v) for name, v in zip("xyz", axis, strict=True)},
        **{f"site_{axis}_mm": 1000 * float(v) for axis, v in zip("xyz", (tool.a + tool.b) / 2, strict=True)},
    }
