"""A recipe: what a data set consists of, which of its products has which design, and how its units are numbered."""

import hashlib
import importlib.metadata
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..sim.booth import BoothSpec, Range, read_booth
from ..sim.capture import Severity
from ..sim.errors import DamagelandError
from ..sim.output import LOCK_FORMAT
from ..sim.seed import generator_for
from ..sim.yamlfile import parse_mapping, read_yaml
from .artwork.fonts import check_font
from .artwork.pictures import load_image
from .coarse import divide_product
from .damage.outcome import SeverityRules
from .damage.table import DAMAGES
from .design import Design, next_edition
from .held import Held, held_or
from .imported.meshfile import list_meshes, read_surface
from .products.catalogue import FAMILIES
from .products.imported_mesh import ImportedMeshConfig
from .products.product import Product
from .rest import RestRules
from .spread import pick, spread_of
from .wear import LookalikesConfig

ASSETS = Path(__file__).resolve().parents[1] / "assets"
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}
TYPEFACES = {".ttf", ".otf"}
GOLDEN = (5**0.5 - 1) / 2
"""Steps by this share of a circle cover it most evenly, wherever one stops."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProductSpec(_Spec):
    """Products of one family."""

    family: str = Field(description="packaging family: one of the catalogue's")
    count: int = Field(ge=1, le=1_000_000, description="different products")
    weight: float = Field(default=1.0, gt=0, description="how often this family is captured")
    editions: int = Field(
        default=1,
        ge=1,
        le=50,
        description="designs that each product has over the recipe's days: its packaging changes",
    )
    config: dict[str, Any] = Field(default={}, description="changes to the family's ranges")

    @field_validator("family")
    @classmethod
    def _known_family(cls, value: str) -> str:
        return _one_of(value, FAMILIES)

    @model_validator(mode="after")
    def _known_config(self) -> "ProductSpec":
        _check_config(self.config, FAMILIES[self.family][0], self.family)
        return self


class _Strike(_Spec):
    generator: str = Field(description="damage generator: one of the table's")
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
    def _known_config(self) -> "_Strike":
        _check_config(self.config, DAMAGES[self.generator].config, self.generator)
        return self


class Consequence(_Strike):
    """A damage that another one leads to, at the same place: a fall crushes a corner, tears the edge and spills."""

    chance: float = Field(default=1.0, gt=0, le=1, description="how often it follows, where it applies to the product")


class DamageSpec(_Strike):
    """How often and how hard one generator strikes, and what follows."""

    weight: float = Field(default=1.0, gt=0, description="how often it strikes, relative to the others")
    then: tuple[Consequence, ...] = Field(
        default=(), description="what it leads to, in causal order: " + ", ".join(DAMAGES)
    )

    @model_validator(mode="after")
    def _causal(self) -> "DamageSpec":
        order = list(DAMAGES)
        steps = [self.generator, *(step.generator for step in self.then)]
        places = [order.index(step) for step in steps]
        if any(b <= a for a, b in itertools.pairwise(places)):
            raise ValueError(f"{' -> '.join(steps)}: one mishap's damages come in this order, each once: {order}")
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
    cycles_samples: int = Field(
        default=16, ge=1, le=4096, description="paths per pixel of photoreal colour where the items are"
    )
    cycles_around: int = Field(
        default=4,
        ge=1,
        le=4096,
        description="paths per pixel elsewhere: an even tray, denoised, needs few",
    )
    cycles_noise: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="noise at which a pixel where the items are takes no more paths; 0 gives all of them the same",
    )
    preview_samples: int = Field(default=4, ge=1, le=1024)
    validation_share: float = Field(default=0.15, ge=0, lt=1, description="share of products, fixed by a hash of each")
    test_share: float = Field(default=0.2, ge=0, lt=1)
    booth: str = Field(default="demo", description="name of a booth in assets/booths, or path of a YAML file")
    texture_px: int = Field(default=1024, ge=256, le=8192, description="side of each product's artwork texture")
    spacing_share: float = Field(default=1.0, ge=0.25, le=1, description="distance of wall vertices over the stock's")
    images: str | None = Field(
        default=None,
        description="folder of your own pictures to print on packs, beside the recipe; else procedural ones",
    )
    fonts: str | None = Field(
        default=None,
        description="folder of your own typefaces (.ttf, .otf) for brands and names, beside the recipe; what one of "
        "them has no letters for is printed in ours",
    )
    first_day: date = Field(default=date(2026, 1, 1), description="day of the first capture")
    days: int = Field(default=365, ge=1, le=36_500, description="captures are spread evenly over so many days")
    products: tuple[ProductSpec, ...] = Field(min_length=1)
    damages: tuple[DamageSpec, ...] = Field(min_length=1)
    severity_shares: dict[Severity, float] | None = Field(
        default=None,
        description="how often each severity is wanted, as measured: {none: 1, minor: 4, major: 5}; without it, "
        "whatever the strengths give. A severity that a damage cannot have becomes the nearest",
    )
    solver_tries: int = Field(
        default=4, ge=1, le=50, description="seeds that a failing damage solver gets before another damage is drawn"
    )
    held: Held = Held()
    rest: RestRules = RestRules()
    lookalikes: LookalikesConfig = LookalikesConfig()
    severity: SeverityRules = SeverityRules()

    @field_validator("severity_shares")
    @classmethod
    def _weights(cls, value: dict[Severity, float] | None) -> dict[Severity, float] | None:
        if value is not None and (min(value.values(), default=-1) < 0 or sum(value.values()) <= 0):
            raise ValueError("expected shares of none, minor and major, none below 0 and one above")
        return value

    @model_validator(mode="after")
    def _holdable(self) -> "Recipe":
        number, edition = held_or(self.held.product, 0), held_or(self.held.edition, 0)
        for spec in self.products:
            if number >= spec.count or edition >= spec.editions:
                raise ValueError(
                    f"held: product {number}, edition {edition}, but {spec.family} has {spec.count} product(s) with "
                    f"{spec.editions} edition(s) each, counted from 0: raise count or editions, or hold another"
                )
        return self


@dataclass(frozen=True)
class Plan:
    """A recipe with its booth: all that a worker needs to make a shard."""

    recipe: Recipe
    booth: BoothSpec
    lock: str
    """Text of recipe.lock.yaml; its hash names the data set."""
    folder: Path = Path()
    """Of the recipe: what paths in it are relative to."""
    images: tuple[Path, ...] = ()
    """Pictures in the recipe's ``images`` folder."""
    fonts: tuple[Path, ...] = ()
    """Typefaces in the recipe's ``fonts`` folder."""

    @property
    def recipe_hash(self) -> str:
        """First 16 hex digits of the lock's SHA-256."""
        return hashlib.sha256(self.lock.encode()).hexdigest()[:16]


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
    return make_plan(recipe, read_booth(booth_path), folder=path.parent)


