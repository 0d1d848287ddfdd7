"""Sets: blister packs, multipacks and loose sets have as many units as they say, each where it can be."""

from functools import cache

import numpy as np
import pytest
import trimesh
from damageland.generators.design import Design
from damageland.generators.forming import Pocket, circle, fillet, form_sheet, plate, rounded_box, wall_steps
from damageland.generators.mesh import boundary_half_edges, enclosed_volume, face_areas, finish_sheet, mesh_edges
from damageland.generators.products.blister_pack import BlisterPackConfig, build_blister_pack
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.goods import THEMES
from damageland.generators.products.loose_set import LooseSetConfig, build_loose_set
from damageland.generators.products.multipack import COUNTS, MultipackConfig, build_multipack
from damageland.generators.products.packed import PACKED
from damageland.generators.products.product import Product
from damageland.generators.products.tablet_blister import TabletBlisterConfig
from damageland.sim.errors import DamagelandError
from damageland.sim.rays import build_caster, cast
from damageland.sim.scene import SURFACES, Part
from pydantic import ValidationError

NUMBERS = range(2)
TOUCH_M = 2e-4
"""Bodies that are apart by less are touching: pieces are checked by their convex hulls."""


def design(family: str, number: int, **fields: object) -> Design:
    return Design(11, number, family, texture_px=256, **fields)  # type: ignore[arg-type]


@cache
def carded(number: int, kind: str | None = None, units: tuple[int, int] = (1, 8)) -> Product:
    config = BlisterPackConfig(tablets_share=0, kinds=(kind,) if kind else tuple(PACKED), units=units)
    return build_blister_pack("x", config, design("blister_pack", number))


@cache
def tablets(number: int) -> Product:
    return build_blister_pack("x", BlisterPackConfig(tablets_share=1), design("blister_pack", number))


@cache
def multipack(number: int, kind: str = "can") -> Product:
    return build_multipack("x", MultipackConfig(kinds={kind: 1.0}), design("multipack", number))


@cache
def loose(number: int, theme: str) -> Product:
    return build_loose_set("x", LooseSetConfig(themes=(theme,)), design("loose_set", number))


def every_part(made: Product) -> list[Part]:
    return [*(finish_sheet(sheet)[0] for sheet in made.sheets), *made.contents]


def by_item(parts: list[Part]) -> dict[int, np.ndarray]:
    """Vertices of each item number."""
    items = sorted({part.item for part in parts})
    return {k: np.concatenate([part.vertices for part in parts if part.item == k]) for k in items}


def apart(units: dict[int, np.ndarray]) -> None:
    """No two units overlap: their boxes do not, or a line separates their convex outlines seen from above."""
    boxes = {k: (v.min(axis=0) + TOUCH_M, v.max(axis=0) - TOUCH_M) for k, v in units.items()}
    for a in units:
        for b in units:
            if a >= b or (boxes[a][0] > boxes[b][1]).any() or (boxes[b][0] > boxes[a][1]).any():
                continue
            angles = np.linspace(0, np.pi, 180)
            ways = np.stack([np.cos(angles), np.sin(angles)])
            one, other = units[a][:, :2] @ ways, units[b][:, :2] @ ways
            gap = np.maximum(one.min(0) - other.max(0), other.min(0) - one.max(0)).max()
            assert gap > -TOUCH_M, f"units {a} and {b} overlap by {-1000 * gap:.2f} mm"


ALL = [
    *((carded, (n, kind)) for n, kind in enumerate(PACKED)),
    *((carded, (n,)) for n in NUMBERS),
    *((tablets, (n,)) for n in NUMBERS),
    *((multipack, (n, kind)) for n in range(1) for kind in ("can", "carton", "soap")),
    *((loose, (n, theme)) for n in range(1) for theme in THEMES),
]


@pytest.mark.parametrize(("build", "arguments"), ALL)
def test_item_numbers_count_the_units(build, arguments):
    """As many item numbers as expected units, besides the package's; every part's number is one of them."""
    made = build(*arguments)
    items = sorted({part.item for part in every_part(made)})
    units = made.attributes["expected_units"]
    first = 1 if made.family == "loose_set" else 2
    assert [k for k in items if k >= first] == list(range(first, first + units))
    names = [part.name for part in made.contents]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("build", "arguments"), ALL)
def test_units_do_not_overlap(build, arguments):
    """Units touch at most."""
    made = build(*arguments)
    units = by_item(every_part(made))
    if made.family != "loose_set":
        del units[1]
    apart(units)


