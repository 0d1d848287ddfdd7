"""Convex outlines from above: what of things that lie on the tray must keep apart."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull

Outline = Float[np.ndarray, "_ 2"]


def outline_of(points: Float[np.ndarray, "_ _"]) -> Outline:
    """Convex outline of points in the plane, or of points in space from above; counter-clockwise."""
    return points[ConvexHull(points[:, :2]).vertices, :2]


def apart(a: Outline, b: Outline, gap: float) -> bool:
    """Whether two convex outlines keep a distance: a side of one of them lies between."""
    for one in (a, b):
        side = np.roll(one, -1, axis=0) - one
        normal = np.stack([side[:, 1], -side[:, 0]], axis=1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        u, v = a @ normal.T, b @ normal.T
        between = np.maximum(u.min(axis=0) - v.max(axis=0), v.min(axis=0) - u.max(axis=0))
        if float(between.max()) > gap:
            return True
    return False
