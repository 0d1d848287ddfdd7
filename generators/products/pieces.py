"""Pieces of a set: soaps, bars, tins, candles, tubes, bottles and small cartons, each with its own label."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ...sim.scene import Material, Part
from ..artwork import Artwork, Ink, paint_panel
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..shapes import Mesh, box_panels, cap, end_ring, join, lathe, loft, move, solid
from .board import rounded_block

LABEL_PX = 512
"""Side of a piece's texture."""


@dataclass(frozen=True)
class PieceKind:
    """What all pieces of a set are."""

    name: str
    category: str
    density_kg_m3: float
    """Of the whole piece, over its cell."""
    wide_mm: tuple[float, float]
    deep_share: tuple[float, float]
    """Depth over width; round things are as deep as wide."""
    high_share: tuple[float, float]
    make: Callable[[Float[np.ndarray, "3"], Artwork, float, int], list[Part]]
    """Parts of one piece that stands centred on z = 0 in a cell of a size: (size, artwork, turn [rad], item)."""


def flavour(art: Artwork, number: int) -> Artwork:
    """The same brand's design in another colour for each piece of a set."""
    turned = []
    for ink in (art.ground, art.accent):
        h, s, v = (int(c) for c in cv2.cvtColor(np.array([[ink]], np.uint8), cv2.COLOR_RGB2HSV)[0, 0])
        shifted = np.array([[[(h + 37 * number) % 180, max(s, 60) if number else s, v]]], np.uint8)
        r, g, b = cv2.cvtColor(shifted, cv2.COLOR_HSV2RGB)[0, 0]
        turned.append((int(r), int(g), int(b)))
    ground: Ink = turned[0]
    ink: Ink = (28, 28, 32) if sum(ground) > 380 else (245, 244, 238)
    return replace(art, ground=ground, accent=turned[1], ink=ink)


def _ground(width: int, height: int, ink: Ink) -> UInt8[np.ndarray, "h w 3"]:
    out = np.empty((height, width, 3), np.uint8)
    out[:] = ink
    return out


@lru_cache(maxsize=16)
def _box_print(size: tuple[float, float, float], art: Artwork) -> tuple[Atlas, UInt8[np.ndarray, "s s 3"]]:
    sides = [
        (1000 * float(np.linalg.norm(u)), 1000 * float(np.linalg.norm(v))) for _, u, v in box_panels(np.array(size))
    ]
    atlas = pack_atlas(sides, LABEL_PX)
    pictures = []
    for panel, patch in enumerate(atlas.patches):
        w, h = patch.picture_size
        printed = panel in (0, 2, 4)
        pictures.append(
            paint_panel(art, "label" if panel != 4 else "top", w, h, px_per_mm=patch.px_per_mm)
            if printed
            else _ground(w, h, art.ground)
        )
    return atlas, paint_atlas(atlas, pictures)


@lru_cache(maxsize=16)
def _round_print(around_mm: float, high_mm: float, art: Artwork) -> tuple[Atlas, UInt8[np.ndarray, "s s 3"]]:
    """A label's band whose middle faces -y, and a round top."""
    disc = around_mm / np.pi
    atlas = pack_atlas([(around_mm, high_mm), (disc, disc)], LABEL_PX, wrap=(0,))
    band, top = atlas.patches
    w, h = band.picture_size
    picture = _ground(w, h, art.ground)
    wide = int(0.36 * w)
    start = int(0.75 * w) - wide // 2  # s = 0.75 is the side that faces -y
    picture[:, start : start + wide] = paint_panel(art, "label", wide, h, px_per_mm=band.px_per_mm)
    lid = paint_panel(art, "top", *top.picture_size, px_per_mm=top.px_per_mm)
    return atlas, paint_atlas(atlas, [picture, lid])


def _printed(name: str, texture: UInt8[np.ndarray, "s s 3"], *, roughness: float, metallic: float = 0.0) -> Material:
    return Material(name, (1.0, 1.0, 1.0), metallic, roughness, texture)


def _turned(mesh: Mesh, turn: float) -> Mesh:
    c, s = np.cos(turn), np.sin(turn)
    return move(mesh, np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.zeros(3))


