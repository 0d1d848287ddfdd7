"""A pool of rendered damages over the whole range of their parameters: made once, weighed anew in every trial."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float, Int

from ...generators.recipe import ASSETS, Plan, Recipe, make_plan, read_plan
from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ...sim.shards import read_captures
from ...sim.store import Source
from .measures import Observation, observe


@dataclass(frozen=True)
class Pool:
    """Damaged captures with what drew them, and the views that show them."""

    generator: tuple[str, ...]
    """Of each capture; of several damages the first, which led to the others."""
    strength: Float[np.ndarray, " n"]
    site: tuple[str, ...]
    """Where it struck, empty where the generator knows no sites."""
    family: tuple[str, ...]
    group: tuple[str, ...]
    observations: tuple[Observation, ...]
    capture: Int[np.ndarray, " m"]
    """Which capture each observation is of. A damage that no view shows has none."""


def pool_plan(plan: Plan, captures: int) -> Plan:
    """The same products in the same booth, every one damaged, each generator as often, at every strength."""
    recipe = plan.recipe
    damages = {}
    for spec in recipe.damages:
        damages.setdefault(spec.generator, spec.model_copy(update={"weight": 1.0, "strength": (0.0, 1.0)}))
    changes: dict[str, Any] = {
        "name": f"{recipe.name}-pool",
        "captures": captures,
        "damaged_share": 1.0,
        "gallery": 0,
        "cycles_share": 0.0,
        "preview_samples": 1,
        "shard_size": 6,
        "severity_shares": None,
        "damages": tuple(damages.values()),
    }
    changed = Recipe.model_validate(recipe.model_dump(mode="json") | _plain(changes))
    return make_plan(changed, plan.booth, folder=plan.folder)


def _plain(changes: dict[str, Any]) -> dict[str, Any]:
    damages = [spec.model_dump(mode="json") for spec in changes["damages"]]
    return changes | {"damages": damages}


def render_pool(plan: Plan, captures: int, out: Path, *, workers: int) -> None:
    """Render a pool, or what is missing of it."""
    from functools import partial

    from ...generators.recipe import shard_count, unit_count
    from ...generators.shoot import render_shard
    from ...sim.batch import run_shards
    from ...sim.output import claim_output, finish

    pool = pool_plan(plan, captures)
    claim_output(out, pool.lock)
    run_shards(
        partial(render_shard, pool), shard_count(pool.recipe), out, workers=workers,
        captures_per_shard=pool.recipe.shard_size, captures=unit_count(pool.recipe),
    )  # fmt: skip
    finish(out, shard_count(pool.recipe))


def read_pool(source: Source) -> Pool:
    """Measure a rendered data set; its recipe should draw strengths from 0 to 1."""
    return pool_of([c for c in read_captures(source, roles=("query",)) if c.damages], str(source))


def pool_of(captures: Sequence[Capture], source: str = "the pool") -> Pool:
    """Measure damaged captures and remember what drew them."""
    generator, strength, site, family, group, observations, owner = [], [], [], [], [], [], []
    for capture in captures:
        first = capture.damages[0]
        if "strength" not in first.parameters:
            raise DamagelandError(f"{source}: capture {capture.capture_id} does not say how strong its damage was")
        shown = [one for one in observe([capture]) if "size" in one.values]
        observations += shown
        owner += [len(generator)] * len(shown)
        generator.append(first.generator)
        strength.append(float(first.parameters["strength"]))
        site.append(str(first.parameters.get("site", "")))
        family.append(str(capture.attributes.get("family", "")))
        group.append(capture.group or capture.capture_id)
    if not observations:
        raise DamagelandError(f"{source} shows no damage in any view: nothing to weigh")
    return Pool(
        tuple(generator), np.array(strength), tuple(site), tuple(family), tuple(group), tuple(observations),
        np.array(owner, np.int64),
    )  # fmt: skip


def changed_recipe(path: Path, out: Path, name: str, damages: list[dict[str, Any]], *, aim: bool = False) -> str:
    """Text of a recipe with other damages, whose files are found from where it will stand; it is known to be sound.

    ``aim`` keeps the severities that it asks for, if it does.
    """
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    data |= {"name": name, "damages": damages}
    if not aim:
        data.pop("severity_shares", None)  # strengths are fitted as they are drawn; aiming at shares would undo it
    here = os.path.relpath(path.absolute().parent, out.absolute())
    booth = str(data.get("booth", "demo"))
    if not (ASSETS / "booths" / f"{booth}.yaml").is_file():
        data["booth"] = f"{here}/{booth}"
    for key in ("images", "fonts"):
        if data.get(key):
            data[key] = f"{here}/{data[key]}"
    for spec in data["products"]:
        if "folder" in spec.get("config", {}):
            spec["config"]["folder"] = f"{here}/{spec['config']['folder']}"
    read = Recipe.model_validate(data)
    return f"# Written by `damageland tune` from {path.name}.\n" + yaml.safe_dump(
        {key: value for key, value in data.items() if key in type(read).model_fields}, sort_keys=False
    )


def read_base(path: Path) -> Plan:
    """A recipe to tune."""
    return read_plan(path.absolute())
