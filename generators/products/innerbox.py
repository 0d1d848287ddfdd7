"""What stands in boxes: other products' printed cartons, plain inner boxes, wrapped bars, bottles, stacks of paper."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, UInt8

from ...sim.scene import Material, Part
from ..artwork import FONTS, Artwork, draw_artwork, draw_text, fractal_noise, toned
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..shapes import Mesh, box_panels, cap, end_ring, join, lathe, solid
from .board import rounded_block
from .boardprint import cut_edge, print_box, slit

Size = Float[np.ndarray, "3"]
Picture = UInt8[np.ndarray, "h w 3"]
INNER_PX = 640
"""Side of the texture of what is packed: it is seen through an opening, or lies beside its box."""
CATEGORIES = ("tea", "biscuits", "soap", "cosmetics", "electronics", "toys", "candles", "cream", "tablets", "batteries")
"""What is sent in parcels."""
BOARD = ((196, 158, 116), (226, 224, 217), (172, 168, 160))
"""Kraft, white and grey board [sRGB]."""


def inner_design(design: Design, what: str) -> Design:
    """The design of what a package holds: another product's, and its own for each package."""
    return replace(design, family=f"{design.family} {what}", images=(), flash=None, edition=0, changed=(), grow=1.0)


def _atlas(size: Size, side_px: int = INNER_PX) -> Atlas:
    return pack_atlas(
        [(1000 * float(np.linalg.norm(u)), 1000 * float(np.linalg.norm(v))) for _, u, v in box_panels(size)], side_px
    )


def _block(
    size: Size, name: str, atlas: Atlas, pictures: list[UInt8[np.ndarray, "_ _ 3"]], *, round_m: float, gloss: float
) -> Part:
    mesh = rounded_block(size, min(round_m, 0.2 * float(size.min())), steps=2, inner=2)
    material = Material(name, (1.0, 1.0, 1.0), 0.0, gloss, paint_atlas(atlas, pictures))
    return solid(mesh, name, material, atlas=atlas)


def printed_box(size: Size, name: str, design: Design) -> Part:
    """A shop's carton of some other product."""
    rng = stream(design, "layout")
    category = str(rng.choice(CATEGORIES))
    art = draw_artwork(design, category, net=f"{5 * max(1, round(float(np.prod(size)) * 6e4))} g")
    atlas = _atlas(size)
    pictures = [picture.copy() for picture in print_box(art, atlas, np.zeros(2))]
    for end in pictures[4:]:
        cut_edge(end, atlas.patches[4].px_per_mm, "bottom", (214, 210, 202))
    return _block(size, name, atlas, pictures, round_m=0.0012, gloss=float(rng.uniform(0.25, 0.6)))


