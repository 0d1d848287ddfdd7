"""Exact truth per pixel from one ray cast through pixel centres: depth, normal, item, part, damage.

Labels are not anti-aliased: a pixel belongs to what the ray through its centre meets first.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from .booth import Booth, Camera
from .rays import Caster, Hits, build_caster, cast
from .scene import Scene


@dataclass(frozen=True)
class Truth:
    """What one camera would record without any flaw."""

    depth: Float[np.ndarray, "h w"]
    """z-depth [m], 0 where nothing is hit."""
    normal: Float[np.ndarray, "h w 3"]
    """Unit geometric normal in the world frame, towards the camera; 0 where nothing is hit."""
    item: UInt8[np.ndarray, "h w"]
    part: UInt16[np.ndarray, "h w"]
    """8 * (1 + position in scene.parts) + position in SURFACES; 0 for tray and background."""
    damage: UInt8[np.ndarray, "h w"]
    """Bit mask of KINDS, amodal where a surface is gone."""
    metallic: Float[np.ndarray, "h w"]
    """Of the material hit: what a depth sensor loses on."""
    visible_mm2: Float[np.ndarray, "7"]
    """Surface area seen per kind of damage."""


def pixel_rays(
    camera: Camera, *, offset: Float[np.ndarray, "h w 2"] | None = None
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Origin and direction of one ray per pixel, rows first; directions have z = 1 in the camera frame.

    Hence the distance of a hit is its z-depth. ``offset`` moves rays off the pixel centre, in pixels.
    """
    v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(np.float64)
    du, dv = (0.5, 0.5) if offset is None else (0.5 + offset[..., 0], 0.5 + offset[..., 1])
    K = camera.K
    x, y = (u + du - K[0, 2]) / K[0, 0], (v + dv - K[1, 2]) / K[1, 1]
    local = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)
    R, t = camera.T_world_cam[:3, :3], camera.T_world_cam[:3, 3]
    return np.broadcast_to(t, local.shape), local @ R.T


def gather(caster: Caster, hits: Hits, name: str, dtype: type) -> np.ndarray:
    """A per-face attribute of the parts at each hit, 0 where nothing is hit."""
    joined = np.concatenate([getattr(part, name) for part in caster.parts])
    index = np.where(hits.part >= 0, caster.first_face[hits.part] + hits.face, 0)
    shape = (-1,) + (1,) * (joined.ndim - 1)
    return np.where((hits.part >= 0).reshape(shape), joined[index], 0).astype(dtype)


def _geometric_normals(caster: Caster, hits: Hits, directions: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    triangles = np.concatenate([part.triangles for part in caster.parts])
    index = np.where(hits.part >= 0, caster.first_face[hits.part] + hits.face, 0)
    a, b, c = triangles[index].transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    normal *= np.where(np.einsum("ij,ij->i", normal, directions) > 0, -1.0, 1.0)[:, None]
    return np.where((hits.part >= 0)[:, None], normal, 0.0)


def _metallic(caster: Caster, hits: Hits) -> Float[np.ndarray, " n"]:
    tables = [np.array([m.metallic for m in part.materials]) for part in caster.parts]
    joined = np.concatenate([table[part.material] for table, part in zip(tables, caster.parts, strict=True)])
    index = np.where(hits.part >= 0, caster.first_face[hits.part] + hits.face, 0)
    return np.where(hits.part >= 0, joined[index], 0.0)


def _part_codes(caster: Caster, hits: Hits, scene_parts: int) -> UInt16[np.ndarray, " n"]:
    surface = gather(caster, hits, "surface", int)
    return np.where((hits.part >= 0) & (hits.part < scene_parts), 8 * (hits.part + 1) + surface, 0).astype(np.uint16)


def trace_truth(scene: Scene, booth: Booth) -> dict[str, Truth]:
    """Truth for each camera."""
    caster = build_caster((*scene.parts, *booth.parts))
    ghost = build_caster(scene.gone) if scene.gone else None
    return {camera.name: _trace_camera(camera, caster, ghost, scene) for camera in booth.cameras}


def _trace_camera(camera: Camera, caster: Caster, ghost: Caster | None, scene: Scene) -> Truth:
    shape = (camera.height, camera.width)
    origins, directions = pixel_rays(camera)
    hits = cast(caster, origins, directions)
    normal = _geometric_normals(caster, hits, directions)
    damage = gather(caster, hits, "damage", np.uint8)
    seen, seen_depth, seen_normal = damage, hits.distance, normal
    if ghost is not None:
        lost = cast(ghost, origins, directions)
        in_front = lost.distance < hits.distance
        seen = np.where(in_front, gather(ghost, lost, "damage", np.uint8), damage)
        seen_depth = np.where(in_front, lost.distance, hits.distance)
        seen_normal = np.where(in_front[:, None], _geometric_normals(ghost, lost, directions), normal)
    items = np.array([part.item for part in caster.parts])
    return Truth(
        depth=np.where(hits.part >= 0, hits.distance, 0.0).astype(np.float32).reshape(shape),
        normal=normal.reshape(*shape, 3),
        item=np.where(hits.part >= 0, items[hits.part], 0).astype(np.uint8).reshape(shape),
        part=_part_codes(caster, hits, len(scene.parts)).reshape(shape),
        damage=seen.reshape(shape),
        metallic=_metallic(caster, hits).reshape(shape),
        visible_mm2=_seen_area(camera, seen, seen_depth, seen_normal, directions),
    )


def _seen_area(camera: Camera, damage, depth, normal, directions) -> Float[np.ndarray, "7"]:
    """Area per kind: a pixel at z-depth z sees z² / (fx fy |n · d|) of surface; d has z = 1 in the camera frame."""
    facing = np.abs(np.einsum("ij,ij->i", normal, directions))
    hit = np.isfinite(depth) & (damage > 0)
    area = np.zeros(len(depth))
    area[hit] = depth[hit] ** 2 / (camera.K[0, 0] * camera.K[1, 1] * np.maximum(facing[hit], 0.05))
    return np.array([1e6 * area[(damage >> bit) & 1 == 1].sum() for bit in range(7)])
