"""A laminate tube of toothpaste or cream: round shoulder and cap at one end, flat crimped seal at the other."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ellipe

from ...sim.scene import Part, transform_part
from ..artwork import Artwork, draw_artwork, paint_panel
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import Relief, face_areas, make_sheet
from ..shapes import Mesh, cap, end_ring, join, loft, move
from .product import Hinge, Product, catalogue_entry
from .ranges import Headspace, choose, sizes, within
from .turned import banded, part, plastic, revolve, screw_cap, sheet_uv, skin, solve

LAMINATE = STOCKS["laminate"]
PRINT, SHOULDER, SEAL = range(3)
PANELS = ("body", "shoulder", "seal")
SEAL_HALF_M = 0.00045
"""Half the thickness of the crimped end."""
DENSITY = {"toothpaste": 1.3, "cream": 0.98}


class TubeConfig(BaseModel):
    """Ranges from which each tube is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    toothpaste_share: float = Field(default=0.5, ge=0, le=1, description="the others hold cream and stand on their cap")
    millilitres: Annotated[dict[int, float], sizes(10, 500)] = Field(
        default={30: 0.1, 50: 0.2, 75: 0.35, 100: 0.2, 150: 0.1, 200: 0.05}, description="share of each size"
    )
    slenderness: Annotated[tuple[float, float], within(3.5, 12)] = Field(
        default=(5.0, 7.5), description="length without cap over radius"
    )
    headspace_share: Headspace = Field(default=(0.04, 0.12), description="air, of the inside")
    dent_mm: Annotated[tuple[float, float], within(0, 3)] = Field(
        default=(0.0, 0.6), description="benign waviness of the filled wall"
    )


@dataclass(frozen=True)
class _Shape:
    """One tube's drawn shape, standing on its cap; metres."""

    goods: Literal["toothpaste", "cream"]
    radius: float
    slender: float
    neck: float
    shoulder: float
    """Height of the shoulder's cone."""
    cap_radius: float
    cap_height: float
    ribs: int
    flip: bool
    crimp: float
    """Height of the seal."""
    belly: float
    """How long the wall stays round before it flattens: 1 is a straight wedge, more is fuller."""
    millilitres: float
    headspace: float

    @property
    def foot(self) -> float:
        """z of the shoulder's lower edge, just inside the cap."""
        return self.cap_height - 0.0012

    @property
    def body(self) -> tuple[float, float]:
        """z where the body starts and where the seal starts."""
        low = self.foot + self.shoulder
        return low, low + self.slender * self.radius

    @property
    def height(self) -> float:
        """z of the sealed end."""
        return self.body[1] + self.crimp


@lru_cache(maxsize=1)
def _flattening() -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Half the thickness and half the width of ellipses with the unit circle's circumference."""
    ratio = np.geomspace(1e-4, 1, 2000)
    wide = np.pi / (2 * ellipe(1 - ratio**2))
    return ratio * wide, wide


