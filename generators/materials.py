"""What packaging is made of: how a wall bends, how thick it is, and how both of its sides and its cut edge look.

``STOCKS`` is the one table; a family picks a stock and prints on it. Colours are linear RGB. Mechanics: spacing and
yield after the measurements in LOG.md for tinplate, folding board and corrugate; the others are set by eye against
pictures, and are relaxation weights, not forces.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import UInt8

from ..sim.scene import Material
from .mesh import Mechanics

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Stock:
    """A packaging material as it comes off the roll, before print."""

    name: str
    mechanics: Mechanics
    thickness_mm: float
    roughness: tuple[float, float]
    """Of the outer side; each product draws its own."""
    crease_deg: float = 40.0
    """Folds sharper than this are shaded as edges."""
    outer: Rgb = (1.0, 1.0, 1.0)
    """Multiplies the print."""
    metallic: float = 0.0
    transmission: float = 0.0
    """Share of light that goes straight through (clear film, PET, glass)."""
    inside: Rgb = (0.5, 0.48, 0.44)
    inside_roughness: float = 0.9
    inside_metallic: float = 0.0
    edge: Rgb = (0.8, 0.79, 0.76)
    fluted: bool = False
    """The cut edge shows flutes between two liners."""
    density_kg_m3: float = 800.0


def _mechanics(spacing: float, yield_: float, softening: float, bending: float) -> Mechanics:
    return Mechanics(spacing, yield_, softening, bending)


STOCKS: dict[str, Stock] = {
    stock.name: stock
    for stock in (
        Stock("coated_board", _mechanics(4.2, 14.0, 20.0, 0.5), 0.45, (0.2, 0.5), 38.0),
        Stock(
            "uncoated_board", _mechanics(4.2, 14.0, 20.0, 0.5), 0.5, (0.7, 0.95), 38.0,
            inside=(0.33, 0.27, 0.2), edge=(0.42, 0.35, 0.27),
        ),
        Stock("board_cover", _mechanics(5.0, 20.0, 15.0, 0.6), 2.2, (0.25, 0.6), 38.0, inside=(0.6, 0.58, 0.53)),
        Stock(
            "corrugate", _mechanics(7.0, 3.5, 5.0, 0.6), 3.0, (0.75, 0.95), 38.0,
            inside=(0.42, 0.3, 0.19), edge=(0.4, 0.28, 0.17), fluted=True, density_kg_m3=150.0,
        ),
        Stock(
            "white_corrugate", _mechanics(7.0, 3.5, 5.0, 0.6), 3.0, (0.6, 0.9), 38.0,
            inside=(0.42, 0.3, 0.19), edge=(0.4, 0.28, 0.17), fluted=True, density_kg_m3=150.0,
        ),
        Stock("paper", _mechanics(4.0, 60.0, 15.0, 0.3), 0.12, (0.7, 0.95), 30.0, inside=(0.6, 0.57, 0.5)),
        Stock(
            "matt_film", _mechanics(3.6, 150.0, 5.0, 0.2), 0.1, (0.45, 0.7), 55.0,
            inside=(0.5, 0.5, 0.52), inside_metallic=0.8, inside_roughness=0.35, edge=(0.6, 0.6, 0.62),
        ),
        Stock(
            "gloss_film", _mechanics(3.6, 150.0, 5.0, 0.2), 0.08, (0.12, 0.3), 55.0,
            inside=(0.55, 0.55, 0.57), inside_metallic=0.8, inside_roughness=0.3, edge=(0.6, 0.6, 0.62),
        ),
        Stock(
            "metallised_film", _mechanics(3.6, 150.0, 5.0, 0.2), 0.08, (0.15, 0.35), 55.0, metallic=1.0,
            inside=(0.75, 0.75, 0.76), inside_metallic=1.0, inside_roughness=0.25, edge=(0.7, 0.7, 0.7),
        ),
        Stock(
            "mailer_film", _mechanics(4.5, 150.0, 4.0, 0.25), 0.12, (0.25, 0.5), 55.0,
            inside=(0.05, 0.05, 0.055), inside_roughness=0.5, edge=(0.3, 0.3, 0.3),
        ),
        Stock(
            "bubble_film", _mechanics(4.5, 120.0, 4.0, 0.35), 1.5, (0.5, 0.85), 55.0,
            inside=(0.7, 0.7, 0.72), inside_roughness=0.3, edge=(0.6, 0.52, 0.4),
        ),
        Stock(
            "clear_film", _mechanics(3.6, 150.0, 4.0, 0.2), 0.06, (0.04, 0.12), 55.0, outer=(0.97, 0.97, 0.97),
            transmission=0.95, inside=(0.97, 0.97, 0.97), inside_roughness=0.06, edge=(0.9, 0.9, 0.9),
        ),
        Stock(
            "clear_pet", _mechanics(3.0, 130.0, 2.0, 0.5), 0.35, (0.03, 0.08), 50.0, outer=(0.96, 0.97, 0.97),
            transmission=0.96, inside=(0.96, 0.97, 0.97), inside_roughness=0.05, edge=(0.8, 0.82, 0.82),
        ),
        Stock(
            "hdpe", _mechanics(3.2, 120.0, 2.0, 0.6), 0.8, (0.3, 0.5), 50.0, inside=(0.75, 0.75, 0.73),
            inside_roughness=0.5, edge=(0.75, 0.75, 0.73), density_kg_m3=950.0,
        ),
        Stock(
            "laminate", _mechanics(3.0, 30.0, 3.0, 0.4), 0.35, (0.2, 0.4), 50.0, inside=(0.8, 0.8, 0.8),
            inside_roughness=0.5, edge=(0.8, 0.8, 0.8),
        ),
        Stock(
            "glass", _mechanics(3.5, 1e6, 0.0, 1.0), 2.2, (0.02, 0.04), 50.0, outer=(0.93, 0.96, 0.94),
            transmission=0.97, inside=(0.95, 0.97, 0.96), inside_roughness=0.03, edge=(0.55, 0.75, 0.65),
            density_kg_m3=2500.0,
        ),
        Stock(
            "tinplate", _mechanics(2.3, 22.0, 2.0, 0.4), 0.2, (0.05, 0.2), 50.0, metallic=1.0,
            inside=(0.55, 0.53, 0.48), inside_metallic=1.0, inside_roughness=0.45, edge=(0.6, 0.6, 0.6),
            density_kg_m3=7800.0,
        ),
        Stock(
            "aluminium", _mechanics(2.3, 30.0, 2.0, 0.35), 0.12, (0.15, 0.3), 50.0, metallic=1.0,
            inside=(0.8, 0.79, 0.75), inside_metallic=1.0, inside_roughness=0.35, edge=(0.8, 0.8, 0.8),
            density_kg_m3=2700.0,
        ),
    )
}  # fmt: skip
"""Every packaging material, by name."""


FLUTES = 15


@lru_cache(maxsize=1)
def _flutes() -> UInt8[np.ndarray, "h w 3"]:
    """A run of corrugated edge: two liners and the wave between them, dark where one looks in.

    A flute is 2.1 times as wide as the board is thick (C flute: 8 mm of 3.8 mm). No two are quite alike.
    """
    height, width = 32, round(32 * 2.1) * FLUTES
    y, x = np.mgrid[0:height, 0:width].astype(float)
    y, x = (y + 0.5) / height, x / width * FLUTES
    turn = 2 * np.pi * x / FLUTES  # all that varies comes round with the picture
    lean = 0.35 * np.sin(3 * turn) + 0.25 * np.sin(7 * turn + 1)
    flat = 1 - 0.1 * (1 + np.sin(2 * turn + 2)) - 0.08 * np.sin(5 * turn)
    phase = 2 * np.pi * x + lean
    wave = 0.5 + 0.36 * flat * np.sin(phase)
    slope = 2 * np.pi / 2.1 * 0.36 * flat * np.cos(phase)
    medium = np.abs(y - wave) < 0.06 * np.sqrt(1 + slope**2)
    fuzz = 0.012 * np.sin(41 * turn) + 0.01 * np.sin(97 * turn + 3)
    liner = (y < 0.12 + fuzz) | (y > 0.88 - fuzz)
    depth = 0.16 + 0.2 * np.clip(np.abs(y - wave) * 3, 0, 1)
    tone = np.where(liner, 1.0, np.where(medium, 0.86, depth))[..., None] * np.array([199, 164, 122])
    return tone.astype(np.uint8)


def printed(
    stock: Stock,
    rng: np.random.Generator,
    texture: UInt8[np.ndarray, "h w 3"] | None = None,
    metallic_roughness: UInt8[np.ndarray, "h2 w2 3"] | None = None,
    *,
    name: str | None = None,
) -> Material:
    """Outer side of a stock with a print on it; its gloss is drawn."""
    return Material(
        name=name or stock.name,
        base_color=stock.outer,
        metallic=stock.metallic,
        roughness=float(rng.uniform(*stock.roughness)),
        base_color_texture=texture,
        metallic_roughness_texture=metallic_roughness,
        transmission=stock.transmission,
    )


def back_and_edge(stock: Stock) -> tuple[Material, Material]:
    """Inner side and cut edge: the last two materials of every sheet."""
    inside = Material(
        f"{stock.name}_inside", stock.inside, stock.inside_metallic, stock.inside_roughness,
        transmission=stock.transmission,
    )  # fmt: skip
    if stock.fluted:
        return inside, Material(f"{stock.name}_edge", (1.0, 1.0, 1.0), 0.0, 0.95, _flutes())
    return inside, Material(f"{stock.name}_edge", stock.edge, 0.0, 0.9, transmission=min(stock.transmission, 0.6))
