"""Pieces of game and tool sets."""

import numpy as np

from ..forming import bevelled, fillet, form_sheet, plate, rounded_box
from ..shapes import join, lathe
from .tableware import Loose, from_unit, move_parts, shell
from .units import LIE, Order, Piece, ball, bright, lay, make_unit, metal, plastic, tube, turn, turned

# ---- Games ----------------------------------------------------------------------------------------------------------


def pawn(order: Order) -> Loose:
    """A game pawn."""
    k = order.scale / 1000 * order.shape.uniform(0.9, 1.5)
    cone = turned(
        [(8 * k, 0), (8.5 * k, 1 * k), (8 * k, 3 * k), (5.5 * k, 7 * k), (3.6 * k, 15 * k), (3.2 * k, 19 * k)]
    )
    pieces = [
        Piece(
            "cone",
            join([cone, lay(ball(5.6 * k, 9, 24), np.eye(3), 0, 0, 22 * k)]),
            plastic("pawn", bright(order.colours), 0.2),
        )
    ]
    return from_unit(make_unit("pawn", pieces, 4 * order.scale**3))


def die(order: Order) -> Loose:
    """A die with pips."""
    k = order.scale / 1000
    a = order.shape.uniform(7.5, 11)
    cube = plate(rounded_box(2 * a * k, 2 * a * k, 1.8 * k, 1.2 * k), bevelled(2 * a * k, 1.8 * k))
    pips = {
        1: [(0, 0)],
        2: [(-1, -1), (1, 1)],
        3: [(-1, -1), (0, 0), (1, 1)],
        4: [(-1, -1), (-1, 1), (1, -1), (1, 1)],
        5: [(-1, -1), (-1, 1), (1, -1), (1, 1), (0, 0)],
        6: [(x, y) for x in (-1, 1) for y in (-1, 0, 1)],
    }
    spot = turned([(0.19 * a * k, -0.3 * k), (0.19 * a * k, 0.03 * k)], 16)
    middle = np.array([0, 0, a * k])
    sides = [(np.eye(3), 1), (turn(0, 90), 2), (turn(1, 90), 3), (turn(1, -90), 4), (turn(0, -90), 5)]
    dots = [
        lay(lay(spot, np.eye(3), 0.5 * a * k * x, 0.5 * a * k * y, a * k), R, *middle)
        for R, n in sides
        for x, y in pips[n]
    ]
    white = order.colours.random() < 0.5
    colour = (0.8, 0.79, 0.75) if white else bright(order.colours)
    pieces = [
        Piece("cube", cube, plastic("die", colour, 0.15)),
        Piece("pips", join(dots), plastic("pips", (0.01, 0.01, 0.01) if white else (0.85, 0.85, 0.85), 0.3)),
    ]
    return from_unit(make_unit("die", pieces, 7 * order.scale**3))


def meeple(order: Order) -> Loose:
    """A wooden figure, standing."""
    k = order.scale / 1000 * order.shape.uniform(0.9, 1.5)
    right = [
        (3.2, 0, 0.5),
        (8, 0, 1),
        (7.2, 5, 2),
        (4.4, 9, 3),
        (8.5, 10.6, 1.6),
        (8, 14, 1.6),
        (3.2, 13.4, 1.2),
        (3.6, 17, 2),
        (2, 19.5, 2),
    ]
    points = [(x, y) for x, y, _ in right] + [(-x, y) for x, y, _ in right[::-1]] + [(0, 4)]
    radii = [r for *_, r in right] + [r for *_, r in right[::-1]] + [1.5]
    rim = fillet([(x * k, y * k) for x, y in points], [r * k for r in radii], 0.8 * k)
    block = lay(plate(rim, bevelled(9 * k, 0.5 * k)), turn(0, 90))
    return from_unit(
        make_unit("meeple", [Piece("wood", block, plastic("paint", bright(order.colours), 0.45))], 3 * order.scale**3)
    )


