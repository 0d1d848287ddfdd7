"""Opening: flaps turn about their hinges without stretch, caps lie still, bags gape; labels and measures are exact."""

from dataclasses import replace
from functools import cache

import families
import numpy as np
import pytest
from damageland.generators.damage.open import OpenConfig, open_applies, open_pack
from damageland.generators.damage.outcome import Outcome, SeverityRules, UnsolvedError, judge_severity
from damageland.generators.damage.subject import Subject
from damageland.generators.mesh import boundary_half_edges, face_areas, finish_sheet, mesh_edges, subdivide_sheet
from damageland.generators.opening.hinge import Frame, Give, hinge_frame, open_hinge, rotation_about, turned
from damageland.generators.opening.mouth import flat_pattern
from damageland.generators.opening.peel import open_neck
from damageland.generators.opening.sweep import free_angle
from damageland.generators.products.product import Product
from damageland.sim.scene import KINDS, Part, kind_bit
from pydantic import ValidationError

ACTUATION = KINDS.index("actuation")
BIT = kind_bit("actuation")
CASES = (
    ("folding_carton", 0, "flaps"), ("folding_carton", 9, "flaps"), ("corrugated_shipper", 0, "flaps"),
    ("corrugated_shipper", 4, "flaps"), ("sleeve_set", 2, "flaps"), ("loose_set", 1, "flaps"),
    ("pet_bottle", 0, "cap"), ("glass_jar", 0, "cap"), ("detergent_bottle", 0, "cap"), ("detergent_bottle", 1, "flip"),
    ("tube", 0, "flip"), ("pillow_bag", 0, "bag"), ("standup_pouch", 0, "bag"), ("poly_mailer", 0, "envelope"),
    ("padded_mailer", 0, "envelope"), ("blister_pack", 1, "dome"), ("blister_pack", 0, "foil"), ("tin", 6, "ring"),
    ("beverage_can", 0, "tab"),
)  # fmt: skip
NAMES = [(family, number) for family, number, _ in CASES]
CLOSED = ("book", "multipack")
"""A book is never sealed; shrink film is torn."""


@cache
def subject(family: str, number: int) -> Subject:
    """Standing as on the shelf; blisters of tablets lie on their pockets, so that the foil is on top."""
    product = families.product(family, number, texture_px=256)
    T = np.eye(4)
    if family == "blister_pack" and product.sheets[0].name != "dome":
        T[:3, :3] = np.diag([1.0, -1.0, -1.0])
        T[2, 3] = max(float(sheet.vertices[:, 2].max()) for sheet in product.sheets) + 1e-4
    return Subject(product, T)


@cache
def opened(family: str, number: int, strength: float, seed: int = 0) -> Outcome:
    return open_pack(subject(family, number), OpenConfig(), strength, np.random.default_rng(seed))


def finished(product: Product) -> tuple[Part, ...]:
    return (*(part for part, _ in map(finish_sheet, product.sheets) if len(part.faces)), *product.contents)


# ---- What opens -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", families.OWN)
def test_what_opens(family: str):
    """Whatever has a closure can be opened; books and shrink wraps have none, nor have tins without a ring."""
    found = [families.product(family, number, texture_px=256) for number in range(2)]
    wanted = [family not in CLOSED and bool(product.hinges) for product in found]
    assert [open_applies(product) for product in found] == wanted
    assert all(wanted) or family in (*CLOSED, "tin", "sleeve_set", "loose_set")


@pytest.mark.parametrize(("family", "number", "manner"), CASES)
def test_every_closure_opens_in_its_way(family: str, number: int, manner: str):
    """The right mechanism is used, and at full strength something is wide open."""
    done = opened(family, number, 1.0)
    assert done.parameters["manner"] == manner
    wide = done.measures["opening_deg"] >= 10 or done.measures["gape_mm"] > 3
    assert wide and done.kind == "actuation" and done.generator == "open"


@pytest.mark.parametrize(("family", "number"), NAMES)
def test_strength_zero_is_the_identity(family: str, number: int):
    """The product itself comes back, and nothing is measured."""
    done = opened(family, number, 0.0)
    assert done.product is subject(family, number).product
    assert set(done.measures.values()) == {0.0}
    assert judge_severity(SeverityRules(), done) == "none"


@pytest.mark.parametrize(("family", "number"), NAMES)
def test_more_strength_opens_more(family: str, number: int):
    """For one seed no measure falls as strength rises, and the place stays the same."""
    steps = [opened(family, number, strength) for strength in (0.1, 0.3, 0.5, 0.75, 1.0)]
    for name in steps[0].measures:
        values = np.array([step.measures[name] for step in steps])
        assert (np.diff(values) >= -0.02 * values.max()).all(), (name, values)
    assert len({str(step.site) for step in steps}) == 1 and len({step.parameters["opened"] for step in steps}) == 1


