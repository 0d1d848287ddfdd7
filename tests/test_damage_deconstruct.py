"""Deconstruct: what came out rests where physics puts it, is labelled, and nothing else has changed."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from damageland.generators.compose import finish_product
from damageland.generators.damage.deconstruct import DeconstructConfig, deconstruct, deconstruct_applies
from damageland.generators.damage.outcome import Outcome, UnsolvedError
from damageland.generators.damage.subject import Subject
from damageland.generators.extras import EXTRAS
from damageland.generators.opening.drop import Body, Start, convex, let_fall, prepare, surroundings
from damageland.generators.opening.unpack import groups_of, parts_of
from damageland.generators.products.product import Product
from damageland.sim.booth import draw_booth, read_booth
from damageland.sim.scene import KINDS, kind_bit
from damageland.sim.seed import generator_for
from families import OWN, product
from scipy.spatial import ConvexHull

PACKS = (
    ("folding_carton", 1), ("corrugated_shipper", 2), ("blister_pack", 1), ("blister_pack", 2), ("multipack", 0),
    ("sleeve_set", 0), ("sleeve_set", 2), ("loose_set", 1),
)  # fmt: skip
BIT, KIND = kind_bit("deconstruction"), KINDS.index("deconstruction")
TRAY_M = (0.7, 0.7)


def subject(family: str, number: int, *, on_its_back: bool = False) -> Subject:
    """A product on the tray, standing or on its back."""
    made, pose = product(family, number), np.eye(4)
    if on_its_back:
        pose[:3, :3] = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0.0]]).T
        points = np.concatenate([p.vertices for p in finish_product(made).parts]) @ pose[:3, :3].T
        pose[:3, 3] = [0, *(-(points.min(axis=0) + points.max(axis=0))[1:2] / 2), -points[:, 2].min()]
    return Subject(made, pose, TRAY_M)


@cache
def outcome(family: str, number: int, strength: float, seed: int, on_its_back: bool = False) -> Outcome:
    met = subject(family, number, on_its_back=on_its_back)
    return deconstruct(met, DeconstructConfig(), strength, np.random.default_rng(seed))


def world_points(met: Subject, made: Product, group) -> np.ndarray:
    return met.to_world(np.concatenate([part.vertices for part in parts_of(made, group)]))


def depth_mm(a: np.ndarray, b: np.ndarray) -> float:
    """How far two convex bodies reach into each other, from above: the least over their faces' normals."""
    found = np.inf
    for one, other in ((a, b), (b, a)):
        planes = ConvexHull(one).equations
        found = min(found, float((-(other @ planes[:, :3].T + planes[:, 3]).min(axis=0)).min()))
    return 1000 * found


# Outcomes


@pytest.mark.parametrize(("family", "number"), PACKS)
def test_strength_0_is_the_product_itself(family: str, number: int):
    """The very product comes back and every measure is 0."""
    done = outcome(family, number, 0.0, 1)
    assert done.product is product(family, number) and not any(done.measures.values())


@pytest.mark.parametrize(("family", "number"), PACKS)
@pytest.mark.parametrize("seed", range(1))
def test_what_is_out_rests_on_the_tray(family: str, number: int, seed: int):
    """Nothing sinks into the tray or another unit by more than 0.2 mm; all rests on something, on the tray."""
    met, done = subject(family, number), outcome(family, number, 1.0, seed)
    assert done.measures["units_out"] >= 1
    places = {group: world_points(met, done.product, group) for group in groups_of(met.product)}
    moved = [
        group for group, points in places.items()
        if np.abs(points - world_points(met, met.product, group)).max() > 1e-9
    ]  # fmt: skip
    assert len(moved) >= done.measures["units_out"]
    for group in moved:
        points = places[group]
        low = float(points[:, 2].min())
        assert low > -2e-4
        assert (np.abs(points[:, :2]) < np.array(TRAY_M) / 2).all()
        mine = points[ConvexHull(points).vertices]
        others = [convex(p) for other, p in places.items() if other != group]
        depths = [depth_mm(mine, other) for other in others]
        assert max(depths, default=0.0) < 0.25
        walls = np.concatenate([met.to_world(s.vertices) for s in done.product.sheets])
        gap = np.linalg.norm(walls[:, None] - mine[None, ::5], axis=2).min() if low > 1e-3 else 0.0
        assert low < 1e-3 or max(depths, default=-1.0) > -0.5 or gap < 0.02


