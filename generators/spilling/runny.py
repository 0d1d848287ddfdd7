"""What runs out of a package: how liquids and pastes lie and look, how powders, granules and pieces pile up.

A title says what is inside; a family whose title says nothing has a default. Colours are linear RGB.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...sim.scene import SURFACES
from ..mesh import Sheet
from ..products.product import Product

Rgb = tuple[float, float, float]
SOAPY = (1.6, 2.0)
GrainShape = Literal["speck", "grain", "nut", "flake", "leaf", "tube", "lens"]


@dataclass(frozen=True)
class Liquid:
    """A liquid, or a paste that yields slowly."""

    name: str
    colour: Rgb
    """Of the light that goes through 2 mm and back or, for what is not clear, is sent back."""
    clear: float = 0.0
    """Share of light that passes 2 mm of it."""
    angle_deg: tuple[float, float] = (35.0, 65.0)
    """Contact angle on a tray's paint."""
    thick: float = 1.0
    """Capillary length over water's: pastes stand higher than they would at rest."""
    roughness: float = 0.04
    lumps_mm: float = 0.0
    """Height of bits in it: fruit, beans, herbs."""
    capillary_mm: tuple[float, float] = (2.3, 2.7)
    """Capillary length: water's is 2.7; soap, alcohol and oil lower it."""


@dataclass(frozen=True)
class Grains:
    """A powder, granules or pieces."""

    name: str
    colour: Rgb
    size_mm: tuple[float, float, float]
    """Length, width, height of a typical grain (of a clump, if it is a powder)."""
    shape: GrainShape
    repose_deg: tuple[float, float]
    contrast: float = 0.25
    """Relative spread of tone from grain to grain."""
    dust: float = 0.0
    """How much of it clings to a wall, 0-1."""


Content = Liquid | Grains

