"""Bodies of revolution and lofts: volumes, fill levels, caps that sit, girth of tubes, print that reads."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from damageland.generators.design import Design
from damageland.generators.mesh import Sheet, boundary_half_edges, enclosed_volume, finish_sheet
from damageland.generators.products import beverage_can, detergent_bottle, glass_jar, pet_bottle, tin, tube
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.product import Product
from damageland.generators.products.turned import (
    by_words,
    cut_at,
    draw_profile,
    face_front,
    inset,
    profile_volume,
    revolve,
    screw_cap,
)
from damageland.generators.shapes import solid
from damageland.sim.scene import Part
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from families import product
from pydantic import ValidationError

NUMBERS = range(3)
HOLLOW = ("beverage_can", "detergent_bottle", "pet_bottle", "tube")
LIQUID = {"pet_bottle": pet_bottle.CLEARANCE_M, "glass_jar": 0.0003}


def named(made: Product, name: str) -> Part:
    return next(part for part in made.contents if part.name == name)


def radius(points: np.ndarray) -> np.ndarray:
    return np.hypot(points[:, 0], points[:, 1])


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("family", HOLLOW)
def test_wall_holds_what_is_stated(family: str, number: int):
    """The wall encloses the stated millilitres and a headspace within the config's range, to 5 %."""
    made, sheet = product(family, number), product(family, number).sheets[0]
    assert len(boundary_half_edges(sheet.faces)[0]) == 0
    low, high = FAMILIES[family][0]().headspace_share
    inside = 1e6 * enclosed_volume(sheet.vertices, sheet.faces)
    assert made.fill_ml / (1 - low) / 1.05 < inside < made.fill_ml / (1 - high) * 1.05


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(("family", "name"), [("pet_bottle", "drink"), ("glass_jar", "")])
def test_goods_fill_the_stated_volume(family: str, name: str, number: int):
    """What is seen inside has the stated volume, less what the clearance to the wall takes."""
    made = product(family, number)
    goods = [p for p in made.contents if p.surface[0] == 3 and p.name not in ("pulp", "pickled")]
    volume = 1e6 * enclosed_volume(goods[0].vertices, goods[0].faces)
    assert 0.88 < volume / made.fill_ml < 1.03


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("family", sorted(LIQUID))
def test_level_is_flat_and_goods_stay_inside(family: str, number: int):
    """The drink ends in a level surface; from each point of it the wall is met going outwards, at some distance."""
    made = product(family, number)
    goods = next(p for p in made.contents if p.surface[0] == 3 and p.name not in ("pulp", "pickled"))
    if goods.name != "coffee":  # powder lies on a slope
        top = goods.vertices[goods.vertices[:, 2] > goods.vertices[:, 2].max() - 1e-7]
        assert len(top) > 40 and radius(top).max() > 3 * radius(top).min()
    wall = finish_sheet(made.sheets[0])[0]
    inner = wall.surface == 1
    scene = EmbreeScene(robust=True)
    TriangleMesh(scene, wall.vertices[wall.faces[inner]].astype(np.float32))
    side = goods.vertices[(radius(goods.vertices) > 0.004)][::7]
    out = side * np.array([1, 1, 0]) / radius(side)[:, None]
    hit = scene.run(side.astype(np.float32), out.astype(np.float32), query="DISTANCE")
    assert (hit > 0.0002).all() and (hit < 1e3).mean() > 0.99


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("family", ("pet_bottle", "glass_jar"))
def test_cap_sits_on_the_neck(family: str, number: int):
    """The cap goes over the mouth all round, is coaxial with it, and does not cut into it."""
    made = product(family, number)
    lid = named(made, "cap" if family == "pet_bottle" else "lid")
    wall = made.sheets[0].vertices
    low, high = lid.vertices[:, 2].min(), lid.vertices[:, 2].max()
    neck = wall[(wall[:, 2] > low + 0.001)]
    assert low < wall[:, 2].max() < high
    np.testing.assert_allclose(lid.vertices[:, :2].max(axis=0) + lid.vertices[:, :2].min(axis=0), 0, atol=4e-4)
    skirt = lid.vertices[(lid.vertices[:, 2] < wall[:, 2].max() - 0.002)]
    assert radius(neck).max() < radius(skirt).min() < radius(neck).max() + 0.003


@pytest.mark.parametrize("number", range(4))
def test_tube_keeps_its_girth(number: int):
    """The film is as long round the flat seal as round the shoulder, to 2 %; the seal is pi times the radius wide."""
    design = Design(11, number, "tube", texture_px=256)
    shape = tube._draw_shape(tube.TubeConfig(), design)
    mesh = tube._mesh(shape)
    rings = []
    for z in np.unique(np.round(mesh.vertices[:, 2], 9)):
        ring = mesh.vertices[np.abs(mesh.vertices[:, 2] - z) < 1e-8]
        if z < shape.body[0] - 1e-6:
            continue
        ring = np.unique(np.round(ring, 9), axis=0)
        ring = ring[np.argsort(np.arctan2(ring[:, 1] / ring[:, 1].max(), ring[:, 0] / ring[:, 0].max()))]
        rings.append(np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1).sum())
    np.testing.assert_allclose(rings, 2 * np.pi * shape.radius, rtol=0.02)
    top = mesh.vertices[mesh.vertices[:, 2] > shape.height - 1e-9]
    assert np.ptp(top[:, 0]) == pytest.approx(np.pi * shape.radius, rel=0.05)


