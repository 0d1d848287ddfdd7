"""Noise in millimetres: drawn once, looked up anywhere, so that a larger patch shows the pattern of a smaller one."""

from dataclasses import dataclass
from typing import no_type_check

import cv2
import numba as nb
import numpy as np
from jaxtyping import Float

from .flatten import Canvas

CELLS, FINE = 64, 4
OCTAVE_TURN_RAD = 0.65
POSITIVE = float(CELLS * FINE * 4096)
"""A whole number of periods, larger than any place."""


@dataclass(frozen=True)
class Grain:
    """A periodic tile of smooth noise, mean 0 and standard deviation 1."""

    tile: Float[np.ndarray, "n n"]
    shift: Float[np.ndarray, "2"]


def draw_grain(rng: np.random.Generator) -> Grain:
    """Always the same number of draws."""
    coarse = rng.standard_normal((CELLS, CELLS), np.float32)
    wide = np.pad(coarse, 4, mode="wrap")
    side = FINE * (CELLS + 8)
    fine = cv2.resize(wide, (side, side), interpolation=cv2.INTER_CUBIC)[4 * FINE : -4 * FINE, 4 * FINE : -4 * FINE]
    return Grain(np.ascontiguousarray(fine / fine.std(), np.float32), rng.uniform(0, CELLS, 2))


@nb.njit(cache=True)
@no_type_check
def _add(out, tile, x0, y0, xx, xy, yx, yy, amplitude):
    """Add a bilinear look-up at ``(x0, y0) + column * (xx, yx) + row * (xy, yy)`` of a periodic tile.

    Its side is a power of two, and all places are positive: that makes a period cheap.
    """
    period = len(tile) - 1
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            x, y = x0 + j * xx + i * xy, y0 + j * yx + i * yy
            p, q = int(x), int(y)
            u, v = np.float32(x - p), np.float32(y - q)
            a, b, c, d = p & period, q & period, (p + 1) & period, (q + 1) & period
            top = tile[b, a] + u * (tile[b, c] - tile[b, a])
            low = tile[d, a] + u * (tile[d, c] - tile[d, a])
            out[i, j] += amplitude * (top + v * (low - top))


def noise(
    grain: Grain, canvas: Canvas, cell_mm: tuple[float, float] | float, *, octaves: int = 1
) -> Float[np.ndarray, "h w"]:
    """Noise on a canvas; ``cell_mm`` is the size of its largest grains (along x and y). Round ones turn each octave."""
    across = cell_mm if isinstance(cell_mm, tuple) else (cell_mm, cell_mm)
    total, weight = np.zeros(canvas.shape, np.float32), 0.0
    for octave in range(octaves):
        angle = 0.0 if isinstance(cell_mm, tuple) else OCTAVE_TURN_RAD * octave
        sx, sy = (FINE * 2.0**octave / float(size) for size in across)
        c, s = np.cos(angle), np.sin(angle)
        (x, y), step = (-canvas.half_mm[0], canvas.half_mm[1]), 1 / canvas.px_per_mm
        first = FINE * grain.shift * (octave + 1) + [sx * (c * x - s * y), sy * (s * x + c * y)]
        amplitude = 0.6**octave
        ways = (sx * c * step, sx * s * step, sy * s * step, -sy * c * step)
        _add(total, grain.tile, first[0] + POSITIVE, first[1] + POSITIVE, *ways, np.float32(amplitude))
        weight += amplitude**2
    return total / np.float32(np.sqrt(weight))


def ramp(value: Float[np.ndarray, "*n"], low: float, high: float) -> Float[np.ndarray, "*n"]:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
