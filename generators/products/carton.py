"""A closed box of folding board with printed panels, or of corrugated board with tape and a shipping label."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import SURFACES, Material, Part
from ..artwork import (
    brand_name,
    draw_ink,
    draw_kraft,
    draw_panel,
    draw_shipping_label,
    draw_text,
    fractal_noise,
    palette,
    product_title,
)
from ..mesh import Mechanics, Relief, corner_normals, make_sheet
from .product import Product

FOLDING = Mechanics(spacing_mm=4.2, yield_curvature_per_m=14.0, softening=20.0, bending=0.5)
CORRUGATED = Mechanics(spacing_mm=7.0, yield_curvature_per_m=3.5, softening=5.0, bending=0.6)
TEXTURE = (1024, 1536)
"""Height and width of the atlas: two rows of three panels."""


class CartonConfig(BaseModel):
    """Ranges from which each carton is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    corrugated_share: float = Field(default=0.4, ge=0, le=1, description="share of brown corrugated boxes")
    long_mm: tuple[float, float] = Field(default=(110.0, 220.0), description="longest side")
    middle_share: tuple[float, float] = Field(default=(0.5, 0.9), description="middle side over longest")
    short_share: tuple[float, float] = Field(default=(0.25, 0.7), description="shortest side over longest")
    bow_mm: tuple[float, float] = Field(default=(0.0, 1.2), description="benign outward bow of each panel, no damage")


def _panels(size: Float[np.ndarray, "3"]):
    """Origin, u side and v side [m] of front, right, back, left, top, bottom; u × v points out."""
    x, y, z = size
    a, b = x / 2, y / 2
    return (
        ((-a, -b, 0), (x, 0, 0), (0, 0, z)),
        ((a, -b, 0), (0, y, 0), (0, 0, z)),
        ((a, b, 0), (-x, 0, 0), (0, 0, z)),
        ((-a, b, 0), (0, -y, 0), (0, 0, z)),
        ((-a, -b, z), (x, 0, 0), (0, y, 0)),
        ((-a, b, 0), (x, 0, 0), (0, -y, 0)),
    )


