"""How much of a wall stands open, by ray casting: the same on any mesh of it."""

import numpy as np
from jaxtyping import Float, Int

from ...sim.rays import build_caster, occluded
from ...sim.scene import Material, Part


def bare_part(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], name: str = "bare") -> Part:
    """A mesh as a part, for ray casts only."""
    n = len(faces)
    return Part(
        name, vertices, faces, np.zeros((n, 3, 2)), np.zeros((n, 3, 3)), (Material(name),),
        np.zeros(n, np.uint8), np.zeros(n, np.uint8), np.zeros(n, np.uint8),
    )  # fmt: skip


def opening_area_mm2(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    areas_m2: Float[np.ndarray, " n"],
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    *,
    reach_m: float,
) -> float:
    """Area of the pristine points of a wall where its surface is no longer within ``reach_m``.

    ``points`` sample the pristine surface, each for so much of its area; a ray goes through each along the unit normal,
    from ``reach_m`` outside to as far inside.
    """
    if len(points) == 0 or len(faces) == 0:
        return 1e6 * float(areas_m2.sum())
    caster = build_caster((bare_part(vertices, faces),))
    shut = occluded(caster, points + reach_m * normals, -normals, np.full(len(points), 2 * reach_m))
    return 1e6 * float(areas_m2[~shut].sum())
