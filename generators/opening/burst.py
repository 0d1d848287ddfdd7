"""How a unit leaves a closed pack: a foil or card burst open behind it, its pocket pressed in, shrink film torn off."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from ...sim.scene import KINDS, Kind, Part, kind_bit
from ..cut import cut_along, refine_faces, unzip_edges
from ..mesh import Sheet, mesh_edges
from ..products.product import Product
from .hinge import LABEL, closed_surface

BIT = KINDS.index("deconstruction")
MOVED_M = 2e-4
"""What moved further is labelled."""


@dataclass(frozen=True)
class Burst:
    """A ragged star in a flat sheet."""

    at: Float[np.ndarray, "3"]
    reach: float
    core_share: float
    """Radius of what is lost, over the reach."""
    turns: tuple[float, ...]
    """Where its slits run [rad]."""
    bend: tuple[float, ...]
    """Angle [rad] by which each petal between them is bent."""
    waves: Float[np.ndarray, "5 2"]
    """Amplitude and phase of its raggedness."""


LOBES = (2, 3, 5, 8, 13)


def draw_burst(at: Float[np.ndarray, "3"], reach: float, core_share: float, rng: np.random.Generator) -> Burst:
    """Draw how a sheet bursts at a place."""
    count = int(rng.integers(4, 7))
    turns = rng.uniform(0, 2 * np.pi) + (np.arange(count) + 0.28 * rng.normal(size=count)) * 2 * np.pi / count
    waves = np.stack([rng.normal(size=5) / np.sqrt(LOBES), rng.uniform(0, 2 * np.pi, 5)], axis=1)
    bend = np.radians(rng.uniform(25, 115, count))
    return Burst(at, reach, core_share, tuple(np.sort(turns % (2 * np.pi)).tolist()), tuple(bend.tolist()), waves)


@dataclass(frozen=True)
class _Polar:
    """Coordinates about the nearest of several bursts."""

    burst: Int[np.ndarray, " n"]
    r: Float[np.ndarray, " n"]
    angle: Float[np.ndarray, " n"]
    reach: Float[np.ndarray, " n"]
    rough: Float[np.ndarray, " n"]
    """Around 1, uneven in all directions."""


def _polar(points: Float[np.ndarray, "n 3"], bursts: tuple[Burst, ...], u, v) -> _Polar:
    flat = np.stack([points @ u, points @ v], axis=1)
    centres = np.array([[b.at @ u, b.at @ v] for b in bursts])
    near = np.argmin(((flat[:, None] - centres[None]) ** 2).sum(axis=2), axis=1)
    off = flat - centres[near]
    angle = np.arctan2(off[:, 1], off[:, 0])
    waves = np.array([b.waves for b in bursts])[near]
    rough = (waves[..., 0] * np.sin(np.array(LOBES) * angle[:, None] + waves[..., 1])).sum(axis=1)
    return _Polar(near, np.hypot(off[:, 0], off[:, 1]), angle, np.array([b.reach for b in bursts])[near], rough)


def _refine(sheet: Sheet, bursts: tuple[Burst, ...], u, v) -> Sheet:
    for _ in range(4):
        corners = sheet.rest[sheet.faces]
        longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
        polar = _polar(corners.mean(axis=1), bursts, u, v)
        near = polar.r < 1.1 * polar.reach + 0.5 * longest
        coarse = near & (longest > np.maximum(0.3 * polar.reach, 0.0009))
        if not coarse.any():
            break
        sheet = refine_faces(sheet, coarse)
    return sheet


def _cut_cores(sheet: Sheet, bursts: tuple[Burst, ...], u, v) -> tuple[Sheet, Bool[np.ndarray, " f"]]:
    polar = _polar(sheet.rest, bursts, u, v)
    core = np.array([b.core_share * b.reach for b in bursts])
    value = polar.r - core[polar.burst] * np.clip(1 + 0.2 * polar.rough, 0.4, 1.6)
    sheet, side = cut_along(sheet, value, snap=0.1 * float(core.min()))
    corner = side[sheet.faces]
    return sheet, (corner.max(axis=1) <= 0) & (corner.min(axis=1) < 0)


def _root(polar: _Polar) -> Float[np.ndarray, " n"]:
    """Radius [m] at which petals start to bend."""
    return polar.reach * np.clip(0.97 + 0.06 * polar.rough, 0.8, 1.05)


def _slit(sheet: Sheet, bursts: tuple[Burst, ...], number: int, u, v) -> Sheet:
    """Cut and open one radial line of each burst, from its core to the petals' roots."""
    has = np.array([number < len(b.turns) for b in bursts])
    turns = np.array([b.turns[number] if number < len(b.turns) else 0.0 for b in bursts])

    def beside(points: Float[np.ndarray, "n 3"]):
        polar = _polar(points, bursts, u, v)
        angle = polar.angle - turns[polar.burst]
        x, y = polar.r * np.cos(angle), polar.r * np.sin(angle)
        return np.where(has[polar.burst], x, -1.0), y, polar.reach

    x, y, reach = beside(sheet.rest)
    band = (x > 0) & (x < 1.05 * reach) & (np.abs(y) < 0.35 * reach)
    least = min(b.reach for b in bursts)
    sheet, line = cut_along(sheet, np.where(band, y, 0.0), snap=0.04 * least)
    x, y, reach = beside(sheet.rest)
    edges, _ = mesh_edges(sheet.faces)
    middle, far = x[edges].mean(axis=1), 0.97 * reach[edges[:, 0]]
    on_line = (line[edges] == 0).all(axis=1) & (np.abs(y[edges]) < 0.05 * least).all(axis=1)
    return unzip_edges(sheet, on_line & (middle > 0) & (middle < far))


