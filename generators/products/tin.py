"""A food tin: ribbed or plain body, double seams, ringed ends, a weld line, its age; bare, or in a paper label."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import Material
from ..artwork import FONTS, Artwork, brand_name, draw_artwork, draw_ink, draw_text, fractal_noise, paint_panel
from ..design import Design, stream
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import Relief, make_sheet
from ..shapes import Mesh, cap, end_ring, join, lathe
from .product import Hinge, Product, catalogue_entry
from .turned import draw_overlap, face_front, loop_ring, part, revolve, rounded_loop

TINPLATE = STOCKS["tinplate"].mechanics
SPACING_M = TINPLATE.spacing_mm / 1000
SEAM_M = 0.0029
TEXTURE = 1024
TURN = 1 / 1.01
"""Share of the texture's width that goes once round."""
BODY, ENDS, LABEL = range(3)


class TinConfig(BaseModel):
    """Ranges from which each tin is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_mm: tuple[float, float] = Field(default=(32.0, 44.0), description="outer radius of the body")
    slenderness: tuple[float, float] = Field(default=(1.2, 3.4), description="height over radius")
    plain_share: float = Field(default=0.14, ge=0, le=1, description="share of tins without ribs")
    worn_share: float = Field(
        default=0.4, ge=0, le=1, description="share with glue residue, stains and rust specks at the seams"
    )
    label_share: float = Field(default=0.3, ge=0, le=1, description="share with a paper label round the body")
    pull_ring_share: float = Field(default=0.35, ge=0, le=1, description="share whose lid opens by a ring")


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
    label: tuple[float, float] | None
    """Lower and upper edge of the paper label, if there is one."""
    pull_ring: bool


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
        label=_label_rows(height, int(rng.integers(1, 3))) if rng.random() < config.label_share else None,
        pull_ring=bool(rng.random() < config.pull_ring_share),
    )


def _label_rows(height: float, margin: int) -> tuple[float, float]:
    """Edges of a label that leaves ``margin`` rows of the wall bare at each end."""
    rows = _rows(height)
    return float(rows[margin]), float(rows[-1 - margin])


def _rows(height: float) -> Float[np.ndarray, " n"]:
    """z of the rows of vertices between the seams."""
    return np.linspace(SEAM_M, height - SEAM_M, max(4, round((height - 2 * SEAM_M) / SPACING_M)) + 1)


def _ribs(shape: _Shape, z: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    wave = np.cos((z - shape.rib_low) / shape.rib_period * 2 * np.pi)
    wave = np.sign(wave) * np.abs(wave) ** (1 / shape.rib_sharpness)
    ramp = shape.rib_period / 2
    inside = np.clip((z - shape.rib_low) / ramp, 0, 1) * np.clip((shape.rib_high - z) / ramp, 0, 1)
    low, high = shape.plain_band
    if high > low:
        inside = inside * np.clip(np.maximum(low - z, z - high) / ramp + 0.5, 0, 1)
    return shape.rib_height * wave * inside


def _paper(shape: _Shape, rng: np.random.Generator) -> Relief:
    """How a label lies over the ribs: it bridges them a little, waves, and overlaps itself."""
    sag, wave, phase = rng.uniform(0.5, 0.85), rng.uniform(0.02, 0.12) / 1000, rng.uniform(0, 2 * np.pi, 2)

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        angle, z = np.arctan2(points[:, 1], points[:, 0]), points[:, 2]
        ribs = _ribs(shape, z)
        lie = sag * ribs + (1 - sag) * 0.6 * shape.rib_height
        lie = np.maximum(lie, ribs) + 0.00012 + 0.00012 * (np.abs(angle - np.pi / 2 - 0.07) < 0.07)
        return lie + wave * (1 + np.sin(2 * angle + phase[0]) * np.sin(90 * z + 3 * angle + phase[1]))

    return height


def _relief(shape: _Shape, rng: np.random.Generator) -> Relief:
    """Ribs, rings, and the true roundness that a mesh of flat faces lacks."""
    paper, label = _paper(shape, rng), shape.label or (np.inf, -np.inf)

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        r, z = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
        body = (z > SEAM_M * 1.05) & (z < shape.height - SEAM_M * 1.05) & (r > 0.97 * shape.radius)
        covered = (z > label[0] - 1e-6) & (z < label[1] + 1e-6)
        out = np.where(body, shape.radius + np.where(covered, paper(points), _ribs(shape, z)) - r, 0.0)
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
    low = [
        (inner, deep),
        (inner, deep / 2),
        (inner, 0.0003),
        (r + 0.4 * s, 0.0),
        (r + s, 0.0005),
        (r + s, SEAM_M * 0.8),
    ]
    high = [(a, h - b) for a, b in reversed(low)]
    return low + [(r, float(z)) for z in _rows(h)] + high


def _mesh(shape: _Shape) -> tuple[Mesh, Float[np.ndarray, "f 3 2"], UInt8[np.ndarray, " f"]]:
    """The closed tin (panels: 0 body, 1 ends), its corner uv, and its material: BODY, ENDS or LABEL."""
    sectors = max(24, round(2 * np.pi * shape.radius / SPACING_M))
    profile = np.array(_profile(shape))
    wall = lathe(profile, SPACING_M, panel=BODY, sectors=sectors)
    middle = (profile[1:] + profile[:-1]) / 2
    side = (middle[:, 0] > 0.999 * shape.radius) & (middle[:, 1] > SEAM_M) & (middle[:, 1] < shape.height - SEAM_M)
    side &= middle[:, 0] < shape.radius + 0.5 * shape.seam_out * (np.abs(np.diff(profile[:, 0])) < 1e-9)
    low, high = shape.label or (np.inf, -np.inf)
    under = side & (middle[:, 1] > low) & (middle[:, 1] < high)
    of_row = np.where(under, LABEL, np.where(side, BODY, ENDS)).astype(np.uint8)
    ends = [cap(end_ring(wall, top=top), SPACING_M, panel=ENDS, up=top) for top in (False, True)]
    uv = [wall.st * np.array([TURN, 0.5]) + np.array([0, 0.5])]
    reach = 0.24 * profile[0, 0] / shape.radius
    uv += [
        np.array([middle_u, 0.25]) + 2 * reach * (end.st - 0.5)
        for end, middle_u in zip(ends, (0.25, 0.75), strict=True)
    ]
    mesh = join([wall, *ends])
    material = np.full(len(mesh.faces), ENDS, np.uint8)
    material[: len(wall.faces)] = np.repeat(of_row, 2 * sectors)
    return replace(mesh, panel=np.minimum(material % LABEL, ENDS).astype(np.uint8)), np.concatenate(uv), material


def _label_span(shape: _Shape) -> tuple[float, float]:
    """Share of the way along the profile at which the label starts and ends."""
    profile = np.array(_profile(shape))
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))]) / SPACING_M
    assert shape.label is not None
    straight = np.flatnonzero(profile[:, 0] == shape.radius)
    low, high = (np.interp(z, profile[straight, 1], arc[straight]) / arc[-1] for z in shape.label)
    return float(low), float(high)


def _paste_label(
    shape: _Shape, artwork: Artwork, color: UInt8[np.ndarray, "t t 3"], design: Design
) -> UInt8[np.ndarray, "n n 3"]:
    """Enlarge the texture and lay the label where the body's side is."""
    n, turn = max(design.texture_px, TEXTURE), 2000 * np.pi * shape.radius
    picture = color.copy() if n == TEXTURE else cv2.resize(color, (n, n), interpolation=cv2.INTER_LINEAR)
    low, high = _label_span(shape)
    assert shape.label is not None
    width, px_per_mm = round(n * TURN), n * TURN / turn
    tall = round(1000 * (shape.label[1] - shape.label[0]) * px_per_mm)
    label = face_front(paint_panel(artwork, "wrap", width, tall, px_per_mm=px_per_mm))
    label = draw_overlap(label, round(5 * px_per_mm), stream(design, "specimen"))
    top, bottom = round(0.5 * n * (1 - high)), round(0.5 * n * (1 - low))
    label = cv2.resize(label, (width, bottom - top), interpolation=cv2.INTER_AREA)
    picture[top:bottom] = np.concatenate([label, label[:, : n - width]], axis=1)
    return picture


