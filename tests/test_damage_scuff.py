"""Scuff: only what is spoilt changes; areas and lengths are those of geometry, labels lie on the paint."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from damageland.generators.compose import finish_product
from damageland.generators.damage.outcome import Outcome, UnsolvedError, moved_mm
from damageland.generators.damage.scuff import LIKELY, ScuffConfig, scuff, scuff_applies
from damageland.generators.damage.subject import Subject
from damageland.generators.mesh import Sheet, face_areas, finish_sheet, make_sheet, mesh_edges, subdivide_sheet
from damageland.generators.products.product import Product
from damageland.generators.soiling.flatten import Canvas, Spot, cut_patch, make_wall
from damageland.generators.soiling.labels import MOVED_MM, is_label
from damageland.generators.soiling.layers import Sketch, cover
from damageland.generators.soiling.overpaint import SUPERFICIAL, Stroke, spoil_sheet
from damageland.generators.soiling.scratches import scratch_sketch
from damageland.generators.soiling.stuff import look_under, rusts, spoilable
from damageland.sim.errors import DamagelandError
from damageland.sim.scene import SURFACES, Material
from families import OWN, fingerprint, product

CASES = (
    ("folding_carton", "scratch"), ("folding_carton", "abrasion"), ("folding_carton", "dirt"),
    ("corrugated_shipper", "stain"), ("standup_pouch", "scratch"), ("standup_pouch", "dirt"), ("tin", "rust"),
    ("beverage_can", "stain"), ("book", "abrasion"), ("glass_jar", "label"), ("glass_jar", "stain"),
)  # fmt: skip


def only(form: str, **changes) -> ScuffConfig:
    return ScuffConfig.model_validate({"forms": {form: 1.0}, **changes})


@cache
def spoilt(family: str, form: str, strength: float, seed: int = 0, number: int = 0) -> Outcome:
    return scuff(
        Subject(product(family) if number == 0 else product(family, number)),
        only(form),
        strength,
        np.random.default_rng(seed),
    )


def whole(made: Product) -> str:
    return fingerprint(*finish_product(made).parts)


def applicable() -> list[str]:
    return [family for family in OWN if scuff_applies(product(family))]


# ---- What it may touch ----------------------------------------------------------------------------------------------


def test_all_but_clear_walls_apply():
    """Every family has a wall that can be spoilt but a multipack in clear film."""
    assert set(OWN) - set(applicable()) == {"multipack"}


@pytest.mark.parametrize("family", OWN)
def test_strength_zero_is_the_identity(family: str):
    """The same product comes back, with a site and with nothing measured."""
    if not scuff_applies(product(family)):
        pytest.skip("clear film")
    done = scuff(Subject(product(family)), ScuffConfig(), 0.0, np.random.default_rng(3))
    assert done.product is product(family) and done.site is not None
    assert set(done.measures.values()) == {0.0}


@pytest.mark.parametrize(("family", "form"), CASES)
def test_what_is_not_touched_keeps_its_bytes(family: str, form: str):
    """Materials of untouched faces are the same objects; touched ones change no texel that is not painted."""
    before, after = product(family), spoilt(family, form, 0.6).product
    assert after.core is before.core
    changed = 0
    for old, new in zip(before.sheets, after.sheets, strict=True):
        if new is old:
            continue
        last = len(old.materials) - 2
        assert all(a is b for a, b in zip(new.materials[:last], old.materials[:last], strict=True))
        assert new.materials[-2:] == old.materials[-2:]
        for material in new.materials[last:-2]:
            twin = next(m for m in old.materials[:last] if m.name == material.name)
            picture, was = material.base_color_texture, twin.base_color_texture
            assert picture is not None
            if was is None:
                continue
            assert picture.shape == was.shape
            share = (picture != was).any(axis=2).mean()
            assert 0 < share < 0.9
            changed += 1
            gloss, factor = material.metallic_roughness_texture, twin.metallic_roughness_texture
            assert gloss is not None and material.base_color == twin.base_color
            level = np.median(gloss[..., 1]) * material.roughness / 255
            if factor is None:  # most texels are untouched: exactly as rough as they were
                assert level == pytest.approx(twin.roughness, abs=1e-12)
    pieces = sum(a is not b for a, b in zip(before.contents, after.contents, strict=True))
    assert changed or pieces or form == "label"


@pytest.mark.parametrize(("family", "form"), CASES)
def test_only_labels_move(family: str, form: str):
    """Paint moves nothing; the refined mesh has the area, the closed edges and the panels of the old one."""
    before, after = product(family), spoilt(family, form, 0.6).product
    for old, new in zip(before.sheets, after.sheets, strict=True):
        assert set(np.unique(new.panel)) == set(np.unique(old.panel))
        areas = [face_areas(s.rest, s.faces).sum() for s in (old, new)]
        assert areas[1] == pytest.approx(areas[0], rel=1e-9)
        loose = [np.bincount(np.bincount(mesh_edges(s.faces)[1].ravel())) for s in (old, new)]
        assert len(loose[0]) == len(loose[1])
        n = len(old.rest)
        np.testing.assert_array_equal(new.rest[:n], old.rest)
        if form != "label":
            assert moved_mm(new).max() < 1e-9


def test_rust_is_for_steel_and_only_there():
    """A drink can is aluminium: rust alone is an error that says what would work; a tin's paper label stays clean."""
    with pytest.raises(DamagelandError, match=r"forms.*beverage_can.*abrasion, dirt, scratch, stain"):
        spoilt("beverage_can", "rust", 0.5)
    labelled = next(n for n in range(8) if any(m.name == "label" for m in product("tin", n).sheets[0].materials))
    for seed in range(3):
        old, new = product("tin", labelled).sheets[0], spoilt("tin", "rust", 0.9, seed, labelled).product.sheets[0]
        painted = new.materials[len(old.materials) - 2 : -2]
        assert painted and all(rusts(material) for material in painted)