def chips(order: Order) -> Loose:
    """A stack of game chips."""
    k = order.scale / 1000
    count = int(order.shape.integers(3, 9))
    colours = [plastic(f"chip {n}", bright(order.colours), 0.3) for n in range(2)]
    disc = turned([(18.6 * k, 0), (19.4 * k, 0.4 * k), (19.4 * k, 2.9 * k), (18.6 * k, 3.3 * k)], 36)
    spots = [
        lay(
            plate(rounded_box(1.5 * k, 6 * k, 0.3 * k, 1 * k), bevelled(2.4 * k, 0.2 * k)),
            turn(2, 60 * n),
            *(18.85 * k * np.array([np.cos(np.radians(60 * n)), np.sin(np.radians(60 * n))])),
            0.45 * k,
        )
        for n in range(6)
    ]
    pieces = []
    for n in range(count):
        spin, slip = turn(2, 17.0 * n * n), (0.5 * np.sin(2.3 * n) * k, 0.5 * np.cos(3.1 * n) * k, n * 3.33 * k)
        pieces.append(Piece(f"chip {n}", lay(disc, spin, *slip), colours[n % 2]))
        pieces.append(Piece(f"marks {n}", lay(join(spots), spin, *slip), plastic("marks", (0.8, 0.8, 0.78), 0.3)))
    return from_unit(make_unit("chips", pieces, 5.0 * count * order.scale**3))


# ---- Tools ----------------------------------------------------------------------------------------------------------


def spatula(order: Order) -> Loose:
    """A painter's spatula: a thin steel blade, a handle with two rivets."""
    k = order.scale / 1000
    w, blade = order.shape.uniform(30, 52), order.shape.uniform(75, 100)
    points = [(-11, -8), (11, -8), (12, 8), (w, blade - 12), (w, blade), (-w, blade), (-w, blade - 12), (-12, 8)]
    mesh = form_sheet(
        fillet([(x * k, y * k) for x, y in points], [1 * k, 1 * k, 8 * k, 12 * k, 1 * k, 1 * k, 12 * k, 8 * k], 0.0022),
        0.0022,
    )
    middle = np.array([0, -(blade - 125 + 15) / 2 * k, 0.0088 * order.scale])
    steel = metal("steel", 0.7, 0.22)
    sheet = shell("blade", lay(mesh, np.eye(3), *middle), "tinplate", steel, steel, 0.8)
    s = np.linspace(0, 1, 16)
    grip = tube(
        k
        * np.stack(
            [
                5 - 130 * s,
                0 * s,
                0 * s,
                np.interp(s, [0, 0.06, 0.3, 0.75, 0.95, 1], [9, 13, 11, 15, 13, 8]),
                np.interp(s, [0, 0.06, 0.9, 1], [6, 8, 8.6, 5]),
            ],
            1,
        )[::-1],
        20,
        power=3.0,
    )
    rivets = [
        lay(turned([(2.6 * k, -8 * k), (2.6 * k, 8.2 * k), (2 * k, 8.7 * k)], 16), np.eye(3), 0, y * k, 0)
        for y in (-22, -62)
    ]
    colour = (0.35, 0.18, 0.07) if order.colours.random() < 0.5 else bright(order.colours)
    rigid = make_unit(
        "spatula",
        [Piece("grip", grip, plastic("grip", colour, 0.4), None, 60), Piece("rivets", join(rivets), steel)],
        110,
    )
    low = np.concatenate([grip.vertices, *(r.vertices for r in rivets)])
    shift = middle + (low.min(0) + low.max(0)) / 2 * [1, 1, 0] + [0, 0, low[:, 2].min()]
    return Loose("spatula", (sheet,), move_parts(from_unit(rigid).parts, shift), rigid.size_m, 110 * order.scale**3)


