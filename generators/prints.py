"""Printed damage: pictures that look like damage and are ink. Designs with cracked glass, splashes, torn paper, holes.

Holes, dents, rust, half of the tears and a third of the spills come from pictures in ``assets/prints``, rendered from
our own damages (make_prints.py there); glass, splashes, puddles and torn-off strips are drawn.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from .artwork import fractal_noise
from .decal import Decal

Print = Literal[
    "smashed_glass", "splash", "spill", "tear", "hole", "dent", "rust", "bullet_holes", "claw_marks", "cracks"
]
PRINTS: tuple[Print, ...] = get_args(Print)
FOLDER = Path(__file__).resolve().parents[1] / "assets" / "prints"
SIDE = 320
"""Pixels across a drawn picture."""

Grid = Float[np.ndarray, "h w"]
Rgba = UInt8[np.ndarray, "h w 4"]


def _grid(height: int = SIDE, width: int = SIDE) -> tuple[Grid, Grid]:
    """Coordinates of pixels, -1 to 1; y goes down."""
    y, x = (np.mgrid[0:height, 0:width] + 0.5) / np.array([height, width])[:, None, None] * 2 - 1
    return x, y


def _over(below: Float[np.ndarray, "h w 4"], colour, alpha: Grid) -> Float[np.ndarray, "h w 4"]:
    """Paint a colour (0-1) over premultiplied paint."""
    paint = np.broadcast_to(np.asarray(colour, float), (*alpha.shape, 3)) * alpha[..., None]
    return np.dstack([paint, alpha]) + below * (1 - alpha[..., None])


def _finish(paint: Float[np.ndarray, "h w 4"]) -> Rgba:
    """From premultiplied paint, 0-1, to sRGB and opacity."""
    colour = paint[..., :3] / np.maximum(paint[..., 3:], 1e-4)
    return np.round(255 * np.clip(np.dstack([colour, paint[..., 3]]), 0, 1)).astype(np.uint8)


def _blur(mask: Grid, sigma: float) -> Grid:
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma).astype(np.float64)


def _shifted(mask: Grid, dx: float, dy: float) -> Grid:
    way = np.array([[1.0, 0, dx], [0, 1, dy]])
    return cv2.warpAffine(mask.astype(np.float32), way, mask.shape[::-1]).astype(np.float64)


def _empty(height: int = SIDE, width: int = SIDE) -> Float[np.ndarray, "h w 4"]:
    return np.zeros((height, width, 4))


# ---- Drawn prints ---------------------------------------------------------------------------------------------------


def _wander(
    rng: np.random.Generator, start: Float[np.ndarray, "2"], angle: float, length: float, *, bend: float = 0.25
) -> Float[np.ndarray, "n 2"]:
    """A crack's way [px]: straight pieces that turn a little."""
    count = max(3, int(length / 14))
    turns = angle + np.cumsum(rng.normal(0, bend, count))
    steps = length / count * rng.uniform(0.5, 1.5, count)[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return start + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def _stroke(canvas: UInt8[np.ndarray, "h w"], path: Float[np.ndarray, "n 2"], first_px: float, last_px: float) -> None:
    """Draw a line that tapers."""
    widths = np.linspace(first_px, last_px, len(path) - 1)
    for a, b, width in zip(path[:-1], path[1:], widths, strict=True):
        p, q = (tuple(int(16 * v) for v in point) for point in (a, b))
        cv2.line(canvas, p, q, 255, max(1, round(float(width))), cv2.LINE_AA, 4)


def _smashed_glass(rng: np.random.Generator) -> Rgba:
    """Rays from where it was hit, rings of shards between them, each shard a little lighter or darker."""
    middle = np.array([SIDE / 2, SIDE / 2]) + rng.normal(0, 10, 2)
    rays = int(rng.integers(11, 20))
    angles = np.sort((np.arange(rays) + rng.uniform(-0.35, 0.35, rays)) / rays * 2 * np.pi)
    reach = SIDE * rng.uniform(0.3, 0.49, rays)
    rings = np.concatenate([[0.05], np.sort(rng.uniform(0.12, 0.95, int(rng.integers(3, 6))))])
    jitter = rng.uniform(0.82, 1.18, (rays, len(rings)))
    bend = rng.normal(0, 0.05, (rays, len(rings)))
    turned = angles[:, None] + bend
    knots = middle + (reach[:, None] * rings * jitter)[..., None] * np.stack([np.cos(turned), np.sin(turned)], -1)
    shade = np.zeros((SIDE, SIDE), np.float32)
    lines = np.zeros((SIDE, SIDE), np.uint8)
    fine = np.zeros((SIDE, SIDE), np.uint8)
    for i in range(rays):
        j = (i + 1) % rays
        for k in range(len(rings) - 1):
            if rng.random() < 0.9 - 0.5 * rings[k]:
                shard = np.array([knots[i, k], knots[i, k + 1], knots[j, k + 1], knots[j, k]])
                cv2.fillPoly(shade, [np.round(shard * 16).astype(np.int32)], float(rng.normal(0, 0.14)), cv2.LINE_AA, 4)
                if rng.random() < 0.85:
                    _stroke(lines, knots[[i, j], k + 1], rng.uniform(1, 2.2), 1)
                if rng.random() < 0.4:
                    _stroke(fine, np.array([knots[i, k], knots[j, k + 1]]), 1, 1)
        _stroke(lines, np.concatenate([knots[i], _wander(rng, knots[i, -1], angles[i], 0.1 * SIDE)]), 2.6, 1)
    cv2.fillPoly(lines, [np.round(knots[:, 0] * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    crack = np.clip(lines / 255 + 0.5 * (fine / 255), 0, 1)
    paint = _over(_empty(), 0.0, np.clip(-shade, 0, 0.35).astype(float))
    paint = _over(paint, 1.0, np.clip(shade, 0, 0.4).astype(float))
    paint = _over(paint, (0.05, 0.06, 0.07), 0.55 * _shifted(crack, 1.6, 1.6))
    pale = rng.random() < 0.6
    return _finish(_over(paint, (0.97, 0.98, 1.0) if pale else (0.08, 0.08, 0.09), 0.92 * crack))


def _cracks(rng: np.random.Generator) -> Rgba:
    """Dried, cracked earth or old paint: edges of irregular cells."""
    points = rng.uniform(-0.1, 1.1, (int(rng.integers(25, 70)), 2)) * SIDE
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    warp = 5 * fractal_noise(rng, SIDE, SIDE, cell_px=22.0, octaves=2)
    distance = np.stack([np.hypot(x + warp - a, y - warp - b) for a, b in points])
    two = np.partition(distance, 1, axis=0)[:2]
    width = 2.2 + 0.9 * fractal_noise(rng, SIDE, SIDE, cell_px=60.0, octaves=1)
    crack = np.clip((width - (two[1] - two[0])) / 1.5, 0, 1)
    u, v = _grid()
    fade = np.clip((0.9 - np.hypot(u, v) + 0.12 * fractal_noise(rng, SIDE, SIDE, cell_px=40.0)) * 5, 0, 1)
    lit = np.clip(_shifted(crack, 1.5, 1.5) - crack, 0, 1)
    paint = _over(_empty(), 1.0, 0.35 * lit * fade)
    return _finish(_over(paint, (0.09, 0.06, 0.04), 0.9 * crack * fade))


def _wet(rng: np.random.Generator, mask: Grid) -> Rgba:
    """A liquid's looks over a height field cut at a level: dark border, body, gloss at the upper left, a shadow."""
    body = np.clip(mask * 60 + 0.5, 0, 1)
    round_ = _blur(body, 5.0)
    dy, dx = np.gradient(round_)
    slope = (dx + dy) * 9  # light from the upper left
    tone = np.array([(0.42, 0.24, 0.1), (0.75, 0.1, 0.12), (0.94, 0.9, 0.82), (0.2, 0.5, 0.75), (0.95, 0.62, 0.08),
                     (0.35, 0.55, 0.12), (0.16, 0.1, 0.07)][int(rng.integers(7))])  # fmt: skip
    shade = 1 - 0.45 * np.clip(-slope, 0, 1) + 0.25 * np.clip(slope, 0, 1)
    rim = 1 - 0.3 * np.clip(1 - 2.2 * (round_ - 0.5), 0, 1)
    gloss = np.clip(slope * 3.2 - 1.6, 0, 1) * body
    paint = _over(_empty(*mask.shape), 0.0, 0.35 * _blur(_shifted(body, 4, 5), 3.0))
    paint = _over(paint, np.clip(tone * (shade * rim)[..., None], 0, 1), body * rng.uniform(0.85, 1.0))
    return _finish(_over(paint, 1.0, 0.85 * _blur(gloss, 0.8)))


def _splash(rng: np.random.Generator) -> Rgba:
    """A crown of drops thrown out from a blob."""
    x, y = _grid()
    angle, away = np.arctan2(y, x), np.hypot(x, y)
    rim = rng.uniform(0.2, 0.34) * np.ones_like(x)
    for _ in range(int(rng.integers(8, 15))):
        at, wide, long = rng.uniform(-np.pi, np.pi), rng.uniform(0.05, 0.14), rng.uniform(0.05, 0.42)
        rim += long * np.exp(-(((angle - at + np.pi) % (2 * np.pi) - np.pi) ** 2) / wide**2)
    mask = (rim - away) * 2
    for _ in range(int(rng.integers(10, 26))):
        at, far, size = rng.uniform(-np.pi, np.pi), rng.uniform(0.45, 0.92), rng.uniform(0.012, 0.06)
        u = (x - far * np.cos(at)) * np.cos(at) + (y - far * np.sin(at)) * np.sin(at)
        v = -(x - far * np.cos(at)) * np.sin(at) + (y - far * np.sin(at)) * np.cos(at)
        mask = np.maximum(mask, (size - np.hypot(u / rng.uniform(1.0, 2.2), v)) * 2)
    return _wet(rng, mask + 0.004 * fractal_noise(rng, SIDE, SIDE, cell_px=12.0))


def _spill(rng: np.random.Generator) -> Rgba:
    """A heap of powder, or a liquid."""
    return _rendered(rng, "spill") if rng.random() < 0.35 else _puddle(rng)


def _puddle(rng: np.random.Generator) -> Rgba:
    """A puddle that runs down in tongues, or a scatter of drops."""
    x, y = _grid()
    noise = fractal_noise(rng, SIDE, SIDE, cell_px=70.0, octaves=2)
    if rng.random() < 0.4:  # drops
        mask = np.full_like(x, -1.0)
        for _ in range(int(rng.integers(25, 70))):
            at, size = rng.uniform(-0.92, 0.92, 2), 0.012 + 0.07 * rng.random() ** 3
            mask = np.maximum(mask, (size - np.hypot(x - at[0], (y - at[1]) / rng.uniform(1, 1.3))) * 2)
        return _wet(rng, mask + 0.003 * noise)
    mask = 0.42 - np.hypot(x, 1.4 * (y + 0.42)) + 0.09 * noise
    for _ in range(int(rng.integers(3, 7))):
        at, wide, end = rng.uniform(-0.4, 0.4), rng.uniform(0.03, 0.07), rng.uniform(0.1, 0.9)
        stem = np.where((y > -0.45) & (y < end), wide * (1 - 0.35 * (y + 0.4)) - np.abs(x - at - 0.02 * noise), -1)
        drop = 1.25 * wide - np.hypot(x - at - 0.02 * noise, y - end)
        mask = np.maximum(mask, np.maximum(stem, drop))
    return _wet(rng, mask)


def _tear(rng: np.random.Generator) -> Rgba:
    """A flap torn open, or a strip torn away."""
    return _rendered(rng, "tear") if rng.random() < 0.5 else _strip(rng)


def _strip(rng: np.random.Generator) -> Rgba:
    """A strip of the pack "torn away": white fibre at the border, a shadow, another colour below."""
    height, width = SIDE, int(SIDE * rng.uniform(1.2, 1.9))
    x, y = _grid(height, width)
    slant = rng.uniform(-0.25, 0.25)

    def edge(level: float) -> Grid:
        fine = fractal_noise(rng, 8, width, cell_px=26.0, octaves=5)[4]
        wide = fractal_noise(rng, 8, width, cell_px=140.0, octaves=2)[4]
        return level + slant * x + (0.06 * wide + 0.022 * fine)[None]

    half = rng.uniform(0.28, 0.5)
    upper, lower = edge(-half), edge(half)
    ends = 0.86 + 0.05 * fractal_noise(rng, height, 8, cell_px=30.0, octaves=4)[:, 4:5]
    open_ = np.minimum(np.minimum(y - upper, lower - y), 1.4 * (ends - np.abs(x)))
    inside = np.clip(open_ * 90, 0, 1)
    fibre = np.clip((open_ + 0.07 + 0.02 * fractal_noise(rng, height, width, cell_px=12.0)) * 90, 0, 1)
    tone = rng.uniform(0.05, 1.0, 3) if rng.random() < 0.6 else np.full(3, rng.uniform(0.05, 0.25))
    below = tone * (1 + 0.03 * fractal_noise(rng, height, width, cell_px=5.0, octaves=2))[..., None]
    shadow = _blur(_shifted(1 - inside, 5, 7), 6.0)
    below = np.clip(below * (1 - 0.75 * shadow[..., None]), 0, 1)
    paper = np.clip(0.95 + 0.03 * fractal_noise(rng, height, width, cell_px=4.0, octaves=2), 0, 1)[..., None]
    paint = _over(_empty(height, width), 0.0, 0.3 * _blur(_shifted(fibre, 3, 4), 3.0))
    paint = _over(paint, np.repeat(paper, 3, axis=2), fibre)
    return _finish(_over(paint, below, inside))


def _bullet_holes(rng: np.random.Generator) -> Rgba:
    """Small round holes with a bright bent rim and fine cracks."""
    paint = _empty()
    x, y = (q * SIDE / 2 for q in _grid())
    for _ in range(int(rng.integers(2, 6))):
        at, size = rng.uniform(-0.68, 0.68, 2) * SIDE / 2, rng.uniform(0.05, 0.09) * SIDE
        u, v = x - at[0], y - at[1]
        angle, away = np.arctan2(v, u), np.hypot(u, v) / size
        away = away * (1 + 0.06 * np.sin(5 * angle + rng.uniform(0, 6)) + 0.05 * np.sin(9 * angle + rng.uniform(0, 6)))
        lines = np.zeros((SIDE, SIDE), np.uint8)
        for turn in rng.uniform(0, 2 * np.pi, int(rng.integers(4, 9))):
            way = np.array([np.cos(turn), np.sin(turn)])
            _stroke(lines, _wander(rng, at + SIDE / 2 + size * way, turn, size * rng.uniform(0.6, 2)), 1.6, 1)
        paint = _over(paint, (0.1, 0.1, 0.1), 0.7 * lines / 255)
        ring = np.clip((1.55 - away) * 4, 0, 1)
        light = 0.55 + 0.35 * (-u - v) / np.maximum(np.hypot(u, v), 1)
        paint = _over(paint, np.repeat(np.clip(light, 0, 1)[..., None], 3, axis=2), ring)
        paint = _over(paint, 0.02, np.clip((1.0 - away) * 6, 0, 1))
    return _finish(paint)


def _claw_marks(rng: np.random.Generator) -> Rgba:
    """Three to five slashes side by side."""
    paint, (x, y) = _empty(), _grid()
    count, lean = int(rng.integers(3, 6)), rng.uniform(-0.5, 0.5)
    pale = rng.random() < 0.5
    for k in range(count):
        at = (k - (count - 1) / 2) * 1.5 / count + rng.normal(0, 0.03)
        long, wide = rng.uniform(0.6, 0.92), rng.uniform(0.05, 0.085)
        ragged = 0.012 * fractal_noise(rng, SIDE, SIDE, cell_px=14.0)
        across = x - at - lean * y - 0.05 * np.sin(2 * y + k) + ragged
        half = wide * np.clip(1 - np.abs(y / long) ** 2.2, 0, 1)
        inside = half - np.abs(across)
        torn = np.clip((inside + 0.025 * (half > 0)) * 70, 0, 1)
        paint = _over(paint, 0.95 if pale else 0.75, torn)
        paint = _over(paint, (0.08, 0.05, 0.05), np.clip(inside * 70, 0, 1))
    return _finish(paint)


# ---- Prints from our own damages ------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def _picture(path: Path) -> Rgba:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None  # one of our own files
    return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)


def _rendered(rng: np.random.Generator, name: str) -> Rgba:
    """One of the folder's pictures, as it is or mirrored."""
    paths = sorted(FOLDER.glob(f"{name}-*.png"))
    picture = _picture(paths[int(rng.integers(len(paths)))])
    return np.ascontiguousarray(picture[:, ::-1]) if rng.random() < 0.5 else picture


def _hole(rng: np.random.Generator) -> Rgba:
    """A torn hole; what shows through it is darkened, its rim sometimes burnt."""
    picture = _rendered(rng, "hole").astype(np.float32)
    colour = picture[..., :3] * (1 - rng.uniform(0, 0.3) * (picture[..., :3].mean(axis=2, keepdims=True) < 140))
    if rng.random() < 0.35:
        edge = picture[..., 3] / 255
        rim = np.clip(1.6 - 1.3 * np.abs(cv2.GaussianBlur(edge, (0, 0), 9) - 0.62) * 4, 0, 1)[..., None]
        colour = colour * (1 - 0.8 * rim) + np.array([28, 17, 10], np.float32) * 0.8 * rim
    return np.dstack([np.clip(colour, 0, 255), picture[..., 3]]).astype(np.uint8)


def _dent(rng: np.random.Generator) -> Rgba:
    return _rendered(rng, "dent")


def _rust(rng: np.random.Generator) -> Rgba:
    return _rendered(rng, "rust")


_DRAW: dict[Print, tuple[Callable[[np.random.Generator], Rgba], tuple[float, float]]] = {
    "smashed_glass": (_smashed_glass, (35.0, 90.0)),
    "splash": (_splash, (30.0, 80.0)),
    "spill": (_spill, (30.0, 80.0)),
    "tear": (_tear, (35.0, 90.0)),
    "hole": (_hole, (25.0, 70.0)),
    "dent": (_dent, (25.0, 70.0)),
    "rust": (_rust, (25.0, 60.0)),
    "bullet_holes": (_bullet_holes, (30.0, 70.0)),
    "claw_marks": (_claw_marks, (30.0, 70.0)),
    "cracks": (_cracks, (35.0, 80.0)),
}
"""What draws a kind, and its widths [mm]."""


def draw_print(kind: Print, rng: np.random.Generator) -> Decal:
    """Draw printed damage of a kind. It is ink: the wall keeps its gloss."""
    draw, widths = _DRAW[kind]
    width = float(rng.uniform(*widths))
    return Decal(draw(rng), width)
