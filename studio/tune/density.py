"""Density match: which weights, strengths and sites make rendered damages measure like real ones.

Nothing is rendered in a trial. A trial's parameters give each capture of the pool a weight, and the weighted
distributions of all measures are held against the real ones by Wasserstein's distance, each over its own spread, so
that all count alike. Where kinds are known, each kind's measures are held against its own. What the parameters cannot
move (which products, which booth) is not fitted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import wasserstein_distance

from ...generators.damage.table import DAMAGES
from ...generators.recipe import Recipe
from .measures import OF, Observation, common_measures, values_of
from .pool import Pool

LEAST_WIDTH = 0.1
"""Of a strength range, so that no recipe comes to a single strength."""
WEIGHTS = (0.02, 1.0)
SITES = (0.05, 1.0)
FEWEST_PER_SITE = 5
SLIGHT = 0.05
"""A pool that reaches down to this strength reaches down to nothing."""
LEAST_SHOWN = 12.0
"""Weights that rest on fewer captures than this (Kish) are refused: they would be a few captures repeated."""

Parameters = Mapping[str, float]


@dataclass(frozen=True)
class Range:
    """One parameter of the search."""

    name: str
    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Problem:
    """What is fitted, to what."""

    pool: Pool
    names: tuple[str, ...]
    """Measures."""
    real: Mapping[str, Float[np.ndarray, " k"]]
    rendered: Mapping[str, tuple[Float[np.ndarray, " m"], np.ndarray]]
    """Values of the pool, and the capture of each."""
    scale: Mapping[str, float]
    ranges: tuple[Range, ...]
    """What is searched: what some measure tells of."""
    fixed: Mapping[str, float]
    """Every parameter as the recipe has it; those that are not searched stay so."""


def make_problem(pool: Pool, real: Sequence[Observation], recipe: Recipe) -> Problem:
    """Line up real and rendered measures, and say what may be moved."""
    names = common_measures(real, pool.observations)
    rendered = {}
    for name in names:
        values, where = values_of(pool.observations, name)
        rendered[name] = values, pool.capture[where]
    values = {name: values_of(real, name)[0] for name in names}
    scale = {name: float(np.std(np.concatenate([values[name], rendered[name][0]]))) or 1.0 for name in names}
    every = ranges_of(pool, recipe)
    told = tuple(one for one in every if _told(one.name, names))
    return Problem(pool, names, values, rendered, scale, told, parameters_of(recipe, every))


def _told(parameter: str, names: Sequence[str]) -> bool:
    """Whether some measure tells of a parameter: places of sites, anything seen of its kind of strengths."""
    generator, _, what = parameter.partition(".")
    kind = DAMAGES[generator].kind
    own = [name for name in names if not name.startswith("kind ") and name.partition(OF)[2] in ("", kind)]
    if what.startswith("site"):
        return any(part_of(name) in ("radius", "height") for name in own)
    return what == "weight" or bool(own)


def ranges_of(pool: Pool, recipe: Recipe) -> tuple[Range, ...]:
    """Weight and strengths of each generator that the pool shows, and how often each of its sites is struck."""
    found: list[Range] = []
    shown = [name for name in dict.fromkeys(spec.generator for spec in recipe.damages) if name in pool.generator]
    for name in shown:
        if len(shown) > 1:
            found.append(Range(f"{name}.weight", *WEIGHTS, log=True))
        struck = [s for g, s in zip(pool.generator, pool.strength.tolist(), strict=True) if g == name]
        bottom = min(struck) if min(struck) > SLIGHT else 0.0  # weaker ones than the pool shows are not known
        found += [
            Range(f"{name}.low", min(bottom, 0.99 - LEAST_WIDTH), 1.0 - LEAST_WIDTH),
            Range(f"{name}.width", 0.0, 1.0),
        ]
        found += [Range(f"{name}.site.{site}", *SITES, log=True) for site in sites_of(pool, name)]
    return tuple(found)


def sites_of(pool: Pool, generator: str) -> list[str]:
    """Sites of a generator that enough captures show; one alone leaves nothing to choose."""
    struck = [s for g, s in zip(pool.generator, pool.site, strict=True) if g == generator and s]
    often = sorted(site for site in set(struck) if struck.count(site) >= FEWEST_PER_SITE)
    return often if len(often) > 1 else []


def strengths(parameters: Parameters, generator: str) -> tuple[float, float]:
    """Range that strengths are drawn from."""
    low = parameters[f"{generator}.low"]
    return low, low + LEAST_WIDTH + parameters[f"{generator}.width"] * (1 - LEAST_WIDTH - low)


def weigh(problem: Problem, parameters: Parameters) -> Float[np.ndarray, " n"]:
    """Weight of each capture of the pool as a recipe with these parameters would draw it; they sum to 1.

    All are 0 where the pool shows nothing of what some generator is asked for: nobody knows how that would measure.
    """
    pool = problem.pool
    generators, sites, families = np.array(pool.generator), np.array(pool.site), np.array(pool.family)
    total = np.zeros(len(generators))
    parameters = {**problem.fixed, **parameters}
    for name in dict.fromkeys(one.partition(".")[0] for one in problem.fixed):
        own = generators == name
        low, high = strengths(parameters, name)
        inside = own & (pool.strength >= low) & (pool.strength <= high)
        weight = np.zeros(len(generators))
        for family in sorted(set(pool.family)):  # sites change where a product is struck, not which products there are
            of_family = own & (families == family)
            weight += _by_site(sites, of_family, of_family & inside, _factors(parameters, name))
        if weight.sum() == 0:
            return np.zeros(len(generators))
        total += parameters.get(f"{name}.weight", 1.0) * weight / weight.sum()
    return total / total.sum()


def _factors(parameters: Parameters, generator: str) -> dict[str, float]:
    start = f"{generator}.site."
    return {key.removeprefix(start): value for key, value in parameters.items() if key.startswith(start)}


def _by_site(
    sites: np.ndarray, own: np.ndarray, inside: np.ndarray, factors: Mapping[str, float]
) -> Float[np.ndarray, " n"]:
    """Weights of the captures inside that give each site its share: that of all of the pool's, times its factor.

    The few within a range of strengths may by chance have struck one site more often; that is no one's wish.
    """
    weight, usual = np.zeros(len(sites)), int(own.sum())
    for site in sorted(set(sites[inside])):
        here = inside & (sites == site)
        weight[here] = factors.get(site, 1.0) * (own & (sites == site)).sum() / usual / here.sum()
    return weight * inside.sum() / weight.sum() if weight.sum() > 0 else weight


def distances(problem: Problem, weights: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Wasserstein distance of each measure, over its spread; infinite if the weights leave too few captures."""
    found = {}
    for name in problem.names:
        values, owner = problem.rendered[name]
        each = weights[owner]
        few = each.sum() <= 0 or each.sum() ** 2 / (each**2).sum() < min(LEAST_SHOWN, len(values) / 2)
        apart = np.inf if few else wasserstein_distance(problem.real[name], values, v_weights=each)
        found[name] = float(apart) / problem.scale[name]
    return found


