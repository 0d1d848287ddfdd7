"""Rust on tinplate: blooms, pits, and streaks that run down from where water stood."""

import numpy as np

from .dirt import _half, _sketch
from .flatten import Canvas
from .grain import draw_grain, noise, ramp
from .layers import Layer, Sketch, cover, over
from .scratches import patch_field
from .stuff import Stuff

FRESH, OLD, DARK = np.array([196.0, 112, 44]), np.array([122.0, 64, 30]), np.array([58.0, 34, 22])


def rust_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """A bloom with pits around it; y is up, so that what ran out of it runs down."""
    aspect, grains = float(np.exp(rng.normal(0, 0.5))), [draw_grain(rng) for _ in range(6)]
    age, runs, tone = float(rng.uniform(0.1, 0.9)), float(rng.uniform(0, 1)), float(rng.uniform(0.85, 1.12))
    pits, half = float(rng.uniform(0.15, 0.5)), _half(area_mm2, aspect)

    def draw(canvas: Canvas) -> Layer:
        field = patch_field(canvas, area_mm2, aspect, grains[0], ragged=0.5, cell=0.6)
        field = field + 0.16 * noise(grains[1], canvas, 2.4, octaves=4)
        below = np.exp(-np.square(canvas.x_mm / half[0]) * 1.5) * (canvas.y_mm < 0.4 * half[1])
        run = noise(grains[2], canvas, (2.2, 60.0), octaves=2) - 1.6 + 1.2 * runs * below
        run = ramp(run - np.maximum(-canvas.y_mm / (3.0 * half[1]) - 0.2, 0), 0, 0.7) * below * (area_mm2 > 0)
        spot = noise(grains[3], canvas, 1.1, octaves=2) + 2.0 * np.minimum(field, 0.1)
        pit = ramp(spot, 1.9 - pits, 2.2 - pits) * ramp(field, -0.9, -0.2)
        deep = ramp(field + 0.12 * noise(grains[4], canvas, 1.2, octaves=3), 0.05, 0.9)
        old = np.clip(age + 0.28 * noise(grains[5], canvas, 5.0, octaves=4), 0, 1)[..., None]
        colour = tone * ((1 - old) * FRESH + old * OLD)
        black = ramp(deep * (0.5 + age) + 0.2 * noise(grains[3], canvas, 2.0, octaves=2), 0.75, 1.2)[..., None]
        colour = (1 - black) * colour + black * DARK
        body = np.maximum(ramp(field, -0.02, 0.14) * (0.72 + 0.28 * deep), 0.9 * pit)
        spoilt = (field > 0.03) | (pit > 0.5) | (run > 0.45)
        stain = cover(0.55 * run, FRESH * tone, spoilt=0 * field, dull=0.7)
        return over(stain, cover(np.clip(body, 0, 0.97), colour, spoilt=spoilt, roughness=0.92))

    return _sketch(half, draw, clings=True, room=2.2)
