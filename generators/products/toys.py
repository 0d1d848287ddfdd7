"""Toys as units of sets: a car, a peg figure, a building brick."""

from dataclasses import replace

import numpy as np

from ..forming import bevelled, fillet, plate, rounded_box
from ..shapes import Mesh, join
from .units import LIE, Order, Piece, Unit, ball, bright, lay, make_unit, metal, plastic, tube, turn, turned


def toy_car(order: Order) -> Unit:
    """A little car on its wheels, bonnet towards +y."""
    k = order.scale / 1000
    long, wide, low = order.shape.uniform(62, 74), order.shape.uniform(26, 30), order.shape.uniform(9, 11)
    van = order.shape.random() < 0.35
    roof = low + order.shape.uniform(9, 12)
    back, front = (0.04, 0.72) if van else (order.shape.uniform(0.12, 0.24), order.shape.uniform(0.62, 0.7))
    body = [(0, 3.5), (long, 3.5), (long, low - 1.5), (0.97 * long, low), (0.1 * long, low + 1.2), (0, low)]
    cabin = [
        (back * long, low - 0.5),
        (front * long, low - 0.5),
        ((front - 0.14) * long, roof),
        ((back + 0.07) * long, roof),
    ]
    cover = [
        ((back + 0.08) * long, roof - 1.2),
        ((front - 0.14) * long, roof - 1.2),
        ((front - 0.16) * long, roof + 0.6),
        ((back + 0.09) * long, roof + 0.6),
    ]
    across = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])

    def block(outline: list[tuple[float, float]], width: float, bevel: float, radius: float) -> Mesh:
        rim = fillet([(y * k, z * k) for y, z in outline], radius * k, 1.6 * k)
        return lay(plate(rim, bevelled(width * k, bevel * k)), across, -width * k / 2, 0, 0)

    paint = plastic("paint", bright(order.colours), 0.12)
    wheel = turned(
        [(3.0 * k, 0), (5.2 * k, 0.2 * k), (5.6 * k, 1 * k), (5.6 * k, 4 * k), (5.2 * k, 4.8 * k), (3.2 * k, 5 * k)]
    )
    hub = turned([(3.1 * k, 0), (3.1 * k, 5.3 * k), (1.4 * k, 5.5 * k)], 20)
    out = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    inward = np.array([[0.0, 0, -1], [-1, 0, 0], [0, 1, 0]])
    wheels, hubs = [], []
    for y in (0.19 * long, 0.79 * long):
        for R, side in ((out, 1), (inward, -1)):
            at = side * (wide / 2 - 4.2) * k, y * k, 5.6 * k
            wheels.append(lay(wheel, R, *at))
            hubs.append(lay(hub, R, *at))
    lamps = [
        lay(ball(1.9 * k, 5, 12), np.eye(3), x * k, 0.985 * long * k, (low - 3) * k)
        for x in (-0.32 * wide, 0.32 * wide)
    ]
    pieces = [
        Piece("body", block(body, wide, 2.2, 2.4), paint), Piece("cabin", block(cabin, 0.86 * wide, 1.6, 2.0),
        plastic("windows", (0.02, 0.025, 0.03), 0.06)), Piece("roof", block(cover, 0.8 * wide, 0.5, 0.8), paint),
        Piece("tyres", join(wheels), plastic("rubber", (0.02, 0.02, 0.02), 0.7)),
        Piece("hubs", join(hubs), metal("hub", 0.75, 0.2)), Piece("lamps", join(lamps), metal("lamp", 0.85, 0.1)),
    ]  # fmt: skip
    return make_unit("toy car", pieces, 38.0 * order.scale**3)


def toy_figure(order: Order) -> Unit:
    """A peg figure on its back: body, head with a face, hair or a hat, arms, base."""
    k = order.scale / 1000
    tall, belly = order.shape.uniform(32, 40), order.shape.uniform(9, 11.5)
    head = order.shape.uniform(7.6, 9)
    body = turned(
        [
            (0.9 * belly * k, 2 * k),
            (belly * k, 4 * k),
            (belly * k, 0.3 * tall * k),
            (0.62 * belly * k, 0.85 * tall * k),
            (0.4 * belly * k, tall * k),
        ]
    )
    base = turned(
        [(1.05 * belly * k, 0), (1.1 * belly * k, 0.5 * k), (1.1 * belly * k, 2.2 * k), (0.95 * belly * k, 2.6 * k)]
    )
    face = lay(ball(head * k, 11, 28), np.eye(3), 0, 0, (tall + 0.7 * head) * k)
    cut = np.linspace(0.1, np.pi / 2, 7)
    hat = turned(
        [(1.12 * head * k, 0.0), *((1.06 * head * np.cos(a) * k, 1.06 * head * np.sin(a) * k) for a in cut[:-1])], 24
    )
    hat = lay(hat, turn(0, -14.0), 0, 0.0008, (tall + 0.85 * head) * k)
    arms = [
        lay(
            tube(
                k
                * np.array(
                    [
                        [0, 0, 0, 1.6, 1.6],
                        [1, 0, 0, 2.4, 2.4],
                        [9, 0, 0, 2.2, 2.2],
                        [12, 0, 0, 2.6, 2.6],
                        [14, 0, 0, 1.4, 1.4],
                    ]
                ),
                14,
            ),
            turn(0, -90) @ turn(2, side * 16.0),
            side * 0.72 * belly * k,
            0,
            0.8 * tall * k,
        )
        for side in (-1, 1)
    ]
    eyes = [
        lay(ball(1.0 * k, 5, 12), np.eye(3), side * 0.34 * head * k, -0.9 * head * k, (tall + 0.8 * head) * k)
        for side in (-1, 1)
    ]
    skin = [(0.7, 0.45, 0.3), (0.85, 0.62, 0.45), (0.3, 0.16, 0.09), (0.8, 0.55, 0.1)][int(order.colours.integers(4))]
    cloth, second = plastic("cloth", bright(order.colours), 0.35), plastic("second", bright(order.colours), 0.35)
    pieces = [
        Piece("body", body, cloth),
        Piece("base", base, second),
        Piece("head", face, plastic("skin", skin, 0.35), None, 80),
        Piece("hat", hat, second),
        Piece("arms", join(arms), cloth, None, 60),
        Piece("eyes", join(eyes), plastic("eyes", (0.01, 0.01, 0.01), 0.1)),
    ]
    return make_unit("toy figure", [replace(p, mesh=lay(p.mesh, LIE)) for p in pieces], 14.0 * order.scale**3)


def toy_brick(order: Order) -> Unit:
    """A building brick with round studs."""
    k = order.scale / 1000
    columns, rows, pitch = int(order.shape.integers(1, 3)), int(order.shape.integers(2, 5)), 8.0 * 1.6
    w, d, h = columns * pitch - 0.2, rows * pitch - 0.2, 15.0
    body = plate(rounded_box(w * k, d * k, 0.6 * k, 2.5 * k), bevelled(h * k, 0.4 * k))
    stud = turned([(4.0 * k, 0), (4.0 * k, 2.6 * k), (3.7 * k, 3.0 * k)], 24)
    studs = [
        lay(stud, np.eye(3), (i - (columns - 1) / 2) * pitch * k, (j - (rows - 1) / 2) * pitch * k, (h - 0.1) * k)
        for i in range(columns)
        for j in range(rows)
    ]
    return make_unit("toy brick", [Piece("brick", join([body, *studs]), plastic("brick", bright(order.colours), 0.15))],
                     1.0e-3 * w * d * h * 0.3 * order.scale**3)  # fmt: skip
