"""Units of sets: batteries, tablets, razors, pens, screws and toys, each one or a few finished parts.

A unit lies as it would in a pack: its lowest point on z = 0, its middle on the z axis, its length along y.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ...sim.scene import SURFACES, Material, Part, transform_part
from ..artwork import FONTS, Artwork, Ink, draw_text
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..forming import Contour, bevelled, circle, fillet, plate, rounded_box
from ..shapes import Mesh, cap, end_ring, join, lathe, loft, move, solid

LIE = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Lays what was turned about z along y."""
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Unit:
    """One piece of a set, in its own frame."""

    kind: str
    parts: tuple[Part, ...]
    size_m: Float[np.ndarray, "3"]
    mass_g: float


@dataclass(frozen=True)
class Piece:
    """What becomes one part of a unit."""

    name: str
    mesh: Mesh
    material: Material
    atlas: Atlas | None = None
    crease_deg: float = 38.0


@dataclass(frozen=True)
class Order:
    """What a unit is drawn from."""

    shape: np.random.Generator
    colours: np.random.Generator
    artwork: Artwork
    scale: float = 1.0


def turn(axis: int, degrees: float) -> Float[np.ndarray, "3 3"]:
    """Rotate about a coordinate axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.eye(3)
    out[i, i], out[i, j], out[j, i], out[j, j] = c, -s, s, c
    return out


def lay(mesh: Mesh, R: Float[np.ndarray, "3 3"], *at: float) -> Mesh:
    """Turn, then put at a place [m]."""
    return move(mesh, R, np.array(at if at else (0.0, 0.0, 0.0)))


def make_unit(kind: str, pieces: Sequence[Piece], mass_g: float) -> Unit:
    """Finish a unit's parts and set them down on z = 0, centred."""
    points = np.concatenate([p.mesh.vertices for p in pieces])
    low, high = points.min(axis=0), points.max(axis=0)
    shift = -np.array([*(low[:2] + high[:2]) / 2, low[2]])
    parts = tuple(
        solid(lay(p.mesh, np.eye(3), *shift), p.name, p.material, atlas=p.atlas, crease_deg=p.crease_deg)
        for p in pieces
    )
    return Unit(kind, parts, high - low, float(mass_g))