def half_widths(radius: float, flat: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Half the width of ellipses with a circle's circumference and half the thickness ``flat`` [m]."""
    thin, wide = _flattening()
    return radius * np.interp(flat / radius, thin, wide)


def _thickness(s: _Shape, z: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Half the body's thickness at heights [m]: round at the shoulder, flat at the seal."""
    low, high = s.body
    share = np.clip((z - low) / (high - low), 0, 1)
    return SEAL_HALF_M + (s.radius - SEAL_HALF_M) * (1 - share**s.belly)


def _oval(a: float, b: float, turns: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m 2"]:
    """Points evenly spaced round an oval, from +x: an ellipse, but with square ends where it is flat."""
    power = 2 + 6 * np.clip(1 - 8 * b / a, 0, 1) ** 4
    fine = np.linspace(0, 2 * np.pi, 1441)
    c, q = np.cos(fine), np.sin(fine)
    x, y = np.sign(c) * np.abs(c) ** (2 / power), b * np.sign(q) * np.abs(q) ** (2 / power)
    around, wide = 4 * a * float(ellipe(1 - min(b / a, 1.0) ** 2)), a

    def along() -> Float[np.ndarray, " n"]:
        return np.concatenate([[0], np.cumsum(np.hypot(wide * np.diff(x), np.diff(y)))])

    for _ in range(3 * (power > 2)):  # square ends are longer: narrower by as much, so that the film keeps its length
        wide -= (along()[-1] - around) / 4
    arc = along()
    at = turns % 1 * arc[-1]
    return np.stack([wide * np.interp(at, arc, x), np.interp(at, arc, y)], 1)


def _enclosed(s: _Shape) -> float:
    """Volume inside [m³]."""
    z = np.linspace(*s.body, 60)
    flat = _thickness(s, z)
    area = np.pi * half_widths(s.radius, flat) * flat
    cone = np.pi / 3 * s.shoulder * (s.radius**2 + s.radius * s.neck + s.neck**2)
    return float(np.trapezoid(area, z) + cone)


def _draw_shape(config: TubeConfig, design: Design) -> _Shape:
    rng = stream(design, "shape")
    paste = stream(design, "words").random() < config.toothpaste_share
    millilitres = float(choose(rng, config.millilitres)) * design.grow
    shape = _Shape(
        goods="toothpaste" if paste else "cream", radius=0.0175, slender=rng.uniform(*config.slenderness), neck=0.0065,
        shoulder=0.005, cap_radius=rng.uniform(0.55, 0.98) if paste else rng.uniform(0.9, 1.0),
        cap_height=rng.uniform(0.016, 0.024), ribs=int(rng.choice([0, 40, 60])),
        flip=bool(rng.random() < (0.4 if paste else 0.7)),
        crimp=rng.uniform(0.006, 0.010), belly=rng.uniform(1.0, 1.5), millilitres=millilitres,
        headspace=rng.uniform(*config.headspace_share),
    )  # fmt: skip
    target = millilitres / (1 - shape.headspace) * 1e-6
    size = solve(lambda r: _enclosed(replace(shape, radius=r)), target, 0.0085, 0.06)
    return replace(shape, radius=size, cap_radius=shape.cap_radius * size)


def _close_seal(ring: Float[np.ndarray, "m 3"]) -> Mesh:
    """The end of the seal: front and back of a flat ring joined, each point to its mirror image."""
    n = len(ring)
    front = np.arange(n // 2 + 1)
    back = -front % n
    a, b, c, d = front[:-1], front[1:], back[1:], back[:-1]
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int64)
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    return Mesh(ring, faces, np.full((len(faces), 3, 2), 0.5), np.full(len(faces), SEAL, np.uint8))


def _mesh(s: _Shape) -> Mesh:
    spacing = LAMINATE.mechanics.spacing_mm / 1000
    sectors = 2 * max(12, round(np.pi * s.radius / spacing))
    low, high = s.body
    rows = [(s.foot, s.neck, s.neck)]
    for q in np.linspace(0, 1, max(3, round((s.radius - s.neck) / spacing)))[1:]:
        r = s.neck + q * (s.radius - s.neck)
        rows.append((s.foot + s.shoulder * q**1.5, r, r))
    body = np.linspace(low, high, max(8, round((high - low) / spacing)) + 1)[1:]
    seal = np.linspace(high, s.height, max(2, round(s.crimp / spacing)) + 1)[1:]
    shoulder = len(rows) - 1
    z = np.concatenate([body, seal])
    flat = _thickness(s, z)
    table = np.concatenate([np.array(rows), np.stack([z, half_widths(s.radius, flat), flat], 1)])

    # A loft's rows are staggered; where the tube is flat each row must have a point on both folds, or it would shrink.
    back = 0.5 * (np.arange(len(table)) % 2) / sectors * np.clip((0.6 - table[:, 2] / table[:, 1]) / 0.3, 0, 1)

    def section(row: int, angle: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
        z, a, b = table[row]
        return np.concatenate([_oval(a, b, angle / (2 * np.pi) - back[row]), np.full((len(angle), 1), z)], axis=1)

    wall = loft(section, np.cumsum(np.concatenate([[0], np.diff(table[:, 0]) + 1e-6])), sectors, panel=PRINT)
    panel = np.where(np.arange(len(table) - 1) < shoulder, SHOULDER, PRINT)
    low_end = cap(end_ring(wall, top=False), spacing, panel=SHOULDER, up=False)
    seam = _close_seal(end_ring(wall, top=True))
    wall.st[..., 0] -= back[wall.faces // (sectors + 1)]
    return join([banded(wall, panel), low_end, seam])


def _relief(s: _Shape, design: Design, dent_mm: float) -> Relief:
    """Lines pressed into the seal, and the waviness of a filled tube."""
    rng = stream(design, "specimen")
    phase, high = rng.uniform(0, 2 * np.pi, 3), s.body[1]
    upright = stream(design, "shape").random() < 0.6

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        x, y, z = points.T
        lines = np.sin(2 * np.pi * (x / 0.0022 if upright else z / 0.0024))
        front = np.where(y < 0, 1.0, -1.0)  # what is pressed in on the front stands out at the back
        crimp = 0.00011 * lines * front
        along = (z - s.body[0]) / (high - s.body[0])
        wave = np.sin(9 * along + phase[0] + 2 * np.arctan2(y, x)) * np.sin(5 * along + phase[1])
        swell = dent_mm / 1000 * 0.5 * wave * np.clip(np.sin(np.pi * np.clip(along, 0, 1)), 0, 1)
        return np.where(z > high - 1e-6, np.where(z < s.height - 1e-5, crimp, 0.0), swell)

    return height


def _paint(s: _Shape, artwork: Artwork, atlas: Atlas) -> UInt8[np.ndarray, "h w 3"]:
    """Front and back on the flat sides; on toothpaste they read along the tube. The seal is crimped, a code on it."""
    patch = atlas.patches[PRINT]
    width, height = patch.picture_size
    half, crimp = width // 2, round(height * s.crimp / (s.height - s.body[0]))
    sides = []
    for kind, across in (("back", half), ("front", width - half)):
        size = (height - crimp, across) if s.goods == "toothpaste" else (across, height - crimp)
        side = paint_panel(artwork, kind, *size, px_per_mm=patch.px_per_mm)
        sides.append(cv2.rotate(side, cv2.ROTATE_90_COUNTERCLOCKWISE) if s.goods == "toothpaste" else side)
    body = np.concatenate(sides, axis=1)
    seal = np.repeat(body[:1], crimp, axis=0).astype(np.float32)
    seal[:] = np.median(seal, axis=(0, 1))
    seal *= 1 - 0.06 * (np.arange(width) % max(4, round(2.2 * patch.px_per_mm)) < 2)[None, :, None]
    seal = np.ascontiguousarray(seal.astype(np.uint8))
    code = f"L{int(artwork.ean[-4:])} {artwork.ean[5:7]}/2{artwork.ean[3]}"
    where = (round(0.70 * width), round(0.7 * crimp))
    tone = (60, 60, 60) if seal.mean() > 90 else (220, 220, 220)
    cv2.putText(seal, code, where, cv2.FONT_HERSHEY_PLAIN, max(0.5, crimp / 26), tone, 1, cv2.LINE_AA)
    return np.concatenate([seal, body])


def _cap(s: _Shape, design: Design) -> Part:
    colours = stream(design, "colours")
    tones = ((0.86, 0.86, 0.86), (0.03, 0.03, 0.035), (0.03, 0.15, 0.55), (0.6, 0.03, 0.04), (0.75, 0.6, 0.3))
    tone = tones[int(colours.choice(5, p=[0.6, 0.1, 0.12, 0.1, 0.08]))]
    mm, r, h = 0.001, s.cap_radius, s.cap_height
    if s.flip:
        lid, f = 0.55 * h, 0.4 * mm
        line = [(0, h - 3 * mm), (s.neck + 0.6 * mm, h - 3 * mm), (s.neck + 0.6 * mm, h), (r - f, h), (r, h - f),
                (r, lid + 0.3 * mm), (r - 0.5 * mm, lid + 0.25 * mm), (r - 0.5 * mm, lid - 0.25 * mm),
                (r, lid - 0.3 * mm), (r, 1.2 * mm), (r - f, 0.3 * mm), (r - 1.2 * mm, 0), (0, 0)]  # fmt: skip
        profile = np.array(line)[::-1].copy()
        mesh = revolve(profile, 72)
    else:
        upright = screw_cap(
            r,
            h,
            0.0,
            ribs=s.ribs or 60,
            rib=0.0004 if s.ribs else 0.0,
            wall=max(1.6 * mm, r - s.neck - 0.8 * mm),
            edge=1.2 * mm,
        )
        mesh = move(upright, np.diag([1.0, -1.0, -1.0]), np.array([0, 0, h]))
    return part(mesh, "cap", plastic("cap", tone, float(colours.uniform(0.25, 0.45))))


def _paste(s: _Shape) -> Mesh:
    """What is in it, clear of the wall, up to where the tube has grown thin."""
    gap = LAMINATE.thickness_mm / 1000 + 0.0006
    low, high = s.body
    rows = []
    heights = np.linspace(low + 0.001, high, 40)
    flat = _thickness(s, heights)
    for z, a, b in zip(heights, half_widths(s.radius, flat), flat, strict=True):
        if b >= 0.0025:
            rows.append(np.concatenate([_oval(a - gap, b - gap, np.arange(48) / 48), np.full((48, 1), z)], axis=1))
    ends = [np.repeat(row.mean(axis=0, keepdims=True), 48, axis=0) for row in (rows[0], rows[-1])]
    return skin(np.stack([ends[0], *rows, ends[1]]))


def _frame(s: _Shape) -> Float[np.ndarray, "3 3"]:
    """Cream stands on its cap on the shelf; toothpaste lies on its back, the front up, its axis along x."""
    if s.goods == "cream":
        return np.eye(3)
    tilt = np.arctan2(s.radius - SEAL_HALF_M, s.slender * s.radius)
    level = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    return level @ np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0.0]])


def _place(s: _Shape, points: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "4 4"]:
    """T_item_tube: from the tube standing on its cap to the item on the shelf."""
    T = np.eye(4)
    T[:3, :3] = _frame(s)
    turned = points @ T[:3, :3].T
    middle = (turned.max(axis=0) + turned.min(axis=0)) / 2
    T[:3, 3] = -middle[0], -middle[1], -turned[:, 2].min()
    return T


def build_tube(item_identifier: str, config: TubeConfig, design: Design) -> Product:
    """Draw one tube."""
    s = _draw_shape(config, design)
    artwork = draw_artwork(design, s.goods, net=f"{s.millilitres:.0f} ml")
    upright, lid = _mesh(s), _cap(s, design)
    T = _place(s, np.concatenate([upright.vertices, lid.vertices]))
    R, t = T[:3, :3], T[:3, 3]
    mesh = move(upright, R, t)
    atlas = pack_atlas(
        [(2000 * np.pi * s.radius, 1000 * (s.height - s.body[0]))], design.texture_px, wrap=(PRINT,)
    )  # fmt: skip
    texture = paint_atlas(atlas, [_paint(s, artwork, atlas)])
    ink = printed(LAMINATE, stream(design, "colours"), texture, name="laminate")
    plain = plastic("shoulder", (0.85, 0.85, 0.84), 0.4)
    form = _relief(s, design, float(stream(design, "specimen").uniform(*config.dent_mm)))
    sheet = make_sheet(
        "tube", mesh.vertices, mesh.faces, sheet_uv(mesh, atlas), (mesh.panel != PRINT).astype(np.uint8),
        (ink, plain, *back_and_edge(LAMINATE)), LAMINATE.mechanics, thickness_mm=LAMINATE.thickness_mm, levels=2,
        crease_deg=LAMINATE.crease_deg, relief=lambda points: form((points - t) @ R), panel=mesh.panel, panels=PANELS,
    )  # fmt: skip
    lid = transform_part(lid, T)
    paste = part(move(_paste(s), R, t), s.goods, plastic(s.goods, (0.8, 0.85, 0.84), 0.4), surface="contents")
    points = np.concatenate([sheet.vertices, lid.vertices])
    mass = s.millilitres * DENSITY[s.goods] + _cap_g(s) + 1.3 * LAMINATE.thickness_mm * 1000 * float(
        face_areas(sheet.vertices, sheet.faces).sum()
    )  # fmt: skip
    a, b = (R @ np.array([0, 0, z]) + t for z in (s.cap_height, 0.0))
    return Product(
        item_identifier=item_identifier,
        family="tube",
        shape="round",
        packaging="primary",
        item_material="plastic_hard",
        sheets=(sheet,),
        contents=(paste, lid),
        core=None,
        attributes=catalogue_entry(artwork, category="tube", size_m=np.ptp(points, axis=0), mass_g=mass),
        mass_g=mass,
        fill_ml=s.millilitres,
        hinges=(Hinge("cap", ("cap",), _point(a), _point(b), 0.0, "snap" if s.flip else "screw"),),
        lookalikes=("crimp",),
    )


def _cap_g(s: _Shape) -> float:
    """Of the cap [g]: half of its outline is plastic."""
    return 0.4 * np.pi * s.cap_radius**2 * s.cap_height * 0.95e6


def _point(p: Float[np.ndarray, "3"]) -> tuple[float, float, float]:
    return float(p[0]), float(p[1]), float(p[2])
