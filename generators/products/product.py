"""What a product family builds: sheets that can be damaged, contents, and what a catalogue says about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from ...sim.scene import Part
from ..mesh import Sheet


@dataclass(frozen=True)
class Product:
    """One product in its item frame: z up, standing on z = 0, centred on the z axis."""

    item_identifier: str
    family: str
    shape: Literal["box", "round"]
    """Where a fall or a push meets it: corners, edges and faces, or rims and sides; and how it can stand."""
    packaging: Literal["outer", "primary"]
    """Primary packaging holds the product itself: the same dent is worse there."""
    item_material: str
    """Kaputt's name."""
    sheets: tuple[Sheet, ...]
    contents: tuple[Part, ...]
    core: Float[np.ndarray, "2 3"] | None
    """Box [m] that the contents fill and that a wall cannot be pushed into; None if they give way."""
    attributes: Mapping[str, Any]
    """category, title, dimensions_mm, catalogue_mass_g, expected_units."""
