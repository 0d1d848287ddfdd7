"""Printed panels: label art, shipping labels, stamps. Pictures are sRGB uint8, row 0 on top."""

from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from ..design import Design, stream
from .artwork import Artwork, PanelKind
from .noise import fractal_noise

FONTS = ("DejaVuSans-Bold", "DejaVuSans", "DejaVuSerif-Bold", "DejaVuSansMono-Bold", "DejaVuSans-BoldOblique")
"""Bitstream Vera derivatives that matplotlib ships; their licence allows use in pictures."""
SYLLABLES = [
    "ba",
    "bo",
    "bri",
    "ca",
    "chi",
    "co",
    "da",
    "del",
    "do",
    "fa",
    "fi",
    "gra",
    "ja",
    "ka",
    "ki",
    "la",
    "lo",
    "lu",
    "ma",
    "mi",
    "mo",
    "na",
    "ni",
    "no",
    "pa",
    "pi",
    "po",
    "ra",
    "ri",
    "ro",
    "sa",
    "so",
    "ta",
    "to",
    "va",
    "vi",
    "za",
]
WORDS = [
    "crunchy",
    "classic",
    "original",
    "family",
    "pack",
    "natural",
    "fresh",
    "quick",
    "gourmet",
    "extra",
    "light",
    "spicy",
    "sweet",
    "organic",
    "premium",
]
GOODS = [
    "biscuits",
    "tea",
    "pasta",
    "cereal",
    "soap",
    "rice",
    "crackers",
    "cocoa",
    "batteries",
    "tissues",
    "coffee",
    "snacks",
    "muesli",
    "candles",
]

Rgb = tuple[int, int, int]


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size)


def draw_text(
    picture: UInt8[np.ndarray, "h w 3"], text: str, box: tuple[int, int, int, int], color: Rgb, font: str
) -> UInt8[np.ndarray, "h w 3"]:
    """Write text as large as fits into box (x, y, width, height), in pixels."""
    x, y, width, height = box
    probe = _font(font, 100).getbbox(text)
    scale = min(width / max(probe[2], 1), height / max(probe[3], 1))
    size = int(100 * scale)
    if size < 4:
        return picture
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text((x, y), text, fill=color, font=_font(font, size))
    return np.asarray(image)


def brand_name(rng: np.random.Generator) -> str:
    """A made-up brand."""
    return "".join(rng.choice(SYLLABLES, size=int(rng.integers(2, 4)))).upper()


def product_title(rng: np.random.Generator) -> str:
    """A made-up product title, as a catalogue has it."""
    return f"{rng.choice(WORDS)} {rng.choice(GOODS)}".capitalize()


def _hsv(hue: float, saturation: float, value: float) -> Rgb:
    pixel = np.array([[[hue * 179, saturation * 255, value * 255]]], np.uint8)
    r, g, b = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
    return int(r), int(g), int(b)


def draw_ink(rng: np.random.Generator, low: float, high: float) -> Rgb:
    """An ink whose channels lie between low and high."""
    r, g, b = rng.uniform(low, high, 3)
    return int(r), int(g), int(b)


def palette(rng: np.random.Generator) -> tuple[Rgb, Rgb, Rgb]:
    """Ground, accent and ink of one design."""
    hue = rng.random()
    white = rng.random() < 0.3
    ground = _hsv(hue, 0.08 * rng.random(), 0.95) if white else _hsv(hue, rng.uniform(0.3, 0.95), rng.uniform(0.4, 1))
    accent = _hsv((hue + rng.uniform(0.2, 0.8)) % 1, rng.uniform(0.5, 1), rng.uniform(0.5, 1))
    ink: Rgb = (25, 25, 30) if sum(ground) > 380 else (245, 245, 240)
    return ground, accent, ink


