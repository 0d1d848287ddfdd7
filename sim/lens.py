"""Lenses: how a real one moves what a pinhole would show, by the two models that OpenCV fits.

Both take points on the plane z = 1 of the camera's frame. ``brown_conrady`` (k1 k2 p1 p2 k3) is Brown, "Close-Range
Camera Calibration" (1971), as in OpenCV's ``calib3d``; ``fisheye`` (k1 k2 k3 k4) is Kannala and Brandt, "A Generic
Camera Model and Calibration Method for Conventional, Wide-Angle, and Fish-Eye Lenses" (2006), as in ``cv::fisheye``.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

LensModel = Literal["pinhole", "brown_conrady", "fisheye"]
COEFFICIENTS: dict[str, tuple[str, ...]] = {
    "pinhole": (),
    "brown_conrady": ("k1", "k2", "p1", "p2", "k3"),
    "fisheye": ("k1", "k2", "k3", "k4"),
}
"""Names in OpenCV's order."""
NEWTON_STEPS = 12
WIDEST = np.radians(85.0)
"""Rays at a larger angle to the axis cannot be had: their directions would have no z = 1."""


@dataclass(frozen=True)
class Lens:
    """A distortion model and its coefficients in OpenCV's order."""

    model: LensModel = "pinhole"
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        assert self.model in get_args(LensModel) and len(self.coefficients) == len(COEFFICIENTS[self.model])


PINHOLE = Lens()


def distort(lens: Lens, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Move points of the plane z = 1 to where the lens shows them."""
    x, y = xy[:, 0], xy[:, 1]
    if lens.model == "pinhole":
        return xy
    if lens.model == "brown_conrady":
        return np.stack(_brown(lens.coefficients, x, y)[:2], axis=1)
    r = np.hypot(x, y)
    scale = np.where(r > 1e-9, _polynomial(lens.coefficients, np.arctan(r))[0] / np.maximum(r, 1e-9), 1.0)
    return xy * scale[:, None]


def undistort(lens: Lens, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Invert ``distort`` by Newton's method; where a lens folds the picture the result is not a number."""
    if lens.model == "pinhole":
        return xy
    return _undo_brown(lens, xy) if lens.model == "brown_conrady" else _undo_fisheye(lens, xy)


def _brown(k: tuple[float, ...], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Distorted x and y, and the derivatives dx/dx, dx/dy (equal to dy/dx) and dy/dy."""
    k1, k2, p1, p2, k3 = k
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2 * (k1 + r2 * (2 * k2 + 3 * r2 * k3))  # of radial over r2, twice
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        radial + x * x * slope + 2 * p1 * y + 6 * p2 * x,
        x * y * slope + 2 * p1 * x + 2 * p2 * y,
        radial + y * y * slope + 6 * p1 * y + 2 * p2 * x,
    )


def _undo_brown(lens: Lens, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    x, y = xy[:, 0].copy(), xy[:, 1].copy()
    with np.errstate(all="ignore"):  # a folded picture overflows, and is told by not being a number
        for _ in range(NEWTON_STEPS):
            dx, dy, a, b, d = _brown(lens.coefficients, x, y)
            ex, ey, det = dx - xy[:, 0], dy - xy[:, 1], a * d - b * b
            x, y = x - (d * ex - b * ey) / det, y - (a * ey - b * ex) / det
            if np.abs(ex).max(initial=0) + np.abs(ey).max(initial=0) < 1e-11:
                break
        dx, dy, a, b, d = _brown(lens.coefficients, x, y)
        good = (np.hypot(dx - xy[:, 0], dy - xy[:, 1]) < 1e-8) & (a * d - b * b > 0.02) & (a > 0)
    return np.where(good[:, None], np.stack([x, y], axis=1), np.nan)


def _polynomial(k: tuple[float, ...], theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radius at which the fisheye shows an angle to its axis, and its derivative."""
    t2 = theta * theta
    k1, k2, k3, k4 = k
    value = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
    return value, 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))


def _undo_fisheye(lens: Lens, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    radius = np.linalg.norm(xy, axis=1)
    theta = np.minimum(radius, WIDEST)
    with np.errstate(all="ignore"):
        for _ in range(NEWTON_STEPS):
            value, slope = _polynomial(lens.coefficients, theta)
            theta = theta - (value - radius) / slope
            if np.abs(value - radius).max(initial=0) < 1e-11:
                break
        value, slope = _polynomial(lens.coefficients, theta)
        good = (np.abs(value - radius) < 1e-8) & (slope > 0.02) & (theta < WIDEST) & (theta >= 0)
        scale = np.where(radius > 1e-9, np.tan(theta) / np.maximum(radius, 1e-9), 1.0)
    return np.where(good[:, None], xy * scale[:, None], np.nan)
