"""A product's pack design as plain values: what is printed on it, in which words, inks and letters."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from ..design import Design

Ink = tuple[int, int, int]
"""sRGB."""
PanelKind = Literal["front", "back", "side", "top", "bottom", "wrap", "spine", "label", "plain"]
"""front: brand, title, picture, claims; back: story, ingredients, nutrition, barcode; side: texts and pictograms; top and
bottom: brand or code and date; wrap: front, back and small print side by side, around a body; spine: a book's or a
sachet's narrow side; label: a small sticker-like front; plain: the ground alone."""


@dataclass(frozen=True)
class Artwork:
    """One edition's pack design. Hashable, so that what is painted from it is cached by content."""

    category: str
    brand: str
    title: str
    description: str
    claims: tuple[str, ...]
    ean: str
    """13 digits, the last a valid check digit."""
    net: str
    """What the pack says it holds: ``250 g``, ``10 pieces``."""
    ground: Ink
    accent: Ink
    ink: Ink
    paper: Ink
    """The unprinted stock."""
    design: Design
