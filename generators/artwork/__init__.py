"""What is printed on packages: words, codes, pictures and panels, as sRGB uint8 pictures with row 0 on top."""

from .artwork import Artwork, Ink, PanelKind
from .noise import fractal_noise
from .panels import (
    FONTS,
    brand_name,
    draw_artwork,
    draw_ink,
    draw_kraft,
    draw_shipping_label,
    draw_text,
    paint_panel,
)

__all__ = [
    "FONTS",
    "Artwork",
    "Ink",
    "PanelKind",
    "brand_name",
    "draw_artwork",
    "draw_ink",
    "draw_kraft",
    "draw_shipping_label",
    "draw_text",
    "fractal_noise",
    "paint_panel",
]
