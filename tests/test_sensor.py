"""Sensors: noise grows with distance, steps are steps, returns are lost where they would be, twins share exposure."""

from dataclasses import replace

import numpy as np
import pytest
import scenes
from damageland.sim.booth import Camera, DepthSensor, DepthSpec
from damageland.sim.depth import record_depth
from damageland.sim.scene import Scene
from damageland.sim.sensor import MEAN_TARGET, meter_exposure, record_colour
from damageland.sim.truth import Truth, trace_truth


def flat_truth(cam: Camera, distance: float, *, metallic: float = 0.0) -> Truth:
    """A wall square to the camera's axis."""
    shape = (cam.height, cam.width)
    depth = np.full(shape, distance, np.float32)
    normal = np.broadcast_to(-cam.T_world_cam[:3, 2], (*shape, 3)).copy()
    return Truth(
        depth=depth,
        depth_behind=depth,
        normal=normal,
        normal_behind=normal,
        item=np.ones(shape, np.uint8),
        part=np.full(shape, 8, np.uint16),
        damage=np.zeros(shape, np.uint8),
        metallic=np.full(shape, metallic),
        visible_mm2=np.zeros(7),
    )


def narrow(sensor: DepthSensor = scenes.SENSOR) -> Camera:
    """A long lens: all rays nearly along the axis."""
    return scenes.camera((0, 0, 1), (0, 0, 0), size=(128, 128), focal=2000.0, depth=sensor)


def spread_mm(distance: float, sensor: DepthSensor = scenes.SENSOR) -> float:
    cam = narrow(sensor)
    recorded = record_depth(flat_truth(cam, distance), cam, np.random.default_rng(0))
    assert (recorded > 0).all()
    return 1000 * float((recorded - distance).std())


def test_noise_grows_with_the_square_of_distance():
    """The spread at 1 m is what the sensor states within 5 %, and at z metres z² times that."""
    one = spread_mm(1.0)
    assert one == pytest.approx(scenes.SENSOR.noise_mm_at_1m, rel=0.05)
    for distance in (0.5, 2.0, 3.0):
        assert spread_mm(distance) == pytest.approx(one * distance**2, rel=0.05)
    assert spread_mm(1.0, replace(scenes.SENSOR, noise_mm_at_1m=3.0)) == pytest.approx(2 * one, rel=0.05)


def test_depth_is_unbiased():
    """Noise does not shift the surface."""
    cam = narrow()
    recorded = record_depth(flat_truth(cam, 0.8), cam, np.random.default_rng(1))
    assert float(recorded.mean()) == pytest.approx(0.8, abs=2e-4)


@pytest.mark.parametrize("quantum_mm", [0.1, 1.0, 2.5])
def test_depth_comes_in_steps(quantum_mm: float):
    """Every recorded depth is a whole number of steps, and finer noise is rounded away."""
    cam = narrow(replace(scenes.SENSOR, quantum_mm=quantum_mm, noise_mm_at_1m=0.001))
    recorded = record_depth(flat_truth(cam, 0.5003), cam, np.random.default_rng(0)).astype(np.float64)
    steps = recorded * 1000 / quantum_mm
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    assert np.abs(recorded - 0.5003).max() <= (quantum_mm / 2 + 0.01) / 1000


def test_no_return_where_truth_has_none():
    """Pixels that see nothing stay 0, whatever the noise."""
    cam = narrow(replace(scenes.SENSOR, noise_mm_at_1m=50.0))
    truth = flat_truth(cam, 1.0)
    depth = truth.depth.copy()
    depth[:, :64] = 0
    recorded = record_depth(replace(truth, depth=depth, depth_behind=depth), cam, np.random.default_rng(0))
    assert not recorded[:, :64].any()
    assert (recorded[:, 70:] > 0).mean() > 0.99