# ---- Labels and geometry --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "number"), NAMES)
def test_label_holds_all_that_moved(family: str, number: int):
    """Every vertex that moved by the threshold has only labelled faces around it; other kinds are not touched."""
    done = opened(family, number, 0.8)
    for sheet in done.product.sheets:
        fine = sheet
        for _ in range(sheet.levels):
            fine = subdivide_sheet(fine)
        kept = fine.faces[~fine.removed]
        moved = np.linalg.norm(fine.vertices - fine.rest, axis=1)[kept].max(axis=1)
        marked = fine.marks[kept, ACTUATION].max(axis=1) >= 1
        assert marked[moved > 1.02 * OpenConfig().threshold_mm / 1000].all(), sheet.name
        others = np.delete(fine.marks, ACTUATION, axis=1)
        assert (others < 1).all()


@pytest.mark.parametrize(("family", "number"), NAMES)
def test_the_rest_stays(family: str, number: int):
    """What is not labelled is where it was, byte for byte: no vertex outside the opening moves."""
    done, before = opened(family, number, 0.8), subject(family, number).product
    for sheet in done.product.sheets:
        still = sheet.marks[:, ACTUATION] == 0
        np.testing.assert_array_equal(sheet.vertices[still], sheet.rest[still])
    kept = {part.name: part for part in done.product.contents if not part.damage.any()}
    for part in before.contents:
        if part.name in kept and part.name != "cap":
            np.testing.assert_array_equal(kept[part.name].vertices, part.vertices)


@pytest.mark.parametrize(("family", "number"), NAMES)
def test_walls_stay_closed(family: str, number: int):
    """Every finished wall and flap is watertight, and nothing is not a number."""
    for sheet in opened(family, number, 0.8).product.sheets:
        part, _ = finish_sheet(sheet)
        assert len(boundary_half_edges(part.faces)[0]) == 0, sheet.name
        assert np.isfinite(part.vertices).all() and np.isfinite(part.normals).all()


@pytest.mark.parametrize(("family", "number"), NAMES)
def test_opening_is_labelled_where_it_was(family: str, number: int):
    """Amodal: a labelled part lies where the closed surface was, outside what is left."""
    gone = opened(family, number, 0.8).product.gone
    assert gone and all((part.damage & BIT).all() for part in gone)
    before = subject(family, number).product
    everything = np.concatenate([sheet.rest for sheet in before.sheets] + [p.vertices for p in before.contents])
    for part in gone:
        assert (part.vertices > everything.min(axis=0) - 0.003).all()
        assert (part.vertices < everything.max(axis=0) + 0.003).all()


@pytest.mark.parametrize(("family", "number"), NAMES)
@pytest.mark.parametrize("seed", range(1))
def test_nothing_goes_through_the_tray(family: str, number: int, seed: int):
    """Nothing that is drawn is lower than the pristine item was."""
    here = subject(family, number)
    low = min(float(here.to_world(part.vertices)[:, 2].min()) for part in finished(here.product))
    try:
        done = opened(family, number, 1.0, seed)
    except UnsolvedError:
        pytest.skip("no room as it lies")
    for part in finished(done.product):
        assert float(here.to_world(part.vertices)[:, 2].min()) > min(low, 0.0) - 7e-4, part.name


@pytest.mark.parametrize(("family", "number"), [("folding_carton", 0), ("corrugated_shipper", 0), ("tin", 6)])
def test_flaps_are_not_stretched(family: str, number: int):
    """Edges of what turns keep their lengths within 2 % (first to last percentile)."""
    sheet = opened(family, number, 0.9).product.sheets[0]
    edges, _ = mesh_edges(sheet.faces)
    moved = (np.linalg.norm(sheet.vertices - sheet.rest, axis=1) > 1e-3)[edges].any(axis=1)
    now, then = (np.linalg.norm(np.diff(v[edges[moved]], axis=1)[:, 0], axis=1) for v in (sheet.vertices, sheet.rest))
    low, high = np.quantile(now / then - 1, [0.01, 0.99])
    assert -0.02 < low <= high < 0.02


# ---- Hinges against what geometry says ------------------------------------------------------------------------------


FRAME = Frame(np.array([0.1, 0.0, 0.2]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), 0.1, 0.08)


@pytest.mark.parametrize("angle", [5.0, 60.0, 140.0, 179.0])
def test_a_sharp_hinge_turns_rigidly(angle: float):
    """Without bend, curl and twist, points turn by the rotation matrix."""
    rng = np.random.default_rng(0)
    points = FRAME.at + rng.uniform(0, 1, (60, 3)) * np.array([0.1, 0.08, 0.004])
    T = rotation_about(FRAME, angle)
    wanted = points @ T[:3, :3].T + T[:3, 3]
    np.testing.assert_allclose(turned(points, FRAME, angle, Give(0.0)), wanted, atol=2e-5)


