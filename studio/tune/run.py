"""``damageland tune density`` from files to files."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...evaluate.adapters.table import find_real_sets
from ...evaluate.predictions import read_predictions
from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ...sim.files import write_atomic
from ...sim.shards import read_captures
from .card import make_card, split_groups, write_card
from .density import damages_of, make_problem, start_of
from .measures import observe
from .pool import changed_recipe, read_base, read_pool, render_pool
from .rendernext import judged, next_damages, plan_bins, table_of
from .search import best_of, search

RECIPE = "recipe.yaml"


def read_targets(source: str) -> Iterable[Capture]:
    """Queries of real captures, or of a rendered data set."""
    path = Path(source)
    if "://" in source or (path.is_dir() and any(path.glob("shard-*.tar"))):
        return read_captures(source, roles=("query",))
    return (capture for one in find_real_sets(path) for capture in one.read().of(("query",)))


def render_next(recipe: Path, data: str, predictions: Path, out: Path, *, bins: int, keep: float) -> tuple[str, int]:
    """Write the next recipe; return the table of its bins, and how many captures of training were left out."""
    plan = read_base(recipe)
    rows = read_predictions(predictions).rows
    captures = read_captures(data, roles=("query",))
    seen, trained = judged(captures, {name: row.pred for name, row in rows.items()})
    planned = plan_bins(plan.recipe, seen, bins=bins, keep=keep)
    name = plan.recipe.name.removesuffix("-next") + "-next"
    text = changed_recipe(recipe, out.parent, name, next_damages(plan.recipe, planned), aim=True)
    write_atomic(out, text)
    read_base(out)
    return table_of(planned), trained


def tune_density(
    recipe: Path, real: str, out: Path, *, pool: str | None, pool_captures: int, trials: int, workers: int, seed: int
) -> dict[str, Any]:
    """Render or read the pool, search, and write recipe and card; what is there already is not made again."""
    plan = read_base(recipe)
    if out.exists() and not out.is_dir():
        raise DamagelandError(f"--out {out} is a file: name a folder")
    targets = list(observe(read_targets(real)))  # a mistake there is told before anything is rendered
    if not targets:
        raise DamagelandError(f"{real} holds no damaged capture: there is nothing to fit to")
    out.mkdir(parents=True, exist_ok=True)
    if pool is None:
        render_pool(plan, pool_captures, out / "pool", workers=workers)
    rendered = read_pool(pool or out / "pool")
    halves = split_groups(targets, seed=seed)
    problem = make_problem(rendered, halves.fit, plan.recipe)
    if not problem.fixed:
        raise DamagelandError(
            f"{pool or out / 'pool'} shows none of the damages of {recipe}: render the pool from this recipe"
        )
    made = search(problem, start_of(problem), out, trials=trials, seed=seed)
    best = best_of(made)
    name = f"{plan.recipe.name}-tuned"
    about = {
        "name": name,
        "recipe": recipe.name,
        "recipe_sha256": hashlib.sha256(recipe.read_bytes()).hexdigest(),
        "real": Path(real).name,
        "generators": sorted(set(rendered.generator)),
    }
    text = changed_recipe(recipe, out, name, damages_of(plan.recipe, best.parameters))
    card = make_card(problem, halves, made, best, about, seed=seed)
    write_atomic(out / RECIPE, text)
    write_card(out, problem, card, made, best)
    read_base(out / RECIPE)  # what is written can be rendered, its booth and files included
    return card
