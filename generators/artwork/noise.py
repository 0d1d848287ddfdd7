"""Smooth noise on a grid: the grain of paper, dirt, clouds."""

import cv2
import numpy as np
from jaxtyping import Float


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, *, cell_px: float, octaves: int = 4
) -> Float[np.ndarray, "h w"]:
    """Smooth noise with mean 0 and standard deviation near 1; ``cell_px`` is the size of its largest grain."""
    total = np.zeros((height, width), np.float32)
    weight = 0.0
    for octave in range(octaves):
        cell = max(cell_px / 2**octave, 1.0)
        grid = rng.standard_normal((max(2, int(height / cell) + 2), max(2, int(width / cell) + 2)), np.float32)
        amplitude = 0.6**octave
        total += amplitude * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight += amplitude**2
    return (total / (0.75 * np.sqrt(weight))).astype(np.float64)