def test_grazing_surfaces_return_nothing():
    """A floor beyond the sensor's angle is lost altogether; nearer to the normal it is kept."""
    cam = scenes.camera((0, -1, 0.2), (0, 0, 0), size=(128, 128), focal=1200.0, depth=scenes.SENSOR)
    truth = trace_truth(Scene(()), scenes.booth([cam], parts=(scenes.plane(half=30.0, item=0),)))["cam"]
    recorded = record_depth(truth, cam, np.random.default_rng(0))
    u = (np.arange(128) + 0.5 - cam.K[0, 2]) / cam.K[0, 0]
    v = (np.arange(128) + 0.5 - cam.K[1, 2]) / cam.K[1, 1]
    length = np.sqrt(1 + v[:, None] ** 2 + u[None] ** 2)
    angle = np.degrees(np.arccos(np.clip(0.2 / np.maximum(truth.depth * length, 1e-9), 0, 1)))
    hit = truth.depth > 0
    assert not recorded[hit & (angle > 80.01)].any() and (hit & (angle > 80.01)).sum() > 50
    inner = hit & (angle < 79.9)
    assert inner.sum() > 300 and (recorded[inner] > 0).all()


def test_shiny_metal_loses_returns():
    """Metal has patchy holes, more of them the more gloss loses; paper of the same shape has none."""
    lost = {}
    for gloss, metallic in ((0.9, 1.0), (0.6, 1.0), (0.0, 1.0), (0.9, 0.0)):
        cam = scenes.camera((0, -0.7, 0.5), (0, 0, 0), size=(96, 96), focal=400.0)
        cam = replace(cam, depth=replace(scenes.SENSOR, gloss_loss=gloss))
        floor = scenes.plane(replace(scenes.MIRROR, metallic=metallic), half=5.0)
        truth = trace_truth(Scene((floor,)), scenes.booth([cam]))["cam"]
        recorded = record_depth(truth, cam, np.random.default_rng(3))
        lost[gloss, metallic] = float((recorded[truth.depth > 0] == 0).mean())
    assert lost[0.9, 1.0] == pytest.approx(0.9, abs=0.06) and lost[0.6, 1.0] == pytest.approx(0.6, abs=0.1)
    assert lost[0.9, 0.0] == lost[0.0, 1.0] == 0


def test_depth_edges_lose_returns():
    """Where near and far meet about half of the pixels return nothing."""
    cam = scenes.camera((0, 0, 1), (0, 0, 0), size=(96, 96), focal=100.0, depth=scenes.SENSOR)
    truth = trace_truth(Scene((scenes.box(centre=(0, 0, 0.2)),)), scenes.booth([cam], parts=(scenes.plane(item=0),)))
    exact = truth["cam"].depth
    recorded = record_depth(truth["cam"], cam, np.random.default_rng(0))
    jump = np.zeros(exact.shape, bool)
    jump[:, 1:] |= np.abs(np.diff(exact, axis=1)) > 0.02
    jump[:, :-1] |= np.abs(np.diff(exact, axis=1)) > 0.02
    assert 0.3 < (recorded[jump] == 0).mean() < 0.7
    assert (recorded[exact < 0.75] == 0).mean() < 0.2


def film_scene(sensor: DepthSensor) -> tuple[Camera, Truth, Truth]:
    """A tray, bare and with a clear box of 16 cm on its left side."""
    cam = scenes.camera((0, -0.3, 0.9), (0, 0, 0), size=(160, 160), focal=260.0, depth=sensor)
    film = scenes.box(replace(scenes.MIRROR, metallic=0.0, transmission=0.95), sides=(0.4, 0.6, 0.16))
    film = replace(film, vertices=film.vertices - [0.2, 0, 0])
    booth = scenes.booth([cam], parts=(scenes.plane(item=0),))
    bare, covered = (trace_truth(Scene(parts), booth)["cam"] for parts in ((), (film,)))
    return cam, bare, covered


def test_clear_walls_let_the_sensor_see_through():
    """Without clear losses the record is to the byte that of the scene without the clear wall."""
    cam, bare, covered = film_scene(replace(scenes.SENSOR, clear_loss=0.0, clear_first=0.0))
    assert (covered.depth < covered.depth_behind - 0.01).mean() > 0.2
    a, b = (record_depth(truth, cam, np.random.default_rng(2)) for truth in (bare, covered))
    np.testing.assert_array_equal(a, b)


