"""What looks like damage and is not: decals lie where and how they should, clutter keeps clear, nothing is labelled."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from damageland.generators.clutter import FROM_CENTRE_M, draw_clutter
from damageland.generators.damage.outcome import SeverityRules, judge_severity
from damageland.generators.decal import Decal, apply_decal, draw_spot, printable_faces, unroll
from damageland.generators.design import Design
from damageland.generators.extras import EXTRAS
from damageland.generators.mesh import Sheet, face_areas, face_normals, finish_sheet
from damageland.generators.prints import FOLDER, PRINTS, draw_print
from damageland.generators.wear import LookalikesConfig, _dent, _tolerable, benign, print_lookalike
from families import fingerprint, product

NEVER = dict.fromkeys(LookalikesConfig.model_fields, 0.0)
BOX, ROUND = "folding_carton", "tin"


def sheet_of(family: str) -> Sheet:
    return product(family).sheets[0]


def quarters() -> Decal:
    """Red, green / blue, white: no turn or mirroring of it is like it; 20 mm wide, 16 mm high."""
    picture = np.full((80, 100, 4), 255, np.uint8)
    picture[:40, :50, :3], picture[:40, 50:, :3], picture[40:, :50, :3] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return Decal(picture, 20.0, 0.6)


def colour_at(sheet: Sheet, face: int, weights: np.ndarray) -> np.ndarray:
    """The texel that a point of a face shows."""
    texture = sheet.materials[sheet.material[face]].base_color_texture
    assert texture is not None
    u, v = weights @ sheet.uv[face]
    return texture[int((1 - v) * texture.shape[0]), int(u * texture.shape[1])].astype(int)


def middle_of(sheet: Sheet, outward: np.ndarray) -> np.ndarray:
    """Middle of the face nearest to the centre of the side that faces a way."""
    middle = sheet.rest[sheet.faces].mean(axis=1)
    normal = face_normals(sheet.rest, sheet.faces)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    side = (normal @ outward > 0.97) & printable_faces(sheet)
    spot = sheet.rest.mean(axis=0) + outward * (middle[side] @ outward).max()
    return middle[np.flatnonzero(side)[np.argmin(np.linalg.norm(middle[side] - spot, axis=1))]]


def samples(sheet: Sheet, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random points of printable faces: face, weights, place."""
    area = face_areas(sheet.rest, sheet.faces) * printable_faces(sheet)
    face = rng.choice(len(area), count, p=area / area.sum())
    weights = rng.dirichlet(np.ones(3), count)
    return face, weights, np.einsum("nk,nkc->nc", weights, sheet.rest[sheet.faces[face]])


# ---- Decals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "outward"), [(BOX, (0, -1, 0)), (BOX, (1, 0, 0)), (ROUND, (1, 0, 0))])
def test_a_decal_has_its_size_and_is_not_mirrored(family, outward):
    """Seen from outside with up upwards, each quarter's colour is where the picture has it, and ends where it ends."""
    sheet, normal = sheet_of(family), np.array(outward, float)
    at = middle_of(sheet, normal)
    painted = apply_decal(sheet, quarters(), at, turn_rad=0.0)
    right, up = np.cross([0.0, 0, 1], normal), np.array([0.0, 0, 1])
    face, weights, place = samples(sheet, np.random.default_rng(0), 60000)
    flat = np.stack([(place - at) @ right, (place - at) @ up], axis=1) * 1000
    if family == ROUND:  # on a rolled wall the picture is as wide along the arc
        radius = 1000 * float(np.linalg.norm(at[:2]))
        flat[:, 0] = radius * np.arcsin(np.clip(flat[:, 0] / radius, -1, 1))
    near = (np.abs(flat) < [14, 12]).all(axis=1) & ((place - at) @ normal > -0.01)
    checked = {True: 0, False: 0}
    for f, w, (x, y) in zip(face[near], weights[near], flat[near], strict=True):
        if min(abs(x), abs(y), abs(abs(x) - 10), abs(abs(y) - 8)) < 0.9:
            continue  # a texel of the small test texture is that wide
        inside = abs(x) < 10 and abs(y) < 8
        expected = quarters().picture[int((8 - y) * 5), int((x + 10) * 5), :3] if inside else colour_at(sheet, f, w)
        assert np.abs(colour_at(painted, f, w) - expected).max() <= 60, (x, y)
        checked[inside] += 1
    assert min(checked.values()) > 30


