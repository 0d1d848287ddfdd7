"""An HDPE bottle of detergent or shampoo: oval or rounded sections, grips, labels, a large cap or trigger."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field
from scipy.interpolate import PchipInterpolator

from ...sim.scene import Part
from ..artwork import Artwork, draw_artwork, paint_panel
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import Relief, Sheet, face_areas, make_sheet
from ..shapes import Mesh, cap, end_ring, join, loft, move
from .product import Hinge, Product, catalogue_entry
from .ranges import Headspace, choose, shares
from .turned import (
    FRONT_S,
    banded,
    label_on,
    linear,
    part,
    plastic,
    revolve,
    rounded_loop,
    screw_cap,
    sheet_uv,
    skin,
    solve,
)

HDPE = STOCKS["hdpe"]
Kind = Literal["laundry", "dish", "cleaner", "shampoo"]
BODY, NECK, BASE = range(3)
PANELS = ("body", "neck", "base")


class DetergentBottleConfig(BaseModel):
    """Ranges from which each bottle is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: Annotated[dict[Kind, float], shares()] = Field(
        default={"laundry": 0.3, "dish": 0.2, "cleaner": 0.2, "shampoo": 0.3},
        description="laundry: large, dosing cap; dish: slim, push-pull cap; cleaner: trigger; shampoo: flip top",
    )
    headspace_share: Headspace = Field(default=(0.04, 0.09), description="air, of the inside")
    grip_share: float = Field(default=0.5, ge=0, le=1, description="share of laundry bottles with a pinched grip")


SIZES: dict[str, tuple[int, ...]] = {
    "laundry": (750, 1000, 1500, 2000), "dish": (450, 500, 750), "cleaner": (500, 750), "shampoo": (250, 300, 400),
}  # fmt: skip


@dataclass(frozen=True)
class _Shape:
    """One bottle's drawn shape; metres, but for the body's proportions."""

    kind: Kind
    size: float
    """Half the body's greatest width."""
    deep: float
    """Half depth over half width."""
    tall: float
    """Body's height over half width."""
    power: float
    """2 is an ellipse, larger is nearer to a rectangle."""
    waist: float
    waist_at: float
    taper: float
    """Width at the shoulder over the greatest."""
    shoulder: float
    """Where the shoulder starts, share of the body's height."""
    offset: float
    """Neck's place, share of half the width."""
    grip: float
    """How far the grip is pinched, share of the depth; 0 for none."""
    neck: float
    neck_height: float
    millilitres: float
    headspace: float

    @property
    def body(self) -> float:
        """Height of the body without neck."""
        return self.tall * self.size


def _draw_shape(config: DetergentBottleConfig, design: Design) -> _Shape:
    rng = stream(design, "shape")
    kind = choose(stream(design, "words"), config.kinds)
    ml = float(rng.choice(SIZES[kind])) * design.grow
    laundry, slim = kind == "laundry", kind in ("dish", "shampoo")
    grip = laundry and rng.random() < config.grip_share
    shape = _Shape(
        kind=kind, size=0.05, deep=rng.uniform(0.5, 0.72) if laundry else rng.uniform(0.55, 0.9),
        tall=rng.uniform(2.0, 2.7) if laundry else rng.uniform(3.4, 5.0) if slim else rng.uniform(3.6, 4.4),
        power=rng.uniform(2.3, 4.5), waist=rng.uniform(0.08, 0.22) if not laundry and rng.random() < 0.5 else 0.0,
        waist_at=rng.uniform(0.5, 0.65), taper=rng.uniform(0.82, 1.0), shoulder=rng.uniform(0.74, 0.86),
        offset=rng.uniform(0.15, 0.38) if grip else 0.0, grip=rng.uniform(0.35, 0.5) if grip else 0.0,
        neck=0.021 if laundry else 0.0125, neck_height=0.022 if laundry else 0.018,
        millilitres=ml, headspace=rng.uniform(*config.headspace_share),
    )  # fmt: skip
    target = ml / (1 - shape.headspace) * 1e-6
    return replace(shape, size=solve(lambda q: _enclosed(replace(shape, size=q)), target, 0.018, 0.2))


