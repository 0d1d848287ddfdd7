"""Cycles: the picture lies where the rays say, has the radiance that physics says, and leaves nothing behind."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scenes as shared
from damageland.sim import cycles, system
from damageland.sim.booth import AreaLight, Booth, Camera
from damageland.sim.cycles import cycles_colour
from damageland.sim.errors import DamagelandError
from damageland.sim.lens import Lens
from damageland.sim.scene import Material, Part, Scene
from damageland.sim.truth import trace_truth
from damageland.sim.window import window_of
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

pytestmark = pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="needs damageland[render]")

ROOT = Path(__file__).resolve().parents[1]
MIRROR = Material("mirror", (1.0, 1.0, 1.0), metallic=1.0, roughness=0.0)
CHALK = Material("chalk", (1.0, 1.0, 1.0), roughness=1.0)
BLACK_METAL = Material("black", (0.0, 0.0, 0.0), metallic=1.0)


def look_at(eye, target, up=(0.0, 0.0, 1.0)) -> np.ndarray:
    z = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    x = np.cross(z, up) / np.linalg.norm(np.cross(z, up))
    pose = np.eye(4)
    pose[:3] = np.stack([x, np.cross(z, x), z, np.asarray(eye, float)], axis=1)
    return pose


def camera(pose, *, size=(48, 48), focal=(48.0, 48.0), centre=None, name="cam") -> Camera:
    cx, cy = centre if centre is not None else (size[0] / 2, size[1] / 2)
    K = np.array([[focal[0], 0, cx], [0, focal[1], cy], [0, 0, 1.0]])
    return Camera(name, size[0], size[1], K, pose, (1.0, 1.0, 1.0), 0.0, 0.0, 0.0, 90)


def down(**kwargs) -> Camera:
    """A camera 1 m above the origin: picture right is +x, picture up is +y."""
    return camera(look_at((0, 0, 1), (0, 0, 0), up=(0, 1, 0)), **kwargs)


def booth(cameras, *, lights=(), environment=None, parts=()) -> Booth:
    environment = np.zeros((8, 16, 3)) if environment is None else environment
    return Booth("test", tuple(cameras), tuple(lights), environment, tuple(parts))


def part(vertices, faces, *materials, uv=None, normals=None, material=None) -> Part:
    vertices, faces = np.asarray(vertices, float), np.asarray(faces)
    if normals is None:
        a, b, c = vertices[faces].transpose(1, 0, 2)
        flat = np.cross(b - a, c - a)
        normals = np.repeat((flat / np.linalg.norm(flat, axis=1, keepdims=True))[:, None], 3, axis=1)
    none = np.zeros(len(faces), np.uint8)
    return Part(
        name="part",
        vertices=vertices,
        faces=faces,
        uv=np.zeros((len(faces), 3, 2)) if uv is None else uv,
        normals=normals,
        materials=materials,
        material=none if material is None else material,
        surface=none,
        damage=none,
    )


def plane(*materials, half=1.0, **kwargs) -> Part:
    corners = np.array([[-1.0, -1.0], [1, -1], [1, 1], [-1, 1]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    vertices = np.concatenate([corners * half, np.zeros((4, 1))], axis=1)
    return part(vertices, faces, *materials, uv=((corners + 1) / 2)[faces], **kwargs)


def box(*materials, centre=(0.0, 0.0, 0.0), sides=(1.0, 1.0, 1.0)) -> Part:
    unit = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))])
    return part(unit * sides + centre, faces, *materials)


def rays(cam: Camera, *, sub: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Origins and directions, ``sub`` x ``sub`` per pixel, of shape [height * sub, width * sub, 3]."""
    u, v = np.meshgrid((np.arange(cam.width * sub) + 0.5) / sub, (np.arange(cam.height * sub) + 0.5) / sub)
    directions = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(cam.K).T @ cam.T_world_cam[:3, :3].T
    return np.broadcast_to(cam.T_world_cam[:3, 3], directions.shape), directions