def place_unit(
    unit: Unit, R: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"], *, item: int, surface: str = "contents"
) -> tuple[Part, ...]:
    """Move a unit's parts to their place and give them their item number."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = R, t
    label = SURFACES.index(surface)
    return tuple(
        replace(
            transform_part(part, pose), name=f"{unit.kind} {item} {part.name}", item=item,
            surface=np.full(len(part.faces), label, np.uint8),
        )
        for part in unit.parts
    )  # fmt: skip


def linear(ink: Ink) -> Rgb:
    """Linear RGB of an sRGB ink."""
    c = np.array(ink) / 255
    r, g, b = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(r), float(g), float(b)


def plastic(name: str, colour: Rgb, roughness: float = 0.3) -> Material:
    """Solid-coloured plastic."""
    return Material(name, colour, 0.0, roughness)


def metal(name: str, tone: float = 0.7, roughness: float = 0.2, tint: Rgb = (1.0, 0.99, 0.97)) -> Material:
    """Bare or plated metal."""
    r, g, b = (tone * t for t in tint)
    return Material(name, (r, g, b), 1.0, roughness)


def bright(rng: np.random.Generator) -> Rgb:
    """A strong plastic colour, as toys have."""
    pixel = np.array([[[int(rng.integers(180)), int(rng.uniform(190, 255)), int(rng.uniform(150, 250))]]], np.uint8)
    r, g, b = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
    return linear((int(r), int(g), int(b)))


def turned(profile: Sequence[tuple[float, float]], sectors: int = 28) -> Mesh:
    """A solid of revolution about z from (radius, z) [m], bottom first, closed with flat ends."""
    section = np.maximum(np.array(profile, float), [1e-5, -1e9])
    body = lathe(section, 1.0, panel=0, sectors=sectors)
    spacing = 0.6 * float(section[:, 0].max())
    ends = [cap(end_ring(body, top=up), spacing, panel=0, up=up) for up in (False, True)]
    return join([body, *ends])


def tube(rows: Float[np.ndarray, "k 5"], sectors: int = 20, *, power: float = 2.0) -> Mesh:
    """A limb along y: each row is (y, x, z, half width, half height) [m]; ``power`` over 2 squares the section."""

    def ring(row: int, angle: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
        y, x, z, a, b = rows[row]
        c, s = np.cos(angle), np.sin(angle)
        r = (np.abs(c) ** power + np.abs(s) ** power) ** (-1 / power)
        return np.stack([x + a * r * c, np.full(len(angle), y), z - b * r * s], 1)

    body = loft(ring, np.arange(len(rows), dtype=float), sectors, panel=0)
    ends = []
    for row in (0, len(rows) - 1):
        points = body.vertices[row * (sectors + 1) : (row + 1) * (sectors + 1) - 1]
        fan = np.stack([np.full(sectors, sectors), np.arange(sectors), (np.arange(sectors) + 1) % sectors], 1)
        fan = fan if row else fan[:, ::-1]
        st = np.full((sectors, 3, 2), 0.5)
        ends.append(Mesh(np.concatenate([points, points.mean(0)[None]]), fan, st, np.zeros(sectors, np.uint8)))
    return join([body, *ends])


def ball(radius: float, rings: int = 9, sectors: int = 20) -> Mesh:
    """A sphere about the origin."""
    turns = np.linspace(-np.pi / 2, np.pi / 2, rings + 2)
    return turned([(radius * np.cos(a), radius * np.sin(a)) for a in turns[1:-1]], sectors)


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
            lying, f"{size} 1.5V ALKALINE", (int(0.08 * height), y + int(0.25 * width), int(0.5 * height), int(0.06 * width)),
            ink, FONTS[1],
        )  # fmt: skip
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
        np.array([(0.93 * r, low - e), (r, low + e), *((r, low + e + s * (high - low - 2 * e)) for s in (0.25, 0.5, 0.75)),
                  (r, high - e), (0.93 * r, high + e)]), 1.0, panel=0, sectors=28,
    )  # fmt: skip
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
    mesh = turned([(0.15 * r, 0.0), *low, (r, (h - belt) / 2), (r, (h + belt) / 2), *((a, (h + belt) / 2 + z) for a, z in dome),
                   (0.15 * r, h)], 36)  # fmt: skip
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
    width = wide * (1 - (1 - waist) * np.exp(-(((s - 0.78) / 0.14) ** 2))) * np.clip(np.sqrt(1 - (1 - s * 9) ** 2 * (s < 0.11)), 0.35, 1)
    ribs = 0.25 * np.sin(s * 26 * np.pi * 0.5) * ((s > 0.12) & (s < 0.5))
    lift = 6.0 - sag * np.sin(np.pi * s) + 5.5 * np.clip((s - 0.75) / 0.25, 0, 1) ** 2
    thick = 4.3 - 1.2 * s + ribs
    handle = tube(k * np.stack([s * long, 0 * s, lift, width, thick], 1), 20, power=2.6)
    pad = tube(k * np.stack([(0.16 + 0.36 * s) * long, 0 * s, np.interp(0.16 + 0.36 * s, s, lift + thick) - 0.7,
                             0.62 * wide * np.sin(np.pi * np.clip(s, 0.04, 0.96)) ** 0.5,
                             1.1 + 0.25 * np.sin(s * 40)], 1), 16)  # fmt: skip
    head = fillet([(-5.5 * k, -2.4 * k), (6.0 * k, -2.4 * k), (6.6 * k, 1.2 * k), (-5.0 * k, 2.2 * k)], 1.0 * k, 0.9 * k)
    span = 41 * k
    across = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # a section in (y, z), extruded along x
    seat = np.array([0, (long + 3.5) * k, 11.0 * k])
    tilt = turn(0, -float(order.shape.uniform(8, 22)))

    def in_head(mesh: Mesh) -> Mesh:
        return lay(lay(mesh, across, -span / 2, 0, 0), tilt, *seat)

    def strip(y: float, z: float, deep: float, high: float) -> Mesh:
        bar = plate(rounded_box(deep * k, high * k, 0.2 * k, 1.0 * k, at=(y * k, z * k)), bevelled(0.9 * span, 0.15 * k))
        return lay(lay(bar, across, -0.45 * span, 0, 0), tilt, *seat)

    main, second = bright(order.colours), bright(order.colours)
    dark = plastic("head", (0.03, 0.03, 0.035), 0.35)
    pieces = [
        Piece("handle", handle, plastic("handle", main, 0.25), None, 60),
        Piece("pad", pad, plastic("pad", second if order.colours.random() < 0.6 else (0.04, 0.04, 0.05), 0.7), None, 60),
        Piece("head", in_head(plate(head, bevelled(span, 0.8 * k, rows=4))), dark),
        Piece("glide strip", strip(4.2, 1.45, 2.4, 0.7), plastic("glide", (0.35, 0.6, 0.5), 0.6)),
        Piece("guard", strip(-4.3, 2.0, 1.0, 0.8), plastic("guard", main, 0.5)),
    ]
    steel = metal("blade", 0.8, 0.12)
    pieces += [Piece(f"blade {n}", strip(-2.9 + 5.0 * n / max(blades, 2), 1.75, 0.9, 0.35), steel) for n in range(blades)]
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
        Piece("barrel", lay(barrel, LIE), body), Piece("plug", lay(plug, LIE), ink),
        Piece("cap", lay(hood, LIE), ink), Piece("ring", lay(ring, LIE), metal("ring", 0.7, 0.2)), Piece("clip", clip, ink),
    ]  # fmt: skip
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
    cross = [plate(rounded_box(2.0 * r * k, 0.55 * r * k, 0.1 * k, 0.6 * k), bevelled(0.1 * k, 0.01 * k)) for _ in range(2)]
    cross[1] = lay(cross[1], turn(2, 90))
    recess = lay(join(cross), np.eye(3), 0, 0, (long - 0.06) * k)
    pieces = [
        Piece("shank", lay(body, LIE), finish, None, 25),
        Piece("recess", lay(recess, LIE), plastic("recess", (0.02, 0.02, 0.02), 0.8)),
    ]
    return make_unit("screw", pieces, 7.8e-3 * np.pi * r * r * 0.7 * long * order.scale**3)


# ---- Toys -----------------------------------------------------------------------------------------------------------


def toy_car(order: Order) -> Unit:
    """A little car on its wheels, bonnet towards +y."""
    k = order.scale / 1000
    long, wide, low = order.shape.uniform(62, 74), order.shape.uniform(26, 30), order.shape.uniform(9, 11)
    van = order.shape.random() < 0.35
    roof = low + order.shape.uniform(9, 12)
    back, front = (0.04, 0.72) if van else (order.shape.uniform(0.12, 0.24), order.shape.uniform(0.62, 0.7))
    body = [(0, 3.5), (long, 3.5), (long, low - 1.5), (0.97 * long, low), (0.1 * long, low + 1.2), (0, low)]
    cabin = [(back * long, low - 0.5), (front * long, low - 0.5), ((front - 0.14) * long, roof), ((back + 0.07) * long, roof)]
    cover = [((back + 0.08) * long, roof - 1.2), ((front - 0.14) * long, roof - 1.2), ((front - 0.16) * long, roof + 0.6),
             ((back + 0.09) * long, roof + 0.6)]  # fmt: skip
    across = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])

    def block(outline: list[tuple[float, float]], width: float, bevel: float, radius: float) -> Mesh:
        rim = fillet([(y * k, z * k) for y, z in outline], radius * k, 1.6 * k)
        return lay(plate(rim, bevelled(width * k, bevel * k)), across, -width * k / 2, 0, 0)

    paint = plastic("paint", bright(order.colours), 0.12)
    wheel = turned([(3.0 * k, 0), (5.2 * k, 0.2 * k), (5.6 * k, 1 * k), (5.6 * k, 4 * k), (5.2 * k, 4.8 * k), (3.2 * k, 5 * k)])
    hub = turned([(3.1 * k, 0), (3.1 * k, 5.3 * k), (1.4 * k, 5.5 * k)], 20)
    out = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    inward = np.array([[0.0, 0, -1], [-1, 0, 0], [0, 1, 0]])
    wheels, hubs = [], []
    for y in (0.19 * long, 0.79 * long):
        for R, side in ((out, 1), (inward, -1)):
            at = side * (wide / 2 - 4.2) * k, y * k, 5.6 * k
            wheels.append(lay(wheel, R, *at))
            hubs.append(lay(hub, R, *at))
    lamps = [lay(ball(1.9 * k, 5, 12), np.eye(3), x * k, 0.985 * long * k, (low - 3) * k) for x in (-0.32 * wide, 0.32 * wide)]
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
    body = turned([(0.9 * belly * k, 2 * k), (belly * k, 4 * k), (belly * k, 0.3 * tall * k), (0.62 * belly * k, 0.85 * tall * k),
                   (0.4 * belly * k, tall * k)])  # fmt: skip
    base = turned([(1.05 * belly * k, 0), (1.1 * belly * k, 0.5 * k), (1.1 * belly * k, 2.2 * k), (0.95 * belly * k, 2.6 * k)])
    face = lay(ball(head * k, 11, 28), np.eye(3), 0, 0, (tall + 0.7 * head) * k)
    cut = np.linspace(0.1, np.pi / 2, 7)
    hat = turned([(1.12 * head * k, 0.0), *((1.06 * head * np.cos(a) * k, 1.06 * head * np.sin(a) * k) for a in cut[:-1])], 24)
    hat = lay(hat, turn(0, -14.0), 0, 0.0008, (tall + 0.85 * head) * k)
    arms = [lay(tube(k * np.array([[0, 0, 0, 1.6, 1.6], [1, 0, 0, 2.4, 2.4], [9, 0, 0, 2.2, 2.2], [12, 0, 0, 2.6, 2.6], [14, 0, 0, 1.4, 1.4]]), 14),
                turn(0, -90) @ turn(2, side * 16.0), side * 0.72 * belly * k, 0, 0.8 * tall * k) for side in (-1, 1)]  # fmt: skip
    eyes = [lay(ball(1.0 * k, 5, 12), np.eye(3), side * 0.34 * head * k, -0.9 * head * k, (tall + 0.8 * head) * k) for side in (-1, 1)]
    skin = [(0.7, 0.45, 0.3), (0.85, 0.62, 0.45), (0.3, 0.16, 0.09), (0.8, 0.55, 0.1)][int(order.colours.integers(4))]
    cloth, second = plastic("cloth", bright(order.colours), 0.35), plastic("second", bright(order.colours), 0.35)
    pieces = [
        Piece("body", body, cloth), Piece("base", base, second), Piece("head", face, plastic("skin", skin, 0.35), None, 80),
        Piece("hat", hat, second), Piece("arms", join(arms), cloth, None, 60),
        Piece("eyes", join(eyes), plastic("eyes", (0.01, 0.01, 0.01), 0.1)),
    ]  # fmt: skip
    back = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    return make_unit("toy figure", [replace(p, mesh=lay(p.mesh, back)) for p in pieces], 14.0 * order.scale**3)


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
__all__ = ["PACKED", "Contour", "Order", "Piece", "Unit", "circle", "place_unit"]
