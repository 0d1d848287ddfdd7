"""A stand-up pouch: two films on a folded gusset, with a zip, tear notches and, for coffee, a valve."""

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import Material
from ..artwork import Artwork, draw_artwork, paint_column, paint_panel, run_of
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..inflate import Filling
from ..materials import STOCKS, printed
from .bag import Bag, Cut
from .filling import granules
from .film import (
    Form,
    add_forms,
    bag_sheet,
    crease_form,
    crimp_form,
    fill_bag,
    film_spacing,
    flat_relief,
    heap,
    teabag_volume,
    wrinkle_form,
)
from .filmprint import Picture, metal_and_gloss, paint_crimp, paint_inset, scale_rows
from .product import Hinge, Product, catalogue_entry
from .ranges import within

GOODS = {
    "coffee": (390.0, (0.1, 0.05, 0.03), 12),
    "tea": (250.0, (0.12, 0.1, 0.05), 10),
    "nuts": (560.0, (0.5, 0.3, 0.14), 20),
    "pet food": (430.0, (0.3, 0.17, 0.09), 22),
    "rice": (800.0, (0.8, 0.77, 0.66), 10),
}
"""Bulk density [kg/m³], colour and size of the pieces [px] by what is in it."""


class StandupPouchConfig(BaseModel):
    """Ranges from which each pouch is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width_mm: Annotated[tuple[float, float], within(60, 300)] = Field(
        default=(105.0, 170.0), description="width of the flat pouch, 60-300 mm"
    )
    slenderness: Annotated[tuple[float, float], within(1.2, 2.5)] = Field(
        default=(1.45, 1.85), description="height over width of the flat pouch, 1.2-2.5"
    )
    gusset_share: Annotated[tuple[float, float], within(0.15, 0.4)] = Field(
        default=(0.25, 0.32), description="depth of the folded gusset over the width, 0.15-0.4"
    )
    seal_mm: Annotated[tuple[float, float], within(3, 15)] = Field(
        default=(5.0, 9.0), description="width of the side seals, 3-15 mm"
    )
    fullness: Annotated[tuple[float, float], within(0.3, 1)] = Field(
        default=(0.6, 0.85), description="contents over what the pouch can hold, 0.3-1"
    )
    zip_share: float = Field(default=0.65, ge=0, le=1, description="pouches with a zip")
    valve_share: float = Field(default=0.7, ge=0, le=1, description="coffee pouches with a degassing valve")
    notch_share: float = Field(default=0.75, ge=0, le=1, description="pouches with tear notches")
    metallised_share: float = Field(default=0.3, ge=0, le=1, description="pouches with bare metal in their print")
    matt_share: float = Field(default=0.5, ge=0, le=1, description="pouches of matt film")
    wrinkle_mm: Annotated[tuple[float, float], within(0, 5)] = Field(
        default=(0.4, 1.8), description="how far the film is pushed at random, 0-5 mm"
    )
    creases: Annotated[tuple[int, int], within(0, 60)] = Field(
        default=(0, 12), description="benign creases in the film"
    )


@dataclass(frozen=True)
class _Pouch:
    cut: Cut
    volume: float
    goods: str
    zip_m: float | None
    """Height of the zip above the bottom [m]."""
    notch_m: float | None
    valve: tuple[float, float, float] | None
    """x, t and radius [m]."""


def _draw_pouch(config: StandupPouchConfig, design: Design) -> _Pouch:
    rng = stream(design, "shape")
    grow = design.grow ** (1 / 3)
    width = rng.uniform(*config.width_mm) / 1000 * grow
    height = width * rng.uniform(*config.slenderness)
    gusset = width * rng.uniform(*config.gusset_share)
    side, top = rng.uniform(*config.seal_mm) / 1000, rng.uniform(8, 14) / 1000
    full = rng.uniform(*config.fullness)
    goods = str(stream(design, "words").choice(list(GOODS), p=[0.6, 0.1, 0.12, 0.1, 0.08]))
    zip_m = height - top - rng.uniform(0.016, 0.03) if rng.random() < config.zip_share else None
    notch = height - top - rng.uniform(0.003, 0.009) if rng.random() < config.notch_share else None
    valve = (rng.uniform(-0.05, 0.05) * width, height * rng.uniform(0.62, 0.72), rng.uniform(0.008, 0.0115))
    with_valve = goods == "coffee" and rng.random() < config.valve_share
    lines = [(height - top, height, 0.0015)]
    if zip_m is not None:
        lines.append((zip_m - 0.0048, zip_m + 0.0048, 0.0012))
    corner = rng.uniform(0.003, 0.008) if rng.random() < 0.6 else 0.0
    cut = Cut(width, height, side, top, 0.0, gusset, float(corner), tuple(lines))
    holds = 0.86 * teabag_volume(width - 2 * side, height - top) + 0.5 * gusset**2 * width
    return _Pouch(cut, float(full * holds), goods, zip_m, notch, valve if with_valve else None)


def _ask(pouch: _Pouch):
    """Granules push hardest at the bottom; the gusset stands on the floor and is hardly pushed at all."""

    def ask(bag: Bag) -> Filling:
        level = 0.85 * pouch.cut.height
        push = 0.25 + np.clip(1 - bag.flat[:, 1] / level, 0, 1)
        if bag.gusset.size:
            push[bag.gusset[:, 1:-1]] = 0.1
        pressure = np.ones(int(bag.node.max()) + 1)
        pressure[bag.node] = push
        return Filling(volume_m3=pouch.volume, pressure=pressure, weight_m=3e-5, floor_m=0.0)

    return ask


def _marks_form(pouch: _Pouch) -> Form:
    """A zip's two profiles, and the valve's disc on the front."""
    cut = pouch.cut

    def form(x, t, side):
        out = np.zeros(len(x))
        inside = np.abs(x) < cut.width / 2 - 0.3 * cut.side_seal
        if pouch.zip_m is not None:
            for at in (-0.0024, 0.0024):
                out += np.where(
                    inside & (np.abs(side) == 1), 0.0009 * np.clip(1 - np.abs(t - pouch.zip_m - at) / 0.0022, 0, 1), 0.0
                )
        if pouch.valve is not None:
            vx, vt, radius = pouch.valve
            away = np.hypot(x - vx, t - vt)
            disc = np.clip((radius - away) / 0.002 + 0.5, 0, 1)
            out += np.where(side > 0, 0.0011 * disc, 0.0)
        return out

    return form


def _at(picture: Picture, cut: Cut, px_per_mm: float, x: float, t: float) -> tuple[int, int]:
    return round(picture.shape[1] / 2 + 1000 * x * px_per_mm), round(1000 * (cut.height - t) * px_per_mm)


def _paint_valve(picture: Picture, pouch: _Pouch, px_per_mm: float) -> None:
    """The disc welded in behind the film: its rim's light and shade, and the holes."""
    if pouch.valve is None:
        return
    x, t, radius = pouch.valve
    middle = _at(picture, pouch.cut, px_per_mm, x, t)
    r = 1000 * radius * px_per_mm
    reach = round(r) + 2
    rows, columns = (slice(max(0, m - reach), m + reach) for m in middle[::-1])
    part = picture[rows, columns]
    down = np.arange(rows.start, rows.start + part.shape[0]) - middle[1]
    across = np.arange(columns.start, columns.start + part.shape[1]) - middle[0]
    away = np.hypot(down[:, None], across[None]) / r
    # The print goes on over the disc; only its light and shade are added.
    at = (0, 0.48, 0.53, 0.58, 0.86, 0.92, 0.97, 1.0, 1.04)
    gain = np.interp(away, at, (1.06, 1.06, 0.8, 1.0, 1.0, 1.2, 0.8, 0.6, 1.0))
    picture[rows, columns] = np.clip(part * gain[..., None], 0, 255).astype(np.uint8)
    for k in range(5):
        turn = 2 * np.pi * k / 5
        hole = (round(middle[0] + 0.28 * r * np.cos(turn)), round(middle[1] + 0.28 * r * np.sin(turn)))
        cv2.circle(picture, hole, max(1, round(0.06 * r)), (25, 22, 20), -1, cv2.LINE_AA)