def _sections(s: _Shape, z: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 4"]:
    """Half width, half depth, power and centre's x [m] of the sections at heights z [m]."""
    t, n = z / s.body, s.neck / s.size
    foot = 0.06
    knots = [0.0, 0.02, foot, 0.3 if not s.waist else 0.28]
    wide = [0.88, 0.965, 1.0, 1.0]
    if s.waist:
        knots.append(s.waist_at)
        wide.append(1 - s.waist)
    knots += [s.shoulder, 0.5 * (1 + s.shoulder), 0.985, 1.0]
    wide += [s.taper, 0.5 * s.taper + 0.5 * n + 0.12 * s.taper, n * 1.12, n]
    a = PchipInterpolator(knots, wide)(np.clip(t, 0, 1))
    deep = np.array(wide) * s.deep
    deep[-4:] = s.taper * s.deep, 0.5 * s.taper * s.deep + 0.5 * n + 0.1 * s.deep, n * 1.12, n
    b = PchipInterpolator(knots, deep)(np.clip(t, 0, 1))
    rise = np.clip((t - s.shoulder) / (1 - s.shoulder), 0, 1)
    smooth = rise * rise * (3 - 2 * rise)
    power = s.power + (2 - s.power) * smooth
    return np.stack([a * s.size, b * s.size, power, s.offset * s.size * smooth], 1)


def _turns(s: _Shape, columns: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """The superellipse's parameter [rad] for even steps along the widest section, so that print is not stretched."""
    loop = np.linspace(0, 2 * np.pi, 1441)
    points = rounded_loop(1.0, s.deep, s.power, 1440)
    steps = np.linalg.norm(np.diff(np.concatenate([points, points[:1]]), axis=0), axis=1)
    arc = np.concatenate([[0], np.cumsum(steps)])
    return np.interp(columns % 1, arc / arc[-1], loop)


def _around(s: _Shape) -> float:
    """Circumference of the widest section [m]."""
    points = rounded_loop(s.size, s.deep * s.size, s.power, 720)
    return float(np.linalg.norm(np.diff(np.concatenate([points, points[:1]]), axis=0), axis=1).sum())


def _ring(s: _Shape, z: float, row: Float[np.ndarray, "4"], angle: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
    a, b, power, x = row
    c, q = np.cos(angle), np.sin(angle)
    flat = np.stack(
        [a * np.sign(c) * np.abs(c) ** (2 / power) + x, b * np.sign(q) * np.abs(q) ** (2 / power), np.full(len(c), z)],
        1,
    )
    if s.grip:  # the rear third of the upper body is pinched, for a hand
        along = (flat[:, 0] / s.size + 0.52) / 0.3
        up = (z / s.body - 0.6) / 0.26
        flat[:, 1] *= 1 - s.grip * np.exp(-(along**4)) * np.exp(-(up**4))
    return flat


def _enclosed(s: _Shape) -> float:
    """Volume inside [m³]."""
    z = np.linspace(0, s.body, 60)
    angle = _turns(s, np.arange(96) / 96)
    area = []
    for level, row in zip(z, _sections(s, z), strict=True):
        x, y, _ = _ring(s, float(level), row, angle).T
        area.append(0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))))
    return float(np.trapezoid(area, z)) + np.pi * s.neck**2 * s.neck_height


