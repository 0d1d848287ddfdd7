"""What a recipe will cost: counts, bytes and hours, foretold from a few samples that are rendered and thrown away."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..sim.progress import amount, duration
from ..sim.seed import generator_for
from ..sim.shards import encode_capture
from .compose import compose
from .recipe import Plan, Recipe, is_damaged, reference_count, shard_count, unit_count
from .shoot import renderer_of, shoot

SAMPLES_PER_KIND = 3
TAR_BYTES_PER_MEMBER = 768
"""A header block, and half a block of padding on average."""


@dataclass(frozen=True)
class Kind:
    """Units of one sort, and what one of them costs."""

    name: str
    units: float
    """How many there are in the recipe, or are expected."""
    seconds: float
    size_bytes: float
    sampled: int


@dataclass(frozen=True)
class Estimate:
    """What rendering a whole recipe is expected to take."""

    captures: int
    damaged: float
    """Expected; each comes with a twin."""
    references: int
    shards: int
    kinds: tuple[Kind, ...]

    @property
    def seconds(self) -> float:
        """Of one worker, start-up not counted."""
        return sum(kind.units * kind.seconds for kind in self.kinds)

    @property
    def size_bytes(self) -> float:
        """Of all shards."""
        return sum(kind.units * kind.size_bytes for kind in self.kinds)


def estimate(plan: Plan, *, samples: int = SAMPLES_PER_KIND) -> Estimate:
    """Render a few units of each sort, spread over the recipe, and extrapolate. Writes nothing."""
    recipe = plan.recipe
    references = reference_count(recipe)
    damaged = recipe.captures * recipe.damaged_share
    kinds = []
    for name, units in _expected_units(recipe).items():
        indices = list(_find(recipe, name, samples))
        if units and indices:
            kinds.append(_measure(plan, name, units, indices))
    return Estimate(recipe.captures, damaged, references, shard_count(recipe), tuple(kinds))


def describe(estimate: Estimate, *, workers: int) -> str:
    """Say it in a few lines."""
    e = estimate
    pictures = e.captures + e.damaged + e.references
    lines = [
        f"{e.captures:,} captures, about {e.damaged:,.0f} of them damaged with a twin each, and {e.references:,} "
        f"references: about {pictures:,.0f} in all, in {e.shards:,} shards",
        f"about {amount(e.size_bytes)}, {amount(e.size_bytes / max(pictures, 1))} for each",
        f"about {duration(e.seconds / workers)} with {workers} workers on cores like this one's, "
        f"{duration(e.seconds)} of work",
    ]
    for kind in e.kinds:
        lines.append(
            f"  {kind.name}: about {kind.units:,.0f}, {kind.seconds:.2f} s and {amount(kind.size_bytes)} each, "
            f"from {kind.sampled} samples"
        )
    return "\n".join(lines)


def _expected_units(recipe: Recipe) -> dict[str, float]:
    """Units of each sort: what they cost differs by renderer, and a damaged query brings a twin."""
    shares = {"preview": 1 - recipe.cycles_share, "cycles": recipe.cycles_share}
    units: dict[str, float] = {}
    for renderer, share in shares.items():
        units[f"{renderer} references"] = reference_count(recipe) * share
        units[f"{renderer} captures, sound"] = recipe.captures * (1 - recipe.damaged_share) * share
        units[f"{renderer} captures, damaged with twin"] = recipe.captures * recipe.damaged_share * share
    return units


def _find(recipe: Recipe, name: str, count: int, *, looks: int = 2000) -> Iterator[int]:
    """Indices of some units of a sort, spread over the recipe."""
    first, last = reference_count(recipe), unit_count(recipe)
    low, high = (0, first) if name.endswith("references") else (first, last)
    order = generator_for(recipe.seed, 0, "estimate").permutation(
        np.unique(np.linspace(low, high - 1, looks, dtype=int))
    )
    found = 0
    for index in map(int, order[: max(0, high - low)]):
        if _name(recipe, index) == name:
            yield index
            found += 1
        if found == count:
            return


def _name(recipe: Recipe, index: int) -> str:
    renderer = renderer_of(recipe, index)
    if index < reference_count(recipe):
        return f"{renderer} references"
    return f"{renderer} captures, {'damaged with twin' if is_damaged(recipe, index) else 'sound'}"


def _measure(plan: Plan, name: str, units: float, indices: list[int]) -> Kind:
    shoot(plan, compose(plan, indices[0]))  # what happens once per worker: kernels, typefaces, Blender
    size, start = 0, time.perf_counter()
    for index in indices:
        for capture in shoot(plan, compose(plan, index)):
            size += sum(len(data) + TAR_BYTES_PER_MEMBER for data in encode_capture(capture).values())
    seconds = time.perf_counter() - start
    return Kind(name, units, seconds / len(indices), size / len(indices), len(indices))
