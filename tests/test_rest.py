"""Items at rest: analytic stable poses, nothing floats or sinks, walls are touched exactly, soft packs settle."""

import time
from dataclasses import replace

import numpy as np
import pytest
import scenes
from damageland.generators.mesh import Mechanics, Sheet, enclosed_volume, face_areas, make_sheet
from damageland.generators.products.product import Hinge, Product
from damageland.generators.rest import (
    RestRules,
    draw_attitude,
    draw_place,
    draw_rest,
    lay_down,
    mass_centre,
    stable_poses,
    tip_angle,
)
from damageland.generators.sag import sag
from damageland.generators.shapes import box_mesh, solid
from damageland.sim.scene import Material
from scipy.spatial import ConvexHull

BOX = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0, 1)])
ORIGIN = np.zeros(3)
GREY = Material("grey", (0.5, 0.5, 0.5), 0.0, 1.0)
AT_WALL = RestRules(wall_share=1.0, lean_share=0.0)
LEANING = RestRules(wall_share=1.0, lean_share=1.0)


def cylinder(radius: float, height: float, sectors: int = 48) -> np.ndarray:
    a = np.arange(sectors) / sectors * 2 * np.pi
    ring = np.stack([radius * np.cos(a), radius * np.sin(a), 0 * a], 1)
    return np.concatenate([ring, ring + np.array([0, 0, height])])


def bag_sheet(half=(0.07, 0.03, 0.1), rows: int = 40, columns: int = 60) -> Sheet:
    """A closed pillow: an ellipsoid that stands on z = 0."""
    t = np.linspace(0, np.pi, rows)
    a = np.linspace(0, 2 * np.pi, columns + 1)
    grid = np.stack(
        [np.outer(np.sin(t), np.cos(a)), np.outer(np.sin(t), np.sin(a)), np.outer(-np.cos(t), np.ones_like(a))], -1
    ) * np.array(half) + np.array([0, 0, half[2]])
    index = np.arange(rows * (columns + 1)).reshape(rows, columns + 1)
    p, q, r, s = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    faces = np.concatenate([np.stack([p, q, r], 1), np.stack([p, r, s], 1)])
    n = len(faces)
    return make_sheet(
        "film", grid.reshape(-1, 3), faces, np.zeros((n, 3, 2)), np.zeros(n, np.uint8), (GREY,) * 3,
        Mechanics(3.6, 150.0, 5.0, 0.2), thickness_mm=0.1, levels=0, crease_deg=50.0,
        relief=lambda points: 1e-4 * np.sin(300 * points[:, 0]),
    )  # fmt: skip


def pack(shape: str = "box", points: np.ndarray | None = None) -> Product:
    sheet = bag_sheet()
    block = solid(box_mesh(np.array([0.05, 0.03, 0.1]), 0.01), "block", GREY)
    block = replace(block, vertices=block.vertices + np.array([0, 0, 0.05]))
    return Product(
        "x", "pillow", shape, "primary", "other", (sheet,), (block,), None, {}, 100.0,  # pyright: ignore
        hinges=(Hinge("top", ("wall",), (0.0, 0.0, 0.2), (0.01, 0.0, 0.2), 90.0, "seal"),),
    )  # fmt: skip


def points_of(product: Product) -> np.ndarray:
    return np.concatenate([s.vertices for s in product.sheets] + [p.vertices for p in product.contents])


def upright(name: str, azimuth_deg: float, distance: float, height: float):
    """A wall as the booth makes them: opposite to a camera at that azimuth, facing the middle."""
    a = np.radians(azimuth_deg)
    foot = distance * np.array([-np.sin(a), np.cos(a), 0.0])
    side, up = np.array([-np.cos(a), -np.sin(a), 0.0]), np.array([0, 0, height])
    corners = [foot + side, foot - side, foot - side + up, foot + side + up]
    return scenes.mesh_part(corners, [[0, 1, 2], [0, 2, 3]], GREY, name=name, item=0)