def make_plan(recipe: Recipe, booth: BoothSpec, *, folder: Path = Path()) -> Plan:
    """Join a recipe and a booth; the lock holds both in full, so that a changed default is a changed recipe.

    It also holds the SHA-256 of every file that the recipe prints or builds from.
    """
    images = _listed(folder / recipe.images, PICTURES) if recipe.images else ()
    fonts = _listed(folder / recipe.fonts, TYPEFACES) if recipe.fonts else ()
    meshes = [p for spec in recipe.products if "folder" in spec.config for p in _listed(folder / spec.config["folder"])]
    full: dict[str, Any] = {
        "format": LOCK_FORMAT,
        "name": recipe.name,
        "damageland": importlib.metadata.version("damageland"),
        "recipe": recipe.model_dump(mode="json"),
        "booth": booth.model_dump(mode="json"),
    }
    if files := (*images, *fonts, *meshes):
        full["files"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return Plan(recipe, booth, yaml.safe_dump(full, sort_keys=False, allow_unicode=True), folder, images, fonts)


def _listed(folder: Path, suffixes: set[str] | None = None) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise DamagelandError(f"{folder}: no such folder, but the recipe names it. Paths are relative to the recipe.")
    found = sorted(p for p in folder.iterdir() if p.is_file() and (suffixes is None or p.suffix.lower() in suffixes))
    if not found:
        kinds = f" with {', '.join(sorted(suffixes))}" if suffixes else ""
        raise DamagelandError(f"{folder}: no files{kinds} in it. Put some there, or leave the key out of the recipe.")
    return tuple(found)


def check_inputs(plan: Plan) -> None:
    """Read every picture, typeface and mesh that the recipe names: a bad one is refused before anything is written."""
    for path in plan.images:
        load_image(path)
    for path in plan.fonts:
        check_font(path)
    for spec in plan.recipe.products:
        if spec.family != "imported_mesh":
            continue
        config = ImportedMeshConfig.model_validate(_placed(plan, spec))
        files = list_meshes(config.folder)
        if spec.count > len(files):
            raise DamagelandError(
                f"{config.folder}: {len(files)} mesh file(s), but the recipe asks for {spec.count}. Lower the count, "
                "or put more meshes there."
            )
        for path in files[: spec.count]:
            read_surface(path, most_faces=config.max_faces)


def _placed(plan: Plan, spec: ProductSpec) -> dict[str, Any]:
    """Config of a product with its folder found from the recipe's place."""
    settings = dict(spec.config)
    if "folder" in settings:
        settings["folder"] = str(plan.folder / settings["folder"])
    return settings


# ---- Products -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """What one index of a recipe stands for: a reference capture of a product, or a query (with its twin)."""

    index: int
    capture_id: str
    spec: ProductSpec
    number: int
    """Of the product within its family."""
    edition: int
    reference: bool
    captured_on: date

    def identifier(self, recipe: Recipe) -> str:
        """The product's name; all its editions share it."""
        return product_identifier(recipe, self.spec, self.number)


def product_identifier(recipe: Recipe, spec: ProductSpec, number: int) -> str:
    """Name of a product."""
    return f"{recipe.name}-{spec.family}-{number:05d}"


def edition_days(recipe: Recipe, spec: ProductSpec, number: int) -> tuple[int, ...]:
    """Day on which each edition of a product reaches the shelf, counted from the recipe's first; the first is 0."""
    rng = generator_for(recipe.seed, number, f"product {spec.family} dates")
    return (0, *sorted(int(v) for v in rng.uniform(0.02, 0.98, spec.editions - 1) * recipe.days))


def design_of(plan: Plan, spec: ProductSpec, number: int, edition: int, *, specimen: int = 0) -> Design:
    """Draw a product's design in one of its editions; the same specimen is the same piece."""
    recipe = plan.recipe
    design = Design(
        recipe.seed, number, spec.family, specimen=specimen, texture_px=recipe.texture_px, images=plan.images,
        fonts=plan.fonts,
    )  # fmt: skip
    for _ in range(edition):
        design = next_edition(design)
    return design


def build_product(plan: Plan, spec: ProductSpec, number: int, edition: int = 0, *, specimen: int = 0) -> Product:
    """Build one piece of a product."""
    config, build = FAMILIES[spec.family]
    design = design_of(plan, spec, number, edition, specimen=specimen)
    identifier = product_identifier(plan.recipe, spec, number)
    made = build(identifier, parse_mapping(_placed(plan, spec), config, spec.family), design)
    return divide_product(made, plan.recipe.spacing_share)


def split_of(recipe: Recipe, identifier: str) -> str:
    """Split of a product, from its identifier: growing a data set never moves a product.

    A hash of all but the number says where the family starts, and each number goes on by the golden ratio: every
    family has its share in every split, as nearly as its count allows.
    """
    family, _, number = identifier.rpartition("-")
    start = int.from_bytes(hashlib.sha256(family.encode()).digest()[:8], "big") / 2**64
    share = (start + int(number) * GOLDEN) % 1
    if share < recipe.test_share:
        return "test"
    return "validation" if share < recipe.test_share + recipe.validation_share else "train"


# ---- Units ----------------------------------------------------------------------------------------------------------


def reference_count(recipe: Recipe) -> int:
    """Gallery captures: of every edition of every product."""
    return sum(spec.count * spec.editions for spec in recipe.products) * recipe.gallery


def unit_count(recipe: Recipe) -> int:
    """Units to render: gallery captures, then queries (each with its twin)."""
    return reference_count(recipe) + recipe.captures


def shard_count(recipe: Recipe) -> int:
    """Shards of the data set."""
    return -(-unit_count(recipe) // recipe.shard_size)


def reference_id(recipe: Recipe, spec: ProductSpec, number: int, edition: int, k: int) -> str:
    """Name of a gallery capture."""
    which = f"-e{edition}" if edition else ""
    return f"{product_identifier(recipe, spec, number)}{which}-ref{k}"


def locate(recipe: Recipe, index: int) -> Unit:
    """Tell what unit ``index`` is."""
    references = reference_count(recipe)
    return _reference(recipe, index) if index < references else _query(recipe, index, index - references)


def is_damaged(recipe: Recipe, index: int) -> bool:
    """Whether a damage is drawn for unit ``index``; in the end its solver may fail, or no camera may see it."""
    return index >= reference_count(recipe) and spread_of(recipe.seed, index).damaged < recipe.damaged_share


def _reference(recipe: Recipe, index: int) -> Unit:
    place, k = divmod(index, recipe.gallery)
    for spec in recipe.products:
        if place < spec.count * spec.editions:
            number, edition = divmod(place, spec.editions)
            day = recipe.first_day + timedelta(days=edition_days(recipe, spec, number)[edition])
            return Unit(index, reference_id(recipe, spec, number, edition, k), spec, number, edition, True, day)
        place -= spec.count * spec.editions
    raise IndexError(index)


def _query(recipe: Recipe, index: int, place: int) -> Unit:
    spread = spread_of(recipe.seed, index)
    spec = recipe.products[pick([spec.weight for spec in recipe.products], spread.family)]
    number = held_or(recipe.held.product, int(spread.product * spec.count))
    day, starts = place * recipe.days // recipe.captures, edition_days(recipe, spec, number)
    if recipe.held.edition is not None:
        day = starts[recipe.held.edition]
    edition = held_or(recipe.held.edition, sum(start <= day for start in starts) - 1)
    name = f"{recipe.name}-{place:06d}"
    return Unit(index, name, spec, number, edition, False, recipe.first_day + timedelta(days=day))
