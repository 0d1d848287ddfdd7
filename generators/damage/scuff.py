"""Scuff: scratches, worn edges, dirt, stains, lifted labels, rust. Yields ``superficial``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...sim.errors import DamagelandError
from ..coarse import coarse_product, face_at
from ..mesh import Sheet, face_areas
from ..products.product import Product
from ..soiling.dirt import (
    belt_sketch,
    drops_sketch,
    grime_sketch,
    ink_sketch,
    oil_sketch,
    ring_sketch,
    smear_sketch,
    tide_sketch,
    tread_sketch,
)
from ..soiling.flatten import Wall, cut_patch, make_wall
from ..soiling.labels import is_label, lift_label, wrinkle_label
from ..soiling.layers import Sketch
from ..soiling.overpaint import SUPERFICIAL, Stroke, spoil_sheet
from ..soiling.places import Place, make_spot, nearest_corner, nearest_edge, point_of_face
from ..soiling.rust import rust_sketch
from ..soiling.scratches import rub_sketch, scratch_sketch, worn_corner_sketch, worn_edge_sketch
from ..soiling.solid import as_part, as_sheet, exposed_parts, welded
from ..soiling.stuff import Stock, Stuff, find_stock, look_under, rusts, spoilable
from .outcome import Outcome
from .subject import Subject, site_weight

Form = Literal["scratch", "abrasion", "dirt", "stain", "label", "rust"]
FORMS: tuple[Form, ...] = get_args(Form)
Draw = Callable[[float, Stuff, np.random.Generator], Sketch]

LIKELY: dict[Stock, dict[Form, float]] = {
    "board": {"scratch": 1.0, "abrasion": 1.2, "dirt": 1.0, "stain": 0.9},
    "kraft": {"scratch": 0.6, "abrasion": 0.9, "dirt": 1.3, "stain": 1.2},
    "paper": {"scratch": 0.8, "abrasion": 0.7, "dirt": 0.8, "stain": 1.0, "label": 2.0},
    "film": {"scratch": 1.0, "abrasion": 0.4, "dirt": 1.2, "stain": 0.3},
    "metal": {"scratch": 1.2, "abrasion": 0.3, "dirt": 0.7, "stain": 0.3},
    "tinplate": {"scratch": 0.8, "abrasion": 0.2, "dirt": 0.4, "stain": 0.2, "rust": 2.2},
    "plastic": {"scratch": 1.3, "abrasion": 0.4, "dirt": 0.8, "stain": 0.3},
    "glaze": {"scratch": 0.5, "dirt": 1.0, "stain": 0.8},
}
"""How often a surface is spoilt in each way, beside the config's weights; what is missing does not happen to it."""

DIRTS: dict[str, tuple[Draw, float]] = {
    "smear": (smear_sketch, 1.2),
    "tread": (tread_sketch, 0.7),
    "belt": (belt_sketch, 1.0),
    "grime": (grime_sketch, 1.0),
    "oil": (oil_sketch, 0.6),
}
STAINS: dict[str, tuple[Draw, float]] = {
    "drops": (drops_sketch, 1.0),
    "ring": (ring_sketch, 0.6),
    "tide": (tide_sketch, 1.0),
    "ink": (ink_sketch, 0.4),
}


