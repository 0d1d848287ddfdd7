"""What is painted over a wall: how much of what was there stays, and what comes on top; sketches in millimetres."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Shaped

from .flatten import Canvas


@dataclass(frozen=True)
class Layer:
    """What a damage does to each point of a canvas: ``new = old * times + plus`` in sRGB of 0-255."""

    times: Float[np.ndarray, "h w 3"]
    plus: Float[np.ndarray, "h w 3"]
    dull: Float[np.ndarray, "h w"]
    """Share by which roughness goes to ``roughness``."""
    bare: Float[np.ndarray, "h w"]
    """Share by which metalness goes to ``metallic``."""
    spoilt: Float[np.ndarray, "h w"]
    """1 where a person would call it spoilt: what is measured and labelled."""
    roughness: float = 0.9
    metallic: float = 0.0


@dataclass(frozen=True)
class Sketch:
    """A damage before it meets the wall. All is drawn from the generator; ``draw`` only evaluates it."""

    half_mm: tuple[float, float]
    px_per_mm: float
    draw: Callable[[Canvas], Layer]
    clings: bool = False
    """A liquid goes round edges; a tool touches what faces it."""
    close_mm: float = 1.0
    """Gaps that a label closes."""
    margin_mm: float = 0.25
    """How far a label reaches beyond what is spoilt."""
    lines_mm: tuple[Float[np.ndarray, "_ 2"], ...] = ()
    """Scratches, to measure their length."""


def cover(alpha: Float[np.ndarray, "h w"], colour: Float[np.ndarray, "*c"], *, spoilt: Shaped[np.ndarray, "h w"],
          dull: float = 1.0, roughness: float = 0.9, metallic: float = 0.0) -> Layer:  # fmt: skip
    """Opaque paint of a colour (one, or one per pixel) with an opacity."""
    a = np.clip(alpha, 0, 1).astype(np.float32)
    plus = a[..., None] * np.asarray(colour, np.float32)
    times = np.repeat(1 - a[..., None], 3, axis=2)
    return Layer(times, plus, dull * a, a, spoilt.astype(np.float32), roughness, metallic)


def tint(density: Float[np.ndarray, "h w"], absorbs: Float[np.ndarray, "3"], *, spoilt: Shaped[np.ndarray, "h w"],
         dull: float = 0.0, roughness: float = 0.9) -> Layer:  # fmt: skip
    """A clear stain: each channel is dimmed by ``exp(-density * absorbs)`` (Beer and Lambert)."""
    d = np.maximum(density, 0).astype(np.float32)
    times = np.exp(-d[..., None] * np.asarray(absorbs, np.float32))
    nothing = np.zeros_like(d)
    return Layer(times, np.zeros_like(times), dull * np.minimum(d, 1), nothing, spoilt.astype(np.float32), roughness)


def over(below: Layer, above: Layer) -> Layer:
    """One layer upon another; gloss is that of the upper one where both change it."""
    return Layer(
        below.times * above.times,
        below.plus * above.times + above.plus,
        np.maximum(below.dull, above.dull),
        np.maximum(below.bare, above.bare),
        np.maximum(below.spoilt, above.spoilt),
        above.roughness,
        above.metallic,
    )


def dimmed(layer: Layer, share: Float[np.ndarray, "h w"]) -> Layer:
    """A layer of which only a share is there; what is hardly there is not spoilt."""
    s = share.astype(np.float32)
    return replace(
        layer,
        times=1 - s[..., None] * (1 - layer.times),
        plus=s[..., None] * layer.plus,
        dull=s * layer.dull,
        bare=s * layer.bare,
        spoilt=layer.spoilt * (s > 0.3),
    )
