"""Hole: a ragged opening with slits and petals, pushed in by a blunt tip. Yields ``penetration``."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field

from ...sim.rays import cast_mesh
from ...sim.scene import KINDS
from ..cut import cut_along, refine_faces, unzip_edges
from ..mesh import Sheet, face_areas, mesh_edges, vertex_normals
from ..products.product import Product
from ..shell import Capsule, press_shell
from .outcome import Outcome
from .subject import Subject

PENETRATION = KINDS.index("penetration")


class HoleConfig(BaseModel):
    """How items are pierced. Strength 1 gives the largest radius."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_mm: tuple[float, float] = Field(
        default=(1.5, 18.0), description="reach of the slits at strength near 0 and at 1"
    )
    core_share: tuple[float, float] = Field(
        default=(0.25, 0.6), description="radius of the missing core over the reach"
    )
    slits: tuple[int, int] = Field(default=(3, 6), description="number of radial slits")
    raggedness: float = Field(default=0.14, ge=0, le=0.5, description="relative roughness of the rim")
    depth_share: tuple[float, float] = Field(default=(0.5, 1.4), description="how deep the tip goes, over the reach")
    threshold_mm: float = Field(default=0.5, gt=0, description="a point moved further than this is labelled")


@dataclass(frozen=True)
class _Spot:
    """Place of a hole: a tangent frame on the pristine surface and how far it reaches [m]."""

    at: Float[np.ndarray, "3"]
    normal: Float[np.ndarray, "3"]
    u: Float[np.ndarray, "3"]
    v: Float[np.ndarray, "3"]
    reach: float


def _near(sheet: Sheet, spot: _Spot) -> Bool[np.ndarray, " v"]:
    """Vertices within three reaches on the spot's side of the sheet."""
    offset = sheet.rest - spot.at
    close = np.linalg.norm(offset, axis=1) < 3 * spot.reach
    return close & (vertex_normals(sheet.rest, sheet.faces) @ spot.normal > 0.2)


def _draw_spot(sheet: Sheet, reach: float, rng: np.random.Generator) -> _Spot:
    """Draw a place by area where the surface is smooth all around the hole; the reach shrinks if there is none."""
    areas = face_areas(sheet.rest, sheet.faces) * ~sheet.removed
    normals = vertex_normals(sheet.rest, sheet.faces)
    at, normal = sheet.rest[0], normals[0]
    for attempt in range(60):
        face = int(rng.choice(len(areas), p=areas / areas.sum()))
        at = sheet.rest[sheet.faces[face]].mean(axis=0)
        normal = normals[sheet.faces[face]].mean(axis=0)
        normal /= np.linalg.norm(normal)
        around = np.linalg.norm(sheet.rest - at, axis=1) < 1.4 * reach
        if (normals[around] @ normal).min(initial=1.0) > 0.85:
            break
        if attempt % 10 == 9:
            reach *= 0.75
    turn = rng.normal(size=3)
    u = np.cross(normal, turn)
    u /= np.linalg.norm(u)
    return _Spot(at, normal, u, np.cross(normal, u), reach)


def _plane_coordinates(sheet: Sheet, spot: _Spot) -> Float[np.ndarray, "v 2"]:
    """Tangent-plane coordinates [m] near the spot; far away for all that is not near."""
    offset = sheet.rest - spot.at
    flat = np.stack([offset @ spot.u, offset @ spot.v], axis=1)
    return np.where(_near(sheet, spot)[:, None], flat, 1e3)


def _cut_core(sheet: Sheet, spot: _Spot, core: float, ragged: float, rng: np.random.Generator) -> Sheet:
    """Remove a ragged disc, exactly along its contour."""
    waves = [(n, ragged * rng.normal() / np.sqrt(n), rng.uniform(0, 2 * np.pi)) for n in (2, 3, 5, 8, 13)]
    stretch = np.exp(rng.normal() * 0.3)
    flat = _plane_coordinates(sheet, spot) * np.array([stretch, 1 / stretch])
    angle, distance = np.arctan2(flat[:, 1], flat[:, 0]), np.linalg.norm(flat, axis=1)
    rim = core * (1 + sum(size * np.sin(n * angle + phase) for n, size, phase in waves))
    sheet, side = cut_along(sheet, distance - rim, snap=0.08 * core)
    corner = side[sheet.faces]
    inside = (corner.min(axis=1) < 0) & (corner.max(axis=1) <= 0)
    marks = sheet.marks.copy()
    marks[side <= 0, PENETRATION] = 2.0
    return replace(sheet, removed=sheet.removed | inside, marks=marks)


def _cut_slit(sheet: Sheet, spot: _Spot, angle: float, start: float, end: float, rng: np.random.Generator) -> Sheet:
    """Open a wavy radial slit from the core outwards."""
    flat = _plane_coordinates(sheet, spot)
    x = flat[:, 0] * np.cos(angle) + flat[:, 1] * np.sin(angle)
    y = -flat[:, 0] * np.sin(angle) + flat[:, 1] * np.cos(angle)
    y = y - 0.06 * end * np.sin(x / end * rng.uniform(3, 7) + rng.uniform(0, 6)) * np.clip((x - start) / end, 0, 1)
    # Only edges inside the slit's own band are cut: vertices beyond it would show as creases on an embossed wall.
    band = (x > 0.2 * start) & (x < 1.05 * end) & (np.abs(y) < 0.3 * end)
    sheet, line = cut_along(sheet, np.where(band, y, 0.0), snap=0.05 * start)
    flat = _plane_coordinates(sheet, spot)
    x = flat[:, 0] * np.cos(angle) + flat[:, 1] * np.sin(angle)
    y = -flat[:, 0] * np.sin(angle) + flat[:, 1] * np.cos(angle)
    edges, _ = mesh_edges(sheet.faces)
    # The value is 0 outside the band too.
    on_line = (line[edges] == 0).all(axis=1) & (np.abs(y[edges]) < 0.15 * end).all(axis=1)
    middle = x[edges].mean(axis=1)
    opened = on_line & (middle > 0.5 * start) & (middle < end)
    marks = sheet.marks.copy()
    marks[edges[opened].ravel(), PENETRATION] = np.maximum(marks[edges[opened].ravel(), PENETRATION], 1.01)
    return unzip_edges(replace(sheet, marks=marks), opened)


