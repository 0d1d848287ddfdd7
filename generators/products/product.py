"""What a product family builds: sheets that can be damaged, contents, hinges, and what a catalogue says about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel

from ...sim.scene import Part
from ..artwork import Artwork
from ..design import Design
from ..mesh import Sheet

Point = tuple[float | int, float | int, float | int]


@dataclass(frozen=True)
class Hinge:
    """Something of a sheet (or a whole part) that opens: a flap, a lid, a cap."""

    name: str
    moves: tuple[str, ...]
    """Panels of ``sheets[0]``, or names of other sheets and of contents, that move together."""
    a: Point
    b: Point
    """Ends of the axis [m]; opening turns by the right-hand rule about a → b (a screw turns about it and comes off)."""
    limit_deg: float | int
    """How far it opens; 0 for what comes off (a screw cap, a film lid)."""
    closed_by: Literal["tuck", "glue", "tape", "seal", "snap", "screw", "crimp", "fold"]


@dataclass(frozen=True)
class Product:
    """One product in its item frame: z up, standing on z = 0, centred on the z axis."""

    item_identifier: str
    family: str
    shape: Literal["box", "round", "soft"]
    """Where a fall or a push meets it: corners, edges and faces; rims and sides; or it gives way, as bags do."""
    packaging: Literal["outer", "primary", "product"]
    """Primary packaging holds the product itself: the same dent is worse there, and worst on the bare product."""
    item_material: str
    """Kaputt's name."""
    sheets: tuple[Sheet, ...]
    """The first is the wall that damage meets; the others follow it, or belong to units."""
    contents: tuple[Part, ...]
    """Finished parts: what is inside, and what is rigid (caps, units of a set, item numbers 2, 3, …)."""
    core: Float[np.ndarray, "2 3"] | None
    """Box [m] that the contents fill and that a wall cannot be pushed into; None if they give way."""
    attributes: Mapping[str, Any]
    """category, brand, title, description, dimensions_mm, catalogue_mass_g, expected_units, ean."""
    mass_g: float
    """What this specimen weighs, with everything in it."""
    hinges: tuple[Hinge, ...] = ()
    lookalikes: tuple[str, ...] = ()
    """What of it could be taken for damage and is not, e.g. ``window``, ``hang_hole``, ``folds``; sorted."""
    fill_ml: float = 0.0
    """Liquid, powder or granules that could run out; 0 if nothing can."""
    gone: tuple[Part, ...] = ()
    """Finished parts that the item has lost (a missing unit), where they would be: never drawn, only labelled."""
    brittle: bool = False
    """Breaks instead of denting (glass): nothing that bends plastically applies."""


Build = Callable[[str, Any, Design], Product]
"""``build(item_identifier, config, design)``; all randomness comes from the design's streams."""
Family = tuple[type[BaseModel], Build]


def catalogue_entry(
    artwork: Artwork, *, category: str, size_m: Float[np.ndarray, "3"], mass_g: float, units: int = 1
) -> dict[str, Any]:
    """What a shop's catalogue says about a product: the manifest's attribute columns."""
    return {
        "category": category,
        "brand": artwork.brand,
        "title": artwork.title,
        "description": artwork.description,
        "ean": artwork.ean,
        "dimensions_mm": tuple(round(1000 * float(v), 1) for v in size_m),
        "catalogue_mass_g": float(round(mass_g)),
        "expected_units": units,
        "edition": artwork.design.edition,
    }
