"""Exact truth per pixel from one ray cast through pixel centres: depth, normal, item, part, damage.

Labels are not anti-aliased: a pixel belongs to what the ray through its centre meets first. Damage is also labelled
through clear walls: a missing unit in its blister is seen, though the ray meets the dome first.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt16

from .booth import Booth
from .camera import Camera, DepthSensor, depth_camera, pixel_rays, pixel_spread, project
from .rays import Caster, Hits, build_caster, cast, occluded, split_clear, walk
from .scene import Part, Scene
from .world import Paints, build_paints, paint_at

CLEAR = 0.5
"""Labels and depth sensors look through faces whose material passes more light than this."""
LAYERS = 16
"""Clear faces that they look through at most."""


@dataclass(frozen=True)
class Truth:
    """What one camera would record without any flaw."""

    depth: Float[np.ndarray, "h w"]
    """z-depth [m] of the first surface, clear or not; 0 where nothing is hit."""
    depth_behind: Float[np.ndarray, "h w"]
    """z-depth [m] of the first opaque surface; 0 where there is none."""
    normal: Float[np.ndarray, "h w 3"]
    """Unit geometric normal in the world frame, towards the camera; 0 where nothing is hit."""
    normal_behind: Float[np.ndarray, "h w 3"]
    """Of the first opaque surface."""
    item: UInt8[np.ndarray, "h w"]
    """Of the first surface, as is ``part``."""
    part: UInt16[np.ndarray, "h w"]
    """8 * (1 + position in scene.parts) + position in SURFACES; 0 for tray and background."""
    damage: UInt8[np.ndarray, "h w"]
    """Bit mask of KINDS of all surfaces up to the first opaque one, amodal where a surface is gone."""
    metallic: Float[np.ndarray, "h w"]
    """Of the first opaque surface: what a depth sensor loses on."""
    visible_mm2: Float[np.ndarray, "7"]
    """Surface area seen per kind of damage; a pixel counts once, on the first surface that bears the kind."""
    reflectance: Float[np.ndarray, "h w"] | None = None
    """Matt share of light that the first opaque surface sends back; where a depth sensor asks for it, else None."""
    roughness: Float[np.ndarray, "h w"] | None = None
    """Of the first opaque surface, likewise."""
    paired: Bool[np.ndarray, "h w"] | None = None
    """Whether the sensor's projector or second camera sees the first opaque surface, likewise."""
    sensor: "Truth | None" = None
    """What a depth sensor with a place of its own sees, in its own pixels."""


def gather(caster: Caster, hits: Hits, name: str, dtype: type) -> np.ndarray:
    """A per-face attribute of the parts at each hit, 0 where nothing is hit."""
    return _at_hits(hits, np.concatenate([getattr(part, name) for part in caster.parts]).astype(dtype))


def _at_hits(hits: Hits, joined: np.ndarray) -> np.ndarray:
    """Values of the joined mesh's faces, 0 where nothing is hit; the mesh may be empty."""
    nothing = np.zeros((1, *joined.shape[1:]), joined.dtype)
    return np.concatenate([joined, nothing])[hits.row]