def test_removed_faces_stay_gone_and_clean():
    """Where a hole has been cut nothing is painted, and the gone faces keep their labels."""
    made = product("folding_carton")
    sheet = made.sheets[0]
    removed = sheet.rest[sheet.faces].mean(axis=1)[:, 2] > np.median(sheet.rest[:, 2])
    holed = replace(made, sheets=(replace(sheet, removed=removed), *made.sheets[1:]))
    after = scuff(Subject(holed), only("dirt"), 0.9, np.random.default_rng(1)).product.sheets[0]
    assert face_areas(after.rest, after.faces)[after.removed].sum() == pytest.approx(
        face_areas(sheet.rest, sheet.faces)[removed].sum()
    )
    assert (after.material[after.removed] < len(sheet.materials) - 2).all()


def test_site_is_drawn_by_area_and_near_what_happened():
    """All sides of a carton are struck as their areas say; after a mishap, its surroundings."""
    made = product("folding_carton")
    sheet = made.sheets[0]
    struck = np.array([
        scuff(Subject(made), only("scratch"), 0.0, np.random.default_rng(seed)).site for seed in range(100)
    ])  # fmt: skip
    middle, area = sheet.rest[sheet.faces].mean(axis=1), face_areas(sheet.rest, sheet.faces)
    for axis in range(3):
        want = (area * middle[:, axis]).sum() / area.sum()
        spread = np.sqrt((area * np.square(middle[:, axis] - want)).sum() / area.sum() / len(struck))
        assert abs(struck[:, axis].mean() - want) < 3.5 * spread
    there = sheet.rest[np.argmax(sheet.rest.sum(axis=1))]
    near = [
        scuff(Subject(made, near=there), only("scratch"), 0.0, np.random.default_rng(seed)).site for seed in range(16)
    ]
    assert np.median(np.linalg.norm(np.array(near) - there, axis=1)) < 0.05


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"forms": {"rust": 0.0}}, "at least one of scratch"),
        ({"width_mm": (0.5, 0.2)}, "`width_mm` is .0.5, 0.2."),
        ({"spots": (0, 2)}, "`spots` is .0, 2.: give 1 to 5"),
        ({"forms": {"burn": 1.0}}, "scratch"),
        ({"most_share": 1.5}, "less than or equal to 1"),
    ],
)
def test_impossible_configs_are_refused(changes: dict, message: str):
    """Each with what was given and what would do."""
    with pytest.raises(ValueError, match=message):
        ScuffConfig(**changes)