def environment_radiance(environment: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Look the environment up by its documented convention, nearest pixel."""
    height, width = environment.shape[:2]
    azimuth = np.arctan2(directions[..., 1], directions[..., 0])
    polar = np.arccos(directions[..., 2] / np.linalg.norm(directions, axis=-1))
    column = ((azimuth + np.pi) / (2 * np.pi) * width).astype(int) % width
    return environment[np.minimum((polar / np.pi * height).astype(int), height - 1), column]


def smooth_environment(height=64) -> np.ndarray:
    """Slow waves, different in each channel and without any symmetry, continuous over the seam."""
    polar = (np.arange(height) + 0.5)[:, None] / height * np.pi
    azimuth = (np.arange(2 * height) + 0.5)[None] / (2 * height) * 2 * np.pi - np.pi
    x, y, z = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar) + 0 * azimuth
    return np.stack([1.2 + x, 1.2 + y, 1.2 + z], axis=-1)


def test_silhouette_lies_where_the_rays_hit():
    """A black box before a bright background: moving the rays by a quarter pixel anywhere makes the match worse."""
    item = box(BLACK_METAL, centre=(0.05, -0.02, 0.03), sides=(0.3, 0.2, 0.25))
    cam = camera(look_at((0.9, -0.7, 0.8), (0, 0, 0)), size=(72, 56), focal=(80.0, 95.0), centre=(31.3, 33.8))
    picture = cycles_colour(
        [Scene((item,))], booth([cam], environment=np.ones((8, 16, 3))), samples=128, seed=1, denoise=False
    )[0]
    measured = 1 - picture["cam"].mean(axis=2)
    scene = EmbreeScene()
    TriangleMesh(scene, item.triangles.astype(np.float32))
    sub = 8
    origins, directions = (array.reshape(-1, 3).astype(np.float32) for array in rays(cam, sub=sub))
    hit = (scene.run(origins, directions) >= 0).reshape(cam.height * sub, cam.width * sub).astype(float)

    def error(dx: int, dy: int) -> float:
        moved = np.roll(hit, (dy, dx), axis=(0, 1))
        coverage = moved.reshape(cam.height, sub, cam.width, sub).mean(axis=(1, 3))
        return float(((coverage > 0.5) ^ (measured > 0.5)).sum() + ((coverage - measured) ** 2).sum())

    step = sub // 4
    others = [error(dx, dy) for dx in (-step, 0, step) for dy in (-step, 0, step) if (dx, dy) != (0, 0)]
    assert error(0, 0) < min(others)
    coverage = hit.reshape(cam.height, sub, cam.width, sub).mean(axis=(1, 3))
    sure = (coverage < 0.1) | (coverage > 0.9)
    assert (coverage > 0.9).sum() > 100
    np.testing.assert_array_equal(coverage[sure] > 0.5, measured[sure] > 0.5)


def test_edges_through_a_lens_are_those_of_the_labels():
    """Through a strong barrel distortion colour's edges lie within half a pixel of the labels', on average on them."""
    cam = shared.camera((0.3, -0.9, 0.6), (0, 0, 0.1), size=(96, 72), focal=70.0)
    cam = replace(cam, lens=Lens("brown_conrady", (-0.25, 0.08, 0.004, -0.003, -0.01)))
    scene, bare = Scene((shared.pattern(cam),)), shared.booth([cam], environment=np.ones((8, 16, 3)))
    picture = cycles_colour([scene], bare, samples=24, seed=1, denoise=False)[0]["cam"]
    for offsets in shared.edge_offsets(trace_truth(scene, bare)["cam"].item, picture):
        assert len(offsets) > 80
        assert abs(offsets.mean()) < 0.06 and (abs(offsets) <= 0.55).mean() > 0.93 and abs(offsets).max() < 0.8


@pytest.mark.parametrize("target", [(1, 0, 0), (-1, 0.2, 0.3), (0.1, 1, -0.5), (0.2, -1, 1)])
def test_camera_sees_the_environment_at_its_azimuth_and_height(target):
    """Empty scene: each pixel holds the radiance that the latitude-longitude convention gives for its ray."""
    environment = smooth_environment()
    cam = camera(look_at((0, 0, 0), target), size=(32, 24), focal=(30.0, 30.0))
    picture = cycles_colour([Scene(())], booth([cam], environment=environment), samples=16, seed=0, denoise=False)[0][
        "cam"
    ]
    np.testing.assert_allclose(picture, environment_radiance(environment, rays(cam)[1]), atol=0.06)


@pytest.mark.parametrize("tilt_deg", [0.0, 10.0])
def test_mirror_reflects_about_the_shading_normal(tilt_deg):
    """A flat mirror shows the environment in the direction reflected about Part.normals, not about the face."""
    environment = smooth_environment()
    normal = np.array([np.sin(np.radians(tilt_deg)), 0.0, np.cos(np.radians(tilt_deg))])
    cam = camera(look_at((-0.4, -0.3, 0.8), (0, 0, 0)), size=(32, 32), focal=(60.0, 60.0))
    mirror = plane(MIRROR, half=2.0, normals=np.broadcast_to(normal, (2, 3, 3)).copy())
    picture = cycles_colour(
        [Scene((mirror,))], booth([cam], environment=environment), samples=16, seed=0, denoise=False
    )[0]["cam"]
    directions = rays(cam)[1]
    reflected = directions - 2 * (directions @ normal)[..., None] * normal
    np.testing.assert_allclose(picture, environment_radiance(environment, reflected), atol=0.08)


def test_hard_edges_stay_hard_though_vertices_are_shared():
    """Each face of a box with shared vertices is as even as a face of its own."""
    cam = down(size=(48, 48), focal=(90.0, 90.0))
    lamp = AreaLight(look_at((0.5, 0.3, 1), (0, 0, 0)) @ np.diag([1.0, -1, -1, 1]), (0.1, 0.1), (5.0, 5.0, 5.0))
    scenes = [Scene((box(CHALK, sides=(0.9, 0.9, 0.1)),)), Scene((plane(CHALK, half=0.45),))]
    scenes[1] = Scene((part(scenes[1].parts[0].vertices + np.array([0, 0, 0.05]), scenes[1].parts[0].faces, CHALK),))
    with_sides, alone = cycles_colour(scenes, booth([cam], lights=[lamp]), samples=64, seed=0, denoise=False)
    np.testing.assert_allclose(with_sides["cam"], alone["cam"], rtol=0.05)


def test_light_has_its_radiance_in_a_mirror_and_its_irradiance_on_chalk():
    """The mirror shows the light's colour on the right area; chalk below its middle has E / pi in closed form."""
    width, height, distance = 0.4, 0.3, 1.0
    lamp = AreaLight(
        look_at((0, 0, distance), (0, 0, 0), (0, 1, 0)) @ np.diag([1.0, -1, -1, 1]), (width, height), (4.0, 2.0, 1.0)
    )
    cam = camera(look_at((0, 0, 0.999), (0, 0, 0), (0, 1, 0)), size=(49, 49), focal=(160.0, 160.0), centre=(24.5, 24.5))
    scenes = [Scene((plane(MIRROR),)), Scene((plane(CHALK),))]
    mirror, chalk = (
        r["cam"] for r in cycles_colour(scenes, booth([cam], lights=[lamp]), samples=256, seed=2, denoise=False)
    )
    lit = mirror[..., 0] > 2
    np.testing.assert_allclose(np.median(mirror[lit], axis=0), (4, 2, 1), rtol=0.02)
    # The light's image lies as far behind the mirror as the light is before it.
    scale = cam.K[0, 0] / (distance + 0.999)
    assert lit.sum() == pytest.approx(width * height * scale**2, rel=0.08)
    assert lit.any(axis=0).sum() == pytest.approx(width * scale, abs=1.01)
    assert lit.any(axis=1).sum() == pytest.approx(height * scale, abs=1.01)
    # View factor of a rectangle seen from a parallel surface below its corner (Siegel and Howell), four times.
    a, b = width / 2 / distance, height / 2 / distance
    corner = a / np.hypot(1, a) * np.arctan(b / np.hypot(1, a)) + b / np.hypot(1, b) * np.arctan(a / np.hypot(1, b))
    expected = 4 * corner / (2 * np.pi) * np.array([4.0, 2.0, 1.0])
    np.testing.assert_allclose(chalk[20:29, 20:29].mean(axis=(0, 1)), expected, rtol=0.04)


def test_texture_is_upright_in_linear_light_and_times_the_factor():
    """Row 0 of the picture is v = 1; sRGB 188 is half the light; the factor multiplies."""
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:16, :16], picture[:16, 16:], picture[16:, :16], picture[16:, 16:] = (
        [188, 0, 0], [0, 188, 0], [0, 0, 188], [188, 188, 188],
    )  # fmt: skip
    print_ = Material("print", (1.0, 1.0, 0.5), roughness=1.0, base_color_texture=picture)
    cam = down(size=(32, 32), focal=(16.0, 16.0))
    shown = cycles_colour(
        [Scene((plane(print_),))], booth([cam], environment=np.ones((8, 16, 3))), samples=32, seed=0, denoise=False
    )
    quarters = shown[0]["cam"].reshape(2, 16, 2, 16, 3)[:, 4:12, :, 4:12].mean(axis=(1, 3))
    diffuse = quarters - quarters[0, 0, 1]  # less the white gloss, the same on all
    expected = np.array([[[0.5, 0, 0], [0, 0.5, 0]], [[0, 0, 0.25], [0.5, 0.5, 0.25]]])
    np.testing.assert_allclose(diffuse, expected, atol=0.04)


