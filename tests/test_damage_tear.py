"""Tears: exact lengths on the unfolded surface, walls that stay closed, labels and openings where they belong."""

from dataclasses import replace
from functools import cache
from typing import get_args

import numpy as np
import pytest
from damageland.generators.damage.outcome import Outcome, UnsolvedError
from damageland.generators.damage.subject import Subject
from damageland.generators.damage.tear import TearConfig, tear, tear_applies
from damageland.generators.mesh import (
    Mechanics,
    Sheet,
    boundary_half_edges,
    face_areas,
    finish_sheet,
    make_sheet,
    mesh_edges,
    subdivide_sheet,
    vertex_normals,
)
from damageland.generators.piercing.opening_area import bare_part, opening_area_mm2
from damageland.generators.tearing.draws import draw_tear
from damageland.generators.tearing.line import (
    KNOTS,
    OCTAVES,
    Design,
    Shape,
    draw_corners,
    draw_line,
    inside_ring,
    nearest_on_line,
    polyline_length,
)
from damageland.generators.tearing.rim import SNAP, cut_tear
from damageland.generators.tearing.site import Site
from damageland.generators.tearing.stock import BOARD, CORRUGATE, tearable
from damageland.generators.tearing.unfold import faces_beside, locate, spread, stretch, unfold
from damageland.sim.errors import DamagelandError
from damageland.sim.scene import KINDS, SURFACES, Material
from families import product
from scipy.spatial import KDTree

PENETRATION = KINDS.index("penetration")
TEARS = (
    "blister_pack", "book", "corrugated_shipper", "folding_carton", "glass_jar", "multipack", "padded_mailer",
    "pillow_bag", "poly_mailer", "sleeve_set", "standup_pouch",
)  # fmt: skip
SOUND = ("beverage_can", "detergent_bottle", "pet_bottle", "tin", "tube")
SHAPES: tuple[Shape, ...] = get_args(Shape)
CYLINDER_M = 0.035


@cache
def torn(family: str, strength: float, seed: int = 0) -> Outcome:
    """A tear of the family's first product; a flap without room is drawn again, as the caller does."""
    for attempt in range(5):
        try:
            rng = np.random.default_rng(seed + 100 * attempt)
            return tear(Subject(product(family)), TearConfig(), strength, rng)
        except UnsolvedError:
            continue
    raise AssertionError(f"{family}: five flaps without room")


def sheet_of(outcome: Outcome) -> tuple[Sheet, Sheet]:
    """The sheet that was torn, before and after."""
    name = outcome.parameters["sheet"]
    before = next(s for s in product(outcome.product.family).sheets if s.name == name)
    return before, next(s for s in outcome.product.sheets if s.name == name)


