"""How a tear looks: fibres along board, whitened lips on film, flutes or grey board under a torn outer ply."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from ...sim.scene import Material
from ..artwork import fractal_noise
from ..mesh import Sheet
from .stock import Tearing

PX_PER_MM, MOST_PX = 6.0, 640
WHITENED = 0.4


def _tile_size(extent_m: float) -> int:
    return int(np.clip(1000 * extent_m * PX_PER_MM, 32, MOST_PX))


def fibre_material(tearing: Tearing, extent_m: float, rng: np.random.Generator) -> Material:
    """Torn fibres: matt, mottled, a little hairy; its picture covers the square of side ``extent_m`` round the tear."""
    side = _tile_size(extent_m)
    coarse = fractal_noise(rng, side, side, cell_px=max(4.0, 2.5 * side / (1000 * extent_m)), octaves=2)
    fine = fractal_noise(rng, side, side, cell_px=2.0, octaves=1)
    tone = 1 + 0.05 * coarse + 0.06 * fine
    return Material("fibre", tearing.fibre, 0.0, 0.97, _grey(tone))


def _grey(tone: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """A neutral picture from linear shares of a base colour."""
    value = 255 * np.clip(tone, 0.05, 1.06) ** (1 / 2.2) / 1.06 ** (1 / 2.2)
    return np.repeat(value.astype(np.uint8)[..., None], 3, axis=2)


def flute_material(
    tearing: Tearing, extent_m: float, across: Float[np.ndarray, "2"], pitch_m: float, rng: np.random.Generator
) -> Material:
    """What is under the outer liner: flutes, with torn paper on their glued tops; or plain grey board."""
    side = _tile_size(extent_m)
    v, u = np.mgrid[0:side, 0:side].astype(float)
    x, y = (u + 0.5) / side * extent_m, (1 - (v + 0.5) / side) * extent_m
    mottle = fractal_noise(rng, side, side, cell_px=max(6.0, 0.06 * side), octaves=4)
    if not tearing.grain:
        return Material("torn_board", (0.45, 0.42, 0.37), 0.0, 0.97, _grey(1 + 0.09 * mottle))
    wave = np.cos(2 * np.pi * (x * across[0] + y * across[1]) / pitch_m)
    scraps = (wave + 0.55 * mottle > 1.05).astype(float)  # liner that stuck to the glue line
    tone = 0.78 + 0.13 * wave + 0.04 * mottle + 0.3 * scraps
    return Material("flutes", tearing.fibre, 0.0, 0.97, _grey(np.clip(tone, 0, 1.06)))


def whitened(material: Material) -> Material:
    """Film that was stretched: lighter, duller, less clear."""
    r, g, b = material.base_color
    if material.transmission > 0:
        return replace(
            material, name=f"{material.name}_lip", transmission=0.2 * material.transmission,
            roughness=max(0.35, material.roughness), base_color=(0.95, 0.95, 0.95),
        )  # fmt: skip
    texture = material.base_color_texture
    if texture is not None:
        texture = (255 - (1 - WHITENED) * (255.0 - texture)).astype(np.uint8)
        return replace(
            material, name=f"{material.name}_lip", base_color_texture=texture, metallic=0.5 * material.metallic,
            roughness=min(1.0, material.roughness + 0.2),
        )  # fmt: skip
    light = tuple(1 - (1 - WHITENED) * (1 - c) for c in (r, g, b))
    return replace(material, name=f"{material.name}_lip", base_color=(light[0], light[1], light[2]))


def dress(
    sheet: Sheet,
    chosen: Bool[np.ndarray, " f"],
    material: Material,
    plane: Float[np.ndarray, "v 2"],
    low: Float[np.ndarray, "2"],
    extent_m: float,
) -> Sheet:
    """Give faces a material of their own, mapped from the plane of the tear."""
    if not chosen.any():
        return sheet
    uv = sheet.uv.copy()
    uv[chosen] = np.clip((plane[sheet.faces[chosen]] - low) / extent_m, 0, 1)
    slot = len(sheet.materials) - 2
    kinds = sheet.material.copy()
    kinds[chosen] = slot
    return replace(sheet, uv=uv, material=kinds, materials=_with(sheet, material))


def _with(sheet: Sheet, material: Material) -> tuple[Material, ...]:
    return (*sheet.materials[:-2], material, *sheet.materials[-2:])


def whiten_lips(sheet: Sheet, chosen: Bool[np.ndarray, " f"]) -> Sheet:
    """Give faces a whitened version of their own material."""
    kinds: Int[np.ndarray, " k"] = np.unique(sheet.material[chosen]).astype(int)
    for kind in kinds.tolist():
        slot = len(sheet.materials) - 2
        material = sheet.material.copy()
        material[chosen & (sheet.material == kind)] = slot
        sheet = replace(sheet, material=material, materials=_with(sheet, whitened(sheet.materials[kind])))
    return sheet
