"""What has run out of a package as finished parts: a puddle with drops around it, or a heap with scattered grains.

World frame [m]. All of it together has exactly the volume that was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from ...sim.errors import DamagelandError
from ...sim.scene import SURFACES, Material, Part, kind_bit
from ..mesh import corner_normals, enclosed_volume
from .drape import Drape, drape
from .drips import beads
from .ground import FLOOR_M, LOW_M, Ground, arrival, lay_ground, nearest_free, open_ground
from .heap import (
    MOST_GRAINS,
    GrainDraw,
    Site,
    draw_grains,
    flat_normals,
    grain_solids,
    grain_uv,
    heap_picture,
    lay_grains,
    palette,
    pile,
)
from .puddle import Wetting, thickness, wet, wetted_area
from .runny import Grains, Liquid
from .waves import Waves, draw_waves

PUDDLE = SURFACES.index("puddle")
FINEST_M = 0.0003
WIDER, TRIES = 1.4, 6
"""A window that what runs out fills is enlarged by this, so often at most."""
DROPS_SHARE = 0.06
"""Of a spill, what may lie about as drops at most."""
MANY = 40
"""Fewer grains than this make no heap."""
Body = tuple[Float[np.ndarray, "_ 3"], Int[np.ndarray, "_ 3"]]


@dataclass(frozen=True)
class Surroundings:
    """Where it runs out."""

    parts: Sequence[Part]
    """What stands on the tray, the package among it."""
    foot: Float[np.ndarray, "2"]
    """Where it comes down."""
    tray_m: tuple[float, float]
    cells: int
    rough: Waves


@dataclass(frozen=True)
class Outflow:
    """What lies on the tray."""

    parts: tuple[Part, ...]
    ground: Ground
    wet: Bool[np.ndarray, "h w"]
    """Nodes that are covered."""
    area_m2: float
    height_m: float
    """Mean thickness of a puddle, height of a heap."""


def outlet(around: Surroundings, item: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "2"]:
    """The place beside the item nearest to where it leaks: from below, it creeps out at the nearest side."""
    low, high = np.minimum(item.min(axis=0), around.foot), np.maximum(item.max(axis=0), around.foot)
    half = float((high - low).max()) / 2 + 0.03
    ground = lay_ground(
        around.parts, (low + high) / 2, half, cells=160, finest_m=0.001, tray_m=around.tray_m, deep_m=0.002
    )
    free = open_ground(ground)
    if not free.any():
        raise DamagelandError("The item covers the whole tray: nothing can run out beside it. Use a larger tray.")
    i, j = nearest_free(ground, free, around.foot[None])[0]
    return np.array([ground.x[j], ground.y[i]])


def _window(
    around: Surroundings, half_m: float, deep_m: float, low_m: float = LOW_M
) -> tuple[Ground, Bool[np.ndarray, "h w"]]:
    ground = lay_ground(
        around.parts,
        around.foot,
        half_m,
        cells=around.cells,
        finest_m=FINEST_M,
        tray_m=around.tray_m,
        deep_m=deep_m,
        low_m=low_m,
    )
    return ground, open_ground(ground)


def _overflows(covered: Bool[np.ndarray, "h w"]) -> bool:
    rim = 3
    return bool(covered[:rim].any() or covered[-rim:].any() or covered[:, :rim].any() or covered[:, -rim:].any())


def _finish(name: str, bodies: Sequence[Body], normals, materials: tuple[Material, ...], uv) -> Part:
    starts = np.cumsum([0] + [len(v) for v, _ in bodies])
    faces = np.concatenate([f + s for (_, f), s in zip(bodies, starts[:-1], strict=True)])
    n = len(faces)
    return Part(
        name=name,
        vertices=np.concatenate([v for v, _ in bodies]),
        faces=faces,
        uv=uv,
        normals=normals,
        materials=materials,
        material=np.repeat(np.minimum(np.arange(len(bodies)), len(materials) - 1), [len(f) for _, f in bodies]).astype(
            np.uint8
        ),
        surface=np.full(n, PUDDLE, np.uint8),
        damage=np.full(n, kind_bit("spillage"), np.uint8),
    )


# ---- Liquids --------------------------------------------------------------------------------------------------------


def pour(
    around: Surroundings, liquid: Liquid, wetting: Wetting, volume_m3: float, *, on_wall: Sequence[Body],
    drops: Float[np.ndarray, "n 4"], seed: int,
) -> Outflow:  # fmt: skip
    """A puddle of which ``on_wall`` is a part, with drops around it."""
    rest = volume_m3 - sum(enclosed_volume(*body) for body in on_wall)
    area = wetted_area(rest * (1 - 0.5 * DROPS_SHARE), wetting)
    half = 1.5 * float(np.sqrt(2 * area / np.pi)) + 0.008
    tries = TRIES
    while True:
        ground, free = _window(around, half, min(wetting.thickness_m, 0.004))
        slow = np.exp(around.rough.on_grid(ground.x, ground.y))
        level = wet(ground, free, nearest_free(ground, free, around.foot[None]), slow, area, wetting)
        covered = (level > 0) & ~ground.blocked
        tries -= 1
        if tries == 0 or not _overflows(covered & free):
            break
        half *= WIDER
    covered[[0, -1]] = covered[:, [0, -1]] = False
    height = thickness(ground, level, wetting)
    if liquid.lumps_mm > 0:
        bits = draw_waves(np.random.default_rng(seed), (0.007, 0.03), dimensions=2).on_grid(ground.x, ground.y)
        height = height + np.minimum(0.25 * height, 0.0004 * liquid.lumps_mm) * np.tanh(bits)
    spots = _drops(ground, covered, free, drops, wetting, DROPS_SHARE * rest)
    main = drape(ground, height, level, rest - enclosed_volume(*spots))
    bodies = [(main.vertices, main.faces), spots, *on_wall]
    round_ = [corner_normals(v, f, crease_deg=80.0) for v, f in bodies[1:]]
    part = _finish(
        "puddle", bodies, np.concatenate([main.normals, *round_]), _liquid_materials(liquid, ground, height, seed),
        np.concatenate([_flat_uv(ground, v)[f] for v, f in bodies]),
    )  # fmt: skip
    return Outflow((part,), ground, covered, main.area_m2, volume_m3 / main.area_m2)


def _flat_uv(ground: Ground, vertices: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "v 2"]:
    side = float(ground.x[-1] - ground.x[0])
    u, v = (vertices[:, 0] - ground.x[0]) / side, (vertices[:, 1] - ground.y[0]) / side
    return np.clip(np.stack([u, v], 1), 0, 1)


def _liquid_materials(
    liquid: Liquid, ground: Ground, height: Float[np.ndarray, "h w"], seed: int
) -> tuple[Material, Material]:
    """Of the puddle, and of drops.

    Clear liquids are the darker the deeper they lie (Beer and Lambert); bits in opaque ones differ in tone.
    """
    side_px = 256
    colour = np.array(liquid.colour)
    if liquid.clear > 0:
        small = cv2.resize(height.astype(np.float32), (side_px, side_px), interpolation=cv2.INTER_AREA)
        tint = colour ** (np.clip(small, 0.0002, 0.02) / 0.004)[..., None]
    else:
        bits = draw_waves(np.random.default_rng(seed), (0.003, 0.03), dimensions=2)
        x, y = np.linspace(ground.x[0], ground.x[-1], side_px), np.linspace(ground.y[0], ground.y[-1], side_px)
        tone = np.exp((0.02 + 0.12 * min(liquid.lumps_mm, 1.5)) * bits.on_grid(x, y))
        tint = colour * tone[..., None]
    picture: UInt8[np.ndarray, "h w 3"] = (255 * np.clip(tint, 0, 1) ** (1 / 2.2)).astype(np.uint8)[::-1].copy()
    r, g, b = (float(v) for v in colour ** (0.25 if liquid.clear > 0 else 1.0))  # a drop is thin
    gloss, clear = liquid.roughness, liquid.clear
    return (
        Material(liquid.name, (1.0, 1.0, 1.0), 0.0, gloss, base_color_texture=picture, transmission=clear),
        Material(f"{liquid.name} drops", (r, g, b), 0.0, gloss, transmission=clear),
    )


def _drops(
    ground: Ground, covered: Bool[np.ndarray, "h w"], free: Bool[np.ndarray, "h w"], drawn: Float[np.ndarray, "n 4"],
    wetting: Wetting, most_m3: float,
) -> Body:  # fmt: skip
    """Drops that have splashed beside the puddle, nearer ones the likelier; none touches it or what stands there."""
    nothing: Body = np.zeros((0, 3)), np.zeros((0, 3), int)
    dry = (free & ~covered).astype(np.uint8)
    dry[[0, -1]] = dry[:, [0, -1]] = 0
    room = cv2.distanceTransform(dry, cv2.DIST_L2, 3).astype(float) * ground.step
    away = cv2.distanceTransform((~covered).astype(np.uint8), cv2.DIST_L2, 3).astype(float) * ground.step
    weight = (np.exp(-away / 0.012) * (room > 0.0012)).ravel()
    if weight.sum() <= 0 or len(drawn) == 0:
        return nothing
    share = np.cumsum(weight)
    node = np.searchsorted(share, drawn[:, 0] * share[-1] * (1 - 1e-12), side="right")
    tall = float(np.tan(min(wetting.angle_rad, 1.2) / 2)) + 0.12
    radius = 0.0005 + 0.0028 * drawn[:, 1] ** 3
    radius *= min(1.0, (most_m3 / max(2.0 * tall * float((radius**3).sum()), 1e-15)) ** (1 / 3))
    i, j = np.divmod(node, len(ground.x))
    fits = room[i, j] > 1.35 * radius + ground.step
    _, first = np.unique(node, return_index=True)  # two drops in one place would be one drop
    fits &= np.isin(np.arange(len(node)), first)
    if not fits.any():
        return nothing
    at = np.stack([ground.x[j], ground.y[i], np.full(len(i), FLOOR_M)], 1)[fits]
    kept = _apart(at, radius[fits])
    up = np.tile([0.0, 0.0, 1.0], (int(kept.sum()), 1))
    return beads(at[kept], up, radius[fits][kept], tall, 1 + 0.3 * drawn[fits][kept, 2])


def _apart(at: Float[np.ndarray, "n 3"], radius: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Drops that touch no earlier one."""
    kept = np.zeros(len(at), bool)
    for k in range(len(at)):
        away = np.linalg.norm(at[:k][kept[:k]] - at[k], axis=1)
        kept[k] = bool((away > 1.4 * (radius[:k][kept[:k]] + radius[k])).all())
    return kept


