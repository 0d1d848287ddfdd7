"""What a wall is made of, as far as it matters to how its surface is spoilt."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from ...sim.scene import Material
from ..mesh import Sheet

Stock = Literal["board", "kraft", "paper", "film", "metal", "tinplate", "plastic", "glaze"]
CLEAR = 0.5
"""Walls that let more light through show neither stain nor rub."""
_BY_NAME: dict[str, Stock] = {
    "coated_board": "board", "uncoated_board": "board", "white_corrugate": "board", "board_cover": "board",
    "corrugate": "kraft", "paper": "paper", "strip": "paper", "matt_film": "film", "gloss_film": "film",
    "metallised_film": "film", "mailer_film": "film", "clear_film": "film", "printed_film": "film",
    "clear_pet": "film", "aluminium": "metal", "aluminium_bare": "metal", "lid_print": "metal", "steel": "metal",
    "tinplate": "tinplate", "tinplate_end": "tinplate", "hdpe": "plastic", "laminate": "plastic", "glaze": "glaze",
    "bubble_film": "paper",
}  # fmt: skip


@dataclass(frozen=True)
class Stuff:
    """A surface and what lies under its print. Colours are sRGB, 0-255."""

    stock: Stock
    top: Float[np.ndarray, "3"]
    """What a light scratch shows: the board's white, the film's dull scar, bright metal."""
    deep: Float[np.ndarray, "3"]
    """What a deep one shows: grey or brown board."""
    metallic: float
    """Of what a scratch bares."""
    gloss: float
    """Roughness of what a scratch bares."""
    light: float = 0.5
    """How light the print is there, 0-1: dirt that is as dark as what it lies on cannot be seen."""

    @property
    def porous(self) -> bool:
        """Whether liquids soak in."""
        return self.stock in ("board", "kraft", "paper")


def find_stock(sheet: Sheet, k: int) -> Stock:
    """What material ``k`` of a sheet is, by its name, its sheet's stock and its metalness."""
    material, base = sheet.materials[k], sheet.materials[-2].name.removesuffix("_inside")
    if material.name == "label":
        return "paper" if base in ("paper", "tinplate") else "film"
    named = _BY_NAME.get(material.name) or _BY_NAME.get(base)
    if named is not None:
        return named
    return "metal" if material.metallic > 0.5 else "plastic"


def rusts(material: Material) -> bool:
    """Only steel does: of packaging, tinplate. Drink cans and foil are aluminium."""
    return material.name.startswith("tinplate")


def _srgb(linear: tuple[float, float, float]) -> Float[np.ndarray, "3"]:
    return 255 * np.clip(np.array(linear), 0, 1) ** (1 / 2.2)


def _colour(sheet: Sheet, k: int, near: Int[np.ndarray, " n"]) -> Float[np.ndarray, "3"]:
    """Mean sRGB colour of some faces of a material, 0-255."""
    material = sheet.materials[k]
    own = _srgb(material.base_color)
    picture, mine = material.base_color_texture, near[sheet.material[near] == k]
    if picture is None or len(mine) == 0:
        return own
    height, width = picture.shape[:2]
    u, v = sheet.uv[mine].mean(axis=1).T
    x, y = np.clip((u * width).astype(int), 0, width - 1), np.clip(((1 - v) * height).astype(int), 0, height - 1)
    return own * picture[y, x].mean(axis=0) / 255


def look_under(sheet: Sheet, k: int, near: Int[np.ndarray, " n"]) -> Stuff:
    """What lies under the print of a material, and how light the print is on the faces around."""
    stuff, colour = _under(sheet, k), _colour(sheet, k, near)
    light = float(colour.mean()) / 255
    if stuff.stock == "paper" and sheet.materials[-2].name.startswith("bubble_film"):
        # A padded mailer's paper is coloured through: rubbed, it only turns paler and hairy.
        stuff = replace(stuff, top=0.5 * colour + 0.5 * stuff.top, deep=0.75 * colour + 0.25 * stuff.top)
    if abs(float(stuff.top.mean()) / 255 - light) < 0.2 and stuff.metallic < 0.5:
        # What is seen is the dirt that scars hold: brown in kraft, and faint on white, or both would look mouldy.
        shade = np.array([0.78, 0.7, 0.6]) if stuff.stock == "kraft" else np.array([0.89, 0.87, 0.83])
        stuff = replace(stuff, top=shade * stuff.top, deep=0.9 * shade * stuff.deep)
    if light > 0.62 and stuff.metallic > 0.9:  # bare metal: a scratch scatters what the sheet reflects
        stuff = replace(stuff, top=0.72 * stuff.top, deep=0.5 * stuff.deep, gloss=0.55)
    return replace(stuff, light=light)


def _under(sheet: Sheet, k: int) -> Stuff:
    stock, inside = find_stock(sheet, k), sheet.materials[-2]
    if stock in ("board", "paper"):
        white = np.array([236.0, 233.0, 226.0])
        return Stuff(stock, white, 0.45 * white + 0.55 * _srgb(inside.base_color), 0.0, 0.9)
    if stock == "kraft":
        return Stuff(stock, np.array([214.0, 184.0, 146.0]), np.array([178.0, 143.0, 104.0]), 0.0, 0.95)
    if stock in ("metal", "tinplate"):
        return Stuff(stock, np.array([232.0, 231.0, 229.0]), np.array([205.0, 204.0, 202.0]), 1.0, 0.32)
    if stock == "film":
        silver = inside.metallic > 0.7
        return Stuff(stock, np.full(3, 222.0), np.full(3, 200.0), 0.6 * silver, 0.5)
    if stock == "glaze":
        return Stuff(stock, np.full(3, 128.0), np.full(3, 92.0), 0.0, 0.5)
    return Stuff(stock, np.full(3, 226.0), np.full(3, 205.0), 0.0, 0.6)


def spoilable(sheet: Sheet) -> Bool[np.ndarray, " f"]:
    """Faces that can be seen to be spoilt: printed, painted or bare, but not clear."""
    outer = len(sheet.materials) - 2  # the last two are the inner side and the cut edge
    good = np.array([k < outer and m.transmission < CLEAR for k, m in enumerate(sheet.materials)])
    return good[sheet.material] & ~sheet.removed
