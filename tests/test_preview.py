"""The preview renderer: light against closed forms and integrals, the environment's convention, twins, and Cycles."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import scenes
from damageland.sim import preview
from damageland.sim.booth import AreaLight, Booth, Camera
from damageland.sim.preview import preview_colour
from damageland.sim.scene import Material, Part, Scene
from damageland.sim.shading import mirror, surroundings, unit
from damageland.sim.truth import pixel_rays, trace_truth


def shoot(scene: Scene, cam: Camera, *, samples: int = 8, seed: int = 0, **booth) -> np.ndarray:
    return preview_colour([scene], scenes.booth([cam], **booth), samples=samples, seed=seed)[0][cam.name]


def down(size: int = 24, height: float = 1.0, focal: float = 240.0) -> Camera:
    return scenes.camera((0, -1e-4, height), (0, 0, 0), size=(size, size), focal=focal)


def lamp(at, size=(0.3, 0.2), radiance=(5.0, 4.0, 3.0), facing=(0.0, 0.0, -1.0)) -> AreaLight:
    """A rectangle that shines along ``facing``."""
    z = -np.asarray(facing, float) / np.linalg.norm(facing)
    x = np.cross([0.3, 1.0, 0.2], z)
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = np.stack([x, np.cross(z, x), z], axis=1), at
    return AreaLight(T, size, radiance)


def irradiance(light: AreaLight, point: np.ndarray, normal: np.ndarray, *, grid: int = 200) -> np.ndarray:
    """E = L ∫ cos θ cos θ' / r² dA by the midpoint rule."""
    s = (np.arange(grid) + 0.5) / grid - 0.5
    a, b = (c.ravel() for c in np.meshgrid(s * light.size_m[0], s * light.size_m[1]))
    T = light.T_world_light
    to = T[:3, 3] + a[:, None] * T[:3, 0] + b[:, None] * T[:3, 1] - point
    r = np.linalg.norm(to, axis=1)
    cosines = np.clip(to @ normal / r, 0, None) * np.clip(to @ T[:3, 2] / r, 0, None)
    return np.array(light.radiance) * (cosines / r**2).mean() * light.size_m[0] * light.size_m[1]


def waves(height: int = 64) -> np.ndarray:
    """A smooth environment without symmetry: radiance 1.2 + the direction's x, y, z."""
    polar = (np.arange(height) + 0.5)[:, None] / height * np.pi
    azimuth = (np.arange(2 * height) + 0.5)[None] / (2 * height) * 2 * np.pi - np.pi
    return 1.2 + np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar) + 0 * azimuth], axis=-1
    )


@pytest.mark.parametrize("albedo", [1.0, 0.5, 0.1])
def test_diffuse_plane_in_a_furnace(albedo: float):
    """Under radiance 1 from everywhere a matt plane sends back its albedo, plus at most the 4-6 % of its gloss."""
    floor = scenes.plane(Material("matt", (albedo, albedo / 2, albedo), 0.0, 1.0), half=5.0)
    picture = shoot(Scene((floor,)), down(), environment=np.ones((16, 32, 3)))
    mean = picture.mean(axis=(0, 1))
    assert albedo * 0.98 <= mean[0] <= albedo + 0.06
    assert albedo / 2 * 0.98 <= mean[1] <= albedo / 2 + 0.06
    assert picture.std() < 0.5 * albedo + 0.01 and mean[2] == pytest.approx(mean[0], rel=1e-5)


@pytest.mark.parametrize("roughness", [0.0, 0.3, 1.0])
def test_metal_in_a_furnace(roughness: float):
    """Metal of whatever roughness sends back its colour: the furnace has no direction."""
    floor = scenes.plane(Material("metal", (0.9, 0.6, 0.3), 1.0, roughness), half=5.0)
    picture = shoot(Scene((floor,)), down(), environment=np.ones((16, 32, 3)))
    np.testing.assert_allclose(picture.mean(axis=(0, 1)), [0.9, 0.6, 0.3], rtol=0.03)


