"""Blister packs: units under clear domes on a printed card, or tablets in a formed foil."""

from copy import deepcopy
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...sim.errors import DamagelandError
from ...sim.scene import Material, Part
from ..artwork import FONTS, Artwork, draw_artwork, draw_text, paint_panel
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..forming import Contour, Pocket, circle, fillet, form_sheet, rounded_box, wall_steps
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import Sheet, make_sheet
from ..shapes import mesh_uv
from .packed import PACKED
from .product import Hinge, Product, catalogue_entry
from .tablet_blister import TabletBlisterConfig, build_tablet_blister
from .units import Order, Unit, place_unit, turn

CLEAR = 0.0005
"""Between units and between a unit and the dome's walls, at the least [m]."""


class BlisterPackConfig(BaseModel):
    """Ranges from which each blister pack is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tablets_share: float = Field(default=0.4, ge=0, le=1, description="share of tablet blisters; the others are carded")
    units: tuple[int, int] = Field(default=(1, 8), description="units on a card")
    kinds: tuple[str, ...] = Field(default=tuple(PACKED), description="what hangs on cards")
    largest_card_mm: tuple[float, float] = Field(
        default=(280.0, 380.0), description="width and height that no card exceeds"
    )
    dome_each_share: float = Field(
        default=0.5, ge=0, le=1, description="share with a dome over each unit, not one over all"
    )
    euro_hole_share: float = Field(
        default=0.6, ge=0, le=1, description="share with a euro slot; the others: a round hole"
    )
    empty_share: float = Field(default=0.15, ge=0, le=1, description="share with a cavity that is empty by design")
    bow_mm: tuple[float, float] = Field(default=(0.0, 1.5), description="benign curl of the card, no damage")
    tablets: TabletBlisterConfig = Field(default=TabletBlisterConfig(), description="tablet blisters")

    @model_validator(mode="after")
    def _can_be_made(self) -> "BlisterPackConfig":
        low, high = self.units
        if not 1 <= low <= high:
            raise ValueError(f"`units` is ({low}, {high}): give at least 1, the smaller number first")
        unknown = sorted(set(self.kinds) - set(PACKED))
        if unknown or not self.kinds:
            raise ValueError(f"`kinds` has {', '.join(unknown) or 'nothing'}: choose from {', '.join(PACKED)}")
        return self


@dataclass(frozen=True)
class _Card:
    """One card's drawn layout [m], lying in the item frame, its top towards +y."""

    width: float
    height: float
    seats: tuple[tuple[float, float], ...]
    """Middles of the cavities, row by row from the top."""
    count: int
    """Units; the last cavities stay empty by design."""
    each: bool
    euro: bool
    dome_m: float
    """Height of the domes."""
    header: float
    grow: float


def _rows(count: int, columns: int) -> list[int]:
    full, rest = divmod(count, columns)
    return [columns] * full + ([rest] if rest else [])


def _lay_out(unit: Unit, kind: str, config: BlisterPackConfig, design: Design, rng: np.random.Generator) -> _Card:
    """Arrange the units so that the card is about as tall as cards are."""
    g = design.grow ** (1 / 3)
    count = int(rng.integers(config.units[0], config.units[1] + 1))
    each = bool(rng.random() < config.dome_each_share)
    empty = each and count > 1 and bool(rng.random() < config.empty_share)
    cavities = count + empty
    dome = float(unit.size_m[2]) + g * rng.uniform(1.5, 4) / 1000
    slack = 2 * _wall(dome, g)[-1, 0] + 2 * CLEAR + g * rng.uniform(0.5, 2) / 1000
    gap = (slack + g * 0.0025) if each else g * rng.uniform(0.7, 2.0) / 1000
    pitch = unit.size_m[:2] + gap
    header, margin = g * rng.uniform(50, 72) / 1000, g * rng.uniform(8, 16) / 1000 + slack / 2
    foot, wish = g * rng.uniform(8, 22) / 1000 + slack / 2, rng.uniform(1.2, 1.7)

    def size(columns: int) -> tuple[float, float]:
        rows = len(_rows(cavities, columns))
        return max(columns * pitch[0] + 2 * margin, g * 0.07), rows * pitch[1] + header + foot + 0.006 * g

    wide, tall = (g * v / 1000 for v in config.largest_card_mm)
    fits = [c for c in range(1, cavities + 1) if size(c)[0] <= wide and size(c)[1] <= tall]
    if not fits:
        raise DamagelandError(
            f"blister_pack: {cavities} cavities of {1000 * pitch[0]:.0f} × {1000 * pitch[1]:.0f} mm for {kind}s "
            f"do not fit on a card of at most {config.largest_card_mm[0]:.0f} × {config.largest_card_mm[1]:.0f} mm: "
            "lower `units` or raise `largest_card_mm`."
        )

    def odd_look(columns: int) -> float:
        w, h = size(columns)
        return abs(float(np.log(h / w / wish))) + 0.2 * (cavities % columns != 0)

    columns = min(fits, key=odd_look)
    width, height = size(columns)
    rows, seats = _rows(cavities, columns), []
    top = height / 2 - header
    for i, n in enumerate(rows):
        seats += [((k - (n - 1) / 2) * pitch[0], top - (i + 0.5) * pitch[1]) for k in range(n)]
    return _Card(width, height, tuple(seats), count, each, bool(rng.random() < config.euro_hole_share), dome, header, g)