@pytest.mark.parametrize("made", [*((carded, n) for n in NUMBERS), *((tablets, n) for n in NUMBERS)])
def test_a_dome_is_over_each_unit_and_a_card_under_it(made):
    """A ray from above meets the dome first, then the unit, then the card or the lid, in this order and with room."""
    build, number = made
    product = build(number)
    dome, board = (finish_sheet(sheet)[0] for sheet in product.sheets)
    outer = [np.flatnonzero(part.surface == SURFACES.index("outer")) for part in (dome, board)]
    assert all(len(faces) for faces in outer)
    for item, points in by_item(list(product.contents)).items():
        unit = tuple(part for part in product.contents if part.item == item)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        spots = points[np.linspace(0, len(points) - 1, 40).astype(int)] * 0.9 + 0.1 * middle
        down = np.tile([0.0, 0.0, -1.0], (len(spots), 1))
        start = spots * [1, 1, 0] + [0, 0, 0.2]
        first = cast(build_caster((dome,)), start, down).distance
        second = cast(build_caster(unit), start, down).distance
        third = cast(build_caster((board,)), start, down).distance
        met = np.isfinite(second)
        assert met.mean() > 0.5
        assert (second[met] - first[met] > 3e-4).all(), f"unit {item} pokes through its dome"
        assert (third[met] > second[met]).all()
        low, high = dome.vertices.min(axis=0), dome.vertices.max(axis=0)
        assert (points[:, :2] > low[:2]).all() and (points[:, :2] < high[:2]).all() and points[:, 2].max() < high[2]


@pytest.mark.parametrize("made", [*((carded, n) for n in NUMBERS), *((tablets, n) for n in NUMBERS)])
def test_units_lie_on_the_card(made):
    """Nothing floats above the card or the lid, and nothing sinks into it."""
    build, number = made
    product = build(number)
    board = finish_sheet(product.sheets[1])[0]
    caster = build_caster((board,))
    for item, points in by_item(list(product.contents)).items():
        low = points[np.argsort(points[:, 2])[:12]]
        hit = cast(caster, low + np.array([0, 0, 0.05]), np.tile([0.0, 0.0, -1.0], (len(low), 1))).distance - 0.05
        assert 0 < hit.min() < 2e-4, f"unit {item} is {1000 * hit.min():.3f} mm above the card"


@pytest.mark.parametrize("kind", ["can", "carton", "soap"])
@pytest.mark.parametrize("number", range(2))
def test_film_is_round_the_group(kind: str, number: int):
    """Every unit lies within the film's hull; the film has two openings, at the two ends, and stands on z = 0."""
    made = multipack(number, kind)
    film = finish_sheet(made.sheets[0])[0]
    hull = trimesh.Trimesh(film.vertices, film.faces, process=False).convex_hull
    normal, offset = hull.face_normals, np.einsum("ij,ij->i", hull.face_normals, hull.triangles[:, 0])
    for item, points in by_item(list(made.contents)).items():
        assert (points @ normal.T - offset).max() < 4e-4, f"unit {item} sticks out of the film"
    rim, _ = boundary_half_edges(made.sheets[0].faces)
    ends = made.sheets[0].vertices[rim[:, 0]]
    half = np.abs(made.sheets[0].vertices[:, 0]).max()
    assert (np.abs(ends[:, 0]) > 0.6 * half).all() and len(np.unique(np.sign(ends[:, 0]))) == 2
    assert abs(film.vertices[:, 2].min()) < 3e-4
    assert made.attributes["expected_units"] in COUNTS


@pytest.mark.parametrize("theme", THEMES)
def test_pieces_stand_on_the_tray(theme: str):
    """Each piece touches z = 0."""
    for item, points in by_item(every_part(loose(0, theme))).items():
        assert abs(points[:, 2].min()) < 5e-4, item


@pytest.mark.parametrize("kind", PACKED)
def test_any_count_can_be_built(kind: str):
    """One to eight of each kind hang on a card."""
    for count in (1, 5, 8):
        assert carded(count, kind, (count, count)).attributes["expected_units"] == count