@pytest.mark.parametrize(("family", "number"), PACKS)
@pytest.mark.parametrize("strength", [0.3, 0.7])
def test_labels_are_on_what_has_moved(family: str, number: int, strength: float):
    """Units out of place bear the label on every face, the others on none and are as they were; so are the walls'."""
    met, done = subject(family, number), outcome(family, number, strength, 3)
    count = 0
    for group in groups_of(met.product):
        before, after = parts_of(met.product, group), parts_of(done.product, group)
        a, b = (np.concatenate([p.vertices for p in parts]) for parts in (before, after))
        if np.array_equal(a, b):
            assert all(x is y for x, y in zip(before, after, strict=True))
            continue
        bits = np.concatenate([part.damage & BIT for part in after])
        far = 1000 * np.linalg.norm((b.min(axis=0) + b.max(axis=0) - a.min(axis=0) - a.max(axis=0)) / 2)
        if (bits > 0).all():
            count += 1
        else:
            assert not bits.any() and far < 10.5
        edges = np.linalg.norm(a[1:] - a[:-1], axis=1) - np.linalg.norm(b[1:] - b[:-1], axis=1)
        assert np.abs(edges).max() < 1e-9, "units are rigid"
    assert count == done.measures["units_out"]
    for sheet in done.product.sheets:
        moved = np.linalg.norm(sheet.vertices - sheet.rest, axis=1)
        before = next((s for s in met.product.sheets if s.name == sheet.name), None)
        if before is None:
            continue
        bow = np.linalg.norm(before.vertices - before.rest, axis=1).max(initial=0.0)
        assert (sheet.marks[moved > bow + 3e-4, KIND] >= 1).all()
        other = [k for k in range(len(KINDS)) if k != KIND]
        assert sheet.marks[:, other].sum() == pytest.approx(before.marks[:, other].sum(), abs=1e-9)


@pytest.mark.parametrize(
    ("family", "number", "lying"), [*((f, n, False) for f, n in PACKS), ("folding_carton", 1, True)]
)
def test_measures_grow_with_strength(family: str, number: int, lying: bool):
    """For one seed nothing falls as strength rises."""
    steps = [outcome(family, number, s, 5, lying) for s in (0.0, 0.2, 0.45, 0.7, 1.0)]
    for name in steps[0].measures:
        values = np.array([step.measures[name] for step in steps])
        assert (np.diff(values) >= -0.02 * values.max()).all(), (name, values)
    assert steps[-1].measures["units_out"] >= 1


@pytest.mark.parametrize(("family", "number"), [("blister_pack", 2), ("sleeve_set", 0), ("loose_set", 1)])
def test_a_unit_lies_where_it_lay_at_less_strength(family: str, number: int):
    """More strength takes more units out; those that were out already stay in place."""
    met, few, many = subject(family, number), outcome(family, number, 0.5, 1), outcome(family, number, 0.9, 1)
    same, out = 0, 0
    for group in groups_of(met.product):
        a, b, c = (world_points(met, made, group) for made in (met.product, few.product, many.product))
        out += not np.array_equal(a, b)
        same += not np.array_equal(a, b) and np.allclose(b, c, atol=1e-9)
    assert same >= out - (family == "sleeve_set") and same >= 1  # one piece may be on its way out of its sleeve


@pytest.mark.parametrize(("family", "number"), [("folding_carton", 1), ("corrugated_shipper", 2), ("sleeve_set", 2)])
def test_a_pack_opens_before_anything_comes_out(family: str, number: int):
    """A little strength opens flaps, with the contents inside; the opening is labelled where it was closed."""
    little, much = outcome(family, number, 0.2, 2), outcome(family, number, 1.0, 2)
    assert 20 < little.measures["opening_deg"] < much.measures["opening_deg"]
    assert little.measures["units_out"] == 0 == little.measures["displaced_mm"]
    for done in (little, much):
        assert any((part.damage & BIT).all() for part in done.product.gone)


