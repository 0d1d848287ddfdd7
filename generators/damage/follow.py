"""What is joined to a wall goes with it when the wall is pushed in: labels, caps, soft contents."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from ...sim.scene import Kind, Part, kind_bit
from ..mesh import Sheet, corner_normals
from ..products.product import Product

NEIGHBOURS, FADE_M = 6, 0.02
"""A point follows its nearest points of the wall; beyond some 20 mm it stays where it is."""


def _carry(
    wall: Float[np.ndarray, "v 3"], moved: Float[np.ndarray, "v 3"], points: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    distance, near = KDTree(wall).query(points, k=NEIGHBOURS)
    weight = 1 / (distance + 1e-4) ** 2
    share = np.exp(-((distance[:, :1] / FADE_M) ** 2))
    way = (weight[..., None] * moved[near]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    return points + share * way


def _follow_sheet(sheet: Sheet, wall, moved, limit_m: float, bit: int) -> Sheet:
    vertices = _carry(wall, moved, sheet.vertices)
    marks = sheet.marks.copy()
    marks[:, bit] = np.maximum(marks[:, bit], np.linalg.norm(vertices - sheet.vertices, axis=1) / limit_m)
    return replace(sheet, vertices=vertices, marks=marks)


def _follow_part(part: Part, wall, moved, limit_m: float, kind: Kind) -> Part:
    vertices = _carry(wall, moved, part.vertices)
    far = np.linalg.norm(vertices - part.vertices, axis=1)[part.faces].max(axis=1) >= limit_m
    if not far.any():
        return part
    damage = part.damage | np.where(far, kind_bit(kind), 0).astype(np.uint8)
    normals = corner_normals(vertices, part.faces, crease_deg=35.0)
    return replace(part, vertices=vertices, normals=normals, damage=damage)


def follow_wall(product: Product, after: Sheet, *, limit_m: float, kind: Kind, bit: int) -> Product:
    """Put ``after`` in place of the main wall and take along what is joined to it.

    The units of a set, and contents that push back (``core``), are rigid and stay. Points that move further than
    ``limit_m`` are labelled.
    """
    before = product.sheets[0]
    moved = after.vertices - before.vertices
    if not np.any(np.abs(moved) > 1e-7):
        return replace(product, sheets=(after, *product.sheets[1:]))
    others = tuple(
        _follow_sheet(s, before.vertices, moved, limit_m, bit) if s.item == before.item else s
        for s in product.sheets[1:]
    )
    rigid = product.core is not None
    contents = tuple(
        part if rigid or part.item != before.item else _follow_part(part, before.vertices, moved, limit_m, kind)
        for part in product.contents
    )
    return replace(product, sheets=(after, *others), contents=contents)