def test_what_could_be_taken_for_a_missing_unit_is_named():
    """Cavities that are empty by design and odd counts are among the look-alikes, and only where they are."""
    grid = TabletBlisterConfig(empty_share=1.0, rows=(3, 3), columns=(2, 2))
    config = BlisterPackConfig(tablets_share=1, tablets=grid)
    made = build_blister_pack("x", config, design("blister_pack", 0))
    assert "empty_cavity" in made.lookalikes and made.attributes["expected_units"] < 6
    plain = BlisterPackConfig(tablets_share=1, tablets=TabletBlisterConfig(empty_share=0, uneven_share=0, rows=(4, 4)))
    made = build_blister_pack("x", plain, design("blister_pack", 0))
    assert not {"empty_cavity", "odd_count"} & set(made.lookalikes)


def test_impossible_sets_are_refused():
    """No units, too many, or of an unknown kind: one clear error each."""
    with pytest.raises(ValidationError, match="at least 1"):
        BlisterPackConfig(units=(0, 3))
    with pytest.raises(ValidationError, match="at least 1"):
        LooseSetConfig(pieces=(0, 0))
    with pytest.raises(ValidationError, match="at least one of"):
        MultipackConfig(units=(0, 1))
    with pytest.raises(ValidationError, match="choose from"):
        BlisterPackConfig(kinds=("razors",))
    with pytest.raises(ValidationError, match="60"):
        TabletBlisterConfig(rows=(2, 20), columns=(2, 20))
    crowd = BlisterPackConfig(tablets_share=0, units=(60, 60), kinds=("razor",))
    with pytest.raises(DamagelandError, match=r"do not fit.*lower `units`"):
        build_blister_pack("x", crowd, design("blister_pack", 0))
    with pytest.raises(DamagelandError, match="lower `pieces`"):
        build_loose_set("x", LooseSetConfig(pieces=(45, 45), themes=("tableware",)), design("loose_set", 0))


def test_another_piece_of_the_same_product_differs_only_in_how_its_units_lie():
    """A specimen keeps the shapes of wall and units."""
    for family in ("blister_pack", "multipack", "loose_set"):
        config, build = FAMILIES[family]
        first, second = (build("x", config(), design(family, 3, specimen=k)) for k in (0, 1))
        assert first.attributes == second.attributes and first.mass_g == pytest.approx(second.mass_g)
        assert [p.name for p in first.contents] == [p.name for p in second.contents]
        for a, b in zip(first.contents, second.contents, strict=True):
            assert a.faces.shape == b.faces.shape
            areas = [face_areas(part.vertices, part.faces).sum() for part in (a, b)]
            assert areas[0] == pytest.approx(areas[1], rel=0.01)


def test_formed_sheets_are_sound():
    """A sheet with a pocket and a hole: one outer rim and one hole, no slivers, the pocket as high as it should be."""
    steps = wall_steps(0.01, draft_deg=8, foot_m=0.001, top_m=0.002)
    assert (np.diff(steps[:, 0]) > 0).all() and steps[-1, 1] == pytest.approx(0.01)
    pocket = Pocket(rounded_box(0.04, 0.05, 0.008, 0.002, at=(0, -0.01)), steps)
    mesh = form_sheet(
        rounded_box(0.06, 0.09, 0.004, 0.002), 0.002, pockets=[pocket], holes=[circle(0.003, 0.001, at=(0, 0.035))]
    )
    edges, face_edge = mesh_edges(mesh.faces)
    assert np.bincount(face_edge.ravel(), minlength=len(edges)).max() <= 2
    points = mesh.vertices
    assert len(np.unique(mesh.faces)) - len(edges) + len(mesh.faces) == 0  # Euler: a disc with one hole
    assert face_areas(points, mesh.faces).min() > 1e-9
    assert points[:, 2].max() == pytest.approx(0.01) and points[:, 2].min() == 0
    flat = face_areas(points * [1, 1, 0], mesh.faces).sum()
    assert flat == pytest.approx(0.06 * 0.09 - np.pi * 0.003**2, rel=0.01)


def test_plates_are_closed():
    """A notched plate with a bevel is watertight and about as large as its outline times its height."""
    outline = [(0, 0), (0.03, 0), (0.03, 0.02), (0.018, 0.02), (0.018, 0.01), (0.012, 0.01), (0.012, 0.02), (0, 0.02)]
    rim = fillet(outline, 0.001, 0.001)
    mesh = plate(rim, np.array([[0.0003, 0.0], [0.0, 0.0003], [0.0, 0.0047], [0.0003, 0.005]]))
    assert len(boundary_half_edges(mesh.faces)[0]) == 0
    assert enclosed_volume(mesh.vertices, mesh.faces) == pytest.approx(0.005 * (0.0006 - 0.00006), rel=0.03)
