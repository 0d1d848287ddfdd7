"""What a damage meets: a product, how it lies in the booth, and what is around it."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from ...sim.scene import Part
from ..products.product import Product

NEAR_M = 0.03
"""One mishap's damages lie within some 30 mm of each other."""


@dataclass(frozen=True)
class Subject:
    """A product where it lies. Generators work in the item frame; gravity and the tray they find here."""

    product: Product
    T_world_item: Float[np.ndarray, "4 4"] = field(default_factory=lambda: np.eye(4))
    """World: z up, the tray's surface at z = 0, its centre at the origin."""
    tray_m: tuple[float, float] = (0.6, 0.45)
    """Width (x) and depth (y) of the tray [m]."""
    around: tuple[Part, ...] = ()
    """What else stands there, in the world frame: the booth's walls, extras on the tray."""
    near: Float[np.ndarray, "3"] | None = None
    """Where the mishap has struck already (item frame [m], pristine): what follows from it happens there."""

    @property
    def up(self) -> Float[np.ndarray, "3"]:
        """Unit vector against gravity, in the item frame."""
        return self.T_world_item[:3, :3].T @ np.array([0.0, 0.0, 1.0])

    def to_world(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Item frame to world [m]."""
        return points @ self.T_world_item[:3, :3].T + self.T_world_item[:3, 3]

    def to_item(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """World to item frame [m]."""
        return (points - self.T_world_item[:3, 3]) @ self.T_world_item[:3, :3]


def site_weight(subject: Subject, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """How likely each place is struck, 0-1, times whatever a generator has besides (area above all)."""
    if subject.near is None:
        return np.ones(len(points))
    distance2 = np.square(points - subject.near).sum(axis=1)
    return np.exp(-distance2 / NEAR_M**2) + 1e-9