def _pull_ring(shape: _Shape) -> Mesh:
    """The ring of an easy-open lid, riveted near its edge."""
    z, y, k = shape.height - shape.countersink + 0.0013, -0.78 * shape.radius, min(1.0, shape.radius / 0.036)
    ring = loop_ring(
        rounded_loop(0.0105 * k, 0.0115 * k, 2.4, centre=(0, y + 0.0165 * k)),
        rounded_loop(0.0072 * k, 0.0080 * k, 2.4, centre=(0, y + 0.0175 * k)), z, 0.0013,
    )  # fmt: skip
    nose = loop_ring(
        rounded_loop(0.0062 * k, 0.0055 * k, 2.6, centre=(0, y + 0.0045 * k)),
        rounded_loop(0.0001, 0.0001, 2.0, centre=(0, y + 0.0045 * k)), z - 0.0002, 0.0012, bevel=1.5,
    )  # fmt: skip
    line = [(0, z - 0.0012), (0.0026, z - 0.0012), (0.0026, z + 0.0012), (0.002, z + 0.0015), (0, z + 0.0015)]
    rivet = revolve(np.array(line), 24)
    rivet = replace(rivet, vertices=rivet.vertices + np.array([0, y + 0.005 * k, 0]))
    return join([ring, nose, rivet])