def _wall(dome: float, g: float) -> Float[np.ndarray, "k 2"]:
    return wall_steps(dome, draft_deg=6.0, foot_m=0.0008 * g, top_m=min(0.0025 * g, 0.35 * dome))


def _dome_foot(unit: Unit, at: tuple[float, float], out: float, spacing: float) -> Contour:
    """Outline of a dome round one unit; razors have theirs narrow around the handle."""
    w, h = unit.size_m[:2] / 2 + out
    if unit.kind != "razor":
        return rounded_box(2 * w, 2 * h, out + 0.0025, spacing, at=at)
    neck, head = min(w, 0.0075 + out), 0.3 * float(unit.size_m[0]) + out
    x, y = at
    points = [
        (-neck, -h),
        (neck, -h),
        (neck, h - head - out),
        (w, h - head + 0.004),
        (w, h),
        (-w, h),
        (-w, h - head + 0.004),
        (-neck, h - head - out),
    ]
    return fillet([(x + p, y + q) for p, q in points], out + 0.0015, spacing)


def _pockets(card: _Card, unit: Unit, spacing: float, crown: float) -> tuple[list[Pocket], Contour]:
    """Domes and the outline of the sheet that they are formed in."""
    steps = _wall(card.dome_m, card.grow)
    out = float(steps[-1, 0]) + CLEAR
    seats = np.array(card.seats)
    low, high = seats.min(axis=0) - unit.size_m[:2] / 2 - out, seats.max(axis=0) + unit.size_m[:2] / 2 + out
    if card.each:
        feet = [_dome_foot(unit, seat, out, spacing) for seat in card.seats]
    else:
        middle, size = (low + high) / 2, high - low
        feet = [rounded_box(float(size[0]), float(size[1]), out + 0.004 * card.grow, spacing, at=middle.tolist())]

    def top(foot: Contour):
        a, b = foot.min(axis=0) + out, foot.max(axis=0) - out

        def height(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
            s = np.clip((points - a) / (b - a), 0, 1)
            return crown * np.sqrt(np.clip(np.sin(np.pi * s), 0, 1).prod(axis=1))

        return height

    flange = min(0.006 * card.grow, float(card.width / 2 - high[0]) - 0.001)
    middle, size = (low + high) / 2, high - low + 2 * flange
    rim = rounded_box(float(size[0]), float(size[1]), 0.006 * card.grow, spacing, at=middle.tolist())
    return [Pocket(foot, steps, top(foot)) for foot in feet], rim


def _curl(rim: Contour, card: _Card, rise: float):
    """Height [m] by which the card's free border curls up outside the stiff dome."""
    low, high = rim.min(axis=0), rim.max(axis=0)
    reach = max(card.height / 2 - float(high[1]), 0.02)

    def height(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
        beyond = np.maximum(np.maximum(low - points, points - high), 0)
        return rise * (np.linalg.norm(beyond, axis=1) / reach) ** 2

    return height


def _hang_hole(card: _Card) -> Contour:
    y, g = card.height / 2 - 0.011 * card.grow, card.grow
    if not card.euro:
        return circle(0.004 * g, 0.0009, at=(0, y))
    points = [(-15, -2.5), (15, -2.5), (15, 2.5), (4.6, 2.5), (4.2, 6), (-4.2, 6), (-4.6, 2.5), (-15, 2.5)]
    radii = [2.4, 2.4, 2.4, 1.0, 3.0, 3.0, 1.0, 2.4]
    return fillet([(g * p / 1000, y + g * (q - 1.5) / 1000) for p, q in points], [g * r / 1000 for r in radii], 0.0009)


def _badge(front: UInt8[np.ndarray, "h w 3"], count: int, at: tuple[int, int], size: int, artwork: Artwork) -> None:
    """A round stamp with the number of units."""
    ink = (250, 250, 250) if sum(artwork.accent) < 420 else (25, 25, 28)
    cv2.circle(front, at, size, artwork.accent, -1, cv2.LINE_AA)
    cv2.circle(front, at, int(0.88 * size), ink, max(1, size // 20), cv2.LINE_AA)
    text, half = f"×{count}", int(0.55 * size)
    box = (at[0] - int(0.6 * size), at[1] - half, int(1.2 * size), int(1.1 * size))
    front[:] = draw_text(front.copy(), text, box, ink, FONTS[0])


def _card_pictures(card: _Card, artwork: Artwork, atlas: Atlas) -> list[UInt8[np.ndarray, "s s 3"]]:
    """Front and back of the card; the back is mirrored, as both sides share their UVs."""
    patch = atlas.patches[0]
    width, height = patch.picture_size
    one = height / card.height
    head, strip = int(card.header * one), int(0.021 * card.grow * one)  # the hang hole is in a strip without print
    front = np.empty((height, width, 3), np.uint8)
    fade = np.linspace(0, 1, height - head)[:, None]
    low = 0.45 * np.array(artwork.accent) + 0.55 * np.array(artwork.ground)
    front[head:] = ((1 - fade) * np.array(artwork.ground) + fade * low).astype(np.uint8)[:, None]
    front[:strip] = artwork.accent
    panel = paint_panel(artwork, "front", width, head - strip, px_per_mm=patch.px_per_mm)
    front[strip:head] = panel[: head - strip, :width]
    cv2.line(front, (0, head), (width, head), artwork.accent, max(2, int(0.8 * patch.px_per_mm)), cv2.LINE_AA)
    if card.count > 1:
        size = int(0.0085 * card.grow * one)
        _badge(front, card.count, (width - int(1.5 * size), head - int(1.3 * size)), size, artwork)
    back = paint_panel(artwork, "back", width, height, px_per_mm=patch.px_per_mm)
    return [paint_atlas(atlas, [p]) for p in (front, np.ascontiguousarray(back[:, ::-1]))]


def _card_sheet(card: _Card, rim: Contour, rise: float, artwork: Artwork, design: Design) -> Sheet:
    stock = STOCKS["coated_board"]
    t, spacing = stock.thickness_mm / 1000, stock.mechanics.spacing_mm / 1000
    outline = rounded_box(card.width, card.height, 0.004 * card.grow, spacing)
    flat = form_sheet(outline, spacing, holes=[_hang_hole(card)])
    points = flat.vertices.copy()
    points[:, 2] += t + _curl(rim, card, rise)(points[:, :2])
    atlas = pack_atlas([(1000 * card.width, 1000 * card.height)], design.texture_px)
    front, back = _card_pictures(card, artwork, atlas)
    face = printed(stock, stream(design, "colours"), front)
    behind = Material("card_back", (0.95, 0.95, 0.95), 0.0, 0.6, back)
    return make_sheet(
        "card", points, flat.faces, mesh_uv(flat, atlas), np.zeros(len(flat.faces), np.uint8),
        (face, behind, back_and_edge(stock)[1]), stock.mechanics, thickness_mm=stock.thickness_mm, levels=1,
        crease_deg=stock.crease_deg, panels=("card",),
    )  # fmt: skip


def _dome_sheet(card: _Card, unit: Unit, rise: float, design: Design) -> tuple[Sheet, Contour]:
    stock = STOCKS["clear_pet"]
    seats = np.array(card.seats)
    area = float(np.prod(np.ptp(seats, axis=0) + unit.size_m[:2] + 0.02))
    spacing = float(np.clip(np.sqrt(area / (0.87 * 3500)), 0.0015, 0.004))
    specimen = stream(design, "specimen")
    pockets, rim = _pockets(card, unit, spacing, card.grow * specimen.uniform(0.2, 0.9) / 1000)
    mesh = form_sheet(rim, spacing, pockets=pockets)
    lift = (STOCKS["coated_board"].thickness_mm + stock.thickness_mm + 0.03) / 1000
    points = mesh.vertices + np.array([0, 0, lift])
    points[:, 2] += _curl(rim, card, rise)(points[:, :2])
    face = printed(stock, stream(design, "colours"))
    sheet = make_sheet(
        "dome", points, mesh.faces, mesh.st, np.zeros(len(mesh.faces), np.uint8), (face, *back_and_edge(stock)),
        stock.mechanics, thickness_mm=stock.thickness_mm, levels=1, crease_deg=stock.crease_deg,
        panel=mesh.panel, panels=("flange", "dome"),
    )  # fmt: skip
    return sheet, rim


def _fill(card: _Card, units: list[Unit], design: Design) -> tuple[Part, ...]:
    """Units in their cavities, each a little off, some head to tail where they share a dome."""
    specimen = stream(design, "specimen")
    specimen.random(4)
    floor = STOCKS["coated_board"].thickness_mm / 1000 + 5e-5
    parts: list[Part] = []
    for k, (unit, seat) in enumerate(zip(units, card.seats, strict=False)):
        play = 0.8 * CLEAR if card.each else 0.3 * CLEAR
        lean = np.degrees(play / float(unit.size_m[:2].max()))
        R = turn(2, specimen.uniform(-lean, lean))
        if "A battery" in unit.kind:  # cells roll before the dome holds them
            centre = np.array([0, 0, unit.size_m[2] / 2])
            roll = turn(1, specimen.uniform(0, 360))
            t = np.array([*seat, floor]) + R @ (centre - roll @ centre)
            parts += place_unit(unit, R @ roll, t, item=2 + k)
            continue
        shift = specimen.uniform(-0.5, 0.5, 2) * play
        parts += place_unit(unit, R, np.array([seat[0] + shift[0], seat[1] + shift[1], floor]), item=2 + k)
    return tuple(parts)


def build_blister_pack(item_identifier: str, config: BlisterPackConfig, design: Design) -> Product:
    """Draw one blister pack."""
    rng = stream(design, "shape")
    if rng.random() < config.tablets_share:
        return build_tablet_blister(item_identifier, config.tablets, design, rng)
    kind = str(rng.choice(np.array(config.kinds)))
    make, goods = PACKED[kind]
    colours = stream(design, "colours")
    colours.random(3)
    g = design.grow ** (1 / 3)
    artwork = draw_artwork(design, goods, net="1 piece")
    form = deepcopy(rng)  # every unit has the same shape, and toys their own colours
    unit = make(Order(rng, colours, artwork, g))
    card = _lay_out(unit, kind, config, design, rng)
    artwork = draw_artwork(design, goods, net=f"{card.count} piece{'s' * (card.count > 1)}")
    units = [unit] * card.count
    if goods == "toys":
        units = [unit, *(make(Order(deepcopy(form), colours, artwork, g)) for _ in range(card.count - 1))]
    rise = stream(design, "specimen").uniform(*config.bow_mm) / 1000
    dome, rim = _dome_sheet(card, unit, rise, design)
    board = _card_sheet(card, rim, rise, artwork, design)
    contents = _fill(card, units, design)
    mass = 16.0 * 100 * card.width * card.height * 0.8 + 10 + sum(u.mass_g for u in units)
    high = card.dome_m + 0.0014  # board, foil and crown
    low, top = rim.min(axis=0), rim.max(axis=0)
    return Product(
        item_identifier=item_identifier,
        family="blister_pack",
        shape="box",
        packaging="primary",
        item_material="plastic_hard",
        sheets=(dome, board),
        contents=contents,
        core=None,
        attributes=catalogue_entry(
            artwork,
            category=f"carded {goods}",
            size_m=np.array([card.width, card.height, high]),
            mass_g=mass,
            units=card.count,
        ),
        mass_g=mass,
        hinges=(
            Hinge(
                "dome",
                ("dome",),
                (float(low[0]), float(low[1]), 0.0),
                (float(top[0]), float(low[1]), 0.0),
                140.0,
                "seal",
            ),
        ),
        lookalikes=tuple(sorted(_looks(card, rise))),
    )


def _looks(card: _Card, rise: float) -> set[str]:
    looks = {"hang_hole"}
    looks |= {"bow"} if rise > 0.0004 else set()
    looks |= {"empty_cavity"} if len(card.seats) > card.count else set()
    return looks | ({"odd_count"} if card.count > 2 and card.count % 2 else set())
