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


def _rigidly(before: Float[np.ndarray, "n 3"], after: Float[np.ndarray, "n 3"]):
    """The rotation and shift that come nearest to a motion (Kabsch, 1976): ``p' = p @ R + t``."""
    from_centre, to_centre = before.mean(axis=0), after.mean(axis=0)
    u, _, vt = np.linalg.svd((before - from_centre).T @ (after - to_centre))
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    return u @ vt, to_centre - from_centre @ (u @ vt)


def _follow_sheet(sheet: Sheet, wall, moved, limit_m: float, bit: int) -> Sheet:
    vertices = _carry(wall, moved, sheet.vertices)
    marks = sheet.marks.copy()
    marks[:, bit] = np.maximum(marks[:, bit], np.linalg.norm(vertices - sheet.vertices, axis=1) / limit_m)
    return replace(sheet, vertices=vertices, marks=marks)


def _follow_part(part: Part, wall, moved, limit_m: float, kind: Kind, *, stiff: bool) -> Part:
    vertices = _carry(wall, moved, part.vertices)
    if stiff:  # a cap is moved, not bent: by what holds it, the part of it that is nearest to the wall
        distance, _ = KDTree(wall).query(part.vertices)
        held = distance <= np.quantile(distance, 0.3)
        R, t = _rigidly(part.vertices[held], vertices[held])
        vertices = part.vertices @ R + t
    far = np.linalg.norm(vertices - part.vertices, axis=1)[part.faces].max(axis=1) >= limit_m
    if not far.any():
        return part
    damage = part.damage | np.where(far, kind_bit(kind), 0).astype(np.uint8)
    normals = corner_normals(vertices, part.faces, crease_deg=35.0)
    return replace(part, vertices=vertices, normals=normals, damage=damage)


def gives_way(part: Part) -> bool:
    """Whether contents are dented together with the wall: a block of pages is."""
    return part.name == "pages"


def _is_core(product: Product, part: Part) -> bool:
    """Whether a part belongs to the rigid contents; padding round them does not."""
    if product.core is None or gives_way(part):
        return False
    low, high = product.core
    return bool((part.vertices > low - 0.001).all() and (part.vertices < high + 0.001).all())


def follow_wall(product: Product, after: Sheet, *, limit_m: float, kind: Kind, bit: int, index: int = 0) -> Product:
    """Put ``after`` in place of sheet ``index`` and take along what is joined to it.

    The units of a set, and contents that push back (``core``), are rigid and stay; caps and rings move, but do not
    bend. Points that move further than ``limit_m`` are labelled.
    """
    before = product.sheets[index]
    moved = after.vertices - before.vertices
    if not np.any(np.abs(moved) > 1e-7):
        return replace(product, sheets=(*product.sheets[:index], after, *product.sheets[index + 1 :]))
    sheets = tuple(
        after if k == index else _follow_sheet(s, before.vertices, moved, limit_m, bit) if s.item == before.item else s
        for k, s in enumerate(product.sheets)
    )
    closures = {name for hinge in product.hinges for name in hinge.moves}
    contents = tuple(
        part
        if part.item != before.item or _is_core(product, part)
        else _follow_part(part, before.vertices, moved, limit_m, kind, stiff=part.name in closures)
        for part in product.contents
    )
    return replace(product, sheets=sheets, contents=contents)
