"""Forms of holes, drawn in units of their reach: punctures, cut-outs, rows of perforations."""

from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from ..mesh import Sheet
from ..products.product import Product
from .pierce import Gape, Pattern, Petal

Wall = Literal["board", "corrugate", "metal", "plastic", "film"]
Form = Literal["puncture", "slit", "flap", "window", "perforation", "wear"]

_WALLS: dict[str, Wall] = {
    "coated_board": "board",
    "uncoated_board": "board",
    "board_cover": "board",
    "corrugate": "corrugate",
    "white_corrugate": "corrugate",
    "tinplate": "metal",
    "printed tin": "metal",
    "aluminium": "metal",
    "clear_pet": "plastic",
    "hdpe": "plastic",
    "laminate": "plastic",
    "paper": "film",
    "matt_film": "film",
    "gloss_film": "film",
    "metallised_film": "film",
    "mailer_film": "film",
    "bubble_film": "film",
    "clear_film": "film",
}
"""What a wall is made of, by the name of its stock. Glass, glaze and steel blades are not among them."""
_RIGID_SHELLS = ("dome", "formed foil")
"""Thermoformed clear shells crack or dent, but what pierces a carton does not pierce them."""


def wall_of(sheet: Sheet) -> Wall | None:
    """How a sheet behaves when it is pierced; None if it is not: glass and glaze break, steel and hard shells hold."""
    stock = sheet.materials[-2].name.removesuffix("_inside")
    wall: Wall | None = _WALLS.get(stock) or _WALLS.get(sheet.materials[0].name)
    return None if sheet.name in _RIGID_SHELLS and wall == "plastic" else wall


def pierceable(product: Product) -> dict[int, Wall]:
    """The package's walls that can be pierced, by their position among its sheets. Labels never tear alone."""
    if product.brittle:
        return {}
    found: dict[int, Wall | None] = {
        k: wall_of(sheet) for k, sheet in enumerate(product.sheets) if sheet.item == product.sheets[0].item
    }
    return {k: wall for k, wall in found.items() if wall is not None and "label" not in product.sheets[k].name}


def _unit(angle: float) -> Float[np.ndarray, "2"]:
    return np.array([np.cos(angle), np.sin(angle)])