def _paint_marks(picture: Picture, pouch: _Pouch, px_per_mm: float, *, front: bool) -> None:
    """Side seals, the zip's pressed line, tear notches, the curve of the bottom seal."""
    cut, height = pouch.cut, picture.shape[0]
    wide = max(2, round(1000 * cut.side_seal * px_per_mm))
    for columns in (np.s_[:, :wide], np.s_[:, -wide:]):
        picture[columns] = (picture[columns] * 0.93).astype(np.uint8)
    for line in (wide, picture.shape[1] - wide - 1):
        picture[:, line] = (picture[:, line] * 0.75).astype(np.uint8)
    if pouch.zip_m is not None:
        for at in (-0.0024, 0.0024):
            row = _at(picture, cut, px_per_mm, 0.0, pouch.zip_m + at)[1]
            half = max(1, round(1.3 * px_per_mm))
            gain = 1 + 0.16 * np.cos(np.linspace(0, 2 * np.pi, 2 * half)) * -1
            scale_rows(picture, row - half, row + half, gain)
    if pouch.notch_m is not None:
        deep = max(3, round(3.2 * px_per_mm))
        row, half = _at(picture, cut, px_per_mm, 0.0, pouch.notch_m)[1], max(1, round(0.9 * px_per_mm))
        for side in (0, picture.shape[1] - 1):
            tip = deep if side == 0 else side - deep
            cv2.fillPoly(
                picture, [np.array([[side, row - half], [tip, row], [side, row + half]])], (28, 26, 25), cv2.LINE_AA
            )
    rise = 1000 * cut.gusset * px_per_mm
    u = np.linspace(-1, 1, 60)
    curve = (
        np.stack([(u + 1) / 2 * picture.shape[1], height - rise * (0.1 + 0.9 * np.abs(u) ** 2.6)], 1)
        .round()
        .astype(np.int32)
    )
    low = max(0, round(height - 1.1 * rise))
    shade = picture[low:].copy()
    cv2.polylines(shade, [curve - (0, low)], False, (40, 40, 40), max(1, round(0.5 * px_per_mm)), cv2.LINE_AA)
    picture[low:] = cv2.addWeighted(picture[low:], 0.75, shade, 0.25, 0)
    if front:
        _paint_valve(picture, pouch, px_per_mm)