def _petal_bend(sheet: Sheet, bursts: tuple[Burst, ...], u, v) -> Float[np.ndarray, " v"]:
    """By how much the petal that a vertex belongs to is bent, by its faces: a slit's two sides differ."""
    polar = _polar(sheet.rest[sheet.faces].mean(axis=1), bursts, u, v)
    of_face = np.zeros(len(sheet.faces))
    for k, burst in enumerate(bursts):
        mine = polar.burst == k
        sector = np.searchsorted(np.array(burst.turns), polar.angle[mine] % (2 * np.pi)) % len(burst.turns)
        of_face[mine] = np.array(burst.bend)[sector]
    out = np.zeros(len(sheet.rest))
    out[sheet.faces] = of_face[:, None]
    return out


def burst_open(
    sheet: Sheet, bursts: tuple[Burst, ...], out: Float[np.ndarray, "3"], *, kind: Kind = "deconstruction"
) -> Sheet:
    """Burst a flat sheet at some places, its petals bent towards ``out``; what is lost is labelled where it was."""
    if not bursts:
        return sheet
    u = np.cross(out, np.eye(3)[int(np.argmin(np.abs(out)))])
    u /= np.linalg.norm(u)
    v = np.cross(out, u)
    sheet = _refine(sheet, bursts, u, v)
    sheet, lost = _cut_cores(sheet, bursts, u, v)
    sheet = replace(sheet, removed=sheet.removed | lost)
    for number in range(max(len(b.turns) for b in bursts)):
        sheet = _slit(sheet, bursts, number, u, v)
    polar = _polar(sheet.rest, bursts, u, v)
    bend = _petal_bend(sheet, bursts, u, v) * (1 + 0.15 * np.sin(3 * polar.angle))
    s = np.clip(_root(polar) - polar.r, 0, None)
    gone, held = np.zeros(len(s), bool), np.zeros(len(s), bool)
    gone[sheet.faces[sheet.removed]] = True
    held[sheet.faces[~sheet.removed]] = True
    way = np.cos(polar.angle)[:, None] * u + np.sin(polar.angle)[:, None] * v
    move = (s * (1 - np.cos(bend)))[:, None] * way + (s * np.sin(bend))[:, None] * out
    vertices = sheet.vertices + np.where(held[:, None], move, 0.0)
    marks = sheet.marks.copy()
    moved = np.linalg.norm(vertices - sheet.vertices, axis=1)
    bit = KINDS.index(kind)
    marks[:, bit] = np.maximum(marks[:, bit], np.where(gone, LABEL, moved / MOVED_M))
    return replace(sheet, vertices=vertices, marks=marks)


# ---- Cells pushed open, their tablets still in them -----------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One pocket's tablet: its parts, where it lies, its half size."""

    parts: tuple[Part, ...]
    middle: Float[np.ndarray, "3"]
    half: Float[np.ndarray, "3"]


def cells_of(product: Product) -> tuple[Cell, ...]:
    """The filled pockets of a tablet blister."""
    out = []
    for item in sorted({part.item for part in product.contents if part.item > 1}):
        parts = tuple(part for part in product.contents if part.item == item)
        points = np.concatenate([part.vertices for part in parts])
        low, high = points.min(axis=0), points.max(axis=0)
        out.append(Cell(parts, (low + high) / 2, (high - low) / 2))
    return tuple(out)


def burst_cells(product: Product, share: float, seed: int, *, kind: Kind) -> tuple[Product, int, float]:
    """Push some tablets half through the foil; the product, the number of cells and the opened area [m²].

    Neighbours go first, as with a thumb that was at work there.
    """
    cells, rng = cells_of(product), np.random.default_rng(seed)
    first = cells[int(rng.integers(len(cells)))].middle
    far = np.array([np.linalg.norm(cell.middle - first) for cell in cells]) * np.exp(0.3 * rng.normal(size=len(cells)))
    seeds, out = rng.integers(2**62, size=len(cells)), np.array([0.0, 0.0, -1.0])
    chosen = np.argsort(far, kind="stable")[: max(1, int(np.ceil(share * len(cells) - 1e-9)))]
    back, bursts, moved = product.sheets[1], [], {}
    for k in chosen.tolist():
        cell, own = cells[k], np.random.default_rng(int(seeds[k]))
        near = back.vertices[np.argmin(np.linalg.norm((back.vertices - cell.middle)[:, :2], axis=1))]
        reach = float(np.clip(cell.half[:2].min() * own.uniform(0.85, 1.05), 0.003, 0.03))
        bursts.append(draw_burst(np.array([*cell.middle[:2], near[2]]), reach, float(own.uniform(0.12, 0.3)), own))
        pushed = float(own.uniform(0.25, 0.6)) * 2 * cell.half[2] * out
        moved |= {part.name: replace(part, vertices=part.vertices + pushed,
                                     damage=part.damage | np.uint8(kind_bit(kind))) for part in cell.parts}  # fmt: skip
    contents = tuple(moved.get(part.name, part) for part in product.contents)
    done = burst_open(back, tuple(bursts), out, kind=kind)
    middle = done.rest[done.faces].mean(axis=1)
    opened = np.any([np.linalg.norm((middle - b.at)[:, :2], axis=1) < b.reach for b in bursts], axis=0)
    gone = closed_surface(done, opened, kind)
    area = float(sum(np.pi * b.reach**2 for b in bursts))
    sheets = (product.sheets[0], done, *product.sheets[2:])
    return replace(product, sheets=sheets, contents=contents, gone=(*product.gone, gone)), len(bursts), area


