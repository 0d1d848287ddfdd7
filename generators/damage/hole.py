"""Hole: a puncture with petals, a cut-out, a row of perforations, a corner worn through. Yields ``penetration``."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...sim.rays import Caster, beyond, build_caster, cast, cast_mesh
from ...sim.scene import Part
from ..coarse import coarse_product
from ..cut import Patch, put_back, take_patch
from ..mesh import Sheet, boundary_half_edges, face_areas, face_normals, settle_sheet, vertex_normals
from ..piercing.forms import Form, Wall, flap, perforation, pierceable, puncture, slit, turned_out, window
from ..piercing.frayed import tear_fibres
from ..piercing.pattern import cut_pattern
from ..piercing.petals import bend_pattern, tangled_faces
from ..piercing.pierce import PENETRATION, Cutting, Pattern, Place, chart_of
from ..piercing.wearthrough import Worn, can_wear, draw_worn, wear_through
from ..products.product import Product
from .outcome import Outcome, UnsolvedError
from .subject import Subject, site_weight

CANDIDATES = 40
SMOOTH = 0.85
"""Cosine within which a wall's normals stay around a place that can be pierced."""
LEAST_REACH_M = 0.001
CROSSED_SHARE = 0.01
"""More petal faces than this share that go through one another are seen: such a hole is not kept."""
RAYS_ACROSS = 150


