"""A beverage can: necked aluminium body printed all round, domed base, lid with countersink and stay-on tab."""

from dataclasses import dataclass, replace
from typing import Annotated

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import Material, Part
from ..artwork import Artwork, draw_artwork, fractal_noise, paint_panel
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import Relief, make_sheet
from ..shapes import Mesh, join
from .product import Hinge, Product, catalogue_entry
from .ranges import Headspace, choose, shares
from .turned import (
    Knot,
    Profile,
    draw_profile,
    face_front,
    loop_ring,
    part,
    profile_volume,
    revolve,
    rounded_loop,
    sheet_uv,
    solve,
    turned_wall,
)

ALUMINIUM = STOCKS["aluminium"]
FORMATS = {
    "standard 330": (330.0, 33.1, 27.0),
    "sleek 330": (330.0, 28.7, 27.0),
    "slim 250": (250.0, 26.6, 25.0),
    "tall 500": (500.0, 33.1, 27.0),
    "mini 150": (150.0, 26.6, 25.0),
}
"""Millilitres, body radius and radius of the lid's seam [mm]: the trade's sizes."""
BODY, LID, RIM, BASE = range(4)
PANELS = ("body", "lid", "rim", "base")


class BeverageCanConfig(BaseModel):
    """Ranges from which each can is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    formats: Annotated[dict[str, float], shares(lambda name: name in FORMATS, f"some of {', '.join(FORMATS)}")] = Field(
        default={"standard 330": 0.4, "sleek 330": 0.2, "slim 250": 0.15, "tall 500": 0.2, "mini 150": 0.05},
        description=f"share of each size: {', '.join(FORMATS)}",
    )
    headspace_share: Headspace = Field(default=(0.05, 0.08), description="gas above the drink, of the inside")
    bare_share: float = Field(default=0.45, ge=0, le=1, description="share whose ground is metal under clear varnish")
    condensation_share: float = Field(default=0.12, ge=0, le=1, description="share of pieces with droplets on them")


@dataclass(frozen=True)
class _Shape:
    """One can's drawn shape, metres."""

    radius: float
    seam: float
    height: float
    dome: float
    neck: float
    millilitres: float
    headspace: float


def _knots(s: _Shape) -> list[Knot]:
    """From the rim of the base's dome, out, up, in over the seam, and down into the lid's countersink."""
    mm, r, h, rim = 0.001, s.radius, s.height, s.seam
    stand = r - 8.5 * mm
    return [
        (stand - 2.2 * mm, 1.8 * mm, 0), (stand - 0.8 * mm, 0.0, 0), (stand + 0.8 * mm, 0.0, 0),
        (stand + 3.5 * mm, 3.0 * mm, 2 * mm), (r, 10.5 * mm, 4 * mm), (r, h - s.neck - 4 * mm, 5 * mm),
        (rim - 1.2 * mm, h - 6.0 * mm, 4 * mm), (rim - 1.4 * mm, h - 2.9 * mm, 0), (rim, h - 2.5 * mm, 0),
        (rim, h - 0.4 * mm, 0), (rim - 0.6 * mm, h, 0), (rim - 1.7 * mm, h, 0), (rim - 2.4 * mm, h - 0.8 * mm, 0),
        (rim - 3.4 * mm, h - 5.6 * mm, 0), (rim - 4.1 * mm, h - 6.4 * mm, 0), (rim - 4.9 * mm, h - 5.8 * mm, 0),
        (rim - 5.3 * mm, h - 4.4 * mm, 0), (rim - 6.2 * mm, h - 4.0 * mm, 0),
    ]  # fmt: skip


def _base(s: _Shape) -> Profile:
    """The dome from its middle to its rim."""
    rim, low, _ = _knots(s)[0]
    share = np.linspace(0, 1, 17)
    return np.stack([share * rim, low + (s.dome - low) * (1 - share**2.4)], 1)


def _enclosed(s: _Shape) -> float:
    """Volume inside [m³]."""
    rows = draw_profile(_knots(s), 0.0023)
    lid = np.array([[0.0, rows[-1, 1]]])
    return float(profile_volume(np.concatenate([_base(s), rows, lid]))[-1])


def _draw_shape(config: BeverageCanConfig, design: Design) -> _Shape:
    rng = stream(design, "shape")
    millilitres, radius, seam = FORMATS[choose(rng, config.formats)]
    more = design.grow ** (1 / 3)
    shape = _Shape(
        radius=radius / 1000 * more,
        seam=seam / 1000 * more,
        height=0.1,
        dome=rng.uniform(0.008, 0.0105),
        neck=max(0.004, 1.5 * (radius - seam) / 1000) + rng.uniform(0.003, 0.006),
        millilitres=millilitres * design.grow,
        headspace=rng.uniform(*config.headspace_share),
    )
    target = shape.millilitres / (1 - shape.headspace) * 1e-6
    return replace(shape, height=solve(lambda h: _enclosed(replace(shape, height=h)), target, 0.04, 0.4))


