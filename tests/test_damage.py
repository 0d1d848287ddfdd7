"""Damages: nothing at strength 0, the same again from the same seed, isometric, watertight, labelled where they are."""

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from damageland.generators.cut import cut_along, refine_faces, unzip_edges
from damageland.generators.damage.crush import CrushConfig, _put_back
from damageland.generators.damage.hole import HoleConfig, _cut_core, _pierce, _Spot, open_area_mm2
from damageland.generators.damage.outcome import Limits, Outcome, SeverityRules, judge_severity, moved_mm
from damageland.generators.damage.subject import Subject
from damageland.generators.damage.table import DAMAGES
from damageland.generators.design import Design
from damageland.generators.mesh import (
    Sheet,
    boundary_half_edges,
    enclosed_volume,
    face_areas,
    finish_sheet,
    mesh_edges,
    subdivide_sheet,
)
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.product import Product
from damageland.sim.scene import KINDS, SURFACES, Part
from families import fingerprint

BENT = ("folding_carton", "tin")
"""One of board and one of metal; tests/test_products.py tries every family."""
COMBINATIONS = [(family, generator) for family in BENT for generator in DAMAGES]
OUTER = SURFACES.index("outer")


@cache
def product(family: str) -> Product:
    config, build = FAMILIES[family]
    return build(f"test-{family}-00000", config(), Design(3, 0, family))


@cache
def outcome(family: str, generator: str, strength: float, seed: int = 0) -> Outcome:
    kind = DAMAGES[generator]
    return kind.apply(Subject(product(family)), kind.config(), strength, np.random.default_rng(seed))


@cache
def finished(family: str, generator: str, strength: float, seed: int = 0) -> tuple[Part, Part | None]:
    return finish_sheet(outcome(family, generator, strength, seed).product.sheets[0])


@cache
def pristine(family: str) -> Part:
    return finish_sheet(product(family).sheets[0])[0]


def all_fingerprints() -> str:
    """Afresh, not from the cache: what a second process must repeat."""
    lines = []
    for family, generator in COMBINATIONS:
        kind = DAMAGES[generator]
        done = kind.apply(Subject(product(family)), kind.config(), 0.6, np.random.default_rng(0))
        lines.append(f"{family} {generator} {fingerprint(*finish_sheet(done.product.sheets[0]))}")
    return "\n".join(lines)


def edge_counts(faces: np.ndarray) -> np.ndarray:
    """How many faces each undirected edge has."""
    edges, face_edge = mesh_edges(faces)
    return np.bincount(face_edge.ravel(), minlength=len(edges))


def euler(faces: np.ndarray) -> int:
    return len(np.unique(faces)) - len(mesh_edges(faces)[0]) + len(faces)


def strains(sheet: Sheet) -> np.ndarray:
    edges, _ = mesh_edges(sheet.faces[~sheet.removed])
    after, before = (np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1) for v in (sheet.vertices, sheet.rest))
    return after / before - 1


@pytest.mark.parametrize(("family", "generator"), COMBINATIONS)
def test_strength_zero_is_the_identity(family: str, generator: str):
    """Geometry, uv, normals, slots and labels are those of the pristine item to the byte, and nothing is gone."""
    done = outcome(family, generator, 0.0)
    part, gone = finished(family, generator, 0.0)
    assert fingerprint(part) == fingerprint(pristine(family))
    assert gone is None and not part.damage.any()
    assert judge_severity(SeverityRules(), done) == "none"
    assert all(value == 0 for value in done.measures.values()), done.measures


def test_same_seed_same_bytes_in_another_process():
    """Finished parts hash alike twice in this process and once in a fresh one."""
    here = all_fingerprints()
    assert here == all_fingerprints()
    code = f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]; import test_damage as t; "
    code += "print(t.all_fingerprints())"
    there = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert here == there
    assert len({line.split()[2] for line in here.splitlines()}) == len(COMBINATIONS)


@pytest.mark.parametrize(("family", "generator"), COMBINATIONS)
def test_other_seed_other_damage(family: str, generator: str):
    """The generator draws its place and tool from the seed."""
    assert fingerprint(*finished(family, generator, 0.6, 0)) != fingerprint(*finished(family, generator, 0.6, 1))


