"""A PET bottle of water, cola or juice: blown clear wall, screw cap with tamper band, wrap label, a drink inside."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import Material, Part
from ..artwork import Artwork, draw_artwork, paint_panel
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import Relief, Sheet, face_areas, make_sheet
from ..shapes import Mesh, join
from .product import Hinge, Product, catalogue_entry
from .ranges import Headspace, choose, shares, sizes, within
from .turned import (
    Knot,
    Profile,
    band_ring,
    by_words,
    cut_at,
    draw_overlap,
    draw_profile,
    face_front,
    inset,
    part,
    plastic,
    profile_volume,
    revolve,
    screw_cap,
    sheet_uv,
    solve,
    turned_wall,
)

PET = STOCKS["clear_pet"]
Drink = Literal["water", "cola", "juice"]
LABEL, BODY, NECK, BASE = range(4)
PANELS = ("label", "body", "neck", "base")
NECK_M, FINISH_M = 0.0124, 0.021
"""Radius of the neck under the cap, height from its transfer ring to its top: the 28 mm finish."""
CLEARANCE_M = 0.0009
VALLEYS = 5


class PetBottleConfig(BaseModel):
    """Ranges from which each bottle is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drinks: Annotated[dict[Drink, float], shares()] = Field(
        default={"water": 0.45, "cola": 0.3, "juice": 0.25}, description="share of each drink"
    )
    millilitres: Annotated[dict[int, float], sizes(100, 5000)] = Field(
        default={330: 0.2, 500: 0.5, 750: 0.1, 1000: 0.12, 1500: 0.08}, description="share of each size"
    )
    slenderness: Annotated[tuple[float, float], within(3.5, 8)] = Field(
        default=(4.3, 5.6), description="height without neck over radius"
    )
    headspace_share: Headspace = Field(default=(0.03, 0.07), description="air above the drink, of the inside")
    paper_label_share: float = Field(default=0.3, ge=0, le=1, description="paper labels; the others are film")
    ribs_share: float = Field(default=0.65, ge=0, le=1, description="share of still drinks' bottles with ribs")


@dataclass(frozen=True)
class _Shape:
    """One bottle's drawn shape, metres."""

    drink: Drink
    radius: float
    slender: float
    label: tuple[float, float]
    """Lower and upper edge, shares of the height without neck."""
    shoulder: float
    dome: float
    waist: float
    petaloid: bool
    ribs: float
    """Depth; 0 for none."""
    rib_period: float
    panels: int
    """Vacuum panels round the lower half; 0 for none."""
    neck: float
    millilitres: float
    headspace: float

    @property
    def body(self) -> float:
        """Height without neck."""
        return self.slender * self.radius

    @property
    def height(self) -> float:
        """Height of the wall, without what the cap adds."""
        return self.body + 0.004 + FINISH_M


def _knots(s: _Shape) -> list[Knot]:
    mm, r, h, n = 0.001, s.radius, s.body, s.neck
    low, high = (q * h for q in s.label)
    foot = [(0.45 * r, 2.4 * mm, 0), (0.74 * r, 0.0, 0.12 * r), (r, 0.28 * r, 0.25 * r)]
    if s.petaloid:
        foot = [(0.35 * r, 4 * mm, 0), (0.62 * r, 0.0, 0.1 * r), (0.76 * r, 0.0, 0.1 * r), (r, 0.85 * r, 0.6 * r)]
    waist = [(r * (1 - s.waist), 0.72 * low, 0.3 * low)] if s.waist > 0.02 else []
    return [
        *foot, *waist, (r, low - 2.5 * mm, 2 * mm), (r - 0.5 * mm, low, 0), (r - 0.5 * mm, high, 0),
        (r, high + 2.5 * mm, 2 * mm), (r, s.shoulder * h, 0.3 * (1 - s.shoulder) * h * s.dome),
        (n + 0.3 * (r - n) * s.dome, h - 0.25 * (1 - s.shoulder) * h, 0.2 * (1 - s.shoulder) * h), (n + mm, h, 4 * mm),
        (n, h + 3 * mm, 0), (n + 3.6 * mm, h + 3.4 * mm, 0), (n + 3.6 * mm, h + 4.6 * mm, 0), (n, h + 5.2 * mm, 0),
        (n, s.height - mm, 0), (n - mm, s.height, 0),
    ]  # fmt: skip