def _geometric_normals(caster: Caster, hits: Hits, directions: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    normal = _at_hits(hits, caster.normals)
    normal *= np.where(np.einsum("ij,ij->i", normal, directions) > 0, -1.0, 1.0)[:, None]
    return normal


def _metallic(caster: Caster, hits: Hits) -> Float[np.ndarray, " n"]:
    tables = [np.array([m.metallic for m in part.materials]) for part in caster.parts]
    faces = [table[part.material] for table, part in zip(tables, caster.parts, strict=True)]
    return _at_hits(hits, np.concatenate(faces).astype(float))


def _part_codes(caster: Caster, hits: Hits, scene_parts: int) -> UInt16[np.ndarray, " n"]:
    """8 * (1 + part) + surface for the scene's parts, and 0 for the booth's and for nothing."""
    joined = [
        np.uint16(8 * (k + 1)) + part.surface.astype(np.uint16)
        if k < scene_parts
        else np.zeros(len(part.faces), np.uint16)
        for k, part in enumerate(caster.parts)
    ]
    return _at_hits(hits, np.concatenate(joined))


@dataclass(frozen=True)
class _Casters:
    first: Caster
    """All that is there."""
    opaque: Caster
    """Without clear faces."""
    ghost: Caster | None
    """Opaque faces that are gone."""
    clear: Caster | None
    """Clear faces, there or gone."""
    paints: Paints | None
    """Of the opaque faces; None if no sensor asks."""


def _build_casters(scene: Scene, booth: Booth) -> _Casters:
    there = (*scene.parts, *booth.parts)
    first, split = build_caster(there), split_clear(there, CLEAR)
    opaque = first if split is None else split[0]
    lost = split_clear(scene.gone, CLEAR) if scene.gone else None
    ghost = lost[0] if lost else build_caster(scene.gone) if scene.gone else None
    clear: tuple[Part, ...] = (split[1].parts if split else ()) + (lost[1].parts if lost else ())
    asked = any(camera.depth is not None and needs_paint(camera.depth) for camera in booth.cameras)
    paints = build_paints(opaque.parts) if asked else None
    return _Casters(first, opaque, ghost, build_caster(clear) if clear else None, paints)


def needs_paint(sensor: DepthSensor) -> bool:
    """Whether what a depth sensor records depends on more than shape and metal."""
    return sensor.dark_signal > 0 or sensor.shine_loss > 0 or sensor.kind == "time_of_flight"


def trace_truth(scene: Scene, booth: Booth) -> dict[str, Truth]:
    """Truth for each camera."""
    casters = _build_casters(scene, booth)
    return {camera.name: _trace_view(camera, casters, len(scene.parts)) for camera in booth.cameras}


def _trace_view(camera: Camera, casters: _Casters, scene_parts: int) -> Truth:
    """Truth of a camera, and of its depth sensor where that stands elsewhere."""
    if camera.depth is None:
        return _trace_camera(camera, casters, scene_parts)
    there = depth_camera(camera)
    if there is camera:
        return _trace_sensor(camera, casters, scene_parts)
    return replace(_trace_camera(camera, casters, scene_parts), sensor=_trace_sensor(there, casters, scene_parts))


def _trace_sensor(camera: Camera, casters: _Casters, scene_parts: int) -> Truth:
    """Truth with what a depth sensor depends on besides."""
    truth, sensor = _trace_camera(camera, casters, scene_parts), camera.depth
    assert sensor is not None
    painted = casters.paints is not None and needs_paint(sensor)
    if not painted and sensor.baseline_m == 0:
        return truth
    rays = pixel_rays(camera)
    if casters.paints is not None and painted:
        hits = cast(casters.opaque, *rays)
        base, metallic, roughness = np.zeros((len(hits.part), 3)), *(np.zeros(len(hits.part)) for _ in range(2))
        hit = np.flatnonzero(hits.part >= 0)
        met = hits.take(hit)
        base[hit], metallic[hit], roughness[hit] = paint_at(casters.paints, casters.opaque.joined(met), met.weights)
        reflectance = base.mean(axis=1) * (1 - metallic)
        shape = truth.depth.shape
        truth = replace(truth, reflectance=reflectance.reshape(shape), roughness=roughness.reshape(shape))
    if sensor.baseline_m == 0:
        return truth
    return replace(truth, paired=_seen_by_both(camera, sensor.baseline_m, casters.opaque, truth, rays))


def _seen_by_both(
    camera: Camera, baseline_m: float, opaque: Caster, truth: Truth, rays: tuple[np.ndarray, np.ndarray]
) -> Bool[np.ndarray, "h w"]:
    """Whether the other eye, a baseline further along x, sees what each pixel sees.

    A second camera has the same lens, and so a border that it does not see; a projector lights more than is seen.
    """
    other = camera.T_world_cam.copy()
    other[:3, 3] += baseline_m * other[:3, 0]
    z = truth.depth_behind.reshape(-1)
    at = rays[0] + z[:, None] * rays[1]
    uv, _ = project(replace(camera, T_world_cam=other), at)
    inside = (uv >= 0).all(axis=1) & (uv[:, 0] < camera.width) & (uv[:, 1] < camera.height)
    if camera.depth is not None and camera.depth.kind != "active_stereo":
        inside[:] = True
    to = other[:3, 3] - at
    # From a little off the surface: the ray must not meet the surface that it starts from.
    start = at + 1e-3 * to / np.maximum(np.linalg.norm(to, axis=1, keepdims=True), 1e-9)
    hidden = occluded(opaque, start, to, np.full(len(to), 0.99))
    return (inside & (z > 0) & ~hidden).reshape(truth.depth.shape)


def _trace_camera(camera: Camera, casters: _Casters, scene_parts: int) -> Truth:
    shape = (camera.height, camera.width)
    rays = pixel_rays(camera)
    first = casters.first
    hits = cast(first, *rays)
    behind = hits if casters.opaque is first else cast(casters.opaque, *rays)
    normal = _geometric_normals(first, hits, rays[1])
    normal_behind = normal if behind is hits else _geometric_normals(casters.opaque, behind, rays[1])
    damage, area_mm2 = _seen_damage(camera, casters, behind, normal_behind, rays)
    items = np.array([*(part.item for part in first.parts), 0], np.uint8)
    return Truth(
        depth=_depth(hits).reshape(shape),
        depth_behind=_depth(behind).reshape(shape),
        normal=normal.reshape(*shape, 3),
        normal_behind=normal_behind.reshape(*shape, 3),
        item=items[hits.part].reshape(shape),
        part=_part_codes(first, hits, scene_parts).reshape(shape),
        damage=damage.reshape(shape),
        metallic=_metallic(casters.opaque, behind).reshape(shape),
        visible_mm2=area_mm2,
    )


def _depth(hits: Hits) -> Float[np.ndarray, " n"]:
    return np.where(hits.part >= 0, hits.distance, 0.0).astype(np.float32)


def _seen_damage(
    camera: Camera,
    casters: _Casters,
    behind: Hits,
    normal_behind: Float[np.ndarray, "n 3"],
    rays: tuple[np.ndarray, np.ndarray],
) -> tuple[UInt8[np.ndarray, " n"], Float[np.ndarray, "7"]]:
    """Labels up to the first opaque surface, gone ones among them, and their areas."""
    directions, spread = rays[1], pixel_spread(camera).reshape(-1)
    damage = gather(casters.opaque, behind, "damage", np.uint8)
    depth, normal = behind.distance, normal_behind
    if casters.ghost is not None:
        lost = cast(casters.ghost, *rays)
        in_front = lost.distance < depth
        damage = np.where(in_front, gather(casters.ghost, lost, "damage", np.uint8), damage)
        depth = np.where(in_front, lost.distance, depth)
        normal = np.where(in_front[:, None], _geometric_normals(casters.ghost, lost, directions), normal)
    if casters.clear is None:
        return damage, _seen_area(spread, damage, depth, normal, directions)
    seen, area = np.zeros_like(damage), np.zeros(7)
    for at, met in walk(casters.clear, rays[0], rays[1], depth, layers=LAYERS):
        new = gather(casters.clear, met, "damage", np.uint8) & ~seen[at]
        met_normal = _geometric_normals(casters.clear, met, directions[at])
        area += _seen_area(spread[at], new, met.distance, met_normal, directions[at])
        seen[at] |= new
    return seen | damage, area + _seen_area(spread, damage & ~seen, depth, normal, directions)


def _seen_area(spread: Float[np.ndarray, " n"], damage, depth, normal, directions) -> Float[np.ndarray, "7"]:
    """Area per kind: a pixel at z-depth z sees z² a / |n · d| of surface; a is its area at z = 1, where d ends."""
    hit = np.flatnonzero(np.isfinite(depth) & (damage > 0))
    facing = np.abs(np.einsum("ij,ij->i", normal[hit], directions[hit]))
    area = depth[hit] ** 2 * spread[hit] / np.maximum(facing, 0.05)
    return np.array([1e6 * area[(damage[hit] >> bit) & 1 == 1].sum() for bit in range(7)])
