"""Torn borders of board: where the printed face has come off with its fibres."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from ...sim.scene import Material
from ..cut import cut_along
from ..mesh import Sheet
from .pattern import cutting_grain
from .pierce import FAR, INSIDE, ON_RIM, PENETRATION, Cutting, Place, chart_of

CLEAR_LIP_M = 0.0006
"""Least width of what clear film or plastic whitens beside a cut: it is stretched before it gives way."""


def add_material(sheet: Sheet, material: Material) -> tuple[Sheet, int]:
    """Give a sheet one more material for its outer side; the inner side's and the edge's stay the last two."""
    *outer, inside, edge = sheet.materials
    return replace(sheet, materials=(*outer, material, inside, edge)), len(outer)


def fibre_of(sheet: Sheet) -> Material:
    """What is bared where a board's printed face has come off: its edge's colour, paler for the loose fibres."""
    inside, edge = sheet.materials[-2:]
    fluted = edge.base_color_texture is not None  # kraft all through
    pale = 0.0 if fluted else 0.15
    r, g, b = ((1 - pale) * c + pale * 0.86 for c in (inside if fluted else edge).base_color)
    return Material("torn fibre", (r, g, b), 0.0, 0.97)


def border_of(sheet: Sheet) -> Material | None:
    """What a torn border looks like beside the cut: fibres of board, clouded clear plastic; None if as before."""
    stock = sheet.materials[-2].name
    if "board" in stock or "corrugate" in stock:
        return fibre_of(sheet)
    clear = [m for m in sheet.materials[:-2] if m.transmission > 0.5]
    if not clear:
        return None
    return replace(clear[0], name="stretched film", base_color=(0.95, 0.95, 0.95), base_color_texture=None,
                   roughness=0.4, transmission=0.12)  # fmt: skip


def paint_band(sheet: Sheet, value: Float[np.ndarray, " v"], material: Material, *, snap: float) -> Sheet:
    """Give faces where ``value`` is negative another material, exactly along its zero line, and label them."""
    sheet, side = cut_along(sheet, value, snap=snap)
    corner = side[sheet.faces]
    band = (corner.min(axis=1) < 0) & (corner.max(axis=1) <= 0)
    sheet, index = add_material(sheet, material)
    marks = sheet.marks.copy()
    marks[:, PENETRATION] = np.maximum(
        marks[:, PENETRATION], np.where(side < 0, INSIDE, np.where(side == 0, ON_RIM, 0))
    )
    return replace(sheet, material=np.where(band, index, sheet.material).astype(np.uint8), marks=marks)


def tear_fibres(sheet: Sheet, cutting: Cutting, place: Place) -> Sheet:
    """Bare the fibres of board, or cloud clear plastic, in a ragged band beside the cuts."""
    material = border_of(sheet)
    if cutting.pattern.fibre is None or material is None:
        return sheet
    width, phase = cutting.pattern.fibre
    flat = chart_of(sheet, place, 1.5 * cutting.reach * cutting.pattern.extent + 0.002)
    near = np.flatnonzero(flat[:, 0] != FAR)
    value = np.full(len(flat), FAR)
    p = flat[near] / cutting.reach
    rough = np.sin(9 * p[:, 0] + phase) * np.sin(11 * p[:, 1] + 2 * phase) + 0.7 * np.sin(
        31 * p[:, 0] - phase
    ) * np.sin(27 * p[:, 1] + 3 * phase)
    widths = np.clip(width * (1 + 0.65 * rough), 0.004, None) * cutting.reach
    if material.transmission > 0:  # a clear hole is only seen by its whitened lip
        widths = np.maximum(widths, CLEAR_LIP_M * (1 + 0.3 * rough))
    value[near] = cutting.torn(flat[near], blunt=1.5 * width * cutting.reach) - widths
    return paint_band(sheet, value, material, snap=0.2 * cutting_grain(sheet, cutting))
