"""The print of bags: panels that leave room for seals, shaded ribs and fins, where metal shines through."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..artwork import Artwork, Ink, PanelKind, paint_panel
from ..atlas import Atlas, Patch
from .bag import Cut

Picture = UInt8[np.ndarray, "_ _ 3"]


def paint_inset(
    artwork: Artwork, kind: PanelKind, patch: Patch, top_m: float, bottom_m: float, side_m: float
) -> Picture:
    """A panel whose design keeps clear of seals and of what curves away; its ground runs on to the border."""
    width, height = patch.picture_size
    top, bottom, side = (max(0, round(1000 * m * patch.px_per_mm)) for m in (top_m, bottom_m, side_m))
    wide, high = max(16, width - 2 * side), max(16, height - top - bottom)
    inner = paint_panel(artwork, kind, wide, high, px_per_mm=patch.px_per_mm)
    side, bottom = (width - wide) // 2, height - high - top
    out = cv2.copyMakeBorder(inner, top, bottom, side, width - wide - side, cv2.BORDER_REPLICATE).astype(np.uint8)
    smooth = max(3, round(6 * patch.px_per_mm))  # what runs on is soft, or it would look like streaks
    for strip in (out[:top], out[height - bottom :]):
        strip[:] = cv2.blur(strip[:1], (smooth, 1)) if len(strip) else strip
    for strip in (out[:, :side], out[:, side + wide :]):
        strip[:] = cv2.blur(np.ascontiguousarray(strip[:, :1]), (1, smooth)) if strip.shape[1] else strip
    return out


def scale_rows(picture: Picture, low: int, high: int, gain: Float[np.ndarray, " n"]) -> None:
    """Lighten or darken rows ``low`` to ``high`` in place, a gain for each."""
    part = picture[low:high].astype(np.float32) * gain[:, None, None].astype(np.float32)
    picture[low:high] = np.clip(part, 0, 255).astype(np.uint8)


def paint_crimp(picture: Picture, px_per_mm: float, cut: Cut, *, pitch: float, ink: Ink | None) -> None:
    """Seals at both ends: their own ink if they have one, and the shade of their ribs, finer than the mesh has them."""
    height = picture.shape[0]
    for seal, top in ((cut.top_seal, True), (cut.bottom_seal, False)):
        count = min(height, round(1000 * seal * px_per_mm))
        if count < 2:
            continue
        low, high = (0, count) if top else (height - count, height)
        if ink is not None:
            picture[low:high] = ink
        at = np.arange(low, high) / px_per_mm / 1000
        away = at if top else cut.height - at
        scale_rows(picture, low, high, 1 + 0.1 * np.cos(2 * np.pi * away / pitch))
        edge = high - 1 if top else low
        scale_rows(picture, max(0, edge - 1), edge + 2, np.full(min(height, edge + 2) - max(0, edge - 1), 0.8))


def paint_fin(picture: Picture, px_per_mm: float, ink: Ink, *, width_mm: float = 10.0) -> None:
    """The lengthwise seal at a tube's back: a flap that lies to one side, with its shadow and its ribs."""
    middle, wide = picture.shape[1] // 2, max(3, round(width_mm * px_per_mm))
    low, high = middle - wide, middle
    part = picture[:, low:high].astype(np.float32) * 0.35 + np.array(ink, np.float32) * 0.65
    along = np.arange(wide) / px_per_mm
    gain = 1 + 0.05 * np.cos(2 * np.pi * along / 1.6)
    gain[:1], gain[-1:] = 0.6, 1.12
    picture[:, low:high] = np.clip(part * gain[None, :, None], 0, 255).astype(np.uint8)
    shade = np.linspace(0.72, 1, max(2, wide // 5))[None, ::-1, None]
    beside = picture[:, low - shade.shape[1] : low]
    picture[:, low - shade.shape[1] : low] = (beside * shade).astype(np.uint8)


def metal_and_gloss(
    artwork: Artwork, atlas: Atlas, pictures: Sequence[Picture], *, metal: bool, rng: np.random.Generator
) -> Picture | None:
    """Roughness and metal of the print: ink over white hides the metal of the film, ink without it shines through.

    None without metal: such a film is of one gloss. Bare are the inks near the pack's ground or accent, whichever the
    draw says, and what is left grey.
    """
    side = 512
    small = _shrink(atlas, side)
    bare = np.array(artwork.ground if rng.random() < 0.5 else artwork.accent, np.float32)
    share, grain = rng.uniform(0.55, 1.0), rng.uniform(0.75, 1.0)
    if not metal:
        return None
    maps = []
    for picture, patch in zip(pictures, small.patches, strict=True):
        tiny = cv2.resize(picture, patch.picture_size, interpolation=cv2.INTER_AREA).astype(np.float32)
        near = np.exp(-((np.linalg.norm(tiny - bare, axis=2) / 60) ** 2))
        grey = np.exp(-((np.ptp(tiny, axis=2) / 14) ** 2)) * (tiny.mean(axis=2) > 110) * (tiny.mean(axis=2) < 225)
        shine = np.maximum(near * share, grey)
        rough = 255 * (grain + (1 - grain) * (1 - shine))
        maps.append(np.stack([np.zeros_like(shine), rough, 255 * shine], -1).astype(np.uint8))
    out = np.full((side, side, 3), 255, np.uint8)
    for patch, tiny in zip(small.patches, maps, strict=True):
        laid = cv2.rotate(tiny, cv2.ROTATE_90_COUNTERCLOCKWISE) if patch.turned else tiny
        out[patch.y : patch.y + patch.height, patch.x : patch.x + patch.width] = laid[
            : side - patch.y, : side - patch.x
        ]
    return out


def _shrink(atlas: Atlas, side_px: int) -> Atlas:
    """The same layout for a smaller texture; patches grow into their gutters."""
    k = side_px / atlas.side_px
    patches = tuple(
        replace(
            p, x=int(p.x * k), y=int(p.y * k), width=int(np.ceil((p.x + p.width) * k)) - int(p.x * k),
            height=int(np.ceil((p.y + p.height) * k)) - int(p.y * k), px_per_mm=p.px_per_mm * k,
        )
        for p in atlas.patches
    )  # fmt: skip
    return Atlas(side_px, patches)