WATER = Liquid("water", (0.86, 0.89, 0.9), 0.93)
COLA = Liquid("cola", (0.4, 0.18, 0.06), 0.75)
OIL = Liquid("oil", (0.8, 0.58, 0.12), 0.85, (15.0, 32.0), capillary_mm=SOAPY)
LIQUIDS: dict[str, Liquid] = {
    "orange soda": Liquid("soda", (0.85, 0.42, 0.04), 0.7),
    "ginger": Liquid("soda", (0.85, 0.68, 0.36), 0.85),
    "tonic": WATER,
    "cola": COLA,
    "apple": Liquid("juice", (0.86, 0.66, 0.26), 0.85),
    "multivitamin": Liquid("juice", (0.85, 0.4, 0.05), 0.0),
    "cherry nectar": Liquid("juice", (0.42, 0.05, 0.06), 0.5),
    "juice": Liquid("juice", (0.86, 0.42, 0.04), 0.0),
    "nectar": Liquid("juice", (0.86, 0.42, 0.04), 0.0),
    "dark lager": Liquid("beer", (0.5, 0.25, 0.08), 0.75),
    "porter": Liquid("beer", (0.3, 0.12, 0.05), 0.65),
    "wheat beer": Liquid("beer", (0.84, 0.64, 0.26), 0.6),
    "beer": Liquid("beer", (0.88, 0.74, 0.34), 0.9),
    "ale": Liquid("beer", (0.84, 0.6, 0.24), 0.85),
    "lager": Liquid("beer", (0.88, 0.74, 0.34), 0.9),
    "mineral water": WATER,
    "water": WATER,
    "milk": Liquid("milk", (0.83, 0.81, 0.75)),
    "oil": OIL,
    "balsam": Liquid("balsam", (0.78, 0.74, 0.66), 0.0, (45.0, 70.0), 1.5, 0.12, capillary_mm=SOAPY),
    "shampoo": Liquid("shampoo", (0.78, 0.72, 0.5), 0.35, (35.0, 60.0), 1.15, capillary_mm=SOAPY),
    "shower gel": Liquid("shower gel", (0.25, 0.6, 0.66), 0.6, (35.0, 60.0), 1.15, capillary_mm=SOAPY),
    "lotion": Liquid("lotion", (0.8, 0.77, 0.71), 0.0, (50.0, 70.0), 1.7, 0.14, capillary_mm=SOAPY),
    "cream": Liquid("cream", (0.82, 0.8, 0.75), 0.0, (55.0, 70.0), 2.0, 0.2, capillary_mm=SOAPY),
    "balm": Liquid("cream", (0.78, 0.76, 0.66), 0.0, (55.0, 70.0), 2.0, 0.2, capillary_mm=SOAPY),
    "dish": Liquid("dish liquid", (0.72, 0.72, 0.1), 0.7, (25.0, 50.0), 1.1, capillary_mm=SOAPY),
    "cleaner": Liquid("cleaner", (0.3, 0.62, 0.78), 0.85, (10.0, 30.0), capillary_mm=SOAPY),
    "colour wash": Liquid("detergent", (0.12, 0.2, 0.62), 0.5, (30.0, 55.0), 1.1, capillary_mm=SOAPY),
    "detergent": Liquid("detergent", (0.18, 0.42, 0.72), 0.55, (30.0, 55.0), 1.1, capillary_mm=SOAPY),
    "washing": Liquid("detergent", (0.18, 0.42, 0.72), 0.55, (30.0, 55.0), 1.1, capillary_mm=SOAPY),
    "toothpaste": Liquid("toothpaste", (0.78, 0.82, 0.8), 0.0, (60.0, 70.0), 2.6, 0.22),
    "paste": Liquid("toothpaste", (0.78, 0.82, 0.8), 0.0, (60.0, 70.0), 2.6, 0.22),
    "baked beans": Liquid("bean sauce", (0.42, 0.12, 0.025), 0.0, (45.0, 65.0), 1.3, 0.12, 2.5),
    "sweetcorn": Liquid("brine", (0.82, 0.76, 0.45), 0.8),
    "peas": Liquid("brine", (0.66, 0.7, 0.36), 0.75),
    "chickpeas": Liquid("brine", (0.78, 0.66, 0.4), 0.6),
    "tomato": Liquid("tomato", (0.34, 0.035, 0.012), 0.0, (35.0, 60.0), 1.1, 0.1, 1.0),
    "pickle": Liquid("brine", (0.86, 0.87, 0.66), 0.92),
    "gherkin": Liquid("brine", (0.86, 0.87, 0.66), 0.92),
    "onions": Liquid("brine", (0.88, 0.88, 0.74), 0.92),
    "olives": Liquid("brine", (0.72, 0.68, 0.4), 0.85),
    "barbecue": Liquid("sauce", (0.07, 0.02, 0.01), 0.0, (45.0, 65.0), 1.3, 0.1),
    "pesto": Liquid("pesto", (0.1, 0.15, 0.02), 0.0, (30.0, 55.0), 1.3, 0.12, 0.8),
    "chilli": Liquid("sauce", (0.4, 0.03, 0.012), 0.0, (45.0, 65.0), 1.2, 0.08, 0.6),
    "curry": Liquid("sauce", (0.6, 0.28, 0.03), 0.0, (45.0, 65.0), 1.3, 0.12, 0.6),
    "sauce": Liquid("sauce", (0.45, 0.05, 0.015), 0.0, (45.0, 65.0), 1.3, 0.1, 0.8),
    "jam": Liquid("jam", (0.2, 0.01, 0.015), 0.25, (55.0, 70.0), 1.8, 0.16, 0.9),
    "marmalade": Liquid("jam", (0.75, 0.26, 0.02), 0.45, (55.0, 70.0), 1.8, 0.14, 0.9),
    "preserve": Liquid("jam", (0.09, 0.008, 0.03), 0.2, (55.0, 70.0), 1.8, 0.16, 0.9),
    "chocolate": Liquid("spread", (0.05, 0.02, 0.009), 0.0, (60.0, 70.0), 2.0, 0.2),
}
"""By a word of the title; of several, the one that comes first in the title counts."""