@pytest.mark.parametrize("family", ["glass_jar", "loose_set"])
def test_lids_and_pieces_keep_their_mesh(family: str):
    """What is finished is painted and labelled, on its outer side only, and neither cut nor moved."""
    made, struck = product(family), 0
    for seed in range(8):
        done = scuff(Subject(made), only("dirt"), 0.6, np.random.default_rng(seed)).product
        for old, new in zip(made.contents, done.contents, strict=True):
            if old is new:
                continue
            for name in ("vertices", "faces", "normals", "surface"):
                assert getattr(old, name) is getattr(new, name)
            hit = new.damage != old.damage
            struck += int(hit.sum())
            assert set(new.damage[hit]) <= {1 << SUPERFICIAL}
            assert (new.surface[hit] == SURFACES.index("outer")).all()
            assert (new.material[hit] >= len(old.materials)).all()
            assert all(a is b for a, b in zip(old.materials, new.materials, strict=False))
    assert struck > 100


# ---- How much of it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "form"), CASES)
@pytest.mark.parametrize("seed", range(1))
def test_stronger_spoils_more(family: str, form: str, seed: int):
    """Area, length and peel never fall as strength rises, for one seed, and grow a lot on the whole."""
    try:
        steps = [spoilt(family, form, s, seed).measures for s in (0.0, 0.1, 0.4, 0.7, 1.0)]
    except UnsolvedError:
        pytest.skip("resampled by the caller")
    for name in ("area_mm2", "length_mm", "peel_mm"):
        values = np.array([step[name] for step in steps])
        assert (np.diff(values) >= -0.02 * values[:-1]).all(), (name, values)
    assert steps[-1]["area_mm2"] > 2 * steps[1]["area_mm2"]


@pytest.mark.parametrize(("family", "form"), [case for case in CASES if case[1] != "label"])
def test_measures_do_not_depend_on_mesh_or_texture(family: str, form: str):
    """A subdivided mesh and a texture of twice the size give the same place, area and length within 5 %."""
    made, finer = product(family), product(family, texture_px=1024)
    fine = replace(made, sheets=tuple(replace(subdivide_sheet(s), levels=0) for s in made.sheets))
    first, *others = (
        scuff(Subject(p), only(form, spots=(1, 1)), 0.55, np.random.default_rng(4)) for p in (made, fine, finer)
    )
    for other in others:
        assert first.site is not None and other.site is not None
        np.testing.assert_allclose(other.site, first.site, atol=2e-5)
        for name in ("area_mm2", "length_mm"):
            assert other.measures[name] == pytest.approx(first.measures[name], rel=0.05, abs=0.5), name


def disc(radius_mm: float) -> Sketch:
    """A red disc without any noise."""

    def draw(canvas: Canvas):
        inside = np.clip((radius_mm - np.hypot(canvas.x_mm, canvas.y_mm)) * canvas.px_per_mm + 0.5, 0, 1)
        return cover(inside, np.array([200.0, 0, 0]), spoilt=inside)

    return Sketch((radius_mm + 3, radius_mm + 3), 6.0, draw, clings=True, close_mm=0.5, margin_mm=0.0)


