"""Cut a sheet where it tears, and show the rim: fibres on board and paper, a whitened lip on film."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from ...sim.scene import KINDS
from ..mesh import Sheet
from .draws import Draws
from .line import Outline, nearest_on_line
from .look import dress, fibre_material, whiten_lips
from .site import Site
from .slit import TearMesh, cut_level, cut_outline, lay, open_line, refine_near, signed_distance
from .stock import Tearing

PENETRATION = KINDS.index("penetration")
SNAP = 0.06
"""Vertices closer to a cut than this share of the triangles' sides count as on it."""


def cut_tear(before: Sheet, site: Site, outline: Outline, tearing: Tearing, draws: Draws, *, slit: bool) -> TearMesh:
    """Refine, cut along the line, along the hinge and along the border of the fibres, and open the line."""
    small = float(np.clip(outline.length_m / 10, 0.0003, 0.001 * tearing.target_mm))
    laid = lay(before, site.unfolding.plane, 2 * tearing.tolerance + 1e-6)
    inner = small if slit else 2.2 * small + 0.001
    laid = refine_near(laid, outline, at_line=small, at_hinge=min(2 * small, 0.4 * draws.fold_m + small), within=inner)
    laid = cut_outline(laid, outline, snap=SNAP * small, hinge=not slit)
    if tearing.rim != "none":
        distance = signed_distance(laid, outline, 0.006)
        near, where = nearest_on_line(np.nan_to_num(laid.plane, nan=1e3), outline.torn)
        distance = np.where(near > np.abs(distance) + 1e-6, np.nan, distance)  # nearer to the hinge
        width = _rim_width(where, outline, tearing, draws)
        value = np.abs(distance - width / 2) - np.abs(width) / 2 if tearing.rim == "fibre" else np.abs(distance) - width
        laid, _ = cut_level(laid, value, snap=SNAP * small)
    return open_line(laid, outline, through=slit or not draws.ply)


def _rim_width(where: Float[np.ndarray, " n"], outline: Outline, tearing: Tearing, draws: Draws):
    """Width of the rim [m] at places along the line; fibres on the flap's side where it is negative."""
    knots = np.arange(len(draws.rim_noise))
    noise = np.interp(where / 0.006, knots, draws.rim_noise) + 0.5 * np.interp(
        where / 0.0015, knots, draws.rim_noise[::-1]
    )
    end = np.clip(np.minimum(where, outline.length_m - where) / (0.12 * outline.length_m), 0.02, 1)
    most = min(draws.rim_m, 0.12 * outline.length_m)
    if tearing.rim == "lip":
        return most * end * np.clip(0.7 + 0.3 * noise, 0.2, 1.4)
    return most * end * np.clip(0.45 + 0.6 * noise, -0.9, 1.2)


def show_rim(mesh: TearMesh, site: Site, outline: Outline, tearing: Tearing, draws: Draws) -> TearMesh:
    """Fibres or whitened lips, as faces of a material of their own; everything on the line is labelled."""
    sheet, plane = mesh.laid.sheet, mesh.laid.plane
    marks = sheet.marks.copy()
    marks[mesh.torn, PENETRATION] = np.maximum(marks[mesh.torn, PENETRATION], 4.0)
    if tearing.rim != "none":
        middle = np.nan_to_num(plane[sheet.faces].mean(axis=1), nan=1e3)
        distance, where = nearest_on_line(middle, outline.torn)
        distance = np.where(mesh.laid.exact, distance, 1e3)
        width = _rim_width(where, outline, tearing, draws)
        width = np.where(mesh.inside, -width, width) if tearing.rim == "fibre" else width
        chosen = (distance < width) & (where > 0) & (where < outline.length_m)
        low, extent = square_round(outline)
        if tearing.rim == "fibre":
            fibre = fibre_material(tearing, extent, np.random.default_rng(draws.look))
            sheet = dress(sheet, chosen, fibre, plane, low, extent)
        else:
            sheet = whiten_lips(sheet, chosen)
        rim = np.unique(sheet.faces[chosen])
        marks[rim, PENETRATION] = np.maximum(marks[rim, PENETRATION], 1.0)
    return replace(mesh, laid=replace(mesh.laid, sheet=replace(sheet, marks=marks)))


def square_round(outline: Outline) -> tuple[Float[np.ndarray, "2"], float]:
    """Lower corner and side of a square round the tear."""
    points = np.concatenate([outline.torn, outline.hinge])
    low, high = points.min(axis=0) - 0.005, points.max(axis=0) + 0.005
    return low, float((high - low).max())
