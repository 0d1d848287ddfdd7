"""Truth: depth, labels and areas against what geometry says, and against the difference of twins."""

from dataclasses import replace
from functools import cache
from typing import Literal

import numpy as np
import pytest
import scenes
from damageland.generators.compose import Composed, compose
from damageland.generators.damage.crush import CrushConfig
from damageland.generators.recipe import DamageSpec, ProductSpec
from damageland.sim.booth import Camera
from damageland.sim.rays import build_caster, cast
from damageland.sim.scene import KINDS, SURFACES, Material, Scene
from damageland.sim.truth import Truth, pixel_rays, trace_truth

Generator = Literal["crush", "hole"]
Family = Literal["tin", "folding_carton"]
PENETRATION, DEFORMATION = KINDS.index("penetration"), KINDS.index("deformation")


def look(scene: Scene, cam: Camera, **booth) -> Truth:
    return trace_truth(scene, scenes.booth([cam], **booth))["cam"]


def surface_points(truth: Truth, cam: Camera) -> np.ndarray:
    """World points [h, w, 3] that the depth image says were hit."""
    origins, directions = pixel_rays(cam)
    return (origins + truth.depth.reshape(-1, 1) * directions).reshape(cam.height, cam.width, 3)


def test_rays_go_through_pixel_centres():
    """Projecting a point of each ray with K and the pose gives back (column + 0.5, row + 0.5), rows first, z = 1."""
    cam = scenes.camera((0.4, -0.7, 0.5), (0.05, 0, 0.1))
    origins, directions = pixel_rays(cam)
    points = origins + 0.73 * directions
    local = (points - cam.T_world_cam[:3, 3]) @ cam.T_world_cam[:3, :3]
    np.testing.assert_allclose(local[:, 2], 0.73, rtol=1e-12)
    pixel = local @ cam.K.T / local[:, 2:]
    rows, columns = np.mgrid[0 : cam.height, 0 : cam.width]
    np.testing.assert_allclose(pixel[:, 0], columns.ravel() + 0.5, atol=1e-9)
    np.testing.assert_allclose(pixel[:, 1], rows.ravel() + 0.5, atol=1e-9)
    shift = np.full((cam.height, cam.width, 2), (0.25, -0.5))
    moved = pixel_rays(cam, offset=shift)[1] @ cam.T_world_cam[:3, :3]
    step = moved - directions @ cam.T_world_cam[:3, :3]
    want = np.broadcast_to([0.25 / cam.K[0, 0], -0.5 / cam.K[1, 1]], (len(step), 2))
    np.testing.assert_allclose(step[:, :2], want, atol=1e-12)


@pytest.mark.parametrize("eye", [(0.3, -0.9, 0.6), (-0.5, 0.2, 1.1), (0.0, 0.0, 0.8)])
def test_depth_of_a_plane(eye: tuple[float, float, float]):
    """z-depth of the tray is the closed form to 10 µm, its normal is up, its item and part are 0."""
    cam = scenes.camera(eye, (0, 0, 0))
    truth = look(Scene(()), cam, parts=(scenes.plane(half=50.0, item=0),))
    _, directions = pixel_rays(cam)
    down = directions[:, 2].reshape(cam.height, cam.width)
    want = np.where(down < 0, -eye[2] / np.where(down < 0, down, -1), 0)
    near = (want > 0) & (want < 5)
    assert near.mean() > 0.5
    np.testing.assert_allclose(truth.depth[near], want[near], atol=1e-5)
    np.testing.assert_allclose(truth.normal[near], np.broadcast_to([0, 0, 1.0], truth.normal[near].shape), atol=1e-6)
    assert not truth.item.any() and not truth.part.any() and not truth.damage.any()


