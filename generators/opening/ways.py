"""The ways in which packages open, one function each: board flaps, caps, bags, mailers, blisters, tins and cans."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from ...sim.scene import Kind
from ..damage.outcome import UnsolvedError
from ..damage.subject import Subject
from ..mesh import face_areas
from ..products.product import Hinge, Product
from .blisters import card_hinge, foil_frame, open_can, open_dome, open_tin, peel_foil, tin_frame
from .burst import burst_cells, cells_of
from .caps import (
    Loosening,
    axis_of,
    cap_off,
    cap_points,
    flip_groove,
    flip_lid,
    flip_open,
    has_room,
    loosened,
    resting_place,
)
from .envelope import envelope_points, folded_out, open_envelope
from .flaps import Unfolding, open_flaps
from .hinge import Frame, Give, hinge_frame, moved_sheets, moving_faces, open_hinge, take_off
from .mouth import Mouth, closed_mouth, flat_pattern, gape, open_top
from .sweep import flap_points, free_angle, free_turn
from .tapes import loose_tape

Manner = Literal["flaps", "cap", "flip", "bag", "envelope", "dome", "foil", "burst", "ring", "tab"]
KIND: Kind = "actuation"
STRIP = "tamper strip"
"""A paper strip over a jar's lid comes off the glass with it."""
FLOOR_M = 0.0013
"""A bag's film keeps this far above the tray: the ribs of its seal are pressed out on both sides."""
UNFOLDED = Give(0.5, 6.0, 0.0)
"""The bend of a mailer's flap that is folded out flat."""
Room = tuple[float, ...]
"""How far [deg] a closure's hinges can open; 1 for what has no angle."""


@dataclass(frozen=True)
class Wish:
    """How a package would be opened if nothing were in the way, at strength 1; drawn once."""

    flap_deg: tuple[float, ...]
    curl_deg: tuple[float, ...]
    twist_deg: tuple[float, ...]
    both: bool
    first: bool
    spring_deg: tuple[float, float]
    gape_m: float
    seal_share: float
    aside: float
    lift_mm: float
    tilt_deg: float
    off_from: float
    flip_deg: float
    peel_deg: float
    peel_share: float
    dome_deg: float
    tab_deg: float
    turn_rad: float
    share: float
    seed: int
    limit_m: float
    least_deg: float

    def give(self, k: int = 0, radius_mm: float = 0.25) -> Give:
        """The bend of the first or second flap."""
        return Give(radius_mm, self.curl_deg[k], self.twist_deg[k])


@dataclass(frozen=True)
class Way:
    """One closure of a package that can be opened."""

    manner: Manner
    hinges: tuple[Hinge, ...]
    place: tuple[float, float, float]
    """Its middle, item frame [m]."""
    area_m2: float


@dataclass(frozen=True)
class Opened:
    """What a way of opening gave."""

    product: Product
    measures: Mapping[str, float]
    parameters: Mapping[str, Any] = field(default_factory=dict)


# ---- Which closures there are ---------------------------------------------------------------------------------------


def _manner(product: Product, hinge: Hinge) -> Manner | None:
    """How a hinge is opened; None for what was never closed (a book's cover)."""
    if hinge.closed_by == "fold":
        return None
    if hinge.limit_deg == 0:
        caps = [part for part in product.contents if part.name in hinge.moves]
        flips = hinge.closed_by == "snap" and any(flip_groove(part, hinge) is not None for part in caps)
        return "flip" if flips else "cap"
    if product.shape == "soft":
        return "envelope" if hinge.closed_by == "glue" else "bag"
    if any(part.name in hinge.moves for part in product.contents):
        return "ring" if hinge.closed_by == "seal" else "tab"
    if hinge.closed_by == "seal":
        return "dome" if product.sheets[0].name in hinge.moves else "foil"
    return "flaps"


def _surface(product: Product, hinge: Hinge) -> tuple[tuple[float, float, float], float]:
    """Middle and area of what closes a hinge."""
    areas, middles = [], []
    for k, sheet in moved_sheets(product, hinge):
        moving = moving_faces(product, hinge, k)
        areas.append(float(face_areas(sheet.rest, sheet.faces[moving]).sum()))
        middles.append(sheet.rest[sheet.faces[moving]].mean(axis=(0, 1)))
    for part in product.contents:
        if part.name in hinge.moves:
            areas.append(float(face_areas(part.vertices, part.faces).sum()) / 2)
            middles.append(part.vertices.mean(axis=0))
    if product.shape == "soft":
        middles = [(np.array(hinge.a) + np.array(hinge.b)) / 2]
    x, y, z = (float(v) for v in np.mean(middles, axis=0))
    return (x, y, z), float(np.sum(areas))