def test_a_bend_keeps_lengths():
    """A line across a rolled flap is as long as before; its end has turned by angle plus three quarters of the curl."""
    s = np.linspace(0, 0.08, 400)
    line = FRAME.at + s[:, None] * FRAME.away
    after = turned(line, FRAME, 70.0, Give(6.0, 20.0))
    steps = np.linalg.norm(np.diff(after, axis=0), axis=1)
    assert steps.sum() == pytest.approx(0.08, rel=1e-4)
    end = after[-1] - after[-2]
    assert np.degrees(np.arctan2(end[2], end[1])) == pytest.approx(70 + 15, abs=0.5)


def test_a_carton_opens_by_the_angle_asked_for():
    """The turned panel makes the angle with its closed place, and stays joined along the axis."""
    product = families.product("folding_carton", 0)
    hinge = product.hinges[0]
    frame = hinge_frame(product, hinge)
    done = open_hinge(product, hinge, 64.0, kind="actuation", give=Give(0.0)).sheets[0]
    moved = np.linalg.norm(done.vertices - done.rest, axis=1) > 1e-6
    off = done.vertices[moved] - frame.at
    angle = np.degrees(np.arctan2(off @ frame.opening, off @ frame.away))
    assert np.median(angle) == pytest.approx(64, abs=0.5)
    held = np.linalg.norm(np.cross(done.rest - frame.at, frame.along), axis=1) < 1e-5
    assert held.sum() > 10 and not moved[held].any()


def plate(z: float, y: float) -> Part:
    """A vertical wall at y, from the tray to a height."""
    v = np.array([[-1, y, 0], [1, y, 0], [1, y, z], [-1, y, z]], float)
    n = np.zeros(2, np.uint8)
    return Part("wall_back", v, np.array([[0, 1, 2], [0, 2, 3]]), np.zeros((2, 3, 2)), np.zeros((2, 3, 3)), (), n, n, n)


def test_a_flap_stops_at_a_wall():
    """A lid beside a wall that rises above it opens until its end would touch: the angle follows from the gap."""
    product = families.product("folding_carton", 0)
    hinge, gap = product.hinges[0], 0.01
    frame = hinge_frame(product, hinge)
    wall = plate(1.0, float(frame.at[1]) + gap)
    free = free_angle(Subject(product, np.eye(4), around=(wall,)), hinge, 150.0, give=Give(0.0))
    touch = 90 + np.degrees(np.arcsin(gap / frame.reach))
    assert touch - 3.5 < free <= touch
    assert free_angle(Subject(product, np.eye(4)), hinge, 150.0) == 150
    assert free_angle(Subject(product, np.eye(4)), product.hinges[1], 150.0) == 0, "it stands on its bottom flap"


def test_what_has_no_room_is_not_opened():
    """Under a shelf board no lid opens: the caller is told, and tries something else."""
    here = subject("folding_carton", 0)
    top = float(here.product.sheets[0].vertices[:, 2].max()) + 0.002
    lid = plate(1.0, 0.0)
    above = replace(lid, vertices=np.array([[-1, -1, top], [1, -1, top], [1, 1, top], [-1, 1, top]], float))
    with pytest.raises(UnsolvedError, match=r"nothing of it .* has room to open"):
        open_pack(replace(here, around=(above,)), OpenConfig(), 0.7, np.random.default_rng(0))


# ---- Caps, bags, necks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "number"), [("pet_bottle", 0), ("glass_jar", 0), ("detergent_bottle", 0)])
@pytest.mark.parametrize("seed", range(2))
def test_a_cap_lies_beside_its_bottle(family: str, number: int, seed: int):
    """Off, it is the same rigid body, touches the tray, and keeps clear of the bottle."""
    here = subject(family, number)
    hinge = here.product.hinges[0]
    done = opened(family, number, 1.0, seed)
    assert done.measures["caps_off"] == 1
    assert judge_severity(SeverityRules(), done) == "major"
    before, after = (
        next(part for part in p.contents if part.name in hinge.moves).vertices for p in (here.product, done.product)
    )
    some = np.random.default_rng(0).integers(0, len(before), (200, 2))
    lengths = [np.linalg.norm(v[some[:, 0]] - v[some[:, 1]], axis=1) for v in (before, after)]
    np.testing.assert_allclose(lengths[0], lengths[1], atol=1e-9)
    assert float(after[:, 2].min()) == pytest.approx(0, abs=1e-6)
    wall = here.product.sheets[0].vertices
    assert np.linalg.norm(after.mean(axis=0)[:2]) > np.linalg.norm(wall[:, :2], axis=1).max()
    mouth = done.product.sheets[0]
    open_already = len(boundary_half_edges(here.product.sheets[0].faces)[0]) > 0
    assert mouth.removed.any() != open_already


