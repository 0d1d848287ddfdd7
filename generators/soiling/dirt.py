"""What gets onto a wall: smears, tyre and sole prints, conveyor streaks, dirt with grit, oil; rings, drops, tide marks.

Each is a sketch in millimetres that grows with its area. It differs from the thin grey dust and the faint fingerprints
of sound products by its colour, by how much of it there is, and by where it lies.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from .flatten import Canvas
from .grain import Grain, draw_grain, noise, ramp
from .layers import Layer, Sketch, cover, dimmed, over, tint
from .scratches import fit_px_per_mm, patch_field
from .stuff import Stuff

Rgb = Float[np.ndarray, "3"]
SOILS = np.array(
    [[38.0, 36, 35], [58, 52, 46], [84, 66, 48], [104, 82, 58], [24, 24, 26], [158, 147, 130], [186, 180, 170]]
)
"""Rubber and soot, street dirt, earth, clay, grease, dry mud, cement; sRGB."""
CONTRAST = 0.2
"""How much lighter or darker than the print dirt must be, of 1."""


def _soil(stuff: Stuff, rng: np.random.Generator) -> Rgb:
    """Of the kinds of dirt one that can be seen on the print."""
    tones = SOILS * rng.uniform(0.8, 1.2)
    seen = np.flatnonzero(np.abs(tones.mean(axis=1) / 255 - stuff.light) > CONTRAST)
    return tones[seen[int(rng.random() * len(seen))]]


def _half(area_mm2: float, aspect: float) -> tuple[float, float]:
    """Half axes of an ellipse [mm]."""
    small = float(np.sqrt(area_mm2 / (np.pi * aspect)))
    return aspect * small, small


def _sketch(
    half: tuple[float, float], draw: Callable[[Canvas], Layer], *, clings: bool = False, room: float = 1.5
) -> Sketch:
    reach = (room * half[0] + 2, room * half[1] + 2)
    return Sketch(reach, fit_px_per_mm(reach), draw, clings=clings)


def _grit(grain: Grain, canvas: Canvas, size_mm: float, share: float) -> Float[np.ndarray, "h w"]:
    """Specks of about a size; ``share`` of the ground has them."""
    return ramp(noise(grain, canvas, 1.6 * size_mm), 2.6 - 2.2 * share**0.4, 3.0 - 2.2 * share**0.4)


# ---- Dirt -----------------------------------------------------------------------------------------------------------


def smear_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """Dirt dragged along x: dense where it began, streaked and thin where it ends."""
    aspect, grains, colour = float(rng.uniform(1.4, 4.0)), [draw_grain(rng) for _ in range(5)], _soil(stuff, rng)
    dense, size = float(rng.uniform(0.5, 0.95)), float(rng.uniform(0.25, 0.6))
    half = _half(area_mm2, aspect)

    def draw(canvas: Canvas) -> Layer:
        field = patch_field(canvas, area_mm2, aspect, grains[0], ragged=0.35)
        streaks = noise(grains[1], canvas, (18.0, 0.9), octaves=2) + 0.6 * noise(grains[2], canvas, (30.0, 3.5))
        tail = np.clip(0.75 - 0.5 * canvas.x_mm / half[0], 0.15, 1)
        amount = ramp(field + 0.25 * streaks * ramp(field, -0.1, 0.5), -0.05, 0.9) * tail
        amount = dense * amount * np.clip(1 + 0.45 * streaks, 0.15, 1.6) + 0.06 * ramp(field, 0, 0.1)
        grit = _grit(grains[3], canvas, size, 0.06) * ramp(field, -0.15, 0.3)
        tone = colour * (1 + 0.12 * noise(grains[4], canvas, 2.0, octaves=2)[..., None])
        layer = cover(np.clip(amount, 0, 0.9), tone, spoilt=field > 0.04, roughness=0.9)
        return dimmed(over(layer, cover(0.8 * grit, 0.6 * colour, spoilt=0 * field)), canvas.contact)

    return _sketch(half, draw)


def _tread(kind: int, u: Float[np.ndarray, "h w"], v: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Height of a sole or a tyre, in pitches: chevrons, blocks, bars, or studs."""
    if kind == 0:
        wave = np.abs((v + 1.2 * np.abs(((u / 3.2) % 1) - 0.5)) % 1 - 0.5)
        return 0.30 - wave
    if kind == 1:
        row = np.floor(v)
        return 0.40 - np.maximum(np.abs((u + 0.5 * row) % 1 - 0.5) * 0.9, np.abs(v % 1 - 0.5))
    if kind == 2:
        return 0.28 - np.abs((v + 0.08 * np.sin(4.0 * u)) % 1 - 0.5)
    return 0.36 - np.hypot((u + 0.5 * np.floor(v)) % 1 - 0.5, v % 1 - 0.5)