@pytest.mark.parametrize("target", [(1, 0, 0), (-1, 0.2, 0.3), (0.1, 1, -0.5), (0.2, -1, 1)])
def test_environment_is_seen_where_it_is(target: tuple[float, float, float]):
    """Rays that miss return the radiance of their direction: row 0 is up, azimuth grows from -180° with the column."""
    cam = scenes.camera((0, 0, 0), target, size=(32, 24), focal=30.0)
    far = scenes.box(centre=(0, 0, -50.0), sides=(0.1, 0.1, 0.1))
    picture = shoot(Scene((far,)), cam, environment=waves())
    unit = pixel_rays(cam)[1]
    unit = (unit / np.linalg.norm(unit, axis=1, keepdims=True)).reshape(24, 32, 3)
    np.testing.assert_allclose(picture, 1.2 + unit, atol=0.05)


def test_mirror_shows_the_environment():
    """A flat mirror returns the radiance of the reflected direction."""
    cam = scenes.camera((-0.4, -0.3, 0.8), (0, 0, 0), size=(32, 32))
    picture = shoot(Scene((scenes.plane(scenes.MIRROR, half=5.0),)), cam, environment=waves())
    unit = pixel_rays(cam)[1]
    unit = (unit / np.linalg.norm(unit, axis=1, keepdims=True)).reshape(32, 32, 3)
    np.testing.assert_allclose(picture, 1.2 + unit * [1, 1, -1], atol=0.06)


@pytest.mark.parametrize(
    ("at", "facing"),
    [((0.0, 0.0, 1.2), (0, 0, -1)), ((0.5, 0.2, 0.6), (-0.5, -0.2, -0.6)), ((-0.3, 0.4, 0.9), (0, 0, -1))],
)
def test_area_light_matches_its_integral(at, facing):
    """Radiance of a chalk floor is E / pi within 5 %, for lamps overhead and slanted."""
    light = lamp(at, facing=facing)
    picture = shoot(Scene((scenes.plane(half=5.0),)), down(16), samples=64, lights=(light,))
    want = irradiance(light, np.zeros(3), np.array([0, 0, 1.0])) / np.pi
    assert want.min() > 0.01
    np.testing.assert_allclose(picture.mean(axis=(0, 1)), want, rtol=0.05)


def test_light_shines_one_way_and_casts_shadows():
    """Turned away it lights nothing; behind a board it lights nothing; half hidden it gives about half."""
    floor, light = scenes.plane(half=5.0), lamp((0, 0, 1.6), size=(0.4, 0.4))
    cam = replace(down(16), T_world_cam=scenes.look_at(np.array([0.3, -0.3, 0.5]), np.zeros(3)))
    lit = shoot(Scene((floor,)), cam, samples=32, lights=(light,)).mean()
    assert lit > 0.05
    away = lamp((0, 0, 1.6), size=(0.4, 0.4), facing=(0, 0, 1.0))
    assert shoot(Scene((floor,)), cam, lights=(away,)).max() == 0
    board = scenes.plane(half=1.0, z=1.0, item=0)
    assert shoot(Scene((floor, board)), cam, lights=(light,)).max() < 1e-6
    side = scenes.plane(half=1.0, z=1.5, centre=(1.0, 0), item=0)
    assert shoot(Scene((floor, side)), cam, samples=64, lights=(light,)).mean() == pytest.approx(lit / 2, rel=0.15)


def test_texture_is_upright():
    """Row 0 of a texture is v = 1, u grows to the right; its sRGB is linearised."""
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:32, :, 0], picture[:, 32:, 1] = 188, 255
    floor = scenes.plane(replace(scenes.CHALK, base_color_texture=picture), half=0.5)
    corners = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    floor = replace(floor, uv=corners[floor.faces])
    cam = scenes.camera((0, -1e-4, 1), (0, 0, 0), size=(40, 40), focal=40.0)
    seen = shoot(Scene((floor,)), cam, environment=np.ones((16, 32, 3)))
    local = pixel_rays(cam)[1].reshape(40, 40, 3)
    x, y = local[..., 0], local[..., 1]
    sure = (np.abs(x) > 0.05) & (np.abs(y) > 0.05) & (np.abs(x) < 0.45) & (np.abs(y) < 0.45)
    np.testing.assert_allclose(seen[sure & (y > 0)][:, 0], 0.503, atol=0.08)
    assert seen[sure & (y < 0)][:, 0].max() < 0.1
    np.testing.assert_allclose(seen[sure & (x > 0)][:, 1], 1.0, atol=0.08)
    assert seen[sure & (x < 0)][:, 1].max() < 0.1