def test_a_neck_is_open_by_its_own_width():
    """What is taken from a closed neck is the disc of the mouth's radius."""
    product = families.product("pet_bottle", 0)
    hinge = product.hinges[0]
    along = np.array([0.0, 0, 1])
    sheet, radius = open_neck(product.sheets[0], np.array(hinge.a, float), along, "actuation")
    area = face_areas(sheet.rest, sheet.faces)[sheet.removed].sum()
    assert area == pytest.approx(np.pi * radius**2, rel=0.02)
    total = face_areas(sheet.rest, sheet.faces).sum()
    first = product.sheets[0]
    assert total == pytest.approx(face_areas(first.rest, first.faces).sum(), rel=1e-9)


def test_a_tablet_blister_is_peeled_or_pushed_open():
    """Both happen; pushed, tablets stick out of the foil behind them, labelled, and the rest stays as it was."""
    done = {d.parameters["manner"]: d for d in (opened("blister_pack", 0, 0.8, seed) for seed in range(3))}
    assert set(done) == {"foil", "burst"}
    burst, before = done["burst"], subject("blister_pack", 0).product
    out = [k for k, part in enumerate(burst.product.contents) if part.damage.any()]
    items = {burst.product.contents[k].item for k in out}
    assert len(items) == burst.parameters["cells"] == burst.measures["seals_open"]
    for k, (now, then) in enumerate(zip(burst.product.contents, before.contents, strict=True)):
        away = (now.vertices - then.vertices)[:, 2]
        assert (away < -5e-4).all() if k in out else (away == 0).all()
    assert burst.product.sheets[1].removed.any()
    assert burst.product.sheets[0] is before.sheets[0]


@pytest.mark.parametrize("family", ["pillow_bag", "standup_pouch"])
def test_a_bag_gapes_without_stretch(family: str):
    """The mouth is as wide as asked for, its edges keep their lengths, and edges keep theirs within 5 %."""
    done = opened(family, 0, 0.6)
    assert done.measures["gape_mm"] == pytest.approx(done.parameters["asked_gape_mm"], rel=0.15)
    sheet = done.product.sheets[0]
    edges, _ = mesh_edges(sheet.faces)
    now, then = (np.linalg.norm(np.diff(v[edges], axis=1)[:, 0], axis=1) for v in (sheet.vertices, sheet.rest))
    low, high = np.quantile(now / then - 1, [0.01, 0.99])
    assert -0.05 < low <= high < 0.05
    pattern = flat_pattern(sheet)
    rim, _ = boundary_half_edges(sheet.faces)
    assert len(rim) > 20 and (pattern.t[rim] > pattern.height - 0.004).all(), "open along the upper end only"
    long = [np.linalg.norm(np.diff(v[rim], axis=1)[:, 0], axis=1).sum() for v in (sheet.vertices, sheet.rest)]
    assert long[0] == pytest.approx(long[1], rel=0.02)


@pytest.mark.parametrize(
    ("family", "number"), [("folding_carton", 0), ("pillow_bag", 0), ("tin", 6), ("pet_bottle", 0)]
)
def test_measures_do_not_depend_on_the_mesh(family: str, number: int):
    """On a mesh four times as fine every measure is the same within 5 %."""
    here = subject(family, number)
    fine = replace(here.product, sheets=(subdivide_sheet(here.product.sheets[0]), *here.product.sheets[1:]))
    coarse = opened(family, number, 0.9).measures
    measured = open_pack(replace(here, product=fine), OpenConfig(), 0.9, np.random.default_rng(0)).measures
    for name, value in coarse.items():
        assert measured[name] == pytest.approx(value, rel=0.05, abs=0.05), name


# ---- Severity and input ---------------------------------------------------------------------------------------------


def test_a_lid_ajar_is_tolerable():
    """Under 20 degrees a carton's lid is ajar; wide open it is at least minor."""
    mild, wide = opened("folding_carton", 0, 0.1), opened("folding_carton", 0, 1.0)
    assert mild.measures["opening_deg"] < 20 and judge_severity(SeverityRules(), mild) == "none"
    assert judge_severity(SeverityRules(), wide) in ("minor", "major")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("flap_deg", (150.0, 70.0), "give .lowest, highest."), ("seal_share", (0.5, 1.2), "within 0.1 to 0.94"),
     ("least_room_deg", 0.0, "greater than 0"), ("hinges", 3, "Extra inputs")],
)  # fmt: skip
def test_impossible_config(field: str, value, said: str):
    """What cannot be is named, with what can."""
    with pytest.raises(ValidationError, match=said):
        OpenConfig(**{field: value})
