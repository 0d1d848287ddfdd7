"""Things that are made: pasta, pills, batteries, bricks, cups. Each maker returns a function that lays one."""

from collections.abc import Callable

import cv2
import numpy as np

from .relief import Place, Relief, lay, local_grid
from .thingparts import Rgb, ball, disc, mix, pick, speckle, super_radius, vary


def rod(
    *colours: Rgb,
    aspect: float,
    bands: tuple[tuple[float, float, Rgb], ...] = (),
    thread: float = 0.0,
    hollow: bool = False,
    gloss: float = 0.3,
    taper: float = 0.0,
    ribs: float = 0.0,
    round_end: float = 0.12,
    metal: bool = False,
) -> Callable:
    """Things like cylinders on their side: pasta, batteries, screws, pens. Bands: (from, to, colour) along it."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        place = Place(place.x, place.y, place.long, place.long * aspect, place.turn)
        window, u, v = local_grid(relief, place)
        girth = np.clip(1 - taper * np.clip((u - 0.55) / 0.45, 0, 1) ** 1.2, 0.02, 1) if taper else np.ones_like(u)
        slant = u + (0.45 * aspect * v if hollow else 0)
        w = v / girth
        rise = np.sqrt(np.clip(1 - w * w, 0, None)) * girth
        if round_end:
            rise = rise * np.sqrt(np.clip(1 - np.clip((np.abs(slant) - 1 + round_end) / round_end, 0, 1) ** 2, 0, 1))
        tone = np.empty((*u.shape, 3), np.float32)
        tone[:] = pick(rng, *colours)
        for low, high, colour in bands:
            tone[(u >= low) & (u < high)] = colour
        if thread:
            on = u > -0.62
            rise = rise + thread * on * np.sin(u * 34 + 1.5 * v)
            tone *= (1 + 0.15 * on * np.sin(u * 34 + 1.5 * v))[..., None]
            head = (u < -0.86) & (np.abs(v) < 2)
            rise = np.where(head, np.sqrt(np.clip(1 - (v / 2) ** 2, 0, None)) * 1.5, rise)
            w = np.where(u < -0.86, v / 2, w)
        if ribs:
            rise = rise + ribs * np.sin(14 * np.arcsin(np.clip(w, -1, 1)))
        if metal:
            tone = tone * (0.62 + 0.5 * np.abs(np.sin(2.2 * np.arcsin(np.clip(w, -1, 1)) + 0.6)))[..., None]
        if hollow:
            end = ((slant - 0.93) / (0.42 * aspect)) ** 2 + v**2 < 0.75
            tone[end] *= 0.35
        lay(relief, window, (np.abs(slant) < 1) & (np.abs(w) < 1), (rise * place.wide).astype(np.float32), tone, gloss)

    return put


def block(
    *colours: Rgb,
    aspect: float = 0.75,
    form: float = 8.0,
    thick: float = 0.5,
    studs: tuple[int, int] = (0, 0),
    mark: bool = False,
    gloss: float = 0.35,
    screen: bool = False,
) -> Callable:
    """Rounded boxes: pieces of chocolate, bars of soap, toy bricks, devices."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        place = Place(place.x, place.y, place.long, place.long * aspect, place.turn)
        window, u, v = local_grid(relief, place)
        r = super_radius(u, v, form)
        rise = thick * place.wide * disc(r, 0.22 if not studs[0] else 0.06)
        tone = np.empty((*u.shape, 3), np.float32)
        tone[:] = pick(rng, *colours)
        if mark:
            dip = np.exp(-((super_radius(u / 0.62, v / 0.5, 2.5) - 1) ** 2) / 0.01)
            rise = rise - 0.07 * place.wide * dip
        for a in range(studs[0]):
            for b in range(studs[1]):
                du = (u - (2 * a + 1 - studs[0]) / studs[0]) * place.long
                dv = (v - (2 * b + 1 - studs[1]) / studs[1]) * place.wide
                stud = np.hypot(du, dv) / (0.62 * place.long / studs[0])
                rise = rise + 0.28 * place.wide * np.clip((1 - stud) * 8, 0, 1)
        if screen:
            face = super_radius(u / 0.86, v / 0.84, 10) < 1
            glow = np.stack([0.15 + 0.3 * (u + 1) / 2, 0.35 + 0.2 * v, 0.75 - 0.2 * u], -1)
            tone = np.where(face[..., None], glow, tone).astype(np.float32)
            for k in range(3):
                dot = (np.hypot((u + 0.45 - 0.45 * k) * place.long, v * place.wide) < 0.16 * place.wide) & face
                tone[dot] = (0.95, 0.96, 1.0)
        lay(relief, window, r < 1, rise.astype(np.float32), tone, gloss)

    return put


def capsule(*pairs: tuple[Rgb, Rgb]) -> Callable:
    """Two-coloured capsules."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        one, two = pairs[int(rng.integers(len(pairs)))]
        window, u, v = local_grid(relief, Place(place.x, place.y, place.long, 0.38 * place.long, place.turn))
        along = np.clip(np.abs(u) - 0.62, 0, None) / 0.38
        inside = along**2 + v**2
        rise = 0.38 * place.long * np.sqrt(np.clip(1 - inside, 0, None)) * (1 + 0.05 * (u > 0))
        tone = np.where((u > 0)[..., None], np.array(one, np.float32), np.array(two, np.float32))
        lay(relief, window, inside < 1, rise.astype(np.float32), tone, 0.8)

    return put


def bubble(*colours: Rgb) -> Callable:
    """Soap bubbles and drops: bright rim and highlight, clear middle."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        window, u, v = local_grid(relief, Place(place.x, place.y, place.long, place.long, 0.0))
        r2 = u * u + v * v
        base = np.asarray(pick(rng, *colours), np.float32)
        tone = base * (0.75 + 0.5 * r2[..., None] ** 2) + 0.25 * np.clip(u + v, 0, 1)[..., None]
        lay(relief, window, r2 < 1, place.long * 0.8 * ball(u, v), np.clip(tone, 0, 1).astype(np.float32), 1.0)

    return put


