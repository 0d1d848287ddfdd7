"""How packaging materials tear: how ragged, with what rim, how a flap folds and curls.

Numbers are set by eye against torn board, paper and film on the desk; ranges are (low, high), drawn per tear.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import KDTree

from ...sim.scene import Material
from ..mesh import Sheet
from ..products.product import Product

Range = tuple[float, float]
FOIL_MM = 0.06
"""Aluminium up to this thickness tears; thicker foil is formed, and dents instead."""


@dataclass(frozen=True)
class Tearing:
    """A material's way to tear."""

    rough_mm: Range
    """Height of the ragged line's largest waves."""
    rim: Literal["fibre", "lip", "none"]
    """Board and paper show fibres where the printed layer came off; film a stretched, whitened lip."""
    rim_mm: Range
    fold_mm: Range
    """Over how much of a flap its fold at the hinge spreads."""
    lift_deg: Range
    curl_per_m: Range
    """Of a flap beyond its fold; positive rolls on outwards."""
    wave_mm: Range
    """Height of the waves along both lips."""
    target_mm: float
    """Side of the triangles along the line."""
    grain: bool = False
    """Tears along flutes or grain, or straight across."""
    ply: Range = (0.0, 0.0)
    """Share of tears that only take the outer ply, which shows what is beneath; and the ply's thickness [mm]."""
    fibre: tuple[float, float, float] = (0.86, 0.85, 0.81)
    """Linear RGB of the fibres."""
    tolerance: float = 1e-4
    """Stretch of a triangle up to which the sheet counts as laid flat; film that was filled is creased all over."""


BOARD = Tearing((0.9, 1.7), "fibre", (0.7, 3.2), (1.5, 4.0), (22, 118), (-4, 13), (0.1, 0.4), 1.0, grain=True)
KRAFT = (0.47, 0.33, 0.19)
CORRUGATE = Tearing(
    (1.0, 2.0), "fibre", (1.2, 4.0), (8.0, 13.0), (20, 80), (-1, 4), (0.1, 0.5), 1.5, True, (0.55, 0.3), KRAFT
)
COVER = Tearing((0.7, 1.4), "fibre", (0.8, 2.5), (2.0, 5.0), (25, 130), (4, 30), (0.1, 0.3), 1.1, ply=(1.0, 0.2))
PAPER = Tearing((0.4, 0.9), "fibre", (0.3, 1.3), (1.5, 5.0), (25, 135), (8, 55), (0.1, 0.4), 0.9)
FILM = Tearing((0.3, 0.7), "lip", (0.3, 0.9), (3.0, 8.0), (30, 130), (6, 60), (0.3, 0.9), 1.0, tolerance=0.08)
SOFT_FILM = Tearing((0.4, 0.8), "lip", (0.6, 1.6), (4.0, 10.0), (30, 125), (-8, 45), (0.6, 1.6), 1.1, tolerance=0.08)
PADDED = Tearing(
    (0.6, 1.2), "fibre", (0.5, 2.2), (3.0, 7.0), (25, 105), (0, 18), (0.3, 0.8), 1.2, tolerance=0.08
)  # fmt: skip
FOIL = Tearing((0.3, 0.6), "none", (0.2, 0.4), (1.0, 3.0), (30, 140), (15, 110), (0.1, 0.4), 0.7)

TEARING: dict[str, Tearing] = {
    "coated_board": BOARD,
    "card": BOARD,
    "uncoated_board": Tearing(**{**BOARD.__dict__, "fibre": (0.52, 0.44, 0.34)}),
    "corrugate": CORRUGATE,
    "white_corrugate": CORRUGATE,
    "board_cover": COVER,
    "paper": PAPER,
    "matt_film": FILM,
    "gloss_film": FILM,
    "metallised_film": FILM,
    "clear_film": FILM,
    "mailer_film": SOFT_FILM,
    "bubble_film": SOFT_FILM,
}
"""By stock. What is not here does not tear: tinplate, cans, glass, ceramics, rigid PET and HDPE, tubes."""


def _stock_name(material: Material) -> str:
    return material.name.removesuffix("_inside").removesuffix("_back")


def _lightened(material: Material) -> tuple[float, float, float]:
    """Fibres of paper that is coloured through, or white."""
    texture = material.base_color_texture
    mean = np.full(3, 0.6) if texture is None else (np.median(texture.reshape(-1, 3)[::7], axis=0) / 255) ** 2.2
    r, g, b = (0.75 * mean + 0.25 * np.array([0.85, 0.83, 0.78])).tolist()
    return r, g, b


def tearing_of(product: Product, sheet: Sheet) -> Tearing | None:
    """How a sheet tears; None if it does not."""
    name = _stock_name(sheet.materials[-2])
    if name == "aluminium" and sheet.thickness_mm <= FOIL_MM:
        return FOIL
    if name == "bubble_film" and product.item_material == "paper":
        return replace(PADDED, fibre=_lightened(sheet.materials[0]))
    if product.brittle and name not in ("paper", "coated_board", "clear_film"):
        return None  # a jar's label tears, the jar does not
    return TEARING.get(name)


def is_covered(product: Product, index: int) -> bool:
    """Whether film goes round a sheet: then the film tears, not what it holds."""
    sheet = product.sheets[index]
    low, high = sheet.rest.min(axis=0), sheet.rest.max(axis=0)
    for other in product.sheets[:index] + product.sheets[index + 1 :]:
        clear = _stock_name(other.materials[-2]) == "clear_film"
        if clear and (other.rest.min(axis=0) < low).all() and (other.rest.max(axis=0) > high).all():
            return True
    return False


def tearable(product: Product) -> dict[int, Tearing]:
    """The product's sheets that tear, by position."""
    found = {k: tearing_of(product, sheet) for k, sheet in enumerate(product.sheets) if not is_covered(product, k)}
    return {k: how for k, how in found.items() if how is not None}


def layered(sheet: Sheet, normals: Float[np.ndarray, "v 3"], gap_m: float) -> Bool[np.ndarray, " v"]:
    """Vertices of a seal: another layer of the same sheet lies right behind."""
    distance, near = KDTree(sheet.rest).query(sheet.rest, k=6)
    opposite = np.einsum("vc,vkc->vk", normals, normals[near]) < -0.4
    return (opposite & (distance < gap_m)).any(axis=1)