def test_tubes_lie_or_stand():
    """Toothpaste lies with its longest side along x, cream stands on its cap."""
    seen = set()
    for number in range(8):
        made = product("tube", number)
        long = int(np.argmax(made.attributes["dimensions_mm"]))
        goods = next(p.name for p in made.contents if p.surface[0] == 3)
        assert (long, goods) in ((0, "toothpaste"), (2, "cream"))
        seen.add(goods)
    assert len(seen) == 2


def reads(sheet: Sheet, panel: str) -> float:
    """Share of a panel's printed area on which u grows to the right and v upwards, seen from outside."""
    at = sheet.panel == sheet.panels.index(panel)
    points, uv = sheet.vertices[sheet.faces[at]], sheet.uv[at]
    normal = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    e, f = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    turn = e[:, 0] * f[:, 1] - e[:, 1] * f[:, 0]  # positive where the picture is not mirrored
    area = np.linalg.norm(normal, axis=1)
    return float(area[turn > 0].sum() / area.sum())


@pytest.mark.parametrize(
    ("family", "panel"),
    [("beverage_can", "body"), ("beverage_can", "lid"), ("pet_bottle", "label"), ("detergent_bottle", "body"),
     ("tube", "body"), ("tin", "body"), ("tin", "ends")],
)  # fmt: skip
@pytest.mark.parametrize("number", NUMBERS)
def test_print_is_not_mirrored(family: str, panel: str, number: int):
    """On every printed face the picture's own handedness is kept."""
    assert reads(product(family, number).sheets[0], panel) > 0.999


@pytest.mark.parametrize("number", NUMBERS)
def test_jar_labels_are_not_mirrored(number: int):
    """The same for the separate labels of a jar."""
    for sheet in product("glass_jar", number).sheets[1:]:
        assert reads(sheet, sheet.panels[0]) > 0.999


