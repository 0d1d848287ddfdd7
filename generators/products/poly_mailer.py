"""A poly mailer: plain or printed film around something flat, a flap stuck down at its back, a shipping label."""

from typing import Annotated

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..artwork import Artwork, draw_artwork, draw_text, fractal_noise, paint_panel
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, printed
from .bag import Cut
from .film import add_forms, bag_sheet, crease_form, fill_bag, film_spacing, flat_relief, wrinkle_form
from .filmprint import Picture
from .mailing import (
    CATEGORIES,
    DENSITY,
    Goods,
    draw_sent,
    flap_form,
    hold,
    mailer,
    paint_flap,
    paint_label,
    shift_sent,
)
from .product import Product
from .ranges import within

LOOKS = ("grey", "white", "black", "tinted", "printed")


class PolyMailerConfig(BaseModel):
    """Ranges from which each mailer is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width_mm: Annotated[tuple[float, float], within(100, 450)] = Field(
        default=(165.0, 300.0), description="width of the flat mailer, 100-450 mm"
    )
    slenderness: Annotated[tuple[float, float], within(0.7, 2)] = Field(
        default=(1.1, 1.5), description="height over width of the flat mailer, 0.7-2"
    )
    seal_mm: Annotated[tuple[float, float], within(3, 15)] = Field(
        default=(4.0, 9.0), description="width of the side seals, 3-15 mm"
    )
    thick_share: Annotated[tuple[float, float], within(0.02, 0.35)] = Field(
        default=(0.07, 0.2), description="thickness of the item over the mailer's width, 0.02-0.35"
    )
    air: Annotated[tuple[float, float], within(1, 3)] = Field(
        default=(1.12, 1.6), description="what the film encloses over the item's volume, 1-3"
    )
    label_share: float = Field(default=0.85, ge=0, le=1, description="mailers with a shipping label")
    look_shares: tuple[float, float, float, float, float] = Field(
        default=(0.34, 0.2, 0.1, 0.14, 0.22), description="grey, white, black, tinted, printed film"
    )
    wrinkle_mm: Annotated[tuple[float, float], within(0, 8)] = Field(
        default=(1.5, 4.5), description="how far the film is pushed at random, 0-8 mm"
    )
    creases: Annotated[tuple[int, int], within(0, 60)] = Field(
        default=(2, 22), description="benign creases in the film"
    )


def _ground(artwork: Artwork, look: str, rng: np.random.Generator) -> np.ndarray:
    tone = {"grey": rng.uniform(125, 185), "white": rng.uniform(225, 245), "black": rng.uniform(26, 44)}
    if look in tone:
        return tone[look] + rng.normal(0, 2.5, 3)
    return np.array(artwork.ground, float) * rng.uniform(0.85, 1.0)


def _plain(width: int, height: int, ground: np.ndarray, rng: np.random.Generator) -> Picture:
    """Blown film: faint lines along the machine's direction."""
    lines = fractal_noise(rng, 16, width, cell_px=12.0)[:1].astype(np.float32)
    cloud = cv2.resize(
        fractal_noise(rng, 48, 48, cell_px=14.0).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    tone = 1 + 0.006 * lines + 0.012 * cloud
    return np.clip(ground.astype(np.float32) * tone[..., None], 0, 255).astype(np.uint8)


def _imprint(picture: Picture, artwork: Artwork, px_per_mm: float, rng: np.random.Generator) -> Picture:
    """A sender's name, large and one-coloured, or repeated all over."""
    height, width = picture.shape[:2]
    light = picture.mean() > 120
    ink = (30, 30, 34) if light else (235, 235, 232)
    if rng.random() < 0.5:
        box = (int(0.14 * width), int(rng.choice([0.08, 0.8]) * height), int(0.72 * width), int(0.1 * height))
        return draw_text(picture, artwork.brand, box, ink, "FiraSans-Bold").copy()
    step = round(rng.uniform(32, 60) * px_per_mm)
    layer = picture.copy()
    for row, y in enumerate(range(-step // 2, height, step)):
        for x in range(-step + (row % 2) * step // 2, width, step):
            if x >= 0 and y >= 0:
                layer = draw_text(layer, artwork.brand, (x, y, int(0.7 * step), int(0.25 * step)), ink, "FiraSans-Bold")
    return cv2.addWeighted(picture, 0.4, layer, 0.6, 0).astype(np.uint8)


def _paint(artwork: Artwork, atlas: Atlas, cut: Cut, look: str, flap: float, design: Design) -> list[Picture]:
    rng, colours = stream(design, "layout"), stream(design, "colours")
    ground, pictures = _ground(artwork, look, colours), []
    for kind, patch in zip(("front", "back"), atlas.patches, strict=True):
        wide, high = patch.picture_size
        if look == "printed":
            picture = paint_panel(artwork, "plain", wide, high, px_per_mm=patch.px_per_mm).copy()
            picture = _imprint(picture, artwork, patch.px_per_mm, rng) if kind == "front" else picture
        else:
            picture = _plain(wide, high, ground, rng)
            if look == "tinted" or rng.random() < 0.25:
                picture = _imprint(picture, artwork, patch.px_per_mm, rng)
        seal = max(2, round(1000 * cut.side_seal * patch.px_per_mm))
        for columns in (np.s_[:, seal - 2 : seal], np.s_[:, -seal : 2 - seal]):
            picture[columns] = (picture[columns] * 0.82).astype(np.uint8)
        if kind == "back":
            paint_flap(picture, patch.px_per_mm, cut, flap, strip_mm=18.0)
        pictures.append(picture)
    return pictures


def build_poly_mailer(item_identifier: str, config: PolyMailerConfig, design: Design) -> Product:
    """Draw one mailer and what is in it."""
    rng, words = stream(design, "shape"), stream(design, "words")
    specimen, colours = stream(design, "specimen"), stream(design, "colours")
    width = rng.uniform(*config.width_mm) / 1000 * design.grow ** (1 / 3)
    height = width * rng.uniform(*config.slenderness)
    seal, flap = rng.uniform(*config.seal_mm) / 1000, rng.uniform(0.03, 0.05)
    cut = Cut(width, height, seal, 0.005, 0.0 if rng.random() < 0.7 else seal)
    goods: Goods = ("book", "box", "bottle", "clothing")[int(rng.choice(4, p=[0.25, 0.25, 0.1, 0.4]))]
    sent = draw_sent(cut, rng, goods, config.thick_share)
    volume = sent.volume * rng.uniform(*config.air)
    stock = STOCKS["mailer_film"]
    own = shift_sent(sent, cut, specimen)
    filled = fill_bag(
        cut, film_spacing(stock, cut), hold(sent, volume, 4e-4), standing=False, volume_m3=1.3 * sent.volume,
        bending=0.06, rng=specimen, wrinkle_m=specimen.uniform(*config.wrinkle_mm) / 1000,
        ask_piece=hold(own, volume * specimen.uniform(0.96, 1.04), 4e-4), sweeps=(170, 80, 60),
    )  # fmt: skip
    mass = 1000 * sent.volume * DENSITY[goods] + 15
    artwork = draw_artwork(design, CATEGORIES[goods], net="1 piece")
    atlas = pack_atlas([(1000 * width, 1000 * height)] * 2, design.texture_px)
    look = LOOKS[int(colours.choice(5, p=np.array(config.look_shares) / sum(config.look_shares)))]
    pictures = _paint(artwork, atlas, cut, look, flap, design)
    label = bool(words.random() < config.label_share)
    if label:
        room = 1000 * float(sent.size[0]), 1000 * float(sent.size[1])
        paint_label(pictures[0], atlas.patches[0].px_per_mm, words, specimen, room)
    creases = int(specimen.integers(config.creases[0], config.creases[1] + 1))
    form = add_forms(
        wrinkle_form(cut, specimen, count=int(specimen.integers(4, 16)), rise=0.0012, length=0.04),
        crease_form(cut, specimen, count=creases, rise=0.0008),
        flap_form(cut, flap, rise=0.0005),
    )
    sheet = bag_sheet(
        "film", filled, stock, atlas, printed(stock, colours, paint_atlas(atlas, pictures)), flat_relief(filled, form)
    )
    marks = {"tape": label, "wrinkles": True, "folds": creases > 0}
    return mailer(
        item_identifier, design, artwork, sheet, filled, own, rng, flap=(width, height / 2 - flap),
        material="plastic_loose_bag", mass_g=mass, looks=marks,
    )  # fmt: skip
