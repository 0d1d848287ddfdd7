"""Every product family: sound walls, textures, labels, size and mass; the same again from the same seed."""

import subprocess
import sys
from dataclasses import replace

import cv2
import families
import numpy as np
import pytest
from damageland.generators.design import CHANGES, Design, next_edition, stream
from damageland.generators.mesh import (
    Sheet,
    boundary_half_edges,
    enclosed_volume,
    face_areas,
    face_normals,
    finish_sheet,
    mesh_edges,
)
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.product import Product
from damageland.generators.rest import lay_down, mass_centre
from damageland.sim.scene import SURFACES
from families import OWN, fingerprint, parts, product

NAMES = ("category", "brand", "title", "description", "ean", "dimensions_mm", "catalogue_mass_g", "expected_units")
KAPUTT = {
    "cardboard", "plastic_loose_bag", "plastic_hard", "plastic_tight_wrap", "plastic_bubble_wrap", "book_paper",
    "book_other", "book_plastic_tight_wrap", "paper", "other",
}  # fmt: skip
NUMBERS = (0, 1)
every_product = pytest.mark.parametrize(("family", "number"), [(f, n) for f in OWN for n in NUMBERS])
every_family = pytest.mark.parametrize("family", OWN)


def is_closed(sheet: Sheet) -> bool:
    return len(boundary_half_edges(sheet.faces)[0]) == 0


@every_product
def test_walls_are_sound(family: str, number: int):
    """No edge has three faces, no sliver; a closed wall encloses a volume; finished, every wall is watertight."""
    made = product(family, number)
    assert len(made.sheets) >= 1
    for sheet, part in zip(made.sheets, parts(family, number), strict=False):
        edges, face_edge = mesh_edges(sheet.faces)
        assert np.bincount(face_edge.ravel(), minlength=len(edges)).max() <= 2, sheet.name
        assert face_areas(sheet.vertices, sheet.faces).min() > 1e-11
        if is_closed(sheet):
            assert enclosed_volume(sheet.vertices, sheet.faces) > 1e-7
        assert len(boundary_half_edges(part.faces)[0]) == 0, f"{sheet.name} is not thickened to a closed wall"
        assert enclosed_volume(part.vertices, part.faces) > 0
        assert finish_sheet(sheet)[1] is None


@every_product
def test_simulated_vertices_are_few(family: str, number: int):
    """The wall that damage meets has some thousand vertices, at its material's spacing."""
    sheet = product(family, number).sheets[0]
    assert 200 < len(sheet.vertices) < 16_000
    edges, _ = mesh_edges(sheet.faces)
    length = 1000 * np.median(np.linalg.norm(np.diff(sheet.vertices[edges], axis=1)[:, 0], axis=1))
    assert 0.35 < length / sheet.mechanics.spacing_mm < 2.0


@every_product
def test_faces_are_sound(family: str, number: int):
    """UVs lie in [0, 1], normals are unit and agree with the faces, indices are in range, nothing is damaged."""
    for part in parts(family, number):
        assert part.uv.min() >= 0 and part.uv.max() <= 1, part.name
        np.testing.assert_allclose(np.linalg.norm(part.normals, axis=2), 1, atol=1e-6)
        flat = face_normals(part.vertices, part.faces)
        assert (np.einsum("fkc,fc->fk", part.normals, flat) > 0).mean() > 0.99, part.name
        assert part.material.max() < len(part.materials) and part.surface.max() < len(SURFACES)
        assert not part.damage.any() and part.item >= 1
        assert part.faces.min() == 0 and part.faces.max() == len(part.vertices) - 1
        assert np.isfinite(part.vertices).all()
        for material in part.materials:
            values = (*material.base_color, material.roughness, material.metallic, material.transmission)
            assert all(0 <= value <= 1 for value in values), material.name


@every_product
def test_print_is_laid_out_without_overlap(family: str, number: int):
    """Printed faces cover each texel once: the sum of their areas in the atlas is the area that they cover."""
    side = 1024
    for sheet in product(family, number).sheets[:1]:
        printed = [k for k, m in enumerate(sheet.materials[:-2]) if m.base_color_texture is not None]
        corners = sheet.uv[np.isin(sheet.material, printed)] * side
        if len(corners) == 0:
            continue
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        areas = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
        cover = np.zeros((side, side), np.uint8)
        for triangle in corners:
            cv2.fillConvexPoly(cover, np.round(triangle * 16).astype(np.int32), 1, shift=4)
        assert areas.sum() < 1.04 * cover.sum() + 2 * side, sheet.name


@every_product
def test_size_is_as_stated(family: str, number: int):
    """The finished item has its catalogue's dimensions, stands on z = 0 and on the axis."""
    made = product(family, number)
    points = np.concatenate([part.vertices for part in parts(family, number)]) * 1000
    stated = np.array(made.attributes["dimensions_mm"])
    np.testing.assert_allclose(np.ptp(points, axis=0), stated, atol=3.0, rtol=0.05)
    assert abs(points[:, 2].min()) < 1.5
    middle = (points.max(axis=0) + points.min(axis=0))[:2] / 2
    assert np.abs(middle).max() < 3.0 + 0.02 * stated.max()


