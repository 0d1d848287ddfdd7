"""An unlabelled food tin in bare tinplate: ribbed or plain body, double seams, ringed ends, a weld line, its age."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from scipy.spatial import Delaunay

from ...sim.scene import Material
from ..artwork import FONTS, brand_name, draw_artwork, draw_ink, draw_text, fractal_noise
from ..design import Design, stream
from ..materials import STOCKS, back_and_edge
from ..mesh import Relief, make_sheet
from .product import Product, catalogue_entry

TINPLATE = STOCKS["tinplate"].mechanics
SEAM_M = 0.0029
TEXTURE = 1024


class TinConfig(BaseModel):
    """Ranges from which each tin is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_mm: tuple[float, float] = Field(default=(32.0, 44.0), description="outer radius of the body")
    slenderness: tuple[float, float] = Field(default=(1.2, 3.4), description="height over radius")
    plain_share: float = Field(default=0.14, ge=0, le=1, description="share of tins without ribs")
    worn_share: float = Field(
        default=0.4, ge=0, le=1, description="share with glue residue, stains and rust specks at the seams"
    )


@dataclass(frozen=True)
class _Shape:
    """One tin's drawn shape, metres."""

    radius: float
    height: float
    seam_out: float
    countersink: float
    rib_low: float
    rib_high: float
    rib_period: float
    rib_height: float
    rib_sharpness: float
    plain_band: tuple[float, float]
    rings: tuple[tuple[float, float, float], ...]
    """(radius, half width, height) of the beads on the ends."""


def _draw_shape(config: TinConfig, design: Design) -> _Shape:
    rng = stream(design, "shape")
    radius = design.grow ** (1 / 3) * rng.uniform(*config.radius_mm) / 1000
    short = rng.random() < 0.15
    slender = rng.uniform(config.slenderness[0], 1.8) if short else rng.uniform(2.2, config.slenderness[1])
    height = radius * slender
    period = rng.uniform(3.8, 6.5) / 1000
    plain = rng.random() < config.plain_share
    middle = rng.uniform(0.3, 0.7) * height
    half = rng.uniform(3, 7) / 1000 if rng.random() < 0.4 else 0.0
    rings = tuple(
        (
            radius * rng.uniform(0.3, 0.88),
            rng.uniform(1.2, 3.2) / 1000,
            rng.choice([-1.0, 1.0, 1.0]) * rng.uniform(0.3, 1.3) / 1000,
        )
        for _ in range(int(rng.integers(1, 4)))
    )
    return _Shape(
        radius=radius,
        height=height,
        seam_out=rng.uniform(0.8, 1.5) / 1000,
        countersink=rng.uniform(3.0, 4.5) / 1000,
        rib_low=rng.uniform(0.08, 0.22) * height,
        rib_high=height * (1 - rng.uniform(0.08, 0.2)),
        rib_period=period,
        rib_height=0.0 if plain else rng.uniform(0.22, 0.6) / 1000 * period / 0.0045,
        rib_sharpness=rng.uniform(0.7, 1.6),
        plain_band=(middle - half, middle + half),
        rings=rings,
    )


