"""What cartons, shipping boxes, books and sets must have beyond what every family has."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from damageland.generators.design import Design
from damageland.generators.mesh import Sheet, boundary_half_edges, face_normals, finish_sheet
from damageland.generators.products.book import BookConfig, build_book
from damageland.generators.products.corrugated_shipper import CorrugatedShipperConfig, build_corrugated_shipper
from damageland.generators.products.folding_carton import FoldingCartonConfig, build_folding_carton
from damageland.generators.products.product import Hinge, Product
from damageland.generators.products.sleeve_set import SleeveSetConfig, build_sleeve_set
from damageland.sim.scene import SURFACES, Part
from jaxtyping import Float
from pydantic import BaseModel, ValidationError
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

CONTENTS = SURFACES.index("contents")


def finished(product: Product) -> list[Part]:
    return [*(finish_sheet(sheet)[0] for sheet in product.sheets), *product.contents]


def design(family: str, number: int = 0, specimen: int = 0) -> Design:
    return Design(17, number, family, texture_px=256, specimen=specimen)


def hits(
    parts: list[Part], start: Float[np.ndarray, "3"], way: Float[np.ndarray, "3"]
) -> list[tuple[float, Part, int]]:
    """(distance, part, face) of everything that a ray meets, nearest first."""
    found = []
    for part in parts:
        a, b, c = (part.vertices[part.faces[:, k]] for k in range(3))
        p = np.cross(way, c - a)
        det = np.einsum("fk,fk->f", b - a, p)
        det = np.where(np.abs(det) < 1e-18, np.inf, det)
        t = start - a
        u = np.einsum("fk,fk->f", t, p) / det
        q = np.cross(t, b - a)
        v, far = q @ way / det, np.einsum("fk,fk->f", c - a, q) / det
        for face in np.flatnonzero((u >= 0) & (v >= 0) & (u + v <= 1) & (far > 0)):
            found.append((float(far[face]), part, int(face)))
    found.sort(key=lambda hit: hit[0])
    # Where two triangles meet, both are hit.
    return [h for k, h in enumerate(found) if k == 0 or h[1] is not found[k - 1][1] or h[0] > found[k - 1][0] + 1e-7]


@pytest.mark.parametrize("number", range(3))
def test_window_shows_what_is_in_the_carton(number: int):
    """A ray through a carton's window meets clear film, then the contents, and no board."""
    product = build_folding_carton("x", FoldingCartonConfig(window_share=1.0), design("folding_carton", number))
    assert "window" in product.lookalikes
    film = next(sheet for sheet in product.sheets if sheet.name == "window film").vertices
    parts, middle = finished(product), (film.min(axis=0) + film.max(axis=0)) / 2
    seen = hits(parts, np.array([middle[0], -1.0, middle[2]]), np.array([0, 1.0, 0]))
    assert seen[0][1].name == "window film"
    opaque = next(h for h in seen if h[1].materials[h[1].material[h[2]]].transmission < 0.5)
    assert opaque[1].surface[opaque[2]] == CONTENTS, opaque[1].name
    behind = [part.vertices[:, 1].min() for part in parts if (part.surface == CONTENTS).all()]
    assert min(behind) > film[:, 1].max() + 0.0002  # nothing touches the film


def test_hang_hole_is_a_hole():
    """The hang tab stands above the carton and a ray goes through its middle."""
    config = FoldingCartonConfig(hang_hole_share=1.0, long_mm=(90.0, 140.0))
    product = build_folding_carton("x", config, design("folding_carton"))
    tab = product.sheets[1]
    assert tab.name == "hang tab" and "hang_hole" in product.lookalikes
    top = product.sheets[0].vertices[:, 2].max()
    assert tab.vertices[:, 2].min() == pytest.approx(top, abs=1e-4)
    loops = boundary_half_edges(tab.faces)[0]
    rim = tab.vertices[np.unique(loops)]
    inner = rim[
        (rim[:, 2] > top + 0.003) & (rim[:, 2] < tab.vertices[:, 2].max() - 0.003) & (np.abs(rim[:, 0]) < 0.006)
    ]
    middle = np.array([0.0, 0.5, (inner[:, 2].min() + inner[:, 2].max()) / 2])
    assert hits([finish_sheet(tab)[0]], middle, np.array([0, -1.0, 0])) == []
    assert hits([finish_sheet(tab)[0]], np.array([0.3 * rim[:, 0].max(), 0.5, top + 0.004]), np.array([0, -1.0, 0]))


