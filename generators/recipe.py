"""A recipe: what a data set consists of. ``compose`` makes one scene of it, ``render_shard`` one shard."""

import hashlib
import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..sim.batch import capture_done
from ..sim.booth import Booth, BoothSpec, Range, draw_booth, read_booth
from ..sim.capture import Capture, Damage, Severity, View
from ..sim.errors import DamagelandError
from ..sim.preview import preview_colour
from ..sim.scene import KINDS, SURFACES, Part, Scene, transform_part
from ..sim.seed import generator_for
from ..sim.sensor import meter_exposure, record_colour, record_depth
from ..sim.shards import shard_path, write_shard
from ..sim.truth import Truth, trace_truth
from ..sim.yamlfile import parse_mapping, read_yaml
from .damage.outcome import Outcome, SeverityRules, judge_severity
from .damage.table import DAMAGES
from .mesh import face_areas, finish_sheet
from .products.catalogue import FAMILIES
from .products.product import Product

ASSETS = Path(__file__).resolve().parents[1] / "assets"
VISIBLE_PIXELS, VISIBLE_SHARE = 12, 0.04
"""A damage counts as seen by a camera from this many pixels and this share of its area on."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProductSpec(_Spec):
    """Products of one family."""

    family: str = Field(description="packaging family: one of the catalogue's")
    count: int = Field(ge=1, le=1_000_000, description="different products")
    weight: float = Field(default=1.0, gt=0, description="how often this family is captured")
    config: dict[str, Any] = Field(default={}, description="changes to the family's ranges")

    @field_validator("family")
    @classmethod
    def _known_family(cls, value: str) -> str:
        return _one_of(value, FAMILIES)

    @model_validator(mode="after")
    def _known_config(self) -> "ProductSpec":
        _check_config(self.config, FAMILIES[self.family][0], self.family)
        return self


class DamageSpec(_Spec):
    """How often and how hard one generator strikes."""

    generator: str = Field(description="damage generator: one of the table's")
    weight: float = Field(default=1.0, gt=0)
    strength: Range = Field(
        default=(0.2, 1.0), description="0 is nothing, 1 the most; [low, high] is drawn from uniformly"
    )
    config: dict[str, Any] = Field(default={}, description="changes to the generator's ranges")

    @field_validator("generator")
    @classmethod
    def _known_generator(cls, value: str) -> str:
        return _one_of(value, DAMAGES)

    @field_validator("strength")
    @classmethod
    def _share(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= value[1] <= 1:
            raise ValueError("strength lies between 0 and 1")
        return value

    @model_validator(mode="after")
    def _known_config(self) -> "DamageSpec":
        _check_config(self.config, DAMAGES[self.generator][0], self.generator)
        return self


def _one_of(value: str, table: Mapping[str, Any]) -> str:
    if value not in table:
        raise ValueError(f"expected one of {', '.join(sorted(table))}")
    return value


def _check_config(config: dict[str, Any], model: type[BaseModel], name: str) -> None:
    try:
        parse_mapping(config, model, f"config of {name}")
    except DamagelandError as error:
        raise ValueError(str(error)) from None


class Recipe(_Spec):
    """Everything that a data set depends on."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="prefix of every capture id")
    seed: int = Field(default=0, ge=0, description="all randomness flows from it")
    captures: int = Field(ge=1, le=100_000_000, description="captures, not counting twins and galleries")
    damaged_share: float = Field(default=0.5, ge=0, le=1)
    gallery: int = Field(default=1, ge=0, le=20, description="pristine reference captures per product")
    shard_size: int = Field(default=10, ge=1, le=10_000, description="captures (with their twins) per shard")
    cycles_share: float = Field(
        default=0.0, ge=0, le=1, description="share rendered photoreal; the rest by the fast preview"
    )
    cycles_samples: int = Field(default=16, ge=1, le=4096)
    preview_samples: int = Field(default=4, ge=1, le=1024)
    validation_share: float = Field(default=0.15, ge=0, lt=1, description="share of products, fixed by a hash of each")
    test_share: float = Field(default=0.2, ge=0, lt=1)
    booth: str = Field(default="demo", description="name of a booth in assets/booths, or path of a YAML file")
    products: tuple[ProductSpec, ...] = Field(min_length=1)
    damages: tuple[DamageSpec, ...] = Field(min_length=1)
    severity: SeverityRules = SeverityRules()


