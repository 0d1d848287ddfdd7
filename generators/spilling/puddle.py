"""A puddle: how far a liquid creeps from where it comes down, and how thick it lies.

The wetted area follows a noisy front around what stands there; its outline is smoothed as surface tension does, at the
same area (Merriman, Bence and Osher's diffusion, 1992). Its height solves h - l² ∇²h = λ, the Young-Laplace equation
for small slopes, with h = 0 at the contact line and a meniscus where the liquid meets a wall. World frame [m].
"""

from dataclasses import dataclass
from typing import no_type_check

import cv2
import numba as nb
import numpy as np
from jaxtyping import Bool, Float, Int

from .drape import Drape, drape
from .ground import Ground, arrival

ROUNDINGS = 4
ROUGH = 1.15
"""Length of a puddle's outline over that of a disc of its area."""
SOLVER_SWEEPS = 36
LEAST_SHARE = 0.05
"""A contact line this near to a node, in cells, counts as this far: the equation would become too stiff."""


@dataclass(frozen=True)
class Wetting:
    """How a liquid lies on a tray."""

    capillary_m: float
    """Capillary length, times what a paste's stiffness makes of it."""
    angle_rad: float
    """Contact angle on the tray."""
    climb: float
    """Slope at which it meets walls."""
    rounding_m: float
    """Size of the bays that surface tension closes."""

    @property
    def thickness_m(self) -> float:
        """Of a wide puddle at rest."""
        return 2 * self.capillary_m * float(np.sin(self.angle_rad / 2))


def wetted_area(volume_m3: float, wetting: Wetting) -> float:
    """Area [m²] of a puddle: its rim is thinner than its middle by about a capillary length."""
    thin = wetting.capillary_m * ROUGH * np.sqrt(np.pi)
    return float((thin + np.sqrt(thin**2 + volume_m3 / wetting.thickness_m)) ** 2)


def wet(
    ground: Ground,
    free: Bool[np.ndarray, "h w"],
    sources: Int[np.ndarray, "n 2"],
    slowness: Float[np.ndarray, "h w"],
    area_m2: float,
    wetting: Wetting,
) -> Float[np.ndarray, "h w"]:
    """A field that is positive where the tray is wet, over an area of this size or all that there is."""
    time = arrival(ground, free, sources, slowness)
    reached = time < 1e9
    count = min(max(4, round(area_m2 / ground.step**2)), int(reached.sum()) - 1)
    level = _threshold(-time, reached, count)
    sigma = max(0.6, wetting.rounding_m / ground.step)
    # What stands there draws the liquid along its foot.
    lead = np.where(reached, 0.0, np.where(ground.blocked, 0.62, 0.0)).astype(np.float32)
    for _ in range(ROUNDINGS):
        mask = np.where(reached, level > 0, lead).astype(np.float32)
        blurred = cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE).astype(np.float64)
        level = _threshold(blurred, reached, count)
    return np.where(reached | ground.blocked, level, -1.0)


def _threshold(field: Float[np.ndarray, "h w"], among: Bool[np.ndarray, "h w"], count: int) -> Float[np.ndarray, "h w"]:
    """The field less the value that ``count`` nodes exceed."""
    values = field[among]
    if not 0 < count < len(values):
        return np.where(among, 1.0, -1.0)
    # Selection is slow where many values are alike: those at both ends of a blurred mask.
    most, least = float(values.max()), float(values.min())
    high, low = values > most - 1e-4 * (most - least), values < least + 1e-4 * (most - least)
    at = len(values) - count - int(low.sum())
    between = values[~(high | low)]
    if not 0 <= at < len(between):
        at, between = len(values) - count, values
    return field - np.partition(between, at)[at]


@nb.njit(cache=True)
@no_type_check
def _relax(h, inside, diagonal, right, weight, over, sweeps):
    height, width = h.shape
    for _ in range(sweeps):
        for i in range(1, height - 1):
            for j in range(1, width - 1):
                if inside[i, j]:
                    around = 0.0
                    if inside[i - 1, j]:
                        around += h[i - 1, j]
                    if inside[i + 1, j]:
                        around += h[i + 1, j]
                    if inside[i, j - 1]:
                        around += h[i, j - 1]
                    if inside[i, j + 1]:
                        around += h[i, j + 1]
                    h[i, j] += over * ((right[i, j] + weight * around) / diagonal[i, j] - h[i, j])


def thickness(ground: Ground, level: Float[np.ndarray, "h w"], wetting: Wetting) -> Float[np.ndarray, "h w"]:
    """Height of the liquid at the nodes, by successive over-relaxation.

    The contact line lies between nodes, where ``level`` is 0 (after Gibou et al., 2002): the rim has no steps.
    """
    inside = (level > 0) & ~ground.blocked
    inside[[0, -1]] = inside[:, [0, -1]] = False
    weight = (wetting.capillary_m / ground.step) ** 2
    diagonal = np.ones(level.shape)
    right = np.full(level.shape, wetting.thickness_m)
    for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        blocked, other = np.roll(ground.blocked, shift, axis), np.roll(level, shift, axis)
        dry = ~blocked & (other <= 0)
        share = np.clip(level / np.maximum(level - other, 1e-30), LEAST_SHARE, 1.0)
        diagonal += np.where(blocked, 0.0, weight / np.where(dry, share, 1.0))
        right += np.where(blocked, weight * wetting.climb * ground.step, 0.0)
    away = cv2.distanceTransform(((level > 0) | ground.blocked).astype(np.uint8), cv2.DIST_L2, 3) * ground.step
    h = np.where(inside, wetting.thickness_m * (1 - np.exp(-away / wetting.capillary_m)), 0.0)
    jacobi = 4 * weight / (1 + 4 * weight)
    over = 2 / (1 + np.sqrt(1 - jacobi**2))
    _relax(h, inside, diagonal, right, weight, over, SOLVER_SWEEPS)
    return h


def puddle(ground: Ground, level: Float[np.ndarray, "h w"], volume_m3: float, wetting: Wetting) -> Drape:
    """The puddle's body, of exactly this volume."""
    return drape(ground, thickness(ground, level, wetting), level, volume_m3)