def twins() -> tuple[Scene, Scene]:
    """Two items of which the second has a piece missing on one side, so that fewer rays hit it."""
    kept = scenes.box(Material("metal", (0.8, 0.8, 0.8), 1.0, 0.3), sides=(0.1, 0.1, 0.1), centre=(-0.6, 0, 0.05))
    lost = scenes.box(scenes.GREY, sides=(0.1, 0.1, 0.3), centre=(0.6, 0, 0.15), name="lost")
    return Scene((kept, lost)), Scene((kept, replace(lost, vertices=lost.vertices * [1, 1, 0.3])))


def test_twins_have_the_same_noise_where_nothing_changed():
    """Pixels that no ray from which reaches the change are equal to the last bit, though other rays were lost."""
    cam = scenes.camera((0, -1.6, 0.4), (0, 0, 0.1), size=(64, 40), focal=60.0)
    booth = scenes.booth([cam], environment=waves(), lights=(lamp((-0.8, -0.8, 1.2), facing=(0.2, 0.8, -1.2)),))
    floor = scenes.plane(half=0.9, item=0)
    whole, damaged = (Scene((*scene.parts, floor)) for scene in twins())
    a, b = (picture["cam"] for picture in preview_colour([whole, damaged], booth, samples=2, seed=3))
    assert np.abs(a - b)[:, 40:].max() > 0.1, "the change is seen"
    left = slice(0, 24)
    same = (a[:, left] == b[:, left]).all(axis=2)
    assert same.mean() > 0.99
    truth = trace_truth(whole, booth)["cam"]
    assert same[(truth.part[:, left] == 8)].all(), "metal and its reflections"
    grain = a[:, left][truth.depth[:, left] > 0]
    assert grain.std() > 0.005


def test_same_seed_same_bytes_and_no_nan():
    """The renderer repeats to the byte, another seed differs, and no pixel is negative or not a number."""
    cam = scenes.camera((0, -1.2, 0.5), (0, 0, 0.1), size=(32, 24))
    booth = scenes.booth([cam], environment=waves(), lights=(lamp((0, 0, 1.0)),))
    scene = twins()[0]
    a, b, c = (preview_colour([scene], booth, samples=2, seed=s)[0]["cam"] for s in (1, 1, 2))
    assert a.tobytes() == b.tobytes() != c.tobytes()
    assert a.dtype == np.float32 and a.shape == (24, 32, 3)
    assert np.isfinite(a).all() and a.min() >= 0


# Clear walls

CLEAR = Material("clear", (1.0, 1.0, 1.0), 0.0, 0.0, transmission=1.0)
GREEN = replace(CLEAR, base_color=(0.36, 0.81, 0.25))
SIDE_LAMP = lamp((0.8, 0.0, 0.9), facing=(-0.8, 0, -0.9))


def checker() -> Part:
    """A floor of red-brown and white squares of 10 cm."""
    squares = np.where((np.indices((20, 20)).sum(0) % 2 > 0)[..., None], (150, 60, 40), 235).astype(np.uint8)
    floor = scenes.plane(replace(scenes.CHALK, base_color_texture=np.kron(squares, np.ones((8, 8, 1), np.uint8))))
    return replace(floor, uv=np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])[floor.faces], item=0)


def fresnel(cosine: np.ndarray) -> np.ndarray:
    """Schlick's share for glass as smooth as the renderer takes it."""
    return 0.04 + (0.97 - 0.04) * (1 - cosine) ** 5