def _bare_board(rng: np.random.Generator, width: int, height: int, ground: tuple[int, int, int]) -> Picture:
    noise = fractal_noise(rng, max(height // 2, 2), max(width // 4, 2), cell_px=9.0, octaves=3).astype(np.float32)
    wide = np.repeat(np.repeat(noise, 2, axis=0), 4, axis=1)[:height, :width]
    padded = np.pad(wide, ((0, height - wide.shape[0]), (0, width - wide.shape[1])), mode="edge")
    return toned(0.02 * padded, np.array(ground, float))


def plain_box(size: Size, name: str, design: Design) -> Part:
    """An unprinted inner box: flaps that meet on top, a brand or a type number in one ink on two of its sides."""
    rng, words = stream(design, "layout"), stream(design, "words")
    art = draw_artwork(design, "electronics", net="1")
    atlas, ground = _atlas(size), BOARD[int(rng.integers(len(BOARD)))]
    ink = (38, 36, 34) if rng.random() < 0.6 else art.accent
    number = f"{art.brand[:3].upper()}-{int(words.integers(100, 9999))}"
    pictures = []
    for panel, patch in enumerate(atlas.patches):
        width, height = patch.picture_size
        picture = _bare_board(rng, width, height, ground).copy()
        if panel in (0, 2):
            picture = draw_text(picture, art.brand, _share((width, height), 0.1, 0.15, 0.8, 0.3), ink, FONTS[0])
            picture = draw_text(picture, number, _share((width, height), 0.3, 0.6, 0.4, 0.15), ink, FONTS[3])
        if panel > 3:
            scale, deep, wide = patch.px_per_mm, height / patch.px_per_mm, width / patch.px_per_mm
            picture = picture.copy()
            slit(picture, scale, [(0.0, deep / 2), (wide, deep / 2)], ground, width_mm=0.8)
        pictures.append(picture)
    return _block(size, name, atlas, pictures, round_m=0.0016, gloss=0.9)


def _share(size: tuple[int, int], x: float, y: float, w: float, h: float) -> tuple[int, int, int, int]:
    width, height = size
    return int(x * width), int(y * height), max(1, int(w * width)), max(1, int(h * height))


def wrapped_bar(size: Size, name: str, art: Artwork) -> Part:
    """Soap or candles in printed paper, of the same brand as the carton round them."""
    atlas = _atlas(size, INNER_PX // 2)
    return _block(size, name, atlas, print_box(art, atlas, np.zeros(2)), round_m=0.003, gloss=0.4)


def paper_stack(size: Size, name: str, rng: np.random.Generator) -> Part:
    """Folded tissues: layer upon layer at the sides, one soft fold on top."""
    atlas = _atlas(size, INNER_PX // 2)
    pictures = []
    for panel, patch in enumerate(atlas.patches):
        width, height = patch.picture_size
        tone = 0.05 * rng.standard_normal((height, 1)) if panel < 4 else 0.01 * rng.standard_normal((height, width))
        waves = 0.05 * fractal_noise(rng, height, width, cell_px=24.0, octaves=3)
        pictures.append(toned((tone + waves).astype(np.float32), np.array([236.0, 235, 231])))
    return _block(size, name, atlas, pictures, round_m=0.004, gloss=0.95)


def bottle(size: Size, tone: tuple[float, float, float], art: Artwork) -> list[Part]:
    """A plastic bottle as tall as the space: coloured through, with a printed label round it and a ribbed cap."""
    r, h = 0.48 * float(size[:2].min()), float(size[2])
    rise = np.array([0, 0.02, 0.06, 0.5, 0.72, 0.78, 0.82])
    wide = np.array([0.85, 0.97, 1, 1, 1, 0.8, 0.45])
    body = _closed(lathe(np.stack([r * wide, h * rise], axis=1), 1.0, panel=0, sectors=40), r / 3)
    lid = _closed(lathe(np.array([(0.5 * r, 0.825 * h), (0.5 * r, 0.99 * h)]), 1.0, panel=0, sectors=40), r / 3)
    band = lathe(np.array([(1.004 * r, 0.14 * h), (1.004 * r, 0.64 * h)]), 1.0, panel=0, sectors=40)
    atlas = pack_atlas([(2000 * np.pi * r, 500 * h)], INNER_PX, wrap=(0,))
    patch = atlas.patches[0]
    width, height = patch.picture_size
    boxes = print_box(art, _label_atlas(r, h), np.zeros(2))
    label = np.concatenate(boxes[:4], axis=1)
    picture = label[:, np.linspace(0, label.shape[1] - 1, width).astype(int)]
    picture = picture[np.linspace(0, len(label) - 1, height).astype(int)]
    print_ = Material("bottle label", (1.0, 1.0, 1.0), 0.0, 0.35, paint_atlas(atlas, [picture]))
    return [
        solid(body, "bottle", Material("bottle", tone, 0.0, 0.25)),
        solid(band, "bottle label", print_, atlas=atlas),
        solid(lid, "bottle cap", Material("bottle cap", (0.85, 0.85, 0.83), 0.0, 0.35)),
    ]


def _label_atlas(r: float, h: float) -> Atlas:
    """Four panels round a bottle; the label's picture is painted flat."""
    side = np.pi * r / 2
    return _atlas(np.array([1.25 * side, 0.75 * side, 0.5 * h]))


def _closed(body: Mesh, step: float) -> Mesh:
    return join([body, *(cap(end_ring(body, top=top), step, panel=0, up=top) for top in (False, True))])