def _lid_relief(s: _Shape) -> Relief:
    """The lid's beads, its score and its rivet, and the stiffening rings of the base; the body's true roundness."""
    low, high = 0.012, s.height - s.neck - 0.006

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        x, y, z = points.T
        r = np.hypot(x, y)
        body = (z > low) & (z < high) & (r > 0.95 * s.radius)
        out = np.where(body, s.radius - r, 0.0)
        lid = (z > s.height - 0.006) & (r < s.seam - 0.0065)
        mouth = np.hypot(x / 0.0095, (y + 0.45 * s.seam) / 0.0085)
        out += np.where(lid, -0.0005 * np.exp(-(((mouth - 1.15) / 0.14) ** 2)), 0)
        out += np.where(lid, 0.0009 * np.exp(-((r / 0.0032) ** 2)), 0)
        beside = np.hypot(x / 0.0105, (y - 0.38 * s.seam) / 0.0095)
        return out - np.where(lid, 0.0006 * np.clip(1.6 - 1.6 * beside, 0, 1), 0)

    return height


def _mesh(s: _Shape) -> Mesh:
    spacing = ALUMINIUM.mechanics.spacing_mm / 1000
    rows = draw_profile(_knots(s), spacing)
    middle = (rows[1:] + rows[:-1]) / 2
    print_ = (middle[:, 1] > 0.0095) & (middle[:, 1] < s.height - 0.0062) & (middle[:, 0] > s.seam - 0.0015)
    panel = np.where(print_, BODY, RIM)
    panel[: int(np.argmax(print_))] = BASE
    return turned_wall(rows, spacing, panel, ends=(BASE, LID), base=_base(s))


def _tab(s: _Shape) -> Mesh:
    """The stay-on tab: a finger ring, a nose over the score, and the rivet that holds them."""
    z = s.height - 0.0040 + 0.0003
    ring = loop_ring(
        rounded_loop(0.0078, 0.0085, 2.6, centre=(0, 0.0085)), rounded_loop(0.0050, 0.0052, 2.6, centre=(0, 0.0098)),
        z, 0.0013,
    )  # fmt: skip
    nose = loop_ring(
        rounded_loop(0.0076, 0.0085, 2.8, centre=(0, -0.0005)),
        rounded_loop(0.0001, 0.0001, 2.0, centre=(0, -0.0005)),
        z, 0.0011, bevel=2.0,
    )  # fmt: skip
    line = [(0, z + 0.0002), (0.0026, z + 0.0002), (0.0026, z + 0.0016), (0.002, z + 0.0019), (0, z + 0.0019)]
    return join([ring, nose, revolve(np.array(line), 28)])


def _paint_lid(artwork: Artwork, width: int, rng: np.random.Generator) -> UInt8[np.ndarray, "w w 3"]:
    """Bare lid: score line, rolled grain, a small stamped word."""
    picture = np.full((width, width, 3), 214, np.float32)
    picture *= 1 + 0.012 * fractal_noise(rng, width, width, cell_px=width / 3)[..., None].astype(np.float32)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    px = width / 2
    at = (round(px), round(px * 1.55))
    cv2.ellipse(picture, at, (round(0.46 * px), round(0.40 * px)), 0, 0, 360, (120, 120, 120), 2, cv2.LINE_AA)
    for k, text in enumerate(("OPEN", artwork.brand[:8])):
        size = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, px / 420, 1)[0]
        where = (round(px - size[0] / 2), round(px * (0.30 + 0.09 * k)))
        cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, px / 420, (165, 165, 165), 1, cv2.LINE_AA)
    return picture


