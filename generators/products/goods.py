"""Small goods of loose sets: boxes, cosmetics, candles and soap; and the table of sets."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from ...sim.scene import Material
from ..artwork import FONTS, PanelKind, draw_text, paint_panel
from ..atlas import pack_atlas, paint_atlas
from ..forming import bevelled, plate, rounded_box
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import make_sheet
from ..shapes import BOX_PANELS, box_mesh, box_panels, cap, end_ring, join, lathe, mesh_uv, solid
from .gear import chips, die, meeple, pawn, pliers, screwdriver, spatula, tape_roll
from .product import Hinge
from .tableware import Loose, beaker, bowl, dish, fork, from_unit, knife, move_parts, mug, shell, spoon, teaspoon
from .units import Order, Piece, bright, lay, make_unit, metal, plastic, tube, turn, turned


def _carton(order: Order, long_mm: tuple[float, float], short: tuple[float, float]) -> Loose:
    """A small closed box with the set's own print."""
    k, stock = order.scale / 1000, STOCKS["coated_board"]
    long = order.shape.uniform(*long_mm)
    size = np.array([long * order.shape.uniform(0.6, 0.72), long * order.shape.uniform(*short), long]) * k
    mesh = box_mesh(size, 0.8 * stock.mechanics.spacing_mm / 1000)
    sides = [(1000 * float(np.linalg.norm(u)), 1000 * float(np.linalg.norm(v))) for _, u, v in box_panels(size)]
    atlas = pack_atlas(sides, min(order.artwork.design.texture_px, 1024))
    kinds: tuple[PanelKind, ...] = ("front", "side", "back", "side", "top", "bottom")
    pictures = [
        paint_panel(order.artwork, kind, *patch.picture_size, px_per_mm=patch.px_per_mm)
        for kind, patch in zip(kinds, atlas.patches, strict=True)
    ]
    face = printed(stock, order.colours, paint_atlas(atlas, pictures))
    sheet = make_sheet(
        "board", mesh.vertices, mesh.faces, mesh_uv(mesh, atlas), np.zeros(len(mesh.faces), np.uint8),
        (face, *back_and_edge(stock)), stock.mechanics, thickness_mm=stock.thickness_mm, levels=1,
        crease_deg=stock.crease_deg, panel=mesh.panel, panels=BOX_PANELS,
    )  # fmt: skip
    inner = lay(box_mesh(size - 0.004, 1.0), np.eye(3), 0, 0, 0.002)
    block = solid(inner, "inner tray", plastic("tray", (0.6, 0.58, 0.53), 0.8))
    x, y, z = (float(v) for v in size)
    top = Hinge("top flap", ("top",), (x / 2, y / 2, z), (-x / 2, y / 2, z), 150.0, "tuck")
    return Loose("box", (sheet,), (block,), size, 4e5 * x * y * z + 12, (top,))


def card_box(order: Order) -> Loose:
    """A box of playing cards."""
    return _carton(order, (88.0, 100.0), (0.2, 0.3))


def cream_box(order: Order) -> Loose:
    """A cosmetic's folding carton."""
    return _carton(order, (80.0, 130.0), (0.3, 0.5))


def screw_box(order: Order) -> Loose:
    """A box of screws."""
    return _carton(order, (80.0, 110.0), (0.4, 0.5))


# ---- Cosmetics ------------------------------------------------------------------------------------------------------


def lipstick(order: Order) -> Loose:
    """A lipstick without its cap, standing."""
    k = order.scale / 1000
    r = order.shape.uniform(8.5, 10.5)
    dark = order.colours.random() < 0.6
    case = plastic("case", (0.015, 0.015, 0.018) if dark else (0.75, 0.72, 0.68), 0.12)
    gold = metal("gold", 0.8, 0.15, (1.0, 0.8, 0.5) if order.colours.random() < 0.6 else (1, 1, 1))
    base = turned([(r * k, 0), (r * k, 27 * k), (0.97 * r * k, 27.5 * k)])
    inner = turned([(0.86 * r * k, 27.4 * k), (0.86 * r * k, 46 * k), (0.82 * r * k, 46.5 * k)])
    high = order.shape.uniform(58, 68)
    stick = turned(
        [
            (0.7 * r * k, 46 * k),
            (0.7 * r * k, high * k),
            (0.66 * r * k, (high + 1) * k),
            (0.5 * r * k, (high + 2.5) * k),
        ]
    )
    points = stick.vertices.copy()
    tip = np.clip((points[:, 2] / k - (high - 7)) / 8, 0, 1)
    points[:, 2] -= tip * (0.7 * r * k + points[:, 0]) * 0.8  # cut aslant
    r_, g_, b_ = (
        float(v)
        for v in (order.colours.uniform(0.25, 0.6), order.colours.uniform(0.01, 0.1), order.colours.uniform(0.02, 0.15))
    )
    pieces = [
        Piece("base", base, case), Piece("sleeve", inner, gold),
        Piece("stick", replace(stick, vertices=points), plastic("lipstick", (r_, g_, b_), 0.35)),
    ]  # fmt: skip
    return from_unit(make_unit("lipstick", pieces, 22 * order.scale**3))