def find_ways(product: Product) -> tuple[Way, ...]:
    """All closures of a product; flaps that meet in the middle are one."""
    made: list[Way] = []
    for hinge in product.hinges:
        manner = _manner(product, hinge)
        if manner is None:
            continue
        if manner == "cap" and any(sheet.name == STRIP for sheet in product.sheets):
            hinge = replace(hinge, moves=(*hinge.moves, STRIP))
        place, area = _surface(product, hinge)
        if made and manner == "flaps" and len(made[-1].hinges) == 1 and _meet(product, made[-1].hinges[0], hinge):
            last = made.pop()
            middle = tuple((p + q) / 2 for p, q in zip(last.place, place, strict=True))
            made.append(Way("flaps", (last.hinges[0], hinge), middle, last.area_m2 + area))  # type: ignore[arg-type]
            continue
        made.append(Way(manner, (hinge,), place, area))
        if manner == "foil" and cells_of(product):
            made.append(Way("burst", (hinge,), place, area))
        if manner == "dome":
            card = card_hinge(product, hinge)
            made.append(Way("dome", (card,), *_surface(product, card)))
    return tuple(made)


def _meet(product: Product, one: Hinge, two: Hinge) -> bool:
    """Whether two flaps close the same opening from both sides."""
    a, b = hinge_frame(product, one), hinge_frame(product, two)
    return bool(a.opening @ b.opening > 0.9 and a.away @ b.away < -0.9)


# ---- How much room they have ----------------------------------------------------------------------------------------


def room_of(way: Way, subject: Subject, wish: Wish) -> Room:
    """How far each of its hinges opens as the item lies; empty if the closure cannot be opened."""
    hinge = way.hinges[0]
    if way.manner == "bag":
        return (1.0,)
    if way.manner == "burst":  # nothing is pushed out into the tray
        return (1.0,) if subject.up[2] < 0.5 else ()
    if way.manner == "cap":
        return (1.0,) if has_room(subject, hinge, wish.lift_mm / 1000) else ()
    if way.manner == "envelope":
        return _envelope_room(way, subject, wish)
    if way.manner == "flaps":
        free = tuple(
            free_angle(subject, h, min(wish.flap_deg[k], float(h.limit_deg)), give=wish.give(k))
            for k, h in enumerate(way.hinges)
        )
        least = wish.least_deg
    else:
        most, frame, points, give = _turning(way, subject, wish)
        free = (free_turn(subject, frame, points, most, give=give),)
        least = min(wish.least_deg, most)
    return free if min(free) >= least else ()


def _turning(way: Way, subject: Subject, wish: Wish) -> tuple[float, Frame, Float[np.ndarray, "n 3"], Give]:
    """What has one axis: its largest angle [deg], frame, points and bend."""
    product, hinge = subject.product, way.hinges[0]
    if way.manner == "flip":
        frame, points = flip_lid(product, hinge, wish.turn_rad)
        return wish.flip_deg, frame, points, Give(0.0)
    points = flap_points(product, hinge)
    if way.manner == "dome":
        return wish.dome_deg, hinge_frame(product, hinge), points, _dome_give(wish, hinge)
    if way.manner == "foil":
        return wish.peel_deg, *_with_points(foil_frame(product, hinge, wish.peel_share, wish.aside), points)
    if way.manner == "ring":
        return wish.peel_deg, *_with_points(tin_frame(product, hinge, wish.peel_share), points)
    return wish.tab_deg, hinge_frame(product, hinge), points, Give()


def _with_points(made: tuple[Frame, Give], points: Float[np.ndarray, "n 3"]):
    return made[0], points, made[1]


def _envelope_room(way: Way, subject: Subject, wish: Wish) -> Room:
    """Least and largest angle of a mailer's flap; under a mailer that lies on its back it is folded out flat."""
    frame, points = envelope_points(subject.product, way.hinges[0])
    free = free_turn(subject, frame, points, wish.peel_deg, give=_flap_give(wish))
    if free >= wish.least_deg:
        return 0.0, free
    if frame.opening @ subject.up > -0.5:
        return ()
    flat = folded_out(subject, way.hinges[0])
    return () if flat is None else (flat, flat + 10.0)


def _dome_give(wish: Wish, hinge: Hinge) -> Give:
    return Give(30.0, 8.0, wish.twist_deg[0]) if hinge.name == "card" else Give(2.0, 0.0, 0.5 * wish.twist_deg[0])


def _flap_give(wish: Wish) -> Give:
    return Give(9.0, 20.0 + wish.curl_deg[0], 2 * wish.twist_deg[0])


# ---- The ways -------------------------------------------------------------------------------------------------------


def _seen(angle_deg: float) -> float:
    """Share of a closed surface's area that its opening shows from straight above."""
    return 1 - float(np.cos(np.radians(min(angle_deg, 90.0))))


