"""Units that lie in blisters: batteries, tablets, razors, pens and screws; and the table of what hangs on cards."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import UInt8

from ...sim.scene import Material
from ..artwork import FONTS, Ink, draw_text
from ..atlas import pack_atlas, paint_atlas
from ..forming import bevelled, fillet, plate, rounded_box
from ..shapes import Mesh, cap, end_ring, join, lathe
from .toys import toy_brick, toy_car, toy_figure
from .units import LIE, Order, Piece, Unit, bright, lay, make_unit, metal, plastic, tube, turn, turned

# ---- Batteries ------------------------------------------------------------------------------------------------------

CELLS = {"AA battery": (14.2, 50.0, 23.0), "AAA battery": (10.3, 44.2, 11.5)}
"""Diameter [mm], length [mm], mass [g]."""


def _label_inks(order: Order) -> tuple[Ink, Ink]:
    """Ground and band of a cell's sleeve, nearly as on the card, or the trade's black and copper."""
    if order.colours.random() < 0.4:
        return (24, 24, 26), (186, 116, 62)
    return order.artwork.ground, order.artwork.accent


def _sleeve_picture(order: Order, size: str, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    """A cell's printed sleeve, unrolled: brand along the cell, band at the plus end, size, voltage, signs."""
    ground, band = _label_inks(order)
    art = np.empty((height, width, 3), np.uint8)
    art[:] = ground
    share = order.shape.uniform(0.2, 0.36)
    art[: int(share * height)] = band
    ink = (245, 245, 245) if sum(ground) < 400 else (20, 20, 24)
    lying = np.empty((width, height, 3), np.uint8)
    lying[:] = cv2.rotate(art, cv2.ROTATE_90_COUNTERCLOCKWISE)
    for start in (0.04, 0.54):
        y = int((start + 0.06) * width)
        lying = draw_text(
            lying, order.artwork.brand, (int(0.08 * height), y, int(0.54 * height), int(0.2 * width)), ink, FONTS[0]
        )
        lying = draw_text(
            lying,
            f"{size} 1.5V ALKALINE",
            (int(0.08 * height), y + int(0.25 * width), int(0.5 * height), int(0.06 * width)),
            ink,
            FONTS[1],
        )
    art = cv2.rotate(np.ascontiguousarray(lying), cv2.ROTATE_90_CLOCKWISE)
    dark = (15, 15, 15) if sum(band) > 330 else (245, 245, 245)
    for k in range(4):
        x = int((k + 0.35) * width / 4)
        art = draw_text(art, "+", (x, int(0.01 * height), int(0.1 * width), int(0.1 * height)), dark, FONTS[0])
        art = draw_text(art, "–", (x, int(0.88 * height), int(0.1 * width), int(0.1 * height)), ink, FONTS[0])
    return art


def _cell(kind: str, order: Order) -> Unit:
    across, long, mass = CELLS[kind]
    r, h = order.scale * across / 2000, order.scale * long / 1000
    size = kind.split()[0]
    e = 0.05 * r
    low, high = 0.012 * h, 0.955 * h
    sleeve = lathe(
        np.array(
            [
                (0.93 * r, low - e),
                (r, low + e),
                *((r, low + e + s * (high - low - 2 * e)) for s in (0.25, 0.5, 0.75)),
                (r, high - e),
                (0.93 * r, high + e),
            ]
        ),
        1.0,
        panel=0,
        sectors=28,
    )
    atlas = pack_atlas([(2000 * np.pi * r, 1000 * (high - low))], 512, wrap=(0,))
    picture = paint_atlas(atlas, [_sleeve_picture(order, size, *atlas.patches[0].picture_size)])
    steel = metal("steel", 0.72, 0.22)
    minus = turned([(0.6 * r, 0), (0.66 * r, 0.0001), (0.7 * r, low), (0.95 * r, low), (0.95 * r, low + e)])
    nub = 0.19 * across / 2000 * order.scale + 0.0012
    plus = turned([(0.95 * r, high - e), (0.94 * r, high), (nub + 0.0012, high + 0.0004), (nub, high + 0.0007),
                   (nub, h - 0.0003), (nub - 0.0003, h)])  # fmt: skip
    pieces = (
        Piece("sleeve", sleeve, Material("sleeve", (1.0, 1.0, 1.0), 0.0, 0.24, picture), atlas),
        Piece("minus", minus, steel), Piece("plus", plus, steel),
    )  # fmt: skip
    return make_unit(kind, [replace(p, mesh=lay(p.mesh, LIE)) for p in pieces], mass * order.scale**3)


def aa_battery(order: Order) -> Unit:
    """An AA cell."""
    return _cell("AA battery", order)


