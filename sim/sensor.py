"""What real sensors do to perfect pictures: exposure, white balance, blur, noise and JPEG; depth noise and holes."""

import cv2
import numpy as np
import simplejpeg
from jaxtyping import Float, UInt8
from scipy.special import ndtr, ndtri

from .booth import Camera, DepthSensor, Scale
from .truth import Truth, pixel_rays

MEAN_TARGET = 0.13
"""Linear mean that automatic exposure aims at."""


def meter_exposure(radiance: Float[np.ndarray, "h w 3"], camera: Camera) -> float:
    """Gain of automatic exposure. Meter the twin and use its gain for both, or brightness gives damage away."""
    luminance = radiance @ np.array([0.2126, 0.7152, 0.0722])
    gain = MEAN_TARGET / max(float(luminance.mean()), 1e-6)
    highlights = 1.6 / max(float(np.quantile(luminance, 0.985)), 1e-6)
    return min(gain, highlights) * 2**camera.exposure_ev


def record_colour(
    radiance: Float[np.ndarray, "h w 3"], camera: Camera, gain: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Develop linear radiance to an sRGB picture as the camera would write it."""
    light = radiance.astype(np.float64) * gain * np.array(camera.white_balance)
    if camera.blur_px > 0.1:
        light = cv2.GaussianBlur(light, (0, 0), camera.blur_px)
    # Photon noise grows with the square root of the signal; a fifth of it is there in the dark too.
    noise = rng.normal(size=light.shape) * camera.noise * (0.2 + np.sqrt(np.clip(light, 0, 1) / 0.18) * 0.8)
    light = np.clip(light + noise, 0, 1)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    picture = np.ascontiguousarray((srgb * 255 + 0.5).astype(np.uint8))
    return simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(picture, quality=camera.jpeg_quality))


def record_depth(truth: Truth, camera: Camera, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    """z-depth [m] as the camera's depth sensor records it, 0 = no return.

    Axial noise grows with the square of distance and near grazing angles, after Nguyen, Izadi and Lovell, "Modeling
    Kinect Sensor Noise for Improved 3D Reconstruction and Tracking" (2012). Returns are lost at grazing angles, at
    depth edges, and on metal that mirrors the projector away from the camera. Infrared light mostly passes clear walls:
    there the sensor returns what is behind, or nothing, or the wall, by the sensor's shares.
    """
    sensor = camera.depth
    if sensor is None:
        raise ValueError(f"camera {camera.name} has no depth sensor")  # a bug of ours, not of a user
    _, directions = pixel_rays(camera)
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    draw, loss = rng.normal(size=(3, *truth.depth.shape)), rng.random(truth.depth.shape)
    behind = _returns(truth.depth_behind, truth.normal_behind, truth.metallic, unit, sensor, draw, loss)
    clear = truth.depth != truth.depth_behind
    if not clear.any():
        return behind
    first = _returns(truth.depth, truth.normal, np.zeros_like(truth.metallic), unit, sensor, draw, loss)
    fate = ndtr(_patchy(rng.normal(size=truth.depth.shape)))
    before = np.where(fate < sensor.clear_loss + sensor.clear_first, first, behind)
    return np.where(clear, np.where(fate < sensor.clear_loss, np.float32(0), before), behind)


def _patchy(draw: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Smooth normal draws to variance 1 again: holes come in patches, not as salt."""
    return cv2.GaussianBlur(draw, (0, 0), 2.0) * 7.09


def _returns(
    depth: Float[np.ndarray, "h w"],
    normal: Float[np.ndarray, "h w 3"],
    metallic: Float[np.ndarray, "h w"],
    unit: Float[np.ndarray, "n 3"],
    sensor: DepthSensor,
    draw: Float[np.ndarray, "3 h w"],
    loss: Float[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w"]:
    """Record one layer of surfaces, as if nothing clear were before it."""
    cosine = np.abs(np.einsum("ij,ij->i", normal.reshape(-1, 3), unit)).reshape(depth.shape)
    angle = np.degrees(np.arccos(np.clip(cosine, 0, 1)))
    z = depth.astype(np.float64)
    grazing = 1 + 0.1 * (np.clip(angle, 0, 85) / (90 - np.clip(angle, 0, 85))) ** 2
    smooth = cv2.GaussianBlur(draw[0], (0, 0), 1.0) * 3.54  # variance 1; neighbours share a window
    noisy = z + sensor.noise_mm_at_1m / 1000 * z**2 * grazing * (0.6 * draw[1] + 0.8 * smooth)
    edge = cv2.dilate(z, np.ones((3, 3))) - cv2.erode(z, np.ones((3, 3))) > 0.02
    mirror = metallic * sensor.gloss_loss * (0.35 + 0.65 * (angle > 35))
    lost = (z <= 0) | (angle > sensor.grazing_deg) | (edge & (loss < 0.5)) | (_patchy(draw[2]) < ndtri(mirror))
    quantum = sensor.quantum_mm / 1000
    return np.where(lost, 0.0, np.round(np.maximum(noisy, 0) / quantum) * quantum).astype(np.float32)


def weigh(mass_g: float, scale: Scale, rng: np.random.Generator) -> float:
    """Reading [g] of the booth's scale: noisy, and in whole steps."""
    steps = round((mass_g + scale.noise_g * float(rng.normal())) / scale.quantum_g)
    return round(max(steps, 0) * scale.quantum_g, 6)