# ---- Powder and granules --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pouring:
    """How grains run out."""

    grains: Grains
    repose_rad: float
    seam_m: float
    """Length of the seam that they come out of."""
    rolled: float
    """Share that rolls away."""
    seed: int


def heap_height(repose_rad: float, volume_m3: float) -> float:
    """Of a heap that leans on a wall [m]; hardly any is higher."""
    return float((6 * volume_m3 * np.tan(repose_rad) ** 2 / np.pi) ** (1 / 3))


def heap_up(around: Surroundings, how: Pouring, volume_m3: float) -> Outflow:
    """A heap that leans on what stands there, grains on it and beside it."""
    rng = np.random.default_rng(how.seed)
    draw = draw_grains(how.grains, rng, 0.5)
    shapes, each = grain_solids(how.grains, draw)
    count, loose, shapes = _share_out(how, draw, shapes, each, volume_m3)
    heaped = volume_m3 - loose
    radius = heap_height(how.repose_rad, volume_m3) / float(np.tan(how.repose_rad))
    reach = 0.003 + 0.11 * radius + 0.4 * how.grains.size_mm[0] / 1000
    half = 1.2 * radius + 2.5 * reach + 0.6 * how.seam_m
    tries = TRIES
    while True:
        ground, free = _window(around, half, 0.003, heap_height(how.repose_rad, volume_m3))
        slow = 1 - 0.22 * (1 + np.tanh(around.rough.on_grid(ground.x, ground.y) / 0.15))
        way = arrival(ground, free, _mouth(around, ground, free, how.seam_m), slow)
        height, level = pile(ground, way, how.repose_rad, max(heaped, 1e-12))
        tries -= 1
        if tries == 0 or not _overflows((level > 0) & free):
            break
        half *= WIDER
    parts = []
    if heaped > 0.02 * volume_m3:
        body = drape(ground, height, level, heaped)
        parts.append(_heap_part(ground, body, how, rng))
    else:
        height = np.zeros_like(height)
    clumps = draw_waves(rng, (0.01, 0.06), dimensions=2)
    laid = lay_grains(Site(ground, way, height, radius, reach, clumps), how.grains, draw, shapes, count)
    if count:
        tones = Material("grains", (1.0, 1.0, 1.0), 0.0, 0.75, palette(how.grains, rng))
        smooth = how.grains.shape not in ("speck", "flake")
        normals = corner_normals(*laid, crease_deg=60.0) if smooth else flat_normals(*laid)
        parts.append(_finish("spilled grains", [laid], normals, (tones,), grain_uv(how.grains.shape, draw, count)))
    covered = (height > 0) & free
    area = float(covered.sum()) * ground.step**2
    return Outflow(tuple(parts), ground, covered, area, float(height.max(initial=0.0)))