def aaa_battery(order: Order) -> Unit:
    """An AAA cell."""
    return _cell("AAA battery", order)


def block_battery(order: Order) -> Unit:
    """A 9 V block, on its broad side."""
    w, d, h = (order.scale * v / 1000 for v in (26.0, 16.8, 46.0))
    rim = rounded_box(w, d, 0.0022, 0.003)
    body = plate(rim, bevelled(h, 0.0008, rows=2), end_panel=1)
    atlas = pack_atlas([(2000 * (w + d), 1000 * h), (1000 * w, 1000 * d)], 512)
    side = _sleeve_picture(order, "6LR61 9V", *atlas.patches[0].picture_size)
    width, height = atlas.patches[1].picture_size
    picture = paint_atlas(atlas, [side, np.full((height, width, 3), 38, np.uint8)])
    snap = turned([(0.0032, 0), (0.0034, 0.0012), (0.0028, 0.0022), (0.0029, 0.0024)], 20)
    socket = turned([(0.0044, 0), (0.0044, 0.0022), (0.0036, 0.0025)], 12)
    nickel = metal("nickel", 0.7, 0.2)
    pieces = (
        Piece("case", body, Material("case", (1.0, 1.0, 1.0), 0.0, 0.28, picture), atlas),
        Piece("snap", lay(snap, np.eye(3), -0.0064, 0, h - 1e-5), nickel),
        Piece("socket", lay(socket, np.eye(3), 0.0064, 0, h - 1e-5), nickel),
    )
    return make_unit("9 V battery", [replace(p, mesh=lay(p.mesh, LIE)) for p in pieces], 45.0 * order.scale**3)


def coin_cell(order: Order) -> Unit:
    """A lithium button cell, plus side up."""
    r, h = order.scale * 0.01, order.scale * 0.0032
    disc = turned([(0.82 * r, 0), (0.86 * r, 0.0003), (0.88 * r, 0.0007), (0.985 * r, 0.0007), (r, 0.0011),
                   (r, h - 0.0003), (0.98 * r, h)], 40)  # fmt: skip
    picture = np.full((256, 256, 3), 255, np.uint8)
    for text, y, size in (("+", 0.17, 0.2), (order.artwork.brand[:8], 0.42, 0.14), ("CR2032  3V", 0.6, 0.1)):
        wide = int(256 * 0.6)
        picture = draw_text(picture, text, (60, int(256 * y), wide, int(256 * size)), (150, 150, 152), FONTS[0])
    plus = lay(cap(end_ring(lathe(np.array([(0.9 * r, 0), (0.93 * r, 1e-4)]), 1.0, panel=0, sectors=40), top=True), r,
                   panel=0, up=True), np.eye(3), 0, 0, h - 6e-5)  # fmt: skip
    face = Material("engraved", (0.75, 0.75, 0.74), 1.0, 0.25, picture)
    return make_unit("coin cell", [Piece("can", disc, metal("can", 0.72, 0.22)), Piece("face", plus, face)], 3.0)


# ---- Tablets --------------------------------------------------------------------------------------------------------


def tablet(order: Order) -> Unit:
    """A pressed tablet: round or oblong, with or without a score line, white or tinted."""
    r, h = order.scale * order.shape.uniform(3.6, 5.6) / 1000, order.scale * order.shape.uniform(3.2, 4.6) / 1000
    oblong = order.shape.choice([1.0, 1.0, 1.7])
    belt = 0.45 * h
    rise = np.linspace(0, 1, 6)[1:]
    dome = [(r * np.sqrt(1 - s * s), (h - belt) / 2 * s) for s in rise[:-1]]
    low = [(a, (h - belt) / 2 - z) for a, z in dome[::-1]]
    mesh = turned(
        [
            (0.15 * r, 0.0),
            *low,
            (r, (h - belt) / 2),
            (r, (h + belt) / 2),
            *((a, (h + belt) / 2 + z) for a, z in dome),
            (0.15 * r, h),
        ],
        36,
    )
    points = mesh.vertices.copy()
    if order.shape.random() < 0.6 and oblong == 1:
        groove = np.clip(1 - np.abs(points[:, 0]) / 0.0009, 0, 1) * (points[:, 2] > 0.6 * h)
        points[:, 2] -= 0.0006 * groove
    points[:, 1] *= oblong
    tint = np.array([0.82, 0.8, 0.76]) if order.colours.random() < 0.6 else 0.35 + 0.6 * order.colours.random(3)
    colour = (float(tint[0]), float(tint[1]), float(tint[2]))
    mass = 1.25e6 * float(np.pi * r * r * oblong * (belt + 0.5 * (h - belt)))
    return make_unit("tablet", [Piece("core", replace(mesh, vertices=points), plastic("tablet", colour, 0.6))], mass)