def walled(*, rim: float = 0.0, distance: float = 80.0):
    """A tray with one wall [mm], and a rim around it if it has a height [mm]."""
    rims = [upright(f"rim_{a}", a, 0.25, rim / 1000) for a in (0, 90, 180, 270) if rim]
    return (scenes.plane(name="tray", item=0), *rims, upright("wall_0", 30.0, distance / 1000, 1.6))


def placed(points: np.ndarray, T: np.ndarray) -> np.ndarray:
    return points @ T[:3, :3].T + T[:3, 3]


def front_of(wall, world: np.ndarray) -> np.ndarray:
    """Distance of points in front of a wall [m]."""
    return (world - wall.vertices[0]) @ wall.normals[0, 0]


def the_wall(parts, name: str = "wall_0"):
    return next(part for part in parts if part.name == name)


# ---- Stable poses ---------------------------------------------------------------------------------------------------


def test_cube_has_six_equal_poses():
    """A cube rests on each of its sides with probability 1/6."""
    poses = stable_poses(BOX, np.array([0, 0, 0.5]))
    assert len(poses) == 6
    np.testing.assert_allclose([p for _, p in poses], 1 / 6, atol=1e-9)
    down = {tuple(np.round(R.T @ [0, 0, -1]).astype(int)) for R, _ in poses}
    assert len(down) == 6 and all(sum(map(abs, d)) == 1 for d in down)


def test_tetrahedron_has_four_equal_poses():
    """A regular tetrahedron rests on each of its four sides."""
    corners = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    np.testing.assert_allclose([p for _, p in stable_poses(corners, ORIGIN)], [0.25] * 4, atol=1e-9)


def test_thin_box_prefers_its_large_sides():
    """Probabilities are the solid angles of the sides, the two largest sides first."""
    poses = stable_poses(BOX * np.array([0.1, 0.02, 0.2]), np.array([0, 0, 0.1]))
    p = np.array([q for _, q in poses])
    for R, _ in poses[:2]:
        assert abs((R.T @ np.array([0, 0, -1.0]))[1]) == pytest.approx(1)
    x, y, z = 0.05, 0.01, 0.1
    angle = 4 * np.arctan(x * z / (y * np.sqrt(x * x + y * y + z * z)))
    np.testing.assert_allclose(p[:2], angle / (4 * np.pi), atol=1e-9)


@pytest.mark.parametrize(("radius", "height"), [(0.033, 0.115), (0.05, 0.01)])
def test_cylinder_stands_or_lies(radius: float, height: float):
    """A cylinder stands on an end with the end's solid angle, and lies otherwise."""
    poses = stable_poses(cylinder(radius, height, 96), np.array([0, 0, height / 2]))
    standing = sum(p for R, p in poses if abs(R[2, 2]) > 0.99)
    lying = sum(p for R, p in poses if abs(R[2, 2]) < 0.01)
    cap = 2 * np.pi * (1 - (height / 2) / np.hypot(radius, height / 2))
    assert standing == pytest.approx(2 * cap / (4 * np.pi), abs=2e-3)
    assert standing + lying == pytest.approx(1)


def test_a_leaning_prism_falls_to_where_its_centre_is_held():
    """A facet that the centre does not stand above is no pose; its share goes to where the item tips."""
    skew = BOX + np.array([2.0, 0, 0]) * BOX[:, 2:]
    poses = stable_poses(skew, np.array([1.0, 0, 0.5]))
    assert all(abs(R[2, 2]) < 0.99 for R, _ in poses)
    assert sum(p for _, p in poses) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(12))