class HoleConfig(BaseModel):
    """How items are pierced. Strength scales the reach of the cuts; on small or curved walls they stay smaller."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_mm: tuple[float, float] = Field(
        default=(1.5, 18.0), description="reach of the cuts at strength near 0 and at 1"
    )
    forms: dict[Wall, dict[Form, float]] = Field(
        default={
            "board": {"puncture": 0.4, "slit": 0.1, "flap": 0.1, "window": 0.1, "perforation": 0.12, "wear": 0.18},
            "corrugate": {"puncture": 0.4, "slit": 0.14, "flap": 0.1, "window": 0.08, "perforation": 0.1, "wear": 0.18},
            "metal": {"puncture": 0.75, "perforation": 0.25},
            "plastic": {"puncture": 0.5, "slit": 0.18, "flap": 0.1, "window": 0.06, "perforation": 0.16},
            "film": {"puncture": 0.4, "slit": 0.2, "flap": 0.12, "window": 0.06, "perforation": 0.12, "wear": 0.1},
        },
        description="weights of each wall's forms: puncture, slit, flap, window, perforation, wear",
    )
    core_share: tuple[float, float] = Field(
        default=(0.25, 0.6), description="of punctures: radius of the missing core over the petals' roots"
    )
    slits: tuple[int, int] = Field(default=(3, 6), description="of punctures: number of slits")
    raggedness: float = Field(default=0.14, ge=0, le=0.5, description="relative roughness of torn rims")
    depth_share: tuple[float, float] = Field(
        default=(0.5, 1.4), description="how deep the tip of a puncture goes, over the reach"
    )
    threshold_mm: float = Field(default=0.5, gt=0, description="a point moved further than this is labelled")

    @model_validator(mode="after")
    def _possible(self) -> "HoleConfig":
        low, high = self.radius_mm
        if not 0.5 <= low <= high <= 60:
            raise ValueError(f"radius_mm is ({low:g}, {high:g}): give two rising numbers from 0.5 to 60")
        if not 0 < self.core_share[0] <= self.core_share[1] <= 0.9:
            raise ValueError(f"core_share is {self.core_share}: give two rising numbers above 0, up to 0.9")
        if not 3 <= self.slits[0] <= self.slits[1] <= 9:
            raise ValueError(f"slits is {self.slits}: give two rising whole numbers from 3 to 9")
        if not 0 <= self.depth_share[0] <= self.depth_share[1] <= 3:
            raise ValueError(f"depth_share is {self.depth_share}: give two rising numbers from 0 to 3")
        for wall, weights in self.forms.items():
            if min(weights.values(), default=-1) < 0 or sum(weights.values()) <= 0:
                raise ValueError(f"forms of {wall}: give weights of 0 or more, at least one above 0")
        return self


@dataclass(frozen=True)
class _Plan:
    """All that is drawn of a hole; strength only scales it."""

    sheet: int
    wall: Wall
    form: Form
    least: float
    most: float
    """Reach [m] at strength 0 and 1."""
    place: Place | None
    pattern: Pattern | None
    worn: Worn | None

    @property
    def site(self) -> Float[np.ndarray, "3"]:
        """Middle of the hole, pristine."""
        middle = self.place or self.worn
        assert middle is not None
        return middle.at


# ---- Where ----------------------------------------------------------------------------------------------------------


def _draw_sheet(subject: Subject, walls: dict[int, Wall], rng: np.random.Generator) -> int:
    """One of the walls, by area (near the mishap, if there was one)."""
    numbers = list(walls)
    weights = np.array([float(_face_weights(subject, subject.product.sheets[k]).sum()) for k in numbers])
    return numbers[int(rng.choice(len(numbers), p=weights / weights.sum()))]


def _face_weights(subject: Subject, sheet: Sheet) -> Float[np.ndarray, " f"]:
    areas = face_areas(sheet.rest, sheet.faces) * ~sheet.removed
    return areas * site_weight(subject, sheet.rest[sheet.faces].mean(axis=1))


def _taped(product: Product, sheet: Sheet) -> tuple[Bool[np.ndarray, " f"], Float[np.ndarray, "3"]] | None:
    """Faces of flaps that are taped down and the way their seam runs: where box cutters go."""
    for hinge in product.hinges:
        along = np.subtract(hinge.b, hinge.a).astype(float)
        if hinge.closed_by == "tape" and np.linalg.norm(along) > 0:
            panels = [k for k, name in enumerate(sheet.panels) if name in hinge.moves]
            if panels:
                return np.isin(sheet.panel, panels), along / np.linalg.norm(along)
    return None


def _surroundings(product: Product, number: int) -> Caster:
    """What a petal or a tool can meet: the wall itself and what is inside."""
    sheet = product.sheets[number]
    n = len(sheet.faces)
    wall = Part(
        name=sheet.name, vertices=sheet.vertices, faces=sheet.faces, uv=sheet.uv, normals=np.zeros((n, 3, 3)),
        materials=sheet.materials, material=sheet.material, surface=np.zeros(n, np.uint8),
        damage=np.zeros(n, np.uint8), item=sheet.item,
    )  # fmt: skip
    # Liquids and loose fillings give way.
    return build_caster((wall, *(part for part in product.contents if product.fill_ml <= 0 or part.item != sheet.item)))


def _free_radius(
    sheet: Sheet, normals: Float[np.ndarray, "v 3"], rim: Int[np.ndarray, " b"], at: Float[np.ndarray, "3"],
    normal: Float[np.ndarray, "3"],
) -> float:  # fmt: skip
    """As far as this from a point the wall neither turns away nor ends; walls that face the other way do not count."""
    cosine = normals @ normal
    bad = (cosine < SMOOTH) & (cosine > -0.3)
    bad[rim] = True
    away = np.sqrt(np.square(sheet.rest[bad] - at).sum(axis=1).min(initial=0.25))
    return float(away)


def _draw_place(subject: Subject, number: int, wanted: float, seam: tuple | None, rng: np.random.Generator) -> Place:
    """Draw places by area; take the first with enough smooth wall around, or else the one with the most."""
    sheet = subject.product.sheets[number]
    weights = _face_weights(subject, sheet) * (1.0 if seam is None else 1 + 9.0 * seam[0])
    drawn = rng.choice(len(weights), size=CANDIDATES, p=weights / weights.sum())
    share = rng.dirichlet([1.0, 1.0, 1.0], CANDIDATES)
    turn = rng.normal(size=3)
    normals = vertex_normals(sheet.rest, sheet.faces)
    rim = boundary_half_edges(sheet.faces[~sheet.removed])[0][:, 0]
    around = _surroundings(subject.product, number)
    best = None
    for face, weight in zip(drawn, share, strict=True):
        corners = sheet.faces[face]
        at, normal = weight @ sheet.rest[corners], weight @ normals[corners]
        normal /= np.linalg.norm(normal)
        free = _free_radius(sheet, normals, rim, at, normal)
        if best is not None and free <= best.free:
            continue
        now = face_normals(sheet.vertices, corners[None])[0]
        axes_now = _frame(now, turn)
        at_now = weight @ sheet.vertices[corners]
        outside = cast(around, (at_now + 4e-4 * axes_now[2])[None], axes_now[2:])
        if outside.distance[0] < 0.008:
            continue  # under a flap, a cap or a fold
        room = _room(around, sheet, at_now, axes_now, min(free, wanted))
        best = Place(at, _frame(normal, turn), at_now, axes_now, free, room)
        if free > 0.75 * wanted:
            break
    if best is None or best.free < 1.3 * LEAST_REACH_M:
        raise UnsolvedError(
            f"{subject.product.item_identifier}: no place of the {sheet.name} is smooth enough to pierce."
        )
    return best


def _frame(normal: Float[np.ndarray, "3"], turn: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    n = normal / np.linalg.norm(normal)
    u = np.cross(n, turn)
    u /= np.linalg.norm(u)
    return np.stack([u, np.cross(n, u), n])


def _room(
    around: Caster, sheet: Sheet, at: Float[np.ndarray, "3"], axes: Float[np.ndarray, "3 3"], reach: float
) -> float:
    """How far something can go in over most of a patch before it meets contents or the far wall [m]."""
    grid = np.linspace(-0.6, 0.6, 5) * reach
    a, b = np.meshgrid(grid, grid, indexing="ij")
    start = at + a.reshape(-1, 1) * axes[0] + b.reshape(-1, 1) * axes[1] + 5e-4 * axes[2]
    inward = np.repeat(-axes[2:], len(start), 0)
    wall = cast(around, start, inward)
    on = np.flatnonzero(np.isfinite(wall.distance))
    begin = beyond(around, wall.take(on), start[on], inward[on]) - (sheet.thickness_mm / 1000 + 1e-4) * axes[2]
    met = cast(around, begin, inward[on]).distance
    return float(0.85 * np.quantile(np.minimum(met, 0.3), 0.25))


# ---- What -----------------------------------------------------------------------------------------------------------


def _draw_plan(subject: Subject, config: HoleConfig, rng: np.random.Generator) -> _Plan:
    product, walls = subject.product, pierceable(subject.product)
    number = _draw_sheet(subject, walls, rng)
    sheet, wall = product.sheets[number], walls[number]
    otherwise: dict[Form, float] = {"puncture": 1.0}
    weights: dict[Form, float] = config.forms.get(wall, otherwise)
    if weights.get("wear", 0) and not can_wear(sheet):
        weights = {form: weight for form, weight in weights.items() if form != "wear"}
        weights = weights if sum(weights.values()) > 0 else otherwise
    chances = np.array(list(weights.values()))
    forms: list[Form] = list(weights)
    form = forms[int(rng.choice(len(chances), p=chances / chances.sum()))]
    low, high = (r / 1000 for r in config.radius_mm)
    if form == "wear":
        worn = draw_worn(subject, sheet, config.raggedness, rng)
        sides = np.ptp(sheet.rest, axis=0)
        most = min(0.65 * high, 0.12 * float(np.median(sides)))
        return _Plan(number, wall, form, min(0.65 * low, most), most, None, None, worn)
    seam = _taped(product, sheet) if form == "slit" else None
    place = _draw_place(subject, number, 1.2 * high, seam, rng)
    pattern = _draw_pattern(form, wall, config, place, seam, rng)
    scale = 1.5 if form == "slit" else 1.0
    most = min(scale * high, place.free / 1.15)
    if place.room < 0.3 * most and (wall == "film" or form == "flap"):
        pattern = turned_out(pattern)  # no way in: what was caught by the tool was pulled out again
    return _Plan(number, wall, form, min(low, most), most, place, pattern, None)


def _draw_pattern(
    form: Form, wall: Wall, config: HoleConfig, place: Place, seam: tuple | None, rng: np.random.Generator
) -> Pattern:
    if form == "puncture":
        core, slits = float(rng.uniform(*config.core_share)), int(rng.integers(config.slits[0], config.slits[1] + 1))
        depth = float(rng.uniform(*config.depth_share))
        return puncture(rng, wall, core=core, slits=slits, depth=depth, ragged=config.raggedness)
    if form == "slit":
        direction = None
        if seam is not None:
            flat = place.axes[:2] @ seam[1]
            direction = float(np.arctan2(flat[1], flat[0])) if np.linalg.norm(flat) > 0.5 else None
        return slit(rng, wall, direction)
    if form == "flap":
        return flap(rng, wall)
    if form == "window":
        return window(rng, wall)
    return perforation(rng, wall, ragged=config.raggedness)


# ---- How ------------------------------------------------------------------------------------------------------------


def _layers(product: Product, number: int, place: Place, radius: float) -> list[int]:
    """The wall, and what lies on it (a label, a film): a tool from outside goes through both."""
    found = [number]
    for k, sheet in enumerate(product.sheets):
        if k == number or sheet.item != product.sheets[number].item:
            continue
        flat = chart_of(sheet, place, radius + sheet.mechanics.spacing_mm / 1000)
        height = (sheet.rest - place.at) @ place.normal
        if ((flat[:, 0] < 1) & (height > -2e-4) & (height < 0.004)).any():
            found.append(k)
    return found


def _patch(sheet: Sheet, at: Float[np.ndarray, "3"], radius: float) -> Patch:
    """The finished surface around a place: cuts are finer than the mesh that is simulated."""
    settled = settle_sheet(sheet)
    near = np.square(settled.rest - at).sum(axis=1) < radius**2
    return take_patch(settled, near[settled.faces].any(axis=1))


def _source(source: Int[np.ndarray, " v"], before: int, after: int) -> Int[np.ndarray, " w"]:
    """Vertices of the untouched patch, -1 for new ones (those that later cuts add come last)."""
    return np.concatenate([np.where(source < before, source, -1), np.full(after - len(source), -1)])


def _pierce(sheet: Sheet, cutting: Cutting, place: Place, config: HoleConfig) -> tuple[Sheet, Sheet, float]:
    """Cut and bend one sheet; returns it, the patch around the hole, and how far it moved at most [m]."""
    patch = _patch(sheet, place.at, 3 * cutting.reach * max(1.0, cutting.pattern.extent))
    cut, source = cut_pattern(patch.sheet, cutting, place)
    cut = tear_fibres(cut, cutting, place)
    done, far = _move(cut, bend_pattern(cut, cutting, place), config)
    return put_back(patch, done, _source(source, len(patch.used), len(done.vertices))), done, far


def _wear(sheet: Sheet, worn: Worn, reach: float, config: HoleConfig, *, fibrous: bool) -> tuple[Sheet, float, float]:
    """Wear one sheet through; returns it, the missing area [m²], and how far it moved at most [m]."""
    patch = _patch(sheet, worn.at, 3 * worn.stretch * reach)
    cut, source, moved, area = wear_through(patch.sheet, worn, reach, fibrous=fibrous)
    done, far = _move(cut, moved, config)
    return put_back(patch, done, _source(source, len(patch.used), len(done.vertices))), area, far


def _move(sheet: Sheet, moved: Float[np.ndarray, "v 3"], config: HoleConfig) -> tuple[Sheet, float]:
    far = np.linalg.norm(moved, axis=1)
    marks = sheet.marks.copy()
    marks[:, PENETRATION] = np.maximum(marks[:, PENETRATION], 1000 * far / config.threshold_mm)
    done = replace(sheet, vertices=sheet.vertices + moved, marks=marks)
    bent = (far[sheet.faces] > 2e-5).any(axis=1) & ~sheet.removed
    if bent.sum() > 8:
        crossed = tangled_faces(done.vertices, done.rest, done.faces[bent])
        if crossed.mean() > CROSSED_SHARE:
            raise UnsolvedError(f"hole: {crossed.mean():.0%} of the petals' faces go through one another.")
    return done, float(far.max(initial=0.0))


def open_area_mm2(sheets: tuple[Sheet, ...], place: Place, radius: float, *, rays_across: int = RAYS_ACROSS) -> float:
    """Area through which parallel rays along the inward normal pass the walls near the hole."""
    grid = (np.arange(rays_across) + 0.5) / rays_across * 2 * radius - radius
    a, b = np.meshgrid(grid, grid, indexing="ij")
    u, v, n = place.axes_now
    start = place.at_now + a.reshape(-1, 1) * u + b.reshape(-1, 1) * v + 2.5 * radius * n
    vertices, faces, first = [], [], 0
    for sheet in sheets:
        near = (chart_of(sheet, place, 3 * radius)[sheet.faces, 0] < 1).all(axis=1) & ~sheet.removed
        vertices.append(sheet.vertices)
        faces.append(sheet.faces[near] + first)
        first += len(sheet.vertices)
    hit = cast_mesh(np.concatenate(vertices), np.concatenate(faces), start, np.repeat(-n[None], len(start), 0))
    return float((~hit).mean() * (2000 * radius) ** 2)


def hole_applies(product: Product) -> bool:
    """Board, film, metal and soft plastic are pierced; glass and glaze break instead, steel and hard shells hold."""
    return bool(pierceable(product))


def hole(subject: Subject, config: HoleConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Pierce one of a package's walls, and what lies on it; strength 0 is the identity."""
    product = subject.product
    plan = _draw_plan(replace(subject, product=coarse_product(product)), config, rng)
    reach = plan.least + strength * (plan.most - plan.least)
    sheets, area, depth, count = list(product.sheets), 0.0, 0.0, 0
    if strength > 0 and plan.worn is not None:
        fibrous = plan.wall in ("board", "corrugate")
        sheets[plan.sheet], lost, depth = _wear(sheets[plan.sheet], plan.worn, reach, config, fibrous=fibrous)
        area, count = 1e6 * lost, 1
    elif strength > 0 and plan.place is not None and plan.pattern is not None:
        cutting = Cutting(plan.pattern, reach)
        layers = _layers(product, plan.sheet, plan.place, 1.1 * reach)
        around: list[Sheet] = []
        for k in layers:
            sheets[k], done, far = _pierce(sheets[k], cutting, plan.place, config)
            around.append(done)
            depth = max(depth, far)
        radius = 1.15 * reach * plan.pattern.extent
        area, count = open_area_mm2(tuple(around), plan.place, radius), plan.pattern.count
    return Outcome(
        product=replace(product, sheets=tuple(sheets)),
        kind="penetration",
        generator="hole",
        parameters={
            "form": plan.form,
            "wall": product.sheets[plan.sheet].name,
            "reach_mm": 1000 * reach * (plan.worn.stretch if plan.worn is not None else 1.0),
            "strength": strength,
            **{f"site_{n}_mm": 1000 * float(v) for n, v in zip("xyz", plan.site, strict=True)},
        },
        measures={
            "area_mm2": area,
            "diameter_mm": 2 * float(np.sqrt(area / max(count, 1) / np.pi)),
            "depth_mm": 1000 * depth,
            "count": count,
        },
        site=plan.site,
    )