def capsule(order: Order) -> Unit:
    """A hard capsule of two halves, lying."""
    r, h = order.scale * order.shape.uniform(2.9, 3.8) / 1000, order.scale * order.shape.uniform(17, 21) / 1000
    turns = np.linspace(0.15, np.pi / 2, 5)
    end = [(r * np.sin(a), r * (1 - np.cos(a))) for a in turns]
    join_at = 0.52 * h
    lower = turned([*end, (r, join_at)])
    upper = turned([(1.03 * r, join_at - 0.0003), (1.04 * r, join_at), *((1.04 * a, h - z) for a, z in end[::-1])])
    tones = [plastic(f"gelatine {k}", bright(order.colours), 0.2) for k in range(2)]
    if order.colours.random() < 0.5:
        tones[0] = plastic("gelatine 0", (0.8, 0.78, 0.72), 0.2)
    pieces = [Piece("body", lay(lower, LIE), tones[0]), Piece("lid", lay(upper, LIE), tones[1])]
    return make_unit("capsule", pieces, 1.0e6 * float(np.pi * r * r * h))


# ---- Razors, pens, screws -------------------------------------------------------------------------------------------


def razor(order: Order) -> Unit:
    """A disposable razor on its back: ribbed handle, grip pad, head with blades and a gliding strip."""
    k = order.scale / 1000
    long, wide = order.shape.uniform(92, 108), order.shape.uniform(5.0, 6.4)
    sag, waist, blades = order.shape.uniform(2, 5), order.shape.uniform(0.65, 0.9), int(order.shape.integers(2, 5))
    s = np.linspace(0, 1, 26)
    width = (
        wide
        * (1 - (1 - waist) * np.exp(-(((s - 0.78) / 0.14) ** 2)))
        * np.clip(np.sqrt(1 - (1 - s * 9) ** 2 * (s < 0.11)), 0.35, 1)
    )
    ribs = 0.25 * np.sin(s * 26 * np.pi * 0.5) * ((s > 0.12) & (s < 0.5))
    lift = 6.0 - sag * np.sin(np.pi * s) + 5.5 * np.clip((s - 0.75) / 0.25, 0, 1) ** 2
    thick = 4.3 - 1.2 * s + ribs
    handle = tube(k * np.stack([s * long, 0 * s, lift, width, thick], 1), 20, power=2.6)
    pad = tube(k * np.stack([(0.16 + 0.36 * s) * long, 0 * s, np.interp(0.16 + 0.36 * s, s, lift + thick) - 0.7,
                             0.62 * wide * np.sin(np.pi * np.clip(s, 0.04, 0.96)) ** 0.5,
                             1.1 + 0.25 * np.sin(s * 40)], 1), 16)  # fmt: skip
    head = fillet(
        [(-5.5 * k, -2.4 * k), (6.0 * k, -2.4 * k), (6.6 * k, 1.2 * k), (-5.0 * k, 2.2 * k)], 1.0 * k, 0.9 * k
    )
    span = 41 * k
    across = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # a section in (y, z), extruded along x
    seat = np.array([0, (long + 3.5) * k, 11.0 * k])
    tilt = turn(0, -float(order.shape.uniform(8, 22)))

    def in_head(mesh: Mesh) -> Mesh:
        return lay(lay(mesh, across, -span / 2, 0, 0), tilt, *seat)

    def strip(y: float, z: float, deep: float, high: float) -> Mesh:
        bar = plate(
            rounded_box(deep * k, high * k, 0.2 * k, 1.0 * k, at=(y * k, z * k)), bevelled(0.9 * span, 0.15 * k)
        )
        return lay(lay(bar, across, -0.45 * span, 0, 0), tilt, *seat)

    main, second = bright(order.colours), bright(order.colours)
    dark = plastic("head", (0.03, 0.03, 0.035), 0.35)
    pieces = [
        Piece("handle", handle, plastic("handle", main, 0.25), None, 60),
        Piece(
            "pad", pad, plastic("pad", second if order.colours.random() < 0.6 else (0.04, 0.04, 0.05), 0.7), None, 60
        ),
        Piece("head", in_head(plate(head, bevelled(span, 0.8 * k, rows=4))), dark),
        Piece("glide strip", strip(4.2, 1.45, 2.4, 0.7), plastic("glide", (0.35, 0.6, 0.5), 0.6)),
        Piece("guard", strip(-4.3, 2.0, 1.0, 0.8), plastic("guard", main, 0.5)),
    ]
    steel = metal("blade", 0.8, 0.12)
    pieces += [
        Piece(f"blade {n}", strip(-2.9 + 5.0 * n / max(blades, 2), 1.75, 0.9, 0.35), steel) for n in range(blades)
    ]
    return make_unit("razor", pieces, 9.0 * order.scale**3)


