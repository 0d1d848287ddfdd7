"""What lies under a panel's print: colour fields, gradients, patterns, pictures, and the things shown on it."""

import cv2
import numpy as np
from jaxtyping import UInt8

from .artwork import Artwork
from .canvas import Box, Canvas, fill, flood, paste, polygon
from .inks import WHITE, Ink, luminance, tint
from .pictures import fit_image, hero_picture, paint_area
from .scenery import AREAS
from .words import goods_for


def user_image(artwork: Artwork, width: int, height: int) -> UInt8[np.ndarray, "h w 3"] | None:
    """The user's picture for this product, if there are any."""
    images = artwork.design.images
    return fit_image(images[artwork.look.picture_seed % len(images)], width, height) if images else None


def _area(artwork: Artwork) -> str:
    """Which whole-area picture suits the goods."""
    subjects = goods_for(artwork.category).picture
    own = [s for s in subjects if s in AREAS]
    if artwork.look.ground == "picture":
        scenes = [s for s in own if not s.endswith("waves")]
        return scenes[artwork.look.picture_seed % len(scenes)] if scenes else "landscape"
    if artwork.look.ground in ("rays", "stripes"):
        return artwork.look.ground
    if artwork.look.ground == "pattern":
        tiles = [s for s in own if s in ("tartan", "knit", "carbon", "paw_tiles", "stripes")]
        return tiles[0] if tiles else "tiles"
    flows = [s for s in own if s.endswith("waves") or s == "cloth"]
    return flows[0] if flows else "silk_waves"


def _vertical(canvas: Canvas, top: Ink, low: Ink) -> None:
    t = np.linspace(0, 1, canvas.height, dtype=np.float32)[:, None]
    column = (np.array(top, np.float32) * (1 - t) + np.array(low, np.float32) * t).astype(np.uint8)
    canvas.art[:] = cv2.resize(column[:, None], (canvas.width, canvas.height), interpolation=cv2.INTER_NEAREST)


def _radial(canvas: Canvas, middle: Ink, rim: Ink) -> None:
    h, w = 64, 64
    y, x = np.mgrid[-1:1:64j, -1:1:64j].astype(np.float32)
    share = np.clip(np.hypot(x, y) / 1.25, 0, 1)[..., None] ** 1.3
    small = np.array(middle, np.float32) * (1 - share) + np.array(rim, np.float32) * share
    canvas.art[:] = cv2.resize(small.reshape(h, w, 3), (canvas.width, canvas.height)).astype(np.uint8)


def edge_height(artwork: Artwork) -> float:
    """Share of the panel's height at which a two-coloured ground changes."""
    return 0.44 + 0.12 * ((artwork.look.picture_seed >> 5) % 7) / 6


def _block(canvas: Canvas, artwork: Artwork) -> None:
    """Colour above, paper below (or the reverse), with a straight, slanted or curved edge."""
    seed, w, h = artwork.look.picture_seed, canvas.width, canvas.height
    low = tint(artwork.ground, WHITE, 0.92) if luminance(artwork.ground) < 0.6 else artwork.accent
    flood(canvas, low)
    t = np.linspace(0, 1, 60)
    swing = {
        0: 0 * t,
        1: 0.1 * (t - 0.5),
        2: 0.3 * (t - 0.5) ** 2 * 4 - 0.1,
        3: 0.05 * np.sin(2 * np.pi * t),
        4: 0.1 - 0.2 * (2 * t - 1) ** 2,
    }
    y = (edge_height(artwork) + swing[seed % 5]) * h
    line = canvas.mm(1.8)
    for shift, ink in ((line, artwork.accent if low != artwork.accent else WHITE), (0.0, artwork.ground)):
        points = np.concatenate([np.stack([t * w, y + shift], 1), [(w + 1, -1), (-1, -1)]])
        polygon(canvas, points, ink)


def paint_ground(canvas: Canvas, artwork: Artwork) -> None:
    """The front's ground."""
    look, ground = artwork.look, artwork.ground
    w, h = canvas.width, canvas.height
    deep = tint(ground, (0, 0, 0), 0.35)
    if look.ground in ("photo", "picture") and (picture := user_image(artwork, w, h)) is not None:
        canvas.art[:] = picture
    elif look.ground == "photo":
        subjects = goods_for(artwork.category).picture
        canvas.art[:] = hero_picture(subjects, look.picture_seed, w, h, "close")[..., :3]
    elif look.ground in ("picture", "rays", "stripes", "pattern", "waves"):
        canvas.art[:] = paint_area(_area(artwork), look.picture_seed, w, h, (ground, artwork.accent, artwork.paper))
    elif look.ground == "gradient":
        light = tint(ground, WHITE, 0.35)
        _vertical(canvas, *((ground, light) if look.picture_seed % 2 else (tint(ground, WHITE, 0.12), deep)))
    elif look.ground == "radial":
        _radial(canvas, tint(ground, WHITE, 0.5), tint(ground, (0, 0, 0), 0.12))
    elif look.ground == "block":
        _block(canvas, artwork)
    else:
        flood(canvas, ground)


def paint_flank(canvas: Canvas, artwork: Artwork) -> None:
    """Ground of the other sides: the front's colours go on round the corner where that is cheap."""
    look = artwork.look
    if look.flank == "ground" and look.ground in ("gradient", "block", "stripes", "flat", "pattern"):
        paint_ground(canvas, artwork)
        return
    flood(canvas, {"accent": artwork.accent, "paper": artwork.paper}.get(look.flank, artwork.ground))
    if look.flank == "paper":
        fill(canvas, (0, 0, canvas.width, 0.06 * canvas.height), artwork.ground)
        fill(canvas, (0, 0.965 * canvas.height, canvas.width, 0.04 * canvas.height), artwork.accent)


def paint_things(canvas: Canvas, artwork: Artwork, box: Box) -> None:
    """The picture on the front: things with their shadow, or the user's photograph in a round-cornered window."""
    x, y, w, h = (round(v) for v in box)
    if w < 20 or h < 20:
        return
    if (picture := user_image(artwork, w, h)) is not None:
        paste(canvas, np.dstack([picture, _window_mask(w, h)]), x, y)
        return
    subjects = goods_for(artwork.category).picture
    table = artwork.look.picture_seed % 9 == 0
    hero = hero_picture(subjects, artwork.look.picture_seed, w, h, artwork.look.hero, on_table=table)
    high, wide = hero.shape[:2]
    if table:
        hero = np.dstack([hero[..., :3], _window_mask(wide, high)])
    paste(canvas, hero, x + (w - wide) / 2, y + (h - high) / 2)


def _window_mask(width: int, height: int) -> UInt8[np.ndarray, "h w"]:
    mask = np.zeros((height, width), np.uint8)
    r = max(min(width, height) // 10, 1)
    cv2.rectangle(mask, (r, 0), (width - 1 - r, height - 1), 255, -1)
    cv2.rectangle(mask, (0, r), (width - 1, height - 1 - r), 255, -1)
    for cx in (r, width - 1 - r):
        for cy in (r, height - 1 - r):
            cv2.circle(mask, (cx, cy), r, 255, -1, cv2.LINE_AA)
    return mask