def nail_polish(order: Order) -> Loose:
    """A little bottle with a tall cap."""
    k = order.scale / 1000
    r, h = order.shape.uniform(13, 16), order.shape.uniform(30, 38)
    square = order.shape.random() < 0.5
    if square:
        body = plate(rounded_box(1.8 * r * k, 1.8 * r * k, 3 * k, 2 * k), bevelled(h * k, 2.5 * k, rows=2))
    else:
        body = turned(
            [(0.9 * r * k, 0), (r * k, 2 * k), (r * k, 0.7 * h * k), (0.8 * r * k, 0.9 * h * k), (0.45 * r * k, h * k)]
        )
    cover = turned([(7 * k, 0), (7 * k, 1 * k), (6.4 * k, 32 * k), (5.8 * k, 33.5 * k)])
    neck = turned([(5.6 * k, 0), (5.6 * k, 3 * k)])
    pieces = [
        Piece("bottle", body, plastic("polish", bright(order.colours), 0.04)),
        Piece("neck", lay(neck, np.eye(3), 0, 0, (h - 0.6) * k), plastic("neck", (0.02, 0.02, 0.02), 0.3)),
        Piece("cap", lay(cover, np.eye(3), 0, 0, (h + 1.5) * k), plastic("cap", (0.02, 0.02, 0.022), 0.15)),
    ]
    return from_unit(make_unit("nail polish", pieces, 40 * order.scale**3))


def jar(order: Order) -> Loose:
    """A cream jar with a broad lid."""
    k = order.scale / 1000
    r, h = order.shape.uniform(24, 33), order.shape.uniform(24, 32)
    body = lathe(np.array([(0.94 * r, 0), (r, 1.2), (r, 0.5 * h), (r, h)]) * k, 1.0, panel=0, sectors=40)
    foot = cap(end_ring(body, top=False), 0.5 * r * k, panel=1, up=False)
    atlas = pack_atlas([(6.283 * r, h), (2 * r, 2 * r)], 512, wrap=(0,))
    width, height = atlas.patches[0].picture_size
    label = paint_panel(order.artwork, "wrap", width, height, px_per_mm=atlas.patches[0].px_per_mm)
    picture = paint_atlas(atlas, [label, np.full((32, 32, 3), 225, np.uint8)])
    lid = turned([(1.02 * r * k, 0), (1.03 * r * k, 0.6 * k), (1.03 * r * k, 13 * k), (0.99 * r * k, 14 * k)], 40)
    tone = [metal("lid", 0.75, 0.25), plastic("lid", (0.8, 0.79, 0.77), 0.25), plastic("lid", (0.02, 0.02, 0.02), 0.2)]
    pieces = [
        Piece("jar", join([body, foot]), Material("jar", (1.0, 1.0, 1.0), 0.0, 0.15, picture), atlas),
        Piece("lid", lay(lid, np.eye(3), 0, 0, (h - 0.05) * k), tone[int(order.colours.integers(3))]),
    ]
    return from_unit(make_unit("jar", pieces, 0.9e-3 * 3.14 * r * r * h * order.scale**3 + 20))


def compact(order: Order) -> Loose:
    """A closed powder compact."""
    k = order.scale / 1000
    r = order.shape.uniform(28, 36)
    low = turned([(0.93 * r * k, 0), (r * k, 1.5 * k), (r * k, 6 * k)], 44)
    high = turned([(r * k, 6.5 * k), (r * k, 11 * k), (0.96 * r * k, 13 * k), (0.8 * r * k, 13.8 * k)], 44)
    seam = turned([(0.97 * r * k, 5.8 * k), (0.97 * r * k, 6.7 * k)], 44)
    clasp = lay(
        plate(rounded_box(9 * k, 4 * k, 1 * k, 1 * k), bevelled(2.2 * k, 0.6 * k)),
        turn(0, 90),
        0,
        -(r - 0.8) * k,
        6.2 * k,
    )
    shade = plastic("compact", bright(order.colours) if order.colours.random() < 0.4 else (0.02, 0.02, 0.022), 0.1)
    pieces = [
        Piece("base", low, shade), Piece("lid", high, shade), Piece("seam", seam, metal("seam", 0.7, 0.2)),
        Piece("clasp", clasp, metal("clasp", 0.8, 0.15, (1, 0.82, 0.55))),
    ]  # fmt: skip
    return from_unit(make_unit("compact", pieces, 45 * order.scale**3))


# ---- Candles and soap -----------------------------------------------------------------------------------------------


