"""Spill: a puddle or a heap beside a leaking package, and what it leaves on the walls. Yields ``spillage``.

What lies on the tray has left the package: it holds less, stands lower in a clear bottle, lets a bag fall in. A leak
may be hidden below or behind, so that the package looks whole. The package may have lain otherwise when it leaked.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.spatial import KDTree

from ...sim.errors import DamagelandError
from ...sim.rays import build_caster
from ...sim.scene import KINDS, Part, kind_bit
from ..mesh import Sheet, enclosed_volume, face_normals
from ..products.product import Product
from ..spilling.drips import Trail, bare_part, beads, run_down, scatter_on, streak
from ..spilling.ground import LOW_M
from ..spilling.leak import Leak, draw_leak, near_wall, standing_parts
from ..spilling.outflow import Body, Outflow, Pouring, Surroundings, heap_height, heap_up, outlet, pour
from ..spilling.puddle import Wetting
from ..spilling.runny import Content, Liquid, content_of, main_filling, soaks, vary
from ..spilling.slump import follow_film, lower_level, sink_heap, slacken
from ..spilling.stain import Soaking, mark_soaked, paint_dust, paint_soaked, soaked, wet_area_m2
from ..spilling.waves import Waves, draw_waves
from .outcome import Outcome
from .subject import Subject

SPILLAGE, BIT = KINDS.index("spillage"), kind_bit("spillage")
ON_WALL_SHARE = 0.08
"""Of a spill, what may hang on the wall at most."""
MOVED_MM = 0.5

LIMITS = {
    "volume_ml": (1e-3, 5000), "capillary_length_mm": (0.5, 5), "contact_angle_deg": (5, 120), "wall_slope": (0, 2),
    "drops": (0, 200), "beads": (0, 300), "streak_mm": (0.2, 20), "soaked_mm": (0, 300), "repose_deg": (10, 60),
    "seam_mm": (0, 200), "rolled_share": (0, 1),
}  # fmt: skip
"""What the configuration's ranges must lie within."""


class SpillConfig(BaseModel):
    """How much runs out, and how it lies. Strength scales the volume, from ``volume_ml``'s low end to its high end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    volume_ml: tuple[float, float] = Field(
        default=(1.0, 250.0), description="volume at strength near 0 and at 1; never more than most_share of the fill"
    )
    most_share: float = Field(default=0.9, gt=0, le=1, description="of what is in it, the most that runs out")
    hidden_share: float = Field(
        default=0.35, ge=0, le=1, description="leaks on the underside: only the puddle or the heap gives them away"
    )
    capillary_length_mm: tuple[float, float] = Field(default=(1.5, 2.8), description="water's is 2.7; soap lowers it")
    contact_angle_deg: tuple[float, float] = Field(default=(15.0, 70.0), description="on the tray's paint")
    wall_slope: tuple[float, float] = Field(
        default=(0.2, 0.6), description="slope of the meniscus where it meets walls"
    )
    roughness: float = Field(default=0.22, ge=0, le=0.6, description="how unevenly the tray is wetted")
    drops: tuple[int, int] = Field(default=(3, 26), description="drops beside the puddle")
    beads: tuple[int, int] = Field(default=(4, 34), description="beads on walls that do not soak it up")
    streak_mm: tuple[float, float] = Field(default=(0.9, 2.6), description="half width of what runs down the wall")
    soaked_mm: tuple[float, float] = Field(default=(5.0, 40.0), description="how far board is soaked, at strength 1")
    repose_deg: tuple[float, float] = Field(default=(28.0, 40.0), description="slope at which powder comes to rest")
    seam_mm: tuple[float, float] = Field(default=(3.0, 40.0), description="length of the seam that powder runs out of")
    rolled_share: tuple[float, float] = Field(default=(0.03, 0.15), description="of powder, what rolls away")
    cells: int = Field(default=512, ge=64, le=1024, description="of the grid, a side")

    @model_validator(mode="after")
    def _ordered(self) -> "SpillConfig":
        for name, (least, most) in LIMITS.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(f"{name} is {(low, high)}; give (low, high) within {least:g}-{most:g}")
        return self


@dataclass(frozen=True)
class _Draw:
    """All that is drawn, the same at every strength."""

    content: Content
    leak: Leak
    hidden: bool
    drift: Float[np.ndarray, "2"]
    wobble: Float[np.ndarray, " k"]
    width: Float[np.ndarray, " j"]
    """Of the streak, along it, about 1."""
    streak_m: float
    angle: float
    capillary_m: float
    climb: float
    rough: Waves
    """On the tray."""
    walls: Waves
    fine: Waves
    soaked_m: float
    seam_m: float
    rolled: float
    slack: float
    drops: Float[np.ndarray, "n 4"]
    beads: Float[np.ndarray, "m 5"]
    seed: int


def _within(limits: tuple[float, float], content: tuple[float, float], rng: np.random.Generator) -> float:
    """Uniform in the content's range as far as the configuration allows."""
    low, high = (float(np.clip(v, *limits)) for v in content)
    return low + (high - low) * float(rng.random())


