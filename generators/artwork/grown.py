"""Things that grow or are baked: fruit, leaves, nuts, biscuits. Each maker returns a function that lays one."""

from collections.abc import Callable

import numpy as np

from .relief import Place, Relief, lay, local_grid
from .thingparts import Rgb, ball, darker, disc, mix, pick, speckle, super_radius, vary


def round_thing(
    *colours: Rgb,
    aspect: float = 1.0,
    gloss: float = 0.4,
    dark_end: Rgb | None = None,
    dimples: float = 0.0,
    thick: float = 1.0,
) -> Callable:
    """Berries, fruit, peas, nuts, drops of jelly: an ellipsoid, darker towards one end."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        place = Place(place.x, place.y, place.long, place.long * aspect, place.turn)
        window, u, v = local_grid(relief, place)
        rise = ball(u, v) * np.float32(place.wide * thick)
        grain = speckle(rng, u, max(place.long * 0.12, 1.5))
        if dimples:
            rise = rise + dimples * grain * place.wide * 0.06
        colour = pick(rng, *colours)
        end = dark_end or darker(colour, 0.62)
        share = np.clip(0.45 + 0.5 * u + 0.25 * grain, 0, 1) ** 2 * 0.8
        lay(relief, window, u * u + v * v < 1, rise.astype(np.float32), mix(colour, end, share), gloss)

    return put


def baked(
    colour: Rgb,
    edge: Rgb,
    *,
    form: float = 2.0,
    aspect: float = 1.0,
    chips: int = 0,
    holes: int = 0,
    thick: float = 0.32,
    frame: bool = False,
) -> Callable:
    """Biscuits and crackers: flat, browned at the rim, with chips of chocolate or docking holes."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        place = Place(place.x, place.y, place.long, place.long * aspect, place.turn)
        window, u, v = local_grid(relief, place)
        wobble = 1 + 0.03 * speckle(rng, u, place.long * 0.4)
        if form > 3:
            wobble = wobble + 0.022 * np.sin(16 * np.pi * u) + 0.022 * np.sin(16 * np.pi * v)
        r = super_radius(u, v, form) * wobble
        grain = speckle(rng, u, max(place.long * 0.045, 1.2))
        broad = speckle(rng, u, place.long * 0.35)
        rise = thick * place.long * disc(r, 0.3) + 0.012 * place.long * grain
        tilt = rng.normal(0, 0.06, 2)
        rise = rise + place.long * (tilt[0] * u + tilt[1] * v)
        brown = np.clip(0.15 + 0.22 * broad + 0.16 * grain + np.clip((r - 0.62) / 0.38, 0, 1) ** 2, 0, 1)
        tone = mix(vary(rng, colour, 0.06), edge, brown)
        if holes:
            pitch = 1.1 / max(round(holes**0.5) - 1, 1)
            off_u, off_v = (u + 0.55 + pitch / 2) % pitch - pitch / 2, (v + 0.55 + pitch / 2) % pitch - pitch / 2
            pit = np.exp(-(off_u**2 + off_v**2) / 0.0035) * ((np.abs(u) < 0.66) & (np.abs(v) < 0.66))
            rise = rise - 0.1 * place.long * pit
            tone = tone * (1 - 0.55 * pit[..., None])
        if frame:
            groove = np.exp(-((r - 0.72) ** 2) / 0.0012)
            rise = rise - 0.05 * place.long * groove
        lay(relief, window, r < 1, rise.astype(np.float32), tone.astype(np.float32), 0.06)
        for _ in range(chips):
            d, a = 0.8 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
            size = rng.uniform(0.08, 0.16) * place.long
            chip = Place(place.x + d * place.long * np.cos(a), place.y + d * place.wide * np.sin(a), size, size, a)
            w2, u2, v2 = local_grid(relief, chip)
            if u2.size:
                middle = relief.height[w2][u2.shape[0] // 2, u2.shape[1] // 2]
                lay(
                    relief,
                    w2,
                    u2 * u2 + v2 * v2 < 1,
                    0.7 * size * ball(u2, v2),
                    np.array((0.2, 0.1, 0.06), np.float32),
                    0.35,
                    base=float(middle) - 0.2 * size,
                )

    return put


def grooved(colour: Rgb, *, aspect: float, groove: float, gloss: float) -> Callable:
    """Coffee and other beans, almonds: an ellipsoid with a line along it."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        place = Place(place.x, place.y, place.long, place.long * aspect, place.turn)
        window, u, v = local_grid(relief, place)
        line = v - 0.1 * np.sin(3 * u)
        up = 1.0 if rng.random() < 0.65 else 0.0
        cut = np.exp(-(line**2) / 0.012) * up
        rise = place.wide * (ball(u, v) - groove * cut)
        tone = np.asarray(vary(rng, colour, 0.16), np.float32) * (1 - 0.6 * np.clip(groove, 0, 1) * cut)[..., None]
        tone = tone * (1 + 0.08 * speckle(rng, u, 3.0))[..., None]
        lay(relief, window, u * u + v * v < 1, rise.astype(np.float32), tone.astype(np.float32), gloss)

    return put


def ring(colour: Rgb, *, inner: float, gloss: float = 0.15, grain: float = 0.5) -> Callable:
    """Hoops of cereal."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        window, u, v = local_grid(
            relief, Place(place.x, place.y, place.long, place.long * rng.uniform(0.7, 1), place.turn)
        )
        r = np.hypot(u, v)
        middle, half = (1 + inner) / 2, (1 - inner) / 2
        rise = np.sqrt(np.clip(1 - ((r - middle) / half) ** 2, 0, None)) * half * place.long
        noise = speckle(rng, u, max(place.long * 0.1, 1.5))
        tone = mix(vary(rng, colour), darker(colour, 0.6), np.clip(0.25 + grain * noise, 0, 1))
        rise = rise + 0.05 * grain * place.long * noise
        lay(relief, window, np.abs(r - middle) < half, rise.astype(np.float32), tone, gloss)

    return put