@pytest.mark.parametrize("number", NUMBERS)
def test_asymmetric_mark_lies_where_it_was_painted(number: int, monkeypatch: pytest.MonkeyPatch):
    """A red mark right of a wrap's front and above its middle is found at +x, in the upper half, on the front."""

    def painted(artwork, kind, width, height, *, px_per_mm):
        picture = np.full((height, width, 3), 255, np.uint8)
        cv2.circle(picture, (round(0.6 * width), round(0.25 * height)), width // 40, (255, 0, 0), -1)
        return picture

    monkeypatch.setattr(beverage_can, "paint_panel", painted)
    config = beverage_can.BeverageCanConfig(bare_share=0.0)
    made = beverage_can.build_beverage_can("x", config, Design(11, number, "beverage_can", texture_px=512))
    sheet = made.sheets[0]
    texture = sheet.materials[0].base_color_texture
    assert texture is not None
    body = sheet.panel == sheet.panels.index("body")
    uv = sheet.uv[body].mean(axis=1)
    ink = texture[((1 - uv[:, 1]) * 511).astype(int), (uv[:, 0] * 511).astype(int)].astype(int)
    red = (ink[:, 0] > 200) & (ink[:, 1] < 90)
    at = sheet.vertices[sheet.faces[body][red]].mean(axis=(0, 1))
    assert red.any() and at[0] > 0.3 * np.ptp(sheet.vertices[:, 0]) / 2 and at[1] < 0
    assert at[2] > 0.6 * sheet.vertices[:, 2].max()


def test_jars_are_open_glass_that_breaks():
    """Glass is brittle, clear, and open at its mouth, where its edge shows when the lid is off."""
    made = product("glass_jar", 0)
    rim, _ = boundary_half_edges(made.sheets[0].faces)
    assert made.brittle and made.sheets[0].materials[0].transmission > 0.9
    np.testing.assert_allclose(made.sheets[0].vertices[rim.ravel(), 2], made.sheets[0].vertices[:, 2].max(), atol=1e-9)


def test_cans_mix_metal_and_ink():
    """The print's texture says where the metal shines and where opaque ink covers it."""
    shares = []
    for number in range(12):
        made = product("beverage_can", number)
        metal = made.sheets[0].materials[0].metallic_roughness_texture
        assert metal is not None
        at = (made.sheets[0].uv[made.sheets[0].panel == 0].mean(axis=1) * (metal.shape[0] - 1)).astype(int)
        shares.append((metal[metal.shape[0] - 1 - at[:, 1], at[:, 0], 2] > 128).mean())
    assert min(shares) < 0.02 and max(shares) > 0.2


def test_the_plate_under_a_label_is_bare():
    """The label's print is on the label alone, at any size of texture; else it would show where the label is gone."""
    for side in (512, 1024):
        made = tin.build_tin("x", tin.TinConfig(label_share=1.0), Design(11, 3, "tin", texture_px=side))
        plate, label = (next(m for m in made.sheets[0].materials if m.name == name) for name in ("tinplate", "label"))
        assert plate.base_color_texture is not None and label.base_color_texture is not None
        assert np.ptp(plate.base_color_texture[100:400].astype(int), axis=-1).mean() < 30
        assert not np.shares_memory(plate.base_color_texture, label.base_color_texture)


def test_tins_are_mostly_bare():
    """By default more tins are bare than labelled; both kinds are drawn, and all or none at the config's word."""
    marks = [product("tin", number).lookalikes for number in range(16)]
    labelled = sum("label_overlap" in mark for mark in marks)
    assert 0 < labelled < 8
    for share, expected in ((0.0, False), (1.0, True)):
        made = tin.build_tin("x", tin.TinConfig(label_share=share), Design(11, 3, "tin", texture_px=512))
        assert ("label_overlap" in made.lookalikes) == expected
        assert any(m.name == "label" for m in made.sheets[0].materials) == expected


def test_pinched_grips_do_not_close():
    """A bottle's grip leaves room inside: no section folds over itself."""
    for number in range(12):
        shape = detergent_bottle._draw_shape(
            detergent_bottle.DetergentBottleConfig(kinds={"laundry": 1.0}, grip_share=1.0),
            Design(11, number, "detergent_bottle"),
        )
        mesh = detergent_bottle._mesh(shape, 0.004)
        assert np.ptp(mesh.vertices[:, 1]) > 1.2 * shape.neck
        assert enclosed_volume(mesh.vertices, mesh.faces) * 1e6 > shape.millilitres


def test_profiles_hold_what_a_cylinder_does():
    """Rounded profiles, insets and cuts agree with closed forms."""
    knots = [(0.0, 0.0, 0.0), (0.03, 0.0, 0.0), (0.03, 0.1, 0.0), (0.0, 0.1, 0.0)]
    rows = draw_profile(knots, 0.002, edges=[0.0333])
    assert np.isclose(rows[:, 1], 0.0333, atol=1e-12).any()
    assert profile_volume(rows)[-1] == pytest.approx(np.pi * 0.03**2 * 0.1)
    inner = inset(rows, 0.001)
    assert inner[:, 0].max() == pytest.approx(0.029, abs=1e-9)
    half = cut_at(rows, 0.05)
    assert half[:, 1].max() == pytest.approx(0.05) and half[-1, 0] == 0
    body = solid(revolve(half, 200), "half", pet_bottle.plastic("x", (0.5, 0.5, 0.5), 0.5))
    assert enclosed_volume(body.vertices, body.faces) == pytest.approx(np.pi * 0.03**2 * 0.05, rel=2e-3)


def test_caps_are_hollow_and_closed():
    """A screw cap's surface is closed, and it holds far less plastic than its outline."""
    cap = solid(screw_cap(0.015, 0.018, 0.1, ribs=60), "cap", pet_bottle.plastic("x", (0.5, 0.5, 0.5), 0.5))
    volume = enclosed_volume(cap.vertices, cap.faces)
    assert len(boundary_half_edges(cap.faces)[0]) == 0
    assert 0.1 < volume / (np.pi * 0.015**2 * 0.018) < 0.4


def test_front_is_turned_to_the_front():
    """The middle of a picture that goes round comes to three quarters of a turn from +x, which is -y."""
    picture = np.zeros((2, 400, 3), np.uint8)
    picture[:, 200] = 255
    assert np.flatnonzero(face_front(picture)[0, :, 0]).tolist() == [300]


def test_contents_go_with_the_words():
    """The first word that is known decides."""
    assert by_words("Orange Juice, Cherry", {"cherry": 1, "orange": 2}, 3) == 2
    assert by_words("Spring Water", {"cherry": 1}, 3) == 3


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (beverage_can.BeverageCanConfig, "formats", {"bucket": 1.0}),
        (beverage_can.BeverageCanConfig, "headspace_share", (-0.2, 0.1)),
        (pet_bottle.PetBottleConfig, "millilitres", {5: 1.0}),
        (pet_bottle.PetBottleConfig, "slenderness", (0.5, 0.6)),
        (glass_jar.GlassJarConfig, "slenderness", (9.0, 8.0)),
        (glass_jar.GlassJarConfig, "millilitres", {}),
        (tube.TubeConfig, "slenderness", (-5.0, 7.0)),
        (tube.TubeConfig, "millilitres", {75: -1.0}),
        (detergent_bottle.DetergentBottleConfig, "kinds", {"paint": 1.0}),
        (tin.TinConfig, "label_share", 1.5),
    ],
)
def test_impossible_dimensions_are_refused(config, field: str, value):
    """A size that cannot be is named, with what was expected."""
    with pytest.raises(ValidationError, match=field):
        config(**{field: value})


def test_more_for_the_money_holds_more():
    """Twenty per cent more is twenty per cent more to pour."""
    for family in (*HOLLOW, "glass_jar"):
        config, build = FAMILIES[family]
        base = Design(11, 2, family, texture_px=256)
        first, larger = build("x", config(), base), build("x", config(), replace(base, grow=1.2))
        assert larger.fill_ml == pytest.approx(1.2 * first.fill_ml)