def screwdriver(order: Order) -> Loose:
    """A screwdriver, lying."""
    k = order.scale / 1000
    shaft, r = order.shape.uniform(75, 110), order.shape.uniform(12, 15)
    s = np.linspace(0, 1, 18)
    wide = np.interp(s, [0, 0.05, 0.12, 0.55, 0.72, 0.8, 1], [0.55, 0.85, 1, 0.95, 0.62, 0.7, 0.5]) * r
    grip = tube(k * np.stack([95 * s, 0 * s, 0 * s, wide, wide], 1), 24, power=2.7)
    rod = turned(
        [(3 * k, 90 * k), (3 * k, (95 + shaft - 6) * k), (2.2 * k, (95 + shaft - 2) * k), (0.8 * k, (95 + shaft) * k)],
        16,
    )
    band = tube(k * np.array([[12, 0, 0, 1.02 * r, 1.02 * r], [20, 0, 0, 1.02 * r, 1.02 * r]]), 24, power=2.7)
    colour = bright(order.colours)
    pieces = [
        Piece("grip", grip, plastic("grip", colour, 0.3), None, 50),
        Piece("rod", lay(rod, LIE), metal("rod", 0.65, 0.2)),
        Piece("band", band, plastic("band", (0.02, 0.02, 0.02), 0.6), None, 50),
    ]
    return from_unit(make_unit("screwdriver", pieces, 85 * order.scale**3))


def pliers(order: Order) -> Loose:
    """Closed pliers, lying: two steel halves about a pin, dipped grips."""
    k = order.scale / 1000
    steel = metal("steel", 0.5, 0.3)
    colour = plastic("grip", bright(order.colours), 0.45)
    pieces = []
    s = np.linspace(0, 1, 18)
    for side in (-1, 1):
        jaw = fillet(
            [(x * k * side, y * k) for x, y in ((0.15, -6), (9, -8), (11, 2), (9.5, 12), (4.2, 46), (0.15, 46))],
            [1 * k, 4 * k, 6 * k, 8 * k, 1.5 * k, 0.5 * k],
            2 * k,
        )
        pieces.append(Piece(f"jaw {side}", lay(plate(jaw, bevelled(9 * k, 0.8 * k)), np.eye(3), 0, 0, 1.5 * k), steel))
        x = side * np.interp(s, [0, 0.3, 0.75, 1], [6.5, 14, 18, 15.5])
        wide = np.interp(s, [0, 0.05, 0.15, 0.9, 1], [4, 5, 5.6, 5.4, 3.4])
        limb = tube(k * np.stack([-4 - 102 * s, x, 6 + 0 * s, wide, 0.95 * wide], 1)[::-1], 16, power=2.5)
        pieces.append(Piece(f"grip {side}", limb, colour, None, 60))
    pin = turned([(5 * k, 0.9 * k), (5 * k, 11 * k), (4.2 * k, 11.6 * k)], 24)
    pieces.append(Piece("pin", lay(pin, np.eye(3), 0, 2 * k, 0), metal("pin", 0.7, 0.2)))
    return from_unit(make_unit("pliers", pieces, 190 * order.scale**3))


def tape_roll(order: Order) -> Loose:
    """A roll of adhesive tape, lying."""
    k = order.scale / 1000
    r, w = order.shape.uniform(28, 42), order.shape.uniform(15, 24)

    def ring(a: float, b: float, low: float, high: float):
        outer = lathe(
            np.array(
                [(a, low), (b - 0.3, low), (b, low + 0.3), (b, high - 0.3), (b - 0.3, high), (a, high), (a, low + 1e-3)]
            )
            * k,
            1.0,
            panel=0,
            sectors=48,
        )
        return outer

    pieces = [
        Piece("tape", ring(19.5, r, 0, w), plastic("tape", bright(order.colours), 0.25)),
        Piece("core", ring(17.5, 19.6, 0.2, w - 0.2), plastic("core", (0.45, 0.32, 0.2), 0.8)),
    ]
    return from_unit(make_unit("tape roll", pieces, 60 * order.scale**3))
