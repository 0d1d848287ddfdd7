"""Pictures that fill an area: landscapes, flowing shapes, patterns in given inks; and splashes."""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from .inks import Ink
from .noise import fractal_noise
from .relief import lay, light, new_relief

Picture = np.ndarray
Inks = tuple[Ink, Ink, Ink]


def _noise(rng: np.random.Generator, h: int, w: int, cell: float, octaves: int = 4) -> Float32[np.ndarray, "h w"]:
    """Fractal noise made at a third of the size: broad shapes need no more."""
    small = fractal_noise(rng, max(h // 3, 2), max(w // 3, 2), cell_px=max(cell / 3, 1.0), octaves=octaves)
    return cv2.resize(small.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR)


def _blend(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    return a + (b - a) * share[..., None].astype(np.float32)


SKIES = (((60, 130, 200), (215, 232, 240)), ((60, 130, 200), (215, 232, 240)), ((90, 110, 170), (250, 200, 140)))
NIGHT_SKY = ((20, 30, 70), (90, 80, 130))
FIELDS = ((70, 120, 40), (150, 140, 60), (40, 80, 60), (120, 90, 130))


def _sky(rng: np.random.Generator, w: int, h: int, top: Ink, low: Ink, *, night: bool) -> Float32[np.ndarray, "h w 3"]:
    """Shading to the horizon, clouds, sun or moon."""
    t = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    column = np.array(top, np.float32) * (1 - t) + np.array(low, np.float32) * t
    cloud = np.clip(_noise(rng, h, w, 0.35 * w) * 0.8 - 0.25, 0, 1) * (1 - t) * (0.35 if night else 0.9)
    out = _blend(np.broadcast_to(column[:, None], (h, w, 3)), np.array((255, 252, 248), np.float32), cloud)
    x, y = rng.uniform(0.15, 0.85) * w, rng.uniform(0.1, 0.3) * h
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    far = np.hypot(xx - x, yy - y) / max(h, w)
    return (out + (90 * np.exp(-far / 0.12) + 200 * (far < 0.025))[..., None]).astype(np.float32)


def landscape(rng: np.random.Generator, w: int, h: int, inks: Inks, *, night: bool = False) -> Picture:
    """Sky with clouds, ranges of hills that fade with distance, fields in front."""
    top, low = NIGHT_SKY if night else SKIES[int(rng.integers(len(SKIES)))]
    out = _sky(rng, w, h, top, low, night=night)
    near = np.array(FIELDS[int(rng.integers(len(FIELDS)))], np.float32) * (0.4 if night else 1)
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    x = np.arange(w, dtype=np.float32) / w
    for k in range(5):
        share = (k + 1) / 5
        ridge = 0.38 + 0.11 * k + np.zeros_like(x)
        for f in (1.0, 2.3, 5.1):
            ridge += 0.06 / f * np.sin(2 * np.pi * (x * f * (1 + share) + rng.random()))
        if k < 2:  # far mountains are jagged
            ridge += 0.02 * np.interp(np.arange(w), np.linspace(0, w, 40), rng.standard_normal(40))
        below = yy / h - ridge[None]
        tone = near * (0.75 + 0.35 * share) * share**0.7 + np.array(low, np.float32) * 0.85 * (1 - share**0.7)
        level = (1.12 - 0.35 * np.clip(below * 3, 0, 1)) * (1 + 0.05 * _noise(rng, h, w, 0.05 * w, 3))
        if k >= 3 and not night:  # rows of a field, running to the horizon
            level = level * (1 + 0.08 * np.sin((xx + (yy - h) * (xx / w - 0.5) * 2) / max(w * 0.012 * share, 1.5)))
        out = _blend(out, tone * level[..., None], np.clip(below * h, 0, 1))
    return np.clip(out, 0, 255).astype(np.uint8)


def waves(rng: np.random.Generator, w: int, h: int, inks: Inks, *, fine: float = 1.0) -> Picture:
    """Flowing folds, as of silk or liquid, lit from the side."""
    yy, xx = np.indices((h, w), np.float32) / np.float32(max(w, h))
    angle = rng.uniform(-0.6, 0.6)
    p, q = xx * np.cos(angle) + yy * np.sin(angle), yy * np.cos(angle) - xx * np.sin(angle)
    height = np.zeros((h, w), np.float32)
    for _ in range(4):
        f = rng.uniform(1.2, 3.2) * fine
        bend = rng.uniform(0.1, 0.3) * np.sin(2 * np.pi * (p * rng.uniform(0.7, 1.6) + rng.random()))
        height += np.sin(2 * np.pi * (q * f + bend) + rng.uniform(0, 6)) / f
    slope = np.gradient(height, axis=0)
    tone = np.clip(0.5 + slope / (np.abs(slope).max() + 1e-6) * 0.9, 0, 1)
    a, b, _ = (np.array(i, np.float32) for i in inks)
    out = _blend(np.broadcast_to(a * 0.72, (h, w, 3)), np.minimum(a * 1.15 + 18, 255), tone)
    share = np.clip((height - height.mean()) / (height.std() * 2.5), 0, 1) * 0.45
    out = _blend(out, b, share) + (np.clip(tone - 0.82, 0, 1) * 260)[..., None]
    return np.clip(out, 0, 255).astype(np.uint8)


def rays(rng: np.random.Generator, w: int, h: int, inks: Inks) -> Picture:
    """A burst of rays behind the picture."""
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    cx, cy = rng.uniform(0.35, 0.65) * w, rng.uniform(0.4, 0.7) * h
    count = int(rng.integers(10, 22))
    a = np.arctan2(yy - cy, xx - cx)
    r = np.hypot(xx - cx, yy - cy) / max(w, h)
    share = np.clip(np.sin(a * count) * np.maximum(r * max(w, h) / count * 0.7, 1) * 0.5 + 0.5, 0, 1)
    one = np.array(inks[0], np.float32)
    two = np.minimum(one * 1.12 + 16, 255)
    out = _blend(np.broadcast_to(one, (h, w, 3)), two, share)
    glow = np.exp(-((r / 0.28) ** 2))
    return np.clip(_blend(out, np.minimum(one + 90, 255), glow * 0.7), 0, 255).astype(np.uint8)


def pattern(rng: np.random.Generator, w: int, h: int, inks: Inks, *, style: str) -> Picture:
    """Tiles, stripes, tartan, knit, paws, weave: repeats of a cell."""
    cell = max(int(min(w, h) * rng.uniform(0.1, 0.2)), 8)
    a, b, c = (np.array(i, np.float32) for i in inks)
    y, x = np.mgrid[0:cell, 0:cell].astype(np.float32) / cell
    if style == "tartan":
        bands = (np.abs(x - 0.5) < 0.2) * 0.5 + (np.abs(x - 0.1) < 0.04) * 0.8
        share = np.clip(0.5 * bands + 0.5 * bands.T, 0, 1)
        tile = _blend(np.broadcast_to(a, (cell, cell, 3)), b, share)
        tile = _blend(tile, c, ((np.abs(x - 0.85) < 0.03) | (np.abs(y - 0.85) < 0.03)) * 0.8)
    elif style == "knit":
        v = np.abs(((x * 4) % 1) - 0.5)
        share = 0.5 + 0.5 * np.cos(2 * np.pi * (y * 4 + v * 1.2))
        tile = _blend(
            np.broadcast_to(a * 0.6, (cell, cell, 3)),
            np.minimum(a * 1.1 + 12, 255),
            share * np.clip(1.2 - v * 0.8, 0, 1),
        )
        tile = _blend(tile, b, ((np.abs(y - 0.5) < 0.125) * 0.7))
    elif style == "carbon":
        k = ((x * 4).astype(int) + (y * 4).astype(int)) % 2
        share = np.where(k > 0, (x * 4) % 1, (y * 4) % 1)
        tile = _blend(np.broadcast_to(a * 0.75, (cell, cell, 3)), a * 1.05, share)
    elif style == "stripes":
        share = np.clip((np.sin(2 * np.pi * (x + y) * 2) * cell * 0.2) + 0.5, 0, 1)
        tile = _blend(np.broadcast_to(a, (cell, cell, 3)), a * 0.9, share)
    elif style == "paws":
        blobs = [
            (0.5, 0.6, 0.2, 0.16),
            (0.26, 0.4, 0.08, 0.1),
            (0.42, 0.27, 0.08, 0.1),
            (0.6, 0.27, 0.08, 0.1),
            (0.76, 0.4, 0.08, 0.1),
        ]
        inside = np.max(
            [
                np.clip((1 - np.hypot((x - bx) / rx, (y - by) / ry)) * cell * 0.1 + 0.5, 0, 1)
                for bx, by, rx, ry in blobs
            ],
            axis=0,
        )
        tile = _blend(np.broadcast_to(a, (cell, cell, 3)), a * 0.88, inside)
    else:
        petal = np.cos(4 * np.arctan2(y - 0.5, x - 0.5)) * 0.13 + 0.3
        r = np.hypot(x - 0.5, y - 0.5)
        share = np.clip((petal - r) * cell * 0.5, 0, 1)
        tile = _blend(np.broadcast_to(a, (cell, cell, 3)), b, share * 0.55)
        tile = _blend(tile, c, np.clip((0.08 - r) * cell * 0.5, 0, 1) * 0.8)
        corner = np.hypot(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
        tile = _blend(tile, a * 0.8, np.clip((0.05 - np.abs(corner - 0.2)) * cell * 0.5, 0, 1))
    tile = np.clip(tile, 0, 255).astype(np.uint8)
    return np.tile(tile, (h // cell + 1, w // cell + 1, 1))[:h, :w]


def splash(rng: np.random.Generator, w: int, h: int, colour: tuple[float, float, float]) -> UInt8[np.ndarray, "h w 4"]:
    """A crown of liquid thrown up, with drops; RGBA."""
    blobs = np.zeros((h, w), np.float32)
    cx, cy, wide = 0.5 * w, 0.78 * h, 0.46 * w
    for k in range(26):
        t = (k + rng.uniform(-0.3, 0.3)) / 25 * np.pi
        x0, y0 = cx - wide * 0.75 * np.cos(t), cy - 0.05 * h * np.sin(t)
        reach = rng.uniform(0.1, 0.5) * h * (0.4 + abs(np.cos(t)) ** 0.8)
        lean = -np.cos(t) * rng.uniform(0.15, 0.4)
        steps = 9
        for s in range(steps):
            q = s / steps
            size = 0.05 * w * (1 - 0.8 * q) + 0.006 * w
            at = (int(x0 + lean * reach * q * 1.2), int(y0 - reach * (q - 0.25 * q * q)))
            cv2.circle(blobs, at, max(int(size), 1), 1.0, -1, cv2.LINE_AA)
        if rng.random() < 0.7:
            drop = (int(x0 + lean * reach * 1.5), int(y0 - reach * rng.uniform(0.85, 1.1)))
            cv2.circle(blobs, drop, max(int(rng.uniform(0.006, 0.02) * w), 1), 1.0, -1, cv2.LINE_AA)
    cv2.ellipse(blobs, (int(cx), int(cy)), (int(wide), int(0.1 * h)), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(blobs, (0, 0), 0.011 * w)
    mask = soft > 0.42
    rise = cv2.GaussianBlur(np.sqrt(np.clip(soft - 0.42, 0, None)) * np.float32(0.14 * w), (0, 0), 0.006 * w)
    rise += 0.006 * w * _noise(rng, h, w, 0.12 * w, 3)
    relief = new_relief(w, h)
    lay(relief, (slice(0, h), slice(0, w)), mask, rise, np.array(colour, np.float32), 0.85, base=0.0)
    return light(relief, reach=0.06 * w, sky=0.58)


def wood(rng: np.random.Generator, w: int, h: int) -> Float32[np.ndarray, "h w 3"]:
    """Boards of a table, sRGB 0 to 1."""
    tone = np.array(
        [(0.72, 0.52, 0.34), (0.45, 0.3, 0.2), (0.86, 0.8, 0.72), (0.32, 0.27, 0.25)][int(rng.integers(4))], np.float32
    )
    yy = np.mgrid[0:h, 0:w][0].astype(np.float32)
    board = max(h / rng.uniform(3.5, 6), 8)
    number = (yy // board).astype(int)
    shift = rng.uniform(0, 100, number.max() + 1).astype(np.float32)[number]
    warp = _noise(rng, h, w, 0.4 * w, 3)
    grain = np.sin((yy + 6 * warp + shift * 5) * 2 * np.pi / max(board * 0.16, 3)) * 0.05 + 0.06 * np.sin(
        yy * 3.1 + 9 * warp + shift
    )
    seam = np.clip(1.5 - np.minimum(yy % board, board - yy % board), 0, 1)
    level = 1 + grain + 0.05 * np.sin(shift) - 0.45 * seam
    return np.clip(tone * level[..., None], 0, 1).astype(np.float32)


AREAS: dict[str, Callable[..., Picture]] = {
    "landscape": landscape,
    "night_landscape": lambda rng, w, h, inks: landscape(rng, w, h, inks, night=True),
    "rays": rays,
    "tiles": lambda rng, w, h, inks: pattern(rng, w, h, inks, style="tiles"),
    "paw_tiles": lambda rng, w, h, inks: pattern(rng, w, h, inks, style="paws"),
    "stripes": lambda rng, w, h, inks: pattern(rng, w, h, inks, style="stripes"),
    "tartan": lambda rng, w, h, inks: pattern(rng, w, h, inks, style="tartan"),
    "knit": lambda rng, w, h, inks: pattern(rng, w, h, inks, style="knit"),
    "carbon": lambda rng, w, h, inks: pattern(rng, w, h, inks, style="carbon"),
    "silk_waves": waves,
    "cloth": lambda rng, w, h, inks: waves(rng, w, h, ((235, 238, 242), inks[0], inks[2])),
    "metal_waves": lambda rng, w, h, inks: waves(rng, w, h, ((150, 155, 162), inks[0], inks[2]), fine=0.8),
    "water_waves": lambda rng, w, h, inks: waves(rng, w, h, inks, fine=1.6),
    "bubble_waves": lambda rng, w, h, inks: waves(rng, w, h, inks, fine=1.2),
    "feather_waves": lambda rng, w, h, inks: waves(rng, w, h, inks, fine=0.7),
    "molecule_waves": lambda rng, w, h, inks: waves(rng, w, h, inks, fine=0.5),
}
"""Pictures that fill an area."""