@pytest.mark.parametrize("strength", [0.5, 0.7])
def test_a_block_slides_out_along_its_opening(strength: float):
    """Of a carton on its back the block comes out lengthwise, and stays in line with the carton."""
    met = subject("folding_carton", 1, on_its_back=True)
    done = outcome("folding_carton", 1, strength, 5, True)
    (group,) = groups_of(met.product)
    a, b = (np.concatenate([p.vertices for p in parts_of(m, group)]) for m in (met.product, done.product))
    way = (b - a).mean(axis=0)
    assert abs(way[2]) > 0.005 and abs(way[2]) > 8 * np.abs(way[:2]).max()
    assert 1000 * np.linalg.norm(way) == pytest.approx(done.measures["displaced_mm"], abs=2.0)


def test_film_is_torn_off_where_units_are_out():
    """Film is gone around what is out, and is still there around the last row; what is gone is labelled."""
    met, done = subject("multipack", 1), outcome("multipack", 1, 0.5, 2)
    film = done.product.sheets[0]
    assert film.removed.any() and not film.removed.all()
    assert (film.marks[np.unique(film.faces[film.removed]), KIND] >= 1).all()
    kept = film.rest[np.unique(film.faces[~film.removed])]
    low, high = kept.min(axis=0), kept.max(axis=0)
    within = []
    for group in groups_of(met.product):
        before = world_points(met, met.product, group).mean(axis=0)
        stays = np.array_equal(world_points(met, done.product, group).mean(axis=0), before)
        within.append(bool(((before > low) & (before < high)).all()))
        assert stays or not within[-1]
    assert any(within)


@pytest.mark.parametrize("down", [False, True])
def test_foil_bursts_behind_each_tablet(down: bool):
    """As many holes as tablets are out; petals bend away from the pocket, or nothing reaches into the tray."""
    made, pose = product("blister_pack", 2), np.eye(4)
    if not down:
        pose[:3, :3] = np.diag([1.0, -1.0, -1.0])
        pose[2, 3] = max(float(s.vertices[:, 2].max()) for s in made.sheets)
    met = Subject(made, pose, TRAY_M)
    done = deconstruct(met, DeconstructConfig(), 0.5, np.random.default_rng(0))
    lid, before = done.product.sheets[1], made.sheets[1]
    assert lid.removed.any()
    bent = np.linalg.norm(lid.vertices - lid.rest, axis=1) - np.linalg.norm(before.vertices - before.rest, axis=1).max()
    assert (lid.marks[bent > 3e-4, KIND] >= 1).all() and (bent > 3e-4).any()
    z = met.to_world(lid.vertices)[:, 2]
    assert z.min() > -1e-6
    if not down:
        assert (lid.vertices[:, 2] - lid.rest[:, 2]).min() < -0.0005


def test_which_families_come_apart():
    """Boxes with goods, sets and blisters; not what pours, is bound, or lies under film that would have to follow."""
    assert {family for family in OWN if deconstruct_applies(product(family))} == {
        "blister_pack", "corrugated_shipper", "folding_carton", "loose_set", "multipack", "sleeve_set",
    }  # fmt: skip


def test_no_room_is_unsolved():
    """A tray that is hardly larger than the pack has no room beside it; the caller draws anew."""
    met = Subject(product("sleeve_set", 0), np.eye(4), (0.26, 0.1))
    with pytest.raises(UnsolvedError, match="no room on the tray"):
        deconstruct(met, DeconstructConfig(), 1.0, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(2))