def _log(limits: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = np.log(np.maximum(limits, 1e-9))
    return float(np.exp(rng.uniform(low, high)))


def _draw(subject: Subject, config: SpillConfig, rng: np.random.Generator) -> _Draw:
    content = content_of(subject.product)
    leak, hidden = draw_leak(subject, subject.product.sheets[0], rng, config.hidden_share)
    angles = content.angle_deg if isinstance(content, Liquid) else content.repose_deg
    limits = config.contact_angle_deg if isinstance(content, Liquid) else config.repose_deg
    turn = rng.uniform(0, 2 * np.pi)
    thick = content.thick if isinstance(content, Liquid) else 1.0
    capillary = content.capillary_mm if isinstance(content, Liquid) else config.capillary_length_mm
    return _Draw(
        content=replace(content, colour=vary(content.colour, rng)),
        leak=leak,
        hidden=hidden,
        drift=np.array([np.cos(turn), np.sin(turn)]),
        wobble=0.35 * np.convolve(rng.normal(size=72), np.ones(9) / 3, "same"),
        width=np.exp(0.35 * np.convolve(rng.normal(size=300), np.ones(7) / 2.6, "same")),
        streak_m=rng.uniform(*config.streak_mm) / 1000,
        angle=float(np.radians(_within(limits, angles, rng))),
        capillary_m=thick * _within(config.capillary_length_mm, capillary, rng) / 1000,
        climb=rng.uniform(*config.wall_slope),
        rough=draw_waves(rng, (0.025, 0.2), dimensions=2, fall=0.9),
        walls=draw_waves(rng, (0.02, 0.09), dimensions=3),
        fine=draw_waves(rng, (0.006, 0.02), dimensions=3),
        soaked_m=_log(config.soaked_mm, rng) / 1000,
        seam_m=rng.uniform(*config.seam_mm) / 1000,
        rolled=rng.uniform(*config.rolled_share),
        slack=rng.uniform(1.0, 1.7),
        drops=rng.random((int(rng.integers(config.drops[0], config.drops[1] + 1)), 4)),
        beads=rng.random((int(rng.integers(config.beads[0], config.beads[1] + 1)), 5)),
        seed=int(rng.integers(2**31)),
    )


def _volume_ml(product: Product, config: SpillConfig, strength: float) -> float:
    low, high = config.volume_ml[0], min(config.volume_ml[1], config.most_share * product.fill_ml)
    if low > product.fill_ml:
        raise DamagelandError(
            f"{product.item_identifier}: volume_ml starts at {low:g} ml, but this {product.family} holds only "
            f"{product.fill_ml:.3g} ml. Let volume_ml start at {product.fill_ml / 2:.2g} or less."
        )
    low = min(low, high)
    return low * (high / low) ** strength if strength > 0 else 0.0


# ---- The package ----------------------------------------------------------------------------------------------------


def _emptied(subject: Subject, draw: _Draw, volume_ml: float) -> Product:
    """The package with that much less in it: level, heap, slack film."""
    product = subject.product
    sheets, contents = product.sheets, list(product.contents)
    if product.shape == "soft":
        sheets = (_slack(subject, sheets[0], 1e-6 * draw.slack * volume_ml), *sheets[1:])
    left, inside = 1 - volume_ml / product.fill_ml, main_filling(product)
    liquid = isinstance(draw.content, Liquid)
    if inside is not None and not (liquid and product.shape == "box"):  # a bottle in a carton stays as it is
        lower = lower_level if liquid else sink_heap
        part = lower(contents[inside], subject.up, left, BIT)
        if product.shape == "soft":
            part = follow_film(part, product.sheets[0].vertices, sheets[0].vertices)
        contents[inside] = _recoloured(product, part, draw.content) if liquid else part
        level = float((part.vertices @ subject.up).max())
        contents = [_afloat(p, subject.up, level) if p.name == "pulp" else p for p in contents]
    return replace(
        product, sheets=sheets, contents=tuple(p for p in contents if p is not None),
        fill_ml=product.fill_ml - volume_ml,
    )  # fmt: skip


def _recoloured(product: Product, part: Part, content: Content) -> Part:
    """What is behind an opaque wall has the colour of what runs out of it."""
    if any(m.transmission > 0.5 for m in product.sheets[0].materials[:-2]):
        return part
    return replace(part, materials=tuple(replace(m, base_color=content.colour) for m in part.materials))


def _afloat(part: Part, up: Float[np.ndarray, "3"], level: float) -> Part | None:
    """What floats on a liquid goes down with it; where the way down is not along the bottle, it sinks out of sight."""
    over = float((part.vertices @ up).max()) - level
    if over <= 0:
        return part
    return replace(part, vertices=part.vertices - over * up) if up[2] > 0.95 else None


def _slack(subject: Subject, sheet: Sheet, lost_m3: float) -> Sheet:
    standing = slacken(subject.to_world(sheet.vertices), sheet, lost_m3)
    vertices = subject.to_item(standing)
    marks = sheet.marks.copy()
    moved = 1000 * np.linalg.norm(vertices - sheet.vertices, axis=1)
    marks[:, SPILLAGE] = np.maximum(marks[:, SPILLAGE], moved / MOVED_MM)
    return replace(sheet, vertices=vertices, marks=marks)


# ---- The spill ------------------------------------------------------------------------------------------------------


def _trail(subject: Subject, sheet: Sheet, draw: _Draw) -> Trail:
    """From the leak down to the tray; from below, it drips or creeps out at once."""
    standing = subject.to_world(sheet.vertices)
    start = draw.leak.point(sheet, standing)
    normal = face_normals(standing, sheet.faces[[draw.leak.face]])[0]
    normal /= max(float(np.linalg.norm(normal)), 1e-30)
    if draw.hidden:
        return Trail(start[None], normal[None], start[:2])
    wall = bare_part("wall", standing, sheet.faces[~sheet.removed])
    wobble = draw.wobble if isinstance(draw.content, Liquid) else np.zeros(1)
    return run_down(wall, start, normal, draw.drift, wobble)


def _on_wall(wall: Part | None, trail: Trail, draw: _Draw, most_m3: float) -> tuple[Body, ...]:
    """Rivulet and beads on a wall that soaks nothing up."""
    if wall is None or draw.hidden:
        return ()

    caster = build_caster((wall,))

    def made(gain: float) -> tuple[Body, ...]:
        n = len(trail.points)
        taper = np.minimum(1.0, (np.arange(n) + 2) / 8) * (0.75 + 0.5 * np.arange(n) / n)
        half = gain * draw.streak_m * taper * np.resize(draw.width, n)
        bodies = [streak(caster, trail, half, 0.3)]
        points, normals = scatter_on(wall, trail, draw.beads[:, :3], 0.012)
        if len(points):
            radius = gain * (0.0005 + 0.0022 * draw.beads[:, 3] ** 2.5)
            upright = 1 - np.abs(normals[:, 2])
            bodies.append(beads(points, normals, radius, 0.55, 1 + 0.5 * upright * draw.beads[:, 4], caster))
        return tuple(body for body in bodies if len(body[1]))

    bodies = made(1.0)
    volume = sum(enclosed_volume(*body) for body in bodies)
    return made((most_m3 / volume) ** (1 / 3)) if volume > most_m3 else bodies


def _soaking(trail: Trail, draw: _Draw, share: float, *, dust: bool) -> Soaking:
    """How walls take it up; ``share`` is the cube root of the volume over the most there can be."""
    colour = draw.content.colour
    return Soaking(
        front_m=draw.soaked_m * share,
        trail=trail.points if len(trail.points) > 3 else np.zeros((0, 3)),
        trail_half_m=(0.0 if dust else 0.9) * draw.streak_m * share,
        trail_front_m=(3.5 * draw.streak_m if dust else 0.0016 + 0.15 * draw.soaked_m) * share,
        rough=draw.walls,
        fine=draw.fine,
        colour=colour,
        seed=draw.seed,
    )


def _soak_sheets(
    subject: Subject, product: Product, draw: _Draw, how: Soaking, out: Outflow, leak: Float[np.ndarray, "3"]
) -> tuple[Product, float]:
    """Walls of board and paper with what they soaked up, and the area within their tide rings [m²]."""
    sheets, area = list(product.sheets), 0.0
    porous = [k for k, sheet in enumerate(sheets) if sheet.item == sheets[0].item and soaks(sheet)]
    if not porous:
        return product, area
    i, j = np.nonzero(out.wet)
    tree = KDTree(np.stack([out.ground.x[j], out.ground.y[i]], axis=1))
    for k in porous:
        sheet = product.sheets[k]
        standing = subject.to_world(sheet.vertices)
        sources, offset = _sources(sheet, standing, tree, leak if k == 0 else None)
        wet = soaked(sheet, standing, sources, offset, how)
        if wet.min() < 1:
            sheets[k] = mark_soaked(paint_soaked(sheet, standing, wet, how), wet)
            area += wet_area_m2(sheet, wet)
    return replace(product, sheets=tuple(sheets)), area


def _sources(
    sheet: Sheet, standing: Float[np.ndarray, "v 3"], puddle: KDTree, leak: Float[np.ndarray, "3"] | None
) -> tuple[Int[np.ndarray, " s"], Float[np.ndarray, " s"]]:
    """Vertices where a wall takes up liquid, and how far they are from it: the puddle, and the leak itself."""
    low = np.flatnonzero(standing[:, 2] < 0.004)
    reach = 2 * sheet.mechanics.spacing_mm / 1000
    away, _ = puddle.query(standing[low, :2], distance_upper_bound=reach)
    near = np.isfinite(away)
    sources, offset = low[near], away[near]
    if leak is not None:
        at_leak = np.linalg.norm(standing - leak, axis=1)
        close = np.flatnonzero(at_leak < reach)
        sources, offset = np.concatenate([sources, close]), np.concatenate([offset, at_leak[close]])
    return sources, offset


def _dust(subject: Subject, product: Product, draw: _Draw, how: Soaking) -> Product:
    """Powder that clings to the wall under the leak."""
    cover = getattr(draw.content, "dust", 0.0)
    sheet = product.sheets[0]
    if cover == 0 or len(how.trail) == 0:
        return product
    painted, dusty = paint_dust(sheet, subject.to_world(sheet.vertices), how, cover=0.9 * cover)
    return replace(product, sheets=(mark_soaked(painted, dusty / 0.5), *product.sheets[1:]))


def _to_item(subject: Subject, part: Part) -> Part:
    return replace(
        part, vertices=subject.to_item(part.vertices), normals=part.normals @ subject.T_world_item[:3, :3],
        item=subject.product.sheets[0].item,
    )  # fmt: skip


def _run_out(subject: Subject, config: SpillConfig, draw: _Draw, volume_ml: float) -> tuple[Product, Outflow, float]:
    """The package after it has leaked, what lies on the tray, and the soaked area [m²]."""
    product = _emptied(subject, draw, volume_ml)
    trail = _trail(subject, product.sheets[0], draw)
    liquid = isinstance(draw.content, Liquid)
    low_m = LOW_M if liquid else max(LOW_M, heap_height(draw.angle, 1e-6 * volume_ml))
    wall = near_wall(subject, product.sheets[0], None if draw.hidden else trail.points, low_m)
    standing = standing_parts(subject, product, wall, low_m)
    around = Surroundings(standing, trail.foot, subject.tray_m, config.cells, _scaled(draw.rough, config.roughness))
    low = np.concatenate([p.vertices[:, :2] for p in (wall,) if p is not None] or [trail.foot[None]])
    around = replace(around, foot=outlet(around, low))
    volume = 1e-6 * volume_ml
    share = (volume_ml / min(config.volume_ml[1], config.most_share * subject.product.fill_ml)) ** (1 / 3)
    if not isinstance(draw.content, Liquid):
        out = heap_up(around, Pouring(draw.content, draw.angle, draw.seam_m, draw.rolled, draw.seed), volume)
        return _dust(subject, product, draw, _soaking(trail, draw, share, dust=True)), out, 0.0
    wetting = Wetting(draw.capillary_m, draw.angle, draw.climb, 0.003)
    porous = soaks(product.sheets[0])
    hanging = () if porous else _on_wall(wall, trail, draw, ON_WALL_SHARE * volume)
    out = pour(around, draw.content, wetting, volume, on_wall=hanging, drops=draw.drops, seed=draw.seed)
    how = _soaking(trail, draw, share, dust=False)
    product, area = _soak_sheets(subject, product, draw, how, out, trail.points[0])
    return product, out, area


def _scaled(waves: Waves, gain: float) -> Waves:
    return replace(waves, size=gain * waves.size)


def spill_applies(product: Product) -> bool:
    """Whether anything could run out: not of books, devices and sets, nor of what is welded in piece by piece."""
    return product.fill_ml > 0


def spill(subject: Subject, config: SpillConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Let a package leak where it lies; strength 0 is the identity.

    Raises:
        DamagelandError: even the smallest volume asked for is more than the package holds.
    """
    product, sheet = subject.product, subject.product.sheets[0]
    draw = _draw(subject, config, rng)
    volume_ml = _volume_ml(product, config, strength)
    wet = isinstance(draw.content, Liquid)
    site = draw.leak.point(sheet, sheet.rest)
    area = covered = height = 0.0
    if strength > 0:
        product, out, area = _run_out(subject, config, draw, volume_ml)
        parts = tuple(_to_item(subject, part) for part in out.parts)
        product = replace(product, contents=(*product.contents, *parts))
        covered, height = out.area_m2, out.height_m
    return Outcome(
        product=product,
        kind="spillage",
        generator="spill",
        parameters={
            "content": draw.content.name,
            "volume_ml": volume_ml,
            "remaining_ml": product.fill_ml,
            "hidden": draw.hidden,
            "contact_angle_deg" if wet else "repose_deg": float(np.degrees(draw.angle)),
            **({"capillary_length_mm": 1000 * draw.capillary_m} if wet else {"seam_mm": 1000 * draw.seam_m}),
            "strength": strength,
            **{f"site_{axis}_mm": 1000 * float(v) for axis, v in zip("xyz", site, strict=True)},
        },
        measures={
            "liquid_ml": volume_ml if wet else 0.0,
            "powder_ml": 0.0 if wet else volume_ml,
            "stain_mm2": 1e6 * area,
            "puddle_mm2": 1e6 * covered,
            "thickness_mm": 1000 * height,
        },
        site=site,
    )
