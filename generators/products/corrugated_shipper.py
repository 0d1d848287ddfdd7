"""A corrugated box as parcels come in: slotted flaps that meet under tape, or a die-cut mailer with a tucked front."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...sim.scene import Material, Part
from ..artwork import (
    FONTS,
    Artwork,
    Ink,
    draw_artwork,
    draw_ink,
    draw_kraft,
    draw_shipping_label,
    draw_text,
)
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, Stock, back_and_edge, printed
from ..mesh import Relief, Sheet, make_sheet
from ..shapes import box_panels, mesh_uv, move, solid
from .board import (
    add_relief,
    board_box,
    bow_relief,
    draw_bow,
    fold_relief,
    panel_place,
    rounded_block,
    slit_relief,
    ticks,
)
from .boardprint import cut_edge, extent_mm, perforation, stroke
from .product import Hinge, Product, catalogue_entry
from .tape import TAPES, lay_on, tape_strip

CREASE_M = 0.005
"""First row beside a fold: wider than the wall is thick, or its inner side would turn inside out."""
SLOT_M = 0.004
"""Rows beside the line where flaps meet."""
PANELS = ("front", "right", "back", "left", "top front", "top back", "bottom front", "bottom back")
MAILER_PANELS = ("front", "right", "back", "left", "top", "bottom")


class CorrugatedShipperConfig(BaseModel):
    """Ranges from which each shipping box is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    long_mm: tuple[float, float] = Field(default=(160.0, 340.0), description="longest side")
    middle_share: tuple[float, float] = Field(default=(0.55, 0.95), description="width over length")
    height_share: tuple[float, float] = Field(default=(0.3, 0.8), description="height over length of a slotted box")
    bow_mm: tuple[float, float] = Field(default=(0.0, 1.6), description="benign outward bow of each panel, no damage")
    mailer_share: float = Field(default=0.25, ge=0, le=1, description="share of flat die-cut mailers, without tape")
    white_share: float = Field(default=0.2, ge=0, le=1, description="share with a white outer liner")
    label_share: float = Field(default=0.75, ge=0, le=1, description="share with a shipping label")
    vent_share: float = Field(default=0.12, ge=0, le=1, description="share of slotted boxes with hand holes")
    bare_share: float = Field(default=0.15, ge=0, le=1, description="share of plain boxes without prints")

    @model_validator(mode="after")
    def _possible(self) -> "CorrugatedShipperConfig":
        if not 80 <= self.long_mm[0] <= self.long_mm[1] <= 800:
            raise ValueError(f"long_mm is {self.long_mm}; give (lowest, highest) within 80-800 mm")
        for name, low, high in (("middle_share", 0.2, 1), ("height_share", 0.1, 1.5)):
            a, b = getattr(self, name)
            if not low <= a <= b <= high:
                raise ValueError(f"{name} is {(a, b)}; give (lowest, highest) within {low}-{high}")
        if not 0 <= self.bow_mm[0] <= self.bow_mm[1] <= 8:
            raise ValueError(f"bow_mm is {self.bow_mm}; give (lowest, highest) within 0-8 mm")
        return self


@dataclass(frozen=True)
class _Shipper:
    """One box's drawn form."""

    size: Float[np.ndarray, "3"]
    mailer: bool
    white: bool
    tape: str | None
    tape_mm: float
    label: int | None
    """Number of the panel that bears the shipping label: 0, or 4 for the top."""
    vents: bool
    bare: bool
    pitch: float
    """Of the flutes [m]."""
    ridge: float
    """Height to which flutes show through [m]."""

    @property
    def stock(self) -> Stock:
        """What it is made of."""
        return STOCKS["white_corrugate" if self.white else "corrugate"]

    @property
    def wall_mm(self) -> float:
        """Mailers are of a finer flute."""
        return 1.7 if self.mailer else self.stock.thickness_mm