def board(angle_deg: float, cells: int = 30, px: int = 256) -> Sheet:
    """A printed square of 120 mm, folded along its middle; its texture is grey."""
    grid = np.linspace(0, 1, cells + 1)
    u, v = (a.ravel() for a in np.meshgrid(grid, grid, indexing="ij"))
    index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = (q.ravel() for q in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    x, fold = 0.12 * (u - 0.5), np.radians(angle_deg)
    bent = np.where(x > 0, np.cos(fold), 1.0) * x
    vertices = np.stack([bent, 0.12 * v, np.where(x > 0, -np.sin(fold) * x, 0)], 1)
    print_ = Material("coated_board", base_color_texture=np.full((px, px, 3), 128, np.uint8))
    plain = Material("coated_board_inside")
    template = product("folding_carton").sheets[0]
    return make_sheet(
        "board", vertices, faces, np.stack([u, v], 1)[faces], np.zeros(len(faces), np.uint8), (print_, plain, plain),
        template.mechanics, thickness_mm=0.5, levels=1, crease_deg=38.0,
    )  # fmt: skip


def struck(sheet: Sheet, at: np.ndarray, normal: np.ndarray, sketch: Sketch) -> tuple[Sheet, float]:
    """Put one sketch on a sheet."""
    wall = make_wall(sheet, spoilable(sheet))
    face = int(np.square(sheet.rest[sheet.faces].mean(axis=1) - at).sum(axis=1).argmin())
    patch = cut_patch(wall, Spot(face, at, normal, 0.0), sketch.half_mm, sketch.px_per_mm, clings=sketch.clings)
    return spoil_sheet(sheet, [Stroke(patch, sketch, sketch.draw(patch.canvas))])


@pytest.mark.parametrize("angle", [0.0, 40.0, 90.0])
@pytest.mark.parametrize("radius", [6.0, 20.0])
def test_a_disc_has_its_area_even_round_a_fold(angle: float, radius: float):
    """Spoilt area, painted texels and label of a disc on a folded board are those of π r²."""
    sheet, area = struck(board(angle), np.array([0.001, 0.06, 0.0]), np.array([0.2, 0, 1.0]), disc(radius))
    want = np.pi * radius**2
    assert area == pytest.approx(want, rel=0.01)
    texture = sheet.materials[1].base_color_texture
    assert texture is not None
    painted = (texture[..., 0] > 164).mean() * 120**2
    assert painted == pytest.approx(want, rel=0.04 if radius < 10 else 0.02)
    part, _ = finish_sheet(sheet)
    outer = part.surface == SURFACES.index("outer")
    labelled = outer & ((part.damage >> SUPERFICIAL) & 1 == 1)
    middle = part.uv.mean(axis=1) * 120 - [60 + 1, 60]
    hit = np.hypot(*middle.T) < radius
    size = 1e6 * face_areas(part.vertices, part.faces)
    assert size[labelled & hit].sum() / size[outer & (labelled | hit)].sum() > (0.8 if radius < 10 else 0.93)


def test_paint_keeps_to_its_side_when_a_tool_touches():
    """A tool that comes against one side of a sharp fold leaves the other side as it is; a liquid goes round."""
    sheet, at = board(90.0), np.array([-0.004, 0.06, 0.0])
    beyond = []
    for clings in (False, True):
        done, _ = struck(sheet, at, np.array([0, 0, 1.0]), replace(disc(10.0), clings=clings))
        far = (done.rest[done.faces].mean(axis=1) @ [1.0, 0, -1.0]) > 1e-4
        beyond.append(int((done.material[far] > 0).sum()))
    assert beyond[0] == 0 < beyond[1]


def test_scratches_have_the_length_and_band_that_was_asked_for():
    """On a large board the total length is kept, every scratch lies in the label, and the label is a narrow band."""
    sheet = board(0.0, px=1024)
    stuff = look_under(sheet, 0, np.arange(9))
    sketch = scratch_sketch(90.0, (10, 40), (0.3, 0.9), stuff, np.random.default_rng(5))
    total = sum(float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum()) for line in sketch.lines_mm)
    assert total == pytest.approx(90, rel=0.12)
    done, area = struck(sheet, np.array([0.0, 0.06, 0.0]), np.array([0, 0, 1.0]), sketch)
    assert 0.1 * 60 < area < 0.9 * 100
    part, _ = finish_sheet(done)
    outer = part.surface == SURFACES.index("outer")
    labelled = outer & (part.damage > 0)
    picture = done.materials[1].base_color_texture
    assert picture is not None
    y, x = np.nonzero(np.abs(picture.astype(int) - 128).max(axis=2) > 24)
    scars = np.stack([(x + 0.5) / 1024, 1 - (y + 0.5) / 1024], 1) * 120
    middle = part.uv[labelled].mean(axis=1) * 120
    from scipy.spatial import KDTree

    assert KDTree(middle).query(scars)[0].max() < 1.6, "every scar is labelled"
    assert np.quantile(KDTree(scars).query(middle)[0], 0.97) < 2.6, "the label is a band"


