"""Missing: what is gone was there, keeps its place as a label, takes its mass along; all else stays as it was."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from damageland.generators.compose import finish_product
from damageland.generators.damage.missing import (
    MissingConfig,
    What,
    missing,
    missing_applies,
    pieces_of,
    unit_items,
)
from damageland.generators.damage.outcome import Outcome
from damageland.generators.damage.subject import Subject
from damageland.generators.mesh import face_areas
from damageland.generators.opening.bare import label_faces
from damageland.generators.opening.drop import convex
from damageland.generators.opening.unpack import carries
from damageland.generators.products.product import Product
from damageland.sim.errors import DamagelandError
from damageland.sim.rays import build_caster, cast
from damageland.sim.scene import Part, kind_bit
from families import OWN, fingerprint, product
from scipy.spatial import ConvexHull

SETS = (("blister_pack", 1), ("multipack", 1), ("sleeve_set", 0), ("loose_set", 1))
LABELLED = (("glass_jar", 0), ("pet_bottle", 0), ("tin", 1))
CAPPED = (("glass_jar", 0), ("pet_bottle", 0), ("tube", 0), ("detergent_bottle", 0))
BIT = kind_bit("missing_unit")


@cache
def outcome(family: str, number: int, strength: float, seed: int, what: What = "units") -> Outcome:
    config = MissingConfig(what={what: 1.0})
    return missing(Subject(product(family, number)), config, strength, np.random.default_rng(seed))


def of_item(parts: tuple[Part, ...], items: set[int]) -> tuple[Part, ...]:
    return tuple(part for part in parts if part.item in items)


def gone_items(done: Outcome) -> list[int]:
    return [int(item) for item in done.parameters["items"].split()]


def whole(made: Product) -> str:
    scene = finish_product(made)
    return fingerprint(*scene.parts) + fingerprint(*scene.gone)


# Units


@pytest.mark.parametrize(("family", "number"), [*SETS, *LABELLED, ("tube", 0), ("beverage_can", 0)])
def test_strength_0_takes_nothing(family: str, number: int):
    """The very product comes back and every measure is 0."""
    made = product(family, number)
    done = missing(Subject(made), MissingConfig(), 0.0, np.random.default_rng(3))
    assert done.product is made and not any(done.measures.values()) and done.site is None


@pytest.mark.parametrize(("family", "number"), SETS)
@pytest.mark.parametrize("strength", [0.01, 0.5, 1.0])
def test_units_are_gone_and_nothing_else(family: str, number: int, strength: float):
    """Lost parts are the pristine ones with the label; what stays is the same to the byte; N is the design's."""
    made, done = product(family, number), outcome(family, number, strength, 2)
    gone = gone_items(done)
    count, expected = len(gone), int(made.attributes["expected_units"])
    assert 1 <= count < expected
    assert (done.measures["units_missing"], done.measures["units_expected"]) == (count, expected)
    assert set(gone) <= set(unit_items(made))
    assert done.product.contents == tuple(p for p in made.contents if p.item not in gone)
    before = of_item(made.contents, set(gone))
    assert len(done.product.gone) == len(before)
    for lost, was in zip(done.product.gone, before, strict=True):
        assert lost.vertices is was.vertices and lost.faces is was.faces and lost.item == was.item
        assert (lost.damage == was.damage | BIT).all()
    assert done.product.attributes["expected_units"] == expected
    if family != "multipack":  # shrink film is drawn in
        assert done.product.sheets == made.sheets


@pytest.mark.parametrize(("family", "number"), SETS)
@pytest.mark.parametrize("seed", range(2))
def test_stronger_takes_more_of_the_same(family: str, number: int, seed: int):
    """One seed takes units in one order, and strength says how many."""
    steps = [gone_items(outcome(family, number, s, seed)) for s in (0.01, 0.3, 0.6, 1.0)]
    for few, many in pairwise(steps):
        assert many[: len(few)] == few
    most = product(family, number).attributes["expected_units"]
    assert len(steps[-1]) == min(np.ceil(0.6 * most), most - 1)