def drawn(family: str, build: Any, config: BaseModel, look: str, count: int = 2) -> list[Product]:
    """Products of which ``look`` is one of the lookalikes."""
    made = (build("x", config, design(family, number)) for number in range(30))
    out = [product for product in made if look in product.lookalikes][:count]
    assert len(out) == count
    return out


def holes_of(sheet: Sheet) -> list[Float[np.ndarray, "_ 3"]]:
    """Points of each loop of open edges."""
    edges = boundary_half_edges(sheet.faces)[0]
    links = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(sheet.vertices),) * 2)
    _, loop = connected_components(links, directed=False)
    return [sheet.vertices[np.unique(edges[loop[edges[:, 0]] == k])] for k in np.unique(loop[edges])]


@pytest.mark.parametrize("look", ["hand_hole", "vent"])
def test_openings_of_shippers_go_through_the_wall(look: str):
    """A ray through the middle of every opening meets no board on this side; what is seen lies inside, and dark."""
    config = CorrugatedShipperConfig(hand_hole_share=1.0, vent_share=float(look == "vent"), mailer_share=0.0)
    for product in drawn("corrugated_shipper", build_corrugated_shipper, config, look):
        loops = holes_of(product.sheets[0])
        assert len(loops) in (2, 4, 6, 8) and len(loops) >= (4 if look == "vent" else 2)
        part = finish_sheet(product.sheets[0])[0]
        assert len(boundary_half_edges(part.faces)[0]) == 0  # with its cut edges the wall is closed
        for loop in loops:
            middle, side = loop.mean(axis=0), float(np.sign(loop[0, 0]))
            assert np.ptp(loop[:, 0]) < 1e-6  # in the right or the left wall
            start, way = middle + np.array([0.5 * side, 0, 0]), np.array([-side, 0.0, 0.0])
            seen = hits([part], start, way)
            assert not seen or seen[0][0] > 0.5 + 0.5 * abs(middle[0])
            beside = start + np.array([0, 0, 0.5 * np.ptp(loop[:, 2]) + 0.006])
            assert hits([part], beside, way)[0][0] < 0.51


def test_thumb_notch_of_a_carton_shows_its_tuck_flap():
    """Below the top's front edge a half disc of the front is gone; behind it is the flap, which opens with the top."""
    config = FoldingCartonConfig(notch_share=1.0, window_share=0.0)
    for product in drawn("folding_carton", build_folding_carton, config, "thumb_notch"):
        wall = product.sheets[0]
        (loop,) = holes_of(wall)
        x, _, z = np.ptp(wall.vertices, axis=0)
        radius = min(0.009, 0.16 * x)
        assert np.ptp(loop[:, 0]) == pytest.approx(2 * radius, rel=0.02)
        assert np.ptp(loop[:, 2]) == pytest.approx(radius, rel=0.02) and loop[:, 2].max() == pytest.approx(z, abs=1e-6)
        start, way = np.array([0, -1.0, z - 0.4 * radius]), np.array([0, 1.0, 0])
        far, part, _ = hits(finished(product), start, way)[0]
        assert part.name == "tuck flap" and wall.vertices[:, 1].min() + 2e-4 < far - 1.0
        assert "tuck flap" in product.hinges[0].moves
        inside = [p.vertices[:, 1].min() for p in product.contents]
        assert min(inside) > part.vertices[:, 1].max()
        # Every other edge of front and top is still shared: nothing gapes beside the notch.
        assert (np.abs(loop[:, 0]) < radius + 1e-6).all()


def test_thumb_notches_of_a_sleeve_show_the_pieces():
    """At one open end, front and back lack a half disc at the same height."""
    config = SleeveSetConfig(notch_share=1.0, cutout_share=0.0, forms={"sleeve": 1.0})
    for product in drawn("sleeve_set", build_sleeve_set, config, "thumb_notch"):
        wall = product.sheets[0].vertices
        loops = holes_of(product.sheets[0])
        assert len(loops) == 2  # its two ends
        end = max(loops, key=lambda loop: loop[:, 0].max())
        inner = end[end[:, 0] < wall[:, 0].max() - 1e-5]
        for side in (-1, 1):
            one = inner[np.sign(inner[:, 1]) == side]
            assert np.ptp(wall[:, 0]) / 2 - one[:, 0].min() == pytest.approx(np.ptp(one[:, 2]) / 2, rel=0.25)
            assert one[:, 2].mean() == pytest.approx((wall[:, 2].max() + wall[:, 2].min()) / 2, abs=1e-4)


