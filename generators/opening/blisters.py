"""Blisters whose dome, card or foil has come off, tins and cans whose lids have been pulled."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from ...sim.scene import KINDS, SURFACES, Kind, Material, Part, kind_bit
from ..mesh import corner_normals
from ..products.product import Hinge, Product
from .hinge import LABEL, Frame, Give, closed_part, hinge_frame, open_hinge, rotation_about, turned
from .peel import Score, cut_score, lift_off, ride

Z = np.array([0.0, 0.0, 1.0])
FLAT_M = 4e-4
"""What rises less above a lid's middle belongs to its flat part."""


# ---- Blisters -------------------------------------------------------------------------------------------------------


def card_hinge(product: Product, dome: Hinge) -> Hinge:
    """A card bent away from its dome, about the same edge and the other way round."""
    return Hinge("card", (product.sheets[1].name,), dome.b, dome.a, dome.limit_deg, "seal")


def open_dome(product: Product, hinge: Hinge, angle_deg: float, give: Give, seed: int, *, kind: Kind) -> Product:
    """Turn a dome or its card away; fibres torn off the card show where the flange was sealed to it."""
    opened = open_hinge(product, hinge, angle_deg, kind=kind, give=give)
    dome, card = product.sheets[:2]
    flange = dome.panel == dome.panels.index("flange")
    rng = np.random.default_rng(seed)
    middle = dome.rest[dome.faces].mean(axis=1)
    waves = rng.normal(size=(9, 3)) * 2 * np.pi / 0.012
    patch = sum(np.sin(middle @ wave + rng.uniform(0, 6.3)) for wave in waves) > rng.uniform(-1.5, 1.5)
    chosen = flange & patch
    if not chosen.any():
        return opened
    used, inverse = np.unique(dome.faces[chosen], return_inverse=True)
    # The flange's outer side is its own thickness above the card, on which its torn fibres lie.
    rest = dome.rest[used] - (dome.thickness_mm / 1000 + 1e-5) * Z
    moved = rest if hinge.name != "card" else turned(rest, hinge_frame(product, hinge), angle_deg, give)
    marks = np.zeros((len(used), len(KINDS)))
    marks[:, KINDS.index(kind)] = LABEL
    fibre = Material("torn fibres", (0.62, 0.6, 0.55), 0.0, 0.95)
    torn = replace(
        dome, name="torn fibres", vertices=moved, rest=rest, faces=inverse.reshape(-1, 3), uv=dome.uv[chosen],
        material=np.zeros(int(chosen.sum()), np.uint8), panel=np.zeros(int(chosen.sum()), np.uint8), marks=marks,
        removed=np.zeros(int(chosen.sum()), bool), materials=(fibre, fibre, fibre), thickness_mm=0.012, levels=0,
        relief=None, panels=("fibres",), item=card.item,
    )  # fmt: skip
    return replace(opened, sheets=(*opened.sheets, torn))


def foil_frame(product: Product, hinge: Hinge, share: float, aside: float) -> tuple[Frame, Give]:
    """Where a lidding foil stops being peeled, from a corner or an end, and how it rolls."""
    whole = hinge_frame(product, hinge)
    turn = 0.9 * aside
    away = np.cos(turn) * whole.away + np.sin(turn) * whole.along
    along = np.cos(turn) * whole.along - np.sin(turn) * whole.away
    sheet = next(s for s in product.sheets if s.name in hinge.moves)
    s, u = (sheet.rest - whole.at) @ away, (sheet.rest - whole.at) @ along
    front = float(s.max() - share * np.ptp(s))
    at = whole.at + front * away + float(u.min()) * along
    return Frame(at, along, away, float(np.ptp(u)), float(s.max()) - front), Give(7.0, 25.0, 0.0)


def peel_foil(
    product: Product, hinge: Hinge, angle_deg: float, share: float, aside: float, *, kind: Kind
) -> tuple[Product, float]:
    """Roll a lidding foil back; returns the product and the area [m²] that was peeled."""
    frame, give = foil_frame(product, hinge, share, aside)
    number = next(k for k, s in enumerate(product.sheets) if s.name in hinge.moves)
    sheet = product.sheets[number]
    after, gone, peeled = lift_off(sheet, np.ones(len(sheet.faces), bool), frame, angle_deg, give, kind)
    sheets = (*product.sheets[:number], after, *product.sheets[number + 1 :])
    return replace(product, sheets=sheets, gone=(*product.gone, gone)), peeled


# ---- Tins and cans --------------------------------------------------------------------------------------------------