def _mesh(s: _Shape, spacing: float) -> Mesh:
    bottom = np.array([0.0, 0.0012, 0.0035])
    low = np.concatenate([bottom, np.linspace(0.0035, s.body, round(s.body / spacing) + 1)[1:]])
    high = np.linspace(s.body, s.body + s.neck_height, max(3, round(s.neck_height / spacing)) + 1)[1:]
    z = np.concatenate([low, high])
    table = _sections(s, np.minimum(z, s.body))

    def section(row: int, angle: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
        return _ring(s, float(z[row]), table[row], _turns(s, angle / (2 * np.pi)))

    wall = loft(section, z, max(24, round(_around(s) / spacing)), panel=BODY)
    panel = np.where(np.arange(len(z) - 1) < len(low) - 1, BODY, NECK)
    ends = [
        cap(end_ring(wall, top=False), spacing, panel=BASE, up=False, height=lambda q: 0.003 * np.clip(1 - q**3, 0, 1)),
        cap(end_ring(wall, top=True), spacing, panel=NECK, up=True),
    ]
    return join([banded(wall, panel), *ends])


def _relief(s: _Shape, label: tuple[float, float, float], lines: bool) -> Relief:
    """Edge of the label's recess, moulded grip lines, and the parting line of the mould."""
    middle, half_w, half_h = label

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        x, y, z = points.T
        inside = np.abs(x / half_w) ** 6 + np.abs((z - middle) / half_h) ** 6
        on = (np.abs(y) > 0.4 * s.deep * s.size) & (z < s.body)
        recess = -0.0005 * np.clip((1.25 - inside) * 2, 0, 1) * on
        seam = 0.00018 * np.exp(-((y / 0.0008) ** 2)) * (z < 0.97 * s.body) * (z > 0.004)
        side = (np.abs(x) > 0.75 * s.size) & (z > 0.3 * s.body) & (z < 0.62 * s.body)
        grip = 0.0006 * np.clip(np.cos(2 * np.pi * z / 0.008), 0, 1) * side if lines else 0.0
        return recess + seam + grip

    return height


def _label_place(s: _Shape, rng: np.random.Generator) -> tuple[float, float, float]:
    """Height of the labels' middle, half width and half height [m] of their recess."""
    low, high = 0.08 * s.body, s.shoulder * s.body * rng.uniform(0.92, 1.0)
    if s.waist and rng.random() < 0.4:
        high = max(0.4 * s.body, (s.waist_at - 0.08) * s.body)
    narrow = min(1.0 - s.waist if high > s.waist_at * s.body else 1.0, s.taper)
    wide = (0.76 if s.power < 3 else 0.86) * narrow * s.size
    return (low + high) / 2, wide, (high - low) / 2


def _ground(s: _Shape, design: Design, artwork: Artwork) -> tuple[int, int, int]:
    """The colour that the bottle is moulded in."""
    rng = stream(design, "colours")
    kind = rng.random()
    if kind < 0.35:
        return (238, 238, 234)
    return artwork.ground if kind < 0.75 else artwork.accent


def _paint(
    s: _Shape, design: Design, artwork: Artwork, atlas: Atlas, place: tuple[float, float, float]
) -> tuple[UInt8[np.ndarray, "h w 3"], tuple[int, int, int]]:
    """The body's colour with a label of rounded shape on the front and the back."""
    patch = atlas.patches[BODY]
    width, height = patch.picture_size
    tone = _ground(s, design, artwork)
    body = np.full((height, width, 3), tone, np.uint8)
    rng, specimen = stream(design, "layout"), stream(design, "specimen")
    power = float(rng.choice([2.2, 4.0, 12.0, 40.0]))
    middle, half_w, half_h = place
    ratio = np.array([half_w / _around(s) * width, half_h / s.body * height]) * 2
    w, h = (round(0.97 * float(v)) for v in ratio)
    for kind, at in (("front", FRONT_S), ("back", FRONT_S - 0.5)):
        inner = (w, h) if power > 6 else (round(0.88 * w), round(0.84 * h))
        picture = paint_panel(artwork, kind, *inner, px_per_mm=patch.px_per_mm)
        left, top = (w - inner[0]) // 2, (h - inner[1]) // 2
        picture = cv2.copyMakeBorder(
            picture, top, h - inner[1] - top, left, w - inner[0] - left, cv2.BORDER_CONSTANT, value=artwork.ground
        )
        off = specimen.normal(0, 0.4, 2) * patch.px_per_mm
        centre = (at + off[0] / width, 1 - middle / s.body + off[1] / height)
        body = label_on(body, np.asarray(picture, np.uint8), centre, power=power)
    return body, tone


def _head(s: _Shape, design: Design) -> tuple[list[Part], str]:
    """What closes it; its top is the product's."""
    rng, colours = stream(design, "shape"), stream(design, "colours")
    tones = ((0.86, 0.86, 0.85), (0.02, 0.1, 0.5), (0.6, 0.03, 0.04), (0.05, 0.4, 0.12), (0.85, 0.5, 0.02),
             (0.35, 0.08, 0.4), (0.03, 0.03, 0.035))  # fmt: skip
    tone = tones[int(colours.integers(len(tones)))]
    gloss, z, r = plastic("cap", tone, float(colours.uniform(0.25, 0.45))), s.body + 0.002, s.neck + 0.0032
    x = np.array([s.offset * s.size, 0, 0])
    if s.kind == "laundry":
        mesh = screw_cap(
            r + rng.uniform(0.003, 0.007), rng.uniform(0.042, 0.058), z, ribs=int(rng.choice([40, 56])), rib=0.0006,
            wall=0.0022, edge=0.002, taper=rng.uniform(0.05, 0.16), sink=rng.choice([0.0, 0.002]),
        )  # fmt: skip
        return [part(move(mesh, np.eye(3), x), "cap", gloss)], "screw"
    if s.kind == "cleaner":
        collar = screw_cap(r + 0.001, 0.017, z, ribs=40, wall=0.0024)
        return [part(collar, "collar", gloss), *_trigger(z + 0.0165, gloss, rng)], "screw"
    mm, h = 0.001, s.neck_height + rng.uniform(0.004, 0.012)
    wide = r + (rng.uniform(0.001, 0.006) if s.kind == "shampoo" else 0.001)
    lid = z + 0.6 * h
    profile = [
        (0, z + s.neck_height - mm), (wide - 2.2 * mm, z + s.neck_height - mm), (wide - 2.2 * mm, z),
        (wide - 0.4 * mm, z), (wide, z + 0.4 * mm), (wide, lid - 0.3 * mm), (wide - 0.5 * mm, lid - 0.25 * mm),
        (wide - 0.5 * mm, lid + 0.25 * mm), (wide, lid + 0.3 * mm), (wide - 0.2 * mm, z + h - 1.5 * mm),
        (wide - 1.6 * mm, z + h), (0, z + h + 0.6 * mm),
    ]  # fmt: skip
    if s.kind == "dish":  # push-pull: a slimmer nozzle with a flange
        profile[-3:] = [
            (wide - 2 * mm, lid + 2 * mm), (5 * mm, lid + 5 * mm), (4.5 * mm, lid + 11 * mm), (6 * mm, lid + 12 * mm),
            (6 * mm, lid + 14 * mm), (3 * mm, lid + 15 * mm), (0, lid + 15 * mm),
        ]  # fmt: skip
    return [part(revolve(np.array(profile), 64), "cap", gloss)], "snap" if s.kind == "shampoo" else "screw"


def _along(path: Float[np.ndarray, "n 3"], half: Float[np.ndarray, "n 2"], power: float) -> Mesh:
    """A body of superellipse sections along a path in the x-z plane; ``half``: half width (y), half height."""
    way = np.gradient(path, axis=0)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    loop = rounded_loop(1.0, 1.0, power, 28)
    rows = []
    for p, d, (wide, high) in zip(path, way, half, strict=True):
        side = np.array([0.0, 1.0, 0.0])
        rows.append(p + wide * loop[:, :1] * side + high * loop[:, 1:] * np.cross(d, side))
    ends = [np.repeat(row.mean(axis=0, keepdims=True), len(loop), axis=0) for row in (rows[0], rows[-1])]
    return skin(np.stack([ends[0], *rows, ends[1]]))


def _trigger(z: float, gloss, rng: np.random.Generator) -> list[Part]:
    """A trigger sprayer: neck, head with nozzle, and the lever one pulls."""
    mm = 0.001
    neck = _along(
        np.array([(0, 0, z), (0, 0, z + 12 * mm), (0, 0, z + 24 * mm)]), np.array([(9, 10), (9, 9), (9, 9)]) * mm, 3
    )
    head = _along(
        np.array([(24, 0, 25), (20, 0, 27), (0, 0, 28.5), (-22, 0, 27.5), (-36, 0, 26.5), (-38, 0, 26.5)]) * mm
        + np.array([0, 0, z]),
        np.array([(4, 3), (9, 6.5), (11, 8.5), (9.5, 8), (8, 7), (7, 6)]) * mm, 3.2,
    )  # fmt: skip
    nozzle = _along(
        np.array([(-37, 0, 26.5), (-37.5, 0, 26.5), (-44, 0, 26.5), (-45, 0, 26.5)]) * mm + np.array([0, 0, z]),
        np.array([(5, 5), (7, 7), (6.5, 6.5), (5, 5)]) * mm, 4,
    )  # fmt: skip
    lever = _along(
        np.array([(-15, 0, 22), (-20, 0, 14), (-24, 0, 4), (-24.5, 0, -6), (-29, 0, -13), (-31, 0, -15)]) * mm
        + np.array([0, 0, z]),
        np.array([(6, 2.2), (6, 2.4), (5.5, 2.2), (5.5, 2.0), (5.5, 1.8), (4.5, 1.2)]) * mm, 3,
    )  # fmt: skip
    white = plastic("sprayer", (0.86, 0.86, 0.85), 0.4) if rng.random() < 0.5 else gloss
    return [part(join([neck, head]), "sprayer", white), part(lever, "trigger", gloss), part(nozzle, "nozzle", gloss)]


def build_detergent_bottle(item_identifier: str, config: DetergentBottleConfig, design: Design) -> Product:
    """Draw one bottle."""
    s = _draw_shape(config, design)
    artwork = draw_artwork(design, "shampoo" if s.kind == "shampoo" else "detergent", net=f"{s.millilitres:.0f} ml")
    spacing = max(HDPE.mechanics.spacing_mm, 3.4 * (s.millilitres / 500) ** (1 / 3)) / 1000
    mesh = _mesh(s, spacing)
    place = _label_place(s, stream(design, "layout"))
    atlas = pack_atlas([(1000 * _around(s), 1000 * s.body)], design.texture_px, wrap=(BODY,))
    body, tone = _paint(s, design, artwork, atlas, place)
    colours = stream(design, "colours")
    ink = printed(HDPE, colours, paint_atlas(atlas, [body]), name="hdpe")
    plain = plastic("hdpe_plain", linear(tone), ink.roughness)
    lines = s.kind == "cleaner" or (s.kind == "laundry" and s.grip > 0)
    heads, closed = _head(s, design)
    heads, mesh, shift = _centre(heads, mesh)
    form = _relief(s, place, lines)
    sheet = make_sheet(
        "bottle", mesh.vertices, mesh.faces, sheet_uv(mesh, atlas), (mesh.panel != BODY).astype(np.uint8),
        (ink, plain, *back_and_edge(HDPE)), replace(HDPE.mechanics, spacing_mm=1000 * spacing),
        thickness_mm=HDPE.thickness_mm, levels=1, crease_deg=HDPE.crease_deg,
        relief=lambda points: form(points - shift), panel=mesh.panel, panels=PANELS,
    )  # fmt: skip
    marks = ("grip_recess",) * (s.grip > 0) + ("ribs",) * lines
    return _product(item_identifier, s, artwork, sheet, heads, closed, shift, marks)


def _centre(heads: list[Part], mesh: Mesh) -> tuple[list[Part], Mesh, Float[np.ndarray, "3"]]:
    """Move everything so that the item's outline is centred on the z axis (a trigger reaches beyond the body)."""
    points = np.concatenate([mesh.vertices, *(p.vertices for p in heads)])
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    shift = np.array([-middle[0], -middle[1], 0.0])
    return [replace(p, vertices=p.vertices + shift) for p in heads], move(mesh, np.eye(3), shift), shift


def _liquid(s: _Shape, shift: Float[np.ndarray, "3"]) -> Part:
    """What is in it, clear of the wall; seen only through a hole."""
    gap = 0.0024
    z = np.linspace(gap, s.shoulder * s.body, 24)
    angle = _turns(s, np.arange(72) / 72)
    rows = [
        _ring(s, float(level), row - np.array([gap, gap, 0, 0]), angle)
        for level, row in zip(z, _sections(s, z), strict=True)
    ]
    ends = [np.repeat(row.mean(axis=0, keepdims=True), 72, axis=0) for row in (rows[0], rows[-1])]
    mesh = move(skin(np.stack([ends[0], *rows, ends[1]])), np.eye(3), shift)
    return part(mesh, s.kind, plastic("liquid", (0.35, 0.5, 0.75), 0.1), surface="contents")


def _product(
    item_identifier: str, s: _Shape, artwork: Artwork, sheet: Sheet, heads: list[Part], closed: str,
    shift: Float[np.ndarray, "3"], marks: tuple[str, ...],
) -> Product:  # fmt: skip
    wall_g = float(face_areas(sheet.vertices, sheet.faces).sum()) * HDPE.thickness_mm * HDPE.density_kg_m3
    mass = s.millilitres * 1.04 + wall_g + {"laundry": 22, "cleaner": 28, "dish": 6, "shampoo": 8}[s.kind]
    points = np.concatenate([sheet.vertices, *(p.vertices for p in heads)])
    x, top = float(shift[0] + s.offset * s.size), float(points[:, 2].max())
    return Product(
        item_identifier=item_identifier,
        family="detergent_bottle",
        shape="round",
        packaging="primary",
        item_material="plastic_hard",
        sheets=(sheet,),
        contents=(_liquid(s, shift), *heads),
        core=None,
        attributes=catalogue_entry(
            artwork, category="bottle", size_m=np.array([*np.ptp(points[:, :2], axis=0), top]), mass_g=mass
        ),
        mass_g=mass,
        fill_ml=s.millilitres,
        hinges=(
            Hinge(
                "cap", tuple(p.name for p in heads), (x, 0.0, s.body), (x, 0.0, top), 0.0,
                "snap" if closed == "snap" else "screw",
            ),
        ),
        lookalikes=marks,
    )  # fmt: skip
