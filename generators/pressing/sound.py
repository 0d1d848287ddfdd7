"""Whether a sheet can lie as a press left it, and where that is: pushes are undone, what no sheet does is refused."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..mesh import face_areas, mesh_edges
from .selfcontact import Neighbours
from .shell import Wall

UNMOVED_M = 0.0005
"""Scale of displacements that count as not deformed when the item is put back in place."""
REWEIGHTINGS = 30
SUNK_M = 0.001
BELOW_M, INSIDE_M = 0.0002, 0.0005
"""How far a wall may reach below the tray and into the contents."""


@dataclass(frozen=True)
class Limits:
    """What a solve may do to a sheet."""

    strain: float
    """Between the 1st and the 99th percentile of the edges."""
    area_change: float
    crossing: float
    """Share of the faces that go through another."""


def put_back(moved: Float[np.ndarray, "v 3"], before: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "v 3"]:
    """Undo the rigid motion of what was not deformed, so that a push is neither measured nor labelled as a dent.

    Kabsch's least-squares rotation (1976), reweighted after Geman and McClure (1987) so that the dent has no say.
    """
    back = moved
    for _ in range(REWEIGHTINGS):
        distance2 = np.square(back - before).sum(axis=1)
        weight = 1 / (1 + distance2 / UNMOVED_M**2) ** 2
        weight /= weight.sum()
        from_centre, to_centre = weight @ back, weight @ before
        u, _, vt = np.linalg.svd((back - from_centre).T @ (weight[:, None] * (before - to_centre)))
        u[:, 2] *= np.sign(np.linalg.det(u @ vt))  # a rotation, never a reflection
        last, back = back, (back - from_centre) @ (u @ vt) + to_centre
        if np.abs(back - last).max() < 1e-7:
            break
    return back


def lay_down(points: Float[np.ndarray, "v 3"], floor: Float[np.ndarray, "4"]) -> Float[np.ndarray, "v 3"]:
    """Putting an item back may turn it a little into the tray: what is less than a millimetre in lies flat on it."""
    below = floor[3] - points @ floor[:3]
    lifted = points + np.where((below > 0) & (below < SUNK_M), below, 0.0)[:, None] * floor[:3]
    return np.where(below[:, None] > 0, lifted, points)


def fault_of(wall: Wall, moved: Float[np.ndarray, "v 3"], limits: Limits) -> str | None:
    """What shows that no sheet lies so: stretched, through itself, in the contents or below the tray."""
    before, faces = wall.vertices, wall.faces
    edges, _ = mesh_edges(faces)
    now, then = (np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1) for v in (moved, before))
    low, high = np.quantile(now / then - 1, [0.01, 0.99])
    if max(-low, high) > limits.strain:
        return f"the crushed wall is stretched by {low:.3f} to {high:.3f}"
    change = face_areas(moved, faces).sum() / face_areas(before, faces).sum() - 1
    if abs(change) > limits.area_change:
        return f"the crushed wall's area changed by {change:.4f}"
    below = float((wall.floor[3] - moved @ wall.floor[:3]).max())
    if below > BELOW_M:
        return f"the crushed wall reaches {1000 * below:.2f} mm below the tray"
    for box in wall.cores:
        inside = float(np.minimum(moved - box[0], box[1] - moved).min(axis=1).max())
        if inside > INSIDE_M:
            return f"the crushed wall reaches {1000 * inside:.2f} mm into the contents"
    moving = (np.abs(moved - before).max(axis=1) > 1e-5)[faces].any(axis=1)
    crossing = int(Neighbours(before, faces, wall.mechanics.spacing_mm / 1000).crossing(moved, moving).sum())
    if crossing > limits.crossing * len(faces):
        return f"{crossing} of {len(faces)} faces of the crushed wall go through others"
    return None
