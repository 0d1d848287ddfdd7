"""What is printed on packages: words, codes, pictures and panels, as sRGB uint8 pictures with row 0 on top."""

from .artwork import Artwork, PanelKind
from .fonts import FONTS, draw_text
from .inks import Ink, draw_ink
from .looks import draw_artwork
from .noise import fractal_noise
from .panels import paint_panel
from .runs import cut_sheet, paint_column, paint_walls, paste_seal, run_of
from .shipping import draw_handwriting, draw_kraft, draw_shipping_label, draw_sticker, toned
from .words import brand_name

__all__ = [
    "FONTS",
    "Artwork",
    "Ink",
    "PanelKind",
    "brand_name",
    "cut_sheet",
    "draw_artwork",
    "draw_handwriting",
    "draw_ink",
    "draw_kraft",
    "draw_shipping_label",
    "draw_sticker",
    "draw_text",
    "fractal_noise",
    "paint_column",
    "paint_panel",
    "paint_walls",
    "paste_seal",
    "run_of",
    "toned",
]
