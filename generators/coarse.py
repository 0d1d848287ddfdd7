"""Walls at their material's spacing, however finely they are drawn: there damages are aimed and walls are pressed.

A place that is drawn among the faces of a mesh is another one on another mesh, and a wall folds as widely as its mesh.
Where both happen on the base of a wall, what is measured does not depend on how finely the wall is divided.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from .cut import divide_sheet
from .mesh import Base, Sheet, base_of, face_areas, face_normals
from .products.product import Product

SAME_AREA = 1e-6
"""Relative difference of what is gone of a sheet and of its base: if it is larger, the sheet was cut since."""


def divide_product(product: Product, share: float) -> Product:
    """Put the vertices of all walls ``share`` of their material's spacing apart, at most; 1 leaves them alone."""
    return (
        replace(product, sheets=tuple(divide_sheet(sheet, share) for sheet in product.sheets)) if share < 1 else product
    )


def _lost(sheet: Sheet) -> float:
    """Area [m²] of what is gone."""
    return float(face_areas(sheet.rest, sheet.faces[sheet.removed]).sum())


def coarse_sheet(sheet: Sheet) -> Sheet:
    """A sheet as it lies now, with the vertices of its base alone: those that it has first."""
    base = base_of(sheet)
    if base is None:
        return sheet
    n, mesh = len(base.sheet.vertices), base.sheet
    coarse = replace(
        sheet, vertices=sheet.vertices[:n], rest=sheet.rest[:n], marks=sheet.marks[:n], faces=mesh.faces, uv=mesh.uv,
        material=mesh.material, panel=mesh.panel, removed=mesh.removed, base=None,
    )  # fmt: skip
    if not sheet.removed.any() and not coarse.removed.any():
        return coarse
    same = abs(_lost(sheet) - _lost(coarse)) <= SAME_AREA * _lost(sheet)
    return coarse if same else sheet


def coarse_product(product: Product) -> Product:
    """A product with the bases of its sheets; the same one if none was divided."""
    sheets = tuple(coarse_sheet(sheet) for sheet in product.sheets)
    same = all(a is b for a, b in zip(sheets, product.sheets, strict=True))
    return product if same else replace(product, sheets=sheets)


def _spread(base: Base, values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "v k"]:
    """What is known at the base's vertices, at all: the interpolation by which they came about."""
    for new in base.divisions:
        t = new.at[:, None]
        values = np.concatenate([values, (1 - t) * values[new.ends[:, 0]] + t * values[new.ends[:, 1]]])
    return values


def _follow(sheet: Sheet, before: Sheet, after: Sheet) -> Sheet:
    base = base_of(sheet)
    if before is sheet or base is None:
        return after
    if after is before:
        return sheet
    n = len(before.vertices)
    vertices = sheet.vertices + _spread(base, after.vertices - before.vertices)
    marks = np.maximum(sheet.marks, _spread(base, after.marks))
    vertices[:n] = after.vertices  # not but for rounding
    return replace(sheet, vertices=vertices, marks=marks)


def follow_base(product: Product, before: Product, after: Product) -> Product:
    """What was pressed, with all the vertices that the product has. ``before`` is its coarse form."""
    if before is product:
        return after
    rows = zip(product.sheets, before.sheets, after.sheets, strict=True)
    return replace(after, sheets=tuple(_follow(*row) for row in rows))


def face_at(sheet: Sheet, coarse: Sheet, face: int, at: Float[np.ndarray, "3"]) -> int:
    """Which face of a sheet holds a pristine point of a face of its base; the face itself if it was not divided."""
    if coarse is sheet:
        return face
    corners = coarse.rest[coarse.faces[face]]
    at = at + 1e-4 * (corners.mean(axis=0) - at)  # off the edges, so that one face has it
    normals = face_normals(sheet.rest, sheet.faces)
    sizes = np.maximum(np.linalg.norm(normals, axis=1), 1e-30)
    units = normals / sizes[:, None]
    least = np.full(len(units), np.inf)
    for k in range(3):
        a, b = (sheet.rest[sheet.faces[:, m]] for m in (k, (k + 1) % 3))
        least = np.minimum(least, np.einsum("ij,ij->i", np.cross(b - a, at - a), units) / np.sqrt(sizes))
    off = np.abs(np.einsum("ij,ij->i", at - sheet.rest[sheet.faces[:, 0]], units))
    own = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    turned = units @ (own / np.linalg.norm(own)) < 0.5
    return int(np.argmin(np.maximum(-least, 0) + off + turned))


def weights_at(corners: Float[np.ndarray, "3 3"], at: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """Barycentric coordinates of a point of a triangle."""
    weights = np.linalg.lstsq(np.concatenate([corners.T, np.ones((1, 3))]), np.append(at, 1.0), rcond=None)[0]
    return np.clip(weights, 0, 1) / np.clip(weights, 0, 1).sum()