def tread_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """Part of a print of a sole or a tyre, in dust or mud."""
    kind, pitch, grains = int(rng.integers(4)), float(rng.uniform(6.0, 13.0)), [draw_grain(rng) for _ in range(5)]
    colour, dense = _soil(stuff, rng), float(rng.uniform(0.4, 0.85))
    phase, aspect, whole = rng.uniform(0, 9, 2).tolist(), float(rng.uniform(1.2, 2.4)), float(rng.uniform(-0.15, 0.25))
    half = _half(1.9 * area_mm2, aspect)

    def draw(canvas: Canvas) -> Layer:
        field = patch_field(canvas, 1.9 * area_mm2, aspect, grains[0], ragged=0.4)
        warp = 0.05 * noise(grains[1], canvas, 12.0)
        lugs = _tread(kind, canvas.y_mm / pitch + phase[0] + warp, canvas.x_mm / pitch + phase[1] + warp)
        pressed = lugs + 0.06 * noise(grains[2], canvas, 1.4, octaves=3)
        patchy = noise(grains[3], canvas, 11.0, octaves=3)
        held = ramp(pressed, 0.0, 0.09) * ramp(field, 0.0, 0.18)
        edge = ramp(pressed, 0.0, 0.05) - ramp(pressed, 0.06, 0.18)
        alpha = dense * held * np.clip(0.62 + whole + 0.3 * patchy + 0.25 * edge, 0.12, 1)
        alpha = alpha * (0.85 + 0.2 * noise(grains[4], canvas, 0.9))
        spoilt = (pressed > 0.03) & (field > 0.06)
        return dimmed(cover(np.clip(alpha, 0, 0.92), colour, spoilt=spoilt), canvas.contact)

    return _sketch(half, draw)


def belt_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """Grey-black streaks from a conveyor or a rail: parallel, sharp on one side, fading on the other."""
    count, grains = int(rng.integers(1, 5)), [draw_grain(rng) for _ in range(4)]
    wide, at = rng.uniform(0.6, 1.6, 4), np.cumsum(rng.uniform(1.4, 4.0, 4))
    colour, dense = np.array([44.0, 43.0, 43.0]) * rng.uniform(0.6, 1.3), float(rng.uniform(0.45, 0.9))
    if stuff.light < 0.36:  # on black, a belt leaves grey
        colour = colour + 105.0
    sharp, bend = rng.uniform(0.05, 0.6, 4), float(rng.normal(0, 0.0006))
    wide, at, sharp = wide[:count], at[:count] - at[:count].mean(), sharp[:count]
    across = float(np.sqrt(area_mm2 / (100.0 * wide.sum())))
    reach = 30.0 * across

    def draw(canvas: Canvas) -> Layer:
        y = canvas.y_mm - bend * canvas.x_mm**2 + 0.15 * across * noise(grains[0], canvas, (60.0, 400.0))
        ends = 1 - np.abs(canvas.x_mm / reach) + 0.18 * noise(grains[1], canvas, (9.0, 2.2 * across), octaves=2)
        fine = noise(grains[2], canvas, (26.0, 0.5)) + 0.6 * noise(grains[3], canvas, (7.0, 0.3))
        alpha, spoilt = np.zeros(canvas.shape, np.float32), np.zeros(canvas.shape, bool)
        for w, y0, s in zip((wide * across).tolist(), (at * across).tolist(), sharp.tolist(), strict=True):
            field = 1 - np.abs(y - y0) / w + 0.12 * fine
            mine = np.minimum(field / 0.5, ends / (0.15 + s))
            alpha = np.maximum(alpha, ramp(mine, 0.0, 0.9) * np.clip(0.75 + 0.35 * fine, 0.1, 1.2))
            spoilt |= (field > 0.02) & (ends > 0.02)
        return dimmed(cover(np.clip(dense * alpha, 0, 0.92), colour, spoilt=spoilt, roughness=0.7), canvas.contact)

    half = (reach * 1.25, (float(np.abs(at).max(initial=0)) + 2.0) * across + 900.0 * abs(bend))
    return _sketch(half, draw, room=1.0)


