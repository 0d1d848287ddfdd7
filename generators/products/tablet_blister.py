"""Tablet blisters: a formed foil with a grid of pockets, a tablet in each, and a printed lid that is pushed through."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...sim.scene import Material, Part
from ..artwork import FONTS, Artwork, draw_artwork, draw_text
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..forming import Contour, Pocket, circle, form_sheet, rounded_box, wall_steps
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import Sheet, make_sheet
from ..shapes import flip, mesh_uv
from .packed import capsule, tablet
from .product import Hinge, Product, catalogue_entry
from .units import Order, Unit, place_unit, turn

LID_M = 0.00004
Bend = Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]


class TabletBlisterConfig(BaseModel):
    """Ranges from which each tablet blister is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: tuple[int, int] = Field(default=(3, 7), description="pockets along the blister")
    columns: tuple[int, int] = Field(default=(2, 4), description="pockets across")
    uneven_share: float = Field(
        default=0.25, ge=0, le=1, description="share whose grid is no full rectangle, by design"
    )
    empty_share: float = Field(default=0.15, ge=0, le=1, description="share with pockets that are empty by design")
    perforated_share: float = Field(default=0.5, ge=0, le=1, description="share with lines to tear along")
    opaque_share: float = Field(default=0.35, ge=0, le=1, description="share of white or cold-formed aluminium pockets")
    bow_mm: tuple[float, float] = Field(default=(0.0, 1.2), description="benign bend along the blister, no damage")

    @model_validator(mode="after")
    def _can_be_made(self) -> "TabletBlisterConfig":
        for name in ("rows", "columns"):
            low, high = getattr(self, name)
            if not 1 <= low <= high:
                raise ValueError(f"`{name}` is ({low}, {high}): give at least 1, the smaller number first")
        if self.rows[1] * self.columns[1] > 60:
            raise ValueError(
                f"`rows` times `columns` may come to {self.rows[1] * self.columns[1]} pockets: "
                "lower one, at most 60 fit"
            )
        return self


@dataclass(frozen=True)
class _Grid:
    """One blister's drawn layout [m], its rows along y."""

    width: float
    height: float
    seats: tuple[tuple[float, float], ...]
    count: int
    pitch: tuple[float, float]
    rows: int
    columns: int
    slant: float
    """Pockets turned by this [rad]: oblong tablets often lie across or aslant."""
    tears: bool
    uneven: bool
    wall: Float[np.ndarray, "k 2"]
    look: str
    """``clear``, ``amber``, ``white`` or ``aluminium``."""


def _draw_look(config: TabletBlisterConfig, rng: np.random.Generator) -> str:
    if rng.random() < config.opaque_share:
        return str(rng.choice(["white", "aluminium"]))
    return str(rng.choice(["clear", "clear", "amber"]))


def _draw_grid(unit: Unit, config: TabletBlisterConfig, design: Design, rng: np.random.Generator) -> _Grid:
    g = design.grow ** (1 / 3)
    rows = int(rng.integers(config.rows[0], config.rows[1] + 1))
    columns = int(rng.integers(config.columns[0], config.columns[1] + 1))
    look = _draw_look(config, rng)
    deep = float(unit.size_m[2]) + g * rng.uniform(0.7, 1.4) / 1000
    soft = look == "aluminium"  # cold-formed pockets are wider and shallower at the edge
    wall = wall_steps(
        deep, draft_deg=26.0 if soft else 10.0, foot_m=(0.0012 if soft else 0.0004) * g, top_m=0.4 * deep, rows=1
    )
    out = float(wall[-1, 0]) + 0.0005 * g
    slant = float(np.radians(rng.choice([0.0, 0.0, 45.0, 90.0]))) if unit.size_m[1] > 1.3 * unit.size_m[0] else 0.0
    c, s = abs(np.cos(slant)), abs(np.sin(slant))
    w, h = unit.size_m[:2] + 2 * out
    gap = g * rng.uniform(2.5, 6.5) / 1000
    pitch = (float(max(w * c + h * s, w) + gap), float(max(h * c + w * s, w) + gap))
    edge = g * rng.uniform(3.0, 6.0) / 1000
    width, height = columns * pitch[0] - gap + 2 * edge, rows * pitch[1] - gap + 2 * edge + 0.006 * g
    uneven = bool(rng.random() < config.uneven_share) and rows * columns > 3
    seats = []
    for i in range(rows):
        n = columns - (uneven and i % 2 == 1 and columns > 1)
        seats += [((k - (n - 1) / 2) * pitch[0], ((rows - 1) / 2 - i) * pitch[1] - 0.003 * g) for k in range(n)]
    if uneven and columns == 1:
        seats = seats[:-1]
    empty = int(rng.integers(1, 3)) if len(seats) > 4 and rng.random() < config.empty_share else 0
    tears = bool(rng.random() < config.perforated_share) and not uneven and columns % 2 == 0
    return _Grid(
        width, height, tuple(seats), len(seats) - empty, pitch, rows, columns, slant, tears, uneven, wall, look
    )  # fmt: skip