def _lid(product: Product, hinge: Hinge) -> tuple[Float[np.ndarray, "3"], float]:
    """Middle and radius of the flat lid under a ring."""
    sheet = product.sheets[0]
    ends = np.unique(sheet.faces[sheet.panel == sheet.panels.index("ends")])
    points = sheet.rest[ends]
    top = points[points[:, 2] > 0.5 * float(hinge.a[2])]
    level = float(np.median(top[:, 2]))
    flat = top[np.abs(top[:, 2] - level) < FLAT_M]
    return np.array([0.0, 0.0, level]), float(np.hypot(flat[:, 0], flat[:, 1]).max())


def tin_frame(product: Product, hinge: Hinge, share: float) -> tuple[Frame, Give]:
    """Where a pulled lid stops being peeled; it rolls up from its ring's side."""
    middle, radius = _lid(product, hinge)
    reach = 0.95 * radius
    front = middle + np.array([0, -reach + 2 * reach * share, 0])
    start = front + np.array([reach, 0, 0])
    return Frame(start, np.array([-1.0, 0, 0]), np.array([0, -1.0, 0]), 2 * reach, 2 * reach * share), Give(
        9.0, 12.0, 0.0
    )


def open_tin(
    product: Product, hinge: Hinge, ring_deg: float, angle_deg: float, share: float, seed: int, *, kind: Kind
) -> tuple[Product, float]:
    """Lift a tin's ring, then peel its lid; returns the product and the opened area [m²]."""
    ring = next(part for part in product.contents if part.name in hinge.moves)
    axis = hinge_frame(product, hinge)
    gone: list[Part] = [closed_part(ring, kind)]
    lifted = _rigid(ring, rotation_about(axis, ring_deg), kind)
    others = tuple(part for part in product.contents if part.name not in hinge.moves)
    if angle_deg <= 0:
        return replace(product, contents=(*others, lifted), gone=(*product.gone, *gone)), 0.0
    frame, give = tin_frame(product, hinge, share)
    middle, radius = _lid(product, hinge)
    sheet, inside = cut_score(
        product.sheets[0], Score(middle, np.eye(3)[0], np.eye(3)[1], (0.95 * radius, 0.95 * radius)), fine_m=0.002
    )
    sheet, closed, opened = lift_off(sheet, inside, frame, angle_deg, give, kind)
    lifted = ride(lifted, frame, angle_deg, give, axis.at + 0.5 * axis.length * axis.along, kind)
    food = _food(middle, radius, np.random.default_rng(seed))
    return replace(
        product, sheets=(sheet, *product.sheets[1:]), contents=(*others, lifted, food),
        gone=(*product.gone, *gone, closed),
    ), opened  # fmt: skip


def _rigid(part: Part, T: Float[np.ndarray, "4 4"], kind: Kind) -> Part:
    return replace(
        part, vertices=part.vertices @ T[:3, :3].T + T[:3, 3], normals=part.normals @ T[:3, :3].T,
        damage=part.damage | np.uint8(kind_bit(kind)),
    )  # fmt: skip


FOODS = ((0.4, 0.05, 0.02), (0.32, 0.13, 0.04), (0.55, 0.42, 0.16), (0.2, 0.24, 0.07), (0.5, 0.33, 0.2))
"""Linear RGB: tomato, beans, maize, peas, fish."""


def _food(
    middle: Float[np.ndarray, "3"], radius: float, rng: np.random.Generator, rings: int = 22, rough: float = 0.055
) -> Part:
    """The surface of what a tin holds, a little below its lid."""
    around = 72
    share = (np.arange(rings) + 1) / rings
    angle = np.arange(around) / around * 2 * np.pi
    r = 1.0 * radius * share[:, None]
    flat = np.stack([r * np.cos(angle), r * np.sin(angle)], -1).reshape(-1, 2)
    flat = np.concatenate([np.zeros((1, 2)), flat])
    lumps = sum(
        np.sin(flat @ (rng.normal(size=2) * 2 * np.pi / size) + rng.uniform(0, 6.3)) * size
        for size in (0.022, 0.014, 0.011, 0.009, 0.007, 0.006)
    )
    vertices = np.concatenate([flat, rough * np.asarray(lumps)[:, None]], 1) + middle - np.array([0, 0, 0.007])
    first = 1 + np.arange(around)
    faces = [np.stack([np.zeros(around, int), first, np.roll(first, -1)], 1)]
    for k in range(rings - 1):
        a, b = first + k * around, first + (k + 1) * around
        faces += [np.stack([a, b, np.roll(b, -1)], 1), np.stack([a, np.roll(b, -1), np.roll(a, -1)], 1)]
    made = np.concatenate(faces)
    tone = FOODS[int(rng.integers(len(FOODS)))]
    n = len(made)
    return Part(
        "food", vertices, made, np.full((n, 3, 2), 0.5), corner_normals(vertices, made, crease_deg=60.0),
        (Material("food", tone, 0.0, 0.25),), np.zeros(n, np.uint8),
        np.full(n, SURFACES.index("contents"), np.uint8), np.zeros(n, np.uint8),
    )  # fmt: skip


