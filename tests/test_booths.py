"""Booths: lenses as OpenCV has them, truth and colour through the same lens, depth from another place, clear errors."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import scenes
import yaml
from damageland.sim.blackbody import blackbody
from damageland.sim.booth import Camera, check_cameras, draw_booth, read_booth
from damageland.sim.camera import DepthView, depth_camera, pixel_rays, pixel_spread, project, straighten
from damageland.sim.capture import Capture, View
from damageland.sim.depth import record_depth
from damageland.sim.errors import DamagelandError
from damageland.sim.export.mvtec3d import point_image
from damageland.sim.lens import PINHOLE, Lens, distort, undistort
from damageland.sim.preview import preview_colour
from damageland.sim.scene import Scene
from damageland.sim.sensor import record_colour
from damageland.sim.shards import quantise_depth, read_shard, write_shard
from damageland.sim.truth import trace_truth

BOOTHS = sorted((Path(__file__).parents[1] / "assets" / "booths").glob("*.yaml"))
BARREL = Lens("brown_conrady", (-0.25, 0.08, 0.002, -0.001, -0.01))
FISHEYE = Lens("fisheye", (-0.03, 0.01, -0.004, 0.0006))


def small(cam: Camera, width: int = 128) -> Camera:
    """The same camera with fewer pixels."""
    scale = width / cam.width
    K = np.diag([scale, scale, 1.0]) @ cam.K
    return replace(cam, width=width, height=round(cam.height * scale), K=K, depth=None)


@pytest.mark.parametrize("lens", [BARREL, FISHEYE])
def test_lenses_are_opencvs_and_invert(lens: Lens):
    """Points go where OpenCV's own projection sends them, and come back within 1e-9."""
    xy = np.random.default_rng(0).uniform(-0.7, 0.7, (500, 2))
    points, zero, k = np.c_[xy, np.ones(len(xy))][:, None], np.zeros(3), np.array(lens.coefficients)
    opencv = cv2.fisheye.projectPoints if lens is FISHEYE else cv2.projectPoints
    expected = opencv(points, zero, zero, np.eye(3), k)[0].reshape(-1, 2)
    np.testing.assert_allclose(distort(lens, xy), expected, atol=1e-9)
    np.testing.assert_allclose(undistort(lens, distort(lens, xy)), xy, atol=1e-9)


@pytest.mark.parametrize("lens", [PINHOLE, BARREL, FISHEYE])
def test_rays_and_projection_agree(lens: Lens):
    """A point on the ray of a pixel is projected onto that pixel; the pixels' areas tile what they cover."""
    cam = replace(scenes.camera((0.3, -0.9, 0.6), (0, 0, 0.1), focal=40.0), lens=lens)
    origins, directions = pixel_rays(cam)
    uv, z = project(cam, origins + 0.7 * directions)
    v, u = np.mgrid[0 : cam.height, 0 : cam.width] + 0.5
    np.testing.assert_allclose(uv, np.stack([u.ravel(), v.ravel()], axis=1), atol=1e-6)
    np.testing.assert_allclose(z, 0.7)
    wide = straighten(cam)
    inside = (wide.u > 0) & (wide.u < wide.camera.width - 1) & (wide.v > 0) & (wide.v < wide.camera.height - 1)
    assert inside.all()
    local = directions @ cam.T_world_cam[:3, :3]
    border = np.ptp(local[:, 0]) * np.ptp(local[:, 1])
    assert 0.5 * border < pixel_spread(cam).sum() < 1.2 * border


@pytest.mark.parametrize("path", BOOTHS, ids=lambda path: path.stem)
def test_edges_of_truth_and_colour_coincide(path: Path):
    """Through every camera of every shipped booth, labels and the preview's colour have their edges at one place."""
    drawn = draw_booth(read_booth(path), np.random.default_rng(3))
    for cam in map(small, drawn.cameras):
        scene = Scene((scenes.pattern(cam),))
        bare = scenes.booth([cam], environment=np.ones((8, 16, 3)))
        colour = preview_colour([scene], bare, samples=16, seed=1)[0][cam.name]
        for offsets in scenes.edge_offsets(trace_truth(scene, bare)[cam.name].item, colour):
            assert len(offsets) > 100
            # A label's edge lies up to half a pixel off the true one; more would be a shift between the two.
            assert abs(offsets.mean()) < 0.06 and (abs(offsets) <= 0.55).mean() > 0.97 and abs(offsets).max() < 0.75