def grime_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """Brown-grey dirt with grit, thicker along edges."""
    aspect, grains, colour = float(rng.uniform(1.0, 1.8)), [draw_grain(rng) for _ in range(5)], _soil(stuff, rng)
    dense, size, edges = float(rng.uniform(0.35, 0.75)), float(rng.uniform(0.2, 0.7)), float(rng.uniform(0.3, 1.0))
    half = _half(area_mm2, aspect)

    def draw(canvas: Canvas) -> Layer:
        field = patch_field(canvas, area_mm2, aspect, grains[0], ragged=0.4)
        cloud = noise(grains[1], canvas, 8.0, octaves=4)
        near = np.exp(-canvas.crease_mm / 2.5)
        amount = ramp(field, -0.05, 0.6) * np.clip(0.6 + 0.3 * cloud + edges * near, 0.2, 1.2)
        amount = amount * (0.85 + 0.2 * noise(grains[2], canvas, 0.7))
        grit = _grit(grains[3], canvas, size, 0.10) * ramp(field + 0.2 * cloud, -0.1, 0.3)
        tone = colour * (1 + 0.15 * noise(grains[4], canvas, 1.5, octaves=2)[..., None])
        layer = cover(np.clip(dense * amount, 0, 0.92), tone, spoilt=field > 0.04)
        return over(layer, cover(0.75 * grit, 0.55 * colour, spoilt=0 * field))

    return _sketch(half, draw, clings=True)


def oil_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """Oil: in board a dark, clear spot with a soft halo; on film and metal a dark, wet smear."""
    aspect, grains, dense = (
        float(rng.uniform(1.0, 1.6)),
        [draw_grain(rng) for _ in range(3)],
        float(rng.uniform(0.6, 1.1)),
    )
    half, dirty = _half(area_mm2, aspect), float(rng.uniform(0, 0.5))

    def draw(canvas: Canvas) -> Layer:
        field = patch_field(canvas, area_mm2, aspect, grains[0], ragged=0.14)
        cloud = noise(grains[1], canvas, 7.0, octaves=3)
        soft = 0.45 if stuff.porous else 0.1
        body = ramp(field, -0.25 * soft, soft) * (0.55 + 0.45 * ramp(field, 0.1, 0.8)) * (1 + 0.08 * cloud)
        if stuff.light < 0.3:  # on dark print only its gloss and what sticks to it are seen
            return cover(
                0.4 * dense * body * (0.7 + 0.4 * cloud), np.full(3, 150.0), spoilt=field > 0.02, roughness=0.3
            )
        layer = tint(dense * body, np.array([0.75, 0.95, 1.25]), spoilt=field > 0.02, dull=1.0, roughness=0.25)
        black = cover(dirty * ramp(field + 0.2 * cloud, 0.25, 0.9), np.full(3, 30.0), spoilt=0 * field, roughness=0.25)
        return over(layer, black)

    return _sketch(half, draw, clings=stuff.porous)


# ---- Stains ---------------------------------------------------------------------------------------------------------

LIQUIDS = np.array([[0.35, 0.75, 1.35], [0.55, 0.95, 1.5], [0.3, 0.85, 0.8], [0.22, 0.28, 0.36], [0.5, 0.42, 0.28]])
"""How strongly coffee, tea or cola, berry juice, dirty water and washing-up liquid take red, green and blue."""
INKS = np.array([[2.6, 2.2, 0.9], [2.4, 2.4, 2.3], [0.7, 2.6, 2.4]])