def _within(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    return float(rng.uniform(*bounds))


def _ends(rng: np.random.Generator, slits: int) -> Float[np.ndarray, "k 2"]:
    """Ends of unequal slits around a round nail, or drawn out along the blade of a fork."""
    angle = rng.uniform(0, 2 * np.pi) + (np.arange(slits) + rng.uniform(-0.16, 0.16, slits)) * 2 * np.pi / slits
    length = np.exp(0.28 * np.clip(rng.normal(size=slits), -2, 2))
    ends = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    stretch = np.exp(rng.uniform(0.35, 0.75) if rng.random() < 0.35 else rng.uniform(0, 0.15))
    way = _unit(rng.uniform(0, np.pi))
    side = np.array([-way[1], way[0]])
    ends = stretch * (ends @ way)[:, None] * way + (ends @ side)[:, None] * side / stretch
    return ends / np.linalg.norm(ends, axis=1).max()


def _core(
    rng: np.random.Generator, ends: Float[np.ndarray, "k 2"], share: float, ragged: float, jagged: bool
) -> Float[np.ndarray, "n 2"]:
    """A ragged outline that keeps inside the chords between the slits' ends."""
    n = 120
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    limit = np.full(n, 9.0)
    for a, b in zip(ends, np.roll(ends, -1, axis=0), strict=True):
        inward = np.array([-(b - a)[1], (b - a)[0]])
        toward = ray @ inward
        limit = np.where(toward < 0, np.minimum(limit, (a @ inward) / np.minimum(toward, -1e-9)), limit)
    noise = np.zeros(n)
    for waves in (2, 3, 5, 8, 13, 21):
        size, phase = ragged * rng.normal() / np.sqrt(waves) * 1.4, rng.uniform(0, 2 * np.pi)
        wave = np.sin(waves * angle + phase)
        noise += size * (2 / np.pi * np.arcsin(wave) if jagged else wave)
    even = 0.5 * limit + 0.5 * np.median(limit)
    radius = np.minimum(share * even * np.exp(np.clip(noise, -0.6, 0.6)), 0.88 * limit)
    return radius[:, None] * ray


def puncture(rng: np.random.Generator, wall: Wall, *, core: float, slits: int, depth: float, ragged: float) -> Pattern:
    """A tip pushed through: slits, petals that stay bent, a missing core, and what the push did to the wall around."""
    ends = _ends(rng, slits)
    outline = _core(rng, ends, core, ragged, jagged=wall in ("metal", "plastic"))
    waves = np.stack(
        [rng.uniform(0.3, 1.1, slits) * ragged * 0.6, rng.uniform(3, 9, slits), rng.uniform(0, 6.3, slits)], axis=1
    )
    turn = np.clip(np.pi * (0.32 + 0.22 * depth) * np.exp(0.22 * rng.normal(size=slits)), 0.5, 2.3)
    rounded = rng.uniform(0.15, 0.4, slits) if wall in ("board", "corrugate") else rng.uniform(0.4, 0.9, slits)
    curl = rng.uniform(-0.3, 0.7, slits) if wall != "film" else rng.uniform(0.2, 1.8, slits)
    twist = np.clip(0.2 * rng.normal(size=slits), -0.4, 0.4)
    outward = rng.random(slits) < {"film": 0.35, "board": 0.08}.get(wall, 0.0)
    petals = tuple(
        Petal(float(-0.7 * t if out else t), float(r), float(-c if out else c), float(w))
        for t, r, c, w, out in zip(turn, rounded, curl, twist, outward, strict=True)
    )
    dents = {"metal": (0.16, 0.42), "plastic": (0.08, 0.22), "film": (0.03, 0.1)}
    dent, dent_reach, phase = _within(rng, dents.get(wall, (0.03, 0.12))), rng.uniform(1.5, 2.4), rng.uniform(0, 6.3)
    star, ruffle = rng.uniform(0.15, 0.5), rng.uniform(0.03, 0.09)
    return Pattern(
        "puncture",
        contours=(outline,),
        ends=ends,
        waves=waves,
        petals=petals,
        dent=dent,
        dent_reach=dent_reach if wall in ("metal", "plastic", "film") else min(dent_reach, 1.7),
        star=(slits, float(np.arctan2(ends[0, 1], ends[0, 0])), star if wall == "metal" else 0.4 * star),
        ruffle=(int(5 + 8 * star), phase, ruffle) if wall == "film" else (0, 0.0, 0.0),
        fibre=_fibre(rng, wall),
    )


def _fibre(rng: np.random.Generator, wall: Wall) -> tuple[float, float] | None:
    width, phase = rng.uniform(0.02, 0.085), rng.uniform(0, 6.3)
    return (width, phase) if wall in ("board", "corrugate", "plastic", "film") else None


def _stretched(rng: np.random.Generator, wall: Wall) -> tuple[float, float] | None:
    """The border of a blade's cut: nothing on board, a narrow clouded lip on plastic."""
    width, phase = rng.uniform(0.015, 0.035), rng.uniform(0, 6.3)
    return (width, phase) if wall in ("plastic", "film") else None


def slit(rng: np.random.Generator, wall: Wall, direction: float | None) -> Pattern:
    """A straight cut by a box cutter that gapes; along ``direction`` [rad] if it is given."""
    drawn, off = rng.uniform(0, np.pi), rng.normal(0, 0.05)
    end = _unit(drawn if direction is None else direction + off)
    stiff = wall in ("board", "corrugate")
    width = rng.uniform(0.05, 0.12) if stiff else rng.uniform(0.1, 0.32)
    lift = rng.uniform(0.02, 0.1, 2) * rng.choice([-1.0, 1.0], 2)
    wave = np.array([rng.uniform(0, 0.012), rng.uniform(1, 4), rng.uniform(0, 6.3)])
    folds = (int(rng.integers(5, 9)), float(rng.uniform(0, 6.3)), float(rng.uniform(0.015, 0.05)))
    return Pattern(
        "slit",
        ends=np.stack([end, -end]),
        waves=np.stack([wave, wave * [0.0, 1, 1]]),
        petals=(None, None),
        gape=Gape(float(width), (float(lift[0]), float(lift[1])), float(rng.uniform(0.3, 0.6))),
        ruffle=folds if wall == "film" else (0, 0.0, 0.0),
        fibre=_stretched(rng, wall),
    )


def flap(rng: np.random.Generator, wall: Wall) -> Pattern:
    """An L-shaped cut, and the corner between its arms bent in or out."""
    turn, spread = rng.uniform(0, 2 * np.pi), rng.uniform(1.15, 1.95)
    arms = np.array([1.0, rng.uniform(0.55, 1.0)])
    ends = arms[:, None] * np.stack([_unit(turn), _unit(turn + spread)])
    bend = rng.uniform(0.35, 1.25) * (-1 if rng.random() < 0.3 else 1)
    rounded = rng.uniform(0.25, 0.6) if wall in ("board", "corrugate") else rng.uniform(0.6, 1.0)
    petal = Petal(float(bend), float(rounded), float(rng.uniform(-0.1, 0.5) * np.sign(bend)), float(rng.normal(0, 0.1)))
    return Pattern("flap", ends=ends, waves=None, petals=(petal, None), fibre=_stretched(rng, wall))


def turned_out(pattern: Pattern) -> Pattern:
    """The same with all petals outwards."""
    petals = tuple(
        petal and replace(petal, turn_rad=-abs(petal.turn_rad), curl_rad=-abs(petal.curl_rad))
        for petal in pattern.petals
    )
    return replace(pattern, petals=petals)


def window(rng: np.random.Generator, wall: Wall) -> Pattern:
    """A four-sided piece cut out and gone: clean, straight edges that are never quite square."""
    turn, aspect = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.0)
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * np.array([1.0, aspect])
    corners = corners * rng.uniform(0.82, 1.0, (4, 2))
    if rng.random() < 0.3:
        corners = corners[:3]
    corners = corners @ np.stack([_unit(turn), _unit(turn + np.pi / 2)])
    corners /= np.linalg.norm(corners, axis=1).max()
    dent = float(rng.uniform(0.0, 0.05))
    return Pattern("window", contours=(corners,), dent=dent, dent_reach=1.5, fibre=_stretched(rng, wall))


