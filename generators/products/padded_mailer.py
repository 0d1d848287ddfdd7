"""A padded mailer: kraft paper or film over bubbles, rounded by what is in it, with a flap at its back and a label."""

from dataclasses import replace
from typing import Annotated

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..artwork import Artwork, draw_artwork, draw_kraft, draw_text, paint_panel, toned
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, Stock, printed
from .bag import Cut
from .film import Form, add_forms, bag_sheet, crease_form, fill_bag, film_spacing, flat_relief, wrinkle_form
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

LOOKS = ("kraft", "white paper", "film", "printed film")
KRAFT = np.array([196.0, 160.0, 120.0])
"""sRGB; real mailers hardly differ in hue."""
WALL_MM = 0.7
"""Of paper and pressed bubbles, as drawn: seals of two such walls keep apart."""


PADDING_M = 0.0035
"""Bubbles between item and paper round its edges."""


class PaddedMailerConfig(BaseModel):
    """Ranges from which each mailer is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width_mm: Annotated[tuple[float, float], within(90, 400)] = Field(
        default=(120.0, 240.0), description="width of the flat mailer, 90-400 mm"
    )
    slenderness: Annotated[tuple[float, float], within(0.8, 2)] = Field(
        default=(1.25, 1.6), description="height over width of the flat mailer, 0.8-2"
    )
    seal_mm: Annotated[tuple[float, float], within(5, 20)] = Field(
        default=(8.0, 13.0), description="width of the side seals, 5-20 mm"
    )
    thick_share: Annotated[tuple[float, float], within(0.02, 0.35)] = Field(
        default=(0.12, 0.3), description="thickness of the item over the mailer's width, 0.02-0.35"
    )
    air: Annotated[tuple[float, float], within(1, 3)] = Field(
        default=(1.45, 2.1), description="what the wall encloses over the item's volume, 1-3"
    )
    bubble_pitch_mm: Annotated[tuple[float, float], within(6, 30)] = Field(
        default=(10.0, 13.5), description="distance of bubbles, 6-30 mm"
    )
    label_share: float = Field(default=0.85, ge=0, le=1, description="mailers with a shipping label")
    look_shares: tuple[float, float, float, float] = Field(
        default=(0.5, 0.2, 0.18, 0.12), description="kraft, white paper, white or silver film, printed film"
    )
    wrinkle_mm: Annotated[tuple[float, float], within(0, 8)] = Field(
        default=(0.8, 2.5), description="how far the wall is pushed at random, 0-8 mm"
    )
    creases: Annotated[tuple[int, int], within(0, 60)] = Field(
        default=(0, 10), description="benign creases in the wall"
    )


def _bubbles(x, t, pitch: float):
    """0 between bubbles, 1 on top of one: a triangular lattice of flat domes."""
    tall = float(3**0.5)  # the lattice repeats after one pitch across and this many up
    best = np.float32(np.inf)
    for shift in (0.0, 0.5):
        dx = np.mod(x / pitch - shift + 0.5, 1.0) - 0.5
        dt = np.mod(t / (tall * pitch) - shift + 0.5, 1.0) - 0.5
        best = np.minimum(best, dx**2 + (dt * tall) ** 2)
    return np.clip(1 - best / 0.47**2, 0, 1) ** 0.6


def _bubble_form(cut: Cut, pitch: float, rise: float) -> Form:
    def form(x, t, side):
        inside = np.clip((cut.width / 2 - cut.side_seal - np.abs(x)) / 0.006, 0, 1)
        ends = np.clip((cut.height - cut.top_seal - t) / 0.006, 0, 1) * np.clip((t - cut.bottom_seal) / 0.006, 0, 1)
        return np.where(side != 0, rise * _bubbles(x, t, pitch) * inside * ends, 0.0)

    return form


def _paint_walls(artwork: Artwork, atlas: Atlas, look: str, design: Design) -> list[Picture]:
    rng, colours = stream(design, "layout"), stream(design, "colours")
    tone = KRAFT * colours.uniform(0.92, 1.08) * colours.uniform(0.985, 1.015, 3)
    pictures = []
    for kind, patch in zip(("front", "back"), atlas.patches, strict=True):
        wide, high = patch.picture_size
        if look == "printed film":
            picture = paint_panel(artwork, "plain", wide, high, px_per_mm=patch.px_per_mm).copy()
        else:
            fibres = cv2.cvtColor(draw_kraft(rng, max(16, wide), max(16, high)), cv2.COLOR_RGB2GRAY)
            uneven = (fibres.astype(np.float32) / np.float32(cv2.mean(fibres)[0]) - 1).astype(np.float32)
            picture = toned(uneven, tone) if look == "kraft" else toned(np.float32(0.3) * uneven, np.full(3, 236.0))
        if kind == "front" and rng.random() < 0.6:
            ink = (60, 48, 36) if look == "kraft" else (50, 70, 120) if look != "printed film" else artwork.ink
            box = (int(0.1 * wide), int(0.045 * high), int(0.34 * wide), int(0.05 * high))
            picture = draw_text(picture, artwork.brand, box, ink, "FiraSans-Bold").copy()
        pictures.append(picture)
    return pictures


def _paint(
    artwork: Artwork, atlas: Atlas, cut: Cut, look: str, flap: float, pitch: float, design: Design
) -> list[Picture]:
    """Walls with the seals' ribs, the bubbles' worn tops and the flap."""
    pictures = _paint_walls(artwork, atlas, look, design)
    for k, (picture, patch) in enumerate(zip(pictures, atlas.patches, strict=True)):
        high, wide = picture.shape[:2]
        x = (np.arange(wide, dtype=np.float32) + 0.5) / patch.px_per_mm / 1000 - cut.width / 2
        t = cut.height - (np.arange(high, dtype=np.float32) + 0.5) / patch.px_per_mm / 1000
        seal = np.abs(x) > cut.width / 2 - cut.side_seal
        worn = _bubbles((x if k == 0 else -x)[None, ::2], t[::2, None], pitch)  # half as fine: they are large
        gain = 191 + 12 * cv2.resize(worn, (wide, high), interpolation=cv2.INTER_LINEAR)
        gain[:, seal] = 200 * (0.95 + 0.035 * np.cos(2 * np.pi * t[:, None] / 0.0025))
        shade = cv2.merge([np.round(gain).astype(np.uint8)] * 3)
        cv2.multiply(picture, shade, picture, scale=1 / 200)
    paint_flap(pictures[1], atlas.patches[1].px_per_mm, cut, flap, strip_mm=14.0)
    return pictures


def _stock(look: str) -> Stock:
    base = STOCKS["bubble_film"]
    rough = (0.75, 0.95) if look in ("kraft", "white paper") else (0.22, 0.42)
    return replace(base, thickness_mm=WALL_MM, roughness=rough)


def build_padded_mailer(item_identifier: str, config: PaddedMailerConfig, design: Design) -> Product:
    """Draw one mailer and what is in it."""
    rng, words = stream(design, "shape"), stream(design, "words")
    specimen, colours = stream(design, "specimen"), stream(design, "colours")
    width = rng.uniform(*config.width_mm) / 1000 * design.grow ** (1 / 3)
    height = width * rng.uniform(*config.slenderness)
    seal, flap = rng.uniform(*config.seal_mm) / 1000, rng.uniform(0.035, 0.055)
    cut = Cut(width, height, seal, 0.006, 0.0)
    goods: Goods = ("book", "box", "bottle", "clothing")[int(rng.choice(4, p=[0.35, 0.4, 0.15, 0.1]))]
    sent = draw_sent(cut, rng, goods, config.thick_share, padding=PADDING_M)
    volume = sent.volume * rng.uniform(*config.air)
    pitch = rng.uniform(*config.bubble_pitch_mm) / 1000
    look = LOOKS[int(rng.choice(4, p=np.array(config.look_shares) / sum(config.look_shares)))]
    stock, gap = _stock(look), 2 * WALL_MM / 1000 + 0.0003
    own = shift_sent(sent, cut, specimen)
    filled = fill_bag(
        cut, film_spacing(stock, cut, most=6000), hold(sent, volume, gap), standing=False, volume_m3=1.4 * sent.volume,
        bending=0.35, rng=specimen, wrinkle_m=specimen.uniform(*config.wrinkle_mm) / 1000, gap_m=gap,
        ask_piece=hold(own, volume, gap), sweeps=(170, 80, 60),
    )  # fmt: skip
    mass = 1000 * sent.volume * DENSITY[goods] + 25
    artwork = draw_artwork(design, CATEGORIES[goods], net="1 piece")
    atlas = pack_atlas([(1000 * width, 1000 * height)] * 2, design.texture_px)
    pictures = _paint(artwork, atlas, cut, look, flap, pitch, design)
    label = bool(words.random() < config.label_share)
    if label:
        room = 1000 * float(sent.size[0]), 1000 * float(sent.size[1])
        paint_label(pictures[0], atlas.patches[0].px_per_mm, words, specimen, room)
    creases = int(specimen.integers(config.creases[0], config.creases[1] + 1))
    paper = look in ("kraft", "white paper")
    form = add_forms(
        _bubble_form(cut, pitch, 0.0003 if paper else 0.0006),
        wrinkle_form(cut, specimen, count=int(specimen.integers(2, 10)), rise=0.0012, length=0.04),
        crease_form(cut, specimen, count=creases, rise=0.0009),
        flap_form(cut, flap, rise=0.0008),
    )
    sheet = bag_sheet(
        "wall", filled, stock, atlas, printed(stock, colours, paint_atlas(atlas, pictures)), flat_relief(filled, form)
    )
    marks = {"bubbles": True, "tape": label, "folds": creases > 0}
    return mailer(
        item_identifier, design, artwork, sheet, filled, own, rng, flap=(width, height / 2 - flap),
        material="paper" if paper else "plastic_bubble_wrap", mass_g=mass, looks=marks,
    )  # fmt: skip