def test_nothing_beyond_the_reach_of_a_decal_changes():
    """Texels of places further off than the picture's corner are as they were; so is the geometry."""
    sheet = sheet_of(BOX)
    at = middle_of(sheet, np.array([0.0, -1, 0]))
    painted = apply_decal(sheet, quarters(), at, turn_rad=0.7)
    assert all(np.array_equal(getattr(sheet, k), getattr(painted, k)) for k in ("vertices", "rest", "faces", "uv"))
    before, after = (s.materials[0].base_color_texture for s in (sheet, painted))
    assert before is not None and after is not None
    changed = (before != after).any(axis=2)
    height, width = changed.shape
    face, weights, place = samples(sheet, np.random.default_rng(1), 40000)
    uv = np.einsum("nk,nkc->nc", weights, sheet.uv[face])
    far = np.linalg.norm(place - at, axis=1) > 0.5 * float(np.hypot(*quarters().size_m)) + 0.002
    hit = changed[((1 - uv[:, 1]) * height).astype(int), (uv[:, 0] * width).astype(int)]
    assert hit.any() and not (hit & far).any()


def test_the_same_numbers_give_the_same_bytes():
    """Spot, picture and paint depend on the generator alone; the input is left as it is."""

    def painted() -> Sheet:
        rng, sheet = np.random.default_rng(4), sheet_of(BOX)
        at = draw_spot(sheet, rng, 0.012)
        assert at is not None
        return apply_decal(sheet, draw_print("tear", rng), at, turn_rad=float(rng.normal()))

    before = fingerprint(finish_sheet(sheet_of(BOX))[0])
    assert fingerprint(finish_sheet(painted())[0]) == fingerprint(finish_sheet(painted())[0]) != before
    assert fingerprint(finish_sheet(sheet_of(BOX))[0]) == before


def test_a_decal_goes_on_round_an_edge():
    """A picture over the edge between two panels is whole: true to size on both, without a step at the edge."""
    sheet = sheet_of(BOX)
    size = np.ptp(sheet.rest, axis=0)
    middle = sheet.rest[sheet.faces].mean(axis=1)
    corner = np.array([size[0] / 2, -size[1] / 2, size[2] / 2])
    at = middle[np.argmin(np.linalg.norm(middle - corner, axis=1))]
    reached, corners = unroll(sheet, at, 0.0, 0.02)
    names = {sheet.panels[k] for k in np.unique(sheet.panel[reached])}
    assert {"front", "right"} <= names
    lengths = [np.linalg.norm(c - np.roll(c, 1, axis=1), axis=2) for c in (corners, sheet.rest[sheet.faces[reached]])]
    assert np.abs(lengths[0] - lengths[1]).max() < 2e-5
    flat: dict[int, np.ndarray] = {}
    for face, places in zip(sheet.faces[reached], corners, strict=True):
        for vertex, place in zip(face, places, strict=True):
            assert np.allclose(flat.setdefault(int(vertex), place), place, atol=1e-9)


def test_gloss_goes_with_a_decal():
    """On bare metal a sticker is no metal and has its own roughness; materials that shared a texture still do."""
    sheet = sheet_of(ROUND)
    rng = np.random.default_rng(2)
    at = draw_spot(sheet, rng, 0.012)
    assert at is not None
    painted = apply_decal(sheet, quarters(), at, turn_rad=0.0)
    k = int(sheet.material[np.argmin(np.linalg.norm(sheet.rest[sheet.faces].mean(axis=1) - at, axis=1))])
    material, before = painted.materials[k], sheet.materials
    gloss = material.metallic_roughness_texture
    assert gloss is not None
    covered = gloss[..., 2] == 0
    assert covered.any()
    assert np.median(np.abs(gloss[covered][:, 1] / 255 * material.roughness - 0.6)) < 0.01
    old = before[k].metallic_roughness_texture
    assert old is not None
    bare = old[..., 2] == gloss[..., 2]
    was, now = (m.roughness * t[bare][:, 1] / 255 for m, t in ((before[k], old), (material, gloss)))
    assert np.abs(was - now).max() < 0.005
    for a, b in combinations(range(len(before)), 2):
        shared = before[a].base_color_texture is before[b].base_color_texture
        assert shared == (painted.materials[a].base_color_texture is painted.materials[b].base_color_texture)


