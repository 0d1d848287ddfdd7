"""What fixes one product's looks: its place in the recipe, its edition, and the streams of randomness drawn from them.

A product is the same thing for ever; its packaging is not. An edition may change the artwork, the colours or the shape,
or give more for the same money. Each stream of a design is keyed by the edition that last changed it, so whatever an
edition leaves alone stays as it was, to the byte.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..sim.seed import generator_for

Purpose = Literal["shape", "words", "layout", "colours", "specimen"]
"""shape: size and form; words: brand, title, texts, codes; layout: where and how it is printed; colours: inks, gloss;
specimen: what differs from one piece to the next of the same product (bow, wrinkles, print register, dust)."""

CHANGES = ("layout", "colours", "more", "shape")
"""What a new edition may change: the artwork, its colours, "20 % more", the shape."""
MORE = 1.2


@dataclass(frozen=True)
class Design:
    """One edition of one product (and one specimen of it)."""

    seed: int
    """The recipe's."""
    number: int
    """The product's number within its family."""
    family: str
    edition: int = 0
    changed: tuple[tuple[str, int], ...] = ()
    """(purpose, edition that last changed it); a purpose that is not named is as in edition 0."""
    grow: float = 1.0
    """Contents relative to edition 0: 1.2 after "20 % more"."""
    flash: str | None = None
    """Words that the edition prints across the front: ``NEW``, ``+20 %``."""
    specimen: int = 0
    """Which piece of the product: the capture's index."""
    texture_px: int = 1024
    """Side of the square artwork texture."""
    images: tuple[Path, ...] = ()
    """A user's pictures to print; our own procedural ones if there are none."""
    fonts: tuple[Path, ...] = ()
    """A user's typefaces for brands and names; our own if there are none."""


def stream(design: Design, purpose: Purpose) -> np.random.Generator:
    """Open a stream of randomness; the same again for the same design and purpose."""
    key = dict(design.changed).get(purpose, 0)
    which = f" {design.specimen}" if purpose == "specimen" else ""
    return generator_for(design.seed, design.number, f"product {design.family} {purpose} {key}{which}")


def next_edition(design: Design) -> Design:
    """Draw what the following edition changes."""
    edition = design.edition + 1
    rng = generator_for(design.seed, design.number, f"product {design.family} edition {edition}")
    change = str(rng.choice(CHANGES, p=[0.35, 0.35, 0.15, 0.15]))
    changed, grow, flash = dict(design.changed), design.grow, None
    if change == "more":
        grow, flash = grow * MORE, "+20 %"
    else:
        changed[change] = edition
        if change == "layout":
            changed["colours"] = edition if rng.random() < 0.4 else changed.get("colours", 0)
        if rng.random() < 0.5:
            flash = str(rng.choice(["NEW", "NEW LOOK", "NEW RECIPE", "IMPROVED"]))
    return Design(
        design.seed, design.number, design.family, edition, tuple(sorted(changed.items())), grow, flash,
        design.specimen, design.texture_px, design.images, design.fonts,
    )  # fmt: skip
