"""A glass jar of jam, pickles, sauce, spread or powder: thick glass, twist-off lid, paper labels, contents in view."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import Material, Part
from ..artwork import Artwork, draw_artwork, fractal_noise, paint_panel
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import Relief, Sheet, face_areas, make_sheet
from ..shapes import Mesh, cap, end_ring, grid, join, lathe, mesh_uv, solid
from .product import Hinge, Product, catalogue_entry
from .ranges import Headspace, choose, shares, sizes, within
from .turned import (
    Knot,
    Profile,
    by_words,
    cut_at,
    dome,
    draw_profile,
    inset,
    part,
    profile_volume,
    revolve,
    roundness,
    solve,
)

GLASS, PAPER = STOCKS["glass"], STOCKS["paper"]
Goods = Literal["jam", "pickles", "sauce", "chocolate", "coffee"]
CLEARANCE_M = GLASS.thickness_mm / 1000 + 0.0009
DENSITY = {"jam": 1.3, "pickles": 1.04, "sauce": 1.08, "chocolate": 1.15, "coffee": 0.26}
LID_M = 0.0009
"""Between the glass and the lid's skirt."""


class GlassJarConfig(BaseModel):
    """Ranges from which each jar is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    goods: Annotated[dict[Goods, float], shares()] = Field(
        default={"jam": 0.35, "pickles": 0.2, "sauce": 0.2, "chocolate": 0.12, "coffee": 0.13},
        description="share of each kind of goods",
    )
    millilitres: Annotated[dict[int, float], sizes(30, 3000)] = Field(
        default={106: 0.1, 212: 0.25, 314: 0.3, 370: 0.2, 500: 0.1, 720: 0.05}, description="share of each size"
    )
    slenderness: Annotated[tuple[float, float], within(1.5, 6)] = Field(
        default=(2.0, 3.3), description="height over radius"
    )
    headspace_share: Headspace = Field(default=(0.04, 0.09), description="air above the goods, of the inside")
    wrap_share: float = Field(
        default=0.4, ge=0, le=1, description="one label round the jar; else a front and a back one"
    )
    tamper_share: float = Field(default=0.15, ge=0, le=1, description="share with a paper strip over the lid")


@dataclass(frozen=True)
class _Shape:
    """One jar's drawn shape, metres."""

    goods: Goods
    radius: float
    slender: float
    neck: float
    """Radius under the lid over the body's."""
    shoulder: float
    """Height of the shoulder over the body's radius."""
    skirt: float
    label: tuple[float, float]
    """Lower and upper edge, shares of the straight side."""
    spread: tuple[float, float]
    """How far the front and the back label reach round, shares of a turn."""
    millilitres: float
    headspace: float

    @property
    def height(self) -> float:
        """Of the glass."""
        return self.slender * self.radius

    @property
    def side(self) -> tuple[float, float]:
        """Lowest and highest z of the straight side."""
        return 0.009, self.height - self.skirt - 0.002 - self.shoulder * self.radius - 0.003


def _knots(s: _Shape) -> list[Knot]:
    mm, r, h, n = 0.001, s.radius, s.height, s.neck * s.radius
    top = h - s.skirt - 2 * mm
    return [
        (0.62 * r, 1.2 * mm, 0), (0.8 * r, 0.0, 3 * mm), (r - 0.3 * mm, 0.9 * mm, 2 * mm), (r, 8 * mm, 2 * mm),
        (r, s.side[1] + 3 * mm, 0.5 * s.shoulder * r + 2 * mm), (n, top - mm, 0.4 * s.shoulder * r + mm),
        (n, top, 0), (n, h - 2 * mm, 0), (n - 0.3 * mm, h, mm), (n - 1.6 * mm, h, 0),
    ]  # fmt: skip


def _base(s: _Shape) -> Profile:
    rim, low, _ = _knots(s)[0]
    share = np.linspace(0, 1, 9)
    return np.stack([share * rim, low + 0.003 * (1 - share**2)], 1)


def _inside(s: _Shape) -> Profile:
    """The inner side of the glass, from the axis to the mouth."""
    rows = draw_profile(_knots(s), 0.0015)
    return inset(np.concatenate([_base(s)[:-1], rows]), CLEARANCE_M)


def _enclosed(s: _Shape) -> float:
    """Volume inside, to the brim [m³]."""
    inner = _inside(s)
    volume = profile_volume(inner[inner[:, 1] <= s.height - 0.0005])
    return float(volume[-1])