@dataclass(frozen=True)
class Plan:
    """A recipe with its booth: all that a worker needs to make a shard."""

    recipe: Recipe
    booth: BoothSpec
    lock: str
    """Text of recipe.lock.yaml; its hash names the data set."""

    @property
    def recipe_hash(self) -> str:
        """First 16 hex digits of the lock's SHA-256."""
        return hashlib.sha256(self.lock.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Composed:
    """One unit of a recipe before it is captured: the item, its twin, and what was done to it."""

    capture_id: str
    index: int
    product: Product
    scene: Scene
    twin: Scene | None
    """The pristine scene of a damaged item; None for a pristine one."""
    outcomes: tuple[Outcome, ...]
    booth: Booth
    reference: bool


def read_plan(path: Path) -> Plan:
    """Read a recipe and its booth."""
    recipe = read_yaml(path, Recipe)
    named = ASSETS / "booths" / f"{recipe.booth}.yaml"
    booth_path = named if named.is_file() else path.parent / recipe.booth
    if not booth_path.is_file():
        known = ", ".join(sorted(p.stem for p in (ASSETS / "booths").glob("*.yaml")))
        raise DamagelandError(
            f"{path}: booth {recipe.booth!r} is neither in assets/booths ({known}) nor a file beside the recipe."
        )
    return make_plan(recipe, read_booth(booth_path))


def make_plan(recipe: Recipe, booth: BoothSpec) -> Plan:
    """Join a recipe and a booth; the lock holds both in full, so that a changed default is a changed recipe."""
    full = {
        "name": recipe.name,
        "damageland": importlib.metadata.version("damageland"),
        "recipe": recipe.model_dump(mode="json"),
        "booth": booth.model_dump(mode="json"),
    }
    return Plan(recipe, booth, yaml.safe_dump(full, sort_keys=False, allow_unicode=True))


def _product_keys(recipe: Recipe) -> list[tuple[ProductSpec, str]]:
    """Every product of the recipe as (its spec, its identifier)."""
    return [(spec, f"{recipe.name}-{spec.family}-{k:05d}") for spec in recipe.products for k in range(spec.count)]


def build_product(recipe: Recipe, spec: ProductSpec, identifier: str) -> Product:
    """Build a product; it depends on the seed and its identifier alone."""
    config, build = FAMILIES[spec.family]
    number = int(identifier.rsplit("-", 1)[1])
    rng = generator_for(recipe.seed, number, f"product {spec.family}")
    return build(identifier, parse_mapping(spec.config, config, spec.family), rng)


def split_of(recipe: Recipe, identifier: str) -> str:
    """Split of a product, from a hash of its identifier: growing a data set never moves a product."""
    share = int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:8], "big") / 2**64
    if share < recipe.test_share:
        return "test"
    return "validation" if share < recipe.test_share + recipe.validation_share else "train"


def unit_count(recipe: Recipe) -> int:
    """Units to render: gallery captures, then queries (each with its twin)."""
    return len(_product_keys(recipe)) * recipe.gallery + recipe.captures


