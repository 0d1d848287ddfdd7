"""What runs down a wall: its way to the tray, the wet streak, and beads where a wall does not soak it up."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ...sim.rays import Caster, build_caster, cast
from ...sim.scene import Part
from ..mesh import face_areas, face_normals, vertex_normals

STEP_M, MOST_STEPS = 0.0024, 180
STAND_OFF_M = 0.006
"""A way is put back on its wall by rays from so far outside."""
NEARLY_LEVEL = 0.16
"""Sine of the slope below which nothing runs."""


@dataclass(frozen=True)
class Trail:
    """A way down a wall, world frame [m]; one point where nothing runs."""

    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    foot: Float[np.ndarray, "2"]
    """Where it comes down on the tray."""


def bare_part(name: str, vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Part:
    """A mesh without looks, to cast rays at."""
    nothing = np.zeros(len(faces), np.uint8)
    return Part(
        name, vertices, faces, np.zeros((len(faces), 3, 2)), np.zeros((len(faces), 3, 3)), (), nothing, nothing, nothing
    )


def _meet(caster: Caster, start: Float[np.ndarray, "n 3"], way: Float[np.ndarray, "n 3"], reach: float):
    """Where rays along unit ways meet a mesh within reach, its unit normals there, and which of them do."""
    hits = cast(caster, start, way)
    found = hits.distance < reach
    at = start + np.where(found, hits.distance, 0.0)[:, None] * way
    return at.astype(np.float64), caster.normals[caster.joined(hits)], found


def run_down(
    wall: Part, start: Float[np.ndarray, "3"], normal: Float[np.ndarray, "3"], drift: Float[np.ndarray, "2"],
    wobble: Float[np.ndarray, " k"],
) -> Trail:  # fmt: skip
    """Follow a liquid from a leak down a wall (world frame) until it drips off or meets the tray.

    ``drift`` is where it goes on a level top; ``wobble`` [rad] turns it a little from step to step.
    """
    caster, down = build_caster((wall,)), np.array([0.0, 0.0, -1.0])
    point, way = start, np.array([*drift, 0.0])
    points, normals = [point], [normal]
    for k in range(MOST_STEPS):
        slope = down - (down @ normal) * normal
        steep = float(np.linalg.norm(slope))
        if point[2] < 0.0012 or normal[2] < -0.35 or (steep < NEARLY_LEVEL and normal[2] < 0):
            break
        aim = slope / steep if steep > NEARLY_LEVEL else way - (way @ normal) * normal
        aim = aim + 0.5 * way if steep > NEARLY_LEVEL and k else aim
        side = np.cross(normal, aim)
        turn = float(wobble[k % len(wobble)]) * min(1.0, 2 * steep)
        way = np.cos(turn) * aim + np.sin(turn) * side
        way = way / max(float(np.linalg.norm(way)), 1e-9)
        step = _step(caster, point, normal, way)
        if step is None:
            break
        point, normal = step
        points.append(point)
        normals.append(normal)
    return Trail(np.array(points), np.array(normals), point[:2].copy())


def _step(caster: Caster, point, normal, way) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]] | None:
    """One step along a wall or round its edge; None where it ends in the air."""
    ahead = point + STEP_M * way
    for start, ray in (
        (ahead + STAND_OFF_M * normal, -normal),
        (ahead - 0.5 * STEP_M * normal + STAND_OFF_M * way, -way),
    ):
        at, facing, found = _meet(caster, start[None], ray[None], STAND_OFF_M + 3 * STEP_M)
        if found[0] and facing[0] @ ray < 0:
            return at[0], facing[0]
    return None


def on_wall(
    wall: Caster, points: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    """Put points that are near a wall on its finished surface; where rays miss it they stay."""
    hits = cast(wall, points + STAND_OFF_M * normals, -normals)
    found = hits.distance < 2 * STAND_OFF_M
    at = points + (STAND_OFF_M - np.where(found, hits.distance, 0.0))[:, None] * normals
    return np.where(found[:, None], at, points)


# ---- Bodies ---------------------------------------------------------------------------------------------------------


def _smooth(values: Float[np.ndarray, "n k"], rounds: int) -> Float[np.ndarray, "n k"]:
    out = values.copy()
    for _ in range(rounds):
        out[1:-1] = 0.25 * out[:-2] + 0.5 * out[1:-1] + 0.25 * out[2:]
    return out


def streak(
    wall: Caster, trail: Trail, half_m: Float[np.ndarray, " n"], tall: float
) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """A rivulet along a trail: ``half_m`` wide to either side, ``tall`` times as high, closed against the wall."""
    if len(trail.points) < 4:
        return np.zeros((0, 3)), np.zeros((0, 3), int)
    points = _smooth(trail.points, 3)
    normals = _smooth(trail.normals, 6)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    along = np.gradient(points, axis=0)
    side = np.cross(normals, along)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    across = np.array([-1.0, -0.6, 0.0, 0.6, 1.0])
    count, rows = len(across), len(points)
    spread = points[:, None] + half_m[:, None, None] * across[None, :, None] * side[:, None]
    base = on_wall(wall, spread.reshape(-1, 3), np.repeat(normals, count, 0)).reshape(rows, count, 3)
    lift = tall * half_m[:, None] * (1 - across**2)[None]
    top = base + lift[..., None] * normals[:, None]
    top[[0, -1]] = base[[0, -1]]
    top[:, [0, -1]] = base[:, [0, -1]]
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(count - 1), indexing="ij")
    a = (i * count + j).ravel()
    upper = np.concatenate([np.stack([a, a + count, a + count + 1], 1), np.stack([a, a + count + 1, a + 1], 1)])
    if _mean_facing(top.reshape(-1, 3), upper, normals) < 0:
        upper = upper[:, ::-1]
    return _closed(top.reshape(-1, 3), base.reshape(-1, 3), upper)


def _mean_facing(points, faces, normals) -> float:
    a, b, c = (points[faces[:, k]] for k in range(3))
    return float(np.einsum("ij,j->i", np.cross(b - a, c - a), normals.mean(axis=0)).sum())


def _closed(top, base, upper) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """Join an upper side to the same surface below; where both coincide the border is shared."""
    same = (top == base).all(axis=1)
    below = np.where(same, np.arange(len(top)), len(top) + np.cumsum(~same) - 1)
    faces = np.concatenate([upper, below[upper][:, ::-1]])
    lower = below[upper]
    flat = (lower == upper).all(axis=1)
    keep = ~np.concatenate([flat, flat])
    return np.concatenate([top, base[~same]]), faces[keep]


def _dome() -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """A bead of radius 1 and height 1 on the plane z = 0, closed below."""
    sides, rings = 10, ((1.0, 0.0), (0.86, 0.38), (0.5, 0.8))
    turn = np.arange(sides) / sides * 2 * np.pi
    rows = [np.stack([r * np.cos(turn), r * np.sin(turn), np.full(sides, z)], 1) for r, z in rings]
    points = np.concatenate([*rows, [[0, 0, 1.0], [0, 0, 0.0]]])
    k, m = np.arange(sides), (np.arange(sides) + 1) % sides
    faces = []
    for ring in range(len(rings) - 1):
        a, b = ring * sides, (ring + 1) * sides
        faces += [np.stack([a + k, a + m, b + m], 1), np.stack([a + k, b + m, b + k], 1)]
    last = (len(rings) - 1) * sides
    faces.append(np.stack([last + k, last + m, np.full(sides, len(points) - 2)], 1))
    faces.append(np.stack([m, k, np.full(sides, len(points) - 1)], 1))
    return points, np.concatenate(faces)


def beads(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    radius_m: Float[np.ndarray, " n"],
    tall: float,
    long: Float[np.ndarray, " n"],
    wall: Caster | None = None,
) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """Drops that sit on a surface, ``tall`` over their radius, ``long`` times as long downhill; snug on a ``wall``."""
    dome, faces = _dome()
    down = np.array([0.0, 0.0, -1.0]) + 1e-3 * np.array([0.3, 0.7, 0.0])
    along = down - (normals @ down)[:, None] * normals
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    side = np.cross(normals, along)
    local = dome[None] * radius_m[:, None, None] * np.array([1.0, 1.0, tall])
    x = local[..., :1] * long[:, None, None] * along[:, None]
    foot = points[:, None] + x + local[..., 1:2] * side[:, None]
    if wall is not None:
        each = np.repeat(normals, len(dome), 0)
        foot = on_wall(wall, foot.reshape(-1, 3), each).reshape(foot.shape)
    vertices = foot + local[..., 2:] * normals[:, None]
    index = faces[None] + len(dome) * np.arange(len(points))[:, None, None]
    return vertices.reshape(-1, 3), index.reshape(-1, 3)


def scatter_on(
    wall: Part, trail: Trail, uniform: Float[np.ndarray, "n 3"], reach_m: float
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Points (and normals) of a wall's outer side, by area, nearer to a trail the likelier."""
    outer = wall.faces
    middle = wall.vertices[outer].mean(axis=1)
    every = trail.points[:: max(1, len(trail.points) // 24)]
    away = np.sqrt(np.square(middle[:, None] - every[None]).sum(axis=2).min(axis=1))
    outward = face_normals(wall.vertices, outer)
    seen = outward[:, 2] > -0.3 * np.linalg.norm(outward, axis=1)  # from an underside they would drip
    weight = face_areas(wall.vertices, outer) * np.exp(-away / reach_m) * (middle[:, 2] > 0.004) * seen
    if weight.sum() <= 0:
        return np.zeros((0, 3)), np.zeros((0, 3))
    share = np.cumsum(weight)
    face = np.searchsorted(share, uniform[:, 0] * share[-1] * (1 - 1e-12), side="right")
    s, t = np.sqrt(uniform[:, 1]), uniform[:, 2]
    bary = np.stack([1 - s, s * (1 - t), s * t], 1)
    normals = vertex_normals(wall.vertices, outer)[outer[face]]
    normal = np.einsum("nk,nkd->nd", bary, normals)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    return np.einsum("nk,nkd->nd", bary, wall.vertices[outer[face]]), normal