def _draw_shape(config: GlassJarConfig, design: Design) -> _Shape:
    rng = stream(design, "shape")
    goods = choose(stream(design, "words"), config.goods)
    millilitres = float(choose(rng, config.millilitres)) * design.grow
    shape = _Shape(
        goods=goods, radius=0.03, slender=rng.uniform(*config.slenderness), neck=rng.uniform(0.8, 0.955),
        shoulder=rng.uniform(0.12, 0.4), skirt=rng.uniform(0.009, 0.013),
        label=(rng.uniform(0.03, 0.15), rng.uniform(0.82, 0.97)),
        spread=(0.96, 0.0) if rng.random() < config.wrap_share else (rng.uniform(0.3, 0.46), rng.uniform(0.25, 0.36)),
        millilitres=millilitres, headspace=rng.uniform(*config.headspace_share),
    )  # fmt: skip
    target = millilitres / (1 - shape.headspace) * 1e-6
    return replace(shape, radius=solve(lambda r: _enclosed(replace(shape, radius=r)), target, 0.016, 0.1))


def _glass(s: _Shape, rng: np.random.Generator) -> Sheet:
    """The wall, open at its mouth; rings of the finish and stipples of the base are fine form."""
    spacing = GLASS.mechanics.spacing_mm / 1000
    rows = draw_profile(_knots(s), spacing)
    body = lathe(rows, spacing, panel=0)
    low = cap(end_ring(body, top=False), spacing, panel=1, up=False, height=dome(_base(s)))
    mesh = join([body, low])
    true, thread = roundness(rows, *s.side), s.height - s.skirt

    def relief(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        z, angle = points[:, 2], np.arctan2(points[:, 1], points[:, 0])
        lead = (z - thread) / 0.004 - 2 * angle / np.pi
        screw = 0.0004 * np.clip(np.cos(2 * np.pi * lead), 0, 1) * ((z > thread) & (z < s.height - 0.003))
        return true(points) + screw

    clear = printed(GLASS, rng, name="glass")
    return make_sheet(
        "glass", mesh.vertices, mesh.faces, np.clip(mesh.st, 0, 1), np.zeros(len(mesh.faces), np.uint8),
        (clear, *back_and_edge(GLASS)), GLASS.mechanics, thickness_mm=GLASS.thickness_mm, levels=1,
        crease_deg=GLASS.crease_deg, relief=relief, panel=mesh.panel, panels=("body", "base"),
    )  # fmt: skip


def _bubbles(s: _Shape, rng: np.random.Generator) -> Relief:
    """A label's roundness, and where it was not pressed on well."""
    spots = np.stack([rng.uniform(0, 2 * np.pi, 3), rng.uniform(*s.side, 3), rng.uniform(2, 6, 3) / 1000], 1)
    lift = rng.uniform(0, 0.25, 3) / 1000 * (rng.random(3) < 0.4)
    radius = s.radius + 0.0002

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        r, z = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
        angle = np.arctan2(points[:, 1], points[:, 0])
        out = radius - r
        for (at, level, size), rise in zip(spots, lift, strict=True):
            across = radius * ((angle - at + np.pi) % (2 * np.pi) - np.pi)
            out += rise * np.exp(-((across / size) ** 2) - ((z - level) / (2.5 * size)) ** 2)
        return out

    return height


def _label(s: _Shape, name: str, panel: int, centre: float, spread: float, ink: Material, atlas: Atlas, design: Design):
    """A paper label on the straight side: a thin sheet just outside the glass."""
    low, high = (s.side[0] + q * (s.side[1] - s.side[0]) for q in s.label)
    around = 2 * np.pi * s.radius * spread
    spacing = PAPER.mechanics.spacing_mm / 1000
    st, faces = grid(max(4, round(around / spacing)), max(3, round((high - low) / spacing)))
    tilt = stream(design, "specimen").normal(0, 0.0004)
    angle = 2 * np.pi * (centre + (st[:, 0] - 0.5) * spread)
    r = s.radius + 0.0002
    z = low + st[:, 1] * (high - low) + tilt * (2 * st[:, 0] - 1)
    mesh = Mesh(
        np.stack([r * np.cos(angle), r * np.sin(angle), z], 1), faces, st[faces], np.full(len(faces), panel, np.uint8)
    )
    return make_sheet(
        name, mesh.vertices, mesh.faces, mesh_uv(mesh, atlas), np.zeros(len(faces), np.uint8),
        (ink, *back_and_edge(PAPER)), PAPER.mechanics, thickness_mm=0.09, levels=1, crease_deg=PAPER.crease_deg,
        relief=_bubbles(s, stream(design, "specimen")), panels=(name,),
    )  # fmt: skip


def _labels(s: _Shape, design: Design, artwork: Artwork) -> tuple[Sheet, ...]:
    low, high = (1000 * (s.side[0] + q * (s.side[1] - s.side[0])) for q in s.label)
    turn = 2000 * np.pi * s.radius
    spreads = [q for q in s.spread if q > 0]
    atlas = pack_atlas([(turn * q, high - low) for q in spreads], design.texture_px)
    kinds = ("wrap",) if len(spreads) == 1 else ("front", "back")
    pictures = [
        paint_panel(artwork, kind, *patch.picture_size, px_per_mm=patch.px_per_mm)
        for kind, patch in zip(kinds, atlas.patches, strict=True)
    ]
    ink = printed(PAPER, stream(design, "colours"), paint_atlas(atlas, pictures), name="label")
    names = ("front label", "back label")
    return tuple(
        _label(s, names[k], k, (0.75, 0.25)[k], spread, ink, atlas, design) for k, spread in enumerate(spreads)
    )


def _lid_art(design: Design, artwork: Artwork, side: int) -> tuple[UInt8[np.ndarray, "a a 3"], tuple[int, int, int]]:
    """Picture of the lid's top, and the ink of its skirt."""
    rng = stream(design, "colours")
    kind = int(rng.choice(4, p=[0.3, 0.25, 0.25, 0.2]))
    if kind == 0:  # gold lacquer
        return np.full((side, side, 3), (214, 178, 96), np.uint8), (214, 178, 96)
    if kind == 1:
        tone = (240, 240, 236) if rng.random() < 0.5 else (28, 28, 30)
        return np.full((side, side, 3), tone, np.uint8), tone
    if kind == 2:
        picture, inner = np.full((side, side, 3), artwork.ground, np.uint8), round(0.62 * side)
        at = (side - inner) // 2
        picture[at : at + inner, at : at + inner] = paint_panel(artwork, "top", inner, inner, px_per_mm=side / 70)
        return picture, artwork.ground
    square = np.arange(side) * 14 // side % 2  # gingham
    tint = np.array(artwork.accent, float)
    share = 0.5 * (square[:, None] + square[None]).astype(float)[..., None]
    picture = (share * tint + (1 - share) * 245).astype(np.uint8)
    return picture, artwork.accent


def _lid(s: _Shape, design: Design, artwork: Artwork) -> tuple[Part, float]:
    """The lid: rolled edge with lugs, printed top with its button; and its top's z."""
    r, z = s.neck * s.radius + LID_M, s.height - s.skirt
    mm, top = 0.001, s.height + 0.0012
    line = np.array([
        (0.0, top - 0.95 * mm), (r - 0.6 * mm, top - 0.95 * mm), (r - 0.2 * mm, z + 0.3 * mm),
        (r + 0.3 * mm, z - 0.3 * mm), (r + 0.9 * mm, z), (r + 1.0 * mm, z + 0.7 * mm), (r + 0.6 * mm, z + 1.5 * mm),
        (r + 0.35 * mm, z + 2.4 * mm), (r + 0.35 * mm, top - 2.2 * mm), (r + 0.2 * mm, top - mm),
        (r - 0.5 * mm, top - 0.2 * mm), (r - 1.2 * mm, top),
    ])  # fmt: skip
    skirt = revolve(line, 96, panel=1)
    angle = np.arange(96) / 96 * 2 * np.pi
    ring = np.stack([line[-1, 0] * np.cos(angle), line[-1, 0] * np.sin(angle), np.full(96, top)], 1)
    rim = line[-1, 0]
    panel = np.array([(0, 0.25), (0.22, 0.22), (0.3, -0.5), (0.85, -0.5), (0.9, 0.0), (1, 0)]) * [rim, mm]
    disc = cap(ring, 0.0024, panel=0, up=True, height=dome(panel))
    atlas = pack_atlas([(2000 * rim, 2000 * rim), (2000 * np.pi * r, 2.5 * 1000 * s.skirt)], 512)
    picture, tone = _lid_art(design, artwork, atlas.patches[0].picture_size[0])
    rows = np.full((8, 8, 3), tone, np.uint8)
    bare = stream(design, "colours").uniform(0.25, 0.4)
    gold = tone == (214, 178, 96)
    material = Material("lid", (1, 1, 1), 0.85 if gold else 0.0, float(bare), paint_atlas(atlas, [picture, rows]))
    return solid(join([skirt, disc]), "lid", material, atlas=atlas, surface="outer", crease_deg=40.0), top


def _grain(tone: tuple[int, int, int], contrast: float, cell: float, rng: np.random.Generator, specks: float):
    """Texture of a mass: lumps darker and lighter, seeds or herbs as specks."""
    side = 256
    lumps = fractal_noise(rng, side, side, cell_px=cell, octaves=4)[..., None]
    out = np.clip(np.array(tone) * (1 + contrast * lumps), 0, 255)
    spots = fractal_noise(rng, side, side, cell_px=5, octaves=1)
    out = np.where(spots[..., None] > specks, 0.55 * np.array(tone), out)
    return out.astype(np.uint8)


JAMS = {
    "strawberry": (120, 8, 14), "cherry": (70, 4, 14), "blueberry": (38, 10, 42), "berry": (60, 8, 30),
    "peach": (232, 160, 40), "orange": (222, 128, 20),
}  # fmt: skip
SAUCES = {
    "tomato": (178, 38, 16), "barbecue": (70, 24, 12), "pesto": (74, 98, 30), "chilli": (170, 26, 10),
    "curry": (206, 146, 30),
}  # fmt: skip
SPREADS = {"dark": (52, 28, 16), "nut": (150, 100, 58), "milk": (112, 68, 40)}
PICKLED = {"onion": (1.0, (222, 216, 186)), "olive": (1.35, (112, 118, 40)), "gherkin": (0.0, (96, 116, 32))}
"""sRGB by the word on the label; for what is pickled also its length over its width (0: as long as there is room)."""


def _mass(s: _Shape, rng: np.random.Generator, title: str) -> Material:
    if s.goods == "jam":
        tone = by_words(title, JAMS, JAMS["strawberry"])
        clear = 0.5 if tone[0] > 200 else 0.0
        return Material("jam", (1, 1, 1), 0.0, 0.18, _grain(tone, 0.2, 60, rng, 2.1), transmission=clear)
    if s.goods == "pickles":
        return Material("brine", (0.93, 0.94, 0.78), 0.0, 0.05, transmission=0.93)
    if s.goods == "sauce":
        tone = by_words(title, SAUCES, SAUCES["tomato"])
        return Material("sauce", (1, 1, 1), 0.0, 0.35, _grain(tone, 0.12, 18, rng, 2.3))
    if s.goods == "chocolate":
        tone = by_words(title, SPREADS, (72, 38, 20))
        return Material("spread", (1, 1, 1), 0.0, 0.3, _grain(tone, 0.05, 120, rng, 9))
    return Material("coffee", (1, 1, 1), 0.0, 0.9, _grain((82, 50, 28), 0.35, 6, rng, 9))


def _pickled(s: _Shape, level: float, rng: np.random.Generator, title: str) -> Part:
    """What stands in the brine: as many as go round, and some within; long ones upright, short ones in stories."""
    long, tone = by_words(title, PICKLED, PICKLED["gherkin"])
    room, meshes = s.radius - CLEARANCE_M - 0.0006, []
    low = _base(s)[0, 1] + CLEARANCE_M + 0.001
    thick = min(0.0095 if not long else rng.uniform(0.008, 0.0105), 0.3 * room)
    share = np.linspace(0, np.pi, 9)
    body = revolve(np.stack([np.sin(share) ** (1.0 if long else 0.7), -np.cos(share)], 1), 14)
    angle = np.arctan2(body.vertices[:, 1:2], body.vertices[:, :1])
    wart = 1 + (0.0 if long else 0.07) * np.sin(9 * body.vertices[:, 2:] + 5 * angle)
    shape = body.vertices * np.where([True, True, False], wart, 1.0)
    whole = min(level, s.side[1]) - 0.003 - low
    stories = max(1, round(whole / (1.9 * thick * long if long else 0.055)))
    tall = whole / stories
    for story in range(stories):
        for reach in (room - thick * 1.12, room - thick * 3.0):
            count = max(1, int(2 * np.pi * reach / (2.02 * thick))) if reach > 0.4 * thick else 0
            for k in range(count):
                size = thick * rng.uniform(0.86, 1.0)
                at = 2 * np.pi * (k + 0.5 * (story % 2) + rng.uniform(-0.08, 0.08)) / count
                half = min(0.5 * tall, size * long if long else 1.0) * rng.uniform(0.9, 0.99)
                place = np.array([reach * np.cos(at), reach * np.sin(at), low + (story + 0.5) * tall])
                meshes.append(replace(body, vertices=shape * np.array([size, size, half]) + place))
    texture = _grain(tone, 0.06 if long else 0.25, 40, rng, 9 if long else 2.4)
    return part(join(meshes), "pickled", Material("pickled", (1, 1, 1), 0.0, 0.35, texture), surface="contents")


def _filling(s: _Shape, design: Design, title: str) -> tuple[Part, ...]:
    rng = stream(design, "specimen")
    inner = _inside(s)
    volume = np.maximum.accumulate(profile_volume(inner))
    share = 1 + float(rng.uniform(-0.01, 0.01))
    level = float(np.interp(s.millilitres * 1e-6 * share, volume, inner[:, 1]))
    mass = revolve(cut_at(inner, level), 72)
    if s.goods == "coffee":  # powder lies on a slope
        v, (slope, way) = mass.vertices, (rng.uniform(0.0, 0.12), rng.uniform(0, 2 * np.pi))
        surface = v[:, 2] > level - 1e-6
        v[:, 2] -= surface * slope * (s.radius + v[:, 0] * np.cos(way) + v[:, 1] * np.sin(way)) * 0.5
    made = part(mass, s.goods, _mass(s, rng, title), surface="contents")
    return (_pickled(s, level, rng, title), made) if s.goods == "pickles" else (made,)


def _strip(s: _Shape, top: float, ink: Material) -> Sheet:
    """A paper strip over the lid and down both sides, to show that nobody opened it."""
    r, half, skirt = s.neck * s.radius + LID_M + 0.0012, 0.009, s.height - s.skirt - 0.004
    line = [
        (-r, skirt),
        (-r, top - 0.0005),
        (-0.97 * r, top + 0.0003),
        (0.97 * r, top + 0.0003),
        (r, top - 0.0005),
        (r, skirt),
    ]
    rows = draw_profile([(x, z, 0.0) for x, z in line], 0.003)
    across = np.linspace(-half, half, 7)
    st, faces = grid(len(rows) - 1, 6)
    i, j = np.round(st * [len(rows) - 1, 6]).astype(int).T
    narrow = np.sqrt(1 - (across / r) ** 2)
    vertices = np.stack([rows[i, 0] * narrow[j], across[j], rows[i, 1]], 1)
    return make_sheet(
        "tamper strip", vertices, faces, st[faces], np.zeros(len(faces), np.uint8), (ink, *back_and_edge(PAPER)),
        PAPER.mechanics, thickness_mm=0.09, levels=0, crease_deg=40.0, panels=("strip",),
    )  # fmt: skip


def build_glass_jar(item_identifier: str, config: GlassJarConfig, design: Design) -> Product:
    """Draw one jar."""
    s = _draw_shape(config, design)
    fill_g = s.millilitres * DENSITY[s.goods]
    artwork = draw_artwork(design, s.goods, net=f"{fill_g:.0f} g")
    glass = _glass(s, stream(design, "colours"))
    lid, top = _lid(s, design, artwork)
    labels = _labels(s, design, artwork)
    strip = stream(design, "layout").random() < config.tamper_share
    if strip:
        paper = np.full((32, 64, 3), artwork.accent, np.uint8)
        cv2.rectangle(paper, (0, 2), (63, 29), (245, 245, 240), 2)
        labels = (*labels, _strip(s, top, printed(PAPER, stream(design, "colours"), paper, name="strip")))
    area = float(face_areas(glass.vertices, glass.faces).sum())
    mass = fill_g + area * GLASS.thickness_mm / 1000 * GLASS.density_kg_m3 * 1000 + 7
    across = 2 * s.radius
    marks = (
        ["label_overlap"] * (s.spread[1] == 0) + ["tamper_strip"] * strip + ["empty_headspace"] * (s.headspace > 0.07)
    )
    return Product(
        item_identifier=item_identifier,
        family="glass_jar",
        shape="round",
        packaging="primary",
        item_material="other",
        sheets=(glass, *labels),
        contents=(*_filling(s, design, artwork.title), lid),
        core=None,
        attributes=catalogue_entry(artwork, category="jar", size_m=np.array([across, across, top]), mass_g=mass),
        mass_g=mass,
        fill_ml=s.millilitres,
        brittle=True,
        hinges=(Hinge("lid", ("lid",), (0.0, 0.0, s.height - s.skirt), (0.0, 0.0, top), 0.0, "screw"),),
        lookalikes=tuple(sorted(marks)),
    )
