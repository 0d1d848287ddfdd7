"""A small picture maker: things laid on a surface as height, normal and colour, then lit once, with soft shadows.

Heights and lengths are in pixels. It makes what looks like product photography from above, at some ten milliseconds.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

LIGHT = np.array([-0.48, -0.58, 0.66], np.float32)
"""Towards the light: from the upper left and above (x right, y down, z to the viewer)."""
HALFWAY = np.array([-0.263, -0.318, 0.911], np.float32)


@dataclass(frozen=True)
class Relief:
    """A picture before it is lit; its arrays are filled in place."""

    height: Float32[np.ndarray, "h w"]
    slope: Float32[np.ndarray, "h w 2"]
    colour: Float32[np.ndarray, "h w 3"]
    """sRGB 0 to 1."""
    gloss: Float32[np.ndarray, "h w"]
    covered: Bool[np.ndarray, "h w"]


@dataclass(frozen=True)
class Place:
    """Where a thing lies: middle [px], half length and half width [px], turn [rad]."""

    x: float
    y: float
    long: float
    wide: float
    turn: float


def new_relief(width: int, height: int) -> Relief:
    """An empty one."""
    return Relief(
        np.zeros((height, width), np.float32), np.zeros((height, width, 2), np.float32),
        np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32),
        np.zeros((height, width), bool),
    )  # fmt: skip


def local_grid(
    relief: Relief, place: Place
) -> tuple[tuple[slice, slice], Float32[np.ndarray, "a b"], Float32[np.ndarray, "a b"]]:
    """The window that a thing can cover and its coordinates there: u along it, v across, both from -1 to 1."""
    reach = int(1.08 * np.hypot(place.long, place.wide)) + 2
    height, width = relief.height.shape
    x0, x1 = max(int(place.x) - reach, 0), min(int(place.x) + reach + 1, width)
    y0, y1 = max(int(place.y) - reach, 0), min(int(place.y) + reach + 1, height)
    x1, y1 = max(x1, x0), max(y1, y0)
    dx = np.arange(x0, x1, dtype=np.float32)[None] - np.float32(place.x)
    dy = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(place.y)
    c, s = np.float32(np.cos(place.turn)), np.float32(np.sin(place.turn))
    return (slice(y0, y1), slice(x0, x1)), (c * dx + s * dy) / place.long, (c * dy - s * dx) / place.wide


def lay(
    relief: Relief, window: tuple[slice, slice], mask: Bool[np.ndarray, "a b"], rise: Float32[np.ndarray, "a b"],
    colour: Float32[np.ndarray, "a b 3"] | Float32[np.ndarray, " 3"], gloss: float, *, base: float | None = None,
) -> None:  # fmt: skip
    """Put a thing of the given rise [px] on whatever lies there already; the higher surface is seen."""
    if mask.shape[0] < 3 or mask.shape[1] < 3 or not mask.any():
        return
    below = relief.height[window]
    if base is None:
        base = 0.75 * float(below[mask].mean())
    top = rise + np.float32(base)
    seen = mask & (top >= below)
    down, across = np.gradient(rise)
    relief.height[window][seen] = top[seen]
    slope = np.stack([across, down], -1)
    relief.slope[window][seen] = slope[seen]
    relief.colour[window][seen] = colour if colour.ndim == 1 else colour[seen]
    relief.gloss[window][seen] = gloss
    relief.covered[window][seen] = True


def _shadow(height: Float32[np.ndarray, "h w"], reach: float) -> Float32[np.ndarray, "h w"]:
    """How much of the light other things take away: looks along the light in a few steps."""
    rows, columns = height.shape
    small = cv2.resize(height, (max(columns // 2, 1), max(rows // 2, 1)), interpolation=cv2.INTER_AREA)
    dark = np.zeros_like(small)
    for step in (0.12, 0.25, 0.45, 0.7, 1.0):
        shift = step * reach / 2
        move = np.array([[1, 0, -LIGHT[0] * shift], [0, 1, -LIGHT[1] * shift]], np.float32)
        over = cv2.warpAffine(small, move, small.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        lift = 0.8 * shift * 2
        np.maximum(dark, np.clip((over - small - lift) / (0.12 * reach + 1), 0, 1), out=dark)
    dark = cv2.GaussianBlur(dark, (0, 0), max(0.03 * reach, 0.7))
    return cv2.resize(dark, (columns, rows), interpolation=cv2.INTER_LINEAR)


def light(
    relief: Relief, *, reach: float, sky: float = 0.5, surface: Float32[np.ndarray, "h w 3"] | None = None
) -> UInt8[np.ndarray, "h w 4"]:
    """Light the things; ``reach`` [px] is about the size of one. Without a surface: only things and shadow."""
    steep = relief.slope
    inverse = 1 / np.sqrt(1 + np.einsum("ijk,ijk->ij", steep, steep))
    facing = np.clip((LIGHT[2] - steep @ LIGHT[:2]) * inverse, 0, 1)
    half = np.clip((HALFWAY[2] - steep @ HALFWAY[:2]) * inverse, 0, 1)
    dark = _shadow(relief.height, 2.2 * reach)
    around = cv2.GaussianBlur(relief.height, (0, 0), max(0.35 * reach, 1.0))
    open_ = np.clip(1 - 0.85 * np.clip((around - relief.height) / (0.55 * reach + 1), 0, 1), 0.2, 1)
    bright = open_ * (sky + 0.12 * inverse) + 0.62 * facing * (1 - 0.75 * dark)
    colour = relief.colour if surface is None else np.where(relief.covered[..., None], relief.colour, surface)
    lit = colour * bright[..., None]
    lit += 0.1 * colour**2 * (1 - facing)[..., None]  # light that comes back through and between things
    shine = relief.gloss * (half**40 * 0.55 + 0.35 * half**220 + 0.12 * (1 - inverse) ** 2) * (1 - 0.7 * dark)
    lit += shine[..., None]
    out = np.empty((*relief.height.shape, 4), np.uint8)
    out[..., :3] = np.clip(lit, 0, 1) * 255
    # Outlines are stepped: soften the picture where the height jumps.
    jump = np.abs(cv2.Laplacian(relief.height, cv2.CV_32F)) > 0.06 * reach + 1
    soft = cv2.blur(out[..., :3], (3, 3))
    near = cv2.dilate(jump.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0
    if surface is None:
        cast = np.maximum(0.5 * dark, 0.65 * (1 - open_))
        out[..., 3] = np.where(relief.covered, 255, np.clip(cast * 255, 0, 255)).astype(np.uint8)
        out[..., :3][~relief.covered] = 12
        near &= cv2.erode(relief.covered.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        rim = cv2.blur(out[..., 3], (3, 3))
        out[..., 3] = np.where(relief.covered, np.minimum(np.maximum(rim, 60), 255), out[..., 3])
    else:
        out[..., 3] = 255
    out[..., :3][near] = soft[near]
    return out
