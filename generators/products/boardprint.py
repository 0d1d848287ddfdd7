"""Marks that converting leaves on printed board, painted in place: cut edges, slits, perforations, crumples."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..artwork import Artwork, Ink, cut_sheet, fractal_noise, paint_column, paint_panel, paint_walls
from ..atlas import Atlas

Picture = UInt8[np.ndarray, "h w 3"]
PointMm = tuple[float, float]
"""(right, down) from the picture's top left corner."""
_SHIFT = 4


def _blend(picture: Picture, mask: UInt8[np.ndarray, "h w"], color: Ink, opacity: float) -> None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    share = mask[box].astype(np.float32)[..., None] * (opacity / 255)
    picture[box] = (picture[box] * (1 - share) + np.array(color, np.float32) * share + 0.5).astype(np.uint8)


def stroke(
    picture: Picture,
    px_per_mm: float,
    points: Sequence[PointMm],
    width_mm: float,
    color: Ink,
    *,
    opacity: float = 1.0,
) -> None:
    """Draw a line through points [mm]; one thinner than a pixel is fainter instead."""
    wide = width_mm * px_per_mm
    mask = np.zeros(picture.shape[:2], np.uint8)
    path = np.round(np.array(points) * px_per_mm * 2**_SHIFT).astype(np.int32)
    cv2.polylines(mask, [path], False, 255, max(1, round(wide)), cv2.LINE_AA, _SHIFT)
    _blend(picture, mask, color, opacity * min(1.0, wide))


def area(picture: Picture, px_per_mm: float, points: Sequence[PointMm], color: Ink, *, opacity: float = 1.0) -> None:
    """Fill a polygon given in mm."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    path = np.round(np.array(points) * px_per_mm * 2**_SHIFT).astype(np.int32)
    cv2.fillPoly(mask, [path], 255, cv2.LINE_AA, _SHIFT)
    _blend(picture, mask, color, opacity)


def extent_mm(picture: Picture, px_per_mm: float) -> PointMm:
    """Width and height of a picture [mm]."""
    return picture.shape[1] / px_per_mm, picture.shape[0] / px_per_mm


def cut_edge(picture: Picture, px_per_mm: float, side: str, stock: Ink, *, thickness_mm: float = 0.45) -> None:
    """A panel's border where the board ends: its raw thickness, and the thin shadow of the gap beside it."""
    w, h = extent_mm(picture, px_per_mm)
    d, e = thickness_mm / 2, thickness_mm + 0.15
    ends = {
        "top": ((0.0, d), (w, d), (0.0, e), (w, e)),
        "bottom": ((0.0, h - d), (w, h - d), (0.0, h - e), (w, h - e)),
        "left": ((d, 0.0), (d, h), (e, 0.0), (e, h)),
        "right": ((w - d, 0.0), (w - d, h), (w - e, 0.0), (w - e, h)),
    }[side]
    stroke(picture, px_per_mm, ends[:2], thickness_mm, stock, opacity=0.85)
    stroke(picture, px_per_mm, ends[2:], 0.2, (20, 18, 16), opacity=0.45)


def slit(picture: Picture, px_per_mm: float, points: Sequence[PointMm], stock: Ink, *, width_mm: float = 0.5) -> None:
    """The gap between two flaps: dark, with the light raw edge of the upper one beside it."""
    stroke(picture, px_per_mm, [(x, y - 0.4) for x, y in points], 0.45, stock, opacity=0.7)
    stroke(picture, px_per_mm, points, width_mm, (16, 14, 12), opacity=0.85)


def perforation(
    picture: Picture, px_per_mm: float, points: Sequence[PointMm], *, dash_mm: float = 3.0, gap_mm: float = 2.0
) -> None:
    """A row of short cuts: each a dark dash with a lit lip under it."""
    path = np.array(points, float)
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    for start in np.arange(gap_mm / 2, arc[-1] - dash_mm, dash_mm + gap_mm):
        at = np.linspace(start, start + dash_mm, 4)
        dash = [(float(np.interp(a, arc, path[:, 0])), float(np.interp(a, arc, path[:, 1]))) for a in at]
        stroke(picture, px_per_mm, [(x + 0.12, y + 0.3) for x, y in dash], 0.3, (255, 255, 255), opacity=0.3)
        stroke(picture, px_per_mm, dash, 0.35, (25, 22, 20), opacity=0.75)