def _profile(points: list[tuple[float, float]], *, panel: int, sectors: int = 40) -> Mesh:
    """A lathe whose rows are all of the same panel; t follows the profile."""
    fine = [points[0]]
    for (r0, z0), (r1, z1) in pairwise(points):
        steps = max(1, round(np.hypot(r1 - r0, z1 - z0) / 0.008))
        fine += [(r0 + (r1 - r0) * k / steps, z0 + (z1 - z0) * k / steps) for k in range(1, steps + 1)]
    return lathe(np.array(fine, float), 1.0, panel=panel, sectors=sectors)


def _closed(body: Mesh, *, top: int, bottom: int) -> Mesh:
    """Close both ends; panels of top and bottom."""
    ring = end_ring(body, top=True)
    step = float(np.ptp(ring[:, 0])) / 4
    return join([
        body, cap(ring, step, panel=top, up=True), cap(end_ring(body, top=False), step, panel=bottom, up=False)
    ])  # fmt: skip


def make_block(size: Float[np.ndarray, "3"], art: Artwork, turn: float, item: int, *, round_m: float, gloss: float):
    """A wrapped bar, a soap or a small carton."""
    mesh = rounded_block(size, round_m, steps=3, inner=3)
    x, y, z = (round(float(v), 5) for v in size)
    atlas, texture = _box_print((x, y, z), art)
    name = f"piece {item - 1}"
    print_ = _printed(name, texture, roughness=gloss)
    return [solid(_turned(mesh, 0.06 * turn), name, print_, atlas=atlas, surface="outer", item=item)]


def _soap(size: Float[np.ndarray, "3"], art: Artwork, turn: float, item: int) -> list[Part]:
    return make_block(size, art, turn, item, round_m=0.28 * float(size.min()), gloss=0.45)


def _bar(size: Float[np.ndarray, "3"], art: Artwork, turn: float, item: int) -> list[Part]:
    return make_block(size, art, turn, item, round_m=0.0015, gloss=0.35)


def _tin(size: Float[np.ndarray, "3"], art: Artwork, turn: float, item: int) -> list[Part]:
    """A printed tin with a slip lid."""
    r, h = float(size[:2].min()) / 2, float(size[2])
    atlas, texture = _round_print(round(2000 * np.pi * r, 2), round(1000 * h, 2), art)
    seam, lid = 0.0016, 0.78 * h
    body = _profile(
        [(r - seam, 0), (r - seam / 2, 0.001), (r - seam, 0.003), (r - seam, lid), (r, lid + 0.0006), (r, h - 0.001),
         (r - 0.001, h)], panel=0,
    )  # fmt: skip
    mesh = _turned(_closed(body, top=1, bottom=1), turn)
    name = f"piece {item - 1}"
    metal = _printed(name, texture, roughness=0.25, metallic=0.25)
    return [solid(mesh, name, metal, atlas=atlas, surface="outer", item=item)]


def _candle(size: Float[np.ndarray, "3"], art: Artwork, turn: float, item: int) -> list[Part]:
    """Wax in a labelled tumbler, with a wick."""
    r, h = float(size[:2].min()) / 2, float(size[2])
    atlas, texture = _round_print(round(2000 * np.pi * r, 2), round(1000 * h, 2), art)
    outer = _profile([(0.93 * r, 0), (r, 0.05 * h), (r, 0.985 * h), (0.97 * r, h)], panel=0)
    tumbler = join([outer, cap(end_ring(outer, top=False), r / 3, panel=1, up=False)])
    inner = lathe(np.array([(0.93 * r, 0.8 * h), (0.97 * r, h)]), 1.0, panel=0, sectors=40)
    inner = replace(inner, faces=inner.faces[:, ::-1].copy(), st=inner.st[:, ::-1].copy())
    wax = lathe(np.array([(0.925 * r, 0.4 * h), (0.925 * r, 0.82 * h)]), 1.0, panel=0, sectors=40)
    wick = lathe(np.array([(0.0008, 0.8 * h), (0.0007, 0.94 * h)]), 1.0, panel=0, sectors=12)
    name = f"piece {item - 1}"
    parts = [
        (join([tumbler, inner]), name, _printed(name, texture, roughness=0.12), atlas),
        (_closed(wax, top=0, bottom=0), f"{name} wax", Material("wax", (0.85, 0.78, 0.64), 0.0, 0.35), None),
        (_closed(wick, top=0, bottom=0), f"{name} wick", Material("wick", (0.8, 0.78, 0.72), 0.0, 0.9), None),
    ]
    return [
        solid(_turned(mesh, turn), part, material, atlas=sheet, surface="outer", item=item)
        for mesh, part, material, sheet in parts
    ]


