"""The picture on a pack: a heap of things, a bowl, a splash, or a user's photograph; cached by content."""

import warnings
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ...sim.errors import DamagelandError
from .relief import Place, Relief, lay, light, local_grid, new_relief
from .scenery import AREAS, Inks, splash, wood
from .things import THINGS

MAX_SIDE_PX = 560
"""Pictures are made at most this large and enlarged for larger panels, as printers' screens would blur them too."""
MAX_MEGAPIXELS = 50
BOWLS = {"bowl_hoops": "hoop", "bowl_rice": "rice_grain", "plate_penne": "penne"}
SPLASHES = {"milk_splash": (0.97, 0.96, 0.93), "water_splash": (0.72, 0.87, 0.97)}
LOOKS = ("heap", "few", "air", "close")


def _scatter(rng: np.random.Generator, look: str, count: int, w: int, h: int, size: float) -> list[Place]:
    """Where the pieces of one kind lie."""
    unit = 0.2 * min(w, h) * size
    if look == "close":
        unit *= 1.25
        count = min(max(int(2.6 * w * h / (3.0 * unit * unit)), count), 160)
    elif look == "few":
        unit, count = 1.2 * unit, max(count // 4, min(count, 3))
    places = []
    for k in range(count):
        grow = rng.uniform(0.88, 1.12)
        if look == "close":
            x, y = rng.uniform(-0.02, 1.02) * w, rng.uniform(-0.02, 1.02) * h
        elif look == "air":
            t = k / max(count - 1, 1)
            x, y = w * (0.5 + 0.36 * rng.normal() * (0.45 + 0.5 * t)), h * (0.14 + 0.78 * t)
            grow *= rng.uniform(0.55, 1.1)
        else:
            # A heap: wide at its foot; later pieces lie in front and higher in the middle.
            t = np.sqrt(rng.random()) if look == "heap" else rng.random()
            x = w * (0.5 + (0.16 + 0.3 * t) * rng.uniform(-1, 1))
            y = h * (0.42 + 0.42 * t)
        margin = min(unit * 1.25, 0.45 * min(w, h))
        if look != "close":
            x, y = (
                float(np.clip(x, margin, max(w - margin, margin + 1))),
                float(np.clip(y, margin, max(h - margin, margin + 1))),
            )
        places.append(Place(float(x), float(y), max(unit * grow, 2.0), unit, float(rng.uniform(0, 2 * np.pi))))
    return sorted(places, key=lambda p: p.y) if look == "heap" else places


def _dish(relief: Relief, rng: np.random.Generator, filling: str) -> None:
    """A bowl or plate full of something."""
    h, w = relief.height.shape
    size = 0.43 * min(w, h * 1.1)
    place = Place(w / 2, 0.54 * h, size, 0.84 * size, 0.0)
    window, u, v = local_grid(relief, place)
    r = np.hypot(u, v)
    china = [(0.95, 0.94, 0.91), (0.3, 0.45, 0.6), (0.85, 0.5, 0.3), (0.25, 0.27, 0.3)][int(rng.integers(4))]
    rise = size * np.where(r > 0.8, 0.22 + 0.25 * (r - 0.8), 0.22 - 0.3 * (0.8 - r))
    rise -= size * 0.25 * np.clip((r - 0.97) / 0.03, 0, 1)
    lay(relief, window, r < 1, rise.astype(np.float32), np.array(china, np.float32), 0.6, base=0.0)
    put, scale, count = THINGS[filling]
    unit = 0.2 * size * 2.1 * scale
    for _ in range(int(count * 1.3)):
        a, d = rng.uniform(0, 2 * np.pi), 0.68 * np.sqrt(rng.random())
        spot = Place(
            place.x + d * size * np.cos(a),
            place.y + 0.84 * d * size * np.sin(a),
            unit * rng.uniform(0.85, 1.1),
            unit,
            rng.uniform(0, 6.28),
        )
        put(relief, spot, rng)


@lru_cache(maxsize=24)
def paint_hero(
    subjects: tuple[str, ...], seed: int, width: int, height: int, look: str, on_table: bool
) -> UInt8[np.ndarray, "h w 4"]:
    """Paint the things that a pack shows; RGBA, clear around them unless they lie on a table or fill the picture.

    ``look``: ``heap``, ``few`` big ones, in the ``air``, or ``close`` enough to fill the frame.
    """
    rng = np.random.default_rng([seed, 71])
    w, h = width, height
    relief = new_relief(w, h)
    main = next((s for s in subjects if s in THINGS or s in BOWLS), None)
    liquid = next((s for s in subjects if s in SPLASHES), None)
    wet = splash(rng, w, h, SPLASHES[liquid]) if liquid and look != "close" and not on_table else None
    if main is not None:
        extras = [s for s in subjects if s in THINGS and s != main][:2]
        single = main in BOWLS or THINGS[main][2] == 1
        for extra in extras if look != "close" else []:
            put, scale, count = THINGS[extra]
            for place in _scatter(
                rng, "heap" if single else look, max(count // (3 if not single else 2), 2), w, h, scale * 0.8
            ):
                put(relief, place, rng)
        if main in BOWLS:
            _dish(relief, rng, BOWLS[main])
        else:
            put, scale, count = THINGS[main]
            places = (
                [Place(0.5 * w, 0.52 * h, 0.26 * min(w, h) * scale, 1.0, rng.uniform(-0.4, 0.4))]
                if count == 1
                else _scatter(rng, look, count, w, h, scale)
            )
            for place in places:
                put(relief, place, rng)
    full = look == "close"
    surface = wood(rng, w, h) if on_table or full else None
    lit = light(relief, reach=0.13 * min(w, h), surface=surface)
    if wet is not None:
        over = lit[..., 3:].astype(np.float32) / 255
        behind = (lit[..., :3] * over + wet[..., :3] * (1 - over)).astype(np.uint8)
        lit = np.dstack([behind, np.maximum(lit[..., 3], wet[..., 3])])
    if surface is None:  # shadows end softly at the picture's border
        rim = max(round(0.04 * min(w, h)), 2)
        across, down = (np.minimum(np.arange(n), np.arange(n)[::-1]).astype(np.float32) / rim for n in (w, h))
        fade = np.clip(np.minimum(across[None], down[:, None]), 0, 1)
        lit[..., 3] = (lit[..., 3] * fade).astype(np.uint8)
    lit.flags.writeable = False
    return lit


def hero_picture(
    subjects: tuple[str, ...], seed: int, width: int, height: int, look: str, *, on_table: bool = False
) -> UInt8[np.ndarray, "h w 4"]:
    """The things that a pack shows, at any size: painted once per proportion and scaled for every panel."""
    proportions = (0.7, 1.0, 1.45, 2.1)
    p = min(proportions, key=lambda v: abs(np.log(v * height / width)))
    made_w, made_h = (MAX_SIDE_PX, round(MAX_SIDE_PX / p)) if p >= 1 else (round(MAX_SIDE_PX * p), MAX_SIDE_PX)
    made = paint_hero(subjects, seed, made_w, made_h, look, on_table)
    if look == "close" or on_table:  # fills the frame: cut, do not squeeze
        scale = max(width / made_w, height / made_h)
        cut_w, cut_h = max(min(round(width / scale), made_w), 1), max(min(round(height / scale), made_h), 1)
        x, y = (made_w - cut_w) // 2, (made_h - cut_h) // 2
        made = made[y : y + cut_h, x : x + cut_w]
        fit_w, fit_h = width, height
    else:
        scale = min(width / made_w, height / made_h)
        fit_w, fit_h = max(round(made_w * scale), 1), max(round(made_h * scale), 1)
    way = cv2.INTER_AREA if fit_w < made.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(made), (fit_w, fit_h), interpolation=way)


@lru_cache(maxsize=12)
def paint_area(name: str, seed: int, width: int, height: int, inks: Inks) -> UInt8[np.ndarray, "h w 3"]:
    """Paint a picture that fills an area (a name of AREAS) in the pack's inks."""
    rng = np.random.default_rng([seed, 72])
    shrink = min(1.0, MAX_SIDE_PX / max(width, height))
    w, h = max(int(width * shrink), 16), max(int(height * shrink), 16)
    art = AREAS[name](rng, w, h, inks)
    out = art if (w, h) == (width, height) else cv2.resize(art, (width, height), interpolation=cv2.INTER_CUBIC)
    out.flags.writeable = False
    return out


@lru_cache(maxsize=8)
def load_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read a user's picture, at most 1600 px on a side; its header is checked before anything is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
                if width * height > MAX_MEGAPIXELS * 1e6:
                    raise DamagelandError(
                        f"{path}: has {width} × {height} pixels; at most {MAX_MEGAPIXELS} million are read. "
                        "Scale it down."
                    )
                image.draft("RGB", (1600, 1600))
                image.thumbnail((1600, 1600))
                out = np.array(image.convert("RGB"), np.uint8)
    except Image.DecompressionBombError as error:
        raise DamagelandError(f"{path}: {error} Scale it down to {MAX_MEGAPIXELS} megapixels.") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DamagelandError(
            f"{path}: cannot be read as a picture ({error}). Expected a PNG, JPEG, WebP, TIFF or BMP file."
        ) from error
    out.flags.writeable = False
    return out


def fit_image(path: Path, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    """A user's picture, cropped to its middle and scaled to fill."""
    picture = load_image(path)
    h, w = picture.shape[:2]
    scale = max(width / w, height / h)
    cut_w, cut_h = max(min(round(width / scale), w), 1), max(min(round(height / scale), h), 1)
    x, y = (w - cut_w) // 2, (h - cut_h) // 2
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(picture[y : y + cut_h, x : x + cut_w], (width, height), interpolation=way)