def test_metallic_roughness_texture_has_gltf_channels():
    """B makes the left half a metal, G the right half rough: only the rough half gathers light from the horizon."""
    texture = np.zeros((16, 16, 3), np.uint8)
    texture[:, :8], texture[:, 8:] = (0, 0, 255), (255, 255, 0)
    texture[..., 0] = 99
    horizon = np.zeros((32, 64, 3))
    horizon[12:20] = 1
    cam = down(size=(32, 32), focal=(16.0, 16.0))
    both = Material("both", (1.0, 1.0, 1.0), 1.0, 1.0, metallic_roughness_texture=texture)
    halved = Material("halved", (1.0, 1.0, 1.0), 0.0, 0.0, metallic_roughness_texture=texture)
    scenes = [Scene((plane(both),)), Scene((plane(halved),))]
    textured, factored = (
        r["cam"] for r in cycles_colour(scenes, booth([cam], environment=horizon), samples=64, seed=0, denoise=False)
    )
    assert textured[8:24, 4:12].max() < 0.01
    assert textured[8:24, 20:28].min() > 0.05
    assert factored[8:24, 4:12].min() > 0.05  # a factor of 0 leaves a smooth dielectric everywhere


def test_faces_take_the_material_they_name():
    """Two materials on one mesh, split by face."""
    red, green = Material("red", (1.0, 0.0, 0.0), roughness=1.0), Material("green", (0.0, 1.0, 0.0), roughness=1.0)
    item = plane(red, green, material=np.array([1, 0], np.uint8))
    shown = cycles_colour(
        [Scene((item,))], booth([down()], environment=np.ones((8, 16, 3))), samples=8, seed=0, denoise=False
    )[0]["cam"]
    below, above = shown[40, 40], shown[8, 8]  # face 0 is the lower right triangle
    assert below[1] > 10 * below[0] - 0.5 and below[1] > 0.7 and above[0] > 0.7 and above[1] < 0.2 and below[0] < 0.2