def test_clear_pane_changes_nothing_but_for_its_gloss():
    """Behind a white pane of transmission 1 in a dark room everything is dimmed by what the pane mirrors, no more."""
    cam = scenes.camera((0, -0.5, 0.9), (0, 0, 0), size=(40, 40), focal=50.0)
    pane = scenes.plane(CLEAR, half=0.1, z=0.5, centre=(0.0, -0.22))
    without, behind = (shoot(Scene(parts), cam, lights=(SIDE_LAMP,)) for parts in ((checker(),), (checker(), pane)))
    through = trace_truth(Scene((checker(), pane)), scenes.booth([cam]))["cam"].item.astype(bool)
    unit = pixel_rays(cam)[1]
    down = np.abs(unit[:, 2] / np.linalg.norm(unit, axis=1)).reshape(40, 40, 1)
    edge = cv2.dilate(through.astype(np.uint8), np.ones((3, 3))) != cv2.erode(through.astype(np.uint8), np.ones((3, 3)))
    inside = through & ~edge
    want = (without * (1 - fresnel(down)))[inside]
    assert inside.sum() > 100 and want.std() > 0.1 * want.mean(), "the checker is seen"
    np.testing.assert_allclose(behind[inside], want, rtol=0.01, atol=1e-4)
    # Where the pane's shadow does not fall, and it is not seen, nothing changes at all.
    same = (without == behind).all(axis=2)
    assert same[~through & ~edge].mean() > 0.8


def test_tint_multiplies():
    """A clear wall has two faces, which together pass its tint and its transmission; two walls pass the product."""
    cam = scenes.camera((0, -1e-4, 0.9), (0, 0, 0), size=(16, 16), focal=60.0)
    floor = scenes.plane(half=5.0, item=0)
    smoked = replace(GREEN, base_color=(1.0, 1.0, 1.0), metallic=0.0, transmission=0.49)
    walls = [scenes.box(m, sides=(0.3, 0.3, 0.01), centre=(0, 0, z)) for m, z in ((GREEN, 0.5), (smoked, 0.6))]
    shown = [
        shoot(Scene((floor, *some)), cam, lights=(SIDE_LAMP,)).mean(axis=(0, 1)) for some in ((), walls[:1], walls)
    ]
    np.testing.assert_allclose(shown[1], shown[0] * GREEN.base_color * 0.96, rtol=0.02)
    dull = shoot(Scene((replace(floor, materials=(Material("black", (0.0, 0.0, 0.0), 1.0, 1.0),)), *walls)), cam,
                 lights=(SIDE_LAMP,)).mean(axis=(0, 1))  # fmt: skip
    np.testing.assert_allclose(shown[2] - dull, shown[1] * 0.49 * 0.96, rtol=0.06)


def test_shadow_of_a_clear_wall_is_light_and_tinted():
    """A lamp shines through a pane with its tint; through an opaque board not at all."""
    floor, light = scenes.plane(half=5.0), lamp((0, 0, 1.6), size=(0.2, 0.2))
    cam = replace(down(16), T_world_cam=scenes.look_at(np.array([0.3, -0.3, 0.5]), np.zeros(3)))
    lit, white, green, board = (
        shoot(Scene((floor, *some)), cam, samples=16, lights=(light,)).mean(axis=(0, 1))
        for some in (
            (),
            *((scenes.box(m, sides=(2, 2, 0.002), centre=(0, 0, 1.0)),) for m in (CLEAR, GREEN, scenes.CHALK)),
        )
    )
    np.testing.assert_allclose(white, 0.96 * lit, rtol=0.02)
    np.testing.assert_allclose(green, 0.96 * lit * GREEN.base_color, rtol=0.02)
    assert board.max() == 0


def test_clear_twins_share_their_noise_and_repeat():
    """Behind and on a bottle-like box all pixels are equal to the last bit in a twin that differs elsewhere."""
    cam = scenes.camera((0, -1.6, 0.4), (0, 0, 0.1), size=(64, 40), focal=60.0)
    booth = scenes.booth([cam], environment=waves(), lights=(lamp((-0.8, -0.8, 1.2), facing=(0.2, 0.8, -1.2)),))
    wall, fill = (
        scenes.box(m, sides=(side, side, 0.3), centre=(-0.55, 0, 0.15 + 0.001))
        for m, side in ((replace(GREEN, transmission=0.9), 0.2), (replace(CLEAR, roughness=0.3), 0.15))
    )
    panes = tuple(scenes.plane(CLEAR, half=0.1, z=0.4 + 0.01 * k, centre=(-0.55, 0)) for k in range(15))
    rest = (wall, fill, *panes, scenes.plane(half=0.9, item=0))
    whole, damaged = (Scene((scene.parts[1], *rest)) for scene in twins())
    a, b = (picture["cam"] for picture in preview_colour([whole, damaged], booth, samples=2, seed=3))
    assert np.abs(a - b)[:, 40:].max() > 0.1, "the change is seen"
    truth = trace_truth(whole, booth)["cam"]
    clear = truth.depth != truth.depth_behind
    assert clear.sum() > 100 and (a == b).all(axis=2)[clear].mean() > 0.97
    again = preview_colour([whole], booth, samples=2, seed=3)[0]["cam"]
    assert a.tobytes() == again.tobytes() and np.isfinite(a).all() and a.min() >= 0