def _tube(size: Float[np.ndarray, "3"], art: Artwork, turn: float, item: int) -> list[Part]:
    """A squeeze tube that stands on its cap; its end is flat and crimped."""
    r, h = float(size[:2].min()) / 2, float(size[2])
    wide = 0.94 * min(float(size[0]) / 2, 1.35 * r)
    start = 0.2 * h
    atlas, texture = _round_print(round(2000 * np.pi * r, 2), round(1000 * 0.8 * h, 2), art)
    heights = np.concatenate([np.linspace(start, 0.94 * h, 14), [h]])

    def section(row: int, angle: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
        share = min(1.0, (heights[row] - start) / (0.74 * h))
        a, b = 0.92 * r + share * (wide - 0.92 * r), 0.92 * r + share * (0.0009 - 0.92 * r)
        return np.stack([a * np.cos(angle), b * np.sin(angle), np.full(len(angle), heights[row])], axis=1)

    body = loft(section, heights, 40, panel=0)
    body = join([body, *(cap(end_ring(body, top=top), r / 3, panel=1, up=top) for top in (False, True))])
    lid = lathe(np.array([(0.86 * r, 0.0), (0.88 * r, 0.002), (0.84 * r, start - 0.0005)]), 1.0, panel=0, sectors=40)
    r_, g, b = ((c / 255) ** 2.2 for c in art.accent)
    name = f"piece {item - 1}"
    return [
        solid(body, name, _printed(name, texture, roughness=0.3), atlas=atlas, surface="outer", item=item),
        solid(
            _closed(lid, top=0, bottom=0), f"{name} cap", Material("cap", (r_, g, b), 0.0, 0.3), surface="outer",
            item=item,
        ),
    ]  # fmt: skip


def _bottle(size: Float[np.ndarray, "3"], art: Artwork, turn: float, item: int) -> list[Part]:
    """A small bottle with a tall cap: lotion, oil, perfume."""
    r, h = float(size[:2].min()) / 2, float(size[2])
    atlas, texture = _round_print(round(2000 * np.pi * r, 2), round(1000 * 0.8 * h, 2), art)
    body = _profile(
        [(0.9 * r, 0), (r, 0.03 * h), (r, 0.62 * h), (0.93 * r, 0.69 * h), (0.6 * r, 0.74 * h), (0.5 * r, 0.75 * h)],
        panel=0,
    )
    lid = lathe(
        np.array([(0.56 * r, 0.755 * h), (0.58 * r, 0.76 * h), (0.56 * r, 0.985 * h), (0.5 * r, h)]), 1.0, panel=0,
        sectors=40,
    )  # fmt: skip
    name = f"piece {item - 1}"
    cap_ = Material("cap", (0.82, 0.81, 0.78), 0.0, 0.3)
    return [
        solid(_turned(_closed(body, top=1, bottom=1), turn), name, _printed(name, texture, roughness=0.2),
              atlas=atlas, surface="outer", item=item),
        solid(_closed(lid, top=0, bottom=0), f"{name} cap", cap_, surface="outer", item=item),
    ]  # fmt: skip


PIECES = (
    PieceKind("soaps", "soap", 900.0, (52.0, 85.0), (0.35, 0.5), (0.5, 0.75), _soap),
    PieceKind("bars", "chocolate", 950.0, (36.0, 60.0), (0.25, 0.5), (1.1, 1.8), _bar),
    PieceKind("tins", "tea", 420.0, (46.0, 72.0), (1.0, 1.0), (0.6, 1.5), _tin),
    PieceKind("candles", "candles", 850.0, (48.0, 74.0), (1.0, 1.0), (0.9, 1.25), _candle),
    PieceKind("tubes", "cream", 800.0, (38.0, 50.0), (0.8, 0.95), (2.6, 3.4), _tube),
    PieceKind("bottles", "cosmetics", 850.0, (34.0, 48.0), (1.0, 1.0), (2.2, 3.2), _bottle),
    PieceKind("small cartons", "sweets", 600.0, (38.0, 62.0), (0.4, 0.8), (1.2, 2.0), _bar),
)
"""Every kind of piece a set may hold."""
