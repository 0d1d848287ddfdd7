"""How items come to rest on the tray: stable poses, against a wall, leaning on it; nothing floats and nothing sinks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull

from ..sim.scene import Part
from .products.product import Product
from .sag import sag

FLAT_M = 2e-6
"""Hull triangles whose corners are this close to one plane are one facet."""
EDGE_M = 5e-4
"""A foot this close to its facet's edge counts as beyond it, if the item comes down by ``DOWN_M`` by tipping there."""
DOWN_M = 1e-4
MOST_POSES = 256
TOUCH_M = 5e-5


class RestRules(BaseModel):
    """How often items stand, lie, touch a wall of the tray and lean on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stand_share: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="of what can stand as on a shelf, this share does; the others lie as thrown",
    )
    steady_deg: float = Field(default=7.0, ge=0, le=45, description="what tips over before this angle does not stand")
    soft_flat_share: float = Field(default=0.85, ge=0, le=1, description="of bags, the share that lies on a large side")
    wall_share: float = Field(default=0.2, ge=0, le=1, description="of items with a wall near enough, the share at it")
    lean_share: float = Field(default=0.4, ge=0, le=1, description="of those, the share that leans if its form allows")
    flush_share: float = Field(
        default=0.6, ge=0, le=1, description="of what stands at a wall, the share that has a side along it"
    )
    lean_deg: tuple[float, float] = Field(default=(5.0, 25.0), description="how far it leans")
    jitter_mm: float = Field(default=15.0, ge=0, description="how far from the tray's middle an item lies")
    reach_mm: float = Field(
        default=60.0, ge=0, description="how far an item is pushed to get to a wall: cameras look at the tray's middle"
    )
    sag: tuple[float, float] = Field(
        default=(0.05, 0.14), description="of bags: height of the layer that ends flat on the floor, over its thickness"
    )


USUAL = RestRules()


@dataclass(frozen=True)
class Rest:
    """How an item rests."""

    T_world_item: Float[np.ndarray, "4 4"]
    contact: Literal["free", "touching", "leaning"] = "free"
    wall: str | None = None
    """Name of the booth's part that it touches or leans on."""


# ---- Stable poses ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Facets:
    """Flat facets of a convex hull, seen from the centre of mass at the origin."""

    normal: Float[np.ndarray, "g 3"]
    height: Float[np.ndarray, " g"]
    """Of the centre above the facet [m]."""
    share: Float[np.ndarray, " g"]
    """Solid angle over 4π: how often a thrown item first lands on it."""
    tips_to: Int[np.ndarray, " g"]
    """Neighbour beyond the edge that the foot of the centre is furthest beyond; itself if the facet is stable."""


