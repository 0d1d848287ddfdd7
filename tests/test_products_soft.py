"""Bags, pouches and mailers: closed walls around their contents, pieces that differ, pouches that stand."""

import cv2
import families
import numpy as np
import pytest
from damageland.generators.inflate import edge_strain
from damageland.generators.mesh import boundary_half_edges, enclosed_volume
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.film import teabag_volume
from damageland.sim.scene import SURFACES

SOFT = ("padded_mailer", "pillow_bag", "poly_mailer", "standup_pouch")
NUMBERS = (0, 2, 5)
every_soft = pytest.mark.parametrize("family", SOFT)
every_piece = pytest.mark.parametrize(("family", "number"), [(f, n) for f in SOFT for n in NUMBERS])


def winding(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """How often closed triangles go round each point: 1 inside, 0 outside."""
    out = np.zeros(len(points))
    for k, point in enumerate(points):
        a, b, c = (triangles[:, i] - point for i in range(3))
        la, lb, lc = (np.linalg.norm(q, axis=1) for q in (a, b, c))
        top = np.einsum("ij,ij->i", a, np.cross(b, c))
        low = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
        out[k] = np.arctan2(top, low).sum() / (2 * np.pi)
    return out


@every_piece
def test_wall_is_closed(family: str, number: int):
    """The wall has no open edge, encloses volume, and its contents fit in that."""
    made = families.product(family, number)
    wall = made.sheets[0]
    assert len(boundary_half_edges(wall.faces)[0]) == 0
    holds = enclosed_volume(wall.vertices, wall.faces)
    inside = sum(enclosed_volume(part.vertices, part.faces) for part in made.contents[:1])
    assert 0.1 * holds < inside < holds
    assert 1e-6 * made.fill_ml < holds


@every_piece
def test_contents_lie_inside_the_wall(family: str, number: int):
    """What is seen through a hole does not poke out of the film, fine form included."""
    skin, *inside = families.parts(family, number)
    outer = skin.triangles[skin.surface == SURFACES.index("outer")]
    for part in inside:
        points = part.vertices[:: max(1, len(part.vertices) // 60)]
        around = winding(points, outer)
        assert (around > 0.5).all(), (part.name, around.min(), points[around.argmin()])


@every_soft
def test_pieces_differ_and_the_product_does_not(family: str):
    """Two pieces are wrinkled differently, are of one size, and bear the same text."""
    one, two = families.product(family, 1), families.product(family, 1, specimen=7)
    assert one.attributes == two.attributes and one.mass_g == two.mass_g
    a, b = one.sheets[0], two.sheets[0]
    assert len(a.vertices) == len(b.vertices)
    size = [np.ptp(sheet.vertices, axis=0) for sheet in (a, b)]
    np.testing.assert_allclose(size[0], size[1], atol=0.006, rtol=0.04)
    ordered = [np.sort(sheet.vertices[:, 2]) for sheet in (a, b)]
    assert np.abs(ordered[0] - ordered[1]).max() > 2e-4
    parts = [families.parts(family, 1, specimen)[0].vertices for specimen in (0, 7)]
    assert parts[0].tobytes() != parts[1].tobytes()


@pytest.mark.parametrize("number", range(3))
def test_pouch_stands(number: int):
    """The lowest points of a pouch are a base, wide and deep enough, that holds up its middle."""
    wall = families.product("standup_pouch", number).sheets[0]
    size = np.ptp(wall.vertices, axis=0)
    base = wall.vertices[wall.vertices[:, 2] < 0.002][:, :2]
    assert len(base) > 30
    wide, deep = np.ptp(base, axis=0)
    assert wide > 0.55 * size[0] and deep > 0.015
    hull = cv2.convexHull((1000 * base).astype(np.float32))
    middle = (1000 * wall.vertices[:, :2].mean(axis=0)).astype(float)
    assert cv2.pointPolygonTest(hull, (float(middle[0]), float(middle[1])), True) > 2.0


@pytest.mark.parametrize("family", ["pillow_bag", "poly_mailer", "padded_mailer"])
def test_lying_bags_bear_on_the_floor(family: str):
    """What lies has its wall on the floor over a part of its outline, not on one point."""
    wall = families.product(family, 0).sheets[0]
    low = wall.vertices[wall.vertices[:, 2] < 0.0015]
    size = np.ptp(wall.vertices, axis=0)
    assert (np.ptp(low[:, :2], axis=0) > 0.25 * size[:2]).all()
    assert size[2] < 0.6 * size[:2].min()


@pytest.mark.parametrize("family", ["poly_mailer", "padded_mailer"])
def test_rigid_contents_fill_the_core(family: str):
    """Where there is a core, the item in the mailer reaches it, and the wall lies outside it."""
    seen = 0
    for number in range(6):
        made = families.product(family, number)
        if made.core is None:
            continue
        seen += 1
        low, high = made.core
        item = made.contents[0].vertices
        assert (item.min(axis=0) < low + 1e-6).all() and (item.max(axis=0) > high - 1e-6).all()
        inside = ((made.sheets[0].vertices > low) & (made.sheets[0].vertices < high)).all(axis=1)
        assert not inside.any()
    assert seen > 0


def test_pouch_has_three_panels_and_others_two():
    """A gusset is a panel of its own."""
    for family in SOFT:
        panels = ("front", "back", "gusset") if family == "standup_pouch" else ("front", "back")
        wall = families.product(family).sheets[0]
        assert wall.panels == panels and set(np.unique(wall.panel)) == set(range(len(panels)))


def test_paper_bag_formula():
    """Robin's approximation is near the known volume of a square pillow."""
    assert teabag_volume(1.0, 1.0) == pytest.approx(0.2, abs=0.015)
    assert edge_strain(np.eye(3), np.eye(3), np.array([[0, 1, 2]])).max() == 0.0


@every_soft
def test_impossible_ranges_are_refused(family: str):
    """A falling range or one that cannot be sewn names itself and the limits."""
    config, _ = FAMILIES[family]
    for bad in ((200.0, 150.0), (1.0, 2.0), (100.0, 5000.0)):
        with pytest.raises(ValueError, match=r"width_mm[\s\S]* give a rising range within"):
            config.model_validate({"width_mm": bad})