def test_what_shows_no_print_gets_none():
    """Clear film and bare plastic come back as they are."""
    sheet = sheet_of(BOX)
    for changes in ({"transmission": 0.9}, {"base_color_texture": None}):
        bare = replace(sheet, materials=tuple(replace(m, **changes) for m in sheet.materials))
        assert apply_decal(bare, quarters(), bare.rest[0], turn_rad=0.0) is bare
        assert draw_spot(bare, np.random.default_rng(0), 0.01) is None


def test_ink_that_nobody_sees_is_not_printed():
    """Black on black comes back as it was if a change is asked for."""
    sheet = sheet_of(BOX)
    at = middle_of(sheet, np.array([0.0, -1, 0]))
    ink = Decal(np.dstack([np.zeros((40, 40, 3), np.uint8), np.full((40, 40), 255, np.uint8)]), 15.0)
    black = apply_decal(sheet, replace(ink, width_mm=40.0), at, turn_rad=0.0, least_change=40)
    assert black is not sheet
    assert apply_decal(black, ink, at, turn_rad=0.0, least_change=40) is black


def test_a_label_on_a_clear_bottle_takes_a_sticker():
    """Faces without print may have any texture coordinates: they do not count as showing the same texels."""
    sheet = sheet_of("pet_bottle")
    at = draw_spot(sheet, np.random.default_rng(0), 0.006)
    assert at is not None
    assert apply_decal(sheet, quarters(), at, turn_rad=0.0) is not sheet


@pytest.mark.parametrize("kind", PRINTS)
def test_every_print_can_be_drawn(kind):
    """Each kind differs from draw to draw, covers something, and ends before its picture does."""
    drawn = [draw_print(kind, np.random.default_rng(k)) for k in (0, 1, 0)]
    assert np.array_equal(drawn[0].picture, drawn[2].picture) and drawn[0].width_mm != drawn[1].width_mm
    for decal in drawn[:2]:
        alpha = decal.picture[..., 3]
        border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert (alpha > 40).mean() > 0.01 and (border > 128).mean() < 0.12


def test_rendered_prints_are_small_files():
    """What comes from our own damages is there, and light."""
    for name in ("hole", "dent"):
        assert list(FOLDER.glob(f"{name}-*.png"))
    assert max(p.stat().st_size for p in FOLDER.glob("*.png")) < 90_000


# ---- Clutter --------------------------------------------------------------------------------------------------------

ITEM = np.array([[-0.05, -0.03], [0.05, -0.03], [0.05, 0.03], [-0.05, 0.03]])


@pytest.mark.parametrize("seed", range(12))
def test_clutter_lies_beside_the_item(seed):
    """On the tray, in its bounds, clear of the item and of each other, unlabelled, and no item."""
    config = LookalikesConfig(extras=1.0, dust=1.0)
    parts = draw_clutter(np.random.default_rng(seed), keep_out=ITEM, tray_size_m=(0.6, 0.5), config=config)
    assert parts
    boxes = []
    for part in parts:
        low, high = part.vertices.min(axis=0), part.vertices.max(axis=0)
        assert part.item == 0 and not part.damage.any()
        assert 0 <= low[2] <= 2e-4
        assert (np.abs(part.vertices[:, :2]) <= [0.3, 0.25]).all()
        inside = (np.abs(part.vertices[:, :2]) < [0.05, 0.03]).all(axis=1)
        assert not inside.any()
        if part.name != "dust":
            assert np.linalg.norm((low + high)[:2] / 2) < FROM_CENTRE_M[1] + 0.03
            boxes.append(part.vertices[:, :2])
    for a in range(len(boxes)):
        for b in range(a):
            apart = np.linalg.norm(boxes[a][:, None] - boxes[b][None], axis=2).min()
            assert apart > 0.003