def patch(cells: int, *, bent: bool = False, high: float = 0.12) -> Sheet:
    """A square of card, flat, or bent to a quarter of a cylinder about z."""
    grid = np.linspace(0, 1, cells + 1)
    u, v = (a.ravel() for a in np.meshgrid(grid, grid, indexing="ij"))
    index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = (q.ravel() for q in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    wide = 0.5 * np.pi * CYLINDER_M * 2 if bent else high
    x, z = (u - 0.5) * wide, (v - 0.5) * high
    angle = x / CYLINDER_M
    points = np.stack([x, 0 * x, z], 1)
    if bent:
        points = np.stack([CYLINDER_M * np.sin(angle), -CYLINDER_M * np.cos(angle), z], 1)
    material = Material("coated_board_inside")
    return make_sheet(
        "patch", points, faces, np.stack([u, v], 1)[faces], np.zeros(len(faces), np.uint8),
        (replace(material, name="coated_board"), material, material), Mechanics(4.2, 14.0, 20.0, 0.5),
        thickness_mm=0.45, levels=1, crease_deg=38.0,
    )  # fmt: skip


def laid(sheet: Sheet, *, tolerance: float = 1e-6):
    """A patch unfolded around its middle, x to the right."""
    middle = sheet.rest[sheet.faces].mean(axis=1)
    face = int(np.argmin(np.linalg.norm(middle - np.array([0, sheet.rest[:, 1].min(), 0.0]), axis=1)))
    return face, unfold(
        sheet.rest, sheet.faces, face, middle[face], np.array([1.0, 0, 0]), reach=0.2, beside=faces_beside(sheet.faces),
        blocked=sheet.removed, tolerance=tolerance,
    )  # fmt: skip


def design(shape: Shape, seed: int = 0, rough_m: float = 0.0005) -> Design:
    rng = np.random.default_rng(seed)
    corners, back = draw_corners(shape, rng)
    return Design(shape, corners, back, rng.normal(size=(OCTAVES, KNOTS)), rough_m, 0.01, 0.0012)


# Unfolding


@pytest.mark.parametrize("cells", [9, 24])
def test_a_plane_unfolds_to_itself(cells: int):
    """Every vertex of a flat patch comes to lie where it is, whatever the mesh."""
    sheet = patch(cells)
    face, flat = laid(sheet)
    at = sheet.rest[sheet.faces[face]].mean(axis=0)
    np.testing.assert_allclose(flat.plane, (sheet.rest - at)[:, [0, 2]], atol=1e-12)
    assert flat.exact.all()


@pytest.mark.parametrize("cells", [30, 60])
def test_a_cylinder_unfolds_to_its_arc(cells: int):
    """Sides keep their lengths to rounding; chords of the arc are shorter than it by what the polygon says."""
    sheet = patch(cells, bent=True)
    face, flat = laid(sheet)
    assert flat.exact.all() and stretch(sheet.rest, sheet.faces, flat.plane).max() < 1e-9
    turn = np.arctan2(sheet.rest[:, 0], -sheet.rest[:, 1])
    half = 0.5 * np.pi / cells  # angle of one facet
    want = CYLINDER_M * turn * np.sin(half) / half
    middle = spread(
        np.stack([want, sheet.rest[:, 2], 0 * want], 1), sheet.faces, np.array([face]), np.full((1, 3), 1 / 3)
    )
    np.testing.assert_allclose(flat.plane[:, 0], want - middle[0, 0], atol=1e-9)
    np.testing.assert_allclose(flat.plane[:, 1], sheet.rest[:, 2] - middle[0, 1], atol=1e-9)


def test_a_box_unfolds_across_its_edges_but_not_round_a_corner():
    """On a carton all that is near lies flat without stretch; round a corner some faces do not fit and are left out."""
    sheet = product("folding_carton").sheets[0]
    middle = sheet.rest[sheet.faces].mean(axis=1)
    corner = sheet.rest[np.argmax(sheet.rest @ np.array([1.0, -1.0, 1.0]))]
    beside, face = faces_beside(sheet.faces), int(np.argmin(np.linalg.norm(middle - corner, axis=1)))
    flat = unfold(
        sheet.rest, sheet.faces, face, middle[face], np.array([0.3, 0.4, 0.5]), reach=0.08, beside=beside,
        blocked=sheet.removed,
    )  # fmt: skip
    reached = ~np.isnan(flat.plane[sheet.faces]).any(axis=(1, 2))
    assert 0.5 < flat.exact.sum() / reached.sum() < 1
    assert len(np.unique(sheet.panel[flat.exact])) >= 3
    edges, _ = mesh_edges(sheet.faces[flat.exact])
    solid, plane = (np.linalg.norm(p[edges[:, 0]] - p[edges[:, 1]], axis=1) for p in (sheet.rest, flat.plane))
    np.testing.assert_allclose(plane, solid, atol=1e-7)


def test_nothing_is_laid_out_across_blocked_faces():
    """A wall of blocked faces hides what is behind."""
    sheet = patch(20)
    wall = np.abs(sheet.rest[sheet.faces][..., 0].mean(axis=1) - 0.02) < 0.004
    middle = sheet.rest[sheet.faces].mean(axis=1)
    face = int(np.argmin(np.linalg.norm(middle, axis=1)))
    flat = unfold(
        sheet.rest, sheet.faces, face, middle[face], np.array([1.0, 0, 0]), reach=0.3,
        beside=faces_beside(sheet.faces), blocked=wall,
    )  # fmt: skip
    assert np.isnan(flat.plane[sheet.rest[:, 0] > 0.031]).all() and not flat.exact[wall].any()
    assert not np.isnan(flat.plane[sheet.rest[:, 0] < 0.01]).any()


def test_points_are_found_again():
    """What is spread from located weights is the point that was looked for; outside there is no face."""
    sheet = patch(24)
    _, flat = laid(sheet)
    points = np.random.default_rng(1).uniform(-0.05, 0.05, (200, 2))
    face, weights = locate(flat.plane, sheet.faces, flat.exact, points)
    solid = np.concatenate([flat.plane, np.zeros((len(flat.plane), 1))], axis=1)
    np.testing.assert_allclose(spread(solid, sheet.faces, face, weights)[:, :2], points, atol=1e-9)
    assert (locate(flat.plane, sheet.faces, flat.exact, points + 1.0)[0] == -1).all()


# The line


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("length_mm", [5.0, 7.3, 31.0, 150.0])
def test_lines_have_their_length(shape: Shape, length_mm: float):
    """The ragged line is as long as asked for; its closed outline is one simple piece with an area."""
    line = draw_line(design(shape, 3), length_mm / 1000)
    assert polyline_length(line.torn) == pytest.approx(length_mm / 1000, rel=2e-9)
    assert 1000 * line.length_m == length_mm
    np.testing.assert_array_equal(line.back[0], line.torn[-1])
    np.testing.assert_array_equal(line.back[-1], line.torn[0])
    low, high = line.ring.min(axis=0), line.ring.max(axis=0)
    points = np.random.default_rng(0).uniform(low, high, (4000, 2))
    assert 0.05 < inside_ring(points, line.ring).mean() < 0.99


def test_longer_lines_reach_further():
    """A longer tear of one design is the shorter one, grown: its hinge is longer, too."""
    for shape in SHAPES:
        hinges = [np.linalg.norm(np.diff(draw_line(design(shape), s).hinge, axis=0)) for s in (0.01, 0.03, 0.09)]
        assert hinges[0] < hinges[1] < hinges[2], shape


@pytest.mark.parametrize("bent", [False, True])
@pytest.mark.parametrize("shape", ["v", "u", "arc", "slit"])
def test_the_cut_is_as_long_as_the_line_on_any_mesh(bent: bool, shape: Shape):
    """The measure is the line's own length; the torn edges' pristine length agrees with it, and between two meshes."""
    lengths = []
    for cells in (30, 47):
        sheet = patch(cells, bent=bent)
        _, flat = laid(sheet)
        site = Site(0, np.zeros(3), "face", design(shape, 5), flat, 0.06, 0.0, 0, np.array([1.0, 0, 0]))
        draws = draw_tear(BOARD, np.random.default_rng(0), lift_share=(0, 1), inward_share=0, lost_share=0)
        outline = site.outline(0.06)
        mesh = cut_tear(sheet, site, outline, BOARD, draws, slit=shape == "slit")
        rim, _ = boundary_half_edges(mesh.laid.sheet.faces)
        lip = rim[mesh.torn[rim].all(axis=1)]
        assert len(lip) > 60
        rest = mesh.laid.sheet.rest
        length = np.linalg.norm(rest[lip[:, 0]] - rest[lip[:, 1]], axis=1).sum() / 2
        # Chords cut the ragged line's corners; at both ends the cut stops at the last vertex on it.
        assert outline.length_m - 0.0022 < length < 1.012 * outline.length_m
        away, where = nearest_on_line(mesh.laid.plane[np.unique(lip)], outline.torn)
        assert np.quantile(away, 0.97) < 1.001 * SNAP * 0.001
        ends = where.min() + outline.length_m - where.max()
        lengths.append(length + ends)
    np.testing.assert_allclose(lengths, outline.length_m, rtol=0.012)
    assert lengths[0] == pytest.approx(lengths[1], rel=0.008)


# All families


def test_what_tears():
    """Board, paper, film and foil tear; metal, glass, rigid plastics and tubes do not; a jar's label does."""
    for family in TEARS:
        assert tear_applies(product(family)), family
    for family in SOUND:
        assert not tear_applies(product(family)), family
    jar = product("glass_jar")
    assert 0 not in tearable(jar) and 1 in tearable(jar)
    assert tearable(product("corrugated_shipper"))[0] is CORRUGATE


@pytest.mark.parametrize("family", TEARS)
def test_strength_zero_is_the_identity(family: str):
    """The product itself comes back, and every measure is 0."""
    outcome = torn(family, 0.0)
    assert outcome.product is product(family)
    assert set(outcome.measures.values()) == {0.0}


def grown(family: str, seed: int) -> list[Outcome]:
    """One tear at three strengths; empty where a flap finds no room."""
    rngs = [np.random.default_rng(seed) for _ in range(3)]
    try:
        return [tear(Subject(product(family)), TearConfig(), s, r) for s, r in zip((0.1, 0.5, 1.0), rngs, strict=True)]
    except UnsolvedError:
        return []


@pytest.mark.parametrize("family", TEARS)
def test_length_rises_exactly_with_strength(family: str):
    """From the shortest to the longest that the place holds, log-uniform; the place is the same at every strength."""
    outcomes = next(found for seed in range(2, 9) if (found := grown(family, seed)))
    lengths = [o.measures["length_mm"] for o in outcomes]
    longest = outcomes[0].parameters["longest_mm"]
    assert 5 < lengths[0] < lengths[1] < lengths[2] == pytest.approx(longest, rel=1e-9) and longest <= 150.0001
    assert lengths[1] == pytest.approx(np.sqrt(5 * longest), rel=1e-9)
    flaps = [o.measures["flap_area_mm2"] for o in outcomes]
    assert flaps == sorted(flaps)
    for other in outcomes[1:]:
        np.testing.assert_array_equal(other.site, outcomes[0].site)


@pytest.mark.parametrize("family", TEARS)
@pytest.mark.parametrize("seed", range(1))
def test_walls_stay_closed(family: str, seed: int):
    """Every finished part is watertight and finite; the Euler number is the one that thickened rims predict."""
    outcome = torn(family, 0.7, seed)
    for sheet in outcome.product.sheets:
        part, _ = finish_sheet(sheet)
        assert len(boundary_half_edges(part.faces)[0]) == 0 and np.isfinite(part.vertices).all()
        kept = sheet.faces[~sheet.removed]
        rim, _ = boundary_half_edges(kept)
        surplus = len(rim) - len(np.unique(rim))
        assert euler(part.faces) == 2 * euler(kept) + surplus
    before, after = sheet_of(outcome)
    if outcome.parameters["ply"]:
        assert euler(after.faces) == euler(before.faces), "the wall is whole"
    elif outcome.parameters["from"] != "rim":
        assert euler(after.faces[~after.removed]) == euler(before.faces) - 1, "one more rim"
    assert face_areas(after.rest, after.faces).sum() == pytest.approx(
        face_areas(before.rest, before.faces).sum(), rel=1e-9
    )


def euler(faces: np.ndarray) -> int:
    return len(np.unique(faces)) - len(mesh_edges(faces)[0]) + len(faces)


@pytest.mark.parametrize("family", TEARS)
@pytest.mark.parametrize("seed", range(1))
def test_label_holds_all_that_moved_and_nothing_beyond_reach(family: str, seed: int):
    """Faces with a vertex that moved half a millimetre bear the label; further than the tear reaches nothing does."""
    outcome = torn(family, 0.6, seed)
    site = outcome.site
    assert site is not None
    reach = outcome.measures["length_mm"] / 1000 + 0.02
    labelled = 0
    for sheet in outcome.product.sheets:
        far = np.linalg.norm(sheet.rest - site, axis=1) > reach
        np.testing.assert_array_equal(sheet.vertices[far], sheet.rest[far])
        assert not sheet.marks[far].any() and not far[sheet.faces[sheet.removed]].any()
        part, _ = finish_sheet(sheet)
        for _ in range(sheet.levels):
            sheet = subdivide_sheet(sheet)
        kept = sheet.faces[~sheet.removed]
        bits = part.damage[part.surface == SURFACES.index("outer")]
        assert not (bits & ~np.uint8(1 << PENETRATION)).any()
        moved = 1000 * np.linalg.norm(sheet.vertices - sheet.rest, axis=1)[kept].max(axis=1)
        assert (moved[bits == 0] < TearConfig().threshold_mm).all()
        labelled += int(bits.any())
    assert labelled


@pytest.mark.parametrize("family", ["folding_carton", "standup_pouch", "sleeve_set"])
def test_the_cut_rim_is_labelled(family: str):
    """Every face of the new rim bears the label."""
    outcome = torn(family, 0.7, 1)
    before, after = sheet_of(outcome)
    part, _ = finish_sheet(after)
    edge = part.surface == SURFACES.index("edge")
    twin, _ = finish_sheet(before)
    new = int(edge.sum() - (twin.surface == SURFACES.index("edge")).sum())
    assert new > 40
    assert (part.damage[edge] > 0).sum() >= 0.97 * new


@pytest.mark.parametrize("family", TEARS)
def test_sheets_bend_but_do_not_stretch(family: str):
    """Off the lips, 98 % of the sides keep their lengths to 2 %; the flap keeps its area."""
    outcome = torn(family, 0.8, 3)
    for sheet in outcome.product.sheets:
        edges, _ = mesh_edges(sheet.faces[~sheet.removed])
        lips = sheet.rest[np.unique(boundary_half_edges(sheet.faces[~sheet.removed])[0])]
        away = KDTree(lips).query(sheet.rest)[0] if len(lips) else np.ones(len(sheet.rest))
        edges = edges[(away[edges] > 0.003).all(axis=1)]
        now, then = (np.linalg.norm(p[edges[:, 0]] - p[edges[:, 1]], axis=1) for p in (sheet.vertices, sheet.rest))
        low, high = np.quantile(now / then - 1, [0.01, 0.99])
        most = 0.05 if outcome.parameters["ply"] else 0.02  # a ply folds more sharply than its triangles
        assert -most < low <= 0 <= high < most
        moved = (np.linalg.norm(sheet.vertices - sheet.rest, axis=1) > 0.002)[sheet.faces].all(axis=1) & ~sheet.removed
        if moved.any() and "ply" not in sheet.name and not outcome.parameters["ply"]:
            areas = [face_areas(p, sheet.faces[moved]).sum() for p in (sheet.rest, sheet.vertices)]
            assert areas[1] == pytest.approx(areas[0], rel=0.05)


# What is open, what is seen


def lost(family: str, seed: int, **config: object) -> Outcome:
    given = TearConfig(lost_share=1.0, edge_share=0.0, **config)  # type: ignore[arg-type]
    return tear(Subject(product(family)), given, 0.8, np.random.default_rng(seed))


@pytest.mark.parametrize("family", ["folding_carton", "pillow_bag", "glass_jar"])
@pytest.mark.parametrize("seed", [0, 5])
def test_open_area_of_a_lost_flap_is_its_area(family: str, seed: int):
    """Where the flap is gone, rays find as much open as was removed, and the amodal part covers it."""
    outcome = lost(family, seed)
    _, after = sheet_of(outcome)
    if "slit" in outcome.parameters["shape"]:
        assert not after.removed.any()
        return
    removed = 1e6 * face_areas(after.rest, after.faces)[after.removed].sum()
    assert outcome.measures["flap_area_mm2"] == pytest.approx(removed, rel=1e-9)
    assert outcome.measures["area_mm2"] == pytest.approx(removed, rel=0.06 if family != "pillow_bag" else 0.12)
    _, gone = finish_sheet(after)
    assert gone is not None and (gone.damage == 1 << PENETRATION).all()


def test_opening_area_on_a_plane():
    """A square window in a flat patch has its area; a shut one has none; a lid that stands up does not shut it."""
    sheet = patch(48)
    middle = sheet.rest[sheet.faces].mean(axis=1)
    window = (np.abs(middle[:, [0, 2]]) < 0.02).all(axis=1)
    x, z = np.meshgrid(*[(np.arange(100) + 0.5) / 100 * 0.06 - 0.03] * 2)
    points = np.stack([x.ravel(), 0 * x.ravel(), z.ravel()], axis=1)
    normals, areas = np.tile([0.0, -1.0, 0.0], (len(points), 1)), np.full(len(points), 0.0006**2)

    def area(faces: np.ndarray, vertices: np.ndarray) -> float:
        return opening_area_mm2(points, normals, areas, vertices, faces, reach_m=0.002)

    assert area(sheet.faces[~window], sheet.rest) == pytest.approx(1600, rel=0.03)
    assert area(sheet.faces, sheet.rest) == 0
    lifted = sheet.rest.copy()
    lifted[(np.abs(lifted[:, [0, 2]]) < 0.0199).all(axis=1), 1] -= 0.01
    assert area(sheet.faces, lifted) > 0.7 * 1600


@pytest.mark.parametrize("seed", range(3))
def test_flaps_stand_out_and_leave_an_amodal_opening(seed: int):
    """A flap of a carton lifts by millimetres, mostly outwards, above the tray; its old place is labelled as gone."""
    subject = Subject(product("folding_carton"))
    config = TearConfig(lost_share=0, inward_share=0, lift_share=(0.5, 1.0))
    outcome = tear(subject, config, 0.9, np.random.default_rng(seed))
    _, after = sheet_of(outcome)
    assert after.vertices[:, 2].min() > after.rest[:, 2].min() - 5e-4
    moved = np.linalg.norm(after.vertices - after.rest, axis=1)
    at_bottom = outcome.parameters["site_z_mm"] < 20  # there the tray is in the way
    if "slit" in outcome.parameters["shape"] or moved.max() < 0.004 or at_bottom:
        return
    way = after.vertices - after.rest
    out = np.einsum("vc,vc->v", way, vertex_normals(after.rest, after.faces))
    assert out[moved > 0.003].mean() > 0.001
    (opening,) = outcome.product.gone
    assert (opening.damage == 1 << PENETRATION).all() and "opening" in opening.name
    area = 1e6 * face_areas(opening.vertices, opening.faces).sum()
    assert 0.3 * outcome.measures["flap_area_mm2"] < area <= 1.02 * outcome.measures["flap_area_mm2"]
    assert outcome.measures["area_mm2"] < 1.15 * outcome.measures["flap_area_mm2"] + 30


@pytest.mark.parametrize("family", ["folding_carton", "corrugated_shipper", "glass_jar"])
def test_board_and_paper_show_fibres_beside_the_cut(family: str):
    """Faces with the fibre material lie within the rim's width of the cut, and there are some."""
    outcome = torn(family, 0.8, 2)
    before, after = sheet_of(outcome)
    names = [m.name for m in after.materials]
    fibre = np.flatnonzero(after.material == names.index("fibre"))
    assert names[-2:] == [m.name for m in before.materials[-2:]] and len(fibre)
    rim, _ = boundary_half_edges(after.faces)
    lips = after.rest[np.unique(rim)]
    if not outcome.parameters["ply"]:
        middle = after.rest[after.faces[fibre]].mean(axis=1)
        nearest = np.linalg.norm(middle[:, None] - lips[None], axis=2).min(axis=1)
        assert nearest.max() < 0.0052
    assert after.uv.min() >= 0 and after.uv.max() <= 1


def test_film_shows_a_whitened_lip():
    """The lip's material is that of the film, lighter."""
    outcome = torn("poly_mailer", 0.8, 1)
    before, after = sheet_of(outcome)
    lip = next(k for k, m in enumerate(after.materials) if m.name.endswith("_lip"))
    plain = before.materials[0].base_color_texture
    light = after.materials[lip].base_color_texture
    assert plain is not None and light is not None
    assert (after.material == lip).any() and light.mean() > plain.mean() and (light >= plain).all()


def test_a_torn_ply_bares_the_flutes_and_opens_nothing():
    """Of corrugate the outer liner lifts as a sheet of its own; the wall beneath stays whole and shows flutes."""
    config = TearConfig(lost_share=0.0, edge_share=0.0)
    tries = (tear(Subject(product("corrugated_shipper")), config, 0.8, np.random.default_rng(s)) for s in range(30))
    outcome = next(done for done in tries if done.parameters["ply"])
    ply = outcome.product.sheets[-1]
    _, after = sheet_of(outcome)
    assert ply.name == "corrugate torn ply" and ply.thickness_mm < 1 < after.thickness_mm
    assert outcome.measures["area_mm2"] == 0 < outcome.measures["flap_area_mm2"]
    assert "flutes" in {m.name for m in after.materials} and not outcome.product.gone
    assert np.linalg.norm(ply.vertices - ply.rest, axis=1).max() > 0.002
    assert 1e6 * face_areas(ply.rest, ply.faces).sum() == pytest.approx(outcome.measures["flap_area_mm2"], rel=1e-9)


def test_tears_follow_what_happened_before():
    """With a place struck before, most tears start within some centimetres of it."""
    made = product("folding_carton")
    near = made.sheets[0].rest[np.argmax(made.sheets[0].rest @ np.array([1.0, 1.0, 1.0]))]
    found = []
    for seed in range(8):
        outcome = tear(Subject(made, near=near), TearConfig(), 0.0, np.random.default_rng(seed))
        assert outcome.site is not None
        found.append(np.linalg.norm(outcome.site - near))
    assert np.median(found) < 0.04


def test_most_tears_start_at_edges():
    """Of a carton's tears about as many start at folds as asked for; none tears what film covers."""
    kinds = [
        tear(Subject(product("folding_carton")), TearConfig(), 0.0, np.random.default_rng(s)).parameters["from"]
        for s in range(20)
    ]
    assert 0.6 < kinds.count("edge") / len(kinds) < 0.95


# Bad input


def test_nothing_left_to_tear_is_an_error():
    """A product whose walls are all gone says so."""
    made = product("folding_carton")
    bare = replace(made, sheets=tuple(replace(s, removed=np.ones(len(s.faces), bool)) for s in made.sheets))
    with pytest.raises(DamagelandError, match="nothing of its walls is left to tear"):
        tear(Subject(bare), TearConfig(), 0.5, np.random.default_rng(0))


def test_impossible_ranges_are_refused():
    """A falling or negative range of lengths is an error that names the field."""
    for length in ((50.0, 5.0), (0.0, 20.0), (5.0, 900.0)):
        with pytest.raises(ValueError, match="length_mm"):
            TearConfig(length_mm=length)
    with pytest.raises(ValueError, match="lift_share"):
        TearConfig(lift_share=(0.9, 0.2))


def test_flaps_keep_to_the_room_they_have():
    """Inside a shell some millimetres larger, flaps that lift far in the open stay within it, or are not kept."""
    made = product("folding_carton")
    rest, config = made.sheets[0].rest, TearConfig(lost_share=0, inward_share=0, edge_share=0)
    middle, size = rest.mean(axis=0), np.ptp(rest, axis=0)
    shell = bare_part(middle + (rest - middle) * (1 + 0.008 / size), made.sheets[0].faces)
    for seed in range(3):
        try:
            tight = tear(Subject(made, around=(shell,)), config, 0.9, np.random.default_rng(seed)).product.sheets[0]
        except UnsolvedError:
            continue
        out = np.abs(tight.vertices - middle) - size / 2
        assert out.max() < 0.0044
