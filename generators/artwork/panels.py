"""Paints a design's panels. Pictures are sRGB uint8, row 0 on top, read-only and cached by content."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import UInt8

from ..design import stream
from .artwork import Artwork, PanelKind
from .back import back, end_panel, side, spine, wrap
from .canvas import Canvas
from .front import front
from .grounds import paint_flank

SMALLEST_PX = 16


def press(canvas: Canvas, artwork: Artwork) -> None:
    """Print flaws of the run: an ink off register, banding, dot gain, fading, the grain of the board. Codes stay."""
    press, art = artwork.look.press, canvas.art
    curve = (np.arange(256, dtype=np.float32)[:, None] / 255) ** press.gain
    paper = np.array(artwork.paper, np.float32)[None] / 255
    level = curve * (1 - press.fade) + press.fade * paper * (0.3 + 0.7 * curve)
    cv2.LUT(art, np.round(np.clip(level, 0, 1) * 255).astype(np.uint8)[None], art)
    dx, dy = (round(canvas.mm(v)) for v in press.shift_mm)
    if dx or dy:
        move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        plate = np.ascontiguousarray(art[..., press.channel])
        shifted = cv2.warpAffine(
            plate, move, plate.shape[::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        cv2.insertChannel(shifted, art, press.channel)
    rng = stream(artwork.design, "layout")
    rows = 1 + np.sin(np.arange(64) * 2 * np.pi / 32 + rng.random() * 6)
    grain = rng.integers(0, 5, (64, 64)) + press.banding * 128 * rows[:, None]
    tile = cv2.merge([np.round(grain).astype(np.uint8)] * 3)
    cv2.subtract(
        art, np.tile(tile, (canvas.height // 64 + 1, canvas.width // 64 + 1, 1))[: canvas.height, : canvas.width], art
    )
    for code, x, y in canvas.codes:
        art[y : y + code.shape[0], x : x + code.shape[1]] = code


@lru_cache(maxsize=32)
def paint_panel(
    artwork: Artwork, kind: PanelKind, width_px: int, height_px: int, *, px_per_mm: float
) -> UInt8[np.ndarray, "h w 3"]:
    """Paint one panel; the same again for the same design. The picture is read-only: copy it before you draw on it."""
    width, height = max(width_px, SMALLEST_PX), max(height_px, SMALLEST_PX)
    art = np.zeros((height, width, 3), np.uint8)
    canvas = Canvas(art, px_per_mm)
    match kind:
        case "front" | "label":
            front(canvas, artwork)
        case "back":
            back(canvas, artwork)
        case "side":
            side(canvas, artwork)
        case "top" | "bottom":
            end_panel(canvas, artwork, top=kind == "top")
        case "wrap":
            wrap(canvas, artwork)
        case "spine":
            spine(canvas, artwork)
        case _:
            paint_flank(canvas, artwork)
    press(canvas, artwork)
    art.flags.writeable = False
    return art