def rgbd(**sensor) -> Camera:
    """A camera whose depth sensor stands 200 mm to its left and looks inwards."""
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(np.array([0.0, 0.2, 0.0]))[0]
    T[0, 3] = -0.2
    view = DepthView(180, 135, np.array([[145.0, 0, 90], [0, 145, 67], [0, 0, 1]]), T, BARREL)
    exact = replace(scenes.SENSOR, noise_mm_at_1m=0.0, edge_loss=0.0, view=view, **sensor)
    return replace(scenes.camera((0, -0.5, 0.8), (0, 0, 0.05), size=(144, 108), focal=135.0, depth=exact), lens=FISHEYE)


def test_depth_from_another_place_is_registered_with_occlusion():
    """Where the sensor sees the surface, registered depth is the colour camera's own; elsewhere there is none."""
    cam = rgbd()
    booth = scenes.booth([cam], parts=(scenes.plane(half=2.0, item=0),))
    truth = trace_truth(Scene((scenes.box(sides=(0.15, 0.15, 0.2)),)), booth)["cam"]
    recorded = record_depth(truth, cam, np.random.default_rng(0))
    origins, directions = pixel_rays(cam)
    points = origins + truth.depth.reshape(-1, 1).astype(float) * directions
    there = depth_camera(cam)
    assert truth.sensor is not None
    uv, z = project(there, points)
    inside = (uv > 1).all(axis=1) & (uv[:, 0] < 179) & (uv[:, 1] < 134)
    column, row = np.clip(uv, 0, [179, 134]).astype(int).T
    seen = (inside & (np.abs(truth.sensor.depth[row, column] - z) < 0.01)).reshape(recorded.shape)
    edge = cv2.dilate(truth.depth, np.ones((5, 5))) - cv2.erode(truth.depth, np.ones((5, 5))) > 0.03
    hidden = (inside & (truth.sensor.depth[row, column] < z - 0.03)).reshape(recorded.shape) & ~edge
    hidden = cv2.erode(hidden.astype(np.uint8), np.ones((3, 3))) > 0
    assert hidden.sum() > 60 and (recorded[hidden] == 0).mean() > 0.98
    sure = seen & ~edge
    assert sure.mean() > 0.5 and (recorded[sure] > 0).mean() > 0.995
    assert np.abs(recorded - truth.depth)[sure & (recorded > 0)].max() < 0.02


@pytest.mark.parametrize("lens", [PINHOLE, BARREL, FISHEYE])
def test_shards_and_exports_keep_the_lens(lens: Lens, tmp_path: Path):
    """A view comes back with its lens; exported points of depth lie on the true surface, the lens undone."""
    cam = replace(scenes.camera((0.2, -0.5, 0.8), (0, 0, 0), focal=45.0), lens=lens)
    truth = trace_truth(Scene(()), scenes.booth([cam], parts=(scenes.plane(half=5.0, item=0),)))["cam"]
    rgb = np.zeros((cam.height, cam.width, 3), np.uint8)
    view = View("cam", rgb, cam.K, cam.T_world_cam, truth.depth.astype(np.float32), lens=lens)
    write_shard(tmp_path / "shard-000000.tar", [Capture("a", "p", "synthetic", (view,), False)])
    again = next(read_shard(tmp_path / "shard-000000.tar")).views[0]
    assert again.lens == lens
    points = point_image(quantise_depth(truth.depth), cam.K, again.lens).reshape(-1, 3)
    world = points[points[:, 2] > 0] @ cam.T_world_cam[:3, :3].T + cam.T_world_cam[:3, 3]
    assert len(world) > 1000 and np.abs(world[:, 2]).max() < 2e-4


def test_what_the_projector_cannot_reach_is_lost():
    """The shadow beside a box is as wide as baseline, focal length and both distances say."""
    sensor = replace(scenes.SENSOR, noise_mm_at_1m=0.0, edge_loss=0.0, baseline_m=0.1)
    cam = scenes.camera((0, -1e-4, 1.0), (0, 0, 0), size=(120, 90), focal=150.0, depth=sensor)
    parts = (scenes.plane(half=2.0, item=0),)
    truth = trace_truth(Scene((scenes.box(sides=(0.2, 0.2, 0.2)),)), scenes.booth([cam], parts=parts))["cam"]
    recorded = record_depth(truth, cam, np.random.default_rng(0))
    row = recorded[int(cam.K[1, 2])]
    left = int(cam.K[0, 2] - 0.1 * 150 / 0.8)  # where the box begins
    lost = int((row[left - 12 : left] == 0).sum())
    assert lost == pytest.approx(0.1 * 150 * (1 / 0.8 - 1 / 1.0), abs=1.5)
    assert (row[left + 2 : left + 40] > 0).all()