def test_depth_of_a_box():
    """Each pixel's depth is the slab intersection of its ray; hit points lie on the box; beyond it there is nothing."""
    sides, centre = np.array([0.3, 0.2, 0.25]), np.array([0.02, -0.01, 0.125])
    cam = scenes.camera((0.5, -0.8, 0.6), centre, size=(90, 80), focal=110.0)
    truth = look(Scene((scenes.box(sides=sides, centre=centre, damage=1 << DEFORMATION),)), cam)
    origins, directions = pixel_rays(cam)
    a, b = ((centre + sign * sides / 2 - origins) / directions for sign in (-1, 1))
    enter, leave = np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)
    want = np.where(enter < leave, enter, 0).reshape(cam.height, cam.width)
    sure = np.abs(leave - enter).reshape(want.shape) > 1e-4
    np.testing.assert_allclose(truth.depth[sure], want[sure], atol=1e-5)
    hit = truth.depth > 0
    assert 0.05 < hit.mean() < 0.8
    np.testing.assert_array_equal(truth.item > 0, hit)
    np.testing.assert_array_equal(truth.part, np.where(hit, 8, 0))
    np.testing.assert_array_equal(truth.damage, np.where(hit, 1 << DEFORMATION, 0))
    np.testing.assert_allclose(np.linalg.norm(truth.normal[hit], axis=1), 1, atol=1e-6)
    toward = np.einsum("ij,ij->i", truth.normal[hit], directions.reshape(*hit.shape, 3)[hit])
    assert (toward < 0).all()


def test_parts_are_numbered_and_hidden_by_what_is_in_front():
    """Part codes are 8 (1 + position) + surface; units keep their numbers; the tray in front hides both."""
    near, far = scenes.box(centre=(0, -0.3, 0.1)), scenes.box(centre=(0, 0.3, 0.2), sides=(0.4, 0.2, 0.4), item=2)
    inner = replace(far, surface=np.full(len(far.faces), SURFACES.index("inner"), np.uint8))
    cam = scenes.camera((0, -1.5, 0.4), (0, 0, 0.15), size=(80, 80), focal=120.0)
    truth = look(Scene((near, inner)), cam, parts=(scenes.plane(item=0),))
    assert set(np.unique(truth.part)) == {0, 8, 17} and set(np.unique(truth.item)) == {0, 1, 2}
    np.testing.assert_array_equal(truth.part == 8, truth.item == 1)
    np.testing.assert_array_equal(truth.part == 17, truth.item == 2)
    screen = scenes.box(scenes.GREY, sides=(18, 0.01, 18), centre=(0, -1, 0), item=0)
    hidden = look(Scene((near, inner)), cam, parts=(screen,))
    assert not hidden.item.any() and not hidden.part.any() and (hidden.depth > 0).all()


@pytest.mark.parametrize("eye", [(0, -0.05, 0.6), (0.4, -0.3, 0.5), (0.1, -0.5, 0.3)])
def test_visible_area_of_a_known_patch(eye: tuple[float, float, float]):
    """A labelled square of 80 mm has 6400 mm² within 2 %, from above and slanted; half hidden it has half."""
    patch = scenes.plane(half=0.04, z=0.001, damage=1 << PENETRATION)
    tray = scenes.plane(half=2.0, item=0)
    cam = scenes.camera(eye, (0, 0, 0), size=(320, 320), focal=900.0)
    truth = look(Scene((patch,)), cam, parts=(tray,))
    assert truth.visible_mm2[PENETRATION] == pytest.approx(6400, rel=0.02)
    assert not np.delete(truth.visible_mm2, PENETRATION).any()
    cover = replace(scenes.plane(half=0.02, item=0), vertices=patch.vertices * [1, 0.5, 1] + [0, 0.02, 2e-4])
    half = look(Scene((patch,)), cam, parts=(tray, cover))
    assert half.visible_mm2[PENETRATION] == pytest.approx(3200, rel=0.03)