def _draw_form(config: CorrugatedShipperConfig, design: Design) -> _Shipper:
    rng = stream(design, "shape")
    long = rng.uniform(*config.long_mm)
    mailer = bool(rng.random() < config.mailer_share)
    tall = rng.uniform(0.16, 0.3) if mailer else rng.uniform(*config.height_share)
    size = np.array([long, long * rng.uniform(*config.middle_share), max(long * tall, 28.0)]) / 1000
    label, vents = rng.random() < config.label_share, rng.random() < config.vent_share
    return _Shipper(
        size=size * design.grow ** (1 / 3), mailer=mailer, white=bool(rng.random() < config.white_share),
        tape=None if mailer else str(rng.choice(list(TAPES), p=[0.3, 0.35, 0.15, 0.08, 0.12])),
        tape_mm=float(rng.choice([48.0, 50.0, 60.0])), label=(4 if rng.random() < 0.65 else 0) if label else None,
        vents=bool(vents and not mailer and size[2] > 0.11), bare=bool(rng.random() < config.bare_share),
        pitch=float(rng.uniform(6.4, 8.0)) / 1000, ridge=float(rng.uniform(0.02, 0.07)) / 1000,
    )  # fmt: skip


def _marks(form: _Shipper) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Rows beside the line where flaps meet."""
    middle = float(form.size[1]) / 2
    return (), () if form.mailer else (middle - SLOT_M, middle, middle + SLOT_M), ()


def _flutes(form: _Shipper) -> Relief:
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


def _relief(form: _Shipper, bow: Float[np.ndarray, "6"]) -> Relief:
    size = form.size
    parts = [bow_relief(size, bow), fold_relief(size, 0.0016), _flutes(form)]
    if form.mailer:
        parts.append(slit_relief(size, 4, axis=1, at=CREASE_M / 2, half=CREASE_M / 2, depth=0.0006))
    else:
        # Under tape that covers the gap it is shallower.
        deep = 0.0006 if form.tape in ("brown", "paper", "printed", "white") else 0.0009
        parts += [slit_relief(size, k, axis=1, at=float(size[1]) / 2, half=SLOT_M / 2, depth=deep) for k in (4, 5)]
    return add_relief(*parts)


def _kraft(rng: np.random.Generator, white: bool, sizes: list[tuple[int, int]]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """Liner for every panel, cut from one drawn sheet."""
    wide, high = (max(size[k] for size in sizes) for k in (0, 1))
    grey = cv2.cvtColor(draw_kraft(rng, (wide + 60) * 2 // 3, (high + 60) * 2 // 3), cv2.COLOR_RGB2GRAY).astype(
        np.float32
    )
    tone = 1 + (0.45 if white else 0.8) * (grey / grey.mean() - 1)
    level = rng.uniform(0.88, 1.06)  # from pale to dark brown, and redder as it gets darker
    liner = np.array([226, 224, 217]) if white else level * np.array([190, 150 + 18 * (level - 0.95), 111])
    sheet = np.clip(tone[..., None] * liner.astype(np.float32), 0, 255).astype(np.uint8)
    sheet = cv2.resize(sheet, (wide + 40, high + 40), interpolation=cv2.INTER_CUBIC)
    pictures = []
    for w, h in sizes:
        x, y = (int(v) for v in rng.integers(0, 40, 2))
        picture = sheet[y : y + h, x : x + w]
        pictures.append((picture[:, ::-1] if rng.random() < 0.5 else picture).copy())
    return pictures


def _arrows(picture: UInt8[np.ndarray, "h w 3"], scale: float, at: tuple[float, float], size: float, ink: Ink) -> None:
    """The two arrows of "this way up", over a line."""
    x, y = at
    for dx in (0.0, 0.55 * size):
        stroke(picture, scale, [(x + dx, y + size), (x + dx, y)], 0.1 * size, ink)
        head = [(x + dx - 0.18 * size, y + 0.28 * size), (x + dx, y), (x + dx + 0.18 * size, y + 0.28 * size)]
        stroke(picture, scale, head, 0.1 * size, ink)
    stroke(picture, scale, [(x - 0.25 * size, y + 1.15 * size), (x + 0.8 * size, y + 1.15 * size)], 0.09 * size, ink)


def _write(picture: UInt8[np.ndarray, "h w 3"], text: str, box: tuple[float, float, float, float], ink: Ink) -> None:
    """Write into a box given in shares of the picture, in place."""
    h, w = picture.shape[:2]
    x, y, wide, high = box
    picture[:] = draw_text(picture, text, (int(x * w), int(y * h), int(wide * w), int(high * h)), ink, FONTS[0])


def _print_walls(form: _Shipper, art: Artwork, pictures: list[UInt8[np.ndarray, "_ _ 3"]], scale: float, rng) -> None:
    ink = draw_ink(rng, 15.0, 90.0)
    if rng.random() < 0.4:
        ink = art.accent if sum(art.accent) < 480 else ink
    box, way_up = (0.1, rng.uniform(0.25, 0.4), rng.uniform(0.35, 0.75), 0.3), rng.random() < 0.6
    words = str(rng.choice(["FRAGILE", "HANDLE WITH CARE", "THIS SIDE UP", "KEEP DRY", art.title.upper()]))
    for k in (0, 2):
        _write(pictures[k], art.brand, box, ink)
        _write(pictures[k], words, (0.1, 0.78, 0.45, 0.1), ink)
    if form.mailer:
        _write(pictures[4], art.brand, (0.2, 0.34, 0.6, 0.28), ink)
    for k in (1, 3):
        w, h = extent_mm(pictures[k], scale)
        size = min(0.4 * h, 0.28 * w, 45.0)
        if way_up:
            _arrows(pictures[k], scale, (0.62 * w, 0.3 * h), size, ink)
        _write(pictures[k], art.ean, (0.08, 0.76, 0.4, 0.1), ink)


def _print_build(form: _Shipper, pictures: list[UInt8[np.ndarray, "_ _ 3"]], scale: float) -> None:
    """Slits, flap ends, the glued joint and hand holes, as the die leaves them."""
    board: Ink = (176, 142, 102)
    dark: Ink = (34, 24, 16)
    front, right, back, left, top, bottom = pictures
    if form.mailer:
        w, h = extent_mm(top, scale)
        stroke(top, scale, [(0, h - 1.0), (w, h - 1.0)], 1.0, dark, opacity=0.75)
        for wall in (right, left):  # the lid's sides tuck in behind the rolled walls
            cut_edge(wall, scale, "top", board, thickness_mm=2.0)
        wide, high = extent_mm(front, scale)
        for x in (0.0, wide):  # cherry locks: a slot at each end of the front
            inner = abs(x - 9.0)
            stroke(front, scale, [(inner, 0.18 * high), (inner, 0.62 * high)], 1.6, dark, opacity=0.8)
        cut_edge(front, scale, "top", board, thickness_mm=1.6)
        for x in (0.3 * wide, 0.7 * wide):  # the floor's tabs that hold the rolled sides
            stroke(bottom, scale, [(x, 6.0), (x + 14.0, 6.0)], 1.4, dark, opacity=0.7)
        return
    for picture in (top, bottom):
        w, h = extent_mm(picture, scale)
        stroke(picture, scale, [(0, h / 2), (w, h / 2)], 2.6, board, opacity=0.6)
        stroke(picture, scale, [(0, h / 2), (w, h / 2)], 1.3, dark, opacity=0.9)
    for wall in (right, left):
        for side in ("top", "bottom"):  # the long flaps end here: their corrugated edge is seen
            cut_edge(wall, scale, side, board, thickness_mm=2.4)
    cut_edge(back, scale, "right", board, thickness_mm=1.2)
    if form.vents:
        for wall in (right, left):
            w, h = extent_mm(wall, scale)
            hole = [(w / 2 - 34, 0.28 * h), (w / 2 + 34, 0.28 * h)]
            perforation(wall, scale, [(x, y - 11) for x, y in hole], dash_mm=5, gap_mm=2)
            stroke(wall, scale, hole, 22, board, opacity=0.25)
            stroke(wall, scale, [(w / 2 - 34, 0.28 * h + 11), (w / 2 + 34, 0.28 * h + 11)], 1.2, dark, opacity=0.8)


def _tape(form: _Shipper, brand: str, pictures, rough, scale: float, rng: np.random.Generator) -> None:
    """Tape along the slits of top and bottom, and down both sides."""
    assert form.tape is not None
    over = rng.uniform(0.55, 1.0, 2) * min(70.0, 450 * float(form.size[2]))
    _, right, _, left, top, bottom = range(6)
    gloss = round(255 * TAPES[form.tape][2])
    for panel, sign in ((top, -1.0), (bottom, 1.0)):
        h, w = pictures[panel].shape[:2]
        strip, cover = tape_strip(
            form.tape, brand, scale, size_mm=(w / scale + float(over.sum()), form.tape_mm), rng=rng
        )
        slip = round(float(rng.normal(0, 1.5)) * scale)
        start = round(float(over[0]) * scale)
        lay_on(
            pictures[panel], rough[panel], (-start, round(h / 2 + sign * slip - len(strip) / 2)), strip, cover, gloss
        )
        for wall, piece, turn in (
            (left, np.s_[:, :start], cv2.ROTATE_90_COUNTERCLOCKWISE),
            (right, np.s_[:, start + w :], cv2.ROTATE_90_CLOCKWISE),
        ):
            turned, alpha = cv2.rotate(strip[piece].copy(), turn), cv2.rotate(cover[piece].copy(), turn)
            if panel == bottom:  # seen from the side, the bottom's tape comes up
                turned, alpha = turned[::-1], alpha[::-1]
            tall, wide = pictures[wall].shape[:2]
            column = round(wide / 2 + (slip if wall == right else -slip) - turned.shape[1] / 2)
            row = tall - len(turned) if panel == bottom else 0
            lay_on(pictures[wall], rough[wall], (column, row), turned, alpha, gloss)


def _label(form: _Shipper, pictures, rough, scale: float, rng: np.random.Generator) -> None:
    """A shipping label, stuck on by hand: a little askew."""
    assert form.label is not None
    picture = pictures[form.label]
    h, w = picture.shape[:2]
    wide = min(float(rng.choice([100.0, 148.0, 105.0])) * scale, 0.8 * w, 1.2 * h)
    high = min(0.67 * wide, 0.85 * h)
    label = draw_shipping_label(rng, max(40, round(wide)), max(30, round(high)))
    side = round(1.1 * (wide + 0.12 * high) + 4)
    turn = cv2.getRotationMatrix2D((label.shape[1] / 2, label.shape[0] / 2), float(rng.normal(0, 1.6)), 1.0)
    turn[:, 2] += (side - label.shape[1]) / 2, (side - label.shape[0]) / 2
    turned = cv2.warpAffine(label, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(np.full(label.shape[:2], 255, np.uint8), turn, (side, side), flags=cv2.INTER_LINEAR)
    x = round(rng.uniform(0.06, 0.94) * (w - wide) + (wide - side) / 2)
    y = round(rng.uniform(0.06, 0.94) * (h - high) + (high - side) / 2)
    lay_on(picture, rough[form.label], (x, y), turned, cover, 130)


def _paint(form: _Shipper, art: Artwork, atlas: Atlas, design: Design):
    """The print, and where it is glossy: tape and label."""
    rng, specimen = stream(design, "layout"), stream(design, "specimen")
    scale = atlas.patches[0].px_per_mm
    pictures = _kraft(rng, form.white, [patch.picture_size for patch in atlas.patches])
    if not form.bare:
        _print_walls(form, art, pictures, scale, rng)
    _print_build(form, pictures, scale)
    rough = [np.full(picture.shape[:2], 255, np.uint8) for picture in pictures]
    draw_bow(specimen, (0.0, 1.0))  # as at the product's start: what follows it is drawn apart
    if form.tape is not None:
        _tape(form, art.brand, pictures, rough, scale, specimen)
    if form.label is not None:
        _label(form, pictures, rough, scale, specimen)
    gloss = paint_atlas(atlas, [np.repeat(r[..., None], 3, axis=2) for r in rough], ground=255)
    small = cv2.resize(gloss, (design.texture_px // 2, design.texture_px // 2), interpolation=cv2.INTER_AREA)
    small[..., 2] = 0
    return paint_atlas(atlas, pictures), small


def _wall(form: _Shipper, art: Artwork, design: Design, bow: Float[np.ndarray, "6"]) -> Sheet:
    stock, size = form.stock, form.size
    mesh = board_box(size, form.pitch, edge=CREASE_M, marks=_marks(form))
    sides = [(1000 * float(np.linalg.norm(u)), 1000 * float(np.linalg.norm(v))) for _, u, v in box_panels(size)]
    atlas = pack_atlas(sides, design.texture_px)
    texture, gloss = _paint(form, art, atlas, design)
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


def _contents(form: _Shipper, shape: np.random.Generator, specimen: np.random.Generator) -> tuple[Part, ...]:
    """One or two goods on the floor and crumpled paper over them."""
    clear = form.wall_mm / 1000 + 0.002
    room = form.size - 2 * np.array([clear, clear, clear + 0.002])
    count = int(shape.integers(1, 3))
    parts, left = [], -room[0] / 2
    high = room[2] * shape.uniform(0.5, 0.8)
    for k in range(count):
        size = np.array([room[0] / count * shape.uniform(0.8, 0.97), room[1] * shape.uniform(0.8, 0.97), high])
        slack = np.array([room[0] / count, room[1]]) - size[:2]
        at = np.array([left + (k + 0.5) * room[0] / count, 0.0, clear])
        at[:2] += slack / 2 * specimen.uniform(-0.9, 0.9, 2)
        tone = tuple(float(v) for v in shape.uniform(0.08, 0.6, 3))
        mesh = move(rounded_block(size, 0.002, steps=2, inner=2), np.eye(3), at)
        parts.append(solid(mesh, f"goods {k + 1}", Material(f"goods {k + 1}", tone, 0.0, 0.5)))  # type: ignore[arg-type]
    fill = np.array([0.97 * room[0], 0.97 * room[1], (room[2] - high) * 0.9])
    if fill[2] > 0.004:
        mesh = rounded_block(fill, 0.4 * float(fill[2]), steps=3, inner=18)
        points = mesh.vertices
        wave = sum(np.sin(points @ (specimen.normal(size=3) * 2 * np.pi / 0.03) + k) for k in range(5)) / 5
        crumpled = points * np.array([1, 1, 0.9]) + np.array([0, 0, 1]) * (0.08 * fill[2] * wave)[:, None]
        mesh = type(mesh)(crumpled + np.array([0, 0, clear + high + 0.04 * fill[2]]), mesh.faces, mesh.st, mesh.panel)
        parts.append(solid(mesh, "paper fill", Material("paper fill", (0.45, 0.34, 0.23), 0.0, 0.95)))
    return tuple(parts)


def _hinges(form: _Shipper) -> tuple[Hinge, ...]:
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
    contents = _contents(form, rng, specimen)
    solid_parts = np.concatenate([part.vertices for part in contents if part.name.startswith("goods")])
    looks = {
        "bow": bowed, "flutes": form.ridge > 0.00004, "tape": form.tape is not None,
        "vent": form.vents, "die_cut": form.mailer,
    }  # fmt: skip
    return Product(
        item_identifier=item_identifier, family="corrugated_shipper", shape="box", packaging="outer",
        item_material="cardboard", sheets=(_wall(form, art, design, bow),), contents=contents,
        core=np.stack([solid_parts.min(axis=0), solid_parts.max(axis=0)]),
        attributes=catalogue_entry(art, category="shipping box", size_m=form.size, mass_g=mass), mass_g=mass,
        hinges=_hinges(form), lookalikes=tuple(sorted(name for name, has in looks.items() if has)),
    )  # fmt: skip
