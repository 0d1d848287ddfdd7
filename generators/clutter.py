"""What else may lie on the tray: clean extras and dust. None of it is damage.

Everything rests on the tray (z = 0) beside the item, touches neither the item nor each other, and is ``item`` 0.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from ..sim.scene import SURFACES, Material, Part
from .extras import EXTRAS
from .outline import apart, outline_of
from .wear import LookalikesConfig

DUST_M = 0.00005
"""Dust lies so far above the tray."""
GAP_M = 0.004
"""Least distance between things."""
FROM_CENTRE_M = (0.06, 0.2)
"""Middles of extras, from the middle of the tray: what is further off, cameras do not see."""
TRIES = 14


def _place(
    part: Part, rng: np.random.Generator, taken: list[Float[np.ndarray, "_ 2"]], tray_size_m: tuple[float, float]
) -> Part | None:
    """Turn and move a part to a free place, and note that it is taken; None if none was found."""
    outline = outline_of(part.vertices)
    half = np.array(tray_size_m) / 2
    for _ in range(TRIES):
        turn, around, away = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(*FROM_CENTRE_M)
        R = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
        t = np.array([away * np.cos(around), away * np.sin(around), 0.0])
        there = outline @ R[:2, :2].T + t[:2]
        if (np.abs(there) > half).any() or not all(apart(there, other, GAP_M) for other in taken):
            continue
        taken.append(there)
        return replace(part, vertices=part.vertices @ R.T + t, normals=part.normals @ R.T)
    return None


def _dust(rng: np.random.Generator, taken: list[Float[np.ndarray, "_ 2"]], tray_size_m: tuple[float, float]) -> Part:
    """Specks and fibres, all in one part."""
    count = int(rng.integers(50, 401))
    reach = min(FROM_CENTRE_M[1] * 1.15, min(tray_size_m) / 2 - 0.002)
    at = rng.uniform(-reach, reach, (count, 2))
    size = 0.0001 * np.clip(np.exp(rng.normal(0.9, 0.5, count)), 1.0, 6.0)
    long = np.where(rng.random(count) < 0.12, rng.uniform(3, 8, count), rng.uniform(0.6, 1.6, count))
    turn = rng.uniform(0, 2 * np.pi, count)
    free = np.ones(count, bool)
    for other in taken:  # not under things, nor up against them
        side = np.roll(other, -1, axis=0) - other
        normal = np.stack([side[:, 1], -side[:, 0]], axis=1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        free &= ((at[:, None] - other[None]) * normal).sum(axis=2).max(axis=1) > size * long + 0.0005
    at, size, long, turn = at[free], size[free], long[free], turn[free]
    count = len(at)
    corner = np.arange(6) / 6 * 2 * np.pi + rng.uniform(-0.4, 0.4, (count, 6))
    local = np.stack(
        [np.cos(corner) * (size * np.sqrt(long))[:, None], np.sin(corner) * (size / np.sqrt(long))[:, None]], -1
    )
    c, s = np.cos(turn)[:, None], np.sin(turn)[:, None]
    x, y = local[..., 0] * c - local[..., 1] * s + at[:, :1], local[..., 0] * s + local[..., 1] * c + at[:, 1:]
    vertices = np.stack([x, y, np.full((count, 6), DUST_M)], axis=-1).reshape(-1, 3)
    fan = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])
    faces = (fan[None] + 6 * np.arange(count)[:, None, None]).reshape(-1, 3)
    n = len(faces)
    tone = rng.uniform(0.3, 0.75)
    materials = (Material("dust", (tone, 0.95 * tone, 0.85 * tone), 0.0, 0.95),
                 Material("dark_dust", (0.06, 0.05, 0.045), 0.0, 0.95))  # fmt: skip
    return Part(
        "dust", vertices, faces, np.full((n, 3, 2), 0.5), np.tile([0.0, 0.0, 1.0], (n, 3, 1)), materials,
        np.repeat((rng.random(count) < rng.uniform(0, 0.5)).astype(np.uint8), 4),
        np.full(n, SURFACES.index("outer"), np.uint8), np.zeros(n, np.uint8), 0,
    )  # fmt: skip


def draw_clutter(
    rng: np.random.Generator,
    *,
    keep_out: Float[np.ndarray, "n 2"],
    tray_size_m: tuple[float, float],
    config: LookalikesConfig,
) -> tuple[Part, ...]:
    """Draw what lies on the tray besides the item; often nothing.

    ``keep_out``: points [m] of the item seen from above, in the world; their convex outline stays free.
    """
    with_extras, with_dust = (rng.random(2) < (config.extras, config.dust)).tolist()
    taken = [outline_of(keep_out)]
    parts: list[Part] = []
    if with_extras:
        names = list(EXTRAS)
        weights = np.array([EXTRAS[name][0] for name in names])
        for _ in range(int(rng.integers(1, 5))):
            name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
            for _ in range(int(rng.integers(1, 5)) if name in ("foam chip", "coin", "rubber band") else 1):
                placed = _place(EXTRAS[name][1](rng), rng, taken, tray_size_m)
                if placed is not None:
                    parts.append(placed)
    if with_dust:
        parts.append(_dust(rng, taken, tray_size_m))
    return tuple(parts)