def test_clear_wall_tints_what_is_behind_and_casts_a_light_shadow():
    """A wall of two faces passes its tint times what is not mirrored, to the camera and to the lamp's light alike."""
    green = Material("green", (0.36, 0.81, 0.25), roughness=0.0, transmission=1.0)
    lamp = AreaLight(look_at((0.8, 0, 0.9), (0, 0, 0)) @ np.diag([1.0, -1, -1, 1]), (0.2, 0.2), (9.0, 9.0, 9.0))
    cam = down(size=(24, 24), focal=(60.0, 60.0))
    floor = plane(CHALK, half=3.0)
    low = box(green, centre=(0, 0, 0.05), sides=(1.0, 1.0, 0.002))
    high = box(green, centre=(0, 0, 0.7), sides=(0.4, 0.4, 0.002))
    bare, seen, shaded = (
        r["cam"].mean(axis=(0, 1))
        for r in cycles_colour(
            [Scene((floor, *some)) for some in ((), (high,), (low,))],
            booth([cam], lights=[lamp]), samples=128, seed=0, denoise=False,
        )
    )  # fmt: skip
    tint = np.array(green.base_color)
    np.testing.assert_allclose(seen, bare * tint * 0.96, rtol=0.04)
    # The shadow is tinted once more; light between floor and wall brightens it a little.
    aslant = 1 - 0.04 - 0.96 * (1 - 0.9 / np.hypot(0.8, 0.9)) ** 5
    np.testing.assert_allclose(shaded, bare * tint**2 * 0.96 * aslant, rtol=0.12)


