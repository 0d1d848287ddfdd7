"""A corrugated box as parcels come in: slotted flaps that meet under tape, or a die-cut mailer with a tucked front."""

from dataclasses import replace
from typing import Annotated

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import Material, Part
from ..artwork import Artwork, draw_artwork
from ..atlas import pack_atlas
from ..design import Design, stream
from ..materials import back_and_edge, printed
from ..mesh import Relief, Sheet, make_sheet
from ..shapes import box_panels, mesh_uv, solid
from .board import (
    add_relief,
    board_box,
    bow_relief,
    draw_bow,
    fold_relief,
    panel_place,
    rounded_block,
    slit_relief,
    superellipse,
    ticks,
)
from .innerbox import inner_design, plain_box, printed_box
from .product import Hinge, Product, catalogue_entry
from .ranges import within
from .shipperprint import HAND, Shipper, paint_shipper
from .tape import TAPES

CREASE_M = 0.005
"""First row beside a fold: wider than the wall is thick, or its inner side would turn inside out."""
SLOT_M = 0.004
"""Rows beside the line where flaps meet."""
PANELS = ("front", "right", "back", "left", "top front", "top back", "bottom front", "bottom back")
MAILER_PANELS = ("front", "right", "back", "left", "top", "bottom")


class CorrugatedShipperConfig(BaseModel):
    """Ranges from which each shipping box is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    long_mm: Annotated[tuple[float, float], within(80, 800)] = Field(default=(160.0, 340.0), description="longest side")
    middle_share: Annotated[tuple[float, float], within(0.2, 1)] = Field(
        default=(0.55, 0.95), description="width over length"
    )
    height_share: Annotated[tuple[float, float], within(0.1, 1.5)] = Field(
        default=(0.3, 0.8), description="height over length of a slotted box"
    )
    bow_mm: Annotated[tuple[float, float], within(0, 8)] = Field(
        default=(0.0, 1.6), description="benign outward bow of each panel, no damage"
    )
    mailer_share: float = Field(default=0.25, ge=0, le=1, description="share of flat die-cut mailers, without tape")
    white_share: float = Field(default=0.2, ge=0, le=1, description="share with a white outer liner")
    label_share: float = Field(default=0.75, ge=0, le=1, description="share with a shipping label")
    hand_hole_share: float = Field(
        default=0.14, ge=0, le=1, description="share of slotted boxes with hand holes, half of them not pushed through"
    )
    vent_share: float = Field(default=0.08, ge=0, le=1, description="share of slotted boxes with round vents")
    bare_share: float = Field(default=0.15, ge=0, le=1, description="share of plain boxes without prints")


def _draw_form(config: CorrugatedShipperConfig, design: Design) -> Shipper:
    rng = stream(design, "shape")
    long = rng.uniform(*config.long_mm)
    mailer = bool(rng.random() < config.mailer_share)
    tall = rng.uniform(0.16, 0.3) if mailer else rng.uniform(*config.height_share)
    size = np.array([long, long * rng.uniform(*config.middle_share), max(long * tall, 28.0)]) / 1000
    size = size * design.grow ** (1 / 3)
    label, handy = rng.random() < config.label_share, rng.random() < config.hand_hole_share
    form = Shipper(
        size=size, mailer=mailer, white=bool(rng.random() < config.white_share),
        tape=None if mailer else str(rng.choice(list(TAPES), p=[0.3, 0.35, 0.15, 0.08, 0.12])),
        tape_mm=float(rng.choice([48.0, 50.0, 60.0])), label=(4 if rng.random() < 0.65 else 0) if label else None,
        hand=None, openings={}, bare=bool(rng.random() < config.bare_share),
        pitch=float(rng.uniform(6.4, 8.0)) / 1000, ridge=float(rng.uniform(0.02, 0.07)) / 1000,
    )  # fmt: skip
    hand = str(rng.choice(["open", "pressed"])) if handy else None
    vented = rng.random() < config.vent_share
    if mailer or size[1:].min() < 0.11:
        return form
    return replace(form, hand=hand, openings=_cut_out(size, hand, vented, rng))


def _cut_out(
    size: Float[np.ndarray, "3"], hand: str | None, vented: bool, rng: np.random.Generator
) -> dict[int, list[Float[np.ndarray, "_ 2"]]]:
    """Hand holes and vents of the right and left walls."""
    wide, high = float(size[1]), float(size[2])
    holes = []
    if hand == "open":
        half = min(float(rng.uniform(0.034, 0.045)), 0.3 * wide), float(rng.uniform(0.011, 0.014))
        holes.append(superellipse((wide / 2, HAND * high), half, power=float(rng.choice([3.0, 5.0])), step=0.004))
    if vented:
        radius, count = float(rng.uniform(0.006, 0.0095)), int(rng.integers(2, 4))
        for k in range(count):
            at = wide * (0.5 + 0.22 * (2 * k + 1 - count)), 0.36 * high
            holes.append(superellipse(at, (radius, radius), power=2.0, step=0.003))
    return {1: holes, 3: holes} if holes else {}


def _marks(form: Shipper) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Rows beside the line where flaps meet."""
    middle = float(form.size[1]) / 2
    return (), () if form.mailer else (middle - SLOT_M, middle, middle + SLOT_M), ()


