"""Rises, grains and tones that the things of pictures are made of; grids are a thing's own coordinates, -1 to 1."""

import cv2
import numpy as np

Grid = np.ndarray
Rgb = tuple[float, float, float]
"""sRGB 0 to 1."""


def ball(u: Grid, v: Grid) -> Grid:
    """Rise of a ball of radius 1."""
    return np.sqrt(np.clip(1 - u * u - v * v, 0, None))


def disc(r: Grid, bevel: float) -> Grid:
    """Rise of a disc with a round bevel, 0 to 1."""
    edge = np.clip((1 - r) / bevel, 0, 1)
    return np.sqrt(np.clip(1 - (1 - edge) ** 2, 0, None))


def super_radius(u: Grid, v: Grid, n: float) -> Grid:
    """Distance in which a rounded square is a circle."""
    return (np.abs(u) ** n + np.abs(v) ** n) ** np.float32(1 / n)


def speckle(rng: np.random.Generator, like: Grid, cell: float) -> Grid:
    """Smooth grain, about -1 to 1, of the window's size."""
    h, w = like.shape
    cell = max(cell, 1.0)
    small = rng.standard_normal((max(int(h / cell), 2), max(int(w / cell), 2)), np.float32)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC) * np.float32(0.6)


def darker(colour: Rgb, share: float) -> Rgb:
    """A colour times a share."""
    return colour[0] * share, colour[1] * share, colour[2] * share


def mix(a: Rgb | Grid, b: Rgb | Grid, share: Grid) -> Grid:
    """Between two colours."""
    return (np.asarray(a, np.float32) * (1 - share[..., None]) + np.asarray(b, np.float32) * share[..., None]).astype(
        np.float32
    )


def vary(rng: np.random.Generator, colour: Rgb, amount: float = 0.08) -> Rgb:
    """A colour, a little off."""
    r, g, b = np.clip(np.array(colour) * rng.uniform(1 - amount, 1 + amount) * (1 + rng.normal(0, amount / 4, 3)), 0, 1)
    return float(r), float(g), float(b)


def pick(rng: np.random.Generator, *colours: Rgb) -> Rgb:
    """One of the colours, a little off."""
    return vary(rng, colours[int(rng.integers(len(colours)))])
