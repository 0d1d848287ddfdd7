"""Packing tape, and the way it and labels are laid on a panel's print and gloss."""

import cv2
import numpy as np
from jaxtyping import UInt8

from ..artwork import FONTS, Ink, draw_ink, draw_text, fractal_noise

TAPES: dict[str, tuple[Ink, float, float]] = {
    "clear": ((226, 214, 190), 0.22, 0.12),
    "brown": ((158, 116, 66), 0.88, 0.2),
    "paper": ((190, 150, 104), 0.95, 0.75),
    "white": ((236, 236, 232), 0.92, 0.35),
    "printed": ((232, 230, 224), 0.95, 0.3),
}
"""Colour, how much it covers, roughness."""


def lay_on(
    picture: UInt8[np.ndarray, "h w 3"], rough: UInt8[np.ndarray, "h w"], corner: tuple[int, int],
    piece: UInt8[np.ndarray, "a b 3"], cover: UInt8[np.ndarray, "a b"], roughness: int,
) -> None:  # fmt: skip
    """Stick something on a panel in place, with its own gloss, at (column, row); it may reach beyond the panel."""
    h, w = picture.shape[:2]
    x, y = corner
    a, b = max(0, y), min(h, y + len(piece))
    c, d = max(0, x), min(w, x + piece.shape[1])
    if a >= b or c >= d:
        return
    share = cover[a - y : b - y, c - x : d - x].astype(np.float32)[..., None] / 255
    mixed = picture[a:b, c:d] * (1 - share) + piece[a - y : b - y, c - x : d - x] * share
    picture[a:b, c:d] = mixed.astype(np.uint8)
    rough[a:b, c:d][share[..., 0] > 0.02] = roughness


def tape_strip(
    kind: str, brand: str, scale: float, *, size_mm: tuple[float, float], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """A strip of tape as a picture and what it covers; its ends are torn along a saw."""
    color, cover, _ = TAPES[kind]
    h, w = max(8, round(size_mm[1] * scale)), round(size_mm[0] * scale)
    streaks = cv2.resize(rng.standard_normal((max(6, h // 4), 12)).astype(np.float32), (w, h))
    cloudy = cv2.resize(fractal_noise(rng, 24, 256, cell_px=12.0).astype(np.float32), (w, h))
    tone = 1 + 0.012 * streaks + 0.02 * cloudy
    strip = np.clip(tone[..., None] * np.array(color, np.float32), 0, 255).astype(np.uint8)
    if kind == "printed":
        word = f"{brand}   " * max(1, round(w / (4.5 * h)))
        ink = draw_ink(rng, 10.0, 150.0)
        strip = draw_text(strip, word, (0, int(0.3 * h), w, int(0.4 * h)), ink, FONTS[0]).copy()
    alpha = np.full((h, w), 255 * cover, np.float32)
    if kind == "clear":  # what did not stick is paler
        alpha *= 1 + 0.25 * np.clip(cloudy, -1, 2)
        alpha[[0, -1]] = 90
    else:  # it sinks a little into the gap under it
        gap = np.exp(-(((np.arange(h) - h / 2) / (1.2 * scale)) ** 2))
        strip = (strip * (1 - 0.1 * gap[:, None, None])).astype(np.uint8)
    saw = (np.abs((np.arange(h) / scale) % 2.4 - 1.2) * scale).astype(int)
    column = np.arange(w)[None]
    inside = (column >= saw[:, None]) & (column < w - saw[:, None])
    return strip, (np.clip(alpha, 0, 255) * inside).astype(np.uint8)