def test_perforation_is_pressed_in():
    """Along level perforations there are rows of vertices that lie lower than the board 4 mm beside them."""
    config = FoldingCartonConfig(perforation_share=1.0, window_share=0.0, bow_mm=(0.0, 0.0))
    grooves = 0
    for product in drawn("folding_carton", build_folding_carton, config, "perforation", 6):
        sheet = product.sheets[0]
        assert sheet.relief is not None
        z, front = float(sheet.rest[:, 2].max()), sheet.rest[:, 1] < sheet.rest[:, 1].min() + 1e-6
        inner = sheet.rest[front & (np.abs(sheet.rest[:, 0]) < 0.2 * np.ptp(sheet.rest[:, 0]))]
        for at in (0.8 * z, 0.4 * z):
            row = inner[np.abs(inner[:, 2] - at) < 1e-6]
            if len(row) == 0:
                continue
            beside = row + np.array([0, 0, 0.004])
            grooves += bool(np.allclose(sheet.relief(row), -2e-4) and np.allclose(sheet.relief(beside), 0, atol=1e-5))
    assert grooves >= 2


def test_seal_sticks_over_the_edge():
    """A closure seal changes the top's and the front's print at their common edge, and no vertex."""
    config, family = FoldingCartonConfig(seal_share=1.0, notch_share=0.0), "folding_carton"
    for number in range(3):
        sealed, plain = (
            build_folding_carton("x", replaced, design(family, number)).sheets[0]
            for replaced in (config, config.model_copy(update={"seal_share": 0.0}))
        )
        np.testing.assert_array_equal(sealed.vertices, plain.vertices)
        one, two = (sheet.materials[0].base_color_texture for sheet in (sealed, plain))
        assert one is not None and two is not None
        other = (one != two).any(axis=2)
        top = sealed.vertices[:, 2].max()
        for panel in (0, 4):  # texels where the edge's faces touch it
            at = sealed.panel == panel
            corners = sealed.vertices[sealed.faces[at]]
            rim = (np.abs(corners[..., 2] - top) < 1e-6) & (
                np.abs(corners[..., 1] - sealed.vertices[:, 1].min()) < 1e-6
            )
            uv = sealed.uv[at][rim]
            columns, rows = (np.clip(v * len(other), 1, len(other) - 2).astype(int) for v in (uv[:, 0], 1 - uv[:, 1]))
            near = [other[r - 1 : r + 2, c - 1 : c + 2].any() for r, c in zip(rows, columns, strict=True)]
            assert 0.03 < np.mean(near) < 0.9


def test_crushed_look_is_print_only():
    """A crumpled design changes the picture and not one vertex."""
    plain, crushed = (
        build_folding_carton(
            "x", FoldingCartonConfig(crushed_look_share=share, window_share=0.0), design("folding_carton")
        )
        for share in (0.0, 1.0)
    )
    np.testing.assert_array_equal(plain.sheets[0].vertices, crushed.sheets[0].vertices)
    first, second = (p.sheets[0].materials[0].base_color_texture for p in (plain, crushed))
    assert first is not None and second is not None and (first != second).mean() > 0.2


def _roughness_at(product: Product, panels: tuple[str, ...], near_m: float) -> Float[np.ndarray, " n"]:
    """The gloss map on a shipper's flaps, nearer (or, if negative, further) than ``near_m`` from where they meet."""
    sheet = product.sheets[0]
    gloss = sheet.materials[0].metallic_roughness_texture
    assert gloss is not None
    at = np.isin(sheet.panel, [sheet.panels.index(name) for name in panels])
    away = np.abs(sheet.vertices[sheet.faces[at]].mean(axis=1)[:, 1])
    uv = sheet.uv[at].mean(axis=1)[away < near_m if near_m > 0 else away > -near_m]
    column, row = (np.clip(v * len(gloss), 0, len(gloss) - 1).astype(int) for v in (uv[:, 0], 1 - uv[:, 1]))
    return gloss[row, column, 1].astype(float)


def test_tape_is_glossier_than_board():
    """Along the bottom's slit the roughness is the tape's, apart from it the board's."""
    config = CorrugatedShipperConfig(mailer_share=0.0)
    for number in range(4):
        product = build_corrugated_shipper("x", config, design("corrugated_shipper", number))
        assert "tape" in product.lookalikes
        bottom = ("bottom front", "bottom back")
        assert np.median(_roughness_at(product, bottom, 0.012)) < 200
        assert np.median(_roughness_at(product, bottom, -0.05)) > 250


