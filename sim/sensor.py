"""What cameras do to perfect pictures: exposure, white balance, vignetting, blur, noise and JPEG; and the scale."""

import cv2
import numpy as np
import simplejpeg
from jaxtyping import Float, UInt8

from .booth import Scale
from .camera import Camera

MEAN_TARGET = 0.13
"""Linear mean that automatic exposure aims at."""


def meter_exposure(radiance: Float[np.ndarray, "h w 3"], camera: Camera) -> float:
    """Gain of the exposure, fixed or automatic. Meter the twin and use its gain for both, or brightness gives away."""
    if camera.gain is not None:
        return camera.gain * 2**camera.exposure_ev
    luminance = radiance @ np.array([0.2126, 0.7152, 0.0722])
    gain = MEAN_TARGET / max(float(luminance.mean()), 1e-6)
    highlights = 1.6 / max(float(np.quantile(luminance, 0.985)), 1e-6)
    return min(gain, highlights) * 2**camera.exposure_ev


def record_colour(
    radiance: Float[np.ndarray, "h w 3"], camera: Camera, gain: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Develop linear radiance to an sRGB picture as the camera would write it."""
    light = radiance.astype(np.float64) * gain * np.array(camera.white_balance)
    if camera.vignetting > 0:
        light *= _falloff(camera)[..., None]
    if camera.blur_px > 0.1:
        light = cv2.GaussianBlur(light, (0, 0), camera.blur_px)
    light = np.clip(light + rng.normal(size=light.shape) * _noise(light, camera), 0, 1)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    picture = np.ascontiguousarray((srgb * 255 + 0.5).astype(np.uint8))
    return simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(picture, quality=camera.jpeg_quality))


def _falloff(camera: Camera) -> Float[np.ndarray, "h w"]:
    """Share of the light that the lens lets through: less by the square of the distance from the principal point."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
    squared = (u - camera.K[0, 2]) ** 2 + (v - camera.K[1, 2]) ** 2
    return 1 - camera.vignetting * np.minimum(squared / ((camera.width**2 + camera.height**2) / 4), 1.0)


def _noise(light: Float[np.ndarray, "h w 3"], camera: Camera) -> Float[np.ndarray, "h w 3"]:
    """Standard deviation of each value.

    With a full well of F electrons at white, n photons of which are caught vary by the square root of n, and each
    reading adds its own (EMVA Standard 1288, release 4.0, section 2). White balance multiplies both after the fact.
    """
    light = np.clip(light, 0, 1)
    if camera.full_well_e is None:
        # Photon noise grows with the square root of the signal; a fifth of it is there in the dark too.
        return camera.noise * (0.2 + np.sqrt(light / 0.18) * 0.8)
    balance = np.array(camera.white_balance)
    electrons = light / balance * camera.full_well_e
    return balance * np.sqrt(electrons + camera.read_e**2) / camera.full_well_e


def weigh(mass_g: float, scale: Scale, rng: np.random.Generator) -> float:
    """Reading [g] of the booth's scale: noisy, and in whole steps."""
    steps = round((mass_g + scale.noise_g * float(rng.normal())) / scale.quantum_g)
    return round(max(steps, 0) * scale.quantum_g, 6)