def test_gone_surface_is_labelled_where_it_would_be():
    """Amodal: a missing lid is labelled over what is seen through its opening, unless something stands before it."""
    walls = scenes.box(sides=(0.2, 0.2, 0.2))
    top = (walls.vertices[walls.faces][..., 2] > 0.199).all(axis=1)
    lid = scenes.mesh_part(walls.vertices, walls.faces[top], scenes.CHALK, damage=1 << PENETRATION)
    opened = scenes.mesh_part(walls.vertices, walls.faces[~top], scenes.CHALK)
    cam = scenes.camera((0.1, -0.5, 0.7), (0, 0, 0.15), size=(80, 80), focal=130.0)
    whole, missing = look(Scene((walls,)), cam), look(Scene((opened,), (lid,)), cam)
    closed = look(Scene((lid, opened)), cam)
    np.testing.assert_array_equal(missing.damage > 0, closed.damage > 0)
    assert (missing.damage > 0).sum() > 200
    np.testing.assert_array_equal(missing.depth > whole.depth + 1e-6, missing.damage > 0)
    assert missing.visible_mm2[PENETRATION] == pytest.approx(closed.visible_mm2[PENETRATION], rel=1e-3)
    below = scenes.camera((0.1, -0.5, -0.4), (0, 0, 0.1), size=(80, 80), focal=130.0)
    assert not look(Scene((opened,), (lid,)), below).damage.any()


# Clear walls

FILM = Material("film", (1.0, 1.0, 1.0), 0.0, 0.05, transmission=0.95)
MISSING = KINDS.index("missing_unit")


def behind_film(film: Material = FILM, *, crack: int = 0) -> tuple[Scene, Scene, Camera]:
    """A labelled box and the same behind a dome, and a camera that sees part of it through the dome."""
    unit = scenes.box(sides=(0.1, 0.1, 0.1), damage=1 << MISSING)
    dome = scenes.box(film, sides=(0.14, 0.3, 0.3), centre=(0.08, 0, 0.15), damage=crack, item=2)
    return (
        Scene((unit,)),
        Scene((unit, dome)),
        scenes.camera((-0.2, -0.9, 0.5), (0, 0, 0.1), size=(80, 80), focal=130.0),
    )


def test_damage_is_seen_through_clear_walls():
    """Item, part, depth and normal are the dome's; damage and the depth behind are as without the dome."""
    bare, covered, cam = behind_film()
    tray = scenes.plane(item=0)
    a, b = (look(scene, cam, parts=(tray,)) for scene in (bare, covered))
    np.testing.assert_array_equal(a.damage, b.damage)
    np.testing.assert_array_equal(a.depth, b.depth_behind)
    np.testing.assert_array_equal(a.depth, a.depth_behind)
    np.testing.assert_array_equal(a.normal, b.normal_behind)
    np.testing.assert_allclose(a.visible_mm2, b.visible_mm2)
    dome = b.item == 2
    assert (dome & (b.damage > 0)).sum() > 50 and (~dome & (b.damage > 0)).sum() > 50
    np.testing.assert_array_equal(b.part[dome], 16)
    assert ((b.depth < b.depth_behind) | (b.depth_behind == 0))[dome].all(), "0 is beyond the tray"
    np.testing.assert_array_equal(b.depth[~dome], b.depth_behind[~dome])
    solid = look(Scene((covered.parts[0], replace(covered.parts[1], materials=(scenes.CHALK,)))), cam, parts=(tray,))
    np.testing.assert_array_equal(solid.depth[dome], b.depth[dome])
    np.testing.assert_array_equal(solid.normal[dome], b.normal[dome])


def test_murky_walls_hide_what_is_behind():
    """A wall that passes half of the light or less is the last surface that is labelled."""
    _, covered, cam = behind_film(replace(FILM, transmission=0.5))
    truth = look(covered, cam)
    assert not truth.damage[truth.item == 2].any()
    np.testing.assert_array_equal(truth.depth, truth.depth_behind)