def test_contents_keep_off_walls_and_extras(seed: int):
    """With the booth's walls and things on the tray, nothing that fell reaches into them."""
    rng = np.random.default_rng(seed)
    booth = draw_booth(read_booth(Path(__file__).parents[1] / "assets/booths/studio.yaml"), generator_for(0, 0, "t"))
    walls = [part for part in booth.parts if part.name != "tray"]
    name = next(iter(EXTRAS))
    extra = EXTRAS[name][1](rng)
    around = (*walls, type(extra)(**{**vars(extra), "vertices": extra.vertices + np.array([0.13, 0.13, 0])}))
    met = Subject(product("loose_set", 1), np.eye(4), TRAY_M, around)
    done = deconstruct(met, DeconstructConfig(), 1.0, rng)
    for group in groups_of(met.product):
        points = world_points(met, done.product, group)
        for other in surroundings(around):
            assert depth_mm(convex(points), other) < 0.25


# Physics


def brick(size=(0.04, 0.03, 0.02), at=(0.0, 0.0, 0.01)) -> Body:
    corners = np.array(np.meshgrid(*[(-v / 2, v / 2) for v in size], indexing="ij")).reshape(3, -1).T
    return Body((corners + np.array(at),))


def test_friction_stops_a_sliding_brick():
    """A brick that slides with v stops after v² / 2 μ g."""
    friction, speed = 0.5, 0.5
    fall = let_fall(
        prepare([brick()], (), friction=friction), 0, Start(np.eye(4), velocity_m_s=np.array([speed, 0.0, 0.0]))
    )
    assert fall.T_world[0, 3] == pytest.approx(speed**2 / (2 * friction * 9.81), rel=0.1)
    np.testing.assert_allclose(fall.T_world[:3, :3], np.eye(3), atol=2e-3)


@pytest.mark.parametrize("seed", range(4))
def test_a_dropped_brick_lies_on_a_side(seed: int):
    """It ends flat on one of its faces, to 0.02 mm, and its middle is half a side high."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    T = np.eye(4)
    T[:3, :3] = turn * np.sign(np.linalg.det(turn))
    T[2, 3] = 0.05
    body = brick(at=(0, 0, 0))
    fall = let_fall(prepare([body], ()), 0, Start(T))
    rest = body.points @ fall.T_world[:3, :3].T + fall.T_world[:3, 3]
    assert np.sort(rest[:, 2])[:4] == pytest.approx(0, abs=2e-5)
    assert rest[:, 2].mean() == pytest.approx(
        min([0.02, 0.015, 0.01], key=lambda h: abs(h - rest[:, 2].mean())), abs=2e-5
    )


def test_later_things_lie_on_earlier_ones():
    """A brick that comes down on another lies on it; the first does not notice the second."""
    low, high = brick(), brick(size=(0.03, 0.02, 0.02), at=(0, 0, 0.031))
    falling = prepare([low, high], ())
    first = let_fall(falling, 0, Start(np.eye(4)))
    second = let_fall(falling, 1, Start(np.eye(4)))
    assert abs(first.T_world[2, 3]) < 2e-5
    assert second.T_world[2, 3] == pytest.approx(-0.001, abs=5e-5)


def test_starting_inside_something_is_an_error_and_can_be_tried_again():
    """The message says how deep; the same thing may then set out from elsewhere."""
    falling = prepare([brick()], [brick().points])
    with pytest.raises(UnsolvedError, match="mm deep"):
        let_fall(falling, 0, Start(np.eye(4)))
    T = np.eye(4)
    T[0, 3] = 0.1
    fall = let_fall(falling, 0, Start(T))
    assert fall.T_world[0, 3] == pytest.approx(0.1, abs=1e-3) and fall.depth_m < 1e-4


@pytest.mark.parametrize(("family", "number"), [("multipack", 1), ("loose_set", 1), ("folding_carton", 1)])
def test_simplified_hulls_hold_all_points(family: str, number: int):
    """No point of a thing is more than 0.2 mm outside of what stands for it."""
    for group in groups_of(product(family, number))[:2]:
        points = np.concatenate([p.vertices for p in parts_of(product(family, number), group)])
        planes = ConvexHull(convex(points)).equations
        assert (points[::3] @ planes[:, :3].T + planes[:, 3]).max() < 2e-4