def _pocket_foot(unit: Unit, grid: _Grid, at: tuple[float, float], spacing: float) -> Contour:
    out = float(grid.wall[-1, 0]) + 0.0005
    w, h = unit.size_m[:2] + 2 * out
    if h < 1.1 * w:
        return circle(float(max(w, h)) / 2, spacing, at=at, least=24)
    ring = rounded_box(float(w), float(h), 0.49 * float(w), spacing)
    c, s = np.cos(grid.slant), np.sin(grid.slant)
    return ring @ np.array([[c, s], [-s, c]]) + np.array(at)


def _formed(unit: Unit, grid: _Grid, bend: Bend, design: Design) -> Sheet:
    stock = STOCKS["aluminium" if grid.look == "aluminium" else "clear_pet"]
    spacing = float(np.clip(np.sqrt(grid.width * grid.height / 3500), 0.0011, 0.0018))
    around = min(spacing, float(unit.size_m[0]) * np.pi / 26)
    pockets = [Pocket(_pocket_foot(unit, grid, seat, around), grid.wall) for seat in grid.seats]
    rim = rounded_box(grid.width, grid.height, 0.005, spacing)
    mesh = form_sheet(rim, spacing, pockets=pockets)
    points = mesh.vertices + np.array([0, 0, LID_M + stock.thickness_mm / 1000 + 1e-5])
    points[:, 2] += bend(points[:, 1])
    colours = stream(design, "colours")
    colours.random(8)
    face, inside, edge = printed(stock, colours), *back_and_edge(stock)
    if grid.look == "white":
        white = (0.8, 0.8, 0.78)
        face, inside, edge = (
            replace(m, base_color=white, transmission=0.0, roughness=0.25) for m in (face, inside, edge)
        )
    elif grid.look == "amber":
        face, inside = (replace(m, base_color=(0.9, 0.5, 0.16)) for m in (face, inside))
    return make_sheet(
        "formed foil", points, mesh.faces, mesh.st, np.zeros(len(mesh.faces), np.uint8), (face, inside, edge),
        stock.mechanics, thickness_mm=stock.thickness_mm, levels=1, crease_deg=50.0, panel=mesh.panel,
        panels=("flange", "pockets"), relief=_tear_lines(grid),
    )  # fmt: skip


def _tear_lines(grid: _Grid) -> Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, " n"]] | None:
    """Grooves between pairs of pockets; deep enough to catch the light."""
    if not grid.tears:
        return None
    lines = [((grid.rows - 1) / 2 - i - 0.5) * grid.pitch[1] - 0.003 for i in range(grid.rows - 1)]

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        out = np.zeros(len(points))
        flat = points[:, 2] < points[:, 2].min() + 0.003
        for y in lines:
            out += 0.00018 * np.clip(1 - np.abs(points[:, 1] - y) / 0.0006, 0, 1)
        return out * flat

    return height