def test_random_hulls_rest(seed: int):
    """The centre stands above the feet, of which there are three or more within 0.2 mm; rotations are proper."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(300, 3)) * rng.uniform(0.02, 0.1, 3)
    centre = mass_centre(points)
    poses = stable_poses(points, centre)
    assert sum(p for _, p in poses) == pytest.approx(1)
    assert [p for _, p in poses] == sorted((p for _, p in poses), reverse=True)
    for R, _ in poses:
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(R) == pytest.approx(1)
        world = (points - centre) @ R.T
        feet = world[world[:, 2] < world[:, 2].min() + 2e-4, :2]
        assert len(feet) >= 3
        assert ConvexHull(feet).equations[:, 2].max() <= 1e-9


def test_poses_are_the_same_again_and_quick():
    """10,000 points of a rounded body take little time, and give the same bytes twice."""
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(10_000, 3))
    ball *= np.array([0.05, 0.06, 0.1]) / np.linalg.norm(ball, axis=1, keepdims=True)
    times = []
    for _ in range(3):
        start = time.process_time()
        first = stable_poses(ball, ORIGIN)
        times.append(time.process_time() - start)
    again = stable_poses(ball, ORIGIN)
    assert all(R.tobytes() == S.tobytes() and p == q for (R, p), (S, q) in zip(first, again, strict=True))
    assert min(times) < 0.3  # 0.06 s without the shape checks that tests run under


def test_tip_angle_of_a_box():
    """A box 2 wide and 4 tall tips at atan(1/2)."""
    tall = BOX * np.array([2.0, 3.0, 4.0])
    assert tip_angle(tall, np.eye(3), np.array([0, 0, 2.0])) == pytest.approx(np.arctan2(1, 2))


def test_centre_of_a_cone():
    """The centre of a cone's volume is a quarter of the way up."""
    cone = np.concatenate([cylinder(1.0, 0.0, 96)[:96], [[0, 0, 4.0]]])
    np.testing.assert_allclose(mass_centre(cone), [0, 0, 1.0], atol=1e-9)


# ---- Attitude and place ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["box", "round"])
def test_shelf_items_stand_at_least_half_the_time(shape: str):
    """A carton stands as on the shelf in half of the draws or more, and lies in some."""
    points = BOX * np.array([0.1, 0.06, 0.2])
    product = pack(shape)
    up = [draw_attitude(product, points, np.random.default_rng(k), RestRules())[2, 2] > 0.99 for k in range(200)]
    assert 0.5 < np.mean(up) < 0.8


def test_a_thin_book_does_not_stand():
    """What would tip over at a few degrees is laid down."""
    points = BOX * np.array([0.15, 0.015, 0.2])
    for k in range(30):
        rules = RestRules(stand_share=1.0)
        R = draw_attitude(pack(), points, np.random.default_rng(k), rules)
        assert tip_angle(points, R, mass_centre(points)) > 0.05
    ups = [draw_attitude(pack(), points, np.random.default_rng(k), RestRules())[2, 2] > 0.9 for k in range(100)]
    assert np.mean(ups) < 0.1


def test_soft_items_mostly_lie_flat():
    """A pillow lies on its front or back in most draws."""
    product = pack("soft")
    flat = [
        abs(draw_attitude(product, points_of(product), np.random.default_rng(k), RestRules())[2, 1]) > 0.9
        for k in range(40)
    ]
    assert np.mean(flat) > 0.8


@pytest.mark.parametrize("seed", range(10))
def test_nothing_floats_or_sinks(seed: int):
    """The lowest point is at 0, feet are three (two for what rolls), the middle is near the tray's."""
    rng = np.random.default_rng(seed)
    points = (BOX * np.array([0.1, 0.06, 0.2]), cylinder(0.03, 0.12), rng.normal(size=(200, 3)) * 0.03)[seed % 3]
    T = draw_rest(pack(), points, rng)
    world = placed(points, T)
    assert abs(world[:, 2].min()) < 1e-9
    assert (world[:, 2] < 2e-4).sum() >= 3
    assert np.abs((world.min(axis=0) + world.max(axis=0))[:2] / 2).max() <= 0.0151
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)