class ScuffConfig(BaseModel):
    """How surfaces are spoilt. Strength scales the spoilt area, a bundle's length, or how far a label is lifted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    forms: dict[Form, float] = Field(
        default=dict.fromkeys(FORMS, 1.0),
        description="how often each form is drawn: scratch, abrasion, dirt, stain, label, rust; "
        "times how often it happens to the material, 0 where it cannot",
    )
    area_mm2: tuple[float, float] = Field(
        default=(25.0, 9000.0), description="spoilt area aimed at, at strength 0 and 1; between, its logarithm is even"
    )
    most_share: float = Field(default=0.35, gt=0, le=1, description="share of the walls that is spoilt at most")
    spots: tuple[int, int] = Field(default=(1, 3), description="places that are spoilt")
    scratches_mm: tuple[float, float] = Field(
        default=(12.0, 1600.0), description="length of all scratches together, at strength 0 and 1"
    )
    scratch_mm: tuple[float, float] = Field(default=(10.0, 150.0), description="length of one scratch")
    width_mm: tuple[float, float] = Field(default=(0.1, 1.5), description="width of a scratch")
    peel_mm: tuple[float, float] = Field(
        default=(4.0, 45.0), description="how far a label has come off, at strength 0 and 1"
    )
    curl_mm: tuple[float, float] = Field(default=(5.0, 30.0), description="radius to which a lifted label curls")
    wrinkle_mm: tuple[float, float] = Field(
        default=(0.5, 2.8), description="height of a label's wrinkles, at strength 0 and 1"
    )

    @model_validator(mode="after")
    def _can_be_done(self) -> "ScuffConfig":
        if min(self.forms.values(), default=0) < 0 or not sum(self.forms.values()) > 0:
            raise ValueError(f"`forms` is {self.forms}: give at least one of {', '.join(FORMS)} a weight above 0")
        least = {"spots": 1, "width_mm": 0.05, "scratch_mm": 1, "scratches_mm": 1, "area_mm2": 1, "curl_mm": 2}
        most = {"spots": 5, "width_mm": 5, "scratch_mm": 400, "area_mm2": 1e6, "wrinkle_mm": 3}
        for name in ("area_mm2", "spots", "scratches_mm", "scratch_mm", "width_mm", "peel_mm", "curl_mm", "wrinkle_mm"):
            low, high = getattr(self, name)
            if not least.get(name, 0.01) <= low <= high <= most.get(name, 1e4):
                raise ValueError(
                    f"`{name}` is ({low:g}, {high:g}): give {least.get(name, 0.01):g} to {most.get(name, 1e4):g}, "
                    "the smaller number first"
                )
        return self


# ---- Where ----------------------------------------------------------------------------------------------------------


def _walls(product: Product) -> dict[int, Sheet]:
    """Sheets of the package that can be spoilt, and behind them, numbered on, lids and open units of its contents."""
    mine, count = product.sheets[0].item, len(product.sheets)
    walls = {k: s for k, s in enumerate(product.sheets) if s.item == mine}
    walls |= {count + k: as_sheet(part) for k, part in exposed_parts(product).items()}
    return {k: s for k, s in walls.items() if spoilable(s).any()}


def _put_back(product: Product, k: int, sheet: Sheet) -> Product:
    """A product with one of its walls spoilt."""
    at, sheets, contents = k - len(product.sheets), list(product.sheets), list(product.contents)
    if at < 0:
        sheets[k] = sheet
        return replace(product, sheets=tuple(sheets))
    contents[at] = as_part(contents[at], sheet)
    return replace(product, contents=tuple(contents))


def scuff_applies(product: Product) -> bool:
    """Whether a wall of the package is printed, painted or bare: clear film and glass show neither stain nor rub."""
    return bool(_walls(product))


def _chances(sheet: Sheet, k: int, forms: Mapping[Form, float]) -> dict[Form, float]:
    """How likely each form is on a material of a sheet."""
    likely = LIKELY[find_stock(sheet, k)]
    out: dict[Form, float] = {form: forms.get(form, 0.0) * likely.get(form, 0.0) for form in FORMS}
    if not is_label(sheet):
        out["label"] = 0.0
    if not rusts(sheet.materials[k]):
        out["rust"] = 0.0
    return out


def _weights(subject: Subject, sheet: Sheet, config: ScuffConfig) -> Float[np.ndarray, " f"]:
    """By area, where anything can happen at all."""
    can = [sum(_chances(sheet, k, config.forms).values()) > 0 for k in range(len(sheet.materials))]
    area = face_areas(sheet.rest, sheet.faces) * spoilable(sheet) * np.array(can)[sheet.material]
    return area * site_weight(subject, sheet.rest[sheet.faces].mean(axis=1))


def _open_to(sheet: Sheet, form: Form, config: ScuffConfig) -> Bool[np.ndarray, " f"]:
    """Faces to which a form happens: rust stops at a paper label."""
    can = [_chances(sheet, k, config.forms)[form] > 0 for k in range(len(sheet.materials))]
    return spoilable(sheet) & np.array(can)[sheet.material]


def _draw_places(subject: Subject, config: ScuffConfig, count: int, rng: np.random.Generator) -> list[Place]:
    finest = subject.product
    subject = replace(subject, product=coarse_product(finest))
    walls = _walls(subject.product)
    weights = {k: _weights(subject, sheet, config) for k, sheet in walls.items()}
    total = sum(float(w.sum()) for w in weights.values())
    if not total > 0:
        chances = [
            _chances(s, int(k), dict.fromkeys(FORMS, 1.0)) for s in walls.values() for k in np.unique(s.material)
        ]
        fit = sorted({form for some in chances for form, chance in some.items() if chance > 0})
        raise DamagelandError(
            f"{subject.product.item_identifier}: scuff's `forms` has nothing that happens to this "
            f"{subject.product.family}. Give one of these a weight: {', '.join(fit)}."
        )
    places = []
    for share in rng.random(count):
        left = share * total
        for k, weight in weights.items():
            if left < weight.sum() or k == list(weights)[-1]:
                cum = np.cumsum(weight)
                face = int(min(np.searchsorted(cum, left, side="right"), np.flatnonzero(weight)[-1]))
                rest = np.clip((left - cum[face]) / weight[face] + 1, 0, 1 - 1e-9)
                at = point_of_face(walls[k].rest[walls[k].faces[face]], float(rest))
                drawn = finest.sheets[k] if k < len(finest.sheets) else walls[k]
                places.append(Place(k, face_at(drawn, walls[k], face, at), at))
                break
            left -= float(weight.sum())
    return places


def _wall(sheet: Sheet, thin: bool, form: Form, config: ScuffConfig) -> Wall:
    usable = _open_to(sheet, form, config)
    return make_wall(sheet if thin else welded(sheet), usable)


# ---- What -----------------------------------------------------------------------------------------------------------


def _pick(table: Mapping[str, float], rng: np.random.Generator) -> str:
    weights = np.array(list(table.values()))
    return list(table)[int(rng.choice(len(weights), p=weights / weights.sum()))]


@dataclass(frozen=True)
class _Job:
    """One spot's damage: all that is drawn for it, whatever the strength."""

    place: Place
    kind: str
    turn_rad: float
    share: float
    """Of the whole amount."""
    seed: int