@pytest.fixture
def pair() -> tuple[Booth, list[Scene]]:
    """Two cameras of different size, a tray, and an item with its twin that share one part."""
    lamp = AreaLight(look_at((0.3, 0, 1), (0, 0, 0)) @ np.diag([1.0, -1, -1, 1]), (0.2, 0.3), (6.0, 6.0, 5.0))
    cameras = [down(size=(32, 24)), camera(look_at((0.8, 0.2, 0.5), (0, 0, 0)), size=(24, 24), name="side")]
    tray = plane(Material("tray", base_color_texture=np.full((64, 64, 3), 120, np.uint8)))
    shared = box(CHALK, centre=(0.2, 0.1, 0.05), sides=(0.1, 0.1, 0.1))
    first = box(MIRROR, centre=(-0.1, 0.0, 0.1), sides=(0.2, 0.2, 0.2))
    second = box(CHALK, centre=(-0.1, 0.0, 0.05), sides=(0.2, 0.2, 0.1))
    world = booth(cameras, lights=[lamp], environment=smooth_environment(16), parts=[tray])
    return world, [Scene((first, shared)), Scene((second, shared))]


def test_twin_is_the_same_picture_as_alone_and_repeats_to_the_byte(pair):
    """Swapping parts leaves no trace of the scene before, nor of the call before."""
    world, scenes = pair
    together = cycles_colour(scenes, world, samples=4, seed=5)
    assert [{k: v.shape for k, v in r.items()} for r in together] == [{"cam": (24, 32, 3), "side": (24, 24, 3)}] * 2
    for scene, shown in zip(scenes, together, strict=True):
        alone = cycles_colour([scene], world, samples=4, seed=5)[0]
        for name in alone:
            np.testing.assert_array_equal(alone[name], shown[name])
    assert np.abs(together[0]["cam"] - together[1]["cam"]).max() > 0.1
    other_seed = cycles_colour(scenes[:1], world, samples=4, seed=6)[0]
    assert not np.array_equal(other_seed["cam"], together[0]["cam"])