def half_disc(middle: PointMm, radius: float, *, up: bool = False) -> list[PointMm]:
    """Outline of a thumb notch that hangs from a panel's border (or stands on it)."""
    angle = np.linspace(0, np.pi, 25)
    sign = -1.0 if up else 1.0
    return [(float(middle[0] + radius * np.cos(a)), float(middle[1] + sign * radius * np.sin(a))) for a in angle]


def crumple(picture: Picture, rng: np.random.Generator, *, strength: float, folds: int = 26) -> Picture:
    """Print the look of paper that was crumpled and smoothed again: flat facets between sharp ridges."""
    h, w = 256, max(32, round(256 * picture.shape[1] / picture.shape[0]))
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / h
    light = np.zeros((h, w), np.float32)
    for _ in range(folds):
        angle, reach = rng.uniform(0, 2 * np.pi), float(rng.uniform(0.15, 0.7))
        px, py = rng.uniform(0, w / h), rng.uniform(0, 1)
        a = np.cos(angle) * (x - px) + np.sin(angle) * (y - py)
        along = np.abs(-np.sin(angle) * (x - px) + np.cos(angle) * (y - py))
        fade = np.exp(-((a / reach) ** 2) - (along / reach) ** 4)
        light += np.float32(rng.normal() * np.cos(angle - 0.8)) * np.sign(a) * fade
        light += np.float32(0.8 * rng.choice([-1, 1])) * np.exp(-np.abs(a) * 120) * fade
    light += 0.25 * fractal_noise(rng, h, w, cell_px=20.0, octaves=3).astype(np.float32)
    shade = cv2.resize(1 + strength * 0.12 * light, (picture.shape[1], picture.shape[0]))
    return np.clip(picture * np.clip(shade, 0.45, 1.4)[..., None], 0, 255).astype(np.uint8)


def print_box(artwork: Artwork, atlas: Atlas, register: Float[np.ndarray, "2"]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """The six panels of a box: its walls as one sheet, so that print and the error of its register run over folds."""
    sizes, scale = [patch.picture_size for patch in atlas.patches], atlas.patches[0].px_per_mm
    widths = tuple(w for w, _ in sizes[:4])
    sheet = paint_walls(artwork, ("front", "side", "back", "side"), widths, sizes[0][1], px_per_mm=scale)
    pictures = cut_sheet(shift_print(sheet, scale, register), widths)
    for kind, (w, h) in zip(("top", "bottom"), sizes[4:6], strict=True):
        pictures.append(shift_print(paint_panel(artwork, kind, w, h, px_per_mm=scale), scale, register).copy())
    return pictures


def print_sleeve(artwork: Artwork, atlas: Atlas, register: Float[np.ndarray, "2"]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """Front, back, top and bottom of a sleeve; top and front are one sheet, and the glued seam is below the front."""
    (w, h), _, (_, deep), _ = sizes = [patch.picture_size for patch in atlas.patches]
    scale = atlas.patches[0].px_per_mm
    sheet = shift_print(paint_column(artwork, ("top", "front"), w, (deep, h), px_per_mm=scale), scale, register)
    back = paint_column(artwork, ("back",), w, (sizes[1][1],), px_per_mm=scale, mirror=True)
    bottom = paint_column(artwork, ("bottom",), w, (sizes[3][1],), px_per_mm=scale)
    others = [shift_print(picture, scale, register).copy() for picture in (back, bottom)]
    return [sheet[deep:].copy(), others[0], sheet[:deep].copy(), others[1]]


def shift_print(picture: Picture, px_per_mm: float, shift_mm: Float[np.ndarray, "2"]) -> Picture:
    """Move a print on its panel, as when sheets are cut out of register."""
    dx, dy = (float(v) for v in shift_mm * px_per_mm)
    if abs(dx) < 0.3 and abs(dy) < 0.3:
        return picture
    move = np.array([[1, 0, dx], [0, 1, dy]])
    size = picture.shape[1], picture.shape[0]
    return cv2.warpAffine(picture, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