def cycles_scene() -> tuple[Scene, Booth]:
    item = scenes.box(scenes.GREY, sides=(0.2, 0.2, 0.2))
    cam = scenes.camera((0.3, -0.9, 0.6), (0, 0, 0.08), size=(64, 64), focal=90.0)
    environment = np.full((16, 32, 3), 0.3)
    light = lamp((-0.5, -0.5, 1.0), radiance=(9.0, 9.0, 9.0), facing=(0.5, 0.5, -1.0))
    tray = scenes.plane(Material("tray", (0.3, 0.3, 0.3), 0.0, 0.9), half=2.0, item=0)
    return Scene((item,)), scenes.booth([cam], parts=(tray,), lights=(light,), environment=environment)


def test_preview_agrees_with_cycles():
    """A grey box under a lamp and a dim sky: mean brightness of item and tray within 15 % of the path tracer's."""
    from damageland.sim.cycles import cycles_colour

    scene, booth = cycles_scene()
    exact = cycles_colour([scene], booth, samples=4, seed=0)[0]["cam"]
    quick = preview_colour([scene], booth, samples=8, seed=0)[0]["cam"]
    item = trace_truth(scene, booth)["cam"].item > 0
    for region in (item, ~item):
        assert quick[region].mean() == pytest.approx(float(exact[region].mean()), rel=0.15)
    assert np.corrcoef(quick.mean(axis=2).ravel(), exact.mean(axis=2).ravel())[0, 1] > 0.9


def test_clear_wall_agrees_with_cycles():
    """A tinted clear wall and its shadow on a checker: mean colours within 12 % of the path tracer's."""
    from damageland.sim.cycles import cycles_colour

    scene, booth = cycles_scene()
    film = Material("film", (0.4, 0.9, 0.5), 0.0, 0.05, transmission=0.9)
    scene = Scene((scenes.box(film, sides=(0.25, 0.25, 0.002)),))
    booth = replace(booth, parts=(checker(),))
    exact = cycles_colour([scene], booth, samples=24, seed=0)[0]["cam"]
    quick = preview_colour([scene], booth, samples=16, seed=0)[0]["cam"]
    item = trace_truth(scene, booth)["cam"].item > 0
    assert item.sum() > 200
    for region in (item, ~item):
        np.testing.assert_allclose(quick[region].mean(axis=0), exact[region].mean(axis=0), rtol=0.12)
    assert np.corrcoef(quick[item].ravel(), exact[item].ravel())[0, 1] > 0.9


def test_kernels_say_what_their_formulas_say():
    """A smooth surface mirrors exactly, a rough one never into itself; harmonics and lengths are those of numpy."""
    rng = np.random.default_rng(0)
    normal, way = (unit(rng.normal(size=(500, 3)).astype(np.float32)) for _ in range(2))
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-6)
    view = way * np.sign(np.einsum("ij,ij->i", way, normal))[:, None]
    u, turn = rng.random(500, np.float32), 2 * np.pi * rng.random(500, np.float32)
    smooth, cosine = mirror(normal, view, np.zeros(500, np.float32), u, turn.astype(np.float32))
    expected = 2 * np.einsum("ij,ij->i", view, normal)[:, None] * normal - view
    np.testing.assert_allclose(smooth, expected, atol=1e-5)
    np.testing.assert_allclose(cosine, np.einsum("ij,ij->i", view, normal), atol=1e-5)
    rough, _ = mirror(normal, view, np.full(500, 0.7, np.float32), u, turn.astype(np.float32))
    assert np.einsum("ij,ij->i", rough, normal).min() >= -1e-5 and np.abs(rough - smooth).max() > 0.5
    moments = rng.normal(size=(9, 3)).astype(np.float32)
    np.testing.assert_allclose(surroundings(way, moments), np.maximum(preview._sh(way) @ moments, 0), atol=1e-5)