def _paint_ends(color: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A printed or embossed code on each end."""
    half = TEXTURE // 2
    picture = np.clip(color * 255, 0, 255).astype(np.uint8)
    for end in range(2):
        if rng.random() < 0.5:
            continue
        ink = draw_ink(rng, 10.0, 130.0)
        size = int(rng.uniform(0.15, 0.42) * half)
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


def _ring_hinge(shape: _Shape) -> tuple[Hinge, ...]:
    """A ring is lifted about its rivet, away from the lid's middle."""
    y, z = -0.7 * shape.radius, shape.height - shape.countersink + 0.0015
    return (Hinge("pull ring", ("pull ring",), (-0.008, y, z), (0.008, y, z), 90.0, "seal"),)


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
    metal_ring = Material("pull_ring", (0.75, 0.74, 0.72), 1.0, 0.25)
    artwork = draw_artwork(design, "tinned food", net=f"{np.pi * shape.radius**2 * shape.height * 1e6:.0f} ml")
    if shape.label is not None:
        ink = printed(STOCKS["paper"], rng, _paste_label(shape, artwork, color, design), name="label")
        materials = (*materials[:LABEL], ink, *materials[LABEL:])
    mesh, uv, material = _mesh(shape)
    sheet = make_sheet(
        "tin", mesh.vertices, mesh.faces, uv, material, materials, TINPLATE, thickness_mm=0.2, levels=1,
        crease_deg=50.0, relief=_relief(shape, stream(design, "specimen")), panel=mesh.panel, panels=("body", "ends"),
    )  # fmt: skip
    ring = (part(_pull_ring(shape), "pull ring", metal_ring),) if shape.pull_ring else ()
    marks = ["label_overlap"] * (shape.label is not None) + ["ribs"] * (shape.rib_height > 0)
    across = 2 * (shape.radius + shape.seam_out)
    millilitres = np.pi * shape.radius**2 * shape.height * 1e6
    mass = float(millilitres * 1.05 + 45)
    return Product(
        item_identifier=item_identifier,
        family="tin",
        shape="round",
        packaging="primary",
        item_material="other",
        sheets=(sheet,),
        contents=ring,
        core=None,
        attributes=catalogue_entry(
            artwork, category="food tin", size_m=np.array([across, across, shape.height]), mass_g=mass
        ),
        mass_g=mass,
        fill_ml=float(0.9 * millilitres),
        hinges=_ring_hinge(shape) if ring else (),
        lookalikes=tuple(marks),
    )
