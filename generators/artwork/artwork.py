"""A product's pack design as plain values: what is printed on it, in which words, inks and letters."""

from dataclasses import dataclass
from typing import Literal

from ..design import Design
from .inks import Ink
from .words import Copy

PanelKind = Literal["front", "back", "side", "top", "bottom", "wrap", "spine", "label", "plain"]
"""front: brand, title, picture, claims; back: story, ingredients, nutrition, barcode; side: texts and pictograms; top
and bottom: brand or code and date; wrap: front, back and small print side by side, around a body; spine: a book's or a
sachet's narrow side; label: a small sticker-like front; plain: the ground alone."""


@dataclass(frozen=True)
class Press:
    """How one product's print run differs from the proof; mild, as in a shop."""

    channel: int
    """Which of red, green, blue stands for the ink that is off register."""
    shift_mm: tuple[float, float]
    banding: float
    """Relative unevenness along the web."""
    gain: float
    """Exponent: above 1 the dots have grown and mid tones are darker."""
    fade: float
    """Share of the paper that shows through."""
    marks: bool
    """Colour strip and cross at a flap."""


@dataclass(frozen=True)
class Look:
    """How a pack is laid out."""

    ground: str
    hero: str
    """How the picture's things lie: heap, few, air, close; or none."""
    logo: str
    plaque: str
    badge: str
    frame: str
    variant: str
    align: float
    tilt_deg: float
    brand_font: str
    name_font: str
    text_font: str
    picture_seed: int
    flank: str
    """Ground of the narrow sides: ground, accent or paper."""
    code_scale: float
    """Magnification of the EAN."""
    press: Press
    run: str = ""
    """What runs over the pack's folds: ground, picture, belt, title, or nothing."""


@dataclass(frozen=True)
class Artwork:
    """One edition's pack design. Hashable, so that what is painted from it is cached by content."""

    category: str
    brand: str
    title: str
    description: str
    claims: tuple[str, ...]
    ean: str
    """13 digits, the last a valid check digit; the prefix 20 to 29 is never a real product's."""
    net: str
    """What the pack says it holds: ``250 g``, ``10 pieces``."""
    ground: Ink
    accent: Ink
    ink: Ink
    paper: Ink
    """The unprinted stock."""
    design: Design
    """The edition's; its specimen is always 0, as all pieces of a product are printed alike."""
    copy: Copy
    look: Look
    maker: str
    """Name and address."""
    lot: str
    best_before: str