def draw_bars(picture: UInt8[np.ndarray, "h w 3"], box: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    """A bar code's looks (random modules; it does not scan), with its white quiet zone."""
    x, y, width, height = box
    picture[y : y + height, x : x + width] = 250
    modules = np.repeat(rng.integers(0, 2, 48), 1)
    inner = np.linspace(x + width * 0.08, x + width * 0.92, 49).astype(int)
    for k in np.flatnonzero(modules):
        picture[y + height // 12 : y + height - height // 5, inner[k] : inner[k + 1]] = 15


def _blobs(picture: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator, colors: tuple[Rgb, ...]) -> None:
    """Overlapping round things in the label's colours, shaded a little: stands for a picture of the food."""
    height, width = picture.shape[:2]
    cx, cy = rng.uniform(0.25, 0.75) * width, rng.uniform(0.45, 0.75) * height
    for _ in range(int(rng.integers(3, 12))):
        at = (int(cx + rng.normal() * width * 0.12), int(cy + rng.normal() * height * 0.12))
        size = int(rng.uniform(0.05, 0.16) * min(height, width)) + 1
        color = np.array(colors[int(rng.integers(len(colors)))])
        for ring in range(4):
            shade = np.clip(color * (0.7 + 0.15 * ring), 0, 255)
            shift = (at[0] - ring * size // 12, at[1] - ring * size // 12)
            cv2.circle(picture, shift, max(1, size * (4 - ring) // 4), shade.tolist(), -1, cv2.LINE_AA)


def draw_panel(
    rng: np.random.Generator,
    width: int,
    height: int,
    *,
    colors: tuple[Rgb, Rgb, Rgb],
    brand: str,
    title: str,
    kind: str,
) -> UInt8[np.ndarray, "h w 3"]:
    """One printed panel of a folding carton: ``front``, ``side`` or ``back``."""
    ground, accent, ink = colors
    art = np.empty((height, width, 3), np.uint8)
    art[:] = ground
    slope = np.linspace(rng.uniform(0.75, 1), rng.uniform(0.9, 1.1), height)[:, None, None]
    art = np.clip(art * slope, 0, 255).astype(np.uint8)
    band = int(rng.uniform(0.62, 0.8) * height)
    art[band : band + int(0.12 * height)] = accent
    if kind == "front":
        _blobs(art, rng, (accent, ink, _hsv(rng.random(), 0.7, 0.8)))
    font = FONTS[int(rng.integers(len(FONTS)))]
    art = draw_text(
        art, brand, (int(0.08 * width), int(0.07 * height), int(0.84 * width), int(0.26 * height)), ink, font
    )
    line = (int(0.08 * width), band + int(0.02 * height), int(0.8 * width), int(0.07 * height))
    art = draw_text(art, title, line, (20, 20, 20) if sum(accent) > 380 else (250, 250, 250), FONTS[1]).copy()
    if kind != "front":
        size = int(0.035 * height) + 3
        for row in range(int(0.4 * height), band - size, int(size * 1.4)):
            words = " ".join(rng.choice(SYLLABLES, size=24))
            art = draw_text(art, words, (int(0.08 * width), row, int(0.84 * width), size), ink, FONTS[1])
        art = art.copy()
    if kind == "back":
        draw_bars(art, (int(0.6 * width), int(0.82 * height), int(0.32 * width), int(0.15 * height)), rng)
    return art


def draw_kraft(rng: np.random.Generator, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    """Brown liner: fibres along one direction, faint flute lines, small dark specks."""
    ground = np.array([rng.uniform(165, 200), rng.uniform(125, 155), rng.uniform(85, 115)])
    fibre = fractal_noise(rng, height, width, cell_px=14.0, octaves=4)
    flutes = np.sin(np.arange(width) * 2 * np.pi / rng.uniform(7, 11))[None] * rng.uniform(0.2, 0.8)
    tone = 1 + 0.02 * fibre + 0.006 * flutes + 0.015 * fractal_noise(rng, height, width, cell_px=200.0, octaves=2)
    art = np.clip(ground * tone[..., None], 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(5, 60))):
        art[int(rng.integers(height)), int(rng.integers(width))] = ground * 0.6
    return art


def draw_shipping_label(rng: np.random.Generator, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    """A white label with an address, a routing code and bars."""
    art = np.full((height, width, 3), 244, np.uint8)
    for row in range(4):
        words = " ".join(rng.choice(SYLLABLES, size=5)).upper()
        art = draw_text(
            art, words, (width // 20, int((0.05 + 0.1 * row) * height), int(width * 0.6), height // 12), (20, 20, 20),
            FONTS[1],
        )  # fmt: skip
    code = f"{brand_name(rng)[:3]} {int(rng.integers(10, 99))}"
    art = draw_text(
        art, code, (int(width * 0.62), height // 20, width // 3, height // 4), (10, 10, 10), FONTS[0]
    ).copy()
    draw_bars(art, (width // 20, height // 2, int(width * 0.9), int(height * 0.42)), rng)
    art[:2], art[-2:], art[:, :2], art[:, -2:] = 90, 90, 90, 90
    return art


def draw_artwork(design: Design, category: str, *, net: str) -> Artwork:
    """Draw an edition's pack design for goods of a category."""
    words, colours = stream(design, "words"), stream(design, "colours")
    ground, accent, ink = palette(colours)
    brand, title = brand_name(words), f"{words.choice(WORDS)} {category}".capitalize()
    digits = [int(v) for v in words.integers(0, 10, 12)]
    check = -(sum(digits[::2]) + 3 * sum(digits[1::2])) % 10
    return Artwork(
        category=category, brand=brand, title=title, description=f"{title} by {brand.capitalize()}, {net}.", claims=(),
        ean="".join(str(d) for d in [*digits, check]), net=net, ground=ground, accent=accent, ink=ink,
        paper=(240, 238, 232), design=design,
    )  # fmt: skip


@lru_cache(maxsize=48)
def paint_panel(
    artwork: Artwork, kind: PanelKind, width_px: int, height_px: int, *, px_per_mm: float
) -> UInt8[np.ndarray, "h w 3"]:
    """Paint one panel; the same again for the same design."""
    rng = stream(artwork.design, "layout")
    old = {"front": "front", "back": "back", "wrap": "front", "label": "front"}.get(kind, "side")
    colors = artwork.ground, artwork.accent, artwork.ink
    return draw_panel(
        rng, max(width_px, 16), max(height_px, 16), colors=colors, brand=artwork.brand, title=artwork.title, kind=old
    )