def _residue(stuff: Stuff, density, absorbs: Rgb, spoilt) -> Layer:
    """A liquid dries into what is porous and light; on film, metal and dark print it leaves a pale, dull skin."""
    if stuff.porous and stuff.light > 0.3:
        return tint(density, absorbs, spoilt=spoilt, dull=0.3, roughness=0.9)
    pale = np.array([205.0, 203, 198]) if stuff.light < 0.6 else 255 * np.exp(-1.1 * absorbs)
    return cover(
        np.clip(0.55 * density, 0, 0.8), 0.75 * pale + 0.25 * 255 * np.exp(-absorbs), spoilt=spoilt, roughness=0.6
    )


def _rim(edge_mm, width_mm: float):
    """A dried liquid's darker rim, ``edge_mm`` inside its border."""
    return np.exp(-np.square(np.maximum(edge_mm, 0) / width_mm)) * ramp(edge_mm, -0.25, 0.15)


def drops_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """Dried drops: one large and some splashed around it, each with a darker rim."""
    count, grains = 14, [draw_grain(rng) for _ in range(3)]
    sizes = np.sort(rng.pareto(1.6, count) + 0.25)[::-1]
    sizes[1:] = np.minimum(sizes[1:], 0.7 * sizes[0])
    way, far = rng.uniform(0, 2 * np.pi, count), rng.gamma(2.0, 1.1, count)
    some = int(rng.integers(1, count + 1))
    dense, rim_share, tone = (
        float(rng.uniform(0.25, 0.7)),
        float(rng.uniform(0.6, 1.4)),
        int(rng.integers(len(LIQUIDS))),
    )
    unit = float(np.sqrt(area_mm2 / (np.pi * float(np.square(sizes[:some]).sum()))))
    middle = np.stack([np.cos(way), np.sin(way)], 1) * (far * sizes[0] * unit)[:, None]
    middle[0], largest = 0, float(sizes[0]) * unit

    def draw(canvas: Canvas) -> Layer:
        wobble = 0.08 * noise(grains[0], canvas, (0.7 * largest, 0.7 * largest), octaves=2)
        edge = np.full(canvas.shape, -99.0, np.float32)
        for (x, y), size in zip(middle[:some].tolist(), (unit * sizes[:some]).tolist(), strict=True):
            edge = np.maximum(edge, size * (1 + wobble) - np.hypot(canvas.x_mm - x, canvas.y_mm - y))
        edge = edge + 0.12 * noise(grains[1], canvas, 1.2, octaves=2)
        body = ramp(edge, -0.2, 0.3) * (0.75 + 0.18 * noise(grains[2], canvas, 5.0, octaves=3))
        density = dense * body * (0.55 + 0.45 * np.exp(-np.maximum(edge, 0) / 4)) + rim_share * dense * _rim(edge, 0.8)
        return _residue(stuff, density, LIQUIDS[tone], edge > 0)

    x, y = (np.abs(middle[:some]).max(axis=0) + 1.15 * largest).tolist()
    return _sketch((x, y), draw, clings=True, room=1.0)


def ring_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """The ring that a cup or a tin leaves: thin, darker at its rim, broken, perhaps twice."""
    radius, wide, grains = float(rng.uniform(16, 38)), float(rng.uniform(0.9, 2.2)), [draw_grain(rng) for _ in range(4)]
    dense, tone, gap = float(rng.uniform(0.4, 0.9)), int(rng.integers(len(LIQUIDS))), float(rng.uniform(0, 2 * np.pi))
    second, shift = rng.random() < 0.4, rng.normal(0, 9, 2).tolist()
    full = 2 * np.pi * radius * 2 * wide
    part = min(1.0, area_mm2 / full)
    wide *= max(1.0, (area_mm2 / full) ** 0.35)
    radius *= max(1.0, (area_mm2 / full) ** 0.5)

    def draw(canvas: Canvas) -> Layer:
        density, spoilt = np.zeros(canvas.shape, np.float32), np.zeros(canvas.shape, bool)
        for k, (x0, y0) in enumerate([(0.0, 0.0), shift][: 1 + second]):
            x, y = canvas.x_mm - x0, canvas.y_mm - y0
            angle = np.abs((np.arctan2(y, x) - gap + np.pi) % (2 * np.pi) - np.pi) / np.pi
            there = part * 1.08 - angle + 0.05 * noise(grains[k], canvas, 8.0)
            broad = wide * (1 + 0.4 * noise(grains[2], canvas, 9.0, octaves=2)) * np.clip(there / 0.1, 0.2, 1)
            edge = np.where(there > 0, broad - np.abs(np.hypot(x, y) - radius), -9.0)
            edge = edge + 0.15 * noise(grains[3], canvas, 1.5, octaves=2)
            inside = ramp(edge, -0.15, 0.2) * (there > -0.02)
            density = np.maximum(
                density, (0.45 * inside + 0.75 * _rim(edge, 0.5) * (there > 0)) * dense * (1 - 0.45 * k)
            )
            spoilt |= (edge > 0) & (there > 0)
        return _residue(stuff, density, LIQUIDS[tone], spoilt)

    out = radius + 2 * wide + 1.5
    return _sketch((out + second * abs(shift[0]), out + second * abs(shift[1])), draw, clings=True, room=1.0)


