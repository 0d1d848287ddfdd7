"""Pieces of ``bench_render.py`` beside photoreal colour: preview, truth, Mitsuba on the CPU, the memory of a worker."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from damageland.sim.booth import Booth
from damageland.sim.camera import Camera
from damageland.sim.scene import Material, Part, Scene, transform_part
from render_scene import bench_scene

REPEATS = 3
DEPTH = 3
"""Mitsuba's longest path: camera, surface, one more surface, light; the preview follows reflections as far."""


def preview(scene: Scene, booth: Booth, samples: int, clock) -> dict[str, np.ndarray]:
    """CPU seconds of all views, textures and ray tree included, and two pictures of the first with other seeds."""
    from damageland.sim.preview import preview_colour

    pictures, times = [], []
    for seed in range(REPEATS):
        start = clock()
        pictures.append(preview_colour([scene], booth, samples=samples, seed=seed)[0][booth.cameras[0].name])
        times.append(clock() - start)
    return {"picture_0": pictures[0], "picture_1": pictures[1], "cpu_s": np.array(min(times))}


def truth(scene: Scene, booth: Booth, clock) -> dict[str, np.ndarray]:
    """CPU seconds of all views."""
    from damageland.sim.truth import trace_truth

    times = []
    for _ in range(2 + REPEATS):
        start = clock()
        trace_truth(scene, booth)
        times.append(clock() - start)
    return {"cpu_s": np.array(min(times))}


def mitsuba(scene: Scene, booth: Booth, samples: int, clock) -> dict[str, np.ndarray]:
    """The same of Mitsuba's CPU variant that needs no LLVM; loading of the scene is charged as ours is."""
    import mitsuba as mi

    mi.set_variant("scalar_rgb")
    pictures, times = [], []
    with tempfile.TemporaryDirectory() as name:
        world = _mitsuba_world(mi, scene, booth, Path(name))
        for seed in range(REPEATS):
            start = clock()
            loaded = mi.load_dict(world)
            views = [
                np.array(mi.render(loaded, sensor=mi.load_dict(_mitsuba_camera(mi, camera)), spp=samples, seed=seed))
                for camera in booth.cameras
            ]
            times.append(clock() - start)
            pictures.append(views[0])
    return {"picture_0": pictures[0], "picture_1": pictures[1], "cpu_s": np.array(min(times))}


def _mitsuba_world(mi: Any, scene: Scene, booth: Booth, folder: Path) -> dict[str, Any]:
    world: dict[str, Any] = {"type": "scene", "integrator": {"type": "path", "max_depth": DEPTH}}
    for k, part in enumerate((*scene.parts, *booth.parts)):
        for m, material in enumerate(part.materials):
            faces = np.flatnonzero(part.material == m)
            if len(faces):
                path = folder / f"{k}_{m}.ply"
                _write_ply(part, faces, path)
                paint = _mitsuba_paint(mi, material)
                world[f"part{k}_{m}"] = {"type": "ply", "filename": str(path), "flip_tex_coords": True, "bsdf": paint}
    for k, light in enumerate(booth.lights):
        T = light.T_world_light @ np.diag([light.size_m[0] / 2, light.size_m[1] / 2, 1.0, 1.0])
        T = T @ np.diag([1.0, -1.0, -1.0, 1.0])  # Mitsuba's rectangle shines along +z
        emitter = {"type": "area", "radiance": {"type": "rgb", "value": list(light.radiance)}}
        world[f"light{k}"] = {"type": "rectangle", "to_world": mi.ScalarTransform4f(T), "emitter": emitter}
    # Mitsuba's map has y up and is seen from within; how it is turned does not matter for noise and time.
    picture = mi.Bitmap(np.ascontiguousarray(booth.environment, np.float32))
    turned = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
    return world | {"environment": {"type": "envmap", "bitmap": picture, "to_world": turned}}


def _mitsuba_paint(mi: Any, material: Material) -> dict[str, Any]:
    def texture(linear: np.ndarray) -> dict[str, Any]:
        return {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(linear, np.float32)), "raw": True}

    colour, rough = material.base_color_texture, material.metallic_roughness_texture
    base = (
        {"type": "rgb", "value": list(material.base_color)}
        if colour is None
        else texture((colour / 255) ** 2.2 * material.base_color)
    )
    factors: dict[str, Any] = {"roughness": max(material.roughness, 0.03), "metallic": material.metallic}
    if rough is not None:
        scaled = rough.astype(np.float32) / 255
        factors["roughness"] = texture(np.maximum(scaled[..., 1:2] * material.roughness, 0.03))
        factors["metallic"] = texture(scaled[..., 2:3] * material.metallic)
    return {"type": "twosided", "bsdf": {"type": "principled", "base_color": base, "specular": 0.5, **factors}}


def _mitsuba_camera(mi: Any, camera: Camera) -> dict[str, Any]:
    pose = camera.T_world_cam @ np.diag([-1.0, -1.0, 1.0, 1.0])  # x left, y up, z forward
    film = {"type": "hdrfilm", "width": camera.width, "height": camera.height, "rfilter": {"type": "box"}}
    fov = float(np.degrees(2 * np.arctan(camera.width / 2 / camera.K[0, 0])))
    to_world = mi.ScalarTransform4f(pose)
    return {"type": "perspective", "fov": fov, "to_world": to_world, "film": film, "sampler": {"type": "independent"}}


def _write_ply(part: Part, faces: np.ndarray, path: Path) -> None:
    corners = len(faces) * 3
    vertex = np.concatenate(
        [part.vertices[part.faces[faces]].reshape(-1, 3), part.normals[faces].reshape(-1, 3),
         part.uv[faces].reshape(-1, 2)], axis=1,
    ).astype("<f4")  # fmt: skip
    face = np.zeros(len(faces), [("n", "u1"), ("v", "<i4", 3)])
    face["n"], face["v"] = 3, np.arange(corners).reshape(-1, 3)
    names = "".join(f"property float {name}\n" for name in ("x", "y", "z", "nx", "ny", "nz", "u", "v"))
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {corners}\n{names}element face {len(faces)}\n"
    head += "property list uchar int vertex_indices\nend_header\n"
    path.write_bytes(head.encode() + vertex.tobytes() + face.tobytes())


def memory(count: int) -> dict[str, np.ndarray]:
    """Resident bytes of this process after each of many scenes with a twin each, in tiny pictures."""
    import psutil
    from damageland.sim.cycles import cycles_colour

    made = [bench_scene(name, views=2, side_px=32) for name in ("box", "tin")]
    process, held = psutil.Process(), []
    for k in range(count):
        scene, booth = made[k % 2]
        T = np.eye(4)
        T[:3, 3] = [0.0003 * k, 0, 0]
        parts = tuple(transform_part(part, T) for part in scene.parts)
        twin = replace(parts[0], vertices=1.01 * parts[0].vertices)
        cycles_colour([Scene(parts), Scene((twin, *parts[1:]))], booth, samples=1, seed=k)
        held.append(process.memory_info().rss)
    return {"held": np.array(held)}