# ---- Pressed in, torn off -------------------------------------------------------------------------------------------


def press_in(sheet: Sheet, at: Float[np.ndarray, "3"], up: Float[np.ndarray, "3"], half: float, seed: int) -> Sheet:
    """Press a pocket in, as a thumb does: its crown comes down most, and crumples."""
    rng = np.random.default_rng(seed)
    flange = float(np.quantile(sheet.vertices @ up, 0.15))
    high = sheet.vertices @ up - flange
    off = sheet.vertices - at
    off = off - (off @ up)[:, None] * up
    far = np.linalg.norm(off, axis=1)
    own = (far < 1.35 * half) & (high > 1e-4)
    crown = float(high[own].max(initial=0.0))
    thumb = rng.normal(size=3) * 0.25 * half
    bump = np.exp(-np.square((off - thumb) / (0.75 * half)).sum(axis=1))
    folds = 0.22 * np.sin(off @ (rng.normal(size=3) * 2.2 / half) * 2 + rng.uniform(0, 6.3))
    share = np.clip(rng.uniform(0.45, 0.8) * bump * (1 + folds), 0, 0.88)
    down = np.where(own, np.clip(share * high, 0, 0.9 * crown), 0.0)
    marks = sheet.marks.copy()
    marks[:, BIT] = np.maximum(marks[:, BIT], down / MOVED_M)
    return replace(sheet, vertices=sheet.vertices - down[:, None] * up, marks=marks)


def tear_film(sheet: Sheet, along: Float[np.ndarray, "3"], at: float, seed: int) -> Sheet:
    """Tear off all film beyond a place along an axis; the edge that stays is ragged and curls out."""
    rng = np.random.default_rng(seed)
    sheet_waves = [(rng.normal(size=3) * 2 * np.pi / long, rng.uniform(0, 6.3), size) for long, size in
                   ((0.12, 0.005), (0.05, 0.003), (0.02, 0.0014), (0.009, 0.0006), (0.005, 0.0003))]  # fmt: skip

    def beyond(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        flat = points - (points @ along)[:, None] * along
        rough = sum((size * np.sin(flat @ wave + phase) for wave, phase, size in sheet_waves), np.zeros(len(points)))
        return points @ along - at - rough

    for size in (0.006, 0.003, 0.0016):
        corner = beyond(sheet.rest)[sheet.faces]
        points = sheet.rest[sheet.faces]
        longest = np.linalg.norm(points - np.roll(points, 1, axis=1), axis=2).max(axis=1)
        sheet = refine_faces(sheet, (corner.min(axis=1) < 0.001) & (corner.max(axis=1) > -0.001) & (longest > size))
    sheet, side = cut_along(sheet, beyond(sheet.rest), snap=1e-4)
    lost = side[sheet.faces].max(axis=1) > 0
    edge = np.clip(1 + np.where(side <= 0, side, 0.0) / 0.014, 0, 1)
    middle = sheet.rest.mean(axis=0)
    off = sheet.rest - middle
    way = off - (off @ along)[:, None] * along
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    flutter = 0.5 + 0.5 * np.sin(off @ (rng.normal(size=3) * 2 * np.pi / 0.05) + rng.uniform(0, 6.3))
    high = np.clip((sheet.rest[:, 2] - sheet.rest[:, 2].min()) / 0.01, 0, 1)  # the pack stands on the rest of it
    move = (rng.uniform(0.002, 0.006) * edge**2 * flutter * high)[:, None] * way
    held = np.zeros(len(side), bool)
    held[sheet.faces[~(sheet.removed | lost)]] = True
    vertices = np.where(held[:, None], sheet.vertices + move, sheet.vertices)
    marks = sheet.marks.copy()
    moved = np.linalg.norm(vertices - sheet.vertices, axis=1)
    marks[:, BIT] = np.maximum(marks[:, BIT], np.where(side >= 0, LABEL, moved / MOVED_M))
    return replace(sheet, vertices=vertices, marks=marks, removed=sheet.removed | lost)