def test_flaps_meet_in_the_middle():
    """Where flaps meet, a finished box has a groove."""
    product = build_corrugated_shipper("x", CorrugatedShipperConfig(mailer_share=0.0), design("corrugated_shipper", 1))
    points = finish_sheet(product.sheets[0])[0].vertices
    high = product.sheets[0].vertices[:, 2].max()
    top = points[points[:, 2] > high - 0.0025]
    across = np.abs(top[:, 1])
    inside = np.abs(top[:, 0]) < 0.3 * np.ptp(points[:, 0])
    assert top[inside & (across < 1e-4), 2].max() < top[inside & (np.abs(across - 0.008) < 0.004), 2].max() - 0.0004


@pytest.mark.parametrize("number", range(4))
def test_pages_lie_inside_the_cover(number: int):
    """No page reaches beyond the cover, or into its boards; the cover is an open strip round three sides."""
    product = build_book("x", BookConfig(ajar_share=0.0, wrapped_share=0.0), design("book", number))
    cover, pages = finished(product)
    assert len(boundary_half_edges(product.sheets[0].faces)[0]) > 0
    assert (pages.vertices.min(axis=0) > cover.vertices.min(axis=0) + 1e-4).all()
    assert (pages.vertices.max(axis=0) < cover.vertices.max(axis=0) - 1e-4).all()
    inner = cover.surface == SURFACES.index("inner")
    for at in (-0.1, 0.2, 0.7):
        x = at * np.abs(pages.vertices[:, 0]).max()
        z = 0.47 * cover.vertices[:, 2].max()
        seen = hits([cover, pages], np.array([x, 1.0, z]), np.array([0, -1.0, 0]))
        names = [part.name for _, part, _ in seen]
        assert names == ["cover", "cover", "pages", "pages", "cover", "cover"]
        assert inner[seen[1][2]] and inner[seen[4][2]]
        assert 0.0001 < seen[2][0] - seen[1][0] < 0.002


def test_wrapped_book_has_film_around_it():
    """Shrink film encloses cover and pages, is clear, and names the material."""
    product = build_book("x", BookConfig(wrapped_share=1.0), design("book"))
    cover, film, pages = finished(product)
    assert product.item_material == "book_plastic_tight_wrap" and film.materials[0].transmission > 0.5
    for part in (cover, pages):
        assert (part.vertices.min(axis=0) > film.vertices.min(axis=0)).all()
        assert (part.vertices.max(axis=0) < film.vertices.max(axis=0)).all()


@pytest.mark.parametrize("form", ["sleeve", "band", "gift_box"])
@pytest.mark.parametrize("number", range(2))
def test_sets_hold_their_pieces(form: str, number: int):
    """As many pieces as stated, apart from each other; a sleeve is open at both ends, a gift box is closed but for
    its window."""
    product = build_sleeve_set("x", SleeveSetConfig(forms={form: 1.0}, window_share=0.0), design("sleeve_set", number))
    units: dict[int, list[Part]] = {}
    for part in product.contents:
        units.setdefault(part.item, []).append(part)
    units.pop(1, None)
    assert len(units) == product.attributes["expected_units"] >= 2
    boxes = []
    for item in sorted(units):
        points = np.concatenate([part.vertices for part in units[item]])
        boxes.append((points.min(axis=0), points.max(axis=0)))
    for k, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:k]:
            assert ((low >= other_high) | (high <= other_low)).any()
    rim = boundary_half_edges(product.sheets[0].faces)[0]
    assert (len(rim) == 0) == (form == "gift_box")
    walls = product.sheets[0].vertices
    if form == "band":
        assert boxes[0][0][0] < walls[:, 0].min() - 0.003 and boxes[-1][1][0] > walls[:, 0].max() + 0.003


def test_pieces_are_distinct():
    """Most sets have pieces of different prints."""
    product = build_sleeve_set("x", SleeveSetConfig(pieces=(3, 3)), design("sleeve_set", 1))
    prints = [part.materials[0].base_color_texture for part in product.contents if part.item > 1]
    prints = [p.tobytes() for p in prints if p is not None]
    assert len(prints) == 3 and len(set(prints)) in (1, 3)


def _opens_outwards(product: Product, hinge: Hinge) -> bool:
    sheet = product.sheets[0]
    at = np.isin(sheet.panel, [sheet.panels.index(name) for name in hinge.moves])
    points = sheet.vertices[np.unique(sheet.faces[at])]
    a, b = np.array(hinge.a, float), np.array(hinge.b, float)
    axis = (b - a) / np.linalg.norm(b - a)
    moved = np.cross(axis, points - a)  # for a small angle
    outward = face_normals(sheet.vertices, sheet.faces[at]).sum(axis=0)
    return (
        float((moved @ outward).mean()) > 0 and float(np.min(moved @ outward)) > -1e-3 * np.abs(moved @ outward).max()
    )


