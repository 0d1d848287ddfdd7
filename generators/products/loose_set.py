"""A loose set: distinct pieces beside each other on the tray, with no package round them."""

from copy import deepcopy

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...sim.errors import DamagelandError
from ...sim.scene import Part
from ..artwork import draw_artwork
from ..design import Design, stream
from ..mesh import Sheet, finish_sheet
from .goods import THEMES
from .product import Product, catalogue_entry
from .tableware import Loose, move_loose, settle
from .units import Order, turn


class LooseSetConfig(BaseModel):
    """Ranges from which each loose set is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pieces: tuple[int, int] = Field(default=(2, 8), description="pieces of a set")
    themes: tuple[str, ...] = Field(default=tuple(THEMES), description="what sets are of")
    gap_mm: tuple[float, float] = Field(default=(2.0, 14.0), description="room between pieces; a part of it is jitter")
    largest_mm: float = Field(default=460.0, gt=0, description="a set is laid out within a square of this side")

    @model_validator(mode="after")
    def _can_be_made(self) -> "LooseSetConfig":
        low, high = self.pieces
        if not 1 <= low <= high:
            raise ValueError(f"`pieces` is ({low}, {high}): give at least 1, the smaller number first")
        if not 0 <= self.gap_mm[0] <= self.gap_mm[1]:
            raise ValueError(f"`gap_mm` is {self.gap_mm}: give at least 0, the smaller number first")
        unknown = sorted(set(self.themes) - set(THEMES))
        if unknown or not self.themes:
            raise ValueError(f"`themes` has {', '.join(unknown) or 'nothing'}: choose from {', '.join(THEMES)}")
        return self


def _draw_pieces(theme: str, count: int, design: Design, rng: np.random.Generator) -> list[Loose]:
    """The theme's pieces, the one with the wall first; once all are there, more of them in other colours."""
    goods, makers = THEMES[theme]
    colours = stream(design, "colours")
    colours.random(3)
    artwork = draw_artwork(design, goods, net=f"{count} pieces")
    rest = [makers[1 + int(k)] for k in rng.permutation(len(makers) - 1)]
    chosen = ([makers[0], *rest] * (count // len(makers) + 1))[:count]
    shapes: dict[str, np.random.Generator] = {}
    out = []
    for make in chosen:
        # Pieces of one kind are one product: the same shape again, as in three cups of three colours.
        shape = shapes.setdefault(make.__name__, rng.spawn(1)[0])
        ink = deepcopy(colours) if theme == "cutlery" else colours
        out.append(settle(make(Order(deepcopy(shape), ink, artwork, design.grow ** (1 / 3)))))
    return out


def _cells(pieces: list[Loose], gap: float, config: LooseSetConfig, grow: float) -> list[tuple[float, float]]:
    """Middles of the pieces' places, in rows from the front; deep pieces share rows."""
    side = config.largest_mm / 1000 * grow
    order = sorted(range(len(pieces)), key=lambda k: -float(pieces[k].size_m[1]))
    area = sum(float(np.prod(p.size_m[:2] + gap)) for p in pieces)
    widest = max(float(p.size_m[0]) + gap for p in pieces)
    goal = float(np.clip(1.35 * np.sqrt(area), widest, side))
    rows: list[list[int]] = [[]]
    for k in order:
        if rows[-1] and sum(float(pieces[j].size_m[0]) + gap for j in [*rows[-1], k]) > goal:
            rows.append([])
        rows[-1].append(k)
    depth = [max(float(pieces[k].size_m[1]) for k in row) + gap for row in rows]
    if sum(depth) > side or widest > side:
        raise DamagelandError(
            f"loose_set: {len(pieces)} pieces need {1000 * max(sum(depth), widest):.0f} mm, and `largest_mm` is "
            f"{config.largest_mm:.0f}: lower `pieces` or raise `largest_mm`."
        )
    at: list[tuple[float, float]] = [(0.0, 0.0)] * len(pieces)
    y = sum(depth) / 2
    for row, deep in zip(rows, depth, strict=True):
        x = -sum(float(pieces[k].size_m[0]) + gap for k in row) / 2
        for k in row:
            wide = float(pieces[k].size_m[0]) + gap
            at[k] = (x + wide / 2, y - deep / 2)
            x += wide
        y -= deep
    return at


def _free_turn(piece: Loose, gap: float) -> float:
    """Degrees by which a piece may be turned within its place."""
    reach = float(np.hypot(*piece.size_m[:2])) / 2
    return float(np.degrees(np.clip(0.3 * gap / reach, 0, 0.12)))


def _put(pieces: list[Loose], at: list[tuple[float, float]], gap: float, design: Design) -> list[Loose]:
    specimen = stream(design, "specimen")
    out = []
    for k, (piece, place) in enumerate(zip(pieces, at, strict=True)):
        R = turn(2, specimen.uniform(-1, 1) * _free_turn(piece, gap))
        shift = specimen.uniform(-0.18, 0.18, 2) * gap
        out.append(move_loose(piece, R, np.array([place[0] + shift[0], place[1] + shift[1], 0.0]), item=k + 1))
    return out


def _rest(pieces: list[Loose]) -> tuple[Part, ...]:
    """All but the first piece's sheets, finished."""
    parts = list(pieces[0].parts)
    for piece in pieces[1:]:
        parts += [finish_sheet(sheet)[0] for sheet in piece.sheets]
        parts += piece.parts
    return tuple(parts)


def _box(pieces: list[Loose], at: list[tuple[float, float]]) -> Float[np.ndarray, "3"]:
    middle, half = np.array(at), np.array([p.size_m for p in pieces]) / 2
    low, high = (middle - half[:, :2]).min(axis=0), (middle + half[:, :2]).max(axis=0)
    return np.array([*(high - low), 2 * half[:, 2].max()])


def build_loose_set(item_identifier: str, config: LooseSetConfig, design: Design) -> Product:
    """Draw one loose set."""
    rng = stream(design, "shape")
    theme = str(rng.choice(np.array(config.themes)))
    count = int(rng.integers(config.pieces[0], config.pieces[1] + 1))
    gap = design.grow ** (1 / 3) * rng.uniform(*config.gap_mm) / 1000
    pieces = _draw_pieces(theme, count, design, rng)
    at = _cells(pieces, gap, config, design.grow ** (1 / 3))
    middle = np.array(at)
    half = np.array([p.size_m[:2] for p in pieces]) / 2
    centre = ((middle - half).min(axis=0) + (middle + half).max(axis=0)) / 2
    at = [(x - float(centre[0]), y - float(centre[1])) for x, y in at]
    size = _box(pieces, at)
    artwork = draw_artwork(design, THEMES[theme][0], net=f"{count} piece{'s' * (count > 1)}")
    placed = _put(pieces, at, gap, design)
    sheets: tuple[Sheet, ...] = placed[0].sheets
    mass = sum(p.mass_g for p in pieces)
    return Product(
        item_identifier=item_identifier,
        family="loose_set",
        shape="box",
        packaging="product",
        item_material="cardboard" if placed[0].kind == "box" else "other",
        sheets=sheets,
        contents=_rest(placed),
        core=None,
        attributes=catalogue_entry(artwork, category=f"{theme} set", size_m=size, mass_g=mass, units=count),
        mass_g=mass,
        hinges=placed[0].hinges,
        lookalikes=("odd_count",) if count > 2 and count % 2 else (),
    )