def dollop(*colours: Rgb, turns: float = 2.5) -> Callable:
    """A swirl of cream or paste with spiral ridges."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        window, u, v = local_grid(relief, Place(place.x, place.y, place.long, 0.85 * place.long, place.turn))
        r, a = np.hypot(u, v), np.arctan2(v, u)
        edge = 1 - 0.06 * np.sin(5 * a)
        wave = np.sin(2 * np.pi * turns * r - a * 1.0 + 0.4 * np.sin(2 * a))
        rise = place.long * (0.55 * np.clip(edge - r, 0, None) ** 0.7 + 0.07 * wave * np.clip(edge - r, 0, 0.3) / 0.3)
        tone = mix(colours[0], colours[-1], np.clip(0.5 + 0.5 * wave, 0, 1) if len(colours) > 1 else np.zeros_like(r))
        lay(relief, window, r < edge, rise.astype(np.float32), tone, 0.5)

    return put


def cup(liquid: Rgb, foam: Rgb, china: Rgb = (0.95, 0.94, 0.92)) -> Callable:
    """A cup on its saucer from above, with something hot in it."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        flat, size = 0.82, place.long
        window, u, v = local_grid(relief, Place(place.x, place.y + 0.14 * size, size, flat * size, 0.0))
        r = np.hypot(u, v)
        dish = size * (0.1 * disc(r, 0.1) - 0.1 * np.exp(-((r - 0.62) ** 2) / 0.04) + 0.12)
        lay(relief, window, r < 1, dish.astype(np.float32), np.array(china, np.float32), 0.5, base=0.0)
        handle = Place(place.x + 0.66 * size, place.y, 0.26 * size, 0.2 * size, 0.0)
        window, u, v = local_grid(relief, handle)
        r = np.hypot(u, v)
        loop = np.sqrt(np.clip(1 - ((r - 0.72) / 0.28) ** 2, 0, None)) * 0.12 * size
        lay(
            relief,
            window,
            np.abs(r - 0.72) < 0.28,
            loop.astype(np.float32),
            np.array(china, np.float32),
            0.5,
            base=0.3 * size,
        )
        window, u, v = local_grid(relief, Place(place.x, place.y, 0.62 * size, 0.62 * flat * size, 0.0))
        r, a = np.hypot(u, v), np.arctan2(v, u)
        wall = np.sqrt(np.clip(1 - ((r - 0.94) / 0.06) ** 2, 0, None)) * 0.05 * size
        tone = np.broadcast_to(np.asarray(china, np.float32), (*u.shape, 3)).copy()
        curl = speckle(rng, u, size * 0.12) + 1.3 * np.sin(3 * a + 9 * r)
        drink = mix(liquid, foam, np.clip(0.35 + 0.35 * curl, 0, 1) * np.clip((r - 0.1) * 2, 0.2, 1))
        tone[r < 0.88] = drink[r < 0.88]
        lay(relief, window, r < 1, (wall + 0.45 * size * (r < 2)).astype(np.float32), tone, 0.35, base=0.0)

    return put


def candle(wax: Rgb) -> Callable:
    """A lit candle seen from the side."""

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        tall = Place(place.x, place.y, place.long, 0.36 * place.long, np.pi / 2)
        rod(vary(rng, wax), aspect=0.36, gloss=0.2, round_end=0.05)(relief, tall, rng)
        flame = Place(place.x, place.y - 1.32 * place.long, 0.34 * place.long, 0.14 * place.long, -np.pi / 2)
        window, u, v = local_grid(relief, flame)
        width = np.clip(1 - u * u, 0, None) ** 0.6 * (1 - 0.45 * u)
        share = np.abs(v) / np.maximum(width, 1e-3)
        tone = mix((1.9, 1.75, 1.2), (1.7, 0.8, 0.2), np.clip(share**2 + 0.25 * (u + 1) / 2, 0, 1))
        lay(relief, window, share < 1, np.zeros_like(u), tone, 0.0)

    return put


def bolt(colour: Rgb) -> Callable:
    """A flash of lightning, embossed."""
    outline = np.array([(-0.1, -1), (0.5, -1), (0.15, -0.2), (0.6, -0.2), (-0.35, 1), (-0.05, 0.1), (-0.5, 0.1)])

    def put(relief: Relief, place: Place, rng: np.random.Generator) -> None:
        window, u, v = local_grid(relief, Place(place.x, place.y, place.long, place.long, 0.0))
        if u.size < 9:
            return
        points = np.stack([(outline[:, 0] - u[0, 0]), (outline[:, 1] - v[0, 0])], 1) * place.long
        mask = np.zeros(u.shape, np.uint8)
        cv2.fillPoly(mask, [points.astype(np.int32)], 255)
        far = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
        tone = mix(colour, (1, 0.98, 0.8), np.clip(0.5 - 0.5 * v, 0, 1))
        lay(relief, window, mask > 0, np.minimum(far, 0.12 * place.long) * 1.2, tone, 0.7)

    return put