def _flaps(way: Way, subject: Subject, wish: Wish, room: Room, strength: float) -> Opened:
    before, pair = subject.product, len(way.hinges) > 1
    angles = [strength * free for free in room]
    if pair and not wish.both:
        angles[int(wish.first)] = 0.0
    gives = tuple(wish.give(k) for k in range(len(angles)))
    product = before
    for hinge, angle, give in zip(way.hinges, angles, gives, strict=True):
        product = open_hinge(product, hinge, angle, kind=KIND, give=give)
    how = Unfolding(
        spring_deg=wish.spring_deg, lip_deg=45 + 40 * wish.share, lip_share=0.35 + 0.2 * wish.share,
        dust_share=0.7 + 0.25 * wish.seal_share, under_share=0.1 + 0.85 * wish.share,
        slant=0.15 + 0.15 * wish.share, glue_spots=2 + int(3 * wish.share), seed=wish.seed,
    )  # fmt: skip
    product = open_flaps(product, before, way.hinges, tuple(angles), gives, how, kind=KIND)
    product = loose_tape(product, before, way.hinges, tuple(angles), gives, wish.seed, up=subject.up, kind=KIND)
    sheet = before.sheets[0]
    area = sum(
        _seen(angle) * float(face_areas(sheet.rest, sheet.faces[moving_faces(before, hinge)]).sum())
        for hinge, angle in zip(way.hinges, angles, strict=True)
    )
    sealed = way.hinges[0].closed_by != "tuck"
    return Opened(
        product,
        {"opening_deg": max(angles), "seals_open": float(sealed), "area_mm2": 1e6 * area},
        {f"angle_{k + 1}_deg": angle for k, angle in enumerate(angles)},
    )


def _cap(way: Way, subject: Subject, wish: Wish, room: Room, strength: float) -> Opened:
    product, hinge = subject.product, way.hinges[0]
    share = min(1.0, strength / max(wish.off_from, 1e-6))
    several = sum(part.name in hinge.moves for part in product.contents) > 1
    how = Loosening(wish.lift_mm, wish.tilt_deg, wish.turn_rad)
    if strength < wish.off_from or several:  # a sprayer hangs on its dip tube
        moved = take_off(product, hinge, loosened(hinge, how, share), kind=KIND)
        lift = share * (wish.lift_mm + 1000 * np.sin(np.radians(wish.tilt_deg)) * _radius(product, hinge))
        return Opened(moved, {"gape_mm": float(lift)}, {"lift_mm": share * wish.lift_mm, "off": False})
    item = subject.to_world(
        np.concatenate([sheet.vertices for sheet in product.sheets]
                       + [part.vertices for part in product.contents if part.name not in hinge.moves])
    )  # fmt: skip
    T = resting_place(subject, hinge, item, np.random.default_rng(wish.seed))
    if T is None:
        raise UnsolvedError(f"{product.item_identifier}: no free place on the tray for its {hinge.name}.")
    off, mouth = cap_off(product, hinge, T, kind=KIND)
    wide = 2000 * mouth
    return Opened(
        off,
        {"caps_off": 1.0, "gape_mm": max(wide, 3 * wish.lift_mm), "area_mm2": 1e6 * np.pi * mouth**2},
        {"lift_mm": wish.lift_mm, "off": True},
    )


def _radius(product: Product, hinge: Hinge) -> float:
    at, along = axis_of(hinge)
    off = cap_points(product, hinge) - at
    return float(np.linalg.norm(off - (off @ along)[:, None] * along, axis=1).max())


def _flip(way: Way, subject: Subject, wish: Wish, room: Room, strength: float) -> Opened:
    hinge, angle = way.hinges[0], strength * room[0]
    product = flip_open(subject.product, hinge, angle, wish.turn_rad, kind=KIND)
    area = np.pi * _radius(product, hinge) ** 2
    return Opened(product, {"opening_deg": angle, "area_mm2": 1e6 * area * _seen(angle)}, {"angle_1_deg": angle})


def _bag(way: Way, subject: Subject, wish: Wish, room: Room, strength: float) -> Opened:
    product, sheet = subject.product, subject.product.sheets[0]
    pattern = flat_pattern(sheet)
    half = 0.5 * wish.seal_share * pattern.width
    middle = wish.aside * max(0.0, 0.46 * pattern.width - half)
    opening = strength * min(wish.gape_m, 0.62 * half)
    normal = _front_up(subject)
    mouth = Mouth(middle, half, opening, 0.55 * half + 0.05, front_share=0.5 + 0.3 * normal)
    sheet, measures = gape(
        open_top(sheet, pattern, mouth), mouth, top_m=pattern.height, up=subject.up,
        floor_m=FLOOR_M - float(subject.T_world_item[2, 3]), limit_m=wish.limit_m, kind=KIND,
    )  # fmt: skip
    gone = closed_mouth(sheet, KIND)
    product = replace(
        product, sheets=(sheet, *product.sheets[1:]), gone=(*product.gone, *([] if gone is None else [gone]))
    )
    return Opened(product, {**measures, "seals_open": 1.0}, {"seal_mm": 2000 * half, "asked_gape_mm": 1000 * opening})


