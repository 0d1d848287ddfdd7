"""Cutting meshes: lines, refinement, opened edges, patches; area, uv and closure are kept."""

from dataclasses import replace

import families
import numpy as np
import pytest
from damageland.generators.cut import (
    cut_along,
    put_back,
    refine_edges,
    refine_faces,
    take_patch,
    trace_unzip,
    unzip_edges,
)
from damageland.generators.mesh import (
    Sheet,
    boundary_half_edges,
    enclosed_volume,
    face_areas,
    finish_sheet,
    mesh_edges,
    settle_sheet,
)
from damageland.sim.scene import KINDS


def edge_counts(faces: np.ndarray) -> np.ndarray:
    """How many faces each undirected edge has."""
    edges, face_edge = mesh_edges(faces)
    return np.bincount(face_edge.ravel(), minlength=len(edges))


def euler(faces: np.ndarray) -> int:
    return len(np.unique(faces)) - len(mesh_edges(faces)[0]) + len(faces)


def board(cells: int = 24, side: float = 0.12) -> Sheet:
    """A flat square sheet of card in the plane z = 0, with uv equal to position over side."""
    grid = np.linspace(0, 1, cells + 1)
    u, v = (a.ravel() for a in np.meshgrid(grid, grid, indexing="ij"))
    index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = (q.ravel() for q in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    vertices = np.stack([u * side, v * side, 0 * u], 1)
    template = families.product("folding_carton").sheets[0]
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


def check_uv(sheet: Sheet, side: float = 0.12) -> None:
    """On the board, uv must still be position over side at every corner."""
    np.testing.assert_allclose(sheet.uv, sheet.rest[sheet.faces][..., :2] / side, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_refined_faces_leave_no_hanging_vertex(seed: int, share: float):
    """A closed mesh stays closed and keeps area, volume and Euler number; chosen faces become four."""
    sheet = families.product("folding_carton").sheets[0]
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
    normal, sheet = rng.normal(size=3), families.product("folding_carton").sheets[0]
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
    sheet = families.product("folding_carton").sheets[0]
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


@pytest.mark.parametrize("family", ["folding_carton", "tin"])
def test_patch_goes_back_where_it_came_from(family: str):
    """A patch that is refined inside goes back without a gap; one that is not worked on gives the same surface."""
    sheet = families.product(family).sheets[0]
    near = np.linalg.norm(sheet.rest - sheet.rest[100], axis=1) < 0.02
    patch = take_patch(sheet, near[sheet.faces].any(axis=1))
    same = put_back(patch, patch.sheet, np.arange(len(patch.used)))
    assert len(same.vertices) == len(sheet.vertices)

    def corners(s: Sheet) -> np.ndarray:
        return np.sort(s.rest[s.faces].reshape(-1, 9), axis=0)

    np.testing.assert_array_equal(corners(same), corners(sheet))
    edges, _ = mesh_edges(patch.sheet.faces)
    rim = np.zeros(len(patch.used), bool)
    rim[boundary_half_edges(patch.sheet.faces)[0].ravel()] = True
    fine = refine_edges(patch.sheet, np.logical_not(rim[edges].any(axis=1)))
    source = np.concatenate([np.arange(len(patch.used)), np.full(len(fine.rest) - len(patch.used), -1)])
    whole = put_back(patch, fine, source)
    assert len(whole.faces) > len(sheet.faces)
    assert set(edge_counts(whole.faces)) == {2} and euler(whole.faces) == 2
    assert face_areas(whole.rest, whole.faces).sum() == pytest.approx(
        face_areas(sheet.rest, sheet.faces).sum(), rel=1e-9
    )


def test_traced_unzip_knows_where_vertices_came_from():
    """Every vertex of the parted sheet lies where the vertex lay that it is traced to."""
    sheet = board(8)
    edges, _ = mesh_edges(sheet.faces)
    ends = np.abs(sheet.rest[edges][..., 1] - 0.06) < 1e-9
    opened, source = trace_unzip(sheet, ends[:, 0] & ends[:, 1])
    assert len(opened.rest) > len(sheet.rest)
    np.testing.assert_array_equal(opened.rest, sheet.rest[source])


def test_rounded_refinement_follows_a_cylinder_and_keeps_flats_flat():
    """On a round wall halved edges come nearer to the true radius than chords do; a flat board stays flat."""
    flat = board(12)
    u, v = flat.rest[:, 0] / 0.12, flat.rest[:, 1]
    bent = np.stack([0.04 * np.sin(1.2 * u), v, 0.04 * np.cos(1.2 * u)], axis=1)
    round_ = replace(flat, rest=bent, vertices=bent.copy())

    def error(s: Sheet) -> float:
        inner = np.abs(s.rest[len(bent) :][:, 1] - 0.06) < 0.04
        off = np.abs(np.linalg.norm(s.rest[len(bent) :][:, [0, 2]], axis=1) - 0.04)
        away = s.rest[len(bent) :]
        turn = np.arctan2(away[:, 0], away[:, 2])
        return float(off[inner & (turn > 0.2) & (turn < 1.0)].max())

    edges, _ = mesh_edges(flat.faces)
    every = np.ones(len(edges), bool)
    assert error(refine_edges(round_, every, rounded=True)) < 0.2 * error(refine_edges(round_, every))
    assert np.abs(refine_edges(flat, every, rounded=True).rest[:, 2]).max() < 1e-12


def test_settled_sheet_is_finished_alike():
    """Subdividing and embossing for good changes nothing in what is drawn."""
    for family in ("folding_carton", "tin"):
        sheet = families.product(family).sheets[0]
        settled = settle_sheet(sheet)
        assert settled.levels == 0 and settled.relief is None
        assert families.fingerprint(finish_sheet(settled)[0]) == families.fingerprint(finish_sheet(sheet)[0])