COFFEE = Grains("coffee", (0.052, 0.024, 0.012), (1.3, 1.0, 0.8), "speck", (34.0, 40.0), 0.45, 0.5)
BEANS = Grains("coffee beans", (0.07, 0.032, 0.014), (9.5, 6.8, 4.6), "nut", (30.0, 35.0), 0.2)
KIBBLE = Grains("pet food", (0.26, 0.14, 0.06), (9.0, 8.0, 5.5), "nut", (32.0, 37.0), 0.2, 0.1)
CRUMBS = Grains("crumbs", (0.5, 0.3, 0.1), (3.5, 2.5, 1.6), "speck", (33.0, 38.0), 0.25, 0.2)
GRAINS: dict[str, Grains] = {
    "whole bean": BEANS,
    "coffee": COFFEE,
    "espresso": COFFEE,
    "roast": COFFEE,
    "cocoa": Grains("cocoa", (0.13, 0.055, 0.026), (1.6, 1.2, 0.8), "speck", (37.0, 40.0), 0.12, 0.9),
    "hot chocolate": Grains("cocoa", (0.18, 0.085, 0.045), (1.6, 1.2, 0.8), "speck", (36.0, 40.0), 0.12, 0.8),
    "flour": Grains("flour", (0.8, 0.77, 0.69), (1.8, 1.4, 0.9), "speck", (37.0, 40.0), 0.05, 1.0),
    "sugar": Grains("sugar", (0.86, 0.85, 0.82), (0.9, 0.8, 0.7), "speck", (30.0, 34.0), 0.1, 0.3),
    "washing powder": Grains("soap powder", (0.8, 0.82, 0.86), (1.1, 0.9, 0.8), "speck", (32.0, 37.0), 0.12, 0.6),
    "herbal": Grains("tea", (0.16, 0.15, 0.05), (3.4, 1.5, 0.8), "leaf", (34.0, 39.0), 0.5, 0.3),
    "tea": Grains("tea", (0.07, 0.042, 0.018), (3.0, 1.2, 0.8), "leaf", (34.0, 39.0), 0.5, 0.3),
    "infusion": Grains("tea", (0.16, 0.15, 0.05), (3.4, 1.5, 0.8), "leaf", (34.0, 39.0), 0.5, 0.3),
    "rice": Grains("rice", (0.78, 0.74, 0.62), (6.5, 2.1, 1.8), "grain", (28.0, 33.0), 0.08, 0.1),
    "risotto": Grains("rice", (0.8, 0.76, 0.64), (5.4, 2.9, 2.2), "grain", (28.0, 33.0), 0.08, 0.1),
    "penne": Grains("pasta", (0.72, 0.48, 0.14), (38.0, 9.0, 9.0), "tube", (32.0, 38.0), 0.08),
    "pasta": Grains("pasta", (0.72, 0.48, 0.14), (30.0, 8.0, 8.0), "tube", (32.0, 38.0), 0.08),
    "fusilli": Grains("pasta", (0.72, 0.48, 0.14), (34.0, 9.0, 9.0), "tube", (32.0, 38.0), 0.08),
    "rigatoni": Grains("pasta", (0.72, 0.48, 0.14), (40.0, 13.0, 13.0), "tube", (32.0, 38.0), 0.08),
    "muesli": Grains("muesli", (0.55, 0.36, 0.16), (7.0, 5.5, 1.4), "flake", (32.0, 37.0), 0.35, 0.3),
    "flakes": Grains("flakes", (0.62, 0.42, 0.18), (11.0, 8.5, 1.6), "flake", (32.0, 37.0), 0.2, 0.2),
    "hoops": Grains("hoops", (0.6, 0.34, 0.1), (11.0, 11.0, 6.0), "nut", (30.0, 35.0), 0.15, 0.2),
    "puffs": Grains("puffs", (0.13, 0.055, 0.024), (9.0, 8.0, 7.0), "nut", (30.0, 35.0), 0.2, 0.2),
    "cereal": Grains("cereal", (0.6, 0.36, 0.11), (10.0, 8.0, 2.0), "flake", (32.0, 37.0), 0.2, 0.2),
    "almonds": Grains("almonds", (0.3, 0.13, 0.05), (21.0, 12.0, 8.0), "nut", (30.0, 35.0), 0.15),
    "peanuts": Grains("peanuts", (0.6, 0.38, 0.16), (14.0, 8.5, 7.5), "nut", (29.0, 34.0), 0.12, 0.1),
    "nuts": Grains("nuts", (0.5, 0.3, 0.13), (16.0, 9.5, 8.0), "nut", (30.0, 35.0), 0.25, 0.1),
    "trail mix": Grains("nuts", (0.42, 0.22, 0.1), (14.0, 9.0, 7.0), "nut", (30.0, 35.0), 0.4, 0.1),
    "cashew": Grains("nuts", (0.66, 0.47, 0.24), (20.0, 10.0, 8.0), "nut", (30.0, 35.0), 0.1, 0.1),
    "crisps": Grains("crisps", (0.78, 0.54, 0.15), (36.0, 29.0, 1.5), "flake", (34.0, 40.0), 0.15, 0.3),
    "chips": Grains("chips", (0.78, 0.5, 0.11), (34.0, 30.0, 1.8), "flake", (34.0, 40.0), 0.12, 0.3),
    "crackers": CRUMBS,
    "crispbread": CRUMBS,
    "thins": CRUMBS,
    "biscuits": CRUMBS,
    "cookies": CRUMBS,
    "bird seed": Grains("seed", (0.42, 0.3, 0.14), (4.5, 2.6, 2.0), "grain", (27.0, 32.0), 0.45, 0.2),
    "kibble": KIBBLE,
    "dog": Grains("dog biscuits", (0.4, 0.22, 0.08), (18.0, 12.0, 7.0), "nut", (32.0, 37.0), 0.2, 0.1),
    "dry food": KIBBLE,
    "food": KIBBLE,
    "jelly beans": Grains("jelly beans", (0.5, 0.06, 0.09), (15.0, 9.0, 8.0), "nut", (28.0, 33.0), 0.5),
    "liquorice": Grains("liquorice", (0.02, 0.018, 0.018), (15.0, 9.0, 8.0), "nut", (29.0, 34.0), 0.2),
    "toffees": Grains("toffees", (0.4, 0.2, 0.07), (20.0, 13.0, 10.0), "nut", (30.0, 35.0), 0.1),
    "sweets": Grains("sweets", (0.55, 0.09, 0.1), (16.0, 11.0, 9.0), "nut", (29.0, 34.0), 0.5),
    "gummy": Grains("sweets", (0.55, 0.09, 0.1), (18.0, 10.0, 8.0), "nut", (30.0, 35.0), 0.5),
    "capsules": Grains("capsules", (0.75, 0.3, 0.12), (19.0, 7.0, 7.0), "grain", (27.0, 32.0), 0.1),
    "tablets": Grains("tablets", (0.82, 0.82, 0.8), (9.0, 9.0, 4.0), "lens", (28.0, 33.0), 0.03, 0.2),
    "lozenges": Grains("lozenges", (0.7, 0.5, 0.2), (15.0, 12.0, 6.0), "lens", (29.0, 34.0), 0.1),
}
"""By a word of the title, as ``LIQUIDS``."""