def _front_up(subject: Subject) -> float:
    """1 if a bag lies on its back, -1 on its front, 0 if it stands."""
    sheet = subject.product.sheets[0]
    front = sheet.faces[sheet.panel == 0]
    a, b, c = (sheet.rest[front[:, k]] for k in range(3))
    way = np.cross(b - a, c - a).sum(axis=0)
    return float(np.clip(1.4 * (way / np.linalg.norm(way)) @ subject.up, -1, 1))


def _envelope(way: Way, subject: Subject, wish: Wish, room: Room, strength: float) -> Opened:
    angle = room[0] + strength * (room[1] - room[0])
    give, gape_m = (_flap_give(wish) if room[0] == 0 else UNFOLDED), 0.25 * strength * wish.gape_m
    product, measures = open_envelope(
        subject.product, way.hinges[0], angle, give, gape_m, up=subject.up,
        floor_m=FLOOR_M - float(subject.T_world_item[2, 3]), limit_m=wish.limit_m, kind=KIND,
    )  # fmt: skip
    return Opened(product, {**measures, "opening_deg": min(angle, 180.0), "seals_open": 1.0}, {"angle_1_deg": angle})


def _dome(way: Way, subject: Subject, wish: Wish, room: Room, strength: float) -> Opened:
    hinge, angle = way.hinges[0], strength * room[0]
    product = open_dome(subject.product, hinge, angle, _dome_give(wish, hinge), wish.seed, kind=KIND)
    area = _seen(angle) * way.area_m2
    return Opened(
        product, {"opening_deg": angle, "seals_open": 1.0, "area_mm2": 1e6 * area}, {"angle_1_deg": angle}
    )  # fmt: skip


def _foil(way: Way, subject: Subject, wish: Wish, room: Room, strength: float) -> Opened:
    hinge, angle = way.hinges[0], (0.35 + 0.65 * strength) * room[0]
    product, area = peel_foil(subject.product, hinge, angle, strength * wish.peel_share, wish.aside, kind=KIND)
    return Opened(
        product, {"opening_deg": strength * angle, "seals_open": 1.0, "area_mm2": 1e6 * area}, {"angle_1_deg": angle}
    )


def _cells(way: Way, subject: Subject, wish: Wish, room: Room, strength: float) -> Opened:
    product, count, area = burst_cells(subject.product, strength * wish.peel_share, wish.seed, kind=KIND)
    wide = 2000 * float(np.sqrt(area / np.pi))  # of one hole as large as all of them
    measures = {"gape_mm": wide, "seals_open": float(count), "area_mm2": 1e6 * area}
    return Opened(product, measures, {"cells": count})


def _ring(way: Way, subject: Subject, wish: Wish, room: Room, strength: float) -> Opened:
    lift, peel = min(1.0, strength / 0.35), max(0.0, (strength - 0.35) / 0.65)
    angle = room[0] * peel
    product, area = open_tin(
        subject.product, way.hinges[0], lift * wish.tab_deg, angle, peel * wish.peel_share, wish.seed, kind=KIND
    )
    return Opened(
        product,
        {"opening_deg": max(lift * wish.tab_deg, angle), "seals_open": float(peel > 0), "area_mm2": 1e6 * area},
        {"ring_deg": lift * wish.tab_deg, "angle_1_deg": angle},
    )


def _tab(way: Way, subject: Subject, wish: Wish, room: Room, strength: float) -> Opened:
    lift, pushed = min(1.0, strength / 0.35), max(0.0, (strength - 0.35) / 0.65)
    angle = lift * room[0]
    product, area = open_can(subject.product, way.hinges[0], angle, 82.0 * pushed, wish.seed, kind=KIND)
    return Opened(
        product,
        {"opening_deg": max(angle, 82.0 * pushed), "seals_open": float(pushed > 0), "area_mm2": 1e6 * area},
        {"tab_deg": angle, "angle_1_deg": 82.0 * pushed},
    )


ACTS: Mapping[Manner, Callable[[Way, Subject, Wish, Room, float], Opened]] = {
    "flaps": _flaps, "cap": _cap, "flip": _flip, "bag": _bag, "envelope": _envelope, "dome": _dome, "foil": _foil,
    "burst": _cells, "ring": _ring, "tab": _tab,
}  # fmt: skip