def _base(s: _Shape) -> Profile:
    rim, low, _ = _knots(s)[0]
    share = np.linspace(0, 1, 13)
    return np.stack([share * rim, low + (0.004 if not s.petaloid else 0.001) * (1 - share**2)], 1)


def _whole(s: _Shape, spacing: float) -> Profile:
    rows = draw_profile(_knots(s), spacing, edges=[q * s.body for q in s.label])
    return np.concatenate([_base(s)[:-1], rows, [[0.0, rows[-1, 1]]]])


def _raise_valleys(s: _Shape, vertices: Float[np.ndarray, "v 3"], low: Profile) -> Float[np.ndarray, "v 3"]:
    """A petaloid base: between the feet the wall stays on the bowl that pressure wants."""
    if not s.petaloid:
        return vertices
    r, angle = np.hypot(vertices[:, 0], vertices[:, 1]), np.arctan2(vertices[:, 1], vertices[:, 0])
    lift = _valley_lift(s, r, low) * _valley_share(angle)
    out = vertices.copy()
    out[:, 2] += np.where(vertices[:, 2] < 0.86 * s.radius, lift, 0.0)
    return out


def _valley_share(angle: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return (0.5 + 0.5 * np.cos(VALLEYS * angle)) ** 1.6


def _valley_lift(s: _Shape, r: Float[np.ndarray, " n"], low: Profile) -> Float[np.ndarray, " n"]:
    """How far the bowl lies above the feet at a radius [m]."""
    share = np.clip(r / s.radius, 0, 1)
    bowl = 0.005 + (0.85 * s.radius - 0.005) * (1 - np.sqrt(1 - share**2))
    return np.clip(bowl - np.interp(r, low[:, 0], low[:, 1]), 0, None) * np.clip((1 - share) / 0.06, 0, 1)


def _low(s: _Shape, whole: Profile) -> Profile:
    return whole[: int(np.argmax(whole[:, 1] >= 0.85 * s.radius)) + 1]


def _enclosed(s: _Shape) -> float:
    """Volume inside [m³], without ribs, which take little."""
    whole = _whole(s, 0.002)
    lost = 0.0
    if s.petaloid:
        r = np.linspace(0, s.radius, 200)
        share = float(_valley_share(np.linspace(0, 2 * np.pi, 721)[:-1]).mean())
        lost = float(np.trapezoid(2 * np.pi * r * share * _valley_lift(s, r, _low(s, whole)), r))
    return float(profile_volume(whole)[-1]) - lost


def _draw_shape(config: PetBottleConfig, design: Design) -> _Shape:
    rng = stream(design, "shape")
    drink = _draw_drink(config, design)
    millilitres = float(choose(rng, config.millilitres)) * design.grow
    low = rng.uniform(0.26, 0.4)
    high = min(low + rng.uniform(0.2, 0.34), 0.66)
    cola = drink == "cola"
    panels = int(rng.choice([0, 6, 8])) if drink == "juice" else 0
    shape = _Shape(
        drink=drink, radius=0.03, slender=rng.uniform(*config.slenderness), label=(low, high),
        shoulder=high + rng.uniform(0.05, 0.1), dome=rng.uniform(0.7, 1.5),
        waist=rng.uniform(0.04, 0.12) if rng.random() < (0.5 if cola else 0.25) else 0.0, petaloid=cola,
        ribs=rng.uniform(0.8, 1.9) / 1000 if not cola and panels == 0 and rng.random() < config.ribs_share else 0.0,
        rib_period=rng.uniform(7.5, 12) / 1000, panels=panels, neck=NECK_M * (1.25 if drink == "juice" else 1.0),
        millilitres=millilitres, headspace=rng.uniform(*config.headspace_share),
    )  # fmt: skip
    target = millilitres / (1 - shape.headspace) * 1e-6
    return replace(shape, radius=solve(lambda r: _enclosed(replace(shape, radius=r)), target, 0.02, 0.12))


def _draw_drink(config: PetBottleConfig, design: Design) -> Drink:
    """What is in it goes with the words on it."""
    return choose(stream(design, "words"), config.drinks)


def _form(s: _Shape, angle: Float[np.ndarray, " n"], z: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Ribs and vacuum panels [m], inwards where negative."""
    low, high = (q * s.body for q in s.label)
    foot = 0.3 * s.radius if not s.petaloid else 0.9 * s.radius
    below = np.clip((z - foot) / 0.003, 0, 1) * np.clip((low - 0.004 - z) / 0.003, 0, 1)
    above = np.clip((z - high - 0.004) / 0.003, 0, 1) * np.clip((s.shoulder * s.body - z) / 0.003, 0, 1)
    wave = np.cos((z - low) / s.rib_period * 2 * np.pi)
    out = -s.ribs * np.clip(0.5 + 0.9 * wave, 0, 1) * (below + above)
    if s.panels:
        across = np.abs((angle / (2 * np.pi) * s.panels) % 1 - 0.5)
        middle, half = (foot + low) / 2, max((low - foot) / 2 - 0.007, 0.003)
        inside = np.clip((0.36 - across) / 0.09, 0, 1) * np.clip((half - np.abs(z - middle)) / 0.003, 0, 1)
        out = out - 0.0013 * inside
    return out


def _relief(s: _Shape, wrinkle: Float[np.ndarray, "4"]) -> Relief:
    """Fine form, the label's thickness, and its slight waviness."""
    low, high = (q * s.body for q in s.label)

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        angle, z = np.arctan2(points[:, 1], points[:, 0]), points[:, 2]
        wall = np.hypot(points[:, 0], points[:, 1]) > 0.6 * s.radius
        on_label = (z > low - 1e-6) & (z < high + 1e-6)
        t = (z - low) / (high - low)
        wave = wrinkle[0] * np.sin(3 * angle + wrinkle[1]) * np.sin(2 * np.pi * (2 * t + wrinkle[2]) + 5 * angle)
        seam = 0.00012 * (np.abs(angle - np.pi / 2 - 0.06) < 0.06)
        label = 0.00015 + 0.5 * wrinkle[0] + 0.5 * wave + seam
        return np.where(on_label, label, np.where(wall, _form(s, angle, z), 0.0))

    return height


def _wall(s: _Shape, spacing: float) -> Mesh:
    edges = [q * s.body for q in s.label]
    rows = draw_profile(_knots(s), spacing, edges=edges)
    z = (rows[1:, 1] + rows[:-1, 1]) / 2
    label = (z > edges[0]) & (z < edges[1])
    panel = np.where(label, LABEL, np.where(z > s.body, NECK, BODY))
    mesh = turned_wall(rows, spacing, panel, ends=(BASE, NECK), base=_base(s))
    return replace(mesh, vertices=_raise_valleys(s, mesh.vertices, _low(s, _whole(s, spacing))))


def _liquid(s: _Shape, level_share: float) -> Mesh:
    """The drink: the wall's inside up to where it holds the stated volume."""
    whole = _whole(s, 0.0025)
    volume = profile_volume(whole)
    lost = float(volume[-1]) - _enclosed(s)
    level = float(np.interp(s.millilitres * 1e-6 * level_share + lost, np.maximum.accumulate(volume), whole[:, 1]))
    inner = cut_at(inset(whole, CLEARANCE_M + PET.thickness_mm / 1000), level)
    mesh = revolve(inner, 96)
    v = _raise_valleys(s, mesh.vertices, _low(s, whole))
    angle, r = np.arctan2(v[:, 1], v[:, 0]), np.hypot(v[:, 0], v[:, 1])
    deep = np.where(r > 0.6 * s.radius, np.minimum(_form(s, angle, v[:, 2]), 0), 0) / np.maximum(r, 1e-6)
    v[:, :2] *= 1 + deep[:, None]
    return replace(mesh, vertices=v)


SODAS = {
    "orange": ((0.85, 0.42, 0.04), 0.75), "ginger": ((0.9, 0.75, 0.45), 0.85), "tonic": ((0.95, 0.96, 0.95), 0.92),
}  # fmt: skip
JUICES = {
    "orange": ((0.86, 0.4, 0.03), 0.0), "apple": ((0.86, 0.58, 0.16), 0.75), "peach": ((0.85, 0.5, 0.16), 0.1),
    "multi": ((0.88, 0.42, 0.06), 0.0), "cherry": ((0.45, 0.03, 0.05), 0.35), "blueberry": ((0.2, 0.03, 0.12), 0.3),
}  # fmt: skip
"""Linear colour and transmission by the word on the label."""


def _liquid_material(s: _Shape, artwork: Artwork) -> Material:
    if s.drink == "water":
        return Material("water", (0.95, 0.975, 0.985), 0.0, 0.04, transmission=0.93)
    table, default = (SODAS, ((0.045, 0.014, 0.006), 0.4)) if s.drink == "cola" else (JUICES, JUICES["orange"])
    tone, clear = by_words(artwork.title, table, default)
    return Material(s.drink, tone, 0.0, 0.05 if s.drink == "cola" else 0.15, transmission=clear)


def _pulp(s: _Shape, liquid: Mesh, rng: np.random.Generator) -> Part:
    """Bits of fruit that float on top and have sunk to the bottom."""
    top = float(liquid.vertices[:, 2].max())
    drop = revolve(np.array([(0.0, -0.5), (0.8, -0.2), (1.0, 0.1), (0.5, 0.45), (0.0, 0.5)]), 7)
    meshes = []
    for _ in range(int(rng.integers(20, 50))):
        angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random()) * 0.7 * s.neck
        size = rng.uniform(0.0008, 0.002)
        at = np.array([reach * np.cos(angle), reach * np.sin(angle), top - rng.uniform(0.2, 1.5) * size])
        meshes.append(replace(drop, vertices=size * drop.vertices * np.array([1.3, 0.8, 0.6]) + at))
    return part(join(meshes), "pulp", Material("pulp", (0.9, 0.5, 0.1), 0.0, 0.6), surface="contents")


def _cap_parts(s: _Shape, design: Design) -> tuple[Part, Part]:
    """The cap and the tamper band left under it."""
    colours = stream(design, "colours")
    tones = ((0.85, 0.86, 0.86), (0.02, 0.12, 0.55), (0.6, 0.02, 0.03), (0.03, 0.35, 0.08), (0.85, 0.4, 0.02),
             (0.02, 0.02, 0.025), (0.1, 0.5, 0.75))  # fmt: skip
    tone = tones[int(colours.integers(len(tones)))]
    material = plastic("cap", tone, float(colours.uniform(0.3, 0.5)))
    rng, ring = stream(design, "shape"), s.body + 0.0052
    radius, tall = s.neck + 0.0024, FINISH_M - 0.0012 - 0.0048 + 0.0026
    cap = screw_cap(radius, tall, ring + 0.0042, ribs=int(rng.choice([48, 60, 72])), wall=0.0019, edge=0.0012)
    turn = stream(design, "specimen").uniform(0, 2 * np.pi)
    c, q = np.cos(turn), np.sin(turn)
    cap = replace(cap, vertices=cap.vertices @ np.array([[c, -q, 0], [q, c, 0], [0, 0, 1]]).T)
    return part(cap, "cap", material), part(
        band_ring(radius - 0.0001, ring + 0.0004, ring + 0.0036), "tamper ring", material
    )


def _paint(config: PetBottleConfig, design: Design, artwork: Artwork, atlas: Atlas) -> tuple[Material, bool]:
    rng, patch = stream(design, "layout"), atlas.patches[LABEL]
    picture = face_front(paint_panel(artwork, "wrap", *patch.picture_size, px_per_mm=patch.px_per_mm))
    picture = draw_overlap(picture, round(5 * patch.px_per_mm), stream(design, "specimen"))
    paper = bool(rng.random() < config.paper_label_share)
    stock = STOCKS["paper" if paper else "gloss_film"]
    return printed(stock, stream(design, "colours"), paint_atlas(atlas, [picture]), name="label"), paper


def _sheet(config: PetBottleConfig, design: Design, s: _Shape, artwork: Artwork) -> tuple[Sheet, bool]:
    spacing = max(PET.mechanics.spacing_mm, 3.0 * (s.millilitres / 500) ** (1 / 3)) / 1000
    mesh = _wall(s, spacing)
    low, high = (1000 * q * s.body for q in s.label)
    atlas = pack_atlas([(2000 * np.pi * s.radius, high - low)], design.texture_px, wrap=(LABEL,))
    label, paper = _paint(config, design, artwork, atlas)
    colours, specimen = stream(design, "colours"), stream(design, "specimen")
    tints = ((0.97, 0.975, 0.975), (0.82, 0.93, 0.97), (0.55, 0.85, 0.6), (0.9, 0.97, 0.93))
    tint = tints[int(colours.choice(4, p=[0.6, 0.2, 0.08, 0.12]))]
    clear = printed(replace(PET, outer=tint), colours, name="pet")
    wrinkle = np.array([specimen.uniform(0.02, 0.16) / 1000, *specimen.uniform(0, 6.28, 3)])
    sheet = make_sheet(
        "bottle", mesh.vertices, mesh.faces, sheet_uv(mesh, atlas), (mesh.panel != LABEL).astype(np.uint8),
        (label, clear, *back_and_edge(PET)), replace(PET.mechanics, spacing_mm=1000 * spacing),
        thickness_mm=PET.thickness_mm, levels=1, crease_deg=PET.crease_deg, relief=_relief(s, wrinkle),
        panel=mesh.panel, panels=PANELS,
    )  # fmt: skip
    return sheet, paper


def build_pet_bottle(item_identifier: str, config: PetBottleConfig, design: Design) -> Product:
    """Draw one bottle."""
    s, specimen = _draw_shape(config, design), stream(design, "specimen")
    artwork = draw_artwork(design, s.drink, net=f"{s.millilitres:.0f} ml")
    sheet, _ = _sheet(config, design, s, artwork)
    liquid = _liquid(s, float(1 + specimen.uniform(-0.006, 0.006)))
    words = stream(design, "words")
    drink = _liquid_material(s, artwork)
    cap, ring = _cap_parts(s, design)
    contents = [part(liquid, "drink", drink, surface="contents"), cap, ring]
    pulpy = s.drink == "juice" and drink.transmission < 0.5 and bool(words.random() < 0.5)
    if pulpy:
        contents.append(_pulp(s, liquid, specimen))
    top = float(cap.vertices[:, 2].max())
    across = 2 * float(np.hypot(sheet.vertices[:, 0], sheet.vertices[:, 1]).max())
    wall_g = float(face_areas(sheet.vertices, sheet.faces).sum()) * PET.thickness_mm * 1380 + 3
    mass = s.millilitres * (1.0 if s.drink == "water" else 1.04) + wall_g
    marks = ["label_overlap"] + ["petaloid_base"] * s.petaloid + ["ribs"] * (s.ribs > 0) + ["pulp"] * pulpy
    marks += ["grip_recess"] * (s.panels > 0 or s.waist > 0)
    return Product(
        item_identifier=item_identifier,
        family="pet_bottle",
        shape="round",
        packaging="primary",
        item_material="plastic_hard",
        sheets=(sheet,),
        contents=tuple(contents),
        core=None,
        attributes=catalogue_entry(artwork, category="bottle", size_m=np.array([across, across, top]), mass_g=mass),
        mass_g=mass,
        fill_ml=s.millilitres,
        hinges=(Hinge("cap", ("cap",), (0.0, 0.0, s.body), (0.0, 0.0, top), 0.0, "screw"),),
        lookalikes=tuple(sorted(marks)),
    )