@pytest.mark.parametrize(("family", "number"), SETS)
def test_mass_falls_by_the_units(family: str, number: int):
    """Units of one kind weigh the same; all of them and the package make up the whole."""
    made, done = product(family, number), outcome(family, number, 1.0, 0)
    share = done.measures["units_missing"] / done.measures["units_expected"]
    lost = (made.mass_g - done.product.mass_g) / made.mass_g
    assert 0.2 * share < lost <= (share if family != "loose_set" else 1.0)
    if family in ("multipack", "sleeve_set"):
        assert lost > 0.8 * share


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("family", "number"), [("multipack", 0), ("multipack", 1), ("sleeve_set", 0)])
def test_no_unit_hangs_in_the_air(family: str, number: int, seed: int):
    """In any attitude, what stays does not stand on what is gone."""
    made = product(family, number)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    pose = np.eye(4)
    pose[:3, :3] = np.eye(3)[[2, 0, 1]] if seed % 2 else np.sign(np.linalg.det(turn)) * turn
    subject = Subject(made, pose)
    done = missing(subject, MissingConfig(), 0.5, np.random.default_rng(seed))
    items = unit_items(made)
    boxes = [subject.to_world(np.concatenate([p.vertices for p in of_item(made.contents, {k})])) for k in items]
    rests = carries(np.array([[b.min(axis=0), b.max(axis=0)] for b in boxes]))
    gone = np.isin(items, gone_items(done))
    assert not rests[gone][:, ~gone].any()


@pytest.mark.parametrize("number", range(4))
def test_empty_cavities_by_design_are_no_loss(number: int):
    """Whatever a blister lacks by design was never a unit: only units are counted, labelled and taken."""
    made = product("blister_pack", number)
    units = unit_items(made)
    if made.attributes["expected_units"] == 1:
        assert not missing_applies(made)
        return
    assert len(units) == made.attributes["expected_units"]
    if not missing_applies(made):  # nobody sees into foil
        assert made.sheets[0].materials[0].transmission < 0.5
        return
    done = missing(Subject(made), MissingConfig(), 0.5, np.random.default_rng(number))
    assert set(gone_items(done)) <= set(units)
    assert {part.item for part in done.product.gone} == set(gone_items(done))
    assert done.product.lookalikes == made.lookalikes


@pytest.mark.parametrize("seed", range(2))
def test_shrink_film_keeps_off_the_goods(seed: int):
    """Film is drawn in over the gap, never into the units that are left; what moved is labelled."""
    made, done = product("multipack", 1), outcome("multipack", 1, 0.4, seed)
    film, before = done.product.sheets[0], made.sheets[0]
    moved = np.linalg.norm(film.vertices - before.vertices, axis=1)
    assert (film.marks[moved > 5e-4, 6] >= 1).all() and not film.marks[moved == 0].any()
    left = np.concatenate([p.vertices for p in done.product.contents])
    planes = ConvexHull(convex(left)).equations
    outside = (film.vertices @ planes[:, :3].T + planes[:, 3]).max(axis=1)
    inner = (before.vertices @ planes[:, :3].T + planes[:, 3]).max(axis=1)
    assert (outside > np.minimum(inner, 0.0) - 1e-4).all()


def test_count_is_checked():
    """More than the set, or all of it unasked, is an error that says how to mend it; within it, the count is exact."""
    made = product("sleeve_set", 1)
    expected = made.attributes["expected_units"]
    for count, fix in ((expected, "all_units: true"), (expected + 3, "Lower `count`")):
        with pytest.raises(DamagelandError, match=fix):
            missing(Subject(made), MissingConfig(count=count), 0.5, np.random.default_rng(0))
    every = missing(Subject(made), MissingConfig(count=expected, all_units=True), 0.1, np.random.default_rng(0))
    assert every.measures["units_missing"] == expected and not unit_items(every.product)
    with pytest.raises(DamagelandError, match="weight above 0"):
        missing(Subject(made), MissingConfig(what={"label": 1.0}), 0.5, np.random.default_rng(0))


# Accessories