def _lid_picture(grid: _Grid, artwork: Artwork, atlas: Atlas, design: Design) -> UInt8[np.ndarray, "s s 3"]:
    """The lid from below: name and strength again and again, batch and date at one end, lines to tear along."""
    patch = atlas.patches[0]
    width, height = patch.picture_size
    layout, words = stream(design, "layout"), stream(design, "words")
    art = np.full((height, width, 3), 214, np.uint8)
    ink = artwork.accent if sum(artwork.accent) < 480 else (40, 70, 130)
    step = int(patch.px_per_mm * layout.uniform(9, 13))
    dose = f"{int(words.choice([5, 10, 20, 50, 100, 200, 400, 500]))} mg"
    for row, y in enumerate(range(int(0.09 * height), height - step // 2, step)):
        start = -int(0.3 * width) * (row % 2)
        for x in range(start, width, int(0.62 * width)):
            box = (max(x, 1), y, int(0.5 * width), int(0.34 * step))
            art = draw_text(art, f"{artwork.brand} {dose}", box, ink, FONTS[0])
            art = draw_text(
                art, artwork.title, (box[0], y + int(0.4 * step), int(0.5 * width), int(0.2 * step)), ink, FONTS[1]
            )
    art = art.copy()  # lettering returns what cannot be written to
    lot = f"{int(words.integers(1000, 9999))}{words.choice(list('ABCDKLM'))}"
    code = f"LOT {lot}   EXP {int(words.integers(1, 13)):02d}.20{int(words.integers(27, 32))}"
    art[: int(0.075 * height)] = 206
    art = draw_text(
        art, code, (int(0.1 * width), int(0.02 * height), int(0.8 * width), int(0.04 * height)), (40, 40, 44), FONTS[3]
    )
    art = art.copy()
    mesh_px = max(3, int(0.9 * patch.px_per_mm))
    for k in range(0, width + height, mesh_px):  # the seal's knurls
        cv2.line(art, (k, 0), (k - height, height), (202, 202, 204), 1, cv2.LINE_AA)
    if grid.tears:
        for i in range(grid.rows - 1):
            y = int((0.5 - (((grid.rows - 1) / 2 - i - 0.5) * grid.pitch[1] - 0.003) / grid.height) * height)
            for x in range(0, width, max(4, int(2.2 * patch.px_per_mm))):
                art[y : y + max(1, int(0.3 * patch.px_per_mm)), x : x + int(1.3 * patch.px_per_mm)] = 90
    return paint_atlas(atlas, [art])


def _lid(grid: _Grid, bend: Bend, artwork: Artwork, design: Design) -> Sheet:
    stock = STOCKS["aluminium"]
    flat = form_sheet(rounded_box(grid.width, grid.height, 0.005, 0.003), 0.003)
    mesh = flip(replace(flat, st=flat.st * np.array([-1.0, 1.0]) + np.array([1.0, 0.0])))
    atlas = pack_atlas([(1000 * grid.width, 1000 * grid.height)], min(design.texture_px, 1024))
    picture = _lid_picture(grid, artwork, atlas, design)
    points = mesh.vertices.copy()
    points[:, 2] += bend(points[:, 1])
    inside, edge = back_and_edge(stock)
    face = Material("lid_print", (1.0, 1.0, 1.0), 0.75, 0.4, picture)
    return make_sheet(
        "lid", points, mesh.faces, mesh_uv(mesh, atlas), np.zeros(len(mesh.faces), np.uint8), (face, inside, edge),
        stock.mechanics, thickness_mm=1000 * LID_M, levels=1, crease_deg=50.0, panels=("lid",),
    )  # fmt: skip


def _fill(unit: Unit, grid: _Grid, bend: Bend, design: Design) -> tuple[Part, ...]:
    """A tablet on the lid in each pocket, turned and shifted as far as it has play."""
    specimen = stream(design, "specimen")
    specimen.random(2)
    parts: list[Part] = []
    round_ = unit.size_m[1] < 1.1 * unit.size_m[0]
    for k, seat in enumerate(grid.seats[: grid.count]):
        around = specimen.uniform(0, 360) if round_ else np.degrees(grid.slant) + specimen.uniform(-1.5, 1.5)
        shift = specimen.uniform(-0.18, 0.18, 2) / 1000
        y = np.array([seat[1] - 0.001, seat[1], seat[1] + 0.001])
        z = bend(y)
        half = unit.size_m[1] / 2
        slope = float(z[2] - z[0]) / 0.002
        sag = max(
            0.0, float(bend(np.array([seat[1] + half]))[0] + bend(np.array([seat[1] - half]))[0]) / 2 - float(z[1])
        )
        R = turn(0, np.degrees(np.arctan(slope))) @ turn(2, around)
        t = np.array([seat[0] + shift[0], seat[1] + shift[1], float(z[1]) + LID_M + sag + 8e-5])
        parts += place_unit(unit, R, t, item=2 + k)
    return tuple(parts)


def build_tablet_blister(
    item_identifier: str, config: TabletBlisterConfig, design: Design, rng: np.random.Generator
) -> Product:
    """Draw one tablet blister; ``rng`` is the shape's."""
    colours = stream(design, "colours")
    colours.random(5)
    make = capsule if rng.random() < 0.25 else tablet
    unit = make(Order(rng, colours, draw_artwork(design, "tablets", net="1"), design.grow ** (1 / 3)))
    grid = _draw_grid(unit, config, design, rng)
    artwork = draw_artwork(design, "tablets", net=f"{grid.count} {unit.kind}{'s' * (grid.count > 1)}")
    rise = stream(design, "specimen").uniform(*config.bow_mm) / 1000 * min(1.0, grid.height / 0.09)

    def bend(y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return rise * (2 * y / grid.height) ** 2

    formed, lid = _formed(unit, grid, bend, design), _lid(grid, bend, artwork, design)
    mass = unit.mass_g * grid.count + 600.0 * grid.width * grid.height + 0.3
    high = float(grid.wall[-1, 1]) + 0.0006  # and the foils
    a, b = grid.width / 2, grid.height / 2
    looks = {"bow"} if rise > 0.0004 else set()
    looks |= {"empty_cavity"} if len(grid.seats) > grid.count else set()
    looks |= {"odd_count"} if grid.count % 2 or grid.uneven else set()
    looks |= {"perforation"} if grid.tears else set()
    return Product(
        item_identifier=item_identifier, family="blister_pack", shape="box", packaging="primary",
        item_material="plastic_hard", sheets=(formed, lid), contents=_fill(unit, grid, bend, design), core=None,
        attributes=catalogue_entry(
            artwork, category="tablet blister", size_m=np.array([grid.width, grid.height, high]), mass_g=mass,
            units=grid.count,
        ),
        mass_g=mass,
        hinges=(Hinge("lid", ("lid",), (-a, -b, 0.0), (-a, b, 0.0), 160.0, "seal"),),
        lookalikes=tuple(sorted(looks)),
    )  # fmt: skip