def test_same_generator_same_pose():
    """Two generators with one seed give one pose; another seed another."""
    points, parts = BOX * np.array([0.1, 0.06, 0.2]), walled()
    a, b, c = (draw_rest(pack(), points, np.random.default_rng(s), walls=parts) for s in (3, 3, 4))
    assert a.tobytes() == b.tobytes() != c.tobytes()


@pytest.mark.parametrize("seed", range(12))
def test_touching_a_wall_is_exact(seed: int):
    """At a wall the nearest point is on it to 0.05 mm and none behind; a flush side touches along a line or more."""
    points, parts = BOX * np.array([0.1, 0.06, 0.1]), walled()
    rest = draw_place(np.eye(3), points, np.random.default_rng(seed), walls=parts, rules=AT_WALL)
    assert rest.contact == "touching" and rest.wall == "wall_0"
    world = placed(points, rest.T_world_item)
    gap = front_of(the_wall(parts), world)
    assert abs(gap.min()) < 5e-5 and abs(world[:, 2].min()) < 1e-9
    flush = AT_WALL.model_copy(update={"flush_share": 1.0})
    rest = draw_place(np.eye(3), points, np.random.default_rng(seed), walls=parts, rules=flush)
    assert (front_of(the_wall(parts), placed(points, rest.T_world_item)) < 5e-5).sum() == 4


@pytest.mark.parametrize("seed", range(12))
def test_leaning_is_exact(seed: int):
    """Tilted by 5 to 25°, the lower edge is on the floor, an upper point is on the wall, the centre between them."""
    points, parts = BOX * np.array([0.12, 0.02, 0.2]), walled(distance=60.0)
    rest = draw_place(np.eye(3), points, np.random.default_rng(seed), walls=parts, rules=LEANING)
    assert rest.contact == "leaning"
    world = placed(points, rest.T_world_item)
    gap, z = front_of(the_wall(parts), world), world[:, 2]
    assert abs(z.min()) < 1e-9 and abs(gap.min()) < 1e-9
    assert (z < 5e-5).sum() == 2 and (gap < 5e-5).sum() == 2
    centre = world.mean(axis=0)
    assert z[gap < 5e-5].min() > centre[2]
    assert gap[z < 5e-5].min() > front_of(the_wall(parts), centre[None])[0] > 0
    edges = [rest.T_world_item[:3, k] for k in range(3)]
    tilt = min(np.degrees(np.arccos(np.clip(abs(e[2]), 0, 1))) for e in edges)
    assert 5 <= tilt <= 25 + 1e-6


def test_what_would_fall_back_does_not_lean():
    """A squat box cannot lean within 25°: it touches instead."""
    points, parts = BOX * np.array([0.1, 0.1, 0.1]), walled()
    rest = draw_place(np.eye(3), points, np.random.default_rng(0), walls=parts, rules=LEANING)
    assert rest.contact == "touching"


def test_walls_out_of_reach_or_too_low():
    """No wall within reach: the item stays free; a box may touch a rim's face, a ball above a low rim may not."""
    points = BOX * np.array([0.1, 0.06, 0.1])
    far = draw_place(np.eye(3), points, np.random.default_rng(0), walls=walled(distance=400.0), rules=AT_WALL)
    assert far.contact == "free" and far.wall is None
    parts = walled(rim=20.0, distance=900.0)
    rules = AT_WALL.model_copy(update={"reach_mm": 300.0})
    contact = {
        draw_place(np.eye(3), points, np.random.default_rng(k), walls=parts, rules=rules).contact for k in range(8)
    }
    assert contact == {"touching"}
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(2000, 3))
    ball *= 0.06 / np.linalg.norm(ball, axis=1, keepdims=True)
    rest = draw_place(np.eye(3), ball, rng, walls=parts, rules=rules.model_copy(update={"lean_share": 0.0}))
    assert rest.contact == "free"