@pytest.mark.parametrize(
    ("family", "form"),
    [("folding_carton", "stain"), ("folding_carton", "abrasion"), ("poly_mailer", "dirt"), ("tin", "rust")],
)
def test_labels_lie_on_the_paint(family: str, form: str):
    """Labelled faces and changed texels overlap by more than 60 % of their union, over some seeds."""
    both, either = 0.0, 0.0
    for seed in range(3):
        made = product(family, texture_px=1024)
        done = scuff(Subject(made), only(form), 0.6, np.random.default_rng(seed))
        for old, new in zip(made.sheets, done.product.sheets, strict=True):
            if old is new:
                continue
            part, _ = finish_sheet(new)
            twins = {m.name: m for m in old.materials}
            size = 1e6 * face_areas(part.vertices, part.faces)
            for k, material in enumerate(new.materials[:-2]):
                mine = (part.material == k) & (part.surface == SURFACES.index("outer"))
                if k < len(old.materials) - 2:
                    either += size[mine & (part.damage > 0)].sum()
                    continue
                picture, was = material.base_color_texture, twins[material.name].base_color_texture
                assert picture is not None
                was = np.full_like(picture, 255) if was is None else was
                uv = part.uv[mine].mean(axis=1)
                x = np.clip((uv[:, 0] * picture.shape[1]).astype(int), 0, picture.shape[1] - 1)
                y = np.clip(((1 - uv[:, 1]) * picture.shape[0]).astype(int), 0, picture.shape[0] - 1)
                hit = np.abs(picture[y, x].astype(int) - was[y, x]).max(axis=1) >= 5
                label = part.damage[mine] > 0
                both += size[mine][hit & label].sum()
                either += size[mine][hit | label].sum()
    assert both / either > 0.6


# ---- Labels that come off -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strength", [0.2, 0.9])
def test_a_label_lifts_without_stretch(seed: int, strength: float):
    """Edges keep their lengths, the flap stands off outwards, what moved is labelled, the glass is as it was."""
    before = product("glass_jar")
    try:
        done = spoilt("glass_jar", "label", strength, seed)
    except UnsolvedError:
        pytest.skip("resampled by the caller")
    changed = [k for k, (a, b) in enumerate(zip(before.sheets, done.product.sheets, strict=True)) if a is not b]
    assert len(changed) == 1 and is_label(before.sheets[changed[0]])
    sheet = done.product.sheets[changed[0]]
    moved = moved_mm(sheet)
    assert ((sheet.marks[:, SUPERFICIAL] >= 1) == (moved >= MOVED_MM)).all()
    # Outwards of the jar, never into it.
    radius = [np.hypot(v[:, 0], v[:, 1]) for v in (sheet.vertices, sheet.rest)]
    assert (radius[0] - radius[1])[moved > 0.01].min() > -0.0005
    if done.parameters["way"] == "wrinkle":
        assert 0.3 < done.measures["lift_mm"] <= 3.0 and moved.max() <= 3.0
        return
    edges, _ = mesh_edges(sheet.faces)
    after, was = (np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1) for v in (sheet.vertices, sheet.rest))
    assert np.quantile(np.abs(after / was - 1), 0.99) < 0.03
    areas = [face_areas(v, sheet.faces).sum() for v in (sheet.vertices, sheet.rest)]
    assert areas[0] == pytest.approx(areas[1], rel=0.01)
    assert done.measures["area_mm2"] > 0
    assert done.measures["lift_mm"] < 2 * done.measures["peel_mm"]


def test_every_stock_has_something_that_happens_to_it():
    """The table knows every stock, and rust only tinplate."""
    assert all(sum(chances.values()) > 0 for chances in LIKELY.values())
    assert [stock for stock, chances in LIKELY.items() if chances.get("rust")] == ["tinplate"]