def _pin(
    rng: np.random.Generator, at: Float[np.ndarray, "2"], radius: float, ragged: float
) -> Float[np.ndarray, "n 2"]:
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    rough = 1 + ragged * (rng.uniform(-0.6, 0.6, 20) + rng.normal() * np.sin(2 * angle + rng.uniform(0, 6.3)))
    return at + radius * rough[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def perforation(rng: np.random.Generator, wall: Wall, *, ragged: float) -> Pattern:
    """Small holes in a row: a staple's two, a nail strip's, or the two rows of a spiked roller."""
    tool = int(rng.integers(3))
    count = (2, int(rng.integers(3, 9)), 2 * int(rng.integers(3, 7)))[tool]
    turn, size = rng.uniform(0, np.pi), rng.uniform(0.14, 0.27)
    across = 2 if tool == 2 else 1
    row = count // across
    pitch = 1.7 / max(row - 1, 1) / (1 if tool else 3.0)
    x = (np.arange(row) - (row - 1) / 2) * pitch
    at = np.concatenate(
        [np.stack([x + 0.5 * pitch * k * (across - 1), np.full(row, pitch * k)], 1) for k in range(across)]
    )
    at -= at.mean(axis=0)
    at += 0.05 * pitch * rng.normal(size=at.shape)
    at = at @ np.stack([_unit(turn), _unit(turn + np.pi / 2)])
    radii = np.minimum(size * pitch, 0.16) * np.exp(0.15 * rng.normal(size=count))
    pins = tuple(_pin(rng, p, float(r), ragged) for p, r in zip(at, radii, strict=True))
    lip = rng.uniform(0.3, 0.9) if wall in ("metal", "plastic") else rng.uniform(0.15, 0.5)
    return Pattern("perforation", contours=pins, lip=float(lip), fibre=None)