def open_can(
    product: Product, hinge: Hinge, tab_deg: float, mouth_deg: float, seed: int, *, kind: Kind
) -> tuple[Product, float]:
    """Lift a can's tab and push the mouth in; returns the product and the mouth's area [m²]."""
    tab = next(part for part in product.contents if part.name in hinge.moves)
    axis, sheet = hinge_frame(product, hinge), product.sheets[0]
    gone: list[Part] = [closed_part(tab, kind)]
    bent = _bent_tab(tab, axis, tab_deg, min(tab_deg, mouth_deg), kind)
    area = 0.0
    if mouth_deg > 0:
        lid = np.unique(sheet.faces[sheet.panel == sheet.panels.index("lid")])
        radius = float(np.hypot(*sheet.rest[lid, :2].T).max())
        middle = np.array([0.0, -0.45 * (radius + 0.0062), float(np.median(sheet.rest[lid, 2]))])
        half = 1.15 * 0.0095, min(1.15 * 0.0085, radius + middle[1] - 0.0012, -middle[1] - 0.0022)
        score = Score(middle, np.eye(3)[0], np.eye(3)[1], half)
        sheet, inside = cut_score(sheet, score, fine_m=0.0012)
        side = 1.0 if seed % 2 else -1.0
        at = middle + np.array([side * 0.62 * half[0], side * half[1], 0.0])
        frame = Frame(at, np.array([0, -side, 0.0]), np.array([-side, 0, 0.0]), 2 * half[1], 1.62 * half[0])
        sheet, closed, area = lift_off(sheet, inside, frame, mouth_deg, Give(1.5, 6.0, 0.0), kind)
        area *= min(1.0, mouth_deg / 60)
        gone.append(closed)
    contents = tuple(bent if part is tab else part for part in product.contents)
    if mouth_deg > 0:
        contents = (*contents, _drink(product, seed))
    return replace(
        product, sheets=(sheet, *product.sheets[1:]), contents=contents, gone=(*product.gone, *gone)
    ), area  # fmt: skip


DRINKS = ((0.02, 0.008, 0.004), (0.28, 0.14, 0.03), (0.35, 0.12, 0.01), (0.3, 0.3, 0.27))
"""Linear RGB: cola, beer, orange, lemonade."""


def _drink(product: Product, seed: int) -> Part:
    """The surface of the drink, seen through the mouth; it makes a can as dark inside as cans are."""
    lid = product.sheets[0].rest[np.unique(product.sheets[0].faces[product.sheets[0].panel == 1])]
    radius = float(np.hypot(lid[:, 0], lid[:, 1]).max())
    middle = np.array([0.0, 0.0, float(np.median(lid[:, 2])) - 0.012])
    flat = _food(middle + np.array([0, 0, 0.007]), radius + 0.003, np.random.default_rng(seed), rings=4, rough=0.0)
    tone = DRINKS[(seed // 2) % len(DRINKS)]
    return replace(flat, name="drink", materials=(Material("drink", tone, 0.0, 0.05),))


def _bent_tab(tab: Part, axis: Frame, ring_deg: float, nose_deg: float, kind: Kind) -> Part:
    """A tab whose ring is bent up; its nose follows as far as the mouth gives way under it."""
    s = (tab.vertices - axis.at) @ axis.away
    share = np.clip(s / 0.003, 0, 1)
    angle = np.radians(nose_deg + share * (ring_deg - nose_deg))
    h = (tab.vertices - axis.at) @ axis.opening
    u = (tab.vertices - axis.at) @ axis.along
    x, y = s * np.cos(angle) - h * np.sin(angle), s * np.sin(angle) + h * np.cos(angle)
    vertices = axis.at + u[:, None] * axis.along + x[:, None] * axis.away + y[:, None] * axis.opening
    return replace(
        tab, vertices=vertices, normals=corner_normals(vertices, tab.faces, crease_deg=35.0),
        damage=tab.damage | np.uint8(kind_bit(kind)),
    )  # fmt: skip