def pen(order: Order) -> Unit:
    """A capped felt or ball pen, lying."""
    k = order.scale / 1000
    r, long = order.shape.uniform(3.9, 5.6), order.shape.uniform(132, 146)
    lid = order.shape.uniform(38, 55)
    colour = bright(order.colours)
    white = order.colours.random() < 0.5
    barrel = turned([(0.6 * r * k, 0), (0.9 * r * k, 1 * k), (r * k, 4 * k), (r * k, (long - lid) * k)], 20)
    plug = turned([(0.5 * r * k, -3 * k), (0.78 * r * k, -2.4 * k), (0.8 * r * k, 2 * k)], 20)
    hood = turned([(1.12 * r * k, (long - lid) * k), (1.12 * r * k, (long - 6) * k), (0.95 * r * k, (long - 2) * k),
                   (0.6 * r * k, long * k)], 20)  # fmt: skip
    ring = turned([(1.16 * r * k, (long - lid - 1.5) * k), (1.16 * r * k, (long - lid) * k)], 20)
    clip = plate(rounded_box(3.6 * k, 32 * k, 1.6 * k, 1.2 * k, at=(0, (long - 21) * k)), bevelled(1.4 * k, 0.5 * k))
    clip = lay(clip, np.eye(3), 0, 0, 1.35 * r * k)
    body = plastic("barrel", (0.85, 0.85, 0.84), 0.3) if white else plastic("barrel", colour, 0.25)
    ink = plastic("ink colour", colour, 0.22)
    pieces = [
        Piece("barrel", lay(barrel, LIE), body),
        Piece("plug", lay(plug, LIE), ink),
        Piece("cap", lay(hood, LIE), ink),
        Piece("ring", lay(ring, LIE), metal("ring", 0.7, 0.2)),
        Piece("clip", clip, ink),
    ]
    return make_unit("pen", pieces, 9.0 * order.scale**3)


def screw(order: Order) -> Unit:
    """A countersunk wood screw, lying."""
    k = order.scale / 1000
    r, long = order.shape.uniform(1.8, 3.0), order.shape.uniform(30, 62)
    plain, pitch = order.shape.uniform(0.12, 0.35) * long, 0.8 * r
    z = [0.0]
    profile = [(0.1 * r, 0.0)]
    count = int((long - plain) / pitch * 2)
    for n in range(1, count):
        at = n * pitch / 2
        taper = min(1.0, at / (3.2 * r) + 0.15)
        profile.append((taper * r * (1.0 if n % 2 else 0.68), at))
        z.append(at)
    profile += [(0.78 * r, z[-1] + 0.3), (0.8 * r, long - 2.2 * r), (2.0 * r, long - 0.25), (2.0 * r, long)]
    body = turned([(a * k, b * k) for a, b in profile], 16)
    zinc = order.colours.random() < 0.5
    finish = metal("zinc", 0.66, 0.24, (1, 0.98, 0.96)) if zinc else metal("yellow zinc", 0.7, 0.24, (1, 0.82, 0.5))
    cross = [
        plate(rounded_box(2.0 * r * k, 0.55 * r * k, 0.1 * k, 0.6 * k), bevelled(0.1 * k, 0.01 * k)) for _ in range(2)
    ]
    cross[1] = lay(cross[1], turn(2, 90))
    recess = lay(join(cross), np.eye(3), 0, 0, (long - 0.06) * k)
    pieces = [
        Piece("shank", lay(body, LIE), finish, None, 25),
        Piece("recess", lay(recess, LIE), plastic("recess", (0.02, 0.02, 0.02), 0.8)),
    ]
    return make_unit("screw", pieces, 7.8e-3 * np.pi * r * r * 0.7 * long * order.scale**3)


PACKED: dict[str, tuple[Callable[[Order], Unit], str]] = {
    "razor": (razor, "razors"),
    "AA battery": (aa_battery, "batteries"),
    "AAA battery": (aaa_battery, "batteries"),
    "9 V battery": (block_battery, "batteries"),
    "coin cell": (coin_cell, "batteries"),
    "pen": (pen, "pens"),
    "screw": (screw, "screws"),
    "toy car": (toy_car, "toys"),
    "toy figure": (toy_figure, "toys"),
    "toy brick": (toy_brick, "toys"),
}
"""Units that hang on cards, with the category of goods."""