def _solid_angles(corners: Float[np.ndarray, "f 3 3"]) -> Float[np.ndarray, " f"]:
    """Of triangles seen from the origin; after van Oosterom and Strackee (1983)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    la, lb, lc = (np.linalg.norm(q, axis=1) for q in (a, b, c))
    top = np.abs(np.einsum("ij,ij->i", a, np.cross(b, c)))
    dot = (np.einsum("ij,ij->i", p, q) for p, q in ((a, b), (a, c), (b, c)))
    ab, ac, bc = dot
    return 2 * np.arctan2(top, la * lb * lc + ab * lc + ac * lb + bc * la)


def _merge_coplanar(hull: ConvexHull) -> Int[np.ndarray, " f"]:
    """Facet number of each hull triangle."""
    count = len(hull.simplices)
    face, other = np.repeat(np.arange(count), 3), hull.neighbors.reshape(-1)
    corners = hull.points[hull.simplices[other]]
    off = np.einsum("ekc,ec->ek", corners, hull.equations[face, :3]) + hull.equations[face, 3:]
    same = np.abs(off).max(axis=1) < FLAT_M
    graph = coo_array((np.ones(int(same.sum())), (face[same], other[same])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _facets(hull: ConvexHull) -> _Facets:
    group = _merge_coplanar(hull)
    count = int(group.max()) + 1
    corners = hull.points[hull.simplices]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    area = np.maximum(area, 1e-30)
    weight = np.bincount(group, area, count)
    sums = [np.bincount(group, area * hull.equations[:, k], count) / weight for k in range(4)]
    normal = np.stack(sums[:3], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    height = -sums[3]
    share = np.bincount(group, _solid_angles(corners), count)
    # Edges between facets: how far the foot of the centre lies beyond each (foot · out = 0, out lies in the facet).
    face, k = (q.reshape(-1) for q in np.indices(hull.neighbors.shape))
    other = group[hull.neighbors[face, k]]
    border = other != group[face]
    face, k, other = face[border], k[border], other[border]
    a, b, c = (corners[face, (k + j) % 3] for j in (1, 2, 0))
    out = np.cross(b - a, normal[group[face]])
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-30)
    out *= np.sign(np.einsum("ij,ij->i", out, a - c))[:, None]
    beyond = -np.einsum("ij,ij->i", a, out)
    mine = group[face]
    falls = height[mine] - height[other]
    rolls = ((beyond > 0) & (falls > 0)) | ((beyond > -EDGE_M) & (falls > DOWN_M))
    order = np.lexsort((beyond[rolls], mine[rolls]))
    tips_to = np.arange(count)
    tips_to[mine[rolls][order]] = other[rolls][order]  # the last one written, the furthest beyond, stays
    return _Facets(normal, height, share / share.sum(), tips_to)


def _turn_down(normal: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """The shortest rotation that turns a direction straight down."""
    c = -float(normal[2])
    if c < -1 + 1e-12:
        return np.diag([1.0, -1.0, -1.0])
    axis = np.cross(normal, np.array([0.0, 0.0, -1.0]))
    K = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + K + K @ K / (1 + c)


def stable_poses(
    points: Float[np.ndarray, "n 3"], centre: Float[np.ndarray, "3"]
) -> tuple[tuple[Float[np.ndarray, "3 3"], float], ...]:
    """Rotations in which an item rests on a level floor, with how likely each is; the most likely first.

    ``centre`` is the centre of mass [m]. A facet of the convex hull is stable if the centre stands above it; a thrown
    item lands on a facet as often as the centre sees it (its solid angle) and tips over edges until it is stable.
    """
    facets = _facets(ConvexHull(points - centre))
    end = facets.tips_to
    while not np.array_equal(end, end[end]):  # heights only fall along the way, so it ends
        end = end[end]
    share = np.bincount(end, facets.share, len(end))
    at = np.flatnonzero(share > 0)
    n = np.round(facets.normal[at], 9)
    at = at[np.lexsort((n[:, 2], n[:, 1], n[:, 0], -np.round(share[at], 9)))][:MOST_POSES]
    total = share[at].sum()
    return tuple((_turn_down(facets.normal[k]), float(share[k] / total)) for k in at)


def mass_centre(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "3"]:
    """Centre of the convex hull's volume [m]: packs are full of what they hold."""
    hull = ConvexHull(points)
    middle = hull.points[hull.vertices].mean(axis=0)
    corners = hull.points[hull.simplices] - middle
    volume = np.abs(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])))
    return middle + (volume[:, None] * corners.sum(axis=1)).sum(axis=0) / (4 * volume.sum())


def tip_angle(points: Float[np.ndarray, "n 3"], R: Float[np.ndarray, "3 3"], centre: Float[np.ndarray, "3"]) -> float:
    """Angle [rad] by which an item in pose ``R`` can be tilted either way before it tips; 0 if it stands on a line."""
    world = (points - centre) @ R.T
    foot = world[world[:, 2] < world[:, 2].min() + 3e-4, :2]
    if len(foot) < 3 or np.linalg.matrix_rank(foot - foot[0], tol=1e-4) < 2:
        return 0.0
    inside = -float(ConvexHull(foot).equations[:, 2].max())
    return float(np.arctan2(max(inside, 0.0), -world[:, 2].min()))


# ---- Which pose -----------------------------------------------------------------------------------------------------


def _pick(weights: Float[np.ndarray, " k"], u: float) -> int:
    """Index that a uniform number falls on."""
    return int(np.searchsorted(np.cumsum(weights) / weights.sum(), u, side="right").clip(0, len(weights) - 1))


def draw_attitude(
    product: Product, points: Float[np.ndarray, "n 3"], rng: np.random.Generator, rules: RestRules
) -> Float[np.ndarray, "3 3"]:
    """Draw one of a product's stable poses: as on the shelf, flat, or as thrown. Not yet turned about z."""
    first, second = rng.random(2).tolist()
    hull = points[ConvexHull(points).vertices]
    centre = mass_centre(hull)
    poses = stable_poses(hull, centre)
    natural = np.array([p for _, p in poses])

    def stands(R: Float[np.ndarray, "3 3"]) -> bool:
        shelf = R[2, 2] > np.cos(np.radians(8))
        return bool(shelf) and tip_angle(hull, R, centre) > float(np.radians(rules.steady_deg))

    upright = np.array([stands(R) for R, _ in poses])
    if product.shape == "soft":
        above = np.array([float((centre @ R.T)[2] - (hull @ R.T)[:, 2].min()) for R, _ in poses])
        flat: Bool[np.ndarray, " k"] = above < 1.3 * above.min()
        if first < rules.soft_flat_share:
            natural = natural * flat
        elif upright.any():
            natural = natural * upright
    elif upright.any() and first < rules.stand_share:
        natural = natural * upright
    return poses[_pick(natural, second)][0]