def leaf(*colours: Rgb, aspect: float = 0.45, serrate: float = 0.05, gloss: float = 0.2) -> Callable:
    """Leaves and petals: pointed, folded along the midrib, with veins."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        place = Place(place.x, place.y, place.long, place.long * aspect, place.turn)
        window, u, v = local_grid(relief, place)
        bend = v - rng.uniform(-0.3, 0.3) * (1 - u * u)
        width = np.clip(1 - u * u, 0, None) ** 0.8 * (1 - 0.25 * u) + serrate * np.abs(np.sin(18 * u)) * (1 - u * u)
        share = np.abs(bend) / np.maximum(width, 1e-3)
        veins = np.exp(-(np.sin(13 * (u - 0.55 * np.abs(bend))) ** 2) / 0.02) if serrate else np.zeros_like(u)
        rise = (
            place.wide * (0.35 + 0.3 * share - 0.25 * share**2)
            + 0.25 * place.long * (1 - u * u)
            - 0.02 * place.wide * veins
        )
        rib = np.exp(-(bend**2) / 0.003)
        tone = mix(
            pick(rng, *colours), (0.85, 0.9, 0.65) if serrate else (1, 1, 1), np.clip(0.25 * rib + 0.1 * veins, 0, 1)
        )
        tone *= (0.9 + 0.12 * u)[..., None]
        lay(relief, window, share < 1, rise.astype(np.float32), tone.astype(np.float32), gloss)

    return put


def crisp(colour: Rgb) -> Callable:
    """A potato crisp: thin, oval, saddle-shaped, ridged or blistered."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        place = Place(place.x, place.y, place.long, place.long * rng.uniform(0.68, 0.9), place.turn)
        window, u, v = local_grid(relief, place)
        blister = speckle(rng, u, max(place.long * 0.13, 1.5))
        r = np.hypot(u, v) * (1 + 0.04 * speckle(rng, u, place.long * 0.5))
        bend = rng.uniform(0.25, 0.5)
        rise = place.long * (bend * u * u - 0.35 * bend * v * v + 0.25 + 0.03 * blister)
        share = np.clip(0.12 + 0.3 * blister + np.clip((r - 0.75) * 3, 0, 1) * 0.7, 0, 1)
        tone = mix(vary(rng, colour, 0.05), (0.78, 0.46, 0.14), share)
        lay(relief, window, r < 1, rise.astype(np.float32), tone, 0.25)

    return put