@pytest.fixture
def small_item() -> tuple[Booth, Scene]:
    """A box with a print, off the middle of a picture that it fills to a small part, under a lamp."""
    squares = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.ones((4, 4)))[..., None] * np.array([200.0, 160, 90])
    card = Material("card", roughness=0.6, base_color_texture=squares.astype(np.uint8))
    item = box(card, centre=(0.21, 0.13, 0.05), sides=(0.2, 0.3, 0.1))
    uv = np.tile([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1.0]]], (len(item.faces) // 2, 1, 1))
    lamp = AreaLight(look_at((0.3, 0, 1), (0, 0, 0)) @ np.diag([1.0, -1, -1, 1]), (0.2, 0.3), (6.0, 6.0, 5.0))
    cam = camera(look_at((-0.5, -0.9, 1.1), (0, 0, 0)), size=(131, 97), focal=(110.0, 110.0))
    world = booth([cam], lights=[lamp], environment=smooth_environment(16), parts=[plane(CHALK, half=2.0)])
    return world, Scene((replace(item, uv=uv),))


def test_samples_are_spent_in_the_window_of_the_item_and_it_is_laid_back_to_the_pixel(small_item):
    """Away from the item the picture is that of few samples to the byte; in the window it is as good as of many."""
    world, scene = small_item
    window = window_of([scene], world.cameras[0])
    assert window is not None
    few, many = (cycles_colour([scene], world, samples=n, seed=3)[0]["cam"] for n in (4, 64))
    both = cycles_colour([scene], world, samples=64, around=4, seed=3)[0]["cam"]
    again = cycles_colour([scene], world, samples=64, around=4, seed=3)[0]["cam"]
    np.testing.assert_array_equal(both, again)
    inside = np.zeros(both.shape[:2], bool)
    inside[window.top : window.bottom, window.left : window.right] = True
    assert 0.05 < inside.mean() < 0.5
    np.testing.assert_array_equal(few[~inside], both[~inside])
    error = {name: np.abs(picture - many)[inside].mean() for name, picture in (("few", few), ("both", both))}
    moved = np.abs(np.roll(both, 1, axis=1) - many)[inside].mean()
    assert error["both"] < 0.4 * error["few"] and error["both"] < 0.3 * moved


def test_noise_saves_samples_where_a_picture_is_even(small_item):
    """A high threshold leaves the picture near that of all samples, and is another picture."""
    world, scene = small_item
    all_, some = (cycles_colour([scene], world, samples=96, noise=n, seed=3)[0]["cam"] for n in (0.0, 0.1))
    assert 0 < np.abs(all_ - some).mean() < 0.01 * all_.mean()


def test_nothing_is_left_behind(pair):
    """After many calls Blender holds as many data blocks as after one, and the process is hardly bigger."""
    bpy = cycles._start_blender().bpy

    def blocks() -> int:
        return sum(len(getattr(bpy.data, kind)) for kind in ("objects", "meshes", "images", "materials", "lights"))

    world, scenes = pair
    held, pages = [], []
    for seed in range(30):
        cycles_colour(scenes, world, samples=1, seed=seed)
        held.append(blocks())
        pages.append(int(Path("/proc/self/statm").read_text().split()[1]) if sys.platform == "linux" else 0)
    assert {held[0]} == set(held)
    assert (pages[-1] - pages[9]) * os.sysconf("SC_PAGE_SIZE") / 20 < 0.5e6


def test_denoising_brings_few_samples_nearer_to_many(pair):
    """With the denoiser, 8 samples are nearer to 1000 than without."""
    world, scenes = pair
    truth = cycles_colour(scenes[:1], world, samples=1000, seed=1, denoise=False)[0]["side"]
    errors = [
        np.abs(cycles_colour(scenes[:1], world, samples=8, seed=2, denoise=denoise)[0]["side"] - truth).mean()
        for denoise in (True, False)
    ]
    assert errors[0] < 0.9 * errors[1]


def test_timings_are_kept_per_scene(pair):
    """One entry per scene; samples cost time."""
    world, scenes = pair
    timings: list[cycles.CyclesTiming] = []
    cycles_colour(scenes, world, samples=2, seed=0, timings=timings)
    assert len(scenes) == len(timings)
    assert all(t.samples_s > 0 and t.build_s > 0 and t.read_s > 0 for t in timings)


def test_no_samples_is_an_error(pair):
    """The message names what was given."""
    with pytest.raises(DamagelandError, match="samples=0"):
        cycles_colour(pair[1], pair[0], samples=0, seed=0)


def test_missing_libraries_are_named_with_their_packages(monkeypatch):
    """Where Blender cannot load, the error says what to install; here a library that cannot exist."""
    monkeypatch.setitem(system.DEBIAN_PACKAGE, "libnowhere.so.9", "libnowhere9")
    assert cycles.missing_system_libraries() == ["libnowhere.so.9"]
    with pytest.raises(DamagelandError, match="apt-get install libnowhere9"):
        cycles._import_bpy()


def test_system_check_runs_before_anything_is_installed():
    """A bare Python runs the check in silence; the same list with a missing library gives one line and exit code 2."""
    script = ROOT / ".ci" / "check_system.py"
    result = subprocess.run([sys.executable, "-I", "-S", str(script)], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    break_it = f"import runpy; n = runpy.run_path({str(ROOT / 'sim' / 'system.py')!r}); "
    break_it += "n['DEBIAN_PACKAGE']['libnowhere.so.9'] = 'libnowhere9'; raise SystemExit(n['main']())"
    result = subprocess.run([sys.executable, "-I", "-S", "-c", break_it], capture_output=True, text=True)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1 and "apt-get install libnowhere9" in result.stderr


def test_import_is_lazy_and_a_rendering_process_ends_silent_with_its_own_exit_code():
    """Importing the module does not import Blender; rendering prints nothing; the exit code survives Blender's end."""
    code = """
import os, sys
import numpy as np
from damageland.sim import cycles
from damageland.sim.booth import Booth, Camera
from damageland.sim.scene import Scene
assert "bpy" not in sys.modules and "blenderproc" not in sys.modules
path, environment = list(sys.path), dict(os.environ)
K = np.array([[8.0, 0, 4], [0, 8, 4], [0, 0, 1]])
camera = Camera("c", 8, 8, K, np.eye(4), (1.0, 1.0, 1.0), 0.0, 0.0, 0.0, 90)
booth = Booth("b", (camera,), (), np.ones((4, 8, 3)), ())
picture = cycles.cycles_colour([Scene(())], booth, samples=1, seed=0, denoise=False)
assert abs(picture[0]["c"] - 1).max() < 0.01
assert set(path) <= set(sys.path) and environment == dict(os.environ)
assert "imageio" not in sys.modules or "site-packages" in str(sys.modules["imageio"].__file__)
print("done")
sys.exit(7)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (result.returncode, result.stdout) == (7, "done\n"), result.stderr