def test_noise_of_photons_and_of_reading():
    """A grey of 0.25 has the variance of its electrons and of the reading; the corners are darker by the vignetting."""
    cam = scenes.camera((0, 0, 1), (0, 0, 0), size=(128, 128), jpeg_quality=100, full_well_e=2000.0, read_e=15.0)
    picture = record_colour(np.full((128, 128, 3), 0.25), cam, 1.0, np.random.default_rng(0)).mean(axis=2) / 255
    linear = ((picture + 0.055) / 1.055) ** 2.4
    # JPEG thins out colour, so the mean of the channels keeps what their mean has.
    assert linear.std() == pytest.approx(np.sqrt(0.25 * 2000 + 15**2) / 2000 / np.sqrt(3), rel=0.08)
    dim = record_colour(np.full((128, 128, 3), 0.25), replace(cam, vignetting=0.5), 1.0, np.random.default_rng(0))
    assert ((dim[:4, :4] / 255 + 0.055) / 1.055).mean() ** 2.4 == pytest.approx(0.125, rel=0.08)


def test_lamps_have_their_colour_temperature_and_flicker():
    """6504 K is white, 3000 K is warm; a camera set to the lamp's temperature shows it grey; strength spreads."""
    np.testing.assert_allclose(blackbody(6504), 1.0, atol=0.05)
    assert blackbody(3000)[0] > 1.6 > 0.4 > blackbody(3000)[2]
    lamp = {"azimuth_deg": 0, "elevation_deg": 60, "distance_mm": 900, "size_mm": 200, "radiance": 5}
    spec = scenes.booth_spec().model_validate(
        {
            "name": "kelvin",
            "lights": [lamp | {"temperature_k": 3000, "flicker": 0.1}],
            "cameras": [CAMERA | {"white_balance_k": 3000}],
        }
    )
    drawn = [draw_booth(spec, np.random.default_rng(k)) for k in range(60)]
    colours = np.array([booth.lights[0].radiance for booth in drawn])
    balanced = colours * np.array(drawn[0].cameras[0].white_balance)
    assert np.ptp(balanced / balanced[:, 1:2], axis=1).max() < 1e-9
    assert colours[:, 1].std() / colours[:, 1].mean() == pytest.approx(0.1, rel=0.35)