def _share_out(
    how: Pouring, draw: GrainDraw, shapes: Float[np.ndarray, "n m 3"], each: Float[np.ndarray, " n"], volume_m3: float
) -> tuple[int, float, Float[np.ndarray, "n m 3"]]:
    """How many grains are drawn one by one, what volume of heap they stand for, and their shapes.

    Where they are all there is, the last one is broken so that their volume is exact.
    """
    total = np.cumsum(each)
    pieces = len(draw.size) < MOST_GRAINS
    if not pieces and total[MANY] < volume_m3:
        count = int(np.searchsorted(total, 2 * how.rolled * volume_m3, side="right"))
        return count, float(total[count - 1]) if count else 0.0, shapes
    count = int(np.searchsorted(total, volume_m3, side="right"))
    if count == len(total):
        return count, float(total[-1]), shapes
    missing = volume_m3 - (float(total[count - 1]) if count else 0.0)
    shapes = shapes.copy()
    shapes[count] *= (missing / each[count]) ** (1 / 3)
    return count + 1, volume_m3, shapes


def _mouth(
    around: Surroundings, ground: Ground, free: Bool[np.ndarray, "h w"], seam_m: float
) -> Int[np.ndarray, "n 2"]:
    """Nodes where it comes down: along the wall on both sides of the leak."""
    first = nearest_free(ground, free, around.foot[None])
    beside = cv2.dilate(ground.blocked.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & free
    i, j = np.nonzero(beside)
    away = np.hypot(ground.y[i] - ground.y[first[0, 0]], ground.x[j] - ground.x[first[0, 1]])
    near = away < seam_m / 2
    return np.concatenate([first, np.stack([i[near], j[near]], 1)])


def _heap_part(ground: Ground, body: Drape, how: Pouring, rng: np.random.Generator) -> Part:
    side = float(ground.x[-1] - ground.x[0])
    picture = heap_picture(how.grains, rng, 1000 * side)
    matt = Material(how.grains.name, (1.0, 1.0, 1.0), 0.0, 0.95, picture)
    normals = body.normals.copy()
    # Grains are too small for the mesh; light still falls on them one by one.
    bumps = [draw_waves(rng, (0.0015, 0.006), dimensions=2, count=16) for _ in range(2)]
    top = body.faces[: body.upper]
    lean = 0.16 * np.stack([b.at(body.vertices[:, :2]) for b in bumps], 1)
    normals[: body.upper, :, :2] += lean[top]
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
    return _finish("heap", [(body.vertices, body.faces)], normals, (matt,), _flat_uv(ground, body.vertices)[body.faces])