@pytest.mark.parametrize(("family", "generator"), COMBINATIONS)
def test_label_holds_every_vertex_that_moved(family: str, generator: str):
    """All faces around a vertex that moved by the threshold bear the label; unlabelled ones moved less."""
    done, (part, _) = outcome(family, generator, 0.6), finished(family, generator, 0.6)
    sheet, kind = done.product.sheets[0], KINDS.index(done.kind)
    limit = HoleConfig().threshold_mm
    if generator == "crush":
        limit = CrushConfig().threshold_mm
        limit = max(limit, CrushConfig().threshold_share * 1000 * float(np.ptp(sheet.rest, axis=0).max()))
    for _ in range(sheet.levels):
        sheet = subdivide_sheet(sheet)
    kept = sheet.faces[~sheet.removed]
    labelled = (part.damage[part.surface == OUTER] >> kind) & 1 == 1
    assert len(labelled) == len(kept) and labelled.any() and not labelled.all()
    moved = moved_mm(sheet)[kept]
    assert moved[~labelled].max() < limit
    # Nothing is labelled that has no labelled cause: a corner that moved, or lies on a cut.
    cause = (moved >= 0.999 * limit).any(axis=1) | (sheet.marks[kept, kind] >= 1).any(axis=1)
    assert cause[labelled].all()
    assert not (part.damage & ~np.uint8(1 << kind)).any(), "no other kind is labelled"


@pytest.mark.parametrize("family", BENT)
@pytest.mark.parametrize("seed", range(3))
def test_hole_keeps_to_its_reach(family: str, seed: int):
    """Beyond three reaches plus three spacings nothing is moved, labelled or cut."""
    done = outcome(family, "hole", 0.6, seed)
    sheet, p = done.product.sheets[0], done.parameters
    site = np.array([p[f"site_{axis}_mm"] for axis in "xyz"]) / 1000
    reach = 3 * p["reach_mm"] / 1000 + 3 * sheet.mechanics.spacing_mm / 1000
    far = np.linalg.norm(sheet.rest - site, axis=1) > reach
    assert far.any()
    np.testing.assert_array_equal(sheet.vertices[far], sheet.rest[far])
    assert not sheet.marks[far].any()
    assert not far[sheet.faces[sheet.removed]].any()


@pytest.mark.parametrize("family", BENT)
@pytest.mark.parametrize("seed", range(3))
def test_crush_labels_the_dent_not_the_push(family: str, seed: int):
    """Most of a gently crushed item stays unlabelled and where it was, although the tool moves all of it."""
    done = outcome(family, "crush", 0.25, seed)
    sheet = done.product.sheets[0]
    area = 1e6 * float(face_areas(sheet.rest, sheet.faces).sum())
    assert done.measures["area_mm2"] < 0.35 * area
    assert np.median(moved_mm(sheet)) < 0.3


def test_rigid_motion_is_undone():
    """A known turn and shift of a dented sheet is found from what was not dented."""
    rest = product("folding_carton").sheets[0].rest
    rng = np.random.default_rng(0)
    dent = np.zeros_like(rest)
    hit = rest[:, 0] > np.quantile(rest[:, 0], 0.8)
    dent[hit, 0] = -0.015
    turn, _ = np.linalg.qr(np.eye(3) + 0.02 * rng.normal(size=(3, 3)))
    turn *= np.sign(np.diag(turn))
    back = _put_back((rest + dent) @ turn.T + np.array([0.002, -0.001, 0.003]), rest)
    assert np.linalg.norm(back - rest - dent, axis=1).max() < 5e-5
    np.testing.assert_allclose(_put_back(rest, rest), rest, atol=1e-12)


@pytest.mark.parametrize("family", BENT)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strength", [0.25, 0.6])
def test_crush_does_not_stretch(family: str, seed: int, strength: float):
    """Area is kept to 0.3 % and edges to 2 % between the 1st and the 99th percentile: sheets fold, not stretch."""
    sheet = outcome(family, "crush", strength, seed).product.sheets[0]
    ratio = face_areas(sheet.vertices, sheet.faces).sum() / face_areas(sheet.rest, sheet.faces).sum()
    assert abs(ratio - 1) < 0.003
    low, high = np.quantile(strains(sheet), [0.01, 0.99])
    assert -0.02 < low <= 0 <= high < 0.02