def _abrasion(wall: Wall, place: Place, rng: np.random.Generator) -> tuple[str, int, Float[np.ndarray, "3"]]:
    """Rubbed edges and corners most of all; a patch where there are none."""
    kind = _pick({"worn_edge": 0.45, "worn_corner": 0.25, "rub": 0.3}, rng)
    found = {"worn_edge": nearest_edge, "worn_corner": nearest_corner}.get(kind, lambda w, p: None)(wall, place)
    return (kind, *found) if found is not None else ("rub", place.face, place.at)


def _sketch(job: _Job, amount: float, stuff: Stuff, config: ScuffConfig) -> Sketch:
    rng = np.random.default_rng(job.seed)
    if job.kind == "scratch":
        return scratch_sketch(job.share * amount, config.scratch_mm, config.width_mm, stuff, rng)
    draws: dict[str, Draw] = {name: draw for name, (draw, _) in (DIRTS | STAINS).items()}
    draws |= {"worn_edge": worn_edge_sketch, "worn_corner": worn_corner_sketch, "rub": rub_sketch, "rust": rust_sketch}
    return draws[job.kind](job.share * amount, stuff, rng)


def _jobs(form: Form, walls: Mapping[int, Wall], places: list[Place], rng: np.random.Generator) -> list[_Job]:
    """One kind of dirt or stain for all spots; each spot with its own share and seed."""
    stuff = find_stock(walls[places[0].wall].sheet, _material(walls, places[0]))
    table = {"dirt": DIRTS, "stain": STAINS}.get(form, {})
    weights = {name: weight for name, (_, weight) in table.items()}
    if stuff not in ("board", "kraft", "paper"):
        weights.pop("tide", None)  # what does not soak has no front
    if stuff not in ("board", "kraft", "paper", "film"):
        weights.pop("tread", None)  # nobody steps onto a can or a cup and leaves it whole
    kind = _pick(weights, rng) if weights else form
    shares = np.sort(rng.dirichlet(np.ones(len(places))))[::-1]
    jobs = []
    for place, share in zip(places, shares, strict=True):
        turn = float(rng.choice([0, np.pi / 2, np.pi, -np.pi / 2]) + rng.normal(0, 0.25))
        if rng.random() < 0.4:
            turn = float(rng.uniform(0, 2 * np.pi))
        mine, face, at = kind, place.face, place.at
        if form == "abrasion":
            mine, face, at = _abrasion(walls[place.wall], place, rng)
        if form == "rust":
            turn = 0.0
        jobs.append(_Job(replace(place, face=face, at=at), mine, turn, float(share), int(rng.integers(2**62))))
    return jobs


def _material(walls: Mapping[int, Wall], place: Place) -> int:
    return int(walls[place.wall].sheet.material[place.face])


def _stroke(wall: Wall, job: _Job, amount: float, config: ScuffConfig) -> Stroke:
    middle = wall.sheet.rest[wall.sheet.faces].mean(axis=1)
    near = np.flatnonzero(wall.usable & (np.square(middle - job.place.at).sum(axis=1) < 0.015**2))
    stuff = look_under(wall.sheet, int(wall.sheet.material[job.place.face]), near)
    sketch = _sketch(job, amount, stuff, config)
    spot = make_spot(wall, job.place.face, job.place.at, job.turn_rad)
    patch = cut_patch(wall, spot, sketch.half_mm, sketch.px_per_mm, clings=sketch.clings)
    return Stroke(patch, sketch, sketch.draw(patch.canvas))


