"""Fit what a booth's cameras make of light: exposure, white balance, noise; and how bright lamps and tray are.

A picture shows light times exposure, never one alone. So the first camera keeps the exposure of the template booth, the
lamps are scaled to it, and the other cameras' exposures are told against it.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.optimize import nnls

from .booth import AreaLight, Booth
from .camera import Camera, project
from .errors import DamagelandError

CARD_MM = 40.0
"""Side of the patch in the middle of the tray that counts as the grey card, or as the tray."""
TILE = 8
"""Side of the tiles over which noise is averaged [pixels]."""
FEWEST_PIXELS = 30
LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of JPEG's luma: its chroma is thinned out, and with it the noise."""
DARKEST, BRIGHTEST = 0.02, 0.85
"""Tiles outside of these linear values say nothing: they are clipped, or nearly so."""


@dataclass(frozen=True)
class Response:
    """What a camera makes of light."""

    card: Float[np.ndarray, "3"]
    """Linear value of the grey card."""
    tray: Float[np.ndarray, "3"] | None
    """Linear value of the empty tray at the same place; None without such pictures."""
    full_well_e: float | None
    """Electrons of a white pixel; None where pictures of the empty tray do not tell."""
    read_e: float


def to_linear(picture: UInt8[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """SRGB to linear light."""
    value = picture / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def middle_of_tray(camera: Camera) -> Bool[np.ndarray, "h w"]:
    """Pixels that show the middle of the tray, where the grey card lies."""
    half = CARD_MM / 2000
    corners = np.array([[-half, -half, 0], [half, -half, 0], [half, half, 0], [-half, half, 0]])
    uv, z = project(camera, corners)
    mask = np.zeros((camera.height, camera.width), np.uint8)
    if (z > 0).all():
        cv2.fillConvexPoly(mask, np.round(uv - 0.5).astype(np.int32), 1)
    if int(mask.sum()) < FEWEST_PIXELS:
        raise DamagelandError(
            f"camera {camera.name}: sees the middle of the tray, where the grey card lies, with "
            f"{int(mask.sum())} pixels; at least {FEWEST_PIXELS} are needed. Leave its folder out of `grey`"
        )
    return mask > 0


def measure_response(
    camera: Camera, grey: Sequence[UInt8[np.ndarray, "h w 3"]], empty: Sequence[UInt8[np.ndarray, "h w 3"]],
    white_balance: Float[np.ndarray, "3"] | None = None,
) -> Response:  # fmt: skip
    """Fit a camera's response from pictures of a grey card and of the empty tray, two or more of which tell noise."""
    patch = middle_of_tray(camera)
    card = np.mean([to_linear(picture[patch]).mean(axis=0) for picture in grey], axis=0)
    if card.max() > BRIGHTEST or card.min() < DARKEST:
        values = ", ".join(f"{value:.3f}" for value in card)
        raise DamagelandError(
            f"camera {camera.name}: the grey card is recorded at {values} of white (linear red, green, blue), expected "
            f"{DARKEST:g} to {BRIGHTEST:g}: clipped or lost in the dark, it tells no exposure. Set the exposure anew"
        )
    tray = np.mean([to_linear(p[patch]).mean(axis=0) for p in empty], axis=0) if empty else None
    balance = card / card[1] if white_balance is None else white_balance
    well, read = fit_noise(empty, balance) if len(empty) > 1 else (None, 0.0)
    return Response(card, tray, well, read)


def fit_noise(
    pictures: Sequence[UInt8[np.ndarray, "h w 3"]], balance: Float[np.ndarray, "3"]
) -> tuple[float | None, float]:
    """Full well and noise of a reading [electrons], by the photon transfer method (EMVA Standard 1288, section 6).

    Pictures of one still scene differ by noise alone; half the variance of their differences, tile by tile, is a
    straight line over brightness: its slope is one over the full well, its start the reading's part.
    """
    rows, columns = (side // TILE * TILE for side in pictures[0].shape[:2])

    def tiles(image: np.ndarray) -> np.ndarray:
        cut = image[:rows, :columns].reshape(rows // TILE, TILE, columns // TILE, TILE, -1)
        return cut.transpose(0, 2, 1, 3, 4).reshape(-1, TILE * TILE, cut.shape[-1])

    light = tiles(to_linear(np.stack(pictures)).mean(axis=0)).mean(axis=1)
    luma = [tiles(picture @ LUMA / 255.0)[..., 0] for picture in pictures]
    variance = np.mean([(b - a).var(axis=1) / 2 for a, b in itertools.pairwise(luma)], axis=0)
    variance = variance - (LUMA**2).sum() / 12 / 255**2  # rounding to whole numbers
    good = (light.min(axis=1) > DARKEST) & (light.max(axis=1) < BRIGHTEST)
    if good.sum() < FEWEST_PIXELS:
        return None, 0.0
    light, variance = light[good], variance[good]
    slope = 1.055 / 2.4 * light ** (1 / 2.4 - 1)  # of the sRGB curve
    photons = ((LUMA * slope) ** 2 * balance * light).sum(axis=1)
    reading = ((LUMA * slope) ** 2 * balance**2).sum(axis=1)
    weight = 1 / np.maximum(photons, 1e-9)  # a variance spreads as it is large
    (per_electron, start), _ = nnls(np.stack([photons, reading], axis=1) * weight[:, None], variance * weight)
    if per_electron <= 0:
        return None, 0.0
    return float(1 / per_electron), float(np.sqrt(start) / per_electron)


def irradiance(booth: Booth) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """What lamps, and what the surroundings send to the middle of the tray [W/m²], nothing standing between."""
    lamps = sum((_from_lamp(light) for light in booth.lights), np.zeros(3))
    height, width = booth.environment.shape[:2]
    polar = (np.arange(height) + 0.5) / height * np.pi
    share = np.clip(np.cos(polar), 0, None) * np.sin(polar) * (np.pi / height) * (2 * np.pi / width)
    return lamps, (booth.environment * share[:, None, None]).sum(axis=(0, 1))


def _from_lamp(light: AreaLight, cells: int = 24) -> Float[np.ndarray, "3"]:
    """E = L times the integral of both cosines over r² (midpoint rule)."""
    step = (np.arange(cells) + 0.5) / cells - 0.5
    a, b = (c.ravel() for c in np.meshgrid(step * light.size_m[0], step * light.size_m[1]))
    T = light.T_world_light
    to = T[:3, 3] + a[:, None] * T[:3, 0] + b[:, None] * T[:3, 1]
    r = np.linalg.norm(to, axis=1)
    cosines = np.clip(to[:, 2] / r, 0, None) * np.clip(to @ T[:3, 2] / r, 0, None)
    return np.array(light.radiance) * float((cosines / r**2).mean()) * light.size_m[0] * light.size_m[1]
