"""Smooth noise in space that belongs to no grid and no mesh: a sum of plane waves."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Waves:
    """Noise with mean 0 and standard deviation 1."""

    vectors: Float[np.ndarray, "k d"]
    """Wave vectors [rad/m]."""
    phase: Float[np.ndarray, " k"]
    size: Float[np.ndarray, " k"]

    def at(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Value at points [m]."""
        return np.cos(points @ self.vectors.T + self.phase) @ self.size

    def on_grid(self, x: Float[np.ndarray, " w"], y: Float[np.ndarray, " h"]) -> Float[np.ndarray, "h w"]:
        """Value at the nodes of a grid: waves along x and y are multiplied, which is much faster than ``at``."""
        along, up = np.outer(self.vectors[:, 0], x), np.outer(y, self.vectors[:, 1]) + self.phase
        return (self.size * np.cos(up)) @ np.cos(along) - (self.size * np.sin(up)) @ np.sin(along)


def draw_waves(
    rng: np.random.Generator, length_m: tuple[float, float], *, dimensions: int, count: int = 40, fall: float = 0.5
) -> Waves:
    """Waves of lengths between two bounds, in all directions; ``fall`` is how amplitude goes with length."""
    way = rng.normal(size=(count, dimensions))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    low, high = np.log(length_m)
    length = np.exp(rng.uniform(low, high, count))
    size = length**fall
    size *= np.sqrt(2 / np.square(size).sum())
    return Waves(way * (2 * np.pi / length)[:, None], rng.uniform(0, 2 * np.pi, count), size)
