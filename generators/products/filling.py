"""What lies in packages of board: bags, trays of pieces, bottles and blocks, as finished parts."""

from dataclasses import replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ...sim.scene import Material, Part
from ...sim.seed import generator_for
from ..artwork import Artwork
from ..shapes import Mesh, box_mesh, cap, end_ring, join, lathe, loft, move, solid
from .board import rounded_block
from .innerbox import bottle, inner_design, paper_stack, plain_box, wrapped_bar

Filling = Literal["bag", "foil", "tray", "bottle", "block", "stack", "box"]
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


def _pillow(size: Float[np.ndarray, "3"], rng: np.random.Generator) -> Mesh:
    """A bag of film: sealed flat at both ends, round between, gathered towards its seals; it keeps within ``size``."""
    width, depth, high = (float(v) for v in size)
    fin = _fin_m(high)
    rows = 31  # an even share of them on either side of the middle, where its picture turns round
    heights = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, rows))
    folds = [(rng.uniform(9, 22), rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1.0)) for _ in range(5)]
    lumps = [(rng.normal(size=3) * 2 * np.pi / rng.uniform(0.016, 0.05), rng.uniform(0, 6.3)) for _ in range(8)]

    def section(row: int, angle: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
        t = heights[row]
        full = np.clip(min(t, 1 - t) / 0.26, 0, 1)
        c, s = np.cos(angle), np.sin(angle)
        r = (np.abs(c) ** 2.7 + np.abs(s) ** 2.7) ** (-1 / 2.7)
        x = 0.5 * width * (0.97 - 0.06 * full) * np.clip(r * c, -1, 1)
        y = 0.5 * depth * max(0.93 * np.sqrt(1 - (1 - full) ** 2), 0.01) * r * s
        gather = sum(w * np.sin(k * x / width * 2 + p + np.sign(s)) for k, p, w in folds) / 3
        y = y * (1 + 0.22 * np.sqrt(full) * (1 - full) * gather)
        points = np.stack([x, y, np.full(len(x), fin + t * (high - 2 * fin))], axis=1)
        rise = sum(np.sin(points @ wave + phase) for wave, phase in lumps) / 8
        points[:, 1] *= 1 + 0.12 * full * rise
        return np.clip(points, [-width / 2, -depth / 2, 0], [width / 2, depth / 2, high])

    mesh = loft(section, heights, 40, panel=0)
    turned = 1 - np.abs(1 - 2 * np.clip(mesh.st, 0, 1))  # once round and back, so that both sides are as fine
    return replace(mesh, st=turned)


def _fin_m(high: float) -> float:
    return min(0.009, 0.07 * high)


def _fins(size: Float[np.ndarray, "3"], like: Material) -> Part:
    """The two seals of a bag: flat, ribbed across."""
    width, _, high = (float(v) for v in size)
    fin = _fin_m(high) + 0.0015
    ends = [box_mesh(np.array([0.95 * width, 0.0007, fin]), 0.01) for _ in range(2)]
    ends = [move(end, np.eye(3), np.array([0, 0, at])) for end, at in zip(ends, (0.0, high - fin), strict=True)]
    ribs = np.full((32, 8, 3), 255, np.uint8)
    ribs[::4] = ribs[1::4] = 188
    material = replace(like, name=f"{like.name} seal", base_color_texture=ribs)
    if like.metallic < 0.5:
        material = replace(material, base_color=(0.72, 0.72, 0.7), roughness=0.25)
    return solid(join(ends), "inner bag seals", material)


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


def fill_box(
    kind: Filling, size: Float[np.ndarray, "3"], floor: float, tone: Tone, *, specimen: np.random.Generator,
    shape: np.random.Generator, art: Artwork,
) -> tuple[tuple[Part, ...], bool]:  # fmt: skip
    """Parts within a box of ``size`` [m] standing centred on z = ``floor``, and whether they are rigid."""
    if kind == "tray":
        parts = fill_tray(size, tone, specimen, shape)
    elif kind == "bottle":
        parts = bottle(size, tone, art)
    elif kind == "block":
        parts = [wrapped_bar(size, "block", art)]
    elif kind == "stack":
        parts = [paper_stack(size, "block", shape)]
    elif kind == "box":
        parts = [plain_box(size, "block", inner_design(art.design, "goods"))]
    else:
        mesh = _pillow(size, specimen)
        grain = granules(int(shape.integers(1000)), tone, 10)
        foil = Material("foil", (0.75, 0.74, 0.72), 0.9, 0.28)
        clear = Material("filled bag", (1.0, 1.0, 1.0), 0.0, 0.35, grain)
        film = foil if kind == "foil" else clear
        parts = [solid(mesh, "inner bag", film, crease_deg=60.0), _fins(size, film)]
    lift = np.array([0.0, 0.0, floor])
    moved = tuple(replace(part, vertices=part.vertices + lift) for part in parts)
    return moved, kind not in ("bag", "foil")