def _flutes(form: Shipper) -> Relief:
    """Flutes show through: crests lie on the simulated rows, hollows on the rows between, so that none is missed."""
    size = form.size
    rows = [ticks(float(v), form.pitch, edge=CREASE_M, marks=m) for v, m in zip(size, _marks(form), strict=True)]

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        out = np.zeros(len(points))
        for panel in range(6):
            on, s, t = panel_place(size, panel, points)
            tall = float(size[1] if panel > 3 else size[2])
            fade = np.clip(np.minimum(t, tall - t) / 0.015 - 0.3, 0, 1)  # folds are pressed flat
            line = rows[1] if panel in (1, 3) else rows[0]
            phase = np.interp(s, line, np.arange(len(line)))
            rim = (phase < 1.2) | (phase > len(line) - 2.2)
            out += np.where(on & ~rim, fade * form.ridge * np.cos(2 * np.pi * phase), 0.0)
        return out

    return height


def _relief(form: Shipper, bow: Float[np.ndarray, "6"]) -> Relief:
    size = form.size
    parts = [bow_relief(size, bow), fold_relief(size, 0.0016), _flutes(form)]
    if form.mailer:
        parts.append(slit_relief(size, 4, axis=1, at=CREASE_M / 2, half=CREASE_M / 2, depth=0.0006))
    else:
        # Under tape that covers the gap it is shallower.
        deep = 0.0006 if form.tape in ("brown", "paper", "printed", "white") else 0.0009
        parts += [slit_relief(size, k, axis=1, at=float(size[1]) / 2, half=SLOT_M / 2, depth=deep) for k in (4, 5)]
    return add_relief(*parts)


def _wall(form: Shipper, art: Artwork, design: Design, bow: Float[np.ndarray, "6"]) -> Sheet:
    stock, size = form.stock, form.size
    mesh = board_box(size, form.pitch, edge=CREASE_M, marks=_marks(form), holes=form.openings)
    sides = [(1000 * float(np.linalg.norm(u)), 1000 * float(np.linalg.norm(v))) for _, u, v in box_panels(size)]
    atlas = pack_atlas(sides, design.texture_px)
    texture, gloss = paint_shipper(form, art, atlas, design)
    panel = mesh.panel.copy()
    if not form.mailer:
        away = mesh.vertices[mesh.faces].mean(axis=1)[:, 1] > 0
        panel = np.where(mesh.panel == 4, 4 + away, np.where(mesh.panel == 5, 6 + away, mesh.panel)).astype(np.uint8)
    return make_sheet(
        "corrugate", mesh.vertices, mesh.faces, mesh_uv(mesh, atlas), np.zeros(len(mesh.faces), np.uint8),
        (printed(stock, stream(design, "colours"), texture, gloss), *back_and_edge(stock)), stock.mechanics,
        thickness_mm=form.wall_mm, levels=1, crease_deg=48.0, relief=_relief(form, bow), panel=panel,
        panels=MAILER_PANELS if form.mailer else PANELS,
    )  # fmt: skip


