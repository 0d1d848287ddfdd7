"""Spills: volumes to the half per cent, surfaces that physics allows, nothing through item, wall or tray, stains with
labels that end where they do."""

from dataclasses import replace
from functools import cache

import families
import numpy as np
import pytest
import trimesh
from damageland.generators.compose import finish_product
from damageland.generators.damage.outcome import Outcome, SeverityRules, judge_severity
from damageland.generators.damage.spill import SpillConfig, spill, spill_applies
from damageland.generators.damage.subject import Subject
from damageland.generators.mesh import (
    boundary_half_edges,
    enclosed_volume,
    face_areas,
    face_normals,
    mesh_edges,
    subdivide_sheet,
)
from damageland.generators.products.product import Product
from damageland.generators.shapes import box_mesh, move, solid
from damageland.generators.spilling.drape import drape
from damageland.generators.spilling.drips import beads
from damageland.generators.spilling.ground import arrival, lay_ground, nearest_free, open_ground
from damageland.generators.spilling.heap import PACKING, pile
from damageland.generators.spilling.outflow import PUDDLE
from damageland.generators.spilling.puddle import Wetting, puddle, thickness, wet, wetted_area
from damageland.generators.spilling.runny import GRAINS, LIQUIDS, Grains, Liquid, content_of
from damageland.generators.spilling.slump import lower_level, slacken
from damageland.generators.spilling.stain import way_along, wet_area_m2
from damageland.sim.errors import DamagelandError
from damageland.sim.rays import build_caster, cast, keep_faces
from damageland.sim.scene import KINDS, Material, Part, kind_bit, transform_part
from pydantic import ValidationError

BIT, SPILLAGE = kind_bit("spillage"), KINDS.index("spillage")
LEAKING = ("beverage_can", "detergent_bottle", "folding_carton", "glass_jar", "pet_bottle", "pillow_bag",
           "standup_pouch", "tin", "tube")  # fmt: skip
LIQUID_CARTON = 8
"""A folding carton with hand cream: what leaks soaks the board."""
COARSE = SpillConfig(cells=160)
TRAY = (0.6, 0.45)


def lying() -> np.ndarray:
    """An item on its back, its top to -y."""
    T = np.eye(4)
    T[:3, :3] = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    return T


def on_tray(product: Product, T: np.ndarray) -> np.ndarray:
    points = np.concatenate([part.vertices for part in finish_product(product).parts]) @ T[:3, :3].T
    out = T.copy()
    out[:3, 3] = -np.array([*(points.min(axis=0)[:2] + points.max(axis=0)[:2]) / 2, points[:, 2].min()])
    return out


@cache
def done(family: str, strength: float = 0.6, seed: int = 1, number: int = 0, lies: bool = False) -> Outcome:
    product = families.product(family, number)
    T = on_tray(product, lying()) if lies else np.eye(4)
    return spill(Subject(product, T), COARSE, strength, np.random.default_rng(seed))


def spilled(outcome: Outcome, name: str | None = None) -> list[Part]:
    return [p for p in outcome.product.contents if (p.surface == PUDDLE).all() and name in (None, p.name)]


def volume_ml(parts: list[Part]) -> float:
    return sum(1e6 * enclosed_volume(p.vertices, p.faces) for p in parts)


def box(size: tuple[float, float, float], at: tuple[float, float] = (0.0, 0.0)) -> Part:
    return solid(move(box_mesh(np.array(size), 0.02), np.eye(3), np.array([*at, 0.0])), "box", Material("box"))


def bare_ground(cells: int, half: float = 0.08, parts: tuple[Part, ...] = ()):
    return lay_ground(parts, np.zeros(2), half, cells=cells, finest_m=1e-4, tray_m=TRAY, deep_m=0.002)


# ---- Puddles and heaps against physics ------------------------------------------------------------------------------

WATER = Wetting(capillary_m=0.0027, angle_rad=float(np.radians(40)), climb=0.4, rounding_m=0.003)