# ---- Where ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Wall:
    """An upright wall as a half space in front of it: ``points @ inward >= offset``."""

    name: str
    inward: Float[np.ndarray, "3"]
    offset: float
    top: float
    """Height [m]."""


def _walls(parts: Sequence[Part]) -> tuple[_Wall, ...]:
    out = []
    for part in parts:
        if part.name.startswith(("rim_", "wall_")):
            inward = part.normals[0, 0]
            out.append(
                _Wall(part.name, inward, float(part.vertices[0] @ inward), float(part.vertices[:, 2].max()))
            )  # fmt: skip
    return tuple(out)


def _about(axis: Float[np.ndarray, "3"], angle: float) -> Float[np.ndarray, "3 3"]:
    """Right-handed rotation about a unit axis."""
    x, y, z = axis
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * (K @ K)


_UP = np.array([0.0, 0.0, 1.0])


def _put(
    R: Float[np.ndarray, "3 3"], points: Float[np.ndarray, "n 3"], at: Float[np.ndarray, "2"]
) -> tuple[Float[np.ndarray, "4 4"], Float[np.ndarray, "n 3"]]:
    """On the floor with the middle of its outline at a place; the transform, and the points there."""
    world = points @ R.T
    low, high = world.min(axis=0), world.max(axis=0)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, [*(at - (low + high)[:2] / 2), -low[2]]
    return T, world + T[:3, 3]


def _moved(T: Float[np.ndarray, "4 4"], by: Float[np.ndarray, "3"]) -> Float[np.ndarray, "4 4"]:
    out = T.copy()
    out[:3, 3] += by
    return out


def _is_clear(world: Float[np.ndarray, "n 3"], walls: Sequence[_Wall]) -> bool:
    """Whether no point is behind a wall that it is not above."""
    return all(not ((world @ w.inward < w.offset - 1e-7) & (world[:, 2] < w.top)).any() for w in walls)


def _free(
    R: Float[np.ndarray, "3 3"], points: Float[np.ndarray, "n 3"], at: Float[np.ndarray, "2"], walls: Sequence[_Wall]
) -> Rest:
    """At the drawn place, or as far from it as the walls ask for."""
    T, world = _put(R, points, at)
    for wall in walls:
        below = world[world[:, 2] < wall.top]
        short = wall.offset + 0.003 - float((below @ wall.inward).min(initial=np.inf))
        if short > 0.003:
            T, world = _moved(T, short * wall.inward), world + short * wall.inward
    return Rest(T)


