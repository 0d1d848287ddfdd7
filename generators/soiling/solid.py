"""Finished parts as sheets: lids, caps and the pieces of a loose set are spoilt the same way as walls.

They keep their mesh, so a speck that is smaller than its faces (some 3 mm²) may go without a label.
"""

from dataclasses import replace

import numpy as np

from ...sim.scene import KINDS, SURFACES, Part, kind_bit
from ..mesh import Mechanics, Sheet
from ..products.product import Product

SUPERFICIAL = KINDS.index("superficial")
UNREFINED = 9
"""Levels of a sheet that counts as fine enough: a finished part keeps its mesh."""
RIGID = Mechanics(1.0, 1e9, 0.0, 1.0)


def exposed_parts(product: Product) -> dict[int, Part]:
    """Contents that lie open: what closes the package (lids, caps), and units with no package round them."""
    moving = {name for hinge in product.hinges for name in hinge.moves}
    mine = product.sheets[0].item
    return {
        k: part
        for k, part in enumerate(product.contents)
        if (part.name in moving and part.item == mine) or (product.family == "loose_set" and part.item > mine)
    }


def as_sheet(part: Part) -> Sheet:
    """A part's outer side as a sheet that is neither refined nor finished; the rest of it counts as removed."""
    faces, n = part.faces, len(part.vertices)
    spare = tuple(replace(part.materials[0], name=f"{part.materials[0].name}_{side}") for side in ("inside", "edge"))
    return Sheet(
        name=part.name,
        vertices=part.vertices,
        rest=part.vertices,
        faces=faces,
        uv=part.uv,
        material=part.material,
        panel=np.zeros(len(faces), np.uint8),
        marks=np.zeros((n, len(KINDS))),
        removed=part.surface != SURFACES.index("outer"),
        materials=(*part.materials, *spare),
        mechanics=RIGID,
        thickness_mm=1.0,
        levels=UNREFINED,
        crease_deg=35.0,
        item=part.item,
    )


def welded(sheet: Sheet) -> Sheet:
    """Equal vertices made one, so that neighbours are found across the seams of a finished part."""
    key = np.round(sheet.rest / 1e-6).astype(np.int64)
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    points = sheet.rest[first]
    return replace(
        sheet, vertices=points, rest=points, faces=inverse.reshape(-1)[sheet.faces], marks=sheet.marks[first]
    )


def as_part(part: Part, sheet: Sheet) -> Part:
    """The part again, with the sheet's paint and labels."""
    painted = sheet.material >= len(part.materials)  # a corner across an edge is no reason to label a face
    spoilt = (sheet.marks[sheet.faces, SUPERFICIAL].max(axis=1) >= 1.0) & painted & ~sheet.removed
    damage = part.damage | np.where(spoilt, kind_bit("superficial"), 0).astype(np.uint8)
    return replace(part, uv=sheet.uv, material=sheet.material, materials=sheet.materials[:-2], damage=damage)
