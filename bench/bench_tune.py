"""Round trip of ``tune density`` on renders: a set with known damages is fitted back from a pool over all strengths.

Renders both into --keep (resumable; --shards N stops after N new ones, so that a run can be cut into pieces), fits, and
prints what was hidden beside what was found, and the seconds of the trials. Tins and cartons in the tray booth.
``--thin DATA`` renders nothing: half of the products of a set that is there are the pool, and the other half, thinned
to the hidden strengths, is fitted.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import yaml
from damageland.generators.recipe import Recipe, read_plan, shard_count
from damageland.generators.shoot import render_shard
from damageland.sim.batch import make_one
from damageland.sim.capture import Capture
from damageland.sim.output import claim_output, finish
from damageland.sim.shards import read_captures
from damageland.studio.tune.density import make_problem, start_of, strengths
from damageland.studio.tune.measures import observe
from damageland.studio.tune.pool import pool_of, pool_plan
from damageland.studio.tune.run import tune_density
from damageland.studio.tune.search import best_of, search

RECIPE = """
name: {name}
seed: {seed}
captures: {captures}
damaged_share: 1.0
gallery: 0
shard_size: 6
preview_samples: 1
booth: tray
texture_px: 256
products:
  - {{family: tin, count: 40, config: {{label_share: 0.5}}}}
  - {{family: folding_carton, count: 40, config: {{long_mm: [90, 160]}}}}
damages:
  - {{generator: crush, weight: {crush}, strength: {crushed}}}
  - {{generator: scuff, weight: {scuff}, strength: {scuffed}}}
  - {{generator: hole, weight: {hole}, strength: {holed}}}
"""
WHOLE = {"crushed": [0.0, 1.0], "scuffed": [0.0, 1.0], "holed": [0.0, 1.0]}
BASE = {"crush": 1, "scuff": 1, "hole": 1, **WHOLE}
HIDDEN = {"crush": 6, "scuff": 3, "hole": 1, "crushed": [0.3, 0.7], "scuffed": [0.5, 1.0], "holed": [0.1, 0.6]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, default=Path("runs/tune"))
    parser.add_argument("--pool", type=int, default=180, help="captures of the pool")
    parser.add_argument("--hidden", type=int, default=90, help="captures of the set to be fitted")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--thin", default=None, help="a rendered set of many strengths")
    parser.add_argument("--shards", type=int, default=10**9, help="render at most so many new shards, then stop")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    if options.thin:
        thin(options.thin, options.keep, options.trials)
        return
    left = options.shards
    base = options.keep / "base.yaml"
    base.write_text(RECIPE.format(name="base", seed=1, captures=options.pool, **BASE))
    hidden = options.keep / "hidden.yaml"
    hidden.write_text(RECIPE.format(name="hidden", seed=2, captures=options.hidden, **HIDDEN))
    for path, plan in (("pool", pool_plan(read_plan(base), options.pool)), ("real", read_plan(hidden))):
        claim_output(options.keep / path, plan.lock)
        for k in range(shard_count(plan.recipe)):
            if left <= 0:
                print(f"{path}: shard {k} of {shard_count(plan.recipe)} is next")
                return
            left -= make_one(partial(render_shard, plan), k, options.keep / path)
        finish(options.keep / path, shard_count(plan.recipe))
    fit(options.keep, base, options.trials)


def fit(keep: Path, base: Path, trials: int) -> None:
    started = time.monotonic()
    card = tune_density(
        base, str(keep / "real"), keep / "fitted", pool=str(keep / "pool"), pool_captures=0, trials=trials, workers=1,
        seed=0,
    )  # fmt: skip
    print(f"{card['trials']} trials, reading, card and page in {time.monotonic() - started:.1f} s")
    found = {name: row["after"] for name, row in card["parameters"].items()}  # masks tell of everything here
    names = ("crush", "scuff", "hole")
    whole, all_hidden = sum(found[f"{n}.weight"] for n in names), sum(HIDDEN[n] for n in names)
    for name, drawn in zip(names, ("crushed", "scuffed", "holed"), strict=True):
        low, high = strengths(found, name)
        share, was = found[f"{name}.weight"] / whole, HIDDEN[name] / all_hidden
        strength = f"strength {HIDDEN[drawn]} hidden, [{low:.2f}, {high:.2f}] found"
        print(f"{name}: share {was:.2f} hidden, {share:.2f} found; {strength}")
    for name, row in card["loss"].items():
        told = {key: f"{v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for key, v in row.items()}
        print(f"mean distance, {name}: {told}")


THINNED = {"crush": (0.4, 0.75), "scuff": (0.6, 1.0), "hole": (0.2, 0.7)}


def thin(data: str, keep: Path, trials: int) -> None:
    """Hide strengths by leaving captures out."""
    damaged = [c for c in read_captures(data, roles=("query",)) if c.damages and c.damages[0].generator in THINNED]
    products = sorted({str(c.item_identifier) for c in damaged})
    half = set(products[::2])
    pool = pool_of([c for c in damaged if c.item_identifier in half], data)
    hidden = [c for c in damaged if c.item_identifier not in half and _inside(c)]
    seen = [c for c in hidden if any(view.damage is not None and view.damage.any() for view in c.views)]
    observed = list(observe(seen))
    text = RECIPE.format(name="thin", seed=1, captures=1, **BASE)
    recipe = Recipe.model_validate(yaml.safe_load(text))
    problem = make_problem(pool, observed, recipe)
    started = time.monotonic()
    made = search(problem, start_of(problem), keep, trials=trials, seed=0)
    best = best_of(made)
    print(f"{len(made)} trials in {time.monotonic() - started:.1f} s; {len(pool.generator)} captures in the pool")
    print(f"{len(observed)} views of {len(hidden)} captures: loss {made[0].loss:.3f} before, {best.loss:.3f} after")
    found = {**problem.fixed, **best.parameters}
    whole = sum(found[f"{name}.weight"] for name in THINNED)
    for name, (low, high) in THINNED.items():
        was = sum(c.damages[0].generator == name for c in hidden) / len(hidden)
        a, b = strengths(found, name)
        share = found[f"{name}.weight"] / whole
        strength = f"strength [{low}, {high}] hidden, [{a:.2f}, {b:.2f}] found"
        print(f"{name}: share {was:.2f} hidden, {share:.2f} found; {strength}")


def _inside(capture: Capture) -> bool:
    first = capture.damages[0]
    low, high = THINNED[first.generator]
    return low <= first.parameters["strength"] <= high


if __name__ == "__main__":
    main()