def distance_draws(
    real: Float[np.ndarray, " k"],
    counts: Float[np.ndarray, "b k"],
    values: Float[np.ndarray, " m"],
    weights: Float[np.ndarray, " m"],
) -> Float[np.ndarray, " b"]:
    """Wasserstein distances of draws of the real values, each taken so many times, to weighted ones; NaN of none."""
    grid = np.sort(np.concatenate([real, values]))
    order, other = np.argsort(real, kind="stable"), np.argsort(values, kind="stable")
    below = np.searchsorted(real[order], grid[:-1], "right")
    drawn = np.cumsum(np.pad(counts[:, order], ((0, 0), (1, 0))), axis=1)
    shares = np.concatenate([[0.0], np.cumsum(weights[other])])
    rendered = shares[np.searchsorted(values[other], grid[:-1], "right")] / shares[-1]
    with np.errstate(invalid="ignore"):
        return np.abs(drawn[:, below] / drawn[:, -1:] - rendered) @ np.diff(grid)


def part_of(name: str) -> str:
    """Which part of the loss a measure belongs to."""
    return "kinds" if name.startswith("kind ") else name.partition(OF)[0]


def loss_of(apart: Mapping[str, float]) -> float:
    """Mean over measures, each the mean over the kinds it is taken of; how often kinds show is one more."""
    parts: dict[str, list[float]] = {}
    for name, value in apart.items():
        parts.setdefault(part_of(name), []).append(value)
    return float(np.mean([float(np.mean(values)) for values in parts.values()]))


