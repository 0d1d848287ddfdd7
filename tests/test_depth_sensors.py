"""Depth sensors of each kind: noise, losses, flying pixels, multipath and steps are what their settings say."""

from dataclasses import replace

import numpy as np
import pytest
import scenes
from damageland.sim.booth import Camera, DepthSensor, DepthSpec, _draw_depth
from damageland.sim.boothspec import SENSORS
from damageland.sim.depth import bounced_light, record_depth
from damageland.sim.scene import Material, Scene
from damageland.sim.truth import Truth, trace_truth
from test_sensor import flat_truth, narrow

QUIET = replace(scenes.SENSOR, noise_mm_at_1m=0.0, edge_loss=0.0)
TOF = replace(QUIET, kind="time_of_flight")


def recorded(truth: Truth, cam: Camera, seed: int = 0) -> np.ndarray:
    return record_depth(truth, cam, np.random.default_rng(seed)).astype(float)


def card(reflectance: float, distance: float, sensor: DepthSensor) -> tuple[Truth, Camera]:
    cam = narrow(sensor)
    truth = flat_truth(cam, distance)
    shape = truth.depth.shape
    return replace(truth, reflectance=np.full(shape, reflectance), roughness=np.ones(shape)), cam


def test_time_of_flight_noise_grows_with_distance_and_darkness():
    """Twice as far is twice the spread, a quarter of the light is twice the spread; a floor is never left."""
    sensor = replace(TOF, noise_mm_at_1m=2.0)
    near, far, dark = ((recorded(*card(*at, sensor)) - at[1]).std() for at in ((0.8, 1.0), (0.8, 2.0), (0.2, 1.0)))
    assert near == pytest.approx(2e-3, rel=0.05)
    assert far == pytest.approx(2 * near, rel=0.03) and dark == pytest.approx(2 * near, rel=0.03)
    assert (recorded(*card(0.8, 0.5, replace(TOF, floor_mm=3.0))) - 0.5).std() == pytest.approx(3e-3, rel=0.05)


def test_part_of_the_noise_stays_the_same():
    """Two captures of a camera share the stated part of the variance; another camera's pattern differs."""
    truth, cam = card(0.8, 1.0, replace(QUIET, noise_mm_at_1m=2.0, fixed_share=0.6))
    a, b = (recorded(truth, cam, seed).ravel() for seed in (1, 2))
    c = recorded(truth, replace(cam, name="other"), 2).ravel()
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(0.6, abs=0.05)
    assert abs(np.corrcoef(a, c)[0, 1]) < 0.05


def test_too_little_light_is_no_return():
    """At the stated signal half is lost, far above it nothing, far below it all."""
    sensor = replace(QUIET, dark_signal=0.1)
    lost = [float((recorded(*card(rho, 1.0, sensor)) == 0).mean()) for rho in (0.8, 0.1, 0.01)]
    assert lost[0] < 0.01 and 0.35 < lost[1] < 0.65 and lost[2] > 0.98
    truth, cam = card(0.8, 1.0, replace(QUIET, shine_loss=0.5))
    varnished = replace(truth, roughness=np.full(truth.depth.shape, 0.03))
    assert (recorded(truth, cam) > 0).all() and 0.3 < (recorded(varnished, cam) == 0).mean() < 0.6


def test_steps_of_disparity():
    """Every depth is focal length times baseline over a whole number of steps."""
    sensor = replace(QUIET, quantum_mm=0.1, noise_mm_at_1m=8.0, disparity_px=0.125, baseline_m=0.075)
    truth, cam = card(0.8, 1.3, sensor)
    steps = cam.K[0, 0] * 0.075 / recorded(truth, cam) / 0.125
    assert len(np.unique(np.round(steps))) > 20
    assert np.abs(steps - np.round(steps)).max() < 0.06  # the last tenth of a millimetre is rounded


def stage(sensor: DepthSensor) -> tuple[Truth, Camera]:
    """A box before a floor, seen from above."""
    cam = scenes.camera((0, -1e-4, 1.0), (0, 0, 0), size=(96, 96), focal=100.0, depth=sensor)
    parts = (scenes.plane(scenes.GREY, half=3.0, item=0),)
    booth = scenes.booth([cam], parts=parts)
    return trace_truth(Scene((scenes.box(scenes.GREY, sides=(0.4, 0.4, 0.2)),)), booth)["cam"], cam


@pytest.mark.parametrize("kind", ["active_stereo", "time_of_flight"])
def test_flying_pixels_lie_between_near_and_far(kind):
    """Only beside edges, and by time of flight nearer to the near side, which sends back more."""
    truth, cam = stage(replace(QUIET, kind=kind, flying=1.0))
    depth = recorded(truth, cam)
    off = (np.abs(depth - 0.8) > 2e-3) & (np.abs(depth - 1.0) > 2e-3)
    assert 300 < off.sum() < 700 and ((depth[off] > 0.8) & (depth[off] < 1.0)).all()
    mean = depth[off].mean()
    assert mean == pytest.approx(0.9, abs=0.008) if kind == "active_stereo" else mean < 0.892


def test_lateral_noise_frays_edges_only():
    """Depth is near or far, never between; far from edges nothing moves."""
    truth, cam = stage(replace(QUIET, lateral_px=1.0))
    moved = np.abs(recorded(truth, cam) - truth.depth) > 0.1
    assert 100 < moved.sum() < 900
    assert not moved[:16].any() and not moved[40:56, 40:56].any()


def test_multipath_makes_corners_deeper():
    """A wall on a white floor looks millimetres deeper near the corner; a black one hardly, a lone floor not at all."""
    cam = scenes.camera((0, -0.9, 0.5), (0, 0.0, 0.05), size=(72, 72), focal=90.0, depth=replace(TOF, multipath=1.0))
    floor = scenes.plane(Material("white", (0.9, 0.9, 0.9), 0.0, 1.0), half=0.6, item=0)
    bias = {}
    for value in (0.9, 0.05):
        wall = scenes.box(Material("wall", (value,) * 3, 0.0, 1.0), sides=(1.2, 0.02, 0.5), centre=(0, 0.25, 0.25))
        truth = trace_truth(Scene((wall,)), scenes.booth([cam], parts=(floor,)))["cam"]
        near_corner = (truth.item == 0) & (truth.depth > 0) & (np.roll(truth.item, 6, axis=0) == 1)
        bias[value] = 1000 * float(bounced_light(truth, cam)[near_corner].mean())
        depth = recorded(truth, cam)
        shift = 1000 * (depth - truth.depth)[near_corner & (depth > 0)].mean()
        assert shift == pytest.approx(bias[value], abs=0.3)
    assert 3 < bias[0.9] < 60 and bias[0.05] < 0.15 * bias[0.9]
    alone = trace_truth(Scene(()), scenes.booth([cam], parts=(floor,)))["cam"]
    assert bounced_light(alone, cam).max() < 1e-6


@pytest.mark.parametrize("path", sorted(SENSORS.glob("*.yaml")), ids=lambda path: path.stem)
def test_devices_record_a_scene(path):
    """Every shipped device sees box and floor, loses some of it, and stays within centimetres of the truth."""
    spec = DepthSpec.model_validate({"preset": path.stem, "view": {"width": 160, "height": 120}})
    sensor = _draw_depth(spec, np.random.default_rng(0))
    truth, cam = stage(sensor)
    depth = recorded(truth, cam)
    there = depth > 0
    assert 0.5 < there.mean() < 1.0
    assert np.median(np.abs(depth - truth.depth)[there]) < 0.004
    assert (depth != recorded(truth, cam, 1)).any() and (depth == recorded(truth, cam, 0)).all()
