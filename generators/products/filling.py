"""What lies in packages of board: bags, trays of pieces, bottles and blocks, as finished parts."""

from dataclasses import replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ...sim.scene import Material, Part
from ...sim.seed import generator_for
from ..shapes import Mesh, box_mesh, cap, end_ring, join, lathe, move, solid
from .board import rounded_block

Filling = Literal["bag", "foil", "tray", "bottle", "block"]
Tone = tuple[float, float, float]
"""Linear RGB."""


GRAIN_PX, GRAINS = 256, 6
"""Side of a picture of granules, and how many different ones there are."""


@lru_cache(maxsize=2 * GRAINS)
def _grain(number: int, size_px: int) -> UInt8[np.ndarray, "h w"]:
    """Many small pieces lying over each other, in grey; ``number`` selects one of GRAINS."""
    rng = generator_for(number, size_px, "granules")
    out = np.full((GRAIN_PX, GRAIN_PX), 70, np.uint8)
    for _ in range(int(3.2 * (GRAIN_PX / size_px) ** 2)):
        x, y = (int(v) for v in rng.integers(0, GRAIN_PX, 2))
        half = max(2, int(size_px * rng.uniform(0.42, 0.78))), max(2, int(size_px * 0.45))
        turn, level = rng.uniform(0, 180), 190 * rng.uniform(0.78, 1.1)
        for ring, (share, gain) in enumerate(((1.0, 0.62), (0.86, 0.92), (0.5, 1.1))):
            at = (x - ring * size_px // 8, y - ring * size_px // 8)
            axes = (max(1, int(half[0] * share)), max(1, int(half[1] * share)))
            cv2.ellipse(out, at, axes, turn, 0, 360, min(level * gain, 255), -1, cv2.LINE_AA)
    return out


def granules(number: int, tone: Tone, size_px: int) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of many small pieces of one colour."""
    color = np.clip(np.array(tone), 0, 1) ** (1 / 2.2) * 1.25
    grey = np.arange(256, dtype=np.float32)[:, None]
    table = np.clip(grey * color.astype(np.float32), 0, 255).astype(np.uint8)
    return table[_grain(number % GRAINS, size_px)]


def _pillow(size: Float[np.ndarray, "3"], rng: np.random.Generator, *, lumps: float) -> Mesh:
    """A filled bag: round, and uneven by ``lumps`` [m]; it keeps within ``size``."""
    mesh = rounded_block(size - 2 * lumps, 0.35 * float(size.min()), steps=4, inner=16)
    points = mesh.vertices + np.array([0, 0, lumps])
    middle = np.array([0, 0, size[2] / 2])
    rise = np.zeros(len(points))
    for _ in range(8):
        wave = rng.normal(size=3) * 2 * np.pi / rng.uniform(0.02, 0.06)
        rise += np.sin(points @ wave + rng.uniform(0, 2 * np.pi)) / 5
    way = (points - middle) / np.maximum(np.linalg.norm(points - middle, axis=1, keepdims=True), 1e-9)
    return replace(mesh, vertices=points + lumps * np.clip(rise, -1, 1)[:, None] * way)


def _round_piece(radius: float, height: float, *, panel: int = 0) -> Mesh:
    """A flat round piece with soft edges: a biscuit, a tablet, a tea light."""
    e = min(0.3 * height, 0.3 * radius)
    profile = [(0.9 * radius, 0), (radius - 0.2 * e, 0.4 * e), (radius, e), (radius, height - e)]
    profile += [(radius - 0.2 * e, height - 0.4 * e), (0.9 * radius, height)]
    body = lathe(np.array(profile, float), 1.0, panel=panel, sectors=24)
    ends = [cap(end_ring(body, top=top), radius, panel=panel, up=top) for top in (False, True)]
    return join([body, *ends])


def _piece(size: Float[np.ndarray, "3"], round_: bool) -> Mesh:
    if round_:
        return _round_piece(float(size[:2].min()) / 2, float(size[2]))
    return rounded_block(size, 0.22 * float(size.min()), steps=2, inner=2)


def fill_tray(
    size: Float[np.ndarray, "3"], tone: Tone, rng: np.random.Generator, shape: np.random.Generator
) -> list[Part]:
    """Pieces standing in rows before a tray's back wall; they show their faces to -y."""
    face = float(np.clip(shape.uniform(0.018, 0.045), 0.012, 0.48 * min(size[0], size[2])))
    across, up = (max(1, int(v // face)) for v in (size[0], size[2]))
    round_ = bool(shape.random() < 0.5)
    step = np.array([size[0] / across, size[2] / up])
    thick = min(0.6 * float(size[1]), float(shape.uniform(0.4, 0.9)) * face)
    stand = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])  # a piece's top faces -y
    pieces = []
    for k in range(across * up):
        at = np.array([k % across, k // across]) * step + step / 2
        wide = 0.93 * np.array([step.min() if round_ else step[0], step.min() if round_ else step[1], thick])
        wide[2] = thick
        turn = rng.uniform(-0.05, 0.05)
        spin = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
        wide[:2] *= 1.0 if round_ else 0.97 - abs(turn)
        mesh = move(_piece(wide, round_), stand @ spin, np.zeros(3))
        front = float(-size[1] / 2 + thick + rng.uniform(0, 0.0015))
        pieces.append(move(mesh, np.eye(3), np.array([at[0] - size[0] / 2, front, at[1]])))
    back = box_mesh(np.array([size[0], float(size[1]) - thick - 0.003, size[2]]), 1.0)
    back = move(back, np.eye(3), np.array([0, (thick + 0.003) / 2, 0]))
    grain = granules(int(shape.integers(1000)), tone, 14)
    return [
        solid(join(pieces), "pieces", Material("pieces", (1.0, 1.0, 1.0), 0.0, 0.75, grain)),
        solid(back, "tray", Material("tray", (0.85, 0.84, 0.8), 0.0, 0.5)),
    ]


def fill_bottle(size: Float[np.ndarray, "3"], tone: Tone) -> list[Part]:
    """A plastic bottle with a cap, as tall as the space."""
    r, h = 0.48 * float(size[:2].min()), float(size[2])
    rise = np.array([0, 0.02, 0.06, 0.5, 0.72, 0.78, 0.82])
    wide = np.array([0.85, 0.97, 1, 1, 1, 0.8, 0.45])
    body = lathe(np.stack([r * wide, h * rise], axis=1), 1.0, panel=0, sectors=32)
    bottle = join([body, *(cap(end_ring(body, top=t), r / 3, panel=0, up=t) for t in (False, True))])
    lid = lathe(np.array([(0.5 * r, 0.825 * h), (0.5 * r, 0.99 * h)]), 1.0, panel=0, sectors=32)
    lid = join([lid, *(cap(end_ring(lid, top=t), r / 3, panel=0, up=t) for t in (False, True))])
    return [
        solid(bottle, "bottle", Material("bottle", tone, 0.0, 0.25)),
        solid(lid, "bottle cap", Material("bottle cap", (0.85, 0.85, 0.83), 0.0, 0.35)),
    ]


def fill_box(
    kind: Filling, size: Float[np.ndarray, "3"], floor: float, tone: Tone, *, specimen: np.random.Generator,
    shape: np.random.Generator,
) -> tuple[tuple[Part, ...], bool]:  # fmt: skip
    """Parts within a box of ``size`` [m] standing centred on z = ``floor``, and whether they are rigid."""
    if kind == "tray":
        parts = fill_tray(size, tone, specimen, shape)
    elif kind == "bottle":
        parts = fill_bottle(size, tone)
    elif kind == "block":
        block = rounded_block(size, min(0.004, 0.2 * float(size.min())), steps=3, inner=3)
        parts = [solid(block, "block", Material("block", tone, 0.0, 0.45))]
    else:
        mesh = _pillow(size, specimen, lumps=0.02 * float(size.min()))
        grain = granules(int(shape.integers(1000)), tone, 10)
        foil = Material("foil", (0.75, 0.74, 0.72), 0.9, 0.3)
        clear = Material("filled bag", (1.0, 1.0, 1.0), 0.0, 0.35, grain)
        parts = [solid(mesh, "inner bag", foil if kind == "foil" else clear)]
    lift = np.array([0.0, 0.0, floor])
    moved = tuple(replace(part, vertices=part.vertices + lift) for part in parts)
    return moved, kind in ("tray", "block", "bottle")