def _paint(artwork: Artwork, atlas: Atlas, pouch: _Pouch) -> list[Picture]:
    """Front, back and gusset; what runs over the front's lower edge ends at the gusset's fold."""
    cut, scale = pouch.cut, atlas.patches[0].px_per_mm
    clear = 1.1 * cut.top_seal, 0.2 * cut.gusset, cut.side_seal
    width, height = atlas.patches[0].picture_size
    fold = atlas.patches[2].picture_size[1] // 2
    gusset = paint_panel(artwork, "plain", *atlas.patches[2].picture_size, px_per_mm=scale).copy()
    if run_of(artwork) in ("ground", "belt", "title"):
        up, down, side = (round(1000 * m * scale) for m in clear)
        film = paint_column(
            artwork, ("front", "plain"), width, (height, fold), px_per_mm=scale, keep=(side, up, down)
        )  # fmt: skip
        front, gusset[:fold] = film[:height].copy(), film[height:]
    else:
        front = paint_inset(artwork, "front", atlas.patches[0], *clear)
    back = paint_inset(artwork, "back", atlas.patches[1], *clear)
    for picture in (front, back):
        _paint_marks(picture, pouch, scale, front=picture is front)
        paint_crimp(picture, scale, cut, pitch=0.003, ink=None)
    return [front, back, gusset]


def build_standup_pouch(item_identifier: str, config: StandupPouchConfig, design: Design) -> Product:
    """Draw one pouch."""
    pouch = _draw_pouch(config, design)
    cut, specimen, colours = pouch.cut, stream(design, "specimen"), stream(design, "colours")
    density, tone, grain = GOODS[pouch.goods]
    metal = colours.random() < config.metallised_share
    matt = colours.random() < config.matt_share
    stock = STOCKS["metallised_film" if metal else "matt_film" if matt else "gloss_film"]
    filled = fill_bag(
        cut, film_spacing(stock, cut), _ask(pouch), standing=True, volume_m3=pouch.volume, bending=0.2, rng=specimen,
        wrinkle_m=specimen.uniform(*config.wrinkle_mm) / 1000,
    )  # fmt: skip
    mass = 0.88 * density * 1000 * pouch.volume
    artwork = draw_artwork(design, pouch.goods, net=f"{mass:.0f} g")
    wide, high = 1000 * cut.width, 1000 * cut.height
    atlas = pack_atlas([(wide, high), (wide, high), (wide, 2000 * cut.gusset)], design.texture_px)
    pictures = _paint(artwork, atlas, pouch)
    gloss = metal_and_gloss(artwork, atlas, pictures, metal=metal, rng=colours)
    creases = int(specimen.integers(config.creases[0], config.creases[1] + 1))
    crimps = crimp_form(cut, pitch=0.003, rise=0.00015)
    form = add_forms(
        wrinkle_form(cut, specimen, count=int(specimen.integers(6, 18)), rise=0.001, length=0.03),
        crease_form(cut, specimen, count=creases, rise=0.0006),
        _marks_form(pouch),
    )
    sheet = bag_sheet(
        "film",
        filled,
        stock,
        atlas,
        printed(stock, colours, paint_atlas(atlas, pictures), gloss),
        flat_relief(filled, form, crimps),
    )
    pieces = Material(pouch.goods, (1.0, 1.0, 1.0), 0.0, 0.75, granules(design.number % 2, tone, grain))
    marks = {
        "crimp": True,
        "valve": pouch.valve,
        "tear_notch": pouch.notch_m,
        "zip": pouch.zip_m,
        "folds": creases,
        "wrinkles": True,
    }
    open_at = float(pouch.zip_m or cut.height - cut.top_seal) / cut.height * float(filled.size_m[2])
    return Product(
        item_identifier=item_identifier,
        family="standup_pouch",
        shape="soft",
        packaging="primary",
        item_material="plastic_loose_bag",
        sheets=(sheet,),
        contents=(heap(filled, pieces, pouch.goods, rng=specimen, full=0.78, clearance=0.003, lumps=0.002),),
        core=None,
        attributes=catalogue_entry(artwork, category="stand-up pouch", size_m=filled.size_m, mass_g=mass + 12),
        mass_g=mass + 12,
        hinges=(
            Hinge("zip", ("front",), (cut.width / 2, 0.0, open_at), (-cut.width / 2, 0.0, open_at), 100.0, "seal"),
        ),
        lookalikes=tuple(sorted(name for name, has in marks.items() if has)),
        fill_ml=float(0.85e6 * pouch.volume),
    )