@every_product
def test_catalogue_entry_is_sound(family: str, number: int):
    """Every column is there; mass, size and fill fit each other; the EAN's check digit is right; names are known."""
    made = product(family, number)
    assert set(NAMES) <= set(made.attributes) and made.family == family
    assert made.item_material in KAPUTT
    litres = float(np.prod(made.attributes["dimensions_mm"])) / 1e6
    assert 0.02 < made.mass_g / 1000 / litres < 3.0
    assert made.attributes["catalogue_mass_g"] == pytest.approx(made.mass_g, abs=0.51)
    assert 0 <= made.fill_ml <= 1000 * litres
    digits = [int(d) for d in made.attributes["ean"]]
    assert len(digits) == 13 and (sum(digits[::2]) + 3 * sum(digits[1::2])) % 10 == 0
    assert list(made.lookalikes) == sorted(set(made.lookalikes))
    names = {*made.sheets[0].panels, *(s.name for s in made.sheets), *(p.name for p in made.contents)}
    for hinge in made.hinges:
        assert set(hinge.moves) <= names, hinge.name
        assert np.linalg.norm(np.subtract(hinge.b, hinge.a)) > 1e-4
    for sheet in made.sheets:
        assert int(sheet.panel.max()) < len(sheet.panels)


@every_product
def test_units_are_counted(family: str, number: int):
    """A set's units bear the numbers after the package's (or from 1 on, without one), as many as it should hold."""
    made = product(family, number)
    units = made.attributes["expected_units"]
    items = {part.item for part in parts(family, number)}
    assert items in (set(range(1, units + 2)), set(range(1, units + 1))), items


@every_product
def test_contents_are_inside(family: str, number: int):
    """What is labelled as contents lies within the walls."""
    made = parts(family, number)
    walls = np.concatenate([p.vertices for p in made if (p.surface == SURFACES.index("outer")).any()])
    for part in made:
        if (part.surface == SURFACES.index("contents")).all() and part.item == 1:
            assert (part.vertices.min(axis=0) > walls.min(axis=0) - 1e-4).all(), part.name
            assert (part.vertices.max(axis=0) < walls.max(axis=0) + 1e-4).all(), part.name
            assert enclosed_volume(part.vertices, part.faces) > 0, part.name


@every_family
def test_products_differ_and_specimens_are_alike(family: str):
    """Three numbers are three shapes and artworks; another piece of the same product is of the same size and text."""
    shapes = {parts(family, n)[0].vertices.tobytes() for n in NUMBERS}
    titles = {str(product(family, n).attributes["ean"]) for n in NUMBERS}
    assert len(shapes) == len(titles) == len(NUMBERS)
    first, second = product(family, 0), product(family, 0, specimen=9)
    assert first.attributes == second.attributes
    assert [s.name for s in first.sheets] == [s.name for s in second.sheets]


@every_family
def test_editions_change_what_they_say(family: str):
    """New colours or a new layout leave the shape alone; words outlive every edition; a larger one is larger."""
    config, build = FAMILIES[family]
    base = Design(11, 0, family, texture_px=512)
    first = build("x", config(), base)
    for purpose in ("layout", "colours"):
        other = build("x", config(), replace(base, edition=1, changed=((purpose, 1),)))
        assert other.sheets[0].rest.shape == first.sheets[0].rest.shape
        np.testing.assert_allclose(other.sheets[0].rest, first.sheets[0].rest, atol=1e-4)
        assert other.attributes["title"] == first.attributes["title"]
    larger = build("x", config(), replace(base, edition=1, grow=1.2))
    volume = [np.prod(made.attributes["dimensions_mm"]) for made in (first, larger)]
    assert 1.02 < volume[1] / volume[0] < 1.6
    assert larger.mass_g > first.mass_g


def test_editions_are_drawn_and_keep_their_streams():
    """Twenty editions come to every kind of change; a stream is another one only after an edition changed it."""
    design, kinds = Design(3, 4, "tin"), set()
    for _ in range(20):
        after = next_edition(design)
        assert after.edition == design.edition + 1 and (after.changed, after.grow) != (design.changed, design.grow)
        kinds |= {name for name, edition in after.changed if edition == after.edition} | (
            {"more"} if after.grow > design.grow else set()
        )
        same = stream(design, "words").random() == stream(after, "words").random()
        assert same
        design = after
    assert kinds == set(CHANGES)


def test_same_design_gives_the_same_bytes_in_a_fresh_process():
    """Every family, built in another process, has the same SHA-256 over all arrays and textures."""
    code = f"import sys; sys.path.insert(0, {str(families.TESTS)!r}); import families; print(families.fingerprints())"
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert other.splitlines() == families.fingerprints().splitlines()


def test_fingerprint_tells_products_apart():
    """The hash that the tests rely on differs between specimens and families."""
    seen = {fingerprint(*parts(family, number)) for family in OWN for number in NUMBERS}
    assert len(seen) == len(OWN) * len(NUMBERS)


@every_family
def test_items_rest_on_the_tray(family: str):
    """In drawn poses an item's lowest point is at z = 0, and its middle is above what it stands on."""
    made = product(family, 0)

    def points(item: Product) -> np.ndarray:
        return np.concatenate(
            [*(finish_sheet(s)[0].vertices for s in item.sheets), *(p.vertices for p in item.contents)]
        )

    for seed in range(1):
        settled, rest = lay_down(made, np.random.default_rng(seed), points)
        R, t = rest.T_world_item[:3, :3], rest.T_world_item[:3, 3]
        local = points(settled)
        world = local @ R.T + t
        assert abs(world[:, 2].min()) < 2e-4
        feet = world[world[:, 2] < 1.5e-3][:, :2]
        middle = (mass_centre(local) @ R.T + t)[:2]
        assert (feet.min(axis=0) - 2e-3 <= middle).all() and (middle <= feet.max(axis=0) + 2e-3).all(), family
