"""The scenes of ``bench_render.py``, and the files in which a BlenderProc user would have them."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import trimesh
from damageland.generators.compose import finish_product
from damageland.generators.contact import draw_products
from damageland.sim.booth import Booth, BoothSpec, draw_booth
from damageland.sim.camera import Camera
from damageland.sim.scene import Material, Part, Scene, transform_part
from damageland.sim.seed import generator_for
from damageland.sim.yamlfile import parse_mapping
from PIL import Image

FAMILIES = {"box": "folding_carton", "tin": "tin", "bottle": "pet_bottle", "blister": "blister"}
NAMES = ("box", "tin")
"""What the bench renders; the others are there to be looked at."""
SEED = 3
GAIN = 0.8
"""All light times this: exposed well as it is, for BlenderProc has no exposure metering."""

STATION = {
    "name": "bench",
    "tray_size_mm": 900,
    "tray": {"value": 0.12, "saturation": 0.05, "roughness": 0.6, "grain": 0.15},
    "walls": [{"azimuth_deg": 0, "distance_mm": 600, "surface": {"value": 0.15, "saturation": 0.05, "grain": 0.05}}],
    "lights": [
        {"azimuth_deg": -50, "elevation_deg": 55, "distance_mm": 800, "size_mm": 300, "radiance": 6},
        {"azimuth_deg": 70, "elevation_deg": 40, "distance_mm": 900, "size_mm": 200, "radiance": 5},
    ],
    "environment": {"ambient": 0.25, "panels": [6, 6], "panel_log10": [-1.0, 0.7]},
    "cameras": [
        {"name": name, "azimuth_deg": azimuth, "elevation_deg": elevation, "distance_mm": 360, "hfov_deg": 34,
         "aim_mm": 45, "depth": {}}
        for name, azimuth, elevation in (("front", 0, 15), ("left", -60, 30), ("right", 100, 25), ("top", 0, 80))
    ],
}  # fmt: skip
"""A tray, a wall, two lamps, windows around it, and four RGB-D cameras."""


def bench_scene(name: str, *, views: int, side_px: int) -> tuple[Scene, Booth]:
    """A product on the tray, and the station with its first cameras."""
    product = draw_products(FAMILIES[name], 1, seed=SEED)[0]
    item = finish_product(product)
    points = np.concatenate([part.vertices for part in item.parts])
    low, high = points.min(axis=0), points.max(axis=0)
    T = np.eye(4)
    T[:3, 3] = [*(-(low + high) / 2)[:2], -low[2]]
    booth = draw_booth(parse_mapping(STATION, BoothSpec, "the bench's station"), generator_for(SEED, 0, "bench"))
    scene = Scene(tuple(transform_part(part, T) for part in item.parts))
    return scene, replace(
        booth,
        cameras=tuple(_sized(camera, side_px) for camera in booth.cameras[:views]),
        lights=tuple(replace(lamp, radiance=tuple(GAIN * r for r in lamp.radiance)) for lamp in booth.lights),
        environment=GAIN * booth.environment,
    )


def _sized(camera: Camera, side: int) -> Camera:
    scale = np.diag([side / camera.width, side / camera.height, 1.0])
    return replace(camera, width=side, height=side, K=scale @ camera.K)


def hand_over(scene: Scene, booth: Booth, folder: Path) -> None:
    """Write what a BlenderProc user starts from: a GLB, an HDR picture, and a JSON of cameras and lamps."""
    folder.mkdir(parents=True, exist_ok=True)
    glb = trimesh.Scene()
    for k, part in enumerate((*scene.parts, *booth.parts)):
        for m, material in enumerate(part.materials):
            faces = np.flatnonzero(part.material == m)
            if len(faces):
                glb.add_geometry(_mesh(part, faces, material), node_name=f"part{k}_{m}", geom_name=f"part{k}_{m}")
    # glTF's y is up, and its importers turn it.
    glb.apply_transform(np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]]))
    (folder / "scene.glb").write_bytes(glb.export(file_type="glb", include_normals=True))
    # Blender's azimuth falls as the column grows.
    cv2.imwrite(str(folder / "surroundings.hdr"), booth.environment[:, ::-1, ::-1].astype(np.float32))
    cameras = [{"K": c.K.tolist(), "T_world_cam": c.T_world_cam.tolist()} for c in booth.cameras]
    lights = [
        {"T_world_light": light.T_world_light.tolist(), "size_m": light.size_m, "radiance": light.radiance}
        for light in booth.lights
    ]
    about = {"side_px": booth.cameras[0].width, "cameras": cameras, "lights": lights}
    (folder / "scene.json").write_text(json.dumps(about))


def _mesh(part: Part, faces: np.ndarray, material: Material) -> trimesh.Trimesh:
    """A mesh whose corners are vertices of their own, so that normals and seams stay."""
    corners = part.vertices[part.faces[faces]].reshape(-1, 3)
    colour, rough = (
        None if picture is None else Image.fromarray(picture)
        for picture in (material.base_color_texture, material.metallic_roughness_texture)
    )
    paint = trimesh.visual.material.PBRMaterial(
        baseColorFactor=[*material.base_color, 1.0],
        metallicFactor=material.metallic,
        roughnessFactor=material.roughness,
        baseColorTexture=colour,
        metallicRoughnessTexture=rough,
    )
    return trimesh.Trimesh(
        corners,
        np.arange(len(corners)).reshape(-1, 3),
        vertex_normals=part.normals[faces].reshape(-1, 3),
        visual=trimesh.visual.TextureVisuals(uv=part.uv[faces].reshape(-1, 2), material=paint),
        process=False,
    )