def tapered(
    colour: Rgb, *, aspect: float, seeds: bool = False, bend: float = 0.0, cap: Rgb = (0.25, 0.5, 0.15)
) -> Callable:
    """Strawberries and peppers: wide at the stalk, pointed at the other end."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        place = Place(place.x, place.y, place.long, place.long * aspect, place.turn)
        window, u, v = local_grid(relief, place)
        w = v - bend * (u * u - 0.3)
        width = np.clip(1 - ((u + 0.25) / 1.25) ** 2, 0, None) ** 0.5 * np.clip(
            1 - 0.55 * np.clip(u + 0.25, 0, 2), 0.05, 1
        )
        width = np.where(u < -0.95, 0, width)
        share = np.abs(w) / np.maximum(width, 1e-3)
        rise = place.wide * np.sqrt(np.clip(1 - share**2, 0, None)) * width
        tone = np.broadcast_to(np.asarray(vary(rng, colour), np.float32), (*u.shape, 3)).copy()
        if seeds:
            around = np.arcsin(np.clip(w / np.maximum(width, 1e-3), -1, 1))
            row = np.round((u + 1) * 6)
            pit = np.exp(-(((u + 1) * 6 - row) ** 2) / 0.02 - np.sin(4 * around + np.pi / 2 * (row % 2)) ** 2 / 0.08)
            rise = rise - 0.05 * place.wide * pit
            tone = mix(tone, (0.93, 0.78, 0.35), 0.8 * pit)
        lay(relief, window, (share < 1) & (np.abs(u) < 1), rise.astype(np.float32), tone.astype(np.float32), 0.55)
        for k in range(5 if seeds else 1):
            a = place.turn + np.pi + (k - 2) * 0.6 * seeds
            x, y = place.x - 0.8 * place.long * np.cos(place.turn), place.y - 0.8 * place.long * np.sin(place.turn)
            size = 0.3 * place.long
            leaf(cap, aspect=0.4 if seeds else 0.25)(
                relief, Place(x + 0.5 * size * np.cos(a), y + 0.5 * size * np.sin(a), size, size, a), rng
            )

    return put


def slice_thing(peel: Rgb, flesh: Rgb) -> Callable:
    """A slice of citrus fruit: peel, pith, segments."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        if rng.random() < 0.4:
            round_thing(peel, gloss=0.45, dimples=1.0)(relief, place, rng)
            return
        window, u, v = local_grid(
            relief, Place(place.x, place.y, place.long, place.long * rng.uniform(0.75, 1), place.turn)
        )
        r, a = np.hypot(u, v), np.arctan2(v, u)
        count = 10
        rays = np.abs(np.sin(a * count / 2))
        inside = (r < 0.84) & (rays * r > 0.05) & (r > 0.07)
        grain = speckle(rng, u, max(place.long * 0.06, 1.2))
        pulp = np.asarray(flesh, np.float32) * (0.93 + 0.16 * grain[..., None])
        tone = np.where(inside[..., None], pulp, np.array((0.99, 0.95, 0.82), np.float32))
        tone = np.where((r > 0.93)[..., None], np.asarray(peel, np.float32), tone)
        rise = place.long * (
            0.25 * disc(r, 0.08) + 0.02 * inside * np.clip(rays * r * 4, 0, 1) + 0.008 * grain * inside
        )
        lay(relief, window, r < 1, rise.astype(np.float32), tone.astype(np.float32), 0.45)

    return put