@pytest.mark.parametrize("family", BENT)
@pytest.mark.parametrize("seed", range(3))
def test_crush_leaves_the_wall_watertight(family: str, seed: int):
    """Outer and inner side are still two closed spheres with two faces per edge; the wall keeps its volume."""
    part, gone = finished(family, "crush", 0.6, seed)
    assert gone is None and len(boundary_half_edges(part.faces)[0]) == 0
    assert set(edge_counts(part.faces)) == {2} and euler(part.faces) == 4
    twin = pristine(family)
    np.testing.assert_array_equal(part.faces, twin.faces)
    wall, before = (enclosed_volume(p.vertices, p.faces) for p in (part, twin))
    assert wall == pytest.approx(before, rel=0.1)


@pytest.mark.parametrize("family", BENT)
@pytest.mark.parametrize("seed", range(4))
def test_hole_leaves_a_closed_wall_with_rims(family: str, seed: int):
    """No open edge after thickening, and the Euler number that the cuts predict."""
    sheet = outcome(family, "hole", 0.7, seed).product.sheets[0]
    part, gone = finished(family, "hole", 0.7, seed)
    assert gone is not None and len(boundary_half_edges(part.faces)[0]) == 0
    kept = sheet.faces[~sheet.removed]
    rim, _ = boundary_half_edges(kept)
    assert len(rim) > 8
    surplus = len(rim) - len(np.unique(rim))  # rims that touch in a vertex
    assert euler(part.faces) == 2 * euler(kept) + surplus
    edge = part.surface == SURFACES.index("edge")
    assert ((part.damage[edge] >> KINDS.index("penetration")) & 1).all(), "a torn edge is damage"


@pytest.mark.parametrize("seed", range(6))
def test_crush_takes_volume_from_a_tin(seed: int):
    """A clear push from outside never blows a tin up."""
    done = outcome("tin", "crush", 0.5, seed)
    if done.measures["depth_mm"] > 4:
        assert done.measures["volume_loss_ml"] > 0.2
    else:
        assert done.measures["volume_loss_ml"] > -0.2


@pytest.mark.parametrize("family", BENT)
@pytest.mark.parametrize("seed", range(2))
def test_harder_crush_does_more(family: str, seed: int):
    """For one seed, plastic flow, lost volume and depth grow with strength; contents that push back are left out."""
    empty, kind = replace(product(family), core=None, contents=()), DAMAGES["crush"]
    steps = [
        kind.apply(Subject(empty), kind.config(), strength, np.random.default_rng(seed)).measures
        for strength in (0.0, 0.15, 0.3, 0.5, 0.75, 1.0)
    ]
    for name, slack in (("flow_rad", 0.02), ("volume_loss_ml", 0.05), ("depth_mm", 0.1)):
        values = np.array([step[name] for step in steps])
        assert (np.diff(values) >= -slack * values.max()).all(), (name, values)
        assert values[-1] > 2 * abs(values[1]) > 0, (name, values)  # a weak push may bulge a thin carton a little


@pytest.mark.parametrize("family", BENT)
def test_harder_hole_is_larger(family: str):
    """For one seed the reach grows with strength, and the strongest hole is much larger than the weakest."""
    steps = [outcome(family, "hole", strength, 1) for strength in (0.05, 0.4, 1.0)]
    areas = [step.measures["area_mm2"] for step in steps]
    assert areas[0] < areas[1] < areas[2]
    assert [step.parameters["reach_mm"] for step in steps] == sorted(step.parameters["reach_mm"] for step in steps)


# Holes against what geometry says