def _push_petals(sheet: Sheet, spot: _Spot, radius: float, depth: float, rng: np.random.Generator) -> Sheet:
    """Press a round tip through, so that the petals bend in."""
    used, inverse = np.unique(sheet.faces[~sheet.removed], return_inverse=True)
    lean = -spot.normal + 0.2 * rng.normal(size=3)
    lean /= np.linalg.norm(lean)
    centre = spot.at + spot.normal * (radius + 0.0005)
    tip = Capsule(centre, centre + spot.normal * 0.05, lean * depth, radius)
    far = np.linalg.norm(sheet.rest[used] - spot.at, axis=1) / spot.reach
    mobility = np.clip((3.0 - far) / 1.2, 0, 1)
    pressed, _ = press_shell(sheet.vertices[used], inverse.reshape(-1, 3), sheet.mechanics, tip, mobility=mobility)
    vertices = sheet.vertices.copy()
    vertices[used] = pressed
    return replace(sheet, vertices=vertices)


def open_area_mm2(sheet: Sheet, spot: _Spot, *, rays_across: int = 96) -> float:
    """Area through which parallel rays along the inward normal pass the wall near the hole."""
    near = _near(sheet, spot)[sheet.faces].all(axis=1) & ~sheet.removed
    half = 1.6 * spot.reach
    grid = (np.arange(rays_across) + 0.5) / rays_across * 2 * half - half
    a, b = np.meshgrid(grid, grid, indexing="ij")
    start = spot.at + a.reshape(-1, 1) * spot.u + b.reshape(-1, 1) * spot.v + 3 * spot.reach * spot.normal
    hit = cast_mesh(sheet.vertices, sheet.faces[near], start, np.repeat(-spot.normal[None], len(start), 0))
    return float((~hit).mean() * (2000 * half) ** 2)


def hole_applies(product: Product) -> bool:
    """Glass breaks instead."""
    return not product.brittle


def hole(subject: Subject, config: HoleConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Pierce a product's first sheet; strength 0 is the identity."""
    product, sheet = subject.product, subject.product.sheets[0]
    low, high = config.radius_mm
    spot = _draw_spot(sheet, (low + strength * (high - low)) / 1000, rng)
    core = spot.reach * rng.uniform(*config.core_share)
    slits = int(rng.integers(config.slits[0], config.slits[1] + 1))
    depth = spot.reach * rng.uniform(*config.depth_share)
    area = 0.0
    if strength > 0:
        sheet = _pierce(sheet, spot, core, slits, depth, config, rng)
        area = open_area_mm2(sheet, spot)
    return Outcome(
        product=replace(product, sheets=(sheet, *product.sheets[1:])),
        kind="penetration",
        generator="hole",
        parameters={
            "reach_mm": 1000 * spot.reach,
            "core_mm": 1000 * core,
            "slits": slits,
            "push_mm": 1000 * depth,
            "strength": strength,
            **{f"site_{n}_mm": 1000 * float(v) for n, v in zip("xyz", spot.at, strict=True)},
        },
        measures={
            "area_mm2": area,
            "diameter_mm": 2 * float(np.sqrt(area / np.pi)),
            "depth_mm": float(1000 * np.linalg.norm(sheet.vertices - sheet.rest, axis=1).max()) if strength else 0.0,
        },
    )


def _pierce(
    sheet: Sheet, spot: _Spot, core: float, slits: int, depth: float, config: HoleConfig, rng: np.random.Generator
) -> Sheet:
    target = max(0.5 * core, 0.0009)
    for _ in range(4):  # triangles near the rim must be smaller than the core, or the contour would be a polygon
        corners = sheet.rest[sheet.faces]
        longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
        close = np.linalg.norm(corners.mean(axis=1) - spot.at, axis=1) < 1.3 * spot.reach + longest
        coarse = close & (longest > 1.5 * target) & _near(sheet, spot)[sheet.faces].any(axis=1)
        if not coarse.any():
            break
        sheet = refine_faces(sheet, coarse)
    sheet = _cut_core(sheet, spot, core, config.raggedness, rng)
    turn = rng.uniform(0, 2 * np.pi)
    for k in range(slits):
        angle = turn + (k + 0.3 * rng.normal()) * 2 * np.pi / slits
        sheet = _cut_slit(sheet, spot, angle, core, spot.reach * np.exp(0.2 * rng.normal()), rng)
    start = sheet
    sheet = _push_petals(sheet, spot, min(0.85 * spot.reach, 1.7 * core), depth, rng)
    marks = sheet.marks.copy()
    moved = 1000 * np.linalg.norm(sheet.vertices - start.vertices, axis=1) * _near(sheet, spot)
    marks[:, PENETRATION] = np.maximum(marks[:, PENETRATION], moved / config.threshold_mm)
    return replace(sheet, marks=marks)
