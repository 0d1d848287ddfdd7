"""Holes: cut exactly, closed after thickening, labelled where they are, larger the stronger, seen through."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

import data_glb
import families
import numpy as np
import pytest
from damageland.generators.damage import hole as hole_module
from damageland.generators.damage.hole import HoleConfig, hole, hole_applies, open_area_mm2
from damageland.generators.damage.outcome import Outcome, UnsolvedError, moved_mm
from damageland.generators.damage.subject import NEAR_M, Subject
from damageland.generators.design import Design
from damageland.generators.mesh import (
    Sheet,
    boundary_half_edges,
    face_areas,
    finish_sheet,
    mesh_edges,
    settle_sheet,
    subdivide_sheet,
)
from damageland.generators.piercing.forms import Form, Wall, flap, perforation, pierceable, puncture, slit, window
from damageland.generators.piercing.pattern import cut_pattern
from damageland.generators.piercing.petals import bend_pattern, tangled_faces
from damageland.generators.piercing.pierce import Cutting, Pattern, Petal, Place, polygon_distance
from damageland.generators.piercing.wearthrough import draw_worn, wear_through
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.product import Product
from damageland.sim.errors import DamagelandError
from damageland.sim.rays import build_caster, cast
from damageland.sim.scene import KINDS, SURFACES, Part
from pydantic import ValidationError
from test_cut import board, edge_counts, euler

PENETRATION = KINDS.index("penetration")
FORMS: tuple[Form, ...] = get_args(Form)
WALLS: tuple[Wall, ...] = get_args(Wall)
PIERCED = tuple(f for f in families.OWN if f not in ("glass_jar", "loose_set"))
SOME: dict[str, Wall] = {
    "folding_carton": "board",
    "tin": "metal",
    "standup_pouch": "film",
    "corrugated_shipper": "corrugate",
}
CASES = [(family, form) for family, wall in SOME.items() for form in FORMS if form in HoleConfig().forms[wall]]


def only(form: Form) -> HoleConfig:
    return HoleConfig(forms={wall: {form: 1.0} for wall in WALLS})


@cache
def outcome(family: str, form: Form, strength: float = 0.6, seed: int = 0) -> Outcome:
    return hole(Subject(families.product(family)), only(form), strength, np.random.default_rng(seed))


@cache
def pierced(family: str, form: Form, strength: float = 0.6, seed: int = 0) -> tuple[Sheet, Sheet, Part, Part | None]:
    """The sheet that the hole is in, before and after, and its finished parts."""
    done = outcome(family, form, strength, seed)
    k = next(k for k, s in enumerate(done.product.sheets) if s.removed.any() or s.marks.any())
    after = done.product.sheets[k]
    return settle_sheet(families.product(family).sheets[k]), after, *finish_sheet(after)


def place_on_board(reach: float = 0.012, room: float = 0.05) -> Place:
    at, axes = np.array([0.061, 0.058, 0.0]), np.eye(3)
    return Place(at, axes, at, axes, 3 * reach, room)


def drawn(form: Form, seed: int, wall: Wall = "board") -> Pattern:
    rng = np.random.default_rng(seed)
    made = {
        "puncture": lambda: puncture(rng, wall, core=0.4, slits=4, depth=1.0, ragged=0.14),
        "slit": lambda: slit(rng, wall, None),
        "flap": lambda: flap(rng, wall),
        "window": lambda: window(rng, wall),
        "perforation": lambda: perforation(rng, wall, ragged=0.14),
    }
    return made[form]()


def shoelace_mm2(corners: np.ndarray) -> float:
    x, y = 1000 * corners.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


# Against what geometry says


@pytest.mark.parametrize("form", ["puncture", "window", "perforation"])
@pytest.mark.parametrize("seed", range(2))
def test_missing_piece_has_the_area_of_its_contour(form: Form, seed: int):
    """Removed faces, the gone part and the outline agree within 2 %; the rim lies on the outline."""
    cutting = Cutting(drawn(form, seed), 0.012)
    sheet, _ = cut_pattern(board(40), cutting, place_on_board())
    want = sum(shoelace_mm2(contour) for contour in cutting.contours)
    removed = 1e6 * face_areas(sheet.rest, sheet.faces)[sheet.removed].sum()
    assert removed == pytest.approx(want, rel=0.02)
    _, gone = finish_sheet(replace(sheet, levels=0))
    assert gone is not None and ((gone.damage >> PENETRATION) & 1).all()
    assert 1e6 * face_areas(gone.vertices, gone.faces).sum() == pytest.approx(removed, rel=1e-9)
    rim = np.unique(boundary_half_edges(sheet.faces[sheet.removed])[0])
    off = np.abs(cutting.missing(sheet.rest[rim][:, :2] - place_on_board().at[:2]))
    assert np.quantile(off, 0.9) < 0.0003  # the others are crumbs along slits


@pytest.mark.parametrize("form", ["puncture", "slit", "flap", "window", "perforation"])
@pytest.mark.parametrize("seed", range(2))
def test_hole_is_as_large_on_a_finer_mesh(form: Form, seed: int):
    """The same hole in a coarse and in a fine sheet has the same open area within 5 %, the missing piece within 2 %."""
    found = []
    for sheet in (board(28), subdivide_sheet(board(28))):
        cutting, place = Cutting(drawn(form, seed), 0.012), place_on_board()
        cut, _ = cut_pattern(sheet, cutting, place)
        bent = replace(cut, vertices=cut.vertices + bend_pattern(cut, cutting, place))
        area = open_area_mm2((bent,), place, 1.15 * cutting.reach * cutting.pattern.extent)
        found.append((area, 1e6 * float(face_areas(cut.rest, cut.faces)[cut.removed].sum())))
    (coarse, coarse_gone), (fine, fine_gone) = found
    assert fine == pytest.approx(coarse, rel=0.05)
    assert fine_gone == pytest.approx(coarse_gone, rel=0.02)
    assert coarse > 0.5 and coarse >= 0.9 * coarse_gone


def test_open_area_of_a_plain_cut_is_that_of_its_outline():
    """With nothing bent, rays pass exactly where the piece is missing: a disc of 6 mm, within 2 %."""
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    disc = Pattern("window", contours=(0.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1),))
    cutting, place = Cutting(disc, 0.012), place_on_board()
    sheet, _ = cut_pattern(board(30), cutting, place)
    assert open_area_mm2((sheet,), place, 0.0075) == pytest.approx(np.pi * 36, rel=0.02)


@pytest.mark.parametrize("turn", [0.4, 1.2, 2.2])
def test_a_petal_bends_without_stretching(turn: float):
    """Petals roll about straight chords: their edges keep their length, and go no deeper than there is room."""
    angle = np.arange(4) * np.pi / 2
    ends = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    pattern = Pattern("puncture", ends=ends, petals=(Petal(turn, 0.5, 0.2, 0.0),) * 4)
    for room in (0.05, 0.003):
        cutting, place = Cutting(pattern, 0.012), place_on_board(room=room)
        sheet, _ = cut_pattern(board(40), cutting, place)
        moved = bend_pattern(sheet, cutting, place)
        edges, _ = mesh_edges(sheet.faces)
        after = sheet.vertices + moved
        length, before = (np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1) for v in (after, sheet.rest))
        bent = (np.linalg.norm(moved, axis=1)[edges] > 1e-5).all(axis=1)
        strain = length[bent] / before[bent] - 1
        assert np.quantile(np.abs(strain), 0.99) < 0.02 and bent.sum() > 100
        assert -moved[:, 2].min() <= room + 1e-9
        assert not tangled_faces(after, sheet.rest, sheet.faces).any()


def test_tangled_faces_are_found():
    """A sheet pushed through itself is noticed, one that lies beside another is not."""
    one = board(6)
    apart = np.concatenate([one.rest, one.rest + np.array([0, 0, 0.001])])
    through = np.concatenate([one.rest, one.rest[:, [0, 2, 1]] + np.array([0.003, 0.061, -0.05])])
    faces = np.concatenate([one.faces, one.faces + len(one.rest)])
    assert not tangled_faces(apart, apart, faces).any()
    assert tangled_faces(through, through, faces).any()


def test_distance_to_a_polygon():
    """Signed distance to a square: inside negative, outside positive, to corners straight."""
    square = np.array([[1.0, 1], [-1, 1], [-1, -1], [1, -1]])
    points = np.array([[0.0, 0], [0.5, 0], [3, 0], [2, 2], [1, 0.3]])
    want = [-1, -0.5, 2, np.sqrt(2), 0]
    np.testing.assert_allclose(polygon_distance(points, square), want, atol=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_worn_corner_is_as_large_on_a_finer_mesh(seed: int):
    """Wear removes the same area from a coarse and from a fine carton within 5 %."""
    sheet = replace(families.product("folding_carton").sheets[0], relief=None)
    worn = draw_worn(Subject(families.product("folding_carton")), sheet, 0.14, np.random.default_rng(seed))
    areas = [wear_through(s, worn, 0.008, fibrous=True)[3] for s in (sheet, subdivide_sheet(sheet))]
    assert areas[1] == pytest.approx(areas[0], rel=0.05)


# On products


@pytest.mark.parametrize("family", families.OWN)
def test_every_family_is_pierced_or_says_why_not(family: str):
    """Default holes in every family that can be pierced; at strength 0 nothing at all has changed."""
    made = families.product(family)
    assert hole_applies(made) == (family in PIERCED)
    assert family not in SOME or pierceable(made)[0] == SOME[family]
    if family not in PIERCED:
        return
    for seed in range(1, 2):
        nothing = hole(Subject(made), HoleConfig(), 0.0, np.random.default_rng(seed))
        assert all(a is b for a, b in zip(nothing.product.sheets, made.sheets, strict=True))
        assert not any(nothing.measures.values())
        done = hole(Subject(made), HoleConfig(), 0.7, np.random.default_rng(seed))
        assert done.measures["area_mm2"] > 0 and done.measures["count"] >= 1
        assert done.parameters["wall"] not in ("dome", "front label") and done.site is not None
        for before, after in zip(made.sheets, done.product.sheets, strict=True):
            if after is before:
                continue
            part, _ = finish_sheet(after)
            assert np.isfinite(part.vertices).all() and np.isfinite(part.normals).all()
            assert len(boundary_half_edges(part.faces)[0]) == 0


@pytest.mark.parametrize(("family", "form"), CASES)
def test_walls_stay_closed_with_the_rims_that_the_cuts_predict(family: str, form: Form):
    """Each opening makes one more rim of the wall; thickened, no edge is open, and torn edges are labelled."""
    before, after, part, _ = pierced(family, form)
    kept = after.faces[~after.removed]
    assert euler(kept) == euler(before.faces) - outcome(family, form).measures["count"]
    assert edge_counts(kept).max() == 2
    assert len(boundary_half_edges(part.faces)[0]) == 0
    rim, _ = boundary_half_edges(kept)
    surplus = len(rim) - len(np.unique(rim))  # rims that touch in a vertex
    assert euler(part.faces) == 2 * euler(kept) + surplus
    edge = (part.surface == SURFACES.index("edge")) & (
        np.linalg.norm(part.vertices[part.faces].mean(axis=1) - outcome(family, form).site, axis=1) < 0.03
    )
    assert ((part.damage[edge] >> PENETRATION) & 1).all() and edge.any()


@pytest.mark.parametrize(("family", "form"), CASES)
def test_labels_hold_all_that_moved_and_nothing_out_of_reach(family: str, form: Form):
    """Faces around what moved by the threshold are labelled; beyond three reaches the wall is byte-identical."""
    before, after, part, gone = pierced(family, form)
    kept = after.faces[~after.removed]
    labelled = (part.damage[part.surface == SURFACES.index("outer")] >> PENETRATION) & 1 == 1
    assert labelled.any() and not labelled.all()
    assert moved_mm(after)[kept][~labelled].max() < HoleConfig().threshold_mm
    assert not (part.damage & ~np.uint8(1 << PENETRATION)).any(), "no other kind is labelled"
    done = outcome(family, form)
    reach = 3 * done.parameters["reach_mm"] / 1000 + 3 * before.mechanics.spacing_mm / 1000
    far = np.linalg.norm(after.rest - done.site, axis=1) > reach
    assert far.any() and not after.marks[far].any()
    np.testing.assert_array_equal(after.vertices[far], after.rest[far])
    assert not far[after.faces[after.removed]].any()
    far_before = np.linalg.norm(before.rest - done.site, axis=1) > reach
    assert far_before.sum() == far.sum(), "no vertex is added out of reach"
    lost = 0.0 if gone is None else 1e6 * float(face_areas(gone.vertices, gone.faces).sum())
    assert (lost < 0.2) == (form in ("slit", "flap")), "but for crumbs, slits take nothing away"


@pytest.mark.parametrize(
    ("family", "form", "seed"),
    [
        ("standup_pouch", "slit", 0),
        ("pillow_bag", "slit", 1),
        ("pillow_bag", "puncture", 1),
        ("folding_carton", "flap", 3),
    ],
)
def test_nothing_is_drawn_across_a_slit(family: str, form: Form, seed: int):
    """No face is stretched to twice its length: slivers beside a slit go with the side that they hang on."""
    sheet = next(s for s in outcome(family, form, 0.8, seed).product.sheets if s.marks.any())
    faces = sheet.faces[~sheet.removed]
    now, then = (np.linalg.norm(v[faces] - v[faces[:, [1, 2, 0]]], axis=2) for v in (sheet.vertices, sheet.rest))
    assert (now.max(axis=1) < 2 * then.max(axis=1)).all()


@pytest.mark.parametrize("form", FORMS)
def test_harder_holes_are_larger(form: Form):
    """For one seed, area and reach never fall as strength rises; place and count stay."""
    steps = [outcome("folding_carton", form, strength, 1) for strength in (0.1, 0.3, 0.5, 0.75, 1.0)]
    for name in ("area_mm2", "diameter_mm"):
        values = np.array([step.measures[name] for step in steps])
        assert (np.diff(values) > -0.02 * values.max()).all() and values[-1] > 3 * values[0], (name, values)
    assert len({step.measures["count"] for step in steps}) == 1
    assert len({step.site.tobytes() for step in steps if step.site is not None}) == 1
    assert 3 < steps[-1].measures["area_mm2"] < 1500


def test_a_label_on_the_wall_is_pierced_with_it():
    """What lies on a wall is cut along the same outline, and the label itself is never drawn alone."""
    made = families.product("folding_carton")
    wall = made.sheets[0]
    front = wall.rest[wall.faces].mean(axis=1)[:, 1] < wall.rest[:, 1].min() + 1e-4
    lifted = wall.rest + np.array([0, -0.0004, 0])
    label = replace(
        wall, name="front label", rest=lifted, vertices=lifted.copy(), faces=wall.faces[front], uv=wall.uv[front],
        material=wall.material[front], panel=wall.panel[front], removed=wall.removed[front],
    )  # fmt: skip
    both = replace(made, sheets=(wall, label))
    assert set(pierceable(both)) == {0}
    struck = 0
    for seed in range(8):
        done = hole(Subject(both), only("window"), 0.6, np.random.default_rng(seed))
        on_label = done.site is not None and done.site[1] < wall.rest[:, 1].min() + 1e-4
        areas = [1e6 * float(face_areas(s.rest, s.faces)[s.removed].sum()) for s in done.product.sheets]
        assert areas[0] > 0 and (areas[1] > 0) == on_label
        if on_label:
            struck += 1
            assert areas[1] == pytest.approx(areas[0], rel=0.05)
    assert struck >= 1


def test_holes_follow_the_mishap():
    """With a place given, all holes lie near it; without, they are all over the package."""
    made = families.product("folding_carton")
    corner = made.sheets[0].rest.max(axis=0)
    near = [
        hole(Subject(made, near=corner), only("puncture"), 0.0, np.random.default_rng(seed)).site for seed in range(12)
    ]
    free = [hole(Subject(made), only("puncture"), 0.0, np.random.default_rng(seed)).site for seed in range(12)]
    close, wide = (
        np.median([np.linalg.norm(site - corner) for site in sites if site is not None]) for sites in (near, free)
    )
    assert close < 2.2 * NEAR_M < wide


def test_something_is_seen_through_every_hole():
    """Behind a hole there are contents or the inner side of a wall: no ray leaves the item."""
    for family in ("folding_carton", "tin", "standup_pouch", "multipack", "corrugated_shipper"):
        done = outcome(family, "window" if family != "tin" else "puncture")
        assert done.measures["area_mm2"] > 3
        sheet = next(s for s in done.product.sheets if s.removed.any())
        middle = sheet.rest[sheet.faces[sheet.removed]].mean(axis=(0, 1))
        parts = [finish_sheet(s)[0] for s in done.product.sheets] + list(done.product.contents)
        inward = sheet.rest.mean(axis=0) - middle
        inward /= np.linalg.norm(inward)
        hits = cast(build_caster(tuple(parts)), (middle - 0.002 * inward)[None], inward[None])
        assert np.isfinite(hits.distance[0]), family


def test_imported_meshes_are_pierced(tmp_path: Path):
    """A user's own mesh takes default holes; declared brittle it takes none."""
    data_glb.write_mug(tmp_path / "mug.glb")
    config, build = FAMILIES["imported_mesh"]
    soft, brittle = (
        build("mug", config(folder=tmp_path, brittle=b), Design(3, 0, "imported_mesh")) for b in (False, True)
    )
    assert hole_applies(soft) and not hole_applies(brittle)
    done = hole(Subject(soft), HoleConfig(), 0.5, np.random.default_rng(1))
    assert done.measures["area_mm2"] > 0