CAMERA = {"name": "a", "hfov_deg": 40, "azimuth_deg": 0, "elevation_deg": 20, "distance_mm": 400}
LIGHT = {"azimuth_deg": 0, "elevation_deg": 60, "distance_mm": 900, "size_mm": 200, "radiance": 5}
POSED = {"name": "a", "fx": 300}
SKEW = [[1, 0, 0], [0, 0.8, 0], [0, 0, 1]]
MIRROR = [[1, 0, 0], [0, 1, 0], [0, 0, -1]]
BAD = {
    "light of zero size": ({"lights": [LIGHT | {"size_mm": 0}]}, ["lights.0.size_mm", "above 0", "found 0"]),
    "cold light": ({"lights": [LIGHT | {"temperature_k": 900}]}, ["lights.0.temperature_k", "1700", "kelvin"]),
    "skewed pose": (
        {"cameras": [POSED | {"T_world_cam": {"translation_mm": [0, 0, 900], "rotation": SKEW}}]},
        ["cameras.0.T_world_cam.rotation", "not a rotation", "0.36"],
    ),
    "mirrored pose": (
        {"cameras": [POSED | {"T_world_cam": {"translation_mm": [0, 0, 900], "rotation": MIRROR}}]},
        ["not a rotation", "mirrored"],
    ),
    "unknown model": (
        {"cameras": [CAMERA | {"distortion": {"model": "barrel", "k1": 0.1}}]},
        ["cameras.0.distortion.model", "'brown_conrady' or 'fisheye'", "'barrel'"],
    ),
    "foreign coefficient": (
        {"cameras": [CAMERA | {"distortion": {"model": "fisheye", "p1": 0.1}}]},
        ["fisheye has k1 k2 k3 k4, but no p1"],
    ),
    "folding lens": (
        {"cameras": [CAMERA | {"hfov_deg": 90, "distortion": {"model": "brown_conrady", "k1": -0.9}}]},
        ["booth.yaml", "camera a", "folds the picture", "smaller coefficients"],
    ),
    "two focal lengths": ({"cameras": [CAMERA | {"fx": 300}]}, ["hfov_deg or fx", "both"]),
    "no place": ({"cameras": [{"name": "a", "hfov_deg": 40, "azimuth_deg": 0}]}, ["distance_mm, elevation_deg"]),
    "two places": (
        {"cameras": [CAMERA | {"T_world_cam": {"translation_mm": [0, 0, 900], "rotation": np.eye(3).tolist()}}]},
        ["leave out azimuth_deg"],
    ),
    "unknown device": ({"cameras": [CAMERA | {"depth": {"preset": "kinect"}}]}, ["'kinect'", "kinect_v1"]),
    "disparity without a baseline": (
        {"cameras": [CAMERA | {"depth": {"disparity_px": [0.1, 0.2], "baseline_mm": [-20, 60]}}]},
        ["disparity_px needs baseline_mm", "0 is none"],
    ),
    "too fine a step": ({"cameras": [CAMERA | {"depth": {"quantum_mm": [0.01, 1]}}]}, ["quantum_mm", "0.1 or more"]),
    "fixed without gain": ({"cameras": [CAMERA | {"exposure": "fixed"}]}, ["exposure: fixed and gain"]),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_in_a_booth(case: str, tmp_path: Path):
    """Each is one error that names the file, the key and the value."""
    changes, words = BAD[case]
    path = tmp_path / "booth.yaml"
    path.write_text(yaml.safe_dump({"name": "bad", "cameras": [CAMERA]} | changes))
    with pytest.raises(DamagelandError) as error:
        read_booth(path)
    assert str(path) in str(error.value)
    assert "mistake(s)" not in str(error.value) or "1 mistake(s)" in str(error.value)
    for word in words:
        assert word in str(error.value), (word, str(error.value))


def test_values_of_a_depth_sensor_may_be_ranges_and_plain_numbers_draw_nothing():
    """Each draw lies in its range, and ranges move; a booth of plain numbers leaves the generator where it was."""
    depth = {"quantum_mm": [0.5, 1.5], "disparity_px": [0.05, 0.1], "baseline_mm": [50, 70], "view": {"fx": 200}}
    depth["view"] |= {"wobble_deg": [0.5, 2.0]}
    plain = {"quantum_mm": 0.5, "disparity_px": 0.05, "baseline_mm": 50, "view": {"fx": 200}}

    def draw(depth: dict, seed: int) -> Camera:
        text = {"name": "ranges", "cameras": [CAMERA | {"depth": depth}, CAMERA | {"name": "b", "aim_mm": [10, 90]}]}
        booth = draw_booth(scenes.booth_spec().model_validate(text), np.random.default_rng(seed))
        return booth.cameras[0] if depth is not plain else booth.cameras[1]

    sensors = [draw(depth, seed).depth for seed in range(20)]
    for name, low, high in (("quantum_mm", 0.5, 1.5), ("disparity_px", 0.05, 0.1), ("baseline_m", 0.05, 0.07)):
        values = [getattr(sensor, name) for sensor in sensors]
        assert low <= min(values) < max(values) <= high
    turns = [np.degrees(np.linalg.norm(cv2.Rodrigues(sensor.view.T_cam_depth[:3, :3])[0])) for sensor in sensors]
    assert 0.5 <= min(turns) < max(turns) <= 2.0
    with_defaults = draw_booth(
        scenes.booth_spec().model_validate(
            {"name": "r", "cameras": [CAMERA | {"depth": {}}, CAMERA | {"name": "b", "aim_mm": [10, 90]}]}
        ),
        np.random.default_rng(3),
    )
    np.testing.assert_array_equal(with_defaults.cameras[1].T_world_cam, draw(plain, 3).T_world_cam)


def test_camera_inside_the_item_is_refused():
    """The message names the camera and both places; beside the item, even within its bounding box, nothing is said."""
    item = Scene((scenes.box(sides=(0.3, 0.3, 0.3), centre=(0, 0, 0.15)),))
    with pytest.raises(DamagelandError, match=r"camera cam stands at \(100, 0, 200\) mm, inside the item.*300 x 300"):
        check_cameras(scenes.booth([scenes.camera((0.1, 0, 0.2), (0, 0, 0))]), item)
    check_cameras(scenes.booth([scenes.camera((0.1, 0, 0.31), (0, 0, 0))]), item)