def test_no_clutter_if_none_is_wanted():
    """Shares of 0 leave the tray empty."""
    config = LookalikesConfig(**NEVER)
    assert draw_clutter(np.random.default_rng(0), keep_out=ITEM, tray_size_m=(0.6, 0.5), config=config) == ()


@pytest.mark.parametrize("name", EXTRAS)
def test_every_extra_is_sound(name):
    """Finite, with unit normals, of a size that fits beside an item, the same again from the same numbers."""
    part, again = (EXTRAS[name][1](np.random.default_rng(3)) for _ in range(2))
    assert fingerprint(part) == fingerprint(again)
    assert np.isfinite(part.vertices).all() and np.allclose(np.linalg.norm(part.normals, axis=2), 1, atol=1e-6)
    assert 0.008 < np.ptp(part.vertices, axis=0).max() < 0.25


# ---- Benign looks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [BOX, ROUND])
def test_a_tolerable_dent_is_seen_and_not_labelled(family):
    """It moves the wall, is judged ``none``, leaves no mark, and the dented piece is a pristine state of its own."""
    rules, whole = SeverityRules(), product(family)
    for seed in range(3):
        outcome = _tolerable(whole, np.random.default_rng(seed), rules)
        dented = _dent(whole, np.random.default_rng(seed), rules)
        if outcome is not None and dented is not None:
            break
    else:
        pytest.fail("no dent in three tries")
    assert judge_severity(rules, outcome) == "none"
    before, after = whole.sheets[0], dented.sheets[0]
    moved = np.linalg.norm(after.vertices - before.vertices, axis=1)
    assert 0.0001 < moved.max() < 0.002 and (moved == 0).mean() > 0.2
    assert np.array_equal(after.marks, before.marks)
    assert np.allclose(after.vertices - after.rest, before.vertices - before.rest)
    made, was = finish_sheet(after)[0], finish_sheet(before)[0]
    assert not made.damage.any()
    # The fine form goes with the wall: no rib or bow is lost where it is dented.
    way = np.linalg.norm(made.vertices - was.vertices, axis=1)
    assert way.max() < moved.max() + 3e-4


def test_benign_looks_are_named_and_leave_no_label():
    """With every share at 1 the looks that found room are listed; shape and labels stay unless it is dented."""
    config = LookalikesConfig(**NEVER | {"sticker": 1.0, "handwriting": 1.0, "tape": 1.0, "dust": 1.0})
    plain = product(BOX)
    worn, again = (benign(plain, np.random.default_rng(8), config) for _ in range(2))
    assert {"sticker", "handwriting", "tape", "dust_film"} <= set(worn.lookalikes)
    assert list(worn.lookalikes) == sorted(worn.lookalikes)
    part = finish_sheet(worn.sheets[0])[0]
    assert fingerprint(part) == fingerprint(finish_sheet(again.sheets[0])[0])
    assert fingerprint(part) != fingerprint(finish_sheet(plain.sheets[0])[0])
    assert not part.damage.any() and np.array_equal(part.vertices, finish_sheet(plain.sheets[0])[0].vertices)


def test_without_shares_a_product_stays_as_it_is():
    """Shares of 0 give the very same product."""
    config = LookalikesConfig(**NEVER)
    assert benign(product(BOX), np.random.default_rng(0), config) is product(BOX)
    assert print_lookalike(product(BOX), Design(11, 0, BOX), config) is product(BOX)


def test_printed_damage_belongs_to_the_design():
    """Every piece of a product has the same print at the same place."""
    config = LookalikesConfig(**NEVER | {"printed": 1.0})
    a, b = (print_lookalike(product(BOX), Design(11, 0, BOX, specimen=k), config) for k in (0, 5))
    assert fingerprint(finish_sheet(a.sheets[0])[0]) == fingerprint(finish_sheet(b.sheets[0])[0])
    assert any(name.startswith("printed_") for name in a.lookalikes)