def _grid(nu: int, nv: int):
    """Unit square coordinates and triangles with alternating diagonals, so that no direction is weaker."""
    u, v = np.meshgrid(np.linspace(0, 1, nu + 1), np.linspace(0, 1, nv + 1), indexing="ij")
    index = np.arange((nu + 1) * (nv + 1)).reshape(nu + 1, nv + 1)
    a, b, c, d = (q.ravel() for q in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    i, j = np.meshgrid(np.arange(nu), np.arange(nv), indexing="ij")
    even = ((i + j) % 2 == 0).ravel()[:, None]
    first = np.where(even, np.stack([a, b, c], 1), np.stack([a, b, d], 1))
    second = np.where(even, np.stack([a, c, d], 1), np.stack([b, c, d], 1))
    return np.stack([u.ravel(), v.ravel()], 1), np.concatenate([first, second])


def _mesh(size: Float[np.ndarray, "3"], spacing: float):
    vertices, faces, uv, offset = [], [], [], 0
    for k, (origin, side_u, side_v) in enumerate(_panels(size)):
        nu, nv = (max(2, round(float(np.linalg.norm(s)) / spacing)) for s in (side_u, side_v))
        grid, triangles = _grid(nu, nv)
        vertices.append(np.array(origin) + grid[:, :1] * np.array(side_u) + grid[:, 1:] * np.array(side_v))
        cell = np.array([k % 3, 1 - k // 3])
        uv.append(((0.005 + 0.99 * grid + cell) / np.array([3, 2]))[triangles])
        faces.append(triangles + offset)
        offset += len(grid)
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(uv)


def _bow(size: Float[np.ndarray, "3"], bow: Float[np.ndarray, "6"]) -> Relief:
    """Panels bulge a little, most in their middle."""

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        out = np.zeros(len(points))
        for (origin, side_u, side_v), rise in zip(_panels(size), bow, strict=True):
            o, su, sv = (np.array(q, float) for q in (origin, side_u, side_v))
            normal = np.cross(su, sv)
            normal /= np.linalg.norm(normal)
            on = np.abs((points - o) @ normal) < 1e-6
            u, v = (points - o) @ su / (su @ su), (points - o) @ sv / (sv @ sv)
            bump = np.clip(np.sin(np.pi * np.clip(u, 0, 1)) * np.sin(np.pi * np.clip(v, 0, 1)), 0, 1)
            out += np.where(on, rise * bump, 0.0)
        return out

    return height


def _atlas(panels: list[UInt8[np.ndarray, "_ _ 3"]]) -> UInt8[np.ndarray, "h w 3"]:
    height, width = TEXTURE[0] // 2, TEXTURE[1] // 3
    cells = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in panels]
    return np.concatenate([np.concatenate(cells[:3], 1), np.concatenate(cells[3:], 1)])


def _panel_pixels(size: Float[np.ndarray, "3"]) -> list[tuple[int, int]]:
    scale = 560 / float(size.max())
    return [tuple(max(48, int(np.linalg.norm(side) * scale)) for side in (u, v)) for _, u, v in _panels(size)]  # type: ignore[misc]


def _paint_folding(size: Float[np.ndarray, "3"], brand: str, title: str, rng: np.random.Generator):
    colors = palette(rng)
    kinds = ("front", "side", "back", "side", "side", "side")
    panels = [
        draw_panel(rng, w, h, colors=colors, brand=brand, title=title, kind=kind)
        for (w, h), kind in zip(_panel_pixels(size), kinds, strict=True)
    ]
    for k in (4, 5):  # the tuck flap's slit
        panels[k] = panels[k].copy()
        row = int(0.93 * len(panels[k]))
        panels[k][row : row + 2] = (panels[k][row : row + 2] * 0.55).astype(np.uint8)
    return _atlas(panels)


def _paint_corrugated(size: Float[np.ndarray, "3"], brand: str, rng: np.random.Generator):
    panels = [draw_kraft(rng, w, h) for w, h in _panel_pixels(size)]
    ink = draw_ink(rng, 20.0, 90.0)
    for k in (0, 2):
        if rng.random() < 0.6:
            h, w = panels[k].shape[:2]
            box = (int(0.1 * w), int(0.3 * h), int(rng.uniform(0.3, 0.6) * w), int(0.3 * h))
            panels[k] = draw_text(panels[k], brand, box, ink, "DejaVuSans-Bold").copy()
    tape = rng.uniform(0.1, 0.16)
    tone = np.array([190, 160, 115]) if rng.random() < 0.6 else np.array([60, 70, 90])
    for k in (4, 5):
        h = len(panels[k])
        a, b = int((0.5 - tape / 2) * h), int((0.5 + tape / 2) * h)
        panels[k][a:b] = np.clip(0.35 * panels[k][a:b] + 0.65 * tone, 0, 255).astype(np.uint8)
        panels[k][h // 2 : h // 2 + 2] = (panels[k][h // 2 : h // 2 + 2] * 0.6).astype(np.uint8)
    if rng.random() < 0.7:
        k = int(rng.choice([0, 4]))
        h, w = panels[k].shape[:2]
        lw, lh = int(0.4 * w), int(min(0.6 * h, 0.4 * w * 0.7))
        x, y = int(rng.uniform(0.02, 0.55) * w), int(rng.uniform(0.02, 0.9 - lh / h) * h)
        panels[k][y : y + lh, x : x + lw] = draw_shipping_label(rng, lw, lh)
    return _atlas(panels)


def _contents(size: Float[np.ndarray, "3"], clearance: float, rng: np.random.Generator) -> Part:
    """A block that nearly fills the box: what is seen through a hole."""
    inner = size - 2 * clearance
    vertices, faces, uv = _mesh(inner, 1.0)
    vertices = vertices + np.array([0, 0, clearance])
    tone = tuple(float(v) for v in rng.uniform(0.05, 0.6, 3))
    n = len(faces)
    return Part(
        name="contents",
        vertices=vertices,
        faces=faces,
        uv=uv,
        normals=corner_normals(vertices, faces, crease_deg=30.0),
        materials=(Material("contents", (tone[0], tone[1], tone[2]), 0.0, 0.6),),
        material=np.zeros(n, np.uint8),
        surface=np.full(n, SURFACES.index("contents"), np.uint8),
        damage=np.zeros(n, np.uint8),
    )


def build_carton(item_identifier: str, config: CartonConfig, rng: np.random.Generator) -> Product:
    """Draw one carton."""
    longest = rng.uniform(*config.long_mm)
    sides = longest * np.array([1, rng.uniform(*config.middle_share), rng.uniform(*config.short_share)])
    size = rng.permutation(sides) / 1000
    corrugated = bool(rng.random() < config.corrugated_share)
    mechanics, thickness = (CORRUGATED, 3.0) if corrugated else (FOLDING, 0.45)
    brand, title = brand_name(rng), product_title(rng)
    art = _paint_corrugated(size, brand, rng) if corrugated else _paint_folding(size, brand, title, rng)
    art = np.clip(art * (1 + 0.015 * fractal_noise(rng, *TEXTURE, cell_px=400.0, octaves=2)[..., None]), 0, 255).astype(
        np.uint8
    )
    inside = (0.42, 0.3, 0.19) if corrugated else (0.5, 0.48, 0.44)
    edge = (0.4, 0.28, 0.17) if corrugated else (0.8, 0.79, 0.76)
    gloss = rng.uniform(0.7, 0.95) if corrugated else rng.uniform(0.2, 0.6)
    materials = (
        Material("board", (1.0, 1.0, 1.0), 0.0, gloss, art),
        Material("board_inside", inside, 0.0, 0.9),
        Material("board_edge", edge, 0.0, 0.95),
    )
    bow = rng.uniform(*config.bow_mm, 6) / 1000
    bow[5] *= -1  # the bottom bows in, or the box would rock
    vertices, faces, uv = _mesh(size, mechanics.spacing_mm / 1000)
    sheet = make_sheet(
        "board", vertices, faces, uv, np.zeros(len(faces), np.uint8), materials, mechanics,
        thickness_mm=thickness, levels=1, crease_deg=38.0,
        relief=_bow(size, bow),
    )  # fmt: skip
    clearance = rng.uniform(4, 9) / 1000 + thickness / 1000
    litres = float(np.prod(size)) * 1000
    return Product(
        item_identifier=item_identifier,
        family="carton",
        shape="box",
        packaging="outer",
        item_material="cardboard",
        sheets=(sheet,),
        contents=(_contents(size, clearance, rng),),
        core=np.stack([-size / 2 + clearance, size / 2 - clearance]) + np.array([0, 0, size[2] / 2]),
        attributes={
            "category": "shipping box" if corrugated else "folding carton",
            "title": title if not corrugated else "Corrugated shipper",
            "brand": brand,
            "dimensions_mm": tuple(round(float(v) * 1000, 1) for v in size),
            "catalogue_mass_g": round(litres * rng.uniform(150, 450) + 30, 0),
            "expected_units": 1,
        },
    )