def _contents(
    form: Shipper, design: Design, shape: np.random.Generator, specimen: np.random.Generator
) -> tuple[Part, ...]:
    """One or two goods on the floor and crumpled paper over them."""
    clear = form.wall_mm / 1000 + 0.002
    room = form.size - 2 * np.array([clear, clear, clear + 0.002])
    count, alike = int(shape.integers(1, 3)), bool(shape.random() < 0.4)
    parts, left = [], -room[0] / 2
    high = room[2] * shape.uniform(0.5, 0.8)
    for k in range(count):
        size = np.array([room[0] / count * shape.uniform(0.8, 0.97), room[1] * shape.uniform(0.8, 0.97), high])
        slack = np.array([room[0] / count, room[1]]) - size[:2]
        at = np.array([left + (k + 0.5) * room[0] / count, 0.0, clear])
        at[:2] += slack / 2 * specimen.uniform(-0.9, 0.9, 2)
        make = plain_box if shape.random() < 0.3 else printed_box
        goods = make(size, f"goods {k + 1}", inner_design(design, "goods" if alike else f"goods {k + 1}"))
        parts.append(replace(goods, vertices=goods.vertices + at))
    fill = np.array([0.97 * room[0], 0.97 * room[1], (room[2] - high) * 0.9])
    if fill[2] > 0.004:
        mesh = rounded_block(fill, 0.4 * float(fill[2]), steps=3, inner=18)
        points = mesh.vertices
        wave = sum(np.sin(points @ (specimen.normal(size=3) * 2 * np.pi / 0.03) + k) for k in range(5)) / 5
        crumpled = points * np.array([1, 1, 0.9]) + np.array([0, 0, 1]) * (0.08 * fill[2] * wave)[:, None]
        mesh = type(mesh)(crumpled + np.array([0, 0, clear + high + 0.04 * fill[2]]), mesh.faces, mesh.st, mesh.panel)
        parts.append(solid(mesh, "paper fill", Material("paper fill", (0.45, 0.34, 0.23), 0.0, 0.95)))
    return tuple(parts)


def _hinges(form: Shipper) -> tuple[Hinge, ...]:
    x, y, z = (float(v) for v in form.size / np.array([2, 2, 1]))
    if form.mailer:
        return (Hinge("lid", ("top",), (x, y, z), (-x, y, z), 170.0, "tuck"),)
    by = "glue" if form.tape is None else "tape"
    return (
        Hinge("top front flap", ("top front",), (-x, -y, z), (x, -y, z), 170.0, by),
        Hinge("top back flap", ("top back",), (x, y, z), (-x, y, z), 170.0, by),
        Hinge("bottom front flap", ("bottom front",), (x, -y, 0), (-x, -y, 0), 170.0, by),
        Hinge("bottom back flap", ("bottom back",), (-x, y, 0), (x, y, 0), 170.0, by),
    )


def build_corrugated_shipper(item_identifier: str, config: CorrugatedShipperConfig, design: Design) -> Product:
    """Draw one shipping box."""
    form, specimen = _draw_form(config, design), stream(design, "specimen")
    bow, bowed = draw_bow(specimen, config.bow_mm)
    rng = stream(design, "shape")
    x, y, z = form.size
    litres = float(x * y * z) * 1000
    walls = 2 * (x * y * 2 + y * z + x * z) * 550  # g: C flute board weighs about 550 g/m²; flaps are double
    goods = litres * float(rng.uniform(90, 420))
    mass = float(walls + goods)
    art = draw_artwork(design, "electronics", net=f"{max(1, round(goods / 10) * 10)} g")
    contents = _contents(form, design, rng, specimen)
    solid_parts = np.concatenate([part.vertices for part in contents if part.name.startswith("goods")])
    looks = {
        "bow": bowed, "flutes": form.ridge > 0.00004, "tape": form.tape is not None,
        "vent": len(form.openings.get(1, [])) > (form.hand == "open"), "die_cut": form.mailer,
        "hand_hole": form.hand == "open", "perforation": form.hand == "pressed",
    }  # fmt: skip
    return Product(
        item_identifier=item_identifier, family="corrugated_shipper", shape="box", packaging="outer",
        item_material="cardboard", sheets=(_wall(form, art, design, bow),), contents=contents,
        core=np.stack([solid_parts.min(axis=0), solid_parts.max(axis=0)]),
        attributes=catalogue_entry(art, category="shipping box", size_m=form.size, mass_g=mass), mass_g=mass,
        hinges=_hinges(form), lookalikes=tuple(sorted(name for name, has in looks.items() if has)),
    )  # fmt: skip
