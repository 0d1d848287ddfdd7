"""Crush and dent: a drop on corner, edge or rim, a bar or ball pressed into a side. Yields ``deformation``."""

from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import KINDS
from ..mesh import Sheet, boundary_half_edges, enclosed_volume, face_areas, face_normals
from ..products.product import Product
from ..shell import Capsule, Plane, press_shell
from .follow import follow_wall
from .outcome import Outcome, marked_faces, moved_mm
from .subject import Subject

Site = Literal["corner", "edge", "face", "rim", "side"]
DEFORMATION = KINDS.index("deformation")
UNMOVED_M = 0.0005
"""Scale of displacements that count as not deformed when the item is put back in place."""
REWEIGHTINGS = 30


class CrushConfig(BaseModel):
    """How items are crushed. Strength 1 pushes ``push_mm``, but never more than ``push_share`` of the shortest side."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    push_mm: float = Field(default=40.0, gt=0, le=200, description="travel of the tool at strength 1")
    push_share: float = Field(default=0.35, gt=0, le=0.6, description="largest travel as a share of the shortest side")
    bar_radius_mm: tuple[float, float] = Field(default=(2.0, 25.0), description="radius of the bar or ball")
    bar_length_mm: tuple[float, float] = Field(default=(0.0, 90.0), description="length of the bar; 0 is a ball")
    box_sites: dict[Site, float] = Field(
        default={"corner": 0.45, "edge": 0.35, "face": 0.2}, description="weights on boxes"
    )
    round_sites: dict[Site, float] = Field(default={"side": 0.7, "rim": 0.3}, description="weights on round packages")
    threshold_mm: float = Field(default=0.5, gt=0, description="a point moved further than this is labelled")
    threshold_share: float = Field(default=0.003, ge=0, description="or further than this share of the longest side")


def _unit(vector: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    return vector / np.linalg.norm(vector)


def _box_plane(site: Site, sheet: Sheet, push: float, rng: np.random.Generator) -> Plane:
    """A floor that a falling box meets with a corner (three sides) or an edge (two)."""
    low, high = sheet.rest.min(axis=0), sheet.rest.max(axis=0)
    lean = rng.uniform(0.35, 1.0, 3)
    if site == "edge":
        lean[int(rng.integers(3))] = rng.uniform(0, 0.06)
    normal = _unit(lean * rng.choice([-1.0, 1.0], 3))
    start = float(normal @ np.where(normal > 0, high, low))
    return Plane(normal, start, start - push)


def _rim_plane(sheet: Sheet, push: float, rng: np.random.Generator) -> Plane:
    """A floor that a falling tin meets with the rim of one of its ends."""
    around, tilt = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(15, 75))
    up = rng.choice([-1.0, 1.0, 1.0])
    normal = np.array([np.cos(around) * np.cos(tilt), np.sin(around) * np.cos(tilt), up * np.sin(tilt)])
    start = float((sheet.rest @ normal).max())
    return Plane(normal, start, start - push)


def _bar(sheet: Sheet, config: CrushConfig, push: float, rng: np.random.Generator, *, upright: bool) -> Capsule:
    """A bar or ball that goes in at a place drawn by area, roughly inwards; ``upright`` spares the ends."""
    areas = face_areas(sheet.rest, sheet.faces)
    weight = areas * (np.abs(_face_unit(sheet)[:, 2]) < 0.6) if upright else areas
    face = int(rng.choice(len(areas), p=weight / weight.sum()))
    at = sheet.rest[sheet.faces[face]].mean(axis=0)
    inward = _unit(-_face_unit(sheet)[face] + 0.15 * rng.normal(size=3))
    radius = rng.uniform(*config.bar_radius_mm) / 1000
    along = _unit(np.cross(inward, rng.normal(size=3)))
    if upright and rng.random() < 0.7:  # a shelf edge or another tin's seam: across, or nearly so
        along = _unit(np.cross(inward, np.array([0, 0, 1.0])) + 0.25 * rng.normal(size=3))
    half = 0.5 * rng.uniform(*config.bar_length_mm) / 1000 * along
    centre = at - inward * (radius + 0.001)
    return Capsule(centre - half, centre + half, inward * (push + 0.001), radius)


def _face_unit(sheet: Sheet) -> Float[np.ndarray, "f 3"]:
    normals = face_normals(sheet.rest, sheet.faces)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)


def _mobility(sheet: Sheet, tool: Plane | Capsule) -> Float[np.ndarray, " v"]:
    """Held at the side away from the tool, as an item is by its own weight or its neighbours."""
    outward = tool.normal if isinstance(tool, Plane) else -_unit(tool.travel)
    height = sheet.vertices @ outward
    share = (height - height.min()) / (height.max() - height.min())
    return np.clip((share - 0.08) / 0.2, 0, 1)


def _put_back(moved: Float[np.ndarray, "v 3"], before: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "v 3"]:
    """Undo the rigid motion of what was not deformed, so that a push is neither measured nor labelled as a dent.

    Kabsch's least-squares rotation (1976), reweighted after Geman and McClure (1987) so that the dent has no say.
    """
    back = moved
    for _ in range(REWEIGHTINGS):
        distance2 = np.square(back - before).sum(axis=1)
        weight = 1 / (1 + distance2 / UNMOVED_M**2) ** 2
        weight /= weight.sum()
        from_centre, to_centre = weight @ back, weight @ before
        u, _, vt = np.linalg.svd((back - from_centre).T @ (weight[:, None] * (before - to_centre)))
        u[:, 2] *= np.sign(np.linalg.det(u @ vt))  # a rotation, never a reflection
        back = (back - from_centre) @ (u @ vt) + to_centre
    return back


def _measure(before: Sheet, after: Sheet, flow: Float[np.ndarray, " v"]) -> dict[str, float]:
    labelled = marked_faces(after, DEFORMATION)
    kept = ~after.removed
    measures = {
        "depth_mm": float(moved_mm(after).max()),
        "area_mm2": 1e6 * float(face_areas(after.rest, after.faces)[labelled & kept].sum()),
        "flow_rad": float(flow.sum()),
    }
    if len(boundary_half_edges(before.faces)[0]) == 0:  # an open cover or card encloses nothing
        lost = enclosed_volume(before.vertices, before.faces[kept]) - enclosed_volume(after.vertices, after.faces[kept])
        measures["volume_loss_ml"] = 1e6 * lost
    return measures


def crush_applies(product: Product) -> bool:
    """Glass breaks instead, and what is soft gives way and comes back."""
    return product.shape != "soft" and not product.brittle


def crush(subject: Subject, config: CrushConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Crush a product's first sheet; strength 0 is the identity."""
    product, sheet = subject.product, subject.product.sheets[0]
    sites = config.round_sites if product.shape == "round" else config.box_sites
    weights = np.array(list(sites.values()))
    site: Site = list(sites)[int(rng.choice(len(sites), p=weights / weights.sum()))]
    sides = sheet.rest.max(axis=0) - sheet.rest.min(axis=0)
    push = strength * min(config.push_mm / 1000, config.push_share * float(sides.min()))
    if site in ("corner", "edge"):
        tool: Plane | Capsule = _box_plane(site, sheet, push, rng)
    else:
        tool = _rim_plane(sheet, push, rng) if site == "rim" else _bar(sheet, config, push, rng, upright=site == "side")
    if strength == 0:
        moved, flow = sheet.vertices, np.zeros(len(sheet.vertices))
    else:
        kept, back = _kept_mesh(sheet)
        pressed, kept_flow = press_shell(
            sheet.vertices[back], kept, sheet.mechanics, tool, mobility=_mobility(sheet, tool)[back], core=product.core
        )
        moved, flow = sheet.vertices.copy(), np.zeros(len(sheet.vertices))
        moved[back], flow[back] = _put_back(pressed, sheet.vertices[back]), kept_flow
    after = replace(sheet, vertices=moved)
    limit = max(config.threshold_mm, 1000 * config.threshold_share * float(sides.max()))
    marks = sheet.marks.copy()
    marks[:, DEFORMATION] = np.maximum(
        marks[:, DEFORMATION], np.linalg.norm(moved - sheet.vertices, axis=1) * 1000 / limit
    )
    after = replace(after, marks=marks)
    return Outcome(
        product=follow_wall(product, after, limit_m=limit / 1000, kind="deformation", bit=DEFORMATION),
        kind="deformation",
        generator="crush",
        parameters={"site": site, "push_mm": 1000 * push, "strength": strength, **_tool_parameters(tool)},
        measures=_measure(sheet, after, flow),
    )


def _kept_mesh(sheet: Sheet):
    used, inverse = np.unique(sheet.faces[~sheet.removed], return_inverse=True)
    return inverse.reshape(-1, 3), used


def _tool_parameters(tool: Plane | Capsule) -> dict[str, float]:
    if isinstance(tool, Plane):
        return {f"normal_{axis}": float(v) for axis, v in zip("xyz", tool.normal, strict=True)}
    return {
        "radius_mm": 1000 * tool.radius_m,
        "length_mm": 1000 * float(np.linalg.norm(tool.b - tool.a)),
        **{f"site_{axis}_mm": 1000 * float(v) for axis, v in zip("xyz", (tool.a + tool.b) / 2, strict=True)},
    }