def _ribs(shape: _Shape, z: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    wave = np.cos((z - shape.rib_low) / shape.rib_period * 2 * np.pi)
    wave = np.sign(wave) * np.abs(wave) ** (1 / shape.rib_sharpness)
    ramp = shape.rib_period / 2
    inside = np.clip((z - shape.rib_low) / ramp, 0, 1) * np.clip((shape.rib_high - z) / ramp, 0, 1)
    low, high = shape.plain_band
    if high > low:
        inside = inside * np.clip(np.maximum(low - z, z - high) / ramp + 0.5, 0, 1)
    return shape.rib_height * wave * inside


def _relief(shape: _Shape) -> Relief:
    """Ribs, rings, and the true roundness that a mesh of flat faces lacks."""

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        r, z = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
        body = (z > SEAM_M * 1.05) & (z < shape.height - SEAM_M * 1.05) & (r > 0.97 * shape.radius)
        out = np.where(body, shape.radius + _ribs(shape, z) - r, 0.0)
        seam = (r > shape.radius + 0.8 * shape.seam_out) & ~body
        out = np.where(seam, shape.radius + shape.seam_out - r, out)
        panel = r < 0.94 * shape.radius
        for at, half, lift in shape.rings:
            out += np.where(panel, lift * np.clip(1 - np.abs(r - at) / half, 0, 1), 0.0)
        return out

    return height


def _profile(shape: _Shape) -> list[tuple[float, float]]:
    """Wall from the rim of the bottom panel, out, up, and in to the rim of the top panel, as (r, z)."""
    r, h, s, deep = shape.radius, shape.height, shape.seam_out, shape.countersink
    inner = 0.955 * r
    spacing = TINPLATE.spacing_mm / 1000
    rows = np.linspace(SEAM_M, h - SEAM_M, max(4, round((h - 2 * SEAM_M) / spacing)) + 1)
    low = [
        (inner, deep),
        (inner, deep / 2),
        (inner, 0.0003),
        (r + 0.4 * s, 0.0),
        (r + s, 0.0005),
        (r + s, SEAM_M * 0.8),
    ]
    high = [(a, h - b) for a, b in reversed(low)]
    return low + [(r, float(z)) for z in rows] + high


def _end_panel(
    radius: float, sectors: int, spacing: float, ring: Float[np.ndarray, "s 2"]
) -> tuple[Float[np.ndarray, "n 2"], Int[np.ndarray, "f 3"]]:
    """Disc of evenly spaced points whose rim is ``ring``; counter-clockwise triangles."""
    points = [ring]
    count = max(1, round(radius / spacing))
    for k in range(count - 1, 0, -1):
        around = max(6, round(sectors * k / count))
        angle = (np.arange(around) + 0.5 * (k % 2)) / around * 2 * np.pi
        points.append(radius * k / count * np.stack([np.cos(angle), np.sin(angle)], 1))
    flat = np.concatenate([*points, np.zeros((1, 2))])
    faces = Delaunay(flat).simplices
    a, b, c = flat[faces[:, 0]], flat[faces[:, 1]], flat[faces[:, 2]]
    turn = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    faces = np.where((turn < 0)[:, None], faces[:, ::-1], faces)
    return flat, faces[np.abs(turn) > 1e-12]


def _mesh(shape: _Shape):
    """Vertices, faces, corner uv and material (0 body, 1 ends) of the closed tin."""
    spacing = TINPLATE.spacing_mm / 1000
    sectors = max(24, round(2 * np.pi * shape.radius / spacing))
    profile = np.array(_profile(shape))
    rows = len(profile)
    angle = (np.arange(sectors + 1)[None] + 0.5 * (np.arange(rows) % 2)[:, None]) / sectors * 2 * np.pi
    wall = np.stack(
        [profile[:, :1] * np.cos(angle), profile[:, :1] * np.sin(angle), np.repeat(profile[:, 1:], sectors + 1, 1)], -1
    )
    index = np.arange(rows * (sectors + 1)).reshape(rows, sectors + 1)
    faces = []
    for i in range(rows - 1):
        a, b, c, d = index[i, :-1], index[i, 1:], index[i + 1, 1:], index[i + 1, :-1]
        faces += (
            [np.stack([a, b, d], 1), np.stack([b, c, d], 1)]
            if i % 2 == 0
            else [np.stack([a, b, c], 1), np.stack([a, c, d], 1)]
        )
    wall_faces = np.concatenate(faces)
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    wall_uv = np.stack(
        [angle / (2 * np.pi) / 1.01, np.repeat((0.5 + 0.5 * arc / arc[-1])[:, None], sectors + 1, 1)], -1
    )
    vertices, uv = [wall.reshape(-1, 3)], [wall_uv.reshape(-1, 2)[wall_faces]]
    all_faces, material = [wall_faces], [np.zeros(len(wall_faces), np.uint8)]
    in_wall = (
        (profile[:, 0] > 0.99 * shape.radius)
        & (profile[:, 1] > SEAM_M * 0.99)
        & (profile[:, 1] < shape.height - SEAM_M * 0.99)
    )
    row_of_face = np.repeat(np.arange(rows - 1), 2 * sectors)
    material[0][~(in_wall[row_of_face] & in_wall[row_of_face + 1])] = 1
    offset = rows * (sectors + 1)
    for end, row, centre in ((0, 0, 0.25), (1, rows - 1, 0.75)):
        flat, panel = _end_panel(profile[row, 0], sectors, spacing, wall[row, :-1, :2])
        vertices.append(np.concatenate([flat, np.full((len(flat), 1), profile[row, 1])], axis=1))
        panel = panel if end else panel[:, ::-1]
        all_faces.append(panel + offset)
        disc = np.stack([centre + 0.24 * flat[:, 0] / shape.radius, 0.25 + 0.24 * flat[:, 1] / shape.radius], 1)
        uv.append(disc[panel])
        material.append(np.ones(len(panel), np.uint8))
        offset += len(flat)
    return np.concatenate(vertices), np.concatenate(all_faces), np.concatenate(uv), np.concatenate(material)


def _paint_ends(color: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A printed or embossed code on each end."""
    half = TEXTURE // 2
    picture = np.clip(color * 255, 0, 255).astype(np.uint8)
    for end in range(2):
        if rng.random() < 0.5:
            continue
        ink = draw_ink(rng, 10.0, 130.0)
        size = int(rng.uniform(0.15, 0.32) * half)
        x, y = end * half + (half - size) // 2, half + (half - size) // 2
        patch = picture[y : y + size, x : x + size].copy()
        for row in range(int(rng.integers(1, 4))):
            text = f"{brand_name(rng)[:4]} {int(rng.integers(1000, 9999))}"
            patch = draw_text(
                patch, text, (2, int(size * (0.1 + 0.28 * row)), size - 4, int(size * 0.22)), ink, FONTS[3]
            )
        turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(0, 360), 1)
        picture[y : y + size, x : x + size] = cv2.warpAffine(patch, turn, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return picture.astype(np.float64) / 255


def _paint(config: TinConfig, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Base colour (sRGB) and metallic-roughness textures: body on the upper half, ends on the lower."""
    n, half = TEXTURE, TEXTURE // 2
    color, rough, metal = np.ones((n, n, 3)), np.ones((n, n)), np.ones((n, n))
    color *= 1 + 0.02 * fractal_noise(rng, n, n, cell_px=120.0)[..., None]
    rough *= 1 + 0.25 * fractal_noise(rng, n, n, cell_px=60.0)
    weld = int(rng.uniform(0.02, 0.98) * n)
    width = int(rng.integers(3, 9))
    color[:half, weld : weld + width] *= rng.uniform(0.5, 0.85)
    rough[:half, weld : weld + width] *= 1.6
    if rng.random() < config.worn_share:
        dirt = fractal_noise(rng, n, n, cell_px=rng.uniform(15, 60))
        glue = np.clip((dirt - rng.uniform(2.0, 2.8)) * 3, 0, rng.uniform(0.3, 0.9))
        tone = np.array([1.0, 0.93, rng.uniform(0.6, 0.9)]) * rng.uniform(0.35, 0.65)
        color = color * (1 - glue[..., None]) + tone * glue[..., None]
        metal *= 1 - glue
        rough = rough * (1 + 2 * glue)
        edge = np.exp(-np.minimum(np.arange(half), half - 1 - np.arange(half)) / rng.uniform(10, 30))[:, None]
        specks = fractal_noise(rng, half, n, cell_px=25.0) + 1.5 * edge
        rust = np.clip((specks - rng.uniform(3.0, 3.8)) * 2, 0, 1)  # a few specks at the seams are no damage
        brown = np.array([0.45, 0.27, 0.12])
        color[:half] = color[:half] * (1 - rust[..., None]) + brown * rust[..., None]
        metal[:half] *= 1 - 0.9 * rust
        rough[:half] = np.where(rust > 0.3, 3.0, rough[:half])
    color = _paint_ends(np.clip(color, 0, 1), rng)
    mr = np.stack([np.zeros((n, n)), np.clip(rough * 85, 0, 255), np.clip(metal * 255, 0, 255)], -1)
    return (color * 255).astype(np.uint8), mr.astype(np.uint8)


def build_tin(item_identifier: str, config: TinConfig, design: Design) -> Product:
    """Draw one tin."""
    rng = stream(design, "colours")
    shape = _draw_shape(config, design)
    color, mr = _paint(config, stream(design, "specimen"))
    grey = rng.uniform(0.45, 0.8)
    tint = np.array([1, rng.uniform(0.95, 1), rng.uniform(0.88, 1)])
    lid_tint = np.array([1, rng.uniform(0.92, 1), rng.uniform(0.7, 1)])

    def metal(name: str, tone: np.ndarray, roughness: float) -> Material:
        r, g, b = (float(v) for v in tone)
        # The texture stores roughness over 3 so that stains can be rougher than the metal.
        return Material(name, (r, g, b), 1.0, min(1.0, 3 * roughness), color, mr)

    materials = (
        metal("tinplate", grey * tint, rng.uniform(0.05, 0.2)),
        metal("tinplate_end", grey * rng.uniform(0.9, 1.1) * lid_tint, rng.uniform(0.12, 0.3)),
        *back_and_edge(STOCKS["tinplate"]),
    )
    vertices, faces, uv, material = _mesh(shape)
    sheet = make_sheet(
        "tin", vertices, faces, uv, material, materials, TINPLATE,
        thickness_mm=0.2, levels=1, crease_deg=50.0, relief=_relief(shape), panel=material, panels=("body", "ends"),
    )  # fmt: skip
    across = 2 * (shape.radius + shape.seam_out)
    millilitres = np.pi * shape.radius**2 * shape.height * 1e6
    artwork = draw_artwork(design, "tinned food", net=f"{millilitres:.0f} ml")
    mass = float(millilitres * 1.05 + 45)
    return Product(
        item_identifier=item_identifier,
        family="tin",
        shape="round",
        packaging="primary",
        item_material="other",
        sheets=(sheet,),
        contents=(),
        core=None,
        attributes=catalogue_entry(
            artwork, category="food tin", size_m=np.array([across, across, shape.height]), mass_g=mass
        ),
        mass_g=mass,
        fill_ml=float(0.9 * millilitres),
        lookalikes=("ribs",) if shape.rib_height > 0 else (),
    )
