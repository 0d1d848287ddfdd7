"""A heap of powder or granules at its angle of repose, and the grains that roll away from it. World frame [m]."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from ..artwork import fractal_noise
from ..mesh import face_normals
from .ground import FLOOR_M, Ground
from .runny import Grains, GrainShape
from .waves import Waves

MOST_GRAINS, MOST_PIECES = 3000, 260
PIECE_MM = 5.0
"""From this length on, grains come to lie one upon another; smaller ones stick where they fall."""
PACKING: dict[GrainShape, float] = {
    "speck": 0.6, "grain": 0.6, "nut": 0.58, "flake": 0.18, "leaf": 0.4, "tube": 0.4,
    "lens": 0.6,
}  # fmt: skip
"""Share of a heap that is solid."""
TIP_M = 0.004
"""Radius of a heap's rounded top."""
PALETTE = 8


def pile(
    ground: Ground, way: Float[np.ndarray, "h w"], repose_rad: float, volume_m3: float
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Height [m] of a heap of this volume, and a level that is positive where it lies.

    ``way`` is how far grains have to go, no longer than it is [m]: so no slope is steeper than at rest.
    """
    slope = float(np.tan(repose_rad))
    down = slope * (np.sqrt(way**2 + TIP_M**2) - TIP_M)
    cells, near = ground.step**2, np.sort(down[down < 0.5])
    # Below each height of the sorted nodes the volume is known: no search over the whole field.
    volume = cells * (near * np.arange(1, len(near) + 1) - np.cumsum(near))
    k = int(np.clip(np.searchsorted(volume, volume_m3), 1, len(near)))
    top = float((volume_m3 / cells + near[:k].sum()) / k)
    return np.clip(top - down, 0, None), top - down


# ---- Grains ---------------------------------------------------------------------------------------------------------


def _revolved(
    profile: list[tuple[float, float]], sides: int
) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """A body round the x axis through (x, radius); it starts and ends on the axis."""
    turn = np.arange(sides) / sides * 2 * np.pi
    rings = [np.stack([np.full(sides, x), r * np.cos(turn), r * np.sin(turn)], 1) for x, r in profile[1:-1]]
    ends = np.array([[profile[0][0], 0, 0], [profile[-1][0], 0, 0]])
    k, m = np.arange(sides), (np.arange(sides) + 1) % sides
    faces = [np.stack([np.zeros(sides, int), 2 + m, 2 + k], 1)]
    for ring in range(len(rings) - 1):
        a = 2 + ring * sides
        faces += [np.stack([a + k, a + m, a + sides + m], 1), np.stack([a + k, a + sides + m, a + sides + k], 1)]
    a = 2 + (len(rings) - 1) * sides
    faces.append(np.stack([a + k, a + m, np.ones(sides, int)], 1))
    return np.concatenate([ends, *rings]), np.concatenate(faces)


def _tube() -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """A hollow tube cut aslant."""
    sides = 10
    turn = np.arange(sides) / sides * 2 * np.pi
    y, z = np.cos(turn), np.sin(turn)
    rows = [
        np.stack([x + 0.12 * y, 0.5 * r * y, 0.5 * r * z], 1)
        for x, r in ((-0.38, 1.0), (0.38, 1.0), (0.38, 0.72), (-0.38, 0.72))
    ]
    k, m = np.arange(sides), (np.arange(sides) + 1) % sides
    faces = []
    for ring in range(4):
        a, b = sides * ring, sides * ((ring + 1) % 4)
        faces += [np.stack([a + k, a + m, b + m], 1), np.stack([a + k, b + m, b + k], 1)]
    return np.concatenate(rows), np.concatenate(faces)[:, ::-1]


def _flake() -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """A thin disc with a soft rim, fine enough to be curled."""
    profile = [(-0.5, 0.0), (-0.5, 0.26), (-0.4, 0.44), (0.0, 0.5), (0.4, 0.44), (0.5, 0.26), (0.5, 0.0)]
    points, faces = _revolved(profile, 12)
    return points[:, [1, 2, 0]], faces


def _crumb() -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    points, faces = _revolved([(-0.5, 0.0), (-0.5, 0.5), (0.5, 0.5), (0.5, 0.0)], 5)
    return points[:, [1, 2, 0]], faces


def grain_mesh(shape: GrainShape) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """A grain of length, width and height 1, or nearly."""
    if shape == "speck":
        points = np.concatenate([0.5 * np.eye(3), -0.5 * np.eye(3)])
        faces = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])
        return points, faces
    if shape == "grain":
        return _revolved([(-0.5, 0.0), (-0.38, 0.32), (0.0, 0.5), (0.38, 0.32), (0.5, 0.0)], 6)
    if shape == "nut":
        return _revolved([(-0.5, 0), (-0.42, 0.28), (-0.15, 0.48), (0.2, 0.46), (0.43, 0.26), (0.5, 0)], 8)
    if shape == "tube":
        return _tube()
    if shape == "lens":
        points, faces = _revolved([(-0.5, 0), (-0.46, 0.34), (-0.22, 0.5), (0.22, 0.5), (0.46, 0.34), (0.5, 0)], 12)
        return points[:, [1, 2, 0]], faces
    return _flake() if shape == "flake" else _crumb()


@dataclass(frozen=True)
class GrainDraw:
    """What is drawn of grains, for as many as there can be; strength decides how many there are."""

    place: Float[np.ndarray, "n 3"]
    """In [0, 1): which node, and where in its cell."""
    size: Float[np.ndarray, " n"]
    turn: Float[np.ndarray, "n 4"]
    """Yaw, and three normal numbers for the tilt."""
    uneven: Float[np.ndarray, "n m 3"]
    tone: Int[np.ndarray, " n"]
    on_heap: Bool[np.ndarray, " n"]


def draw_grains(grains: Grains, rng: np.random.Generator, cover: float) -> GrainDraw:
    """Draw the most grains there can be, of which a share ``cover`` lies on the heap."""
    points, _ = grain_mesh(grains.shape)
    most = MOST_GRAINS if grains.size_mm[0] < PIECE_MM else MOST_PIECES
    spread = {"flake": 0.4, "leaf": 0.4, "speck": 0.4, "nut": 0.12, "grain": 0.1, "tube": 0.08, "lens": 0.01}[
        grains.shape
    ]
    rough = {"flake": 0.0, "leaf": 0.2, "speck": 0.25, "nut": 0.05, "grain": 0.04, "tube": 0.0, "lens": 0.0}[
        grains.shape
    ]
    return GrainDraw(
        place=rng.random((most, 3)),
        size=np.exp(np.clip(spread * rng.normal(size=most), -1.2, 0.7)),
        turn=np.concatenate([rng.uniform(0, 2 * np.pi, (most, 1)), rng.normal(size=(most, 3))], axis=1),
        uneven=1 + rough * np.clip(rng.normal(size=(most, len(points), 3)), -2, 2),
        tone=rng.integers(0, PALETTE * PALETTE, most),
        on_heap=rng.random(most) < cover,
    )


def grain_solids(grains: Grains, draw: GrainDraw) -> tuple[Float[np.ndarray, "n m 3"], Float[np.ndarray, " n"]]:
    """Shape of every grain about its middle [m], and the volume [m³] of heap that each stands for."""
    points, faces = grain_mesh(grains.shape)
    size = np.array(grains.size_mm) / 1000
    shapes = points[None] * draw.uneven * size * draw.size[:, None, None]
    if grains.shape == "flake":  # of uneven outline, curled, each its own way
        around = np.arctan2(points[:, 1], points[:, 0])
        a, b = draw.turn[:, 0], draw.turn[:, 2:]
        waves = 0.09 * b[:, :1] * np.cos(2 * around + a[:, None]) + 0.07 * b[:, 1:] * np.cos(3 * around - a[:, None])
        shapes[..., :2] *= np.clip(1 + waves, 0.6, 1.4)[..., None]
        x, y = shapes[..., 0] / size[0], shapes[..., 1] / size[0]
        bend = size[0] * np.clip(draw.turn[:, 1:3], -1.5, 1.5)
        shapes[..., 2] += 0.35 * (bend[:, :1] * x**2 + bend[:, 1:] * y**2)
    a, b, c = (shapes[:, faces[:, k]] for k in range(3))
    solid = np.abs(np.einsum("nfk,nfk->n", a, np.cross(b, c))) / 6
    return shapes, solid / PACKING[grains.shape]


def _turns(draw: GrainDraw, count: int, tilt: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3 3"]:
    """Yaw about the vertical after a tilt about a level axis."""
    yaw, axis = draw.turn[:count, 0], np.pi * draw.turn[:count, 3]
    c, s, p, q = np.cos(yaw), np.sin(yaw), np.cos(tilt), np.sin(tilt)
    x, y = np.cos(axis), np.sin(axis)
    tilted = np.stack([
        np.stack([p + x * x * (1 - p), x * y * (1 - p), y * q], 1),
        np.stack([x * y * (1 - p), p + y * y * (1 - p), -x * q], 1),
        np.stack([-y * q, x * q, p], 1),
    ], 1)  # fmt: skip
    zero, one = np.zeros(count), np.ones(count)
    turned = np.stack([np.stack([c, -s, zero], 1), np.stack([s, c, zero], 1), np.stack([zero, zero, one], 1)], 1)
    return tilted @ turned


@dataclass(frozen=True)
class Site:
    """Where grains may come to lie."""

    ground: Ground
    way: Float[np.ndarray, "h w"]
    """How far each node is from where they come down [m]."""
    height: Float[np.ndarray, "h w"]
    """Of the heap [m]."""
    radius_m: float
    """Of the heap that all of it would make."""
    reach_m: float
    """Mean way that a grain rolls beyond the heap."""
    clumps: Waves


def _weights(site: Site, room_m: float, *, on_heap: bool, pieces: bool = False) -> Float[np.ndarray, " k"]:
    free = (site.way < 1e9).astype(np.uint8)
    free[[0, -1]] = free[:, [0, -1]] = 0
    room = cv2.distanceTransform(free, cv2.DIST_L2, 3) * site.ground.step > room_m
    if on_heap:
        return (room & (site.height > 0.0006)).ravel().astype(float)
    clumps = np.exp(0.8 * site.clumps.on_grid(site.ground.x, site.ground.y))
    if pieces:
        cone = np.clip(1 - site.way / (1.15 * site.radius_m + room_m), 0, None)
        tail = 0.12 * np.exp(-np.minimum(site.way / (site.radius_m + 2 * room_m), 50.0))
        return (room * (cone + tail * clumps)).ravel()
    edge = float(site.way[site.height > 0].max(initial=0.0))
    beyond = np.clip(site.way - 0.85 * edge, 0, None)
    return (room * clumps * np.exp(-np.minimum(beyond / site.reach_m, 50.0)) * (site.way > 0.4 * edge)).ravel()


def lay_grains(
    site: Site, grains: Grains, draw: GrainDraw, shapes: Float[np.ndarray, "n m 3"], count: int
) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """Put the first ``count`` grains where they come to rest; the longest first where they pile up."""
    points, faces = grain_mesh(grains.shape)
    if count == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), int)
    node = np.zeros(count, int)
    longest = 0.5 * grains.size_mm[0] / 1000 * draw.size[:count]
    small = grains.size_mm[0] < PIECE_MM
    for on_heap in (True, False):
        weight = _weights(site, float(np.quantile(longest, 0.9)), on_heap=on_heap and small, pieces=not small)
        mine = draw.on_heap[:count] == on_heap
        if weight.sum() <= 0:
            weight = _weights(site, 0.002, on_heap=False) + 1e-12 * (site.way < 1e9).ravel()
        share = np.cumsum(weight)
        node[mine] = np.searchsorted(share, draw.place[:count][mine, 0] * share[-1] * (1 - 1e-12), side="right")
    i, j = np.divmod(np.minimum(node, site.way.size - 1), len(site.ground.x))
    jitter = (draw.place[:count, 1:] - 0.5) * site.ground.step
    at = np.stack([site.ground.x[j] + jitter[:, 0], site.ground.y[i] + jitter[:, 1]], axis=1)
    tilt = np.abs(draw.turn[:count, 1]) * (0.9 if small else 0.25)
    placed = np.einsum("nij,nmj->nmi", _turns(draw, count, tilt), shapes[:count])
    foot = placed[..., 2].min(axis=1)
    if small:
        under = site.height[i, j] - 0.3 * np.where(site.height[i, j] > 0, placed[..., 2].max(axis=1), 0.0)
        base = np.maximum(under, 0.0)
    else:
        base = _stack(site, at, placed)
    placed[..., :2] += at[:, None]
    placed[..., 2] += (base - foot + FLOOR_M)[:, None]
    index = faces[None] + len(points) * np.arange(count)[:, None, None]
    return placed.reshape(-1, 3), index.reshape(-1, 3)


def _stack(site: Site, at: Float[np.ndarray, "n 2"], placed: Float[np.ndarray, "n m 3"]) -> Float[np.ndarray, " n"]:
    """Height at which each piece lies on what has come down before it."""
    top, step = site.height.copy(), site.ground.step
    base = np.zeros(len(at))
    for n, (x, y) in enumerate(at):
        radius = 0.38 * float(np.ptp(placed[n, :, :2], axis=0).mean())
        i, j = round((y - site.ground.y[0]) / step), round((x - site.ground.x[0]) / step)
        r = max(1, round(radius / step))
        rows, columns = np.arange(max(0, i - r), i + r + 1), np.arange(max(0, j - r), j + r + 1)
        rows, columns = rows[rows < top.shape[0]], columns[columns < top.shape[1]]
        disc = np.square(rows - i)[:, None] + np.square(columns - j)[None] <= r * r
        under = top[np.ix_(rows, columns)]
        base[n] = float(np.quantile(under[disc], 0.6))
        tall = float(np.ptp(placed[n, :, 2])) * 0.55
        top[np.ix_(rows, columns)] = np.where(disc, np.maximum(under, base[n] + tall), under)
    return base


def grain_uv(shape: GrainShape, draw: GrainDraw, count: int) -> Float[np.ndarray, "f 3 2"]:
    """Each grain shows one field of the palette, seen from above."""
    points, faces = grain_mesh(shape)
    row, column = np.divmod(draw.tone[:count], PALETTE)
    field = np.stack([column, row], 1) + 0.5
    return ((field[:, None, None] + 0.85 * points[faces][None, ..., :2]) / PALETTE).reshape(-1, 3, 2)


def flat_normals(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "f 3 3"]:
    """Unit normals of faces, at each corner."""
    normal = face_normals(vertices, faces)
    normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    return np.repeat(normal[:, None], 3, axis=1)


# ---- Looks ----------------------------------------------------------------------------------------------------------


def _encode(linear: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return (255 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def palette(grains: Grains, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Tones of single grains: one field each, a little darker towards its rim, with spots on what is roasted."""
    cell = 24
    gain = np.exp(grains.contrast * rng.normal(size=(PALETTE, PALETTE, 1)) * 1.1)
    tint = np.exp(0.25 * grains.contrast * rng.normal(size=(PALETTE, PALETTE, 3)))
    fields = np.repeat(np.repeat(np.array(grains.colour) * gain * tint, cell, 0), cell, 1)
    y, x = np.mgrid[0:cell, 0:cell] / (cell - 1) - 0.5
    rim = np.tile(1 - 0.9 * np.clip(np.hypot(x, y) - 0.22, 0, None), (PALETTE, PALETTE))
    spots = fractal_noise(rng, PALETTE * cell, PALETTE * cell, cell_px=10.0, octaves=3)
    roast = 1 - 0.35 * np.clip(spots - 1.0, 0, 1) - 0.06 * spots
    return _encode(fields * (rim * np.clip(roast, 0.4, 1.2))[..., None])


def heap_picture(
    grains: Grains, rng: np.random.Generator, side_mm: float, *, side_px: int = 512
) -> UInt8[np.ndarray, "h w 3"]:
    """What a heap shows from above: grain next to grain, with dark gaps, and patches that are a little lighter."""
    px_per_mm = side_px / side_mm
    cell = max(1.6, 0.5 * (grains.size_mm[0] + grains.size_mm[1]) * px_per_mm)
    seed = rng.standard_normal((side_px, side_px), np.float32)
    blur = cv2.GaussianBlur(seed, (0, 0), 0.42 * cell)
    blur /= blur.std()
    fine = 0.5 * seed + 0.7 * np.roll(blur, (7, 13), (0, 1))
    patches = fractal_noise(rng, side_px, side_px, cell_px=30 * px_per_mm, octaves=3)
    gaps = np.clip(blur - 0.6, 0, 1.2) * (0.5 * grains.contrast + 0.05)
    tone = np.exp(0.75 * grains.contrast * fine + 0.06 * patches) * (1 - gaps)
    return _encode(np.array(grains.colour) * tone[..., None])