def board(cells: int = 24, side: float = 0.12) -> Sheet:
    """A flat square sheet of card in the plane z = 0, with uv equal to position over side."""
    grid = np.linspace(0, 1, cells + 1)
    u, v = (a.ravel() for a in np.meshgrid(grid, grid, indexing="ij"))
    index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = (q.ravel() for q in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    vertices = np.stack([u * side, v * side, 0 * u], 1)
    template = product("folding_carton").sheets[0]
    return replace(
        template,
        vertices=vertices,
        rest=vertices.copy(),
        faces=faces,
        uv=np.stack([u, v], 1)[faces],
        material=np.zeros(len(faces), np.uint8),
        panel=np.zeros(len(faces), np.uint8),
        marks=np.zeros((len(vertices), len(KINDS))),
        removed=np.zeros(len(faces), bool),
        relief=None,
        levels=1,
    )


def spot(reach: float) -> _Spot:
    return _Spot(np.array([0.061, 0.058, 0.0]), np.array([0, 0, 1.0]), np.eye(3)[0], np.eye(3)[1], reach)


@pytest.mark.parametrize("core_mm", [4.0, 9.0])
def test_round_hole_has_the_area_of_its_disc(core_mm: float):
    """Removed area, gone part and open area seen by rays agree with π r² (an ellipse of that area)."""
    core = core_mm / 1000
    sheet = _cut_core(board(96), spot(2 * core), core, 0.0, np.random.default_rng(2))
    want = np.pi * core_mm**2
    removed = 1e6 * face_areas(sheet.rest, sheet.faces)[sheet.removed].sum()
    _, gone = finish_sheet(sheet)
    assert gone is not None
    assert removed == pytest.approx(want, rel=0.03)
    assert 1e6 * face_areas(gone.vertices, gone.faces).sum() == pytest.approx(removed, rel=1e-9)
    assert open_area_mm2(sheet, spot(2 * core)) == pytest.approx(removed, rel=0.05)
    assert ((gone.damage >> KINDS.index("penetration")) & 1).all()


@pytest.mark.parametrize("family", BENT)
@pytest.mark.parametrize("seed", range(3))
def test_gone_part_is_what_was_removed(family: str, seed: int):
    """The gone part has the faces and, but for the relief, the area that the sheet has lost, at its pristine place."""
    sheet = outcome(family, "hole", 0.7, seed).product.sheets[0]
    gone = finished(family, "hole", 0.7, seed)[1]
    assert gone is not None and len(gone.faces) == 4**sheet.levels * sheet.removed.sum()
    removed = face_areas(sheet.rest, sheet.faces)[sheet.removed].sum()
    assert face_areas(gone.vertices, gone.faces).sum() == pytest.approx(
        removed, rel=0.02 if family == "folding_carton" else 0.12
    )
    total = face_areas(sheet.rest, sheet.faces).sum()
    before = product(family).sheets[0]
    assert total == pytest.approx(face_areas(before.rest, before.faces).sum(), rel=1e-9)


def test_hole_is_as_large_on_a_finer_mesh():
    """The same tip through the same place of a coarse and of a fine sheet leaves the same opening within 12 %."""
    areas, cores = [], []
    for sheet in (board(28), subdivide_sheet(board(28))):
        done = _pierce(sheet, spot(0.012), 0.006, 4, 0.012, HoleConfig(), np.random.default_rng(5))
        areas.append(open_area_mm2(done, spot(0.012)))
        cores.append(1e6 * face_areas(done.rest, done.faces)[done.removed].sum())
    assert cores[1] == pytest.approx(cores[0], rel=0.03)
    assert areas[1] == pytest.approx(areas[0], rel=0.12)
    assert min(areas) >= min(cores)


# Severity


@pytest.mark.parametrize("family", BENT)
@pytest.mark.parametrize("kind", ["deformation", "penetration", "superficial"])
def test_severity_changes_at_its_limits(family: str, kind):
    """Just below a limit is milder than at it; primary packaging has stricter limits than outer."""
    rules = SeverityRules()
    limits = (rules.primary if family == "tin" else rules.outer)[kind][0]
    assert limits.major_from is not None

    def judge(value: float) -> str:
        return judge_severity(rules, Outcome(product(family), kind, "test", {}, {limits.measure: value}))

    assert judge(limits.major_from + 1e-9) == "major"
    assert judge(0.0) == "none"
    if limits.minor_from > 0:
        assert judge(np.nextafter(limits.minor_from, 0)) == "none" and judge(limits.minor_from) == "minor"
        assert judge(np.nextafter(limits.major_from, 0)) == "minor" and judge(limits.major_from) == "major"
    outer, primary = rules.outer[kind][0], rules.primary[kind][0]
    assert outer.major_from is not None and primary.major_from is not None
    assert primary.minor_from < outer.minor_from and primary.major_from < outer.major_from


def test_severity_rules_can_be_changed():
    """A recipe's own limits are the ones applied."""
    rules = SeverityRules(outer={"deformation": Limits(measure="volume_loss_ml", minor_from=7, major_from=8)})
    done = Outcome(product("folding_carton"), "deformation", "crush", {}, {"volume_loss_ml": 7.5, "depth_mm": 99.0})
    assert judge_severity(rules, done) == "minor"


# Cutting meshes


def check_uv(sheet: Sheet, side: float = 0.12) -> None:
    """On the board, uv must still be position over side at every corner."""
    np.testing.assert_allclose(sheet.uv, sheet.rest[sheet.faces][..., :2] / side, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_refined_faces_leave_no_hanging_vertex(seed: int, share: float):
    """A closed mesh stays closed and keeps area, volume and Euler number; chosen faces become four."""
    sheet = product("folding_carton").sheets[0]
    chosen = np.random.default_rng(seed).random(len(sheet.faces)) < share
    fine = refine_faces(sheet, chosen)
    assert set(edge_counts(fine.faces)) == {2} and euler(fine.faces) == 2
    areas = face_areas(fine.rest, fine.faces)
    assert areas.min() > 0
    assert areas.sum() == pytest.approx(face_areas(sheet.rest, sheet.faces).sum(), rel=1e-12)
    assert enclosed_volume(fine.rest, fine.faces) == pytest.approx(enclosed_volume(sheet.rest, sheet.faces), rel=1e-12)
    assert len(fine.faces) >= len(sheet.faces) + 3 * chosen.sum()
    check_uv(refine_faces(board(6), np.random.default_rng(seed).random(72) < share))


@pytest.mark.parametrize("seed", range(4))
def test_cut_puts_vertices_on_the_line(seed: int):
    """No face lies on both sides; area, uv and closure are kept; the line is where the function is 0."""
    rng = np.random.default_rng(seed)
    normal, sheet = rng.normal(size=3), product("folding_carton").sheets[0]
    normal /= np.linalg.norm(normal)
    done, side = cut_along(sheet, (sheet.rest - sheet.rest.mean(axis=0)) @ normal, snap=1e-5)
    corner = side[done.faces]
    assert not ((corner.min(axis=1) < 0) & (corner.max(axis=1) > 0)).any()
    on_line = np.flatnonzero(side == 0)
    assert len(on_line) > 10
    assert np.abs((done.rest[on_line] - sheet.rest.mean(axis=0)) @ normal).max() <= 1e-5
    assert set(edge_counts(done.faces)) == {2} and euler(done.faces) == 2
    areas = face_areas(done.rest, done.faces)
    assert areas.sum() == pytest.approx(face_areas(sheet.rest, sheet.faces).sum(), rel=1e-12)
    flat = board(9)
    check_uv(cut_along(flat, flat.rest @ normal - 0.02, snap=1e-4)[0])


def test_unzipped_slit_opens():
    """A straight slit of k inner edges gives its k - 1 inner vertices a second copy: one rim of 2 k edges."""
    sheet = board(8)
    edges, _ = mesh_edges(sheet.faces)
    middle = sheet.rest[edges].mean(axis=1)
    line = np.isclose(sheet.rest[edges][..., 1], 0.06).all(axis=1) & (abs(middle[:, 0] - 0.06) < 0.031)
    k = int(line.sum())
    opened = unzip_edges(sheet, line)
    assert k == 4 and len(opened.vertices) == len(sheet.vertices) + k - 1
    assert len(boundary_half_edges(opened.faces)[0]) == len(boundary_half_edges(sheet.faces)[0]) + 2 * k
    assert euler(opened.faces) == euler(sheet.faces) - 1
    np.testing.assert_array_equal(opened.rest[opened.faces], sheet.rest[sheet.faces])


def test_unzipping_nothing_and_everything():
    """No edge opened changes no face; all edges opened leaves single triangles; a closed loop cuts a piece out."""
    sheet = product("folding_carton").sheets[0]
    edges, _ = mesh_edges(sheet.faces)
    same = unzip_edges(sheet, np.zeros(len(edges), bool))
    np.testing.assert_array_equal(same.rest[same.faces], sheet.rest[sheet.faces])
    assert len(same.vertices) == len(sheet.vertices)
    assert len(unzip_edges(sheet, np.ones(len(edges), bool)).vertices) == 3 * len(sheet.faces)
    top = np.isclose(sheet.rest[:, 2], sheet.rest[:, 2].max())
    inside = top[sheet.faces].all(axis=1)
    rim = np.sort(boundary_half_edges(sheet.faces[inside])[0], axis=1)
    size = len(sheet.vertices)
    loop = np.isin(edges[:, 0] * size + edges[:, 1], rim[:, 0] * size + rim[:, 1])
    lid = unzip_edges(sheet, loop)
    assert not set(lid.faces[inside].ravel()) & set(lid.faces[~inside].ravel())
    assert euler(lid.faces[inside]) == 1 == euler(lid.faces[~inside])