@pytest.mark.parametrize(
    ("family", "build", "config"),
    [
        ("folding_carton", build_folding_carton, FoldingCartonConfig()),
        ("corrugated_shipper", build_corrugated_shipper, CorrugatedShipperConfig(mailer_share=0.0)),
        ("corrugated_shipper", build_corrugated_shipper, CorrugatedShipperConfig(mailer_share=1.0)),
        ("book", build_book, BookConfig(ajar_share=0.0)),
        ("sleeve_set", build_sleeve_set, SleeveSetConfig(forms={"gift_box": 1.0})),
    ],
)
def test_hinges_open_outwards(family: str, build: Any, config: BaseModel):
    """Turned by the right-hand rule about its hinge, a flap, lid or cover moves away from the package."""
    product = build("x", config, design(family))
    assert product.hinges
    for hinge in product.hinges:
        assert _opens_outwards(product, hinge), hinge.name


@pytest.mark.parametrize(
    ("config", "values", "says"),
    [
        (FoldingCartonConfig, {"long_mm": (0, 100)}, "long_mm"),
        (FoldingCartonConfig, {"short_share": (0.5, 0.2)}, "short_share"),
        (FoldingCartonConfig, {"window_share": 1.5}, "window_share"),
        (CorrugatedShipperConfig, {"height_share": (0.0, 0.5)}, "height_share"),
        (CorrugatedShipperConfig, {"bow_mm": (-3, 1)}, "bow_mm"),
        (BookConfig, {"thickness_mm": (1, 200)}, "thickness_mm"),
        (SleeveSetConfig, {"pieces": (0, 3)}, "rising range within 1 to 12"),
        (SleeveSetConfig, {"pieces": (0, 0)}, "rising range within 1 to 12"),
        (SleeveSetConfig, {"forms": {"crate": 1.0}}, "gift_box"),
        (SleeveSetConfig, {"bow": 1}, "bow"),
    ],
)
def test_impossible_configs_are_refused(config: type[BaseModel], values: dict[str, Any], says: str):
    """A range that cannot be built is named, with what is possible."""
    with pytest.raises(ValidationError, match=says):
        config(**values)


# ---- Cut edges and contents -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [0, 2])
def test_flutes_of_a_cut_edge_are_as_wide_as_the_boards(levels: int):
    """Along a rim the edge's picture runs by length, at any fineness: it keeps its proportions."""
    box = build_corrugated_shipper("x", CorrugatedShipperConfig(mailer_share=0), design("corrugated_shipper"))
    wall = box.sheets[0]
    torn = replace(wall, levels=levels, relief=None, removed=wall.panel == wall.panels.index("top front"))
    part, _ = finish_sheet(torn)
    rim = part.surface == SURFACES.index("edge")
    corners, uv = part.vertices[part.faces[rim]], part.uv[rim]
    along = uv[:, 0, 1] == uv[:, 1, 1]  # of the two rows of triangles, the one with a side on the outer face
    length = np.linalg.norm(corners[along, 1] - corners[along, 0], axis=1)
    picture = wall.materials[-1].base_color_texture
    assert picture is not None
    tile = wall.thickness_mm / 1000 * picture.shape[1] / picture.shape[0]
    np.testing.assert_allclose((uv[along, 1, 0] - uv[along, 0, 0]) * tile, length, rtol=1e-6)
    assert uv.min() >= 0 and uv.max() <= 1
    meet = {tuple(np.round(p, 7)): u for p, u in zip(corners[along, 0], uv[along, 0, 0], strict=True)}
    apart = [abs(meet[tuple(np.round(p, 7))] - u) for p, u in zip(corners[along, 1], uv[along, 1, 0], strict=True)]
    assert np.mean(np.array(apart) > 1e-6) < 0.2, "but for the picture's ends, the next side goes on where one ended"


def test_what_boxes_hold_is_printed():
    """No goods are plain blocks: each shows more than one tone, and two shipments hold different things."""
    seen = []
    for number in range(4):
        made = build_corrugated_shipper("x", CorrugatedShipperConfig(), design("corrugated_shipper", number))
        goods = [part for part in made.contents if part.name.startswith("goods")]
        pictures = [part.materials[0].base_color_texture for part in goods]
        assert goods and all(p is not None and np.ptp(p.astype(int), axis=(0, 1)).min() > 40 for p in pictures)
        seen += [p.tobytes() for p in pictures[:1] if p is not None]
    assert len(set(seen)) == len(seen)