def test_a_second_hole_keeps_the_first():
    """Two mishaps in a row: both openings are there, and the wall is still closed."""
    once = outcome("folding_carton", "puncture", 0.5, 0)
    twice = hole(Subject(once.product), only("window"), 0.5, np.random.default_rng(3))
    sheet = twice.product.sheets[0]
    removed = face_areas(sheet.rest, sheet.faces)[sheet.removed].sum()
    first = once.product.sheets[0]
    assert removed > face_areas(first.rest, first.faces)[first.removed].sum()
    assert euler(sheet.faces[~sheet.removed]) == 0
    assert len(boundary_half_edges(finish_sheet(sheet)[0].faces)[0]) == 0


def test_tangled_petals_are_never_kept(monkeypatch: pytest.MonkeyPatch):
    """If faces go through one another the hole is not solved."""
    monkeypatch.setattr(hole_module, "tangled_faces", lambda vertices, rest, faces: np.ones(len(faces), bool))
    with pytest.raises(UnsolvedError, match="go through one another"):
        hole(Subject(families.product("folding_carton")), only("puncture"), 0.5, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"radius_mm": (9, 3)}, "rising"),
        ({"core_share": (0.2, 1.5)}, "core_share"),
        ({"slits": (1, 2)}, "slits"),
        ({"forms": {"board": {"wear": 0.0}}}, "above 0"),
        ({"forms": {"wood": {"wear": 1.0}}}, "forms"),
        ({"depth_share": (-1, 0)}, "depth_share"),
    ],
)
def test_impossible_configs_say_what_would_do(bad: dict, says: str):
    """One clear error, with the key in it."""
    with pytest.raises(ValidationError, match=says):
        HoleConfig(**bad)


def test_glass_is_not_pierced():
    """Glass breaks instead; what is not solved is one of our errors."""
    product: Product = families.product("glass_jar")
    assert not hole_applies(product) and pierceable(product) == {}
    assert issubclass(UnsolvedError, DamagelandError)