@pytest.mark.parametrize(("family", "number"), LABELLED)
@pytest.mark.parametrize("seed", range(2))
def test_label_comes_off_and_the_wall_is_under_it(family: str, number: int, seed: int):
    """The mask is the whole label; a few per cent stick; behind each place of it there is still a wall."""
    made, done = product(family, number), outcome(family, number, 0.5, seed, "label")
    assert done.measures["accessories_missing"] == 1 and done.measures["units_missing"] == 0
    (lost,) = done.product.gone
    assert (lost.damage & BIT).all()
    assert done.product.mass_g < made.mass_g
    if family == "glass_jar":
        assert done.product.sheets[0] == made.sheets[0]
        rest = [s for s in done.product.sheets if any(m.name == "torn label" for m in s.materials)]
        names = [[s.materials[k].name for k in s.material] for s in rest]
        assert {name for found in names for name in found} <= {"torn label", "glue"}
        stuck = sum(
            float(face_areas(s.rest, s.faces)[np.array(found) == "torn label"].sum())
            for s, found in zip(rest, names, strict=True)
        )
    else:
        wall = done.product.sheets[0]
        assert not label_faces(wall).any() and not wall.removed.any()
        torn = wall.material == [m.name for m in wall.materials].index("torn label")
        stuck = float(face_areas(wall.rest, wall.faces)[torn].sum())
        before = made.sheets[0]
        assert face_areas(wall.rest, wall.faces).sum() == pytest.approx(
            face_areas(before.rest, before.faces).sum(), rel=1e-9
        )
    assert stuck < 0.1 * float(face_areas(lost.vertices, lost.faces).sum())
    scene = finish_product(done.product)
    middles = lost.triangles.mean(axis=1)[::7]
    axis = np.array([0, 0, middles[:, 2].mean()])
    away = middles - axis
    away[:, 2] = 0
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    start = middles + 0.05 * away
    hits = cast(build_caster(scene.parts), start, -away)
    ghost = cast(build_caster(scene.gone), start, -away)
    assert np.isfinite(hits.distance).all()
    assert np.quantile(np.abs(hits.distance - ghost.distance), 0.95) < 0.0012
    assert (ghost.distance < hits.distance + 2e-5).mean() > 0.95, "the mask lies before the bare wall"


@pytest.mark.parametrize(("family", "number"), CAPPED)
def test_mouth_is_open_or_has_its_nozzle(family: str, number: int):
    """Without its cap a bottle can be looked into, down to what is in it; a tube shows its nozzle."""
    made, done = product(family, number), outcome(family, number, 0.5, 0, "cap")
    hinge = next(h for h in made.hinges if h.limit_deg == 0)
    assert not {p.name for p in done.product.contents} & set(hinge.moves)
    lost = [p for p in done.product.gone if (p.damage & BIT).all()]
    assert {p.name for p in lost} >= {f"{name} (missing)" for name in hinge.moves}
    a, b = np.array(hinge.a, float), np.array(hinge.b, float)
    along = (b - a) / np.linalg.norm(b - a)
    scene = finish_product(done.product)
    top = float(max(((p.vertices - a) @ along).max() for p in scene.parts))
    off = np.array([[0, 0, 0], [0.001, 0, 0], [0, 0.0007, 0], [-0.0012, 0.0005, 0]])
    start = a + off - (off @ along)[:, None] * along + (top + 0.05) * along
    hits = cast(build_caster(scene.parts), start, np.repeat(-along[None], 4, 0))
    assert np.isfinite(hits.distance).all(), "a ray into the mouth meets something"
    deep = hits.distance - 0.05
    assert (deep > 0.0015).all() if family == "tube" else (deep > 0.008).all()
    before = cast(build_caster(finish_product(made).parts), start, np.repeat(-along[None], 4, 0))
    assert (hits.distance > before.distance).all()


def test_tab_breaks_off_at_its_rivet():
    """A can keeps the rivet of its tab, and loses the rest."""
    made, done = product("beverage_can", 0), outcome("beverage_can", 0, 1.0, 0, "tab")
    tab = next(p for p in made.contents if p.name == "tab")
    rivet = next(p for p in done.product.contents if p.name == "tab")
    assert 0 < len(rivet.faces) < 0.5 * len(tab.faces)
    assert np.ptp(rivet.vertices[:, :2], axis=0).max() < 0.007
    np.testing.assert_array_equal(done.product.gone[0].vertices, tab.vertices)


# All families


def test_what_can_be_missing_of_each_family():
    """Sets that can be looked into, stuck-on labels, caps, strips and tabs; a box shows nothing of what it lacks."""
    found = {family: {piece.what for n in range(3) for piece in pieces_of(product(family, n))} for family in OWN}
    assert {family for family in OWN if not found[family]} == {
        "book", "corrugated_shipper", "folding_carton", "padded_mailer", "pillow_bag", "poly_mailer", "standup_pouch",
    }  # fmt: skip
    assert {family for family in OWN if "units" in found[family]} == {
        "blister_pack", "loose_set", "multipack", "sleeve_set",
    }  # fmt: skip
    assert found["pet_bottle"] == {"label", "cap"} and {"label", "cap"} <= found["glass_jar"]