def candle_tin(order: Order) -> Loose:
    """A candle in a low tin."""
    k = order.scale / 1000
    r, h = order.shape.uniform(30, 38), order.shape.uniform(32, 48)
    arc = [(0.86 * r, 0), (0.95 * r, 0.5), (r, 2)] + [(r, 2 + (h - 2) * n / 14) for n in range(1, 15)]
    body = lathe(np.array(arc) * k, 0.0026, panel=0)
    foot = cap(end_ring(body, top=False), 0.0026, panel=1, up=False)
    mesh = join([body, foot])
    atlas = pack_atlas([(6.283 * r, h), (2 * r, 2 * r)], 1024, wrap=(0,))
    width, height = atlas.patches[0].picture_size
    label = paint_panel(order.artwork, "wrap", width, height, px_per_mm=atlas.patches[0].px_per_mm)
    picture = paint_atlas(atlas, [label, np.full((32, 32, 3), 190, np.uint8)])
    face = Material("printed tin", (1.0, 1.0, 1.0), 0.0, 0.25, picture)
    sheet = shell("wall", mesh, "tinplate", face, metal("tin", 0.65, 0.25), 0.3, uv=mesh_uv(mesh, atlas))
    level = h * order.shape.uniform(0.7, 0.85)
    wax = turned([((r - 1.2) * k, 2.5 * k), ((r - 0.8) * k, level * k), (0.5 * r * k, (level - 0.8) * k)], 40)
    wick = tube(k * np.array([[0, 0, 0, 0.8, 0.8], [6, 0, 0, 0.8, 0.8], [9, 0.6, 0, 0.7, 0.7]]), 12)
    tone = (0.8, 0.74, 0.6) if order.colours.random() < 0.6 else bright(order.colours)
    made = make_unit(
        "candle",
        [
            Piece("wax", wax, plastic("wax", tone, 0.5)),
            Piece("wick", lay(wick, turn(0, 90), 0, 0, (level - 1.2) * k), plastic("wick", (0.75, 0.73, 0.68), 0.9)),
        ],
        0,
    )
    parts = move_parts(from_unit(made).parts, np.array([0, 0, 2.5 * k]))
    size = np.array([2 * r, 2 * r, h]) * k
    return Loose("candle tin", (sheet,), parts, size, 0.9e-3 * 3.14 * r * r * level * order.scale**3 + 25)


def pillar(order: Order) -> Loose:
    """A pillar candle."""
    k = order.scale / 1000
    r, h = order.shape.uniform(20, 30), order.shape.uniform(50, 90)
    wax = turned(
        [((r - 1) * k, 0), (r * k, 1 * k), (r * k, (h - 2) * k), ((r - 1.5) * k, h * k), (0.55 * r * k, (h - 2) * k)],
        40,
    )
    wick = tube(k * np.array([[0, 0, 0, 0.9, 0.9], [8, 0, 0, 0.9, 0.9], [12, 1, 0, 0.8, 0.8]]), 12)
    tone = (0.8, 0.74, 0.6) if order.colours.random() < 0.4 else bright(order.colours)
    pieces = [
        Piece("wax", wax, plastic("wax", tone, 0.45)),
        Piece("wick", lay(wick, turn(0, 90), 0, 0, (h - 3) * k), plastic("wick", (0.75, 0.73, 0.68), 0.9)),
    ]
    return from_unit(make_unit("pillar candle", pieces, 0.9e-3 * 3.14 * r * r * h * order.scale**3))


def soap_bar(order: Order) -> Loose:
    """A bar of soap with its brand pressed in, as a darker print."""
    k = order.scale / 1000
    w, d, h = order.shape.uniform(48, 58), order.shape.uniform(70, 85), order.shape.uniform(20, 27)
    rim = rounded_box(w * k, d * k, order.shape.uniform(8, 20) * k, 2.5 * k)
    bar = plate(rim, bevelled(h * k, 6 * k, rows=2), end_panel=1)
    atlas = pack_atlas([(2 * (w + d), h), (w, d)], 512)
    wide, tall = atlas.patches[1].picture_size
    art = np.full((wide, tall, 3), 255, np.uint8)
    art = draw_text(
        art,
        order.artwork.brand,
        (int(0.15 * tall), int(0.36 * wide), int(0.7 * tall), int(0.26 * wide)),
        (205, 205, 205),
        FONTS[2],
    )
    picture = paint_atlas(
        atlas,
        [np.full((16, 64, 3), 255, np.uint8), cv2.rotate(np.ascontiguousarray(art), cv2.ROTATE_90_COUNTERCLOCKWISE)],
    )
    tone = np.array([0.85, 0.82, 0.75]) * (1 - 0.5 * order.colours.random() * order.colours.random(3))
    material = Material("soap", (float(tone[0]), float(tone[1]), float(tone[2])), 0.0, 0.4, picture)
    return from_unit(make_unit("soap bar", [Piece("bar", bar, material, atlas)], 1.05e-3 * w * d * h * order.scale**3))


THEMES: dict[str, tuple[str, tuple[Callable[[Order], Loose], ...]]] = {
    "tableware": ("toys", (mug, bowl, beaker, dish)),
    "cutlery": ("toys", (spoon, fork, knife, teaspoon)),
    "cosmetics": ("cosmetics", (cream_box, lipstick, nail_polish, jar, compact)),
    "game": ("toys", (card_box, pawn, die, meeple, chips)),
    "tools": ("screws", (spatula, screwdriver, pliers, tape_roll)),
    "candles": ("candles", (candle_tin, pillar, soap_bar, jar)),
}
"""Category words for the artwork, and the pieces; the first has a thin wall that damage can meet."""