def _length_mm(stroke: Stroke) -> float:
    """Length of the scratches that lie on the wall."""
    canvas, total = stroke.patch.canvas, 0.0
    height, width = canvas.shape
    for line in stroke.sketch.lines_mm:
        middle = (line[1:] + line[:-1]) / 2
        x = np.clip(((middle[:, 0] + canvas.half_mm[0]) * canvas.px_per_mm).astype(int), 0, width - 1)
        y = np.clip(((canvas.half_mm[1] - middle[:, 1]) * canvas.px_per_mm).astype(int), 0, height - 1)
        steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
        total += float(steps[canvas.contact[y, x] > 0.3].sum())
    return total


# ---- All of it ------------------------------------------------------------------------------------------------------


def _amount(form: Form, config: ScuffConfig, strength: float, wall_mm2: float) -> float:
    """Length [mm] of scratches or area [mm²] of anything else that a strength stands for."""
    low, high = config.scratches_mm if form == "scratch" else config.area_mm2
    amount = low * (high / low) ** strength
    return amount if form == "scratch" else min(amount, config.most_share * wall_mm2)


def _paint_all(
    product: Product, walls: Mapping[int, Wall], jobs: list[_Job], amount: float, config: ScuffConfig
) -> tuple[Product, dict[str, float]]:
    measures = {"area_mm2": 0.0, "length_mm": 0.0}
    for k, wall in walls.items():
        strokes = [_stroke(wall, job, amount, config) for job in jobs if job.place.wall == k]
        if not strokes:
            continue
        sheet, area = spoil_sheet(wall.sheet, strokes)
        product = _put_back(product, k, sheet)
        measures["area_mm2"] += area
        measures["length_mm"] += sum(_length_mm(stroke) for stroke in strokes)
    return product, measures


def _mend_label(
    product: Product, k: int, config: ScuffConfig, strength: float, rng: np.random.Generator
) -> tuple[Product, dict[str, float], str]:
    kind = "peel" if rng.random() < 0.6 else "wrinkle"
    if kind == "peel":
        sheet, measures = lift_label(product.sheets[k], config.peel_mm, config.curl_mm, strength, rng)
    else:
        sheet, measures = wrinkle_label(product.sheets[k], config.wrinkle_mm, strength, rng)
    return _put_back(product, k, sheet), measures, kind


def scuff(subject: Subject, config: ScuffConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Spoil the surface of a product's walls; strength 0 is the identity."""
    product = subject.product
    sheets = _walls(product)
    places = _draw_places(subject, config, int(rng.integers(config.spots[0], config.spots[1] + 1)), rng)
    first = places[0]
    sheet = sheets[first.wall]
    chances = _chances(sheet, int(sheet.material[first.face]), config.forms)
    form: Form = _pick(chances, rng)  # type: ignore[assignment]
    measures = {"area_mm2": 0.0, "length_mm": 0.0, "peel_mm": 0.0}
    parameters: dict[str, Any] = {"form": form, "strength": strength}
    at = first.at
    if form == "label":
        if strength > 0:
            product, found, parameters["way"] = _mend_label(product, first.wall, config, strength, rng)
            measures |= found
    else:
        # All spots are of one making: those on materials to which it does not happen fall away.
        places = [
            p for p in places if _chances(sheets[p.wall], int(sheets[p.wall].material[p.face]), config.forms)[form] > 0
        ]
        mine = {p.wall for p in places}
        walls = {k: _wall(sheets[k], k < len(product.sheets), form, config) for k in sorted(mine)}
        jobs = _jobs(form, walls, places, rng)
        wall_mm2 = 1e6 * sum(float((face_areas(s.rest, s.faces) * spoilable(s)).sum()) for s in sheets.values())
        amount, at = _amount(form, config, strength, wall_mm2), jobs[0].place.at
        parameters |= {"way": jobs[0].kind, "spots": len(jobs)}
        parameters["total_mm" if form == "scratch" else "aimed_mm2"] = amount
        if strength > 0:
            product, found = _paint_all(product, walls, jobs, amount, config)
            measures |= found
    assert product is not subject.product or strength == 0
    return Outcome(product, "superficial", "scuff", parameters, measures, at)


__all__ = ["SUPERFICIAL", "ScuffConfig", "scuff", "scuff_applies"]