def test_large_items_are_cleared_from_walls():
    """An item that would stick in a wall is moved in front of it."""
    points, parts = BOX * np.array([0.25, 0.25, 0.1]), walled(distance=60.0)
    rest = draw_place(np.eye(3), points, np.random.default_rng(0), walls=parts, rules=RestRules(wall_share=0.0))
    assert front_of(the_wall(parts), placed(points, rest.T_world_item)).min() == pytest.approx(0.003)


# ---- Soft items -----------------------------------------------------------------------------------------------------


LYING = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""On its front: the item's -y points down."""


def test_sag_flattens_the_underside():
    """The contact patch grows, what is above comes down whole, area is kept, all heights keep their order."""
    before = pack("soft")
    after = sag(before, LYING, 0.12)
    wall, flat = before.sheets[0], after.sheets[0]
    old, new = (s.vertices @ LYING.T for s in (wall, flat))
    low = old[:, 2].min()
    reach = 0.12 * np.ptp(old[:, 2])
    assert new[:, 2].min() == pytest.approx(low)
    patch = old[:, 2] < low + reach
    assert (new[patch, 2] - low).max() < 0.05 * reach
    above = old[:, 2] > low + 2 * reach
    down = old[above] - new[above]
    np.testing.assert_allclose(down[:, :2], 0, atol=1e-12)
    np.testing.assert_allclose(down[:, 2], down[0, 2], atol=1e-12)
    assert 0 < down[0, 2] < reach
    order = np.argsort(old[:, 2], kind="stable")
    assert (np.diff(new[order, 2]) >= -1e-15).all()
    areas = [face_areas(s.vertices, s.faces).sum() for s in (wall, flat)]
    assert areas[1] == pytest.approx(areas[0], rel=2e-3)
    assert enclosed_volume(flat.vertices, flat.faces) > 0.9 * enclosed_volume(wall.vertices, wall.faces)
    np.testing.assert_array_equal(flat.vertices, flat.rest)


def test_sag_keeps_contents_inside_and_relief_in_place():
    """Contents stay inside the wall; the relief of a vertex is what it was; contents' normals fit their faces."""
    before = pack("soft")
    after = sag(before, LYING, 0.12)
    a, b = before.sheets[0], after.sheets[0]
    assert a.relief is not None and b.relief is not None
    np.testing.assert_allclose(b.relief(b.rest), a.relief(a.rest), atol=1e-9)
    hull = ConvexHull(after.sheets[0].vertices)
    inside = after.contents[0].vertices @ hull.equations[:, :3].T + hull.equations[:, 3]
    assert inside.max() < 0
    part = after.contents[0]
    p, q, r = part.triangles.transpose(1, 0, 2)
    flat = np.cross(q - p, r - p)
    assert (np.einsum("fkc,fc->fk", part.normals, flat) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(part.normals, axis=2), 1, atol=1e-9)
    assert 0 < np.abs(np.array(after.hinges[0].a) - before.hinges[0].a).max() < 0.01


def test_only_soft_items_sag():
    """A carton comes back as it is, and so does anything with no strength."""
    rigid, soft = pack("box"), pack("soft")
    assert sag(rigid, LYING, 0.1) is rigid
    assert sag(soft, LYING, 0.0) is soft


def test_lay_down_settles_and_places():
    """The whole way: a soft item has sagged, touches the floor with many points, and at a wall touches it exactly."""
    parts = walled(distance=110.0)
    for seed in range(4):
        settled, rest = lay_down(pack("soft"), np.random.default_rng(seed), points_of, walls=parts, rules=LEANING)
        world = placed(points_of(settled), rest.T_world_item)
        assert abs(world[:, 2].min()) < 1e-9
        assert (world[:, 2] < 3e-4).sum() > 60
        assert rest.contact != "leaning"
        if rest.contact == "touching":
            assert abs(front_of(the_wall(parts), world).min()) < 1e-9
