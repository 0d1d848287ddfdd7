"""Every product family: closed walls, sound textures and labels, the stated size, the same again from the same seed."""

from functools import cache

import numpy as np
import pytest
import scenes
from damageland.generators.mesh import (
    boundary_half_edges,
    enclosed_volume,
    face_areas,
    face_normals,
    finish_sheet,
    mesh_edges,
)
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.product import Product
from damageland.generators.recipe import ProductSpec, compose
from damageland.sim.scene import SURFACES, Part
from test_damage import fingerprint

SEEDS = range(6)
NAMES = ("category", "title", "dimensions_mm", "catalogue_mass_g", "expected_units")
every_product = pytest.mark.parametrize(("family", "seed"), [(f, s) for f in FAMILIES for s in SEEDS])


@cache
def product(family: str, seed: int) -> Product:
    config, build = FAMILIES[family]
    return build(f"test-{family}-{seed:05d}", config(), np.random.default_rng(seed))


@cache
def parts(family: str, seed: int) -> tuple[Part, ...]:
    made = product(family, seed)
    return (*(finish_sheet(sheet)[0] for sheet in made.sheets), *made.contents)


@every_product
def test_walls_are_watertight(family: str, seed: int):
    """Simulated sheets and finished walls have two faces per edge, no sliver, and enclose a positive volume."""
    for sheet in product(family, seed).sheets:
        edges, face_edge = mesh_edges(sheet.faces)
        assert (np.bincount(face_edge.ravel(), minlength=len(edges)) == 2).all()
        assert len(sheet.vertices) - len(edges) + len(sheet.faces) == 2
        assert enclosed_volume(sheet.vertices, sheet.faces) > 1e-5
        assert face_areas(sheet.vertices, sheet.faces).min() > 1e-10
        part, gone = finish_sheet(sheet)
        assert gone is None and len(boundary_half_edges(part.faces)[0]) == 0
        outer = part.faces[part.surface == SURFACES.index("outer")]
        inner = part.faces[part.surface == SURFACES.index("inner")]
        assert enclosed_volume(part.vertices, outer) > -enclosed_volume(part.vertices, inner) > 0
        thickness = enclosed_volume(part.vertices, part.faces) / face_areas(part.vertices, outer).sum() * 1000
        assert thickness == pytest.approx(sheet.thickness_mm, rel=0.15)


@every_product
def test_attributes_of_faces_are_sound(family: str, seed: int):
    """UVs lie in [0, 1], normals are unit and agree with the faces, indices are in range, nothing is damaged."""
    for part in parts(family, seed):
        assert part.uv.min() >= 0 and part.uv.max() <= 1
        np.testing.assert_allclose(np.linalg.norm(part.normals, axis=2), 1, atol=1e-6)
        flat = face_normals(part.vertices, part.faces)
        assert (np.einsum("fkc,fc->fk", part.normals, flat) > 0).mean() > 0.999
        assert part.material.max() < len(part.materials) and part.surface.max() < len(SURFACES)
        assert not part.damage.any() and part.item == 1
        assert part.faces.min() == 0 and part.faces.max() == len(part.vertices) - 1
        for material in part.materials:
            assert all(0 <= tone <= 1 for tone in material.base_color)
            assert 0 <= material.roughness <= 1 and 0 <= material.metallic <= 1


@every_product
def test_size_is_as_stated(family: str, seed: int):
    """The finished item has its catalogue's dimensions, but for a benign bow, stands on z = 0 and on the axis."""
    made = product(family, seed)
    assert set(NAMES) <= set(made.attributes)
    points = parts(family, seed)[0].vertices * 1000
    np.testing.assert_allclose(np.ptp(points, axis=0), made.attributes["dimensions_mm"], atol=2.5)
    assert abs(points[:, 2].min()) < 1.3
    np.testing.assert_allclose((points.max(axis=0) + points.min(axis=0))[:2] / 2, 0, atol=1.3)
    assert made.attributes["catalogue_mass_g"] > 0 and made.attributes["expected_units"] >= 1


@every_product
def test_contents_are_inside(family: str, seed: int):
    """Contents lie within the wall's inner side, and are what the core box says."""
    made = product(family, seed)
    wall = parts(family, seed)[0]
    inner = wall.vertices[np.unique(wall.faces[wall.surface == SURFACES.index("inner")])]
    for part in made.contents:
        assert (part.surface == SURFACES.index("contents")).all()
        assert (part.vertices.min(axis=0) > inner.min(axis=0)).all()
        assert (part.vertices.max(axis=0) < inner.max(axis=0)).all()
        assert enclosed_volume(part.vertices, part.faces) > 0
        assert made.core is not None
        np.testing.assert_allclose([part.vertices.min(axis=0), part.vertices.max(axis=0)], made.core, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_same_product_other_seed_another(family: str):
    """Building again gives the same bytes; six seeds give six shapes and six artworks."""
    config, build = FAMILIES[family]
    again = build(f"test-{family}-00002", config(), np.random.default_rng(2))
    assert fingerprint(*(finish_sheet(s)[0] for s in again.sheets), *again.contents) == fingerprint(*parts(family, 2))
    assert again.attributes == product(family, 2).attributes
    shapes = {parts(family, seed)[0].vertices.tobytes() for seed in SEEDS}
    art = {
        texture.tobytes()
        for seed in SEEDS
        if (texture := parts(family, seed)[0].materials[0].base_color_texture) is not None
    }
    assert len(shapes) == len(art) == len(SEEDS)


@pytest.mark.parametrize("family", FAMILIES)
def test_items_stand_on_the_tray(family: str):
    """In any drawn pose the item's lowest point touches z = 0, and it stands near the middle."""
    plan = scenes.tiny_plan(products=(ProductSpec(family=family, count=2),), damaged_share=0.0, captures=4)
    heights = set()
    for index in range(4):
        points = compose(plan, 2 + index).scene.parts[0].vertices
        assert abs(points[:, 2].min()) < 1e-9
        middle = (points.max(axis=0) + points.min(axis=0)) / 2
        assert np.abs(middle[:2]).max() <= 0.0151
        heights.add(round(float(points[:, 2].max()), 6))
    assert len(heights) > 1
