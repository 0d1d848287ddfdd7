"""A pillow bag: a tube of film with a fin at its back and crimped ends, blown up with gas around what is in it."""

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import Material
from ..artwork import Artwork, draw_artwork
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..inflate import Filling
from ..materials import STOCKS, printed
from .bag import Bag, Cut
from .filling import granules
from .film import (
    add_forms,
    bag_sheet,
    crease_form,
    crimp_form,
    fill_bag,
    film_spacing,
    fin_form,
    flat_relief,
    heap,
    teabag_volume,
    wrinkle_form,
)
from .filmprint import Picture, metal_and_gloss, paint_crimp, paint_fin, paint_inset
from .product import Hinge, Product, catalogue_entry
from .ranges import within

GOODS = {
    "crisps": (70.0, (0.62, 0.4, 0.1), 32),
    "nuts": (420.0, (0.5, 0.3, 0.14), 18),
    "sweets": (420.0, (0.6, 0.1, 0.12), 20),
    "pasta": (330.0, (0.72, 0.5, 0.16), 22),
}
"""Mass per volume of bag [g/l], colour and size of the pieces [px] by what is in it."""


class PillowBagConfig(BaseModel):
    """Ranges from which each bag is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width_mm: Annotated[tuple[float, float], within(80, 320)] = Field(
        default=(125.0, 205.0), description="width of the flat bag, 80-320 mm"
    )
    slenderness: Annotated[tuple[float, float], within(1, 2.5)] = Field(
        default=(1.25, 1.6), description="height over width of the flat bag, 1-2.5"
    )
    seal_mm: Annotated[tuple[float, float], within(6, 25)] = Field(
        default=(10.0, 15.0), description="height of the crimped ends, 6-25 mm"
    )
    fullness: Annotated[tuple[float, float], within(0.3, 1)] = Field(
        default=(0.68, 0.95), description="gas and goods over what the bag can hold"
    )
    metallised_share: float = Field(default=0.35, ge=0, le=1, description="bags with bare metal in their print")
    matt_share: float = Field(default=0.2, ge=0, le=1, description="bags of matt film")
    zigzag_share: float = Field(
        default=0.75, ge=0, le=1, description="bags with zigzag ends; the others are cut straight"
    )
    wrinkle_mm: Annotated[tuple[float, float], within(0, 5)] = Field(
        default=(0.6, 2.2), description="how far the film is pushed at random, 0-5 mm"
    )
    creases: Annotated[tuple[int, int], within(0, 60)] = Field(
        default=(0, 14), description="benign creases in the film"
    )


def _draw_cut(config: PillowBagConfig, design: Design) -> tuple[Cut, float, float, bool]:
    """The pattern, the ribs' pitch [m], the volume [m³] and whether the ribs stand upright."""
    rng = stream(design, "shape")
    grow = design.grow ** (1 / 3)
    width = rng.uniform(*config.width_mm) / 1000 * grow
    height = width * rng.uniform(*config.slenderness)
    seal = rng.uniform(*config.seal_mm) / 1000
    full = rng.uniform(*config.fullness)
    teeth = 0.0013 if rng.random() < config.zigzag_share else 0.0
    upright = bool(rng.random() < 0.25)
    rib = 0.0012 if not upright else 0.004
    lines = (
        (0.0, seal, rib),
        (height - seal, height, rib),
        (seal, seal + 0.003, 0.0015),
        (height - seal - 0.003, height - seal, 0.0015),
    )
    cut = Cut(width, height, 0.0, seal, seal, lines=lines, teeth=teeth, crease=float(rng.uniform(0.4, 1.0)))
    return cut, 0.0024 if not upright else 0.008, full * teabag_volume(width, height - 2 * seal), upright


def _paint(artwork: Artwork, atlas: Atlas, cut: Cut, pitch: float, rng: np.random.Generator) -> list[Picture]:
    """Front, back with its fin; ends in their own ink on some."""
    ink = (artwork.ground, artwork.accent, (196, 196, 198), None)[int(rng.integers(4))]
    pictures = []
    for kind, patch in zip(("front", "back"), atlas.patches, strict=True):
        seal = 1.15 * cut.top_seal
        picture = paint_inset(artwork, kind, patch, seal, seal, 0.03 * cut.width)
        if kind == "back":
            paint_fin(picture, patch.px_per_mm, artwork.ground)
        paint_crimp(picture, patch.px_per_mm, cut, pitch=pitch, ink=ink)
        pictures.append(picture)
    return pictures


def build_pillow_bag(item_identifier: str, config: PillowBagConfig, design: Design) -> Product:
    """Draw one bag."""
    cut, pitch, volume, upright = _draw_cut(config, design)
    rng, specimen, colours = (stream(design, purpose) for purpose in ("layout", "specimen", "colours"))
    goods = str(stream(design, "words").choice(list(GOODS), p=[0.6, 0.15, 0.15, 0.1]))
    density, tone, grain = GOODS[goods]
    metal = colours.random() < config.metallised_share
    matt = colours.random() < config.matt_share
    stock = STOCKS["metallised_film" if metal else "matt_film" if matt else "gloss_film"]

    def ask(bag: Bag) -> Filling:
        return Filling(volume_m3=volume, weight_m=2e-5, floor_m=0.0)

    filled = fill_bag(
        cut, film_spacing(stock, cut), ask, standing=False, volume_m3=volume, bending=0.12, rng=specimen,
        wrinkle_m=specimen.uniform(*config.wrinkle_mm) / 1000,
    )  # fmt: skip
    mass = 1000 * volume * density * 1.0
    artwork = draw_artwork(design, goods, net=f"{mass:.0f} g")
    atlas = pack_atlas([(1000 * cut.width, 1000 * cut.height)] * 2, design.texture_px)
    pictures = _paint(artwork, atlas, cut, pitch, rng)
    texture = paint_atlas(atlas, pictures)
    gloss = metal_and_gloss(artwork, atlas, pictures, metal=metal, rng=colours)
    creases = int(specimen.integers(config.creases[0], config.creases[1] + 1))
    crimps = crimp_form(cut, pitch=pitch, rise=0.00028, upright=upright)
    form = add_forms(
        fin_form(cut),
        wrinkle_form(cut, specimen, count=int(specimen.integers(14, 34)), rise=0.0013, length=0.035),
        crease_form(cut, specimen, count=creases, rise=0.0007),
    )
    sheet = bag_sheet(
        "film", filled, stock, atlas, printed(stock, colours, texture, gloss), flat_relief(filled, form, crimps)
    )
    pieces = Material(goods, (1.0, 1.0, 1.0), 0.0, 0.7, granules(design.number % 2, tone, grain))
    h, s, z = cut.height / 2, cut.top_seal, float(filled.size_m[2])
    return Product(
        item_identifier=item_identifier,
        family="pillow_bag",
        shape="soft",
        packaging="primary",
        item_material="plastic_loose_bag",
        sheets=(sheet,),
        contents=(heap(filled, pieces, goods, rng=specimen, full=1.0, clearance=0.003, lumps=0.004),),
        core=None,
        attributes=catalogue_entry(artwork, category="pillow bag", size_m=filled.size_m, mass_g=mass + 6),
        mass_g=mass + 6,
        hinges=(
            Hinge(
                "top seal", ("front",), (cut.width / 2, h - s, z / 2), (-cut.width / 2, h - s, z / 2), 120.0, "crimp"
            ),
        ),
        lookalikes=tuple(sorted({"crimp", "wrinkles", *(["folds"] if creases else [])})),
        fill_ml=float(0.6e6 * volume),
    )