def test_labels_of_clear_walls_join_those_behind():
    """A crack in the film is labelled too, on the first of its faces, and a kind counts a pixel once."""
    _, covered, cam = behind_film(crack=1 << DEFORMATION | 1 << MISSING)
    tray = scenes.plane(item=0)
    truth = look(covered, cam, parts=(tray,))
    dome, plain = truth.item == 2, look(behind_film()[1], cam, parts=(tray,))
    np.testing.assert_array_equal(truth.damage >> DEFORMATION & 1, dome)
    np.testing.assert_array_equal(truth.damage >> MISSING & 1, dome | (plain.damage > 0))
    solid = look(Scene((covered.parts[0], replace(covered.parts[1], materials=(scenes.CHALK,)))), cam, parts=(tray,))
    np.testing.assert_allclose(truth.visible_mm2, solid.visible_mm2, rtol=1e-3)


@pytest.mark.parametrize("ghost", [scenes.CHALK, FILM])
def test_gone_surfaces_are_labelled_behind_clear_walls(ghost: Material):
    """What is gone, clear or not, is labelled if it is nearer than the first opaque surface, be a dome before it."""
    bare, covered, cam = behind_film()
    gone = (replace(bare.parts[0], materials=(ghost,)),)
    tray = scenes.plane(item=0)
    for parts in ((), covered.parts[1:]):
        truth = look(Scene(parts, gone), cam, parts=(tray,))
        np.testing.assert_array_equal(truth.damage, look(bare, cam, parts=(tray,)).damage)
        assert truth.visible_mm2[MISSING] == pytest.approx(look(bare, cam).visible_mm2[MISSING], rel=1e-3)
    board = scenes.box(scenes.GREY, sides=(3, 0.01, 3), centre=(0, -0.4, 0), item=0)
    assert not look(Scene(covered.parts[1:], gone), cam, parts=(board,)).damage.any()


# Twins


@cache
def damaged_pair(generator: Generator, family: Family) -> tuple[Composed, dict[str, Truth], dict[str, Truth]]:
    """The first unit of a family whose damage fills some pixels, with its truth and its twin's."""
    plan = scenes.tiny_plan(
        size=160,
        products=(ProductSpec(family=family, count=1),),
        damages=(DamageSpec(generator=generator, strength=(0.7, 0.9)),),
        captures=12,
    )
    for index in range(1, 13):
        unit = compose(plan, index)
        assert unit.twin is not None
        truth = trace_truth(unit.scene, unit.booth)
        if sum((t.damage > 0).sum() for t in truth.values()) > 100:
            return unit, truth, trace_truth(unit.twin, unit.booth)
    raise AssertionError(f"no damage of a {family} to be seen in twelve captures")


@pytest.mark.parametrize("generator", ["crush", "hole"])
@pytest.mark.parametrize("family", ["tin", "folding_carton"])
def test_damage_image_is_what_differs_from_the_twin(generator: Generator, family: Family):
    """Wherever twin and damaged item differ, the damaged surface is labelled, in one of the two pictures.

    Exempt are pixels at which the twin shows the very faces that are labelled on the damaged item (a dent that has
    drawn back lets the background be seen), and silhouettes one pixel wide.
    """
    unit, damaged, twin = damaged_pair(generator, family)
    assert unit.twin is not None
    labelled_pixels = 0
    for cam in unit.booth.cameras:
        a, b = damaged[cam.name], twin[cam.name]
        assert not b.damage.any() and not b.visible_mm2.any(), "a twin shows no damage"
        excused = a.damage > 0
        if generator == "crush":  # the same faces in the same order: find what the twin shows there
            hits = cast(build_caster((*unit.twin.parts, *unit.booth.parts)), *pixel_rays(cam))
            seen = np.where(hits.part == 0, unit.scene.parts[0].damage[np.where(hits.part == 0, hits.face, 0)], 0)
            excused |= seen.reshape(excused.shape) > 0
        else:  # petals reach up to three reaches around the hole
            p = unit.outcomes[0].parameters
            near = np.array([p[f"site_{axis}_mm"] for axis in "xyz"]) / 1000
            excused |= np.linalg.norm(item_points(unit, b, cam) - near, axis=2) < 1.3 * p["reach_mm"] / 1000
        _, directions = pixel_rays(cam)
        facing = np.abs(np.einsum("ij,ij->i", b.normal.reshape(-1, 3), directions)).reshape(excused.shape)
        apart = np.abs(a.depth - b.depth) * facing * 1000  # mm along the normal
        differs = ((apart > 2.0) | ((a.item > 0) != (b.item > 0))) & ~edge_pixels(b)
        labelled_pixels += int((a.damage > 0).sum())
        assert (differs & ~excused).sum() <= 0.002 * max((b.item > 0).sum(), 1), cam.name
        # Nothing but the item bears labels, save where it has lost surface.
        if generator == "crush":
            assert not (a.damage[a.item == 0]).any()
            check_moved(unit, a, cam)
    assert labelled_pixels > 100


