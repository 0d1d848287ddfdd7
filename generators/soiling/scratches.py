"""What rubs a wall: scratches alone and in bundles, worn edges and corners, rubbed patches."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from .flatten import Canvas
from .grain import Grain, draw_grain, noise, ramp
from .layers import Layer, Sketch, cover, dimmed, over
from .stuff import Stuff

LINES = 40
"""Drawn for each bundle; how many of them are there is the strength's business."""
STEP_MM = 0.6
SCRATCH_PX_PER_MM = 9.0
WIDEST_WEAR_MM = 3.2
"""Rubbing wears a fold, not the sides: beyond this, more wear is longer, not wider."""
MOST_PX = 130_000
"""Of a canvas, about."""


@dataclass(frozen=True)
class _Line:
    """One scratch: its way in the plane, how wide and how deep (0-1) it is along it."""

    points_mm: Float[np.ndarray, "n 2"]
    width_mm: Float[np.ndarray, " n"]
    depth: Float[np.ndarray, " n"]


def _wavy(rng: np.random.Generator, count: int) -> Float[np.ndarray, " n"]:
    """Smooth noise along a line, one knot every ten points."""
    knots = rng.standard_normal(count // 10 + 3)
    return np.interp(np.arange(count) / 10, np.arange(len(knots)), knots)


def _draw_lines(rng: np.random.Generator, length_mm: tuple[float, float], width_mm: tuple[float, float]) -> list[_Line]:
    """A bundle that one rough thing left: a common bend, each scratch with an offset and a mind of its own."""
    spread, bend, hook = rng.choice([1.5, 4.0, 9.0]), rng.normal(0, 5.0), rng.normal(0, 2.5)
    longest, depth = rng.uniform(0.3, 1.0), rng.uniform(0.3, 1.0)
    parallel = rng.uniform(0.005, 0.06)
    lines = []
    for k in range(LINES):
        length = (
            longest * np.exp(rng.uniform(*np.log(length_mm))) if k else longest * length_mm[1] * rng.uniform(0.4, 1)
        )
        length = float(np.clip(length, *length_mm))
        count = max(int(length / STEP_MM), 8)
        middle, offset = rng.normal(0, 0.12 * length_mm[1]) * (k > 0), rng.normal(0, spread) * (k > 0)
        x = middle + np.linspace(-0.5, 0.5, count) * length
        common = bend * (x / 60) ** 2 + hook * np.sin(x / 23)
        own = rng.normal(0, parallel) * (x - middle) + 0.12 * np.cumsum(_wavy(rng, count)) * STEP_MM
        wide = np.exp(rng.uniform(np.log(width_mm[0]), np.log(width_mm[1]))) if k else rng.uniform(0.4, 1) * width_mm[1]
        wide = np.clip(wide * (1 + 0.25 * _wavy(rng, count)), *width_mm)
        along = np.linspace(0, 1, count)
        taper = np.minimum(ramp(along, 0, rng.uniform(0.03, 0.3)), ramp(1 - along, 0, rng.uniform(0.03, 0.5)))
        pressed = depth * rng.uniform(0.35, 1.1) * (1 + 0.35 * _wavy(rng, count)) - 0.12 * rng.exponential(1.0)
        skips = _wavy(rng, count) > rng.uniform(0.6, 2.6)
        chatter = 1 - 0.6 * (rng.random() < 0.2) * (np.sin(x * rng.uniform(2, 5)) > 0.2)
        deep = np.clip(pressed * taper * chatter, 0, 1) * ~skips
        lines.append(_Line(np.stack([x, offset + common + own], axis=1), wide * (0.35 + 0.65 * taper), deep))
    return lines


def _shortened(lines: list[_Line], total_mm: float) -> list[_Line]:
    """As many of the lines as make up a total length: whole ones, and the beginning of the next."""
    out, left = [], total_mm
    for line in lines:
        count = min(len(line.depth), int(left / STEP_MM))
        if count < 4:
            break
        out.append(_Line(line.points_mm[:count], line.width_mm[:count], line.depth[:count]))
        left -= count * STEP_MM
    return out


def _engrave(lines: list[_Line], canvas: Canvas) -> Float[np.ndarray, "h w"]:
    """Depth of the scratches on a canvas, 0-1."""
    picture = np.zeros(canvas.shape, np.uint8)
    for line in lines:
        pixel = (line.points_mm * [1, -1] + canvas.half_mm) * canvas.px_per_mm - 0.5
        fixed = np.round(np.clip(pixel, -3000, 6000) * 16).astype(np.int32)
        wide = np.maximum(np.round(line.width_mm * canvas.px_per_mm), 1).astype(int)
        deep = np.round(line.depth * 16).astype(int)
        cuts = np.flatnonzero((np.diff(wide) != 0) | (np.diff(deep) != 0)) + 1
        for a, b in zip([0, *cuts], [*cuts, len(deep)], strict=True):
            if deep[a] > 0:
                cv2.polylines(picture, [fixed[a : b + 1]], False, int(15 * deep[a] + 15), int(wide[a]), cv2.LINE_AA, 4)
    return picture.astype(np.float32) / 255


def _show_scratches(deep: Float[np.ndarray, "h w"], canvas: Canvas, stuff: Stuff, grain: Grain) -> Layer:
    """Light ones dull or whiten the print, deeper ones bare what lies under it; burr throws a fine shade."""
    strong = {"film": 0.6, "plastic": 0.65, "glaze": 0.55, "kraft": 0.6}.get(stuff.stock, 0.95)
    alpha = strong * np.clip(2.2 * deep, 0, 1) * (0.85 + 0.15 * noise(grain, canvas, 0.8))
    core = ramp(deep, 0.45, 0.95)[..., None]
    colour = (1 - core) * stuff.top + core * stuff.deep
    beside = np.roll(deep, (2, 1), axis=(0, 1)) * (1 - np.clip(3 * deep, 0, 1))
    shade = cover(0.4 * cv2.GaussianBlur(beside, (0, 0), 0.7), np.full(3, 40.0), spoilt=0 * deep, dull=0.0)
    bare = cover(alpha, colour, spoilt=deep > 0.1, roughness=stuff.gloss, metallic=stuff.metallic)
    return over(shade, bare)


def scratch_sketch(
    total_mm: float,
    length_mm: tuple[float, float],
    width_mm: tuple[float, float],
    stuff: Stuff,
    rng: np.random.Generator,
) -> Sketch:
    """A bundle of scratches along x of a total length."""
    lines, grain = _draw_lines(rng, length_mm, width_mm), draw_grain(rng)
    shown = _shortened(lines, total_mm)
    points = np.concatenate([line.points_mm for line in shown]) if shown else np.ones((1, 2))
    half = np.abs(points).max(axis=0) + 2.5

    def draw(canvas: Canvas) -> Layer:
        deep = _engrave(shown, canvas) * (canvas.contact > 0.3)
        return dimmed(_show_scratches(deep, canvas, stuff, grain), canvas.contact)

    ways = tuple(line.points_mm for line in shown)
    fine = min(SCRATCH_PX_PER_MM, float(np.sqrt(2 * MOST_PX / (4 * half.prod()))))
    return Sketch((float(half[0]), float(half[1])), fine, draw, close_mm=1.0, margin_mm=0.9, lines_mm=ways)


# ---- Rubbed ---------------------------------------------------------------------------------------------------------


def fit_px_per_mm(half_mm: tuple[float, float]) -> float:
    """Fine enough for fibres on a small patch, not too many pixels on a large one."""
    return float(np.clip(np.sqrt(MOST_PX / (4 * half_mm[0] * half_mm[1])), 2.5, 8.0))


def _fibrous(canvas: Canvas, stuff: Stuff, grains: list[Grain], worn: Float[np.ndarray, "h w"], soil: float):
    """Bared board: white where little is gone, the grey or brown core where much is; fibres, and the dirt they hold."""
    fibres = noise(grains[0], canvas, (1.6, 0.35)) + noise(grains[1], canvas, (0.35, 1.6))
    core = ramp(worn + 0.12 * fibres, 0.55, 1.0)[..., None]
    colour = (1 - core) * stuff.top + core * stuff.deep
    grime = np.clip(soil * (0.6 + 0.5 * noise(grains[2], canvas, 3.0, octaves=3)) * worn, 0, 0.7)[..., None]
    dirt = np.array([98.0, 78.0, 58.0]) if stuff.stock == "kraft" else np.array([96.0, 88.0, 78.0])
    return colour * (1 + 0.035 * fibres[..., None]) * (1 - grime) + grime * dirt


def _rubbed(
    canvas: Canvas, grains: list[Grain], field: Float[np.ndarray, "h w"], worn: Float[np.ndarray, "h w"], width: float
) -> Float[np.ndarray, "h w"]:
    """How much of the print is gone: all of it on the fold, in flecks and hair lines further out."""
    flecks = noise(grains[4], canvas, 0.7, octaves=3) + 0.8 * noise(grains[3], canvas, (2.6, 0.3))
    core = ramp(field - 0.55 * width + 0.12 * flecks, -0.1 * width, 0.2 * width)
    fringe = ramp(worn + 0.28 * flecks, 0.25, 0.95)
    return np.maximum(0.94 * core, 0.75 * fringe) * (field > -0.15)


def worn_edge_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """Print rubbed off along folds and ends of the wall: bare fibres on the very fold, thinned print beside it."""
    drawn, grains = rng.uniform(0.7, 1.5), [draw_grain(rng) for _ in range(6)]
    soil = float(rng.uniform(0, 0.6)) * (0.5 if stuff.stock == "board" else 1.0)
    width = float(0.3 * drawn * area_mm2**0.27)
    reach = float(min(area_mm2 / (2.2 * width), 85.0))
    width = min(max(width, area_mm2 / (2.2 * reach)), WIDEST_WEAR_MM)

    def draw(canvas: Canvas) -> Layer:
        away = np.hypot(canvas.x_mm, canvas.y_mm) / reach
        along = np.sqrt(np.clip(1 - away**2, 0, 1))
        broad = 1 + 0.55 * noise(grains[0], canvas, 13.0, octaves=3) + 0.35 * noise(grains[5], canvas, 3.0, octaves=2)
        field = width * along * np.clip(broad, 0.05, 3) - canvas.crease_mm
        field = np.where(away < 1, field + 0.3 * width**0.5 * noise(grains[1], canvas, 1.3, octaves=3), -1)
        worn = np.clip(field / (0.8 * width + 0.4), 0, 1)
        alpha = _rubbed(canvas, grains, field, worn, width)
        colour = _fibrous(canvas, stuff, [grains[2], grains[3], grains[4]], 0.7 * worn, soil)
        spoilt = (field > 0.02) & (canvas.contact > 0)
        return cover(
            alpha * (canvas.contact > 0), colour, spoilt=spoilt, roughness=stuff.gloss, metallic=stuff.metallic
        )

    half = (reach + 2.0, reach + 2.0)
    return Sketch(half, fit_px_per_mm(half), draw, clings=True)


def worn_corner_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """Print rubbed off round a corner, further along the edges than across the sides."""
    grains, soil, pull = [draw_grain(rng) for _ in range(5)], float(rng.uniform(0, 0.7)), float(rng.uniform(0.8, 1.3))
    reach = float(np.sqrt(area_mm2 / 2.1))

    def draw(canvas: Canvas) -> Layer:
        away = 0.5 * np.hypot(canvas.x_mm, canvas.y_mm) + pull * canvas.crease_mm
        field = reach * (1 + 0.3 * noise(grains[0], canvas, 6.0, octaves=2)) - away
        field = field + 0.4 * noise(grains[1], canvas, 1.5, octaves=3)
        worn = np.clip(field / (0.8 * reach + 0.3), 0, 1)
        alpha = ramp(worn + 0.2 * noise(grains[4], canvas, 0.7, octaves=2), 0.02, 0.4) * (field > -0.2)
        colour = _fibrous(canvas, stuff, [grains[2], grains[3], grains[4]], worn, soil)
        spoilt = (field > 0) & (canvas.contact > 0)
        return cover(
            alpha * (canvas.contact > 0), colour, spoilt=spoilt, roughness=stuff.gloss, metallic=stuff.metallic
        )

    half = (2.4 * reach + 2, 2.4 * reach + 2)
    return Sketch(half, fit_px_per_mm(half), draw, clings=True)


def patch_field(
    canvas: Canvas, area_mm2: float, aspect: float, grain: Grain, *, ragged: float = 0.3, cell: float = 0.5
) -> Float[np.ndarray, "h w"]:
    """A ragged patch, long along x: 1 in its middle, 0 at its border, less beyond. Its outline grows with its area."""
    half = np.sqrt(area_mm2 / (np.pi * aspect)) * np.array([aspect, 1.0])
    away = np.hypot(canvas.x_mm / float(half[0]), canvas.y_mm / float(half[1]))
    return 1 - away + ragged * noise(grain, canvas, (cell * float(half[0]), cell * float(half[1])), octaves=3)


def rub_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """A patch rubbed along one way: streaks in which the print is thinner or gone."""
    aspect, grains = float(rng.uniform(1.3, 3.5)), [draw_grain(rng) for _ in range(6)]
    harsh, soil = float(rng.uniform(0.35, 1.0)), float(rng.uniform(0, 0.5))
    half = np.sqrt(area_mm2 / (np.pi * aspect)) * np.array([aspect, 1.0])
    if stuff.stock in ("film", "metal", "plastic", "glaze", "tinplate"):
        harsh *= 0.6

    def draw(canvas: Canvas) -> Layer:
        field = patch_field(canvas, area_mm2, aspect, grains[0])
        streaks = noise(grains[1], canvas, (14.0, 0.45)) + 0.7 * noise(grains[2], canvas, (5.0, 0.22))
        worn = np.clip(1.6 * field, 0, 1) * harsh
        alpha = np.clip(worn * (0.75 + 0.55 * streaks) + 0.12 * harsh * ramp(field, 0, 0.2), 0, 0.96)
        alpha *= ramp(field, -0.08, 0.1)
        colour = _fibrous(
            canvas, stuff, [grains[3], grains[4], grains[5]], np.clip(worn * (0.6 + 0.4 * streaks), 0, 1), soil
        )
        layer = cover(alpha, colour, spoilt=field > 0.05, roughness=stuff.gloss, metallic=stuff.metallic)
        return dimmed(layer, canvas.contact)

    reach = (1.5 * float(half[0]) + 2, 1.5 * float(half[1]) + 2)
    return Sketch(reach, fit_px_per_mm(reach), draw)