def parameters_of(recipe: Recipe, ranges: Sequence[Range]) -> dict[str, float]:
    """Parameters at which the recipe stands as it is; of several entries of one generator the weights add up."""
    found: dict[str, float] = {}
    total = {}
    for spec in recipe.damages:
        total[spec.generator] = total.get(spec.generator, 0.0) + spec.weight
    most = max(total.values())
    for one in ranges:
        name, _, what = one.name.partition(".")
        specs = [spec for spec in recipe.damages if spec.generator == name]
        low, high = min(s.strength[0] for s in specs), max(s.strength[1] for s in specs)
        low = min(low, 1 - LEAST_WIDTH)
        width = (high - low - LEAST_WIDTH) / max(1 - LEAST_WIDTH - low, 1e-9)
        plain = {"weight": total[name] / most, "low": low, "width": width}
        found[one.name] = float(np.clip(plain.get(what, 1.0), one.low, one.high))
    return found


def start_of(problem: Problem) -> dict[str, float]:
    """What is searched, as the recipe has it."""
    return {one.name: problem.fixed[one.name] for one in problem.ranges}


def damages_of(recipe: Recipe, parameters: Parameters) -> list[dict[str, Any]]:
    """Damages of the recipe with these parameters, as YAML has them; what the pool does not show stays as it was."""
    found, done = [], set()
    weights = _weights(recipe, parameters)
    for spec in recipe.damages:
        name = spec.generator
        if name in done:
            continue
        alike = [other for other in recipe.damages if other.generator == name]
        data = spec.model_dump(mode="json", exclude_defaults=True)
        share = spec.weight / sum(other.weight for other in alike)
        if f"{name}.low" in parameters:  # one range takes the place of all entries
            done.add(name)
            share = 1.0
            data["strength"] = [round(v, 3) for v in strengths(parameters, name)]
        if name in weights:
            data["weight"] = round(weights[name] * share, 4)
        found.append({**data, **_with_sites(data, spec, parameters)})
    return found


def _weights(recipe: Recipe, parameters: Parameters) -> dict[str, float]:
    """Weights of generators that were moved, or whose entries are joined; those moved weigh together what they did."""
    plain: dict[str, float] = {}
    for spec in recipe.damages:
        plain[spec.generator] = plain.get(spec.generator, 0.0) + spec.weight
    moved = {name: parameters[f"{name}.weight"] for name in plain if f"{name}.weight" in parameters}
    scale = sum(plain[name] for name in moved) / max(sum(moved.values()), 1e-12)
    joined = {name: weight for name, weight in plain.items() if f"{name}.low" in parameters}
    return joined | {name: weight * scale for name, weight in moved.items()}


def _with_sites(data: dict[str, Any], spec: Any, parameters: Parameters) -> dict[str, Any]:
    """Weights of sites times their factors, in each of the config's tables that has the site."""
    factors = _factors(parameters, spec.generator)
    if not factors:
        return {}
    config = DAMAGES[spec.generator].config.model_validate(spec.config)
    changed = {
        field: {site: round(weight * factors.get(site, 1.0), 4) for site, weight in table.items()}
        for field, table in config
        if field.endswith("_sites") and isinstance(table, dict) and set(table) & set(factors)
    }
    return {"config": {**data.get("config", {}), **changed}}