def check_moved(unit: Composed, truth: Truth, cam: Camera) -> None:
    """Each unlabelled pixel of the wall shows a point that is within the threshold of its pristine place."""
    assert unit.twin is not None
    wall, before = unit.scene.parts[0], unit.twin.parts[0]
    hits = cast(build_caster((*unit.scene.parts, *unit.booth.parts)), *pixel_rays(cam))
    on_wall = np.flatnonzero((hits.part == 0) & (truth.damage.ravel() == 0))
    weights = hits.weights[on_wall][:, :, None]
    now, then = ((part.triangles[hits.face[on_wall]] * weights).sum(axis=1) for part in (wall, before))
    longest = 1000 * float(np.ptp(before.vertices, axis=0).max())
    threshold = max(CrushConfig().threshold_mm, CrushConfig().threshold_share * longest)
    assert np.linalg.norm(now - then, axis=1).max() * 1000 < threshold + 0.25  # ribs turn with their wall


def item_points(unit: Composed, truth: Truth, cam: Camera) -> np.ndarray:
    """Points of the picture in the item frame, found from where the finished wall has gone."""
    from damageland.generators.mesh import finish_sheet

    local = finish_sheet(unit.product.sheets[0])[0].vertices
    assert unit.twin is not None
    world = unit.twin.parts[0].vertices
    R = np.linalg.lstsq(local - local.mean(0), world - world.mean(0), rcond=None)[0]
    return (surface_points(truth, cam) - world.mean(0)) @ R.T + local.mean(0)


def edge_pixels(truth: Truth) -> np.ndarray:
    """Pixels beside another part, where a ray may pass on either side of the same surface."""
    part, edge = truth.part, np.zeros(truth.part.shape, bool)
    for axis in (0, 1):
        step = np.diff(part, axis=axis) != 0
        edge |= np.pad(step, [(0, 1) if k == axis else (0, 0) for k in range(2)])
        edge |= np.pad(step, [(1, 0) if k == axis else (0, 0) for k in range(2)])
    return edge


@pytest.mark.parametrize("family", ["tin", "folding_carton"])
def test_hole_is_labelled_where_the_wall_would_be(family: Family):
    """At each pixel that sees through the hole the amodal label is set: the twin's wall is there, labelled as gone."""
    unit, damaged, _ = damaged_pair("hole", family)
    assert len(unit.scene.gone) == 1
    gone = build_caster(unit.scene.gone)
    through = 0
    for cam in unit.booth.cameras:
        a = damaged[cam.name]
        lost = cast(gone, *pixel_rays(cam))
        seen = lost.distance.reshape(a.depth.shape) < np.where(a.depth > 0, a.depth, np.inf)
        assert ((a.damage[seen] >> PENETRATION) & 1).all()
        through += int(seen.sum())
        clean = a.damage == 0
        assert not seen[clean].any()
    assert through > 0
