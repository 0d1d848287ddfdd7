"""What gives way lies flat: the underside of a soft pack settles on the floor before anything else happens to it."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from ..sim.scene import Part
from .mesh import Relief, Sheet, face_areas
from .products.product import Hinge, Product

FLAT = 0.04
"""Slope of the pressed layer: not 0, so that wall and contents keep their order and their gap, only much smaller."""
SPREAD = 0.006
"""Relative growth of the footprint."""


@dataclass(frozen=True)
class _Press:
    """The map of a settled pack: its lowest layer ends flat, what is above comes down on it, it spreads a little."""

    R: Float[np.ndarray, "3 3"]
    """``p_world = R @ p_item``: how the pack lies."""
    floor: float
    """Lowest height of the pack, along the world's z [m]."""
    reach: float
    """Height of the layer that ends nearly flat [m]; above twice that height the pack keeps its form."""
    middle: Float[np.ndarray, "2"]
    """Level point from which it spreads [m]."""
    sink: float = 0.0
    """By how much the pack comes down, over ``reach``."""


def _profile(press: _Press, z: Float[np.ndarray, " n"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """New height over old height above the floor, and its slope: flat, then a cubic that ends with slope 1."""
    t = np.clip((z - press.reach) / press.reach, 0.0, 1.0)
    t2, t3 = t * t, t * t * t
    # Cubic Hermite from (1, FLAT) with slope FLAT to (2, 2 - sink) with slope 1, in units of reach.
    end = 2 - press.sink
    height = (2 * t3 - 3 * t2 + 1) * FLAT + (t3 - 2 * t2 + t) * FLAT + (3 * t2 - 2 * t3) * end + (t3 - t2)
    slope = (6 * t2 - 6 * t) * FLAT + (3 * t2 - 4 * t + 1) * FLAT + (6 * t - 6 * t2) * end + (3 * t2 - 2 * t)
    low, high = z <= press.reach, z >= 2 * press.reach
    out = np.where(low, FLAT * z, np.where(high, z - press.sink * press.reach, press.reach * height))
    return out, np.where(low, FLAT, np.where(high, 1.0, slope))


def _widen(press: _Press, z: Float[np.ndarray, " n"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Sideways scale over old height, and its slope [1/m]."""
    t = np.clip(z / (2 * press.reach), 0.0, 1.0)
    fade = (1 - t) ** 2 * (1 + 2 * t)
    slope = np.where((z > 0) & (t < 1), -6 * t * (1 - t) / (2 * press.reach), 0.0)
    return 1 + SPREAD * fade, SPREAD * slope


def _level(press: _Press, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Into the frame of the press: z above the floor, x and y from the middle."""
    world = points @ press.R.T
    return world - np.array([*press.middle, press.floor])


def _unlevel(press: _Press, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    return (points + np.array([*press.middle, press.floor])) @ press.R


def _pressed(press: _Press, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    q = _level(press, points)
    wide = _widen(press, q[:, 2])[0]
    return _unlevel(press, np.stack([q[:, 0] * wide, q[:, 1] * wide, _profile(press, q[:, 2])[0]], axis=1))


def _unpressed(press: _Press, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Inverse of ``_pressed``: a table, then Newton."""
    q = _level(press, points)
    table = np.linspace(0, 2 * press.reach, 257)
    end = (2 - press.sink) * press.reach
    z = np.where(q[:, 2] < 0, q[:, 2] / FLAT, q[:, 2] + press.sink * press.reach)
    inside = (q[:, 2] >= 0) & (q[:, 2] < end)
    guess = np.interp(q[inside, 2], _profile(press, table)[0], table)
    for _ in range(3):
        height, slope = _profile(press, guess)
        guess = guess - (height - q[inside, 2]) / slope
    z[inside] = guess
    wide = _widen(press, z)[0]
    return _unlevel(press, np.stack([q[:, 0] / wide, q[:, 1] / wide, z], axis=1))


def _pressed_normals(
    press: _Press, at: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    """Normals go with the inverse transpose of the map's Jacobian."""
    q, n = _level(press, at), normals @ press.R.T
    wide, grows = _widen(press, q[:, 2])
    slope = _profile(press, q[:, 2])[1]
    x, y = n[:, 0] / wide, n[:, 1] / wide
    out = np.stack([x, y, (n[:, 2] - grows * (q[:, 0] * x + q[:, 1] * y)) / slope], axis=1)
    return (out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-30)) @ press.R


def _relief_after(press: _Press, relief: Relief) -> Relief:
    """Fine form is drawn where the wall was before it settled."""

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        return relief(_unpressed(press, points))

    return height


def _press_sheet(press: _Press, sheet: Sheet) -> Sheet:
    relief = None if sheet.relief is None else _relief_after(press, sheet.relief)
    return replace(
        sheet, vertices=_pressed(press, sheet.vertices), rest=_pressed(press, sheet.rest), relief=relief
    )  # fmt: skip


def _press_part(press: _Press, part: Part) -> Part:
    corners = part.triangles.reshape(-1, 3)
    normals = _pressed_normals(press, corners, part.normals.reshape(-1, 3)).reshape(-1, 3, 3)
    return replace(part, vertices=_pressed(press, part.vertices), normals=normals)


def _press_hinge(press: _Press, hinge: Hinge) -> Hinge:
    (ax, ay, az), (bx, by, bz) = _pressed(press, np.array([hinge.a, hinge.b], float)).tolist()
    return replace(hinge, a=(ax, ay, az), b=(bx, by, bz))


def _find_sink(press: _Press, vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> float:
    """How far the pack comes down if its wall keeps its area: film neither shrinks nor stretches. Bisection."""
    near = (_level(press, vertices)[:, 2] < 2 * press.reach)[faces].any(axis=1)
    used, packed = np.unique(faces[near], return_inverse=True)
    touched, faces = vertices[used], packed.reshape(-1, 3)
    aim = face_areas(touched, faces).sum()
    low, high = 0.0, 1 - FLAT
    for _ in range(12):
        sink = (low + high) / 2
        large = face_areas(_pressed(replace(press, sink=sink), touched), faces).sum() > aim
        low, high = (sink, high) if large else (low, sink)
    return (low + high) / 2


def sag(product: Product, R: Float[np.ndarray, "3 3"], strength: float) -> Product:
    """Let a soft product settle in the pose ``R``; anything else comes back as it is.

    ``strength`` is the height of the layer that ends flat over the pack's thickness. Wall, contents, relief and hinges
    take one map, one to one, so what was inside stays inside; do it before damage, so that twins share it.
    """
    if product.shape != "soft" or strength <= 0:
        return product
    points = np.concatenate([sheet.vertices for sheet in product.sheets] + [part.vertices for part in product.contents])
    world = points @ R.T
    thickness = min(float(np.ptp(world[:, 2])), float(np.ptp(points, axis=0).min()))
    reach, floor = strength * thickness, float(world[:, 2].min())
    if reach < 1e-5:
        return product
    touching = world[world[:, 2] < floor + 2 * reach]
    press = _Press(R, floor, reach, (touching[:, :2].min(axis=0) + touching[:, :2].max(axis=0)) / 2)
    wall = product.sheets[0]
    press = replace(press, sink=_find_sink(press, wall.vertices, wall.faces))
    return replace(
        product,
        sheets=tuple(_press_sheet(press, sheet) for sheet in product.sheets),
        contents=tuple(_press_part(press, part) for part in product.contents),
        hinges=tuple(_press_hinge(press, hinge) for hinge in product.hinges),
    )