def _faced_sides(world: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Sides of an outline seen from above: azimuth [rad] of each outward normal, and its length [m]."""
    outline = ConvexHull(world[:, :2])
    a, b = (outline.points[outline.simplices[:, k]] for k in (0, 1))
    return np.arctan2(outline.equations[:, 1], outline.equations[:, 0]), np.linalg.norm(b - a, axis=1)


def _turn_to(wall: _Wall, azimuth: float) -> Float[np.ndarray, "3 3"]:
    """Turn about z that makes what faces ``azimuth`` face the wall."""
    return _about(_UP, float(np.arctan2(-wall.inward[1], -wall.inward[0])) - azimuth)


def _against(
    R: Float[np.ndarray, "3 3"], points: Float[np.ndarray, "n 3"], at: Float[np.ndarray, "2"], wall: _Wall
) -> tuple[Float[np.ndarray, "4 4"], Float[np.ndarray, "n 3"], float]:
    """Pushed straight to a wall until it touches: the transform, the points, and how far it was pushed [m]."""
    T, world = _put(R, points, at)
    gap = float((world @ wall.inward).min()) - wall.offset
    return _moved(T, -gap * wall.inward), world - gap * wall.inward, gap


def _touch_wall(
    R: Float[np.ndarray, "3 3"], points: Float[np.ndarray, "n 3"], at: Float[np.ndarray, "2"],
    wall: _Wall, flush: bool, u: float,
) -> tuple[Float[np.ndarray, "4 4"], Float[np.ndarray, "n 3"], float] | None:  # fmt: skip
    """Against a wall, with a side along it if ``flush``; None if it would meet the wall's top edge, not its face."""
    if flush:
        azimuth, length = _faced_sides(points @ R.T)
        R = _turn_to(wall, float(azimuth[_pick(length**2, u)])) @ R
    T, world, gap = _against(R, points, at, wall)
    touching = world[world @ wall.inward < wall.offset + TOUCH_M]
    return (T, world, gap) if float(touching[:, 2].min()) < wall.top else None


def _leans(
    R: Float[np.ndarray, "3 3"], hull: Float[np.ndarray, "n 3"], centre: Float[np.ndarray, "3"], wall: _Wall
) -> bool:
    """Whether a tilted item stays: its centre is on the wall's side of its foot, its head above it at the wall."""
    world, middle = hull @ R.T, R @ centre
    to_wall = -(world @ wall.inward)
    z = world[:, 2] - world[:, 2].min()
    foot = float(to_wall[z < TOUCH_M].max())
    head = z[to_wall > to_wall.max() - TOUCH_M]
    height = float(middle[2] - world[:, 2].min())
    return float(-(middle @ wall.inward)) > foot + 1e-3 and float(head.min()) > height and float(head.max()) < wall.top


def _lean_on(
    points: Float[np.ndarray, "n 3"], at: Float[np.ndarray, "2"], wall: _Wall, rng: np.random.Generator,
    rules: RestRules,
) -> tuple[Float[np.ndarray, "4 4"], Float[np.ndarray, "n 3"], float] | None:  # fmt: skip
    """Tilted about its lower edge with its head at the wall; None if nothing between the angles stays.

    The item stands as on its shelf or on one of its ends, and turns one of its broad sides to the wall.
    """
    across, side, u = rng.choice([0.0, 0.0, 0.0, 0.5, -0.5]) * np.pi, rng.random(), rng.random()
    base = _about(np.array([0.0, 1.0, 0.0]), float(across))
    azimuth, length = _faced_sides(points @ base.T)
    broad = length * (length > 0.7 * length.max())
    base = _turn_to(wall, float(azimuth[_pick(broad, side)])) @ base
    hull = points[ConvexHull(points).vertices]
    centre = mass_centre(hull)
    axis = np.cross(_UP, -wall.inward)
    angles = np.radians(np.linspace(*rules.lean_deg, 41))
    good = [a for a in angles if _leans(_about(axis, a) @ base, hull, centre, wall)]
    if not good:
        return None
    return _against(_about(axis, good[int(u * len(good))]) @ base, points, at, wall)


def draw_place(
    R: Float[np.ndarray, "3 3"], points: Float[np.ndarray, "n 3"], rng: np.random.Generator,
    *, walls: Sequence[Part] = (), rules: RestRules = USUAL, may_lean: bool = True,
) -> Rest:  # fmt: skip
    """Turn an item about z and put it on the tray: near the middle, at a wall, or leaning on it."""
    turn, at_wall, lean, flush, which, u = rng.random(6).tolist()
    at = rng.uniform(-1, 1, 2) * rules.jitter_mm / 1000
    spun = _about(_UP, float(2 * np.pi * turn)) @ R
    everywhere = _walls(walls)
    reach = rules.reach_mm / 1000
    half = float(np.linalg.norm(np.ptp(points, axis=0))) / 2
    near = [w for w in everywhere if -w.offset < reach + half]
    if not near or at_wall >= rules.wall_share:
        return _free(spun, points, at, everywhere)
    wall = near[int(which * len(near))]
    tries: list[tuple[Literal["leaning", "touching"], object]] = []
    found = _lean_on(points, at, wall, rng, rules) if may_lean and lean < rules.lean_share else None
    tries.append(("leaning", found))
    tries.append(("touching", _touch_wall(spun, points, at, wall, flush < rules.flush_share, u)))
    for contact, it in tries:
        if isinstance(it, tuple) and abs(it[2]) <= reach and _is_clear(it[1], everywhere):
            return Rest(it[0], contact, wall.name)
    return _free(spun, points, at, everywhere)


def draw_rest(
    product: Product, points: Float[np.ndarray, "n 3"], rng: np.random.Generator,
    *, walls: Sequence[Part] = (), rules: RestRules = USUAL,
) -> Float[np.ndarray, "4 4"]:  # fmt: skip
    """``T_world_item`` of an item that rests on the tray. ``points``: all that is drawn of it, in its frame."""
    R = draw_attitude(product, points, rng, rules)
    return draw_place(R, points, rng, walls=walls, rules=rules, may_lean=product.shape != "soft").T_world_item


def lay_down(
    product: Product, rng: np.random.Generator, points_of: Callable[[Product], Float[np.ndarray, "n 3"]],
    *, walls: Sequence[Part] = (), rules: RestRules = USUAL,
) -> tuple[Product, Rest]:  # fmt: skip
    """Put a product on the tray: draw its pose, let it sag in it if it is soft, and place what has become of it."""
    R = draw_attitude(product, points_of(product), rng, rules)
    settled = sag(product, R, float(rng.uniform(*rules.sag)))
    rest = draw_place(R, points_of(settled), rng, walls=walls, rules=rules, may_lean=product.shape != "soft")
    return settled, rest