CLEAR = 0.5
"""Through a wall that passes more light than this the contents are seen: what runs out looks like them."""


def _by_words(text: str, table: Mapping[str, Content], default: Content) -> Content:
    """The entry whose whole word comes first."""
    found = [(match.start(), -len(word), word) for word in table if (match := re.search(rf"\b{word}(?:s|es)?\b", text))]
    return table[min(found)[2]] if found else default


def main_filling(product: Product) -> int | None:
    """Which of a product's contents is what runs out: the largest body inside the package itself."""
    sizes = {
        k: float(np.prod(np.ptp(part.vertices, axis=0)))
        for k, part in enumerate(product.contents)
        if part.item == 1 and (part.surface == SURFACES.index("contents")).all()
    }
    return max(sizes, key=lambda k: sizes[k]) if sizes else None


def _seen(product: Product, content: Content) -> Content:
    """The same content in the colours that the package shows of it."""
    inside = main_filling(product)
    clear = any(m.transmission > CLEAR for m in product.sheets[0].materials[:-2])
    if inside is None or not clear:
        return content
    material = product.contents[inside].materials[0]
    if isinstance(content, Liquid) and material.transmission > 0.35:
        return content  # clear: 2 mm of it are much lighter than a bottle of it
    mean = np.array(material.base_color)
    if material.base_color_texture is not None:
        mean = mean * ((material.base_color_texture.reshape(-1, 3) / 255.0) ** 2.2).mean(axis=0)
    return replace(content, colour=(float(mean[0]), float(mean[1]), float(mean[2])))


def content_of(product: Product) -> Content:
    """What would run out of a product that holds something that can."""
    inside = " ".join(part.name for part in product.contents if part.surface[0] == SURFACES.index("contents"))
    text = f"{product.attributes['title']}, {product.attributes['category']}, {inside}".lower()
    wet = product.shape == "round" or "bottle" in inside
    if wet and product.family == "glass_jar" and inside == "coffee":
        wet = False
    return _seen(product, _by_words(text, LIQUIDS, WATER) if wet else _by_words(text, GRAINS, CRUMBS))


POROUS = ("coated_board", "uncoated_board", "corrugate", "white_corrugate", "paper", "bubble_film", "board_cover")


def soaks(sheet: Sheet) -> bool:
    """Whether a wall soaks up liquid: board and paper do, film, metal and glass do not."""
    return sheet.materials[-2].name.removesuffix("_inside") in POROUS


def vary(colour: Rgb, rng: np.random.Generator, spread: float = 0.12) -> Rgb:
    """A colour that is a little lighter or darker, warmer or colder."""
    gain = np.exp(spread * rng.normal()) * np.exp(0.25 * spread * rng.normal(size=3))
    r, g, b = (float(v) for v in np.clip(np.array(colour) * gain, 0.004, 0.92))
    return r, g, b