def poured(cells: int, millilitres: float, parts: tuple[Part, ...] = (), half: float = 0.08):
    ground = bare_ground(cells, half, parts)
    free = open_ground(ground)
    sources = nearest_free(ground, free, np.array([[0.0, -0.031]]))
    area = wetted_area(1e-6 * millilitres, WATER)
    level = wet(ground, free, sources, np.ones(free.shape), area, WATER)
    return ground, level, area, puddle(ground, level, 1e-6 * millilitres, WATER)


@pytest.mark.parametrize("millilitres", [1.0, 12.0])
def test_puddle_has_its_volume_and_area(millilitres: float):
    """The closed body holds what was poured; its area is what capillarity asks for."""
    _, _, area, body = poured(200, millilitres)
    assert len(boundary_half_edges(body.faces)[0]) == 0
    assert 1e6 * enclosed_volume(body.vertices, body.faces) == pytest.approx(millilitres, rel=1e-6)
    assert body.area_m2 == pytest.approx(area, rel=0.02)
    assert body.vertices[:, 2].min() > 0


def test_wide_puddle_is_as_thick_as_gravity_and_surface_tension_let_it_be():
    """In the middle 2 l sin(θ/2), and θ at the contact line, both within 6 %."""
    ground, level, _, _ = poured(400, 40.0)
    h = thickness(ground, level, WATER)
    assert h.max() == pytest.approx(WATER.thickness_m, rel=0.02)
    row = h[len(h) // 2 - 60]
    rim = np.flatnonzero(row > 0)[0]
    # The height rises as 1 - exp(-x / l): its slope at the contact line is that of the contact angle.
    slope = (row[rim + 3] - row[rim + 2]) / ground.step
    start = row[rim + 2 : rim + 4].mean() / WATER.thickness_m
    assert slope / (1 - start) == pytest.approx(WATER.thickness_m / WATER.capillary_m, rel=0.08)


def test_puddle_is_the_same_on_a_finer_grid():
    """Area and greatest height agree within 5 % between 140 and 420 cells."""
    coarse, fine = (poured(cells, 12.0, (box((0.06, 0.06, 0.1)),)) for cells in (140, 420))
    assert coarse[3].area_m2 == pytest.approx(fine[3].area_m2, rel=0.03)
    tall = [body.vertices[:, 2].max() for _, _, _, body in (coarse, fine)]
    assert tall[0] == pytest.approx(tall[1], rel=0.05)


def test_puddle_meets_what_stands_in_it():
    """Beside a box it reaches the box's side to 0.1 mm, does not enter it, and rises there."""
    _, _, _, body = poured(200, 14.0, (box((0.06, 0.06, 0.1)),))
    top = body.vertices[np.unique(body.faces[: body.upper])]
    inside = (np.abs(top[:, :2]) < 0.03 - 1e-6).all(axis=1)
    assert not inside.any()
    at_wall = (top[:, 1] > -0.0302) & (top[:, 1] < -0.0298) & (np.abs(top[:, 0]) < 0.015)
    assert at_wall.sum() > 10
    assert top[at_wall, 2].min() > WATER.thickness_m


def upright_wall(x: float) -> Part:
    corners = np.array([[x, -1.0, 0.0], [x, 1.0, 0.0], [x, 1.0, 0.1], [x, -1.0, 0.1]])
    two = np.zeros(2, np.uint8)
    return Part(
        "wall", corners, np.array([[0, 1, 2], [0, 2, 3]]), np.zeros((2, 3, 2)), np.tile([1.0, 0, 0], (2, 3, 1)),
        (Material("wall"),), two, two, two, item=0,
    )  # fmt: skip


def test_puddle_stays_before_a_wall_and_on_the_tray():
    """A thin upright wall and the tray's edge hold it: it touches the wall and passes neither."""
    ground = lay_ground(
        [upright_wall(0.02)], np.zeros(2), 0.06, cells=160, finest_m=1e-4, tray_m=(0.3, 0.06), deep_m=0.002
    )
    free = open_ground(ground)
    sources = nearest_free(ground, free, np.array([[0.0, 0.0]]))
    level = wet(ground, free, sources, np.ones(free.shape), 1.0, WATER)  # more than there is room for
    body = puddle(ground, level, 9e-6, WATER)
    assert body.vertices[:, 0].max() < 0.02 and body.vertices[:, 0].max() > 0.0199
    assert np.abs(body.vertices[:, 1]).max() < 0.03
    assert 1e6 * enclosed_volume(body.vertices, body.faces) == pytest.approx(9.0, rel=1e-6)


@pytest.mark.parametrize("millilitres", [2.0, 60.0])
@pytest.mark.parametrize("degrees", [28.0, 40.0])
def test_heap_lies_at_its_angle_of_repose(millilitres: float, degrees: float):
    """Exactly its volume, nowhere steeper than at rest plus 2°, and a free heap is a cone."""
    ground = bare_ground(240)
    free = open_ground(ground)
    way = arrival(ground, free, nearest_free(ground, free, np.zeros((1, 2))), np.ones(free.shape))
    height, level = pile(ground, way, np.radians(degrees), 1e-6 * millilitres)
    body = drape(ground, height, level, 1e-6 * millilitres)
    normal = face_normals(body.vertices, body.faces[: body.upper])
    size = np.linalg.norm(normal, axis=1)
    slope = np.degrees(np.arccos(np.clip(normal[:, 2] / np.maximum(size, 1e-30), -1, 1)))
    assert slope[size > 0.1 * ground.step**2].max() < degrees + 2  # slivers at the border have no slope of their own
    assert 1e6 * enclosed_volume(body.vertices, body.faces) == pytest.approx(millilitres, rel=1e-6)
    top = (3e-6 * millilitres * np.tan(np.radians(degrees)) ** 2 / np.pi) ** (1 / 3)
    assert 0.75 * top < height.max() < 1.02 * top  # its tip is rounded


def test_way_goes_round_what_stands_there():
    """Behind a box the way is that of a taut string round its corners, within 3 %."""
    ground = bare_ground(240, parts=(box((0.06, 0.06, 0.1)),))
    free = open_ground(ground)
    way = arrival(ground, free, nearest_free(ground, free, np.array([[0.0, -0.06]])), np.ones(free.shape))
    behind = ground.sample(way, np.array([[0.0, 0.06]]))[0]
    assert behind == pytest.approx(2 * np.hypot(0.03, 0.03) + 0.06, rel=0.03)


def test_beads_are_closed_and_sit_on_their_surface():
    """Each is a closed body whose foot is at its point."""
    vertices, faces = beads(np.zeros((1, 3)), np.array([[0.0, 0, 1]]), np.array([0.002]), 0.5, np.ones(1))
    assert len(boundary_half_edges(faces)[0]) == 0
    assert vertices[:, 2].min() == 0 and vertices[:, 2].max() == pytest.approx(0.001)
    assert enclosed_volume(vertices, faces) == pytest.approx(2 / 3 * np.pi * 0.002**2 * 0.001, rel=0.25)


# ---- Every family that can leak -------------------------------------------------------------------------------------


def test_it_applies_where_something_can_run_out():
    """Packages with a fill leak; sets, devices, books and blisters do not."""
    for family in (*LEAKING, "book", "blister_pack"):
        assert spill_applies(families.product(family)) == (family in LEAKING), family


@pytest.mark.parametrize("family", LEAKING)
def test_volume_is_conserved(family: str):
    """What lies on the tray, and what is left, is what was in it, to 0.5 %; mass stays on the scale."""
    outcome, product = done(family), families.product(family)
    measured = outcome.measures["liquid_ml"] + outcome.measures["powder_ml"]
    assert min(outcome.measures["liquid_ml"], outcome.measures["powder_ml"]) == 0 < measured
    assert outcome.product.fill_ml + measured == pytest.approx(product.fill_ml, rel=1e-9)
    assert outcome.parameters["remaining_ml"] == outcome.product.fill_ml
    content = content_of(product)
    if isinstance(content, Liquid):
        assert volume_ml(spilled(outcome)) == pytest.approx(measured, rel=0.005)
    else:
        grains = volume_ml(spilled(outcome, "spilled grains")) / PACKING[content.shape]
        assert volume_ml(spilled(outcome, "heap")) + grains == pytest.approx(measured, rel=0.005)
    assert outcome.product.mass_g == product.mass_g


@pytest.mark.parametrize("family", LEAKING)
def test_parts_are_puddles_with_their_label(family: str):
    """Closed, finite, labelled as spillage alone, with unit normals and uv in the unit square."""
    for part in spilled(done(family)):
        assert (part.damage == BIT).all() and part.item == 1
        assert len(boundary_half_edges(part.faces)[0]) == 0, part.name
        assert np.isfinite(part.vertices).all() and (part.uv >= 0).all() and (part.uv <= 1).all()
        np.testing.assert_allclose(np.linalg.norm(part.normals, axis=2), 1, atol=1e-6)


def depth_inside(points: np.ndarray, parts: list[Part]) -> np.ndarray:
    """How deep [m] points are inside closed walls; 0 outside. Rays along two ways must agree that they are in."""
    joined = build_caster(tuple(parts))
    inside = np.ones(len(points), bool)
    for way in ((0.02, 0.013, 1.0), (0.011, -0.02, 1.0)):
        start, odd = points.copy(), np.zeros(len(points), int)
        for _ in range(12):
            hits = cast(joined, start, np.tile(way, (len(points), 1)))
            met = np.isfinite(hits.distance)
            odd += met
            start = start + np.where(met, hits.distance + 1e-6, 0.0)[:, None] * np.array(way)
            if not met.any():
                break
        inside &= odd % 2 == 1
    out = np.zeros(len(points))
    if inside.any():
        corners = np.concatenate([part.triangles for part in parts])
        low = corners[corners[..., 2].min(axis=1) < 0.05]
        mesh = trimesh.Trimesh(low.reshape(-1, 3), np.arange(3 * len(low)).reshape(-1, 3), process=False)
        some = np.flatnonzero(inside)[:: max(1, int(inside.sum()) // 80)]
        out[some] = trimesh.proximity.closest_point_naive(mesh, points[some])[1]
    return out


@pytest.mark.parametrize("lies", [False, True])
@pytest.mark.parametrize("family", ["folding_carton", "tin", "standup_pouch"])
def test_nothing_pokes_through_tray_or_item(family: str, lies: bool):
    """All of it is above the tray, and no deeper than 0.2 mm in the item's closed wall."""
    outcome = done(family, lies=lies)
    T = on_tray(families.product(family), lying()) if lies else np.eye(4)
    scene = finish_product(outcome.product)
    wall = [transform_part(p, T) for p in scene.parts if p.name == outcome.product.sheets[0].name]
    outer = [keep_faces(p, p.surface == 0) for p in wall]
    for part in spilled(outcome):
        points = transform_part(part, T).vertices
        assert points[:, 2].min() > 0
        if part.name != "spilled grains":
            body = points[points[:, 2] > 0.0002]
            deep = depth_inside(body, outer)
            assert deep.max() < 0.0002, (part.name, body[deep > 0.0002][:5])
        assert (np.abs(points[:, :2]) < np.array(TRAY) / 2 + 1e-6).all()


@pytest.mark.parametrize(("family", "number"), [("tin", 0), ("standup_pouch", 0), ("folding_carton", LIQUID_CARTON)])
def test_more_strength_spills_more(family: str, number: int):
    """Volume rises strictly; covered, soaked area and thickness fall by no more than 2 %; the place stays."""
    steps = [done(family, s, 3, number) for s in (0.0, 0.1, 0.35, 0.6, 0.8, 1.0)]
    volume = np.array([s.measures["liquid_ml"] + s.measures["powder_ml"] for s in steps])
    assert (np.diff(volume) > 0).all() and volume[-1] <= 0.9 * families.product(family, number).fill_ml + 1e-9
    for name in ("puddle_mm2", "stain_mm2", "thickness_mm"):
        values = np.array([s.measures[name] for s in steps])
        assert (np.diff(values) >= -0.02 * values.max()).all(), (name, values)
    assert len({tuple(s.site) for s in steps if s.site is not None}) == 1


def test_nothing_happens_at_strength_zero():
    """The product itself comes back, all measures are 0."""
    outcome = done("pet_bottle", 0.0)
    assert outcome.product is families.product("pet_bottle", 0)
    assert not any(outcome.measures.values())
    assert judge_severity(SeverityRules(), outcome) == "none"


def test_same_seed_same_spill():
    """Drawn twice, all arrays are alike; another seed leaks elsewhere."""
    product = families.product("standup_pouch")
    first, again, other = (
        spill(Subject(product), COARSE, 0.5, np.random.default_rng(seed)).product for seed in (5, 5, 6)
    )
    prints = [families.fingerprint(*finish_product(p).parts) for p in (first, again, other)]
    assert prints[0] == prints[1] != prints[2]


def test_measures_agree_between_grids():
    """Area, stain and thickness within 5 % between 160 and 320 cells."""
    product = families.product("folding_carton", LIQUID_CARTON)
    coarse, fine = (
        spill(Subject(product), SpillConfig(cells=cells), 0.7, np.random.default_rng(2)).measures
        for cells in (160, 320)
    )
    for name in ("liquid_ml", "puddle_mm2", "thickness_mm", "stain_mm2"):
        assert coarse[name] == pytest.approx(fine[name], rel=0.05), name


def test_hidden_leak_leaves_a_rigid_package_as_it_was():
    """With all leaks hidden, a tin's wall is untouched: only the puddle tells."""
    product = families.product("tin")
    for seed in range(3):
        config = SpillConfig(cells=160, hidden_share=1.0)
        outcome = spill(Subject(product), config, 0.5, np.random.default_rng(seed))
        assert outcome.parameters["hidden"] and outcome.product.sheets[0] is product.sheets[0]
        assert spilled(outcome)
        assert outcome.site is not None and outcome.site[2] < 0.01


def test_leak_is_where_the_mishap_tore_it_open():
    """Near an opening, the lowest removed face near the mishap leaks."""
    product = families.product("standup_pouch")
    sheet = product.sheets[0]
    middle = sheet.rest[sheet.faces].mean(axis=1)
    torn = np.linalg.norm(middle - middle[200], axis=1) < 0.012
    opened = replace(product, sheets=(replace(sheet, removed=torn),))
    subject = Subject(opened, near=middle[200])
    for seed in range(3):
        site = spill(subject, COARSE, 0.4, np.random.default_rng(seed)).site
        assert site is not None and np.linalg.norm(site - middle[200]) < 0.02


def test_spills_meet_extras_and_walls():
    """With a wall beside it and a block on the tray, nothing runs through either."""
    product = families.product("tin")
    block = replace(box((0.05, 0.05, 0.02), at=(0.0, -0.08)), item=0)
    subject = Subject(product, around=(upright_wall(0.06), block))
    outcome = spill(subject, COARSE, 0.75, np.random.default_rng(3))
    points = spilled(outcome)[0].vertices
    assert points[:, 0].max() < 0.06
    inside = (np.abs(points[:, 0]) < 0.0248) & (np.abs(points[:, 1] + 0.08) < 0.0248)
    assert not inside.any()


# ---- The package afterwards -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lies", [False, True])
def test_level_falls_in_a_clear_bottle(lies: bool):
    """The drink's body is smaller by what ran out, and its new surface is level in the world."""
    outcome, product = done("pet_bottle", 0.9, lies=lies), families.product("pet_bottle")
    T = on_tray(product, lying()) if lies else np.eye(4)
    before = next(p for p in product.contents if p.name == "drink")
    after = next(p for p in outcome.product.contents if p.name == "drink")
    left = enclosed_volume(after.vertices, after.faces) / enclosed_volume(before.vertices, before.faces)
    assert left == pytest.approx(outcome.product.fill_ml / product.fill_ml, rel=0.005)
    surface = transform_part(after, T)
    fresh = surface.damage == BIT
    assert fresh.any() and np.ptp(surface.vertices[surface.faces[fresh], 2]) < 1e-6
    assert surface.vertices[:, 2].max() < surface.vertices[surface.faces[fresh], 2].max() + 1e-6


def test_lowered_ball_keeps_its_share():
    """A ball cut at any tilt has the share of its volume that was asked for."""
    ball = trimesh.creation.icosphere(4, 0.03)
    n = len(ball.faces)
    zeros = np.zeros(n, np.uint8)
    faces = np.asarray(ball.faces, np.int64)
    part = Part("ball", np.asarray(ball.vertices, float), faces, np.zeros((n, 3, 2)),
                np.tile([0.0, 0, 1], (n, 3, 1)), (Material("m"),), zeros, zeros, zeros)  # fmt: skip
    up = np.array([0.3, -0.5, 0.8])
    up /= np.linalg.norm(up)
    for share in (0.2, 0.5, 0.93):
        cut = lower_level(part, up, share, BIT)
        whole = enclosed_volume(part.vertices, part.faces)
        assert enclosed_volume(cut.vertices, cut.faces) == pytest.approx(share * whole, rel=1e-4)


@pytest.mark.parametrize("family", ["standup_pouch", "pillow_bag"])
def test_bags_fall_in_without_stretching(family: str):
    """A leaking bag holds less, its film keeps its lengths, and what moved is labelled."""
    before, after = families.product(family).sheets[0], done(family, 0.8).product.sheets[0]
    volumes = [enclosed_volume(s.vertices, s.faces) for s in (before, after)]
    lost = done(family, 0.8).measures["powder_ml"] * 1e-6
    assert 0.5 * lost < volumes[0] - volumes[1] < 2.5 * lost
    edges, _ = mesh_edges(after.faces)
    long, short = (np.linalg.norm(s.vertices[edges[:, 0]] - s.vertices[edges[:, 1]], axis=1) for s in (after, before))
    low, high = np.quantile(long / short - 1, [0.01, 0.99])
    assert -0.02 < low <= high < 0.02
    moved = np.linalg.norm(after.vertices - before.vertices, axis=1)
    assert (after.marks[moved > 0.0005, SPILLAGE] >= 1).all() and moved.max() > 0.001


def test_full_bag_stays_as_it_is():
    """Nothing lost moves nothing."""
    sheet = families.product("pillow_bag").sheets[0]
    still = slacken(sheet.vertices, sheet, 0.0)
    assert np.linalg.norm(still - sheet.vertices, axis=1).max() < 2e-4


def test_soaked_board_is_darker_and_labelled():
    """Paint and label agree: what is labelled is darker in the print, what is not is untouched but for a thin rim."""
    product = families.product("folding_carton", LIQUID_CARTON)
    outcome = spill(Subject(product), COARSE, 0.9, np.random.default_rng(2))
    before, after = product.sheets[0], outcome.product.sheets[0]
    assert outcome.measures["stain_mm2"] > 500
    pictures = [s.materials[0].base_color_texture for s in (before, after)]
    assert pictures[0] is not None and pictures[1] is not None
    change = pictures[1].astype(int).sum(axis=2) - pictures[0].astype(int).sum(axis=2)
    assert change.max() <= 0
    height, width = change.shape
    value = after.marks[after.faces, SPILLAGE].mean(axis=1)
    at = after.uv.mean(axis=1)
    x, y = (np.clip(v, 0, s - 1).astype(int) for v, s in ((at[:, 0] * width, width), ((1 - at[:, 1]) * height, height)))
    ink = pictures[0].astype(int).sum(axis=2)[y, x]
    printed = (ink > 150) & (after.material == 0)
    assert (change[y, x][printed & (value > 1.3)] < 0).mean() > 0.97
    assert (change[y, x][printed & (value < 0.6)] == 0).all()


def test_stain_area_is_that_of_the_label():
    """The measure agrees with finely divided labelled faces within 3 %, and does not depend on the mesh."""
    sheet = families.product("folding_carton", LIQUID_CARTON).sheets[0]
    field = np.linalg.norm(sheet.rest - sheet.rest[0], axis=1) / 0.03
    fine = subdivide_sheet(subdivide_sheet(replace(sheet, marks=np.repeat((2 - field)[:, None], len(KINDS), 1))))
    labelled = fine.marks[fine.faces, 0].mean(axis=1) >= 1
    want = face_areas(fine.rest, fine.faces)[labelled].sum()
    assert wet_area_m2(sheet, field) == pytest.approx(want, rel=0.03)


def test_way_along_a_folded_sheet_is_that_of_the_flat_one():
    """Round the edges of a box the way is as if it were unfolded, within 5 %, plus the start's offset."""
    sheet = families.product("folding_carton", 0).sheets[0]
    low, high = sheet.rest.min(axis=0), sheet.rest.max(axis=0)
    start = int(np.linalg.norm(sheet.rest - np.array([0.0, low[1], low[2] + 0.03]), axis=1).argmin())
    way = way_along(sheet.rest, sheet.faces, np.array([start]), np.array([0.002]), 1.0)
    side = np.abs(sheet.rest[:, 0] - high[0]) < 1e-9
    flat = np.hypot(high[0] - sheet.rest[start, 0] + sheet.rest[side, 1] - sheet.rest[start, 1],
                    sheet.rest[side, 2] - sheet.rest[start, 2])  # fmt: skip
    near = flat < 0.09
    np.testing.assert_allclose(way[side][near] - 0.002, flat[near], rtol=0.06, atol=1e-3)


# ---- Words and errors -----------------------------------------------------------------------------------------------


def test_every_content_is_sound():
    """Colours are linear RGB below 1, ranges are ordered, grains have a size."""
    for content in (*LIQUIDS.values(), *GRAINS.values()):
        assert all(0 < v < 1 for v in content.colour)
        if isinstance(content, Grains):
            assert content.size_mm == tuple(sorted(content.size_mm, reverse=True)) and content.size_mm[-1] > 0
            assert 25 <= content.repose_deg[0] <= content.repose_deg[1] <= 40
        else:
            assert 10 <= content.angle_deg[0] <= content.angle_deg[1] <= 70 and 0 <= content.clear < 1


@pytest.mark.parametrize(
    ("family", "names"),
    [("tin", {"tomato", "brine", "bean sauce", "water"}), ("standup_pouch", {"coffee", "coffee beans", "tea", "nuts",
      "rice", "pet food", "crumbs"}), ("tube", {"toothpaste", "cream", "lotion"}), ("pet_bottle", {"water"})],
)  # fmt: skip
def test_contents_go_with_the_title(family: str, names: set[str]):
    """What runs out is what the family holds."""
    assert {content_of(families.product(family, n)).name for n in range(2)} <= names


def test_more_than_it_holds_is_an_error():
    """A volume that starts above the fill is one error that says what would fit."""
    with pytest.raises(DamagelandError, match=r"volume_ml starts at 3000 ml.* holds only .* Let volume_ml start at"):
        spill(Subject(families.product("tin")), SpillConfig(volume_ml=(3000, 4000)), 0.5, np.random.default_rng(0))


@pytest.mark.parametrize("wrong", [{"volume_ml": (20, 5)}, {"repose_deg": (5, 30)}, {"cells": 8}, {"colour": "red"}])
def test_impossible_configurations_are_errors(wrong: dict):
    """Each names its key."""
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        SpillConfig(**wrong)