def tide_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """Dried water in board: hardly darker inside, a brown line where its front stood, an older front within."""
    aspect, grains = float(rng.uniform(1.0, 2.0)), [draw_grain(rng) for _ in range(4)]
    dense, line = float(rng.uniform(0.05, 0.22)), float(rng.uniform(0.25, 0.7))
    older, half = float(rng.uniform(0.2, 0.6)), _half(area_mm2, aspect)
    scale = float(np.sqrt(half[0] * half[1]))

    def draw(canvas: Canvas) -> Layer:
        field = patch_field(canvas, area_mm2, aspect, grains[0], ragged=0.28, cell=0.6)
        edge = field * scale * 0.9 + 0.25 * noise(grains[1], canvas, 2.2, octaves=3)
        inner = (field - older + 0.08 * noise(grains[2], canvas, 14.0)) * scale
        uneven = 0.75 + 0.3 * noise(grains[3], canvas, 12.0, octaves=3)
        density = dense * ramp(edge, -0.2, 0.8) * uneven + line * uneven * (_rim(edge, 1.1) + 0.35 * _rim(inner, 0.9))
        density = density + 0.25 * line * ramp(edge, -0.1, 0.2) * np.exp(-np.maximum(edge, 0) / 5)
        return _residue(stuff, density, np.array([0.5, 0.75, 1.05]), edge > 0)

    return _sketch(half, draw, clings=True)


def ink_sketch(area_mm2: float, stuff: Stuff, rng: np.random.Generator) -> Sketch:
    """Ink or paint: saturated, feathered where it soaks in, with a run and a few dots."""
    grains, tone, feather = (
        [draw_grain(rng) for _ in range(4)],
        int(rng.integers(len(INKS))),
        float(rng.uniform(0.1, 0.35)),
    )
    aspect, strong = float(rng.uniform(1.0, 2.6)), float(rng.uniform(0.7, 1.1))
    half = _half(area_mm2, aspect)

    def draw(canvas: Canvas) -> Layer:
        field = patch_field(canvas, area_mm2, aspect, grains[0], ragged=0.3, cell=0.45)
        fray = feather * noise(grains[1], canvas, 1.0, octaves=2) * (0.3 if not stuff.porous else 1.0)
        dots = ramp(noise(grains[3], canvas, (0.22 * half[0], 0.22 * half[0])), 2.1, 2.2) * ramp(field, -1.0, -0.2)
        body = np.maximum(ramp(field + fray * 0.4, 0.0, 0.1), dots)
        density = strong * body * (0.8 + 0.25 * ramp(field, 0, 0.4) + 0.1 * noise(grains[2], canvas, 4.0, octaves=2))
        spoilt = (field + 0.4 * fray > 0.04) | (dots > 0.5)
        if stuff.porous and stuff.light > 0.3:
            return tint(density, INKS[tone], spoilt=spoilt)
        paint = 255 * np.exp(-INKS[tone]) if stuff.light > 0.3 else np.array([226.0, 224, 216])
        return cover(np.clip(density, 0, 0.95), paint, spoilt=spoilt, roughness=0.35)

    return _sketch(half, draw, clings=True)