def _metal_under(
    body: UInt8[np.ndarray, "h w 3"], ground: tuple[int, int, int], bare: bool
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Roughness and metal of the print: opaque ink over white, or clear ink in which the can shines."""
    size = (body.shape[1] // 2, body.shape[0] // 2)
    small = cv2.resize(body, size, interpolation=cv2.INTER_AREA).astype(np.int16)
    far = np.abs(small - np.array(ground, np.int16)).max(axis=-1)
    metal = (np.clip(70 - far, 0, 40) / 40 if bare else np.zeros(far.shape)).astype(np.float32)
    rough = 0.75 + 0.25 * metal
    return (np.stack([np.zeros_like(metal), rough, metal], -1) * 255).astype(np.uint8)


def _print(
    config: BeverageCanConfig, design: Design, artwork: Artwork, atlas: Atlas
) -> tuple[UInt8[np.ndarray, "s s 3"], UInt8[np.ndarray, "s s 3"]]:
    """Colour and metallic-roughness textures of the body's print and of the lid."""
    rng, patch = stream(design, "colours"), atlas.patches[BODY]
    bare = rng.random() < config.bare_share
    body = face_front(paint_panel(artwork, "wrap", *patch.picture_size, px_per_mm=patch.px_per_mm))
    lid = _paint_lid(artwork, atlas.patches[LID].picture_size[0], stream(design, "layout"))
    metal = _metal_under(body, artwork.ground, bool(bare))
    if bare:  # translucent ink on a mirror returns more light than on paper
        shine = cv2.resize(metal[..., 2], body.shape[1::-1]).astype(np.float32)[..., None] / 255
        body = np.clip(body * (1 + 0.12 * shine) + 18 * shine, 0, 255).astype(np.uint8)
    whole = np.full((8, 8, 3), (0, 255, 255), np.uint8)
    return paint_atlas(atlas, [body, lid]), paint_atlas(atlas, [metal, whole], ground=255)


def _droplets(s: _Shape, rng: np.random.Generator) -> Part:
    """Condensation: flat drops standing on the wall."""
    drop = revolve(np.array([(0.0, -0.15), (1.0, -0.15), (0.8, 0.25), (0.4, 0.45), (0.0, 0.5)]), 8)
    low, high = 0.013, s.height - s.neck - 0.008
    meshes = []
    for _ in range(int(rng.integers(150, 420))):
        angle, z, size = rng.uniform(0, 2 * np.pi), rng.uniform(low, high), rng.lognormal(-7.3, 0.45)
        out = np.array([np.cos(angle), np.sin(angle), 0.0])
        frame = np.stack([np.array([-out[1], out[0], 0]), np.array([0, 0, rng.uniform(0.9, 1.6)]), out], 1)
        at = out * s.radius + np.array([0, 0, z])
        meshes.append(replace(drop, vertices=min(size, 0.0016) * drop.vertices @ frame.T + at))
    return part(join(meshes), "condensation", Material("water", (0.97, 0.98, 1.0), 0.0, 0.03, transmission=0.9))


def build_beverage_can(item_identifier: str, config: BeverageCanConfig, design: Design) -> Product:
    """Draw one can."""
    shape, specimen = _draw_shape(config, design), stream(design, "specimen")
    turn = stream(design, "words").random()
    category = "beer" if turn < 0.35 else "cola" if turn < 0.75 else "juice"
    artwork = draw_artwork(design, category, net=f"{shape.millilitres:.0f} ml")
    mesh = _mesh(shape)
    print_mm = 1000 * (shape.height - 0.0157)
    lid_mm = 2000 * (shape.seam - 0.0062)
    atlas = pack_atlas([(2000 * np.pi * shape.radius, print_mm), (lid_mm, lid_mm)], design.texture_px, wrap=(BODY,))
    color, metal = _print(config, design, artwork, atlas)
    ink = printed(ALUMINIUM, stream(design, "colours"), color, metal)
    bare = Material("aluminium_bare", (0.86, 0.86, 0.87), 1.0, float(specimen.uniform(0.18, 0.3)))
    sheet = make_sheet(
        "can", mesh.vertices, mesh.faces, sheet_uv(mesh, atlas), (mesh.panel > LID).astype(np.uint8),
        (ink, bare, *back_and_edge(ALUMINIUM)), ALUMINIUM.mechanics, thickness_mm=ALUMINIUM.thickness_mm, levels=1,
        crease_deg=ALUMINIUM.crease_deg, relief=_lid_relief(shape), panel=mesh.panel, panels=PANELS,
    )  # fmt: skip
    tint = stream(design, "colours").choice(5)
    tab_tone = ((0.86, 0.86, 0.87), (0.86, 0.86, 0.87), (0.86, 0.86, 0.87), (0.75, 0.3, 0.08), (0.05, 0.05, 0.06))[tint]
    contents = [part(_tab(shape), "tab", Material("tab", tab_tone, 1.0, 0.25))]
    wet = specimen.random() < config.condensation_share
    if wet:
        contents.append(_droplets(shape, specimen))
    across = 2 * shape.radius
    mass = shape.millilitres * 1.03 + 4 + 0.028 * shape.millilitres
    z = shape.height - 0.0035
    return Product(
        item_identifier=item_identifier,
        family="beverage_can",
        shape="round",
        packaging="primary",
        item_material="other",
        sheets=(sheet,),
        contents=tuple(contents),
        core=None,
        attributes=catalogue_entry(
            artwork, category="beverage can", size_m=np.array([across, across, shape.height]), mass_g=mass
        ),
        mass_g=mass,
        fill_ml=shape.millilitres,
        hinges=(Hinge("tab", ("tab",), (-0.008, 0.0, z), (0.008, 0.0, z), 80.0, "snap"),),
        lookalikes=("condensation",) if wet else (),
    )