def test_clear_walls_lose_returns_or_are_recorded_by_the_sensors_shares():
    """No return, the wall and what is behind come in the sensor's shares; beside the wall nothing changes."""
    sensor = replace(scenes.SENSOR, clear_loss=0.4, clear_first=0.2)
    cam, bare, covered = film_scene(sensor)
    clear = covered.depth < covered.depth_behind - 0.03
    records = [record_depth(covered, cam, np.random.default_rng(seed)) for seed in range(4)]
    got = np.stack([record[clear] for record in records])
    near = np.abs(got - covered.depth[clear]) < 0.01
    behind = np.abs(got - covered.depth_behind[clear]) < 0.01
    assert (got == 0).mean() == pytest.approx(0.4, abs=0.06)
    assert near.mean() == pytest.approx(0.2, abs=0.05) and behind.mean() == pytest.approx(0.4, abs=0.06)
    beside = covered.depth == covered.depth_behind
    alone = record_depth(bare, cam, np.random.default_rng(0))
    np.testing.assert_array_equal(records[0][beside], alone[beside])


def test_shares_of_clear_pixels_cannot_exceed_one():
    """The message says which settings to lower."""
    with pytest.raises(ValueError, match=r"clear_loss and clear_first .* lower one of them"):
        DepthSpec(clear_loss=0.7, clear_first=0.6)


def test_same_seed_same_bytes():
    """Both recorders repeat to the byte, and another seed differs."""
    cam = replace(narrow(), noise=0.02, blur_px=0.6)
    radiance = np.random.default_rng(0).random((128, 128, 3)).astype(np.float32)
    truth = flat_truth(cam, 0.7, metallic=1.0)
    for record in (
        lambda seed: record_colour(radiance, cam, 0.5, np.random.default_rng(seed)).tobytes(),
        lambda seed: record_depth(truth, cam, np.random.default_rng(seed)).tobytes(),
    ):
        assert record(4) == record(4) != record(5)


def test_exposure_meters_the_mean_and_spares_highlights():
    """A dull picture comes out at the target; twice the light, half the gain; a bright lamp lowers it; EV are stops."""
    cam = narrow()
    dull = np.full((64, 64, 3), 0.05)
    assert meter_exposure(dull, cam) * 0.05 == pytest.approx(MEAN_TARGET)
    assert meter_exposure(2 * dull, cam) == pytest.approx(meter_exposure(dull, cam) / 2)
    lamp = dull.copy()
    lamp[:16] = 5.0
    assert meter_exposure(lamp, cam) < meter_exposure(dull, cam) / 4
    assert meter_exposure(dull, replace(cam, exposure_ev=1.0)) == pytest.approx(2 * meter_exposure(dull, cam))
    assert np.isfinite(meter_exposure(np.zeros((8, 8, 3)), cam))


def test_colour_follows_the_srgb_curve():
    """Without noise a grey of linear 0.2140 is developed to 127 or 128, white balance scales channels, light clips."""
    cam = narrow()
    rng = np.random.default_rng
    grey = record_colour(np.full((32, 32, 3), 0.2140), cam, 1.0, rng(0))
    assert abs(grey.astype(int) - 127.5).max() <= 1.5
    warm = record_colour(np.full((32, 32, 3), 0.1), replace(cam, white_balance=(2.0, 1.0, 0.5)), 1.0, rng(0))
    assert warm[..., 0].mean() > warm[..., 1].mean() + 20 > warm[..., 2].mean() + 40
    assert record_colour(np.full((32, 32, 3), 9.0), cam, 1.0, rng(0)).min() >= 253
    assert record_colour(np.zeros((32, 32, 3)), cam, 1.0, rng(0)).max() <= 2


def test_twin_shares_noise_where_nothing_changed():
    """With one seed, pixels far from a change are equal to the byte in both pictures."""
    cam = replace(narrow(), noise=0.02, blur_px=0.5)
    radiance = np.full((128, 128, 3), 0.2)
    changed = radiance.copy()
    changed[:40, :40] = 0.6
    a, b = (record_colour(r, cam, 0.7, np.random.default_rng(1)) for r in (radiance, changed))
    np.testing.assert_array_equal(a[64:], b[64:])
    assert abs(a[:32, :32].astype(int) - b[:32, :32]).mean() > 20