def shard_count(recipe: Recipe) -> int:
    """Shards of the data set."""
    return -(-unit_count(recipe) // recipe.shard_size)


def _draw_pose(product: Product, rng: np.random.Generator) -> Float[np.ndarray, "4 4"]:
    """How the item stands: a box on any of its sides, what is round upright; turned and shifted at random."""
    tip = np.eye(3)
    if product.shape == "box":
        axis = int(rng.integers(3))
        tip = np.roll(np.eye(3), axis, axis=1) if axis else tip
    turn = rng.uniform(0, 2 * np.pi)
    spin = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    T = np.eye(4)
    T[:3, :3] = spin @ tip
    T[:2, 3] = rng.uniform(-0.015, 0.015, 2)
    return T


def _finish(product: Product) -> Scene:
    """Finish a product's sheets, in its item frame."""
    finished = [finish_sheet(sheet) for sheet in product.sheets]
    gone = tuple(lost for _, lost in finished if lost is not None)
    return Scene((*(part for part, _ in finished), *product.contents), gone)


def _stand(item: Scene, pose: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """Complete a pose so that the item stands on the tray with its middle at the drawn place."""
    points = np.concatenate([part.vertices for part in item.parts]) @ pose[:3, :3].T
    low, high = points.min(axis=0), points.max(axis=0)
    T = pose.copy()
    T[:3, 3] = [*(pose[:2, 3] - (low + high)[:2] / 2), -low[2]]
    return T


def _place(item: Scene, T_world_item: Float[np.ndarray, "4 4"]) -> Scene:
    parts, gone = ((tuple(transform_part(part, T_world_item) for part in group)) for group in (item.parts, item.gone))
    return Scene(parts, gone)


def _draw_damage(recipe: Recipe, product: Product, index: int) -> Outcome:
    rng = generator_for(recipe.seed, index, "damage")
    weights = np.array([d.weight for d in recipe.damages])
    spec = recipe.damages[int(rng.choice(len(weights), p=weights / weights.sum()))]
    config, apply = DAMAGES[spec.generator]
    strength = float(rng.uniform(*spec.strength))
    return apply(product, parse_mapping(spec.config, config, spec.generator), strength, rng)


def compose(plan: Plan, index: int) -> Composed:
    """Make unit ``index`` of a recipe. Pose, camera and light are drawn before damage and apart from it."""
    recipe = plan.recipe
    keys = _product_keys(recipe)
    gallery = len(keys) * recipe.gallery
    if index < gallery:
        spec, identifier = keys[index // recipe.gallery]
        capture_id = f"{identifier}-ref{index % recipe.gallery}"
    else:
        spec, identifier = _draw_product(recipe, keys, index)
        capture_id = f"{recipe.name}-{index - gallery:06d}"
    product = build_product(recipe, spec, identifier)
    item = _finish(product)
    # A damaged item stays where its twin stands: the pristine item's extent places both.
    pose = _stand(item, _draw_pose(product, generator_for(recipe.seed, index, "pose")))
    booth = draw_booth(plan.booth, generator_for(recipe.seed, index, "booth"))
    pristine = _place(item, pose)
    damaged = index >= gallery and generator_for(recipe.seed, index, "label").random() < recipe.damaged_share
    if not damaged:
        return Composed(capture_id, index, product, pristine, None, (), booth, index < gallery)
    outcome = _draw_damage(recipe, product, index)
    return Composed(
        capture_id, index, product, _place(_finish(outcome.product), pose), pristine, (outcome,), booth, False
    )


def _draw_product(recipe: Recipe, keys: list[tuple[ProductSpec, str]], index: int) -> tuple[ProductSpec, str]:
    rng = generator_for(recipe.seed, index, "product choice")
    weights = np.array([spec.weight / spec.count for spec, _ in keys])
    return keys[int(rng.choice(len(keys), p=weights / weights.sum()))]


def _renderer(recipe: Recipe, index: int) -> str:
    drawn = generator_for(recipe.seed, index, "renderer").random()
    return "cycles" if drawn < recipe.cycles_share else "preview"


def _colour(scenes: Sequence[Scene], booth: Booth, recipe: Recipe, index: int):
    seed = int(generator_for(recipe.seed, index, "samples").integers(2**31 - 1))
    if _renderer(recipe, index) == "preview":
        return preview_colour(scenes, booth, samples=recipe.preview_samples, seed=seed)
    from ..sim.cycles import cycles_colour  # Blender is loaded only where it is used

    return cycles_colour(scenes, booth, samples=recipe.cycles_samples, seed=seed)


def shoot(plan: Plan, composed: Composed) -> list[Capture]:
    """Capture a composed unit: the item, and its twin if it has one, with the same exposure and the same noise."""
    scenes = [composed.scene] + ([composed.twin] if composed.twin else [])
    colours = _colour(scenes, composed.booth, plan.recipe, composed.index)
    gains = {c.name: meter_exposure(colours[-1][c.name], c) for c in composed.booth.cameras}
    captures = []
    for scene, colour in zip(scenes, colours, strict=True):
        truth = trace_truth(scene, composed.booth)
        views = _record(plan.recipe, composed, colour, truth, gains)
        captures.append(_label(plan, composed, scene, truth, views, is_twin=scene is composed.twin))
    return captures


def _record(recipe: Recipe, composed: Composed, colour, truth: dict[str, Truth], gains) -> tuple[View, ...]:
    views = []
    for camera in composed.booth.cameras:
        name, exact = camera.name, truth[camera.name]
        # Twins share these generators: what differs between them is the damage alone.
        rgb = record_colour(
            colour[name], camera, gains[name], generator_for(recipe.seed, composed.index, f"colour noise {name}")
        )
        depth = None
        if camera.depth is not None:
            depth = record_depth(exact, camera, generator_for(recipe.seed, composed.index, f"depth noise {name}"))
        views.append(View(name, rgb, camera.K, camera.T_world_cam, depth, exact.item, exact.part, exact.damage))
    return tuple(views)


def _damaged_mm2(scene: Scene, bit: int) -> float:
    """Labelled area: outer faces, and what is gone."""

    def area(part: Part) -> float:
        chosen = ((part.damage >> bit) & 1 == 1) & (part.surface == SURFACES.index("outer"))
        return 1e6 * float(face_areas(part.vertices, part.faces)[chosen].sum())

    return sum(area(part) for part in (*scene.parts, *scene.gone))


def _describe(recipe: Recipe, scene: Scene, outcome: Outcome, truth: dict[str, Truth]) -> Damage:
    bit = KINDS.index(outcome.kind)
    total = max(_damaged_mm2(scene, bit), 1e-9)
    seen = {name: float(np.clip(exact.visible_mm2[bit] / total, 0, 1)) for name, exact in truth.items()}
    severity = judge_severity(recipe.severity, outcome)
    return Damage(
        outcome.kind, outcome.generator, outcome.parameters, outcome.measures, severity, severity == "none", seen
    )


def _is_seen(damage: Damage, truth: dict[str, Truth]) -> bool:
    """Whether some camera sees enough of a damage for a person to find it."""
    bit = KINDS.index(damage.kind)
    return any(
        ((truth[name].damage >> bit) & 1).sum() >= VISIBLE_PIXELS and share >= VISIBLE_SHARE
        for name, share in damage.visible_fraction.items()
    )


def _worst(damages: Sequence[Damage]) -> Severity:
    order: tuple[Severity, ...] = ("none", "minor", "major")
    return order[max((order.index(d.severity) for d in damages), default=0)]


def _label(
    plan: Plan, composed: Composed, scene: Scene, truth: dict[str, Truth], views: tuple[View, ...], *, is_twin: bool
) -> Capture:
    recipe, product = plan.recipe, composed.product
    outcomes = () if is_twin else composed.outcomes
    damages = tuple(_describe(recipe, scene, outcome, truth) for outcome in outcomes)
    real = [d for d in damages if d.severity != "none" and _is_seen(d, truth)]
    identifier = product.item_identifier
    references = () if composed.reference else tuple(f"{identifier}-ref{k}" for k in range(recipe.gallery))
    mass = product.attributes["catalogue_mass_g"]
    scale = generator_for(recipe.seed, composed.index, "scale").normal()
    return Capture(
        capture_id=f"{composed.capture_id}-twin" if is_twin else composed.capture_id,
        item_identifier=identifier,
        origin="synthetic",
        views=views,
        defect=bool(real),
        major_defect=_worst(real) == "major",
        defect_types=tuple(sorted({d.kind for d in real})),
        item_material=product.item_material,
        role="reference" if composed.reference else "twin" if is_twin else "query",
        split=split_of(recipe, identifier),
        group=identifier,
        session=recipe.name,
        attributes={
            **product.attributes,
            "family": product.family,
            "actual_units": 1,
            "actual_mass_g": round(mass + 0.5 * scale, 1),
        },
        damages=damages,
        twin_id=f"{composed.capture_id}-twin" if composed.twin and not is_twin else None,
        reference_ids=references,
        provenance={
            "recipe": recipe.name,
            "recipe_hash": plan.recipe_hash,
            "seed": recipe.seed,
            "index": composed.index,
            "renderer": _renderer(recipe, composed.index),
            "versions": {"damageland": importlib.metadata.version("damageland"), "numpy": np.__version__},
        },
    )


def shard_captures(plan: Plan, k: int) -> Iterator[Capture]:
    """Captures of shard ``k``."""
    recipe = plan.recipe
    for index in range(k * recipe.shard_size, min((k + 1) * recipe.shard_size, unit_count(recipe))):
        yield from shoot(plan, compose(plan, index))


def render_shard(plan: Plan, k: int, out: Path) -> None:
    """Make shard ``k`` of a recipe in folder ``out``, whole or not at all (contract C4)."""
    write_shard(shard_path(out, k), shard_captures(plan, k), on_capture=capture_done)
